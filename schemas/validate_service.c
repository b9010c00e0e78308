/* Service, Endpoints, EndpointSlice, Ingress, IngressClass, NetworkPolicy. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "schemas/validate_internal.h"

static const char *const protocols[] = { "SCTP", "TCP", "UDP", NULL };
static const char ip_error[] = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

static bool
is_headless (const struct value *spec)
{
  return strcmp (v_string (spec, "clusterIP"), "None") == 0 || value_string_is (value_at (value_get (spec, "clusterIPs"), 0), "None");
}

static bool
port_taken (const struct value *ports, size_t before, const struct value *port, const char *key)
{
  for (size_t i = before > 1000 ? before - 1000 : 0; i < before; i++)
    if (v_int (value_at (ports, i), key) == v_int (port, key)
        && strcmp (v_string (value_at (ports, i), "protocol"), v_string (port, "protocol")) == 0)
      return true;
  return false;
}

static void
check_service_ports (struct validation *v, vpath_t at, const struct value *spec)
{
  const struct value *ports = value_get (spec, "ports");
  bool cluster = strcmp (v_string (spec, "type"), "ClusterIP") == 0;
  for (size_t i = 0; i < value_count (ports); i++) {
    const struct value *p = value_at (ports, i);
    const char *name = v_string (p, "name");
    vpath_t here = INDEX (at, i);
    if (!name[0] && value_count (ports) > 1)
      v_required (v, CHILD (here, "name"), NULL);
    else if (name[0]) {
      v_check_name (v, CHILD (here, "name"), name, name_dns1123_label);
      if (v_seen (ports, i, "name", name))
        v_duplicate (v, CHILD (here, "name"), name);
    }
    v_port (v, CHILD (here, "port"), v_int (p, "port"));
    v_one_of (v, CHILD (here, "protocol"), v_string (p, "protocol"), protocols);
    v_port_number_or_name (v, CHILD (here, "targetPort"), value_get (p, "targetPort"));
    if (v_has (p, "appProtocol"))
      v_check_name (v, CHILD (here, "appProtocol"), v_string (p, "appProtocol"), name_qualified);
    if (cluster && v_int (p, "nodePort") != 0)
      v_forbidden (v, CHILD (here, "nodePort"), "may not be used when `type` is 'ClusterIP'");
    char text[64];
    if (v_int (p, "nodePort") != 0 && port_taken (ports, i, p, "nodePort")) {
      snprintf (text, sizeof text, "Duplicate value: %lld", (long long) v_int (p, "nodePort"));
      v_duplicate (v, CHILD (here, "nodePort"), text + 17);
    }
    if (port_taken (ports, i, p, "port")) {
      snprintf (text, sizeof text, "%s/%lld", v_string (p, "protocol"), (long long) v_int (p, "port"));
      v_duplicate (v, here, text);
    }
  }
}

static void
check_affinity (struct validation *v, vpath_t at, const struct value *spec)
{
  const char *affinity = v_string (spec, "sessionAffinity");
  vpath_t config = CHILD (at, "sessionAffinityConfig"), timeout = CHILD (CHILD (config, "clientIP"), "timeoutSeconds");
  v_one_of (v, CHILD (at, "sessionAffinity"), affinity, LIST ("ClientIP", "None"));
  if (strcmp (affinity, "None") == 0 && v_has (spec, "sessionAffinityConfig"))
    v_forbidden (v, config, "must not be set when session affinity is None");
  if (strcmp (affinity, "ClientIP") != 0)
    return;
  const struct value *seconds = value_path (spec, "sessionAffinityConfig.clientIP.timeoutSeconds");
  if (value_is_null (seconds))
    v_required (v, timeout, "when session affinity type is ClientIP");
  else if (value_as_int (seconds, 0) <= 0 || value_as_int (seconds, 0) > 86400)
    v_invalid (v, timeout, seconds, "must be greater than 0 and less than 86400");
}

static void
check_cluster_ips (struct validation *v, vpath_t at, const struct value *spec)
{
  static const char *const family_names[] = { "IPv4", "IPv6", NULL }, *const policies[] = { "SingleStack", "PreferDualStack", "RequireDualStack", NULL };
  const struct value *ips = value_get (spec, "clusterIPs"), *families = value_get (spec, "ipFamilies");
  const char *ip = v_string (spec, "clusterIP"), *policy = v_string (spec, "ipFamilyPolicy");
  vpath_t list = CHILD (at, "clusterIPs");
  if (ip[0] && value_count (ips) == 0)
    v_required (v, list, NULL);
  else if (ip[0] && !value_string_is (value_at (ips, 0), ip))
    v_invalid (v, list, ips, "first value must match `clusterIP`");
  else if (!ip[0] && value_count (ips) > 0)
    v_invalid (v, list, ips, "must be empty when `clusterIP` is not specified");
  for (size_t i = 0; i < value_count (families); i++) {
    const char *f = value_as_string (value_at (families, i), "");
    if (!v_in (f, family_names))
      v_not_supported (v, INDEX (CHILD (at, "ipFamilies"), i), f, family_names);
    if (v_seen (families, i, NULL, f))
      v_duplicate (v, INDEX (CHILD (at, "ipFamilies"), i), f);
  }
  if (policy[0] && !v_in (policy, policies))
    v_not_supported (v, CHILD (at, "ipFamilyPolicy"), policy, LIST ("PreferDualStack", "RequireDualStack", "SingleStack"));
  for (size_t i = 0; i < value_count (ips); i++) {
    const char *s = value_as_string (value_at (ips, i), "");
    int family = 0;
    if (i == 0 && strcmp (s, "None") == 0) {
      if (value_count (ips) > 1)
        v_invalid (v, list, ips, "'None' must be the first and only value");
    } else if (!v_ip (s, &family))
      v_invalid_string (v, INDEX (list, i), s, ip_error);
    else if (i < value_count (families) && !value_string_is (value_at (families, i), family == 4 ? "IPv4" : "IPv6")) {
      char text[96];
      snprintf (text, sizeof text, "expected an %s value as indicated by `ipFamilies[%zu]`", value_as_string (value_at (families, i), ""), i);
      v_invalid_string (v, INDEX (list, i), s, text);
    }
  }
  if (value_count (ips) > 2)
    v_invalid (v, list, ips, "may only hold up to 2 values");
}

static void
check_traffic (struct validation *v, vpath_t at, const struct value *spec)
{
  static const char *const policies[] = { "Cluster", "Local", NULL };
  const char *type = v_string (spec, "type"), *outer = v_string (spec, "externalTrafficPolicy"), *inner = v_string (spec, "internalTrafficPolicy");
  bool balancer = strcmp (type, "LoadBalancer") == 0;
  bool external = balancer || strcmp (type, "NodePort") == 0 || (strcmp (type, "ClusterIP") == 0 && value_count (value_get (spec, "externalIPs")) > 0);
  if (external)
    v_one_of (v, CHILD (at, "externalTrafficPolicy"), outer, policies);
  else if (outer[0])
    v_invalid_string (v, CHILD (at, "externalTrafficPolicy"), outer, "may only be set for externally-accessible services");
  if (inner[0] && !v_in (inner, policies))
    v_not_supported (v, CHILD (at, "internalTrafficPolicy"), inner, policies);
  if (v_int (spec, "healthCheckNodePort") != 0 && (!balancer || strcmp (outer, "Local") != 0))
    v_invalid_int (v, CHILD (at, "healthCheckNodePort"), v_int (spec, "healthCheckNodePort"),
                   "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
  if (v_has (spec, "allocateLoadBalancerNodePorts") && !balancer)
    v_forbidden (v, CHILD (at, "allocateLoadBalancerNodePorts"), "may only be used when `type` is 'LoadBalancer'");
  if (v_has (spec, "loadBalancerClass") && !balancer)
    v_forbidden (v, CHILD (at, "loadBalancerClass"), "may only be used when `type` is 'LoadBalancer'");
  const struct value *ranges = value_get (spec, "loadBalancerSourceRanges");
  if (value_count (ranges) > 0 && !balancer)
    v_forbidden (v, CHILD (at, "LoadBalancerSourceRanges"), "may only be used when `type` is 'LoadBalancer'");
  for (size_t i = 0; i < value_count (ranges); i++)
    if (!v_cidr (value_as_string (value_at (ranges, i), ""), NULL))
      v_invalid (v, INDEX (CHILD (at, "LoadBalancerSourceRanges"), i), value_at (ranges, i), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
}

static void
check_external_name (struct validation *v, vpath_t at, const struct value *spec)
{
  const char *name = v_string (spec, "externalName");
  size_t n = strlen (name);
  for (const char *const *f = LIST ("clusterIPs", "ipFamilies", "ipFamilyPolicy"); *f; f++)
    if (v_has (spec, *f))
      v_forbidden (v, CHILD (at, *f), "may not be set for ExternalName services");
  char *trimmed = arena_strndup (v->causes->arena, name, n > 0 && name[n - 1] == '.' ? n - 1 : n);
  if (n == 0)
    v_required (v, CHILD (at, "externalName"), NULL);
  else if (trimmed)
    v_check_name (v, CHILD (at, "externalName"), trimmed, name_dns1123_subdomain);
}

static void
check_service_update (struct validation *v, vpath_t at, const struct value *spec, const struct value *old)
{
  const struct value *now = value_get (spec, "clusterIPs"), *then = value_get (old, "clusterIPs");
  if (strcmp (v_string (spec, "type"), "ExternalName") == 0 || strcmp (v_string (old, "type"), "ExternalName") == 0
      || (is_headless (spec) && is_headless (old)))
    return;
  for (size_t i = 0; i < value_count (then) && i < value_count (now); i++)
    if (!value_equal (value_at (now, i), value_at (then, i)))
      v_invalid (v, INDEX (CHILD (at, "clusterIPs"), i), now, "may not change once set");
  if (value_count (then) > 0 && value_count (now) == 0)
    v_invalid (v, INDEX (CHILD (at, "clusterIPs"), 0), now, "primary clusterIP can not be unset");
}

void
validate_service (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *external = value_get (spec, "externalIPs");
  const char *type = v_string (spec, "type");
  vpath_t at = CHILD (NULL, "spec");
  bool named = strcmp (type, "ExternalName") == 0, headless = is_headless (spec);
  if (v->old)
    check_service_update (v, at, spec, value_get (v->old, "spec"));
  if (value_count (value_get (spec, "ports")) == 0 && !headless && !named)
    v_required (v, CHILD (at, "ports"), NULL);
  if (headless && v_in (type, LIST ("LoadBalancer", "NodePort"))) {
    char text[64];
    snprintf (text, sizeof text, "may not be set to 'None' for %s services", type);
    v_invalid_string (v, INDEX (CHILD (at, "clusterIPs"), 0), "None", text);
  }
  if (named)
    check_external_name (v, at, spec);
  check_service_ports (v, CHILD (at, "ports"), spec);
  v_labels (v, CHILD (at, "selector"), value_get (spec, "selector"));
  check_affinity (v, at, spec);
  if (!named)
    check_cluster_ips (v, at, spec);
  for (size_t i = 0; i < value_count (external); i++)
    v_non_special_ip (v, INDEX (CHILD (at, "externalIPs"), i), value_as_string (value_at (external, i), ""));
  v_one_of (v, CHILD (at, "type"), type, LIST ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"));
  check_traffic (v, at, spec);
}

void
validate_service_status (struct validation *v)
{
  v_load_balancer_status (v, CHILD (CHILD (NULL, "status"), "loadBalancer"), value_path (v->obj, "status.loadBalancer"));
}

/* ---- Endpoints and EndpointSlice ---- */

