/* Bodies of queries and pages. */
#include "tests/lib/fuzz.h"

#include "bus/stream.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct stream_query q;
  struct stream_page p;
  const uint8_t *item;
  size_t len, total = 0;
  struct err err;
  if (!stream_query_unpack (data, size, &q, &err))
    REQUIRE (q.limit >= 1 && q.limit <= STREAM_LIMIT_MAX);
  if (!stream_page_unpack (data, size, &p, &err))
    while (stream_page_next (&p, &item, &len))
      for (size_t i = 0; i < len; i++)
        total += item[i];
  return total == SIZE_MAX;
}
