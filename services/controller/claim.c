#include "services/controller/claim.h"

#include "services/controller/meta.h"

struct value *
claim_objects (const struct claim *c, const struct value *candidates, struct actions *as)
{
  struct arena *a = as->arena;
  struct value *out = value_array (a);
  const char *uid = meta_uid (c->owner);
  for (value_items (candidates, it))
    {
      struct value *o = *it;
      bool matches = selector_matches (c->selector, value_path (o, "metadata.labels"));
      const struct value *ref = meta_controller (o);
      if (ref)
        {
          if (!value_string_is (value_get (ref, "uid"), uid))
            continue;
          if (matches || meta_deleting (c->owner))
            value_append (a, out, o);
          else if (!meta_deleting (o))
            actions_patch (as, c->group, c->version, c->resource, NULL, meta_namespace (o), meta_name (o), "strategic",
                           meta_release_patch (a, o, uid))
                ->ignore_not_found
                = true;
          continue;
        }
      if (!matches || meta_deleting (c->owner) || meta_deleting (o)
          || (strcmp (c->resource, "pods") == 0 && !pod_active (o)))
        continue;
      actions_patch (as, c->group, c->version, c->resource, NULL, meta_namespace (o), meta_name (o), "strategic",
                     meta_adopt_patch (a, o, c->owner, c->api_version, c->kind))
          ->ignore_not_found
          = true;
      value_append (a, out, o);
    }
  return out;
}
