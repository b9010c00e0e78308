#include "services/common/action.h"

#include <stdarg.h>

#include "base/map.h"

static struct action spare; /* what actions_add gives when out of memory: written, never carried out */

void
actions_init (struct actions *as, struct arena *a)
{
  *as = (struct actions) { .arena = a };
}

struct action *
actions_add (struct actions *as)
{
  if (as->count == as->cap)
    {
      size_t cap = as->cap ? as->cap * 2 : 8;
      struct action *items = arena_alloc (as->arena, cap * sizeof *items);
      if (!items)
        return &spare;
      if (as->count)
        memcpy (items, as->items, as->count * sizeof *items);
      as->items = items;
      as->cap = cap;
    }
  as->items[as->count] = (struct action) { 0 };
  return &as->items[as->count++];
}

void
actions_requeue (struct actions *as, int64_t after_ms)
{
  if (after_ms < 1)
    after_ms = 1;
  if (!as->requeue_after_ms || after_ms < as->requeue_after_ms)
    as->requeue_after_ms = after_ms;
}

static struct action *
add_request (struct actions *as, const char *verb, const char *group, const char *version, const char *resource)
{
  struct action *x = actions_add (as);
  x->request = (struct api_request) { .verb = verb, .group = group, .version = version, .resource = resource };
  return x;
}

struct action *
actions_create (struct actions *as, const char *group, const char *version, const char *resource, const char *namespace_,
                const struct value *body)
{
  struct action *x = add_request (as, "create", group, version, resource);
  x->request.namespace_ = arena_strdup (as->arena, namespace_);
  x->request.body = body;
  return x;
}

struct action *
actions_update (struct actions *as, const char *group, const char *version, const char *resource, const char *subresource,
                const struct value *body)
{
  struct action *x = add_request (as, "update", group, version, resource);
  x->request.subresource = subresource;
  x->request.namespace_ = value_path_string (body, "metadata.namespace", NULL);
  x->request.name = value_path_string (body, "metadata.name", NULL);
  x->request.body = body;
  return x;
}

struct action *
actions_patch (struct actions *as, const char *group, const char *version, const char *resource, const char *subresource,
               const char *namespace_, const char *name, const char *patch_type, const struct value *patch)
{
  struct action *x = add_request (as, "patch", group, version, resource);
  x->request.subresource = subresource;
  x->request.namespace_ = arena_strdup (as->arena, namespace_);
  x->request.name = arena_strdup (as->arena, name);
  x->request.patch_type = patch_type;
  x->request.body = patch;
  return x;
}

struct action *
actions_delete (struct actions *as, const char *group, const char *version, const char *resource, const char *namespace_,
                const char *name, const char *uid)
{
  struct action *x = add_request (as, "delete", group, version, resource);
  x->request.namespace_ = arena_strdup (as->arena, namespace_);
  x->request.name = arena_strdup (as->arena, name);
  x->ignore_not_found = true;
  if (uid)
    {
      struct value *options = value_map (as->arena);
      value_set_path (as->arena, options, "preconditions.uid", value_string (as->arena, uid));
      x->request.options = options;
    }
  return x;
}

void
actions_event (struct actions *as, const struct value *obj, const char *type, const char *reason, const char *component,
               const char *fmt, ...)
{
  struct arena *a = as->arena;
  va_list ap;
  va_start (ap, fmt);
  char text[1024]; /* upstream's limit of a message */
  vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  const char *namespace_ = value_path_string (obj, "metadata.namespace", "");
  if (!*namespace_)
    namespace_ = "default"; /* where events about cluster-scoped objects go */

  struct value *e = value_map (a), *about = value_map (a), *source = value_map (a), *metadata = value_map (a);
  value_set_string (a, e, "apiVersion", "v1");
  value_set_string (a, e, "kind", "Event");
  value_set_string (a, metadata, "namespace", namespace_);
  value_set (a, e, "metadata", metadata);
  value_set_string (a, about, "kind", value_path_string (obj, "kind", NULL));
  if (*value_path_string (obj, "metadata.namespace", ""))
    value_set_string (a, about, "namespace", namespace_);
  value_set_string (a, about, "name", value_path_string (obj, "metadata.name", NULL));
  value_set_string (a, about, "uid", value_path_string (obj, "metadata.uid", NULL));
  value_set_string (a, about, "apiVersion", value_path_string (obj, "apiVersion", NULL));
  value_set_string (a, about, "resourceVersion", value_path_string (obj, "metadata.resourceVersion", NULL));
  value_set (a, e, "involvedObject", about);
  value_set_string (a, e, "reason", reason);
  value_set_string (a, e, "message", text);
  value_set_string (a, source, "component", component);
  value_set (a, e, "source", source);
  value_set_int (a, e, "count", 1);
  value_set_string (a, e, "type", type);
  value_set_string (a, e, "reportingComponent", component);
  value_set_string (a, e, "reportingInstance", "");

  struct action *x = actions_create (as, "", "v1", "events", namespace_, e);
  x->best_effort = true;
  x->event = true;
}
