/* Subresources that are more than a part of their object: scale, binding, eviction. */
#include "schemas/msgpack.h"
#include "services/apiserver/admission.h"
#include "services/apiserver/registry.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"

static bool
have (struct request *rq, const void *p)
{
  struct err err = { 0 };
  if (p)
    return true;
  (void) err_set (&err, ERR_NOMEM, "%s", "begin the change");
  status_error (rq, &err);
  return false;
}

/* ---- scale ---- */

static struct value *
scale_of (struct request *rq, const struct value *obj)
{
  struct arena *a = &rq->arena;
  struct value *v = value_map (a), *meta = value_ensure_map (a, v, "metadata");
  static const char *const kept[] = { "name", "namespace", "uid", "resourceVersion", "creationTimestamp" };
  struct selector *selector = NULL;
  (void) value_unset (v, "metadata");
  value_set_string (a, v, "kind", "Scale");
  value_set_string (a, v, "apiVersion", "autoscaling/v1");
  value_set (a, v, "metadata", meta);
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    value_set (a, meta, kept[i], value_get (value_get (obj, "metadata"), kept[i]));
  value_set_int (a, value_ensure_map (a, v, "spec"), "replicas", value_path_int (obj, "spec.replicas", 0));
  struct value *status = value_ensure_map (a, v, "status"), *s = value_path (obj, "spec.selector");
  value_set_int (a, status, "replicas", value_path_int (obj, "status.replicas", 0));
  bool map = strcmp (rq->kind->kind, "ReplicationController") == 0;
  if (s && (map ? selector_from_map (a, s, &selector, NULL) : selector_from_label_selector (a, s, &selector, NULL)) == 0)
    value_set_string (a, status, "selector", selector_string (a, selector));
  return v;
}

struct scale {
  struct value *body;
  const char *patch; /* NULL: PUT; else the media type */
};

static enum registry_outcome
scale_change (struct registry_op *op, struct value *live, struct value **ret_new)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  const struct scale *s = op->arg;
  struct err err = { 0 };
  struct value *wanted = s->body, *obj = value_clone (a, live), *current = scale_of (rq, live);
  int r = 0;
  if (s->patch && strncmp (s->patch, "application/json-patch", 22) == 0)
    r = patch_json (a, current, s->body, &wanted, &err);
  else if (s->patch)
    r = patch_merge (a, current, s->body, &wanted, &err); /* Scale has no lists: strategic and merge are the same */
  if (r == ERR_INVALID)
    status_reply (rq, 422, "", NULL, "%s", err.text);
  else if (r)
    pipeline_body_failed (rq, &err);
  if (r)
    return REGISTRY_FAIL;
  struct value *replicas = value_path (wanted, "spec.replicas"), *meta = value_get (obj, "metadata");
  if (replicas && !value_is (replicas, VALUE_INT)) {
    status_bad_request (rq, "%s", "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas is not an integer");
    return REGISTRY_FAIL;
  }
  if (value_as_int (replicas, 0) < 0) {
    struct schema_causes causes = { .arena = a };
    schema_causes_add (&causes, "FieldValueInvalid", "spec.replicas", "Invalid value: %lld: must be greater than or equal to 0",
                       (long long) value_as_int (replicas, 0));
    status_invalid (rq, op->name, &causes);
    return REGISTRY_FAIL;
  }
  static const char *const conditions[] = { "uid", "resourceVersion" };
  for (size_t i = 0; i < 2; i++) {
    const char *v = value_as_string (value_get (value_get (wanted, "metadata"), conditions[i]), "");
    if (*v)
      value_set_string (a, meta, conditions[i], v);
  }
  value_set_int (a, value_ensure_map (a, obj, "spec"), "replicas", value_as_int (replicas, 0));
  *ret_new = obj;
  enum registry_outcome outcome = registry_prepare_update (op, live, obj, "scale", true);
  if (outcome == REGISTRY_SAME)
    *ret_new = live;
  return outcome;
}

static void
scale_done (struct registry_op *op, struct value *obj, bool deleted)
{
  (void) deleted;
  respond_tree (op->rq, 200, scale_of (op->rq, obj));
}

static void
scale_get (struct request *rq)
{
  const char *key = registry_key (&rq->arena, rq->kind, rq->info.namespace_, rq->info.name);
  const struct cached *o = key ? watch_cache_find (rq->server->caches, key) : NULL;
  if (o)
    respond_tree (rq, 200, scale_of (rq, registry_tree (&rq->arena, o)));
  else
    status_not_found (rq, rq->info.name);
}

static void
scale (struct request *rq)
{
  struct scale *s = arena_zalloc (&rq->arena, sizeof *s);
  struct registry_op *op;
  struct err err = { 0 };
  const char *type = rq->header ? rq->header (rq, "content-type") : NULL;
  if (strcmp (rq->info.verb, "get") == 0) {
    registry_when_fresh (rq, request_param (rq, "resourceVersion"), scale_get);
    return;
  }
  if (!have (rq, s) || !(op = registry_op_new (rq, rq->info.name)))
    return;
  if (strcmp (rq->info.verb, "patch") == 0) {
    s->patch = type ? type : "";
    if (pipeline_body (rq, &s->body, &err)) {
      pipeline_body_failed (rq, &err);
      return;
    }
    if (!s->body) {
      status_bad_request (rq, "%s", "the patch is empty");
      return;
    }
  } else if (!pipeline_decode (rq, schema_type_find ("autoscaling/v1", "Scale"), "autoscaling", "v1", "Scale", &s->body))
    return;
  op->change = scale_change;
  op->done = scale_done;
  op->arg = s;
  registry_modify (op);
}

