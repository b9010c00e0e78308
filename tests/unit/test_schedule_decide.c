#include "services/scheduler/schedule_decide.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#define NODE(name, more, alloc) "{'metadata':{'name':'" name "','labels':{'kubernetes.io/hostname':'" name "'" more "}},'status':{'allocatable':{" alloc "}}}"
#define SMALL "'cpu':'1','memory':'1Gi','pods':'10'"
#define BIG "'cpu':'4','memory':'8Gi','pods':'10'"
#define POD(name, meta, spec) "{'metadata':{'name':'" name "','namespace':'d','uid':'u-" name "'" meta "},'spec':{" spec "}}"
#define ASKS(cpu) "'containers':[{'name':'c','image':'i','resources':{'requests':{'cpu':'" cpu "'}}}]"
#define ON(node) ",'nodeName':'" node "'"
#define APP(a) ",'labels':{'app':'" a "'}"
#define TERM(a) "{'topologyKey':'zone','labelSelector':{'matchLabels':{'app':'" a "'}}}"
#define NOBODY " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
#define NO_HELP " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."

/* BEFORE: nodes and pods. COMPUTE: the pod named p is decided. AFTER: "node", "! message", "> node victim...". */
static const struct {
  const char *name, *before[6], *after;
} rows[] = {
  { "no nodes", { POD ("p", "", ASKS ("1")) }, "! no nodes available to schedule pods" },
  { "one node", { NODE ("n1", "", SMALL), POD ("p", "", ASKS ("1")) }, "n1" },
  { "too much cpu", { NODE ("n1", "", SMALL), POD ("p", "", ASKS ("1001m")) }, "! 0/1 nodes are available: 1 Insufficient cpu." NOBODY },
  { "cpu in use", { NODE ("n1", "", SMALL), POD ("q", "", ASKS ("600m") ON ("n1")), POD ("p", "", ASKS ("500m")) }, "! 0/1 nodes are available: 1 Insufficient cpu." NOBODY },
  { "pod came before its node", { POD ("q", "", ASKS ("600m") ON ("n1")), NODE ("n1", "", SMALL), POD ("p", "", ASKS ("500m")) }, "! 0/1 nodes are available: 1 Insufficient cpu." NOBODY },
  { "the emptier node", { NODE ("n1", "", BIG), NODE ("n2", "", BIG), POD ("q", "", ASKS ("2") ON ("n1")), POD ("p", "", ASKS ("1")) }, "n2" },
  { "init containers count by the greatest", { NODE ("n1", "", SMALL), POD ("p", "", "'initContainers':[{'resources':{'requests':{'cpu':'900m'}}},{'resources':{'requests':{'cpu':'1'}}}]," ASKS ("500m")) }, "n1" },
  { "sidecars add up", { NODE ("n1", "", SMALL), POD ("p", "", "'initContainers':[{'restartPolicy':'Always','resources':{'requests':{'cpu':'600m'}}}]," ASKS ("500m")) }, "! 0/1 nodes are available: 1 Insufficient cpu." NOBODY },
  { "overhead adds up", { NODE ("n1", "", SMALL), POD ("p", "", "'overhead':{'cpu':'600m'}," ASKS ("500m")) }, "! 0/1 nodes are available: 1 Insufficient cpu." NOBODY },
  { "extended resource", { NODE ("n1", "", SMALL), POD ("p", "", "'containers':[{'resources':{'requests':{'example.com/gpu':'1'}}}]") }, "! 0/1 nodes are available: 1 Insufficient example.com/gpu." NOBODY },
  { "room for no pod", { NODE ("n1", "", "'cpu':'1','memory':'1Gi','pods':'0'"), POD ("p", "", ASKS ("0")) }, "! 0/1 nodes are available: 1 Too many pods." NOBODY },
  { "cordoned", { "{'metadata':{'name':'n1'},'spec':{'unschedulable':true},'status':{'allocatable':{" SMALL "}}}", POD ("p", "", ASKS ("1")) }, "! 0/1 nodes are available: 1 node(s) were unschedulable." NO_HELP },
  { "cordoned and tolerated", { "{'metadata':{'name':'n1'},'spec':{'unschedulable':true},'status':{'allocatable':{" SMALL "}}}", POD ("p", "", "'tolerations':[{'operator':'Exists'}]," ASKS ("1")) }, "n1" },
  { "taint", { "{'metadata':{'name':'n1'},'spec':{'taints':[{'key':'k','value':'v','effect':'NoSchedule'}]},'status':{'allocatable':{" SMALL "}}}", POD ("p", "", ASKS ("1")) }, "! 0/1 nodes are available: 1 node(s) had untolerated taint {k: v}." NO_HELP },
  { "taint tolerated", { "{'metadata':{'name':'n1'},'spec':{'taints':[{'key':'k','value':'v','effect':'NoSchedule'}]},'status':{'allocatable':{" SMALL "}}}", POD ("p", "", "'tolerations':[{'key':'k','operator':'Equal','value':'v'}]," ASKS ("1")) }, "n1" },
  { "soft taint is avoided", { "{'metadata':{'name':'n1'},'spec':{'taints':[{'key':'k','effect':'PreferNoSchedule'}]},'status':{'allocatable':{" BIG "}}}", NODE ("n2", "", BIG), POD ("p", "", ASKS ("1")) }, "n2" },
  { "node selector", { NODE ("n1", "", BIG), NODE ("n2", ",'disk':'ssd'", BIG), POD ("p", "", "'nodeSelector':{'disk':'ssd'}," ASKS ("1")) }, "n2" },
  { "node affinity Gt", { NODE ("n1", ",'gen':'3'", BIG), NODE ("n2", ",'gen':'12'", BIG), POD ("p", "", "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':[{'matchExpressions':[{'key':'gen','operator':'Gt','values':['4']}]}]}}}," ASKS ("1")) }, "n2" },
  { "node affinity refuses", { NODE ("n1", "", BIG), POD ("p", "", "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':[{'matchFields':[{'key':'metadata.name','operator':'In','values':['x']}]}]}}}," ASKS ("1")) }, "! 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector." NO_HELP },
  { "preferred node", { NODE ("n1", "", BIG), NODE ("n2", ",'disk':'ssd'", BIG), POD ("p", "", "'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':10,'preference':{'matchExpressions':[{'key':'disk','operator':'Exists'}]}}]}}," ASKS ("1")) }, "n2" },
  { "host port in use", { NODE ("n1", "", BIG), POD ("q", "", "'containers':[{'ports':[{'hostPort':80}]}]" ON ("n1")), POD ("p", "", "'containers':[{'ports':[{'hostPort':80,'hostIP':'10.0.0.1'}]}]") }, "! 0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports." NOBODY },
  { "host port of another protocol", { NODE ("n1", "", BIG), POD ("q", "", "'containers':[{'ports':[{'hostPort':80}]}]" ON ("n1")), POD ("p", "", "'containers':[{'ports':[{'hostPort':80,'protocol':'UDP'}]}]") }, "n1" },
  { "image is there", { NODE ("n1", "", BIG), "{'metadata':{'name':'n2'},'status':{'allocatable':{" BIG "},'images':[{'names':['i:latest'],'sizeBytes':900000000}]}}", POD ("p", "", ASKS ("1")) }, "n2" },
  { "pod affinity", { NODE ("n1", ",'zone':'a'", BIG), NODE ("n2", ",'zone':'b'", BIG), POD ("q", APP ("db"), ASKS ("1") ON ("n2")), POD ("p", "", "'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[" TERM ("db") "]}}," ASKS ("1")) }, "n2" },
  { "pod affinity, nobody", { NODE ("n1", ",'zone':'a'", BIG), POD ("p", "", "'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[" TERM ("db") "]}}," ASKS ("1")) }, "! 0/1 nodes are available: 1 node(s) didn't match pod affinity rules." NO_HELP },
  { "first of its own group", { NODE ("n1", ",'zone':'a'", BIG), POD ("p", APP ("db"), "'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[" TERM ("db") "]}}," ASKS ("1")) }, "n1" },
  { "pod anti-affinity", { NODE ("n1", ",'zone':'a'", BIG), POD ("q", APP ("db"), ASKS ("1") ON ("n1")), POD ("p", "", "'affinity':{'podAntiAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[" TERM ("db") "]}}," ASKS ("1")) }, "! 0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules." NOBODY },
  { "anti-affinity of one that runs", { NODE ("n1", ",'zone':'a'", BIG), POD ("q", "", "'affinity':{'podAntiAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[" TERM ("db") "]}}," ASKS ("1") ON ("n1")), POD ("p", APP ("db"), ASKS ("1")) }, "! 0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules." NOBODY },
  { "preferred company", { NODE ("n1", ",'zone':'a'", BIG), NODE ("n2", ",'zone':'b'", BIG), POD ("q", APP ("db"), ASKS ("1m") ON ("n2")), POD ("p", "", "'affinity':{'podAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':100,'podAffinityTerm':" TERM ("db") "}]}}," ASKS ("1")) }, "n2" },
  { "spread", { NODE ("n1", ",'zone':'a'", BIG), NODE ("n2", ",'zone':'b'", BIG), POD ("q", APP ("w"), ASKS ("1m") ON ("n1")), POD ("r", "", ASKS ("2") ON ("n2")), POD ("p", APP ("w"), "'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'zone','whenUnsatisfiable':'DoNotSchedule','labelSelector':{'matchLabels':{'app':'w'}}}]," ASKS ("1")) }, "n2" },
  { "spread without the label", { NODE ("n1", "", BIG), POD ("p", APP ("w"), "'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'zone','whenUnsatisfiable':'DoNotSchedule','labelSelector':{'matchLabels':{'app':'w'}}}]," ASKS ("1")) }, "! 0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label)." NO_HELP },
  { "two reasons", { NODE ("n1", "", SMALL), NODE ("n2", "", "'cpu':'1','memory':'1Gi','pods':'0'"), POD ("p", "", ASKS ("2")) }, "! 0/2 nodes are available: 1 Too many pods, 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod." },
  { "gated", { NODE ("n1", "", SMALL), POD ("p", "", "'schedulingGates':[{'name':'g'}]," ASKS ("1")) }, "gated" },
  { "bound already", { NODE ("n1", "", SMALL), POD ("p", "", ASKS ("1") ON ("n1")) }, "skip" },
  { "preempts the lower", { NODE ("n1", "", SMALL), POD ("q", "", "'priority':5," ASKS ("600m") ON ("n1")), POD ("r", "", "'priority':1," ASKS ("400m") ON ("n1")), POD ("p", "", "'priority':10," ASKS ("300m")) }, "> n1 r" },
  { "preempts where it hurts least", { NODE ("n1", "", SMALL), NODE ("n2", "", SMALL), POD ("q", "", "'priority':5," ASKS ("1") ON ("n1")), POD ("r", "", "'priority':1," ASKS ("1") ON ("n2")), POD ("p", "", "'priority':10," ASKS ("300m")) }, "> n2 r" },
  { "preemption would not be enough", { NODE ("n1", "", SMALL), POD ("q", "", "'priority':1," ASKS ("1") ON ("n1")), POD ("p", "", "'priority':10," ASKS ("2")) }, "! 0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Insufficient cpu." },
  { "never preempts", { NODE ("n1", "", SMALL), POD ("q", "", "'priority':1," ASKS ("1") ON ("n1")), POD ("p", "", "'preemptionPolicy':'Never','priority':10," ASKS ("1")) }, "! 0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never." },
};

