#include "services/controller/namespace_decide.h"

#include "services/controller/meta.h"

#define LOOK_AGAIN_MS 5000

static void
conditions (const struct namespace_input *in, struct value *status, struct arena *a)
{
  bool any = false;
  static const struct {
    const char *type, *reason, *message;
  } fine[] = {
    { "NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered" },
    { "NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed" },
    { "NamespaceDeletionContentFailure", "ContentDeleted",
      "All content successfully deleted, may be waiting on finalization" },
  };
  for (size_t i = 0; i < 3; i++)
    meta_set_condition (a, status, fine[i].type, "False", fine[i].reason, fine[i].message, in->now, false);
  const char *text = "Some resources are remaining: ", *held = NULL;
  for (size_t i = 0; i < in->count; i++)
    {
      const struct namespace_content *c = &in->content[i];
      if (!c->count)
        continue;
      text = arena_printf (a, "%s%s%s.%s has %zu resource instances", text, any ? ", " : "", c->resource, c->group, c->count);
      any = true;
      for (const char *const *f = c->finalizers; f && *f; f++)
        held = held ? arena_printf (a, "%s, %s", held, *f) : arena_printf (a, "Some content in the namespace has finalizers remaining: %s", *f);
      if (!text)
        return;
    }
  meta_set_condition (a, status, "NamespaceContentRemaining", any ? "True" : "False",
                      any ? "SomeResourcesRemain" : "ContentRemoved",
                      any ? text : "All content successfully removed", in->now, false);
  meta_set_condition (a, status, "NamespaceFinalizersRemaining", held ? "True" : "False",
                      held ? "SomeFinalizersRemain" : "ContentHasNoFinalizers",
                      held ? held : "All content-preserving finalizers finished", in->now, false);
}

void
namespace_decide (const struct namespace_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  const struct value *ns = in->namespace_;
  if (!meta_deleting (ns))
    return;
  bool ours = false;
  for (value_items (value_path (ns, "spec.finalizers"), it))
    ours |= value_string_is (*it, "kubernetes");
  if (!ours)
    return; /* the others' finalizers; ours is done */

  struct value *n = value_clone (a, ns), *status = value_ensure_map (a, n, "status");
  value_set_string (a, status, "phase", "Terminating");
  conditions (in, status, a);
  bool changed = !value_equal (status, value_get (ns, "status"));
  if (in->count == 0)
    { /* one write: finalize takes the whole object, its status included as it is */
      if (changed)
        {
          actions_update (as, "", "v1", "namespaces", "status", n);
          return; /* seen again with its new resourceVersion */
        }
      struct value *left = value_array (a), *f = value_clone (a, ns);
      for (value_items (value_path (ns, "spec.finalizers"), it))
        if (!value_string_is (*it, "kubernetes"))
          value_append (a, left, *it);
      value_set_path (a, f, "spec.finalizers", left);
      actions_update (as, "", "v1", "namespaces", "finalize", f);
      return;
    }
  for (size_t i = 0; i < in->count; i++)
    {
      const struct namespace_content *c = &in->content[i];
      if (!in->first && c->deleting == c->count)
        continue;
      struct action *x = actions_add (as);
      struct value *options = value_map (a);
      value_set_string (a, options, "propagationPolicy", "Background");
      x->request = (struct api_request) { .verb = "deletecollection", .group = c->group, .version = c->version,
                                          .resource = c->resource, .namespace_ = meta_name (ns), .options = options };
      x->ignore_not_found = true;
      x->together = true;
    }
  if (changed) /* after the deletions: the conditions in it say that the first look was complete */
    actions_update (as, "", "v1", "namespaces", "status", n);
  actions_requeue (as, LOOK_AGAIN_MS);
}
