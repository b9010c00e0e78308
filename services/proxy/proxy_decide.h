/* From one Service and its EndpointSlices to the nftables objects that make it work on this node. Pure. */
#ifndef SERVICES_PROXY_PROXY_DECIDE_H
#define SERVICES_PROXY_PROXY_DECIDE_H

#include "base/mem.h"
#include "schemas/value.h"

#define PROXY_ENDPOINTS_MAX 1024 /* of one service port: more are left out */
#define PROXY_MARK "0x4000"      /* masquerade in postrouting, as kube-proxy's */

struct proxy_config {
  const char *node_name;
  const char *table;        /* of family ip; "kubus" */
  const char *cluster_cidr; /* of the pods; "" unknown */
  bool masquerade_all;      /* bridged replies do not pass NAT (no br_netfilter): all service traffic is masqueraded */
  bool masquerade_pods;     /* pods' traffic to the outside too (a CNI without ipMasq) */
  bool localhost_nodeports; /* node ports answer at 127.0.0.1 as well */
};

/* One element of a named set or map: value NULL in sets. */
struct proxy_element {
  const char *set, *key, *value;
};
struct proxy_chain {
  const char *name;
  const char *rules; /* one a line, without "add rule ip TABLE CHAIN" */
};
struct proxy_set {
  const char *name, *definition; /* "{ type ipv4_addr; ... }" */
};
struct proxy_service { /* everything of one Service; in its own arena */
  struct arena arena;
  struct proxy_chain *chains; /* in an order in which none goes to a later one */
  size_t n_chains;
  struct proxy_set *sets;
  size_t n_sets;
  struct proxy_element *elements;
  size_t n_elements;
  bool has_node_port;
};
/* service NULL (deleted), headless, ExternalName or of another proxy: an empty one. NULL when out of memory. */
struct proxy_service *proxy_decide (const struct proxy_config *config, const struct value *service, const struct value *const *slices, size_t n_slices);
void proxy_service_free (struct proxy_service *s); /* NULL allowed */

#endif
