#include "storage/state.h"

#include "base/mem.h"
#include "storage/state_internal.h"

#define POSITION_CACHE_MAX 4096

void
state_entry_pack (const struct state_entry *e, struct buf *out)
{
  buf_append_byte (out, (uint8_t) e->command);
  buf_append_be64 (out, (uint64_t) e->time_us);
  buf_append_be64 (out, e->proposer);
  buf_append_be64 (out, e->ticket);
  buf_append (out, e->body, e->len);
}

int
state_entry_unpack (const void *data, size_t n, struct state_entry *ret, struct err *err)
{
  const uint8_t *p = data;
  if (n < 25 || p[0] < STATE_TXN || p[0] > STATE_COMPACT)
    return err_set (err, ERR_PARSE, "log entry: not a command of the store");
  *ret = (struct state_entry){(enum state_command) p[0], (int64_t) be64_load (p + 1), be64_load (p + 9), be64_load (p + 17),
                              p + 25, n - 25};
  return 0;
}

void
state_key (struct buf *out, char space, const void *key, size_t n)
{
  buf_reset (out);
  buf_append_byte (out, (uint8_t) space);
  buf_append (out, key, n);
}

void
state_version_key (struct buf *out, const char *key, uint64_t revision)
{
  state_key (out, 'k', key, strlen (key) + 1);
  buf_append_be64 (out, ~revision);
}

/* Reads count numbers stored under an 'm' name; absent: zeroes. */
static int
load_numbers (struct state *s, const char *name, uint64_t *v, size_t count, struct err *err)
{
  struct buf key AUTO_BUF = BUF_INIT, value AUTO_BUF = BUF_INIT;
  int r;
  state_key (&key, 'm', name, strlen (name));
  r = s->engine->vt->get (s->engine, key.data, key.len, &value, err);
  if (r == ERR_NOT_FOUND)
    return 0;
  if (r)
    return r;
  if (value.len != count * 8)
    return err_set (err, ERR_CORRUPT, "state: \"%s\" has %zu bytes", name, value.len);
  for (size_t i = 0; i < count; i++)
    v[i] = be64_load (value.data + 8 * i);
  return 0;
}

static void
put_numbers (struct engine_batch *b, const char *name, const uint64_t *v, size_t count)
{
  struct buf key AUTO_BUF = BUF_INIT, value AUTO_BUF = BUF_INIT;
  state_key (&key, 'm', name, strlen (name));
  for (size_t i = 0; i < count; i++)
    buf_append_be64 (&value, v[i]);
  if (key.failed || value.failed)
    b->ops.failed = true;
  else
    engine_batch_put (b, key.data, key.len, value.data, value.len);
}

int
state_open (struct engine *engine, const struct state_hooks *hooks, struct state **ret, struct err *err)
{
  struct state *s = mem_zalloc (sizeof *s);
  uint64_t applied[2] = {0, 0};
  int r;
  if (!s || !(s->positions = map_new (free))) {
    engine->vt->free (engine);
    free (s);
    return err_set (err, ERR_NOMEM, "open the state");
  }
  s->engine = engine;
  if (hooks)
    s->hooks = *hooks;
  s->revision = STATE_FIRST_REVISION;
  if ((r = load_numbers (s, "applied", applied, 2, err)) || (r = load_numbers (s, "revision", &s->revision, 1, err))
      || (r = load_numbers (s, "compacted", &s->compacted, 1, err))) {
    state_free (s);
    return r;
  }
  s->applied_index = applied[0];
  s->applied_term = applied[1];
  *ret = s;
  return 0;
}

void
state_free (struct state *s)
{
  if (!s)
    return;
  map_free (s->positions);
  s->engine->vt->free (s->engine);
  free (s);
}

struct engine *
state_engine (struct state *s)
{
  return s->engine;
}

uint64_t
state_applied_index (const struct state *s)
{
  return s->applied_index;
}

uint64_t
state_applied_term (const struct state *s)
{
  return s->applied_term;
}

