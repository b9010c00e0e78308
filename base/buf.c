#include "base/buf.h"

#include "base/mem.h"

void
buf_done (struct buf *b)
{
  free (b->data);
  *b = (struct buf){.limit_bytes = b->limit_bytes};
}

void
buf_reset (struct buf *b)
{
  b->len = 0;
  b->failed = false;
  if (b->data)
    b->data[0] = 0;
}

bool
buf_reserve (struct buf *b, size_t more)
{
  size_t need, cap;
  uint8_t *p;
  if (b->failed)
    return false;
  if (more > SIZE_MAX / 2 - b->len || (b->limit_bytes && b->len + more > b->limit_bytes)) {
    b->failed = true;
    return false;
  }
  need = b->len + more + 1;
  if (need <= b->cap)
    return true;
  cap = b->cap ? b->cap * 2 : 64;
  if (cap < need)
    cap = need;
  if (!(p = realloc (b->data, cap))) {
    b->failed = true;
    return false;
  }
  b->data = p;
  b->cap = cap;
  return true;
}

void
buf_append (struct buf *b, const void *p, size_t n)
{
  if (!buf_reserve (b, n))
    return;
  if (n)
    memcpy (b->data + b->len, p, n);
  b->len += n;
  b->data[b->len] = 0;
}

void
buf_append_str (struct buf *b, const char *s)
{
  buf_append (b, s, strlen (s));
}

void
buf_append_byte (struct buf *b, uint8_t c)
{
  buf_append (b, &c, 1);
}

void
buf_append_be32 (struct buf *b, uint32_t v)
{
  uint8_t x[4] = {(uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8), (uint8_t) v};
  buf_append (b, x, sizeof x);
}

void
buf_append_be64 (struct buf *b, uint64_t v)
{
  uint8_t x[8];
  be64_store (x, v);
  buf_append (b, x, sizeof x);
}

void
buf_vprintf (struct buf *b, const char *fmt, va_list ap)
{
  va_list again;
  int n;
  if (!buf_reserve (b, 128))
    return;
  va_copy (again, ap);
  n = vsnprintf ((char *) b->data + b->len, b->cap - b->len, fmt, ap);
  if (n >= 0 && (size_t) n >= b->cap - b->len && buf_reserve (b, (size_t) n))
    n = vsnprintf ((char *) b->data + b->len, b->cap - b->len, fmt, again);
  va_end (again);
  if (n < 0 || b->failed)
    b->failed = true;
  else
    b->len += (size_t) n;
}

void
buf_printf (struct buf *b, const char *fmt, ...)
{
  va_list ap;
  va_start (ap, fmt);
  buf_vprintf (b, fmt, ap);
  va_end (ap);
}

void
buf_consume (struct buf *b, size_t n)
{
  REQUIRE (n <= b->len);
  if (n) {
    memmove (b->data, b->data + n, b->len - n);
    b->len -= n;
    b->data[b->len] = 0;
  }
}

const char *
buf_cstr (const struct buf *b)
{
  return b->data ? (const char *) b->data : "";
}

char *
buf_take_cstr (struct buf *b)
{
  char *s;
  if (b->failed)
    return NULL;
  if (!b->data)
    return mem_strdup ("");
  s = (char *) b->data;
  *b = (struct buf){.limit_bytes = b->limit_bytes};
  return s;
}
