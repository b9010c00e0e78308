#include "services/kubelet/probe.h"

const char *const probe_names[PROBE_COUNT] = {"Startup", "Liveness", "Readiness"};

struct probe {
  struct handler_ctx x;
  char ip[INET6_ADDRSTRLEN];
  char id[CONTAINER_ID_SIZE];
  enum probe_kind kind;
  const struct value *spec;
  probe_cb cb;
  void *arg;
  struct loop_timer *timer;
  struct handler *handler;
  unsigned successes, failures;
  bool known, healthy;
  bool in_cb, freed;
};

static void
again (struct probe *p)
{
  loop_timer_set (p->timer, value_path_int (p->spec, "periodSeconds", 10) * 1000);
}

static void
result (void *arg, enum handler_result r, const char *output)
{
  struct probe *p = arg;
  bool ok = r == HANDLER_OK, changed = false;
  p->handler = NULL;
  p->successes = ok ? p->successes + 1 : 0;
  p->failures = ok ? 0 : p->failures + 1;
  if (ok ? p->successes >= (unsigned) value_path_int (p->spec, "successThreshold", 1)
         : p->failures >= (unsigned) value_path_int (p->spec, "failureThreshold", 3)) {
    changed = !p->known || p->healthy != ok;
    p->known = true;
    p->healthy = ok;
  }
  p->in_cb = true;
  p->cb (p->arg, p->kind, p->known && p->healthy, changed, !ok, output);
  p->in_cb = false;
  if (p->freed)
    free (p);
  else if (p->kind != PROBE_STARTUP || !(p->known && p->healthy)) /* a startup probe that has passed has done its work */
    again (p);
}

static void
run (void *arg)
{
  struct probe *p = arg;
  struct err err;
  if (handler_run (&p->x, p->spec, value_path_int (p->spec, "timeoutSeconds", 1) * 1000, result, p, &p->handler, &err))
    result (p, HANDLER_FAILED, err.text);
}

struct probe *
probe_new (const struct handler_ctx *x, enum probe_kind kind, const struct value *spec, probe_cb cb, void *arg, struct err *err)
{
  struct probe *p = mem_zalloc (sizeof *p);
  if (!p || !(p->timer = loop_timer_new (x->loop, run, p))) {
    free (p);
    err_set (err, ERR_NOMEM, "probe");
    return NULL;
  }
  p->x = *x;
  snprintf (p->ip, sizeof p->ip, "%s", x->ip ? x->ip : "127.0.0.1");
  snprintf (p->id, sizeof p->id, "%s", x->container_id);
  p->x.ip = p->ip;
  p->x.container_id = p->id;
  p->kind = kind;
  p->spec = spec;
  p->cb = cb;
  p->arg = arg;
  return p;
}

void
probe_start (struct probe *p)
{
  loop_timer_set (p->timer, value_path_int (p->spec, "initialDelaySeconds", 0) * 1000);
}

void
probe_free (struct probe *p)
{
  if (!p)
    return;
  handler_cancel (p->handler);
  p->handler = NULL;
  loop_timer_free (p->timer);
  p->timer = NULL;
  if (p->in_cb)
    p->freed = true;
  else
    free (p);
}

int64_t
probe_grace_s (const struct probe *p)
{
  return value_path_int (p->spec, "terminationGracePeriodSeconds", -1);
}
