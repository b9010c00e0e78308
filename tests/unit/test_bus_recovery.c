/* Subscriptions that recover: seeded runs over the in-memory bus with loss, duplication, reordering, cuts, restarts and
   compaction; then the recovery by itself. A failing run prints its seed: KUBUS_SEED=n replays it alone. */
#include "base/map.h"
#include "base/mem.h"
#include "bus/mem.h"
#include "bus/sub_recovery.h"
#include "tests/lib/fake_store.h"
#include "tests/lib/test.h"

enum { MEMBERS = 3, SEEDS = 400, WRITES = 300, KEYS = 20 };

/* What a subscriber made of it. Checks as it goes. */
struct view {
  uint64_t seed, revision, changes, resets;
  struct omap *objects, *fresh; /* fresh: the snapshot under way */
  bool in_snapshot, synced, denied;
  const char *what;
};

static void
check (struct view *v, bool ok, const char *text)
{
  if (!ok)
    fail_msg ("seed %llu, %s: %s", (unsigned long long) v->seed, v->what, text);
}

static void
set (struct omap *m, const struct bus_change *c)
{
  uint64_t *r = malloc (sizeof *r);
  assert_non_null (r);
  *r = c->revision;
  assert_int_equal (omap_set (m, c->key, r), 0);
}

static void
on_reset (void *arg, uint64_t revision)
{
  struct view *v = arg;
  check (v, revision >= v->revision, "a snapshot leads back");
  omap_free (v->fresh);
  v->fresh = omap_new (free);
  v->in_snapshot = true;
  v->revision = revision;
  v->resets++;
}
static void
on_object (void *arg, const struct bus_change *c)
{
  struct view *v = arg;
  check (v, v->in_snapshot && c->op == BUS_PUT && c->revision <= v->revision, "object out of place");
  check (v, !omap_get (v->fresh, c->key), "object twice in a snapshot");
  set (v->fresh, c);
}
static void
on_synced (void *arg, uint64_t revision)
{
  struct view *v = arg;
  check (v, v->in_snapshot && revision == v->revision, "synced out of place");
  omap_free (v->objects);
  v->objects = v->fresh;
  v->fresh = NULL;
  v->in_snapshot = false;
  v->synced = true;
}
static void
on_change (void *arg, const struct bus_change *c)
{
  struct view *v = arg;
  const uint64_t *known;
  check (v, v->synced && !v->in_snapshot, "change before the snapshot");
  check (v, c->revision > v->revision, "change out of order or twice");
  known = omap_get (v->objects, c->key);
  /* Into an index stream a key comes with a past. */
  check (v, known ? c->prev_revision == *known : !c->prev_revision || v->what[0] == '@', "a change of this key was missed");
  v->revision = c->revision;
  v->changes++;
  if (c->op == BUS_PUT)
    set (v->objects, c);
  else
    (void) omap_delete (v->objects, c->key);
}
static void
on_progress (void *arg, uint64_t revision)
{
  struct view *v = arg;
  check (v, revision >= v->revision, "progress leads back");
  v->revision = revision;
}
static void
on_failed (void *arg, const struct err *err)
{
  struct view *v = arg;
  v->denied |= err->code == ERR_DENIED;
}
static const struct bus_subscriber subscriber = {on_reset, on_object, on_synced, on_change, on_progress, on_failed};

/* ---- whole runs ---- */
struct run {
  struct bus_mem_network *net;
  struct bus *members[MEMBERS], *client;
  struct fake_member *attached[MEMBERS];
  struct fake_store *store;
  struct bus_source *source;
};

static void
names (int i, char server[32], char publisher[32])
{
  (void) snprintf (server, 32, "rpc%d", i);
  (void) snprintf (publisher, 32, "pub%d", i);
}

static void
run_begin (struct run *r, uint64_t seed)
{
  char text[MEMBERS][2][64], server[32], publisher[32];
  const char *servers[MEMBERS], *publishers[MEMBERS];
  struct err err;
  *r = (struct run){.net = bus_mem_network_new (seed), .store = fake_store_new ()};
  assert_non_null (r->net);
  for (int i = 0; i < MEMBERS; i++) {
    char name[32];
    (void) snprintf (name, sizeof name, "store-%d", i);
    assert_non_null (r->members[i] = bus_mem_new (r->net, NULL, name, "store", "", &err));
    names (i, server, publisher);
    r->attached[i] = fake_store_attach (r->store, r->members[i], server, publisher);
    (void) snprintf (text[i][0], 64, "%s@%s", name, server);
    (void) snprintf (text[i][1], 64, "%s@%s", name, publisher);
    servers[i] = text[i][0];
    publishers[i] = text[i][1];
  }
  assert_non_null (r->client = bus_mem_new (r->net, NULL, "client", "u", "", &err));
  assert_non_null (r->source = bus_source_new (r->client, servers, publishers, MEMBERS, &err));
}

