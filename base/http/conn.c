/* A connection from accept to the end: handshake, choice of the protocol, waits with bounds, orderly close. */
#include "base/http/http_internal.h"

#include <arpa/inet.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <sys/socket.h>

#define LINGER_MS 2000
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PULLUP_MAX (16u << 10)

static uint64_t next_id;

void
http_conn_enter (struct http_conn *c)
{
  c->entered++;
}

void
http_conn_leave (struct http_conn *c)
{
  REQUIRE (c->entered > 0);
  if (--c->entered || !c->destroyed)
    return;
  if (c->proto)
    c->proto->free (c);
  X509_free (c->cert);
  free (c);
}

void
http_conn_destroy (struct http_conn *c)
{
  if (c->destroyed)
    return;
  http_conn_enter (c);
  c->destroyed = true;
  if (c->proto)
    c->proto->gone (c);
  if (c->bev) {
    bufferevent_setcb (c->bev, NULL, NULL, NULL, NULL);
    bufferevent_free (c->bev);
    c->bev = NULL;
  }
  http_server_conn_gone (c->server, c);
  http_conn_leave (c);
}

struct bufferevent *
http_conn_take (struct http_conn *c)
{
  struct bufferevent *bev = c->bev;
  c->bev = NULL;
  bufferevent_setcb (bev, NULL, NULL, NULL, NULL);
  bufferevent_setwatermark (bev, EV_READ | EV_WRITE, 0, 0);
  return bev;
}

void
http_conn_wait (struct http_conn *c, int64_t bound_ms)
{
  c->since = mono_now ();
  c->wait_ms = bound_ms;
}

struct evbuffer *
http_conn_output (struct http_conn *c)
{
  return bufferevent_get_output (c->bev);
}

/* A chain becomes a TLS record of its own, and libevent's own chains are 4 KB: ask for larger ones. */
void
http_output_add (struct evbuffer *out, const void *data, size_t len)
{
  if (len > 1024)
    evbuffer_expand (out, len);
  evbuffer_add (out, data, len);
  if (evbuffer_get_length (out) <= PULLUP_MAX)
    evbuffer_pullup (out, -1);
}

