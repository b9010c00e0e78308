/* Request targets: query, path and URL decoding. */
#include "tests/lib/fuzz.h"

#include "base/http/uri.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct arena a AUTO_ARENA = {0};
  AUTO_FREE char *text = mem_strndup (size ? (const char *) data : "", size);
  const char *segments[16];
  struct uri_query q;
  struct uri_url url;
  size_t n;
  arena_init (&a, 1u << 20);
  if (!text)
    return 0;
  if (!uri_query_parse (&a, text, &q, NULL))
    for (size_t i = 0; i < q.count; i++)
      (void) uri_query_bool (&q, q.pairs[i].key);
  (void) uri_path_split (&a, text, segments, 16, &n, NULL);
  (void) uri_url_parse (&a, text, &url, NULL);
  return 0;
}
