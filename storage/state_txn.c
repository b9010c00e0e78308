/* Transactions: compares, then one list of operations. All operations see the state before the transaction; a key may
   be changed only once in it (etcd's rule for puts, and for deletes here too). */
#include "base/mem.h"
#include "storage/state_internal.h"

static int
nomem (struct state_apply *ap)
{
  return err_set (ap->err, ERR_NOMEM, "apply a transaction");
}

static bool
holds (enum store_relation relation, int order)
{
  switch (relation) {
  case STORE_EQUAL:
    return order == 0;
  case STORE_NOT_EQUAL:
    return order != 0;
  case STORE_GREATER:
    return order > 0;
  case STORE_LESS:
    return order < 0;
  }
  return false;
}

/* The value of the version of key at cur->mod. */
static int
value_of (struct state *s, const char *key, const struct state_current *cur, struct buf *raw, struct store_kv *ret, struct err *err)
{
  struct buf vk AUTO_BUF = BUF_INIT;
  bool tombstone;
  int r;
  state_version_key (&vk, key, cur->mod);
  if ((r = s->engine->vt->get (s->engine, vk.data, vk.len, raw, err)))
    return r == ERR_NOT_FOUND ? err_set (err, ERR_CORRUPT, "%s: version %llu is missing", key, (unsigned long long) cur->mod) : r;
  if (!state_version_decode (raw->data, raw->len, &tombstone, ret))
    return err_set (err, ERR_CORRUPT, "%s: version %llu is malformed", key, (unsigned long long) cur->mod);
  ret->key = key;
  ret->mod_revision = cur->mod;
  return 0;
}

static int
compare (struct state_apply *ap, const struct store_compare *c, bool *ret)
{
  struct buf raw AUTO_BUF = BUF_INIT, value AUTO_BUF = BUF_INIT;
  struct state_current cur = {0};
  struct store_kv kv = {0};
  uint64_t have;
  int order, r = state_current_get (ap->s, c->key, &raw, &cur, ap->err);
  bool exists = r == 0;
  if (r && r != ERR_NOT_FOUND)
    return r;
  if (c->target == STORE_VALUE) {
    size_t least;
    if (exists && (r = value_of (ap->s, c->key, &cur, &value, &kv, ap->err)))
      return r;
    least = kv.value_len < c->value_len ? kv.value_len : c->value_len;
    order = least ? memcmp (kv.value, c->value, least) : 0;
    if (!order)
      order = (kv.value_len > c->value_len) - (kv.value_len < c->value_len);
    *ret = exists && holds (c->relation, order);
    return 0;
  }
  have = c->target == STORE_MOD_REVISION ? cur.mod : c->target == STORE_CREATE_REVISION ? cur.create : c->target == STORE_VERSION ? cur.version : cur.lease;
  *ret = holds (c->relation, (have > c->number) - (have < c->number));
  return 0;
}

/* ---- changes ---- */

/* The next sequence number of a stream for this entry. */
static int
advance (struct state_apply *ap, const char *stream, uint64_t *ret_seq)
{
  struct state_position *p = map_get (ap->positions, stream);
  if (!p) {
    uint64_t seq, revision;
    int r = state_stream_position (ap->s, stream, &seq, &revision, ap->err);
    if (r)
      return r;
    if (!(p = arena_zalloc (ap->arena, sizeof *p)) || map_set (ap->positions, stream, p))
      return nomem (ap);
    p->seq = seq;
  }
  p->revision = ap->revision;
  *ret_seq = ++p->seq;
  return 0;
}

static int
send (struct state_apply *ap, const char *stream, uint64_t seq, struct buf *packed)
{
  if (ap->n_out == ap->cap_out) {
    size_t cap = ap->cap_out ? ap->cap_out * 2 : 16;
    struct state_change_out *out = realloc (ap->out, cap * sizeof *out);
    if (!out)
      return nomem (ap);
    ap->out = out;
    ap->cap_out = cap;
  }
  ap->out[ap->n_out++] = (struct state_change_out){arena_strdup (ap->arena, stream), seq, packed};
  return ap->out[ap->n_out - 1].stream ? 0 : nomem (ap);
}

struct streams { /* the memberships of one change */
  struct state_membership *items;
  size_t n, cap;
};

static int
join (struct state_apply *ap, struct streams *to, const char *stream, bool moved)
{
  struct state_membership *m;
  if (to->n == to->cap) {
    size_t cap = to->cap ? to->cap * 2 : 8;
    if (!(m = arena_alloc (ap->arena, cap * sizeof *m)))
      return nomem (ap);
    if (to->n)
      memcpy (m, to->items, to->n * sizeof *m);
    to->items = m;
    to->cap = cap;
  }
  m = &to->items[to->n++];
  m->stream = stream;
  m->moved = moved;
  return advance (ap, stream, &m->seq);
}

