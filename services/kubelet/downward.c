#include "services/kubelet/downward.h"

#include "base/buf.h"
#include "schemas/json.h"
#include "services/kubelet/quantity.h"

/* "labels['a.b/c']" with prefix "labels" -> "a.b/c" in the arena. */
static const char *
subscript (struct arena *a, const char *path, const char *prefix)
{
  size_t n = strlen (prefix), len = strlen (path);
  if (strncmp (path, prefix, n) != 0 || strncmp (path + n, "['", 2) != 0 || len < n + 5 || strcmp (path + len - 2, "']") != 0)
    return NULL;
  return arena_strndup (a, path + n + 2, len - n - 4);
}

/* key="escaped value", a line each, sorted by key (fieldpath.FormatMap). */
static const char *
format_map (struct arena *a, const struct value *map)
{
  struct buf b AUTO_BUF = BUF_INIT;
  size_t n = value_count (map);
  const char **keys = arena_alloc (a, (n + 1) * sizeof *keys);
  if (!keys)
    return NULL;
  n = 0;
  for (value_each (map, m)) {
    size_t i = n++;
    for (; i > 0 && strcmp (keys[i - 1], m->key) > 0; i--)
      keys[i] = keys[i - 1];
    keys[i] = m->key;
  }
  for (size_t i = 0; i < n; i++) {
    const char *text = value_as_string (value_get (map, keys[i]), "");
    buf_printf (&b, "%s%s=", i ? "\n" : "", keys[i]);
    buf_append_byte (&b, '"');
    for (const char *p = text; *p; p++) {
      if (*p == '"' || *p == '\\')
        buf_append_byte (&b, '\\');
      if (*p == '\n')
        buf_append_str (&b, "\\n");
      else if (*p == '\t')
        buf_append_str (&b, "\\t");
      else
        buf_append_byte (&b, (uint8_t) *p);
    }
    buf_append_byte (&b, '"');
  }
  return b.failed ? NULL : arena_strdup (a, buf_cstr (&b));
}

static const char *
join (struct arena *a, const char *const *list, size_t n)
{
  return n == 0 ? "" : n == 1 ? list[0] : arena_printf (a, "%s,%s", list[0], list[1]);
}

int
downward_field (const struct value *pod, const char *path, const struct node_facts *node, const struct pod_ips *ips, struct arena *a,
                const char **ret, struct err *err)
{
  const char *text = NULL, *key;
  if (!strcmp (path, "metadata.name") || !strcmp (path, "metadata.namespace") || !strcmp (path, "metadata.uid") ||
      !strcmp (path, "spec.nodeName") || !strcmp (path, "spec.serviceAccountName"))
    text = value_path_string (pod, path, "");
  else if (!strcmp (path, "metadata.labels") || !strcmp (path, "metadata.annotations"))
    text = format_map (a, value_path (pod, path));
  else if (!strcmp (path, "status.hostIP"))
    text = node->n_host_ips ? node->host_ips[0] : "";
  else if (!strcmp (path, "status.hostIPs"))
    text = join (a, node->host_ips, node->n_host_ips);
  else if (!strcmp (path, "status.podIP"))
    text = ips->n ? ips->ips[0] : "";
  else if (!strcmp (path, "status.podIPs"))
    text = join (a, ips->ips, ips->n);
  else if ((key = subscript (a, path, "metadata.labels")))
    text = value_as_string (value_get (value_path (pod, "metadata.labels"), key), "");
  else if ((key = subscript (a, path, "metadata.annotations")))
    text = value_as_string (value_get (value_path (pod, "metadata.annotations"), key), "");
  if (!text)
    return a->failed ? err_set (err, ERR_NOMEM, "fieldPath") : err_set (err, ERR_INVALID, "unsupported fieldPath: %s", path);
  *ret = text;
  return 0;
}

int
downward_resource (const struct value *pod, const struct value *container, const struct value *ref, const struct node_facts *node,
                   struct arena *a, const char **ret, struct err *err)
{
  const char *name = value_path_string (ref, "containerName", ""), *resource = value_path_string (ref, "resource", "");
  const struct value *divisor = value_get (ref, "divisor"), *q;
  const char *key = strchr (resource, '.');
  bool limits = !strncmp (resource, "limits.", 7), cpu;
  int64_t n, by;
  static const char *const lists[] = {"spec.containers", "spec.initContainers"};
  for (size_t i = 0; *name && i < 2; i++)
    for (value_items (value_path (pod, lists[i]), it))
      if (!strcmp (value_path_string (*it, "name", ""), name))
        container = *it;
  if (!key || !container)
    return err_set (err, ERR_INVALID, "unsupported container resource: %s", resource);
  key++;
  cpu = !strcmp (key, "cpu");
  q = value_get (value_path (container, limits ? "resources.limits" : "resources.requests"), key);
  if (cpu) {
    n = q ? quantity_milli (q) : limits ? node->cpu_milli : 0;
    by = quantity_milli (divisor) > 0 ? quantity_milli (divisor) : 1000;
  } else {
    n = quantity_value (q);
    if (!q && limits)
      n = !strcmp (key, "memory") ? node->memory_bytes : node->ephemeral_bytes;
    by = quantity_value (divisor) > 0 ? quantity_value (divisor) : 1;
  }
  *ret = arena_printf (a, "%lld", (long long) ((n + by - 1) / by));
  return *ret ? 0 : err_set (err, ERR_NOMEM, "resourceFieldRef");
}
