/* May they: system:masters always, the Node rules for kubelets, else RBAC over the roles and bindings in the cache. */
#include "schemas/msgpack.h"
#include "services/apiserver/front.h"

#define RBAC "rbac.authorization.k8s.io"

struct ask {
  struct apiserver *s;
  struct arena *a;
  const struct authz_attributes *attr;
  bool allowed;
  const char *reason;
  /* authz_rules: collect instead of asking */
  struct value *resource_rules, *non_resource_rules;
  const char *scope; /* namespace that the rules of this binding hold in; "" everywhere */
};

static bool
lists (const struct value *list, const char *text)
{
  for (value_items (list, it))
    if (value_string_is (*it, "*") || value_string_is (*it, text))
      return true;
  return false;
}

static bool
resource_fits (const struct value *resources, const struct authz_attributes *at)
{
  char whole[256], any[128];
  if (!at->subresource || !*at->subresource)
    return lists (resources, at->resource);
  snprintf (whole, sizeof whole, "%s/%s", at->resource, at->subresource);
  snprintf (any, sizeof any, "*/%s", at->subresource);
  return lists (resources, whole) || lists (resources, any);
}

static bool
path_fits (const struct value *urls, const char *path)
{
  for (value_items (urls, it)) {
    const char *p = value_as_string (*it, "");
    size_t n = strlen (p);
    if (!strcmp (p, path) || (n && p[n - 1] == '*' && !strncmp (p, path, n - 1)))
      return true;
  }
  return false;
}

static bool
rule_fits (const struct value *rule, const struct authz_attributes *at)
{
  const struct value *names = value_get (rule, "resourceNames");
  if (!lists (value_get (rule, "verbs"), at->verb))
    return false;
  if (at->path)
    return path_fits (value_get (rule, "nonResourceURLs"), at->path);
  if (!lists (value_get (rule, "apiGroups"), at->group) || !resource_fits (value_get (rule, "resources"), at))
    return false;
  if (!value_count (names))
    return true;
  for (value_items (names, it))
    if (at->name && *at->name && value_string_is (*it, at->name))
      return true;
  return false;
}

static struct value *
load (struct ask *q, const char *key)
{
  struct cached *o = key ? watch_cache_find (q->s->caches, key) : NULL;
  struct value *v = NULL;
  return o && !value_unpack (q->a, o->packed, o->len, &v, NULL) ? v : NULL;
}

static bool
subject_fits (const struct value *subject, const struct user *u, const char *binding_namespace)
{
  const char *kind = value_path_string (subject, "kind", ""), *name = value_path_string (subject, "name", "");
  char account[600];
  if (!strcmp (kind, "User"))
    return !strcmp (name, u->name);
  if (!strcmp (kind, "Group"))
    return user_in_group (u, name);
  if (strcmp (kind, "ServiceAccount"))
    return false;
  snprintf (account, sizeof account, "system:serviceaccount:%s:%s", value_path_string (subject, "namespace", binding_namespace), name);
  return !strcmp (account, u->name);
}

/* Copies a rule's words into the lists of a SubjectRulesReview. */
static void
collect (struct ask *q, const struct value *rule)
{
  static const char *const resource_fields[] = {"verbs", "apiGroups", "resources", "resourceNames"}, *const path_fields[] = {"verbs", "nonResourceURLs"};
  bool paths = value_get (rule, "nonResourceURLs") != NULL;
  struct value *out = value_map (q->a);
  if (paths && *q->scope)
    return;
  for (size_t i = 0; i < (paths ? 2u : 4u); i++) {
    const char *name = paths ? path_fields[i] : resource_fields[i];
    value_set (q->a, out, name, value_clone (q->a, value_get (rule, name)));
  }
  value_append (q->a, paths ? q->non_resource_rules : q->resource_rules, out);
}

static void
try_role (struct ask *q, const struct value *binding, const char *kind, const char *name, const char *namespace_)
{
  const char *key = !strcmp (kind, "ClusterRole") ? arena_printf (q->a, "clusterroles." RBAC "/%s", name)
                                                  : arena_printf (q->a, "roles." RBAC "/%s/%s", namespace_, name);
  struct value *role = load (q, key);
  for (value_items (value_get (role, "rules"), it)) {
    if (q->resource_rules) {
      collect (q, *it);
    } else if (rule_fits (*it, q->attr)) {
      q->allowed = true;
      q->reason = arena_printf (q->a, "RBAC: allowed by %s \"%s\" of %s \"%s\" to %s", *namespace_ ? "RoleBinding" : "ClusterRoleBinding",
                                value_path_string (binding, "metadata.name", ""), kind, name, q->attr->user->name);
      return;
    }
  }
}

