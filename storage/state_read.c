/* Reading the state: current records, versions, ranges at a revision, streams, and compaction. */
#include "base/mem.h"
#include "schemas/msgpack.h"
#include "storage/state_internal.h"

int
state_current_get (struct state *s, const char *key, struct buf *raw, struct state_current *ret, struct err *err)
{
  struct buf k AUTO_BUF = BUF_INIT;
  int r;
  state_key (&k, 'c', key, strlen (key));
  if ((r = s->engine->vt->get (s->engine, k.data, k.len, raw, err)))
    return r;
  if (raw->len < 32 || (raw->len > 32 && raw->data[raw->len - 1]))
    return err_set (err, ERR_CORRUPT, "%s: current record of %zu bytes", key, raw->len);
  *ret = (struct state_current){be64_load (raw->data), be64_load (raw->data + 8), be64_load (raw->data + 16),
                                be64_load (raw->data + 24), (const char *) raw->data + 32, raw->len - 32};
  return 0;
}

bool
state_version_decode (const uint8_t *p, size_t n, bool *ret_tombstone, struct store_kv *ret)
{
  if (n < 25 || p[0] > 1)
    return false;
  *ret_tombstone = p[0];
  ret->create_revision = be64_load (p + 1);
  ret->version = be64_load (p + 9);
  ret->lease = be64_load (p + 17);
  ret->value = p + 25;
  ret->value_len = n - 25;
  return true;
}

/* ---- ranges ---- */

static bool
in_range (const struct state_scan *q, const char *key)
{
  if (!q->end)
    return !strcmp (key, q->key);
  if (q->end == STORE_PREFIX)
    return !strncmp (key, q->key, strlen (q->key));
  return strcmp (key, q->end) < 0;
}

static bool
scan_push (struct state_scan_result *ret, struct arena *a, const struct store_kv *kv)
{
  if (ret->n == ret->cap) {
    size_t cap = ret->cap ? ret->cap * 2 : 16;
    struct store_kv *kvs = arena_alloc (a, cap * sizeof *kvs);
    if (!kvs)
      return false;
    if (ret->n)
      memcpy (kvs, ret->kvs, ret->n * sizeof *kvs);
    ret->kvs = kvs;
    ret->cap = cap;
  }
  ret->kvs[ret->n++] = *kv;
  return true;
}

/* Adds the version under the iterator; false when out of memory. */
static bool
take (const struct state_scan *q, struct arena *a, struct state_scan_result *ret, struct store_kv *kv, const char *key, uint64_t mod, size_t *bytes)
{
  ret->count++;
  if (q->count_only)
    return true;
  if ((q->limit && ret->n >= q->limit) || (q->max_bytes && ret->n && *bytes + kv->value_len > q->max_bytes)) {
    ret->more = true;
    return true;
  }
  kv->mod_revision = mod;
  kv->key = arena_strdup (a, key);
  if (q->keys_only)
    kv->value_len = 0;
  kv->value = (const uint8_t *) arena_strndup (a, (const char *) kv->value, kv->value_len);
  *bytes += kv->value_len + strlen (key) + 64;
  return kv->key && kv->value && scan_push (ret, a, kv);
}

int
state_scan (struct state *s, const struct state_scan *q, struct arena *a, struct state_scan_result *ret, struct err *err)
{
  struct engine_iter *it AUTO_ENGINE_ITER = s->engine->vt->iter (s->engine);
  struct buf at AUTO_BUF = BUF_INIT, key AUTO_BUF = BUF_INIT;
  uint64_t revision = q->revision ? q->revision : s->revision;
  size_t bytes = 0;
  if (!it)
    return err_set (err, ERR_NOMEM, "scan %s", q->key);
  if (q->after && *q->after) {
    state_key (&at, 'k', q->after, strlen (q->after));
    buf_append_byte (&at, 1); /* behind every version of that key */
  } else {
    state_key (&at, 'k', q->key, strlen (q->key));
  }
  it->vt->seek (it, at.data, at.len);
  while (it->vt->valid (it)) {
    size_t kn, vn;
    const uint8_t *k = it->vt->key (it, &kn), *v;
    struct store_kv kv = {0};
    bool tombstone;
    uint64_t mod;
    if (kn < 11 || k[0] != 'k')
      break;
    buf_reset (&key);
    buf_append (&key, k + 1, kn - 10);
    if (key.failed)
      return err_set (err, ERR_NOMEM, "scan %s", q->key);
    if (!in_range (q, buf_cstr (&key)))
      break;
    mod = ~be64_load (k + kn - 8);
    if (mod > revision) { /* too new: the next version of the same key, found directly */
      state_version_key (&at, buf_cstr (&key), revision);
      it->vt->seek (it, at.data, at.len);
      continue;
    }
    v = it->vt->value (it, &vn);
    if (!state_version_decode (v, vn, &tombstone, &kv))
      return err_set (err, ERR_CORRUPT, "%s: version %llu is malformed", buf_cstr (&key), (unsigned long long) mod);
    if (!tombstone && !take (q, a, ret, &kv, buf_cstr (&key), mod, &bytes))
      return err_set (err, ERR_NOMEM, "scan %s", q->key);
    if (ret->more && !q->limit)
      break; /* the page is full; only a limit promises an exact count */
    it->vt->next (it); /* most often the next key; else skip this one's older versions at once */
    if (it->vt->valid (it) && (k = it->vt->key (it, &kn)) && kn == key.len + 10 && !memcmp (k + 1, key.data, key.len)) {
      state_key (&at, 'k', key.data, key.len);
      buf_append_byte (&at, 1);
      it->vt->seek (it, at.data, at.len);
    }
  }
  return it->vt->error (it, err);
}

