#include "services/controller/gc_decide.h"

#include "services/controller/meta.h"

#define UNKNOWN_RETRY_MS 500

/* A merge patch of metadata that applies to exactly this state of o only. */
static struct value *
metadata_patch (struct arena *a, const struct value *o, const char *field, struct value *list)
{
  struct value *patch = value_map (a), *metadata = value_map (a);
  value_set_string (a, metadata, "uid", meta_uid (o));
  value_set_string (a, metadata, "resourceVersion", value_path_string (o, "metadata.resourceVersion", NULL));
  value_set (a, metadata, field, value_count (list) ? list : value_null (a));
  value_set (a, patch, "metadata", metadata);
  return patch;
}

static void
send_patch (struct actions *as, const struct gc_dependent *d, struct value *patch)
{
  actions_patch (as, d->group, d->version, d->resource, NULL, meta_namespace (d->object), meta_name (d->object), "merge", patch)
      ->ignore_not_found
      = true;
}

static void
remove_finalizer (const struct gc_input *in, struct actions *as, const char *finalizer)
{
  struct value *left = value_array (as->arena);
  const struct gc_dependent self = { in->object, in->group, in->version, in->resource };
  for (value_items (value_path (in->object, "metadata.finalizers"), it))
    if (!value_string_is (*it, finalizer))
      value_append (as->arena, left, *it);
  send_patch (as, &self, metadata_patch (as->arena, in->object, "finalizers", left));
}

static const struct value *
reference_to (const struct value *o, const char *uid)
{
  for (value_items (value_path (o, "metadata.ownerReferences"), it))
    if (value_string_is (value_get (*it, "uid"), uid))
      return *it;
  return NULL;
}

static void
orphan (const struct gc_input *in, struct actions *as)
{
  const char *uid = meta_uid (in->object);
  for (size_t i = 0; i < in->n_dependents; i++)
    {
      struct value *left = value_array (as->arena);
      for (value_items (value_path (in->dependents[i].object, "metadata.ownerReferences"), it))
        if (!value_string_is (value_get (*it, "uid"), uid))
          value_append (as->arena, left, *it);
      send_patch (as, &in->dependents[i], metadata_patch (as->arena, in->dependents[i].object, "ownerReferences", left));
    }
  remove_finalizer (in, as, "orphan");
}

static bool
waits_for_dependents (const struct value *o)
{
  return meta_deleting (o) && meta_has_finalizer (o, "foregroundDeletion");
}

static void
delete_object (const struct gc_input *in, struct actions *as, const char *policy)
{
  struct arena *a = as->arena;
  struct action *x = actions_delete (as, in->group, in->version, in->resource, meta_namespace (in->object), meta_name (in->object),
                                     meta_uid (in->object));
  struct value *options = value_clone (a, x->request.options);
  value_set_string (a, options, "propagationPolicy", policy);
  value_set_path (a, options, "preconditions.resourceVersion",
                  value_string (a, value_path_string (in->object, "metadata.resourceVersion", NULL)));
  x->request.options = options;
}

static void
collect (const struct gc_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  const struct value *refs = value_path (in->object, "metadata.ownerReferences");
  const struct gc_dependent self = { in->object, in->group, in->version, in->resource };
  size_t n[4] = { 0 };
  struct value *solid = value_array (a);
  for (size_t i = 0; i < value_count (refs); i++)
    {
      n[in->owners[i]]++;
      if (in->owners[i] == GC_OWNER_SOLID)
        value_append (a, solid, value_at (refs, i));
    }
  if (!value_count (refs))
    return;
  if (n[GC_OWNER_UNKNOWN])
    {
      actions_requeue (as, UNKNOWN_RETRY_MS);
      return;
    }
  if (n[GC_OWNER_SOLID])
    {
      if (n[GC_OWNER_ABSENT] || n[GC_OWNER_WAITING])
        send_patch (as, &self, metadata_patch (a, in->object, "ownerReferences", solid));
      return;
    }
  if (n[GC_OWNER_WAITING] && in->n_dependents)
    {
      bool cycle = false;
      for (size_t i = 0; i < in->n_dependents; i++)
        cycle |= waits_for_dependents (in->dependents[i].object);
      if (cycle)
        { /* a ring of owners that wait for one another: this one blocks no longer */
          struct value *open = value_clone (a, refs);
          bool blocks = false;
          for (value_items (open, it))
            {
              blocks |= value_path_bool (*it, "blockOwnerDeletion", false);
              value_set_bool (a, *it, "blockOwnerDeletion", false);
            }
          if (blocks)
            {
              send_patch (as, &self, metadata_patch (a, in->object, "ownerReferences", open));
              return; /* the deletion follows when this is seen */
            }
        }
      delete_object (in, as, "Foreground");
      return;
    }
  delete_object (in, as,
                 meta_has_finalizer (in->object, "orphan")               ? "Orphan"
                 : meta_has_finalizer (in->object, "foregroundDeletion") ? "Foreground"
                                                                         : "Background");
}

void
gc_decide (const struct gc_input *in, struct actions *as)
{
  if (!meta_deleting (in->object))
    {
      collect (in, as);
      return;
    }
  if (meta_has_finalizer (in->object, "orphan"))
    {
      orphan (in, as);
      return;
    }
  if (!meta_has_finalizer (in->object, "foregroundDeletion"))
    return;
  const char *uid = meta_uid (in->object);
  for (size_t i = 0; i < in->n_dependents; i++)
    if (value_path_bool (reference_to (in->dependents[i].object, uid), "blockOwnerDeletion", false))
      return; /* its deletion brings us back */
  remove_finalizer (in, as, "foregroundDeletion");
}
