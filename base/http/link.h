/* What remotecommand and port-forward share: an upgraded request as SPDY on the raw stream, SPDY inside WebSocket messages, or
   WebSocket messages themselves. */
#ifndef BASE_HTTP_LINK_H
#define BASE_HTTP_LINK_H

#include "base/http/http.h"
#include "base/http/spdy.h"
#include "base/http/websocket.h"

enum link_kind { LINK_NONE, LINK_SPDY, LINK_SPDY_IN_WEBSOCKET, LINK_WEBSOCKET };

struct link_cb {
  void (*on_bytes) (void *arg, const void *data, size_t len);              /* SPDY: for spdy_input */
  void (*on_message) (void *arg, bool binary, const void *data, size_t len); /* LINK_WEBSOCKET */
  void (*on_drain) (void *arg);
  void (*on_close) (void *arg);
};

struct link {
  enum link_kind kind;
  struct http_tunnel *tunnel;
  struct websocket *websocket;
  struct link_cb cb;
  void *arg;
};

/* The SPDY versions accepted, best first, as X-Stream-Protocol-Version names them, and WebSocket's subprotocols. One beginning
   with "SPDY/3.1+" is a tunnel. *ret_protocol is the chosen one; "" when a SPDY client names none and none_allowed.
   ERR_INVALID: no upgrade asked for, or malformed; ERR_DENIED: no common protocol. */
int link_accept (struct link *l, struct http_request *req, const char *const *spdy_protocols, bool none_allowed,
                 const char *const *websocket_protocols, size_t max_message_bytes, const char **ret_protocol, struct err *err);
void link_start (struct link *l, const struct link_cb *cb, void *arg);
int link_send (struct link *l, const void *data, size_t len); /* SPDY's bytes */
size_t link_pending_bytes (const struct link *l);
void link_pause (struct link *l, bool pause);
void link_close (struct link *l, uint16_t code); /* after what is queued; no callback follows */

#endif
