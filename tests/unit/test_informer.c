/* Informers and the API client over the in-memory bus and a fake store. */
#include "bus/mem.h"
#include "schemas/msgpack.h"
#include "services/common/api.h"
#include "services/common/informer.h"
#include "tests/lib/fake_store.h"
#include "tests/lib/test.h"

struct fixture {
  struct bus_mem_network *net;
  struct bus *store_bus, *bus;
  struct fake_store *store;
  struct fake_member *member;
  struct bus_source *source;
};

static int
setup (void **state)
{
  const char *rpc[] = {"store@rpc"}, *pub[] = {"store@pub"};
  struct fixture *f = calloc (1, sizeof *f);
  struct err err;
  assert_non_null (f->net = bus_mem_network_new (1));
  assert_non_null (f->store_bus = bus_mem_new (f->net, NULL, "store", "store", "", &err));
  assert_non_null (f->bus = bus_mem_new (f->net, NULL, "client", "system:client", "a,b", &err));
  f->store = fake_store_new ();
  f->member = fake_store_attach (f->store, f->store_bus, "rpc", "pub");
  assert_non_null (f->source = bus_source_new (f->bus, rpc, pub, 1, &err));
  *state = f;
  return 0;
}

static int
teardown (void **state)
{
  struct fixture *f = *state;
  bus_free (f->bus);
  fake_store_free (f->store);
  bus_free (f->store_bus);
  bus_mem_network_free (f->net);
  free (f);
  return 0;
}

static uint64_t
put_pod (struct fixture *f, const char *ns, const char *name, const char *node, const char *label)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *v = value_map (&a);
  char key[256], index[128];
  value_set_path (&a, v, "metadata.name", value_string (&a, name));
  value_set_path (&a, v, "metadata.namespace", value_string (&a, ns));
  value_set_path (&a, v, "metadata.uid", value_printf (&a, "uid-%s", name));
  value_set_path (&a, v, "spec.nodeName", value_string (&a, node));
  value_set_path (&a, v, "spec.priority", value_int (&a, 7));
  value_set_path (&a, v, "spec.label", value_string (&a, label));
  value_pack (v, &b);
  (void) snprintf (key, sizeof key, "pods/%s/%s", ns, name);
  (void) snprintf (index, sizeof index, "@pods.spec.nodeName/%s", node);
  return fake_store_put (f->store, key, b.data, b.len, index, 5);
}

struct log {
  char text[2048];
  unsigned synced;
};
static void
on_change (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  struct log *l = arg;
  size_t n = strlen (l->text);
  assert_true (revision > 0);
  (void) snprintf (l->text + n, sizeof l->text - n, "%s%s ", !old ? "+" : !new_ ? "-" : "~", new_ ? new_->key : old->key);
}
static void
on_synced (void *arg)
{
  ((struct log *) arg)->synced++;
}
static void
log_is (struct log *l, const char *expected)
{
  assert_string_equal (l->text, expected);
  l->text[0] = 0;
}

static void
test_informer__follows_adds_updates_and_deletes (void **state)
{
  struct fixture *f = *state;
  struct log l = {0};
  struct arena a AUTO_ARENA = {0};
  struct err err;
  char text[64];
  uint64_t revision;
  (void) put_pod (f, "a", "p1", "n1", "x");
  (void) put_pod (f, "b", "p2", "n1", "x");
  struct informer *i = informer_new (f->source, "pods", NULL, on_change, on_synced, &l, &err);
  assert_non_null (i);
  assert_false (informer_synced (i));
  bus_mem_run (f->net, 3000);
  assert_true (informer_synced (i));
  assert_int_equal (l.synced, 1);
  log_is (&l, "+a/p1 +b/p2 ");
  revision = put_pod (f, "a", "p1", "n2", "y");
  (void) put_pod (f, "a", "p3", "n2", "y");
  (void) fake_store_delete (f->store, "pods/b/p2");
  (void) fake_store_put (f->store, "podsx/a/b", "x", 1, NULL, 0);
  bus_mem_run (f->net, 100);
  log_is (&l, "~a/p1 +a/p3 -b/p2 ");
  assert_int_equal (informer_count (i), 2);
  struct object *o = informer_get (i, "a", "p1");
  assert_non_null (o);
  assert_int_equal (o->revision, revision);
  assert_int_equal (o->cause, 5);
  assert_string_equal (o->uid, "uid-p1");
  assert_string_equal (o->name, "p1");
  assert_string_equal (o->namespace_, "a");
  assert_string_equal (object_field (o, "spec.nodeName", text, sizeof text), "n2");
  assert_string_equal (object_field (o, "spec.priority", text, sizeof text), "7");
  assert_string_equal (object_field (o, "spec.nothing", text, sizeof text), "");
  (void) snprintf (text, sizeof text, "%llu", (unsigned long long) revision);
  assert_string_equal (value_path_string (object_value (o, &a), "metadata.resourceVersion", ""), text);
  assert_ptr_equal (informer_next (i, NULL, NULL), o);
  assert_string_equal (informer_next (i, "a", o)->key, "a/p3");
  assert_null (informer_next (i, "a", informer_next (i, "a", o)));
  assert_null (informer_next (i, "b", NULL));
  informer_free (i);
}

