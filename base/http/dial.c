/* Upgrades as a client: connect, ask, and hand the stream over on 101. One request a connection, HTTP/1.1. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <http_parser.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <strings.h>

#include "base/http/client.h"
#include "base/mem.h"

#define TIMEOUT_DEFAULT_MS 30000
#define RESPONSE_DEFAULT_BYTES (1u << 20)
#define HEADERS_LIMIT 64
#define HEAD_BYTES (64u << 10)

struct http_dial {
  struct loop *loop;
  struct bufferevent *bev;
  struct loop_timer *timer;
  http_parser parser;
  struct arena arena;
  struct http_header headers[HEADERS_LIMIT + 1];
  size_t n_headers, limit;
  struct buf field, value, request, body;
  bool in_value, head_done, complete, too_long, tls, over;
  char where[300];
  struct err failed; /* of the connect, to be told from the loop */
  void (*on_upgraded) (void *arg, int status, const struct http_header *headers, struct http_tunnel *tunnel);
  void (*on_response) (void *arg, int status, const struct http_header *headers, const void *body, size_t len);
  void (*on_error) (void *arg, const struct err *err);
  void *arg;
};

void
http_dial_cancel (struct http_dial *d)
{
  if (!d)
    return;
  if (d->bev) {
    bufferevent_setcb (d->bev, NULL, NULL, NULL, NULL);
    bufferevent_free (d->bev);
  }
  loop_timer_free (d->timer);
  arena_done (&d->arena);
  buf_done (&d->field);
  buf_done (&d->value);
  buf_done (&d->request);
  buf_done (&d->body);
  free (d);
}

static void
fail (struct http_dial *d, int code, const char *what)
{
  struct err err;
  if (d->over)
    return;
  d->over = true;
  err_set (&err, code, "%s: %s", d->where, what);
  d->on_error (d->arg, &err);
  http_dial_cancel (d);
}

static int
flush_header (struct http_dial *d)
{
  struct http_header *h = &d->headers[d->n_headers];
  if (d->field.len) {
    if (d->n_headers == HEADERS_LIMIT)
      return -1;
    h->name = arena_strdup (&d->arena, buf_cstr (&d->field));
    h->value = arena_strdup (&d->arena, buf_cstr (&d->value));
    if (!h->name || !h->value || d->field.failed || d->value.failed)
      return -1;
    for (char *p = (char *) (uintptr_t) h->name; *p; p++)
      if (*p >= 'A' && *p <= 'Z')
        *p = (char) (*p + ('a' - 'A'));
    d->n_headers++;
  }
  buf_reset (&d->field);
  buf_reset (&d->value);
  d->in_value = false;
  return 0;
}

static int
on_field (http_parser *p, const char *at, size_t len)
{
  struct http_dial *d = p->data;
  if (d->in_value && flush_header (d))
    return -1;
  buf_append (&d->field, at, len);
  return 0;
}

static int
on_value (http_parser *p, const char *at, size_t len)
{
  struct http_dial *d = p->data;
  d->in_value = true;
  buf_append (&d->value, at, len);
  return 0;
}

static int
on_headers_complete (http_parser *p)
{
  struct http_dial *d = p->data;
  if (flush_header (d))
    return -1;
  d->head_done = true;
  return p->status_code == 101 ? 2 : 0;
}

static int
on_body (http_parser *p, const char *at, size_t len)
{
  struct http_dial *d = p->data;
  if (d->body.len + len > d->limit) {
    d->too_long = true;
    return -1;
  }
  buf_append (&d->body, at, len);
  return d->body.failed ? -1 : 0;
}

static int
on_message_complete (http_parser *p)
{
  struct http_dial *d = p->data;
  if (p->status_code >= 200 || p->status_code == 101) {
    d->complete = true;
    http_parser_pause (p, 1);
  } else { /* an interim answer */
    d->n_headers = 0;
    d->head_done = false;
  }
  return 0;
}

static const http_parser_settings settings = {.on_header_field = on_field,
                                              .on_header_value = on_value,
                                              .on_headers_complete = on_headers_complete,
                                              .on_body = on_body,
                                              .on_message_complete = on_message_complete};