/* "" and every prefix of key that ends before a '/'. */
static int
join_prefixes (struct state_apply *ap, struct streams *to, const char *key)
{
  int r = join (ap, to, "", false);
  for (const char *slash = strchr (key, '/'); slash && !r; slash = strchr (slash + 1, '/')) {
    const char *stream = arena_strndup (ap->arena, key, (size_t) (slash - key));
    r = stream ? join (ap, to, stream, false) : nomem (ap);
  }
  return r;
}

static bool
listed (const char *const *streams, const char *stream)
{
  for (; streams && *streams; streams++)
    if (!strcmp (*streams, stream))
      return true;
  return false;
}

static void
index_entry (struct state_apply *ap, const char *stream, const char *key, bool add)
{
  struct buf k AUTO_BUF = BUF_INIT;
  state_key (&k, 'i', stream, strlen (stream) + 1);
  buf_append (&k, key, strlen (key));
  if (k.failed)
    ap->batch.ops.failed = true;
  else if (add)
    engine_batch_put (&ap->batch, k.data, k.len, "", 0);
  else
    engine_batch_delete (&ap->batch, k.data, k.len);
}

/* Index streams: what the key stays in or enters gets the change, what it leaves gets it as moved. */
static int
join_indexes (struct state_apply *ap, struct streams *to, const char *key, const struct state_current *old, const char *const *now)
{
  int r = 0;
  for (size_t i = 0; now && now[i] && !r; i++) {
    index_entry (ap, now[i], key, true);
    r = join (ap, to, now[i], false);
  }
  for (const char *p = old->streams; p && p < old->streams + old->streams_len && !r; p += strlen (p) + 1) {
    if (listed (now, p))
      continue;
    index_entry (ap, p, key, false);
    r = join (ap, to, arena_strdup (ap->arena, p), now != NULL);
  }
  return r;
}

/* Keeps the change until the whole entry is known: whether it is the last of its revision differs by stream. */
static int
record (struct state_apply *ap, const struct bus_change *c, const struct streams *in)
{
  struct state_pending *p = arena_zalloc (ap->arena, sizeof *p);
  if (!p || !(p->change.value = (const uint8_t *) arena_strndup (ap->arena, (const char *) c->value, c->value_len)))
    return nomem (ap);
  {
    const uint8_t *value = p->change.value;
    p->change = *c;
    p->change.value = value;
  }
  p->change.revision = ap->revision;
  p->change.sub = ap->sub++;
  p->change.time_us = ap->time_us;
  p->in = in->items;
  p->n_in = in->n;
  *ap->pending_tail = p;
  ap->pending_tail = &p->next;
  return 0;
}

static bool
follows_on (const struct state_pending *p, const char *stream)
{
  for (p = p->next; p; p = p->next)
    for (size_t i = 0; i < p->n_in; i++)
      if (!strcmp (p->in[i].stream, stream))
        return true;
  return false;
}

/* The packed form of the change on streams of this kind, made once; NULL: out of memory. */
static struct buf *
variant (struct state_apply *ap, const struct state_pending *p, const struct state_membership *m, struct buf *made[4])
{
  struct bus_change c = p->change;
  struct buf **b = &made[(m->moved ? 2 : 0) | (m->last ? 1 : 0)];
  if (*b)
    return *b;
  if (m->moved)
    c.op = BUS_DELETE;
  c.moved = m->moved;
  c.last = m->last;
  if ((*b = arena_zalloc (ap->arena, sizeof **b)))
    bus_change_pack (&c, *b);
  return *b;
}

