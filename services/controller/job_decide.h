#ifndef SERVICES_CONTROLLER_JOB_DECIDE_H
#define SERVICES_CONTROLLER_JOB_DECIDE_H

#include "base/clock.h"
#include "services/common/action.h"

#define JOB_FINALIZER "batch.kubernetes.io/job-tracking"
#define JOB_INDEX "batch.kubernetes.io/job-completion-index"

struct job_input {
  const struct value *job;
  const struct value *pods; /* owned and orphans of the namespace */
  wall_t now;
  uint64_t salt;
  size_t burst;
  const char *failure;
};
/* Counts ended pods exactly once (first noted in status.uncountedTerminatedPods, then their finalizer goes, then they are
   counted), makes and deletes pods, and decides whether the job is complete or failed. */
void job_decide (const struct job_input *in, struct actions *as);
/* Lets go of pods whose job is gone. */
void job_release (const struct value *pods, struct actions *as);

/* Sets of completion indexes as in status.completedIndexes, "0-3,7". seen has total flags. */
void job_indexes_parse (const char *text, bool *seen, int64_t total);
const char *job_indexes_format (struct arena *a, const bool *seen, int64_t total);

#endif
