#include "tests/lib/test.h"

#include "schemas/fieldset.h"
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

#define T1 "2026-11-23T10:00:00Z"
#define T2 "2026-11-23T10:00:05Z"
#define T3 "2026-11-23T10:00:09Z"

static const char *
text (const struct value *v)
{
  return object_text (&arena, v);
}

static struct apply_request
request (const char *manager, const char *now)
{
  return (struct apply_request){.type = schema_type_find ("apps/v1", "Deployment"), .manager = manager, .api_version = "apps/v1",
                                .subresource = "", .now = now};
}

static struct apply_conflict *conflicts;
static size_t n_conflicts;
static struct err err;

static struct value *
apply (const struct apply_request *rq, const struct value *live, const char *config)
{
  struct value *out = NULL;
  const char *before = live ? text (live) : "";
  if (apply_server_side (&arena, rq, live, object_parse (&arena, config), &out, &conflicts, &n_conflicts, &err))
    fail_msg ("%s: %s", config, err.text);
  if (live)
    assert_string_equal (text (live), before);
  return out;
}

static int
apply_fails (const struct apply_request *rq, const struct value *live, const char *config)
{
  struct value *out = NULL;
  int r = apply_server_side (&arena, rq, live, object_parse (&arena, config), &out, &conflicts, &n_conflicts, &err);
  assert_null (out);
  return r;
}

static const char *
managed (const struct value *obj)
{
  return text (value_path (obj, "metadata.managedFields"));
}

#define ENTRY(name, op, time, fields) \
  "{'manager':'" name "','operation':'" op "','apiVersion':'apps/v1','time':'" time "','fieldsType':'FieldsV1','fieldsV1':{" fields "}}"
#define DEPLOYMENT(spec) "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'d'},'spec':{" spec "}}"

static void
test_fieldset_of__each_form (void **state)
{
  const struct schema_type *pod = schema_type_find ("v1", "Pod");
  struct fieldset *s = NULL, *again = NULL;
  (void) state;
  assert_int_equal (fieldset_of (&arena, pod, object_parse (&arena,
    "{'metadata':{'labels':{'b':'1','a':'2'},'finalizers':['z','y'],'annotations':{}},'spec':{'nodeSelector':{'x':'y'},"
    "'containers':[{'name':'c','args':['q'],'ports':[{'containerPort':443},{'containerPort':80,'protocol':'UDP'}],'tty':null}],"
    "'volumes':[{'name':'v','emptyDir':{}}],'tolerations':[]}}"), &s, NULL), 0);
  assert_string_equal (text (fieldset_encode (&arena, s)),
    "{'f:metadata':{'f:annotations':{},'f:finalizers':{'v:\\'y\\'':{},'v:\\'z\\'':{}},'f:labels':{'f:a':{},'f:b':{}}},"
    "'f:spec':{'f:containers':{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:args':{},'f:name':{},'f:ports':{"
    "'k:{\\'containerPort\\':80,\\'protocol\\':\\'UDP\\'}':{'.':{},'f:containerPort':{},'f:protocol':{}},"
    "'k:{\\'containerPort\\':443,\\'protocol\\':\\'TCP\\'}':{'.':{},'f:containerPort':{}}},'f:tty':{}}},'f:nodeSelector':{},"
    "'f:tolerations':{},'f:volumes':{'k:{\\'name\\':\\'v\\'}':{'.':{},'f:emptyDir':{},'f:name':{}}}}}");
  assert_int_equal (fieldset_decode (&arena, fieldset_encode (&arena, s), &again, NULL), 0);
  assert_true (fieldset_equal (s, again));
  assert_int_equal (fieldset_of (&arena, pod, object_parse (&arena, "{'spec':{'containers':[{'image':'x'}]}}"), &s, &err), ERR_INVALID);
}

static void
test_fieldset_decode__malformed_is_refused (void **state)
{
  static const char *const bad[] = {"{'x':{}}", "{'f:a':1}", "{'k:[1]':{}}", "{'k:{':{}}", "{'i:x':{}}", "{'q:a':{}}"};
  struct fieldset *s = NULL;
  (void) state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal (fieldset_decode (&arena, object_parse (&arena, bad[i]), &s, &err), ERR_PARSE);
}