static int
check_revision (struct state *s, uint64_t revision, struct err *err)
{
  if (revision > s->revision)
    return err_set (err, ERR_FUTURE, "revision %llu is not reached (at %llu)", (unsigned long long) revision, (unsigned long long) s->revision);
  if (revision && revision < s->compacted)
    return err_set (err, ERR_COMPACTED, "revision %llu is compacted (up to %llu)", (unsigned long long) revision, (unsigned long long) s->compacted);
  return 0;
}

int
state_range (struct state *s, const struct store_range *r, struct buf *out, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct state_scan q = {.key = r->key, .end = r->end, .revision = r->revision, .limit = r->limit, .max_bytes = STATE_PAGE_BYTES,
                         .keys_only = r->keys_only, .count_only = r->count_only};
  struct state_scan_result found = {0};
  struct store_range_result result;
  int e = check_revision (s, r->revision, err);
  if (e || (e = state_scan (s, &q, &a, &found, err)))
    return e;
  result = (struct store_range_result){s->revision, found.kvs, found.n, found.count, found.more};
  wire_pack_range_result (&result, out);
  return out->failed ? err_set (err, ERR_NOMEM, "range %s", r->key) : 0;
}

/* ---- streams ---- */

static void
pack_object (const struct store_kv *kv, struct buf *out)
{
  struct bus_change c = {.revision = kv->mod_revision, .last = true, .op = BUS_PUT, .key = kv->key, .value = kv->value, .value_len = kv->value_len,
                         .create_revision = kv->create_revision, .actor = "", .trace = ""};
  bus_change_pack (&c, out);
}

/* The current objects of an index stream: its members, each read by itself. */
static int
scan_index (struct state *s, const struct wire_page_request *rq, struct arena *a, struct state_scan_result *ret, struct err *err)
{
  struct engine_iter *it AUTO_ENGINE_ITER = s->engine->vt->iter (s->engine);
  struct buf from AUTO_BUF = BUF_INIT;
  size_t prefix = strlen (rq->stream) + 2, bytes = 0;
  if (!it)
    return err_set (err, ERR_NOMEM, "snapshot of %s", rq->stream);
  state_key (&from, 'i', rq->stream, strlen (rq->stream) + 1);
  buf_append (&from, rq->after, strlen (rq->after));
  if (*rq->after)
    buf_append_byte (&from, 0);
  for (it->vt->seek (it, from.data, from.len); it->vt->valid (it); it->vt->next (it)) {
    size_t n;
    const uint8_t *k = it->vt->key (it, &n);
    struct state_scan q;
    const char *key;
    int r;
    if (n <= prefix || memcmp (k, from.data, prefix))
      break;
    if ((rq->limit && ret->n >= rq->limit) || bytes > STATE_PAGE_BYTES) {
      ret->more = true;
      break;
    }
    if (!(key = arena_strndup (a, (const char *) k + prefix, n - prefix)))
      return err_set (err, ERR_NOMEM, "snapshot of %s", rq->stream);
    q = (struct state_scan){.key = key};
    if ((r = state_scan (s, &q, a, ret, err)))
      return r;
    bytes += ret->n ? ret->kvs[ret->n - 1].value_len + n : 0;
  }
  return it->vt->error (it, err);
}

