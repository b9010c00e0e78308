/* A client keeps a port to every endpoint and sends a call to one of them at a time: the preferred one, else the next that
   is connected, else it waits. A try ends by a reply, by the connection's loss, or by its own timeout; a retryable end
   leads to the next try after a jittered backoff, until the call's deadline. All tries have one id and one idempotency
   key, so that the reply to an earlier try is as good. No callback is made from inside bus_call except for an error. */
#include <stdio.h>

#include "bus/bus_internal.h"
#include "bus/envelope.h"

enum {
  DEADLINE_DEFAULT_MS = 10000,
  TRY_MIN_MS = 250,
  TRY_MAX_MS = 3000,
  BACKOFF_MIN_MS = 10,
  BACKOFF_MAX_MS = 500,
  REDIRECTS_MAX = 3, /* in a row without a pause */
  BUCKETS = 1024,
  OUTSTANDING_BYTES_MAX = 256 << 20,
};

struct link {
  struct bus_client *client;
  struct port *port;
  struct endpoint endpoint;
  bool up;
};

enum call_state { CALL_WAITING /* for a link */, CALL_SENT, CALL_PAUSED, CALL_FAILED };
struct call {
  struct bus_client *client;
  struct call *hash_next, *prev, *next;
  uint64_t id;
  char *method, *trace, *idempotency;
  uint8_t *body;
  size_t len;
  uint64_t cause;
  mono_t deadline;
  int64_t try_ms;
  bool no_retry, was_sent;
  enum call_state state;
  int link, want; /* -1: none */
  unsigned tries, redirects;
  struct err last;
  struct bus_timer *timer;
  bus_reply_cb cb;
  void *arg;
};

struct bus_client {
  struct bus *bus;
  struct bus_client *next;
  struct link *links;
  size_t n, preferred;
  struct call *buckets[BUCKETS];
  struct call *calls, *last_call; /* in the order of their making, which sends after a wait keep */
  size_t n_calls, n_bytes;
  uint64_t next_id;
  bool closing;
};

static struct call **
slot_of (struct bus_client *c, uint64_t id)
{
  struct call **at = &c->buckets[id % BUCKETS];
  while (*at && (*at)->id != id)
    at = &(*at)->hash_next;
  return at;
}

static void
call_free (struct call *k)
{
  if (!k)
    return;
  k->client->bus->vt->timer_free (k->timer);
  free (k);
}

static void
unlink_call (struct call *k)
{
  struct bus_client *c = k->client;
  struct call **at = slot_of (c, k->id);
  *at = k->hash_next;
  *(k->prev ? &k->prev->next : &c->calls) = k->next;
  *(k->next ? &k->next->prev : &c->last_call) = k->prev;
  c->n_calls--;
  c->n_bytes -= k->len;
}

/* Last thing that a caller does with the call and its client: cb may free both. */
static void
finish (struct call *k, const struct err *err, const uint8_t *body, size_t len)
{
  bus_reply_cb cb = k->cb;
  void *arg = k->arg;
  struct err copy;
  if (err)
    copy = *err;
  unlink_call (k);
  call_free (k);
  cb (arg, err ? &copy : NULL, body, len);
}

static int64_t
remaining_ms (const struct call *k)
{
  int64_t ns = k->deadline.ns - k->client->bus->vt->now (k->client->bus).ns;
  return ns <= 0 ? 0 : (ns + 999999) / 1000000;
}

static void
arm (struct call *k, int64_t ms)
{
  int64_t left = remaining_ms (k);
  k->client->bus->vt->timer_set (k->timer, ms < left ? ms : left);
}

static int
choose_link (const struct call *k)
{
  const struct bus_client *c = k->client;
  if (k->want >= 0 && c->links[k->want].up)
    return k->want;
  for (size_t i = 0; i < c->n; i++) {
    size_t at = (c->preferred + i) % c->n;
    if (c->links[at].up)
      return (int) at;
  }
  return -1;
}

