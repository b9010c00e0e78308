#include "storage/wire.h"

#include <msgpack.h>

#include "schemas/msgpack.h"

/* ---- packing: msgpack-c onto a buf ---- */

static int
write_buf (void *out, const char *p, size_t n)
{
  buf_append (out, p, n);
  return 0;
}

static msgpack_packer
packer (struct buf *out)
{
  msgpack_packer p;
  msgpack_packer_init (&p, out, write_buf);
  return p;
}

static void
put_str (msgpack_packer *p, const char *s)
{
  size_t n = s ? strlen (s) : 0;
  msgpack_pack_str_with_body (p, s ? s : "", n);
}

static void
put_bytes (msgpack_packer *p, const void *data, size_t n)
{
  msgpack_pack_bin_with_body (p, data ? data : "", n);
}

static void
put_end (msgpack_packer *p, const char *end)
{
  if (!end)
    msgpack_pack_nil (p);
  else if (end == STORE_PREFIX)
    msgpack_pack_true (p);
  else
    put_str (p, end);
}

static void
put_ops (msgpack_packer *p, const struct store_op *ops, size_t n)
{
  msgpack_pack_array (p, n);
  for (size_t i = 0; i < n; i++) {
    const struct store_op *op = &ops[i];
    size_t streams = 0;
    while (op->index_streams && op->index_streams[streams])
      streams++;
    msgpack_pack_array (p, 7);
    msgpack_pack_uint8 (p, (uint8_t) op->type);
    put_str (p, op->key);
    put_end (p, op->end);
    put_bytes (p, op->value, op->value_len);
    msgpack_pack_uint64 (p, op->lease);
    msgpack_pack_uint64 (p, op->limit);
    msgpack_pack_array (p, streams);
    for (size_t s = 0; s < streams; s++)
      put_str (p, op->index_streams[s]);
  }
}

void
wire_pack_txn (const struct store_txn *t, struct buf *out)
{
  msgpack_packer p = packer (out);
  msgpack_pack_array (&p, 7);
  msgpack_pack_array (&p, t->n_compares);
  for (size_t i = 0; i < t->n_compares; i++) {
    const struct store_compare *c = &t->compares[i];
    msgpack_pack_array (&p, 5);
    put_str (&p, c->key);
    msgpack_pack_uint8 (&p, (uint8_t) c->target);
    msgpack_pack_uint8 (&p, (uint8_t) c->relation);
    msgpack_pack_uint64 (&p, c->number);
    put_bytes (&p, c->value, c->value_len);
  }
  put_ops (&p, t->then_ops, t->n_then);
  put_ops (&p, t->else_ops, t->n_else);
  put_str (&p, t->actor);
  msgpack_pack_uint64 (&p, t->cause);
  put_str (&p, t->trace);
  put_str (&p, t->idempotency);
}

void
wire_pack_range (const struct store_range *r, struct buf *out)
{
  msgpack_packer p = packer (out);
  msgpack_pack_array (&p, 5);
  put_str (&p, r->key);
  put_end (&p, r->end);
  msgpack_pack_uint64 (&p, r->revision);
  msgpack_pack_uint64 (&p, r->limit);
  msgpack_pack_uint8 (&p, (uint8_t) (r->keys_only | r->count_only << 1 | r->serializable << 2));
}

static void
put_kvs (msgpack_packer *p, const struct store_kv *kvs, size_t n)
{
  msgpack_pack_array (p, n);
  for (size_t i = 0; i < n; i++) {
    msgpack_pack_array (p, 6);
    put_str (p, kvs[i].key);
    put_bytes (p, kvs[i].value, kvs[i].value_len);
    msgpack_pack_uint64 (p, kvs[i].create_revision);
    msgpack_pack_uint64 (p, kvs[i].mod_revision);
    msgpack_pack_uint64 (p, kvs[i].version);
    msgpack_pack_uint64 (p, kvs[i].lease);
  }
}

static void
put_bool (msgpack_packer *p, bool b)
{
  if (b)
    msgpack_pack_true (p);
  else
    msgpack_pack_false (p);
}

void
wire_pack_txn_result (const struct store_txn_result *r, struct buf *out)
{
  msgpack_packer p = packer (out);
  msgpack_pack_array (&p, 3);
  put_bool (&p, r->succeeded);
  msgpack_pack_uint64 (&p, r->revision);
  msgpack_pack_array (&p, r->n_ops);
  for (size_t i = 0; i < r->n_ops; i++) {
    msgpack_pack_array (&p, 3);
    msgpack_pack_uint64 (&p, r->ops[i].count);
    put_bool (&p, r->ops[i].more);
    put_kvs (&p, r->ops[i].kvs, r->ops[i].n_kvs);
  }
}

