#include "services/scheduler/scheduler_io.h"

#include "base/log.h"
#include "services/common/action.h"
#include "services/common/informer.h"
#include "services/scheduler/schedule_decide.h"
#include "services/scheduler/schedule_queue.h"

#define BATCH 64               /* decisions between two turns of the loop */
#define BINDING_DEADLINE_MS 10000

enum { PODS, NODES, NAMESPACES, PDBS, N_INFORMERS };

struct scheduler {
  struct service_context *ctx;
  const struct scheduler_config *config;
  struct informer *informers[N_INFORMERS];
  struct sched *index;
  struct schedule_queue *queue;
  struct loop_timer *timer;
  struct binding *bindings; /* under way */
  int64_t n_bindings;
};

struct binding {
  struct scheduler *s; /* NULL: it is gone */
  struct binding *prev, *next;
  char *key, *uid, *node;
};

static void
wake (struct scheduler *s, int64_t ms)
{
  loop_timer_set (s->timer, ms);
}

static void
cluster_changed (struct scheduler *s)
{
  schedule_queue_changed (s->queue, mono_now ());
  wake (s, 0);
}

/* ---- changes ---- */

static bool
wanted (const struct scheduler *s, const struct sched_pod *p)
{
  return !*p->node_name && !p->node && !p->ended && !p->terminating && !p->gated && !strcmp (p->scheduler_name, s->config->scheduler_name);
}

static void
report (int rc, const struct err *err, const char *key)
{
  if (rc != 0)
    log_error ("change not indexed", "object=%s error=\"%s\"", key, err->text);
}

static void
pod_changed (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  struct scheduler *s = arg;
  AUTO_ARENA struct arena a = { 0 };
  struct err err = { 0 };
  struct sched_pod *p;
  const struct value *v;
  bool was_charged, was_placeable;
  (void) revision;
  arena_init (&a, 0);
  if (!new_) {
    p = sched_pod_get (s->index, old->key);
    was_charged = p && p->node;
    sched_delete_pod (s->index, old->key);
    schedule_queue_remove (s->queue, old->key);
    if (was_charged)
      cluster_changed (s);
    return;
  }
  v = object_value (new_, &a);
  if (!v) {
    log_error ("pod not readable", "object=%s", new_->key);
    return;
  }
  p = sched_pod_get (s->index, new_->key);
  was_charged = p && p->node;
  was_placeable = p && wanted (s, p);
  if (p && strcmp (p->uid, new_->uid) != 0) {
    schedule_queue_remove (s->queue, new_->key);
    was_placeable = false;
  }
  report (sched_set_pod (s->index, v, &err), &err, new_->key);
  p = sched_pod_get (s->index, new_->key);
  if (p && wanted (s, p)) {
    /* What changes of a pod that waits (its conditions, mostly by us) is no reason to try again at once. */
    if (!was_placeable && schedule_queue_add (s->queue, new_->key, p->priority, mono_now ()) != 0)
      log_error ("pod not queued", "object=%s", new_->key);
    wake (s, 0);
  } else if (!p || !p->assumed) {
    schedule_queue_remove (s->queue, new_->key);
    if (p && ((p->node != NULL) != was_charged))
      cluster_changed (s);
  }
}

static void
node_changed (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  struct scheduler *s = arg;
  AUTO_ARENA struct arena a = { 0 };
  struct err err = { 0 };
  (void) revision;
  arena_init (&a, 0);
  if (!new_) {
    sched_delete_node (s->index, old->name);
    return;
  }
  report (sched_set_node (s->index, object_value (new_, &a), &err), &err, new_->key);
  cluster_changed (s);
}

static void
namespace_changed (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  struct scheduler *s = arg;
  AUTO_ARENA struct arena a = { 0 };
  struct err err = { 0 };
  (void) revision;
  arena_init (&a, 0);
  if (!new_)
    sched_delete_namespace (s->index, old->name);
  else
    report (sched_set_namespace (s->index, object_value (new_, &a), &err), &err, new_->key);
}

static void
pdb_changed (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  struct scheduler *s = arg;
  AUTO_ARENA struct arena a = { 0 };
  struct err err = { 0 };
  (void) revision;
  arena_init (&a, 0);
  if (!new_)
    sched_delete_pdb (s->index, old->key);
  else
    report (sched_set_pdb (s->index, object_value (new_, &a), &err), &err, new_->key);
}

static void
synced (void *arg)
{
  wake (arg, 0);
}

/* ---- binding ---- */

static void
binding_free (struct binding *b)
{
  free (b->key);
  free (b->uid);
  free (b->node);
  free (b);
}

static void
written (void *arg, size_t done, int code, const char *text)
{
  (void) arg;
  (void) done;
  if (code >= 400 && code != 404 && code != 409)
    log_warn ("condition or event not written", "code=%d error=\"%s\"", code, text);
}

