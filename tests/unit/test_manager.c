#include "tests/lib/object.h"
#include "tests/lib/test.h"

#include "services/controller/controllers.h"

/* Two instances of the manager over a fake API server and fake informers, which hear of a write a few turns of the loop after
   its answer: no replica set may get more pods than it wants, and both instances take part. */

#define OBJECTS_MAX 512
static struct arena arena;
static struct loop *loop;
static uint64_t revision = 100;
static struct stored {
  char prefix[64];
  struct object object;
  struct value *tree;
  bool deleted;
} store[OBJECTS_MAX];
static size_t n_stored;

struct informer {
  char prefix[64], stream[96];
  informer_change_cb change;
  informer_synced_cb on_synced;
  void *arg;
  bool synced;
  uint64_t revision;
  struct object *seen[OBJECTS_MAX]; /* what this copy has, by index in store */
  informer_index_cb index_cb[4];
  char index_name[4][16];
  size_t n_index;
};
static struct informer *informers[256];
static size_t n_informers;
static size_t writes_of[3]; /* pods made, by instance */

struct object *
object_ref (struct object *o)
{
  return o;
}
void
object_unref (struct object *o)
{
  (void) o;
}
struct value *
object_value (const struct object *o, struct arena *a)
{
  struct value *v = value_clone (a, (const struct value *) (const void *) o->packed);
  value_set_path (a, v, "metadata.resourceVersion", value_printf (a, "%llu", (unsigned long long) o->revision));
  return v;
}
const char *
object_field (const struct object *o, const char *path, char *out, size_t size)
{
  snprintf (out, size, "%s", value_path_string ((const struct value *) (const void *) o->packed, path, ""));
  return out;
}
static bool
watches (const struct informer *i, const struct stored *s)
{
  const char *slash = strchr (i->stream, '/');
  return strcmp (i->prefix, s->prefix) == 0 && (!slash || strcmp (slash + 1, s->object.namespace_) == 0);
}
static void
first_sync (void *arg)
{
  struct informer *i = arg;
  for (size_t k = 0; k < n_stored; k++)
    if (watches (i, &store[k]) && !i->seen[k])
      {
        i->seen[k] = arena_alloc (&arena, sizeof *i->seen[k]);
        *i->seen[k] = store[k].object;
        i->change (i->arg, NULL, i->seen[k], i->seen[k]->revision);
      }
  i->synced = true;
  i->revision = revision;
  i->on_synced (i->arg);
}
struct informer *
informer_new (struct bus_source *source, const char *prefix, const char *stream, informer_change_cb change,
              informer_synced_cb synced, void *arg, struct err *err)
{
  struct informer *i = mem_zalloc (sizeof *i);
  (void) source;
  (void) err;
  snprintf (i->prefix, sizeof i->prefix, "%s", prefix);
  snprintf (i->stream, sizeof i->stream, "%s", stream ? stream : prefix);
  i->change = change;
  i->on_synced = synced;
  i->arg = arg;
  informers[n_informers++] = i;
  loop_post (loop, first_sync, i);
  return i;
}
void
informer_free (struct informer *i)
{
  for (size_t k = 0; i && k < n_informers; k++)
    if (informers[k] == i)
      informers[k] = informers[--n_informers];
  free (i);
}
int
informer_add_index (struct informer *i, const char *index, informer_index_cb cb)
{
  snprintf (i->index_name[i->n_index], sizeof i->index_name[0], "%s", index);
  i->index_cb[i->n_index++] = cb;
  return 0;
}
bool
informer_synced (const struct informer *i)
{
  return i->synced;
}
uint64_t
informer_revision (const struct informer *i)
{
  return i->revision;
}
struct object *
informer_get_key (const struct informer *i, const char *key)
{
  for (size_t k = 0; k < OBJECTS_MAX; k++)
    if (i->seen[k] && strcmp (i->seen[k]->key, key) == 0)
      return i->seen[k];
  return NULL;
}
struct object *
informer_get (const struct informer *i, const char *namespace_, const char *name)
{
  char key[256];
  snprintf (key, sizeof key, "%s%s%s", namespace_ ? namespace_ : "", namespace_ ? "/" : "", name);
  return informer_get_key (i, key);
}
struct object *
informer_next (const struct informer *i, const char *namespace_, const struct object *after)
{
  bool past = after == NULL;
  for (size_t k = 0; k < OBJECTS_MAX; k++)
    {
      if (past && i->seen[k] && (!namespace_ || strcmp (i->seen[k]->namespace_, namespace_) == 0))
        return i->seen[k];
      past |= i->seen[k] == after && after;
    }
  return NULL;
}
struct match {
  const char *key;
  bool found;
};
static void
match_key (void *ctx, const char *key)
{
  struct match *m = ctx;
  m->found |= strcmp (m->key, key) == 0;
}
void
informer_by_index (const struct informer *i, const char *index, const char *key, bool (*cb) (void *arg, struct object *o), void *arg)
{
  for (size_t n = 0; n < i->n_index; n++)
    for (size_t k = 0; strcmp (i->index_name[n], index) == 0 && k < OBJECTS_MAX; k++)
      {
        struct match m = { key, false };
        if (i->seen[k])
          i->index_cb[n]((const struct value *) (const void *) i->seen[k]->packed, match_key, &m);
        if (m.found && !cb (arg, i->seen[k]))
          return;
      }
}
void
service_stop (struct service_context *ctx, int exit_status)
{
  (void) ctx;
  fail_msg ("stopped with %d", exit_status);
}

