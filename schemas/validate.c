/* The engine: causes, and the table from kinds to their validators. */
#include <inttypes.h>

#include "schemas/json.h"
#include "schemas/validate_internal.h"

#define CAUSES_MAX 256 /* of one object: more tell nobody anything */

/* ---- causes ---- */

static struct schema_cause *
new_cause (struct schema_causes *c, const char *reason, const char *field)
{
  if (c->count >= CAUSES_MAX)
    return NULL;
  if (c->count == c->cap) {
    size_t cap = c->cap ? 2 * c->cap : 8;
    struct schema_cause *items = arena_alloc (c->arena, cap * sizeof *items);
    if (!items)
      return NULL;
    if (c->count > 0)
      memcpy (items, c->items, c->count * sizeof *items);
    c->items = items;
    c->cap = cap;
  }
  struct schema_cause *cause = &c->items[c->count];
  cause->reason = reason;
  cause->field = arena_strdup (c->arena, field);
  return cause->field ? cause : NULL;
}

void
schema_causes_add (struct schema_causes *c, const char *reason, const char *field, const char *fmt, ...)
{
  struct schema_cause *cause = new_cause (c, reason, field);
  if (!cause)
    return;
  AUTO_BUF struct buf text = BUF_INIT;
  va_list ap;
  va_start (ap, fmt);
  buf_vprintf (&text, fmt, ap);
  va_end (ap);
  cause->message = text.failed ? NULL : arena_strdup (c->arena, buf_cstr (&text));
  if (cause->message)
    c->count++;
}

static void
print_path (vpath_t p, struct buf *out)
{
  if (!p)
    return;
  print_path (p->parent, out);
  if (p->key)
    buf_printf (out, "[%s]", p->key);
  else if (!p->name)
    buf_printf (out, "[%zu]", p->index);
  else if (out->len > 0)
    buf_printf (out, ".%s", p->name);
  else
    buf_append_str (out, p->name);
}

/* Go's %q for text that is mostly plain. */
static void
quote (const char *s, size_t n, struct buf *out)
{
  buf_append_byte (out, '"');
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char) s[i];
    if (c == '"' || c == '\\')
      buf_printf (out, "\\%c", c);
    else if (c == '\n')
      buf_append_str (out, "\\n");
    else if (c == '\t')
      buf_append_str (out, "\\t");
    else if (c == '\r')
      buf_append_str (out, "\\r");
    else if (c < 0x20 || c == 0x7f)
      buf_printf (out, "\\x%02x", c);
    else
      buf_append_byte (out, c);
  }
  buf_append_byte (out, '"');
}

static void
add (struct validation *v, const char *reason, vpath_t at, const char *body, const char *detail)
{
  AUTO_BUF struct buf field = BUF_INIT;
  print_path (at, &field);
  schema_causes_add (v->causes, reason, buf_cstr (&field), "%s%s%s", body, detail && detail[0] ? ": " : "", detail ? detail : "");
}

static void
add_string (struct validation *v, const char *reason, const char *words, vpath_t at, const char *value, const char *detail)
{
  AUTO_BUF struct buf body = BUF_INIT;
  buf_printf (&body, "%s: ", words);
  quote (value, strlen (value), &body);
  add (v, reason, at, buf_cstr (&body), detail);
}

void
v_required (struct validation *v, vpath_t at, const char *detail)
{
  add (v, "FieldValueRequired", at, "Required value", detail);
}

void
v_forbidden (struct validation *v, vpath_t at, const char *detail)
{
  add (v, "FieldValueForbidden", at, "Forbidden", detail);
}

void
v_invalid (struct validation *v, vpath_t at, const struct value *value, const char *detail)
{
  AUTO_BUF struct buf body = BUF_INIT;
  buf_append_str (&body, "Invalid value: ");
  if (value_is_null (value))
    buf_append_str (&body, "null");
  else if (value->type == VALUE_STRING)
    quote (value->s, value->len, &body);
  else
    json_write (value, 0, &body);
  add (v, "FieldValueInvalid", at, buf_cstr (&body), detail);
}

void
v_invalid_string (struct validation *v, vpath_t at, const char *value, const char *detail)
{
  add_string (v, "FieldValueInvalid", "Invalid value", at, value, detail);
}

void
v_invalid_int (struct validation *v, vpath_t at, int64_t value, const char *detail)
{
  char body[64];
  snprintf (body, sizeof body, "Invalid value: %" PRId64, value);
  add (v, "FieldValueInvalid", at, body, detail);
}

void
v_duplicate (struct validation *v, vpath_t at, const char *value)
{
  add_string (v, "FieldValueDuplicate", "Duplicate value", at, value, NULL);
}

