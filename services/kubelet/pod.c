/* The worker's frame: facts kept true, decisions carried out, the pod's life from adoption to the end. */
#include "services/kubelet/pod.h"

#include <stdarg.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "services/kubelet/pod_internal.h"
#include "services/kubelet/volumes.h"

int64_t
pod_now_ms (void)
{
  return wall_now ().us / 1000;
}

struct tree *
tree_new (const struct value *v)
{
  struct tree *t = mem_zalloc (sizeof *t);
  if (!t)
    return NULL;
  t->refs = 1;
  arena_init (&t->arena, 0);
  t->v = value_clone (&t->arena, v);
  if (!arena_ok (&t->arena)) {
    tree_unref (t);
    return NULL;
  }
  return t;
}

struct tree *
tree_ref (struct tree *t)
{
  t->refs++;
  return t;
}

void
tree_unref (struct tree *t)
{
  if (!t || --t->refs)
    return;
  arena_done (&t->arena);
  free (t);
}

const struct value *
pod_spec_of (const struct pod *p, size_t i)
{
  const struct value *init = value_path (p->spec->v, "spec.initContainers");
  size_t n = value_count (init);
  return i < n ? value_at (init, i) : value_at (value_path (p->spec->v, "spec.containers"), i - n);
}

void
pod_event (struct pod *p, const struct ctr *c, const char *type, const char *reason, const char *fmt, ...)
{
  char text[1024], path[320] = "";
  va_list ap;
  va_start (ap, fmt);
  vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  if (c)
    snprintf (path, sizeof path, "spec.%s{%s}", c->init ? "initContainers" : "containers", c->name);
  p->host->event (p->host->arg, p->object->v, c ? path : NULL, type, reason, text);
}

void
ctr_waiting (struct ctr *c, const char *reason, const char *message)
{
  snprintf (c->waiting_reason, sizeof c->waiting_reason, "%s", reason);
  free (c->waiting_message);
  c->waiting_message = message ? mem_strdup (message) : NULL;
}

void
run_clear (struct run *r)
{
  free (r->reason);
  free (r->message);
  free (r->image_id);
  *r = (struct run) {0};
}

/* ---- termination message ---- */
/* The log's last lines as the container wrote them, without the CRI prefix. */
static void
log_tail (const char *path, struct buf *out)
{
  struct buf b AUTO_BUF = BUF_INIT;
  FILE *f = fopen (path, "re");
  char line[4096];
  if (!f)
    return;
  if (fseek (f, -8192, SEEK_END))
    rewind (f);
  while (fgets (line, sizeof line, f)) {
    char *p = line;
    for (int k = 0; k < 3 && p; k++)
      p = (p = strchr (p, ' ')) ? p + 1 : NULL;
    if (p)
      buf_append_str (&b, p);
  }
  fclose (f);
  if (b.len > 2048)
    buf_consume (&b, b.len - 2048);
  buf_append (out, b.data, b.len);
}

static char *
termination_message (struct pod *p, struct ctr *c, int exit_code, const char *log_path)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  const char *path;
  arena_init (&a, 0);
  path = volumes_termination_path (p->dir, c->name, c->cur.attempt, &a);
  if (path) {
    FILE *f = fopen (path, "re");
    if (f && buf_reserve (&b, POD_TEXT_MAX)) {
      b.len = fread (b.data, 1, POD_TEXT_MAX, f);
      b.data[b.len] = 0;
    }
    if (f)
      fclose (f);
  }
  if (!b.len && exit_code && !strcmp (value_path_string (pod_spec_of (p, c->i), "terminationMessagePolicy", ""), "FallbackToLogsOnError"))
    log_tail (log_path, &b);
  return b.len ? buf_take_cstr (&b) : NULL;
}

void
run_exited (struct ctr *c, const struct container_record *rec)
{
  struct run *r = &c->cur;
  r->exited = true;
  r->exit_code = rec->exit_code;
  r->oom_killed = rec->oom_killed;
  r->started_us = rec->started_us;
  r->finished_us = rec->finished_us;
  if (!r->message)
    r->message = termination_message (c->pod, c, rec->exit_code, rec->log_path);
}

