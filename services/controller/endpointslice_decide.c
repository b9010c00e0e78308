#include "services/controller/endpointslice_decide.h"

#include "services/controller/backend.h"
#include "services/controller/meta.h"

#define SERVICE_NAME "kubernetes.io/service-name"
#define MANAGED_BY "endpointslice.kubernetes.io/managed-by"
#define MANAGER "endpointslice-controller.k8s.io"

struct group { /* slices of one family and one set of ports */
  struct value *family, *ports;
  struct value *wanted; /* endpoints that no slice has yet, in the end */
};

static struct value *
ports_of (struct arena *a, const struct value *service, const struct value *pod)
{
  struct value *ports = value_array (a);
  for (value_items (value_path (service, "spec.ports"), it))
    {
      int64_t n = backend_port (pod, *it);
      if (!n)
        continue;
      struct value *p = value_map (a);
      value_set_string (a, p, "name", value_path_string (*it, "name", ""));
      value_set_int (a, p, "port", n);
      value_set_string (a, p, "protocol", value_path_string (*it, "protocol", "TCP"));
      if (value_get (*it, "appProtocol"))
        value_set (a, p, "appProtocol", value_get (*it, "appProtocol"));
      value_append (a, ports, p);
    }
  return ports;
}

static struct value *
endpoint_of (const struct endpointslice_input *in, struct arena *a, const struct value *pod, const char *ip)
{
  struct value *e = value_map (a), *addresses = value_array (a), *conditions = value_map (a);
  bool serving = pod_ready (pod), terminating = meta_deleting (pod);
  bool publish = value_path_bool (in->service, "spec.publishNotReadyAddresses", false);
  value_append (a, addresses, value_string (a, ip));
  value_set (a, e, "addresses", addresses);
  value_set_bool (a, conditions, "ready", publish || (serving && !terminating));
  value_set_bool (a, conditions, "serving", serving);
  value_set_bool (a, conditions, "terminating", terminating);
  value_set (a, e, "conditions", conditions);
  const char *hostname = backend_hostname (pod, in->service), *node = value_path_string (pod, "spec.nodeName", "");
  if (*hostname)
    value_set_string (a, e, "hostname", hostname);
  value_set (a, e, "targetRef", backend_target (a, pod));
  if (!*node)
    return e;
  value_set_string (a, e, "nodeName", node);
  for (value_items (in->nodes, it))
    if (strcmp (meta_name (*it), node) == 0 && *meta_label (*it, "topology.kubernetes.io/zone"))
      value_set_string (a, e, "zone", meta_label (*it, "topology.kubernetes.io/zone"));
  return e;
}

static struct group *
group_for (struct arena *a, struct group *groups, size_t *n, const char *family, struct value *ports)
{
  for (size_t i = 0; i < *n; i++)
    if (value_string_is (groups[i].family, family) && value_equal (groups[i].ports, ports))
      return &groups[i];
  groups[*n] = (struct group) { value_string (a, family), ports, value_array (a) };
  return &groups[(*n)++];
}

/* The wanted endpoint that stands for the same pod, taken out. */
static struct value *
take (struct value *wanted, const struct value *endpoint)
{
  for (size_t i = 0; i < value_count (wanted); i++)
    {
      struct value *w = value_at (wanted, i);
      if (value_equal (value_path (w, "targetRef.uid"), value_path (endpoint, "targetRef.uid"))
          && value_equal (value_get (w, "addresses"), value_get (endpoint, "addresses")))
        {
          value_remove_at (wanted, i);
          return w;
        }
    }
  return NULL;
}

static struct value *
labels_of (struct arena *a, const struct value *service)
{
  struct value *labels = backend_labels (a, service);
  value_set_string (a, labels, SERVICE_NAME, meta_name (service));
  value_set_string (a, labels, MANAGED_BY, MANAGER);
  return labels;
}

static void
create_slice (const struct endpointslice_input *in, struct actions *as, const struct group *g, struct value *endpoints, size_t n)
{
  struct arena *a = as->arena;
  struct value *s = value_map (a), *owners = value_array (a);
  const char *prefix = arena_printf (a, "%s-", meta_name (in->service));
  value_set_string (a, s, "apiVersion", "discovery.k8s.io/v1");
  value_set_string (a, s, "kind", "EndpointSlice");
  value_set_path (a, s, "metadata.name", value_string (a, meta_generated_name (a, prefix, in->salt, n)));
  value_set_path (a, s, "metadata.generateName", value_string (a, prefix));
  value_set_path (a, s, "metadata.namespace", value_string (a, meta_namespace (in->service)));
  value_set_path (a, s, "metadata.labels", labels_of (a, in->service));
  value_append (a, owners, meta_owner_reference (a, in->service, "v1", "Service"));
  value_set_path (a, s, "metadata.ownerReferences", owners);
  value_set (a, s, "addressType", g->family);
  value_set (a, s, "endpoints", endpoints);
  value_set (a, s, "ports", g->ports);
  actions_create (as, "discovery.k8s.io", "v1", "endpointslices", meta_namespace (in->service), s);
}

