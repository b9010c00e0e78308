/* kubectl port-forward at the server's end. Upstream: k8s.io/kubelet/pkg/cri/streaming/portforward.

   SPDY: each forwarded connection is two streams that share headers requestID and port: streamType error, then data. In the
   older WebSocket form channels 2i and 2i+1 are data and error of the i-th port, each of which first gets the port as two bytes. */
#include "base/http/portforward.h"

#include <strings.h>

#include "base/http/link.h"
#include "base/mem.h"

#define MESSAGE_LIMIT (1u << 20)
#define CONNS_LIMIT 500
#define PORTS_LIMIT 100
#define REQUEST_ID_SIZE 64

static const char *const spdy_protocols[] = {"portforward.k8s.io", NULL};
static const char *const websocket_protocols[] = {"SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io",
                                                  NULL};

struct portforward_conn {
  struct portforward_session *session;
  struct portforward_conn *prev, *next;
  struct spdy_stream *data, *error;
  char request_id[REQUEST_ID_SIZE];
  unsigned channel; /* WebSocket: of data */
  uint16_t port;
  bool told, eof, local_eof;
  void *arg;
};

struct portforward_session {
  struct link link;
  struct spdy *spdy;
  struct portforward_cb cb;
  void *arg;
  struct portforward_conn *conns;
  struct loop_timer *timer; /* WebSocket: connections begin from the loop */
  size_t n_conns;
  uint16_t ports[PORTS_LIMIT];
  size_t n_ports;
  unsigned entered;
  bool closed, freed;
};

static void
enter (struct portforward_session *s)
{
  s->entered++;
}

static void
conn_unlink (struct portforward_conn *c)
{
  struct portforward_session *s = c->session;
  if (c->data)
    spdy_stream_set_arg (c->data, NULL);
  if (c->error)
    spdy_stream_set_arg (c->error, NULL);
  if (c->prev)
    c->prev->next = c->next;
  else
    s->conns = c->next;
  if (c->next)
    c->next->prev = c->prev;
  s->n_conns--;
}

static void
conn_gone (struct portforward_conn *c)
{
  struct portforward_session *s = c->session;
  conn_unlink (c);
  if (c->told && !s->freed)
    s->cb.on_conn_close (s->arg, c);
  free (c);
}

static void
leave (struct portforward_session *s)
{
  if (--s->entered || !s->freed)
    return;
  while (s->conns)
    conn_gone (s->conns);
  spdy_free (s->spdy);
  link_close (&s->link, 1000);
  loop_timer_free (s->timer);
  free (s);
}

static void
client_gone (struct portforward_session *s)
{
  if (s->closed || s->freed)
    return;
  s->closed = true;
  while (s->conns && !s->freed)
    conn_gone (s->conns);
  if (!s->freed)
    s->cb.on_close (s->arg);
}

static struct portforward_conn *
conn_new (struct portforward_session *s, const char *request_id, uint16_t port)
{
  struct portforward_conn *c;
  if (s->n_conns >= CONNS_LIMIT || !(c = mem_zalloc (sizeof *c)))
    return NULL;
  c->session = s;
  c->port = port;
  snprintf (c->request_id, sizeof c->request_id, "%s", request_id);
  if ((c->next = s->conns))
    c->next->prev = c;
  s->conns = c;
  s->n_conns++;
  return c;
}

static bool
parse_port (const char *text, uint16_t *ret)
{
  char *end;
  long n;
  if (!text || *text < '0' || *text > '9')
    return false;
  n = strtol (text, &end, 10);
  if ((*end && *end != ',') || n < 1 || n > 65535)
    return false;
  *ret = (uint16_t) n;
  return true;
}

/* The connection that a stream's headers belong to: the one of the same request id, which still lacks it, or a new one. */
static struct portforward_conn *
conn_of_headers (struct portforward_session *s, uint32_t stream_id, const struct http_header *headers, bool is_error)
{
  const char *id = spdy_header (headers, "requestID");
  char made[REQUEST_ID_SIZE];
  uint16_t port;
  if (!parse_port (spdy_header (headers, "port"), &port))
    return NULL;
  if (!id) { /* clients before 1.3: the error stream's id; data follows as the next one */
    snprintf (made, sizeof made, "%u", is_error ? stream_id : stream_id - 2);
    id = made;
  }
  if (strlen (id) >= REQUEST_ID_SIZE)
    return NULL;
  for (struct portforward_conn *c = s->conns; c; c = c->next)
    if (!strcmp (c->request_id, id) && c->port == port)
      return (is_error ? c->error : c->data) ? NULL : c;
  return conn_new (s, id, port);
}