static const char *
after (struct sched *s, struct arena *a)
{
  struct sched_result r;
  assert_int_equal (sched_decide (s, "d/p", a, &r, NULL), 0);
  if (r.verdict == SCHED_BIND)
    return r.node;
  if (r.verdict != SCHED_UNSCHEDULABLE)
    return r.verdict == SCHED_GATED ? "gated" : "skip";
  if (!r.n_victims)
    return arena_printf (a, "! %s", r.message);
  const char *text = arena_printf (a, "> %s", r.node);
  for (size_t i = 0; i < r.n_victims; i++)
    text = arena_printf (a, "%s %s", text, r.victims[i]->name);
  return text;
}

static void
feed (struct sched *s, struct arena *a, const char *text)
{
  const struct value *v = object_parse (a, text);
  if (value_path (v, "spec.containers"))
    assert_int_equal (sched_set_pod (s, v, NULL), 0);
  else
    assert_int_equal (sched_set_node (s, v, NULL), 0);
}

static void
test_sched_decide__table__as_upstream (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    AUTO_ARENA struct arena a;
    struct sched *s = sched_new ();
    arena_init (&a, 0);
    for (size_t j = 0; j < 6 && rows[i].before[j]; j++)
      feed (s, &a, rows[i].before[j]);
    const char *got = after (s, &a);
    if (strcmp (got, rows[i].after) != 0)
      fail_msg ("%s: %s, not %s", rows[i].name, got, rows[i].after);
    sched_free (s);
  }
}