void
v_not_found (struct validation *v, vpath_t at, const char *value)
{
  add_string (v, "FieldValueNotFound", "Not found", at, value, NULL);
}

void
v_not_supported (struct validation *v, vpath_t at, const char *value, const char *const *supported)
{
  AUTO_BUF struct buf detail = BUF_INIT;
  for (size_t i = 0; supported && supported[i]; i++) {
    buf_append_str (&detail, i == 0 ? "supported values: " : ", ");
    quote (supported[i], strlen (supported[i]), &detail);
  }
  add_string (v, "FieldValueNotSupported", "Unsupported value", at, value, buf_cstr (&detail));
}

void
v_too_long (struct validation *v, vpath_t at, size_t max_bytes)
{
  char detail[64];
  snprintf (detail, sizeof detail, "may not be more than %zu bytes", max_bytes);
  add (v, "FieldValueTooLong", at, "Too long", detail);
}

void
v_too_many (struct validation *v, vpath_t at, size_t count, size_t max)
{
  char body[64], detail[64];
  snprintf (body, sizeof body, "Too many: %zu", count);
  snprintf (detail, sizeof detail, "must have at most %zu item%s", max, max == 1 ? "" : "s");
  add (v, "FieldValueTooMany", at, body, detail);
}

/* ---- rows: for kinds that have no validator of their own (custom resources among them) ---- */

static void rows_struct (struct validation *v, vpath_t at, const struct schema_type *t, const struct value *map, int depth);

static void
rows_scalar (struct validation *v, vpath_t at, const struct schema_field *f, const struct value *x, int depth)
{
  if (f->scalar == SCHEMA_STRUCT) {
    rows_struct (v, at, f->type, x, depth + 1);
    return;
  }
  if (f->enum_values && value_is (x, VALUE_STRING) && x->len > 0 && !v_in (x->s, f->enum_values))
    v_not_supported (v, at, x->s, f->enum_values);
  if (f->minimum <= f->maximum && (f->minimum || f->maximum) && value_is (x, VALUE_INT)) {
    char text[96];
    if (x->i < f->minimum) {
      snprintf (text, sizeof text, "must be greater than or equal to %" PRId64, f->minimum);
      v_invalid_int (v, at, x->i, text);
    } else if (x->i > f->maximum) {
      snprintf (text, sizeof text, "must be less than or equal to %" PRId64, f->maximum);
      v_invalid_int (v, at, x->i, text);
    }
  }
}

static bool
same_keys (const struct schema_field *f, const struct value *a, const struct value *b)
{
  for (size_t k = 0; f->list_map_keys[k]; k++)
    if (!value_equal (value_get (a, f->list_map_keys[k]), value_get (b, f->list_map_keys[k])))
      return false;
  return true;
}

static void
rows_list (struct validation *v, vpath_t at, const struct schema_field *f, const struct value *list, int depth)
{
  bool keyed = f->list == SCHEMA_LIST_MAP && f->list_map_keys, set = f->list == SCHEMA_LIST_SET;
  size_t n = value_count (list);
  for (size_t i = 0; i < n; i++) {
    const struct value *x = value_at (list, i);
    for (size_t j = 0; (keyed || set) && n <= 1000 && j < i; j++)
      if (keyed ? same_keys (f, x, value_at (list, j)) : value_equal (x, value_at (list, j))) {
        AUTO_BUF struct buf body = BUF_INIT;
        buf_append_str (&body, "Duplicate value: ");
        json_write (x, 0, &body);
        add (v, "FieldValueDuplicate", INDEX (at, i), buf_cstr (&body), NULL);
        break;
      }
    rows_scalar (v, INDEX (at, i), f, x, depth);
  }
}

static void
rows_struct (struct validation *v, vpath_t at, const struct schema_type *t, const struct value *map, int depth)
{
  if (!value_is (map, VALUE_MAP) || depth > 64)
    return;
  for (uint16_t i = 0; i < t->n_fields; i++) {
    const struct schema_field *f = &t->fields[i];
    const struct value *x = value_get (map, f->name);
    vpath_t here = CHILD (at, f->name);
    if (depth == 0 && (strcmp (f->name, "metadata") == 0 || strcmp (f->name, "status") == 0))
      continue;
    if (value_is_null (x)) {
      if ((f->flags & SCHEMA_REQUIRED) && !(f->flags & SCHEMA_NULLABLE))
        v_required (v, here, NULL);
    } else if (f->shape == SCHEMA_LIST)
      rows_list (v, here, f, x, depth);
    else if (f->shape == SCHEMA_MAP)
      for (value_each (x, m))
        rows_scalar (v, KEY (here, m->key), f, m->value, depth);
    else
      rows_scalar (v, here, f, x, depth);
  }
}

