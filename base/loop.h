/* The event loop of a thread, over libevent. All calls but loop_post and loop_stop belong to the loop's own thread.
   A callback may free any timer or watch, its own included. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct event_base;
struct loop_timer;
struct loop_watch;
typedef void (*loop_cb) (void *arg);

struct loop *loop_new (struct err *err); /* NULL on failure */
void loop_free (struct loop *l);         /* NULL allowed; posted callbacks that did not run are dropped */
void loop_run (struct loop *l);          /* until loop_stop */
void loop_stop (struct loop *l);         /* any thread, any signal handler's self-pipe; loop_run returns soon after */
/* Runs what is ready, waiting at most timeout_ms for something (0: not at all). For tools and tests. */
void loop_step (struct loop *l, int timeout_ms);
struct event_base *loop_base (struct loop *l);

/* Any thread: cb (arg) runs in the loop's thread, in the order of posting. 0 or ERR_NOMEM. */
int loop_post (struct loop *l, loop_cb cb, void *arg);

/* A one-shot timer, made disarmed. set arms it (again); re-arm from cb for a period. NULL when out of memory. */
struct loop_timer *loop_timer_new (struct loop *l, loop_cb cb, void *arg);
void loop_timer_set (struct loop_timer *t, int64_t delay_ms);
void loop_timer_cancel (struct loop_timer *t);
bool loop_timer_armed (const struct loop_timer *t);
void loop_timer_free (struct loop_timer *t); /* NULL allowed */

/* Calls cb whenever fd is readable (and/or writable), level-triggered, until freed. The fd stays the caller's. */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
typedef void (*loop_fd_cb) (void *arg, int fd, int events);
struct loop_watch *loop_watch_fd (struct loop *l, int fd, int events, loop_fd_cb cb, void *arg);
void loop_watch_set (struct loop_watch *w, int events); /* 0 pauses */
void loop_watch_free (struct loop_watch *w);            /* NULL allowed */
struct loop_watch *loop_watch_signal (struct loop *l, int signo, loop_cb cb, void *arg);

#endif
