/* The frame of every kubus daemon: arguments -> configuration (-n checks and exits) -> open -> ready (sd_notify) -> loop ->
   orderly stop on SIGTERM or SIGINT. A daemon is one struct service and its option table. */
#ifndef SERVICES_COMMON_SERVICE_H
#define SERVICES_COMMON_SERVICE_H

#include "base/loop.h"
#include "bus/bus.h"
#include "services/common/api.h"

enum service_option_type { SERVICE_STRING, SERVICE_INT, SERVICE_BOOL, SERVICE_LIST /* comma separated: struct service_list */ };
struct service_list {
  const char *items[32];
  size_t count;
};
struct service_option { /* a table ends with a row whose name is NULL */
  const char *name;     /* --name=value or --name value */
  enum service_option_type type;
  size_t offset;        /* of a const char *, int64_t, bool or struct service_list in the configuration struct */
  const char *default_; /* text; "$DIR/..." is below --dir; NULL: zero or NULL */
  int64_t minimum, maximum; /* of SERVICE_INT, when minimum < maximum */
  const char *help;
};

/* What every daemon has, given to open. */
struct service_context {
  const char *service;  /* "kubus-scheduler" */
  const char *name;     /* --name: its identity on the bus; key file $DIR/bus/NAME.secret, known peers $DIR/bus/known */
  const char *dir;      /* --dir: state directory of the cluster, default $KUBUS_DIR or .kubus */
  struct loop *loop;
  struct bus *bus;            /* NULL unless want_bus */
  struct bus_source *source;  /* the store's streams (--store, --store-pub); NULL unless want_source */
  struct api_client *api;     /* --apiserver; NULL unless want_api */
  void *config;               /* filled from the option table */
};
struct service {
  const char *name;        /* program name */
  const char *default_identity; /* default of --name, "scheduler" */
  const char *help;        /* one line */
  const struct service_option *options;
  size_t config_size;
  bool want_bus, want_source, want_api;
  int (*check) (const void *config, struct err *err);   /* beyond the table; may be NULL */
  void *(*open) (struct service_context *ctx, struct err *err); /* NULL: failed, exit status 1 with err's text */
  void (*close) (void *self);
};
/* main () of a daemon; returns its exit status: 0, 1 failed, 2 wrong usage or configuration. Common options:
   --name --dir --log-level --store=NAME@ADDR,... --store-pub=... --apiserver=NAME@ADDR,... -n --help --version.
   READY=1 is sent when the loop first runs after open unless the daemon called service_hold_ready; the watchdog is fed
   from the loop. */
int service_main (int argc, char **argv, const struct service *service);
void service_hold_ready (struct service_context *ctx);
void service_ready (struct service_context *ctx);
/* Ends the daemon from inside, e.g. after a fatal error that was logged. */
void service_stop (struct service_context *ctx, int exit_status);

#endif
