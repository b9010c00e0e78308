#include "tests/lib/fuzz.h"

#include "bus/envelope.h"
#include "base/err.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct buf out = BUF_INIT;
  struct envelope e, again;
  struct err err;
  if (!envelope_unpack (data, size, &e, &err)) {
    envelope_pack (&e, &out);
    REQUIRE (!envelope_unpack (out.data, out.len, &again, &err) && again.id == e.id && again.code == e.code);
    buf_done (&out);
  }
  return 0;
}