uint64_t
state_revision (const struct state *s)
{
  return s->revision;
}

uint64_t
state_compacted (const struct state *s)
{
  return s->compacted;
}

int
state_stream_position (struct state *s, const char *stream, uint64_t *ret_seq, uint64_t *ret_revision, struct err *err)
{
  struct buf key AUTO_BUF = BUF_INIT, value AUTO_BUF = BUF_INIT;
  struct state_position *p = map_get (s->positions, stream);
  int r;
  if (!p) {
    if (!(p = mem_zalloc (sizeof *p)))
      return err_set (err, ERR_NOMEM, "stream position");
    state_key (&key, 's', stream, strlen (stream));
    r = s->engine->vt->get (s->engine, key.data, key.len, &value, err);
    if (!r && value.len == 16) {
      p->seq = be64_load (value.data);
      p->revision = be64_load (value.data + 8);
    } else if (r != ERR_NOT_FOUND) {
      free (p);
      return r ? r : err_set (err, ERR_CORRUPT, "stream position of \"%s\"", stream);
    }
    if (map_count (s->positions) >= POSITION_CACHE_MAX) {
      struct map *fresh = map_new (free);
      if (fresh) {
        map_free (s->positions);
        s->positions = fresh;
      }
    }
    if (map_set (s->positions, stream, p)) {
      free (p);
      return err_set (err, ERR_NOMEM, "stream position");
    }
  }
  *ret_seq = p->seq;
  *ret_revision = p->revision;
  return 0;
}

/* ---- leases ---- */

static int
lease_grant (struct state_apply *ap, const struct state_entry *e, struct buf *reply, struct err *outcome)
{
  struct buf key AUTO_BUF = BUF_INIT, value AUTO_BUF = BUF_INIT;
  struct state_lease old;
  uint64_t v[2]; /* id, ttl_s */
  uint8_t id[8];
  int r = wire_unpack_numbers (e->body, e->len, v, 2, outcome);
  if (r)
    return 0;
  if (!v[0] || !v[1] || v[1] > 9000000000u) {
    err_set (outcome, ERR_INVALID, "lease: id and ttl must be positive");
    return 0;
  }
  r = state_lease_get (ap->s, v[0], &old, ap->err);
  if (!r) {
    err_set (outcome, ERR_EXISTS, "lease %llx exists", (unsigned long long) v[0]);
    return 0;
  }
  if (r != ERR_NOT_FOUND)
    return r;
  be64_store (id, v[0]);
  state_key (&key, 'l', id, sizeof id);
  buf_append_be64 (&value, v[1]);
  if (key.failed || value.failed)
    return err_set (ap->err, ERR_NOMEM, "grant a lease");
  engine_batch_put (&ap->batch, key.data, key.len, value.data, value.len);
  wire_pack_numbers (v, 2, reply);
  return 0;
}

static int
lease_revoke (struct state_apply *ap, const struct state_entry *e, struct buf *reply, struct err *outcome)
{
  struct buf key AUTO_BUF = BUF_INIT, raw AUTO_BUF = BUF_INIT;
  struct state_lease lease;
  struct state_current cur;
  struct engine_iter *it AUTO_ENGINE_ITER = NULL;
  uint64_t id;
  uint8_t be[8];
  int r = wire_unpack_numbers (e->body, e->len, &id, 1, outcome);
  if (r)
    return 0;
  if ((r = state_lease_get (ap->s, id, &lease, ap->err)) == ERR_NOT_FOUND) {
    err_set (outcome, ERR_NOT_FOUND, "lease %llx does not exist", (unsigned long long) id);
    return 0;
  }
  if (r)
    return r;
  be64_store (be, id);
  state_key (&key, 'L', be, sizeof be);
  if (key.failed || !(it = ap->s->engine->vt->iter (ap->s->engine)))
    return err_set (ap->err, ERR_NOMEM, "revoke a lease");
  for (it->vt->seek (it, key.data, key.len); it->vt->valid (it); it->vt->next (it)) {
    size_t n;
    const uint8_t *k = it->vt->key (it, &n);
    char *name;
    if (n <= 9 || memcmp (k, key.data, 9))
      break;
    if (!(name = arena_strndup (ap->arena, (const char *) k + 9, n - 9)))
      return err_set (ap->err, ERR_NOMEM, "revoke a lease");
    r = state_current_get (ap->s, name, &raw, &cur, ap->err);
    if (!r)
      r = state_apply_delete (ap, name, &cur, "", 0, "");
    if (r)
      return err_wrap (ap->err, "revoke lease: %s", name);
  }
  if ((r = it->vt->error (it, ap->err)))
    return r;
  state_key (&key, 'l', be, sizeof be);
  engine_batch_delete (&ap->batch, key.data, key.len);
  id = ap->sub ? ap->revision : ap->s->revision;
  wire_pack_numbers (&id, 1, reply);
  return 0;
}