static void
hand_over (struct http_dial *d)
{
  struct bufferevent *bev = d->bev;
  struct http_tunnel *t = http_tunnel_of_bev (d->loop, bev);
  if (!t) {
    fail (d, ERR_NOMEM, "upgrade");
    return;
  }
  d->bev = NULL;
  d->over = true;
  d->headers[d->n_headers] = (struct http_header){0};
  d->on_upgraded (d->arg, d->parser.status_code, d->headers, t);
  http_dial_cancel (d);
}

static void
respond (struct http_dial *d)
{
  d->over = true;
  d->headers[d->n_headers] = (struct http_header){0};
  d->on_response (d->arg, d->parser.status_code, d->headers, buf_cstr (&d->body), d->body.len);
  http_dial_cancel (d);
}

static void
on_read (struct bufferevent *bev, void *arg)
{
  struct http_dial *d = arg;
  struct evbuffer *in = bufferevent_get_input (bev);
  struct evbuffer_iovec piece;
  while (!d->complete && evbuffer_peek (in, -1, NULL, &piece, 1) > 0 && piece.iov_len) {
    size_t n = http_parser_execute (&d->parser, &settings, piece.iov_base, piece.iov_len);
    enum http_errno e = HTTP_PARSER_ERRNO (&d->parser);
    evbuffer_drain (in, n);
    if (e != HPE_OK && e != HPE_PAUSED) {
      fail (d, d->too_long ? ERR_LIMIT : ERR_PARSE, d->too_long ? "answer too long" : "malformed answer");
      return;
    }
  }
  if (d->complete && d->parser.status_code == 101)
    hand_over (d);
  else if (d->complete)
    respond (d);
}

static void
describe (struct http_dial *d, char *out, size_t size)
{
  SSL *ssl = d->tls ? bufferevent_openssl_get_ssl (d->bev) : NULL;
  unsigned long e = d->tls ? bufferevent_get_openssl_error (d->bev) : 0;
  long verify = ssl ? SSL_get_verify_result (ssl) : X509_V_OK;
  if (verify != X509_V_OK)
    snprintf (out, size, "certificate: %s", X509_verify_cert_error_string (verify));
  else if (e)
    snprintf (out, size, "TLS: %s", ERR_reason_error_string (e) ? ERR_reason_error_string (e) : "failed");
  else if (evutil_socket_error_to_string (EVUTIL_SOCKET_ERROR ()) && EVUTIL_SOCKET_ERROR ())
    snprintf (out, size, "%s", evutil_socket_error_to_string (EVUTIL_SOCKET_ERROR ()));
  else
    snprintf (out, size, "connection failed");
  ERR_clear_error ();
}

static void
on_event (struct bufferevent *bev, short what, void *arg)
{
  struct http_dial *d = arg;
  char text[200];
  if (what & BEV_EVENT_CONNECTED) { /* TLS only */
    bufferevent_write (bev, d->request.data, d->request.len);
    return;
  }
  if (what & BEV_EVENT_EOF) {
    if (d->head_done) /* a body that ends with the connection */
      http_parser_execute (&d->parser, &settings, NULL, 0);
    if (d->complete)
      respond (d);
    else
      fail (d, ERR_CLOSED, "connection closed before the answer's end");
    return;
  }
  describe (d, text, sizeof text);
  fail (d, ERR_UNAVAILABLE, text);
}

static void
on_timeout (void *arg)
{
  struct http_dial *d = arg;
  if (d->failed.code) {
    d->over = true;
    d->on_error (d->arg, &d->failed);
    http_dial_cancel (d);
  } else
    fail (d, ERR_TIMEOUT, "timed out");
}

static int
build_request (struct http_dial *d, const struct http_dial_config *c, struct err *err)
{
  bool v6 = strchr (c->host, ':') != NULL;
  if (strpbrk (c->method, " \r\n") || strpbrk (c->target, " \r\n"))
    return err_set (err, ERR_INVALID, "bad request target '%.100s'", c->target);
  buf_printf (&d->request, "%s %s HTTP/1.1\r\n", c->method, c->target);
  if (!http_headers_get (c->headers, "host"))
    buf_printf (&d->request, "Host: %s%s%s:%u\r\n", v6 ? "[" : "", c->host, v6 ? "]" : "", c->port);
  for (const struct http_header *h = c->headers; h && h->name; h++)
    if (h->value && !strpbrk (h->name, "\r\n: ") && !strpbrk (h->value, "\r\n"))
      buf_printf (&d->request, "%s: %s\r\n", h->name, h->value);
  if (c->body_len || !strcmp (c->method, "POST"))
    buf_printf (&d->request, "Content-Length: %zu\r\n", c->body_len);
  buf_append_str (&d->request, "\r\n");
  buf_append (&d->request, c->body, c->body_len);
  return d->request.failed ? err_set (err, ERR_NOMEM, "request") : 0;
}

