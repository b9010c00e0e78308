/* The first frame of every request and reply; the body is the frame after it, as it is. msgpack arrays:
     request [1, 1, id, method, remaining ms, cause, trace, idempotency]
     reply   [1, 2, id, code, text]                 code 0: success */
#ifndef BUS_ENVELOPE_H
#define BUS_ENVELOPE_H

#include "base/buf.h"
#include "base/err.h"

enum { ENVELOPE_VERSION = 1, ENVELOPE_REQUEST = 1, ENVELOPE_REPLY = 2 };
enum { ENVELOPE_METHOD_MAX = 64, ENVELOPE_TRACE_MAX = 128, ENVELOPE_IDEMPOTENCY_MAX = 128, ENVELOPE_MAX = 2048 };

struct envelope { /* strings: not NUL-terminated after unpack, lengths beside them */
  int type;
  uint64_t id;
  const char *method, *trace, *idempotency, *text;
  size_t method_len, trace_len, idempotency_len, text_len;
  int64_t remaining_ms;
  uint64_t cause;
  int code;
};
void envelope_pack (const struct envelope *e, struct buf *out);
/* ERR_UNSUPPORTED: another version; ERR_PARSE: anything else that is not exactly an envelope. */
int envelope_unpack (const void *data, size_t n, struct envelope *ret, struct err *err);

#endif
