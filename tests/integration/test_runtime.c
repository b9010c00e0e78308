/* Real sandboxes and containers: crun, conmon, CNI. The image is made from busybox-static on the spot. Needs root. */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "schemas/json.h"
#include "services/kubelet/runtime.h"

#define IMAGE "localhost/kubus/demo:1"
#define UID1 "11111111-aaaa-bbbb-cccc-000000000001"

struct fixture {
  char dir[64];
  struct loop *loop;
  struct image_store *images;
  struct runtime *rt;
  struct arena a;
  struct container_record last;
  unsigned exits;
};

static void
on_exit_cb (void *arg, const struct container_record *rec)
{
  struct fixture *f = arg;
  f->last = *rec;
  f->last.container = arena_strdup (&f->a, rec->container); /* its strings live during the call only */
  f->exits++;
}

static void
open_runtime (struct fixture *f)
{
  struct err err = {0};
  char path[128];
  snprintf (path, sizeof path, "%s/kubelet/images", f->dir);
  f->images = image_store_open (path, &err);
  if (!f->images)
    fail_msg ("%s", err.text);
  f->rt = runtime_crun_new (&(struct runtime_crun_config) {.loop = f->loop, .images = f->images, .dir = f->dir, .pod_cidr = "10.253.7.0/24",
                                                           .bridge = "kubustest0", .cni_bin = "/usr/lib/cni"},
                            &err);
  if (!f->rt)
    fail_msg ("%s", err.text);
  f->rt->on_exit = on_exit_cb;
  f->rt->on_exit_arg = f;
}

static int
setup (void **state)
{
  struct fixture *f = calloc (1, sizeof *f);
  struct err err = {0};
  struct value *names;
  char tar[96];
  const char *argv[] = {"deploy/examples/make-demo-image.sh", tar, NULL};
  struct proc_config pc = {.argv = argv, .err = {PROC_INHERIT, -1}};
  snprintf (f->dir, sizeof f->dir, "/tmp/kubus-rt-XXXXXX");
  assert_non_null (mkdtemp (f->dir));
  f->loop = loop_new (&err);
  arena_init (&f->a, 0);
  open_runtime (f);
  snprintf (tar, sizeof tar, "%s/demo.tar", f->dir);
  assert_int_equal (proc_run (&pc, NULL, NULL, &err), 0);
  names = value_array (&f->a);
  if (image_import (f->images, tar, NULL, &f->a, names, &err))
    fail_msg ("%s", err.text);
  assert_string_equal (value_as_string (value_at (names, 0), ""), IMAGE);
  *state = f;
  return 0;
}

static int
teardown (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  struct container_record *list = NULL;
  const char *link[] = {"ip", "link", "delete", "kubustest0", NULL}, *nft[] = {"nft", "delete", "table", "ip", "kubus-kubelet", NULL};
  char **uids = NULL;
  size_t n = 0;
  if (!runtime_container_list (f->rt, &f->a, &list, &n, &err))
    for (size_t i = 0; i < n; i++)
      (void) runtime_container_remove (f->rt, list[i].id, NULL);
  if (!runtime_pod_list (f->rt, &uids, &n, &err))
    for (size_t i = 0; i < n; i++)
      (void) runtime_sandbox_remove (f->rt, uids[i], NULL);
  free (uids);
  runtime_free (f->rt);
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
    fail_msg ("%s", err.text);
  return v;
}

static const struct value *
pod_with (struct fixture *f, const char *container_json)
{
  return parse (f, arena_printf (&f->a, "{\"metadata\":{\"uid\":\"" UID1 "\",\"name\":\"p\",\"namespace\":\"ns\"},\"spec\":{\"containers\":[%s]}}",
                                 container_json));
}

