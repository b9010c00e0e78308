/* The worker's jobs: fetching what the pod refers to, setting up, starting a container, tearing down. A job holds references to the
   immutable trees and copies of the rest, because it runs in a thread while the worker goes on. */
#include <errno.h>

#include "base/file.h"
#include "base/log.h"
#include "schemas/json.h"
#include "services/kubelet/pod_internal.h"
#include "services/kubelet/refs.h"
#include "services/kubelet/volumes.h"

#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 120000
#define PULL_RETRY_FIRST_MS 10000
#define PULL_RETRY_MAX_MS 300000

static int64_t
delay_ms (unsigned failures, int64_t first, int64_t max)
{
  int64_t d = first << (failures < 20 ? failures : 20);
  return d > max ? max : d;
}

const char *
pod_cgroup (const struct pod *p, struct arena *a)
{
  const char *qos = value_path_string (p->built ? p->built->v : NULL, "qosClass", value_path_string (p->object->v, "status.qosClass", "Burstable"));
  return !strcmp (qos, "Guaranteed") ? arena_printf (a, "kubus/guaranteed/pod%s", p->uid)
         : !strcmp (qos, "BestEffort") ? arena_printf (a, "kubus/besteffort/pod%s", p->uid)
                                       : arena_printf (a, "kubus/burstable/pod%s", p->uid);
}

static int
write_json (const char *path, const struct value *v, struct err *err)
{
  struct buf b AUTO_BUF = BUF_INIT;
  json_write (v, 0, &b);
  return b.failed ? err_set (err, ERR_NOMEM, "%s", path) : file_write_atomic (path, b.data, b.len, 0600, err);
}

int
pod_checkpoint (struct pod *p, struct err *err)
{
  char *path AUTO_FREE = mem_printf ("%s/pod.json", p->dir);
  int rc;
  if (!path)
    return err_set (err, ERR_NOMEM, "checkpoint");
  if ((rc = file_mkdirs (p->dir, 0750, err)))
    return rc;
  return write_json (path, p->object->v, err);
}

/* ---- fetching ---- */
struct fetch_one {
  struct fetch *f;
  const char *key;
};
struct fetch {
  struct pod *pod; /* NULL: nobody waits any more */
  struct arena arena;
  struct value *refs;
  unsigned waiting;
  bool failed;     /* an answer did not come */
  bool refresh;
  char text[256];
};

void
fetch_free (struct fetch *f)
{
  if (f)
    f->pod = NULL;
}

static void begin_set_up (struct pod *p);
static void rewrite_volumes (struct pod *p);

static void
fetched (struct fetch *f)
{
  struct pod *p = f->pod;
  struct tree *t = NULL;
  struct err err;
  bool refresh = f->refresh;
  if (p) {
    p->fetch = NULL;
    if (!f->failed && (t = tree_new (f->refs))) {
      char *path AUTO_FREE = mem_printf ("%s/refs.json", p->dir);
      tree_unref (p->refs);
      p->refs = t;
      p->refs_time_ms = pod_now_ms ();
      if (!path || pod_checkpoint (p, &err) || write_json (path, p->refs->v, &err))
        log_warn ("pod's checkpoint cannot be written", "pod=%s error=\"%s\"", p->uid, err.text);
    } else if (!p->refs) {
      /* No server: what was known before the node went down will do. */
      struct buf b AUTO_BUF = BUF_INIT;
      struct arena a AUTO_ARENA = {0};
      struct value *v = NULL;
      char *path AUTO_FREE = mem_printf ("%s/refs.json", p->dir);
      arena_init (&a, 0);
      if (path && !file_read (path, 64u << 20, &b, NULL) && !json_parse (&a, buf_cstr (&b), b.len, &v, NULL, NULL))
        p->refs = tree_new (v);
    }
    if (refresh) {
      if (t)
        rewrite_volumes (p);
    } else if (p->refs) {
      begin_set_up (p);
    } else {
      p->facts.busy = false;
      p->facts.retry_at_ms = pod_now_ms () + delay_ms (p->set_up_failures++, RETRY_FIRST_MS, RETRY_MAX_MS);
      pod_event (p, NULL, "Warning", "FailedMount", "%s", f->text);
      pod_sync (p);
    }
  }
  arena_done (&f->arena);
  free (f);
}

