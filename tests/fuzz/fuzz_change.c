#include "tests/lib/fuzz.h"

#include <string.h>

#include "bus/bus.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct buf out = BUF_INIT, scratch = BUF_INIT, scratch2 = BUF_INIT;
  struct bus_change c, again;
  struct err err;
  if (!bus_change_unpack (data, size, &c, &scratch, &err)) {
    bus_change_pack (&c, &out);
    REQUIRE (!bus_change_unpack (out.data, out.len, &again, &scratch2, &err));
    REQUIRE (again.revision == c.revision && !strcmp (again.key, c.key) && again.value_len == c.value_len && again.time_us == c.time_us);
  }
  buf_done (&out);
  buf_done (&scratch);
  buf_done (&scratch2);
  return 0;
}
