/* Store members over the real bus and RocksDB, in one process and a temporary directory: one member across restarts, three across
   the loss of their leader. */
#include "tests/lib/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "bus/bus.h"
#include "storage/client.h"
#include "storage/node.h"

#define MEMBERS 3
#define WAIT_MS 20000

struct member {
  struct bus *bus;
  struct node *node;
  bool ready, failed;
  char name[16], endpoint[160], listen[140], publish[140], log_dir[140], state_dir[140];
};
struct cluster {
  char dir[64];
  struct loop *loop;
  struct member members[MEMBERS];
  size_t n;
  struct bus *client_bus;
  struct store *store;
  struct bus_source *source;
};

static bool
anybody (void *arg, const struct bus_peer *peer, const char *what)
{
  (void) arg;
  (void) peer;
  return what != NULL;
}

static void
failed (void *arg, const struct err *err)
{
  struct member *m = arg;
  m->failed = true;
  print_message ("%s stopped: %s\n", m->name, err->text);
}

static void
ready (void *arg)
{
  ((struct member *) arg)->ready = true;
}

static struct bus *
open_bus (struct cluster *c, const char *name)
{
  struct err err = {0};
  char key[128], known[128];
  struct bus *b;
  snprintf (key, sizeof key, "%s/%s.secret", c->dir, name);
  snprintf (known, sizeof known, "%s/known", c->dir);
  if (!(b = bus_zmq_new (c->loop, &(struct bus_zmq_config){key, known}, &err)))
    fail_msg ("%s", err.text);
  return b;
}

static void
open_member (struct cluster *c, size_t i)
{
  struct member *m = &c->members[i];
  struct node_member all[MEMBERS];
  struct node_config nc = {.cluster_id = 7, .member_id = i + 1, .members = all, .n_members = c->n, .log_dir = m->log_dir, .state_dir = m->state_dir,
                           .listen = m->listen, .publish = m->publish, .tick_ms = 20, .may_call = anybody, .may_read = anybody, .failed = failed, .ready = ready, .arg = m};
  struct err err = {0};
  for (size_t k = 0; k < c->n; k++)
    all[k] = (struct node_member){k + 1, c->members[k].name, c->members[k].endpoint};
  m->ready = m->failed = false;
  m->bus = open_bus (c, m->name);
  if (node_open (m->bus, &nc, &m->node, &err))
    fail_msg ("%s", err.text);
}

static void
close_member (struct member *m)
{
  node_free (m->node);
  bus_free (m->bus);
  m->node = NULL;
  m->bus = NULL;
}

static struct cluster *
cluster_new (size_t n)
{
  struct cluster *c = mem_zalloc (sizeof *c);
  const char *endpoints[MEMBERS], *publishers[MEMBERS];
  char known[80], pubs[MEMBERS][180];
  struct err err = {0};
  snprintf (c->dir, sizeof c->dir, "/tmp/kubus-node-XXXXXX");
  assert_non_null (mkdtemp (c->dir));
  snprintf (known, sizeof known, "%s/known", c->dir);
  assert_int_equal (file_mkdirs (known, 0700, NULL), 0);
  c->loop = loop_new (NULL);
  c->n = n;
  for (size_t i = 0; i < n; i++) {
    struct member *m = &c->members[i];
    snprintf (m->name, sizeof m->name, "s%zu", i + 1);
    snprintf (m->listen, sizeof m->listen, "ipc://%s/%s.sock", c->dir, m->name);
    snprintf (m->publish, sizeof m->publish, "ipc://%s/%s-pub.sock", c->dir, m->name);
    snprintf (m->endpoint, sizeof m->endpoint, "%s@%s", m->name, m->listen);
    snprintf (pubs[i], sizeof pubs[i], "%s@%s", m->name, m->publish);
    snprintf (m->log_dir, sizeof m->log_dir, "%s/%s-log", c->dir, m->name);
    snprintf (m->state_dir, sizeof m->state_dir, "%s/%s-state", c->dir, m->name);
    assert_int_equal (bus_keygen (c->dir, known, m->name, "kubus:store", "kubus:stores", &err), 0);
    endpoints[i] = m->endpoint;
    publishers[i] = pubs[i];
  }
  assert_int_equal (bus_keygen (c->dir, known, "client", "tester", "", &err), 0);
  for (size_t i = 0; i < n; i++)
    open_member (c, i);
  c->client_bus = open_bus (c, "client");
  c->store = store_client_new (c->client_bus, endpoints, n, &err);
  c->source = bus_source_new (c->client_bus, endpoints, publishers, n, &err);
  assert_non_null (c->store);
  assert_non_null (c->source);
  return c;
}

static void
cluster_free (struct cluster *c)
{
  c->store->vt->free (c->store);
  bus_source_free (c->source);
  bus_free (c->client_bus);
  for (size_t i = 0; i < c->n; i++)
    close_member (&c->members[i]);
  loop_free (c->loop);
  assert_int_equal (file_remove_tree (c->dir, NULL), 0);
  free (c);
}

