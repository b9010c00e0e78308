/* Writing protobuf's wire format: only what openapi.v2.Document needs (strings, booleans, messages). Messages are written into a
   buffer of their own and then put into their parent, because their length comes first. */
#ifndef SCHEMAS_PROTOBUF_WRITE_H
#define SCHEMAS_PROTOBUF_WRITE_H

#include "base/buf.h"

void protobuf_string (struct buf *out, unsigned field, const char *s); /* NULL: nothing */
void protobuf_bytes (struct buf *out, unsigned field, const void *p, size_t n);
void protobuf_bool (struct buf *out, unsigned field, bool b);          /* false: nothing, as proto3 */
void protobuf_message (struct buf *out, unsigned field, struct buf *message); /* takes the bytes, frees message */

#endif
