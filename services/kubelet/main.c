#include <arpa/inet.h>
#include <stddef.h>

#include "services/kubelet/kubelet.h"
#include "services/kubelet/kubelet_service.h"

#define OPTION(name_, type_, field_, ...) {.name = name_, .type = type_, .offset = offsetof (struct kubelet_config, field_), __VA_ARGS__}

static const struct service_option options[] = {
    OPTION ("node-name", SERVICE_STRING, node_name, .help = "name of the Node (default: the host's name)"),
    OPTION ("node-ip", SERVICE_STRING, node_ip, .help = "the node's address (default: the first that is up)"),
    OPTION ("node-labels", SERVICE_STRING, node_labels, .help = "labels to register with, KEY=VALUE,..."),
    OPTION ("pod-cidr", SERVICE_STRING, pod_cidr, .default_ = "10.244.0.0/24", .help = "the pods' addresses, unless the Node says otherwise"),
    OPTION ("bridge", SERVICE_STRING, bridge, .default_ = "kubus0", .help = "name of the pods' bridge"),
    OPTION ("cni-bin-dir", SERVICE_STRING, cni_bin, .default_ = "/usr/lib/cni", .help = "where the CNI plugins are"),
    OPTION ("mtu", SERVICE_INT, mtu, .default_ = "0", .minimum = 0, .maximum = 65535, .help = "of the pods' interfaces; 0: the plugin's choice"),
    OPTION ("log-dir", SERVICE_STRING, log_dir, .default_ = "$DIR/log/pods", .help = "where containers' logs go"),
    OPTION ("listen", SERVICE_STRING, listen, .default_ = "ipc://$DIR/run/kubelet.sock", .help = "bus address of the image service"),
    OPTION ("cluster-dns", SERVICE_LIST, cluster_dns, .default_ = "10.96.0.10", .help = "name servers of pods"),
    OPTION ("cluster-domain", SERVICE_STRING, cluster_domain, .default_ = "cluster.local", .help = "domain of the cluster"),
    OPTION ("max-pods", SERVICE_INT, max_pods, .default_ = "110", .minimum = 1, .maximum = 10000, .help = "pods that this node takes"),
    OPTION ("port", SERVICE_INT, port, .default_ = "10250", .minimum = 1, .maximum = 65535, .help = "of the HTTPS server"),
    OPTION ("address", SERVICE_STRING, address, .default_ = "0.0.0.0", .help = "of the HTTPS server"),
    OPTION ("tls-cert-file", SERVICE_STRING, cert_file, .default_ = "$DIR/pki/kubelet.crt", .help = "its certificate"),
    OPTION ("tls-private-key-file", SERVICE_STRING, key_file, .default_ = "$DIR/pki/kubelet.key", .help = "and key"),
    OPTION ("client-ca-file", SERVICE_STRING, client_ca_file, .default_ = "$DIR/pki/ca.crt", .help = "whose client certificates it accepts"),
    {.name = NULL},
};

static int
check (const void *config, struct err *err)
{
  const struct kubelet_config *c = config;
  uint8_t scratch[16];
  if (c->node_ip && *c->node_ip && inet_pton (AF_INET, c->node_ip, scratch) != 1 && inet_pton (AF_INET6, c->node_ip, scratch) != 1)
    return err_set (err, ERR_INVALID, "--node-ip: \"%s\" is not an address", c->node_ip);
  if (strlen (c->bridge) > 15)
    return err_set (err, ERR_INVALID, "--bridge: \"%s\" is longer than 15 bytes", c->bridge);
  for (size_t i = 0; i < c->cluster_dns.count; i++)
    if (inet_pton (AF_INET, c->cluster_dns.items[i], scratch) != 1 && inet_pton (AF_INET6, c->cluster_dns.items[i], scratch) != 1)
      return err_set (err, ERR_INVALID, "--cluster-dns: \"%s\" is not an address", c->cluster_dns.items[i]);
  return 0;
}

static const struct service service = {
    .name = "kubus-kubelet",
    .default_identity = "kubelet",
    .help = "The node's agent: runs the containers of the pods that are bound to it.",
    .options = options,
    .config_size = sizeof (struct kubelet_config),
    .want_bus = true,
    .want_source = true,
    .want_api = true,
    .check = check,
    .open = kubelet_open,
    .close = kubelet_close,
};

int
main (int argc, char **argv)
{
  return service_main (argc, argv, &service);
}
