/* The pod worker on the real runtime: pod objects in, statuses out. The API is this file. Needs root. */
#include "tests/lib/test.h"

#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "schemas/json.h"
#include "services/kubelet/pod.h"

#define IMAGE "localhost/kubus/demo:1"
#define WAIT_MS 30000

struct fixture {
  char dir[64], log_dir[80];
  struct loop *loop;
  struct image_store *images;
  struct node_facts node;
  struct pod_host host;
  struct arena a;
  struct value *status; /* the last that was put */
  struct value *events; /* ["reason"] */
  struct value *config; /* answer for configmaps/conf; NULL: 404 */
  struct pod *pod;
  bool gone, removed;
  unsigned puts;
};

static void
fetch (void *arg, const struct value *pod, const struct value *need, pod_answer_cb cb, void *cb_arg)
{
  struct fixture *f = arg;
  const char *key = value_path_string (need, "key", "");
  (void) pod;
  if (!strcmp (key, "services"))
    cb (cb_arg, 200, value_array (&f->a), NULL);
  else if (!strcmp (key, "configmaps/conf") && f->config)
    cb (cb_arg, 200, f->config, NULL);
  else
    cb (cb_arg, 404, NULL, NULL);
}

struct answer {
  pod_answer_cb cb;
  void *arg;
};

static void
answer_later (void *arg)
{
  struct answer *x = arg;
  x->cb (x->arg, 200, NULL, NULL);
  free (x);
}

static void
later (struct fixture *f, pod_answer_cb cb, void *arg)
{
  struct answer *x = malloc (sizeof *x);
  *x = (struct answer) {cb, arg};
  assert_int_equal (loop_post (f->loop, answer_later, x), 0);
}

static void
put_status (void *arg, const struct value *pod, const struct value *status, pod_answer_cb cb, void *cb_arg)
{
  struct fixture *f = arg;
  (void) pod;
  f->status = value_clone (&f->a, status);
  f->puts++;
  later (f, cb, cb_arg);
}

static void
remove_pod (void *arg, const struct value *pod, pod_answer_cb cb, void *cb_arg)
{
  struct fixture *f = arg;
  (void) pod;
  f->removed = true;
  later (f, cb, cb_arg);
}

static void
event (void *arg, const struct value *pod, const char *container, const char *type, const char *reason, const char *message)
{
  struct fixture *f = arg;
  (void) pod;
  (void) container;
  (void) type;
  (void) message;
  value_append (&f->a, f->events, value_printf (&f->a, "%s: %s", reason, message));
}

static void
gone (void *arg, struct pod *p)
{
  struct fixture *f = arg;
  f->gone = true;
  f->pod = NULL;
  pod_free (p);
}

static void
on_exit_cb (void *arg, const struct container_record *rec)
{
  struct fixture *f = arg;
  if (f->pod && !strcmp (rec->pod_uid, pod_uid (f->pod)))
    pod_exited (f->pod, rec);
}

static void
open_node (struct fixture *f)
{
  struct err err = {0};
  char path[128];
  snprintf (path, sizeof path, "%s/kubelet/images", f->dir);
  if (!(f->images = image_store_open (path, &err)))
    fail_msg ("%s", err.text);
  f->host.runtime = runtime_crun_new (&(struct runtime_crun_config) {.loop = f->loop, .images = f->images, .dir = f->dir, .pod_cidr = "10.253.8.0/24",
                                                                     .bridge = "kubustest1", .cni_bin = "/usr/lib/cni"},
                                      &err);
  if (!f->host.runtime)
    fail_msg ("%s", err.text);
  f->host.runtime->on_exit = on_exit_cb;
  f->host.runtime->on_exit_arg = f;
}

