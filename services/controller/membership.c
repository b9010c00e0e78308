#include <bsd/string.h>
#include <inttypes.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "services/controller/manager_internal.h"

#define LEASE_NAMESPACE "kube-system"
#define LEASE_PREFIX "kubus-controller-"
#define LEASE_INFORMER "leases.coordination.k8s.io/" LEASE_NAMESPACE
#define VIEW_ANNOTATION "kubus.dev/controller-view"
#define RETRY_MS 100
#define DEAD_LEASE_MS 60000
#define LEASE_DEADLINE_MS 2000

/* The happy path: the informer of leases synced -> tick: look at who lives (shard_decide) -> publish the lease with that
   view -> the answer's revision comes back by the informer -> the view is in force, keys are queued. */
struct membership {
  struct manager *manager;
  struct service_context *ctx;
  char self[SHARD_NAME_SIZE], holder[96], lease_name[128];
  struct informer *leases;
  struct loop_timer *timer;
  struct shard_instance instances[SHARD_MEMBERS_MAX];
  size_t n_instances;
  struct shard_view published; /* in force when visible */
  struct shard_view sent;      /* of the write under way */
  bool in_flight, visible;
  bool draining;               /* a narrower view waits for work to end */
  struct shard_view next;
  uint64_t epoch;              /* revision of the publication; 0: none yet */
  int64_t renewed_ms, sent_ms; /* monotonic */
  bool fenced;
  bool crowded; /* more instances than SHARD_MEMBERS_MAX: some are not known here, so nothing is safe to work on */
};

static void tick (void *arg);
static void remove_dead (struct membership *s);

static int64_t
now_ms (void)
{
  return mono_now ().ns / 1000000;
}

static void
input (const struct membership *s, struct shard_input *in)
{
  *in = (struct shard_input) { .self = s->self, .instances = s->instances, .count = s->n_instances, .now_ms = now_ms () };
}

bool
membership_may_work (const struct membership *s, const char *controller, const char *key)
{
  struct shard_input in;
  if (!s || !s->visible || s->fenced || s->crowded)
    return false;
  input (s, &in);
  if (in.now_ms - s->renewed_ms >= SHARD_FENCE_MS || !shard_may_work (&in, &s->published, controller, key))
    return false;
  if (!s->draining)
    return true;
  const char *owner = shard_owner (&s->next, controller, key);
  return owner && strcmp (owner, s->self) == 0;
}

static void
again (struct membership *s, int64_t delay_ms)
{
  if (!s->timer)
    return; /* freed while a write was under way */
  loop_timer_cancel (s->timer);
  loop_timer_set (s->timer, delay_ms);
}

void
membership_work_ended (struct membership *s)
{
  if (s && s->draining)
    again (s, 0);
}

static void
on_written (void *arg, const struct err *transport, int code, const struct value *object)
{
  struct membership *s = arg;
  s->in_flight = false;
  if (transport || code >= 400)
    {
      /* 409: made or changed meanwhile; 404: gone, or the namespace is not there yet. The next try sees which. */
      if (code != 409 && code != 404)
        log_warn ("lease not renewed", "lease=%s code=%d error=\"%s\"", s->lease_name, code,
                  transport ? transport->text : value_path_string (object, "message", ""));
      again (s, RETRY_MS);
      return;
    }
  bool was_fenced = s->fenced;
  s->renewed_ms = s->sent_ms;
  s->fenced = false;
  uint64_t revision = strtoull (value_path_string (object, "metadata.resourceVersion", "0"), NULL, 10);
  if (!shard_view_equal (&s->published, &s->sent) || !s->epoch)
    {
      char text[SHARD_MEMBERS_MAX * SHARD_NAME_SIZE];
      s->published = s->sent;
      s->epoch = revision;
      s->visible = false;
      log_info ("view published", "instance=%s epoch=%" PRIu64 " members=%s", s->self, s->epoch,
                shard_view_format (&s->published, text, sizeof text));
    }
  if (was_fenced && s->visible && s->timer)
    manager_resync_all (s->manager);
  if (s->draining && shard_view_equal (&s->sent, &s->next))
    s->draining = false;
  again (s, !s->visible ? 0 : s->draining ? RETRY_MS : SHARD_RENEW_MS);
}

