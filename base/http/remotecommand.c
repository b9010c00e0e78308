/* kubectl exec, attach and cp at the server's end. Upstream: k8s.io/kubelet/pkg/cri/streaming/remotecommand. */
#include "base/http/remotecommand.h"

#include <openssl/evp.h>

#include "base/http/link.h"
#include "base/mem.h"

#define STREAMS_TIMEOUT_MS 30000
#define MESSAGE_LIMIT (1u << 20)
#define EARLY_LIMIT (256u << 10)
#define RESIZE_LIMIT 4096

enum { STDIN, STDOUT, STDERR, ERROR, RESIZE, CHANNELS };
#define CLOSE_SIGNAL 255

static const char *const stream_names[CHANNELS] = {"stdin", "stdout", "stderr", "error", "resize"};
static const char *const spdy_protocols[] = {"v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io",
                                             NULL};
static const char *const websocket_protocols[] = {
    "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io", NULL};

struct remote_session {
  struct loop *loop;
  struct link link;
  struct spdy *spdy;
  struct spdy_stream *streams[CHANNELS];
  struct remote_options options;
  struct remote_cb cb;
  void *arg;
  struct loop_timer *timer; /* SPDY: to have all streams; WebSocket: to say that it is ready */
  struct buf early, resize;
  unsigned wanted, seen; /* bits of channels */
  unsigned entered;
  bool json_status, base64, ready, early_eof, stdin_closed, closed, freed;
};

static void
enter (struct remote_session *s)
{
  s->entered++;
}

static void
leave (struct remote_session *s)
{
  if (--s->entered || !s->freed)
    return;
  spdy_free (s->spdy);
  link_close (&s->link, 1000);
  loop_timer_free (s->timer);
  buf_done (&s->early);
  buf_done (&s->resize);
  free (s);
}

int
remote_options_parse (const struct uri_query *q, struct remote_options *ret, struct err *err)
{
  struct remote_options o = {
      .stdin_ = uri_query_bool (q, "stdin") || uri_query_bool (q, "input"),
      .stdout_ = uri_query_bool (q, "stdout") || uri_query_bool (q, "output"),
      .stderr_ = uri_query_bool (q, "stderr") || uri_query_bool (q, "error"),
      .tty = uri_query_bool (q, "tty"),
  };
  if (o.tty)
    o.stderr_ = false;
  if (!o.stdin_ && !o.stdout_ && !o.stderr_)
    return err_set (err, ERR_INVALID, "you must specify at least 1 of stdin, stdout, stderr");
  *ret = o;
  return 0;
}

bool
remote_upgrade_requested (const struct http_request *req)
{
  return http_header_has_token (req, "connection", "upgrade") &&
         (http_header_has_token (req, "upgrade", "spdy/3.1") || http_header_has_token (req, "upgrade", "websocket"));
}

static void
client_gone (struct remote_session *s)
{
  if (s->closed || s->freed)
    return;
  s->closed = true;
  s->cb.on_close (s->arg);
}

static void
deliver_stdin (struct remote_session *s, const void *data, size_t len, bool eof)
{
  if (s->stdin_closed || s->freed)
    return;
  if (!s->ready) {
    if (s->early.len + len > EARLY_LIMIT) {
      client_gone (s);
      return;
    }
    buf_append (&s->early, data, len);
    s->early_eof |= eof;
    return;
  }
  if (len)
    s->cb.on_stdin (s->arg, data, len);
  if (eof && !s->freed) {
    s->stdin_closed = true;
    s->cb.on_stdin_close (s->arg);
  }
}

static void
become_ready (struct remote_session *s)
{
  loop_timer_cancel (s->timer);
  s->ready = true;
  s->cb.on_ready (s->arg);
  if (!s->freed && (s->early.len || s->early_eof))
    deliver_stdin (s, s->early.data, s->early.len, s->early_eof);
  buf_done (&s->early);
}

/* The number after "name": in a JSON object, -1 when there is none. Names are matched as encoding/json does: in any case. */
static long
json_number (const char *text, const char *name)
{
  const char *p = strcasestr (text, name);
  if (!p)
    return -1;
  p += strlen (name);
  p += strspn (p, "\" \t:");
  return *p >= '0' && *p <= '9' ? strtol (p, NULL, 10) : -1;
}

/* {"Width":80,"Height":24}, one after the other, cut anywhere. */
static void
deliver_resize (struct remote_session *s, const void *data, size_t len)
{
  uint8_t *end;
  if (s->resize.len + len > RESIZE_LIMIT)
    buf_reset (&s->resize);
  if (len > RESIZE_LIMIT)
    return;
  buf_append (&s->resize, data, len);
  while (!s->freed && s->resize.len && (end = memchr (s->resize.data, '}', s->resize.len))) {
    size_t used = (size_t) (end - s->resize.data) + 1;
    long width, height;
    *end = 0;
    width = json_number (buf_cstr (&s->resize), "Width");
    height = json_number (buf_cstr (&s->resize), "Height");
    buf_consume (&s->resize, used);
    if (width > 0 && height > 0 && width <= UINT16_MAX && height <= UINT16_MAX && s->cb.on_resize)
      s->cb.on_resize (s->arg, (uint16_t) width, (uint16_t) height);
  }
}