static struct sandbox_status
run_sandbox (struct fixture *f, const struct value *pod)
{
  struct sandbox_config sc = {.pod = pod, .uid = UID1, .hostname = "pod-host", .cgroup_parent = "kubus/besteffort/pod" UID1};
  struct sandbox_status st = {0};
  struct err err = {0};
  if (runtime_sandbox_run (f->rt, &sc, &st, &err))
    fail_msg ("%s", err.text);
  assert_true (st.ready);
  return st;
}

static int
create (struct fixture *f, const struct value *pod, unsigned attempt, char id[CONTAINER_ID_SIZE], struct err *err)
{
  const struct value *c = value_path (pod, "spec.containers.0");
  struct image *image = NULL;
  struct container_config cc = {.pod = pod, .container = c, .attempt = attempt, .cgroup_parent = "kubus/besteffort/pod" UID1,
                                .hostname = "pod-host"};
  int rc;
  container_id (UID1, value_path_string (c, "name", ""), attempt, id);
  cc.id = id;
  cc.log_path = arena_printf (&f->a, "%s/log/%s/%u.log", f->dir, value_path_string (c, "name", ""), attempt);
  if ((rc = runtime_image_resolve (f->rt, IMAGE, &image, err)))
    return rc;
  cc.image = image;
  rc = runtime_container_create (f->rt, &cc, err);
  image_free (image);
  return rc;
}

static void
wait_exit (struct fixture *f, unsigned exits)
{
  mono_t start = mono_now ();
  while (f->exits < exits) {
    loop_step (f->loop, 1000);
    assert_true (mono_ms_since (start, mono_now ()) < 20000);
  }
}

static const char *
log_of (struct fixture *f, const char *container, unsigned attempt)
{
  struct buf b = BUF_INIT;
  struct err err = {0};
  if (file_read (arena_printf (&f->a, "%s/log/%s/%u.log", f->dir, container, attempt), 1 << 20, &b, &err))
    fail_msg ("%s", err.text);
  return buf_take_cstr (&b);
}

static void
test_container__runs_and_exits_code_and_log_kept (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  char id[CONTAINER_ID_SIZE];
  char *text;
  const struct value *pod = pod_with (f, "{\"name\":\"c\",\"image\":\"" IMAGE "\",\"command\":[\"sh\",\"-c\",\"hostname; echo bad >&2; cat /proc/1/cgroup; exit 3\"],"
                                         "\"resources\":{\"limits\":{\"memory\":\"50Mi\",\"cpu\":\"500m\"}}}");
  run_sandbox (f, pod);
  if (create (f, pod, 0, id, &err))
    fail_msg ("%s", err.text);
  if (runtime_container_start (f->rt, id, &err) || runtime_container_watch (f->rt, id, &err))
    fail_msg ("%s", err.text);
  wait_exit (f, 1);
  assert_int_equal (f->last.exit_code, 3);
  assert_string_equal (f->last.container, "c");
  text = (char *) (uintptr_t) log_of (f, "c", 0);
  assert_non_null (strstr (text, " stdout F pod-host\n"));
  assert_non_null (strstr (text, " stderr F bad\n"));
  assert_non_null (strstr (text, UID1));
  free (text);
  assert_int_equal (runtime_container_remove (f->rt, id, &err), 0);
  assert_int_equal (runtime_container_remove (f->rt, id, &err), 0);
  assert_int_equal (runtime_sandbox_remove (f->rt, UID1, &err), 0);
}

