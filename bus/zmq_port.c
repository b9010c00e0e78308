/* Ports over ZeroMQ sockets: ROUTER, DEALER (one an endpoint, so that the client chooses), XPUB with manual subscriptions,
   SUB. A connecting port is closed and opened anew when its server's key changes, and waits while the key is not known. An
   XPUB cannot drop one connection, so when a subscriber's key is withdrawn the socket is opened anew: the others are back
   within milliseconds and catch up.

   The publisher answers each subscription on the control topic "!NAME\0" of the subscriber: [topic] [y or n] [stream]. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "bus/zmq_internal.h"

enum {
  REQUESTS_HWM = 16384, /* >= BUS_CALLS_MAX: a reply to a client that keeps its bound always fits */
  SERVER_RCVHWM = 256,
  PUBLISH_HWM = 4096,
  SUBSCRIBE_RCVHWM = 4096,
  MESSAGE_MAX = BUS_BODY_MAX + 65536,
  HEARTBEAT_MS = 1000,
  HEARTBEAT_TIMEOUT_MS = 3000,
  RECONNECT_MS = 20,
  RECONNECT_MAX_MS = 500,
  HANDSHAKE_MS = 5000,
  LINGER_MS = 100,
  REOPEN_MS = 20,
  REFUSED_MS = 500,
  PARTS_MAX = 4,
  MONITOR_EVENTS = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                   ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
};

struct zmq_port {
  struct port base;
  struct zmq_bus *bus;
  struct zmq_port *prev, *next;
  char address[BUS_ADDRESS_MAX];
  char server_name[BUS_NAME_MAX + 1];
  char server_key[KEY_TEXT_SIZE]; /* in use */
  void *socket, *monitor;
  struct pump pump, monitor_pump;
  bool up, refused;
  struct loop_timer *reopen;
  uint64_t inode;      /* of the socket file that it bound; 0: none */
  struct map *filters; /* SUBSCRIBER: streams */
  struct map *peers;   /* PUBLISHER: keys that subscribed */
};

static char present[] = "x"; /* the value of sets */

struct parts {
  zmq_msg_t m[PARTS_MAX];
  size_t n;
  bool too_many;
};

static void
parts_done (struct parts *p)
{
  for (size_t i = 0; i < p->n; i++)
    zmq_msg_close (&p->m[i]);
}

static bool
parts_receive (void *socket, struct parts *p)
{
  int more = 1;
  *p = (struct parts){.n = 0};
  while (more) {
    zmq_msg_t extra, *m = p->n < PARTS_MAX ? &p->m[p->n] : &extra;
    zmq_msg_init (m);
    if (zmq_msg_recv (m, socket, ZMQ_DONTWAIT) < 0) {
      zmq_msg_close (m);
      return false;
    }
    more = zmq_msg_more (m);
    if (m == &extra) {
      p->too_many = true;
      zmq_msg_close (m);
    } else {
      p->n++;
    }
  }
  return !p->too_many;
}

static struct bus_frame
frame_of (zmq_msg_t *m)
{
  return (struct bus_frame){zmq_msg_data (m), zmq_msg_size (m)};
}

static struct peer *
peer_of (struct zmq_port *p, zmq_msg_t *m, const char **ret_key)
{
  const char *key = zmq_msg_gets (m, ZAP_KEY_PROPERTY);
  *ret_key = key;
  return key ? known_by_key (&p->bus->known, key) : NULL;
}

static int
send_frames (struct zmq_port *p, const struct bus_frame *f, size_t n)
{
  int code = 0;
  for (size_t i = 0; i < n && !code; i++)
    if (zmq_send (p->socket, f[i].data, f[i].len, ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0)) < 0)
      code = zmq_errno () == EAGAIN ? ERR_BUSY : ERR_UNAVAILABLE;
  pump_check (&p->pump);
  return code;
}

int
zmq_port_send (struct port *port, const void *route, size_t route_len, const struct bus_frame *f, size_t n)
{
  struct zmq_port *p = (struct zmq_port *) port;
  struct bus_frame all[BUS_FRAMES_MAX + 1];
  size_t at = 0;
  if (!p->socket || (port->kind == PORT_CLIENT && !p->up))
    return ERR_UNAVAILABLE;
  REQUIRE (n <= BUS_FRAMES_MAX);
  if (port->kind == PORT_SERVER)
    all[at++] = (struct bus_frame){route, route_len};
  for (size_t i = 0; i < n; i++)
    all[at++] = f[i];
  return send_frames (p, all, at);
}

