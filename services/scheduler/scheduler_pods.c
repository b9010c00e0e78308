#include <math.h>

#include "services/scheduler/scheduler_cycle.h"

/* A preferred affinity of pods that run towards the incoming one counts by its weight; a required one by this.
   (kubernetes: hardPodAffinityWeight) */
#define HARD_AFFINITY_WEIGHT 1

/* ---- counters by topology pair ---- */

static const char *
pair (struct sched_cycle *c, const char *key, const char *value)
{
  return arena_printf (c->arena, "%s\1%s", key, value);
}

static int64_t
count_of (const struct map *m, const char *pair_)
{
  return m && pair_ ? (int64_t) (intptr_t) map_get (m, pair_) : 0;
}

static void
count_add (struct sched_cycle *c, struct map *m, const char *pair_, int64_t v)
{
  int64_t n = count_of (m, pair_) + v;
  if (!m || !pair_)
    c->failed = true;
  else if (n == 0)
    (void) map_delete (m, pair_);
  else if (map_set (m, pair_, (void *) (intptr_t) n) != 0)
    c->failed = true;
}

/* ---- matching ---- */

/* A term's own namespace rule: the listed ones and the selected ones; neither given: its pod's. */
static bool
term_namespace (const struct sched *s, const struct sched_term *t, const char *own, const char *ns)
{
  if (!value_count (t->namespaces) && !t->namespace_selector)
    return !strcmp (own, ns);
  for (value_items (t->namespaces, v))
    if (value_string_is (*v, ns))
      return true;
  if (t->namespace_selector) {
    const struct sched_namespace *view = map_get (s->namespaces, ns);
    return selector_matches (t->namespace_selector, view ? view->labels : NULL);
  }
  return false;
}

static bool
term_matches (const struct sched *s, const struct sched_term *t, const struct sched_pod *owner, const struct sched_pod *p)
{
  return !t->invalid && t->selector && term_namespace (s, t, owner->namespace_, p->namespace_) && selector_matches (t->selector, p->labels);
}

static bool
matches_all (const struct sched *s, const struct sched_terms *terms, const struct sched_pod *owner, const struct sched_pod *p)
{
  for (size_t i = 0; i < terms->count; i++)
    if (!term_matches (s, &terms->items[i], owner, p))
      return false;
  return terms->count > 0;
}

static bool
spread_matches (const struct sched_spread *t, const struct sched_pod *owner, const struct sched_pod *p)
{
  if (p->away || p->terminating || strcmp (owner->namespace_, p->namespace_) != 0)
    return false;
  return t->by_owner ? !strcmp (owner->owner_uid, p->owner_uid) : t->selector && selector_matches (t->selector, p->labels);
}

/* ---- preparation ---- */

static void
prepare_affinity_node (struct sched_cycle *c, const struct sched_node *n)
{
  const struct sched_pod *p = c->pod;
  bool own = p->affinity.count || p->anti_affinity.count;
  for (size_t i = 0; (own || n->n_with_anti) && i < n->n_pods; i++) {
    const struct sched_pod *q = n->pods[i];
    const char *v;
    if (q->away)
      continue;
    for (size_t t = 0; t < q->anti_affinity.count; t++)
      if ((v = sched_label (n->labels, q->anti_affinity.items[t].topology_key)) && term_matches (c->s, &q->anti_affinity.items[t], q, p))
        count_add (c, c->existing_anti, pair (c, q->anti_affinity.items[t].topology_key, v), 1);
    if (matches_all (c->s, &p->affinity, p, q))
      for (size_t t = 0; t < p->affinity.count; t++)
        if ((v = sched_label (n->labels, p->affinity.items[t].topology_key)))
          count_add (c, c->affinity, pair (c, p->affinity.items[t].topology_key, v), 1);
    for (size_t t = 0; t < p->anti_affinity.count; t++)
      if ((v = sched_label (n->labels, p->anti_affinity.items[t].topology_key)) && term_matches (c->s, &p->anti_affinity.items[t], p, q))
        count_add (c, c->anti, pair (c, p->anti_affinity.items[t].topology_key, v), 1);
  }
}

/* Does the node count for the constraint's domains? All of the pod's keys must be there. */
static bool
spread_counts_node (const struct sched_pod *p, const struct sched_spread *t, const struct sched_node *n)
{
  for (size_t i = 0; i < p->n_spreads; i++)
    if (p->spreads[i].hard == t->hard && !p->spreads[i].by_owner && !sched_label (n->labels, p->spreads[i].topology_key))
      return false;
  if (!sched_label (n->labels, t->topology_key))
    return false;
  return (!t->honor_affinity || sched_node_selected (p, n)) && (!t->honor_taints || !sched_untolerated (p, n));
}

