#include "storage/raft/raft_msg.h"

#include <msgpack.h>

#include "base/mem.h"
#include "storage/raft/raft_conf.h"

/* message:  [type, flags, to, from, term, log term, index, commit, reject hint, ctx, [entry...], snapshot or nil]
   entry:    [index, term, type, data (bin)]
   snapshot: [index, term, membership]
   membership: [[voter...], [outgoing...], [learner...], [next learner...], auto leave (bool)]
   change:   [transition, [[type, id]...], context (bin)] */
enum { MSG_FIELDS = 12, ENTRY_FIELDS = 4, SNAPSHOT_FIELDS = 3, CONF_FIELDS = 5, CHANGE_FIELDS = 3 };
enum { FLAG_REJECT = 1, FLAG_TRANSFER = 2 };

const char *
raft_msg_type_name (enum raft_msg_type type)
{
  static const char *const names[RAFT_MSG_TYPES_] = {
    [RAFT_MSG_HUP] = "MsgHup",
    [RAFT_MSG_BEAT] = "MsgBeat",
    [RAFT_MSG_PROP] = "MsgProp",
    [RAFT_MSG_APP] = "MsgApp",
    [RAFT_MSG_APP_RESP] = "MsgAppResp",
    [RAFT_MSG_VOTE] = "MsgVote",
    [RAFT_MSG_VOTE_RESP] = "MsgVoteResp",
    [RAFT_MSG_SNAP] = "MsgSnap",
    [RAFT_MSG_HEARTBEAT] = "MsgHeartbeat",
    [RAFT_MSG_HEARTBEAT_RESP] = "MsgHeartbeatResp",
    [RAFT_MSG_UNREACHABLE] = "MsgUnreachable",
    [RAFT_MSG_SNAP_STATUS] = "MsgSnapStatus",
    [RAFT_MSG_CHECK_QUORUM] = "MsgCheckQuorum",
    [RAFT_MSG_TRANSFER_LEADER] = "MsgTransferLeader",
    [RAFT_MSG_TIMEOUT_NOW] = "MsgTimeoutNow",
    [RAFT_MSG_READ_INDEX] = "MsgReadIndex",
    [RAFT_MSG_READ_INDEX_RESP] = "MsgReadIndexResp",
    [RAFT_MSG_PRE_VOTE] = "MsgPreVote",
    [RAFT_MSG_PRE_VOTE_RESP] = "MsgPreVoteResp",
  };
  return (unsigned) type < RAFT_MSG_TYPES_ ? names[type] : "?";
}

void
raft_msg_done (struct raft_msg *m)
{
  raft_entries_done (&m->entries);
  free (m->snapshot);
  *m = (struct raft_msg){0};
}

static bool
type_is_local (uint64_t type)
{
  return type == RAFT_MSG_HUP || type == RAFT_MSG_BEAT || type == RAFT_MSG_UNREACHABLE || type == RAFT_MSG_SNAP_STATUS
         || type == RAFT_MSG_CHECK_QUORUM || type >= RAFT_MSG_TYPES_;
}

/* Packing. The buffer remembers its failure, so only the end is checked. */

static int
pack_write (void *data, const char *p, size_t n)
{
  buf_append (data, p, n);
  return 0;
}

static void
pack_bin (msgpack_packer *pk, const struct raft_blob *b)
{
  msgpack_pack_bin (pk, b ? b->len : 0);
  if (b && b->len)
    msgpack_pack_bin_body (pk, b->bytes, b->len);
}

static void
pack_ids (msgpack_packer *pk, const struct raft_ids *ids)
{
  msgpack_pack_array (pk, ids->n);
  for (uint32_t i = 0; i < ids->n; i++)
    msgpack_pack_uint64 (pk, ids->v[i]);
}

static void
pack_conf (msgpack_packer *pk, const struct raft_conf *c)
{
  msgpack_pack_array (pk, CONF_FIELDS);
  pack_ids (pk, &c->voters);
  pack_ids (pk, &c->outgoing);
  pack_ids (pk, &c->learners);
  pack_ids (pk, &c->learners_next);
  if (c->auto_leave)
    msgpack_pack_true (pk);
  else
    msgpack_pack_false (pk);
}

static int
pack_end (const struct buf *out, struct err *err)
{
  return out->failed ? err_set (err, ERR_NOMEM, "encode raft message") : 0;
}

