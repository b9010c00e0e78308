/* What admission adds to pods: the service account's token, a priority, tolerations of a node's short absence. */
#include <stdio.h>

#include "services/apiserver/admission.h"
#include "services/apiserver/status.h"

#define TOKEN_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
#define TOKEN_EXPIRY_S 3607 /* upstream's: an hour and a bit, so that it shows where it came from */
#define TOLERATION_S 300

static bool
forbid (struct registry_op *op, const char *why)
{
  status_forbidden (op->rq, op->name, why ? why : "");
  return false;
}

static bool
mounts_at (const struct value *container, const char *path)
{
  for (value_items (value_get (container, "volumeMounts"), it))
    if (value_string_is (value_get (*it, "mountPath"), path))
      return true;
  return false;
}

/* kube-api-access-xxxxx: token, cluster CA and namespace, projected. */
static struct value *
token_volume (struct arena *a, const char *name)
{
  struct value *v = value_map (a), *projected = value_map (a), *sources = value_array (a);
  struct value *token = value_map (a), *ca = value_map (a), *ns = value_map (a), *item = value_map (a), *field = value_map (a);
  value_set_string (a, v, "name", name);
  value_set (a, v, "projected", projected);
  value_set (a, projected, "sources", sources);
  value_set_int (a, projected, "defaultMode", 420);
  struct value *t = value_ensure_map (a, token, "serviceAccountToken");
  value_set_int (a, t, "expirationSeconds", TOKEN_EXPIRY_S);
  value_set_string (a, t, "path", "token");
  struct value *c = value_ensure_map (a, ca, "configMap");
  value_set_string (a, c, "name", "kube-root-ca.crt");
  value_set_string (a, item, "key", "ca.crt");
  value_set_string (a, item, "path", "ca.crt");
  value_append (a, value_ensure_array (a, c, "items"), item);
  struct value *d = value_ensure_map (a, ns, "downwardAPI");
  value_set_string (a, field, "path", "namespace");
  struct value *ref = value_ensure_map (a, field, "fieldRef");
  value_set_string (a, ref, "apiVersion", "v1");
  value_set_string (a, ref, "fieldPath", "metadata.namespace");
  value_append (a, value_ensure_array (a, d, "items"), field);
  value_append (a, sources, token);
  value_append (a, sources, ca);
  value_append (a, sources, ns);
  return v;
}

bool
admission_service_account (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  static const char *const lists[] = { "containers", "initContainers" };
  (void) live;
  if (operation != ADMISSION_CREATE)
    return true;
  if (*value_as_string (value_get (value_path (obj, "metadata.annotations"), "kubernetes.io/config.mirror"), ""))
    return true; /* of a static pod: it has no account */
  struct value *spec = value_ensure_map (a, obj, "spec");
  const char *name = value_path_string (spec, "serviceAccountName", "");
  if (!*name)
    name = value_path_string (spec, "serviceAccount", "");
  if (!*name)
    name = "default";
  value_set_string (a, spec, "serviceAccountName", name);
  value_set_string (a, spec, "serviceAccount", name);
  struct value *account = registry_cached (rq->server, a, "serviceaccounts", op->namespace_, name);
  if (!account)
    return forbid (op, arena_printf (a, "error looking up service account %s/%s: serviceaccount \"%s\" not found", op->namespace_, name, name));
  struct value *secrets = value_get (account, "imagePullSecrets");
  if (value_count (secrets) && !value_count (value_get (spec, "imagePullSecrets")))
    value_set (a, spec, "imagePullSecrets", value_clone (a, secrets));
  if (!value_path_bool (spec, "automountServiceAccountToken", value_path_bool (account, "automountServiceAccountToken", true)))
    return true;
  bool needed = false;
  for (size_t i = 0; i < 2; i++)
    for (value_items (value_get (spec, lists[i]), it))
      needed = needed || !mounts_at (*it, TOKEN_PATH);
  if (!needed)
    return true;
  const char *volume = NULL;
  for (value_items (value_get (spec, "volumes"), v)) /* a copied pod has one already */
    if (strncmp (value_path_string (*v, "name", ""), "kube-api-access-", 16) == 0 && value_get (*v, "projected"))
      volume = value_path_string (*v, "name", "");
  if (!volume) {
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    char text[] = "kube-api-access-.....";
    const char *uid = value_path_string (obj, "metadata.uid", "");
    uint64_t h = hash_bytes (uid, strlen (uid), 0);
    for (size_t i = 16; i < 21; i++, h /= sizeof alphabet - 1)
      text[i] = alphabet[h % (sizeof alphabet - 1)];
    volume = arena_strdup (a, text);
    value_append (a, value_ensure_array (a, spec, "volumes"), token_volume (a, volume));
  }
  for (size_t i = 0; i < 2; i++)
    for (value_items (value_get (spec, lists[i]), it)) {
      if (mounts_at (*it, TOKEN_PATH))
        continue;
      struct value *mount = value_map (a);
      value_set_string (a, mount, "name", volume);
      value_set_bool (a, mount, "readOnly", true);
      value_set_string (a, mount, "mountPath", TOKEN_PATH);
      value_append (a, value_ensure_array (a, *it, "volumeMounts"), mount);
    }
  return true;
}

