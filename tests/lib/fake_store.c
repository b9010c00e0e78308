#include "tests/lib/fake_store.h"

#include <assert.h>

#include "base/map.h"
#include "base/mem.h"
#include "bus/stream.h"

struct version {
  uint64_t revision, create;
  bool deleted;
  uint8_t *value;
  size_t len;
  char index[128];
};
struct key {
  struct version *v;
  size_t n;
};
struct packed {
  uint64_t revision;
  uint8_t *data;
  size_t len;
};
struct stream {
  struct packed *items; /* sequence first..last */
  size_t n;
  uint64_t first; /* of items[0] */
};
struct fake_member {
  struct fake_store *store;
  struct fake_member *next;
  struct bus_server *server;
  struct bus_publisher *publisher;
};
struct fake_store {
  struct omap *keys;
  struct map *streams;
  struct fake_member *members;
  uint64_t revision, compacted, page_max;
  unsigned snapshots;
  char deny_name[64], deny_prefix[128];
};

static void
key_free (void *p)
{
  struct key *k = p;
  for (size_t i = 0; i < k->n; i++)
    free (k->v[i].value);
  free (k->v);
  free (k);
}

static void
stream_free (void *p)
{
  struct stream *st = p;
  for (size_t i = 0; i < st->n; i++)
    free (st->items[i].data);
  free (st->items);
  free (st);
}

struct fake_store *
fake_store_new (void)
{
  struct fake_store *s = calloc (1, sizeof *s);
  assert (s);
  s->keys = omap_new (key_free);
  s->streams = map_new (stream_free);
  s->revision = 1;
  return s;
}

void
fake_store_free (struct fake_store *s)
{
  while (s->members)
    fake_store_detach (s->members);
  omap_free (s->keys);
  map_free (s->streams);
  free (s);
}

void
fake_store_page_max (struct fake_store *s, uint64_t page_max)
{
  s->page_max = page_max;
}

void
fake_store_deny (struct fake_store *s, const char *name, const char *prefix)
{
  (void) snprintf (s->deny_name, sizeof s->deny_name, "%s", name);
  (void) snprintf (s->deny_prefix, sizeof s->deny_prefix, "%s", prefix);
}

static bool
allowed (void *arg, const struct bus_peer *peer, const char *stream)
{
  struct fake_store *s = arg;
  return strcmp (peer->name, s->deny_name) || strncmp (stream, s->deny_prefix, strlen (s->deny_prefix));
}

static struct stream *
stream_of (struct fake_store *s, const char *name)
{
  struct stream *st = map_get (s->streams, name);
  if (!st) {
    st = calloc (1, sizeof *st);
    assert (st);
    st->first = 1;
    assert (!map_set (s->streams, name, st));
  }
  return st;
}

uint64_t
fake_store_seq (const struct fake_store *s, const char *name)
{
  const struct stream *st = map_get (s->streams, name);
  return st ? st->first + st->n - 1 : 0;
}

uint64_t
fake_store_revision (const struct fake_store *s)
{
  return s->revision;
}

unsigned
fake_store_snapshots (const struct fake_store *s)
{
  return s->snapshots;
}

static const struct version *
version_at (const struct key *k, uint64_t revision)
{
  const struct version *found = NULL;
  for (size_t i = 0; i < k->n && k->v[i].revision <= revision; i++)
    found = &k->v[i];
  return found && !found->deleted ? found : NULL;
}

static bool
in_stream (const char *stream, const char *key, const struct version *v)
{
  size_t n = strlen (stream);
  if (!n)
    return true;
  if (stream[0] == '@')
    return !strcmp (stream, v->index);
  return !strncmp (key, stream, n) && key[n] == '/';
}