struct delivery {
  size_t at, turns;
  struct object *object;
};
static void
deliver (void *arg)
{
  struct delivery *d = arg;
  if (d->turns-- > 0)
    {
      loop_post (loop, deliver, d);
      return;
    }
  for (size_t i = 0; i < n_informers; i++)
    if (watches (informers[i], &store[d->at]) && informers[i]->synced)
      {
        struct object *old = informers[i]->seen[d->at];
        if (old && old->revision >= d->object->revision)
          continue;
        informers[i]->seen[d->at] = d->object;
        informers[i]->revision = d->object->revision;
        informers[i]->change (informers[i]->arg, old, d->object, d->object->revision);
      }
}

static struct stored *
put (const char *prefix, const struct value *body)
{
  char key[256];
  const char *namespace_ = meta_namespace (body), *name = meta_name (body);
  snprintf (key, sizeof key, "%s%s%s", namespace_, *namespace_ ? "/" : "", name);
  size_t at = 0;
  while (at < n_stored && !(strcmp (store[at].prefix, prefix) == 0 && strcmp (store[at].object.key, key) == 0))
    at++;
  struct stored *s = &store[at];
  struct value *v = value_clone (&arena, body);
  if (at == n_stored)
    {
      n_stored++;
      snprintf (s->prefix, sizeof s->prefix, "%s", prefix);
      value_set_path (&arena, v, "metadata.uid", value_printf (&arena, "uid-%zu", at));
    }
  s->tree = v;
  s->object = (struct object) { .refs = 1, .revision = ++revision, .key = arena_strdup (&arena, key),
                                .namespace_ = arena_strdup (&arena, namespace_), .name = arena_strdup (&arena, name),
                                .uid = meta_uid (v), .packed = (const uint8_t *) (const void *) v };
  struct object *copy = arena_alloc (&arena, sizeof *copy);
  *copy = s->object;
  struct delivery *d = arena_zalloc (&arena, sizeof *d);
  *d = (struct delivery) { at, 3 + revision % 7, copy };
  loop_post (loop, deliver, d);
  return s;
}

struct answer {
  api_cb cb;
  void *arg;
  struct stored *stored;
};
static void
give_answer (void *arg)
{
  struct answer *x = arg;
  struct arena a AUTO_ARENA = {0};
  arena_init (&a, 0);
  x->cb (x->arg, NULL, 200, object_value (&x->stored->object, &a));
}
void
api_call (struct api_client *c, const struct api_request *rq, api_cb cb, void *arg)
{
  char prefix[64];
  snprintf (prefix, sizeof prefix, "%s%s%s", rq->resource, *rq->group ? "." : "", rq->group);
  if (strcmp (rq->verb, "create") != 0 && strcmp (rq->verb, "update") != 0)
    fail_msg ("unexpected %s %s", rq->verb, rq->resource);
  if (strcmp (prefix, "pods") == 0)
    writes_of[(uintptr_t) c]++;
  struct answer *x = arena_alloc (&arena, sizeof *x);
  *x = (struct answer) { cb, arg, put (prefix, rq->body) };
  loop_post (loop, give_answer, x);
}

static size_t
pods_of (const char *rs)
{
  size_t n = 0;
  for (size_t i = 0; i < n_stored; i++)
    n += strcmp (store[i].prefix, "pods") == 0
         && strcmp (value_path_string (meta_controller (store[i].tree), "name", ""), rs) == 0;
  return n;
}

static void
test_manager__two_instances_share_without_doubles (void **state)
{
  enum { SETS = 24 };
  struct controller_config config[2] = { { .instance = "one", .workers = 4 }, { .instance = "two", .workers = 4 } };
  struct service_context ctx[2] = { 0 };
  struct manager *m[2];
  static const struct controller *const only[] = { &controller_replicaset, NULL };
  struct err err = { 0 };
  (void) state;
  arena_init (&arena, 0);
  loop = loop_new (&err);
  for (size_t i = 0; i < 2; i++)
    {
      ctx[i] = (struct service_context) { .service = "t", .name = config[i].instance, .loop = loop,
                                          .api = (struct api_client *) (uintptr_t) (i + 1) };
      m[i] = manager_new (&ctx[i], &config[i], only, &err);
      assert_non_null (m[i]);
      for (int k = 0; k < SETS / 2; k++) /* half before the second comes, half after */
        put ("replicasets.apps",
             object_parse (&arena, arena_printf (&arena,
                                                 "{'metadata':{'name':'rs%zu-%d','namespace':'d'},'spec':{'replicas':3,'selector':{'matchLabels':{'a':'x%zu-%d'}},"
                                                 "'template':{'metadata':{'labels':{'a':'x%zu-%d'}},'spec':{}}}}",
                                                 i, k, i, k, i, k)));
      for (int turn = 0; turn < (i ? 3000 : 20); turn++)
        {
          loop_step (loop, 1);
          size_t done = 0;
          for (size_t s = 0; s < SETS; s++)
            {
              char name[32];
              snprintf (name, sizeof name, "rs%zu-%zu", s / (SETS / 2), s % (SETS / 2));
              assert_true (pods_of (name) <= 3);
              done += pods_of (name) == 3;
            }
          if (done == SETS && turn > 100)
            break;
        }
    }
  for (size_t s = 0; s < SETS; s++)
    {
      char name[32];
      snprintf (name, sizeof name, "rs%zu-%zu", s / (SETS / 2), s % (SETS / 2));
      assert_int_equal (pods_of (name), 3);
    }
  assert_int_equal (writes_of[1] + writes_of[2], SETS * 3);
  assert_true (writes_of[1] > 0 && writes_of[2] > 0);
  manager_free (m[0]);
  manager_free (m[1]);
  loop_free (loop);
  arena_done (&arena);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_manager__two_instances_share_without_doubles) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
