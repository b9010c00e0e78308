#include "services/kubelet/handler.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

struct handler {
  struct handler_ctx x;
  handler_cb cb;
  void *arg;
  struct proc *proc;
  struct http_call *call;
  struct loop_watch *watch;
  struct loop_timer *timer;
  int fd;
  char ip[INET6_ADDRSTRLEN];
};

static void
handler_free (struct handler *h)
{
  if (!h)
    return;
  loop_watch_free (h->watch);
  loop_timer_free (h->timer);
  if (h->fd >= 0)
    close (h->fd);
  free (h);
}

static void
finish (struct handler *h, enum handler_result result, const char *output)
{
  h->cb (h->arg, result, output);
  handler_free (h);
}

void
handler_cancel (struct handler *h)
{
  if (!h)
    return;
  if (h->proc) {
    (void) proc_kill (h->proc, SIGKILL, NULL);
    proc_abandon (h->proc);
  }
  if (h->call)
    http_call_cancel (h->call);
  handler_free (h);
}

static void
on_exec (void *arg, struct proc *p, const struct proc_exit *e)
{
  struct handler *h = arg;
  struct buf b AUTO_BUF = {.limit_bytes = HANDLER_OUTPUT_MAX + 256};
  (void) p;
  h->proc = NULL;
  buf_append (&b, e->out->data, e->out->len);
  buf_append (&b, e->err->data, e->err->len > HANDLER_OUTPUT_MAX - e->out->len ? HANDLER_OUTPUT_MAX - e->out->len : e->err->len);
  if (e->signal == SIGKILL)
    buf_append_str (&b, "command timed out");
  finish (h, e->code == 0 ? HANDLER_OK : HANDLER_FAILED, buf_cstr (&b));
}

static int
run_exec (struct handler *h, const struct value *exec, int64_t timeout_ms, struct err *err)
{
  const struct value *command = value_get (exec, "command");
  size_t n = value_count (command);
  const char **argv AUTO_FREE = mem_zalloc ((n + 1) * sizeof *argv);
  struct proc_config pc = {.out = {PROC_CAPTURE, -1}, .err = {PROC_CAPTURE, -1}, .capture_limit_bytes = HANDLER_OUTPUT_MAX,
                           .timeout_ms = timeout_ms, .on_exit = on_exec, .arg = h};
  if (!argv)
    return err_set (err, ERR_NOMEM, "exec");
  for (size_t i = 0; i < n; i++)
    argv[i] = value_as_string (value_at (command, i), "");
  return runtime_exec (h->x.runtime, h->x.container_id, &pc, argv, &h->proc, err);
}

static int64_t
port_of (const struct value *container, const struct value *port)
{
  if (!value_is (port, VALUE_STRING))
    return value_as_int (port, 0);
  for (value_items (value_get (container, "ports"), it))
    if (value_string_is (port, value_path_string (*it, "name", "")))
      return value_path_int (*it, "containerPort", 0);
  return strtol (port->s, NULL, 10);
}

static void
on_http (void *arg, const struct http_response *r)
{
  struct handler *h = arg;
  char text[640];
  h->call = NULL;
  if (!r->status) {
    snprintf (text, sizeof text, "Get: %s", r->error ? r->error->text : "no answer");
    finish (h, HANDLER_FAILED, text);
    return;
  }
  snprintf (text, sizeof text, "HTTP probe failed with statuscode: %d", r->status);
  finish (h, r->status >= 200 && r->status < 400 ? HANDLER_OK : HANDLER_FAILED, text);
}

