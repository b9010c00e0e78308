#include <ctype.h>
#include <inttypes.h>

#include "base/clock.h"
#include "schemas/machinery.h"

#define DECODE_DEPTH_MAX 128

/* One decode: where we are, for the two forms of a path that upstream prints: "spec.containers[0].foo" for unknown
   fields and "spec.containers.foo" for wrong types. */
struct decoder {
  struct arena *arena;
  enum schema_unknown mode;
  struct value *unknown;
  struct err *err;
  int depth;
};
struct place {
  const struct place *parent;
  const char *name; /* NULL: an index of the parent's list */
  uint32_t name_len;
  size_t index;
};

static int decode_struct (struct decoder *d, const struct schema_type *t, struct value *map, const struct place *at);
static int decode_one (struct decoder *d, const struct schema_type *owner, const struct schema_field *f, struct value **slot,
                       const struct place *at);

static void
place_print (const struct place *p, bool indices, struct buf *out)
{
  if (!p)
    return;
  place_print (p->parent, indices, out);
  if (!p->name) {
    if (indices)
      buf_printf (out, "[%zu]", p->index);
    return;
  }
  if (out->len > 0)
    buf_append_byte (out, '.');
  buf_append (out, p->name, p->name_len);
}

static const char *
json_kind (const struct value *v)
{
  switch (v->type) {
  case VALUE_BOOL:
    return "bool";
  case VALUE_INT:
  case VALUE_FLOAT:
    return "number";
  case VALUE_STRING:
    return "string";
  case VALUE_ARRAY:
    return "array";
  case VALUE_MAP:
    return "object";
  default:
    return "null";
  }
}

static const char *
go_package (const char *group_version)
{
  const char *slash = group_version ? strrchr (group_version, '/') : NULL;
  return slash ? slash + 1 : group_version ? group_version : "v1";
}

static void
go_type (const struct schema_field *f, int shape, char *out, size_t size)
{
  static const char *const scalars[] = {
    [SCHEMA_STRING] = "string", [SCHEMA_BOOL] = "bool", [SCHEMA_INT32] = "int32", [SCHEMA_INT64] = "int64",
    [SCHEMA_UINT8] = "uint8", [SCHEMA_DOUBLE] = "float64", [SCHEMA_BYTES] = "[]uint8", [SCHEMA_TIME] = "v1.Time",
    [SCHEMA_MICRO_TIME] = "v1.MicroTime", [SCHEMA_QUANTITY] = "resource.Quantity",
    [SCHEMA_INT_OR_STRING] = "intstr.IntOrString", [SCHEMA_DURATION] = "string", [SCHEMA_RAW] = "runtime.RawExtension",
    [SCHEMA_FIELDS_V1] = "v1.FieldsV1",
  };
  const char *prefix = shape == SCHEMA_LIST ? "[]" : shape == SCHEMA_MAP ? "map[string]" : "";
  if (f->scalar == SCHEMA_STRUCT)
    snprintf (out, size, "%s%s.%s", prefix, go_package (f->type->group_version), f->type->name);
  else
    snprintf (out, size, "%s%s", prefix, scalars[f->scalar]);
}

/* The words of encoding/json: the struct that holds the field, the path from the root without indices, the Go type. */
static int
wrong_type (struct decoder *d, const struct schema_type *owner, const struct schema_field *f, int shape, const struct value *v,
            const struct place *at)
{
  char type[160], number[48] = "";
  AUTO_BUF struct buf path = BUF_INIT;
  go_type (f, shape, type, sizeof type);
  place_print (at, false, &path);
  if (v->type == VALUE_INT)
    snprintf (number, sizeof number, " %" PRId64, v->i);
  else if (v->type == VALUE_FLOAT)
    snprintf (number, sizeof number, " %.17g", v->f);
  return err_set (d->err, ERR_PARSE, "json: cannot unmarshal %s%s into Go struct field %s.%s of type %s", json_kind (v),
                  shape == SCHEMA_ONE && (f->scalar == SCHEMA_INT32 || f->scalar == SCHEMA_INT64) ? number : "", owner->name,
                  buf_cstr (&path), type);
}

static void
note_unknown (struct decoder *d, const struct place *at)
{
  if (d->mode == SCHEMA_UNKNOWN_DROP || !d->unknown)
    return;
  AUTO_BUF struct buf path = BUF_INIT;
  place_print (at, true, &path);
  value_append (d->arena, d->unknown, value_printf (d->arena, "unknown field \"%s\"", buf_cstr (&path)));
}

