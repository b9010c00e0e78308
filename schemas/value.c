#include "schemas/value.h"

#include <math.h>

static struct value *
node (struct arena *a, enum value_type type)
{
  struct value *v = arena_zalloc (a, sizeof *v);
  if (v)
    v->type = type;
  return v;
}

struct value *
value_null (struct arena *a)
{
  return node (a, VALUE_NULL);
}

struct value *
value_bool (struct arena *a, bool b)
{
  struct value *v = node (a, VALUE_BOOL);
  if (v)
    v->b = b;
  return v;
}

struct value *
value_int (struct arena *a, int64_t i)
{
  struct value *v = node (a, VALUE_INT);
  if (v)
    v->i = i;
  return v;
}

struct value *
value_float (struct arena *a, double f)
{
  struct value *v = node (a, VALUE_FLOAT);
  if (v)
    v->f = f;
  return v;
}

struct value *
value_string_n (struct arena *a, const char *s, size_t n)
{
  struct value *v = n <= UINT32_MAX ? node (a, VALUE_STRING) : NULL;
  if (!v || !(v->s = arena_strndup (a, s, n))) {
    a->failed = true;
    return NULL;
  }
  v->len = (uint32_t) n;
  return v;
}

struct value *
value_string (struct arena *a, const char *s)
{
  return s ? value_string_n (a, s, strlen (s)) : NULL;
}

struct value *
value_printf (struct arena *a, const char *fmt, ...)
{
  char *s = NULL;
  struct value *v;
  va_list ap;
  int n;
  va_start (ap, fmt);
  n = vasprintf (&s, fmt, ap);
  va_end (ap);
  if (n < 0) {
    a->failed = true;
    return NULL;
  }
  v = value_string_n (a, s, (size_t) n);
  free (s);
  return v;
}

struct value *
value_array (struct arena *a)
{
  return node (a, VALUE_ARRAY);
}

struct value *
value_map (struct arena *a)
{
  return node (a, VALUE_MAP);
}

struct value *
value_clone (struct arena *a, const struct value *v)
{
  struct value *c;
  if (!v)
    return NULL;
  if (v->type == VALUE_STRING)
    return value_string_n (a, v->s, v->len);
  if (!(c = node (a, v->type)))
    return NULL;
  if (v->type == VALUE_ARRAY) {
    if (v->len && !(c->items = arena_alloc (a, v->len * sizeof c->items[0])))
      return NULL;
    for (c->cap = v->len; c->len < v->len; c->len++)
      if (!(c->items[c->len] = value_clone (a, v->items[c->len])))
        return NULL;
  } else if (v->type == VALUE_MAP) {
    if (v->len && !(c->members = arena_alloc (a, v->len * sizeof c->members[0])))
      return NULL;
    for (c->cap = v->len; c->len < v->len; c->len++) {
      const struct value_member *from = &v->members[c->len];
      struct value_member *to = &c->members[c->len];
      to->key = arena_strndup (a, from->key, from->key_len);
      to->key_len = from->key_len;
      if (!to->key || !(to->value = value_clone (a, from->value)))
        return NULL;
    }
  } else {
    c->i = v->i; /* the widest of the scalars: bool, int and float share these bytes */
  }
  return c;
}

struct value *
value_get_n (const struct value *map, const char *key, size_t n)
{
  if (value_is (map, VALUE_MAP))
    for (uint32_t i = 0; i < map->len; i++)
      if (map->members[i].key_len == n && !memcmp (map->members[i].key, key, n))
        return map->members[i].value;
  return NULL;
}

struct value *
value_get (const struct value *map, const char *key)
{
  return value_get_n (map, key, strlen (key));
}

struct value *
value_at (const struct value *array, size_t i)
{
  return value_is (array, VALUE_ARRAY) && i < array->len ? array->items[i] : NULL;
}

