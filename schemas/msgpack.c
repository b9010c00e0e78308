#include "schemas/msgpack.h"


/* ---- writing: the shortest encoding of each head ---- */

static void
head (struct buf *out, uint8_t tag, uint64_t v, int bytes)
{
  uint8_t b[9];
  b[0] = tag;
  for (int i = bytes; i > 0; i--, v >>= 8)
    b[i] = (uint8_t) v;
  buf_append (out, b, (size_t) bytes + 1);
}

static void
pack_int (int64_t i, struct buf *out)
{
  if (i >= 0) {
    uint64_t u = (uint64_t) i;
    if (u < 128)
      buf_append_byte (out, (uint8_t) u);
    else if (u <= UINT8_MAX)
      head (out, 0xcc, u, 1);
    else if (u <= UINT16_MAX)
      head (out, 0xcd, u, 2);
    else if (u <= UINT32_MAX)
      head (out, 0xce, u, 4);
    else
      head (out, 0xcf, u, 8);
  } else if (i >= -32) {
    buf_append_byte (out, (uint8_t) i);
  } else if (i >= INT8_MIN) {
    head (out, 0xd0, (uint64_t) i, 1);
  } else if (i >= INT16_MIN) {
    head (out, 0xd1, (uint64_t) i, 2);
  } else if (i >= INT32_MIN) {
    head (out, 0xd2, (uint64_t) i, 4);
  } else {
    head (out, 0xd3, (uint64_t) i, 8);
  }
}

static void
pack_string (const char *s, uint32_t n, struct buf *out)
{
  if (n < 32)
    buf_append_byte (out, (uint8_t) (0xa0 | n));
  else if (n <= UINT8_MAX)
    head (out, 0xd9, n, 1);
  else if (n <= UINT16_MAX)
    head (out, 0xda, n, 2);
  else
    head (out, 0xdb, n, 4);
  buf_append (out, s, n);
}

static void
pack_count (uint8_t fix, uint8_t tag16, uint32_t n, struct buf *out)
{
  if (n < 16)
    buf_append_byte (out, (uint8_t) (fix | n));
  else if (n <= UINT16_MAX)
    head (out, tag16, n, 2);
  else
    head (out, (uint8_t) (tag16 + 1), n, 4);
}

void
value_pack (const struct value *v, struct buf *out)
{
  uint64_t bits;
  if (!v) {
    buf_append_byte (out, 0xc0);
    return;
  }
  switch (v->type) {
  case VALUE_NULL:
    buf_append_byte (out, 0xc0);
    break;
  case VALUE_BOOL:
    buf_append_byte (out, v->b ? 0xc3 : 0xc2);
    break;
  case VALUE_INT:
    pack_int (v->i, out);
    break;
  case VALUE_FLOAT:
    memcpy (&bits, &v->f, sizeof bits);
    head (out, 0xcb, bits, 8);
    break;
  case VALUE_STRING:
    pack_string (v->s, v->len, out);
    break;
  case VALUE_ARRAY:
    pack_count (0x90, 0xdc, v->len, out);
    for (uint32_t i = 0; i < v->len; i++)
      value_pack (v->items[i], out);
    break;
  case VALUE_MAP:
    pack_count (0x80, 0xde, v->len, out);
    for (uint32_t i = 0; i < v->len; i++) {
      pack_string (v->members[i].key, v->members[i].key_len, out);
      value_pack (v->members[i].value, out);
    }
    break;
  }
}

/* ---- reading ---- */

struct msgpack_cursor
msgpack_open (const void *data, size_t n)
{
  return (struct msgpack_cursor){.p = data, .end = (const uint8_t *) data + n};
}

static uint64_t
load (const uint8_t *p, int bytes)
{
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++)
    v = v << 8 | p[i];
  return v;
}

static int
truncated (struct err *err)
{
  return err_set (err, ERR_PARSE, "msgpack: truncated");
}

/* Reads a big-endian number of so many bytes after the tag; false when the bytes end before. */
static bool
number (struct msgpack_cursor *c, int bytes, uint64_t *ret)
{
  if (c->end - c->p < bytes)
    return false;
  *ret = load (c->p, bytes);
  c->p += bytes;
  return true;
}

static int
set_string (struct msgpack_cursor *c, uint64_t n, struct msgpack_item *it, struct err *err)
{
  if (n > (uint64_t) (c->end - c->p))
    return truncated (err);
  it->kind = MSGPACK_STRING;
  it->len = (uint32_t) n;
  it->s = (const char *) c->p;
  c->p += n;
  return 0;
}

static int
set_container (struct msgpack_cursor *c, enum msgpack_kind kind, uint64_t n, struct msgpack_item *it, struct err *err)
{
  uint64_t least = kind == MSGPACK_MAP ? 2 * n : n;
  if (least > (uint64_t) (c->end - c->p))
    return err_set (err, ERR_PARSE, "msgpack: a container of %llu elements does not fit", (unsigned long long) n);
  it->kind = kind;
  it->len = (uint32_t) n;
  return 0;
}