/* ---- making and freeing ---- */
static enum pod_restart
restart_policy (const struct value *pod)
{
  const char *s = value_path_string (pod, "spec.restartPolicy", "Always");
  return !strcmp (s, "Never") ? POD_NEVER : !strcmp (s, "OnFailure") ? POD_ON_FAILURE : POD_ALWAYS;
}

static void
begin_termination (struct pod *p)
{
  if (!p->facts.terminating && p->facts.torn_down && !p->torn_all)
    p->facts.torn_down = false; /* it had ended and kept its containers for their logs */
  p->facts.terminating = true;
}

static void
read_object (struct pod *p)
{
  const struct value *o = p->object->v;
  struct pod_facts *f = &p->facts;
  int64_t spec_grace = value_path_int (o, "spec.terminationGracePeriodSeconds", 30);
  f->restart = restart_policy (o);
  f->deadline_s = value_path_int (o, "spec.activeDeadlineSeconds", 0);
  if (value_get (value_get (o, "metadata"), "deletionTimestamp")) {
    begin_termination (p);
    f->grace_s = value_path_int (o, "metadata.deletionGracePeriodSeconds", spec_grace);
  } else if (!f->terminating) {
    f->grace_s = spec_grace;
  }
}

static void
init_containers (struct pod *p)
{
  static const char *const lists[] = {"spec.initContainers", "spec.containers"};
  for (size_t l = 0; l < 2; l++)
    for (value_items (value_path (p->spec->v, lists[l]), it)) {
      struct pod_container *f = &p->facts.c[p->facts.n];
      struct ctr *c = &p->c[p->facts.n];
      if (p->facts.n == POD_CONTAINERS_MAX)
        return;
      f->kind = l ? POD_MAIN : !strcmp (value_path_string (*it, "restartPolicy", ""), "Always") ? POD_SIDECAR : POD_INIT;
      f->probe_grace_s = -1;
      c->pod = p;
      c->i = p->facts.n++;
      c->init = !l;
      c->name = mem_strdup (value_path_string (*it, "name", ""));
      ctr_waiting (c, value_count (value_path (p->spec->v, "spec.initContainers")) && l ? "PodInitializing" : "ContainerCreating", NULL);
    }
}

static struct ctr *
find_ctr (const struct pod *p, const char *name)
{
  for (size_t i = 0; i < p->facts.n; i++)
    if (!strcmp (p->c[i].name, name))
      return (struct ctr *) (uintptr_t) &p->c[i];
  return NULL;
}

static void
read_run (struct run *r, const struct container_record *rec)
{
  run_clear (r);
  r->known = true;
  r->attempt = rec->attempt;
  snprintf (r->id, sizeof r->id, "%s", rec->id);
  r->started_us = rec->started_us;
  r->image_id = mem_strdup (rec->image_id);
}

/* What ran before this kubelet did: the highest attempt of each container is its present, the one before its past. */
static void
adopt (struct pod *p, const struct container_record *recs, size_t n)
{
  for (size_t k = 0; k < n; k++) {
    struct ctr *c = find_ctr (p, recs[k].container);
    if (c && (!c->cur.known || recs[k].attempt > c->cur.attempt))
      read_run (&c->cur, &recs[k]);
  }
  for (size_t k = 0; k < n; k++) {
    struct ctr *c = find_ctr (p, recs[k].container);
    struct pod_container *f;
    struct err err;
    if (!c)
      continue;
    f = &p->facts.c[c->i];
    if (recs[k].attempt + 1 == c->cur.attempt) {
      read_run (&c->last, &recs[k]);
      c->last.exited = true;
      c->last.exit_code = recs[k].exit_code;
      c->last.finished_us = recs[k].finished_us;
    }
    if (recs[k].attempt != c->cur.attempt)
      continue;
    c->image_id = mem_strdup (recs[k].image_id);
    switch (recs[k].state) {
    case CONTAINER_CREATED: /* died between create and start: made anew under the same number */
      (void) runtime_container_remove (p->host->runtime, recs[k].id, NULL);
      run_clear (&c->cur);
      break;
    case CONTAINER_RUNNING:
      f->state = POD_C_RUNNING;
      if (runtime_container_watch (p->host->runtime, recs[k].id, &err))
        log_error ("container cannot be watched", "container=%s error=\"%s\"", recs[k].id, err.text);
      break;
    case CONTAINER_EXITED:
      f->state = POD_C_EXITED;
      f->exit_code = recs[k].exit_code;
      f->finished_ms = recs[k].finished_us / 1000;
      if (c->cur.attempt > 0) { /* the back-off it had cannot be known: as if this were its second end in a row */
        f->backoff_ms = POD_BACKOFF_FIRST_MS;
        f->backoff_set_ms = f->finished_ms;
      }
      run_exited (c, &recs[k]);
      break;
    }
  }
}

