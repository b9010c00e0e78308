/* The Raft core: a deterministic step function with etcd-io/raft's semantics and none of its surroundings. No clock, no
   I/O, no globals, no thread: ticks and messages go in, and raft_ready () says what to save, send and apply. Two cores
   that are given the same calls and the same seed do the same. One thread at a time.

   The loop of a host:
     raft_tick / raft_step / raft_propose ...             whatever happened
     while (raft_has_ready (r)) {
       raft_ready (r, &rd, err);
       send rd.messages                                    at once
       save rd.snapshot, rd.entries, rd.hard_state         one ordered queue; synced when rd.must_sync
         then send rd.messages_after                       only now: they promise what was saved
         then raft_persisted (r, rd.seq)
       apply rd.committed                                  in order; raft_apply_conf_change () for RAFT_ENTRY_CONF
         then raft_applied (r, index)
       raft_ready_done (&rd);
     }
   Saving and applying may run behind on other threads, several readies deep; raft_advance () does both reports at once
   for a host that saves in line.

   Rules that the host keeps (breaking one loses data):
   - Readies are saved in the order of seq, each wholly before any later one counts as saved.
   - Entries to save replace everything stored at and above entries.v[0].index.
   - A snapshot replaces the whole log and state; it is durable, its state installed, before raft_persisted ().
   - messages_after leave after the save of their own ready and of all before it. (Votes requested and votes given,
     and acknowledgements of appends: Raft 5, "persistent state"; thesis 3.8. etcd lets a vote request leave early; we
     do not, because after a crash the term could be reused with a shorter log.)
   - The log is compacted only below the durably applied index.
   - A cluster's first members begin with the same membership at index 1, term 1, already compacted (hard state term 1,
     commit 1); a member that joins begins with everything empty and learns the membership by snapshot.

   Errors: a call that returns ERR_NOMEM, ERR_IO or ERR_CORRUPT from inside a step has stopped the core: every later
   call returns the same and nothing more comes out, as if it had crashed; restart it from its storage. ERR_CORRUPT says
   that the log lost what it had acknowledged, or that a peer breaks the protocol. */
#ifndef STORAGE_RAFT_H
#define STORAGE_RAFT_H

#include "storage/raft/raft_msg.h"
#include "storage/raft/raft_storage.h"
#include "storage/raft/raft_types.h"

struct raft;

struct raft_config {
  uint64_t id;                        /* not 0 */
  uint64_t seed;                      /* of the election timeouts; different on each member */
  uint64_t applied_index;             /* what the state machine has durably applied; 0: take the log's beginning */
  uint32_t election_ticks;            /* > heartbeat_ticks; the timeout is in [election_ticks, 2 * election_ticks) */
  uint32_t heartbeat_ticks;           /* > 0 */
  uint64_t max_message_bytes;         /* entries of one append; at least one entry is always sent */
  uint64_t max_committed_bytes;       /* handed out by raft_ready and not yet raft_applied; 0: max_message_bytes */
  uint64_t max_uncommitted_bytes;     /* data in the leader's uncommitted tail before proposals are refused; 0: none */
  uint32_t max_inflight_messages;     /* appends on the way to one follower, 1..4096 */
  uint64_t max_inflight_bytes;        /* and their data; 0: no bound; >= max_message_bytes */
  uint32_t max_pending_reads;         /* ReadIndex requests that the leader holds; 0: 4096 */
  bool check_quorum;                  /* a leader that hears no quorum for election_ticks steps down; lease on votes */
  bool pre_vote;                      /* thesis 9.6 */
  bool disable_proposal_forwarding;   /* followers refuse proposals with ERR_NOT_LEADER */
  bool campaign_if_sole_voter;        /* raft_new campaigns at once when nobody else has a vote */
};
#define RAFT_CONFIG_DEFAULT \
  { \
    .election_ticks = 10, .heartbeat_ticks = 1, .max_message_bytes = 1 << 20, .max_committed_bytes = 4 << 20, \
    .max_uncommitted_bytes = 64 << 20, .max_inflight_messages = 256, .max_inflight_bytes = 16 << 20, \
    .check_quorum = true, .pre_vote = true, .campaign_if_sole_voter = true, \
  }

/* storage is borrowed for the life of the core. NULL with err set: ERR_INVALID (config), or what storage answered. */
struct raft *raft_new (const struct raft_config *config, const struct raft_storage *storage, struct err *err);
void raft_free (struct raft *r); /* NULL allowed */

/* One tick of the caller's clock. 0 or the error that stopped the core. */
int raft_tick (struct raft *r, struct err *err);

/* A message from another member; borrowed. ERR_INVALID: local, not for us, or malformed (nothing changed).
   ERR_NOT_FOUND: a response from a member that we do not know (ignored). Proposals and reads that were forwarded to us
   answer as raft_propose () and raft_read_index (). */
int raft_step (struct raft *r, const struct raft_msg *m, struct err *err);

/* Appends data when we lead; otherwise forwards it to the leader, and whether it arrived shows only in what is
   committed. A forwarded proposal may be lost or, after the host's own retry, applied twice.
   ERR_NOT_LEADER: no leader known, or forwarding is off. ERR_BUSY: uncommitted tail full, leadership being transferred,
   or we are no member any more. ERR_LIMIT: over RAFT_MAX_ENTRY_BYTES. Nothing is appended on failure. */