static void
run_end (struct run *r)
{
  bus_free (r->client);
  fake_store_free (r->store);
  for (int i = 0; i < MEMBERS; i++)
    bus_free (r->members[i]);
  bus_mem_network_free (r->net);
}

static void
write_something (struct run *r)
{
  char key[64], index[32];
  uint64_t k = bus_mem_random (r->net) % KEYS;
  (void) snprintf (key, sizeof key, "%s/ns/k%llu", k % 2 ? "odd" : "even", (unsigned long long) k);
  (void) snprintf (index, sizeof index, "@i/n%llu", (unsigned long long) (bus_mem_random (r->net) % 3));
  if (bus_mem_random (r->net) % 5 == 0)
    (void) fake_store_delete (r->store, key);
  else
    (void) fake_store_put (r->store, key, "value", 5, index, 0);
}

static void
misbehave (struct run *r)
{
  uint64_t what = bus_mem_random (r->net) % 100;
  int i = (int) (bus_mem_random (r->net) % MEMBERS);
  char name[32], server[32], publisher[32];
  (void) snprintf (name, sizeof name, "store-%d", i);
  if (what < 3)
    bus_mem_cut (r->net, "client", name, true);
  else if (what < 8)
    bus_mem_cut (r->net, "client", name, false);
  else if (what < 10) { /* the process starts anew */
    names (i, server, publisher);
    fake_store_detach (r->attached[i]);
    r->attached[i] = fake_store_attach (r->store, r->members[i], server, publisher);
  } else if (what == 10)
    fake_store_compact (r->store);
  else if (what < 20)
    fake_store_progress (r->store);
}

static bool
same_objects (struct view *v, struct view *other)
{
  struct omap_node *a = omap_seek (v->objects, NULL), *b = omap_seek (other->objects, NULL);
  for (; a && b; a = omap_next (v->objects, a), b = omap_next (other->objects, b))
    if (strcmp (omap_key (a), omap_key (b)) || *(uint64_t *) omap_value (a) != *(uint64_t *) omap_value (b))
      return false;
  return !a && !b;
}

static void
one_run (uint64_t seed)
{
  static const char *const streams[] = {"", "odd", "even/ns", "@i/n1"};
  struct view views[4] = {0}, late[4] = {0};
  struct run r;
  struct err err;
  run_begin (&r, seed);
  bus_mem_set_faults (r.net, &(struct bus_mem_faults){.publish_drop = 100000, .publish_duplicate = 50000, .publish_reorder = 100000,
                                                      .request_drop = 50000, .request_duplicate = 50000, .request_reorder = 50000});
  fake_store_page_max (r.store, 1 + seed % 9);
  for (int i = 0; i < 10; i++)
    write_something (&r);
  for (int i = 0; i < 4; i++) {
    views[i].seed = seed;
    views[i].what = streams[i];
    assert_non_null (bus_subscribe (r.source, streams[i], 0, &subscriber, &views[i], &err));
  }
  for (int i = 0; i < WRITES; i++) {
    write_something (&r);
    misbehave (&r);
    bus_mem_run (r.net, (int64_t) (bus_mem_random (r.net) % 200));
  }
  /* The faults end: everybody must arrive at the same. */
  bus_mem_set_faults (r.net, &(struct bus_mem_faults){0});
  for (int i = 0; i < MEMBERS; i++) {
    char name[32];
    (void) snprintf (name, sizeof name, "store-%d", i);
    bus_mem_cut (r.net, "client", name, false);
  }
  for (int i = 0; i < 30; i++) {
    bus_mem_run (r.net, 1000);
    fake_store_progress (r.store);
  }
  bus_mem_run (r.net, 1000);
  for (int i = 0; i < 4; i++) {
    late[i].seed = seed;
    late[i].what = "late";
    assert_non_null (bus_subscribe (r.source, streams[i], 0, &subscriber, &late[i], &err));
  }
  bus_mem_run (r.net, 5000);
  for (int i = 0; i < 4; i++) {
    check (&views[i], views[i].synced && !views[i].in_snapshot, "never synced");
    check (&late[i], late[i].synced, "never synced");
    check (&views[i], same_objects (&views[i], &late[i]), "not what the store has");
    check (&views[i], views[i].revision == fake_store_revision (r.store), "not told of the last revision");
  }
  run_end (&r);
  for (int i = 0; i < 4; i++) {
    omap_free (views[i].objects);
    omap_free (views[i].fresh);
    omap_free (late[i].objects);
    omap_free (late[i].fresh);
  }
}

