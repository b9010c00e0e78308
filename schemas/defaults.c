#include <stdlib.h>

#include "schemas/defaults_internal.h"
#include "schemas/json.h"

#define DEFAULT_DEPTH_MAX 128

void
default_string (struct arena *a, struct value *map, const char *key, const char *s)
{
  if (!value_as_string (value_get (map, key), "")[0] && !value_is (value_get (map, key), VALUE_MAP))
    value_set_string (a, map, key, s);
}

void
default_int (struct arena *a, struct value *map, const char *key, int64_t i)
{
  if (default_absent (map, key))
    value_set_int (a, map, key, i);
}

void
default_bool (struct arena *a, struct value *map, const char *key, bool b)
{
  if (default_absent (map, key))
    value_set_bool (a, map, key, b);
}

void
default_map (struct arena *a, struct value *map, const char *key)
{
  if (default_absent (map, key))
    value_set (a, map, key, value_map (a));
}

/* The usual literals without a parser's start-up: "text" without escapes, integers, true, false, {}. */
static struct value *
literal (struct arena *a, const char *json)
{
  size_t n = strlen (json);
  char *end;
  if (n >= 2 && json[0] == '"' && json[n - 1] == '"' && !memchr (json + 1, '\\', n - 2))
    return value_string_n (a, json + 1, n - 2);
  if (strcmp (json, "true") == 0 || strcmp (json, "false") == 0)
    return value_bool (a, json[0] == 't');
  if (strcmp (json, "{}") == 0)
    return value_map (a);
  long long i = strtoll (json, &end, 10);
  if (n > 0 && n < 19 && *end == 0)
    return value_int (a, i);
  struct value *v = NULL;
  return json_parse (a, json, n, &v, NULL, NULL) == 0 ? v : NULL;
}

static bool
unset (const struct schema_field *f, const struct value *v)
{
  if (value_is_null (v))
    return true;
  return f->shape == SCHEMA_ONE && f->scalar != SCHEMA_STRUCT && !(f->flags & SCHEMA_POINTER) && value_is_empty (v);
}

static int
compare_type (const struct type_defaults *d, const char *group_version, const char *type)
{
  int r = strcmp (d->type, type);
  return r ? r : strcmp (d->group_version, group_version);
}

/* The lists are short and this runs for each struct, so they are ordered by type name and searched by halves. */
static const struct type_defaults *
find_in (const struct type_defaults *list, size_t n, const struct schema_type *t)
{
  size_t low = 0, high = n;
  while (low < high) {
    size_t mid = (low + high) / 2;
    int r = compare_type (&list[mid], t->group_version, t->name);
    if (r == 0)
      return &list[mid];
    if (r < 0)
      low = mid + 1;
    else
      high = mid;
  }
  return NULL;
}

static size_t
list_length (const struct type_defaults *list)
{
  size_t n = 0;
  for (; list[n].type; n++)
    REQUIRE (n == 0 || compare_type (&list[n - 1], list[n].group_version, list[n].type) < 0);
  return n;
}

static const struct type_defaults *
find_defaults (const struct schema_type *t)
{
  static size_t n_core, n_groups; /* written with the same value by whoever is first */
  size_t core = __atomic_load_n (&n_core, __ATOMIC_RELAXED), groups = __atomic_load_n (&n_groups, __ATOMIC_RELAXED);
  if (core == 0 || groups == 0) {
    core = list_length (defaults_core);
    groups = list_length (defaults_groups);
    __atomic_store_n (&n_core, core, __ATOMIC_RELAXED);
    __atomic_store_n (&n_groups, groups, __ATOMIC_RELAXED);
  }
  if (!t->group_version || !t->name)
    return NULL;
  if (strcmp (t->group_version, "v1") == 0)
    return find_in (defaults_core, core, t);
  return find_in (defaults_groups, groups, t);
}

