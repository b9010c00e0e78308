#include <bsd/string.h>
#include <inttypes.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/map.h"
#include "schemas/schema.h"
#include "services/controller/manager_internal.h"

#define SYNCS_PER_PASS 32          /* then the loop gets its turn */
#define WAIT_SEEN_MS 30000         /* how long own writes may take to come back by the bus */
#define REQUEST_DEADLINE_MS (SHARD_TTL_MS - SHARD_FENCE_MS)
#define RUN_ARENA_BYTES (256u << 20)

struct watched { /* an informer and who reads it */
  struct manager *manager;
  char name[192];
  struct informer *informer;
  uint64_t seen;
  bool needed[MANAGER_CONTROLLERS_MAX];
};
struct active { /* a controller that runs */
  const struct controller *controller;
  struct queue *queue;
  bool ready;
};
struct awaited { /* an own write that the informer must show */
  struct watched *in;
  uint64_t revision; /* 0: a deletion of key at */
  uint64_t deleted_revision;
  const char *key;
  struct awaited *next;
};
struct work { /* a key that is busy */
  struct manager *manager;
  struct active *active;
  const struct queue_item *item;
  struct arena *arena;
  struct awaited *awaited;
  int64_t requeue_after_ms, deadline_ms;
  bool waiting; /* for awaited */
  TAILQ_ENTRY (work) link;
};
struct manager {
  struct service_context *ctx;
  const struct controller_config *config;
  struct watched watched[MANAGER_INFORMERS_MAX];
  size_t n_watched;
  struct active active[MANAGER_CONTROLLERS_MAX];
  size_t n_active;
  struct membership *membership;
  struct loop_timer *timer; /* the next key that is due, or own writes to see */
  TAILQ_HEAD (, work) works;
  struct arena scratch; /* trees of one change */
  uint64_t salt;
  bool stopping; /* what runs still ends by the API client's closing, without effect here */
};

static void pump (void *arg);

static int64_t
now_ms (void)
{
  return mono_now ().ns / 1000000;
}

/* ---- reading ---- */
static struct watched *
watched_find (const struct manager *m, const char *name)
{
  for (size_t i = 0; i < m->n_watched; i++)
    if (strcmp (m->watched[i].name, name) == 0)
      return (struct watched *) &m->watched[i];
  return NULL;
}

struct value *
view_get (const struct view *v, const char *informer, const char *namespace_, const char *name)
{
  struct watched *w = watched_find (v->manager, informer);
  struct object *o = w ? informer_get (w->informer, namespace_ && *namespace_ ? namespace_ : NULL, name) : NULL;
  return o ? object_value (o, v->arena) : NULL;
}

struct value *
view_list (const struct view *v, const char *informer, const char *namespace_)
{
  struct watched *w = watched_find (v->manager, informer);
  struct value *list = value_array (v->arena);
  if (w)
    for (struct object *o = NULL; (o = informer_next (w->informer, namespace_, o));)
      value_append (v->arena, list, object_value (o, v->arena));
  return list;
}

void
view_each (const struct view *v, const char *informer, void (*cb) (void *arg, const struct value *o), void *arg)
{
  struct watched *w = watched_find (v->manager, informer);
  struct arena a AUTO_ARENA = {0};
  arena_init (&a, RUN_ARENA_BYTES);
  for (struct object *o = NULL; w && (o = informer_next (w->informer, NULL, o));)
    {
      struct value *tree = object_value (o, &a);
      if (tree)
        cb (arg, tree);
      else
        log_error ("object passed over: out of memory", "informer=%s key=%s", informer, o->key);
      arena_reset (&a);
    }
}

struct collect {
  struct arena *arena;
  struct value *list;
};
static bool
collect_one (void *arg, struct object *o)
{
  struct collect *c = arg;
  value_append (c->arena, c->list, object_value (o, c->arena));
  return true;
}

struct value *
view_indexed (const struct view *v, const char *informer, const char *index, const char *key)
{
  struct watched *w = watched_find (v->manager, informer);
  struct collect c = { v->arena, value_array (v->arena) };
  if (w)
    informer_by_index (w->informer, index, key, collect_one, &c);
  return c.list;
}

