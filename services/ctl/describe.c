/* describe: the object as indented text (managed fields left out), then its events. Generic: every kind alike. */
#include "services/ctl/ctl.h"

#define DEPTH_MAX 64

static void
put_indent (int depth)
{
  printf ("%*s", depth * 2, "");
}

/* "nodeName" is "Node Name:", as kubectl titles the fields of kinds that it does not know. Map keys of users stay. */
static void
put_title (const char *key, bool as_is)
{
  for (const char *p = key; *p; p++) {
    bool upper = *p >= 'A' && *p <= 'Z', after_lower = p > key && p[-1] >= 'a' && p[-1] <= 'z';
    if (!as_is && upper && after_lower)
      putchar (' ');
    putchar (!as_is && p == key && *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
  }
  putchar (':');
}

static void
put_scalar (const struct value *v)
{
  switch (v ? v->type : VALUE_NULL) {
  case VALUE_STRING:
    for (const char *p = v->s; *p; p++)
      putchar ((unsigned char) *p < ' ' && *p != '\t' && *p != '\n' ? '?' : *p);
    break;
  case VALUE_INT:
    printf ("%lld", (long long) v->i);
    break;
  case VALUE_FLOAT:
    printf ("%g", v->f);
    break;
  case VALUE_BOOL:
    fputs (v->b ? "true" : "false", stdout);
    break;
  default:
    fputs ("<none>", stdout);
  }
}

static bool
is_nested (const struct value *v)
{
  return v && (v->type == VALUE_MAP || v->type == VALUE_ARRAY) && v->len;
}

static bool
users_keys (const char *key)
{
  static const char *const keys[] = {"labels", "annotations", "matchLabels", "selector", "nodeSelector", "data", "stringData", "binaryData", "limits", "requests", "capacity", "allocatable", "hard", "used"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    if (!strcmp (keys[i], key))
      return true;
  return false;
}

/* as_is: keys are users' own. secret: of a Secret, whose data is not shown. */
static void put_tree (const struct value *v, int depth, bool as_is, bool secret);

static void
put_member (const struct value_member *m, int depth, bool as_is, bool secret)
{
  if (!strcmp (m->key, "managedFields") && !as_is)
    return;
  put_indent (depth);
  put_title (m->key, as_is);
  if (secret && as_is && value_is (m->value, VALUE_STRING))
    printf ("  %u bytes of base64\n", m->value->len);
  else if (is_nested (m->value)) {
    putchar ('\n');
    put_tree (m->value, depth + 1, as_is || users_keys (m->key), secret && !depth && (!strcmp (m->key, "data") || !strcmp (m->key, "stringData")));
  } else {
    fputs ("  ", stdout);
    put_scalar (m->value);
    putchar ('\n');
  }
}

static void
put_tree (const struct value *v, int depth, bool as_is, bool secret)
{
  if (depth > DEPTH_MAX)
    return;
  for (value_each (v, m))
    put_member (m, depth, as_is, secret);
  for (value_items (v, it)) {
    if (is_nested (*it)) {
      put_tree (*it, depth, as_is, secret);
      if (it + 1 < it_end) {
        put_indent (depth);
        puts ("---");
      }
      continue;
    }
    put_indent (depth);
    put_scalar (*it);
    putchar ('\n');
  }
}

static int
events (struct ctl *c, const struct value *o, struct err *err)
{
  static const struct ctl_resource res = {"", "v1", "events", "Event", true};
  static const char *const titles[] = {"Type", "Reason", "Count", "Last Seen", "From", "Message"};
  const char *ns = value_path_string (o, "metadata.namespace", NULL), *uid = value_path_string (o, "metadata.uid", "");
  const char *query = ctl_query (c, (const char *const[]){"fieldSelector", arena_printf (&c->arena, "involvedObject.uid=%s", uid), "limit", "500", NULL});
  struct ctl_table t = {.n_columns = 6};
  struct value *list;
  int r = ctl_get (c, arena_printf (&c->arena, "%s%s", ctl_resource_path (c, &res, ns, NULL), query ? query : ""), &list, err);
  if (r)
    return r;
  if (!value_count (value_get (list, "items"))) {
    puts ("Events:  <none>");
    return 0;
  }
  for (size_t i = 0; i < 6; i++)
    (void) ctl_table_cell (&t, &c->arena, arena_printf (&c->arena, "%s%s", i ? "" : "  ", titles[i]));
  for (value_items (value_get (list, "items"), it)) {
    const char *seen = value_path_string (*it, "lastTimestamp", value_path_string (*it, "eventTime", ""));
    (void) ctl_table_cell (&t, &c->arena, arena_printf (&c->arena, "  %s", value_path_string (*it, "type", "")));
    (void) ctl_table_cell (&t, &c->arena, value_path_string (*it, "reason", ""));
    (void) ctl_table_cell (&t, &c->arena, arena_printf (&c->arena, "%lld", (long long) value_path_int (*it, "count", 1)));
    (void) ctl_table_cell (&t, &c->arena, seen);
    (void) ctl_table_cell (&t, &c->arena, value_path_string (*it, "source.component", value_path_string (*it, "reportingComponent", "")));
    (void) ctl_table_cell (&t, &c->arena, value_path_string (*it, "message", ""));
  }
  if (!arena_ok (&c->arena))
    return err_set (err, ERR_NOMEM, "events");
  puts ("Events:");
  ctl_table_print (&t, stdout);
  return 0;
}

static int
describe_object (struct ctl *c, const struct ctl_resource *res, const struct value *o, bool *first, struct err *err)
{
  const struct value *metadata = value_get (o, "metadata");
  if (!*first)
    puts ("\n");
  *first = false;
  printf ("Name:  %s\n", value_path_string (metadata, "name", ""));
  if (res->namespaced)
    printf ("Namespace:  %s\n", value_path_string (metadata, "namespace", ""));
  printf ("Kind:  %s\nAPI Version:  %s%s%s\n", res->kind, res->group, *res->group ? "/" : "", res->version);
  for (value_each (o, m))
    if (strcmp (m->key, "apiVersion") && strcmp (m->key, "kind"))
      put_member (m, 0, false, !strcmp (res->resource, "secrets") && !*res->group);
  return events (c, o, err);
}

static int
describe_one (struct ctl *c, const struct ctl_resource *res, const char *name, void *arg, struct err *err)
{
  bool *first = arg;
  const char *ns = c->flags.all_namespaces && !name ? NULL : ctl_namespace (c), *path = ctl_resource_path (c, res, ns, name);
  const char *query = ctl_query (c, (const char *const[]){"labelSelector", name ? NULL : c->flags.selector, NULL});
  struct value *answer;
  int r;
  if (!path || !query)
    return err_set (err, ERR_NOMEM, "describe");
  if ((r = ctl_get (c, arena_printf (&c->arena, "%s%s", path, query), &answer, err)))
    return r;
  if (name)
    return describe_object (c, res, answer, first, err);
  for (value_items (value_get (answer, "items"), it))
    if ((r = describe_object (c, res, *it, first, err)))
      return r;
  return 0;
}

int
verb_describe (struct ctl *c, int argc, char **argv, struct err *err)
{
  bool first = true;
  int r = ctl_config (c, err);
  return r ? r : ctl_targets (c, argc, argv, describe_one, &first, err);
}
