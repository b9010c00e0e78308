/* Listeners, the list of connections with their time limits, orderly shutdown. */
#include "base/http/http_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

#define BACKLOG 4096

/* "host:port", "[v6]:port", ":port". */
static int
split_address (const char *text, char host[256], char port[8], struct err *err)
{
  const char *colon = strrchr (text, ':');
  size_t len = colon ? (size_t) (colon - text) : 0;
  char *end;
  long n;
  if (!colon || len >= 256 || strlen (colon + 1) >= 8)
    return err_set (err, ERR_INVALID, "listen address '%.100s': not host:port", text);
  errno = 0;
  n = strtol (colon + 1, &end, 10);
  if (end == colon + 1 || *end || n < 0 || n > 65535)
    return err_set (err, ERR_INVALID, "listen address '%.100s': bad port", text);
  snprintf (port, 8, "%ld", n);
  if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
    text++;
    len -= 2;
  } else if (memchr (text, ':', len))
    return err_set (err, ERR_INVALID, "listen address '%.100s': an IPv6 address needs brackets", text);
  memcpy (host, text, len);
  host[len] = 0;
  return 0;
}

static int
open_socket (const struct addrinfo *ai, bool dual)
{
  int fd = socket (ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  static const struct {
    int level, name, value;
  } options[] = {
      {SOL_SOCKET, SO_REUSEADDR, 1},    {IPPROTO_TCP, TCP_NODELAY, 1},    {SOL_SOCKET, SO_KEEPALIVE, 1},
      {IPPROTO_TCP, TCP_KEEPIDLE, 30},  {IPPROTO_TCP, TCP_KEEPINTVL, 10}, {IPPROTO_TCP, TCP_KEEPCNT, 3},
      {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000},
  };
  int v6only = !dual, saved;
  if (fd < 0)
    return -1;
  /* Set on the listening socket, all of these are inherited by what it accepts. */
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    setsockopt (fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
  if (ai->ai_family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
  if (!bind (fd, ai->ai_addr, ai->ai_addrlen) && !listen (fd, BACKLOG))
    return fd;
  saved = errno;
  close (fd);
  errno = saved;
  return -1;
}

static int
listen_on (const char *text, struct err *err)
{
  char host[256], port[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
  int r, fd;
  if ((r = split_address (text, host, port, err)))
    return r;
  hints.ai_family = host[0] ? AF_UNSPEC : AF_INET6;
  r = getaddrinfo (host[0] ? host : NULL, port, &hints, &list);
  if (r)
    return err_set (err, ERR_INVALID, "listen address '%.100s': %s", text, gai_strerror (r));
  fd = open_socket (list, !host[0]);
  freeaddrinfo (list);
  if (fd < 0 && !host[0] && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) { /* no IPv6 here */
    hints.ai_family = AF_INET;
    if (getaddrinfo (NULL, port, &hints, &list))
      return err_set (err, ERR_INVALID, "listen address '%.100s'", text);
    fd = open_socket (list, false);
    freeaddrinfo (list);
  }
  return fd >= 0 ? fd : err_errno (err, errno, "listen on %s", text);
}

static void
pause_accept (struct http_server *s, bool pause)
{
  if (s->accept_paused == pause)
    return;
  s->accept_paused = pause;
  for (size_t i = 0; i < s->n_listeners; i++)
    if (pause)
      evconnlistener_disable (s->listeners[i]);
    else
      evconnlistener_enable (s->listeners[i]);
}

static int64_t
sweep_interval_ms (const struct http_server *s)
{
  int64_t ms = s->config.idle_timeout_ms < s->config.body_timeout_ms ? s->config.idle_timeout_ms : s->config.body_timeout_ms;
  ms /= 4;
  return ms < 20 ? 20 : (ms > 2000 ? 2000 : ms);
}

static void
on_accept (struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
  struct http_server *s = arg;
  struct http_conn *c = http_conn_new (s, fd, addr);
  (void) listener;
  (void) len;
  if (!c)
    return;
  c->next = s->conns;
  if (c->next)
    c->next->prev = c;
  s->conns = c;
  s->n_conns++;
  if (s->n_conns >= s->config.max_connections)
    pause_accept (s, true);
  if (!loop_timer_armed (s->sweep))
    loop_timer_set (s->sweep, sweep_interval_ms (s));
}

/* Out of descriptors: without a pause the loop would spin on the readable listener. The sweep resumes. */
static void
on_accept_error (struct evconnlistener *listener, void *arg)
{
  struct http_server *s = arg;
  (void) listener;
  pause_accept (s, true);
  loop_timer_set (s->sweep, 100);
}

static void
shutdown_check (struct http_server *s)
{
  loop_cb done = s->shutdown_done;
  if (!s->shutting_down || s->n_conns || !done)
    return;
  s->shutdown_done = NULL;
  if (loop_post (s->loop, done, s->shutdown_arg)) /* out of memory: better early than never */
    done (s->shutdown_arg);
}

static void
on_sweep (void *arg)
{
  struct http_server *s = arg;
  mono_t now = mono_now ();
  bool overdue = s->shutting_down && now.ns >= s->deadline.ns;
  struct http_conn *next;
  for (struct http_conn *c = s->conns; c; c = next) {
    next = c->next;
    if (overdue || (c->wait_ms && mono_ms_since (c->since, now) >= c->wait_ms)) {
      http_conn_destroy (c); /* its handler may have ended others: from the front again */
      next = s->conns;
    }
  }
  if (!s->shutting_down && s->n_conns < s->config.max_connections)
    pause_accept (s, false);
  if (s->n_conns)
    loop_timer_set (s->sweep, sweep_interval_ms (s));
}

void
http_server_conn_gone (struct http_server *s, struct http_conn *c)
{
  if (c->prev)
    c->prev->next = c->next;
  else
    s->conns = c->next;
  if (c->next)
    c->next->prev = c->prev;
  c->prev = c->next = NULL;
  s->n_conns--;
  if (!s->shutting_down && s->n_conns < s->config.max_connections)
    pause_accept (s, false);
  shutdown_check (s);
}

static int
add_listener (struct http_server *s, int fd, struct err *err)
{
  struct evconnlistener *l;
  if (s->n_listeners == HTTP_LISTEN_LIMIT) {
    close (fd);
    return err_set (err, ERR_LIMIT, "more than %d listen addresses", HTTP_LISTEN_LIMIT);
  }
  l = evconnlistener_new (loop_base (s->loop), on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
  if (!l) {
    close (fd);
    return err_set (err, ERR_NOMEM, "listener");
  }
  evconnlistener_set_error_cb (l, on_accept_error);
  s->listeners[s->n_listeners++] = l;
  return 0;
}

static int
open_listeners (struct http_server *s, const struct http_server_config *config, struct err *err)
{
  int fd, r;
  for (size_t i = 0; config->share && i < config->share->n_listeners; i++) {
    fd = fcntl (evconnlistener_get_fd (config->share->listeners[i]), F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
      return err_errno (err, errno, "share listening socket");
    if ((r = add_listener (s, fd, err)))
      return r;
  }
  for (const char *const *a = config->share ? NULL : config->listen; a && *a; a++) {
    if ((fd = listen_on (*a, err)) < 0)
      return fd;
    if ((r = add_listener (s, fd, err)))
      return r;
  }
  return s->n_listeners ? 0 : err_set (err, ERR_INVALID, "no listen address");
}

struct http_server *
http_server_new (struct loop *loop, const struct http_server_config *config, struct err *err)
{
  struct http_server *s = mem_zalloc (sizeof *s);
  if (!s || !(s->sweep = loop_timer_new (loop, on_sweep, s))) {
    free (s);
    err_set (err, ERR_NOMEM, "HTTP server");
    return NULL;
  }
  s->loop = loop;
  s->config = *config;
  s->config.listen = NULL;
  s->config.share = NULL;
  s->config.tls = tls_ref (config->tls);
#define DEFAULT(field, value) \
  if (!s->config.field)       \
  s->config.field = (value)
  DEFAULT (body_limit_bytes, 3u << 20);
  DEFAULT (header_limit_bytes, 64u << 10);
  DEFAULT (idle_timeout_ms, 60000);
  DEFAULT (body_timeout_ms, 60000);
  DEFAULT (max_connections, 10000);
  DEFAULT (max_streams, 250);
  DEFAULT (output_high_bytes, 256u << 10);
#undef DEFAULT
  if (open_listeners (s, config, err)) {
    http_server_free (s);
    return NULL;
  }
  return s;
}

uint16_t
http_server_port (const struct http_server *s, size_t index)
{
  struct sockaddr_storage addr;
  socklen_t len = sizeof addr;
  if (index >= s->n_listeners || getsockname (evconnlistener_get_fd (s->listeners[index]), (struct sockaddr *) &addr, &len))
    return 0;
  return ntohs (addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *) (void *) &addr)->sin6_port
                                           : ((struct sockaddr_in *) (void *) &addr)->sin_port);
}

size_t
http_server_connections (const struct http_server *s)
{
  return s->n_conns;
}

static void
close_listeners (struct http_server *s)
{
  while (s->n_listeners)
    evconnlistener_free (s->listeners[--s->n_listeners]);
}

void
http_server_shutdown (struct http_server *s, int64_t deadline_ms, loop_cb done, void *arg)
{
  struct http_conn *next;
  s->shutting_down = true;
  s->deadline.ns = mono_now ().ns + deadline_ms * 1000000;
  s->shutdown_done = done;
  s->shutdown_arg = arg;
  close_listeners (s);
  for (struct http_conn *c = s->conns; c; c = next) {
    next = c->next;
    if (!c->proto)
      http_conn_destroy (c);
    else {
      http_conn_enter (c);
      c->proto->shutdown (c);
      http_conn_leave (c);
    }
  }
  if (s->n_conns)
    loop_timer_set (s->sweep, deadline_ms < sweep_interval_ms (s) ? deadline_ms : sweep_interval_ms (s));
  shutdown_check (s);
}

void
http_server_free (struct http_server *s)
{
  if (!s)
    return;
  s->shutdown_done = NULL;
  s->shutting_down = true;
  close_listeners (s);
  while (s->conns)
    http_conn_destroy (s->conns);
  loop_timer_free (s->sweep);
  tls_unref (s->config.tls);
  free (s);
}

const char *
http_date (struct http_server *s)
{
  int64_t now = wall_now ().us / 1000000;
  if (now != s->date_s) {
    time_t t = (time_t) now;
    struct tm tm;
    gmtime_r (&t, &tm);
    strftime (s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    s->date_s = now;
  }
  return s->date;
}
