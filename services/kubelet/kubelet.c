/* Opening the kubelet, and which pods it has: those of the node's checkpoints at once, then those that the bus names. */
#include "services/kubelet/kubelet.h"

#include <errno.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "schemas/json.h"
#include "services/kubelet/kubelet_service.h"

#define POOL_THREADS 4
#define PULL_THREADS 2
#define REFRESH_MS 5000
#define PODS_MAX 10000

struct pod *
kubelet_next (struct kubelet *k, size_t *it)
{
  const char *key;
  void *v;
  return map_next (k->pods, it, &key, &v) ? v : NULL;
}

struct pod *
kubelet_find (struct kubelet *k, const char *namespace_, const char *name)
{
  struct pod *p;
  for (size_t it = 0; (p = kubelet_next (k, &it));)
    if (!strcmp (pod_name (p), name) && !strcmp (pod_namespace (p), namespace_))
      return p;
  return NULL;
}

static void
on_exit_cb (void *arg, const struct container_record *rec)
{
  struct kubelet *k = arg;
  struct pod *p = map_get (k->pods, rec->pod_uid);
  if (p)
    pod_exited (p, rec);
}

/* The worker is over; freed later, because it is the one that calls. */
static void
free_later (void *arg)
{
  pod_free (arg);
}

static void
gone (void *arg, struct pod *p)
{
  struct kubelet *k = arg;
  char uid[128];
  snprintf (uid, sizeof uid, "%s", pod_uid (p));
  if (map_get (k->pods, uid) != p)
    return;
  (void) map_remove (k->pods, uid);
  while (loop_post (k->ctx->loop, free_later, p)) /* out of memory: a leak is worse than a wait */
    ;
}

static struct pod *
add_pod (struct kubelet *k, const struct value *object)
{
  struct container_record *own = mem_zalloc ((k->n_found + 1) * sizeof *own);
  const char *uid = value_path_string (object, "metadata.uid", "");
  struct pod *p;
  struct err err;
  size_t n = 0;
  if (!own)
    return NULL;
  for (size_t i = 0; i < k->n_found; i++)
    if (!strcmp (k->found[i].pod_uid, uid))
      own[n++] = k->found[i];
  p = pod_new (&k->host, object, own, n, &err);
  free (own);
  if (!p || map_set (k->pods, uid, p)) {
    log_error ("pod cannot be taken in", "pod=%s/%s error=\"%s\"", value_path_string (object, "metadata.namespace", ""), value_path_string (object, "metadata.name", ""),
               p ? "out of memory" : err.text);
    pod_free (p);
    return NULL;
  }
  return p;
}

static void
on_change (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  struct kubelet *k = arg;
  struct arena a AUTO_ARENA = {0};
  struct value *v;
  struct pod *p;
  (void) revision;
  if (old && (!new_ || strcmp (old->uid, new_->uid) != 0) && (p = map_get (k->pods, old->uid)))
    pod_orphan (p);
  if (!new_)
    return;
  arena_init (&a, 0);
  if (!(v = object_value (new_, &a))) {
    log_error ("pod change lost", "pod=%s error=\"out of memory\"", new_->key);
    return;
  }
  if ((p = map_get (k->pods, new_->uid)))
    pod_update (p, v);
  else
    (void) add_pod (k, v);
}

/* What the node has and the API does not: ended. Pods first, then sandboxes and containers of pods that nobody remembers. */
struct sweep {
  struct kubelet *k;
  struct arena arena;
  struct value *containers, *sandboxes;
};

static void
do_sweep (void *arg)
{
  struct sweep *s = arg;
  struct err err;
  for (value_items (s->containers, it))
    if (runtime_container_remove (s->k->runtime, value_as_string (*it, ""), &err))
      log_warn ("stray container cannot be removed", "container=%s error=\"%s\"", value_as_string (*it, ""), err.text);
  for (value_items (s->sandboxes, it))
    if (runtime_sandbox_remove (s->k->runtime, value_as_string (*it, ""), &err))
      log_warn ("stray sandbox cannot be removed", "pod=%s error=\"%s\"", value_as_string (*it, ""), err.text);
}

