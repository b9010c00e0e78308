#ifndef SERVICES_CONTROLLER_REPLICASET_DECIDE_H
#define SERVICES_CONTROLLER_REPLICASET_DECIDE_H

#include "base/clock.h"
#include "services/common/action.h"

struct replicaset_input {
  const struct value *rs;
  const struct value *pods; /* those it owns and orphans of its namespace */
  wall_t now;
  uint64_t salt;       /* for names */
  size_t burst;        /* pods made or deleted at most in one go; upstream's 500 */
  const char *failure; /* of the last try, for the condition ReplicaFailure; NULL: none */
};
/* Adopts and releases, updates the status, creates or deletes pods up to spec.replicas. */
void replicaset_decide (const struct replicaset_input *in, struct actions *as);
/* Whether pod a goes before pod b when pods are to be deleted (upstream's ActivePodsWithRanks); rank: pods on its node. */
int pod_deletion_order (const struct value *a, size_t rank_a, const struct value *b, size_t rank_b);

#endif
