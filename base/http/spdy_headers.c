#include <strings.h>

#include "base/http/spdy_internal.h"

static int
deflate_all (z_stream *z, const void *data, size_t len, int flush, struct buf *out)
{
  z->next_in = (Bytef *) (uintptr_t) data;
  z->avail_in = (uInt) len;
  do {
    if (!buf_reserve (out, 512))
      return ERR_NOMEM;
    z->next_out = out->data + out->len;
    z->avail_out = 512;
    if (deflate (z, flush) == Z_STREAM_ERROR)
      return ERR_INTERNAL;
    out->len += 512 - z->avail_out;
  } while (!z->avail_out);
  return 0;
}

int
spdy_headers_pack (z_stream *z, const struct http_header *headers, struct buf *out)
{
  struct buf plain AUTO_BUF = BUF_INIT;
  uint32_t n = 0;
  for (const struct http_header *h = headers; h && h->name; h++)
    n++;
  buf_append_be32 (&plain, n);
  for (const struct http_header *h = headers; h && h->name; h++) {
    buf_append_be32 (&plain, (uint32_t) strlen (h->name));
    for (const char *p = h->name; *p; p++)
      buf_append_byte (&plain, (uint8_t) (*p >= 'A' && *p <= 'Z' ? *p + ('a' - 'A') : *p));
    buf_append_be32 (&plain, (uint32_t) strlen (h->value));
    buf_append_str (&plain, h->value);
  }
  return plain.failed ? ERR_NOMEM : deflate_all (z, plain.data, plain.len, Z_SYNC_FLUSH, out);
}

static int
inflate_all (z_stream *z, const uint8_t *data, size_t len, struct buf *out, struct err *err)
{
  z->next_in = (Bytef *) (uintptr_t) data;
  z->avail_in = (uInt) len;
  for (;;) {
    int r;
    if (out->len >= SPDY_HEADER_BLOCK_LIMIT)
      return err_set (err, ERR_LIMIT, "SPDY headers of more than %u bytes", SPDY_HEADER_BLOCK_LIMIT);
    if (!buf_reserve (out, 4096))
      return err_set (err, ERR_NOMEM, "SPDY headers");
    z->next_out = out->data + out->len;
    z->avail_out = 4096;
    r = inflate (z, Z_SYNC_FLUSH);
    out->len += 4096 - z->avail_out;
    if (r == Z_NEED_DICT && inflateSetDictionary (z, spdy_dictionary, SPDY_DICTIONARY_SIZE) == Z_OK)
      continue;
    if (r == Z_BUF_ERROR || (r == Z_OK && z->avail_out))
      return 0;
    if (r != Z_OK)
      return err_set (err, ERR_PARSE, "SPDY headers: bad compression");
  }
}

/* A length and that many bytes, copied; several values are apart by NULs: the first counts. */
static int
take_string (const struct buf *b, size_t *at, struct arena *a, char **ret, struct err *err)
{
  uint32_t len;
  if (b->len - *at < 4 || (len = be32_load (b->data + *at)) > b->len - *at - 4)
    return err_set (err, ERR_PARSE, "SPDY headers: short block");
  *ret = arena_strndup (a, (const char *) b->data + *at + 4, len);
  *at += 4 + len;
  return *ret ? 0 : err_set (err, ERR_NOMEM, "SPDY headers");
}

int
spdy_headers_unpack (z_stream *z, const uint8_t *data, size_t len, struct arena *a, struct http_header **ret, struct err *err)
{
  struct buf plain AUTO_BUF = BUF_INIT;
  struct http_header *list;
  size_t at = 4;
  uint32_t n;
  int r = inflate_all (z, data, len, &plain, err);
  if (r)
    return r;
  if (plain.len < 4)
    return err_set (err, ERR_PARSE, "SPDY headers: short block");
  if ((n = be32_load (plain.data)) > SPDY_HEADERS_LIMIT)
    return err_set (err, ERR_LIMIT, "more than %d SPDY headers", SPDY_HEADERS_LIMIT);
  if (!(list = arena_zalloc (a, (n + 1) * sizeof *list)))
    return err_set (err, ERR_NOMEM, "SPDY headers");
  for (uint32_t i = 0; i < n; i++) {
    char *name, *value;
    if ((r = take_string (&plain, &at, a, &name, err)) || (r = take_string (&plain, &at, a, &value, err)))
      return r;
    if (!*name)
      return err_set (err, ERR_PARSE, "SPDY headers: empty name");
    list[i] = (struct http_header){name, value};
  }
  if (at != plain.len)
    return err_set (err, ERR_PARSE, "SPDY headers: bytes left over");
  *ret = list;
  return 0;
}

const char *
spdy_header (const struct http_header *headers, const char *name)
{
  for (; headers && headers->name; headers++)
    if (!strcasecmp (headers->name, name))
      return headers->value;
  return NULL;
}