/* A try failed: waits for the next one. The end of a call that may not be retried comes from its timer, never from here. */
static void
try_failed (struct call *k, int64_t pause_ms)
{
  if (k->no_retry) {
    k->state = CALL_FAILED;
    arm (k, 0);
    return;
  }
  if (k->link >= 0 && k->want < 0) {
    k->want = (int) (((size_t) k->link + 1) % k->client->n);
    if (k->client->preferred == (size_t) k->link)
      k->client->preferred = (size_t) k->want;
  }
  k->state = CALL_PAUSED;
  k->link = -1;
  arm (k, pause_ms);
}

static void
send_try (struct call *k)
{
  struct bus_client *c = k->client;
  AUTO_BUF struct buf head = BUF_INIT;
  struct envelope e = {.type = ENVELOPE_REQUEST, .id = k->id, .method = k->method, .method_len = strlen (k->method),
                       .trace = k->trace, .trace_len = strlen (k->trace), .idempotency = k->idempotency,
                       .idempotency_len = strlen (k->idempotency), .remaining_ms = remaining_ms (k), .cause = k->cause};
  struct bus_frame f[2];
  int code;
  k->link = choose_link (k);
  k->want = -1;
  if (k->link < 0) {
    k->state = CALL_WAITING;
    arm (k, remaining_ms (k));
    return;
  }
  envelope_pack (&e, &head);
  f[0] = (struct bus_frame){head.data, head.len};
  f[1] = (struct bus_frame){k->body, k->len};
  code = head.failed ? ERR_NOMEM : c->bus->vt->send (c->links[k->link].port, NULL, 0, f, 2);
  k->tries++;
  if (code) {
    err_set (&k->last, code, "send to %s", c->links[k->link].endpoint.name);
    try_failed (k, backoff_ms (c->bus, k->tries, BACKOFF_MIN_MS, BACKOFF_MAX_MS));
    return;
  }
  k->state = CALL_SENT;
  k->was_sent = true;
  arm (k, k->no_retry ? remaining_ms (k) : k->try_ms);
}

static void
on_timer (void *arg)
{
  struct call *k = arg;
  struct err err;
  if (k->state == CALL_FAILED) {
    finish (k, &k->last, NULL, 0);
    return;
  }
  if (remaining_ms (k) <= 0) {
    if (k->last.code)
      finish (k, &k->last, NULL, 0);
    else {
      if (k->was_sent)
        err_set (&err, ERR_TIMEOUT, "%s: no answer in time", k->method);
      else
        err_set (&err, ERR_UNAVAILABLE, "%s: no endpoint reached in time (first: %s)", k->method, k->client->links[0].endpoint.name);
      finish (k, &err, NULL, 0);
    }
    return;
  }
  if (k->state == CALL_SENT)
    try_failed (k, 0); /* no answer: the next one, at once */
  else
    send_try (k);
}

static int
link_by_name (const struct bus_client *c, const char *name)
{
  for (size_t i = 0; i < c->n; i++)
    if (!strcmp (c->links[i].endpoint.name, name))
      return (int) i;
  return -1;
}

static void
on_error_reply (struct call *k, size_t link, const struct envelope *e)
{
  struct bus_client *c = k->client;
  int to;
  err_set (&k->last, e->code, "%.*s", (int) e->text_len, e->text);
  if (k->no_retry || !err_retryable (e->code)) {
    finish (k, &k->last, NULL, 0);
    return;
  }
  if (e->code == ERR_NOT_LEADER && (to = link_by_name (c, k->last.text)) >= 0 && to != (int) link) {
    k->want = to;
    c->preferred = (size_t) to;
    if (k->redirects++ < REDIRECTS_MAX) {
      try_failed (k, 0);
      return;
    }
  }
  k->redirects = 0;
  try_failed (k, backoff_ms (c->bus, k->tries, BACKOFF_MIN_MS, BACKOFF_MAX_MS));
}

