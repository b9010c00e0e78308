/* A member's life: open, tick, step, drain readies, apply. Serving is node_serve.c, saving node_writer.c. */
#include "storage/node.h"

#include "storage/node_internal.h"

static void drain (void *arg);

void
node_drain_soon (struct node *n)
{
  if (!n->drain_posted && !loop_post (n->loop, drain, n))
    n->drain_posted = true;
}

void
node_fail (struct node *n, const struct err *err)
{
  if (n->stopped)
    return;
  n->stopped = n->crashed = true;
  node_fail_requests (n, &n->entries, ERR_UNAVAILABLE, "the member stopped");
  node_fail_requests (n, &n->reads, ERR_UNAVAILABLE, "the member stopped");
  node_fail_requests (n, &n->round, ERR_UNAVAILABLE, "the member stopped");
  n->config.failed (n->config.arg, err);
}

/* ---- proposing ---- */

bool
node_propose (struct node *n, struct bus_request *rq, enum state_command command, const void *body, size_t len)
{
  struct buf data AUTO_BUF = BUF_INIT;
  struct state_entry e = {command, wall_now ().us, n->config.member_id, ++n->next_ticket, body, len};
  struct raft_entry entry = {.type = RAFT_ENTRY_NORMAL};
  struct node_request *r = rq ? mem_zalloc (sizeof *r) : NULL;
  int failed;
  if (rq && !r)
    return false;
  state_entry_pack (&e, &data);
  if (data.failed || !(entry.data = raft_blob_new (data.data, data.len))) {
    free (r);
    return false;
  }
  failed = raft_entries_push (&n->proposals, &entry);
  raft_blob_unref (entry.data);
  if (failed) {
    free (r);
    return false;
  }
  if (r) {
    *r = (struct node_request){.rq = rq, .kind = NODE_ENTRY, .ticket = e.ticket, .term = n->term};
    TAILQ_INSERT_TAIL (&n->entries, r, link);
    n->n_waiting++;
  }
  node_drain_soon (n);
  return true;
}

void
node_request_end (struct node *n, struct node_request *r)
{
  n->n_waiting--;
  free (r);
}

/* ---- applying ---- */

static void
answer_entry (struct node *n, const struct state_entry *e, const struct err *outcome, const struct buf *reply)
{
  struct node_request *r, *next;
  if (e->proposer != n->config.member_id)
    return;
  TAILQ_FOREACH_SAFE (r, &n->entries, link, next)
  {
    if (r->ticket > e->ticket)
      break;
    if (r->ticket < e->ticket)
      continue;
    TAILQ_REMOVE (&n->entries, r, link);
    if (outcome->code)
      bus_reply_error (r->rq, outcome->code, "%s", outcome->text);
    else
      bus_reply (r->rq, reply->data, reply->len);
    node_request_end (n, r);
    return;
  }
}

static void
note_lease (struct node *n, const struct state_entry *e)
{
  uint64_t v[2];
  if (n->role == RAFT_LEADER && e->command == STATE_LEASE_GRANT && !wire_unpack_numbers (e->body, e->len, v, 2, NULL))
    (void) node_lease_renew (n, v[0], (int64_t) v[1]);
}

static int
apply_conf (struct node *n, const struct raft_entry *entry, struct err *err)
{
  struct raft_conf_change cc = {0};
  struct buf packed AUTO_BUF = BUF_INIT;
  int r = entry->data ? raft_conf_change_decode (entry->data->bytes, entry->data->len, &cc, err) : 0;
  if (r)
    return r;
  r = raft_apply_conf_change (n->raft, &cc, &n->conf, err);
  raft_conf_change_done (&cc);
  if (r == ERR_INVALID) /* refused alike everywhere */
    return state_apply_meta (n->state, entry->index, entry->term, NULL, NULL, 0, err);
  if (r || (r = raft_conf_encode (&n->conf, &packed, err)))
    return r;
  return state_apply_meta (n->state, entry->index, entry->term, "conf", packed.data, packed.len, err);
}

static int
apply_entry (struct node *n, const struct raft_entry *entry, struct buf *reply, struct err *err)
{
  struct err outcome = {0};
  struct state_entry e;
  int r;
  if (entry->index <= state_applied_index (n->state))
    return 0; /* replayed after a restart */
  if (entry->type == RAFT_ENTRY_CONF)
    return apply_conf (n, entry, err);
  r = state_apply (n->state, entry->index, entry->term, entry->data ? entry->data->bytes : NULL, raft_entry_data_bytes (entry), &outcome, reply, err);
  if (r)
    return r;
  if (n->role == RAFT_LEADER && entry->term == n->term && !n->leading_ready) {
    n->leading_ready = true;
    node_leases_reload (n);
  }
  if (entry->data && !state_entry_unpack (entry->data->bytes, entry->data->len, &e, NULL)) {
    note_lease (n, &e);
    answer_entry (n, &e, &outcome, reply);
  }
  return 0;
}

