/* The status that a pod's facts amount to (pkg/kubelet/kubelet_pods.go, status/generate.go), and sending it. */
#include "base/log.h"
#include "services/kubelet/pod_internal.h"

#define POST_RETRY_FIRST_MS 500
#define POST_RETRY_MAX_MS 10000

static struct value *
time_value (struct arena *a, int64_t us)
{
  char text[CLOCK_RFC3339_SIZE];
  return value_string (a, wall_format ((wall_t) {us}, text));
}

static struct value *
terminated (struct arena *a, const struct run *r)
{
  struct value *v = value_map (a);
  value_set_int (a, v, "exitCode", r->exit_code);
  value_set_string (a, v, "reason", r->reason ? r->reason : r->oom_killed ? "OOMKilled" : r->exit_code ? "Error" : "Completed");
  if (r->message)
    value_set_string (a, v, "message", r->message);
  if (r->started_us)
    value_set (a, v, "startedAt", time_value (a, r->started_us));
  if (r->finished_us)
    value_set (a, v, "finishedAt", time_value (a, r->finished_us));
  value_set (a, v, "containerID", value_printf (a, "crun://%s", r->id));
  return v;
}

static struct value *
waiting (struct arena *a, const struct ctr *c)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "reason", c->waiting_reason);
  value_set_string (a, v, "message", c->waiting_message);
  return v;
}

static struct value *
container_status (struct pod *p, struct ctr *c, struct arena *a)
{
  const struct pod_container *f = &p->facts.c[c->i];
  const struct value *spec = pod_spec_of (p, c->i);
  struct value *v = value_map (a), *state = value_map (a), *last = value_map (a);
  const struct run *current = c->cur.known ? &c->cur : NULL;
  bool running = f->state == POD_C_RUNNING, exited = f->state == POD_C_EXITED;
  /* To be started again: it waits, and its end is the last state. */
  bool restarting = exited && p->decision.will_restart[c->i] && (f->busy || p->decision.crash_loop[c->i] || f->retry_at_ms);
  value_set_string (a, v, "name", c->name);
  value_set (a, v, "lastState", last);
  if (running) {
    struct value *r = value_map (a);
    value_set (a, r, "startedAt", time_value (a, c->cur.started_us));
    value_set (a, state, "running", r);
  } else if (exited && !restarting) {
    value_set (a, state, "terminated", terminated (a, &c->cur));
  } else {
    value_set (a, state, "waiting", waiting (a, c));
  }
  value_set (a, v, "state", state);
  if (restarting || (!running && !exited && c->cur.known && c->cur.exited))
    value_set (a, last, "terminated", terminated (a, &c->cur));
  else if (c->last.known)
    value_set (a, last, "terminated", terminated (a, &c->last));
  if (f->kind == POD_INIT)
    value_set_bool (a, v, "ready", exited && f->exit_code == 0);
  else
    value_set_bool (a, v, "ready", running && c->ready && f->started);
  value_set_bool (a, v, "started", running && (f->started || f->kind == POD_INIT));
  value_set_int (a, v, "restartCount", current ? (int64_t) current->attempt : c->last.known ? (int64_t) c->last.attempt : 0);
  value_set_string (a, v, "image", value_path_string (spec, "image", ""));
  value_set_string (a, v, "imageID", c->image_id ? c->image_id : "");
  if (current)
    value_set (a, v, "containerID", value_printf (a, "crun://%s", current->id));
  return v;
}

/* Adds a condition; its transition time is that of the last status with the same answer. */
static void
condition (struct pod *p, struct arena *a, struct value *list, const char *type, bool status, const char *reason, const char *message)
{
  struct value *v = value_map (a);
  const char *word = status ? "True" : "False", *since = NULL;
  const struct value *old = p->built ? value_get (p->built->v, "conditions") : value_path (p->object->v, "status.conditions");
  for (value_items (old, it))
    if (!strcmp (value_path_string (*it, "type", ""), type) && !strcmp (value_path_string (*it, "status", ""), word))
      since = value_path_string (*it, "lastTransitionTime", NULL);
  value_set_string (a, v, "type", type);
  value_set_string (a, v, "status", word);
  value_set (a, v, "lastProbeTime", value_null (a));
  value_set (a, v, "lastTransitionTime", since ? value_string (a, since) : time_value (a, wall_now ().us));
  if (!status && reason) {
    value_set_string (a, v, "reason", reason);
    value_set_string (a, v, "message", message);
  }
  value_append (a, list, v);
}

