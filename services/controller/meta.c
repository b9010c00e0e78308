#include "services/controller/meta.h"

#include "base/map.h"
#include "schemas/msgpack.h"

static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789"; /* upstream's: no vowels, no words */

const char *
meta_annotation (const struct value *o, const char *key)
{
  return value_as_string (value_get (value_path (o, "metadata.annotations"), key), "");
}

const char *
meta_label (const struct value *o, const char *key)
{
  return value_as_string (value_get (value_path (o, "metadata.labels"), key), "");
}

bool
meta_deleting (const struct value *o)
{
  return *value_path_string (o, "metadata.deletionTimestamp", "") != '\0';
}

const struct value *
meta_controller (const struct value *o)
{
  for (value_items (value_path (o, "metadata.ownerReferences"), it))
    if (value_path_bool (*it, "controller", false))
      return *it;
  return NULL;
}

bool
meta_controlled_by (const struct value *o, const char *uid)
{
  const struct value *ref = meta_controller (o);
  return ref && value_string_is (value_get (ref, "uid"), uid);
}

bool
meta_has_finalizer (const struct value *o, const char *finalizer)
{
  for (value_items (value_path (o, "metadata.finalizers"), it))
    if (value_string_is (*it, finalizer))
      return true;
  return false;
}

struct value *
meta_owner_reference (struct arena *a, const struct value *owner, const char *api_version, const char *kind)
{
  struct value *r = value_map (a);
  value_set_string (a, r, "apiVersion", api_version);
  value_set_string (a, r, "kind", kind);
  value_set_string (a, r, "name", meta_name (owner));
  value_set_string (a, r, "uid", meta_uid (owner));
  value_set_bool (a, r, "controller", true);
  value_set_bool (a, r, "blockOwnerDeletion", true);
  return r;
}

static struct value *
reference_patch (struct arena *a, const struct value *o, struct value *reference)
{
  struct value *patch = value_map (a), *list = value_array (a);
  value_append (a, list, reference);
  value_set_path (a, patch, "metadata.uid", value_string (a, meta_uid (o)));
  value_set_path (a, patch, "metadata.ownerReferences", list);
  return patch;
}

struct value *
meta_adopt_patch (struct arena *a, const struct value *o, const struct value *owner, const char *api_version, const char *kind)
{
  return reference_patch (a, o, meta_owner_reference (a, owner, api_version, kind));
}

struct value *
meta_release_patch (struct arena *a, const struct value *o, const char *owner_uid)
{
  struct value *r = value_map (a);
  value_set_string (a, r, "$patch", "delete");
  value_set_string (a, r, "uid", owner_uid);
  return reference_patch (a, o, r);
}

int64_t
meta_time (const struct value *o, const char *path, int64_t otherwise)
{
  wall_t t;
  const char *text = value_path_string (o, path, "");
  return *text && wall_parse (text, &t, NULL) == 0 ? wall_s (t) : otherwise;
}

const char *
meta_time_text (struct arena *a, wall_t now)
{
  char text[CLOCK_RFC3339_SIZE];
  return arena_strdup (a, wall_format (now, text));
}

static struct value *
condition_in (const struct value *status, const char *type)
{
  for (value_items (value_get (status, "conditions"), it))
    if (value_string_is (value_get (*it, "type"), type))
      return *it;
  return NULL;
}

const struct value *
meta_condition (const struct value *o, const char *type)
{
  return condition_in (value_get (o, "status"), type);
}

bool
meta_condition_is (const struct value *o, const char *type, const char *status)
{
  return value_string_is (value_get (meta_condition (o, type), "status"), status);
}

bool
meta_set_condition (struct arena *a, struct value *status, const char *type, const char *value, const char *reason,
                    const char *message, wall_t now, bool update_time)
{
  struct value *c = condition_in (status, type);
  bool same_status = c && value_string_is (value_get (c, "status"), value);
  if (same_status && strcmp (value_path_string (c, "reason", ""), reason) == 0
      && strcmp (value_path_string (c, "message", ""), message) == 0)
    return false;
  if (!c)
    {
      c = value_map (a);
      value_append (a, value_ensure_array (a, status, "conditions"), c);
      value_set_string (a, c, "type", type);
    }
  const char *text = meta_time_text (a, now);
  value_set_string (a, c, "status", value);
  if (update_time)
    value_set_string (a, c, "lastUpdateTime", text);
  if (!same_status)
    value_set_string (a, c, "lastTransitionTime", text);
  value_unset (c, "reason");
  value_unset (c, "message");
  if (*reason)
    value_set_string (a, c, "reason", reason);
  if (*message)
    value_set_string (a, c, "message", message);
  return true;
}

