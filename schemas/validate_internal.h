/* What the files schemas/validate*.c share: paths, the kinds of causes, common checks. A validator adds causes and
   returns nothing; trees may be incomplete or null anywhere. */
#ifndef SCHEMAS_VALIDATE_INTERNAL_H
#define SCHEMAS_VALIDATE_INTERNAL_H

#include "schemas/machinery.h"

/* A field's place as a chain on the stack; it becomes text only when a cause is added. */
struct vpath {
  const struct vpath *parent;
  const char *name; /* a member; NULL with key NULL: an index */
  const char *key;  /* a map's key, printed in brackets */
  size_t index;
};
#define CHILD(p, n) (&(const struct vpath){ (p), (n), NULL, 0 })
#define INDEX(p, i) (&(const struct vpath){ (p), NULL, NULL, (i) })
#define KEY(p, k) (&(const struct vpath){ (p), NULL, (k), 0 })
typedef const struct vpath *vpath_t;

/* One object under validation. */
struct validation {
  struct schema_causes *causes;
  const struct schema_kind *kind;
  const struct value *obj, *old; /* old NULL: create */
  const char *subresource;       /* "" or "status", ... */
};
typedef void (*validate_fn) (struct validation *v);

/* ---- causes; value prints as JSON, absent as null ---- */
void v_required (struct validation *v, vpath_t at, const char *detail);
void v_forbidden (struct validation *v, vpath_t at, const char *detail);
void v_invalid (struct validation *v, vpath_t at, const struct value *value, const char *detail);
void v_invalid_string (struct validation *v, vpath_t at, const char *value, const char *detail);
void v_invalid_int (struct validation *v, vpath_t at, int64_t value, const char *detail);
void v_duplicate (struct validation *v, vpath_t at, const char *value);
void v_not_found (struct validation *v, vpath_t at, const char *value);
void v_not_supported (struct validation *v, vpath_t at, const char *value, const char *const *supported); /* NULL-terminated */
void v_too_long (struct validation *v, vpath_t at, size_t max_bytes);
void v_too_many (struct validation *v, vpath_t at, size_t count, size_t max);
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- reading ---- */
const char *v_string (const struct value *map, const char *key); /* "" when absent */
int64_t v_int (const struct value *map, const char *key);        /* 0 when absent */
bool v_has (const struct value *map, const char *key);           /* present and not null */
bool v_in (const char *s, const char *const *list);
bool v_same (const struct value *a, const struct value *b); /* as Go's Semantic.DeepEqual: null, empty and absent are one */
/* List items and map members seen before: s at its first occurrence gives false. */
bool v_seen (const struct value *list, size_t before, const char *field, const char *s);

/* ---- checks ---- */
void v_check (struct validation *v, vpath_t at, const char *s, const char *message); /* message NULL: fine */
void v_check_name (struct validation *v, vpath_t at, const char *s, const char *(*fn) (const char *));
void v_nonnegative (struct validation *v, vpath_t at, const struct value *n);
void v_nonnegative_in (struct validation *v, vpath_t at, const struct value *map, const char *key);
void v_immutable (struct validation *v, vpath_t at, const struct value *now, const struct value *then);
void v_port (struct validation *v, vpath_t at, int64_t port);
void v_port_number_or_name (struct validation *v, vpath_t at, const struct value *port);
void v_one_of (struct validation *v, vpath_t at, const char *s, const char *const *supported); /* Required when "" */
void v_labels (struct validation *v, vpath_t at, const struct value *labels);
void v_label_selector (struct validation *v, vpath_t at, const struct value *selector); /* absent is fine */
void v_quantity_map (struct validation *v, vpath_t at, const struct value *list);       /* values of a ResourceList */
void v_resource_quantity (struct validation *v, vpath_t at, const char *resource, const struct value *q);
int v_quantity_compare (const struct value *a, const struct value *b);
void v_conditions (struct validation *v, vpath_t at, const struct value *conditions);
bool v_ip (const char *s, int *ret_family); /* family 4 or 6 */
bool v_cidr (const char *s, int *ret_family);
void v_non_special_ip (struct validation *v, vpath_t at, const char *ip);
void v_int_or_percent (struct validation *v, vpath_t at, const struct value *n, bool max_100);
int64_t v_int_or_percent_value (const struct value *n);
void v_load_balancer_status (struct validation *v, vpath_t at, const struct value *status);

