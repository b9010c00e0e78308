#include "schemas/protobuf_write.h"

#include <string.h>

static void
varint (struct buf *out, uint64_t v)
{
  for (; v >= 0x80; v >>= 7)
    buf_append_byte (out, (uint8_t) (v | 0x80));
  buf_append_byte (out, (uint8_t) v);
}

void
protobuf_bytes (struct buf *out, unsigned field, const void *p, size_t n)
{
  varint (out, (uint64_t) field << 3 | 2);
  varint (out, n);
  buf_append (out, p, n);
}

void
protobuf_string (struct buf *out, unsigned field, const char *s)
{
  if (s)
    protobuf_bytes (out, field, s, strlen (s));
}

void
protobuf_bool (struct buf *out, unsigned field, bool b)
{
  if (!b)
    return;
  varint (out, (uint64_t) field << 3);
  buf_append_byte (out, 1);
}

void
protobuf_message (struct buf *out, unsigned field, struct buf *message)
{
  if (message->failed)
    out->failed = true;
  else
    protobuf_bytes (out, field, message->len ? (const void *) message->data : "", message->len);
  buf_done (message);
}
