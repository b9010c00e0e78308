/* Requests and results of the store as msgpack arrays: the bodies of bus messages and of Raft entries. Unpacked structs
   point into the arena; every count and length is checked against the limits of storage/store.h. ERR_PARSE, ERR_LIMIT. */
#ifndef STORAGE_WIRE_H
#define STORAGE_WIRE_H

#include "base/buf.h"
#include "base/mem.h"
#include "storage/store.h"

/* Bus methods of a store member; the two of streams are the bus's own ("stream.snapshot", "stream.changes"). */
#define STORE_METHOD_TXN "store.txn"
#define STORE_METHOD_RANGE "store.range"
#define STORE_METHOD_LEASE_GRANT "store.lease-grant"
#define STORE_METHOD_LEASE_KEEP_ALIVE "store.lease-keep-alive"
#define STORE_METHOD_LEASE_REVOKE "store.lease-revoke"
#define STORE_METHOD_COMPACT "store.compact"
#define STORE_METHOD_REVISION "store.revision"
#define STORE_METHOD_STATUS "store.status"

void wire_pack_txn (const struct store_txn *t, struct buf *out);
int wire_unpack_txn (struct arena *a, const void *data, size_t n, struct store_txn *ret, struct err *err);
void wire_pack_range (const struct store_range *r, struct buf *out);
int wire_unpack_range (struct arena *a, const void *data, size_t n, struct store_range *ret, struct err *err);

void wire_pack_txn_result (const struct store_txn_result *r, struct buf *out);
int wire_unpack_txn_result (struct arena *a, const void *data, size_t n, struct store_txn_result *ret, struct err *err);
void wire_pack_range_result (const struct store_range_result *r, struct buf *out);
int wire_unpack_range_result (struct arena *a, const void *data, size_t n, struct store_range_result *ret, struct err *err);
void wire_pack_status (const struct store_status *s, struct buf *out);
int wire_unpack_status (struct arena *a, const void *data, size_t n, struct store_status *ret, struct err *err);

/* A few numbers: leases {id, ttl_s}, compaction {revision}, revision {revision}. */
void wire_pack_numbers (const uint64_t *v, size_t n, struct buf *out);
int wire_unpack_numbers (const void *data, size_t n, uint64_t *ret, size_t count, struct err *err);

/* One page of a stream, as bus.h defines it: the request's fields and the reply's head. */
struct wire_page_request {
  const char *stream;
  const char *after; /* snapshot: the last key of the page before, "" for the first */
  uint64_t after_seq; /* changes */
  uint64_t limit, revision;
};
int wire_unpack_page_request (struct arena *a, const void *data, size_t n, struct wire_page_request *ret, struct err *err);

#endif
