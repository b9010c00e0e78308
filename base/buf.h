/* A growable byte buffer. Like the arena it remembers failure: after an allocation fails or the limit is passed,
   buf->failed stays true, further appends do nothing, and the user checks once at the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
  uint8_t *data; /* len bytes; one byte beyond is always NUL when data is not NULL */
  size_t len, cap;
  size_t limit_bytes; /* 0: none */
  bool failed;
};

#define BUF_INIT {0}
void buf_done (struct buf *b); /* frees; the buffer is empty and usable again */
#define AUTO_BUF __attribute__ ((cleanup (buf_done)))
void buf_reset (struct buf *b);                       /* len 0, memory kept */
bool buf_reserve (struct buf *b, size_t more_bytes);  /* room for that many more; false sets failed */
void buf_append (struct buf *b, const void *p, size_t n);
void buf_append_str (struct buf *b, const char *s);
void buf_append_byte (struct buf *b, uint8_t c);
void buf_append_be32 (struct buf *b, uint32_t v);
void buf_append_be64 (struct buf *b, uint64_t v);
void buf_printf (struct buf *b, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
void buf_vprintf (struct buf *b, const char *fmt, va_list ap) __attribute__ ((format (printf, 2, 0)));
void buf_consume (struct buf *b, size_t n);           /* drops n bytes from the front; n <= len */
const char *buf_cstr (const struct buf *b);           /* "" when empty; valid until the next change */
char *buf_take_cstr (struct buf *b);                  /* moves the memory out (caller frees); "" strdup'd when empty; NULL when failed */

static inline uint32_t
be32_load (const void *p)
{
  const uint8_t *b = p;
  return (uint32_t) b[0] << 24 | (uint32_t) b[1] << 16 | (uint32_t) b[2] << 8 | b[3];
}
static inline uint64_t
be64_load (const void *p)
{
  return (uint64_t) be32_load (p) << 32 | be32_load ((const uint8_t *) p + 4);
}
static inline void
be64_store (void *p, uint64_t v)
{
  uint8_t *b = p;
  for (int i = 7; i >= 0; i--, v >>= 8)
    b[i] = (uint8_t) v;
}

#endif
