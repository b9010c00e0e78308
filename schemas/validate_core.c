/* The small kinds of core and their neighbours: Node, Namespace, ConfigMap, Secret, Event, Lease, LimitRange, ResourceQuota. */
#include "schemas/validate_internal.h"

#define DATA_BYTES_MAX (1024 * 1024)

static size_t
decoded_length (const struct value *v)
{
  size_t n = value_is (v, VALUE_STRING) ? v->len : 0, pad = 0;
  while (pad < 2 && n > pad && v->s[n - 1 - pad] == '=')
    pad++;
  return n / 4 * 3 - (n >= 4 ? pad : 0);
}

/* ---- ConfigMap and Secret ---- */

static void
check_frozen (struct validation *v, const char *const *fields)
{
  if (!v->old || !value_path_bool (v->old, "immutable", false))
    return;
  if (!value_path_bool (v->obj, "immutable", false))
    v_forbidden (v, CHILD (NULL, "immutable"), "field is immutable when `immutable` is set");
  for (; *fields; fields++)
    if (!v_same (value_get (v->obj, *fields), value_get (v->old, *fields)))
      v_forbidden (v, CHILD (NULL, *fields), "field is immutable when `immutable` is set");
}

void
validate_config_map (struct validation *v)
{
  const struct value *data = value_get (v->obj, "data"), *binary = value_get (v->obj, "binaryData");
  size_t total = 0;
  for (value_each (data, m)) {
    v_check_name (v, KEY (CHILD (NULL, "data"), m->key), m->key, name_config_map_key);
    if (value_get_n (binary, m->key, m->key_len))
      v_invalid_string (v, KEY (CHILD (NULL, "data"), m->key), m->key, "duplicate of key present in binaryData");
    total += value_is (m->value, VALUE_STRING) ? m->value->len : 0;
  }
  for (value_each (binary, m)) {
    v_check_name (v, KEY (CHILD (NULL, "binaryData"), m->key), m->key, name_config_map_key);
    total += decoded_length (m->value);
  }
  if (total > DATA_BYTES_MAX)
    v_too_long (v, CHILD (NULL, "[]"), DATA_BYTES_MAX);
  check_frozen (v, LIST ("data", "binaryData"));
}

static void
need_key (struct validation *v, const char *key)
{
  if (value_is_null (value_get (value_get (v->obj, "data"), key)))
    v_required (v, KEY (CHILD (NULL, "data"), key), NULL);
}

void
validate_secret (struct validation *v)
{
  const struct value *data = value_get (v->obj, "data");
  const char *type = v_string (v->obj, "type");
  size_t total = 0;
  for (value_each (data, m)) {
    v_check_name (v, KEY (CHILD (NULL, "data"), m->key), m->key, name_config_map_key);
    total += decoded_length (m->value);
  }
  if (total > DATA_BYTES_MAX)
    v_too_long (v, CHILD (NULL, "data"), DATA_BYTES_MAX);
  if (strcmp (type, "kubernetes.io/service-account-token") == 0) {
    const struct value *annotations = value_path (v->obj, "metadata.annotations");
    if (!v_string (annotations, "kubernetes.io/service-account.name")[0])
      v_required (v, KEY (CHILD (CHILD (NULL, "metadata"), "annotations"), "kubernetes.io/service-account.name"), NULL);
  } else if (strcmp (type, "kubernetes.io/dockercfg") == 0)
    need_key (v, ".dockercfg");
  else if (strcmp (type, "kubernetes.io/dockerconfigjson") == 0)
    need_key (v, ".dockerconfigjson");
  else if (strcmp (type, "kubernetes.io/ssh-auth") == 0)
    need_key (v, "ssh-privatekey");
  else if (strcmp (type, "kubernetes.io/tls") == 0) {
    need_key (v, "tls.crt");
    need_key (v, "tls.key");
  } else if (strcmp (type, "kubernetes.io/basic-auth") == 0 && !v_has (data, "username") && !v_has (data, "password")) {
    need_key (v, "username");
    need_key (v, "password");
  }
  if (v->old)
    v_immutable (v, CHILD (NULL, "type"), value_get (v->obj, "type"), value_get (v->old, "type"));
  check_frozen (v, LIST ("data"));
}