struct value *
value_path (const struct value *v, const char *path)
{
  while (v && *path) {
    size_t n = strcspn (path, ".");
    if (v->type == VALUE_ARRAY) {
      char *end;
      unsigned long i = strtoul (path, &end, 10);
      v = end == path + n && n ? value_at (v, i) : NULL;
    } else {
      v = value_get_n (v, path, n);
    }
    path += n + (path[n] == '.');
  }
  return (struct value *) v;
}

size_t
value_count (const struct value *v)
{
  return value_is (v, VALUE_ARRAY) || value_is (v, VALUE_MAP) ? v->len : 0;
}

const char *
value_as_string (const struct value *v, const char *otherwise)
{
  return value_is (v, VALUE_STRING) ? v->s : otherwise;
}

int64_t
value_as_int (const struct value *v, int64_t otherwise)
{
  if (value_is (v, VALUE_INT))
    return v->i;
  if (value_is (v, VALUE_FLOAT) && v->f >= -9.2e18 && v->f <= 9.2e18 && v->f == floor (v->f))
    return (int64_t) v->f;
  return otherwise;
}

double
value_as_float (const struct value *v, double otherwise)
{
  if (value_is (v, VALUE_FLOAT))
    return v->f;
  return value_is (v, VALUE_INT) ? (double) v->i : otherwise;
}

bool
value_as_bool (const struct value *v, bool otherwise)
{
  return value_is (v, VALUE_BOOL) ? v->b : otherwise;
}

const char *
value_path_string (const struct value *v, const char *path, const char *otherwise)
{
  return value_as_string (value_path (v, path), otherwise);
}

int64_t
value_path_int (const struct value *v, const char *path, int64_t otherwise)
{
  return value_as_int (value_path (v, path), otherwise);
}

bool
value_path_bool (const struct value *v, const char *path, bool otherwise)
{
  return value_as_bool (value_path (v, path), otherwise);
}

bool
value_is_empty (const struct value *v)
{
  if (!v)
    return true;
  switch (v->type) {
  case VALUE_NULL:
    return true;
  case VALUE_BOOL:
    return !v->b;
  case VALUE_INT:
    return !v->i;
  case VALUE_FLOAT:
    return v->f == 0;
  default:
    return !v->len;
  }
}

bool
value_string_is (const struct value *v, const char *s)
{
  return value_is (v, VALUE_STRING) && v->len == strlen (s) && !memcmp (v->s, s, v->len);
}

static bool
map_equal (const struct value *a, const struct value *b)
{
  for (uint32_t i = 0; i < a->len; i++) {
    const struct value_member *m = &a->members[i];
    const struct value_member *same = i < b->len ? &b->members[i] : NULL; /* most often the order agrees */
    const struct value *other = same && same->key_len == m->key_len && !memcmp (same->key, m->key, m->key_len)
                                    ? same->value
                                    : value_get_n (b, m->key, m->key_len);
    if (!other || !value_equal (m->value, other))
      return false;
  }
  return true;
}

bool
value_equal (const struct value *a, const struct value *b)
{
  if (a == b)
    return true;
  if (!a || !b)
    return false;
  if (a->type != b->type)
    return (a->type == VALUE_INT || a->type == VALUE_FLOAT) && (b->type == VALUE_INT || b->type == VALUE_FLOAT)
           && value_as_float (a, 0) == value_as_float (b, 0);
  switch (a->type) {
  case VALUE_NULL:
    return true;
  case VALUE_BOOL:
    return a->b == b->b;
  case VALUE_INT:
    return a->i == b->i;
  case VALUE_FLOAT:
    return a->f == b->f;
  case VALUE_STRING:
    return a->len == b->len && !memcmp (a->s, b->s, a->len);
  case VALUE_ARRAY:
    if (a->len != b->len)
      return false;
    for (uint32_t i = 0; i < a->len; i++)
      if (!value_equal (a->items[i], b->items[i]))
        return false;
    return true;
  case VALUE_MAP:
    return a->len == b->len && map_equal (a, b);
  }
  return false;
}

