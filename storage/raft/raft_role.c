#include "storage/raft/raft_internal.h"

#include "base/mem.h"

/* splitmix64: all that is wanted of it is that members with different seeds differ. */
static uint64_t
role_random (struct raft *r)
{
  uint64_t z = (r->random += UINT64_C (0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void
role_reset (struct raft *r, uint64_t term)
{
  uint64_t last = raft_log_last_index (&r->log);
  if (r->term != term) {
    r->term = term;
    r->vote = RAFT_NONE;
  }
  r->leader = RAFT_NONE;
  r->transferee = RAFT_NONE;
  r->election_elapsed = 0;
  r->heartbeat_elapsed = 0;
  r->election_timeout = r->config.election_ticks + (uint32_t) (role_random (r) % r->config.election_ticks);
  r->vote_count = 0;
  for (uint32_t i = 0; i < r->peer_count; i++) {
    raft_progress_reset (&r->peers[i], last + 1);
    /* Our own log counts as matched: whoever gets to lead has had its vote saved, and with it all before. */
    if (r->peers[i].id == r->config.id)
      r->peers[i].match = last;
  }
  r->pending_conf_index = 0;
  r->uncommitted_bytes = 0;
  raft_reset_reads (r);
}

void
raft_become_follower (struct raft *r, uint64_t term, uint64_t leader)
{
  role_reset (r, term);
  r->role = RAFT_FOLLOWER;
  r->leader = leader;
}

static void
become_candidate (struct raft *r)
{
  REQUIRE (r->role != RAFT_LEADER);
  role_reset (r, r->term + 1);
  r->vote = r->config.id;
  r->role = RAFT_CANDIDATE;
}

/* Neither term nor vote change: that is the point of asking first. */
static void
become_pre_candidate (struct raft *r)
{
  REQUIRE (r->role != RAFT_LEADER);
  r->vote_count = 0;
  r->leader = RAFT_NONE;
  r->role = RAFT_PRE_CANDIDATE;
}

void
raft_become_leader (struct raft *r)
{
  struct raft_progress *own;
  struct raft_entry empty = {.type = RAFT_ENTRY_NORMAL};
  REQUIRE (r->role != RAFT_FOLLOWER);
  role_reset (r, r->term);
  r->role = RAFT_LEADER;
  r->leader = r->config.id;
  own = raft_peer (r, r->config.id);
  REQUIRE (own);
  raft_progress_become_replicate (own);
  own->recent_active = true;
  /* There may be an unapplied change of membership in the log: cheaper to wait for the log's end than to look. */
  r->pending_conf_index = raft_log_last_index (&r->log);
  /* Entries of older terms are committed only together with one of ours (Raft 5.4.2). */
  raft_append_entries (r, &empty, 1);
}

void
raft_record_vote (struct raft *r, uint64_t id, bool granted)
{
  for (uint32_t i = 0; i < r->vote_count; i++)
    if (r->votes[i].id == id)
      return;
  if (!raft_conf_is_voter (&r->conf, id) || r->vote_count == RAFT_MAX_MEMBERS)
    return;
  r->votes[r->vote_count].id = id;
  r->votes[r->vote_count++].granted = granted;
}

static enum raft_vote
recorded_vote (const void *arg, uint64_t id)
{
  const struct raft *r = arg;
  for (uint32_t i = 0; i < r->vote_count; i++)
    if (r->votes[i].id == id)
      return r->votes[i].granted ? RAFT_VOTE_YES : RAFT_VOTE_NO;
  return RAFT_VOTE_MISSING;
}

enum raft_vote_result
raft_tally (const struct raft *r)
{
  return raft_conf_vote_result (&r->conf, recorded_vote, r);
}

void
raft_campaign_now (struct raft *r, enum raft_campaign_kind kind)
{
  bool pre = kind == RAFT_CAMPAIGN_PRE;
  uint64_t term;
  if (pre)
    become_pre_candidate (r);
  else
    become_candidate (r);
  term = pre ? r->term + 1 : r->term;
  for (uint32_t i = 0; i < r->peer_count; i++) {
    uint64_t id = r->peers[i].id;
    struct raft_msg m = {.to = id, .term = term};
    if (!raft_conf_is_voter (&r->conf, id))
      continue;
    if (id == r->config.id) {
      /* Our own vote counts when it is saved, like anybody else's. */
      m.type = pre ? RAFT_MSG_PRE_VOTE_RESP : RAFT_MSG_VOTE_RESP;
    } else {
      m.type = pre ? RAFT_MSG_PRE_VOTE : RAFT_MSG_VOTE;
      m.index = raft_log_last_index (&r->log);
      m.log_term = raft_log_last_term (&r->log);
      m.transfer = kind == RAFT_CAMPAIGN_TRANSFER;
    }
    raft_send (r, &m);
  }
}

/* With a change of membership committed but not applied here we would count by an outdated membership. */
static bool
has_unapplied_conf_change (struct raft *r)
{
  uint64_t lo = r->log.applied + 1, hi = r->log.committed + 1;
  bool found = false;
  while (lo < hi && !found) {
    struct raft_entries es = {0};
    if (raft_log_slice (&r->log, lo, hi, r->log.max_applying_bytes, &es))
      found = true;
    for (size_t i = 0; i < es.n && !found; i++)
      found = es.v[i].type == RAFT_ENTRY_CONF;
    lo += es.n;
    raft_entries_done (&es);
  }
  return found;
}

void
raft_hup (struct raft *r, enum raft_campaign_kind kind)
{
  if (r->role == RAFT_LEADER || !raft_promotable (r) || has_unapplied_conf_change (r))
    return;
  raft_campaign_now (r, kind);
}