static void
test_informer__new_snapshot_reports_only_what_changed (void **state)
{
  struct fixture *f = *state;
  struct log l = {0};
  struct err err;
  for (int k = 0; k < 5; k++) {
    char name[16];
    (void) snprintf (name, sizeof name, "p%d", k);
    (void) put_pod (f, "a", name, "n1", "x");
  }
  struct informer *i = informer_new (f->source, "pods", NULL, on_change, on_synced, &l, &err);
  bus_mem_run (f->net, 3000);
  log_is (&l, "+a/p0 +a/p1 +a/p2 +a/p3 +a/p4 ");
  fake_store_detach (f->member);
  (void) fake_store_delete (f->store, "pods/a/p1");
  (void) fake_store_delete (f->store, "pods/a/p2");
  (void) put_pod (f, "a", "p3", "n1", "y");
  (void) put_pod (f, "a", "p9", "n1", "y");
  fake_store_compact (f->store);
  bus_mem_run (f->net, 3000);
  f->member = fake_store_attach (f->store, f->store_bus, "rpc", "pub");
  bus_mem_run (f->net, 10000);
  log_is (&l, "~a/p3 +a/p9 -a/p1 -a/p2 ");
  assert_int_equal (l.synced, 1);
  assert_int_equal (informer_revision (i), fake_store_revision (f->store));
  informer_free (i);
}

static void
test_informer__index_stream_sees_objects_come_and_leave (void **state)
{
  struct fixture *f = *state;
  struct log l = {0};
  struct err err;
  (void) put_pod (f, "a", "p1", "n1", "x");
  (void) put_pod (f, "a", "p2", "n2", "x");
  struct informer *i = informer_new (f->source, "pods", "@pods.spec.nodeName/n1", on_change, on_synced, &l, &err);
  bus_mem_run (f->net, 3000);
  log_is (&l, "+a/p1 ");
  (void) put_pod (f, "a", "p2", "n1", "x");
  (void) put_pod (f, "a", "p1", "n2", "x");
  (void) put_pod (f, "a", "p1", "n2", "y");
  bus_mem_run (f->net, 100);
  log_is (&l, "+a/p2 -a/p1 ");
  informer_free (i);
}

static void
by_label (const struct value *obj, void (*add) (void *ctx, const char *key), void *ctx)
{
  add (ctx, value_path_string (obj, "spec.label", ""));
  add (ctx, value_path_string (obj, "spec.label", "")); /* twice is once */
}
static bool
collect (void *arg, struct object *o)
{
  char *out = arg;
  (void) snprintf (out + strlen (out), 256 - strlen (out), "%s ", o->key);
  return true;
}
static const char *
indexed (struct informer *i, const char *key, char out[256])
{
  out[0] = 0;
  informer_by_index (i, "label", key, collect, out);
  return out;
}

static void
test_informer_by_index__follows_changes (void **state)
{
  struct fixture *f = *state;
  struct log l = {0};
  struct err err;
  char out[256];
  struct informer *i = informer_new (f->source, "pods", NULL, on_change, NULL, &l, &err);
  assert_int_equal (informer_add_index (i, "label", by_label), 0);
  assert_string_equal (indexed (i, "x", out), "");
  (void) put_pod (f, "a", "p1", "n1", "x");
  (void) put_pod (f, "a", "p2", "n1", "x");
  (void) put_pod (f, "a", "p3", "n1", "y");
  bus_mem_run (f->net, 3000);
  assert_string_equal (indexed (i, "x", out), "a/p1 a/p2 ");
  (void) put_pod (f, "a", "p2", "n1", "y");
  (void) fake_store_delete (f->store, "pods/a/p1");
  bus_mem_run (f->net, 100);
  assert_string_equal (indexed (i, "x", out), "");
  assert_string_equal (indexed (i, "y", out), "a/p2 a/p3 ");
  informer_free (i);
}

static void
test_informer__loss_and_reordering_end_in_the_stores_state (void **state)
{
  struct fixture *f = *state;
  struct log l = {0};
  struct err err;
  char name[16];
  bus_mem_set_faults (f->net, &(struct bus_mem_faults){.publish_drop = 300000, .publish_reorder = 200000, .request_drop = 100000});
  struct informer *i = informer_new (f->source, "pods", NULL, on_change, NULL, &l, &err);
  for (int k = 0; k < 500; k++) {
    (void) snprintf (name, sizeof name, "p%d", (int) (bus_mem_random (f->net) % 30));
    (void) put_pod (f, "a", name, "n1", "x");
    bus_mem_run (f->net, 20);
    l.text[0] = 0;
  }
  for (int k = 0; k < 10; k++) {
    fake_store_progress (f->store);
    bus_mem_run (f->net, 2000);
  }
  assert_int_equal (informer_revision (i), fake_store_revision (f->store));
  assert_int_equal (informer_count (i), 30);
  informer_free (i);
}

