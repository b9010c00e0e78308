/* Upgraded connections: tunnels and their splice, WebSocket, SPDY, remote commands and port-forward, client against server. */
#include "tests/lib/test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/http/client.h"
#include "base/http/portforward.h"
#include "base/http/remotecommand.h"
#include "base/http/spdy.h"
#include "base/http/websocket.h"
#include "base/mem.h"

#define STEPS_LIMIT 5000
#define LONG_BYTES (3u << 20)

static struct loop *loop;
static struct http_server *server;
static char key[WEBSOCKET_KEY_SIZE];

static struct {
  struct http_tunnel *tunnel;
  struct websocket *websocket;
  struct remote_session *remote;
  struct portforward_session *forward;
  struct portforward_conn *conn;
  struct buf stdin_;
  bool ready, stdin_closed, gone, forward_eof, conn_closed;
  unsigned width, height, port;
} srv;

static struct {
  struct http_tunnel *tunnel;
  struct websocket *websocket;
  struct spdy *spdy;
  struct spdy_stream *streams[4];
  struct buf got[4], frames;
  char protocol[64];
  int status;
  uint16_t close_code;
  bool upgraded, refused, closed, fin[4], replied[4];
} cli;

#define WAIT(condition)                                   \
  do {                                                    \
    for (int i_ = 0; i_ < STEPS_LIMIT && !(condition); i_++) \
      loop_step (loop, 20);                               \
    assert_true (condition);                              \
  } while (0)

/* Server */
static void
echo_data (void *arg, const void *data, size_t len)
{
  (void) arg;
  assert_int_equal (http_tunnel_write (srv.tunnel, data, len), 0);
}

static void
echo_close (void *arg)
{
  (void) arg;
  http_tunnel_close (srv.tunnel);
  srv.tunnel = NULL;
}

static void
ws_message (void *arg, bool binary, const void *data, size_t len)
{
  (void) arg;
  assert_int_equal (websocket_send (srv.websocket, binary, data, len), 0);
}

static void
ws_close (void *arg, uint16_t code)
{
  (void) arg;
  (void) code;
  websocket_close (srv.websocket, 1000, NULL);
  srv.websocket = NULL;
  srv.gone = true;
}

static void
remote_ready (void *arg)
{
  (void) arg;
  srv.ready = true;
}

static void
remote_stdin (void *arg, const void *data, size_t len)
{
  (void) arg;
  buf_append (&srv.stdin_, data, len);
}

static void
remote_stdin_close (void *arg)
{
  (void) arg;
  srv.stdin_closed = true;
}

static void
remote_resize (void *arg, uint16_t width, uint16_t height)
{
  (void) arg;
  srv.width = width;
  srv.height = height;
}

static void
remote_close (void *arg)
{
  (void) arg;
  srv.gone = true;
  remote_session_close (srv.remote);
  srv.remote = NULL;
}

static void
forward_connect (void *arg, struct portforward_conn *c, uint16_t port)
{
  (void) arg;
  srv.conn = c;
  srv.port = port;
}

static void
forward_data (void *arg, struct portforward_conn *c, const void *data, size_t len)
{
  (void) arg;
  assert_int_equal (portforward_write (c, data, len), 0);
}

static void
forward_eof (void *arg, struct portforward_conn *c)
{
  (void) arg;
  (void) c;
  srv.forward_eof = true;
}

static void
forward_conn_close (void *arg, struct portforward_conn *c)
{
  (void) arg;
  (void) c;
  srv.conn = NULL;
  srv.conn_closed = true;
}

static void
forward_drain (void *arg)
{
  (void) arg;
}

static void
forward_close (void *arg)
{
  (void) arg;
  srv.gone = true;
  portforward_session_close (srv.forward);
  srv.forward = NULL;
}

