/* Questions that are not of the cluster, asked of upstream resolvers over UDP, each from a socket (port and id) of its own,
   bounded in number and time. */
#ifndef SERVICES_DNS_DNS_FORWARD_H
#define SERVICES_DNS_DNS_FORWARD_H

#include <sys/socket.h>

#include "base/loop.h"
#include "services/dns/dns_wire.h"

#define DNS_UPSTREAMS_MAX 8
#define DNS_FORWARDS_MAX 512 /* under way */

/* response NULL: nobody answered in time, or too many are under way. Valid during the call; its id is the upstream's. */
typedef void (*dns_forward_cb) (void *arg, const uint8_t *response, size_t n);
struct dns_forward;
struct dns_forward *dns_forward_new (struct loop *loop, struct err *err);
void dns_forward_free (struct dns_forward *f); /* calls back nobody; NULL allowed */
/* ip or ip:port or [ip6]:port. ERR_INVALID, ERR_LIMIT. */
int dns_forward_add (struct dns_forward *f, const char *address, struct err *err);
size_t dns_forward_count (const struct dns_forward *f);
/* The nameservers of a resolv.conf; those at skip (addresses of our own) are left out. */
int dns_forward_read (struct dns_forward *f, const char *path, const char *const *skip, size_t n_skip, struct err *err);
/* Asks; cb is called once, maybe before it returns. */
void dns_forward_ask (struct dns_forward *f, const char *name, uint16_t type, dns_forward_cb cb, void *arg);

#endif