/* Room for one more element of size bytes in an array that grows inside the arena; NULL on failure. */
static void *
grow (struct arena *a, void *elements, uint32_t len, uint32_t *cap, size_t size)
{
  uint32_t more;
  void *p;
  if (len < *cap)
    return elements;
  more = *cap ? *cap * 2 : 4;
  if (more <= *cap || !(p = arena_alloc (a, more * size))) {
    a->failed = true;
    return NULL;
  }
  if (len)
    memcpy (p, elements, len * size);
  *cap = more;
  return p;
}

void
value_set_n (struct arena *a, struct value *map, const char *key, size_t n, struct value *child)
{
  struct value_member *members;
  if (!value_is (map, VALUE_MAP) || !child)
    return;
  for (uint32_t i = 0; i < map->len; i++)
    if (map->members[i].key_len == n && !memcmp (map->members[i].key, key, n)) {
      map->members[i].value = child;
      return;
    }
  if (!(members = grow (a, map->members, map->len, &map->cap, sizeof *members)))
    return;
  map->members = members;
  if (!(members[map->len].key = arena_strndup (a, key, n)))
    return;
  members[map->len].key_len = (uint32_t) n;
  members[map->len].value = child;
  map->len++;
}

void
value_set (struct arena *a, struct value *map, const char *key, struct value *child)
{
  value_set_n (a, map, key, strlen (key), child);
}

void
value_set_string (struct arena *a, struct value *map, const char *key, const char *s)
{
  value_set (a, map, key, value_string (a, s));
}

void
value_set_int (struct arena *a, struct value *map, const char *key, int64_t i)
{
  value_set (a, map, key, value_int (a, i));
}

void
value_set_bool (struct arena *a, struct value *map, const char *key, bool b)
{
  value_set (a, map, key, value_bool (a, b));
}

bool
value_unset (struct value *map, const char *key)
{
  size_t n = strlen (key);
  if (!value_is (map, VALUE_MAP))
    return false;
  for (uint32_t i = 0; i < map->len; i++)
    if (map->members[i].key_len == n && !memcmp (map->members[i].key, key, n)) {
      memmove (&map->members[i], &map->members[i + 1], (map->len - i - 1) * sizeof map->members[0]);
      map->len--;
      return true;
    }
  return false;
}

void
value_insert (struct arena *a, struct value *array, size_t at, struct value *child)
{
  struct value **items;
  if (!value_is (array, VALUE_ARRAY) || !child || at > array->len)
    return;
  if (!(items = grow (a, array->items, array->len, &array->cap, sizeof *items)))
    return;
  array->items = items;
  memmove (&items[at + 1], &items[at], (array->len - at) * sizeof *items);
  items[at] = child;
  array->len++;
}

void
value_append (struct arena *a, struct value *array, struct value *child)
{
  value_insert (a, array, value_count (array), child);
}

void
value_remove_at (struct value *array, size_t at)
{
  if (!value_is (array, VALUE_ARRAY) || at >= array->len)
    return;
  memmove (&array->items[at], &array->items[at + 1], (array->len - at - 1) * sizeof array->items[0]);
  array->len--;
}

static struct value *
ensure (struct arena *a, struct value *map, const char *key, size_t n, enum value_type type)
{
  struct value *v = value_get_n (map, key, n);
  if (value_is (v, type))
    return v;
  v = node (a, type);
  value_set_n (a, map, key, n, v);
  return v;
}

struct value *
value_ensure_map (struct arena *a, struct value *map, const char *key)
{
  return ensure (a, map, key, strlen (key), VALUE_MAP);
}

struct value *
value_ensure_array (struct arena *a, struct value *map, const char *key)
{
  return ensure (a, map, key, strlen (key), VALUE_ARRAY);
}

void
value_set_path (struct arena *a, struct value *map, const char *path, struct value *child)
{
  for (;;) {
    size_t n = strcspn (path, ".");
    if (!path[n]) {
      value_set_n (a, map, path, n, child);
      return;
    }
    map = ensure (a, map, path, n, VALUE_MAP);
    path += n + 1;
  }
}
