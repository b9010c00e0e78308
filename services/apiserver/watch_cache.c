#include "services/apiserver/watch_cache.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "schemas/msgpack.h"

struct watch_cache {
  struct watch_caches *all;
  struct omap *objects; /* key -> cached */
  struct cache_event *ring[CACHE_RING];
  uint64_t n_events;    /* ever; ring[i % CACHE_RING] */
  uint64_t floor;       /* events after this revision are in the ring */
  uint64_t last_event;
  struct cache_watcher *watchers;
  struct cache_watcher *cursor; /* the next to be told of the event under way: callbacks may remove any watcher */
  char prefix[256];
};
struct waiter {
  struct waiter *next;
  uint64_t revision;
  void (*cb) (void *arg);
  void *arg;
};
struct watch_caches {
  struct map *by_prefix;
  uint64_t revision, snapshot;
  bool synced;
  struct waiter *waiters;
  size_t n_waiters;
  uint64_t epoch; /* of the snapshot under way: objects that it does not name are gone */
  struct map *seen;
  bool resync_failed; /* the snapshot under way was not taken whole */
  void (*change) (void *arg, const char *prefix, struct cached *old, struct cached *new_);
  void *change_arg;
};

static void
append_head (struct buf *b, uint32_t members)
{
  if (members < 16)
    buf_append_byte (b, (uint8_t) (0x80 | members));
  else if (members < 65536) {
    buf_append_byte (b, 0xde);
    buf_append_byte (b, (uint8_t) (members >> 8));
    buf_append_byte (b, (uint8_t) members);
  } else {
    buf_append_byte (b, 0xdf);
    buf_append_be32 (b, members);
  }
}

/* value with metadata.resourceVersion as a further member, spliced in without building a tree. */
static int
inject (const uint8_t *value, size_t len, uint64_t revision, struct buf *out)
{
  struct msgpack_cursor c;
  struct msgpack_item item;
  char text[24];
  int r = msgpack_seek (value, len, "metadata", &c, NULL);
  if (r)
    return r;
  const uint8_t *head = c.p;
  r = msgpack_next (&c, &item, NULL);
  if (r || item.kind != MSGPACK_MAP)
    return ERR_PARSE;
  int n = snprintf (text, sizeof text, "%llu", (unsigned long long) revision);
  buf_append (out, value, (size_t) (head - value));
  append_head (out, item.len + 1);
  buf_append_byte (out, 0xa0 | 15);
  buf_append_str (out, "resourceVersion");
  buf_append_byte (out, (uint8_t) (0xa0 | n));
  buf_append (out, text, (size_t) n);
  buf_append (out, c.p, (size_t) (value + len - c.p));
  return out->failed ? ERR_NOMEM : 0;
}

/* ERR_NOMEM, or ERR_PARSE or ERR_NOT_FOUND: not an object of the API (allocations and the like). */
static int
cached_make (const char *key, const uint8_t *value, size_t len, uint64_t revision, uint64_t create_revision, struct cached **ret)
{
  AUTO_BUF struct buf b = BUF_INIT;
  int r = inject (value, len, revision, &b);
  if (r)
    return r;
  size_t key_len = strlen (key);
  struct cached *o = malloc (sizeof *o + b.len + key_len + 1);
  if (!o)
    return ERR_NOMEM;
  *o = (struct cached) { .refs = 1, .revision = revision, .create_revision = create_revision, .len = b.len };
  memcpy (o->packed, b.data, b.len);
  memcpy (o->packed + b.len, key, key_len + 1);
  o->key = (const char *) o->packed + b.len;
  *ret = o;
  return 0;
}

struct cached *
cached_new (const char *key, const uint8_t *value, size_t len, uint64_t revision, uint64_t create_revision)
{
  struct cached *o = NULL;
  return cached_make (key, value, len, revision, create_revision, &o) ? NULL : o;
}

struct cached *
cached_ref (struct cached *o)
{
  o->refs++;
  return o;
}

void
cached_unref (struct cached *o)
{
  if (o && --o->refs == 0)
    free (o);
}

static void
unref_value (void *o)
{
  cached_unref (o);
}