static void
set_int (struct msgpack_item *it, int64_t i)
{
  it->kind = MSGPACK_INT;
  it->i = i;
}

int
msgpack_next (struct msgpack_cursor *c, struct msgpack_item *it, struct err *err)
{
  uint64_t n;
  uint8_t tag;
  uint32_t f32;
  float f;
  if (c->p >= c->end)
    return truncated (err);
  tag = *c->p++;
  if (tag < 0x80 || tag >= 0xe0) {
    set_int (it, (int8_t) tag);
    return 0;
  }
  if (tag < 0x90)
    return set_container (c, MSGPACK_MAP, tag & 15, it, err);
  if (tag < 0xa0)
    return set_container (c, MSGPACK_ARRAY, tag & 15, it, err);
  if (tag < 0xc0)
    return set_string (c, tag & 31, it, err);
  switch (tag) {
  case 0xc0:
    it->kind = MSGPACK_NIL;
    return 0;
  case 0xc2:
  case 0xc3:
    it->kind = MSGPACK_BOOL;
    it->b = tag & 1;
    return 0;
  case 0xc4: /* bin 8, 16, 32 */
  case 0xc5:
  case 0xc6:
    return number (c, 1 << (tag - 0xc4), &n) ? set_string (c, n, it, err) : truncated (err);
  case 0xca:
    if (!number (c, 4, &n))
      return truncated (err);
    f32 = (uint32_t) n;
    memcpy (&f, &f32, sizeof f);
    it->kind = MSGPACK_FLOAT;
    it->f = (double) f;
    return 0;
  case 0xcb:
    if (!number (c, 8, &n))
      return truncated (err);
    it->kind = MSGPACK_FLOAT;
    memcpy (&it->f, &n, sizeof it->f);
    return 0;
  case 0xcc:
  case 0xcd:
  case 0xce:
  case 0xcf:
    if (!number (c, 1 << (tag - 0xcc), &n))
      return truncated (err);
    set_int (it, (int64_t) n);
    if (n > INT64_MAX) {
      it->kind = MSGPACK_UINT;
      it->u = n;
    }
    return 0;
  case 0xd0:
  case 0xd1:
  case 0xd2:
  case 0xd3: {
    int bytes = 1 << (tag - 0xd0), shift = 64 - 8 * bytes;
    if (!number (c, bytes, &n))
      return truncated (err);
    set_int (it, (int64_t) (n << shift) >> shift);
    return 0;
  }
  case 0xd9:
  case 0xda:
  case 0xdb:
    return number (c, 1 << (tag - 0xd9), &n) ? set_string (c, n, it, err) : truncated (err);
  case 0xdc:
  case 0xdd:
    return number (c, tag == 0xdc ? 2 : 4, &n) ? set_container (c, MSGPACK_ARRAY, n, it, err) : truncated (err);
  case 0xde:
  case 0xdf:
    return number (c, tag == 0xde ? 2 : 4, &n) ? set_container (c, MSGPACK_MAP, n, it, err) : truncated (err);
  default:
    return err_set (err, ERR_PARSE, "msgpack: type 0x%02x is not used here", tag);
  }
}

int
msgpack_skip (struct msgpack_cursor *c, struct err *err)
{
  uint64_t left = 1; /* values still to pass; nesting needs no stack */
  while (left--) {
    struct msgpack_item it;
    int r = msgpack_next (c, &it, err);
    if (r)
      return r;
    if (it.kind == MSGPACK_ARRAY)
      left += it.len;
    else if (it.kind == MSGPACK_MAP)
      left += 2 * (uint64_t) it.len;
  }
  return 0;
}

int
msgpack_seek (const void *data, size_t n, const char *path, struct msgpack_cursor *ret, struct err *err)
{
  struct msgpack_cursor c = msgpack_open (data, n);
  while (*path) {
    size_t seg = strcspn (path, ".");
    struct msgpack_item it, key;
    int r = msgpack_next (&c, &it, err);
    uint32_t i;
    if (r)
      return r;
    if (it.kind != MSGPACK_MAP)
      return err_set (err, ERR_NOT_FOUND, "msgpack: no \"%s\"", path);
    for (i = 0; i < it.len; i++) {
      if ((r = msgpack_next (&c, &key, err)))
        return r;
      if (key.kind == MSGPACK_STRING && key.len == seg && !memcmp (key.s, path, seg))
        break;
      if (key.kind != MSGPACK_STRING)
        return err_set (err, ERR_PARSE, "msgpack: a key that is not a string");
      if ((r = msgpack_skip (&c, err)))
        return r;
    }
    if (i == it.len)
      return err_set (err, ERR_NOT_FOUND, "msgpack: no \"%s\"", path);
    path += seg + (path[seg] == '.');
  }
  *ret = c;
  return 0;
}