static void
on_request (void *arg, struct http_request *req)
{
  static const struct http_tunnel_cb echo = {echo_data, NULL, NULL, echo_close};
  static const struct websocket_cb ws = {ws_message, NULL, ws_close};
  static const struct remote_cb remote = {remote_ready, remote_stdin, remote_stdin_close, remote_resize, NULL, remote_close};
  static const struct portforward_cb forward = {forward_connect, forward_data,       forward_eof,
                                                forward_drain,   forward_conn_close, forward_close};
  static const char *const chat[] = {"b", "a", NULL};
  const struct http_header headers[] = {{"upgrade", "echo"}, {0}};
  struct remote_options options = {true, true, true, false};
  const char *path = http_path (req);
  struct err err = {0};
  int r = ERR_NOT_FOUND;
  (void) arg;
  if (!strcmp (path, "/echo") && !(r = http_upgrade (req, 101, headers, &srv.tunnel, &err)))
    http_tunnel_start (srv.tunnel, &echo, NULL);
  else if (!strcmp (path, "/ws") && !(r = websocket_accept (req, chat, 4u << 20, &srv.websocket, NULL, &err)))
    websocket_start (srv.websocket, &ws, NULL);
  else if (!strcmp (path, "/exec"))
    r = remote_session_accept (req, &options, &remote, NULL, &srv.remote, &err);
  else if (!strcmp (path, "/attach")) {
    options = (struct remote_options){false, true, false, true};
    r = remote_session_accept (req, &options, &remote, NULL, &srv.remote, &err);
  } else if (!strcmp (path, "/forward"))
    r = portforward_session_accept (req, NULL, &forward, NULL, &srv.forward, &err);
  if (r)
    (void) http_reply (req, r == ERR_DENIED ? 403 : 400, NULL, err.text, strlen (err.text));
}

/* Client */
static void
on_upgraded (void *arg, int status, const struct http_header *headers, struct http_tunnel *t)
{
  const char *p = http_headers_get (headers, "sec-websocket-protocol");
  (void) arg;
  if (!p)
    p = http_headers_get (headers, "x-stream-protocol-version");
  snprintf (cli.protocol, sizeof cli.protocol, "%s", p ? p : "");
  if (http_headers_get (headers, "sec-websocket-accept"))
    assert_true (websocket_client_check (key, http_headers_get (headers, "sec-websocket-accept")));
  cli.status = status;
  cli.tunnel = t;
  cli.upgraded = true;
}

static void
on_response (void *arg, int status, const struct http_header *headers, const void *body, size_t len)
{
  (void) arg;
  (void) headers;
  cli.status = status;
  buf_append (&cli.got[0], body, len);
  cli.refused = true;
}

static void
on_error (void *arg, const struct err *err)
{
  (void) arg;
  fail_msg ("%s", err->text);
}

static void
dial (const char *path, const struct http_header *headers)
{
  const struct http_dial_config c = {.host = "127.0.0.1",
                                     .port = http_server_port (server, 0),
                                     .method = "GET",
                                     .target = path,
                                     .headers = headers,
                                     .on_upgraded = on_upgraded,
                                     .on_response = on_response,
                                     .on_error = on_error};
  assert_int_equal (http_dial (loop, &c, NULL, NULL), 0);
  WAIT (cli.upgraded || cli.refused);
}

static void
client_data (void *arg, const void *data, size_t len)
{
  (void) arg;
  buf_append (&cli.got[0], data, len);
}

static void
client_close (void *arg)
{
  (void) arg;
  cli.closed = true;
}

static void
client_message (void *arg, bool binary, const void *data, size_t len)
{
  (void) arg;
  (void) binary;
  if (len && ((const uint8_t *) data)[0] < 3)
    buf_append (&cli.got[((const uint8_t *) data)[0]], (const char *) data + 1, len - 1);
  buf_append (&cli.frames, data, len);
}

static void
client_ws_close (void *arg, uint16_t code)
{
  (void) arg;
  cli.close_code = code;
  cli.closed = true;
}