/* The same object at another revision: what a DELETED event shows. */
static struct cached *
cached_at (const struct cached *o, uint64_t revision)
{
  struct msgpack_cursor c, after;
  char text[24];
  int n = snprintf (text, sizeof text, "%llu", (unsigned long long) revision);
  if (msgpack_seek (o->packed, o->len, "metadata.resourceVersion", &c, NULL))
    return NULL;
  after = c;
  if (msgpack_skip (&after, NULL))
    return NULL;
  size_t before = (size_t) (c.p - o->packed), rest = (size_t) (o->packed + o->len - after.p), key_len = strlen (o->key);
  size_t len = before + 1 + (size_t) n + rest;
  struct cached *d = malloc (sizeof *d + len + key_len + 1);
  if (!d)
    return NULL;
  *d = (struct cached) { .refs = 1, .revision = revision, .create_revision = o->create_revision, .len = len };
  memcpy (d->packed, o->packed, before);
  d->packed[before] = (uint8_t) (0xa0 | n);
  memcpy (d->packed + before + 1, text, (size_t) n);
  memcpy (d->packed + before + 1 + n, after.p, rest);
  memcpy (d->packed + len, o->key, key_len + 1);
  d->key = (const char *) d->packed + len;
  return d;
}

struct cached *
cache_event_last (struct cache_event *e)
{
  if (!e->deleted && e->old)
    e->deleted = cached_at (e->old, e->revision);
  return e->deleted;
}

struct cache_event *
cache_event_ref (struct cache_event *e)
{
  e->refs++;
  return e;
}

void
cache_event_unref (struct cache_event *e)
{
  if (!e || --e->refs)
    return;
  cached_unref (e->old);
  cached_unref (e->new_);
  cached_unref (e->deleted);
  for (size_t i = 0; i < 3; i++)
    buf_done (&e->json[i]);
  free (e);
}

static void
cache_free (void *p)
{
  struct watch_cache *c = p;
  for (size_t i = 0; i < CACHE_RING; i++)
    cache_event_unref (c->ring[i]);
  omap_free (c->objects);
  free (c);
}

struct watch_caches *
watch_caches_new (void)
{
  struct watch_caches *cs = mem_zalloc (sizeof *cs);
  if (cs && !(cs->by_prefix = map_new (cache_free))) {
    free (cs);
    return NULL;
  }
  return cs;
}

void
watch_caches_free (struct watch_caches *cs)
{
  if (!cs)
    return;
  for (struct waiter *w = cs->waiters, *next; w; w = next) {
    next = w->next;
    free (w);
  }
  map_free (cs->by_prefix);
  map_free (cs->seen);
  free (cs);
}

bool
watch_caches_synced (const struct watch_caches *cs)
{
  return cs->synced;
}

uint64_t
watch_caches_revision (const struct watch_caches *cs)
{
  return cs->revision;
}

void
watch_caches_on_change (struct watch_caches *cs, void (*cb) (void *arg, const char *prefix, struct cached *old, struct cached *new_), void *arg)
{
  cs->change = cb;
  cs->change_arg = arg;
}

struct watch_cache *
watch_cache_get (struct watch_caches *cs, const char *prefix)
{
  struct watch_cache *c = map_get (cs->by_prefix, prefix);
  if (c)
    return c;
  c = mem_zalloc (sizeof *c);
  if (!c || !(c->objects = omap_new (unref_value)))
    goto fail;
  c->all = cs;
  c->floor = cs->snapshot;
  (void) snprintf (c->prefix, sizeof c->prefix, "%s", prefix);
  if (map_set (cs->by_prefix, prefix, c) == 0)
    return c;
  omap_free (c->objects);
fail:
  free (c);
  return NULL;
}

static struct watch_cache *
cache_of_key (struct watch_caches *cs, const char *key)
{
  char prefix[256];
  size_t n = strcspn (key, "/");
  if (n >= sizeof prefix || !key[n])
    return NULL;
  memcpy (prefix, key, n);
  prefix[n] = 0;
  return watch_cache_get (cs, prefix);
}

struct cached *
watch_cache_find (struct watch_caches *cs, const char *key)
{
  struct watch_cache *c = cache_of_key (cs, key);
  return c ? omap_get (c->objects, key) : NULL;
}

size_t
watch_cache_count (const struct watch_cache *c)
{
  return omap_count (c->objects);
}

uint64_t
watch_cache_last_event (const struct watch_cache *c)
{
  return c->last_event;
}

