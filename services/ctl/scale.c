#include "services/ctl/ctl.h"

static int
scale (struct ctl *c, const struct ctl_resource *res, const char *name, void *arg, struct err *err)
{
  const char *path, *body = arg;
  struct value *answer;
  int r;
  if (!name)
    return err_set (err, ERR_INVALID, "name what to scale");
  path = ctl_resource_path (c, res, ctl_namespace (c), name);
  if (!path)
    return err_set (err, ERR_NOMEM, "scale");
  r = ctl_request_json (c, &(struct ctl_request){.method = "PATCH", .path = arena_printf (&c->arena, "%s/scale?fieldManager=kubusctl", path), .body = body, .body_len = strlen (body),
                                                 .content_type = "application/merge-patch+json"}, &answer, err);
  if (r < 0)
    return r;
  printf ("%s/%s scaled\n", ctl_resource_title (c, res), name);
  return 0;
}

int
verb_scale (struct ctl *c, int argc, char **argv, struct err *err)
{
  char *end, *body;
  long n;
  int r;
  if (!c->flags.replicas)
    return err_set (err, ERR_INVALID, "say how many by --replicas=N");
  n = strtol (c->flags.replicas, &end, 10);
  if (*end || end == c->flags.replicas || n < 0 || n > INT32_MAX)
    return err_set (err, ERR_INVALID, "--replicas: \"%s\" is not a number of replicas", c->flags.replicas);
  if (!(body = arena_printf (&c->arena, "{\"spec\":{\"replicas\":%ld}}", n)))
    return err_set (err, ERR_NOMEM, "scale");
  return (r = ctl_config (c, err)) ? r : ctl_targets (c, argc, argv, scale, body, err);
}
