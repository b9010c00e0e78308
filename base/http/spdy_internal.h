/* SPDY's parts: framing (spdy.c), header blocks (spdy_headers.c), the dictionary. */
#ifndef BASE_HTTP_SPDY_INTERNAL_H
#define BASE_HTTP_SPDY_INTERNAL_H

#include <zlib.h>

#include "base/buf.h"
#include "base/http/spdy.h"
#include "base/mem.h"

#define SPDY_DICTIONARY_SIZE 1423
#define SPDY_HEADER_BLOCK_LIMIT (64u << 10)
#define SPDY_HEADERS_LIMIT 100

extern const uint8_t spdy_dictionary[SPDY_DICTIONARY_SIZE];

/* Appends the block of headers to out. ERR_NOMEM. */
int spdy_headers_pack (z_stream *z, const struct http_header *headers, struct buf *out);
/* The headers of a block, in the arena. ERR_PARSE, ERR_LIMIT, ERR_NOMEM. */
int spdy_headers_unpack (z_stream *z, const uint8_t *data, size_t len, struct arena *a, struct http_header **ret, struct err *err);

#endif
