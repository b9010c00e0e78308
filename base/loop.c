#include "base/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

struct posted {
  struct posted *next;
  loop_cb cb;
  void *arg;
};

struct loop {
  struct event_base *base;
  struct event *wake;
  struct event *step; /* ends a loop_step that nothing else ends */
  int wake_fd;
  pthread_mutex_t lock; /* guards the two below */
  struct posted *head, **tail;
  bool stop;
};

struct loop_timer {
  struct event *ev;
  loop_cb cb;
  void *arg;
};

struct loop_watch {
  struct loop *loop;
  struct event *ev;
  int fd, events;
  loop_fd_cb cb;
  loop_cb signal_cb;
  void *arg;
};

static void
run_posted (evutil_socket_t fd, short what, void *arg)
{
  struct loop *l = arg;
  struct posted *p, *next;
  uint64_t n;
  bool stop;
  (void) what;
  (void) !read (fd, &n, sizeof n);
  pthread_mutex_lock (&l->lock);
  p = l->head;
  l->head = NULL;
  l->tail = &l->head;
  stop = l->stop;
  pthread_mutex_unlock (&l->lock);
  for (; p; p = next) {
    next = p->next;
    p->cb (p->arg);
    free (p);
  }
  if (stop)
    event_base_loopbreak (l->base);
}

static void
step_timeout (evutil_socket_t fd, short what, void *arg)
{
  (void) fd;
  (void) what;
  (void) arg;
}

struct loop *
loop_new (struct err *err)
{
  struct loop *l = mem_zalloc (sizeof *l);
  struct event_config *cfg = NULL;
  if (!l)
    goto nomem;
  l->wake_fd = -1;
  l->tail = &l->head;
  pthread_mutex_init (&l->lock, NULL);
  if (!(cfg = event_config_new ()))
    goto nomem;
  event_config_set_flag (cfg, EVENT_BASE_FLAG_PRECISE_TIMER);
  evthread_use_pthreads ();
  l->base = event_base_new_with_config (cfg);
  event_config_free (cfg);
  if (!l->base)
    goto nomem;
  if ((l->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
    err_errno (err, errno, "eventfd");
    loop_free (l);
    return NULL;
  }
  if (!(l->step = event_new (l->base, -1, 0, step_timeout, NULL)))
    goto nomem;
  if (!(l->wake = event_new (l->base, l->wake_fd, EV_READ | EV_PERSIST, run_posted, l)) || event_add (l->wake, NULL))
    goto nomem;
  return l;
nomem:
  err_set (err, ERR_NOMEM, "event loop");
  loop_free (l);
  return NULL;
}

void
loop_free (struct loop *l)
{
  if (!l)
    return;
  for (struct posted *p = l->head, *next; p; p = next) {
    next = p->next;
    free (p);
  }
  if (l->wake)
    event_free (l->wake);
  if (l->step)
    event_free (l->step);
  if (l->wake_fd >= 0)
    close (l->wake_fd);
  if (l->base)
    event_base_free (l->base);
  pthread_mutex_destroy (&l->lock);
  free (l);
}

void
loop_run (struct loop *l)
{
  event_base_loop (l->base, EVLOOP_NO_EXIT_ON_EMPTY);
  pthread_mutex_lock (&l->lock);
  l->stop = false;
  pthread_mutex_unlock (&l->lock);
}

void
loop_step (struct loop *l, int timeout_ms)
{
  struct timeval tv = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
  if (timeout_ms > 0)
    event_add (l->step, &tv);
  event_base_loop (l->base, timeout_ms > 0 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
  if (timeout_ms > 0)
    event_del (l->step);
}

static void
wake (struct loop *l)
{
  uint64_t one = 1;
  (void) !write (l->wake_fd, &one, sizeof one);
}

void
loop_stop (struct loop *l)
{
  pthread_mutex_lock (&l->lock);
  l->stop = true;
  pthread_mutex_unlock (&l->lock);
  wake (l);
}

struct event_base *
loop_base (struct loop *l)
{
  return l->base;
}

int
loop_post (struct loop *l, loop_cb cb, void *arg)
{
  struct posted *p = mem_zalloc (sizeof *p);
  bool first;
  if (!p)
    return ERR_NOMEM;
  p->cb = cb;
  p->arg = arg;
  pthread_mutex_lock (&l->lock);
  first = !l->head;
  *l->tail = p;
  l->tail = &p->next;
  pthread_mutex_unlock (&l->lock);
  if (first)
    wake (l);
  return 0;
}

static void
timer_fired (evutil_socket_t fd, short what, void *arg)
{
  struct loop_timer *t = arg;
  (void) fd;
  (void) what;
  t->cb (t->arg);
}

struct loop_timer *
loop_timer_new (struct loop *l, loop_cb cb, void *arg)
{
  struct loop_timer *t = mem_zalloc (sizeof *t);
  if (!t)
    return NULL;
  t->cb = cb;
  t->arg = arg;
  if (!(t->ev = event_new (l->base, -1, 0, timer_fired, t))) {
    free (t);
    return NULL;
  }
  return t;
}

void
loop_timer_set (struct loop_timer *t, int64_t delay_ms)
{
  struct timeval tv;
  if (delay_ms < 0)
    delay_ms = 0;
  tv = (struct timeval){delay_ms / 1000, (delay_ms % 1000) * 1000};
  event_add (t->ev, &tv);
}

void
loop_timer_cancel (struct loop_timer *t)
{
  event_del (t->ev);
}

bool
loop_timer_armed (const struct loop_timer *t)
{
  return event_pending (t->ev, EV_TIMEOUT, NULL);
}

void
loop_timer_free (struct loop_timer *t)
{
  if (!t)
    return;
  event_free (t->ev);
  free (t);
}

static void
watch_fired (evutil_socket_t fd, short what, void *arg)
{
  struct loop_watch *w = arg;
  if (w->signal_cb)
    w->signal_cb (w->arg);
  else
    w->cb (w->arg, fd, (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0));
}

static short
to_ev (int events)
{
  return (short) (EV_PERSIST | (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0));
}

struct loop_watch *
loop_watch_fd (struct loop *l, int fd, int events, loop_fd_cb cb, void *arg)
{
  struct loop_watch *w = mem_zalloc (sizeof *w);
  if (!w)
    return NULL;
  *w = (struct loop_watch){.loop = l, .fd = fd, .cb = cb, .arg = arg};
  if (!(w->ev = event_new (l->base, fd, to_ev (events), watch_fired, w))) {
    free (w);
    return NULL;
  }
  w->events = events;
  if (events)
    event_add (w->ev, NULL);
  return w;
}

void
loop_watch_set (struct loop_watch *w, int events)
{
  if (w->events == events)
    return;
  event_del (w->ev);
  w->events = events;
  if (!events)
    return;
  event_assign (w->ev, w->loop->base, w->fd, to_ev (events), watch_fired, w);
  event_add (w->ev, NULL);
}

void
loop_watch_free (struct loop_watch *w)
{
  if (!w)
    return;
  event_free (w->ev);
  free (w);
}

struct loop_watch *
loop_watch_signal (struct loop *l, int signo, loop_cb cb, void *arg)
{
  struct loop_watch *w = mem_zalloc (sizeof *w);
  if (!w)
    return NULL;
  *w = (struct loop_watch){.loop = l, .fd = signo, .signal_cb = cb, .arg = arg};
  if (!(w->ev = evsignal_new (l->base, signo, watch_fired, w))) {
    free (w);
    return NULL;
  }
  event_add (w->ev, NULL);
  return w;
}
