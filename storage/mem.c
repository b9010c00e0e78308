#include "storage/mem.h"

#include "base/clock.h"
#include "base/mem.h"

struct store_mem {
  struct store base;
  struct loop *loop;
  struct state *state;
  uint64_t index, next_lease;
  bool freed;
  size_t waiting; /* answers that are posted and not given yet */
};

enum answer_kind { ANSWER_TXN, ANSWER_RANGE, ANSWER_LEASE, ANSWER_DONE, ANSWER_STATUS };
struct answer {
  struct store_mem *store;
  enum answer_kind kind;
  union {
    store_txn_cb txn;
    store_range_cb range;
    store_lease_cb lease;
    store_done_cb done;
    store_status_cb status;
  } cb;
  void *arg;
  struct err err; /* code 0: success */
  struct buf reply;
};

static void
store_mem_done (struct store_mem *m)
{
  state_free (m->state);
  free (m);
}

static void
give (struct answer *an)
{
  struct arena a AUTO_ARENA = {0};
  struct err *e = &an->err;
  struct store_txn_result txn = {0};
  struct store_range_result range = {0};
  struct store_status status = {0};
  uint64_t v[2] = {0, 0};
  switch (an->kind) {
  case ANSWER_TXN:
    if (!e->code)
      (void) wire_unpack_txn_result (&a, an->reply.data, an->reply.len, &txn, e);
    an->cb.txn (an->arg, e->code ? e : NULL, e->code ? NULL : &txn);
    break;
  case ANSWER_RANGE:
    if (!e->code)
      (void) wire_unpack_range_result (&a, an->reply.data, an->reply.len, &range, e);
    an->cb.range (an->arg, e->code ? e : NULL, e->code ? NULL : &range);
    break;
  case ANSWER_LEASE:
    if (!e->code)
      (void) wire_unpack_numbers (an->reply.data, an->reply.len, v, 2, e);
    an->cb.lease (an->arg, e->code ? e : NULL, v[0], (int64_t) v[1]);
    break;
  case ANSWER_DONE:
    if (!e->code)
      (void) wire_unpack_numbers (an->reply.data, an->reply.len, v, 1, e);
    an->cb.done (an->arg, e->code ? e : NULL, v[0]);
    break;
  case ANSWER_STATUS:
    if (!e->code)
      (void) wire_unpack_status (&a, an->reply.data, an->reply.len, &status, e);
    an->cb.status (an->arg, e->code ? e : NULL, e->code ? NULL : &status);
    break;
  }
}

static void
deliver (void *arg)
{
  struct answer *an = arg;
  struct store_mem *m = an->store;
  if (!m->freed)
    give (an);
  buf_done (&an->reply);
  free (an);
  if (--m->waiting == 0 && m->freed)
    store_mem_done (m);
}

/* Applies a command, or just answers when command is 0 (reply and err are filled by the caller then). NULL: no memory, and
   the request is lost, as a message would be. */
static struct answer *
answer_new (struct store_mem *m, enum answer_kind kind, void *arg)
{
  struct answer *an = mem_zalloc (sizeof *an);
  if (!an)
    return NULL;
  an->store = m;
  an->kind = kind;
  an->arg = arg;
  return an;
}

static void
answer_post (struct answer *an)
{
  an->store->waiting++;
  if (loop_post (an->store->loop, deliver, an)) {
    an->store->waiting--;
    buf_done (&an->reply);
    free (an);
  }
}

static void
apply (struct store_mem *m, enum state_command command, const struct buf *body, struct answer *an)
{
  struct buf entry AUTO_BUF = BUF_INIT;
  struct state_entry e = {command, wall_now ().us, 0, 0, body->data, body->len};
  struct err err = {0};
  state_entry_pack (&e, &entry);
  if (body->failed || entry.failed)
    err_set (&an->err, ERR_NOMEM, "request");
  else if (state_apply (m->state, ++m->index, 1, entry.data, entry.len, &an->err, &an->reply, &err))
    an->err = err;
  answer_post (an);
}

static void
mem_txn (struct store *s, const struct store_txn *txn, store_txn_cb cb, void *arg)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct answer *an = answer_new ((struct store_mem *) s, ANSWER_TXN, arg);
  if (!an)
    return;
  an->cb.txn = cb;
  wire_pack_txn (txn, &body);
  apply (an->store, STATE_TXN, &body, an);
}