static void
dial_websocket (const char *path, const char *protocols)
{
  static const struct websocket_cb cb = {client_message, NULL, client_ws_close};
  assert_int_equal (websocket_client_key (key, NULL), 0);
  const struct http_header headers[] = {{"connection", "Upgrade"},
                                        {"upgrade", "websocket"},
                                        {"sec-websocket-version", "13"},
                                        {"sec-websocket-key", key},
                                        {"sec-websocket-protocol", protocols},
                                        {0}};
  dial (path, headers);
  if (cli.upgraded) {
    assert_non_null (cli.websocket = websocket_client_new (cli.tunnel, 4u << 20));
    cli.tunnel = NULL;
    websocket_start (cli.websocket, &cb, NULL);
  }
}

static int
client_spdy_send (void *arg, const void *data, size_t len)
{
  (void) arg;
  return cli.websocket ? websocket_send (cli.websocket, true, data, len) : http_tunnel_write (cli.tunnel, data, len);
}

static unsigned
index_of (struct spdy_stream *st)
{
  for (unsigned i = 0; i < 4; i++)
    if (cli.streams[i] == st)
      return i;
  fail ();
  return 0;
}

static void
client_spdy_reply (void *arg, struct spdy_stream *st, const struct http_header *headers, bool fin)
{
  (void) arg;
  (void) headers;
  (void) fin;
  cli.replied[index_of (st)] = true;
}

static void
client_spdy_stream (void *arg, struct spdy_stream *st, const struct http_header *headers, bool fin)
{
  (void) arg;
  (void) headers;
  (void) fin;
  spdy_reset (st, 3);
}

static void
client_spdy_data (void *arg, struct spdy_stream *st, const void *data, size_t len, bool fin)
{
  unsigned i = index_of (st);
  (void) arg;
  buf_append (&cli.got[i], data, len);
  cli.fin[i] |= fin;
}

static void
client_spdy_stream_close (void *arg, struct spdy_stream *st, bool reset)
{
  (void) arg;
  (void) reset;
  for (unsigned i = 0; i < 4; i++)
    if (cli.streams[i] == st)
      cli.streams[i] = NULL;
}

static void
client_spdy_bytes (void *arg, const void *data, size_t len)
{
  (void) arg;
  assert_int_equal (spdy_input (cli.spdy, data, len, NULL), 0);
}

static void
client_spdy_message (void *arg, bool binary, const void *data, size_t len)
{
  (void) binary;
  client_spdy_bytes (arg, data, len);
}

static void
start_spdy (void)
{
  static const struct spdy_cb cb = {.send = client_spdy_send,
                                    .on_stream = client_spdy_stream,
                                    .on_reply = client_spdy_reply,
                                    .on_data = client_spdy_data,
                                    .on_stream_close = client_spdy_stream_close};
  assert_non_null (cli.spdy = spdy_new (false, &cb, NULL));
}

static void
dial_spdy (const char *path, const char *protocols)
{
  static const struct http_tunnel_cb cb = {client_spdy_bytes, NULL, NULL, client_close};
  const struct http_header headers[] = {
      {"connection", "Upgrade"}, {"upgrade", "SPDY/3.1"}, {"x-stream-protocol-version", protocols}, {0}};
  dial (path, headers);
  if (cli.upgraded) {
    start_spdy ();
    http_tunnel_start (cli.tunnel, &cb, NULL);
  }
}

static void
open_stream (unsigned i, const char *type, const char *port)
{
  const struct http_header headers[] = {
      {"streamType", type}, {port ? "port" : NULL, port}, {port ? "requestID" : NULL, "0"}, {0}};
  assert_int_equal (spdy_open (cli.spdy, headers, false, &cli.streams[i], NULL), 0);
}

