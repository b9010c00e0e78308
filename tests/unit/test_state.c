#include "tests/lib/test.h"

#include "base/mem.h"
#include "bus/bus.h"
#include "schemas/msgpack.h"
#include "storage/state.h"

struct seen {
  struct buf text; /* "stream:seq:op:key\n" of every change */
};
struct fixture {
  struct state *state;
  struct seen seen;
  uint64_t index;
  struct arena arena;
};

static void
on_change (void *arg, const char *stream, uint64_t seq, const void *packed, size_t len)
{
  struct seen *s = arg;
  struct buf scratch AUTO_BUF = BUF_INIT;
  struct bus_change c;
  assert_int_equal (bus_change_unpack (packed, len, &c, &scratch, NULL), 0);
  buf_printf (&s->text, "%s:%llu:%s%s%s:%s\n", stream, (unsigned long long) seq, c.op == BUS_PUT ? "put" : "delete", c.moved ? "-moved" : "", c.last ? "" : "-more", c.key);
}

static int
setup (void **state)
{
  struct fixture *f = mem_zalloc (sizeof *f);
  const struct state_hooks hooks = {on_change, &f->seen};
  assert_int_equal (state_open (engine_mem_new (), &hooks, &f->state, NULL), 0);
  *state = f;
  return 0;
}

static int
teardown (void **state)
{
  struct fixture *f = *state;
  state_free (f->state);
  buf_done (&f->seen.text);
  arena_done (&f->arena);
  free (f);
  return 0;
}

static int
apply (struct fixture *f, enum state_command command, const struct buf *body, struct buf *reply)
{
  struct buf entry AUTO_BUF = BUF_INIT;
  struct err outcome = {0}, err = {0};
  struct state_entry e = {command, 1000000, 1, 1, body->data, body->len};
  state_entry_pack (&e, &entry);
  assert_int_equal (state_apply (f->state, ++f->index, 1, entry.data, entry.len, &outcome, reply, &err), 0);
  return outcome.code;
}

static int
txn (struct fixture *f, const struct store_txn *t, struct store_txn_result *ret)
{
  struct buf body AUTO_BUF = BUF_INIT, reply AUTO_BUF = BUF_INIT;
  int r;
  wire_pack_txn (t, &body);
  r = apply (f, STATE_TXN, &body, &reply);
  if (!r)
    assert_int_equal (wire_unpack_txn_result (&f->arena, reply.data, reply.len, ret, NULL), 0);
  return r;
}

static uint64_t
put_in (struct fixture *f, const char *key, const char *value, const char *const *index)
{
  struct store_op op = {.type = STORE_PUT, .key = key, .value = value, .value_len = strlen (value), .index_streams = index};
  struct store_txn t = {.then_ops = &op, .n_then = 1, .actor = "tester", .trace = ""};
  struct store_txn_result r;
  assert_int_equal (txn (f, &t, &r), 0);
  return r.revision;
}

static uint64_t
put (struct fixture *f, const char *key, const char *value)
{
  return put_in (f, key, value, NULL);
}

static uint64_t
delete (struct fixture *f, const char *key)
{
  struct store_op op = {.type = STORE_DELETE, .key = key};
  struct store_txn t = {.then_ops = &op, .n_then = 1, .actor = "tester", .trace = ""};
  struct store_txn_result r;
  assert_int_equal (txn (f, &t, &r), 0);
  return r.revision;
}

static int
range (struct fixture *f, const char *key, const char *end, uint64_t revision, uint64_t limit, struct store_range_result *ret)
{
  struct buf out AUTO_BUF = BUF_INIT;
  struct store_range q = {.key = key, .end = end, .revision = revision, .limit = limit};
  int r = state_range (f->state, &q, &out, NULL);
  if (!r)
    assert_int_equal (wire_unpack_range_result (&f->arena, out.data, out.len, ret, NULL), 0);
  return r;
}

