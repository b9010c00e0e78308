/* Server-side apply and the tracking of updates, after structured-merge-diff's merge/update.go and apimachinery's
   managedfields. A set belongs to a manager; what an operation changes it takes from all others, what an applier no
   longer names and nobody else owns is removed. Sets of other API versions of a kind are taken as they are. */
#include "schemas/apply_managers.h"
#include "schemas/json.h"
#include "schemas/machinery.h"

#define UPDATE_MANAGERS 10
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

/* Fields that the server sets: never owned. */
static const char *const never_owned[] = {
  "apiVersion", "kind", "metadata", "metadata.name", "metadata.namespace", "metadata.creationTimestamp", "metadata.selfLink",
  "metadata.uid", "metadata.clusterName", "metadata.generation", "metadata.managedFields", "metadata.resourceVersion",
};

static void
strip (struct arena *a, const struct apply_request *rq, struct fieldset *s)
{
  struct fieldset *meta = fieldset_new (a), *reset = fieldset_new (a);
  if (!meta || !reset)
    return;
  for (size_t i = 0; i < sizeof never_owned / sizeof never_owned[0]; i++)
    fieldset_add_path (a, meta, never_owned[i]);
  for (const char *const *f = rq->reset_fields; f && *f; f++)
    fieldset_add_path (a, reset, *f);
  fieldset_subtract (s, meta);
  fieldset_subtract_below (s, reset);
}

/* v without metadata.managedFields; shares the rest. */
static struct value *
without_managed (struct arena *a, const struct value *v)
{
  struct value *out = value_map (a), *meta;
  for (value_each (v, m)) {
    struct value *child = m->value;
    if (!strcmp (m->key, "metadata") && value_get (child, "managedFields")) {
      meta = value_map (a);
      for (value_each (child, c))
        if (strcmp (c->key, "managedFields"))
          value_set_n (a, meta, c->key, c->key_len, c->value);
      child = meta;
    }
    value_set_n (a, out, m->key, m->key_len, child);
  }
  return out;
}

static void
set_managed (struct arena *a, struct value *obj, struct managers *m)
{
  struct value *list = managers_encode (m), *meta = value_ensure_map (a, obj, "metadata");
  if (list)
    value_set (a, meta, "managedFields", list);
  else
    value_unset (meta, "managedFields");
}

/* ---- updates ---- */

/* What the object says of its managers when it says anything, else what live does; an empty list, or one empty entry,
   resets. */
static int
managers_of_update (struct arena *a, const struct apply_request *rq, const struct value *live, const struct value *obj,
                    struct managers *ret, struct err *err)
{
  const struct value *given = value_path (obj, "metadata.managedFields"), *kept = value_path (live, "metadata.managedFields");
  *ret = (struct managers){.arena = a};
  if (!rq->subresource || !rq->subresource[0]) {
    if (value_is (given, VALUE_ARRAY) && (!given->len || (given->len == 1 && value_is_empty (given->items[0]))))
      return 0;
    if (value_count (given) && !managers_decode (a, given, ret, NULL) && ret->n)
      return 0;
    *ret = (struct managers){.arena = a};
  }
  if (managers_decode (a, kept, ret, err) == ERR_NOMEM)
    return ERR_NOMEM;
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "managed fields: no room");
  return 0; /* what was stored malformed starts anew, as upstream's does */
}

/* Takes what was changed and removed from all managers but own. */
static void
take_from_others (struct managers *m, const struct manager *own, const struct fieldset *changed, const struct fieldset *removed)
{
  for (size_t i = 0; i < m->n; i++) {
    struct manager *x = &m->items[i];
    if (own && x->set == own->set)
      continue;
    fieldset_subtract (x->set, changed);
    fieldset_subtract (x->set, removed);
  }
}

static int
track (struct arena *a, const struct apply_request *rq, struct managers *m, const char *manager, const char *now,
       const struct value *before, const struct value *after, struct err *err)
{
  const char *subresource = rq->subresource ? rq->subresource : "";
  struct manager *own = managers_find (m, manager, "Update", rq->api_version, subresource);
  struct fieldset_comparison c;
  int r = fieldset_compare (a, rq->type, before, after, &c, err);
  if (r)
    return r;
  fieldset_add (a, c.added, c.modified);
  take_from_others (m, own, c.added, c.removed);
  if (own)
    fieldset_subtract (own->set, c.removed);
  strip (a, rq, c.added);
  if (!fieldset_is_empty (c.added)) {
    if (!own && !(own = managers_add (m, manager, "Update", rq->api_version, subresource)))
      return err_set (err, ERR_LIMIT, "metadata.managedFields: more than %d managers", MANAGERS_MAX);
    fieldset_add (a, own->set, c.added);
    own->time = now;
  }
  managers_drop_empty (m);
  return arena_ok (a) ? 0 : err_set (err, ERR_NOMEM, "managed fields: no room");
}

