#include "schemas/json.h"
#include "schemas/json_internal.h"
#include "schemas/msgpack.h"

struct writer {
  struct msgpack_cursor c;
  struct buf *out;
  int indent;
  struct err *err;
};

static int write_item (struct writer *w, int depth);

static int
write_array (struct writer *w, uint32_t n, int depth)
{
  json_put (w->out, '[');
  for (uint32_t i = 0; i < n; i++) {
    int r;
    if (i)
      json_put (w->out, ',');
    if (w->indent)
      json_write_newline ((depth + 1) * w->indent, w->out);
    if ((r = write_item (w, depth + 1)))
      return r;
  }
  if (w->indent && n)
    json_write_newline (depth * w->indent, w->out);
  json_put (w->out, ']');
  return 0;
}

static int
write_key (struct writer *w)
{
  struct msgpack_item key;
  uint8_t tag = w->c.p < w->c.end ? *w->c.p : 0;
  int r;
  if ((tag & 0xe0) == 0xa0 && (tag & 31) < w->c.end - w->c.p) { /* nearly all keys */
    json_write_string ((const char *) w->c.p + 1, tag & 31, w->out);
    w->c.p += (tag & 31) + 1;
    return 0;
  }
  if ((r = msgpack_next (&w->c, &key, w->err)))
    return r;
  if (key.kind != MSGPACK_STRING)
    return err_set (w->err, ERR_PARSE, "msgpack: a key that is not a string");
  json_write_string (key.s, key.len, w->out);
  return 0;
}

static int
write_map (struct writer *w, uint32_t n, int depth)
{
  json_put (w->out, '{');
  for (uint32_t i = 0; i < n; i++) {
    int r;
    if (i)
      json_put (w->out, ',');
    if (w->indent)
      json_write_newline ((depth + 1) * w->indent, w->out);
    if ((r = write_key (w)))
      return r;
    json_put (w->out, ':');
    if (w->indent)
      json_put (w->out, ' ');
    if ((r = write_item (w, depth + 1)))
      return r;
  }
  if (w->indent && n)
    json_write_newline (depth * w->indent, w->out);
  json_put (w->out, '}');
  return 0;
}

static int
write_item (struct writer *w, int depth)
{
  struct msgpack_item it;
  int r = msgpack_next (&w->c, &it, w->err);
  if (r)
    return r;
  if ((it.kind == MSGPACK_ARRAY || it.kind == MSGPACK_MAP) && depth >= MSGPACK_DEPTH_MAX)
    return err_set (w->err, ERR_PARSE, "msgpack: nesting beyond %d", MSGPACK_DEPTH_MAX);
  switch (it.kind) {
  case MSGPACK_NIL:
    buf_append (w->out, "null", 4);
    break;
  case MSGPACK_BOOL:
    buf_append_str (w->out, it.b ? "true" : "false");
    break;
  case MSGPACK_INT:
    json_write_int (it.i, w->out);
    break;
  case MSGPACK_UINT:
    json_write_uint (it.u, w->out);
    break;
  case MSGPACK_FLOAT:
    json_write_float (it.f, w->out);
    break;
  case MSGPACK_STRING:
    json_write_string (it.s, it.len, w->out);
    break;
  case MSGPACK_ARRAY:
    return write_array (w, it.len, depth);
  case MSGPACK_MAP:
    return write_map (w, it.len, depth);
  }
  return 0;
}

int
json_write_packed (const void *data, size_t n, int indent, struct buf *out, struct err *err)
{
  struct writer w = {msgpack_open (data, n), out, indent, err};
  int r = write_item (&w, 0);
  if (r)
    return r;
  if (w.c.p != w.c.end)
    return err_set (err, ERR_PARSE, "msgpack: %zu trailing bytes", (size_t) (w.c.end - w.c.p));
  if (!out->failed)
    out->data[out->len] = 0;
  return 0;
}
