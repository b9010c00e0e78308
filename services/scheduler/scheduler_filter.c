#include <errno.h>

#include "services/scheduler/scheduler_cycle.h"

void
sched_refuse (struct sched_refusal *r, const char *reason, bool final)
{
  if (r->count < SCHED_REASONS_MAX)
    r->reasons[r->count++] = reason ? reason : "out of memory";
  r->final = final;
}

const char *
sched_label (const struct value *labels, const char *key)
{
  return value_as_string (value_get (labels, key), NULL);
}

/* ---- taints ---- */

bool
sched_toleration_tolerates (const struct value *t, const struct value *taint)
{
  const char *effect = value_path_string (t, "effect", ""), *key = value_path_string (t, "key", "");
  const char *op = value_path_string (t, "operator", "");
  if (*effect && strcmp (effect, value_path_string (taint, "effect", "")) != 0)
    return false;
  if (*key && strcmp (key, value_path_string (taint, "key", "")) != 0)
    return false;
  if (!strcmp (op, "Exists"))
    return true;
  return (!*op || !strcmp (op, "Equal")) && !strcmp (value_path_string (t, "value", ""), value_path_string (taint, "value", ""));
}

bool
sched_tolerates (const struct value *tolerations, const struct value *taint, const char *effect)
{
  for (value_items (tolerations, t)) {
    const char *e = value_path_string (*t, "effect", "");
    if (effect && *e && strcmp (e, effect) != 0)
      continue;
    if (sched_toleration_tolerates (*t, taint))
      return true;
  }
  return false;
}

const struct value *
sched_untolerated (const struct sched_pod *p, const struct sched_node *n)
{
  const struct value *tolerations = value_get (p->spec, "tolerations");
  for (value_items (n->taints, t)) {
    const char *effect = value_path_string (*t, "effect", "");
    if ((!strcmp (effect, "NoSchedule") || !strcmp (effect, "NoExecute")) && !sched_tolerates (tolerations, *t, NULL))
      return *t;
  }
  return NULL;
}

static bool
cordon_tolerated (struct sched_cycle *c)
{
  struct value *taint = value_map (c->arena);
  value_set_string (c->arena, taint, "key", "node.kubernetes.io/unschedulable");
  value_set_string (c->arena, taint, "effect", "NoSchedule");
  return sched_tolerates (value_get (c->pod->spec, "tolerations"), taint, NULL);
}

/* ---- node selectors ---- */

static bool
contains (const struct value *values, const char *s)
{
  for (value_items (values, v))
    if (value_string_is (*v, s))
      return true;
  return false;
}

static bool
integer (const char *s, long long *ret)
{
  char *end;
  errno = 0;
  *ret = strtoll (s, &end, 10);
  return *s && !*end && errno == 0;
}

static bool
requirement_matches (const struct value *r, const char *actual)
{
  const char *op = value_path_string (r, "operator", "");
  const struct value *values = value_get (r, "values");
  long long want, have;
  if (!strcmp (op, "In"))
    return actual && contains (values, actual);
  if (!strcmp (op, "NotIn"))
    return !actual || !contains (values, actual);
  if (!strcmp (op, "Exists"))
    return actual != NULL;
  if (!strcmp (op, "DoesNotExist"))
    return actual == NULL;
  if (!actual || value_count (values) != 1 || !integer (value_as_string (value_at (values, 0), ""), &want) || !integer (actual, &have))
    return false;
  return !strcmp (op, "Gt") ? have > want : !strcmp (op, "Lt") && have < want;
}

bool
sched_node_term_matches (const struct value *term, const struct sched_node *n)
{
  const struct value *expressions = value_get (term, "matchExpressions"), *fields = value_get (term, "matchFields");
  if (!value_count (expressions) && !value_count (fields))
    return false;
  for (value_items (expressions, e))
    if (!requirement_matches (*e, sched_label (n->labels, value_path_string (*e, "key", ""))))
      return false;
  for (value_items (fields, f))
    if (strcmp (value_path_string (*f, "key", ""), "metadata.name") != 0 || !requirement_matches (*f, n->name))
      return false;
  return true;
}

bool
sched_node_selected (const struct sched_pod *p, const struct sched_node *n)
{
  const struct value *required
      = value_path (p->spec, "nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"), *selector = value_get (p->spec, "nodeSelector");
  for (value_each (selector, m)) {
    const char *v = sched_label (n->labels, m->key);
    if (!v || !value_string_is (m->value, v))
      return false;
  }
  if (!required)
    return true;
  for (value_items (value_get (required, "nodeSelectorTerms"), t))
    if (sched_node_term_matches (*t, n))
      return true;
  return false;
}

