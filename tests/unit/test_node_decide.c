#include "tests/lib/actions.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/controller/node_decide.h"

#define NODE(status, since, taints) "{'metadata':{'name':'n','uid':'N'},'spec':{" taints "},'status':{'conditions':[{'type':'Ready','status':'" status "','lastTransitionTime':'" since "'},{'type':'MemoryPressure','status':'Unknown'},{'type':'DiskPressure','status':'Unknown'},{'type':'PIDPressure','status':'Unknown'}]}}"
#define LEASE(t) "{'spec':{'renewTime':'" t "'}}"
#define TAINTS(added) "'taints':[{'key':'node.kubernetes.io/unreachable','effect':'NoSchedule'},{'key':'node.kubernetes.io/unreachable','effect':'NoExecute','timeAdded':'" added "'}]"
#define POD(name, tolerations) "{'metadata':{'name':'" name "','namespace':'d','uid':'" name "'},'spec':{'tolerations':" tolerations "}}"
#define FIVE_MINUTES "[{'key':'node.kubernetes.io/unreachable','operator':'Exists','effect':'NoExecute','tolerationSeconds':300}]"

/* now is 2026-01-01T01:00:00Z, grace 40 s. */
static const struct {
  const char *title, *node, *lease, *pods, *want;
  int64_t requeue_ms; /* -1: any */
} rows[] = {
  { "heard in time", NODE ("True", "2026-01-01T00:00:00Z", ""), LEASE ("2026-01-01T00:59:50Z"), "[]", "", 30001 },
  { "not heard", NODE ("True", "2026-01-01T00:00:00Z", ""), LEASE ("2026-01-01T00:59:20Z"), "[]",
    "update nodes/status /n\nevent Normal NodeNotReady: Node n status is now: NodeNotReady\n", 0 },
  { "unknown is tainted", NODE ("Unknown", "2026-01-01T00:59:59Z", ""), LEASE ("2026-01-01T00:59:00Z"), "[]", "patch nodes /n\n", 0 },
  { "ready again is cleared", NODE ("True", "2026-01-01T00:59:59Z", TAINTS ("2026-01-01T00:58:00Z")), LEASE ("2026-01-01T00:59:50Z"), "[]",
    "patch nodes /n\n", -1 },
  { "tolerating pod stays for its time", NODE ("Unknown", "2026-01-01T00:00:00Z", TAINTS ("2026-01-01T00:56:00Z")), LEASE ("2026-01-01T00:50:00Z"),
    "[" POD ("p", FIVE_MINUTES) "]", "", 60000 },
  { "and goes after it", NODE ("Unknown", "2026-01-01T00:00:00Z", TAINTS ("2026-01-01T00:55:00Z")), LEASE ("2026-01-01T00:50:00Z"),
    "[" POD ("p", FIVE_MINUTES) "]", "event Normal TaintManagerEviction: Marking for deletion Pod d/p\ndelete pods d/p\n", 0 },
  { "always tolerating pod stays", NODE ("Unknown", "2026-01-01T00:00:00Z", TAINTS ("2026-01-01T00:00:00Z")), LEASE ("2026-01-01T00:50:00Z"),
    "[" POD ("p", "[{'operator':'Exists'}]") "]", "", 0 },
  { "pod without tolerations goes at once", NODE ("Unknown", "2026-01-01T00:00:00Z", TAINTS ("2026-01-01T00:59:59Z")), LEASE ("2026-01-01T00:50:00Z"),
    "[" POD ("p", "[]") "]", "event Normal TaintManagerEviction: Marking for deletion Pod d/p\ndelete pods d/p\n", 0 },
  { "cordoned is tainted", NODE ("True", "2026-01-01T00:00:00Z", "'unschedulable':true"), LEASE ("2026-01-01T00:59:50Z"), "[]", "patch nodes /n\n", -1 },
};

static void
test_node_decide__tables_as_upstream (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    {
      struct arena a AUTO_ARENA = {0};
      struct actions as;
      wall_t now;
      arena_init (&a, 0);
      actions_init (&as, &a);
      assert_int_equal (wall_parse ("2026-01-01T01:00:00Z", &now, NULL), 0);
      struct node_input in = { .node = object_parse (&a, rows[i].node), .lease = object_parse (&a, rows[i].lease),
                               .pods = object_parse (&a, rows[i].pods), .now = now, .grace_s = 40 };
      node_decide (&in, &as);
      if (strcmp (actions_text (&as), rows[i].want) != 0)
        fail_msg ("%s: got\n%s", rows[i].title, actions_text (&as));
      if (rows[i].requeue_ms >= 0 && as.requeue_after_ms != rows[i].requeue_ms)
        fail_msg ("%s: looks again after %lld", rows[i].title, (long long) as.requeue_after_ms);
    }
}

static void
test_terminated_pods_decide__oldest_go_first (void **state)
{
  (void) state;
  struct arena a AUTO_ARENA = {0};
  struct actions as;
  arena_init (&a, 0);
  actions_init (&as, &a);
#define ENDED(name, t) "{'metadata':{'name':'" name "','namespace':'d','uid':'u','creationTimestamp':'2026-01-01T00:00:0" t "Z'}}"
  struct value *pods = object_parse (&a, "[" ENDED ("a", "3") "," ENDED ("b", "1") "," ENDED ("c", "2") "]");
  terminated_pods_decide (pods, 3, &as);
  terminated_pods_decide (pods, 0, &as);
  assert_int_equal (as.count, 0);
  terminated_pods_decide (pods, 1, &as);
  assert_string_equal (actions_text (&as), "delete pods d/b\ndelete pods d/c\n");
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_terminated_pods_decide__oldest_go_first), cmocka_unit_test (test_node_decide__tables_as_upstream) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
