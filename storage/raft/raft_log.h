/* The log as the core sees it: what storage has durably, and on top, in memory, what is not durable yet.

       storage                  unstable
   [first ......... offset-1] [offset ... offset_in_progress-1] [... last]
                               handed out by raft_ready          not yet

   Invariants: last_index == offset + unstable.n - 1; applied <= applying <= committed <= last_index; while a snapshot
   waits to be installed offset > snapshot.index and nothing is handed out to be applied.

   A failure that the core cannot go on from (no memory, storage broken, a committed entry contradicted) is kept in
   *fault, the first one wins; functions then return harmless values and the core stops (raft.h). */
#ifndef STORAGE_RAFT_LOG_H
#define STORAGE_RAFT_LOG_H

#include "storage/raft/raft_storage.h"

struct raft_applying {
  uint64_t last_index, size_bytes, data_bytes;
};

struct raft_log {
  const struct raft_storage *storage;
  struct err *fault;
  struct raft_entries unstable;
  uint64_t offset, offset_in_progress;
  bool has_snapshot, snapshot_in_progress;
  struct raft_snapshot snapshot;
  uint64_t committed, applying, applied;
  uint64_t max_applying_bytes, applying_bytes;
  struct raft_applying *batches; /* handed out and not yet applied, in order */
  size_t batch_count, batch_cap;
};

void raft_log_init (struct raft_log *l, const struct raft_storage *storage, uint64_t max_applying_bytes,
                    struct err *fault);
void raft_log_done (struct raft_log *l);

uint64_t raft_log_first_index (const struct raft_log *l);
uint64_t raft_log_last_index (const struct raft_log *l);
/* 0, ERR_COMPACTED, ERR_UNAVAILABLE, or a fault. */
int raft_log_term (struct raft_log *l, uint64_t index, uint64_t *ret_term);
uint64_t raft_log_term_or_zero (struct raft_log *l, uint64_t index);
uint64_t raft_log_last_term (struct raft_log *l);
bool raft_log_match (struct raft_log *l, uint64_t index, uint64_t term);
/* Whether a log that ends so is at least as up to date as ours (Raft 5.4.1). */
bool raft_log_up_to_date (struct raft_log *l, uint64_t last_index, uint64_t last_term);

/* Entries [lo, hi) up to max_bytes, at least one; ERR_COMPACTED when lo is gone. */
int raft_log_slice (struct raft_log *l, uint64_t lo, uint64_t hi, uint64_t max_bytes, struct raft_entries *ret);

/* Puts entries after cutting off everything at and above the first of them; its predecessor must be >= committed. */
void raft_log_append (struct raft_log *l, const struct raft_entry *v, size_t n);
/* AppendEntries' receiver (Raft 5.3): false when prev does not match. Commits min (commit, last new entry). */
bool raft_log_maybe_append (struct raft_log *l, uint64_t prev_index, uint64_t prev_term, uint64_t commit,
                            const struct raft_entry *v, size_t n, uint64_t *ret_last);
/* The greatest index <= the given one whose term is <= term or not known; *ret_term is 0 when not known. */
uint64_t raft_log_find_conflict (struct raft_log *l, uint64_t index, uint64_t term, uint64_t *ret_term);

void raft_log_commit_to (struct raft_log *l, uint64_t index);
/* Commits index when its entry is of the given term (Raft 5.4.2: never an older one by counting). */
bool raft_log_maybe_commit (struct raft_log *l, uint64_t index, uint64_t term);

/* The next entries to apply, marked as handed out. */
bool raft_log_has_committed (const struct raft_log *l);
void raft_log_next_committed (struct raft_log *l, struct raft_entries *ret);
/* The application is done up to index; *ret_data_bytes is the data of the batches that this completes. */
void raft_log_applied_to (struct raft_log *l, uint64_t index, uint64_t *ret_data_bytes);

/* What is to be saved and was not yet handed out; accept marks it. */
const struct raft_entry *raft_log_next_unstable (const struct raft_log *l, size_t *ret_n);
bool raft_log_has_next_snapshot (const struct raft_log *l);
void raft_log_accept_unstable (struct raft_log *l);
/* The entry (index, term) and all before it are durable. */
void raft_log_stable_to (struct raft_log *l, uint64_t index, uint64_t term);
void raft_log_stable_snapshot_to (struct raft_log *l, uint64_t index);
void raft_log_restore (struct raft_log *l, const struct raft_snapshot *s);

#endif
