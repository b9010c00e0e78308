/* Watches: the current state first when that is asked for, then every change from the cache's ring and live. */
#include "base/log.h"
#include "schemas/json.h"
#include "schemas/msgpack.h"
#include "services/apiserver/list.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"

#define PENDING_BYTES (4u << 20) /* a watcher with more unsent is ended: it lists again */
#define BOOKMARK_MS 60000
#define TIMEOUT_MIN_S 1800 /* upstream's minRequestTimeout; up to twice as long, so that watches do not end all at once */
#define BATCH_BYTES (64u << 10)

enum event_type { EVENT_ADDED, EVENT_MODIFIED, EVENT_DELETED, EVENT_BOOKMARK };
static const char *const type_names[] = { "ADDED", "MODIFIED", "DELETED", "BOOKMARK" };

struct watch {
  struct cache_watcher watcher; /* first: the cache's callbacks give this address */
  struct request *rq;
  struct filter filter;
  struct arena scratch;
  struct loop_timer *timer;
  uint64_t after;
  mono_t ends;
  bool bookmarks, columns_sent;
  bool replaying, ending, ended; /* while the ring is replayed an end is put off: begin still needs the request */
};

static void
end (struct watch *w)
{
  struct request *rq = w->rq;
  if (w->ended)
    return;
  if (w->replaying) {
    w->ending = true;
    watch_cache_unwatch (&w->watcher); /* stops the replay */
    return;
  }
  w->ended = true;
  watch_cache_unwatch (&w->watcher);
  loop_timer_free (w->timer);
  arena_done (&w->scratch);
  rq->server->n_watches--;
  respond_end (rq); /* frees w, which lives in the request's arena */
}

/* {"type":T,"object":O} in the request's encoding, O already encoded. */
static void
wrap (const struct request *rq, const char *type, const struct buf *object, struct buf *out)
{
  if (rq->encoding == ENCODING_MSGPACK) {
    size_t n = strlen (type);
    buf_append_byte (out, 0x82);
    buf_append_str (out, "\xa4type");
    buf_append_byte (out, (uint8_t) (0xa0 | n));
    buf_append_str (out, type);
    buf_append_str (out, "\xa6object");
    buf_append (out, object->data, object->len);
    return;
  }
  buf_printf (out, "{\"type\":\"%s\",\"object\":", type);
  buf_append (out, object->data, object->len);
  buf_append_str (out, "}\n");
  out->failed = out->failed || object->failed;
}

static void
send_value (struct watch *w, const char *type, const struct value *v)
{
  AUTO_BUF struct buf object = BUF_INIT, line = BUF_INIT;
  if (w->rq->encoding == ENCODING_MSGPACK)
    value_pack (v, &object);
  else
    json_write (v, 0, &object);
  wrap (w->rq, type, &object, &line);
  if (!line.failed)
    respond_chunk (w->rq, line.data, line.len);
}

static void
send_error (struct watch *w, int code, const char *reason, const char *message)
{
  send_value (w, "ERROR", status_tree (&w->rq->arena, code, reason, message, NULL));
}

static bool
encode (struct watch *w, enum event_type type, const struct cached *o, struct buf *out)
{
  AUTO_BUF struct buf object = BUF_INIT;
  struct err err = { 0 };
  if (!o || list_encode (w->rq, &w->scratch, o, false, !w->columns_sent, &object, &err))
    return false;
  w->columns_sent = true;
  wrap (w->rq, type_names[type], &object, out);
  return !out->failed;
}

/* Sends the event; one encoding is shared by all who watch the plain JSON form. false: it could not be shown. */
static bool
send_event (struct watch *w, struct cache_event *e, enum event_type type, const struct cached *o)
{
  struct request *rq = w->rq;
  if (list_plain (rq) && rq->encoding != ENCODING_MSGPACK) {
    struct buf *shared = &e->json[type];
    if (!shared->len && !encode (w, type, o, shared)) {
      buf_done (shared);
      return false;
    }
    respond_chunk (rq, shared->data, shared->len);
    return true;
  }
  AUTO_BUF struct buf line = BUF_INIT;
  if (!encode (w, type, o, &line))
    return false;
  respond_chunk (rq, line.data, line.len);
  return true;
}