static void
test_subscribe__under_faults_nothing_missed_twice_or_out_of_order (void **state)
{
  const char *only = getenv ("KUBUS_SEED");
  (void) state;
  if (only) {
    one_run (strtoull (only, NULL, 10));
    return;
  }
  for (uint64_t seed = 1; seed <= SEEDS; seed++)
    one_run (seed);
}

static void
test_subscribe__after_revision_resumes_without_snapshot (void **state)
{
  struct run r;
  struct view v = {.what = "", .synced = true, .objects = omap_new (free)}, compacted = {.what = ""};
  struct err err;
  (void) state;
  run_begin (&r, 7);
  for (int i = 0; i < 5; i++)
    (void) fake_store_put (r.store, "a/b/c", "v", 1, NULL, 0);
  uint64_t from = fake_store_revision (r.store);
  uint64_t *known = malloc (sizeof *known);
  assert_non_null (known);
  *known = from;
  assert_int_equal (omap_set (v.objects, "a/b/c", known), 0);
  v.revision = from;
  for (int i = 0; i < 5; i++)
    (void) fake_store_put (r.store, "a/b/c", "v", 1, NULL, 0);
  assert_non_null (bus_subscribe (r.source, "", from, &subscriber, &v, &err));
  bus_mem_run (r.net, 3000);
  assert_int_equal (v.changes, 5);
  assert_int_equal (v.resets, 0);
  fake_store_compact (r.store);
  assert_non_null (bus_subscribe (r.source, "", from, &subscriber, &compacted, &err));
  bus_mem_run (r.net, 3000);
  assert_int_equal (compacted.resets, 1);
  assert_true (compacted.synced);
  run_end (&r);
  omap_free (v.objects);
  omap_free (compacted.objects);
}

static void
test_subscribe__member_fails_goes_on_at_another_without_snapshot (void **state)
{
  struct run r;
  struct view v = {.what = ""};
  struct err err;
  (void) state;
  run_begin (&r, 8);
  assert_non_null (bus_subscribe (r.source, "", 0, &subscriber, &v, &err));
  bus_mem_run (r.net, 3000);
  assert_true (v.synced);
  for (int i = 0; i < MEMBERS; i++) { /* every member is gone once */
    char server[32], publisher[32];
    fake_store_detach (r.attached[i]);
    for (int k = 0; k < 20; k++) {
      (void) fake_store_put (r.store, "a/b/c", "v", 1, NULL, 0);
      bus_mem_run (r.net, 100);
    }
    names (i, server, publisher);
    r.attached[i] = fake_store_attach (r.store, r.members[i], server, publisher);
  }
  bus_mem_run (r.net, 3000);
  assert_int_equal (v.changes, 60);
  assert_int_equal (v.resets, 1);
  run_end (&r);
  omap_free (v.objects);
}

struct free_in_callback {
  struct bus_subscription *sub;
  unsigned calls;
};
static void
free_reset (void *arg, uint64_t revision)
{
  struct free_in_callback *f = arg;
  (void) revision;
  f->calls++;
  bus_subscription_free (f->sub);
}
static void
free_object (void *arg, const struct bus_change *c)
{
  (void) c;
  ((struct free_in_callback *) arg)->calls++;
}
static void
free_synced (void *arg, uint64_t revision)
{
  (void) revision;
  ((struct free_in_callback *) arg)->calls++;
}

static void
test_subscription_free__in_a_callback_nothing_is_called_after (void **state)
{
  static const struct bus_subscriber cb = {.reset = free_reset, .object = free_object, .synced = free_synced, .change = free_object};
  struct run r;
  struct free_in_callback f = {0};
  struct err err;
  (void) state;
  run_begin (&r, 9);
  (void) fake_store_put (r.store, "a/b/c", "v", 1, NULL, 0);
  assert_non_null (f.sub = bus_subscribe (r.source, "", 0, &cb, &f, &err));
  bus_mem_run (r.net, 5000);
  assert_int_equal (f.calls, 1);
  run_end (&r);
}

