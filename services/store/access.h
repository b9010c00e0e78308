/* Who may do what at a store member. Rows of one table, matched top down by user and group; a stream pattern may end in '*',
   and "$NODE" stands for the node's name in "system:node:NAME". Everything that no row allows is denied. */
#ifndef SERVICES_STORE_ACCESS_H
#define SERVICES_STORE_ACCESS_H

#include "bus/bus.h"

bool access_may_call (const struct bus_peer *peer, const char *method);
bool access_may_read (const struct bus_peer *peer, const char *stream);

#endif
