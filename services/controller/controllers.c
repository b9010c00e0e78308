#include "services/controller/controllers.h"

const struct controller *const controllers_all[] = {
  &controller_replicaset, &controller_deployment, &controller_endpoints, &controller_endpointslice,
  &controller_serviceaccount, &controller_root_ca, &controller_namespace, &controller_gc, &controller_job, &controller_daemonset, &controller_node,
  &controller_pod_gc,
  NULL,
};

struct value *
controllers_owned_or_orphans (struct sync *s, const char *informer, const struct value *owner)
{
  struct value *list = view_indexed (&s->view, informer, "owner", meta_uid (owner));
  char key[256];
  snprintf (key, sizeof key, "~%s", meta_namespace (owner));
  for (value_items (view_indexed (&s->view, informer, "owner", key), it))
    {
      bool known = false; /* owned without being controlled: under both keys */
      for (value_items (value_path (*it, "metadata.ownerReferences"), ref))
        known |= value_string_is (value_get (*ref, "uid"), meta_uid (owner));
      if (!known)
        value_append (s->view.arena, list, *it);
    }
  return list;
}

void
controllers_add_selecting (struct mapping *m, const char *informer, const struct value *o)
{
  for (value_items (view_list (&m->view, informer, meta_namespace (o)), it))
    {
      struct selector *sel = NULL;
      if (selector_from_label_selector (m->view.arena, value_path (*it, "spec.selector"), &sel, NULL) == 0
          && selector_matches (sel, value_path (o, "metadata.labels")))
        mapping_add (m, meta_namespace (*it), meta_name (*it));
    }
}