/* Writes one change to the log and queues it for its streams. */
static int
emit (struct state_apply *ap, struct state_pending *p)
{
  struct buf key AUTO_BUF = BUF_INIT, value AUTO_BUF = BUF_INIT;
  struct buf *made[4] = {NULL}, *whole;
  const struct state_membership plain = {.last = true};
  uint8_t be[12];
  int r = 0;
  for (size_t i = 0; i < p->n_in; i++) {
    struct state_membership *m = &p->in[i];
    m->last = !follows_on (p, m->stream);
    buf_append_byte (&value, (uint8_t) (1 | (m->moved ? 2 : 0) | (m->last ? 4 : 0)));
    buf_append (&value, m->stream, strlen (m->stream) + 1);
    buf_append_be64 (&value, m->seq);
  }
  if (!(whole = variant (ap, p, &plain, made)))
    return nomem (ap);
  buf_append_byte (&value, 0);
  buf_append (&value, whole->data, whole->len);
  be64_store (be, ap->revision);
  for (int i = 0; i < 4; i++)
    be[8 + i] = (uint8_t) (p->change.sub >> (24 - 8 * i));
  state_key (&key, 'g', be, sizeof be);
  if (key.failed || value.failed || whole->failed)
    r = nomem (ap);
  else
    engine_batch_put (&ap->batch, key.data, key.len, value.data, value.len);
  for (size_t i = 0; i < p->n_in && !r; i++) {
    struct buf *packed = variant (ap, p, &p->in[i], made);
    r = packed && !packed->failed ? send (ap, p->in[i].stream, p->in[i].seq, packed) : nomem (ap);
  }
  for (size_t i = 0; i < 4; i++) {
    if (made[i] && ap->n_packed == ap->cap_packed) {
      size_t cap = ap->cap_packed ? ap->cap_packed * 2 : 16;
      struct buf **more = realloc (ap->packed, cap * sizeof *more);
      if (!more) {
        buf_done (made[i]);
        r = nomem (ap);
        continue;
      }
      ap->packed = more;
      ap->cap_packed = cap;
    }
    if (made[i])
      ap->packed[ap->n_packed++] = made[i];
  }
  return r;
}

int
state_apply_emit (struct state_apply *ap)
{
  int r = 0;
  for (struct state_pending *p = ap->pending; p && !r; p = p->next)
    r = emit (ap, p);
  return r;
}

static void
put_version (struct state_apply *ap, const struct store_kv *kv, bool tombstone)
{
  struct buf key AUTO_BUF = BUF_INIT, value AUTO_BUF = BUF_INIT;
  state_version_key (&key, kv->key, ap->revision);
  buf_append_byte (&value, tombstone);
  buf_append_be64 (&value, kv->create_revision);
  buf_append_be64 (&value, kv->version);
  buf_append_be64 (&value, kv->lease);
  buf_append (&value, kv->value, kv->value_len);
  if (key.failed || value.failed)
    ap->batch.ops.failed = true;
  else
    engine_batch_put (&ap->batch, key.data, key.len, value.data, value.len);
}

static void
lease_entry (struct state_apply *ap, uint64_t lease, const char *key, bool add)
{
  struct buf k AUTO_BUF = BUF_INIT;
  uint8_t be[8];
  if (!lease)
    return;
  be64_store (be, lease);
  state_key (&k, 'L', be, sizeof be);
  buf_append (&k, key, strlen (key));
  if (k.failed)
    ap->batch.ops.failed = true;
  else if (add)
    engine_batch_put (&ap->batch, k.data, k.len, "", 0);
  else
    engine_batch_delete (&ap->batch, k.data, k.len);
}

int
state_apply_delete (struct state_apply *ap, const char *key, const struct state_current *cur, const char *actor, uint64_t cause, const char *trace)
{
  struct buf raw AUTO_BUF = BUF_INIT, k AUTO_BUF = BUF_INIT;
  struct streams in = {0};
  struct store_kv old, gone = {.key = key};
  struct bus_change c;
  int r = value_of (ap->s, key, cur, &raw, &old, ap->err);
  if (r || (r = join_prefixes (ap, &in, key)) || (r = join_indexes (ap, &in, key, cur, NULL)))
    return r;
  put_version (ap, &gone, true);
  state_key (&k, 'c', key, strlen (key));
  engine_batch_delete (&ap->batch, k.data, k.len);
  lease_entry (ap, cur->lease, key, false);
  c = (struct bus_change){.op = BUS_DELETE, .key = key, .value = old.value, .value_len = old.value_len, .create_revision = cur->create,
                          .prev_revision = cur->mod, .actor = actor, .cause = cause, .trace = trace};
  return record (ap, &c, &in);
}

static int
put (struct state_apply *ap, const struct store_op *op, const struct store_txn *t)
{
  static const char *const none[] = {NULL};
  struct buf raw AUTO_BUF = BUF_INIT, k AUTO_BUF = BUF_INIT, v AUTO_BUF = BUF_INIT;
  struct streams in = {0};
  struct state_current cur = {0};
  struct store_kv kv = {.key = op->key, .value = op->value, .value_len = op->value_len, .lease = op->lease};
  struct bus_change c;
  const char *const *now = op->index_streams ? op->index_streams : none;
  int r = state_current_get (ap->s, op->key, &raw, &cur, ap->err);
  if (r && r != ERR_NOT_FOUND)
    return r;
  kv.create_revision = r ? ap->revision : cur.create;
  kv.version = cur.version + 1;
  if ((r = join_prefixes (ap, &in, op->key)) || (r = join_indexes (ap, &in, op->key, &cur, now)))
    return r;
  put_version (ap, &kv, false);
  state_key (&k, 'c', op->key, strlen (op->key));
  buf_append_be64 (&v, ap->revision);
  buf_append_be64 (&v, kv.create_revision);
  buf_append_be64 (&v, kv.version);
  buf_append_be64 (&v, kv.lease);
  for (size_t i = 0; now[i]; i++)
    buf_append (&v, now[i], strlen (now[i]) + 1);
  if (k.failed || v.failed)
    return nomem (ap);
  engine_batch_put (&ap->batch, k.data, k.len, v.data, v.len);
  if (cur.lease != op->lease) {
    lease_entry (ap, cur.lease, op->key, false);
    lease_entry (ap, op->lease, op->key, true);
  }
  c = (struct bus_change){.op = BUS_PUT, .key = op->key, .value = op->value, .value_len = op->value_len, .create_revision = kv.create_revision,
                          .prev_revision = cur.mod, .actor = t->actor, .cause = t->cause, .trace = t->trace};
  return record (ap, &c, &in);
}