/* The head of a page: {revision, seq, more, changes: [n packed ...]}; the packed changes follow as bin. */
static void
page_head (struct buf *out, uint64_t revision, uint64_t seq, bool more, size_t n)
{
  struct arena a AUTO_ARENA = {0};
  const struct {
    const char *name;
    struct value *v;
  } rows[] = {{"revision", value_int (&a, (int64_t) revision)}, {"seq", value_int (&a, (int64_t) seq)}, {"more", value_bool (&a, more)}};
  struct value *name;
  buf_append_byte (out, 0x84);
  for (size_t i = 0; i < 3; i++) {
    value_pack (name = value_string (&a, rows[i].name), out);
    value_pack (rows[i].v, out);
  }
  value_pack (name = value_string (&a, "changes"), out);
  buf_append_byte (out, 0xdd);
  buf_append_be32 (out, (uint32_t) n);
  if (!arena_ok (&a))
    out->failed = true;
}

static void
page_item (struct buf *out, const void *packed, size_t n)
{
  buf_append_byte (out, 0xc6);
  buf_append_be32 (out, (uint32_t) n);
  buf_append (out, packed, n);
}

int
state_stream_snapshot (struct state *s, const struct wire_page_request *rq, struct buf *out, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct state_scan_result found = {0};
  struct buf packed AUTO_BUF = BUF_INIT;
  uint64_t seq, last;
  int r = check_revision (s, rq->revision, err);
  if (r)
    return r;
  if (*rq->stream == '@') {
    r = scan_index (s, rq, &a, &found, err);
  } else {
    char *prefix = *rq->stream ? arena_printf (&a, "%s/", rq->stream) : arena_strdup (&a, "");
    struct state_scan q = {.key = prefix, .end = STORE_PREFIX, .revision = rq->revision, .limit = rq->limit, .max_bytes = STATE_PAGE_BYTES, .after = rq->after};
    r = prefix ? state_scan (s, &q, &a, &found, err) : err_set (err, ERR_NOMEM, "snapshot of %s", rq->stream);
  }
  if (r || (r = state_stream_position (s, rq->stream, &seq, &last, err)))
    return r;
  page_head (out, rq->revision ? rq->revision : s->revision, seq, found.more, found.n);
  for (size_t i = 0; i < found.n; i++) {
    buf_reset (&packed);
    pack_object (&found.kvs[i], &packed);
    page_item (out, packed.data, packed.len);
  }
  return out->failed || packed.failed ? err_set (err, ERR_NOMEM, "snapshot of %s", rq->stream) : 0;
}

bool
state_membership_next (const uint8_t **p, const uint8_t *end, struct state_membership *ret)
{
  const uint8_t *q = *p, *nul;
  if (q >= end || !*q)
    return false;
  ret->moved = *q & 2;
  ret->last = *q & 4;
  if (!(nul = memchr (q + 1, 0, (size_t) (end - q - 1))) || end - nul < 9)
    return false;
  ret->stream = (const char *) q + 1;
  ret->seq = be64_load (nul + 1);
  *p = nul + 9;
  return true;
}

/* True when the record of a change belongs to the stream: then where its packed change begins and how it appears there. */
static bool
belongs (const uint8_t *v, size_t n, const char *stream, struct state_membership *ret, const uint8_t **ret_packed)
{
  const uint8_t *p = v, *end = v + n;
  struct state_membership m;
  bool found = false;
  while (state_membership_next (&p, end, &m))
    if (!strcmp (m.stream, stream)) {
      *ret = m;
      found = true;
    }
  *ret_packed = p < end ? p + 1 : end;
  return found;
}

static int
page_change (struct buf *items, const struct state_membership *m, const uint8_t *packed, size_t n, struct err *err)
{
  struct buf scratch AUTO_BUF = BUF_INIT, moved AUTO_BUF = BUF_INIT;
  struct bus_change c;
  int r;
  if (!m->moved && m->last) {
    page_item (items, packed, n);
    return 0;
  }
  if ((r = bus_change_unpack (packed, n, &c, &scratch, err)))
    return r;
  if (m->moved)
    c.op = BUS_DELETE;
  c.moved = m->moved;
  c.last = m->last;
  bus_change_pack (&c, &moved);
  page_item (items, moved.data, moved.len);
  return moved.failed ? err_set (err, ERR_NOMEM, "a change") : 0;
}

/* Changes after after_seq, or, when that is 0 and a revision is named, after that revision. With both, revision is only where
   the log is entered: the last one of which the subscriber saw something. */