static void
mem_range (struct store *s, const struct store_range *range, store_range_cb cb, void *arg)
{
  struct answer *an = answer_new ((struct store_mem *) s, ANSWER_RANGE, arg);
  if (!an)
    return;
  an->cb.range = cb;
  (void) state_range (an->store->state, range, &an->reply, &an->err);
  answer_post (an);
}

static void
mem_lease_grant (struct store *s, uint64_t id, int64_t ttl_s, store_lease_cb cb, void *arg)
{
  struct store_mem *m = (struct store_mem *) s;
  struct buf body AUTO_BUF = BUF_INIT;
  struct answer *an = answer_new (m, ANSWER_LEASE, arg);
  uint64_t v[2] = {id ? id : ++m->next_lease, (uint64_t) ttl_s};
  if (!an)
    return;
  an->cb.lease = cb;
  wire_pack_numbers (v, 2, &body);
  apply (m, STATE_LEASE_GRANT, &body, an);
}

static void
mem_lease_keep_alive (struct store *s, uint64_t id, store_lease_cb cb, void *arg)
{
  struct answer *an = answer_new ((struct store_mem *) s, ANSWER_LEASE, arg);
  struct state_lease lease;
  if (!an)
    return;
  an->cb.lease = cb;
  if (!state_lease_get (an->store->state, id, &lease, &an->err)) {
    uint64_t v[2] = {id, (uint64_t) lease.ttl_s};
    wire_pack_numbers (v, 2, &an->reply);
  }
  answer_post (an);
}

static void
mem_lease_revoke (struct store *s, uint64_t id, store_done_cb cb, void *arg)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct answer *an = answer_new ((struct store_mem *) s, ANSWER_DONE, arg);
  if (!an)
    return;
  an->cb.done = cb;
  wire_pack_numbers (&id, 1, &body);
  apply (an->store, STATE_LEASE_REVOKE, &body, an);
}

static void
mem_compact (struct store *s, uint64_t revision, store_done_cb cb, void *arg)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct answer *an = answer_new ((struct store_mem *) s, ANSWER_DONE, arg);
  if (!an)
    return;
  an->cb.done = cb;
  wire_pack_numbers (&revision, 1, &body);
  apply (an->store, STATE_COMPACT, &body, an);
}

static void
mem_revision (struct store *s, store_done_cb cb, void *arg)
{
  struct answer *an = answer_new ((struct store_mem *) s, ANSWER_DONE, arg);
  uint64_t revision;
  if (!an)
    return;
  an->cb.done = cb;
  revision = state_revision (an->store->state);
  wire_pack_numbers (&revision, 1, &an->reply);
  answer_post (an);
}

static void
mem_status (struct store *s, store_status_cb cb, void *arg)
{
  struct answer *an = answer_new ((struct store_mem *) s, ANSWER_STATUS, arg);
  struct state *state;
  struct store_status st;
  if (!an)
    return;
  an->cb.status = cb;
  state = an->store->state;
  st = (struct store_status){.member_id = 1, .leader_id = 1, .term = 1, .applied_index = state_applied_index (state), .revision = state_revision (state),
                             .compacted_revision = state_compacted (state), .n_members = 1, .member_name = "memory", .leader_name = "memory",
                             .size_bytes = state_engine (state)->vt->size_bytes (state_engine (state))};
  wire_pack_status (&st, &an->reply);
  answer_post (an);
}

static void
mem_free (struct store *s)
{
  struct store_mem *m = (struct store_mem *) s;
  m->freed = true;
  if (!m->waiting)
    store_mem_done (m);
}

static const struct store_vtable mem_vt = {
    .txn = mem_txn, .range = mem_range, .lease_grant = mem_lease_grant, .lease_keep_alive = mem_lease_keep_alive,
    .lease_revoke = mem_lease_revoke, .compact = mem_compact, .revision = mem_revision, .status = mem_status, .free = mem_free,
};

struct store *
store_mem_new_hooked (struct loop *loop, const struct state_hooks *hooks)
{
  struct store_mem *m = mem_zalloc (sizeof *m);
  struct engine *engine = m ? engine_mem_new () : NULL;
  if (!engine || state_open (engine, hooks, &m->state, NULL)) {
    free (m);
    return NULL;
  }
  m->base.vt = &mem_vt;
  m->loop = loop;
  return &m->base;
}

struct store *
store_mem_new (struct loop *loop)
{
  return store_mem_new_hooked (loop, NULL);
}

struct state *
store_mem_state (struct store *s)
{
  return ((struct store_mem *) s)->state;
}
