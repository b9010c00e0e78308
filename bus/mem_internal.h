#ifndef BUS_MEM_INTERNAL_H
#define BUS_MEM_INTERNAL_H

#include "bus/bus_internal.h"
#include "bus/mem.h"

struct mem_event { /* in the heap by (at_ns, serial) */
  int64_t at_ns;
  uint64_t serial;
  loop_cb run;     /* NULL: cancelled */
  void (*drop) (void *arg); /* frees arg when the network ends first; may be NULL */
  void *arg;
};
struct bus_mem_network {
  uint64_t random_state, serial, next_port;
  int64_t now_ns;
  struct mem_event **heap;
  size_t n_heap, cap_heap;
  struct map *ports; /* id in hexadecimal -> struct mem_port */
  struct mem_port *first_port;
  struct map *cuts;  /* "a|b", a < b */
  struct bus_mem_faults faults;
  size_t buses;
  bool owns_clock;
  struct loop_timer *drive;
  mono_t drive_start;
  int64_t drive_base_ns;
};
struct mem_bus {
  struct bus base;
  struct bus_mem_network *network;
  struct peer *self;
};

/* NULL: out of memory, arg dropped. */
struct mem_event *mem_schedule (struct bus_mem_network *n, int64_t delay_ns, loop_cb run, void (*drop) (void *arg), void *arg);
bool mem_is_cut (const struct bus_mem_network *n, const char *a, const char *b);
bool mem_chance (struct bus_mem_network *n, uint32_t in_a_million);
void mem_cut_changed (struct bus_mem_network *n);

struct port *mem_port_open (struct bus *b, enum port_kind kind, const char *address, const char *server_name,
                            const struct port_handler *h, void *arg, struct err *err);
int mem_port_send (struct port *p, const void *route, size_t route_len, const struct bus_frame *f, size_t n);
void mem_port_filter (struct port *p, const char *stream, bool on);
void mem_port_close (struct port *p);

#endif
