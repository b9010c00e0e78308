#include "services/ctl/ctl.h"


#define CLIENT_VERSION "v1.33.0-kubus" /* of the API that this program speaks */

int
verb_version (struct ctl *c, int argc, char **argv, struct err *err)
{
  struct value *v;
  int r;
  (void) argc;
  (void) argv;
  printf ("Client Version: %s\n", CLIENT_VERSION);
  if ((r = ctl_get (c, "/version", &v, err)))
    return r;
  if (c->flags.output)
    return ctl_print_object (c, v, err);
  printf ("Server Version: %s\n", value_path_string (v, "gitVersion", "?"));
  return 0;
}

static int
add (struct ctl *c, struct ctl_table *t, const char *gv, const struct value *list)
{
  int r = 0;
  for (value_items (value_get (list, "resources"), it)) {
    struct buf names AUTO_BUF = BUF_INIT;
    if (strchr (value_path_string (*it, "name", "/"), '/'))
      continue;
    for (value_items (value_get (*it, "shortNames"), s))
      buf_printf (&names, "%s%s", names.len ? "," : "", value_as_string (*s, ""));
    if ((r = ctl_table_cell (t, &c->arena, value_path_string (*it, "name", ""))) || (r = ctl_table_cell (t, &c->arena, buf_cstr (&names))) || (r = ctl_table_cell (t, &c->arena, gv))
        || (r = ctl_table_cell (t, &c->arena, value_path_bool (*it, "namespaced", false) ? "true" : "false"))
        || (r = ctl_table_cell (t, &c->arena, value_path_string (*it, "kind", ""))))
      return r;
  }
  return r;
}

int
verb_api_resources (struct ctl *c, int argc, char **argv, struct err *err)
{
  static const char *const titles[] = {"NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"};
  struct ctl_table t = {.n_columns = 5};
  struct value *groups, *list;
  int r = 0, bad = 0;
  (void) argc;
  (void) argv;
  for (size_t i = 0; i < 5 && !c->flags.no_headers && !r; i++)
    r = ctl_table_cell (&t, &c->arena, titles[i]);
  if (!r && (!c->flags.api_group || !*c->flags.api_group)) {
    if ((r = ctl_get (c, "/api/v1", &list, err)))
      return r;
    r = add (c, &t, "v1", list);
  }
  if (r)
    return err_set (err, r, "resources");
  if ((r = ctl_get (c, "/apis", &groups, err)))
    return r;
  for (value_items (value_get (groups, "groups"), g)) {
    const char *gv = value_path_string (*g, "preferredVersion.groupVersion", "");
    if (c->flags.api_group && strcmp (c->flags.api_group, value_path_string (*g, "name", "")))
      continue;
    if (ctl_get (c, arena_printf (&c->arena, "/apis/%s", gv), &list, err)) { /* the others are still worth printing */
      fprintf (stderr, "%s: %s\n", gv, err->text);
      bad = 1;
    } else if ((r = add (c, &t, gv, list)))
      return err_set (err, r, "resources");
  }
  ctl_table_print (&t, stdout);
  return bad;
}
