#include "services/kubelet/pod_decide.h"

#include <string.h>

struct ctx {
  const struct pod_facts *f;
  int64_t now;
  struct pod_decision *d;
};

static void
wake (struct ctx *x, int64_t at)
{
  if (!x->d->wake_ms || at < x->d->wake_ms)
    x->d->wake_ms = at;
}

static struct pod_step *
step (struct ctx *x, enum pod_op op, size_t c, enum pod_why why)
{
  struct pod_step *s = &x->d->steps[x->d->n++];
  *s = (struct pod_step) {.op = op, .c = c, .why = why};
  return s;
}

static bool
active (const struct pod_container *c)
{
  return c->busy || c->state == POD_C_RUNNING;
}

static bool
restarts (const struct pod_facts *f, const struct pod_container *c)
{
  if (c->kind == POD_SIDECAR)
    return true;
  if (c->kind == POD_INIT)
    return c->exit_code != 0 && f->restart != POD_NEVER;
  return f->restart == POD_ALWAYS || (f->restart == POD_ON_FAILURE && c->exit_code != 0);
}

static void
kill_container (struct ctx *x, size_t i, enum pod_why why, int64_t grace_s)
{
  if (x->f->c[i].state == POD_C_RUNNING && !x->f->c[i].killing)
    step (x, POD_KILL, i, why)->grace_s = grace_s;
}

/* Ends everything: the main and init containers at once, then the sidecars from the last to the first (KEP-753). True when nothing runs. */
static bool
stop_all (struct ctx *x, enum pod_why why)
{
  bool quiet = true;
  for (size_t i = 0; i < x->f->n; i++) {
    if (x->f->c[i].kind == POD_SIDECAR)
      continue;
    quiet &= !active (&x->f->c[i]);
    kill_container (x, i, why, x->f->grace_s);
  }
  for (size_t i = x->f->n; i-- > 0 && quiet;) {
    if (x->f->c[i].kind != POD_SIDECAR)
      continue;
    quiet &= !active (&x->f->c[i]);
    kill_container (x, i, why, x->f->grace_s);
  }
  return quiet;
}

/* Starts a container that may run now: the first time, or again after its back-off. */
static void
start (struct ctx *x, size_t i)
{
  const struct pod_container *c = &x->f->c[i];
  struct pod_step *s;
  int64_t backoff = 0;
  if (c->busy || c->state == POD_C_RUNNING)
    return;
  if (c->retry_at_ms > x->now) {
    wake (x, c->retry_at_ms);
    return;
  }
  if (c->state == POD_C_EXITED) {
    bool fresh = !c->backoff_ms || x->now - c->backoff_set_ms > 2 * POD_BACKOFF_MAX_MS;
    if (!fresh && x->now - c->finished_ms < c->backoff_ms) {
      x->d->crash_loop[i] = true;
      wake (x, c->finished_ms + c->backoff_ms);
      return;
    }
    backoff = fresh ? POD_BACKOFF_FIRST_MS : c->backoff_ms * 2;
    if (backoff > POD_BACKOFF_MAX_MS)
      backoff = POD_BACKOFF_MAX_MS;
  }
  s = step (x, POD_START, i, POD_WHY_NONE);
  s->backoff_ms = backoff;
}

/* A running container that its probes have condemned; a restart follows from its end. */
static void
check_health (struct ctx *x, size_t i)
{
  const struct pod_container *c = &x->f->c[i];
  if (c->state == POD_C_RUNNING && c->unhealthy)
    kill_container (x, i, POD_WHY_UNHEALTHY, c->probe_grace_s >= 0 ? c->probe_grace_s : x->f->grace_s);
}

static bool
main_began (const struct pod_facts *f)
{
  for (size_t i = 0; i < f->n; i++)
    if (f->c[i].kind == POD_MAIN && (f->c[i].busy || f->c[i].state != POD_C_NONE))
      return true;
  return false;
}

/* Whether the init containers are all done (sidecars: started). Fills initialized. */
static bool
init_done (const struct pod_facts *f, bool *ret_failed)
{
  *ret_failed = false;
  for (size_t i = 0; i < f->n; i++) {
    const struct pod_container *c = &f->c[i];
    if (c->kind == POD_INIT && (c->busy || c->state != POD_C_EXITED || c->exit_code != 0)) {
      *ret_failed = c->state == POD_C_EXITED && !c->busy && c->exit_code != 0 && f->restart == POD_NEVER;
      return false;
    }
    if (c->kind == POD_SIDECAR && !(c->state == POD_C_RUNNING && c->started))
      return false;
  }
  return true;
}

/* The init containers' next move. */
static void
advance_init (struct ctx *x)
{
  for (size_t i = 0; i < x->f->n; i++) {
    const struct pod_container *c = &x->f->c[i];
    if (c->kind == POD_MAIN)
      return;
    check_health (x, i);
    if (c->kind == POD_SIDECAR) {
      start (x, i);
      if (!(c->state == POD_C_RUNNING && c->started))
        return;
      continue;
    }
    if (c->busy || c->state == POD_C_RUNNING)
      return;
    if (c->state == POD_C_EXITED && c->exit_code == 0)
      continue;
    start (x, i);
    return;
  }
}

