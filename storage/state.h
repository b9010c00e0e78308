/* The replicated state machine: MVCC key space, streams, leases and the change log on an engine. Deterministic: the same
   entries in the same order give the same bytes on every member. Everything that an entry changes, the applied index
   included, is one atomic batch, so a replay after a crash applies nothing twice.

   Key spaces (first byte of an engine key):
     'k' key 0 BE64(~mod)   -> flags(1: tombstone) BE64 create, version, lease; value       newest version first
     'c' key                -> BE64 mod, create, version, lease; index streams, each ended by 0
     'g' BE64(rev) BE32(sub)-> stream memberships; a packed bus_change
     'i' stream 0 key       -> ""                       members of an index stream
     's' stream             -> BE64 seq, BE64 revision  the stream's last change
     'l' BE64(lease)        -> BE64 ttl_s;   'L' BE64(lease) key -> ""
     'd' idempotency key    -> a packed result;  'D' BE64(index) -> its idempotency key (the last 10,000 entries)
     'm' name               -> "applied" (BE64 index, term), "revision", "compacted"

   One thread. Reads see everything applied. */
#ifndef STORAGE_STATE_H
#define STORAGE_STATE_H

#include "base/buf.h"
#include "storage/engine.h"
#include "storage/store.h"
#include "storage/wire.h"

#define STATE_FIRST_REVISION 1 /* of the empty store; the first change gets the next */
#define STATE_IDEMPOTENCY_ENTRIES 10000
#define STATE_PAGE_BYTES (4u << 20) /* a reply holds about so much at most */

enum state_command { STATE_TXN = 1, STATE_LEASE_GRANT = 2, STATE_LEASE_REVOKE = 3, STATE_COMPACT = 4 };
/* A command as a Raft entry's data: command(1) BE64 wall time in microseconds (of the leader), BE64 proposer, BE64 ticket
   (the proposer's own), body (storage/wire.h). */
struct state_entry {
  enum state_command command;
  int64_t time_us;
  uint64_t proposer, ticket;
  const uint8_t *body;
  size_t len;
};
void state_entry_pack (const struct state_entry *e, struct buf *out);
int state_entry_unpack (const void *data, size_t n, struct state_entry *ret, struct err *err); /* borrows */

struct state_hooks { /* called after the batch is written, in order */
  void (*change) (void *arg, const char *stream, uint64_t seq, const void *packed, size_t len);
  void *arg;
};
struct state;
/* engine is taken over (freed by state_free, on failure too). ERR_CORRUPT, ERR_IO, ERR_NOMEM. */
int state_open (struct engine *engine, const struct state_hooks *hooks, struct state **ret, struct err *err);
void state_free (struct state *s);
struct engine *state_engine (struct state *s);

uint64_t state_applied_index (const struct state *s);
uint64_t state_applied_term (const struct state *s);
uint64_t state_revision (const struct state *s);
uint64_t state_compacted (const struct state *s);

/* Applies one entry (data NULL or empty: only the index moves). The command's own outcome - result bytes, or an error such as
   ERR_COMPACTED - goes to ret_outcome and ret_reply; the return value is not 0 only when the member cannot go on (I/O,
   corruption, memory): then nothing was applied. ERR_CORRUPT: index does not follow the applied one. */
int state_apply (struct state *s, uint64_t index, uint64_t term, const void *data, size_t n, struct err *ret_outcome,
                 struct buf *ret_reply, struct err *err);
/* Moves the applied index only (membership changes), with what the host wants to keep atomically beside it. */
int state_apply_meta (struct state *s, uint64_t index, uint64_t term, const char *name, const void *value, size_t n, struct err *err);
int state_meta (struct state *s, const char *name, struct buf *ret, struct err *err); /* ERR_NOT_FOUND */

/* Appends a packed result (wire.h). ERR_COMPACTED, ERR_FUTURE. */
int state_range (struct state *s, const struct store_range *r, struct buf *out, struct err *err);
/* Replies of "stream.snapshot" and "stream.changes" (bus.h). */
int state_stream_snapshot (struct state *s, const struct wire_page_request *rq, struct buf *out, struct err *err);
int state_stream_changes (struct state *s, const struct wire_page_request *rq, struct buf *out, struct err *err);
/* The last sequence number and revision of a stream; zeroes when nothing ever changed there. */
int state_stream_position (struct state *s, const char *stream, uint64_t *ret_seq, uint64_t *ret_revision, struct err *err);

struct state_lease {
  uint64_t id;
  int64_t ttl_s;
};
int state_lease_get (struct state *s, uint64_t id, struct state_lease *ret, struct err *err);
/* The first lease with an id above after; ERR_NOT_FOUND at the end. */
int state_lease_next (struct state *s, uint64_t after, struct state_lease *ret, struct err *err);

/* A hash over all key spaces but 'm': equal on members that applied the same entries. */
int state_hash (struct state *s, uint64_t *ret, struct err *err);

#endif