static void
on_fetched (void *arg, int code, const struct value *object, const char *text)
{
  struct fetch_one *one = arg;
  struct fetch *f = one->f;
  if (code >= 200 && code < 300) {
    value_set (&f->arena, f->refs, one->key, value_clone (&f->arena, object));
  } else if (code == 404) {
    value_set (&f->arena, f->refs, one->key, value_null (&f->arena));
  } else {
    f->failed = true;
    snprintf (f->text, sizeof f->text, "%s cannot be fetched: %d %s", one->key, code, text ? text : "");
  }
  if (--f->waiting == 0)
    fetched (f);
}

/* A token is asked for again when 80 % of its life is over. */
static bool
token_fresh (const struct pod *p, const struct value *need)
{
  const struct value *have = p->refs ? value_get (p->refs->v, value_path_string (need, "key", "")) : NULL;
  int64_t life_ms = value_path_int (need, "expirationSeconds", 3600) * 1000;
  wall_t expires;
  if (strcmp (value_path_string (need, "resource", ""), "tokens") != 0 || !value_get (have, "token") ||
      wall_parse (value_path_string (have, "expirationTimestamp", ""), &expires, NULL))
    return false;
  return expires.us / 1000 - pod_now_ms () > life_ms / 5;
}

static void
begin_fetch (struct pod *p, bool refresh)
{
  struct fetch *f = mem_zalloc (sizeof *f);
  struct value *needed;
  if (!f) {
    log_error ("pod's objects cannot be fetched", "pod=%s error=\"out of memory\"", p->uid);
    p->facts.busy = refresh && p->facts.busy;
    p->facts.retry_at_ms = pod_now_ms () + RETRY_MAX_MS;
    return;
  }
  arena_init (&f->arena, 64u << 20);
  f->pod = p;
  f->refresh = refresh;
  f->refs = value_map (&f->arena);
  p->fetch = f;
  needed = refs_needed (p->object->v, &f->arena);
  f->waiting = 1; /* ours, so that answers from within do not end it early */
  for (value_items (needed, it)) {
    struct fetch_one *one = arena_alloc (&f->arena, sizeof *one);
    if (!one) {
      f->failed = true;
      break;
    }
    *one = (struct fetch_one) {f, value_path_string (*it, "key", "")};
    if (token_fresh (p, *it)) {
      value_set (&f->arena, f->refs, one->key, value_clone (&f->arena, value_get (p->refs->v, one->key)));
      continue;
    }
    f->waiting++;
    p->host->fetch (p->host->arg, p->object->v, *it, on_fetched, one);
  }
  if (--f->waiting == 0)
    fetched (f);
}

void
pod_set_up (struct pod *p)
{
  p->facts.busy = true;
  p->facts.torn_down = p->torn_all = false;
  if (!p->fetch)
    begin_fetch (p, false);
}

void
pod_fetch_again (struct pod *p)
{
  if (!p->fetch && !p->facts.busy)
    begin_fetch (p, true);
}

/* ---- setting up ---- */
struct set_up {
  struct pod *pod;
  struct tree *object, *refs;
  struct volumes_ctx x;
  struct pod_ips ips;
  char ip_text[2][INET6_ADDRSTRLEN];
  struct sandbox_config sc;
  struct sandbox_status status;
  struct arena arena;
  bool volumes_only, volumes_failed;
  int rc;
  struct err err;
};