/* status.startTime and restart counts that the API knows of outlive the node's own notes. */
static void
read_status (struct pod *p)
{
  const char *start = value_path_string (p->object->v, "status.startTime", NULL);
  wall_t t;
  p->facts.start_ms = start && !wall_parse (start, &t, NULL) ? t.us / 1000 : pod_now_ms ();
}

static void
on_timer (void *arg)
{
  pod_sync (arg);
}


/* An adopted container: as ready as the API has it, until its probes say otherwise. */
static void
resume (struct ctr *c)
{
  struct pod *p = c->pod;
  static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
  bool was_started = false;
  for (size_t l = 0; l < 2; l++)
    for (value_items (value_path (p->object->v, lists[l]), it))
      if (!strcmp (value_path_string (*it, "name", ""), c->name)) {
        c->ready = value_path_bool (*it, "ready", false);
        was_started = value_path_bool (*it, "started", false);
      }
  p->facts.c[c->i].started = was_started;
  ctr_started (c);
}

struct pod *
pod_new (const struct pod_host *host, const struct value *object, const struct container_record *recs, size_t n_recs, struct err *err)
{
  struct pod *p = mem_zalloc (sizeof *p);
  const char *uid = value_path_string (object, "metadata.uid", ""), *phase = value_path_string (object, "status.phase", "");
  const char *hostname = value_path_string (object, "spec.hostname", value_path_string (object, "metadata.name", ""));
  struct sandbox_status s = {0};
  bool host_network = value_path_bool (object, "spec.hostNetwork", false);
  if (!p)
    goto nomem;
  p->host = host;
  p->object = tree_new (object);
  p->uid = mem_strdup (uid);
  p->dir = mem_printf ("%s/kubelet/pods/%s", host->dir, uid);
  p->log_dir = mem_printf ("%s/%s_%s_%s", host->log_dir, value_path_string (object, "metadata.namespace", ""),
                           value_path_string (object, "metadata.name", ""), uid);
  p->timer = loop_timer_new (host->loop, on_timer, p);
  if (!p->object || !p->uid || !p->dir || !p->log_dir || !p->timer)
    goto nomem;
  p->spec = tree_ref (p->object);
  if (host_network)
    hostname = host->node->name;
  snprintf (p->hostname, sizeof p->hostname, "%s", hostname);
  for (char *end = p->hostname + strlen (p->hostname); end > p->hostname && strchr ("-.", end[-1]);)
    *--end = 0; /* truncated to 63: must not end so */
  init_containers (p);
  p->facts.torn_down = p->torn_all = !file_exists (p->dir) && !n_recs;
  read_object (p);
  read_status (p);
  if (!strcmp (phase, "Succeeded") || !strcmp (phase, "Failed")) {
    p->frozen = true;
    p->facts.final_posted = true;
  }
  adopt (p, recs, n_recs);
  (void) runtime_sandbox_get (host->runtime, uid, host_network, &s);
  p->facts.sandbox_ready = s.ready;
  p->facts.sandbox_lost = !s.ready && n_recs > 0;
  if (s.ready) {
    p->facts.torn_down = p->torn_all = false;
    pod_set_ips (p, &s);
  }
  for (size_t i = 0; i < p->facts.n; i++)
    if (p->facts.c[i].state == POD_C_RUNNING)
      resume (&p->c[i]);
  pod_sync (p);
  return p;
nomem:
  err_set (err, ERR_NOMEM, "pod");
  if (p)
    p->facts.n = 0;
  pod_free (p);
  return NULL;
}

