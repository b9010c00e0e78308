/* What pods need of the API: objects, tokens, statuses, the last delete, events. Nothing is cached but default/kubernetes: a node
   reads only what its pods name, when they start and once a minute. */
#include "services/common/action.h"
#include "services/kubelet/kubelet.h"

#define SERVICE_CACHE_MS 60000

struct call {
  struct kubelet *k;
  pod_answer_cb cb;
  void *arg;
  struct arena arena;
};

static struct call *
call_new (struct kubelet *k, pod_answer_cb cb, void *arg)
{
  struct call *c = mem_zalloc (sizeof *c);
  if (!c)
    return NULL;
  c->k = k;
  k->calls++;
  c->cb = cb;
  c->arg = arg;
  arena_init (&c->arena, 0);
  return c;
}

static void
answer (struct call *c, int code, const struct value *object, const char *text)
{
  struct kubelet *k = c->k;
  c->cb (c->arg, code, object, text);
  arena_done (&c->arena);
  free (c);
  k->calls--;
  kubelet_release (k);
}

static void
on_answer (void *arg, const struct err *transport, int code, const struct value *object)
{
  answer (arg, transport ? 0 : code, object, transport ? transport->text : value_path_string (object, "message", ""));
}

static void
on_token (void *arg, const struct err *transport, int code, const struct value *object)
{
  answer (arg, transport ? 0 : code, !transport && code < 300 ? value_get (object, "status") : NULL,
          transport ? transport->text : value_path_string (object, "message", ""));
}

static void
fetch_token (struct kubelet *k, const struct value *pod, const struct value *need, struct call *c)
{
  struct arena *a = &c->arena;
  struct value *body = value_map (a), *ref = value_map (a), *audiences = value_array (a);
  const char *audience = value_path_string (need, "audience", NULL);
  struct api_request rq = {.verb = "create", .group = "", .version = "v1", .resource = "serviceaccounts", .subresource = "token"};
  value_set_string (a, body, "apiVersion", "authentication.k8s.io/v1");
  value_set_string (a, body, "kind", "TokenRequest");
  if (audience)
    value_append (a, audiences, value_string (a, audience));
  value_set_path (a, body, "spec.audiences", audiences);
  value_set_path (a, body, "spec.expirationSeconds", value_int (a, value_path_int (need, "expirationSeconds", 3600)));
  value_set_string (a, ref, "kind", "Pod");
  value_set_string (a, ref, "apiVersion", "v1");
  value_set_string (a, ref, "name", value_path_string (pod, "metadata.name", ""));
  value_set_string (a, ref, "uid", value_path_string (pod, "metadata.uid", ""));
  value_set_path (a, body, "spec.boundObjectRef", ref);
  rq.namespace_ = arena_strdup (a, value_path_string (pod, "metadata.namespace", ""));
  rq.name = arena_strdup (a, value_path_string (need, "name", "default"));
  rq.body = body;
  if (!arena_ok (a))
    answer (c, 0, NULL, "out of memory");
  else
    api_call (k->ctx->api, &rq, on_token, c);
}

/* ---- services: those of the namespace, and default/kubernetes ---- */
static void
services_done (struct call *c, const struct value *list)
{
  struct value *all = value_array (&c->arena);
  for (value_items (list, it))
    value_append (&c->arena, all, *it);
  if (c->k->kubernetes_service)
    value_append (&c->arena, all, c->k->kubernetes_service);
  answer (c, arena_ok (&c->arena) ? 200 : 0, all, "out of memory");
}

static void
on_services (void *arg, const struct err *transport, int code, const struct value *object)
{
  struct call *c = arg;
  if (transport || code >= 300)
    answer (c, transport ? 0 : code, NULL, transport ? transport->text : value_path_string (object, "message", ""));
  else
    services_done (c, value_get (object, "items"));
}

struct services_call {
  struct call *c;
  const char *namespace_;
  bool wanted; /* enableServiceLinks */
};

static void
then_list (struct services_call *s)
{
  struct api_request rq = {.verb = "list", .group = "", .version = "v1", .resource = "services", .namespace_ = s->namespace_};
  if (s->wanted)
    api_call (s->c->k->ctx->api, &rq, on_services, s->c);
  else
    services_done (s->c, NULL);
}

static void
on_kubernetes (void *arg, const struct err *transport, int code, const struct value *object)
{
  struct services_call *s = arg;
  struct kubelet *k = s->c->k;
  if (!transport && code == 200) {
    arena_done (&k->service_arena);
    arena_init (&k->service_arena, 1 << 20);
    k->kubernetes_service = value_clone (&k->service_arena, object);
    k->service_time = mono_now ();
  }
  if (transport && !k->kubernetes_service)
    answer (s->c, 0, NULL, transport->text);
  else
    then_list (s);
}

static void
fetch_services (struct kubelet *k, const struct value *pod, struct call *c)
{
  struct services_call *s = arena_zalloc (&c->arena, sizeof *s);
  struct api_request rq = {.verb = "get", .group = "", .version = "v1", .resource = "services", .namespace_ = "default", .name = "kubernetes"};
  if (!s) {
    answer (c, 0, NULL, "out of memory");
    return;
  }
  s->c = c;
  s->wanted = value_path_bool (pod, "spec.enableServiceLinks", true);
  s->namespace_ = arena_strdup (&c->arena, value_path_string (pod, "metadata.namespace", ""));
  if (k->kubernetes_service && mono_ms_since (k->service_time, mono_now ()) < SERVICE_CACHE_MS)
    then_list (s);
  else
    api_call (k->ctx->api, &rq, on_kubernetes, s);
}

