/* An ordered map of byte strings with atomic batches: RocksDB in production, memory under test. One writer at a time;
   an iterator sees the state of the moment it was made (memory: of now; it must not outlive a write). */
#ifndef STORAGE_ENGINE_H
#define STORAGE_ENGINE_H

#include "base/buf.h"
#include "base/err.h"

struct engine;
struct engine_iter;

/* A batch is its own encoding, so that both engines and their failures see the same bytes:
   op(1) klen(BE32) key vlen(BE32) value, repeated. */
struct engine_batch {
  struct buf ops;
};
void engine_batch_put (struct engine_batch *b, const void *key, size_t key_len, const void *value, size_t value_len);
void engine_batch_delete (struct engine_batch *b, const void *key, size_t key_len);
void engine_batch_delete_range (struct engine_batch *b, const void *from, size_t from_len, const void *to, size_t to_len); /* [from, to) */
void engine_batch_done (struct engine_batch *b);

struct engine_vtable {
  int (*get) (struct engine *e, const void *key, size_t key_len, struct buf *ret, struct err *err); /* ERR_NOT_FOUND */
  int (*write) (struct engine *e, const struct engine_batch *b, bool sync, struct err *err);        /* all or nothing */
  struct engine_iter *(*iter) (struct engine *e);                                                   /* NULL: out of memory */
  int (*flush) (struct engine *e, struct err *err);                 /* all that was written is on disk when it returns */
  int (*checkpoint) (struct engine *e, const char *dir, struct err *err);
  uint64_t (*size_bytes) (struct engine *e);
  void (*free) (struct engine *e);
};
struct engine_iter_vtable {
  void (*seek) (struct engine_iter *it, const void *key, size_t key_len); /* first key >= */
  bool (*valid) (struct engine_iter *it);
  const uint8_t *(*key) (struct engine_iter *it, size_t *ret_len); /* until the next move */
  const uint8_t *(*value) (struct engine_iter *it, size_t *ret_len);
  void (*next) (struct engine_iter *it);
  int (*error) (struct engine_iter *it, struct err *err); /* why valid answered false, if not for the end */
  void (*free) (struct engine_iter *it);
};
struct engine {
  const struct engine_vtable *vt;
};
struct engine_iter {
  const struct engine_iter_vtable *vt;
};
void engine_iter_free_p (struct engine_iter **it);
#define AUTO_ENGINE_ITER __attribute__ ((cleanup (engine_iter_free_p)))

struct engine *engine_mem_new (void);

struct engine_rocksdb_options {
  bool wal;                   /* keep a write-ahead log (the Raft log's engine); the state's engine is rebuilt from the log */
  uint64_t write_buffer_bytes; /* 0: 8 MB */
  uint64_t block_cache_bytes;  /* 0: 8 MB */
};
/* Opens or makes the database in dir. ERR_CORRUPT, ERR_IO, ERR_NO_SPACE, ERR_BUSY (locked by another process). */
int engine_rocksdb_open (const char *dir, const struct engine_rocksdb_options *o, struct engine **ret, struct err *err);

#endif
