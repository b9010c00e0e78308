/* Which changes led to those of one object, and which followed from them: a pure function over the change log. */
#ifndef SERVICES_CTL_TRACE_DECIDE_H
#define SERVICES_CTL_TRACE_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct trace_change {
  uint64_t revision, cause; /* cause 0: none */
  int64_t time_us;
  const char *verb;  /* "create", "update", "delete" */
  const char *key, *actor;
};
struct trace_line {
  const struct trace_change *change;
  uint32_t depth; /* 0: a root */
  bool target;    /* a change of the object asked for */
};
/* changes (n of them, in the order of the log) as a forest in printing order: the changes of key, all that they caused, and all
   that led to them. Changes of one transaction share their revision and stand side by side; what a transaction caused follows
   its last change. A cause that is not in the log (compacted, or not before its effect) makes a root. ret_lines lives in a.
   ERR_NOMEM; ERR_INVALID when revisions fall. No change of key: zero lines. */
int trace_decide (struct arena *a, const struct trace_change *changes, size_t n, const char *key, struct trace_line **ret_lines,
                  size_t *ret_count, struct err *err);

#endif
