/* Rows of core kinds but pods; upstream's pkg/printers/internalversion decides each cell. */
#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "schemas/printers_internal.h"

static void
print_namespace (struct row *r)
{
  row_path (r, "status.phase", "");
  row_age (r);
}

static void
print_secret (struct row *r)
{
  row_path (r, "type", "");
  row_int (r, (int64_t) value_count (value_get (r->obj, "data")));
  row_age (r);
}

static void
print_service_account (struct row *r)
{
  row_count (r, "secrets");
  row_age (r);
}

static void
print_config_map (struct row *r)
{
  row_int (r, (int64_t) (value_count (value_get (r->obj, "data")) + value_count (value_get (r->obj, "binaryData"))));
  row_age (r);
}

/* ---- nodes ---- */
static const char *
node_roles (struct arena *a, const struct value *labels)
{
  static const char prefix[] = "node-role.kubernetes.io/";
  struct text_list list = {.arena = a};
  size_t n = 0;
  const char **roles = arena_alloc (a, (value_count (labels) + 1) * sizeof *roles);
  if (!roles)
    return "<none>";
  for (value_each (labels, m)) {
    if (strncmp (m->key, prefix, sizeof prefix - 1) == 0 && m->key[sizeof prefix - 1])
      roles[n++] = m->key + sizeof prefix - 1;
    else if (strcmp (m->key, "kubernetes.io/role") == 0 && *value_as_string (m->value, ""))
      roles[n++] = value_as_string (m->value, "");
  }
  qsort (roles, n, sizeof *roles, print_compare_strings);
  for (size_t i = 0; i < n; i++)
    if (!i || strcmp (roles[i], roles[i - 1]) != 0)
      text_list_add (&list, ",", roles[i]);
  return n ? list.text : "<none>";
}

static const char *
node_address (const struct value *node, const char *type)
{
  for (value_items (value_path (node, "status.addresses"), it))
    if (strcmp (value_path_string (*it, "type", ""), type) == 0)
      return value_path_string (*it, "address", "");
  return "<none>";
}

static void
print_node (struct row *r)
{
  struct text_list status = {.arena = r->arena};
  for (value_items (value_path (r->obj, "status.conditions"), it))
    if (strcmp (value_path_string (*it, "type", ""), "Ready") == 0)
      text_list_add (&status, ",", strcmp (value_path_string (*it, "status", ""), "True") == 0 ? "Ready" : "NotReady");
  if (!status.count)
    text_list_add (&status, ",", "Unknown");
  if (value_path_bool (r->obj, "spec.unschedulable", false))
    text_list_add (&status, ",", "SchedulingDisabled");
  row_string (r, status.text);
  row_string (r, node_roles (r->arena, value_path (r->obj, "metadata.labels")));
  row_age (r);
  row_path (r, "status.nodeInfo.kubeletVersion", "");
  row_string (r, node_address (r->obj, "InternalIP"));
  row_string (r, node_address (r->obj, "ExternalIP"));
  row_path (r, "status.nodeInfo.osImage", "<unknown>");
  row_path (r, "status.nodeInfo.kernelVersion", "<unknown>");
  row_path (r, "status.nodeInfo.containerRuntimeVersion", "<unknown>");
}

/* ---- services and their endpoints ---- */
static const char *
service_external_ip (struct row *r, const char *type)
{
  struct text_list list = {.arena = r->arena};
  if (strcmp (type, "ExternalName") == 0)
    return value_path_string (r->obj, "spec.externalName", "");
  bool balancer = strcmp (type, "LoadBalancer") == 0;
  if (!balancer && strcmp (type, "ClusterIP") != 0 && strcmp (type, "NodePort") != 0)
    return "<unknown>";
  for (value_items (balancer ? value_path (r->obj, "status.loadBalancer.ingress") : NULL, it)) {
    const char *address = value_path_string (*it, "ip", value_path_string (*it, "hostname", ""));
    if (*address)
      text_list_add (&list, ",", address);
  }
  for (value_items (value_path (r->obj, "spec.externalIPs"), it))
    text_list_add (&list, ",", value_as_string (*it, ""));
  return list.count ? list.text : balancer ? "<pending>" : "<none>";
}

static void
print_service (struct row *r)
{
  struct text_list ports = {.arena = r->arena, .text = "<none>"};
  const char *type = value_path_string (r->obj, "spec.type", ""), *ip = value_path_string (r->obj, "spec.clusterIPs.0", "");
  if (!*ip)
    ip = value_path_string (r->obj, "spec.clusterIP", "");
  for (value_items (value_path (r->obj, "spec.ports"), it)) {
    int port = (int) value_path_int (*it, "port", 0), node_port = (int) value_path_int (*it, "nodePort", 0);
    const char *protocol = value_path_string (*it, "protocol", "TCP");
    const char *text = node_port > 0 ? arena_printf (r->arena, "%d:%d/%s", port, node_port, protocol)
                                     : arena_printf (r->arena, "%d/%s", port, protocol);
    text_list_add (&ports, ",", text ? text : "");
  }
  row_string (r, type);
  row_string (r, *ip ? ip : "<none>");
  row_string (r, service_external_ip (r, type));
  row_string (r, ports.text);
  row_age (r);
  row_string (r, print_labels (r->arena, value_path (r->obj, "spec.selector")));
}

