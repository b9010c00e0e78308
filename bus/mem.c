/* The network's clock, events, timers and faults; ports are in mem_port.c. */
#include "bus/mem.h"

#include "bus/mem_internal.h"

#define EPOCH_US 1767225600000000 /* 2026-01-01T00:00:00Z */
enum { DRIVE_MS = 1 };

/* ---- events ---- */
static bool
before (const struct mem_event *a, const struct mem_event *b)
{
  return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->serial < b->serial;
}

static void
sift_up (struct mem_event **h, size_t i)
{
  for (; i && before (h[i], h[(i - 1) / 2]); i = (i - 1) / 2) {
    struct mem_event *e = h[i];
    h[i] = h[(i - 1) / 2];
    h[(i - 1) / 2] = e;
  }
}

static void
sift_down (struct mem_event **h, size_t n)
{
  for (size_t i = 0, child; (child = 2 * i + 1) < n; i = child) {
    struct mem_event *e = h[i];
    child += child + 1 < n && before (h[child + 1], h[child]);
    if (!before (h[child], e))
      break;
    h[i] = h[child];
    h[child] = e;
  }
}

struct mem_event *
mem_schedule (struct bus_mem_network *n, int64_t delay_ns, loop_cb run, void (*drop) (void *arg), void *arg)
{
  struct mem_event *e = mem_zalloc (sizeof *e);
  if (e && n->n_heap == n->cap_heap) {
    size_t cap = n->cap_heap ? 2 * n->cap_heap : 64;
    struct mem_event **heap = realloc (n->heap, cap * sizeof *heap);
    if (!heap) {
      free (e);
      e = NULL;
    } else {
      n->heap = heap;
      n->cap_heap = cap;
    }
  }
  if (!e) {
    if (drop)
      drop (arg);
    return NULL;
  }
  *e = (struct mem_event){.at_ns = n->now_ns + (delay_ns > 0 ? delay_ns : 0), .serial = n->serial++, .run = run, .drop = drop, .arg = arg};
  n->heap[n->n_heap++] = e;
  sift_up (n->heap, n->n_heap - 1);
  return e;
}

bool
bus_mem_step (struct bus_mem_network *n)
{
  while (n->n_heap) {
    struct mem_event e = *n->heap[0];
    free (n->heap[0]);
    n->heap[0] = n->heap[--n->n_heap];
    sift_down (n->heap, n->n_heap);
    if (!e.run)
      continue;
    n->now_ns = e.at_ns;
    e.run (e.arg);
    return true;
  }
  return false;
}

void
bus_mem_run (struct bus_mem_network *n, int64_t ms)
{
  int64_t end = n->now_ns + ms * 1000000;
  while (n->n_heap && n->heap[0]->at_ns <= end)
    (void) bus_mem_step (n);
  if (n->now_ns < end)
    n->now_ns = end;
}

int
bus_mem_after (struct bus_mem_network *n, int64_t delay_ms, loop_cb cb, void *arg)
{
  return mem_schedule (n, delay_ms * 1000000, cb, NULL, arg) ? 0 : ERR_NOMEM;
}

/* ---- timers ---- */
struct bus_timer {
  struct bus_mem_network *network;
  struct mem_event *event; /* NULL: not set */
  loop_cb cb;
  void *arg;
};

static struct bus_timer *
timer_new (struct bus *b, loop_cb cb, void *arg)
{
  struct bus_timer *t = mem_zalloc (sizeof *t);
  if (t)
    *t = (struct bus_timer){.network = ((struct mem_bus *) b)->network, .cb = cb, .arg = arg};
  return t;
}

static void
timer_fired (void *arg)
{
  struct bus_timer *t = arg;
  t->event = NULL;
  t->cb (t->arg);
}

static void
timer_cancel (struct bus_timer *t)
{
  if (t->event)
    t->event->run = NULL;
  t->event = NULL;
}

static void
timer_set (struct bus_timer *t, int64_t delay_ms)
{
  timer_cancel (t);
  t->event = mem_schedule (t->network, delay_ms * 1000000, timer_fired, NULL, t);
  REQUIRE (t->event); /* the vtable's timers do not fail; under test memory for an event is there */
}

static void
timer_free (struct bus_timer *t)
{
  if (!t)
    return;
  timer_cancel (t);
  free (t);
}

/* ---- the bus ---- */
static mono_t
now (struct bus *b)
{
  return bus_mem_now (((struct mem_bus *) b)->network);
}

static uint64_t
next_random (struct bus *b)
{
  return bus_mem_random (((struct mem_bus *) b)->network);
}

static void
step (struct bus *b, int timeout_ms)
{
  struct bus_mem_network *n = ((struct mem_bus *) b)->network;
  (void) timeout_ms;
  if (n->drive)
    loop_step (b->loop, timeout_ms);
  else
    (void) bus_mem_step (n);
}

static void
mem_bus_free (struct bus *b)
{
  struct mem_bus *m = (struct mem_bus *) b;
  m->network->buses--;
  peer_unref (m->self);
  free (m);
}