static void
event (struct scheduler *s, const char *key, const char *type, const char *reason, const char *text)
{
  struct object *o = informer_get_key (s->informers[PODS], key);
  AUTO_ARENA struct arena a = { 0 };
  struct actions as;
  struct value *v;
  arena_init (&a, 0);
  actions_init (&as, &a);
  if (!o || !(v = object_value (o, &a)))
    return;
  actions_event (&as, v, type, reason, s->config->scheduler_name, "%s", text);
  actions_run (s->ctx->api, &as, o->revision, written, NULL);
}

static void
bound (void *arg, size_t done, int code, const char *text)
{
  struct binding *b = arg;
  struct scheduler *s = b->s;
  struct sched_pod *p;
  if (!s) {
    binding_free (b);
    return;
  }
  *(b->prev ? &b->prev->next : &s->bindings) = b->next;
  if (b->next)
    b->next->prev = b->prev;
  s->n_bindings--;
  if (done == 1) {
    AUTO_FREE char *message = mem_printf ("Successfully assigned %s to %s", b->key, b->node);
    event (s, b->key, "Normal", "Scheduled", message ? message : "");
  } else {
    /* Another scheduler was first, the pod is gone, or the write may or may not have been made: the informer tells. */
    log_warn ("binding failed", "pod=%s node=%s code=%d error=\"%s\"", b->key, b->node, code, text);
    p = sched_pod_get (s->index, b->key);
    if (p && p->assumed && !strcmp (p->uid, b->uid)) {
      sched_forget (s->index, p);
      schedule_queue_failed (s->queue, b->key, mono_now ());
      cluster_changed (s);
    }
  }
  wake (s, 0);
  binding_free (b);
}

static void
bind_pod (struct scheduler *s, struct sched_pod *p, const char *node)
{
  struct object *o = informer_get_key (s->informers[PODS], p->key);
  struct binding *b = mem_zalloc (sizeof *b);
  AUTO_ARENA struct arena a = { 0 };
  struct actions as;
  struct value *body;
  struct action *x;
  arena_init (&a, 0);
  actions_init (&as, &a);
  body = value_map (&a);
  value_set_string (&a, body, "apiVersion", "v1");
  value_set_string (&a, body, "kind", "Binding");
  value_set_path (&a, body, "metadata.name", value_string (&a, p->name));
  value_set_path (&a, body, "metadata.namespace", value_string (&a, p->namespace_));
  value_set_path (&a, body, "metadata.uid", value_string (&a, p->uid));
  value_set_path (&a, body, "target.apiVersion", value_string (&a, "v1"));
  value_set_path (&a, body, "target.kind", value_string (&a, "Node"));
  value_set_path (&a, body, "target.name", value_string (&a, node));
  x = actions_create (&as, "", "v1", "pods", p->namespace_, body);
  x->request.subresource = "binding";
  x->request.name = p->name;
  x->request.deadline_ms = BINDING_DEADLINE_MS;
  if (!b || !arena_ok (&a) || !(b->key = mem_strdup (p->key)) || !(b->uid = mem_strdup (p->uid)) || !(b->node = mem_strdup (node))
      || sched_assume (s->index, p, node) != 0) {
    log_error ("binding not sent", "pod=%s error=\"out of memory\"", p->key);
    schedule_queue_failed (s->queue, p->key, mono_now ());
    if (b)
      binding_free (b);
    return;
  }
  b->s = s;
  b->next = s->bindings;
  if (b->next)
    b->next->prev = b;
  s->bindings = b;
  s->n_bindings++;
  actions_run (s->ctx->api, &as, o ? o->revision : 0, bound, b);
}

/* ---- what cannot be placed ---- */

static bool
condition_is (const struct value *pod, const char *message)
{
  for (value_items (value_path (pod, "status.conditions"), c))
    if (value_string_is (value_get (*c, "type"), "PodScheduled"))
      return value_string_is (value_get (*c, "status"), "False") && value_string_is (value_get (*c, "message"), message);
  return false;
}

static struct value *
condition (struct arena *a, const char *type, const char *status, const char *reason, const char *message)
{
  char now[CLOCK_RFC3339_SIZE];
  struct value *patch = value_map (a), *list = value_array (a), *c = value_map (a);
  value_set_string (a, c, "type", type);
  value_set_string (a, c, "status", status);
  value_set_string (a, c, "reason", reason);
  value_set_string (a, c, "message", message);
  value_set_string (a, c, "lastTransitionTime", wall_format (wall_now (), now));
  value_append (a, list, c);
  value_set_path (a, patch, "status.conditions", list);
  return patch;
}