static void
validate_rows (struct validation *v)
{
  rows_struct (v, NULL, v->kind->type, v->obj, 0);
}

static void
validate_nothing (struct validation *v)
{
  (void) v;
}

/* ---- kinds ---- */

struct kind_validator {
  const char *group, *kind;
  validate_fn fn, status_fn; /* status_fn NULL: metadata only */
};
static const struct kind_validator validators[] = {
  { "", "ConfigMap", validate_config_map, NULL },
  { "", "Endpoints", validate_endpoints, NULL },
  { "", "Event", validate_event, NULL },
  { "", "LimitRange", validate_limit_range, NULL },
  { "", "Namespace", validate_namespace, validate_namespace_status },
  { "", "Node", validate_node, validate_node },
  { "", "PersistentVolume", validate_persistent_volume, NULL },
  { "", "PersistentVolumeClaim", validate_persistent_volume_claim, NULL },
  { "", "Pod", validate_pod, validate_pod_status },
  { "", "PodTemplate", validate_pod_template_kind, NULL },
  { "", "ReplicationController", validate_replication_controller, validate_workload_status },
  { "", "ResourceQuota", validate_resource_quota, NULL },
  { "", "Secret", validate_secret, NULL },
  { "", "Service", validate_service, validate_service_status },
  { "", "ServiceAccount", validate_nothing, NULL },
  { "apps", "ControllerRevision", validate_controller_revision, NULL },
  { "apps", "DaemonSet", validate_daemon_set, validate_workload_status },
  { "apps", "Deployment", validate_deployment, validate_workload_status },
  { "apps", "ReplicaSet", validate_replica_set, validate_workload_status },
  { "apps", "StatefulSet", validate_stateful_set, validate_workload_status },
  { "batch", "CronJob", validate_cron_job, NULL },
  { "batch", "Job", validate_job, validate_job_status },
  { "coordination.k8s.io", "Lease", validate_lease, NULL },
  { "discovery.k8s.io", "EndpointSlice", validate_endpoint_slice, NULL },
  { "events.k8s.io", "Event", validate_event, NULL },
  { "node.k8s.io", "RuntimeClass", validate_runtime_class, NULL },
  { "scheduling.k8s.io", "PriorityClass", validate_priority_class, NULL },
  { "rbac.authorization.k8s.io", "Role", validate_role, NULL },
  { "rbac.authorization.k8s.io", "ClusterRole", validate_role, NULL },
  { "rbac.authorization.k8s.io", "RoleBinding", validate_role_binding, NULL },
  { "rbac.authorization.k8s.io", "ClusterRoleBinding", validate_role_binding, NULL },
  { "policy", "PodDisruptionBudget", validate_pod_disruption_budget, NULL },
  { "autoscaling", "HorizontalPodAutoscaler", validate_hpa, NULL },
  { "autoscaling", "Scale", validate_scale, NULL },
  { "networking.k8s.io", "NetworkPolicy", validate_network_policy, NULL },
  { "networking.k8s.io", "Ingress", validate_ingress, validate_service_status },
  { "networking.k8s.io", "IngressClass", validate_ingress_class, NULL },
  { "storage.k8s.io", "StorageClass", validate_storage_class, NULL },
  { "storage.k8s.io", "CSIDriver", validate_csi_driver, NULL },
  { "admissionregistration.k8s.io", "MutatingWebhookConfiguration", validate_webhooks, NULL },
  { "admissionregistration.k8s.io", "ValidatingWebhookConfiguration", validate_webhooks, NULL },
  { "apiextensions.k8s.io", "CustomResourceDefinition", validate_crd, NULL },
};

static const struct kind_validator *
find_validator (const struct schema_kind *k)
{
  for (size_t i = 0; i < sizeof validators / sizeof *validators; i++)
    if (strcmp (validators[i].kind, k->kind) == 0 && strcmp (validators[i].group, k->group) == 0)
      return &validators[i];
  return NULL;
}

void
schema_validate (const struct schema_kind *k, const struct value *obj, const struct value *old, const char *subresource,
                 struct schema_causes *causes)
{
  struct validation v = { causes, k, obj, old, subresource ? subresource : "" };
  const struct kind_validator *kv = find_validator (k);
  bool status = strcmp (v.subresource, "status") == 0;
  validate_fn fn = !kv ? validate_rows : status ? kv->status_fn : kv->fn;
  if (!k->virtual_ || schema_field_find (k->type, "metadata", 8))
    validate_metadata (&v);
  if (fn && !(status && !kv))
    fn (&v);
}
