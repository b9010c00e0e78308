/* What the files of the state machine share. */
#ifndef STORAGE_STATE_INTERNAL_H
#define STORAGE_STATE_INTERNAL_H

#include "base/map.h"
#include "bus/bus.h"
#include "storage/state.h"

struct state_position { /* of a stream */
  uint64_t seq, revision;
};
struct state {
  struct engine *engine;
  struct state_hooks hooks;
  uint64_t applied_index, applied_term, revision, compacted;
  struct map *positions; /* stream -> struct state_position, a bounded cache of the 's' space */
};

/* One key's current state, decoded from 'c'. */
struct state_current {
  uint64_t mod, create, version, lease;
  const char *streams; /* n_streams texts, each ended by 0, inside the record */
  size_t streams_len;
};
void state_key (struct buf *out, char space, const void *key, size_t n); /* resets out */
void state_version_key (struct buf *out, const char *key, uint64_t revision);
/* raw keeps the record alive. ERR_NOT_FOUND. */
int state_current_get (struct state *s, const char *key, struct buf *raw, struct state_current *ret, struct err *err);
/* A version record: false when it is malformed. */
bool state_version_decode (const uint8_t *p, size_t n, bool *ret_tombstone, struct store_kv *ret);

/* The state of a transaction while it is being applied: everything goes to the batch, changes wait for the write. */
struct state_change_out {
  char *stream;
  uint64_t seq;
  struct buf *packed; /* shared by streams of one change; owned by the apply's list */
};
struct state_membership { /* of a change in a stream */
  const char *stream;
  uint64_t seq;
  bool moved; /* the key left this index stream by the change */
  bool last;  /* nothing more of this revision follows there */
};
struct state_pending { /* a change of the entry being applied; all in the arena */
  struct state_pending *next;
  struct bus_change change;
  struct state_membership *in;
  size_t n_in;
};
struct state_apply {
  struct state *s;
  struct engine_batch batch;
  struct arena *arena;
  struct map *positions; /* stream -> struct state_position *, in the arena: new last positions */
  struct state_pending *pending, **pending_tail;
  struct state_change_out *out;
  size_t n_out, cap_out;
  struct buf **packed; /* what out points to */
  size_t n_packed, cap_packed;
  int64_t time_us;
  uint64_t revision; /* the one that this entry's changes carry */
  uint32_t sub;
  struct err *err;
};
int state_apply_txn (struct state_apply *ap, const struct store_txn *t, struct store_txn_result *ret, struct err *outcome);
int state_apply_delete (struct state_apply *ap, const char *key, const struct state_current *cur, const char *actor, uint64_t cause, const char *trace);
int state_apply_emit (struct state_apply *ap); /* after the last change: to the log and the streams */
int state_apply_compact (struct state_apply *ap, uint64_t revision, struct err *outcome);
/* kvs of a range into the arena; revision 0: now. Bounded by limit and bytes. */
struct state_scan {
  const char *key, *end;
  uint64_t revision, limit;
  size_t max_bytes;
  bool keys_only, count_only;
  const char *after; /* begin behind this key; NULL or "": from key */
};
struct state_scan_result {
  struct store_kv *kvs;
  size_t n, cap;
  uint64_t count;
  bool more;
};
int state_scan (struct state *s, const struct state_scan *q, struct arena *a, struct state_scan_result *ret, struct err *err);
/* Which streams a change record belongs to: walks the head of a 'g' record (moved 2, last 4). */
bool state_membership_next (const uint8_t **p, const uint8_t *end, struct state_membership *ret);

#endif
