/* A deduplicating work queue. A key is idle (unknown), ready, waiting for a time, or busy. Invariants: a key is handed out
   at most once at a time; a key that is added while busy is ready again once it is done; nothing that was added is
   forgotten. Failures of a key delay it by 5 ms * 2^n, at most 1000 s, as client-go's limiter does. Times are
   monotonic milliseconds given by the caller. Not thread-safe. */
#ifndef SERVICES_CONTROLLER_QUEUE_H
#define SERVICES_CONTROLLER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_KEYS_MAX (4u << 20)
#define QUEUE_BACKOFF_MIN_MS 5
#define QUEUE_BACKOFF_MAX_MS 1000000

struct queue_item {
  const char *key;
  uint64_t cause;       /* the latest change that queued it */
  unsigned failures;    /* in a row */
  const char *failure;  /* text of the last try when it failed; else NULL */
};
struct queue;
struct queue *queue_new (void); /* NULL when out of memory */
void queue_free (struct queue *q);
/* Makes key ready now. 0, ERR_NOMEM or ERR_BUSY (QUEUE_KEYS_MAX). cause 0 keeps an earlier one. */
int queue_add (struct queue *q, const char *key, uint64_t cause);
/* Hands out the longest-ready key; false when none is. The item stays valid until queue_done. */
bool queue_take (struct queue *q, int64_t now_ms, const struct queue_item **ret);
/* Ends the work on a busy key. failure NULL: success, looked at again after requeue_after_ms (0: no need). Else the key
   comes back after its back-off. */
void queue_done (struct queue *q, const struct queue_item *item, const char *failure, int64_t requeue_after_ms, int64_t now_ms);
int64_t queue_delay_ms (const struct queue *q, int64_t now_ms); /* until one is ready: 0 now; -1: none is waiting */
size_t queue_count (const struct queue *q); /* ready, waiting and busy ones */
size_t queue_busy (const struct queue *q);

#endif
