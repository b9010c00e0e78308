#include "tests/lib/test.h"

#include "schemas/msgpack.h"
#include "services/apiserver/watch_cache.h"

static const struct bus_subscriber *const feed = &watch_caches_subscriber;

struct seen {
  struct cache_watcher watcher;
  int events, resets;
  uint64_t last;
};

static void
on_event (struct cache_watcher *w, struct cache_event *e)
{
  struct seen *s = (struct seen *) w;
  s->events++;
  s->last = e->revision;
}

static void
on_reset (struct cache_watcher *w)
{
  ((struct seen *) w)->resets++;
}

static void
put (struct watch_caches *cs, const char *name, uint64_t revision, bool snapshot)
{
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf packed = BUF_INIT;
  char key[64];
  arena_init (&a, 0);
  struct value *v = value_map (&a);
  value_set_string (&a, value_ensure_map (&a, v, "metadata"), "name", name);
  value_set_int (&a, v, "after", 7);
  value_pack (v, &packed);
  (void) snprintf (key, sizeof key, "pods/default/%s", name);
  struct bus_change c = { .revision = revision, .last = true, .op = BUS_PUT, .key = key, .value = packed.data, .value_len = packed.len,
                          .create_revision = 2, .actor = "", .trace = "" };
  (snapshot ? feed->object : feed->change) (cs, &c);
}

static void
delete (struct watch_caches *cs, const char *name, uint64_t revision)
{
  char key[64];
  (void) snprintf (key, sizeof key, "pods/default/%s", name);
  struct bus_change c = { .revision = revision, .last = true, .op = BUS_DELETE, .key = key, .actor = "", .trace = "" };
  feed->change (cs, &c);
}

static struct watch_caches *
synced (uint64_t revision)
{
  struct watch_caches *cs = watch_caches_new ();
  assert_non_null (cs);
  feed->reset (cs, revision);
  put (cs, "a", 3, true);
  feed->synced (cs, revision);
  return cs;
}

static void
assert_revision (const struct cached *o, const char *expected)
{
  AUTO_ARENA struct arena a;
  struct value *v = NULL;
  struct err err = { 0 };
  arena_init (&a, 0);
  assert_int_equal (value_unpack (&a, o->packed, o->len, &v, &err), 0);
  assert_string_equal (value_path_string (v, "metadata.resourceVersion", ""), expected);
  assert_string_equal (value_path_string (v, "metadata.name", ""), "a");
  assert_int_equal (value_path_int (v, "after", 0), 7);
}

static void
test_watch_caches__object__carries_its_revision (void **state)
{
  (void) state;
  struct watch_caches *cs = synced (5);
  assert_true (watch_caches_synced (cs));
  assert_int_equal (watch_caches_revision (cs), 5);
  assert_revision (watch_cache_find (cs, "pods/default/a"), "3");
  assert_null (watch_cache_find (cs, "pods/default/b"));
  watch_caches_free (cs);
}

static struct cache_event *kept;
static void
keep_event (struct cache_watcher *w, struct cache_event *e)
{
  (void) w;
  cache_event_unref (kept);
  kept = cache_event_ref (e);
}

static void
test_watch_cache_watch__deletion__shows_last_state_at_its_revision (void **state)
{
  (void) state;
  struct watch_caches *cs = synced (5);
  struct cache_watcher w = { .event = keep_event, .reset = on_reset };
  assert_int_equal (watch_cache_watch (watch_cache_get (cs, "pods"), 5, &w), 0);
  delete (cs, "a", 1234);
  assert_non_null (kept);
  assert_null (kept->new_);
  assert_revision (cache_event_last (kept), "1234");
  watch_cache_unwatch (&w);
  cache_event_unref (kept);
  kept = NULL;
  watch_caches_free (cs);
}

static struct cache_watcher *victim;
static void
remove_other (struct cache_watcher *w, struct cache_event *e)
{
  on_event (w, e);
  watch_cache_unwatch (victim);
}