static uint64_t
watched_revision (const struct watched *w)
{
  uint64_t r = informer_revision (w->informer);
  return r > w->seen ? r : w->seen;
}

uint64_t
view_revision (const struct view *v, const char *informer)
{
  struct watched *w = watched_find (v->manager, informer);
  return w ? watched_revision (w) : 0;
}

size_t
view_informers (const struct view *v)
{
  return v->manager->n_watched;
}

const char *
view_informer_name (const struct view *v, size_t i)
{
  return v->manager->watched[i].name;
}

static void
index_owner (const struct value *obj, void (*add) (void *ctx, const char *key), void *ctx)
{
  bool controlled = false;
  for (value_items (value_path (obj, "metadata.ownerReferences"), it))
    {
      const char *uid = value_path_string (*it, "uid", "");
      if (*uid)
        add (ctx, uid);
      controlled |= value_path_bool (*it, "controller", false);
    }
  const char *namespace_ = value_path_string (obj, "metadata.namespace", "");
  if (controlled || !*namespace_)
    return;
  char key[256];
  snprintf (key, sizeof key, "~%s", namespace_);
  add (ctx, key);
}

static void
index_node (const struct value *obj, void (*add) (void *ctx, const char *key), void *ctx)
{
  const char *node = value_path_string (obj, "spec.nodeName", "");
  if (*node)
    add (ctx, node);
}

/* ---- changes to keys ---- */
void
mapping_add_key (struct mapping *m, const char *key)
{
  struct manager *g = m->view.manager;
  if (!membership_may_work (g->membership, m->controller->name, key))
    return; /* another instance's; a change of view queues everything again */
  for (size_t i = 0; i < g->n_active; i++)
    if (g->active[i].controller == m->controller && queue_add (g->active[i].queue, key, m->revision) != 0)
      log_error ("key not queued", "controller=%s key=%s", m->controller->name, key);
  if (loop_timer_armed (g->timer))
    loop_timer_cancel (g->timer);
  loop_timer_set (g->timer, 0);
}

void
mapping_add (struct mapping *m, const char *namespace_, const char *name)
{
  if (!name || !*name)
    return;
  char key[512];
  if (namespace_ && *namespace_)
    snprintf (key, sizeof key, "%s/%s", namespace_, name);
  else
    strlcpy (key, name, sizeof key);
  mapping_add_key (m, key);
}

void
mapping_add_owner (struct mapping *m, const char *group, const char *kind)
{
  const struct value *states[] = { m->old, m->new_ };
  for (size_t i = 0; i < 2; i++)
    for (value_items (value_path (states[i], "metadata.ownerReferences"), it))
      {
        if (!value_path_bool (*it, "controller", false) || strcmp (value_path_string (*it, "kind", ""), kind) != 0)
          continue;
        const char *version = value_path_string (*it, "apiVersion", ""), *slash = strchr (version, '/');
        size_t n = slash ? (size_t) (slash - version) : 0;
        if (n == strlen (group) && strncmp (version, group, n) == 0)
          mapping_add (m, value_path_string (states[i], "metadata.namespace", ""), value_path_string (*it, "name", ""));
      }
}

static void
resync (struct manager *m, struct active *x)
{
  arena_reset (&m->scratch);
  struct mapping map = { .view = { m, &m->scratch }, .controller = x->controller };
  if (x->controller->resync)
    {
      x->controller->resync (&map);
      return;
    }
  const struct watched *w = watched_find (m, x->controller->informers[0]);
  for (struct object *o = NULL; (o = informer_next (w->informer, NULL, o));)
    mapping_add_key (&map, o->key);
}

void
manager_resync_all (struct manager *m)
{
  for (size_t i = 0; i < m->n_active; i++)
    if (m->active[i].ready)
      resync (m, &m->active[i]);
}

static void
on_synced (void *arg)
{
  struct manager *m = ((struct watched *) arg)->manager;
  for (size_t i = 0; i < m->n_active; i++)
    {
      struct active *x = &m->active[i];
      bool ready = true;
      for (size_t k = 0; k < m->n_watched; k++)
        ready &= !m->watched[k].needed[i] || informer_synced (m->watched[k].informer);
      if (!ready || x->ready)
        continue;
      x->ready = true;
      log_info ("controller ready", "controller=%s", x->controller->name);
      resync (m, x);
    }
}

