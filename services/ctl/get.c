/* get: columns are the server's Table; -o yaml and so on print the objects. */
#include "services/ctl/ctl.h"

#include "schemas/json.h"

#define TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

struct get {
  size_t types, printed; /* resources asked for in all, cells printed */
  bool wide, objects, count_only;
  struct value *items;   /* objects, when more than one answer is printed as a list */
  struct value *columns; /* of the table that is being printed */
  struct ctl_table table; /* rows so far: pages and names of one type make one table */
};

/* ---- the table ---- */

static bool
shown (const struct get *g, const struct value *column)
{
  return g->wide || !value_path_int (column, "priority", 0);
}

static const char *
labels (struct ctl *c, const struct value *object)
{
  struct buf out AUTO_BUF = BUF_INIT;
  for (value_each (value_path (object, "metadata.labels"), m))
    buf_printf (&out, "%s%s=%s", out.len ? "," : "", m->key, value_as_string (m->value, ""));
  return out.len ? arena_strdup (&c->arena, buf_cstr (&out)) : "<none>";
}

static const char *
cell_text (struct ctl *c, const struct value *v)
{
  struct buf out AUTO_BUF = BUF_INIT;
  if (value_is_null (v))
    return "<none>";
  if (v->type == VALUE_STRING)
    return v->s;
  json_write (v, 0, &out);
  return out.failed ? NULL : arena_strdup (&c->arena, buf_cstr (&out));
}

static int
add_head (struct ctl *c, const struct get *g, struct ctl_table *t, bool namespaces)
{
  int r = namespaces ? ctl_table_cell (t, &c->arena, "NAMESPACE") : 0;
  for (value_items (g->columns, it)) {
    char *name = arena_strdup (&c->arena, value_path_string (*it, "name", ""));
    for (char *p = name; p && *p; p++)
      if (*p >= 'a' && *p <= 'z')
        *p = (char) (*p - 'a' + 'A');
    if (!r && shown (g, *it))
      r = ctl_table_cell (t, &c->arena, name);
  }
  return r || !c->flags.show_labels ? r : ctl_table_cell (t, &c->arena, "LABELS");
}

static int
add_row (struct ctl *c, const struct get *g, const struct ctl_resource *res, const struct value *row, struct ctl_table *t, bool namespaces)
{
  const struct value *cells = value_get (row, "cells"), *object = value_get (row, "object");
  size_t i = 0;
  int r = namespaces ? ctl_table_cell (t, &c->arena, value_path_string (object, "metadata.namespace", "")) : 0;
  for (value_items (g->columns, it)) {
    const char *text = cell_text (c, value_at (cells, i));
    if (g->types > 1 && !i)
      text = arena_printf (&c->arena, "%s/%s", ctl_resource_title (c, res), text ? text : "");
    if (!r && shown (g, *it))
      r = ctl_table_cell (t, &c->arena, text);
    i++;
  }
  return r || !c->flags.show_labels ? r : ctl_table_cell (t, &c->arena, labels (c, object));
}

static void
flush_table (struct ctl *c, struct get *g)
{
  if (g->table.n_cells && g->printed && !c->flags.no_headers)
    putchar ('\n');
  g->printed += g->table.n_cells;
  ctl_table_print (&g->table, stdout);
  g->table = (struct ctl_table){0};
}

static int
add_table (struct ctl *c, struct get *g, const struct ctl_resource *res, const struct value *answer, bool head, struct err *err)
{
  bool namespaces = c->flags.all_namespaces && res->namespaced;
  struct ctl_table *t = &g->table;
  int r = 0;
  if (value_count (value_get (answer, "columnDefinitions")))
    g->columns = value_get (answer, "columnDefinitions");
  if (!value_count (value_get (answer, "rows")))
    return 0;
  if (!t->n_columns) {
    t->n_columns = (size_t) namespaces + c->flags.show_labels;
    for (value_items (g->columns, it))
      t->n_columns += shown (g, *it);
    if (head && !c->flags.no_headers)
      r = add_head (c, g, t, namespaces);
  }
  for (value_items (value_get (answer, "rows"), it))
    if (!r)
      r = add_row (c, g, res, *it, t, namespaces);
  return r ? err_set (err, r, "table") : 0;
}

