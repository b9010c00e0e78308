/* Who works on what: several instances at once, no key on two of them.

   Each instance keeps a Lease whose annotation publishes its view: the instances among which it divides the keys by
   rendezvous hashing. The rule: an instance works on a key only while its own published view gives the key to itself and
   the published view of no other live instance gives the key to that one. An instance changes its view in this order:
   stop starting work on keys that it will lose, wait until such work has ended, publish the new view, wait until its own
   copy of the leases holds that publication. Publications are ordered by revision, so of two that claim the same key the
   later sees the earlier (as in Dekker's lock), and no key is worked on twice at once; views converge because all of them
   follow the same leases.
   An instance that could not renew for SHARD_FENCE_MS stops by itself before the others declare it dead at SHARD_TTL_MS
   after the last renewal that they saw (in their own clock: clocks need not agree). The epoch is the revision of the own
   publication. */
#ifndef SERVICES_CONTROLLER_SHARD_H
#define SERVICES_CONTROLLER_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARD_RENEW_MS 2000
#define SHARD_FENCE_MS 7000
#define SHARD_TTL_MS 10000
#define SHARD_MEMBERS_MAX 32
#define SHARD_NAME_SIZE 64

struct shard_view { /* sorted names */
  char names[SHARD_MEMBERS_MAX][SHARD_NAME_SIZE];
  size_t count;
};
struct shard_instance { /* one lease as seen here */
  char name[SHARD_NAME_SIZE];
  int64_t seen_ms; /* monotonic time here of its last change */
  struct shard_view view;
};
struct shard_input {
  const char *self;
  const struct shard_instance *instances; /* all leases, the own one included when it is there */
  size_t count;
  int64_t now_ms;
};
/* The instances that are alive (self always is): what the own view should be. */
void shard_decide (const struct shard_input *in, struct shard_view *ret);
bool shard_view_equal (const struct shard_view *a, const struct shard_view *b);
void shard_view_add (struct shard_view *v, const char *name); /* keeps order and uniqueness; beyond the maximum: ignored */
/* "a,b,c" */
void shard_view_parse (const char *text, struct shard_view *ret);
const char *shard_view_format (const struct shard_view *v, char *out, size_t size);

/* The member of a view that a key belongs to; NULL for an empty view. */
const char *shard_owner (const struct shard_view *v, const char *controller, const char *key);
/* The rule above. published: the own view as published. */
bool shard_may_work (const struct shard_input *in, const struct shard_view *published, const char *controller, const char *key);

#endif