/* ---- calls under faults ---- */
struct calls {
  unsigned ok, failed, served;
};
static void
serve (void *arg, struct bus_request *rq)
{
  ((struct calls *) arg)->served++;
  bus_reply (rq, rq->body, rq->len);
}
static void
on_reply (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct calls *c = arg;
  (void) body;
  (void) len;
  if (err)
    c->failed++;
  else
    c->ok++;
}

static void
test_bus_call__messages_lost_every_call_answered (void **state)
{
  (void) state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct bus_mem_network *net = bus_mem_network_new (seed);
    struct calls c = {0};
    struct err err;
    struct bus *a = bus_mem_new (net, NULL, "a", "a", "", &err), *b = bus_mem_new (net, NULL, "b", "b", "", &err),
               *client = bus_mem_new (net, NULL, "c", "c", "", &err);
    const char *endpoints[] = {"a@x", "b@y"};
    assert_non_null (bus_serve (a, "x", serve, &c, &err));
    assert_non_null (bus_serve (b, "y", serve, &c, &err));
    bus_mem_set_faults (net, &(struct bus_mem_faults){.request_drop = 200000, .request_duplicate = 100000, .request_reorder = 100000});
    struct bus_client *k = bus_client_new (client, endpoints, 2, &err);
    assert_non_null (k);
    for (int i = 0; i < 100; i++)
      (void) bus_call (k, &(struct bus_call){.method = "m", .deadline_ms = 60000}, on_reply, &c);
    bus_mem_cut (net, "c", "a", seed % 2);
    bus_mem_run (net, 61000);
    assert_int_equal (c.ok, 100);
    assert_int_equal (c.failed, 0);
    assert_true (c.served >= 100);
    bus_free (client);
    bus_free (b);
    bus_free (a);
    bus_mem_network_free (net);
  }
}

/* ---- the recovery by itself ---- */
struct alone {
  struct sub_recovery r;
  struct stream_query query;
  bool asked, changes;
  int64_t timer;
  char log[1024];
};
static void
alone_ask (void *arg, const struct stream_query *q, bool changes)
{
  struct alone *a = arg;
  a->query = *q;
  a->asked = true;
  a->changes = changes;
}
static void
alone_timer (void *arg, int64_t ms)
{
  ((struct alone *) arg)->timer = ms;
}
static void
note (struct alone *a, const char *what, uint64_t n)
{
  size_t len = strlen (a->log);
  (void) snprintf (a->log + len, sizeof a->log - len, "%s%llu ", what, (unsigned long long) n);
}
static void
alone_reset (void *arg, uint64_t revision)
{
  note (arg, "reset", revision);
}
static void
alone_object (void *arg, const struct bus_change *c)
{
  note (arg, "object", c->revision);
}
static void
alone_synced (void *arg, uint64_t revision)
{
  note (arg, "synced", revision);
}
static void
alone_change (void *arg, const struct bus_change *c)
{
  note (arg, "change", c->revision);
}
static void
alone_progress (void *arg, uint64_t revision)
{
  note (arg, "progress", revision);
}
static void
alone_failed (void *arg, const struct err *err)
{
  note (arg, err_name (err->code), 0);
}
static const struct bus_subscriber alone_cb = {alone_reset, alone_object, alone_synced, alone_change, alone_progress, alone_failed};
static const struct sub_recovery_ops alone_ops = {alone_ask, alone_timer};

static void
alone_change_in (struct alone *a, uint64_t seq)
{
  AUTO_BUF struct buf b = BUF_INIT;
  bus_change_pack (&(struct bus_change){.revision = seq * 10, .op = BUS_PUT, .key = "k", .last = true}, &b);
  sub_recovery_change (&a->r, seq, b.data, b.len);
}

/* A page that ends at seq with count changes of revisions seq * 10. */
static void
alone_page (struct alone *a, uint64_t revision, uint64_t seq, uint64_t count, bool more)
{
  struct stream_page_writer w = {0};
  AUTO_BUF struct buf out = BUF_INIT, b = BUF_INIT;
  for (uint64_t s = seq - count + 1; s <= seq; s++) {
    buf_reset (&b);
    bus_change_pack (&(struct bus_change){.revision = s * 10, .op = BUS_PUT, .key = "k", .last = true}, &b);
    stream_page_add (&w, b.data, b.len);
  }
  stream_page_end (&w, revision, seq, more, &out);
  a->asked = false;
  sub_recovery_page (&a->r, NULL, out.data, out.len);
}