static void
prepare_spread (struct sched_cycle *c, size_t at)
{
  const struct sched_pod *p = c->pod;
  const struct sched_spread *t = &p->spreads[at];
  struct map *m = c->spread[at] = map_new (NULL);
  int64_t least = INT64_MAX;
  void *v;
  for (size_t i = 0; i < c->s->n_nodes; i++) {
    const struct sched_node *n = c->s->nodes[i];
    const char *domain = sched_label (n->labels, t->topology_key);
    int64_t matching = 0;
    if (!spread_counts_node (p, t, n))
      continue;
    for (size_t j = 0; j < n->n_pods; j++)
      matching += spread_matches (t, p, n->pods[j]);
    count_add (c, m, domain, matching + (count_of (m, domain) == 0)); /* one more, so that an empty domain exists */
  }
  for (size_t it = 0; m && map_next (m, &it, NULL, &v);)
    if ((int64_t) (intptr_t) v - 1 < least)
      least = (int64_t) (intptr_t) v - 1;
  c->spread_min[at] = !m || map_count (m) == 0 || (int64_t) map_count (m) < t->min_domains ? 0 : least;
}

int
sched_pods_prepare (struct sched_cycle *c)
{
  struct sched_pod *p = c->pod;
  if (p->affinity.count || p->anti_affinity.count || c->s->n_with_anti) {
    c->existing_anti = map_new (NULL);
    c->affinity = map_new (NULL);
    c->anti = map_new (NULL);
    c->self_affine = matches_all (c->s, &p->affinity, p, p);
    for (size_t i = 0; i < c->s->n_nodes; i++)
      prepare_affinity_node (c, c->s->nodes[i]);
  }
  if (p->n_spreads) {
    c->spread = arena_zalloc (c->arena, p->n_spreads * sizeof *c->spread);
    c->spread_min = arena_zalloc (c->arena, p->n_spreads * sizeof *c->spread_min);
    for (size_t i = 0; c->spread && c->spread_min && i < p->n_spreads; i++)
      prepare_spread (c, i);
  }
  return c->failed || !arena_ok (c->arena) ? ERR_NOMEM : 0;
}

/* ---- filters ---- */

void
sched_pods_filter_spread (struct sched_cycle *c, const struct sched_node *n, struct sched_refusal *ret)
{
  const struct sched_pod *p = c->pod;
  for (size_t i = 0; c->spread && i < p->n_spreads; i++) {
    const struct sched_spread *t = &p->spreads[i];
    const char *domain = sched_label (n->labels, t->topology_key);
    int64_t matching;
    if (!t->hard)
      continue;
    if (!domain) {
      sched_refuse (ret, "node(s) didn't match pod topology spread constraints (missing required label)", true);
      return;
    }
    matching = count_of (c->spread[i], domain);
    if (matching > 0)
      matching--;
    if (matching + (t->selector && selector_matches (t->selector, p->labels)) - c->spread_min[i] > t->max_skew) {
      sched_refuse (ret, "node(s) didn't match pod topology spread constraints", false);
      return;
    }
  }
}

static bool
affinity_satisfied (struct sched_cycle *c, const struct sched_node *n)
{
  const struct sched_pod *p = c->pod;
  bool all = true;
  for (size_t i = 0; i < p->affinity.count; i++) {
    const char *key = p->affinity.items[i].topology_key, *v = sched_label (n->labels, key);
    if (!v)
      return false;
    all = all && count_of (c->affinity, pair (c, key, v)) > 0;
  }
  /* The first pod of a group that wants its own company may go anywhere. */
  return all || (map_count (c->affinity) == 0 && c->self_affine);
}

