/* deletecollection: each object is deleted by a request of its own, one after the other, under the collection's options; the first
   real failure is the answer. */
#include "services/apiserver/list.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"

struct collection {
  struct request *rq;
  struct filter filter;
  struct delete_options options;
  struct arena scratch;
  const char **keys;
  size_t n, cap, next;
  bool failed;
  int code;                       /* of the object's request */
};

static bool
collect (void *arg, struct cached *o)
{
  struct collection *c = arg;
  struct arena *a = &c->rq->arena;
  if (!filter_matches (&c->filter, &c->scratch, o))
    return true;
  if (c->n == c->cap) {
    size_t cap = c->cap ? 2 * c->cap : 64;
    const char **more = arena_alloc (a, cap * sizeof *more);
    if (!more) {
      c->failed = true;
      return false;
    }
    if (c->n)
      memcpy (more, c->keys, c->n * sizeof *more);
    c->keys = more;
    c->cap = cap;
  }
  c->keys[c->n++] = arena_strdup (a, o->key);
  return true;
}

static void run (void *arg);

static void
child_start (struct request *rq, int code, const struct header *headers, bool streamed)
{
  struct collection *c = rq->front;
  (void) headers;
  (void) streamed;
  c->code = code;
}

static void
child_chunk (struct request *rq, const void *data, size_t len)
{
  (void) rq;
  (void) data;
  (void) len;
}

static void
child_end (struct request *rq)
{
  struct collection *c = rq->front;
  if (c->code >= 400 && c->code != 404)
    c->failed = true;
  /* not at once: this request still uses what the collection's owns */
  if (loop_post (rq->server->loop, run, c)) {
    rq->user = (struct user) { .name = "", .uid = "" };
    run (c);
  }
}

static size_t
child_pending (struct request *rq)
{
  (void) rq;
  return 0;
}

static const struct response_sink child_sink = { child_start, child_chunk, child_end, child_pending };

static void
delete_one (struct collection *c, const char *key)
{
  struct request *rq = c->rq, *child = request_new (rq->server);
  const char *slash = strchr (key, '/'), *name = strrchr (key, '/') + 1;
  if (!child) {
    c->failed = true;
    c->code = 500;
    run (c);
    return;
  }
  rq->server->n_requests++;
  child->sink = &child_sink;
  child->front = c;
  child->method = "DELETE";
  child->path = rq->path;
  child->cause = rq->cause;
  child->trace = rq->trace;
  child->user = rq->user; /* the parent outlives it */
  child->query = rq->query;
  child->options = rq->options;
  child->kind = rq->kind;
  child->info = rq->info;
  child->info.verb = "delete";
  child->info.name = name;
  child->bus = rq->bus;
  if (rq->kind->namespaced)
    child->info.namespace_ = arena_strndup (&child->arena, slash + 1, (size_t) (name - 1 - slash - 1));
  struct registry_op *op = child->info.namespace_ ? registry_op_new (child, name) : NULL;
  if (!op) {
    if (!child->info.namespace_)
      status_not_found (child, name);
    return;
  }
  op->change = registry_delete_change;
  op->arg = &c->options;
  registry_modify (op);
}

static void
finish (struct collection *c)
{
  arena_done (&c->scratch);
  if (c->failed)
    status_reply (c->rq, c->code >= 400 ? c->code : 500, "", NULL, "deleting the collection stopped at %s: status %d", c->keys[c->next - 1], c->code);
  else
    respond_status (c->rq, 200, status_tree (&c->rq->arena, 200, "", "", status_details (&c->rq->arena, c->rq->info.group, c->rq->info.resource, "")));
}

static void
run (void *arg)
{
  struct collection *c = arg;
  if (c->failed || c->next == c->n)
    finish (c);
  else
    delete_one (c, c->keys[c->next++]);
}

static void
begin (struct request *rq)
{
  struct collection *c = rq->state;
  const char *prefix = registry_prefix (&rq->arena, rq->kind);
  struct watch_cache *cache = prefix ? watch_cache_get (rq->server->caches, prefix) : NULL;
  if (cache)
    watch_cache_each (cache, c->filter.namespace_, NULL, collect, c);
  if (!cache || c->failed || !arena_ok (&rq->arena)) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_NOMEM, "%s", "collect what to delete");
    arena_done (&c->scratch);
    status_error (rq, &err);
    return;
  }
  run (c);
}

void
registry_delete_collection (struct request *rq)
{
  struct collection *c = arena_zalloc (&rq->arena, sizeof *c);
  if (!c) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_NOMEM, "%s", "begin the deletion");
    status_error (rq, &err);
    return;
  }
  c->rq = rq;
  if (!filter_parse (rq, &c->filter) || !registry_delete_options (rq, &c->options))
    return;
  arena_init (&c->scratch, 0);
  rq->state = c;
  registry_when_fresh (rq, "", begin);
}