static int
setup (void **state)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  const struct http_server_config config = {.listen = listen, .on_request = on_request};
  (void) state;
  memset (&srv, 0, sizeof srv);
  memset (&cli, 0, sizeof cli);
  loop = loop_new (NULL);
  server = http_server_new (loop, &config, NULL);
  return server ? 0 : -1;
}

static int
teardown (void **state)
{
  (void) state;
  spdy_free (cli.spdy);
  http_tunnel_reset (cli.tunnel);
  websocket_close (cli.websocket, 1000, NULL);
  http_tunnel_reset (srv.tunnel);
  websocket_close (srv.websocket, 1000, NULL);
  remote_session_close (srv.remote);
  portforward_session_close (srv.forward);
  http_server_free (server);
  for (int i = 0; i < 300; i++)
    loop_step (loop, i < 290 ? 0 : 10);
  loop_free (loop);
  for (int i = 0; i < 4; i++)
    buf_done (&cli.got[i]);
  buf_done (&cli.frames);
  buf_done (&srv.stdin_);
  return 0;
}

static char *
long_text (void)
{
  char *text = malloc (LONG_BYTES);
  for (size_t i = 0; i < LONG_BYTES; i++)
    text[i] = (char) ('a' + i * 7 % 26);
  return text;
}

static void
test_upgrade__echoes_bytes (void **state)
{
  static const struct http_tunnel_cb cb = {client_data, NULL, NULL, client_close};
  const struct http_header headers[] = {{"connection", "Upgrade"}, {"upgrade", "echo"}, {0}};
  AUTO_FREE char *text = long_text ();
  (void) state;
  dial ("/echo", headers);
  assert_int_equal (cli.status, 101);
  http_tunnel_start (cli.tunnel, &cb, NULL);
  assert_int_equal (http_tunnel_write (cli.tunnel, text, LONG_BYTES), 0);
  WAIT (cli.got[0].len == LONG_BYTES);
  assert_memory_equal (cli.got[0].data, text, LONG_BYTES);
}

static void
test_dial__refusal_gives_the_body (void **state)
{
  const struct http_header headers[] = {{"connection", "Upgrade"}, {"upgrade", "SPDY/3.1"}, {"x-stream-protocol-version", "v9"}, {0}};
  (void) state;
  dial ("/exec", headers);
  assert_int_equal (cli.status, 403);
  assert_non_null (strstr (buf_cstr (&cli.got[0]), "unable to negotiate protocol"));
}

static bool spliced;
static void
on_spliced (void *arg)
{
  (void) arg;
  spliced = true;
}

static void
test_splice__carries_both_ways_and_ends (void **state)
{
  static const struct http_tunnel_cb cb = {client_data, NULL, NULL, client_close};
  const struct http_header headers[] = {{"connection", "Upgrade"}, {"upgrade", "echo"}, {0}};
  AUTO_FREE char *text = long_text ();
  int fds[2];
  (void) state;
  dial ("/echo", headers);
  assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  spliced = false;
  assert_int_equal (http_tunnel_splice (cli.tunnel, http_tunnel_of_fd (loop, fds[0]), on_spliced, NULL), 0);
  cli.tunnel = http_tunnel_of_fd (loop, fds[1]);
  http_tunnel_start (cli.tunnel, &cb, NULL);
  assert_int_equal (http_tunnel_write (cli.tunnel, text, LONG_BYTES), 0);
  WAIT (cli.got[0].len == LONG_BYTES);
  assert_memory_equal (cli.got[0].data, text, LONG_BYTES);
  http_tunnel_reset (cli.tunnel);
  cli.tunnel = NULL;
  WAIT (spliced && !srv.tunnel);
}