/* ---- ports and resources ---- */

static bool
ports_conflict (const struct sched_port *a, const struct sched_port *b)
{
  return a->port == b->port && !strcmp (a->protocol, b->protocol) && (!*a->ip || !*b->ip || !strcmp (a->ip, b->ip));
}

static bool
ports_free (const struct sched_pod *p, const struct sched_node *n)
{
  if (!p->n_ports)
    return true;
  for (size_t i = 0; i < n->n_pods; i++) {
    const struct sched_pod *q = n->pods[i];
    for (size_t j = 0; !q->away && j < q->n_ports; j++)
      for (size_t k = 0; k < p->n_ports; k++)
        if (ports_conflict (&q->ports[j], &p->ports[k]))
          return false;
  }
  return true;
}

/* What pods of at least our priority that were nominated to this node will need. */
static void
add_nominated (struct sched_cycle *c, const struct sched_node *n, struct sched_resources *sum, size_t *pods)
{
  void *v;
  if (map_count (c->s->nominated) == 0)
    return;
  for (size_t it = 0; map_next (c->s->nominated, &it, NULL, &v);) {
    const struct sched_pod *q = v;
    if (q != c->pod && q->priority >= c->pod->priority && !q->node && !strcmp (q->nominated, n->name)) {
      sched_resources_add (c->arena, sum, &q->requests, 1);
      ++*pods;
    }
  }
}

static void
filter_fit (struct sched_cycle *c, const struct sched_node *n, struct sched_refusal *ret)
{
  const struct sched_resources *r = &c->pod->requests, *have = &n->allocatable, *used = &n->requested;
  struct sched_resources more = { 0 };
  size_t pods = n->n_pods - n->n_away;
  add_nominated (c, n, &more, &pods);
  if ((int64_t) pods + 1 > n->allocatable_pods)
    sched_refuse (ret, "Too many pods", false);
  if (r->cpu_milli > 0 && r->cpu_milli > have->cpu_milli - used->cpu_milli - more.cpu_milli)
    sched_refuse (ret, "Insufficient cpu", false);
  if (r->memory_bytes > 0 && r->memory_bytes > have->memory_bytes - used->memory_bytes - more.memory_bytes)
    sched_refuse (ret, "Insufficient memory", false);
  if (r->ephemeral_bytes > 0 && r->ephemeral_bytes > have->ephemeral_bytes - used->ephemeral_bytes - more.ephemeral_bytes)
    sched_refuse (ret, "Insufficient ephemeral-storage", false);
  for (size_t i = 0; i < r->n_extended; i++) {
    const char *name = r->extended[i].name;
    int64_t left = sched_extended_of (have, name) - sched_extended_of (used, name) - sched_extended_of (&more, name);
    if (r->extended[i].amount > 0 && r->extended[i].amount > left)
      sched_refuse (ret, arena_printf (c->arena, "Insufficient %s", name), false);
  }
}

void
sched_filter (struct sched_cycle *c, const struct sched_node *n, struct sched_refusal *ret)
{
  const struct sched_pod *p = c->pod;
  const struct value *taint;
  *ret = (struct sched_refusal){ 0 };
  if (n->unschedulable && !cordon_tolerated (c)) {
    sched_refuse (ret, "node(s) were unschedulable", true);
  } else if (*p->node_name && strcmp (p->node_name, n->name) != 0) {
    sched_refuse (ret, "node(s) didn't match the requested node name", true);
  } else if ((taint = sched_untolerated (p, n))) {
    sched_refuse (ret, arena_printf (c->arena, "node(s) had untolerated taint {%s: %s}", value_path_string (taint, "key", ""), value_path_string (taint, "value", "")),
                  true);
  } else if (!sched_node_selected (p, n)) {
    sched_refuse (ret, "node(s) didn't match Pod's node affinity/selector", true);
  } else if (!ports_free (p, n)) {
    sched_refuse (ret, "node(s) didn't have free ports for the requested pod ports", false);
  } else {
    filter_fit (c, n, ret);
    if (!ret->count)
      sched_pods_filter_spread (c, n, ret);
    if (!ret->count)
      sched_pods_filter_affinity (c, n, ret);
  }
}
