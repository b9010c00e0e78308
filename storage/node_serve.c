/* Requests to a member: a table of methods. Writes and linearizable reads are the leader's; streams and serializable reads are
   answered by any member from what it has applied. */
#include "storage/node_internal.h"

const char *
node_leader_name (const struct node *n)
{
  for (size_t i = 0; i < n->config.n_members; i++)
    if (n->config.members[i].id == n->leader)
      return n->config.members[i].name;
  return "no leader is known";
}

void
node_fail_requests (struct node *n, struct node_requests *list, int code, const char *text)
{
  struct node_request *r;
  while ((r = TAILQ_FIRST (list))) {
    TAILQ_REMOVE (list, r, link);
    bus_reply_error (r->rq, code, "%s", text);
    node_request_end (n, r);
  }
}

static void
reply_or_error (struct bus_request *rq, int failed, const struct err *err, const struct buf *out)
{
  if (failed)
    bus_reply_error (rq, failed, "%s", err->text);
  else if (out->failed)
    bus_reply_error (rq, ERR_NOMEM, "reply");
  else
    bus_reply (rq, out->data, out->len);
}

/* ---- reads ---- */

static void
read_now (struct node *n, struct bus_request *rq, int kind)
{
  struct arena a AUTO_ARENA = {0};
  struct buf out AUTO_BUF = BUF_INIT;
  struct err err = {0};
  struct store_range range;
  struct wire_page_request page;
  uint64_t revision = state_revision (n->state);
  int r = 0;
  if (kind == NODE_RANGE) {
    if (!(r = wire_unpack_range (&a, rq->body, rq->len, &range, &err)))
      r = state_range (n->state, &range, &out, &err);
  } else if (kind == NODE_SNAPSHOT) {
    if (!(r = wire_unpack_page_request (&a, rq->body, rq->len, &page, &err)))
      r = state_stream_snapshot (n->state, &page, &out, &err);
  } else {
    wire_pack_numbers (&revision, 1, &out);
    node_tell_progress (n); /* whoever asks will wait for it */
  }
  reply_or_error (rq, r, &err, &out);
}

void
node_answer_reads (struct node *n, struct node_requests *list)
{
  struct node_request *r;
  while ((r = TAILQ_FIRST (list))) {
    TAILQ_REMOVE (list, r, link);
    read_now (n, r->rq, (int) r->kind);
    node_request_end (n, r);
  }
}

static void
read_later (struct node *n, struct bus_request *rq, int kind)
{
  struct node_request *r;
  if (n->n_waiting >= NODE_PENDING_MAX || !(r = mem_zalloc (sizeof *r))) {
    bus_reply_error (rq, ERR_BUSY, "too many requests wait");
    return;
  }
  r->rq = rq;
  r->kind = kind == NODE_RANGE ? NODE_RANGE : NODE_REVISION;
  n->n_waiting++;
  TAILQ_INSERT_TAIL (&n->reads, r, link);
  node_drain_soon (n);
}

static void
serve_range (struct node *n, struct bus_request *rq)
{
  struct arena a AUTO_ARENA = {0};
  struct store_range range;
  struct err err;
  int r = wire_unpack_range (&a, rq->body, rq->len, &range, &err);
  if (r)
    bus_reply_error (rq, r, "%s", err.text);
  else if (range.serializable)
    read_now (n, rq, NODE_RANGE);
  else if (n->role != RAFT_LEADER)
    bus_reply_error (rq, ERR_NOT_LEADER, "%s", node_leader_name (n));
  else
    read_later (n, rq, NODE_RANGE);
}

static void
serve_revision (struct node *n, struct bus_request *rq)
{
  if (n->role != RAFT_LEADER)
    bus_reply_error (rq, ERR_NOT_LEADER, "%s", node_leader_name (n));
  else
    read_later (n, rq, NODE_REVISION);
}

/* ---- writes ---- */

static void
propose (struct node *n, struct bus_request *rq, enum state_command command, const void *body, size_t len)
{
  if (n->role != RAFT_LEADER)
    bus_reply_error (rq, ERR_NOT_LEADER, "%s", node_leader_name (n));
  else if (n->n_waiting >= NODE_PENDING_MAX || !node_propose (n, rq, command, body, len))
    bus_reply_error (rq, ERR_BUSY, "too many requests wait");
}

static void
serve_txn (struct node *n, struct bus_request *rq)
{
  propose (n, rq, STATE_TXN, rq->body, rq->len);
}

static void
serve_grant (struct node *n, struct bus_request *rq)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct err err;
  uint64_t v[2];
  int r = wire_unpack_numbers (rq->body, rq->len, v, 2, &err);
  if (r) {
    bus_reply_error (rq, r, "%s", err.text);
    return;
  }
  if (!v[0]) /* made up here, so that every member applies the same */
    v[0] = hash_bytes (&n->next_ticket, sizeof n->next_ticket, n->config.member_id ^ (uint64_t) wall_now ().us) >> 1 | 1;
  wire_pack_numbers (v, 2, &body);
  propose (n, rq, STATE_LEASE_GRANT, body.data, body.len);
}

