#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/common/action.h"

/* A fake API server: keeps the calls until answered, in any order. */
static struct {
  char verb[32], name[128];
  api_cb cb;
  void *arg;
} calls[64];
static size_t n_calls;

void
api_call (struct api_client *c, const struct api_request *rq, api_cb cb, void *arg)
{
  (void) c;
  assert_true (n_calls < 64);
  snprintf (calls[n_calls].verb, sizeof calls[0].verb, "%s", rq->verb);
  snprintf (calls[n_calls].name, sizeof calls[0].name, "%s",
            rq->name ? rq->name : value_path_string (rq->body, "metadata.name", ""));
  calls[n_calls].cb = cb;
  calls[n_calls++].arg = arg;
}

static struct arena arena;
static struct actions as;
static struct {
  int calls;
  size_t done;
  int code;
  char text[128];
} result;

static void
on_done (void *arg, size_t done, int code, const char *text)
{
  (void) arg;
  result.calls++;
  result.done = done;
  result.code = code;
  snprintf (result.text, sizeof result.text, "%s", text);
}

static void
answer (size_t i, int code, const char *object)
{
  calls[i].cb (calls[i].arg, NULL, code, object_parse (&arena, object));
}

static int
setup (void **state)
{
  (void) state;
  n_calls = 0;
  memset (&result, 0, sizeof result);
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

static struct action *
create (const char *name)
{
  struct value *v = value_map (&arena);
  value_set_path (&arena, v, "metadata.name", value_string (&arena, name));
  return actions_create (&as, "", "v1", "pods", "default", v);
}

static void
test_actions_run__none_done_at_once (void **state)
{
  (void) state;
  actions_run (NULL, &as, 0, on_done, NULL);
  assert_int_equal (result.calls, 1);
  assert_int_equal (result.done, 0);
  assert_string_equal (result.text, "");
}

static void
test_actions_run__failure_stops_the_rest (void **state)
{
  (void) state;
  create ("a");
  create ("b");
  create ("c");
  actions_run (NULL, &as, 0, on_done, NULL);
  assert_int_equal (n_calls, 1);
  answer (0, 201, "{}");
  assert_int_equal (n_calls, 2);
  answer (1, 403, "{'message':'no'}");
  assert_int_equal (n_calls, 2);
  assert_int_equal (result.calls, 1);
  assert_int_equal (result.done, 1);
  assert_int_equal (result.code, 403);
  assert_string_equal (result.text, "no");
}

static void
test_actions_run__together_slow_start (void **state)
{
  (void) state;
  for (int i = 0; i < 7; i++)
    create ("x")->together = true;
  actions_run (NULL, &as, 0, on_done, NULL);
  assert_int_equal (n_calls, 1);
  answer (0, 201, "{}");
  assert_int_equal (n_calls, 3);
  answer (2, 201, "{}");
  assert_int_equal (n_calls, 3);
  answer (1, 201, "{}");
  assert_int_equal (n_calls, 7);
  for (size_t i = 3; i < 7; i++)
    answer (i, 201, "{}");
  assert_int_equal (result.calls, 1);
  assert_int_equal (result.done, 7);
}

static void
test_actions_run__with_previous_only_after_success (void **state)
{
  (void) state;
  create ("a")->together = true;
  create ("a2")->with_previous = true;
  create ("b")->together = true;
  actions_run (NULL, &as, 0, on_done, NULL);
  answer (0, 201, "{}");
  assert_string_equal (calls[1].name, "a2");
  answer (1, 201, "{}");
  assert_string_equal (calls[2].name, "b");
  answer (2, 500, "{}");
  assert_int_equal (result.done, 2);
}

static void
test_actions_run__ignored_answers_count_as_done (void **state)
{
  (void) state;
  create ("a")->ignore_exists = true;
  actions_delete (&as, "", "v1", "pods", "default", "p", "u");
  actions_run (NULL, &as, 0, on_done, NULL);
  answer (0, 409, "{'reason':'AlreadyExists'}");
  answer (1, 404, "{}");
  assert_int_equal (result.done, 2);
}

static void
test_actions_run__repeated_event_counts_up (void **state)
{
  (void) state;
  actions_event (&as, object_parse (&arena, "{'kind':'Pod','metadata':{'name':'p','namespace':'d','uid':'u'}}"), "Normal", "R", "c", "m");
  actions_run (NULL, &as, 0, on_done, NULL);
  assert_string_equal (calls[0].verb, "create");
  answer (0, 409, "{'reason':'AlreadyExists'}");
  assert_string_equal (calls[1].verb, "get");
  assert_string_equal (calls[1].name, calls[0].name);
  answer (1, 200, "{'count':4}");
  assert_string_equal (calls[2].verb, "patch");
  answer (2, 500, "{}");
  assert_int_equal (result.done, 1); /* best effort */
}

int
main (void)
{
#define T(f) cmocka_unit_test_setup_teardown (f, setup, teardown)
  const struct CMUnitTest tests[] = {
    T (test_actions_run__none_done_at_once),
    T (test_actions_run__failure_stops_the_rest),
    T (test_actions_run__together_slow_start),
    T (test_actions_run__with_previous_only_after_success),
    T (test_actions_run__ignored_answers_count_as_done),
    T (test_actions_run__repeated_event_counts_up),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
