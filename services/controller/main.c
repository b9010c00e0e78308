#include <bsd/string.h>
#include <stddef.h>

#include "base/mem.h"
#include "services/controller/controllers.h"
#include "services/controller/shard.h"

static const struct service_option options[] = {
  { .name = "instance", .type = SERVICE_STRING, .offset = offsetof (struct controller_config, instance), .default_ = "",
    .help = "name of this instance among those that share the work (default: --name)" },
  { .name = "root-ca-file", .type = SERVICE_STRING, .offset = offsetof (struct controller_config, root_ca_file),
    .default_ = "$DIR/pki/ca.crt", .help = "certificate authority published as kube-root-ca.crt in every namespace" },
  { .name = "controllers", .type = SERVICE_LIST, .offset = offsetof (struct controller_config, controllers), .default_ = "*",
    .help = "which to run: * for all, NAME, -NAME for all but" },
  { .name = "node-monitor-grace-period", .type = SERVICE_INT, .offset = offsetof (struct controller_config, node_grace_s),
    .default_ = "40", .minimum = 1, .maximum = 3600, .help = "seconds without a heartbeat after which a node is Unknown" },
  { .name = "terminated-pod-gc-threshold", .type = SERVICE_INT,
    .offset = offsetof (struct controller_config, terminated_pods_max), .default_ = "12500", .minimum = 0, .maximum = 1000000,
    .help = "ended pods that are kept; 0: all" },
  { .name = "concurrent-syncs", .type = SERVICE_INT, .offset = offsetof (struct controller_config, workers), .default_ = "10",
    .minimum = 1, .maximum = 256, .help = "keys of one controller that are worked on at once" },
  { .name = NULL },
};

static int
check (const void *config, struct err *err)
{
  const struct controller_config *c = config;
  if (c->instance && strlen (c->instance) >= SHARD_NAME_SIZE)
    return err_set (err, ERR_INVALID, "--instance: longer than %d bytes", SHARD_NAME_SIZE - 1);
  if (c->instance && *c->instance && name_dns1123_subdomain (c->instance))
    return err_set (err, ERR_INVALID, "--instance: %s", name_dns1123_subdomain (c->instance));
  for (size_t i = 0; i < c->controllers.count; i++)
    {
      const char *name = c->controllers.items[i];
      bool known = strcmp (name, "*") == 0;
      for (size_t k = 0; controllers_all[k]; k++)
        known |= strcmp (name + (name[0] == '-'), controllers_all[k]->name) == 0;
      if (!known)
        return err_set (err, ERR_INVALID, "--controllers: there is no \"%s\"", name);
    }
  return 0;
}

static void *
open_controllers (struct service_context *ctx, struct err *err)
{
  struct controller_config *c = ctx->config;
  if (!c->instance || !*c->instance)
    c->instance = ctx->name;
  return manager_new (ctx, c, controllers_all, err);
}

static void
close_controllers (void *self)
{
  manager_free (self);
}

static const struct service service = {
  .name = "kubus-controller",
  .default_identity = "controller",
  .help = "Kubernetes' controllers: each watches the bus and writes through an API server.",
  .options = options,
  .config_size = sizeof (struct controller_config),
  .want_bus = true,
  .want_source = true,
  .want_api = true,
  .check = check,
  .open = open_controllers,
  .close = close_controllers,
};

int
main (int argc, char **argv)
{
  return service_main (argc, argv, &service);
}