/* ---- watching ---- */

struct watch {
  struct ctl *c;
  struct get *g;
  const struct ctl_resource *res;
  struct buf line;
  struct err *err;
  int failed;
};

static int
print_event (struct watch *w, const char *text, size_t n)
{
  struct ctl *c = w->c;
  struct value *event, *object;
  int r = json_parse (&c->arena, text, n, &event, NULL, w->err);
  if (r)
    return r;
  object = value_get (event, "object");
  if (value_string_is (value_get (event, "type"), "ERROR"))
    return err_set (w->err, ERR_COMPACTED, "Error from server (%s): %s", value_path_string (object, "reason", "Unknown"), value_path_string (object, "message", ""));
  if (w->g->objects)
    return ctl_print_object (c, object, w->err);
  if (!(r = add_table (c, w->g, w->res, object, false, w->err)))
    ctl_table_print (&w->g->table, stdout);
  w->g->table = (struct ctl_table){0};
  return r;
}

/* An event's memory ends with it: a watch may last for days. */
static int
watch_event (struct watch *w, const char *text, size_t n)
{
  struct ctl *c = w->c;
  struct arena lasting = c->arena;
  struct value *columns = w->g->columns;
  int r;
  arena_init (&c->arena, 0);
  r = print_event (w, text, n);
  if (!columns && w->g->columns)
    columns = value_clone (&lasting, w->g->columns);
  w->g->columns = columns;
  arena_done (&c->arena);
  c->arena = lasting;
  fflush (stdout);
  return r;
}

static bool
watch_data (void *arg, const void *data, size_t len)
{
  struct watch *w = arg;
  const char *end;
  buf_append (&w->line, data, len);
  while (!w->failed && w->line.len && (end = memchr (w->line.data, '\n', w->line.len))) {
    size_t n = (size_t) (end - (const char *) w->line.data);
    if (n)
      w->failed = watch_event (w, (const char *) w->line.data, n);
    buf_consume (&w->line, n + 1);
  }
  if (w->line.failed)
    w->failed = err_set (w->err, ERR_LIMIT, "an event is too long");
  return !w->failed && !ferror (stdout);
}

static int
watch (struct ctl *c, struct get *g, const struct ctl_resource *res, const char *name, const char *version, struct err *err)
{
  const char *field = name ? arena_printf (&c->arena, "metadata.name=%s", name) : c->flags.field_selector;
  const char *pairs[] = {"watch", "true", "resourceVersion", version, "labelSelector", c->flags.selector, "fieldSelector", field, NULL};
  const char *path = ctl_resource_path (c, res, c->flags.all_namespaces ? NULL : ctl_namespace (c), NULL), *query = ctl_query (c, pairs);
  struct watch w = {.c = c, .g = g, .res = res, .err = err, .line = {.limit_bytes = 64u << 20}};
  int r;
  if (!path || !query)
    return err_set (err, ERR_NOMEM, "watch");
  fflush (stdout);
  r = ctl_request (c, &(struct ctl_request){.method = "GET", .path = arena_printf (&c->arena, "%s%s", path, query), .accept = g->objects ? NULL : TABLE, .endless = true,
                                            .on_data = watch_data, .arg = &w}, NULL, err);
  buf_done (&w.line);
  return w.failed ? w.failed : r < 0 ? r : 0;
}

/* ---- one resource ---- */

static int
print_objects (struct ctl *c, struct get *g, const struct ctl_resource *res, struct value *answer, const char *name, struct err *err)
{
  if (name && g->types == 1)
    return ctl_print_object (c, answer, err);
  if (name)
    value_append (&c->arena, g->items, answer);
  for (value_items (name ? NULL : value_get (answer, "items"), it)) {
    const char *gv = *res->group ? arena_printf (&c->arena, "%s/%s", res->group, res->version) : res->version;
    if (!value_get (*it, "kind")) {
      value_set_string (&c->arena, *it, "apiVersion", gv);
      value_set_string (&c->arena, *it, "kind", res->kind);
    }
    value_append (&c->arena, g->items, *it);
  }
  return arena_ok (&c->arena) ? 0 : err_set (err, ERR_NOMEM, "objects");
}

