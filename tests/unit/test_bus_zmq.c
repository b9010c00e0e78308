/* The bus over real sockets: ipc in a temporary directory, CURVE keys made for the test. */
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "bus/bus.h"
#include "tests/lib/fake_store.h"
#include "tests/lib/test.h"

enum { WAIT_MS = 20000 };

struct fixture {
  char dir[64], known[96];
  struct loop *loop;
  struct bus *server, *client;
};

static struct bus *
open_bus (struct fixture *f, const char *name)
{
  char key[192];
  struct err err = {0};
  (void) snprintf (key, sizeof key, "%s/%s.secret", f->dir, name);
  struct bus *b = bus_zmq_new (f->loop, &(struct bus_zmq_config){.key_file = key, .known_dir = f->known}, &err);
  if (!b)
    fail_msg ("bus of %s: %s", name, err.text);
  return b;
}

static void
keygen (struct fixture *f, const char *name)
{
  struct err err = {0};
  if (bus_keygen (f->dir, f->known, name, "user", "g1,g2", &err))
    fail_msg ("keygen: %s", err.text);
}

static int
setup (void **state)
{
  struct fixture *f = calloc (1, sizeof *f);
  struct err err;
  (void) snprintf (f->dir, sizeof f->dir, "/tmp/kubus-bus-XXXXXX");
  assert_non_null (mkdtemp (f->dir));
  (void) snprintf (f->known, sizeof f->known, "%s/known", f->dir);
  assert_false (mkdir (f->known, 0755));
  assert_non_null (f->loop = loop_new (&err));
  keygen (f, "server");
  keygen (f, "client");
  f->server = open_bus (f, "server");
  f->client = open_bus (f, "client");
  *state = f;
  return 0;
}

static void
remove_dir (const char *path)
{
  DIR *d = opendir (path);
  char name[512];
  for (struct dirent *e; d && (e = readdir (d));) {
    (void) snprintf (name, sizeof name, "%s/%s", path, e->d_name);
    (void) unlink (name);
  }
  closedir (d);
  (void) rmdir (path);
}

static int
teardown (void **state)
{
  struct fixture *f = *state;
  bus_free (f->client);
  bus_free (f->server);
  loop_free (f->loop);
  remove_dir (f->known);
  remove_dir (f->dir);
  free (f);
  return 0;
}