static void
deliver (struct remote_session *s, unsigned channel, const void *data, size_t len, bool eof)
{
  if (channel == STDIN && s->options.stdin_)
    deliver_stdin (s, data, len, eof);
  else if (channel == RESIZE && s->options.tty)
    deliver_resize (s, data, len);
}

/* SPDY */
static int
spdy_send (void *arg, const void *data, size_t len)
{
  struct remote_session *s = arg;
  return link_send (&s->link, data, len);
}

static void
spdy_on_stream (void *arg, struct spdy_stream *st, const struct http_header *headers, bool fin)
{
  struct remote_session *s = arg;
  const char *type = spdy_header (headers, "streamType");
  unsigned channel = 0;
  while (channel < CHANNELS && (!type || strcmp (type, stream_names[channel])))
    channel++;
  if (channel == CHANNELS || (s->seen & 1u << channel) || !(s->wanted & 1u << channel)) {
    spdy_reset (st, 3); /* REFUSED_STREAM */
    return;
  }
  s->seen |= 1u << channel;
  s->streams[channel] = st;
  spdy_stream_set_arg (st, (void *) (uintptr_t) (channel + 1));
  (void) spdy_reply (st, NULL, false);
  if (fin && channel == STDIN)
    deliver (s, STDIN, NULL, 0, true);
  if (s->seen == s->wanted && !s->ready && !s->freed)
    become_ready (s);
}

static void
spdy_on_data (void *arg, struct spdy_stream *st, const void *data, size_t len, bool fin)
{
  struct remote_session *s = arg;
  uintptr_t channel = (uintptr_t) spdy_stream_arg (st);
  if (channel)
    deliver (s, (unsigned) channel - 1, data, len, fin);
}

static void
spdy_on_stream_close (void *arg, struct spdy_stream *st, bool reset)
{
  struct remote_session *s = arg;
  uintptr_t channel = (uintptr_t) spdy_stream_arg (st);
  if (!channel)
    return;
  s->streams[channel - 1] = NULL;
  if (channel - 1 == STDIN && reset && !s->freed)
    deliver (s, STDIN, NULL, 0, true);
}

static void
link_on_bytes (void *arg, const void *data, size_t len)
{
  struct remote_session *s = arg;
  enter (s);
  if (!s->freed && spdy_input (s->spdy, data, len, NULL))
    client_gone (s);
  leave (s);
}

/* WebSocket */
static int
websocket_write (struct remote_session *s, unsigned channel, const void *data, size_t len)
{
  AUTO_FREE char *text = NULL;
  if (!s->base64)
    return websocket_send_channel (s->link.websocket, (uint8_t) channel, data, len);
  if (!(text = malloc (4 * ((len + 2) / 3) + 2)))
    return ERR_NOMEM;
  text[0] = (char) ('0' + channel);
  EVP_EncodeBlock ((unsigned char *) text + 1, data, (int) len);
  return websocket_send (s->link.websocket, false, text, strlen (text));
}

static void
base64_message (struct remote_session *s, const uint8_t *data, size_t len)
{
  AUTO_FREE uint8_t *out = NULL;
  int n;
  while (len && data[len - 1] == '\n')
    len--;
  if (!(out = malloc (len + 4)))
    return;
  n = EVP_DecodeBlock (out, data + 1, (int) len - 1);
  for (size_t i = len; n > 0 && i > 1 && data[i - 1] == '='; i--)
    n--;
  if (n > 0)
    deliver (s, (unsigned) data[0] - '0', out, (size_t) n, false);
}

static void
link_on_message (void *arg, bool binary, const void *bytes, size_t len)
{
  struct remote_session *s = arg;
  const uint8_t *data = bytes;
  (void) binary;
  enter (s);
  if (!s->freed && len) {
    if (s->base64)
      base64_message (s, data, len);
    else if (data[0] == CLOSE_SIGNAL && len >= 2)
      deliver (s, data[1], NULL, 0, true);
    else
      deliver (s, data[0], data + 1, len - 1, false);
  }
  leave (s);
}

static void
link_on_drain (void *arg)
{
  struct remote_session *s = arg;
  enter (s);
  if (!s->freed && !s->closed && s->cb.on_drain)
    s->cb.on_drain (s->arg);
  leave (s);
}

static void
link_on_close (void *arg)
{
  struct remote_session *s = arg;
  enter (s);
  client_gone (s);
  leave (s);
}

static void
on_timer (void *arg)
{
  struct remote_session *s = arg;
  enter (s);
  if (s->spdy)
    client_gone (s); /* the streams did not come */
  else {
    /* Upstream sends an empty message first, to show that the connection stands. */
    (void) websocket_write (s, s->options.stdout_ ? STDOUT : (s->options.stderr_ ? STDERR : ERROR), "", 0);
    become_ready (s);
  }
  leave (s);
}