static void
publish (struct membership *s, const struct shard_view *view)
{
  struct arena a AUTO_ARENA = {0};
  arena_init (&a, 1u << 20);
  char now[CLOCK_RFC3339_SIZE], members[SHARD_MEMBERS_MAX * SHARD_NAME_SIZE];
  wall_format_micro (wall_now (), now);
  const struct object *o = informer_get (s->leases, LEASE_NAMESPACE, s->lease_name);
  struct value *lease = o ? object_value (o, &a) : value_map (&a);
  value_set_string (&a, lease, "apiVersion", "coordination.k8s.io/v1");
  value_set_string (&a, lease, "kind", "Lease");
  value_set_path (&a, lease, "metadata.name", value_string (&a, s->lease_name));
  value_set_path (&a, lease, "metadata.namespace", value_string (&a, LEASE_NAMESPACE));
  struct value *annotations = value_ensure_map (&a, value_get (lease, "metadata"), "annotations");
  value_set_string (&a, annotations, VIEW_ANNOTATION, shard_view_format (view, members, sizeof members));
  struct value *spec = value_ensure_map (&a, lease, "spec");
  const char *holder = value_path_string (spec, "holderIdentity", "");
  if (strcmp (holder, s->holder) != 0)
    {
      value_set_int (&a, spec, "leaseTransitions", o ? value_path_int (spec, "leaseTransitions", 0) + 1 : 0);
      value_set_string (&a, spec, "acquireTime", now);
    }
  value_set_string (&a, spec, "holderIdentity", s->holder);
  value_set_int (&a, spec, "leaseDurationSeconds", SHARD_TTL_MS / 1000);
  value_set_string (&a, spec, "renewTime", now);

  struct api_request rq = { .verb = o ? "update" : "create", .group = "coordination.k8s.io", .version = "v1", .resource = "leases",
                            .namespace_ = LEASE_NAMESPACE, .name = o ? s->lease_name : NULL, .body = lease,
                            .deadline_ms = LEASE_DEADLINE_MS };
  if (!arena_ok (&a))
    {
      again (s, RETRY_MS);
      return;
    }
  s->sent = *view;
  s->sent_ms = now_ms ();
  s->in_flight = true;
  api_call (s->ctx->api, &rq, on_written, s);
}

static void
tick (void *arg)
{
  struct membership *s = arg;
  struct shard_input in;
  struct shard_view next;
  if (!informer_synced (s->leases) || s->in_flight)
    return; /* on_synced and on_written go on */
  input (s, &in);
  if (s->epoch && !s->visible)
    {
      const struct object *o = informer_get (s->leases, LEASE_NAMESPACE, s->lease_name);
      if (!o || o->revision < s->epoch)
        {
          again (s, SHARD_RENEW_MS); /* on_change comes first */
          return;
        }
      s->visible = true;
      manager_resync_all (s->manager);
    }
  if (s->epoch && in.now_ms - s->renewed_ms >= SHARD_FENCE_MS && !s->fenced)
    {
      s->fenced = true;
      log_error ("own lease could not be renewed: work stops until it can", "lease=%s", s->lease_name);
    }
  shard_decide (&in, &next);
  if (s->epoch && shard_view_equal (&next, &s->published))
    {
      bool was_fenced = s->fenced || s->draining;
      s->draining = false;
      if (in.now_ms - s->sent_ms >= SHARD_RENEW_MS || s->fenced)
        {
          publish (s, &next);
          remove_dead (s);
        }
      else
        again (s, SHARD_RENEW_MS - (in.now_ms - s->sent_ms));
      if (was_fenced && !s->fenced)
        manager_resync_all (s->manager);
      return;
    }
  s->draining = s->epoch != 0;
  s->next = next;
  if (s->draining && manager_busy_outside (s->manager, &next, s->self))
    {
      if (in.now_ms - s->sent_ms >= SHARD_RENEW_MS)
        publish (s, &s->published); /* stays alive while work ends */
      else
        again (s, RETRY_MS);
      return;
    }
  publish (s, &next);
}

static void
on_removed (void *arg, const struct err *transport, int code, const struct value *object)
{
  (void) arg;
  (void) transport;
  (void) code;
  (void) object; /* tried again at the next renewal while the lease is there */
}

/* Leases of instances that are long dead go, one at a time, so that they do not fill the table. */
static void
remove_dead (struct membership *s)
{
  for (size_t i = 0; i < s->n_instances; i++)
    {
      struct arena a AUTO_ARENA = {0};
      char name[128], revision[24];
      snprintf (name, sizeof name, LEASE_PREFIX "%s", s->instances[i].name);
      const struct object *o = informer_get (s->leases, LEASE_NAMESPACE, name);
      if (!o || strcmp (s->instances[i].name, s->self) == 0 || now_ms () - s->instances[i].seen_ms < DEAD_LEASE_MS)
        continue;
      arena_init (&a, 1u << 16);
      snprintf (revision, sizeof revision, "%" PRIu64, o->revision);
      struct value *options = value_map (&a);
      value_set_path (&a, options, "preconditions.resourceVersion", value_string (&a, revision));
      struct api_request rq = { .verb = "delete", .group = "coordination.k8s.io", .version = "v1", .resource = "leases",
                                .namespace_ = LEASE_NAMESPACE, .name = name, .options = options, .deadline_ms = LEASE_DEADLINE_MS };
      if (arena_ok (&a))
        api_call (s->ctx->api, &rq, on_removed, NULL);
      return;
    }
}

