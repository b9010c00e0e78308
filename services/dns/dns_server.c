#include "services/dns/dns_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <unistd.h>

#include "base/mem.h"

#define LISTENERS_MAX 16
#define BURST 64         /* datagrams between two turns of the loop */
#define QUERY_MAX 4096   /* bytes of a query */

struct conn {
  struct dns_server *s;
  struct conn *prev, *next;
  struct bufferevent *bev;
  struct request *waiting; /* one at a time */
  bool taking;             /* take_tcp is at work further up the stack */
};
struct socket_ {
  struct dns_server *s;
  int fd;
  struct loop_watch *watch;
  struct evconnlistener *tcp;
};
struct request {
  struct dns_request pub; /* first */
  struct dns_server *s;   /* NULL: it is gone */
  struct request *prev, *next;
  int fd;
  struct sockaddr_storage peer;
  socklen_t peer_len;
  struct conn *conn;
  size_t len;
  uint8_t data[]; /* the question */
};
struct dns_server {
  struct loop *loop;
  dns_server_cb cb;
  void *arg;
  struct socket_ sockets[LISTENERS_MAX];
  size_t n_sockets, n_conns, n_requests;
  struct conn *conns;
  struct request *requests;
};

struct dns_server *
dns_server_new (struct loop *loop, dns_server_cb cb, void *arg, struct err *err)
{
  struct dns_server *s = mem_zalloc (sizeof *s);
  if (!s) {
    (void) err_set (err, ERR_NOMEM, "%s", "");
    return NULL;
  }
  s->loop = loop;
  s->cb = cb;
  s->arg = arg;
  return s;
}

static void
conn_free (struct conn *c)
{
  if (c->waiting)
    c->waiting->conn = NULL;
  *(c->prev ? &c->prev->next : &c->s->conns) = c->next;
  if (c->next)
    c->next->prev = c->prev;
  c->s->n_conns--;
  bufferevent_free (c->bev);
  free (c);
}

void
dns_server_free (struct dns_server *s)
{
  if (!s)
    return;
  while (s->conns)
    conn_free (s->conns);
  for (struct request *r = s->requests; r; r = r->next) {
    r->s = NULL;
    r->fd = -1;
  }
  for (size_t i = 0; i < s->n_sockets; i++) {
    loop_watch_free (s->sockets[i].watch);
    close (s->sockets[i].fd);
    if (s->sockets[i].tcp)
      evconnlistener_free (s->sockets[i].tcp);
  }
  free (s);
}

static void
request_free (struct request *r)
{
  if (r->s) {
    *(r->prev ? &r->prev->next : &r->s->requests) = r->next;
    if (r->next)
      r->next->prev = r->prev;
    r->s->n_requests--;
  } else if (r->next || r->prev) {
    if (r->prev)
      r->prev->next = r->next;
    if (r->next)
      r->next->prev = r->prev;
  }
  if (r->conn)
    r->conn->waiting = NULL;
  free (r);
}

/* ---- out ---- */

static void take_tcp (struct conn *c);

static void
send_out (struct request *r, const uint8_t *data, size_t n)
{
  struct conn *c = r->conn;
  if (r->pub.tcp && c && n > 0 && n <= DNS_MESSAGE_MAX) {
    uint8_t len[2] = { (uint8_t) (n >> 8), (uint8_t) n };
    (void) bufferevent_write (c->bev, len, 2);
    (void) bufferevent_write (c->bev, data, n);
  } else if (!r->pub.tcp && r->fd >= 0 && n > 0) {
    (void) sendto (r->fd, data, n, MSG_DONTWAIT, (struct sockaddr *) &r->peer, r->peer_len); /* a lost datagram is asked for again */
  }
  request_free (r);
  if (c && !c->taking)
    take_tcp (c);
}

void
dns_server_reply (struct dns_request *rq, const struct dns_answer *a)
{
  struct request *r = (struct request *) rq;
  AUTO_BUF struct buf out = BUF_INIT;
  dns_reply_write (&rq->query, a, rq->tcp ? DNS_MESSAGE_MAX : rq->query.udp_size, &out);
  send_out (r, out.data, out.failed ? 0 : out.len);
}

void
dns_server_pass (struct dns_request *rq, const uint8_t *response, size_t n)
{
  struct request *r = (struct request *) rq;
  AUTO_BUF struct buf out = BUF_INIT;
  static const struct dns_answer nothing = { .rcode = DNS_SERVFAIL };
  if (n < 12 + rq->query.raw_len || (!rq->tcp && n > rq->query.udp_size)) {
    /* Too large for this client's datagrams: it is told to come by TCP. */
    dns_reply_write (&rq->query, &nothing, DNS_UDP_MIN, &out);
    if (!out.failed && n > 12 + rq->query.raw_len) {
      out.data[2] |= 0x02;
      out.data[3] = (uint8_t) ((out.data[3] & 0xf0) | (response[3] & 0x0f));
    }
  } else {
    buf_append (&out, response, n);
    if (!out.failed) {
      out.data[0] = (uint8_t) (rq->query.id >> 8);
      out.data[1] = (uint8_t) rq->query.id;
      memcpy (out.data + 12, rq->query.raw_question, rq->query.raw_len);
    }
  }
  send_out (r, out.data, out.failed ? 0 : out.len);
}

/* ---- in ---- */

