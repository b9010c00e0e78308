#include "tests/lib/test.h"

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

static struct selector *
labels (const char *text)
{
  struct selector *s = NULL;
  struct err err = {0};
  if (selector_parse_labels (&arena, text, &s, &err))
    fail_msg ("%s: %s", text, err.text);
  return s;
}

static void
test_selector_parse_labels__prints_canonically (void **state)
{
  static const struct {
    const char *in, *out;
  } rows[] = {
    {"", ""},
    {"x=a,y=b", "x=a,y=b"},
    {"y != b , x==a", "x==a,y!=b"},
    {"x in (c,a, b),!z,w", "w,x in (a,b,c),!z"},
    {"x notin (a)", "x notin (a)"},
    {"in=notin,notin in (in)", "in=notin,notin in (in)"},
    {"x=", "x="},
    {"x in (),y in (,a)", "x in (),y in (,a)"},
    {"n>3,n<10", "n>3,n<10"},
    {"app.kubernetes.io/name=web", "app.kubernetes.io/name=web"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    assert_string_equal (selector_string (&arena, labels (rows[i].in)), rows[i].out);
}

static void
test_selector_parse_labels__malformed_in_upstreams_words (void **state)
{
  static const struct {
    const char *in, *message;
  } rows[] = {
    {"x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt"},
    {"=x", "found '=', expected: !, identifier, or 'end of string'"},
    {"x=a,", "found '', expected: identifier after ','"},
    {"x=a y", "found 'y', expected: ',' or 'end of string'"},
    {"x in a", "unable to parse requirement: found 'a', expected: '('"},
    {"x in (a", "unable to parse requirement: found '', expected: ',' or ')'"},
    {"!", "unable to parse requirement: found '', expected: identifier"},
    {"x>a", "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer"},
  };
  struct selector *s = NULL;
  struct err err;
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_int_equal (selector_parse_labels (&arena, rows[i].in, &s, &err), ERR_PARSE);
    assert_string_equal (err.text, rows[i].message);
  }
  assert_int_equal (selector_parse_labels (&arena, "-a=b", &s, &err), ERR_PARSE);
  assert_non_null (strstr (err.text, "key: Invalid value: \"-a\": name part must consist of"));
}

static void
test_selector_matches__each_operator (void **state)
{
  struct value *v = object_parse (&arena, "{'app':'web','tier':'front','n':'5'}");
  static const struct {
    const char *text;
    bool matches;
  } rows[] = {
    {"", true},           {"app=web", true},        {"app=db", false},     {"app!=db", true},     {"gone!=x", true},
    {"app in (a,web)", true}, {"app notin (web)", false}, {"gone notin (a)", true}, {"app", true}, {"!app", false},
    {"!gone", true},      {"gone", false},          {"n>4", true},         {"n<5", false},        {"app>1", false},
    {"app=web,tier=back", false},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (selector_matches (labels (rows[i].text), v) != rows[i].matches)
      fail_msg ("%s", rows[i].text);
  assert_true (selector_matches (NULL, v));
  assert_true (selector_matches (labels ("a!=b"), NULL));
  assert_string_equal (selector_required_value (labels ("b=c,a==x"), "a"), "x");
  assert_null (selector_required_value (labels ("a!=x"), "a"));
}

static void
test_selector_from_label_selector__nothing_everything_and_expressions (void **state)
{
  struct selector *s = NULL;
  struct err err;
  struct value *v = object_parse (&arena, "{'app':'web'}");
  (void) state;
  assert_int_equal (selector_from_label_selector (&arena, NULL, &s, &err), 0);
  assert_false (selector_matches (s, v));
  assert_int_equal (selector_from_label_selector (&arena, value_map (&arena), &s, &err), 0);
  assert_true (selector_matches (s, v));
  assert_int_equal (selector_from_label_selector (&arena, object_parse (&arena, "{'matchLabels':{'app':'web'},'matchExpressions':"
    "[{'key':'a','operator':'DoesNotExist'},{'key':'z','operator':'NotIn','values':['q','p']}]}"), &s, &err), 0);
  assert_true (selector_matches (s, v));
  assert_string_equal (selector_string (&arena, s), "!a,app=web,z notin (p,q)");
  assert_int_equal (selector_from_label_selector (&arena, object_parse (&arena, "{'matchExpressions':[{'key':'a','operator':'Is'}]}"), &s, &err),
                    ERR_PARSE);
  assert_string_equal (err.text, "\"Is\" is not a valid label selector operator");
  assert_int_equal (selector_from_map (&arena, v, &s, &err), 0);
  assert_string_equal (selector_string (&arena, s), "app=web");
}

static void
test_selector_parse_fields__matches_values_and_zero_values (void **state)
{
  static const char *const fields[] = {"spec.nodeName", "status.phase", "spec.hostNetwork", NULL};
  static const struct schema_field spec_fields[] = {{.name = "nodeName", .scalar = SCHEMA_STRING}, {.name = "hostNetwork", .scalar = SCHEMA_BOOL}};
  static const struct schema_type spec = {.fields = spec_fields, .n_fields = 2};
  static const struct schema_field root_fields[] = {{.name = "spec", .type = &spec, .scalar = SCHEMA_STRUCT}};
  static const struct schema_type root = {.fields = root_fields, .n_fields = 1};
  const struct schema_kind pod = {.group = "", .kind = "Pod", .selectable_fields = fields, .namespaced = true, .type = &root};
  const struct schema_kind other = {.group = "", .kind = "X", .namespaced = true};
  struct value *v = object_parse (&arena, "{'metadata':{'name':'a,b','namespace':'d'},'spec':{'nodeName':'n1'},'status':{'phase':'Running'}}");
  struct selector *s = NULL;
  struct err err;
  static const struct {
    const char *text;
    bool matches;
  } rows[] = {
    {"", true}, {"metadata.name=a\\,b", true}, {"metadata.namespace!=d", false}, {"spec.nodeName==n1,status.phase!=Failed", true},
    {"spec.nodeName=", false}, {"spec.hostNetwork=false", true}, {"spec.host=n1", true}, {",,status.phase=Running,", true},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_int_equal (selector_parse_fields (&arena, &pod, rows[i].text, &s, &err), 0);
    if (selector_matches_fields (s, &pod, v) != rows[i].matches)
      fail_msg ("%s", rows[i].text);
  }
  assert_int_equal (selector_parse_fields (&arena, &pod, "spec.nodeName=n1", &s, &err), 0);
  assert_string_equal (selector_required_value (s, "spec.nodeName"), "n1");
  assert_int_equal (selector_parse_fields (&arena, &pod, "spec.x=1", &s, &err), ERR_INVALID);
  assert_string_equal (err.text, "field label not supported: spec.x");
  assert_int_equal (selector_parse_fields (&arena, &other, "spec.x=1", &s, &err), ERR_INVALID);
  assert_string_equal (err.text, "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
  assert_int_equal (selector_parse_fields (&arena, &pod, "status.phase", &s, &err), ERR_INVALID);
  assert_string_equal (err.text, "invalid selector: 'status.phase'; can't understand 'status.phase'");
  assert_int_equal (selector_parse_fields (&arena, &pod, "status.phase=a=b", &s, &err), ERR_INVALID);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_selector_parse_labels__prints_canonically, setup, teardown),
    cmocka_unit_test_setup_teardown (test_selector_parse_labels__malformed_in_upstreams_words, setup, teardown),
    cmocka_unit_test_setup_teardown (test_selector_matches__each_operator, setup, teardown),
    cmocka_unit_test_setup_teardown (test_selector_from_label_selector__nothing_everything_and_expressions, setup, teardown),
    cmocka_unit_test_setup_teardown (test_selector_parse_fields__matches_values_and_zero_values, setup, teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
