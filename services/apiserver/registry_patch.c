#include <strings.h>

#include "services/apiserver/registry.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"

enum patch_type { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC, PATCH_APPLY };
struct patch {
  enum patch_type type;
  struct value *body;
};

static bool
patch_type_of (struct request *rq, enum patch_type *ret)
{
  static const char *const names[] = { "application/json-patch+json", "application/merge-patch+json",
                                       "application/strategic-merge-patch+json", "application/apply-patch+yaml" };
  const char *type = rq->header ? rq->header (rq, "content-type") : NULL;
  size_t n = type ? strcspn (type, "; ") : 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (n == strlen (names[i]) && strncasecmp (type, names[i], n) == 0) {
      *ret = (enum patch_type) i;
      return true;
    }
  status_reply (rq, 415, "", NULL,
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
                "application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml");
  return false;
}

/* NewConflict of the field managers (fieldmanager.NewConflictError). */
static void
answer_conflicts (struct request *rq, const struct apply_conflict *c, size_t n)
{
  struct arena *a = &rq->arena;
  struct value *details = status_details (a, rq->info.group, rq->info.resource, rq->info.name), *causes = value_array (a);
  struct buf text = BUF_INIT;
  for (size_t i = 0; i < n; i++) {
    bool sub = c[i].subresource && *c[i].subresource, update = c[i].group_version && *c[i].group_version, timed = c[i].time && *c[i].time;
    const char *who = arena_printf (a, "conflict%s with \"%s\"%s%s%s%s%s%s%s", n == 1 ? "" : "s", c[i].manager, sub ? " with subresource \"" : "",
                                    sub ? c[i].subresource : "", sub ? "\"" : "", update ? " using " : "", update ? c[i].group_version : "",
                                    update && timed ? " at " : "", update && timed ? c[i].time : "");
    const char *single = arena_printf (a, "conflict%s", who ? who + (n == 1 ? 8 : 9) : "");
    struct value *cause = value_map (a);
    value_set_string (a, cause, "reason", "FieldManagerConflict");
    value_set_string (a, cause, "message", single);
    value_set_string (a, cause, "field", c[i].field);
    value_append (a, causes, cause);
    bool first = i == 0 || strcmp (c[i].manager, c[i - 1].manager) != 0;
    if (n == 1)
      buf_printf (&text, "%s: %s", who ? who : "", c[i].field);
    else
      buf_printf (&text, "%s%s%s- %s", first && i ? "\n" : "", first ? (who ? who : "") : "", first ? ":\n" : "\n", c[i].field);
  }
  value_set (a, details, "causes", causes);
  status_reply (rq, 409, "", details, "Apply failed with %zu conflict%s: %s", n, n == 1 ? "" : "s", buf_cstr (&text));
  buf_done (&text);
}

static bool
apply (struct registry_op *op, struct value *live, const struct value *config, struct value **ret)
{
  struct request *rq = op->rq;
  const struct schema_kind *k = op->kind;
  struct apply_conflict *conflicts = NULL;
  size_t n = 0;
  struct err err = { 0 };
  const char *version = *k->group ? arena_printf (&rq->arena, "%s/%s", k->group, k->version) : k->version;
  struct apply_request apply = { .type = k->type, .manager = request_field_manager (rq), .api_version = version,
                                 .subresource = rq->info.subresource, .now = registry_now (&rq->arena),
                                 .force = uri_query_bool (&rq->query, "force") };
  int r = apply_server_side (&rq->arena, &apply, live, config, ret, &conflicts, &n, &err);
  if (r == ERR_CONFLICT)
    answer_conflicts (rq, conflicts, n);
  else if (r)
    pipeline_body_failed (rq, &err);
  return !r;
}

static bool
patched (struct registry_op *op, struct value *live, const struct patch *p, struct value **ret)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  struct err err = { 0 };
  int r = p->type == PATCH_JSON    ? patch_json (a, live, p->body, ret, &err)
          : p->type == PATCH_MERGE ? patch_merge (a, live, p->body, ret, &err)
                                   : patch_strategic (a, op->kind->type, live, p->body, ret, &err);
  if (r == ERR_INVALID) {
    status_reply (rq, 422, "", status_details (a, rq->info.group, rq->info.resource, op->name), "%s", err.text);
    return false;
  }
  if (r)
    pipeline_body_failed (rq, &err);
  return !r;
}

