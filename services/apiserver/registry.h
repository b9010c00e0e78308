/* The generic registry: what the verbs do to stored objects. One core changes objects: registry_modify maps what is there to
   what shall be, and writes under a comparison of the mod revision, again and again until nobody came between. */
#ifndef SERVICES_APISERVER_REGISTRY_H
#define SERVICES_APISERVER_REGISTRY_H

#include "services/apiserver/pipeline.h"

#define REGISTRY_ATTEMPTS_MAX 64
#define REGISTRY_EXTRA_MAX 24 /* allocations beside one object's write */

/* ---- verbs; each answers rq ---- */
void registry_get (struct request *rq);
void registry_list (struct request *rq);  /* list.c */
void registry_watch (struct request *rq); /* watch.c */
void registry_create (struct request *rq);
void registry_update (struct request *rq); /* object or status */
void registry_patch (struct request *rq);
void registry_delete (struct request *rq);
void registry_delete_collection (struct request *rq);
void registry_subresource (struct request *rq); /* scale binding eviction finalize ephemeralcontainers resize */

/* ---- the core ---- */
enum registry_outcome {
  REGISTRY_FAIL,   /* a status_ function was called (it is held back, and dropped when the object was stale) */
  REGISTRY_SAME,   /* nothing to write; the answer is *ret_new */
  REGISTRY_PUT,    /* write *ret_new */
  REGISTRY_DELETE, /* the object goes; the answer is *ret_new */
};
struct registry_op;
/* live: a tree of its own with resourceVersion, NULL when absent (only when create_allowed). */
typedef enum registry_outcome (*registry_change_fn) (struct registry_op *op, struct value *live, struct value **ret_new);
/* The change is made (or there was none); obj carries its resourceVersion. Answers the request. */
typedef void (*registry_done_fn) (struct registry_op *op, struct value *obj, bool deleted);

struct registry_op { /* in the request's arena; zeroed, then filled by the verb */
  struct request *rq;
  const struct schema_kind *kind; /* of the object; for the subresources of pods rq->kind is the same */
  const char *key, *name, *namespace_;
  registry_change_fn change;
  registry_done_fn done;
  void *arg;
  bool create_allowed; /* change is called with NULL when there is none: PUT and apply may create */
  bool dry_run;
  /* the core's */
  struct value *live, *result;
  uint64_t live_revision;
  const struct cached *tried; /* revision tried from the cache, for comparison only */
  bool from_cache, created;
  int attempts;
  enum registry_outcome outcome;
  /* further compares and writes of the same transaction (allocations), reset before each change call */
  struct store_compare extra_compares[REGISTRY_EXTRA_MAX];
  struct store_op extra_ops[REGISTRY_EXTRA_MAX];
  size_t n_extra_compares, n_extra_ops;
};
void registry_modify (struct registry_op *op);
struct registry_op *registry_op_new (struct request *rq, const char *name); /* NULL: answered */
/* Answers 200 (201 when it was created) with the object. */
void registry_done_object (struct registry_op *op, struct value *obj, bool deleted);

/* ---- keys and trees ---- */
const char *registry_key (struct arena *a, const struct schema_kind *k, const char *namespace_, const char *name);
const char *registry_prefix (struct arena *a, const struct schema_kind *k);
/* The object of a kind in the cache as a tree; NULL when absent. */
struct value *registry_cached (struct apiserver *s, struct arena *a, const char *prefix, const char *namespace_, const char *name);
struct value *registry_tree (struct arena *a, const struct cached *o); /* NULL: memory */
/* Puts apiVersion and kind of the request's version; resourceVersion from revision. */
void registry_set_revision (struct arena *a, struct value *obj, uint64_t revision);
const char *registry_now (struct arena *a);
const char *registry_uid (struct arena *a); /* a random UUID */

/* The object as stored: without resourceVersion. */
void registry_pack (struct arena *a, const struct value *obj, struct buf *out);
const char *const *registry_index_streams (struct arena *a, const struct schema_kind *k, const struct value *obj);

/* Names what changed in managedFields, as a create, update or patch. false: answered. */
bool registry_track (struct registry_op *op, const struct value *live, struct value *obj);
/* The checks and fields of a new object, everything up to the write. false: answered. */
bool registry_prepare_create (struct registry_op *op, struct value *obj);
/* Keeps what an update may not change, counts the generation, validates, admits, tracks managers. obj is changed in place.
   track: managedFields are to be computed (not after apply). */
enum registry_outcome registry_prepare_update (struct registry_op *op, struct value *live, struct value *obj, const char *subresource,
                                               bool track);

/* Deletes op's object; options may be NULL. */
struct delete_options {
  int64_t grace_s; /* -1: the object's own */
  const char *propagation; /* "" default, Background, Foreground, Orphan */
  const char *uid, *revision; /* preconditions, "" none */
};
enum registry_outcome registry_delete_change (struct registry_op *op, struct value *live, struct value **ret_new);
/* Reads DeleteOptions from body, rq->options and query. false: answered. */
bool registry_delete_options (struct request *rq, struct delete_options *ret);
/* Deletes one object without answering rq: for deletecollection; cb gets 0 or the error's code. op->arg: its delete_options */

/* Waits until reads may be answered from the cache after resourceVersion's rule ("": as new as the store is now; "0": any;
   N: at least N), then calls cb. Answers itself when it cannot (503, 504). */
void registry_when_fresh (struct request *rq, const char *resource_version, void (*cb) (struct request *rq));

#endif
