#include "tests/lib/test.h"

#include "schemas/yaml.h"
#include "tests/lib/object.h"

static struct arena arena;

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
test_yaml_parse__as_sigs_yaml_reads_it (void **state)
{
  static const struct {
    const char *yaml, *json;
  } rows[] = {
    {"a: 1\nb: [x, 'y', \"z\"]\nc:\n- d: null\n  e: ~\n-\n", "{'a':1,'b':['x','y','z'],'c':[{'d':null,'e':null},null]}"},
    {"[yes, No, on, OFF, y, true, 'yes']", "[true,false,true,false,true,true,'yes']"},
    {"[0x1F, 017, 0o17, 0b11, 1_000, -5, +7, 08]", "[31,15,15,3,1000,-5,7,8]"},
    {"[1.5, .5, 1e3, 1., 2001-01-01, '2001-01-01T00:00:00Z', 12:30, 1.2.3, 0x, -]", "[1.5,0.5,1000,1,'2001-01-01','2001-01-01T00:00:00Z','12:30','1.2.3','0x','-']"},
    {"[18446744073709551615, 9007199254740993, !!str 1, !!int '3']", "[18446744073709552000,9007199254740993,'1',3]"},
    {"{1: a, 1.5: b, true: c, x: d}", "{'1':'a','1.5':'b','true':'c','x':'d'}"},
    {"a: &x {k: 1, l: 2}\nb: *x\nc:\n  <<: *x\n  l: 3\nd: {<<: [{p: 1}, {p: 2, q: 3}]}", "{'a':{'k':1,'l':2},'b':{'k':1,'l':2},'c':{'l':3,'k':1},'d':{'p':1,'q':3}}"},
    {"a: |\n  one\n  two\nb: >-\n  three\n  four\n", "{'a':'one\\ntwo\\n','b':'three four'}"},
    {"a: 1\na: 2\n", "{'a':2}"},
    {"---\n# nothing\n---\nx: 1\n", "{'x':1}"},
    {" {\"a\": [1, 2]} ", "{'a':[1,2]}"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct value *v = NULL;
    struct err err = {0};
    if (yaml_parse (&arena, rows[i].yaml, strlen (rows[i].yaml), &v, &err))
      fail_msg ("%s: %s", rows[i].yaml, err.text);
    assert_string_equal (object_text (&arena, v), rows[i].json);
  }
}

static void
test_yaml_parse_all__documents_in_order (void **state)
{
  const char *text = "a: 1\n---\n---\nb: &x 2\n...\n---\n[c]\n";
  struct value *v = NULL;
  (void) state;
  assert_int_equal (yaml_parse_all (&arena, text, strlen (text), &v, NULL), 0);
  assert_string_equal (object_text (&arena, v), "[{'a':1},{'b':2},['c']]");
  assert_int_equal (yaml_parse_all (&arena, "", 0, &v, NULL), 0);
  assert_int_equal (value_count (v), 0);
  assert_int_equal (yaml_parse (&arena, text, strlen (text), &v, NULL), ERR_PARSE);
}

static void
test_yaml_parse__malformed_names_line_and_column (void **state)
{
  static const struct {
    const char *yaml, *message;
  } rows[] = {
    {"a: b: c\n", "yaml: line 1, column 5: mapping values are not allowed in this context"},
    {"a:\n\t- b\n", "yaml: line 2, column 1: found character that cannot start any token"},
    {"a: [1, 2\n", "yaml: line 2, column 1: did not find expected ',' or ']'"},
    {"a: *x\n", "yaml: line 1, column 4: unknown anchor"},
    {"a: &x [*x]\n", "yaml: line 1, column 8: an anchor's value contains itself"},
    {"{[1]: 2}", "yaml: line 1, column 2: unsupported map key of its type"},
    {"a: .nan", "yaml: line 1, column 4: json: unsupported value: not a finite number"},
    {"<<: 1", "yaml: line 1, column 1: map merge requires map or sequence of maps as the value"},
    {"!!int x", "yaml: line 1, column 1: the scalar is not of its tag's type"},
  };
  struct value *v = NULL;
  struct err err;
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_int_equal (yaml_parse (&arena, rows[i].yaml, strlen (rows[i].yaml), &v, &err), ERR_PARSE);
    assert_string_equal (err.text, rows[i].message);
  }
}

static void
test_yaml_parse__aliases_are_bounded (void **state)
{
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *v = NULL;
  (void) state;
  buf_append_str (&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
  for (int i = 1; i < 9; i++)
    buf_printf (&b, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
  assert_int_equal (yaml_parse (&arena, (char *) b.data, b.len, &v, NULL), ERR_LIMIT);
  buf_reset (&b);
  for (int i = 0; i < 2000; i++)
    buf_append_byte (&b, '[');
  assert_int_equal (yaml_parse (&arena, (char *) b.data, b.len, &v, NULL), ERR_PARSE);
}

static void
test_yaml_write__as_kubectl_prints (void **state)
{
  struct value *v = object_parse (&arena,
    "{'kind':'Pod','apiVersion':'v1','metadata':{'name':'a','creationTimestamp':'2026-11-23T10:00:00Z','labels':{},'annotations':{'k10':'x','k2':'y',"
    "'yes':'no','num':'1','text':'a: b','lines':'one\\ntwo\\n','empty':'','quote':'it\\u0027s','hash':'#x','time':'12:30'}},"
    "'spec':{'containers':[{'name':'c','args':['-a','b c'],'n':5,'f':1.5,'t':true,'z':null}],'e':[]}}");
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *again = NULL;
  (void) state;
  yaml_write (v, &b);
  assert_string_equal (buf_cstr (&b),
    "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    empty: \"\"\n    hash: '#x'\n    k2: \"y\"\n    k10: x\n    lines: |\n      one\n      two\n"
    "    num: \"1\"\n    quote: it's\n    text: 'a: b'\n    time: \"12:30\"\n    \"yes\": \"no\"\n  creationTimestamp: \"2026-11-23T10:00:00Z\"\n  labels: {}\n"
    "  name: a\nspec:\n  containers:\n  - args:\n    - -a\n    - b c\n    f: 1.5\n    \"n\": 5\n    name: c\n    t: true\n    z: null\n  e: []\n");
  assert_int_equal (yaml_parse (&arena, (char *) b.data, b.len, &again, NULL), 0);
  assert_true (value_equal (v, again));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_yaml_parse__as_sigs_yaml_reads_it, setup, teardown),
    cmocka_unit_test_setup_teardown (test_yaml_parse_all__documents_in_order, setup, teardown),
    cmocka_unit_test_setup_teardown (test_yaml_parse__malformed_names_line_and_column, setup, teardown),
    cmocka_unit_test_setup_teardown (test_yaml_parse__aliases_are_bounded, setup, teardown),
    cmocka_unit_test_setup_teardown (test_yaml_write__as_kubectl_prints, setup, teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
