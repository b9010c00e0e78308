#include "schemas/value_internal.h"

#include <sys/random.h>

#include "base/map.h"

#define QUADRATIC_MAX 12
#define ON_STACK 256

static bool
same_key (const struct value_member *a, const struct value_member *b)
{
  return a->key_len == b->key_len && !memcmp (a->key, b->key, a->key_len);
}

/* Keys come from outside: an unpredictable seed keeps anyone from choosing ones that collide. */
static uint64_t
seed (void)
{
  static _Atomic uint64_t value;
  uint64_t s = value;
  if (!s) {
    if (getrandom (&s, sizeof s, GRND_NONBLOCK) != sizeof s)
      s = (uintptr_t) &s;
    value = s |= 1;
  }
  return s;
}

static const char *
unique_small (struct value *map)
{
  const char *first = NULL;
  for (uint32_t i = 1; i < map->len; i++)
    for (uint32_t j = 0; j < i; j++)
      if (same_key (&map->members[i], &map->members[j])) {
        if (!first)
          first = map->members[j].key;
        map->members[j].value = map->members[i].value;
        memmove (&map->members[i], &map->members[i + 1], (map->len - i - 1) * sizeof map->members[0]);
        map->len--;
        i--;
        break;
      }
  return first;
}

const char *
value_keys_unique (struct arena *a, struct value *map)
{
  uint32_t n = map->len, mask = ON_STACK - 1, kept = 0;
  uint32_t on_stack[ON_STACK], *slots = on_stack;
  const char *first = NULL;
  uint64_t s;
  if (n <= QUADRATIC_MAX)
    return unique_small (map);
  while (mask / 2 < n)
    mask = mask * 2 + 1;
  if (mask >= ON_STACK && !(slots = malloc ((mask + 1ul) * sizeof *slots))) {
    a->failed = true;
    return NULL;
  }
  memset (slots, 0, (mask + 1ul) * sizeof *slots);
  s = seed ();
  for (uint32_t i = 0; i < n; i++) {
    struct value_member m = map->members[i];
    uint32_t at = (uint32_t) hash_bytes (m.key, m.key_len, s) & mask;
    while (slots[at] && !same_key (&m, &map->members[slots[at] - 1]))
      at = (at + 1) & mask;
    if (slots[at]) {
      if (!first)
        first = m.key;
      map->members[slots[at] - 1].value = m.value;
    } else {
      map->members[kept++] = m;
      slots[at] = kept;
    }
  }
  map->len = kept;
  if (slots != on_stack)
    free (slots);
  return first;
}
