#include "tests/lib/test.h"

#include "schemas/json.h"
#include "schemas/msgpack.h"
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
test_value_pack__shortest_and_reads_back (void **state)
{
  static const struct {
    int64_t i;
    size_t bytes;
  } ints[] = {
    {0, 1}, {127, 1}, {128, 2}, {255, 2}, {256, 3}, {65535, 3}, {65536, 5}, {4294967295, 5}, {4294967296, 9}, {INT64_MAX, 9},
    {-1, 1}, {-32, 1}, {-33, 2}, {-128, 2}, {-129, 3}, {-32768, 3}, {-32769, 5}, {INT32_MIN, 5}, {(int64_t) INT32_MIN - 1, 9}, {INT64_MIN, 9},
  };
  static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *v = NULL;
  (void) state;
  for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
    buf_reset (&b);
    value_pack (value_int (&arena, ints[i].i), &b);
    assert_int_equal (b.len, ints[i].bytes);
    assert_int_equal (value_unpack (&arena, b.data, b.len, &v, NULL), 0);
    assert_true (v->type == VALUE_INT && v->i == ints[i].i);
  }
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    struct value *list = value_array (&arena);
    char *s = arena_zalloc (&arena, lengths[i] + 1);
    memset (s, 'x', lengths[i]);
    for (size_t k = 0; k < (lengths[i] > 300 ? 2 : lengths[i]); k++)
      value_append (&arena, list, value_null (&arena));
    value_append (&arena, list, value_string_n (&arena, s, lengths[i]));
    buf_reset (&b);
    value_pack (list, &b);
    assert_int_equal (value_unpack (&arena, b.data, b.len, &v, NULL), 0);
    assert_true (value_equal (v, list));
    assert_int_equal (strlen (value_as_string (value_at (v, value_count (v) - 1), "")), lengths[i]);
  }
}

static void
test_value_unpack__a_tree_has_terminated_strings (void **state)
{
  struct value *v = object_parse (&arena, "{'a':'x','b':{'c':['y',{'d':'z'},1.5,true,null,-7]},'':''}"), *w = NULL;
  struct buf b AUTO_BUF = BUF_INIT;
  (void) state;
  value_pack (v, &b);
  assert_int_equal (value_unpack (&arena, b.data, b.len, &w, NULL), 0);
  assert_string_equal (object_text (&arena, w), "{'a':'x','b':{'c':['y',{'d':'z'},1.5,true,null,-7]},'':''}");
  assert_int_equal (strlen (w->members[1].key), 1);
  value_set_string (&arena, w, "new", "member"); /* the tree can be changed as any other */
  assert_int_equal (value_count (w), 4);
}

static void
test_value_unpack__malformed_is_refused_with_the_offset (void **state)
{
  static const struct {
    const char *bytes;
    size_t n;
  } rows[] = {
    {"", 0},                  {"\x81", 1},          {"\x81\xa1", 2},         {"\x81\x01\x02", 3},  {"\xc0\xc0", 2},
    {"\xdd\xff\xff\xff\xff", 5}, {"\xdf\xff\xff\xff\xff\xa1", 6}, {"\xdb\xff\xff\xff\xff\x61", 6}, {"\xc1", 1}, {"\xd4\x01\x02", 3},
    {"\x82\xa1\x61\x01\xa1\x61\x02", 7}, {"\xcf\x01\x02", 3}, {"\xcb\x01", 2},
  };
  struct value *v = NULL;
  struct err err;
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_int_equal (value_unpack (&arena, rows[i].bytes, rows[i].n, &v, &err), ERR_PARSE);
    assert_non_null (strstr (err.text, "at byte "));
    assert_null (v);
  }
}

static void
test_value_unpack__nesting_is_bounded_both_ways (void **state)
{
  uint8_t deep[MSGPACK_DEPTH_MAX + 1];
  struct value *v = NULL, *outer;
  struct buf b AUTO_BUF = BUF_INIT;
  (void) state;
  memset (deep, 0x91, sizeof deep);
  deep[MSGPACK_DEPTH_MAX] = 0xc0;
  assert_int_equal (value_unpack (&arena, deep, sizeof deep, &v, NULL), 0);
  value_pack (v, &b);
  assert_false (b.failed);
  assert_memory_equal (b.data, deep, sizeof deep);
  outer = value_array (&arena);
  value_append (&arena, outer, v);
  buf_reset (&b);
  value_pack (outer, &b);
  assert_true (b.failed);
  deep[MSGPACK_DEPTH_MAX] = 0x90;
  assert_int_equal (value_unpack (&arena, deep, sizeof deep, &v, NULL), ERR_PARSE);
}

static void
test_value_unpack__every_failing_allocation_is_out_of_memory (void **state)
{
  struct value *v = NULL;
  struct buf b AUTO_BUF = BUF_INIT;
  bool failed = true;
  (void) state;
  value_pack (object_parse (&arena, "{'a':[1,2,{'b':'c'}],'d':{'e':{}}}"), &b);
  for (uint64_t n = 1; failed && n < 100; n++) {
    struct arena a AUTO_ARENA = {0};
    int r;
    mem_fail_nth (n);
    r = value_unpack (&a, b.data, b.len, &v, NULL);
    failed = r != 0;
    assert_true (!r || r == ERR_NOMEM);
    mem_fail_nth (0);
  }
  assert_false (failed);
}

static void
test_msgpack_seek__finds_without_a_tree (void **state)
{
  struct buf b AUTO_BUF = BUF_INIT;
  struct msgpack_cursor c;
  struct msgpack_item it;
  (void) state;
  value_pack (object_parse (&arena, "{'kind':'Pod','metadata':{'labels':{'a':'b'},'name':'p','n':[1,{'x':2}]},'spec':{'priority':7}}"), &b);
  assert_int_equal (msgpack_seek (b.data, b.len, "metadata.name", &c, NULL), 0);
  assert_int_equal (msgpack_next (&c, &it, NULL), 0);
  assert_true (it.kind == MSGPACK_STRING && it.len == 1 && it.s[0] == 'p');
  assert_int_equal (msgpack_seek (b.data, b.len, "spec.priority", &c, NULL), 0);
  assert_int_equal (msgpack_next (&c, &it, NULL), 0);
  assert_int_equal (it.i, 7);
  assert_int_equal (msgpack_seek (b.data, b.len, "spec.none", &c, NULL), ERR_NOT_FOUND);
  assert_int_equal (msgpack_seek (b.data, b.len, "kind.name", &c, NULL), ERR_NOT_FOUND);
  assert_int_equal (msgpack_seek (b.data, b.len - 1, "spec.none", &c, NULL), ERR_PARSE);
  c = msgpack_open (b.data, b.len);
  assert_int_equal (msgpack_skip (&c, NULL), 0);
  assert_ptr_equal (c.p, c.end);
}

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_value_pack__shortest_and_reads_back),
    TEST (test_value_unpack__a_tree_has_terminated_strings),
    TEST (test_value_unpack__malformed_is_refused_with_the_offset),
    TEST (test_value_unpack__nesting_is_bounded_both_ways),
    TEST (test_value_unpack__every_failing_allocation_is_out_of_memory),
    TEST (test_msgpack_seek__finds_without_a_tree),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
