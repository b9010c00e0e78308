#include "bus/bus_internal.h"

enum { STREAMS_MAX = 1 << 20 };

struct interest { /* a stream that somebody subscribed to */
  uint64_t subscribers;
  uint64_t seq; /* last published since then; 0: none, which tells a caught-up subscriber as much */
};

struct bus_publisher {
  struct bus *bus;
  struct bus_publisher *next;
  struct port *port;
  struct map *streams;
  bus_authorise_cb cb;
  void *arg;
};

static bool
on_allow (void *arg, struct peer *from, const char *stream)
{
  struct bus_publisher *p = arg;
  return map_count (p->streams) < STREAMS_MAX && p->cb (p->arg, &from->p, stream);
}

static void
on_interest (void *arg, const char *stream, bool begins)
{
  struct bus_publisher *p = arg;
  struct interest *i = map_get (p->streams, stream);
  if (!begins) {
    if (i && !--i->subscribers)
      (void) map_delete (p->streams, stream);
    return;
  }
  if (!i) {
    if (map_count (p->streams) >= STREAMS_MAX || !(i = mem_zalloc (sizeof *i)))
      return;
    if (map_set (p->streams, stream, i)) {
      free (i);
      return;
    }
  }
  i->subscribers++;
}

static void
on_reopened (void *arg)
{
  struct bus_publisher *p = arg;
  const char *stream;
  void *value;
  for (size_t it = 0; map_next (p->streams, &it, &stream, &value);)
    (void) map_delete (p->streams, stream);
}

static const struct port_handler handler = {.allow = on_allow, .interest = on_interest, .reopened = on_reopened};

struct bus_publisher *
bus_publisher_open (struct bus *b, const char *address, bus_authorise_cb cb, void *arg, struct err *err)
{
  struct bus_publisher *p = mem_zalloc (sizeof *p);
  if (!p || !(p->streams = map_new (free))) {
    free (p);
    err_set (err, ERR_NOMEM, "publisher");
    return NULL;
  }
  p->bus = b;
  p->cb = cb;
  p->arg = arg;
  if (!(p->port = b->vt->open (b, PORT_PUBLISHER, address, NULL, &handler, p, err))) {
    err_wrap (err, "publish at %s", address);
    map_free (p->streams);
    free (p);
    return NULL;
  }
  p->next = b->publishers;
  b->publishers = p;
  return p;
}

void
bus_publisher_free (struct bus_publisher *p)
{
  struct bus_publisher **at;
  if (!p)
    return;
  for (at = &p->bus->publishers; *at != p; at = &(*at)->next)
    ;
  *at = p->next;
  p->bus->vt->close (p->port);
  map_free (p->streams);
  free (p);
}

static void
send_publication (struct bus_publisher *p, const char *stream, uint8_t kind, uint64_t seq, const void *data, size_t len)
{
  uint8_t head[BUS_HEADER_SIZE];
  struct bus_frame f[3] = {{stream, strlen (stream) + 1}, {head, sizeof head}, {data, len}};
  head[0] = kind;
  be64_store (head + 1, seq);
  (void) p->bus->vt->send (p->port, NULL, 0, f, 3); /* who does not keep up loses it and catches up */
}

void
bus_publish (struct bus_publisher *p, const char *stream, uint64_t seq, const void *packed, size_t len)
{
  struct interest *i = map_get (p->streams, stream);
  if (!i)
    return;
  i->seq = seq;
  send_publication (p, stream, BUS_KIND_CHANGE, seq, packed, len);
}

static void
send_progress (struct bus_publisher *p, const char *stream, uint64_t seq, uint64_t revision)
{
  uint8_t data[8];
  be64_store (data, revision);
  send_publication (p, stream, BUS_KIND_PROGRESS, seq, data, sizeof data);
}

void
bus_publish_progress (struct bus_publisher *p, const char *stream, uint64_t seq, uint64_t revision)
{
  const char *name;
  void *value;
  if (stream) {
    if ((value = map_get (p->streams, stream)))
      send_progress (p, stream, seq ? seq : ((struct interest *) value)->seq, revision);
    return;
  }
  for (size_t it = 0; map_next (p->streams, &it, &name, &value);)
    send_progress (p, name, ((struct interest *) value)->seq, revision);
}

void
bus_publisher_each (struct bus_publisher *p, void (*cb) (void *arg, const char *stream), void *arg)
{
  const char *name;
  void *value;
  for (size_t it = 0; map_next (p->streams, &it, &name, &value);)
    cb (arg, name);
}
