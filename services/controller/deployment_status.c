#include "services/controller/deployment_status.h"

#include <inttypes.h>

#include "services/controller/meta.h"

struct counts {
  int64_t replicas, updated, ready, available;
};

static void
add_set (struct counts *n, const struct value *rs)
{
  n->replicas += value_path_int (rs, "status.replicas", 0);
  n->ready += value_path_int (rs, "status.readyReplicas", 0);
  n->available += value_path_int (rs, "status.availableReplicas", 0);
}

static void
count (const struct deployment_state *s, struct counts *n)
{
  *n = (struct counts) { 0 };
  for (value_items (s->old, it))
    add_set (n, *it);
  if (s->current)
    add_set (n, s->current);
  n->updated = value_path_int (s->current, "status.replicas", 0);
}

bool
deployment_complete (const struct deployment_state *s)
{
  struct counts n;
  count (s, &n);
  return n.updated == s->replicas && n.replicas == s->replicas && n.available == s->replicas;
}

static void
set_count (struct arena *a, struct value *status, const char *name, int64_t n)
{
  if (n)
    value_set_int (a, status, name, n);
  else
    value_unset (status, name);
}

static void
set_progressing (struct deployment_state *s, struct value *status, const char *value, const char *reason, const char *message)
{
  struct arena *a = s->as->arena;
  meta_set_condition (a, status, "Progressing", value, reason, message, s->now, true);
}

static struct value *
progressing (struct value *status)
{
  for (value_items (value_get (status, "conditions"), it))
    if (value_string_is (value_get (*it, "type"), "Progressing"))
      return *it;
  return NULL;
}

static bool
reason_is (const struct value *condition, const char *reason)
{
  return value_string_is (value_get (condition, "reason"), reason);
}

/* Upstream's Progressing condition of a rollout that is neither paused nor without a deadline. */
static void
rollout_progress (struct deployment_state *s, struct value *status, const struct value *old, const struct counts *n)
{
  struct arena *a = s->as->arena;
  const char *name = meta_name (s->current);
  int64_t deadline_s = value_path_int (s->d, "spec.progressDeadlineSeconds", 600);
  struct value *c = progressing (status);
  if (s->created)
    set_progressing (s, status, "True", "NewReplicaSetCreated", arena_printf (a, "Created new replica set \"%s\"", name));
  else if (!c && s->current)
    set_progressing (s, status, "True", "FoundNewReplicaSet", arena_printf (a, "Found new replica set \"%s\"", name));
  c = progressing (status);
  if (c && n->replicas == n->updated && reason_is (c, "NewReplicaSetAvailable") && !s->created)
    return;
  if (!s->created && deployment_complete (s) && s->current)
    {
      set_progressing (s, status, "True", "NewReplicaSetAvailable",
                       arena_printf (a, "ReplicaSet \"%s\" has successfully progressed.", name));
      return;
    }
  int64_t old_updated = value_path_int (old, "updatedReplicas", 0), old_replicas = value_path_int (old, "replicas", 0);
  if (n->updated > old_updated || n->replicas - n->updated < old_replicas - old_updated
      || n->ready > value_path_int (old, "readyReplicas", 0) || n->available > value_path_int (old, "availableReplicas", 0))
    {
      set_progressing (s, status, "True", "ReplicaSetUpdated", arena_printf (a, "ReplicaSet \"%s\" is progressing.", name));
      c = progressing (status);
      value_set_string (a, c, "lastUpdateTime", meta_time_text (a, s->now));
      actions_requeue (s->as, (deadline_s + 1) * 1000);
      return;
    }
  int64_t since = meta_time (c, "lastUpdateTime", INT64_MAX);
  if (!c || since == INT64_MAX || reason_is (c, "ProgressDeadlineExceeded"))
    return;
  int64_t left_s = since + deadline_s - wall_s (s->now);
  if (left_s < 0)
    set_progressing (s, status, "False", "ProgressDeadlineExceeded",
                     arena_printf (a, "ReplicaSet \"%s\" has timed out progressing.", name));
  else
    actions_requeue (s->as, (left_s + 1) * 1000);
}

