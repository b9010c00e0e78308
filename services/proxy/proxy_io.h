/* The proxy as a process: Services and EndpointSlices in, nftables out. */
#ifndef SERVICES_PROXY_PROXY_IO_H
#define SERVICES_PROXY_PROXY_IO_H

#include "services/common/service.h"

struct proxy_options {
  const char *node_name, *table, *cluster_cidr;
  bool masquerade_all, masquerade_pods, localhost_nodeports, cleanup;
};
struct proxy;
struct proxy *proxy_open (struct service_context *ctx, struct err *err);
void proxy_close (struct proxy *p); /* the rules stay; NULL allowed */
int proxy_check (const void *options, struct err *err);
int proxy_cleanup (const char *table, struct err *err); /* removes the table */

#endif
