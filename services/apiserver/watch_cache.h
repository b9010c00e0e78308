/* Everything that is stored, in memory, fed by the bus: per resource an ordered map of immutable objects and a ring of recent
   events. One subscription to all changes feeds all of them, so one revision tells how far the whole cache is: a consistent
   read asks the store's revision and waits here until the cache has reached it.

   Objects are packed bytes with metadata.resourceVersion put in once; they are reference counted and shared by lists and
   watchers. An event's bytes are encoded once for each encoding, however many watch. */
#ifndef SERVICES_APISERVER_WATCH_CACHE_H
#define SERVICES_APISERVER_WATCH_CACHE_H

#include "base/map.h"
#include "bus/bus.h"

#define CACHE_RING 4096          /* events kept a resource; a watch from before them gets 410 */
#define CACHE_WAITERS_MAX 65536

struct cached {
  uint32_t refs;
  uint64_t revision, create_revision;
  size_t len;
  const char *key;  /* "PREFIX/namespace/name" */
  uint8_t packed[]; /* len bytes, then the key */
};
/* NULL: out of memory, or value is not an object of the API. */
struct cached *cached_new (const char *key, const uint8_t *value, size_t len, uint64_t revision, uint64_t create_revision);
struct cached *cached_ref (struct cached *o);
void cached_unref (struct cached *o); /* NULL allowed */

struct cache_event { /* reference counted */
  uint32_t refs;
  uint64_t revision;
  struct cached *old;     /* NULL: added. For a deletion with the deletion's revision in deleted */
  struct cached *new_;    /* NULL: deleted */
  struct cached *deleted; /* old's last state at this revision, made on first use */
  struct buf json[3];     /* encoded ADDED, MODIFIED, DELETED lines, made on first use */
};
struct cached *cache_event_last (struct cache_event *e); /* the object of a DELETED event */
struct cache_event *cache_event_ref (struct cache_event *e);
void cache_event_unref (struct cache_event *e);

struct watch_caches;
struct watch_cache;
struct cache_watcher { /* embedded in the watcher */
  struct cache_watcher *next, **link;
  struct watch_cache *cache;
  void (*event) (struct cache_watcher *w, struct cache_event *e);
  void (*reset) (struct cache_watcher *w); /* events may have been missed: end the watch */
};

struct watch_caches *watch_caches_new (void);
void watch_caches_free (struct watch_caches *cs);
/* The subscriber's callbacks, arg = the watch_caches: given to bus_subscribe (source, "", 0, ...) or driven by a test. */
extern const struct bus_subscriber watch_caches_subscriber;
bool watch_caches_synced (const struct watch_caches *cs);
uint64_t watch_caches_revision (const struct watch_caches *cs);
/* Calls cb once the cache has reached revision: at once when it has. ERR_BUSY when too many wait. */
int watch_caches_wait (struct watch_caches *cs, uint64_t revision, void (*cb) (void *arg), void *arg);
/* Told of every change of every resource, after the cache took it. */
void watch_caches_on_change (struct watch_caches *cs, void (*cb) (void *arg, const char *prefix, struct cached *old, struct cached *new_), void *arg);

struct watch_cache *watch_cache_get (struct watch_caches *cs, const char *prefix); /* made when there is none; NULL: memory */
struct cached *watch_cache_find (struct watch_caches *cs, const char *key);        /* borrowed; NULL */
/* Calls cb for each object below "PREFIX/" or "PREFIX/ns/", in key order, those after the key `after` (NULL: all), until false. */
void watch_cache_each (struct watch_cache *c, const char *namespace_, const char *after, bool (*cb) (void *arg, struct cached *o), void *arg);
size_t watch_cache_count (const struct watch_cache *c);
uint64_t watch_cache_last_event (const struct watch_cache *c); /* revision of its last change, 0: none seen */
/* Replays the events after revision, then tells of every one. ERR_COMPACTED when they are no longer held. */
int watch_cache_watch (struct watch_cache *c, uint64_t after_revision, struct cache_watcher *w);
void watch_cache_unwatch (struct cache_watcher *w);

#endif
