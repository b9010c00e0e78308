/* The value tree: what JSON, YAML and msgpack have in common, as nodes in an arena. All API objects are handled as
   such trees between decode and encode; at rest and on the wire they are msgpack (schemas/msgpack.h).

   Invariants: a node belongs to one arena and dies with it; strings are NUL-terminated UTF-8 and know their length (a
   NUL inside is possible, so lengths count); map keys are unique and keep their order of insertion; a tree has no
   sharing that its user did not make (value_set puts the node itself in, value_clone copies).
   Every reader accepts NULL and answers as for "absent"; every builder accepts a NULL container or child (it does
   nothing), so that a whole tree may be built and arena_ok () asked once. Not thread-safe; read-only sharing is. */
#ifndef SCHEMAS_VALUE_H
#define SCHEMAS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum value_type { VALUE_NULL, VALUE_BOOL, VALUE_INT, VALUE_FLOAT, VALUE_STRING, VALUE_ARRAY, VALUE_MAP };

struct value;
struct value_member {
  const char *key;
  uint32_t key_len;
  struct value *value; /* never NULL */
};
struct value {
  enum value_type type;
  uint32_t len; /* bytes of a string, items of an array, members of a map */
  uint32_t cap;
  union {
    bool b;
    int64_t i;
    double f;
    char *s;
    struct value **items;
    struct value_member *members;
  };
};

/* ---- making ---- */
struct value *value_null (struct arena *a);
struct value *value_bool (struct arena *a, bool b);
struct value *value_int (struct arena *a, int64_t i);
struct value *value_float (struct arena *a, double f);
struct value *value_string (struct arena *a, const char *s); /* copies; NULL gives NULL */
struct value *value_string_n (struct arena *a, const char *s, size_t n);
struct value *value_printf (struct arena *a, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
struct value *value_array (struct arena *a);
struct value *value_map (struct arena *a);
struct value *value_clone (struct arena *a, const struct value *v); /* deep; NULL gives NULL */

/* ---- reading ---- */
struct value *value_get (const struct value *map, const char *key); /* NULL when absent or map is not a map */
struct value *value_get_n (const struct value *map, const char *key, size_t key_len);
struct value *value_at (const struct value *array, size_t i);       /* NULL when out of range or not an array */
/* Walks "spec.template.metadata"; a segment is a map key without dots, or an array index. NULL when any step is absent. */
struct value *value_path (const struct value *v, const char *path);
size_t value_count (const struct value *v); /* items or members; 0 for anything else and NULL */
const char *value_as_string (const struct value *v, const char *otherwise); /* otherwise when not a string */
int64_t value_as_int (const struct value *v, int64_t otherwise);            /* integral floats count */
double value_as_float (const struct value *v, double otherwise);
bool value_as_bool (const struct value *v, bool otherwise);
/* The same by path: value_path_string (pod, "spec.nodeName", ""). */
const char *value_path_string (const struct value *v, const char *path, const char *otherwise);
int64_t value_path_int (const struct value *v, const char *path, int64_t otherwise);
bool value_path_bool (const struct value *v, const char *path, bool otherwise);
static inline bool
value_is (const struct value *v, enum value_type type)
{
  return v && v->type == type;
}
static inline bool
value_is_null (const struct value *v)
{
  return !v || v->type == VALUE_NULL;
}
bool value_is_empty (const struct value *v); /* absent, null, false, 0, "", [] or {} */
bool value_string_is (const struct value *v, const char *s);
/* Deep equality; maps compare without order; 1 and 1.0 are equal. */
bool value_equal (const struct value *a, const struct value *b);

/* ---- changing ---- */
void value_set (struct arena *a, struct value *map, const char *key, struct value *child); /* adds or replaces */
void value_set_n (struct arena *a, struct value *map, const char *key, size_t key_len, struct value *child);
void value_set_string (struct arena *a, struct value *map, const char *key, const char *s); /* NULL s: nothing */
void value_set_int (struct arena *a, struct value *map, const char *key, int64_t i);
void value_set_bool (struct arena *a, struct value *map, const char *key, bool b);
bool value_unset (struct value *map, const char *key); /* keeps the order of the rest; false when absent */
void value_append (struct arena *a, struct value *array, struct value *child);
void value_insert (struct arena *a, struct value *array, size_t at, struct value *child); /* at <= count */
void value_remove_at (struct value *array, size_t at);
/* The map (array) under key, made when absent or of another type. */
struct value *value_ensure_map (struct arena *a, struct value *map, const char *key);
struct value *value_ensure_array (struct arena *a, struct value *map, const char *key);
/* Sets a value at "a.b.c", making the maps on the way. */
void value_set_path (struct arena *a, struct value *map, const char *path, struct value *child);

/* for (value_each (map, m)) ... m->key, m->value;   for (value_items (array, it)) ... *it */
#define value_each(map_, m_) \
  struct value_member *m_ = value_is (map_, VALUE_MAP) ? (map_)->members : NULL, \
                      *m_##_end = m_ ? m_ + (map_)->len : NULL; \
  m_ < m_##_end; \
  m_++
#define value_items(array_, it_) \
  struct value **it_ = value_is (array_, VALUE_ARRAY) ? (array_)->items : NULL, \
               **it_##_end = it_ ? it_ + (array_)->len : NULL; \
  it_ < it_##_end; \
  it_++

#endif