static void
alone_error (struct alone *a, int code)
{
  struct err err;
  err_set (&err, code, "test");
  a->asked = false;
  sub_recovery_page (&a->r, &err, NULL, 0);
}

static void
alone_begin (struct alone *a)
{
  struct err err;
  *a = (struct alone){.timer = -1};
  assert_int_equal (sub_recovery_init (&a->r, "s", 0, &alone_ops, a, &alone_cb, a, &err), 0);
  sub_recovery_start (&a->r);
  sub_recovery_link (&a->r, true);
  sub_recovery_answer (&a->r, true);
  assert_true (a->asked && !a->changes);
}

static void
alone_is (struct alone *a, const char *expected)
{
  assert_string_equal (a->log, expected);
  a->log[0] = 0;
}

static void
test_sub_recovery__changes_during_snapshot_are_applied_after_it (void **state)
{
  struct alone a;
  (void) state;
  alone_begin (&a);
  alone_change_in (&a, 4); /* older than the snapshot */
  alone_change_in (&a, 6);
  alone_change_in (&a, 7);
  alone_is (&a, "");
  alone_page (&a, 55, 5, 1, false);
  alone_is (&a, "reset55 object50 synced55 change60 change70 ");
  assert_false (a.asked);
  assert_int_equal (a.timer, SUB_RECOVERY_IDLE_MS);
  sub_recovery_done (&a.r);
}

static void
test_sub_recovery__gap_is_fetched_once_and_order_kept (void **state)
{
  struct alone a;
  (void) state;
  alone_begin (&a);
  alone_page (&a, 10, 1, 1, false);
  alone_is (&a, "reset10 object10 synced10 ");
  alone_change_in (&a, 2);
  alone_change_in (&a, 2);
  alone_change_in (&a, 5);
  alone_is (&a, "change20 ");
  assert_true (a.asked && a.changes);
  assert_int_equal (a.query.after_seq, 2);
  a.asked = false;
  alone_change_in (&a, 6);
  assert_false (a.asked);
  alone_page (&a, 45, 4, 2, false);
  alone_is (&a, "change30 change40 change50 change60 ");
  assert_int_equal (a.r.phase, SUB_LIVE);
  sub_recovery_done (&a.r);
}

static void
test_sub_recovery__progress_beyond_finds_silent_loss (void **state)
{
  struct alone a;
  (void) state;
  alone_begin (&a);
  alone_page (&a, 10, 1, 1, false);
  sub_recovery_progress (&a.r, 1, 15);
  alone_is (&a, "reset10 object10 synced10 progress15 ");
  sub_recovery_progress (&a.r, 0, 18); /* none was published since */
  alone_is (&a, "progress18 ");
  sub_recovery_progress (&a.r, 3, 35);
  assert_true (a.asked && a.changes);
  alone_page (&a, 35, 3, 2, false);
  alone_is (&a, "change20 change30 progress35 ");
  sub_recovery_done (&a.r);
}

static void
test_sub_recovery__compacted_starts_again_with_a_snapshot (void **state)
{
  struct alone a;
  (void) state;
  alone_begin (&a);
  alone_page (&a, 10, 1, 1, true);
  assert_true (a.asked);
  assert_string_equal (a.query.after, "k");
  assert_int_equal (a.query.revision, 10);
  alone_error (&a, ERR_COMPACTED); /* between pages */
  assert_true (a.asked && !a.changes && !a.query.revision);
  alone_page (&a, 20, 2, 1, false);
  alone_is (&a, "reset10 object10 reset20 object20 synced20 ");
  alone_change_in (&a, 9);
  alone_error (&a, ERR_COMPACTED); /* in a catch-up */
  assert_true (a.asked && !a.changes);
  alone_page (&a, 90, 9, 1, false);
  alone_is (&a, "reset90 object90 synced90 ");
  assert_int_equal (a.r.phase, SUB_LIVE);
  sub_recovery_done (&a.r);
}

