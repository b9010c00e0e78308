/* LimitRanger, for containers: defaults of limits and requests, then minimum and maximum. */
#include "services/apiserver/admission.h"
#include "services/apiserver/status.h"

static const char *const lists[] = { "spec.containers", "spec.initContainers" };

struct limits {
  struct registry_op *op;
  struct value *obj;
  bool check, refused;
};

static void
fill (struct arena *a, struct value *container, const char *list, const struct value *defaults)
{
  if (!value_count (defaults))
    return;
  struct value *into = value_ensure_map (a, value_ensure_map (a, container, "resources"), list);
  for (value_each (defaults, m))
    if (!value_get_n (into, m->key, m->key_len))
      value_set_n (a, into, m->key, m->key_len, value_clone (a, m->value));
}

static bool
refuse (struct limits *l, const char *what, const char *resource, const struct value *limit, const char *problem)
{
  struct arena *a = &l->op->rq->arena;
  const char *why = arena_printf (a, "%s %s usage per Container is %s%s", what, resource, value_as_string (limit, ""), problem);
  status_forbidden (l->op->rq, l->op->name, why ? why : "");
  l->refused = true;
  return false;
}

static bool
check (struct limits *l, const struct value *item, const struct value *container)
{
  const struct value *limits = value_path (container, "resources.limits"), *requests = value_path (container, "resources.requests");
  for (value_each (value_get (item, "max"), m)) {
    const struct value *limit = value_get (limits, m->key), *request = value_get (requests, m->key);
    if (!limit)
      return refuse (l, "maximum", m->key, m->value, ".  No limit is specified");
    if (quantity_of (limit, true) > quantity_of (m->value, true) || quantity_of (request, true) > quantity_of (m->value, true))
      return refuse (l, "maximum", m->key, m->value, ", but limit is greater");
  }
  for (value_each (value_get (item, "min"), n)) {
    const struct value *request = value_get (requests, n->key);
    if (!request)
      request = value_get (limits, n->key);
    if (!request)
      return refuse (l, "minimum", n->key, n->value, ".  No request is specified");
    if (quantity_of (request, true) < quantity_of (n->value, true))
      return refuse (l, "minimum", n->key, n->value, ", but request is less");
  }
  return true;
}

static bool
each_range (void *arg, struct cached *o)
{
  struct limits *l = arg;
  struct arena *a = &l->op->rq->arena;
  for (value_items (value_path (registry_tree (a, o), "spec.limits"), item)) {
    if (!value_string_is (value_get (*item, "type"), "Container"))
      continue;
    for (size_t i = 0; i < 2; i++)
      for (value_items (value_path (l->obj, lists[i]), c)) {
        if (l->check) {
          if (!check (l, *item, *c))
            return false;
          continue;
        }
        fill (a, *c, "limits", value_get (*item, "default"));
        fill (a, *c, "requests", value_get (*item, "defaultRequest"));
      }
  }
  return true;
}

static bool
ranges (struct registry_op *op, enum admission_operation operation, struct value *obj, bool checking)
{
  struct limits l = { .op = op, .obj = obj, .check = checking };
  struct watch_cache *c = operation == ADMISSION_CREATE ? watch_cache_get (op->rq->server->caches, "limitranges") : NULL;
  if (c)
    watch_cache_each (c, op->namespace_, NULL, each_range, &l);
  return !l.refused;
}

bool
admission_limit_defaults (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj)
{
  (void) live;
  return ranges (op, operation, obj, false);
}

bool
admission_limit_check (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj)
{
  (void) live;
  return ranges (op, operation, obj, true);
}
