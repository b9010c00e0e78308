#ifndef SERVICES_CONTROLLER_NODE_DECIDE_H
#define SERVICES_CONTROLLER_NODE_DECIDE_H

#include "base/clock.h"
#include "services/common/action.h"

struct node_input {
  const struct value *node;
  const struct value *lease; /* of kube-node-lease; NULL: none */
  const struct value *pods;  /* on the node */
  wall_t now;
  int64_t grace_s;
};
/* A node that is not heard of becomes Unknown; conditions become taints; pods that do not tolerate NoExecute taints are
   evicted when their time is over. */
void node_decide (const struct node_input *in, struct actions *as);

struct pod_gc_input {
  const struct value *pods;  /* bound to the node that is gone */
  int64_t gone_ms;           /* for how long it has been seen gone */
  int64_t quarantine_ms;     /* upstream's 40 s: a node may register again */
};
void pod_gc_decide (const struct pod_gc_input *in, struct actions *as);
/* Of the ended pods the oldest go when there are more than threshold (0: all are kept). */
void terminated_pods_decide (const struct value *ended, int64_t threshold, struct actions *as);

#endif
