#include "services/controller/queue.h"

#include <sys/queue.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"

enum item_state { ITEM_READY, ITEM_WAITING, ITEM_BUSY };

struct item {
  struct queue_item head; /* first: what is handed out */
  enum item_state state;
  bool dirty; /* added again while busy */
  uint64_t dirty_cause;
  int64_t due_ms;
  uint64_t seq;
  TAILQ_ENTRY (item) link;
};

struct queue {
  struct map *items;     /* key -> item */
  struct omap *waiting;  /* due, seq -> item */
  TAILQ_HEAD (, item) ready;
  uint64_t seq;
  size_t busy;
};

static void
item_free (void *p)
{
  struct item *it = p;
  free ((char *) it->head.key);
  free ((char *) it->head.failure);
  free (it);
}

struct queue *
queue_new (void)
{
  struct queue *q = mem_zalloc (sizeof *q);
  if (!q)
    return NULL;
  TAILQ_INIT (&q->ready);
  q->items = map_new (item_free);
  q->waiting = omap_new (NULL);
  if (q->items && q->waiting)
    return q;
  queue_free (q);
  return NULL;
}

void
queue_free (struct queue *q)
{
  if (!q)
    return;
  if (q->waiting)
    omap_free (q->waiting);
  map_free (q->items);
  free (q);
}

static void
due_key (const struct item *it, uint8_t out[16])
{
  be64_store (out, (uint64_t) it->due_ms);
  be64_store (out + 8, it->seq);
}

static void
make_ready (struct queue *q, struct item *it)
{
  it->state = ITEM_READY;
  TAILQ_INSERT_TAIL (&q->ready, it, link);
}

static void
make_waiting (struct queue *q, struct item *it, int64_t due_ms)
{
  uint8_t key[16];
  it->state = ITEM_WAITING;
  it->due_ms = due_ms;
  it->seq = ++q->seq;
  due_key (it, key);
  if (omap_set_n (q->waiting, key, sizeof key, it) != 0)
    make_ready (q, it); /* too early is better than never */
}

static void
stop_waiting (struct queue *q, struct item *it)
{
  uint8_t key[16];
  due_key (it, key);
  omap_delete_n (q->waiting, key, sizeof key);
}

int
queue_add (struct queue *q, const char *key, uint64_t cause)
{
  struct item *it = map_get (q->items, key);
  if (it)
    {
      switch (it->state)
        {
        case ITEM_BUSY:
          it->dirty = true;
          if (cause)
            it->dirty_cause = cause;
          return 0;
        case ITEM_WAITING:
          stop_waiting (q, it);
          make_ready (q, it);
          break;
        case ITEM_READY:
          break;
        }
      if (cause)
        it->head.cause = cause;
      return 0;
    }
  if (map_count (q->items) >= QUEUE_KEYS_MAX)
    return ERR_BUSY;
  it = mem_zalloc (sizeof *it);
  if (it)
    it->head.key = mem_strdup (key);
  if (!it || !it->head.key || map_set (q->items, key, it) != 0)
    {
      if (it)
        item_free (it);
      return ERR_NOMEM;
    }
  it->head.cause = cause;
  make_ready (q, it);
  return 0;
}

static void
wake_due (struct queue *q, int64_t now_ms)
{
  struct omap_node *n;
  while ((n = omap_seek (q->waiting, NULL)))
    {
      struct item *it = omap_value (n);
      if (it->due_ms > now_ms)
        return;
      stop_waiting (q, it);
      make_ready (q, it);
    }
}

bool
queue_take (struct queue *q, int64_t now_ms, const struct queue_item **ret)
{
  wake_due (q, now_ms);
  struct item *it = TAILQ_FIRST (&q->ready);
  if (!it)
    return false;
  TAILQ_REMOVE (&q->ready, it, link);
  it->state = ITEM_BUSY;
  it->dirty = false;
  it->dirty_cause = 0;
  q->busy++;
  *ret = &it->head;
  return true;
}

static int64_t
backoff_ms (unsigned failures)
{
  int64_t ms = QUEUE_BACKOFF_MIN_MS;
  for (unsigned i = 1; i < failures && ms < QUEUE_BACKOFF_MAX_MS; i++)
    ms *= 2;
  return ms < QUEUE_BACKOFF_MAX_MS ? ms : QUEUE_BACKOFF_MAX_MS;
}

void
queue_done (struct queue *q, const struct queue_item *item, const char *failure, int64_t requeue_after_ms, int64_t now_ms)
{
  struct item *it = map_get (q->items, item->key);
  REQUIRE (it && &it->head == item && it->state == ITEM_BUSY);
  q->busy--;
  char *text = failure ? mem_strdup (failure) : NULL;
  free ((char *) it->head.failure);
  it->head.failure = text;
  if (failure)
    {
      it->head.failures++;
      if (it->dirty_cause)
        it->head.cause = it->dirty_cause;
      make_waiting (q, it, now_ms + backoff_ms (it->head.failures));
      return;
    }
  it->head.failures = 0;
  if (it->dirty)
    {
      it->head.cause = it->dirty_cause;
      make_ready (q, it);
    }
  else if (requeue_after_ms > 0)
    {
      it->head.cause = 0;
      make_waiting (q, it, now_ms + requeue_after_ms);
    }
  else
    map_delete (q->items, item->key);
}

int64_t
queue_delay_ms (const struct queue *q, int64_t now_ms)
{
  if (!TAILQ_EMPTY (&q->ready))
    return 0;
  struct omap_node *n = omap_seek (q->waiting, NULL);
  if (!n)
    return -1;
  const struct item *it = omap_value (n);
  return it->due_ms > now_ms ? it->due_ms - now_ms : 0;
}

size_t
queue_count (const struct queue *q)
{
  return map_count (q->items);
}

size_t
queue_busy (const struct queue *q)
{
  return q->busy;
}