static void
sweep_done (void *arg)
{
  struct sweep *s = arg;
  arena_done (&s->arena);
  free (s);
}

static void
sweep_strays (struct kubelet *k)
{
  struct sweep *s = mem_zalloc (sizeof *s);
  char **uids = NULL;
  size_t n = 0;
  struct err err;
  if (!s)
    return;
  s->k = k;
  arena_init (&s->arena, 0);
  s->containers = value_array (&s->arena);
  s->sandboxes = value_array (&s->arena);
  for (size_t i = 0; i < k->n_found; i++)
    if (!map_get (k->pods, k->found[i].pod_uid))
      value_append (&s->arena, s->containers, value_string (&s->arena, k->found[i].id));
  if (!runtime_pod_list (k->runtime, &uids, &n, &err))
    for (size_t i = 0; i < n; i++)
      if (!map_get (k->pods, uids[i]))
        value_append (&s->arena, s->sandboxes, value_string (&s->arena, uids[i]));
  free (uids);
  if (!value_count (s->containers) && !value_count (s->sandboxes))
    sweep_done (s);
  else if (pool_run (k->host.pool, do_sweep, sweep_done, s, &err))
    sweep_done (s);
}

static void
on_synced (void *arg)
{
  struct kubelet *k = arg;
  struct pod *p, **orphans = mem_zalloc ((map_count (k->pods) + 1) * sizeof *orphans);
  size_t n = 0;
  for (size_t it = 0; orphans && (p = kubelet_next (k, &it));) {
    struct object *o = informer_get (k->informer, pod_namespace (p), pod_name (p));
    if (!o || strcmp (o->uid, pod_uid (p)) != 0)
      orphans[n++] = p;
  }
  for (size_t i = 0; i < n; i++)
    pod_orphan (orphans[i]);
  free (orphans);
  sweep_strays (k);
  k->n_found = 0; /* from here on everything on the node is some worker's */
  log_info ("pods known", "count=%zu", map_count (k->pods));
}

/* The last known specs: pods start, or are taken up again, with no server reachable. */
static int
read_checkpoints (struct kubelet *k, struct err *err)
{
  char *dir AUTO_FREE = mem_printf ("%s/kubelet/pods", k->dir);
  char **names = NULL;
  size_t n = 0;
  int rc;
  if (!dir)
    return err_set (err, ERR_NOMEM, "checkpoints");
  if ((rc = file_mkdirs (dir, 0711, err)) || (rc = file_list (dir, PODS_MAX, &names, &n, err)))
    return rc;
  for (size_t i = 0; i < n; i++) {
    struct arena a AUTO_ARENA = {0};
    struct buf b AUTO_BUF = BUF_INIT;
    struct value *v = NULL;
    struct err why = {0};
    char *path AUTO_FREE = mem_printf ("%s/%s/pod.json", dir, names[i]);
    arena_init (&a, 0);
    if (!path || file_read (path, 16u << 20, &b, &why) || json_parse (&a, buf_cstr (&b), b.len, &v, NULL, &why) ||
        strcmp (value_path_string (v, "metadata.uid", ""), names[i]) != 0) {
      log_warn ("pod checkpoint is not usable, ignoring", "pod=%s error=\"%s\"", names[i], why.text);
      continue;
    }
    (void) add_pod (k, v);
  }
  free (names);
  return 0;
}

static void
on_refresh (void *arg)
{
  struct kubelet *k = arg;
  struct pod *p;
  for (size_t it = 0; (p = kubelet_next (k, &it));)
    pod_refresh (p);
  loop_timer_set (k->refresh, REFRESH_MS);
}