static void
endpoint_address (struct validation *v, vpath_t at, const struct value *address)
{
  const char *ip = v_string (address, "ip");
  if (!v_ip (ip, NULL))
    v_invalid_string (v, CHILD (at, "ip"), ip, ip_error);
  else
    v_non_special_ip (v, CHILD (at, "ip"), ip);
  if (v_string (address, "hostname")[0])
    v_check_name (v, CHILD (at, "hostname"), v_string (address, "hostname"), name_dns1123_label);
  if (v_has (address, "nodeName"))
    v_check_name (v, CHILD (at, "nodeName"), v_string (address, "nodeName"), name_dns1123_subdomain);
}

void
validate_endpoints (struct validation *v)
{
  const struct value *subsets = value_get (v->obj, "subsets");
  for (size_t i = 0; i < value_count (subsets); i++) {
    const struct value *s = value_at (subsets, i), *ports = value_get (s, "ports");
    vpath_t at = INDEX (CHILD (NULL, "subsets"), i);
    if (value_count (value_get (s, "addresses")) + value_count (value_get (s, "notReadyAddresses")) == 0)
      v_required (v, at, "must specify `addresses` or `notReadyAddresses`");
    for (const char *const *f = LIST ("addresses", "notReadyAddresses"); *f; f++)
      for (size_t a = 0; a < value_count (value_get (s, *f)); a++)
        endpoint_address (v, INDEX (CHILD (at, *f), a), value_at (value_get (s, *f), a));
    for (size_t p = 0; p < value_count (ports); p++) {
      const struct value *port = value_at (ports, p);
      vpath_t here = INDEX (CHILD (at, "ports"), p);
      if (!v_string (port, "name")[0] && value_count (ports) > 1)
        v_required (v, CHILD (here, "name"), NULL);
      else if (v_string (port, "name")[0])
        v_check_name (v, CHILD (here, "name"), v_string (port, "name"), name_dns1123_label);
      v_port (v, CHILD (here, "port"), v_int (port, "port"));
      v_one_of (v, CHILD (here, "protocol"), v_string (port, "protocol"), protocols);
    }
  }
}