static void
on_message (void *arg, struct peer *from, const void *route, size_t route_len, const struct bus_frame *f, size_t n)
{
  struct link *l = arg;
  struct bus_client *c = l->client;
  size_t link = (size_t) (l - c->links);
  struct envelope e;
  struct call *k;
  struct err err;
  (void) from;
  (void) route;
  (void) route_len;
  if (n != 2 || envelope_unpack (f[0].data, f[0].len, &e, &err) || e.type != ENVELOPE_REPLY || f[1].len > BUS_BODY_MAX)
    return; /* not an answer of this version: the try times out */
  if (!(k = *slot_of (c, e.id)))
    return; /* cancelled, or the second answer of a call that was retried */
  if (!e.code) {
    c->preferred = link;
    finish (k, NULL, f[1].data, f[1].len);
  } else if (k->state == CALL_SENT && k->link == (int) link) {
    on_error_reply (k, link, &e);
  }
}

static void
on_state (void *arg, bool up)
{
  struct link *l = arg;
  struct bus_client *c = l->client;
  int link = (int) (l - c->links);
  l->up = up;
  for (struct call *k = c->calls, *next; k; k = next) {
    next = k->next;
    if (up && k->state == CALL_WAITING)
      send_try (k);
    else if (!up && k->state == CALL_SENT && k->link == link) {
      err_set (&k->last, ERR_UNAVAILABLE, "connection to %s lost", l->endpoint.name);
      try_failed (k, 0);
    }
  }
}

static const struct port_handler handler = {.message = on_message, .state = on_state};

struct bus_client *
bus_client_new (struct bus *b, const char *const *endpoints, size_t n, struct err *err)
{
  struct bus_client *c = NULL;
  if (!n || n > BUS_ENDPOINTS_MAX) {
    err_set (err, ERR_INVALID, "%zu endpoints (1 to %d)", n, BUS_ENDPOINTS_MAX);
    return NULL;
  }
  if (!(c = mem_zalloc (sizeof *c)) || !(c->links = mem_zalloc (n * sizeof *c->links))) {
    free (c);
    err_set (err, ERR_NOMEM, "client");
    return NULL;
  }
  c->bus = b;
  c->next_id = 1;
  c->next = b->clients;
  b->clients = c;
  for (size_t i = 0; i < n; i++) {
    struct link *l = &c->links[i];
    l->client = c;
    if (endpoint_parse (endpoints[i], &l->endpoint, err))
      goto fail;
    if (!(l->port = b->vt->open (b, PORT_CLIENT, l->endpoint.address, l->endpoint.name, &handler, l, err))) {
      err_wrap (err, "connect to %s", endpoints[i]);
      goto fail;
    }
    c->n++;
  }
  return c;
fail:
  bus_client_free (c);
  return NULL;
}

void
bus_client_free (struct bus_client *c)
{
  struct err err;
  struct bus_client **at;
  if (!c)
    return;
  for (at = &c->bus->clients; *at != c; at = &(*at)->next)
    ;
  *at = c->next;
  c->closing = true;
  for (size_t i = 0; i < c->n; i++)
    c->bus->vt->close (c->links[i].port);
  err_set (&err, ERR_CLOSED, "client closed");
  while (c->calls)
    finish (c->calls, &err, NULL, 0);
  free (c->links);
  free (c);
}

static struct call *
call_new (struct bus_client *c, const struct bus_call *call)
{
  const char *trace = call->trace ? call->trace : "";
  char made_up[40];
  const char *idempotency = call->idempotency;
  size_t method_len = strlen (call->method) + 1, trace_len = strlen (trace) + 1, idempotency_len;
  struct call *k;
  char *at;
  if (!idempotency) {
    (void) snprintf (made_up, sizeof made_up, "%016llx%016llx", (unsigned long long) c->bus->vt->random (c->bus),
                     (unsigned long long) c->bus->vt->random (c->bus));
    idempotency = made_up;
  }
  idempotency_len = strlen (idempotency) + 1;
  if (!(k = mem_zalloc (sizeof *k + method_len + trace_len + idempotency_len + call->len + 1)))
    return NULL;
  at = (char *) (k + 1);
  k->method = memcpy (at, call->method, method_len);
  k->trace = memcpy (at += method_len, trace, trace_len);
  k->idempotency = memcpy (at += trace_len, idempotency, idempotency_len);
  at += idempotency_len;
  if (call->len)
    memcpy (at, call->body, call->len);
  k->body = (uint8_t *) at;
  k->len = call->len;
  return k;
}

