#include "base/http/websocket.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <strings.h>
#include <wslay/wslay.h>

#include "base/mem.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define PENDING_LIMIT (16u << 20)
#define NO_STATUS 1005
#define ABNORMAL 1006

struct websocket {
  struct http_tunnel *tunnel;
  wslay_event_context_ptr ctx;
  struct websocket_cb cb;
  void *arg;
  const uint8_t *in; /* what the tunnel is delivering */
  size_t in_len;
  unsigned entered;
  uint16_t close_code;
  bool freed, started, peer_closed, over, failed;
};

static void
enter (struct websocket *w)
{
  w->entered++;
}

static void
leave (struct websocket *w)
{
  if (--w->entered || !w->freed)
    return;
  if (w->ctx)
    wslay_event_context_free (w->ctx);
  free (w);
}

static ssize_t
on_recv (wslay_event_context_ptr ctx, uint8_t *out, size_t len, int flags, void *arg)
{
  struct websocket *w = arg;
  size_t n = len < w->in_len ? len : w->in_len;
  (void) flags;
  if (!n || w->freed) {
    wslay_event_set_error (ctx, WSLAY_ERR_WOULDBLOCK);
    return -1;
  }
  memcpy (out, w->in, n);
  w->in += n;
  w->in_len -= n;
  return (ssize_t) n;
}

