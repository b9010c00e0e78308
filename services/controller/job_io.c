#include "services/controller/controllers.h"
#include "services/controller/job_decide.h"

static const char *const informers[] = { "jobs.batch", "pods", NULL };

static void
map (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, informers[0]) == 0)
    {
      mapping_add (m, meta_namespace (o), meta_name (o));
      return;
    }
  mapping_add_owner (m, "batch", "Job");
  if (m->new_ && !meta_controller (m->new_))
    controllers_add_selecting (m, informers[0], m->new_);
}

/* Pods that say they are this job's, which is gone. */
static void
release (struct sync *s)
{
  struct value *mine = value_array (s->view.arena);
  for (value_items (view_list (&s->view, "pods", s->namespace_), it))
    {
      const struct value *ref = meta_controller (*it);
      if (value_string_is (value_get (ref, "kind"), "Job") && value_string_is (value_get (ref, "name"), s->name))
        value_append (s->view.arena, mine, *it);
    }
  job_release (mine, s->actions);
}

static void
sync_key (struct sync *s)
{
  struct value *job = view_get (&s->view, informers[0], s->namespace_, s->name);
  if (!job)
    {
      release (s);
      return;
    }
  struct job_input in = { .job = job, .pods = controllers_owned_or_orphans (s, "pods", job), .now = s->now, .salt = s->salt,
                          .burst = 500, .failure = s->failure };
  job_decide (&in, s->actions);
}

const struct controller controller_job = { .name = "job", .informers = informers, .map = map, .sync = sync_key };
