#include "storage/raft/raft_internal.h"

#include "base/mem.h"

static uint64_t
peer_match (const void *arg, uint64_t id)
{
  const struct raft_progress *p = raft_peer (arg, id);
  return p ? p->match : 0;
}

bool
raft_maybe_commit (struct raft *r)
{
  return raft_log_maybe_commit (&r->log, raft_conf_quorum_index (&r->conf, peer_match, r), r->term);
}

bool
raft_append_entries (struct raft *r, const struct raft_entry *v, size_t n)
{
  struct raft_msg ack = {.type = RAFT_MSG_APP_RESP, .to = r->config.id};
  struct raft_entries es = {0};
  uint64_t last = raft_log_last_index (&r->log), bytes;
  if (raft_entries_append (&es, v, n)) {
    raft_fault (r, ERR_NOMEM, "append");
    return false;
  }
  /* One proposal of any size is let in when nothing is pending, and empty ones always: leading and leaving a joint
     membership must not fail for size. */
  bytes = raft_entries_data_bytes (&es);
  if (r->config.max_uncommitted_bytes && r->uncommitted_bytes && bytes
      && r->uncommitted_bytes + bytes > r->config.max_uncommitted_bytes) {
    raft_entries_done (&es);
    return false;
  }
  r->uncommitted_bytes += bytes;
  for (size_t i = 0; i < n; i++) {
    es.v[i].term = r->term;
    es.v[i].index = last + 1 + i;
  }
  raft_log_append (&r->log, es.v, es.n);
  raft_entries_done (&es);
  ack.index = raft_log_last_index (&r->log);
  raft_send (r, &ack);
  return true;
}

static bool
leader_send_snapshot (struct raft *r, struct raft_progress *p)
{
  struct raft_msg m = {.type = RAFT_MSG_SNAP, .to = p->id};
  struct err err = {0};
  struct raft_snapshot s = {0};
  int rc;
  if (!p->recent_active)
    return false;
  rc = r->storage.snapshot (r->storage.ctx, &s, &err);
  if (rc == ERR_BUSY)
    return false;
  if (rc || s.index == 0) {
    raft_fault (r, rc ? rc : ERR_INTERNAL, "storage has no snapshot of what it compacted");
    return false;
  }
  if (!(m.snapshot = mem_zalloc (sizeof *m.snapshot))) {
    raft_fault (r, ERR_NOMEM, "snapshot message");
    return false;
  }
  *m.snapshot = s;
  raft_progress_become_snapshot (p, s.index);
  raft_send (r, &m);
  return true;
}

bool
raft_maybe_send_append (struct raft *r, struct raft_progress *p, bool send_if_empty)
{
  struct raft_msg m = {.type = RAFT_MSG_APP, .to = p->id, .index = p->next - 1, .commit = r->log.committed};
  uint64_t last = raft_log_last_index (&r->log);
  size_t n, bytes;
  if (raft_progress_is_paused (p) || r->fault.code)
    return false;
  if (raft_log_term (&r->log, m.index, &m.log_term))
    return !r->fault.code && leader_send_snapshot (r, p);
  /* With a full window only an empty append goes out: should all in the window be lost, its answer shows that. */
  if ((p->state != RAFT_REPLICATE || !raft_progress_window_full (p)) && p->next <= last
      && raft_log_slice (&r->log, p->next, last + 1, r->config.max_message_bytes, &m.entries)) {
    raft_entries_done (&m.entries);
    return !r->fault.code && leader_send_snapshot (r, p);
  }
  if (m.entries.n > RAFT_MAX_MESSAGE_ENTRIES)
    raft_entries_truncate (&m.entries, RAFT_MAX_MESSAGE_ENTRIES);
  n = m.entries.n;
  if (n == 0 && !send_if_empty)
    return false;
  bytes = raft_entries_data_bytes (&m.entries);
  raft_send (r, &m);
  if (raft_progress_sent (p, n, bytes, r->log.committed))
    raft_fault (r, ERR_NOMEM, "inflight window");
  return true;
}