int
remote_session_accept (struct http_request *req, const struct remote_options *options, const struct remote_cb *cb, void *arg,
                       struct remote_session **ret, struct err *err)
{
  static const struct spdy_cb on_spdy = {.send = spdy_send,
                                         .on_stream = spdy_on_stream,
                                         .on_data = spdy_on_data,
                                         .on_stream_close = spdy_on_stream_close};
  static const struct link_cb on_link = {link_on_bytes, link_on_message, link_on_drain, link_on_close};
  struct remote_session *s = mem_zalloc (sizeof *s);
  const char *protocol = "";
  bool resize;
  int r;
  if (!s || !(s->timer = loop_timer_new (http_request_loop (req), on_timer, s)) || !(s->spdy = spdy_new (true, &on_spdy, s)))
    r = err_set (err, ERR_NOMEM, "remote command");
  else
    r = link_accept (&s->link, req, spdy_protocols, true, websocket_protocols, MESSAGE_LIMIT, &protocol, err);
  if (r) {
    if (s) {
      spdy_free (s->spdy);
      loop_timer_free (s->timer);
    }
    free (s);
    return r;
  }
  s->options = *options;
  s->cb = *cb;
  s->arg = arg;
  s->json_status = !strncmp (protocol, "v4.", 3) || !strncmp (protocol, "v5.", 3);
  s->base64 = strstr (protocol, "base64") != NULL;
  resize = options->tty && (s->json_status || !strncmp (protocol, "v3.", 3));
  s->wanted = 1u << ERROR | (unsigned) options->stdin_ << STDIN | (unsigned) options->stdout_ << STDOUT |
              (unsigned) options->stderr_ << STDERR | (unsigned) resize << RESIZE;
  if (s->link.kind == LINK_WEBSOCKET) {
    spdy_free (s->spdy);
    s->spdy = NULL;
  }
  loop_timer_set (s->timer, s->spdy ? STREAMS_TIMEOUT_MS : 0);
  link_start (&s->link, &on_link, s);
  *ret = s;
  return 0;
}

static int
write_channel (struct remote_session *s, unsigned channel, const void *data, size_t len)
{
  if (s->closed)
    return ERR_CLOSED;
  if (!len)
    return 0;
  if (!s->spdy)
    return websocket_write (s, channel, data, len);
  return s->streams[channel] ? spdy_write (s->streams[channel], data, len, false) : ERR_CLOSED;
}

int
remote_write_stdout (struct remote_session *s, const void *data, size_t len)
{
  return write_channel (s, STDOUT, data, len);
}

int
remote_write_stderr (struct remote_session *s, const void *data, size_t len)
{
  return write_channel (s, STDERR, data, len);
}

size_t
remote_pending_bytes (const struct remote_session *s)
{
  return s->closed ? 0 : link_pending_bytes (&s->link);
}

void
remote_pause_stdin (struct remote_session *s, bool pause)
{
  if (!s->closed)
    link_pause (&s->link, pause);
}

void
remote_session_close (struct remote_session *s)
{
  if (!s)
    return;
  enter (s);
  s->freed = s->closed = true;
  loop_timer_cancel (s->timer);
  leave (s);
}

static void
end_with (struct remote_session *s, const char *status, const char *plain)
{
  const char *text = s->json_status ? status : plain;
  enter (s);
  if (!s->closed && text)
    (void) write_channel (s, ERROR, text, strlen (text));
  s->freed = true; /* nothing is told from here on */
  for (unsigned i = STDOUT; s->spdy && !s->closed && i <= ERROR; i++)
    if (s->streams[i])
      (void) spdy_write (s->streams[i], NULL, 0, true);
  if (s->spdy && !s->closed)
    (void) spdy_goaway (s->spdy, 0);
  s->closed = true;
  leave (s);
}

void
remote_finish (struct remote_session *s, int exit_code)
{
  char status[400], plain[100];
  if (!exit_code) {
    end_with (s, "{\"metadata\":{},\"status\":\"Success\"}", NULL);
    return;
  }
  snprintf (plain, sizeof plain, "command terminated with non-zero exit code: exit code %d", exit_code);
  snprintf (status, sizeof status,
            "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"%s\",\"reason\":\"NonZeroExitCode\","
            "\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"%d\"}]}}",
            plain, exit_code);
  end_with (s, status, plain);
}

static void
json_escape (struct buf *out, const char *text)
{
  for (const char *p = text; *p; p++)
    if (*p == '"' || *p == '\\')
      buf_printf (out, "\\%c", *p);
    else if ((unsigned char) *p < 0x20)
      buf_printf (out, "\\u%04x", (unsigned char) *p);
    else
      buf_append_byte (out, (uint8_t) *p);
}

void
remote_finish_error (struct remote_session *s, const char *message)
{
  struct buf text AUTO_BUF = BUF_INIT;
  buf_append_str (&text, "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: ");
  json_escape (&text, message);
  buf_append_str (&text, "\",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":\"");
  json_escape (&text, message);
  buf_append_str (&text, "\"}]},\"code\":500}");
  end_with (s, text.failed ? "{\"metadata\":{},\"status\":\"Failure\",\"reason\":\"InternalError\",\"code\":500}" : buf_cstr (&text),
            message);
}
