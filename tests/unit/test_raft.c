/* Transcripts of small clusters, after etcd-io/raft's. */
#include "base/mem.h"
#include "storage/raft/raft_conf.h"
#include "tests/lib/raft_cluster.h"
#include "tests/lib/test.h"

static const struct raft_config defaults = RAFT_CONFIG_DEFAULT;

static void
test_campaign__three_members_elect_and_replicate (void **state)
{
  struct cluster *c = cluster_new (1, &defaults, 3, 3);
  (void) state;
  cluster_campaign (c, 1);
  assert_int_equal (cluster_leader (c), 1);
  assert_int_equal (cluster_propose (c, 2, "forwarded"), 0);
  cluster_settle (c);
  for (uint64_t id = 1; id <= 3; id++)
    assert_int_equal (c->nodes[id].normal_applied, 1);
  cluster_free (c);
}

static void
test_new__sole_voter_leads_at_once_and_reads (void **state)
{
  struct cluster *c = cluster_new (2, &defaults, 1, 1);
  uint64_t ctx, index = 0;
  (void) state;
  cluster_settle (c);
  assert_int_equal (cluster_leader (c), 1);
  assert_int_equal (cluster_propose (c, 1, "x"), 0);
  assert_int_equal (c->nodes[1].normal_applied, 1);
  ctx = cluster_read (c, 1);
  assert_true (cluster_read_done (c, 1, ctx, &index));
  assert_int_equal (index, 3);
  cluster_free (c);
}

/* The libraft fault: voting for another and restarting must not end in leading that same term. */
static void
test_vote__sole_voter_restarted_does_not_lead_the_same_term (void **state)
{
  struct raft_config config = defaults;
  struct raft_msg vote = {.type = RAFT_MSG_VOTE, .from = 2, .to = 1, .term = 5, .index = 9, .log_term = 4};
  struct cluster *c;
  (void) state;
  config.campaign_if_sole_voter = false;
  c = cluster_new (3, &config, 2, 1);
  assert_int_equal (raft_step (c->nodes[1].raft, &vote, NULL), 0);
  cluster_settle (c);
  assert_int_equal (c->nodes[1].log.hard_state.vote, 2);
  cluster_crash (c, 1, 0);
  c->config.campaign_if_sole_voter = true;
  cluster_start (c, 1);
  cluster_settle (c);
  assert_int_equal (cluster_leader (c), 1);
  assert_int_equal (cluster_status (c, 1)->hard_state.term, 6);
  cluster_free (c);
}

/* Raft, figure 8: an entry of an old term on a majority is not committed by counting. */
static void
test_commit__old_term_entry_on_majority_waits_for_own_term (void **state)
{
  struct raft_conf conf = {.voters = {.n = 3, .v = {1, 2, 3}}};
  struct raft_config config = defaults;
  struct mem_log log;
  struct raft_storage storage;
  struct raft *r;
  struct raft_ready rd;
  struct raft_status s;
  struct raft_entry old = {.index = 1, .term = 2};
  struct raft_msg m = {.type = RAFT_MSG_VOTE_RESP, .from = 2, .to = 1, .term = 5};
  (void) state;
  config.id = 1;
  config.pre_vote = false;
  mem_log_init (&log, &conf);
  assert_int_equal (mem_log_append (&log, &old, 1), 0);
  log.hard_state = (struct raft_hard_state){.term = 4};
  storage = mem_log_storage (&log);
  assert_non_null (r = raft_new (&config, &storage, NULL));
  assert_int_equal (raft_campaign (r, NULL), 0);
  assert_int_equal (raft_step (r, &m, NULL), 0);
  while (raft_has_ready (r)) {
    assert_int_equal (raft_ready (r, &rd, NULL), 0);
    assert_int_equal (mem_log_append (&log, rd.entries.v, rd.entries.n), 0);
    assert_int_equal (raft_advance (r, &rd, NULL), 0);
    raft_ready_done (&rd);
  }
  m = (struct raft_msg){.type = RAFT_MSG_APP_RESP, .from = 2, .to = 1, .term = 5, .index = 1};
  assert_int_equal (raft_step (r, &m, NULL), 0);
  raft_status (r, &s);
  assert_int_equal (s.role, RAFT_LEADER);
  assert_int_equal (s.hard_state.commit, 0);
  m.index = 2;
  assert_int_equal (raft_step (r, &m, NULL), 0);
  raft_status (r, &s);
  assert_int_equal (s.hard_state.commit, 2);
  raft_free (r);
  mem_log_done (&log);
}

