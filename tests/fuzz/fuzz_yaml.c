#include "tests/lib/fuzz.h"

#include "schemas/yaml.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct arena a AUTO_ARENA = {.limit_bytes = 64 << 20};
  struct value *v = NULL, *again = NULL;
  struct err err;
  if (yaml_parse_all (&a, (const char *) data, size, &v, &err))
    return 0;
  for (value_items (v, it)) {
    struct buf text AUTO_BUF = BUF_INIT;
    yaml_write (*it, &text);
    REQUIRE (!text.failed);
    if (yaml_parse (&a, (char *) text.data, text.len, &again, &err)) {
      REQUIRE (err.code != ERR_PARSE);
      return 0;
    }
    REQUIRE (value_equal (*it, again));
  }
  return 0;
}
