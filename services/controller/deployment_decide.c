#include "services/controller/deployment_decide.h"

#include <inttypes.h>

#include "services/controller/claim.h"
#include "services/controller/deployment_status.h"
#include "services/controller/meta.h"

#define COMPONENT "deployment-controller"
#define HASH_LABEL "pod-template-hash"
#define MAX_REVISION_HISTORY 2000 /* characters of the revision-history annotation, upstream's */

static int64_t
replicas_of (const struct value *rs)
{
  return value_path_int (rs, "spec.replicas", 1);
}

/* Whether set and deployment have the same template but for the hash. */
static bool
same_template (struct arena *a, const struct value *rs, const struct value *d)
{
  struct value *mine = value_clone (a, value_path (rs, "spec.template"));
  struct value *labels = value_path (mine, "metadata.labels");
  value_unset (labels, HASH_LABEL);
  const struct value *metadata = value_get (mine, "metadata"), *other = value_path (d, "spec.template.metadata");
  static const char *const compared[] = { "labels", "annotations", "finalizers" };
  for (size_t i = 0; i < 3; i++)
    {
      const struct value *x = value_get (metadata, compared[i]), *y = value_get (other, compared[i]);
      if (!(value_is_empty (x) && value_is_empty (y)) && !value_equal (x, y))
        return false;
    }
  return value_equal (value_get (mine, "spec"), value_path (d, "spec.template.spec"));
}

static int
by_age (const void *pa, const void *pb)
{
  const struct value *a = *(struct value *const *) pa, *b = *(struct value *const *) pb;
  int64_t x = meta_time (a, "metadata.creationTimestamp", 0), y = meta_time (b, "metadata.creationTimestamp", 0);
  if (x != y)
    return x < y ? -1 : 1;
  return strcmp (meta_name (a), meta_name (b));
}

/* Annotations of the deployment that its sets carry too. */
static bool
copied_annotation (const char *key)
{
  static const char *const skipped[] = {
    "kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history", "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas", "deprecated.deployment.rollback.to",
  };
  for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
    if (strcmp (key, skipped[i]) == 0)
      return false;
  return true;
}

static int64_t
revision_of (const struct value *rs)
{
  return strtoll (meta_annotation (rs, DEPLOYMENT_REVISION), NULL, 10);
}

/* A merge patch under way for one set: what is to be different. */
static struct value *
patch_annotation (struct arena *a, struct value *patch, const char *key, const char *text)
{
  struct value *metadata = value_ensure_map (a, patch, "metadata");
  value_set_string (a, value_ensure_map (a, metadata, "annotations"), key, text);
  return patch;
}

static void
send_patch (struct actions *as, const struct value *rs, struct value *patch)
{
  if (!value_count (patch))
    return;
  value_set_path (as->arena, patch, "metadata.uid", value_string (as->arena, meta_uid (rs)));
  value_set_path (as->arena, patch, "metadata.resourceVersion",
                  value_string (as->arena, value_path_string (rs, "metadata.resourceVersion", NULL)));
  actions_patch (as, "apps", "v1", "replicasets", NULL, meta_namespace (rs), meta_name (rs), "merge", patch);
}

static void
desired_annotations (const struct deployment_state *s, struct value *patch, const struct value *rs)
{
  struct arena *a = s->as->arena;
  const char *desired = arena_printf (a, "%" PRId64, s->replicas);
  const char *most = arena_printf (a, "%" PRId64, s->replicas + s->max_surge);
  if (strcmp (meta_annotation (rs, DEPLOYMENT_DESIRED), desired) != 0)
    patch_annotation (a, patch, DEPLOYMENT_DESIRED, desired);
  if (strcmp (meta_annotation (rs, DEPLOYMENT_MAX), most) != 0)
    patch_annotation (a, patch, DEPLOYMENT_MAX, most);
}

/* Scales a set (its tree too, so that what follows computes with it). */
static void
scale (struct deployment_state *s, struct value *rs, int64_t to, struct value *patch)
{
  int64_t from = replicas_of (rs);
  struct arena *a = s->as->arena;
  if (!patch)
    patch = value_map (a);
  desired_annotations (s, patch, rs);
  if (from != to)
    value_set_path (a, patch, "spec.replicas", value_int (a, to));
  size_t before = s->as->count;
  send_patch (s->as, rs, patch);
  if (from == to || s->as->count == before)
    return;
  actions_event (s->as, s->d, "Normal", "ScalingReplicaSet", COMPONENT, "Scaled %s replica set %s from %" PRId64 " to %" PRId64,
                 to > from ? "up" : "down", meta_name (rs), from, to);
  value_set_path (a, rs, "spec.replicas", value_int (a, to));
  s->scaled = true;
}