static void
conditions (struct deployment_state *s, struct value *status, const struct value *old, const struct counts *n)
{
  struct arena *a = s->as->arena;
  bool enough = n->available >= s->replicas - s->max_unavailable;
  meta_set_condition (a, status, "Available", enough ? "True" : "False",
                      enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                      enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.", s->now,
                      true);
  const struct value *failure = meta_condition (s->current, "ReplicaFailure");
  for (value_items (s->old, it))
    if (!failure)
      failure = meta_condition (*it, "ReplicaFailure");
  if (failure)
    meta_set_condition (a, status, "ReplicaFailure", value_path_string (failure, "status", "True"),
                        value_path_string (failure, "reason", ""), value_path_string (failure, "message", ""), s->now, true);
  else
    meta_remove_condition (status, "ReplicaFailure");

  int64_t deadline_s = value_path_int (s->d, "spec.progressDeadlineSeconds", INT32_MAX);
  struct value *c = progressing (status);
  if (deadline_s >= INT32_MAX)
    meta_remove_condition (status, "Progressing");
  else if (s->paused)
    {
      if (!reason_is (c, "ProgressDeadlineExceeded"))
        set_progressing (s, status, "Unknown", "DeploymentPaused", "Deployment is paused");
    }
  else if (reason_is (c, "DeploymentPaused"))
    set_progressing (s, status, "Unknown", "DeploymentResumed", "Deployment is resumed");
  else
    rollout_progress (s, status, old, n);
}

void
deployment_status (struct deployment_state *s)
{
  struct arena *a = s->as->arena;
  const struct value *d = s->d, *old = value_get (d, "status");
  const char *revision = arena_printf (a, "%" PRId64, s->revision);
  if (s->revision && strcmp (meta_annotation (d, DEPLOYMENT_REVISION), revision ? revision : "") != 0)
    {
      struct value *patch = value_map (a), *annotations = value_map (a);
      value_set_string (a, annotations, DEPLOYMENT_REVISION, revision);
      value_set_path (a, patch, "metadata.uid", value_string (a, meta_uid (d)));
      value_set_path (a, patch, "metadata.annotations", annotations);
      actions_patch (s->as, "apps", "v1", "deployments", NULL, meta_namespace (d), meta_name (d), "merge", patch);
    }
  struct counts n;
  count (s, &n);
  struct value *status = value_is (old, VALUE_MAP) ? value_clone (a, old) : value_map (a);
  value_set_int (a, status, "observedGeneration", value_path_int (d, "metadata.generation", 0));
  if (s->collided)
    value_set_int (a, status, "collisionCount", value_path_int (old, "collisionCount", 0) + 1);
  set_count (a, status, "replicas", n.replicas);
  set_count (a, status, "updatedReplicas", n.updated);
  set_count (a, status, "readyReplicas", n.ready);
  set_count (a, status, "availableReplicas", n.available);
  int64_t unavailable = s->total - n.available;
  set_count (a, status, "unavailableReplicas", unavailable > 0 ? unavailable : 0);
  conditions (s, status, old, &n);
  if (value_equal (status, old))
    return;
  struct value *patch = value_map (a), *changed = value_map (a);
  for (value_each (status, m))
    if (!value_equal (m->value, value_get (old, m->key)))
      value_set (a, changed, m->key, m->value);
  for (value_each (old, m))
    if (!value_get (status, m->key))
      value_set (a, changed, m->key, value_null (a));
  value_set_path (a, patch, "metadata.uid", value_string (a, meta_uid (d)));
  value_set (a, patch, "status", changed);
  actions_patch (s->as, "apps", "v1", "deployments", "status", meta_namespace (d), meta_name (d), "merge", patch);
}