static int
setup_all (void **state)
{
  struct fixture *f = calloc (1, sizeof *f);
  struct err err = {0};
  char tar[96];
  const char *argv[] = {"deploy/examples/make-demo-image.sh", tar, NULL};
  struct proc_config pc = {.argv = argv, .err = {PROC_INHERIT, -1}};
  snprintf (f->dir, sizeof f->dir, "/tmp/kubus-pod-XXXXXX");
  assert_non_null (mkdtemp (f->dir));
  snprintf (f->log_dir, sizeof f->log_dir, "%s/log/pods", f->dir);
  f->loop = loop_new (&err);
  arena_init (&f->a, 0);
  f->events = value_array (&f->a);
  f->node = (struct node_facts) {.name = "node-1", .host_ips = {"192.0.2.1"}, .n_host_ips = 1, .cluster_domain = "cluster.local",
                                 .cluster_dns = {"10.96.0.10"}, .n_cluster_dns = 1, .memory_bytes = 1ll << 32, .cpu_milli = 2000};
  f->host = (struct pod_host) {.loop = f->loop, .node = &f->node, .dir = f->dir, .log_dir = f->log_dir, .arg = f, .fetch = fetch,
                               .put_status = put_status, .remove = remove_pod, .event = event, .gone = gone};
  open_node (f);
  f->host.pool = pool_new (f->loop, 2, &err);
  f->host.pulls = pool_new (f->loop, 1, &err);
  f->host.http = http_client_new (f->loop, NULL, 0, &err);
  assert_non_null (f->host.http);
  snprintf (tar, sizeof tar, "%s/demo.tar", f->dir);
  assert_int_equal (proc_run (&pc, NULL, NULL, &err), 0);
  if (image_import (f->images, tar, NULL, &f->a, NULL, &err))
    fail_msg ("%s", err.text);
  *state = f;
  return 0;
}

static int
teardown_all (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  struct container_record *list = NULL;
  const char *link[] = {"ip", "link", "delete", "kubustest1", NULL}, *nft[] = {"nft", "delete", "table", "ip", "kubus-kubelet", NULL};
  char **uids = NULL;
  size_t n = 0;
  pod_free (f->pod);
  for (int i = 0; i < 20; i++)
    loop_step (f->loop, 10);
  pool_free (f->host.pool);
  pool_free (f->host.pulls);
  http_client_free (f->host.http);
  if (!runtime_container_list (f->host.runtime, &f->a, &list, &n, &err))
    for (size_t i = 0; i < n; i++)
      (void) runtime_container_remove (f->host.runtime, list[i].id, NULL);
  if (!runtime_pod_list (f->host.runtime, &uids, &n, &err))
    for (size_t i = 0; i < n; i++)
      (void) runtime_sandbox_remove (f->host.runtime, uids[i], NULL);
  free (uids);
  runtime_free (f->host.runtime);
  image_store_close (f->images);
  (void) proc_run (&(struct proc_config) {.argv = link}, NULL, NULL, NULL);
  (void) proc_run (&(struct proc_config) {.argv = nft}, NULL, NULL, NULL);
  if (file_remove_tree (f->dir, &err))
    print_error ("left behind: %s\n", err.text);
  loop_free (f->loop);
  arena_done (&f->a);
  free (f);
  return 0;
}

static struct value *
parse (struct fixture *f, const char *json)
{
  struct value *v = NULL;
  struct err err = {0};
  if (json_parse (&f->a, json, strlen (json), &v, NULL, &err))
    fail_msg ("%s in %s", err.text, json);
  return v;
}

static struct value *
pod_object_of (struct fixture *f, const char *uid, const char *spec)
{
  return parse (f, arena_printf (&f->a, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"uid\":\"%s\",\"name\":\"web\",\"namespace\":\"demo\",\"labels\":{\"app\":\"x\"}},\"spec\":%s}",
                                 uid, spec));
}

static void
begin (struct fixture *f, struct value *object)
{
  struct err err = {0};
  f->status = NULL;
  f->gone = f->removed = false;
  f->events = value_array (&f->a);
  if (!(f->pod = pod_new (&f->host, object, NULL, 0, &err)))
    fail_msg ("%s", err.text);
}

static void
dump (struct fixture *f)
{
  struct buf b = BUF_INIT;
  json_write (f->status ? f->status : value_null (&f->a), 1, &b);
  buf_append_byte (&b, '\n');
  json_write (f->events, 1, &b);
  print_error ("%s\n", buf_cstr (&b));
  buf_done (&b);
}

/* Until status has the text at path. */
static void
wait_status (struct fixture *f, const char *path, const char *text)
{
  mono_t start = mono_now ();
  while (strcmp (value_path_string (f->status, path, ""), text) != 0) {
    loop_step (f->loop, 500);
    if (mono_ms_since (start, mono_now ()) > WAIT_MS) {
      dump (f);
      fail_msg ("%s did not become %s", path, text);
    }
  }
}

static void
wait_number (struct fixture *f, const char *path, int64_t n)
{
  mono_t start = mono_now ();
  while (value_path_int (f->status, path, -1) != n) {
    loop_step (f->loop, 500);
    if (mono_ms_since (start, mono_now ()) > WAIT_MS) {
      dump (f);
      fail_msg ("%s did not become %lld", path, (long long) n);
    }
  }
}