static void
test_websocket__echo_and_close (void **state)
{
  AUTO_FREE char *text = long_text ();
  (void) state;
  dial_websocket ("/ws", "x, a, b");
  assert_string_equal (cli.protocol, "a"); /* the client's order decides */
  assert_int_equal (websocket_send (cli.websocket, false, "hi", 2), 0);
  assert_int_equal (websocket_send (cli.websocket, true, text, LONG_BYTES), 0);
  WAIT (cli.frames.len == LONG_BYTES + 2);
  assert_memory_equal (cli.frames.data + 2, text, LONG_BYTES);
  websocket_close (cli.websocket, 1000, "bye");
  cli.websocket = NULL;
  WAIT (srv.gone);
}

static void
test_websocket__no_common_protocol_is_400 (void **state)
{
  (void) state;
  dial_websocket ("/ws", "x");
  assert_int_equal (cli.status, 400);
}

static void
test_remote__spdy_exec (void **state)
{
  AUTO_FREE char *text = long_text ();
  (void) state;
  dial_spdy ("/exec", "v5.channel.k8s.io, v4.channel.k8s.io");
  assert_string_equal (cli.protocol, "v4.channel.k8s.io");
  open_stream (0, "error", NULL);
  open_stream (1, "stdin", NULL);
  open_stream (2, "stdout", NULL);
  WAIT (cli.replied[2]);
  assert_false (srv.ready); /* stderr is still to come */
  assert_int_equal (spdy_write (cli.streams[1], "early", 5, false), 0);
  open_stream (3, "stderr", NULL);
  WAIT (srv.ready);
  assert_int_equal (spdy_write (cli.streams[1], " late", 5, true), 0);
  WAIT (srv.stdin_closed);
  assert_string_equal (buf_cstr (&srv.stdin_), "early late");
  assert_int_equal (remote_write_stdout (srv.remote, text, LONG_BYTES), 0);
  remote_finish (srv.remote, 3);
  srv.remote = NULL;
  WAIT (cli.fin[0] && cli.fin[2] && cli.fin[3]);
  assert_int_equal (cli.got[2].len, LONG_BYTES);
  assert_memory_equal (cli.got[2].data, text, LONG_BYTES);
  assert_non_null (strstr (buf_cstr (&cli.got[0]), "\"reason\":\"NonZeroExitCode\""));
  assert_non_null (strstr (buf_cstr (&cli.got[0]), "\"message\":\"3\""));
  WAIT (cli.closed);
}

static void
test_remote__websocket_v5 (void **state)
{
  static const uint8_t stdin_data[] = "\0hello", close_stdin[] = {255, 0};
  (void) state;
  dial_websocket ("/exec", "v5.channel.k8s.io");
  assert_string_equal (cli.protocol, "v5.channel.k8s.io");
  WAIT (srv.ready);
  assert_int_equal (websocket_send (cli.websocket, true, stdin_data, 6), 0);
  assert_int_equal (websocket_send (cli.websocket, true, close_stdin, 2), 0);
  WAIT (srv.stdin_closed);
  assert_string_equal (buf_cstr (&srv.stdin_), "hello");
  assert_int_equal (remote_write_stdout (srv.remote, "out", 3), 0);
  assert_int_equal (remote_write_stderr (srv.remote, "err", 3), 0);
  remote_finish (srv.remote, 0);
  srv.remote = NULL;
  WAIT (cli.closed);
  assert_string_equal (buf_cstr (&cli.got[1]), "out");
  assert_string_equal (buf_cstr (&cli.got[2]), "err");
  assert_int_equal (cli.close_code, 1000);
  assert_non_null (memmem (cli.frames.data, cli.frames.len, "\"status\":\"Success\"", 18));
}

static void
test_remote__websocket_resize (void **state)
{
  static const char resize[] = "\4{\"Width\":132,\"Height\":43}";
  (void) state;
  dial_websocket ("/attach", "v4.channel.k8s.io");
  assert_int_equal (websocket_send (cli.websocket, true, resize, sizeof resize - 1), 0);
  WAIT (srv.width);
  assert_int_equal (srv.width, 132);
  assert_int_equal (srv.height, 43);
  websocket_close (cli.websocket, 1000, NULL);
  cli.websocket = NULL;
  WAIT (srv.gone);
}

