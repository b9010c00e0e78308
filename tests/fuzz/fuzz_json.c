#include "tests/lib/fuzz.h"

#include "schemas/json.h"
#include "schemas/msgpack.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct arena a AUTO_ARENA = {.limit_bytes = 64 << 20};
  struct buf text AUTO_BUF = BUF_INIT, packed AUTO_BUF = BUF_INIT, again AUTO_BUF = BUF_INIT;
  struct value *v = NULL, *w = NULL;
  const char *duplicate;
  struct err err;
  if (json_parse (&a, (const char *) data, size, &v, &duplicate, &err))
    return 0;
  json_write (v, 0, &text);
  REQUIRE (!text.failed);
  REQUIRE (!json_parse (&a, (char *) text.data, text.len, &w, &duplicate, &err) && !duplicate && value_equal (v, w));
  value_pack (v, &packed);
  if (!value_unpack (&a, packed.data, packed.len, &w, &err)) {
    REQUIRE (value_equal (v, w));
    REQUIRE (!json_write_packed (packed.data, packed.len, 0, &again, &err));
    REQUIRE (again.len == text.len && !memcmp (again.data, text.data, text.len));
  }
  return 0;
}