static void
slice_address (struct validation *v, vpath_t at, const char *address, const char *type)
{
  int family = 0;
  bool ip = v_ip (address, &family);
  if (strcmp (type, "FQDN") == 0)
    v_check_name (v, at, address, name_dns1123_subdomain);
  else if (!ip || family != (strcmp (type, "IPv4") == 0 ? 4 : 6))
    v_invalid_string (v, at, address, strcmp (type, "IPv4") == 0 ? "must be a valid IPv4 address" : "must be a valid IPv6 address");
  else
    v_non_special_ip (v, at, address);
}

void
validate_endpoint_slice (struct validation *v)
{
  static const char *const types[] = { "FQDN", "IPv4", "IPv6", NULL };
  const struct value *endpoints = value_get (v->obj, "endpoints"), *ports = value_get (v->obj, "ports");
  const char *type = v_string (v->obj, "addressType");
  v_one_of (v, CHILD (NULL, "addressType"), type, types);
  if (v->old)
    v_immutable (v, CHILD (NULL, "addressType"), value_get (v->obj, "addressType"), value_get (v->old, "addressType"));
  if (value_count (endpoints) > 1000)
    v_too_many (v, CHILD (NULL, "endpoints"), value_count (endpoints), 1000);
  if (value_count (ports) > 20000)
    v_too_many (v, CHILD (NULL, "ports"), value_count (ports), 20000);
  for (size_t i = 0; i < value_count (endpoints) && i < 1000; i++) {
    const struct value *e = value_at (endpoints, i), *addresses = value_get (e, "addresses");
    vpath_t at = INDEX (CHILD (NULL, "endpoints"), i);
    if (value_count (addresses) == 0)
      v_required (v, CHILD (at, "addresses"), "must contain at least 1 address");
    else if (value_count (addresses) > 100)
      v_too_many (v, CHILD (at, "addresses"), value_count (addresses), 100);
    for (size_t a = 0; a < value_count (addresses) && v_in (type, types); a++)
      slice_address (v, INDEX (CHILD (at, "addresses"), a), value_as_string (value_at (addresses, a), ""), type);
    if (v_has (e, "nodeName"))
      v_check_name (v, CHILD (at, "nodeName"), v_string (e, "nodeName"), name_dns1123_subdomain);
    if (v_has (e, "hostname"))
      v_check_name (v, CHILD (at, "hostname"), v_string (e, "hostname"), name_dns1123_label);
  }
  for (size_t i = 0; i < value_count (ports) && i < 20000; i++) {
    const struct value *p = value_at (ports, i);
    const char *name = v_string (p, "name");
    vpath_t at = INDEX (CHILD (NULL, "ports"), i);
    if (name[0])
      v_check_name (v, CHILD (at, "name"), name, name_dns1123_label);
    if (v_seen (ports, i, "name", name))
      v_duplicate (v, CHILD (at, "name"), name);
    v_one_of (v, CHILD (at, "protocol"), v_string (p, "protocol"), protocols);
  }
}

