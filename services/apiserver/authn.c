/* Who asks: a client certificate or CURVE key (the front has read it), a bearer token of a service account, nobody
   (system:anonymous), and then perhaps somebody else in whose name is asked (impersonation). */
#include "base/clock.h"
#include "schemas/msgpack.h"
#include "services/apiserver/front.h"
#include "services/apiserver/status.h"

#define SERVICE_ACCOUNT "system:serviceaccount:"

static void
add_group (struct arena *a, struct user *u, const char *group)
{
  const char **groups;
  if (user_in_group (u, group) || !(groups = arena_zalloc (a, (u->n_groups + 2) * sizeof *groups)))
    return;
  if (u->n_groups)
    memcpy (groups, u->groups, u->n_groups * sizeof *groups);
  groups[u->n_groups++] = arena_strdup (a, group);
  u->groups = groups;
}

/* True when the object that a token is bound to still lives: same uid in the cache. */
static bool
alive (struct apiserver *s, struct arena *a, const char *prefix, const char *namespace_, const struct value *ref)
{
  const char *name = value_path_string (ref, "name", ""), *uid = value_path_string (ref, "uid", "");
  const char *key = *namespace_ ? arena_printf (a, "%s/%s/%s", prefix, namespace_, name) : arena_printf (a, "%s/%s", prefix, name);
  struct cached *o = key ? watch_cache_find (s->caches, key) : NULL;
  struct value *v = NULL;
  if (!ref)
    return true;
  return o && !value_unpack (a, o->packed, o->len, &v, NULL) && !strcmp (value_path_string (v, "metadata.uid", ""), uid);
}

static bool
audience_fits (const struct value *aud, const char *audience)
{
  if (value_string_is (aud, audience))
    return true;
  for (value_items (aud, it))
    if (value_string_is (*it, audience))
      return true;
  return false;
}

int
authn_token (struct apiserver *s, struct arena *a, const char *token, const char *audience, struct user *ret, struct err *err)
{
  const struct front *f = s->front;
  struct value *claims, *k8s;
  const char *namespace_, *name;
  int64_t now = wall_now ().us / 1000000;
  int r;
  if (!f->sa_public)
    return err_set (err, ERR_UNAUTHENTICATED, "token: none are accepted");
  if ((r = token_verify (a, f->sa_public, token, &claims, err)))
    return r;
  if (!value_string_is (value_get (claims, "iss"), f->issuer) || !audience_fits (value_get (claims, "aud"), audience ? audience : f->issuer))
    return err_set (err, ERR_UNAUTHENTICATED, "token: issuer or audience");
  if (value_path_int (claims, "exp", 0) <= now || value_path_int (claims, "nbf", 0) > now + 60)
    return err_set (err, ERR_UNAUTHENTICATED, "token: expired or not valid yet");
  k8s = value_get (claims, "kubernetes.io");
  namespace_ = value_path_string (k8s, "namespace", "");
  name = value_path_string (k8s, "serviceaccount.name", "");
  if (!*namespace_ || !*name)
    return err_set (err, ERR_UNAUTHENTICATED, "token: it names no service account");
  if (!alive (s, a, "serviceaccounts", namespace_, value_get (k8s, "serviceaccount")) || !alive (s, a, "pods", namespace_, value_get (k8s, "pod"))
      || !alive (s, a, "secrets", namespace_, value_get (k8s, "secret")))
    return err_set (err, ERR_UNAUTHENTICATED, "token: what it is bound to is gone");
  *ret = (struct user){.name = arena_printf (a, SERVICE_ACCOUNT "%s:%s", namespace_, name), .uid = value_path_string (k8s, "serviceaccount.uid", "")};
  add_group (a, ret, "system:serviceaccounts");
  add_group (a, ret, arena_printf (a, "system:serviceaccounts:%s", namespace_));
  add_group (a, ret, "system:authenticated");
  if (value_get (k8s, "pod")) {
    struct value *extra = value_map (a);
    value_append (a, value_ensure_array (a, extra, "authentication.kubernetes.io/pod-name"), value_string (a, value_path_string (k8s, "pod.name", "")));
    value_append (a, value_ensure_array (a, extra, "authentication.kubernetes.io/pod-uid"), value_string (a, value_path_string (k8s, "pod.uid", "")));
    ret->extra = extra;
  }
  return arena_ok (a) ? 0 : err_set (err, ERR_NOMEM, "token");
}

