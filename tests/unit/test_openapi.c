#include "tests/lib/test.h"

#include "schemas/json.h"
#include "schemas/machinery.h"

static struct value *
parsed (struct arena *a, const struct buf *b)
{
  struct value *v = NULL;
  assert_false (b->failed);
  assert_int_equal (json_parse (a, buf_cstr (b), b->len, &v, NULL, NULL), 0);
  return v;
}

/* Every "$ref" below v names a member of definitions. */
static void
check_refs (const struct value *v, const char *prefix, const struct value *definitions)
{
  const struct value *ref = value_get (v, "$ref");
  if (value_is (ref, VALUE_STRING)) {
    assert_int_equal (strncmp (ref->s, prefix, strlen (prefix)), 0);
    if (!value_get (definitions, ref->s + strlen (prefix)))
      fail_msg ("no definition for %s", ref->s);
  }
  for (value_each (v, m))
    check_refs (m->value, prefix, definitions);
  for (value_items (v, it))
    check_refs (*it, prefix, definitions);
}

static void
test_openapi_v2_json__is_whole_and_has_upstream_words (void **state)
{
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf out = BUF_INIT;
  (void) state;
  arena_init (&a, 0);
  openapi_v2_json (NULL, &out);
  struct value *doc = parsed (&a, &out), *definitions = value_get (doc, "definitions");
  check_refs (doc, "#/definitions/", definitions);
  struct value *pod_spec = value_get (definitions, "io.k8s.api.core.v1.PodSpec");
  assert_string_equal (value_path_string (pod_spec, "required.0", ""), "containers");
  struct value *containers = value_path (pod_spec, "properties.containers");
  assert_string_equal (value_as_string (value_get (containers, "x-kubernetes-patch-merge-key"), ""), "name");
  assert_string_equal (value_as_string (value_get (containers, "x-kubernetes-list-type"), ""), "map");
  assert_string_equal (value_as_string (value_get (value_path (pod_spec, "properties.volumes"), "x-kubernetes-patch-strategy"), ""), "merge,retainKeys");
  struct value *pod = value_get (definitions, "io.k8s.api.core.v1.Pod");
  assert_string_equal (value_path_string (value_at (value_get (pod, "x-kubernetes-group-version-kind"), 0), "kind", ""), "Pod");
  struct value *extra = value_path (value_get (definitions, "io.k8s.api.authentication.v1.UserInfo"), "properties.extra");
  assert_string_equal (value_path_string (extra, "additionalProperties.items.type", ""), "string");
  struct value *item = value_get (value_get (doc, "paths"), "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale");
  assert_string_equal (value_as_string (value_get (value_get (item, "patch"), "x-kubernetes-action"), ""), "patch");
  assert_string_equal (value_path_string (value_get (value_get (item, "get"), "x-kubernetes-group-version-kind"), "kind", ""), "Scale");
  assert_string_equal (value_path_string (value_get (item, "put"), "operationId", ""), "replaceAppsV1NamespacedDeploymentScale");
  assert_true (value_count (value_get (doc, "paths")) > 210);
}

/* ---- a small reader of protobuf ---- */
struct pb {
  const uint8_t *p, *end;
};
static uint64_t
pb_varint (struct pb *m)
{
  uint64_t v = 0;
  for (int shift = 0;; shift += 7) {
    assert_true (m->p < m->end && shift < 64);
    uint8_t byte = *m->p++;
    v |= (uint64_t) (byte & 0x7f) << shift;
    if (byte < 0x80)
      return v;
  }
}
/* The next field; bytes fields give their content. False at the end. */
static bool
pb_next (struct pb *m, unsigned *field, struct pb *content)
{
  if (m->p == m->end)
    return false;
  uint64_t tag = pb_varint (m);
  *field = (unsigned) (tag >> 3);
  *content = (struct pb){NULL, NULL};
  if ((tag & 7) == 0) {
    pb_varint (m);
    return true;
  }
  assert_int_equal (tag & 7, 2);
  uint64_t n = pb_varint (m);
  assert_true (n <= (uint64_t) (m->end - m->p));
  *content = (struct pb){m->p, m->p + n};
  m->p += n;
  return true;
}
static bool
pb_is (struct pb s, const char *text)
{
  return (size_t) (s.end - s.p) == strlen (text) && memcmp (s.p, text, strlen (text)) == 0;
}
/* The wanted-th field of that number. */
static struct pb
pb_get (struct pb m, unsigned wanted)
{
  unsigned field;
  struct pb content;
  while (pb_next (&m, &field, &content))
    if (field == wanted)
      return content;
  fail_msg ("no field %u", wanted);
  return m;
}
/* The value of the entry called name in a list of named messages in field number list_field. */
static struct pb
pb_named (struct pb m, unsigned list_field, const char *name)
{
  unsigned field;
  struct pb content;
  while (pb_next (&m, &field, &content))
    if (field == list_field && pb_is (pb_get (content, 1), name))
      return pb_get (content, 2);
  fail_msg ("no entry %s", name);
  return m;
}
/* Reads all of a Schema, so that every length below it is checked. */
static void
pb_check_schema (struct pb schema)
{
  unsigned field;
  struct pb content;
  while (pb_next (&schema, &field, &content)) {
    struct pb entry;
    unsigned inner;
    if (field == 25)
      while (pb_next (&content, &inner, &entry))
        pb_check_schema (pb_get (entry, 2));
    else if (field == 21 || field == 23)
      pb_check_schema (pb_get (content, 1));
    else
      assert_true (field == 1 || field == 2 || field == 4 || field == 5 || field == 19 || field == 20 || field == 22 || field == 31);
  }
}

