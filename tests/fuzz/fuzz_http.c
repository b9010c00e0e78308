/* What a client may send to a listener in plain text: HTTP/1.1, HTTP/2 with prior knowledge, and WebSocket frames after an
   upgrade. Goes over loopback to a real server in this process. */
#include "tests/lib/fuzz.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/http/http.h"
#include "base/http/websocket.h"
#include "base/mem.h"

#define STEPS_LIMIT 200

static struct loop *loop;
static struct http_server *server;
static struct websocket *websocket;

static void
on_message (void *arg, bool binary, const void *data, size_t len)
{
  (void) arg;
  (void) websocket_send (websocket, binary, data, len);
}

static void
on_close (void *arg, uint16_t code)
{
  (void) arg;
  (void) code;
  websocket_close (websocket, 1000, NULL);
  websocket = NULL;
}

static void
on_request (void *arg, struct http_request *req)
{
  static const struct websocket_cb cb = {on_message, NULL, on_close};
  size_t len;
  const void *body = http_body (req, &len);
  (void) arg;
  if (websocket_requested (req) && !websocket && !websocket_accept (req, NULL, 4096, &websocket, NULL, NULL)) {
    websocket_start (websocket, &cb, NULL);
    return;
  }
  if (strcmp (http_path (req), "/stream")) {
    (void) http_reply (req, 200, NULL, body, len);
    return;
  }
  (void) http_reply_start (req, 200, NULL);
  (void) http_reply_chunk (req, body, len);
  (void) http_reply_end (req);
}

static void
start (void)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  const struct http_server_config config = {.listen = listen, .on_request = on_request, .body_limit_bytes = 4096};
  loop = loop_new (NULL);
  REQUIRE (loop);
  server = http_server_new (loop, &config, NULL);
  REQUIRE (server);
}

int
fuzz_one (const uint8_t *data, size_t size)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  struct linger reset = {1, 0}; /* thousands of runs leave no TIME_WAIT behind */
  char sink[4096];
  int fd;
  if (!server)
    start ();
  to.sin_port = htons (http_server_port (server, 0));
  fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect (fd, (struct sockaddr *) &to, sizeof to)) {
    close (fd);
    return 0;
  }
  (void) send (fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  for (int i = 0; i < 6; i++)
    loop_step (loop, 0);
  (void) recv (fd, sink, sizeof sink, MSG_DONTWAIT);
  setsockopt (fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close (fd);
  for (int i = 0; i < STEPS_LIMIT && (http_server_connections (server) || websocket); i++)
    loop_step (loop, 0);
  return 0;
}
