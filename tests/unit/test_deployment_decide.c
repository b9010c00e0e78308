#include "tests/lib/actions.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/controller/deployment_decide.h"
#include "services/controller/meta.h"

/* A rollout in the small: the deployment and its sets live in trees, the decider's actions are applied to them, and each set
   "runs" by bringing its status one pod nearer to its spec a step. What upstream promises is checked at every step. */
static struct arena arena;
static struct value *deployment, *sets;
static wall_t now;
static const char *events; /* all of them */

static void
merge (struct value *to, const struct value *patch)
{
  for (value_each (patch, m))
    if (value_is_null (m->value))
      value_unset (to, m->key);
    else if (value_is (m->value, VALUE_MAP))
      merge (value_ensure_map (&arena, to, m->key), m->value);
    else
      value_set (&arena, to, m->key, value_clone (&arena, m->value));
}

static struct value *
find (const char *resource, const char *name)
{
  if (strcmp (resource, "deployments") == 0)
    return deployment;
  for (value_items (sets, it))
    if (strcmp (meta_name (*it), name) == 0)
      return *it;
  return NULL;
}

static size_t
decide (void)
{
  struct actions as;
  actions_init (&as, &arena);
  struct deployment_input in = { .deployment = value_clone (&arena, deployment), .sets = value_clone (&arena, sets), .now = now };
  deployment_decide (&in, &as);
  for (size_t i = 0; i < as.count; i++)
    {
      const struct api_request *rq = &as.items[i].request;
      if (as.items[i].event)
        events = arena_printf (&arena, "%s%s\n", events, value_path_string (rq->body, "message", ""));
      else if (strcmp (rq->verb, "create") == 0)
        {
          struct value *rs = value_clone (&arena, rq->body);
          value_set_path (&arena, rs, "metadata.uid", value_string (&arena, meta_name (rs)));
          value_set_path (&arena, rs, "metadata.creationTimestamp", value_string (&arena, meta_time_text (&arena, now)));
          value_append (&arena, sets, rs);
        }
      else if (strcmp (rq->verb, "patch") == 0)
        merge (find (rq->resource, rq->name), rq->body);
      else if (strcmp (rq->verb, "delete") == 0)
        {
          for (size_t k = 0; k < value_count (sets); k++)
            if (strcmp (meta_name (value_at (sets, k)), rq->name) == 0)
              value_remove_at (sets, k);
        }
      else
        fail_msg ("unexpected %s %s", rq->verb, rq->resource);
    }
  return as.count;
}

static void
run_sets (void)
{
  for (value_items (sets, it))
    {
      int64_t want = value_path_int (*it, "spec.replicas", 0), have = value_path_int (*it, "status.replicas", 0),
              ready = value_path_int (*it, "status.availableReplicas", 0);
      if (ready < have)
        ready++;
      else if (have < want)
        have++;
      if (have > want)
        have = want;
      if (ready > have)
        ready = have;
      value_set_path (&arena, *it, "status.replicas", value_int (&arena, have));
      value_set_path (&arena, *it, "status.readyReplicas", value_int (&arena, ready));
      value_set_path (&arena, *it, "status.availableReplicas", value_int (&arena, ready));
    }
}

static int64_t
total (const char *path)
{
  int64_t n = 0;
  for (value_items (sets, it))
    n += value_path_int (*it, path, 0);
  return n;
}

/* Until nothing changes any more; the bounds hold all the way. */
static void
settle (int64_t most, int64_t least_available)
{
  bool up = total ("status.availableReplicas") >= least_available;
  for (int step = 0; step < 200; step++)
    {
      now.us += 1000000;
      size_t n = decide ();
      assert_true (total ("spec.replicas") <= most);
      struct value *before = value_clone (&arena, sets);
      run_sets ();
      if (up)
        assert_true (total ("status.availableReplicas") >= least_available);
      up |= total ("status.availableReplicas") >= least_available;
      if (!n && value_equal (before, sets))
        return;
    }
  fail_msg ("does not settle: %s", object_text (&arena, deployment));
}

static int
setup (void **state)
{
  (void) state;
  arena_init (&arena, 0);
  now = (wall_t) { 1767323045000000 };
  events = "";
  sets = value_array (&arena);
  deployment = object_parse (&arena,
                             "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','namespace':'d','uid':'D','generation':1},"
                             "'spec':{'replicas':4,'progressDeadlineSeconds':600,'revisionHistoryLimit':1,'selector':{'matchLabels':{'app':'x'}},"
                             "'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':'25%','maxUnavailable':'25%'}},"
                             "'template':{'metadata':{'labels':{'app':'x'}},'spec':{'containers':[{'name':'a','image':'i:1'}]}}}}");
  return 0;
}

static int
teardown (void **state)
{
  (void) state;
  arena_done (&arena);
  return 0;
}