static void
test_sub_recovery__lagging_member_is_asked_again_after_a_pause (void **state)
{
  struct alone a;
  (void) state;
  alone_begin (&a);
  alone_page (&a, 50, 5, 1, false);
  alone_change_in (&a, 8);
  alone_page (&a, 60, 6, 1, false); /* has 6, not yet 7 */
  alone_is (&a, "reset50 object50 synced50 change60 ");
  assert_true (a.asked);
  alone_page (&a, 60, 6, 0, false);
  assert_false (a.asked);
  assert_true (a.timer > 0);
  sub_recovery_timeout (&a.r);
  assert_true (a.asked && a.query.after_seq == 6);
  alone_page (&a, 70, 7, 1, false);
  alone_is (&a, "change70 change80 ");
  assert_int_equal (a.r.phase, SUB_LIVE);
  sub_recovery_done (&a.r);
}

static void
test_sub_recovery__reconnect_asks_for_what_was_missed (void **state)
{
  struct alone a;
  (void) state;
  alone_begin (&a);
  alone_page (&a, 10, 1, 1, false);
  sub_recovery_link (&a.r, false);
  assert_int_equal (a.timer, SUB_RECOVERY_UNLINKED_MS);
  sub_recovery_link (&a.r, true);
  assert_int_equal (a.r.phase, SUB_WAIT);
  sub_recovery_answer (&a.r, true);
  assert_true (a.asked && a.changes);
  alone_page (&a, 20, 2, 1, false);
  alone_is (&a, "reset10 object10 synced10 change20 ");
  sub_recovery_done (&a.r);
}

static void
test_sub_recovery__denied_gives_up (void **state)
{
  struct alone a;
  (void) state;
  alone_begin (&a);
  alone_error (&a, ERR_DENIED);
  alone_is (&a, "DENIED0 ");
  sub_recovery_timeout (&a.r);
  alone_change_in (&a, 1);
  assert_false (a.asked);
  alone_is (&a, "");
  sub_recovery_done (&a.r);
}

static void
test_sub_recovery__store_put_back_is_followed_by_a_snapshot (void **state)
{
  struct alone a;
  (void) state;
  alone_begin (&a);
  alone_page (&a, 900, 90, 1, false);
  a.log[0] = 0;
  sub_recovery_link (&a.r, true);
  sub_recovery_answer (&a.r, true);
  for (int i = 0; i < 2 * SUB_RECOVERY_BEHIND_MAX && a.r.have_seq; i++) {
    alone_page (&a, 30, 3, 0, false);
    sub_recovery_timeout (&a.r);
  }
  assert_true (a.asked && !a.changes);
  alone_page (&a, 30, 3, 1, false);
  alone_is (&a, "reset30 object30 synced30 ");
  assert_int_equal (a.r.phase, SUB_LIVE);
  sub_recovery_done (&a.r);
}

static void
test_sub_recovery__buffer_overflow_is_fetched (void **state)
{
  struct alone a;
  (void) state;
  alone_begin (&a);
  for (uint64_t seq = 2; seq < 2 * SUB_RECOVERY_BUFFER_MAX; seq++)
    alone_change_in (&a, seq);
  assert_true (omap_count (a.r.early) <= SUB_RECOVERY_BUFFER_MAX);
  alone_page (&a, 10, 1, 1, false);
  assert_true (a.asked && a.changes);
  assert_int_equal (a.query.after_seq, SUB_RECOVERY_BUFFER_MAX + 1);
  sub_recovery_done (&a.r);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_sub_recovery__changes_during_snapshot_are_applied_after_it),
    cmocka_unit_test (test_sub_recovery__gap_is_fetched_once_and_order_kept),
    cmocka_unit_test (test_sub_recovery__progress_beyond_finds_silent_loss),
    cmocka_unit_test (test_sub_recovery__compacted_starts_again_with_a_snapshot),
    cmocka_unit_test (test_sub_recovery__lagging_member_is_asked_again_after_a_pause),
    cmocka_unit_test (test_sub_recovery__reconnect_asks_for_what_was_missed),
    cmocka_unit_test (test_sub_recovery__denied_gives_up),
    cmocka_unit_test (test_sub_recovery__store_put_back_is_followed_by_a_snapshot),
    cmocka_unit_test (test_sub_recovery__buffer_overflow_is_fetched),
    cmocka_unit_test (test_bus_call__messages_lost_every_call_answered),
    cmocka_unit_test (test_subscribe__after_revision_resumes_without_snapshot),
    cmocka_unit_test (test_subscribe__member_fails_goes_on_at_another_without_snapshot),
    cmocka_unit_test (test_subscription_free__in_a_callback_nothing_is_called_after),
    cmocka_unit_test (test_subscribe__under_faults_nothing_missed_twice_or_out_of_order),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