static int
apply_committed (struct node *n, const struct raft_ready *rd, struct err *err)
{
  struct buf reply AUTO_BUF = BUF_INIT;
  for (size_t i = 0; i < rd->committed.n; i++) {
    int r = apply_entry (n, &rd->committed.v[i], &reply, err);
    if (r)
      return r;
  }
  return rd->committed.n ? raft_applied (n->raft, rd->committed.v[rd->committed.n - 1].index, err) : 0;
}

/* ---- readies ---- */

static void
sent (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct node_peer *p = arg;
  (void) body;
  (void) len;
  (void) err; /* a lost message is Raft's daily bread; a dead peer is noticed by its silence */
  (void) p;
}

static void
send_messages (struct node *n, struct raft_msg *ms, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    struct buf body AUTO_BUF = BUF_INIT;
    for (size_t p = 0; p < n->n_peers; p++) {
      struct bus_call call = {.method = "raft", .deadline_ms = 1000, .no_retry = true};
      if (n->peers[p].id != ms[i].to || raft_msg_encode (&ms[i], &body, NULL))
        continue;
      call.body = body.data;
      call.len = body.len;
      bus_call (n->peers[p].client, &call, sent, &n->peers[p]);
    }
  }
}

static void
role_changed (struct node *n, const struct raft_ready *rd)
{
  bool was_leader = n->role == RAFT_LEADER;
  n->role = rd->role;
  n->leader = rd->leader;
  if (was_leader && n->role != RAFT_LEADER) { /* their entries may or may not be committed by another */
    node_fail_requests (n, &n->entries, ERR_UNAVAILABLE, "leadership was lost; the write may or may not have been made");
    node_fail_requests (n, &n->reads, ERR_NOT_LEADER, node_leader_name (n));
    node_fail_requests (n, &n->round, ERR_NOT_LEADER, node_leader_name (n));
  }
  n->leading_ready = false;
}

static void
read_states (struct node *n, const struct raft_ready *rd)
{
  for (size_t i = 0; i < rd->read_state_count; i++)
    if (rd->read_states[i].ctx == n->read_ctx && rd->read_states[i].index <= state_applied_index (n->state))
      node_answer_reads (n, &n->round);
}

/* One read round at a time covers all that waited when it began. */
static void
start_read_round (struct node *n)
{
  if (TAILQ_EMPTY (&n->reads) || (!TAILQ_EMPTY (&n->round) && n->ticks - n->round_started_tick < 20))
    return;
  TAILQ_CONCAT (&n->round, &n->reads, link);
  n->round_started_tick = n->ticks;
  if (raft_read_index (n->raft, ++n->read_ctx, NULL))
    node_fail_requests (n, &n->round, ERR_NOT_LEADER, node_leader_name (n));
}

static void
propose_batch (struct node *n)
{
  struct err err;
  if (!n->proposals.n)
    return;
  if (raft_propose_batch (n->raft, n->proposals.v, n->proposals.n, &err)) {
    uint64_t first = n->next_ticket - n->proposals.n;
    struct node_request *r, *next;
    TAILQ_FOREACH_SAFE (r, &n->entries, link, next)
    {
      if (r->ticket <= first)
        continue;
      TAILQ_REMOVE (&n->entries, r, link);
      bus_reply_error (r->rq, err.code == ERR_NOT_LEADER ? ERR_NOT_LEADER : ERR_BUSY, "%s", node_leader_name (n));
      node_request_end (n, r);
    }
  }
  raft_entries_truncate (&n->proposals, 0);
}

static int
take_ready (struct node *n, struct err *err)
{
  struct node_save *s = mem_zalloc (sizeof *s);
  struct raft_ready *rd;
  int r;
  if (!s)
    return err_set (err, ERR_NOMEM, "ready");
  rd = &s->ready;
  s->node = n;
  if ((r = raft_ready (n->raft, rd, err))) {
    free (s);
    return r;
  }
  n->term = rd->hard_state.term;
  if (rd->role_changed)
    role_changed (n, rd);
  send_messages (n, rd->messages, rd->message_count);
  r = apply_committed (n, rd, err);
  if (!r)
    read_states (n, rd);
  node_writer_push (n, s); /* frees it in the end */
  return r;
}

