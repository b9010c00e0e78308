#include "services/proxy/proxy_decide.h"

#include <arpa/inet.h>

#include "base/buf.h"
#include "base/map.h"

#define AFFINITY_SECONDS_DEFAULT 10800

struct endpoint {
  const char *ip; /* borrowed from the slice */
  int64_t port;
  bool local, ready, serving;
};
struct endpoints {
  struct endpoint *items;
  size_t count;
};

struct build {
  const struct proxy_config *config;
  struct proxy_service *out;
  struct arena *a;
  const struct value *service;
  const char *ns, *name;
  size_t cap_chains, cap_sets, cap_elements;
};

static void *
grow (struct build *b, void *items, size_t count, size_t *cap, size_t size)
{
  size_t more = *cap ? *cap * 2 : 8;
  void *p;
  if (count < *cap)
    return items;
  p = arena_alloc (b->a, more * size);
  if (p && count)
    memcpy (p, items, count * size);
  *cap = p ? more : *cap;
  return p;
}

static void
add_chain (struct build *b, const char *name, const struct buf *rules)
{
  struct proxy_chain *p = grow (b, b->out->chains, b->out->n_chains, &b->cap_chains, sizeof *p);
  if (!p)
    return;
  b->out->chains = p;
  p[b->out->n_chains++] = (struct proxy_chain){ name, arena_strdup (b->a, buf_cstr (rules)) };
}

static void
add_set (struct build *b, const char *name, const char *definition)
{
  for (size_t i = 0; name && i < b->out->n_sets; i++)
    if (!strcmp (b->out->sets[i].name, name))
      return; /* the cluster's and the outside's chains share their clients */
  struct proxy_set *p = grow (b, b->out->sets, b->out->n_sets, &b->cap_sets, sizeof *p);
  if (!p)
    return;
  b->out->sets = p;
  p[b->out->n_sets++] = (struct proxy_set){ name, definition };
}

static void
add_element (struct build *b, const char *set, const char *key, const char *value)
{
  struct proxy_element *p = grow (b, b->out->elements, b->out->n_elements, &b->cap_elements, sizeof *p);
  if (!p)
    return;
  b->out->elements = p;
  p[b->out->n_elements++] = (struct proxy_element){ set, key, value };
}

/* What an nft script may name: no text of an object enters it but through these. */
static bool
is_ipv4 (const char *s)
{
  struct in_addr in;
  return inet_pton (AF_INET, s, &in) == 1;
}

static bool
is_cidr (const char *s)
{
  char ip[INET_ADDRSTRLEN];
  const char *slash = strchr (s, '/');
  char *end;
  long bits;
  if (!slash || slash - s >= (long) sizeof ip)
    return false;
  memcpy (ip, s, (size_t) (slash - s));
  ip[slash - s] = '\0';
  bits = strtol (slash + 1, &end, 10);
  return is_ipv4 (ip) && slash[1] && !*end && bits >= 0 && bits <= 32;
}

static const char *
protocol (const struct value *port)
{
  const char *p = value_path_string (port, "protocol", "TCP");
  return !strcmp (p, "UDP") ? "udp" : !strcmp (p, "SCTP") ? "sctp" : "tcp";
}

/* ---- endpoints ---- */

static int
by_address (const void *x, const void *y)
{
  const struct endpoint *a = x, *b = y;
  struct in_addr p = { 0 }, q = { 0 };
  (void) inet_pton (AF_INET, a->ip, &p);
  (void) inet_pton (AF_INET, b->ip, &q);
  if (p.s_addr != q.s_addr)
    return ntohl (p.s_addr) < ntohl (q.s_addr) ? -1 : 1;
  return a->port < b->port ? -1 : a->port > b->port;
}

static int64_t
slice_port (const struct value *slice, const char *name, const char *proto)
{
  for (value_items (value_get (slice, "ports"), p))
    if (!strcmp (value_path_string (*p, "name", ""), name) && !strcmp (protocol (*p), proto))
      return value_path_int (*p, "port", 0);
  return 0;
}

