#include "services/dns/dns_io.h"

#include <ctype.h>
#include <net/if.h>
#include <unistd.h>

#include "base/log.h"
#include "base/proc.h"
#include "services/common/informer.h"
#include "services/dns/dns_decide.h"
#include "services/dns/dns_forward.h"
#include "services/dns/dns_server.h"

#define CHASE_RECORDS 64

enum { SERVICES, SLICES, NAMESPACES, N_INFORMERS };

struct dns {
  struct service_context *ctx;
  struct informer *informers[N_INFORMERS];
  struct dns_server *server;
  struct dns_forward *forward;
  struct dns_view view;
  unsigned turn;
  bool ready;
};

/* ---- the snapshot ---- */

static void
service_ips (const struct value *s, void (*add) (void *ctx, const char *key), void *ctx)
{
  const struct value *ips = value_path (s, "spec.clusterIPs");
  const char *ip = value_path_string (s, "spec.clusterIP", "");
  if (!value_count (ips) && *ip)
    add (ctx, ip);
  for (value_items (ips, i))
    add (ctx, value_as_string (*i, ""));
}

static void
slice_service (const struct value *slice, void (*add) (void *ctx, const char *key), void *ctx)
{
  const char *name = value_as_string (value_get (value_path (slice, "metadata.labels"), "kubernetes.io/service-name"), "");
  char key[640];
  snprintf (key, sizeof key, "%s/%s", value_path_string (slice, "metadata.namespace", ""), name);
  if (*name)
    add (ctx, key);
}

static void
slice_ips (const struct value *slice, void (*add) (void *ctx, const char *key), void *ctx)
{
  for (value_items (value_get (slice, "endpoints"), e))
    if (value_path (*e, "addresses.0"))
      add (ctx, value_as_string (value_path (*e, "addresses.0"), ""));
}

static const struct value *
find_service (void *arg, struct arena *a, const char *ns, const char *name)
{
  struct dns *d = arg;
  struct object *o = informer_get (d->informers[SERVICES], ns, name);
  return o ? object_value (o, a) : NULL;
}

struct gather {
  struct arena *a;
  const struct value **out;
  size_t n, max;
};

static bool
gather (void *arg, struct object *o)
{
  struct gather *g = arg;
  const struct value *v = object_value (o, g->a);
  if (v)
    g->out[g->n++] = v;
  return g->n < g->max;
}

static size_t
find_slices (void *arg, struct arena *a, const char *ns, const char *name, const struct value **out, size_t max)
{
  struct dns *d = arg;
  struct gather g = { a, out, 0, max };
  char key[640];
  snprintf (key, sizeof key, "%s/%s", ns, name);
  informer_by_index (d->informers[SLICES], "service", key, gather, &g);
  return g.n;
}

static bool
has_namespace (void *arg, const char *ns)
{
  struct dns *d = arg;
  return informer_get (d->informers[NAMESPACES], NULL, ns) != NULL;
}

static const struct value *
first_by (struct informer *i, struct arena *a, const char *index, const char *key)
{
  const struct value *v = NULL;
  struct gather g = { a, &v, 0, 1 };
  informer_by_index (i, index, key, gather, &g);
  return v;
}

static const struct value *
service_by_ip (void *arg, struct arena *a, const char *ip)
{
  return first_by (((struct dns *) arg)->informers[SERVICES], a, "ip", ip);
}

static const struct value *
slice_by_ip (void *arg, struct arena *a, const char *ip)
{
  return first_by (((struct dns *) arg)->informers[SLICES], a, "ip", ip);
}

/* ---- questions ---- */

static void
fail (struct dns_request *rq)
{
  dns_server_reply (rq, &(struct dns_answer){ .rcode = DNS_SERVFAIL });
}

static void
forwarded (void *arg, const uint8_t *response, size_t n)
{
  if (response)
    dns_server_pass (arg, response, n);
  else
    fail (arg);
}

/* A CNAME of ours whose target is outside: our record, then theirs. */
struct chase {
  struct dns_request *rq;
  struct dns_record cname;
  char owner[DNS_NAME_TEXT], target[DNS_NAME_TEXT];
};

