#include "tests/lib/test.h"

#include "schemas/schema.h"

static const struct schema_field *
field (const char *gv, const char *type, const char *name)
{
  const struct schema_type *t = schema_type_find (gv, type);
  assert_non_null (t);
  const struct schema_field *f = schema_field_find (t, name, strlen (name));
  assert_non_null (f);
  return f;
}

static void
test_tables__counts_and_references_hold (void **state)
{
  size_t n_types = 0, n_fields = 0, n_kinds = 0;
  (void) state;
  for (const struct schema_type *t; (t = schema_type_at (n_types)); n_types++) {
    n_fields += t->n_fields;
    assert_ptr_equal (schema_type_find (t->group_version, t->name), t);
    for (size_t i = 0; i < t->n_fields; i++)
      assert_int_equal (t->fields[i].scalar == SCHEMA_STRUCT, t->fields[i].type != NULL);
  }
  for (const struct schema_kind *k; (k = schema_kind_at (n_kinds)); n_kinds++) {
    assert_ptr_equal (schema_kind_by_resource (k->group, k->version, k->resource), k);
    assert_ptr_equal (schema_kind_by_kind (k->group, k->version, k->kind), k);
    assert_non_null (k->type);
    assert_string_equal (k->type->name, k->kind);
  }
  assert_true (n_types > 565);
  assert_true (n_fields > 2300);
  assert_int_equal (n_kinds, 61);
}

static void
test_fields__spot_rows_have_upstream_facts (void **state)
{
  (void) state;
  const struct schema_field *f = field ("v1", "PodSpec", "containers");
  assert_int_equal (f->pb_number, 2);
  assert_string_equal (f->merge_key, "name");
  assert_int_equal (f->shape, SCHEMA_LIST);
  assert_int_equal (f->list, SCHEMA_LIST_MAP);
  assert_string_equal (f->type->name, "Container");
  assert_true (f->flags & SCHEMA_REQUIRED);
  f = field ("v1", "Container", "ports");
  assert_string_equal (f->merge_key, "containerPort");
  assert_string_equal (f->list_map_keys[1], "protocol");
  assert_null (f->list_map_keys[2]);
  f = field ("v1", "ResourceRequirements", "limits");
  assert_int_equal (f->shape, SCHEMA_MAP);
  assert_int_equal (f->scalar, SCHEMA_QUANTITY);
  f = field ("v1", "Secret", "data");
  assert_int_equal (f->shape, SCHEMA_MAP);
  assert_int_equal (f->scalar, SCHEMA_BYTES);
  f = field ("authentication.k8s.io/v1", "UserInfo", "extra");
  assert_int_equal (f->shape, SCHEMA_MAP_OF_LISTS);
  f = field ("v1", "PodSpec", "terminationGracePeriodSeconds");
  assert_string_equal (f->default_json, "30");
  f = field ("v1", "Probe", "httpGet"); /* inlined from ProbeHandler, field 1 */
  assert_int_equal (f->pb_number, 2);
  assert_int_equal (f->pb_wrap[0], 1);
  f = field ("v1", "PodSpec", "restartPolicy");
  assert_string_equal (f->enum_values[0], "Always");
  assert_string_equal (field ("v1", "Pod", "spec")->type->openapi_name, "io.k8s.api.core.v1.PodSpec");
  assert_string_equal (field ("v1", "Pod", "metadata")->type->group_version, "meta/v1");
}

static void
test_kinds__pod_has_upstream_facts (void **state)
{
  char prefix[64];
  (void) state;
  const struct schema_kind *k = schema_kind_by_resource ("", "v1", "pods");
  assert_non_null (k);
  assert_string_equal (k->kind, "Pod");
  assert_string_equal (k->short_names[0], "po");
  assert_string_equal (k->categories[0], "all");
  assert_string_equal (k->index_streams[0], "spec.nodeName");
  assert_int_equal (k->verbs, SCHEMA_ALL_VERBS);
  assert_true (k->namespaced);
  assert_int_equal (k->n_subresources, 10);
  const struct schema_subresource *s = schema_subresource_find (k, "eviction");
  assert_string_equal (s->group, "policy");
  assert_string_equal (s->version, "v1");
  assert_int_equal (s->verbs, SCHEMA_CREATE);
  assert_null (schema_subresource_find (k, "scale"));
  assert_int_equal (schema_storage_prefix (k, prefix, sizeof prefix), 4);
  assert_string_equal (prefix, "pods");
  schema_storage_prefix (schema_kind_by_kind ("apps", "v1", "Deployment"), prefix, sizeof prefix);
  assert_string_equal (prefix, "deployments.apps");
  k = schema_kind_by_kind ("events.k8s.io", "v1", "Event");
  assert_ptr_equal (schema_kind_storage (k), schema_kind_by_kind ("", "v1", "Event"));
  schema_storage_prefix (k, prefix, sizeof prefix);
  assert_string_equal (prefix, "events");
  assert_true (schema_kind_by_kind ("authentication.k8s.io", "v1", "TokenReview")->virtual_);
}

static void
test_lookups__unknown_is_null (void **state)
{
  (void) state;
  assert_null (schema_kind_by_resource ("apps", "v1", "pods"));
  assert_null (schema_kind_by_resource ("apps", "v2", "deployments"));
  assert_null (schema_kind_by_kind ("", "v1", "Nope"));
  assert_null (schema_kind_by_kind (NULL, "v1", "Pod"));
  assert_null (schema_type_find ("v1", "podspec"));
  assert_null (schema_field_find (schema_type_find ("v1", "PodSpec"), "container", 9));
  assert_null (schema_field_find (NULL, "x", 1));
  assert_null (schema_kind_at (100000));
}

static void
test_kinds__order_is_that_of_discovery (void **state)
{
  int group, version;
  (void) state;
  assert_string_equal (schema_kind_at (0)->group, "");
  assert_string_equal (schema_kind_at (0)->resource, "bindings");
  assert_true (schema_group_version_priority ("autoscaling", "v2", &group, &version));
  assert_int_equal (group, 17500);
  assert_int_equal (version, 30);
  assert_false (schema_group_version_priority ("nope", "v1", &group, &version));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_tables__counts_and_references_hold),
    cmocka_unit_test (test_fields__spot_rows_have_upstream_facts),
    cmocka_unit_test (test_kinds__pod_has_upstream_facts),
    cmocka_unit_test (test_lookups__unknown_is_null),
    cmocka_unit_test (test_kinds__order_is_that_of_discovery),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