static void
collect (struct build *b, const struct value *const *slices, size_t n, const struct value *port, struct endpoints *ret)
{
  size_t kept = 0;
  ret->items = arena_zalloc (b->a, PROXY_ENDPOINTS_MAX * sizeof *ret->items);
  ret->count = 0;
  for (size_t i = 0; ret->items && i < n; i++) {
    int64_t number = slice_port (slices[i], value_path_string (port, "name", ""), protocol (port));
    if (!value_string_is (value_get (slices[i], "addressType"), "IPv4") || number <= 0 || number > 65535)
      continue;
    for (value_items (value_get (slices[i], "endpoints"), e)) {
      const char *ip = value_as_string (value_path (*e, "addresses.0"), "");
      bool ready = value_path_bool (*e, "conditions.ready", true);
      if (!is_ipv4 (ip) || ret->count == PROXY_ENDPOINTS_MAX)
        continue;
      ret->items[ret->count++] = (struct endpoint){ ip, number, !strcmp (value_path_string (*e, "nodeName", ""), b->config->node_name), ready,
                                                    value_path_bool (*e, "conditions.serving", ready) };
    }
  }
  if (ret->count > 1)
    qsort (ret->items, ret->count, sizeof *ret->items, by_address);
  for (size_t i = 0; i < ret->count; i++)
    if (kept && by_address (&ret->items[i], &ret->items[kept - 1]) == 0) {
      ret->items[kept - 1].ready |= ret->items[i].ready;
      ret->items[kept - 1].serving |= ret->items[i].serving;
    } else {
      ret->items[kept++] = ret->items[i];
    }
  ret->count = kept;
}

/* The ready ones (of this node); when there is none, those that terminate but still serve. */
static struct endpoints
usable (struct build *b, const struct endpoints *all, bool local_only)
{
  struct endpoints r = { arena_zalloc (b->a, (all->count + 1) * sizeof *r.items), 0 };
  for (int pass = 0; r.items && pass < 2 && r.count == 0; pass++)
    for (size_t i = 0; i < all->count; i++)
      if ((pass == 0 ? all->items[i].ready : all->items[i].serving) && (!local_only || all->items[i].local))
        r.items[r.count++] = all->items[i];
  return r;
}

/* ---- chains ---- */

struct port {
  const struct value *port;
  const char *proto, *id; /* id: 16 hex digits of namespace/name:port/protocol */
  int64_t number;
};

