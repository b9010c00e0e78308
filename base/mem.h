/* Memory: cleanup helpers for locals, and the arena, which owns many small objects that die together.

   Running out: mem_* return NULL and the caller answers ERR_NOMEM. An arena that hits its limit, or whose malloc fails,
   returns NULL and remembers it (arena->failed): builders on top of it accept NULL containers and do nothing, so code
   that builds a tree checks arena_ok () once, at its end. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static inline void
mem_free_p (void *p)
{
  free (*(void **) p);
}
static inline void
mem_close_p (int *fd)
{
  if (*fd >= 0)
    close (*fd);
}
static inline void *
mem_take_p (void *p)
{
  void *v = *(void **) p;
  *(void **) p = NULL;
  return v;
}
static inline int
mem_take_fd (int *fd)
{
  int v = *fd;
  *fd = -1;
  return v;
}
/* Locals that free or close themselves; initialise them where they are declared. TAKE (p) hands the value off. */
#define AUTO_FREE __attribute__ ((cleanup (mem_free_p)))
#define AUTO_CLOSE __attribute__ ((cleanup (mem_close_p)))
#define TAKE(p) ((__typeof__ (p)) mem_take_p (&(p)))

void *mem_zalloc (size_t size);                       /* zeroed; NULL when out of memory */
char *mem_strdup (const char *s);                     /* NULL in gives NULL out */
char *mem_strndup (const char *s, size_t n);
char *mem_printf (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

/* Test hook: when n > 0 the n-th allocation from now through mem_ and arena_ fails (once); 0 turns it off. */
void mem_fail_nth (uint64_t n);

struct arena_block;
struct arena {
  struct arena_block *blocks;
  size_t used_bytes;  /* handed out, with padding */
  size_t limit_bytes; /* 0: none */
  bool failed;        /* an allocation was refused since init or reset */
};

/* An embedded arena; limit_bytes 0 means no bound but memory. No allocation is made until the first use. */
void arena_init (struct arena *a, size_t limit_bytes);
void arena_done (struct arena *a);  /* frees everything; the arena may be used again as after init */
void arena_reset (struct arena *a); /* frees all objects, keeps one block for reuse, clears failed */
struct arena *arena_new (size_t limit_bytes); /* on the heap; NULL when out of memory */
void arena_free (struct arena *a);  /* NULL allowed */
static inline void
arena_done_p (struct arena *a)
{
  arena_done (a);
}
#define AUTO_ARENA __attribute__ ((cleanup (arena_done_p)))
static inline bool
arena_ok (const struct arena *a)
{
  return !a->failed;
}

/* Memory from the arena, aligned for any type, not zeroed (arena_zalloc zeroes); NULL on failure, see above. */
void *arena_alloc (struct arena *a, size_t size);
void *arena_zalloc (struct arena *a, size_t size);
char *arena_strdup (struct arena *a, const char *s); /* NULL in gives NULL out */
char *arena_strndup (struct arena *a, const char *s, size_t n);
char *arena_printf (struct arena *a, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

#endif
