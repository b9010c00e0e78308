/* What the parts of the JSON codec share: the writers of scalars, and the explainer of refused texts. */
#ifndef SCHEMAS_JSON_INTERNAL_H
#define SCHEMAS_JSON_INTERNAL_H

#include "base/buf.h"
#include "schemas/value.h"

/* Finds what is wrong with a text that the parser refused, by Go's grammar: true with Go's message ("invalid character
   'x' after object key") and the offset; false when nothing was found (the text is well-formed for Go). */
bool json_explain (const char *text, size_t n, char *out, size_t out_size, size_t *ret_offset);

void json_write_int (int64_t i, struct buf *out);
void json_write_uint (uint64_t u, struct buf *out);
void json_write_float (double f, struct buf *out);
void json_write_newline (int blanks, struct buf *out);

/* Room for n more bytes at the returned place; NULL when the buffer failed. The caller moves out->len. */
static inline uint8_t *
json_room (struct buf *out, size_t n)
{
  if (out->failed || ((out->cap - out->len <= n || out->limit_bytes) && !buf_reserve (out, n)))
    return NULL;
  return out->data + out->len;
}

static inline void
json_put (struct buf *out, char c)
{
  uint8_t *p = json_room (out, 1);
  if (p) {
    *p = (uint8_t) c;
    out->len++;
  }
}

#endif
