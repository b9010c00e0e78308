/* What comes out of the core, and the host's reports of having done it. */
#include "base/mem.h"
#include "storage/raft/raft_internal.h"

static struct raft_hard_state
ready_hard_state (const struct raft *r)
{
  return (struct raft_hard_state){.term = r->term, .vote = r->vote, .commit = r->log.committed};
}

bool
raft_has_ready (const struct raft *r)
{
  struct raft_hard_state hs = ready_hard_state (r);
  size_t unstable;
  raft_log_next_unstable (&r->log, &unstable);
  return r->fault.code || r->msgs.n || r->msgs_after.n || r->msgs_own.n || unstable || r->read_states.n
         || r->role != r->last_role || r->leader != r->last_leader || !raft_hard_state_equal (&hs, &r->last_hard_state)
         || raft_log_has_next_snapshot (&r->log) || raft_log_has_committed (&r->log);
}

/* Remembers what the end of this ready's save will mean. The last entry is noted even when this ready saves none: a save
   reported after the term changed is not believed (the entries might have been replaced in between), so the first one
   of the new term must vouch for them. */
static void
ready_note_save (struct raft *r, const struct raft_ready *rd)
{
  struct raft_save *s;
  if (r->log.unstable.n == 0 && !rd->has_snapshot && r->msgs_own.n == 0)
    return;
  if (!raft_vector_grow (r, (void **) &r->saves.v, r->saves.n, &r->saves.cap, sizeof *r->saves.v))
    return;
  s = &r->saves.v[r->saves.n++];
  *s = (struct raft_save){.seq = rd->seq, .term = r->term, .own = r->msgs_own};
  r->msgs_own = (struct raft_msgs){0};
  if (r->log.unstable.n) {
    s->last_index = raft_log_last_index (&r->log);
    s->last_term = r->log.unstable.v[r->log.unstable.n - 1].term;
  }
  if (rd->has_snapshot)
    s->snapshot_index = rd->snapshot.index;
}

int
raft_ready (struct raft *r, struct raft_ready *ret, struct err *err)
{
  struct raft_ready rd = {0};
  const struct raft_entry *unstable;
  size_t n;
  int rc = raft_fault_report (r, err);
  if (rc)
    return rc;
  rd.seq = ++r->seq;
  rd.role = r->role;
  rd.leader = r->leader;
  rd.role_changed = r->role != r->last_role || r->leader != r->last_leader;
  rd.hard_state = ready_hard_state (r);
  rd.hard_state_changed = !raft_hard_state_equal (&rd.hard_state, &r->last_hard_state);
  if (raft_log_has_next_snapshot (&r->log)) {
    rd.has_snapshot = true;
    rd.snapshot = r->log.snapshot;
  }
  raft_log_next_committed (&r->log, &rd.committed);
  unstable = raft_log_next_unstable (&r->log, &n);
  if (n && raft_entries_append (&rd.entries, unstable, n))
    raft_fault (r, ERR_NOMEM, "ready");
  rd.must_sync = n || rd.has_snapshot || rd.hard_state.term != r->last_hard_state.term
                 || rd.hard_state.vote != r->last_hard_state.vote;
  ready_note_save (r, &rd);
  if (r->fault.code) {
    raft_ready_done (&rd);
    return raft_fault_report (r, err);
  }
  raft_log_accept_unstable (&r->log);
  rd.messages = r->msgs.v;
  rd.message_count = r->msgs.n;
  rd.messages_after = r->msgs_after.v;
  rd.message_after_count = r->msgs_after.n;
  rd.read_states = r->read_states.v;
  rd.read_state_count = r->read_states.n;
  r->msgs = r->msgs_after = (struct raft_msgs){0};
  r->read_states = (struct raft_read_states){0};
  r->last_hard_state = rd.hard_state;
  r->last_role = rd.role;
  r->last_leader = rd.leader;
  *ret = rd;
  return 0;
}

void
raft_ready_done (struct raft_ready *rd)
{
  for (size_t i = 0; i < rd->message_count; i++)
    raft_msg_done (&rd->messages[i]);
  for (size_t i = 0; i < rd->message_after_count; i++)
    raft_msg_done (&rd->messages_after[i]);
  free (rd->messages);
  free (rd->messages_after);
  free (rd->read_states);
  raft_entries_done (&rd->entries);
  raft_entries_done (&rd->committed);
  *rd = (struct raft_ready){0};
}

static void
ready_saved (struct raft *r, struct raft_save *s)
{
  /* Our own vote and acknowledgement first, while the entries that they are about are still in memory. */
  for (size_t i = 0; i < s->own.n; i++) {
    (void) raft_step_any (r, &s->own.v[i]); /* a vote or an acknowledgement: nothing that can be refused */
    raft_msg_done (&s->own.v[i]);
  }
  free (s->own.v);
  if (s->last_index && s->term == r->term)
    raft_log_stable_to (&r->log, s->last_index, s->last_term);
  if (s->snapshot_index) {
    raft_log_stable_snapshot_to (&r->log, s->snapshot_index);
    raft_applied_up_to (r, s->snapshot_index);
  }
}

int
raft_persisted (struct raft *r, uint64_t seq, struct err *err)
{
  size_t done = 0;
  int rc = raft_fault_report (r, err);
  if (rc)
    return rc;
  if (seq > r->seq)
    return err_set (err, ERR_INVALID, "raft: ready %llu was never handed out", (unsigned long long) seq);
  for (; done < r->saves.n && r->saves.v[done].seq <= seq; done++)
    ready_saved (r, &r->saves.v[done]);
  r->saves.n -= done;
  if (done && r->saves.n)
    memmove (r->saves.v, r->saves.v + done, r->saves.n * sizeof *r->saves.v);
  return raft_fault_report (r, err);
}

int
raft_applied (struct raft *r, uint64_t index, struct err *err)
{
  int rc = raft_fault_report (r, err);
  if (rc)
    return rc;
  if (index > r->log.applying)
    return err_set (err, ERR_INVALID, "raft: entry %llu was never handed out", (unsigned long long) index);
  raft_applied_up_to (r, index);
  return raft_fault_report (r, err);
}

int
raft_advance (struct raft *r, const struct raft_ready *rd, struct err *err)
{
  int rc = raft_persisted (r, rd->seq, err);
  if (rc == 0 && rd->committed.n)
    rc = raft_applied (r, rd->committed.v[rd->committed.n - 1].index, err);
  return rc;
}
