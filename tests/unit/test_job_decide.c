#include "tests/lib/actions.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/controller/job_decide.h"
#include "services/controller/meta.h"

/* A job in the small: statuses, pods and finalizers are applied, pods end as the test says. */
static struct arena arena;
static struct value *job, *pods;
static wall_t now;
static bool job_deleted;

static void
decide (void)
{
  struct actions as;
  actions_init (&as, &arena);
  struct job_input in = { .job = value_clone (&arena, job), .pods = value_clone (&arena, pods), .now = now, .salt = (uint64_t) now.us,
                          .burst = 500 };
  job_decide (&in, &as);
  for (size_t i = 0; i < as.count; i++)
    {
      const struct api_request *rq = &as.items[i].request;
      if (as.items[i].event)
        continue;
      if (strcmp (rq->verb, "update") == 0)
        {
          value_set (&arena, job, "status", value_clone (&arena, value_get (rq->body, "status")));
          continue;
        }
      if (strcmp (rq->verb, "create") == 0)
        {
          struct value *p = value_clone (&arena, rq->body);
          value_set_path (&arena, p, "metadata.uid", value_string (&arena, meta_name (p)));
          value_append (&arena, pods, p);
          continue;
        }
      if (strcmp (rq->resource, "jobs") == 0)
        {
          job_deleted = true;
          continue;
        }
      for (size_t k = 0; k < value_count (pods); k++)
        if (strcmp (meta_name (value_at (pods, k)), rq->name) == 0)
          {
            if (strcmp (rq->verb, "delete") == 0)
              value_remove_at (pods, k);
            else
              value_unset (value_get (value_at (pods, k), "metadata"), "finalizers");
            break;
          }
    }
  now.us += 1000000;
}

static void
end_pod (size_t i, const char *phase)
{
  value_set_path (&arena, value_at (pods, i), "status.phase", value_string (&arena, phase));
}

static size_t
active (void)
{
  size_t n = 0;
  for (value_items (pods, it))
    n += pod_active (*it);
  return n;
}

static void
make (const char *spec)
{
  arena_init (&arena, 0);
  now = (wall_t) { 1767323045000000 };
  job_deleted = false;
  pods = value_array (&arena);
  job = object_parse (&arena, arena_printf (&arena,
                                            "{'metadata':{'name':'j','namespace':'d','uid':'J'},'spec':{'selector':{'matchLabels':{'c':'J'}},"
                                            "'template':{'metadata':{'labels':{'c':'J'}},'spec':{'containers':[{'name':'a'}]}},%s}}",
                                            spec));
}

static int
teardown (void **state)
{
  (void) state;
  arena_done (&arena);
  return 0;
}

static void
test_job_decide__completions_within_parallelism (void **state)
{
  (void) state;
  make ("'parallelism':2,'completions':3,'backoffLimit':6");
  decide ();
  assert_int_equal (active (), 2);
  end_pod (0, "Succeeded");
  for (int i = 0; i < 3; i++)
    decide ();
  assert_int_equal (active (), 2);
  assert_int_equal (value_path_int (job, "status.succeeded", 0), 1);
  end_pod (1, "Succeeded");
  end_pod (2, "Succeeded");
  for (int i = 0; i < 4; i++)
    decide ();
  assert_true (meta_condition_is (job, "Complete", "True"));
  assert_true (meta_condition_is (job, "SuccessCriteriaMet", "True"));
  assert_int_equal (value_path_int (job, "status.succeeded", 0), 3);
  assert_int_equal (value_count (pods), 3);
  for (value_items (pods, it))
    assert_false (meta_has_finalizer (*it, JOB_FINALIZER));
  assert_true (*value_path_string (job, "status.completionTime", "") != '\0');
}

static void
test_job_decide__counted_once_however_often_looked (void **state)
{
  (void) state;
  make ("'parallelism':1,'completions':2,'backoffLimit':0");
  decide ();
  end_pod (0, "Succeeded");
  for (int i = 0; i < 10; i++)
    decide ();
  assert_int_equal (value_path_int (job, "status.succeeded", 0), 1);
  assert_int_equal (value_count (pods), 2);
}