static void
on_event (struct cache_watcher *cw, struct cache_event *e)
{
  struct watch *w = (struct watch *) cw;
  struct request *rq = w->rq;
  if (e->revision <= w->after)
    return;
  bool was = e->old && filter_matches (&w->filter, &w->scratch, e->old);
  bool is = e->new_ && filter_matches (&w->filter, &w->scratch, e->new_);
  if (!was && !is)
    return;
  enum event_type type = !was ? EVENT_ADDED : is ? EVENT_MODIFIED : EVENT_DELETED;
  /* an object that left the selection is shown as it last was in it, at this revision */
  bool sent = send_event (w, e, type, is ? e->new_ : cache_event_last (e));
  if (!sent || rq->sink->pending (rq) > PENDING_BYTES) {
    if (sent)
      log_warn ("watch too slow, ended", "user=%s resource=%s", rq->user.name, rq->info.resource);
    end (w);
  }
}

static void
on_reset (struct cache_watcher *cw)
{
  struct watch *w = (struct watch *) cw;
  send_error (w, 410, "Expired", "The resourceVersion for the provided watch is too old.");
  end (w);
}

static void
on_close (struct request *rq)
{
  end (rq->state);
}

/* An object of the kind with nothing but a resourceVersion: everything up to it was sent. */
static void
send_bookmark (struct watch *w, bool initial_end)
{
  struct request *rq = w->rq;
  struct arena *a = &w->scratch;
  const struct schema_kind *k = rq->kind;
  struct value *v = value_map (a), *meta = value_map (a);
  value_set_string (a, v, "kind", rq->transform == TRANSFORM_PARTIAL ? "PartialObjectMetadata" : k->kind);
  value_set (a, v, "apiVersion",
             rq->transform == TRANSFORM_PARTIAL ? value_string (a, "meta.k8s.io/v1")
             : *k->group                        ? value_printf (a, "%s/%s", k->group, k->version)
                                                : value_string (a, k->version));
  uint64_t revision = watch_caches_revision (rq->server->caches);
  value_set (a, meta, "resourceVersion", value_printf (a, "%llu", (unsigned long long) (revision > w->after ? revision : w->after)));
  value_set (a, meta, "creationTimestamp", value_null (a));
  if (initial_end)
    value_set_string (a, value_ensure_map (a, meta, "annotations"), "k8s.io/initial-events-end", "true");
  value_set (a, v, "metadata", meta);
  if (rq->transform == TRANSFORM_TABLE) {
    struct value *table = value_map (a), *rows = value_array (a), *row = value_map (a);
    value_set_string (a, table, "kind", "Table");
    value_set_string (a, table, "apiVersion", "meta.k8s.io/v1");
    value_set (a, table, "metadata", meta);
    value_set (a, table, "columnDefinitions", value_null (a));
    value_set (a, row, "cells", value_array (a));
    value_set (a, row, "object", v);
    value_append (a, rows, row);
    value_set (a, table, "rows", rows);
    v = table;
  }
  if (arena_ok (a))
    send_value (w, "BOOKMARK", v);
  arena_reset (a);
}

static void
arm (struct watch *w)
{
  int64_t left = mono_ms_since (mono_now (), w->ends);
  loop_timer_set (w->timer, w->bookmarks && left > BOOKMARK_MS ? BOOKMARK_MS : left > 0 ? left : 0);
}

static void
on_timer (void *arg)
{
  struct watch *w = arg;
  if (w->bookmarks)
    send_bookmark (w, false);
  if (mono_ms_since (w->ends, mono_now ()) >= 0)
    end (w);
  else
    arm (w);
}

struct initial {
  struct watch *w;
  struct buf out;
  bool failed;
};

static bool
send_initial (void *arg, struct cached *o)
{
  struct initial *i = arg;
  if (!filter_matches (&i->w->filter, &i->w->scratch, o))
    return true;
  if (!encode (i->w, EVENT_ADDED, o, &i->out)) {
    i->failed = true;
    return false;
  }
  if (i->out.len > BATCH_BYTES) {
    respond_chunk (i->w->rq, i->out.data, i->out.len);
    buf_reset (&i->out);
  }
  return true;
}