/* ---- scalars ---- */

static int
decode_bytes (struct decoder *d, struct value *v)
{
  size_t n = 0, pad = 0;
  char *kept = NULL;
  for (size_t i = 0; i < v->len; i++) {
    char c = v->s[i];
    if (c == '\n' || c == '\r') { /* Go's decoder passes over them; what we keep has none */
      if (!kept) {
        kept = arena_strndup (d->arena, v->s, v->len);
        if (!kept)
          return err_set (d->err, ERR_NOMEM, "decode object");
      }
      continue;
    }
    bool digit = isalnum ((unsigned char) c) || c == '+' || c == '/';
    if (c == '=' ? n % 4 < 2 && pad == 0 : !digit || pad > 0)
      return err_set (d->err, ERR_PARSE, "illegal base64 data at input byte %zu", i);
    pad += c == '=';
    if (kept)
      kept[n] = c;
    n++;
  }
  if (n % 4 != 0 || pad > 2)
    return err_set (d->err, ERR_PARSE, "illegal base64 data at input byte %u", v->len > 0 ? v->len - (v->len % 4 ? v->len % 4 : 4) : 0);
  if (kept) {
    kept[n] = 0;
    v->s = kept;
    v->len = (uint32_t) n;
  }
  return 0;
}

static bool
time_shape (const char *s, size_t n)
{
  static const char pattern[] = "dddd-dd-ddTdd:dd:dd";
  if (n < sizeof pattern)
    return false;
  for (size_t i = 0; i < sizeof pattern - 1; i++)
    if (pattern[i] == 'd' ? !isdigit ((unsigned char) s[i]) : s[i] != pattern[i])
      return false;
  return true;
}

static int
decode_time (struct decoder *d, bool micro, struct value **slot)
{
  struct value *v = *slot;
  char text[CLOCK_RFC3339_SIZE];
  wall_t t;
  if (!time_shape (v->s, v->len) || strlen (v->s) != v->len || wall_parse (v->s, &t, NULL) != 0) {
    const char *layout = micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00";
    return err_set (d->err, ERR_PARSE, "parsing time \"%.100s\" as \"%s\": cannot parse \"%.100s\" as \"%s\"", v->s, layout, v->s, "2006");
  }
  *slot = value_string (d->arena, micro ? wall_format_micro (t, text) : wall_format (t, text));
  return *slot ? 0 : err_set (d->err, ERR_NOMEM, "decode object");
}

static int
decode_quantity (struct decoder *d, const struct schema_type *owner, const struct schema_field *f, struct value **slot,
                 const struct place *at)
{
  struct value *v = *slot;
  char text[64];
  const char *s;
  struct quantity q;
  if (v->type == VALUE_STRING)
    s = v->s;
  else if (v->type == VALUE_INT) {
    snprintf (text, sizeof text, "%" PRId64, v->i);
    s = text;
  } else if (v->type == VALUE_FLOAT) {
    snprintf (text, sizeof text, "%.12g", v->f);
    s = text;
  } else
    return wrong_type (d, owner, f, SCHEMA_ONE, v, at);
  if ((v->type == VALUE_STRING && strlen (s) != v->len) || quantity_parse (s, &q, NULL) != 0)
    return err_set (d->err, ERR_PARSE, "%s", s[0] ? "quantities must match the regular expression "
                                                    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                                                  : "unable to parse quantity's suffix");
  char canonical[64];
  *slot = value_string (d->arena, quantity_format (&q, canonical));
  return *slot ? 0 : err_set (d->err, ERR_NOMEM, "decode object");
}

static bool
duration_ok (const char *s)
{
  static const char *const units[] = { "ns", "us", "µs", "ms", "s", "m", "h", NULL };
  if (*s == '+' || *s == '-')
    s++;
  if (strcmp (s, "0") == 0)
    return true;
  if (!*s)
    return false;
  while (*s) {
    size_t digits = strspn (s, "0123456789"), n = digits;
    if (s[n] == '.') {
      size_t fraction = strspn (s + n + 1, "0123456789");
      digits += fraction;
      n += 1 + fraction;
    }
    if (digits == 0)
      return false;
    s += n;
    size_t u = strcspn (s, "0123456789."), i = 0;
    while (units[i] && (strlen (units[i]) != u || strncmp (units[i], s, u) != 0))
      i++;
    if (!units[i])
      return false;
    s += u;
  }
  return true;
}

