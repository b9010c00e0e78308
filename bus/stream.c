#include "bus/stream.h"

#include <string.h>

#include "bus/wire.h"

void
stream_query_pack (const struct stream_query *q, bool changes, struct buf *out)
{
  msgpack_packer pk;
  wire_packer (&pk, out);
  msgpack_pack_map (&pk, 4);
  wire_put_text (&pk, "stream");
  wire_put_text (&pk, q->stream);
  wire_put_text (&pk, "limit");
  msgpack_pack_uint64 (&pk, q->limit);
  if (changes) {
    wire_put_text (&pk, "after_seq");
    msgpack_pack_uint64 (&pk, q->after_seq);
  } else {
    wire_put_text (&pk, "after");
    wire_put_text (&pk, q->after);
  }
  wire_put_text (&pk, "revision");
  msgpack_pack_uint64 (&pk, q->revision);
}

static void
take_text (struct wire *w, char *out, size_t max)
{
  size_t n;
  const char *s = wire_text (w, max, &n);
  memcpy (out, s, n);
  out[n] = 0;
}

int
stream_query_unpack (const void *data, size_t n, struct stream_query *ret, struct err *err)
{
  struct wire w = wire_open (data, n);
  uint32_t count = wire_map (&w);
  memset (ret, 0, sizeof *ret);
  for (uint32_t i = 0; i < count && !w.bad; i++) {
    size_t len;
    const char *key = wire_text (&w, 64, &len);
    if (wire_is (key, len, "stream"))
      take_text (&w, ret->stream, STREAM_NAME_MAX);
    else if (wire_is (key, len, "after"))
      take_text (&w, ret->after, STREAM_KEY_MAX);
    else if (wire_is (key, len, "limit"))
      ret->limit = wire_uint (&w);
    else if (wire_is (key, len, "revision"))
      ret->revision = wire_uint (&w);
    else if (wire_is (key, len, "after_seq"))
      ret->after_seq = wire_uint (&w);
    else
      wire_skip (&w);
  }
  if (!wire_done (&w))
    return err_set (err, ERR_PARSE, "stream query");
  if (!ret->limit || ret->limit > STREAM_LIMIT_MAX)
    ret->limit = STREAM_LIMIT_MAX;
  return 0;
}

void
stream_page_add (struct stream_page_writer *w, const void *packed, size_t len)
{
  msgpack_packer pk;
  wire_packer (&pk, &w->changes);
  wire_put_bytes (&pk, packed, len);
  w->count++;
}

bool
stream_page_full (const struct stream_page_writer *w, uint64_t limit)
{
  return w->count >= limit || w->changes.len >= STREAM_PAGE_BYTES_MAX;
}

void
stream_page_end (struct stream_page_writer *w, uint64_t revision, uint64_t seq, bool more, struct buf *out)
{
  msgpack_packer pk;
  wire_packer (&pk, out);
  msgpack_pack_map (&pk, 4);
  wire_put_text (&pk, "revision");
  msgpack_pack_uint64 (&pk, revision);
  wire_put_text (&pk, "seq");
  msgpack_pack_uint64 (&pk, seq);
  wire_put_text (&pk, "more");
  if (more)
    msgpack_pack_true (&pk);
  else
    msgpack_pack_false (&pk);
  wire_put_text (&pk, "changes");
  msgpack_pack_array (&pk, w->count);
  if (w->changes.len)
    buf_append (out, w->changes.data, w->changes.len);
  out->failed |= w->changes.failed;
  buf_done (&w->changes);
  w->count = 0;
}

int
stream_page_unpack (const void *data, size_t n, struct stream_page *ret, struct err *err)
{
  struct wire w = wire_open (data, n);
  struct stream_page p = {0};
  uint32_t count = wire_map (&w);
  for (uint32_t i = 0; i < count && !w.bad; i++) {
    size_t len;
    const char *key = wire_text (&w, 64, &len);
    if (wire_is (key, len, "revision"))
      p.revision = wire_uint (&w);
    else if (wire_is (key, len, "seq"))
      p.seq = wire_uint (&w);
    else if (wire_is (key, len, "more"))
      p.more = wire_bool (&w);
    else if (wire_is (key, len, "changes")) {
      p.count = wire_array (&w);
      p.at = w.p;
      for (uint32_t k = 0; k < p.count && !w.bad; k++)
        (void) wire_bytes (&w, &len);
      p.len = (size_t) (w.p - p.at);
    } else
      wire_skip (&w);
  }
  if (!wire_done (&w))
    return err_set (err, ERR_PARSE, "stream page");
  *ret = p;
  return 0;
}

bool
stream_page_next (struct stream_page *p, const uint8_t **ret_change, size_t *ret_len)
{
  struct wire w = wire_open (p->at, p->len);
  if (!p->count)
    return false;
  *ret_change = wire_bytes (&w, ret_len);
  p->len -= (size_t) (w.p - p->at);
  p->at = w.p;
  p->count--;
  return !w.bad;
}
