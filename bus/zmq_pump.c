#include <errno.h>

#include "bus/zmq_internal.h"

enum { BATCH = 256 }; /* messages before the loop's other descriptors get their turn */

int
zmq_failed (struct err *err, const char *what)
{
  int e = zmq_errno ();
  int code = e == EADDRINUSE ? ERR_BUSY : e == ENOMEM ? ERR_NOMEM : e == EINVAL || e == ENODEV ? ERR_INVALID : ERR_IO;
  return err_set (err, code, "%s: %s", what, zmq_strerror (e));
}

static bool
has_input (const struct pump *p)
{
  int events = 0;
  size_t n = sizeof events;
  return !zmq_getsockopt (p->socket, ZMQ_EVENTS, &events, &n) && events & ZMQ_POLLIN;
}

static void
run (struct pump *p)
{
  bool closed = false;
  if (p->closed)
    return; /* a callback ran the loop: the outer pump goes on */
  p->closed = &closed;
  for (int i = 0; has_input (p); i++) {
    if (i == BATCH) {
      loop_timer_set (p->again, 0);
      break;
    }
    p->readable (p->arg);
    if (closed)
      return;
  }
  p->closed = NULL;
}

static void
on_fd (void *arg, int fd, int events)
{
  (void) fd;
  (void) events;
  run (arg);
}

static void
on_again (void *arg)
{
  run (arg);
}

int
pump_open (struct pump *p, struct loop *loop, void *socket, void (*readable) (void *arg), void *arg, struct err *err)
{
  int fd = -1;
  size_t n = sizeof fd;
  *p = (struct pump){.loop = loop, .socket = socket, .readable = readable, .arg = arg};
  if (zmq_getsockopt (socket, ZMQ_FD, &fd, &n))
    return zmq_failed (err, "ZMQ_FD");
  if (!(p->again = loop_timer_new (loop, on_again, p)) || !(p->watch = loop_watch_fd (loop, fd, LOOP_READ, on_fd, p))) {
    pump_close (p);
    return err_set (err, ERR_NOMEM, "pump");
  }
  loop_timer_set (p->again, 0); /* what arrived before the watch */
  return 0;
}

void
pump_check (struct pump *p)
{
  if (p->socket && !p->closed && !loop_timer_armed (p->again) && has_input (p))
    loop_timer_set (p->again, 0);
}

void
pump_close (struct pump *p)
{
  if (p->closed)
    *p->closed = true;
  loop_watch_free (p->watch);
  loop_timer_free (p->again);
  *p = (struct pump){0};
}
