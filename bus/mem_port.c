/* A connecting port looks for its server every CONNECT_MS until it is there. A message in flight names its receiver and
   the connection (epoch) that it belongs to: it is lost when that one is no more. */
#include "bus/mem_internal.h"

#define MS_NS 1000000
enum { CONNECT_MS = 20, NOTICE_MS = 1, HEARTBEAT_TIMEOUT_MS = 3000 };

struct mem_port {
  struct port base;
  struct mem_bus *bus;
  struct mem_port *prev, *next;
  uint64_t id;
  char address[BUS_ADDRESS_MAX], server_name[BUS_NAME_MAX + 1];
  /* of a connecting port */
  uint64_t server, epoch; /* id of the port that it is connected to, 0: none; counts connections */
  bool connecting;
  int64_t to_server_ns, from_server_ns; /* latest arrival under way, so that order is kept */
  struct map *filters; /* wanted */
  struct map *told;    /* that the publisher was told of, on this connection: present, or granted */
};
static char present[] = "x", granted[] = "g";

enum message_kind { MESSAGE_DATA, MESSAGE_SUBSCRIBE, MESSAGE_UNSUBSCRIBE, MESSAGE_ALLOWED, MESSAGE_REFUSED };
struct message {
  struct bus_mem_network *network;
  uint64_t client, epoch; /* the connection */
  bool to_server;
  enum message_kind kind;
  size_t n;
  struct bus_frame f[BUS_FRAMES_MAX];
  uint8_t data[];
};

static void try_connect (void *arg);

enum { ID_SIZE = 24 };
static const char *
id_text (uint64_t id, char out[ID_SIZE])
{
  (void) snprintf (out, ID_SIZE, "%llx", (unsigned long long) id);
  return out;
}

static struct mem_port *
port_by_id (const struct bus_mem_network *n, uint64_t id)
{
  char key[ID_SIZE];
  return id ? map_get (n->ports, id_text (id, key)) : NULL;
}

static bool
is_server (const struct mem_port *p)
{
  return p->base.kind == PORT_SERVER || p->base.kind == PORT_PUBLISHER;
}

/* ---- messages ---- */
static void
on_subscription (struct mem_port *pub, struct mem_port *sub, bool on, const char *stream);

static void
deliver (void *arg)
{
  struct message *m = arg;
  struct mem_port *client = port_by_id (m->network, m->client), *server = client ? port_by_id (m->network, client->server) : NULL;
  uint64_t route[2] = {m->client, m->epoch};
  if (!client || client->epoch != m->epoch || !server ||
      mem_is_cut (m->network, client->bus->self->p.name, server->bus->self->p.name)) {
    free (m);
    return;
  }
  if (m->kind == MESSAGE_SUBSCRIBE || m->kind == MESSAGE_UNSUBSCRIBE)
    on_subscription (server, client, m->kind == MESSAGE_SUBSCRIBE, (const char *) m->data);
  else if (m->kind != MESSAGE_DATA)
    client->base.handler->answer (client->base.arg, (const char *) m->data, m->kind == MESSAGE_ALLOWED);
  else if (m->to_server)
    server->base.handler->message (server->base.arg, client->bus->self, route, sizeof route, m->f, m->n);
  else
    client->base.handler->message (client->base.arg, NULL, NULL, 0, m->f, m->n);
  free (m);
}

static void
post (struct mem_port *client, bool to_server, enum message_kind kind, const struct bus_frame *f, size_t n, bool reorder)
{
  struct bus_mem_network *net = client->bus->network;
  const struct bus_mem_faults *fault = &net->faults;
  int64_t *last = to_server ? &client->to_server_ns : &client->from_server_ns;
  int64_t delay = (int64_t) (fault->delay_min_us + bus_mem_random (net) % (fault->delay_max_us - fault->delay_min_us + 1)) * 1000;
  size_t total = 0;
  struct message *m;
  for (size_t i = 0; i < n; i++)
    total += f[i].len;
  if (!(m = mem_zalloc (sizeof *m + total + 1)))
    return; /* lost, as messages are */
  *m = (struct message){.network = net, .client = client->id, .epoch = client->epoch, .to_server = to_server, .kind = kind, .n = n};
  total = 0;
  for (size_t i = 0; i < n; i++) {
    if (f[i].len)
      memcpy (m->data + total, f[i].data, f[i].len);
    m->f[i] = (struct bus_frame){m->data + total, f[i].len};
    total += f[i].len;
  }
  if (reorder)
    delay += (int64_t) (bus_mem_random (net) % fault->reorder_max_us) * 1000;
  else if (net->now_ns + delay < *last)
    delay = *last - net->now_ns;
  if (!reorder)
    *last = net->now_ns + delay;
  (void) mem_schedule (net, delay, deliver, free, m);
}

