/* RBAC, policy, autoscaling, scheduling, node, admission registration, apiextensions. */
#include "schemas/validate_internal.h"

/* ---- RBAC ---- */

static const char rbac_group[] = "rbac.authorization.k8s.io";

static void
policy_rule (struct validation *v, vpath_t at, const struct value *rule)
{
  const struct value *urls = value_get (rule, "nonResourceURLs");
  size_t groups = value_count (value_get (rule, "apiGroups")), resources = value_count (value_get (rule, "resources"));
  if (value_count (value_get (rule, "verbs")) == 0)
    v_required (v, CHILD (at, "verbs"), "verbs must contain at least one value");
  if (value_count (urls) > 0) {
    if (v->kind->namespaced)
      v_invalid (v, CHILD (at, "nonResourceURLs"), urls, "namespaced rules cannot apply to non-resource URLs");
    if (groups + resources + value_count (value_get (rule, "resourceNames")) > 0)
      v_invalid (v, CHILD (at, "nonResourceURLs"), urls, "rules cannot apply to both regular resources and non-resource URLs");
    return;
  }
  if (groups == 0)
    v_required (v, CHILD (at, "apiGroups"), "resource rules must supply at least one api group");
  if (resources == 0)
    v_required (v, CHILD (at, "resources"), "resource rules must supply at least one resource");
}

void
validate_role (struct validation *v)
{
  const struct value *rules = value_get (v->obj, "rules"), *selectors = value_path (v->obj, "aggregationRule.clusterRoleSelectors");
  vpath_t at = CHILD (CHILD (NULL, "aggregationRule"), "clusterRoleSelectors");
  for (size_t i = 0; i < value_count (rules); i++)
    policy_rule (v, INDEX (CHILD (NULL, "rules"), i), value_at (rules, i));
  if (v_has (v->obj, "aggregationRule") && value_count (selectors) == 0)
    v_required (v, at, "at least one clusterRoleSelector required if aggregationRule is non-nil");
  for (size_t i = 0; i < value_count (selectors); i++)
    v_label_selector (v, INDEX (at, i), value_at (selectors, i));
}

static void
binding_subject (struct validation *v, vpath_t at, const struct value *s)
{
  const char *kind = v_string (s, "kind"), *group = v_string (s, "apiGroup"), *name = v_string (s, "name");
  if (!name[0])
    v_required (v, CHILD (at, "name"), NULL);
  if (strcmp (kind, "ServiceAccount") == 0) {
    if (name[0])
      v_check_name (v, CHILD (at, "name"), name, name_dns1123_subdomain);
    if (group[0])
      v_not_supported (v, CHILD (at, "apiGroup"), group, LIST (""));
    if (!v->kind->namespaced && !v_string (s, "namespace")[0])
      v_required (v, CHILD (at, "namespace"), NULL);
  } else if (!v_in (kind, LIST ("User", "Group")))
    v_not_supported (v, CHILD (at, "kind"), kind, LIST ("ServiceAccount", "User", "Group"));
  else if (strcmp (group, rbac_group) != 0)
    v_not_supported (v, CHILD (at, "apiGroup"), group, LIST (rbac_group));
}

void
validate_role_binding (struct validation *v)
{
  const struct value *ref = value_get (v->obj, "roleRef"), *subjects = value_get (v->obj, "subjects");
  const char *const *kinds = v->kind->namespaced ? LIST ("Role", "ClusterRole") : LIST ("ClusterRole");
  vpath_t at = CHILD (NULL, "roleRef");
  if (strcmp (v_string (ref, "apiGroup"), rbac_group) != 0)
    v_not_supported (v, CHILD (at, "apiGroup"), v_string (ref, "apiGroup"), LIST (rbac_group));
  if (!v_in (v_string (ref, "kind"), kinds))
    v_not_supported (v, CHILD (at, "kind"), v_string (ref, "kind"), kinds);
  if (!v_string (ref, "name")[0])
    v_required (v, CHILD (at, "name"), NULL);
  else
    v_check_name (v, CHILD (at, "name"), v_string (ref, "name"), name_path_segment);
  for (size_t i = 0; i < value_count (subjects); i++)
    binding_subject (v, INDEX (CHILD (NULL, "subjects"), i), value_at (subjects, i));
  if (v->old && !v_same (ref, value_get (v->old, "roleRef")))
    v_invalid (v, at, ref, "cannot change roleRef");
}