void
raft_broadcast_append (struct raft *r)
{
  for (uint32_t i = 0; i < r->peer_count; i++)
    if (r->peers[i].id != r->config.id)
      raft_maybe_send_append (r, &r->peers[i], true);
}

void
raft_broadcast_heartbeat (struct raft *r)
{
  uint64_t round = r->reads.n ? r->reads.v[r->reads.n - 1].round : 0;
  for (uint32_t i = 0; i < r->peer_count; i++) {
    struct raft_progress *p = &r->peers[i];
    struct raft_msg m = {.type = RAFT_MSG_HEARTBEAT, .to = p->id, .ctx = round};
    if (p->id == r->config.id)
      continue;
    /* Never beyond what is known to match: the follower's log may differ there. */
    m.commit = p->match < r->log.committed ? p->match : r->log.committed;
    raft_send (r, &m);
    if (p->sent_commit < m.commit)
      p->sent_commit = m.commit;
  }
}

static bool
leader_conf_change_allowed (const struct raft *r, const struct raft_entry *e)
{
  struct raft_conf_change cc;
  struct raft_conf next;
  bool ok;
  if (r->pending_conf_index > r->log.applied)
    return false;
  if (raft_conf_change_decode (e->data ? e->data->bytes : NULL, raft_entry_data_bytes (e), &cc, NULL))
    return false;
  ok = raft_conf_apply (&r->conf, &cc, &next, NULL) == 0;
  raft_conf_change_done (&cc);
  return ok;
}

int
raft_leader_propose (struct raft *r, const struct raft_entry *v, size_t n)
{
  struct raft_entries es = {0};
  uint64_t last = raft_log_last_index (&r->log), pending = r->pending_conf_index;
  bool ok;
  if (!raft_peer (r, r->config.id) || r->transferee)
    return ERR_BUSY;
  if (raft_entries_append (&es, v, n))
    return ERR_NOMEM;
  for (size_t i = 0; i < n; i++) {
    if (es.v[i].type != RAFT_ENTRY_CONF)
      continue;
    if (leader_conf_change_allowed (r, &es.v[i])) {
      r->pending_conf_index = last + 1 + i;
      continue;
    }
    raft_blob_unref (es.v[i].data);
    es.v[i].data = NULL;
    es.v[i].type = RAFT_ENTRY_NORMAL;
  }
  ok = raft_append_entries (r, es.v, es.n);
  raft_entries_done (&es);
  if (!ok) {
    r->pending_conf_index = pending;
    return r->fault.code ? r->fault.code : ERR_BUSY;
  }
  raft_broadcast_append (r);
  return 0;
}

void
raft_applied_up_to (struct raft *r, uint64_t index)
{
  struct raft_entry leave = {.type = RAFT_ENTRY_CONF};
  uint64_t bytes = 0;
  if (index < r->log.applied)
    index = r->log.applied;
  raft_log_applied_to (&r->log, index, &bytes);
  r->uncommitted_bytes -= bytes < r->uncommitted_bytes ? bytes : r->uncommitted_bytes;
  /* Refused while leadership is being transferred: then the next leader leaves, or we do at the next apply. */
  if (r->conf.auto_leave && r->role == RAFT_LEADER && index >= r->pending_conf_index)
    (void) raft_leader_propose (r, &leave, 1);
}

static void
leader_step_rejected (struct raft *r, struct raft_progress *p, const struct raft_msg *m)
{
  uint64_t next = m->reject_hint, unused;
  /* All our entries of a term above the hint's cannot match: skip them, so that a long divergent tail costs a probe a
     term instead of one an entry (the follower skips on its side likewise, step_append). */
  if (m->log_term)
    next = raft_log_find_conflict (&r->log, m->reject_hint, m->log_term, &unused);
  if (!raft_progress_maybe_decrease (p, m->index, next))
    return;
  if (p->state == RAFT_REPLICATE)
    raft_progress_become_probe (p);
  raft_maybe_send_append (r, p, true);
}

