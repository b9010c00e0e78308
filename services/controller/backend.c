#include "services/controller/backend.h"

#include "services/controller/meta.h"

static int64_t
named_port (const struct value *containers, const char *name, const char *protocol, bool sidecars_only)
{
  for (value_items (containers, c))
    {
      if (sidecars_only && strcmp (value_path_string (*c, "restartPolicy", ""), "Always") != 0)
        continue;
      for (value_items (value_get (*c, "ports"), p))
        if (strcmp (value_path_string (*p, "name", ""), name) == 0
            && strcmp (value_path_string (*p, "protocol", "TCP"), protocol) == 0)
          return value_path_int (*p, "containerPort", 0);
    }
  return 0;
}

int64_t
backend_port (const struct value *pod, const struct value *service_port)
{
  const struct value *target = value_get (service_port, "targetPort");
  if (value_is_empty (target))
    return value_path_int (service_port, "port", 0);
  if (!value_is (target, VALUE_STRING))
    return value_as_int (target, 0);
  const char *protocol = value_path_string (service_port, "protocol", "TCP");
  int64_t n = named_port (value_path (pod, "spec.containers"), target->s, protocol, false);
  return n ? n : named_port (value_path (pod, "spec.initContainers"), target->s, protocol, true);
}

bool
backend_headless (const struct value *service)
{
  return strcmp (value_path_string (service, "spec.clusterIP", ""), "None") == 0;
}

static bool
in_family (const char *ip, const char *family)
{
  return *ip && (strchr (ip, ':') != NULL) == (strcmp (family, "IPv6") == 0);
}

const char *
backend_address (const struct value *pod, const char *family)
{
  for (value_items (value_path (pod, "status.podIPs"), it))
    if (in_family (value_path_string (*it, "ip", ""), family))
      return value_path_string (*it, "ip", "");
  const char *ip = value_path_string (pod, "status.podIP", "");
  return in_family (ip, family) ? ip : "";
}

struct value *
backend_target (struct arena *a, const struct value *pod)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "kind", "Pod");
  value_set_string (a, v, "namespace", meta_namespace (pod));
  value_set_string (a, v, "name", meta_name (pod));
  value_set_string (a, v, "uid", meta_uid (pod));
  return v;
}

const char *
backend_hostname (const struct value *pod, const struct value *service)
{
  const char *subdomain = value_path_string (pod, "spec.subdomain", "");
  return strcmp (subdomain, meta_name (service)) == 0 ? value_path_string (pod, "spec.hostname", "") : "";
}

struct value *
backend_labels (struct arena *a, const struct value *service)
{
  struct value *labels = value_map (a);
  for (value_each (value_path (service, "metadata.labels"), m))
    if (strcmp (m->key, "kubernetes.io/service-name") != 0 && strcmp (m->key, "endpointslice.kubernetes.io/managed-by") != 0
        && strcmp (m->key, "service.kubernetes.io/headless") != 0)
      value_set (a, labels, m->key, m->value);
  if (backend_headless (service))
    value_set_string (a, labels, "service.kubernetes.io/headless", "");
  return labels;
}

bool
backend_selected (struct arena *a, const struct value *service, const struct value *pod)
{
  struct selector *sel = NULL;
  const struct value *map = value_path (service, "spec.selector");
  return !value_is_empty (map) && selector_from_map (a, map, &sel, NULL) == 0
         && selector_matches (sel, value_path (pod, "metadata.labels"));
}