/* ---- publisher ---- */
static void
answer_subscription (struct zmq_port *p, const char *name, const char *stream, bool allowed)
{
  char topic[BUS_NAME_MAX + 3];
  size_t n = (size_t) snprintf (topic, sizeof topic, "!%s", name) + 1;
  const struct bus_frame f[3] = {{topic, n}, {allowed ? "y" : "n", 1}, {stream, strlen (stream)}};
  (void) zmq_setsockopt (p->socket, ZMQ_SUBSCRIBE, topic, n); /* of the connection whose message was received last */
  (void) send_frames (p, f, 3);
}

static void
on_subscription (void *arg)
{
  struct zmq_port *p = arg;
  struct parts parts;
  const struct port_handler *h = p->base.handler;
  const uint8_t *data;
  const char *stream, *key;
  struct peer *from;
  size_t n;
  bool allowed;
  if (!parts_receive (p->socket, &parts) || parts.n != 1)
    goto out;
  data = zmq_msg_data (&parts.m[0]);
  n = zmq_msg_size (&parts.m[0]);
  if (n < 2 || n > BUS_STREAM_MAX + 2 || data[0] > 1 || data[n - 1] || memchr (data + 1, 0, n - 2))
    goto out; /* not a whole stream's name: stays unsubscribed */
  stream = (const char *) data + 1;
  if (!data[0]) {
    (void) zmq_setsockopt (p->socket, ZMQ_UNSUBSCRIBE, stream, n - 1);
    if (stream[0] != '!')
      h->interest (p->base.arg, stream, false);
    goto out;
  }
  from = peer_of (p, &parts.m[0], &key);
  if (stream[0] == '!') {
    if (from && !strcmp (stream + 1, from->p.name))
      (void) zmq_setsockopt (p->socket, ZMQ_SUBSCRIBE, stream, n - 1);
    goto out;
  }
  h->interest (p->base.arg, stream, true); /* refused ones too: their end is told without saying whose it was */
  if (!from)
    goto out;
  (void) map_set (p->peers, key, present);
  allowed = h->allow (p->base.arg, from, stream);
  if (allowed)
    (void) zmq_setsockopt (p->socket, ZMQ_SUBSCRIBE, stream, n - 1);
  answer_subscription (p, from->p.name, stream, allowed);
out:
  parts_done (&parts);
}

/* ---- server, client, subscriber ---- */
static void
on_request (void *arg)
{
  struct zmq_port *p = arg;
  struct parts parts;
  struct bus_frame f[BUS_FRAMES_MAX];
  const char *key;
  struct peer *from;
  if (parts_receive (p->socket, &parts) && parts.n >= 2 && (from = peer_of (p, &parts.m[parts.n - 1], &key))) {
    for (size_t i = 1; i < parts.n; i++)
      f[i - 1] = frame_of (&parts.m[i]);
    p->base.handler->message (p->base.arg, from, zmq_msg_data (&parts.m[0]), zmq_msg_size (&parts.m[0]), f, parts.n - 1);
  }
  parts_done (&parts);
}

static void
on_answer (struct zmq_port *p, const struct bus_frame *f, size_t n)
{
  char stream[BUS_STREAM_MAX + 1];
  if (n != 3 || f[1].len != 1 || f[2].len > BUS_STREAM_MAX || memchr (f[2].data, 0, f[2].len))
    return;
  memcpy (stream, f[2].data, f[2].len);
  stream[f[2].len] = 0;
  p->base.handler->answer (p->base.arg, stream, *(const char *) f[1].data == 'y');
}

static void
on_incoming (void *arg)
{
  struct zmq_port *p = arg;
  struct parts parts;
  struct bus_frame f[PARTS_MAX];
  if (parts_receive (p->socket, &parts) && parts.n <= BUS_FRAMES_MAX) {
    for (size_t i = 0; i < parts.n; i++)
      f[i] = frame_of (&parts.m[i]);
    if (p->base.kind == PORT_SUBSCRIBER && f[0].len && *(const char *) f[0].data == '!')
      on_answer (p, f, parts.n);
    else
      p->base.handler->message (p->base.arg, NULL, NULL, 0, f, parts.n);
  }
  parts_done (&parts);
}

