/* What the parts of the server share: the connection (conn.c), its protocol (h1.c, h2.c) and the request (request.c).

   A connection lives until its stream ends or it is destroyed; callbacks may destroy it while it is on the stack, so every
   entry is bracketed by conn_enter and conn_leave, and the memory goes when the last one leaves.
   A request is held by its handler (until finished) and by its connection (until answered or gone), and freed when neither
   does. req->conn is NULL once the connection has let go. */
#ifndef BASE_HTTP_HTTP_INTERNAL_H
#define BASE_HTTP_HTTP_INTERNAL_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/http/http.h"
#include "base/mem.h"

#define HTTP_HEADERS_LIMIT 256
#define HTTP_LISTEN_LIMIT 16
#define HTTP_INPUT_HIGH (64u << 10)
#define HTTP_PEER_SIZE 64

struct http_conn;

/* How one protocol does things; every function but the last four is entered with the connection held. */
struct http_proto {
  void (*input) (struct http_conn *c);   /* bytes are in the input buffer */
  void (*drained) (struct http_conn *c); /* the output is below the low mark */
  void (*gone) (struct http_conn *c);    /* the stream ended: let go of every request */
  bool (*idle) (struct http_conn *c);    /* nothing under way */
  void (*shutdown) (struct http_conn *c); /* finish what is under way, start nothing new */
  void (*free) (struct http_conn *c);
  /* Of a request that is not closed. length -1: chunks follow; with length >= 0, exactly one data of that length unless 0. */
  int (*head) (struct http_request *req, int status, const struct http_header *headers, int64_t length);
  int (*data) (struct http_request *req, struct evbuffer *data); /* empties data */
  void (*end) (struct http_request *req);
  size_t (*pending) (const struct http_request *req);
  void (*abort) (struct http_request *req);
  void (*body_ready) (struct http_request *req); /* streaming started or resumed */
  void (*body_consumed) (struct http_request *req, size_t len);
};
extern const struct http_proto http_proto_h1, http_proto_h2;

struct http_conn {
  struct http_server *server;
  struct http_conn *prev, *next;
  const struct http_proto *proto; /* NULL during the handshake */
  void *state;                    /* the protocol's */
  struct bufferevent *bev;        /* NULL when given away or destroyed */
  uint64_t id;
  mono_t since; /* of the present wait */
  int64_t wait_ms; /* the wait's bound; 0: none */
  unsigned entered;
  bool destroyed, closing, lingering;
  X509 *cert; /* referenced */
  long verify;
  char peer[HTTP_PEER_SIZE];
};

struct http_server {
  struct loop *loop;
  struct http_server_config config;
  struct evconnlistener *listeners[HTTP_LISTEN_LIMIT];
  size_t n_listeners;
  struct http_conn *conns;
  size_t n_conns;
  struct loop_timer *sweep;
  bool accept_paused, shutting_down;
  mono_t deadline;
  loop_cb shutdown_done;
  void *shutdown_arg;
  int64_t date_s;
  char date[40];
};

struct http_request {
  struct http_conn *conn; /* NULL: closed */
  struct loop *loop;
  const struct http_proto *proto;
  size_t output_high_bytes;
  unsigned refs;
  struct arena arena;
  const char *method, *path, *query;
  struct http_header *headers;
  size_t n_headers;
  X509 *cert; /* referenced */
  long verify;
  uint64_t conn_id;
  char peer[HTTP_PEER_SIZE];
  struct buf body;        /* buffered, or what of a streamed body was not taken yet */
  size_t body_limit_bytes, body_bytes;
  int version;
  int32_t stream_id;
  bool is_head, tls;
  bool streaming, body_done, body_ok, body_ended, body_paused, body_busy;
  bool dispatched, started, ended, finished, above_high, no_body_answer;
  http_body_data_cb on_body;
  http_body_end_cb on_body_end;
  void *body_arg;
  loop_cb on_close, on_drain;
  void *close_arg, *drain_arg;
  /* HTTP/2 */
  struct http_request *prev, *next; /* of its connection */
  struct evbuffer *out;             /* accepted, not framed yet */
  const char *refuse;               /* the status to refuse it with, once its headers are complete */
  bool refused;
};

/* conn.c */
struct http_conn *http_conn_new (struct http_server *s, int fd, const struct sockaddr *addr);
void http_conn_enter (struct http_conn *c);
void http_conn_leave (struct http_conn *c);
void http_conn_destroy (struct http_conn *c);
void http_conn_wait (struct http_conn *c, int64_t bound_ms); /* starts a bounded wait; 0 ends it */
void http_conn_close_after_output (struct http_conn *c, bool linger);
struct bufferevent *http_conn_take (struct http_conn *c);
void http_conn_input_later (struct http_conn *c);
struct evbuffer *http_conn_output (struct http_conn *c);
void http_output_add (struct evbuffer *out, const void *data, size_t len);
const char *http_date (struct http_server *s);
/* h1.c, h2.c: attach the protocol to a connection; 0 or ERR_NOMEM */
int http_h1_start (struct http_conn *c);
int http_h2_start (struct http_conn *c);
/* server.c */
void http_server_conn_gone (struct http_server *s, struct http_conn *c);

/* request.c, for the protocols */
struct http_request *http_request_new (struct http_conn *c, size_t header_limit_bytes);
void http_request_unref (struct http_request *req);
int http_request_set_target (struct http_request *req, const char *target, size_t len);
int http_request_add_header (struct http_request *req, const char *name, size_t name_len, const char *value, size_t value_len);
/* The headers are complete: asks on_headers; returns true when the body is to be streamed. */
bool http_request_route (struct http_request *req);
void http_request_dispatch (struct http_request *req);
int http_request_body_add (struct http_request *req, const void *data, size_t len); /* ERR_LIMIT, ERR_NOMEM */
void http_request_body_end (struct http_request *req, bool ok);
/* The connection lets go before the end: tells the handler. Drops the connection's reference. */
void http_request_gone (struct http_request *req);
/* The answer is written out in full: drops the connection's reference. */
void http_request_answered (struct http_request *req);
void http_request_drained (struct http_request *req); /* pending may have fallen */
bool http_method_known (const char *method);
bool http_method_allowed (const char *method);
bool http_header_valid (const struct http_header *h);
/* gzip.c: compresses src into a new buffer; false when that failed or does not pay. */
bool http_gzip (const void *data, size_t len, struct buf *out);
bool http_accepts_gzip (const struct http_request *req);

#endif
