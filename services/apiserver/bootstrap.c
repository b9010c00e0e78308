/* What a cluster has from its first moment: namespaces, the "kubernetes" Service and its endpoints, priority classes, upstream's
   default roles and bindings (bootstrap_rbac.c). Each object is created through the pipeline by "system:apiserver"; one that exists
   is left as it is. One after another, retried until all are there. */
#include <stdlib.h>

#include "base/log.h"
#include "services/apiserver/bootstrap_internal.h"

#define RETRY_MS 100

struct bootstrap {
  struct front *front;
  loop_cb done;
  void *arg;
  struct arena arena;
  struct bootstrap_objects objects;
  size_t next;
  struct loop_timer *retry;
  struct user user;
  const char *groups[2];
  int code; /* of the answer under way */
};

void
bootstrap_add (struct bootstrap_objects *os, const char *path, struct value *obj)
{
  if (os->n == os->cap) {
    size_t cap = os->cap ? os->cap * 2 : 64;
    struct bootstrap_object *items = arena_alloc (os->arena, cap * sizeof *items);
    if (!items)
      return;
    if (os->n)
      memcpy (items, os->items, os->n * sizeof *items);
    os->items = items;
    os->cap = cap;
  }
  os->items[os->n++] = (struct bootstrap_object){path, obj};
}

struct value *
bootstrap_object_new (struct arena *a, const char *api_version, const char *kind, const char *namespace_, const char *name)
{
  struct value *v = value_map (a), *meta;
  value_set_string (a, v, "apiVersion", api_version);
  value_set_string (a, v, "kind", kind);
  meta = value_ensure_map (a, v, "metadata");
  value_set_string (a, meta, "name", name);
  if (namespace_)
    value_set_string (a, meta, "namespace", namespace_);
  return v;
}