static void
set_image (const char *image)
{
  value_set_string (&arena, value_path (deployment, "spec.template.spec.containers.0"), "image", image);
  value_set_path (&arena, deployment, "metadata.generation",
                  value_int (&arena, value_path_int (deployment, "metadata.generation", 0) + 1));
}

static const char *
reason (const char *type)
{
  return value_path_string (meta_condition (deployment, type), "reason", "");
}

static void
test_deployment_decide__new_becomes_available (void **state)
{
  (void) state;
  settle (4, 0);
  assert_int_equal (value_count (sets), 1);
  assert_string_equal (reason ("Progressing"), "NewReplicaSetAvailable");
  assert_string_equal (reason ("Available"), "MinimumReplicasAvailable");
  assert_string_equal (meta_annotation (deployment, "deployment.kubernetes.io/revision"), "1");
  assert_int_equal (value_path_int (deployment, "status.updatedReplicas", 0), 4);
  assert_int_equal (value_path_int (deployment, "status.unavailableReplicas", 0), 0);
  assert_non_null (strstr (events, arena_printf (&arena, "Scaled up replica set %s from 0 to 4\n", meta_name (value_at (sets, 0)))));
}

static void
test_deployment_decide__rolling_update_stays_in_bounds (void **state)
{
  (void) state;
  settle (4, 0);
  set_image ("i:2");
  settle (5, 3);
  assert_int_equal (value_count (sets), 2);
  assert_int_equal (value_path_int (value_at (sets, 0), "spec.replicas", -1), 0);
  assert_int_equal (value_path_int (value_at (sets, 1), "spec.replicas", -1), 4);
  assert_string_equal (meta_annotation (deployment, "deployment.kubernetes.io/revision"), "2");
  set_image ("i:3");
  settle (5, 3);
  assert_int_equal (value_count (sets), 2); /* the history's limit: one old set */
}

static void
test_deployment_decide__undo_reuses_the_old_set (void **state)
{
  (void) state;
  settle (4, 0);
  const char *first = meta_name (value_at (sets, 0));
  set_image ("i:2");
  settle (5, 3);
  set_image ("i:1");
  settle (5, 3);
  assert_int_equal (value_count (sets), 2);
  assert_string_equal (meta_name (value_at (sets, 0)), first);
  assert_int_equal (value_path_int (value_at (sets, 0), "spec.replicas", -1), 4);
  assert_string_equal (meta_annotation (value_at (sets, 0), "deployment.kubernetes.io/revision"), "3");
  assert_string_equal (meta_annotation (value_at (sets, 0), "deployment.kubernetes.io/revision-history"), "1");
}

static void
test_deployment_decide__scaled_changes_the_one_set (void **state)
{
  (void) state;
  settle (4, 0);
  value_set_path (&arena, deployment, "spec.replicas", value_int (&arena, 7));
  settle (7, 4);
  assert_int_equal (total ("spec.replicas"), 7);
  value_set_path (&arena, deployment, "spec.replicas", value_int (&arena, 0));
  settle (7, 0);
  assert_int_equal (total ("spec.replicas"), 0);
}

static void
test_deployment_decide__paused_makes_no_new_set (void **state)
{
  (void) state;
  settle (4, 0);
  value_set_path (&arena, deployment, "spec.paused", value_bool (&arena, true));
  set_image ("i:2");
  settle (4, 4);
  assert_int_equal (value_count (sets), 1);
  assert_string_equal (reason ("Progressing"), "DeploymentPaused");
  value_set_path (&arena, deployment, "spec.paused", value_bool (&arena, false));
  settle (5, 3);
  assert_int_equal (value_count (sets), 2);
  assert_string_equal (reason ("Progressing"), "NewReplicaSetAvailable");
}

static void
test_deployment_decide__recreate_empties_first (void **state)
{
  (void) state;
  value_set_path (&arena, deployment, "spec.strategy", object_parse (&arena, "{'type':'Recreate'}"));
  settle (4, 0);
  set_image ("i:2");
  settle (4, 0);
  assert_int_equal (value_count (sets), 2);
  assert_int_equal (value_path_int (value_at (sets, 1), "spec.replicas", -1), 4);
}

static void
test_deployment_decide__stuck_exceeds_the_deadline (void **state)
{
  (void) state;
  decide ();
  for (int i = 0; i < 3; i++)
    decide ();
  now.us += 601ll * 1000000;
  decide ();
  assert_string_equal (reason ("Progressing"), "ProgressDeadlineExceeded");
}

int
main (void)
{
#define T(f) cmocka_unit_test_setup_teardown (f, setup, teardown)
  const struct CMUnitTest tests[] = {
    T (test_deployment_decide__new_becomes_available),
    T (test_deployment_decide__rolling_update_stays_in_bounds),
    T (test_deployment_decide__undo_reuses_the_old_set),
    T (test_deployment_decide__scaled_changes_the_one_set),
    T (test_deployment_decide__paused_makes_no_new_set),
    T (test_deployment_decide__recreate_empties_first),
    T (test_deployment_decide__stuck_exceeds_the_deadline),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