static void
test_container__reopened_runtime_still_sees_it_run (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  struct container_record *list = NULL;
  struct sandbox_status st, again = {0};
  size_t n = 0;
  char id[CONTAINER_ID_SIZE];
  unsigned exits = f->exits;
  const struct value *pod = pod_with (f, "{\"name\":\"d\",\"image\":\"" IMAGE "\"}");
  st = run_sandbox (f, pod);
  assert_int_equal (st.n_ips, 1);
  if (create (f, pod, 0, id, &err) || runtime_container_start (f->rt, id, &err))
    fail_msg ("%s", err.text);
  runtime_free (f->rt);
  image_store_close (f->images);
  open_runtime (f);
  assert_int_equal (runtime_sandbox_get (f->rt, UID1, false, &again), 0);
  assert_true (again.ready);
  assert_string_equal (again.ips[0], st.ips[0]);
  assert_int_equal (runtime_container_list (f->rt, &f->a, &list, &n, &err), 0);
  assert_int_equal (n, 1);
  assert_int_equal (list[0].state, CONTAINER_RUNNING);
  assert_int_equal (runtime_container_watch (f->rt, id, &err), 0);
  assert_int_equal (runtime_container_signal (f->rt, id, SIGKILL, &err), 0);
  wait_exit (f, exits + 1);
  assert_int_equal (f->last.exit_code, 137);
  assert_int_equal (runtime_container_remove (f->rt, id, &err), 0);
  assert_int_equal (runtime_sandbox_remove (f->rt, UID1, &err), 0);
}

struct exec_result {
  bool done;
  int code;
  char text[256];
};

static void
exec_done (void *arg, struct proc *p, const struct proc_exit *e)
{
  struct exec_result *r = arg;
  (void) p;
  r->done = true;
  r->code = e->code;
  snprintf (r->text, sizeof r->text, "%s", buf_cstr (e->out));
}

static void
test_exec__in_running_container_gives_output_and_code (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  struct exec_result r = {0};
  char id[CONTAINER_ID_SIZE];
  static const char *const argv[] = {"sh", "-c", "wget -qO- http://127.0.0.1:8080/; exit 7", NULL};
  const struct value *pod = pod_with (f, "{\"name\":\"e\",\"image\":\"" IMAGE "\",\"command\":[\"sh\",\"-c\",\"demo\"]}");
  mono_t start;
  run_sandbox (f, pod);
  if (create (f, pod, 0, id, &err) || runtime_container_start (f->rt, id, &err))
    fail_msg ("%s", err.text);
  start = mono_now ();
  while (!r.done || r.text[0] == 0) { /* the server may not listen yet */
    r = (struct exec_result) {0};
    if (runtime_exec (f->rt, id, &(struct proc_config) {.out = {PROC_CAPTURE, -1}, .on_exit = exec_done, .arg = &r}, argv, NULL, &err))
      fail_msg ("%s", err.text);
    while (!r.done)
      loop_step (f->loop, 1000);
    assert_true (mono_ms_since (start, mono_now ()) < 10000);
  }
  assert_int_equal (r.code, 7);
  assert_string_equal (r.text, "pod-host\n");
  assert_int_equal (runtime_container_remove (f->rt, id, &err), 0);
  assert_int_equal (runtime_sandbox_remove (f->rt, UID1, &err), 0);
}

static void
test_container_create__missing_program_refused_and_nothing_left (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  struct container_record *list = NULL;
  size_t n = 1;
  char id[CONTAINER_ID_SIZE];
  const struct value *pod = pod_with (f, "{\"name\":\"m\",\"image\":\"" IMAGE "\",\"command\":[\"/no/such\"]}");
  run_sandbox (f, pod);
  assert_int_not_equal (create (f, pod, 0, id, &err), 0);
  assert_non_null (strstr (err.text, "/no/such"));
  assert_int_equal (runtime_container_list (f->rt, &f->a, &list, &n, &err), 0);
  assert_int_equal (n, 0);
  assert_int_equal (runtime_sandbox_remove (f->rt, UID1, &err), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_container__runs_and_exits_code_and_log_kept),
      cmocka_unit_test (test_container__reopened_runtime_still_sees_it_run),
      cmocka_unit_test (test_exec__in_running_container_gives_output_and_code),
      cmocka_unit_test (test_container_create__missing_program_refused_and_nothing_left),
  };
  if (geteuid () != 0) {
    puts ("test_runtime: skipped: it makes namespaces, mounts and cgroups, which needs root");
    return 0;
  }
  log_init ("test_runtime", LOG_LEVEL_WARN);
  return cmocka_run_group_tests (tests, setup, teardown);
}
