#include "base/log.h"
#include "services/apiserver/admission.h"
#include "services/apiserver/registry.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"
#include "services/apiserver/strategy.h"

#define FINALIZER_FOREGROUND "foregroundDeletion"
#define FINALIZER_ORPHAN "orphan"

static void
read_options (const struct value *v, struct delete_options *o)
{
  const struct value *grace = value_get (v, "gracePeriodSeconds"), *orphan = value_get (v, "orphanDependents");
  if (value_is (grace, VALUE_INT))
    o->grace_s = value_as_int (grace, -1);
  if (value_is (orphan, VALUE_BOOL))
    o->propagation = value_as_bool (orphan, false) ? "Orphan" : "Background";
  o->propagation = value_as_string (value_get (v, "propagationPolicy"), o->propagation);
  o->uid = value_path_string (v, "preconditions.uid", o->uid);
  o->revision = value_path_string (v, "preconditions.resourceVersion", o->revision);
}

bool
registry_delete_options (struct request *rq, struct delete_options *ret)
{
  struct err err = { 0 };
  struct value *body = NULL;
  struct delete_options o = { .grace_s = -1, .propagation = "", .uid = "", .revision = "" };
  if (pipeline_body (rq, &body, &err)) {
    pipeline_body_failed (rq, &err);
    return false;
  }
  if (body && !value_is (body, VALUE_MAP)) {
    status_bad_request (rq, "%s", "the body of a deletion must be DeleteOptions");
    return false;
  }
  const char *grace = request_param (rq, "gracePeriodSeconds");
  if (*grace) {
    char *end;
    o.grace_s = strtoll (grace, &end, 10);
    if (*end) {
      status_bad_request (rq, "gracePeriodSeconds: \"%s\" is not a number", grace);
      return false;
    }
  }
  if (*request_param (rq, "propagationPolicy"))
    o.propagation = request_param (rq, "propagationPolicy");
  read_options (rq->options, &o);
  read_options (body, &o);
  for (value_items (value_get (body, "dryRun"), it))
    if (value_string_is (*it, "All") && !rq->options)
      rq->options = body; /* request_dry_run reads it there */
  if (*o.propagation && strcmp (o.propagation, "Background") != 0 && strcmp (o.propagation, "Foreground") != 0
      && strcmp (o.propagation, "Orphan") != 0) {
    status_reply (rq, 422, "", NULL,
                  "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"%s\": supported values: \"Background\", "
                  "\"Foreground\", \"Orphan\"",
                  o.propagation);
    return false;
  }
  *ret = o;
  return true;
}

static bool
has (const struct value *array, const char *text)
{
  for (value_items (array, it))
    if (value_string_is (*it, text))
      return true;
  return false;
}

/* The finalizers that the propagation policy asks of the garbage collector (registry store.go deletionFinalizersForGarbageCollection). */
static void
set_finalizers (struct registry_op *op, struct value *meta, const char *propagation)
{
  struct arena *a = &op->rq->arena;
  struct value *old = value_get (meta, "finalizers"), *list = value_array (a);
  bool orphan, foreground;
  if (*propagation) {
    orphan = strcmp (propagation, "Orphan") == 0;
    foreground = strcmp (propagation, "Foreground") == 0;
  } else {
    orphan = has (old, FINALIZER_ORPHAN) || (strategy_of (op->kind)->orphans && !has (old, FINALIZER_FOREGROUND));
    foreground = has (old, FINALIZER_FOREGROUND);
  }
  for (value_items (old, it))
    if (!value_string_is (*it, FINALIZER_ORPHAN) && !value_string_is (*it, FINALIZER_FOREGROUND))
      value_append (a, list, *it);
  if (orphan)
    value_append (a, list, value_string (a, FINALIZER_ORPHAN));
  if (foreground)
    value_append (a, list, value_string (a, FINALIZER_FOREGROUND));
  if (value_count (list))
    value_set (a, meta, "finalizers", list);
  else
    (void) value_unset (meta, "finalizers");
}

static void
mark (struct registry_op *op, struct value *obj, int64_t grace_s)
{
  struct arena *a = &op->rq->arena;
  struct value *meta = value_get (obj, "metadata");
  char text[CLOCK_RFC3339_SIZE];
  wall_t at = wall_now ();
  at.us += grace_s * 1000000;
  value_set_string (a, meta, "deletionTimestamp", wall_format (at, text));
  value_set_int (a, meta, "deletionGracePeriodSeconds", grace_s);
  if (value_get (meta, "generation"))
    value_set_int (a, meta, "generation", value_as_int (value_get (meta, "generation"), 0) + 1);
  if (!*op->kind->group && strcmp (op->kind->kind, "Namespace") == 0)
    value_set_string (a, value_ensure_map (a, obj, "status"), "phase", "Terminating");
}