static void
test_propose_batch__command_and_change_applied_at_their_indexes (void **state)
{
  struct cluster *c = cluster_new (4, &defaults, 4, 3);
  struct raft_conf_change cc = {.n = 1, .changes = {{RAFT_ADD_LEARNER, 4}}};
  struct raft_entry batch[2] = {{.type = RAFT_ENTRY_NORMAL}, {.type = RAFT_ENTRY_CONF}};
  (void) state;
  cluster_campaign (c, 1);
  batch[0].data = raft_blob_new ("x", 1);
  assert_int_equal (raft_conf_change_encode (&cc, &batch[1].data, NULL), 0);
  assert_int_equal (raft_propose_batch (c->nodes[1].raft, batch, 2, NULL), 0);
  assert_int_equal (raft_propose_conf_change (c->nodes[1].raft, &cc, NULL), ERR_CONFLICT);
  cluster_settle (c);
  cluster_snapshot (c, 1, 0);
  cluster_tick_all (c, 4);
  assert_int_equal (c->nodes[4].applied, 4);
  for (uint64_t id = 1; id <= 3; id++) {
    assert_int_equal (c->nodes[id].applied, 4);
    assert_true (raft_ids_has (&c->nodes[id].applied_conf.learners, 4));
    if (id > 1)
      assert_int_equal (c->nodes[id].log.entries.v[2].type, RAFT_ENTRY_CONF);
  }
  raft_blob_unref (batch[0].data);
  raft_blob_unref (batch[1].data);
  cluster_free (c);
}

static void
test_conf_change__several_go_joint_and_leave_by_themselves (void **state)
{
  struct cluster *c = cluster_new (5, &defaults, 5, 3);
  struct raft_conf_change cc = {.n = 3, .changes = {{RAFT_ADD_VOTER, 4}, {RAFT_ADD_VOTER, 5}, {RAFT_REMOVE, 3}}};
  (void) state;
  cluster_campaign (c, 1);
  assert_int_equal (cluster_change (c, 1, &cc), 0);
  cluster_settle (c);
  cluster_snapshot (c, 1, 0);
  cluster_tick_all (c, 4);
  cluster_snapshot (c, 1, 0);
  cluster_tick_all (c, 4);
  assert_int_equal (c->nodes[1].applied_conf.outgoing.n, 0);
  assert_int_equal (c->nodes[5].applied_conf.voters.n, 4);
  assert_int_equal (c->nodes[5].applied_conf.outgoing.n, 0);
  assert_false (raft_ids_has (&c->nodes[1].applied_conf.voters, 3));
  cluster_free (c);
}

static void
test_pre_vote__isolated_member_does_not_disturb (void **state)
{
  struct cluster *c = cluster_new (6, &defaults, 3, 3);
  (void) state;
  cluster_campaign (c, 1);
  cluster_isolate (c, 3);
  cluster_tick_all (c, 100);
  assert_int_equal (cluster_status (c, 3)->hard_state.term, 2);
  cluster_heal (c);
  cluster_tick_all (c, 30);
  assert_int_equal (cluster_leader (c), 1);
  assert_int_equal (cluster_status (c, 1)->hard_state.term, 2);
  cluster_free (c);
}

static void
test_check_quorum__leader_alone_steps_down (void **state)
{
  struct cluster *c = cluster_new (7, &defaults, 3, 3);
  (void) state;
  cluster_campaign (c, 1);
  cluster_isolate (c, 1);
  cluster_tick (c, 1, 25);
  assert_int_equal (cluster_status (c, 1)->role == RAFT_LEADER, 0);
  cluster_free (c);
}

static void
test_read_index__isolated_leader_does_not_answer (void **state)
{
  struct cluster *c = cluster_new (8, &defaults, 3, 3);
  uint64_t ctx;
  (void) state;
  cluster_campaign (c, 1);
  ctx = cluster_read (c, 2);
  cluster_settle (c);
  assert_true (cluster_read_done (c, 2, ctx, NULL));
  cluster_isolate (c, 1);
  ctx = cluster_read (c, 1);
  cluster_settle (c);
  assert_false (cluster_read_done (c, 1, ctx, NULL));
  cluster_free (c);
}

