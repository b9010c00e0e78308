#include "schemas/protobuf.h"

#include "base/clock.h"
#include "schemas/json.h"

#define DEPTH_MAX 100

struct reader {
  struct arena *a;
  const uint8_t *p, *end;
  int depth;
  struct err *err;
};

struct item { /* one field as it stands on the wire */
  uint32_t number;
  uint8_t wire; /* 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
  uint64_t v;
  const uint8_t *p; /* bytes */
  size_t n;
};

static int
bad (struct reader *r, const char *what)
{
  return err_set (r->err, ERR_PARSE, "protobuf: %s", what);
}

static int
varint (struct reader *r, uint64_t *ret)
{
  uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (r->p == r->end)
      return bad (r, "truncated number");
    v |= (uint64_t) (*r->p & 127) << shift;
    if (!(*r->p++ & 128)) {
      *ret = v;
      return 0;
    }
  }
  return bad (r, "number too long");
}

static int
next (struct reader *r, struct item *it)
{
  uint64_t tag;
  int e = varint (r, &tag);
  size_t fixed;
  if (e)
    return e;
  it->number = (uint32_t) (tag >> 3);
  it->wire = tag & 7;
  if (!it->number || tag >> 3 > 0x1fffffff)
    return bad (r, "field number");
  switch (it->wire) {
  case 0:
    return varint (r, &it->v);
  case 1:
  case 5:
    fixed = it->wire == 1 ? 8 : 4;
    if ((size_t) (r->end - r->p) < fixed)
      return bad (r, "truncated");
    it->v = 0;
    memcpy (&it->v, r->p, fixed); /* little-endian, like every machine that we run on */
    r->p += fixed;
    return 0;
  case 2:
    if ((e = varint (r, &tag)))
      return e;
    if (tag > (uint64_t) (r->end - r->p))
      return bad (r, "truncated bytes");
    it->p = r->p;
    it->n = (size_t) tag;
    r->p += tag;
    return 0;
  default:
    return bad (r, "wire type");
  }
}

static struct reader
inside (const struct reader *r, const struct item *it)
{
  return (struct reader){r->a, it->p, it->p + it->n, r->depth + 1, r->err};
}

/* Reads a small message of numbers and texts: the last of each number up to max_number. */
static int
small (const struct reader *outer, const struct item *whole, struct item *ret, uint32_t max_number)
{
  struct reader r = inside (outer, whole);
  while (r.p < r.end) {
    struct item it = {0};
    int e = next (&r, &it);
    if (e)
      return e;
    if (it.number <= max_number)
      ret[it.number] = it;
  }
  return 0;
}

static struct value *
text (struct reader *r, const struct item *it)
{
  return value_string_n (r->a, (const char *) it->p, it->n);
}

static struct value *
base64 (struct reader *r, const struct item *it)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *out = arena_alloc (r->a, (it->n + 2) / 3 * 4 + 1), *o = out;
  if (!out)
    return NULL;
  for (size_t i = 0; i < it->n; i += 3, o += 4) {
    uint32_t v = (uint32_t) it->p[i] << 16 | (i + 1 < it->n ? (uint32_t) it->p[i + 1] << 8 : 0) | (i + 2 < it->n ? it->p[i + 2] : 0);
    o[0] = digits[v >> 18];
    o[1] = digits[v >> 12 & 63];
    o[2] = i + 1 < it->n ? digits[v >> 6 & 63] : '=';
    o[3] = i + 2 < it->n ? digits[v & 63] : '=';
  }
  return value_string_n (r->a, out, (size_t) (o - out));
}

