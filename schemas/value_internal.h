/* For the decoders: finding duplicate keys in a map that is built without value_set. */
#ifndef SCHEMAS_VALUE_INTERNAL_H
#define SCHEMAS_VALUE_INTERNAL_H

#include "schemas/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VALUE_KEYS_NONE UINT32_MAX

/* The index of a member of map whose key occurs again later in it; VALUE_KEYS_NONE when keys are unique. *ret_again is
   the later one. Linear in the number of members (maps from outside may be large). Marks a failed when out of memory. */
uint32_t value_keys_duplicate (struct arena *a, const struct value *map, uint32_t *ret_again);

#ifdef __cplusplus
}
#endif
#endif