static const char *
with_more (struct arena *a, const struct text_list *list, size_t total, const char *none)
{
  if (!total)
    return none;
  return total > list->count ? arena_printf (a, "%s + %zu more...", list->text, total - list->count) : list->text;
}

static void
print_endpoints (struct row *r)
{
  struct text_list list = {.arena = r->arena, .text = ""};
  size_t total = 0;
  for (value_items (value_get (r->obj, "subsets"), subset)) {
    const struct value *addresses = value_get (*subset, "addresses"), *ports = value_get (*subset, "ports");
    for (value_items (value_count (ports) ? NULL : addresses, address)) /* headless without ports */
      if (total++ < 3)
        text_list_add (&list, ",", value_path_string (*address, "ip", ""));
    for (value_items (ports, port))
      for (value_items (addresses, address)) {
        const char *ip = value_path_string (*address, "ip", "");
        if (total++ >= 3)
          continue;
        const char *text = arena_printf (r->arena, strchr (ip, ':') ? "[%s]:%d" : "%s:%d", ip, (int) value_path_int (*port, "port", 0));
        text_list_add (&list, ",", text ? text : "");
      }
  }
  row_string (r, with_more (r->arena, &list, total, "<none>"));
  row_age (r);
}

static void
print_endpoint_slice (struct row *r)
{
  struct text_list ports = {.arena = r->arena, .text = ""}, addresses = ports;
  size_t n_ports = 0, n_addresses = 0;
  for (value_items (value_get (r->obj, "ports"), it)) {
    int64_t port = value_path_int (*it, "port", 0);
    const char *name = value_path_string (*it, "name", "");
    if (n_ports++ < 3)
      text_list_add (&ports, ",", port ? arena_printf (r->arena, "%d", (int) port) : *name ? name : "*");
  }
  for (value_items (value_get (r->obj, "endpoints"), endpoint))
    for (value_items (value_get (*endpoint, "addresses"), it))
      if (n_addresses++ < 3)
        text_list_add (&addresses, ",", value_as_string (*it, ""));
  row_path (r, "addressType", "");
  row_string (r, with_more (r->arena, &ports, n_ports, "<unset>"));
  row_string (r, with_more (r->arena, &addresses, n_addresses, "<unset>"));
  row_age (r);
}

/* ---- events, of both groups ---- */
static const char *
either (const struct value *v, const char *path, const char *other_path)
{
  const char *s = value_path_string (v, path, "");
  return *s ? s : value_path_string (v, other_path, "");
}

static void
print_event (struct row *r)
{
  const struct value *e = r->obj, *about = value_get (e, "involvedObject"), *series = value_get (e, "series");
  if (!about)
    about = value_get (e, "regarding");
  const char *first_time = either (e, "firstTimestamp", "deprecatedFirstTimestamp");
  if (!*first_time)
    first_time = value_path_string (e, "eventTime", "");
  const char *last_time = either (e, "lastTimestamp", "deprecatedLastTimestamp");
  if (!*last_time)
    last_time = first_time;
  int64_t count = value_path_int (e, "count", value_path_int (e, "deprecatedCount", 0));
  if (value_is (series, VALUE_MAP)) {
    last_time = value_path_string (series, "lastObservedTime", "");
    count = value_path_int (series, "count", 0);
  } else if (!count)
    count = 1;

  char kind[128];
  const char *name = value_path_string (about, "name", "");
  strlcpy (kind, value_path_string (about, "kind", ""), sizeof kind);
  for (char *p = kind; *p; p++)
    if (*p >= 'A' && *p <= 'Z')
      *p = (char) (*p + 32);

  const char *component = either (e, "source.component", "deprecatedSource.component"),
             *host = either (e, "source.host", "deprecatedSource.host");
  if (!*component)
    component = either (e, "reportingComponent", "reportingController");
  if (!*host)
    host = value_path_string (e, "reportingInstance", "");

  row_string (r, printer_age (r->arena, last_time, r->now_us));
  row_path (r, "type", "");
  row_path (r, "reason", "");
  row_string (r, *name ? arena_printf (r->arena, "%s/%s", kind, name) : kind);
  row_string (r, value_path_string (about, "fieldPath", ""));
  row_string (r, *host ? arena_printf (r->arena, "%s, %s", component, host) : component);
  const char *message = either (e, "message", "note");
  message += strspn (message, " \t\r\n");
  size_t n = strlen (message);
  while (n && strchr (" \t\r\n", message[n - 1]))
    n--;
  row_string (r, arena_strndup (r->arena, message, n));
  row_string (r, printer_age (r->arena, first_time, r->now_us));
  row_int (r, count);
  row_path (r, "metadata.name", "");
}

