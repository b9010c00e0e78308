/* One SUB port to one member at a time, and a client of all members for snapshots and catch-up. Sequences are the same on
   every member, so that a subscription goes on at the next one. */
#include "bus/source_internal.h"

enum { FIRST_MEMBER_MS = 1000, FAILOVER_MS = 300 };

static void
source_enter (struct bus_source *s)
{
  s->depth++;
}

void
source_leave (struct bus_source *s)
{
  if (--s->depth)
    return;
  source_sweep (s);
  if (!s->freed)
    return;
  map_free (s->topics);
  free (s->members);
  free (s);
}

static void
on_message (void *arg, struct peer *from, const void *route, size_t route_len, const struct bus_frame *f, size_t n)
{
  struct bus_source *s = arg;
  struct topic *t;
  const uint8_t *head;
  uint64_t seq;
  (void) from;
  (void) route;
  (void) route_len;
  if (n != 3 || !f[0].len || f[1].len != BUS_HEADER_SIZE || !(t = map_get_n (s->topics, f[0].data, f[0].len - 1)))
    return;
  head = f[1].data;
  seq = be64_load (head + 1);
  source_enter (s);
  for (struct bus_subscription *sub = t->subscriptions; sub; sub = sub->next) {
    if (head[0] == BUS_KIND_CHANGE)
      sub_recovery_change (&sub->recovery, seq, f[2].data, f[2].len);
    else if (head[0] == BUS_KIND_PROGRESS && f[2].len == 8)
      sub_recovery_progress (&sub->recovery, seq, be64_load (f[2].data));
  }
  source_leave (s);
}

static void
on_answer (void *arg, const char *stream, bool allowed)
{
  struct bus_source *s = arg;
  struct topic *t = map_get (s->topics, stream);
  if (!t)
    return;
  t->confirmed = allowed;
  source_enter (s);
  for (struct bus_subscription *sub = t->subscriptions; sub; sub = sub->next)
    sub_recovery_answer (&sub->recovery, allowed);
  source_leave (s);
}

static void
on_state (void *arg, bool up)
{
  struct bus_source *s = arg;
  const char *stream;
  void *value;
  s->up = up;
  if (up)
    s->bus->vt->timer_cancel (s->failover);
  else if (s->n > 1)
    s->bus->vt->timer_set (s->failover, FAILOVER_MS);
  source_enter (s);
  for (size_t it = 0; map_next (s->topics, &it, &stream, &value);) {
    struct topic *t = value;
    t->confirmed = false;
    for (struct bus_subscription *sub = t->subscriptions; sub; sub = sub->next)
      sub_recovery_link (&sub->recovery, up);
  }
  source_leave (s);
}

static const struct port_handler handler = {.message = on_message, .answer = on_answer, .state = on_state};

static int
open_member (struct bus_source *s, struct err *err)
{
  struct endpoint *e = &s->members[s->current];
  const char *stream;
  void *value;
  if (!(s->port = s->bus->vt->open (s->bus, PORT_SUBSCRIBER, e->address, e->name, &handler, s, err)))
    return err_wrap (err, "subscribe at %s@%s", e->name, e->address);
  for (size_t it = 0; map_next (s->topics, &it, &stream, &value);) {
    ((struct topic *) value)->confirmed = false;
    s->bus->vt->filter (s->port, stream, true);
  }
  if (s->n > 1)
    s->bus->vt->timer_set (s->failover, FIRST_MEMBER_MS);
  return 0;
}

static void
on_failover (void *arg)
{
  struct bus_source *s = arg;
  if (s->port)
    s->bus->vt->close (s->port);
  s->port = NULL;
  s->current = (s->current + 1) % s->n;
  if (open_member (s, NULL)) /* the endpoint was good before: out of sockets or memory; the next member after a while */
    s->bus->vt->timer_set (s->failover, FIRST_MEMBER_MS);
}

struct bus_source *
bus_source_new (struct bus *b, const char *const *server_endpoints, const char *const *publisher_endpoints, size_t n, struct err *err)
{
  struct bus_source *s = NULL;
  if (!n || n > BUS_ENDPOINTS_MAX) {
    err_set (err, ERR_INVALID, "%zu members (1 to %d)", n, BUS_ENDPOINTS_MAX);
    return NULL;
  }
  if (!(s = mem_zalloc (sizeof *s))) {
    err_set (err, ERR_NOMEM, "source");
    return NULL;
  }
  s->bus = b;
  s->n = n;
  s->next = b->sources;
  b->sources = s;
  if (!(s->topics = map_new (free)) || !(s->members = mem_zalloc (n * sizeof *s->members)) ||
      !(s->failover = b->vt->timer_new (b, on_failover, s))) {
    err_set (err, ERR_NOMEM, "source");
    goto fail;
  }
  for (size_t i = 0; i < n; i++)
    if (endpoint_parse (publisher_endpoints[i], &s->members[i], err))
      goto fail;
  s->current = b->vt->random (b) % n; /* subscribers spread over the members */
  if (!(s->client = bus_client_new (b, server_endpoints, n, err)) || open_member (s, err))
    goto fail;
  return s;
fail:
  bus_source_free (s);
  return NULL;
}

void
bus_source_free (struct bus_source *s)
{
  struct bus_source **at;
  const char *stream;
  void *value;
  if (!s || s->freed)
    return;
  for (at = &s->bus->sources; *at != s; at = &(*at)->next)
    ;
  *at = s->next;
  source_enter (s);
  s->freed = true;
  if (s->topics)
    for (size_t it = 0; map_next (s->topics, &it, &stream, &value);)
      for (struct bus_subscription *sub = ((struct topic *) value)->subscriptions; sub; sub = sub->next)
        bus_subscription_free (sub);
  if (s->port)
    s->bus->vt->close (s->port);
  s->port = NULL;
  bus_client_free (s->client);
  s->client = NULL;
  s->bus->vt->timer_free (s->failover);
  s->failover = NULL;
  source_leave (s);
}
