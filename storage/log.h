/* The durable Raft log on an engine of its own (RocksDB with its WAL): the raft_storage that the core reads, and saving.

     'e' BE64(index) -> BE64 checksum, BE64 term, type, data
     'h'             -> BE64 term, vote, commit
     'b'             -> BE64 index, term of the entry before the first; BE64 cluster id, member id

   Threads: log_save runs on the writer's thread; everything else on the core's. A record whose checksum does not hold is
   ERR_CORRUPT with its index, never skipped. */
#ifndef STORAGE_LOG_H
#define STORAGE_LOG_H

#include "storage/engine.h"
#include "storage/raft/raft.h"

struct log;
struct log_identity {
  uint64_t cluster_id, member_id;
};
/* Opens the log; takes engine over (on failure too). A fresh engine is made the log of a first member: everyone who starts a
   cluster with conf begins with it in force at index 1, term 1. An engine of another cluster or member is ERR_CONFLICT.
   conf_at_applied is what the state remembers ("conf"), NULL: conf. */
int log_open (struct engine *engine, const struct log_identity *id, const struct raft_conf *conf, const struct raft_conf *conf_at_applied,
              struct log **ret, struct err *err);
void log_free (struct log *l);
const struct raft_storage *log_storage (struct log *l);

/* One ready to save. Several are written and synced as one batch. */
struct log_save {
  const struct raft_entries *entries;
  const struct raft_hard_state *hard_state; /* NULL: unchanged */
};
int log_save (struct log *l, const struct log_save *saves, size_t n, bool sync, struct err *err); /* writer's thread */
void log_saved (struct log *l, const struct raft_entries *entries); /* the core's thread, once they are durable, in order */
/* Drops entries up to index, which must be durably applied. */
int log_truncate (struct log *l, uint64_t index, struct err *err);
uint64_t log_first_index (const struct log *l);

#endif
