/* The generated tables (build/gen/schemas/tables.c), for schemas/schema.c only: others use the lookups of schema.h. */
#ifndef SCHEMAS_TABLES_H
#define SCHEMAS_TABLES_H

#include "schemas/schema.h"

struct schema_table_priority {
  const char *group, *version;
  int group_priority, version_priority;
};

extern const size_t schema_table_n_types, schema_table_n_kinds;
extern const struct schema_type schema_table_types[];     /* by group_version, name */
extern const struct schema_kind schema_table_kinds[];     /* in the order of discovery */
extern const uint16_t schema_table_by_resource[];         /* indices into kinds by group, version, resource */
extern const uint16_t schema_table_by_kind[];             /* by group, version, kind */
extern const struct schema_table_priority schema_table_priorities[]; /* ends with a NULL group */

#endif
