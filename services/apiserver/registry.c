#include "services/apiserver/registry.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/log.h"
#include "schemas/msgpack.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"

/* ---- keys and trees ---- */

const char *
registry_prefix (struct arena *a, const struct schema_kind *k)
{
  char prefix[256];
  (void) schema_storage_prefix (k, prefix, sizeof prefix);
  return arena_strdup (a, prefix);
}

const char *
registry_key (struct arena *a, const struct schema_kind *k, const char *namespace_, const char *name)
{
  const char *prefix = registry_prefix (a, k);
  if (!prefix)
    return NULL;
  return k->namespaced ? arena_printf (a, "%s/%s/%s", prefix, namespace_, name) : arena_printf (a, "%s/%s", prefix, name);
}

struct value *
registry_tree (struct arena *a, const struct cached *o)
{
  struct value *v = NULL;
  return value_unpack (a, o->packed, o->len, &v, NULL) ? NULL : v;
}

struct value *
registry_cached (struct apiserver *s, struct arena *a, const char *prefix, const char *namespace_, const char *name)
{
  const char *key = *namespace_ ? arena_printf (a, "%s/%s/%s", prefix, namespace_, name) : arena_printf (a, "%s/%s", prefix, name);
  const struct cached *o = key ? watch_cache_find (s->caches, key) : NULL;
  return o ? registry_tree (a, o) : NULL;
}

void
registry_set_revision (struct arena *a, struct value *obj, uint64_t revision)
{
  value_set (a, value_ensure_map (a, obj, "metadata"), "resourceVersion", value_printf (a, "%llu", (unsigned long long) revision));
}

const char *
registry_now (struct arena *a)
{
  char text[CLOCK_RFC3339_SIZE];
  const char *copy = arena_strdup (a, wall_format (wall_now (), text));
  return copy ? copy : "";
}

const char *
registry_uid (struct arena *a)
{
  uint8_t r[16];
  if (getrandom (r, sizeof r, 0) != sizeof r)
    return NULL;
  r[6] = (uint8_t) ((r[6] & 0x0f) | 0x40);
  r[8] = (uint8_t) ((r[8] & 0x3f) | 0x80);
  return arena_printf (a, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4], r[5],
                       r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

void
registry_pack (struct arena *a, const struct value *obj, struct buf *out)
{
  struct value *meta = value_get (obj, "metadata"), *shallow = value_map (a), *copy = value_map (a);
  for (value_each (meta, m))
    if (strcmp (m->key, "resourceVersion") != 0)
      value_set_n (a, copy, m->key, m->key_len, m->value);
  for (value_each (obj, o))
    value_set_n (a, shallow, o->key, o->key_len, strcmp (o->key, "metadata") == 0 ? copy : o->value);
  value_pack (shallow, out);
  if (!arena_ok (a))
    out->failed = true;
}

const char *const *
registry_index_streams (struct arena *a, const struct schema_kind *k, const struct value *obj)
{
  size_t n = 0, used = 0;
  k = schema_kind_storage (k);
  while (k->index_streams && k->index_streams[n])
    n++;
  const char **list = arena_zalloc (a, (n + 1) * sizeof *list);
  const char *prefix = registry_prefix (a, k);
  for (size_t i = 0; list && prefix && i < n; i++) {
    const char *value = value_path_string (obj, k->index_streams[i], "");
    if (*value)
      list[used++] = arena_printf (a, "@%s.%s/%s", prefix, k->index_streams[i], value);
  }
  return list;
}

/* ---- the core ---- */

struct registry_op *
registry_op_new (struct request *rq, const char *name)
{
  struct registry_op *op = arena_zalloc (&rq->arena, sizeof *op);
  const char *key = registry_key (&rq->arena, rq->kind, rq->info.namespace_, name);
  if (!op || !key) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_NOMEM, "%s", "begin the change");
    status_error (rq, &err);
    return NULL;
  }
  *op = (struct registry_op) { .rq = rq, .kind = rq->kind, .key = key, .name = name, .namespace_ = rq->kind->namespaced ? rq->info.namespace_ : "",
                               .done = registry_done_object, .dry_run = request_dry_run (rq) };
  return op;
}

void
registry_done_object (struct registry_op *op, struct value *obj, bool deleted)
{
  (void) deleted;
  respond_object (op->rq, op->created ? 201 : 200, obj);
}

static void attempt (struct registry_op *op);

static void
failed (struct registry_op *op, const struct err *err)
{
  log_error ("change failed", "key=%s user=%s err=\"%s\"", op->key, op->rq->user.name, err->text);
  status_error (op->rq, err);
}

static void
no_memory (struct registry_op *op)
{
  struct err err = { 0 };
  (void) err_set (&err, ERR_NOMEM, "%s", "change the object");
  failed (op, &err);
}