static bool
try_binding (void *arg, struct cached *o)
{
  struct ask *q = arg;
  struct value *b = NULL;
  const char *namespace_;
  if (value_unpack (q->a, o->packed, o->len, &b, NULL))
    return true;
  namespace_ = value_path_string (b, "metadata.namespace", "");
  q->scope = namespace_;
  for (value_items (value_get (b, "subjects"), it))
    if (subject_fits (*it, q->attr->user, namespace_)) {
      try_role (q, b, value_path_string (b, "roleRef.kind", ""), value_path_string (b, "roleRef.name", ""), namespace_);
      break;
    }
  return !q->allowed;
}

static void
each_binding (struct ask *q, const char *namespace_)
{
  struct watch_cache *cluster = watch_cache_get (q->s->caches, "clusterrolebindings." RBAC), *local = watch_cache_get (q->s->caches, "rolebindings." RBAC);
  if (cluster)
    watch_cache_each (cluster, NULL, NULL, try_binding, q);
  if (!q->allowed && local && namespace_ && *namespace_)
    watch_cache_each (local, namespace_, NULL, try_binding, q);
}

/* ---- nodes: a kubelet's own node, lease and pods; what its pods name ---- */

static bool
is (const char *text, const char *const *words)
{
  for (; *words; words++)
    if (!strcmp (*words, text))
      return true;
  return false;
}
#define ONE_OF(text, ...) is (text, (const char *const[]){__VA_ARGS__, NULL})

struct uses {
  struct ask *q;
  const char *node, *resource, *name;
  bool found;
};

/* Does the value anywhere below name the object in a way that its kind is named by? */
static bool
names_object (const struct value *v, const char *resource, const char *name)
{
  bool secret = !strcmp (resource, "secrets"), config = !strcmp (resource, "configmaps"), claim = !strcmp (resource, "persistentvolumeclaims");
  if (value_is (v, VALUE_ARRAY)) {
    for (value_items (v, it))
      if (names_object (*it, resource, name))
        return true;
    return false;
  }
  for (value_each (v, m)) {
    const char *own = value_path_string (m->value, "name", NULL);
    if (secret && (!strcmp (m->key, "secretRef") || !strcmp (m->key, "secretKeyRef") || !strcmp (m->key, "secret") || !strcmp (m->key, "nodePublishSecretRef"))) {
      if ((own && !strcmp (own, name)) || !strcmp (value_path_string (m->value, "secretName", ""), name))
        return true;
    }
    if (secret && !strcmp (m->key, "imagePullSecrets"))
      for (value_items (m->value, it))
        if (!strcmp (value_path_string (*it, "name", ""), name))
          return true;
    if (config && (!strcmp (m->key, "configMapRef") || !strcmp (m->key, "configMapKeyRef") || !strcmp (m->key, "configMap")) && own && !strcmp (own, name))
      return true;
    if (claim && !strcmp (m->key, "persistentVolumeClaim") && !strcmp (value_path_string (m->value, "claimName", ""), name))
      return true;
    if (names_object (m->value, resource, name))
      return true;
  }
  return false;
}

static bool
pod_uses (void *arg, struct cached *o)
{
  struct uses *u = arg;
  struct arena a AUTO_ARENA = {0};
  struct value *pod = NULL;
  if (value_unpack (&a, o->packed, o->len, &pod, NULL) || strcmp (value_path_string (pod, "spec.nodeName", ""), u->node))
    return true;
  if (!strcmp (u->resource, "serviceaccounts"))
    u->found = !strcmp (value_path_string (pod, "spec.serviceAccountName", ""), u->name);
  else
    u->found = names_object (value_get (pod, "spec"), u->resource, u->name);
  return !u->found;
}

static bool
node_pods_use (struct ask *q, const char *node, const char *resource)
{
  struct uses u = {q, node, resource, q->attr->name ? q->attr->name : "", false};
  struct watch_cache *pods = watch_cache_get (q->s->caches, "pods");
  if (pods && *u.name && q->attr->namespace_ && *q->attr->namespace_)
    watch_cache_each (pods, q->attr->namespace_, NULL, pod_uses, &u);
  return u.found;
}

