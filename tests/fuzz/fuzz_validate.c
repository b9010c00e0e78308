/* Bytes as JSON through decode, defaults and validation of every kind (create, update against itself, status). */
#include "schemas/json.h"
#include "schemas/machinery.h"

int fuzz_one (const uint8_t *data, size_t size);

static void
try_kind (const struct schema_kind *k, const uint8_t *data, size_t size)
{
  AUTO_ARENA struct arena a;
  arena_init (&a, 64 << 20);
  struct value *v = NULL, *unknown = value_array (&a);
  struct schema_causes causes = { &a, NULL, 0, 0 };
  if (json_parse (&a, (const char *) data, size, &v, NULL, NULL) != 0 || !v)
    return;
  schema_validate (k, v, NULL, "", &causes); /* before decoding: any shape anywhere */
  if (schema_decode (&a, k->type, v, SCHEMA_UNKNOWN_STRICT, unknown, NULL) != 0)
    return;
  struct value *old = value_clone (&a, v);
  schema_default (&a, k, v);
  schema_validate (k, v, NULL, "", &causes);
  schema_validate (k, v, old, "", &causes);
  schema_validate (k, v, old, "status", &causes);
}

int
fuzz_one (const uint8_t *data, size_t size)
{
  for (size_t i = 0; schema_kind_at (i); i++)
    try_kind (schema_kind_at (i), data, size);
  return 0;
}
