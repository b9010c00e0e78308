#include "services/controller/node_decide.h"

#include "services/controller/meta.h"

#define COMPONENT "taint-eviction-controller"

static int64_t
last_heard (const struct node_input *in)
{
  static const char *const types[] = { "Ready", "MemoryPressure", "DiskPressure", "PIDPressure" };
  int64_t t = meta_time (in->lease, "spec.renewTime", 0), created = meta_time (in->node, "metadata.creationTimestamp", 0);
  t = created > t ? created : t;
  for (size_t i = 0; i < 4; i++)
    {
      int64_t beat = meta_time (meta_condition (in->node, types[i]), "lastHeartbeatTime", 0);
      t = beat > t ? beat : t;
    }
  return t;
}

/* The node's conditions when nothing was heard in time; false when they say so already. */
static bool
mark_unknown (const struct node_input *in, struct value *node, struct arena *a)
{
  static const char *const types[] = { "Ready", "MemoryPressure", "DiskPressure", "PIDPressure" };
  struct value *status = value_ensure_map (a, node, "status");
  bool changed = false;
  for (size_t i = 0; i < 4; i++)
    {
      const struct value *c = meta_condition (node, types[i]);
      if (value_string_is (value_get (c, "status"), "Unknown"))
        continue;
      bool ever = c != NULL;
      changed |= meta_set_condition (a, status, types[i], "Unknown", ever ? "NodeStatusUnknown" : "NodeStatusNeverUpdated",
                                     ever ? "Kubelet stopped posting node status." : "Kubelet never posted node status.", in->now,
                                     false);
      if (!ever)
        for (value_items (value_get (status, "conditions"), it))
          if (value_string_is (value_get (*it, "type"), types[i]))
            value_set_string (a, *it, "lastHeartbeatTime", value_path_string (node, "metadata.creationTimestamp", NULL));
    }
  return changed;
}

static void
want_taint (struct arena *a, struct value *wanted, const struct value *present, const char *key, const char *effect, wall_t now)
{
  for (value_items (present, it))
    if (value_string_is (value_get (*it, "key"), key) && value_string_is (value_get (*it, "effect"), effect))
      {
        value_append (a, wanted, *it);
        return;
      }
  struct value *t = value_map (a);
  value_set_string (a, t, "key", key);
  value_set_string (a, t, "effect", effect);
  value_set_string (a, t, "timeAdded", meta_time_text (a, now));
  value_append (a, wanted, t);
}

static const struct {
  const char *condition, *status, *key;
  bool execute;
} tainting[] = {
  { "Ready", "False", "node.kubernetes.io/not-ready", true },
  { "Ready", "Unknown", "node.kubernetes.io/unreachable", true },
  { "MemoryPressure", "True", "node.kubernetes.io/memory-pressure", false },
  { "DiskPressure", "True", "node.kubernetes.io/disk-pressure", false },
  { "PIDPressure", "True", "node.kubernetes.io/pid-pressure", false },
  { "NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable", false },
};
#define N_TAINTING (sizeof tainting / sizeof *tainting)

static bool
is_ours (const struct value *taint)
{
  const char *key = value_path_string (taint, "key", ""), *effect = value_path_string (taint, "effect", "");
  bool schedule = strcmp (effect, "NoSchedule") == 0;
  for (size_t i = 0; i < N_TAINTING; i++)
    if (strcmp (key, tainting[i].key) == 0 && (schedule || (tainting[i].execute && strcmp (effect, "NoExecute") == 0)))
      return true;
  return schedule && strcmp (key, "node.kubernetes.io/unschedulable") == 0;
}

static struct value *
taints_of (const struct node_input *in, const struct value *node, struct arena *a)
{
  const struct value *present = value_path (node, "spec.taints");
  struct value *wanted = value_array (a);
  for (value_items (present, it))
    if (!is_ours (*it))
      value_append (a, wanted, *it);
  for (size_t i = 0; i < N_TAINTING; i++)
    {
      if (!meta_condition_is (node, tainting[i].condition, tainting[i].status))
        continue;
      want_taint (a, wanted, present, tainting[i].key, "NoSchedule", in->now);
      if (tainting[i].execute)
        want_taint (a, wanted, present, tainting[i].key, "NoExecute", in->now);
    }
  if (value_path_bool (node, "spec.unschedulable", false))
    want_taint (a, wanted, present, "node.kubernetes.io/unschedulable", "NoSchedule", in->now);
  return wanted;
}

static bool
same_taints (const struct value *a, const struct value *b)
{
  if (value_count (a) != value_count (b))
    return false;
  for (value_items (a, x))
    {
      bool found = false;
      for (value_items (b, y))
        found |= value_equal (value_get (*x, "key"), value_get (*y, "key"))
                 && value_equal (value_get (*x, "effect"), value_get (*y, "effect"));
      if (!found)
        return false;
    }
  return true;
}

static bool
tolerates (const struct value *t, const struct value *taint)
{
  const char *effect = value_path_string (t, "effect", ""), *key = value_path_string (t, "key", "");
  if (*effect && !value_string_is (value_get (taint, "effect"), effect))
    return false;
  if (*key && !value_string_is (value_get (taint, "key"), key))
    return false;
  if (strcmp (value_path_string (t, "operator", "Equal"), "Exists") == 0)
    return true;
  return *key && strcmp (value_path_string (t, "value", ""), value_path_string (taint, "value", "")) == 0;
}