static void
test_apply_track_update__create_as_upstream_writes_it (void **state)
{
  struct apply_request rq = request ("kubectl-create", T1);
  struct value *obj = object_parse (&arena,
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'d','namespace':'n','uid':'u','labels':{'app':'d'}},"
    "'spec':{'replicas':3,'selector':{'matchLabels':{'app':'d'}},'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':'25%'}},"
    "'template':{'metadata':{'labels':{'app':'d'}},'spec':{'containers':[{'name':'c','image':'i','resources':{}}],'securityContext':{}}}}}");
  (void) state;
  assert_int_equal (apply_track_update (&arena, &rq, NULL, obj, &err), 0);
  assert_string_equal (managed (obj), "[" ENTRY ("kubectl-create", "Update", T1,
    "'f:metadata':{'f:labels':{'.':{},'f:app':{}}},'f:spec':{'f:replicas':{},'f:selector':{},"
    "'f:strategy':{'f:rollingUpdate':{'.':{},'f:maxSurge':{}},'f:type':{}},'f:template':{'f:metadata':{'f:labels':{'.':{},'f:app':{}}},"
    "'f:spec':{'f:containers':{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:image':{},'f:name':{},'f:resources':{}}},'f:securityContext':{}}}}") "]");
}

static void
test_apply_track_update__takes_changes_and_keeps_time_of_a_no_op (void **state)
{
  struct apply_request a = request ("a", T1), b = request ("b", T2), c = request ("c", T3);
  struct value *one = object_parse (&arena, DEPLOYMENT ("'replicas':1,'paused':true")), *two, *three, *four;
  (void) state;
  assert_int_equal (apply_track_update (&arena, &a, NULL, one, &err), 0);
  two = value_clone (&arena, one);
  value_set_path (&arena, two, "spec.replicas", value_int (&arena, 2));
  assert_int_equal (apply_track_update (&arena, &b, one, two, &err), 0);
  assert_string_equal (managed (two), "[" ENTRY ("a", "Update", T1, "'f:spec':{'f:paused':{}}") ","
                                          ENTRY ("b", "Update", T2, "'f:spec':{'f:replicas':{}}") "]");
  three = value_clone (&arena, two);
  value_set_path (&arena, three, "metadata.resourceVersion", value_string (&arena, "7"));
  assert_int_equal (apply_track_update (&arena, &c, two, three, &err), 0);
  assert_string_equal (managed (three), managed (two));
  four = value_clone (&arena, three);
  value_unset (value_get (four, "spec"), "paused");
  value_unset (value_get (four, "metadata"), "managedFields"); /* a client that does not know of them */
  assert_int_equal (apply_track_update (&arena, &c, three, four, &err), 0);
  assert_string_equal (managed (four), "[" ENTRY ("b", "Update", T2, "'f:spec':{'f:replicas':{}}") "]");
}

static void
test_apply_track_update__reset_and_untracked_stay_untracked (void **state)
{
  struct apply_request a = request ("a", T1);
  struct value *one = object_parse (&arena, DEPLOYMENT ("'replicas':1")), *two, *three;
  (void) state;
  assert_int_equal (apply_track_update (&arena, &a, NULL, one, &err), 0);
  two = value_clone (&arena, one);
  value_set_path (&arena, two, "metadata.managedFields", value_array (&arena));
  assert_int_equal (apply_track_update (&arena, &a, one, two, &err), 0);
  assert_null (value_path (two, "metadata.managedFields"));
  three = value_clone (&arena, two);
  value_set_path (&arena, three, "spec.replicas", value_int (&arena, 9));
  assert_int_equal (apply_track_update (&arena, &a, two, three, &err), 0);
  assert_null (value_path (three, "metadata.managedFields"));
}

