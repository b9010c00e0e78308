/* All kinds of a schema_set in the order in which documents list them. For the documents of this folder. */
#ifndef SCHEMAS_KIND_SET_H
#define SCHEMAS_KIND_SET_H

#include "schemas/machinery.h"

/* The built-in kinds and the set's extra ones, those of a group/version beside each other, in the order of discovery: groups
   by priority, groups of extra kinds after them by name, versions by priority or Kubernetes' version order (v2, v1,
   v1beta1, ...), then by resource. In the arena; NULL with *ret_n 0 when out of memory. */
const struct schema_kind **kind_set_sorted (struct arena *a, const struct schema_set *set, size_t *ret_n);
/* How many kinds from kinds[from] on share its group (its group and version). */
size_t kind_set_group_run (const struct schema_kind **kinds, size_t n, size_t from);
size_t kind_set_version_run (const struct schema_kind **kinds, size_t n, size_t from);
/* Negative when version a comes before b: v10 v2 v1 v11beta2 v10beta3 v3beta1 v12alpha1 foo1 foo10. */
int kind_set_version_compare (const char *a, const char *b);
/* "v1" or "apps/v1". */
const char *kind_set_group_version (struct arena *a, const char *group, const char *version);

#endif