static void
test_sched_assume__then_forgotten__account_restored (void **state)
{
  (void) state;
  AUTO_ARENA struct arena a;
  struct sched *s = sched_new ();
  arena_init (&a, 0);
  feed (s, &a, NODE ("n1", "", SMALL));
  feed (s, &a, POD ("q", "", ASKS ("600m")));
  feed (s, &a, POD ("p", "", ASKS ("600m")));
  assert_int_equal (sched_assume (s, sched_pod_get (s, "d/q"), "n1"), 0);
  feed (s, &a, POD ("q", "", ASKS ("600m"))); /* a status change meanwhile */
  assert_string_equal (after (s, &a), "! 0/1 nodes are available: 1 Insufficient cpu." NOBODY);
  sched_forget (s, sched_pod_get (s, "d/q"));
  assert_string_equal (after (s, &a), "n1");
  sched_delete_node (s, "n1");
  assert_string_equal (after (s, &a), "! no nodes available to schedule pods");
  sched_free (s);
}

static void
test_sched_preempt__budget_used_up__other_victim (void **state)
{
  (void) state;
  AUTO_ARENA struct arena a;
  struct sched *s = sched_new ();
  arena_init (&a, 0);
  feed (s, &a, NODE ("n1", "", SMALL));
  feed (s, &a, POD ("q", APP ("db"), "'priority':1," ASKS ("500m") ON ("n1")));
  feed (s, &a, POD ("r", "", "'priority':5," ASKS ("500m") ON ("n1")));
  feed (s, &a, POD ("p", "", "'priority':10," ASKS ("400m")));
  assert_string_equal (after (s, &a), "> n1 q");
  assert_int_equal (sched_set_pdb (s, object_parse (&a, "{'metadata':{'namespace':'d','name':'b'},'spec':{'selector':{'matchLabels':{'app':'db'}}},'status':{'disruptionsAllowed':0}}"), NULL), 0);
  assert_string_equal (after (s, &a), "> n1 r");
  sched_free (s);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_sched_decide__table__as_upstream),
                                      cmocka_unit_test (test_sched_assume__then_forgotten__account_restored),
                                      cmocka_unit_test (test_sched_preempt__budget_used_up__other_victim) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