static void
chased (void *arg, const uint8_t *response, size_t n)
{
  struct chase *c = arg;
  struct dns_record *records = mem_zalloc ((CHASE_RECORDS + 1) * sizeof *records);
  char (*scratch)[2][DNS_NAME_TEXT] = mem_zalloc (CHASE_RECORDS * sizeof *scratch);
  struct dns_answer answer = { .authoritative = true, .answers = records, .n_answers = 1 };
  uint16_t id;
  size_t count = 0;
  bool truncated;
  if (!records || !scratch || !response
      || dns_response_parse (response, n, &id, &answer.rcode, &truncated, records + 1, scratch, CHASE_RECORDS, &count, NULL) != 0) {
    fail (c->rq);
  } else {
    records[0] = c->cname;
    answer.n_answers += count;
    dns_server_reply (c->rq, &answer);
  }
  free (records);
  free (scratch);
  free (c);
}

static void
chase (struct dns *d, struct dns_request *rq, const struct dns_decision *k)
{
  struct chase *c = k->answer.n_answers == 1 ? mem_zalloc (sizeof *c) : NULL;
  if (!c) {
    fail (rq);
    return;
  }
  c->rq = rq;
  c->cname = k->answer.answers[0];
  snprintf (c->owner, sizeof c->owner, "%s", c->cname.name);
  snprintf (c->target, sizeof c->target, "%s", c->cname.target);
  c->cname.name = c->owner;
  c->cname.target = c->target;
  dns_forward_ask (d->forward, c->target, rq->query.question.type, chased, c);
}

static void
question (void *arg, struct dns_request *rq)
{
  struct dns *d = arg;
  AUTO_ARENA struct arena a = { 0 };
  struct dns_decision k;
  arena_init (&a, 16u << 20);
  if (!d->ready || dns_decide (&d->view, &rq->query.question, d->turn++, &a, &k, NULL) != 0)
    fail (rq); /* not synced yet: a wrong NXDOMAIN would be remembered */
  else if (k.verdict == DNS_FORWARD)
    dns_forward_ask (d->forward, rq->query.question.name, rq->query.question.type, forwarded, rq);
  else if (k.verdict == DNS_CHASE)
    chase (d, rq, &k);
  else
    dns_server_reply (rq, &k.answer);
}

static void
changed (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  (void) arg;
  (void) old;
  (void) new_;
  (void) revision;
}

static void
synced (void *arg)
{
  struct dns *d = arg;
  for (int i = 0; i < N_INFORMERS; i++)
    if (!d->informers[i] || !informer_synced (d->informers[i]))
      return;
  if (!d->ready)
    service_ready (d->ctx);
  d->ready = true;
}

/* ---- opening ---- */

/* An interface that holds the addresses, so that they are the node's own whatever runs: a bridge without ports, since pods need
   bridges anyway and kernels without dummy interfaces exist. */
static int
make_interface (const struct dns_options *o, struct err *err)
{
  const char *add[] = { "ip", "link", "add", o->bind_interface, "type", "bridge", NULL };
  const char *up[] = { "ip", "link", "set", o->bind_interface, "up", NULL };
  AUTO_BUF struct buf text = BUF_INIT;
  if (!*o->bind_interface || geteuid () != 0)
    return 0; /* binding tells whether the address is there */
  if (!if_nametoindex (o->bind_interface)
      && proc_run (&(struct proc_config){ .argv = add, .timeout_ms = 5000, .err = { PROC_CAPTURE, 0 } }, NULL, &text, NULL) != 0)
    return err_set (err, ERR_IO, "make interface %s: %s", o->bind_interface, buf_cstr (&text));
  for (size_t i = 0; i < o->addresses.count; i++) {
    AUTO_FREE char *prefix = mem_printf ("%s/%d", o->addresses.items[i], strchr (o->addresses.items[i], ':') ? 128 : 32);
    const char *address[] = { "ip", "addr", "replace", prefix, "dev", o->bind_interface, NULL };
    buf_reset (&text);
    if (!strncmp (o->addresses.items[i], "127.", 4))
      continue;
    if (!prefix || proc_run (&(struct proc_config){ .argv = address, .timeout_ms = 5000, .err = { PROC_CAPTURE, 0 } }, NULL, &text, NULL) != 0)
      return err_set (err, ERR_IO, "give %s to %s: %s", o->addresses.items[i], o->bind_interface, buf_cstr (&text));
  }
  if (proc_run (&(struct proc_config){ .argv = up, .timeout_ms = 5000, .err = { PROC_CAPTURE, 0 } }, NULL, &text, NULL) != 0)
    return err_set (err, ERR_IO, "set up interface %s: %s", o->bind_interface, buf_cstr (&text));
  return 0;
}

