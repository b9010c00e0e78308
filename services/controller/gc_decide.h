#ifndef SERVICES_CONTROLLER_GC_DECIDE_H
#define SERVICES_CONTROLLER_GC_DECIDE_H

#include "services/common/action.h"

enum gc_owner_state {
  GC_OWNER_SOLID,   /* there, and stays */
  GC_OWNER_ABSENT,  /* surely gone: no object of that name, or another uid */
  GC_OWNER_WAITING, /* being deleted in the foreground: waits for its dependents */
  GC_OWNER_UNKNOWN, /* its kind is not known here, or our copy is older than the dependent */
};
struct gc_dependent {
  const struct value *object;
  const char *group, *version, *resource;
};
struct gc_input {
  const struct value *object;
  const char *group, *version, *resource;
  const enum gc_owner_state *owners; /* one for each of metadata.ownerReferences */
  const struct gc_dependent *dependents; /* objects with an owner reference to object's uid */
  size_t n_dependents;
};
/* One object's part of garbage collection: without living owners it is deleted, references to absent ones are dropped
   when others live; being deleted itself, its finalizers "orphan" and "foregroundDeletion" are served. */
void gc_decide (const struct gc_input *in, struct actions *as);

#endif
