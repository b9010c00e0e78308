#include "services/apiserver/pipeline.h"

#include <strings.h>

#include "schemas/json.h"
#include "schemas/protobuf.h"
#include "schemas/msgpack.h"
#include "schemas/yaml.h"
#include "services/apiserver/registry.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"

static const struct {
  const char *verb;
  uint32_t bit;
} verb_rows[] = {
  { "get", SCHEMA_GET },       { "list", SCHEMA_LIST_VERB }, { "watch", SCHEMA_WATCH },   { "create", SCHEMA_CREATE },
  { "update", SCHEMA_UPDATE }, { "patch", SCHEMA_PATCH },    { "delete", SCHEMA_DELETE }, { "deletecollection", SCHEMA_DELETE_COLLECTION },
};

static uint32_t
verb_bit (const char *verb)
{
  for (size_t i = 0; i < sizeof verb_rows / sizeof *verb_rows; i++)
    if (strcmp (verb_rows[i].verb, verb) == 0)
      return verb_rows[i].bit;
  return 0;
}

void
pipeline_finished (struct request *rq)
{
  struct apiserver *s = rq->server;
  if (s) {
    if (s->hooks.finished)
      s->hooks.finished (rq);
    s->n_requests--;
  }
  request_free (rq);
}

/* ---- bodies ---- */

static bool
media_type_is (const char *header, const char *type)
{
  size_t n = strcspn (header, "; ");
  return n == strlen (type) && strncasecmp (header, type, n) == 0;
}

int
pipeline_body (struct request *rq, struct value **ret, struct err *err)
{
  struct arena *a = &rq->arena;
  const char *type = rq->header ? rq->header (rq, "content-type") : NULL;
  const char *duplicate = NULL;
  struct value *v = NULL;
  int r = 0;
  if (rq->tree) {
    v = value_clone (a, rq->tree);
    if (!v)
      return err_set (err, ERR_NOMEM, "%s", "");
    *ret = v;
    return 0;
  }
  if (rq->body_len > PIPELINE_BODY_MAX)
    return err_set (err, ERR_LIMIT, "Request entity too large: limit is %u", PIPELINE_BODY_MAX);
  if (!rq->body_len) {
    *ret = NULL;
    return 0;
  }
  static const char *const json_types[] = { "application/json", "application/json-patch+json", "application/merge-patch+json",
                                            "application/strategic-merge-patch+json" };
  bool json = !type || !*type;
  for (size_t i = 0; i < sizeof json_types / sizeof *json_types && !json; i++)
    json = media_type_is (type, json_types[i]);
  if (json)
    r = json_parse (a, rq->body, rq->body_len, &v, &duplicate, err);
  else if (media_type_is (type, "application/yaml") || media_type_is (type, "application/apply-patch+yaml"))
    r = yaml_parse (a, rq->body, rq->body_len, &v, err);
  else if (media_type_is (type, PROTOBUF_MEDIA_TYPE))
    r = protobuf_decode (a, rq->body, rq->body_len, &v, err);
  else if (media_type_is (type, "application/msgpack"))
    r = value_unpack (a, rq->body, rq->body_len, &v, err);
  else
    return err_set (err, ERR_UNSUPPORTED,
                    "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml");
  if (r)
    return r;
  if (duplicate) {
    const char *validation = request_param (rq, "fieldValidation");
    if (strcmp (validation, "Strict") == 0)
      return err_set (err, ERR_PARSE, "strict decoding error: duplicate field \"%s\"", duplicate);
    if (strcmp (validation, "Ignore") != 0)
      request_warn (rq, "duplicate field \"%s\"", duplicate);
  }
  *ret = v;
  return 0;
}

void
pipeline_body_failed (struct request *rq, const struct err *err)
{
  if (err->code == ERR_UNSUPPORTED)
    status_reply (rq, 415, "", NULL, "%s", err->text);
  else if (err->code == ERR_LIMIT)
    status_reply (rq, 413, "", NULL, "%s", err->text);
  else if (err->code == ERR_PARSE || err->code == ERR_INVALID)
    status_bad_request (rq, "%s", err->text);
  else
    status_error (rq, err);
}

/* fieldValidation's answer to the fields that the decoder dropped. false: answered. */
static bool
unknown_fields (struct request *rq, const char *kind, const char *version, const struct value *unknown)
{
  const char *validation = request_param (rq, "fieldValidation");
  if (!value_count (unknown) || strcmp (validation, "Ignore") == 0)
    return true;
  if (strcmp (validation, "Strict") != 0) {
    for (value_items (unknown, it))
      request_warn (rq, "%s", value_as_string (*it, ""));
    return true;
  }
  struct buf b = BUF_INIT;
  for (value_items (unknown, it))
    buf_printf (&b, "%s%s", b.len ? ", " : "", value_as_string (*it, ""));
  status_bad_request (rq, "%s in version \"%s\" cannot be handled as a %s: strict decoding error: %s", kind, version, kind,
                      buf_cstr (&b));
  buf_done (&b);
  return false;
}

