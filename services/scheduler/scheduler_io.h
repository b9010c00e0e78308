/* The scheduler as a process: informers feed the index and the queue, decisions become bindings, evictions, conditions and
   events. */
#ifndef SERVICES_SCHEDULER_SCHEDULER_IO_H
#define SERVICES_SCHEDULER_SCHEDULER_IO_H

#include "services/common/service.h"

struct scheduler_config {
  const char *scheduler_name; /* spec.schedulerName of the pods that it places */
  int64_t max_binding;        /* bindings under way at most */
};
struct scheduler;
struct scheduler *scheduler_open (struct service_context *ctx, struct err *err);
void scheduler_close (struct scheduler *s); /* NULL allowed */

#endif
