#include "tests/lib/fuzz.h"

#include "schemas/machinery.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct arena a AUTO_ARENA = {.limit_bytes = 64 << 20};
  char *text = arena_strndup (&a, size ? (const char *) data : "", size);
  struct value *labels = value_map (&a);
  struct selector *s = NULL, *again = NULL;
  struct err err;
  value_set_string (&a, labels, "app", "web");
  value_set_string (&a, labels, "n", "5");
  if (!selector_parse_labels (&a, text, &s, &err)) {
    const char *canonical = selector_string (&a, s);
    REQUIRE (!selector_parse_labels (&a, canonical, &again, &err));
    REQUIRE (!strcmp (canonical, selector_string (&a, again)));
    REQUIRE (selector_matches (s, labels) == selector_matches (again, labels));
  }
  if (!selector_parse_fields (&a, NULL, text, &s, &err))
    (void) selector_matches_fields (s, NULL, labels);
  return 0;
}