/* ---- Ingress ---- */

static void
resource_ref (struct validation *v, vpath_t at, const struct value *ref)
{
  if (!v_string (ref, "kind")[0])
    v_required (v, CHILD (at, "kind"), "kind is required");
  if (!v_string (ref, "name")[0])
    v_required (v, CHILD (at, "name"), "name is required");
}

static void
ingress_backend (struct validation *v, vpath_t at, const struct value *backend)
{
  const struct value *service = value_get (backend, "service"), *port = value_get (service, "port");
  bool resource = v_has (backend, "resource");
  if (resource && service) {
    v_invalid_string (v, at, "", "cannot set both resource and service backends");
    return;
  }
  if (resource) {
    resource_ref (v, CHILD (at, "resource"), value_get (backend, "resource"));
    return;
  }
  if (value_is_null (service)) {
    v_invalid_string (v, at, "", "resource or service backend is required");
    return;
  }
  vpath_t here = CHILD (at, "service");
  const char *name = v_string (port, "name");
  if (!v_string (service, "name")[0])
    v_required (v, CHILD (here, "name"), NULL);
  else
    v_check_name (v, CHILD (here, "name"), v_string (service, "name"), name_dns1035_label);
  if (name[0] && v_int (port, "number") != 0)
    v_invalid_string (v, at, "", "cannot set both port name & port number");
  else if (name[0])
    v_check_name (v, CHILD (CHILD (here, "port"), "name"), name, name_port);
  else if (v_int (port, "number") != 0)
    v_port (v, CHILD (CHILD (here, "port"), "number"), v_int (port, "number"));
  else
    v_required (v, at, "port name or number is required");
}

