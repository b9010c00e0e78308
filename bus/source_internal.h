/* What source.c and subscription.c share. Subscriptions that are freed within a callback are swept when the outermost
   callback has returned: depth counts them. */
#ifndef BUS_SOURCE_INTERNAL_H
#define BUS_SOURCE_INTERNAL_H

#include "bus/bus_internal.h"
#include "bus/sub_recovery.h"

enum { SOURCE_QUERIES_MAX = 64 }; /* outstanding of one source: ten thousand subscriptions do not all ask at once */

struct topic { /* a stream with its subscriptions */
  struct bus_subscription *subscriptions;
  bool confirmed; /* by the publisher, on this connection */
};
struct bus_subscription {
  struct bus_source *source;
  struct topic *topic;
  struct bus_subscription *next;                     /* of the topic */
  struct bus_subscription *wait_prev, *wait_next;    /* of the queue of those that want to ask; next: of the freed */
  struct sub_recovery recovery;
  struct bus_timer *timer;
  struct stream_query *query; /* while waiting */
  bool query_changes, waiting, freed;
  uint64_t call; /* 0: none */
};
struct bus_source {
  struct bus *bus;
  struct bus_source *next;
  struct bus_client *client;
  struct endpoint *members; /* publishers */
  size_t n, current;
  struct port *port;
  struct bus_timer *failover;
  struct map *topics;
  struct bus_subscription *wait_head, *wait_tail, *freed_list;
  size_t queries;
  unsigned depth;
  bool up, freed;
};
void source_leave (struct bus_source *s); /* ends what depth++ began; s may be gone after it */
void source_sweep (struct bus_source *s); /* releases freed subscriptions; depth is 0 */

#endif