/* Milliseconds until the pod has to go: 0 now, -1 never. */
static int64_t
eviction_ms (const struct value *pod, const struct value *taints, wall_t now)
{
  int64_t soonest = -1;
  for (value_items (taints, t))
    {
      if (!value_string_is (value_get (*t, "effect"), "NoExecute"))
        continue;
      bool tolerated = false;
      int64_t seconds = -1; /* the shortest of those that tolerate it */
      for (value_items (value_path (pod, "spec.tolerations"), it))
        {
          if (!tolerates (*it, *t))
            continue;
          tolerated = true;
          const struct value *v = value_get (*it, "tolerationSeconds");
          if (value_is_null (v))
            continue;
          int64_t n = value_as_int (v, 0) < 0 ? 0 : value_as_int (v, 0);
          seconds = seconds < 0 || n < seconds ? n : seconds;
        }
      if (!tolerated)
        return 0;
      if (seconds < 0)
        continue;
      int64_t left = (meta_time (*t, "timeAdded", wall_s (now)) + seconds) * 1000 - now.us / 1000;
      left = left < 0 ? 0 : left;
      soonest = soonest < 0 || left < soonest ? left : soonest;
    }
  return soonest;
}

static void
evict (const struct node_input *in, const struct value *taints, struct actions *as)
{
  for (value_items (in->pods, it))
    {
      if (meta_deleting (*it) || pod_finished (*it))
        continue;
      int64_t ms = eviction_ms (*it, taints, in->now);
      if (ms > 0)
        actions_requeue (as, ms);
      if (ms != 0)
        continue;
      actions_event (as, *it, "Normal", "TaintManagerEviction", COMPONENT, "Marking for deletion Pod %s/%s", meta_namespace (*it),
                     meta_name (*it));
      actions_delete (as, "", "v1", "pods", meta_namespace (*it), meta_name (*it), meta_uid (*it));
    }
}

/* Pods of a node that is not heard of are not ready as far as anybody knows. */
static void
mark_pods (const struct node_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  for (value_items (in->pods, it))
    {
      if (meta_deleting (*it) || !pod_ready (*it))
        continue;
      struct value *pod = value_clone (a, *it);
      for (value_items (value_path (pod, "status.conditions"), c))
        if (value_string_is (value_get (*c, "type"), "Ready"))
          {
            value_set_string (a, *c, "status", "False");
            value_set_string (a, *c, "lastTransitionTime", meta_time_text (a, in->now));
          }
      struct action *x = actions_update (as, "", "v1", "pods", "status", pod);
      x->ignore_not_found = true;
      actions_event (as, *it, "Warning", "NodeNotReady", "node-controller", "Node is not ready");
    }
}

void
node_decide (const struct node_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  struct value *node = value_clone (a, in->node);
  int64_t left_ms = (last_heard (in) + in->grace_s) * 1000 - in->now.us / 1000;
  bool lost = left_ms <= 0;
  if (!lost)
    actions_requeue (as, left_ms + 1);
  if (lost && mark_unknown (in, node, a))
    {
      actions_update (as, "", "v1", "nodes", "status", node);
      actions_event (as, node, "Normal", "NodeNotReady", "node-controller", "Node %s status is now: NodeNotReady", meta_name (node));
      return; /* the rest when this is seen, with its new resourceVersion */
    }
  struct value *taints = taints_of (in, node, a);
  if (!same_taints (taints, value_path (node, "spec.taints")))
    {
      struct value *patch = value_map (a);
      value_set_path (a, patch, "metadata.uid", value_string (a, meta_uid (node)));
      value_set_path (a, patch, "metadata.resourceVersion",
                      value_string (a, value_path_string (node, "metadata.resourceVersion", NULL)));
      value_set_path (a, patch, "spec.taints", value_count (taints) ? taints : value_null (a));
      actions_patch (as, "", "v1", "nodes", NULL, NULL, meta_name (node), "merge", patch);
    }
  if (lost)
    mark_pods (in, as);
  evict (in, taints, as);
}

void
pod_gc_decide (const struct pod_gc_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  if (!value_count (in->pods))
    return;
  if (in->gone_ms < in->quarantine_ms)
    {
      actions_requeue (as, in->quarantine_ms - in->gone_ms);
      return;
    }
  for (value_items (in->pods, it))
    {
      struct action *x = actions_delete (as, "", "v1", "pods", meta_namespace (*it), meta_name (*it), meta_uid (*it));
      struct value *options = value_clone (a, x->request.options);
      value_set_int (a, options, "gracePeriodSeconds", 0);
      x->request.options = options;
    }
}

static int
oldest_first (const void *pa, const void *pb)
{
  const struct value *a = *(struct value *const *) pa, *b = *(struct value *const *) pb;
  int64_t x = meta_time (a, "metadata.creationTimestamp", 0), y = meta_time (b, "metadata.creationTimestamp", 0);
  return x != y ? (x > y) - (x < y) : strcmp (meta_name (a), meta_name (b));
}

void
terminated_pods_decide (const struct value *ended, int64_t threshold, struct actions *as)
{
  int64_t surplus = (int64_t) value_count (ended) - threshold;
  if (threshold <= 0 || surplus <= 0)
    return;
  struct value *sorted = value_array (as->arena);
  for (value_items (ended, it))
    value_append (as->arena, sorted, *it);
  if (!arena_ok (as->arena))
    return;
  qsort (sorted->items, value_count (sorted), sizeof *sorted->items, oldest_first);
  for (size_t i = 0; i < (size_t) surplus; i++)
    {
      const struct value *p = value_at (sorted, i);
      actions_delete (as, "", "v1", "pods", meta_namespace (p), meta_name (p), meta_uid (p))->together = true;
    }
}
