#include "base/map.h"
#include "services/controller/controllers.h"
#include "services/controller/node_decide.h"

#define LEASES "leases.coordination.k8s.io/kube-node-lease"
#define QUARANTINE_MS 40000

static void
map_node (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, "nodes") == 0)
    mapping_add (m, NULL, meta_name (o));
  else if (strcmp (m->informer, LEASES) == 0)
    {
      if (m->new_ && m->old)
        return; /* a heartbeat: the timer that runs finds it */
      mapping_add (m, NULL, meta_name (o));
    }
  else if (m->new_ && (!m->old || !*value_path_string (m->old, "spec.nodeName", "")))
    mapping_add (m, NULL, value_path_string (o, "spec.nodeName", ""));
}

static void
sync_node (struct sync *s)
{
  struct value *node = view_get (&s->view, "nodes", NULL, s->name);
  if (!node)
    return;
  struct node_input in = { .node = node, .lease = view_get (&s->view, LEASES, "kube-node-lease", s->name),
                           .pods = view_indexed (&s->view, "pods", "node", s->name), .now = s->now,
                           .grace_s = s->config->node_grace_s };
  node_decide (&in, s->actions);
}

/* Keys are names of nodes that pods are bound to, and ENDED for the pods that ended, wherever they are. */
#define ENDED "*"

static struct map *gone_since; /* node -> monotonic ms since when it is missing, as int64_t * */

static void
map_pod_gc (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, "nodes") == 0)
    {
      if (!m->new_ || !m->old)
        mapping_add (m, NULL, meta_name (o));
    }
  else if (m->new_ && (!m->old || !*value_path_string (m->old, "spec.nodeName", "")))
    mapping_add (m, NULL, value_path_string (o, "spec.nodeName", ""));
  if (strcmp (m->informer, "pods") == 0 && m->new_ && pod_finished (m->new_) && !(m->old && pod_finished (m->old)))
    mapping_add (m, NULL, ENDED);
}

struct ended {
  struct arena *arena;
  struct value *list;
};
static void
collect_ended (void *arg, const struct value *pod)
{
  struct ended *e = arg;
  static const char *const kept[] = { "metadata.name", "metadata.namespace", "metadata.uid", "metadata.creationTimestamp" };
  if (!pod_finished (pod) || meta_deleting (pod))
    return;
  struct value *v = value_map (e->arena);
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    value_set_path (e->arena, v, kept[i], value_clone (e->arena, value_path (pod, kept[i])));
  value_append (e->arena, e->list, v);
}

static void
sync_pod_gc (struct sync *s)
{
  if (strcmp (s->key, ENDED) == 0)
    {
      struct ended e = { s->view.arena, value_array (s->view.arena) };
      view_each (&s->view, "pods", collect_ended, &e);
      terminated_pods_decide (e.list, s->config->terminated_pods_max, s->actions);
      return;
    }
  int64_t now_ms = mono_now ().ns / 1000000;
  if (!gone_since && !(gone_since = map_new (free)))
    {
      actions_requeue (s->actions, QUARANTINE_MS);
      return;
    }
  if (view_get (&s->view, "nodes", NULL, s->name))
    {
      map_delete (gone_since, s->name);
      return;
    }
  int64_t *since = map_get (gone_since, s->name);
  if (!since)
    {
      since = mem_zalloc (sizeof *since);
      if (!since || map_set (gone_since, s->name, since) != 0)
        {
          free (since);
          actions_requeue (s->actions, QUARANTINE_MS);
          return;
        }
      *since = now_ms;
    }
  struct pod_gc_input in = { .pods = view_indexed (&s->view, "pods", "node", s->name), .gone_ms = now_ms - *since,
                             .quarantine_ms = QUARANTINE_MS };
  pod_gc_decide (&in, s->actions);
  if (!value_count (in.pods))
    map_delete (gone_since, s->name);
}

static void
resync_one (void *arg, const struct value *pod)
{
  mapping_add (arg, NULL, value_path_string (pod, "spec.nodeName", ""));
}

static void
resync_pod_gc (struct mapping *m)
{
  view_each (&m->view, "pods", resync_one, m);
  mapping_add (m, NULL, ENDED);
}

static const char *const node_informers[] = { "nodes", "pods", LEASES, NULL };
static const char *const pod_gc_informers[] = { "pods", "nodes", NULL };

const struct controller controller_node
    = { .name = "node-lifecycle", .informers = node_informers, .map = map_node, .sync = sync_node };
const struct controller controller_pod_gc
    = { .name = "pod-garbage-collector", .informers = pod_gc_informers, .map = map_pod_gc, .sync = sync_pod_gc, .resync = resync_pod_gc };