static void
test_apply_track_update__many_updaters_become_ancient_changes (void **state)
{
  struct value *obj = object_parse (&arena, DEPLOYMENT ("'replicas':1")), *next;
  struct apply_request rq = request ("m00", "2026-11-23T10:00:00Z");
  (void) state;
  assert_int_equal (apply_track_update (&arena, &rq, NULL, obj, &err), 0);
  for (int i = 1; i < 15; i++) {
    rq.manager = arena_printf (&arena, "m%02d", i);
    rq.now = arena_printf (&arena, "2026-11-23T10:00:%02dZ", i);
    next = value_clone (&arena, obj);
    value_set (&arena, value_ensure_map (&arena, value_get (next, "metadata"), "labels"), arena_printf (&arena, "l%d", i), value_string (&arena, "x"));
    assert_int_equal (apply_track_update (&arena, &rq, obj, next, &err), 0);
    obj = next;
  }
  assert_int_equal (value_count (value_path (obj, "metadata.managedFields")), 10);
  assert_string_equal (value_path_string (obj, "metadata.managedFields.0.manager", ""), "ancient-changes");
  assert_string_equal (text (value_path (obj, "metadata.managedFields.0.fieldsV1")),
                       "{'f:metadata':{'f:labels':{'.':{},'f:l1':{},'f:l2':{},'f:l3':{},'f:l4':{},'f:l5':{}}},'f:spec':{'f:replicas':{}}}");
}

static void
test_apply_server_side__create_and_again_is_a_no_op (void **state)
{
  struct apply_request rq = request ("me", T1), later = request ("me", T2);
  const char *config = DEPLOYMENT ("'replicas':3,'template':{'spec':{'containers':[{'name':'c','image':'i'}]}}");
  struct value *one = apply (&rq, NULL, config), *two = apply (&later, one, config);
  (void) state;
  assert_string_equal (managed (one), "[" ENTRY ("me", "Apply", T1,
    "'f:spec':{'f:replicas':{},'f:template':{'f:spec':{'f:containers':{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:image':{},'f:name':{}}}}}}") "]");
  assert_string_equal (text (two), text (one));
}

static void
test_apply_server_side__removes_what_is_no_longer_applied_and_only_that (void **state)
{
  struct apply_request me = request ("me", T1), other = request ("other", T2), later = request ("me", T3);
  struct value *v = apply (&me, NULL, "{'metadata':{'labels':{'a':'1','b':'2','c':'3'}},'spec':{'replicas':3,'paused':true,"
                                      "'template':{'spec':{'containers':[{'name':'x','image':'i'},{'name':'y','image':'j'}]}}}}");
  (void) state;
  v = apply (&other, v, "{'metadata':{'labels':{'b':'2'}}}"); /* shares b */
  value_set_path (&arena, v, "spec.revisionHistoryLimit", value_int (&arena, 10)); /* nobody's: a default */
  v = apply (&later, v, "{'metadata':{'labels':{'c':'3'}},'spec':{'replicas':3,'template':{'spec':{'containers':[{'name':'y','image':'j'}]}}}}");
  value_unset (value_get (v, "metadata"), "managedFields");
  assert_string_equal (text (v), "{'metadata':{'labels':{'b':'2','c':'3'}},'spec':{'replicas':3,'template':{'spec':{'containers':["
                                 "{'name':'y','image':'j'}]}},'revisionHistoryLimit':10}}");
}

