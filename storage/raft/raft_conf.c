#include "storage/raft/raft_conf.h"

#include "base/mem.h"

static size_t
conf_member_count (const struct raft_conf *c)
{
  size_t n = c->voters.n + c->learners.n;
  for (uint32_t i = 0; i < c->outgoing.n; i++)
    n += !raft_ids_has (&c->voters, c->outgoing.v[i]) && !raft_ids_has (&c->learners, c->outgoing.v[i]);
  return n;
}

int
raft_conf_check (const struct raft_conf *c, struct err *err)
{
  for (uint32_t i = 0; i < c->learners.n; i++)
    if (raft_conf_is_voter (c, c->learners.v[i]))
      return err_set (err, ERR_INVALID, "member %llu is voter and learner", (unsigned long long) c->learners.v[i]);
  for (uint32_t i = 0; i < c->learners_next.n; i++)
    if (!raft_ids_has (&c->outgoing, c->learners_next.v[i]))
      return err_set (err, ERR_INVALID, "next learner %llu is no outgoing voter",
                      (unsigned long long) c->learners_next.v[i]);
  if (c->outgoing.n == 0 && c->auto_leave)
    return err_set (err, ERR_INVALID, "auto leave outside of a joint membership");
  if (c->voters.n == 0 && (c->outgoing.n || c->learners.n))
    return err_set (err, ERR_INVALID, "membership without voters");
  if (raft_ids_has (&c->voters, RAFT_NONE) || raft_ids_has (&c->outgoing, RAFT_NONE)
      || raft_ids_has (&c->learners, RAFT_NONE))
    return err_set (err, ERR_INVALID, "0 is no member");
  if (conf_member_count (c) > RAFT_MAX_MEMBERS)
    return err_set (err, ERR_LIMIT, "more than %d members", RAFT_MAX_MEMBERS);
  return 0;
}

bool
raft_conf_change_leaves_joint (const struct raft_conf_change *cc)
{
  return cc->n == 0 && cc->transition == RAFT_TRANSITION_AUTO;
}

static void
conf_remove (struct raft_conf *c, uint64_t id)
{
  raft_ids_remove (&c->voters, id);
  raft_ids_remove (&c->learners, id);
  raft_ids_remove (&c->learners_next, id);
}

static bool
conf_make_voter (struct raft_conf *c, uint64_t id)
{
  raft_ids_remove (&c->learners, id);
  raft_ids_remove (&c->learners_next, id);
  return raft_ids_add (&c->voters, id);
}

static bool
conf_make_learner (struct raft_conf *c, uint64_t id)
{
  if (raft_ids_has (&c->learners, id))
    return true;
  conf_remove (c, id);
  /* A voter of the outgoing half votes until the joint membership is left: it becomes a learner only then. */
  return raft_ids_add (raft_ids_has (&c->outgoing, id) ? &c->learners_next : &c->learners, id);
}

static int
conf_apply_changes (struct raft_conf *c, const struct raft_conf_change *cc, struct err *err)
{
  bool fits = true;
  for (uint32_t i = 0; i < cc->n; i++) {
    uint64_t id = cc->changes[i].id;
    if (id == RAFT_NONE)
      continue; /* etcd's way to blank out one change of several */
    switch (cc->changes[i].type) {
    case RAFT_ADD_VOTER:
      fits = fits && conf_make_voter (c, id);
      break;
    case RAFT_ADD_LEARNER:
      fits = fits && conf_make_learner (c, id);
      break;
    case RAFT_REMOVE:
      conf_remove (c, id);
      break;
    default:
      return err_set (err, ERR_INVALID, "unknown membership change %d", (int) cc->changes[i].type);
    }
  }
  if (!fits)
    return err_set (err, ERR_LIMIT, "more than %d members", RAFT_MAX_MEMBERS);
  if (c->voters.n == 0)
    return err_set (err, ERR_INVALID, "the change would remove all voters");
  return 0;
}

static size_t
ids_difference (const struct raft_ids *a, const struct raft_ids *b)
{
  size_t n = 0;
  for (uint32_t i = 0; i < a->n; i++)
    n += !raft_ids_has (b, a->v[i]);
  for (uint32_t i = 0; i < b->n; i++)
    n += !raft_ids_has (a, b->v[i]);
  return n;
}