static enum pod_phase
phase_of (const struct pod_facts *f, bool began, bool initialized, bool init_failed)
{
  size_t running = 0, waiting = 0, stopped = 0, succeeded = 0;
  if (f->rejected || (init_failed && !began))
    return POD_FAILED;
  if (!initialized && !began)
    return POD_PENDING;
  for (size_t i = 0; i < f->n; i++) {
    const struct pod_container *c = &f->c[i];
    if (c->kind != POD_MAIN)
      continue;
    running += c->state == POD_C_RUNNING;
    stopped += c->state == POD_C_EXITED;
    succeeded += c->state == POD_C_EXITED && c->exit_code == 0;
    waiting += c->state == POD_C_NONE;
  }
  if (waiting)
    return POD_PENDING;
  if (running)
    return POD_PHASE_RUNNING;
  if (!stopped)
    return POD_PENDING;
  if (f->restart == POD_ALWAYS)
    return POD_PHASE_RUNNING;
  if (stopped == succeeded)
    return POD_SUCCEEDED;
  return f->restart == POD_NEVER ? POD_FAILED : POD_PHASE_RUNNING;
}

static bool
any_active (const struct pod_facts *f)
{
  for (size_t i = 0; i < f->n; i++)
    if (active (&f->c[i]))
      return true;
  return false;
}

/* While it is deleted, and after it: containers, then sandbox and volumes, then the last status, then the object. */
static void
terminate (struct ctx *x)
{
  if (!stop_all (x, POD_WHY_DELETED) || x->f->busy)
    return;
  if (!x->f->torn_down) {
    if (x->f->retry_at_ms > x->now)
      wake (x, x->f->retry_at_ms);
    else
      step (x, POD_TEAR_DOWN, 0, POD_WHY_DELETED);
  } else if (x->f->final_posted) {
    step (x, POD_FORGET, 0, POD_WHY_DELETED);
  }
}

static void
finish (struct ctx *x, enum pod_why why)
{
  if (stop_all (x, why) && !x->f->busy && !x->f->torn_down) {
    if (x->f->retry_at_ms > x->now)
      wake (x, x->f->retry_at_ms);
    else
      step (x, POD_TEAR_DOWN, 0, why);
  }
}

static bool
past_deadline (struct ctx *x)
{
  int64_t at = x->f->start_ms + x->f->deadline_s * 1000;
  if (!x->f->deadline_s || !x->f->start_ms)
    return false;
  if (x->now >= at)
    return true;
  wake (x, at);
  return false;
}

static void
run (struct ctx *x, bool began, bool initialized)
{
  const struct pod_facts *f = x->f;
  if (!f->sandbox_ready) {
    /* What still runs belongs to a sandbox that is gone. */
    if (!stop_all (x, POD_WHY_SANDBOX) || f->busy)
      return;
    if (f->retry_at_ms > x->now)
      wake (x, f->retry_at_ms);
    else
      step (x, POD_SET_UP, 0, POD_WHY_NONE);
    return;
  }
  if (!began && !initialized) {
    advance_init (x);
    return;
  }
  for (size_t i = 0; i < f->n; i++) {
    const struct pod_container *c = &f->c[i];
    if (c->kind == POD_INIT)
      continue;
    check_health (x, i);
    if (c->state == POD_C_NONE || (c->state == POD_C_EXITED && restarts (f, c)))
      start (x, i);
  }
}

void
pod_decide (const struct pod_facts *f, int64_t now_ms, struct pod_decision *ret)
{
  struct ctx x = {f, now_ms, ret};
  bool init_failed, began, initialized;
  memset (ret, 0, sizeof *ret);
  began = main_began (f);
  initialized = init_done (f, &init_failed);
  ret->initialized = initialized || began;
  ret->phase = phase_of (f, began, initialized, init_failed);
  for (size_t i = 0; i < f->n; i++)
    ret->will_restart[i] = f->c[i].state == POD_C_EXITED && restarts (f, &f->c[i]);
  if (f->terminating) {
    /* Nothing more is started: containers that never were do not keep it Pending. */
    if (ret->phase == POD_PHASE_RUNNING && !any_active (f)) {
      ret->phase = POD_SUCCEEDED;
      for (size_t i = 0; i < f->n; i++)
        if (f->c[i].kind == POD_MAIN && f->c[i].state == POD_C_EXITED && f->c[i].exit_code != 0)
          ret->phase = POD_FAILED;
    }
    memset (ret->will_restart, 0, sizeof ret->will_restart);
    terminate (&x);
    return;
  }
  if (f->rejected)
    return;
  if (ret->phase == POD_SUCCEEDED || ret->phase == POD_FAILED) {
    memset (ret->will_restart, 0, sizeof ret->will_restart);
    finish (&x, POD_WHY_FINISHED);
    return;
  }
  if (past_deadline (&x)) {
    ret->phase = POD_FAILED;
    ret->deadline_exceeded = true;
    memset (ret->will_restart, 0, sizeof ret->will_restart);
    finish (&x, POD_WHY_DEADLINE);
    return;
  }
  if (!f->sandbox_ready && f->sandbox_lost && f->restart == POD_NEVER && began && !any_active (f)) {
    ret->phase = POD_FAILED; /* upstream: a pod that must not restart is not given a second sandbox */
    finish (&x, POD_WHY_FINISHED);
    return;
  }
  run (&x, began, initialized);
}
