/* RocksDB with the small settings of storage/README.md. Iterators are destroyed before the database closes (its asserts
   are live); recycle_log_file_num stays 0 (RocksDB 7.8.3 crashes on it when writes skip the WAL). */
#include <rocksdb/c.h>

#include "base/mem.h"
#include "storage/engine_internal.h"

struct engine_rocksdb {
  struct engine base;
  rocksdb_t *db;
  rocksdb_options_t *options;
  rocksdb_block_based_table_options_t *table;
  rocksdb_cache_t *cache;
  rocksdb_readoptions_t *read;
  rocksdb_writeoptions_t *write, *write_sync;
  bool wal;
};
struct rocksdb_iter {
  struct engine_iter base;
  rocksdb_iterator_t *it;
};

/* Turns RocksDB's message (freed here) into an error of ours. */
static int
failed (char *message, const char *what, struct err *err)
{
  int code = strstr (message, "No space left") || strstr (message, "NoSpace") ? ERR_NO_SPACE
             : strncmp (message, "Corruption", 10) == 0                       ? ERR_CORRUPT
             : strstr (message, "lock")                                       ? ERR_BUSY
                                                                              : ERR_IO;
  err_set (err, code, "%s: %s", what, message);
  rocksdb_free (message);
  return code;
}

static int
db_get (struct engine *e, const void *k, size_t kn, struct buf *ret, struct err *err)
{
  struct engine_rocksdb *r = (struct engine_rocksdb *) e;
  char *message = NULL;
  rocksdb_pinnableslice_t *s = rocksdb_get_pinned (r->db, r->read, k, kn, &message);
  const char *v;
  size_t n;
  if (message)
    return failed (message, "read", err);
  if (!s)
    return err_set (err, ERR_NOT_FOUND, "no such key");
  v = rocksdb_pinnableslice_value (s, &n);
  buf_reset (ret);
  buf_append (ret, v, n);
  rocksdb_pinnableslice_destroy (s);
  return ret->failed ? err_set (err, ERR_NOMEM, "read a value of %zu bytes", n) : 0;
}

static int
db_write (struct engine *e, const struct engine_batch *b, bool sync, struct err *err)
{
  struct engine_rocksdb *r = (struct engine_rocksdb *) e;
  rocksdb_writebatch_t *wb;
  struct engine_batch_op op;
  char *message = NULL;
  if (b->ops.failed)
    return err_set (err, ERR_NOMEM, "write batch");
  wb = rocksdb_writebatch_create ();
  for (size_t at = 0; engine_batch_next (b, &at, &op);) {
    const char *k = (const char *) op.key, *v = (const char *) op.value;
    if (op.op == ENGINE_PUT)
      rocksdb_writebatch_put (wb, k, op.key_len, v, op.value_len);
    else if (op.op == ENGINE_DELETE)
      rocksdb_writebatch_delete (wb, k, op.key_len);
    else
      rocksdb_writebatch_delete_range (wb, k, op.key_len, v, op.value_len);
  }
  rocksdb_write (r->db, sync ? r->write_sync : r->write, wb, &message);
  rocksdb_writebatch_destroy (wb);
  return message ? failed (message, "write", err) : 0;
}

static void
db_iter_seek (struct engine_iter *it, const void *k, size_t kn)
{
  rocksdb_iter_seek (((struct rocksdb_iter *) it)->it, k, kn);
}

static bool
db_iter_valid (struct engine_iter *it)
{
  return rocksdb_iter_valid (((struct rocksdb_iter *) it)->it);
}

static const uint8_t *
db_iter_key (struct engine_iter *it, size_t *n)
{
  return (const uint8_t *) rocksdb_iter_key (((struct rocksdb_iter *) it)->it, n);
}

static const uint8_t *
db_iter_value (struct engine_iter *it, size_t *n)
{
  return (const uint8_t *) rocksdb_iter_value (((struct rocksdb_iter *) it)->it, n);
}

static void
db_iter_next (struct engine_iter *it)
{
  rocksdb_iter_next (((struct rocksdb_iter *) it)->it);
}

static int
db_iter_error (struct engine_iter *it, struct err *err)
{
  char *message = NULL;
  rocksdb_iter_get_error (((struct rocksdb_iter *) it)->it, &message);
  return message ? failed (message, "scan", err) : 0;
}

static void
db_iter_free (struct engine_iter *it)
{
  rocksdb_iter_destroy (((struct rocksdb_iter *) it)->it);
  free (it);
}

static const struct engine_iter_vtable db_iter_vt = {db_iter_seek, db_iter_valid, db_iter_key, db_iter_value,
                                                     db_iter_next, db_iter_error, db_iter_free};

static struct engine_iter *
db_iter (struct engine *e)
{
  struct engine_rocksdb *r = (struct engine_rocksdb *) e;
  struct rocksdb_iter *i = mem_zalloc (sizeof *i);
  if (!i)
    return NULL;
  i->base.vt = &db_iter_vt;
  i->it = rocksdb_create_iterator (r->db, r->read);
  return &i->base;
}