static void
tell_ready (struct node *n)
{
  if (n->ready_told || !n->leader || (n->role == RAFT_LEADER && !n->leading_ready))
    return;
  n->ready_told = true;
  if (n->config.ready)
    n->config.ready (n->config.arg);
}

static void
drain (void *arg)
{
  struct node *n = arg;
  struct err err = {0};
  n->drain_posted = false;
  if (n->stopped)
    return;
  propose_batch (n);
  start_read_round (n);
  while (raft_has_ready (n->raft))
    if (take_ready (n, &err)) {
      node_fail (n, &err);
      return;
    }
  tell_ready (n);
}

void
node_saved (struct node *n, struct node_saves *done)
{
  struct node_save *s;
  struct err err = {0};
  while ((s = STAILQ_FIRST (done))) {
    STAILQ_REMOVE_HEAD (done, link);
    if (!n->stopped) {
      log_saved (n->log, &s->ready.entries);
      send_messages (n, s->ready.messages_after, s->ready.message_after_count);
      if (raft_persisted (n->raft, s->ready.seq, &err))
        node_fail (n, &err);
    }
    raft_ready_done (&s->ready);
    free (s);
  }
  node_drain_soon (n);
}

/* ---- time ---- */

struct progress {
  struct node *n;
  uint64_t revision;
};

static void
progress_of (void *arg, const char *stream)
{
  struct progress *p = arg;
  uint64_t seq, last;
  if (!state_stream_position (p->n->state, stream, &seq, &last, NULL))
    bus_publish_progress (p->n->publisher, stream, seq, p->revision);
}

void
node_tell_progress (struct node *n)
{
  struct progress p = {n, state_revision (n->state)};
  if (n->progress_told >= p.revision)
    return;
  n->progress_told = p.revision;
  bus_publisher_each (n->publisher, progress_of, &p);
}

#define FLUSH_ENTRIES 20000
#define FLUSH_TICKS 600
#define PROGRESS_TICKS 5

static void
tick (void *arg)
{
  struct node *n = arg;
  struct err err = {0};
  uint64_t applied = state_applied_index (n->state);
  loop_timer_set (n->tick, n->config.tick_ms);
  if (n->stopped)
    return;
  n->ticks++;
  if (n->n_peers || n->role != RAFT_LEADER) {
    if (raft_tick (n->raft, &err)) {
      node_fail (n, &err);
      return;
    }
    if (raft_has_ready (n->raft))
      node_drain_soon (n);
  }
  if (n->role == RAFT_LEADER && n->leading_ready)
    node_leases_tick (n);
  if (n->ticks % PROGRESS_TICKS == 0)
    node_tell_progress (n);
  if (applied > n->flushed_index && (applied - n->flushed_index >= FLUSH_ENTRIES || n->ticks - n->last_flush_tick >= FLUSH_TICKS)) {
    n->last_flush_tick = n->ticks;
    node_flush_soon (n);
  }
}

/* ---- opening ---- */

static void
publish (void *arg, const char *stream, uint64_t seq, const void *packed, size_t len)
{
  struct node *n = arg;
  if (n->publisher)
    bus_publish (n->publisher, stream, seq, packed, len);
}

static bool
authorise (void *arg, const struct bus_peer *peer, const char *stream)
{
  struct node *n = arg;
  return n->config.may_read (n->config.arg, peer, stream);
}

static int
open_files (struct node *n, struct err *err)
{
  struct engine *engine;
  struct buf packed AUTO_BUF = BUF_INIT;
  struct raft_conf saved;
  const struct state_hooks hooks = {publish, n};
  const struct log_identity id = {n->config.cluster_id, n->config.member_id};
  bool has_conf = false;
  int r = engine_rocksdb_open (n->config.state_dir, &(struct engine_rocksdb_options){.wal = false}, &engine, err);
  if (r || (r = state_open (engine, &hooks, &n->state, err)))
    return r;
  for (size_t i = 0; i < n->config.n_members; i++)
    if (!raft_ids_add (&n->conf.voters, n->config.members[i].id))
      return err_set (err, ERR_LIMIT, "more than %d members", RAFT_MAX_MEMBERS);
  r = state_meta (n->state, "conf", &packed, err);
  if (r && r != ERR_NOT_FOUND)
    return r;
  if (!r) {
    if ((r = raft_conf_decode (packed.data, packed.len, &saved, err)))
      return r;
    has_conf = true;
  }
  if ((r = engine_rocksdb_open (n->config.log_dir, &(struct engine_rocksdb_options){.wal = true, .write_buffer_bytes = 4u << 20, .block_cache_bytes = 2u << 20},
                                &engine, err)))
    return r;
  if ((r = log_open (engine, &id, &n->conf, has_conf ? &saved : NULL, &n->log, err)))
    return r;
  if (has_conf)
    n->conf = saved;
  n->flushed_index = state_applied_index (n->state);
  return 0;
}

