#include "services/scheduler/schedule_queue.h"

#include "base/buf.h"
#include "base/mem.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 10000
#define FLUSH_MS 300000

enum state { READY, BUSY, BACKOFF, WAITING };

struct entry {
  char *key;
  int64_t priority;
  uint64_t seq;
  unsigned attempts;
  enum state state;
  bool changed;      /* the cluster or the pod changed while it was under way */
  mono_t last, due;
  uint8_t order[16]; /* its key in ready or timed */
};

struct schedule_queue {
  struct map *entries;
  struct omap *ready, *timed;
  uint64_t seq, waiting;
};

static void
entry_free (void *p)
{
  struct entry *e = p;
  free (e->key);
  free (e);
}

struct schedule_queue *
schedule_queue_new (void)
{
  struct schedule_queue *q = mem_zalloc (sizeof *q);
  if (!q)
    return NULL;
  q->entries = map_new (entry_free);
  q->ready = omap_new (NULL);
  q->timed = omap_new (NULL);
  if (!q->entries || !q->ready || !q->timed) {
    schedule_queue_free (q);
    return NULL;
  }
  return q;
}

void
schedule_queue_free (struct schedule_queue *q)
{
  if (!q)
    return;
  omap_free (q->ready);
  omap_free (q->timed);
  map_free (q->entries);
  free (q);
}

static void
take_out (struct schedule_queue *q, struct entry *e)
{
  if (e->state == READY)
    (void) omap_delete_n (q->ready, e->order, sizeof e->order);
  else if (e->state != BUSY)
    (void) omap_delete_n (q->timed, e->order, sizeof e->order);
  q->waiting -= e->state == WAITING;
  e->state = BUSY;
}

static int
put_ready (struct schedule_queue *q, struct entry *e)
{
  be64_store (e->order, (uint64_t) INT64_MAX - (uint64_t) e->priority);
  be64_store (e->order + 8, e->seq);
  if (omap_set_n (q->ready, e->order, sizeof e->order, e) != 0)
    return ERR_NOMEM;
  e->state = READY;
  return 0;
}

static void
put_timed (struct schedule_queue *q, struct entry *e, enum state state, mono_t due)
{
  e->due = due;
  be64_store (e->order, (uint64_t) due.ns);
  be64_store (e->order + 8, e->seq);
  if (omap_set_n (q->timed, e->order, sizeof e->order, e) != 0) {
    (void) put_ready (q, e); /* out of memory: better too early than never */
    return;
  }
  e->state = state;
  q->waiting += state == WAITING;
}

static mono_t
backoff_end (const struct entry *e)
{
  int64_t ms = BACKOFF_MIN_MS;
  for (unsigned i = 1; i < e->attempts && ms < BACKOFF_MAX_MS; i++)
    ms *= 2;
  return (mono_t){ e->last.ns + (ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS) * 1000000 };
}

static void
retry (struct schedule_queue *q, struct entry *e, mono_t now)
{
  mono_t end = backoff_end (e);
  take_out (q, e);
  if (end.ns <= now.ns)
    (void) put_ready (q, e);
  else
    put_timed (q, e, BACKOFF, end);
}

int
schedule_queue_add (struct schedule_queue *q, const char *key, int64_t priority, mono_t now)
{
  struct entry *e = map_get (q->entries, key);
  if (e) {
    if (e->state == BUSY)
      e->changed = true;
    else if (e->state == WAITING)
      retry (q, e, now);
    return 0;
  }
  e = mem_zalloc (sizeof *e);
  if (!e || !(e->key = mem_strdup (key)) || map_set (q->entries, key, e) != 0) {
    if (e)
      entry_free (e);
    return ERR_NOMEM;
  }
  e->priority = priority;
  e->seq = ++q->seq;
  e->state = BUSY;
  return put_ready (q, e);
}

void
schedule_queue_remove (struct schedule_queue *q, const char *key)
{
  struct entry *e = map_get (q->entries, key);
  if (!e)
    return;
  take_out (q, e);
  (void) map_delete (q->entries, key);
}

const char *
schedule_queue_pop (struct schedule_queue *q, mono_t now)
{
  struct omap_node *n;
  struct entry *e;
  while ((n = omap_seek (q->timed, NULL)) && (e = omap_value (n))->due.ns <= now.ns) {
    take_out (q, e);
    if (put_ready (q, e) != 0) {
      put_timed (q, e, BACKOFF, (mono_t){ now.ns + BACKOFF_MIN_MS * 1000000LL });
      break;
    }
  }
  n = omap_seek (q->ready, NULL);
  if (!n)
    return NULL;
  e = omap_value (n);
  take_out (q, e);
  e->attempts++;
  e->last = now;
  e->changed = false;
  return e->key;
}

void
schedule_queue_failed (struct schedule_queue *q, const char *key, mono_t now)
{
  struct entry *e = map_get (q->entries, key);
  if (e && e->state == BUSY)
    retry (q, e, now);
}

void
schedule_queue_unschedulable (struct schedule_queue *q, const char *key, mono_t now)
{
  struct entry *e = map_get (q->entries, key);
  if (!e || e->state != BUSY)
    return;
  if (e->changed)
    retry (q, e, now);
  else
    put_timed (q, e, WAITING, (mono_t){ now.ns + FLUSH_MS * 1000000LL });
}

void
schedule_queue_changed (struct schedule_queue *q, mono_t now)
{
  void *v;
  for (size_t it = 0; map_next (q->entries, &it, NULL, &v);) {
    struct entry *e = v;
    if (e->state == WAITING)
      retry (q, e, now);
    else if (e->state == BUSY)
      e->changed = true;
  }
}

int64_t
schedule_queue_wait_ms (const struct schedule_queue *q, mono_t now)
{
  struct omap_node *n = omap_seek (q->timed, NULL);
  const struct entry *e = n ? omap_value (n) : NULL;
  if (omap_count (q->ready) > 0)
    return 0;
  if (!e)
    return -1;
  return e->due.ns <= now.ns ? 0 : (e->due.ns - now.ns) / 1000000 + 1;
}

size_t
schedule_queue_count (const struct schedule_queue *q)
{
  return map_count (q->entries);
}
