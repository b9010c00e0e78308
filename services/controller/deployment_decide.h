#ifndef SERVICES_CONTROLLER_DEPLOYMENT_DECIDE_H
#define SERVICES_CONTROLLER_DEPLOYMENT_DECIDE_H

#include "base/clock.h"
#include "services/common/action.h"

struct deployment_input {
  const struct value *deployment;
  const struct value *sets; /* ReplicaSets it owns and orphans of its namespace */
  const struct value *pods; /* of the namespace: for Recreate, which waits for those of old sets */
  wall_t now;
};
/* Adopts sets; makes, scales and cleans them up by the strategy; updates the status. */
void deployment_decide (const struct deployment_input *in, struct actions *as);

#endif
