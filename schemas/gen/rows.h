/* What the .rows files hold, as read: names are not resolved yet. All memory lives until the program ends. */
#ifndef SCHEMAS_GEN_ROWS_H
#define SCHEMAS_GEN_ROWS_H

#include <stdbool.h>
#include <stddef.h>

struct place {
  const char *file;
  int line;
};
/* Prints "file:line: what" and exits with status 1. */
_Noreturn void fail_at (struct place at, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
void *xzalloc (size_t size);
char *xstrndup (const char *s, size_t n);

struct words {
  char **at;
  size_t count;
};
struct package {
  struct place place;
  char *group_version, *group, *version, *openapi;
  int group_priority, version_priority;
};
struct row_enum {
  struct place place;
  struct package *package;
  char *name;
  struct words values;
};
struct row_field { /* "inline" rows too */
  struct place place;
  bool is_inline;
  char *name, *type_name, *doc, *enum_name, *merge_key, *default_json, *format;
  struct words list_keys;
  int pb;
  bool pointer, list_shape, map_shape, list_set, merge, no_range;
  unsigned flags; /* enum of schema.h without the pointer and merge bits */
  long long minimum, maximum;
};
struct row_type {
  struct place place;
  struct package *package;
  char *name, *doc;
  unsigned flags;
  struct row_field *fields;
  size_t n_fields;
};
struct row_sub {
  struct place place;
  char *name, *kind_name; /* NULL: the kind itself */
  unsigned verbs;
};
struct row_column {
  char *name, *type, *format, *path, *doc;
  int priority;
};
struct row_kind {
  struct place place;
  struct package *package;
  char *kind, *resource, *singular, *storage_name;
  bool namespaced, virtual_, generation;
  struct words shorts, categories, selects, indexes;
  unsigned verbs;
  struct row_sub *subs;
  size_t n_subs;
  struct row_column *columns;
  size_t n_columns;
};
struct rows {
  struct package **packages;
  struct row_enum **enums;
  struct row_type **types;
  struct row_kind **kinds;
  size_t n_packages, n_enums, n_types, n_kinds;
};

void rows_read (struct rows *rows, const char *path);

#endif
