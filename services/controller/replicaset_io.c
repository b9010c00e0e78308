#include "services/controller/controllers.h"
#include "services/controller/replicaset_decide.h"

static const char *const informers[] = { "replicasets.apps", "pods", NULL };

/* An orphan may match the selector of any: all of its namespace look. */
static void
map (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, informers[0]) == 0)
    {
      mapping_add (m, meta_namespace (o), meta_name (o));
      return;
    }
  mapping_add_owner (m, "apps", "ReplicaSet");
  if (m->new_ && !meta_controller (m->new_))
    controllers_add_selecting (m, informers[0], m->new_);
}

static void
sync_key (struct sync *s)
{
  struct value *rs = view_get (&s->view, informers[0], s->namespace_, s->name);
  if (!rs)
    return;
  struct replicaset_input in = { .rs = rs, .pods = controllers_owned_or_orphans (s, "pods", rs), .now = s->now, .salt = s->salt,
                                 .burst = 500, .failure = s->failure };
  replicaset_decide (&in, s->actions);
}

const struct controller controller_replicaset = { .name = "replicaset", .informers = informers, .map = map, .sync = sync_key };
