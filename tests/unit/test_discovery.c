#include "tests/lib/test.h"

#include "schemas/json.h"
#include "schemas/kind_set.h"
#include "schemas/machinery.h"

static struct value *
parsed (struct arena *a, const struct buf *b)
{
  struct value *v = NULL;
  assert_false (b->failed);
  assert_int_equal (json_parse (a, buf_cstr (b), b->len, &v, NULL, NULL), 0);
  return v;
}

static struct value *
named (const struct value *array, const char *key, const char *name)
{
  for (value_items (array, it))
    if (value_string_is (value_path (*it, key), name))
      return *it;
  fail_msg ("no item with %s %s", key, name);
  return NULL;
}

static const struct schema_type widget_type = {.group_version = "example.com/v1", .name = "Widget", .openapi_name = "com.example.v1.Widget", .doc = ""};
static const struct schema_kind widgets_v1 = {.group = "example.com", .version = "v1", .kind = "Widget", .resource = "widgets", .singular = "widget",
                                              .type = &widget_type, .verbs = SCHEMA_ALL_VERBS, .namespaced = true};
static const struct schema_kind widgets_beta = {.group = "example.com", .version = "v1beta1", .kind = "Widget", .resource = "widgets",
                                                .singular = "widget", .type = &widget_type, .verbs = SCHEMA_ALL_VERBS, .namespaced = true};

static void
test_discovery_resources__core_has_upstream_rows (void **state)
{
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf out = BUF_INIT;
  (void) state;
  arena_init (&a, 0);
  assert_int_equal (discovery_resources (NULL, "", "v1", &out), 0);
  struct value *doc = parsed (&a, &out), *resources = value_get (doc, "resources");
  assert_string_equal (value_path_string (doc, "groupVersion", ""), "v1");
  assert_null (value_get (doc, "apiVersion"));
  struct value *pods = named (resources, "name", "pods");
  assert_string_equal (value_path_string (pods, "storageVersionHash", ""), "xPOwRZ+Yhw8=");
  assert_string_equal (value_path_string (pods, "verbs.2", ""), "deletecollection");
  assert_string_equal (value_path_string (pods, "shortNames.0", ""), "po");
  struct value *eviction = named (resources, "name", "pods/eviction");
  assert_string_equal (value_path_string (eviction, "group", ""), "policy");
  assert_string_equal (value_path_string (eviction, "kind", ""), "Eviction");
  assert_string_equal (value_path_string (named (resources, "name", "nodes/proxy"), "kind", ""), "NodeProxyOptions");
  assert_int_equal (discovery_resources (NULL, "apps", "v2", &out), ERR_NOT_FOUND);
}

static void
test_discovery_groups__extra_kinds_follow_with_versions_in_order (void **state)
{
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf out = BUF_INIT;
  const struct schema_kind *extra[] = {&widgets_beta, &widgets_v1};
  struct schema_set set = {extra, 2};
  (void) state;
  arena_init (&a, 0);
  discovery_groups (&set, &out);
  struct value *groups = value_get (parsed (&a, &out), "groups");
  assert_string_equal (value_path_string (value_at (groups, 0), "name", ""), "apiregistration.k8s.io");
  assert_string_equal (value_path_string (named (groups, "name", "autoscaling"), "preferredVersion.version", ""), "v2");
  struct value *widgets = value_at (groups, value_count (groups) - 1);
  assert_string_equal (value_path_string (widgets, "name", ""), "example.com");
  assert_string_equal (value_path_string (widgets, "preferredVersion.version", ""), "v1");
  assert_string_equal (value_path_string (widgets, "versions.1.groupVersion", ""), "example.com/v1beta1");
  buf_reset (&out);
  assert_int_equal (discovery_group (&set, "example.com", &out), 0);
  assert_int_equal (discovery_group (&set, "nowhere", &out), ERR_NOT_FOUND);
}

static void
test_discovery_aggregated__is_stable_and_whole (void **state)
{
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf out = BUF_INIT, again = BUF_INIT;
  (void) state;
  arena_init (&a, 0);
  discovery_aggregated (NULL, false, "v2", &out);
  discovery_aggregated (NULL, false, "v2", &again);
  assert_int_equal (out.len, again.len);
  assert_memory_equal (out.data, again.data, out.len);
  struct value *doc = parsed (&a, &out), *apps = named (value_get (doc, "items"), "metadata.name", "apps");
  assert_string_equal (value_path_string (doc, "apiVersion", ""), "apidiscovery.k8s.io/v2");
  struct value *deployments = named (value_path (apps, "versions.0.resources"), "resource", "deployments");
  assert_string_equal (value_path_string (deployments, "responseKind.group", ""), "apps");
  struct value *scale = named (value_get (deployments, "subresources"), "subresource", "scale");
  assert_string_equal (value_path_string (scale, "responseKind.group", ""), "autoscaling");
  buf_reset (&again);
  discovery_aggregated (NULL, true, "v2beta1", &again);
  doc = parsed (&a, &again);
  assert_int_equal (value_count (value_get (doc, "items")), 1);
}

static void
test_discovery_api_versions__names_the_server (void **state)
{
  AUTO_BUF struct buf out = BUF_INIT;
  (void) state;
  discovery_api_versions ("10.0.0.1:6443", &out);
  assert_string_equal (buf_cstr (&out), "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[{\"clientCIDR\":"
                                        "\"0.0.0.0/0\",\"serverAddress\":\"10.0.0.1:6443\"}]}");
}

static void
test_kind_set_version_compare__orders_as_kubernetes (void **state)
{
  static const char *const order[] = {"v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"};
  (void) state;
  for (size_t i = 1; i < sizeof order / sizeof *order; i++) {
    assert_true (kind_set_version_compare (order[i - 1], order[i]) < 0);
    assert_true (kind_set_version_compare (order[i], order[i - 1]) > 0);
  }
  assert_int_equal (kind_set_version_compare ("v1", "v1"), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_discovery_resources__core_has_upstream_rows),
    cmocka_unit_test (test_discovery_groups__extra_kinds_follow_with_versions_in_order),
    cmocka_unit_test (test_discovery_aggregated__is_stable_and_whole),
    cmocka_unit_test (test_discovery_api_versions__names_the_server),
    cmocka_unit_test (test_kind_set_version_compare__orders_as_kubernetes),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