static void
test_state_apply__puts_count_revisions_and_versions (void **state)
{
  struct fixture *f = *state;
  struct store_range_result r;
  assert_int_equal (put (f, "pods/default/a", "1"), 2);
  assert_int_equal (put (f, "pods/default/a", "2"), 3);
  assert_int_equal (range (f, "pods/default/a", NULL, 0, 0, &r), 0);
  assert_int_equal (r.n_kvs, 1);
  assert_int_equal (r.kvs[0].create_revision, 2);
  assert_int_equal (r.kvs[0].mod_revision, 3);
  assert_int_equal (r.kvs[0].version, 2);
  assert_memory_equal (r.kvs[0].value, "2", 1);
}

static void
test_state_range__past_revision_sees_what_was (void **state)
{
  struct fixture *f = *state;
  struct store_range_result r;
  put (f, "a/1", "x");
  put (f, "a/2", "y");
  delete (f, "a/1");
  put (f, "a/1", "z");
  assert_int_equal (range (f, "a/", STORE_PREFIX, 3, 0, &r), 0);
  assert_int_equal (r.n_kvs, 2);
  assert_memory_equal (r.kvs[0].value, "x", 1);
  assert_int_equal (range (f, "a/", STORE_PREFIX, 4, 0, &r), 0);
  assert_int_equal (r.n_kvs, 1);
  assert_int_equal (range (f, "a/", STORE_PREFIX, 0, 1, &r), 0);
  assert_int_equal (r.n_kvs, 1);
  assert_int_equal (r.count, 2);
  assert_true (r.more);
  assert_int_equal (r.kvs[0].create_revision, 5);
  assert_int_equal (r.kvs[0].version, 1);
  assert_int_equal (range (f, "a/", STORE_PREFIX, 99, 0, &r), ERR_FUTURE);
}

static void
test_state_txn__failed_compare_runs_else (void **state)
{
  struct fixture *f = *state;
  struct store_compare cmp = {.key = "k", .target = STORE_MOD_REVISION, .relation = STORE_EQUAL, .number = 7};
  struct store_op then = {.type = STORE_PUT, .key = "k", .value = "new", .value_len = 3}, other = {.type = STORE_RANGE, .key = "k"};
  struct store_txn t = {.compares = &cmp, .n_compares = 1, .then_ops = &then, .n_then = 1, .else_ops = &other, .n_else = 1};
  struct store_txn_result r;
  put (f, "k", "old");
  assert_int_equal (txn (f, &t, &r), 0);
  assert_false (r.succeeded);
  assert_int_equal (r.revision, 2);
  assert_memory_equal (r.ops[0].kvs[0].value, "old", 3);
  cmp.number = 2;
  assert_int_equal (txn (f, &t, &r), 0);
  assert_true (r.succeeded);
  assert_int_equal (r.revision, 3);
}

static void
test_state_txn__key_changed_twice_is_refused_and_changes_nothing (void **state)
{
  struct fixture *f = *state;
  struct store_op ops[2] = {{.type = STORE_PUT, .key = "k", .value = "1", .value_len = 1}, {.type = STORE_PUT, .key = "k", .value = "2", .value_len = 1}};
  struct store_txn t = {.then_ops = ops, .n_then = 2};
  struct store_txn_result r;
  assert_int_equal (txn (f, &t, &r), ERR_INVALID);
  assert_int_equal (state_revision (f->state), STATE_FIRST_REVISION);
  assert_int_equal (f->seen.text.len, 0);
}

static void
test_state_txn__idempotency_key_applies_once (void **state)
{
  struct fixture *f = *state;
  struct store_op op = {.type = STORE_PUT, .key = "k", .value = "1", .value_len = 1};
  struct store_txn t = {.then_ops = &op, .n_then = 1, .idempotency = "once"};
  struct store_txn_result r;
  assert_int_equal (txn (f, &t, &r), 0);
  assert_int_equal (txn (f, &t, &r), 0);
  assert_int_equal (r.revision, 2);
  assert_int_equal (state_revision (f->state), 2);
}

