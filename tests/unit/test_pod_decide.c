/* pod_decide as tables: a pod's facts BEFORE, as one word a container, and the steps and phase AFTER. */
#include "tests/lib/test.h"

#include "services/kubelet/pod_decide.h"

#define NOW 1000000000

/* "main:run" "init:exit1" "side:none"; flags after '+': busy, killing, started, sick, loop10 (back-off 10 s, ended 5 s ago),
   loop300 (ended 400 s ago, so to be tried), retry (not before now + 7 s). */
static void
parse_container (const char *word, struct pod_container *c)
{
  const char *state = strchr (word, ':') + 1;
  *c = (struct pod_container) {.probe_grace_s = -1};
  c->kind = !strncmp (word, "init", 4) ? POD_INIT : !strncmp (word, "side", 4) ? POD_SIDECAR : POD_MAIN;
  c->state = !strncmp (state, "run", 3) ? POD_C_RUNNING : !strncmp (state, "exit", 4) ? POD_C_EXITED : POD_C_NONE;
  if (c->state == POD_C_EXITED)
    c->exit_code = (int) strtol (state + 4, NULL, 10);
  c->finished_ms = NOW - 5000;
  c->busy = strstr (word, "+busy");
  c->killing = strstr (word, "+killing");
  c->started = strstr (word, "+started");
  c->unhealthy = strstr (word, "+sick");
  if (strstr (word, "+retry"))
    c->retry_at_ms = NOW + 7000;
  if (strstr (word, "+loop10"))
    c->backoff_ms = 10000, c->backoff_set_ms = NOW - 6000;
  if (strstr (word, "+loop300"))
    c->backoff_ms = 300000, c->backoff_set_ms = NOW - 450000, c->finished_ms = NOW - 400000;
}

static const char *
text (const struct pod_decision *d, char *out, size_t size)
{
  static const char *const ops[] = {"setup", "start", "kill", "teardown", "forget"};
  static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed"};
  size_t n = (size_t) snprintf (out, size, "%s:", phases[d->phase]);
  for (size_t i = 0; i < d->n; i++) {
    n += (size_t) snprintf (out + n, size - n, " %s", ops[d->steps[i].op]);
    if (d->steps[i].op == POD_START || d->steps[i].op == POD_KILL)
      n += (size_t) snprintf (out + n, size - n, "%zu", d->steps[i].c);
    if (d->steps[i].op == POD_START && d->steps[i].backoff_ms)
      n += (size_t) snprintf (out + n, size - n, "/%lld", (long long) d->steps[i].backoff_ms / 1000);
  }
  if (d->wake_ms)
    snprintf (out + n, size - n, " wake%lld", (long long) (d->wake_ms - NOW) / 1000);
  return out;
}

static const struct row {
  const char *name, *pod, *containers, *expected;
} rows[] = {
    /* pod: restart policy and flags: sandbox, busy, deleted, torn, posted, deadline, lost */
    {"new pod is set up", "always", "main:none", "Pending: setup"},
    {"set-up under way", "always busy", "main:none", "Pending:"},
    {"set-up failed waits", "always retry", "main:none", "Pending: wake7"},
    {"first start", "always sandbox", "main:none main:none", "Pending: start0 start1"},
    {"start under way", "always sandbox", "main:none+busy", "Pending:"},
    {"failed pull waits", "always sandbox", "main:none+retry", "Pending: wake7"},
    {"running", "always sandbox", "main:run main:run", "Running:"},
    {"first restart is at once", "always sandbox", "main:exit0 main:run", "Running: start0/10"},
    {"second restart waits", "always sandbox", "main:exit1+loop10", "Running: wake5"},
    {"back-off is capped", "always sandbox", "main:exit1+loop300", "Running: start0/300"},
    {"OnFailure restarts failure only", "onfailure sandbox", "main:exit0 main:exit1", "Running: start1/10"},
    {"OnFailure all done", "onfailure sandbox", "main:exit0 main:exit0", "Succeeded: teardown"},
    {"Never fails", "never sandbox", "main:exit0 main:exit3", "Failed: teardown"},
    {"Never waits for the others", "never sandbox", "main:exit3 main:run", "Running:"},
    {"finished and torn down", "never torn", "main:exit0", "Succeeded:"},
    {"init first", "always sandbox", "init:none init:none main:none", "Pending: start0"},
    {"init runs", "always sandbox", "init:run init:none main:none", "Pending:"},
    {"second init", "always sandbox", "init:exit0 init:none main:none", "Pending: start1"},
    {"init done", "always sandbox", "init:exit0 init:exit0 main:none", "Pending: start2"},
    {"init failed is retried", "always sandbox", "init:exit1 main:none", "Pending: start0/10"},
    {"init failed for good", "never sandbox", "init:exit1 main:none", "Failed: teardown"},
    {"sidecar before next init", "always sandbox", "side:none init:none main:none", "Pending: start0"},
    {"sidecar not started yet", "always sandbox", "side:run init:none main:none", "Pending:"},
    {"sidecar started", "always sandbox", "side:run+started init:none main:none", "Pending: start1"},
    {"sidecar restarts even with Never", "never sandbox", "side:exit1 main:run", "Running: start0/10"},
    {"sidecar ended after the mains", "never sandbox", "side:run+started main:exit0", "Succeeded: kill0"},
    {"unhealthy is killed", "always sandbox", "main:run+sick", "Running: kill0"},
    {"unhealthy is killed once", "always sandbox", "main:run+sick+killing", "Running:"},
    {"deleted: mains before sidecars", "always sandbox deleted", "side:run+started main:run main:run", "Running: kill1 kill2"},
    {"deleted: sidecars then", "always sandbox deleted", "side:run+started side:run+started main:exit0", "Running: kill1"},
    {"deleted: start under way is awaited", "always sandbox deleted", "main:none+busy", "Pending:"},
    {"deleted: torn down", "always sandbox deleted", "main:exit0", "Succeeded: teardown"},
    {"deleted: status first", "always deleted torn", "main:exit137", "Failed:"},
    {"deleted: then the object", "always deleted torn posted", "main:exit0", "Succeeded: forget"},
    {"deleted before anything was made", "always deleted torn posted", "main:none", "Pending: forget"},
    {"deadline passed", "always sandbox deadline", "main:run", "Failed: kill0"},
    {"deadline to come", "always sandbox deadline-later", "main:run", "Running: wake30"},
    {"reboot: set up again", "always lost", "main:exit255", "Running: setup"},
    {"reboot: Never is not run again", "never lost", "main:exit255 main:exit0", "Failed: teardown"},
};