void
wire_pack_range_result (const struct store_range_result *r, struct buf *out)
{
  msgpack_packer p = packer (out);
  msgpack_pack_array (&p, 4);
  msgpack_pack_uint64 (&p, r->revision);
  msgpack_pack_uint64 (&p, r->count);
  put_bool (&p, r->more);
  put_kvs (&p, r->kvs, r->n_kvs);
}

void
wire_pack_status (const struct store_status *s, struct buf *out)
{
  msgpack_packer p = packer (out);
  const uint64_t numbers[] = {s->member_id, s->leader_id, s->term, s->applied_index, s->revision, s->compacted_revision,
                              s->size_bytes, s->n_members};
  msgpack_pack_array (&p, 10);
  for (size_t i = 0; i < 8; i++)
    msgpack_pack_uint64 (&p, numbers[i]);
  put_str (&p, s->member_name);
  put_str (&p, s->leader_name);
}

void
wire_pack_numbers (const uint64_t *v, size_t n, struct buf *out)
{
  msgpack_packer p = packer (out);
  msgpack_pack_array (&p, n);
  for (size_t i = 0; i < n; i++)
    msgpack_pack_uint64 (&p, v[i]);
}

/* ---- unpacking: a reader whose first failure sticks ---- */

struct reader {
  struct arena *arena;
  struct msgpack_cursor c;
  struct err *err;
  int failed; /* 0 or the error's code; after it every read answers zero */
};

static int
fail (struct reader *r, int code, const char *what)
{
  if (!r->failed)
    r->failed = err_set (r->err, code, "store message: %s", what);
  return r->failed;
}

static struct msgpack_item
next (struct reader *r)
{
  struct msgpack_item it = {.kind = MSGPACK_NIL};
  if (!r->failed)
    r->failed = msgpack_next (&r->c, &it, r->err);
  if (r->failed)
    it = (struct msgpack_item){.kind = MSGPACK_NIL};
  return it;
}

static uint32_t
get_array (struct reader *r, uint32_t least, uint32_t most)
{
  struct msgpack_item it = next (r);
  if (r->failed)
    return 0;
  if (it.kind != MSGPACK_ARRAY || it.len < least) {
    fail (r, ERR_PARSE, "an array is missing or short");
    return 0;
  }
  if (it.len > most) {
    fail (r, ERR_LIMIT, "too many elements");
    return 0;
  }
  return it.len;
}

static uint64_t
get_uint (struct reader *r)
{
  struct msgpack_item it = next (r);
  if (r->failed)
    return 0;
  if (it.kind == MSGPACK_UINT)
    return it.u;
  if (it.kind != MSGPACK_INT || it.i < 0) {
    fail (r, ERR_PARSE, "a number is missing");
    return 0;
  }
  return (uint64_t) it.i;
}

static bool
get_bool (struct reader *r)
{
  struct msgpack_item it = next (r);
  if (!r->failed && it.kind != MSGPACK_BOOL)
    fail (r, ERR_PARSE, "a boolean is missing");
  return !r->failed && it.b;
}

static const void *
copy (struct reader *r, const struct msgpack_item *it)
{
  const char *s = arena_strndup (r->arena, it->s, it->len);
  if (!s)
    fail (r, ERR_NOMEM, "no room");
  return s;
}

static const char *
get_str (struct reader *r, size_t most)
{
  struct msgpack_item it = next (r);
  if (r->failed)
    return "";
  if (it.kind != MSGPACK_STRING || memchr (it.s, 0, it.len))
    fail (r, ERR_PARSE, "a text is missing or holds a NUL");
  else if (it.len > most)
    fail (r, ERR_LIMIT, "a text is too long");
  return r->failed ? "" : copy (r, &it);
}

static const char *
get_key (struct reader *r)
{
  const char *k = get_str (r, STORE_KEY_MAX);
  if (!r->failed && !*k)
    fail (r, ERR_INVALID, "an empty key");
  return k;
}