static bool
unauthorized (struct request *rq)
{
  status_reply (rq, 401, "Unauthorized", NULL, "Unauthorized");
  return false;
}

static const char *
header (const struct request *rq, const char *name)
{
  return rq->header ? rq->header (rq, name) : NULL;
}

/* May rq's user act as that user, group or uid? */
static bool
may_impersonate (struct request *rq, const char *group, const char *resource, const char *namespace_, const char *name)
{
  struct authz_attributes attr = {.user = &rq->user, .verb = "impersonate", .group = group, .version = "v1", .resource = resource, .subresource = "",
                                  .namespace_ = namespace_, .name = name};
  const char *reason = NULL;
  if (authz_allowed (rq->server, &rq->arena, &attr, &reason))
    return true;
  status_reply (rq, 403, "Forbidden", status_details (&rq->arena, group, resource, name), "%s \"%s\" is forbidden: User \"%s\" cannot impersonate resource \"%s\" in API group \"%s\" at the cluster scope",
                resource, name, rq->user.name, resource, group);
  return false;
}

static bool
impersonate (struct request *rq)
{
  struct arena *a = &rq->arena;
  const char *name = header (rq, "impersonate-user"), *group = header (rq, "impersonate-group"), *uid = header (rq, "impersonate-uid");
  struct user as = {.name = name ? arena_strdup (a, name) : NULL, .uid = ""};
  if (!name) {
    if (!group && !uid)
      return true;
    status_bad_request (rq, "requested groups or uid without impersonating a user");
    return false;
  }
  if (!strncmp (name, SERVICE_ACCOUNT, strlen (SERVICE_ACCOUNT)) && strchr (name + strlen (SERVICE_ACCOUNT), ':')) {
    const char *ns = name + strlen (SERVICE_ACCOUNT), *colon = strchr (ns, ':');
    const char *namespace_ = arena_strndup (a, ns, (size_t) (colon - ns));
    if (!may_impersonate (rq, "", "serviceaccounts", namespace_, colon + 1))
      return false;
    if (!group) {
      add_group (a, &as, "system:serviceaccounts");
      add_group (a, &as, arena_printf (a, "system:serviceaccounts:%s", namespace_));
    }
  } else if (!may_impersonate (rq, "", "users", "", name)) {
    return false;
  }
  while (group && *group) { /* fronts join repeated headers by commas */
    size_t n = strcspn (group, ",");
    const char *one = arena_strndup (a, group, n);
    if (!one || !may_impersonate (rq, "", "groups", "", one))
      return false;
    add_group (a, &as, one);
    group += n;
    group += strspn (group, ", ");
  }
  if (uid && !may_impersonate (rq, "authentication.k8s.io", "uids", "", uid))
    return false;
  if (uid)
    as.uid = arena_strdup (a, uid);
  add_group (a, &as, strcmp (name, "system:anonymous") ? "system:authenticated" : "system:unauthenticated");
  rq->user = as;
  return true;
}

bool
authn_authenticate (struct request *rq)
{
  const char *authorization = header (rq, "authorization");
  struct arena *a = &rq->arena;
  struct err err;
  if (rq->transport_user) {
    rq->user = *rq->transport_user;
    add_group (a, &rq->user, "system:authenticated");
  } else if (authorization && !strncasecmp (authorization, "Bearer ", 7)) {
    const char *token = authorization + 7;
    token += strspn (token, " ");
    if (authn_token (rq->server, a, token, NULL, &rq->user, &err))
      return unauthorized (rq);
  } else if (authorization) {
    return unauthorized (rq);
  } else {
    rq->user = (struct user){.name = "system:anonymous", .uid = ""};
    add_group (a, &rq->user, "system:unauthenticated");
  }
  return rq->bus || impersonate (rq);
}
