/* Ends of containers, and the hooks around their lives. */
#include <errno.h>
#include <signal.h>

#include "base/log.h"
#include "services/kubelet/pod_internal.h"

#define GRACE_MIN_MS 2000 /* after a preStop hook that used its time up, as upstream */

static void
send_signal (struct ctr *c, int signo)
{
  struct err err;
  int rc = runtime_container_signal (c->pod->host->runtime, c->cur.id, signo, &err);
  if (rc && rc != ERR_NOT_FOUND)
    log_warn ("container cannot be signalled", "container=%s signal=%d error=\"%s\"", c->cur.id, signo, err.text);
}

static void
on_kill_timer (void *arg)
{
  struct ctr *c = arg;
  handler_cancel (c->hook);
  c->hook = NULL;
  if (c->term_sent) {
    send_signal (c, SIGKILL);
    /* Processes in an uninterruptible sleep do not die at once. */
    loop_timer_set (c->kill_timer, 5000);
    return;
  }
  c->term_sent = true;
  send_signal (c, SIGTERM);
  loop_timer_set (c->kill_timer, GRACE_MIN_MS);
}

static int
stop_signal (const struct ctr *c)
{
  static const struct {
    const char *name;
    int signo;
  } names[] = {{"TERM", SIGTERM}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"HUP", SIGHUP}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
               {"KILL", SIGKILL}, {"WINCH", SIGWINCH}, {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}};
  struct image *image = NULL;
  const char *text;
  int signo = SIGTERM;
  if (!c->cur.image_id || runtime_image_resolve (c->pod->host->runtime, c->cur.image_id, &image, NULL))
    return signo;
  text = value_path_string (image->config, "config.StopSignal", "");
  if (!strncmp (text, "SIG", 3))
    text += 3;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp (text, names[i].name))
      signo = names[i].signo;
  if (*text >= '1' && *text <= '9' && strtol (text, NULL, 10) < 65)
    signo = (int) strtol (text, NULL, 10);
  image_free (image);
  return signo;
}

static void
terminate (struct ctr *c)
{
  int64_t left = c->kill_by_ms - pod_now_ms ();
  c->term_sent = true;
  send_signal (c, stop_signal (c));
  loop_timer_set (c->kill_timer, left > GRACE_MIN_MS ? left : GRACE_MIN_MS);
}

static void
on_pre_stop (void *arg, enum handler_result result, const char *output)
{
  struct ctr *c = arg;
  c->hook = NULL;
  if (result != HANDLER_OK)
    pod_event (c->pod, c, "Warning", "FailedPreStopHook", "PreStopHook failed: %.500s", output);
  terminate (c);
}

void
pod_kill (struct pod *p, const struct pod_step *s)
{
  struct ctr *c = &p->c[s->c];
  const struct value *spec = pod_spec_of (p, c->i), *hook = value_path (spec, "lifecycle.preStop");
  struct handler_ctx x = {p->host->loop, p->host->runtime, p->host->http, p->ips.n ? p->ips.ips[0] : NULL, c->cur.id, spec};
  struct err err;
  p->facts.c[c->i].killing = true;
  c->ready = false;
  ctr_stopped (c);
  if (s->why == POD_WHY_DELETED || s->why == POD_WHY_FINISHED || s->why == POD_WHY_DEADLINE)
    pod_event (p, c, "Normal", "Killing", "Stopping container %s", c->name);
  if (!(c->kill_timer = loop_timer_new (p->host->loop, on_kill_timer, c))) {
    log_error ("container is killed without grace", "container=%s error=\"out of memory\"", c->cur.id);
    send_signal (c, SIGKILL);
    return;
  }
  c->kill_by_ms = pod_now_ms () + s->grace_s * 1000;
  if (s->grace_s <= 0) {
    c->term_sent = true;
    send_signal (c, SIGKILL);
    loop_timer_set (c->kill_timer, 5000);
    return;
  }
  if (value_count (hook)) {
    if (!handler_run (&x, hook, s->grace_s * 1000, on_pre_stop, c, &c->hook, &err)) {
      loop_timer_set (c->kill_timer, s->grace_s * 1000);
      return;
    }
    pod_event (p, c, "Warning", "FailedPreStopHook", "PreStopHook failed: %s", err.text);
  }
  terminate (c);
}

void
pod_hurry (struct pod *p)
{
  int64_t by = pod_now_ms () + p->facts.grace_s * 1000;
  for (size_t i = 0; i < p->facts.n; i++) {
    struct ctr *c = &p->c[i];
    if (!c->kill_timer || c->kill_by_ms <= by)
      continue;
    c->kill_by_ms = by;
    if (p->facts.grace_s <= 0)
      send_signal (c, SIGKILL);
    loop_timer_set (c->kill_timer, p->facts.grace_s > 0 ? p->facts.grace_s * 1000 : 5000);
  }
}

static void
on_post_start (void *arg, enum handler_result result, const char *output)
{
  struct ctr *c = arg;
  struct pod *p = c->pod;
  struct pod_container *f = &p->facts.c[c->i];
  c->hook = NULL;
  if (result != HANDLER_OK) {
    pod_event (p, c, "Warning", "FailedPostStartHook", "PostStartHook failed: %.500s", output);
    f->unhealthy = true;
    f->probe_grace_s = -1;
    pod_sync (p);
    return;
  }
  ctr_started (c);
  pod_sync (p);
}

void
ctr_post_start (struct ctr *c)
{
  struct pod *p = c->pod;
  const struct value *spec = pod_spec_of (p, c->i), *hook = value_path (spec, "lifecycle.postStart");
  struct handler_ctx x = {p->host->loop, p->host->runtime, p->host->http, p->ips.n ? p->ips.ips[0] : NULL, c->cur.id, spec};
  struct err err;
  if (!value_count (hook)) {
    ctr_started (c);
    return;
  }
  if (handler_run (&x, hook, 0, on_post_start, c, &c->hook, &err)) {
    pod_event (p, c, "Warning", "FailedPostStartHook", "PostStartHook failed: %s", err.text);
    p->facts.c[c->i].unhealthy = true;
    p->facts.c[c->i].probe_grace_s = -1;
  }
}
