#include "tests/lib/test.h"

#include "services/ctl/trace_decide.h"

#define DEPLOYMENT "deployments.apps/default/web"
#define SET "replicasets.apps/default/web-1"
#define POD "pods/default/web-1-a"
#define OTHER "pods/default/other"

static const struct trace_change log_[] = {
    {2, 0, 10, "create", DEPLOYMENT, "admin"},
    {3, 0, 11, "create", OTHER, "admin"},
    {4, 2, 12, "create", SET, "controller"},
    {5, 4, 13, "create", POD, "controller"},
    {6, 3, 14, "update", OTHER, "scheduler"},
    {7, 5, 15, "update", POD, "scheduler"},
    {8, 4, 16, "update", DEPLOYMENT, "controller"},
};
#define N (sizeof log_ / sizeof log_[0])

/* "2 .4 ..5 ...7" : revisions, a dot a level, '*' behind changes of the object. */
static const char *
trace (struct arena *a, const struct trace_change *changes, size_t n, const char *key)
{
  static char out[256];
  struct trace_line *lines;
  size_t count, at = 0;
  struct err err = {0};
  assert_int_equal (trace_decide (a, changes, n, key, &lines, &count, &err), 0);
  out[0] = 0;
  for (size_t i = 0; i < count; i++)
    at += (size_t) snprintf (out + at, sizeof out - at, "%s%.*s%llu%s", i ? " " : "", (int) lines[i].depth, "........",
                             (unsigned long long) lines[i].change->revision, lines[i].target ? "*" : "");
  return out;
}

static void
test_trace_decide__root_object_shows_all_that_followed (void **state)
{
  struct arena a AUTO_ARENA = {0};
  (void) state;
  assert_string_equal (trace (&a, log_, N, DEPLOYMENT), "2* .4 ..5 ...7 ..8*");
}

static void
test_trace_decide__leaf_object_shows_what_led_to_it (void **state)
{
  struct arena a AUTO_ARENA = {0};
  (void) state;
  assert_string_equal (trace (&a, log_, N, POD), "2 .4 ..5* ...7*");
}

static void
test_trace_decide__unknown_object_or_empty_log_is_empty (void **state)
{
  struct arena a AUTO_ARENA = {0};
  (void) state;
  assert_string_equal (trace (&a, log_, N, "pods/default/none"), "");
  assert_string_equal (trace (&a, log_, 0, POD), "");
}

static void
test_trace_decide__cause_that_is_compacted_makes_a_root (void **state)
{
  struct arena a AUTO_ARENA = {0};
  (void) state;
  assert_string_equal (trace (&a, log_ + 1, N - 1, POD), "4 .5* ..7*");
}

static void
test_trace_decide__cause_not_before_its_effect_makes_a_root (void **state)
{
  static const struct trace_change changes[] = {{2, 2, 0, "create", POD, "a"}, {3, 9, 0, "update", POD, "a"}, {9, 3, 0, "update", POD, "a"}};
  struct arena a AUTO_ARENA = {0};
  (void) state;
  assert_string_equal (trace (&a, changes, 3, POD), "2* 3* .9*");
}

static void
test_trace_decide__transaction_stands_side_by_side (void **state)
{
  static const struct trace_change changes[] = {
      {2, 0, 0, "create", OTHER, "a"}, {2, 0, 0, "create", POD, "a"}, {3, 2, 0, "create", SET, "b"}};
  struct arena a AUTO_ARENA = {0};
  (void) state;
  assert_string_equal (trace (&a, changes, 3, POD), "2 2* .3");
}

static void
test_trace_decide__falling_revisions_are_refused (void **state)
{
  static const struct trace_change changes[] = {{3, 0, 0, "create", POD, "a"}, {2, 0, 0, "update", POD, "a"}};
  struct arena a AUTO_ARENA = {0};
  struct trace_line *lines;
  size_t count;
  struct err err;
  (void) state;
  assert_int_equal (trace_decide (&a, changes, 2, POD, &lines, &count, &err), ERR_INVALID);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_trace_decide__root_object_shows_all_that_followed),
      cmocka_unit_test (test_trace_decide__leaf_object_shows_what_led_to_it),
      cmocka_unit_test (test_trace_decide__unknown_object_or_empty_log_is_empty),
      cmocka_unit_test (test_trace_decide__cause_that_is_compacted_makes_a_root),
      cmocka_unit_test (test_trace_decide__cause_not_before_its_effect_makes_a_root),
      cmocka_unit_test (test_trace_decide__transaction_stands_side_by_side),
      cmocka_unit_test (test_trace_decide__falling_revisions_are_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
