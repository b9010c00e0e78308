#include "services/scheduler/scheduler_parse.h"

/* What a placement reads of a pod's spec later than here. */
static const char *const spec_fields[] = { "tolerations", "nodeSelector", "nodeName", "preemptionPolicy" };

static const struct selector *
label_selector (struct arena *a, const struct value *v, bool *ret_invalid)
{
  struct selector *s = NULL;
  if (selector_from_label_selector (a, v, &s, NULL) != 0)
    *ret_invalid = true;
  return s;
}

/* The selector with the pod's own values of keys required (op In) or excluded (NotIn). (kubernetes: matchLabelKeys) */
static const struct value *
with_label_keys (struct arena *a, const struct value *selector, const struct value *keys, const struct value *labels, const char *op)
{
  struct value *copy;
  if (!value_count (keys) || !selector)
    return selector;
  copy = value_clone (a, selector);
  for (value_items (keys, k)) {
    const char *key = value_as_string (*k, ""), *v = sched_label (labels, key);
    struct value *e, *values;
    if (!v)
      continue;
    e = value_map (a);
    values = value_array (a);
    value_append (a, values, value_string (a, v));
    value_set_string (a, e, "key", key);
    value_set_string (a, e, "operator", op);
    value_set (a, e, "values", values);
    value_append (a, value_ensure_array (a, copy, "matchExpressions"), e);
  }
  return copy;
}

static void
parse_terms (struct sched_pod *p, const struct value *list, bool preferred, struct sched_terms *ret)
{
  struct arena *a = &p->arena;
  size_t n = value_count (list);
  ret->items = n ? arena_zalloc (a, n * sizeof *ret->items) : NULL;
  for (size_t i = 0; ret->items && i < n; i++) {
    const struct value *v = value_at (list, i), *term = preferred ? value_get (v, "podAffinityTerm") : v, *sel;
    struct sched_term *t = &ret->items[i];
    sel = with_label_keys (a, value_get (term, "labelSelector"), value_get (term, "matchLabelKeys"), p->labels, "In");
    sel = with_label_keys (a, sel, value_get (term, "mismatchLabelKeys"), p->labels, "NotIn");
    t->selector = label_selector (a, sel, &t->invalid);
    t->namespaces = value_clone (a, value_get (term, "namespaces"));
    if (value_get (term, "namespaceSelector"))
      t->namespace_selector = label_selector (a, value_get (term, "namespaceSelector"), &t->invalid);
    t->topology_key = arena_strdup (a, value_path_string (term, "topologyKey", ""));
    t->weight = preferred ? value_path_int (v, "weight", 0) : 0;
  }
  ret->count = ret->items ? n : 0;
}

/* Constraints of the pod, or, when it has none, the defaults that spread the pods of one controller. (kubernetes:
   podtopologyspread systemDefaultConstraints: hostname 3, zone 5, both ScheduleAnyway) */
static void
parse_spreads (struct sched_pod *p, const struct value *list)
{
  struct arena *a = &p->arena;
  size_t n = value_count (list);
  if (n == 0 && p->owner_uid && *p->owner_uid) {
    p->spreads = arena_zalloc (a, 2 * sizeof *p->spreads);
    p->n_spreads = p->spreads ? 2 : 0;
    if (p->spreads) {
      p->spreads[0] = (struct sched_spread){ .topology_key = "kubernetes.io/hostname", .max_skew = 3, .by_owner = true, .honor_affinity = true };
      p->spreads[1] = (struct sched_spread){ .topology_key = "topology.kubernetes.io/zone", .max_skew = 5, .by_owner = true, .honor_affinity = true };
    }
    return;
  }
  p->spreads = n ? arena_zalloc (a, n * sizeof *p->spreads) : NULL;
  for (size_t i = 0; p->spreads && i < n; i++) {
    const struct value *v = value_at (list, i);
    struct sched_spread *c = &p->spreads[i];
    bool invalid = false;
    c->selector = label_selector (a, with_label_keys (a, value_get (v, "labelSelector"), value_get (v, "matchLabelKeys"), p->labels, "In"), &invalid);
    c->topology_key = arena_strdup (a, value_path_string (v, "topologyKey", ""));
    c->max_skew = value_path_int (v, "maxSkew", 1);
    c->min_domains = value_path_int (v, "minDomains", 1);
    c->hard = strcmp (value_path_string (v, "whenUnsatisfiable", "DoNotSchedule"), "ScheduleAnyway") != 0;
    c->honor_affinity = strcmp (value_path_string (v, "nodeAffinityPolicy", "Honor"), "Honor") == 0;
    c->honor_taints = strcmp (value_path_string (v, "nodeTaintsPolicy", "Ignore"), "Honor") == 0;
  }
  p->n_spreads = p->spreads ? n : 0;
}

static size_t
count_ports (const struct value *containers)
{
  size_t n = 0;
  for (value_items (containers, c))
    n += value_count (value_get (*c, "ports"));
  return n;
}

static void
add_ports (struct sched_pod *p, const struct value *container)
{
  for (value_items (value_get (container, "ports"), v)) {
    int64_t port = value_path_int (*v, "hostPort", 0);
    const char *ip = value_path_string (*v, "hostIP", "");
    if (port <= 0)
      continue;
    p->ports[p->n_ports++] = (struct sched_port){ .ip = arena_strdup (&p->arena, strcmp (ip, "0.0.0.0") != 0 ? ip : ""),
                                                  .protocol = arena_strdup (&p->arena, value_path_string (*v, "protocol", "TCP")),
                                                  .port = port };
  }
}