int raft_propose (struct raft *r, const void *data, size_t len, struct err *err);

/* The same for several entries in one batch (type and data are read; data is shared, not copied): all or none. An invalid
   or untimely RAFT_ENTRY_CONF becomes an empty normal entry, as in etcd. */
int raft_propose_batch (struct raft *r, const struct raft_entry *entries, size_t n, struct err *err);

/* Proposes a change of membership. One at a time: as long as an earlier one is not applied, or a joint configuration is
   not left, another is replaced by an empty entry - when we are the leader ERR_CONFLICT tells, and nothing is
   appended. */
int raft_propose_conf_change (struct raft *r, const struct raft_conf_change *cc, struct err *err);

/* Must be called, before raft_applied (), for each committed RAFT_ENTRY_CONF (decoded) unless the host rejects the change
   on every member alike. *ret (NULL allowed) is the membership now in force: store it with the applied index.
   ERR_INVALID: the change does not fit the membership; nothing changed, on any member. */
int raft_apply_conf_change (struct raft *r, const struct raft_conf_change *cc, struct raft_conf *ret, struct err *err);

/* Asks for an index such that a state machine that applied it may answer a linearizable read that began before this
   call (thesis 6.4). The answer comes as a read state with the same ctx, which must be unique on this member and not
   0; it may never come (leader lost): time out and ask again. ERR_NOT_LEADER: no leader known. ERR_BUSY: too many. */
int raft_read_index (struct raft *r, uint64_t ctx, struct err *err);

/* Hands leadership to a voter once its log is complete; given up after an election timeout. Proposals are refused
   meanwhile. Forwarded to the leader. */
int raft_transfer_leader (struct raft *r, uint64_t to, struct err *err);

/* Starts an election now. Ignored when we lead, have no vote, or have committed membership changes yet to apply. */
int raft_campaign (struct raft *r, struct err *err);

/* The transport's news: messages to id were lost; the snapshot sent to id ended well or not (must be told once for each
   MsgSnap, or replication to id stays paused until it acknowledges by itself). */
int raft_report_unreachable (struct raft *r, uint64_t id, struct err *err);
int raft_report_snapshot (struct raft *r, uint64_t id, bool ok, struct err *err);

enum raft_role { RAFT_FOLLOWER, RAFT_CANDIDATE, RAFT_LEADER, RAFT_PRE_CANDIDATE };
const char *raft_role_name (enum raft_role role); /* "follower"... */

struct raft_read_state {
  uint64_t ctx, index;
};

/* What is to be done. Owned by the caller until raft_ready_done (); a message may be taken by copying the struct and
   zeroing it in place. */
struct raft_ready {
  uint64_t seq; /* for raft_persisted; 1, 2, ... */

  bool role_changed; /* role or leader differ from the last ready */
  enum raft_role role;
  uint64_t leader;

  bool hard_state_changed;
  struct raft_hard_state hard_state; /* always the current one */
  bool must_sync;                    /* the save must reach the disk before messages_after and raft_persisted */
  struct raft_entries entries;       /* to save */
  bool has_snapshot;
  struct raft_snapshot snapshot;     /* to install (its data came with the transport) */

  struct raft_msg *messages; /* to send at once */
  size_t message_count;
  struct raft_msg *messages_after; /* to send after the save */
  size_t message_after_count;

  struct raft_entries committed; /* to apply; durable here already */

  struct raft_read_state *read_states;
  size_t read_state_count;
};
bool raft_has_ready (const struct raft *r);
/* 0 with *ret filled (perhaps empty), or the error that stopped the core. */
int raft_ready (struct raft *r, struct raft_ready *ret, struct err *err);
void raft_ready_done (struct raft_ready *rd);

/* Everything of the readies up to seq is durable, and their snapshot installed. */
int raft_persisted (struct raft *r, uint64_t seq, struct err *err);
/* The state machine has applied everything up to index (need not be durable). */
int raft_applied (struct raft *r, uint64_t index, struct err *err);
/* raft_persisted and raft_applied for all of *rd. rd stays the caller's. */
int raft_advance (struct raft *r, const struct raft_ready *rd, struct err *err);

enum raft_progress_state { RAFT_PROBE, RAFT_REPLICATE, RAFT_SNAPSHOT };
struct raft_peer_status {
  uint64_t id, match, next, pending_snapshot;
  enum raft_progress_state state;
  bool learner, recent_active, paused;
  uint32_t inflight_messages;
  uint64_t inflight_bytes;
};
struct raft_status {
  uint64_t id, leader, transferee;
  enum raft_role role;
  struct raft_hard_state hard_state;
  uint64_t applied, first_index, last_index;
  uint64_t uncommitted_bytes;
  struct raft_conf conf;
  uint32_t peer_count; /* 0 unless we lead */
  struct raft_peer_status peers[RAFT_MAX_MEMBERS];
};
void raft_status (const struct raft *r, struct raft_status *ret);

#endif