int
apply_track_update (struct arena *a, const struct apply_request *rq, const struct value *live, struct value *obj, struct err *err)
{
  struct managers m;
  struct value *before, *meta;
  int r = managers_of_update (a, rq, live, obj, &m, err);
  if (r)
    return r;
  if ((meta = value_get (obj, "metadata")))
    value_unset (meta, "managedFields");
  if (live && !m.n) /* what was never tracked, or was reset, stays untracked until it is applied */
    return 0;
  before = live ? without_managed (a, live) : fieldset_zero (a, rq->type);
  if ((r = track (a, rq, &m, rq->manager, rq->now, before, obj, err)))
    return r;
  managers_bound (&m, rq->managed_fields_limit ? rq->managed_fields_limit : UPDATE_MANAGERS);
  set_managed (a, obj, &m);
  return arena_ok (a) ? 0 : err_set (err, ERR_NOMEM, "managed fields: no room");
}

/* ---- apply ---- */

/* Removes from merged what own applied before (last) but does not any more, unless another manager owns it. */
static int
prune (struct arena *a, const struct apply_request *rq, const struct managers *m, struct value *merged, const struct fieldset *last,
       struct value **ret, struct err *err)
{
  struct fieldset *gone = fieldset_copy (a, last), *all = fieldset_new (a), *merged_set, *pruned_set, *dangling;
  struct value *pruned;
  int r;
  *ret = merged;
  if (fieldset_is_empty (last))
    return 0;
  fieldset_name_parents (rq->type, gone);
  pruned = fieldset_remove (a, rq->type, merged, gone);
  if ((r = fieldset_of (a, rq->type, merged, &merged_set, err)) || (r = fieldset_of (a, rq->type, pruned, &pruned_set, err)))
    return r;
  fieldset_name_parents (rq->type, merged_set);
  fieldset_name_parents (rq->type, pruned_set);
  /* back in: what anyone, own's new configuration included, claims */
  for (size_t i = 0; i < m->n; i++)
    fieldset_add (a, all, m->items[i].set);
  fieldset_name_parents (rq->type, all);
  fieldset_add (a, all, pruned_set);
  dangling = fieldset_copy (a, merged_set);
  fieldset_subtract (dangling, all);
  pruned = fieldset_remove (a, rq->type, merged, dangling);
  /* and what fell with its parent but was not own's */
  if ((r = fieldset_of (a, rq->type, pruned, &pruned_set, err)))
    return r;
  fieldset_name_parents (rq->type, pruned_set);
  fieldset_subtract (merged_set, pruned_set);
  *ret = fieldset_remove (a, rq->type, merged, fieldset_intersect (a, merged_set, gone));
  return 0;
}

struct conflict_list {
  struct arena *arena;
  const struct manager *manager;
  struct apply_conflict *items;
  size_t n, cap;
};

static void
add_conflict (void *arg, const char *path)
{
  struct conflict_list *l = arg;
  if (l->n == l->cap) {
    size_t cap = l->cap ? 2 * l->cap : 8;
    struct apply_conflict *more = arena_alloc (l->arena, cap * sizeof *more);
    if (!more)
      return;
    if (l->n)
      memcpy (more, l->items, l->n * sizeof *more);
    l->items = more;
    l->cap = cap;
  }
  l->items[l->n++] = (struct apply_conflict){
    .manager = l->manager->name,
    .field = arena_strdup (l->arena, path),
    .group_version = !strcmp (l->manager->operation, "Update") ? l->manager->api_version : "",
    .time = l->manager->time,
    .subresource = l->manager->subresource,
  };
}

static void
print_manager (struct buf *b, const struct apply_conflict *c)
{
  buf_append_byte (b, '"');
  buf_append_str (b, c->manager);
  buf_append_byte (b, '"');
  if (c->subresource[0])
    buf_printf (b, " with subresource \"%s\"", c->subresource);
  if (c->group_version[0])
    buf_printf (b, " using %s", c->group_version);
}

static int
conflict_error (const struct conflict_list *l, struct err *err)
{
  struct buf b AUTO_BUF = BUF_INIT;
  buf_printf (&b, "Apply failed with %zu conflict%s:", l->n, l->n == 1 ? "" : "s");
  for (size_t i = 0; i < l->n && b.len < ERR_TEXT_SIZE; i++) {
    const struct apply_conflict *c = &l->items[i], *before = i ? &l->items[i - 1] : NULL;
    if (!before || before->manager != c->manager || before->subresource != c->subresource || before->group_version != c->group_version) {
      buf_append_str (&b, l->n == 1 ? " conflict with " : i ? "\nconflicts with " : " conflicts with ");
      print_manager (&b, c);
      buf_append_byte (&b, ':');
    }
    buf_printf (&b, l->n == 1 ? " %s" : "\n- %s", c->field);
  }
  return err_set (err, ERR_CONFLICT, "%s", buf_cstr (&b));
}