/* The result of a patch is decoded as if it had been sent: unknown fields dropped, types checked. */
static bool
decode (struct registry_op *op, struct value *obj)
{
  struct request *rq = op->rq;
  const struct schema_kind *k = op->kind;
  const char *validation = request_param (rq, "fieldValidation");
  bool strict = strcmp (validation, "Strict") == 0;
  struct value *unknown = value_array (&rq->arena);
  struct err err = { 0 };
  if (!value_is (obj, VALUE_MAP)) {
    status_bad_request (rq, "%s", "the patch does not make an object");
    return false;
  }
  if (k->type && schema_decode (&rq->arena, k->type, obj, strict ? SCHEMA_UNKNOWN_STRICT : SCHEMA_UNKNOWN_WARN, unknown, &err)) {
    status_reply (rq, 422, "", status_details (&rq->arena, rq->info.group, rq->info.resource, op->name), "%s", err.text);
    return false;
  }
  for (value_items (unknown, it)) {
    const char *text = value_as_string (*it, "");
    if (strict) {
      status_bad_request (rq, "strict decoding error: %s", text);
      return false;
    }
    if (strcmp (validation, "Ignore") != 0)
      request_warn (rq, "%s", text);
  }
  const char *name = value_path_string (obj, "metadata.name", "");
  if (*name && strcmp (name, op->name) != 0) {
    status_bad_request (rq, "the name of the object (%s) does not match the name on the URL (%s)", name, op->name);
    return false;
  }
  return true;
}

static enum registry_outcome
patch_change (struct registry_op *op, struct value *live, struct value **ret_new)
{
  const struct patch *p = op->arg;
  struct arena *a = &op->rq->arena;
  struct value *obj = NULL;
  if (p->type == PATCH_APPLY) {
    struct value *config = value_clone (a, p->body);
    if (!decode (op, config) || !apply (op, live, config, &obj))
      return REGISTRY_FAIL;
  } else if (!patched (op, live, p, &obj) || !decode (op, obj))
    return REGISTRY_FAIL;
  obj = value_clone (a, obj); /* a patch may share nodes with live */
  *ret_new = obj;
  if (!obj)
    return REGISTRY_FAIL;
  if (!live) {
    struct value *managed = value_clone (a, value_path (obj, "metadata.managedFields"));
    if (!registry_prepare_create (op, obj))
      return REGISTRY_FAIL;
    if (managed)
      value_set (a, value_get (obj, "metadata"), "managedFields", managed);
    return REGISTRY_PUT;
  }
  enum registry_outcome r = registry_prepare_update (op, live, obj, op->rq->info.subresource, p->type != PATCH_APPLY);
  if (r == REGISTRY_SAME)
    *ret_new = live;
  return r;
}

void
registry_patch (struct request *rq)
{
  struct patch *p = arena_zalloc (&rq->arena, sizeof *p);
  struct err err = { 0 };
  if (!p) {
    (void) err_set (&err, ERR_NOMEM, "%s", "read the patch");
    status_error (rq, &err);
    return;
  }
  if (!patch_type_of (rq, &p->type))
    return;
  if (pipeline_body (rq, &p->body, &err)) {
    pipeline_body_failed (rq, &err);
    return;
  }
  bool map = value_is (p->body, VALUE_MAP);
  if (p->type == PATCH_JSON ? !value_is (p->body, VALUE_ARRAY) : !map) {
    status_bad_request (rq, "error decoding patch: the body is not %s", p->type == PATCH_JSON ? "an array of operations" : "an object");
    return;
  }
  if (p->type == PATCH_APPLY) {
    const struct schema_kind *k = rq->kind;
    const char *expected = *k->group ? arena_printf (&rq->arena, "%s/%s", k->group, k->version) : k->version;
    if (!*request_param (rq, "fieldManager") && !rq->bus) {
      struct value *d = value_map (&rq->arena), *causes = value_array (&rq->arena), *c = value_map (&rq->arena);
      value_set_string (&rq->arena, c, "reason", "FieldValueRequired");
      value_set_string (&rq->arena, c, "message", "Required value: is required for apply patch");
      value_set_string (&rq->arena, c, "field", "fieldManager");
      value_append (&rq->arena, causes, c);
      value_set_string (&rq->arena, d, "group", "meta.k8s.io");
      value_set_string (&rq->arena, d, "kind", "PatchOptions");
      value_set (&rq->arena, d, "causes", causes);
      status_reply (rq, 422, "", d, "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch");
      return;
    }
    if (!value_string_is (value_get (p->body, "kind"), k->kind) || !expected || !value_string_is (value_get (p->body, "apiVersion"), expected)) {
      status_bad_request (rq, "the applied configuration must be of kind %s in version %s", k->kind, expected ? expected : "");
      return;
    }
  }
  struct registry_op *op = registry_op_new (rq, rq->info.name);
  if (!op)
    return;
  op->change = patch_change;
  op->arg = p;
  op->create_allowed = p->type == PATCH_APPLY && !rq->sub;
  registry_modify (op);
}