void
pod_set_ips (struct pod *p, const struct sandbox_status *s)
{
  p->ips.n = 0;
  if (value_path_bool (p->spec->v, "spec.hostNetwork", false)) {
    for (size_t i = 0; i < p->host->node->n_host_ips; i++)
      p->ips.ips[p->ips.n++] = p->host->node->host_ips[i];
    return;
  }
  for (size_t i = 0; i < s->n_ips; i++) {
    snprintf (p->ip_text[i], sizeof p->ip_text[i], "%s", s->ips[i]);
    p->ips.ips[p->ips.n++] = p->ip_text[i];
  }
}

static void
really_free (struct pod *p)
{
  for (size_t i = 0; i < p->facts.n; i++) {
    free ((char *) (uintptr_t) p->c[i].name);
    free (p->c[i].waiting_message);
    free (p->c[i].image_id);
    run_clear (&p->c[i].cur);
    run_clear (&p->c[i].last);
  }
  tree_unref (p->object);
  tree_unref (p->spec);
  tree_unref (p->refs);
  tree_unref (p->posted);
  tree_unref (p->built);
  free (p->uid);
  free (p->dir);
  free (p->log_dir);
  free (p);
}

void
pod_free (struct pod *p)
{
  if (!p)
    return;
  for (size_t i = 0; i < p->facts.n; i++)
    ctr_stopped (&p->c[i]);
  loop_timer_free (p->timer);
  p->timer = NULL;
  fetch_free (p->fetch);
  p->fetch = NULL;
  p->freed = true;
  if (!p->outstanding)
    really_free (p);
}

struct pod *
pod_hold (struct pod *p)
{
  p->outstanding++;
  return p;
}

bool
pod_release (struct pod *p)
{
  bool freed = p->freed;
  if (!--p->outstanding && freed)
    really_free (p);
  return freed;
}

/* ---- containers come and go ---- */
void
pod_exited (struct pod *p, const struct container_record *rec)
{
  struct ctr *c = find_ctr (p, rec->container);
  struct pod_container *f;
  if (!c || !c->cur.known || strcmp (c->cur.id, rec->id) != 0)
    return;
  f = &p->facts.c[c->i];
  if (f->state != POD_C_RUNNING)
    return;
  f->state = POD_C_EXITED;
  f->exit_code = rec->exit_code;
  f->finished_ms = rec->finished_us / 1000;
  f->killing = f->started = f->unhealthy = false;
  c->ready = false;
  ctr_stopped (c);
  run_exited (c, rec);
  pod_sync (p);
}

static void
on_probe (void *arg, enum probe_kind kind, bool healthy, bool changed, bool failed_once, const char *output)
{
  struct ctr *c = arg;
  struct pod *p = c->pod;
  struct pod_container *f = &p->facts.c[c->i];
  if (failed_once && !f->killing)
    pod_event (p, c, "Warning", "Unhealthy", "%s probe failed: %.900s", probe_names[kind], output);
  if (!changed)
    return;
  switch (kind) {
  case PROBE_STARTUP:
    if (healthy) {
      f->started = true;
      for (int k = PROBE_LIVENESS; k < PROBE_COUNT; k++)
        if (c->probes[k])
          probe_start (c->probes[k]);
      if (!c->probes[PROBE_READINESS])
        c->ready = true;
      break;
    }
    /* fall through */
  case PROBE_LIVENESS:
    if (!healthy && !f->unhealthy) {
      f->unhealthy = true;
      f->probe_grace_s = probe_grace_s (c->probes[kind]);
      pod_event (p, c, "Normal", "Killing", "Container %s failed %s probe, will be restarted", c->name,
                 kind == PROBE_STARTUP ? "startup" : "liveness");
    }
    break;
  default:
    c->ready = healthy;
    break;
  }
  pod_sync (p);
}