static void
ingress_path (struct validation *v, vpath_t at, const struct value *path)
{
  static const char *const types[] = { "Exact", "ImplementationSpecific", "Prefix", NULL };
  const char *type = v_string (path, "pathType"), *p = v_string (path, "path");
  if (!v_has (path, "pathType")) {
    v_required (v, CHILD (at, "pathType"), "pathType must be specified");
    return;
  }
  if (!v_in (type, types))
    v_not_supported (v, CHILD (at, "pathType"), type, types);
  bool any = strcmp (type, "ImplementationSpecific") == 0;
  if (p[0] != '/' && (!any || p[0]))
    v_invalid_string (v, CHILD (at, "path"), p, "must be an absolute path");
  for (const char *const *bad = LIST ("//", "/./", "/../", "%2f", "%2F"); *bad && !any; bad++)
    if (strstr (p, *bad)) {
      char text[48];
      snprintf (text, sizeof text, "must not contain '%s'", *bad);
      v_invalid_string (v, CHILD (at, "path"), p, text);
    }
  ingress_backend (v, CHILD (at, "backend"), value_get (path, "backend"));
}

static void
ingress_host (struct validation *v, vpath_t at, const char *host)
{
  if (v_ip (host, NULL))
    v_invalid_string (v, at, host, "must be a DNS name, not an IP address");
  v_check_name (v, at, host, strchr (host, '*') ? name_wildcard_subdomain : name_dns1123_subdomain);
}

