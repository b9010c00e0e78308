/* An informer: a local, indexed copy of the objects of one stream, kept current by the bus. */
#ifndef SERVICES_COMMON_INFORMER_H
#define SERVICES_COMMON_INFORMER_H

#include "bus/bus.h"
#include "schemas/value.h"

struct object { /* immutable, reference counted (not across threads) */
  uint32_t refs;
  uint64_t revision; /* = resourceVersion */
  uint64_t cause;
  const char *key;   /* "namespace/name", or "name" for cluster-scoped ones */
  const char *namespace_, *name, *uid;
  const uint8_t *packed; /* msgpack, without resourceVersion */
  size_t len;
};
struct object *object_ref (struct object *o);
void object_unref (struct object *o); /* NULL allowed */
/* The object's tree in a, with metadata.resourceVersion set; NULL (a->failed) when out of memory. */
struct value *object_value (const struct object *o, struct arena *a);
/* One string field without building the tree, copied to out ("" when absent): object_field (pod, "spec.nodeName", buf, sizeof buf). */
const char *object_field (const struct object *o, const char *path, char *out, size_t size);

/* old NULL: added; new_ NULL: deleted (old is the last state; revision the deletion's). During a snapshot after a reconnect
   what changed is reported the same way, so a handler needs no special case. An informer is not freed from its callbacks. */
typedef void (*informer_change_cb) (void *arg, struct object *old, struct object *new_, uint64_t revision);
typedef void (*informer_synced_cb) (void *arg); /* first complete snapshot */
/* Puts the index keys of an object's tree into keys by calling add. */
typedef void (*informer_index_cb) (const struct value *obj, void (*add) (void *ctx, const char *key), void *ctx);

struct informer;
/* prefix: storage prefix of the resource ("pods", "deployments.apps"); stream NULL: all of them (= prefix), or an index
   stream ("@pods.spec.nodeName/n1") or "pods/default". */
struct informer *informer_new (struct bus_source *source, const char *prefix, const char *stream, informer_change_cb change,
                               informer_synced_cb synced, void *arg, struct err *err);
void informer_free (struct informer *i);
int informer_add_index (struct informer *i, const char *index, informer_index_cb cb); /* before the loop runs */
bool informer_synced (const struct informer *i);
uint64_t informer_revision (const struct informer *i);
size_t informer_count (const struct informer *i);
struct object *informer_get (const struct informer *i, const char *namespace_, const char *name); /* borrowed; NULL */
struct object *informer_get_key (const struct informer *i, const char *key);
/* In key order; NULL at the end. after NULL: the first. namespace_ NULL: all. */
struct object *informer_next (const struct informer *i, const char *namespace_, const struct object *after);
/* All objects under an index key. cb returns false to stop. */
void informer_by_index (const struct informer *i, const char *index, const char *key, bool (*cb) (void *arg, struct object *o), void *arg);

#endif
