#include "schemas/schema.h"
#include "services/controller/controllers.h"
#include "services/controller/namespace_decide.h"

#define KINDS_MAX 128

static void
map (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, "namespaces") == 0)
    {
      if (m->new_ && meta_deleting (m->new_))
        mapping_add (m, NULL, meta_name (o));
      return;
    }
  if (m->new_ && (m->old || !*meta_namespace (o)))
    return;
  /* something ended, or appeared late, in a namespace that goes */
  const struct value *ns = view_get (&m->view, "namespaces", NULL, meta_namespace (o));
  if (ns && meta_deleting (ns))
    mapping_add (m, NULL, meta_name (ns));
}

static void
sync_key (struct sync *s)
{
  struct value *ns = view_get (&s->view, "namespaces", NULL, s->name);
  struct namespace_content content[KINDS_MAX];
  size_t n = 0;
  const struct schema_kind *k;
  if (!ns || !meta_deleting (ns))
    return;
  /* The conditions are written after the first look's deletions succeeded. That look asks for every kind: the API server
     lets nothing new in by now, but our copies may lag behind it. */
  bool first = !meta_condition (ns, "NamespaceContentRemaining");
  for (size_t i = 0; (k = schema_kind_at (i)); i++)
    {
      char name[192];
      if (!k->namespaced || k->virtual_ || schema_kind_storage (k) != k || !(k->verbs & SCHEMA_DELETE_COLLECTION) || n == KINDS_MAX)
        continue;
      schema_storage_prefix (k, name, sizeof name);
      struct value *list = view_list (&s->view, name, s->name);
      if (!first && !value_count (list))
        continue;
      struct namespace_content c = { .group = k->group, .version = k->version, .resource = k->resource, .count = value_count (list) };
      for (value_items (list, it))
        c.deleting += meta_deleting (*it);
      content[n++] = c;
    }
  struct namespace_input in = { .namespace_ = ns, .content = content, .count = n, .first = first, .now = s->now };
  namespace_decide (&in, s->actions);
}

static const char *const informers[] = { "namespaces", NULL };

const struct controller controller_namespace
    = { .name = "namespace", .informers = informers, .all_kinds = true, .map = map, .sync = sync_key };