static void
do_set_up (void *arg)
{
  struct set_up *j = arg;
  bool host_network = value_path_bool (j->object->v, "spec.hostNetwork", false);
  if ((j->rc = file_mkdirs (j->x.dir, 0750, &j->err)) || (j->rc = volumes_set_up (&j->x, &j->err))) {
    j->volumes_failed = true;
    return;
  }
  if (j->volumes_only || (j->rc = runtime_sandbox_run (j->pod->host->runtime, &j->sc, &j->status, &j->err)))
    return;
  j->ips.n = 0;
  for (size_t i = 0; !host_network && i < j->status.n_ips; i++)
    j->ips.ips[j->ips.n++] = j->status.ips[i];
  if ((j->rc = volumes_write_files (&j->x, j->sc.hostname, &j->err)))
    j->volumes_failed = true;
}

static void
set_up_done (void *arg)
{
  struct set_up *j = arg;
  struct pod *p = j->pod;
  if (!pod_release (p)) {
    if (!j->volumes_only)
      p->facts.busy = false;
    if (j->rc) {
      pod_event (p, NULL, "Warning", j->volumes_failed ? "FailedMount" : "FailedCreatePodSandBox", "%s%s",
                 j->volumes_failed ? "" : "Failed to create pod sandbox: ", j->err.text);
      if (!j->volumes_only)
        p->facts.retry_at_ms = pod_now_ms () + delay_ms (p->set_up_failures++, RETRY_FIRST_MS, RETRY_MAX_MS);
    } else if (!j->volumes_only) {
      p->set_up_failures = 0;
      p->facts.retry_at_ms = 0;
      p->facts.sandbox_ready = true;
      pod_set_ips (p, &j->status);
      /* A new sandbox runs everything again: init containers first, and what its policy lets run. */
      for (size_t i = 0; p->facts.sandbox_lost && i < p->facts.n; i++) {
        struct pod_container *f = &p->facts.c[i];
        if (f->state == POD_C_EXITED && (f->kind != POD_MAIN || p->facts.restart == POD_ALWAYS || f->exit_code != 0)) {
          f->state = POD_C_NONE;
          f->backoff_ms = 0;
        }
      }
      p->facts.sandbox_lost = false;
    }
    pod_sync (p);
  }
  tree_unref (j->object);
  tree_unref (j->refs);
  arena_done (&j->arena);
  free (j);
}

static void
run_set_up (struct pod *p, bool volumes_only)
{
  struct set_up *j = mem_zalloc (sizeof *j);
  struct err err = {0};
  if (!j)
    goto fail;
  arena_init (&j->arena, 0);
  j->pod = p;
  j->object = tree_ref (p->object);
  j->refs = tree_ref (p->refs);
  j->volumes_only = volumes_only;
  j->ips.n = p->ips.n;
  for (size_t i = 0; i < p->ips.n; i++) {
    snprintf (j->ip_text[i], sizeof j->ip_text[i], "%s", p->ips.ips[i]);
    j->ips.ips[i] = j->ip_text[i];
  }
  j->x = (struct volumes_ctx) {arena_strdup (&j->arena, p->dir), j->object->v, j->refs->v, p->host->node, &j->ips};
  j->sc = (struct sandbox_config) {j->object->v, arena_strdup (&j->arena, p->uid), arena_strdup (&j->arena, p->hostname), pod_cgroup (p, &j->arena)};
  if (!arena_ok (&j->arena))
    goto fail;
  pod_hold (p);
  if (!pool_run (p->host->pool, do_set_up, set_up_done, j, &err))
    return;
  (void) pod_release (p);
fail:
  log_error ("pod cannot be set up", "pod=%s error=\"%s\"", p->uid, err.code ? err.text : "out of memory");
  if (j) {
    tree_unref (j->object);
    tree_unref (j->refs);
    arena_done (&j->arena);
    free (j);
  }
  if (!volumes_only) {
    p->facts.busy = false;
    p->facts.retry_at_ms = pod_now_ms () + RETRY_MAX_MS;
  }
}

static void
begin_set_up (struct pod *p)
{
  run_set_up (p, false);
}

static void
rewrite_volumes (struct pod *p)
{
  run_set_up (p, true);
}

/* ---- starting ---- */
enum start_failure { START_OK, START_PULL, START_NEVER_PULL, START_NAME, START_CONFIG, START_CREATE, START_RUN };

