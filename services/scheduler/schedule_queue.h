/* Pods that wait for a node: the ready ones by priority, then age; those that failed, with back-off (1 s doubling to 10 s);
   those that nothing but a change of the cluster can help, looked at again after 5 minutes at the latest. Pure: the caller
   gives the time. */
#ifndef SERVICES_SCHEDULER_SCHEDULE_QUEUE_H
#define SERVICES_SCHEDULER_SCHEDULE_QUEUE_H

#include "base/clock.h"
#include "base/map.h"

struct schedule_queue;
struct schedule_queue *schedule_queue_new (void);
void schedule_queue_free (struct schedule_queue *q);

/* A pending pod, new or changed: becomes ready, unless it is under way or in back-off. ERR_NOMEM. */
int schedule_queue_add (struct schedule_queue *q, const char *key, int64_t priority, mono_t now);
void schedule_queue_remove (struct schedule_queue *q, const char *key);
/* The next ready pod, now under way until one of the three below; NULL: none. The text lives until it is removed. */
const char *schedule_queue_pop (struct schedule_queue *q, mono_t now);
void schedule_queue_failed (struct schedule_queue *q, const char *key, mono_t now);        /* try again after back-off */
void schedule_queue_unschedulable (struct schedule_queue *q, const char *key, mono_t now); /* wait for a change */
/* The cluster changed so that waiting pods may fit: they become ready when their back-off ends. */
void schedule_queue_changed (struct schedule_queue *q, mono_t now);
/* Milliseconds until pop may give something; 0: now; -1: nothing waits. */
int64_t schedule_queue_wait_ms (const struct schedule_queue *q, mono_t now);
size_t schedule_queue_count (const struct schedule_queue *q);

#endif