/* False: nothing will come of it. */
static bool
take (struct dns_server *s, const uint8_t *data, size_t n, int fd, const struct sockaddr_storage *peer, socklen_t peer_len, struct conn *conn)
{
  struct request *r;
  struct dns_answer bad = { .rcode = DNS_FORMERR };
  int rc;
  if (n < 12 || n > QUERY_MAX || s->n_requests >= DNS_PENDING_MAX)
    return false;
  r = mem_zalloc (sizeof *r + n);
  if (!r)
    return false;
  memcpy (r->data, data, n);
  r->len = n;
  r->s = s;
  r->fd = fd;
  r->conn = conn;
  r->pub.tcp = conn != NULL;
  if (peer) {
    r->peer = *peer;
    r->peer_len = peer_len;
  } else {
    conn->waiting = r;
  }
  r->next = s->requests;
  if (r->next)
    r->next->prev = r;
  s->requests = r;
  s->n_requests++;
  rc = dns_query_parse (r->data, n, &r->pub.query, NULL);
  if (rc == ERR_INVALID) { /* a response: answering it could begin a loop */
    request_free (r);
    return false;
  }
  if (rc != 0) {
    r->pub.query.raw_len = 0;
    bad.rcode = rc == ERR_UNSUPPORTED ? DNS_NOTIMP : DNS_FORMERR;
    dns_server_reply (&r->pub, &bad);
  } else if (r->pub.query.edns_bad_version) {
    bad.rcode = DNS_BADVERS;
    dns_server_reply (&r->pub, &bad);
  } else {
    s->cb (s->arg, &r->pub);
  }
  return true;
}

static void
udp_readable (void *arg, int fd, int events)
{
  struct socket_ *k = arg;
  (void) events;
  for (int i = 0; i < BURST; i++) {
    uint8_t data[QUERY_MAX];
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    ssize_t n = recvfrom (fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *) &peer, &len);
    if (n < 0)
      return;
    (void) take (k->s, data, (size_t) n, fd, &peer, len, NULL);
  }
}

static void
take_tcp (struct conn *c)
{
  struct evbuffer *in = bufferevent_get_input (c->bev);
  uint8_t head[2], data[QUERY_MAX];
  while (!c->waiting && evbuffer_copyout (in, head, 2) == 2) {
    size_t n = (size_t) head[0] << 8 | head[1];
    bool ok = n >= 12 && n <= QUERY_MAX;
    if (ok && evbuffer_get_length (in) < n + 2)
      return;
    if (ok) {
      (void) evbuffer_drain (in, 2);
      (void) evbuffer_remove (in, data, n);
      c->taking = true;
      ok = take (c->s, data, n, -1, NULL, 0, c);
      c->taking = false;
    }
    if (!ok) {
      conn_free (c);
      return;
    }
  }
}

static void
tcp_readable (struct bufferevent *bev, void *arg)
{
  (void) bev;
  take_tcp (arg);
}

static void
tcp_event (struct bufferevent *bev, short what, void *arg)
{
  (void) bev;
  (void) what;
  conn_free (arg);
}

static void
accepted (struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
  struct dns_server *s = arg;
  struct conn *c = s->n_conns < DNS_TCP_MAX ? mem_zalloc (sizeof *c) : NULL;
  struct timeval idle = { DNS_TCP_IDLE_S, 0 };
  (void) l;
  (void) sa;
  (void) len;
  if (c)
    c->bev = bufferevent_socket_new (loop_base (s->loop), fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
  if (!c || !c->bev) {
    free (c);
    close (fd);
    return;
  }
  c->s = s;
  c->next = s->conns;
  if (c->next)
    c->next->prev = c;
  s->conns = c;
  s->n_conns++;
  bufferevent_setcb (c->bev, tcp_readable, NULL, tcp_event, c);
  bufferevent_set_timeouts (c->bev, &idle, &idle);
  bufferevent_setwatermark (c->bev, EV_READ, 0, 2 * QUERY_MAX);
  (void) bufferevent_enable (c->bev, EV_READ | EV_WRITE);
}

int
dns_server_listen (struct dns_server *s, const char *ip, int port, int *ret_port, struct err *err)
{
  struct sockaddr_storage sa = { 0 };
  struct sockaddr_in *v4 = (struct sockaddr_in *) &sa;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &sa;
  socklen_t len = sizeof *v4;
  struct socket_ *k = &s->sockets[s->n_sockets];
  if (s->n_sockets == LISTENERS_MAX)
    return err_set (err, ERR_LIMIT, "more than %d addresses", LISTENERS_MAX);
  if (inet_pton (AF_INET, ip, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons ((uint16_t) port);
  } else if (inet_pton (AF_INET6, ip, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons ((uint16_t) port);
    len = sizeof *v6;
  } else {
    return err_set (err, ERR_INVALID, "\"%.64s\" is no address", ip);
  }
  AUTO_CLOSE int fd = socket (sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind (fd, (struct sockaddr *) &sa, len) != 0 || getsockname (fd, (struct sockaddr *) &sa, &len) != 0)
    return errno == EADDRINUSE ? err_set (err, ERR_BUSY, "listen on %s:%d: address in use", ip, port) : err_errno (err, errno, "listen on %s:%d", ip, port);
  *k = (struct socket_){ .s = s, .fd = -1 };
  k->tcp = evconnlistener_new_bind (loop_base (s->loop), accepted, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 64,
                                    (struct sockaddr *) &sa, (int) len);
  if (!k->tcp)
    return errno == EADDRINUSE ? err_set (err, ERR_BUSY, "listen on %s:%d (TCP): address in use", ip, port)
                               : err_errno (err, errno, "listen on %s:%d (TCP)", ip, port);
  k->watch = loop_watch_fd (s->loop, fd, LOOP_READ, udp_readable, k);
  if (!k->watch) {
    evconnlistener_free (k->tcp);
    return err_set (err, ERR_NOMEM, "%s", "");
  }
  k->fd = mem_take_fd (&fd);
  s->n_sockets++;
  if (ret_port)
    *ret_port = ntohs (sa.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
  return 0;
}