void
sched_pods_filter_affinity (struct sched_cycle *c, const struct sched_node *n, struct sched_refusal *ret)
{
  const struct sched_pod *p = c->pod;
  const char *v;
  if (!c->affinity)
    return;
  if (!affinity_satisfied (c, n)) {
    sched_refuse (ret, "node(s) didn't match pod affinity rules", true);
    return;
  }
  for (size_t i = 0; i < p->anti_affinity.count; i++)
    if ((v = sched_label (n->labels, p->anti_affinity.items[i].topology_key))
        && count_of (c->anti, pair (c, p->anti_affinity.items[i].topology_key, v)) > 0) {
      sched_refuse (ret, "node(s) didn't match pod anti-affinity rules", false);
      return;
    }
  if (map_count (c->existing_anti) == 0)
    return;
  for (value_each (n->labels, m))
    if (count_of (c->existing_anti, pair (c, m->key, value_as_string (m->value, ""))) > 0) {
      sched_refuse (ret, "node(s) didn't satisfy existing pods anti-affinity rules", false);
      return;
    }
}

/* ---- scores ---- */

static void
score_terms (struct sched_cycle *c, const struct sched_terms *terms, const struct sched_pod *owner, const struct sched_pod *target,
             const struct sched_node *n, int64_t sign, bool hard)
{
  for (size_t i = 0; i < terms->count; i++) {
    const struct sched_term *t = &terms->items[i];
    const char *v = sched_label (n->labels, t->topology_key);
    if (v && term_matches (c->s, t, owner, target))
      count_add (c, c->pair_scores, pair (c, t->topology_key, v), sign * (hard ? HARD_AFFINITY_WEIGHT : t->weight));
  }
}

void
sched_pods_score_affinity (struct sched_cycle *c, struct sched_node *const *nodes, size_t n, int64_t *out)
{
  struct sched_pod *p = c->pod;
  bool own = p->preferred_affinity.count || p->preferred_anti_affinity.count;
  int64_t low = INT64_MAX, high = INT64_MIN;
  for (size_t i = 0; i < n; i++)
    out[i] = 0;
  if (!own && !c->s->n_with_affinity)
    return;
  c->pair_scores = map_new (NULL);
  for (size_t i = 0; i < c->s->n_nodes; i++) {
    const struct sched_node *node = c->s->nodes[i];
    for (size_t j = 0; (own || node->n_with_affinity) && j < node->n_pods; j++) {
      struct sched_pod *q = node->pods[j];
      if (q->away)
        continue;
      score_terms (c, &p->preferred_affinity, p, q, node, 1, false);
      score_terms (c, &p->preferred_anti_affinity, p, q, node, -1, false);
      score_terms (c, &q->affinity, q, p, node, 1, true);
      score_terms (c, &q->preferred_affinity, q, p, node, 1, false);
      score_terms (c, &q->preferred_anti_affinity, q, p, node, -1, false);
    }
  }
  if (!c->pair_scores || map_count (c->pair_scores) == 0)
    return;
  for (size_t i = 0; i < n; i++) {
    for (value_each (nodes[i]->labels, m))
      out[i] += count_of (c->pair_scores, pair (c, m->key, value_as_string (m->value, "")));
    low = out[i] < low ? out[i] : low;
    high = out[i] > high ? out[i] : high;
  }
  for (size_t i = 0; i < n; i++)
    out[i] = high > low ? 100 * (out[i] - low) / (high - low) : 0;
}

void
sched_pods_score_spread (struct sched_cycle *c, struct sched_node *const *nodes, size_t n, int64_t *out)
{
  const struct sched_pod *p = c->pod;
  int64_t low = INT64_MAX, high = INT64_MIN;
  bool any = false;
  for (size_t i = 0; i < n; i++)
    out[i] = 0;
  for (size_t i = 0; c->spread && i < p->n_spreads; i++)
    any = any || !p->spreads[i].hard;
  if (!any)
    return;
  for (size_t i = 0; i < n; i++) {
    double score = 0;
    bool missing = false;
    for (size_t t = 0; t < p->n_spreads; t++) {
      const char *domain = sched_label (nodes[i]->labels, p->spreads[t].topology_key);
      int64_t matching = domain ? count_of (c->spread[t], domain) : 0;
      if (p->spreads[t].hard)
        continue;
      missing = missing || (!domain && !p->spreads[t].by_owner);
      if (domain)
        score += (double) (matching > 0 ? matching - 1 : 0) * log ((double) map_count (c->spread[t]) + 2) + (double) (p->spreads[t].max_skew - 1);
    }
    out[i] = missing ? -1 : (int64_t) (score + 0.5);
    if (missing)
      continue;
    low = out[i] < low ? out[i] : low;
    high = out[i] > high ? out[i] : high;
  }
  for (size_t i = 0; i < n; i++)
    out[i] = out[i] < 0 ? 0 : high == 0 ? 100 : 100 * (high + low - out[i]) / high;
}