/* ---- Priority ---- */

struct global {
  struct arena *arena;
  struct value *class_;
};

static bool
find_global (void *arg, struct cached *o)
{
  struct global *g = arg;
  struct value *v = registry_tree (g->arena, o);
  if (value_path_bool (v, "globalDefault", false))
    g->class_ = v;
  return !g->class_;
}

bool
admission_priority (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  struct value *spec = value_ensure_map (a, obj, "spec");
  static const char *const kept[] = { "priority", "preemptionPolicy" };
  if (operation == ADMISSION_UPDATE) {
    for (size_t i = 0; i < 2; i++) {
      struct value *v = value_get (value_get (live, "spec"), kept[i]);
      if (v && !value_get (spec, kept[i]))
        value_set (a, spec, kept[i], v);
    }
    return true;
  }
  const char *name = value_path_string (spec, "priorityClassName", "");
  int64_t priority = 0;
  const char *preemption = "PreemptLowerPriority";
  struct value *class_ = NULL;
  if (*name) {
    class_ = registry_cached (rq->server, a, "priorityclasses.scheduling.k8s.io", "", name);
    if (!class_ && strcmp (name, "system-node-critical") == 0)
      priority = 2000001000;
    else if (!class_ && strcmp (name, "system-cluster-critical") == 0)
      priority = 2000000000;
    else if (!class_)
      return forbid (op, arena_printf (a, "no PriorityClass with name %s was found", name));
  } else {
    struct global g = { .arena = a };
    struct watch_cache *c = watch_cache_get (rq->server->caches, "priorityclasses.scheduling.k8s.io");
    if (c)
      watch_cache_each (c, NULL, NULL, find_global, &g);
    class_ = g.class_;
    if (class_)
      value_set_string (a, spec, "priorityClassName", value_path_string (class_, "metadata.name", ""));
  }
  if (class_) {
    priority = value_path_int (class_, "value", 0);
    preemption = value_path_string (class_, "preemptionPolicy", preemption);
  }
  struct value *asked = value_get (spec, "priority");
  if (value_is (asked, VALUE_INT) && value_as_int (asked, 0) != priority)
    return forbid (op, arena_printf (a, "the integer value of priority (%lld) must not be provided in pod spec; priority admission controller computed %lld "
                                        "from the given PriorityClass name", (long long) value_as_int (asked, 0), (long long) priority));
  value_set_int (a, spec, "priority", priority);
  if (!value_get (spec, "preemptionPolicy"))
    value_set_string (a, spec, "preemptionPolicy", preemption);
  return true;
}

/* ---- DefaultTolerationSeconds ---- */

static bool
tolerates (const struct value *spec, const char *key)
{
  for (value_items (value_get (spec, "tolerations"), it)) {
    const char *k = value_path_string (*it, "key", ""), *effect = value_path_string (*it, "effect", "");
    if ((!*k || strcmp (k, key) == 0) && (!*effect || strcmp (effect, "NoExecute") == 0))
      return true;
  }
  return false;
}

bool
admission_toleration_seconds (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj)
{
  static const char *const keys[] = { "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable" };
  struct arena *a = &op->rq->arena;
  struct value *spec = value_get (obj, "spec");
  (void) live;
  (void) operation;
  for (size_t i = 0; i < 2; i++) {
    if (tolerates (spec, keys[i]))
      continue;
    struct value *t = value_map (a);
    value_set_string (a, t, "key", keys[i]);
    value_set_string (a, t, "operator", "Exists");
    value_set_string (a, t, "effect", "NoExecute");
    value_set_int (a, t, "tolerationSeconds", TOLERATION_S);
    value_append (a, value_ensure_array (a, spec, "tolerations"), t);
  }
  return true;
}
