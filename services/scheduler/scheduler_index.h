/* The scheduler's index of the cluster: what of nodes, pods, namespaces and disruption budgets matters to a placement,
   kept current change by change. Pure: no I/O, no clock.

   Invariants: a pod that is bound (or assumed) and not ended is in exactly one node's list and charged there; a node named
   by a pod but not (yet) known exists as a ghost, which is never a candidate; every object owns an arena with the parts of
   its tree that it needs. Not thread-safe. */
#ifndef SERVICES_SCHEDULER_SCHEDULER_INDEX_H
#define SERVICES_SCHEDULER_SCHEDULER_INDEX_H

#include "base/map.h"
#include "base/mem.h"
#include "schemas/machinery.h"
#include "schemas/value.h"

/* ---- resources ---- */
#define SCHED_EXTENDED_MAX 64 /* extended resources of one node or pod */
struct sched_extended {
  const char *name;
  int64_t amount;
};
struct sched_resources { /* zeroed: nothing */
  int64_t cpu_milli, memory_bytes, ephemeral_bytes;
  struct sched_extended *extended; /* in the owner's arena */
  size_t n_extended;
};
int64_t sched_extended_of (const struct sched_resources *r, const char *name); /* 0 when absent */
/* What a pod asks for: the larger of (containers and sidecars together) and (the greatest init container with the
   sidecars before it), then the pod-level requests where given, plus overhead. nonzero: containers that ask for no cpu or
   memory count 100m and 200Mi (what scoring uses). (kubernetes: component-helpers/resource.PodRequests) */
void sched_pod_requests (struct arena *a, const struct value *pod, bool nonzero, struct sched_resources *ret);
void sched_resources_add (struct arena *a, struct sched_resources *into, const struct sched_resources *r, int sign); /* 1 or -1 */
void sched_resources_of_list (struct arena *a, const struct value *list, struct sched_resources *ret);

/* ---- objects ---- */
struct sched_port {
  const char *ip, *protocol; /* ip "" or "0.0.0.0": every address */
  int64_t port;
};

struct sched_term { /* one pod (anti-)affinity term */
  const struct selector *selector;           /* never matches when invalid */
  const struct value *namespaces;            /* array or NULL */
  const struct selector *namespace_selector; /* NULL: none */
  const char *topology_key;
  int64_t weight; /* preferred terms */
  bool invalid;
};
struct sched_terms {
  struct sched_term *items;
  size_t count;
};

struct sched_spread { /* one topology spread constraint */
  const struct selector *selector;
  const char *topology_key;
  int64_t max_skew, min_domains;
  bool hard, honor_affinity, honor_taints;
  bool by_owner; /* a default constraint: counts pods of the same controller */
};

struct sched_node;
struct sched_pod {
  struct arena arena;
  const char *key, *namespace_, *name, *uid, *node_name, *nominated;
  const char *scheduler_name, *owner_uid; /* owner_uid: of the controller, "" none */
  const struct value *labels;
  const struct value *spec;               /* the placement fields of it */
  int64_t priority;
  bool terminating, ended, gated, never_preempts;
  const char *start_time;                 /* RFC 3339 or "" */
  struct sched_resources requests;        /* as asked */
  struct sched_resources nonzero;         /* cpu and memory for scores */
  struct sched_port *ports;
  size_t n_ports;
  struct sched_terms affinity, anti_affinity, preferred_affinity, preferred_anti_affinity;
  struct sched_spread *spreads;
  size_t n_spreads;
  const char **images;                    /* normalised names */
  size_t n_images;

  struct sched_node *node;                /* charged here; NULL: pending */
  size_t at;                              /* index in node->pods */
  bool assumed;                           /* charged ahead of the API server's word */
  bool away;                              /* left out for a what-if (preemption) */
};

struct sched_node {
  struct arena arena;
  const char *name;
  bool ghost, unschedulable;
  const struct value *labels, *taints;
  struct sched_resources allocatable;
  int64_t allocatable_pods;
  struct map *images; /* name -> size in bytes as a pointer */

  struct sched_pod **pods;
  size_t n_pods, cap_pods, n_away;
  size_t n_with_affinity, n_with_anti;  /* pods with any affinity; with required anti-affinity */
  struct sched_resources requested;     /* of pods not away */
  int64_t nonzero_cpu_milli, nonzero_memory_bytes;
  size_t at; /* index in index->nodes; ghosts have none */
};

struct sched_namespace {
  struct arena arena;
  const struct value *labels;
};

struct sched_pdb {
  struct arena arena;
  const char *namespace_;
  struct selector *selector;
  const struct value *disrupted;
  int64_t allowed;
};

struct sched {
  struct map *nodes_by_name, *pods, *namespaces, *pdbs;
  struct sched_node **nodes; /* candidates, in no order */
  size_t n_nodes, cap_nodes;
  size_t start;              /* where the search of the next pod begins */
  size_t n_with_affinity, n_with_anti; /* over all nodes */
  struct map *nominated;     /* pod key -> struct sched_pod *, pending ones with a nominated node */
};

struct sched *sched_new (void); /* NULL when out of memory */
void sched_free (struct sched *s);

/* Each takes the object's tree (borrowed) and replaces what was known of it. ERR_NOMEM: the old state stays. */
int sched_set_node (struct sched *s, const struct value *node, struct err *err);
void sched_delete_node (struct sched *s, const char *name);
int sched_set_pod (struct sched *s, const struct value *pod, struct err *err);
void sched_delete_pod (struct sched *s, const char *key);
int sched_set_namespace (struct sched *s, const struct value *ns, struct err *err);
void sched_delete_namespace (struct sched *s, const char *name);
int sched_set_pdb (struct sched *s, const struct value *pdb, struct err *err);
void sched_delete_pdb (struct sched *s, const char *key);

struct sched_pod *sched_pod_get (const struct sched *s, const char *key); /* NULL when unknown */
/* Charges a pending pod to a node before the API server confirms it; forget takes that back. */
int sched_assume (struct sched *s, struct sched_pod *p, const char *node);
void sched_forget (struct sched *s, struct sched_pod *p);

/* What-ifs: takes a charged pod out of its node's account and puts it back. */
void sched_pod_away (struct sched_pod *p);
void sched_pod_back (struct sched_pod *p);

bool sched_toleration_tolerates (const struct value *tolerations, const struct value *taint);
bool sched_tolerates (const struct value *tolerations, const struct value *taint, const char *effect);
const char *sched_label (const struct value *labels, const char *key); /* NULL when absent */

#endif
