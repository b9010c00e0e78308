#include "tests/lib/actions.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/controller/replicaset_decide.h"

#define NOW "2026-01-02T03:04:05Z"
#define OWNED "'ownerReferences':[{'apiVersion':'apps/v1','kind':'ReplicaSet','name':'rs','uid':'U','controller':true}]"
#define POD(name, extra, status) "{'metadata':{'name':'" name "','namespace':'d','uid':'" name "','labels':{'app':'x'}" extra "},'spec':{'nodeName':'n'},'status':" status "}"
#define READY "{'phase':'Running','conditions':[{'type':'Ready','status':'True','lastTransitionTime':'2026-01-02T03:00:00Z'}]}"
#define RS(replicas, status) "{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':'rs','namespace':'d','uid':'U','generation':1},'spec':{'replicas':" replicas ",'selector':{'matchLabels':{'app':'x'}},'template':{'metadata':{'labels':{'app':'x'}},'spec':{'containers':[]}}},'status':" status "}"

/* BEFORE: the set and pods; COMPUTE: replicaset_decide; AFTER: the actions, and the status that is written ("": none). */
static const struct {
  const char *title, *rs, *pods, *failure, *want, *status;
} rows[] = {
  { "steady state does nothing", RS ("1", "{'replicas':1,'fullyLabeledReplicas':1,'readyReplicas':1,'availableReplicas':1,'observedGeneration':1}"),
    "[" POD ("a", "," OWNED, READY) "]", NULL, "", "" },
  { "missing pod is created", RS ("1", "{'replicas':0,'observedGeneration':1}"), "[]", NULL,
    "create pods d/*\nevent Normal SuccessfulCreate: Created pod: *\n", "" },
  { "failed pod is replaced, not counted", RS ("1", "{'replicas':0,'observedGeneration':1}"), "[" POD ("a", "," OWNED, "{'phase':'Failed'}") "]", NULL,
    "create pods d/*\nevent Normal SuccessfulCreate: Created pod: *\n", "" },
  { "not ready one is deleted first", RS ("1", "{'replicas':2,'fullyLabeledReplicas':2,'readyReplicas':1,'availableReplicas':1,'observedGeneration':1}"),
    "[" POD ("a", "," OWNED, READY) "," POD ("b", "," OWNED, "{'phase':'Running'}") "]", NULL,
    "delete pods d/b\nevent Normal SuccessfulDelete: Deleted pod: b\n", "" },
  { "orphan is adopted and counted", RS ("1", "{}"), "[" POD ("a", "", READY) "]", NULL, "patch pods d/a\nupdate replicasets/status d/rs\n",
    "{'replicas':1,'fullyLabeledReplicas':1,'readyReplicas':1,'availableReplicas':1,'observedGeneration':1}" },
  { "another's pod is let be", RS ("0", "{'replicas':0,'observedGeneration':1}"), "[" POD ("a", ",'ownerReferences':[{'uid':'V','controller':true}]", READY) "]", NULL, "", "" },
  { "pod that lost its label is released", RS ("0", "{'replicas':0,'observedGeneration':1}"),
    "[{'metadata':{'name':'a','namespace':'d','uid':'a'," OWNED "},'status':" READY "}]", NULL, "patch pods d/a\n", "" },
  { "failure shows as a condition", RS ("1", "{'replicas':0,'observedGeneration':1}"), "[]", "quota",
    "update replicasets/status d/rs\nevent Warning FailedCreate: Error creating: quota\ncreate pods d/*\nevent Normal SuccessfulCreate: Created pod: *\n",
    "{'replicas':0,'observedGeneration':1,'conditions':[{'type':'ReplicaFailure','status':'True','lastTransitionTime':'" NOW "','reason':'FailedCreate','message':'quota'}]}" },
};

static const char *
without_names (struct arena *a, const char *text)
{
  char *out = arena_strdup (a, text), *to = out;
  for (const char *p = out; *p;)
    if (strncmp (p, "rs-", 3) == 0 && strlen (p) >= 8)
      {
        *to++ = '*';
        p += 8;
      }
    else
      *to++ = *p++;
  *to = '\0';
  return out;
}

static void
test_replicaset_decide__tables_as_upstream (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    {
      struct arena a AUTO_ARENA = {0};
      struct actions as;
      wall_t now;
      arena_init (&a, 0);
      actions_init (&as, &a);
      assert_int_equal (wall_parse (NOW, &now, NULL), 0);
      struct replicaset_input in = { .rs = object_parse (&a, rows[i].rs), .pods = object_parse (&a, rows[i].pods), .now = now,
                                     .salt = 7, .burst = 500, .failure = rows[i].failure };
      replicaset_decide (&in, &as);
      const char *got = without_names (&a, actions_text (&as));
      if (strcmp (got, rows[i].want) != 0)
        fail_msg ("%s: got\n%s", rows[i].title, got);
      if (!*rows[i].status)
        continue;
      const struct value *status = value_get (actions_body (&as, "update", "replicasets/status", 0), "status");
      if (!value_equal (status, object_parse (&a, rows[i].status)))
        fail_msg ("%s: status %s", rows[i].title, object_text (&a, status));
    }
}

static void
test_replicaset_decide__min_ready_seconds_looks_again (void **state)
{
  (void) state;
  struct arena a AUTO_ARENA = {0};
  struct actions as;
  wall_t now;
  arena_init (&a, 0);
  actions_init (&as, &a);
  assert_int_equal (wall_parse ("2026-01-02T03:00:04Z", &now, NULL), 0);
  struct value *rs = object_parse (&a, RS ("1", "{}"));
  value_set_path (&a, rs, "spec.minReadySeconds", value_int (&a, 10));
  struct replicaset_input in = { .rs = rs, .pods = object_parse (&a, "[" POD ("a", "," OWNED, READY) "]"), .now = now, .burst = 500 };
  replicaset_decide (&in, &as);
  assert_int_equal (as.requeue_after_ms, 6000);
  assert_int_equal (value_path_int (actions_body (&as, "update", "replicasets/status", 0), "status.availableReplicas", 0), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_replicaset_decide__tables_as_upstream),
    cmocka_unit_test (test_replicaset_decide__min_ready_seconds_looks_again),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
