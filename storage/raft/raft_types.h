/* What the Raft core, its storage and its transport pass to each other. Everything here is plain data; the bytes of an
   entry are shared and counted, so a log, a message and a writer's queue may hold the same entry on different threads.

   Words are Raft's (Ongaro and Ousterhout 2014; Ongaro's thesis) and etcd-io/raft's. Index 0 and term 0 mean none. */
#ifndef STORAGE_RAFT_TYPES_H
#define STORAGE_RAFT_TYPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RAFT_NONE UINT64_C (0)                            /* no member, no leader, no vote */
#define RAFT_MAX_MEMBERS 32                               /* voters of both halves and learners together */
#define RAFT_MAX_CHANGES 16                               /* single changes in one configuration change */
#define RAFT_MAX_CONTEXT_BYTES 4096                       /* of a configuration change */
#define RAFT_MAX_ENTRY_BYTES (UINT64_C (64) << 20)        /* data of one entry */
#define RAFT_MAX_MESSAGE_BYTES (UINT64_C (128) << 20)     /* of an encoded message */
#define RAFT_MAX_MESSAGE_ENTRIES 65536
#define RAFT_ENTRY_OVERHEAD_BYTES 32                      /* what an entry counts besides its data */

/* Immutable counted bytes. ref and unref may be called on any thread. */
struct raft_blob {
  atomic_uint refs;
  uint32_t len;
  uint8_t bytes[];
};
struct raft_blob *raft_blob_new (const void *data, size_t len); /* data NULL: uninitialised; NULL when out of memory */
struct raft_blob *raft_blob_ref (struct raft_blob *b);          /* NULL in gives NULL out */
void raft_blob_unref (struct raft_blob *b);                     /* NULL allowed */

enum raft_entry_type {
  RAFT_ENTRY_NORMAL = 0, /* empty data: a new leader's first entry, nothing to apply */
  RAFT_ENTRY_CONF = 1,   /* data: an encoded struct raft_conf_change (raft_msg.h); empty data: leave the joint one */
};

struct raft_entry {
  uint64_t index, term;
  enum raft_entry_type type;
  struct raft_blob *data; /* NULL: empty */
};
static inline size_t
raft_entry_data_bytes (const struct raft_entry *e)
{
  return e->data ? e->data->len : 0;
}
static inline size_t
raft_entry_size_bytes (const struct raft_entry *e)
{
  return RAFT_ENTRY_OVERHEAD_BYTES + raft_entry_data_bytes (e);
}

/* A growable array of entries that owns one reference to each entry's data. */
struct raft_entries {
  struct raft_entry *v;
  size_t n, cap;
};
/* Appends a copy of *e and takes a reference of its own to its data. 0 or ERR_NOMEM. */
int raft_entries_push (struct raft_entries *es, const struct raft_entry *e);
int raft_entries_append (struct raft_entries *es, const struct raft_entry *v, size_t n); /* all or none */
void raft_entries_drop_front (struct raft_entries *es, size_t n);
void raft_entries_truncate (struct raft_entries *es, size_t n); /* keeps the first n */
void raft_entries_done (struct raft_entries *es);               /* empty and usable again */
size_t raft_entries_data_bytes (const struct raft_entries *es);

/* Term, vote and commit: what a member may not forget. Term and vote must be durable before a message that depends on
   them leaves; commit may be lost (it only saves work after a restart). */
struct raft_hard_state {
  uint64_t term, vote, commit;
};
static inline bool
raft_hard_state_equal (const struct raft_hard_state *a, const struct raft_hard_state *b)
{
  return a->term == b->term && a->vote == b->vote && a->commit == b->commit;
}

/* An ordered set of members. */
struct raft_ids {
  uint32_t n;
  uint64_t v[RAFT_MAX_MEMBERS]; /* ascending */
};
bool raft_ids_has (const struct raft_ids *ids, uint64_t id);
bool raft_ids_add (struct raft_ids *ids, uint64_t id); /* false when full; adding twice is true */
void raft_ids_remove (struct raft_ids *ids, uint64_t id);
bool raft_ids_equal (const struct raft_ids *a, const struct raft_ids *b);

/* A membership (etcd's ConfState). Joint while outgoing is not empty: then both halves must agree.
   Invariants: voters and learners are disjoint; learners_next is a subset of outgoing; without outgoing there are no
   learners_next and no auto_leave. */
struct raft_conf {
  struct raft_ids voters;
  struct raft_ids outgoing;      /* the voters that a joint configuration is leaving */
  struct raft_ids learners;
  struct raft_ids learners_next; /* outgoing voters that become learners when the joint configuration is left */
  bool auto_leave;
};
bool raft_conf_equal (const struct raft_conf *a, const struct raft_conf *b);
bool raft_conf_member (const struct raft_conf *c, uint64_t id); /* voter of either half, or learner */

/* A change of membership (etcd's ConfChangeV2; thesis 4.3). One simple change is made in one step; several, or a
   transition other than AUTO, go through a joint configuration. No changes and AUTO: leave the joint configuration. */
enum raft_change_type { RAFT_ADD_VOTER = 0, RAFT_REMOVE = 1, RAFT_ADD_LEARNER = 2 };
enum raft_transition {
  RAFT_TRANSITION_AUTO = 0,           /* joint only when needed, then left automatically */
  RAFT_TRANSITION_JOINT_IMPLICIT = 1, /* joint, left automatically */
  RAFT_TRANSITION_JOINT_EXPLICIT = 2, /* joint until an empty change is proposed */
};
struct raft_conf_change {
  enum raft_transition transition;
  uint32_t n;
  struct {
    enum raft_change_type type;
    uint64_t id;
  } changes[RAFT_MAX_CHANGES];
  struct raft_blob *context; /* opaque to Raft, at most RAFT_MAX_CONTEXT_BYTES; NULL: none */
};

/* What a snapshot stands for. Its content is the store's checkpoint at index; carrying it is the transport's matter. */
struct raft_snapshot {
  uint64_t index, term; /* of the last entry that it covers */
  struct raft_conf conf; /* in force at index */
};

#endif