static void
test_state_streams__prefixes_and_indexes_get_each_change_once (void **state)
{
  struct fixture *f = *state;
  put_in (f, "pods/default/a", "1", (const char *const[]){"@node/n1", NULL});
  assert_string_equal (buf_cstr (&f->seen.text), ":1:put:pods/default/a\npods:1:put:pods/default/a\npods/default:1:put:pods/default/a\n@node/n1:1:put:pods/default/a\n");
  buf_reset (&f->seen.text);
  put_in (f, "pods/default/a", "2", (const char *const[]){"@node/n2", NULL});
  assert_string_equal (buf_cstr (&f->seen.text), ":2:put:pods/default/a\npods:2:put:pods/default/a\npods/default:2:put:pods/default/a\n@node/n2:1:put:pods/default/a\n"
                                                 "@node/n1:2:delete-moved:pods/default/a\n");
  buf_reset (&f->seen.text);
  delete (f, "pods/default/a");
  assert_string_equal (buf_cstr (&f->seen.text), ":3:delete:pods/default/a\npods:3:delete:pods/default/a\npods/default:3:delete:pods/default/a\n@node/n2:2:delete:pods/default/a\n");
}

static void
test_state_streams__last_of_a_revision_is_told_by_stream (void **state)
{
  struct fixture *f = *state;
  struct store_op ops[2] = {{.type = STORE_PUT, .key = "a/1", .value = "1", .value_len = 1}, {.type = STORE_PUT, .key = "b/1", .value = "2", .value_len = 1}};
  struct store_txn t = {.then_ops = ops, .n_then = 2};
  struct store_txn_result r;
  assert_int_equal (txn (f, &t, &r), 0);
  assert_string_equal (buf_cstr (&f->seen.text), ":1:put-more:a/1\na:1:put:a/1\n:2:put:b/1\nb:1:put:b/1\n");
}

static struct value *
page (struct fixture *f, bool snapshot, const struct wire_page_request *rq, int *ret_code)
{
  struct buf out AUTO_BUF = BUF_INIT;
  struct value *v = NULL;
  struct err err = {0};
  *ret_code = snapshot ? state_stream_snapshot (f->state, rq, &out, &err) : state_stream_changes (f->state, rq, &out, &err);
  if (!*ret_code)
    assert_int_equal (value_unpack (&f->arena, out.data, out.len, &v, &err), 0);
  return v;
}

static void
test_state_stream_snapshot__index_stream_holds_its_members (void **state)
{
  struct fixture *f = *state;
  struct wire_page_request rq = {.stream = "@node/n1", .after = ""};
  struct value *v;
  int r;
  put_in (f, "pods/default/a", "1", (const char *const[]){"@node/n1", NULL});
  put_in (f, "pods/default/b", "1", (const char *const[]){"@node/n1", NULL});
  put_in (f, "pods/default/c", "1", (const char *const[]){"@node/n2", NULL});
  put_in (f, "pods/default/b", "2", (const char *const[]){"@node/n2", NULL});
  v = page (f, true, &rq, &r);
  assert_int_equal (value_count (value_get (v, "changes")), 1);
  assert_int_equal (value_path_int (v, "seq", 0), 3);
  rq.stream = "pods";
  rq.limit = 2;
  v = page (f, true, &rq, &r);
  assert_int_equal (value_count (value_get (v, "changes")), 2);
  assert_true (value_path_bool (v, "more", false));
  rq.after = "pods/default/b";
  v = page (f, true, &rq, &r);
  assert_int_equal (value_count (value_get (v, "changes")), 1);
}

static void
test_state_stream_changes__continues_after_a_sequence_or_revision (void **state)
{
  struct fixture *f = *state;
  struct wire_page_request rq = {.stream = "pods", .after = "", .after_seq = 1};
  struct value *v;
  int r;
  put (f, "pods/default/a", "1");
  put (f, "nodes/n", "1");
  put (f, "pods/default/a", "2");
  put (f, "pods/default/b", "1");
  v = page (f, false, &rq, &r);
  assert_int_equal (value_count (value_get (v, "changes")), 2);
  assert_int_equal (value_path_int (v, "seq", 0), 3);
  rq = (struct wire_page_request){.stream = "pods", .after = "", .revision = 4};
  v = page (f, false, &rq, &r);
  assert_int_equal (value_count (value_get (v, "changes")), 1);
}

