/* Services: cluster IPs and node ports. An allocation is a key of its own, written in the same transaction as the service and only if it
   was not there; so no two services ever have the same, whatever the caches say. The caches only make good guesses. */
#include <arpa/inet.h>

#include "schemas/msgpack.h"
#include "services/apiserver/status.h"
#include "services/apiserver/strategy.h"

#define IP_KEY "kubus.alloc/clusterips/%s"
#define PORT_KEY "kubus.alloc/nodeports/%d"
#define TRIES 4096

struct used {
  struct map *ips, *ports;
  bool failed;
};

static bool
needs_ip (const struct value *svc)
{
  const char *type = value_path_string (svc, "spec.type", "ClusterIP");
  return strcmp (type, "ExternalName") != 0 && strcmp (value_path_string (svc, "spec.clusterIP", ""), "None") != 0;
}

static bool
needs_ports (const struct value *svc)
{
  const char *type = value_path_string (svc, "spec.type", "ClusterIP");
  return strcmp (type, "NodePort") == 0
         || (strcmp (type, "LoadBalancer") == 0 && value_path_bool (svc, "spec.allocateLoadBalancerNodePorts", true));
}

static bool
needs_health_port (const struct value *svc)
{
  return strcmp (value_path_string (svc, "spec.type", ""), "LoadBalancer") == 0
         && strcmp (value_path_string (svc, "spec.externalTrafficPolicy", ""), "Local") == 0;
}

static bool
note_used (void *arg, struct cached *o)
{
  struct used *u = arg;
  AUTO_ARENA struct arena a = { 0 };
  char text[16];
  struct value *v = registry_tree (&a, o);
  const char *ip = value_path_string (v, "spec.clusterIP", "");
  if (!v || (*ip && map_set (u->ips, ip, u)))
    u->failed = true;
  for (value_items (value_path (v, "spec.ports"), it)) {
    (void) snprintf (text, sizeof text, "%d", (int) value_path_int (*it, "nodePort", 0));
    if (map_set (u->ports, text, u))
      u->failed = true;
  }
  return !u->failed;
}

static void
used_done (struct used *u)
{
  map_free (u->ips);
  map_free (u->ports);
}

static bool
used_load (struct registry_op *op, struct used *u)
{
  *u = (struct used) { map_new (NULL), map_new (NULL), false };
  struct watch_cache *c = watch_cache_get (op->rq->server->caches, "services");
  if (u->ips && u->ports && c)
    watch_cache_each (c, NULL, NULL, note_used, u);
  if (u->ips && u->ports && c && !u->failed)
    return true;
  used_done (u);
  struct err err = { 0 };
  (void) err_set (&err, ERR_NOMEM, "%s", "find what is allocated");
  status_error (op->rq, &err);
  return false;
}

static bool
claim (struct registry_op *op, const char *key)
{
  if (op->n_extra_compares == REGISTRY_EXTRA_MAX || op->n_extra_ops == REGISTRY_EXTRA_MAX) {
    status_bad_request (op->rq, "a service cannot have more than %d allocations", REGISTRY_EXTRA_MAX - 1);
    return false;
  }
  op->extra_compares[op->n_extra_compares++] = (struct store_compare) { .key = key, .target = STORE_CREATE_REVISION, .relation = STORE_EQUAL };
  op->extra_ops[op->n_extra_ops++] = (struct store_op) { .type = STORE_PUT, .key = key, .value = op->key, .value_len = strlen (op->key) };
  return true;
}

static void
release (struct registry_op *op, const char *key)
{
  for (size_t i = 0; key && i < op->n_extra_ops; i++) /* one port of two protocols: a transaction names a key once */
    if (strcmp (op->extra_ops[i].key, key) == 0)
      return;
  if (key && op->n_extra_ops < REGISTRY_EXTRA_MAX)
    op->extra_ops[op->n_extra_ops++] = (struct store_op) { .type = STORE_DELETE, .key = key };
}

static bool
invalid (struct registry_op *op, const char *field, const char *value, const char *why)
{
  struct schema_causes causes = { .arena = &op->rq->arena };
  schema_causes_add (&causes, "FieldValueInvalid", field, "Invalid value: %s: %s", value, why);
  status_invalid (op->rq, op->name, &causes);
  return false;
}

/* ---- cluster IPs ---- */