struct start {
  struct pod *pod;
  size_t i;
  struct tree *object, *spec, *refs;
  const struct value *container;
  struct arena arena;
  unsigned attempt;
  bool had_run;
  char id[CONTAINER_ID_SIZE], old_id[CONTAINER_ID_SIZE];
  const char *old_log;
  struct container_config cc;
  struct volumes_ctx x;
  struct pod_ips ips;
  char ip_text[2][INET6_ADDRSTRLEN];
  const char *auth;
  bool pull_wanted, present, pulled;
  int64_t pull_us;
  char *image_id;
  enum start_failure failure;
  struct err err;
};

static void
start_free (struct start *j)
{
  tree_unref (j->object);
  tree_unref (j->spec);
  tree_unref (j->refs);
  arena_done (&j->arena);
  free (j->image_id);
  free (j);
}

static void
do_create (struct start *j, struct image *image)
{
  struct runtime *r = j->pod->host->runtime;
  struct value *env = NULL;
  struct container_mount *mounts = NULL;
  size_t n = 0;
  int rc;
  j->image_id = mem_strdup (image->id);
  if (env_build (j->object->v, j->container, j->refs->v, j->x.node, &j->ips, &j->arena, &env, &j->err)) {
    j->failure = START_CONFIG;
    return;
  }
  if (volumes_mounts (&j->x, j->container, j->attempt, env, &j->arena, &mounts, &n, &j->err)) {
    j->failure = START_CONFIG;
    return;
  }
  if (j->old_id[0]) /* two attempts are kept: the one before this, for its log and state, and this */
    (void) runtime_container_remove (r, j->old_id, NULL);
  if (j->old_log)
    (void) unlink (j->old_log);
  j->cc.image = image;
  j->cc.env = env;
  j->cc.mounts = mounts;
  j->cc.n_mounts = n;
  if ((rc = runtime_container_create (r, &j->cc, &j->err))) {
    j->failure = rc == ERR_DENIED ? START_CONFIG : strstr (j->err.text, "OCI runtime create failed") ? START_RUN : START_CREATE;
    return;
  }
  if (runtime_container_start (r, j->id, &j->err)) {
    j->failure = START_RUN;
    (void) runtime_container_remove (r, j->id, NULL);
  }
}

/* In the pool: everything if the image is there, else only the finding that it is not. */
static void
do_start (void *arg)
{
  struct start *j = arg;
  struct image *image = NULL;
  const char *ref = value_path_string (j->container, "image", "");
  int rc;
  if (j->pull_wanted && !j->pulled)
    return;
  if ((rc = runtime_image_resolve (j->pod->host->runtime, ref, &image, &j->err))) {
    if (rc == ERR_INVALID)
      j->failure = START_NAME;
    else if (rc != ERR_NOT_FOUND)
      j->failure = START_CREATE;
    return;
  }
  j->present = true;
  do_create (j, image);
  image_free (image);
}

static void
do_pull (void *arg)
{
  struct start *j = arg;
  int64_t begin = wall_now ().us;
  if (runtime_image_pull (j->pod->host->runtime, value_path_string (j->container, "image", ""), j->auth, &j->err))
    j->failure = j->err.code == ERR_INVALID ? START_NAME : START_PULL;
  j->pull_us = wall_now ().us - begin;
  j->pulled = true;
}

static void start_done (void *arg);

static void
pull_done (void *arg)
{
  struct start *j = arg;
  struct pod *p = j->pod;
  const char *ref = value_path_string (j->container, "image", "");
  if (!p->freed && j->failure == START_OK) {
    pod_event (p, &p->c[j->i], "Normal", "Pulled", "Successfully pulled image \"%s\" in %lldms", ref, (long long) j->pull_us / 1000);
    if (!pool_run (p->host->pool, do_start, start_done, j, &j->err))
      return;
    j->failure = START_CREATE;
  }
  start_done (j);
}

