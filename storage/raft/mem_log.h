/* A stable log in memory, for tests and simulations: the reference of struct raft_storage. */
#ifndef STORAGE_RAFT_MEM_LOG_H
#define STORAGE_RAFT_MEM_LOG_H

#include "storage/raft/raft_storage.h"

struct mem_log {
  struct raft_hard_state hard_state;
  struct raft_conf conf;         /* in force at the applied index */
  struct raft_snapshot snapshot; /* index 0: none */
  struct raft_entries entries;   /* entries.v[0].index == snapshot's or compaction's index + 1 */
  uint64_t base_index, base_term; /* of the entry before entries.v[0] */
  bool snapshot_busy;            /* makes snapshot answer ERR_BUSY */
};

void mem_log_init (struct mem_log *l, const struct raft_conf *conf);
void mem_log_done (struct mem_log *l);
struct raft_storage mem_log_storage (struct mem_log *l); /* borrows l */

/* Saves entries, replacing everything from entries[0].index on. They must leave no gap. 0 or ERR_NOMEM. */
int mem_log_append (struct mem_log *l, const struct raft_entry *entries, size_t n);
/* Replaces the whole log by a snapshot. */
void mem_log_install (struct mem_log *l, const struct raft_snapshot *s);
/* Makes snapshot at an applied index the one that snapshot () answers. */
int mem_log_make_snapshot (struct mem_log *l, uint64_t index, const struct raft_conf *conf);
/* Drops the entries up to index, which must be at most the snapshot's index. */
int mem_log_compact (struct mem_log *l, uint64_t index);

#endif
