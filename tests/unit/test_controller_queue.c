#include "tests/lib/test.h"

#include "services/controller/queue.h"
#include "services/controller/shard.h"

static void
test_queue_add__twice_handed_out_once (void **state)
{
  const struct queue_item *it, *other;
  struct queue *q = queue_new ();
  (void) state;
  queue_add (q, "a", 1);
  queue_add (q, "a", 2);
  assert_true (queue_take (q, 0, &it));
  assert_int_equal (it->cause, 2);
  assert_false (queue_take (q, 0, &other));
  queue_add (q, "a", 3); /* while busy */
  assert_false (queue_take (q, 0, &other));
  queue_done (q, it, NULL, 0, 0);
  assert_true (queue_take (q, 0, &it));
  assert_int_equal (it->cause, 3);
  queue_done (q, it, NULL, 0, 0);
  assert_int_equal (queue_count (q), 0);
  queue_free (q);
}

static void
test_queue_done__failures_back_off (void **state)
{
  const struct queue_item *it;
  struct queue *q = queue_new ();
  int64_t now = 0;
  (void) state;
  queue_add (q, "a", 1);
  static const int64_t waits[] = { 5, 10, 20, 40, 80 };
  for (size_t i = 0; i < 5; i++)
    {
      assert_true (queue_take (q, now, &it));
      queue_done (q, it, "no", 0, now);
      assert_int_equal (queue_delay_ms (q, now), waits[i]);
      assert_false (queue_take (q, now + waits[i] - 1, &it));
      now += waits[i];
    }
  for (int i = 0; i < 40; i++)
    {
      now += QUEUE_BACKOFF_MAX_MS;
      assert_true (queue_take (q, now, &it));
      assert_string_equal (it->failure, "no");
      queue_done (q, it, "no", 0, now);
    }
  assert_int_equal (queue_delay_ms (q, now), QUEUE_BACKOFF_MAX_MS);
  queue_add (q, "a", 9); /* a change looks at once */
  assert_true (queue_take (q, now, &it));
  queue_done (q, it, NULL, 1000, now);
  assert_int_equal (queue_delay_ms (q, now), 1000);
  queue_free (q);
}

static struct shard_instance
instance (const char *name, int64_t seen_ms, const char *view)
{
  struct shard_instance x = { .seen_ms = seen_ms };
  snprintf (x.name, sizeof x.name, "%s", name);
  shard_view_parse (view, &x.view);
  return x;
}

static void
test_shard_decide__dead_instances_are_left_out (void **state)
{
  char text[256];
  struct shard_view v;
  struct shard_instance all[] = { instance ("b", 100, ""), instance ("a", 100, ""), instance ("c", 100 - SHARD_TTL_MS, "") };
  struct shard_input in = { .self = "b", .instances = all, .count = 3, .now_ms = 100 };
  (void) state;
  shard_decide (&in, &v);
  assert_string_equal (shard_view_format (&v, text, sizeof text), "a,b");
}

/* Every combination of published views of two instances: no key may be worked on by both. */
static void
test_shard_may_work__never_both (void **state)
{
  static const char *const views[] = { "", "a", "b", "a,b", "a,b,c" };
  size_t shared = 0, total = 0;
  (void) state;
  for (size_t i = 0; i < 5; i++)
    for (size_t k = 0; k < 5; k++)
      for (int n = 0; n < 200; n++)
        {
          struct shard_instance all[] = { instance ("a", 100, views[i]), instance ("b", 100, views[k]) };
          struct shard_input a = { .self = "a", .instances = all, .count = 2, .now_ms = 100 }, b = a;
          char key[32];
          snprintf (key, sizeof key, "ns/%d", n);
          b.self = "b";
          bool by_a = shard_may_work (&a, &all[0].view, "rs", key), by_b = shard_may_work (&b, &all[1].view, "rs", key);
          assert_false (by_a && by_b);
          if (i == 3 && k == 3)
            {
              assert_true (by_a || by_b); /* the same view: every key has its owner */
              total++;
              shared += by_a;
            }
        }
  assert_in_range (shared, total / 4, total * 3 / 4);
}

static void
test_shard_owner__leaving_member_moves_only_its_keys (void **state)
{
  struct shard_view three, two;
  (void) state;
  shard_view_parse ("a,b,c", &three);
  shard_view_parse ("a,c", &two);
  for (int n = 0; n < 300; n++)
    {
      char key[32];
      snprintf (key, sizeof key, "ns/%d", n);
      const char *before = shard_owner (&three, "rs", key), *after = shard_owner (&two, "rs", key);
      if (strcmp (before, "b") != 0)
        assert_string_equal (before, after);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_queue_add__twice_handed_out_once),
    cmocka_unit_test (test_queue_done__failures_back_off),
    cmocka_unit_test (test_shard_decide__dead_instances_are_left_out),
    cmocka_unit_test (test_shard_may_work__never_both),
    cmocka_unit_test (test_shard_owner__leaving_member_moves_only_its_keys),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