/* ---- policy, autoscaling, scheduling, node ---- */

void
validate_pod_disruption_budget (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec");
  const char *eviction = v_string (spec, "unhealthyPodEvictionPolicy");
  vpath_t at = CHILD (NULL, "spec");
  if (v_has (spec, "minAvailable") && v_has (spec, "maxUnavailable"))
    v_invalid (v, at, spec, "minAvailable and maxUnavailable cannot be both set");
  for (const char *const *f = LIST ("minAvailable", "maxUnavailable"); *f; f++)
    if (v_has (spec, *f))
      v_int_or_percent (v, CHILD (at, *f), value_get (spec, *f), true);
  v_label_selector (v, CHILD (at, "selector"), value_get (spec, "selector"));
  if (eviction[0] && !v_in (eviction, LIST ("IfHealthyBudget", "AlwaysAllow")))
    v_not_supported (v, CHILD (at, "unhealthyPodEvictionPolicy"), eviction, LIST ("AlwaysAllow", "IfHealthyBudget"));
}

static void
scaling_rules (struct validation *v, vpath_t at, const struct value *rules)
{
  const struct value *policies = value_get (rules, "policies");
  if (value_is_null (rules))
    return;
  if (v_int (rules, "stabilizationWindowSeconds") < 0)
    v_invalid_int (v, CHILD (at, "stabilizationWindowSeconds"), v_int (rules, "stabilizationWindowSeconds"), "must be greater than or equal to zero");
  if (v_int (rules, "stabilizationWindowSeconds") > 3600)
    v_invalid_int (v, CHILD (at, "stabilizationWindowSeconds"), v_int (rules, "stabilizationWindowSeconds"), "must be less than or equal to 3600");
  if (value_count (policies) == 0)
    v_required (v, CHILD (at, "policies"), "must specify at least one Policy");
  for (size_t i = 0; i < value_count (policies); i++) {
    const struct value *p = value_at (policies, i);
    vpath_t here = INDEX (CHILD (at, "policies"), i);
    if (!v_in (v_string (p, "type"), LIST ("Percent", "Pods")))
      v_not_supported (v, CHILD (here, "type"), v_string (p, "type"), LIST ("Percent", "Pods"));
    for (const char *const *f = LIST ("value", "periodSeconds"); *f; f++)
      if (v_int (p, *f) <= 0)
        v_invalid_int (v, CHILD (here, *f), v_int (p, *f), "must be greater than zero");
    if (v_int (p, "periodSeconds") > 1800)
      v_invalid_int (v, CHILD (here, "periodSeconds"), v_int (p, "periodSeconds"), "must be less than or equal to 1800");
  }
}

static void
check_metrics (struct validation *v, vpath_t at, const struct value *metrics)
{
  static const char *const types[] = { "ContainerResource", "External", "Object", "Pods", "Resource", NULL };
  static const char *const fields[] = { "containerResource", "external", "object", "pods", "resource", NULL };
  for (size_t i = 0; i < value_count (metrics); i++) {
    const struct value *m = value_at (metrics, i);
    const char *type = v_string (m, "type");
    vpath_t here = INDEX (at, i);
    if (!type[0])
      v_required (v, CHILD (here, "type"), "must specify a metric source type");
    if (!v_in (type, types))
      v_not_supported (v, CHILD (here, "type"), type, types);
    for (size_t t = 0; types[t]; t++)
      if (strcmp (type, types[t]) == 0 && !v_has (m, fields[t]))
        v_required (v, CHILD (here, fields[t]), "must populate information for the given metric source");
      else if (strcmp (type, types[t]) != 0 && v_has (m, fields[t]))
        v_forbidden (v, CHILD (here, fields[t]), "must populate the given metric source only");
  }
}