int
dns_check (const void *options, struct err *err)
{
  const struct dns_options *o = options;
  if (strlen (o->bind_interface) >= IF_NAMESIZE || *o->bind_interface == '-')
    return err_set (err, ERR_INVALID, "--bind-interface: \"%.64s\" is no name of an interface", o->bind_interface);
  for (const char *p = o->domain; *p; p++)
    if (!islower ((unsigned char) *p) && !isdigit ((unsigned char) *p) && *p != '-' && *p != '.')
      return err_set (err, ERR_INVALID, "--cluster-domain: \"%.64s\" is no domain", o->domain);
  return *o->domain && o->addresses.count ? 0 : err_set (err, ERR_INVALID, "--address and --cluster-domain must not be empty");
}

static int
open_upstreams (struct dns *d, const struct dns_options *o, struct err *err)
{
  struct err soft = { 0 };
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < o->upstreams.count; i++)
    rc = dns_forward_add (d->forward, o->upstreams.items[i], err);
  if (rc != 0)
    return rc;
  if (!o->upstreams.count && dns_forward_read (d->forward, o->resolv_conf, o->addresses.items, o->addresses.count, &soft) != 0)
    log_warn ("no upstream resolvers, ignoring", "error=\"%s\"", soft.text);
  else if (!dns_forward_count (d->forward))
    log_warn ("no upstream resolvers: names outside the cluster are not resolved", "file=%s", o->resolv_conf);
  return 0;
}

struct dns *
dns_open (struct service_context *ctx, struct err *err)
{
  static const char *const prefixes[N_INFORMERS] = { "services", "endpointslices.discovery.k8s.io", "namespaces" };
  const struct dns_options *o = ctx->config;
  struct dns *d = mem_zalloc (sizeof *d);
  bool ok;
  if (!d) {
    (void) err_set (err, ERR_NOMEM, "%s", "");
    return NULL;
  }
  d->ctx = ctx;
  d->view = (struct dns_view){ o->domain, d, find_service, find_slices, has_namespace, service_by_ip, slice_by_ip };
  ok = make_interface (o, err) == 0 && (d->forward = dns_forward_new (ctx->loop, err)) && open_upstreams (d, o, err) == 0
       && (d->server = dns_server_new (ctx->loop, question, d, err));
  for (size_t i = 0; ok && i < o->addresses.count; i++)
    ok = dns_server_listen (d->server, o->addresses.items[i], (int) o->port, NULL, err) == 0;
  for (int i = 0; ok && i < N_INFORMERS; i++)
    ok = (d->informers[i] = informer_new (ctx->source, prefixes[i], NULL, changed, synced, d, err)) != NULL;
  if (ok && (informer_add_index (d->informers[SERVICES], "ip", service_ips) != 0 || informer_add_index (d->informers[SLICES], "service", slice_service) != 0
             || informer_add_index (d->informers[SLICES], "ip", slice_ips) != 0)) {
    (void) err_set (err, ERR_NOMEM, "%s", "");
    ok = false;
  }
  if (!ok) {
    dns_close (d);
    return NULL;
  }
  return d;
}

void
dns_close (struct dns *d)
{
  if (!d)
    return;
  dns_forward_free (d->forward);
  dns_server_free (d->server);
  for (int i = 0; i < N_INFORMERS; i++)
    informer_free (d->informers[i]);
  free (d);
}