static const char *
unready_names (struct arena *a, const struct value *statuses)
{
  struct buf b AUTO_BUF = BUF_INIT;
  for (value_items (statuses, it)) {
    bool ok = value_path_bool (*it, "ready", false);
    if (!ok)
      buf_printf (&b, "%s%s", b.len ? " " : "", value_path_string (*it, "name", ""));
  }
  return b.failed ? NULL : b.len ? arena_strdup (a, buf_cstr (&b)) : NULL;
}

static bool
gates_open (struct pod *p)
{
  for (value_items (value_path (p->object->v, "spec.readinessGates"), gate)) {
    bool open = false;
    for (value_items (value_path (p->object->v, "status.conditions"), it))
      if (!strcmp (value_path_string (*it, "type", ""), value_path_string (*gate, "conditionType", "")))
        open = !strcmp (value_path_string (*it, "status", ""), "True");
    if (!open)
      return false;
  }
  return true;
}

static void
conditions (struct pod *p, struct arena *a, struct value *status, enum pod_phase phase)
{
  struct value *list = value_array (a);
  const char *unready = unready_names (a, value_get (status, "containerStatuses"));
  const char *why = phase == POD_SUCCEEDED ? "PodCompleted" : phase == POD_FAILED ? "PodFailed" : "ContainersNotReady";
  const char *text = unready && phase != POD_SUCCEEDED && phase != POD_FAILED ? arena_printf (a, "containers with unready status: [%s]", unready) : NULL;
  bool ready = !unready && phase == POD_PHASE_RUNNING, initialized = p->decision.initialized;
  const char *uninit = NULL;
  if (!initialized) {
    const char *names = unready_names (a, value_get (status, "initContainerStatuses"));
    uninit = arena_printf (a, "containers with incomplete status: [%s]", names ? names : "");
  }
  condition (p, a, list, "PodReadyToStartContainers", p->facts.sandbox_ready && !p->facts.torn_down, NULL, NULL);
  condition (p, a, list, "Initialized", initialized, "ContainersNotInitialized", uninit);
  condition (p, a, list, "Ready", ready && gates_open (p), ready ? "ReadinessGatesNotReady" : why, ready ? NULL : text);
  condition (p, a, list, "ContainersReady", ready, why, text);
  condition (p, a, list, "PodScheduled", true, NULL, NULL);
  value_set (a, status, "conditions", list);
}

static void
ips (struct pod *p, struct arena *a, struct value *status)
{
  struct value *hosts = value_array (a), *pods = value_array (a);
  const struct node_facts *node = p->host->node;
  for (size_t i = 0; i < node->n_host_ips; i++) {
    struct value *v = value_map (a);
    value_set_string (a, v, "ip", node->host_ips[i]);
    value_append (a, hosts, v);
  }
  if (node->n_host_ips) {
    value_set_string (a, status, "hostIP", node->host_ips[0]);
    value_set (a, status, "hostIPs", hosts);
  }
  for (size_t i = 0; i < p->ips.n; i++) {
    struct value *v = value_map (a);
    value_set_string (a, v, "ip", p->ips.ips[i]);
    value_append (a, pods, v);
  }
  if (p->ips.n) {
    value_set_string (a, status, "podIP", p->ips.ips[0]);
    value_set (a, status, "podIPs", pods);
  }
}