bool
meta_remove_condition (struct value *status, const char *type)
{
  struct value *list = value_get (status, "conditions");
  for (size_t i = 0; i < value_count (list); i++)
    if (value_string_is (value_get (value_at (list, i), "type"), type))
      {
        value_remove_at (list, i);
        if (!value_count (list))
          value_unset (status, "conditions");
        return true;
      }
  return false;
}

bool
pod_finished (const struct value *pod)
{
  const char *phase = value_path_string (pod, "status.phase", "");
  return strcmp (phase, "Succeeded") == 0 || strcmp (phase, "Failed") == 0;
}

bool
pod_active (const struct value *pod)
{
  return !pod_finished (pod) && !meta_deleting (pod);
}

bool
pod_ready (const struct value *pod)
{
  return meta_condition_is (pod, "Ready", "True");
}

bool
pod_available (const struct value *pod, int64_t min_ready_s, wall_t now, int64_t *wait_ms)
{
  if (!pod_ready (pod))
    return false;
  if (min_ready_s <= 0)
    return true;
  int64_t since = meta_time (meta_condition (pod, "Ready"), "lastTransitionTime", INT64_MAX);
  if (since == INT64_MAX)
    return false;
  int64_t left_ms = (since + min_ready_s) * 1000 - now.us / 1000;
  if (left_ms <= 0)
    return true;
  if (wait_ms && (*wait_ms == 0 || left_ms < *wait_ms))
    *wait_ms = left_ms;
  return false;
}

static void
encode (uint64_t h, char *out, size_t n)
{
  for (size_t i = 0; i < n; i++, h /= sizeof alphabet - 1)
    out[i] = alphabet[h % (sizeof alphabet - 1)];
  out[n] = '\0';
}

const char *
meta_generated_name (struct arena *a, const char *prefix, uint64_t salt, size_t n)
{
  char suffix[6];
  encode (hash_bytes (prefix, strlen (prefix), salt + n * 0x9e3779b97f4a7c15u), suffix, 5);
  return arena_printf (a, "%.*s%s", 253 - 5, prefix, suffix);
}

static const struct value *
sorted (struct arena *a, const struct value *v)
{
  if (value_is (v, VALUE_ARRAY))
    {
      struct value *out = value_array (a);
      for (value_items (v, it))
        value_append (a, out, (struct value *) sorted (a, *it));
      return out;
    }
  if (!value_is (v, VALUE_MAP))
    return v;
  struct value *out = value_map (a);
  const char *last = NULL;
  for (size_t n = 0; n < v->len; n++)
    {
      const struct value_member *best = NULL;
      for (value_each (v, m))
        if ((!last || strcmp (m->key, last) > 0) && (!best || strcmp (m->key, best->key) < 0))
          best = m;
      if (!best)
        break;
      last = best->key;
      value_set (a, out, best->key, (struct value *) sorted (a, best->value));
    }
  return out;
}

const char *
meta_hash_label (struct arena *a, const struct value *template_, int64_t collisions)
{
  struct buf b AUTO_BUF = BUF_INIT;
  value_pack (sorted (a, template_), &b);
  char text[11];
  encode (hash_bytes (b.data, b.len, (uint64_t) collisions), text, 10);
  return arena_strdup (a, text);
}

int64_t
meta_scaled (const struct value *v, int64_t total, bool round_up, int64_t otherwise)
{
  if (value_is_null (v))
    return otherwise;
  if (!value_is (v, VALUE_STRING))
    return value_as_int (v, otherwise);
  char *end;
  long long n = strtoll (v->s, &end, 10);
  if (end == v->s || strcmp (end, "%") != 0)
    return otherwise;
  return round_up ? (n * total + 99) / 100 : n * total / 100;
}

struct value *
meta_pod_of (struct arena *a, const struct value *template_, const struct value *owner, const char *api_version, const char *kind,
             const char *name, const char *generate_name)
{
  struct value *pod = value_map (a), *metadata = value_map (a), *owners = value_array (a);
  static const char *const copied[] = { "labels", "annotations", "finalizers" };
  value_set_string (a, pod, "apiVersion", "v1");
  value_set_string (a, pod, "kind", "Pod");
  value_set_string (a, metadata, "name", name);
  if (generate_name)
    value_set_string (a, metadata, "generateName", generate_name);
  value_set_string (a, metadata, "namespace", meta_namespace (owner));
  for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
    {
      const struct value *v = value_get (value_get (template_, "metadata"), copied[i]);
      if (!value_is_empty (v))
        value_set (a, metadata, copied[i], value_clone (a, v));
    }
  value_append (a, owners, meta_owner_reference (a, owner, api_version, kind));
  value_set (a, metadata, "ownerReferences", owners);
  value_set (a, pod, "metadata", metadata);
  value_set (a, pod, "spec", value_clone (a, value_get (template_, "spec")));
  return pod;
}