static const char *
pull_policy (const struct value *container)
{
  const char *policy = value_path_string (container, "imagePullPolicy", "");
  return *policy ? policy : image_ref_is_latest (value_path_string (container, "image", "")) ? "Always" : "IfNotPresent";
}

static void
begin_pull (struct start *j)
{
  struct pod *p = j->pod;
  struct ctr *c = &p->c[j->i];
  pod_event (p, c, "Normal", "Pulling", "Pulling image \"%s\"", value_path_string (j->container, "image", ""));
  if (pool_run (p->host->pulls, do_pull, pull_done, j, &j->err)) {
    j->failure = START_PULL;
    start_done (j);
  }
}

static void
failed_start (struct start *j, struct ctr *c, struct pod_container *f)
{
  struct pod *p = j->pod;
  const char *ref = value_path_string (j->container, "image", "");
  static const char *const reasons[] = {"", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError",
                                        "CreateContainerError", "RunContainerError"};
  int64_t now = pod_now_ms ();
  char text[1024];
  switch (j->failure) {
  case START_PULL:
    snprintf (text, sizeof text, "Failed to pull image \"%.256s\": %.500s", ref, j->err.text);
    pod_event (p, c, "Warning", "Failed", "%s", text);
    pod_event (p, c, "Warning", "Failed", "Error: ErrImagePull");
    f->retry_at_ms = now + delay_ms (c->pull_failures++, PULL_RETRY_FIRST_MS, PULL_RETRY_MAX_MS);
    c->pull_failed_ms = now;
    ctr_waiting (c, reasons[j->failure], j->err.text);
    return;
  case START_NEVER_PULL:
    snprintf (text, sizeof text, "Container image \"%.256s\" is not present with pull policy of Never", ref);
    pod_event (p, c, "Warning", "ErrImageNeverPull", "%s", text);
    break;
  case START_NAME:
    snprintf (text, sizeof text, "%s", j->err.text);
    pod_event (p, c, "Warning", "InspectFailed", "%s", text);
    break;
  case START_RUN: /* as containerd reports it: a container that ended at once with 128 */
    pod_event (p, c, "Warning", "Failed", "Error: %.900s", j->err.text);
    run_clear (&c->last);
    if (c->cur.known)
      c->last = c->cur;
    c->cur = (struct run) {.known = true, .attempt = j->attempt, .exited = true, .exit_code = 128, .started_us = now * 1000, .finished_us = now * 1000,
                           .reason = mem_strdup ("StartError"), .message = mem_strdup (j->err.text), .image_id = mem_strdup (j->image_id)};
    memcpy (c->cur.id, j->id, sizeof c->cur.id);
    f->state = POD_C_EXITED;
    f->exit_code = 128;
    f->finished_ms = now;
    ctr_waiting (c, reasons[j->failure], j->err.text);
    return;
  default:
    snprintf (text, sizeof text, "%s", j->err.text);
    pod_event (p, c, "Warning", "Failed", "Error: %.900s", text);
    break;
  }
  ctr_waiting (c, reasons[j->failure], text);
  f->retry_at_ms = now + delay_ms (c->start_failures++, 2000, RETRY_MAX_MS);
}

static void
started (struct start *j, struct ctr *c, struct pod_container *f)
{
  struct pod *p = j->pod;
  struct err err;
  if (!j->pulled)
    pod_event (p, c, "Normal", "Pulled", "Container image \"%s\" already present on machine", value_path_string (j->container, "image", ""));
  pod_event (p, c, "Normal", "Created", "Created container: %s", c->name);
  pod_event (p, c, "Normal", "Started", "Started container %s", c->name);
  run_clear (&c->last);
  if (c->cur.known)
    c->last = c->cur;
  c->cur = (struct run) {.known = true, .attempt = j->attempt, .started_us = wall_now ().us, .image_id = mem_strdup (j->image_id)};
  memcpy (c->cur.id, j->id, sizeof c->cur.id);
  free (c->image_id);
  c->image_id = mem_strdup (j->image_id);
  c->pull_failures = c->start_failures = 0;
  f->state = POD_C_RUNNING;
  f->retry_at_ms = 0;
  f->killing = f->unhealthy = f->started = false;
  f->probe_grace_s = -1;
  ctr_waiting (c, "ContainerCreating", NULL);
  if (runtime_container_watch (p->host->runtime, j->id, &err))
    log_error ("container cannot be watched", "container=%s error=\"%s\"", j->id, err.text);
  ctr_post_start (c);
}

