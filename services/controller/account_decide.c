#include "services/controller/account_decide.h"

#include "services/controller/meta.h"

static bool
wants (const struct value *namespace_)
{
  return namespace_ && !meta_deleting (namespace_)
         && strcmp (value_path_string (namespace_, "status.phase", "Active"), "Terminating") != 0;
}

static struct value *
object (struct arena *a, const char *kind, const char *namespace_, const char *name)
{
  struct value *o = value_map (a);
  value_set_string (a, o, "apiVersion", "v1");
  value_set_string (a, o, "kind", kind);
  value_set_path (a, o, "metadata.name", value_string (a, name));
  value_set_path (a, o, "metadata.namespace", value_string (a, namespace_));
  return o;
}

void
serviceaccount_decide (const struct value *namespace_, const struct value *present, struct actions *as)
{
  if (!wants (namespace_) || present)
    return;
  struct value *o = object (as->arena, "ServiceAccount", meta_name (namespace_), "default");
  actions_create (as, "", "v1", "serviceaccounts", meta_name (namespace_), o)->ignore_exists = true;
}

void
root_ca_decide (const struct value *namespace_, const struct value *present, const char *root_ca, struct actions *as)
{
  struct arena *a = as->arena;
  if (!wants (namespace_))
    return;
  const struct value *data = value_get (present, "data");
  if (present && value_count (data) == 1 && value_string_is (value_get (data, "ca.crt"), root_ca))
    return;
  struct value *o = present ? value_clone (a, present) : object (a, "ConfigMap", meta_name (namespace_), ROOT_CA_CONFIG_MAP);
  struct value *wanted = value_map (a), *annotations = value_ensure_map (a, value_get (o, "metadata"), "annotations");
  value_set_string (a, annotations, "kubernetes.io/description",
                    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
                    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
                    "Kubernetes clusters.");
  value_set_string (a, wanted, "ca.crt", root_ca);
  value_set (a, o, "data", wanted);
  if (present)
    actions_update (as, "", "v1", "configmaps", NULL, o);
  else
    actions_create (as, "", "v1", "configmaps", meta_name (namespace_), o)->ignore_exists = true;
}