static int
time_value (struct reader *r, const struct item *it, bool micro, struct value **ret)
{
  struct item f[3] = {{0}};
  char stamp[CLOCK_RFC3339_SIZE];
  int e = small (r, it, f, 2);
  wall_t t;
  if (e)
    return e;
  if (!it->n) { /* the zero time is null in JSON */
    *ret = value_null (r->a);
    return 0;
  }
  if ((int64_t) f[1].v > INT64_C (253402300799) || (int64_t) f[1].v < INT64_C (-62135596800))
    return bad (r, "a time out of range");
  t.us = (int64_t) f[1].v * 1000000 + (int64_t) (f[2].v % 1000000000) / 1000;
  *ret = value_string (r->a, micro ? wall_format_micro (t, stamp) : wall_format (t, stamp));
  return 0;
}

/* nanoseconds as time.Duration prints them, simplified to the units that add up exactly */
static struct value *
duration_value (struct reader *r, int64_t ns)
{
  uint64_t u = ns < 0 ? 0 - (uint64_t) ns : (uint64_t) ns;
  const char *sign = ns < 0 ? "-" : "";
  char fraction[16] = "";
  uint64_t s = u / 1000000000, rest = u % 1000000000;
  if (rest) {
    size_t n = (size_t) snprintf (fraction, sizeof fraction, ".%09llu", (unsigned long long) rest);
    while (fraction[n - 1] == '0')
      fraction[--n] = 0;
  }
  if (s >= 3600)
    return value_printf (r->a, "%s%lluh%llum%llu%ss", sign, (unsigned long long) (s / 3600), (unsigned long long) (s / 60 % 60), (unsigned long long) (s % 60), fraction);
  if (s >= 60)
    return value_printf (r->a, "%s%llum%llu%ss", sign, (unsigned long long) (s / 60), (unsigned long long) (s % 60), fraction);
  return value_printf (r->a, "%s%llu%ss", sign, (unsigned long long) s, fraction);
}

static int
json_bytes (struct reader *r, const struct item *it, struct value **ret)
{
  struct item f[2] = {{0}};
  int e = small (r, it, f, 1);
  if (e)
    return e;
  if (!f[1].n) {
    *ret = value_null (r->a);
    return 0;
  }
  return json_parse (r->a, (const char *) f[1].p, f[1].n, ret, NULL, r->err);
}

static int message (struct reader *r, const struct schema_type *t, struct value *into);

static int
scalar (struct reader *r, const struct schema_field *f, const struct item *it, struct value **ret)
{
  struct item m[4] = {{0}};
  struct reader sub;
  bool bytes = it->wire == 2;
  double d;
  int e = 0;
  switch ((enum schema_scalar) f->scalar) {
  case SCHEMA_BOOL:
  case SCHEMA_INT32:
  case SCHEMA_INT64:
  case SCHEMA_UINT8:
    if (it->wire != 0)
      return bad (r, "a number was expected");
    *ret = f->scalar == SCHEMA_BOOL ? value_bool (r->a, it->v) : value_int (r->a, f->scalar == SCHEMA_INT32 ? (int32_t) it->v : (int64_t) it->v);
    return 0;
  case SCHEMA_DOUBLE:
    if (it->wire != 1)
      return bad (r, "a double was expected");
    memcpy (&d, &it->v, sizeof d);
    *ret = value_float (r->a, d);
    return 0;
  default:
    break;
  }
  if (!bytes)
    return bad (r, "bytes were expected");
  switch ((enum schema_scalar) f->scalar) {
  case SCHEMA_BYTES:
    *ret = base64 (r, it);
    break;
  case SCHEMA_TIME:
  case SCHEMA_MICRO_TIME:
    return time_value (r, it, f->scalar == SCHEMA_MICRO_TIME, ret);
  case SCHEMA_QUANTITY:
    e = small (r, it, m, 1);
    *ret = m[1].p ? text (r, &m[1]) : value_string (r->a, "0");
    break;
  case SCHEMA_DURATION:
    e = small (r, it, m, 1);
    *ret = duration_value (r, (int64_t) m[1].v);
    break;
  case SCHEMA_INT_OR_STRING:
    e = small (r, it, m, 3);
    *ret = m[1].v == 1 ? m[3].p ? text (r, &m[3]) : value_string (r->a, "") : value_int (r->a, (int32_t) m[2].v);
    break;
  case SCHEMA_RAW:
  case SCHEMA_FIELDS_V1:
    return json_bytes (r, it, ret);
  case SCHEMA_STRUCT:
    sub = inside (r, it);
    *ret = value_map (r->a);
    return message (&sub, f->type, *ret);
  default:
    *ret = text (r, it);
    break;
  }
  return e;
}