static void
test_apply_server_side__conflicts_are_named_and_forced (void **state)
{
  struct apply_request create = request ("kubectl-create", T1), a = request ("a", T2), b = request ("b", T3);
  struct value *v = object_parse (&arena, DEPLOYMENT ("'replicas':1,'template':{'spec':{'containers':[{'name':'c','image':'i'}]}}"));
  (void) state;
  assert_int_equal (apply_track_update (&arena, &create, NULL, v, &err), 0);
  assert_int_equal (apply_fails (&a, v, DEPLOYMENT ("'replicas':2")), ERR_CONFLICT);
  assert_int_equal (n_conflicts, 1);
  assert_string_equal (conflicts[0].field, ".spec.replicas");
  assert_string_equal (conflicts[0].manager, "kubectl-create");
  assert_string_equal (err.text, "Apply failed with 1 conflict: conflict with \"kubectl-create\" using apps/v1: .spec.replicas");
  assert_int_equal (apply_fails (&a, v, DEPLOYMENT ("'replicas':2,'template':{'spec':{'containers':[{'name':'c','image':'z'}]}}")), ERR_CONFLICT);
  assert_string_equal (err.text, "Apply failed with 2 conflicts: conflicts with \"kubectl-create\" using apps/v1:\n- .spec.replicas\n"
                                 "- .spec.template.spec.containers[name=\"c\"].image");
  a.force = true;
  v = apply (&a, v, DEPLOYMENT ("'replicas':2"));
  assert_int_equal (value_path_int (v, "spec.replicas", 0), 2);
  assert_string_equal (text (value_path (v, "metadata.managedFields.0")), ENTRY ("a", "Apply", T2, "'f:spec':{'f:replicas':{}}"));
  assert_null (value_path (v, "metadata.managedFields.1.fieldsV1.f:spec.f:replicas"));
  v = apply (&b, v, DEPLOYMENT ("'replicas':2")); /* the same value is shared */
  assert_int_equal (value_count (value_path (v, "metadata.managedFields")), 3);
  assert_int_equal (apply_fails (&b, v, DEPLOYMENT ("'replicas':5")), ERR_CONFLICT);
  assert_string_equal (err.text, "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas");
}

static void
test_apply_server_side__kubectl_may_overwrite_what_it_applied_itself (void **state)
{
  struct apply_request create = request ("kubectl-client-side-apply", T1), k = request ("kubectl", T2);
  struct value *v = object_parse (&arena, DEPLOYMENT ("'replicas':1"));
  (void) state;
  value_set (&arena, value_ensure_map (&arena, value_get (v, "metadata"), "annotations"), "kubectl.kubernetes.io/last-applied-configuration",
             value_string (&arena, "{\"spec\":{\"replicas\":1}}"));
  assert_int_equal (apply_track_update (&arena, &create, NULL, v, &err), 0);
  v = apply (&k, v, DEPLOYMENT ("'replicas':2"));
  assert_int_equal (value_path_int (v, "spec.replicas", 0), 2);
}

static void
test_apply_server_side__untracked_belongs_to_before_first_apply (void **state)
{
  struct apply_request a = request ("a", T1);
  struct value *v = object_parse (&arena, "{'metadata':{'name':'d','uid':'u'},'spec':{'replicas':1}}");
  (void) state;
  assert_int_equal (apply_fails (&a, v, DEPLOYMENT ("'replicas':2")), ERR_CONFLICT);
  assert_string_equal (conflicts[0].manager, "before-first-apply");
  v = apply (&a, v, DEPLOYMENT ("'paused':true"));
  assert_string_equal (managed (v), "[" ENTRY ("a", "Apply", T1, "'f:spec':{'f:paused':{}}") ","
                                        ENTRY ("before-first-apply", "Update", T1, "'f:spec':{'f:replicas':{}}") "]");
}

static void
test_apply_server_side__lists_keep_the_order_of_the_configuration (void **state)
{
  static const struct {
    const char *live, *config, *merged;
  } rows[] = {
    {"a b c", "c a", "b c a"}, {"a b", "b a", "b a"}, {"a b c", "d", "a b c d"}, {"a", "b a", "b a"}, {"x a y b z", "b a", "x y b z a"},
  };
  const struct schema_type *pod = schema_type_find ("v1", "Pod");
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *words[2] = {rows[i].live, rows[i].config};
    struct value *side[2], *out = NULL;
    struct buf got AUTO_BUF = BUF_INIT;
    for (int k = 0; k < 2; k++) {
      side[k] = value_map (&arena);
      value_set_path (&arena, side[k], "spec.containers", value_array (&arena));
      for (const char *p = words[k]; *p; p++)
        if (*p != ' ')
          value_append (&arena, value_path (side[k], "spec.containers"), object_parse (&arena, arena_printf (&arena, "{'name':'%c'}", *p)));
    }
    assert_int_equal (fieldset_merge (&arena, pod, side[0], side[1], &out, &err), 0);
    for (value_items (value_path (out, "spec.containers"), it))
      buf_printf (&got, "%s%s", got.len ? " " : "", value_as_string (value_get (*it, "name"), "?"));
    assert_string_equal (buf_cstr (&got), rows[i].merged);
  }
}

