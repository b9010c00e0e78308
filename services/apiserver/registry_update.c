#include "services/apiserver/admission.h"
#include "services/apiserver/registry.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"
#include "services/apiserver/strategy.h"

/* metadata that only the server changes */
static void
keep_metadata (struct arena *a, const struct value *live, struct value *meta)
{
  static const char *const kept[] = { "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
                                      "generation", "selfLink" };
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    struct value *v = value_get (live, kept[i]);
    if (v)
      value_set (a, meta, kept[i], v);
    else
      (void) value_unset (meta, kept[i]);
  }
}

/* What each subresource may write; the rest stays as it is. */
static const struct {
  const char *subresource, *part, *member; /* member NULL: all of the part */
} writable[] = {
  { "status", "status", NULL },
  { "approval", "status", "conditions" },
  { "finalize", "spec", "finalizers" },
  { "ephemeralcontainers", "spec", "ephemeralContainers" },
  { "resize", "spec", "containers" },
  { "resize", "spec", "initContainers" },
};

static void
take (struct arena *a, struct value *to, const struct value *from, const char *member)
{
  struct value *v = value_get (from, member);
  if (v)
    value_set (a, to, member, v);
  else
    (void) value_unset (to, member);
}

/* Status writes of pods and nodes take labels and annotations too, which kubelets set that way. */
static struct value *
part_of (struct registry_op *op, struct value *live, struct value *obj, const char *subresource)
{
  struct arena *a = &op->rq->arena;
  struct value *v = value_clone (a, live), *meta = value_get (v, "metadata");
  static const char *const also[] = { "labels", "annotations" };
  for (size_t i = 0; i < sizeof writable / sizeof *writable; i++)
    if (strcmp (writable[i].subresource, subresource) != 0)
      continue;
    else if (!writable[i].member)
      take (a, v, obj, writable[i].part);
    else
      take (a, value_ensure_map (a, v, writable[i].part), value_get (obj, writable[i].part), writable[i].member);
  bool node_side = strcmp (subresource, "status") == 0 && !*op->kind->group && (strcmp (op->kind->kind, "Pod") == 0 || strcmp (op->kind->kind, "Node") == 0);
  for (size_t i = 0; node_side && i < 2; i++)
    take (a, meta, value_get (obj, "metadata"), also[i]);
  struct value *managed = value_get (value_get (obj, "metadata"), "managedFields");
  if (managed)
    value_set (a, meta, "managedFields", managed);
  return v;
}

/* Equal but for what every write touches. */
static bool
same_but_managers (struct arena *a, const struct value *x, const struct value *y)
{
  const struct value *both[2] = { x, y };
  struct value *bare[2];
  for (int i = 0; i < 2; i++) {
    struct value *meta = value_map (a);
    bare[i] = value_map (a);
    for (value_each (value_get (both[i], "metadata"), m))
      if (strcmp (m->key, "managedFields") != 0 && strcmp (m->key, "resourceVersion") != 0)
        value_set_n (a, meta, m->key, m->key_len, m->value);
    for (value_each (both[i], o))
      value_set_n (a, bare[i], o->key, o->key_len, strcmp (o->key, "metadata") == 0 ? meta : o->value);
  }
  return value_equal (bare[0], bare[1]);
}

static bool
spec_changed (const struct value *live, const struct value *obj)
{
  const struct value *sides[2] = { live, obj };
  for (int i = 0; i < 2; i++)
    for (value_each (sides[i], m))
      if (strcmp (m->key, "metadata") != 0 && strcmp (m->key, "status") != 0 && strcmp (m->key, "apiVersion") != 0
          && strcmp (m->key, "kind") != 0 && !value_equal (m->value, value_get_n (sides[!i], m->key, m->key_len)))
        return true;
  return false;
}

/* Nothing holds a deleted object any more (rest.ShouldDeleteDuringUpdate; namespaces also have spec.finalizers). */
static bool
finished (const struct schema_kind *k, const struct value *obj)
{
  if (!*value_path_string (obj, "metadata.deletionTimestamp", "") || value_count (value_path (obj, "metadata.finalizers"))
      || value_path_int (obj, "metadata.deletionGracePeriodSeconds", 0) > 0)
    return false;
  return strcmp (k->kind, "Namespace") != 0 || *k->group || !value_count (value_path (obj, "spec.finalizers"));
}

