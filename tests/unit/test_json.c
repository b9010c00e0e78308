#include "tests/lib/test.h"

#include "schemas/json.h"
#include "schemas/msgpack.h"

static struct arena arena;

static struct value *
parse (const char *text)
{
  struct value *v = NULL;
  struct err err = {0};
  if (json_parse (&arena, text, strlen (text), &v, NULL, &err))
    fail_msg ("%s: %s", text, err.text);
  return v;
}

static const char *
compact (const struct value *v)
{
  static struct buf b;
  buf_reset (&b);
  json_write (v, 0, &b);
  return arena_strdup (&arena, buf_cstr (&b));
}

static int
setup (void **state)
{
  (void) state;
  arena_init (&arena, 0);
  return 0;
}

static int
teardown (void **state)
{
  (void) state;
  arena_done (&arena);
  return 0;
}

static void
test_json_parse__each_type_writes_back_the_same (void **state)
{
  static const char *const same[] = {
    "null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808", "9007199254740993", "1.5",
    "\"\"", "[]", "{}", "[1,[2,[3,{}]],\"x\"]", "{\"b\":1,\"a\":{\"c\":null}}", "\"h\xc3\xa9 \xf0\x9f\x98\x80\"",
  };
  (void) state;
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
    assert_string_equal (compact (parse (same[i])), same[i]);
}

static void
test_json_parse__integers_beyond_64_bits_become_floats (void **state)
{
  (void) state;
  assert_string_equal (compact (parse ("[18446744073709551615]")), "[18446744073709552000]");
  assert_string_equal (compact (parse ("{\"12345678901234567890123\":[-99999999999999999999,123456789012345678901234567890,1.25e-9]}")),
                       "{\"12345678901234567890123\":[-100000000000000000000,1.2345678901234568e+29,1.25e-9]}");
}

static void
test_json_parse__duplicate_key_last_wins_and_is_named (void **state)
{
  const char *text = "{\"spec\":{\"c\":[{},{\"n\":1,\"m\":0,\"n\":2,\"n\":3}],\"x\":1},\"k\":1}", *where = NULL;
  struct value *v = NULL;
  struct buf b AUTO_BUF = BUF_INIT;
  (void) state;
  assert_int_equal (json_parse (&arena, text, strlen (text), &v, &where, NULL), 0);
  assert_string_equal (where, "spec.c[1].n");
  assert_string_equal (compact (v), "{\"spec\":{\"c\":[{},{\"n\":3,\"m\":0}],\"x\":1},\"k\":1}");
  buf_append_str (&b, "{");
  for (int i = 0; i < 1000; i++)
    buf_printf (&b, "\"k%d\":%d,", i % 700, i);
  buf_append_str (&b, "\"z\":0}");
  assert_int_equal (json_parse (&arena, buf_cstr (&b), b.len, &v, &where, NULL), 0);
  assert_string_equal (where, "k0");
  assert_int_equal (value_count (v), 701);
  assert_int_equal (value_as_int (value_get (v, "k299"), 0), 999);
  assert_int_equal (value_as_int (value_get (v, "k300"), 0), 300);
  assert_int_equal (json_parse (&arena, "{}", 2, &v, &where, NULL), 0);
  assert_null (where);
}

static void
test_json_parse__malformed_is_refused_with_gos_words (void **state)
{
  static const struct {
    const char *text, *message;
  } rows[] = {
    {"", "unexpected end of JSON input"},
    {"{", "unexpected end of JSON input"},
    {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
    {"[1,]", "invalid character ']' looking for beginning of value"},
    {"{\"a\" 1}", "invalid character '1' after object key"},
    {"{} x", "invalid character 'x' after top-level value"},
    {"nul", "unexpected end of JSON input"},
    {"hello", "invalid character 'h' looking for beginning of value"},
    {"\"a\nb\"", "invalid character '\\n' in string literal"},
    {"[1 2]", "invalid character '2' after array element"},
  };
  struct value *v = NULL;
  struct err err;
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_int_equal (json_parse (&arena, rows[i].text, strlen (rows[i].text), &v, NULL, &err), ERR_PARSE);
    assert_string_equal (err.text, rows[i].message);
  }
  assert_int_equal (json_parse (&arena, "\"\xc0\xaf\"", 4, &v, NULL, &err), ERR_PARSE);
  assert_int_equal (json_parse (&arena, "1e999", 5, &v, NULL, &err), ERR_PARSE);
}

static void
test_json_parse__nesting_is_bounded (void **state)
{
  char text[2001];
  struct value *v = NULL;
  (void) state;
  memset (text, '[', 400);
  memset (text + 400, ']', 400);
  assert_int_equal (json_parse (&arena, text, 800, &v, NULL, NULL), 0);
  memset (text, '[', 1000);
  memset (text + 1000, ']', 1000);
  assert_int_equal (json_parse (&arena, text, 2000, &v, NULL, NULL), ERR_PARSE);
}

static void
test_json_parse__no_room_is_out_of_memory (void **state)
{
  struct arena small;
  struct value *v = NULL;
  const char *text = "{\"a\":[1,2,3,4,5,6,7,8,9,10],\"b\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}";
  (void) state;
  arena_init (&small, 200);
  assert_int_equal (json_parse (&small, text, strlen (text), &v, NULL, NULL), ERR_NOMEM);
  assert_null (v);
  arena_done (&small);
}