/* One {1: key, 2: value} of a map. */
static int
map_entry (struct reader *r, const struct schema_field *f, const struct item *it, struct value *map)
{
  struct item m[3] = {{0}};
  struct value *v = NULL;
  const char *key;
  int e = small (r, it, m, 2);
  struct schema_field one = *f;
  if (e)
    return e;
  one.shape = SCHEMA_ONE;
  if (!m[2].number) { /* an absent value is its type's zero */
    m[2].wire = f->scalar == SCHEMA_BOOL || f->scalar == SCHEMA_INT32 || f->scalar == SCHEMA_INT64 ? 0 : 2;
    m[2].p = it->p;
  }
  if (f->shape == SCHEMA_MAP_OF_LISTS) {
    struct reader sub = inside (r, &m[2]);
    v = value_array (r->a);
    while (sub.p < sub.end) {
      struct item element = {0};
      if ((e = next (&sub, &element)))
        return e;
      if (element.number == 1 && element.wire == 2)
        value_append (r->a, v, text (r, &element));
    }
  } else if ((e = scalar (r, &one, &m[2], &v))) {
    return e;
  }
  key = arena_strndup (r->a, m[1].p ? (const char *) m[1].p : "", m[1].n);
  if (key)
    value_set_n (r->a, map, key, m[1].n, v);
  return 0;
}

/* Integers of a list may come packed. */
static int
list_item (struct reader *r, const struct schema_field *f, const struct item *it, struct value *list)
{
  struct value *v = NULL;
  bool number = f->scalar == SCHEMA_BOOL || f->scalar == SCHEMA_INT32 || f->scalar == SCHEMA_INT64;
  int e;
  if (number && it->wire == 2) {
    struct reader sub = inside (r, it);
    while (sub.p < sub.end) {
      struct item one = {.number = it->number};
      if ((e = varint (&sub, &one.v)) || (e = scalar (r, f, &one, &v)))
        return e;
      value_append (r->a, list, v);
    }
    return 0;
  }
  if ((e = scalar (r, f, it, &v)))
    return e;
  value_append (r->a, list, v);
  return 0;
}

static int
field (struct reader *r, const struct schema_field *f, const struct item *it, struct value *into)
{
  struct value *v = NULL;
  int e;
  if (f->shape == SCHEMA_MAP || f->shape == SCHEMA_MAP_OF_LISTS)
    return it->wire == 2 ? map_entry (r, f, it, value_ensure_map (r->a, into, f->name)) : bad (r, "a map entry was expected");
  if (f->shape == SCHEMA_LIST)
    return list_item (r, f, it, value_ensure_array (r->a, into, f->name));
  if (!(e = scalar (r, f, it, &v)))
    value_set (r->a, into, f->name, v);
  return e;
}

/* An object's own TypeMeta is never on the wire: the envelope has it. Its two fields come first in the tables. */
static uint16_t
first_field (const struct schema_type *t)
{
  return t->n_fields > 1 && !strcmp (t->fields[0].name, "kind") && t->fields[0].pb_number == 1 && !strcmp (t->fields[1].name, "apiVersion")
                 && t->fields[1].pb_number == 2
             ? 2
             : 0;
}

