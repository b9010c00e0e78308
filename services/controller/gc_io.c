#include <bsd/string.h>

#include "schemas/schema.h"
#include "services/controller/controllers.h"
#include "services/controller/gc_decide.h"

/* Keys are "PREFIX:NAMESPACE/NAME" or "PREFIX:NAME": objects of every kind. */

static void
add_object (struct mapping *m, const char *prefix, const struct value *o)
{
  char key[768];
  const char *namespace_ = meta_namespace (o);
  snprintf (key, sizeof key, "%s:%s%s%s", prefix, namespace_, *namespace_ ? "/" : "", meta_name (o));
  mapping_add_key (m, key);
}

static const struct schema_kind *
kind_of_reference (const struct value *ref)
{
  const char *version = value_path_string (ref, "apiVersion", ""), *slash = strchr (version, '/');
  char group[128] = "";
  if (slash)
    snprintf (group, sizeof group, "%.*s", (int) (slash - version), version);
  const struct schema_kind *k = schema_kind_by_kind (group, slash ? slash + 1 : version, value_path_string (ref, "kind", ""));
  return k && !k->virtual_ ? schema_kind_storage (k) : NULL;
}

static void
add_dependents (struct mapping *m, const struct value *o)
{
  for (size_t i = 0; i < view_informers (&m->view); i++)
    {
      const char *informer = view_informer_name (&m->view, i);
      if (strchr (informer, '/'))
        continue;
      for (value_items (view_indexed (&m->view, informer, "owner", meta_uid (o)), it))
        add_object (m, informer, *it);
    }
}

static void
add_waiting_owners (struct mapping *m, const struct value *o)
{
  for (value_items (value_path (o, "metadata.ownerReferences"), it))
    {
      const struct schema_kind *k = kind_of_reference (*it);
      char prefix[192];
      if (!k)
        continue;
      schema_storage_prefix (k, prefix, sizeof prefix);
      const struct value *owner
          = view_get (&m->view, prefix, k->namespaced ? meta_namespace (o) : NULL, value_path_string (*it, "name", ""));
      if (owner && meta_deleting (owner))
        add_object (m, prefix, owner);
    }
}

static void
map (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strchr (m->informer, '/'))
    return;
  if (!m->new_)
    {
      add_dependents (m, o);
      add_waiting_owners (m, o);
      return;
    }
  bool owned = value_count (value_path (o, "metadata.ownerReferences")) > 0;
  if (m->old && meta_deleting (m->old) == meta_deleting (o)
      && value_equal (value_path (m->old, "metadata.ownerReferences"), value_path (o, "metadata.ownerReferences"))
      && value_equal (value_path (m->old, "metadata.finalizers"), value_path (o, "metadata.finalizers")))
    return;
  if (owned || meta_deleting (o))
    add_object (m, m->informer, o);
  if (meta_deleting (o) && meta_has_finalizer (o, "foregroundDeletion"))
    add_dependents (m, o);
  if (m->old)
    add_waiting_owners (m, m->old);
}

struct resync {
  struct mapping *mapping;
  const char *informer;
};
static void
resync_one (void *arg, const struct value *o)
{
  struct resync *r = arg;
  if (value_count (value_path (o, "metadata.ownerReferences")) || meta_deleting (o))
    add_object (r->mapping, r->informer, o);
}

static void
resync (struct mapping *m)
{
  for (size_t i = 0; i < view_informers (&m->view); i++)
    {
      const char *informer = view_informer_name (&m->view, i);
      if (strchr (informer, '/'))
        continue;
      struct resync r = { m, informer };
      view_each (&m->view, informer, resync_one, &r);
    }
}