static void
test_state_compact__old_versions_go_and_readers_are_told (void **state)
{
  struct fixture *f = *state;
  struct buf body AUTO_BUF = BUF_INIT, reply AUTO_BUF = BUF_INIT;
  struct store_range_result r;
  struct wire_page_request rq = {.stream = "pods", .after = "", .after_seq = 1};
  uint64_t revision = 3;
  int code;
  put (f, "pods/a/x", "1");
  put (f, "pods/a/x", "2");
  put (f, "pods/a/x", "3");
  wire_pack_numbers (&revision, 1, &body);
  assert_int_equal (apply (f, STATE_COMPACT, &body, &reply), 0);
  assert_int_equal (state_compacted (f->state), 3);
  assert_int_equal (range (f, "pods/", STORE_PREFIX, 2, 0, &r), ERR_COMPACTED);
  assert_int_equal (range (f, "pods/", STORE_PREFIX, 3, 0, &r), 0);
  assert_memory_equal (r.kvs[0].value, "2", 1);
  page (f, false, &rq, &code);
  assert_int_equal (code, ERR_COMPACTED);
  rq.after_seq = 2;
  page (f, false, &rq, &code);
  assert_int_equal (code, 0);
  assert_int_equal (apply (f, STATE_COMPACT, &body, &reply), ERR_COMPACTED);
}

static void
test_state_lease__revoke_deletes_its_keys (void **state)
{
  struct fixture *f = *state;
  struct buf body AUTO_BUF = BUF_INIT, reply AUTO_BUF = BUF_INIT;
  uint64_t grant[2] = {77, 10};
  struct store_op op = {.type = STORE_PUT, .key = "l/1", .value = "x", .value_len = 1, .lease = 77};
  struct store_txn t = {.then_ops = &op, .n_then = 1};
  struct store_txn_result r;
  struct store_range_result found;
  assert_int_equal (txn (f, &t, &r), ERR_NOT_FOUND);
  wire_pack_numbers (grant, 2, &body);
  assert_int_equal (apply (f, STATE_LEASE_GRANT, &body, &reply), 0);
  assert_int_equal (txn (f, &t, &r), 0);
  buf_reset (&body);
  wire_pack_numbers (grant, 1, &body);
  assert_int_equal (apply (f, STATE_LEASE_REVOKE, &body, &reply), 0);
  assert_int_equal (range (f, "l/", STORE_PREFIX, 0, 0, &found), 0);
  assert_int_equal (found.n_kvs, 0);
}

static void
test_state_hash__equal_after_equal_entries (void **state)
{
  struct fixture *f = *state;
  struct fixture *g;
  uint64_t a, b;
  void *other;
  setup (&other);
  g = other;
  put (f, "a", "1");
  put (g, "a", "1");
  assert_int_equal (state_hash (f->state, &a, NULL), 0);
  assert_int_equal (state_hash (g->state, &b, NULL), 0);
  assert_true (a == b);
  delete (g, "a");
  assert_int_equal (state_hash (g->state, &b, NULL), 0);
  assert_true (a != b);
  teardown (&other);
}

int
main (void)
{
#define T(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T (test_state_apply__puts_count_revisions_and_versions),
      T (test_state_range__past_revision_sees_what_was),
      T (test_state_txn__failed_compare_runs_else),
      T (test_state_txn__key_changed_twice_is_refused_and_changes_nothing),
      T (test_state_txn__idempotency_key_applies_once),
      T (test_state_streams__prefixes_and_indexes_get_each_change_once),
      T (test_state_streams__last_of_a_revision_is_told_by_stream),
      T (test_state_stream_snapshot__index_stream_holds_its_members),
      T (test_state_stream_changes__continues_after_a_sequence_or_revision),
      T (test_state_compact__old_versions_go_and_readers_are_told),
      T (test_state_lease__revoke_deletes_its_keys),
      T (test_state_hash__equal_after_equal_entries),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