/* Takes what the store has now as the object to change. */
static bool
take_live (struct registry_op *op, const struct store_kv *kvs, size_t n)
{
  struct arena *a = &op->rq->arena;
  op->from_cache = false;
  op->live = NULL;
  op->live_revision = 0;
  if (!n)
    return true;
  struct err err = { 0 };
  struct value *v = NULL;
  if (value_unpack (a, kvs->value, kvs->value_len, &v, &err)) {
    err_wrap (&err, "stored object %s", op->key);
    failed (op, &err);
    return false;
  }
  registry_set_revision (a, v, kvs->mod_revision);
  op->live = v;
  op->live_revision = kvs->mod_revision;
  return true;
}

static void
caught_up (void *arg)
{
  attempt (arg);
}

/* Admission looks at other objects too (namespaces, service accounts), so the second look waits for the cache as well. */
static void
reread_done (void *arg, const struct err *err, const struct store_range_result *r)
{
  struct registry_op *op = arg;
  if (err) {
    failed (op, err);
    return;
  }
  if (!take_live (op, r->kvs, r->n_kvs))
    return;
  if (watch_caches_wait (op->rq->server->caches, r->revision, caught_up, op))
    status_reply (op->rq, 503, "", NULL, "too many requests wait for the cache");
}

static void
reread (struct registry_op *op)
{
  struct store_range range = { .key = op->key };
  struct store *st = op->rq->server->store;
  st->vt->range (st, &range, reread_done, op);
}

static void
txn_done (void *arg, const struct err *err, const struct store_txn_result *r)
{
  struct registry_op *op = arg;
  if (err) {
    failed (op, err);
    return;
  }
  if (!r->succeeded) { /* the else branch read what is there now */
    if (r->n_ops < 1 || !take_live (op, r->ops[0].kvs, r->ops[0].n_kvs))
      return;
    if (op->attempts >= REGISTRY_ATTEMPTS_MAX)
      status_conflict (op->rq, op->name, STATUS_MODIFIED);
    else
      attempt (op);
    return;
  }
  registry_set_revision (&op->rq->arena, op->result, r->revision);
  op->done (op, op->result, op->outcome == REGISTRY_DELETE);
}

static void
write_out (struct registry_op *op)
{
  struct request *rq = op->rq;
  struct arena *a = &rq->arena;
  struct store_compare compares[REGISTRY_EXTRA_MAX + 1];
  struct store_op ops[REGISTRY_EXTRA_MAX + 1];
  AUTO_BUF struct buf packed = BUF_INIT;
  compares[0] = (struct store_compare) { .key = op->key, .target = STORE_MOD_REVISION, .relation = STORE_EQUAL, .number = op->live_revision };
  memcpy (compares + 1, op->extra_compares, op->n_extra_compares * sizeof *compares);
  ops[0] = (struct store_op) { .type = STORE_DELETE, .key = op->key };
  if (op->outcome == REGISTRY_PUT) {
    registry_pack (a, op->result, &packed);
    ops[0] = (struct store_op) { .type = STORE_PUT, .key = op->key, .value = packed.data, .value_len = packed.len,
                                 .index_streams = registry_index_streams (a, op->kind, op->result) };
    if (packed.len > STORE_VALUE_MAX) {
      status_reply (rq, 413, "", NULL, "Request entity too large: limit is %u", STORE_VALUE_MAX);
      return;
    }
  }
  memcpy (ops + 1, op->extra_ops, op->n_extra_ops * sizeof *ops);
  if (packed.failed || !arena_ok (a)) {
    no_memory (op);
    return;
  }
  struct store_op otherwise = { .type = STORE_RANGE, .key = op->key };
  struct store_txn txn = { .compares = compares, .n_compares = op->n_extra_compares + 1, .then_ops = ops, .n_then = op->n_extra_ops + 1,
                           .else_ops = &otherwise, .n_else = 1, .actor = rq->user.name, .cause = rq->cause,
                           .trace = rq->trace ? rq->trace : "" };
  struct store *st = rq->server->store;
  st->vt->txn (st, &txn, txn_done, op);
}

static void
attempt (struct registry_op *op)
{
  struct request *rq = op->rq;
  struct value *result = NULL;
  struct value *warnings = rq->warnings ? value_clone (&rq->arena, rq->warnings) : NULL;
  op->attempts++;
  op->n_extra_compares = op->n_extra_ops = 0;
  rq->hold = true;
  rq->held = NULL;
  if (!op->live && !op->create_allowed) {
    status_not_found (rq, op->name);
    op->outcome = REGISTRY_FAIL;
  } else {
    op->created = !op->live;
    op->outcome = op->change (op, op->live, &result);
  }
  rq->hold = false;
  if (!arena_ok (&rq->arena)) {
    no_memory (op);
    return;
  }
  /* The cache may lag: neither a refusal nor "nothing to do" is believed before the store was asked. */
  if (op->from_cache && (op->outcome == REGISTRY_FAIL || op->outcome == REGISTRY_SAME)) {
    rq->warnings = warnings;
    reread (op);
    return;
  }
  op->result = result;
  if (op->outcome == REGISTRY_FAIL) {
    REQUIRE (rq->held);
    respond_status (rq, rq->held_code, rq->held);
    return;
  }
  REQUIRE (result);
  if (op->outcome == REGISTRY_SAME || op->dry_run) {
    op->done (op, result, op->outcome == REGISTRY_DELETE);
    return;
  }
  write_out (op);
}

