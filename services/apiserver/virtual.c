/* Kinds that are answered and not stored: the reviews of authentication and authorisation, and token requests. One row a kind. */
#include <stdlib.h>

#include "base/clock.h"
#include "schemas/msgpack.h"
#include "services/apiserver/front.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"

/* The user as an authentication.k8s.io UserInfo. */
static struct value *
user_info (struct arena *a, const struct user *u)
{
  struct value *v = value_map (a), *groups;
  value_set_string (a, v, "username", u->name);
  if (u->uid && *u->uid)
    value_set_string (a, v, "uid", u->uid);
  groups = value_ensure_array (a, v, "groups");
  for (size_t i = 0; i < u->n_groups; i++)
    value_append (a, groups, value_string (a, u->groups[i]));
  if (u->extra)
    value_set (a, v, "extra", value_clone (a, u->extra));
  return v;
}

static void
read_groups (struct arena *a, const struct value *list, struct user *u)
{
  u->groups = arena_zalloc (a, (value_count (list) + 1) * sizeof *u->groups);
  for (value_items (list, it))
    if (u->groups)
      u->groups[u->n_groups++] = value_as_string (*it, "");
}

static void
created (struct request *rq, struct value *obj)
{
  respond_tree (rq, 201, obj);
}

/* ---- authorization.k8s.io ---- */

static void
judge (struct request *rq, struct value *obj, const struct user *user)
{
  struct arena *a = &rq->arena;
  const struct value *spec = value_get (obj, "spec"), *r = value_get (spec, "resourceAttributes"), *p = value_get (spec, "nonResourceAttributes");
  struct authz_attributes at = {.user = user,
                                .verb = value_path_string (r ? r : p, "verb", ""),
                                .group = value_path_string (r, "group", ""),
                                .version = value_path_string (r, "version", ""),
                                .resource = value_path_string (r, "resource", ""),
                                .subresource = value_path_string (r, "subresource", ""),
                                .namespace_ = value_path_string (r, "namespace", ""),
                                .name = value_path_string (r, "name", ""),
                                .path = r ? NULL : value_path_string (p, "path", "")};
  struct value *status = value_map (a);
  const char *reason = NULL;
  value_set_bool (a, status, "allowed", authz_allowed (rq->server, a, &at, &reason));
  if (reason)
    value_set_string (a, status, "reason", reason);
  value_set (a, obj, "status", status);
  created (rq, obj);
}

static bool
has_attributes (struct request *rq, const struct value *obj)
{
  struct schema_causes causes = {.arena = &rq->arena};
  bool resource = value_path (obj, "spec.resourceAttributes") != NULL, path = value_path (obj, "spec.nonResourceAttributes") != NULL;
  if (resource != path)
    return true;
  schema_causes_add (&causes, "FieldValueInvalid", "spec.resourceAttributes", "%s",
                     resource ? "cannot be specified in combination with nonResourceAttributes" : "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified");
  status_invalid (rq, "", &causes);
  return false;
}

static void
self_access (struct request *rq, struct value *obj)
{
  if (has_attributes (rq, obj))
    judge (rq, obj, &rq->user);
}

static void
access_of (struct request *rq, struct value *obj)
{
  struct user u = {.name = value_path_string (obj, "spec.user", ""), .uid = value_path_string (obj, "spec.uid", "")};
  if (!has_attributes (rq, obj))
    return;
  read_groups (&rq->arena, value_path (obj, "spec.groups"), &u);
  judge (rq, obj, &u);
}

static void
self_rules (struct request *rq, struct value *obj)
{
  struct value *status = value_map (&rq->arena);
  authz_rules (rq->server, &rq->arena, &rq->user, value_path_string (obj, "spec.namespace", "default"), status);
  value_set (&rq->arena, obj, "status", status);
  created (rq, obj);
}

/* ---- authentication.k8s.io ---- */