void
watch_cache_each (struct watch_cache *c, const char *namespace_, const char *after, bool (*cb) (void *arg, struct cached *o), void *arg)
{
  char from[1100];
  int n = namespace_ && *namespace_ ? snprintf (from, sizeof from, "%s/%s/", c->prefix, namespace_)
                                    : snprintf (from, sizeof from, "%s/", c->prefix);
  if (n < 0 || (size_t) n >= sizeof from)
    return;
  struct omap_node *node = omap_seek (c->objects, after && strcmp (after, from) > 0 ? after : from);
  for (; node; node = omap_next (c->objects, node)) {
    if (strncmp (omap_key (node), from, (size_t) n) != 0)
      return;
    if (after && strcmp (omap_key (node), after) == 0)
      continue;
    if (!cb (arg, omap_value (node)))
      return;
  }
}

/* Every step that can fail for want of memory would lose an event, so it ends the watches and starts from a new snapshot's
   floor instead: clients see 410 and list again. */
static void
lost (struct watch_cache *c, uint64_t revision)
{
  c->floor = revision;
  c->n_events = 0;
  for (size_t i = 0; i < CACHE_RING; i++) {
    cache_event_unref (c->ring[i]);
    c->ring[i] = NULL;
  }
  while (c->watchers) {
    struct cache_watcher *w = c->watchers;
    watch_cache_unwatch (w);
    w->reset (w);
  }
}

/* A change could not be taken for want of memory: nothing here may be believed any more. Reads answer 503 and health fails until
   the next snapshot (a reconnect, or the supervisor's restart). */
static void
broken (struct watch_caches *cs, const char *key)
{
  log_error ("watch cache out of memory", "key=%s", key);
  cs->synced = false;
  cs->resync_failed = true;
}

static void
apply (struct watch_caches *cs, const char *key, struct cached *new_, uint64_t revision)
{
  struct watch_cache *c = cache_of_key (cs, key);
  if (!c) {
    if (new_)
      broken (cs, key);
    return;
  }
  struct cached *old = omap_get (c->objects, key);
  if (!old && !new_)
    return;
  struct cache_event *e = mem_zalloc (sizeof *e);
  if (old)
    cached_ref (old);
  if (e)
    *e = (struct cache_event) { .refs = 1, .revision = revision, .old = old, .new_ = new_ ? cached_ref (new_) : NULL };
  if (!new_)
    (void) omap_delete (c->objects, key);
  else if (omap_set (c->objects, key, cached_ref (new_))) {
    cached_unref (new_);
    broken (cs, key);
    cache_event_unref (e);
    if (!e)
      cached_unref (old);
    lost (c, revision);
    return;
  }
  c->last_event = revision;
  if (!e) {
    if (cs->change)
      cs->change (cs->change_arg, c->prefix, old, new_);
    lost (c, revision);
    cached_unref (old);
    return;
  }
  struct cache_event **slot = &c->ring[c->n_events++ % CACHE_RING];
  if (*slot) {
    c->floor = (*slot)->revision;
    cache_event_unref (*slot);
  }
  *slot = cache_event_ref (e);
  if (cs->change)
    cs->change (cs->change_arg, c->prefix, e->old, e->new_);
  for (struct cache_watcher *w = c->watchers; w; w = c->cursor) {
    c->cursor = w->next;
    w->event (w, e);
  }
  cache_event_unref (e);
}

static void
reached (struct watch_caches *cs, uint64_t revision)
{
  if (revision > cs->revision)
    cs->revision = revision;
  struct waiter *ready = NULL, **tail = &ready;
  for (struct waiter **p = &cs->waiters; *p;) {
    struct waiter *w = *p;
    if (w->revision > cs->revision) {
      p = &w->next;
      continue;
    }
    *p = w->next;
    w->next = NULL;
    *tail = w;
    tail = &w->next;
    cs->n_waiters--;
  }
  for (struct waiter *w = ready, *next; w; w = next) {
    next = w->next;
    w->cb (w->arg);
    free (w);
  }
}

