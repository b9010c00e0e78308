#include "base/http/tunnel.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/mem.h"

#define WRITE_LIMIT (16u << 20)
#define READ_HIGH (64u << 10)
#define CLOSE_TIMEOUT_S 10
#define LINGER_S 2
#define PULLUP_MAX (16u << 10)

struct http_tunnel {
  struct loop *loop;
  struct bufferevent *bev;
  struct http_tunnel_cb cb;
  void *arg;
  unsigned entered;
  bool started, paused, above_high, eof, ended, shut, freed;
};

static void
enter (struct http_tunnel *t)
{
  t->entered++;
}

static void
leave (struct http_tunnel *t)
{
  if (!--t->entered && t->freed)
    free (t);
}

static void
read_later (struct http_tunnel *t)
{
  bufferevent_trigger (t->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void
on_read (struct bufferevent *bev, void *arg)
{
  struct http_tunnel *t = arg;
  struct evbuffer *in = bufferevent_get_input (bev);
  struct evbuffer_iovec piece;
  enter (t);
  while (!t->freed && !t->paused && evbuffer_peek (in, -1, NULL, &piece, 1) > 0 && piece.iov_len) {
    t->cb.on_data (t->arg, piece.iov_base, piece.iov_len);
    if (!t->freed)
      evbuffer_drain (in, piece.iov_len);
  }
  leave (t);
}

static void
finish_shutdown (struct http_tunnel *t)
{
  SSL *ssl = bufferevent_openssl_get_ssl (t->bev);
  if (ssl) {
    SSL_shutdown (ssl);
    ERR_clear_error ();
  } else
    shutdown (bufferevent_getfd (t->bev), SHUT_WR);
}

static void
on_write (struct bufferevent *bev, void *arg)
{
  struct http_tunnel *t = arg;
  enter (t);
  if (t->above_high && evbuffer_get_length (bufferevent_get_output (bev)) <= HTTP_TUNNEL_LOW) {
    t->above_high = false;
    if (t->cb.on_drain)
      t->cb.on_drain (t->arg);
  }
  if (!t->freed && t->shut && !evbuffer_get_length (bufferevent_get_output (bev)))
    finish_shutdown (t);
  leave (t);
}

static void
on_event (struct bufferevent *bev, short what, void *arg)
{
  struct http_tunnel *t = arg;
  if (what & BEV_EVENT_CONNECTED)
    return;
  ERR_clear_error ();
  enter (t);
  /* What came before the end is still delivered, pause or not: nothing will resume a stream that is over. */
  t->paused = false;
  on_read (bev, t);
  if (!t->freed && (what & BEV_EVENT_EOF) && !bufferevent_openssl_get_ssl (bev) && t->cb.on_eof && !t->eof) {
    t->eof = true;
    t->cb.on_eof (t->arg);
  } else if (!t->freed && !t->ended) {
    t->ended = true;
    t->cb.on_close (t->arg);
  }
  leave (t);
}

struct http_tunnel *
http_tunnel_of_bev (struct loop *loop, struct bufferevent *bev)
{
  struct http_tunnel *t = mem_zalloc (sizeof *t);
  if (!t)
    return NULL;
  t->loop = loop;
  t->bev = bev;
  bufferevent_disable (bev, EV_READ);
  bufferevent_setcb (bev, NULL, NULL, NULL, NULL);
  bufferevent_setwatermark (bev, EV_READ, 0, READ_HIGH);
  bufferevent_setwatermark (bev, EV_WRITE, HTTP_TUNNEL_LOW, 0);
  bufferevent_set_timeouts (bev, NULL, NULL);
  return t;
}

struct http_tunnel *
http_tunnel_of_fd (struct loop *loop, int fd)
{
  struct bufferevent *bev;
  struct http_tunnel *t;
  evutil_make_socket_nonblocking (fd);
  if (!(bev = bufferevent_socket_new (loop_base (loop), fd, BEV_OPT_CLOSE_ON_FREE)))
    return NULL;
  bufferevent_enable (bev, EV_WRITE);
  if (!(t = http_tunnel_of_bev (loop, bev))) {
    bufferevent_setfd (bev, -1); /* still the caller's */
    bufferevent_free (bev);
  }
  return t;
}

void
http_tunnel_start (struct http_tunnel *t, const struct http_tunnel_cb *cb, void *arg)
{
  REQUIRE (!t->started && cb->on_data && cb->on_close);
  t->started = true;
  t->cb = *cb;
  t->arg = arg;
  bufferevent_setcb (t->bev, on_read, on_write, on_event, t);
  if (!t->paused)
    bufferevent_enable (t->bev, EV_READ);
  if (evbuffer_get_length (bufferevent_get_input (t->bev)))
    read_later (t);
}

int
http_tunnel_write (struct http_tunnel *t, const void *data, size_t len)
{
  struct evbuffer *out = bufferevent_get_output (t->bev);
  size_t pending = evbuffer_get_length (out);
  if (t->ended || t->shut)
    return ERR_CLOSED;
  if (pending + len > WRITE_LIMIT)
    return ERR_LIMIT;
  if (len > 1024)
    evbuffer_expand (out, len);
  if (evbuffer_add (out, data, len))
    return ERR_NOMEM;
  if (pending + len <= PULLUP_MAX) /* one TLS record, not one for each small write */
    evbuffer_pullup (out, -1);
  if (pending + len > HTTP_TUNNEL_HIGH)
    t->above_high = true;
  return 0;
}

size_t
http_tunnel_pending_bytes (const struct http_tunnel *t)
{
  return evbuffer_get_length (bufferevent_get_output (t->bev));
}

void
http_tunnel_pause (struct http_tunnel *t, bool pause)
{
  if (t->paused == pause || t->ended)
    return;
  t->paused = pause;
  if (!t->started)
    return;
  /* Disabled, not only left unread: an idle pause must not spin on a readable socket. */
  if (pause)
    bufferevent_disable (t->bev, EV_READ);
  else {
    bufferevent_enable (t->bev, EV_READ);
    if (evbuffer_get_length (bufferevent_get_input (t->bev)))
      read_later (t);
  }
}

void
http_tunnel_shutdown (struct http_tunnel *t)
{
  if (t->shut || t->ended)
    return;
  t->shut = true;
  if (!http_tunnel_pending_bytes (t))
    finish_shutdown (t);
}

struct loop *
http_tunnel_loop (const struct http_tunnel *t)
{
  return t->loop;
}

static void
release (struct http_tunnel *t)
{
  enter (t);
  t->freed = true;
  t->bev = NULL;
  leave (t);
}

void
http_tunnel_reset (struct http_tunnel *t)
{
  if (!t)
    return;
  bufferevent_setcb (t->bev, NULL, NULL, NULL, NULL);
  bufferevent_free (t->bev);
  release (t);
}

static void
closing_event (struct bufferevent *bev, short what, void *arg)
{
  (void) what;
  (void) arg;
  ERR_clear_error ();
  bufferevent_free (bev);
}

static void
closing_read (struct bufferevent *bev, void *arg)
{
  (void) arg;
  evbuffer_drain (bufferevent_get_input (bev), evbuffer_get_length (bufferevent_get_input (bev)));
}

/* All is sent. Closing now would reset the connection if the peer still sends, and lose what is on its way to it: tell our end
   and wait a little for the peer's. */
static void
closing_write (struct bufferevent *bev, void *arg)
{
  struct timeval limit = {LINGER_S, 0};
  SSL *ssl = bufferevent_openssl_get_ssl (bev);
  (void) arg;
  if (evbuffer_get_length (bufferevent_get_output (bev)))
    return;
  if (ssl) {
    SSL_shutdown (ssl);
    ERR_clear_error ();
  }
  shutdown (bufferevent_getfd (bev), SHUT_WR);
  bufferevent_setcb (bev, closing_read, NULL, closing_event, NULL);
  bufferevent_disable (bev, EV_WRITE);
  bufferevent_set_timeouts (bev, &limit, NULL);
  bufferevent_enable (bev, EV_READ);
}

void
http_tunnel_close (struct http_tunnel *t)
{
  struct timeval limit = {CLOSE_TIMEOUT_S, 0};
  struct bufferevent *bev;
  if (!t)
    return;
  bev = t->bev;
  if (t->ended) {
    http_tunnel_reset (t);
    return;
  }
  release (t);
  /* Nothing is drained here: this may be called from within the delivery of what the input holds. */
  bufferevent_disable (bev, EV_READ);
  bufferevent_setwatermark (bev, EV_READ, 0, 0);
  bufferevent_setwatermark (bev, EV_WRITE, 0, 0);
  bufferevent_setcb (bev, NULL, closing_write, closing_event, NULL);
  bufferevent_set_timeouts (bev, NULL, &limit);
  bufferevent_enable (bev, EV_WRITE);
  bufferevent_trigger (bev, EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

/* Splice: two ends, each writing what the other reads. */
struct splice {
  struct splice_end {
    struct splice *s;
    struct http_tunnel *t;
    struct splice_end *other;
    bool eof;
  } ends[2];
  loop_cb done;
  void *arg;
};

static void
splice_end (struct splice *s)
{
  loop_cb done = s->done;
  void *arg = s->arg;
  http_tunnel_close (s->ends[0].t);
  http_tunnel_close (s->ends[1].t);
  free (s);
  if (done)
    done (arg);
}

static void
splice_data (void *arg, const void *data, size_t len)
{
  struct splice_end *e = arg;
  if (http_tunnel_write (e->other->t, data, len)) {
    splice_end (e->s);
    return;
  }
  if (http_tunnel_pending_bytes (e->other->t) > HTTP_TUNNEL_HIGH)
    http_tunnel_pause (e->t, true);
}

static void
splice_drain (void *arg)
{
  struct splice_end *e = arg;
  http_tunnel_pause (e->other->t, false);
}

static void
splice_eof (void *arg)
{
  struct splice_end *e = arg;
  e->eof = true;
  if (e->other->eof)
    splice_end (e->s);
  else
    http_tunnel_shutdown (e->other->t);
}

static void
splice_close (void *arg)
{
  struct splice_end *e = arg;
  splice_end (e->s);
}

int
http_tunnel_splice (struct http_tunnel *a, struct http_tunnel *b, loop_cb done, void *arg)
{
  static const struct http_tunnel_cb cb = {splice_data, splice_drain, splice_eof, splice_close};
  struct splice *s = mem_zalloc (sizeof *s);
  if (!s) {
    http_tunnel_close (a);
    http_tunnel_close (b);
    return ERR_NOMEM;
  }
  s->done = done;
  s->arg = arg;
  s->ends[0] = (struct splice_end){s, a, &s->ends[1], false};
  s->ends[1] = (struct splice_end){s, b, &s->ends[0], false};
  http_tunnel_start (a, &cb, &s->ends[0]);
  http_tunnel_start (b, &cb, &s->ends[1]);
  return 0;
}
