/* Objects as msgpack. Reading is by a bounded cursor of our own, in place (msgpack-c refuses more than 32 nested
   containers, and a CustomResourceDefinition reaches 31). Writing gives one canonical form: shortest encodings, map
   order as in the tree. */
#ifndef SCHEMAS_MSGPACK_H
#define SCHEMAS_MSGPACK_H

#include "base/buf.h"
#include "schemas/value.h"

#define MSGPACK_DEPTH_MAX 520 /* whatever json_parse accepts (512), in an envelope */

/* Appends v (NULL: nil) to out; failure (nesting beyond MSGPACK_DEPTH_MAX too) is out->failed. */
void value_pack (const struct value *v, struct buf *out);
/* The tree of exactly n bytes. *ret is written on success only. ERR_PARSE with the offset: truncated, trailing bytes,
   nesting beyond MSGPACK_DEPTH_MAX, a count that cannot fit in the bytes left, a map key that is not a string, a
   duplicate key, an ext type; ERR_NOMEM. bin is read as a string. */
int value_unpack (struct arena *a, const void *data, size_t n, struct value **ret, struct err *err);

/* A cursor over packed bytes, for reading a few fields without building a tree. */
struct msgpack_cursor {
  const uint8_t *p, *end;
  int depth;
};
enum msgpack_kind { MSGPACK_NIL, MSGPACK_BOOL, MSGPACK_INT, MSGPACK_UINT, MSGPACK_FLOAT, MSGPACK_STRING, MSGPACK_ARRAY, MSGPACK_MAP };
struct msgpack_item {
  enum msgpack_kind kind;
  uint32_t len; /* string bytes, array items, map members */
  union {
    bool b;
    int64_t i;
    uint64_t u; /* MSGPACK_UINT: above INT64_MAX */
    double f;
    const char *s; /* not NUL-terminated, in place */
  };
};
struct msgpack_cursor msgpack_open (const void *data, size_t n);
/* Reads the next item's head (a container's members follow as items). ERR_PARSE. */
int msgpack_next (struct msgpack_cursor *c, struct msgpack_item *ret, struct err *err);
int msgpack_skip (struct msgpack_cursor *c, struct err *err); /* one whole value */
/* Places *ret on the value at "metadata.name" of the map that data holds. ERR_NOT_FOUND when absent, ERR_PARSE. */
int msgpack_seek (const void *data, size_t n, const char *path, struct msgpack_cursor *ret, struct err *err);

#endif