#define WAIT_FOR(f, condition) \
  do { \
    mono_t wait_start = mono_now (); \
    while (!(condition)) { \
      if (mono_ms_since (wait_start, mono_now ()) > WAIT_MS) \
        fail_msg ("not within %d ms: %s", WAIT_MS, #condition); \
      loop_step ((f)->loop, 20); \
    } \
  } while (0)

static void
wait_ms (struct fixture *f, int64_t ms)
{
  mono_t start = mono_now ();
  while (mono_ms_since (start, mono_now ()) < ms)
    loop_step (f->loop, 5);
}

static const char *
address (struct fixture *f, const char *what, char out[160])
{
  (void) snprintf (out, 160, "ipc://%s/%s.sock", f->dir, what);
  return out;
}

static const char *
endpoint (struct fixture *f, const char *name, const char *what, char out[192])
{
  (void) snprintf (out, 192, "%s@ipc://%s/%s.sock", name, f->dir, what);
  return out;
}

/* ---- request/reply ---- */
struct seen {
  unsigned requests, replies, errors;
  int code;
  char text[ERR_TEXT_SIZE], peer[64], user[64], group[64], idempotency[2][64], trace[64];
  uint64_t cause;
};

static void
echo (void *arg, struct bus_request *rq)
{
  struct seen *s = arg;
  (void) snprintf (s->peer, sizeof s->peer, "%s", rq->peer.name);
  (void) snprintf (s->user, sizeof s->user, "%s", rq->peer.user);
  (void) snprintf (s->group, sizeof s->group, "%s", rq->peer.groups[0] && rq->peer.groups[1] ? rq->peer.groups[1] : "");
  (void) snprintf (s->trace, sizeof s->trace, "%s", rq->trace);
  (void) snprintf (s->idempotency[s->requests & 1], 64, "%s", rq->idempotency);
  s->cause = rq->cause;
  s->requests++;
  bus_reply (rq, rq->body, rq->len);
}

struct order {
  unsigned next, wrong;
};
static void
in_order (void *arg, struct bus_request *rq)
{
  struct order *o = arg;
  unsigned n = 0;
  memcpy (&n, rq->body, rq->len < sizeof n ? rq->len : sizeof n);
  o->wrong += n != o->next++;
  bus_reply (rq, NULL, 0);
}

static void
not_leader (void *arg, struct bus_request *rq)
{
  ((struct seen *) arg)->requests++;
  bus_reply_error (rq, ERR_NOT_LEADER, "server");
}

static void
drop_first (void *arg, struct bus_request *rq)
{
  struct seen *s = arg;
  (void) snprintf (s->idempotency[s->requests & 1], 64, "%s", rq->idempotency);
  if (s->requests++ == 0)
    bus_reply_error (rq, ERR_BUSY, "%s", "");
  else
    bus_reply (rq, "ok", 2);
}

static void
on_reply (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct seen *s = arg;
  if (err) {
    s->errors++;
    s->code = err->code;
    (void) snprintf (s->text, sizeof s->text, "%s", err->text);
  } else {
    s->replies++;
    s->code = 0;
    (void) snprintf (s->text, sizeof s->text, "%.*s", (int) len, (const char *) body);
  }
}

static struct bus_client *
client_of (struct bus *b, const char *e0, const char *e1)
{
  const char *e[2] = {e0, e1};
  struct err err = {0};
  struct bus_client *c = bus_client_new (b, e, e1 ? 2 : 1, &err);
  if (!c)
    fail_msg ("client: %s", err.text);
  return c;
}

static void
test_bus_call__known_peer_is_answered_with_identity (void **state)
{
  struct fixture *f = *state;
  struct seen s = {0}, c = {0};
  char a[160], e[192];
  struct err err;
  struct bus_client *client = client_of (f->client, endpoint (f, "server", "rpc", e), NULL); /* before the server is there */
  assert_non_null (bus_serve (f->server, address (f, "rpc", a), echo, &s, &err));
  assert_true (bus_call (client, &(struct bus_call){.method = "m", .body = "hello", .len = 5, .cause = 42, .trace = "00-ab"}, on_reply, &c));
  WAIT_FOR (f, c.replies + c.errors);
  assert_int_equal (c.code, 0);
  assert_string_equal (c.text, "hello");
  assert_string_equal (s.peer, "client");
  assert_string_equal (s.user, "user");
  assert_string_equal (s.group, "g2");
  assert_string_equal (s.trace, "00-ab");
  assert_int_equal (s.cause, 42);
  assert_null (bus_serve (f->client, address (f, "rpc", a), echo, &s, &err));
  assert_int_equal (err.code, ERR_BUSY);
}

static void
test_bus_call__unknown_peer_gets_nothing (void **state)
{
  struct fixture *f = *state;
  struct seen s = {0}, c = {0};
  char a[160], e[192], path[192];
  struct err err;
  struct bus *stranger;
  keygen (f, "stranger");
  stranger = open_bus (f, "stranger");
  (void) snprintf (path, sizeof path, "%s/stranger", f->known);
  assert_false (unlink (path));
  wait_ms (f, 50);
  assert_non_null (bus_serve (f->server, address (f, "rpc", a), echo, &s, &err));
  struct bus_client *client = client_of (stranger, endpoint (f, "server", "rpc", e), NULL);
  (void) bus_call (client, &(struct bus_call){.method = "m", .deadline_ms = 500}, on_reply, &c);
  WAIT_FOR (f, c.errors);
  assert_int_equal (c.code, ERR_UNAVAILABLE);
  assert_int_equal (s.requests, 0);
  bus_free (stranger);
}

static void
test_bus_call__peer_revoked_while_connected_is_cut_off (void **state)
{
  struct fixture *f = *state;
  struct seen s = {0}, c = {0};
  char a[160], e[192], path[192], aside[192];
  struct err err;
  struct bus_client *client = client_of (f->client, endpoint (f, "server", "rpc", e), NULL);
  assert_non_null (bus_serve (f->server, address (f, "rpc", a), echo, &s, &err));
  (void) bus_call (client, &(struct bus_call){.method = "m"}, on_reply, &c);
  WAIT_FOR (f, c.replies);
  (void) snprintf (path, sizeof path, "%s/client", f->known);
  (void) snprintf (aside, sizeof aside, "%s/client.aside", f->dir);
  assert_false (rename (path, aside));
  wait_ms (f, 100);
  (void) bus_call (client, &(struct bus_call){.method = "m", .deadline_ms = 600}, on_reply, &c);
  WAIT_FOR (f, c.errors);
  assert_int_equal (s.requests, 1);
  assert_false (rename (aside, path)); /* and back */
  (void) bus_call (client, &(struct bus_call){.method = "m"}, on_reply, &c);
  WAIT_FOR (f, c.replies == 2);
}

static void
test_bus_call__server_restarts_call_is_answered_by_the_next (void **state)
{
  struct fixture *f = *state;
  struct seen s = {0}, c = {0};
  char a[160], e[192];
  struct err err;
  struct bus_client *client = client_of (f->client, endpoint (f, "server", "rpc", e), NULL);
  for (unsigned i = 1; i <= 5; i++) {
    struct bus_server *server = bus_serve (f->server, address (f, "rpc", a), echo, &s, &err);
    assert_non_null (server);
    (void) bus_call (client, &(struct bus_call){.method = "m", .body = "x", .len = 1}, on_reply, &c);
    WAIT_FOR (f, c.replies + c.errors == i);
    assert_int_equal (c.errors, 0);
    bus_server_free (server);
  }
}

static void
test_bus_call__not_leader_goes_to_the_named_one (void **state)
{
  struct fixture *f = *state;
  struct seen follower = {0}, leader = {0}, c = {0};
  char a[160], b[160], e0[192], e1[192];
  struct err err;
  struct bus *other;
  keygen (f, "follower");
  other = open_bus (f, "follower");
  assert_non_null (bus_serve (other, address (f, "follower", a), not_leader, &follower, &err));
  assert_non_null (bus_serve (f->server, address (f, "leader", b), echo, &leader, &err));
  struct bus_client *client = client_of (f->client, endpoint (f, "follower", "follower", e0), endpoint (f, "server", "leader", e1));
  for (unsigned i = 1; i <= 10; i++) {
    (void) bus_call (client, &(struct bus_call){.method = "m"}, on_reply, &c);
    WAIT_FOR (f, c.replies + c.errors == i);
  }
  assert_int_equal (c.errors, 0);
  assert_int_equal (leader.requests, 10);
  assert_true (follower.requests <= 1);
  bus_free (other);
}

static void
test_bus_call__retry_has_the_same_idempotency_key (void **state)
{
  struct fixture *f = *state;
  struct seen s = {0}, c = {0};
  char a[160], e[192];
  struct err err;
  struct bus_client *client = client_of (f->client, endpoint (f, "server", "rpc", e), NULL);
  assert_non_null (bus_serve (f->server, address (f, "rpc", a), drop_first, &s, &err));
  (void) bus_call (client, &(struct bus_call){.method = "m"}, on_reply, &c);
  WAIT_FOR (f, c.replies + c.errors);
  assert_int_equal (c.code, 0);
  assert_int_equal (s.requests, 2);
  assert_true (s.idempotency[0][0]);
  assert_string_equal (s.idempotency[0], s.idempotency[1]);
}

static void
test_bus_call__made_before_the_connection_arrive_in_order (void **state)
{
  struct fixture *f = *state;
  struct order o = {0};
  struct seen c = {0};
  char a[160], e[192];
  struct err err;
  struct bus_client *client = client_of (f->client, endpoint (f, "server", "rpc", e), NULL);
  for (unsigned i = 0; i < 100; i++)
    (void) bus_call (client, &(struct bus_call){.method = "m", .body = &i, .len = sizeof i}, on_reply, &c);
  assert_non_null (bus_serve (f->server, address (f, "rpc", a), in_order, &o, &err));
  WAIT_FOR (f, c.replies == 100);
  assert_int_equal (o.wrong, 0);
}

static void
test_bus_call__many_outstanding_all_answered (void **state)
{
  struct fixture *f = *state;
  struct seen s = {0}, c = {0};
  char a[160], e[192];
  struct err err;
  enum { CALLS = 5000 };
  struct bus_client *client = client_of (f->client, endpoint (f, "server", "rpc", e), NULL);
  assert_non_null (bus_serve (f->server, address (f, "rpc", a), echo, &s, &err));
  for (int i = 0; i < CALLS; i++)
    assert_true (bus_call (client, &(struct bus_call){.method = "m", .body = "abc", .len = 3}, on_reply, &c));
  WAIT_FOR (f, c.replies + c.errors == CALLS);
  assert_int_equal (c.errors, 0);
  (void) bus_call (client, &(struct bus_call){.method = "m", .body = "abc", .len = BUS_BODY_MAX + 1}, on_reply, &c);
  assert_int_equal (c.code, ERR_LIMIT);
}

static unsigned
free_tcp_port (void)
{
  struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  socklen_t n = sizeof sa;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true (fd >= 0 && !bind (fd, (struct sockaddr *) &sa, sizeof sa) && !getsockname (fd, (struct sockaddr *) &sa, &n));
  close (fd);
  return ntohs (sa.sin_port);
}

static void
test_bus_call__over_tcp (void **state)
{
  struct fixture *f = *state;
  struct seen s = {0}, c = {0};
  char a[64], e[96];
  struct err err;
  (void) snprintf (a, sizeof a, "tcp://127.0.0.1:%u", free_tcp_port ());
  (void) snprintf (e, sizeof e, "server@%s", a);
  struct bus_client *client = client_of (f->client, e, NULL);
  assert_non_null (bus_serve (f->server, a, echo, &s, &err));
  assert_null (bus_serve (f->server, a, echo, &s, &err));
  assert_int_equal (err.code, ERR_BUSY);
  (void) bus_call (client, &(struct bus_call){.method = "m", .body = "x", .len = 1}, on_reply, &c);
  WAIT_FOR (f, c.replies + c.errors);
  assert_int_equal (c.code, 0);
}

static void
test_bus_call__server_by_another_key_is_not_believed (void **state)
{
  struct fixture *f = *state;
  struct seen s = {0}, c = {0};
  char a[160], e[192];
  struct err err;
  keygen (f, "expected");
  struct bus_client *client = client_of (f->client, endpoint (f, "expected", "rpc", e), NULL);
  assert_non_null (bus_serve (f->server, address (f, "rpc", a), echo, &s, &err));
  (void) bus_call (client, &(struct bus_call){.method = "m", .deadline_ms = 500}, on_reply, &c);
  WAIT_FOR (f, c.errors);
  assert_int_equal (c.code, ERR_UNAVAILABLE);
  assert_int_equal (s.requests, 0);
}

static void
test_bus_zmq_new__signals_stay_the_daemons (void **state)
{
  struct sigaction sa;
  (void) state;
  assert_int_equal (sigaction (SIGTERM, NULL, &sa), 0);
  assert_true (sa.sa_handler == SIG_DFL);
  assert_int_equal (sigaction (SIGINT, NULL, &sa), 0);
  assert_true (sa.sa_handler == SIG_DFL);
}

/* ---- subscriptions ---- */
struct view { /* what one subscriber knows */
  uint64_t last_revision;
  unsigned resets, synced, changes, objects, failed, disorder;
  int code;
};
static void
on_reset (void *arg, uint64_t revision)
{
  struct view *v = arg;
  v->resets++;
  v->objects = 0;
  v->last_revision = revision;
}
static void
on_object (void *arg, const struct bus_change *c)
{
  (void) c;
  ((struct view *) arg)->objects++;
}
static void
on_synced (void *arg, uint64_t revision)
{
  (void) revision;
  ((struct view *) arg)->synced++;
}
static void
on_change (void *arg, const struct bus_change *c)
{
  struct view *v = arg;
  v->disorder += c->revision <= v->last_revision;
  v->last_revision = c->revision;
  v->changes++;
}
static void
on_failed (void *arg, const struct err *err)
{
  struct view *v = arg;
  v->failed++;
  v->code = err->code;
}
static const struct bus_subscriber subscriber = {.reset = on_reset, .object = on_object, .synced = on_synced, .change = on_change,
                                                 .failed = on_failed};

static struct bus_source *
source_of (struct fixture *f, struct bus *b)
{
  char r[192], p[192];
  const char *rpc[1] = {endpoint (f, "server", "rpc", r)}, *pub[1] = {endpoint (f, "server", "pub", p)};
  struct err err;
  struct bus_source *s = bus_source_new (b, rpc, pub, 1, &err);
  assert_non_null (s);
  return s;
}

static struct fake_member *
attach (struct fixture *f, struct fake_store *store)
{
  char r[160], p[160];
  return fake_store_attach (store, f->server, address (f, "rpc", r), address (f, "pub", p));
}

static void
test_bus_subscribe__snapshot_then_changes_of_exactly_its_stream (void **state)
{
  struct fixture *f = *state;
  struct fake_store *store = fake_store_new ();
  struct view all = {0}, pods = {0}, ns = {0};
  struct err err;
  char key[64];
  (void) attach (f, store);
  for (int i = 0; i < 10; i++) {
    (void) snprintf (key, sizeof key, "pods/n%d/p", i);
    (void) fake_store_put (store, key, "v", 1, NULL, 0);
  }
  struct bus_source *s = source_of (f, f->client);
  assert_non_null (bus_subscribe (s, "", 0, &subscriber, &all, &err));
  assert_non_null (bus_subscribe (s, "pods", 0, &subscriber, &pods, &err));
  assert_non_null (bus_subscribe (s, "pods/n1", 0, &subscriber, &ns, &err));
  WAIT_FOR (f, all.synced && pods.synced && ns.synced);
  assert_int_equal (all.objects, 10);
  assert_int_equal (ns.objects, 1);
  for (int i = 0; i < 100; i++) {
    (void) snprintf (key, sizeof key, "pods/n%d/p", i % 20); /* n1 is not n1x */
    (void) fake_store_put (store, key, "v", 1, NULL, 0);
    (void) fake_store_put (store, "podsx/a", "v", 1, NULL, 0);
  }
  WAIT_FOR (f, all.changes == 200 && pods.changes == 100 && ns.changes == 5);
  wait_ms (f, 50);
  assert_int_equal (all.changes + pods.changes + ns.changes, 305);
  assert_int_equal (all.disorder + pods.disorder + ns.disorder, 0);
  fake_store_free (store);
}

static void
test_bus_subscribe__denied_stream_delivers_nothing_and_fails (void **state)
{
  struct fixture *f = *state;
  struct fake_store *store = fake_store_new ();
  struct view v = {0}, ok = {0};
  struct err err;
  fake_store_deny (store, "client", "secrets");
  (void) attach (f, store);
  struct bus_source *s = source_of (f, f->client);
  assert_non_null (bus_subscribe (s, "secrets", 0, &subscriber, &v, &err));
  assert_non_null (bus_subscribe (s, "pods", 0, &subscriber, &ok, &err));
  WAIT_FOR (f, v.failed && ok.synced);
  assert_int_equal (v.code, ERR_DENIED);
  (void) fake_store_put (store, "secrets/a/b", "v", 1, NULL, 0);
  (void) fake_store_put (store, "pods/a/b", "v", 1, NULL, 0);
  WAIT_FOR (f, ok.changes == 1);
  assert_int_equal (v.changes + v.objects + v.resets, 0);
  assert_int_equal (v.failed, 1);
  fake_store_free (store);
}

static void
test_bus_subscribe__two_thousand_filters_survive_reconnect (void **state)
{
  struct fixture *f = *state;
  enum { N = 2000 };
  struct fake_store *store = fake_store_new ();
  struct view *v = calloc (N, sizeof *v);
  struct bus_source *s = source_of (f, f->client);
  struct fake_member *m = attach (f, store);
  struct err err;
  char name[64];
  unsigned done = 0;
  for (int i = 0; i < N; i++) {
    (void) snprintf (name, sizeof name, "pods/n%d", i);
    assert_non_null (bus_subscribe (s, name, 0, &subscriber, &v[i], &err));
  }
  WAIT_FOR (f, ({
              done = 0;
              for (int i = 0; i < N; i++)
                done += v[i].synced;
              done == N;
            }));
  for (unsigned round = 1; round <= 2; round++) {
    fake_store_detach (m);
    m = attach (f, store);
    for (int i = 0; i < N; i++) {
      (void) snprintf (name, sizeof name, "pods/n%d/p", i);
      (void) fake_store_put (store, name, "v", 1, NULL, 0);
    }
    WAIT_FOR (f, ({
                done = 0;
                for (int i = 0; i < N; i++)
                  done += v[i].changes == round;
                done == N;
              }));
  }
  for (int i = 0; i < N; i++)
    assert_int_equal (v[i].resets, 1);
  fake_store_free (store);
  bus_free (f->client); /* before the views that it calls */
  f->client = NULL;
  free (v);
}

static void
test_bus_subscribe__slow_subscriber_catches_up (void **state)
{
  struct fixture *f = *state;
  enum { N = 40000 };
  struct fake_store *store = fake_store_new ();
  struct view v = {0};
  struct err err;
  char value[512];
  memset (value, 'v', sizeof value);
  (void) attach (f, store);
  struct bus_source *s = source_of (f, f->client);
  assert_non_null (bus_subscribe (s, "pods", 0, &subscriber, &v, &err));
  WAIT_FOR (f, v.synced);
  for (int i = 0; i < N; i++) /* without a step of the loop: most are dropped */
    (void) fake_store_put (store, "pods/a/b", value, sizeof value, NULL, 0);
  while (v.changes < N) {
    unsigned before = v.changes;
    fake_store_progress (store);
    WAIT_FOR (f, v.changes > before || v.changes == N);
  }
  assert_int_equal (v.changes, N);
  assert_int_equal (v.disorder, 0);
  assert_int_equal (v.resets, 1);
  fake_store_free (store);
}

static void
test_bus_subscribe__revoked_subscriber_is_cut_off_others_go_on (void **state)
{
  struct fixture *f = *state;
  struct fake_store *store = fake_store_new ();
  struct view v = {0}, other = {0};
  struct err err;
  char path[192];
  keygen (f, "second");
  struct bus *second = open_bus (f, "second");
  (void) attach (f, store);
  assert_non_null (bus_subscribe (source_of (f, f->client), "pods", 0, &subscriber, &v, &err));
  assert_non_null (bus_subscribe (source_of (f, second), "pods", 0, &subscriber, &other, &err));
  WAIT_FOR (f, v.synced && other.synced);
  (void) snprintf (path, sizeof path, "%s/client", f->known);
  assert_false (unlink (path));
  wait_ms (f, 100);
  for (int i = 0; i < 10; i++)
    (void) fake_store_put (store, "pods/a/b", "v", 1, NULL, 0);
  WAIT_FOR (f, other.changes == 10);
  wait_ms (f, 100);
  assert_int_equal (v.changes, 0);
  bus_free (second);
  fake_store_free (store);
}

static void
test_bus_keygen__existing_name_is_refused (void **state)
{
  struct fixture *f = *state;
  struct err err;
  assert_int_equal (bus_keygen (f->dir, f->known, "client", "u", "", &err), ERR_EXISTS);
  assert_int_equal (bus_keygen (f->dir, f->known, "a/b", "u", "", &err), ERR_INVALID);
}

#define CASE(t) cmocka_unit_test_setup_teardown (t, setup, teardown)
int
main (void)
{
  const struct CMUnitTest tests[] = {
    CASE (test_bus_call__known_peer_is_answered_with_identity),
    CASE (test_bus_call__unknown_peer_gets_nothing),
    CASE (test_bus_call__peer_revoked_while_connected_is_cut_off),
    CASE (test_bus_call__server_restarts_call_is_answered_by_the_next),
    CASE (test_bus_call__not_leader_goes_to_the_named_one),
    CASE (test_bus_call__retry_has_the_same_idempotency_key),
    CASE (test_bus_call__made_before_the_connection_arrive_in_order),
    CASE (test_bus_call__over_tcp),
    CASE (test_bus_call__server_by_another_key_is_not_believed),
    CASE (test_bus_zmq_new__signals_stay_the_daemons),
    CASE (test_bus_call__many_outstanding_all_answered),
    CASE (test_bus_subscribe__snapshot_then_changes_of_exactly_its_stream),
    CASE (test_bus_subscribe__denied_stream_delivers_nothing_and_fails),
    CASE (test_bus_subscribe__two_thousand_filters_survive_reconnect),
    CASE (test_bus_subscribe__slow_subscriber_catches_up),
    CASE (test_bus_subscribe__revoked_subscriber_is_cut_off_others_go_on),
    CASE (test_bus_keygen__existing_name_is_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
