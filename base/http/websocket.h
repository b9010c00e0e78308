/* WebSocket (RFC 6455) on a tunnel, server and client, framing by wslay. */
#ifndef BASE_HTTP_WEBSOCKET_H
#define BASE_HTTP_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http/http.h"

struct websocket;

struct websocket_cb {
  void (*on_message) (void *arg, bool binary, const void *data, size_t len); /* a whole message */
  void (*on_drain) (void *arg); /* as a tunnel's; may be NULL */
  /* The connection is over: code is the peer's close code, 1005 when it sent none, 1006 when the stream just ended. The
     websocket is still to be closed. */
  void (*on_close) (void *arg, uint16_t code);
};

bool websocket_requested (const struct http_request *req); /* GET with "upgrade: websocket" */

/* Answers the handshake and takes the connection. protocols (NULL-terminated, best first; NULL: none is chosen): the first of
   the client's list, in the client's order, that is among them is chosen, *ret_protocol points into protocols. On failure
   (ERR_INVALID: malformed or no common protocol; ERR_UNSUPPORTED on HTTP/2) the request is still the caller's: answer 400.
   Nothing is read before websocket_start. */
int websocket_accept (struct http_request *req, const char *const *protocols, size_t max_message_bytes,
                      struct websocket **ret, const char **ret_protocol, struct err *err);

/* The client's side: headers for the request (sec-websocket-key and so on; key is kept for the check), then, on 101, the
   tunnel. */
#define WEBSOCKET_KEY_SIZE 25
int websocket_client_key (char key[WEBSOCKET_KEY_SIZE], struct err *err);
bool websocket_client_check (const char key[WEBSOCKET_KEY_SIZE], const char *accept_header);
/* Takes the tunnel. NULL when out of memory (the tunnel is then closed). */
struct websocket *websocket_client_new (struct http_tunnel *t, size_t max_message_bytes);

void websocket_start (struct websocket *w, const struct websocket_cb *cb, void *arg);
int websocket_send (struct websocket *w, bool binary, const void *data, size_t len); /* ERR_CLOSED, ERR_LIMIT, ERR_NOMEM */
/* The same with a first byte before data: Kubernetes' channel number. */
int websocket_send_channel (struct websocket *w, uint8_t channel, const void *data, size_t len);
int websocket_ping (struct websocket *w);
size_t websocket_pending_bytes (const struct websocket *w);
void websocket_pause (struct websocket *w, bool pause);
/* Sends what is queued, then a close frame, and frees it; no callback follows. NULL allowed. From callbacks too. */
void websocket_close (struct websocket *w, uint16_t code, const char *reason);

#endif
