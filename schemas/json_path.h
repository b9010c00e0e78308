/* The JSON paths of printer columns and scale subresources: ".spec.replicas", "['a.b']", "[0]", "[*]" and
   "[?(@.type==\"Ready\")]". A path is outside text (a CRD's): anything else in it selects nothing. */
#ifndef SCHEMAS_JSON_PATH_H
#define SCHEMAS_JSON_PATH_H

#include "schemas/value.h"

/* The first value that path selects in v, or NULL. The value is v's own. */
const struct value *json_path_first (struct arena *a, const char *path, const struct value *v);
/* Whether the path is one that json_path_first understands. */
bool json_path_valid (const char *path);
/* A value as one cell of text: strings as they are, others as compact JSON. */
const char *json_path_text (struct arena *a, const struct value *v);

#endif
