/* The store as its clients see it: one key space with revisions, transactions, ranges, leases and the change log.
   A vtable: store_client_new (storage/client.h) speaks to members over the bus, store_mem_new (storage/mem.h) is the same
   state machine in memory, for tests and simulations. Keys and values are opaque.

   Semantics are etcd's: a transaction that changes anything gets the next revision, once; all its changes carry that
   revision; reads are linearizable unless serializable is asked for. The first change gets revision 2.
   Requests are copied before the call returns; results are valid during the callback. Callbacks run in the loop's thread,
   never before the call returns. */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STORE_KEY_MAX 1024            /* bytes */
#define STORE_VALUE_MAX (3u << 20)    /* bytes */
#define STORE_TXN_OPS_MAX 512

enum store_target { STORE_MOD_REVISION, STORE_CREATE_REVISION, STORE_VERSION, STORE_VALUE, STORE_LEASE };
enum store_relation { STORE_EQUAL, STORE_NOT_EQUAL, STORE_GREATER, STORE_LESS };
struct store_compare {
  const char *key;
  enum store_target target;
  enum store_relation relation;
  uint64_t number;   /* for the numeric targets; an absent key has 0 for each */
  const void *value; /* STORE_VALUE */
  size_t value_len;
};

enum store_op_type { STORE_PUT, STORE_DELETE, STORE_RANGE };
struct store_op {
  enum store_op_type type;
  const char *key;
  const char *end;      /* DELETE, RANGE: keys in [key, end); NULL: key alone; STORE_PREFIX: all that begin with key */
  const void *value;    /* PUT */
  size_t value_len;
  uint64_t lease;       /* PUT: 0 none */
  const char *const *index_streams; /* PUT: NULL-terminated, each begins with '@'; NULL: none. Replaces the key's earlier ones */
  uint64_t limit;       /* RANGE: 0 none */
};
#define STORE_PREFIX ((const char *) -1)

struct store_txn {
  const struct store_compare *compares;
  size_t n_compares;
  const struct store_op *then_ops, *else_ops;
  size_t n_then, n_else;
  const char *actor; /* user that makes the change */
  uint64_t cause;    /* revision that led to it; 0: none */
  const char *trace; /* "" or traceparent */
  const char *idempotency; /* a key that was applied already answers with that result; NULL: none */
};

struct store_kv {
  const char *key;
  const uint8_t *value;
  size_t value_len;
  uint64_t create_revision, mod_revision, version, lease;
};
struct store_op_result { /* PUT: the previous kv if any; DELETE and RANGE: what was deleted or found */
  const struct store_kv *kvs;
  size_t n_kvs;
  uint64_t count; /* RANGE: all that match, limit aside; DELETE: deleted */
  bool more;
};
struct store_txn_result {
  bool succeeded;    /* the compares held */
  uint64_t revision; /* of the change, or the current one when nothing changed */
  const struct store_op_result *ops;
  size_t n_ops;
};

struct store_range {
  const char *key, *end; /* as in store_op */
  uint64_t revision;     /* 0: now */
  uint64_t limit;        /* 0: none (bounded by reply size: more is set) */
  bool keys_only, count_only, serializable;
};
struct store_range_result {
  uint64_t revision; /* of the store when it was read */
  const struct store_kv *kvs;
  size_t n_kvs;
  uint64_t count;
  bool more;
};

struct store_status {
  uint64_t member_id, leader_id, term, applied_index, revision, compacted_revision, size_bytes;
  uint32_t n_members;
  const char *member_name, *leader_name;
};

/* err NULL: success. Errors: ERR_COMPACTED, ERR_FUTURE (revisions), ERR_NO_SPACE, ERR_LIMIT, ERR_INVALID, ERR_DENIED,
   ERR_UNAVAILABLE and ERR_TIMEOUT (a write may or may not have been made). */
typedef void (*store_txn_cb) (void *arg, const struct err *err, const struct store_txn_result *r);
typedef void (*store_range_cb) (void *arg, const struct err *err, const struct store_range_result *r);
typedef void (*store_lease_cb) (void *arg, const struct err *err, uint64_t id, int64_t ttl_s);
typedef void (*store_done_cb) (void *arg, const struct err *err, uint64_t revision);
typedef void (*store_status_cb) (void *arg, const struct err *err, const struct store_status *st);

struct store;
struct store_vtable {
  void (*txn) (struct store *s, const struct store_txn *txn, store_txn_cb cb, void *arg);
  void (*range) (struct store *s, const struct store_range *range, store_range_cb cb, void *arg);
  void (*lease_grant) (struct store *s, uint64_t id, int64_t ttl_s, store_lease_cb cb, void *arg); /* id 0: made up */
  void (*lease_keep_alive) (struct store *s, uint64_t id, store_lease_cb cb, void *arg);           /* ERR_NOT_FOUND: expired */
  void (*lease_revoke) (struct store *s, uint64_t id, store_done_cb cb, void *arg);
  void (*compact) (struct store *s, uint64_t revision, store_done_cb cb, void *arg);
  void (*revision) (struct store *s, store_done_cb cb, void *arg); /* linearizable current revision (ReadIndex), cheap */
  void (*status) (struct store *s, store_status_cb cb, void *arg);
  void (*free) (struct store *s);
};
struct store {
  const struct store_vtable *vt;
};

#endif
