#include "services/dns/dns_decide.h"

#include <arpa/inet.h>

#define LABELS_MAX 128
#define CHASE_MAX 8

struct work {
  const struct dns_view *view;
  const struct dns_question *q;
  struct arena *a;
  unsigned turn;
  struct dns_record *answers, *additional;
  size_t n_answers, n_additional;
  bool exists; /* the name does, whatever its types */
  const char *chase;
};

/* ---- names ---- */

/* Is name below (or at) zone? ret_len: bytes of what stands before it. */
static bool
in_zone (const char *name, const char *zone, size_t *ret_len)
{
  size_t n = strlen (name), z = strlen (zone);
  if (n < z || strcmp (name + n - z, zone) != 0 || (n > z && name[n - z - 1] != '.'))
    return false;
  *ret_len = n > z ? n - z - 1 : 0;
  return true;
}

static size_t
split (struct work *w, const char *text, size_t len, char **labels)
{
  char *p = len ? arena_strndup (w->a, text, len) : NULL;
  size_t n = 0;
  while (p && n < LABELS_MAX)
    labels[n++] = strsep (&p, ".");
  return n;
}

/* "10-244-0-2" or "2001-db8--1" to the address. */
static const char *
dashed_ip (struct work *w, const char *label)
{
  char *v4 = arena_strdup (w->a, label), *v6 = arena_strdup (w->a, label);
  uint8_t bytes[16];
  for (char *p = v4; p && *p; p++)
    *p = *p == '-' ? '.' : *p;
  for (char *p = v6; p && *p; p++)
    *p = *p == '-' ? ':' : *p;
  if (v4 && inet_pton (AF_INET, v4, bytes) == 1)
    return v4;
  return v6 && inet_pton (AF_INET6, v6, bytes) == 1 ? v6 : NULL;
}

static const char *
endpoint_label (struct work *w, const struct value *e)
{
  const char *host = value_path_string (e, "hostname", "");
  char *dashed;
  if (*host)
    return host;
  dashed = arena_strdup (w->a, value_as_string (value_path (e, "addresses.0"), ""));
  for (char *p = dashed; p && *p; p++)
    *p = *p == '.' || *p == ':' ? '-' : *p;
  return dashed;
}

/* ---- records ---- */

static void
add (struct work *w, bool additional, const struct dns_record *r)
{
  struct dns_record **list = additional ? &w->additional : &w->answers;
  size_t *n = additional ? &w->n_additional : &w->n_answers;
  if (!*list)
    *list = arena_zalloc (w->a, DNS_RECORDS_MAX * sizeof **list);
  if (*list && r->name && *n < DNS_RECORDS_MAX)
    (*list)[(*n)++] = *r;
}

static void
add_address (struct work *w, bool additional, const char *name, const char *ip)
{
  struct dns_record r = { .name = name, .ttl = DNS_TTL_S };
  bool any = additional || w->q->type == DNS_ANY;
  w->exists = true;
  if (inet_pton (AF_INET, ip, r.address) == 1)
    r.type = DNS_A;
  else if (inet_pton (AF_INET6, ip, r.address) == 1)
    r.type = DNS_AAAA;
  else
    return;
  if (any || w->q->type == r.type)
    add (w, additional, &r);
}

static void
add_target (struct work *w, uint16_t type, const char *name, const char *target)
{
  w->exists = true;
  if (target && (w->q->type == type || w->q->type == DNS_ANY || type == DNS_CNAME))
    add (w, false, &(struct dns_record){ .name = name, .type = type, .ttl = DNS_TTL_S, .target = target });
}

static void
add_srv (struct work *w, const char *target, int64_t port)
{
  w->exists = true;
  if ((w->q->type == DNS_SRV || w->q->type == DNS_ANY) && target)
    add (w, false,
         &(struct dns_record){ .name = w->q->name, .type = DNS_SRV, .ttl = DNS_TTL_S, .target = target, .weight = 100, .port = (uint16_t) port });
}

/* ---- services ---- */

struct service {
  const char *ns, *name, *fqdn;
  const struct value *tree;
  bool headless;
};

