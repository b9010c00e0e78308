/* kubus-dns: names of Services and pods. */
#include "services/dns/dns_io.h"

static const struct service_option options[] = {
  { "address", SERVICE_LIST, offsetof (struct dns_options, addresses), "10.96.0.10", 0, 0, "addresses to listen on, UDP and TCP" },
  { "port", SERVICE_INT, offsetof (struct dns_options, port), "53", 1, 65535, "port to listen on" },
  { "bind-interface", SERVICE_STRING, offsetof (struct dns_options, bind_interface), "kubus-dns0", 0, 0, "interface that gets the addresses (a bridge without ports), made when absent (root); empty: none" },
  { "cluster-domain", SERVICE_STRING, offsetof (struct dns_options, domain), "cluster.local", 0, 0, "domain of the cluster" },
  { "upstream", SERVICE_LIST, offsetof (struct dns_options, upstreams), NULL, 0, 0, "resolvers of all other names, IP[:PORT],... (default: of --resolv-conf)" },
  { "resolv-conf", SERVICE_STRING, offsetof (struct dns_options, resolv_conf), "/etc/resolv.conf", 0, 0, "where the upstream resolvers stand" },
  { NULL, SERVICE_STRING, 0, NULL, 0, 0, NULL },
};

static void *
open_ (struct service_context *ctx, struct err *err)
{
  service_hold_ready (ctx);
  return dns_open (ctx, err);
}

static void
close_ (void *self)
{
  dns_close (self);
}

int
main (int argc, char **argv)
{
  static const struct service service = { .name = "kubus-dns",
                                          .default_identity = "dns",
                                          .help = "Answers for the names of Services and pods.",
                                          .options = options,
                                          .config_size = sizeof (struct dns_options),
                                          .want_bus = true,
                                          .want_source = true,
                                          .check = dns_check,
                                          .open = open_,
                                          .close = close_ };
  return service_main (argc, argv, &service);
}