/* kubectl that applied on its own side before: what its annotation holds it may overwrite. */
static struct fieldset *
last_applied (struct arena *a, const struct apply_request *rq, const struct value *live)
{
  const struct value *text = value_get (value_path (live, "metadata.annotations"), LAST_APPLIED);
  struct value *config = NULL;
  struct fieldset *s = NULL;
  if (strcmp (rq->manager, "kubectl") || !value_is (text, VALUE_STRING) || json_parse (a, text->s, text->len, &config, NULL, NULL)
      || fieldset_of (a, rq->type, config, &s, NULL))
    return NULL;
  return s;
}

static void
find_conflicts (struct arena *a, const struct managers *m, const struct manager *own, const struct fieldset *changed,
                const struct fieldset *allowed, struct conflict_list *l)
{
  for (size_t i = 0; i < m->n; i++) {
    struct fieldset *both;
    if (m->items[i].set == own->set)
      continue;
    both = fieldset_intersect (a, m->items[i].set, changed);
    if (allowed && both)
      fieldset_subtract (both, allowed);
    l->manager = &m->items[i];
    if (both)
      fieldset_each (both, add_conflict, l);
  }
}

static void
drop_nulls (struct value *v)
{
  uint32_t kept = 0;
  for (value_items (v, it))
    drop_nulls (*it);
  if (!value_is (v, VALUE_MAP))
    return;
  for (uint32_t i = 0; i < v->len; i++)
    if (v->members[i].value->type != VALUE_NULL) {
      drop_nulls (v->members[i].value);
      v->members[kept++] = v->members[i];
    }
  v->len = kept;
}

static int
own_new_set (struct arena *a, const struct apply_request *rq, struct managers *m, const struct value *config, struct manager **ret,
             struct fieldset **ret_last, struct err *err)
{
  const char *subresource = rq->subresource ? rq->subresource : "";
  struct manager *own = managers_find (m, rq->manager, "Apply", rq->api_version, subresource);
  struct fieldset *set = NULL;
  int r = fieldset_of (a, rq->type, config, &set, err);
  if (r)
    return r;
  strip (a, rq, set);
  *ret_last = own ? own->set : NULL;
  if (!own && !(own = managers_add (m, rq->manager, "Apply", rq->api_version, subresource)))
    return err_set (err, ERR_LIMIT, "metadata.managedFields: more than %d managers", MANAGERS_MAX);
  own->set = set;
  own->api_version = rq->api_version;
  *ret = own;
  return 0;
}

int
apply_server_side (struct arena *a, const struct apply_request *rq, const struct value *live, const struct value *config,
                   struct value **ret, struct apply_conflict **ret_conflicts, size_t *ret_n_conflicts, struct err *err)
{
  struct managers m = {.arena = a};
  struct conflict_list conflicts = {.arena = a};
  struct value *before = live ? without_managed (a, live) : value_map (a), *after = NULL;
  struct fieldset_comparison c;
  struct fieldset *last = NULL;
  struct manager *own = NULL;
  int r;
  if (!value_is (config, VALUE_MAP))
    return err_set (err, ERR_INVALID, "an applied configuration must be an object");
  if (value_count (value_path (config, "metadata.managedFields")))
    return err_set (err, ERR_INVALID, "metadata.managedFields must be nil");
  if (managers_decode (a, value_path (live, "metadata.managedFields"), &m, err))
    m = (struct managers){.arena = a};
  if (live && !m.n && (r = track (a, rq, &m, "before-first-apply", rq->now, fieldset_zero (a, rq->type), before, err)))
    return r;
  if ((r = fieldset_merge (a, rq->type, before, config, &after, err)) || (r = own_new_set (a, rq, &m, config, &own, &last, err))
      || (r = prune (a, rq, &m, after, last, &after, err)) || (r = fieldset_compare (a, rq->type, before, after, &c, err)))
    return r;
  fieldset_add (a, c.added, c.modified);
  if (!rq->force)
    find_conflicts (a, &m, own, c.added, last_applied (a, rq, live), &conflicts);
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "apply: no room");
  if (conflicts.n) {
    *ret_conflicts = conflicts.items;
    *ret_n_conflicts = conflicts.n;
    return conflict_error (&conflicts, err);
  }
  if (!live || !fieldset_is_empty (c.added) || !fieldset_is_empty (c.removed) || !last || !fieldset_equal (last, own->set) || !own->time[0])
    own->time = rq->now;
  take_from_others (&m, own, c.added, c.removed);
  managers_drop_empty (&m);
  if (!after || after->type != VALUE_MAP)
    after = value_map (a);
  after = value_clone (a, after);
  drop_nulls (after);
  set_managed (a, after, &m);
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "apply: no room");
  *ret = after;
  return 0;
}
