#include "services/dns/dns_forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define TRY_MS 2000
#define ROUNDS 2 /* over all upstreams */

struct upstream {
  struct sockaddr_storage sa;
  socklen_t len;
};
struct ask {
  struct dns_forward *f;
  struct ask *prev, *next;
  struct buf query;
  uint16_t id;
  int fd;
  size_t tries;
  struct loop_watch *watch;
  struct loop_timer *timer;
  dns_forward_cb cb;
  void *arg;
};
struct dns_forward {
  struct loop *loop;
  struct upstream upstreams[DNS_UPSTREAMS_MAX];
  size_t n, n_asks, first;
  struct ask *asks;
};

struct dns_forward *
dns_forward_new (struct loop *loop, struct err *err)
{
  struct dns_forward *f = mem_zalloc (sizeof *f);
  if (f)
    f->loop = loop;
  else
    (void) err_set (err, ERR_NOMEM, "%s", "");
  return f;
}

static void
stop_try (struct ask *k)
{
  loop_watch_free (k->watch);
  k->watch = NULL;
  if (k->fd >= 0)
    close (k->fd);
  k->fd = -1;
}

static void
ask_free (struct ask *k)
{
  stop_try (k);
  loop_timer_free (k->timer);
  *(k->prev ? &k->prev->next : &k->f->asks) = k->next;
  if (k->next)
    k->next->prev = k->prev;
  k->f->n_asks--;
  buf_done (&k->query);
  free (k);
}

void
dns_forward_free (struct dns_forward *f)
{
  if (!f)
    return;
  while (f->asks)
    ask_free (f->asks);
  free (f);
}

size_t
dns_forward_count (const struct dns_forward *f)
{
  return f->n;
}

int
dns_forward_add (struct dns_forward *f, const char *address, struct err *err)
{
  struct upstream u = { 0 };
  struct sockaddr_in *v4 = (struct sockaddr_in *) &u.sa;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &u.sa;
  char text[128], *ip = text, *port = NULL, *end;
  long number = 53;
  if (f->n == DNS_UPSTREAMS_MAX)
    return err_set (err, ERR_LIMIT, "more than %d upstream resolvers", DNS_UPSTREAMS_MAX);
  if ((size_t) snprintf (text, sizeof text, "%s", address) >= sizeof text)
    return err_set (err, ERR_INVALID, "\"%.64s\" is no address", address);
  if (*ip == '[' && (end = strchr (ip, ']'))) {
    *end = '\0';
    ip++;
    port = end[1] == ':' ? end + 2 : NULL;
  } else if ((end = strchr (ip, ':')) && end == strrchr (ip, ':')) {
    *end = '\0';
    port = end + 1;
  }
  if (port)
    number = strtol (port, &end, 10);
  if (port && (!*port || *end || number < 1 || number > 65535))
    return err_set (err, ERR_INVALID, "\"%.64s\" is no address", address);
  if (inet_pton (AF_INET, ip, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons ((uint16_t) number);
    u.len = sizeof *v4;
  } else if (inet_pton (AF_INET6, ip, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons ((uint16_t) number);
    u.len = sizeof *v6;
  } else {
    return err_set (err, ERR_INVALID, "\"%.64s\" is no address", address);
  }
  f->upstreams[f->n++] = u;
  return 0;
}

int
dns_forward_read (struct dns_forward *f, const char *path, const char *const *skip, size_t n_skip, struct err *err)
{
  AUTO_BUF struct buf text = BUF_INIT;
  int rc = file_read (path, 65536, &text, err);
  char *p, *line;
  if (rc != 0)
    return rc;
  for (p = (char *) text.data; (line = strsep (&p, "\n"));) {
    char *word = strsep (&line, " \t");
    bool skipped = false;
    if (!word || strcmp (word, "nameserver") != 0)
      continue;
    while ((word = strsep (&line, " \t")) && !*word)
      ;
    for (size_t i = 0; word && i < n_skip; i++)
      skipped = skipped || !strcmp (word, skip[i]);
    if (word && !skipped && f->n < DNS_UPSTREAMS_MAX)
      (void) dns_forward_add (f, word, NULL); /* a zone index (fe80::1%eth0) is not understood: others serve */
  }
  return 0;
}

static void
finish (struct ask *k, const uint8_t *response, size_t n)
{
  dns_forward_cb cb = k->cb;
  void *arg = k->arg;
  stop_try (k);
  ask_free (k);
  cb (arg, response, n);
}

static void next_try (void *arg);

static void
readable (void *arg, int fd, int events)
{
  struct ask *k = arg;
  uint8_t data[4096];
  ssize_t n = recv (fd, data, sizeof data, MSG_DONTWAIT);
  size_t sent = k->query.len - 11; /* the question as asked stands before the OPT record */
  (void) events;
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n < 0) { /* refused, unreachable: the next one */
    next_try (k);
    return;
  }
  /* Only an answer to this very question; anything else may be forged. */
  if ((size_t) n < sent || data[0] != (k->id >> 8) || data[1] != (k->id & 0xff) || !(data[2] & 0x80) || data[4] || data[5] != 1
      || memcmp (data + 12, k->query.data + 12, sent - 12) != 0)
    return;
  finish (k, data, (size_t) n);
}

static void
next_try (void *arg)
{
  struct ask *k = arg;
  struct dns_forward *f = k->f;
  stop_try (k);
  while (k->tries < f->n * ROUNDS) {
    const struct upstream *u = &f->upstreams[(f->first + k->tries++) % f->n];
    k->fd = socket (u->sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->fd >= 0 && connect (k->fd, (const struct sockaddr *) &u->sa, u->len) == 0
        && send (k->fd, k->query.data, k->query.len, 0) == (ssize_t) k->query.len && (k->watch = loop_watch_fd (f->loop, k->fd, LOOP_READ, readable, k))) {
      loop_timer_set (k->timer, TRY_MS);
      return;
    }
    stop_try (k);
  }
  finish (k, NULL, 0);
}

void
dns_forward_ask (struct dns_forward *f, const char *name, uint16_t type, dns_forward_cb cb, void *arg)
{
  struct ask *k = f->n && f->n_asks < DNS_FORWARDS_MAX ? mem_zalloc (sizeof *k) : NULL;
  if (!k || getrandom (&k->id, sizeof k->id, 0) != sizeof k->id) {
    free (k);
    cb (arg, NULL, 0);
    return;
  }
  k->f = f;
  k->fd = -1;
  k->cb = cb;
  k->arg = arg;
  k->next = f->asks;
  if (k->next)
    k->next->prev = k;
  f->asks = k;
  f->n_asks++;
  dns_query_write (k->id, name, type, &k->query);
  k->timer = loop_timer_new (f->loop, next_try, k);
  if (k->query.failed || !k->timer)
    finish (k, NULL, 0);
  else
    next_try (k);
}