/* One SRV target a port that fits; port and proto NULL: every one. */
static bool
port_fits (const struct value *p, const char *port, const char *proto)
{
  return !port || (!strcasecmp (value_path_string (p, "name", ""), port) && !strcasecmp (value_path_string (p, "protocol", "TCP"), proto));
}

static void
of_endpoint (struct work *w, const struct service *s, const struct value *slice, const struct value *e, const char *host, const char *port, const char *proto)
{
  const char *label = endpoint_label (w, e), *name;
  const char *dashed_host = host ? dashed_ip (w, host) : NULL;
  bool published = value_path_bool (s->tree, "spec.publishNotReadyAddresses", false);
  if (!published && !value_path_bool (e, "conditions.ready", true))
    return;
  if (host && strcmp (host, label ? label : "") != 0 && !(dashed_host && value_string_is (value_path (e, "addresses.0"), dashed_host)))
    return;
  if (!port)
    for (value_items (value_get (e, "addresses"), ip))
      add_address (w, false, w->q->name, value_as_string (*ip, ""));
  if (w->q->type != DNS_SRV && w->q->type != DNS_ANY && !port)
    return;
  name = arena_printf (w->a, "%s.%s", label ? label : "", s->fqdn);
  for (value_items (value_get (slice, "ports"), p))
    if (port_fits (*p, port, proto)) {
      add_srv (w, name, value_path_int (*p, "port", 0));
      for (value_items (value_get (e, "addresses"), ip))
        if (w->q->type == DNS_SRV)
          add_address (w, true, name, value_as_string (*ip, ""));
    }
}

static void
of_endpoints (struct work *w, const struct service *s, const char *host, const char *port, const char *proto)
{
  const struct value **slices = arena_zalloc (w->a, DNS_SLICES_MAX * sizeof *slices);
  size_t n = slices ? w->view->slices (w->view->arg, w->a, s->ns, s->name, slices, DNS_SLICES_MAX) : 0;
  for (size_t i = 0; i < n; i++)
    for (value_items (value_get (slices[i], "endpoints"), e))
      of_endpoint (w, s, slices[i], *e, host, port, proto);
}

static void
of_cluster_ip (struct work *w, const struct service *s, const char *port, const char *proto)
{
  const struct value *ips = value_path (s->tree, "spec.clusterIPs");
  bool srv = w->q->type == DNS_SRV;
  if (!port && !value_count (ips))
    add_address (w, false, w->q->name, value_path_string (s->tree, "spec.clusterIP", ""));
  for (value_items (ips, ip))
    if (!port)
      add_address (w, false, w->q->name, value_as_string (*ip, ""));
  for (value_items (value_path (s->tree, "spec.ports"), p))
    if (port_fits (*p, port, proto))
      add_srv (w, s->fqdn, value_path_int (*p, "port", 0));
  if (srv && w->n_answers && !value_count (ips))
    add_address (w, true, s->fqdn, value_path_string (s->tree, "spec.clusterIP", ""));
  for (value_items (ips, ip))
    if (srv && w->n_answers)
      add_address (w, true, s->fqdn, value_as_string (*ip, ""));
}

static void of_name (struct work *w, int depth);

static void
of_external_name (struct work *w, const struct service *s, int depth)
{
  const char *external = value_path_string (s->tree, "spec.externalName", "");
  size_t len = strlen (external), before;
  struct dns_question inner = { .type = w->q->type, .class_ = w->q->class_ };
  const struct dns_question *outer = w->q;
  if (len && external[len - 1] == '.')
    len--;
  if (len == 0 || len >= sizeof inner.name)
    return;
  for (size_t i = 0; i < len; i++)
    inner.name[i] = (char) (external[i] >= 'A' && external[i] <= 'Z' ? external[i] + 32 : external[i]);
  add_target (w, DNS_CNAME, arena_strdup (w->a, w->q->name), arena_strdup (w->a, inner.name));
  if (w->q->type == DNS_CNAME || w->q->type == DNS_ANY)
    return;
  if (!in_zone (inner.name, w->view->domain, &before)) {
    w->chase = arena_strdup (w->a, inner.name);
  } else if (depth < CHASE_MAX) {
    struct dns_question *kept = arena_alloc (w->a, sizeof *kept); /* records name it */
    if (!kept)
      return;
    *kept = inner;
    w->q = kept;
    of_name (w, depth + 1);
    w->q = outer;
    w->exists = true;
  }
}

