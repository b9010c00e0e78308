#include "services/apiserver/status.h"
#include "services/apiserver/strategy.h"

/* Guaranteed: every container limits cpu and memory and requests the same; BestEffort: nobody asks for either; else Burstable
   (v1/helper/qos.ComputePodQOS). */
static const char *
qos_class (const struct value *pod)
{
  static const char *const lists[] = { "spec.containers", "spec.initContainers" };
  static const char *const names[] = { "cpu", "memory" };
  bool any = false, guaranteed = true;
  for (size_t l = 0; l < 2; l++)
    for (value_items (value_path (pod, lists[l]), it)) {
      const struct value *limits = value_path (*it, "resources.limits"), *requests = value_path (*it, "resources.requests");
      for (size_t i = 0; i < 2; i++) {
        int64_t limit = quantity_of (value_get (limits, names[i]), true), request = quantity_of (value_get (requests, names[i]), true);
        any = any || limit > 0 || request > 0;
        guaranteed = guaranteed && limit > 0 && (request == 0 || request == limit);
      }
    }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

bool
strategy_pod_create (struct registry_op *op, struct value *obj)
{
  struct arena *a = &op->rq->arena;
  struct value *status = value_ensure_map (a, obj, "status");
  value_set_string (a, status, "phase", "Pending");
  value_set_string (a, status, "qosClass", qos_class (obj));
  if (value_count (value_path (obj, "spec.schedulingGates"))) {
    struct value *c = value_map (a);
    value_set_string (a, c, "type", "PodScheduled");
    value_set_string (a, c, "status", "False");
    value_set (a, c, "lastProbeTime", value_null (a));
    value_set (a, c, "lastTransitionTime", value_null (a));
    value_set_string (a, c, "reason", "SchedulingGated");
    value_set_string (a, c, "message", "Scheduling is blocked due to non-empty scheduling gates");
    value_append (a, value_ensure_array (a, status, "conditions"), c);
  }
  return true;
}

bool
strategy_pod_update (struct registry_op *op, struct value *live, struct value *obj, const char *subresource)
{
  struct arena *a = &op->rq->arena;
  const char *qos = value_path_string (live, "status.qosClass", "");
  if (strcmp (subresource, "status") == 0 && *qos && !*value_path_string (obj, "status.qosClass", ""))
    value_set_string (a, value_ensure_map (a, obj, "status"), "qosClass", qos); /* set once, at creation */
  return true;
}

int64_t
strategy_pod_grace_s (const struct value *live)
{
  const char *phase = value_path_string (live, "status.phase", "");
  if (!*value_path_string (live, "spec.nodeName", "") || strcmp (phase, "Succeeded") == 0 || strcmp (phase, "Failed") == 0)
    return 0; /* nobody runs it: nothing to wait for */
  return value_path_int (live, "spec.terminationGracePeriodSeconds", 30);
}
