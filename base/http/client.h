/* HTTP(S) calls out, asynchronously on a loop: ordinary and streaming requests by libcurl's multi interface, and upgrades
   (exec, attach, port-forward) by a small client of our own that hands over the byte stream. */
#ifndef BASE_HTTP_CLIENT_H
#define BASE_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/http/http.h"
#include "base/loop.h"
#include "base/tls.h"

struct http_client;
struct http_call;

/* tls's strings are copied; NULL: the system's authorities, no client certificate. max_connections 0: 64 in all. */
struct http_client *http_client_new (struct loop *loop, const struct tls_config *tls, unsigned max_connections, struct err *err);
void http_client_free (struct http_client *c); /* cancels what runs (on_done is not called). NULL allowed */

struct http_response {
  int status;                  /* 0 when no answer came: see error */
  const struct buf *body;      /* empty when on_data took it */
  const struct http_header *headers; /* of the final answer; names lower case */
  const struct err *error;     /* NULL on success (any HTTP status); ERR_TIMEOUT, ERR_UNAVAILABLE (connect, resolve),
                                  ERR_LIMIT (body too long), ERR_CANCELLED, ERR_IO */
};
const char *http_response_header (const struct http_response *r, const char *name); /* any case; NULL */

struct http_call_config {
  const char *method, *url;
  const struct http_header *headers;
  const void *body;            /* copied */
  size_t body_len;
  int64_t timeout_ms;          /* whole call; 0: none (watches) */
  int64_t connect_timeout_ms;  /* 0: 10 s */
  size_t response_limit_bytes; /* of a collected body; 0: 64 MiB */
  const char *server_name;     /* the name to verify and to send as SNI and Host's host, when not the URL's (webhooks to services); NULL */
  const struct tls_config *tls; /* instead of the client's (webhooks' caBundle); NULL */
  const char *unix_socket;     /* connect there instead; NULL */
  bool http1_only;
  void (*on_headers) (void *arg, int status, const struct http_header *headers); /* may be NULL */
  /* Streams the body instead of collecting it (over HTTP/1.1). false cancels the call. May be NULL. */
  bool (*on_data) (void *arg, const void *data, size_t len);
  /* The end, once; the call is freed when it returns. Never from within http_call. */
  void (*on_done) (void *arg, const struct http_response *response);
  void *arg;
};
/* *ret (may be NULL) is valid until on_done or http_call_cancel. ERR_INVALID, ERR_NOMEM: on_done is not called. */
int http_call (struct http_client *c, const struct http_call_config *config, struct http_call **ret, struct err *err);
void http_call_cancel (struct http_call *call);            /* on_done is not called. Frees it; not from on_headers or on_data */
void http_call_pause (struct http_call *call, bool pause); /* a streamed body; not from on_data */

/* Calls and waits, without a loop: for command line tools and tests. on_* of config but on_data are ignored. Headers are not
   kept. Returns the HTTP status or ERR_*; the body is appended to out. */
int http_call_wait (const struct tls_config *tls, const struct http_call_config *config, struct buf *out, struct err *err);

/* An upgrade request over HTTP/1.1. */
struct http_dial;
struct http_dial_config {
  const char *host;        /* name or address to connect to */
  uint16_t port;
  struct tls_context *tls; /* a client context (no_http2 is implied); NULL: plain text */
  const char *server_name; /* to verify; NULL: host */
  const char *method, *target;
  const struct http_header *headers; /* "connection" and "upgrade" included by the caller; host is added when absent */
  const void *body;
  size_t body_len;
  int64_t timeout_ms;      /* to the answer's headers; 0: 30 s */
  size_t response_limit_bytes; /* of the body of a refusal; 0: 1 MiB */
  /* Exactly one of the three, once, never from within http_dial; the dial is freed when it returns. */
  void (*on_upgraded) (void *arg, int status, const struct http_header *headers, struct http_tunnel *tunnel); /* takes it */
  void (*on_response) (void *arg, int status, const struct http_header *headers, const void *body, size_t len);
  void (*on_error) (void *arg, const struct err *err);
  void *arg;
};
int http_dial (struct loop *loop, const struct http_dial_config *config, struct http_dial **ret, struct err *err);
void http_dial_cancel (struct http_dial *d); /* no callback follows. NULL allowed */

/* A name of a NUL-name-terminated list, any case; NULL when absent. */
const char *http_headers_get (const struct http_header *headers, const char *name);

#endif