/* labels: what stands before "svc". */
static void
of_service_name (struct work *w, char **labels, size_t n, int depth)
{
  const char *host = NULL, *port = NULL, *proto = NULL;
  struct service s = { .ns = n ? labels[n - 1] : "" };
  if (n <= 1) {
    w->exists = n == 0 || w->view->has_namespace (w->view->arg, s.ns);
    return;
  }
  s.name = labels[n - 2];
  if (n == 4 && labels[0][0] == '_' && labels[1][0] == '_') {
    port = labels[0] + 1;
    proto = labels[1] + 1;
  } else if (n == 3) {
    host = labels[0];
  } else if (n > 3) {
    return;
  }
  s.tree = w->view->service (w->view->arg, w->a, s.ns, s.name);
  if (!s.tree)
    return;
  s.fqdn = arena_printf (w->a, "%s.%s.svc.%s", s.name, s.ns, w->view->domain);
  s.headless = !strcmp (value_path_string (s.tree, "spec.clusterIP", ""), "None");
  if (!strcmp (value_path_string (s.tree, "spec.type", ""), "ExternalName")) {
    if (n == 2)
      of_external_name (w, &s, depth);
  } else if (s.headless || host) {
    w->exists = w->exists || (s.headless && !host && !port);
    of_endpoints (w, &s, host, port, proto);
  } else {
    of_cluster_ip (w, &s, port, proto);
  }
}

/* a-b-c-d.ns.pod: the address itself, where the namespace exists (CoreDNS: pods insecure). */
static void
of_pod_name (struct work *w, char **labels, size_t n)
{
  const char *ip = n == 2 ? dashed_ip (w, labels[0]) : NULL;
  if (n == 0 || (n <= 2 && !w->view->has_namespace (w->view->arg, labels[n - 1])) || n > 2) {
    w->exists = n == 0;
    return;
  }
  w->exists = n == 1;
  if (ip)
    add_address (w, false, w->q->name, ip);
}

static void
of_name (struct work *w, int depth)
{
  char *labels[LABELS_MAX];
  size_t len, n;
  if (!in_zone (w->q->name, w->view->domain, &len))
    return;
  n = split (w, w->q->name, len, labels);
  if (n == 0) {
    add_target (w, DNS_NS, w->q->name, arena_printf (w->a, "ns.dns.%s", w->view->domain));
  } else if (!strcmp (labels[n - 1], "svc")) {
    of_service_name (w, labels, n - 1, depth);
  } else if (!strcmp (labels[n - 1], "pod")) {
    of_pod_name (w, labels, n - 1);
  } else if (n == 1 && !strcmp (labels[0], "dns-version")) {
    w->exists = true;
    if (w->q->type == DNS_TXT || w->q->type == DNS_ANY)
      add (w, false, &(struct dns_record){ .name = w->q->name, .type = DNS_TXT, .ttl = DNS_TTL_S, .text = "1.1.0" });
  }
}

/* ---- reverse ---- */

static bool
reverse_ip (struct work *w, char out[INET6_ADDRSTRLEN])
{
  char *labels[LABELS_MAX];
  size_t len, n;
  if (in_zone (w->q->name, "in-addr.arpa", &len)) {
    n = split (w, w->q->name, len, labels);
    uint8_t bytes[4];
    if (n != 4 || snprintf (out, INET6_ADDRSTRLEN, "%.3s.%.3s.%.3s.%.3s", labels[3], labels[2], labels[1], labels[0]) < 0)
      return false;
    return inet_pton (AF_INET, out, bytes) == 1;
  }
  if (in_zone (w->q->name, "ip6.arpa", &len)) {
    uint8_t bytes[16] = { 0 };
    n = split (w, w->q->name, len, labels);
    if (n != 32)
      return false;
    for (size_t i = 0; i < 32; i++) {
      const char *hex = "0123456789abcdef", *at = labels[31 - i][0] ? strchr (hex, labels[31 - i][0]) : NULL;
      if (!at || labels[31 - i][1])
        return false;
      bytes[i / 2] = (uint8_t) (bytes[i / 2] << 4 | (at - hex));
    }
    return inet_ntop (AF_INET6, bytes, out, INET6_ADDRSTRLEN) != NULL;
  }
  return false;
}

