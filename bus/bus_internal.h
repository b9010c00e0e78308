/* What the parts of bus/ share: the vtable that ZeroMQ (zmq*.c) and the in-memory network (mem.c) fill, and the objects
   above it, which know neither: client.c, server.c, publisher.c, source.c, subscription.c.

   A port is one end of a connection or of a listening address. Frames are borrowed for the call in both directions. A
   port may be closed from within its own callbacks. State and message callbacks never come from inside send, filter or open.

   On the wire a publication is [stream NUL] [kind, sequence big-endian] [packed change, or revision big-endian]. */
#ifndef BUS_BUS_INTERNAL_H
#define BUS_BUS_INTERNAL_H

#include "base/map.h"
#include "base/mem.h"
#include "bus/bus.h"

enum {
  BUS_FRAMES_MAX = 3,
  BUS_ROUTE_MAX = 32,
  BUS_STREAM_MAX = 1024,
  BUS_ADDRESS_MAX = 256,
  BUS_ENDPOINTS_MAX = 32,
  BUS_HEADER_SIZE = 9,
};
enum { BUS_KIND_CHANGE = 'c', BUS_KIND_PROGRESS = 'p' };

/* A known peer, reference counted: requests outlive its removal. */
struct peer {
  uint32_t refs;
  struct bus_peer p;
  bool gone;            /* no longer known: it gets nothing any more */
  uint32_t requests;    /* that wait for a reply */
  char *text;           /* backs p */
  const char *list[65]; /* p.groups */
};
/* groups: comma separated, or NULL. NULL: out of memory, or more than 64 groups. */
struct peer *peer_new (const char *name, const char *user, const char *groups);
struct peer *peer_ref (struct peer *p);
void peer_unref (struct peer *p);

struct bus_frame {
  const void *data;
  size_t len;
};

enum port_kind { PORT_SERVER, PORT_CLIENT, PORT_PUBLISHER, PORT_SUBSCRIBER };
struct port_handler {
  /* SERVER: from a known peer, with the route of the answer. CLIENT, SUBSCRIBER: from and route are NULL. */
  void (*message) (void *arg, struct peer *from, const void *route, size_t route_len, const struct bus_frame *f, size_t n);
  void (*state) (void *arg, bool up);                                    /* CLIENT, SUBSCRIBER: connected and let in, or not */
  bool (*allow) (void *arg, struct peer *from, const char *stream);      /* PUBLISHER */
  void (*interest) (void *arg, const char *stream, bool begins);         /* PUBLISHER: one subscriber more or less */
  void (*reopened) (void *arg);                                          /* PUBLISHER: all subscribers are gone */
  void (*answer) (void *arg, const char *stream, bool allowed);          /* SUBSCRIBER: the publisher took or refused it */
};
struct port {
  struct bus *bus;
  enum port_kind kind;
  const struct port_handler *handler;
  void *arg;
};

struct bus_timer;
struct bus_vtable {
  /* address to bind, or to connect to, where server_name must answer. */
  struct port *(*open) (struct bus *b, enum port_kind kind, const char *address, const char *server_name,
                        const struct port_handler *h, void *arg, struct err *err);
  /* 0, ERR_UNAVAILABLE (not connected), ERR_BUSY (full). To a peer that went away: dropped. */
  int (*send) (struct port *p, const void *route, size_t route_len, const struct bus_frame *f, size_t n);
  void (*filter) (struct port *p, const char *stream, bool on);
  void (*close) (struct port *p);
  struct bus_timer *(*timer_new) (struct bus *b, loop_cb cb, void *arg);
  void (*timer_set) (struct bus_timer *t, int64_t delay_ms);
  void (*timer_cancel) (struct bus_timer *t);
  void (*timer_free) (struct bus_timer *t); /* NULL allowed */
  mono_t (*now) (struct bus *b);
  uint64_t (*random) (struct bus *b);
  void (*step) (struct bus *b, int timeout_ms); /* for bus_call_sync */
  void (*free) (struct bus *b);                 /* every port and timer is closed already */
};

struct bus {
  const struct bus_vtable *vt;
  struct loop *loop;
  struct bus_client *clients;
  struct bus_server *servers;
  struct bus_publisher *publishers;
  struct bus_source *sources;
};

struct endpoint {
  char name[BUS_NAME_MAX + 1];
  char address[BUS_ADDRESS_MAX];
};
int endpoint_parse (const char *text, struct endpoint *ret, struct err *err);
/* min..max with the upper half of it random: 2^tries * min, at most max. */
int64_t backoff_ms (struct bus *b, unsigned tries, int64_t min_ms, int64_t max_ms);

#endif