static void
evict (struct scheduler *s, struct actions *as, const struct sched_pod *victim, const struct sched_pod *by)
{
  struct object *o = informer_get_key (s->informers[PODS], victim->key);
  const char *message = arena_printf (as->arena, "%s: preempting to accommodate a higher priority pod", s->config->scheduler_name);
  struct value *v = o ? object_value (o, as->arena) : NULL;
  if (!v || victim->terminating)
    return;
  actions_patch (as, "", "v1", "pods", "status", victim->namespace_, victim->name, "strategic",
                 condition (as->arena, "DisruptionTarget", "True", "PreemptionByScheduler", message))
      ->ignore_not_found
      = true;
  actions_delete (as, "", "v1", "pods", victim->namespace_, victim->name, arena_strdup (as->arena, victim->uid));
  actions_event (as, v, "Normal", "Preempted", s->config->scheduler_name, "Preempted by pod %s on node %s", by->uid, victim->node->name);
}

static void
refuse_pod (struct scheduler *s, const struct sched_pod *p, const struct sched_result *r)
{
  struct object *o = informer_get_key (s->informers[PODS], p->key);
  AUTO_ARENA struct arena a = { 0 };
  struct actions as;
  struct value *v, *patch;
  const char *nominate = r->n_victims ? r->node : NULL;
  arena_init (&a, 0);
  actions_init (&as, &a);
  schedule_queue_unschedulable (s->queue, p->key, mono_now ());
  if (!o || !(v = object_value (o, &a)))
    return;
  if (nominate || !condition_is (v, r->message)) {
    patch = condition (&a, "PodScheduled", "False", "Unschedulable", r->message);
    if (nominate)
      value_set_path (&a, patch, "status.nominatedNodeName", value_string (&a, nominate));
    actions_patch (&as, "", "v1", "pods", "status", p->namespace_, p->name, "strategic", patch);
  }
  for (size_t i = 0; i < r->n_victims; i++)
    evict (s, &as, r->victims[i], p);
  actions_event (&as, v, "Warning", "FailedScheduling", s->config->scheduler_name, "%s", r->message);
  if (arena_ok (&a))
    actions_run (s->ctx->api, &as, o->revision, written, NULL);
}

/* ---- the turn ---- */

static bool
all_synced (const struct scheduler *s)
{
  for (int i = 0; i < N_INFORMERS; i++)
    if (!informer_synced (s->informers[i]))
      return false;
  return true;
}

static void
turn (void *arg)
{
  struct scheduler *s = arg;
  int64_t wait;
  if (!all_synced (s))
    return;
  for (int i = 0; i < BATCH && s->n_bindings < s->config->max_binding; i++) {
    const char *key = schedule_queue_pop (s->queue, mono_now ());
    AUTO_ARENA struct arena a = { 0 };
    struct sched_result r;
    struct sched_pod *p;
    struct err err = { 0 };
    if (!key)
      break;
    arena_init (&a, 0);
    if (sched_decide (s->index, key, &a, &r, &err) != 0) {
      log_error ("pod not scheduled", "pod=%s error=\"%s\"", key, err.text);
      schedule_queue_failed (s->queue, key, mono_now ());
      continue;
    }
    p = sched_pod_get (s->index, key);
    if (r.verdict == SCHED_BIND)
      bind_pod (s, p, r.node);
    else if (r.verdict == SCHED_UNSCHEDULABLE)
      refuse_pod (s, p, &r);
    else
      schedule_queue_remove (s->queue, key);
  }
  wait = schedule_queue_wait_ms (s->queue, mono_now ());
  if (wait >= 0 && s->n_bindings < s->config->max_binding)
    wake (s, wait);
}

struct scheduler *
scheduler_open (struct service_context *ctx, struct err *err)
{
  static const struct {
    const char *prefix;
    informer_change_cb changed;
  } sources[N_INFORMERS] = {
    [PODS] = { "pods", pod_changed },
    [NODES] = { "nodes", node_changed },
    [NAMESPACES] = { "namespaces", namespace_changed },
    [PDBS] = { "poddisruptionbudgets.policy", pdb_changed },
  };
  struct scheduler *s = mem_zalloc (sizeof *s);
  bool ok;
  if (!s) {
    (void) err_set (err, ERR_NOMEM, "%s", "");
    return NULL;
  }
  s->ctx = ctx;
  s->config = ctx->config;
  ok = (s->index = sched_new ()) && (s->queue = schedule_queue_new ()) && (s->timer = loop_timer_new (ctx->loop, turn, s));
  if (!ok)
    (void) err_set (err, ERR_NOMEM, "%s", "");
  for (int i = 0; ok && i < N_INFORMERS; i++)
    ok = (s->informers[i] = informer_new (ctx->source, sources[i].prefix, NULL, sources[i].changed, synced, s, err)) != NULL;
  if (!ok) {
    scheduler_close (s);
    return NULL;
  }
  return s;
}

void
scheduler_close (struct scheduler *s)
{
  if (!s)
    return;
  for (int i = 0; i < N_INFORMERS; i++)
    informer_free (s->informers[i]);
  for (struct binding *b = s->bindings; b; b = b->next)
    b->s = NULL;
  loop_timer_free (s->timer);
  schedule_queue_free (s->queue);
  sched_free (s->index);
  free (s);
}
