#include "services/controller/replicaset_decide.h"

#include "services/controller/claim.h"
#include "services/controller/meta.h"

#define COMPONENT "replicaset-controller"

static int
phase_rank (const struct value *pod)
{
  const char *phase = value_path_string (pod, "status.phase", "Pending");
  return strcmp (phase, "Running") == 0 ? 2 : strcmp (phase, "Unknown") == 0 ? 1 : 0;
}

static int64_t
restarts (const struct value *pod)
{
  int64_t most = 0;
  for (value_items (value_path (pod, "status.containerStatuses"), it))
    if (value_path_int (*it, "restartCount", 0) > most)
      most = value_path_int (*it, "restartCount", 0);
  return most;
}

static int
compare (int64_t a, int64_t b)
{
  return (a > b) - (a < b);
}

int
pod_deletion_order (const struct value *a, size_t rank_a, const struct value *b, size_t rank_b)
{
  int c;
  if ((c = compare (*value_path_string (a, "spec.nodeName", "") != '\0', *value_path_string (b, "spec.nodeName", "") != '\0')))
    return c;
  if ((c = compare (phase_rank (a), phase_rank (b))))
    return c;
  if ((c = compare (pod_ready (a), pod_ready (b))))
    return c;
  if ((c = compare (strtoll (meta_annotation (a, "controller.kubernetes.io/pod-deletion-cost"), NULL, 10),
                    strtoll (meta_annotation (b, "controller.kubernetes.io/pod-deletion-cost"), NULL, 10))))
    return c;
  if ((c = compare ((int64_t) rank_b, (int64_t) rank_a)))
    return c;
  if (pod_ready (a) && pod_ready (b)
      && (c = compare (meta_time (meta_condition (b, "Ready"), "lastTransitionTime", 0),
                       meta_time (meta_condition (a, "Ready"), "lastTransitionTime", 0))))
    return c;
  if ((c = compare (restarts (b), restarts (a))))
    return c;
  if ((c = compare (meta_time (b, "metadata.creationTimestamp", 0), meta_time (a, "metadata.creationTimestamp", 0))))
    return c;
  return strcmp (meta_name (a), meta_name (b));
}

struct ranked {
  const struct value *pod;
  size_t rank;
};
static int
ranked_order (const void *a, const void *b)
{
  const struct ranked *x = a, *y = b;
  return pod_deletion_order (x->pod, x->rank, y->pod, y->rank);
}

static void
delete_pods (const struct replicaset_input *in, const struct value *active, size_t n, struct actions *as)
{
  size_t count = value_count (active);
  struct ranked *r = arena_alloc (as->arena, (count + 1) * sizeof *r);
  if (!r)
    return;
  for (size_t i = 0; i < count; i++)
    {
      const char *node = value_path_string (value_at (active, i), "spec.nodeName", "");
      r[i] = (struct ranked) { value_at (active, i), 0 };
      for (size_t k = 0; k < count; k++)
        r[i].rank += strcmp (value_path_string (value_at (active, k), "spec.nodeName", ""), node) == 0;
    }
  qsort (r, count, sizeof *r, ranked_order);
  for (size_t i = 0; i < n && i < count; i++)
    {
      const struct value *p = r[i].pod;
      actions_delete (as, "", "v1", "pods", meta_namespace (p), meta_name (p), meta_uid (p))->together = true;
      actions_event (as, in->rs, "Normal", "SuccessfulDelete", COMPONENT, "Deleted pod: %s", meta_name (p));
      as->items[as->count - 1].with_previous = true;
    }
}

static void
create_pods (const struct replicaset_input *in, size_t n, struct actions *as)
{
  const struct value *template_ = value_path (in->rs, "spec.template");
  const char *prefix = arena_printf (as->arena, "%s-", meta_name (in->rs));
  for (size_t i = 0; i < n; i++)
    {
      const char *name = meta_generated_name (as->arena, prefix, in->salt, i);
      actions_create (as, "", "v1", "pods", meta_namespace (in->rs),
                      meta_pod_of (as->arena, template_, in->rs, "apps/v1", "ReplicaSet", name, prefix))
          ->together
          = true;
      actions_event (as, in->rs, "Normal", "SuccessfulCreate", COMPONENT, "Created pod: %s", name);
      as->items[as->count - 1].with_previous = true;
    }
}

static void
update_status (const struct replicaset_input *in, const struct value *active, int64_t diff, struct actions *as)
{
  struct arena *a = as->arena;
  int64_t min_ready = value_path_int (in->rs, "spec.minReadySeconds", 0), wait_ms = 0;
  int64_t labeled = 0, ready = 0, available = 0;
  const struct value *labels = value_path (in->rs, "spec.template.metadata.labels");
  for (value_items (active, it))
    {
      const struct value *own = value_path (*it, "metadata.labels");
      bool full = true;
      for (value_each (labels, m))
        full &= value_equal (value_get (own, m->key), m->value);
      labeled += full;
      ready += pod_ready (*it);
      available += pod_available (*it, min_ready, in->now, &wait_ms);
    }
  if (wait_ms)
    actions_requeue (as, wait_ms);

  const struct value *old = value_get (in->rs, "status");
  struct value *status = value_is (old, VALUE_MAP) ? value_clone (a, old) : value_map (a);
  value_set_int (a, status, "replicas", (int64_t) value_count (active));
  const struct {
    const char *name;
    int64_t n;
  } counts[] = { { "fullyLabeledReplicas", labeled }, { "readyReplicas", ready }, { "availableReplicas", available } };
  for (size_t i = 0; i < 3; i++)
    if (counts[i].n)
      value_set_int (a, status, counts[i].name, counts[i].n);
    else
      value_unset (status, counts[i].name);
  value_set_int (a, status, "observedGeneration", value_path_int (in->rs, "metadata.generation", 0));
  if (in->failure && diff)
    meta_set_condition (a, status, "ReplicaFailure", "True", diff < 0 ? "FailedCreate" : "FailedDelete", in->failure, in->now, false);
  else if (!in->failure)
    meta_remove_condition (status, "ReplicaFailure");
  if (value_equal (status, old))
    return;
  struct value *rs = value_map (a);
  for (value_each (in->rs, m))
    value_set (a, rs, m->key, m->value);
  value_set (a, rs, "status", status);
  actions_update (as, "apps", "v1", "replicasets", "status", rs);
}

void
replicaset_decide (const struct replicaset_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  struct err err;
  struct claim c = { in->rs, "apps/v1", "ReplicaSet", "", "v1", "pods", NULL };
  struct selector *selector = NULL;
  if (selector_from_label_selector (a, value_path (in->rs, "spec.selector"), &selector, &err) != 0)
    return; /* validation lets none such in */
  c.selector = selector;
  const struct value *pods = claim_objects (&c, in->pods, as);
  struct value *active = value_array (a);
  for (value_items (pods, it))
    if (pod_active (*it))
      value_append (a, active, *it);
  int64_t diff = (int64_t) value_count (active) - value_path_int (in->rs, "spec.replicas", 1);
  update_status (in, active, diff, as);
  if (meta_deleting (in->rs))
    return;
  size_t n = (size_t) (diff < 0 ? -diff : diff);
  if (n > in->burst)
    {
      n = in->burst;
      actions_requeue (as, 1);
    }
  if (in->failure && diff < 0)
    actions_event (as, in->rs, "Warning", "FailedCreate", COMPONENT, "Error creating: %s", in->failure);
  if (diff < 0)
    create_pods (in, n, as);
  else if (diff > 0)
    delete_pods (in, active, n, as);
}