static void
self_subject (struct request *rq, struct value *obj)
{
  struct value *status = value_map (&rq->arena);
  value_set (&rq->arena, status, "userInfo", user_info (&rq->arena, &rq->user));
  value_set (&rq->arena, obj, "status", status);
  created (rq, obj);
}

static void
token_review (struct request *rq, struct value *obj)
{
  struct arena *a = &rq->arena;
  struct value *status = value_map (a), *audiences = value_path (obj, "spec.audiences");
  const char *token = value_path_string (obj, "spec.token", ""), *audience = value_as_string (value_at (audiences, 0), NULL);
  struct user u;
  struct err err;
  if (!*token) {
    status_bad_request (rq, "token is required for TokenReview in authentication");
    return;
  }
  if (authn_token (rq->server, a, token, audience, &u, &err)) {
    value_set_bool (a, status, "authenticated", false);
    value_set_string (a, status, "error", err.text);
  } else {
    value_set_bool (a, status, "authenticated", true);
    value_set (a, status, "user", user_info (a, &u));
    value_append (a, value_ensure_array (a, status, "audiences"), value_string (a, audience ? audience : ((struct front *) rq->server->front)->issuer));
  }
  value_set (a, obj, "status", status);
  created (rq, obj);
}

/* ---- serviceaccounts/token ---- */

#define TOKEN_SECONDS_DEFAULT 3600
#define TOKEN_SECONDS_MIN 600
#define TOKEN_SECONDS_MAX (24 * 3600)

static struct value *
stored (struct request *rq, const char *prefix, const char *namespace_, const char *name)
{
  const char *key = arena_printf (&rq->arena, "%s/%s/%s", prefix, namespace_, name);
  struct cached *o = key ? watch_cache_find (rq->server->caches, key) : NULL;
  struct value *v = NULL;
  return o && !value_unpack (&rq->arena, o->packed, o->len, &v, NULL) ? v : NULL;
}

static struct value *
reference (struct arena *a, const struct value *obj)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "name", value_path_string (obj, "metadata.name", ""));
  value_set_string (a, v, "uid", value_path_string (obj, "metadata.uid", ""));
  return v;
}

/* The object that the token is to be bound to; false: answered. */
static bool
bound_object (struct request *rq, const struct value *ref, struct value *k8s)
{
  const char *kind = value_path_string (ref, "kind", ""), *name = value_path_string (ref, "name", ""), *uid = value_path_string (ref, "uid", "");
  bool pod = !strcmp (kind, "Pod");
  struct value *obj;
  if (!ref)
    return true;
  if (!pod && strcmp (kind, "Secret")) {
    status_bad_request (rq, "cannot bind token for serviceaccount \"%s\" to object of type %s", rq->info.name, kind);
    return false;
  }
  if (!(obj = stored (rq, pod ? "pods" : "secrets", rq->info.namespace_, name))) {
    status_reply (rq, 404, "NotFound", status_details (&rq->arena, "", pod ? "pods" : "secrets", name), "%s \"%s\" not found", pod ? "pods" : "secrets", name);
    return false;
  }
  if (*uid && strcmp (uid, value_path_string (obj, "metadata.uid", ""))) {
    status_conflict (rq, rq->info.name, "the UID in the bound object reference does not match the UID in record");
    return false;
  }
  value_set (&rq->arena, k8s, pod ? "pod" : "secret", reference (&rq->arena, obj));
  return true;
}