static const void *
get_bytes (struct reader *r, size_t *ret_len)
{
  struct msgpack_item it = next (r);
  *ret_len = 0;
  if (r->failed)
    return NULL;
  if (it.kind != MSGPACK_STRING)
    fail (r, ERR_PARSE, "bytes are missing");
  else if (it.len > STORE_VALUE_MAX)
    fail (r, ERR_LIMIT, "a value is too large");
  if (r->failed)
    return NULL;
  *ret_len = it.len;
  return copy (r, &it);
}

static const char *
get_end (struct reader *r)
{
  struct msgpack_item it = next (r);
  if (r->failed || it.kind == MSGPACK_NIL)
    return NULL;
  if (it.kind == MSGPACK_BOOL && it.b)
    return STORE_PREFIX;
  if (it.kind != MSGPACK_STRING || it.len > STORE_KEY_MAX || memchr (it.s, 0, it.len)) {
    fail (r, ERR_PARSE, "a range's end is malformed");
    return NULL;
  }
  return copy (r, &it);
}

static void *
get_room (struct reader *r, size_t n, size_t size)
{
  void *p = r->failed ? NULL : arena_zalloc (r->arena, n * size);
  if (!p)
    fail (r, ERR_NOMEM, "no room");
  return p;
}

static int
finish (struct reader *r)
{
  if (!r->failed && r->c.p != r->c.end)
    fail (r, ERR_PARSE, "trailing bytes");
  return r->failed;
}

static struct reader
reader (struct arena *a, const void *data, size_t n, struct err *err)
{
  return (struct reader){a, msgpack_open (data, n), err, 0};
}

static const struct store_op *
get_ops (struct reader *r, size_t *ret_n)
{
  uint32_t n = get_array (r, 0, STORE_TXN_OPS_MAX);
  struct store_op *ops = get_room (r, n, sizeof *ops);
  *ret_n = 0;
  for (uint32_t i = 0; i < n && !r->failed; i++) {
    struct store_op *op = &ops[i];
    const char **streams;
    uint32_t count;
    get_array (r, 7, 7);
    op->type = (enum store_op_type) get_uint (r);
    if (op->type > STORE_RANGE)
      fail (r, ERR_PARSE, "an unknown operation");
    op->key = get_key (r);
    op->end = get_end (r);
    op->value = get_bytes (r, &op->value_len);
    op->lease = get_uint (r);
    op->limit = get_uint (r);
    count = get_array (r, 0, 16);
    if (!count)
      continue;
    streams = get_room (r, count + 1, sizeof *streams);
    for (uint32_t s = 0; s < count && !r->failed; s++) {
      streams[s] = get_str (r, STORE_KEY_MAX);
      if (!r->failed && streams[s][0] != '@')
        fail (r, ERR_INVALID, "an index stream does not begin with '@'");
    }
    op->index_streams = streams;
  }
  *ret_n = r->failed ? 0 : n;
  return ops;
}

int
wire_unpack_txn (struct arena *a, const void *data, size_t n, struct store_txn *ret, struct err *err)
{
  struct reader r = reader (a, data, n, err);
  struct store_txn t = {0};
  struct store_compare *cs;
  get_array (&r, 7, 7);
  t.n_compares = get_array (&r, 0, STORE_TXN_OPS_MAX);
  cs = get_room (&r, t.n_compares, sizeof *cs);
  for (size_t i = 0; i < t.n_compares && !r.failed; i++) {
    get_array (&r, 5, 5);
    cs[i].key = get_key (&r);
    cs[i].target = (enum store_target) get_uint (&r);
    cs[i].relation = (enum store_relation) get_uint (&r);
    cs[i].number = get_uint (&r);
    cs[i].value = get_bytes (&r, &cs[i].value_len);
    if (cs[i].target > STORE_LEASE || cs[i].relation > STORE_LESS)
      fail (&r, ERR_PARSE, "an unknown comparison");
  }
  t.compares = cs;
  t.then_ops = get_ops (&r, &t.n_then);
  t.else_ops = get_ops (&r, &t.n_else);
  t.actor = get_str (&r, 1024);
  t.cause = get_uint (&r);
  t.trace = get_str (&r, 256);
  t.idempotency = get_str (&r, 128);
  if (finish (&r))
    return r.failed;
  if (!*t.idempotency)
    t.idempotency = NULL;
  *ret = t;
  return 0;
}