/* The entry of an instance: its own, a new one, or that of a dead one when the table is full; NULL: no room. */
static struct shard_instance *
entry_of (struct membership *s, const char *name)
{
  size_t at = 0;
  while (at < s->n_instances && strcmp (s->instances[at].name, name) != 0)
    at++;
  if (at < s->n_instances)
    return &s->instances[at];
  if (s->n_instances < SHARD_MEMBERS_MAX)
    s->n_instances++;
  else
    for (at = 0; at < s->n_instances; at++)
      if (now_ms () - s->instances[at].seen_ms >= SHARD_TTL_MS)
        break;
  if (at == SHARD_MEMBERS_MAX)
    return NULL;
  s->instances[at] = (struct shard_instance) { 0 };
  strlcpy (s->instances[at].name, name, sizeof s->instances[at].name);
  return &s->instances[at];
}

static void
on_change (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  struct membership *s = arg;
  struct object *o = new_ ? new_ : old;
  (void) revision;
  if (strncmp (o->name, LEASE_PREFIX, strlen (LEASE_PREFIX)) != 0)
    return;
  const char *name = o->name + strlen (LEASE_PREFIX);
  bool view_changed = false;
  struct shard_instance *x = NULL;
  if (!new_)
    {
      for (size_t i = 0; i < s->n_instances; i++)
        if (strcmp (s->instances[i].name, name) == 0)
          {
            s->instances[i] = s->instances[--s->n_instances];
            break;
          }
      view_changed = true;
    }
  else if (!(x = entry_of (s, name)))
    {
      if (!s->crowded)
        log_error ("too many instances: work stops until this one is started again", "lease=%s known=%d", o->name, SHARD_MEMBERS_MAX);
      s->crowded = true;
    }
  else
    {
      struct arena a AUTO_ARENA = {0};
      arena_init (&a, 1u << 20);
      const struct value *v = object_value (new_, &a);
      struct shard_view view;
      const struct value *annotations = value_path (v, "metadata.annotations");
      shard_view_parse (value_as_string (value_get (annotations, VIEW_ANNOTATION), ""), &view);
      view_changed = x->seen_ms == 0 || !shard_view_equal (&view, &x->view);
      x->view = view;
      x->seen_ms = now_ms ();
      if (strcmp (name, s->self) == 0 && s->epoch && new_->revision > s->epoch
          && strcmp (value_path_string (v, "spec.holderIdentity", s->holder), s->holder) != 0)
        {
          log_error ("another process has this instance's name: stopping", "lease=%s holder=%s", s->lease_name,
                     value_path_string (v, "spec.holderIdentity", ""));
          service_stop (s->ctx, 1);
          return;
        }
    }
  if (!informer_synced (s->leases))
    return;
  bool own = strcmp (name, s->self) == 0;
  if (view_changed && !own && s->visible)
    manager_resync_all (s->manager); /* another's claim on a key may have ended */
  if ((own && !s->visible) || view_changed)
    again (s, 0);
}

static void
on_synced (void *arg)
{
  again (arg, 0);
}

struct membership *
membership_new (struct manager *m, struct service_context *ctx, const char *instance, struct err *err)
{
  struct membership *s = mem_zalloc (sizeof *s);
  if (!s)
    {
      err_set (err, ERR_NOMEM, "membership");
      return NULL;
    }
  s->manager = m;
  s->ctx = ctx;
  strlcpy (s->self, instance, sizeof s->self);
  snprintf (s->holder, sizeof s->holder, "%s_%d_%" PRIx64, s->self, (int) getpid (), (uint64_t) wall_now ().us);
  snprintf (s->lease_name, sizeof s->lease_name, LEASE_PREFIX "%s", s->self);
  if (!(s->timer = loop_timer_new (ctx->loop, tick, s)))
    err_set (err, ERR_NOMEM, "timer");
  else if ((s->leases = informer_new (ctx->source, "leases.coordination.k8s.io", LEASE_INFORMER, on_change, on_synced, s, err)))
    return s;
  membership_free (s);
  return NULL;
}

void
membership_free (struct membership *s)
{
  if (!s)
    return;
  informer_free (s->leases);
  loop_timer_free (s->timer);
  if (s->in_flight)
    {
      s->timer = NULL;
      s->leases = NULL;
      return; /* its answer, or the client's end, still comes: kept until the process ends */
    }
  free (s);
}
