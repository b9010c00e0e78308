/* The in-memory bus: many buses on one seeded network with a clock of its own. Nothing happens but in bus_mem_step: the
   same seed and the same calls give the same run, bit for bit. Everything above the vtable (clients, servers, subscriptions with
   their recovery) is the code that runs over ZeroMQ. One thread.

   Connections are made when the server is there and not cut off, and are lost when it goes; on a connection messages keep their order
   unless a fault says otherwise. */
#ifndef BUS_MEM_H
#define BUS_MEM_H

#include "bus/bus.h"

struct bus_mem_network;
struct bus_mem_network *bus_mem_network_new (uint64_t seed); /* NULL: out of memory */
void bus_mem_network_free (struct bus_mem_network *n);       /* after its buses; NULL allowed */

/* A bus with this identity. loop: what bus_loop answers, may be NULL; timers of the bus run on the network's clock. */
struct bus *bus_mem_new (struct bus_mem_network *n, struct loop *loop, const char *name, const char *user, const char *groups,
                         struct err *err);

struct bus_mem_faults { /* chances in a million, for each message and each receiver */
  uint32_t publish_drop, publish_duplicate, publish_reorder;
  uint32_t request_drop, request_duplicate, request_reorder; /* requests and replies */
  uint32_t delay_min_us, delay_max_us;                       /* on the way; both 0: 100..1000 */
  uint32_t reorder_max_us;                                   /* further delay of a reordered one; 0: 50000 */
};
void bus_mem_set_faults (struct bus_mem_network *n, const struct bus_mem_faults *faults);
/* Cuts (or mends) the connections between two identities. Each end notices as by missed heartbeats, 3 s later; what
   is sent meanwhile is lost. */
void bus_mem_cut (struct bus_mem_network *n, const char *name, const char *other, bool cut);

mono_t bus_mem_now (const struct bus_mem_network *n);
uint64_t bus_mem_random (struct bus_mem_network *n);
bool bus_mem_step (struct bus_mem_network *n);              /* the next event; false: nothing will ever happen */
void bus_mem_run (struct bus_mem_network *n, int64_t ms);   /* everything of the next ms of its clock */
/* base/clock.h reads the network's clock (since 2026-01-01T00:00:00Z) from now on; free gives it back. */
void bus_mem_own_clock (struct bus_mem_network *n);
/* Runs the network from a loop, its clock along with the real one: for tests of what has timers in a loop. */
int bus_mem_drive (struct bus_mem_network *n, struct loop *loop, struct err *err);
/* An event of the simulation itself, delay_ms from now. */
int bus_mem_after (struct bus_mem_network *n, int64_t delay_ms, loop_cb cb, void *arg);

#endif
