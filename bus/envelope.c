#include "bus/envelope.h"

#include "bus/wire.h"

static void
put (msgpack_packer *pk, const char *s, size_t n)
{
  msgpack_pack_str (pk, n);
  msgpack_pack_str_body (pk, s, n);
}

void
envelope_pack (const struct envelope *e, struct buf *out)
{
  msgpack_packer pk;
  wire_packer (&pk, out);
  msgpack_pack_array (&pk, e->type == ENVELOPE_REQUEST ? 8 : 5);
  msgpack_pack_int (&pk, ENVELOPE_VERSION);
  msgpack_pack_int (&pk, e->type);
  msgpack_pack_uint64 (&pk, e->id);
  if (e->type == ENVELOPE_REQUEST) {
    put (&pk, e->method, e->method_len);
    msgpack_pack_int64 (&pk, e->remaining_ms);
    msgpack_pack_uint64 (&pk, e->cause);
    put (&pk, e->trace, e->trace_len);
    put (&pk, e->idempotency, e->idempotency_len);
  } else {
    msgpack_pack_int (&pk, e->code);
    put (&pk, e->text, e->text_len);
  }
}

int
envelope_unpack (const void *data, size_t n, struct envelope *ret, struct err *err)
{
  struct wire w = wire_open (data, n);
  struct envelope e = {0};
  uint32_t count = wire_array (&w);
  uint64_t version = wire_uint (&w);
  int64_t code;
  if (!w.bad && version != ENVELOPE_VERSION)
    return err_set (err, ERR_UNSUPPORTED, "envelope version %llu", (unsigned long long) version);
  e.type = (int) (wire_uint (&w) & 0xff);
  e.id = wire_uint (&w);
  if (e.type == ENVELOPE_REQUEST && count == 8) {
    e.method = wire_text (&w, ENVELOPE_METHOD_MAX, &e.method_len);
    e.remaining_ms = wire_int (&w);
    e.cause = wire_uint (&w);
    e.trace = wire_text (&w, ENVELOPE_TRACE_MAX, &e.trace_len);
    e.idempotency = wire_text (&w, ENVELOPE_IDEMPOTENCY_MAX, &e.idempotency_len);
    w.bad |= e.remaining_ms < 0 || !e.method_len;
  } else if (e.type == ENVELOPE_REPLY && count == 5) {
    code = wire_int (&w);
    e.text = wire_text (&w, ERR_TEXT_SIZE, &e.text_len);
    w.bad |= code > 0 || code < -1000;
    e.code = (int) code;
  } else {
    w.bad = true;
  }
  if (!wire_done (&w))
    return err_set (err, ERR_PARSE, "envelope");
  *ret = e;
  return 0;
}