static bool
range_of (const char *cidr, uint32_t *ret_base, uint32_t *ret_size)
{
  char text[64];
  struct in_addr addr;
  const char *slash = strchr (cidr, '/');
  if (!slash || (size_t) (slash - cidr) >= sizeof text)
    return false;
  memcpy (text, cidr, (size_t) (slash - cidr));
  text[slash - cidr] = 0;
  long bits = strtol (slash + 1, NULL, 10);
  if (bits < 8 || bits > 30 || inet_pton (AF_INET, text, &addr) != 1)
    return false;
  *ret_size = 1u << (32 - bits);
  *ret_base = ntohl (addr.s_addr) & ~(*ret_size - 1);
  return true;
}

static const char *
ip_text (struct arena *a, uint32_t ip)
{
  return arena_printf (a, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

/* Chosen in the upper part of the range, as upstream does, so that the lower stays for addresses that people choose. */
static const char *
pick_ip (struct registry_op *op, const struct used *u, uint32_t base, uint32_t size)
{
  struct arena *a = &op->rq->arena;
  uint32_t low = size / 16 < 16 ? 16 : size / 16 > 256 ? 256 : size / 16;
  uint64_t seed = hash_bytes (op->key, strlen (op->key), (uint64_t) mono_now ().ns);
  if (low >= size - 2)
    low = 1;
  uint32_t span = size - 1 - low, tries = size - 2 < TRIES ? size - 2 : TRIES;
  for (uint32_t i = 0; i < span && i < tries; i++) {
    const char *ip = ip_text (a, base + low + (uint32_t) ((seed + i) % span));
    if (ip && !map_get (u->ips, ip))
      return ip;
  }
  for (uint32_t i = 1; i < low; i++) {
    const char *ip = ip_text (a, base + i);
    if (ip && !map_get (u->ips, ip))
      return ip;
  }
  return NULL;
}

static bool
allocate_ip (struct registry_op *op, const struct used *u, struct value *obj)
{
  struct arena *a = &op->rq->arena;
  struct value *spec = value_get (obj, "spec"), *list = value_array (a);
  const char *ip = value_as_string (value_get (spec, "clusterIP"), "");
  uint32_t base, size;
  struct in_addr addr;
  if (!*ip)
    ip = value_as_string (value_at (value_get (spec, "clusterIPs"), 0), "");
  if (!range_of (op->rq->server->config.service_cidr, &base, &size)) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_INTERNAL, "service range %s is not an IPv4 CIDR", op->rq->server->config.service_cidr);
    status_error (op->rq, &err);
    return false;
  }
  if (!*ip) {
    ip = pick_ip (op, u, base, size);
    if (!ip) {
      status_reply (op->rq, 500, "", NULL, "Internal error occurred: failed to allocate a serviceIP: range is full");
      return false;
    }
  } else {
    const char *quoted = arena_printf (a, "[\"%s\"]", ip), *why;
    if (inet_pton (AF_INET, ip, &addr) != 1 || ntohl (addr.s_addr) <= base || ntohl (addr.s_addr) >= base + size - 1) {
      why = arena_printf (a, "failed to allocate IP %s: the provided IP (%s) is not in the valid range. The range of valid IPs is %s", ip, ip,
                          op->rq->server->config.service_cidr);
      return invalid (op, "spec.clusterIPs", quoted, why ? why : "");
    }
    if (map_get (u->ips, ip)) {
      why = arena_printf (a, "failed to allocate IP %s: provided IP is already allocated", ip);
      return invalid (op, "spec.clusterIPs", quoted, why ? why : "");
    }
  }
  value_set_string (a, spec, "clusterIP", ip);
  value_append (a, list, value_string (a, ip));
  value_set (a, spec, "clusterIPs", list);
  const char *key = arena_printf (a, IP_KEY, ip);
  return key && claim (op, key);
}

/* ---- node ports ---- */

static bool
port_used (const struct used *u, int port)
{
  char text[16];
  (void) snprintf (text, sizeof text, "%d", port);
  return map_get (u->ports, text) != NULL;
}

static int
pick_port (struct registry_op *op, const struct used *u)
{
  int first = op->rq->server->config.node_port_first, n = op->rq->server->config.node_port_last - first + 1;
  uint64_t seed = hash_bytes (op->key, strlen (op->key), (uint64_t) mono_now ().ns);
  for (int i = 0; i < n; i++) {
    int port = first + (int) ((seed + (uint64_t) i) % (uint64_t) n);
    if (!port_used (u, port))
      return port;
  }
  return 0;
}