int
state_lease_get (struct state *s, uint64_t id, struct state_lease *ret, struct err *err)
{
  struct buf key AUTO_BUF = BUF_INIT, value AUTO_BUF = BUF_INIT;
  uint8_t be[8];
  int r;
  be64_store (be, id);
  state_key (&key, 'l', be, sizeof be);
  if ((r = s->engine->vt->get (s->engine, key.data, key.len, &value, err)))
    return r;
  if (value.len != 8)
    return err_set (err, ERR_CORRUPT, "lease %llx has %zu bytes", (unsigned long long) id, value.len);
  *ret = (struct state_lease){id, (int64_t) be64_load (value.data)};
  return 0;
}

int
state_lease_next (struct state *s, uint64_t after, struct state_lease *ret, struct err *err)
{
  struct engine_iter *it AUTO_ENGINE_ITER = s->engine->vt->iter (s->engine);
  uint8_t from[9] = {'l'};
  const uint8_t *k, *v;
  size_t kn, vn;
  int r;
  if (!it)
    return err_set (err, ERR_NOMEM, "scan leases");
  if (after == UINT64_MAX)
    return err_set (err, ERR_NOT_FOUND, "no further lease");
  be64_store (from + 1, after + 1);
  it->vt->seek (it, from, sizeof from);
  if (!it->vt->valid (it))
    return (r = it->vt->error (it, err)) ? r : err_set (err, ERR_NOT_FOUND, "no further lease");
  k = it->vt->key (it, &kn);
  v = it->vt->value (it, &vn);
  if (kn != 9 || k[0] != 'l' || vn != 8)
    return err_set (err, ERR_NOT_FOUND, "no further lease");
  *ret = (struct state_lease){be64_load (k + 1), (int64_t) be64_load (v)};
  return 0;
}

/* ---- applying ---- */

/* The result of an earlier entry with the same idempotency key, if it is remembered. */
static int
remembered (struct state *s, const char *idempotency, struct buf *reply, struct err *err)
{
  struct buf key AUTO_BUF = BUF_INIT;
  state_key (&key, 'd', idempotency, strlen (idempotency));
  return s->engine->vt->get (s->engine, key.data, key.len, reply, err);
}

static int
remember (struct state_apply *ap, uint64_t index, const char *idempotency, const struct buf *reply)
{
  struct buf key AUTO_BUF = BUF_INIT, old AUTO_BUF = BUF_INIT;
  uint8_t be[8];
  int r;
  state_key (&key, 'd', idempotency, strlen (idempotency));
  engine_batch_put (&ap->batch, key.data, key.len, reply->data, reply->len);
  be64_store (be, index);
  state_key (&key, 'D', be, sizeof be);
  engine_batch_put (&ap->batch, key.data, key.len, idempotency, strlen (idempotency));
  if (index <= STATE_IDEMPOTENCY_ENTRIES)
    return 0;
  be64_store (be, index - STATE_IDEMPOTENCY_ENTRIES);
  state_key (&key, 'D', be, sizeof be);
  if ((r = ap->s->engine->vt->get (ap->s->engine, key.data, key.len, &old, ap->err)))
    return r == ERR_NOT_FOUND ? 0 : r;
  engine_batch_delete (&ap->batch, key.data, key.len);
  state_key (&key, 'd', old.data, old.len);
  engine_batch_delete (&ap->batch, key.data, key.len);
  return 0;
}