static bool
node_allowed (struct ask *q)
{
  const struct authz_attributes *at = q->attr;
  const char *node = at->user->name + strlen ("system:node:");
  bool own = at->name && !strcmp (at->name, node), read = ONE_OF (at->verb, "get", "list", "watch");
  if (at->path)
    return false;
  if (!*at->group) {
    if (!strcmp (at->resource, "nodes"))
      return read || !strcmp (at->verb, "create") || (own && ONE_OF (at->verb, "update", "patch", "delete"));
    if (!strcmp (at->resource, "pods"))
      return read || ONE_OF (at->verb, "create", "delete") || (at->subresource && !strcmp (at->subresource, "status") && ONE_OF (at->verb, "update", "patch"))
             || (at->subresource && !strcmp (at->subresource, "eviction"));
    if (!strcmp (at->resource, "events"))
      return ONE_OF (at->verb, "create", "update", "patch");
    if (ONE_OF (at->resource, "services"))
      return read;
    if (ONE_OF (at->resource, "secrets", "configmaps", "persistentvolumeclaims"))
      return !strcmp (at->verb, "get") && node_pods_use (q, node, at->resource);
    if (!strcmp (at->resource, "persistentvolumes"))
      return !strcmp (at->verb, "get");
    if (!strcmp (at->resource, "serviceaccounts"))
      return (!strcmp (at->verb, "get") || (at->subresource && !strcmp (at->subresource, "token") && !strcmp (at->verb, "create"))) && node_pods_use (q, node, "serviceaccounts");
    return false;
  }
  if (!strcmp (at->group, "coordination.k8s.io") && !strcmp (at->resource, "leases"))
    return own && at->namespace_ && !strcmp (at->namespace_, "kube-node-lease") ? ONE_OF (at->verb, "get", "update", "patch", "delete")
                                                                                 : !strcmp (at->verb, "create") && at->namespace_ && !strcmp (at->namespace_, "kube-node-lease");
  if (!strcmp (at->group, "events.k8s.io"))
    return ONE_OF (at->verb, "create", "update", "patch");
  if (!strcmp (at->group, "node.k8s.io") || (!strcmp (at->group, "storage.k8s.io") && ONE_OF (at->resource, "csinodes", "csidrivers", "volumeattachments")))
    return read;
  if (!strcmp (at->group, "certificates.k8s.io"))
    return ONE_OF (at->verb, "create", "get", "list", "watch");
  return ONE_OF (at->group, "authentication.k8s.io", "authorization.k8s.io") && !strcmp (at->verb, "create");
}

bool
authz_allowed (struct apiserver *s, struct arena *a, const struct authz_attributes *attr, const char **ret_reason)
{
  struct arena scratch AUTO_ARENA = {0};
  struct ask q = {.s = s, .a = &scratch, .attr = attr};
  if (user_in_group (attr->user, "system:masters"))
    return true;
  if (user_in_group (attr->user, "system:nodes") && !strncmp (attr->user->name, "system:node:", 12) && node_allowed (&q))
    return true;
  each_binding (&q, attr->namespace_);
  if (q.reason && ret_reason)
    *ret_reason = arena_strdup (a, q.reason);
  return q.allowed;
}

void
authz_rules (struct apiserver *s, struct arena *a, const struct user *user, const char *namespace_, struct value *ret_status)
{
  const struct authz_attributes attr = {.user = user, .namespace_ = namespace_};
  struct ask q = {.s = s, .a = a, .attr = &attr, .resource_rules = value_array (a), .non_resource_rules = value_array (a)};
  if (user_in_group (user, "system:masters")) {
    static const char *const all[][2] = {{"verbs", "apiGroups"}, {"resources", NULL}};
    struct value *rule = value_map (a), *path = value_map (a);
    for (size_t i = 0; i < 2; i++)
      for (size_t k = 0; k < 2 && all[i][k]; k++)
        value_append (a, value_ensure_array (a, rule, all[i][k]), value_string (a, "*"));
    value_append (a, q.resource_rules, rule);
    value_append (a, value_ensure_array (a, path, "verbs"), value_string (a, "*"));
    value_append (a, value_ensure_array (a, path, "nonResourceURLs"), value_string (a, "*"));
    value_append (a, q.non_resource_rules, path);
  }
  each_binding (&q, namespace_);
  value_set (a, ret_status, "resourceRules", q.resource_rules);
  value_set (a, ret_status, "nonResourceRules", q.non_resource_rules);
  value_set_bool (a, ret_status, "incomplete", false);
}
