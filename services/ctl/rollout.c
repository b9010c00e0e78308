#include "services/ctl/ctl.h"

#include "base/clock.h"
#include "schemas/json.h"

/* ---- restart ---- */

static int
restart (struct ctl *c, const struct ctl_resource *res, const char *name, void *arg, struct err *err)
{
  char now[CLOCK_RFC3339_SIZE], *body;
  const char *path;
  struct value *answer;
  int r;
  (void) arg;
  if (!name)
    return err_set (err, ERR_INVALID, "name what to restart");
  if (strcmp (res->resource, "deployments") && strcmp (res->resource, "daemonsets") && strcmp (res->resource, "statefulsets"))
    return err_set (err, ERR_INVALID, "restarting %s is not supported", res->resource);
  path = ctl_resource_path (c, res, ctl_namespace (c), name);
  body = arena_printf (&c->arena, "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"kubectl.kubernetes.io/restartedAt\":\"%s\"}}}}}", wall_format (wall_now (), now));
  if (!path || !body)
    return err_set (err, ERR_NOMEM, "restart");
  r = ctl_request_json (c, &(struct ctl_request){.method = "PATCH", .path = arena_printf (&c->arena, "%s?fieldManager=kubusctl", path), .body = body, .body_len = strlen (body),
                                                 .content_type = "application/merge-patch+json"}, &answer, err);
  if (r < 0)
    return r;
  printf ("%s/%s restarted\n", ctl_resource_title (c, res), name);
  return 0;
}

int
verb_rollout_restart (struct ctl *c, int argc, char **argv, struct err *err)
{
  int r = ctl_config (c, err);
  return r ? r : ctl_targets (c, argc, argv, restart, NULL, err);
}

/* ---- status ---- */

/* What kubectl says of the object; *ret_done when there is nothing to wait for. ERR_TIMEOUT: the deadline of progress passed. */
static int
deployment_status (struct arena *a, const struct value *o, const char *name, const char **ret, bool *ret_done, struct err *err)
{
  int64_t want = value_path_int (o, "spec.replicas", 1), updated = value_path_int (o, "status.updatedReplicas", 0), all = value_path_int (o, "status.replicas", 0),
          available = value_path_int (o, "status.availableReplicas", 0);
  for (value_items (value_path (o, "status.conditions"), it))
    if (value_string_is (value_get (*it, "type"), "Progressing") && value_string_is (value_get (*it, "reason"), "ProgressDeadlineExceeded"))
      return err_set (err, ERR_TIMEOUT, "deployment \"%s\" exceeded its progress deadline", name);
  if (updated < want)
    *ret = arena_printf (a, "%lld out of %lld new replicas have been updated...", (long long) updated, (long long) want);
  else if (all > updated)
    *ret = arena_printf (a, "%lld old replicas are pending termination...", (long long) (all - updated));
  else if (available < updated)
    *ret = arena_printf (a, "%lld of %lld updated replicas are available...", (long long) available, (long long) updated);
  else
    *ret_done = true;
  return 0;
}

static void
daemon_set_status (struct arena *a, const struct value *o, const char **ret, bool *ret_done)
{
  int64_t want = value_path_int (o, "status.desiredNumberScheduled", 0), updated = value_path_int (o, "status.updatedNumberScheduled", 0),
          available = value_path_int (o, "status.numberAvailable", 0);
  if (updated < want)
    *ret = arena_printf (a, "%lld out of %lld new pods have been updated...", (long long) updated, (long long) want);
  else if (available < want)
    *ret = arena_printf (a, "%lld of %lld updated pods are available...", (long long) available, (long long) want);
  else
    *ret_done = true;
}

static void
stateful_set_status (struct arena *a, const struct value *o, const char **ret, bool *ret_done)
{
  int64_t want = value_path_int (o, "spec.replicas", 1), partition = value_path_int (o, "spec.updateStrategy.rollingUpdate.partition", 0),
          ready = value_path_int (o, "status.readyReplicas", 0), updated = value_path_int (o, "status.updatedReplicas", 0);
  if (ready < want)
    *ret = arena_printf (a, "waiting for %lld pods to be ready...", (long long) (want - ready));
  else if (partition > 0 ? updated < want - partition
                         : strcmp (value_path_string (o, "status.updateRevision", ""), value_path_string (o, "status.currentRevision", "")) && updated < want)
    *ret = arena_printf (a, "%lld pods at the new revision...", (long long) updated);
  else
    *ret_done = true;
}