static bool
take_port (struct registry_op *op, struct used *u, int port)
{
  char text[16];
  const char *key = arena_printf (&op->rq->arena, PORT_KEY, port);
  (void) snprintf (text, sizeof text, "%d", port);
  return key && map_set (u->ports, text, u) == 0 && claim (op, key);
}

static bool
has_port (const struct value *svc, int port)
{
  for (value_items (value_path (svc, "spec.ports"), it))
    if (port && value_path_int (*it, "nodePort", 0) == port)
      return true;
  return port && value_path_int (svc, "spec.healthCheckNodePort", 0) == port;
}

static bool
no_ports (struct registry_op *op)
{
  status_reply (op->rq, 500, "", NULL, "Internal error occurred: failed to allocate a nodePort: range is full");
  return false;
}

static bool
allocate_ports (struct registry_op *op, struct used *u, const struct value *live, struct value *obj)
{
  struct arena *a = &op->rq->arena;
  int first = op->rq->server->config.node_port_first, last = op->rq->server->config.node_port_last;
  size_t index = 0;
  struct value *claimed = value_array (a);
  for (value_items (value_path (obj, "spec.ports"), it)) {
    int port = (int) value_path_int (*it, "nodePort", 0);
    const char *field = arena_printf (a, "spec.ports[%zu].nodePort", index++), *text = arena_printf (a, "%d", port);
    bool mine = has_port (live, port);
    for (value_items (claimed, c)) /* one number for two protocols of one service */
      mine = mine || value_as_int (*c, 0) == port;
    if (mine)
      continue;
    if (!port) {
      port = pick_port (op, u);
      if (!port)
        return no_ports (op);
      value_set_int (a, *it, "nodePort", port);
    } else if (port < first || port > last) {
      const char *why = arena_printf (a, "provided port is not in the valid range. The range of valid ports is %d-%d", first, last);
      return invalid (op, field ? field : "", text ? text : "", why ? why : "");
    } else if (port_used (u, port))
      return invalid (op, field ? field : "", text ? text : "", "provided port is already allocated");
    if (!take_port (op, u, port))
      return false;
    value_append (a, claimed, value_int (a, port));
  }
  return true;
}

static bool
allocate_health_port (struct registry_op *op, struct used *u, const struct value *live, struct value *obj)
{
  struct value *spec = value_get (obj, "spec");
  int port = (int) value_path_int (spec, "healthCheckNodePort", 0);
  if (has_port (live, port))
    return true;
  if (port && port_used (u, port))
    return invalid (op, "spec.healthCheckNodePort", "", "provided port is already allocated");
  if (!port && !(port = pick_port (op, u)))
    return no_ports (op);
  value_set_int (&op->rq->arena, spec, "healthCheckNodePort", port);
  return take_port (op, u, port);
}

/* ---- the strategy ---- */

static bool
allocate (struct registry_op *op, const struct value *live, struct value *obj)
{
  struct arena *a = &op->rq->arena;
  struct value *spec = value_ensure_map (a, obj, "spec");
  struct used u;
  if (strcmp (value_path_string (spec, "type", "ClusterIP"), "ExternalName") != 0) {
    if (!value_count (value_get (spec, "ipFamilies")))
      value_append (a, value_ensure_array (a, spec, "ipFamilies"), value_string (a, "IPv4"));
    if (!value_get (spec, "ipFamilyPolicy"))
      value_set_string (a, spec, "ipFamilyPolicy", "SingleStack");
    if (value_string_is (value_get (spec, "clusterIP"), "None") && !value_count (value_get (spec, "clusterIPs")))
      value_append (a, value_ensure_array (a, spec, "clusterIPs"), value_string (a, "None"));
  }
  bool ip = needs_ip (obj) && (!live || strcmp (value_path_string (live, "spec.clusterIP", ""), value_path_string (spec, "clusterIP", "")) != 0
                               || !*value_path_string (spec, "clusterIP", ""));
  bool ports = needs_ports (obj), health = needs_health_port (obj);
  if (!ip && !ports && !health)
    return true;
  if (!used_load (op, &u))
    return false;
  bool ok = (!ip || allocate_ip (op, &u, obj)) && (!ports || allocate_ports (op, &u, live, obj))
            && (!health || allocate_health_port (op, &u, live, obj));
  used_done (&u);
  return ok;
}