static ssize_t
on_send (wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags, void *arg)
{
  struct websocket *w = arg;
  (void) flags;
  if (http_tunnel_write (w->tunnel, data, len)) {
    w->failed = true;
    wslay_event_set_error (ctx, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
  }
  return (ssize_t) len;
}

static int
on_mask (wslay_event_context_ptr ctx, uint8_t *out, size_t len, void *arg)
{
  (void) ctx;
  (void) arg;
  return RAND_bytes (out, (int) len) == 1 ? 0 : -1;
}

static void
on_message (wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *arg)
{
  struct websocket *w = arg;
  (void) ctx;
  if (m->opcode == WSLAY_CONNECTION_CLOSE) {
    w->peer_closed = true;
    w->close_code = m->status_code ? m->status_code : NO_STATUS;
  } else if (!w->freed && !wslay_is_ctrl_frame (m->opcode))
    w->cb.on_message (w->arg, m->opcode == WSLAY_BINARY_FRAME, m->msg, m->msg_length);
}

static void
over (struct websocket *w, uint16_t code)
{
  if (w->over || w->freed)
    return;
  w->over = true;
  w->cb.on_close (w->arg, code);
}

static void
on_data (void *arg, const void *data, size_t len)
{
  struct websocket *w = arg;
  int r;
  enter (w);
  w->in = data;
  w->in_len = len;
  r = wslay_event_recv (w->ctx);
  w->in_len = 0;
  if (!w->freed && !w->failed)
    wslay_event_send (w->ctx); /* pongs, the answer to a close */
  if (w->peer_closed)
    over (w, w->close_code);
  else if (!w->freed && (r || w->failed || !wslay_event_get_read_enabled (w->ctx)))
    over (w, ABNORMAL);
  leave (w);
}

static void
on_tunnel_drain (void *arg)
{
  struct websocket *w = arg;
  enter (w);
  if (w->cb.on_drain && !w->over)
    w->cb.on_drain (w->arg);
  leave (w);
}

static void
on_tunnel_close (void *arg)
{
  struct websocket *w = arg;
  enter (w);
  over (w, ABNORMAL);
  leave (w);
}

static struct websocket *
websocket_new (bool server, size_t max_message_bytes)
{
  struct wslay_event_callbacks cb = {
      .recv_callback = on_recv, .send_callback = on_send, .genmask_callback = on_mask, .on_msg_recv_callback = on_message};
  struct websocket *w = mem_zalloc (sizeof *w);
  if (!w || (server ? wslay_event_context_server_init (&w->ctx, &cb, w) : wslay_event_context_client_init (&w->ctx, &cb, w))) {
    free (w);
    return NULL;
  }
  wslay_event_config_set_max_recv_msg_length (w->ctx, max_message_bytes);
  return w;
}

bool
websocket_requested (const struct http_request *req)
{
  return !strcmp (http_method (req), "GET") && http_header_has_token (req, "connection", "upgrade") &&
         http_header_has_token (req, "upgrade", "websocket");
}

/* RFC 6455 4.2.2: base64 of SHA-1 of key and GUID. */
static bool
accept_of (const char *key, char out[32])
{
  unsigned char digest[EVP_MAX_MD_SIZE];
  char text[128];
  unsigned len = 0;
  int n = snprintf (text, sizeof text, "%s" GUID, key);
  if (n < 0 || (size_t) n >= sizeof text || EVP_Digest (text, (size_t) n, digest, &len, EVP_sha1 (), NULL) != 1)
    return false;
  return EVP_EncodeBlock ((unsigned char *) out, digest, (int) len) == 28;
}

static bool
key_valid (const char *key)
{
  return key && strlen (key) == 24 && !strcmp (key + 22, "==") &&
         strspn (key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == 22;
}

/* The first that the client names, over all its headers, that we know. */
static const char *
choose_protocol (const struct http_request *req, const char *const *ours)
{
  const char *name, *value;
  for (size_t it = 0; http_header_next (req, &it, &name, &value);) {
    if (strcmp (name, "sec-websocket-protocol"))
      continue;
    for (const char *p = value; *p;) {
      size_t len;
      p += strspn (p, ", \t");
      len = strcspn (p, ", \t");
      for (const char *const *o = ours; len && *o; o++)
        if (strlen (*o) == len && !memcmp (*o, p, len))
          return *o;
      p += len;
    }
  }
  return NULL;
}

int
websocket_accept (struct http_request *req, const char *const *protocols, size_t max_message_bytes, struct websocket **ret,
                  const char **ret_protocol, struct err *err)
{
  const char *key = http_header (req, "sec-websocket-key"), *version = http_header (req, "sec-websocket-version");
  const char *protocol = protocols ? choose_protocol (req, protocols) : NULL;
  char accept[32];
  struct websocket *w;
  int r;
  if (http_version (req) == 20)
    return err_set (err, ERR_UNSUPPORTED, "WebSocket over HTTP/2 is not supported");
  if (!websocket_requested (req) || !key_valid (key) || !version || strcmp (version, "13"))
    return err_set (err, ERR_INVALID, "malformed WebSocket handshake");
  if (protocols && !protocol)
    return err_set (err, ERR_INVALID, "unable to negotiate a WebSocket subprotocol: client requested '%.200s'",
                    http_header (req, "sec-websocket-protocol") ? http_header (req, "sec-websocket-protocol") : "");
  if (!accept_of (key, accept) || !(w = websocket_new (true, max_message_bytes)))
    return err_set (err, ERR_NOMEM, "WebSocket");
  const struct http_header headers[] = {
      {"Upgrade", "websocket"}, {"Sec-WebSocket-Accept", accept}, {protocol ? "Sec-WebSocket-Protocol" : NULL, protocol}, {0}};
  if ((r = http_upgrade (req, 101, headers, &w->tunnel, err))) {
    wslay_event_context_free (w->ctx);
    free (w);
    return r;
  }
  *ret = w;
  if (ret_protocol)
    *ret_protocol = protocol;
  return 0;
}

int
websocket_client_key (char key[WEBSOCKET_KEY_SIZE], struct err *err)
{
  unsigned char bytes[16];
  if (RAND_bytes (bytes, sizeof bytes) != 1)
    return err_set (err, ERR_INTERNAL, "random bytes");
  EVP_EncodeBlock ((unsigned char *) key, bytes, sizeof bytes);
  return 0;
}

bool
websocket_client_check (const char key[WEBSOCKET_KEY_SIZE], const char *accept_header)
{
  char expected[32];
  return accept_header && accept_of (key, expected) && !strcmp (expected, accept_header);
}

struct websocket *
websocket_client_new (struct http_tunnel *t, size_t max_message_bytes)
{
  struct websocket *w = websocket_new (false, max_message_bytes);
  if (!w) {
    http_tunnel_close (t);
    return NULL;
  }
  w->tunnel = t;
  return w;
}

void
websocket_start (struct websocket *w, const struct websocket_cb *cb, void *arg)
{
  static const struct http_tunnel_cb tunnel_cb = {on_data, on_tunnel_drain, NULL, on_tunnel_close};
  w->cb = *cb;
  w->arg = arg;
  w->started = true;
  http_tunnel_start (w->tunnel, &tunnel_cb, w);
}

/* wslay's queue is emptied into the tunnel at once, so nothing ever waits behind a close frame. */
static int
queue (struct websocket *w, uint8_t opcode, const void *data, size_t len)
{
  struct wslay_event_msg m = {.opcode = opcode, .msg = data, .msg_length = len};
  int r;
  if (w->over || w->failed || w->freed || !wslay_event_get_write_enabled (w->ctx))
    return ERR_CLOSED;
  if (http_tunnel_pending_bytes (w->tunnel) + len > PENDING_LIMIT - 64)
    return ERR_LIMIT;
  if ((r = wslay_event_queue_msg (w->ctx, &m)))
    return r == WSLAY_ERR_NOMEM ? ERR_NOMEM : ERR_CLOSED;
  return wslay_event_send (w->ctx) || w->failed ? ERR_CLOSED : 0;
}

int
websocket_send (struct websocket *w, bool binary, const void *data, size_t len)
{
  return queue (w, binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME, data, len);
}

int
websocket_send_channel (struct websocket *w, uint8_t channel, const void *data, size_t len)
{
  AUTO_FREE uint8_t *message = malloc (len + 1);
  if (!message)
    return ERR_NOMEM;
  message[0] = channel;
  if (len)
    memcpy (message + 1, data, len);
  return queue (w, WSLAY_BINARY_FRAME, message, len + 1);
}

int
websocket_ping (struct websocket *w)
{
  return queue (w, WSLAY_PING, NULL, 0);
}

size_t
websocket_pending_bytes (const struct websocket *w)
{
  return http_tunnel_pending_bytes (w->tunnel);
}

void
websocket_pause (struct websocket *w, bool pause)
{
  if (!w->over)
    http_tunnel_pause (w->tunnel, pause);
}

void
websocket_close (struct websocket *w, uint16_t code, const char *reason)
{
  if (!w || w->freed)
    return;
  enter (w);
  if (!w->peer_closed && !w->failed && !w->over &&
      !wslay_event_queue_close (w->ctx, code, (const uint8_t *) reason, reason ? strlen (reason) : 0))
    wslay_event_send (w->ctx);
  w->freed = true;
  http_tunnel_close (w->tunnel);
  leave (w);
}
