/* The launcher: a whole cluster's files (init.c) and processes (supervise.c) on one machine. */
#ifndef SERVICES_LAUNCHER_LAUNCHER_H
#define SERVICES_LAUNCHER_LAUNCHER_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

struct launcher {
  const char *dir;       /* absolute */
  const char *bin_dir;   /* where our programs lie */
  const char *node_name;
  const char *node_ip;   /* IPv4 or IPv6 text */
  const char *service_ip;/* of the "kubernetes" Service: first of the service range */
  int secure_port;
};

/* ---- components.c: what a cluster on one machine consists of, in the order of starting ---- */
struct component {
  const char *name;     /* of the process, its log and pid file, its identity on the bus */
  const char *program;
  const char *user;     /* Kubernetes user of its identity; "$NODE" stands for the node's name */
  const char *groups;   /* comma separated, "" none */
  const char *const *args; /* NULL-terminated; $DIR, $NODE, $IP, $PORT are replaced */
};
extern const struct component components[];
extern const size_t n_components;

/* ---- init.c ---- */
/* Makes what is missing of the cluster's keys, certificates, identities and kubeconfigs; never replaces what is there. */
int launcher_init (const struct launcher *l, struct err *err);
/* The address that other machines would reach this one by: the first that is up and not loopback, else 127.0.0.1. */
int launcher_node_ip (char *out, size_t size, struct err *err);

/* ---- supervise_decide.c: pure ---- */
#define SUPERVISE_BACKOFF_FIRST_MS 100
#define SUPERVISE_BACKOFF_MAX_MS 10000
#define SUPERVISE_STABLE_MS 10000 /* after running so long a death counts as the first again */
/* How long to wait before the next start of what ran for ran_ms and had been delayed by last_ms before. */
int64_t supervise_backoff_ms (int64_t last_ms, int64_t ran_ms);

/* ---- supervise.c ---- */
/* Starts every component, restarts what dies, until SIGTERM; then stops them in reverse order. Writes "ready\n" to ready_fd (and
   closes it) when all have told READY=1, or the reason why not. Exit status for main. */
int launcher_supervise (const struct launcher *l, int ready_fd);
/* run/NAME.pid, 0 when it does not run. */
pid_t launcher_pid (const struct launcher *l, const char *name);

#endif
