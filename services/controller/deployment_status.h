/* The status half of deployment_decide.c. */
#ifndef SERVICES_CONTROLLER_DEPLOYMENT_STATUS_H
#define SERVICES_CONTROLLER_DEPLOYMENT_STATUS_H

#include "base/clock.h"
#include "services/common/action.h"

#define DEPLOYMENT_REVISION "deployment.kubernetes.io/revision"
#define DEPLOYMENT_HISTORY "deployment.kubernetes.io/revision-history"
#define DEPLOYMENT_DESIRED "deployment.kubernetes.io/desired-replicas"
#define DEPLOYMENT_MAX "deployment.kubernetes.io/max-replicas"

struct deployment_state { /* of one decision */
  const struct value *d;
  struct actions *as;
  wall_t now;
  struct value *current;  /* the set of the present template, or NULL */
  struct value *patch;    /* changes of current that are still to be sent */
  struct value *old;      /* the others, oldest first */
  int64_t replicas, max_surge, max_unavailable, total;
  int64_t revision;       /* of current; 0: unknown */
  bool recreate, paused;
  bool created, scaled, collided;
};
/* All replicas are up to date and available and no old one is left. */
bool deployment_complete (const struct deployment_state *s);
/* Adds the updates of the revision annotation and of the status. */
void deployment_status (struct deployment_state *s);

#endif
