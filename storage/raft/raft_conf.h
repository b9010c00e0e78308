/* Memberships: how one follows from another (etcd's confchange) and what a majority of one is (etcd's quorum). Pure
   functions of their arguments, so every member computes the same. */
#ifndef STORAGE_RAFT_CONF_H
#define STORAGE_RAFT_CONF_H

#include "storage/raft/raft_types.h"

/* 0, or ERR_INVALID when c breaks the invariants of struct raft_conf or names member 0. */
int raft_conf_check (const struct raft_conf *c, struct err *err);

bool raft_conf_change_leaves_joint (const struct raft_conf_change *cc);

/* The membership after cc. ERR_INVALID: it does not fit (joint already, not joint, more than one voter at once outside
   of a joint change, no voter would remain); ERR_LIMIT: too many members. ret may not alias cur. */
int raft_conf_apply (const struct raft_conf *cur, const struct raft_conf_change *cc, struct raft_conf *ret,
                     struct err *err);

/* The greatest index that a majority (of both halves when joint) has reached; index_of tells each voter's. UINT64_MAX
   without voters. */
typedef uint64_t (*raft_index_cb) (const void *arg, uint64_t id);
uint64_t raft_conf_quorum_index (const struct raft_conf *c, raft_index_cb index_of, const void *arg);

enum raft_vote { RAFT_VOTE_MISSING, RAFT_VOTE_NO, RAFT_VOTE_YES };
enum raft_vote_result { RAFT_VOTE_PENDING, RAFT_VOTE_LOST, RAFT_VOTE_WON };
typedef enum raft_vote (*raft_vote_cb) (const void *arg, uint64_t id);
enum raft_vote_result raft_conf_vote_result (const struct raft_conf *c, raft_vote_cb vote_of, const void *arg);

static inline bool
raft_conf_is_voter (const struct raft_conf *c, uint64_t id)
{
  return raft_ids_has (&c->voters, id) || raft_ids_has (&c->outgoing, id);
}

#endif