/* Every endpoint has a chain and a set of its clients, so that a client meets its endpoint again. */
static void
affinity_chains (struct build *b, const struct port *p, const char *kind, const struct endpoints *e, struct buf *rules)
{
  int64_t seconds = value_path_int (b->service, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", AFFINITY_SECONDS_DEFAULT);
  const char **chains = arena_zalloc (b->a, (e->count + 1) * sizeof *chains);
  for (size_t i = 0; chains && i < e->count; i++) {
    AUTO_BUF struct buf one = BUF_INIT;
    AUTO_FREE char *text = mem_printf ("%s %s:%lld %lld", p->id, e->items[i].ip, (long long) e->items[i].port, (long long) seconds);
    uint64_t h = text ? hash_bytes (text, strlen (text), 0) : 0;
    const char *set = arena_printf (b->a, "aff-%016llx", (unsigned long long) h);
    chains[i] = arena_printf (b->a, "ep-%s-%016llx", kind, (unsigned long long) h);
    add_set (b, set, arena_printf (b->a, "{ type ipv4_addr; flags dynamic,timeout; timeout %llds; }", (long long) seconds));
    buf_printf (&one, "update @%s { ip saddr }\n", set);
    buf_printf (&one, "meta l4proto %s dnat to %s:%lld\n", p->proto, e->items[i].ip, (long long) e->items[i].port);
    add_chain (b, chains[i], &one);
    buf_printf (rules, "ip saddr @%s goto %s\n", set, chains[i]);
  }
  if (!chains || !e->count)
    return;
  buf_printf (rules, "numgen inc mod %zu vmap {", e->count);
  for (size_t i = 0; i < e->count; i++)
    buf_printf (rules, "%s %zu : goto %s", i ? "," : "", i, chains[i]);
  buf_append_str (rules, " }\n");
}

/* Ends rules with the choice of an endpoint, one after another. */
static void
balance (struct build *b, const struct port *p, const char *kind, const struct endpoints *e, struct buf *rules)
{
  if (!strcmp (value_path_string (b->service, "spec.sessionAffinity", "None"), "ClientIP")) {
    affinity_chains (b, p, kind, e, rules);
    return;
  }
  if (e->count == 1) {
    buf_printf (rules, "meta l4proto %s dnat to %s:%lld\n", p->proto, e->items[0].ip, (long long) e->items[0].port);
    return;
  }
  buf_printf (rules, "meta l4proto %s dnat ip to numgen inc mod %zu map {", p->proto, e->count);
  for (size_t i = 0; i < e->count; i++)
    buf_printf (rules, "%s %zu : %s . %lld", i ? "," : "", i, e->items[i].ip, (long long) e->items[i].port);
  buf_append_str (rules, " }\n");
}

static void
hairpins (struct build *b, const struct endpoints *e)
{
  for (size_t i = 0; i < e->count; i++)
    add_element (b, "hairpin", arena_printf (b->a, "%s . %s", e->items[i].ip, e->items[i].ip), NULL);
}

/* The element for an address: to the chain, or to a refusal where nobody would answer. */
static void
address (struct build *b, const struct port *p, const char *ip, const char *chain)
{
  const char *key = arena_printf (b->a, "%s . %s . %lld", ip, p->proto, (long long) p->number);
  if (!is_ipv4 (ip))
    return;
  if (chain)
    add_element (b, "service-ips", key, arena_printf (b->a, "goto %s", chain));
  else
    add_element (b, "no-endpoints", key, "goto refuse");
}

static void
cluster_chain (struct build *b, const struct port *p, const struct endpoints *e, const char *name)
{
  AUTO_BUF struct buf rules = BUF_INIT;
  if (b->config->masquerade_all)
    buf_append_str (&rules, "meta mark set meta mark or " PROXY_MARK "\n");
  else if (*b->config->cluster_cidr)
    buf_printf (&rules, "ip saddr != %s meta mark set meta mark or " PROXY_MARK "\n", b->config->cluster_cidr);
  balance (b, p, "c", e, &rules);
  add_chain (b, name, &rules);
}

/* What comes by a node port, an external address or a load balancer. external: the endpoints for traffic from outside;
   all: for pods and the node itself, to whom the policy Local does not apply. */
static void
external_chain (struct build *b, const struct port *p, const struct endpoints *external, const struct endpoints *all, bool local_policy, const char *name)
{
  AUTO_BUF struct buf rules = BUF_INIT;
  if (local_policy) {
    const char *cluster = arena_printf (b->a, "any-%s", p->id);
    if (all->count) {
      AUTO_BUF struct buf any = BUF_INIT;
      buf_append_str (&any, "meta mark set meta mark or " PROXY_MARK "\n");
      balance (b, p, "a", all, &any);
      add_chain (b, cluster, &any);
      if (*b->config->cluster_cidr)
        buf_printf (&rules, "ip saddr %s goto %s\n", b->config->cluster_cidr, cluster);
      buf_printf (&rules, "fib saddr type local goto %s\n", cluster);
    }
    if (external->count)
      balance (b, p, "x", external, &rules);
    else
      buf_append_str (&rules, "drop\n"); /* so that a load balancer's health check sees it and goes elsewhere */
  } else {
    buf_append_str (&rules, "meta mark set meta mark or " PROXY_MARK "\n");
    balance (b, p, "x", external, &rules);
  }
  add_chain (b, name, &rules);
}

static const char *
source_ranges (struct build *b, const struct port *p, const char *target)
{
  AUTO_BUF struct buf rules = BUF_INIT;
  const char *name = arena_printf (b->a, "lb-%s", p->id);
  size_t n = 0;
  buf_append_str (&rules, "ip saddr != {");
  for (value_items (value_path (b->service, "spec.loadBalancerSourceRanges"), r))
    if (is_cidr (value_as_string (*r, "")))
      buf_printf (&rules, "%s %s", n++ ? "," : "", value_as_string (*r, ""));
  buf_printf (&rules, " } drop\ngoto %s\n", target);
  if (!n)
    return target;
  add_chain (b, name, &rules);
  return name;
}

static void
decide_external (struct build *b, const struct port *p, const struct endpoints *all)
{
  bool local = !strcmp (value_path_string (b->service, "spec.externalTrafficPolicy", "Cluster"), "Local");
  const struct value *ips = value_path (b->service, "spec.externalIPs"), *ingress = value_path (b->service, "status.loadBalancer.ingress");
  int64_t node_port = value_path_int (p->port, "nodePort", 0);
  struct endpoints any = usable (b, all, false), external = local ? usable (b, all, true) : any;
  const char *chain = any.count ? arena_printf (b->a, "ext-%s", p->id) : NULL, *balanced;
  if (!value_count (ips) && !value_count (ingress) && node_port <= 0)
    return;
  if (chain) {
    external_chain (b, p, &external, &any, local, chain);
    hairpins (b, &any);
  }
  if (node_port > 0 && node_port <= 65535) {
    const char *key = arena_printf (b->a, "%s . %lld", p->proto, (long long) node_port);
    b->out->has_node_port = true;
    if (chain)
      add_element (b, "service-nodeports", key, arena_printf (b->a, "goto %s", chain));
    else
      add_element (b, "no-endpoints-nodeports", key, "goto refuse");
  }
  for (value_items (ips, ip))
    address (b, p, value_as_string (*ip, ""), chain);
  if (!value_count (ingress))
    return;
  balanced = chain ? source_ranges (b, p, chain) : NULL;
  for (value_items (ingress, i))
    if (strcmp (value_path_string (*i, "ipMode", "VIP"), "Proxy") != 0)
      address (b, p, value_path_string (*i, "ip", ""), balanced);
}

static void
decide_port (struct build *b, const struct value *port, const struct value *const *slices, size_t n_slices)
{
  struct port p = { .port = port, .proto = protocol (port), .number = value_path_int (port, "port", 0) };
  AUTO_FREE char *text = mem_printf ("%s/%s:%s/%s/%lld", b->ns, b->name, value_path_string (port, "name", ""), p.proto, (long long) p.number);
  bool local = !strcmp (value_path_string (b->service, "spec.internalTrafficPolicy", "Cluster"), "Local");
  const char *cluster_ip = value_path_string (b->service, "spec.clusterIP", "");
  struct endpoints all, inside;
  const char *chain = NULL;
  if (!text || p.number <= 0 || p.number > 65535)
    return;
  p.id = arena_printf (b->a, "%016llx", (unsigned long long) hash_bytes (text, strlen (text), 0));
  collect (b, slices, n_slices, port, &all);
  inside = usable (b, &all, local);
  if (!is_ipv4 (cluster_ip)) /* dual stack: the first may be IPv6 */
    cluster_ip = value_as_string (value_path (b->service, "spec.clusterIPs.1"), "");
  if (inside.count) {
    chain = arena_printf (b->a, "svc-%s", p.id);
    cluster_chain (b, &p, &inside, chain);
    hairpins (b, &inside);
  }
  address (b, &p, cluster_ip, chain);
  decide_external (b, &p, &all);
}

struct proxy_service *
proxy_decide (const struct proxy_config *config, const struct value *service, const struct value *const *slices, size_t n_slices)
{
  struct proxy_service *s = mem_zalloc (sizeof *s);
  struct build b = { .config = config, .out = s, .service = service };
  const char *cluster_ip = value_path_string (service, "spec.clusterIP", "");
  if (!s)
    return NULL;
  arena_init (&s->arena, 0);
  b.a = &s->arena;
  b.ns = value_path_string (service, "metadata.namespace", "");
  b.name = value_path_string (service, "metadata.name", "");
  if (!service || !*cluster_ip || !strcmp (cluster_ip, "None") || !strcmp (value_path_string (service, "spec.type", "ClusterIP"), "ExternalName")
      || value_get (value_path (service, "metadata.labels"), "service.kubernetes.io/service-proxy-name"))
    return s;
  for (value_items (value_path (service, "spec.ports"), port))
    decide_port (&b, *port, slices, n_slices);
  if (!arena_ok (&s->arena)) {
    proxy_service_free (s);
    return NULL;
  }
  return s;
}

void
proxy_service_free (struct proxy_service *s)
{
  if (!s)
    return;
  arena_done (&s->arena);
  free (s);
}
