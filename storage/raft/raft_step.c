/* What any member does with a message: the term first (Raft 5.1), then votes, then what its role does. */
#include "storage/raft/raft_internal.h"

static uint64_t
min_u64 (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static void
step_append (struct raft *r, const struct raft_msg *m)
{
  struct raft_msg resp = {.type = RAFT_MSG_APP_RESP, .to = m->from};
  uint64_t last = 0;
  if (m->index < r->log.committed)
    resp.index = r->log.committed;
  else if (raft_log_maybe_append (&r->log, m->index, m->log_term, m->commit, m->entries.v, m->entries.n, &last))
    resp.index = last;
  else {
    /* The hint: where our log may match at the latest, given that the leader's terms up to m->index are <= log_term. */
    resp.index = m->index;
    resp.reject = true;
    resp.reject_hint = raft_log_find_conflict (&r->log, min_u64 (m->index, raft_log_last_index (&r->log)), m->log_term,
                                               &resp.log_term);
  }
  raft_send (r, &resp);
}

static void
step_heartbeat (struct raft *r, const struct raft_msg *m)
{
  struct raft_msg resp = {.type = RAFT_MSG_HEARTBEAT_RESP, .to = m->from, .ctx = m->ctx};
  raft_log_commit_to (&r->log, m->commit);
  raft_send (r, &resp);
}

/* False: the snapshot is of no use here. */
static bool
step_restore (struct raft *r, const struct raft_snapshot *s)
{
  if (s->index <= r->log.committed || !raft_conf_member (&s->conf, r->config.id))
    return false;
  if (raft_log_match (&r->log, s->index, s->term)) {
    /* We have the log up to there; only the commit was unknown. */
    raft_log_commit_to (&r->log, s->index);
    return false;
  }
  raft_log_restore (&r->log, s);
  for (uint32_t i = 0; i < r->peer_count; i++)
    raft_progress_done (&r->peers[i]);
  r->peer_count = 0;
  raft_switch_conf (r, &s->conf);
  return true;
}

static void
step_snapshot (struct raft *r, const struct raft_msg *m)
{
  struct raft_msg resp = {.type = RAFT_MSG_APP_RESP, .to = m->from};
  bool restored = step_restore (r, m->snapshot);
  resp.index = restored ? raft_log_last_index (&r->log) : r->log.committed;
  raft_send (r, &resp);
}

/* Passes a proposal, a read or a transfer on to the leader. */
static void
step_forward (struct raft *r, const struct raft_msg *m)
{
  struct raft_msg copy = {.type = m->type, .to = r->leader, .from = m->from, .ctx = m->ctx};
  if (raft_entries_append (&copy.entries, m->entries.v, m->entries.n)) {
    raft_fault (r, ERR_NOMEM, "forward");
    return;
  }
  raft_send (r, &copy);
}

static void
step_from_leader (struct raft *r, const struct raft_msg *m)
{
  if (r->role == RAFT_FOLLOWER) {
    r->election_elapsed = 0;
    r->leader = m->from;
  } else
    raft_become_follower (r, m->term, m->from); /* somebody else won this term */
  if (m->type == RAFT_MSG_APP)
    step_append (r, m);
  else if (m->type == RAFT_MSG_HEARTBEAT)
    step_heartbeat (r, m);
  else
    step_snapshot (r, m);
}

static int
step_follower (struct raft *r, const struct raft_msg *m)
{
  switch (m->type) {
  case RAFT_MSG_APP:
  case RAFT_MSG_HEARTBEAT:
  case RAFT_MSG_SNAP:
    step_from_leader (r, m);
    return 0;
  case RAFT_MSG_PROP:
    if (r->leader == RAFT_NONE || r->config.disable_proposal_forwarding)
      return ERR_NOT_LEADER;
    step_forward (r, m);
    return 0;
  case RAFT_MSG_READ_INDEX:
  case RAFT_MSG_TRANSFER_LEADER:
    if (r->leader == RAFT_NONE)
      return ERR_NOT_LEADER;
    step_forward (r, m);
    return 0;
  case RAFT_MSG_TIMEOUT_NOW:
    /* Without pre-vote: the leader itself asked, so nothing is being disturbed (thesis 3.10). */
    raft_hup (r, RAFT_CAMPAIGN_TRANSFER);
    return 0;
  case RAFT_MSG_READ_INDEX_RESP:
    raft_add_read_state (r, m->ctx, m->index);
    return 0;
  default:
    return 0;
  }
}

/* Candidates and pre-candidates differ in the answers that they count. */
static int
step_candidate (struct raft *r, const struct raft_msg *m)
{
  enum raft_msg_type mine = r->role == RAFT_PRE_CANDIDATE ? RAFT_MSG_PRE_VOTE_RESP : RAFT_MSG_VOTE_RESP;
  switch (m->type) {
  case RAFT_MSG_APP:
  case RAFT_MSG_HEARTBEAT:
  case RAFT_MSG_SNAP:
    step_from_leader (r, m);
    return 0;
  case RAFT_MSG_PROP:
  case RAFT_MSG_READ_INDEX:
  case RAFT_MSG_TRANSFER_LEADER:
    return ERR_NOT_LEADER;
  default:
    break;
  }
  if (m->type != mine)
    return 0;
  raft_record_vote (r, m->from, !m->reject);
  switch (raft_tally (r)) {
  case RAFT_VOTE_WON:
    if (r->role == RAFT_PRE_CANDIDATE)
      raft_campaign_now (r, RAFT_CAMPAIGN_ELECTION);
    else {
      raft_become_leader (r);
      raft_broadcast_append (r);
    }
    break;
  case RAFT_VOTE_LOST:
    raft_become_follower (r, r->term, RAFT_NONE);
    break;
  case RAFT_VOTE_PENDING:
    break;
  }
  return 0;
}

static void
step_vote (struct raft *r, const struct raft_msg *m)
{
  bool pre = m->type == RAFT_MSG_PRE_VOTE;
  struct raft_msg resp = {.type = pre ? RAFT_MSG_PRE_VOTE_RESP : RAFT_MSG_VOTE_RESP, .to = m->from};
  bool free_to = r->vote == m->from || (r->vote == RAFT_NONE && r->leader == RAFT_NONE) || (pre && m->term > r->term);
  /* A learner votes too: it may have been promoted without knowing it yet, and its vote may be needed for it to learn. */
  if (free_to && raft_log_up_to_date (&r->log, m->index, m->log_term)) {
    /* With the term that was asked for: a pre-candidate does not count answers of our older one. */
    resp.term = m->term;
    if (!pre) {
      r->election_elapsed = 0;
      r->vote = m->from;
    }
  } else {
    resp.term = r->term;
    resp.reject = true;
  }
  raft_send (r, &resp);
}

/* m->term > r->term. False: the message is ignored. */
static bool
step_higher_term (struct raft *r, const struct raft_msg *m)
{
  if ((m->type == RAFT_MSG_VOTE || m->type == RAFT_MSG_PRE_VOTE) && !m->transfer && r->config.check_quorum
      && r->leader != RAFT_NONE && r->election_elapsed < r->config.election_ticks)
    return false; /* we hear a leader: whoever does not is not to disturb it (Raft 6, thesis 4.2.3) */
  if (m->type == RAFT_MSG_PRE_VOTE || (m->type == RAFT_MSG_PRE_VOTE_RESP && !m->reject))
    return true; /* asks for, or grants, a term that does not exist yet */
  raft_become_follower (r, m->term,
                        m->type == RAFT_MSG_APP || m->type == RAFT_MSG_HEARTBEAT || m->type == RAFT_MSG_SNAP
                          ? m->from
                          : RAFT_NONE);
  return true;
}

/* m->term < r->term. */
static void
step_lower_term (struct raft *r, const struct raft_msg *m)
{
  if ((r->config.check_quorum || r->config.pre_vote) && (m->type == RAFT_MSG_HEARTBEAT || m->type == RAFT_MSG_APP)) {
    /* We got ahead of a leader in a partition, and since votes are ignored under its lease only this tells it. */
    struct raft_msg resp = {.type = RAFT_MSG_APP_RESP, .to = m->from};
    raft_send (r, &resp);
  } else if (m->type == RAFT_MSG_PRE_VOTE) {
    /* Silence could deadlock a cluster with one member at a higher term and a shorter log. */
    struct raft_msg resp = {.type = RAFT_MSG_PRE_VOTE_RESP, .to = m->from, .term = r->term, .reject = true};
    raft_send (r, &resp);
  }
}

int
raft_step_any (struct raft *r, const struct raft_msg *m)
{
  if (m->term > r->term) {
    if (!step_higher_term (r, m))
      return 0;
  } else if (m->term && m->term < r->term) {
    step_lower_term (r, m);
    return 0;
  }
  switch (m->type) {
  case RAFT_MSG_HUP:
    raft_hup (r, r->config.pre_vote ? RAFT_CAMPAIGN_PRE : RAFT_CAMPAIGN_ELECTION);
    return 0;
  case RAFT_MSG_VOTE:
  case RAFT_MSG_PRE_VOTE:
    step_vote (r, m);
    return 0;
  default:
    break;
  }
  switch (r->role) {
  case RAFT_LEADER:
    return raft_step_leader (r, m);
  case RAFT_FOLLOWER:
    return step_follower (r, m);
  default:
    return step_candidate (r, m);
  }
}