/* How many the new set may have now (upstream's NewRSNewReplicas). */
static int64_t
new_replicas (const struct deployment_state *s, int64_t have)
{
  if (s->recreate)
    return s->replicas;
  int64_t room = s->replicas + s->max_surge - s->total;
  if (room <= 0)
    return have;
  int64_t want = s->replicas - have;
  return have + (room < want ? room : want);
}

static void
update_revision_annotations (struct deployment_state *s, struct value *patch)
{
  struct arena *a = s->as->arena;
  int64_t most = 0;
  for (value_items (s->old, it))
    if (revision_of (*it) > most)
      most = revision_of (*it);
  int64_t revision = most + 1;
  struct value *rs = s->current;
  for (value_each (value_path (s->d, "metadata.annotations"), m))
    if (copied_annotation (m->key) && !value_equal (value_get (value_path (rs, "metadata.annotations"), m->key), m->value))
      patch_annotation (a, patch, m->key, value_as_string (m->value, ""));
  if (revision_of (rs) < revision)
    {
      const char *before = meta_annotation (rs, DEPLOYMENT_REVISION), *history = meta_annotation (rs, DEPLOYMENT_HISTORY);
      if (*before)
        {
          const char *text = *history ? arena_printf (a, "%s,%s", history, before) : before;
          if (text && strlen (text) <= MAX_REVISION_HISTORY)
            patch_annotation (a, patch, DEPLOYMENT_HISTORY, text);
        }
      patch_annotation (a, patch, DEPLOYMENT_REVISION, arena_printf (a, "%" PRId64, revision));
    }
  else
    revision = revision_of (rs);
  s->revision = revision;
}

static void
create_set (struct deployment_state *s)
{
  struct arena *a = s->as->arena;
  int64_t collisions = value_path_int (s->d, "status.collisionCount", 0);
  const struct value *template_ = value_path (s->d, "spec.template");
  const char *hash = meta_hash_label (a, template_, collisions);
  const char *name = arena_printf (a, "%s-%s", meta_name (s->d), hash);
  for (value_items (s->old, it)) /* an unlike set has our name: another hash */
    if (strcmp (meta_name (*it), name) == 0)
      {
        s->collided = true;
        return;
      }
  struct value *rs = value_map (a), *owners = value_array (a), *selector = value_clone (a, value_path (s->d, "spec.selector"));
  value_set_string (a, rs, "apiVersion", "apps/v1");
  value_set_string (a, rs, "kind", "ReplicaSet");
  value_set_path (a, rs, "metadata.name", value_string (a, name));
  value_set_path (a, rs, "metadata.namespace", value_string (a, meta_namespace (s->d)));
  struct value *labels = value_clone (a, value_path (template_, "metadata.labels"));
  value_set_string (a, labels, HASH_LABEL, hash);
  value_set_path (a, rs, "metadata.labels", labels);
  value_append (a, owners, meta_owner_reference (a, s->d, "apps/v1", "Deployment"));
  value_set_path (a, rs, "metadata.ownerReferences", owners);
  value_set_string (a, value_ensure_map (a, selector, "matchLabels"), HASH_LABEL, hash);
  value_set_path (a, rs, "spec.selector", selector);
  struct value *copy = value_clone (a, template_);
  value_set_string (a, value_ensure_map (a, value_ensure_map (a, copy, "metadata"), "labels"), HASH_LABEL, hash);
  value_set_path (a, rs, "spec.template", copy);
  if (value_path_int (s->d, "spec.minReadySeconds", 0))
    value_set_path (a, rs, "spec.minReadySeconds", value_int (a, value_path_int (s->d, "spec.minReadySeconds", 0)));
  s->current = rs;
  struct value *patch = value_map (a);
  update_revision_annotations (s, patch);
  desired_annotations (s, patch, NULL);
  value_set_path (a, rs, "metadata.annotations", value_path (patch, "metadata.annotations"));
  int64_t n = new_replicas (s, 0);
  value_set_path (a, rs, "spec.replicas", value_int (a, n));
  struct action *x = actions_create (s->as, "apps", "v1", "replicasets", meta_namespace (s->d), rs);
  x->ignore_exists = true; /* made by us before, not seen yet or not adopted: the next look adopts or collides */
  if (n > 0)
    actions_event (s->as, s->d, "Normal", "ScalingReplicaSet", COMPONENT, "Scaled up replica set %s from 0 to %" PRId64, name, n);
  s->created = true;
  s->scaled |= n > 0;
  s->total += n;
}

