#include "services/controller/controllers.h"
#include "services/controller/deployment_decide.h"

static const char *const informers[] = { "deployments.apps", "replicasets.apps", "pods", NULL };

static void
map (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, informers[0]) == 0)
    mapping_add (m, meta_namespace (o), meta_name (o));
  else if (strcmp (m->informer, informers[1]) == 0)
    {
      mapping_add_owner (m, "apps", "Deployment");
      if (m->new_ && !meta_controller (m->new_))
        controllers_add_selecting (m, informers[0], m->new_);
    }
  else if (!m->new_ || (pod_finished (m->new_) && !pod_finished (m->old)))
    { /* Recreate waits for the end of old pods */
      const struct value *ref = meta_controller (o);
      const struct value *rs = value_string_is (value_get (ref, "kind"), "ReplicaSet")
                                   ? view_get (&m->view, informers[1], meta_namespace (o), value_path_string (ref, "name", ""))
                                   : NULL;
      const struct value *owner = meta_controller (rs);
      if (value_string_is (value_get (owner, "kind"), "Deployment"))
        mapping_add (m, meta_namespace (o), value_path_string (owner, "name", ""));
    }
}

static void
sync_key (struct sync *s)
{
  struct value *d = view_get (&s->view, informers[0], s->namespace_, s->name);
  if (!d)
    return;
  bool recreate = strcmp (value_path_string (d, "spec.strategy.type", ""), "Recreate") == 0;
  struct deployment_input in = { .deployment = d, .sets = controllers_owned_or_orphans (s, informers[1], d),
                                 .pods = recreate ? view_list (&s->view, "pods", s->namespace_) : NULL, .now = s->now };
  deployment_decide (&in, s->actions);
}

const struct controller controller_deployment = { .name = "deployment", .informers = informers, .map = map, .sync = sync_key };