bool
pipeline_decode (struct request *rq, const struct schema_type *t, const char *group, const char *version, const char *kind,
                 struct value **ret)
{
  struct arena *a = &rq->arena;
  struct err err = { 0 };
  struct value *v = NULL, *unknown = value_array (a);
  if (pipeline_body (rq, &v, &err)) {
    pipeline_body_failed (rq, &err);
    return false;
  }
  if (!value_is (v, VALUE_MAP)) {
    status_bad_request (rq, "%s", v ? "the body of the request is not an object" : "the body of the request is empty");
    return false;
  }
  const char *expected = *group ? arena_printf (a, "%s/%s", group, version) : version;
  const char *api_version = value_as_string (value_get (v, "apiVersion"), ""), *k = value_as_string (value_get (v, "kind"), "");
  if (*api_version && expected && strcmp (api_version, expected) != 0) {
    status_bad_request (rq, "the API version in the data (%s) does not match the expected API version (%s)", api_version, expected);
    return false;
  }
  if (*k && strcmp (k, kind) != 0) {
    status_bad_request (rq, "%s in version \"%s\" cannot be handled as a %s: the kind in the data does not match the expected kind", k,
                        version, kind);
    return false;
  }
  enum schema_unknown mode = strcmp (request_param (rq, "fieldValidation"), "Strict") == 0   ? SCHEMA_UNKNOWN_STRICT
                             : strcmp (request_param (rq, "fieldValidation"), "Ignore") == 0 ? SCHEMA_UNKNOWN_DROP
                                                                                             : SCHEMA_UNKNOWN_WARN;
  if (t && schema_decode (a, t, v, mode, unknown, &err)) {
    if (err.code == ERR_PARSE)
      status_bad_request (rq, "%s in version \"%s\" cannot be handled as a %s: %s", kind, version, kind, err.text);
    else
      status_error (rq, &err);
    return false;
  }
  if (!unknown_fields (rq, kind, version, unknown))
    return false;
  /* apiVersion and kind come first, as in every answer */
  if (!*api_version || !*k) {
    struct value *ordered = value_map (a);
    value_set_string (a, ordered, "kind", kind);
    value_set_string (a, ordered, "apiVersion", expected);
    for (value_each (v, m))
      if (strcmp (m->key, "kind") != 0 && strcmp (m->key, "apiVersion") != 0)
        value_set_n (a, ordered, m->key, m->key_len, m->value);
    v = ordered;
  }
  if (!arena_ok (a)) {
    (void) err_set (&err, ERR_NOMEM, "%s", "decode the request");
    status_error (rq, &err);
    return false;
  }
  *ret = v;
  return true;
}

/* ---- authorisation ---- */

bool
pipeline_allowed (struct request *rq, const char **ret_reason)
{
  const struct request_info *i = &rq->info;
  struct authz_attributes attr = { &rq->user, i->verb, i->group, i->version, i->resource, i->subresource, i->namespace_, i->name,
                                   i->is_resource ? NULL : rq->path };
  return !rq->server->hooks.allowed || rq->server->hooks.allowed (rq->server, &rq->arena, &attr, ret_reason);
}

static bool
authorised (struct request *rq)
{
  const struct request_info *i = &rq->info;
  const char *reason = NULL;
  if (pipeline_allowed (rq, &reason))
    return true;
  const char *colon = reason && *reason ? ": " : "";
  reason = reason ? reason : "";
  if (!i->is_resource) {
    status_reply (rq, 403, "", value_map (&rq->arena), "forbidden: User \"%s\" cannot %s path \"%s\"%s%s", rq->user.name, i->verb,
                  rq->path, colon, reason);
    return false;
  }
  const char *where = *i->namespace_ ? arena_printf (&rq->arena, "in the namespace \"%s\"", i->namespace_) : "at the cluster scope";
  const char *why = arena_printf (&rq->arena, "User \"%s\" cannot %s resource \"%s%s%s\" in API group \"%s\" %s%s%s", rq->user.name,
                                  i->verb, i->resource, *i->subresource ? "/" : "", i->subresource, i->group, where, colon, reason);
  status_forbidden (rq, i->name, why ? why : "");
  return false;
}

