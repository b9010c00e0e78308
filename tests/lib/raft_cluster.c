#include "tests/lib/raft_cluster.h"

#include <inttypes.h>

#include "base/map.h"
#include "base/mem.h"
#include "storage/raft/raft_internal.h"
#include "tests/lib/test.h"

#define CLUSTER_FAIL(c, ...) \
  do { \
    print_error ("SEED=%" PRIu64 " step %" PRIu64 ": ", (c)->seed, (c)->steps); \
    print_error (__VA_ARGS__); \
    print_error ("\n"); \
    fail (); \
  } while (0)
#define CHECK(c, x, ...) \
  do { \
    if (!(x)) \
      CLUSTER_FAIL (c, __VA_ARGS__); \
  } while (0)

uint64_t
cluster_random (struct cluster *c, uint64_t below)
{
  uint64_t z = (c->random += UINT64_C (0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
  return (z ^ (z >> 31)) % below;
}

static void *
grow (void *v, size_t *cap, size_t want, size_t item)
{
  size_t more = *cap ? *cap : 16;
  if (want < *cap)
    return v;
  while (more <= want)
    more *= 2;
  v = realloc (v, more * item);
  assert_non_null (v);
  memset ((char *) v + *cap * item, 0, (more - *cap) * item);
  *cap = more;
  return v;
}

static struct cluster_truth *
truth_at (struct cluster *c, uint64_t index)
{
  c->truth = grow (c->truth, &c->truth_cap, index, sizeof *c->truth);
  return &c->truth[index];
}

static uint64_t
entry_hash (const struct raft_entry *e)
{
  return hash_bytes (e->data ? e->data->bytes : NULL, raft_entry_data_bytes (e), e->index * 31 + (uint64_t) e->type);
}

struct cluster *
cluster_new (uint64_t seed, const struct raft_config *config, uint32_t count, uint32_t voters)
{
  struct cluster *c = calloc (1, sizeof *c);
  struct raft_conf conf = {0}, none = {0};
  assert_non_null (c);
  c->seed = c->random = seed;
  c->config = *config;
  c->node_count = count;
  c->next_ctx = 1;
  c->entries = map_new (free);
  for (uint64_t id = 1; id <= voters; id++)
    raft_ids_add (&conf.voters, id);
  for (uint64_t id = 1; id <= count; id++) {
    c->nodes[id].id = id;
    mem_log_init (&c->nodes[id].log, id <= voters ? &conf : &none);
    /* The first members begin behind a compacted index 1: who joins later can learn the membership by snapshot only. */
    if (id <= voters) {
      c->nodes[id].log.base_index = c->nodes[id].log.base_term = c->nodes[id].durable_applied = 1;
      c->nodes[id].log.hard_state = (struct raft_hard_state){.term = 1, .commit = 1};
    }
    cluster_start (c, id);
  }
  return c;
}

static void
node_stop (struct cluster_node *n)
{
  for (size_t i = 0; i < n->save_count; i++)
    raft_ready_done (&n->saves[i]);
  n->save_count = 0;
  raft_free (n->raft);
  n->raft = NULL;
}

void
cluster_clear_net (struct cluster *c)
{
  for (size_t i = 0; i < c->net_count; i++)
    buf_done (&c->net[i].bytes);
  c->net_count = 0;
}

void
cluster_free (struct cluster *c)
{
  for (uint32_t id = 1; id <= c->node_count; id++) {
    node_stop (&c->nodes[id]);
    free (c->nodes[id].saves);
    mem_log_done (&c->nodes[id].log);
  }
  cluster_clear_net (c);
  free (c->net);
  free (c->truth);
  free (c->leaders);
  free (c->asked);
  map_free (c->entries);
  free (c);
}

void
cluster_start (struct cluster *c, uint64_t id)
{
  struct cluster_node *n = &c->nodes[id];
  struct raft_config config = c->config;
  struct raft_storage storage = mem_log_storage (&n->log);
  struct err err = {0};
  assert_null (n->raft);
  config.id = id;
  config.seed = c->seed * 1000 + id * 100 + n->incarnation;
  config.applied_index = n->durable_applied;
  n->incarnation++;
  n->applied = n->durable_applied;
  n->applied_conf = n->log.conf;
  n->seen = n->log.hard_state;
  n->handed_last = n->log.base_index + n->log.entries.n;
  n->leader_term = 0;
  n->raft = raft_new (&config, &storage, &err);
  CHECK (c, n->raft, "node %" PRIu64 " does not start: %s", id, err.text);
}

static void
save_to_disk (struct cluster_node *n, const struct raft_ready *rd)
{
  if (rd->has_snapshot) {
    mem_log_install (&n->log, &rd->snapshot);
    n->durable_applied = rd->snapshot.index;
  }
  assert_int_equal (mem_log_append (&n->log, rd->entries.v, rd->entries.n), 0);
  n->log.hard_state = rd->hard_state;
}

void
cluster_crash (struct cluster *c, uint64_t id, size_t saved)
{
  struct cluster_node *n = &c->nodes[id];
  for (size_t i = 0; i < saved && i < n->save_count; i++)
    save_to_disk (n, &n->saves[i]);
  node_stop (n);
  (void) c;
}

static void
net_send (struct cluster *c, const struct raft_msg *m)
{
  struct cluster_packet *p;
  struct err err = {0};
  if (m->to > c->node_count || c->cut[m->from][m->to] || (c->filter && !c->filter (c->filter_arg, m)))
    return;
  c->net = grow (c->net, &c->net_cap, c->net_count, sizeof *c->net);
  p = &c->net[c->net_count++];
  *p = (struct cluster_packet){.from = m->from, .to = m->to, .type = m->type};
  CHECK (c, raft_msg_encode (m, &p->bytes, &err) == 0, "encode: %s", err.text);
}

/* Raft, figure 3: election safety, and leader completeness for the entries committed in earlier terms. */
static void
check_leader (struct cluster *c, struct cluster_node *n, uint64_t term)
{
  struct raft_log *log = &n->raft->log;
  c->leaders = grow (c->leaders, &c->leaders_cap, term, sizeof *c->leaders);
  CHECK (c, !c->leaders[term].id || (c->leaders[term].id == n->id && c->leaders[term].incarnation == n->incarnation),
         "term %" PRIu64 " led by %" PRIu64 " and %" PRIu64, term, c->leaders[term].id, n->id);
  c->leaders[term].id = n->id;
  c->leaders[term].incarnation = n->incarnation;
  if (n->leader_term == term)
    return;
  n->leader_term = term;
  for (uint64_t i = raft_log_first_index (log); i <= c->max_committed; i++) {
    const struct cluster_truth *t = truth_at (c, i);
    CHECK (c, !t->committed || t->commit_term >= term || raft_log_term_or_zero (log, i) == t->term,
           "leader %" PRIu64 " of term %" PRIu64 " lacks committed entry %" PRIu64, n->id, term, i);
  }
}

/* Log matching: an index and term name one entry with one predecessor, everywhere. */
static void
check_entries (struct cluster *c, struct cluster_node *n, const struct raft_entries *es)
{
  uint64_t prev_term;
  if (es->n == 0)
    return;
  CHECK (c, !n->leader_term || es->v[0].index == n->handed_last + 1,
         "leader %" PRIu64 " rewrote its log at %" PRIu64, n->id, es->v[0].index);
  CHECK (c, es->v[0].index <= n->handed_last + 1 || n->raft->log.has_snapshot, "node %" PRIu64 " left a gap", n->id);
  prev_term = raft_log_term_or_zero (&n->raft->log, es->v[0].index - 1);
  for (size_t i = 0; i < es->n; i++) {
    const struct raft_entry *e = &es->v[i];
    uint64_t *known, hash = entry_hash (e);
    char key[64];
    (void) snprintf (key, sizeof key, "%" PRIu64 ".%" PRIu64, e->index, e->term);
    if ((known = map_get (c->entries, key)))
      CHECK (c, known[0] == prev_term && known[1] == hash, "node %" PRIu64 ": entry %s differs", n->id, key);
    else {
      known = calloc (2, sizeof *known);
      assert_non_null (known);
      known[0] = prev_term;
      known[1] = hash;
      assert_int_equal (map_set (c->entries, key, known), 0);
    }
    prev_term = e->term;
  }
  n->handed_last = es->v[es->n - 1].index;
}

static void
check_commit (struct cluster *c, struct cluster_node *n, const struct raft_ready *rd)
{
  struct raft_log *log = &n->raft->log;
  uint64_t first = raft_log_first_index (log);
  CHECK (c, rd->hard_state.term >= n->seen.term && rd->hard_state.commit >= n->seen.commit,
         "node %" PRIu64 ": term or commit went back", n->id);
  CHECK (c, rd->hard_state.term > n->seen.term || !n->seen.vote || rd->hard_state.vote == n->seen.vote,
         "node %" PRIu64 " voted twice in term %" PRIu64, n->id, n->seen.term);
  for (uint64_t i = n->seen.commit + 1 > first ? n->seen.commit + 1 : first; i <= rd->hard_state.commit; i++) {
    struct cluster_truth *t = truth_at (c, i);
    uint64_t term = raft_log_term_or_zero (log, i);
    CHECK (c, !t->committed || t->term == term, "node %" PRIu64 " committed another entry at %" PRIu64, n->id, i);
    if (!t->committed) {
      t->committed = true;
      t->term = term;
      t->commit_term = rd->hard_state.term;
      if (i > c->max_committed)
        c->max_committed = i;
    }
  }
  n->seen = rd->hard_state;
}

static void
node_apply (struct cluster *c, struct cluster_node *n, const struct raft_entry *e)
{
  struct cluster_truth *t = truth_at (c, e->index);
  uint64_t hash = entry_hash (e);
  CHECK (c, e->index == n->applied + 1, "node %" PRIu64 " applies %" PRIu64 " after %" PRIu64, n->id, e->index,
         n->applied);
  CHECK (c, t->committed && t->term == e->term && (!t->hash || t->hash == hash),
         "node %" PRIu64 " applied another entry at %" PRIu64, n->id, e->index);
  /* Only what is on this disk may be applied. */
  CHECK (c, cluster_term_at (c, n->id, e->index) == e->term, "node %" PRIu64 " applies %" PRIu64 " before it is saved",
         n->id, e->index);
  t->hash = hash;
  n->applied = e->index;
  if (e->type == RAFT_ENTRY_CONF) {
    struct raft_conf_change cc;
    assert_int_equal (
      raft_conf_change_decode (e->data ? e->data->bytes : NULL, raft_entry_data_bytes (e), &cc, NULL), 0);
    (void) raft_apply_conf_change (n->raft, &cc, &n->applied_conf, NULL); /* refused: refused everywhere */
    raft_conf_change_done (&cc);
  } else if (e->data)
    n->normal_applied++;
}

static void
node_reads (struct cluster *c, struct cluster_node *n, const struct raft_ready *rd)
{
  for (size_t i = 0; i < rd->read_state_count; i++) {
    const struct raft_read_state *s = &rd->read_states[i];
    for (size_t j = 0; j < c->asked_count; j++)
      CHECK (c, c->asked[j].ctx != s->ctx || s->index >= c->asked[j].at_least,
             "node %" PRIu64 ": read at %" PRIu64 ", but %" PRIu64 " was committed before it was asked", n->id,
             s->index, c->asked[j].at_least);
    if (n->read_count == CLUSTER_MAX_READS)
      memmove (n->reads, n->reads + 1, --n->read_count * sizeof n->reads[0]);
    n->reads[n->read_count++] = *s;
  }
}

void
cluster_save (struct cluster *c, uint64_t id, size_t count)
{
  struct cluster_node *n = &c->nodes[id];
  struct err err = {0};
  for (; count && n->save_count; count--) {
    struct raft_ready rd = n->saves[0];
    memmove (n->saves, n->saves + 1, --n->save_count * sizeof *n->saves);
    save_to_disk (n, &rd);
    if (rd.has_snapshot) {
      n->applied = rd.snapshot.index;
      n->applied_conf = rd.snapshot.conf;
    }
    for (size_t i = 0; i < rd.message_after_count; i++)
      net_send (c, &rd.messages_after[i]);
    CHECK (c, raft_persisted (n->raft, rd.seq, &err) == 0, "node %" PRIu64 ": %s", id, err.text);
    raft_ready_done (&rd);
  }
}

void
cluster_drain (struct cluster *c, uint64_t id)
{
  struct cluster_node *n = &c->nodes[id];
  struct err err = {0};
  while (n->raft && raft_has_ready (n->raft)) {
    struct raft_ready rd;
    CHECK (c, raft_ready (n->raft, &rd, &err) == 0, "node %" PRIu64 ": %s", id, err.text);
    if (n->leader_term && (rd.role != RAFT_LEADER || rd.hard_state.term != n->leader_term))
      n->leader_term = 0;
    if (rd.has_snapshot)
      n->handed_last = rd.snapshot.index;
    check_entries (c, n, &rd.entries);
    check_commit (c, n, &rd);
    if (rd.role == RAFT_LEADER)
      check_leader (c, n, rd.hard_state.term);
    node_reads (c, n, &rd);
    for (size_t i = 0; i < rd.message_count; i++)
      net_send (c, &rd.messages[i]);
    for (size_t i = 0; i < rd.committed.n; i++)
      node_apply (c, n, &rd.committed.v[i]);
    if (rd.committed.n)
      CHECK (c, raft_applied (n->raft, n->applied, &err) == 0, "node %" PRIu64 ": %s", id, err.text);
    if (n->save_count == n->save_cap) {
      n->save_cap = n->save_cap ? n->save_cap * 2 : 8;
      n->saves = realloc (n->saves, n->save_cap * sizeof *n->saves);
      assert_non_null (n->saves);
    }
    n->saves[n->save_count++] = rd;
    if (!n->hold_saves)
      cluster_save (c, id, n->save_count);
  }
}

bool
cluster_deliver (struct cluster *c, size_t at)
{
  struct cluster_packet p;
  struct raft_msg m;
  struct err err = {0};
  int rc;
  if (at >= c->net_count)
    return false;
  p = c->net[at];
  memmove (&c->net[at], &c->net[at + 1], (--c->net_count - at) * sizeof *c->net);
  if (c->nodes[p.to].raft && !c->cut[p.from][p.to]) {
    CHECK (c, raft_msg_decode (p.bytes.data, p.bytes.len, &m, &err) == 0, "decode: %s", err.text);
    rc = raft_step (c->nodes[p.to].raft, &m, &err);
    CHECK (c, rc == 0 || rc == ERR_NOT_LEADER || rc == ERR_BUSY || rc == ERR_NOT_FOUND || rc == ERR_INVALID,
           "node %" PRIu64 ": %s", p.to, err.text);
    raft_msg_done (&m);
  }
  buf_done (&p.bytes);
  return true;
}

void
cluster_settle (struct cluster *c)
{
  for (int i = 0; i < 1000000; i++) {
    for (uint32_t id = 1; id <= c->node_count; id++)
      cluster_drain (c, id);
    if (!cluster_deliver (c, 0))
      return;
  }
  CLUSTER_FAIL (c, "does not settle");
}

void
cluster_tick (struct cluster *c, uint64_t id, uint32_t n)
{
  struct err err = {0};
  for (; n; n--) {
    if (c->nodes[id].raft)
      CHECK (c, raft_tick (c->nodes[id].raft, &err) == 0, "tick: %s", err.text);
    cluster_settle (c);
  }
}

void
cluster_tick_all (struct cluster *c, uint32_t n)
{
  for (; n; n--)
    for (uint32_t id = 1; id <= c->node_count; id++)
      cluster_tick (c, id, 1);
}

void
cluster_cut (struct cluster *c, uint64_t a, uint64_t b)
{
  c->cut[a][b] = c->cut[b][a] = true;
}

void
cluster_isolate (struct cluster *c, uint64_t id)
{
  for (uint32_t i = 1; i <= c->node_count; i++)
    if (i != id)
      cluster_cut (c, id, i);
}

void
cluster_heal (struct cluster *c)
{
  memset (c->cut, 0, sizeof c->cut);
}

void
cluster_campaign (struct cluster *c, uint64_t id)
{
  assert_int_equal (raft_campaign (c->nodes[id].raft, NULL), 0);
  cluster_settle (c);
}

int
cluster_propose (struct cluster *c, uint64_t id, const char *text)
{
  int rc = raft_propose (c->nodes[id].raft, text, strlen (text), NULL);
  cluster_drain (c, id);
  return rc;
}

int
cluster_change (struct cluster *c, uint64_t id, const struct raft_conf_change *cc)
{
  int rc = raft_propose_conf_change (c->nodes[id].raft, cc, NULL);
  cluster_drain (c, id);
  return rc;
}

uint64_t
cluster_read (struct cluster *c, uint64_t id)
{
  uint64_t ctx = c->next_ctx++;
  c->asked = grow (c->asked, &c->asked_cap, c->asked_count, sizeof *c->asked);
  if (c->asked_count == 256) /* the oldest will not be answered any more, or unchecked */
    memmove (c->asked, c->asked + 1, --c->asked_count * sizeof *c->asked);
  c->asked[c->asked_count].ctx = ctx;
  c->asked[c->asked_count++].at_least = c->max_committed;
  if (raft_read_index (c->nodes[id].raft, ctx, NULL))
    return 0;
  cluster_drain (c, id);
  return ctx;
}

bool
cluster_read_done (struct cluster *c, uint64_t id, uint64_t ctx, uint64_t *ret_index)
{
  const struct cluster_node *n = &c->nodes[id];
  for (size_t i = 0; i < n->read_count; i++)
    if (n->reads[i].ctx == ctx) {
      if (ret_index)
        *ret_index = n->reads[i].index;
      return true;
    }
  return false;
}

uint64_t
cluster_leader (struct cluster *c)
{
  uint64_t best = 0, term = 0;
  for (uint32_t id = 1; id <= c->node_count; id++) {
    const struct raft *r = c->nodes[id].raft;
    if (r && r->role == RAFT_LEADER && r->term > term) {
      best = id;
      term = r->term;
    }
  }
  return best;
}

struct raft_status *
cluster_status (struct cluster *c, uint64_t id)
{
  static struct raft_status s;
  raft_status (c->nodes[id].raft, &s);
  return &s;
}

uint64_t
cluster_term_at (struct cluster *c, uint64_t id, uint64_t index)
{
  struct raft_storage s = mem_log_storage (&c->nodes[id].log);
  uint64_t term = 0;
  return s.term (s.ctx, index, &term, NULL) ? 0 : term;
}

void
cluster_snapshot (struct cluster *c, uint64_t id, uint64_t keep)
{
  struct cluster_node *n = &c->nodes[id];
  if (n->applied <= n->log.base_index)
    return;
  n->durable_applied = n->applied;
  n->log.conf = n->applied_conf;
  assert_int_equal (mem_log_make_snapshot (&n->log, n->applied, &n->applied_conf), 0);
  if (n->applied > keep && n->applied - keep > n->log.base_index)
    assert_int_equal (mem_log_compact (&n->log, n->applied - keep), 0);
}
