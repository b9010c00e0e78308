/* What the files schemas/defaults*.c share. Static defaults are in the rows of schemas/api/; here are those that must be
   computed, as one function a type. */
#ifndef SCHEMAS_DEFAULTS_INTERNAL_H
#define SCHEMAS_DEFAULTS_INTERNAL_H

#include "schemas/machinery.h"

/* fn runs before the rows' defaults of the same struct, and those before the fields are walked into, as in upstream's
   generated code. */
struct type_defaults {
  const char *group_version, *type;
  void (*fn) (struct arena *a, struct value *v);
};

/* Each list is ordered by type, then group_version, and closed by an entry without a type. */
extern const struct type_defaults defaults_core[];
extern const struct type_defaults defaults_groups[];

/* Sets a string when the member is absent, null or "". */
void default_string (struct arena *a, struct value *map, const char *key, const char *s);
void default_int (struct arena *a, struct value *map, const char *key, int64_t i);  /* when absent or null */
void default_bool (struct arena *a, struct value *map, const char *key, bool b);
void default_map (struct arena *a, struct value *map, const char *key);             /* {} when absent or null */
static inline bool
default_absent (const struct value *map, const char *key)
{
  return value_is_null (value_get (map, key));
}

#endif