int
raft_msg_encode (const struct raft_msg *m, struct buf *out, struct err *err)
{
  msgpack_packer pk;
  uint64_t fields[] = {m->to, m->from, m->term, m->log_term, m->index, m->commit, m->reject_hint, m->ctx};
  size_t start = out->len;
  if (type_is_local ((uint64_t) m->type))
    return err_set (err, ERR_INVALID, "encode raft message: %s is local", raft_msg_type_name (m->type));
  if (m->entries.n > RAFT_MAX_MESSAGE_ENTRIES)
    return err_set (err, ERR_LIMIT, "encode raft message: %zu entries", m->entries.n);
  msgpack_packer_init (&pk, out, pack_write);
  msgpack_pack_array (&pk, MSG_FIELDS);
  msgpack_pack_uint64 (&pk, (uint64_t) m->type);
  msgpack_pack_uint64 (&pk, (m->reject ? FLAG_REJECT : 0u) | (m->transfer ? FLAG_TRANSFER : 0u));
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    msgpack_pack_uint64 (&pk, fields[i]);
  msgpack_pack_array (&pk, m->entries.n);
  for (size_t i = 0; i < m->entries.n; i++) {
    const struct raft_entry *e = &m->entries.v[i];
    msgpack_pack_array (&pk, ENTRY_FIELDS);
    msgpack_pack_uint64 (&pk, e->index);
    msgpack_pack_uint64 (&pk, e->term);
    msgpack_pack_uint64 (&pk, (uint64_t) e->type);
    pack_bin (&pk, e->data);
  }
  if (m->snapshot) {
    msgpack_pack_array (&pk, SNAPSHOT_FIELDS);
    msgpack_pack_uint64 (&pk, m->snapshot->index);
    msgpack_pack_uint64 (&pk, m->snapshot->term);
    pack_conf (&pk, &m->snapshot->conf);
  } else
    msgpack_pack_nil (&pk);
  if (!out->failed && out->len - start > RAFT_MAX_MESSAGE_BYTES)
    return err_set (err, ERR_LIMIT, "encode raft message: %zu bytes", out->len - start);
  return pack_end (out, err);
}

/* Reading, in place: msgpack-c's unpacker would take memory for a count before it knows that the items are there. */

struct reader {
  const uint8_t *p, *end;
  int rc; /* sticky: ERR_PARSE, ERR_LIMIT or ERR_NOMEM */
};

static void
read_fail (struct reader *rd, int rc)
{
  if (!rd->rc)
    rd->rc = rc;
}

static uint8_t
read_byte (struct reader *rd)
{
  if (rd->rc || rd->p == rd->end) {
    read_fail (rd, ERR_PARSE);
    return 0xc1; /* never a valid type */
  }
  return *rd->p++;
}

static uint64_t
read_be (struct reader *rd, unsigned bytes)
{
  uint64_t v = 0;
  if (rd->rc || (size_t) (rd->end - rd->p) < bytes) {
    read_fail (rd, ERR_PARSE);
    return 0;
  }
  for (unsigned i = 0; i < bytes; i++)
    v = v << 8 | *rd->p++;
  return v;
}

static uint64_t
read_uint (struct reader *rd)
{
  uint8_t t = read_byte (rd);
  if (t < 0x80)
    return t;
  if (t >= 0xcc && t <= 0xcf)
    return read_be (rd, 1u << (t - 0xcc));
  read_fail (rd, ERR_PARSE);
  return 0;
}

/* A count of items that take at least min_bytes each; checked against what is left. */
static uint32_t
read_array (struct reader *rd, uint64_t max, size_t min_bytes)
{
  uint8_t t = read_byte (rd);
  uint64_t n = 0;
  if ((t & 0xf0) == 0x90)
    n = t & 0x0f;
  else if (t == 0xdc || t == 0xdd)
    n = read_be (rd, t == 0xdc ? 2 : 4);
  else
    read_fail (rd, ERR_PARSE);
  if (!rd->rc && n * min_bytes > (size_t) (rd->end - rd->p))
    read_fail (rd, ERR_PARSE);
  if (!rd->rc && n > max)
    read_fail (rd, ERR_LIMIT);
  return rd->rc ? 0 : (uint32_t) n;
}

static void
read_fields (struct reader *rd, uint32_t want)
{
  if (read_array (rd, UINT32_MAX, 1) != want)
    read_fail (rd, ERR_PARSE);
}