static void
test_pod_decide__table (void **state)
{
  (void) state;
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    struct pod_facts f = {.grace_s = 30};
    struct pod_decision d;
    char words[256], out[512], *save = NULL;
    const char *p = rows[r].pod;
    f.restart = !strncmp (p, "never", 5) ? POD_NEVER : !strncmp (p, "onfailure", 9) ? POD_ON_FAILURE : POD_ALWAYS;
    f.sandbox_ready = strstr (p, "sandbox");
    f.sandbox_lost = strstr (p, "lost");
    f.busy = strstr (p, "busy");
    f.terminating = strstr (p, "deleted");
    f.torn_down = strstr (p, "torn");
    f.final_posted = strstr (p, "posted");
    f.retry_at_ms = strstr (p, "retry") ? NOW + 7000 : 0;
    if (strstr (p, "deadline"))
      f.start_ms = NOW - 60000, f.deadline_s = strstr (p, "later") ? 90 : 60;
    snprintf (words, sizeof words, "%s", rows[r].containers);
    for (char *w = strtok_r (words, " ", &save); w; w = strtok_r (NULL, " ", &save))
      parse_container (w, &f.c[f.n++]);
    pod_decide (&f, NOW, &d);
    text (&d, out, sizeof out);
    if (strcmp (out, rows[r].expected) != 0)
      fail_msg ("%s: \"%s\", expected \"%s\"", rows[r].name, out, rows[r].expected);
  }
}

/* Whatever the facts: never two steps for one container, never a start of what runs, and a pod that has all it needs is quiet. */
static void
test_pod_decide__random_facts_invariants_hold (void **state)
{
  uint64_t seed = 0x9e3779b97f4a7c15ull;
  (void) state;
  for (int round = 0; round < 20000; round++) {
    struct pod_facts f = {.grace_s = 30};
    struct pod_decision d;
    unsigned touched[POD_CONTAINERS_MAX] = {0};
#define R(n) ((seed = seed * 6364136223846793005ull + 1442695040888963407ull), (seed >> 33) % (n))
    f.restart = (enum pod_restart) R (3);
    f.n = 1 + R (5);
    f.sandbox_ready = R (4);
    f.sandbox_lost = !R (4);
    f.busy = !R (5);
    f.terminating = !R (4);
    f.torn_down = !f.sandbox_ready && !R (3);
    for (size_t i = 0; i < f.n; i++) {
      f.c[i].kind = i + 1 == f.n ? POD_MAIN : (enum pod_kind) R (3);
      f.c[i].state = (enum pod_cstate) R (3);
      f.c[i].busy = f.c[i].state != POD_C_RUNNING && !R (4);
      f.c[i].exit_code = (int) R (2);
      f.c[i].started = R (2);
      f.c[i].killing = !R (4);
      f.c[i].unhealthy = !R (4);
    }
    pod_decide (&f, NOW, &d);
    for (size_t i = 0; i < d.n; i++) {
      const struct pod_step *s = &d.steps[i];
      if (s->op == POD_START) {
        assert_true (f.sandbox_ready && !f.terminating);
        assert_true (!f.c[s->c].busy && f.c[s->c].state != POD_C_RUNNING);
      }
      if (s->op == POD_KILL)
        assert_true (f.c[s->c].state == POD_C_RUNNING && !f.c[s->c].killing);
      if (s->op == POD_START || s->op == POD_KILL)
        assert_int_equal (touched[s->c]++, 0);
      if (s->op == POD_TEAR_DOWN || s->op == POD_FORGET)
        for (size_t k = 0; k < f.n; k++)
          assert_true (f.c[k].state != POD_C_RUNNING && !f.c[k].busy);
    }
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_pod_decide__table),
      cmocka_unit_test (test_pod_decide__random_facts_invariants_hold),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