bool
strategy_service_create (struct registry_op *op, struct value *obj)
{
  value_ensure_map (&op->rq->arena, value_ensure_map (&op->rq->arena, obj, "status"), "loadBalancer");
  return allocate (op, NULL, obj);
}

/* What the client left out stays as it was allocated (service/storage patchAllocatedValues); what the new type has no use for goes. */
static void
carry_over (struct arena *a, const struct value *live, struct value *obj)
{
  struct value *spec = value_ensure_map (a, obj, "spec");
  static const char *const families[] = { "ipFamilies", "ipFamilyPolicy" };
  if (needs_ip (live) && needs_ip (obj) && !*value_path_string (spec, "clusterIP", "") && !value_count (value_get (spec, "clusterIPs"))) {
    struct value *ip = value_path (live, "spec.clusterIP"), *list = value_path (live, "spec.clusterIPs");
    if (ip)
      value_set (a, spec, "clusterIP", value_clone (a, ip));
    if (list)
      value_set (a, spec, "clusterIPs", value_clone (a, list));
  }
  bool external = strcmp (value_path_string (spec, "type", ""), "ExternalName") == 0;
  for (size_t i = 0; i < 2; i++) {
    struct value *v = value_path (live, i ? "spec.ipFamilyPolicy" : "spec.ipFamilies");
    if (!external && v && !value_get (spec, families[i]))
      value_set (a, spec, families[i], value_clone (a, v));
  }
  if (external && strcmp (value_path_string (live, "spec.type", ""), "ExternalName") != 0
      && value_equal (value_get (spec, "clusterIP"), value_path (live, "spec.clusterIP"))) {
    static const char *const gone[] = { "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy" };
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
      (void) value_unset (spec, gone[i]);
  }
  for (value_items (value_get (spec, "ports"), it)) {
    if (!needs_ports (obj)) {
      if (needs_ports (live))
        (void) value_unset (*it, "nodePort");
      continue;
    }
    if (value_path_int (*it, "nodePort", 0))
      continue;
    for (value_items (value_path (live, "spec.ports"), was))
      if (value_path_int (*was, "port", 0) == value_path_int (*it, "port", 0) && value_path_int (*was, "nodePort", 0)
          && strcmp (value_path_string (*was, "protocol", "TCP"), value_path_string (*it, "protocol", "TCP")) == 0)
        value_set_int (a, *it, "nodePort", value_path_int (*was, "nodePort", 0));
  }
  if (needs_health_port (live) && needs_health_port (obj) && !value_path_int (spec, "healthCheckNodePort", 0))
    value_set_int (a, spec, "healthCheckNodePort", value_path_int (live, "spec.healthCheckNodePort", 0));
  if (!needs_health_port (obj))
    (void) value_unset (spec, "healthCheckNodePort");
}

bool
strategy_service_update (struct registry_op *op, struct value *live, struct value *obj, const char *subresource)
{
  struct arena *a = &op->rq->arena;
  if (*subresource)
    return true;
  carry_over (a, live, obj);
  if (!allocate (op, live, obj))
    return false;
  const char *ip = value_path_string (live, "spec.clusterIP", "");
  if (needs_ip (live) && *ip && strcmp (ip, value_path_string (obj, "spec.clusterIP", "")) != 0)
    release (op, arena_printf (a, IP_KEY, ip));
  for (value_items (value_path (live, "spec.ports"), it)) {
    int port = (int) value_path_int (*it, "nodePort", 0);
    if (port && !has_port (obj, port))
      release (op, arena_printf (a, PORT_KEY, port));
  }
  int health = (int) value_path_int (live, "spec.healthCheckNodePort", 0);
  if (health && !has_port (obj, health))
    release (op, arena_printf (a, PORT_KEY, health));
  return true;
}

void
strategy_service_removed (struct registry_op *op, struct value *live)
{
  struct arena *a = &op->rq->arena;
  const char *ip = value_path_string (live, "spec.clusterIP", "");
  op->n_extra_compares = op->n_extra_ops = 0;
  if (needs_ip (live) && *ip)
    release (op, arena_printf (a, IP_KEY, ip));
  for (value_items (value_path (live, "spec.ports"), it))
    if (value_path_int (*it, "nodePort", 0))
      release (op, arena_printf (a, PORT_KEY, (int) value_path_int (*it, "nodePort", 0)));
  if (value_path_int (live, "spec.healthCheckNodePort", 0))
    release (op, arena_printf (a, PORT_KEY, (int) value_path_int (live, "spec.healthCheckNodePort", 0)));
}