enum registry_outcome
registry_delete_change (struct registry_op *op, struct value *live, struct value **ret_new)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  const struct delete_options *o = op->arg;
  const struct strategy *strategy = strategy_of (op->kind);
  struct value *obj = value_clone (a, live), *meta = value_get (obj, "metadata");
  const char *uid = value_as_string (value_get (meta, "uid"), ""), *revision = value_as_string (value_get (meta, "resourceVersion"), "");
  *ret_new = obj;
  if (*o->uid && strcmp (o->uid, uid) != 0) {
    const char *why = arena_printf (a, "Precondition failed: UID in precondition: %s, UID in object meta: %s", o->uid, uid);
    status_conflict (rq, op->name, why ? why : "");
    return REGISTRY_FAIL;
  }
  if (*o->revision && strcmp (o->revision, revision) != 0) {
    const char *why = arena_printf (a, "Precondition failed: ResourceVersion in precondition: %s, ResourceVersion in object meta: %s",
                                    o->revision, revision);
    status_conflict (rq, op->name, why ? why : "");
    return REGISTRY_FAIL;
  }
  if (!admission_validate (op, ADMISSION_DELETE, live, NULL))
    return REGISTRY_FAIL;
  bool marked = *value_as_string (value_get (meta, "deletionTimestamp"), "") != 0;
  int64_t held_s = value_as_int (value_get (meta, "deletionGracePeriodSeconds"), 0);
  int64_t grace_s = strategy->grace_s ? strategy->grace_s (live) : 0;
  if (strategy->grace_s && grace_s > 0 && o->grace_s >= 0)
    grace_s = o->grace_s;
  set_finalizers (op, meta, o->propagation);
  bool blocked = value_count (value_get (meta, "finalizers"))
                 || (!*op->kind->group && strcmp (op->kind->kind, "Namespace") == 0 && value_count (value_path (obj, "spec.finalizers")));
  if (!marked && (grace_s > 0 || blocked)) {
    mark (op, obj, grace_s);
    return REGISTRY_PUT;
  }
  if (marked && grace_s > 0) { /* the period may be shortened, never prolonged */
    if (grace_s >= held_s)
      return value_equal (obj, live) ? REGISTRY_SAME : REGISTRY_PUT;
    wall_t at;
    char text[CLOCK_RFC3339_SIZE];
    if (wall_parse (value_as_string (value_get (meta, "deletionTimestamp"), ""), &at, NULL) == 0) {
      at.us -= (held_s - grace_s) * 1000000;
      value_set_string (a, meta, "deletionTimestamp", wall_format (at, text));
    }
    value_set_int (a, meta, "deletionGracePeriodSeconds", grace_s);
    return REGISTRY_PUT;
  }
  if (blocked) {
    if (held_s > 0)
      value_set_int (a, meta, "deletionGracePeriodSeconds", 0);
    return value_equal (obj, live) ? REGISTRY_SAME : REGISTRY_PUT;
  }
  if (strategy->removed)
    strategy->removed (op, live);
  return REGISTRY_DELETE;
}

/* Upstream answers an object that stays a while (or a pod) as itself, one that went with a Status that names it. */
static void
delete_done (struct registry_op *op, struct value *obj, bool deleted)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  bool as_object = !deleted || (!*op->kind->group && (strcmp (op->kind->kind, "Pod") == 0 || strcmp (op->kind->kind, "Namespace") == 0
                                                      || strcmp (op->kind->kind, "Service") == 0
                                                      || strcmp (op->kind->kind, "ServiceAccount") == 0));
  if (as_object) {
    respond_object (rq, 200, obj);
    return;
  }
  struct value *details = status_details (a, rq->info.group, rq->info.resource, op->name);
  value_set_string (a, details, "uid", value_path_string (obj, "metadata.uid", ""));
  respond_status (rq, 200, status_tree (a, 200, "", "", details));
}

void
registry_delete (struct request *rq)
{
  struct delete_options *o = arena_zalloc (&rq->arena, sizeof *o);
  struct registry_op *op;
  if (!o) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_NOMEM, "%s", "read the options");
    status_error (rq, &err);
    return;
  }
  if (!registry_delete_options (rq, o) || !(op = registry_op_new (rq, rq->info.name)))
    return;
  op->change = registry_delete_change;
  op->done = delete_done;
  op->arg = o;
  registry_modify (op);
}