void
validate_ingress (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *rules = value_get (spec, "rules"), *tls = value_get (spec, "tls");
  vpath_t at = CHILD (NULL, "spec");
  if (value_count (rules) == 0 && !v_has (spec, "defaultBackend"))
    v_invalid (v, at, rules, "either `defaultBackend` or `rules` must be specified");
  if (v_has (spec, "defaultBackend"))
    ingress_backend (v, CHILD (at, "defaultBackend"), value_get (spec, "defaultBackend"));
  for (size_t i = 0; i < value_count (rules); i++) {
    const struct value *r = value_at (rules, i), *paths = value_path (r, "http.paths");
    vpath_t here = INDEX (CHILD (at, "rules"), i), list = CHILD (CHILD (here, "http"), "paths");
    if (v_string (r, "host")[0])
      ingress_host (v, CHILD (here, "host"), v_string (r, "host"));
    if (v_has (r, "http") && value_count (paths) == 0)
      v_required (v, list, NULL);
    for (size_t p = 0; p < value_count (paths); p++)
      ingress_path (v, INDEX (list, p), value_at (paths, p));
  }
  for (size_t i = 0; i < value_count (tls); i++) {
    const struct value *hosts = value_get (value_at (tls, i), "hosts");
    vpath_t here = INDEX (CHILD (at, "tls"), i);
    for (size_t h = 0; h < value_count (hosts); h++) {
      const char *host = value_as_string (value_at (hosts, h), "");
      v_check_name (v, INDEX (CHILD (here, "hosts"), h), host, strchr (host, '*') ? name_wildcard_subdomain : name_dns1123_subdomain);
    }
    if (v_string (value_at (tls, i), "secretName")[0])
      v_check_name (v, CHILD (here, "secretName"), v_string (value_at (tls, i), "secretName"), name_dns1123_subdomain);
  }
  if (v_has (spec, "ingressClassName"))
    v_check_name (v, CHILD (at, "ingressClassName"), v_string (spec, "ingressClassName"), name_dns1123_subdomain);
}

void
validate_ingress_class (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec");
  const char *controller = v_string (spec, "controller"), *slash = strchr (controller, '/');
  vpath_t at = CHILD (CHILD (NULL, "spec"), "controller");
  if (strlen (controller) > 250)
    v_too_long (v, at, 250);
  if (!controller[0])
    v_required (v, at, NULL);
  else if (!slash || slash == controller || !slash[1])
    v_invalid_string (v, at, controller, "must be a domain-prefixed path (such as \"acme.io/foo\")");
  if (v_has (spec, "parameters"))
    resource_ref (v, CHILD (CHILD (NULL, "spec"), "parameters"), value_get (spec, "parameters"));
  if (v->old)
    v_immutable (v, at, value_get (spec, "controller"), value_path (v->old, "spec.controller"));
}

/* ---- NetworkPolicy ---- */

static bool
strict_subset (const char *inner, const char *outer)
{
  uint8_t a[16] = { 0 }, b[16] = { 0 };
  char text[64];
  const char *s[2] = { inner, outer };
  uint8_t *out[2] = { a, b };
  long bits[2];
  int family[2] = { 0, 0 };
  for (int i = 0; i < 2; i++) {
    const char *slash = strchr (s[i], '/');
    if (!v_cidr (s[i], &family[i]))
      return false;
    memcpy (text, s[i], (size_t) (slash - s[i]));
    text[slash - s[i]] = 0;
    inet_pton (family[i] == 4 ? AF_INET : AF_INET6, text, out[i]);
    bits[i] = strtol (slash + 1, NULL, 10);
  }
  for (long i = 0; i < bits[1]; i++)
    if ((a[i / 8] ^ b[i / 8]) & (0x80 >> i % 8))
      return false;
  return family[0] == family[1] && bits[1] < bits[0];
}

