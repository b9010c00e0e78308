/* The HTTP server: HTTP/1.1 and HTTP/2 (by ALPN, or prior knowledge in plain text) on the same listeners, over a loop.

   Everything happens in the loop's thread. Several loops share the listeners of one server (config.share).

   A request belongs to the handler from on_request on, until the handler finishes it with exactly one of http_reply,
   http_reply_buf, http_reply_end, http_upgrade (when that succeeds) or http_abort. When the peer goes away first, on_close
   is told, replies become no-ops that return ERR_CLOSED, and the request stays valid until it is finished all the same.
   So: a handler may keep the pointer, answer later, and never checks anything but its own state.

   Bytes that the layer refuses before a handler sees them are answered with 400, 405, 408, 413, 414, 417, 431, 501 or 505, as
   plain text. */
#ifndef BASE_HTTP_HTTP_H
#define BASE_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/http/tunnel.h"
#include "base/loop.h"
#include "base/tls.h"

struct http_server;
struct http_request;

/* A header field. Lists end with name == NULL; a NULL list is an empty one. Values are sent as given: no CR, LF or NUL
   (such a field is dropped). */
struct http_header {
  const char *name, *value;
};

/* The request is complete, its body included (or, when on_headers chose streaming, its headers are). */
typedef void (*http_request_cb) (void *arg, struct http_request *req);

enum http_route {
  HTTP_BUFFER = 0, /* collect the body to the limit, then call on_request */
  HTTP_STREAM,     /* call on_request now; the body comes through http_body_stream */
};
/* Decides at the headers; may set *body_limit_bytes for this request (its value on entry is the server's). */
typedef enum http_route (*http_headers_cb) (void *arg, struct http_request *req, size_t *body_limit_bytes);

struct http_server_config {
  const char *const *listen;       /* "127.0.0.1:6443", "[::]:6443", ":6443" (all addresses), port 0: any; NULL-terminated */
  const struct http_server *share; /* take another server's listening sockets instead (it may live in another thread) */
  struct tls_context *tls;         /* referenced; NULL: plain text */
  size_t body_limit_bytes;         /* 0: 3 MiB, upstream's limit of a request */
  size_t header_limit_bytes;       /* request line and headers; 0: 64 KiB */
  int64_t idle_timeout_ms;         /* keep-alive without a request, and time to send headers or handshake; 0: 60 s */
  int64_t body_timeout_ms;         /* to receive a buffered body; 0: 60 s */
  unsigned max_connections;        /* 0: 10,000; more wait in the backlog */
  unsigned max_streams;            /* HTTP/2 concurrent streams a connection; 0: 250 */
  size_t output_high_bytes;        /* http_reply_pending_bytes above which on_drain becomes due; 0: 256 KiB */
  http_headers_cb on_headers;      /* may be NULL */
  http_request_cb on_request;
  void *arg;
};

/* NULL on failure: ERR_BUSY when a port is in use, ERR_INVALID on a bad address, naming it. */
struct http_server *http_server_new (struct loop *loop, const struct http_server_config *config, struct err *err);
/* The port actually bound by listen[index]; 0 when there is no such. */
uint16_t http_server_port (const struct http_server *s, size_t index);
size_t http_server_connections (const struct http_server *s);
/* Stops accepting, closes idle connections, sends GOAWAY on HTTP/2 and "connection: close" on the others, and calls done (may
   be NULL) when none is left or deadline_ms passed (connections left are then closed). */
void http_server_shutdown (struct http_server *s, int64_t deadline_ms, loop_cb done, void *arg);
/* Closes everything at once: on_close is called for requests under way. NULL allowed. Not from within a callback of a
   request of this server. */
void http_server_free (struct http_server *s);

/* What was asked. Strings live as long as the request. */
const char *http_method (const struct http_request *req);
const char *http_path (const struct http_request *req);   /* as sent, undecoded, without the query; begins with '/' (or "*") */
const char *http_query (const struct http_request *req);  /* without '?', undecoded; "" when none */
const char *http_header (const struct http_request *req, const char *name); /* first of that name, any case; NULL */
/* for (size_t it = 0; http_header_next (req, &it, &name, &value);) in the order sent. Names are lower case. */
bool http_header_next (const struct http_request *req, size_t *it, const char **ret_name, const char **ret_value);
/* Whether a comma-separated header (all its occurrences) has the token, any case: ("connection", "upgrade"). */
bool http_header_has_token (const struct http_request *req, const char *name, const char *token);
const void *http_body (const struct http_request *req, size_t *ret_len); /* NUL-terminated beyond len; "" when empty */
const char *http_peer (const struct http_request *req);                  /* "10.0.0.7:43210", "[::1]:43210" */
X509 *http_peer_cert (const struct http_request *req, long *ret_verify); /* as tls_peer_cert; NULL without */
bool http_is_tls (const struct http_request *req);
int http_version (const struct http_request *req);                       /* 10, 11, 20 */
struct loop *http_request_loop (const struct http_request *req);
uint64_t http_connection_id (const struct http_request *req);            /* unique within the process */

/* A streamed body (HTTP_STREAM): on_data in order, then on_end; neither after the request closed. Until this is called nothing
   is read. on_end's ok is false when the body was cut off or passed its limit. */
typedef void (*http_body_data_cb) (void *arg, const void *data, size_t len);
typedef void (*http_body_end_cb) (void *arg, bool ok);
void http_body_stream (struct http_request *req, http_body_data_cb on_data, http_body_end_cb on_end, void *arg);
void http_body_pause (struct http_request *req, bool pause); /* stops and resumes reading: back-pressure */

/* The peer went away before the request was finished; called once. cb NULL unsets. When it went already, cb is called from the
   loop soon. Finishing the request inside is usual. */
void http_on_close (struct http_request *req, loop_cb cb, void *arg);
bool http_closed (const struct http_request *req);

/* Answers. headers need no content-length, transfer-encoding, connection or date. A body of more than 128 KiB is
   compressed when the client accepts gzip and no content-encoding is set (upstream's rule). HEAD gets no body.
   0 or ERR_CLOSED; the request is finished either way. */
int http_reply (struct http_request *req, int status, const struct http_header *headers, const void *body, size_t len);
/* The same but takes the buffer's memory instead of copying; *body is empty afterwards. */
int http_reply_buf (struct http_request *req, int status, const struct http_header *headers, struct buf *body);

/* A streamed answer: start, any number of chunks, each sent at once, then end. */
int http_reply_start (struct http_request *req, int status, const struct http_header *headers);
int http_reply_chunk (struct http_request *req, const void *data, size_t len);
int http_reply_end (struct http_request *req); /* without a start: 500 */
/* Bytes accepted and not yet given to the kernel (HTTP/1.1: of the connection; HTTP/2: of the stream). */
size_t http_reply_pending_bytes (const struct http_request *req);
/* cb is called whenever pending bytes fall below a quarter of output_high_bytes after having been above it. */
void http_on_drain (struct http_request *req, loop_cb cb, void *arg);
/* Cuts the answer off visibly: resets the stream or the connection. Finishes the request. */
void http_abort (struct http_request *req);

/* Answers 101 (or, for a CONNECT-like use, another status) with the headers, which name the protocol in "upgrade"
   ("connection: upgrade" is added), and hands the byte stream over, with what the client sent already. HTTP/1.1 only:
   ERR_UNSUPPORTED on HTTP/2, ERR_CLOSED when the peer went; the request is then still the caller's. On success it is finished. */
int http_upgrade (struct http_request *req, int status, const struct http_header *headers, struct http_tunnel **ret,
                  struct err *err);

#endif
