#include "storage/raft/raft_internal.h"

#include "base/mem.h"

void
raft_fault (struct raft *r, int code, const char *what)
{
  if (r->fault.code == 0)
    err_set (&r->fault, code, "raft: %s: %s", what, err_text (code));
}

int
raft_fault_report (const struct raft *r, struct err *err)
{
  if (r->fault.code && err)
    *err = r->fault;
  return r->fault.code;
}

bool
raft_vector_grow (struct raft *r, void **v, size_t n, size_t *cap, size_t item_size)
{
  size_t more = *cap ? *cap * 2 : 8;
  void *p;
  if (n < *cap)
    return true;
  if (!(p = mem_zalloc (more * item_size))) {
    raft_fault (r, ERR_NOMEM, "queue");
    return false;
  }
  if (n)
    memcpy (p, *v, n * item_size);
  free (*v);
  *v = p;
  *cap = more;
  return true;
}

static void
msgs_done (struct raft_msgs *q)
{
  for (size_t i = 0; i < q->n; i++)
    raft_msg_done (&q->v[i]);
  free (q->v);
  *q = (struct raft_msgs){0};
}

void
raft_send (struct raft *r, struct raft_msg *m)
{
  struct raft_msgs *q = &r->msgs;
  if (m->from == RAFT_NONE)
    m->from = r->config.id;
  switch (m->type) {
  case RAFT_MSG_PROP:
  case RAFT_MSG_READ_INDEX:
    break; /* whoever leads when they arrive: they belong to no term */
  case RAFT_MSG_VOTE:
  case RAFT_MSG_VOTE_RESP:
  case RAFT_MSG_PRE_VOTE_RESP:
    REQUIRE (m->term);
    q = &r->msgs_after;
    break;
  case RAFT_MSG_PRE_VOTE:
    REQUIRE (m->term);
    break;
  case RAFT_MSG_APP_RESP:
    q = &r->msgs_after;
    m->term = r->term;
    break;
  default:
    m->term = r->term;
  }
  if (m->to == r->config.id) {
    REQUIRE (q == &r->msgs_after);
    q = &r->msgs_own;
  }
  if (r->fault.code || !raft_vector_grow (r, (void **) &q->v, q->n, &q->cap, sizeof *q->v)) {
    raft_msg_done (m);
    return;
  }
  q->v[q->n++] = *m;
  *m = (struct raft_msg){0};
}

void
raft_add_read_state (struct raft *r, uint64_t ctx, uint64_t index)
{
  struct raft_read_states *q = &r->read_states;
  if (raft_vector_grow (r, (void **) &q->v, q->n, &q->cap, sizeof *q->v))
    q->v[q->n++] = (struct raft_read_state){.ctx = ctx, .index = index};
}

static int
config_check (const struct raft_config *c, struct err *err)
{
  if (c->id == RAFT_NONE)
    return err_set (err, ERR_INVALID, "raft: member id is 0");
  if (c->heartbeat_ticks == 0 || c->election_ticks <= c->heartbeat_ticks || c->election_ticks > 1000000)
    return err_set (err, ERR_INVALID, "raft: need 0 < heartbeat ticks (%u) < election ticks (%u)", c->heartbeat_ticks,
                    c->election_ticks);
  if (c->max_inflight_messages == 0 || c->max_inflight_messages > 4096)
    return err_set (err, ERR_INVALID, "raft: inflight messages not in 1..4096");
  if (c->max_message_bytes > RAFT_MAX_ENTRY_BYTES)
    return err_set (err, ERR_INVALID, "raft: message size over %llu bytes", (unsigned long long) RAFT_MAX_ENTRY_BYTES);
  if (c->max_inflight_bytes && c->max_inflight_bytes < c->max_message_bytes)
    return err_set (err, ERR_INVALID, "raft: inflight bytes below the message size");
  return 0;
}

