#include "schemas/value_internal.h"

#include <sys/random.h>

#include "base/map.h"

#define QUADRATIC_MAX 12

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

uint32_t
value_keys_duplicate (struct arena *a, const struct value *map, uint32_t *ret_again)
{
  uint32_t n = map->len, mask;
  uint32_t small[256], *slots = small;
  uint64_t s;
  if (n <= QUADRATIC_MAX) {
    for (uint32_t i = 1; i < n; i++)
      for (uint32_t j = 0; j < i; j++)
        if (same_key (&map->members[i], &map->members[j])) {
          *ret_again = i;
          return j;
        }
    return VALUE_KEYS_NONE;
  }
  for (mask = 31; mask / 2 < n; mask = mask * 2 + 1)
    ;
  if (mask >= sizeof small / sizeof small[0] && !(slots = malloc ((mask + 1ul) * sizeof *slots))) {
    a->failed = true;
    return VALUE_KEYS_NONE;
  }
  memset (slots, 0, (mask + 1ul) * sizeof *slots);
  s = seed ();
  for (uint32_t i = 0; i < n; i++) {
    const struct value_member *m = &map->members[i];
    uint32_t at = (uint32_t) hash_bytes (m->key, m->key_len, s) & mask;
    for (; slots[at]; at = (at + 1) & mask)
      if (same_key (m, &map->members[slots[at] - 1])) {
        uint32_t first = slots[at] - 1;
        if (slots != small)
          free (slots);
        *ret_again = i;
        return first;
      }
    slots[at] = i + 1;
  }
  if (slots != small)
    free (slots);
  return VALUE_KEYS_NONE;
}