static bool
condition (struct fixture *f, const char *type)
{
  for (value_items (value_get (f->status, "conditions"), it))
    if (!strcmp (value_path_string (*it, "type", ""), type))
      return !strcmp (value_path_string (*it, "status", ""), "True");
  return false;
}

static void
wait_ready (struct fixture *f)
{
  mono_t start = mono_now ();
  while (!condition (f, "Ready")) {
    loop_step (f->loop, 500);
    if (mono_ms_since (start, mono_now ()) > WAIT_MS) {
      dump (f);
      fail_msg ("the pod did not become Ready");
    }
  }
}

static void
delete_and_wait (struct fixture *f, struct value *object, int64_t grace)
{
  mono_t start = mono_now ();
  value_set_path (&f->a, object, "metadata.deletionTimestamp", value_string (&f->a, "2026-01-01T00:00:00Z"));
  value_set_path (&f->a, object, "metadata.deletionGracePeriodSeconds", value_int (&f->a, grace));
  pod_update (f->pod, object);
  while (!f->gone) {
    loop_step (f->loop, 500);
    if (mono_ms_since (start, mono_now ()) > WAIT_MS) {
      dump (f);
      fail_msg ("the pod did not go");
    }
  }
  assert_true (f->removed);
}

static char *
log_text (struct fixture *f, const char *container, bool previous)
{
  struct pod_container_info info;
  struct err err = {0};
  struct buf b = BUF_INIT;
  if (pod_container (f->pod, container, previous, &f->a, &info, &err) || file_read (info.log_path, 1 << 20, &b, &err))
    fail_msg ("%s", err.text);
  return buf_take_cstr (&b);
}

#define UID_ "22222222-0000-0000-0000-0000000000"

static void
test_pod__runs_with_volumes_env_and_probe_and_is_deleted (void **state)
{
  struct fixture *f = *state;
  struct value *object;
  char *text, path[256];
  mono_t start;
  f->config = parse (f, "{\"metadata\":{\"name\":\"conf\"},\"data\":{\"greeting\":\"hello\",\"other\":\"o\"}}");
  object = pod_object_of (f, UID_ "01",
                          "{\"terminationGracePeriodSeconds\":5,\"volumes\":[{\"name\":\"c\",\"configMap\":{\"name\":\"conf\",\"items\":[{\"key\":\"greeting\",\"path\":\"d/g\"}]}},"
                          "{\"name\":\"e\",\"emptyDir\":{}}],"
                          "\"initContainers\":[{\"name\":\"i\",\"image\":\"" IMAGE "\",\"command\":[\"sh\",\"-c\",\"echo made > /e/file\"],\"volumeMounts\":[{\"name\":\"e\",\"mountPath\":\"/e\"}]}],"
                          "\"containers\":[{\"name\":\"c\",\"image\":\"" IMAGE "\",\"command\":[\"sh\",\"-c\",\"cat /conf/d/g /e/file; echo $G $(NAME) $IP; grep search /etc/resolv.conf; exec demo\"],"
                          "\"env\":[{\"name\":\"G\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"conf\",\"key\":\"greeting\"}}},"
                          "{\"name\":\"NAME\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.labels['app']\"}}},{\"name\":\"IP\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"status.podIP\"}}}],"
                          "\"volumeMounts\":[{\"name\":\"c\",\"mountPath\":\"/conf\"},{\"name\":\"e\",\"mountPath\":\"/e\"}],"
                          "\"readinessProbe\":{\"httpGet\":{\"path\":\"/\",\"port\":8080},\"periodSeconds\":1}}]}");
  start = mono_now ();
  begin (f, object);
  wait_status (f, "phase", "Running");
  print_message ("running after %lld ms\n", (long long) mono_ms_since (start, mono_now ()));
  wait_ready (f);
  text = log_text (f, "c", false);
  assert_non_null (strstr (text, "stdout F hellomade"));
  snprintf (path, sizeof path, "stdout F hello x %s", value_path_string (f->status, "podIP", "none"));
  assert_non_null (strstr (text, path));
  assert_non_null (strstr (text, "search demo.svc.cluster.local svc.cluster.local cluster.local"));
  free (text);
  assert_int_equal (value_path_int (f->status, "initContainerStatuses.0.state.terminated.exitCode", -1), 0);
  delete_and_wait (f, object, 5);
  snprintf (path, sizeof path, "%s/kubelet/pods/" UID_ "01", f->dir);
  assert_false (file_exists (path));
}

