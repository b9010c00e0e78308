/* Kubernetes' protobuf, read by the tables: "k8s\0" and a runtime.Unknown around the message. Clients that are typed (client-go,
   parts of kubectl) send it; we answer JSON, which their Accept allows.
   Rules: k8s.io/apimachinery runtime/generated.proto, and gogoproto's of the API's own types: maps are repeated {1: key, 2: value};
   Quantity, Time, MicroTime, Duration, IntOrString, RawExtension and FieldsV1 are messages of their own. */
#ifndef SCHEMAS_PROTOBUF_H
#define SCHEMAS_PROTOBUF_H

#include "schemas/schema.h"

#define PROTOBUF_MEDIA_TYPE "application/vnd.kubernetes.protobuf"

/* The tree of a body, with apiVersion and kind set. ERR_PARSE: malformed, nested beyond 100; ERR_UNSUPPORTED: a kind that the tables do
   not know; ERR_NOMEM. Unknown field numbers are passed over, as protobuf does. */
int protobuf_decode (struct arena *a, const void *data, size_t n, struct value **ret, struct err *err);
/* One message of a known type, without the envelope. */
int protobuf_decode_message (struct arena *a, const struct schema_type *t, const void *data, size_t n, struct value **ret, struct err *err);

#endif