static void
update_slice (const struct endpointslice_input *in, struct actions *as, const struct value *old, struct value *endpoints)
{
  struct arena *a = as->arena;
  struct value *labels = labels_of (a, in->service);
  bool same_endpoints = value_equal (value_get (old, "endpoints"), endpoints)
                        || (!value_count (value_get (old, "endpoints")) && !value_count (endpoints));
  if (same_endpoints && value_equal (value_path (old, "metadata.labels"), labels))
    return;
  struct value *s = value_clone (a, old);
  value_set (a, s, "endpoints", endpoints);
  value_set (a, value_get (s, "metadata"), "labels", labels);
  actions_update (as, "discovery.k8s.io", "v1", "endpointslices", NULL, s);
}

static struct value *
take_up_to (struct arena *a, struct value *wanted, size_t n)
{
  struct value *out = value_array (a);
  for (; n && value_count (wanted); n--)
    {
      value_append (a, out, value_at (wanted, 0));
      value_remove_at (wanted, 0);
    }
  return out;
}

void
endpointslice_decide (const struct endpointslice_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  if (!in->service || meta_deleting (in->service) || value_is_empty (value_path (in->service, "spec.selector"))
      || strcmp (value_path_string (in->service, "spec.type", "ClusterIP"), "ExternalName") == 0)
    return;
  struct value *families = value_path (in->service, "spec.ipFamilies");
  if (!value_count (families))
    {
      families = value_array (a);
      value_append (a, families, value_string (a, "IPv4"));
    }
  size_t n_groups = 0, most = (value_count (in->pods) + value_count (in->slices) + 2) * 2;
  struct group *groups = arena_zalloc (a, most * sizeof *groups);
  if (!groups)
    return;
  for (value_items (families, f))
    for (value_items (in->pods, it))
      {
        const char *family = value_as_string (*f, "IPv4"), *ip = backend_address (*it, family);
        if (!*ip || pod_finished (*it) || !backend_selected (a, in->service, *it))
          continue;
        struct value *ports = ports_of (a, in->service, *it);
        if (!value_count (ports) && !backend_headless (in->service))
          continue;
        value_append (a, group_for (a, groups, &n_groups, family, ports)->wanted, endpoint_of (in, a, *it, ip));
      }
  if (!n_groups) /* a placeholder: a Service without endpoints has an empty slice a family */
    for (value_items (families, f))
      group_for (a, groups, &n_groups, value_as_string (*f, "IPv4"), value_array (a));

  size_t made = 0;
  for (size_t i = 0; i < n_groups; i++)
    {
      struct group *g = &groups[i];
      struct value *kept = value_array (a), *kept_lists = value_array (a);
      for (value_items (in->slices, it))
        {
          const struct value *ports = value_get (*it, "ports");
          if (meta_deleting (*it) || !value_equal (value_get (*it, "addressType"), g->family)
              || !(value_equal (ports, g->ports) || (!value_count (ports) && !value_count (g->ports)))
              || strcmp (meta_label (*it, MANAGED_BY), MANAGER) != 0)
            continue;
          struct value *list = value_array (a);
          for (value_items (value_get (*it, "endpoints"), e))
            {
              struct value *w = take (g->wanted, *e);
              if (w)
                value_append (a, list, w);
            }
          value_append (a, kept, *it);
          value_append (a, kept_lists, list);
        }
      bool any = value_count (g->wanted) > 0;
      for (size_t k = 0; k < value_count (kept); k++)
        {
          struct value *list = value_at (kept_lists, k);
          while (value_count (list) < in->max_endpoints && value_count (g->wanted))
            {
              value_append (a, list, value_at (g->wanted, 0));
              value_remove_at (g->wanted, 0);
            }
          any |= value_count (list) > 0;
        }
      while (value_count (g->wanted))
        create_slice (in, as, g, take_up_to (a, g->wanted, in->max_endpoints), made++);
      if (!any && !value_count (kept))
        create_slice (in, as, g, value_array (a), made++);
      bool one_stays = !any;
      for (size_t k = 0; k < value_count (kept); k++)
        {
          const struct value *old = value_at (kept, k);
          struct value *list = value_at (kept_lists, k);
          if (value_count (list) || one_stays)
            update_slice (in, as, old, list);
          else
            actions_delete (as, "discovery.k8s.io", "v1", "endpointslices", meta_namespace (old), meta_name (old), meta_uid (old));
          one_stays &= value_count (list) > 0;
        }
    }
  /* slices of groups that are no more */
  for (value_items (in->slices, it))
    {
      bool known = false;
      const struct value *ports = value_get (*it, "ports");
      for (size_t i = 0; i < n_groups; i++)
        known |= value_equal (groups[i].family, value_get (*it, "addressType"))
                 && (value_equal (ports, groups[i].ports) || (!value_count (ports) && !value_count (groups[i].ports)));
      if (!known && !meta_deleting (*it) && strcmp (meta_label (*it, MANAGED_BY), MANAGER) == 0)
        actions_delete (as, "discovery.k8s.io", "v1", "endpointslices", meta_namespace (*it), meta_name (*it), meta_uid (*it));
    }
}