static void
fetch (void *arg, const struct value *pod, const struct value *need, pod_answer_cb cb, void *cb_arg)
{
  struct kubelet *k = arg;
  struct call *c = call_new (k, cb, cb_arg);
  const char *resource = value_path_string (need, "resource", "");
  struct api_request rq = {.verb = "get", .group = "", .version = "v1"};
  if (!c) {
    cb (cb_arg, 0, NULL, "out of memory");
    return;
  }
  if (!strcmp (resource, "tokens")) {
    fetch_token (k, pod, need, c);
    return;
  }
  if (!strcmp (resource, "services")) {
    fetch_services (k, pod, c);
    return;
  }
  rq.resource = !strcmp (resource, "secrets") ? "secrets" : "configmaps";
  rq.namespace_ = value_path_string (pod, "metadata.namespace", "");
  rq.name = value_path_string (need, "name", "");
  api_call (k->ctx->api, &rq, on_answer, c);
}

static void
put_status (void *arg, const struct value *pod, const struct value *status, pod_answer_cb cb, void *cb_arg)
{
  struct kubelet *k = arg;
  struct call *c = call_new (k, cb, cb_arg);
  struct value *body;
  struct api_request rq = {.verb = "patch", .group = "", .version = "v1", .resource = "pods", .subresource = "status", .patch_type = "strategic"};
  if (!c) {
    cb (cb_arg, 0, NULL, "out of memory");
    return;
  }
  body = value_map (&c->arena);
  value_set_path (&c->arena, body, "metadata.uid", value_string (&c->arena, value_path_string (pod, "metadata.uid", "")));
  value_set (&c->arena, body, "status", (struct value *) (uintptr_t) status); /* only read */
  rq.namespace_ = value_path_string (pod, "metadata.namespace", "");
  rq.name = value_path_string (pod, "metadata.name", "");
  rq.body = body;
  rq.cause = (uint64_t) strtoull (value_path_string (pod, "metadata.resourceVersion", "0"), NULL, 10);
  api_call (k->ctx->api, &rq, on_answer, c);
}

static void
remove_pod (void *arg, const struct value *pod, pod_answer_cb cb, void *cb_arg)
{
  struct kubelet *k = arg;
  struct call *c = call_new (k, cb, cb_arg);
  struct value *options;
  struct api_request rq = {.verb = "delete", .group = "", .version = "v1", .resource = "pods"};
  if (!c) {
    cb (cb_arg, 0, NULL, "out of memory");
    return;
  }
  options = value_map (&c->arena);
  value_set_int (&c->arena, options, "gracePeriodSeconds", 0);
  value_set_path (&c->arena, options, "preconditions.uid", value_string (&c->arena, value_path_string (pod, "metadata.uid", "")));
  rq.options = options;
  rq.namespace_ = value_path_string (pod, "metadata.namespace", "");
  rq.name = value_path_string (pod, "metadata.name", "");
  rq.cause = (uint64_t) strtoull (value_path_string (pod, "metadata.resourceVersion", "0"), NULL, 10);
  api_call (k->ctx->api, &rq, on_answer, c);
}

/* ---- events ---- */
static void
event_sent (void *arg, size_t done, int code, const char *text)
{
  (void) arg; /* an event that is lost is not worth a word: best_effort */
  (void) done;
  (void) code;
  (void) text;
}

static void
send_event (struct kubelet *k, const struct value *about, const char *container, const char *type, const char *reason, const char *message)
{
  struct arena a AUTO_ARENA = {0};
  struct actions as;
  struct value *body;
  arena_init (&a, 1 << 20);
  actions_init (&as, &a);
  actions_event (&as, about, type, reason, "kubelet", "%s", message);
  if (!as.count || !arena_ok (&a))
    return;
  body = (struct value *) (uintptr_t) as.items[as.count - 1].request.body;
  value_set_path (&a, body, "source.host", value_string (&a, k->node_name));
  value_set_string (&a, body, "reportingInstance", k->node_name);
  if (container)
    value_set_path (&a, body, "involvedObject.fieldPath", value_string (&a, container));
  actions_run (k->ctx->api, &as, (uint64_t) strtoull (value_path_string (about, "metadata.resourceVersion", "0"), NULL, 10), event_sent, NULL);
}

static void
event (void *arg, const struct value *pod, const char *container, const char *type, const char *reason, const char *message)
{
  send_event (arg, pod, container, type, reason, message);
}

void
kubelet_event_about_node (struct kubelet *k, const char *type, const char *reason, const char *message)
{
  struct arena a AUTO_ARENA = {0};
  struct value *v;
  arena_init (&a, 1 << 16);
  v = value_map (&a);
  value_set_string (&a, v, "apiVersion", "v1");
  value_set_string (&a, v, "kind", "Node");
  value_set_path (&a, v, "metadata.name", value_string (&a, k->node_name));
  value_set_path (&a, v, "metadata.uid", value_string (&a, k->node_name)); /* upstream's kubelet does so too */
  if (arena_ok (&a))
    send_event (k, v, NULL, type, reason, message);
}

void
kubelet_api_init (struct kubelet *k)
{
  k->host.arg = k;
  k->host.fetch = fetch;
  k->host.put_status = put_status;
  k->host.remove = remove_pod;
  k->host.event = event;
}