static void
parse_ports (struct sched_pod *p, const struct value *spec)
{
  const struct value *containers = value_get (spec, "containers"), *init = value_get (spec, "initContainers");
  size_t n = count_ports (containers) + count_ports (init);
  p->ports = n ? arena_zalloc (&p->arena, n * sizeof *p->ports) : NULL;
  if (!p->ports)
    return;
  for (value_items (containers, c))
    add_ports (p, *c);
  for (value_items (init, ic))
    if (value_string_is (value_get (*ic, "restartPolicy"), "Always"))
      add_ports (p, *ic);
}

/* "nginx" is "nginx:latest" where nodes list their images. */
static const char *
image_name (struct arena *a, const char *image)
{
  const char *slash = strrchr (image, '/'), *colon = strrchr (image, ':');
  if (strchr (image, '@') || (colon && (!slash || colon > slash)))
    return arena_strdup (a, image);
  return arena_printf (a, "%s:latest", image);
}

static void
parse_images (struct sched_pod *p, const struct value *containers)
{
  size_t n = value_count (containers);
  p->images = n ? arena_zalloc (&p->arena, n * sizeof *p->images) : NULL;
  for (size_t i = 0; p->images && i < n; i++)
    p->images[p->n_images++] = image_name (&p->arena, value_path_string (value_at (containers, i), "image", ""));
}

static const char *
controller_uid (const struct value *metadata)
{
  for (value_items (value_get (metadata, "ownerReferences"), o))
    if (value_path_bool (*o, "controller", false))
      return value_path_string (*o, "uid", "");
  return "";
}

static void
parse_facts (struct sched_pod *p, const struct value *pod)
{
  struct arena *a = &p->arena;
  const struct value *metadata = value_get (pod, "metadata"), *spec = value_get (pod, "spec"), *status = value_get (pod, "status");
  const char *phase = value_path_string (status, "phase", "");
  struct value *kept = value_map (a);

  p->namespace_ = arena_strdup (a, value_path_string (metadata, "namespace", ""));
  p->name = arena_strdup (a, value_path_string (metadata, "name", ""));
  p->key = arena_printf (a, "%s/%s", p->namespace_ ? p->namespace_ : "", p->name ? p->name : "");
  p->uid = arena_strdup (a, value_path_string (metadata, "uid", ""));
  p->owner_uid = arena_strdup (a, controller_uid (metadata));
  p->labels = value_clone (a, value_get (metadata, "labels"));
  p->node_name = arena_strdup (a, value_path_string (spec, "nodeName", ""));
  p->nominated = arena_strdup (a, value_path_string (status, "nominatedNodeName", ""));
  p->scheduler_name = arena_strdup (a, value_path_string (spec, "schedulerName", "default-scheduler"));
  p->priority = value_path_int (spec, "priority", 0);
  p->never_preempts = !strcmp (value_path_string (spec, "preemptionPolicy", ""), "Never");
  p->terminating = value_get (metadata, "deletionTimestamp") != NULL;
  p->ended = !strcmp (phase, "Succeeded") || !strcmp (phase, "Failed");
  p->gated = value_count (value_get (spec, "schedulingGates")) > 0;
  p->start_time = arena_strdup (a, value_path_string (status, "startTime", ""));
  for (size_t i = 0; i < sizeof spec_fields / sizeof *spec_fields; i++) {
    const struct value *v = value_get (spec, spec_fields[i]);
    if (v)
      value_set (a, kept, spec_fields[i], value_clone (a, v));
  }
  if (value_path (spec, "affinity.nodeAffinity"))
    value_set (a, kept, "nodeAffinity", value_clone (a, value_path (spec, "affinity.nodeAffinity")));
  p->spec = kept;
}

struct sched_pod *
sched_pod_parse (const struct value *pod)
{
  struct sched_pod *p = mem_zalloc (sizeof *p);
  const struct value *spec = value_get (pod, "spec");
  if (!p)
    return NULL;
  arena_init (&p->arena, 0);
  parse_facts (p, pod);
  sched_pod_requests (&p->arena, pod, false, &p->requests);
  sched_pod_requests (&p->arena, pod, true, &p->nonzero);
  parse_ports (p, spec);
  parse_images (p, value_get (spec, "containers"));
  parse_terms (p, value_path (spec, "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution"), false, &p->affinity);
  parse_terms (p, value_path (spec, "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"), false, &p->anti_affinity);
  parse_terms (p, value_path (spec, "affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution"), true, &p->preferred_affinity);
  parse_terms (p, value_path (spec, "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution"), true, &p->preferred_anti_affinity);
  parse_spreads (p, value_get (spec, "topologySpreadConstraints"));
  if (!arena_ok (&p->arena)) {
    sched_pod_free (p);
    return NULL;
  }
  return p;
}

void
sched_pod_free (struct sched_pod *p)
{
  if (!p)
    return;
  arena_done (&p->arena);
  free (p);
}

bool
sched_node_parse (struct sched_node *n, const struct value *node)
{
  struct arena *a = &n->arena;
  const struct value *allocatable = value_path (node, "status.allocatable");
  bool ok = true;
  n->name = arena_strdup (a, value_path_string (node, "metadata.name", ""));
  n->labels = value_clone (a, value_path (node, "metadata.labels"));
  n->taints = value_clone (a, value_path (node, "spec.taints"));
  n->unschedulable = value_path_bool (node, "spec.unschedulable", false);
  sched_resources_of_list (a, allocatable, &n->allocatable);
  n->allocatable_pods = quantity_of (value_get (allocatable, "pods"), false);
  n->images = map_new (NULL);
  for (value_items (value_path (node, "status.images"), i)) {
    int64_t size = value_path_int (*i, "sizeBytes", 0);
    for (value_items (value_get (*i, "names"), name))
      if (n->images && size > 0)
        ok = map_set (n->images, value_as_string (*name, ""), (void *) (intptr_t) size) == 0 && ok;
  }
  return arena_ok (a) && n->images && ok;
}
