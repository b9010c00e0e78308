/* The store over the bus: any member answers, writes find the leader by its ERR_NOT_LEADER. */
#ifndef STORAGE_CLIENT_H
#define STORAGE_CLIENT_H

#include "bus/bus.h"
#include "storage/store.h"

/* endpoints "NAME@ADDRESS" of the members. Freed by store->vt->free; outstanding requests end with ERR_CLOSED. */
struct store *store_client_new (struct bus *b, const char *const *endpoints, size_t n, struct err *err);

#endif