static void
test_transfer_leader__voter_takes_over (void **state)
{
  struct cluster *c = cluster_new (9, &defaults, 3, 3);
  (void) state;
  cluster_campaign (c, 1);
  assert_int_equal (raft_transfer_leader (c->nodes[1].raft, 2, NULL), 0);
  cluster_settle (c);
  assert_int_equal (cluster_leader (c), 2);
  cluster_free (c);
}

static void
test_inflight__full_window_stops_appends (void **state)
{
  struct raft_config config = defaults;
  struct cluster *c;
  (void) state;
  config.max_inflight_messages = 3;
  c = cluster_new (10, &config, 3, 3);
  cluster_campaign (c, 1);
  cluster_isolate (c, 3);
  for (int i = 0; i < 10; i++)
    assert_int_equal (cluster_propose (c, 1, "x"), 0);
  cluster_settle (c);
  assert_int_equal (cluster_status (c, 1)->peers[2].inflight_messages, 3);
  assert_true (cluster_status (c, 1)->peers[2].paused);
  cluster_heal (c);
  cluster_tick_all (c, 5);
  assert_int_equal (c->nodes[3].normal_applied, 10);
  cluster_free (c);
}

static void
test_snapshot__follower_far_behind_catches_up (void **state)
{
  struct cluster *c = cluster_new (11, &defaults, 3, 3);
  (void) state;
  cluster_campaign (c, 1);
  cluster_isolate (c, 3);
  for (int i = 0; i < 10; i++)
    assert_int_equal (cluster_propose (c, 1, "x"), 0);
  cluster_settle (c);
  cluster_snapshot (c, 1, 0);
  cluster_heal (c);
  cluster_tick_all (c, 5);
  assert_int_equal (c->nodes[3].applied, c->nodes[1].applied);
  assert_int_equal (c->nodes[3].log.base_index, 12);
  cluster_free (c);
}

static void
test_msg_decode__cut_short_at_every_byte_is_refused (void **state)
{
  struct raft_snapshot snapshot = {.index = 3, .term = 2, .conf = {.voters = {.n = 2, .v = {1, 2}}}};
  struct raft_entry e = {.index = 300, .term = 2, .data = raft_blob_new ("abc", 3)};
  struct raft_msg m = {.type = RAFT_MSG_APP, .to = 1, .from = 2, .term = 70000, .snapshot = &snapshot}, back;
  struct buf b AUTO_BUF = BUF_INIT;
  (void) state;
  assert_int_equal (raft_entries_push (&m.entries, &e), 0);
  assert_int_equal (raft_msg_encode (&m, &b, NULL), 0);
  for (size_t n = 0; n < b.len; n++)
    assert_int_not_equal (raft_msg_decode (b.data, n, &back, NULL), 0);
  assert_int_equal (raft_msg_decode (b.data, b.len, &back, NULL), 0);
  assert_int_equal (back.term, 70000);
  assert_memory_equal (back.entries.v[0].data->bytes, "abc", 3);
  assert_true (raft_conf_equal (&back.snapshot->conf, &snapshot.conf));
  raft_msg_done (&back);
  raft_entries_done (&m.entries);
  raft_blob_unref (e.data);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_campaign__three_members_elect_and_replicate),
    cmocka_unit_test (test_new__sole_voter_leads_at_once_and_reads),
    cmocka_unit_test (test_vote__sole_voter_restarted_does_not_lead_the_same_term),
    cmocka_unit_test (test_commit__old_term_entry_on_majority_waits_for_own_term),
    cmocka_unit_test (test_propose_batch__command_and_change_applied_at_their_indexes),
    cmocka_unit_test (test_conf_change__several_go_joint_and_leave_by_themselves),
    cmocka_unit_test (test_pre_vote__isolated_member_does_not_disturb),
    cmocka_unit_test (test_check_quorum__leader_alone_steps_down),
    cmocka_unit_test (test_read_index__isolated_leader_does_not_answer),
    cmocka_unit_test (test_transfer_leader__voter_takes_over),
    cmocka_unit_test (test_inflight__full_window_stops_appends),
    cmocka_unit_test (test_snapshot__follower_far_behind_catches_up),
    cmocka_unit_test (test_msg_decode__cut_short_at_every_byte_is_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
