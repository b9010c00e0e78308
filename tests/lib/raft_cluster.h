/* A cluster of Raft cores in one process, on in-memory logs and a network of encoded messages, with a checker that
   watches every ready: Raft's five invariants (Raft, figure 3), hard state, and linearizable reads. Transcripts drive
   it by hand; the simulator at random. Everything follows from the seed. A broken invariant fails the running test. */
#ifndef TESTS_LIB_RAFT_CLUSTER_H
#define TESTS_LIB_RAFT_CLUSTER_H

#include "base/buf.h"
#include "storage/raft/mem_log.h"
#include "storage/raft/raft.h"

#define CLUSTER_MAX_NODES 7
#define CLUSTER_MAX_READS 64

struct cluster_save { /* a ready whose save is not done */
  struct raft_ready ready;
};

struct cluster_node {
  uint64_t id;
  uint32_t incarnation;
  struct raft *raft; /* NULL: down */
  struct mem_log log; /* survives a crash */
  struct raft_ready *saves;
  size_t save_count, save_cap;
  bool hold_saves; /* saves wait for cluster_save */

  /* The state machine; what is durable of it is durable_applied and log.conf. */
  uint64_t applied, durable_applied;
  struct raft_conf applied_conf;

  struct raft_hard_state seen; /* of the last ready: may not go back */
  uint64_t handed_last;        /* last index handed out to be saved */
  uint64_t leader_term;        /* the term that it leads, 0: none */
  struct raft_read_state reads[CLUSTER_MAX_READS]; /* answered, oldest first */
  size_t read_count;
  size_t normal_applied; /* non-empty entries applied since start */
};

struct cluster_packet {
  uint64_t from, to;
  enum raft_msg_type type;
  struct buf bytes;
};

struct cluster_truth { /* what is known of an index once committed anywhere */
  bool committed;
  uint64_t term, commit_term, hash;
};

struct cluster {
  uint64_t seed, random, steps;
  struct raft_config config; /* id and seed are set per node */
  struct cluster_node nodes[CLUSTER_MAX_NODES + 1]; /* [id]; [0] unused */
  uint32_t node_count;
  struct cluster_packet *net;
  size_t net_count, net_cap;
  bool cut[CLUSTER_MAX_NODES + 1][CLUSTER_MAX_NODES + 1]; /* [from][to] */
  bool (*filter) (void *arg, const struct raft_msg *m);   /* false: lost; NULL: none */
  void *filter_arg;
  uint64_t drop_percent, duplicate_percent;

  struct cluster_truth *truth; /* [index] */
  size_t truth_cap;
  uint64_t max_committed;
  struct {
    uint64_t id;
    uint32_t incarnation;
  } *leaders; /* [term] */
  size_t leaders_cap;
  struct map *entries; /* "index.term" -> predecessor's term and hash */
  struct {
    uint64_t ctx, at_least;
  } *asked; /* reads and the commit index when they were asked */
  size_t asked_count, asked_cap;
  uint64_t next_ctx;
};

/* count nodes with ids 1..count exist; the first `voters` are the membership, the rest wait to be added. */
struct cluster *cluster_new (uint64_t seed, const struct raft_config *config, uint32_t count, uint32_t voters);
void cluster_free (struct cluster *c);
uint64_t cluster_random (struct cluster *c, uint64_t below);

void cluster_start (struct cluster *c, uint64_t id); /* after a crash, or first */
/* Loses everything that is not saved; of the held saves the first `saved` reach the disk (no message leaves, though). */
void cluster_crash (struct cluster *c, uint64_t id, size_t saved);
/* Takes what the core has ready: sends, saves (or holds), applies. */
void cluster_drain (struct cluster *c, uint64_t id);
void cluster_save (struct cluster *c, uint64_t id, size_t count); /* does the oldest held saves */
bool cluster_deliver (struct cluster *c, size_t at);              /* one packet; false: no such */
/* Drains and delivers in order until nothing moves. Held saves stay held. */
void cluster_settle (struct cluster *c);
void cluster_tick (struct cluster *c, uint64_t id, uint32_t n); /* and settles after each */
void cluster_tick_all (struct cluster *c, uint32_t n);
void cluster_clear_net (struct cluster *c);

void cluster_isolate (struct cluster *c, uint64_t id);
void cluster_cut (struct cluster *c, uint64_t a, uint64_t b); /* both ways */
void cluster_heal (struct cluster *c);

void cluster_campaign (struct cluster *c, uint64_t id);                      /* and settles */
int cluster_propose (struct cluster *c, uint64_t id, const char *text);      /* and drains */
int cluster_change (struct cluster *c, uint64_t id, const struct raft_conf_change *cc);
uint64_t cluster_read (struct cluster *c, uint64_t id);                      /* its ctx; 0: refused */
bool cluster_read_done (struct cluster *c, uint64_t id, uint64_t ctx, uint64_t *ret_index);
/* The node that leads the highest term; 0: nobody. */
uint64_t cluster_leader (struct cluster *c);
struct raft_status *cluster_status (struct cluster *c, uint64_t id); /* valid until the next call */
uint64_t cluster_term_at (struct cluster *c, uint64_t id, uint64_t index); /* of the durable log; 0: none */

/* Makes the applied state durable, a snapshot of it, and compacts the log up to keep entries before it. */
void cluster_snapshot (struct cluster *c, uint64_t id, uint64_t keep);

#endif