static void
on_change (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  struct watched *w = arg;
  struct manager *m = w->manager;
  if (revision > w->seen)
    w->seen = revision;
  if (!TAILQ_EMPTY (&m->works))
    {
      loop_timer_cancel (m->timer);
      loop_timer_set (m->timer, 0); /* own writes may be visible now */
    }
  arena_reset (&m->scratch);
  struct value *trees[2] = { NULL, NULL };
  bool made = false;
  for (size_t i = 0; i < m->n_active; i++)
    {
      if (!w->needed[i] || !m->active[i].ready)
        continue;
      if (!made)
        {
          trees[0] = old ? object_value (old, &m->scratch) : NULL;
          trees[1] = new_ ? object_value (new_, &m->scratch) : NULL;
          made = true;
        }
      struct mapping map = { .view = { m, &m->scratch }, .informer = w->name, .old = trees[0], .new_ = trees[1],
                             .revision = revision, .controller = m->active[i].controller };
      map.controller->map (&map);
    }
  if (!arena_ok (&m->scratch))
    log_error ("change lost: out of memory", "informer=%s revision=%" PRIu64, w->name, revision);
}

/* ---- runs ---- */
static void
work_end (struct work *w, const char *failure)
{
  struct manager *m = w->manager;
  TAILQ_REMOVE (&m->works, w, link);
  if (m->stopping)
    {
      arena_free (w->arena);
      return;
    }
  queue_done (w->active->queue, w->item, failure, w->requeue_after_ms, now_ms ());
  arena_free (w->arena);
  membership_work_ended (m->membership);
  loop_timer_cancel (m->timer);
  loop_timer_set (m->timer, 0);
}

static bool
is_visible (const struct awaited *a)
{
  if (a->revision)
    return watched_revision (a->in) >= a->revision;
  const struct object *o = informer_get_key (a->in->informer, a->key);
  char when[40];
  return !o || o->revision > a->deleted_revision || *object_field (o, "metadata.deletionTimestamp", when, sizeof when);
}

static bool
all_visible (struct work *w)
{
  while (w->awaited && is_visible (w->awaited))
    w->awaited = w->awaited->next;
  return !w->awaited;
}

static void
on_answer (void *arg, const struct action *x, int code, const struct value *object)
{
  struct work *w = arg;
  const struct api_request *rq = &x->request;
  char name[192], key[512];
  (void) code;
  snprintf (name, sizeof name, "%s%s%s", rq->resource, *rq->group ? "." : "", rq->group);
  struct watched *in = watched_find (w->manager, name);
  if (!in || strcmp (rq->verb, "deletecollection") == 0)
    return;
  struct awaited *a = arena_zalloc (w->arena, sizeof *a);
  if (!a)
    return;
  a->in = in;
  if (strcmp (rq->verb, "delete") == 0)
    {
      snprintf (key, sizeof key, "%s%s%s", rq->namespace_ ? rq->namespace_ : "", rq->namespace_ && *rq->namespace_ ? "/" : "",
                rq->name);
      const struct object *o = informer_get_key (in->informer, key);
      if (!o)
        return;
      a->key = arena_strdup (w->arena, key);
      a->deleted_revision = o->revision;
    }
  else
    {
      a->revision = strtoull (value_path_string (object, "metadata.resourceVersion", "0"), NULL, 10);
      if (!a->revision)
        return;
    }
  a->next = w->awaited;
  w->awaited = a;
}

static void
on_done (void *arg, size_t done, int code, const char *text)
{
  struct work *w = arg;
  if (w->manager->stopping)
    {
      work_end (w, NULL);
      return;
    }
  if (code || (text && *text))
    {
      if (code == 409)
        log_debug ("sync met a conflict", "controller=%s key=%s action=%zu error=\"%s\"", w->active->controller->name, w->item->key,
                   done, text);
      else
        log_warn ("sync failed", "controller=%s key=%s action=%zu code=%d cause=%" PRIu64 " error=\"%s\"",
                  w->active->controller->name, w->item->key, done, code, w->item->cause, text);
      work_end (w, text && *text ? text : "failed");
      return;
    }
  w->waiting = true;
  w->deadline_ms = now_ms () + WAIT_SEEN_MS;
  if (all_visible (w))
    work_end (w, NULL);
}

