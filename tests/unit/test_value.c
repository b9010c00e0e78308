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
  mem_fail_nth (0);
  arena_done (&arena);
  return 0;
}

static void
test_value__readers_take_null_and_other_types (void **state)
{
  struct value *s = value_string (&arena, "x");
  (void) state;
  assert_null (value_get (NULL, "a"));
  assert_null (value_get (s, "a"));
  assert_null (value_at (s, 0));
  assert_null (value_path (NULL, "a.b"));
  assert_int_equal (value_count (s), 0);
  assert_string_equal (value_as_string (NULL, "none"), "none");
  assert_int_equal (value_as_int (s, 5), 5);
  assert_int_equal (value_as_int (value_float (&arena, 3.0), 5), 3);
  assert_int_equal (value_as_int (value_float (&arena, 3.5), 5), 5);
  assert_true (value_as_bool (NULL, true));
  assert_true (value_is_null (NULL));
  assert_false (value_unset (NULL, "a"));
}

static void
test_value_path__maps_and_indices (void **state)
{
  struct value *v = object_parse (&arena, "{'a':{'b':[{'c':'x'},{'c':7}]},'t':true}");
  (void) state;
  assert_string_equal (value_path_string (v, "a.b.0.c", ""), "x");
  assert_int_equal (value_path_int (v, "a.b.1.c", 0), 7);
  assert_true (value_path_bool (v, "t", false));
  assert_null (value_path (v, "a.b.2.c"));
  assert_null (value_path (v, "a.b.x"));
  assert_null (value_path (v, "a.b.0.c.d"));
  assert_ptr_equal (value_path (v, ""), v);
}

static void
test_value_set__adds_replaces_and_keeps_order (void **state)
{
  struct value *v = value_map (&arena);
  (void) state;
  for (int i = 0; i < 20; i++)
    value_set_int (&arena, v, arena_printf (&arena, "k%d", i), i);
  value_set_int (&arena, v, "k3", 33);
  assert_true (value_unset (v, "k0"));
  assert_false (value_unset (v, "k0"));
  assert_int_equal (value_count (v), 19);
  assert_string_equal (v->members[0].key, "k1");
  assert_int_equal (value_as_int (value_get (v, "k3"), 0), 33);
  value_set_path (&arena, v, "x.y.z", value_bool (&arena, true));
  assert_true (value_path_bool (v, "x.y.z", false));
  value_set_string (&arena, v, "absent", NULL);
  assert_null (value_get (v, "absent"));
}

static void
test_value_insert__and_remove_at (void **state)
{
  struct value *v = value_array (&arena);
  (void) state;
  for (int i = 0; i < 5; i++)
    value_append (&arena, v, value_int (&arena, i));
  value_insert (&arena, v, 0, value_int (&arena, 9));
  value_insert (&arena, v, 99, value_int (&arena, 8));
  value_remove_at (v, 2);
  value_remove_at (v, 99);
  assert_string_equal (object_text (&arena, v), "[9,0,2,3,4]");
}

static void
test_value_equal__without_order_of_keys (void **state)
{
  (void) state;
  assert_true (value_equal (object_parse (&arena, "{'a':1,'b':[1.0,'x']}"), object_parse (&arena, "{'b':[1,'x'],'a':1.0}")));
  assert_false (value_equal (object_parse (&arena, "{'a':1}"), object_parse (&arena, "{'b':1}")));
  assert_false (value_equal (object_parse (&arena, "[1,2]"), object_parse (&arena, "[2,1]")));
  assert_false (value_equal (object_parse (&arena, "null"), NULL));
  assert_true (value_equal (NULL, NULL));
}

static void
test_value_clone__is_deep (void **state)
{
  struct value *v = object_parse (&arena, "{'a':{'b':[1]}}"), *c = value_clone (&arena, v);
  (void) state;
  value_append (&arena, value_path (c, "a.b"), value_int (&arena, 2));
  assert_string_equal (object_text (&arena, v), "{'a':{'b':[1]}}");
  assert_string_equal (object_text (&arena, c), "{'a':{'b':[1,2]}}");
  assert_null (value_clone (&arena, NULL));
}

static void
test_value__builders_survive_failing_allocations (void **state)
{
  (void) state;
  for (uint64_t n = 1; n < 12; n++) {
    struct arena a AUTO_ARENA = {0};
    struct value *v;
    mem_fail_nth (n);
    v = value_map (&a);
    for (int i = 0; i < 400; i++)
      value_append (&a, value_ensure_array (&a, value_ensure_map (&a, v, "m"), "l"), value_printf (&a, "string number %d", i));
    mem_fail_nth (0);
    assert_true (!arena_ok (&a) || value_count (value_path (v, "m.l")) == 400);
  }
}

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_value__readers_take_null_and_other_types), TEST (test_value_path__maps_and_indices),
    TEST (test_value_set__adds_replaces_and_keeps_order), TEST (test_value_insert__and_remove_at),
    TEST (test_value_equal__without_order_of_keys),       TEST (test_value_clone__is_deep),
    TEST (test_value__builders_survive_failing_allocations),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
