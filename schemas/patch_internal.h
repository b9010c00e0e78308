/* What the patches share. */
#ifndef SCHEMAS_PATCH_INTERNAL_H
#define SCHEMAS_PATCH_INTERNAL_H

#include "schemas/machinery.h"

bool patch_unset (struct value *map, const char *key, size_t key_len); /* false when absent */

#endif
