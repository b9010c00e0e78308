#include "services/scheduler/schedule_decide.h"

#define ENOUGH_MIN 100  /* feasible nodes that are always looked for */
#define PERCENT_MIN 5

struct tally {
  const char *reason;
  size_t count;
};

/* Upstream sorts the texts "1 A", "2 B" as strings. */
static int
by_text (const void *a, const void *b)
{
  const char *const *x = a, *const *y = b;
  return strcmp (*x, *y);
}

const char *
sched_fit_message (struct arena *a, const struct sched_refusal *refusals, size_t n, size_t n_nodes)
{
  AUTO_BUF struct buf out = BUF_INIT;
  size_t n_tally = 0, most = n * SCHED_REASONS_MAX;
  struct tally *tally = arena_zalloc (a, (most + 1) * sizeof *tally);
  const char **texts = arena_zalloc (a, (most + 1) * sizeof *texts);
  if (!tally || !texts)
    return NULL;
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < refusals[i].count; j++) {
      size_t k = 0;
      while (k < n_tally && strcmp (tally[k].reason, refusals[i].reasons[j]) != 0)
        k++;
      tally[k].reason = refusals[i].reasons[j];
      tally[k].count++;
      n_tally = k == n_tally ? n_tally + 1 : n_tally;
    }
  for (size_t i = 0; i < n_tally; i++)
    if (!(texts[i] = arena_printf (a, "%zu %s", tally[i].count, tally[i].reason)))
      return NULL;
  qsort (texts, n_tally, sizeof *texts, by_text);
  buf_printf (&out, "0/%zu nodes are available:", n_nodes);
  for (size_t i = 0; i < n_tally; i++)
    buf_printf (&out, "%s %s", i ? "," : "", texts[i]);
  buf_append_str (&out, n_tally ? "." : "");
  return arena_strdup (a, buf_cstr (&out));
}

/* How many feasible nodes end the search. (kubernetes: numFeasibleNodesToFind) */
static size_t
enough (size_t n_nodes)
{
  size_t percent = 50 > n_nodes / 125 ? 50 - n_nodes / 125 : 0, n;
  if (n_nodes <= ENOUGH_MIN)
    return n_nodes;
  n = n_nodes * (percent < PERCENT_MIN ? PERCENT_MIN : percent) / 100;
  return n < ENOUGH_MIN ? ENOUGH_MIN : n;
}

/* Among equal scores the choice follows from pod and node alone: spread, and the same on every run. */
static const struct sched_node *
pick (const struct sched_pod *p, struct sched_node *const *nodes, size_t n, const int64_t *score)
{
  uint64_t seed = hash_bytes (p->uid, strlen (p->uid), hash_bytes (p->key, strlen (p->key), 0)), best_draw = 0;
  const struct sched_node *best = NULL;
  int64_t most = 0;
  for (size_t i = 0; i < n; i++) {
    uint64_t draw = hash_bytes (nodes[i]->name, strlen (nodes[i]->name), seed);
    if (!best || score[i] > most || (score[i] == most && draw > best_draw)) {
      best = nodes[i];
      most = score[i];
      best_draw = draw;
    }
  }
  return best;
}

static void
place (struct sched_cycle *c, struct sched_result *ret)
{
  struct sched *s = c->s;
  struct arena *a = c->arena;
  struct sched_refusal *refusals = arena_zalloc (a, (s->n_nodes + 1) * sizeof *refusals);
  struct sched_node **fit = arena_zalloc (a, (s->n_nodes + 1) * sizeof *fit);
  int64_t *score = arena_zalloc (a, (s->n_nodes + 1) * sizeof *score);
  size_t n_fit = 0, want = enough (s->n_nodes), looked = 0;
  const struct sched_node *nominated = *c->pod->nominated ? map_get (s->nodes_by_name, c->pod->nominated) : NULL;
  if (!refusals || !fit || !score)
    return;
  if (nominated && !nominated->ghost) {
    struct sched_refusal r;
    sched_filter (c, nominated, &r);
    if (!r.count) {
      ret->verdict = SCHED_BIND;
      ret->node = arena_strdup (a, nominated->name);
      return;
    }
  }
  for (; looked < s->n_nodes && n_fit < want; looked++) {
    size_t i = (s->start + looked) % s->n_nodes;
    sched_filter (c, s->nodes[i], &refusals[i]);
    if (!refusals[i].count)
      fit[n_fit++] = s->nodes[i];
  }
  s->start = s->n_nodes ? (s->start + looked) % s->n_nodes : 0;
  if (n_fit > 0) {
    if (n_fit > 1)
      sched_score (c, fit, n_fit, score);
    ret->verdict = SCHED_BIND;
    ret->node = arena_strdup (a, pick (c->pod, fit, n_fit, score)->name);
    return;
  }
  ret->verdict = SCHED_UNSCHEDULABLE;
  ret->message = "no nodes available to schedule pods";
  if (s->n_nodes > 0) {
    const char *fit_message = sched_fit_message (a, refusals, s->n_nodes, s->n_nodes);
    sched_preempt (c, refusals, ret);
    ret->message = ret->message ? arena_printf (a, "%s preemption: %s", fit_message ? fit_message : "", ret->message) : fit_message;
  }
}

int
sched_decide (struct sched *s, const char *key, struct arena *a, struct sched_result *ret, struct err *err)
{
  struct sched_pod *p = sched_pod_get (s, key);
  struct sched_cycle c;
  struct sched_result r = { .verdict = SCHED_SKIP };
  bool ok = true;
  if (p && p->gated && !p->node && !p->terminating && !p->ended) {
    r.verdict = SCHED_GATED;
    r.message = "Scheduling is blocked due to non-empty scheduling gates";
  } else if (p && !p->node && !*p->node_name && !p->terminating && !p->ended) {
    ok = sched_cycle_init (&c, s, p, a) == 0;
    if (ok)
      place (&c, &r);
    ok = ok && !c.failed;
    sched_cycle_done (&c);
  }
  if (!ok || !arena_ok (a))
    return err_set (err, ERR_NOMEM, "schedule pod %s", key);
  *ret = r;
  return 0;
}
