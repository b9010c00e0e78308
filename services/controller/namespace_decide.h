#ifndef SERVICES_CONTROLLER_NAMESPACE_DECIDE_H
#define SERVICES_CONTROLLER_NAMESPACE_DECIDE_H

#include "base/clock.h"
#include "services/common/action.h"

struct namespace_content { /* a kind of which the namespace has objects, or (first) may have */
  const char *group, *version, *resource;
  size_t count;      /* all */
  size_t deleting;   /* of them already being deleted */
  const char *const *finalizers; /* what holds them, with counts; NULL-terminated, may be NULL */
};
struct namespace_input {
  const struct value *namespace_;
  const struct namespace_content *content;
  size_t count;
  bool first; /* content names every kind: all of it is asked to go, whether seen here yet or not */
  wall_t now;
};
/* Deletes what a namespace that is being deleted still has, then finalizes it; tells in its conditions what remains. */
void namespace_decide (const struct namespace_input *in, struct actions *as);

#endif