static bool
read_bool (struct reader *rd)
{
  uint8_t t = read_byte (rd);
  if (t != 0xc2 && t != 0xc3)
    read_fail (rd, ERR_PARSE);
  return t == 0xc3;
}

static bool
read_nil (struct reader *rd)
{
  if (rd->rc || rd->p == rd->end || *rd->p != 0xc0)
    return false;
  rd->p++;
  return true;
}

/* A new reference, NULL for no bytes and on failure. */
static struct raft_blob *
read_bin (struct reader *rd, uint64_t max)
{
  uint8_t t = read_byte (rd);
  struct raft_blob *b = NULL;
  uint64_t n = 0;
  if (t >= 0xc4 && t <= 0xc6)
    n = read_be (rd, 1u << (t - 0xc4));
  else
    read_fail (rd, ERR_PARSE);
  if (!rd->rc && n > (size_t) (rd->end - rd->p))
    read_fail (rd, ERR_PARSE);
  if (!rd->rc && n > max)
    read_fail (rd, ERR_LIMIT);
  if (rd->rc || n == 0)
    return NULL;
  if (!(b = raft_blob_new (rd->p, n)))
    read_fail (rd, ERR_NOMEM);
  rd->p += n;
  return b;
}

static void
read_ids (struct reader *rd, struct raft_ids *ids)
{
  uint32_t n = read_array (rd, RAFT_MAX_MEMBERS, 1);
  for (uint32_t i = 0; i < n; i++) {
    uint64_t id = read_uint (rd);
    if (i && id <= ids->v[i - 1])
      read_fail (rd, ERR_PARSE);
    if (rd->rc)
      return;
    ids->v[ids->n++] = id;
  }
}

static void
read_conf (struct reader *rd, struct raft_conf *c)
{
  read_fields (rd, CONF_FIELDS);
  read_ids (rd, &c->voters);
  read_ids (rd, &c->outgoing);
  read_ids (rd, &c->learners);
  read_ids (rd, &c->learners_next);
  c->auto_leave = read_bool (rd);
  if (!rd->rc && raft_conf_check (c, NULL))
    read_fail (rd, ERR_PARSE);
}

static void
read_entries (struct reader *rd, struct raft_entries *es)
{
  uint32_t n = read_array (rd, RAFT_MAX_MESSAGE_ENTRIES, 6);
  for (uint32_t i = 0; i < n && !rd->rc; i++) {
    struct raft_entry e = {0};
    uint64_t type;
    read_fields (rd, ENTRY_FIELDS);
    e.index = read_uint (rd);
    e.term = read_uint (rd);
    type = read_uint (rd);
    e.type = type == RAFT_ENTRY_CONF ? RAFT_ENTRY_CONF : RAFT_ENTRY_NORMAL;
    if (type > RAFT_ENTRY_CONF)
      read_fail (rd, ERR_PARSE);
    e.data = read_bin (rd, RAFT_MAX_ENTRY_BYTES);
    if (!rd->rc && raft_entries_push (es, &e))
      read_fail (rd, ERR_NOMEM);
    raft_blob_unref (e.data);
  }
}

static struct raft_snapshot *
read_snapshot (struct reader *rd)
{
  struct raft_snapshot *s;
  if (read_nil (rd) || rd->rc)
    return NULL;
  if (!(s = mem_zalloc (sizeof *s))) {
    read_fail (rd, ERR_NOMEM);
    return NULL;
  }
  read_fields (rd, SNAPSHOT_FIELDS);
  s->index = read_uint (rd);
  s->term = read_uint (rd);
  read_conf (rd, &s->conf);
  return s;
}

static int
read_end (struct reader *rd, const char *what, size_t len, struct err *err)
{
  if (!rd->rc && rd->p != rd->end)
    rd->rc = ERR_PARSE;
  return rd->rc ? err_set (err, rd->rc, "decode %s of %zu bytes: %s", what, len, err_text (rd->rc)) : 0;
}

