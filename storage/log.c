#include "storage/log.h"

#include "base/map.h"
#include "base/mem.h"

#define RECORD_HEAD 17 /* checksum, term, type */

struct log {
  struct engine *engine;
  struct raft_storage storage;
  struct raft_conf conf;
  struct raft_hard_state hard_state; /* as it was at open */
  uint64_t base_index, base_term, last_index;
  uint64_t written_last; /* the writer thread's: what it has written, durable or not yet reported */
};

static void
entry_key (uint8_t key[9], uint64_t index)
{
  key[0] = 'e';
  be64_store (key + 1, index);
}

static uint64_t
checksum (uint64_t index, const uint8_t *p, size_t n)
{
  return hash_bytes (p, n, index);
}

static int
load (struct log *l, uint64_t index, struct raft_entry *ret, struct buf *raw, struct err *err)
{
  uint8_t key[9];
  int r;
  entry_key (key, index);
  r = l->engine->vt->get (l->engine, key, sizeof key, raw, err);
  if (r == ERR_NOT_FOUND)
    return err_set (err, ERR_CORRUPT, "log: entry %llu is missing", (unsigned long long) index);
  if (r)
    return r;
  if (raw->len < RECORD_HEAD || be64_load (raw->data) != checksum (index, raw->data + 8, raw->len - 8))
    return err_set (err, ERR_CORRUPT, "log: entry %llu fails its checksum", (unsigned long long) index);
  *ret = (struct raft_entry){.index = index, .term = be64_load (raw->data + 8), .type = (enum raft_entry_type) raw->data[16]};
  return 0;
}

static int
storage_entries (void *ctx, uint64_t lo, uint64_t hi, uint64_t max_bytes, struct raft_entries *ret, struct err *err)
{
  struct log *l = ctx;
  struct buf raw AUTO_BUF = BUF_INIT;
  size_t before = ret->n;
  uint64_t bytes = 0;
  if (lo <= l->base_index)
    return err_set (err, ERR_COMPACTED, "log: entry %llu is dropped", (unsigned long long) lo);
  if (hi - 1 > l->last_index)
    return err_set (err, ERR_UNAVAILABLE, "log: entry %llu is not there", (unsigned long long) hi - 1);
  for (uint64_t i = lo; i < hi; i++) {
    struct raft_entry e;
    int r = load (l, i, &e, &raw, err);
    if (!r && raw.len > RECORD_HEAD && !(e.data = raft_blob_new (raw.data + RECORD_HEAD, raw.len - RECORD_HEAD)))
      r = err_set (err, ERR_NOMEM, "log: entry %llu", (unsigned long long) i);
    if (!r) {
      bytes += raft_entry_size_bytes (&e);
      if (bytes > max_bytes && ret->n > before) {
        raft_blob_unref (e.data);
        return 0;
      }
      if (raft_entries_push (ret, &e))
        r = err_set (err, ERR_NOMEM, "log: entry %llu", (unsigned long long) i);
      raft_blob_unref (e.data);
    }
    if (r) {
      raft_entries_truncate (ret, before);
      return r;
    }
  }
  return 0;
}

static int
storage_term (void *ctx, uint64_t index, uint64_t *ret, struct err *err)
{
  struct log *l = ctx;
  struct buf raw AUTO_BUF = BUF_INIT;
  struct raft_entry e;
  int r;
  if (index == l->base_index) {
    *ret = l->base_term;
    return 0;
  }
  if (index < l->base_index)
    return err_set (err, ERR_COMPACTED, "log: entry %llu is dropped", (unsigned long long) index);
  if (index > l->last_index)
    return err_set (err, ERR_UNAVAILABLE, "log: entry %llu is not there", (unsigned long long) index);
  if (!(r = load (l, index, &e, &raw, err)))
    *ret = e.term;
  return r;
}

static uint64_t
storage_first (void *ctx)
{
  return ((struct log *) ctx)->base_index + 1;
}

static uint64_t
storage_last (void *ctx)
{
  return ((struct log *) ctx)->last_index;
}