static void
set_up (struct zmq_port *p, bool up)
{
  if (p->up == up)
    return;
  p->up = up;
  p->base.handler->state (p->base.arg, up);
}

static void
on_monitor (void *arg)
{
  struct zmq_port *p = arg;
  struct parts parts;
  uint16_t event = 0;
  bool ok = parts_receive (p->monitor, &parts);
  if (ok && parts.n && zmq_msg_size (&parts.m[0]) >= sizeof event)
    memcpy (&event, zmq_msg_data (&parts.m[0]), sizeof event);
  parts_done (&parts);
  if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
    set_up (p, true);
  } else if (event == ZMQ_EVENT_DISCONNECTED) {
    set_up (p, false);
  } else if (event) { /* libzmq has given up on this connection: start again */
    p->refused = true;
    loop_timer_set (p->reopen, REFUSED_MS);
  }
}

/* ---- sockets ---- */
static int
set_int (void *socket, int option, int value, struct err *err)
{
  return zmq_setsockopt (socket, option, &value, sizeof value) ? zmq_failed (err, "socket option") : 0;
}

static int
set_options (struct zmq_port *p, void *s, struct err *err)
{
  static const struct {
    int option, value;
  } common[] = {
    {ZMQ_LINGER, LINGER_MS},
    {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
    {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS},
    {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
    {ZMQ_RECONNECT_IVL, RECONNECT_MS},
    {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS},
    {ZMQ_IPV6, 1},
    {ZMQ_BACKLOG, 1024},
  };
  enum port_kind kind = p->base.kind;
  bool binds = kind == PORT_SERVER || kind == PORT_PUBLISHER;
  int64_t max = MESSAGE_MAX;
  int code = 0, one = 1;
  for (size_t i = 0; i < sizeof common / sizeof common[0] && !code; i++)
    code = set_int (s, common[i].option, common[i].value, err);
  if (code || zmq_setsockopt (s, ZMQ_MAXMSGSIZE, &max, sizeof max) ||
      zmq_setsockopt (s, ZMQ_CURVE_SECRETKEY, p->bus->secret_key, KEY_TEXT_SIZE))
    return code ? code : zmq_failed (err, "socket option");
  if (binds) {
    if (zmq_setsockopt (s, ZMQ_CURVE_SERVER, &one, sizeof one) || zmq_setsockopt (s, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen (ZAP_DOMAIN)))
      return zmq_failed (err, "socket option");
  } else if (zmq_setsockopt (s, ZMQ_CURVE_PUBLICKEY, p->bus->public_key, KEY_TEXT_SIZE) ||
             zmq_setsockopt (s, ZMQ_CURVE_SERVERKEY, p->server_key, KEY_TEXT_SIZE)) {
    return zmq_failed (err, "socket option");
  }
  switch (kind) {
  case PORT_SERVER:
    if ((code = set_int (s, ZMQ_ROUTER_MANDATORY, 1, err)) || (code = set_int (s, ZMQ_SNDHWM, REQUESTS_HWM, err)))
      return code;
    return set_int (s, ZMQ_RCVHWM, SERVER_RCVHWM, err);
  case PORT_CLIENT:
    if ((code = set_int (s, ZMQ_IMMEDIATE, 1, err)))
      return code;
    return set_int (s, ZMQ_SNDHWM, REQUESTS_HWM, err);
  case PORT_PUBLISHER:
    if ((code = set_int (s, ZMQ_XPUB_MANUAL, 1, err)))
      return code;
    return set_int (s, ZMQ_SNDHWM, PUBLISH_HWM, err);
  case PORT_SUBSCRIBER:
    /* Filters are sent again at each reconnect, and those above SNDHWM would be lost. */
    if ((code = set_int (s, ZMQ_SNDHWM, 0, err)))
      return code;
    return set_int (s, ZMQ_RCVHWM, SUBSCRIBE_RCVHWM, err);
  }
  return 0;
}

/* Binds a path beside and renames it: a stale file is replaced, and a listener that closes late removes its own name. */
static int
bind_ipc (struct zmq_port *p, void *s, bool again, struct err *err)
{
  const char *path = p->address + strlen ("ipc://");
  struct sockaddr_un sa = {.sun_family = AF_UNIX};
  char beside[BUS_ADDRESS_MAX + 16];
  struct stat st;
  AUTO_CLOSE int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (strlen (path) + 6 >= sizeof sa.sun_path)
    return err_set (err, ERR_INVALID, "socket path too long: %.200s", path);
  memcpy (sa.sun_path, path, strlen (path));
  if (fd < 0)
    return err_errno (err, errno, "socket");
  if (!again && !connect (fd, (struct sockaddr *) &sa, sizeof sa))
    return err_set (err, ERR_BUSY, "%.200s is in use", path);
  (void) snprintf (beside, sizeof beside, "%s.%04x", p->address, (unsigned) (p->bus->base.vt->random (&p->bus->base) & 0xffff));
  if (zmq_bind (s, beside))
    return zmq_failed (err, "bind");
  if (rename (beside + strlen ("ipc://"), path))
    return err_errno (err, errno, "rename to %s", path);
  p->inode = stat (path, &st) ? 0 : st.st_ino;
  return 0;
}

static int
attach (struct zmq_port *p, void *s, bool again, struct err *err)
{
  bool binds = p->base.kind == PORT_SERVER || p->base.kind == PORT_PUBLISHER;
  if (!binds)
    return zmq_connect (s, p->address) ? zmq_failed (err, "connect") : 0;
  if (!strncmp (p->address, "ipc:///", 7))
    return bind_ipc (p, s, again, err);
  return zmq_bind (s, p->address) ? zmq_failed (err, "bind") : 0;
}

static void
socket_close (struct zmq_port *p)
{
  const char *path = p->address + strlen ("ipc://");
  struct stat st;
  pump_close (&p->pump);
  pump_close (&p->monitor_pump);
  if (p->inode && !stat (path, &st) && st.st_ino == p->inode)
    (void) unlink (path); /* at once, so that the address is free; a successor's file is left alone */
  p->inode = 0;
  if (p->socket && p->monitor)
    (void) zmq_socket_monitor (p->socket, NULL, 0);
  if (p->monitor)
    zmq_close (p->monitor);
  if (p->socket)
    zmq_close (p->socket);
  p->socket = p->monitor = NULL;
  p->refused = false;
}

static int
open_monitor (struct zmq_port *p, struct err *err)
{
  static uint64_t count; /* names are per context, but contexts may meet in one process */
  char name[64];
  (void) snprintf (name, sizeof name, "inproc://monitor-%llu", (unsigned long long) __atomic_add_fetch (&count, 1, __ATOMIC_RELAXED));
  if (zmq_socket_monitor (p->socket, name, MONITOR_EVENTS) || !(p->monitor = zmq_socket (p->bus->ctx, ZMQ_PAIR)) ||
      zmq_connect (p->monitor, name))
    return zmq_failed (err, "socket monitor");
  return pump_open (&p->monitor_pump, p->bus->base.loop, p->monitor, on_monitor, p, err);
}

static void
filter (struct zmq_port *p, const char *stream, bool on)
{
  (void) zmq_setsockopt (p->socket, on ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, stream, strlen (stream) + 1);
}

static int
socket_open (struct zmq_port *p, bool again, struct err *err)
{
  static const int types[] = {ZMQ_ROUTER, ZMQ_DEALER, ZMQ_XPUB, ZMQ_SUB};
  static void (*const readers[]) (void *) = {on_request, on_incoming, on_subscription, on_incoming};
  enum port_kind kind = p->base.kind;
  char control[BUS_NAME_MAX + 2];
  const char *stream;
  void *value;
  int code;
  if (!(p->socket = zmq_socket (p->bus->ctx, types[kind])))
    return zmq_failed (err, "socket");
  if ((code = set_options (p, p->socket, err)))
    goto fail;
  if ((kind == PORT_CLIENT || kind == PORT_SUBSCRIBER) && (code = open_monitor (p, err)))
    goto fail;
  if (kind == PORT_SUBSCRIBER) {
    (void) snprintf (control, sizeof control, "!%s", p->bus->name);
    filter (p, control, true);
    for (size_t it = 0; map_next (p->filters, &it, &stream, &value);)
      filter (p, stream, true);
  }
  if ((code = attach (p, p->socket, again, err)) ||
      (code = pump_open (&p->pump, p->bus->base.loop, p->socket, readers[kind], p, err)))
    goto fail;
  return 0;
fail:
  socket_close (p);
  return code;
}

static void
reopen_publisher (struct zmq_port *p)
{
  bool withdrawn = !p->socket;
  const char *key;
  void *value;
  struct err err;
  for (size_t it = 0; !withdrawn && map_next (p->peers, &it, &key, &value);)
    withdrawn = !known_by_key (&p->bus->known, key);
  if (!withdrawn)
    return;
  if (p->socket) {
    for (size_t it = 0; map_next (p->peers, &it, &key, &value);)
      (void) map_delete (p->peers, key);
    socket_close (p);
    p->base.handler->reopened (p->base.arg);
  }
  if (socket_open (p, true, &err))
    loop_timer_set (p->reopen, REOPEN_MS); /* the old listener closes in its own time */
}

static void
reopen_connection (struct zmq_port *p)
{
  const char *key = known_key (&p->bus->known, p->server_name);
  struct err err;
  if (p->socket && !p->refused && key && !strcmp (key, p->server_key))
    return;
  socket_close (p);
  p->server_key[0] = 0;
  if (key) {
    memcpy (p->server_key, key, KEY_TEXT_SIZE);
    if (socket_open (p, true, &err)) {
      log_warn ("bus connection not opened, trying again", "server=%s error=\"%s\"", p->server_name, err.text);
      loop_timer_set (p->reopen, REFUSED_MS);
    }
  }
  set_up (p, false); /* last: the handler may close the port */
}

static void
on_reopen (void *arg)
{
  struct zmq_port *p = arg;
  if (p->base.kind == PORT_PUBLISHER)
    reopen_publisher (p);
  else if (p->base.kind != PORT_SERVER)
    reopen_connection (p);
}

void
zmq_ports_known_changed (struct zmq_bus *b)
{
  for (struct zmq_port *p = b->ports; p; p = p->next)
    loop_timer_set (p->reopen, 0);
}

void
zmq_port_filter (struct port *port, const char *stream, bool on)
{
  struct zmq_port *p = (struct zmq_port *) port;
  if (on)
    (void) map_set (p->filters, stream, present);
  else
    (void) map_delete (p->filters, stream);
  if (!p->socket)
    return;
  filter (p, stream, on);
  pump_check (&p->pump);
}

void
zmq_port_close (struct port *port)
{
  struct zmq_port *p = (struct zmq_port *) port;
  socket_close (p);
  loop_timer_free (p->reopen);
  map_free (p->filters);
  map_free (p->peers);
  *(p->prev ? &p->prev->next : &p->bus->ports) = p->next;
  if (p->next)
    p->next->prev = p->prev;
  free (p);
}

struct port *
zmq_port_open (struct bus *b, enum port_kind kind, const char *address, const char *server_name, const struct port_handler *h,
               void *arg, struct err *err)
{
  struct zmq_bus *z = (struct zmq_bus *) b;
  struct zmq_port *p = mem_zalloc (sizeof *p);
  const char *key;
  if (!p) {
    err_set (err, ERR_NOMEM, "port");
    return NULL;
  }
  p->base = (struct port){.bus = b, .kind = kind, .handler = h, .arg = arg};
  p->bus = z;
  if ((p->next = z->ports))
    p->next->prev = p;
  z->ports = p;
  if (strlen (address) >= sizeof p->address) {
    err_set (err, ERR_INVALID, "address too long: %.200s", address);
    goto fail;
  }
  memcpy (p->address, address, strlen (address));
  if (!(p->reopen = loop_timer_new (b->loop, on_reopen, p)) || !(p->filters = map_new (NULL)) || !(p->peers = map_new (NULL))) {
    err_set (err, ERR_NOMEM, "port");
    goto fail;
  }
  if (server_name) {
    (void) snprintf (p->server_name, sizeof p->server_name, "%s", server_name);
    if (!(key = known_key (&z->known, server_name)))
      return &p->base; /* opened when the peer becomes known */
    memcpy (p->server_key, key, KEY_TEXT_SIZE);
  }
  if (socket_open (p, false, err))
    goto fail;
  return &p->base;
fail:
  zmq_port_close (&p->base);
  return NULL;
}