static int
get_page (struct ctl *c, struct get *g, const struct ctl_resource *res, const char *name, const char *token, struct value **ret, struct err *err)
{
  const char *ns = c->flags.all_namespaces && !name ? NULL : ctl_namespace (c), *path = ctl_resource_path (c, res, ns, name);
  const char *pairs[] = {"labelSelector", c->flags.selector, "fieldSelector", c->flags.field_selector, "limit", name ? NULL : "500", "continue", token, NULL};
  const char *query = ctl_query (c, name ? (const char *const[]){NULL} : pairs);
  if (!path || !query)
    return err_set (err, ERR_NOMEM, "get");
  return ctl_request_json (c, &(struct ctl_request){.method = "GET", .path = arena_printf (&c->arena, "%s%s", path, query), .accept = g->objects ? NULL : TABLE}, ret, err);
}

static int
get_one (struct ctl *c, const struct ctl_resource *res, const char *name, void *arg, struct err *err)
{
  struct get *g = arg;
  const char *token = NULL, *version = NULL;
  struct value *answer;
  int r;
  if (g->count_only) {
    g->types++;
    return 0;
  }
  if (name && c->flags.all_namespaces && res->namespaced)
    return err_set (err, ERR_INVALID, "a resource cannot be retrieved by name across all namespaces");
  do {
    if ((r = get_page (c, g, res, name, token, &answer, err)) < 0)
      return r == ERR_NOT_FOUND && name && c->flags.ignore_not_found ? 0 : r;
    if ((r = g->objects ? print_objects (c, g, res, answer, name, err) : add_table (c, g, res, answer, true, err)))
      return r;
    token = value_path_string (answer, "metadata.continue", NULL);
    version = value_path_string (answer, "metadata.resourceVersion", version);
  } while (token && *token);
  if (g->types > 1 || c->flags.watch)
    flush_table (c, g);
  if (!c->flags.watch)
    return 0;
  if (g->types > 1)
    return err_set (err, ERR_INVALID, "one resource at a time can be watched");
  return watch (c, g, res, name, version, err);
}

int
verb_get (struct ctl *c, int argc, char **argv, struct err *err)
{
  const char *form = c->flags.output;
  struct get g = {.wide = form && !strcmp (form, "wide"), .count_only = true, .items = value_array (&c->arena)};
  int r;
  g.objects = form && !g.wide;
  if ((r = ctl_config (c, err)) || (r = ctl_targets (c, argc, argv, get_one, &g, err)))
    return r;
  g.count_only = false;
  if (argc > 1 && !strchr (argv[0], ',') && !strchr (argv[0], '/'))
    g.types = 1; /* several names of one type */
  if (g.objects && argc > 2)
    g.types = 2;
  r = ctl_targets (c, argc, argv, get_one, &g, err);
  flush_table (c, &g); /* what was found before a failure too */
  if (r)
    return r;
  if (!g.objects && !g.printed && !c->flags.watch && !c->flags.ignore_not_found) {
    if (c->flags.all_namespaces)
      fputs ("No resources found\n", stderr);
    else
      fprintf (stderr, "No resources found in %s namespace.\n", ctl_namespace (c));
  }
  if (g.objects && (g.types > 1 || value_count (g.items) || (argc == 1 && !strchr (argv[0], '/')))) {
    struct value *list = value_map (&c->arena);
    value_set_string (&c->arena, list, "apiVersion", "v1");
    value_set (&c->arena, list, "items", g.items);
    value_set_string (&c->arena, list, "kind", "List");
    value_set_path (&c->arena, list, "metadata.resourceVersion", value_string (&c->arena, ""));
    return ctl_print_object (c, list, err);
  }
  return 0;
}
