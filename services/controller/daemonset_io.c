#include "services/controller/controllers.h"
#include "services/controller/daemonset_decide.h"

static const char *const informers[] = { "daemonsets.apps", "pods", "nodes", "controllerrevisions.apps", NULL };

/* What of a node decides whether a set's pod fits there. */
static bool
node_changed (const struct value *old, const struct value *new_)
{
  return !old || !new_ || !value_equal (value_path (old, "metadata.labels"), value_path (new_, "metadata.labels"))
         || !value_equal (value_path (old, "spec"), value_path (new_, "spec"));
}

static void
map (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, "daemonsets.apps") == 0)
    mapping_add (m, meta_namespace (o), meta_name (o));
  else if (strcmp (m->informer, "nodes") == 0)
    {
      if (node_changed (m->old, m->new_))
        for (value_items (view_list (&m->view, "daemonsets.apps", NULL), it))
          mapping_add (m, meta_namespace (*it), meta_name (*it));
    }
  else
    {
      mapping_add_owner (m, "apps", "DaemonSet");
      if (m->new_ && !meta_controller (m->new_) && strcmp (m->informer, "pods") == 0)
        controllers_add_selecting (m, "daemonsets.apps", m->new_);
    }
}

static void
sync_key (struct sync *s)
{
  struct value *ds = view_get (&s->view, "daemonsets.apps", s->namespace_, s->name);
  if (!ds)
    return;
  struct daemonset_input in = { .ds = ds, .pods = controllers_owned_or_orphans (s, "pods", ds),
                                .nodes = view_list (&s->view, "nodes", NULL),
                                .revisions = view_indexed (&s->view, "controllerrevisions.apps", "owner", meta_uid (ds)), .now = s->now,
                                .salt = s->salt, .burst = 250, .failure = s->failure };
  daemonset_decide (&in, s->actions);
}

const struct controller controller_daemonset = { .name = "daemonset", .informers = informers, .map = map, .sync = sync_key };