static void
work_start (struct manager *m, struct active *x, const struct queue_item *item)
{
  struct arena *a = arena_new (RUN_ARENA_BYTES);
  struct work *w = a ? arena_zalloc (a, sizeof *w) : NULL;
  if (!w)
    {
      arena_free (a);
      queue_done (x->queue, item, "out of memory", 0, now_ms ());
      return;
    }
  *w = (struct work) { .manager = m, .active = x, .item = item, .arena = a };
  TAILQ_INSERT_TAIL (&m->works, w, link);
  struct actions as;
  actions_init (&as, a);
  const char *slash = strchr (item->key, '/');
  struct sync s = { .view = { m, a }, .key = item->key, .namespace_ = "", .name = item->key, .now = wall_now (),
                    .salt = hash_bytes (item->key, strlen (item->key), (uint64_t) wall_now ().us + ++m->salt),
                    .failure = item->failure, .config = m->config, .actions = &as };
  if (slash)
    {
      s.namespace_ = arena_strndup (a, item->key, (size_t) (slash - item->key));
      s.name = slash + 1;
    }
  x->controller->sync (&s);
  w->requeue_after_ms = as.requeue_after_ms;
  if (!arena_ok (a))
    {
      work_end (w, "out of memory");
      return;
    }
  for (size_t i = 0; i < as.count; i++)
    if (!as.items[i].request.deadline_ms)
      as.items[i].request.deadline_ms = REQUEST_DEADLINE_MS;
  if (!as.count)
    work_end (w, NULL);
  else
    actions_run_watched (m->ctx->api, &as, item->cause, on_answer, on_done, w);
}

static void
end_visible (struct manager *m)
{
  struct work *w, *next;
  int64_t now = now_ms ();
  for (w = TAILQ_FIRST (&m->works); w; w = next)
    {
      next = TAILQ_NEXT (w, link);
      if (!w->waiting)
        continue;
      bool late = now >= w->deadline_ms;
      if (!all_visible (w) && !late)
        continue;
      if (late)
        log_warn ("own writes not seen in time, going on", "controller=%s key=%s", w->active->controller->name, w->item->key);
      work_end (w, NULL);
    }
}

static void
pump (void *arg)
{
  struct manager *m = arg;
  size_t left = SYNCS_PER_PASS;
  int64_t wait = -1;
  if (m->stopping)
    return;
  end_visible (m);
  for (size_t i = 0; i < m->n_active; i++)
    {
      struct active *x = &m->active[i];
      const struct queue_item *item;
      while (x->ready && left && queue_busy (x->queue) < (size_t) m->config->workers && queue_take (x->queue, now_ms (), &item))
        {
          if (!membership_may_work (m->membership, x->controller->name, item->key))
            {
              queue_done (x->queue, item, NULL, 0, now_ms ());
              continue;
            }
          left--;
          work_start (m, x, item);
        }
      int64_t delay = queue_delay_ms (x->queue, now_ms ());
      if (delay == 0 && left)
        delay = -1; /* its workers are all busy: the end of one pumps */
      if (x->ready && delay >= 0 && (wait < 0 || delay < wait))
        wait = delay;
    }
  if (!TAILQ_EMPTY (&m->works) && (wait < 0 || wait > 100))
    wait = 100;
  /* work_end and the like armed it with 0 meanwhile: that is right only when there is something to take */
  loop_timer_cancel (m->timer);
  if (wait >= 0)
    loop_timer_set (m->timer, wait);
}

bool
manager_busy_outside (const struct manager *m, const struct shard_view *next, const char *self)
{
  const struct work *w;
  TAILQ_FOREACH (w, &m->works, link)
    {
      const char *owner = shard_owner (next, w->active->controller->name, w->item->key);
      if (!owner || strcmp (owner, self) != 0)
        return true;
    }
  return false;
}

