/* The tap's filters, formats and recordings. Its sources are a program's, so they are compiled in here. */
#include "bus/tap/output.c"
#include "bus/tap/record.c"
#include "tests/lib/test.h"

static const struct bus_change web = {.revision = 7, .op = BUS_PUT, .key = "deployments.apps/default/web", .prev_revision = 3,
                                      .value = (const uint8_t *) "\x81\xa1" "a\x01", .value_len = 4, .actor = "system:admin", .cause = 6, .trace = "",
                                      .time_us = 1700000000000000};

static void
test_tap_key_split__cluster_scoped_has_no_namespace (void **state)
{
  struct tap_key k;
  (void) state;
  tap_key_split ("deployments.apps/default/web", &k);
  assert_string_equal (k.resource, "deployments.apps");
  assert_string_equal (k.namespace_, "default");
  assert_string_equal (k.name, "web");
  tap_key_split ("nodes/n1", &k);
  assert_string_equal (k.namespace_, "");
  assert_string_equal (k.name, "n1");
  tap_key_split ("odd", &k);
  assert_string_equal (k.resource, "odd");
  assert_string_equal (k.name, "");
}

static void
test_tap_filter_matches__each_criterion_counts (void **state)
{
  struct tap_event e = {"", &web, false};
  struct tap_key k;
  (void) state;
  tap_key_split (web.key, &k);
  assert_true (tap_filter_matches (&(struct tap_filter){0}, &e, &k));
  assert_true (tap_filter_matches (&(struct tap_filter){"default", "w*", "update", "system:*"}, &e, &k));
  assert_false (tap_filter_matches (&(struct tap_filter){.namespace_ = "other"}, &e, &k));
  assert_false (tap_filter_matches (&(struct tap_filter){.name = "db"}, &e, &k));
  assert_false (tap_filter_matches (&(struct tap_filter){.verb = "create"}, &e, &k));
  assert_false (tap_filter_matches (&(struct tap_filter){.actor = "me"}, &e, &k));
}

static void
test_tap_format_event__forms (void **state)
{
  struct tap_event e = {"", &web, false};
  struct tap_key k;
  struct buf b = BUF_INIT;
  (void) state;
  tap_key_split (web.key, &k);
  tap_format_event (TAP_HUMAN, false, &e, &k, &b);
  assert_string_equal (buf_cstr (&b),
                       "2023-11-14T22:13:20.000000Z        7 update deployments.apps/default/web by=system:admin cause=6 prev=3 4B\n");
  buf_reset (&b);
  tap_format_event (TAP_JSONL, true, &e, &k, &b);
  assert_string_equal (buf_cstr (&b),
                       "{\"revision\":7,\"sub\":0,\"verb\":\"update\",\"stream\":\"\",\"key\":\"deployments.apps/default/web\",\"resource\":"
                       "\"deployments.apps\",\"namespace\":\"default\",\"name\":\"web\",\"actor\":\"system:admin\",\"cause\":6,\"time\":"
                       "\"2023-11-14T22:13:20.000000Z\",\"prevRevision\":3,\"bytes\":4,\"value\":{\"a\":1}}\n");
  buf_done (&b);
}

static bool
count (void *arg, const char *stream, const struct bus_change *c)
{
  unsigned *n = arg;
  assert_string_equal (stream, "pods");
  assert_string_equal (c->key, web.key);
  return ++*n < 100;
}

static int
replay (const void *data, size_t n, unsigned *ret_count)
{
  FILE *f = tmpfile ();
  struct err err;
  int r;
  *ret_count = 0;
  assert_non_null (f);
  assert_int_equal (fwrite (data, 1, n, f), n);
  rewind (f);
  r = tap_record_read (f, count, ret_count, &err);
  (void) fclose (f);
  return r;
}

static void
test_tap_record_read__torn_or_foreign_is_refused (void **state)
{
  struct buf b = BUF_INIT;
  unsigned n;
  (void) state;
  for (int i = 0; i < 3; i++)
    tap_record_pack ("pods", &web, &b);
  assert_int_equal (replay (b.data, b.len, &n), 0);
  assert_int_equal (n, 3);
  assert_int_equal (replay (b.data, b.len - 1, &n), ERR_PARSE);
  assert_int_equal (n, 2);
  assert_int_equal (replay ("hello", 5, &n), ERR_PARSE);
  assert_int_equal (replay ("", 0, &n), 0);
  buf_done (&b);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_tap_key_split__cluster_scoped_has_no_namespace),
    cmocka_unit_test (test_tap_filter_matches__each_criterion_counts),
    cmocka_unit_test (test_tap_format_event__forms),
    cmocka_unit_test (test_tap_record_read__torn_or_foreign_is_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