struct answer {
  bool done, succeeded;
  int code;
  uint64_t revision;
  size_t n_kvs;
};

static void
wait_for (struct cluster *c, const bool *flag)
{
  mono_t begin = mono_now ();
  while (!*flag) {
    loop_step (c->loop, 50);
    if (mono_ms_since (begin, mono_now ()) > WAIT_MS)
      fail_msg ("nothing after %d ms", WAIT_MS);
  }
}

static void
on_txn (void *arg, const struct err *err, const struct store_txn_result *r)
{
  *(struct answer *) arg = (struct answer){true, r && r->succeeded, err ? err->code : 0, r ? r->revision : 0, 0};
}

static void
on_range (void *arg, const struct err *err, const struct store_range_result *r)
{
  *(struct answer *) arg = (struct answer){true, !err, err ? err->code : 0, r ? r->revision : 0, r ? r->n_kvs : 0};
}

static struct answer
put (struct cluster *c, const char *key, const char *value)
{
  struct answer an = {0};
  struct store_op op = {.type = STORE_PUT, .key = key, .value = value, .value_len = strlen (value)};
  struct store_txn t = {.then_ops = &op, .n_then = 1, .actor = "tester", .trace = "", .idempotency = key};
  c->store->vt->txn (c->store, &t, on_txn, &an);
  wait_for (c, &an.done);
  return an;
}

static struct answer
list (struct cluster *c, const char *prefix)
{
  struct answer an = {0};
  struct store_range r = {.key = prefix, .end = STORE_PREFIX};
  c->store->vt->range (c->store, &r, on_range, &an);
  wait_for (c, &an.done);
  return an;
}

static void
test_node__single_member_keeps_writes_across_restarts (void **state)
{
  struct cluster *c = cluster_new (1);
  struct answer an;
  (void) state;
  for (int i = 0; i < 20; i++) {
    char key[32];
    snprintf (key, sizeof key, "pods/a/%02d", i);
    an = put (c, key, "x");
    assert_int_equal (an.code, 0);
    assert_int_equal (an.revision, i + 2);
    if (i % 7 == 6) {
      close_member (&c->members[0]);
      open_member (c, 0);
    }
  }
  an = list (c, "pods/");
  assert_int_equal (an.n_kvs, 20);
  assert_int_equal (an.revision, 21);
  cluster_free (c);
}

static void
test_node__three_members_go_on_without_their_leader (void **state)
{
  struct cluster *c = cluster_new (3);
  size_t written = 0;
  (void) state;
  for (size_t round = 0; round < 3; round++) {
    for (int i = 0; i < 5; i++) {
      char key[32];
      snprintf (key, sizeof key, "k/%zu-%d", round, i);
      assert_int_equal (put (c, key, "v").code, 0);
      written++;
    }
    close_member (&c->members[round]); /* the leader in some round, a follower in the others */
    assert_int_equal (put (c, round == 0 ? "k/x" : round == 1 ? "k/y" : "k/z", "v").code, 0);
    written++;
    open_member (c, round);
    wait_for (c, &c->members[round].ready);
  }
  assert_int_equal (list (c, "k/").n_kvs, written);
  cluster_free (c);
}

struct watcher {
  size_t objects, changes;
  bool synced, enough;
};

static void
w_reset (void *arg, uint64_t revision)
{
  (void) revision;
  ((struct watcher *) arg)->objects = 0;
}

static void
w_object (void *arg, const struct bus_change *change)
{
  (void) change;
  ((struct watcher *) arg)->objects++;
}

static void
w_synced (void *arg, uint64_t revision)
{
  (void) revision;
  ((struct watcher *) arg)->synced = true;
}

static void
w_change (void *arg, const struct bus_change *change)
{
  struct watcher *w = arg;
  (void) change;
  w->enough = ++w->changes == 10;
}

static void
test_node__subscriber_gets_snapshot_then_every_change (void **state)
{
  static const struct bus_subscriber callbacks = {.reset = w_reset, .object = w_object, .synced = w_synced, .change = w_change};
  struct cluster *c = cluster_new (1);
  struct watcher w = {0};
  struct bus_subscription *sub;
  (void) state;
  put (c, "pods/a/0", "x");
  put (c, "nodes/0", "x");
  sub = bus_subscribe (c->source, "pods", 0, &callbacks, &w, NULL);
  assert_non_null (sub);
  wait_for (c, &w.synced);
  assert_int_equal (w.objects, 1);
  for (int i = 0; i < 10; i++) {
    char key[32];
    snprintf (key, sizeof key, "pods/b/%d", i);
    put (c, key, "x");
    put (c, "nodes/1", "y");
  }
  wait_for (c, &w.enough);
  assert_int_equal (w.changes, 10);
  bus_subscription_free (sub);
  cluster_free (c);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_node__single_member_keeps_writes_across_restarts),
      cmocka_unit_test (test_node__three_members_go_on_without_their_leader),
      cmocka_unit_test (test_node__subscriber_gets_snapshot_then_every_change),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