/* ---- starting and stopping ---- */
static int
need (struct manager *m, const char *name, size_t controller, struct err *err)
{
  struct watched *w = watched_find (m, name);
  if (!w)
    {
      if (m->n_watched == MANAGER_INFORMERS_MAX)
        return err_set (err, ERR_LIMIT, "more than %d informers", MANAGER_INFORMERS_MAX);
      w = &m->watched[m->n_watched];
      w->manager = m;
      strlcpy (w->name, name, sizeof w->name);
      char prefix[192];
      strlcpy (prefix, name, sizeof prefix);
      prefix[strcspn (prefix, "/")] = '\0';
      w->informer = informer_new (m->ctx->source, prefix, strchr (name, '/') ? name : NULL, on_change, on_synced, w, err);
      if (!w->informer)
        return err_wrap (err, "informer of %s", name);
      m->n_watched++;
      int rc = informer_add_index (w->informer, "owner", index_owner);
      if (rc == 0 && strcmp (name, "pods") == 0)
        rc = informer_add_index (w->informer, "node", index_node);
      if (rc != 0)
        return err_set (err, rc, "index of %s", name);
    }
  w->needed[controller] = true;
  return 0;
}

static int
need_all_kinds (struct manager *m, size_t controller, struct err *err)
{
  const struct schema_kind *k;
  for (size_t i = 0; (k = schema_kind_at (i)); i++)
    {
      char name[192];
      if (k->virtual_ || schema_kind_storage (k) != k || !(k->verbs & SCHEMA_LIST_VERB) || strcmp (k->kind, "Event") == 0)
        continue;
      schema_storage_prefix (k, name, sizeof name);
      int rc = need (m, name, controller, err);
      if (rc != 0)
        return rc;
    }
  return 0;
}

static bool
enabled (const struct service_list *list, const char *name)
{
  bool on = list->count == 0;
  for (size_t i = 0; i < list->count; i++)
    {
      const char *item = list->items[i];
      if (item[0] == '-' && strcmp (item + 1, name) == 0)
        return false;
      on |= strcmp (item, "*") == 0 || strcmp (item, name) == 0;
    }
  return on;
}

struct manager *
manager_new (struct service_context *ctx, const struct controller_config *config, const struct controller *const *controllers,
             struct err *err)
{
  struct manager *m = mem_zalloc (sizeof *m);
  if (!m)
    {
      err_set (err, ERR_NOMEM, "controllers");
      return NULL;
    }
  m->ctx = ctx;
  m->config = config;
  TAILQ_INIT (&m->works);
  arena_init (&m->scratch, RUN_ARENA_BYTES);
  if (!(m->timer = loop_timer_new (ctx->loop, pump, m)))
    {
      err_set (err, ERR_NOMEM, "timer");
      goto failed;
    }
  if (!(m->membership = membership_new (m, ctx, config->instance, err)))
    goto failed;
  for (; *controllers; controllers++)
    {
      const struct controller *c = *controllers;
      if (!enabled (&config->controllers, c->name))
        continue;
      size_t at = m->n_active;
      REQUIRE (at < MANAGER_CONTROLLERS_MAX);
      m->active[at].controller = c;
      if (!(m->active[at].queue = queue_new ()))
        {
          err_set (err, ERR_NOMEM, "queue");
          goto failed;
        }
      m->n_active++;
      for (size_t i = 0; c->informers && c->informers[i]; i++)
        if (need (m, c->informers[i], at, err) != 0)
          goto failed;
      if (c->all_kinds && need_all_kinds (m, at, err) != 0)
        goto failed;
    }
  return m;
failed:
  manager_free (m);
  return NULL;
}

void
manager_free (struct manager *m)
{
  if (!m)
    return;
  m->stopping = true;
  membership_free (m->membership);
  for (size_t i = 0; i < m->n_watched; i++)
    informer_free (m->watched[i].informer);
  loop_timer_free (m->timer);
  struct work *w;
  TAILQ_FOREACH (w, &m->works, link)
    w->item = NULL;
  for (size_t i = 0; i < m->n_active; i++)
    queue_free (m->active[i].queue);
  arena_done (&m->scratch);
  m->membership = NULL;
  m->n_watched = m->n_active = 0;
  if (TAILQ_EMPTY (&m->works))
    free (m); /* else runs under way still point here until the API client is freed, at the end of the process */
}
