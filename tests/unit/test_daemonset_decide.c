#include "tests/lib/actions.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/controller/daemonset_decide.h"
#include "services/controller/meta.h"

/* A daemon set in the small: pods are made and deleted at once and are ready when the test says so. */
static struct arena arena;
static struct value *ds, *pods, *nodes, *revisions;
static wall_t now;

static void
decide (void)
{
  struct actions as;
  actions_init (&as, &arena);
  struct daemonset_input in = { .ds = value_clone (&arena, ds), .pods = value_clone (&arena, pods), .nodes = nodes,
                                .revisions = value_clone (&arena, revisions), .now = now, .salt = (uint64_t) now.us, .burst = 250 };
  daemonset_decide (&in, &as);
  for (size_t i = 0; i < as.count; i++)
    {
      const struct api_request *rq = &as.items[i].request;
      struct value *list = strcmp (rq->resource, "pods") == 0 ? pods : strcmp (rq->resource, "controllerrevisions") == 0 ? revisions : NULL;
      if (as.items[i].event)
        continue;
      if (strcmp (rq->verb, "create") == 0)
        {
          struct value *o = value_clone (&arena, rq->body);
          value_set_path (&arena, o, "metadata.uid", value_string (&arena, meta_name (o)));
          value_append (&arena, list, o);
        }
      else if (strcmp (rq->verb, "delete") == 0)
        {
          for (size_t k = 0; k < value_count (list); k++)
            if (strcmp (meta_name (value_at (list, k)), rq->name) == 0)
              value_remove_at (list, k);
        }
      else if (strcmp (rq->resource, "daemonsets") == 0)
        value_set (&arena, ds, "status", value_clone (&arena, value_get (rq->body, "status")));
    }
  now.us += 1000000;
}

static void
all_ready (void)
{
  for (value_items (pods, it))
    value_set (&arena, *it, "status",
               object_parse (&arena, "{'phase':'Running','conditions':[{'type':'Ready','status':'True','lastTransitionTime':'2026-01-01T00:00:00Z'}]}"));
}

static int
setup (void **state)
{
  (void) state;
  arena_init (&arena, 0);
  now = (wall_t) { 1767323045000000 };
  pods = value_array (&arena);
  revisions = value_array (&arena);
  nodes = object_parse (&arena, "[{'metadata':{'name':'n1','labels':{'disk':'ssd'}}},{'metadata':{'name':'n2'}},{'metadata':{'name':'n3'}},"
                                "{'metadata':{'name':'n4'},'spec':{'taints':[{'key':'k','effect':'NoSchedule'}]}},"
                                "{'metadata':{'name':'n5'},'spec':{'unschedulable':true,'taints':[{'key':'node.kubernetes.io/unschedulable','effect':'NoSchedule'}]}}]");
  ds = object_parse (&arena, "{'metadata':{'name':'agent','namespace':'d','uid':'D','generation':1},'spec':{'selector':{'matchLabels':{'a':'x'}},"
                             "'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':1,'maxSurge':0}},"
                             "'template':{'metadata':{'labels':{'a':'x'}},'spec':{'containers':[{'name':'a','image':'i:1'}]}}}}");
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
test_daemonset_decide__one_pod_on_each_fit_node (void **state)
{
  (void) state;
  decide ();
  decide ();
  assert_int_equal (value_count (pods), 4); /* the tainted one is left out, the cordoned one is not */
  assert_int_equal (value_count (revisions), 1);
  all_ready ();
  decide ();
  assert_int_equal (value_path_int (ds, "status.desiredNumberScheduled", 0), 4);
  assert_int_equal (value_path_int (ds, "status.numberAvailable", 0), 4);
  assert_int_equal (value_path_int (ds, "status.updatedNumberScheduled", 0), 4);
  assert_int_equal (value_path_int (ds, "status.numberMisscheduled", -1), 0);
}

static void
test_daemonset_decide__node_selector_limits (void **state)
{
  (void) state;
  value_set_path (&arena, ds, "spec.template.spec.nodeSelector", object_parse (&arena, "{'disk':'ssd'}"));
  decide ();
  assert_int_equal (value_count (pods), 1);
}

static size_t
images (const char *image)
{
  size_t n = 0;
  for (value_items (pods, it))
    n += strcmp (value_path_string (*it, "spec.containers.0.image", ""), image) == 0;
  return n;
}

static void
roll (size_t least, size_t most)
{
  for (int i = 0; i < 60; i++)
    {
      decide ();
      assert_in_range (value_count (pods), least, most);
      if (i % 2)
        all_ready ();
    }
}

static void
test_daemonset_decide__rolls_one_at_a_time (void **state)
{
  (void) state;
  decide ();
  all_ready ();
  value_set_string (&arena, value_path (ds, "spec.template.spec.containers.0"), "image", "i:2");
  roll (3, 4);
  assert_int_equal (images ("i:2"), 4);
  assert_int_equal (value_count (revisions), 2);
}

static void
test_daemonset_decide__surge_adds_before_it_removes (void **state)
{
  (void) state;
  value_set_path (&arena, ds, "spec.updateStrategy.rollingUpdate", object_parse (&arena, "{'maxUnavailable':0,'maxSurge':1}"));
  decide ();
  all_ready ();
  value_set_string (&arena, value_path (ds, "spec.template.spec.containers.0"), "image", "i:2");
  roll (4, 5);
  assert_int_equal (images ("i:2"), 4);
  assert_int_equal (value_count (pods), 4);
}

int
main (void)
{
#define T(f) cmocka_unit_test_setup_teardown (f, setup, teardown)
  const struct CMUnitTest tests[] = {
    T (test_daemonset_decide__one_pod_on_each_fit_node),
    T (test_daemonset_decide__node_selector_limits),
    T (test_daemonset_decide__rolls_one_at_a_time),
    T (test_daemonset_decide__surge_adds_before_it_removes),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
