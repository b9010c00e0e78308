#include <stdio.h>

#include "bus/bus_internal.h"
#include "bus/envelope.h"

enum {
  SERVER_REQUESTS_MAX = 65536,            /* that wait for a reply, of one server */
  SERVER_BYTES_MAX = 256 << 20,           /* their bodies */
  PEER_REQUESTS_MAX = BUS_CALLS_MAX,
};

struct request {
  struct bus_request rq; /* first: handlers hold a pointer to it */
  struct bus_server *server; /* NULL once it is freed */
  struct request *prev, *next;
  struct peer *peer;
  uint64_t id;
  uint8_t route[BUS_ROUTE_MAX];
  size_t route_len, charge;
};

struct bus_server {
  struct bus *bus;
  struct bus_server *next;
  struct port *port;
  bus_request_cb cb;
  void *arg;
  struct request *requests;
  size_t n_requests, n_bytes;
};

static void
send_reply (struct bus_server *s, const void *route, size_t route_len, uint64_t id, int code, const char *text, const void *body,
            size_t len)
{
  AUTO_BUF struct buf head = BUF_INIT;
  struct bus_frame f[2];
  envelope_pack (&(struct envelope){.type = ENVELOPE_REPLY, .id = id, .code = code, .text = text, .text_len = strlen (text)}, &head);
  if (head.failed)
    return; /* out of memory: the caller tries again */
  f[0] = (struct bus_frame){head.data, head.len};
  f[1] = (struct bus_frame){body, len};
  (void) s->bus->vt->send (s->port, route, route_len, f, 2); /* a peer that went away or does not read asks again */
}

static void
request_free (struct request *r)
{
  struct bus_server *s = r->server;
  if (s) {
    *(r->prev ? &r->prev->next : &s->requests) = r->next;
    if (r->next)
      r->next->prev = r->prev;
    s->n_requests--;
    s->n_bytes -= r->charge;
  }
  r->peer->requests--;
  peer_unref (r->peer);
  free (r);
}

static struct request *
request_new (const struct envelope *e, const struct bus_frame *body, mono_t now)
{
  size_t head = sizeof (struct request) + e->method_len + e->trace_len + e->idempotency_len + 3;
  struct request *r = mem_zalloc (head + body->len + 1);
  char *at;
  if (!r)
    return NULL;
  at = (char *) (r + 1);
  r->rq.method = memcpy (at, e->method, e->method_len);
  at += e->method_len + 1;
  r->rq.trace = memcpy (at, e->trace, e->trace_len);
  at += e->trace_len + 1;
  r->rq.idempotency = memcpy (at, e->idempotency, e->idempotency_len);
  at += e->idempotency_len + 1;
  if (body->len)
    memcpy (at, body->data, body->len);
  r->rq.body = (const uint8_t *) at;
  r->rq.len = body->len;
  r->rq.cause = e->cause;
  r->rq.deadline = (mono_t){now.ns + (e->remaining_ms < 86400000 ? e->remaining_ms : 86400000) * 1000000};
  r->id = e->id;
  r->charge = head + body->len;
  return r;
}

static void
on_message (void *arg, struct peer *from, const void *route, size_t route_len, const struct bus_frame *f, size_t n)
{
  struct bus_server *s = arg;
  struct envelope e;
  struct request *r;
  struct err err;
  if (n != 2 || route_len > BUS_ROUTE_MAX || envelope_unpack (f[0].data, f[0].len, &e, &err) || e.type != ENVELOPE_REQUEST)
    return; /* not a request of ours: nothing to correlate an answer with */
  if (f[1].len > BUS_BODY_MAX) {
    send_reply (s, route, route_len, e.id, ERR_LIMIT, "request too large", NULL, 0);
    return;
  }
  if (s->n_requests >= SERVER_REQUESTS_MAX || s->n_bytes + f[1].len > SERVER_BYTES_MAX || from->requests >= PEER_REQUESTS_MAX ||
      !(r = request_new (&e, &f[1], s->bus->vt->now (s->bus)))) {
    send_reply (s, route, route_len, e.id, ERR_BUSY, "too many requests", NULL, 0);
    return;
  }
  r->server = s;
  r->peer = peer_ref (from);
  r->rq.peer = from->p;
  from->requests++;
  memcpy (r->route, route, route_len);
  r->route_len = route_len;
  r->next = s->requests;
  if (r->next)
    r->next->prev = r;
  s->requests = r;
  s->n_requests++;
  s->n_bytes += r->charge;
  s->cb (s->arg, &r->rq);
}

static const struct port_handler handler = {.message = on_message};

struct bus_server *
bus_serve (struct bus *b, const char *address, bus_request_cb cb, void *arg, struct err *err)
{
  struct bus_server *s = mem_zalloc (sizeof *s);
  if (!s) {
    err_set (err, ERR_NOMEM, "server");
    return NULL;
  }
  *s = (struct bus_server){.bus = b, .cb = cb, .arg = arg};
  if (!(s->port = b->vt->open (b, PORT_SERVER, address, NULL, &handler, s, err))) {
    err_wrap (err, "serve %s", address);
    free (s);
    return NULL;
  }
  s->next = b->servers;
  b->servers = s;
  return s;
}

void
bus_server_free (struct bus_server *s)
{
  struct bus_server **at;
  if (!s)
    return;
  for (at = &s->bus->servers; *at != s; at = &(*at)->next)
    ;
  *at = s->next;
  for (struct request *r = s->requests; r; r = r->next)
    r->server = NULL;
  s->bus->vt->close (s->port);
  free (s);
}

void
bus_reply (struct bus_request *rq, const void *body, size_t len)
{
  struct request *r = (struct request *) rq;
  if (r->server && !r->peer->gone) {
    if (len > BUS_BODY_MAX)
      send_reply (r->server, r->route, r->route_len, r->id, ERR_LIMIT, "reply too large", NULL, 0);
    else
      send_reply (r->server, r->route, r->route_len, r->id, 0, "", body, len);
  }
  request_free (r);
}

void
bus_reply_error (struct bus_request *rq, int code, const char *fmt, ...)
{
  struct request *r = (struct request *) rq;
  char text[ERR_TEXT_SIZE];
  va_list ap;
  REQUIRE (code < 0);
  va_start (ap, fmt);
  (void) vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  if (r->server && !r->peer->gone)
    send_reply (r->server, r->route, r->route_len, r->id, code, text[0] ? text : err_text (code), NULL, 0);
  request_free (r);
}