/* Carrying a state to a member that lags behind the log's beginning is not there yet; the node keeps the log of what its
   members still need instead. */
static int
storage_snapshot (void *ctx, struct raft_snapshot *ret, struct err *err)
{
  (void) ctx;
  (void) ret;
  return err_set (err, ERR_BUSY, "log: no snapshot is at hand");
}

static int
storage_initial (void *ctx, struct raft_hard_state *ret_state, struct raft_conf *ret_conf, struct err *err)
{
  struct log *l = ctx;
  (void) err;
  *ret_state = l->hard_state;
  *ret_conf = l->conf;
  return 0;
}

static void
put_numbers (struct engine_batch *b, char name, const uint64_t *v, size_t n)
{
  struct buf out AUTO_BUF = BUF_INIT;
  for (size_t i = 0; i < n; i++)
    buf_append_be64 (&out, v[i]);
  if (out.failed)
    b->ops.failed = true;
  else
    engine_batch_put (b, &name, 1, out.data, out.len);
}

static int
get_numbers (struct log *l, char name, uint64_t *v, size_t n, struct err *err)
{
  struct buf raw AUTO_BUF = BUF_INIT;
  int r = l->engine->vt->get (l->engine, &name, 1, &raw, err);
  if (r)
    return r;
  if (raw.len != 8 * n)
    return err_set (err, ERR_CORRUPT, "log: record '%c' has %zu bytes", name, raw.len);
  for (size_t i = 0; i < n; i++)
    v[i] = be64_load (raw.data + 8 * i);
  return 0;
}

static int
bootstrap (struct log *l, const struct log_identity *id, struct err *err)
{
  struct engine_batch b = {0};
  uint64_t base[4] = {1, 1, id->cluster_id, id->member_id}, hard[3] = {1, 0, 1};
  int r;
  put_numbers (&b, 'b', base, 4);
  put_numbers (&b, 'h', hard, 3);
  r = l->engine->vt->write (l->engine, &b, true, err);
  engine_batch_done (&b);
  return r;
}

/* The last index; entries are dense, so a hole is corruption. */
static int
find_last (struct log *l, struct err *err)
{
  struct engine_iter *it AUTO_ENGINE_ITER = l->engine->vt->iter (l->engine);
  uint8_t key[9];
  if (!it)
    return err_set (err, ERR_NOMEM, "log: open");
  l->last_index = l->base_index;
  entry_key (key, l->base_index + 1);
  for (it->vt->seek (it, key, sizeof key); it->vt->valid (it); it->vt->next (it)) {
    size_t n;
    const uint8_t *k = it->vt->key (it, &n);
    if (n != 9 || k[0] != 'e')
      break;
    if (be64_load (k + 1) != l->last_index + 1)
      return err_set (err, ERR_CORRUPT, "log: entry %llu is missing", (unsigned long long) l->last_index + 1);
    l->last_index++;
  }
  return it->vt->error (it, err);
}

int
log_open (struct engine *engine, const struct log_identity *id, const struct raft_conf *conf, const struct raft_conf *conf_at_applied,
          struct log **ret, struct err *err)
{
  struct log *l = mem_zalloc (sizeof *l);
  uint64_t base[4], hard[3];
  int r;
  if (!l) {
    engine->vt->free (engine);
    return err_set (err, ERR_NOMEM, "log: open");
  }
  l->engine = engine;
  l->conf = conf_at_applied ? *conf_at_applied : *conf;
  r = get_numbers (l, 'b', base, 4, err);
  if (r == ERR_NOT_FOUND && !(r = bootstrap (l, id, err)))
    r = get_numbers (l, 'b', base, 4, err);
  if (!r && (base[2] != id->cluster_id || base[3] != id->member_id))
    r = err_set (err, ERR_CONFLICT, "log: it belongs to member %llx of cluster %llx, not to member %llx of cluster %llx", (unsigned long long) base[3],
                 (unsigned long long) base[2], (unsigned long long) id->member_id, (unsigned long long) id->cluster_id);
  if (!r && !(r = get_numbers (l, 'h', hard, 3, err))) {
    l->hard_state = (struct raft_hard_state){hard[0], hard[1], hard[2]};
    l->base_index = base[0];
    l->base_term = base[1];
    r = find_last (l, err);
    l->written_last = l->last_index;
  }
  if (r) {
    log_free (l);
    return r == ERR_NOT_FOUND ? err_set (err, ERR_CORRUPT, "log: the hard state is missing") : r;
  }
  l->storage = (struct raft_storage){l, storage_initial, storage_entries, storage_term, storage_first, storage_last, storage_snapshot};
  *ret = l;
  return 0;
}

