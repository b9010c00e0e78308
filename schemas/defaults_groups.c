/* Computed defaults of the groups other than core. */
#include <ctype.h>

#include "schemas/defaults_internal.h"

/* ---- apps ---- */

static void
deployment_strategy (struct arena *a, struct value *v)
{
  default_string (a, v, "type", "RollingUpdate");
  if (strcmp (value_path_string (v, "type", ""), "RollingUpdate") == 0)
    value_ensure_map (a, v, "rollingUpdate");
}

static void
daemon_set_update_strategy (struct arena *a, struct value *v)
{
  default_string (a, v, "type", "RollingUpdate");
  if (strcmp (value_path_string (v, "type", ""), "RollingUpdate") == 0)
    value_ensure_map (a, v, "rollingUpdate");
}

static void
stateful_set_update_strategy (struct arena *a, struct value *v)
{
  default_string (a, v, "type", "RollingUpdate");
  if (strcmp (value_path_string (v, "type", ""), "RollingUpdate") == 0)
    default_int (a, value_ensure_map (a, v, "rollingUpdate"), "partition", 0);
}

static void
volume_claim_templates (struct arena *a, struct value *v)
{
  for (value_items (value_get (v, "volumeClaimTemplates"), it)) {
    if (!value_is (*it, VALUE_MAP))
      continue;
    default_string (a, *it, "apiVersion", "v1");
    default_string (a, *it, "kind", "PersistentVolumeClaim");
  }
}

/* ---- batch ---- */

static void
job (struct arena *a, struct value *v)
{
  struct value *spec = value_ensure_map (a, v, "spec");
  if (default_absent (spec, "completions") && default_absent (spec, "parallelism"))
    value_set_int (a, spec, "completions", 1);
  default_int (a, spec, "parallelism", 1);
  default_int (a, spec, "backoffLimit", default_absent (spec, "backoffLimitPerIndex") ? 6 : INT32_MAX);
  struct value *labels = value_path (spec, "template.metadata.labels");
  if (value_count (labels) > 0 && value_count (value_path (v, "metadata.labels")) == 0)
    value_set (a, value_ensure_map (a, v, "metadata"), "labels", value_clone (a, labels));
  default_string (a, spec, "completionMode", "NonIndexed");
  default_bool (a, spec, "suspend", false);
  default_string (a, spec, "podReplacementPolicy", default_absent (spec, "podFailurePolicy") ? "TerminatingOrFailed" : "Failed");
  default_bool (a, spec, "manualSelector", false);
}

/* ---- networking ---- */

static void
network_policy_types (struct arena *a, struct value *v)
{
  if (value_count (value_get (v, "policyTypes")) > 0)
    return;
  struct value *types = value_array (a);
  value_append (a, types, value_string (a, "Ingress"));
  if (value_count (value_get (v, "egress")) > 0)
    value_append (a, types, value_string (a, "Egress"));
  value_set (a, v, "policyTypes", types);
}

/* ---- autoscaling ---- */

static void
add_policy (struct arena *a, struct value *rules, const char *type, int64_t n)
{
  struct value *p = value_map (a);
  value_set_string (a, p, "type", type);
  value_set_int (a, p, "value", n);
  value_set_int (a, p, "periodSeconds", 15);
  value_append (a, value_ensure_array (a, rules, "policies"), p);
}

static void
hpa_behavior (struct arena *a, struct value *v)
{
  struct value *up = value_ensure_map (a, v, "scaleUp"), *down = value_ensure_map (a, v, "scaleDown");
  default_int (a, up, "stabilizationWindowSeconds", 0);
  default_string (a, up, "selectPolicy", "Max");
  if (default_absent (up, "policies")) {
    add_policy (a, up, "Pods", 4);
    add_policy (a, up, "Percent", 100);
  }
  default_string (a, down, "selectPolicy", "Max");
  if (default_absent (down, "policies"))
    add_policy (a, down, "Percent", 100);
}

static void
hpa_metrics (struct arena *a, struct value *v)
{
  if (value_count (value_get (v, "metrics")) > 0)
    return;
  struct value *metric = value_map (a), *metrics = value_array (a);
  value_set_string (a, metric, "type", "Resource");
  value_set_path (a, metric, "resource.name", value_string (a, "cpu"));
  value_set_path (a, metric, "resource.target.type", value_string (a, "Utilization"));
  value_set_path (a, metric, "resource.target.averageUtilization", value_int (a, 80));
  value_append (a, metrics, metric);
  value_set (a, v, "metrics", metrics);
}

/* ---- rbac ---- */

static void
rbac_subject (struct arena *a, struct value *v)
{
  const char *kind = value_path_string (v, "kind", "");
  if (strcmp (kind, "User") == 0 || strcmp (kind, "Group") == 0)
    default_string (a, v, "apiGroup", "rbac.authorization.k8s.io");
}

/* ---- apiextensions ---- */

static void
crd_names (struct arena *a, struct value *v)
{
  const char *kind = value_path_string (v, "kind", "");
  if (!kind[0])
    return;
  if (!value_path_string (v, "singular", "")[0]) {
    char *lower = arena_strdup (a, kind);
    for (char *p = lower; p && *p; p++)
      *p = (char) tolower ((unsigned char) *p);
    value_set_string (a, v, "singular", lower);
  }
  if (!value_path_string (v, "listKind", "")[0])
    value_set (a, v, "listKind", value_printf (a, "%sList", kind));
}

const struct type_defaults defaults_groups[] = {
  { "apiextensions.k8s.io/v1", "CustomResourceDefinitionNames", crd_names },
  { "apps/v1", "DaemonSetUpdateStrategy", daemon_set_update_strategy },
  { "apps/v1", "DeploymentStrategy", deployment_strategy },
  { "autoscaling/v2", "HorizontalPodAutoscalerBehavior", hpa_behavior },
  { "autoscaling/v2", "HorizontalPodAutoscalerSpec", hpa_metrics },
  { "batch/v1", "Job", job },
  { "networking.k8s.io/v1", "NetworkPolicySpec", network_policy_types },
  { "apps/v1", "StatefulSetSpec", volume_claim_templates },
  { "apps/v1", "StatefulSetUpdateStrategy", stateful_set_update_strategy },
  { "rbac.authorization.k8s.io/v1", "Subject", rbac_subject },
  { NULL, NULL, NULL },
};