/* ---- binding ---- */

static void
condition_set (struct arena *a, struct value *pod, const char *type, const char *status)
{
  struct value *list = value_ensure_array (a, value_ensure_map (a, pod, "status"), "conditions"), *c = NULL;
  for (value_items (list, it))
    if (value_string_is (value_get (*it, "type"), type))
      c = *it;
  if (!c) {
    c = value_map (a);
    value_append (a, list, c);
  }
  value_set_string (a, c, "type", type);
  value_set_string (a, c, "status", status);
  value_set (a, c, "lastProbeTime", value_null (a));
  value_set_string (a, c, "lastTransitionTime", registry_now (a));
  (void) value_unset (c, "reason");
  (void) value_unset (c, "message");
}

static enum registry_outcome
binding_change (struct registry_op *op, struct value *live, struct value **ret_new)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  const struct value *binding = op->arg;
  const char *uid = value_path_string (binding, "metadata.uid", ""), *node = value_path_string (binding, "target.name", "");
  const char *bound = value_path_string (live, "spec.nodeName", ""), *why = NULL;
  struct value *obj = value_clone (a, live), *annotations = value_path (binding, "metadata.annotations");
  if (*uid && strcmp (uid, value_path_string (live, "metadata.uid", "")) != 0)
    why = arena_printf (a, "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid, value_path_string (live, "metadata.uid", ""));
  else if (*value_path_string (live, "metadata.deletionTimestamp", ""))
    why = arena_printf (a, "pod %s is being deleted, cannot be assigned to a host", op->name);
  else if (*bound)
    why = arena_printf (a, "pod %s is already assigned to node \"%s\"", op->name, bound);
  else if (value_count (value_path (live, "spec.schedulingGates")))
    why = arena_printf (a, "pod %s has non-empty .spec.schedulingGates", op->name);
  if (why) {
    status_conflict (rq, op->name, why);
    return REGISTRY_FAIL;
  }
  value_set_string (a, value_ensure_map (a, obj, "spec"), "nodeName", node);
  for (value_each (annotations, m))
    value_set_n (a, value_ensure_map (a, value_get (obj, "metadata"), "annotations"), m->key, m->key_len, m->value);
  condition_set (a, obj, "PodScheduled", "True");
  *ret_new = obj;
  return REGISTRY_PUT;
}

static void
done_status (struct registry_op *op, struct value *obj, bool deleted)
{
  (void) obj;
  (void) deleted;
  struct value *v = status_tree (&op->rq->arena, 201, "", "", NULL);
  value_set_int (&op->rq->arena, v, "code", 201);
  respond_status (op->rq, 201, v);
}

static void
binding (struct request *rq)
{
  struct value *body = NULL;
  struct registry_op *op;
  if (!pipeline_decode (rq, schema_type_find ("v1", "Binding"), "", "v1", "Binding", &body))
    return;
  const char *kind = value_path_string (body, "target.kind", "Node"), *name = value_path_string (body, "metadata.name", "");
  if (*name && strcmp (name, rq->info.name) != 0) {
    status_bad_request (rq, "name in URL does not match name in Binding object");
    return;
  }
  if ((*kind && strcmp (kind, "Node") != 0) || !*value_path_string (body, "target.name", "")) {
    status_reply (rq, 422, "", NULL, "Binding \"%s\" is invalid: target.%s", rq->info.name,
                  *kind && strcmp (kind, "Node") != 0 ? "kind: Unsupported value: supported values: \"Node\", \"<empty>\"" : "name: Required value");
    return;
  }
  if (!(op = registry_op_new (rq, rq->info.name)))
    return;
  op->change = binding_change;
  op->done = done_status;
  op->arg = body;
  registry_modify (op);
}

/* ---- eviction ---- */

struct budgets {
  struct arena *arena;
  const struct value *pod;
  struct value *found;
  const struct cached *cached;
  size_t n;
};

static bool
each_budget (void *arg, struct cached *o)
{
  struct budgets *b = arg;
  struct value *v = registry_tree (b->arena, o);
  struct selector *s = NULL;
  if (v && selector_from_label_selector (b->arena, value_path (v, "spec.selector"), &s, NULL) == 0
      && selector_matches (s, value_path (b->pod, "metadata.labels"))) {
    b->found = v;
    b->cached = o;
    b->n++;
  }
  return true;
}

static bool
disrupted (struct registry_op *op, const char *message, const char *cause)
{
  struct arena *a = &op->rq->arena;
  struct value *details = value_map (a), *causes = value_array (a), *c = value_map (a);
  value_set_string (a, c, "reason", "DisruptionBudget");
  value_set_string (a, c, "message", cause);
  value_append (a, causes, c);
  value_set (a, details, "causes", causes);
  status_reply (op->rq, 429, "", details, "%s", message);
  return false;
}

