/* kubus-store: a member of the replicated store. */
#include <errno.h>
#include <malloc.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "services/common/service.h"
#include "services/store/access.h"
#include "storage/node.h"

struct config {
  const char *listen, *publish;
  struct service_list members;
  const char *cluster;
};

static const struct service_option options[] = {
    {"listen", SERVICE_STRING, offsetof (struct config, listen), "ipc://$DIR/run/store.sock", 0, 0, "address of the requests"},
    {"publish", SERVICE_STRING, offsetof (struct config, publish), "ipc://$DIR/run/store-pub.sock", 0, 0, "address of the changes"},
    {"members", SERVICE_LIST, offsetof (struct config, members), NULL, 0, 0, "the first members, NAME@ADDRESS,... (default: this one alone)"},
    {"cluster", SERVICE_STRING, offsetof (struct config, cluster), "kubus", 0, 0, "name of the cluster: members of another are refused"},
    {NULL, SERVICE_STRING, 0, NULL, 0, 0, NULL},
};

struct server {
  struct service_context *ctx;
  struct node *node;
};

static bool
may_call (void *arg, const struct bus_peer *peer, const char *method)
{
  (void) arg;
  return access_may_call (peer, method);
}

static bool
may_read (void *arg, const struct bus_peer *peer, const char *stream)
{
  (void) arg;
  return access_may_read (peer, stream);
}

static void
failed (void *arg, const struct err *err)
{
  struct server *s = arg;
  log_error ("the member stopped", "error=\"%s\"", err->text);
  service_stop (s->ctx, 1);
}

static void
ready (void *arg)
{
  struct server *s = arg;
  service_ready (s->ctx);
}

/* A member's number from its name: the same on every member. */
static uint64_t
id_of (const char *name)
{
  return hash_bytes (name, strlen (name), 1) >> 1 | 1;
}

static int
members (const struct config *c, const char *self, struct arena *a, struct node_config *nc, struct err *err)
{
  const char *alone = arena_printf (a, "%s@%s", self, c->listen);
  const char *const *endpoints = c->members.count ? c->members.items : &alone;
  size_t n = c->members.count ? c->members.count : 1;
  struct node_member *ms = arena_zalloc (a, n * sizeof *ms);
  bool found = false;
  if (!ms || !alone)
    return err_set (err, ERR_NOMEM, "members");
  for (size_t i = 0; i < n; i++) {
    const char *at = strchr (endpoints[i], '@');
    if (!at || at == endpoints[i])
      return err_set (err, ERR_INVALID, "--members: \"%s\" is not NAME@ADDRESS", endpoints[i]);
    ms[i].name = arena_strndup (a, endpoints[i], (size_t) (at - endpoints[i]));
    ms[i].endpoint = endpoints[i];
    if (!ms[i].name)
      return err_set (err, ERR_NOMEM, "members");
    ms[i].id = id_of (ms[i].name);
    found |= !strcmp (ms[i].name, self);
  }
  if (!found)
    return err_set (err, ERR_INVALID, "--members does not name this member, \"%s\"", self);
  nc->members = ms;
  nc->n_members = n;
  return 0;
}

static void *
server_open (struct service_context *ctx, struct err *err)
{
  const struct config *c = ctx->config;
  struct arena a AUTO_ARENA = {0};
  struct server *s = mem_zalloc (sizeof *s);
  struct node_config nc = {.may_call = may_call, .may_read = may_read, .failed = failed, .ready = ready, .arg = s, .listen = c->listen, .publish = c->publish};
  if (!s) {
    err_set (err, ERR_NOMEM, "open");
    return NULL;
  }
  s->ctx = ctx;
  mallopt (M_ARENA_MAX, 2);
  nc.cluster_id = id_of (c->cluster);
  nc.member_id = id_of (ctx->name);
  nc.log_dir = arena_printf (&a, "%s/store/%s/log", ctx->dir, ctx->name);
  nc.state_dir = arena_printf (&a, "%s/store/%s/state", ctx->dir, ctx->name);
  if (!arena_ok (&a))
    err_set (err, ERR_NOMEM, "open");
  else if (!file_mkdirs (nc.log_dir, 0700, err) && !file_mkdirs (nc.state_dir, 0700, err) && !members (c, ctx->name, &a, &nc, err)
           && !node_open (ctx->bus, &nc, &s->node, err)) {
    service_hold_ready (ctx);
    return s;
  }
  free (s);
  return NULL;
}

static void
server_close (void *self)
{
  struct server *s = self;
  node_free (s->node);
  free (s);
}

int
main (int argc, char **argv)
{
  static const struct service service = {
      .name = "kubus-store",
      .default_identity = "store",
      .help = "a member of the replicated store",
      .options = options,
      .config_size = sizeof (struct config),
      .want_bus = true,
      .open = server_open,
      .close = server_close,
  };
  return service_main (argc, argv, &service);
}