static void
namespaces (struct bootstrap_objects *os)
{
  static const char *const names[] = {"default", "kube-system", "kube-public", "kube-node-lease"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    bootstrap_add (os, "/api/v1/namespaces", bootstrap_object_new (os->arena, "v1", "Namespace", NULL, names[i]));
}

static void
priority_classes (struct bootstrap_objects *os)
{
  static const struct {
    const char *name;
    int64_t value;
    const char *text;
  } rows[] = {{"system-cluster-critical", 2000000000, "For what the cluster cannot do without, on whichever node it runs."},
              {"system-node-critical", 2000001000, "For what a node cannot do without."}};
  for (size_t i = 0; i < 2; i++) {
    struct value *v = bootstrap_object_new (os->arena, "scheduling.k8s.io/v1", "PriorityClass", NULL, rows[i].name);
    value_set_int (os->arena, v, "value", rows[i].value);
    value_set_string (os->arena, v, "description", rows[i].text);
    bootstrap_add (os, "/apis/scheduling.k8s.io/v1/priorityclasses", v);
  }
}

static struct value *
https_port (struct arena *a, int64_t port)
{
  struct value *p = value_map (a);
  value_set_string (a, p, "name", "https");
  value_set_string (a, p, "protocol", "TCP");
  value_set_int (a, p, "port", port);
  return p;
}

/* "kubernetes.default": the first address of the service range, led to where this API server is reached. */
static void
kubernetes_service (struct bootstrap_objects *os, const struct front *f)
{
  struct arena *a = os->arena;
  struct value *s = bootstrap_object_new (a, "v1", "Service", "default", "kubernetes"), *e = bootstrap_object_new (a, "v1", "Endpoints", "default", "kubernetes"), *subset = value_map (a), *address = value_map (a), *slice, *ep = value_map (a), *p, *labels;
  const char *colon = strrchr (f->advertise, ':');
  const char *ip = arena_strndup (a, f->advertise, (size_t) (colon - f->advertise));
  int64_t port = strtol (colon + 1, NULL, 10);
  unsigned b[4] = {10, 96, 0, 0};
  (void) sscanf (f->server->config.service_cidr, "%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3]);
  labels = value_ensure_map (a, value_get (s, "metadata"), "labels");
  value_set_string (a, labels, "component", "apiserver");
  value_set_string (a, labels, "provider", "kubernetes");
  value_set_path (a, s, "spec.type", value_string (a, "ClusterIP"));
  value_set_path (a, s, "spec.clusterIP", value_printf (a, "%u.%u.%u.%u", b[0], b[1], b[2], b[3] + 1));
  p = https_port (a, 443);
  value_set_int (a, p, "targetPort", port);
  value_append (a, value_ensure_array (a, value_get (s, "spec"), "ports"), p);
  bootstrap_add (os, "/api/v1/namespaces/default/services", s);
  value_set_string (a, value_ensure_map (a, value_get (e, "metadata"), "labels"), "endpointslice.kubernetes.io/skip-mirror", "true");
  value_set_string (a, address, "ip", ip);
  value_append (a, value_ensure_array (a, subset, "addresses"), address);
  value_append (a, value_ensure_array (a, subset, "ports"), https_port (a, port));
  value_append (a, value_ensure_array (a, e, "subsets"), subset);
  bootstrap_add (os, "/api/v1/namespaces/default/endpoints", e);
  slice = bootstrap_object_new (a, "discovery.k8s.io/v1", "EndpointSlice", "default", "kubernetes");
  value_set_string (a, value_ensure_map (a, value_get (slice, "metadata"), "labels"), "kubernetes.io/service-name", "kubernetes");
  value_set_string (a, slice, "addressType", strchr (ip, ':') ? "IPv6" : "IPv4");
  value_append (a, value_ensure_array (a, ep, "addresses"), value_string (a, ip));
  value_set_bool (a, value_ensure_map (a, ep, "conditions"), "ready", true);
  value_append (a, value_ensure_array (a, slice, "endpoints"), ep);
  value_append (a, value_ensure_array (a, slice, "ports"), https_port (a, port));
  bootstrap_add (os, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice);
}

/* ---- carrying it out ---- */

static void step (void *arg);

static void
sink_start (struct request *rq, int code, const struct header *headers, bool streamed)
{
  (void) headers;
  (void) streamed;
  ((struct bootstrap *) rq->front)->code = code;
}

static void
sink_chunk (struct request *rq, const void *data, size_t len)
{
  struct bootstrap *b = rq->front;
  if (b->code >= 400 && b->code != 409 && b->code < 500)
    log_error ("bootstrap object refused", "path=%s code=%d status=%.*s", rq->path, b->code, (int) (len > 300 ? 300 : len), (const char *) data);
}

static void
sink_end (struct request *rq)
{
  struct bootstrap *b = rq->front;
  bool later = b->code >= 500 || b->code == 429;
  if (!later)
    b->next++;
  loop_timer_set (b->retry, later ? RETRY_MS : 0);
}

static size_t
sink_pending (struct request *rq)
{
  (void) rq;
  return 0;
}

static const struct response_sink bootstrap_sink = {sink_start, sink_chunk, sink_end, sink_pending};

static void
finish (struct bootstrap *b)
{
  loop_cb done = b->done;
  void *arg = b->arg;
  b->front->bootstrapped = true;
  loop_timer_free (b->retry);
  arena_done (&b->arena);
  free (b);
  done (arg);
}

static void
step (void *arg)
{
  struct bootstrap *b = arg;
  struct request *rq;
  if (!watch_caches_synced (b->front->server->caches)) {
    loop_timer_set (b->retry, 5);
    return;
  }
  if (b->next == b->objects.n) {
    finish (b);
    return;
  }
  if (!(rq = request_new (b->front->server))) {
    loop_timer_set (b->retry, RETRY_MS);
    return;
  }
  rq->method = "POST";
  rq->path = b->objects.items[b->next].path;
  rq->query_text = "fieldManager=kubus-bootstrap";
  rq->tree = value_clone (&rq->arena, b->objects.items[b->next].obj);
  rq->bus = true;
  rq->front = b;
  rq->sink = &bootstrap_sink;
  rq->transport_user = &b->user;
  rq->trace = "";
  pipeline_handle (rq);
}

int
bootstrap_start (struct front *f, loop_cb done, void *arg, struct err *err)
{
  struct bootstrap *b = calloc (1, sizeof *b);
  if (!b || !(b->retry = loop_timer_new (f->server->loop, step, b))) {
    free (b);
    return err_set (err, ERR_NOMEM, "bootstrap");
  }
  b->front = f;
  b->done = done;
  b->arg = arg;
  b->groups[0] = "system:masters";
  b->user = (struct user){.name = "system:apiserver", .uid = "", .groups = b->groups, .n_groups = 1};
  b->objects.arena = &b->arena;
  namespaces (&b->objects);
  priority_classes (&b->objects);
  bootstrap_rbac (&b->objects);
  kubernetes_service (&b->objects, f);
  if (!arena_ok (&b->arena)) {
    arena_done (&b->arena);
    loop_timer_free (b->retry);
    free (b);
    return err_set (err, ERR_NOMEM, "bootstrap");
  }
  loop_timer_set (b->retry, 0);
  return 0;
}
