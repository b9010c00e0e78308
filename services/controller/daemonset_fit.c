#include "schemas/machinery.h"
#include "services/controller/daemonset_decide.h"
#include "services/controller/meta.h"

/* What upstream adds to every pod of a daemon set. */
static const struct {
  const char *key, *effect;
  bool host_network_only;
} tolerated[] = {
  { "node.kubernetes.io/not-ready", "NoExecute", false },         { "node.kubernetes.io/unreachable", "NoExecute", false },
  { "node.kubernetes.io/disk-pressure", "NoSchedule", false },    { "node.kubernetes.io/memory-pressure", "NoSchedule", false },
  { "node.kubernetes.io/pid-pressure", "NoSchedule", false },     { "node.kubernetes.io/unschedulable", "NoSchedule", false },
  { "node.kubernetes.io/network-unavailable", "NoSchedule", true },
};

void
daemonset_add_tolerations (struct arena *a, struct value *spec)
{
  struct value *list = value_ensure_array (a, spec, "tolerations");
  for (size_t i = 0; i < sizeof tolerated / sizeof *tolerated; i++)
    {
      if (tolerated[i].host_network_only && !value_path_bool (spec, "hostNetwork", false))
        continue;
      struct value *t = value_map (a);
      value_set_string (a, t, "key", tolerated[i].key);
      value_set_string (a, t, "operator", "Exists");
      value_set_string (a, t, "effect", tolerated[i].effect);
      bool there = false;
      for (value_items (list, it))
        there |= value_equal (*it, t);
      if (!there)
        value_append (a, list, t);
    }
}

static bool
tolerates (const struct value *t, const struct value *taint)
{
  const char *effect = value_path_string (t, "effect", ""), *key = value_path_string (t, "key", "");
  if ((*effect && !value_string_is (value_get (taint, "effect"), effect)) || (*key && !value_string_is (value_get (taint, "key"), key)))
    return false;
  if (strcmp (value_path_string (t, "operator", "Equal"), "Exists") == 0)
    return true;
  return *key && strcmp (value_path_string (t, "value", ""), value_path_string (taint, "value", "")) == 0;
}

static bool
in_list (const struct value *list, const char *text)
{
  for (value_items (list, it))
    if (value_string_is (*it, text))
      return true;
  return false;
}

static bool
requirement_holds (const struct value *r, const char *have /* NULL: absent */)
{
  const char *op = value_path_string (r, "operator", "");
  const struct value *values = value_get (r, "values");
  if (strcmp (op, "In") == 0)
    return have && in_list (values, have);
  if (strcmp (op, "NotIn") == 0)
    return !have || !in_list (values, have);
  if (strcmp (op, "Exists") == 0)
    return have != NULL;
  if (strcmp (op, "DoesNotExist") == 0)
    return have == NULL;
  char *end;
  if (!have)
    return false;
  long long x = strtoll (have, &end, 10), y = strtoll (value_as_string (value_at (values, 0), "0"), NULL, 10);
  return end != have && *end == '\0' && (strcmp (op, "Gt") == 0 ? x > y : strcmp (op, "Lt") == 0 && x < y);
}

static bool
term_holds (const struct value *term, const struct value *node)
{
  const struct value *labels = value_path (node, "metadata.labels");
  const struct value *expressions = value_get (term, "matchExpressions"), *fields = value_get (term, "matchFields");
  if (!value_count (expressions) && !value_count (fields))
    return false; /* an empty term selects nothing */
  for (value_items (expressions, it))
    if (!requirement_holds (*it, value_as_string (value_get (labels, value_path_string (*it, "key", "")), NULL)))
      return false;
  for (value_items (fields, it))
    if (!requirement_holds (*it, strcmp (value_path_string (*it, "key", ""), "metadata.name") == 0 ? meta_name (node) : NULL))
      return false;
  return true;
}

void
daemonset_fits (const struct value *ds, const struct value *node, bool *ret_run, bool *ret_continue)
{
  struct arena a AUTO_ARENA = {0};
  arena_init (&a, 1u << 20);
  *ret_run = *ret_continue = false;
  struct value *spec = value_clone (&a, value_path (ds, "spec.template.spec"));
  daemonset_add_tolerations (&a, spec);
  const char *name = value_path_string (spec, "nodeName", "");
  if (*name && strcmp (name, meta_name (node)) != 0)
    return;
  for (value_each (value_get (spec, "nodeSelector"), m))
    if (!value_equal (value_get (value_path (node, "metadata.labels"), m->key), m->value))
      return;
  const struct value *required = value_path (spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
  if (required)
    {
      bool any = false;
      for (value_items (value_get (required, "nodeSelectorTerms"), it))
        any |= term_holds (*it, node);
      if (!any)
        return;
    }
  bool run = true, go_on = true;
  for (value_items (value_path (node, "spec.taints"), taint))
    {
      const char *effect = value_path_string (*taint, "effect", "");
      bool ok = strcmp (effect, "PreferNoSchedule") == 0;
      for (value_items (value_get (spec, "tolerations"), it))
        ok |= tolerates (*it, *taint);
      run &= ok;
      go_on &= ok || strcmp (effect, "NoExecute") != 0;
    }
  *ret_run = run;
  *ret_continue = go_on;
}
