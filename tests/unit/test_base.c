#include "tests/lib/test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"

static void
test_err_wrap__nested_keeps_code_and_order (void **state)
{
  struct err err;
  (void) state;
  assert_int_equal (err_set (&err, ERR_CORRUPT, "short value (%d of %d bytes)", 3, 8), ERR_CORRUPT);
  assert_int_equal (err_wrap (&err, "load node %s", "n1"), ERR_CORRUPT);
  assert_string_equal (err.text, "load node n1: short value (3 of 8 bytes)");
  assert_int_equal (err_http_status (ERR_CONFLICT), 409);
  assert_string_equal (err_name (ERR_NOT_FOUND), "NOT_FOUND");
}

static void
test_arena__over_limit_fails_and_remembers (void **state)
{
  struct arena a;
  (void) state;
  arena_init (&a, 10000);
  assert_non_null (arena_alloc (&a, 9000));
  assert_null (arena_alloc (&a, 5000));
  assert_false (arena_ok (&a));
  arena_reset (&a);
  assert_true (arena_ok (&a));
  for (int i = 0; i < 100; i++)
    assert_string_equal (arena_printf (&a, "n%d", 7), "n7");
  arena_done (&a);
}

static void
test_buf__append_and_consume (void **state)
{
  struct buf b AUTO_BUF = BUF_INIT;
  (void) state;
  for (int i = 0; i < 1000; i++)
    buf_printf (&b, "%04d", i);
  assert_int_equal (b.len, 4000);
  buf_consume (&b, 4);
  assert_memory_equal (b.data, "0001", 4);
  b.limit_bytes = 4000;
  buf_append (&b, "xxxxxxxxxx", 10);
  assert_true (b.failed);
}

static void
test_map__many_keys_set_get_delete (void **state)
{
  struct map *m = map_new (free);
  size_t n = 0;
  void *v;
  (void) state;
  for (int i = 0; i < 2000; i++) {
    char *k = mem_printf ("key%d", i);
    assert_int_equal (map_set (m, k, mem_printf ("%d", i)), 0);
    free (k);
  }
  for (int i = 0; i < 2000; i += 2) {
    char *k = mem_printf ("key%d", i);
    assert_true (map_delete (m, k));
    free (k);
  }
  assert_int_equal (map_count (m), 1000);
  assert_null (map_get (m, "key10"));
  assert_string_equal (map_get (m, "key11"), "11");
  for (size_t it = 0; map_next (m, &it, NULL, &v);)
    n++;
  assert_int_equal (n, 1000);
  map_free (m);
}

static void
test_omap__seek_walks_in_order (void **state)
{
  static char value[] = "v";
  struct omap *m = omap_new (NULL);
  struct omap_node *n;
  (void) state;
  omap_set (m, "pods/b", value);
  omap_set (m, "pods/a", value);
  omap_set (m, "nodes/x", value);
  n = omap_seek (m, "pods/");
  assert_string_equal (omap_key (n), "pods/a");
  n = omap_next (m, n);
  assert_string_equal (omap_key (n), "pods/b");
  assert_null (omap_next (m, n));
  assert_true (omap_delete (m, "pods/a"));
  assert_int_equal (omap_count (m), 2);
  omap_free (m);
}

static void
test_wall_parse__offsets_and_fractions (void **state)
{
  wall_t t;
  char out[CLOCK_RFC3339_SIZE];
  (void) state;
  assert_int_equal (wall_parse ("2026-01-02T15:04:05.25+01:00", &t, NULL), 0);
  assert_string_equal (wall_format_micro (t, out), "2026-01-02T14:04:05.250000Z");
  assert_string_equal (wall_format (t, out), "2026-01-02T14:04:05Z");
  assert_int_equal (wall_parse ("2026-13-02T15:04:05Z", &t, NULL), ERR_PARSE);
  assert_int_equal (wall_parse ("yesterday", &t, NULL), ERR_PARSE);
}

static void
count_up (void *arg)
{
  ++*(int *) arg;
}

static void
test_loop__post_and_timer_run (void **state)
{
  struct loop *l = loop_new (NULL);
  int n = 0;
  struct loop_timer *t = loop_timer_new (l, count_up, &n);
  (void) state;
  loop_post (l, count_up, &n);
  loop_timer_set (t, 1);
  while (n < 2)
    loop_step (l, 100);
  loop_timer_free (t);
  loop_free (l);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_err_wrap__nested_keeps_code_and_order),
      cmocka_unit_test (test_arena__over_limit_fails_and_remembers),
      cmocka_unit_test (test_buf__append_and_consume),
      cmocka_unit_test (test_map__many_keys_set_get_delete),
      cmocka_unit_test (test_omap__seek_walks_in_order),
      cmocka_unit_test (test_wall_parse__offsets_and_fractions),
      cmocka_unit_test (test_loop__post_and_timer_run),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