static int
decode_int (struct decoder *d, const struct schema_type *owner, const struct schema_field *f, int64_t low, int64_t high,
            struct value **slot, const struct place *at)
{
  struct value *v = *slot;
  if (v->type == VALUE_FLOAT && v->f >= -9.0e18 && v->f <= 9.0e18 && v->f == (double) (int64_t) v->f)
    *slot = v = value_int (d->arena, (int64_t) v->f);
  if (!v)
    return err_set (d->err, ERR_NOMEM, "decode object");
  if (v->type != VALUE_INT || v->i < low || v->i > high)
    return wrong_type (d, owner, f, SCHEMA_ONE, v, at);
  return 0;
}

/* One element that is not null. */
static int
decode_scalar (struct decoder *d, const struct schema_type *owner, const struct schema_field *f, struct value **slot,
               const struct place *at)
{
  struct value *v = *slot;
  switch ((enum schema_scalar) f->scalar) {
  case SCHEMA_STRING:
    return v->type == VALUE_STRING ? 0 : wrong_type (d, owner, f, SCHEMA_ONE, v, at);
  case SCHEMA_BOOL:
    return v->type == VALUE_BOOL ? 0 : wrong_type (d, owner, f, SCHEMA_ONE, v, at);
  case SCHEMA_INT32:
    return decode_int (d, owner, f, INT32_MIN, INT32_MAX, slot, at);
  case SCHEMA_INT64:
    return decode_int (d, owner, f, INT64_MIN, INT64_MAX, slot, at);
  case SCHEMA_UINT8:
    return decode_int (d, owner, f, 0, UINT8_MAX, slot, at);
  case SCHEMA_DOUBLE:
    return v->type == VALUE_INT || v->type == VALUE_FLOAT ? 0 : wrong_type (d, owner, f, SCHEMA_ONE, v, at);
  case SCHEMA_BYTES:
    return v->type == VALUE_STRING ? decode_bytes (d, v) : wrong_type (d, owner, f, SCHEMA_ONE, v, at);
  case SCHEMA_TIME:
  case SCHEMA_MICRO_TIME:
    return v->type == VALUE_STRING ? decode_time (d, f->scalar == SCHEMA_MICRO_TIME, slot) : wrong_type (d, owner, f, SCHEMA_ONE, v, at);
  case SCHEMA_QUANTITY:
    return decode_quantity (d, owner, f, slot, at);
  case SCHEMA_INT_OR_STRING:
    return v->type == VALUE_STRING ? 0 : decode_int (d, owner, f, INT32_MIN, INT32_MAX, slot, at);
  case SCHEMA_DURATION:
    if (v->type != VALUE_STRING)
      return wrong_type (d, owner, f, SCHEMA_ONE, v, at);
    return duration_ok (v->s) ? 0 : err_set (d->err, ERR_PARSE, "time: invalid duration \"%.100s\"", v->s);
  case SCHEMA_RAW:
    return 0;
  case SCHEMA_FIELDS_V1:
    return v->type == VALUE_MAP ? 0 : wrong_type (d, owner, f, SCHEMA_ONE, v, at);
  case SCHEMA_STRUCT:
    if (v->type != VALUE_MAP)
      return wrong_type (d, owner, f, SCHEMA_ONE, v, at);
    return decode_struct (d, f->type, v, at);
  }
  return err_set (d->err, ERR_INTERNAL, "field %s has no known scalar", f->name);
}

/* null inside a list or a map is the zero value of the element, as in Go. */
static struct value *
zero_element (struct arena *a, const struct schema_field *f)
{
  switch ((enum schema_scalar) f->scalar) {
  case SCHEMA_STRING:
  case SCHEMA_BYTES:
  case SCHEMA_DURATION:
    return value_string (a, "");
  case SCHEMA_QUANTITY:
    return value_string (a, "0");
  case SCHEMA_BOOL:
    return value_bool (a, false);
  case SCHEMA_INT32:
  case SCHEMA_INT64:
  case SCHEMA_UINT8:
  case SCHEMA_DOUBLE:
  case SCHEMA_INT_OR_STRING:
    return value_int (a, 0);
  case SCHEMA_STRUCT:
  case SCHEMA_FIELDS_V1:
    return value_map (a);
  default:
    return value_null (a);
  }
}

static int
decode_one (struct decoder *d, const struct schema_type *owner, const struct schema_field *f, struct value **slot,
            const struct place *at)
{
  if ((*slot)->type == VALUE_NULL) {
    *slot = zero_element (d->arena, f);
    if (!*slot)
      return err_set (d->err, ERR_NOMEM, "decode object");
    if ((*slot)->type == VALUE_NULL)
      return 0;
  }
  return decode_scalar (d, owner, f, slot, at);
}

