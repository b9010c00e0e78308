/* One attempt to place one pod: what is computed once for all nodes, then asked node by node. Pure. */
#ifndef SERVICES_SCHEDULER_SCHEDULER_CYCLE_H
#define SERVICES_SCHEDULER_SCHEDULER_CYCLE_H

#include "services/scheduler/scheduler_index.h"

#define SCHED_REASONS_MAX 8 /* of one node: more are dropped */
struct sched_refusal {      /* why a node does not do; count 0: it does */
  const char *reasons[SCHED_REASONS_MAX]; /* in the cycle's arena or constant */
  size_t count;
  bool final; /* evicting pods cannot help */
};

struct sched_cycle {
  struct sched *s;
  struct sched_pod *pod;
  struct arena *arena;
  /* "key\1value" of topology -> count */
  struct map *existing_anti, *affinity, *anti; /* pods that refuse us; that we want; that we refuse */
  bool self_affine;                            /* the pod matches all of its own affinity terms */
  struct map **spread;                         /* one a constraint: domain -> matching pods + 1 */
  int64_t *spread_min;
  struct map *pair_scores;                     /* inter-pod score of a topology pair */
  bool failed;                                 /* out of memory */
};
/* ERR_NOMEM. Done must be called in either case. */
int sched_cycle_init (struct sched_cycle *c, struct sched *s, struct sched_pod *pod, struct arena *a);
void sched_cycle_done (struct sched_cycle *c);

/* All filters in upstream's order; the first that refuses gives the reasons. */
void sched_filter (struct sched_cycle *c, const struct sched_node *n, struct sched_refusal *ret);

/* Scores the feasible nodes 0..; upstream's default plugins and weights. total has n entries. */
void sched_score (struct sched_cycle *c, struct sched_node *const *nodes, size_t n, int64_t *total);

/* scheduler_pods.c: the filters and scores that look at other pods. */
int sched_pods_prepare (struct sched_cycle *c);
void sched_pods_filter_spread (struct sched_cycle *c, const struct sched_node *n, struct sched_refusal *ret);
void sched_pods_filter_affinity (struct sched_cycle *c, const struct sched_node *n, struct sched_refusal *ret);
void sched_pods_score_affinity (struct sched_cycle *c, struct sched_node *const *nodes, size_t n, int64_t *out);
void sched_pods_score_spread (struct sched_cycle *c, struct sched_node *const *nodes, size_t n, int64_t *out);

/* scheduler_filter.c */
bool sched_node_selected (const struct sched_pod *p, const struct sched_node *n); /* nodeSelector and required node affinity */
bool sched_node_term_matches (const struct value *term, const struct sched_node *n);
const struct value *sched_untolerated (const struct sched_pod *p, const struct sched_node *n); /* first taint that refuses; NULL */
void sched_refuse (struct sched_refusal *r, const char *reason, bool final);

#endif
