/* A member of the store: the Raft core, its log, the state machine and the bus put together. One loop thread runs the core and
   the state; a writer thread saves readies to the log, several at once when they queue up (group commit).

   A write is answered after it is applied here as leader: a majority has it on disk. A linearizable read is answered after a
   ReadIndex round that covers all reads waiting. A member that cannot save or apply stops with node_config.failed: it acts as
   crashed and is restarted from its files. */
#ifndef STORAGE_NODE_H
#define STORAGE_NODE_H

#include "bus/bus.h"
#include "storage/raft/raft.h"
#include "storage/state.h"

#define NODE_PENDING_MAX 65536 /* requests that wait for the log or a read round; beyond: ERR_BUSY */

struct node_member {
  uint64_t id;          /* not 0 */
  const char *name;     /* identity on the bus */
  const char *endpoint; /* "NAME@ADDRESS" of its server */
};
struct node_config {
  uint64_t cluster_id, member_id;
  const struct node_member *members; /* the first members, this one included */
  size_t n_members;
  const char *log_dir, *state_dir;
  const char *listen, *publish; /* addresses to bind */
  int64_t tick_ms;              /* 0: 100 */
  /* May this peer do that? Methods as in wire.h, "raft"; streams for the two stream methods and for subscribing. */
  bool (*may_call) (void *arg, const struct bus_peer *peer, const char *method);
  bool (*may_read) (void *arg, const struct bus_peer *peer, const char *stream);
  void (*failed) (void *arg, const struct err *err); /* the member stopped */
  void (*ready) (void *arg);                         /* a leader is known and what it had committed then is applied */
  void *arg;
};
struct node;
int node_open (struct bus *b, const struct node_config *config, struct node **ret, struct err *err);
/* Flushes the state and stops the writer. Requests that wait are answered ERR_CLOSED. NULL allowed. */
void node_free (struct node *n);

#endif
