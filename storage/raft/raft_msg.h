/* Raft's messages and their bytes on the wire. */
#ifndef STORAGE_RAFT_MSG_H
#define STORAGE_RAFT_MSG_H

#include "base/buf.h"
#include "storage/raft/raft_types.h"

/* The numbers are the wire's: append only. "local" never crosses the wire: decode and raft_step () refuse them. */
enum raft_msg_type {
  RAFT_MSG_HUP = 0,              /* local: campaign */
  RAFT_MSG_BEAT = 1,             /* local: heartbeat time */
  RAFT_MSG_PROP = 2,             /* entries to append; forwarded to the leader, carries no term */
  RAFT_MSG_APP = 3,              /* AppendEntries: index and log_term of the previous entry, entries, commit */
  RAFT_MSG_APP_RESP = 4,         /* index; or reject, reject_hint and log_term (of the hint) */
  RAFT_MSG_VOTE = 5,             /* index and log_term of the candidate's last entry; transfer: ignore the lease */
  RAFT_MSG_VOTE_RESP = 6,        /* reject */
  RAFT_MSG_SNAP = 7,             /* snapshot */
  RAFT_MSG_HEARTBEAT = 8,        /* commit, ctx (a read round, 0: none) */
  RAFT_MSG_HEARTBEAT_RESP = 9,   /* ctx */
  RAFT_MSG_UNREACHABLE = 10,     /* local: from could not be reached */
  RAFT_MSG_SNAP_STATUS = 11,     /* local: the snapshot to from ended; reject: failed */
  RAFT_MSG_CHECK_QUORUM = 12,    /* local */
  RAFT_MSG_TRANSFER_LEADER = 13, /* make from the leader; forwarded to the leader */
  RAFT_MSG_TIMEOUT_NOW = 14,     /* the leader tells its successor to campaign at once */
  RAFT_MSG_READ_INDEX = 15,      /* ctx; forwarded to the leader, carries no term */
  RAFT_MSG_READ_INDEX_RESP = 16, /* index, ctx */
  RAFT_MSG_PRE_VOTE = 17,
  RAFT_MSG_PRE_VOTE_RESP = 18,
  RAFT_MSG_TYPES_
};
const char *raft_msg_type_name (enum raft_msg_type type); /* "MsgApp"...; "?" when unknown */

struct raft_msg {
  enum raft_msg_type type;
  bool reject;
  bool transfer; /* of a vote: asked for by the leader itself (thesis 3.10) */
  uint64_t to, from;
  uint64_t term;
  uint64_t log_term, index;
  uint64_t commit;
  uint64_t reject_hint;
  uint64_t ctx;
  struct raft_entries entries;
  struct raft_snapshot *snapshot; /* owned; NULL: none */
};
void raft_msg_done (struct raft_msg *m); /* frees what it owns; zeroes it */

/* Appends the message to out as one msgpack array. 0, ERR_NOMEM (also when out passes its limit), or ERR_LIMIT when it
   breaks a limit of raft_types.h. Local messages: ERR_INVALID. */
int raft_msg_encode (const struct raft_msg *m, struct buf *out, struct err *err);

/* Reads exactly one message that fills data. The bytes may come from anyone: every count is checked against what is
   left before memory is taken. ERR_PARSE: malformed; ERR_LIMIT: over a limit; ERR_NOMEM. ret is written on success
   only; raft_msg_done () it. */
int raft_msg_decode (const void *data, size_t len, struct raft_msg *ret, struct err *err);

/* A configuration change as an entry's data. *ret is a new reference, NULL for the empty change. */
int raft_conf_change_encode (const struct raft_conf_change *cc, struct raft_blob **ret, struct err *err);
int raft_conf_change_decode (const void *data, size_t len, struct raft_conf_change *ret, struct err *err);
void raft_conf_change_done (struct raft_conf_change *cc);

/* A membership as bytes, for the stable storage's own records. */
int raft_conf_encode (const struct raft_conf *c, struct buf *out, struct err *err);
int raft_conf_decode (const void *data, size_t len, struct raft_conf *ret, struct err *err);

#endif