static void
answer_snapshot (struct fake_store *s, struct bus_request *rq, const struct stream_query *q)
{
  struct stream_page_writer w = {0};
  AUTO_BUF struct buf out = BUF_INIT, packed = BUF_INIT;
  uint64_t revision = q->revision ? q->revision : s->revision, limit = s->page_max && s->page_max < q->limit ? s->page_max : q->limit;
  const struct stream *st = map_get (s->streams, q->stream);
  bool more = false;
  if (revision < s->compacted) {
    bus_reply_error (rq, ERR_COMPACTED, "revision %llu", (unsigned long long) revision);
    return;
  }
  s->snapshots += !q->after[0];
  for (struct omap_node *n = omap_seek (s->keys, q->after); n; n = omap_next (s->keys, n)) {
    const struct version *v = version_at (omap_value (n), revision);
    if (!v || !strcmp (omap_key (n), q->after) || !in_stream (q->stream, omap_key (n), v))
      continue;
    if (stream_page_full (&w, limit)) {
      more = true;
      break;
    }
    buf_reset (&packed);
    bus_change_pack (&(struct bus_change){.revision = v->revision, .op = BUS_PUT, .key = omap_key (n), .value = v->value,
                                          .value_len = v->len, .create_revision = v->create, .last = true},
                     &packed);
    stream_page_add (&w, packed.data, packed.len);
  }
  uint64_t seq = fake_store_seq (s, q->stream);
  while (st && seq >= st->first && st->items[seq - st->first].revision > revision)
    seq--;
  stream_page_end (&w, revision, seq, more, &out);
  bus_reply (rq, out.data, out.len);
}

static void
answer_changes (struct fake_store *s, struct bus_request *rq, const struct stream_query *q)
{
  struct stream_page_writer w = {0};
  AUTO_BUF struct buf out = BUF_INIT;
  const struct stream *st = stream_of (s, q->stream);
  uint64_t last = st->first + st->n - 1, after = q->after_seq, limit = s->page_max && s->page_max < q->limit ? s->page_max : q->limit;
  if (!q->after_seq && q->revision) {
    if (q->revision < s->compacted) {
      bus_reply_error (rq, ERR_COMPACTED, "revision");
      return;
    }
    for (after = st->first - 1; after < last && st->items[after + 1 - st->first].revision <= q->revision;)
      after++;
  }
  if (after + 1 < st->first) {
    bus_reply_error (rq, ERR_COMPACTED, "sequence");
    return;
  }
  uint64_t at = after + 1;
  for (; at <= last && !stream_page_full (&w, limit); at++)
    stream_page_add (&w, st->items[at - st->first].data, st->items[at - st->first].len);
  stream_page_end (&w, s->revision, at - 1, at <= last, &out);
  bus_reply (rq, out.data, out.len);
}

static void
on_request (void *arg, struct bus_request *rq)
{
  struct fake_member *m = arg;
  struct stream_query q;
  struct err err;
  if (stream_query_unpack (rq->body, rq->len, &q, &err))
    bus_reply_error (rq, err.code, "%s", err.text);
  else if (!allowed (m->store, &rq->peer, q.stream))
    bus_reply_error (rq, ERR_DENIED, "stream %s", q.stream);
  else if (!strcmp (rq->method, STREAM_SNAPSHOT_METHOD))
    answer_snapshot (m->store, rq, &q);
  else if (!strcmp (rq->method, STREAM_CHANGES_METHOD))
    answer_changes (m->store, rq, &q);
  else
    bus_reply_error (rq, ERR_UNSUPPORTED, "%s", rq->method);
}

struct fake_member *
fake_store_attach (struct fake_store *s, struct bus *b, const char *server_address, const char *publisher_address)
{
  struct fake_member *m = calloc (1, sizeof *m);
  struct err err = {0};
  assert (m);
  m->store = s;
  m->server = bus_serve (b, server_address, on_request, m, &err);
  m->publisher = m->server ? bus_publisher_open (b, publisher_address, allowed, s, &err) : NULL;
  if (!m->publisher) {
    (void) fprintf (stderr, "fake store: %s\n", err.text);
    abort ();
  }
  m->next = s->members;
  s->members = m;
  return m;
}