/* Fields of an inlined struct stand in messages of their own around them: wrap tells the way down. */
static int
wrapped (struct reader *r, const struct schema_type *t, struct value *into, const uint8_t *outer, int level)
{
  if (r->depth > DEPTH_MAX)
    return bad (r, "nested too deep");
  while (r->p < r->end) {
    struct item it = {0};
    const struct schema_field *hit = NULL;
    bool deeper = false;
    int e = next (r, &it);
    if (e)
      return e;
    for (uint16_t i = first_field (t); i < t->n_fields && !hit; i++) {
      const struct schema_field *f = &t->fields[i];
      uint32_t own = level < 2 ? f->pb_wrap[level] : 0;
      if ((level > 0 && f->pb_wrap[0] != outer[0]) || (level > 1 && f->pb_wrap[1] != outer[1]))
        continue;
      if (own ? own == it.number : f->pb_number == it.number) {
        hit = f;
        deeper = own != 0;
      }
    }
    if (!hit)
      continue;
    if (deeper && it.wire == 2) {
      uint8_t path[2] = {level ? outer[0] : (uint8_t) it.number, level ? (uint8_t) it.number : 0};
      struct reader sub = inside (r, &it);
      e = wrapped (&sub, t, into, path, level + 1);
    } else if (!deeper) {
      e = field (r, hit, &it, into);
    }
    if (e)
      return e;
  }
  return 0;
}

static int
message (struct reader *r, const struct schema_type *t, struct value *into)
{
  static const uint8_t none[2] = {0, 0};
  return wrapped (r, t, into, none, 0);
}

int
protobuf_decode_message (struct arena *a, const struct schema_type *t, const void *data, size_t n, struct value **ret, struct err *err)
{
  struct reader r = {a, data, (const uint8_t *) data + n, 0, err};
  struct value *v = value_map (a);
  int e = message (&r, t, v);
  if (e)
    return e;
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "protobuf: no room for the tree");
  *ret = v;
  return 0;
}

/* The type of a kind: stored kinds by the table of kinds, options and the like by name. */
static const struct schema_type *
type_of (struct arena *a, const char *api_version, const char *kind)
{
  const char *slash = strchr (api_version, '/');
  const char *group = slash ? arena_strndup (a, api_version, (size_t) (slash - api_version)) : "";
  const struct schema_kind *k = group ? schema_kind_by_kind (group, slash ? slash + 1 : api_version, kind) : NULL;
  const struct schema_type *t = k ? k->type : schema_type_find (api_version, kind);
  return t ? t : schema_type_find ("meta/v1", kind);
}

int
protobuf_decode (struct arena *a, const void *data, size_t n, struct value **ret, struct err *err)
{
  static const uint8_t magic[4] = {'k', '8', 's', 0};
  struct reader r = {a, data, (const uint8_t *) data + n, 0, err};
  struct item whole = {.p = r.p + 4, .n = n - 4}, unknown[5] = {{0}}, meta[3] = {{0}};
  const char *api_version, *kind;
  const struct schema_type *t;
  int e;
  if (n < 4 || memcmp (data, magic, sizeof magic))
    return err_set (err, ERR_PARSE, "protobuf: it does not begin with \"k8s\"");
  if ((e = small (&r, &whole, unknown, 4)))
    return e;
  if (unknown[1].p && (e = small (&r, &unknown[1], meta, 2)))
    return e;
  api_version = arena_strndup (a, meta[1].p ? (const char *) meta[1].p : "", meta[1].n);
  kind = arena_strndup (a, meta[2].p ? (const char *) meta[2].p : "", meta[2].n);
  if (!api_version || !kind)
    return err_set (err, ERR_NOMEM, "protobuf: no room for the tree");
  if (!(t = type_of (a, api_version, kind)))
    return err_set (err, ERR_UNSUPPORTED, "no kind \"%.100s\" is registered for version \"%.100s\"", kind, api_version);
  if ((e = protobuf_decode_message (a, t, unknown[2].p ? unknown[2].p : whole.p, unknown[2].n, ret, err)))
    return e;
  value_set_string (a, *ret, "apiVersion", api_version);
  value_set_string (a, *ret, "kind", kind);
  return 0;
}
