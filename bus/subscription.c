#include "bus/source_internal.h"

enum { QUERY_DEADLINE_MS = 10000 };

static void on_page (void *arg, const struct err *err, const uint8_t *body, size_t len);

/* ---- queries, at most SOURCE_QUERIES_MAX at a time ---- */
static void
wait_remove (struct bus_subscription *sub)
{
  struct bus_source *s = sub->source;
  if (!sub->waiting)
    return;
  *(sub->wait_prev ? &sub->wait_prev->wait_next : &s->wait_head) = sub->wait_next;
  *(sub->wait_next ? &sub->wait_next->wait_prev : &s->wait_tail) = sub->wait_prev;
  sub->wait_prev = sub->wait_next = NULL;
  sub->waiting = false;
}

static void
wait_append (struct bus_subscription *sub)
{
  struct bus_source *s = sub->source;
  sub->waiting = true;
  sub->wait_prev = s->wait_tail;
  *(s->wait_tail ? &s->wait_tail->wait_next : &s->wait_head) = sub;
  s->wait_tail = sub;
}

static void
send_query (struct bus_subscription *sub)
{
  struct bus_source *s = sub->source;
  AUTO_BUF struct buf body = BUF_INIT;
  struct bus_call call = {.method = sub->query_changes ? STREAM_CHANGES_METHOD : STREAM_SNAPSHOT_METHOD,
                          .deadline_ms = QUERY_DEADLINE_MS};
  stream_query_pack (sub->query, sub->query_changes, &body);
  call.body = body.data;
  call.len = body.len;
  s->queries++;
  sub->call = bus_call (s->client, &call, on_page, sub); /* out of memory: the empty body is refused and asked again */
}

static void
send_waiting (struct bus_source *s)
{
  while (!s->freed && s->wait_head && s->queries < SOURCE_QUERIES_MAX) {
    struct bus_subscription *sub = s->wait_head;
    wait_remove (sub);
    send_query (sub);
  }
}

static void
on_page (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct bus_subscription *sub = arg;
  struct bus_source *s = sub->source;
  s->queries--;
  sub->call = 0;
  s->depth++;
  sub_recovery_page (&sub->recovery, err, body, len);
  if (!s->freed)
    send_waiting (s);
  source_leave (s);
}

static void
ask (void *arg, const struct stream_query *q, bool changes)
{
  struct bus_subscription *sub = arg;
  *sub->query = *q;
  sub->query_changes = changes;
  wait_append (sub);
  /* Not from here: a call that fails at once would come back into the recovery. */
  sub->source->bus->vt->timer_set (sub->timer, 0);
}

static void
set_timer (void *arg, int64_t ms)
{
  struct bus_subscription *sub = arg;
  if (ms < 0)
    sub->source->bus->vt->timer_cancel (sub->timer);
  else
    sub->source->bus->vt->timer_set (sub->timer, ms);
}

static const struct sub_recovery_ops ops = {.ask = ask, .timer = set_timer};

static void
on_timer (void *arg)
{
  struct bus_subscription *sub = arg;
  struct bus_source *s = sub->source;
  s->depth++;
  if (sub->waiting)
    send_waiting (s);
  else
    sub_recovery_timeout (&sub->recovery);
  source_leave (s);
}

/* ---- life ---- */
static void
release (struct bus_subscription *sub)
{
  sub_recovery_done (&sub->recovery);
  sub->source->bus->vt->timer_free (sub->timer);
  free (sub->query);
  free (sub);
}

void
source_sweep (struct bus_source *s)
{
  struct bus_subscription *sub, **at;
  while ((sub = s->freed_list)) {
    struct topic *t = sub->topic;
    s->freed_list = sub->wait_next;
    for (at = &t->subscriptions; *at != sub; at = &(*at)->next)
      ;
    *at = sub->next;
    if (!t->subscriptions) {
      if (s->port)
        s->bus->vt->filter (s->port, sub->recovery.stream, false);
      (void) map_delete (s->topics, sub->recovery.stream);
    }
    release (sub);
  }
}

void
bus_subscription_free (struct bus_subscription *sub)
{
  struct bus_source *s;
  if (!sub || sub->freed)
    return;
  s = sub->source;
  sub->freed = true;
  sub_recovery_stop (&sub->recovery);
  wait_remove (sub);
  if (sub->call) {
    bus_cancel (s->client, sub->call);
    s->queries--;
    sub->call = 0;
  }
  sub->wait_next = s->freed_list;
  s->freed_list = sub;
  s->depth++;
  source_leave (s);
}

struct bus_subscription *
bus_subscribe (struct bus_source *s, const char *stream, uint64_t after_revision, const struct bus_subscriber *cb, void *arg,
               struct err *err)
{
  struct bus_subscription *sub = mem_zalloc (sizeof *sub);
  struct topic *t = NULL;
  bool fresh = false;
  if (!sub || !(sub->query = mem_zalloc (sizeof *sub->query)))
    goto nomem;
  sub->source = s;
  if (sub_recovery_init (&sub->recovery, stream, after_revision, &ops, sub, cb, arg, err))
    goto fail;
  if (!(sub->timer = s->bus->vt->timer_new (s->bus, on_timer, sub)))
    goto nomem;
  if (!(t = map_get (s->topics, stream))) {
    if (!(t = mem_zalloc (sizeof *t)) || map_set (s->topics, stream, t)) {
      free (t);
      goto nomem;
    }
    fresh = true;
  }
  sub->topic = t;
  sub->next = t->subscriptions;
  t->subscriptions = sub;
  sub->recovery.linked = s->up;
  sub_recovery_start (&sub->recovery);
  if (fresh && s->port)
    s->bus->vt->filter (s->port, stream, true);
  else if (t->confirmed)
    s->bus->vt->timer_set (sub->timer, 0);
  return sub;
nomem:
  err_set (err, ERR_NOMEM, "subscription");
fail:
  if (sub) {
    sub_recovery_done (&sub->recovery);
    if (sub->source)
      s->bus->vt->timer_free (sub->timer);
    free (sub->query);
  }
  free (sub);
  return NULL;
}