/* pkg/apis/core/v1/helper/qos, when the API server has not set it. */
static const char *
qos (const struct value *pod)
{
  static const char *const lists[] = {"spec.initContainers", "spec.containers"};
  bool any = false, guaranteed = true;
  const char *known = value_path_string (pod, "status.qosClass", NULL);
  if (known)
    return known;
  for (size_t l = 0; l < 2; l++)
    for (value_items (value_path (pod, lists[l]), it)) {
      const struct value *limits = value_path (*it, "resources.limits"), *requests = value_path (*it, "resources.requests");
      any |= value_count (limits) || value_count (requests);
      for (int k = 0; k < 2; k++) {
        const struct value *limit = value_get (limits, k ? "memory" : "cpu"), *request = value_get (requests, k ? "memory" : "cpu");
        guaranteed &= limit && (!request || value_equal (limit, request));
      }
    }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

struct value *
pod_build_status (struct pod *p, struct arena *a)
{
  static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed"};
  struct value *status = value_map (a), *init = value_array (a), *main_ = value_array (a);
  if (p->frozen)
    return value_clone (a, value_get (p->object->v, "status"));
  value_set_string (a, status, "phase", phases[p->decision.phase]);
  if (p->reason[0])
    value_set_string (a, status, "reason", p->reason);
  if (p->message[0])
    value_set_string (a, status, "message", p->message);
  value_set (a, status, "startTime", time_value (a, p->facts.start_ms * 1000));
  value_set_string (a, status, "qosClass", qos (p->object->v));
  ips (p, a, status);
  if (!p->facts.rejected) {
    for (size_t i = 0; i < p->facts.n; i++)
      value_append (a, p->c[i].init ? init : main_, container_status (p, &p->c[i], a));
    if (value_count (init))
      value_set (a, status, "initContainerStatuses", init);
    value_set (a, status, "containerStatuses", main_);
    conditions (p, a, status, p->decision.phase);
  }
  return status;
}

static bool
quiet (const struct pod *p)
{
  for (size_t i = 0; i < p->facts.n; i++)
    if (p->facts.c[i].state == POD_C_RUNNING || p->facts.c[i].busy)
      return false;
  return !p->facts.busy;
}

static void
on_posted (void *arg, int code, const struct value *object, const char *text)
{
  struct pod *p = arg;
  (void) object;
  if (pod_release (p))
    return;
  p->posting = false;
  if (code >= 200 && code < 300) {
    p->post_failures = 0;
    p->post_retry_ms = 0;
    pod_sync (p);
    return;
  }
  tree_unref (p->posted);
  p->posted = NULL;
  if (code == 404 || code == 409) {
    /* Gone, or another pod of that name: the informer will say so. */
    p->facts.final_posted = true;
    p->post_retry_ms = pod_now_ms () + POST_RETRY_MAX_MS;
  } else {
    int64_t delay = POST_RETRY_FIRST_MS << (p->post_failures < 5 ? p->post_failures : 5);
    p->post_failures++;
    p->post_retry_ms = pod_now_ms () + (delay > POST_RETRY_MAX_MS ? POST_RETRY_MAX_MS : delay);
    log_warn ("pod status cannot be sent", "pod=%s/%s code=%d error=\"%s\"", pod_namespace (p), pod_name (p), code, text ? text : "");
  }
  loop_timer_set (p->timer, p->post_retry_ms - pod_now_ms () + 1);
  if (p->facts.final_posted)
    pod_sync (p);
}

void
pod_post_status (struct pod *p)
{
  struct arena a AUTO_ARENA = {0};
  struct value *status;
  struct tree *built;
  int64_t now = pod_now_ms ();
  if (p->orphan || p->frozen)
    return;
  arena_init (&a, 0);
  status = pod_build_status (p, &a);
  if (!arena_ok (&a) || !(built = tree_new (status))) {
    log_error ("pod status cannot be built", "pod=%s error=\"out of memory\"", p->uid);
    return;
  }
  tree_unref (p->built);
  p->built = built;
  if (p->posting)
    return; /* again when the answer is there */
  if (p->posted && value_equal (p->posted->v, built->v)) {
    if (quiet (p) && (p->facts.torn_down || p->decision.phase == POD_SUCCEEDED || p->decision.phase == POD_FAILED) && !p->facts.final_posted) {
      p->facts.final_posted = true;
      p->sync_again = true;
    }
    return;
  }
  if (p->post_retry_ms > now) {
    if (!p->decision.wake_ms || p->post_retry_ms < p->decision.wake_ms)
      p->decision.wake_ms = p->post_retry_ms;
    return;
  }
  tree_unref (p->posted);
  p->posted = tree_ref (built);
  p->posting = true;
  p->facts.final_posted = false;
  p->host->put_status (p->host->arg, p->object->v, built->v, on_posted, pod_hold (p));
}