/* The new set: found (its annotations and minReadySeconds kept current) or made. patch keeps what is to change in it. */
static void
want_current (struct deployment_state *s, bool may_create)
{
  struct arena *a = s->as->arena;
  if (!s->current)
    {
      if (may_create)
        create_set (s);
      return;
    }
  s->patch = value_map (a);
  update_revision_annotations (s, s->patch);
  int64_t min_ready = value_path_int (s->d, "spec.minReadySeconds", 0);
  if (value_path_int (s->current, "spec.minReadySeconds", 0) != min_ready)
    value_set_path (a, s->patch, "spec.minReadySeconds", value_int (a, min_ready));
}

static void
finish_current (struct deployment_state *s, int64_t replicas)
{
  if (s->current && !s->created)
    scale (s, s->current, replicas, s->patch);
}

static void
scale_down_old (struct deployment_state *s)
{
  int64_t old_total = s->total - (s->current ? replicas_of (s->current) : 0);
  if (old_total == 0)
    return;
  int64_t min_available = s->replicas - s->max_unavailable;
  int64_t new_unavailable
      = s->current ? replicas_of (s->current) - value_path_int (s->current, "status.availableReplicas", 0) : 0;
  int64_t budget = s->total - min_available - new_unavailable;
  if (budget <= 0)
    return;
  /* first those that are not available anyway, oldest set first */
  int64_t cleaned = 0;
  for (value_items (s->old, it))
    {
      int64_t have = replicas_of (*it), available = value_path_int (*it, "status.availableReplicas", 0);
      if (cleaned >= budget)
        break;
      if (have == 0 || have == available)
        continue;
      int64_t n = have - available < budget - cleaned ? have - available : budget - cleaned;
      if (n <= 0)
        continue;
      scale (s, *it, have - n, NULL);
      cleaned += n;
    }
  int64_t available = value_path_int (s->current, "status.availableReplicas", 0);
  for (value_items (s->old, it))
    available += value_path_int (*it, "status.availableReplicas", 0);
  int64_t left = available - min_available;
  for (value_items (s->old, it))
    {
      int64_t have = replicas_of (*it);
      if (left <= 0)
        break;
      if (have == 0)
        continue;
      int64_t n = have < left ? have : left;
      scale (s, *it, have - n, NULL);
      left -= n;
    }
}

static void
rolling (struct deployment_state *s)
{
  want_current (s, true);
  if (s->current && !s->created)
    {
      int64_t have = replicas_of (s->current);
      int64_t to = have > s->replicas ? s->replicas : have == s->replicas ? have : new_replicas (s, have);
      finish_current (s, to);
      if (s->scaled)
        return; /* upstream updates the status, then looks again */
    }
  if (!s->created)
    scale_down_old (s);
}

static bool
old_pods_running (const struct deployment_state *s, const struct value *pods)
{
  const char *current = s->current ? meta_uid (s->current) : "";
  for (value_items (pods, it))
    {
      const struct value *ref = meta_controller (*it);
      if (!ref || pod_finished (*it) || value_string_is (value_get (ref, "uid"), current))
        continue;
      for (value_items (s->old, rs))
        if (value_string_is (value_get (ref, "uid"), meta_uid (*rs)))
          return true;
    }
  return false;
}

static void
recreate (struct deployment_state *s, const struct value *pods)
{
  bool scaled = false;
  want_current (s, false);
  for (value_items (s->old, it))
    if (replicas_of (*it) > 0)
      {
        scale (s, *it, 0, NULL);
        scaled = true;
      }
  if (scaled || old_pods_running (s, pods))
    {
      if (s->current)
        finish_current (s, replicas_of (s->current));
      return;
    }
  if (!s->current)
    want_current (s, true);
  else
    finish_current (s, s->replicas);
}

/* Scaling between rollouts, and while paused or in one: proportionally over the active sets (upstream's scale). */
static void
scale_proportionally (struct deployment_state *s)
{
  struct value *active[2] = { NULL, NULL };
  size_t n_active = 0;
  struct value *sets = value_array (s->as->arena);
  for (value_items (s->old, it))
    if (replicas_of (*it) > 0)
      {
        value_append (s->as->arena, sets, *it);
        active[n_active++ > 0] = *it;
      }
  if (s->current && replicas_of (s->current) > 0)
    {
      value_append (s->as->arena, sets, s->current);
      active[n_active++ > 0] = s->current;
    }
  if (n_active <= 1)
    {
      struct value *only = n_active ? active[0] : s->current;
      if (only && (replicas_of (only) != s->replicas || only == s->current))
        scale (s, only, s->replicas, only == s->current ? s->patch : NULL);
      return;
    }
  if (s->recreate)
    return;
  int64_t allowed = s->replicas > 0 ? s->replicas + s->max_surge : 0, to_add = allowed - s->total, added = 0;
  for (size_t i = value_count (sets); i-- > 0;) /* the largest would be first upstream; newest first here, remainder to it below */
    {
      struct value *rs = value_at (sets, i);
      int64_t have = replicas_of (rs);
      int64_t base = strtoll (meta_annotation (rs, DEPLOYMENT_MAX), NULL, 10);
      if (base <= 0)
        base = value_path_int (s->d, "status.replicas", s->total);
      int64_t n = base > 0 ? (2 * have * allowed + base) / (2 * base) - have : 0;
      if (to_add > 0)
        n = n < 0 ? 0 : n > to_add - added ? to_add - added : n;
      else
        n = n > 0 ? 0 : n < to_add - added ? to_add - added : n;
      if (i == 0)
        n = to_add - added;
      added += n;
      scale (s, rs, have + n < 0 ? 0 : have + n, rs == s->current ? s->patch : NULL);
    }
}

