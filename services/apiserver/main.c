/* kubus-apiserver: the API over HTTPS and over the bus. */
#include <malloc.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/pki.h"
#include "base/tls.h"
#include "services/apiserver/front.h"
#include "services/common/service.h"
#include "storage/client.h"

struct config {
  struct service_list bind;
  int64_t port;
  const char *cert, *key, *client_ca, *sa_public, *sa_private, *issuer, *service_cidr, *node_ports, *advertise, *listen, *cluster_domain;
  struct service_list store;
};

#define TEXT(name, field, default_, help) {name, SERVICE_STRING, offsetof (struct config, field), default_, 0, 0, help}
static const struct service_option options[] = {
    {"bind-address", SERVICE_LIST, offsetof (struct config, bind), "0.0.0.0", 0, 0, "addresses to listen on"},
    {"secure-port", SERVICE_INT, offsetof (struct config, port), "6443", 0, 65535, "HTTPS port (0: any)"},
    TEXT ("tls-cert-file", cert, "$DIR/pki/apiserver.crt", "certificate to serve with"),
    TEXT ("tls-private-key-file", key, "$DIR/pki/apiserver.key", "its key"),
    TEXT ("client-ca-file", client_ca, "$DIR/pki/ca.crt", "authority of client certificates"),
    TEXT ("service-account-key-file", sa_public, "$DIR/pki/sa.pub", "verifies service account tokens"),
    TEXT ("service-account-signing-key-file", sa_private, "$DIR/pki/sa.key", "signs them"),
    TEXT ("service-account-issuer", issuer, "https://kubernetes.default.svc.cluster.local", "issuer of tokens"),
    TEXT ("service-cluster-ip-range", service_cidr, "10.96.0.0/16", "addresses of Services"),
    TEXT ("service-node-port-range", node_ports, "30000-32767", "ports of NodePort Services"),
    TEXT ("advertise-address", advertise, "127.0.0.1", "where pods and nodes reach this server"),
    TEXT ("cluster-domain", cluster_domain, "cluster.local", "DNS domain of the cluster"),
    TEXT ("listen", listen, "ipc://$DIR/run/apiserver.sock", "address of the bus front"),
    {"store-server", SERVICE_LIST, offsetof (struct config, store), "store@ipc://$DIR/run/store.sock", 0, 0, "the store's members for writes, NAME@ADDRESS,..."},
    {NULL, SERVICE_STRING, 0, NULL, 0, 0, NULL},
};

struct daemon {
  struct service_context *ctx;
  struct apiserver server;
  struct front front;
  struct bus_subscription *subscription;
  char advertise[300];
};

static void
count (struct request *rq)
{
  struct front *f = rq->server->front;
  f->answers[0]++;
  if (rq->code >= 100 && rq->code < 600)
    f->answers[rq->code / 100]++;
}

static int
check (const void *config, struct err *err)
{
  const struct config *c = config;
  int first, last;
  unsigned b[4], bits;
  if (sscanf (c->node_ports, "%d-%d", &first, &last) != 2 || first < 1 || last > 65535 || first > last)
    return err_set (err, ERR_INVALID, "--service-node-port-range: \"%s\" is not FIRST-LAST", c->node_ports);
  if (sscanf (c->service_cidr, "%u.%u.%u.%u/%u", &b[0], &b[1], &b[2], &b[3], &bits) != 5 || b[0] > 255 || b[1] > 255 || b[2] > 255 || b[3] > 255 || bits < 8 || bits > 30)
    return err_set (err, ERR_INVALID, "--service-cluster-ip-range: \"%s\" is not an IPv4 range of /8 to /30", c->service_cidr);
  return 0;
}

static void
daemon_close (void *self)
{
  struct daemon *d = self;
  bus_subscription_free (d->subscription);
  http_server_free (d->front.https);
  bus_server_free (d->front.bus);
  watch_caches_free (d->server.caches);
  if (d->server.store)
    d->server.store->vt->free (d->server.store);
  document_free (d->front.documents);
  tls_unref (d->front.tls);
  EVP_PKEY_free (d->front.sa_public);
  EVP_PKEY_free (d->front.sa_private);
  free (d);
}

static void
bootstrapped (void *arg)
{
  struct daemon *d = arg;
  service_ready (d->ctx);
}

static int
open_keys (struct daemon *d, const struct config *c, struct err *err)
{
  const struct tls_config tls = {.cert_file = c->cert, .key_file = c->key, .ca_file = c->client_ca};
  int r;
  if (!(d->front.tls = tls_server_new (&tls, err)))
    return err->code;
  if ((r = pki_read_public_key (c->sa_public, &d->front.sa_public, err)))
    return r;
  return pki_read_key (c->sa_private, &d->front.sa_private, err);
}

static int
open_server (struct daemon *d, const struct config *c, struct err *err)
{
  struct apiserver *s = &d->server;
  s->loop = d->ctx->loop;
  s->front = &d->front;
  s->config = (struct apiserver_config){.service_cidr = c->service_cidr, .cluster_domain = c->cluster_domain};
  (void) sscanf (c->node_ports, "%d-%d", &s->config.node_port_first, &s->config.node_port_last);
  s->hooks = (struct apiserver_hooks){.authenticate = authn_authenticate, .allowed = authz_allowed, .document = document_serve, .virtual_ = virtual_serve, .finished = count};
  snprintf (d->advertise, sizeof d->advertise, "%s:%d", c->advertise, (int) c->port);
  d->front.server = s;
  d->front.issuer = c->issuer;
  d->front.advertise = d->advertise;
  if (!(s->caches = watch_caches_new ()))
    return err_set (err, ERR_NOMEM, "watch cache");
  if (!(s->store = store_client_new (d->ctx->bus, c->store.items, c->store.count, err)))
    return err->code;
  return (d->subscription = bus_subscribe (d->ctx->source, "", 0, &watch_caches_subscriber, s->caches, err)) ? 0 : err->code;
}

static int
open_fronts (struct daemon *d, const struct config *c, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  const char *listen[33] = {NULL};
  int r;
  for (size_t i = 0; i < c->bind.count; i++)
    listen[i] = arena_printf (&a, strchr (c->bind.items[i], ':') ? "[%s]:%d" : "%s:%d", c->bind.items[i], (int) c->port);
  if (!arena_ok (&a))
    return err_set (err, ERR_NOMEM, "listen");
  return (r = front_https_open (&d->front, listen, err)) ? r : front_bus_open (&d->front, d->ctx->bus, c->listen, err);
}

static void *
daemon_open (struct service_context *ctx, struct err *err)
{
  const struct config *c = ctx->config;
  struct daemon *d = calloc (1, sizeof *d);
  if (!d) {
    err_set (err, ERR_NOMEM, "open");
    return NULL;
  }
  mallopt (M_ARENA_MAX, 2);
  d->ctx = ctx;
  service_hold_ready (ctx);
  if (open_keys (d, c, err) || open_server (d, c, err) || open_fronts (d, c, err) || bootstrap_start (&d->front, bootstrapped, d, err)) {
    daemon_close (d);
    return NULL;
  }
  return d;
}

int
main (int argc, char **argv)
{
  static const struct service service = {
      .name = "kubus-apiserver",
      .default_identity = "apiserver",
      .help = "the Kubernetes API over HTTPS and the bus",
      .options = options,
      .config_size = sizeof (struct config),
      .want_bus = true,
      .want_source = true,
      .check = check,
      .open = daemon_open,
      .close = daemon_close,
  };
  return service_main (argc, argv, &service);
}