/* Takes over what was saved. */
static int
load_state (struct raft *r, struct err *err)
{
  struct raft_hard_state hs = {0};
  struct raft_conf conf = {0};
  uint64_t last = raft_log_last_index (&r->log), applied = r->config.applied_index;
  int rc = r->storage.initial_state (r->storage.ctx, &hs, &conf, err);
  if (rc)
    return rc;
  if ((rc = raft_conf_check (&conf, err)))
    return rc;
  if (hs.commit > last || applied > last)
    return err_set (err, ERR_CORRUPT, "raft: the log ends at %llu, but %llu was committed and %llu applied",
                    (unsigned long long) last, (unsigned long long) hs.commit, (unsigned long long) applied);
  r->term = hs.term;
  r->vote = hs.vote;
  /* The saved commit index is a lower bound: what is applied was committed. */
  if (hs.commit > r->log.committed)
    r->log.committed = hs.commit;
  if (applied > r->log.committed)
    r->log.committed = applied;
  if (applied > r->log.applied)
    r->log.applied = r->log.applying = applied;
  r->conf = conf;
  raft_switch_conf (r, &conf);
  raft_become_follower (r, r->term, RAFT_NONE);
  r->last_hard_state = hs;
  return raft_fault_report (r, err);
}

struct raft *
raft_new (const struct raft_config *config, const struct raft_storage *storage, struct err *err)
{
  struct raft *r;
  if (config_check (config, err))
    return NULL;
  if (!(r = mem_zalloc (sizeof *r))) {
    err_set (err, ERR_NOMEM, "raft");
    return NULL;
  }
  r->config = *config;
  r->storage = *storage;
  r->random = config->seed;
  if (r->config.max_committed_bytes == 0)
    r->config.max_committed_bytes = r->config.max_message_bytes ? r->config.max_message_bytes : 1;
  if (r->config.max_inflight_bytes == 0)
    r->config.max_inflight_bytes = UINT64_MAX;
  if (r->config.max_pending_reads == 0)
    r->config.max_pending_reads = 4096;
  raft_log_init (&r->log, &r->storage, r->config.max_committed_bytes, &r->fault);
  if (load_state (r, err)) {
    raft_free (r);
    return NULL;
  }
  if (config->campaign_if_sole_voter && raft_is_sole_voter (r))
    raft_hup (r, config->pre_vote ? RAFT_CAMPAIGN_PRE : RAFT_CAMPAIGN_ELECTION);
  return r;
}

void
raft_free (struct raft *r)
{
  if (!r)
    return;
  raft_log_done (&r->log);
  for (uint32_t i = 0; i < r->peer_count; i++)
    raft_progress_done (&r->peers[i]);
  msgs_done (&r->msgs);
  msgs_done (&r->msgs_after);
  msgs_done (&r->msgs_own);
  for (size_t i = 0; i < r->saves.n; i++)
    msgs_done (&r->saves.v[i].own);
  free (r->saves.v);
  free (r->reads.v);
  free (r->reads_waiting.v);
  free (r->read_states.v);
  free (r);
}

/* Steps a message of the host's own and says why it was refused. */
static int
step_local (struct raft *r, const struct raft_msg *m, struct err *err)
{
  int rc = raft_fault_report (r, err);
  if (rc)
    return rc;
  rc = raft_step_any (r, m);
  if (r->fault.code)
    return raft_fault_report (r, err);
  return rc ? err_set (err, rc, "raft: %s refused as %s at term %llu: %s", raft_msg_type_name (m->type),
                       raft_role_name (r->role), (unsigned long long) r->term, err_text (rc))
            : 0;
}

int
raft_tick (struct raft *r, struct err *err)
{
  struct raft_msg m = {.from = r->config.id};
  int rc = raft_fault_report (r, err);
  if (rc)
    return rc;
  r->election_elapsed++;
  if (r->role != RAFT_LEADER) {
    if (r->election_elapsed < r->election_timeout || !raft_promotable (r))
      return 0;
    r->election_elapsed = 0;
    m.type = RAFT_MSG_HUP;
    return step_local (r, &m, err);
  }
  r->heartbeat_elapsed++;
  if (r->election_elapsed >= r->config.election_ticks) {
    r->election_elapsed = 0;
    m.type = RAFT_MSG_CHECK_QUORUM;
    if (r->config.check_quorum && (rc = step_local (r, &m, err)))
      return rc;
    r->transferee = RAFT_NONE; /* took too long: we go on leading */
  }
  if (r->role != RAFT_LEADER || r->heartbeat_elapsed < r->config.heartbeat_ticks)
    return 0;
  r->heartbeat_elapsed = 0;
  m.type = RAFT_MSG_BEAT;
  return step_local (r, &m, err);
}

