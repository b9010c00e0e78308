/* From trees of the API to the index's structs. */
#ifndef SERVICES_SCHEDULER_SCHEDULER_PARSE_H
#define SERVICES_SCHEDULER_SCHEDULER_PARSE_H

#include "services/scheduler/scheduler_index.h"

/* A new pod, not charged anywhere; NULL when out of memory. */
struct sched_pod *sched_pod_parse (const struct value *pod);
void sched_pod_free (struct sched_pod *p); /* NULL allowed */
/* Fills the facts of n (name to allocatable_pods, images) from the tree, in n->arena (initialised). False: out of memory. */
bool sched_node_parse (struct sched_node *n, const struct value *node);

#endif
