/* What the parts of selectors share. */
#ifndef SCHEMAS_SELECTOR_INTERNAL_H
#define SCHEMAS_SELECTOR_INTERNAL_H

#include "schemas/machinery.h"

enum selector_operator {
  SELECTOR_EQUALS, /* = */
  SELECTOR_DOUBLE_EQUALS,
  SELECTOR_NOT_EQUALS,
  SELECTOR_IN,
  SELECTOR_NOT_IN,
  SELECTOR_EXISTS,
  SELECTOR_NOT_EXISTS,
  SELECTOR_GREATER,
  SELECTOR_LESS,
};

struct selector_requirement {
  const char *key;
  size_t key_len;
  enum selector_operator op;
  const char **values; /* sorted for in and notin */
  size_t n_values;
  int64_t number; /* of > and < */
};
struct selector {
  struct selector_requirement *items; /* sorted by key; all must hold */
  size_t n, cap;
  bool nothing; /* selects nothing at all */
};

#define SELECTOR_REQUIREMENTS_MAX 1000
#define SELECTOR_VALUES_MAX 10000

struct selector *selector_new (struct arena *a);
/* Adds a requirement after apimachinery's checks (labels only): ERR_PARSE in its words. values is an array of strings. */
int selector_add (struct arena *a, struct selector *s, const char *key, enum selector_operator op, const struct value *values,
                  bool check, struct err *err);
void selector_sort (struct selector *s);
bool selector_requirement_holds (const struct selector_requirement *r, const char *value); /* NULL: no such label */

#endif