static void
serve_keep_alive (struct node *n, struct bus_request *rq)
{
  struct buf out AUTO_BUF = BUF_INIT;
  struct state_lease l;
  struct err err = {0};
  uint64_t id;
  int r = wire_unpack_numbers (rq->body, rq->len, &id, 1, &err);
  if (!r && n->role != RAFT_LEADER)
    r = err_set (&err, ERR_NOT_LEADER, "%s", node_leader_name (n));
  if (!r && !(r = state_lease_get (n->state, id, &l, &err))) {
    uint64_t v[2] = {id, (uint64_t) l.ttl_s};
    r = node_lease_renew (n, id, l.ttl_s) ? 0 : err_set (&err, ERR_NOMEM, "keep a lease alive");
    wire_pack_numbers (v, 2, &out);
  }
  reply_or_error (rq, r, &err, &out);
}

static void
serve_revoke (struct node *n, struct bus_request *rq)
{
  propose (n, rq, STATE_LEASE_REVOKE, rq->body, rq->len);
}

static void
serve_compact (struct node *n, struct bus_request *rq)
{
  propose (n, rq, STATE_COMPACT, rq->body, rq->len);
}

/* ---- the rest ---- */

static void
serve_status (struct node *n, struct bus_request *rq)
{
  struct buf out AUTO_BUF = BUF_INIT;
  struct err err = {0};
  struct store_status st = {.member_id = n->config.member_id, .leader_id = n->leader, .term = n->term, .applied_index = state_applied_index (n->state),
                            .revision = state_revision (n->state), .compacted_revision = state_compacted (n->state),
                            .size_bytes = state_engine (n->state)->vt->size_bytes (state_engine (n->state)), .n_members = n->conf.voters.n + n->conf.learners.n,
                            .member_name = "", .leader_name = n->leader ? node_leader_name (n) : ""};
  for (size_t i = 0; i < n->config.n_members; i++)
    if (n->config.members[i].id == n->config.member_id)
      st.member_name = n->config.members[i].name;
  wire_pack_status (&st, &out);
  reply_or_error (rq, 0, &err, &out);
}

static void
serve_raft (struct node *n, struct bus_request *rq)
{
  struct raft_msg m;
  struct err err = {0};
  int r = raft_msg_decode (rq->body, rq->len, &m, &err);
  if (!r) {
    r = raft_step (n->raft, &m, &err);
    raft_msg_done (&m);
    if (r == ERR_NOMEM || r == ERR_IO || r == ERR_CORRUPT)
      node_fail (n, &err);
    node_drain_soon (n);
  }
  if (r == ERR_PARSE || r == ERR_LIMIT)
    bus_reply_error (rq, r, "%s", err.text);
  else
    bus_reply (rq, NULL, 0);
}

static void
serve_stream (struct node *n, struct bus_request *rq, bool snapshot)
{
  struct arena a AUTO_ARENA = {0};
  struct buf out AUTO_BUF = BUF_INIT;
  struct err err = {0};
  struct wire_page_request page;
  int r = wire_unpack_page_request (&a, rq->body, rq->len, &page, &err);
  if (!r && !n->config.may_read (n->config.arg, &rq->peer, page.stream))
    r = err_set (&err, ERR_DENIED, "%s may not read the stream \"%s\"", rq->peer.user, page.stream);
  if (!r)
    r = snapshot ? state_stream_snapshot (n->state, &page, &out, &err) : state_stream_changes (n->state, &page, &out, &err);
  reply_or_error (rq, r, &err, &out);
}

static void
serve_snapshot (struct node *n, struct bus_request *rq)
{
  serve_stream (n, rq, true);
}

static void
serve_changes (struct node *n, struct bus_request *rq)
{
  serve_stream (n, rq, false);
}

static const struct {
  const char *method;
  void (*serve) (struct node *n, struct bus_request *rq);
} methods[] = {
    {STORE_METHOD_TXN, serve_txn},
    {STORE_METHOD_RANGE, serve_range},
    {STORE_METHOD_REVISION, serve_revision},
    {STORE_METHOD_LEASE_GRANT, serve_grant},
    {STORE_METHOD_LEASE_KEEP_ALIVE, serve_keep_alive},
    {STORE_METHOD_LEASE_REVOKE, serve_revoke},
    {STORE_METHOD_COMPACT, serve_compact},
    {STORE_METHOD_STATUS, serve_status},
    {"raft", serve_raft},
    {"stream.snapshot", serve_snapshot},
    {"stream.changes", serve_changes},
};

void
node_serve (void *arg, struct bus_request *rq)
{
  struct node *n = arg;
  if (n->stopped) {
    bus_reply_error (rq, ERR_UNAVAILABLE, "the member stopped");
    return;
  }
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
    if (strcmp (methods[i].method, rq->method))
      continue;
    if (n->config.may_call (n->config.arg, &rq->peer, rq->method))
      methods[i].serve (n, rq);
    else
      bus_reply_error (rq, ERR_DENIED, "%s may not call %s", rq->peer.user, rq->method);
    return;
  }
  bus_reply_error (rq, ERR_UNSUPPORTED, "no method \"%.64s\"", rq->method);
}