static void
policy_peer (struct validation *v, vpath_t at, const struct value *peer)
{
  const struct value *block = value_get (peer, "ipBlock"), *except = value_get (block, "except");
  int n = v_has (peer, "podSelector") + v_has (peer, "namespaceSelector") + v_has (peer, "ipBlock");
  vpath_t here = CHILD (at, "ipBlock");
  v_label_selector (v, CHILD (at, "podSelector"), value_get (peer, "podSelector"));
  v_label_selector (v, CHILD (at, "namespaceSelector"), value_get (peer, "namespaceSelector"));
  if (n == 0)
    v_required (v, at, "must specify a peer");
  else if (n > 1 && block)
    v_forbidden (v, at, "may not specify both ipBlock and another peer");
  if (value_is_null (block))
    return;
  const char *cidr = v_string (block, "cidr");
  if (!cidr[0])
    v_required (v, CHILD (here, "cidr"), NULL);
  else if (!v_cidr (cidr, NULL))
    v_invalid_string (v, CHILD (here, "cidr"), cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
  else
    for (size_t i = 0; i < value_count (except); i++) {
      const char *e = value_as_string (value_at (except, i), "");
      if (!v_cidr (e, NULL))
        v_invalid_string (v, INDEX (CHILD (here, "except"), i), e, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
      else if (!strict_subset (e, cidr))
        v_invalid_string (v, INDEX (CHILD (here, "except"), i), e, "must be a strict subset of `cidr`");
    }
}

static void
policy_port (struct validation *v, vpath_t at, const struct value *port)
{
  const struct value *number = value_get (port, "port");
  if (v_has (port, "protocol") && !v_in (v_string (port, "protocol"), protocols))
    v_not_supported (v, CHILD (at, "protocol"), v_string (port, "protocol"), LIST ("TCP", "UDP", "SCTP"));
  if (!value_is_null (number))
    v_port_number_or_name (v, CHILD (at, "port"), number);
  if (!v_has (port, "endPort"))
    return;
  if (value_is_null (number))
    v_required (v, CHILD (at, "port"), "may not be empty when `endPort` is specified");
  else if (value_is (number, VALUE_STRING))
    v_invalid (v, CHILD (at, "endPort"), value_get (port, "endPort"), "may not be specified when `port` is non-numeric");
  else if (v_int (port, "endPort") < value_as_int (number, 0))
    v_invalid (v, CHILD (at, "endPort"), value_get (port, "endPort"), "must be greater than or equal to `port`");
}

void
validate_network_policy (struct validation *v)
{
  static const char *const sides[2][2] = { { "ingress", "from" }, { "egress", "to" } };
  const struct value *spec = value_get (v->obj, "spec"), *types = value_get (spec, "policyTypes");
  vpath_t at = CHILD (NULL, "spec");
  v_label_selector (v, CHILD (at, "podSelector"), value_get (spec, "podSelector"));
  for (int s = 0; s < 2; s++) {
    const struct value *rules = value_get (spec, sides[s][0]);
    for (size_t i = 0; i < value_count (rules); i++) {
      const struct value *ports = value_get (value_at (rules, i), "ports"), *peers = value_get (value_at (rules, i), sides[s][1]);
      vpath_t here = INDEX (CHILD (at, sides[s][0]), i);
      for (size_t p = 0; p < value_count (ports); p++)
        policy_port (v, INDEX (CHILD (here, "ports"), p), value_at (ports, p));
      for (size_t p = 0; p < value_count (peers); p++)
        policy_peer (v, INDEX (CHILD (here, sides[s][1]), p), value_at (peers, p));
    }
  }
  if (value_count (types) > 2)
    v_invalid (v, CHILD (at, "policyTypes"), types, "may not specify more than two policyTypes");
  for (size_t i = 0; i < value_count (types) && i < 2; i++)
    if (!v_in (value_as_string (value_at (types, i), ""), LIST ("Ingress", "Egress")))
      v_not_supported (v, INDEX (CHILD (at, "policyTypes"), i), value_as_string (value_at (types, i), ""), LIST ("Ingress", "Egress"));
}