static void
test_pod__failing_container_restarts_with_backoff_then_crash_loop (void **state)
{
  struct fixture *f = *state;
  struct value *object = pod_object_of (f, UID_ "02", "{\"containers\":[{\"name\":\"c\",\"image\":\"" IMAGE "\",\"command\":[\"sh\",\"-c\",\"echo out; echo bye > /dev/termination-log; exit 4\"]}]}");
  char *text;
  begin (f, object);
  wait_status (f, "containerStatuses.0.state.waiting.reason", "CrashLoopBackOff");
  assert_int_equal (value_path_int (f->status, "containerStatuses.0.restartCount", -1), 1);
  assert_int_equal (value_path_int (f->status, "containerStatuses.0.lastState.terminated.exitCode", -1), 4);
  assert_string_equal (value_path_string (f->status, "containerStatuses.0.lastState.terminated.message", ""), "bye\n");
  text = log_text (f, "c", true);
  assert_non_null (strstr (text, "stdout F out"));
  free (text);
  delete_and_wait (f, object, 0);
}

static void
test_pod__never_restarted_succeeds (void **state)
{
  struct fixture *f = *state;
  struct value *object = pod_object_of (f, UID_ "03", "{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"" IMAGE "\",\"command\":[\"true\"]}]}");
  begin (f, object);
  wait_status (f, "phase", "Succeeded");
  assert_string_equal (value_path_string (f->status, "containerStatuses.0.state.terminated.reason", ""), "Completed");
  delete_and_wait (f, object, 30);
}

static void
test_pod__finished_pod_whose_object_goes_is_cleaned_up (void **state)
{
  struct fixture *f = *state;
  char path[128];
  mono_t start;
  begin (f, pod_object_of (f, UID_ "09", "{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"" IMAGE "\",\"command\":[\"true\"]}]}"));
  wait_status (f, "phase", "Succeeded");
  snprintf (path, sizeof path, "%s/run/ns/" UID_ "09", f->dir);
  start = mono_now ();
  while (file_exists (path) && mono_ms_since (start, mono_now ()) < WAIT_MS)
    loop_step (f->loop, 100);
  pod_orphan (f->pod);
  while (!f->gone && mono_ms_since (start, mono_now ()) < WAIT_MS)
    loop_step (f->loop, 500);
  assert_true (f->gone);
  assert_false (f->removed);
  snprintf (path, sizeof path, "%s/kubelet/pods/" UID_ "09", f->dir);
  assert_false (file_exists (path));
}

static void
test_pod__missing_configmap_waits_then_runs (void **state)
{
  struct fixture *f = *state;
  struct value *object = pod_object_of (f, UID_ "04", "{\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"c\",\"configMap\":{\"name\":\"conf\"}}],\"containers\":[{\"name\":\"c\",\"image\":\"" IMAGE "\",\"command\":[\"cat\",\"/conf/k\"],"
                                                      "\"volumeMounts\":[{\"name\":\"c\",\"mountPath\":\"/conf\"}]}]}");
  mono_t start = mono_now ();
  f->config = NULL;
  begin (f, object);
  while (!value_count (f->events) && mono_ms_since (start, mono_now ()) < WAIT_MS)
    loop_step (f->loop, 500);
  assert_non_null (strstr (value_as_string (value_at (f->events, 0), ""), "FailedMount: MountVolume.SetUp failed for volume \"c\" : configmap \"conf\" not found"));
  f->config = parse (f, "{\"data\":{\"k\":\"v\"}}");
  wait_status (f, "phase", "Succeeded");
  delete_and_wait (f, object, 0);
}

static void
test_pod__missing_image_and_missing_program_give_upstreams_reasons (void **state)
{
  struct fixture *f = *state;
  struct value *object = pod_object_of (f, UID_ "05", "{\"containers\":[{\"name\":\"a\",\"image\":\"nowhere.invalid/x:1\",\"imagePullPolicy\":\"Never\"},"
                                                      "{\"name\":\"b\",\"image\":\"UPPER//x\"}]}");
  begin (f, object);
  wait_status (f, "containerStatuses.0.state.waiting.reason", "ErrImageNeverPull");
  wait_status (f, "containerStatuses.1.state.waiting.reason", "InvalidImageName");
  delete_and_wait (f, object, 0);
  object = pod_object_of (f, UID_ "06", "{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"a\",\"image\":\"" IMAGE "\",\"command\":[\"/no/such\"]}]}");
  begin (f, object);
  wait_status (f, "phase", "Failed");
  assert_string_equal (value_path_string (f->status, "containerStatuses.0.state.terminated.reason", ""), "StartError");
  delete_and_wait (f, object, 0);
}

