/* What reading and writing YAML share: which type a plain scalar has. */
#ifndef SCHEMAS_YAML_INTERNAL_H
#define SCHEMAS_YAML_INTERNAL_H

#include "schemas/value.h"

enum yaml_scalar { YAML_SCALAR_STRING, YAML_SCALAR_NULL, YAML_SCALAR_BOOL, YAML_SCALAR_INT, YAML_SCALAR_FLOAT, YAML_SCALAR_TIME,
                   YAML_SCALAR_MERGE, YAML_SCALAR_NOT_FINITE };
struct yaml_resolved {
  enum yaml_scalar type;
  bool b;
  int64_t i;
  double f;
};

/* The type of a plain scalar of n bytes (NUL-terminated) by YAML 1.1 as go-yaml v2 reads it. */
struct yaml_resolved yaml_resolve (const char *s, size_t n);

#endif
