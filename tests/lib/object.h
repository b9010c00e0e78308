/* Objects for tests of the schemas: from JSON text with ' for ", through decode and defaults. */
#ifndef TESTS_LIB_OBJECT_H
#define TESTS_LIB_OBJECT_H

#include "schemas/machinery.h"

/* Parses text (single quotes stand for double ones); fails the test when it is not JSON. */
struct value *object_parse (struct arena *a, const char *text);
/* The same, decoded (unknown fields fail the test) and defaulted as kind. */
struct value *object_make (struct arena *a, const struct schema_kind *k, const char *text);
const char *object_text (struct arena *a, const struct value *v); /* compact JSON with ' for " */

#endif
