#include "services/ctl/ctl.h"

#include <bsd/string.h>
#include <strings.h>

#include "base/http/uri.h"

static bool
in_list (const char *const *list, const char *word)
{
  for (; list && *list; list++)
    if (!strcasecmp (*list, word))
      return true;
  return false;
}

/* word split at its first dot: resource, and group or version.group. */
struct word {
  char resource[256];
  const char *group, *version_group; /* NULL: not given */
};

static void
split (const char *text, struct word *w)
{
  const char *dot = strchr (text, '.');
  snprintf (w->resource, sizeof w->resource, "%.*s", dot ? (int) (dot - text) : (int) strlen (text), text);
  w->group = dot ? dot + 1 : NULL;
  w->version_group = w->group && w->group[0] == 'v' ? w->group : NULL;
}

static bool
fits_group (const struct word *w, const char *group, const char *version)
{
  char both[512];
  if (!w->group)
    return true;
  snprintf (both, sizeof both, "%s%s%s", version, *group ? "." : "", group);
  return !strcmp (w->group, group) || (w->version_group && !strcmp (w->version_group, both));
}

static bool
find_built_in (const struct word *w, struct ctl_resource *ret)
{
  const struct schema_kind *best = NULL, *k;
  int best_version = -1;
  for (size_t i = 0; (k = schema_kind_at (i)); i++) {
    int group_priority = 0, version_priority = 0;
    if (k->virtual_ || !fits_group (w, k->group, k->version))
      continue;
    if (strcasecmp (k->resource, w->resource) && strcasecmp (k->singular, w->resource) && !in_list (k->short_names, w->resource) && strcasecmp (k->kind, w->resource))
      continue;
    (void) schema_group_version_priority (k->group, k->version, &group_priority, &version_priority);
    if (best && (strcmp (best->group, k->group) ? *k->group != 0 : version_priority <= best_version))
      continue;
    best = k;
    best_version = version_priority;
  }
  if (best)
    *ret = (struct ctl_resource){best->group, best->version, best->resource, best->kind, best->namespaced};
  return best != NULL;
}

/* Every resource of every group that the server names, once: {group, version, resource, singular, kind, shortNames, namespaced}. */
static int
discover (struct ctl *c, struct err *err)
{
  struct value *groups, *all = value_array (&c->arena);
  int r;
  if (c->discovered)
    return 0;
  if ((r = ctl_get (c, "/apis", &groups, err)))
    return r;
  for (value_items (value_get (groups, "groups"), g)) {
    const char *gv = value_path_string (*g, "preferredVersion.groupVersion", ""), *slash = strchr (gv, '/');
    struct value *list;
    struct err ignored;
    if (!slash || ctl_get (c, arena_printf (&c->arena, "/apis/%s", gv), &list, &ignored))
      continue; /* a group whose server is away does not hide the others */
    for (value_items (value_get (list, "resources"), it)) {
      if (strchr (value_path_string (*it, "name", "/"), '/'))
        continue;
      value_set (&c->arena, *it, "group", value_string_n (&c->arena, gv, (size_t) (slash - gv)));
      value_set_string (&c->arena, *it, "version", slash + 1);
      value_append (&c->arena, all, *it);
    }
  }
  c->discovered = all;
  return arena_ok (&c->arena) ? 0 : err_set (err, ERR_NOMEM, "discovery");
}

static void
take (const struct value *v, struct ctl_resource *ret)
{
  *ret = (struct ctl_resource){value_path_string (v, "group", ""), value_path_string (v, "version", ""), value_path_string (v, "name", ""),
                               value_path_string (v, "kind", ""), value_path_bool (v, "namespaced", false)};
}

int
ctl_resource_find (struct ctl *c, const char *text, struct ctl_resource *ret, struct err *err)
{
  struct word w;
  int r;
  split (text, &w);
  if (find_built_in (&w, ret))
    return 0;
  if ((r = discover (c, err)))
    return r;
  for (value_items (c->discovered, it)) {
    bool fits = !strcasecmp (value_path_string (*it, "name", ""), w.resource) || !strcasecmp (value_path_string (*it, "singularName", ""), w.resource)
                || !strcasecmp (value_path_string (*it, "kind", ""), w.resource);
    for (value_items (value_get (*it, "shortNames"), s))
      fits |= value_string_is (*s, w.resource);
    if (!fits || !fits_group (&w, value_path_string (*it, "group", ""), value_path_string (*it, "version", "")))
      continue;
    take (*it, ret);
    return 0;
  }
  return err_set (err, ERR_NOT_FOUND, "the server doesn't have a resource type \"%s\"", text);
}

