#ifndef SERVICES_CONTROLLER_DAEMONSET_DECIDE_H
#define SERVICES_CONTROLLER_DAEMONSET_DECIDE_H

#include "base/clock.h"
#include "services/common/action.h"

struct daemonset_input {
  const struct value *ds;
  const struct value *pods;      /* owned and orphans of the namespace */
  const struct value *nodes;
  const struct value *revisions; /* ControllerRevisions owned by it */
  wall_t now;
  uint64_t salt;
  size_t burst;
  const char *failure;
};
/* One pod on every node that is fit; rolling update within maxUnavailable or maxSurge; history as ControllerRevisions. */
void daemonset_decide (const struct daemonset_input *in, struct actions *as);
/* Whether the set's pods should run on the node, and go on running there (a NoSchedule taint stops the first only). */
void daemonset_fits (const struct value *ds, const struct value *node, bool *ret_run, bool *ret_continue);
/* Appends to spec.tolerations what every pod of a daemon set tolerates. */
void daemonset_add_tolerations (struct arena *a, struct value *spec);

#endif
