/* kubus-proxy: makes Services work on its node. */
#include "services/proxy/proxy_io.h"

#include <stdio.h>
#include <string.h>

static const struct service_option options[] = {
  { "node-name", SERVICE_STRING, offsetof (struct proxy_options, node_name), NULL, 0, 0, "name of this node (default: the host's name)" },
  { "table", SERVICE_STRING, offsetof (struct proxy_options, table), "kubus", 0, 0, "nftables table of family ip" },
  { "cluster-cidr", SERVICE_STRING, offsetof (struct proxy_options, cluster_cidr), "10.244.0.0/16", 0, 0, "network of the pods" },
  { "masquerade-all", SERVICE_BOOL, offsetof (struct proxy_options, masquerade_all), "false", 0, 0, "masquerade all service traffic (automatic without br_netfilter)" },
  { "masquerade-pods", SERVICE_BOOL, offsetof (struct proxy_options, masquerade_pods), "false", 0, 0, "masquerade what pods send outside (for a CNI without ipMasq)" },
  { "localhost-nodeports", SERVICE_BOOL, offsetof (struct proxy_options, localhost_nodeports), "true", 0, 0, "node ports answer at 127.0.0.1 too (sets route_localnet)" },
  { "cleanup", SERVICE_BOOL, offsetof (struct proxy_options, cleanup), "false", 0, 0, "remove the table and exit" },
  { NULL, SERVICE_STRING, 0, NULL, 0, 0, NULL },
};

static void *
open_ (struct service_context *ctx, struct err *err)
{
  service_hold_ready (ctx);
  return proxy_open (ctx, err);
}

static void
close_ (void *self)
{
  proxy_close (self);
}

/* --cleanup needs no bus and no keys. */
static int
cleanup (int argc, char **argv)
{
  struct proxy_options o = { .table = "kubus" };
  struct err err = { 0 };
  for (int i = 1; i < argc; i++)
    if (!strncmp (argv[i], "--table=", 8))
      o.table = argv[i] + 8;
    else if (!strcmp (argv[i], "--table") && i + 1 < argc)
      o.table = argv[++i];
  if (proxy_check (&o, &err) != 0 || proxy_cleanup (o.table, &err) != 0) {
    fprintf (stderr, "kubus-proxy: %s\n", err.text);
    return err.code == ERR_INVALID ? 2 : 1;
  }
  return 0;
}

int
main (int argc, char **argv)
{
  static const struct service service = { .name = "kubus-proxy",
                                          .default_identity = "proxy",
                                          .help = "Makes Services work on its node.",
                                          .options = options,
                                          .config_size = sizeof (struct proxy_options),
                                          .want_bus = true,
                                          .want_source = true,
                                          .check = proxy_check,
                                          .open = open_,
                                          .close = close_ };
  for (int i = 1; i < argc; i++)
    if (!strcmp (argv[i], "--cleanup") || !strcmp (argv[i], "--cleanup=true"))
      return cleanup (argc, argv);
  return service_main (argc, argv, &service);
}