/* Upstream rounds a ResourceList up to thousandths. */
static void
round_resource_list (struct arena *a, struct value *list)
{
  for (value_each (list, m)) {
    const char *s = value_as_string (m->value, "");
    size_t n = strlen (s);
    struct quantity q;
    char text[64];
    if (n == 0 || (s[n - 1] != 'n' && s[n - 1] != 'u') || quantity_parse (s, &q, NULL) != 0 || q.nano % 1000000 == 0)
      continue;
    q.nano += q.nano > 0 ? 1000000 - q.nano % 1000000 : -(q.nano % 1000000);
    struct value *rounded = value_string (a, quantity_format (&q, text));
    if (rounded)
      m->value = rounded;
  }
}

enum walk { WALK_ROWS, WALK_BUILTIN };

static void default_struct (struct arena *a, const struct schema_type *t, struct value *v, enum walk walk, int depth);

/* What Go shows of a field that has no pointer and no omitempty: the zero of numbers and booleans, and of structs always. */
static void
show_zero (struct arena *a, const struct schema_field *f, struct value *v)
{
  if (f->shape != SCHEMA_ONE || (f->flags & (SCHEMA_POINTER | SCHEMA_FEATURE_OFF)))
    return;
  if (f->scalar == SCHEMA_STRUCT)
    value_set (a, v, f->name, value_map (a));
  else if (!(f->flags & SCHEMA_OMITEMPTY) && (f->scalar == SCHEMA_INT32 || f->scalar == SCHEMA_INT64))
    value_set_int (a, v, f->name, 0);
  else if (!(f->flags & SCHEMA_OMITEMPTY) && f->scalar == SCHEMA_BOOL)
    value_set_bool (a, v, f->name, false);
}

static void
default_field (struct arena *a, const struct schema_field *f, struct value *v, enum walk walk, int depth)
{
  struct value *child = value_get (v, f->name);
  if (f->default_json && !(f->flags & SCHEMA_FEATURE_OFF) && unset (f, child)) {
    struct value *given = literal (a, f->default_json);
    if (!(f->flags & SCHEMA_OMITEMPTY) || !unset (f, given)) /* not a zero that Go leaves out again */
      value_set (a, v, f->name, given);
    child = value_get (v, f->name);
  }
  if (value_is_null (child) && walk == WALK_BUILTIN) {
    show_zero (a, f, v);
    child = value_get (v, f->name);
  }
  if (value_is_null (child))
    return;
  if (f->shape == SCHEMA_MAP && f->scalar == SCHEMA_QUANTITY && walk == WALK_BUILTIN)
    round_resource_list (a, child);
  if (f->scalar != SCHEMA_STRUCT)
    return;
  if (f->shape == SCHEMA_ONE)
    default_struct (a, f->type, child, walk, depth + 1);
  else if (f->shape == SCHEMA_LIST)
    for (value_items (child, it))
      default_struct (a, f->type, *it, walk, depth + 1);
  else
    for (value_each (child, m))
      default_struct (a, f->type, m->value, walk, depth + 1);
}

static void
default_struct (struct arena *a, const struct schema_type *t, struct value *v, enum walk walk, int depth)
{
  if (!value_is (v, VALUE_MAP) || depth > DEFAULT_DEPTH_MAX)
    return;
  if (walk == WALK_BUILTIN) {
    const struct type_defaults *d = find_defaults (t);
    if (d)
      d->fn (a, v);
  }
  for (uint16_t i = 0; i < t->n_fields; i++)
    default_field (a, &t->fields[i], v, walk, depth);
}

void
schema_default_type (struct arena *a, const struct schema_type *t, struct value *v)
{
  default_struct (a, t, v, WALK_ROWS, 0);
}

void
schema_default (struct arena *a, const struct schema_kind *k, struct value *obj)
{
  bool builtin = schema_kind_by_kind (k->group, k->version, k->kind) == k;
  default_struct (a, k->type, obj, builtin ? WALK_BUILTIN : WALK_ROWS, 0);
}
