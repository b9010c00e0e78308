/* The core's own state, shared by raft*.c and by nobody else. */
#ifndef STORAGE_RAFT_INTERNAL_H
#define STORAGE_RAFT_INTERNAL_H

#include "storage/raft/raft.h"
#include "storage/raft/raft_conf.h"
#include "storage/raft/raft_log.h"
#include "storage/raft/raft_progress.h"

struct raft_msgs {
  struct raft_msg *v;
  size_t n, cap;
};

/* A read that waits for a quorum to confirm our leadership. */
struct raft_read {
  uint64_t round, from, ctx, index;
};
struct raft_reads {
  struct raft_read *v;
  size_t n, cap;
};
struct raft_read_states {
  struct raft_read_state *v;
  size_t n, cap;
};

/* A ready whose save was not yet reported, and what the report means. */
struct raft_save {
  uint64_t seq, term;             /* the term when it was handed out */
  uint64_t last_index, last_term; /* of the log then; index 0: nothing was unstable */
  uint64_t snapshot_index;
  struct raft_msgs own;           /* messages to ourselves: our vote, our acknowledgement */
};
struct raft_saves {
  struct raft_save *v;
  size_t n, cap;
};

struct raft {
  struct raft_config config;
  struct raft_storage storage;
  struct err fault; /* code != 0: stopped */
  uint64_t random;

  uint64_t term, vote;
  enum raft_role role;
  uint64_t leader, transferee;
  struct raft_log log;

  struct raft_conf conf;
  uint32_t peer_count;
  struct raft_progress peers[RAFT_MAX_MEMBERS]; /* of all members, ourselves too, ascending id */
  struct {
    uint64_t id;
    bool granted;
  } votes[RAFT_MAX_MEMBERS];
  uint32_t vote_count;

  /* No change of membership may be proposed before this index is applied. */
  uint64_t pending_conf_index;
  uint64_t uncommitted_bytes;

  uint32_t election_elapsed, heartbeat_elapsed, election_timeout;

  uint64_t read_round;
  struct raft_reads reads;         /* with their round, oldest first */
  struct raft_reads reads_waiting; /* until an entry of our term is committed */
  struct raft_read_states read_states;

  struct raft_msgs msgs, msgs_after, msgs_own;
  uint64_t seq;
  struct raft_hard_state last_hard_state;
  enum raft_role last_role;
  uint64_t last_leader;
  struct raft_saves saves;
};

/* raft.c */
void raft_fault (struct raft *r, int code, const char *what);
int raft_fault_report (const struct raft *r, struct err *err); /* 0 while running */
/* Queues *m, taking what it owns: at once, after the save, or back to ourselves after the save. */
void raft_send (struct raft *r, struct raft_msg *m);
void raft_add_read_state (struct raft *r, uint64_t ctx, uint64_t index);

/* raft_member.c */
struct raft_progress *raft_peer (const struct raft *r, uint64_t id); /* NULL: no member */
/* Puts c in force: keeps the progress of members that stay. */
void raft_switch_conf (struct raft *r, const struct raft_conf *c);
bool raft_promotable (const struct raft *r);
bool raft_is_sole_voter (const struct raft *r);
bool raft_quorum_active (const struct raft *r);

/* raft_role.c */
enum raft_campaign_kind { RAFT_CAMPAIGN_PRE, RAFT_CAMPAIGN_ELECTION, RAFT_CAMPAIGN_TRANSFER };
void raft_become_follower (struct raft *r, uint64_t term, uint64_t leader);
void raft_hup (struct raft *r, enum raft_campaign_kind kind);
void raft_record_vote (struct raft *r, uint64_t id, bool granted);
enum raft_vote_result raft_tally (const struct raft *r);
void raft_campaign_now (struct raft *r, enum raft_campaign_kind kind);
void raft_become_leader (struct raft *r);

/* raft_step.c: after validation. 0, or why a proposal or read was refused (ERR_NOT_LEADER, ERR_BUSY, ERR_CONFLICT). */
int raft_step_any (struct raft *r, const struct raft_msg *m);

/* raft_leader.c */
int raft_step_leader (struct raft *r, const struct raft_msg *m);
int raft_leader_propose (struct raft *r, const struct raft_entry *v, size_t n);
bool raft_append_entries (struct raft *r, const struct raft_entry *v, size_t n);
bool raft_maybe_commit (struct raft *r);
bool raft_maybe_send_append (struct raft *r, struct raft_progress *p, bool send_if_empty);
void raft_broadcast_append (struct raft *r);
void raft_broadcast_heartbeat (struct raft *r);
void raft_applied_up_to (struct raft *r, uint64_t index);

/* raft_read.c */
int raft_leader_read (struct raft *r, uint64_t from, uint64_t ctx);
void raft_release_waiting_reads (struct raft *r);
void raft_confirm_reads (struct raft *r);
void raft_reset_reads (struct raft *r);

/* Grows a vector of the shape {v, n, cap} by one; false and a fault when out of memory. */
bool raft_vector_grow (struct raft *r, void **v, size_t n, size_t *cap, size_t item_size);

#endif
