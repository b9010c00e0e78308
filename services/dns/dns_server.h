/* Sockets of the DNS server: queries in by UDP and TCP, replies out. What a query's answer is, the handler says. */
#ifndef SERVICES_DNS_DNS_SERVER_H
#define SERVICES_DNS_DNS_SERVER_H

#include "base/loop.h"
#include "services/dns/dns_wire.h"

#define DNS_TCP_MAX 128          /* connections */
#define DNS_TCP_IDLE_S 10
#define DNS_PENDING_MAX 1024     /* requests that wait for upstream */

struct dns_request { /* a parsed query that waits for its reply */
  struct dns_query query; /* raw_question points into this object */
  bool tcp;
};
typedef void (*dns_server_cb) (void *arg, struct dns_request *rq); /* now the handler's until dns_server_reply */
struct dns_server;
struct dns_server *dns_server_new (struct loop *loop, dns_server_cb cb, void *arg, struct err *err);
void dns_server_free (struct dns_server *s); /* outstanding requests may still be replied to, to nobody; NULL allowed */
/* Binds UDP and TCP. port 0: any, the same for both. ERR_BUSY: in use. */
int dns_server_listen (struct dns_server *s, const char *ip, int port, int *ret_port, struct err *err);
void dns_server_reply (struct dns_request *rq, const struct dns_answer *a); /* and frees it */
/* A response from upstream passed on as it is, with the client's id and question. */
void dns_server_pass (struct dns_request *rq, const uint8_t *response, size_t n);

#endif
