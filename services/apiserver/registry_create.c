#include <sys/random.h>

#include "services/apiserver/admission.h"
#include "services/apiserver/registry.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"
#include "services/apiserver/strategy.h"

#define GENERATED_PREFIX_MAX 58 /* names.SimpleNameGenerator: 63 less the five random characters */

static const char *
generated_name (struct request *rq, const char *prefix)
{
  static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
  struct arena *a = &rq->arena;
  const char *name = NULL;
  for (int i = 0; i < 8; i++) {
    uint8_t r[5];
    char suffix[6] = "";
    if (getrandom (r, sizeof r, 0) != sizeof r)
      return NULL;
    for (size_t j = 0; j < 5; j++)
      suffix[j] = alphabet[r[j] % (sizeof alphabet - 1)];
    name = arena_printf (a, "%.*s%s", GENERATED_PREFIX_MAX, prefix, suffix);
    const char *key = name ? registry_key (a, rq->kind, rq->info.namespace_, name) : NULL;
    if (key && !watch_cache_find (rq->server->caches, key))
      break;
  }
  return name;
}

bool
registry_track (struct registry_op *op, const struct value *live, struct value *obj)
{
  struct request *rq = op->rq;
  const struct schema_kind *k = op->kind;
  struct err err = { 0 };
  const char *version = *k->group ? arena_printf (&rq->arena, "%s/%s", k->group, k->version) : k->version;
  struct apply_request track = { .type = k->type, .manager = request_field_manager (rq), .api_version = version,
                                 .subresource = rq->info.subresource, .now = registry_now (&rq->arena) };
  if (!k->type || apply_track_update (&rq->arena, &track, live, obj, &err) == 0)
    return true;
  if (err.code == ERR_INVALID || err.code == ERR_PARSE)
    status_bad_request (rq, "%s", err.text);
  else
    status_error (rq, &err);
  return false;
}

bool
registry_prepare_create (struct registry_op *op, struct value *obj)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  const struct schema_kind *k = op->kind;
  const struct strategy *strategy = strategy_of (k);
  struct value *meta = value_ensure_map (a, obj, "metadata");
  value_set_string (a, meta, "name", op->name);
  if (k->namespaced)
    value_set_string (a, meta, "namespace", op->namespace_);
  else
    (void) value_unset (meta, "namespace");
  static const char *const dropped[] = { "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion" };
  for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
    (void) value_unset (meta, dropped[i]);
  const char *uid = registry_uid (a);
  if (!uid) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_INTERNAL, "no random bytes");
    status_error (rq, &err);
    return false;
  }
  value_set_string (a, meta, "uid", uid);
  value_set_string (a, meta, "creationTimestamp", registry_now (a));
  if (k->generation)
    value_set_int (a, meta, "generation", 1);
  if (schema_subresource_find (k, "status") && !strategy->keeps_status)
    (void) value_unset (obj, "status");
  schema_default (a, k, obj);
  if (!admission_mutate (op, ADMISSION_CREATE, NULL, obj))
    return false;
  if (strategy->create && !strategy->create (op, obj))
    return false;
  struct schema_causes causes = { .arena = a };
  schema_validate (k, obj, NULL, "", &causes);
  if (causes.count) {
    status_invalid (rq, op->name, &causes);
    return false;
  }
  return admission_validate (op, ADMISSION_CREATE, NULL, obj) && registry_track (op, NULL, obj);
}

static enum registry_outcome
create_change (struct registry_op *op, struct value *live, struct value **ret_new)
{
  if (live) {
    status_exists (op->rq, op->name);
    return REGISTRY_FAIL;
  }
  /* a clone: allocations are chosen anew when somebody else took them */
  struct value *obj = value_clone (&op->rq->arena, op->arg);
  if (!registry_prepare_create (op, obj))
    return REGISTRY_FAIL;
  *ret_new = obj;
  return REGISTRY_PUT;
}

void
registry_create (struct request *rq)
{
  const struct schema_kind *k = rq->kind;
  struct arena *a = &rq->arena;
  struct value *obj = NULL;
  if (!pipeline_decode (rq, k->type, k->group, k->version, k->kind, &obj))
    return;
  struct value *meta = value_ensure_map (a, obj, "metadata");
  const char *name = value_as_string (value_get (meta, "name"), ""), *prefix = value_as_string (value_get (meta, "generateName"), "");
  const char *namespace_ = value_as_string (value_get (meta, "namespace"), "");
  if (k->namespaced && *namespace_ && strcmp (namespace_, rq->info.namespace_) != 0) {
    status_bad_request (rq, "the namespace of the provided object does not match the namespace sent on the request");
    return;
  }
  if (*value_as_string (value_get (meta, "resourceVersion"), "")) {
    status_bad_request (rq, "resourceVersion should not be set on objects to be created");
    return;
  }
  if (!*name && *prefix) {
    name = generated_name (rq, prefix);
    if (name)
      value_set_string (a, meta, "name", name);
  }
  if (!name || !*name) {
    struct schema_causes causes = { .arena = a };
    schema_causes_add (&causes, "FieldValueRequired", "metadata.name", "Required value: name or generateName is required");
    status_invalid (rq, "", &causes);
    return;
  }
  struct registry_op *op = registry_op_new (rq, name);
  if (!op)
    return;
  op->change = create_change;
  op->create_allowed = true;
  op->arg = obj;
  registry_modify (op);
}
