/* Worker threads for what blocks (unpacking, mounts, crun): work runs in a thread, done in the loop's. With 0 threads both run
   in the loop, one after the other: tests and simulations are then deterministic. */
#ifndef KUBELET_POOL_H
#define KUBELET_POOL_H

#include "base/loop.h"

#define POOL_QUEUE_MAX 65536

struct pool;
typedef void (*pool_cb) (void *arg);
struct pool *pool_new (struct loop *loop, unsigned threads, struct err *err);
void pool_free (struct pool *p); /* waits for the work that runs; what is queued is dropped. NULL allowed */
/* Any order between works. ERR_BUSY when the queue is full, ERR_NOMEM: neither callback is called. */
int pool_run (struct pool *p, pool_cb work, pool_cb done, void *arg, struct err *err);

#endif
