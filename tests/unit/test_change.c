/* The packed change, the envelope, the bodies of stream queries: what is packed is read back, anything else refused. */
#include "bus/bus.h"
#include "bus/envelope.h"
#include "bus/stream.h"
#include "tests/lib/test.h"

static struct bus_change
sample (void)
{
  return (struct bus_change){.revision = 1ull << 40, .sub = 7, .last = true, .op = BUS_DELETE, .moved = true, .key = "pods/default/web",
                             .value = (const uint8_t *) "value", .value_len = 5, .create_revision = 3, .prev_revision = 4,
                             .actor = "system:admin", .cause = 9, .trace = "00-x", .time_us = 1234567890123456};
}

static void
test_bus_change_unpack__packed_is_read_back (void **state)
{
  struct buf b = BUF_INIT, scratch = BUF_INIT;
  struct bus_change c = sample (), r;
  struct err err;
  (void) state;
  bus_change_pack (&c, &b);
  assert_int_equal (bus_change_unpack (b.data, b.len, &r, &scratch, &err), 0);
  assert_true (r.revision == c.revision && r.sub == 7 && r.last && r.moved && r.op == BUS_DELETE && r.create_revision == 3 &&
               r.prev_revision == 4 && r.cause == 9 && r.time_us == c.time_us && r.value_len == 5);
  assert_string_equal (r.key, c.key);
  assert_string_equal (r.actor, c.actor);
  assert_string_equal (r.trace, c.trace);
  assert_memory_equal (r.value, "value", 5);
  buf_reset (&b);
  bus_change_pack (&(struct bus_change){.revision = 2, .op = BUS_PUT, .key = "k"}, &b); /* absent strings are empty */
  assert_int_equal (bus_change_unpack (b.data, b.len, &r, &scratch, &err), 0);
  assert_string_equal (r.actor, "");
  assert_string_equal (r.trace, "");
  buf_done (&b);
  buf_done (&scratch);
}

static void
test_bus_change_unpack__truncated_or_extended_is_refused (void **state)
{
  struct buf b = BUF_INIT, scratch = BUF_INIT;
  struct bus_change c = sample (), r;
  struct err err;
  (void) state;
  bus_change_pack (&c, &b);
  for (size_t n = 0; n < b.len; n++)
    assert_int_equal (bus_change_unpack (b.data, n, &r, &scratch, &err), ERR_PARSE);
  buf_append_byte (&b, 0);
  assert_int_equal (bus_change_unpack (b.data, b.len, &r, &scratch, &err), ERR_PARSE);
  b.data[1] = 9;
  assert_int_equal (bus_change_unpack (b.data, b.len, &r, &scratch, &err), ERR_UNSUPPORTED);
  buf_done (&b);
  buf_done (&scratch);
}

static void
test_envelope_unpack__bounds_are_kept (void **state)
{
  struct buf b = BUF_INIT;
  struct envelope e = {.type = ENVELOPE_REQUEST, .id = 5, .method = "m", .method_len = 1, .trace = "", .idempotency = "i", .idempotency_len = 1,
                       .remaining_ms = 10, .cause = 4}, r;
  struct err err;
  char longer[ENVELOPE_METHOD_MAX + 2];
  (void) state;
  envelope_pack (&e, &b);
  assert_int_equal (envelope_unpack (b.data, b.len, &r, &err), 0);
  assert_true (r.id == 5 && r.remaining_ms == 10 && r.cause == 4 && r.method_len == 1);
  for (size_t n = 0; n < b.len; n++)
    assert_int_not_equal (envelope_unpack (b.data, n, &r, &err), 0);
  memset (longer, 'm', sizeof longer);
  e.method = longer;
  e.method_len = ENVELOPE_METHOD_MAX + 1;
  buf_reset (&b);
  envelope_pack (&e, &b);
  assert_int_equal (envelope_unpack (b.data, b.len, &r, &err), ERR_PARSE);
  e.method_len = 1;
  e.remaining_ms = -1;
  buf_reset (&b);
  envelope_pack (&e, &b);
  assert_int_equal (envelope_unpack (b.data, b.len, &r, &err), ERR_PARSE);
  b.data[1] = ENVELOPE_VERSION + 1;
  assert_int_equal (envelope_unpack (b.data, b.len, &r, &err), ERR_UNSUPPORTED);
  buf_done (&b);
}

static void
test_stream_query_unpack__unknown_keys_are_skipped_and_limit_bounded (void **state)
{
  struct stream_query q = {.stream = "pods", .after = "k", .limit = 1ull << 40, .revision = 3}, r;
  struct buf b = BUF_INIT;
  struct err err;
  (void) state;
  stream_query_pack (&q, false, &b);
  assert_int_equal (stream_query_unpack (b.data, b.len, &r, &err), 0);
  assert_string_equal (r.stream, "pods");
  assert_string_equal (r.after, "k");
  assert_int_equal (r.limit, STREAM_LIMIT_MAX);
  assert_int_equal (r.revision, 3);
  assert_int_equal (stream_query_unpack ("\x82\xa1z\x92\x01\xc0\xa6stream\xa1s", 15, &r, &err), 0);
  assert_string_equal (r.stream, "s");
  buf_done (&b);
}

static void
test_stream_page_unpack__items_are_walked (void **state)
{
  struct stream_page_writer w = {0};
  struct stream_page p;
  struct buf b = BUF_INIT;
  struct err err;
  const uint8_t *at;
  size_t len;
  (void) state;
  stream_page_add (&w, "one", 3);
  stream_page_add (&w, "", 0);
  stream_page_end (&w, 10, 20, true, &b);
  assert_int_equal (stream_page_unpack (b.data, b.len, &p, &err), 0);
  assert_true (p.revision == 10 && p.seq == 20 && p.more && p.count == 2);
  assert_true (stream_page_next (&p, &at, &len));
  assert_memory_equal (at, "one", 3);
  assert_true (stream_page_next (&p, &at, &len));
  assert_int_equal (len, 0);
  assert_false (stream_page_next (&p, &at, &len));
  for (size_t n = 0; n < b.len; n++)
    assert_int_equal (stream_page_unpack (b.data, n, &p, &err), ERR_PARSE);
  buf_done (&b);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_bus_change_unpack__packed_is_read_back),
    cmocka_unit_test (test_bus_change_unpack__truncated_or_extended_is_refused),
    cmocka_unit_test (test_envelope_unpack__bounds_are_kept),
    cmocka_unit_test (test_stream_query_unpack__unknown_keys_are_skipped_and_limit_bounded),
    cmocka_unit_test (test_stream_page_unpack__items_are_walked),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