static void
start_done (void *arg)
{
  struct start *j = arg;
  struct pod *p = j->pod;
  struct ctr *c;
  struct pod_container *f;
  if (p->freed) {
    (void) pod_release (p);
    start_free (j);
    return;
  }
  c = &p->c[j->i];
  f = &p->facts.c[j->i];
  if (j->failure == START_OK && !j->present) {
    if (!strcmp (pull_policy (j->container), "Never")) {
      j->failure = START_NEVER_PULL;
    } else if (f->busy && !p->facts.terminating) {
      begin_pull (j);
      return;
    }
  }
  f->busy = false;
  if (j->failure)
    failed_start (j, c, f);
  else if (j->present)
    started (j, c, f);
  start_free (j);
  if (!pod_release (p))
    pod_sync (p);
}

void
pod_start (struct pod *p, size_t i, int64_t backoff_ms)
{
  struct start *j;
  struct ctr *c = &p->c[i];
  struct pod_container *f = &p->facts.c[i];
  struct err err = {0};
  char *log AUTO_FREE = NULL;
  c->pull_failed_ms = 0;
  if (!(j = mem_zalloc (sizeof *j)))
    goto fail;
  arena_init (&j->arena, 64u << 20);
  j->pod = p;
  j->i = i;
  j->object = tree_ref (p->object);
  j->spec = tree_ref (p->spec);
  if (!p->refs) { /* adopted: fetched when it was set up, in another life */
    struct arena a AUTO_ARENA = {0};
    struct buf b AUTO_BUF = BUF_INIT;
    struct value *v = NULL;
    char *path AUTO_FREE = mem_printf ("%s/refs.json", p->dir);
    arena_init (&a, 0);
    if (!path || file_read (path, 64u << 20, &b, NULL) || json_parse (&a, buf_cstr (&b), b.len, &v, NULL, NULL))
      v = value_map (&a);
    p->refs = tree_new (v);
  }
  if (!p->refs)
    goto fail;
  j->refs = tree_ref (p->refs);
  j->container = pod_spec_of (p, i);
  j->attempt = c->cur.known ? c->cur.attempt + 1 : 0;
  container_id (p->uid, c->name, j->attempt, j->id);
  if (j->attempt >= 2) {
    char *old AUTO_FREE = pod_log_path (p, c->name, j->attempt - 2);
    container_id (p->uid, c->name, j->attempt - 2, j->old_id);
    j->old_log = arena_strdup (&j->arena, old);
  }
  j->ips.n = p->ips.n;
  for (size_t k = 0; k < p->ips.n; k++) {
    snprintf (j->ip_text[k], sizeof j->ip_text[k], "%s", p->ips.ips[k]);
    j->ips.ips[k] = j->ip_text[k];
  }
  j->x = (struct volumes_ctx) {arena_strdup (&j->arena, p->dir), j->object->v, j->refs->v, p->host->node, &j->ips};
  log = pod_log_path (p, c->name, j->attempt);
  j->cc = (struct container_config) {.id = j->id, .pod = j->object->v, .container = j->container, .attempt = j->attempt,
                                     .cgroup_parent = pod_cgroup (p, &j->arena), .hostname = arena_strdup (&j->arena, p->hostname),
                                     .log_path = arena_strdup (&j->arena, log), .node_memory_bytes = p->host->node->memory_bytes};
  j->auth = refs_pull_auth (j->object->v, j->refs->v, &j->arena);
  j->pull_wanted = !strcmp (pull_policy (j->container), "Always");
  if (!arena_ok (&j->arena) || !log)
    goto fail;
  if (backoff_ms) {
    f->backoff_ms = backoff_ms;
    f->backoff_set_ms = pod_now_ms ();
  }
  f->busy = true;
  if (f->state == POD_C_EXITED || !strcmp (c->waiting_reason, "PodInitializing"))
    ctr_waiting (c, "ContainerCreating", NULL);
  pod_hold (p);
  if (!pool_run (p->host->pool, do_start, start_done, j, &err))
    return;
  (void) pod_release (p);
  f->busy = false;
fail:
  log_error ("container cannot be started", "pod=%s container=%s error=\"%s\"", p->uid, c->name, err.code ? err.text : "out of memory");
  if (j)
    start_free (j);
  f->retry_at_ms = pod_now_ms () + RETRY_MAX_MS;
}