static void
test_openapi_v2_protobuf__decodes_as_gnostic_document (void **state)
{
  AUTO_BUF struct buf out = BUF_INIT;
  size_t n = 0;
  unsigned field;
  struct pb entry;
  (void) state;
  openapi_v2_protobuf (NULL, &out);
  assert_false (out.failed);
  struct pb doc = {out.data, out.data + out.len};
  assert_true (pb_is (pb_get (doc, 1), "2.0"));
  struct pb definitions = pb_get (doc, 9), rest = definitions;
  while (pb_next (&rest, &field, &entry)) {
    pb_check_schema (pb_get (entry, 2));
    n++;
  }
  assert_true (n > 500);
  struct pb container = pb_named (definitions, 1, "io.k8s.api.core.v1.Container");
  struct pb image = pb_named (pb_get (container, 25), 1, "image");
  assert_true (pb_is (pb_get (pb_get (image, 22), 1), "string"));
  struct pb pod = pb_named (definitions, 1, "io.k8s.api.core.v1.Pod");
  struct pb gvk = pb_named (pod, 31, "x-kubernetes-group-version-kind");
  assert_true (pb_is (pb_get (gvk, 2), "[{\"group\":\"\",\"kind\":\"Pod\",\"version\":\"v1\"}]\n"));

  /* what kubectl's dry-run check reads: PATCH of the kind has the query parameter dryRun */
  struct pb patch = pb_get (pb_named (pb_get (doc, 8), 2, "/api/v1/namespaces/{namespace}/pods/{name}"), 8);
  bool dry_run = false;
  while (pb_next (&patch, &field, &entry))
    if (field == 8) {
      struct pb parameter = pb_get (entry, 1), inner;
      unsigned kind;
      if (pb_next (&parameter, &kind, &inner) && kind == 2)
        dry_run = dry_run || pb_is (pb_get (pb_get (inner, 3), 4), "dryRun");
    }
  assert_true (dry_run);
}

static void
test_openapi_v3__index_and_groups_agree (void **state)
{
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf index = BUF_INIT, again = BUF_INIT, out = BUF_INIT;
  (void) state;
  arena_init (&a, 0);
  openapi_v3_index_json (NULL, &index);
  openapi_v3_index_json (NULL, &again);
  assert_string_equal (buf_cstr (&index), buf_cstr (&again));
  struct value *paths = value_get (parsed (&a, &index), "paths");
  assert_int_equal (value_count (paths), 21);
  for (value_each (paths, m)) {
    buf_reset (&out);
    assert_int_equal (openapi_v3_group_json (NULL, m->key, &out), 0);
    struct value *doc = parsed (&a, &out);
    check_refs (doc, "#/components/schemas/", value_path (doc, "components.schemas"));
    assert_true (value_count (value_get (doc, "paths")) > 0);
  }
  assert_int_equal (openapi_v3_group_json (NULL, "apis/apps/v7", &out), ERR_NOT_FOUND);
}

static void
test_openapi_v3__custom_resource_is_described_in_place (void **state)
{
  static const struct schema_field spec_fields[] = {{.name = "size", .doc = "How big.", .scalar = SCHEMA_INT32, .flags = SCHEMA_REQUIRED}};
  static const struct schema_type spec_type = {.name = "", .doc = "", .fields = spec_fields, .n_fields = 1};
  static const struct schema_field fields[] = {{.name = "spec", .doc = "", .scalar = SCHEMA_STRUCT, .type = &spec_type}};
  static const struct schema_type type = {.group_version = "example.com/v1", .name = "Widget", .openapi_name = "com.example.v1.Widget", .doc = "",
                                          .fields = fields, .n_fields = 1};
  static const struct schema_kind kind = {.group = "example.com", .version = "v1", .kind = "Widget", .resource = "widgets", .singular = "widget",
                                          .type = &type, .verbs = SCHEMA_ALL_VERBS, .namespaced = true};
  const struct schema_kind *extra[] = {&kind};
  struct schema_set set = {extra, 1};
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf out = BUF_INIT;
  (void) state;
  arena_init (&a, 0);
  assert_int_equal (openapi_v3_group_json (&set, "apis/example.com/v1", &out), 0);
  struct value *doc = parsed (&a, &out), *schemas = value_path (doc, "components.schemas");
  check_refs (doc, "#/components/schemas/", schemas);
  struct value *widget = value_get (schemas, "com.example.v1.Widget");
  assert_string_equal (value_path_string (widget, "properties.spec.properties.size.format", ""), "int32");
  assert_string_equal (value_path_string (widget, "properties.spec.required.0", ""), "size");
  struct value *list = value_get (schemas, "com.example.v1.WidgetList");
  assert_string_equal (value_path_string (value_at (value_get (list, "x-kubernetes-group-version-kind"), 0), "kind", ""), "WidgetList");
  assert_non_null (value_get (value_get (doc, "paths"), "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_openapi_v2_json__is_whole_and_has_upstream_words),
    cmocka_unit_test (test_openapi_v2_protobuf__decodes_as_gnostic_document),
    cmocka_unit_test (test_openapi_v3__index_and_groups_agree),
    cmocka_unit_test (test_openapi_v3__custom_resource_is_described_in_place),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