static void
test_json_write_string__escapes_as_go (void **state)
{
  static const struct {
    const char *in, *out;
  } rows[] = {
    {"<a&b>", "\"\\u003ca\\u0026b\\u003e\""},
    {"\"\\/\b\f\n\r\t\x01\x7f", "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f\""},
    {"a\xe2\x80\xa8z\xe2\x80\xa9", "\"a\\u2028z\\u2029\""},
    {"\xff\xc3(\xed\xa0\x80", "\"\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\""},
    {"0123456789abcdef0123456789abcde\xc3\xa9", "\"0123456789abcdef0123456789abcde\xc3\xa9\""},
    {"0123456789abcdef<123456789abcdef", "\"0123456789abcdef\\u003c123456789abcdef\""},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct buf b AUTO_BUF = BUF_INIT, tight AUTO_BUF = {.limit_bytes = strlen (rows[i].out)};
    json_write_string (rows[i].in, strlen (rows[i].in), &b);
    assert_string_equal (buf_cstr (&b), rows[i].out);
    json_write_string (rows[i].in, strlen (rows[i].in), &tight);
    assert_false (tight.failed);
    assert_string_equal (buf_cstr (&tight), rows[i].out);
    json_write_string ("x", 1, &tight);
    assert_true (tight.failed);
  }
}

static void
test_json_write_string__long_ones_survive_chunks (void **state)
{
  struct buf in AUTO_BUF = BUF_INIT, out AUTO_BUF = BUF_INIT;
  struct value *v = NULL;
  (void) state;
  for (int i = 0; i < 5000; i++)
    buf_append_str (&in, "\xe2\x82\xac\"x");
  json_write_string ((char *) in.data, in.len, &out);
  assert_int_equal (json_parse (&arena, (char *) out.data, out.len, &v, NULL, NULL), 0);
  assert_int_equal (v->len, in.len);
  assert_memory_equal (v->s, in.data, in.len);
}

static void
test_json_write__floats_are_gos (void **state)
{
  static const struct {
    double f;
    const char *text;
  } rows[] = {
    {0.1, "0.1"},   {1.0, "1"},           {100, "100"},          {1e20, "100000000000000000000"},
    {1e21, "1e+21"}, {1e-6, "0.000001"},   {1e-7, "1e-7"},        {-1.5, "-1.5"},
    {5e-324, "5e-324"}, {1.7976931348623157e308, "1.7976931348623157e+308"}, {123456.789, "123456.789"}, {0.3, "0.3"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    assert_string_equal (compact (value_float (&arena, rows[i].f)), rows[i].text);
}

static void
test_json_write__indented_and_packed_agree (void **state)
{
  struct value *v = parse ("{\"a\":[1,{\"b\":\"<\"}],\"c\":{},\"d\":[],\"e\":-1.25,\"f\":null,\"g\":true}");
  struct buf packed AUTO_BUF = BUF_INIT, tree AUTO_BUF = BUF_INIT, straight AUTO_BUF = BUF_INIT;
  (void) state;
  value_pack (v, &packed);
  for (int indent = 0; indent <= 4; indent += 2) {
    buf_reset (&tree);
    buf_reset (&straight);
    json_write (v, indent, &tree);
    assert_int_equal (json_write_packed (packed.data, packed.len, indent, &straight, NULL), 0);
    assert_string_equal (buf_cstr (&tree), buf_cstr (&straight));
    if (indent == 2)
      assert_string_equal (buf_cstr (&tree), "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"\\u003c\"\n    }\n  ],\n  \"c\": {},\n"
                                             "  \"d\": [],\n  \"e\": -1.25,\n  \"f\": null,\n  \"g\": true\n}");
  }
  for (size_t n = 0; n < packed.len; n++)
    assert_int_equal (json_write_packed (packed.data, n, 0, &straight, NULL), ERR_PARSE);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_json_parse__each_type_writes_back_the_same, setup, teardown),
    cmocka_unit_test_setup_teardown (test_json_parse__integers_beyond_64_bits_become_floats, setup, teardown),
    cmocka_unit_test_setup_teardown (test_json_parse__duplicate_key_last_wins_and_is_named, setup, teardown),
    cmocka_unit_test_setup_teardown (test_json_parse__malformed_is_refused_with_gos_words, setup, teardown),
    cmocka_unit_test_setup_teardown (test_json_parse__nesting_is_bounded, setup, teardown),
    cmocka_unit_test_setup_teardown (test_json_parse__no_room_is_out_of_memory, setup, teardown),
    cmocka_unit_test_setup_teardown (test_json_write_string__escapes_as_go, setup, teardown),
    cmocka_unit_test_setup_teardown (test_json_write_string__long_ones_survive_chunks, setup, teardown),
    cmocka_unit_test_setup_teardown (test_json_write__floats_are_gos, setup, teardown),
    cmocka_unit_test_setup_teardown (test_json_write__indented_and_packed_agree, setup, teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