static int
txn (struct state_apply *ap, uint64_t index, const struct state_entry *e, struct buf *reply, struct err *outcome)
{
  struct store_txn t;
  struct store_txn_result result = {0};
  int r = wire_unpack_txn (ap->arena, e->body, e->len, &t, outcome);
  if (r)
    return 0;
  if (t.idempotency) {
    r = remembered (ap->s, t.idempotency, reply, ap->err);
    if (r != ERR_NOT_FOUND)
      return r;
  }
  if ((r = state_apply_txn (ap, &t, &result, outcome)) || outcome->code)
    return r;
  wire_pack_txn_result (&result, reply);
  if (reply->failed)
    return err_set (ap->err, ERR_NOMEM, "a transaction's result");
  return t.idempotency && ap->sub ? remember (ap, index, t.idempotency, reply) : 0;
}

static int
dispatch (struct state_apply *ap, uint64_t index, const struct state_entry *e, struct buf *reply, struct err *outcome)
{
  uint64_t revision;
  switch (e->command) {
  case STATE_TXN:
    return txn (ap, index, e, reply, outcome);
  case STATE_LEASE_GRANT:
    return lease_grant (ap, e, reply, outcome);
  case STATE_LEASE_REVOKE:
    return lease_revoke (ap, e, reply, outcome);
  case STATE_COMPACT:
    if (wire_unpack_numbers (e->body, e->len, &revision, 1, outcome))
      return 0;
    wire_pack_numbers (&revision, 1, reply);
    return state_apply_compact (ap, revision, outcome);
  }
  return 0;
}

/* What the batch changed becomes the state in memory, and the changes go out. */
static int
commit (struct state_apply *ap, uint64_t index, uint64_t term, uint64_t compacted)
{
  struct state *s = ap->s;
  uint64_t applied[2] = {index, term};
  void *v;
  const char *stream;
  int r;
  put_numbers (&ap->batch, "applied", applied, 2);
  if (ap->sub)
    put_numbers (&ap->batch, "revision", &ap->revision, 1);
  if (compacted != s->compacted)
    put_numbers (&ap->batch, "compacted", &compacted, 1);
  for (size_t it = 0; map_next (ap->positions, &it, &stream, &v);) {
    struct state_position *p = v;
    struct buf key AUTO_BUF = BUF_INIT, value AUTO_BUF = BUF_INIT;
    state_key (&key, 's', stream, strlen (stream));
    buf_append_be64 (&value, p->seq);
    buf_append_be64 (&value, p->revision);
    engine_batch_put (&ap->batch, key.data, key.len, value.data, value.len);
  }
  if ((r = s->engine->vt->write (s->engine, &ap->batch, false, ap->err)))
    return r;
  for (size_t it = 0; map_next (ap->positions, &it, &stream, &v);) {
    struct state_position *p = map_get (s->positions, stream);
    if (p)
      *p = *(struct state_position *) v;
  }
  s->applied_index = index;
  s->applied_term = term;
  s->compacted = compacted;
  if (ap->sub)
    s->revision = ap->revision;
  if (s->hooks.change)
    for (size_t i = 0; i < ap->n_out; i++)
      s->hooks.change (s->hooks.arg, ap->out[i].stream, ap->out[i].seq, ap->out[i].packed->data, ap->out[i].packed->len);
  return 0;
}

static void
apply_done (struct state_apply *ap)
{
  for (size_t i = 0; i < ap->n_packed; i++)
    buf_done (ap->packed[i]);
  free (ap->packed);
  free (ap->out);
  map_free (ap->positions);
  engine_batch_done (&ap->batch);
}