/* ---- the API client ---- */
static void
serve_api (void *arg, struct bus_request *rq)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  struct api_request api;
  struct err err;
  struct value *v = value_map (&a);
  (void) arg;
  if (strcmp (rq->method, API_METHOD) || api_request_unpack (&a, rq->body, rq->len, &api, &err)) {
    bus_reply_error (rq, ERR_PARSE, "not a request");
    return;
  }
  value_set_int (&a, v, "code", 201);
  value_set_path (&a, v, "object.line", value_printf (&a, "%s %s/%s %s %s %s by %s cause %llu", api.verb, api.group, api.version, api.resource,
                                                     api.namespace_, value_path_string (api.body, "metadata.name", "?"), rq->peer.user,
                                                     (unsigned long long) rq->cause));
  value_pack (v, &b);
  bus_reply (rq, b.data, b.len);
}

struct answer {
  int code;
  char line[256];
  unsigned calls;
};
static void
on_answer (void *arg, const struct err *transport, int code, const struct value *object)
{
  struct answer *w = arg;
  w->calls++;
  w->code = transport ? transport->code : code;
  (void) snprintf (w->line, sizeof w->line, "%s", value_path_string (object, "line", ""));
}

static void
test_api_call__request_and_answer_cross_the_bus (void **state)
{
  struct fixture *f = *state;
  struct arena a AUTO_ARENA = {0};
  struct err err;
  struct bus *server = bus_mem_new (f->net, NULL, "apiserver", "system:apiserver", "", &err);
  const char *endpoints[] = {"apiserver@api"};
  struct answer w = {0};
  struct value *body = value_map (&a), *object = NULL;
  int code = 0;
  assert_non_null (bus_serve (server, "api", serve_api, NULL, &err));
  struct api_client *c = api_client_new (f->bus, endpoints, 1, &err);
  assert_non_null (c);
  value_set_path (&a, body, "metadata.name", value_string (&a, "web"));
  struct api_request rq = {.verb = "create", .group = "apps", .version = "v1", .resource = "deployments", .namespace_ = "default",
                           .body = body, .cause = 12};
  api_call (c, &rq, on_answer, &w);
  assert_int_equal (w.calls, 0);
  bus_mem_run (f->net, 1000);
  assert_int_equal (w.calls, 1);
  assert_int_equal (w.code, 201);
  assert_string_equal (w.line, "create apps/v1 deployments default web by system:client cause 12");
  assert_int_equal (api_call_sync (c, &a, &rq, &code, &object, &err), 0);
  assert_int_equal (code, 201);
  assert_string_equal (value_path_string (object, "line", ""), w.line);
  bus_free (server); /* nobody answers */
  rq.deadline_ms = 500;
  api_call (c, &rq, on_answer, &w);
  bus_mem_run (f->net, 2000);
  assert_int_equal (w.calls, 2);
  assert_int_equal (w.code, ERR_UNAVAILABLE);
  api_client_free (c);
}

static void
test_api_request_unpack__incomplete_is_refused (void **state)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  struct api_request rq = {.verb = "get", .version = "v1"}, r;
  struct err err;
  (void) state;
  api_request_pack (&rq, &b);
  assert_int_equal (api_request_unpack (&a, b.data, b.len, &r, &err), ERR_PARSE);
  rq.resource = "pods";
  rq.patch_type = "sideways";
  buf_reset (&b);
  api_request_pack (&rq, &b);
  assert_int_equal (api_request_unpack (&a, b.data, b.len, &r, &err), ERR_PARSE);
  rq.patch_type = "json";
  buf_reset (&b);
  api_request_pack (&rq, &b);
  assert_int_equal (api_request_unpack (&a, b.data, b.len, &r, &err), 0);
  assert_string_equal (r.group, "");
}

#define CASE(t) cmocka_unit_test_setup_teardown (t, setup, teardown)
int
main (void)
{
  const struct CMUnitTest tests[] = {
    CASE (test_informer__follows_adds_updates_and_deletes),
    CASE (test_informer__new_snapshot_reports_only_what_changed),
    CASE (test_informer__index_stream_sees_objects_come_and_leave),
    CASE (test_informer_by_index__follows_changes),
    CASE (test_informer__loss_and_reordering_end_in_the_stores_state),
    CASE (test_api_call__request_and_answer_cross_the_bus),
    CASE (test_api_request_unpack__incomplete_is_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