void
validate_hpa (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *target = value_get (spec, "scaleTargetRef");
  int64_t low = v_int (spec, "minReplicas"), high = v_int (spec, "maxReplicas");
  vpath_t at = CHILD (NULL, "spec");
  if (v_has (spec, "minReplicas") && low < 1)
    v_invalid_int (v, CHILD (at, "minReplicas"), low, "must be greater than or equal to 1");
  if (high < 1)
    v_invalid_int (v, CHILD (at, "maxReplicas"), high, "must be greater than 0");
  if (high < low)
    v_invalid_int (v, CHILD (at, "maxReplicas"), high, "must be greater than or equal to `minReplicas`");
  for (const char *const *f = LIST ("kind", "name"); *f; f++)
    if (!v_string (target, *f)[0])
      v_required (v, CHILD (CHILD (at, "scaleTargetRef"), *f), NULL);
    else
      v_check_name (v, CHILD (CHILD (at, "scaleTargetRef"), *f), v_string (target, *f), name_path_segment);
  check_metrics (v, CHILD (at, "metrics"), value_get (spec, "metrics"));
  for (const char *const *f = LIST ("scaleUp", "scaleDown"); *f; f++)
    scaling_rules (v, CHILD (CHILD (at, "behavior"), *f), value_get (value_get (spec, "behavior"), *f));
}

void
validate_scale (struct validation *v)
{
  v_nonnegative (v, CHILD (CHILD (NULL, "spec"), "replicas"), value_path (v->obj, "spec.replicas"));
}

void
validate_priority_class (struct validation *v)
{
  const char *name = value_path_string (v->obj, "metadata.name", ""), *policy = v_string (v->obj, "preemptionPolicy");
  int64_t value = v_int (v->obj, "value");
  bool known = (strcmp (name, "system-node-critical") == 0 && value == 2000001000) || (strcmp (name, "system-cluster-critical") == 0 && value == 2000000000);
  if (strncmp (name, "system-", 7) == 0 && !known)
    v_forbidden (v, CHILD (CHILD (NULL, "metadata"), "name"),
                 "priority class names with 'system-' prefix are reserved for system use only. error: not a known system priority class");
  else if (!known && value > 1000000000)
    v_forbidden (v, CHILD (NULL, "value"), "maximum allowed value of a user defined priority is 1000000000");
  if (policy[0] && !v_in (policy, LIST ("PreemptLowerPriority", "Never")))
    v_not_supported (v, CHILD (NULL, "preemptionPolicy"), policy, LIST ("PreemptLowerPriority", "Never"));
  if (v->old && value != v_int (v->old, "value"))
    v_forbidden (v, CHILD (NULL, "value"), "may not be changed in an update.");
  if (v->old)
    v_immutable (v, CHILD (NULL, "preemptionPolicy"), value_get (v->obj, "preemptionPolicy"), value_get (v->old, "preemptionPolicy"));
}

void
validate_runtime_class (struct validation *v)
{
  v_check_name (v, CHILD (NULL, "handler"), v_string (v->obj, "handler"), name_dns1123_label);
  v_quantity_map (v, CHILD (CHILD (NULL, "overhead"), "podFixed"), value_path (v->obj, "overhead.podFixed"));
  v_labels (v, CHILD (CHILD (NULL, "scheduling"), "nodeSelector"), value_path (v->obj, "scheduling.nodeSelector"));
  v_tolerations (v, CHILD (CHILD (NULL, "scheduling"), "tolerations"), value_path (v->obj, "scheduling.tolerations"));
  if (v->old)
    v_immutable (v, CHILD (NULL, "handler"), value_get (v->obj, "handler"), value_get (v->old, "handler"));
}

/* ---- admission webhooks ---- */

static void
webhook_rule (struct validation *v, vpath_t at, const struct value *rule)
{
  static const char *const operations[] = { "*", "CONNECT", "CREATE", "DELETE", "UPDATE", NULL }, *const scopes[] = { "*", "Cluster", "Namespaced", NULL };
  const struct value *list = value_get (rule, "operations");
  for (const char *const *f = LIST ("operations", "apiGroups", "apiVersions", "resources"); *f; f++)
    if (value_count (value_get (rule, *f)) == 0)
      v_required (v, CHILD (at, *f), NULL);
  for (size_t i = 0; i < value_count (list); i++)
    if (!v_in (value_as_string (value_at (list, i), ""), operations))
      v_not_supported (v, INDEX (CHILD (at, "operations"), i), value_as_string (value_at (list, i), ""), operations);
  if (v_has (rule, "scope") && !v_in (v_string (rule, "scope"), scopes))
    v_not_supported (v, CHILD (at, "scope"), v_string (rule, "scope"), scopes);
}