static int
decode_field (struct decoder *d, const struct schema_type *owner, const struct schema_field *f, struct value **slot,
              const struct place *at)
{
  struct value *v = *slot;
  int r;
  if (f->shape == SCHEMA_ONE)
    return decode_scalar (d, owner, f, slot, at);
  if (f->shape == SCHEMA_LIST) {
    if (v->type != VALUE_ARRAY)
      return wrong_type (d, owner, f, SCHEMA_LIST, v, at);
    for (uint32_t i = 0; i < v->len; i++) {
      struct place item = { at, NULL, 0, i };
      if ((r = decode_one (d, owner, f, &v->items[i], &item)) != 0)
        return r;
    }
    return 0;
  }
  if (v->type != VALUE_MAP)
    return wrong_type (d, owner, f, SCHEMA_MAP, v, at);
  for (uint32_t i = 0; i < v->len; i++) {
    struct place item = { at, v->members[i].key, v->members[i].key_len, 0 };
    if ((r = decode_one (d, owner, f, &v->members[i].value, &item)) != 0)
      return r;
  }
  return 0;
}

/* What Go's omitempty leaves out when the field is written again. Structs are never left out, nor times that are set. */
static bool
left_out (const struct schema_field *f, const struct value *v)
{
  if (!(f->flags & SCHEMA_OMITEMPTY))
    return false;
  if (f->shape != SCHEMA_ONE)
    return v->len == 0;
  if (f->flags & SCHEMA_POINTER)
    return false;
  switch ((enum schema_scalar) f->scalar) {
  case SCHEMA_STRING:
  case SCHEMA_BOOL:
  case SCHEMA_INT32:
  case SCHEMA_INT64:
  case SCHEMA_UINT8:
  case SCHEMA_DOUBLE:
  case SCHEMA_BYTES:
    return value_is_empty (v);
  default:
    return false;
  }
}

static bool
type_meta (const struct place *at, const struct value_member *m)
{
  return !at && ((m->key_len == 4 && memcmp (m->key, "kind", 4) == 0) || (m->key_len == 10 && memcmp (m->key, "apiVersion", 10) == 0));
}

static int
decode_struct (struct decoder *d, const struct schema_type *t, struct value *map, const struct place *at)
{
  if (++d->depth > DECODE_DEPTH_MAX)
    return err_set (d->err, ERR_PARSE, "exceeded max depth");
  uint32_t kept = 0;
  for (uint32_t i = 0; i < map->len; i++) {
    struct value_member m = map->members[i];
    const struct schema_field *f = schema_field_find (t, m.key, m.key_len);
    struct place here = { at, m.key, m.key_len, 0 };
    if (!f && !type_meta (at, &m)) {
      if (!(t->flags & SCHEMA_PRESERVE_UNKNOWN)) {
        note_unknown (d, &here);
        continue;
      }
    } else if (f) {
      bool nullable_raw = f->scalar == SCHEMA_RAW && (f->flags & SCHEMA_NULLABLE);
      if ((f->flags & SCHEMA_FEATURE_OFF) || (m.value->type == VALUE_NULL && !nullable_raw))
        continue;
      int r = m.value->type == VALUE_NULL ? 0 : decode_field (d, t, f, &m.value, &here);
      if (r)
        return r;
      if (left_out (f, m.value))
        continue;
    } else if (m.value->type != VALUE_STRING)
      return err_set (d->err, ERR_PARSE, "json: cannot unmarshal %s into Go struct field %s.%s of type string", json_kind (m.value),
                      t->name, m.key);
    map->members[kept++] = m;
  }
  map->len = kept;
  d->depth--;
  return 0;
}

int
schema_decode (struct arena *a, const struct schema_type *t, struct value *obj, enum schema_unknown mode,
               struct value *ret_unknown, struct err *err)
{
  struct decoder d = { a, mode, ret_unknown, err, 0 };
  if (!obj || obj->type != VALUE_MAP)
    return err_set (err, ERR_PARSE, "json: cannot unmarshal %s into Go value of type %s.%s", obj ? json_kind (obj) : "null",
                    go_package (t->group_version), t->name);
  int r = decode_struct (&d, t, obj, NULL);
  if (r == 0 && !arena_ok (a))
    return err_set (err, ERR_NOMEM, "decode object");
  return r;
}