static int
spdy_send (void *arg, const void *data, size_t len)
{
  struct portforward_session *s = arg;
  return link_send (&s->link, data, len);
}

static void
spdy_on_stream (void *arg, struct spdy_stream *st, const struct http_header *headers, bool fin)
{
  struct portforward_session *s = arg;
  const char *type = spdy_header (headers, "streamType");
  bool is_error = type && !strcmp (type, "error"), is_data = type && !strcmp (type, "data");
  struct portforward_conn *c = is_error || is_data ? conn_of_headers (s, spdy_stream_id (st), headers, is_error) : NULL;
  (void) fin; /* the error stream's client half is finished at once; nothing is read from it */
  if (!c) {
    spdy_reset (st, 3); /* REFUSED_STREAM */
    return;
  }
  if (is_error)
    c->error = st;
  else
    c->data = st;
  spdy_stream_set_arg (st, c);
  (void) spdy_reply (st, NULL, false);
  if (c->data && c->error && !c->told) {
    c->told = true;
    s->cb.on_connect (s->arg, c, c->port);
  }
}

static void
conn_eof (struct portforward_conn *c)
{
  if (c->eof)
    return;
  c->eof = true;
  c->session->cb.on_eof (c->session->arg, c);
}

static void
spdy_on_data (void *arg, struct spdy_stream *st, const void *data, size_t len, bool fin)
{
  struct portforward_session *s = arg;
  struct portforward_conn *c = spdy_stream_arg (st);
  if (!c || st != c->data || !c->told || s->freed)
    return;
  if (len)
    s->cb.on_data (s->arg, c, data, len);
  if (fin && !s->freed && spdy_stream_arg (st) == c) /* it may have closed the connection */
    conn_eof (c);
}

static void
spdy_on_stream_close (void *arg, struct spdy_stream *st, bool reset)
{
  struct portforward_session *s = arg;
  struct portforward_conn *c = spdy_stream_arg (st);
  bool is_data;
  (void) s;
  if (!c)
    return;
  is_data = c->data == st;
  if (is_data)
    c->data = NULL;
  else
    c->error = NULL;
  if (is_data || reset || (!c->data && !c->error))
    conn_gone (c);
}

static void
link_on_bytes (void *arg, const void *data, size_t len)
{
  struct portforward_session *s = arg;
  enter (s);
  if (!s->freed && spdy_input (s->spdy, data, len, NULL))
    client_gone (s);
  leave (s);
}

static void
link_on_message (void *arg, bool binary, const void *bytes, size_t len)
{
  struct portforward_session *s = arg;
  const uint8_t *data = bytes;
  (void) binary;
  enter (s);
  for (struct portforward_conn *c = s->conns, *next; len > 1 && c && !s->freed; c = next) {
    next = c->next;
    if (c->told && c->channel == data[0]) {
      s->cb.on_data (s->arg, c, data + 1, len - 1);
      break;
    }
  }
  leave (s);
}

static void
link_on_drain (void *arg)
{
  struct portforward_session *s = arg;
  enter (s);
  if (!s->closed && !s->freed)
    s->cb.on_drain (s->arg);
  leave (s);
}

static void
link_on_close (void *arg)
{
  struct portforward_session *s = arg;
  enter (s);
  client_gone (s);
  leave (s);
}

/* The older WebSocket form: each port is one connection, which begins with the port on both channels, little-endian. */
static void
on_timer (void *arg)
{
  struct portforward_session *s = arg;
  enter (s);
  for (size_t i = 0; i < s->n_ports && !s->freed && !s->closed; i++) {
    uint8_t port[2] = {(uint8_t) s->ports[i], (uint8_t) (s->ports[i] >> 8)};
    char id[24];
    struct portforward_conn *c;
    snprintf (id, sizeof id, "%zu", i);
    if (!(c = conn_new (s, id, s->ports[i])))
      break;
    c->channel = (unsigned) (2 * i);
    c->told = true;
    (void) websocket_send_channel (s->link.websocket, (uint8_t) c->channel, port, 2);
    (void) websocket_send_channel (s->link.websocket, (uint8_t) (c->channel + 1), port, 2);
    s->cb.on_connect (s->arg, c, c->port);
  }
  leave (s);
}

