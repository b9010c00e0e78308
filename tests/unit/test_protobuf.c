#include "tests/lib/test.h"

#include "base/buf.h"
#include "schemas/json.h"
#include "schemas/protobuf.h"

/* Builds fields: tag, then a length and bytes, or a number. */
static void
bytes (struct buf *b, unsigned number, const void *p, size_t n)
{
  buf_append_byte (b, (uint8_t) (number << 3 | 2));
  buf_append_byte (b, (uint8_t) n);
  buf_append (b, p, n);
}

static void
text (struct buf *b, unsigned number, const char *s)
{
  bytes (b, number, s, strlen (s));
}

static void
nested (struct buf *b, unsigned number, struct buf *inner)
{
  assert_true (inner->len < 128);
  bytes (b, number, inner->data, inner->len);
  buf_done (inner);
}

static void
envelope (struct buf *out, const char *api_version, const char *kind, struct buf *raw)
{
  struct buf meta = BUF_INIT;
  text (&meta, 1, api_version);
  text (&meta, 2, kind);
  buf_append (out, "k8s\0", 4);
  nested (out, 1, &meta);
  nested (out, 2, raw);
}

static void
expect (struct buf *whole, const char *json)
{
  struct arena a AUTO_ARENA = {0};
  struct buf out AUTO_BUF = BUF_INIT;
  struct value *v;
  struct err err = {0};
  if (protobuf_decode (&a, whole->data, whole->len, &v, &err))
    fail_msg ("%s", err.text);
  json_write (v, 0, &out);
  assert_string_equal (buf_cstr (&out), json);
}

static void
test_protobuf_decode__config_map_with_map_entries (void **state)
{
  struct buf whole AUTO_BUF = BUF_INIT, meta = BUF_INIT, entry = BUF_INIT, raw = BUF_INIT;
  (void) state;
  text (&meta, 1, "foo");
  text (&entry, 1, "a");
  text (&entry, 2, "b");
  nested (&raw, 1, &meta);
  nested (&raw, 2, &entry);
  envelope (&whole, "v1", "ConfigMap", &raw);
  expect (&whole, "{\"metadata\":{\"name\":\"foo\"},\"data\":{\"a\":\"b\"},\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"}");
}

static void
test_protobuf_decode__volume_source_is_inlined (void **state)
{
  struct buf whole AUTO_BUF = BUF_INIT, dir = BUF_INIT, source = BUF_INIT, volume = BUF_INIT, spec = BUF_INIT, raw = BUF_INIT;
  (void) state;
  text (&dir, 1, "Memory");
  nested (&source, 2, &dir); /* VolumeSource.emptyDir */
  text (&volume, 1, "tmp");
  nested (&volume, 2, &source);
  nested (&spec, 1, &volume);
  nested (&raw, 2, &spec);
  envelope (&whole, "v1", "Pod", &raw);
  expect (&whole, "{\"spec\":{\"volumes\":[{\"name\":\"tmp\",\"emptyDir\":{\"medium\":\"Memory\"}}]},\"apiVersion\":\"v1\",\"kind\":\"Pod\"}");
}

static void
test_protobuf_decode__truncated_at_every_byte_is_an_error_or_a_prefix (void **state)
{
  struct buf whole AUTO_BUF = BUF_INIT, meta = BUF_INIT, raw = BUF_INIT;
  (void) state;
  text (&meta, 1, "foo");
  nested (&raw, 1, &meta);
  envelope (&whole, "v1", "ConfigMap", &raw);
  for (size_t n = 0; n < whole.len; n++) {
    struct arena a AUTO_ARENA = {0};
    struct value *v = NULL;
    struct err err = {0};
    int r = protobuf_decode (&a, whole.data, n, &v, &err);
    assert_true (r ? err.text[0] != 0 : v != NULL);
  }
}

static void
test_protobuf_decode__unknown_kind_is_unsupported (void **state)
{
  struct buf whole AUTO_BUF = BUF_INIT, raw = BUF_INIT;
  struct arena a AUTO_ARENA = {0};
  struct value *v;
  struct err err;
  (void) state;
  text (&raw, 1, "x");
  envelope (&whole, "example.com/v1", "Nothing", &raw);
  assert_int_equal (protobuf_decode (&a, whole.data, whole.len, &v, &err), ERR_UNSUPPORTED);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_protobuf_decode__config_map_with_map_entries),
      cmocka_unit_test (test_protobuf_decode__volume_source_is_inlined),
      cmocka_unit_test (test_protobuf_decode__truncated_at_every_byte_is_an_error_or_a_prefix),
      cmocka_unit_test (test_protobuf_decode__unknown_kind_is_unsupported),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