static void
leader_step_acknowledged (struct raft *r, struct raft_progress *p, const struct raft_msg *m)
{
  bool own = p->id == r->config.id;
  if (!raft_progress_maybe_update (p, m->index) && !(p->match == m->index && p->state == RAFT_PROBE))
    return;
  if (p->state == RAFT_PROBE)
    raft_progress_become_replicate (p);
  else if (p->state == RAFT_SNAPSHOT && p->match + 1 >= raft_log_first_index (&r->log)) {
    /* However it got there, it can go on from our log. */
    raft_progress_become_probe (p);
    raft_progress_become_replicate (p);
  } else if (p->state == RAFT_REPLICATE)
    raft_progress_free_window (p, m->index);
  if (raft_maybe_commit (r)) {
    raft_release_waiting_reads (r);
    raft_broadcast_append (r);
  } else if (!own && raft_progress_can_bump_commit (p, r->log.committed))
    raft_maybe_send_append (r, p, true);
  if (own)
    return;
  while (raft_maybe_send_append (r, p, false))
    ;
  if (p->id == r->transferee && p->match == raft_log_last_index (&r->log)) {
    struct raft_msg now = {.type = RAFT_MSG_TIMEOUT_NOW, .to = p->id};
    raft_send (r, &now);
  }
}

static void
leader_step_transfer (struct raft *r, struct raft_progress *p)
{
  if (p->learner || p->id == r->transferee || !raft_conf_is_voter (&r->conf, p->id))
    return;
  r->transferee = RAFT_NONE;
  if (p->id == r->config.id)
    return;
  /* It should be done within one election timeout (thesis 3.10). */
  r->election_elapsed = 0;
  r->transferee = p->id;
  if (p->match == raft_log_last_index (&r->log)) {
    struct raft_msg now = {.type = RAFT_MSG_TIMEOUT_NOW, .to = p->id};
    raft_send (r, &now);
  } else
    raft_maybe_send_append (r, p, true);
}

int
raft_step_leader (struct raft *r, const struct raft_msg *m)
{
  struct raft_progress *p;
  switch (m->type) {
  case RAFT_MSG_BEAT:
    raft_broadcast_heartbeat (r);
    return 0;
  case RAFT_MSG_CHECK_QUORUM:
    if (!raft_quorum_active (r))
      raft_become_follower (r, r->term, RAFT_NONE);
    for (uint32_t i = 0; i < r->peer_count; i++)
      if (r->peers[i].id != r->config.id)
        r->peers[i].recent_active = false;
    return 0;
  case RAFT_MSG_PROP:
    return raft_leader_propose (r, m->entries.v, m->entries.n);
  case RAFT_MSG_READ_INDEX:
    return raft_leader_read (r, m->from, m->ctx);
  default:
    break;
  }
  if (!(p = raft_peer (r, m->from)))
    return 0;
  switch (m->type) {
  case RAFT_MSG_APP_RESP:
    if (m->index > raft_log_last_index (&r->log))
      return ERR_INVALID;
    p->recent_active = true;
    if (m->reject)
      leader_step_rejected (r, p, m);
    else
      leader_step_acknowledged (r, p, m);
    break;
  case RAFT_MSG_HEARTBEAT_RESP:
    p->recent_active = true;
    p->paused = false;
    if (p->match < raft_log_last_index (&r->log) || p->state == RAFT_PROBE)
      raft_maybe_send_append (r, p, true);
    if (m->ctx > p->read_acked && m->ctx <= r->read_round) {
      p->read_acked = m->ctx;
      raft_confirm_reads (r);
    }
    break;
  case RAFT_MSG_SNAP_STATUS:
    if (p->state != RAFT_SNAPSHOT)
      break;
    if (m->reject)
      p->pending_snapshot = 0; /* else the probe would start behind a snapshot that never was installed */
    raft_progress_become_probe (p);
    p->paused = true; /* the follower's acknowledgement, or the next heartbeat's, goes on */
    break;
  case RAFT_MSG_UNREACHABLE:
    if (p->state == RAFT_REPLICATE)
      raft_progress_become_probe (p);
    break;
  case RAFT_MSG_TRANSFER_LEADER:
    leader_step_transfer (r, p);
    break;
  default:
    break;
  }
  return 0;
}
