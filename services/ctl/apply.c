/* apply and create: each object of a manifest, one request. */
#include "services/ctl/ctl.h"

#include "schemas/json.h"

static int
send_one (struct ctl *c, const struct value *object, bool apply, struct err *err)
{
  const char *name = value_path_string (object, "metadata.name", NULL), *in_object = value_path_string (object, "metadata.namespace", NULL), *path;
  struct buf body AUTO_BUF = BUF_INIT;
  struct ctl_resource res;
  struct value *answer;
  const char *query = ctl_query (c, (const char *const[]){"fieldManager", "kubusctl", "force", apply && c->flags.force ? "true" : NULL, NULL});
  int r;
  if ((r = ctl_resource_of_object (c, object, &res, err)))
    return r;
  if (apply && !name)
    return err_set (err, ERR_INVALID, "a %s has no metadata.name", res.kind);
  if (res.namespaced && in_object && c->flags.namespace_ && strcmp (in_object, c->flags.namespace_))
    return err_set (err, ERR_INVALID, "the namespace from the provided object \"%s\" does not match the namespace \"%s\"", in_object, c->flags.namespace_);
  path = ctl_resource_path (c, &res, in_object ? in_object : ctl_namespace (c), apply ? name : NULL);
  json_write (object, 0, &body);
  if (!path || !query || body.failed)
    return err_set (err, ERR_NOMEM, "%s", name ? name : res.kind);
  r = ctl_request_json (c, &(struct ctl_request){.method = apply ? "PATCH" : "POST", .path = arena_printf (&c->arena, "%s%s", path, query), .body = body.data, .body_len = body.len,
                                                 .content_type = apply ? "application/apply-patch+yaml" : "application/json"}, &answer, err);
  if (r < 0)
    return r;
  if (c->flags.output)
    return ctl_print_object (c, answer, err);
  printf ("%s/%s %s\n", ctl_resource_title (c, &res), value_path_string (answer, "metadata.name", ""), apply ? "serverside-applied" : "created");
  return 0;
}

/* One object's refusal does not keep the others from being sent. */
static int
send_all (struct ctl *c, bool apply, struct err *err)
{
  struct value *all;
  int r = ctl_manifest (c, c->flags.file, &all, err), bad = 0;
  if (r || (r = ctl_config (c, err)))
    return r;
  for (value_items (all, it)) {
    if (!(r = send_one (c, *it, apply, err)))
      continue;
    if (r == ERR_UNAVAILABLE || r == ERR_TIMEOUT || r == ERR_NOMEM)
      return r;
    fprintf (stderr, "%s%s\n", strncmp (err->text, "Error from server", 17) ? "error: " : "", err->text);
    bad = 1;
  }
  return bad;
}

int
verb_apply (struct ctl *c, int argc, char **argv, struct err *err)
{
  (void) argc;
  (void) argv;
  return send_all (c, true, err);
}

int
verb_create (struct ctl *c, int argc, char **argv, struct err *err)
{
  (void) argc;
  (void) argv;
  return send_all (c, false, err);
}