int
watch_caches_wait (struct watch_caches *cs, uint64_t revision, void (*cb) (void *arg), void *arg)
{
  if (cs->synced && cs->revision >= revision) {
    cb (arg);
    return 0;
  }
  if (cs->n_waiters >= CACHE_WAITERS_MAX)
    return ERR_BUSY;
  struct waiter *w = mem_zalloc (sizeof *w);
  if (!w)
    return ERR_NOMEM;
  *w = (struct waiter) { .next = cs->waiters, .revision = revision, .cb = cb, .arg = arg };
  cs->waiters = w;
  cs->n_waiters++;
  return 0;
}

static void
on_reset (void *arg, uint64_t revision)
{
  struct watch_caches *cs = arg;
  cs->snapshot = revision;
  map_free (cs->seen);
  cs->seen = map_new (NULL);
  cs->resync_failed = !cs->seen;
}

static void
on_object (void *arg, const struct bus_change *ch)
{
  struct watch_caches *cs = arg;
  uint64_t revision = ch->revision;
  struct cached *old = watch_cache_find (cs, ch->key);
  if (cs->seen && map_set (cs->seen, ch->key, cs))
    cs->resync_failed = true;
  if (old && old->revision == revision)
    return;
  struct cached *o = NULL;
  int r = cached_make (ch->key, ch->value, ch->value_len, revision, ch->create_revision, &o);
  if (r == ERR_NOMEM)
    cs->resync_failed = true;
  if (r)
    return;
  apply (cs, ch->key, o, revision);
  cached_unref (o);
}

static void
on_synced (void *arg, uint64_t revision)
{
  struct watch_caches *cs = arg;
  const char *prefix;
  void *value;
  if (cs->resync_failed) {
    broken (cs, "");
    return;
  }
  for (size_t it = 0; map_next (cs->by_prefix, &it, &prefix, &value);) {
    struct watch_cache *c = value;
    for (struct omap_node *n = omap_seek (c->objects, NULL), *next; n; n = next) {
      next = omap_next (c->objects, n);
      if (cs->seen && !map_get (cs->seen, omap_key (n))) {
        char *key = mem_strdup (omap_key (n));
        if (key)
          apply (cs, key, NULL, revision);
        else
          broken (cs, omap_key (n));
        free (key);
      }
    }
    /* the snapshot says what is, not what happened in which order: nobody can resume across it */
    lost (c, revision);
  }
  map_free (cs->seen);
  cs->seen = NULL;
  if (cs->resync_failed)
    return;
  cs->synced = true;
  reached (cs, revision);
}

static void
on_change (void *arg, const struct bus_change *ch)
{
  struct watch_caches *cs = arg;
  struct cached *o = NULL;
  if (ch->op == BUS_PUT) {
    int r = cached_make (ch->key, ch->value, ch->value_len, ch->revision, ch->create_revision, &o);
    if (!r)
      apply (cs, ch->key, o, ch->revision);
    else if (r == ERR_NOMEM)
      broken (cs, ch->key);
  } else
    apply (cs, ch->key, NULL, ch->revision);
  cached_unref (o);
  if (ch->last)
    reached (cs, ch->revision);
}

static void
on_progress (void *arg, uint64_t revision)
{
  reached (arg, revision);
}

static void
on_failed (void *arg, const struct err *err)
{
  (void) arg;
  log_error ("watch cache subscription failed", "err=\"%s\"", err->text);
}

const struct bus_subscriber watch_caches_subscriber = { on_reset, on_object, on_synced, on_change, on_progress, on_failed };

int
watch_cache_watch (struct watch_cache *c, uint64_t after_revision, struct cache_watcher *w)
{
  if (after_revision < c->floor)
    return ERR_COMPACTED;
  w->next = c->watchers;
  w->link = &c->watchers;
  w->cache = c;
  if (w->next)
    w->next->link = &w->next;
  c->watchers = w;
  uint64_t held = c->n_events < CACHE_RING ? c->n_events : CACHE_RING;
  for (uint64_t i = c->n_events - held; i < c->n_events && w->link; i++) {
    struct cache_event *e = c->ring[i % CACHE_RING];
    if (e && e->revision > after_revision)
      w->event (w, e);
  }
  return 0;
}

void
watch_cache_unwatch (struct cache_watcher *w)
{
  if (!w->link)
    return;
  if (w->cache->cursor == w)
    w->cache->cursor = w->next;
  *w->link = w->next;
  if (w->next)
    w->next->link = w->link;
  w->link = NULL;
  w->next = NULL;
}
