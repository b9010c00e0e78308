/* The scheduler as it runs, between a fake store and an API server that only binds. */
#include "bus/mem.h"
#include "schemas/msgpack.h"
#include "services/common/api.h"
#include "services/scheduler/scheduler_io.h"
#include "tests/lib/fake_store.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

struct world {
  struct loop *loop;
  struct bus_mem_network *net;
  struct bus *store_bus, *api_bus, *bus;
  struct fake_store *store;
  struct scheduler_config config;
  struct service_context ctx;
  struct scheduler *s;
  char bound[256], patched[512], events[1024];
  unsigned refuse; /* bindings to be refused */
};

static void
put (struct world *w, const char *key, const char *text)
{
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf b = BUF_INIT;
  arena_init (&a, 0);
  value_pack (object_parse (&a, text), &b);
  (void) fake_store_put (w->store, key, b.data, b.len, NULL, 0);
}

static void
serve (void *arg, struct bus_request *rq)
{
  struct world *w = arg;
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf b = BUF_INIT;
  struct api_request r;
  struct value *reply;
  int64_t code = 201;
  arena_init (&a, 0);
  assert_int_equal (api_request_unpack (&a, rq->body, rq->len, &r, NULL), 0);
  reply = value_map (&a);
  if (!strcmp (r.resource, "events")) {
    size_t n = strlen (w->events);
    snprintf (w->events + n, sizeof w->events - n, "%s: %s\n", value_path_string (r.body, "reason", ""), value_path_string (r.body, "message", ""));
  } else if (r.subresource && !strcmp (r.subresource, "binding") && w->refuse) {
    w->refuse--;
    code = 409;
  } else if (r.subresource && !strcmp (r.subresource, "binding")) {
    const char *node = value_path_string (r.body, "target.name", "");
    snprintf (w->bound, sizeof w->bound, "%s/%s on %s", r.namespace_, r.name, node);
    put (w, arena_printf (&a, "pods/%s/%s", r.namespace_, r.name),
         arena_printf (&a, "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','namespace':'%s','uid':'u'},'spec':{'nodeName':'%s','containers':[{'resources':{'requests':{'cpu':'600m'}}}]}}", r.name, r.namespace_, node));
  } else {
    code = 200;
    snprintf (w->patched, sizeof w->patched, "%s %s %s: %s", r.verb, r.name, r.subresource ? r.subresource : "", value_path_string (r.body, "status.conditions.0.message", ""));
  }
  value_set_int (&a, reply, "code", code);
  value_set (&a, reply, "object", value_map (&a));
  value_pack (reply, &b);
  bus_reply (rq, b.data, b.len);
}

static int
setup (void **state)
{
  const char *rpc[] = { "store@rpc" }, *pub[] = { "store@pub" }, *api[] = { "api@api" };
  struct world *w = calloc (1, sizeof *w);
  struct err err = { 0 };
  w->loop = loop_new (&err);
  w->net = bus_mem_network_new (1);
  w->store_bus = bus_mem_new (w->net, w->loop, "store", "store", "", &err);
  w->api_bus = bus_mem_new (w->net, w->loop, "api", "api", "", &err);
  w->bus = bus_mem_new (w->net, w->loop, "scheduler", "system:kube-scheduler", "", &err);
  w->store = fake_store_new ();
  (void) fake_store_attach (w->store, w->store_bus, "rpc", "pub");
  assert_non_null (bus_serve (w->api_bus, "api", serve, w, &err));
  w->config = (struct scheduler_config){ "default-scheduler", 16 };
  w->ctx = (struct service_context){ .service = "kubus-scheduler", .loop = w->loop, .bus = w->bus, .config = &w->config };
  assert_non_null (w->ctx.source = bus_source_new (w->bus, rpc, pub, 1, &err));
  assert_non_null (w->ctx.api = api_client_new (w->bus, api, 1, &err));
  assert_non_null (w->s = scheduler_open (&w->ctx, &err));
  *state = w;
  return 0;
}

static int
teardown (void **state)
{
  struct world *w = *state;
  scheduler_close (w->s);
  api_client_free (w->ctx.api);
  bus_free (w->bus);
  bus_free (w->api_bus);
  fake_store_free (w->store);
  bus_free (w->store_bus);
  bus_mem_network_free (w->net);
  loop_free (w->loop);
  free (w);
  return 0;
}

static void
wait_for (struct world *w, const char *have, const char *want)
{
  mono_t start = mono_now ();
  while (!strstr (have, want)) {
    loop_step (w->loop, 5);
    bus_mem_run (w->net, 5);
    if (mono_ms_since (start, mono_now ()) > 14000)
      fail_msg ("\"%s\" lacks \"%s\"", have, want);
  }
}

#define NODE "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1'},'status':{'allocatable':{'cpu':'1','memory':'1Gi','pods':'10'}}}"
#define POD(name, cpu) "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'" name "','namespace':'d','uid':'u'},'spec':{'schedulerName':'default-scheduler','containers':[{'resources':{'requests':{'cpu':'" cpu "'}}}]}}"

static void
test_scheduler__pod_then_node__refused_then_bound (void **state)
{
  struct world *w = *state;
  put (w, "pods/d/p", POD ("p", "600m"));
  wait_for (w, w->patched, "patch p status: no nodes available to schedule pods");
  wait_for (w, w->events, "FailedScheduling: no nodes available");
  put (w, "nodes/n1", NODE);
  wait_for (w, w->bound, "d/p on n1");
  wait_for (w, w->events, "Scheduled: Successfully assigned d/p to n1");
  put (w, "pods/d/q", POD ("q", "600m"));
  wait_for (w, w->patched, "patch q status: 0/1 nodes are available: 1 Insufficient cpu. preemption:");
  (void) fake_store_delete (w->store, "pods/d/p");
  wait_for (w, w->bound, "d/q on n1");
}

static void
test_scheduler__binding_refused__tried_again (void **state)
{
  struct world *w = *state;
  w->refuse = 1;
  put (w, "nodes/n1", NODE);
  put (w, "pods/d/p", POD ("p", "600m"));
  wait_for (w, w->bound, "d/p on n1");
  assert_int_equal (w->refuse, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown (test_scheduler__pod_then_node__refused_then_bound, setup, teardown),
                                      cmocka_unit_test_setup_teardown (test_scheduler__binding_refused__tried_again, setup, teardown) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