/* Whether a message from outside is one that a correct member could have sent. */
static const char *
message_flaw (const struct raft *r, const struct raft_msg *m)
{
  uint64_t term = m->log_term;
  if (m->to != r->config.id)
    return "not for us";
  if (m->from == RAFT_NONE || m->from == r->config.id)
    return "bad sender";
  switch (m->type) {
  case RAFT_MSG_HUP:
  case RAFT_MSG_BEAT:
  case RAFT_MSG_UNREACHABLE:
  case RAFT_MSG_SNAP_STATUS:
  case RAFT_MSG_CHECK_QUORUM:
  case RAFT_MSG_TYPES_:
    return "local type";
  case RAFT_MSG_PROP:
    if (m->term || m->entries.n == 0)
      return "bad proposal";
    break;
  case RAFT_MSG_READ_INDEX:
    if (m->term || m->ctx == 0)
      return "bad read";
    break;
  default:
    if (m->term == 0)
      return "no term";
  }
  if (m->type == RAFT_MSG_SNAP && (!m->snapshot || m->snapshot->index == 0 || m->snapshot->term > m->term
                                   || raft_conf_check (&m->snapshot->conf, NULL)))
    return "bad snapshot";
  if (m->type != RAFT_MSG_APP)
    return NULL;
  if (m->log_term > m->term || (m->index == 0) != (m->log_term == 0) || m->index > UINT64_MAX - 1 - m->entries.n)
    return "bad previous entry";
  for (size_t i = 0; i < m->entries.n; i++) {
    const struct raft_entry *e = &m->entries.v[i];
    if (e->index != m->index + 1 + i || e->term < term || e->term == 0 || e->term > m->term)
      return "entries out of order";
    term = e->term;
  }
  return NULL;
}

int
raft_step (struct raft *r, const struct raft_msg *m, struct err *err)
{
  const char *flaw;
  int rc = raft_fault_report (r, err);
  if (rc)
    return rc;
  if ((flaw = message_flaw (r, m)))
    return err_set (err, ERR_INVALID, "raft: %s from %llu: %s", raft_msg_type_name (m->type),
                    (unsigned long long) m->from, flaw);
  switch (m->type) {
  case RAFT_MSG_APP_RESP:
  case RAFT_MSG_VOTE_RESP:
  case RAFT_MSG_PRE_VOTE_RESP:
  case RAFT_MSG_HEARTBEAT_RESP:
    if (!raft_peer (r, m->from))
      return err_set (err, ERR_NOT_FOUND, "raft: %s from %llu, no member", raft_msg_type_name (m->type),
                      (unsigned long long) m->from);
    break;
  default:
    break;
  }
  return step_local (r, m, err);
}

int
raft_propose (struct raft *r, const void *data, size_t len, struct err *err)
{
  struct raft_entry e = {.type = RAFT_ENTRY_NORMAL};
  int rc;
  if (len > RAFT_MAX_ENTRY_BYTES)
    return err_set (err, ERR_LIMIT, "raft: entry of %zu bytes", len);
  if (len && !(e.data = raft_blob_new (data, len)))
    return err_set (err, ERR_NOMEM, "raft: propose");
  rc = raft_propose_batch (r, &e, 1, err);
  raft_blob_unref (e.data);
  return rc;
}

int
raft_propose_batch (struct raft *r, const struct raft_entry *entries, size_t n, struct err *err)
{
  struct raft_msg m = {.type = RAFT_MSG_PROP, .from = r->config.id};
  uint64_t bytes = 0;
  int rc;
  if (n == 0)
    return err_set (err, ERR_INVALID, "raft: empty proposal");
  for (size_t i = 0; i < n; i++) {
    if (raft_entry_data_bytes (&entries[i]) > RAFT_MAX_ENTRY_BYTES)
      return err_set (err, ERR_LIMIT, "raft: entry of %zu bytes", raft_entry_data_bytes (&entries[i]));
    bytes += raft_entry_size_bytes (&entries[i]);
  }
  if (n > RAFT_MAX_MESSAGE_ENTRIES || (n > 1 && bytes > RAFT_MAX_ENTRY_BYTES))
    return err_set (err, ERR_LIMIT, "raft: proposal of %zu entries, %llu bytes", n, (unsigned long long) bytes);
  if (raft_entries_append (&m.entries, entries, n))
    return err_set (err, ERR_NOMEM, "raft: propose");
  rc = step_local (r, &m, err);
  raft_msg_done (&m);
  return rc;
}

