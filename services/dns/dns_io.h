/* The DNS server as a process: Services, EndpointSlices and Namespaces in, answers out. */
#ifndef SERVICES_DNS_DNS_IO_H
#define SERVICES_DNS_DNS_IO_H

#include "services/common/service.h"

struct dns_options {
  struct service_list addresses, upstreams;
  int64_t port;
  const char *bind_interface, *domain, *resolv_conf;
};
struct dns;
struct dns *dns_open (struct service_context *ctx, struct err *err);
void dns_close (struct dns *d); /* NULL allowed */
int dns_check (const void *options, struct err *err);

#endif
