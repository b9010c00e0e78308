#include "services/ctl/ctl.h"

#include "schemas/json.h"
#include "schemas/json_path.h"
#include "schemas/yaml.h"

/* jsonpath={.spec.x}{"\n"}: one path or several, with text between; each gives its first value. */
static int
print_path (struct ctl *c, const char *template_, const struct value *v, struct err *err)
{
  for (const char *p = template_; *p;) {
    const char *end = *p == '{' ? strchr (p, '}') : NULL;
    const struct value *found;
    char *path;
    if (!end) {
      size_t n = strcspn (p + 1, "{") + 1;
      fwrite (p, 1, n, stdout);
      p += n;
      continue;
    }
    path = arena_strndup (&c->arena, p + 1, (size_t) (end - p - 1));
    if (!path)
      return err_set (err, ERR_NOMEM, "template");
    p = end + 1;
    if (path[0] == '"') {
      fputs (strcmp (path, "\"\\t\"") ? "\n" : "\t", stdout);
      continue;
    }
    if (!json_path_valid (path))
      return err_set (err, ERR_INVALID, "jsonpath: \"%s\" is not a supported path", path);
    if ((found = json_path_first (&c->arena, path, v)))
      fputs (json_path_text (&c->arena, found), stdout);
  }
  return 0;
}

static int
print_name (struct ctl *c, const struct value *v, struct err *err)
{
  struct ctl_resource r;
  int failed;
  if (value_is (value_get (v, "items"), VALUE_ARRAY)) {
    for (value_items (value_get (v, "items"), it))
      if ((failed = print_name (c, *it, err)))
        return failed;
    return 0;
  }
  if ((failed = ctl_resource_of_object (c, v, &r, err)))
    return failed;
  printf ("%s/%s\n", ctl_resource_title (c, &r), value_path_string (v, "metadata.name", ""));
  return 0;
}

/* Who owns which field is noise to a reader. */
static void
drop_managed_fields (const struct value *v)
{
  value_unset (value_get (v, "metadata"), "managedFields");
  for (value_items (value_get (v, "items"), it))
    value_unset (value_get (*it, "metadata"), "managedFields");
}

int
ctl_print_object (struct ctl *c, const struct value *v, struct err *err)
{
  const char *form = c->flags.output ? c->flags.output : "yaml";
  struct buf out AUTO_BUF = BUF_INIT;
  if (!strcmp (form, "name"))
    return print_name (c, v, err);
  if (!c->flags.managed_fields)
    drop_managed_fields (v);
  if (!strncmp (form, "jsonpath=", 9))
    return print_path (c, form + 9, v, err);
  if (!strcmp (form, "json")) {
    json_write (v, 4, &out);
    buf_append_byte (&out, '\n');
  } else if (!strcmp (form, "yaml"))
    yaml_write (v, &out);
  else
    return err_set (err, ERR_INVALID, "--output: \"%s\" is not yaml, json, name, wide or jsonpath=...", form);
  if (out.failed)
    return err_set (err, ERR_NOMEM, "output");
  fwrite (out.data, 1, out.len, stdout);
  return 0;
}
