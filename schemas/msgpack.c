#include "schemas/msgpack.h"

#include "schemas/value_internal.h"

/* ---- writing: the shortest encoding of each head ---- */

#define HEAD_MAX 9

/* A place for n more bytes of out, or NULL; the caller moves out->len. */
static inline uint8_t *
room (struct buf *out, size_t n)
{
  if (out->failed || ((out->cap - out->len <= n || out->limit_bytes) && !buf_reserve (out, n)))
    return NULL;
  return out->data + out->len;
}

static inline uint8_t *
head (uint8_t *p, uint8_t tag, uint64_t v, int bytes)
{
  *p = tag;
  for (int i = bytes; i > 0; i--, v >>= 8)
    p[i] = (uint8_t) v;
  return p + bytes + 1;
}

static uint8_t *
put_int (uint8_t *p, int64_t i)
{
  if (i >= 0) {
    uint64_t u = (uint64_t) i;
    if (u < 128) {
      *p = (uint8_t) u;
      return p + 1;
    }
    return u <= UINT8_MAX ? head (p, 0xcc, u, 1) : u <= UINT16_MAX ? head (p, 0xcd, u, 2)
         : u <= UINT32_MAX ? head (p, 0xce, u, 4) : head (p, 0xcf, u, 8);
  }
  if (i >= -32) {
    *p = (uint8_t) i;
    return p + 1;
  }
  return i >= INT8_MIN ? head (p, 0xd0, (uint64_t) i, 1) : i >= INT16_MIN ? head (p, 0xd1, (uint64_t) i, 2)
       : i >= INT32_MIN ? head (p, 0xd2, (uint64_t) i, 4) : head (p, 0xd3, (uint64_t) i, 8);
}

static inline uint8_t *
put_count (uint8_t *p, uint8_t fix, uint8_t tag16, uint32_t n)
{
  if (n < 16) {
    *p = (uint8_t) (fix | n);
    return p + 1;
  }
  return n <= UINT16_MAX ? head (p, tag16, n, 2) : head (p, (uint8_t) (tag16 + 1), n, 4);
}

static inline void
pack_string (const char *s, uint32_t n, struct buf *out)
{
  uint8_t *p = room (out, n + (size_t) (n < 32 ? 1 : 5));
  if (!p)
    return;
  if (n < 32)
    *p++ = (uint8_t) (0xa0 | n);
  else
    p = n <= UINT8_MAX ? head (p, 0xd9, n, 1) : n <= UINT16_MAX ? head (p, 0xda, n, 2) : head (p, 0xdb, n, 4);
  memcpy (p, s, n);
  out->len = (size_t) (p - out->data) + n;
}

static void
pack (const struct value *v, struct buf *out, int depth)
{
  uint64_t bits;
  uint8_t *p;
  if (v && v->type == VALUE_STRING) {
    pack_string (v->s, v->len, out);
    return;
  }
  if (depth >= MSGPACK_DEPTH_MAX && (value_is (v, VALUE_ARRAY) || value_is (v, VALUE_MAP)))
    out->failed = true;
  if (!(p = room (out, HEAD_MAX)))
    return;
  switch (v ? v->type : VALUE_NULL) {
  case VALUE_NULL:
    *p++ = 0xc0;
    break;
  case VALUE_BOOL:
    *p++ = v->b ? 0xc3 : 0xc2;
    break;
  case VALUE_INT:
    p = put_int (p, v->i);
    break;
  case VALUE_FLOAT:
    memcpy (&bits, &v->f, sizeof bits);
    p = head (p, 0xcb, bits, 8);
    break;
  case VALUE_ARRAY:
    out->len = (size_t) (put_count (p, 0x90, 0xdc, v->len) - out->data);
    for (uint32_t i = 0; i < v->len; i++)
      pack (v->items[i], out, depth + 1);
    return;
  case VALUE_MAP:
    out->len = (size_t) (put_count (p, 0x80, 0xde, v->len) - out->data);
    for (uint32_t i = 0; i < v->len; i++) {
      pack_string (v->members[i].key, v->members[i].key_len, out);
      pack (v->members[i].value, out, depth + 1);
    }
    return;
  default:
    break;
  }
  out->len = (size_t) (p - out->data);
}