/* One disruption is taken from the budget in the transaction that deletes the pod, so two evictions never take the same one. */
static bool
take_disruption (struct registry_op *op, const struct value *pod)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  struct budgets b = { .arena = a, .pod = pod };
  struct watch_cache *c = watch_cache_get (rq->server->caches, "poddisruptionbudgets.policy");
  const char *phase = value_path_string (pod, "status.phase", "");
  if (strcmp (phase, "Succeeded") == 0 || strcmp (phase, "Failed") == 0 || strcmp (phase, "Pending") == 0
      || *value_path_string (pod, "metadata.deletionTimestamp", ""))
    return true;
  if (c)
    watch_cache_each (c, op->namespace_, NULL, each_budget, &b);
  if (!b.n)
    return true;
  if (b.n > 1) {
    status_reply (rq, 500, "", NULL, "Internal error occurred: This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
    return false;
  }
  const char *name = value_path_string (b.found, "metadata.name", ""), *cause;
  struct value *status = value_ensure_map (a, b.found, "status");
  int64_t allowed = value_path_int (status, "disruptionsAllowed", 0);
  if (value_path_int (status, "observedGeneration", 0) < value_path_int (b.found, "metadata.generation", 0)) {
    cause = arena_printf (a, "The disruption budget %s is still being processed by the server.", name);
    return disrupted (op, "Cannot evict pod as it would violate the pod's disruption budget.", cause ? cause : "");
  }
  if (allowed <= 0) {
    cause = arena_printf (a, "The disruption budget %s needs %lld healthy pods and has %lld currently", name,
                          (long long) value_path_int (status, "desiredHealthy", 0), (long long) value_path_int (status, "currentHealthy", 0));
    return disrupted (op, "Cannot evict pod as it would violate the pod's disruption budget.", cause ? cause : "");
  }
  value_set_int (a, status, "disruptionsAllowed", allowed - 1);
  value_set_string (a, value_ensure_map (a, status, "disruptedPods"), op->name, registry_now (a));
  AUTO_BUF struct buf packed = BUF_INIT;
  registry_pack (a, b.found, &packed);
  void *copy = packed.failed ? NULL : arena_alloc (a, packed.len);
  const char *key = arena_strdup (a, b.cached->key);
  if (!copy || !key)
    return true; /* the arena remembers, and the core answers */
  memcpy (copy, packed.data, packed.len);
  op->extra_compares[op->n_extra_compares++] = (struct store_compare) { .key = key, .target = STORE_MOD_REVISION, .relation = STORE_EQUAL,
                                                                        .number = b.cached->revision };
  op->extra_ops[op->n_extra_ops++] = (struct store_op) { .type = STORE_PUT, .key = key, .value = copy, .value_len = packed.len };
  return true;
}

static enum registry_outcome
eviction_change (struct registry_op *op, struct value *live, struct value **ret_new)
{
  if (!take_disruption (op, live))
    return REGISTRY_FAIL;
  return registry_delete_change (op, live, ret_new);
}

static void
eviction (struct request *rq)
{
  struct value *body = NULL;
  struct delete_options *o = arena_zalloc (&rq->arena, sizeof *o);
  struct registry_op *op;
  if (!pipeline_decode (rq, schema_type_find ("policy/v1", "Eviction"), "policy", "v1", "Eviction", &body))
    return;
  const char *name = value_path_string (body, "metadata.name", "");
  if (*name && strcmp (name, rq->info.name) != 0) {
    status_bad_request (rq, "name in URL does not match name in Eviction object");
    return;
  }
  if (!have (rq, o) || !(op = registry_op_new (rq, rq->info.name)))
    return;
  const struct value *options = value_get (body, "deleteOptions");
  *o = (struct delete_options) { .grace_s = value_path_int (options, "gracePeriodSeconds", -1),
                                 .propagation = value_path_string (options, "propagationPolicy", ""),
                                 .uid = value_path_string (options, "preconditions.uid", ""),
                                 .revision = value_path_string (options, "preconditions.resourceVersion", "") };
  for (value_items (value_get (options, "dryRun"), it))
    op->dry_run = op->dry_run || value_string_is (*it, "All");
  op->change = eviction_change;
  op->done = done_status;
  op->arg = o;
  registry_modify (op);
}

void
registry_subresource (struct request *rq)
{
  const char *sub = rq->sub->name, *verb = rq->info.verb;
  if (strcmp (sub, "scale") == 0)
    scale (rq);
  else if (strcmp (sub, "binding") == 0)
    binding (rq);
  else if (strcmp (sub, "eviction") == 0)
    eviction (rq);
  else if (strcmp (verb, "get") == 0)
    registry_get (rq);
  else if (strcmp (verb, "update") == 0)
    registry_update (rq);
  else if (strcmp (verb, "patch") == 0)
    registry_patch (rq);
  else
    status_method_not_allowed (rq);
}