enum registry_outcome
registry_prepare_update (struct registry_op *op, struct value *live, struct value *obj, const char *subresource, bool track)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  const struct schema_kind *k = op->kind;
  const struct strategy *strategy = strategy_of (k);
  struct value *meta = value_ensure_map (a, obj, "metadata"), *live_meta = value_get (live, "metadata");
  const char *revision = value_as_string (value_get (meta, "resourceVersion"), "");
  const char *live_revision = value_as_string (value_get (live_meta, "resourceVersion"), "");
  const char *uid = value_as_string (value_get (meta, "uid"), ""), *live_uid = value_as_string (value_get (live_meta, "uid"), "");
  if (*uid && strcmp (uid, live_uid) != 0) {
    const char *why = arena_printf (a, "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid, live_uid);
    status_conflict (rq, op->name, why ? why : "");
    return REGISTRY_FAIL;
  }
  if (*revision && strcmp (revision, "0") != 0 && strcmp (revision, live_revision) != 0) {
    status_conflict (rq, op->name, STATUS_MODIFIED);
    return REGISTRY_FAIL;
  }
  bool status = strcmp (subresource, "status") == 0 || strcmp (subresource, "approval") == 0;
  bool whole = !*subresource || strcmp (subresource, "scale") == 0 || strcmp (subresource, "binding") == 0;
  if (!whole) {
    struct value *v = part_of (op, live, obj, subresource);
    if (!v)
      return REGISTRY_SAME;
    *obj = *v;
    meta = value_get (obj, "metadata");
  } else if (schema_subresource_find (k, "status")) {
    struct value *v = value_get (live, "status");
    if (v)
      value_set (a, obj, "status", v);
    else
      (void) value_unset (obj, "status");
  }
  keep_metadata (a, live_meta, meta);
  value_set_string (a, meta, "resourceVersion", live_revision);
  schema_default (a, k, obj);
  if (!*subresource && !admission_mutate (op, ADMISSION_UPDATE, live, obj))
    return REGISTRY_FAIL;
  if (strategy->update && !strategy->update (op, live, obj, subresource))
    return REGISTRY_FAIL;
  bool managers_same = track || value_equal (value_get (meta, "managedFields"), value_get (live_meta, "managedFields"));
  if (managers_same && same_but_managers (a, live, obj))
    return REGISTRY_SAME;
  if (k->generation && !status && spec_changed (live, obj))
    value_set_int (a, meta, "generation", value_path_int (live, "metadata.generation", 0) + 1);
  struct schema_causes causes = { .arena = a };
  schema_validate (k, obj, live, strcmp (subresource, "scale") == 0 ? "" : subresource, &causes);
  if (causes.count) {
    status_invalid (rq, op->name, &causes);
    return REGISTRY_FAIL;
  }
  if (!admission_validate (op, ADMISSION_UPDATE, live, obj) || (track && !registry_track (op, live, obj)))
    return REGISTRY_FAIL;
  if (finished (k, obj)) {
    if (strategy->removed)
      strategy->removed (op, live);
    return REGISTRY_DELETE;
  }
  return REGISTRY_PUT;
}

static enum registry_outcome
update_change (struct registry_op *op, struct value *live, struct value **ret_new)
{
  struct value *obj = value_clone (&op->rq->arena, op->arg);
  *ret_new = obj;
  if (!live) {
    if (*value_path_string (obj, "metadata.resourceVersion", "")) {
      status_conflict (op->rq, op->name, "StorageError: invalid object, Code: 4: the object was deleted");
      return REGISTRY_FAIL;
    }
    return registry_prepare_create (op, obj) ? REGISTRY_PUT : REGISTRY_FAIL;
  }
  enum registry_outcome r = registry_prepare_update (op, live, obj, op->rq->info.subresource, true);
  if (r == REGISTRY_SAME)
    *ret_new = live;
  return r;
}

void
registry_update (struct request *rq)
{
  const struct schema_kind *k = rq->kind;
  struct value *obj = NULL;
  if (!pipeline_decode (rq, k->type, k->group, k->version, k->kind, &obj))
    return;
  const char *name = value_path_string (obj, "metadata.name", ""), *namespace_ = value_path_string (obj, "metadata.namespace", "");
  if (!*name)
    status_bad_request (rq, "%s", "name must be provided");
  else if (strcmp (name, rq->info.name) != 0)
    status_bad_request (rq, "the name of the object (%s) does not match the name on the URL (%s)", name, rq->info.name);
  else if (k->namespaced && *namespace_ && strcmp (namespace_, rq->info.namespace_) != 0)
    status_bad_request (rq, "the namespace of the object (%s) does not match the namespace on the request (%s)", namespace_,
                        rq->info.namespace_);
  else {
    struct registry_op *op = registry_op_new (rq, name);
    if (!op)
      return;
    op->change = update_change;
    op->arg = obj;
    op->create_allowed = !rq->sub && strategy_of (k)->create_on_update;
    registry_modify (op);
  }
}