void
ctr_started (struct ctr *c)
{
  static const char *const keys[PROBE_COUNT] = {"startupProbe", "livenessProbe", "readinessProbe"};
  struct pod *p = c->pod;
  const struct value *spec = pod_spec_of (p, c->i);
  struct handler_ctx x = {p->host->loop, p->host->runtime, p->host->http, p->ips.n ? p->ips.ips[0] : NULL, c->cur.id, spec};
  struct err err;
  if (p->facts.c[c->i].kind == POD_INIT)
    return;
  for (int k = 0; k < PROBE_COUNT; k++) {
    const struct value *probe = value_get (spec, keys[k]);
    if (value_count (probe) && !c->probes[k] && !(c->probes[k] = probe_new (&x, (enum probe_kind) k, probe, on_probe, c, &err)))
      log_error ("probe cannot be made", "pod=%s container=%s error=\"%s\"", p->uid, c->name, err.text);
  }
  if (c->probes[PROBE_STARTUP] && !p->facts.c[c->i].started) {
    probe_start (c->probes[PROBE_STARTUP]);
    return;
  }
  p->facts.c[c->i].started = !c->hook;
  for (int k = PROBE_LIVENESS; k < PROBE_COUNT; k++)
    if (c->probes[k])
      probe_start (c->probes[k]);
  if (!c->probes[PROBE_READINESS])
    c->ready = true;
}

void
ctr_stopped (struct ctr *c)
{
  for (int k = 0; k < PROBE_COUNT; k++) {
    probe_free (c->probes[k]);
    c->probes[k] = NULL;
  }
  handler_cancel (c->hook);
  c->hook = NULL;
  loop_timer_free (c->kill_timer);
  c->kill_timer = NULL;
  c->term_sent = false;
}

/* ---- the heart ---- */
static void
on_removed (void *arg, int code, const struct value *object, const char *text)
{
  struct pod *p = arg;
  (void) object;
  if (pod_release (p))
    return;
  p->forgetting = false;
  if ((code >= 200 && code < 300) || code == 404 || code == 409) {
    p->host->gone (p->host->arg, p);
    return;
  }
  log_warn ("pod's object cannot be removed yet", "pod=%s/%s code=%d error=\"%s\"", pod_namespace (p), pod_name (p), code, text ? text : "");
  loop_timer_set (p->timer, 2000);
}

static void
forget (struct pod *p)
{
  if (p->orphan) {
    p->host->gone (p->host->arg, p);
    return;
  }
  if (p->forgetting)
    return;
  p->forgetting = true;
  p->host->remove (p->host->arg, p->object->v, on_removed, pod_hold (p));
}

/* The pod of a former life that had ended: it is kept as it is until it is deleted. */
static void
sync_frozen (struct pod *p)
{
  if (!p->facts.busy && !p->facts.torn_down && (p->facts.terminating || p->facts.sandbox_ready))
    pod_tear_down (p);
  else if (p->facts.terminating && p->facts.torn_down)
    forget (p);
}

static void
carry_out (struct pod *p)
{
  for (size_t i = 0; i < p->decision.n && !p->freed; i++) {
    const struct pod_step s = p->decision.steps[i];
    switch (s.op) {
    case POD_SET_UP:
      pod_set_up (p);
      break;
    case POD_START:
      pod_start (p, s.c, s.backoff_ms);
      break;
    case POD_KILL:
      pod_kill (p, &s);
      break;
    case POD_TEAR_DOWN:
      pod_tear_down (p);
      break;
    case POD_FORGET:
      forget (p);
      break;
    }
  }
}

