/* The store in memory: the real state machine on the in-memory engine, with no log and no Raft. For tests and simulations:
   each request is applied in the order of the calls and answered from the loop. */
#ifndef STORAGE_MEM_H
#define STORAGE_MEM_H

#include "base/loop.h"
#include "storage/state.h"
#include "storage/store.h"

/* NULL when out of memory. Freed by store->vt->free; requests that were not answered yet never are. */
struct store *store_mem_new (struct loop *loop);
/* hooks see every change as it is applied (before the answer to its request); they may be set once. */
struct store *store_mem_new_hooked (struct loop *loop, const struct state_hooks *hooks);
struct state *store_mem_state (struct store *s); /* for stream.snapshot and stream.changes, hashes, checks */

#endif
