#include "tests/lib/actions.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/controller/gc_decide.h"

#define O(meta) "{'metadata':{'name':'o','namespace':'d','uid':'O','resourceVersion':'9'," meta "}}"
#define REFS1 "'ownerReferences':[{'uid':'A'}]"
#define REFS2 "'ownerReferences':[{'uid':'A'},{'uid':'B'}]"
#define DELETED "'deletionTimestamp':'2026-01-01T00:00:00Z'"
#define BLOCKING "{'metadata':{'name':'x','namespace':'d','uid':'X','ownerReferences':[{'uid':'O','blockOwnerDeletion':true}]}}"
#define WAITING "{'metadata':{'name':'x','namespace':'d','uid':'X'," DELETED ",'finalizers':['foregroundDeletion'],'ownerReferences':[{'uid':'O','blockOwnerDeletion':true}]}}"

static const struct {
  const char *title, *object;
  enum gc_owner_state owners[2];
  const char *dependent; /* or NULL */
  const char *want, *body_path, *body; /* of the first action's body or options */
} rows[] = {
  { "owner there", O (REFS1), { GC_OWNER_SOLID }, NULL, "", NULL, NULL },
  { "owner absent", O (REFS1), { GC_OWNER_ABSENT }, NULL, "delete pods d/o\n", "propagationPolicy", "'Background'" },
  { "owner unknown waits", O (REFS1), { GC_OWNER_UNKNOWN }, NULL, "", NULL, NULL },
  { "one of two absent", O (REFS2), { GC_OWNER_ABSENT, GC_OWNER_SOLID }, NULL, "patch pods d/o\n", "metadata.ownerReferences", "[{'uid':'B'}]" },
  { "owner waits, none below", O (REFS1), { GC_OWNER_WAITING }, NULL, "delete pods d/o\n", "propagationPolicy", "'Background'" },
  { "owner waits, some below", O (REFS1), { GC_OWNER_WAITING }, BLOCKING, "delete pods d/o\n", "propagationPolicy", "'Foreground'" },
  { "a ring is opened", O ("'ownerReferences':[{'uid':'X','blockOwnerDeletion':true}]"), { GC_OWNER_WAITING }, WAITING, "patch pods d/o\n",
    "metadata.ownerReferences", "[{'uid':'X','blockOwnerDeletion':false}]" },
  { "foreground waits for its dependents", O (DELETED ",'finalizers':['foregroundDeletion']"), { 0 }, BLOCKING, "", NULL, NULL },
  { "foreground ends", O (DELETED ",'finalizers':['x','foregroundDeletion']"), { 0 }, NULL, "patch pods d/o\n", "metadata.finalizers", "['x']" },
  { "orphan lets go first", O (DELETED ",'finalizers':['orphan']"), { 0 }, BLOCKING, "patch pods d/x\npatch pods d/o\n",
    "metadata.ownerReferences", "null" },
};

static void
test_gc_decide__tables_as_upstream (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    {
      struct arena a AUTO_ARENA = {0};
      struct actions as;
      arena_init (&a, 0);
      actions_init (&as, &a);
      struct gc_dependent d = { .group = "", .version = "v1", .resource = "pods" };
      if (rows[i].dependent)
        d.object = object_parse (&a, rows[i].dependent);
      struct gc_input in = { .object = object_parse (&a, rows[i].object), .group = "", .version = "v1", .resource = "pods",
                             .owners = rows[i].owners, .dependents = &d, .n_dependents = rows[i].dependent != NULL };
      gc_decide (&in, &as);
      if (strcmp (actions_text (&as), rows[i].want) != 0)
        fail_msg ("%s: got\n%s", rows[i].title, actions_text (&as));
      if (!rows[i].body_path)
        continue;
      const struct api_request *rq = &as.items[0].request;
      const char *got = object_text (&a, value_path (rq->body ? rq->body : rq->options, rows[i].body_path));
      if (strcmp (got, rows[i].body) != 0)
        fail_msg ("%s: %s is %s", rows[i].title, rows[i].body_path, got);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_gc_decide__tables_as_upstream) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