static void
post_data (struct mem_port *client, bool to_server, const struct bus_frame *f, size_t n, uint32_t drop, uint32_t duplicate, uint32_t reorder)
{
  struct bus_mem_network *net = client->bus->network;
  if (mem_chance (net, drop))
    return;
  post (client, to_server, MESSAGE_DATA, f, n, mem_chance (net, reorder));
  if (mem_chance (net, duplicate))
    post (client, to_server, MESSAGE_DATA, f, n, mem_chance (net, reorder));
}

int
mem_port_send (struct port *port, const void *route, size_t route_len, const struct bus_frame *f, size_t n)
{
  struct mem_port *p = (struct mem_port *) port;
  struct bus_mem_network *net = p->bus->network;
  const struct bus_mem_faults *fault = &net->faults;
  if (port->kind == PORT_PUBLISHER) {
    for (struct mem_port *sub = net->first_port; sub; sub = sub->next)
      if (sub->server == p->id && map_get_n (sub->told, f[0].data, f[0].len - 1) == granted)
        post_data (sub, false, f, n, fault->publish_drop, fault->publish_duplicate, fault->publish_reorder);
    return 0;
  }
  if (port->kind == PORT_SERVER) {
    uint64_t to[2];
    struct mem_port *client;
    REQUIRE (route_len == sizeof to);
    memcpy (to, route, sizeof to);
    client = port_by_id (net, to[0]);
    if (client && client->epoch == to[1] && client->server == p->id)
      post_data (client, false, f, n, fault->request_drop, fault->request_duplicate, fault->request_reorder);
    return 0;
  }
  if (!p->server)
    return ERR_UNAVAILABLE;
  post_data (p, true, f, n, fault->request_drop, fault->request_duplicate, fault->request_reorder);
  return 0;
}

/* ---- subscriptions ---- */
static void
on_subscription (struct mem_port *pub, struct mem_port *sub, bool on, const char *stream)
{
  const struct bus_frame f = {stream, strlen (stream)};
  bool allowed, known = map_get (sub->told, stream);
  if (!on) {
    if (known) {
      (void) map_delete (sub->told, stream);
      pub->base.handler->interest (pub->base.arg, stream, false);
    }
    return;
  }
  if (known)
    return;
  pub->base.handler->interest (pub->base.arg, stream, true);
  allowed = pub->base.handler->allow (pub->base.arg, sub->bus->self, stream);
  (void) map_set (sub->told, stream, allowed ? granted : present);
  post (sub, false, allowed ? MESSAGE_ALLOWED : MESSAGE_REFUSED, &f, 1, false);
}

static void
tell_filter (struct mem_port *p, const char *stream, bool on)
{
  const struct bus_frame f = {stream, strlen (stream)};
  post (p, true, on ? MESSAGE_SUBSCRIBE : MESSAGE_UNSUBSCRIBE, &f, 1, false);
}

void
mem_port_filter (struct port *port, const char *stream, bool on)
{
  struct mem_port *p = (struct mem_port *) port;
  if (on)
    (void) map_set (p->filters, stream, present);
  else
    (void) map_delete (p->filters, stream);
  if (p->server)
    tell_filter (p, stream, on);
}

/* ---- connections ---- */
struct visit { /* an event about a port that may be gone by then */
  struct bus_mem_network *network;
  uint64_t port, epoch;
};

static void
schedule_visit (struct mem_port *p, int64_t delay_ms, loop_cb run)
{
  struct visit *v = mem_zalloc (sizeof *v);
  REQUIRE (v);
  *v = (struct visit){p->bus->network, p->id, p->epoch};
  (void) mem_schedule (p->bus->network, delay_ms * MS_NS, run, free, v);
}

static struct mem_port *
find_server (const struct mem_port *p)
{
  enum port_kind wanted = p->base.kind == PORT_CLIENT ? PORT_SERVER : PORT_PUBLISHER;
  for (struct mem_port *s = p->bus->network->first_port; s; s = s->next)
    if (s->base.kind == wanted && !strcmp (s->address, p->address) && !strcmp (s->bus->self->p.name, p->server_name) &&
        !mem_is_cut (p->bus->network, p->bus->self->p.name, p->server_name))
      return s;
  return NULL;
}

static void
connect_later (struct mem_port *p, int64_t delay_ms)
{
  if (p->connecting)
    return;
  p->connecting = true;
  schedule_visit (p, delay_ms, try_connect);
}