void
log_free (struct log *l)
{
  if (!l)
    return;
  l->engine->vt->free (l->engine);
  free (l);
}

const struct raft_storage *
log_storage (struct log *l)
{
  return &l->storage;
}

static void
put_entry (struct engine_batch *b, const struct raft_entry *e, struct buf *record)
{
  uint8_t key[9], sum[8];
  buf_reset (record);
  buf_append_be64 (record, 0);
  buf_append_be64 (record, e->term);
  buf_append_byte (record, (uint8_t) e->type);
  if (e->data)
    buf_append (record, e->data->bytes, e->data->len);
  if (record->failed) {
    b->ops.failed = true;
    return;
  }
  be64_store (sum, checksum (e->index, record->data + 8, record->len - 8));
  memcpy (record->data, sum, sizeof sum);
  entry_key (key, e->index);
  engine_batch_put (b, key, sizeof key, record->data, record->len);
}

int
log_save (struct log *l, const struct log_save *saves, size_t n, bool sync, struct err *err)
{
  struct engine_batch b = {0};
  struct buf record AUTO_BUF = BUF_INIT;
  int r = 0;
  for (size_t i = 0; i < n; i++) {
    const struct raft_entries *es = saves[i].entries;
    for (size_t k = 0; k < es->n; k++)
      put_entry (&b, &es->v[k], &record);
    if (es->n) { /* entries to save replace everything above them */
      uint8_t from[9], end[1] = {'f'};
      entry_key (from, es->v[es->n - 1].index + 1);
      if (es->v[es->n - 1].index < l->written_last)
        engine_batch_delete_range (&b, from, sizeof from, end, sizeof end);
      l->written_last = es->v[es->n - 1].index;
    }
    if (saves[i].hard_state) {
      uint64_t hard[3] = {saves[i].hard_state->term, saves[i].hard_state->vote, saves[i].hard_state->commit};
      put_numbers (&b, 'h', hard, 3);
    }
  }
  if (b.ops.len)
    r = l->engine->vt->write (l->engine, &b, sync, err);
  engine_batch_done (&b);
  return r ? err_wrap (err, "log: save"), r : 0;
}

void
log_saved (struct log *l, const struct raft_entries *entries)
{
  if (entries->n)
    __atomic_store_n (&l->last_index, entries->v[entries->n - 1].index, __ATOMIC_RELAXED);
}

int
log_truncate (struct log *l, uint64_t index, struct err *err)
{
  struct engine_batch b = {0};
  uint64_t base[4], term;
  uint8_t from[9], to[9];
  int r;
  if (index <= l->base_index)
    return 0;
  if ((r = storage_term (l, index, &term, err)) || (r = get_numbers (l, 'b', base, 4, err)))
    return r;
  base[0] = index;
  base[1] = term;
  put_numbers (&b, 'b', base, 4);
  entry_key (from, 0);
  entry_key (to, index + 1);
  engine_batch_delete_range (&b, from, sizeof from, to, sizeof to);
  r = l->engine->vt->write (l->engine, &b, true, err);
  engine_batch_done (&b);
  if (r)
    return err_wrap (err, "log: truncate"), r;
  l->base_index = index;
  l->base_term = term;
  return 0;
}

uint64_t
log_first_index (const struct log *l)
{
  return l->base_index + 1;
}
