#include "storage/client.h"

#include "base/mem.h"
#include "storage/wire.h"

struct store_client {
  struct store base;
  struct bus_client *bus;
};
struct pending {
  union {
    store_txn_cb txn;
    store_range_cb range;
    store_lease_cb lease;
    store_done_cb done;
    store_status_cb status;
  } cb;
  void *arg;
};

static void
got_txn (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct pending *p = arg;
  struct arena a AUTO_ARENA = {0};
  struct store_txn_result r;
  struct err e = {0};
  if (!err && wire_unpack_txn_result (&a, body, len, &r, &e))
    err = &e;
  p->cb.txn (p->arg, err, err ? NULL : &r);
  free (p);
}

static void
got_range (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct pending *p = arg;
  struct arena a AUTO_ARENA = {0};
  struct store_range_result r;
  struct err e = {0};
  if (!err && wire_unpack_range_result (&a, body, len, &r, &e))
    err = &e;
  p->cb.range (p->arg, err, err ? NULL : &r);
  free (p);
}

static void
got_lease (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct pending *p = arg;
  uint64_t v[2] = {0, 0};
  struct err e = {0};
  if (!err && wire_unpack_numbers (body, len, v, 2, &e))
    err = &e;
  p->cb.lease (p->arg, err, v[0], (int64_t) v[1]);
  free (p);
}

static void
got_done (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct pending *p = arg;
  uint64_t revision = 0;
  struct err e = {0};
  if (!err && wire_unpack_numbers (body, len, &revision, 1, &e))
    err = &e;
  p->cb.done (p->arg, err, revision);
  free (p);
}

static void
got_status (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct pending *p = arg;
  struct arena a AUTO_ARENA = {0};
  struct store_status st;
  struct err e = {0};
  if (!err && wire_unpack_status (&a, body, len, &st, &e))
    err = &e;
  p->cb.status (p->arg, err, err ? NULL : &st);
  free (p);
}

static struct pending *
pending_new (void *arg)
{
  struct pending *p = mem_zalloc (sizeof *p);
  if (p)
    p->arg = arg;
  return p;
}

static void
call (struct store *s, const char *method, const struct buf *body, const struct store_txn *txn, bus_reply_cb cb, struct pending *p)
{
  static const struct err nomem = {ERR_NOMEM, "store request: out of memory"};
  struct bus_call c = {.method = method, .body = body->data, .len = body->len, .cause = txn ? txn->cause : 0, .trace = txn ? txn->trace : NULL,
                       .idempotency = txn ? txn->idempotency : NULL};
  if (body->failed)
    cb (p, &nomem, NULL, 0);
  else
    bus_call (((struct store_client *) s)->bus, &c, cb, p);
}

static void
client_txn (struct store *s, const struct store_txn *txn, store_txn_cb cb, void *arg)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct pending *p = pending_new (arg);
  if (!p)
    return;
  p->cb.txn = cb;
  wire_pack_txn (txn, &body);
  call (s, STORE_METHOD_TXN, &body, txn, got_txn, p);
}

static void
client_range (struct store *s, const struct store_range *range, store_range_cb cb, void *arg)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct pending *p = pending_new (arg);
  if (!p)
    return;
  p->cb.range = cb;
  wire_pack_range (range, &body);
  call (s, STORE_METHOD_RANGE, &body, NULL, got_range, p);
}

static void
numbers (struct store *s, const char *method, const uint64_t *v, size_t n, bus_reply_cb cb, struct pending *p)
{
  struct buf body AUTO_BUF = BUF_INIT;
  wire_pack_numbers (v, n, &body);
  call (s, method, &body, NULL, cb, p);
}

static void
client_lease_grant (struct store *s, uint64_t id, int64_t ttl_s, store_lease_cb cb, void *arg)
{
  uint64_t v[2] = {id, (uint64_t) ttl_s};
  struct pending *p = pending_new (arg);
  if (!p)
    return;
  p->cb.lease = cb;
  numbers (s, STORE_METHOD_LEASE_GRANT, v, 2, got_lease, p);
}

static void
client_lease_keep_alive (struct store *s, uint64_t id, store_lease_cb cb, void *arg)
{
  struct pending *p = pending_new (arg);
  if (!p)
    return;
  p->cb.lease = cb;
  numbers (s, STORE_METHOD_LEASE_KEEP_ALIVE, &id, 1, got_lease, p);
}

static void
done_call (struct store *s, const char *method, uint64_t v, store_done_cb cb, void *arg)
{
  struct pending *p = pending_new (arg);
  if (!p)
    return;
  p->cb.done = cb;
  numbers (s, method, &v, 1, got_done, p);
}

static void
client_lease_revoke (struct store *s, uint64_t id, store_done_cb cb, void *arg)
{
  done_call (s, STORE_METHOD_LEASE_REVOKE, id, cb, arg);
}

static void
client_compact (struct store *s, uint64_t revision, store_done_cb cb, void *arg)
{
  done_call (s, STORE_METHOD_COMPACT, revision, cb, arg);
}

static void
client_revision (struct store *s, store_done_cb cb, void *arg)
{
  done_call (s, STORE_METHOD_REVISION, 0, cb, arg);
}

static void
client_status (struct store *s, store_status_cb cb, void *arg)
{
  struct pending *p = pending_new (arg);
  if (!p)
    return;
  p->cb.status = cb;
  numbers (s, STORE_METHOD_STATUS, NULL, 0, got_status, p);
}

static void
client_free (struct store *s)
{
  bus_client_free (((struct store_client *) s)->bus);
  free (s);
}

static const struct store_vtable client_vt = {
    .txn = client_txn, .range = client_range, .lease_grant = client_lease_grant, .lease_keep_alive = client_lease_keep_alive,
    .lease_revoke = client_lease_revoke, .compact = client_compact, .revision = client_revision, .status = client_status, .free = client_free,
};

struct store *
store_client_new (struct bus *b, const char *const *endpoints, size_t n, struct err *err)
{
  struct store_client *c = mem_zalloc (sizeof *c);
  if (!c) {
    err_set (err, ERR_NOMEM, "store client");
    return NULL;
  }
  c->base.vt = &client_vt;
  if (!(c->bus = bus_client_new (b, endpoints, n, err))) {
    free (c);
    return NULL;
  }
  return &c->base;
}