static void
begin (struct request *rq)
{
  struct watch *w = rq->state;
  const char *prefix = registry_prefix (&rq->arena, rq->kind), *version = request_param (rq, "resourceVersion");
  struct watch_cache *c = prefix ? watch_cache_get (rq->server->caches, prefix) : NULL;
  const char *initial_param = request_param (rq, "sendInitialEvents");
  bool initial = *initial_param ? uri_query_bool (&rq->query, "sendInitialEvents") : !*version || strcmp (version, "0") == 0;
  uint64_t now = watch_caches_revision (rq->server->caches);
  rq->encoding = rq->encoding == ENCODING_YAML ? ENCODING_JSON : rq->encoding;
  w->timer = rq->closed || !c ? NULL : loop_timer_new (rq->server->loop, on_timer, w);
  if (!w->timer) {
    struct err err = { 0 };
    (void) err_set (&err, rq->closed ? ERR_CLOSED : ERR_NOMEM, "%s", "watch");
    arena_done (&w->scratch);
    status_error (rq, &err);
    return;
  }
  rq->on_close = on_close;
  rq->server->n_watches++;
  respond_start (rq, 200, respond_media_type (rq, true));
  if (initial) {
    struct initial i = { .w = w };
    watch_cache_each (c, w->filter.namespace_, NULL, send_initial, &i);
    if (i.out.len && !i.out.failed)
      respond_chunk (rq, i.out.data, i.out.len);
    i.failed = i.failed || i.out.failed;
    buf_done (&i.out);
    if (i.failed) {
      end (w);
      return;
    }
    w->after = now;
  } else if (!*version || strcmp (version, "0") == 0)
    w->after = now;
  else
    w->after = strtoull (version, NULL, 10);
  w->watcher.event = on_event;
  w->watcher.reset = on_reset;
  w->replaying = true;
  int r = watch_cache_watch (c, w->after, &w->watcher);
  w->replaying = false;
  if (r) {
    const char *message = arena_printf (&rq->arena, "too old resource version: %llu (%llu)", (unsigned long long) w->after, (unsigned long long) now);
    send_error (w, 410, "Expired", message ? message : "too old resource version");
    end (w);
    return;
  }
  if (w->ending) {
    end (w);
    return;
  }
  if (uri_query_bool (&rq->query, "sendInitialEvents") && w->bookmarks)
    send_bookmark (w, true);
  arm (w);
}

void
registry_watch (struct request *rq)
{
  struct watch *w = arena_zalloc (&rq->arena, sizeof *w);
  const char *timeout = request_param (rq, "timeoutSeconds"), *version = request_param (rq, "resourceVersion");
  char *stop = (char *) "";
  struct filter filter;
  if (!filter_parse (rq, &filter))
    return;
  if (!w) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_NOMEM, "%s", "begin the watch");
    status_error (rq, &err);
    return;
  }
  int64_t timeout_s = strtoll (timeout, &stop, 10);
  if (*stop || timeout_s < 0 || timeout_s > INT32_MAX) {
    status_bad_request (rq, "timeoutSeconds: \"%s\" is not a number of seconds", timeout);
    return;
  }
  if (strspn (version, "0123456789") != strlen (version)) {
    status_bad_request (rq, "invalid resource version \"%s\"", version);
    return;
  }
  if (*request_param (rq, "sendInitialEvents") && strcmp (request_param (rq, "resourceVersionMatch"), "NotOlderThan") != 0) {
    status_reply (rq, 422, "", NULL,
                  "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting "
                  "resourceVersionMatch to NotOlderThan");
    return;
  }
  if (!timeout_s)
    timeout_s = TIMEOUT_MIN_S + (int64_t) (hash_bytes (&rq->begun, sizeof rq->begun, 0) % TIMEOUT_MIN_S);
  *w = (struct watch) { .rq = rq, .filter = filter, .bookmarks = uri_query_bool (&rq->query, "allowWatchBookmarks"),
                        .ends = { mono_now ().ns + timeout_s * 1000000000 } };
  arena_init (&w->scratch, 0);
  rq->state = w;
  bool any = strcmp (version, "0") == 0 || (*version && !*request_param (rq, "sendInitialEvents"));
  registry_when_fresh (rq, any ? "0" : version, begin); /* a watch from N needs no waiting: later changes just follow */
}
