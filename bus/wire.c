#include "bus/wire.h"

#include <string.h>

enum { SKIP_DEPTH_MAX = 16 };

struct wire
wire_open (const void *data, size_t n)
{
  const uint8_t *p = data;
  return (struct wire){.p = p, .end = p ? p + n : p};
}

static uint64_t
take_be (struct wire *w, size_t n)
{
  uint64_t v = 0;
  if (w->bad || (size_t) (w->end - w->p) < n) {
    w->bad = true;
    return 0;
  }
  for (size_t i = 0; i < n; i++)
    v = v << 8 | w->p[i];
  w->p += n;
  return v;
}

/* An integer of either sign; *ret_negative tells how to read the bits. */
static uint64_t
take_integer (struct wire *w, bool *ret_negative)
{
  uint8_t head = (uint8_t) take_be (w, 1);
  int64_t v;
  *ret_negative = false;
  if (w->bad || head <= 0x7f)
    return head;
  if (head >= 0xe0) {
    *ret_negative = true;
    return (uint64_t) (int64_t) (int8_t) head;
  }
  switch (head) {
  case 0xcc:
    return take_be (w, 1);
  case 0xcd:
    return take_be (w, 2);
  case 0xce:
    return take_be (w, 4);
  case 0xcf:
    return take_be (w, 8);
  case 0xd0:
    v = (int8_t) take_be (w, 1);
    break;
  case 0xd1:
    v = (int16_t) take_be (w, 2);
    break;
  case 0xd2:
    v = (int32_t) take_be (w, 4);
    break;
  case 0xd3:
    v = (int64_t) take_be (w, 8);
    break;
  default:
    w->bad = true;
    return 0;
  }
  *ret_negative = v < 0;
  return (uint64_t) v;
}

uint64_t
wire_uint (struct wire *w)
{
  bool negative;
  uint64_t v = take_integer (w, &negative);
  if (negative)
    w->bad = true;
  return w->bad ? 0 : v;
}

int64_t
wire_int (struct wire *w)
{
  bool negative;
  uint64_t v = take_integer (w, &negative);
  if (!negative && v > INT64_MAX)
    w->bad = true;
  return w->bad ? 0 : (int64_t) v;
}

bool
wire_bool (struct wire *w)
{
  uint8_t head = (uint8_t) take_be (w, 1);
  if (head != 0xc2 && head != 0xc3)
    w->bad = true;
  return !w->bad && head == 0xc3;
}

static uint32_t
take_count (struct wire *w, uint8_t fix, uint8_t head16, size_t item_min)
{
  uint8_t head = (uint8_t) take_be (w, 1);
  uint64_t n = 0;
  if ((head & 0xf0) == fix)
    n = head & 0x0f;
  else if (head == head16)
    n = take_be (w, 2);
  else if (head == head16 + 1)
    n = take_be (w, 4);
  else
    w->bad = true;
  if (w->bad || n * item_min > (uint64_t) (w->end - w->p)) {
    w->bad = true;
    return 0;
  }
  return (uint32_t) n;
}

uint32_t
wire_array (struct wire *w)
{
  return take_count (w, 0x90, 0xdc, 1);
}

uint32_t
wire_map (struct wire *w)
{
  return take_count (w, 0x80, 0xde, 2);
}

const uint8_t *
wire_bytes (struct wire *w, size_t *ret_len)
{
  uint8_t head = (uint8_t) take_be (w, 1);
  const uint8_t *at;
  uint64_t n = 0;
  *ret_len = 0;
  if ((head & 0xe0) == 0xa0)
    n = head & 0x1f;
  else if (head == 0xd9 || head == 0xc4)
    n = take_be (w, 1);
  else if (head == 0xda || head == 0xc5)
    n = take_be (w, 2);
  else if (head == 0xdb || head == 0xc6)
    n = take_be (w, 4);
  else
    w->bad = true;
  if (w->bad || n > (uint64_t) (w->end - w->p)) {
    w->bad = true;
    return (const uint8_t *) "";
  }
  at = w->p;
  w->p += n;
  *ret_len = n;
  return at;
}

const char *
wire_text (struct wire *w, size_t max, size_t *ret_len)
{
  const uint8_t *s = wire_bytes (w, ret_len);
  if (*ret_len > max || memchr (s, 0, *ret_len)) {
    w->bad = true;
    *ret_len = 0;
    return "";
  }
  return (const char *) s;
}

static void
skip_value (struct wire *w, int depth)
{
  uint8_t head;
  uint32_t n;
  size_t len;
  if (w->bad || w->p >= w->end || depth > SKIP_DEPTH_MAX) {
    w->bad = true;
    return;
  }
  head = *w->p;
  if (head <= 0x7f || head >= 0xe0 || (head >= 0xcc && head <= 0xd3)) {
    bool negative;
    (void) take_integer (w, &negative);
  } else if ((head & 0xf0) == 0x80 || head == 0xde || head == 0xdf) {
    n = wire_map (w);
    for (uint64_t i = 0; i < 2 * (uint64_t) n && !w->bad; i++)
      skip_value (w, depth + 1);
  } else if ((head & 0xf0) == 0x90 || head == 0xdc || head == 0xdd) {
    n = wire_array (w);
    for (uint32_t i = 0; i < n && !w->bad; i++)
      skip_value (w, depth + 1);
  } else if (head == 0xc0 || head == 0xc2 || head == 0xc3) {
    w->p++;
  } else if (head == 0xca || head == 0xcb) {
    w->p++;
    (void) take_be (w, head == 0xca ? 4 : 8);
  } else {
    (void) wire_bytes (w, &len);
  }
}

void
wire_skip (struct wire *w)
{
  skip_value (w, 0);
}

bool
wire_done (const struct wire *w)
{
  return !w->bad && w->p == w->end;
}

bool
wire_is (const char *s, size_t n, const char *word)
{
  return strlen (word) == n && !memcmp (s, word, n);
}

static int
append (void *data, const char *bytes, size_t n)
{
  struct buf *out = data;
  buf_append (out, bytes, n);
  return out->failed ? -1 : 0;
}

void
wire_packer (msgpack_packer *pk, struct buf *out)
{
  msgpack_packer_init (pk, out, append);
}

void
wire_put_text (msgpack_packer *pk, const char *s)
{
  size_t n = s ? strlen (s) : 0;
  msgpack_pack_str (pk, n);
  msgpack_pack_str_body (pk, s ? s : "", n);
}

void
wire_put_bytes (msgpack_packer *pk, const void *data, size_t n)
{
  msgpack_pack_bin (pk, n);
  msgpack_pack_bin_body (pk, data, n);
}
