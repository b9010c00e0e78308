/* What the files of a member share. */
#ifndef STORAGE_NODE_INTERNAL_H
#define STORAGE_NODE_INTERNAL_H

#include <pthread.h>
#include <bsd/sys/queue.h>

#include "base/map.h"
#include "base/mem.h"
#include "storage/log.h"
#include "storage/node.h"

struct node_request { /* waits for its entry to be applied, or for a read round */
  struct bus_request *rq;
  enum { NODE_ENTRY, NODE_RANGE, NODE_REVISION, NODE_SNAPSHOT } kind;
  uint64_t ticket;
  uint64_t term; /* of the proposal */
  TAILQ_ENTRY (node_request) link;
};
TAILQ_HEAD (node_requests, node_request);

struct node_save { /* a ready on its way through the writer */
  struct node *node;
  struct raft_ready ready;
  STAILQ_ENTRY (node_save) link;
};
STAILQ_HEAD (node_saves, node_save);

struct node_peer {
  uint64_t id;
  struct bus_client *client;
};

struct node_lease {
  uint64_t id;
  int64_t ttl_s;
  mono_t expires;
  bool revoking;
};

struct node {
  struct bus *bus;
  struct loop *loop;
  struct node_config config;
  struct arena arena; /* copies of the configuration's texts */
  struct raft *raft;
  struct log *log;
  struct state *state;
  struct bus_server *server;
  struct bus_publisher *publisher;
  struct node_peer peers[RAFT_MAX_MEMBERS];
  size_t n_peers;
  struct raft_conf conf;
  struct loop_timer *tick;
  bool drain_posted, stopped, crashed, ready_told;

  enum raft_role role;
  uint64_t leader, term;
  bool leading_ready; /* as leader: an entry of our own term is applied */

  struct node_requests entries; /* proposals in the order of their tickets */
  struct node_requests reads;   /* waiting for the next round */
  struct node_requests round;   /* of the round under way */
  size_t n_waiting;
  uint64_t next_ticket, read_ctx, round_started_tick, ticks;
  struct raft_entries proposals; /* of this turn of the loop */

  struct map *leases; /* id in hex -> struct node_lease: deadlines, leader only */
  uint64_t progress_told;
  uint64_t flushed_index, flushing_index; /* the state's durable applied index; being flushed */
  uint64_t last_flush_tick;

  pthread_t writer;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct node_saves queue; /* guarded by lock */
  bool writer_stop, writer_started, want_flush;
};

/* node.c */
void node_drain_soon (struct node *n);
void node_fail (struct node *n, const struct err *err);
bool node_propose (struct node *n, struct bus_request *rq, enum state_command command, const void *body, size_t len);
void node_tell_progress (struct node *n); /* every subscribed stream: complete up to the current revision */
void node_request_end (struct node *n, struct node_request *r); /* frees it; rq must be answered */
/* node_serve.c */
void node_serve (void *arg, struct bus_request *rq);
void node_answer_reads (struct node *n, struct node_requests *list);
void node_fail_requests (struct node *n, struct node_requests *list, int code, const char *text);
const char *node_leader_name (const struct node *n);
/* node_writer.c */
int node_writer_start (struct node *n, struct err *err);
void node_writer_stop (struct node *n);
void node_writer_push (struct node *n, struct node_save *s);
void node_flush_soon (struct node *n);
void node_saved (struct node *n, struct node_saves *done); /* in node.c; called in the loop */
/* node_lease.c */
void node_leases_reload (struct node *n); /* on becoming leader */
void node_leases_tick (struct node *n);
bool node_lease_renew (struct node *n, uint64_t id, int64_t ttl_s);

#endif
