/* Input: a JSON array [object, patch, patch...]; each patch is applied as every type. */
#include "tests/lib/fuzz.h"

#include "schemas/json.h"
#include "schemas/machinery.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct arena a AUTO_ARENA = {.limit_bytes = 64 << 20};
  struct value *v = NULL, *obj, *before, *out;
  struct err err;
  if (json_parse (&a, (const char *) data, size, &v, NULL, &err))
    return 0;
  obj = value_at (v, 0);
  before = value_clone (&a, obj);
  for (size_t i = 1; i < value_count (v) && i < 8; i++) {
    (void) patch_json (&a, obj, value_at (v, i), &out, &err);
    (void) patch_merge (&a, obj, value_at (v, i), &out, &err);
    (void) patch_strategic (&a, schema_type_find ("v1", "Pod"), obj, value_at (v, i), &out, &err);
    (void) patch_strategic (&a, NULL, obj, value_at (v, i), &out, &err);
  }
  REQUIRE (!arena_ok (&a) || value_equal (obj, before) || !obj);
  return 0;
}
