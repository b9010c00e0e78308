/* Computed defaults of core/v1, each named after what it defaults. */
#include "schemas/defaults_internal.h"

/* "Always" when the image has the tag "latest" or none, unless it is named by digest. */
static void
container_image_pull_policy (struct arena *a, struct value *v)
{
  const char *image = value_path_string (v, "image", "");
  const char *slash = strrchr (image, '/');
  const char *tag = strrchr (slash ? slash : image, ':');
  bool digest = strchr (image, '@') != NULL;
  bool latest = !digest && (!tag || strcmp (tag, ":latest") == 0);
  default_string (a, v, "imagePullPolicy", latest && image[0] ? "Always" : "IfNotPresent");
}

static void
volume_source (struct arena *a, struct value *v)
{
  for (value_each (v, m))
    if (strcmp (m->key, "name") != 0 && m->value->type != VALUE_NULL)
      return;
  value_set (a, v, "emptyDir", value_map (a));
}

static void
requests_from_limits (struct arena *a, struct value *containers)
{
  for (value_items (containers, c)) {
    struct value *limits = value_path (*c, "resources.limits");
    if (!value_is (limits, VALUE_MAP))
      continue;
    struct value *resources = value_get (*c, "resources");
    struct value *requests = value_ensure_map (a, resources, "requests");
    for (value_each (limits, m))
      if (value_is_null (value_get_n (requests, m->key, m->key_len)))
        value_set_n (a, requests, m->key, m->key_len, value_clone (a, m->value));
    if (value_count (requests) == 0)
      value_unset (resources, "requests");
  }
}

static void
host_ports (struct arena *a, struct value *containers)
{
  for (value_items (containers, c))
    for (value_items (value_get (*c, "ports"), p))
      if (value_path_int (*p, "hostPort", 0) == 0)
        value_set_int (a, *p, "hostPort", value_path_int (*p, "containerPort", 0));
}

static void
pod (struct arena *a, struct value *v)
{
  struct value *spec = value_ensure_map (a, v, "spec");
  requests_from_limits (a, value_get (spec, "containers"));
  requests_from_limits (a, value_get (spec, "initContainers"));
  default_bool (a, spec, "enableServiceLinks", true);
  if (value_path_bool (spec, "hostNetwork", false)) {
    host_ports (a, value_get (spec, "containers"));
    host_ports (a, value_get (spec, "initContainers"));
  }
}

/* serviceAccount is the old name of serviceAccountName; both are always shown, the new one rules. */
static void
pod_spec_service_account (struct arena *a, struct value *v)
{
  const char *name = value_path_string (v, "serviceAccountName", ""), *old = value_path_string (v, "serviceAccount", "");
  if (name[0] && strcmp (name, old) != 0)
    value_set_string (a, v, "serviceAccount", name);
  else if (!name[0] && old[0])
    value_set_string (a, v, "serviceAccountName", old);
}

static void
service_session_affinity (struct arena *a, struct value *spec)
{
  default_string (a, spec, "sessionAffinity", "None");
  const char *affinity = value_path_string (spec, "sessionAffinity", "");
  if (strcmp (affinity, "None") == 0)
    value_unset (spec, "sessionAffinityConfig");
  else if (strcmp (affinity, "ClientIP") == 0 && value_is_null (value_path (spec, "sessionAffinityConfig.clientIP.timeoutSeconds")))
    value_set_path (a, spec, "sessionAffinityConfig.clientIP.timeoutSeconds", value_int (a, 10800));
}

static void
service_ports (struct arena *a, struct value *ports)
{
  for (value_items (ports, p)) {
    if (!value_is (*p, VALUE_MAP))
      continue;
    default_string (a, *p, "protocol", "TCP");
    if (value_is_empty (value_get (*p, "targetPort")))
      value_set_int (a, *p, "targetPort", value_path_int (*p, "port", 0));
  }
}

/* clusterIP and clusterIPs[0] are one fact; a client that knows only the old field may give it alone. */
static void
service_ip_families (struct arena *a, struct value *spec)
{
  size_t families = value_count (value_get (spec, "ipFamilies")), ips = value_count (value_get (spec, "clusterIPs"));
  const char *ip = value_path_string (spec, "clusterIP", "");
  if (ip[0] && ips == 0)
    value_append (a, value_ensure_array (a, spec, "clusterIPs"), value_string (a, ip));
  default_string (a, spec, "ipFamilyPolicy", families == 2 || ips == 2 ? "RequireDualStack" : "SingleStack");
  if (families == 1 && strcmp (value_path_string (spec, "ipFamilyPolicy", ""), "RequireDualStack") == 0) {
    bool four = value_string_is (value_at (value_get (spec, "ipFamilies"), 0), "IPv4");
    value_append (a, value_get (spec, "ipFamilies"), value_string (a, four ? "IPv6" : "IPv4"));
  }
}