/* A failed pull is ErrImagePull for a moment, then ImagePullBackOff until it is tried again. */
static void
show_pull_backoff (struct pod *p, int64_t now)
{
  for (size_t i = 0; i < p->facts.n; i++) {
    struct ctr *c = &p->c[i];
    int64_t at = c->pull_failed_ms + 1000;
    if (!c->pull_failed_ms || strcmp (c->waiting_reason, "ErrImagePull") != 0)
      continue;
    if (now >= at) {
      const char *image = value_path_string (pod_spec_of (p, i), "image", "");
      char text[640];
      snprintf (text, sizeof text, "Back-off pulling image \"%.512s\"", image);
      ctr_waiting (c, "ImagePullBackOff", text);
      pod_event (p, c, "Normal", "BackOff", "%s", text);
      pod_event (p, c, "Warning", "Failed", "Error: ImagePullBackOff");
    } else if (!p->decision.wake_ms || at < p->decision.wake_ms) {
      p->decision.wake_ms = at;
    }
  }
}

static void
sync_once (struct pod *p)
{
  int64_t now = pod_now_ms ();
  if (p->frozen) {
    sync_frozen (p);
    return;
  }
  pod_decide (&p->facts, now, &p->decision);
  if (p->decision.deadline_exceeded && !p->reason[0]) {
    snprintf (p->reason, sizeof p->reason, "DeadlineExceeded");
    snprintf (p->message, sizeof p->message, "Pod was active on the node longer than the specified deadline");
    pod_event (p, NULL, "Normal", "DeadlineExceeded", "%s", p->message);
  }
  for (size_t i = 0; i < p->facts.n; i++)
    if (p->decision.crash_loop[i] && strcmp (p->c[i].waiting_reason, "CrashLoopBackOff") != 0) {
      char text[256];
      int64_t s = p->facts.c[i].backoff_ms / 1000;
      if (s >= 60)
        snprintf (text, sizeof text, "%lldm%llds", (long long) s / 60, (long long) s % 60);
      else
        snprintf (text, sizeof text, "%llds", (long long) s);
      char message[1024];
      snprintf (message, sizeof message, "back-off %s restarting failed container=%.64s pod=%.64s_%.64s(%.64s)", text, p->c[i].name, pod_name (p),
                pod_namespace (p), p->uid);
      ctr_waiting (&p->c[i], "CrashLoopBackOff", message);
      pod_event (p, &p->c[i], "Warning", "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)", p->c[i].name, pod_name (p),
                 pod_namespace (p), p->uid);
    }
  show_pull_backoff (p, now);
  carry_out (p);
  if (p->freed)
    return;
  pod_post_status (p);
  if (p->decision.wake_ms && p->timer) {
    int64_t in = p->decision.wake_ms - now;
    loop_timer_set (p->timer, in < 1 ? 1 : in);
  }
}

void
pod_sync (struct pod *p)
{
  if (p->in_sync) {
    p->sync_again = true;
    return;
  }
  p->in_sync = true;
  pod_hold (p);
  for (int round = 0; round < 100 && !p->freed; round++) {
    p->sync_again = false;
    sync_once (p);
    if (!p->sync_again)
      break;
  }
  p->in_sync = false;
  (void) pod_release (p);
}

void
pod_update (struct pod *p, const struct value *object)
{
  struct tree *t = tree_new (object);
  bool changed;
  int64_t grace = p->facts.grace_s;
  bool was = p->facts.terminating;
  struct err err;
  if (!t) {
    log_error ("pod update lost", "pod=%s error=\"out of memory\"", p->uid);
    return;
  }
  /* Not for every echo of our own status: a checkpoint is a write to disk. */
  changed = !value_equal (value_get (t->v, "spec"), value_get (p->object->v, "spec")) ||
            !value_equal (value_path (t->v, "metadata.deletionTimestamp"), value_path (p->object->v, "metadata.deletionTimestamp"));
  tree_unref (p->object);
  p->object = t;
  read_object (p);
  if (was && p->facts.grace_s < grace)
    pod_hurry (p);
  if (changed && !p->facts.torn_down && pod_checkpoint (p, &err))
    log_warn ("pod's checkpoint cannot be written", "pod=%s error=\"%s\"", p->uid, err.text);
  pod_sync (p);
}

void
pod_orphan (struct pod *p)
{
  p->orphan = true;
  p->facts.final_posted = true;
  if (!p->facts.terminating) {
    begin_termination (p);
    if (p->facts.grace_s > 30)
      p->facts.grace_s = 30;
  }
  pod_sync (p);
}

