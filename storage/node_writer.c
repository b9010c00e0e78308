/* The writer thread: takes what is queued, saves it as one synced batch, reports to the loop. It also flushes the state, so that
   a flush never stops the loop. */
#include "storage/node_internal.h"

struct saved {
  struct node *node;
  struct node_saves done;
  struct err err;
  bool flushed;
};

static void
report (void *arg)
{
  struct saved *d = arg;
  struct node *n = d->node;
  if (d->err.code)
    node_fail (n, &d->err);
  if (d->flushed && !d->err.code) {
    n->flushed_index = n->flushing_index;
    if (!n->n_peers && !n->stopped && log_truncate (n->log, n->flushed_index, &d->err))
      node_fail (n, &d->err);
  }
  node_saved (n, &d->done);
  free (d);
}

static int
save_all (struct node *n, struct node_saves *batch, struct err *err)
{
  struct log_save *saves;
  struct node_save *s;
  size_t count = 0, i = 0;
  bool sync = false;
  int r;
  STAILQ_FOREACH (s, batch, link)
  count++;
  if (!count)
    return 0;
  if (!(saves = mem_zalloc (count * sizeof *saves)))
    return err_set (err, ERR_NOMEM, "save");
  STAILQ_FOREACH (s, batch, link)
  {
    saves[i++] = (struct log_save){&s->ready.entries, s->ready.hard_state_changed ? &s->ready.hard_state : NULL};
    sync |= s->ready.must_sync;
  }
  r = log_save (n->log, saves, count, sync, err);
  free (saves);
  return r;
}

static void *
writer (void *arg)
{
  struct node *n = arg;
  for (;;) {
    struct saved *d = mem_zalloc (sizeof *d);
    bool stop, flush;
    REQUIRE (d); /* a member that cannot report is as good as crashed */
    STAILQ_INIT (&d->done);
    d->node = n;
    pthread_mutex_lock (&n->lock);
    while (STAILQ_EMPTY (&n->queue) && !n->writer_stop && !n->want_flush)
      pthread_cond_wait (&n->wake, &n->lock);
    STAILQ_CONCAT (&d->done, &n->queue);
    stop = n->writer_stop;
    flush = n->want_flush;
    n->want_flush = false;
    pthread_mutex_unlock (&n->lock);
    if (stop && STAILQ_EMPTY (&d->done)) {
      free (d);
      return NULL;
    }
    if (!save_all (n, &d->done, &d->err) && flush)
      d->flushed = !state_engine (n->state)->vt->flush (state_engine (n->state), &d->err);
    if (loop_post (n->loop, report, d))
      REQUIRE (!"the loop takes no report");
  }
}

int
node_writer_start (struct node *n, struct err *err)
{
  int e = pthread_create (&n->writer, NULL, writer, n);
  if (e)
    return err_errno (err, e, "start the log's writer");
  n->writer_started = true;
  return 0;
}

void
node_writer_push (struct node *n, struct node_save *s)
{
  pthread_mutex_lock (&n->lock);
  STAILQ_INSERT_TAIL (&n->queue, s, link);
  pthread_cond_signal (&n->wake);
  pthread_mutex_unlock (&n->lock);
}

void
node_flush_soon (struct node *n)
{
  n->flushing_index = state_applied_index (n->state);
  pthread_mutex_lock (&n->lock);
  n->want_flush = true;
  pthread_cond_signal (&n->wake);
  pthread_mutex_unlock (&n->lock);
}

void
node_writer_stop (struct node *n)
{
  if (!n->writer_started)
    return;
  pthread_mutex_lock (&n->lock);
  n->writer_stop = true;
  pthread_cond_signal (&n->wake);
  pthread_mutex_unlock (&n->lock);
  pthread_join (n->writer, NULL);
  n->stopped = true;
  loop_step (n->loop, 0); /* what it reported last */
}