static void
webhook_choices (struct validation *v, vpath_t at, const struct value *hook)
{
  static const char *const failures[] = { "Fail", "Ignore", NULL }, *const matches[] = { "Equivalent", "Exact", NULL };
  static const char *const effects[] = { "None", "NoneOnDryRun", NULL };
  const char *effect = v_string (hook, "sideEffects");
  if (v_has (hook, "failurePolicy") && !v_in (v_string (hook, "failurePolicy"), failures))
    v_not_supported (v, CHILD (at, "failurePolicy"), v_string (hook, "failurePolicy"), failures);
  if (v_has (hook, "matchPolicy") && !v_in (v_string (hook, "matchPolicy"), matches))
    v_not_supported (v, CHILD (at, "matchPolicy"), v_string (hook, "matchPolicy"), matches);
  if (!effect[0])
    v_required (v, CHILD (at, "sideEffects"), "must specify one of None, NoneOnDryRun");
  else if (!v_in (effect, effects))
    v_not_supported (v, CHILD (at, "sideEffects"), effect, effects);
  if (v_has (hook, "timeoutSeconds") && (v_int (hook, "timeoutSeconds") < 1 || v_int (hook, "timeoutSeconds") > 30))
    v_invalid_int (v, CHILD (at, "timeoutSeconds"), v_int (hook, "timeoutSeconds"), "the timeout value must be between 1 and 30 seconds");
}

static void
webhook_client (struct validation *v, vpath_t at, const struct value *config)
{
  const struct value *service = value_get (config, "service");
  const char *url = v_string (config, "url");
  if (v_has (config, "url") == !value_is_null (service))
    v_required (v, at, "exactly one of url or service is required");
  else if (v_has (config, "url") && strncmp (url, "https://", 8) != 0)
    v_invalid_string (v, CHILD (at, "url"), url, "'https' is the only allowed URL scheme; desired format: https://host[/path]");
  else if (service)
    for (const char *const *f = LIST ("name", "namespace"); *f; f++)
      if (!v_string (service, *f)[0])
        v_required (v, CHILD (CHILD (at, "service"), *f), strcmp (*f, "name") == 0 ? "service name is required" : "service namespace is required");
}

void
validate_webhooks (struct validation *v)
{
  const struct value *hooks = value_get (v->obj, "webhooks");
  for (size_t i = 0; i < value_count (hooks); i++) {
    const struct value *h = value_at (hooks, i), *rules = value_get (h, "rules"), *versions = value_get (h, "admissionReviewVersions");
    const char *name = v_string (h, "name"), *dot = strchr (name, '.');
    vpath_t at = INDEX (CHILD (NULL, "webhooks"), i);
    if (!name[0])
      v_required (v, CHILD (at, "name"), NULL);
    else if (name_dns1123_subdomain (name))
      v_check_name (v, CHILD (at, "name"), name, name_dns1123_subdomain);
    else if (!dot || !strchr (dot + 1, '.'))
      v_invalid_string (v, CHILD (at, "name"), name, "should be a domain with at least three segments separated by dots");
    if (name[0] && v_seen (hooks, i, "name", name))
      v_duplicate (v, CHILD (at, "name"), name);
    for (size_t r = 0; r < value_count (rules); r++)
      webhook_rule (v, INDEX (CHILD (at, "rules"), r), value_at (rules, r));
    webhook_choices (v, at, h);
    v_label_selector (v, CHILD (at, "namespaceSelector"), value_get (h, "namespaceSelector"));
    v_label_selector (v, CHILD (at, "objectSelector"), value_get (h, "objectSelector"));
    webhook_client (v, CHILD (at, "clientConfig"), value_get (h, "clientConfig"));
    bool accepted = false;
    for (value_items (versions, it))
      accepted |= v_in (value_as_string (*it, ""), LIST ("v1", "v1beta1"));
    if (value_count (versions) == 0)
      v_required (v, CHILD (at, "admissionReviewVersions"), "must specify one of v1, v1beta1");
    else if (!accepted)
      v_invalid (v, CHILD (at, "admissionReviewVersions"), versions, "must include at least one of v1, v1beta1");
  }
}

