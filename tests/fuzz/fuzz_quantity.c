#include "tests/lib/fuzz.h"

#include "schemas/machinery.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct arena a AUTO_ARENA = {0};
  char *text = arena_strndup (&a, size ? (const char *) data : "", size);
  struct quantity q, again;
  char out[64], twice[64];
  if (quantity_parse (text, &q, NULL))
    return 0;
  REQUIRE (!quantity_parse (quantity_format (&q, out), &again, NULL));
  REQUIRE (again.nano == q.nano || q.nano / 1000000000 > INT64_MAX || q.nano / 1000000000 < INT64_MIN);
  if (again.nano == q.nano)
    REQUIRE (!strcmp (out, quantity_format (&again, twice)) || q.format != again.format);
  (void) quantity_value (&q);
  (void) quantity_milli_value (&q);
  return 0;
}
