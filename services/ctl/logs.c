#include "services/ctl/ctl.h"

static bool
print (void *arg, const void *data, size_t len)
{
  (void) arg;
  return fwrite (data, 1, len, stdout) == len && !fflush (stdout);
}

int
verb_logs (struct ctl *c, int argc, char **argv, struct err *err)
{
  static const struct ctl_resource pods = {"", "v1", "pods", "Pod", true};
  const char *name = argv[0], *path, *query;
  int r = ctl_config (c, err);
  (void) argc;
  if (r)
    return r;
  if (!strncmp (name, "pod/", 4) || !strncmp (name, "pods/", 5))
    name = strchr (name, '/') + 1;
  if (strchr (name, '/'))
    return err_set (err, ERR_INVALID, "\"%s\": logs are a pod's", name);
  path = ctl_resource_path (c, &pods, ctl_namespace (c), name);
  query = ctl_query (c, (const char *const[]){"container", c->flags.container, "follow", c->flags.follow ? "true" : NULL, "previous", c->flags.previous ? "true" : NULL,
                                              "timestamps", c->flags.timestamps ? "true" : NULL, "tailLines", c->flags.tail && strcmp (c->flags.tail, "-1") ? c->flags.tail : NULL,
                                              "sinceSeconds", c->flags.since, NULL});
  if (!path || !query)
    return err_set (err, ERR_NOMEM, "logs");
  r = ctl_request (c, &(struct ctl_request){.method = "GET", .path = arena_printf (&c->arena, "%s/log%s", path, query), .accept = "*/*", .endless = true, .on_data = print}, NULL, err);
  return r < 0 ? r : 0;
}
