#include "tests/lib/fuzz.h"

#include "schemas/json.h"
#include "schemas/msgpack.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct arena a AUTO_ARENA = {.limit_bytes = 64 << 20};
  struct buf packed AUTO_BUF = BUF_INIT, json AUTO_BUF = BUF_INIT, straight AUTO_BUF = BUF_INIT;
  struct msgpack_cursor c = msgpack_open (data, size);
  struct value *v = NULL, *again = NULL;
  struct err err;
  bool whole = !msgpack_skip (&c, &err) && c.p == c.end;
  (void) msgpack_seek (data, size, "metadata.name", &c, &err);
  if (value_unpack (&a, data, size, &v, &err))
    return 0;
  REQUIRE (whole);
  value_pack (v, &packed);
  REQUIRE (!packed.failed);
  REQUIRE (!value_unpack (&a, packed.data, packed.len, &again, &err));
  json_write (v, 2, &json);
  REQUIRE (!json_write_packed (packed.data, packed.len, 2, &straight, &err));
  REQUIRE (json.len == straight.len && !memcmp (json.data, straight.data, json.len));
  return 0;
}