int
raft_propose_conf_change (struct raft *r, const struct raft_conf_change *cc, struct err *err)
{
  struct raft_entry e = {.type = RAFT_ENTRY_CONF};
  struct raft_conf next;
  int rc;
  if (r->role == RAFT_LEADER) {
    if (r->pending_conf_index > r->log.applied)
      return err_set (err, ERR_CONFLICT, "raft: an earlier membership change at %llu is not applied yet",
                      (unsigned long long) r->pending_conf_index);
    if (r->conf.outgoing.n && !raft_conf_change_leaves_joint (cc))
      return err_set (err, ERR_CONFLICT, "raft: the joint membership must be left first");
    if ((rc = raft_conf_apply (&r->conf, cc, &next, err)))
      return rc;
  }
  if ((rc = raft_conf_change_encode (cc, &e.data, err)))
    return rc;
  rc = raft_propose_batch (r, &e, 1, err);
  raft_blob_unref (e.data);
  return rc;
}

int
raft_read_index (struct raft *r, uint64_t ctx, struct err *err)
{
  struct raft_msg m = {.type = RAFT_MSG_READ_INDEX, .from = r->config.id, .ctx = ctx};
  return ctx ? step_local (r, &m, err) : err_set (err, ERR_INVALID, "raft: read context 0");
}

int
raft_transfer_leader (struct raft *r, uint64_t to, struct err *err)
{
  struct raft_msg m = {.type = RAFT_MSG_TRANSFER_LEADER, .from = to};
  if (!raft_conf_is_voter (&r->conf, to))
    return err_set (err, ERR_INVALID, "raft: %llu is no voter", (unsigned long long) to);
  return step_local (r, &m, err);
}

int
raft_campaign (struct raft *r, struct err *err)
{
  struct raft_msg m = {.type = RAFT_MSG_HUP, .from = r->config.id};
  return step_local (r, &m, err);
}

int
raft_report_unreachable (struct raft *r, uint64_t id, struct err *err)
{
  struct raft_msg m = {.type = RAFT_MSG_UNREACHABLE, .from = id};
  return step_local (r, &m, err);
}

int
raft_report_snapshot (struct raft *r, uint64_t id, bool ok, struct err *err)
{
  struct raft_msg m = {.type = RAFT_MSG_SNAP_STATUS, .from = id, .reject = !ok};
  return step_local (r, &m, err);
}

const char *
raft_role_name (enum raft_role role)
{
  static const char *const names[] = {"follower", "candidate", "leader", "pre-candidate"};
  return (unsigned) role < sizeof names / sizeof *names ? names[role] : "?";
}

void
raft_status (const struct raft *r, struct raft_status *ret)
{
  *ret = (struct raft_status){
    .id = r->config.id,
    .leader = r->leader,
    .transferee = r->transferee,
    .role = r->role,
    .hard_state = {.term = r->term, .vote = r->vote, .commit = r->log.committed},
    .applied = r->log.applied,
    .first_index = raft_log_first_index (&r->log),
    .last_index = raft_log_last_index (&r->log),
    .uncommitted_bytes = r->uncommitted_bytes,
    .conf = r->conf,
  };
  if (r->role != RAFT_LEADER)
    return;
  for (uint32_t i = 0; i < r->peer_count; i++) {
    const struct raft_progress *p = &r->peers[i];
    ret->peers[ret->peer_count++] = (struct raft_peer_status){
      .id = p->id,
      .match = p->match,
      .next = p->next,
      .pending_snapshot = p->pending_snapshot,
      .state = p->state,
      .learner = p->learner,
      .recent_active = p->recent_active,
      .paused = raft_progress_is_paused (p),
      .inflight_messages = p->window_count,
      .inflight_bytes = p->window_bytes,
    };
  }
}
