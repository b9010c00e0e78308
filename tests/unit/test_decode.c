#include "tests/lib/object.h"
#include "tests/lib/test.h"

static const struct {
  const char *kind, *in, *error; /* error NULL: out is expected */
  const char *out, *unknown;
} rows[] = {
  { "Pod", "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a'},'spec':{'hostNetwork':false,'nodeName':null}}", NULL,
    "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a'},'spec':{}}", NULL },
  { "Pod", "{'spec':{'containers':[{'name':'a','foo':1}],'bar':2}}", NULL, "{'spec':{'containers':[{'name':'a'}]}}",
    "unknown field 'spec.containers[0].foo'" },
  { "Pod", "{'spec':{'containers':[{'name':'a','resources':{'limits':{'cpu':'1000m','memory':0.5}}}]}}", NULL,
    "{'spec':{'containers':[{'name':'a','resources':{'limits':{'cpu':'1','memory':'500m'}}}]}}", NULL },
  { "Pod", "{'spec':{'containers':'x'}}", "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container",
    NULL, NULL },
  { "Pod", "{'spec':{'priority':3000000000}}", "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32",
    NULL, NULL },
  { "Pod", "{'spec':{'containers':[{'name':7}]}}", "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string",
    NULL, NULL },
  { "Pod", "{'metadata':{'creationTimestamp':'2026-01-02T03:04:05+01:00'}}", NULL, "{'metadata':{'creationTimestamp':'2026-01-02T02:04:05Z'}}",
    NULL },
  { "Pod", "{'metadata':{'creationTimestamp':'soon'}}",
    "parsing time \"soon\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"soon\" as \"2006\"", NULL, NULL },
  { "Secret", "{'data':{'a':'aGk=','b':''}}", NULL, "{'data':{'a':'aGk=','b':''}}", NULL },
  { "Secret", "{'data':{'a':'a$k='}}", "illegal base64 data at input byte 1", NULL, NULL },
  { "Service", "{'spec':{'ports':[{'port':80,'targetPort':'http'},{'port':81,'targetPort':8081}]}}", NULL,
    "{'spec':{'ports':[{'port':80,'targetPort':'http'},{'port':81,'targetPort':8081}]}}", NULL },
  { "ConfigMap", "{'data':{'a':null},'metadata':{'labels':{}}}", NULL, "{'data':{'a':''},'metadata':{}}", NULL },
  { "ConfigMap", "{'metadata':[]}", "json: cannot unmarshal array into Go struct field ConfigMap.metadata of type v1.ObjectMeta", NULL, NULL },
};

static void
test_schema_decode__table__prunes_canonicalises_and_refuses (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    AUTO_ARENA struct arena a;
    arena_init (&a, 0);
    const struct schema_kind *k = schema_kind_by_kind ("", "v1", rows[i].kind);
    struct value *v = object_parse (&a, rows[i].in), *unknown = value_array (&a);
    struct err err = { 0 };
    int r = schema_decode (&a, k->type, v, SCHEMA_UNKNOWN_STRICT, unknown, &err);
    if (rows[i].error) {
      assert_int_equal (r, ERR_PARSE);
      assert_string_equal (err.text, rows[i].error);
      continue;
    }
    assert_int_equal (r, 0);
    assert_string_equal (object_text (&a, v), rows[i].out);
    assert_int_equal (value_count (unknown) > 0, rows[i].unknown != NULL);
  }
}

static void
test_schema_decode__unknown_fields__are_named_with_their_place (void **state)
{
  (void) state;
  AUTO_ARENA struct arena a;
  arena_init (&a, 0);
  struct value *v = object_parse (&a, rows[1].in), *unknown = value_array (&a);
  assert_int_equal (schema_decode (&a, schema_kind_by_kind ("", "v1", "Pod")->type, v, SCHEMA_UNKNOWN_WARN, unknown, NULL), 0);
  assert_int_equal (value_count (unknown), 2);
  assert_string_equal (value_as_string (value_at (unknown, 0), ""), "unknown field \"spec.containers[0].foo\"");
  assert_string_equal (value_as_string (value_at (unknown, 1), ""), "unknown field \"spec.bar\"");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_schema_decode__table__prunes_canonicalises_and_refuses),
    cmocka_unit_test (test_schema_decode__unknown_fields__are_named_with_their_place),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
