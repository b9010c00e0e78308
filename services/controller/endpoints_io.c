#include "services/controller/backend.h"
#include "services/controller/controllers.h"
#include "services/controller/endpoints_decide.h"
#include "services/controller/endpointslice_decide.h"

/* The Services that select a pod in its old or its new state. */
static void
add_services_of (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  for (value_items (view_list (&m->view, "services", meta_namespace (o)), it))
    if ((m->old && backend_selected (m->view.arena, *it, m->old)) || (m->new_ && backend_selected (m->view.arena, *it, m->new_)))
      mapping_add (m, meta_namespace (*it), meta_name (*it));
}

/* What of a pod concerns its endpoints. */
static bool
pod_changed (const struct value *old, const struct value *new_)
{
  static const char *const paths[] = { "metadata.labels", "metadata.deletionTimestamp", "status.podIP", "status.podIPs",
                                       "status.phase", "spec.nodeName" };
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (!value_equal (value_path (old, paths[i]), value_path (new_, paths[i])))
      return true;
  return pod_ready (old) != pod_ready (new_);
}

static void
map (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, "pods") == 0)
    {
      if (!m->old || !m->new_ || pod_changed (m->old, m->new_))
        add_services_of (m);
    }
  else if (strcmp (m->informer, "endpoints") == 0)
    {
      if (!m->new_ && view_get (&m->view, "services", meta_namespace (o), meta_name (o)))
        mapping_add (m, meta_namespace (o), meta_name (o));
    }
  else if (strcmp (m->informer, "services") == 0)
    mapping_add (m, meta_namespace (o), meta_name (o));
  else if (strcmp (m->informer, "endpointslices.discovery.k8s.io") == 0)
    mapping_add_owner (m, "", "Service");
}

static void
sync_endpoints (struct sync *s)
{
  struct endpoints_input in = { .service = view_get (&s->view, "services", s->namespace_, s->name),
                                .endpoints = view_get (&s->view, "endpoints", s->namespace_, s->name),
                                .pods = view_list (&s->view, "pods", s->namespace_) };
  endpoints_decide (&in, s->actions);
}

static void
sync_slices (struct sync *s)
{
  struct value *service = view_get (&s->view, "services", s->namespace_, s->name);
  if (!service)
    return;
  struct endpointslice_input in = { .service = service,
                                    .slices = view_indexed (&s->view, "endpointslices.discovery.k8s.io", "owner", meta_uid (service)),
                                    .pods = view_list (&s->view, "pods", s->namespace_),
                                    .nodes = view_list (&s->view, "nodes", NULL),
                                    .salt = s->salt,
                                    .max_endpoints = 100 };
  endpointslice_decide (&in, s->actions);
}

static const char *const endpoints_informers[] = { "services", "pods", "endpoints", NULL };
static const char *const slice_informers[] = { "services", "pods", "endpointslices.discovery.k8s.io", "nodes", NULL };

const struct controller controller_endpoints
    = { .name = "endpoints", .informers = endpoints_informers, .map = map, .sync = sync_endpoints };
const struct controller controller_endpointslice
    = { .name = "endpointslice", .informers = slice_informers, .map = map, .sync = sync_slices };