void
http_conn_input_later (struct http_conn *c)
{
  bufferevent_trigger (c->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void
close_now (struct http_conn *c)
{
  if (!c->lingering) {
    http_conn_destroy (c);
    return;
  }
  /* The peer is still sending: closing now would reset the connection and lose our answer on its way. */
  http_conn_wait (c, LINGER_MS);
  shutdown (bufferevent_getfd (c->bev), SHUT_WR);
}

void
http_conn_close_after_output (struct http_conn *c, bool linger)
{
  if (c->closing)
    return;
  c->closing = true;
  c->lingering = linger;
  http_conn_wait (c, c->server->config.idle_timeout_ms);
  bufferevent_trigger (c->bev, EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

/* Plain text begins with HTTP/2's preface or with anything else; a prefix of it is not enough to tell. */
static const struct http_proto *
guess_proto (struct evbuffer *in)
{
  char head[sizeof PREFACE - 1];
  ev_ssize_t n = evbuffer_copyout (in, head, sizeof head);
  if (n <= 0 || memcmp (head, PREFACE, (size_t) n))
    return &http_proto_h1;
  return n == sizeof head ? &http_proto_h2 : NULL;
}


static void
start_proto (struct http_conn *c, const struct http_proto *proto)
{
  c->proto = proto;
  http_conn_wait (c, c->server->config.idle_timeout_ms);
  if (proto == &http_proto_h2 ? http_h2_start (c) : http_h1_start (c))
    http_conn_destroy (c);
}

static void
on_read (struct bufferevent *bev, void *arg)
{
  struct http_conn *c = arg;
  struct evbuffer *in = bufferevent_get_input (bev);
  const struct http_proto *proto;
  http_conn_enter (c);
  if (!c->proto && (proto = guess_proto (in)))
    start_proto (c, proto);
  if (c->closing && c->lingering)
    evbuffer_drain (in, evbuffer_get_length (in));
  else if (!c->destroyed && c->proto && !c->closing)
    c->proto->input (c);
  http_conn_leave (c);
}

static void
on_write (struct bufferevent *bev, void *arg)
{
  struct http_conn *c = arg;
  http_conn_enter (c);
  if (c->proto)
    c->proto->drained (c);
  if (!c->destroyed && c->bev && c->closing && !evbuffer_get_length (bufferevent_get_output (bev)))
    close_now (c);
  http_conn_leave (c);
}

static void
handshake_done (struct http_conn *c)
{
  SSL *ssl = bufferevent_openssl_get_ssl (c->bev);
  const unsigned char *alpn = NULL;
  unsigned len = 0;
  c->cert = tls_peer_cert (ssl, &c->verify);
  if (c->cert)
    X509_up_ref (c->cert);
  SSL_get0_alpn_selected (ssl, &alpn, &len);
  start_proto (c, len == 2 && !memcmp (alpn, "h2", 2) ? &http_proto_h2 : &http_proto_h1);
}

static void
on_event (struct bufferevent *bev, short what, void *arg)
{
  struct http_conn *c = arg;
  (void) bev;
  http_conn_enter (c);
  if (what & BEV_EVENT_CONNECTED)
    handshake_done (c);
  else {
    ERR_clear_error ();
    http_conn_destroy (c);
  }
  http_conn_leave (c);
}

static void
format_peer (const struct sockaddr *addr, char out[HTTP_PEER_SIZE])
{
  char ip[INET6_ADDRSTRLEN];
  if (addr->sa_family == AF_INET6) {
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *) (const void *) addr;
    if (IN6_IS_ADDR_V4MAPPED (&in->sin6_addr)) {
      inet_ntop (AF_INET, in->sin6_addr.s6_addr + 12, ip, sizeof ip);
      snprintf (out, HTTP_PEER_SIZE, "%s:%u", ip, ntohs (in->sin6_port));
    } else {
      inet_ntop (AF_INET6, &in->sin6_addr, ip, sizeof ip);
      snprintf (out, HTTP_PEER_SIZE, "[%s]:%u", ip, ntohs (in->sin6_port));
    }
  } else if (addr->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *) (const void *) addr;
    inet_ntop (AF_INET, &in->sin_addr, ip, sizeof ip);
    snprintf (out, HTTP_PEER_SIZE, "%s:%u", ip, ntohs (in->sin_port));
  } else
    snprintf (out, HTTP_PEER_SIZE, "@");
}

/* Takes fd. NULL when out of memory. */
struct http_conn *
http_conn_new (struct http_server *s, int fd, const struct sockaddr *addr)
{
  struct http_conn *c = mem_zalloc (sizeof *c);
  struct event_base *base = loop_base (s->loop);
  SSL *ssl = NULL;
  if (!c || (s->config.tls && !(ssl = tls_ssl_new (s->config.tls, NULL)))) {
    free (c);
    close (fd);
    return NULL;
  }
  c->bev = ssl ? bufferevent_openssl_socket_new (base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
               : bufferevent_socket_new (base, fd, BEV_OPT_CLOSE_ON_FREE);
  if (!c->bev) {
    SSL_free (ssl);
    free (c);
    close (fd);
    return NULL;
  }
  if (ssl)
    bufferevent_openssl_set_allow_dirty_shutdown (c->bev, 1);
  c->server = s;
  c->id = __atomic_add_fetch (&next_id, 1, __ATOMIC_RELAXED);
  c->verify = X509_V_OK;
  format_peer (addr, c->peer);
  http_conn_wait (c, s->config.idle_timeout_ms);
  bufferevent_setcb (c->bev, on_read, on_write, on_event, c);
  bufferevent_setwatermark (c->bev, EV_READ, 0, HTTP_INPUT_HIGH);
  bufferevent_setwatermark (c->bev, EV_WRITE, s->config.output_high_bytes / 4, 0);
  bufferevent_enable (c->bev, EV_READ | EV_WRITE);
  return c;
}