static int
check_call (const struct bus_client *c, const struct bus_call *call, struct err *err)
{
  if (c->closing)
    return err_set (err, ERR_CLOSED, "client closed");
  if (!call->method || !call->method[0] || strlen (call->method) > ENVELOPE_METHOD_MAX ||
      (call->trace && strlen (call->trace) > ENVELOPE_TRACE_MAX) ||
      (call->idempotency && strlen (call->idempotency) > ENVELOPE_IDEMPOTENCY_MAX))
    return err_set (err, ERR_INVALID, "method, trace or idempotency key too long");
  if (call->len > BUS_BODY_MAX)
    return err_set (err, ERR_LIMIT, "%s: request of %zu bytes (at most %u)", call->method, call->len, BUS_BODY_MAX);
  if (c->n_calls >= BUS_CALLS_MAX || c->n_bytes + call->len > OUTSTANDING_BYTES_MAX)
    return err_set (err, ERR_BUSY, "%s: %zu calls outstanding", call->method, c->n_calls);
  return 0;
}

uint64_t
bus_call (struct bus_client *c, const struct bus_call *call, bus_reply_cb cb, void *arg)
{
  int64_t deadline_ms = call->deadline_ms > 0 ? call->deadline_ms : DEADLINE_DEFAULT_MS;
  struct call *k = NULL, **slot;
  struct err err;
  if (check_call (c, call, &err))
    goto fail;
  if (!(k = call_new (c, call)) || (k->client = c, !(k->timer = c->bus->vt->timer_new (c->bus, on_timer, k)))) {
    err_set (&err, ERR_NOMEM, "call");
    free (k);
    goto fail;
  }
  k->id = c->next_id++;
  k->cause = call->cause;
  k->no_retry = call->no_retry;
  k->deadline = (mono_t){c->bus->vt->now (c->bus).ns + deadline_ms * 1000000};
  k->try_ms = deadline_ms / 4 < TRY_MIN_MS ? TRY_MIN_MS : deadline_ms / 4 > TRY_MAX_MS ? TRY_MAX_MS : deadline_ms / 4;
  k->cb = cb;
  k->arg = arg;
  k->link = k->want = -1;
  slot = &c->buckets[k->id % BUCKETS];
  k->hash_next = *slot;
  *slot = k;
  k->prev = c->last_call;
  *(k->prev ? &k->prev->next : &c->calls) = k;
  c->last_call = k;
  c->n_calls++;
  c->n_bytes += k->len;
  send_try (k);
  return k->id;
fail:
  cb (arg, &err, NULL, 0);
  return 0;
}

void
bus_cancel (struct bus_client *c, uint64_t id)
{
  struct call *k = *slot_of (c, id);
  if (!k)
    return;
  unlink_call (k);
  call_free (k);
}

struct sync_call {
  bool done;
  struct buf *out;
  struct err err;
};

static void
sync_done (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct sync_call *s = arg;
  s->done = true;
  if (err)
    s->err = *err;
  else
    buf_append (s->out, body, len);
}

int
bus_call_sync (struct bus_client *c, const struct bus_call *call, struct buf *ret_body, struct err *err)
{
  AUTO_BUF struct buf out = BUF_INIT;
  struct sync_call s = {.out = &out};
  (void) bus_call (c, call, sync_done, &s);
  while (!s.done)
    c->bus->vt->step (c->bus, 1000);
  if (s.err.code) {
    if (err)
      *err = s.err;
    return s.err.code;
  }
  if (out.failed)
    return err_set (err, ERR_NOMEM, "reply");
  buf_done (ret_body);
  *ret_body = out;
  out = (struct buf) BUF_INIT;
  return 0;
}
