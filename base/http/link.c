#include "base/http/link.h"

#include <strings.h>

#define TUNNEL_PREFIX "SPDY/3.1+"

static bool
spdy_requested (const struct http_request *req)
{
  return http_header_has_token (req, "connection", "upgrade") && http_header_has_token (req, "upgrade", "spdy/3.1");
}

/* The client's first that is ours. "" when it names none. NULL: nothing in common. */
static const char *
choose (const struct http_request *req, const char *const *ours, bool none_allowed)
{
  const char *name, *value;
  bool named = false;
  for (size_t it = 0; http_header_next (req, &it, &name, &value);) {
    if (strcmp (name, "x-stream-protocol-version"))
      continue;
    for (const char *p = value; *p;) {
      size_t len;
      p += strspn (p, ", \t");
      len = strcspn (p, ", \t");
      named |= len > 0;
      for (const char *const *o = ours; len && *o; o++)
        if (strlen (*o) == len && !strncmp (*o, p, len))
          return *o;
      p += len;
    }
  }
  return !named && none_allowed ? "" : NULL;
}

int
link_accept (struct link *l, struct http_request *req, const char *const *spdy_protocols, bool none_allowed,
             const char *const *websocket_protocols, size_t max_message_bytes, const char **ret_protocol, struct err *err)
{
  const char *protocol;
  int r;
  if (websocket_requested (req)) {
    bool named = http_header (req, "sec-websocket-protocol") != NULL;
    if ((r = websocket_accept (req, named ? websocket_protocols : NULL, max_message_bytes, &l->websocket, &protocol, err)))
      return r;
    *ret_protocol = protocol ? protocol : "";
    l->kind = !strncmp (*ret_protocol, TUNNEL_PREFIX, strlen (TUNNEL_PREFIX)) ? LINK_SPDY_IN_WEBSOCKET : LINK_WEBSOCKET;
    return 0;
  }
  if (!spdy_requested (req))
    return err_set (err, ERR_INVALID, "unable to upgrade: missing upgrade headers in request");
  if (!(protocol = choose (req, spdy_protocols, none_allowed)))
    return err_set (err, ERR_DENIED, "unable to upgrade: unable to negotiate protocol");
  const struct http_header headers[] = {
      {"Upgrade", "SPDY/3.1"}, {protocol[0] ? "X-Stream-Protocol-Version" : NULL, protocol}, {0}};
  if ((r = http_upgrade (req, 101, headers, &l->tunnel, err)))
    return r;
  l->kind = LINK_SPDY;
  *ret_protocol = protocol;
  return 0;
}

static void
tunnel_data (void *arg, const void *data, size_t len)
{
  struct link *l = arg;
  l->cb.on_bytes (l->arg, data, len);
}

static void
link_drain (void *arg)
{
  struct link *l = arg;
  l->cb.on_drain (l->arg);
}

static void
tunnel_close (void *arg)
{
  struct link *l = arg;
  l->cb.on_close (l->arg);
}

static void
websocket_message (void *arg, bool binary, const void *data, size_t len)
{
  struct link *l = arg;
  if (l->kind == LINK_SPDY_IN_WEBSOCKET)
    l->cb.on_bytes (l->arg, data, len);
  else
    l->cb.on_message (l->arg, binary, data, len);
}

static void
websocket_closed (void *arg, uint16_t code)
{
  (void) code;
  tunnel_close (arg);
}

void
link_start (struct link *l, const struct link_cb *cb, void *arg)
{
  static const struct http_tunnel_cb on_tunnel = {tunnel_data, link_drain, NULL, tunnel_close};
  static const struct websocket_cb on_websocket = {websocket_message, link_drain, websocket_closed};
  l->cb = *cb;
  l->arg = arg;
  if (l->tunnel)
    http_tunnel_start (l->tunnel, &on_tunnel, l);
  else
    websocket_start (l->websocket, &on_websocket, l);
}

int
link_send (struct link *l, const void *data, size_t len)
{
  return l->tunnel ? http_tunnel_write (l->tunnel, data, len) : websocket_send (l->websocket, true, data, len);
}

size_t
link_pending_bytes (const struct link *l)
{
  if (l->tunnel)
    return http_tunnel_pending_bytes (l->tunnel);
  return l->websocket ? websocket_pending_bytes (l->websocket) : 0;
}

void
link_pause (struct link *l, bool pause)
{
  if (l->tunnel)
    http_tunnel_pause (l->tunnel, pause);
  else if (l->websocket)
    websocket_pause (l->websocket, pause);
}

void
link_close (struct link *l, uint16_t code)
{
  http_tunnel_close (l->tunnel);
  websocket_close (l->websocket, code, NULL);
  l->tunnel = NULL;
  l->websocket = NULL;
}
