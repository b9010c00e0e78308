/* Linearizable reads (thesis 6.4): a read's index is the commit index at its arrival, valid once a quorum confirms that
   we led after that. Each read gets a round; heartbeats carry the latest round and followers echo it, so one echo
   confirms all rounds before. Rounds start again with each leadership; echoes of another term never get here. */
#include "storage/raft/raft_internal.h"

#include "base/mem.h"

void
raft_reset_reads (struct raft *r)
{
  r->reads.n = 0;
  r->reads_waiting.n = 0;
  r->read_round = 0;
}

static void
read_answer (struct raft *r, const struct raft_read *read)
{
  struct raft_msg m = {.type = RAFT_MSG_READ_INDEX_RESP, .to = read->from, .index = read->index, .ctx = read->ctx};
  if (read->from == r->config.id)
    raft_add_read_state (r, read->ctx, read->index);
  else
    raft_send (r, &m);
}

static int
read_queue (struct raft *r, struct raft_reads *q, const struct raft_read *read)
{
  if (q->n >= r->config.max_pending_reads)
    return ERR_BUSY;
  if (!raft_vector_grow (r, (void **) &q->v, q->n, &q->cap, sizeof *q->v))
    return ERR_NOMEM;
  q->v[q->n++] = *read;
  return 0;
}

int
raft_leader_read (struct raft *r, uint64_t from, uint64_t ctx)
{
  struct raft_read read = {.from = from, .ctx = ctx, .index = r->log.committed};
  struct raft_progress *own = raft_peer (r, r->config.id);
  int rc;
  /* Until an entry of ours is committed the commit index may be behind what the last leader acknowledged. This holds
     for a sole voter too: its saved commit index may be old (etcd answers at once there). */
  if (raft_log_term_or_zero (&r->log, r->log.committed) != r->term)
    return read_queue (r, &r->reads_waiting, &read);
  if (raft_is_sole_voter (r)) {
    read_answer (r, &read);
    return 0;
  }
  read.round = r->read_round + 1;
  if ((rc = read_queue (r, &r->reads, &read)))
    return rc;
  r->read_round = read.round;
  if (own)
    own->read_acked = read.round;
  raft_broadcast_heartbeat (r);
  return 0;
}

void
raft_release_waiting_reads (struct raft *r)
{
  struct raft_reads waiting;
  if (r->reads_waiting.n == 0 || raft_log_term_or_zero (&r->log, r->log.committed) != r->term)
    return;
  waiting = r->reads_waiting;
  r->reads_waiting = (struct raft_reads){0};
  /* One that finds the queue full now is lost like one lost on the way: its asker times out. */
  for (size_t i = 0; i < waiting.n; i++)
    (void) raft_leader_read (r, waiting.v[i].from, waiting.v[i].ctx);
  free (waiting.v);
}

static uint64_t
read_acked (const void *arg, uint64_t id)
{
  const struct raft_progress *p = raft_peer (arg, id);
  return p ? p->read_acked : 0;
}

void
raft_confirm_reads (struct raft *r)
{
  uint64_t confirmed;
  size_t n = 0;
  if (r->reads.n == 0)
    return;
  confirmed = raft_conf_quorum_index (&r->conf, read_acked, r);
  while (n < r->reads.n && r->reads.v[n].round <= confirmed)
    read_answer (r, &r->reads.v[n++]);
  r->reads.n -= n;
  if (n && r->reads.n)
    memmove (r->reads.v, r->reads.v + n, r->reads.n * sizeof *r->reads.v);
}
