/* msgpack array [1, revision, sub, flags, op, key, value, create revision, previous revision, actor, cause, trace, time]. */
#include <string.h>

#include "bus/bus.h"
#include "bus/wire.h"

enum { CHANGE_VERSION = 1, CHANGE_ITEMS = 13, FLAG_LAST = 1, FLAG_MOVED = 2, KEY_MAX = 4096, ACTOR_MAX = 1024, TRACE_MAX = 128 };

void
bus_change_pack (const struct bus_change *c, struct buf *out)
{
  msgpack_packer pk;
  wire_packer (&pk, out);
  msgpack_pack_array (&pk, CHANGE_ITEMS);
  msgpack_pack_int (&pk, CHANGE_VERSION);
  msgpack_pack_uint64 (&pk, c->revision);
  msgpack_pack_uint32 (&pk, c->sub);
  msgpack_pack_int (&pk, (c->last ? FLAG_LAST : 0) | (c->moved ? FLAG_MOVED : 0));
  msgpack_pack_int (&pk, (int) c->op);
  wire_put_text (&pk, c->key);
  wire_put_bytes (&pk, c->value, c->value_len);
  msgpack_pack_uint64 (&pk, c->create_revision);
  msgpack_pack_uint64 (&pk, c->prev_revision);
  wire_put_text (&pk, c->actor);
  msgpack_pack_uint64 (&pk, c->cause);
  wire_put_text (&pk, c->trace);
  msgpack_pack_int64 (&pk, c->time_us);
}

int
bus_change_unpack (const uint8_t *data, size_t n, struct bus_change *ret, struct buf *scratch, struct err *err)
{
  struct wire w = wire_open (data, n);
  struct bus_change c = {0};
  const char *key, *actor, *trace;
  size_t key_len, actor_len, trace_len;
  uint64_t version, flags, op, sub;
  char *at;
  bool counted = wire_array (&w) == CHANGE_ITEMS;
  version = wire_uint (&w);
  if (!w.bad && version != CHANGE_VERSION)
    return err_set (err, ERR_UNSUPPORTED, "change of version %llu", (unsigned long long) version);
  c.revision = wire_uint (&w);
  sub = wire_uint (&w);
  flags = wire_uint (&w);
  op = wire_uint (&w);
  key = wire_text (&w, KEY_MAX, &key_len);
  c.value = wire_bytes (&w, &c.value_len);
  c.create_revision = wire_uint (&w);
  c.prev_revision = wire_uint (&w);
  actor = wire_text (&w, ACTOR_MAX, &actor_len);
  c.cause = wire_uint (&w);
  trace = wire_text (&w, TRACE_MAX, &trace_len);
  c.time_us = wire_int (&w);
  if (!counted || !wire_done (&w) || sub > UINT32_MAX || flags > (FLAG_LAST | FLAG_MOVED) || (op != BUS_PUT && op != BUS_DELETE))
    return err_set (err, ERR_PARSE, "change");
  c.sub = (uint32_t) sub;
  c.last = flags & FLAG_LAST;
  c.moved = flags & FLAG_MOVED;
  c.op = (enum bus_op) op;
  buf_reset (scratch);
  if (!buf_reserve (scratch, key_len + actor_len + trace_len + 3))
    return err_set (err, ERR_NOMEM, "change");
  at = (char *) scratch->data;
  c.key = at;
  memcpy (at, key, key_len);
  at += key_len;
  *at++ = 0;
  c.actor = at;
  memcpy (at, actor, actor_len);
  at += actor_len;
  *at++ = 0;
  c.trace = at;
  memcpy (at, trace, trace_len);
  at += trace_len;
  *at++ = 0;
  scratch->len = (size_t) (at - (char *) scratch->data);
  *ret = c;
  return 0;
}