/* ---- the transaction ---- */

static int
scan_op (struct state_apply *ap, const struct store_op *op, struct store_op_result *ret, struct err *outcome)
{
  struct state_scan q = {.key = op->key, .end = op->end, .limit = op->type == STORE_RANGE ? op->limit : 0, .max_bytes = STATE_PAGE_BYTES};
  struct state_scan_result found = {0};
  int r = state_scan (ap->s, &q, ap->arena, &found, ap->err);
  if (r)
    return r;
  if (found.more && op->type != STORE_RANGE && !outcome->code)
    err_set (outcome, ERR_LIMIT, "delete %s: too much for one transaction", op->key);
  *ret = (struct store_op_result){found.kvs, found.n, found.count, found.more};
  return 0;
}

/* Everything that would refuse the transaction is looked at before anything changes. */
static int
check (struct state_apply *ap, const struct store_op *ops, size_t n, struct store_op_result *results, struct err *outcome)
{
  struct map *changed = map_new (NULL);
  int r = changed ? 0 : nomem (ap);
  for (size_t i = 0; i < n && !r && !outcome->code; i++) {
    struct state_lease lease;
    if ((r = scan_op (ap, &ops[i], &results[i], outcome)))
      break;
    if (ops[i].type == STORE_PUT) {
      if (map_get (changed, ops[i].key))
        err_set (outcome, ERR_INVALID, "%s: changed twice in one transaction", ops[i].key);
      else if (map_set (changed, ops[i].key, ap))
        r = nomem (ap);
      if (ops[i].lease && !r && (r = state_lease_get (ap->s, ops[i].lease, &lease, ap->err)) == ERR_NOT_FOUND) {
        r = 0;
        err_set (outcome, ERR_NOT_FOUND, "%s: lease %llx does not exist", ops[i].key, (unsigned long long) ops[i].lease);
      }
    }
    for (size_t k = 0; ops[i].type == STORE_DELETE && k < results[i].n_kvs && !r; k++) {
      if (map_get (changed, results[i].kvs[k].key))
        err_set (outcome, ERR_INVALID, "%s: changed twice in one transaction", results[i].kvs[k].key);
      else if (map_set (changed, results[i].kvs[k].key, ap))
        r = nomem (ap);
    }
  }
  map_free (changed);
  return r;
}

int
state_apply_txn (struct state_apply *ap, const struct store_txn *t, struct store_txn_result *ret, struct err *outcome)
{
  const struct store_op *ops;
  struct store_op_result *results;
  size_t n;
  bool ok = true;
  int r = 0;
  for (size_t i = 0; i < t->n_compares && ok; i++)
    if ((r = compare (ap, &t->compares[i], &ok)))
      return r;
  ops = ok ? t->then_ops : t->else_ops;
  n = ok ? t->n_then : t->n_else;
  if (!(results = arena_zalloc (ap->arena, (n + 1) * sizeof *results)))
    return nomem (ap);
  if ((r = check (ap, ops, n, results, outcome)) || outcome->code)
    return r;
  for (size_t i = 0; i < n && !r; i++) {
    if (ops[i].type == STORE_PUT)
      r = put (ap, &ops[i], t);
    for (size_t k = 0; ops[i].type == STORE_DELETE && k < results[i].n_kvs && !r; k++) {
      struct buf raw AUTO_BUF = BUF_INIT;
      struct state_current cur;
      const char *key = results[i].kvs[k].key;
      if (!(r = state_current_get (ap->s, key, &raw, &cur, ap->err)))
        r = state_apply_delete (ap, key, &cur, t->actor, t->cause, t->trace);
    }
  }
  *ret = (struct store_txn_result){ok, ap->sub ? ap->revision : ap->s->revision, results, n};
  return r;
}