int
ctl_resource_of_object (struct ctl *c, const struct value *object, struct ctl_resource *ret, struct err *err)
{
  const char *gv = value_path_string (object, "apiVersion", ""), *kind = value_path_string (object, "kind", ""), *slash = strchr (gv, '/');
  const char *group = slash ? arena_strndup (&c->arena, gv, (size_t) (slash - gv)) : "", *version = slash ? slash + 1 : gv;
  const struct schema_kind *k = group ? schema_kind_by_kind (group, version, kind) : NULL;
  struct value *list;
  int r;
  if (!*gv || !*kind)
    return err_set (err, ERR_INVALID, "an object has no apiVersion or kind");
  if (k) {
    *ret = (struct ctl_resource){k->group, k->version, k->resource, k->kind, k->namespaced};
    return 0;
  }
  if ((r = ctl_get (c, arena_printf (&c->arena, slash ? "/apis/%s" : "/api/%s", gv), &list, err)))
    return r == ERR_NOT_FOUND ? err_set (err, r, "no matches for kind \"%s\" in version \"%s\"", kind, gv) : r;
  for (value_items (value_get (list, "resources"), it)) {
    if (!value_string_is (value_get (*it, "kind"), kind) || strchr (value_path_string (*it, "name", "/"), '/'))
      continue;
    take (*it, ret);
    ret->group = group;
    ret->version = version;
    return 0;
  }
  return err_set (err, ERR_NOT_FOUND, "no matches for kind \"%s\" in version \"%s\"", kind, gv);
}

const char *
ctl_resource_title (struct ctl *c, const struct ctl_resource *r)
{
  char *out = arena_printf (&c->arena, "%s%s%s", r->kind, *r->group ? "." : "", r->group);
  for (char *p = out; p && *p; p++)
    if (*p >= 'A' && *p <= 'Z')
      *p = (char) (*p - 'A' + 'a');
  return out ? out : "";
}

const char *
ctl_resource_path (struct ctl *c, const struct ctl_resource *r, const char *namespace_, const char *name)
{
  struct buf out AUTO_BUF = BUF_INIT;
  buf_printf (&out, *r->group ? "/apis/%s/%s" : "/api%s/%s", r->group, r->version);
  if (r->namespaced && namespace_) {
    buf_append_str (&out, "/namespaces/");
    uri_encode (&out, namespace_);
  }
  buf_printf (&out, "/%s", r->resource);
  if (name) {
    buf_append_byte (&out, '/');
    uri_encode (&out, name);
  }
  return out.failed ? NULL : arena_strdup (&c->arena, buf_cstr (&out));
}

/* "all" and other categories stand for the kinds that name them. */
static int
each_type (struct ctl *c, const char *word, const char *name, ctl_target_cb each, void *arg, struct err *err)
{
  struct ctl_resource res;
  const struct schema_kind *k;
  bool category = false;
  int r;
  for (size_t i = 0; !name && (k = schema_kind_at (i)); i++) {
    struct word w = {.group = NULL};
    if (!in_list (k->categories, word))
      continue;
    category = true;
    strlcpy (w.resource, k->resource, sizeof w.resource);
    if (!find_built_in (&w, &res) || strcmp (res.version, k->version) || strcmp (res.group, k->group))
      continue;
    if ((r = each (c, &res, NULL, arg, err)))
      return r;
  }
  if (category)
    return 0;
  return (r = ctl_resource_find (c, word, &res, err)) ? r : each (c, &res, name, arg, err);
}

int
ctl_targets (struct ctl *c, int argc, char **argv, ctl_target_cb each, void *arg, struct err *err)
{
  bool slashed = strchr (argv[0], '/') != NULL;
  int r = 0;
  for (int i = 0; slashed && i < argc && !r; i++) {
    const char *slash = strchr (argv[i], '/');
    if (!slash || slash == argv[i] || !slash[1])
      return err_set (err, ERR_INVALID, "\"%s\" is not TYPE/NAME", argv[i]);
    r = each_type (c, arena_strndup (&c->arena, argv[i], (size_t) (slash - argv[i])), slash + 1, each, arg, err);
  }
  if (slashed)
    return r;
  for (const char *p = argv[0]; *p && !r;) {
    size_t n = strcspn (p, ",");
    const char *type = arena_strndup (&c->arena, p, n);
    if (!type)
      return err_set (err, ERR_NOMEM, "types");
    if (argc == 1)
      r = each_type (c, type, NULL, each, arg, err);
    for (int i = 1; i < argc && !r; i++)
      r = each_type (c, type, argv[i], each, arg, err);
    p += n + (p[n] == ',');
  }
  return r;
}
