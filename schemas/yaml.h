/* YAML 1.1 as Kubernetes' tools read it (sigs.k8s.io/yaml: JSON's types, so yes/no/on/off and 0o17 follow that library),
   over libyaml. Anchors and aliases are allowed within bounds (no billion laughs). */
#ifndef SCHEMAS_YAML_H
#define SCHEMAS_YAML_H

#include "base/buf.h"
#include "schemas/value.h"

/* Every document of a stream, in order, as an array; empty documents are left out. ERR_PARSE with line and column,
   ERR_LIMIT when aliases expand beyond 1,000,000 nodes. */
int yaml_parse_all (struct arena *a, const char *text, size_t n, struct value **ret_array, struct err *err);
int yaml_parse (struct arena *a, const char *text, size_t n, struct value **ret, struct err *err); /* exactly one document */
void yaml_write (const struct value *v, struct buf *out); /* block style, keys sorted as sigs.k8s.io/yaml writes them */

#endif
