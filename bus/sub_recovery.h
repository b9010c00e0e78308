/* The decisions of one subscription, apart from sockets, clocks and memory of others: events go in, and out come the
   subscriber's callbacks, queries and the setting of one timer. Driven by subscription.c, and by tests and simulations directly.

   phase     what is awaited                       ends by
   WAIT      the publisher's word that the         answer, or CONFIRM_MS later (a silent loss is found by the sequence)
             subscription stands
   SNAPSHOT  pages                                 the last page; COMPACTED starts again
   CATCHUP   changes after seq                     an answer that reaches what was seen and asked; COMPACTED -> SNAPSHOT
   LIVE      changes                               a gap, a progress message beyond seq, a new connection, long silence -> CATCHUP
   STOPPED   nothing                               (denied, or freed)

   Invariants: seq is the last one delivered; the subscriber sees seq + 1 next or a reset; what arrives too early is kept sorted
   in a bounded buffer and dropped beyond (then fetched). One query is outstanding at most. A subscriber's callback may
   call sub_recovery_stop; nothing is called after it. */
#ifndef BUS_SUB_RECOVERY_H
#define BUS_SUB_RECOVERY_H

#include "base/map.h"
#include "bus/bus.h"
#include "bus/stream.h"

enum {
  SUB_RECOVERY_CONFIRM_MS = 1000,
  SUB_RECOVERY_IDLE_MS = 15000,     /* without a word on a connection that stands: ask */
  SUB_RECOVERY_UNLINKED_MS = 1000,  /* without a connection */
  SUB_RECOVERY_PAUSE_MIN_MS = 10,
  SUB_RECOVERY_PAUSE_MAX_MS = 1000,
  SUB_RECOVERY_BEHIND_MAX = 30,     /* answers in a row that lie before what we have: the store went back, start again */
  SUB_RECOVERY_PAGE = 1000,
  SUB_RECOVERY_BUFFER_MAX = 4096,
  SUB_RECOVERY_BUFFER_BYTES_MAX = 8 << 20,
};

struct sub_recovery_ops {
  void (*ask) (void *arg, const struct stream_query *q, bool changes); /* answered by sub_recovery_page, once */
  void (*timer) (void *arg, int64_t ms);                               /* sets the one timer (again); -1: off */
};
enum sub_recovery_phase { SUB_WAIT, SUB_SNAPSHOT, SUB_CATCHUP, SUB_LIVE, SUB_STOPPED };
struct sub_recovery {
  const struct sub_recovery_ops *ops;
  void *ops_arg;
  const struct bus_subscriber *cb;
  void *cb_arg;
  char stream[STREAM_NAME_MAX + 1];
  enum sub_recovery_phase phase;
  bool linked, answered /* on this connection */, asked, have_seq, in_snapshot, again, heard;
  uint64_t revision;                /* nothing is missing up to it; where to resume when have_seq is not yet set */
  uint64_t seq, highest, asked_seq; /* delivered; seen or told of; delivered when the query was made */
  uint64_t snapshot_revision, snapshot_seq;
  char after[STREAM_KEY_MAX + 1];   /* last key of the snapshot so far */
  unsigned failures, behind;
  struct omap *early;               /* sequence big-endian -> struct early */
  size_t early_bytes;
  struct buf scratch;
};

int sub_recovery_init (struct sub_recovery *r, const char *stream, uint64_t after_revision, const struct sub_recovery_ops *ops,
                       void *ops_arg, const struct bus_subscriber *cb, void *cb_arg, struct err *err);
void sub_recovery_start (struct sub_recovery *r);
void sub_recovery_stop (struct sub_recovery *r);
void sub_recovery_done (struct sub_recovery *r); /* frees what it holds; not from within a callback */

void sub_recovery_link (struct sub_recovery *r, bool up);
void sub_recovery_answer (struct sub_recovery *r, bool allowed);
void sub_recovery_change (struct sub_recovery *r, uint64_t seq, const void *packed, size_t len);
void sub_recovery_progress (struct sub_recovery *r, uint64_t seq, uint64_t revision);
void sub_recovery_page (struct sub_recovery *r, const struct err *err, const void *body, size_t len);
void sub_recovery_timeout (struct sub_recovery *r);

#endif