int
raft_msg_decode (const void *data, size_t len, struct raft_msg *ret, struct err *err)
{
  struct reader rd = {.p = data, .end = (const uint8_t *) data + len};
  struct raft_msg m = {0};
  uint64_t *fields[] = {&m.to, &m.from, &m.term, &m.log_term, &m.index, &m.commit, &m.reject_hint, &m.ctx};
  uint64_t type, flags;
  int rc;
  if (len > RAFT_MAX_MESSAGE_BYTES)
    return err_set (err, ERR_LIMIT, "decode raft message of %zu bytes", len);
  read_fields (&rd, MSG_FIELDS);
  type = read_uint (&rd);
  flags = read_uint (&rd);
  if (type_is_local (type) || flags > (FLAG_REJECT | FLAG_TRANSFER))
    read_fail (&rd, ERR_PARSE);
  else
    m.type = (enum raft_msg_type) type;
  m.reject = flags & FLAG_REJECT;
  m.transfer = flags & FLAG_TRANSFER;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    *fields[i] = read_uint (&rd);
  read_entries (&rd, &m.entries);
  m.snapshot = read_snapshot (&rd);
  if ((rc = read_end (&rd, "raft message", len, err))) {
    raft_msg_done (&m);
    return rc;
  }
  *ret = m;
  return 0;
}

int
raft_conf_change_encode (const struct raft_conf_change *cc, struct raft_blob **ret, struct err *err)
{
  struct buf out AUTO_BUF = BUF_INIT;
  msgpack_packer pk;
  struct raft_blob *b;
  if (cc->n > RAFT_MAX_CHANGES || (cc->context && cc->context->len > RAFT_MAX_CONTEXT_BYTES))
    return err_set (err, ERR_LIMIT, "membership change of %u changes", cc->n);
  if (raft_conf_change_leaves_joint (cc) && !cc->context) {
    *ret = NULL;
    return 0;
  }
  msgpack_packer_init (&pk, &out, pack_write);
  msgpack_pack_array (&pk, CHANGE_FIELDS);
  msgpack_pack_uint64 (&pk, (uint64_t) cc->transition);
  msgpack_pack_array (&pk, cc->n);
  for (uint32_t i = 0; i < cc->n; i++) {
    msgpack_pack_array (&pk, 2);
    msgpack_pack_uint64 (&pk, (uint64_t) cc->changes[i].type);
    msgpack_pack_uint64 (&pk, cc->changes[i].id);
  }
  pack_bin (&pk, cc->context);
  if (out.failed || !(b = raft_blob_new (out.data, out.len)))
    return err_set (err, ERR_NOMEM, "encode membership change");
  *ret = b;
  return 0;
}

int
raft_conf_change_decode (const void *data, size_t len, struct raft_conf_change *ret, struct err *err)
{
  struct reader rd = {.p = data, .end = (const uint8_t *) data + len};
  struct raft_conf_change cc = {0};
  uint64_t transition;
  int rc;
  if (len == 0) {
    *ret = cc;
    return 0;
  }
  read_fields (&rd, CHANGE_FIELDS);
  transition = read_uint (&rd);
  if (transition > RAFT_TRANSITION_JOINT_EXPLICIT)
    read_fail (&rd, ERR_PARSE);
  else
    cc.transition = (enum raft_transition) transition;
  cc.n = read_array (&rd, RAFT_MAX_CHANGES, 3);
  for (uint32_t i = 0; i < cc.n; i++) {
    uint64_t type;
    read_fields (&rd, 2);
    type = read_uint (&rd);
    if (type > RAFT_ADD_LEARNER)
      read_fail (&rd, ERR_PARSE);
    else
      cc.changes[i].type = (enum raft_change_type) type;
    cc.changes[i].id = read_uint (&rd);
  }
  cc.context = read_bin (&rd, RAFT_MAX_CONTEXT_BYTES);
  if ((rc = read_end (&rd, "membership change", len, err))) {
    raft_conf_change_done (&cc);
    return rc;
  }
  *ret = cc;
  return 0;
}

void
raft_conf_change_done (struct raft_conf_change *cc)
{
  raft_blob_unref (cc->context);
  *cc = (struct raft_conf_change){0};
}

int
raft_conf_encode (const struct raft_conf *c, struct buf *out, struct err *err)
{
  msgpack_packer pk;
  msgpack_packer_init (&pk, out, pack_write);
  pack_conf (&pk, c);
  return pack_end (out, err);
}

int
raft_conf_decode (const void *data, size_t len, struct raft_conf *ret, struct err *err)
{
  struct reader rd = {.p = data, .end = (const uint8_t *) data + len};
  struct raft_conf c = {0};
  int rc;
  read_conf (&rd, &c);
  if ((rc = read_end (&rd, "membership", len, err)))
    return rc;
  *ret = c;
  return 0;
}