static enum gc_owner_state
owner_state (struct sync *s, const struct value *o, const struct value *ref)
{
  const struct schema_kind *k = kind_of_reference (ref);
  const char *namespace_ = meta_namespace (o);
  char prefix[192];
  if (!k || (k->namespaced && !*namespace_))
    return GC_OWNER_UNKNOWN;
  schema_storage_prefix (k, prefix, sizeof prefix);
  const struct value *owner = view_get (&s->view, prefix, k->namespaced ? namespace_ : NULL, value_path_string (ref, "name", ""));
  if (owner && value_equal (value_path (owner, "metadata.uid"), value_get (ref, "uid")))
    return meta_deleting (owner) && meta_has_finalizer (owner, "foregroundDeletion") ? GC_OWNER_WAITING : GC_OWNER_SOLID;
  /* An owner is older than its dependents: a copy that has reached the dependent's revision would have it. */
  uint64_t revision = strtoull (value_path_string (o, "metadata.resourceVersion", "0"), NULL, 10);
  return view_revision (&s->view, prefix) >= revision ? GC_OWNER_ABSENT : GC_OWNER_UNKNOWN;
}

static const struct schema_kind *
kind_of_prefix (const char *prefix)
{
  const struct schema_kind *k;
  for (size_t i = 0; (k = schema_kind_at (i)); i++)
    {
      char name[192];
      if (k->virtual_ || schema_kind_storage (k) != k)
        continue;
      schema_storage_prefix (k, name, sizeof name);
      if (strcmp (name, prefix) == 0)
        return k;
    }
  return NULL;
}

static void
sync_key (struct sync *s)
{
  struct arena *a = s->view.arena;
  const char *colon = strchr (s->key, ':');
  if (!colon)
    return;
  const char *prefix = arena_strndup (a, s->key, (size_t) (colon - s->key)), *slash = strchr (colon, '/');
  const char *namespace_ = slash ? arena_strndup (a, colon + 1, (size_t) (slash - colon - 1)) : NULL;
  if (!prefix)
    return;
  const struct schema_kind *k = kind_of_prefix (prefix);
  const struct value *o = view_get (&s->view, prefix, namespace_, slash ? slash + 1 : colon + 1);
  if (!k || !o)
    return;
  const struct value *refs = value_path (o, "metadata.ownerReferences");
  enum gc_owner_state *owners = arena_alloc (a, (value_count (refs) + 1) * sizeof *owners);
  size_t n = 0, cap = 16;
  struct gc_dependent *dependents = arena_alloc (a, cap * sizeof *dependents);
  if (!owners || !dependents)
    return;
  bool unknown_kind = false;
  for (size_t i = 0; i < value_count (refs); i++)
    {
      owners[i] = meta_deleting (o) ? GC_OWNER_SOLID : owner_state (s, o, value_at (refs, i));
      unknown_kind |= !kind_of_reference (value_at (refs, i));
    }
  if (unknown_kind && !meta_deleting (o))
    return; /* a custom resource's: nothing is known of it here */
  for (size_t i = 0; i < view_informers (&s->view); i++)
    {
      const char *informer = view_informer_name (&s->view, i);
      const struct value *found = strchr (informer, '/') ? NULL : view_indexed (&s->view, informer, "owner", meta_uid (o));
      const struct schema_kind *of = value_count (found) ? kind_of_prefix (informer) : NULL;
      if (!of)
        continue;
      for (value_items (found, it))
        {
          if (n == cap)
            {
              struct gc_dependent *more = arena_alloc (a, cap * 2 * sizeof *more);
              if (!more)
                return;
              memcpy (more, dependents, n * sizeof *more);
              dependents = more;
              cap *= 2;
            }
          dependents[n++] = (struct gc_dependent) { *it, of->group, of->version, of->resource };
        }
    }
  struct gc_input in = { .object = o, .group = k->group, .version = k->version, .resource = k->resource, .owners = owners,
                         .dependents = dependents, .n_dependents = n };
  gc_decide (&in, s->actions);
}

const struct controller controller_gc
    = { .name = "garbage-collector", .all_kinds = true, .map = map, .sync = sync_key, .resync = resync };
