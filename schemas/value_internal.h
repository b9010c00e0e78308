/* For the decoders, which build maps without value_set: making keys unique in linear time. */
#ifndef SCHEMAS_VALUE_INTERNAL_H
#define SCHEMAS_VALUE_INTERNAL_H

#include "schemas/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes map's keys unique: of equal ones the last value wins, at the place of the first. Returns the key of the first
   duplicate, NULL when there was none. Marks a failed when out of memory (then the map may still hold duplicates). */
const char *value_keys_unique (struct arena *a, struct value *map);

/* The shortest decimal digits that read back as f (finite, not 0): digits[0].digits[1..] * 10^*ret_exponent10. Returns
   their count, at most 17. */
int value_float_digits (double f, char digits[24], int *ret_exponent10);

#ifdef __cplusplus
}
#endif
#endif