static void
test_apply_server_side__refuses_what_it_can_not_tell_apart (void **state)
{
  struct apply_request a = request ("a", T1);
  (void) state;
  assert_int_equal (apply_fails (&a, NULL, DEPLOYMENT ("'template':{'spec':{'containers':[{'name':'c'},{'name':'c'}]}}")), ERR_INVALID);
  assert_non_null (strstr (err.text, "duplicate entries for key"));
  assert_int_equal (apply_fails (&a, NULL, DEPLOYMENT ("'template':{'spec':{'containers':['x']}}")), ERR_INVALID);
  assert_int_equal (apply_fails (&a, NULL, "[]"), ERR_INVALID);
  assert_int_equal (apply_fails (&a, NULL, "{'metadata':{'managedFields':[{}]}}"), ERR_INVALID);
}

static void
test_apply_server_side__without_a_type_it_deduces (void **state)
{
  struct apply_request a = request ("a", T1), again = request ("a", T2);
  struct value *v;
  (void) state;
  a.type = again.type = NULL;
  a.api_version = again.api_version = "x/v1";
  v = apply (&a, NULL, "{'spec':{'list':[1,2],'map':{'k':{}},'n':1}}");
  assert_string_equal (text (value_path (v, "metadata.managedFields.0.fieldsV1")),
                       "{'f:spec':{'.':{},'f:list':{},'f:map':{'.':{},'f:k':{}},'f:n':{}}}");
  v = apply (&again, v, "{'spec':{'list':[3]}}");
  assert_string_equal (text (value_get (v, "spec")), "{'list':[3]}");
}

static void
test_apply_server_side__reset_fields_are_not_owned_and_subresources_are_apart (void **state)
{
  static const char *const status[] = {"status", NULL}, *const spec[] = {"spec", NULL};
  struct apply_request a = request ("a", T1), s = request ("a", T2);
  struct value *v;
  (void) state;
  a.reset_fields = status;
  s.reset_fields = spec;
  s.subresource = "status";
  v = apply (&a, NULL, "{'spec':{'replicas':1},'status':{'replicas':1}}");
  assert_string_equal (text (value_path (v, "metadata.managedFields.0.fieldsV1")), "{'f:spec':{'f:replicas':{}}}");
  v = apply (&s, v, "{'spec':{'replicas':1},'status':{'replicas':2}}");
  assert_int_equal (value_count (value_path (v, "metadata.managedFields")), 2);
  assert_string_equal (text (value_path (v, "metadata.managedFields.1.fieldsV1")), "{'f:status':{'f:replicas':{}}}");
  assert_string_equal (value_path_string (v, "metadata.managedFields.1.subresource", ""), "status");
}

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_fieldset_of__each_form),
    TEST (test_fieldset_decode__malformed_is_refused),
    TEST (test_apply_track_update__create_as_upstream_writes_it),
    TEST (test_apply_track_update__takes_changes_and_keeps_time_of_a_no_op),
    TEST (test_apply_track_update__reset_and_untracked_stay_untracked),
    TEST (test_apply_track_update__many_updaters_become_ancient_changes),
    TEST (test_apply_server_side__create_and_again_is_a_no_op),
    TEST (test_apply_server_side__removes_what_is_no_longer_applied_and_only_that),
    TEST (test_apply_server_side__conflicts_are_named_and_forced),
    TEST (test_apply_server_side__kubectl_may_overwrite_what_it_applied_itself),
    TEST (test_apply_server_side__untracked_belongs_to_before_first_apply),
    TEST (test_apply_server_side__lists_keep_the_order_of_the_configuration),
    TEST (test_apply_server_side__refuses_what_it_can_not_tell_apart),
    TEST (test_apply_server_side__without_a_type_it_deduces),
    TEST (test_apply_server_side__reset_fields_are_not_owned_and_subresources_are_apart),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