static int
open_parts (struct kubelet *k, struct err *err)
{
  char *images AUTO_FREE = mem_printf ("%s/kubelet/images", k->dir), *stream AUTO_FREE = NULL;
  struct loop *loop = k->ctx->loop;
  struct runtime_crun_config rc = {.loop = loop, .dir = k->dir, .bridge = k->config->bridge, .cni_bin = k->config->cni_bin, .mtu = (int) k->config->mtu};
  if (!images || !(k->pods = map_new (NULL)))
    return err_set (err, ERR_NOMEM, "kubelet");
  if (node_read_facts (k, err))
    return err->code;
  if (!(k->images = image_store_open (images, err)))
    return err->code;
  rc.images = k->images;
  if (!(k->runtime = runtime_crun_new (&rc, err)))
    return err->code;
  k->runtime->on_exit = on_exit_cb;
  k->runtime->on_exit_arg = k;
  k->host = (struct pod_host) {.loop = loop, .runtime = k->runtime, .node = &k->facts, .dir = k->dir, .log_dir = k->log_dir, .gone = gone};
  kubelet_api_init (k);
  if (!(k->host.pool = pool_new (loop, POOL_THREADS, err)) || !(k->host.pulls = pool_new (loop, PULL_THREADS, err)) ||
      !(k->host.http = http_client_new (loop, NULL, 0, err)))
    return err->code;
  if (runtime_container_list (k->runtime, &k->found_arena, &k->found, &k->n_found, err) || kubelet_images_serve (k, err))
    return err->code;
  if (!(k->node = node_new (k, err)) || read_checkpoints (k, err))
    return err->code;
  if (!(stream = mem_printf ("@pods.spec.nodeName/%s", k->node_name)) || !(k->refresh = loop_timer_new (loop, on_refresh, k)))
    return err_set (err, ERR_NOMEM, "kubelet");
  if (!(k->informer = informer_new (k->ctx->source, "pods", stream, on_change, on_synced, k, err)))
    return err->code;
  loop_timer_set (k->refresh, REFRESH_MS);
  return 0;
}

void *
kubelet_open (struct service_context *ctx, struct err *err)
{
  struct kubelet *k = mem_zalloc (sizeof *k);
  if (!k) {
    err_set (err, ERR_NOMEM, "kubelet");
    return NULL;
  }
  k->ctx = ctx;
  k->config = ctx->config;
  arena_init (&k->found_arena, 0);
  arena_init (&k->service_arena, 1 << 20);
  if (geteuid () != 0) {
    err_set (err, ERR_DENIED, "the kubelet makes mounts, namespaces and cgroups: it must run as root");
    goto fail;
  }
  if (file_mkdirs (ctx->dir, 0711, err) || file_mkdirs (k->config->log_dir, 0755, err))
    goto fail;
  if (!(k->dir = realpath (ctx->dir, NULL)) || !(k->log_dir = realpath (k->config->log_dir, NULL))) {
    err_errno (err, errno, "%s", ctx->dir);
    goto fail;
  }
  if (!open_parts (k, err))
    return k;
fail:
  kubelet_close (k);
  return NULL;
}

void
kubelet_close (void *self)
{
  struct kubelet *k = self;
  struct pod *p;
  if (!k)
    return;
  /* Containers run on: the next kubelet finds them. */
  informer_free (k->informer);
  node_free (k->node);
  loop_timer_free (k->refresh);
  bus_server_free (k->bus_server);
  for (size_t it = 0; k->pods && (p = kubelet_next (k, &it));)
    pod_free (p);
  map_free (k->pods);
  pool_free (k->host.pool);
  pool_free (k->host.pulls);
  http_client_free (k->host.http);
  runtime_free (k->runtime);
  image_store_close (k->images);
  arena_done (&k->found_arena);
  free (k->dir);
  free (k->log_dir);
  k->closed = true;
  kubelet_release (k);
}

void
kubelet_release (struct kubelet *k)
{
  if (!k->closed || k->calls)
    return;
  arena_done (&k->service_arena);
  free (k);
}
