/* The seam between the JSON codec and its parser, which is C++: both languages include this. */
#ifndef SCHEMAS_JSON_SIMDJSON_H
#define SCHEMAS_JSON_SIMDJSON_H

#include "schemas/value.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_DEPTH_MAX 512
#define JSON_BAD_NUMBER 1 /* a number that simdjson refuses: perhaps only an integer of more than 64 bits */

/* 0, ERR_NOMEM, ERR_PARSE or JSON_BAD_NUMBER; *ret_what is constant text of the last two. */
int json_simdjson_parse (struct arena *a, const char *text, size_t n, struct value **ret, const char **ret_duplicate,
                         const char **ret_what);

#ifdef __cplusplus
}
#endif
#endif
