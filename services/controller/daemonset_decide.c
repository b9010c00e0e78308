#include "services/controller/daemonset_decide.h"

#include <inttypes.h>

#include "services/controller/claim.h"
#include "services/controller/meta.h"

#define COMPONENT "daemonset-controller"
#define HASH_LABEL "controller-revision-hash"

struct ds {
  const struct daemonset_input *in;
  const struct value *ds;
  struct actions *as;
  struct arena *arena;
  const char *hash;
  struct value *pods;
  size_t made, deleted;
  int64_t desired, current, misscheduled, ready, available, updated;
};

/* The node that a pod is on or is meant for. */
static const char *
node_of (const struct value *pod)
{
  const char *name = value_path_string (pod, "spec.nodeName", "");
  if (*name)
    return name;
  for (value_items (value_path (pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"), t))
    for (value_items (value_get (*t, "matchFields"), f))
      if (value_string_is (value_get (*f, "key"), "metadata.name"))
        return value_as_string (value_at (value_get (*f, "values"), 0), "");
  return "";
}

static bool
is_updated (const struct ds *s, const struct value *pod)
{
  return strcmp (meta_label (pod, HASH_LABEL), s->hash) == 0;
}

static void
delete_pod (struct ds *s, const struct value *pod)
{
  if (s->deleted >= s->in->burst)
    return;
  s->deleted++;
  actions_delete (s->as, "", "v1", "pods", meta_namespace (pod), meta_name (pod), meta_uid (pod))->together = true;
  actions_event (s->as, s->ds, "Normal", "SuccessfulDelete", COMPONENT, "Deleted pod: %s", meta_name (pod));
  s->as->items[s->as->count - 1].with_previous = true;
}

/* The pod is the scheduler's to place, on this node only. */
static void
pin (struct arena *a, struct value *spec, const char *node)
{
  struct value *field = value_map (a), *values = value_array (a), *fields = value_array (a);
  value_append (a, values, value_string (a, node));
  value_set_string (a, field, "key", "metadata.name");
  value_set_string (a, field, "operator", "In");
  value_set (a, field, "values", values);
  value_append (a, fields, field);
  struct value *node_affinity = value_ensure_map (a, value_ensure_map (a, spec, "affinity"), "nodeAffinity");
  struct value *required = value_ensure_map (a, node_affinity, "requiredDuringSchedulingIgnoredDuringExecution");
  struct value *terms = value_ensure_array (a, required, "nodeSelectorTerms");
  if (!value_count (terms))
    value_append (a, terms, value_map (a));
  for (value_items (terms, it))
    value_set (a, *it, "matchFields", value_clone (a, fields));
}

static void
create_pod (struct ds *s, const char *node)
{
  struct arena *a = s->arena;
  if (s->made >= s->in->burst)
    return;
  const char *prefix = arena_printf (a, "%s-", meta_name (s->ds));
  const char *name = meta_generated_name (a, prefix, s->in->salt, s->made++);
  struct value *pod = meta_pod_of (a, value_path (s->ds, "spec.template"), s->ds, "apps/v1", "DaemonSet", name, prefix);
  struct value *labels = value_ensure_map (a, value_get (pod, "metadata"), "labels"), *spec = value_get (pod, "spec");
  value_set_string (a, labels, HASH_LABEL, s->hash);
  value_set_string (a, labels, "pod-template-generation",
                    *meta_annotation (s->ds, "deprecated.daemonset.template.generation")
                        ? meta_annotation (s->ds, "deprecated.daemonset.template.generation")
                        : arena_printf (a, "%" PRId64, value_path_int (s->ds, "metadata.generation", 1)));
  pin (a, spec, node);
  daemonset_add_tolerations (a, spec);
  actions_create (s->as, "", "v1", "pods", meta_namespace (s->ds), pod)->together = true;
  actions_event (s->as, s->ds, "Normal", "SuccessfulCreate", COMPONENT, "Created pod: %s", name);
  s->as->items[s->as->count - 1].with_previous = true;
}

struct on_node { /* the set's pods of one node: not deleted ones */
  const struct value *old, *new_;
  size_t count;
  bool deleting;
};

static void
look_at_node (struct ds *s, const char *node, struct on_node *ret)
{
  *ret = (struct on_node) { 0 };
  for (value_items (s->pods, it))
    {
      if (strcmp (node_of (*it), node) != 0)
        continue;
      if (meta_deleting (*it))
        {
          ret->deleting = true;
          continue;
        }
      ret->count++;
      if (is_updated (s, *it))
        ret->new_ = *it;
      else
        ret->old = *it;
    }
}

/* One node: ended pods are replaced, surplus ones go, a missing one is made. */
static void
manage_node (struct ds *s, const struct value *node, int64_t surge)
{
  bool run, go_on, ended = false;
  size_t alive = 0;
  struct on_node x;
  daemonset_fits (s->ds, node, &run, &go_on);
  look_at_node (s, meta_name (node), &x);
  for (value_items (s->pods, it))
    {
      if (strcmp (node_of (*it), meta_name (node)) != 0 || meta_deleting (*it))
        continue;
      if (!go_on)
        delete_pod (s, *it);
      else if (pod_finished (*it))
        {
          ended = true;
          actions_event (s->as, s->ds, "Warning", "FailedDaemonPod", COMPONENT, "Found failed daemon pod %s/%s on node %s, will try to kill it",
                         meta_namespace (*it), meta_name (*it), meta_name (node));
          delete_pod (s, *it);
        }
      else if (alive++ > 0 && !(surge && x.old && x.new_ && x.count == 2))
        delete_pod (s, *it); /* more than one */
    }
  if (run && !alive && !ended && !x.deleting)
    create_pod (s, meta_name (node));
}

static void
roll (struct ds *s, int64_t max_unavailable, int64_t surge)
{
  int64_t min_ready = value_path_int (s->ds, "spec.minReadySeconds", 0), unavailable = 0, surging = 0;
  for (value_items (s->in->nodes, node))
    {
      bool run, go_on;
      struct on_node x;
      daemonset_fits (s->ds, *node, &run, &go_on);
      if (!run)
        continue;
      look_at_node (s, meta_name (*node), &x);
      bool up = (x.old && pod_available (x.old, min_ready, s->in->now, NULL)) || (x.new_ && pod_available (x.new_, min_ready, s->in->now, NULL));
      unavailable += !up;
      surging += x.old && x.new_;
    }
  for (int pass = 0; pass < 2; pass++) /* first those that are down anyway: they cost nothing */
    for (value_items (s->in->nodes, node))
      {
        bool run, go_on;
        struct on_node x;
        daemonset_fits (s->ds, *node, &run, &go_on);
        look_at_node (s, meta_name (*node), &x);
        if (!run || !x.old || pod_finished (x.old) || (!surge && (x.new_ || x.count > 1)))
          continue;
        bool old_up = pod_available (x.old, min_ready, s->in->now, NULL);
        if (surge)
          {
            if (pass == 0 && x.new_ && (pod_available (x.new_, min_ready, s->in->now, NULL) || !old_up))
              delete_pod (s, x.old);
            else if (pass == 1 && !x.new_ && !old_up)
              delete_pod (s, x.old);
            else if (pass == 1 && !x.new_ && !x.deleting && surging < surge)
              {
                surging++;
                create_pod (s, meta_name (*node));
              }
          }
        else if (pass == 0 && !old_up)
          delete_pod (s, x.old);
        else if (pass == 1 && old_up && unavailable < max_unavailable)
          {
            unavailable++;
            delete_pod (s, x.old);
          }
      }
}

static void
send_status (struct ds *s)
{
  struct arena *a = s->arena;
  int64_t min_ready = value_path_int (s->ds, "spec.minReadySeconds", 0), wait_ms = 0;
  for (value_items (s->in->nodes, node))
    {
      bool run, go_on;
      struct on_node x;
      daemonset_fits (s->ds, *node, &run, &go_on);
      look_at_node (s, meta_name (*node), &x);
      s->desired += run;
      if (!run)
        {
          s->misscheduled += x.count > 0;
          continue;
        }
      const struct value *pod = x.old ? x.old : x.new_;
      if (x.old && x.new_ && pod_ready (x.new_))
        pod = x.new_;
      if (!pod)
        continue;
      s->current++;
      s->ready += pod_ready (pod);
      s->available += pod_available (pod, min_ready, s->in->now, &wait_ms);
      s->updated += is_updated (s, pod);
    }
  if (wait_ms)
    actions_requeue (s->as, wait_ms);
  const struct value *old = value_get (s->ds, "status");
  struct value *status = value_is (old, VALUE_MAP) ? value_clone (a, old) : value_map (a);
  int64_t unavailable = s->desired - s->available;
  const struct {
    const char *name;
    int64_t n;
    bool always;
  } counts[] = {
    { "currentNumberScheduled", s->current, true }, { "numberMisscheduled", s->misscheduled, true },
    { "desiredNumberScheduled", s->desired, true }, { "numberReady", s->ready, true },
    { "updatedNumberScheduled", s->updated, false }, { "numberAvailable", s->available, false },
    { "numberUnavailable", unavailable > 0 ? unavailable : 0, false },
  };
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    if (counts[i].n || counts[i].always)
      value_set_int (a, status, counts[i].name, counts[i].n);
    else
      value_unset (status, counts[i].name);
  value_set_int (a, status, "observedGeneration", value_path_int (s->ds, "metadata.generation", 0));
  if (value_equal (status, old))
    return;
  struct value *ds = value_clone (a, s->ds);
  value_set (a, ds, "status", status);
  actions_update (s->as, "apps", "v1", "daemonsets", "status", ds);
}

/* The revision of the present template: found or made; old ones beyond the limit go. */
static void
keep_history (struct ds *s)
{
  struct arena *a = s->arena;
  int64_t most = 0, limit = value_path_int (s->ds, "spec.revisionHistoryLimit", 10);
  const struct value *current = NULL;
  struct value *idle = value_array (a);
  for (value_items (s->in->revisions, it))
    {
      int64_t n = value_path_int (*it, "revision", 0);
      most = n > most ? n : most;
      if (strcmp (meta_label (*it, HASH_LABEL), s->hash) == 0)
        current = *it;
    }
  for (value_items (s->in->revisions, it))
    {
      bool used = *it == current;
      for (value_items (s->pods, p))
        used |= strcmp (meta_label (*p, HASH_LABEL), meta_label (*it, HASH_LABEL)) == 0;
      if (!used)
        value_append (a, idle, *it);
    }
  if (!current)
    {
      struct value *r = value_map (a), *owners = value_array (a), *data = value_map (a);
      value_set_string (a, r, "apiVersion", "apps/v1");
      value_set_string (a, r, "kind", "ControllerRevision");
      value_set_path (a, r, "metadata.name", value_printf (a, "%s-%s", meta_name (s->ds), s->hash));
      value_set_path (a, r, "metadata.namespace", value_string (a, meta_namespace (s->ds)));
      struct value *labels = value_clone (a, value_path (s->ds, "spec.template.metadata.labels"));
      value_set_string (a, labels, HASH_LABEL, s->hash);
      value_set_path (a, r, "metadata.labels", labels);
      value_append (a, owners, meta_owner_reference (a, s->ds, "apps/v1", "DaemonSet"));
      value_set_path (a, r, "metadata.ownerReferences", owners);
      struct value *template_ = value_clone (a, value_path (s->ds, "spec.template"));
      value_set_string (a, template_, "$patch", "replace");
      value_set_path (a, data, "spec.template", template_);
      value_set (a, r, "data", data);
      value_set_int (a, r, "revision", most + 1);
      actions_create (s->as, "apps", "v1", "controllerrevisions", meta_namespace (s->ds), r)->ignore_exists = true;
    }
  else if (value_path_int (current, "revision", 0) < most)
    { /* an undo made an old template the present one */
      struct value *patch = value_map (a);
      value_set_int (a, patch, "revision", most + 1);
      actions_patch (s->as, "apps", "v1", "controllerrevisions", NULL, meta_namespace (current), meta_name (current), "merge", patch);
    }
  while ((int64_t) value_count (idle) > limit)
    {
      size_t oldest = 0;
      for (size_t i = 1; i < value_count (idle); i++)
        if (value_path_int (value_at (idle, i), "revision", 0) < value_path_int (value_at (idle, oldest), "revision", 0))
          oldest = i;
      const struct value *r = value_at (idle, oldest);
      actions_delete (s->as, "apps", "v1", "controllerrevisions", meta_namespace (r), meta_name (r), meta_uid (r));
      value_remove_at (idle, oldest);
    }
}

void
daemonset_decide (const struct daemonset_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  struct selector *selector = NULL;
  if (selector_from_label_selector (a, value_path (in->ds, "spec.selector"), &selector, NULL) != 0)
    return;
  struct claim c = { in->ds, "apps/v1", "DaemonSet", "", "v1", "pods", selector };
  struct ds s = { .in = in, .ds = in->ds, .as = as, .arena = a };
  s.hash = meta_hash_label (a, value_path (in->ds, "spec.template"), 0);
  if (!s.hash)
    return;
  s.pods = claim_objects (&c, in->pods, as);
  if (!meta_deleting (in->ds))
    keep_history (&s);
  send_status (&s);
  if (meta_deleting (in->ds))
    return;
  int64_t max_unavailable = 0, surge = 0;
  bool rolling = strcmp (value_path_string (in->ds, "spec.updateStrategy.type", "RollingUpdate"), "RollingUpdate") == 0;
  if (rolling)
    {
      const struct value *u = value_path (in->ds, "spec.updateStrategy.rollingUpdate");
      surge = meta_scaled (value_get (u, "maxSurge"), s.desired, true, 0);
      max_unavailable = meta_scaled (value_get (u, "maxUnavailable"), s.desired, true, surge ? 0 : 1);
      if (!surge && !max_unavailable)
        max_unavailable = 1;
    }
  size_t before = as->count;
  for (value_items (in->nodes, node))
    manage_node (&s, *node, surge);
  if (rolling && as->count == before)
    roll (&s, max_unavailable, surge); /* when every node has what it should: upstream does so too */
}
