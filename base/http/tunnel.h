/* A raw byte stream on a loop: what is left of an HTTP connection after an upgrade, on the server's or the client's side, or
   any connected socket. Bounded both ways: reading stops while paused, and the writer looks at pending bytes.
   The owner frees it with http_tunnel_close (from any callback too). */
#ifndef BASE_HTTP_TUNNEL_H
#define BASE_HTTP_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"

struct http_tunnel;
struct bufferevent;

struct http_tunnel_cb {
  /* len bytes, valid during the call. */
  void (*on_data) (void *arg, const void *data, size_t len);
  /* Pending bytes fell below HTTP_TUNNEL_LOW after having been above HTTP_TUNNEL_HIGH. May be NULL. */
  void (*on_drain) (void *arg);
  /* The peer sent its end: no more data will come; writing still works. NULL: treated as on_close. */
  void (*on_eof) (void *arg);
  /* The stream is over in both directions; the tunnel is still to be closed. */
  void (*on_close) (void *arg);
};

#define HTTP_TUNNEL_HIGH (256u << 10)
#define HTTP_TUNNEL_LOW (64u << 10)

/* Takes a connected bufferevent or socket. NULL when out of memory (bev, fd are then still the caller's). */
struct http_tunnel *http_tunnel_of_bev (struct loop *loop, struct bufferevent *bev);
struct http_tunnel *http_tunnel_of_fd (struct loop *loop, int fd);
/* Nothing is read before this. Data that is there already is delivered from the loop soon, not from within. */
void http_tunnel_start (struct http_tunnel *t, const struct http_tunnel_cb *cb, void *arg);
/* Queues a copy. ERR_CLOSED, ERR_NOMEM, or ERR_LIMIT above 16 MiB pending (the writer ignored back-pressure). */
int http_tunnel_write (struct http_tunnel *t, const void *data, size_t len);
size_t http_tunnel_pending_bytes (const struct http_tunnel *t);
void http_tunnel_pause (struct http_tunnel *t, bool pause); /* reading */
void http_tunnel_shutdown (struct http_tunnel *t);          /* sends our end after what is queued; reading goes on */
/* Frees it; queued bytes are still sent (for at most 10 s), no callback follows. NULL allowed. */
void http_tunnel_close (struct http_tunnel *t);
void http_tunnel_reset (struct http_tunnel *t);             /* frees it, dropping what is queued */
struct loop *http_tunnel_loop (const struct http_tunnel *t);

/* Joins two streams byte by byte, with back-pressure, until either ends; then both are closed and done (may be NULL) is
   called. Takes both. ERR_NOMEM: both are closed. */
int http_tunnel_splice (struct http_tunnel *a, struct http_tunnel *b, loop_cb done, void *arg);

#endif