static void
test_watch_cache_watch__next_watcher_removed_in_callback__is_not_told (void **state)
{
  (void) state;
  struct watch_caches *cs = synced (5);
  struct watch_cache *c = watch_cache_get (cs, "pods");
  struct seen last = { .watcher = { .event = on_event, .reset = on_reset } }, next = last, first = last;
  first.watcher.event = remove_other;
  victim = &next.watcher;
  assert_int_equal (watch_cache_watch (c, 5, &last.watcher), 0); /* the newest is told first */
  assert_int_equal (watch_cache_watch (c, 5, &next.watcher), 0);
  assert_int_equal (watch_cache_watch (c, 5, &first.watcher), 0);
  put (cs, "a", 6, false);
  assert_int_equal (first.events, 1);
  assert_int_equal (next.events, 0);
  assert_int_equal (last.events, 1);
  watch_cache_unwatch (&first.watcher);
  watch_cache_unwatch (&last.watcher);
  watch_caches_free (cs);
}

static void
test_watch_cache_watch__resume__replays_or_refuses (void **state)
{
  (void) state;
  struct watch_caches *cs = synced (5);
  struct watch_cache *c = watch_cache_get (cs, "pods");
  for (uint64_t r = 6; r < 10; r++)
    put (cs, "a", r, false);
  struct seen s = { .watcher = { .event = on_event, .reset = on_reset } }, t = s;
  assert_int_equal (watch_cache_watch (c, 7, &s.watcher), 0);
  assert_int_equal (s.events, 2);
  assert_int_equal (s.last, 9);
  assert_int_equal (watch_cache_watch (c, 4, &t.watcher), ERR_COMPACTED);
  for (uint64_t r = 10; r < 10 + CACHE_RING; r++)
    put (cs, "a", r, false);
  assert_int_equal (s.events, 2 + CACHE_RING);
  assert_int_equal (watch_cache_watch (c, 8, &t.watcher), ERR_COMPACTED);
  assert_int_equal (watch_cache_watch (c, 9, &t.watcher), 0);
  assert_int_equal (t.events, CACHE_RING);
  watch_cache_unwatch (&s.watcher);
  watch_cache_unwatch (&t.watcher);
  watch_caches_free (cs);
}

static void
test_watch_caches_subscriber__second_snapshot__drops_what_is_gone_and_ends_watches (void **state)
{
  (void) state;
  struct watch_caches *cs = synced (5);
  struct watch_cache *c = watch_cache_get (cs, "pods");
  struct seen s = { .watcher = { .event = on_event, .reset = on_reset } };
  assert_int_equal (watch_cache_watch (c, 5, &s.watcher), 0);
  feed->reset (cs, 20);
  put (cs, "b", 15, true);
  feed->synced (cs, 20);
  assert_null (watch_cache_find (cs, "pods/default/a"));
  assert_non_null (watch_cache_find (cs, "pods/default/b"));
  assert_int_equal (s.resets, 1);
  assert_int_equal (watch_cache_watch (c, 19, &s.watcher), ERR_COMPACTED);
  watch_caches_free (cs);
}

static void
count (void *arg)
{
  ++*(int *) arg;
}

static void
test_watch_caches_wait__future_revision__is_called_when_reached (void **state)
{
  (void) state;
  struct watch_caches *cs = synced (5);
  int called = 0;
  assert_int_equal (watch_caches_wait (cs, 5, count, &called), 0);
  assert_int_equal (called, 1);
  assert_int_equal (watch_caches_wait (cs, 6, count, &called), 0);
  assert_int_equal (watch_caches_wait (cs, 9, count, &called), 0);
  put (cs, "a", 6, false);
  assert_int_equal (called, 2);
  feed->progress (cs, 9);
  assert_int_equal (called, 3);
  watch_caches_free (cs);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_watch_caches__object__carries_its_revision),
    cmocka_unit_test (test_watch_cache_watch__deletion__shows_last_state_at_its_revision),
    cmocka_unit_test (test_watch_cache_watch__next_watcher_removed_in_callback__is_not_told),
    cmocka_unit_test (test_watch_cache_watch__resume__replays_or_refuses),
    cmocka_unit_test (test_watch_caches_subscriber__second_snapshot__drops_what_is_gone_and_ends_watches),
    cmocka_unit_test (test_watch_caches_wait__future_revision__is_called_when_reached),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