/* ---- CustomResourceDefinition ---- */

static void
crd_names (struct validation *v, vpath_t at, const struct value *spec)
{
  const struct value *names = value_get (spec, "names");
  for (const char *const *f = LIST ("plural", "singular", "kind", "listKind"); *f; f++) {
    const char *s = v_string (names, *f);
    char *lower = arena_strdup (v->causes->arena, s);
    for (char *p = lower; p && *p; p++)
      if (*p >= 'A' && *p <= 'Z')
        *p = (char) (*p + 'a' - 'A');
    if (!s[0])
      v_required (v, CHILD (at, *f), NULL);
    else if (lower)
      v_check (v, CHILD (at, *f), s, name_dns1035_label (v_in (*f, LIST ("plural", "singular")) ? s : lower));
  }
}

static void
crd_versions (struct validation *v, vpath_t at, const struct value *versions)
{
  size_t storage = 0;
  for (size_t i = 0; i < value_count (versions); i++) {
    const struct value *version = value_at (versions, i), *schema = value_path (version, "schema.openAPIV3Schema");
    vpath_t here = INDEX (at, i);
    const char *name = v_string (version, "name");
    storage += value_path_bool (version, "storage", false);
    v_check_name (v, CHILD (here, "name"), name, name_dns1035_label);
    if (v_seen (versions, i, "name", name))
      v_invalid (v, at, versions, "must contain unique version names");
    if (value_is_null (schema))
      v_required (v, CHILD (CHILD (here, "schema"), "openAPIV3Schema"), "schemas are required");
    else if (strcmp (v_string (schema, "type"), "object") != 0)
      v_invalid_string (v, CHILD (CHILD (CHILD (here, "schema"), "openAPIV3Schema"), "type"), v_string (schema, "type"), "must be object at the root");
  }
  if (storage != 1)
    v_invalid (v, at, versions, "must have exactly one version marked as storage version");
}

void
validate_crd (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec");
  const char *group = v_string (spec, "group"), *name = value_path_string (v->obj, "metadata.name", "");
  vpath_t at = CHILD (NULL, "spec");
  AUTO_BUF struct buf want = BUF_INIT;
  buf_printf (&want, "%s.%s", value_path_string (spec, "names.plural", ""), group);
  if (strcmp (name, buf_cstr (&want)) != 0)
    v_invalid_string (v, CHILD (CHILD (NULL, "metadata"), "name"), name, "must be spec.names.plural+\".\"+spec.group");
  if (!group[0])
    v_required (v, CHILD (at, "group"), NULL);
  else if (name_dns1123_subdomain (group))
    v_check_name (v, CHILD (at, "group"), group, name_dns1123_subdomain);
  else if (!strchr (group, '.'))
    v_invalid_string (v, CHILD (at, "group"), group, "should be a domain with at least one dot");
  v_one_of (v, CHILD (at, "scope"), v_string (spec, "scope"), LIST ("Cluster", "Namespaced"));
  crd_names (v, CHILD (at, "names"), spec);
  crd_versions (v, CHILD (at, "versions"), value_get (spec, "versions"));
  const char *strategy = value_path_string (spec, "conversion.strategy", "");
  if (!v_in (strategy, LIST ("None", "Webhook")))
    v_not_supported (v, CHILD (CHILD (at, "conversion"), "strategy"), strategy, LIST ("None", "Webhook"));
  if (!v->old)
    return;
  v_immutable (v, CHILD (at, "group"), value_get (spec, "group"), value_path (v->old, "spec.group"));
  v_immutable (v, CHILD (at, "scope"), value_get (spec, "scope"), value_path (v->old, "spec.scope"));
  v_immutable (v, CHILD (CHILD (at, "names"), "plural"), value_path (spec, "names.plural"), value_path (v->old, "spec.names.plural"));
  v_immutable (v, CHILD (CHILD (at, "names"), "kind"), value_path (spec, "names.kind"), value_path (v->old, "spec.names.kind"));
}
