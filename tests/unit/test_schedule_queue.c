#include "services/scheduler/schedule_queue.h"
#include "tests/lib/test.h"

static mono_t
at (int64_t ms)
{
  return (mono_t){ ms * 1000000 };
}

static void
test_schedule_queue_pop__priorities__highest_then_oldest (void **state)
{
  (void) state;
  struct schedule_queue *q = schedule_queue_new ();
  assert_int_equal (schedule_queue_add (q, "a", 0, at (0)), 0);
  assert_int_equal (schedule_queue_add (q, "b", -5, at (0)), 0);
  assert_int_equal (schedule_queue_add (q, "c", 7, at (0)), 0);
  assert_int_equal (schedule_queue_add (q, "d", 0, at (0)), 0);
  assert_string_equal (schedule_queue_pop (q, at (0)), "c");
  assert_string_equal (schedule_queue_pop (q, at (0)), "a");
  assert_string_equal (schedule_queue_pop (q, at (0)), "d");
  assert_string_equal (schedule_queue_pop (q, at (0)), "b");
  assert_null (schedule_queue_pop (q, at (0)));
  schedule_queue_free (q);
}

static void
test_schedule_queue_failed__again_and_again__backs_off (void **state)
{
  (void) state;
  static const int64_t waits[] = { 1000, 2000, 4000, 8000, 10000, 10000 };
  struct schedule_queue *q = schedule_queue_new ();
  int64_t now = 0;
  assert_int_equal (schedule_queue_add (q, "a", 0, at (0)), 0);
  for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
    assert_string_equal (schedule_queue_pop (q, at (now)), "a");
    schedule_queue_failed (q, "a", at (now));
    assert_null (schedule_queue_pop (q, at (now + waits[i] - 1)));
    now += waits[i];
  }
  schedule_queue_free (q);
}

static void
test_schedule_queue_unschedulable__cluster_changes__ready_after_backoff (void **state)
{
  (void) state;
  struct schedule_queue *q = schedule_queue_new ();
  assert_int_equal (schedule_queue_add (q, "a", 0, at (0)), 0);
  assert_string_equal (schedule_queue_pop (q, at (0)), "a");
  schedule_queue_unschedulable (q, "a", at (0));
  assert_null (schedule_queue_pop (q, at (60000)));
  schedule_queue_changed (q, at (60000));
  assert_string_equal (schedule_queue_pop (q, at (60000)), "a");
  schedule_queue_changed (q, at (60000)); /* while it is under way */
  schedule_queue_unschedulable (q, "a", at (60000));
  assert_string_equal (schedule_queue_pop (q, at (62000)), "a");
  schedule_queue_unschedulable (q, "a", at (62000));
  assert_string_equal (schedule_queue_pop (q, at (62000 + 300000)), "a");
  schedule_queue_remove (q, "a");
  assert_int_equal (schedule_queue_count (q), 0);
  assert_int_equal (schedule_queue_wait_ms (q, at (0)), -1);
  schedule_queue_free (q);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_schedule_queue_pop__priorities__highest_then_oldest),
                                      cmocka_unit_test (test_schedule_queue_failed__again_and_again__backs_off),
                                      cmocka_unit_test (test_schedule_queue_unschedulable__cluster_changes__ready_after_backoff) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
