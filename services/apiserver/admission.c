#include "services/apiserver/admission.h"

#include "services/apiserver/status.h"

typedef bool (*plugin_fn) (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj);

/* Upstream's order (kubeapiserver/options/plugins.go). */
static const struct {
  plugin_fn fn;
  const char *kind; /* NULL: every kind */
} mutating[] = {
  { admission_namespace, NULL },
  { admission_limit_defaults, "Pod" },
  { admission_service_account, "Pod" },
  { admission_priority, "Pod" },
  { admission_toleration_seconds, "Pod" },
},
  validating[] = {
    { admission_namespace, NULL },
    { admission_limit_check, "Pod" },
  };

static bool
concerns (const struct registry_op *op, const char *kind)
{
  return !kind || (!*op->kind->group && strcmp (op->kind->kind, kind) == 0);
}

bool
admission_mutate (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj)
{
  for (size_t i = 0; i < sizeof mutating / sizeof *mutating; i++)
    if (concerns (op, mutating[i].kind) && !mutating[i].fn (op, operation, live, obj))
      return false;
  return true;
}

bool
admission_validate (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj)
{
  for (size_t i = 0; i < sizeof validating / sizeof *validating; i++)
    if (concerns (op, validating[i].kind) && !validating[i].fn (op, operation, live, obj))
      return false;
  return true;
}

/* NamespaceLifecycle: nothing new in a namespace that is absent or going, and three that stay. */
bool
admission_namespace (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj)
{
  static const char *const immortal[] = { "default", "kube-system", "kube-public" };
  struct request *rq = op->rq;
  (void) live;
  (void) obj;
  if (operation == ADMISSION_DELETE && !*op->kind->group && strcmp (op->kind->kind, "Namespace") == 0) {
    for (size_t i = 0; i < sizeof immortal / sizeof *immortal; i++)
      if (strcmp (op->name, immortal[i]) == 0) {
        status_forbidden (rq, op->name, "this namespace may not be deleted");
        return false;
      }
  }
  if (operation != ADMISSION_CREATE || !*op->namespace_)
    return true;
  struct value *ns = registry_cached (rq->server, &rq->arena, "namespaces", "", op->namespace_);
  if (!ns) {
    status_reply (rq, 404, "", status_details (&rq->arena, "", "namespaces", op->namespace_), "namespaces \"%s\" not found", op->namespace_);
    return false;
  }
  if (*value_path_string (ns, "metadata.deletionTimestamp", "")) {
    struct arena *a = &rq->arena;
    struct value *details = status_details (a, rq->info.group, rq->info.resource, op->name), *causes = value_array (a), *c = value_map (a);
    value_set_string (a, c, "reason", "NamespaceTerminating");
    value_set (a, c, "message", value_printf (a, "namespace %s is being terminated", op->namespace_));
    value_set_string (a, c, "field", "metadata.namespace");
    value_append (a, causes, c);
    value_set (a, details, "causes", causes);
    status_reply (rq, 403, "", details, "%s \"%s\" is forbidden: unable to create new content in namespace %s because it is being terminated",
                  status_resource (rq), op->name, op->namespace_);
    return false;
  }
  return true;
}
