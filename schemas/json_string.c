#include "schemas/json.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "schemas/json_internal.h"

#define CHUNK 4096
#define LONGEST 6 /* bytes that one byte of a string becomes at most: \u001f */
#define SLACK 16  /* whole vectors are stored */

static const char hex[] = "0123456789abcdef";

/* Bytes that stand for themselves whatever follows; 0: needs a look. */
static const bool plain[256] = {
  [' '] = 1,         ['!'] = 1,         ['#' ... '%'] = 1, ['\'' ... ';'] = 1,
  ['='] = 1,         ['?' ... '['] = 1, [']' ... 127] = 1,
};

/* Length of the well-formed UTF-8 sequence at s (first byte >= 0x80), 0 when there is none (Unicode table 3-7). */
static size_t
utf8_length (const uint8_t *s, const uint8_t *end)
{
  size_t n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
  if (!n || (size_t) (end - s) < n)
    return 0;
  for (size_t i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80)
      return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90)
      || (s[0] == 0xf4 && s[1] > 0x8f))
    return 0;
  return n;
}

static uint8_t *
put_escape (uint8_t *p, uint8_t c)
{
  static const char letter[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
  *p++ = '\\';
  if (c == '"' || c == '\\') {
    *p++ = c;
  } else if (c < 32 && letter[c]) {
    *p++ = (uint8_t) letter[c];
  } else {
    memcpy (p, "u00", 3);
    p[3] = (uint8_t) hex[c >> 4];
    p[4] = (uint8_t) hex[c & 15];
    p += 5;
  }
  return p;
}

/* Escapes what begins in [s, stop) to p, which has LONGEST bytes for each and SLACK more; end is the string's. */
static uint8_t *
escape (uint8_t *p, const uint8_t **at, const uint8_t *stop, const uint8_t *end)
{
  const uint8_t *s = *at;
  while (s < stop) {
#ifdef __SSE2__
    while (stop - s >= 16) {
      __m128i v = _mm_loadu_si128 ((const __m128i *) s);
      __m128i special = _mm_cmplt_epi8 (v, _mm_set1_epi8 (' ')); /* signed: also everything from 0x80 */
      int mask;
      special = _mm_or_si128 (special, _mm_cmpeq_epi8 (v, _mm_set1_epi8 ('"')));
      special = _mm_or_si128 (special, _mm_cmpeq_epi8 (v, _mm_set1_epi8 ('\\')));
      special = _mm_or_si128 (special, _mm_cmpeq_epi8 (v, _mm_set1_epi8 ('&')));
      special = _mm_or_si128 (special, _mm_cmpeq_epi8 (_mm_or_si128 (v, _mm_set1_epi8 (2)), _mm_set1_epi8 ('>')));
      _mm_storeu_si128 ((__m128i *) p, v);
      mask = _mm_movemask_epi8 (special);
      if (mask) {
        s += __builtin_ctz ((unsigned) mask);
        p += __builtin_ctz ((unsigned) mask);
        break;
      }
      s += 16;
      p += 16;
    }
#endif
    while (s < stop && plain[*s])
      *p++ = *s++;
    if (s == stop)
      break;
    if (*s < 0x80) {
      p = put_escape (p, *s++);
    } else {
      size_t n = utf8_length (s, end);
      if (!n) {
        memcpy (p, "\\ufffd", 6);
        p += 6;
        s++;
      } else if (n == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] | 1) == 0xa9) {
        memcpy (p, s[2] & 1 ? "\\u2029" : "\\u2028", 6);
        p += 6;
        s += 3;
      } else {
        for (; n; n--)
          *p++ = *s++;
      }
    }
  }
  *at = s;
  return p;
}

void
json_write_string (const char *text, size_t n, struct buf *out)
{
  const uint8_t *s = (const uint8_t *) text, *end = s + n;
  json_put (out, '"');
  if (out->limit_bytes && n * LONGEST + SLACK + 2 > out->limit_bytes - out->len) { /* near the limit: exactly */
    while (s < end && !out->failed) {
      uint8_t few[16 * LONGEST + SLACK];
      const uint8_t *stop = end - s > 16 ? s + 16 : end;
      buf_append (out, few, (size_t) (escape (few, &s, stop, end) - few));
    }
  } else {
    while (s < end) {
      const uint8_t *stop = end - s > CHUNK ? s + CHUNK : end;
      uint8_t *p = json_room (out, (size_t) (stop - s) * LONGEST + SLACK);
      if (!p)
        return;
      out->len = (size_t) (escape (p, &s, stop, end) - out->data);
    }
  }
  json_put (out, '"');
  if (!out->failed)
    out->data[out->len] = 0;
}
