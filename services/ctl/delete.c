#include "services/ctl/ctl.h"

#include "schemas/json.h"

/* DeleteOptions from the flags. */
static int
options (struct ctl *c, struct buf *out, struct err *err)
{
  struct value *o = value_map (&c->arena);
  const char *cascade = c->flags.cascade ? c->flags.cascade : "background";
  const char *policy = !strcmp (cascade, "background") ? "Background" : !strcmp (cascade, "foreground") ? "Foreground" : !strcmp (cascade, "orphan") ? "Orphan" : NULL;
  if (!policy)
    return err_set (err, ERR_INVALID, "--cascade: \"%s\" is not background, foreground or orphan", cascade);
  value_set_string (&c->arena, o, "propagationPolicy", policy);
  if (c->flags.grace_period) {
    char *end;
    long s = strtol (c->flags.grace_period, &end, 10);
    if (*end || end == c->flags.grace_period || s < 0)
      return err_set (err, ERR_INVALID, "--grace-period: \"%s\" is not a number of seconds", c->flags.grace_period);
    value_set_int (&c->arena, o, "gracePeriodSeconds", s);
  }
  json_write (o, 0, out);
  return out->failed ? err_set (err, ERR_NOMEM, "options") : 0;
}

/* ---- waiting until it is gone ---- */

struct gone {
  struct ctl *c;
  struct buf line;
  bool deleted;
};

static bool
gone_data (void *arg, const void *data, size_t len)
{
  struct gone *g = arg;
  const char *end;
  buf_append (&g->line, data, len);
  while (!g->deleted && g->line.len && (end = memchr (g->line.data, '\n', g->line.len))) {
    size_t n = (size_t) (end - (const char *) g->line.data);
    struct arena a AUTO_ARENA = {0};
    struct value *event;
    if (!json_parse (&a, (const char *) g->line.data, n, &event, NULL, NULL))
      g->deleted = value_string_is (value_get (event, "type"), "DELETED");
    buf_consume (&g->line, n + 1);
  }
  return !g->deleted && !g->line.failed;
}

static int
wait_gone (struct ctl *c, const struct ctl_resource *res, const char *ns, const char *name, const char *uid, struct err *err)
{
  const char *timeout = c->flags.timeout && strcmp (c->flags.timeout, "0") ? c->flags.timeout : "3600", *query, *path = ctl_resource_path (c, res, ns, NULL);
  struct gone g = {.c = c, .line = {.limit_bytes = 64u << 20}};
  struct value *now;
  int r = ctl_get (c, ctl_resource_path (c, res, ns, name), &now, err);
  if (r == ERR_NOT_FOUND || (!r && strcmp (value_path_string (now, "metadata.uid", ""), uid)))
    return 0;
  if (r)
    return r;
  query = ctl_query (c, (const char *const[]){"watch", "true", "fieldSelector", arena_printf (&c->arena, "metadata.name=%s", name), "resourceVersion",
                                              value_path_string (now, "metadata.resourceVersion", "0"), "timeoutSeconds", timeout, NULL});
  if (!path || !query)
    return err_set (err, ERR_NOMEM, "wait");
  r = ctl_request (c, &(struct ctl_request){.method = "GET", .path = arena_printf (&c->arena, "%s%s", path, query), .endless = true, .on_data = gone_data, .arg = &g}, NULL, err);
  buf_done (&g.line);
  if (g.deleted)
    return 0;
  return r < 0 ? r : err_set (err, ERR_TIMEOUT, "timed out waiting for %s/%s to be deleted", ctl_resource_title (c, res), name);
}

/* ---- deleting ---- */

static int
delete_name (struct ctl *c, const struct ctl_resource *res, const char *ns, const char *name, struct err *err)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct value *answer;
  const char *uid;
  int r = options (c, &body, err);
  if (r)
    return r;
  r = ctl_request_json (c, &(struct ctl_request){.method = "DELETE", .path = ctl_resource_path (c, res, ns, name), .body = body.data, .body_len = body.len}, &answer, err);
  if (r == ERR_NOT_FOUND && c->flags.ignore_not_found)
    return 0;
  if (r < 0)
    return r;
  printf ("%s \"%s\" deleted\n", ctl_resource_title (c, res), name);
  fflush (stdout);
  uid = value_path_string (answer, "metadata.uid", value_path_string (answer, "details.uid", ""));
  return c->flags.no_wait || !*uid ? 0 : wait_gone (c, res, ns, name, uid, err);
}

static int
delete_each (struct ctl *c, const struct ctl_resource *res, const char *name, void *arg, struct err *err)
{
  const char *query;
  struct value *list;
  int r;
  (void) arg;
  if (name)
    return delete_name (c, res, ctl_namespace (c), name, err);
  if (!c->flags.selector && !c->flags.all)
    return err_set (err, ERR_INVALID, "resource(s) were provided, but no name was specified");
  query = ctl_query (c, (const char *const[]){"labelSelector", c->flags.selector, NULL});
  if ((r = ctl_get (c, arena_printf (&c->arena, "%s%s", ctl_resource_path (c, res, ctl_namespace (c), NULL), query ? query : ""), &list, err)))
    return r;
  for (value_items (value_get (list, "items"), it))
    if ((r = delete_name (c, res, ctl_namespace (c), value_path_string (*it, "metadata.name", ""), err)))
      return r;
  if (!value_count (value_get (list, "items")))
    puts ("No resources found");
  return 0;
}

static int
delete_manifest (struct ctl *c, struct err *err)
{
  struct value *all = NULL;
  int r = ctl_manifest (c, c->flags.file, &all, err), bad = 0;
  for (size_t i = value_count (all); !r && i-- > 0;) { /* the last first: a namespace stands before what is in it */
    const struct value *o = value_at (all, i);
    struct ctl_resource res;
    if (!(r = ctl_resource_of_object (c, o, &res, err)))
      r = delete_name (c, &res, value_path_string (o, "metadata.namespace", ctl_namespace (c)), value_path_string (o, "metadata.name", ""), err);
    if (r == ERR_NOT_FOUND) {
      fprintf (stderr, "%s\n", err->text);
      bad = 1;
      r = 0;
    }
  }
  return r ? r : bad;
}

int
verb_delete (struct ctl *c, int argc, char **argv, struct err *err)
{
  int r = ctl_config (c, err);
  if (r)
    return r;
  if (c->flags.file && argc)
    return err_set (err, ERR_INVALID, "either -f or words, not both");
  if (c->flags.file)
    return delete_manifest (c, err);
  if (!argc)
    return err_set (err, ERR_INVALID, "name what to delete, or a manifest by -f");
  return ctl_targets (c, argc, argv, delete_each, NULL, err);
}