static void
of_address (struct work *w, const char *ip)
{
  const struct value *s = w->view->service_by_ip (w->view->arg, w->a, ip), *slice = s ? NULL : w->view->slice_by_ip (w->view->arg, w->a, ip);
  if (s)
    add_target (w, DNS_PTR, w->q->name,
                arena_printf (w->a, "%s.%s.svc.%s", value_path_string (s, "metadata.name", ""), value_path_string (s, "metadata.namespace", ""), w->view->domain));
  for (value_items (value_get (slice, "endpoints"), e))
    if (value_string_is (value_path (*e, "addresses.0"), ip))
      add_target (w, DNS_PTR, w->q->name,
                  arena_printf (w->a, "%s.%s.%s.svc.%s", endpoint_label (w, *e),
                                value_as_string (value_get (value_path (slice, "metadata.labels"), "kubernetes.io/service-name"), ""),
                                value_path_string (slice, "metadata.namespace", ""), w->view->domain));
}

/* ---- the whole ---- */

/* Begins the list at another record each time, so that clients that take the first spread. CNAMEs keep their place. */
static void
rotate (struct work *w)
{
  struct dns_record *r = w->answers;
  size_t n = w->n_answers, first = 0;
  while (first < n && r[first].type == DNS_CNAME)
    first++;
  r += first;
  n -= first;
  if (n < 2)
    return;
  struct dns_record *copy = arena_alloc (w->a, n * sizeof *copy);
  for (size_t i = 0; copy && i < n; i++)
    copy[i] = r[(i + w->turn) % n];
  if (copy)
    memcpy (r, copy, n * sizeof *copy);
}

static struct dns_record *
soa (struct work *w)
{
  struct dns_record *r = arena_zalloc (w->a, sizeof *r);
  if (r)
    *r = (struct dns_record){ .name = w->view->domain,
                              .type = DNS_SOA,
                              .ttl = DNS_TTL_S,
                              .target = arena_printf (w->a, "ns.dns.%s", w->view->domain),
                              .text = arena_printf (w->a, "hostmaster.%s", w->view->domain),
                              .serial = 1,
                              .minimum = DNS_TTL_S };
  return r;
}

int
dns_decide (const struct dns_view *view, const struct dns_question *q, unsigned turn, struct arena *a, struct dns_decision *ret, struct err *err)
{
  struct work w = { .view = view, .q = q, .a = a, .turn = turn };
  struct dns_decision d = { .verdict = DNS_ANSWERED, .answer = { .authoritative = true } };
  char ip[INET6_ADDRSTRLEN];
  size_t len;
  bool ours = in_zone (q->name, view->domain, &len);
  if (ours && q->class_ == 1) {
    of_name (&w, 0);
  } else if (!ours && q->class_ == 1 && q->type == DNS_PTR && reverse_ip (&w, ip)) {
    of_address (&w, ip);
    ours = w.n_answers > 0;
  }
  if (!ours) {
    *ret = (struct dns_decision){ .verdict = DNS_FORWARD };
    return arena_ok (a) ? 0 : err_set (err, ERR_NOMEM, "%s", "");
  }
  rotate (&w);
  d.answer.answers = w.answers;
  d.answer.n_answers = w.n_answers;
  d.answer.additional = w.additional;
  d.answer.n_additional = w.n_additional;
  if (len == 0 && q->type == DNS_SOA && w.exists) {
    d.answer.answers = soa (&w);
    d.answer.n_answers = 1;
  } else if (!w.n_answers) {
    d.answer.rcode = q->class_ != 1 ? DNS_REFUSED : w.exists ? DNS_NOERROR : DNS_NXDOMAIN;
    d.answer.authority = soa (&w);
    d.answer.n_authority = 1;
  }
  if (w.chase) {
    d.verdict = DNS_CHASE;
    d.chase = w.chase;
  }
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "%s", "");
  *ret = d;
  return 0;
}
