#include "storage/raft/raft_internal.h"

#include "base/mem.h"

struct raft_progress *
raft_peer (const struct raft *r, uint64_t id)
{
  for (uint32_t i = 0; i < r->peer_count; i++)
    if (r->peers[i].id == id)
      return (struct raft_progress *) &r->peers[i];
  return NULL;
}

bool
raft_promotable (const struct raft *r)
{
  const struct raft_progress *p = raft_peer (r, r->config.id);
  return p && !p->learner && !r->log.has_snapshot;
}

bool
raft_is_sole_voter (const struct raft *r)
{
  return r->conf.voters.n == 1 && r->conf.outgoing.n == 0 && r->conf.voters.v[0] == r->config.id;
}

static enum raft_vote
active_vote (const void *arg, uint64_t id)
{
  const struct raft_progress *p = raft_peer (arg, id);
  return p && p->recent_active ? RAFT_VOTE_YES : RAFT_VOTE_NO;
}

bool
raft_quorum_active (const struct raft *r)
{
  return raft_conf_vote_result (&r->conf, active_vote, r) == RAFT_VOTE_WON;
}

/* Makes peers match the membership; who stays keeps its progress. */
static void
member_sync_peers (struct raft *r)
{
  uint64_t next = raft_log_last_index (&r->log);
  const struct raft_ids *sets[] = {&r->conf.voters, &r->conf.outgoing, &r->conf.learners};
  uint32_t kept = 0;
  for (uint32_t i = 0; i < r->peer_count; i++)
    if (raft_conf_member (&r->conf, r->peers[i].id))
      r->peers[kept++] = r->peers[i];
    else
      raft_progress_done (&r->peers[i]);
  r->peer_count = kept;
  for (size_t s = 0; s < sizeof sets / sizeof *sets; s++)
    for (uint32_t i = 0; i < sets[s]->n; i++) {
      uint64_t id = sets[s]->v[i];
      uint32_t at = 0;
      if (raft_peer (r, id))
        continue;
      REQUIRE (r->peer_count < RAFT_MAX_MEMBERS);
      while (at < r->peer_count && r->peers[at].id < id)
        at++;
      memmove (&r->peers[at + 1], &r->peers[at], (r->peer_count - at) * sizeof r->peers[0]);
      raft_progress_init (&r->peers[at], id, next, r->config.max_inflight_messages, r->config.max_inflight_bytes);
      r->peer_count++;
    }
  for (uint32_t i = 0; i < r->peer_count; i++)
    r->peers[i].learner = raft_ids_has (&r->conf.learners, r->peers[i].id);
}

void
raft_switch_conf (struct raft *r, const struct raft_conf *c)
{
  const struct raft_progress *own;
  r->conf = *c;
  member_sync_peers (r);
  own = raft_peer (r, r->config.id);
  if (r->role != RAFT_LEADER)
    return;
  if (!own || own->learner) {
    /* Removed or demoted: the others elect a new leader (etcd's StepDownOnRemoval). */
    raft_become_follower (r, r->term, RAFT_NONE);
    return;
  }
  /* A smaller quorum may have all that it needs for a commit already; new members are probed at once. */
  if (raft_maybe_commit (r)) {
    raft_release_waiting_reads (r);
    raft_broadcast_append (r);
  } else
    for (uint32_t i = 0; i < r->peer_count; i++)
      if (r->peers[i].id != r->config.id)
        raft_maybe_send_append (r, &r->peers[i], false);
  raft_confirm_reads (r);
  if (r->transferee && !raft_conf_is_voter (&r->conf, r->transferee))
    r->transferee = RAFT_NONE;
}

int
raft_apply_conf_change (struct raft *r, const struct raft_conf_change *cc, struct raft_conf *ret, struct err *err)
{
  struct raft_conf next;
  int rc = raft_fault_report (r, err);
  if (rc)
    return rc;
  if ((rc = raft_conf_apply (&r->conf, cc, &next, err)))
    return rc;
  raft_switch_conf (r, &next);
  if (ret)
    *ret = next;
  return raft_fault_report (r, err);
}