static bool
authenticated (struct request *rq)
{
  static const char *const no_groups[] = { "system:unauthenticated", NULL };
  if (rq->server->hooks.authenticate)
    return rq->server->hooks.authenticate (rq);
  if (rq->transport_user)
    rq->user = *rq->transport_user;
  else
    rq->user = (struct user) { .name = "system:anonymous", .uid = "", .groups = (const char **) no_groups, .n_groups = 1 };
  return true;
}

/* ---- dispatch ---- */

static const struct schema_kind *
kind_of (struct apiserver *s, const struct request_info *i)
{
  const struct schema_kind *k = schema_kind_by_resource (i->group, i->version, i->resource);
  for (size_t j = 0; !k && j < s->kinds.n_extra; j++) {
    const struct schema_kind *x = s->kinds.extra[j];
    if (strcmp (x->group, i->group) == 0 && strcmp (x->version, i->version) == 0 && strcmp (x->resource, i->resource) == 0)
      k = x;
  }
  return k;
}

/* What the registry does itself; the other subresources are the fronts' (hooks.virtual_). */
static bool
subresource_stored (const char *name)
{
  static const char *const names[] = { "status", "scale", "binding", "eviction", "finalize", "ephemeralcontainers", "resize", "approval" };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp (names[i], name) == 0)
      return true;
  return false;
}

static void
resource (struct request *rq)
{
  const struct request_info *i = &rq->info;
  struct apiserver *s = rq->server;
  const struct schema_kind *k = kind_of (s, i);
  uint32_t bit = verb_bit (i->verb);
  if (!k) {
    status_no_route (rq);
    return;
  }
  rq->kind = k;
  bool own_namespace = strcmp (i->resource, "namespaces") == 0 && !*i->group;
  if (!k->namespaced && *i->namespace_ && !own_namespace) {
    status_no_route (rq);
    return;
  }
  if (*i->subresource && !(rq->sub = schema_subresource_find (k, i->subresource))) {
    status_no_route (rq);
    return;
  }
  bool all_namespaces = k->namespaced && !*i->namespace_;
  uint32_t verbs = rq->sub ? rq->sub->verbs : k->verbs;
  if (!(verbs & bit)
      || (all_namespaces && !k->virtual_ && !(bit & (SCHEMA_LIST_VERB | SCHEMA_WATCH | SCHEMA_CREATE | SCHEMA_DELETE_COLLECTION)))
      || (bit == SCHEMA_CREATE && *i->name && !rq->sub)
      || (!*i->name && (bit & (SCHEMA_GET | SCHEMA_UPDATE | SCHEMA_PATCH)))) {
    status_method_not_allowed (rq);
    return;
  }
  if (k->virtual_ || (rq->sub && !subresource_stored (rq->sub->name))) {
    if (!s->hooks.virtual_ || !s->hooks.virtual_ (rq))
      status_no_route (rq);
    return;
  }
  if (all_namespaces && bit == SCHEMA_CREATE) {
    status_bad_request (rq, "an empty namespace may not be set during creation");
    return;
  }
  if (!watch_caches_synced (s->caches)) {
    status_reply (rq, 503, "", NULL, "the server is starting: its caches are not synced yet");
    return;
  }
  if (rq->sub && strcmp (rq->sub->name, "status") != 0)
    registry_subresource (rq);
  else if (bit == SCHEMA_GET)
    registry_get (rq);
  else if (bit == SCHEMA_LIST_VERB)
    registry_list (rq);
  else if (bit == SCHEMA_WATCH)
    registry_watch (rq);
  else if (bit == SCHEMA_CREATE)
    registry_create (rq);
  else if (bit == SCHEMA_UPDATE)
    registry_update (rq);
  else if (bit == SCHEMA_PATCH)
    registry_patch (rq);
  else if (bit == SCHEMA_DELETE)
    registry_delete (rq);
  else
    registry_delete_collection (rq);
}

void
pipeline_handle (struct request *rq)
{
  struct err err = { 0 };
  struct apiserver *s = rq->server;
  s->n_requests++;
  if (request_info_parse (rq, &err)) {
    status_bad_request (rq, "%s", err.text);
    return;
  }
  /* documents negotiate for themselves: OpenAPI has media types of its own */
  int unacceptable = respond_negotiate (rq, &err);
  if (!authenticated (rq) || !authorised (rq))
    return;
  if (!rq->info.is_resource) {
    if (!s->hooks.document || !s->hooks.document (rq))
      status_no_route (rq);
    return;
  }
  bool connects = *rq->info.subresource && !subresource_stored (rq->info.subresource);
  if (unacceptable && !connects) {
    status_reply (rq, 406, "", NULL, "%s", err.text);
    return;
  }
  resource (rq);
}
