/* What the Raft core reads of the durable log. It never writes: what is to be written comes out of raft_ready ().

   All calls come from the thread that calls the core, possibly while a writer thread is saving a later ready; they see
   everything that raft_persisted () was called for, and may see more. The core keeps what is not yet durable in memory
   and asks only below that, so after a conflict (entries to save begin at or below an index that is stored already)
   a reader never asks for the replaced entries.

   Index rules: stored entries are [first_index, last_index]; an empty log has last_index == first_index - 1; the term
   of first_index - 1 (the snapshot's last entry, 0 at index 0) is known too. */
#ifndef STORAGE_RAFT_STORAGE_H
#define STORAGE_RAFT_STORAGE_H

#include "storage/raft/raft_types.h"

struct raft_storage {
  void *ctx;

  /* The saved term, vote and commit (all 0 at the first start) and the membership in force at the applied index that is
     given to raft_new (). Called once, by raft_new. */
  int (*initial_state) (void *ctx, struct raft_hard_state *ret_state, struct raft_conf *ret_conf, struct err *err);

  /* Pushes the entries [lo, hi) in order, stopping before the one that would make the sum of raft_entry_size_bytes ()
     exceed max_bytes, yet always at least one. lo < hi. ERR_COMPACTED: lo < first_index. ERR_UNAVAILABLE: hi - 1 >
     last_index. ERR_CORRUPT: a stored record fails its checksum. On failure ret is as it was. */
  int (*entries) (void *ctx, uint64_t lo, uint64_t hi, uint64_t max_bytes, struct raft_entries *ret, struct err *err);

  /* The term of an entry in [first_index - 1, last_index]; ERR_COMPACTED below, ERR_UNAVAILABLE above. */
  int (*term) (void *ctx, uint64_t index, uint64_t *ret_term, struct err *err);

  uint64_t (*first_index) (void *ctx);
  uint64_t (*last_index) (void *ctx);

  /* The newest snapshot that can be sent: index >= first_index - 1. ERR_BUSY: one is being made, ask again later (the
     core asks again at the follower's next sign of life). */
  int (*snapshot) (void *ctx, struct raft_snapshot *ret, struct err *err);
};

#endif