struct unpacker {
  struct arena *arena;
  struct msgpack_cursor c;
  const uint8_t *start;
  struct err *err;
};

static int
nomem (struct unpacker *u)
{
  return err_set (u->err, ERR_NOMEM, "msgpack: no room for the tree");
}

/* True when one of the first n members has the key of the n-th. Small maps compare; large ones sort a copy once. */
static int
key_compare (const void *a, const void *b)
{
  const struct value_member *x = a, *y = b;
  int c = memcmp (x->key, y->key, x->key_len < y->key_len ? x->key_len : y->key_len);
  return c ? c : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static int
check_duplicates (struct unpacker *u, const struct value *map)
{
  struct value_member *sorted AUTO_FREE = NULL;
  if (map->len <= 16) {
    for (uint32_t i = 1; i < map->len; i++)
      for (uint32_t j = 0; j < i; j++)
        if (!key_compare (&map->members[i], &map->members[j]))
          return err_set (u->err, ERR_PARSE, "msgpack: duplicate key \"%.100s\"", map->members[i].key);
    return 0;
  }
  if (!(sorted = malloc (map->len * sizeof *sorted)))
    return nomem (u);
  memcpy (sorted, map->members, map->len * sizeof *sorted);
  qsort (sorted, map->len, sizeof *sorted, key_compare);
  for (uint32_t i = 1; i < map->len; i++)
    if (!key_compare (&sorted[i - 1], &sorted[i]))
      return err_set (u->err, ERR_PARSE, "msgpack: duplicate key \"%.100s\"", sorted[i].key);
  return 0;
}

static int unpack (struct unpacker *u, int depth, struct value **ret);

static int
unpack_map (struct unpacker *u, int depth, uint32_t n, struct value *v)
{
  if (n && !(v->members = arena_alloc (u->arena, n * sizeof *v->members)))
    return nomem (u);
  for (v->cap = n; v->len < n; v->len++) {
    struct value_member *m = &v->members[v->len];
    struct msgpack_item key;
    int r = msgpack_next (&u->c, &key, u->err);
    if (r)
      return r;
    if (key.kind != MSGPACK_STRING)
      return err_set (u->err, ERR_PARSE, "msgpack: a key that is not a string");
    if (!(m->key = arena_strndup (u->arena, key.s, key.len)))
      return nomem (u);
    m->key_len = key.len;
    if ((r = unpack (u, depth + 1, &m->value)))
      return r;
  }
  return check_duplicates (u, v);
}

static int
unpack (struct unpacker *u, int depth, struct value **ret)
{
  struct msgpack_item it;
  struct value *v = NULL;
  int r = msgpack_next (&u->c, &it, u->err);
  if (r)
    return r;
  if (depth >= MSGPACK_DEPTH_MAX)
    return err_set (u->err, ERR_PARSE, "msgpack: nesting beyond %d", MSGPACK_DEPTH_MAX);
  switch (it.kind) {
  case MSGPACK_NIL:
    v = value_null (u->arena);
    break;
  case MSGPACK_BOOL:
    v = value_bool (u->arena, it.b);
    break;
  case MSGPACK_INT:
    v = value_int (u->arena, it.i);
    break;
  case MSGPACK_UINT:
    v = value_float (u->arena, (double) it.u);
    break;
  case MSGPACK_FLOAT:
    v = value_float (u->arena, it.f);
    break;
  case MSGPACK_STRING:
    v = value_string_n (u->arena, it.s, it.len);
    break;
  case MSGPACK_ARRAY:
    if (!(v = value_array (u->arena)))
      return nomem (u);
    if (it.len && !(v->items = arena_alloc (u->arena, it.len * sizeof (struct value *))))
      return nomem (u);
    for (v->cap = it.len; v->len < it.len; v->len++)
      if ((r = unpack (u, depth + 1, &v->items[v->len])))
        return r;
    break;
  case MSGPACK_MAP:
    if (!(v = value_map (u->arena)))
      return nomem (u);
    if ((r = unpack_map (u, depth, it.len, v)))
      return r;
    break;
  }
  if (!v)
    return nomem (u);
  *ret = v;
  return 0;
}

int
value_unpack (struct arena *a, const void *data, size_t n, struct value **ret, struct err *err)
{
  struct unpacker u = {a, msgpack_open (data, n), data, err};
  struct value *v = NULL;
  int r = unpack (&u, 0, &v);
  if (!r && u.c.p != u.c.end)
    r = err_set (err, ERR_PARSE, "msgpack: %zu trailing bytes", (size_t) (u.c.end - u.c.p));
  if (r == ERR_PARSE)
    return err_wrap (err, "at byte %zu", (size_t) (u.c.p - u.start)), ERR_PARSE;
  if (r)
    return r;
  *ret = v;
  return 0;
}
