/* exec: a command in a container over WebSocket, v5.channel.k8s.io: a byte names the stream before each message. */
#include "services/ctl/ctl.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/http/uri.h"
#include "base/http/websocket.h"
#include "schemas/json.h"

enum { CHANNEL_STDIN, CHANNEL_STDOUT, CHANNEL_STDERR, CHANNEL_ERROR, CHANNEL_RESIZE, CHANNEL_CLOSE = 255 };
#define MESSAGE_MAX (1u << 20)
#define CHUNK 32768
#define PENDING_HIGH (256u << 10) /* standard input waits while so much is not sent */

struct session {
  struct ctl *c;
  struct loop *loop;
  struct websocket *ws;
  struct loop_watch *in, *resize;
  char key[WEBSOCKET_KEY_SIZE];
  struct termios saved;
  bool raw, over;
  int status; /* exit status, or ERR_* */
  struct err *err;
};

static void
end (struct session *s, int status)
{
  if (!s->over)
    s->status = status;
  s->over = true;
  loop_stop (s->loop);
}

/* The Status that ends a command: Success, or NonZeroExitCode with the code among its causes. */
static void
ended (struct session *s, const char *text, size_t n)
{
  struct value *v;
  int r = json_parse (&s->c->arena, text, n, &v, NULL, s->err);
  if (r) {
    end (s, r);
    return;
  }
  if (value_string_is (value_get (v, "status"), "Success")) {
    end (s, 0);
    return;
  }
  for (value_items (value_path (v, "details.causes"), it))
    if (value_string_is (value_get (*it, "reason"), "ExitCode")) {
      long code = strtol (value_path_string (*it, "message", "1"), NULL, 10);
      fprintf (stderr, "command terminated with exit code %ld\n", code);
      end (s, code > 0 && code < 256 ? (int) code : 1);
      return;
    }
  end (s, err_set (s->err, ERR_INTERNAL, "%s", value_path_string (v, "message", "the command failed")));
}

static void
on_message (void *arg, bool binary, const void *data, size_t len)
{
  struct session *s = arg;
  const char *p = data;
  (void) binary;
  if (!len)
    return;
  switch (*(const unsigned char *) data) {
  case CHANNEL_STDOUT:
    if (fwrite (p + 1, 1, len - 1, stdout) != len - 1 || fflush (stdout))
      end (s, err_set (s->err, ERR_IO, "write the output"));
    break;
  case CHANNEL_STDERR:
    fwrite (p + 1, 1, len - 1, stderr);
    break;
  case CHANNEL_ERROR:
    ended (s, p + 1, len - 1);
    break;
  default:
    break;
  }
}

static void
on_drain (void *arg)
{
  struct session *s = arg;
  if (s->in)
    loop_watch_set (s->in, LOOP_READ);
}

static void
on_close (void *arg, uint16_t code)
{
  struct session *s = arg;
  end (s, err_set (s->err, ERR_CLOSED, "the connection ended (%u) before the command did", code));
}

static void
on_input (void *arg, int fd, int events)
{
  struct session *s = arg;
  char chunk[CHUNK];
  ssize_t n = read (fd, chunk, sizeof chunk);
  (void) events;
  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (n > 0) {
    int r = websocket_send_channel (s->ws, CHANNEL_STDIN, chunk, (size_t) n);
    if (r)
      end (s, err_set (s->err, r, "send standard input"));
    else if (websocket_pending_bytes (s->ws) > PENDING_HIGH)
      loop_watch_set (s->in, 0);
    return;
  }
  loop_watch_free (s->in);
  s->in = NULL;
  (void) websocket_send_channel (s->ws, CHANNEL_CLOSE, &(char){CHANNEL_STDIN}, 1); /* a failure shows in on_close */
}

static void
send_size (void *arg)
{
  struct session *s = arg;
  struct winsize w;
  char text[64];
  if (!s->ws || ioctl (STDOUT_FILENO, TIOCGWINSZ, &w))
    return;
  snprintf (text, sizeof text, "{\"Width\":%u,\"Height\":%u}", w.ws_col, w.ws_row);
  (void) websocket_send_channel (s->ws, CHANNEL_RESIZE, text, strlen (text));
}

static void
make_raw (struct session *s)
{
  struct termios raw;
  if (!s->c->flags.tty || tcgetattr (STDIN_FILENO, &s->saved))
    return;
  raw = s->saved;
  cfmakeraw (&raw);
  s->raw = !tcsetattr (STDIN_FILENO, TCSANOW, &raw);
}

