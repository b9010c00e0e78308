#include "services/apiserver/strategy.h"

#include <openssl/evp.h>

#include "services/apiserver/status.h"

static bool
namespace_create (struct registry_op *op, struct value *obj)
{
  struct arena *a = &op->rq->arena;
  struct value *spec = value_ensure_map (a, obj, "spec"), *list = value_ensure_array (a, spec, "finalizers");
  bool has = false;
  for (value_items (list, it))
    has = has || value_string_is (*it, "kubernetes");
  if (!has)
    value_append (a, list, value_string (a, "kubernetes"));
  value_set_string (a, value_ensure_map (a, obj, "status"), "phase", "Active");
  value_set_string (a, value_ensure_map (a, value_get (obj, "metadata"), "labels"), "kubernetes.io/metadata.name", op->name);
  return true;
}

static bool
namespace_update (struct registry_op *op, struct value *live, struct value *obj, const char *subresource)
{
  struct arena *a = &op->rq->arena;
  if (strcmp (subresource, "finalize") == 0)
    return true;
  struct value *finalizers = value_path (live, "spec.finalizers"), *spec = value_ensure_map (a, obj, "spec");
  if (finalizers)
    value_set (a, spec, "finalizers", finalizers);
  else
    (void) value_unset (spec, "finalizers");
  return true;
}

/* stringData is only ever written: it goes into data. */
static void
secret_encode (struct arena *a, struct value *obj)
{
  struct value *text = value_get (obj, "stringData");
  if (value_count (text)) {
    struct value *data = value_ensure_map (a, obj, "data");
    for (value_each (text, m)) {
      if (!value_is (m->value, VALUE_STRING))
        continue;
      char *out = arena_alloc (a, 4 * ((size_t) m->value->len + 2) / 3 + 4);
      if (!out)
        return;
      (void) EVP_EncodeBlock ((unsigned char *) out, (const unsigned char *) m->value->s, (int) m->value->len);
      value_set_n (a, data, m->key, m->key_len, value_string (a, out));
    }
  }
  (void) value_unset (obj, "stringData");
}

static bool
secret_create (struct registry_op *op, struct value *obj)
{
  secret_encode (&op->rq->arena, obj);
  return true;
}

static bool
secret_update (struct registry_op *op, struct value *live, struct value *obj, const char *subresource)
{
  (void) live;
  (void) subresource;
  secret_encode (&op->rq->arena, obj);
  return true;
}

/* Selector and labels from the job's uid, unless the user chose them (job/strategy.go generateSelector). */
static bool
job_create (struct registry_op *op, struct value *obj)
{
  struct arena *a = &op->rq->arena;
  struct value *spec = value_ensure_map (a, obj, "spec");
  if (value_path_bool (spec, "manualSelector", false))
    return true;
  const char *uid = value_path_string (obj, "metadata.uid", "");
  struct value *template = value_ensure_map (a, spec, "template");
  struct value *labels = value_ensure_map (a, value_ensure_map (a, template, "metadata"), "labels");
  static const char *const keys[][2] = { { "batch.kubernetes.io/controller-uid", "controller-uid" },
                                         { "batch.kubernetes.io/job-name", "job-name" } };
  for (size_t i = 0; i < 2; i++)
    for (size_t j = 0; j < 2; j++)
      value_set_string (a, labels, keys[i][j], i ? op->name : uid);
  struct value *selector = value_ensure_map (a, spec, "selector");
  value_set_string (a, value_ensure_map (a, selector, "matchLabels"), keys[0][0], uid);
  return true;
}

static bool
claim_create (struct registry_op *op, struct value *obj)
{
  value_set_string (&op->rq->arena, value_ensure_map (&op->rq->arena, obj, "status"), "phase", "Pending");
  return true;
}

static const struct strategy rows[] = {
  { .group = "", .kind = "Pod", .create = strategy_pod_create, .update = strategy_pod_update, .grace_s = strategy_pod_grace_s },
  { .group = "", .kind = "Service", .create = strategy_service_create, .update = strategy_service_update,
    .removed = strategy_service_removed },
  { .group = "", .kind = "Namespace", .create = namespace_create, .update = namespace_update },
  { .group = "", .kind = "Node", .keeps_status = true },
  { .group = "", .kind = "Secret", .create = secret_create, .update = secret_update },
  { .group = "", .kind = "PersistentVolumeClaim", .create = claim_create },
  { .group = "", .kind = "PersistentVolume", .create = claim_create },
  { .group = "", .kind = "Endpoints", .create_on_update = true },
  { .group = "", .kind = "Event", .create_on_update = true },
  { .group = "", .kind = "LimitRange", .create_on_update = true },
  { .group = "", .kind = "ReplicationController", .orphans = true },
  { .group = "events.k8s.io", .kind = "Event", .create_on_update = true },
  { .group = "coordination.k8s.io", .kind = "Lease", .create_on_update = true },
  { .group = "rbac.authorization.k8s.io", .kind = "Role", .create_on_update = true },
  { .group = "rbac.authorization.k8s.io", .kind = "RoleBinding", .create_on_update = true },
  { .group = "rbac.authorization.k8s.io", .kind = "ClusterRole", .create_on_update = true },
  { .group = "rbac.authorization.k8s.io", .kind = "ClusterRoleBinding", .create_on_update = true },
  { .group = "batch", .kind = "Job", .create = job_create, .orphans = true },
};

const struct strategy *
strategy_of (const struct schema_kind *k)
{
  static const struct strategy none = { .group = "", .kind = "" };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strcmp (rows[i].kind, k->kind) == 0 && strcmp (rows[i].group, k->group) == 0)
      return &rows[i];
  return &none;
}
