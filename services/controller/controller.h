/* A controller is one struct controller: what it reads, how a changed object maps to keys of its own, and how one key is
   synchronised. sync gathers a snapshot from the informers, calls a pure decider (<x>_decide.h) and returns; the manager
   carries the actions out and calls sync for the same key again only when that has ended AND the informers hold what was
   written (so a decider never sees a state from before its own writes, and needs no expectations).

   Informers are named by storage prefix, "pods", or by prefix and namespace, "leases.coordination.k8s.io/kube-node-lease". */
#ifndef SERVICES_CONTROLLER_CONTROLLER_H
#define SERVICES_CONTROLLER_CONTROLLER_H

#include "base/clock.h"
#include "services/common/action.h"
#include "services/common/informer.h"
#include "services/common/service.h"

struct manager;

struct controller_config { /* the program's options */
  const char *instance;
  const char *root_ca_file;
  struct service_list controllers; /* "*", names, "-name" */
  int64_t node_grace_s;            /* a node whose lease is older is Unknown */
  int64_t terminated_pods_max;
  int64_t workers;
};

/* Reading the informers. Trees are made in the arena, resourceVersion set, never NULL inside arrays. */
struct view {
  struct manager *manager;
  struct arena *arena;
};
struct value *view_get (const struct view *v, const char *informer, const char *namespace_, const char *name); /* NULL: absent */
struct value *view_list (const struct view *v, const char *informer, const char *namespace_);                  /* NULL: of all */
/* Calls cb for each object of the informer, its tree alive during the call only: for whole kinds. */
void view_each (const struct view *v, const char *informer, void (*cb) (void *arg, const struct value *o), void *arg);
/* Indexes: "owner": by the uid of each owner reference, and "~NAMESPACE" for objects without a controller; "node": pods by
   spec.nodeName. */
struct value *view_indexed (const struct view *v, const char *informer, const char *index, const char *key);
uint64_t view_revision (const struct view *v, const char *informer);
size_t view_informers (const struct view *v);                  /* how many there are, */
const char *view_informer_name (const struct view *v, size_t i); /* and their names */

struct mapping { /* one change, given to map */
  struct view view;
  const char *informer;
  const struct value *old, *new_; /* old NULL: added; new_ NULL: deleted */
  uint64_t revision;
  const struct controller *controller;
};
void mapping_add (struct mapping *m, const char *namespace_, const char *name); /* namespace_ NULL or "": "name" */
void mapping_add_key (struct mapping *m, const char *key);
/* The controller reference's owner, of the old and the new state, when it is of that kind (group before the slash of
   apiVersion, "" core). */
void mapping_add_owner (struct mapping *m, const char *group, const char *kind);

struct sync {
  struct view view;
  const char *key, *namespace_, *name; /* namespace_ "" when the key has none */
  wall_t now;
  uint64_t salt;          /* for names: another one each time */
  const char *failure;    /* text of the last try when it failed, or NULL */
  const struct controller_config *config;
  struct actions *actions;
  void *self;
};

struct controller {
  const char *name;
  const char *const *informers; /* NULL-terminated; the first is its own kind, whose every object is a key */
  void (*map) (struct mapping *m);
  void (*sync) (struct sync *s);
  void (*resync) (struct mapping *m);  /* adds every key; NULL: the objects of the first informer */
  bool all_kinds;                      /* informers are those of every stored kind but events */
};

/* All controllers, NULL-terminated. */
extern const struct controller *const controllers_all[];

/* Starts the enabled controllers; they work from when their informers are synced and the instance's view is published. */
struct manager *manager_new (struct service_context *ctx, const struct controller_config *config,
                             const struct controller *const *controllers, struct err *err);
/* Stops: no new work; the lease is left to be taken over at its end unless manager_stop ended it before. */
void manager_free (struct manager *m);

#endif