int
wire_unpack_range (struct arena *a, const void *data, size_t n, struct store_range *ret, struct err *err)
{
  struct reader r = reader (a, data, n, err);
  struct store_range q = {0};
  uint64_t flags;
  get_array (&r, 5, 5);
  q.key = get_str (&r, STORE_KEY_MAX);
  q.end = get_end (&r);
  q.revision = get_uint (&r);
  q.limit = get_uint (&r);
  flags = get_uint (&r);
  q.keys_only = flags & 1;
  q.count_only = flags >> 1 & 1;
  q.serializable = flags >> 2 & 1;
  if (finish (&r))
    return r.failed;
  *ret = q;
  return 0;
}

static const struct store_kv *
get_kvs (struct reader *r, size_t *ret_n)
{
  uint32_t n = get_array (r, 0, UINT32_MAX);
  struct store_kv *kvs = get_room (r, n, sizeof *kvs);
  for (uint32_t i = 0; i < n && !r->failed; i++) {
    get_array (r, 6, 6);
    kvs[i].key = get_str (r, STORE_KEY_MAX);
    kvs[i].value = get_bytes (r, &kvs[i].value_len);
    kvs[i].create_revision = get_uint (r);
    kvs[i].mod_revision = get_uint (r);
    kvs[i].version = get_uint (r);
    kvs[i].lease = get_uint (r);
  }
  *ret_n = r->failed ? 0 : n;
  return kvs;
}

int
wire_unpack_txn_result (struct arena *a, const void *data, size_t n, struct store_txn_result *ret, struct err *err)
{
  struct reader r = reader (a, data, n, err);
  struct store_txn_result t = {0};
  struct store_op_result *ops;
  get_array (&r, 3, 3);
  t.succeeded = get_bool (&r);
  t.revision = get_uint (&r);
  t.n_ops = get_array (&r, 0, STORE_TXN_OPS_MAX);
  ops = get_room (&r, t.n_ops, sizeof *ops);
  for (size_t i = 0; i < t.n_ops && !r.failed; i++) {
    get_array (&r, 3, 3);
    ops[i].count = get_uint (&r);
    ops[i].more = get_bool (&r);
    ops[i].kvs = get_kvs (&r, &ops[i].n_kvs);
  }
  t.ops = ops;
  if (finish (&r))
    return r.failed;
  *ret = t;
  return 0;
}

int
wire_unpack_range_result (struct arena *a, const void *data, size_t n, struct store_range_result *ret, struct err *err)
{
  struct reader r = reader (a, data, n, err);
  struct store_range_result q = {0};
  get_array (&r, 4, 4);
  q.revision = get_uint (&r);
  q.count = get_uint (&r);
  q.more = get_bool (&r);
  q.kvs = get_kvs (&r, &q.n_kvs);
  if (finish (&r))
    return r.failed;
  *ret = q;
  return 0;
}

int
wire_unpack_status (struct arena *a, const void *data, size_t n, struct store_status *ret, struct err *err)
{
  struct reader r = reader (a, data, n, err);
  struct store_status s = {0};
  get_array (&r, 10, 10);
  s.member_id = get_uint (&r);
  s.leader_id = get_uint (&r);
  s.term = get_uint (&r);
  s.applied_index = get_uint (&r);
  s.revision = get_uint (&r);
  s.compacted_revision = get_uint (&r);
  s.size_bytes = get_uint (&r);
  s.n_members = (uint32_t) get_uint (&r);
  s.member_name = get_str (&r, 255);
  s.leader_name = get_str (&r, 255);
  if (finish (&r))
    return r.failed;
  *ret = s;
  return 0;
}

int
wire_unpack_numbers (const void *data, size_t n, uint64_t *ret, size_t count, struct err *err)
{
  struct reader r = reader (NULL, data, n, err);
  get_array (&r, (uint32_t) count, (uint32_t) count);
  for (size_t i = 0; i < count; i++)
    ret[i] = get_uint (&r);
  return finish (&r);
}

int
wire_unpack_page_request (struct arena *a, const void *data, size_t n, struct wire_page_request *ret, struct err *err)
{
  struct value *v = NULL;
  int r = value_unpack (a, data, n, &v, err);
  if (r)
    return r;
  *ret = (struct wire_page_request){
      .stream = value_path_string (v, "stream", NULL),
      .after = value_path_string (v, "after", ""),
      .after_seq = (uint64_t) value_path_int (v, "after_seq", 0),
      .limit = (uint64_t) value_path_int (v, "limit", 0),
      .revision = (uint64_t) value_path_int (v, "revision", 0),
  };
  if (!ret->stream || strlen (ret->stream) > STORE_KEY_MAX)
    return err_set (err, ERR_PARSE, "stream request: no stream is named");
  return 0;
}
