#include "services/controller/endpoints_decide.h"

#include "services/controller/backend.h"
#include "services/controller/meta.h"

#define CAPACITY 1000
#define MANAGED_BY "endpoints.kubernetes.io/managed-by"
#define OVER_CAPACITY "endpoints.kubernetes.io/over-capacity"

static struct value *
address_of (struct arena *a, const struct value *service, const struct value *pod, const char *ip)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "ip", ip);
  const char *hostname = backend_hostname (pod, service), *node = value_path_string (pod, "spec.nodeName", "");
  if (*hostname)
    value_set_string (a, v, "hostname", hostname);
  if (*node)
    value_set_string (a, v, "nodeName", node);
  value_set (a, v, "targetRef", backend_target (a, pod));
  return v;
}

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
      const char *name = value_path_string (*it, "name", "");
      if (*name)
        value_set_string (a, p, "name", name);
      value_set_int (a, p, "port", n);
      value_set_string (a, p, "protocol", value_path_string (*it, "protocol", "TCP"));
      if (value_get (*it, "appProtocol"))
        value_set (a, p, "appProtocol", value_get (*it, "appProtocol"));
      value_append (a, ports, p);
    }
  return ports;
}

static struct value *
subset_for (struct arena *a, struct value *subsets, struct value *ports)
{
  for (value_items (subsets, it))
    if (value_equal (value_get (*it, "ports"), value_count (ports) ? ports : NULL)
        || (!value_count (ports) && !value_get (*it, "ports")))
      return *it;
  struct value *s = value_map (a);
  if (value_count (ports))
    value_set (a, s, "ports", ports);
  value_append (a, subsets, s);
  return s;
}

static int
by_ip (const void *pa, const void *pb)
{
  return strcmp (value_path_string (*(struct value *const *) pa, "ip", ""), value_path_string (*(struct value *const *) pb, "ip", ""));
}

static struct value *
compute_subsets (const struct endpoints_input *in, struct arena *a, bool *ret_over)
{
  struct value *subsets = value_array (a);
  const struct value *families = value_path (in->service, "spec.ipFamilies");
  const char *family = value_as_string (value_at (families, 0), "IPv4");
  bool publish = value_path_bool (in->service, "spec.publishNotReadyAddresses", false);
  bool headless_portless = backend_headless (in->service) && !value_count (value_path (in->service, "spec.ports"));
  size_t n = 0;
  *ret_over = false;
  for (value_items (in->pods, it))
    {
      const char *ip = backend_address (*it, family);
      if (!*ip || pod_finished (*it) || (meta_deleting (*it) && !publish) || !backend_selected (a, in->service, *it))
        continue;
      struct value *ports = ports_of (a, in->service, *it);
      if (!value_count (ports) && !headless_portless)
        continue;
      if (n++ >= CAPACITY)
        {
          *ret_over = true;
          break;
        }
      struct value *s = subset_for (a, subsets, ports);
      value_append (a, value_ensure_array (a, s, publish || pod_ready (*it) ? "addresses" : "notReadyAddresses"),
                    address_of (a, in->service, *it, ip));
    }
  for (value_items (subsets, it))
    {
      static const char *const lists[] = { "addresses", "notReadyAddresses" };
      for (size_t i = 0; i < 2; i++)
        {
          struct value *list = value_get (*it, lists[i]);
          if (value_count (list) > 1)
            qsort (list->items, value_count (list), sizeof *list->items, by_ip);
        }
    }
  return subsets;
}

void
endpoints_decide (const struct endpoints_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  if (!in->service)
    {
      if (in->endpoints)
        actions_delete (as, "", "v1", "endpoints", meta_namespace (in->endpoints), meta_name (in->endpoints), meta_uid (in->endpoints));
      return;
    }
  const char *type = value_path_string (in->service, "spec.type", "ClusterIP");
  if (value_is_empty (value_path (in->service, "spec.selector")) || strcmp (type, "ExternalName") == 0 || meta_deleting (in->service))
    return; /* somebody else's to fill */
  bool over;
  struct value *subsets = compute_subsets (in, a, &over);
  struct value *labels = backend_labels (a, in->service);
  value_set_string (a, labels, MANAGED_BY, "endpoint-controller");
  const struct value *old = in->endpoints;
  const struct value *old_subsets = value_get (old, "subsets");
  if (old && value_equal (value_path (old, "metadata.labels"), labels)
      && (value_equal (old_subsets, subsets) || (!value_count (old_subsets) && !value_count (subsets)))
      && (strcmp (meta_annotation (old, OVER_CAPACITY), "truncated") == 0) == over)
    return;
  struct value *e = old ? value_clone (a, old) : value_map (a);
  value_set_string (a, e, "apiVersion", "v1");
  value_set_string (a, e, "kind", "Endpoints");
  value_set_path (a, e, "metadata.name", value_string (a, meta_name (in->service)));
  value_set_path (a, e, "metadata.namespace", value_string (a, meta_namespace (in->service)));
  struct value *metadata = value_get (e, "metadata");
  value_set (a, metadata, "labels", labels);
  if (over)
    value_set_string (a, value_ensure_map (a, metadata, "annotations"), OVER_CAPACITY, "truncated");
  else
    value_unset (value_get (metadata, "annotations"), OVER_CAPACITY);
  value_unset (e, "subsets");
  if (value_count (subsets))
    value_set (a, e, "subsets", subsets);
  if (old)
    actions_update (as, "", "v1", "endpoints", NULL, e);
  else
    actions_create (as, "", "v1", "endpoints", meta_namespace (in->service), e)->ignore_exists = true;
}