static void
test_portforward__spdy_and_spdy_in_websocket (void **state)
{
  static const struct websocket_cb cb = {client_spdy_message, NULL, client_ws_close};
  AUTO_FREE char *text = long_text ();
  (void) state;
  for (int ws = 0; ws < 2; ws++) {
    if (!ws)
      dial_spdy ("/forward", "portforward.k8s.io");
    else {
      teardown (NULL);
      setup (NULL);
      assert_int_equal (websocket_client_key (key, NULL), 0);
      const struct http_header headers[] = {{"connection", "Upgrade"},
                                            {"upgrade", "websocket"},
                                            {"sec-websocket-version", "13"},
                                            {"sec-websocket-key", key},
                                            {"sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io"},
                                            {0}};
      dial ("/forward", headers);
      cli.websocket = websocket_client_new (cli.tunnel, 4u << 20);
      cli.tunnel = NULL;
      start_spdy ();
      websocket_start (cli.websocket, &cb, NULL);
    }
    open_stream (0, "error", "8080");
    assert_int_equal (spdy_write (cli.streams[0], NULL, 0, true), 0);
    open_stream (1, "data", "8080");
    WAIT (srv.conn);
    assert_int_equal (srv.port, 8080);
    assert_int_equal (spdy_write (cli.streams[1], text, LONG_BYTES, false), 0);
    WAIT (cli.got[1].len == LONG_BYTES);
    assert_memory_equal (cli.got[1].data, text, LONG_BYTES);
    assert_int_equal (spdy_write (cli.streams[1], NULL, 0, true), 0);
    WAIT (srv.forward_eof);
    portforward_fail (srv.conn, "no such target");
    srv.conn = NULL;
    WAIT (cli.fin[0] && cli.fin[1]);
    assert_string_equal (buf_cstr (&cli.got[0]), "no such target");
  }
}

static void
test_spdy_input__garbage_ends_the_session (void **state)
{
  static const struct spdy_cb cb = {.send = client_spdy_send,
                                    .on_stream = client_spdy_stream,
                                    .on_data = client_spdy_data,
                                    .on_stream_close = client_spdy_stream_close};
  static const uint8_t bad_version[] = {0x80, 2, 0, 1, 0, 0, 0, 0}, too_long[] = {0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff},
                       bad_block[] = {0x80, 3, 0, 1, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 'x', 'y'};
  static const struct {
    const uint8_t *data;
    size_t len;
    int code;
  } cases[] = {{bad_version, sizeof bad_version, ERR_PARSE},
               {too_long, sizeof too_long, ERR_LIMIT},
               {bad_block, sizeof bad_block, ERR_PARSE}};
  int fds[2];
  (void) state;
  assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  cli.tunnel = http_tunnel_of_fd (loop, fds[0]);
  for (size_t i = 0; i < 3; i++) {
    struct spdy *s = spdy_new (true, &cb, NULL);
    struct err err;
    assert_int_equal (spdy_input (s, cases[i].data, cases[i].len, &err), cases[i].code);
    assert_int_equal (spdy_input (s, "x", 1, &err), ERR_CLOSED);
    spdy_free (s);
  }
  close (fds[1]);
}

int
main (void)
{
#define TEST(f) cmocka_unit_test_setup_teardown (f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST (test_upgrade__echoes_bytes),
      TEST (test_dial__refusal_gives_the_body),
      TEST (test_splice__carries_both_ways_and_ends),
      TEST (test_websocket__echo_and_close),
      TEST (test_websocket__no_common_protocol_is_400),
      TEST (test_remote__spdy_exec),
      TEST (test_remote__websocket_v5),
      TEST (test_remote__websocket_resize),
      TEST (test_portforward__spdy_and_spdy_in_websocket),
      TEST (test_spdy_input__garbage_ends_the_session),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