/* ---- tearing down ---- */
struct tear_down {
  struct pod *pod;
  struct arena arena;
  const char *uid, *dir, *log_dir;
  struct value *ids;
  bool all; /* containers, volumes and logs too */
  int rc;
  struct err err;
};

static void
do_tear_down (void *arg)
{
  struct tear_down *j = arg;
  struct runtime *r = j->pod->host->runtime;
  for (value_items (j->ids, it))
    if (j->all && (j->rc = runtime_container_remove (r, value_as_string (*it, ""), &j->err)))
      return;
  if ((j->rc = runtime_sandbox_remove (r, j->uid, &j->err)))
    return;
  if (j->all && !(j->rc = volumes_tear_down (j->dir, &j->err)))
    j->rc = file_remove_tree (j->log_dir, &j->err);
}

static void
tear_down_done (void *arg)
{
  struct tear_down *j = arg;
  struct pod *p = j->pod;
  if (!pod_release (p)) {
    p->facts.busy = false;
    if (j->rc) {
      log_warn ("pod cannot be cleaned up yet", "pod=%s error=\"%s\"", p->uid, j->err.text);
      p->facts.retry_at_ms = pod_now_ms () + delay_ms (p->set_up_failures++, RETRY_FIRST_MS, RETRY_MAX_MS);
      if (p->frozen)
        loop_timer_set (p->timer, 5000);
    } else {
      p->facts.sandbox_ready = false;
      p->facts.retry_at_ms = 0;
      p->facts.torn_down = true;
      p->torn_all = j->all;
      if (p->facts.terminating && !j->all) /* deleted meanwhile: the rest goes too */
        p->facts.torn_down = false;
    }
    if (!j->rc || !p->frozen)
      pod_sync (p);
  }
  arena_done (&j->arena);
  free (j);
}

void
pod_tear_down (struct pod *p)
{
  struct tear_down *j = mem_zalloc (sizeof *j);
  struct err err = {0};
  if (!j)
    goto fail;
  arena_init (&j->arena, 0);
  j->pod = p;
  j->uid = arena_strdup (&j->arena, p->uid);
  j->dir = arena_strdup (&j->arena, p->dir);
  j->log_dir = arena_strdup (&j->arena, p->log_dir);
  j->all = p->facts.terminating;
  j->ids = value_array (&j->arena);
  for (size_t i = 0; i < p->facts.n; i++) {
    if (p->c[i].cur.known)
      value_append (&j->arena, j->ids, value_string (&j->arena, p->c[i].cur.id));
    if (p->c[i].last.known)
      value_append (&j->arena, j->ids, value_string (&j->arena, p->c[i].last.id));
  }
  if (!arena_ok (&j->arena))
    goto fail;
  fetch_free (p->fetch);
  p->fetch = NULL;
  p->facts.busy = true;
  pod_hold (p);
  if (!pool_run (p->host->pool, do_tear_down, tear_down_done, j, &err))
    return;
  (void) pod_release (p);
  p->facts.busy = false;
fail:
  log_error ("pod cannot be cleaned up", "pod=%s error=\"%s\"", p->uid, err.code ? err.text : "out of memory");
  if (j) {
    arena_done (&j->arena);
    free (j);
  }
  p->facts.retry_at_ms = pod_now_ms () + RETRY_FIRST_MS;
}