void
fake_store_detach (struct fake_member *m)
{
  struct fake_member **at;
  for (at = &m->store->members; *at != m; at = &(*at)->next)
    ;
  *at = m->next;
  bus_server_free (m->server);
  bus_publisher_free (m->publisher);
  free (m);
}

static void
emit (struct fake_store *s, const char *name, const struct bus_change *c)
{
  struct stream *st = stream_of (s, name);
  struct buf packed = BUF_INIT;
  bus_change_pack (c, &packed);
  st->items = realloc (st->items, (st->n + 1) * sizeof *st->items);
  assert (st->items && !packed.failed);
  st->items[st->n++] = (struct packed){c->revision, packed.data, packed.len};
  for (struct fake_member *m = s->members; m; m = m->next)
    bus_publish (m->publisher, name, st->first + st->n - 1, packed.data, packed.len);
}

static void
add (struct fake_store *s, const char *key, bool deleted, const void *value, size_t len, const char *index, uint64_t cause)
{
  struct key *k = omap_get (s->keys, key);
  const struct version *old;
  struct version v = {.revision = ++s->revision, .deleted = deleted, .len = len};
  char old_index[128] = "", name[1024];
  struct bus_change c = {.revision = v.revision, .last = true, .op = deleted ? BUS_DELETE : BUS_PUT, .key = key, .actor = "test",
                         .cause = cause, .time_us = (int64_t) v.revision * 1000};
  if (!k) {
    assert ((k = calloc (1, sizeof *k)) && !omap_set (s->keys, key, k));
  }
  old = version_at (k, s->revision);
  v.create = old ? old->create : v.revision;
  c.create_revision = v.create;
  if (old) {
    c.prev_revision = old->revision;
    memcpy (old_index, old->index, sizeof old_index);
  }
  c.value = deleted && old ? old->value : value;
  c.value_len = deleted && old ? old->len : len;
  (void) snprintf (v.index, sizeof v.index, "%s", index ? index : "");
  if (!deleted) {
    assert ((v.value = malloc (len + 1)));
    memcpy (v.value, value, len);
  }
  emit (s, "", &c);
  (void) snprintf (name, sizeof name, "%s", key);
  for (char *slash = strchr (name, '/'); slash; slash = strchr (slash + 1, '/')) {
    *slash = 0;
    emit (s, name, &c);
    *slash = '/';
  }
  if (old_index[0] && strcmp (old_index, v.index)) {
    struct bus_change gone = c;
    gone.op = BUS_DELETE;
    gone.moved = !deleted;
    gone.value = old->value;
    gone.value_len = old->len;
    emit (s, old_index, &gone);
  }
  if (v.index[0])
    emit (s, v.index, &c);
  k->v = realloc (k->v, (k->n + 1) * sizeof *k->v);
  assert (k->v);
  k->v[k->n++] = v;
}

uint64_t
fake_store_put (struct fake_store *s, const char *key, const void *value, size_t len, const char *index, uint64_t cause)
{
  add (s, key, false, value, len, index, cause);
  return s->revision;
}

uint64_t
fake_store_delete (struct fake_store *s, const char *key)
{
  add (s, key, true, "", 0, NULL, 0);
  return s->revision;
}

void
fake_store_compact (struct fake_store *s)
{
  const char *name;
  void *value;
  for (size_t it = 0; map_next (s->streams, &it, &name, &value);) {
    struct stream *st = value;
    st->first += st->n;
    for (size_t i = 0; i < st->n; i++)
      free (st->items[i].data);
    st->n = 0;
  }
  s->compacted = s->revision;
}

struct progress {
  struct fake_store *store;
  struct bus_publisher *publisher;
};

static void
progress_of (void *arg, const char *stream)
{
  struct progress *p = arg;
  bus_publish_progress (p->publisher, stream, fake_store_seq (p->store, stream), p->store->revision);
}

void
fake_store_progress (struct fake_store *s)
{
  for (struct fake_member *m = s->members; m; m = m->next)
    bus_publisher_each (m->publisher, progress_of, &(struct progress){s, m->publisher});
}