/* ---- Namespace ---- */

void
validate_namespace (struct validation *v)
{
  const struct value *finalizers = value_path (v->obj, "spec.finalizers");
  for (size_t i = 0; i < value_count (finalizers); i++) {
    const char *s = value_as_string (value_at (finalizers, i), "");
    vpath_t at = CHILD (CHILD (NULL, "spec"), "finalizers");
    v_check_name (v, at, s, name_qualified);
    if (!strchr (s, '/') && !v_in (s, LIST ("kubernetes", "orphan", "foregroundDeletion")))
      v_invalid_string (v, at, s, "name is neither a standard finalizer name nor is it fully qualified");
  }
}

void
validate_namespace_status (struct validation *v)
{
  const char *phase = value_path_string (v->obj, "status.phase", "");
  bool deleted = !value_is_null (value_path (v->obj, "metadata.deletionTimestamp"));
  vpath_t at = CHILD (CHILD (NULL, "status"), "Phase");
  if (!deleted && strcmp (phase, "Active") != 0)
    v_invalid_string (v, at, phase, "may only be 'Active' if `deletionTimestamp` is empty");
  else if (deleted && strcmp (phase, "Terminating") != 0)
    v_invalid_string (v, at, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
}

/* ---- Node ---- */

static void
check_taints (struct validation *v, vpath_t at, const struct value *taints)
{
  for (size_t i = 0; i < value_count (taints); i++) {
    const struct value *t = value_at (taints, i);
    v_check_name (v, CHILD (INDEX (at, i), "key"), v_string (t, "key"), name_qualified);
    v_check_name (v, CHILD (INDEX (at, i), "value"), v_string (t, "value"), name_label_value);
    v_taint_effect (v, CHILD (INDEX (at, i), "effect"), v_string (t, "effect"), true);
    for (size_t j = i > 500 ? i - 500 : 0; j < i; j++)
      if (strcmp (v_string (value_at (taints, j), "key"), v_string (t, "key")) == 0
          && strcmp (v_string (value_at (taints, j), "effect"), v_string (t, "effect")) == 0) {
        schema_causes_add (v->causes, "FieldValueDuplicate", "metadata.taints",
                           "Duplicate value: {\"key\":\"%s\",\"effect\":\"%s\"}: taints must be unique by key and effect pair",
                           v_string (t, "key"), v_string (t, "effect"));
        break;
      }
  }
}

static void
set_once (struct validation *v, const char *key)
{
  const struct value *now = value_get (value_get (v->obj, "spec"), key), *then = value_get (value_get (v->old, "spec"), key);
  char text[96];
  snprintf (text, sizeof text, "node updates may not change %s except from \"\" to valid", strcmp (key, "podCIDRs") == 0 ? "podCIDR" : key);
  if (!value_is_empty (then) && !v_same (now, then))
    v_forbidden (v, CHILD (CHILD (NULL, "spec"), key), text);
}

void
validate_node (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *cidrs = value_get (spec, "podCIDRs"), *status = value_get (v->obj, "status");
  vpath_t at = CHILD (CHILD (NULL, "spec"), "podCIDRs");
  check_taints (v, CHILD (CHILD (NULL, "metadata"), "taints"), value_get (spec, "taints"));
  for (const char *const *f = LIST ("capacity", "allocatable"); *f; f++)
    for (value_each (value_get (status, *f), m))
      v_resource_quantity (v, CHILD (CHILD (CHILD (NULL, "status"), *f), m->key), m->key, m->value);
  for (size_t i = 0; i < value_count (cidrs); i++)
    if (!v_cidr (value_as_string (value_at (cidrs, i), ""), NULL))
      v_invalid (v, INDEX (at, i), value_at (cidrs, i), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
  if (value_count (cidrs) > 2)
    v_invalid (v, at, cidrs, "may specify no more than one CIDR for each IP family");
  if (!v->old)
    return;
  set_once (v, "podCIDRs");
  set_once (v, "providerID");
}

/* ---- Event and Lease ---- */

static void
check_length (struct validation *v, const char *key, const char *s, size_t max)
{
  char text[64];
  snprintf (text, sizeof text, "can have at most %zu characters", max);
  if (strlen (s) > max)
    v_invalid_string (v, CHILD (NULL, key), "", text);
}

static void
check_new_event (struct validation *v, const char *controller_key, const char *instance_key, const char *note_key)
{
  const char *controller = v_string (v->obj, controller_key), *instance = v_string (v->obj, instance_key);
  if (!controller[0])
    v_required (v, CHILD (NULL, "reportingController"), NULL);
  v_check_name (v, CHILD (NULL, "reportingController"), controller, name_qualified);
  if (!instance[0])
    v_required (v, CHILD (NULL, "reportingInstance"), NULL);
  check_length (v, "reportingInstance", instance, 128);
  for (const char *const *f = LIST ("action", "reason"); *f; f++) {
    if (!v_string (v->obj, *f)[0])
      v_required (v, CHILD (NULL, *f), NULL);
    check_length (v, *f, v_string (v->obj, *f), 128);
  }
  check_length (v, "message", v_string (v->obj, note_key), 1024);
}

void
validate_event (struct validation *v)
{
  bool core = v->kind->group[0] == 0, timed = v_has (v->obj, "eventTime");
  const char *namespace = value_path_string (v->obj, "metadata.namespace", "");
  const char *object = value_as_string (value_get (value_get (v->obj, core ? "involvedObject" : "regarding"), "namespace"), "");
  vpath_t at = CHILD (CHILD (NULL, "involvedObject"), "namespace");
  bool cluster = v_in (namespace, timed ? LIST ("default", "kube-system") : LIST ("", "default"));
  if (object[0] ? !timed && strcmp (object, namespace) != 0 : !cluster)
    v_invalid_string (v, at, object, "does not match event.namespace");
  if (timed)
    check_new_event (v, core ? "reportingComponent" : "reportingController", "reportingInstance", core ? "message" : "note");
  if (core)
    return;
  const char *type = v_string (v->obj, "type");
  if (!timed)
    v_required (v, CHILD (NULL, "eventTime"), NULL);
  if (!v->old && !v_in (type, LIST ("Normal", "Warning"))) {
    char text[96];
    snprintf (text, sizeof text, "has invalid value: %s", type);
    v_invalid_string (v, CHILD (NULL, "type"), "", text);
  }
}

void
validate_lease (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec");
  vpath_t at = CHILD (NULL, "spec");
  if (v_has (spec, "leaseDurationSeconds") && v_int (spec, "leaseDurationSeconds") <= 0)
    v_invalid_int (v, CHILD (at, "leaseDurationSeconds"), v_int (spec, "leaseDurationSeconds"), "must be greater than 0");
  if (v_int (spec, "leaseTransitions") < 0)
    v_invalid_int (v, CHILD (at, "leaseTransitions"), v_int (spec, "leaseTransitions"), "must be greater than or equal to 0");
}

/* ---- LimitRange and ResourceQuota ---- */

static void
check_order (struct validation *v, vpath_t at, const struct value *item, const char *low, const char *low_name, const char *high,
             const char *high_name, const char *field, const char *key)
{
  const struct value *l = value_get (value_get (item, low), key), *h = value_get (value_get (item, high), key);
  char text[256];
  if (!l || !h || v_quantity_compare (l, h) <= 0)
    return;
  snprintf (text, sizeof text, "%s value %s is greater than %s value %s", low_name, value_as_string (l, ""), high_name, value_as_string (h, ""));
  v_invalid (v, KEY (CHILD (at, field), key), value_get (value_get (item, field), key), text);
}

static void
check_limit (struct validation *v, vpath_t at, const struct value *item)
{
  static const char *const lists[] = { "max", "min", "default", "defaultRequest", "maxLimitRequestRatio", NULL };
  const char *type = v_string (item, "type");
  bool pod = strcmp (type, "Pod") == 0;
  if (!strchr (type, '/') && !v_in (type, LIST ("Pod", "Container", "PersistentVolumeClaim")))
    v_invalid_string (v, CHILD (at, "type"), type, "must be a standard limit type or fully qualified");
  for (size_t i = 0; lists[i]; i++) {
    const struct value *list = value_get (item, lists[i]);
    if (pod && (i == 2 || i == 3) && value_count (list) > 0) {
      v_forbidden (v, CHILD (at, lists[i]), "may not be specified when `type` is 'Pod'");
      continue;
    }
    for (value_each (list, m)) {
      if (v_in (type, LIST ("Pod", "Container")))
        v_container_resource_name (v, KEY (CHILD (at, lists[i]), m->key), m->key);
      check_order (v, at, item, "min", "min", "max", "max", "min", i == 1 ? m->key : "");
      check_order (v, at, item, "min", "min", "defaultRequest", "default request", "defaultRequest", i == 3 ? m->key : "");
      check_order (v, at, item, "defaultRequest", "default request", "max", "max", "defaultRequest", i == 3 ? m->key : "");
      check_order (v, at, item, "defaultRequest", "default request", "default", "default limit", "defaultRequest", i == 3 ? m->key : "");
      check_order (v, at, item, "min", "min", "default", "default", "default", i == 2 ? m->key : "");
      check_order (v, at, item, "default", "default", "max", "max", "default", i == 2 ? m->key : "");
    }
  }
  if (strcmp (type, "PersistentVolumeClaim") == 0 && !value_path (item, "min.storage") && !value_path (item, "max.storage"))
    v_required (v, CHILD (at, "limits"), "either minimum or maximum storage value is required, but neither was provided");
}

void
validate_limit_range (struct validation *v)
{
  const struct value *limits = value_path (v->obj, "spec.limits");
  vpath_t at = CHILD (CHILD (NULL, "spec"), "limits");
  for (size_t i = 0; i < value_count (limits); i++) {
    const char *type = v_string (value_at (limits, i), "type");
    check_limit (v, INDEX (at, i), value_at (limits, i));
    if (v_seen (limits, i, "type", type))
      v_duplicate (v, CHILD (INDEX (at, i), "type"), type);
  }
}

void
validate_resource_quota (struct validation *v)
{
  static const char *const names[] = { "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
                                       "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods",
                                       "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims",
                                       "configmaps", "services.nodeports", "services.loadbalancers", NULL };
  static const char *const scopes[] = { "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass",
                                        "CrossNamespacePodAffinity", NULL };
  const struct value *spec = value_get (v->obj, "spec"), *list = value_get (spec, "scopes");
  vpath_t at = CHILD (NULL, "spec"), hard = CHILD (at, "hard");
  for (value_each (value_get (spec, "hard"), m)) {
    v_check_name (v, KEY (hard, m->key), m->key, name_qualified);
    if (!strchr (m->key, '/') && !v_in (m->key, names) && strncmp (m->key, "hugepages-", 10) != 0 && !strstr (m->key, ".hugepages-"))
      v_invalid_string (v, KEY (hard, m->key), m->key, "must be a standard resource for quota");
    v_resource_quantity (v, KEY (hard, m->key), m->key, m->value);
  }
  for (value_items (list, it))
    if (!v_in (value_as_string (*it, ""), scopes))
      v_invalid (v, CHILD (at, "scopes"), list, "unsupported scope");
  if (v->old)
    v_immutable (v, CHILD (at, "scopes"), list, value_path (v->old, "spec.scopes"));
}
