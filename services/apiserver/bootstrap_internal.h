/* What the files of bootstrap share: a list of objects to create, each with the path of its collection. */
#ifndef SERVICES_APISERVER_BOOTSTRAP_INTERNAL_H
#define SERVICES_APISERVER_BOOTSTRAP_INTERNAL_H

#include "services/apiserver/front.h"

struct bootstrap_object {
  const char *path;
  struct value *obj;
};
struct bootstrap_objects {
  struct arena *arena;
  struct bootstrap_object *items;
  size_t n, cap;
};
void bootstrap_add (struct bootstrap_objects *os, const char *path, struct value *obj);
struct value *bootstrap_object_new (struct arena *a, const char *api_version, const char *kind, const char *namespace_, const char *name);
void bootstrap_rbac (struct bootstrap_objects *os);

#endif
