#include "base/mem.h"

#include <stdatomic.h>

#define BLOCK_MIN 4096
#define BLOCK_MAX (1 << 20)

struct arena_block {
  struct arena_block *next;
  size_t size, used;
  _Alignas (max_align_t) unsigned char data[];
};

static atomic_uint_fast64_t fail_countdown;

void
mem_fail_nth (uint64_t n)
{
  atomic_store (&fail_countdown, n);
}

/* True when the test hook asks this allocation to fail. */
static bool
must_fail (void)
{
  uint64_t n = atomic_load_explicit (&fail_countdown, memory_order_relaxed);
  return n && atomic_fetch_sub (&fail_countdown, 1) == 1;
}

void *
mem_zalloc (size_t size)
{
  return must_fail () ? NULL : calloc (1, size ? size : 1);
}

char *
mem_strndup (const char *s, size_t n)
{
  char *p = must_fail () ? NULL : malloc (n + 1);
  if (p) {
    memcpy (p, s, n);
    p[n] = 0;
  }
  return p;
}

char *
mem_strdup (const char *s)
{
  return s ? mem_strndup (s, strlen (s)) : NULL;
}

char *
mem_printf (const char *fmt, ...)
{
  char *s = NULL;
  va_list ap;
  int n;
  if (must_fail ())
    return NULL;
  va_start (ap, fmt);
  n = vasprintf (&s, fmt, ap);
  va_end (ap);
  return n < 0 ? NULL : s;
}

void
arena_init (struct arena *a, size_t limit_bytes)
{
  *a = (struct arena){.limit_bytes = limit_bytes};
}

void
arena_done (struct arena *a)
{
  for (struct arena_block *b = a->blocks, *next; b; b = next) {
    next = b->next;
    free (b);
  }
  arena_init (a, a->limit_bytes);
}

void
arena_reset (struct arena *a)
{
  struct arena_block *keep = a->blocks;
  if (keep) {
    for (struct arena_block *b = keep->next, *next; b; b = next) {
      next = b->next;
      free (b);
    }
    keep->next = NULL;
    keep->used = 0;
  }
  a->used_bytes = 0;
  a->failed = false;
}

struct arena *
arena_new (size_t limit_bytes)
{
  struct arena *a = mem_zalloc (sizeof *a);
  if (a)
    arena_init (a, limit_bytes);
  return a;
}

void
arena_free (struct arena *a)
{
  if (a) {
    arena_done (a);
    free (a);
  }
}

static struct arena_block *
add_block (struct arena *a, size_t need)
{
  size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
  struct arena_block *b;
  if (size > BLOCK_MAX)
    size = BLOCK_MAX;
  if (size < need)
    size = need;
  b = must_fail () ? NULL : malloc (sizeof *b + size);
  if (!b)
    return NULL;
  b->size = size;
  b->used = 0;
  b->next = a->blocks;
  return a->blocks = b;
}

void *
arena_alloc (struct arena *a, size_t size)
{
  const size_t align = _Alignof (max_align_t) > 8 ? 8 : _Alignof (max_align_t);
  struct arena_block *b = a->blocks;
  void *p;
  if (size > SIZE_MAX / 2 || (a->limit_bytes && size > a->limit_bytes - a->used_bytes)) {
    a->failed = true;
    return NULL;
  }
  size = (size + align - 1) & ~(align - 1);
  if (!b || b->size - b->used < size) {
    if (!(b = add_block (a, size))) {
      a->failed = true;
      return NULL;
    }
  }
  p = b->data + b->used;
  b->used += size;
  a->used_bytes += size;
  if (a->limit_bytes && a->used_bytes > a->limit_bytes)
    a->used_bytes = a->limit_bytes;
  return p;
}

void *
arena_zalloc (struct arena *a, size_t size)
{
  void *p = arena_alloc (a, size);
  if (p)
    memset (p, 0, size);
  return p;
}

char *
arena_strndup (struct arena *a, const char *s, size_t n)
{
  char *p = arena_alloc (a, n + 1);
  if (p) {
    memcpy (p, s, n);
    p[n] = 0;
  }
  return p;
}

char *
arena_strdup (struct arena *a, const char *s)
{
  return s ? arena_strndup (a, s, strlen (s)) : NULL;
}

char *
arena_printf (struct arena *a, const char *fmt, ...)
{
  char small[256];
  char *p;
  va_list ap;
  int n;
  va_start (ap, fmt);
  n = vsnprintf (small, sizeof small, fmt, ap);
  va_end (ap);
  if (n < 0) {
    a->failed = true;
    return NULL;
  }
  if ((size_t) n < sizeof small)
    return arena_strndup (a, small, (size_t) n);
  if ((p = arena_alloc (a, (size_t) n + 1))) {
    va_start (ap, fmt);
    vsnprintf (p, (size_t) n + 1, fmt, ap);
    va_end (ap);
  }
  return p;
}