static void
try_connect (void *arg)
{
  struct visit v = *(struct visit *) arg;
  struct mem_port *p = port_by_id (v.network, v.port), *server;
  const char *stream;
  void *value;
  free (arg);
  if (!p)
    return;
  p->connecting = false;
  if (p->server)
    return;
  if (!(server = find_server (p))) {
    connect_later (p, CONNECT_MS);
    return;
  }
  p->server = server->id;
  p->epoch++;
  p->to_server_ns = p->from_server_ns = 0;
  if (p->base.kind == PORT_SUBSCRIBER)
    for (size_t it = 0; map_next (p->filters, &it, &stream, &value);)
      tell_filter (p, stream, true);
  p->base.handler->state (p->base.arg, true);
}

/* The publisher forgets what it was told; no callback to the connecting end. */
static void
forget (struct mem_port *p)
{
  struct mem_port *server = port_by_id (p->bus->network, p->server);
  const char *stream;
  void *value;
  p->server = 0;
  p->epoch++;
  for (size_t it = 0; map_next (p->told, &it, &stream, &value);) {
    if (server)
      server->base.handler->interest (server->base.arg, stream, false);
    (void) map_delete (p->told, stream);
  }
}

static void
on_lost (void *arg)
{
  struct visit v = *(struct visit *) arg;
  struct mem_port *p = port_by_id (v.network, v.port), *server;
  free (arg);
  if (!p || p->epoch != v.epoch)
    return;
  server = port_by_id (v.network, p->server);
  if (server && !mem_is_cut (v.network, p->bus->self->p.name, server->bus->self->p.name))
    return; /* mended in time */
  forget (p);
  connect_later (p, CONNECT_MS);
  p->base.handler->state (p->base.arg, false);
}

void
mem_cut_changed (struct bus_mem_network *n)
{
  for (struct mem_port *p = n->first_port; p; p = p->next) {
    struct mem_port *server = port_by_id (n, p->server);
    if (server && mem_is_cut (n, p->bus->self->p.name, server->bus->self->p.name))
      schedule_visit (p, HEARTBEAT_TIMEOUT_MS, on_lost);
  }
}

void
mem_port_close (struct port *port)
{
  struct mem_port *p = (struct mem_port *) port;
  struct bus_mem_network *n = p->bus->network;
  char key[ID_SIZE];
  if (p->server)
    forget (p);
  if (is_server (p))
    for (struct mem_port *c = n->first_port; c; c = c->next)
      if (c->server == p->id)
        schedule_visit (c, NOTICE_MS, on_lost);
  (void) map_remove (n->ports, id_text (p->id, key));
  *(p->prev ? &p->prev->next : &n->first_port) = p->next;
  if (p->next)
    p->next->prev = p->prev;
  map_free (p->filters);
  map_free (p->told);
  free (p);
}

struct port *
mem_port_open (struct bus *b, enum port_kind kind, const char *address, const char *server_name, const struct port_handler *h,
               void *arg, struct err *err)
{
  struct bus_mem_network *n = ((struct mem_bus *) b)->network;
  struct mem_port *p;
  char key[ID_SIZE];
  bool binds = kind == PORT_SERVER || kind == PORT_PUBLISHER;
  if (strlen (address) >= BUS_ADDRESS_MAX) {
    err_set (err, ERR_INVALID, "address too long: %.200s", address);
    return NULL;
  }
  for (p = n->first_port; binds && p; p = p->next)
    if (is_server (p) && !strcmp (p->address, address)) {
      err_set (err, ERR_BUSY, "%s is in use", address);
      return NULL;
    }
  if (!(p = mem_zalloc (sizeof *p)) || !(p->filters = map_new (NULL)) || !(p->told = map_new (NULL)))
    goto nomem;
  p->base = (struct port){.bus = b, .kind = kind, .handler = h, .arg = arg};
  p->bus = (struct mem_bus *) b;
  p->id = n->next_port++;
  memcpy (p->address, address, strlen (address));
  (void) snprintf (p->server_name, sizeof p->server_name, "%s", server_name ? server_name : "");
  if (map_set (n->ports, id_text (p->id, key), p))
    goto nomem;
  if ((p->next = n->first_port))
    p->next->prev = p;
  n->first_port = p;
  if (!binds)
    connect_later (p, 0);
  return &p->base;
nomem:
  if (p) {
    map_free (p->filters);
    map_free (p->told);
  }
  free (p);
  err_set (err, ERR_NOMEM, "port");
  return NULL;
}
