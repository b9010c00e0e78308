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

struct row {
  const char *obj, *patch, *result; /* "!message": refused with it */
};

static void
test_patch_json__operations (void **state)
{
  static const struct row rows[] = {
    {"{'a':1}", "[{'op':'add','path':'/b','value':[1,2]},{'op':'add','path':'/b/1','value':9},{'op':'add','path':'/b/-','value':3}]", "{'a':1,'b':[1,9,2,3]}"},
    {"{'a':{'b/c':1,'~':2}}", "[{'op':'remove','path':'/a/b~1c'},{'op':'replace','path':'/a/~0','value':null}]", "{'a':{'~':null}}"},
    {"{'a':[1,2,3]}", "[{'op':'remove','path':'/a/-1'},{'op':'replace','path':'/a/0','value':{'x':1}}]", "{'a':[{'x':1},2]}"},
    {"{'a':{'x':[1]}}", "[{'op':'copy','from':'/a','path':'/b'},{'op':'add','path':'/b/x/0','value':0},{'op':'move','from':'/a/x','path':'/c'}]",
     "{'a':{},'b':{'x':[0,1]},'c':[1]}"},
    {"{'a':1}", "[{'op':'test','path':'/a','value':1.0},{'op':'test','path':'/z','value':null},{'op':'replace','path':'','value':{}}]", "{}"},
    {"{'a':1}", "[{'op':'test','path':'/a','value':2}]", "!testing value /a failed: test failed"},
    {"{'a':1}", "[{'op':'remove','path':'/b'}]", "!error in remove for path: '/b': Unable to remove nonexistent key: b: missing value"},
    {"{'a':1}", "[{'op':'replace','path':'/b','value':1}]", "!replace operation does not apply: doc is missing key: \"/b\": missing value"},
    {"{'a':1}", "[{'op':'add','path':'/b/c','value':1}]", "!add operation does not apply: doc is missing path: \"/b/c\": missing value"},
    {"{'a':[]}", "[{'op':'add','path':'/a/2','value':1}]", "!error in add for path: '/a/2': Unable to access invalid index: 2: invalid index referenced"},
    {"{'a':{'b':1}}", "[{'op':'move','from':'/a','path':'/a/b/c'}]", "!move operation does not apply: \"/a/b/c\" is within \"/a\""},
    {"{}", "[{'op':'fly','path':'/a'}]", "!Unexpected kind: fly"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct value *obj = object_parse (&arena, rows[i].obj), *out = NULL;
    struct err err = {0};
    int r = patch_json (&arena, obj, object_parse (&arena, rows[i].patch), &out, &err);
    if (rows[i].result[0] != '!') {
      if (r)
        fail_msg ("%s: %s", rows[i].patch, err.text);
      assert_string_equal (object_text (&arena, out), rows[i].result);
    } else {
      assert_int_equal (r, ERR_INVALID);
      assert_string_equal (err.text, rows[i].result + 1);
    }
    assert_string_equal (object_text (&arena, obj), rows[i].obj);
  }
  assert_int_equal (patch_json (&arena, NULL, object_parse (&arena, "{}"), &(struct value *){NULL}, NULL), ERR_PARSE);
}

static void
test_patch_json__copies_are_bounded (void **state)
{
  struct value *patch = value_array (&arena), *out = NULL, *obj = object_parse (&arena, "{'a':['0123456789012345678901234567890123456789']}");
  (void) state;
  for (int i = 0; i < 60; i++)
    value_append (&arena, patch, object_parse (&arena, "{'op':'copy','from':'/a','path':'/a/-'}"));
  assert_int_equal (patch_json (&arena, obj, patch, &out, NULL), ERR_LIMIT);
}

static void
test_patch_merge__rfc_7396 (void **state)
{
  static const struct row rows[] = {
    {"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
    {"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"},
    {"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
    {"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
    {"{'a':[{'b':'c'}]}", "{'a':[1,{'x':null}]}", "{'a':[1,{'x':null}]}"},
    {"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"},
    {"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct value *obj = object_parse (&arena, rows[i].obj), *out = NULL;
    assert_int_equal (patch_merge (&arena, obj, object_parse (&arena, rows[i].patch), &out, NULL), 0);
    assert_string_equal (object_text (&arena, out), rows[i].result);
    assert_string_equal (object_text (&arena, obj), rows[i].obj);
  }
}

#define CONTAINERS(x) "{'spec':{'containers':[" x "]}}"

static void
test_patch_strategic__as_upstream (void **state)
{
  static const struct row rows[] = {
    /* merged by name; what is new comes first, as upstream orders it */
    {CONTAINERS ("{'name':'a','image':'x'},{'name':'b','image':'y'}"), CONTAINERS ("{'name':'b','image':'z'}"),
     CONTAINERS ("{'name':'a','image':'x'},{'name':'b','image':'z'}")},
    {CONTAINERS ("{'name':'a','image':'x'}"), CONTAINERS ("{'name':'c','image':'w','tty':null}"),
     CONTAINERS ("{'name':'c','image':'w'},{'name':'a','image':'x'}")},
    {CONTAINERS ("{'name':'a'},{'name':'b'}"), CONTAINERS ("{'name':'a','$patch':'delete'}"), CONTAINERS ("{'name':'b'}")},
    {CONTAINERS ("{'name':'a'},{'name':'b'}"), CONTAINERS ("{'$patch':'replace'},{'name':'c'}"), CONTAINERS ("{'name':'c'}")},
    {"{'spec':{'$setElementOrder/x':1}}", "{'spec':{'$patch':'replace','nodeName':'n'}}", "{'spec':{'nodeName':'n'}}"},
    {"{'spec':{'nodeName':'n','hostname':'h'}}", "{'spec':{'$patch':'delete'}}", "{'spec':{}}"},
    {CONTAINERS ("{'name':'a'},{'name':'b'},{'name':'s'}"),
     "{'spec':{'$setElementOrder/containers':[{'name':'b'},{'name':'a'}],'containers':[{'name':'a','image':'z'}]}}",
     CONTAINERS ("{'name':'b'},{'name':'a','image':'z'},{'name':'s'}")},
    {CONTAINERS ("{'name':'a'},{'name':'b'}"), "{'spec':{'$setElementOrder/containers':[{'name':'b'},{'name':'a'}]}}",
     CONTAINERS ("{'name':'b'},{'name':'a'}")},
    /* lists of scalars */
    {"{'metadata':{'finalizers':['a','b']}}", "{'metadata':{'finalizers':['c','b']}}", "{'metadata':{'finalizers':['c','a','b']}}"},
    {"{'metadata':{'finalizers':['a','b']}}", "{'metadata':{'$deleteFromPrimitiveList/finalizers':['a']}}", "{'metadata':{'finalizers':['b']}}"},
    {"{'metadata':{'finalizers':['a','b']}}",
     "{'metadata':{'$deleteFromPrimitiveList/finalizers':['a'],'$setElementOrder/finalizers':['c','b'],'finalizers':['c']}}",
     "{'metadata':{'finalizers':['c','b']}}"},
    /* lists without a strategy are replaced */
    {CONTAINERS ("{'name':'a','args':['x','y']}"), CONTAINERS ("{'name':'a','args':['z']}"), CONTAINERS ("{'name':'a','args':['z']}")},
    /* maps merge, null removes, absent null adds nothing */
    {"{'metadata':{'labels':{'a':'1','b':'2'}}}", "{'metadata':{'labels':{'a':null,'c':'3','d':null}}}", "{'metadata':{'labels':{'b':'2','c':'3'}}}"},
    {"{'spec':{}}", "{'spec':{'nodeSelector':{'x':null,'y':'1'}}}", "{'spec':{'nodeSelector':{'y':'1'}}}"},
    /* retainKeys */
    {"{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}", "{'spec':{'volumes':[{'name':'v','$retainKeys':['name','hostPath'],'hostPath':{'path':'/x'}}]}}",
     "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/x'}}]}}"},
    /* a list merged by another key than name */
    {CONTAINERS ("{'name':'a','ports':[{'containerPort':80},{'containerPort':81}]}"),
     CONTAINERS ("{'name':'a','ports':[{'containerPort':81,'name':'web'}]}"),
     CONTAINERS ("{'name':'a','ports':[{'containerPort':80},{'containerPort':81,'name':'web'}]}")},
    {CONTAINERS ("{'name':'a'}"), CONTAINERS ("{'image':'z'}"), "!map does not contain declared merge key: name"},
    {CONTAINERS ("{'name':'a'}"), CONTAINERS ("{'name':'a','$patch':'fly'}"), "!unknown patch type found: fly"},
    {CONTAINERS ("{'name':'a'}"), "{'spec':{'$setElementOrder/containers':[{'name':'b'}],'containers':[{'name':'a'}]}}", "!The order in patch list doesn't match $setElementOrder/containers list"},
    {"{'spec':{}}", "{'spec':{'$retainKeys':['a'],'b':1}}", "!retainKeys list doesn't contain a field that is present in the patch: b"},
  };
  const struct schema_type *pod = schema_type_find ("v1", "Pod");
  (void) state;
  assert_non_null (pod);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct value *obj = object_parse (&arena, rows[i].obj), *patch = object_parse (&arena, rows[i].patch), *out = NULL;
    struct err err = {0};
    int r = patch_strategic (&arena, pod, obj, patch, &out, &err);
    if (rows[i].result[0] != '!') {
      if (r)
        fail_msg ("%s: %s", rows[i].patch, err.text);
      assert_string_equal (object_text (&arena, out), rows[i].result);
    } else {
      assert_int_equal (r, ERR_PARSE);
      assert_string_equal (err.text, rows[i].result + 1);
    }
    assert_string_equal (object_text (&arena, obj), rows[i].obj);
    assert_string_equal (object_text (&arena, patch), rows[i].patch);
  }
}

static void
test_patch_strategic__without_a_type_is_a_merge_patch (void **state)
{
  struct value *out = NULL;
  (void) state;
  assert_int_equal (patch_strategic (&arena, NULL, object_parse (&arena, "{'a':[{'name':1}],'b':{'c':1,'d':2}}"),
                                     object_parse (&arena, "{'a':[{'name':2}],'b':{'c':null}}"), &out, NULL), 0);
  assert_string_equal (object_text (&arena, out), "{'a':[{'name':2}],'b':{'d':2}}");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_patch_json__operations, setup, teardown),
    cmocka_unit_test_setup_teardown (test_patch_json__copies_are_bounded, setup, teardown),
    cmocka_unit_test_setup_teardown (test_patch_merge__rfc_7396, setup, teardown),
    cmocka_unit_test_setup_teardown (test_patch_strategic__as_upstream, setup, teardown),
    cmocka_unit_test_setup_teardown (test_patch_strategic__without_a_type_is_a_merge_patch, setup, teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
