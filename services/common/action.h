/* What a decider returns: API requests to make, in order, and events to record. Pure data in an arena; carried out by
   services/common/action.c. */
#ifndef SERVICES_COMMON_ACTION_H
#define SERVICES_COMMON_ACTION_H

#include "services/common/api.h"

struct action {
  struct api_request request;    /* strings and trees in the arena; deadline 0 */
  bool ignore_not_found;         /* a 404 counts as done (deletes) */
  bool ignore_exists;            /* a 409 AlreadyExists counts as done (creates that are idempotent by name) */
  bool best_effort;              /* whatever comes of it counts as done (events) */
  bool event;                    /* made by actions_event: name and times are filled in when it is carried out, and one that
                                    says the same again counts up instead */
  bool together;                 /* may run beside its neighbours that say so too: 1, 2, 4, ... at a time, as upstream's slow start */
  bool with_previous;            /* runs only after the one before it succeeded, as one step with it */
};
struct actions {
  struct arena *arena;
  struct action *items;
  size_t count, cap;
  int64_t requeue_after_ms;      /* look at this key again then at the latest; 0: no need */
};
void actions_init (struct actions *as, struct arena *a);
/* Appends a zeroed action to fill; never NULL (a spare one when out of memory, arena->failed). */
struct action *actions_add (struct actions *as);
void actions_requeue (struct actions *as, int64_t after_ms); /* keeps the soonest */
/* Shorthands. resource tokens are constant strings; trees are not copied. */
struct action *actions_create (struct actions *as, const char *group, const char *version, const char *resource, const char *namespace_, const struct value *body);
struct action *actions_update (struct actions *as, const char *group, const char *version, const char *resource, const char *subresource, const struct value *body);
struct action *actions_patch (struct actions *as, const char *group, const char *version, const char *resource, const char *subresource, const char *namespace_, const char *name, const char *patch_type, const struct value *patch);
struct action *actions_delete (struct actions *as, const char *group, const char *version, const char *resource, const char *namespace_, const char *name, const char *uid /* precondition or NULL */);
/* An Event about obj: type Normal or Warning. */
void actions_event (struct actions *as, const struct value *obj, const char *type, const char *reason, const char *component, const char *fmt, ...)
    __attribute__ ((format (printf, 6, 7)));

/* Carries the actions out one after another (but see together), starting none after one failed; cb is told the index of the
   first that failed (count when all were done), its HTTP code (0: transport) and text. The actions are copied before it
   returns; cb may be called before it returns. Each request without a cause of its own gets cause. */
typedef void (*actions_done_cb) (void *arg, size_t done, int code, const char *text);
void actions_run (struct api_client *api, const struct actions *as, uint64_t cause, actions_done_cb cb, void *arg);
/* The same, telling each answer that came (code < 400) too, so that a caller can wait until it sees its own writes. */
typedef void (*actions_answer_cb) (void *arg, const struct action *a, int code, const struct value *object);
void actions_run_watched (struct api_client *api, const struct actions *as, uint64_t cause, actions_answer_cb answer,
                          actions_done_cb cb, void *arg);

#endif
