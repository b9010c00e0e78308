#include "services/kubelet/pool.h"

#include <pthread.h>
#include <sched.h>

#include "base/mem.h"

struct job {
  struct job *next;
  struct pool *pool;
  pool_cb work, done;
  void *arg;
};

struct pool {
  struct loop *loop;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct job *head, **tail;
  unsigned queued;
  bool stop;
  unsigned n_threads;
  pthread_t threads[];
};

static void
finish (void *arg)
{
  struct job *j = arg;
  j->done (j->arg);
  free (j);
}

static void
run_inline (void *arg)
{
  struct job *j = arg;
  j->work (j->arg);
  finish (j);
}

static void *
thread_main (void *arg)
{
  struct pool *p = arg;
  (void) unshare (CLONE_FS); /* overlay mounts use short names relative to a working directory of the thread's own */
  pthread_mutex_lock (&p->lock);
  for (;;) {
    struct job *j;
    while (!p->head && !p->stop)
      pthread_cond_wait (&p->wake, &p->lock);
    if (p->stop)
      break;
    j = p->head;
    if (!(p->head = j->next))
      p->tail = &p->head;
    p->queued--;
    pthread_mutex_unlock (&p->lock);
    j->work (j->arg);
    while (loop_post (p->loop, finish, j)) /* out of memory: the result must not be lost */
      sched_yield ();
    pthread_mutex_lock (&p->lock);
  }
  pthread_mutex_unlock (&p->lock);
  return NULL;
}

struct pool *
pool_new (struct loop *loop, unsigned threads, struct err *err)
{
  struct pool *p = mem_zalloc (sizeof *p + threads * sizeof (pthread_t));
  if (!p) {
    err_set (err, ERR_NOMEM, "thread pool");
    return NULL;
  }
  p->loop = loop;
  p->tail = &p->head;
  pthread_mutex_init (&p->lock, NULL);
  pthread_cond_init (&p->wake, NULL);
  for (; p->n_threads < threads; p->n_threads++) {
    int rc = pthread_create (&p->threads[p->n_threads], NULL, thread_main, p);
    if (rc) {
      err_errno (err, rc, "thread pool");
      pool_free (p);
      return NULL;
    }
  }
  return p;
}

void
pool_free (struct pool *p)
{
  if (!p)
    return;
  pthread_mutex_lock (&p->lock);
  p->stop = true;
  pthread_cond_broadcast (&p->wake);
  pthread_mutex_unlock (&p->lock);
  for (unsigned i = 0; i < p->n_threads; i++)
    pthread_join (p->threads[i], NULL);
  for (struct job *j = p->head, *next; j; j = next) {
    next = j->next;
    free (j);
  }
  pthread_cond_destroy (&p->wake);
  pthread_mutex_destroy (&p->lock);
  free (p);
}

int
pool_run (struct pool *p, pool_cb work, pool_cb done, void *arg, struct err *err)
{
  struct job *j = mem_zalloc (sizeof *j);
  int rc = 0;
  if (!j)
    return err_set (err, ERR_NOMEM, "thread pool");
  *j = (struct job) {.pool = p, .work = work, .done = done, .arg = arg};
  if (!p->n_threads) {
    if ((rc = loop_post (p->loop, run_inline, j)))
      free (j);
    return rc ? err_set (err, rc, "thread pool") : 0;
  }
  pthread_mutex_lock (&p->lock);
  if (p->queued >= POOL_QUEUE_MAX) {
    rc = err_set (err, ERR_BUSY, "thread pool: %u works wait", p->queued);
  } else {
    *p->tail = j;
    p->tail = &j->next;
    p->queued++;
    pthread_cond_signal (&p->wake);
  }
  pthread_mutex_unlock (&p->lock);
  if (rc)
    free (j);
  return rc;
}
