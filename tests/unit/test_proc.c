#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/proc.h"

static int
run (const char *script, struct buf *out, struct buf *errout, struct err *err)
{
  const char *argv[] = {"sh", "-c", script, NULL};
  struct proc_config c = {.argv = argv};
  return proc_run (&c, out, errout, err);
}

static void
test_proc_run__output_and_code (void **state)
{
  struct buf out AUTO_BUF = BUF_INIT, errout AUTO_BUF = BUF_INIT;
  struct err err;
  (void) state;
  assert_int_equal (run ("echo out; echo err >&2; exit 3", &out, &errout, &err), 3);
  assert_string_equal (buf_cstr (&out), "out\n");
  assert_string_equal (buf_cstr (&errout), "err\n");
  assert_int_equal (run ("kill -9 $$", NULL, NULL, &err), 137);
}

static void
test_proc_run__missing_program_is_named (void **state)
{
  const char *argv[] = {"no-such-program-here", NULL};
  struct proc_config c = {.argv = argv};
  struct err err;
  (void) state;
  assert_int_equal (proc_run (&c, NULL, NULL, &err), ERR_NOT_FOUND);
  assert_non_null (strstr (err.text, "no-such-program-here"));
}

static void
test_proc_run__input_and_environment (void **state)
{
  const char *argv[] = {"/bin/sh", "-c", "cat; echo $A; pwd", NULL}, *env[] = {"A=b c", "PATH=/bin:/usr/bin", NULL};
  struct buf out AUTO_BUF = BUF_INIT;
  struct proc_config c = {.argv = argv, .env = env, .cwd = "/usr", .in = {.kind = PROC_INPUT}, .input = "hello ", .input_len = 6};
  struct err err;
  (void) state;
  assert_int_equal (proc_run (&c, &out, NULL, &err), 0);
  assert_string_equal (buf_cstr (&out), "hello b c\n/usr\n");
}

static void
test_proc_run__inherits_no_descriptors (void **state)
{
  struct buf out AUTO_BUF = BUF_INIT;
  struct err err;
  int fd AUTO_CLOSE = dup (0); /* not close-on-exec on purpose */
  (void) state;
  assert_true (fd >= 0);
  assert_int_equal (run ("ls /proc/self/fd | wc -l", &out, NULL, &err), 0);
  assert_int_equal (strtol (buf_cstr (&out), NULL, 10), 4); /* 0, 1, 2 and ls's own directory */
}

static void
test_proc_run__timeout_kills_the_group (void **state)
{
  const char *argv[] = {"sh", "-c", "sleep 100 & sleep 100", NULL};
  struct proc_config c = {.argv = argv, .new_group = true, .timeout_ms = 50};
  struct buf out AUTO_BUF = BUF_INIT;
  struct err err;
  (void) state;
  assert_int_equal (proc_run (&c, &out, NULL, &err), 128 + SIGKILL);
}

static void
test_proc_run__capture_is_bounded (void **state)
{
  const char *argv[] = {"sh", "-c", "head -c 1000000 /dev/zero", NULL};
  struct proc_config c = {.argv = argv, .capture_limit_bytes = 1000};
  struct buf out AUTO_BUF = BUF_INIT;
  struct err err;
  (void) state;
  assert_int_equal (proc_run (&c, &out, NULL, &err), 0);
  assert_int_equal (out.len, 1000);
}

static void
set_done (void *arg, struct proc *p, const struct proc_exit *e)
{
  (void) p;
  *(int *) arg = e->code;
}

static void
test_proc_spawn__pty_is_a_terminal (void **state)
{
  struct err err;
  struct loop *l = loop_new (&err);
  const char *argv[] = {"sh", "-c", "test -t 0 && test -t 1 && stty size; read x; exit $x", NULL};
  int code = -1;
  struct proc_config c = {.argv = argv, .pty = true, .rows = 30, .cols = 100, .on_exit = set_done, .arg = &code};
  struct proc *p;
  char text[256] = "";
  size_t n = 0;
  (void) state;
  assert_int_equal (proc_spawn (l, &c, &p, &err), 0);
  assert_int_equal (write (proc_fd (p, 0), "7\n", 2), 2);
  int fd AUTO_CLOSE = proc_take_fd (p, 0);
  while (code < 0)
    loop_step (l, 1000);
  for (ssize_t got; n < sizeof text - 1 && (got = read (fd, text + n, sizeof text - 1 - n)) > 0;)
    n += (size_t) got;
  assert_int_equal (code, 7);
  assert_non_null (strstr (text, "30 100"));
  loop_free (l);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_proc_run__output_and_code),
      cmocka_unit_test (test_proc_run__missing_program_is_named),
      cmocka_unit_test (test_proc_run__input_and_environment),
      cmocka_unit_test (test_proc_run__inherits_no_descriptors),
      cmocka_unit_test (test_proc_run__timeout_kills_the_group),
      cmocka_unit_test (test_proc_run__capture_is_bounded),
      cmocka_unit_test (test_proc_spawn__pty_is_a_terminal),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
