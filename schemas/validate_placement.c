/* Where a pod may go: node selectors, affinity, tolerations, taints, topology spread. */
#include "schemas/validate_internal.h"

static void
selector_expression (struct validation *v, vpath_t at, const struct value *r)
{
  const char *op = v_string (r, "operator");
  size_t n = value_count (value_get (r, "values"));
  if (v_in (op, LIST ("In", "NotIn"))) {
    if (n == 0)
      v_required (v, CHILD (at, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
  } else if (v_in (op, LIST ("Exists", "DoesNotExist"))) {
    if (n > 0)
      v_forbidden (v, CHILD (at, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  } else if (v_in (op, LIST ("Gt", "Lt"))) {
    if (n != 1)
      v_required (v, CHILD (at, "values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
  } else
    v_invalid_string (v, CHILD (at, "operator"), op, "not a valid selector operator");
  v_check_name (v, CHILD (at, "key"), v_string (r, "key"), name_qualified);
}

static void
selector_field (struct validation *v, vpath_t at, const struct value *r)
{
  const char *op = v_string (r, "operator"), *key = v_string (r, "key");
  const struct value *values = value_get (r, "values");
  if (!v_in (op, LIST ("In", "NotIn")))
    v_invalid_string (v, CHILD (at, "operator"), op, "not a valid selector operator");
  else if (value_count (values) != 1)
    v_required (v, CHILD (at, "values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
  if (strcmp (key, "metadata.name") != 0)
    v_invalid_string (v, CHILD (at, "key"), key, "not a valid field selector key");
  else
    for (size_t i = 0; i < value_count (values); i++)
      v_check_name (v, INDEX (CHILD (at, "values"), i), value_as_string (value_at (values, i), ""), name_dns1123_subdomain);
}

static void
selector_term (struct validation *v, vpath_t at, const struct value *term)
{
  const struct value *expressions = value_get (term, "matchExpressions"), *fields = value_get (term, "matchFields");
  for (size_t i = 0; i < value_count (expressions); i++)
    selector_expression (v, INDEX (CHILD (at, "matchExpressions"), i), value_at (expressions, i));
  for (size_t i = 0; i < value_count (fields); i++)
    selector_field (v, INDEX (CHILD (at, "matchFields"), i), value_at (fields, i));
}

void
v_node_selector (struct validation *v, vpath_t at, const struct value *selector)
{
  const struct value *terms = value_get (selector, "nodeSelectorTerms");
  if (value_count (terms) == 0)
    v_required (v, CHILD (at, "nodeSelectorTerms"), "must have at least one node selector term");
  for (size_t i = 0; i < value_count (terms); i++)
    selector_term (v, INDEX (CHILD (at, "nodeSelectorTerms"), i), value_at (terms, i));
}

static void
check_weight (struct validation *v, vpath_t at, const struct value *term)
{
  if (v_int (term, "weight") < 1 || v_int (term, "weight") > 100)
    v_invalid_int (v, CHILD (at, "weight"), v_int (term, "weight"), "must be in the range 1-100");
}

static void
pod_term (struct validation *v, vpath_t at, const struct value *term)
{
  const char *key = v_string (term, "topologyKey");
  v_label_selector (v, CHILD (at, "labelSelector"), value_get (term, "labelSelector"));
  v_label_selector (v, CHILD (at, "namespaceSelector"), value_get (term, "namespaceSelector"));
  for (value_items (value_get (term, "namespaces"), it))
    v_check_name (v, CHILD (at, "namespace"), value_as_string (*it, ""), name_dns1123_label);
  if (!key[0])
    v_required (v, CHILD (at, "topologyKey"), "can not be empty");
  v_check_name (v, CHILD (at, "topologyKey"), key, name_qualified);
}

static const char required_terms[] = "requiredDuringSchedulingIgnoredDuringExecution";
static const char preferred_terms[] = "preferredDuringSchedulingIgnoredDuringExecution";

static void
pod_affinity (struct validation *v, vpath_t at, const struct value *affinity)
{
  const struct value *must = value_get (affinity, required_terms), *may = value_get (affinity, preferred_terms);
  for (size_t i = 0; i < value_count (must); i++)
    pod_term (v, INDEX (CHILD (at, required_terms), i), value_at (must, i));
  for (size_t i = 0; i < value_count (may); i++) {
    vpath_t here = INDEX (CHILD (at, preferred_terms), i);
    check_weight (v, here, value_at (may, i));
    pod_term (v, CHILD (here, "podAffinityTerm"), value_get (value_at (may, i), "podAffinityTerm"));
  }
}

void
v_affinity (struct validation *v, vpath_t at, const struct value *affinity)
{
  const struct value *node = value_get (affinity, "nodeAffinity"), *may = value_get (node, preferred_terms);
  if (v_has (node, required_terms))
    v_node_selector (v, CHILD (CHILD (at, "nodeAffinity"), required_terms), value_get (node, required_terms));
  for (size_t i = 0; i < value_count (may); i++) {
    vpath_t here = INDEX (CHILD (CHILD (at, "nodeAffinity"), preferred_terms), i);
    check_weight (v, here, value_at (may, i));
    selector_term (v, CHILD (here, "preference"), value_get (value_at (may, i), "preference"));
  }
  pod_affinity (v, CHILD (at, "podAffinity"), value_get (affinity, "podAffinity"));
  pod_affinity (v, CHILD (at, "podAntiAffinity"), value_get (affinity, "podAntiAffinity"));
}

void
v_taint_effect (struct validation *v, vpath_t at, const char *effect, bool required)
{
  static const char *const effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute", NULL };
  if (required || effect[0])
    v_one_of (v, at, effect, effects);
}

void
v_tolerations (struct validation *v, vpath_t at, const struct value *tolerations)
{
  for (size_t i = 0; i < value_count (tolerations); i++) {
    const struct value *t = value_at (tolerations, i);
    const char *key = v_string (t, "key"), *op = v_string (t, "operator"), *value = v_string (t, "value"), *effect = v_string (t, "effect");
    vpath_t here = INDEX (at, i);
    if (key[0])
      v_check_name (v, CHILD (here, "key"), key, name_qualified);
    else if (strcmp (op, "Exists") != 0)
      v_invalid_string (v, CHILD (here, "operator"), op,
                        "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    if (v_has (t, "tolerationSeconds") && strcmp (effect, "NoExecute") != 0)
      v_invalid_string (v, CHILD (here, "effect"), effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (!op[0] || strcmp (op, "Equal") == 0)
      v_check_name (v, CHILD (here, "operator"), value, name_label_value);
    else if (strcmp (op, "Exists") != 0)
      v_not_supported (v, CHILD (here, "operator"), op, LIST ("Equal", "Exists"));
    else if (value[0])
      v_invalid_string (v, CHILD (here, "operator"), value, "value must be empty when `operator` is 'Exists'");
    v_taint_effect (v, CHILD (here, "effect"), effect, false);
  }
}

void
v_topology_spread (struct validation *v, vpath_t at, const struct value *constraints)
{
  static const char *const actions[] = { "DoNotSchedule", "ScheduleAnyway", NULL };
  for (size_t i = 0; i < value_count (constraints); i++) {
    const struct value *c = value_at (constraints, i);
    const char *key = v_string (c, "topologyKey"), *action = v_string (c, "whenUnsatisfiable");
    vpath_t here = INDEX (at, i);
    if (v_int (c, "maxSkew") <= 0)
      v_invalid_int (v, CHILD (here, "maxSkew"), v_int (c, "maxSkew"), "must be greater than zero");
    if (!key[0])
      v_required (v, CHILD (here, "topologyKey"), "can not be empty");
    else
      v_check_name (v, CHILD (here, "topologyKey"), key, name_qualified);
    if (!v_in (action, actions))
      v_not_supported (v, CHILD (here, "whenUnsatisfiable"), action, actions);
    for (size_t j = i + 1; j < value_count (constraints) && j < i + 100; j++)
      if (strcmp (key, v_string (value_at (constraints, j), "topologyKey")) == 0
          && strcmp (action, v_string (value_at (constraints, j), "whenUnsatisfiable")) == 0) {
        char text[512];
        snprintf (text, sizeof text, "{%s, %s}", key, action);
        v_duplicate (v, CHILD (here, "{topologyKey, whenUnsatisfiable}"), text);
        break;
      }
    v_label_selector (v, CHILD (here, "labelSelector"), value_get (c, "labelSelector"));
  }
}
