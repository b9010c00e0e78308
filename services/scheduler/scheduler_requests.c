#include "services/scheduler/scheduler_index.h"

#define DEFAULT_CPU_MILLI 100
#define DEFAULT_MEMORY_BYTES (200LL << 20)

int64_t
sched_extended_of (const struct sched_resources *r, const char *name)
{
  for (size_t i = 0; i < r->n_extended; i++)
    if (!strcmp (r->extended[i].name, name))
      return r->extended[i].amount;
  return 0;
}

static int64_t
add (int64_t a, int64_t b)
{
  int64_t r;
  return __builtin_add_overflow (a, b, &r) ? INT64_MAX : r;
}

/* The entry of that name, made when absent; NULL beyond the limit. */
static struct sched_extended *
extended (struct arena *a, struct sched_resources *r, const char *name)
{
  for (size_t i = 0; i < r->n_extended; i++)
    if (!strcmp (r->extended[i].name, name))
      return &r->extended[i];
  if (!r->extended)
    r->extended = arena_zalloc (a, SCHED_EXTENDED_MAX * sizeof *r->extended);
  if (!r->extended || r->n_extended == SCHED_EXTENDED_MAX)
    return NULL;
  r->extended[r->n_extended] = (struct sched_extended){ arena_strdup (a, name), 0 };
  return r->extended[r->n_extended].name ? &r->extended[r->n_extended++] : NULL;
}

enum how { HOW_ADD, HOW_MAX, HOW_SET };

static void
combine_one (int64_t *into, int64_t v, enum how how)
{
  *into = how == HOW_ADD ? add (*into, v) : how == HOW_MAX ? (v > *into ? v : *into) : v;
}

/* into (+, max, =) a resource list as in requests. */
static void
combine_list (struct arena *a, struct sched_resources *into, const struct value *list, enum how how)
{
  for (value_each (list, m)) {
    if (!strcmp (m->key, "cpu"))
      combine_one (&into->cpu_milli, quantity_of (m->value, true), how);
    else if (!strcmp (m->key, "memory"))
      combine_one (&into->memory_bytes, quantity_of (m->value, false), how);
    else if (!strcmp (m->key, "ephemeral-storage"))
      combine_one (&into->ephemeral_bytes, quantity_of (m->value, false), how);
    else if (strcmp (m->key, "pods") != 0) {
      struct sched_extended *e = extended (a, into, m->key);
      if (e)
        combine_one (&e->amount, quantity_of (m->value, false), how);
    }
  }
}

static void
combine (struct arena *a, struct sched_resources *into, const struct sched_resources *r, enum how how)
{
  combine_one (&into->cpu_milli, r->cpu_milli, how);
  combine_one (&into->memory_bytes, r->memory_bytes, how);
  combine_one (&into->ephemeral_bytes, r->ephemeral_bytes, how);
  for (size_t i = 0; i < r->n_extended; i++) {
    struct sched_extended *e = extended (a, into, r->extended[i].name);
    if (e)
      combine_one (&e->amount, r->extended[i].amount, how);
  }
}

static void
container_requests (struct arena *a, const struct value *container, bool nonzero, struct sched_resources *ret)
{
  const struct value *requests = value_path (container, "resources.requests");
  *ret = (struct sched_resources){ 0 };
  combine_list (a, ret, requests, HOW_ADD);
  if (nonzero && !value_get (requests, "cpu"))
    ret->cpu_milli = DEFAULT_CPU_MILLI;
  if (nonzero && !value_get (requests, "memory"))
    ret->memory_bytes = DEFAULT_MEMORY_BYTES;
}

void
sched_pod_requests (struct arena *a, const struct value *pod, bool nonzero, struct sched_resources *ret)
{
  const struct value *spec = value_get (pod, "spec");
  struct sched_resources sum = { 0 }, sidecars = { 0 }, init = { 0 }, one;
  for (value_items (value_get (spec, "containers"), c)) {
    container_requests (a, *c, nonzero, &one);
    combine (a, &sum, &one, HOW_ADD);
  }
  for (value_items (value_get (spec, "initContainers"), ic)) {
    container_requests (a, *ic, nonzero, &one);
    if (value_string_is (value_get (*ic, "restartPolicy"), "Always")) {
      combine (a, &sum, &one, HOW_ADD);
      combine (a, &sidecars, &one, HOW_ADD);
      combine (a, &init, &sidecars, HOW_MAX);
    } else {
      combine (a, &one, &sidecars, HOW_ADD);
      combine (a, &init, &one, HOW_MAX);
    }
  }
  combine (a, &sum, &init, HOW_MAX);
  combine_list (a, &sum, value_path (spec, "resources.requests"), HOW_SET);
  combine_list (a, &sum, value_get (spec, "overhead"), HOW_ADD);
  *ret = sum;
}

void
sched_resources_add (struct arena *a, struct sched_resources *into, const struct sched_resources *r, int sign)
{
  into->cpu_milli = add (into->cpu_milli, sign * r->cpu_milli);
  into->memory_bytes = add (into->memory_bytes, sign * r->memory_bytes);
  into->ephemeral_bytes = add (into->ephemeral_bytes, sign * r->ephemeral_bytes);
  for (size_t i = 0; i < r->n_extended; i++) {
    struct sched_extended *e = extended (a, into, r->extended[i].name);
    if (e)
      e->amount = add (e->amount, sign * r->extended[i].amount);
  }
}

void
sched_resources_of_list (struct arena *a, const struct value *list, struct sched_resources *ret)
{
  *ret = (struct sched_resources){ 0 };
  combine_list (a, ret, list, HOW_ADD);
}
