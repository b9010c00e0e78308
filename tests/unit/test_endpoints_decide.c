#include "tests/lib/actions.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/controller/endpoints_decide.h"
#include "services/controller/endpointslice_decide.h"

#define SERVICE "{'metadata':{'name':'web','namespace':'d','uid':'S','labels':{'l':'1'}},'spec':{'clusterIP':'10.0.0.9','selector':{'app':'x'},'ports':[{'name':'h','port':80,'targetPort':'http','protocol':'TCP'}]}}"
#define POD(name, ip, ready, extra) "{'metadata':{'name':'" name "','namespace':'d','uid':'" name "','labels':{'app':'x'}" extra "},'spec':{'nodeName':'n','containers':[{'ports':[{'name':'http','containerPort':8080,'protocol':'TCP'}]}]},'status':{'phase':'Running','podIP':'" ip "','conditions':[{'type':'Ready','status':'" ready "'}]}}"
#define PODS "[" POD ("b", "10.1.0.2", "True", "") "," POD ("a", "10.1.0.1", "True", "") "," POD ("c", "10.1.0.3", "False", "") "," POD ("t", "10.1.0.4", "True", ",'deletionTimestamp':'2026-01-01T00:00:00Z'") "]"

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

static const char *
ips (const struct value *list)
{
  const char *text = "";
  for (value_items (list, it))
    text = arena_printf (&arena, "%s%s ", text, value_path_string (*it, "ip", value_path_string (*it, "addresses.0", "")));
  return text;
}

static void
test_endpoints_decide__ready_and_not_ready_sorted (void **state)
{
  (void) state;
  struct endpoints_input in = { .service = object_parse (&arena, SERVICE), .pods = object_parse (&arena, PODS) };
  endpoints_decide (&in, &as);
  assert_string_equal (actions_text (&as), "create endpoints d/web\n");
  const struct value *e = actions_body (&as, "create", "endpoints", 0);
  assert_int_equal (value_count (value_get (e, "subsets")), 1);
  assert_string_equal (ips (value_path (e, "subsets.0.addresses")), "10.1.0.1 10.1.0.2 ");
  assert_string_equal (ips (value_path (e, "subsets.0.notReadyAddresses")), "10.1.0.3 ");
  assert_int_equal (value_path_int (e, "subsets.0.ports.0.port", 0), 8080);
  actions_init (&as, &arena); /* the same again: nothing to do */
  in.endpoints = e;
  endpoints_decide (&in, &as);
  assert_int_equal (as.count, 0);
}

static void
test_endpoints_decide__service_gone_deletes (void **state)
{
  (void) state;
  struct endpoints_input in = { .endpoints = object_parse (&arena, "{'metadata':{'name':'web','namespace':'d','uid':'E'}}") };
  endpoints_decide (&in, &as);
  assert_string_equal (actions_text (&as), "delete endpoints d/web\n");
}

static void
test_endpoints_decide__without_selector_is_let_be (void **state)
{
  (void) state;
  struct endpoints_input in = { .service = object_parse (&arena, "{'metadata':{'name':'web','namespace':'d'},'spec':{}}") };
  endpoints_decide (&in, &as);
  assert_int_equal (as.count, 0);
}

static void
test_endpointslice_decide__conditions_and_stability (void **state)
{
  (void) state;
  struct value *slices = value_array (&arena);
  struct endpointslice_input in = { .service = object_parse (&arena, SERVICE), .pods = object_parse (&arena, PODS),
                                    .slices = slices, .max_endpoints = 100 };
  endpointslice_decide (&in, &as);
  assert_int_equal (as.count, 1);
  struct value *s = value_clone (&arena, actions_body (&as, "create", "endpointslices", 0));
  assert_int_equal (value_count (value_get (s, "endpoints")), 4);
  assert_string_equal (object_text (&arena, value_path (s, "endpoints.2.conditions")), "{'ready':false,'serving':false,'terminating':false}");
  assert_string_equal (object_text (&arena, value_path (s, "endpoints.3.conditions")), "{'ready':false,'serving':true,'terminating':true}");
  assert_string_equal (value_as_string (value_get (value_path (s, "metadata.labels"), "kubernetes.io/service-name"), ""), "web");
  value_append (&arena, slices, s);
  actions_init (&as, &arena);
  endpointslice_decide (&in, &as);
  assert_int_equal (as.count, 0);
}

static void
test_endpointslice_decide__full_slices_spill_over (void **state)
{
  (void) state;
  struct value *slices = value_array (&arena);
  struct endpointslice_input in = { .service = object_parse (&arena, SERVICE), .pods = object_parse (&arena, PODS),
                                    .slices = slices, .max_endpoints = 3 };
  endpointslice_decide (&in, &as);
  assert_int_equal (actions_matching (&as, "create", "endpointslices"), 2);
}

static void
test_endpointslice_decide__no_pods_leaves_one_empty (void **state)
{
  (void) state;
  struct value *slices = value_array (&arena);
  struct endpointslice_input in = { .service = object_parse (&arena, SERVICE), .pods = value_array (&arena),
                                    .slices = slices, .max_endpoints = 100 };
  endpointslice_decide (&in, &as);
  assert_int_equal (as.count, 1);
  value_append (&arena, slices, value_clone (&arena, actions_body (&as, "create", "endpointslices", 0)));
  actions_init (&as, &arena);
  endpointslice_decide (&in, &as);
  assert_int_equal (as.count, 0);
}

int
main (void)
{
#define T(f) cmocka_unit_test_setup_teardown (f, setup, teardown)
  const struct CMUnitTest tests[] = {
    T (test_endpoints_decide__ready_and_not_ready_sorted), T (test_endpoints_decide__service_gone_deletes),
    T (test_endpoints_decide__without_selector_is_let_be), T (test_endpointslice_decide__conditions_and_stability),
    T (test_endpointslice_decide__full_slices_spill_over), T (test_endpointslice_decide__no_pods_leaves_one_empty),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
