/* Input: a JSON array of configurations; each is applied by one of three managers, every other one as an update. */
#include "tests/lib/fuzz.h"

#include "schemas/json.h"
#include "schemas/machinery.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  static const char *const names[] = {"a", "kubectl", "c"};
  struct arena a AUTO_ARENA = {.limit_bytes = 64 << 20};
  struct value *v = NULL, *live = NULL, *out;
  struct apply_conflict *conflicts;
  size_t n;
  struct err err;
  if (json_parse (&a, (const char *) data, size, &v, NULL, &err))
    return 0;
  for (size_t i = 0; i < value_count (v) && i < 8; i++) {
    struct apply_request rq = {.type = schema_type_find ("v1", "Pod"), .manager = names[i % 3], .api_version = "v1", .subresource = "",
                               .now = "2026-11-23T10:00:00Z", .force = i & 1};
    struct value *config = value_clone (&a, value_at (v, i));
    if (i % 4 == 3 && value_is (config, VALUE_MAP)) {
      if (!apply_track_update (&a, &rq, live, config, &err))
        live = config;
    } else if (!apply_server_side (&a, &rq, live, config, &out, &conflicts, &n, &err)) {
      REQUIRE (value_is (out, VALUE_MAP));
      live = out;
    }
  }
  return 0;
}