void
value_pack (const struct value *v, struct buf *out)
{
  pack (v, out, 0);
  if (!out->failed)
    out->data[out->len] = 0;
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

/* ---- trees ----
   The packed bytes are copied into the arena once and strings stay where they are. The byte behind a string is the tag
   of what follows: once that is read, it is overwritten with the string's NUL. Nodes of a container lie together. */

struct unpacker {
  struct arena *arena;
  struct msgpack_cursor c;
  struct err *err;
};

static int
nomem (struct unpacker *u)
{
  return err_set (u->err, ERR_NOMEM, "msgpack: no room for the tree");
}

/* The next item; its tag's byte becomes NUL. */
static inline int
take (struct unpacker *u, struct msgpack_item *it)
{
  uint8_t *tag = (uint8_t *) u->c.p; /* our own copy */
  int r;
  if (u->c.p < u->c.end && (*tag & 0xe0) == 0xa0 && (*tag & 31) < u->c.end - u->c.p) { /* short strings: most items */
    it->kind = MSGPACK_STRING;
    it->len = *tag & 31;
    it->s = (const char *) u->c.p + 1;
    u->c.p += it->len + 1;
    *tag = 0;
    return 0;
  }
  if ((r = msgpack_next (&u->c, it, u->err)))
    return r;
  *tag = 0;
  return 0;
}

static int fill (struct unpacker *u, int depth, struct value *v);

static int
fill_array (struct unpacker *u, int depth, uint32_t n, struct value *v)
{
  char *block;
  struct value *nodes;
  *v = (struct value){.type = VALUE_ARRAY};
  if (!n)
    return 0;
  if (!(block = arena_alloc (u->arena, n * (sizeof *v->items + sizeof *v))))
    return nomem (u);
  v->items = (struct value **) block;
  nodes = (struct value *) (block + n * sizeof *v->items);
  for (v->cap = n; v->len < n; v->len++) {
    int r = fill (u, depth + 1, &nodes[v->len]);
    if (r)
      return r;
    v->items[v->len] = &nodes[v->len];
  }
  return 0;
}

static int
fill_map (struct unpacker *u, int depth, uint32_t n, struct value *v)
{
  char *block;
  struct value *nodes;
  const char *twice;
  *v = (struct value){.type = VALUE_MAP};
  if (!n)
    return 0;
  if (!(block = arena_alloc (u->arena, n * (sizeof *v->members + sizeof *v))))
    return nomem (u);
  v->members = (struct value_member *) block;
  nodes = (struct value *) (block + n * sizeof *v->members);
  for (v->cap = n; v->len < n; v->len++) {
    struct value_member *m = &v->members[v->len];
    struct msgpack_item key;
    int r = take (u, &key);
    if (r)
      return r;
    if (key.kind != MSGPACK_STRING)
      return err_set (u->err, ERR_PARSE, "msgpack: a key that is not a string");
    m->key = key.s;
    m->key_len = key.len;
    m->value = &nodes[v->len];
    if ((r = fill (u, depth + 1, m->value)))
      return r;
  }
  if ((twice = value_keys_unique (u->arena, v)))
    return err_set (u->err, ERR_PARSE, "msgpack: duplicate key \"%.100s\"", twice);
  return 0;
}

static int
fill (struct unpacker *u, int depth, struct value *v)
{
  struct msgpack_item it;
  int r = take (u, &it);
  if (r)
    return r;
  if ((it.kind == MSGPACK_ARRAY || it.kind == MSGPACK_MAP) && depth >= MSGPACK_DEPTH_MAX)
    return err_set (u->err, ERR_PARSE, "msgpack: nesting beyond %d", MSGPACK_DEPTH_MAX);
  switch (it.kind) {
  case MSGPACK_NIL:
    *v = (struct value){.type = VALUE_NULL};
    break;
  case MSGPACK_BOOL:
    *v = (struct value){.type = VALUE_BOOL, .b = it.b};
    break;
  case MSGPACK_INT:
    *v = (struct value){.type = VALUE_INT, .i = it.i};
    break;
  case MSGPACK_UINT:
    *v = (struct value){.type = VALUE_FLOAT, .f = (double) it.u};
    break;
  case MSGPACK_FLOAT:
    *v = (struct value){.type = VALUE_FLOAT, .f = it.f};
    break;
  case MSGPACK_STRING:
    *v = (struct value){.type = VALUE_STRING, .len = it.len, .s = (char *) it.s};
    break;
  case MSGPACK_ARRAY:
    return fill_array (u, depth, it.len, v);
  case MSGPACK_MAP:
    return fill_map (u, depth, it.len, v);
  }
  return 0;
}

int
value_unpack (struct arena *a, const void *data, size_t n, struct value **ret, struct err *err)
{
  struct unpacker u = {.arena = a, .err = err};
  struct value *v = arena_alloc (a, sizeof *v);
  char *copy = arena_strndup (a, n ? data : "", n);
  int r;
  if (!v || !copy)
    return nomem (&u);
  u.c = msgpack_open (copy, n);
  r = fill (&u, 0, v);
  if (!r && !arena_ok (a))
    r = nomem (&u);
  if (!r && u.c.p != u.c.end)
    r = err_set (err, ERR_PARSE, "msgpack: %zu trailing bytes", (size_t) (u.c.end - u.c.p));
  if (r == ERR_PARSE)
    return err_wrap (err, "at byte %zu", (size_t) (u.c.p - (const uint8_t *) copy)), ERR_PARSE;
  if (r)
    return r;
  *ret = v;
  return 0;
}
