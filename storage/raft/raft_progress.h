/* The leader's view of one follower (etcd's tracker.Progress and Inflights).

   probe: one append per heartbeat, until the follower's log is found to match; replicate: appends are pipelined, next
   runs ahead of match, bounded by inflights; snapshot: nothing is sent until the snapshot's end is known.
   Invariants: match < next; the window is ordered by index, and holds only what was sent in replicate. */
#ifndef STORAGE_RAFT_PROGRESS_H
#define STORAGE_RAFT_PROGRESS_H

#include "storage/raft/raft.h"

struct raft_inflight {
  uint64_t index, bytes; /* last entry of a sent append, data of all its entries */
};

struct raft_progress {
  uint64_t id, match, next;
  uint64_t sent_commit;      /* highest commit index on its way; < next */
  uint64_t pending_snapshot; /* index of the snapshot on its way */
  uint64_t read_acked;       /* highest read round that it confirmed */
  enum raft_progress_state state;
  bool recent_active, paused, learner;

  struct raft_inflight *window; /* ring of window_max, allocated at the first use */
  uint32_t window_max, window_start, window_count;
  uint64_t window_bytes, window_bytes_max; /* max UINT64_MAX: no bound */
};

void raft_progress_init (struct raft_progress *p, uint64_t id, uint64_t next, uint32_t window_max,
                         uint64_t window_bytes_max);
void raft_progress_done (struct raft_progress *p);
/* A new term of our leadership: everything is forgotten but id, learner and the window's memory. */
void raft_progress_reset (struct raft_progress *p, uint64_t next);

void raft_progress_become_probe (struct raft_progress *p);
void raft_progress_become_replicate (struct raft_progress *p);
void raft_progress_become_snapshot (struct raft_progress *p, uint64_t index);

bool raft_progress_window_full (const struct raft_progress *p);
bool raft_progress_is_paused (const struct raft_progress *p);
/* Notes an append that was sent. 0 or ERR_NOMEM. */
int raft_progress_sent (struct raft_progress *p, size_t entry_count, uint64_t data_bytes, uint64_t commit);
bool raft_progress_can_bump_commit (const struct raft_progress *p, uint64_t commit);

/* An acknowledgement up to index; false: nothing new. */
bool raft_progress_maybe_update (struct raft_progress *p, uint64_t index);
/* Frees the window up to index. */
void raft_progress_free_window (struct raft_progress *p, uint64_t index);
/* A rejection of the append after index rejected, with the follower's hint; false: an old message. */
bool raft_progress_maybe_decrease (struct raft_progress *p, uint64_t rejected, uint64_t hint);

#endif
