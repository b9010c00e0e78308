/* Answers: content negotiation, headers, and objects in the encoding that was agreed on. */
#ifndef SERVICES_APISERVER_RESPOND_H
#define SERVICES_APISERVER_RESPOND_H

#include "services/apiserver/request.h"

/* Reads Accept (and pretty) into rq->encoding, rq->transform. ERR_UNSUPPORTED: 406. */
int respond_negotiate (struct request *rq, struct err *err);
const char *respond_media_type (const struct request *rq, bool watch);

void respond_status (struct request *rq, int code, const struct value *status);
void respond_tree (struct request *rq, int code, const struct value *v);
/* One object, transformed as asked (Table, PartialObjectMetadata). */
void respond_object (struct request *rq, int code, struct value *obj);
/* The same from packed bytes, without a tree when there is no transform. */
void respond_packed (struct request *rq, int code, const uint8_t *data, size_t len);
void respond_bytes (struct request *rq, int code, const char *media_type, const char *etag, const void *data, size_t len);

/* Streamed answers: headers at once, then chunks; respond_end finishes. */
void respond_start (struct request *rq, int code, const char *media_type);
void respond_chunk (struct request *rq, const void *data, size_t len);
void respond_end (struct request *rq);

/* Appends packed bytes in rq's encoding (JSON or msgpack). */
int respond_encode (const struct request *rq, const uint8_t *data, size_t len, struct buf *out, struct err *err);

/* The tree that rq's transform makes of one object: a row, a PartialObjectMetadata, or obj itself. */
struct value *respond_transformed (struct request *rq, struct value *obj);
struct value *respond_table (struct request *rq, const char *revision); /* without rows */
struct value *respond_row (struct request *rq, struct value *obj);

#endif