static void
test_pod__liveness_failure_restarts_and_hooks_run (void **state)
{
  struct fixture *f = *state;
  struct value *object = pod_object_of (f, UID_ "07", "{\"terminationGracePeriodSeconds\":1,\"volumes\":[{\"name\":\"e\",\"emptyDir\":{\"medium\":\"Memory\"}}],\"containers\":[{\"name\":\"c\",\"image\":\"" IMAGE "\",\"command\":[\"sh\",\"-c\",\"trap 'exit 0' TERM; cat /e/post; while :; do sleep 0.1; done\"],"
                                                      "\"volumeMounts\":[{\"name\":\"e\",\"mountPath\":\"/e\",\"subPath\":\"deep/er\"}],"
                                                      "\"lifecycle\":{\"postStart\":{\"exec\":{\"command\":[\"sh\",\"-c\",\"echo posted >> /e/post\"]}},\"preStop\":{\"exec\":{\"command\":[\"sh\",\"-c\",\"echo stopped >> /e/post\"]}}},"
                                                      "\"livenessProbe\":{\"exec\":{\"command\":[\"sh\",\"-c\",\"! grep -q posted /e/post || [ $(grep -c posted /e/post) = 2 ]\"]},\"periodSeconds\":1,\"failureThreshold\":1}}]}");
  char *text;
  begin (f, object);
  wait_number (f, "containerStatuses.0.restartCount", 1);
  wait_ready (f);
  text = log_text (f, "c", false);
  assert_non_null (strstr (text, "F posted"));
  assert_non_null (strstr (text, "F stopped"));
  free (text);
  delete_and_wait (f, object, 1);
}

static void
test_pod__new_kubelet_adopts_what_runs (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  struct container_record *list = NULL;
  size_t n = 0;
  char *id;
  struct value *object = pod_object_of (f, UID_ "08", "{\"containers\":[{\"name\":\"c\",\"image\":\"" IMAGE "\"}]}");
  begin (f, object);
  wait_ready (f);
  id = strdup (value_path_string (f->status, "containerStatuses.0.containerID", ""));
  value_set (&f->a, object, "status", value_clone (&f->a, f->status));
  pod_free (f->pod);
  f->pod = NULL;
  for (int i = 0; i < 10; i++)
    loop_step (f->loop, 10);
  runtime_free (f->host.runtime);
  image_store_close (f->images);
  open_node (f);
  assert_int_equal (runtime_container_list (f->host.runtime, &f->a, &list, &n, &err), 0);
  assert_int_equal (n, 1);
  f->status = NULL;
  if (!(f->pod = pod_new (&f->host, object, list, n, &err)))
    fail_msg ("%s", err.text);
  wait_status (f, "phase", "Running");
  assert_true (condition (f, "Ready"));
  assert_string_equal (value_path_string (f->status, "containerStatuses.0.containerID", ""), id);
  assert_int_equal (value_path_int (f->status, "containerStatuses.0.restartCount", -1), 0);
  free (id);
  delete_and_wait (f, object, 1);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_pod__runs_with_volumes_env_and_probe_and_is_deleted),
      cmocka_unit_test (test_pod__failing_container_restarts_with_backoff_then_crash_loop),
      cmocka_unit_test (test_pod__never_restarted_succeeds),
      cmocka_unit_test (test_pod__finished_pod_whose_object_goes_is_cleaned_up),
      cmocka_unit_test (test_pod__missing_configmap_waits_then_runs),
      cmocka_unit_test (test_pod__missing_image_and_missing_program_give_upstreams_reasons),
      cmocka_unit_test (test_pod__liveness_failure_restarts_and_hooks_run),
      cmocka_unit_test (test_pod__new_kubelet_adopts_what_runs),
  };
  if (geteuid () != 0) {
    puts ("test_pod: skipped: it makes namespaces, mounts and cgroups, which needs root");
    return 0;
  }
  log_init ("test_pod", LOG_LEVEL_WARN);
  return cmocka_run_group_tests (tests, setup_all, teardown_all);
}