void
pod_reject (struct pod *p, const char *reason, const char *message)
{
  p->facts.rejected = true;
  snprintf (p->reason, sizeof p->reason, "%s", reason);
  snprintf (p->message, sizeof p->message, "%s", message);
  pod_event (p, NULL, "Warning", reason, "%s", message);
  pod_sync (p);
}

void
pod_refresh (struct pod *p)
{
  bool has = false;
  if (p->frozen || !p->facts.sandbox_ready || p->facts.terminating)
    return;
  for (value_items (value_path (p->spec->v, "spec.volumes"), it))
    has |= value_get (*it, "configMap") || value_get (*it, "secret") || value_get (*it, "projected") || value_get (*it, "downwardAPI");
  /* Spread over ten seconds, so that many pods do not ask at once. */
  if (has && pod_now_ms () - p->refs_time_ms > 60000 + (int64_t) (hash_bytes (p->uid, strlen (p->uid), 0) % 10000))
    pod_fetch_again (p);
}

void
pod_server_back (struct pod *p)
{
  p->post_retry_ms = 0;
  pod_sync (p);
}

/* ---- looking ---- */
const char *
pod_uid (const struct pod *p)
{
  return p->uid;
}

const char *
pod_namespace (const struct pod *p)
{
  return value_path_string (p->object->v, "metadata.namespace", "");
}

const char *
pod_name (const struct pod *p)
{
  return value_path_string (p->object->v, "metadata.name", "");
}

const struct value *
pod_object (const struct pod *p)
{
  return p->object->v;
}

const char *
pod_ip (const struct pod *p)
{
  return p->ips.n ? p->ips.ips[0] : "";
}

struct value *
pod_status (struct pod *p, struct arena *a)
{
  return pod_build_status (p, a);
}

const char *
pod_container_name (const struct pod *p, size_t i)
{
  size_t init = value_count (value_path (p->spec->v, "spec.initContainers"));
  return init + i < p->facts.n ? p->c[init + i].name : NULL;
}

char *
pod_log_path (const struct pod *p, const char *container, unsigned attempt)
{
  return mem_printf ("%s/%s/%u.log", p->log_dir, container, attempt);
}

int
pod_container (struct pod *p, const char *name, bool previous, struct arena *a, struct pod_container_info *ret, struct err *err)
{
  struct ctr *c = find_ctr (p, name);
  const struct run *r;
  const struct value *spec;
  char *path AUTO_FREE = NULL;
  if (!c)
    return err_set (err, ERR_NOT_FOUND, "container %s is not valid for pod %s", name, pod_name (p));
  r = previous ? &c->last : c->cur.known ? &c->cur : &c->last;
  if (previous && !r->known)
    return err_set (err, ERR_INVALID, "previous terminated container \"%s\" in pod \"%s\" not found", name, pod_name (p));
  if (!r->known)
    return err_set (err, ERR_INVALID, "container \"%s\" in pod \"%s\" is waiting to start: %s", name, pod_name (p),
                    !strcmp (c->waiting_reason, "ErrImagePull") || !strcmp (c->waiting_reason, "ImagePullBackOff")
                        ? "trying and failing to pull image"
                        : c->waiting_reason);
  spec = pod_spec_of (p, c->i);
  if (!(path = pod_log_path (p, name, r->attempt)))
    return err_set (err, ERR_NOMEM, "container");
  *ret = (struct pod_container_info) {.running = r == &c->cur && p->facts.c[c->i].state == POD_C_RUNNING,
                                      .tty = value_path_bool (spec, "tty", false),
                                      .stdin_ = value_path_bool (spec, "stdin", false),
                                      .stdin_once = value_path_bool (spec, "stdinOnce", false),
                                      .log_path = arena_strdup (a, path)};
  snprintf (ret->id, sizeof ret->id, "%s", r->id);
  return ret->log_path ? 0 : err_set (err, ERR_NOMEM, "container");
}