/* A change of spec.replicas shows as another desired-replicas annotation than the active sets have. */
static bool
is_scaling (const struct deployment_state *s)
{
  const char *desired = arena_printf (s->as->arena, "%" PRId64, s->replicas);
  struct value *all = value_clone (s->as->arena, s->old);
  if (s->current)
    value_append (s->as->arena, all, s->current);
  for (value_items (all, it))
    if (replicas_of (*it) > 0 && *meta_annotation (*it, DEPLOYMENT_DESIRED)
        && strcmp (meta_annotation (*it, DEPLOYMENT_DESIRED), desired ? desired : "") != 0)
      return true;
  return false;
}

static void
clean_up (struct deployment_state *s)
{
  int64_t limit = value_path_int (s->d, "spec.revisionHistoryLimit", 10);
  struct value *idle = value_array (s->as->arena);
  if (limit < 0 || limit == INT32_MAX)
    return;
  for (value_items (s->old, it))
    if (!meta_deleting (*it))
      value_append (s->as->arena, idle, *it);
  int64_t surplus = (int64_t) value_count (idle) - limit;
  while (surplus-- > 0)
    {
      size_t oldest = 0;
      for (size_t i = 1; i < value_count (idle); i++)
        if (revision_of (value_at (idle, i)) < revision_of (value_at (idle, oldest)))
          oldest = i;
      const struct value *rs = value_at (idle, oldest);
      if (value_path_int (rs, "status.replicas", 0) == 0 && replicas_of (rs) == 0
          && value_path_int (rs, "metadata.generation", 0) <= value_path_int (rs, "status.observedGeneration", 0))
        actions_delete (s->as, "apps", "v1", "replicasets", meta_namespace (rs), meta_name (rs), meta_uid (rs));
      value_remove_at (idle, oldest);
    }
}

static void
limits (struct deployment_state *s)
{
  s->replicas = value_path_int (s->d, "spec.replicas", 1);
  s->recreate = strcmp (value_path_string (s->d, "spec.strategy.type", "RollingUpdate"), "Recreate") == 0;
  s->paused = value_path_bool (s->d, "spec.paused", false);
  if (s->recreate)
    return;
  const struct value *rolling_update = value_path (s->d, "spec.strategy.rollingUpdate");
  s->max_surge = meta_scaled (value_get (rolling_update, "maxSurge"), s->replicas, true, 1);
  s->max_unavailable = meta_scaled (value_get (rolling_update, "maxUnavailable"), s->replicas, false, 0);
  if (s->max_surge == 0 && s->max_unavailable == 0)
    s->max_unavailable = 1;
  if (s->max_unavailable > s->replicas)
    s->max_unavailable = s->replicas;
}

void
deployment_decide (const struct deployment_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  struct deployment_state s = { .d = in->deployment, .as = as, .now = in->now };
  struct claim c = { in->deployment, "apps/v1", "Deployment", "apps", "v1", "replicasets", NULL };
  struct selector *selector = NULL;
  if (selector_from_label_selector (a, value_path (s.d, "spec.selector"), &selector, NULL) != 0)
    return;
  c.selector = selector;
  struct value *sets = claim_objects (&c, in->sets, as);
  if (value_count (sets) > 1)
    qsort (sets->items, value_count (sets), sizeof *sets->items, by_age);
  limits (&s);
  s.old = value_array (a);
  for (value_items (sets, it))
    {
      s.total += replicas_of (*it);
      if (!s.current && same_template (a, *it, s.d))
        s.current = *it;
      else
        value_append (a, s.old, *it);
    }
  if (meta_deleting (s.d))
    {
      deployment_status (&s);
      return;
    }
  if (s.paused || is_scaling (&s))
    {
      want_current (&s, false);
      scale_proportionally (&s);
      if (s.paused)
        clean_up (&s);
    }
  else if (s.recreate)
    recreate (&s, in->pods);
  else
    rolling (&s);
  if (!s.paused && deployment_complete (&s))
    clean_up (&s);
  deployment_status (&s);
}