struct wait {
  struct ctl *c;
  const char *name, *resource;
  char last[256];
  struct buf line;
  bool done;
  int failed;
  struct err *err;
};

static void
look (struct wait *w, struct arena *a, const struct value *o)
{
  const char *text = NULL;
  if (value_path_int (o, "status.observedGeneration", 0) < value_path_int (o, "metadata.generation", 0))
    text = "the new spec is not yet observed...";
  else if (!strcmp (w->resource, "deployments"))
    w->failed = deployment_status (a, o, w->name, &text, &w->done, w->err);
  else if (!strcmp (w->resource, "daemonsets"))
    daemon_set_status (a, o, &text, &w->done);
  else
    stateful_set_status (a, o, &text, &w->done);
  if (w->failed || (text && !strcmp (text, w->last)))
    return;
  if (text) {
    printf ("Waiting for %.*s \"%s\" rollout to finish: %s\n", (int) strlen (w->resource) - 1, w->resource, w->name, text);
    snprintf (w->last, sizeof w->last, "%s", text);
  }
  fflush (stdout);
}

static bool
wait_data (void *arg, const void *data, size_t len)
{
  struct wait *w = arg;
  const char *end;
  buf_append (&w->line, data, len);
  while (!w->done && !w->failed && w->line.len && (end = memchr (w->line.data, '\n', w->line.len))) {
    size_t n = (size_t) (end - (const char *) w->line.data);
    struct arena a AUTO_ARENA = {0};
    struct value *event;
    if ((w->failed = json_parse (&a, (const char *) w->line.data, n, &event, NULL, w->err)))
      break;
    if (value_string_is (value_get (event, "type"), "DELETED"))
      w->failed = err_set (w->err, ERR_NOT_FOUND, "object has been deleted");
    else if (value_string_is (value_get (event, "type"), "MODIFIED") || value_string_is (value_get (event, "type"), "ADDED"))
      look (w, &a, value_get (event, "object"));
    buf_consume (&w->line, n + 1);
  }
  return !w->done && !w->failed && !w->line.failed;
}

static int
status (struct ctl *c, const struct ctl_resource *res, const char *name, void *arg, struct err *err)
{
  const char *timeout = c->flags.timeout && strcmp (c->flags.timeout, "0") ? c->flags.timeout : NULL, *query, *path = ctl_resource_path (c, res, ctl_namespace (c), NULL);
  struct wait w = {.c = c, .name = name, .resource = res->resource, .line = {.limit_bytes = 64u << 20}, .err = err};
  struct value *now;
  int r;
  (void) arg;
  if (!name)
    return err_set (err, ERR_INVALID, "name what to wait for");
  if (strcmp (res->resource, "deployments") && strcmp (res->resource, "daemonsets") && strcmp (res->resource, "statefulsets"))
    return err_set (err, ERR_INVALID, "no status viewer for %s", res->resource);
  if ((r = ctl_get (c, ctl_resource_path (c, res, ctl_namespace (c), name), &now, err)))
    return r;
  look (&w, &c->arena, now);
  if (!w.done && !w.failed && !c->flags.no_wait) {
    query = ctl_query (c, (const char *const[]){"watch", "true", "fieldSelector", arena_printf (&c->arena, "metadata.name=%s", name), "resourceVersion",
                                                value_path_string (now, "metadata.resourceVersion", "0"), "timeoutSeconds", timeout ? timeout : "86400", NULL});
    r = query ? ctl_request (c, &(struct ctl_request){.method = "GET", .path = arena_printf (&c->arena, "%s%s", path ? path : "", query), .endless = true, .on_data = wait_data, .arg = &w}, NULL, err)
              : err_set (err, ERR_NOMEM, "wait");
  }
  buf_done (&w.line);
  if (w.failed)
    return w.failed;
  if (w.done)
    printf ("%.*s \"%s\" successfully rolled out\n", (int) strlen (res->resource) - 1, res->resource, name);
  else if (r < 0)
    return r;
  else if (!c->flags.no_wait)
    return err_set (err, ERR_TIMEOUT, "timed out waiting for the rollout of \"%s\"", name);
  return 0;
}

int
verb_rollout_status (struct ctl *c, int argc, char **argv, struct err *err)
{
  int r = ctl_config (c, err);
  return r ? r : ctl_targets (c, argc, argv, status, NULL, err);
}