static void
service (struct arena *a, struct value *v)
{
  struct value *spec = value_ensure_map (a, v, "spec");
  service_session_affinity (a, spec);
  default_string (a, spec, "type", "ClusterIP");
  service_ports (a, value_get (spec, "ports"));
  const char *type = value_path_string (spec, "type", "");
  bool balancer = strcmp (type, "LoadBalancer") == 0, node = strcmp (type, "NodePort") == 0, cluster = strcmp (type, "ClusterIP") == 0;
  if (balancer || node || (cluster && value_count (value_get (spec, "externalIPs")) > 0))
    default_string (a, spec, "externalTrafficPolicy", "Cluster");
  if (balancer || node || cluster)
    default_string (a, spec, "internalTrafficPolicy", "Cluster");
  if (strcmp (type, "ExternalName") != 0)
    service_ip_families (a, spec);
  if (!balancer)
    return;
  default_bool (a, spec, "allocateLoadBalancerNodePorts", true);
  for (value_items (value_path (v, "status.loadBalancer.ingress"), in))
    if (value_path_string (*in, "ip", "")[0])
      default_string (a, *in, "ipMode", "VIP");
}

/* The finalizer is given at birth only: taking it away is how the namespace controller finishes a deletion. */
static void
namespace (struct arena *a, struct value *v)
{
  struct value *meta = value_get (v, "metadata");
  const char *name = value_path_string (meta, "name", "");
  if (name[0])
    value_set_string (a, value_ensure_map (a, meta, "labels"), "kubernetes.io/metadata.name", name);
  struct value *spec = value_ensure_map (a, v, "spec");
  bool born = !value_path_string (meta, "resourceVersion", "")[0] && default_absent (meta, "deletionTimestamp");
  if (born && default_absent (spec, "finalizers"))
    value_append (a, value_ensure_array (a, spec, "finalizers"), value_string (a, "kubernetes"));
}

static void
node_status_allocatable (struct arena *a, struct value *v)
{
  if (default_absent (v, "allocatable") && value_is (value_get (v, "capacity"), VALUE_MAP))
    value_set (a, v, "allocatable", value_clone (a, value_get (v, "capacity")));
}

static void
replication_controller (struct arena *a, struct value *v)
{
  struct value *labels = value_path (v, "spec.template.metadata.labels"), *spec = value_ensure_map (a, v, "spec");
  if (value_count (labels) > 0) {
    if (value_count (value_get (spec, "selector")) == 0)
      value_set (a, spec, "selector", value_clone (a, labels));
    if (value_count (value_path (v, "metadata.labels")) == 0)
      value_set (a, value_ensure_map (a, v, "metadata"), "labels", value_clone (a, labels));
  }
  default_int (a, spec, "replicas", 1);
}

static void
add_missing (struct arena *a, struct value *to, const struct value *from)
{
  for (value_each (from, m))
    if (value_is_null (value_get_n (to, m->key, m->key_len)))
      value_set_n (a, to, m->key, m->key_len, value_clone (a, m->value));
}

static void
limit_range_item (struct arena *a, struct value *v)
{
  if (strcmp (value_path_string (v, "type", ""), "Container") != 0)
    return;
  struct value *limits = value_ensure_map (a, v, "default"), *requests = value_ensure_map (a, v, "defaultRequest");
  add_missing (a, limits, value_get (v, "max"));
  add_missing (a, requests, limits);
  add_missing (a, requests, value_get (v, "min"));
  if (value_count (limits) == 0)
    value_unset (v, "default");
  if (value_count (requests) == 0)
    value_unset (v, "defaultRequest");
}

static void
endpoint_subset_ports (struct arena *a, struct value *v)
{
  for (value_items (value_get (v, "ports"), p))
    if (value_is (*p, VALUE_MAP))
      default_string (a, *p, "protocol", "TCP");
}

static void
resource_field_divisor (struct arena *a, struct value *v)
{
  if (default_absent (v, "divisor"))
    value_set_string (a, v, "divisor", "0");
}

const struct type_defaults defaults_core[] = {
  { "v1", "Container", container_image_pull_policy },
  { "v1", "EndpointSubset", endpoint_subset_ports },
  { "v1", "EphemeralContainer", container_image_pull_policy },
  { "v1", "LimitRangeItem", limit_range_item },
  { "v1", "Namespace", namespace },
  { "v1", "NodeStatus", node_status_allocatable },
  { "v1", "Pod", pod },
  { "v1", "PodSpec", pod_spec_service_account },
  { "v1", "ReplicationController", replication_controller },
  { "v1", "ResourceFieldSelector", resource_field_divisor },
  { "v1", "Service", service },
  { "v1", "Volume", volume_source },
  { NULL, NULL, NULL },
};