static int
conf_leave_joint (struct raft_conf *c, struct err *err)
{
  if (c->outgoing.n == 0)
    return err_set (err, ERR_INVALID, "cannot leave a membership that is not joint");
  c->outgoing.n = 0;
  for (uint32_t i = 0; i < c->learners_next.n; i++)
    if (!raft_ids_add (&c->learners, c->learners_next.v[i]))
      return err_set (err, ERR_LIMIT, "more than %d members", RAFT_MAX_MEMBERS);
  c->learners_next.n = 0;
  c->auto_leave = false;
  return 0;
}

int
raft_conf_apply (const struct raft_conf *cur, const struct raft_conf_change *cc, struct raft_conf *ret, struct err *err)
{
  struct raft_conf next = *cur;
  int rc;
  if (cc->n > RAFT_MAX_CHANGES)
    return err_set (err, ERR_LIMIT, "more than %d changes of membership at once", RAFT_MAX_CHANGES);
  if (cur->voters.n == 0) /* a joiner that replayed the change adding it would else be the only voter it knows */
    return err_set (err, ERR_INVALID, "the membership is not known, it comes with a snapshot");
  if (raft_conf_change_leaves_joint (cc))
    rc = conf_leave_joint (&next, err);
  else if (cur->outgoing.n)
    return err_set (err, ERR_INVALID, "the membership is joint already");
  else if (cc->transition != RAFT_TRANSITION_AUTO || cc->n > 1) {
    next.outgoing = next.voters;
    rc = conf_apply_changes (&next, cc, err);
    next.auto_leave = cc->transition != RAFT_TRANSITION_JOINT_EXPLICIT;
  } else {
    rc = conf_apply_changes (&next, cc, err);
    if (rc == 0 && ids_difference (&cur->voters, &next.voters) > 1)
      return err_set (err, ERR_INVALID, "more than one voter changed without a joint membership");
  }
  if (rc == 0)
    rc = raft_conf_check (&next, err);
  if (rc == 0)
    *ret = next;
  return rc;
}

static uint64_t
half_quorum_index (const struct raft_ids *ids, raft_index_cb index_of, const void *arg)
{
  uint64_t sorted[RAFT_MAX_MEMBERS];
  if (ids->n == 0)
    return UINT64_MAX;
  for (uint32_t i = 0; i < ids->n; i++) {
    uint64_t index = index_of (arg, ids->v[i]);
    uint32_t j = i;
    for (; j > 0 && sorted[j - 1] > index; j--)
      sorted[j] = sorted[j - 1];
    sorted[j] = index;
  }
  return sorted[ids->n - (ids->n / 2 + 1)];
}

uint64_t
raft_conf_quorum_index (const struct raft_conf *c, raft_index_cb index_of, const void *arg)
{
  uint64_t in = half_quorum_index (&c->voters, index_of, arg), out = half_quorum_index (&c->outgoing, index_of, arg);
  return in < out ? in : out;
}

static enum raft_vote_result
half_vote_result (const struct raft_ids *ids, raft_vote_cb vote_of, const void *arg)
{
  uint32_t yes = 0, missing = 0, quorum = ids->n / 2 + 1;
  if (ids->n == 0)
    return RAFT_VOTE_WON;
  for (uint32_t i = 0; i < ids->n; i++) {
    enum raft_vote v = vote_of (arg, ids->v[i]);
    yes += v == RAFT_VOTE_YES;
    missing += v == RAFT_VOTE_MISSING;
  }
  if (yes >= quorum)
    return RAFT_VOTE_WON;
  return yes + missing >= quorum ? RAFT_VOTE_PENDING : RAFT_VOTE_LOST;
}

enum raft_vote_result
raft_conf_vote_result (const struct raft_conf *c, raft_vote_cb vote_of, const void *arg)
{
  enum raft_vote_result in = half_vote_result (&c->voters, vote_of, arg);
  enum raft_vote_result out = half_vote_result (&c->outgoing, vote_of, arg);
  if (in == out)
    return in;
  return in == RAFT_VOTE_LOST || out == RAFT_VOTE_LOST ? RAFT_VOTE_LOST : RAFT_VOTE_PENDING;
}