#define HEADERS_MAX 64
static int
run_http (struct handler *h, const struct value *get, const struct value *container, int64_t timeout_ms, struct err *err)
{
  static const struct tls_config lax = {.insecure_skip_verify = true};
  const char *host = value_path_string (get, "host", h->ip), *path = value_path_string (get, "path", "/");
  bool tls = !strcasecmp (value_path_string (get, "scheme", "HTTP"), "HTTPS"), six = strchr (host, ':');
  char *url AUTO_FREE = mem_printf ("%s://%s%s%s:%lld%s%s", tls ? "https" : "http", six ? "[" : "", host, six ? "]" : "",
                                    (long long) port_of (container, value_get (get, "port")), *path == '/' ? "" : "/", path);
  struct http_header headers[HEADERS_MAX + 2] = {{0}};
  size_t n = 0;
  bool agent = false;
  struct http_call_config c = {.method = "GET", .url = url, .headers = headers, .timeout_ms = timeout_ms, .connect_timeout_ms = timeout_ms,
                               .response_limit_bytes = HANDLER_OUTPUT_MAX, .tls = tls ? &lax : NULL, .http1_only = true, .on_done = on_http, .arg = h};
  if (!url)
    return err_set (err, ERR_NOMEM, "httpGet");
  for (value_items (value_get (get, "httpHeaders"), it)) {
    if (n == HEADERS_MAX)
      break;
    headers[n++] = (struct http_header) {.name = value_path_string (*it, "name", ""), .value = value_path_string (*it, "value", "")};
    agent |= !strcasecmp (headers[n - 1].name, "User-Agent");
  }
  if (!agent)
    headers[n++] = (struct http_header) {.name = "User-Agent", .value = "kube-probe/1.33"};
  return http_call (h->x.http, &c, &h->call, err);
}

static void
on_connected (void *arg, int fd, int events)
{
  struct handler *h = arg;
  int e = 0;
  socklen_t n = sizeof e;
  char text[128];
  (void) events;
  (void) getsockopt (fd, SOL_SOCKET, SO_ERROR, &e, &n);
  snprintf (text, sizeof text, "dial tcp: %s", e ? strerror (e) : "connected");
  finish (h, e ? HANDLER_FAILED : HANDLER_OK, text);
}

static void
on_timeout (void *arg)
{
  finish (arg, HANDLER_FAILED, "dial tcp: i/o timeout");
}

static void
on_slept (void *arg)
{
  finish (arg, HANDLER_OK, "");
}

static int
run_tcp (struct handler *h, const struct value *tcp, const struct value *container, int64_t timeout_ms, struct err *err)
{
  const char *host = value_path_string (tcp, "host", h->ip);
  uint16_t port = (uint16_t) port_of (container, value_get (tcp, "port"));
  struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons (port)};
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons (port)};
  bool six = strchr (host, ':');
  if (inet_pton (six ? AF_INET6 : AF_INET, host, six ? (void *) &in6.sin6_addr : (void *) &in4.sin_addr) != 1)
    return err_set (err, ERR_INVALID, "tcpSocket: %s is not an address", host);
  if ((h->fd = socket (six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
    return err_errno (err, errno, "tcpSocket");
  if (connect (h->fd, six ? (struct sockaddr *) &in6 : (struct sockaddr *) &in4, six ? sizeof in6 : sizeof in4) && errno != EINPROGRESS)
    return err_errno (err, errno, "dial tcp %s:%u", host, port);
  if (!(h->watch = loop_watch_fd (h->x.loop, h->fd, LOOP_WRITE, on_connected, h)) || !(h->timer = loop_timer_new (h->x.loop, on_timeout, h)))
    return err_set (err, ERR_NOMEM, "tcpSocket");
  loop_timer_set (h->timer, timeout_ms);
  return 0;
}

int
handler_run (const struct handler_ctx *x, const struct value *spec, int64_t timeout_ms, handler_cb cb, void *arg, struct handler **ret, struct err *err)
{
  struct handler *h = mem_zalloc (sizeof *h);
  const struct value *exec = value_get (spec, "exec"), *http = value_get (spec, "httpGet"), *tcp = value_get (spec, "tcpSocket"),
                     *rest = value_get (spec, "sleep");
  int rc;
  if (!h)
    return err_set (err, ERR_NOMEM, "handler");
  h->x = *x;
  h->cb = cb;
  h->arg = arg;
  h->fd = -1;
  snprintf (h->ip, sizeof h->ip, "%s", x->ip ? x->ip : "127.0.0.1");
  if (exec) {
    rc = run_exec (h, exec, timeout_ms, err);
  } else if (http) {
    rc = run_http (h, http, x->container, timeout_ms, err);
  } else if (tcp) {
    rc = run_tcp (h, tcp, x->container, timeout_ms, err);
  } else if (rest) {
    rc = (h->timer = loop_timer_new (x->loop, on_slept, h)) ? 0 : err_set (err, ERR_NOMEM, "sleep");
    if (!rc)
      loop_timer_set (h->timer, value_path_int (rest, "seconds", 0) * 1000);
  } else {
    rc = err_set (err, ERR_UNSUPPORTED, "handler of this kind is not supported");
  }
  if (rc) {
    handler_free (h);
    return rc;
  }
  *ret = h;
  return 0;
}