static int
parse_ports (struct portforward_session *s, const struct uri_query *q, struct err *err)
{
  for (size_t i = 0; q && i < q->count; i++)
    if (!strcmp (q->pairs[i].key, "port") || !strcmp (q->pairs[i].key, "ports"))
      for (const char *p = q->pairs[i].value; *p; p += strcspn (p, ","), p += *p == ',') {
        if (s->n_ports == PORTS_LIMIT || !parse_port (p, &s->ports[s->n_ports]))
          return err_set (err, ERR_INVALID, "port '%.20s' is not valid", p);
        s->n_ports++;
      }
  return 0;
}

static void
session_discard (struct portforward_session *s)
{
  if (!s)
    return;
  spdy_free (s->spdy);
  loop_timer_free (s->timer);
  free (s);
}

int
portforward_session_accept (struct http_request *req, const struct uri_query *q, const struct portforward_cb *cb, void *arg,
                            struct portforward_session **ret, struct err *err)
{
  static const struct spdy_cb on_spdy = {.send = spdy_send,
                                         .on_stream = spdy_on_stream,
                                         .on_data = spdy_on_data,
                                         .on_stream_close = spdy_on_stream_close};
  static const struct link_cb on_link = {link_on_bytes, link_on_message, link_on_drain, link_on_close};
  struct portforward_session *s = mem_zalloc (sizeof *s);
  const char *protocol = "";
  int r;
  if (!s || !(s->timer = loop_timer_new (http_request_loop (req), on_timer, s)) || !(s->spdy = spdy_new (true, &on_spdy, s)))
    r = err_set (err, ERR_NOMEM, "port forward");
  else if (!(r = parse_ports (s, q, err)))
    r = link_accept (&s->link, req, spdy_protocols, true, websocket_protocols, MESSAGE_LIMIT, &protocol, err);
  if (r) {
    session_discard (s);
    return r;
  }
  s->cb = *cb;
  s->arg = arg;
  if (s->link.kind == LINK_WEBSOCKET) {
    spdy_free (s->spdy);
    s->spdy = NULL;
    loop_timer_set (s->timer, 0);
  }
  link_start (&s->link, &on_link, s);
  *ret = s;
  return 0;
}

int
portforward_write (struct portforward_conn *c, const void *data, size_t len)
{
  struct portforward_session *s = c->session;
  if (s->closed || c->local_eof)
    return ERR_CLOSED;
  if (!s->spdy)
    return websocket_send_channel (s->link.websocket, (uint8_t) c->channel, data, len);
  return c->data ? spdy_write (c->data, data, len, false) : ERR_CLOSED;
}

void
portforward_eof (struct portforward_conn *c)
{
  struct portforward_session *s = c->session;
  struct spdy_stream *st = c->data;
  if (c->local_eof || s->closed)
    return;
  c->local_eof = true;
  if (!st)
    return;
  enter (s);
  (void) spdy_write (st, NULL, 0, true);
  leave (s);
}

static void
conn_end (struct portforward_conn *c, const char *message)
{
  struct portforward_session *s = c->session;
  struct spdy_stream *data = c->data, *error = c->error;
  unsigned channel = c->channel;
  bool finished = c->local_eof;
  enter (s);
  conn_unlink (c);
  free (c);
  if (!s->closed && !s->spdy && message)
    (void) websocket_send_channel (s->link.websocket, (uint8_t) (channel + 1), message, strlen (message));
  /* Upstream's order: the error, if any, then both ends; a client half that is still open is reset after ours is finished. */
  if (s->spdy && !s->closed) {
    if (error)
      (void) spdy_write (error, message ? message : "", message ? strlen (message) : 0, true);
    if (data && !finished)
      (void) spdy_write (data, NULL, 0, true);
  }
  leave (s);
}

void
portforward_fail (struct portforward_conn *c, const char *message)
{
  conn_end (c, message);
}

void
portforward_conn_close (struct portforward_conn *c)
{
  conn_end (c, NULL);
}

void
portforward_pause (struct portforward_session *s, bool pause)
{
  if (!s->closed)
    link_pause (&s->link, pause);
}

size_t
portforward_pending_bytes (const struct portforward_session *s)
{
  return s->closed ? 0 : link_pending_bytes (&s->link);
}

const char *
portforward_request_id (const struct portforward_conn *c)
{
  return c->request_id;
}

void
portforward_conn_set_arg (struct portforward_conn *c, void *arg)
{
  c->arg = arg;
}

void *
portforward_conn_arg (const struct portforward_conn *c)
{
  return c->arg;
}

void
portforward_session_close (struct portforward_session *s)
{
  if (!s)
    return;
  enter (s);
  s->freed = s->closed = true;
  leave (s);
}