static const struct bus_vtable vtable = {
  .open = mem_port_open,
  .send = mem_port_send,
  .filter = mem_port_filter,
  .close = mem_port_close,
  .timer_new = timer_new,
  .timer_set = timer_set,
  .timer_cancel = timer_cancel,
  .timer_free = timer_free,
  .now = now,
  .random = next_random,
  .step = step,
  .free = mem_bus_free,
};

struct bus *
bus_mem_new (struct bus_mem_network *n, struct loop *loop, const char *name, const char *user, const char *groups, struct err *err)
{
  struct mem_bus *m = mem_zalloc (sizeof *m);
  if (!m || !(m->self = peer_new (name, user, groups))) {
    free (m);
    err_set (err, ERR_NOMEM, "bus");
    return NULL;
  }
  m->base.vt = &vtable;
  m->base.loop = loop;
  m->network = n;
  n->buses++;
  return &m->base;
}

/* ---- the network ---- */
struct bus_mem_network *
bus_mem_network_new (uint64_t seed)
{
  struct bus_mem_network *n = mem_zalloc (sizeof *n);
  if (!n || !(n->ports = map_new (NULL)) || !(n->cuts = map_new (NULL))) {
    bus_mem_network_free (n);
    return NULL;
  }
  n->random_state = seed;
  n->next_port = 1;
  bus_mem_set_faults (n, &(struct bus_mem_faults){0});
  return n;
}

void
bus_mem_network_free (struct bus_mem_network *n)
{
  if (!n)
    return;
  REQUIRE (!n->buses);
  for (size_t i = 0; i < n->n_heap; i++) {
    if (n->heap[i]->run && n->heap[i]->drop)
      n->heap[i]->drop (n->heap[i]->arg);
    free (n->heap[i]);
  }
  if (n->owns_clock)
    clock_set_source (NULL);
  loop_timer_free (n->drive);
  map_free (n->ports);
  map_free (n->cuts);
  free (n->heap);
  free (n);
}

void
bus_mem_set_faults (struct bus_mem_network *n, const struct bus_mem_faults *faults)
{
  n->faults = *faults;
  if (!n->faults.delay_max_us) {
    n->faults.delay_min_us = 100;
    n->faults.delay_max_us = 1000;
  }
  if (!n->faults.reorder_max_us)
    n->faults.reorder_max_us = 50000;
}

static void
cut_key (const char *a, const char *b, char out[2 * BUS_NAME_MAX + 2])
{
  bool first = strcmp (a, b) < 0;
  (void) snprintf (out, 2 * BUS_NAME_MAX + 2, "%s|%s", first ? a : b, first ? b : a);
}

void
bus_mem_cut (struct bus_mem_network *n, const char *name, const char *other, bool cut)
{
  static char present[] = "x";
  char key[2 * BUS_NAME_MAX + 2];
  cut_key (name, other, key);
  if (cut)
    REQUIRE (!map_set (n->cuts, key, present));
  else
    (void) map_delete (n->cuts, key);
  mem_cut_changed (n);
}

bool
mem_is_cut (const struct bus_mem_network *n, const char *a, const char *b)
{
  char key[2 * BUS_NAME_MAX + 2];
  if (!map_count (n->cuts))
    return false;
  cut_key (a, b, key);
  return map_get (n->cuts, key);
}

mono_t
bus_mem_now (const struct bus_mem_network *n)
{
  return (mono_t){n->now_ns};
}

uint64_t
bus_mem_random (struct bus_mem_network *n)
{
  uint64_t v = (n->random_state += 0x9e3779b97f4a7c15u); /* splitmix64 */
  v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
  v = (v ^ v >> 27) * 0x94d049bb133111ebu;
  return v ^ v >> 31;
}

bool
mem_chance (struct bus_mem_network *n, uint32_t in_a_million)
{
  return in_a_million && bus_mem_random (n) % 1000000 < in_a_million;
}

static mono_t
own_mono (void *arg)
{
  return bus_mem_now (arg);
}

static wall_t
own_wall (void *arg)
{
  return (wall_t){EPOCH_US + bus_mem_now (arg).ns / 1000};
}

void
bus_mem_own_clock (struct bus_mem_network *n)
{
  n->owns_clock = true;
  clock_set_source (&(struct clock_source){own_mono, own_wall, n});
}

static void
on_drive (void *arg)
{
  struct bus_mem_network *n = arg;
  int64_t ms = (mono_now ().ns - n->drive_start.ns - (n->now_ns - n->drive_base_ns)) / 1000000;
  loop_timer_set (n->drive, DRIVE_MS);
  if (ms > 0)
    bus_mem_run (n, ms);
}

int
bus_mem_drive (struct bus_mem_network *n, struct loop *loop, struct err *err)
{
  REQUIRE (!n->owns_clock && !n->drive);
  if (!(n->drive = loop_timer_new (loop, on_drive, n)))
    return err_set (err, ERR_NOMEM, "network");
  n->drive_start = mono_now ();
  n->drive_base_ns = n->now_ns;
  loop_timer_set (n->drive, 0);
  return 0;
}