int
state_stream_changes (struct state *s, const struct wire_page_request *rq, struct buf *out, struct err *err)
{
  struct engine_iter *it AUTO_ENGINE_ITER = s->engine->vt->iter (s->engine);
  struct buf items AUTO_BUF = BUF_INIT;
  bool by_revision = !rq->after_seq && rq->revision;
  uint64_t seq, last, expect = rq->after_seq + 1, enter = by_revision ? rq->revision + 1 : rq->revision;
  size_t n = 0;
  bool more = false;
  uint8_t from[9] = {'g'};
  int r = state_stream_position (s, rq->stream, &seq, &last, err);
  if (r || (by_revision && (r = check_revision (s, rq->revision, err))))
    return r;
  if (!it)
    return err_set (err, ERR_NOMEM, "changes of %s", rq->stream);
  be64_store (from + 1, enter);
  for (it->vt->seek (it, from, sizeof from); rq->after_seq < seq && it->vt->valid (it); it->vt->next (it)) {
    size_t kn, vn;
    const uint8_t *k = it->vt->key (it, &kn), *v, *packed;
    struct state_membership m;
    if (kn != 13 || k[0] != 'g')
      break;
    v = it->vt->value (it, &vn);
    if (!belongs (v, vn, rq->stream, &m, &packed) || m.seq <= rq->after_seq)
      continue;
    if (by_revision && !n)
      expect = m.seq;
    if (m.seq != expect)
      return err_set (err, ERR_COMPACTED, "changes of %s after %llu are compacted", rq->stream, (unsigned long long) rq->after_seq);
    if ((rq->limit && n >= rq->limit) || items.len > STATE_PAGE_BYTES) {
      more = true;
      break;
    }
    if ((r = page_change (&items, &m, packed, (size_t) (v + vn - packed), err)))
      return r;
    expect++;
    n++;
  }
  if ((r = it->vt->error (it, err)))
    return r;
  if (!by_revision && !more && rq->after_seq < seq && expect != seq + 1)
    return err_set (err, ERR_COMPACTED, "changes of %s after %llu are compacted", rq->stream, (unsigned long long) rq->after_seq);
  page_head (out, s->revision, more ? expect - 1 : seq, more, n);
  buf_append (out, items.data, items.len);
  return out->failed || items.failed ? err_set (err, ERR_NOMEM, "changes of %s", rq->stream) : 0;
}

/* ---- compaction ---- */

/* Drops, for every change up to revision, the version that it replaced, tombstones themselves, and the log up to there. */
int
state_apply_compact (struct state_apply *ap, uint64_t revision, struct err *outcome)
{
  struct state *s = ap->s;
  struct engine_iter *it AUTO_ENGINE_ITER = s->engine->vt->iter (s->engine);
  uint8_t from[9] = {'g'}, to[9] = {'g'};
  if (!it)
    return err_set (ap->err, ERR_NOMEM, "compact");
  if (revision > s->revision) {
    err_set (outcome, ERR_FUTURE, "revision %llu is not reached", (unsigned long long) revision);
    return 0;
  }
  if (revision <= s->compacted) {
    err_set (outcome, ERR_COMPACTED, "revision %llu is compacted already", (unsigned long long) revision);
    return 0;
  }
  be64_store (from + 1, 0);
  be64_store (to + 1, revision + 1);
  for (it->vt->seek (it, from, sizeof from); it->vt->valid (it); it->vt->next (it)) {
    struct buf scratch AUTO_BUF = BUF_INIT, vk AUTO_BUF = BUF_INIT;
    struct state_membership m;
    struct bus_change c;
    const uint8_t *packed, *v;
    size_t kn, vn;
    const uint8_t *k = it->vt->key (it, &kn);
    int r;
    if (kn != 13 || k[0] != 'g' || be64_load (k + 1) > revision)
      break;
    v = it->vt->value (it, &vn);
    (void) belongs (v, vn, "", &m, &packed);
    if ((r = bus_change_unpack (packed, (size_t) (v + vn - packed), &c, &scratch, ap->err)))
      return err_wrap (ap->err, "compact");
    if (c.prev_revision) {
      state_version_key (&vk, c.key, c.prev_revision);
      engine_batch_delete (&ap->batch, vk.data, vk.len);
    }
    if (c.op == BUS_DELETE) {
      state_version_key (&vk, c.key, c.revision);
      engine_batch_delete (&ap->batch, vk.data, vk.len);
    }
    if (vk.failed)
      return err_set (ap->err, ERR_NOMEM, "compact");
  }
  engine_batch_delete_range (&ap->batch, from, sizeof from, to, sizeof to);
  return it->vt->error (it, ap->err);
}
