#include "tests/lib/actions.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/controller/account_decide.h"
#include "services/controller/meta.h"
#include "services/controller/namespace_decide.h"

#define NS "{'metadata':{'name':'n','uid':'N','deletionTimestamp':'2026-01-01T00:00:00Z'},'spec':{'finalizers':['kubernetes','x']},'status':{'phase':'Terminating'}}"

static struct arena arena;
static struct actions as;

static int
setup (void **state)
{
  (void) state;
  arena_init (&arena, 0);
  actions_init (&as, &arena);
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
test_namespace_decide__deletes_everything_then_finalizes (void **state)
{
  struct value *ns = object_parse (&arena, NS);
  struct namespace_content content[] = {
    { .group = "", .version = "v1", .resource = "pods", .count = 2 },
    { .group = "", .version = "v1", .resource = "secrets", .count = 0 },
  };
  struct namespace_input in = { .namespace_ = ns, .content = content, .count = 2, .first = true };
  (void) state;
  namespace_decide (&in, &as);
  assert_string_equal (actions_text (&as), "deletecollection pods n/\ndeletecollection secrets n/\nupdate namespaces/status /n\n");
  const struct value *after = actions_body (&as, "update", "namespaces/status", 0);
  assert_true (meta_condition_is (after, "NamespaceContentRemaining", "True"));
  assert_string_equal (value_path_string (meta_condition (after, "NamespaceContentRemaining"), "message", ""),
                       "Some resources are remaining: pods. has 2 resource instances");

  actions_init (&as, &arena); /* pods are going: wait */
  content[0].deleting = 2;
  in = (struct namespace_input) { .namespace_ = after, .content = content, .count = 1 };
  namespace_decide (&in, &as);
  assert_int_equal (as.count, 0);
  assert_true (as.requeue_after_ms > 0);

  actions_init (&as, &arena); /* nothing is left */
  in = (struct namespace_input) { .namespace_ = after };
  namespace_decide (&in, &as);
  assert_string_equal (actions_text (&as), "update namespaces/status /n\n");
  in.namespace_ = actions_body (&as, "update", "namespaces/status", 0);
  actions_init (&as, &arena);
  namespace_decide (&in, &as);
  assert_string_equal (actions_text (&as), "update namespaces/finalize /n\n");
  assert_string_equal (object_text (&arena, value_path (actions_body (&as, "update", "namespaces/finalize", 0), "spec.finalizers")), "['x']");
}

static void
test_namespace_decide__living_one_is_let_be (void **state)
{
  struct namespace_input in = { .namespace_ = object_parse (&arena, "{'metadata':{'name':'n'},'spec':{'finalizers':['kubernetes']}}") };
  (void) state;
  namespace_decide (&in, &as);
  assert_int_equal (as.count, 0);
}

static void
test_account_decide__every_namespace_gets_its_two (void **state)
{
  struct value *ns = object_parse (&arena, "{'metadata':{'name':'n'},'status':{'phase':'Active'}}");
  (void) state;
  serviceaccount_decide (ns, NULL, &as);
  root_ca_decide (ns, NULL, "PEM", &as);
  assert_string_equal (actions_text (&as), "create serviceaccounts n/default\ncreate configmaps n/kube-root-ca.crt\n");
  const struct value *map = actions_body (&as, "create", "configmaps", 0);
  actions_init (&as, &arena);
  serviceaccount_decide (ns, object_parse (&arena, "{}"), &as);
  root_ca_decide (ns, map, "PEM", &as);
  assert_int_equal (as.count, 0);
  root_ca_decide (ns, map, "OTHER", &as);
  assert_string_equal (actions_text (&as), "update configmaps n/kube-root-ca.crt\n");
  actions_init (&as, &arena);
  serviceaccount_decide (object_parse (&arena, NS), NULL, &as);
  assert_int_equal (as.count, 0);
}

int
main (void)
{
#define T(f) cmocka_unit_test_setup_teardown (f, setup, teardown)
  const struct CMUnitTest tests[] = {
    T (test_namespace_decide__deletes_everything_then_finalizes),
    T (test_namespace_decide__living_one_is_let_be),
    T (test_account_decide__every_namespace_gets_its_two),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