void
registry_modify (struct registry_op *op)
{
  struct cached *o = watch_cache_find (op->rq->server->caches, op->key);
  struct value *v = o ? registry_tree (&op->rq->arena, o) : NULL;
  op->from_cache = true;
  if (o && !v) {
    no_memory (op);
    return;
  }
  op->live = v;
  op->live_revision = o ? o->revision : 0;
  attempt (op);
}

/* ---- reading when fresh ---- */

#define FRESH_WAIT_MS 3000 /* as upstream's blockTimeout */

struct fresh { /* on the heap: the cache may call back after the request was given up */
  struct request *rq; /* NULL: given up */
  void (*cb) (struct request *rq);
  struct loop_timer *timer;
  uint64_t revision;
};

static void
fresh_free (struct fresh *f)
{
  loop_timer_free (f->timer);
  free (f);
}

static void
fresh_reached (void *arg)
{
  struct fresh *f = arg;
  struct request *rq = f->rq;
  void (*cb) (struct request *) = f->cb;
  fresh_free (f);
  if (rq)
    cb (rq);
}

static void
fresh_late (void *arg)
{
  struct fresh *f = arg;
  struct request *rq = f->rq;
  struct arena *a = &rq->arena;
  struct value *details = value_map (a), *causes = value_array (a), *c = value_map (a);
  f->rq = NULL; /* freed when the cache gets there */
  value_set_string (a, c, "reason", "ResourceVersionTooLarge");
  value_set_string (a, c, "message", "Too large resource version");
  value_append (a, causes, c);
  value_set (a, details, "causes", causes);
  value_set_int (a, details, "retryAfterSeconds", 1);
  status_reply (rq, 504, "Timeout", details, "Too large resource version: %llu, current: %llu", (unsigned long long) f->revision,
                (unsigned long long) watch_caches_revision (rq->server->caches));
}

static void
fresh_wait (struct fresh *f, uint64_t revision)
{
  struct request *rq = f->rq;
  struct watch_caches *caches = rq->server->caches;
  f->revision = revision;
  bool there = watch_caches_synced (caches) && watch_caches_revision (caches) >= revision;
  if (!there && (f->timer = loop_timer_new (rq->server->loop, fresh_late, f)))
    loop_timer_set (f->timer, FRESH_WAIT_MS);
  if ((!there && !f->timer) || watch_caches_wait (caches, revision, fresh_reached, f)) {
    fresh_free (f);
    status_reply (rq, 503, "", NULL, "too many reads wait for the cache");
  }
}

static void
fresh_revision (void *arg, const struct err *err, uint64_t revision)
{
  struct fresh *f = arg;
  struct request *rq = f->rq;
  if (err) {
    fresh_free (f);
    status_error (rq, err);
  } else
    fresh_wait (f, revision);
}

void
registry_when_fresh (struct request *rq, const char *resource_version, void (*cb) (struct request *rq))
{
  struct store *st = rq->server->store;
  if (strcmp (resource_version, "0") == 0) {
    cb (rq);
    return;
  }
  char *end = (char *) "";
  uint64_t want = strtoull (resource_version, &end, 10);
  if (*end || *resource_version == '-') {
    status_bad_request (rq, "resourceVersion: Invalid value: \"%s\": strconv.ParseUint: parsing \"%s\": invalid syntax", resource_version,
                        resource_version);
    return;
  }
  struct fresh *f = mem_zalloc (sizeof *f);
  if (!f) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_NOMEM, "%s", "begin the read");
    status_error (rq, &err);
    return;
  }
  f->rq = rq;
  f->cb = cb;
  if (*resource_version)
    fresh_wait (f, want);
  else
    st->vt->revision (st, fresh_revision, f);
}

/* ---- get ---- */

static void
get_fresh (struct request *rq)
{
  const char *key = registry_key (&rq->arena, rq->kind, rq->info.namespace_, rq->info.name);
  struct cached *o = key ? watch_cache_find (rq->server->caches, key) : NULL;
  if (!o) {
    status_not_found (rq, rq->info.name);
    return;
  }
  if (rq->kind == schema_kind_storage (rq->kind)) {
    respond_packed (rq, 200, o->packed, o->len);
    return;
  }
  struct value *v = registry_tree (&rq->arena, o); /* another version of the same kind: only the name differs in v1.33's kinds */
  value_set_string (&rq->arena, v, "apiVersion",
                    *rq->kind->group ? arena_printf (&rq->arena, "%s/%s", rq->kind->group, rq->kind->version) : rq->kind->version);
  respond_object (rq, 200, v);
}

void
registry_get (struct request *rq)
{
  registry_when_fresh (rq, request_param (rq, "resourceVersion"), get_fresh);
}
