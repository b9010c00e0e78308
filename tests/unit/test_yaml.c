#include "tests/lib/test.h"

#include "base/buf.h"
#include "schemas/json.h"
#include "schemas/yaml.h"

static void
expect (const char *yaml, const char *json)
{
  struct arena a AUTO_ARENA = {0};
  struct buf out AUTO_BUF = BUF_INIT;
  struct value *v;
  struct err err = {0};
  if (yaml_parse_all (&a, yaml, strlen (yaml), &v, &err))
    fail_msg ("%s", err.text);
  json_write (v, 0, &out);
  assert_string_equal (buf_cstr (&out), json);
}

static void
test_yaml_parse__plain_scalars_resolve_as_yaml_1_1 (void **state)
{
  (void) state;
  expect ("a: 1\nb: yes\nc: 'yes'\nd: ~\ne: 1.5\nf: 0x10\ng: 010\nh: 1e3\ni: text here\nj: \"1\"\nk: 1.33.0\nl:\n",
          "[{\"a\":1,\"b\":true,\"c\":\"yes\",\"d\":null,\"e\":1.5,\"f\":16,\"g\":8,\"h\":1000,\"i\":\"text here\",\"j\":\"1\",\"k\":\"1.33.0\",\"l\":null}]");
}

static void
test_yaml_parse_all__documents_and_empty_ones (void **state)
{
  (void) state;
  expect ("---\na: 1\n---\n# nothing\n---\n- x\n- {k: [1, 2]}\n", "[{\"a\":1},[\"x\",{\"k\":[1,2]}]]");
}

static void
test_yaml_parse__anchors_and_merge_keys (void **state)
{
  (void) state;
  expect ("base: &b {x: 1, k: 2}\nuse:\n  <<: *b\n  k: 3\n", "[{\"base\":{\"x\":1,\"k\":2},\"use\":{\"k\":3,\"x\":1}}]");
}

static void
test_yaml_parse__malformed_names_the_line (void **state)
{
  struct arena a AUTO_ARENA = {0};
  struct value *v;
  struct err err;
  const char *laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                       "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f]\n";
  (void) state;
  assert_int_equal (yaml_parse (&a, "a: [1\nb: 2\n", 11, &v, &err), ERR_PARSE);
  assert_non_null (strstr (err.text, "line"));
  assert_int_equal (yaml_parse (&a, "a: 1\na: 2\n", 10, &v, &err), ERR_PARSE);
  assert_int_equal (yaml_parse (&a, laughs, strlen (laughs), &v, &err), ERR_LIMIT);
}

static void
test_yaml_write__reads_back_and_sorts (void **state)
{
  static const char json[] = "{\"b\":[{\"x\":\"1\",\"k\":[]},{\"z\":{}}],\"a\":\"line1\\nline2\\n\",\"c\":\"true\",\"d\":\"it's: odd\",\"e\":null,\"f\":\"\"}";
  struct arena a AUTO_ARENA = {0};
  struct buf out AUTO_BUF = BUF_INIT;
  struct value *v, *back;
  (void) state;
  assert_int_equal (json_parse (&a, json, strlen (json), &v, NULL, NULL), 0);
  yaml_write (v, &out);
  assert_string_equal (buf_cstr (&out), "a: |\n  line1\n  line2\nb:\n- k: []\n  x: \"1\"\n- z: {}\nc: \"true\"\nd: 'it''s: odd'\ne: null\nf: \"\"\n");
  assert_int_equal (yaml_parse (&a, buf_cstr (&out), out.len, &back, NULL), 0);
  assert_true (value_equal (v, back));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_yaml_parse__plain_scalars_resolve_as_yaml_1_1),
      cmocka_unit_test (test_yaml_parse_all__documents_and_empty_ones),
      cmocka_unit_test (test_yaml_parse__anchors_and_merge_keys),
      cmocka_unit_test (test_yaml_parse__malformed_names_the_line),
      cmocka_unit_test (test_yaml_write__reads_back_and_sorts),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