/* Names; each gives NULL or upstream's message. */
const char *name_config_map_key (const char *s);
const char *name_env_var (const char *s);
const char *name_port (const char *s);
const char *name_http_header (const char *s);
const char *name_path_segment (const char *s);
const char *name_wildcard_subdomain (const char *s);

/* ---- metadata: schemas/validate_meta.c ---- */
void validate_metadata (struct validation *v);
void v_annotations (struct validation *v, vpath_t at, const struct value *annotations);

/* ---- pods: schemas/validate_pod.c, validate_container.c, validate_volume.c ---- */
struct pod_validation {
  struct validation *v;
  const struct value *spec;
  const struct value *volumes;
  const struct value *meta; /* the Pod's metadata; NULL for a template */
};
void validate_pod_template (struct validation *v, vpath_t at, const struct value *template);
void validate_pod_spec (struct validation *v, vpath_t at, const struct value *spec, const struct value *meta);
void v_node_selector (struct validation *v, vpath_t at, const struct value *selector);
void v_affinity (struct validation *v, vpath_t at, const struct value *affinity);
void v_topology_spread (struct validation *v, vpath_t at, const struct value *constraints);
void v_tolerations (struct validation *v, vpath_t at, const struct value *tolerations);
void v_taint_effect (struct validation *v, vpath_t at, const char *effect, bool required);
void v_containers (const struct pod_validation *p, vpath_t at, const struct value *containers, bool init);
void v_init_containers (const struct pod_validation *p, vpath_t at);
void v_ephemeral_containers (const struct pod_validation *p, vpath_t at);
void v_resources (struct validation *v, vpath_t at, const struct value *resources);
void v_container_resource_name (struct validation *v, vpath_t at, const char *name);
void v_pod_security_context (struct validation *v, vpath_t at, const struct value *context, const struct value *spec);
void v_security_context (struct validation *v, vpath_t at, const struct value *context);
void v_volumes (const struct pod_validation *p, vpath_t at);
void v_volume_source (const struct pod_validation *p, vpath_t at, const struct value *volume);
void v_field_ref (struct validation *v, vpath_t at, const struct value *ref, const char *const *paths);
void v_resource_field_ref (struct validation *v, vpath_t at, const struct value *ref, bool volume);
void v_no_backsteps (struct validation *v, vpath_t at, const char *path);
void v_local_path (struct validation *v, vpath_t at, const char *path);
void v_host_path (struct validation *v, vpath_t at, const struct value *source);
void v_nfs (struct validation *v, vpath_t at, const struct value *source);
void v_pvc_spec (struct validation *v, vpath_t at, const struct value *spec);

/* ---- one function a kind ---- */
void validate_pod (struct validation *v);
void validate_pod_status (struct validation *v);
void validate_pod_template_kind (struct validation *v);
void validate_service (struct validation *v);
void validate_service_status (struct validation *v);
void validate_endpoints (struct validation *v);
void validate_endpoint_slice (struct validation *v);
void validate_deployment (struct validation *v);
void validate_replica_set (struct validation *v);
void validate_replication_controller (struct validation *v);
void validate_daemon_set (struct validation *v);
void validate_stateful_set (struct validation *v);
void validate_controller_revision (struct validation *v);
void validate_workload_status (struct validation *v);
void validate_job (struct validation *v);
void validate_job_status (struct validation *v);
void validate_cron_job (struct validation *v);
void validate_node (struct validation *v);
void validate_namespace (struct validation *v);
void validate_namespace_status (struct validation *v);
void validate_config_map (struct validation *v);
void validate_secret (struct validation *v);
void validate_event (struct validation *v);
void validate_lease (struct validation *v);
void validate_limit_range (struct validation *v);
void validate_resource_quota (struct validation *v);
void validate_priority_class (struct validation *v);
void validate_runtime_class (struct validation *v);
void validate_role (struct validation *v);
void validate_role_binding (struct validation *v);
void validate_pod_disruption_budget (struct validation *v);
void validate_hpa (struct validation *v);
void validate_scale (struct validation *v);
void validate_network_policy (struct validation *v);
void validate_ingress (struct validation *v);
void validate_ingress_class (struct validation *v);
void validate_persistent_volume (struct validation *v);
void validate_persistent_volume_claim (struct validation *v);
void validate_storage_class (struct validation *v);
void validate_csi_driver (struct validation *v);
void validate_webhooks (struct validation *v);
void validate_crd (struct validation *v);

#endif
