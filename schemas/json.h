/* JSON: parsed with simdjson (schemas/json_simdjson.cpp), written by us: compact or indented with upstream's form
   (keys in map order, two or four blanks, shortest floats that read back, <>& escaped as Go does). */
#ifndef SCHEMAS_JSON_H
#define SCHEMAS_JSON_H

#include "base/buf.h"
#include "schemas/value.h"

/* The tree of one JSON text of n bytes (need not be NUL-terminated). ERR_PARSE with where and what: bad UTF-8, trailing
   text, nesting beyond 512. A duplicate key: the last wins, as in Go, and is named in *ret_duplicate ("spec.replicas", in the
   arena) when that is not NULL, for strict field validation. Integers outside int64 become floats. */
int json_parse (struct arena *a, const char *text, size_t n, struct value **ret, const char **ret_duplicate, struct err *err);
/* indent 0: compact, no newline; else so many blanks a level. Failure is out->failed. */
void json_write (const struct value *v, int indent, struct buf *out);
void json_write_string (const char *s, size_t n, struct buf *out); /* quoted and escaped */
/* The same straight from packed bytes, with no tree between. ERR_PARSE when data is not one packed value. */
int json_write_packed (const void *data, size_t n, int indent, struct buf *out, struct err *err);

#endif