static void
test_job_decide__too_many_failures_fail_it (void **state)
{
  (void) state;
  make ("'parallelism':1,'completions':1,'backoffLimit':1");
  decide ();
  end_pod (0, "Failed");
  for (int i = 0; i < 3; i++)
    decide ();
  assert_false (meta_condition_is (job, "Failed", "True"));
  assert_int_equal (active (), 1);
  end_pod (1, "Failed");
  for (int i = 0; i < 4; i++)
    decide ();
  assert_true (meta_condition_is (job, "Failed", "True"));
  assert_string_equal (value_path_string (meta_condition (job, "Failed"), "reason", ""), "BackoffLimitExceeded");
  assert_int_equal (value_path_int (job, "status.failed", 0), 2);
  assert_int_equal (active (), 0);
}

static void
test_job_decide__indexed_runs_each_index_once (void **state)
{
  (void) state;
  make ("'parallelism':3,'completions':3,'completionMode':'Indexed','backoffLimit':6");
  decide ();
  assert_int_equal (active (), 3);
  for (size_t i = 0; i < 3; i++)
    end_pod (i, i == 1 ? "Failed" : "Succeeded");
  for (int i = 0; i < 4; i++)
    decide ();
  assert_string_equal (value_path_string (job, "status.completedIndexes", ""), "0,2");
  assert_string_equal (meta_annotation (value_at (pods, 3), JOB_INDEX), "1");
  end_pod (3, "Succeeded");
  for (int i = 0; i < 4; i++)
    decide ();
  assert_string_equal (value_path_string (job, "status.completedIndexes", ""), "0-2");
  assert_true (meta_condition_is (job, "Complete", "True"));
}

static void
test_job_decide__deadline_fails_it (void **state)
{
  (void) state;
  make ("'parallelism':1,'completions':1,'backoffLimit':6,'activeDeadlineSeconds':30");
  decide ();
  now.us += 30ll * 1000000;
  for (int i = 0; i < 4; i++)
    decide ();
  assert_string_equal (value_path_string (meta_condition (job, "Failed"), "reason", ""), "DeadlineExceeded");
  assert_int_equal (value_count (pods), 0);
}

static void
test_job_decide__suspended_has_no_pods (void **state)
{
  (void) state;
  make ("'parallelism':2,'completions':2,'backoffLimit':6");
  decide ();
  value_set_path (&arena, job, "spec.suspend", value_bool (&arena, true));
  decide ();
  decide ();
  assert_int_equal (active (), 0);
  assert_true (meta_condition_is (job, "Suspended", "True"));
  assert_null (value_path (job, "status.startTime"));
  value_set_path (&arena, job, "spec.suspend", value_bool (&arena, false));
  decide ();
  assert_int_equal (active (), 2);
  assert_true (meta_condition_is (job, "Suspended", "False"));
}

static void
test_job_decide__ttl_deletes_a_finished_one (void **state)
{
  (void) state;
  make ("'parallelism':1,'completions':1,'backoffLimit':6,'ttlSecondsAfterFinished':5");
  decide ();
  end_pod (0, "Succeeded");
  for (int i = 0; i < 4; i++)
    decide ();
  assert_false (job_deleted);
  now.us += 5000000;
  decide ();
  assert_true (job_deleted);
}

int
main (void)
{
#define T(f) cmocka_unit_test_teardown (f, teardown)
  const struct CMUnitTest tests[] = {
    T (test_job_decide__completions_within_parallelism),
    T (test_job_decide__counted_once_however_often_looked),
    T (test_job_decide__too_many_failures_fail_it),
    T (test_job_decide__indexed_runs_each_index_once),
    T (test_job_decide__deadline_fails_it),
    T (test_job_decide__suspended_has_no_pods),
    T (test_job_decide__ttl_deletes_a_finished_one),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
