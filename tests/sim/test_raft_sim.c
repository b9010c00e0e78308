/* Whole clusters under random faults. SEED=n replays one; SEEDS and STEPS lengthen. */
#include <inttypes.h>

#include "base/mem.h"
#include "tests/lib/raft_cluster.h"
#include "tests/lib/test.h"

static uint64_t
env_number (const char *name, uint64_t otherwise)
{
  const char *text = getenv (name);
  return text && *text ? strtoull (text, NULL, 10) : otherwise;
}

static void
sim_change (struct cluster *c, uint64_t id)
{
  struct raft_conf_change cc = {.n = 1 + (uint32_t) cluster_random (c, 2)};
  if (cluster_random (c, 3) == 0)
    cc.n = 0;
  else if (cluster_random (c, 4) == 0)
    cc.transition = RAFT_TRANSITION_JOINT_EXPLICIT;
  for (uint32_t i = 0; i < cc.n; i++) {
    cc.changes[i].type = (enum raft_change_type) cluster_random (c, 3);
    cc.changes[i].id = 1 + cluster_random (c, c->node_count);
  }
  (void) cluster_change (c, id, &cc);
}

static void
sim_step (struct cluster *c, bool members)
{
  uint64_t id = 1 + cluster_random (c, c->node_count), what = cluster_random (c, 1000);
  struct cluster_node *n = &c->nodes[id];
  c->steps++;
  if (!n->raft) {
    if (what < 50)
      cluster_start (c, id);
    return;
  }
  if (what < 120)
    assert_int_equal (raft_tick (n->raft, NULL), 0);
  else if (what < 200) {
    char text[32];
    (void) snprintf (text, sizeof text, "%" PRIu64, c->steps);
    (void) raft_propose (n->raft, text, strlen (text), NULL);
  } else if (what < 230)
    (void) cluster_read (c, id);
  else if (what < 233)
    cluster_crash (c, id, cluster_random (c, n->save_count + 1));
  else if (what < 235)
    cluster_isolate (c, id);
  else if (what < 237)
    cluster_cut (c, id, 1 + cluster_random (c, c->node_count));
  else if (what < 245)
    cluster_heal (c);
  else if (what < 250)
    cluster_snapshot (c, id, cluster_random (c, 10));
  else if (what < 252)
    (void) raft_transfer_leader (n->raft, 1 + cluster_random (c, c->node_count), NULL);
  else if (what < 256 && members)
    sim_change (c, id);
  else if (what < 260) {
    uint64_t to = 1 + cluster_random (c, c->node_count);
    (void) raft_report_snapshot (n->raft, to, cluster_random (c, 2), NULL);
    (void) raft_report_unreachable (n->raft, to, NULL);
  } else if (what < 500)
    cluster_save (c, id, 1 + cluster_random (c, 3));
  else if (what < 700)
    cluster_drain (c, id);
  else if (c->net_count) {
    /* Mostly near the front, so that there is order as well as disorder. */
    size_t at = cluster_random (c, cluster_random (c, 4) ? (c->net_count < 4 ? c->net_count : 4) : c->net_count);
    if (c->net_count > 2000 || cluster_random (c, 100) < 5) {
      buf_done (&c->net[at].bytes);
      memmove (&c->net[at], &c->net[at + 1], (--c->net_count - at) * sizeof *c->net);
    } else {
      if (cluster_random (c, 100) < 5 && c->net_count < c->net_cap) {
        struct cluster_packet *p = &c->net[c->net_count++];
        *p = c->net[at];
        p->bytes = (struct buf) BUF_INIT;
        buf_append (&p->bytes, c->net[at].bytes.data, c->net[at].bytes.len);
      }
      (void) cluster_deliver (c, at);
    }
  }
}

/* Everybody back, everything connected: the cluster must make progress again. */
static void
sim_recover (struct cluster *c)
{
  uint64_t before = c->max_committed;
  cluster_heal (c);
  for (uint32_t id = 1; id <= c->node_count; id++) {
    c->nodes[id].hold_saves = false;
    if (!c->nodes[id].raft)
      cluster_start (c, id);
    cluster_save (c, id, SIZE_MAX);
  }
  for (int round = 0; round < 400 && c->max_committed < before + 3; round++) {
    uint64_t leader = cluster_leader (c);
    cluster_tick_all (c, 1);
    if (leader && c->nodes[leader].raft) {
      (void) cluster_propose (c, leader, "recovered");
      for (uint32_t id = 1; id <= c->node_count; id++) {
        cluster_snapshot (c, leader, 5);
        (void) raft_report_snapshot (c->nodes[leader].raft, id, true, NULL);
      }
      cluster_settle (c);
    }
  }
  if (c->max_committed < before + 3) {
    print_error ("SEED=%" PRIu64 ": no progress after recovery\n", c->seed);
    fail ();
  }
}

static void
sim_run (uint64_t seed, uint64_t steps)
{
  static const uint32_t sizes[] = {1, 3, 5};
  struct raft_config config = RAFT_CONFIG_DEFAULT;
  uint32_t voters = sizes[seed % 3];
  bool members = seed % 2;
  struct cluster *c;
  config.pre_vote = seed % 5 != 0;
  config.check_quorum = seed % 7 != 0;
  config.max_message_bytes = 200;
  config.max_inflight_bytes = 400;
  config.max_inflight_messages = 4;
  config.max_committed_bytes = 300;
  c = cluster_new (seed, &config, members ? CLUSTER_MAX_NODES : voters, voters);
  for (uint32_t id = 1; id <= c->node_count; id++)
    c->nodes[id].hold_saves = true;
  for (uint64_t i = 0; i < steps; i++)
    sim_step (c, members);
  sim_recover (c);
  cluster_free (c);
}

static void
test_sim__random_faults_keep_invariants (void **state)
{
  uint64_t one = env_number ("SEED", 0), seeds = env_number ("SEEDS", 40), steps = env_number ("STEPS", 20000);
  (void) state;
  for (uint64_t seed = one ? one : 1; seed <= (one ? one : seeds); seed++)
    sim_run (seed, steps);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test (test_sim__random_faults_keep_invariants)};
  return cmocka_run_group_tests (tests, NULL, NULL);
}
