/* The scheduler's decision for one pod: pure, from the index. */
#ifndef SERVICES_SCHEDULER_SCHEDULE_DECIDE_H
#define SERVICES_SCHEDULER_SCHEDULE_DECIDE_H

#include "services/scheduler/scheduler_cycle.h"

#define SCHED_VICTIMS_MAX 256
#define SCHED_PREEMPT_CANDIDATES_MAX 100

enum sched_verdict {
  SCHED_BIND,          /* to node */
  SCHED_UNSCHEDULABLE, /* message says why; node, when set, is nominated and victims are to be evicted */
  SCHED_GATED,         /* scheduling gates */
  SCHED_SKIP,          /* bound, ended, terminating or gone */
};
struct sched_result {
  enum sched_verdict verdict;
  const char *node;    /* in the arena; NULL: none */
  const char *message; /* upstream's words */
  struct sched_pod **victims; /* of the index */
  size_t n_victims;
};
/* ERR_NOMEM: nothing decided. The index is unchanged but for where the next search begins. */
int sched_decide (struct sched *s, const char *key, struct arena *a, struct sched_result *ret, struct err *err);

/* scheduler_preempt.c: refusals are those of s->nodes[i] for the nodes looked at (final or not). Sets node and victims, or
   the message that says why not ("preemption: ..."). */
struct sched_refusal;
void sched_preempt (struct sched_cycle *c, const struct sched_refusal *refusals, struct sched_result *ret);

/* "0/N nodes are available: 1 A, 2 B." from one refusal a node. */
const char *sched_fit_message (struct arena *a, const struct sched_refusal *refusals, size_t n, size_t n_nodes);

#endif