/* Names are resolved on the spot: callers connect to node addresses and to what a kubeconfig names. */
static int
start_connect (struct http_dial *d, const struct http_dial_config *c, struct err *err)
{
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
  char port[8];
  int fd, r, on = 1;
  snprintf (port, sizeof port, "%u", c->port);
  if ((r = getaddrinfo (c->host, port, &hints, &list)))
    return err_set (err, ERR_UNAVAILABLE, "%s: %s", d->where, gai_strerror (r));
  fd = socket (list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    freeaddrinfo (list);
    return err_errno (err, errno, "%s: socket", d->where);
  }
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt (fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (connect (fd, list->ai_addr, list->ai_addrlen) && errno != EINPROGRESS)
    err_errno (&d->failed, errno, "%s: connect", d->where); /* told from the loop, like later failures */
  freeaddrinfo (list);
  if (d->failed.code) {
    d->failed.code = ERR_UNAVAILABLE;
    close (fd);
    return 0;
  }
  if (c->tls) {
    SSL *ssl = tls_ssl_new (c->tls, c->server_name ? c->server_name : c->host);
    if (!ssl || SSL_set_alpn_protos (ssl, (const unsigned char *) "\x08http/1.1", 9) ||
        !(d->bev = bufferevent_openssl_socket_new (loop_base (d->loop), fd, ssl, BUFFEREVENT_SSL_CONNECTING,
                                                   BEV_OPT_CLOSE_ON_FREE))) {
      SSL_free (ssl);
      close (fd);
      return err_set (err, ERR_NOMEM, "%s", d->where);
    }
    bufferevent_openssl_set_allow_dirty_shutdown (d->bev, 1);
  } else if (!(d->bev = bufferevent_socket_new (loop_base (d->loop), fd, BEV_OPT_CLOSE_ON_FREE))) {
    close (fd);
    return err_set (err, ERR_NOMEM, "%s", d->where);
  } else
    bufferevent_write (d->bev, d->request.data, d->request.len); /* goes when connected */
  return 0;
}

int
http_dial (struct loop *loop, const struct http_dial_config *c, struct http_dial **ret, struct err *err)
{
  struct http_dial *d = mem_zalloc (sizeof *d);
  int r;
  REQUIRE (c->host && c->method && c->target && c->on_upgraded && c->on_response && c->on_error);
  if (!d || !(d->timer = loop_timer_new (loop, on_timeout, d))) {
    free (d);
    return err_set (err, ERR_NOMEM, "dial %s", c->host);
  }
  d->loop = loop;
  d->tls = c->tls != NULL;
  d->limit = c->response_limit_bytes ? c->response_limit_bytes : RESPONSE_DEFAULT_BYTES;
  d->on_upgraded = c->on_upgraded;
  d->on_response = c->on_response;
  d->on_error = c->on_error;
  d->arg = c->arg;
  arena_init (&d->arena, HEAD_BYTES);
  d->field.limit_bytes = d->value.limit_bytes = HEAD_BYTES;
  snprintf (d->where, sizeof d->where, "%.200s:%u", c->host, c->port);
  http_parser_init (&d->parser, HTTP_RESPONSE);
  d->parser.data = d;
  if ((r = build_request (d, c, err)) || (r = start_connect (d, c, err))) {
    http_dial_cancel (d);
    return r;
  }
  if (d->bev) {
    bufferevent_setcb (d->bev, on_read, NULL, on_event, d);
    bufferevent_enable (d->bev, EV_READ | EV_WRITE);
  }
  loop_timer_set (d->timer, d->failed.code ? 0 : (c->timeout_ms ? c->timeout_ms : TIMEOUT_DEFAULT_MS));
  if (ret)
    *ret = d;
  return 0;
}