static void
on_upgraded (void *arg, int status, const struct http_header *headers, struct http_tunnel *tunnel)
{
  static const struct websocket_cb cb = {.on_message = on_message, .on_drain = on_drain, .on_close = on_close};
  struct session *s = arg;
  const char *accept = http_headers_get (headers, "sec-websocket-accept"), *protocol = http_headers_get (headers, "sec-websocket-protocol");
  if (status != 101 || !accept || !websocket_client_check (s->key, accept) || !protocol || strcmp (protocol, "v5.channel.k8s.io")) {
    http_tunnel_close (tunnel);
    end (s, err_set (s->err, ERR_UNSUPPORTED, "the server does not speak v5.channel.k8s.io"));
    return;
  }
  if (!(s->ws = websocket_client_new (tunnel, MESSAGE_MAX))) {
    end (s, err_set (s->err, ERR_NOMEM, "exec"));
    return;
  }
  websocket_start (s->ws, &cb, s);
  make_raw (s);
  if (s->c->flags.tty) {
    s->resize = loop_watch_signal (s->loop, SIGWINCH, send_size, s);
    send_size (s);
  }
  if (s->c->flags.stdin_ && !(s->in = loop_watch_fd (s->loop, STDIN_FILENO, LOOP_READ, on_input, s)))
    end (s, err_set (s->err, ERR_IO, "standard input cannot be waited for (a file: pipe it)"));
}

static void
on_response (void *arg, int status, const struct http_header *headers, const void *body, size_t len)
{
  struct session *s = arg;
  struct buf text AUTO_BUF = BUF_INIT;
  (void) headers;
  buf_append (&text, body, len);
  end (s, ctl_refused (s->c, status, &text, s->err));
}

static void
on_error (void *arg, const struct err *err)
{
  struct session *s = arg;
  end (s, err_set (s->err, err->code, "%s: %s", s->c->server, err->text));
}

static const char *
target (struct ctl *c, const char *pod, int argc, char **argv)
{
  static const struct ctl_resource pods = {"", "v1", "pods", "Pod", true};
  struct buf out AUTO_BUF = BUF_INIT;
  const char *path = ctl_resource_path (c, &pods, ctl_namespace (c), pod);
  buf_printf (&out, "%s/exec?stdout=true%s%s%s", path ? path : "", c->flags.tty ? "" : "&stderr=true", c->flags.stdin_ ? "&stdin=true" : "", c->flags.tty ? "&tty=true" : "");
  if (c->flags.container) {
    buf_append_str (&out, "&container=");
    uri_encode (&out, c->flags.container);
  }
  for (int i = 0; i < argc; i++) {
    buf_append_str (&out, "&command=");
    uri_encode (&out, argv[i]);
  }
  return out.failed || !path ? NULL : arena_strdup (&c->arena, buf_cstr (&out));
}

static int
run (struct session *s, const char *pod, int argc, char **argv, struct err *err)
{
  struct ctl *c = s->c;
  struct tls_config config = c->tls;
  struct uri_url url;
  const char *way = target (c, pod, argc, argv), *bearer = c->token ? arena_printf (&c->arena, "Bearer %s", c->token) : NULL;
  struct http_header headers[8] = {{"connection", "Upgrade"}, {"upgrade", "websocket"}, {"sec-websocket-version", "13"}, {"sec-websocket-key", s->key},
                                   {"sec-websocket-protocol", "v5.channel.k8s.io"}, {bearer ? "authorization" : NULL, bearer}};
  struct http_dial_config dial = {.method = "GET", .target = way, .headers = headers, .on_upgraded = on_upgraded, .on_response = on_response, .on_error = on_error, .arg = s};
  struct http_dial *d;
  int r;
  if ((r = uri_url_parse (&c->arena, c->server, &url, err)) || (r = websocket_client_key (s->key, err)))
    return r;
  config.no_http2 = true;
  dial.host = url.host;
  dial.port = url.port;
  if (!way)
    return err_set (err, ERR_NOMEM, "exec");
  if (url.tls && !(dial.tls = tls_client_new (&config, err)))
    return err && err->code ? err->code : ERR_INVALID;
  if (!(r = http_dial (s->loop, &dial, &d, err))) {
    loop_run (s->loop);
    r = s->status;
  }
  if (s->raw)
    tcsetattr (STDIN_FILENO, TCSANOW, &s->saved);
  loop_watch_free (s->in);
  loop_watch_free (s->resize);
  websocket_close (s->ws, 1000, "");
  tls_unref (dial.tls);
  return r;
}

int
verb_exec (struct ctl *c, int argc, char **argv, struct err *err)
{
  struct session s = {.c = c, .err = err};
  const char *pod = argv[0];
  int r = ctl_config (c, err);
  if (r)
    return r;
  if (!strncmp (pod, "pod/", 4) || !strncmp (pod, "pods/", 5))
    pod = strchr (pod, '/') + 1;
  if (c->flags.tty && !c->flags.stdin_)
    return err_set (err, ERR_INVALID, "-t needs -i");
  if (!(s.loop = loop_new (err)))
    return err && err->code ? err->code : ERR_NOMEM;
  r = run (&s, pod, argc - 1, argv + 1, err);
  loop_free (s.loop);
  return r;
}