static void
token_request (struct request *rq, struct value *obj)
{
  struct arena *a = &rq->arena;
  struct front *f = rq->server->front;
  struct value *account = stored (rq, "serviceaccounts", rq->info.namespace_, rq->info.name), *spec = value_ensure_map (a, obj, "spec");
  struct value *claims = value_map (a), *k8s = value_map (a), *audiences = value_ensure_array (a, spec, "audiences"), *status = value_map (a);
  int64_t now = wall_now ().us / 1000000, seconds = value_path_int (spec, "expirationSeconds", TOKEN_SECONDS_DEFAULT);
  char stamp[CLOCK_RFC3339_SIZE], *token = NULL;
  struct err err;
  if (!account) {
    status_not_found (rq, rq->info.name);
    return;
  }
  if (!f->sa_private) {
    status_reply (rq, 500, "InternalError", NULL, "no service account signing key is configured");
    return;
  }
  if (seconds < TOKEN_SECONDS_MIN) {
    struct schema_causes causes = {.arena = a};
    schema_causes_add (&causes, "FieldValueInvalid", "spec.expirationSeconds", "Invalid value: %lld: may not specify a duration less than 10 minutes", (long long) seconds);
    status_invalid (rq, rq->info.name, &causes);
    return;
  }
  if (seconds > TOKEN_SECONDS_MAX)
    seconds = TOKEN_SECONDS_MAX;
  if (!value_count (audiences))
    value_append (a, audiences, value_string (a, f->issuer));
  value_set_string (a, k8s, "namespace", rq->info.namespace_);
  value_set (a, k8s, "serviceaccount", reference (a, account));
  if (!bound_object (rq, value_get (spec, "boundObjectRef"), k8s))
    return;
  value_set_string (a, claims, "iss", f->issuer);
  value_set (a, claims, "sub", value_printf (a, "system:serviceaccount:%s:%s", rq->info.namespace_, rq->info.name));
  value_set (a, claims, "aud", value_clone (a, audiences));
  value_set_int (a, claims, "iat", now);
  value_set_int (a, claims, "nbf", now);
  value_set_int (a, claims, "exp", now + seconds);
  value_set (a, claims, "kubernetes.io", k8s);
  if (!arena_ok (a) || token_sign (f->sa_private, claims, &token, &err)) {
    status_reply (rq, 500, "InternalError", NULL, "the token could not be signed");
    return;
  }
  value_set_string (a, status, "token", token);
  value_set_string (a, status, "expirationTimestamp", wall_format ((wall_t){(now + seconds) * 1000000}, stamp));
  free (token);
  value_set_int (a, spec, "expirationSeconds", seconds);
  value_set (a, obj, "status", status);
  created (rq, obj);
}

static const struct {
  const char *group, *resource, *subresource, *kind;
  const char *type_group_version;
  void (*serve) (struct request *rq, struct value *obj);
} rows[] = {
    {"authorization.k8s.io", "selfsubjectaccessreviews", "", "SelfSubjectAccessReview", "authorization.k8s.io/v1", self_access},
    {"authorization.k8s.io", "subjectaccessreviews", "", "SubjectAccessReview", "authorization.k8s.io/v1", access_of},
    {"authorization.k8s.io", "localsubjectaccessreviews", "", "LocalSubjectAccessReview", "authorization.k8s.io/v1", access_of},
    {"authorization.k8s.io", "selfsubjectrulesreviews", "", "SelfSubjectRulesReview", "authorization.k8s.io/v1", self_rules},
    {"authentication.k8s.io", "selfsubjectreviews", "", "SelfSubjectReview", "authentication.k8s.io/v1", self_subject},
    {"authentication.k8s.io", "tokenreviews", "", "TokenReview", "authentication.k8s.io/v1", token_review},
    {"", "serviceaccounts", "token", "TokenRequest", "authentication.k8s.io/v1", token_request},
};

bool
virtual_serve (struct request *rq)
{
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *group = *rows[i].subresource ? "authentication.k8s.io" : rows[i].group;
    struct value *obj = NULL;
    if (strcmp (rows[i].group, rq->info.group) || strcmp (rows[i].resource, rq->info.resource) || strcmp (rows[i].subresource, rq->info.subresource))
      continue;
    if (strcmp (rq->info.verb, "create"))
      status_method_not_allowed (rq);
    else if (pipeline_decode (rq, schema_type_find (rows[i].type_group_version, rows[i].kind), group, "v1", rows[i].kind, &obj)) {
      if (obj)
        rows[i].serve (rq, obj);
      else
        status_bad_request (rq, "a %s is needed", rows[i].kind);
    }
    return true;
  }
  return false;
}