/* ---- storage ---- */
static const char *
access_modes (struct arena *a, const struct value *modes)
{
  static const char *const table[][2] = {
    {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
  struct text_list list = {.arena = a, .text = ""};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    for (value_items (modes, it))
      if (strcmp (value_as_string (*it, ""), table[i][0]) == 0) {
        text_list_add (&list, ",", table[i][1]);
        break;
      }
  return list.text;
}

static void
storage_cells (struct row *r)
{
  const char *by_annotation = value_as_string (
      value_get (value_path (r->obj, "metadata.annotations"), "volume.beta.kubernetes.io/storage-class"), NULL);
  row_string (r, by_annotation ? by_annotation : value_path_string (r->obj, "spec.storageClassName", ""));
  row_path (r, "spec.volumeAttributesClassName", "<unset>");
}

static void
phase_cell (struct row *r)
{
  if (value_path (r->obj, "metadata.deletionTimestamp"))
    row_string (r, "Terminating");
  else
    row_path (r, "status.phase", "");
}

static void
print_persistent_volume (struct row *r)
{
  const struct value *claim = value_path (r->obj, "spec.claimRef");
  row_path (r, "spec.capacity.storage", "0");
  row_string (r, access_modes (r->arena, value_path (r->obj, "spec.accessModes")));
  row_path (r, "spec.persistentVolumeReclaimPolicy", "");
  phase_cell (r);
  if (value_is (claim, VALUE_MAP))
    row_printf (r, "%s/%s", value_path_string (claim, "namespace", ""), value_path_string (claim, "name", ""));
  else
    row_string (r, "");
  storage_cells (r);
  row_path (r, "status.reason", "");
  row_age (r);
  row_path (r, "spec.volumeMode", "<unset>");
}

static void
print_persistent_volume_claim (struct row *r)
{
  bool bound = *value_path_string (r->obj, "spec.volumeName", "");
  phase_cell (r);
  row_path (r, "spec.volumeName", "");
  row_string (r, bound ? value_path_string (r->obj, "status.capacity.storage", "0") : "");
  row_string (r, bound ? access_modes (r->arena, value_path (r->obj, "status.accessModes")) : "");
  storage_cells (r);
  row_age (r);
  row_path (r, "spec.volumeMode", "<unset>");
}

/* ---- quotas and the rest ---- */
static void
print_resource_quota (struct row *r)
{
  struct text_list requests = {.arena = r->arena, .text = ""}, limits = requests;
  const struct value *hard = value_path (r->obj, "status.hard"), *used = value_path (r->obj, "status.used");
  size_t n = 0;
  const char **names = arena_alloc (r->arena, (value_count (hard) + 1) * sizeof *names);
  for (value_each (names ? hard : NULL, m))
    names[n++] = m->key;
  if (n)
    qsort (names, n, sizeof *names, print_compare_strings);
  for (size_t i = 0; i < n; i++) {
    const char *text = arena_printf (r->arena, "%s: %s/%s", names[i], value_as_string (value_get (used, names[i]), "0"),
                                     value_as_string (value_get (hard, names[i]), "0"));
    text_list_add (strncmp (names[i], "limits", 6) == 0 ? &limits : &requests, ", ", text ? text : "");
  }
  row_string (r, requests.text);
  row_string (r, limits.text);
  row_age (r);
}

static void
print_created_at (struct row *r)
{
  row_path (r, "metadata.creationTimestamp", "<unknown>");
}

static void
print_component_status (struct row *r)
{
  const struct value *healthy = NULL;
  for (value_items (value_get (r->obj, "conditions"), it))
    if (strcmp (value_path_string (*it, "type", ""), "Healthy") == 0)
      healthy = *it;
  const char *status = value_path_string (healthy, "status", "Unknown");
  row_string (r, strcmp (status, "True") == 0 ? "Healthy" : strcmp (status, "False") == 0 ? "Unhealthy" : "Unknown");
  row_string (r, value_path_string (healthy, "message", ""));
  row_string (r, value_path_string (healthy, "error", ""));
}

const struct row_printer row_printers_core[] = {
  {"", "Namespace", print_namespace},
  {"", "Secret", print_secret},
  {"", "ServiceAccount", print_service_account},
  {"", "ConfigMap", print_config_map},
  {"", "Node", print_node},
  {"", "Service", print_service},
  {"", "Endpoints", print_endpoints},
  {"discovery.k8s.io", "EndpointSlice", print_endpoint_slice},
  {"", "Event", print_event},
  {"events.k8s.io", "Event", print_event},
  {"", "PersistentVolume", print_persistent_volume},
  {"", "PersistentVolumeClaim", print_persistent_volume_claim},
  {"", "ResourceQuota", print_resource_quota},
  {"", "LimitRange", print_created_at},
  {"", "ComponentStatus", print_component_status},
  {"rbac.authorization.k8s.io", "Role", print_created_at},
  {"rbac.authorization.k8s.io", "ClusterRole", print_created_at},
  {0},
};