static int
open_raft (struct node *n, struct err *err)
{
  struct raft_config c = RAFT_CONFIG_DEFAULT;
  uint64_t applied = state_applied_index (n->state);
  c.id = n->config.member_id;
  c.seed = hash_bytes (&c.id, sizeof c.id, (uint64_t) mono_now ().ns);
  c.applied_index = applied ? applied : 1;
  return (n->raft = raft_new (&c, log_storage (n->log), err)) ? 0 : err->code;
}

static int
open_bus (struct node *n, struct err *err)
{
  for (size_t i = 0; i < n->config.n_members; i++) {
    const struct node_member *m = &n->config.members[i];
    struct node_peer *p = &n->peers[n->n_peers];
    if (m->id == n->config.member_id)
      continue;
    p->id = m->id;
    if (!(p->client = bus_client_new (n->bus, &m->endpoint, 1, err)))
      return err->code;
    n->n_peers++;
  }
  if (!(n->publisher = bus_publisher_open (n->bus, n->config.publish, authorise, n, err)))
    return err->code;
  if (!(n->server = bus_serve (n->bus, n->config.listen, node_serve, n, err)))
    return err->code;
  return 0;
}

/* The caller's configuration may go away: keep what is used later. */
static int
copy_config (struct node *n, const struct node_config *config, struct err *err)
{
  struct node_member *members = arena_zalloc (&n->arena, config->n_members * sizeof *members);
  n->config = *config;
  if (!n->config.tick_ms)
    n->config.tick_ms = 100;
  for (size_t i = 0; i < config->n_members && members; i++)
    members[i] = (struct node_member){config->members[i].id, arena_strdup (&n->arena, config->members[i].name), arena_strdup (&n->arena, config->members[i].endpoint)};
  n->config.members = members;
  n->config.log_dir = arena_strdup (&n->arena, config->log_dir);
  n->config.state_dir = arena_strdup (&n->arena, config->state_dir);
  n->config.listen = arena_strdup (&n->arena, config->listen);
  n->config.publish = arena_strdup (&n->arena, config->publish);
  return arena_ok (&n->arena) ? 0 : err_set (err, ERR_NOMEM, "open the member");
}

int
node_open (struct bus *b, const struct node_config *config, struct node **ret, struct err *err)
{
  struct err local = {0};
  struct node *n = mem_zalloc (sizeof *n);
  if (!n)
    return err_set (err, ERR_NOMEM, "open the member");
  n->bus = b;
  n->loop = bus_loop (b);
  TAILQ_INIT (&n->entries);
  TAILQ_INIT (&n->reads);
  TAILQ_INIT (&n->round);
  STAILQ_INIT (&n->queue);
  pthread_mutex_init (&n->lock, NULL);
  pthread_cond_init (&n->wake, NULL);
  if (!err)
    err = &local;
  if (copy_config (n, config, err) || open_files (n, err) || open_raft (n, err) || open_bus (n, err) || node_writer_start (n, err)) {
    node_free (n);
    return err->code;
  }
  if (!(n->leases = map_new (free)) || !(n->tick = loop_timer_new (n->loop, tick, n))) {
    node_free (n);
    return err_set (err, ERR_NOMEM, "open the member");
  }
  loop_timer_set (n->tick, n->config.tick_ms);
  node_drain_soon (n);
  *ret = n;
  return 0;
}

void
node_free (struct node *n)
{
  if (!n)
    return;
  loop_timer_free (n->tick);
  node_writer_stop (n);
  node_fail_requests (n, &n->entries, ERR_CLOSED, "the member is stopping");
  node_fail_requests (n, &n->reads, ERR_CLOSED, "the member is stopping");
  node_fail_requests (n, &n->round, ERR_CLOSED, "the member is stopping");
  bus_server_free (n->server);
  bus_publisher_free (n->publisher);
  for (size_t i = 0; i < n->n_peers; i++)
    bus_client_free (n->peers[i].client);
  raft_free (n->raft);
  raft_entries_done (&n->proposals);
  log_free (n->log);
  if (n->state && !n->crashed)
    (void) state_engine (n->state)->vt->flush (state_engine (n->state), NULL); /* only saves replaying */
  state_free (n->state);
  map_free (n->leases);
  pthread_mutex_destroy (&n->lock);
  pthread_cond_destroy (&n->wake);
  arena_done (&n->arena);
  free (n);
}
