#include <errno.h>

#include "base/mem.h"
#include "bus/tap/tap.h"
#include "bus/wire.h"

enum { READ_BYTES = 65536, STREAM_MAX = 1024 };

void
tap_record_pack (const char *stream, const struct bus_change *c, struct buf *out)
{
  AUTO_BUF struct buf packed = BUF_INIT;
  msgpack_packer pk;
  bus_change_pack (c, &packed);
  wire_packer (&pk, out);
  msgpack_pack_array (&pk, 2);
  wire_put_text (&pk, stream);
  wire_put_bytes (&pk, packed.data, packed.len);
  out->failed |= packed.failed;
}

/* The record at the front of data: its length, 0 when it is not all there yet, or an error. */
static int
take_record (const uint8_t *data, size_t n, size_t *ret_used, char stream[STREAM_MAX + 1], struct bus_change *ret, struct buf *scratch,
             struct err *err)
{
  struct wire w = wire_open (data, n);
  const uint8_t *packed;
  const char *text;
  size_t len, packed_len;
  *ret_used = 0;
  if (n && data[0] != 0x92)
    return err_set (err, ERR_PARSE, "not a record");
  w.bad |= wire_array (&w) != 2;
  text = wire_text (&w, STREAM_MAX, &len);
  packed = wire_bytes (&w, &packed_len);
  if (w.bad)
    return n > TAP_RECORD_MAX ? err_set (err, ERR_PARSE, "record longer than %u bytes", TAP_RECORD_MAX) : 0;
  memcpy (stream, text, len);
  stream[len] = 0;
  *ret_used = (size_t) (w.p - data);
  return bus_change_unpack (packed, packed_len, ret, scratch, err);
}

int
tap_record_read (FILE *f, tap_record_cb cb, void *arg, struct err *err)
{
  AUTO_BUF struct buf in = BUF_INIT, scratch = BUF_INIT;
  char stream[STREAM_MAX + 1];
  struct bus_change c;
  uint64_t offset = 0;
  size_t got, used, at;
  do {
    if (!buf_reserve (&in, READ_BYTES))
      return err_set (err, ERR_NOMEM, "recording");
    got = fread (in.data + in.len, 1, READ_BYTES, f);
    in.len += got;
    for (at = 0; at < in.len; at += used) {
      if (take_record (in.data + at, in.len - at, &used, stream, &c, &scratch, err))
        return err_wrap (err, "recording, offset %llu", (unsigned long long) (offset + at));
      if (!used)
        break;
      if (!cb (arg, stream, &c))
        return 0;
    }
    offset += at;
    buf_consume (&in, at);
  } while (got);
  if (ferror (f))
    return err_errno (err, errno, "read recording");
  if (in.len)
    return err_set (err, ERR_PARSE, "recording, offset %llu: ends within a record", (unsigned long long) offset);
  return 0;
}
