/* ZeroMQ under the vtable: the sockets of a bus in one context, each pumped from the bus's loop; the known peers; ZAP. */
#ifndef BUS_ZMQ_INTERNAL_H
#define BUS_ZMQ_INTERNAL_H

#include <zmq.h>

#include "bus/bus_internal.h"

enum { KEY_TEXT_SIZE = 41 /* Z85 */ };
#define ZAP_DOMAIN "kubus"
#define ZAP_KEY_PROPERTY "Curve-Key"

/* One ZeroMQ socket in the loop. ZMQ_FD is edge-triggered and its edge is consumed by sends as well as receives, so
   there is one rule: whoever has used the socket calls pump_check, and the pump reads until ZMQ_EVENTS says nothing is left. */
struct pump {
  struct loop *loop;
  void *socket;
  void (*readable) (void *arg); /* receives one message with ZMQ_DONTWAIT; may close the pump */
  void *arg;
  struct loop_watch *watch;
  struct loop_timer *again; /* zero delay: goes on after a batch, or after a send that took the edge */
  bool *closed;             /* set for a running pump when it is closed beneath it */
};
int pump_open (struct pump *p, struct loop *loop, void *socket, void (*readable) (void *arg), void *arg, struct err *err);
void pump_check (struct pump *p);
void pump_close (struct pump *p); /* the socket stays; a pump that was never opened is fine */

/* Peers from known_dir, by key and by name. */
struct known {
  struct loop *loop;
  char *dir;
  struct map *by_key;  /* Z85 text -> struct known_peer */
  struct map *by_name; /* the same */
  int inotify_fd;
  struct loop_watch *watch;
  struct loop_timer *settle;
  void (*changed) (void *arg); /* after the maps were replaced; the removed have peer->gone set */
  void *arg;
};
struct known_peer {
  char key[KEY_TEXT_SIZE];
  int64_t mtime_ns;
  uint64_t inode, size;
  struct peer *peer;
};
int known_open (struct known *k, struct loop *loop, const char *dir, void (*changed) (void *arg), void *arg, struct err *err);
void known_close (struct known *k);
struct peer *known_by_key (const struct known *k, const char *key); /* borrowed; NULL */
const char *known_key (const struct known *k, const char *name);    /* borrowed; NULL */

struct zap {
  struct known *known;
  void *socket;
  struct pump pump;
};
int zap_open (struct zap *z, struct loop *loop, void *ctx, struct known *known, struct err *err);
void zap_close (struct zap *z);

struct zmq_port;
struct zmq_bus {
  struct bus base;
  void *ctx;
  char public_key[KEY_TEXT_SIZE], secret_key[KEY_TEXT_SIZE];
  char *name; /* own identity, from the certificate's metadata */
  struct known known;
  struct zap zap;
  struct zmq_port *ports;
  uint64_t random_state;
};

struct port *zmq_port_open (struct bus *b, enum port_kind kind, const char *address, const char *server_name,
                            const struct port_handler *h, void *arg, struct err *err);
int zmq_port_send (struct port *p, const void *route, size_t route_len, const struct bus_frame *f, size_t n);
void zmq_port_filter (struct port *p, const char *stream, bool on);
void zmq_port_close (struct port *p);
void zmq_ports_known_changed (struct zmq_bus *b);

int zmq_failed (struct err *err, const char *what); /* from zmq_errno () */

#endif
