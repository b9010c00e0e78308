#include "services/scheduler/schedule_decide.h"

/* Preemption as upstream's: on each node that refuses for reasons that evictions can lift, take all pods of lower priority
   away; if the pod fits then, give back as many as can stay, those that would break a disruption budget first, then by
   priority; the best node is the one that breaks fewest budgets, then hurts least. */

#define NO_VICTIMS "No preemption victims found for incoming pod"

struct candidate {
  struct sched_node *node;
  struct sched_pod **victims;
  size_t count, violations;
};

/* Most important first: priority, then the longer running. */
static int
by_importance (const void *a, const void *b)
{
  const struct sched_pod *x = *(struct sched_pod *const *) a, *y = *(struct sched_pod *const *) b;
  if (x->priority != y->priority)
    return x->priority > y->priority ? -1 : 1;
  if (!*x->start_time != !*y->start_time)
    return *x->start_time ? -1 : 1;
  int c = strcmp (x->start_time, y->start_time);
  return c ? c : strcmp (x->key, y->key);
}

/* Would evicting them in this order pass each budget? Marks those that would not. */
static void
mark_violations (struct sched_cycle *c, struct sched_pod *const *pods, size_t n, bool *violates)
{
  void *v;
  for (size_t it = 0; map_next (c->s->pdbs, &it, NULL, &v);) {
    const struct sched_pdb *d = v;
    int64_t left = d->allowed;
    for (size_t i = 0; d->selector && i < n; i++)
      if (!strcmp (d->namespace_, pods[i]->namespace_) && value_count (pods[i]->labels) > 0
          && selector_matches (d->selector, pods[i]->labels) && !value_get (d->disrupted, pods[i]->name) && --left < 0)
        violates[i] = true;
  }
}

/* Does the pod fit now, with the pods that are away left out? What depends on other pods is computed afresh. */
static bool
fits (struct sched_cycle *c, const struct sched_node *n, struct sched_refusal *ret)
{
  struct sched_cycle now;
  bool ok = sched_cycle_init (&now, c->s, c->pod, c->arena) == 0;
  if (ok)
    sched_filter (&now, n, ret);
  c->failed = c->failed || !ok || now.failed;
  sched_cycle_done (&now);
  return ok && !ret->count;
}

/* False: the node is no candidate, why says so. All pods are back afterwards. */
static bool
try_node (struct sched_cycle *c, struct sched_node *n, struct candidate *ret, struct sched_refusal *why)
{
  struct sched_pod **lower = arena_zalloc (c->arena, (n->n_pods + 1) * sizeof *lower);
  bool *violates = arena_zalloc (c->arena, n->n_pods + 1), possible;
  size_t count = 0;
  *ret = (struct candidate){ .node = n, .victims = lower };
  *why = (struct sched_refusal){ 0 };
  for (size_t i = 0; lower && i < n->n_pods; i++)
    if (n->pods[i]->priority < c->pod->priority)
      lower[count++] = n->pods[i];
  if (!violates || count == 0 || count > SCHED_VICTIMS_MAX) {
    sched_refuse (why, NO_VICTIMS, true);
    return false;
  }
  qsort (lower, count, sizeof *lower, by_importance);
  mark_violations (c, lower, count, violates);
  for (size_t i = 0; i < count; i++)
    sched_pod_away (lower[i]);
  possible = fits (c, n, why);
  for (int breaking = 1; possible && breaking >= 0; breaking--)
    for (size_t i = 0; i < count; i++) {
      struct sched_refusal r;
      if (violates[i] != breaking)
        continue;
      sched_pod_back (lower[i]);
      if (!fits (c, n, &r))
        sched_pod_away (lower[i]);
    }
  for (size_t i = 0; i < count; i++) {
    bool victim = lower[i]->away;
    sched_pod_back (lower[i]);
    if (victim && possible) {
      ret->violations += violates[i];
      lower[ret->count++] = lower[i];
    }
  }
  return possible && ret->count > 0;
}

static int64_t
priorities (const struct candidate *k)
{
  int64_t sum = 0;
  for (size_t i = 0; i < k->count; i++)
    sum += k->victims[i]->priority + INT32_MAX + 1LL; /* so that many victims of negative priority do not look cheap */
  return sum;
}

/* Is a better than b? (kubernetes: preemption.pickOneNodeForPreemption) */
static bool
better (const struct candidate *a, const struct candidate *b)
{
  int64_t x, y;
  if (a->violations != b->violations)
    return a->violations < b->violations;
  x = a->victims[0]->priority;
  y = b->victims[0]->priority;
  if (x != y)
    return x < y;
  x = priorities (a);
  y = priorities (b);
  if (x != y)
    return x < y;
  if (a->count != b->count)
    return a->count < b->count;
  return strcmp (a->victims[0]->start_time, b->victims[0]->start_time) > 0; /* the latest start loses least */
}

static bool
eligible (struct sched_cycle *c, struct sched_result *ret)
{
  const struct sched_pod *p = c->pod;
  const struct sched_node *n = *p->nominated ? map_get (c->s->nodes_by_name, p->nominated) : NULL;
  if (p->never_preempts) {
    ret->message = "not eligible due to preemptionPolicy=Never.";
    return false;
  }
  for (size_t i = 0; n && i < n->n_pods; i++)
    if (n->pods[i]->terminating && n->pods[i]->priority < p->priority) {
      ret->message = "not eligible due to a terminating pod on the nominated node.";
      return false;
    }
  return true;
}

void
sched_preempt (struct sched_cycle *c, const struct sched_refusal *refusals, struct sched_result *ret)
{
  struct sched *s = c->s;
  struct sched_refusal *why = arena_zalloc (c->arena, (s->n_nodes + 1) * sizeof *why);
  struct candidate best = { 0 }, one;
  size_t candidates = 0;
  if (!why || !eligible (c, ret))
    return;
  for (size_t i = 0; i < s->n_nodes; i++) {
    if (refusals[i].final) {
      sched_refuse (&why[i], "Preemption is not helpful for scheduling", true);
      continue;
    }
    if (candidates < SCHED_PREEMPT_CANDIDATES_MAX && try_node (c, s->nodes[i], &one, &why[i])) {
      candidates++;
      if (!best.node || better (&one, &best))
        best = one;
    }
  }
  if (best.node) {
    ret->node = arena_strdup (c->arena, best.node->name);
    ret->victims = best.victims;
    ret->n_victims = best.count;
    ret->message = NULL;
    return;
  }
  ret->message = sched_fit_message (c->arena, why, s->n_nodes, s->n_nodes);
}