static int
db_flush (struct engine *e, struct err *err)
{
  struct engine_rocksdb *r = (struct engine_rocksdb *) e;
  rocksdb_flushoptions_t *o = rocksdb_flushoptions_create ();
  char *message = NULL;
  rocksdb_flushoptions_set_wait (o, 1);
  rocksdb_flush (r->db, o, &message);
  rocksdb_flushoptions_destroy (o);
  return message ? failed (message, "flush", err) : 0;
}

static int
db_checkpoint (struct engine *e, const char *dir, struct err *err)
{
  struct engine_rocksdb *r = (struct engine_rocksdb *) e;
  char *message = NULL;
  rocksdb_checkpoint_t *c = rocksdb_checkpoint_object_create (r->db, &message);
  if (!message) {
    rocksdb_checkpoint_create (c, dir, 0, &message);
    rocksdb_checkpoint_object_destroy (c);
  }
  return message ? failed (message, "checkpoint", err) : 0;
}

static uint64_t
db_size (struct engine *e)
{
  struct engine_rocksdb *r = (struct engine_rocksdb *) e;
  uint64_t n = 0, m = 0;
  rocksdb_property_int (r->db, "rocksdb.total-sst-files-size", &n);
  rocksdb_property_int (r->db, "rocksdb.cur-size-all-mem-tables", &m);
  return n + m;
}

static void
db_free (struct engine *e)
{
  struct engine_rocksdb *r = (struct engine_rocksdb *) e;
  if (r->db)
    rocksdb_close (r->db);
  rocksdb_readoptions_destroy (r->read);
  rocksdb_writeoptions_destroy (r->write);
  rocksdb_writeoptions_destroy (r->write_sync);
  rocksdb_options_destroy (r->options);
  rocksdb_cache_destroy (r->cache);
  free (r);
}

static const struct engine_vtable db_vt = {db_get, db_write, db_iter, db_flush, db_checkpoint, db_size, db_free};

static void
set_options (struct engine_rocksdb *r, const struct engine_rocksdb_options *o)
{
  rocksdb_options_t *p = r->options = rocksdb_options_create ();
  rocksdb_options_set_create_if_missing (p, 1);
  rocksdb_options_set_write_buffer_size (p, o->write_buffer_bytes ? o->write_buffer_bytes : 8u << 20);
  rocksdb_options_set_max_write_buffer_number (p, 2);
  rocksdb_options_set_compression (p, rocksdb_lz4_compression);
  rocksdb_options_set_level_compaction_dynamic_level_bytes (p, 1);
  rocksdb_options_set_max_background_jobs (p, 2);
  rocksdb_options_set_max_open_files (p, 128);
  rocksdb_options_set_stats_dump_period_sec (p, 0);
  rocksdb_options_set_stats_persist_period_sec (p, 0);
  rocksdb_options_set_keep_log_file_num (p, 2);
  rocksdb_options_set_max_log_file_size (p, 1u << 20);
  rocksdb_options_set_info_log_level (p, 3);
  rocksdb_options_set_max_total_wal_size (p, 32u << 20);
  rocksdb_options_set_bytes_per_sync (p, 1u << 20);
  r->table = rocksdb_block_based_options_create ();
  r->cache = rocksdb_cache_create_lru (o->block_cache_bytes ? o->block_cache_bytes : 8u << 20);
  rocksdb_block_based_options_set_block_cache (r->table, r->cache);
  rocksdb_block_based_options_set_cache_index_and_filter_blocks (r->table, 1);
  rocksdb_block_based_options_set_block_size (r->table, 16u << 10);
  rocksdb_block_based_options_set_filter_policy (r->table, rocksdb_filterpolicy_create_bloom_full (10));
  rocksdb_options_set_block_based_table_factory (p, r->table);
  rocksdb_block_based_options_destroy (r->table);
}

int
engine_rocksdb_open (const char *dir, const struct engine_rocksdb_options *o, struct engine **ret, struct err *err)
{
  struct engine_rocksdb *r = mem_zalloc (sizeof *r);
  char *message = NULL;
  if (!r)
    return err_set (err, ERR_NOMEM, "open %s", dir);
  r->base.vt = &db_vt;
  r->wal = o->wal;
  set_options (r, o);
  r->read = rocksdb_readoptions_create ();
  r->write = rocksdb_writeoptions_create ();
  r->write_sync = rocksdb_writeoptions_create ();
  rocksdb_writeoptions_disable_WAL (r->write, !o->wal);
  rocksdb_writeoptions_disable_WAL (r->write_sync, !o->wal);
  if (o->wal)
    rocksdb_writeoptions_set_sync (r->write_sync, 1);
  r->db = rocksdb_open (r->options, dir, &message);
  if (message) {
    int code = failed (message, dir, err);
    r->db = NULL;
    db_free (&r->base);
    return code;
  }
  *ret = &r->base;
  return 0;
}