/* A refused command leaves nothing behind. */
static void
discard (struct state_apply *ap)
{
  struct map *none = map_new (NULL);
  engine_batch_done (&ap->batch);
  apply_done (ap);
  ap->out = NULL;
  ap->n_out = ap->cap_out = 0;
  ap->packed = NULL;
  ap->n_packed = ap->cap_packed = 0;
  ap->pending = NULL;
  ap->positions = none;
  ap->sub = 0;
}

static int
follows (struct state *s, uint64_t index, struct err *err)
{
  if (index <= s->applied_index)
    return err_set (err, ERR_CORRUPT, "entry %llu is applied again (%llu is)", (unsigned long long) index,
                    (unsigned long long) s->applied_index);
  return 0;
}

int
state_apply (struct state *s, uint64_t index, uint64_t term, const void *data, size_t n, struct err *ret_outcome,
             struct buf *ret_reply, struct err *err)
{
  struct arena arena AUTO_ARENA = {0};
  struct err outcome = {0};
  struct state_entry e;
  struct state_apply ap = {.s = s, .arena = &arena, .revision = s->revision + 1, .err = err};
  uint64_t compacted = s->compacted;
  int r = follows (s, index, err);
  if (r)
    return r;
  ap.pending_tail = &ap.pending;
  if (!(ap.positions = map_new (NULL)))
    return err_set (err, ERR_NOMEM, "apply entry %llu", (unsigned long long) index);
  buf_reset (ret_reply);
  if (n && !state_entry_unpack (data, n, &e, &outcome)) {
    ap.time_us = e.time_us;
    if (!(r = dispatch (&ap, index, &e, ret_reply, &outcome)) && outcome.code)
      discard (&ap);
    else if (!r && e.command == STATE_COMPACT)
      (void) wire_unpack_numbers (e.body, e.len, &compacted, 1, NULL);
  }
  if (!r && !(r = state_apply_emit (&ap)))
    r = commit (&ap, index, term, compacted);
  if (!r && ret_outcome)
    *ret_outcome = outcome;
  apply_done (&ap);
  return r ? err_wrap (err, "apply entry %llu", (unsigned long long) index), r : 0;
}

int
state_apply_meta (struct state *s, uint64_t index, uint64_t term, const char *name, const void *value, size_t n, struct err *err)
{
  struct engine_batch batch = {0};
  struct buf key AUTO_BUF = BUF_INIT;
  uint64_t applied[2] = {index, term};
  int r = index ? follows (s, index, err) : 0;
  if (r)
    return r;
  if (index)
    put_numbers (&batch, "applied", applied, 2);
  if (name) {
    state_key (&key, 'm', name, strlen (name));
    engine_batch_put (&batch, key.data, key.len, value, n);
  }
  r = s->engine->vt->write (s->engine, &batch, false, err);
  engine_batch_done (&batch);
  if (r || !index)
    return r;
  s->applied_index = index;
  s->applied_term = term;
  return 0;
}

int
state_meta (struct state *s, const char *name, struct buf *ret, struct err *err)
{
  struct buf key AUTO_BUF = BUF_INIT;
  state_key (&key, 'm', name, strlen (name));
  return s->engine->vt->get (s->engine, key.data, key.len, ret, err);
}

int
state_hash (struct state *s, uint64_t *ret, struct err *err)
{
  struct engine_iter *it AUTO_ENGINE_ITER = s->engine->vt->iter (s->engine);
  uint64_t h = 0;
  if (!it)
    return err_set (err, ERR_NOMEM, "hash the state");
  for (it->vt->seek (it, "", 0); it->vt->valid (it); it->vt->next (it)) {
    size_t kn, vn;
    const uint8_t *k = it->vt->key (it, &kn), *v = it->vt->value (it, &vn);
    if (kn && k[0] == 'm')
      continue;
    h = hash_bytes (k, kn, h);
    h = hash_bytes (v, vn, h);
  }
  *ret = h;
  return it->vt->error (it, err);
}
