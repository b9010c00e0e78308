/* The few msgpack shapes that the bus itself reads and writes: flat arrays and maps of numbers, strings and bytes.
   Writing goes through msgpack-c; reading is in place, bounded by the input, and never allocates. */
#ifndef BUS_WIRE_H
#define BUS_WIRE_H

#include <msgpack.h>

#include "base/buf.h"

struct wire { /* a reader; once bad it stays bad and everything reads as 0 or "" */
  const uint8_t *p, *end;
  bool bad;
};
struct wire wire_open (const void *data, size_t n);
uint64_t wire_uint (struct wire *w);
int64_t wire_int (struct wire *w);
bool wire_bool (struct wire *w);
uint32_t wire_array (struct wire *w); /* the count; every item takes at least a byte, so a count beyond the input is bad */
uint32_t wire_map (struct wire *w);
/* str or bin, in place, not NUL-terminated. */
const uint8_t *wire_bytes (struct wire *w, size_t *ret_len);
/* str or bin without NUL bytes and at most max long. */
const char *wire_text (struct wire *w, size_t max, size_t *ret_len);
void wire_skip (struct wire *w);            /* one value, nested at most 16 deep */
bool wire_done (const struct wire *w);      /* everything was read and nothing was bad */
bool wire_is (const char *s, size_t n, const char *word);

/* A msgpack-c packer that appends to out. */
void wire_packer (msgpack_packer *pk, struct buf *out);
void wire_put_text (msgpack_packer *pk, const char *s); /* NULL: "" */
void wire_put_bytes (msgpack_packer *pk, const void *data, size_t n);

#endif
