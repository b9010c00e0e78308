#include "services/apiserver/list.h"

#include <openssl/evp.h>

#include "schemas/json.h"
#include "schemas/msgpack.h"
#include "schemas/yaml.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"

#define CHUNK_BYTES (64u << 10)
#define PENDING_BYTES (1u << 20) /* unsent; the rest waits for the peer */
#define PAGE_KEYS 500            /* of a read in the past */

/* ---- filters ---- */

bool
filter_parse (struct request *rq, struct filter *ret)
{
  struct err err = { 0 };
  struct filter f = { .kind = rq->kind, .namespace_ = rq->kind->namespaced ? rq->info.namespace_ : "", .name = rq->info.name };
  const char *labels = request_param (rq, "labelSelector"), *fields = request_param (rq, "fieldSelector");
  if (*labels && selector_parse_labels (&rq->arena, labels, &f.labels, &err)) {
    status_bad_request (rq, "unable to parse requirement: %s", err.text);
    return false;
  }
  if (*fields && selector_parse_fields (&rq->arena, rq->kind, fields, &f.fields, &err)) {
    status_bad_request (rq, "%s", err.text);
    return false;
  }
  *ret = f;
  return true;
}

static bool
key_is_named (const char *key, const char *name)
{
  const char *slash = strrchr (key, '/');
  return slash && strcmp (slash + 1, name) == 0;
}

bool
filter_matches (const struct filter *f, struct arena *scratch, const struct cached *o)
{
  if (*f->name && !key_is_named (o->key, f->name))
    return false;
  if (*f->namespace_) {
    const char *slash = strchr (o->key, '/');
    size_t n = strlen (f->namespace_);
    if (!slash || strncmp (slash + 1, f->namespace_, n) != 0 || slash[1 + n] != '/')
      return false;
  }
  if (!f->labels && !f->fields)
    return true;
  bool matches = true;
  if (f->fields) {
    struct value *v = registry_tree (scratch, o);
    matches = v && selector_matches_fields (f->fields, f->kind, v) && selector_matches (f->labels, value_path (v, "metadata.labels"));
  } else {
    struct msgpack_cursor c, end;
    struct value *labels = NULL;
    if (msgpack_seek (o->packed, o->len, "metadata.labels", &c, NULL) == 0) {
      end = c;
      matches = msgpack_skip (&end, NULL) == 0 && value_unpack (scratch, c.p, (size_t) (end.p - c.p), &labels, NULL) == 0;
    }
    matches = matches && selector_matches (f->labels, labels);
  }
  arena_reset (scratch);
  return matches;
}

/* ---- one object ---- */

bool
list_plain (const struct request *rq)
{
  return !rq->transform && rq->kind == schema_kind_storage (rq->kind);
}

int
list_encode (struct request *rq, struct arena *scratch, const struct cached *o, bool row, bool columns, struct buf *out, struct err *err)
{
  if (list_plain (rq) && rq->encoding != ENCODING_YAML) {
    if (rq->encoding == ENCODING_MSGPACK) {
      buf_append (out, o->packed, o->len);
      return 0;
    }
    return json_write_packed (o->packed, o->len, 0, out, err);
  }
  /* the request's arena would grow with every object: lend it the scratch one */
  struct arena own = rq->arena;
  rq->arena = *scratch;
  struct value *v = registry_tree (&rq->arena, o), *shown = v;
  if (v && rq->kind != schema_kind_storage (rq->kind))
    value_set_string (&rq->arena, v, "apiVersion",
                      *rq->kind->group ? arena_printf (&rq->arena, "%s/%s", rq->kind->group, rq->kind->version) : rq->kind->version);
  if (v && rq->transform == TRANSFORM_TABLE && row)
    shown = respond_row (rq, v);
  else if (v && rq->transform) {
    shown = respond_transformed (rq, v);
    if (rq->transform == TRANSFORM_TABLE && !columns)
      value_set (&rq->arena, shown, "columnDefinitions", value_null (&rq->arena));
  }
  int r = 0;
  if (!v || !arena_ok (&rq->arena))
    r = err_set (err, ERR_NOMEM, "show %s", o->key);
  else if (rq->encoding == ENCODING_MSGPACK)
    value_pack (shown, out);
  else
    json_write (shown, 0, out);
  *scratch = rq->arena;
  rq->arena = own;
  arena_reset (scratch);
  return r;
}

/* ---- lists ---- */

struct list {
  struct request *rq;
  struct filter filter;
  struct arena scratch;
  struct cached **objects;
  size_t n, cap, next;
  uint64_t limit, revision;
  uint64_t remaining; /* only known without selectors */
  bool more, failed, past;
  const char *last_key; /* in the request's arena: where the next page begins */
  const char *prefix;
  struct value *head;
};

static void
list_free (struct list *l)
{
  for (size_t i = 0; i < l->n; i++)
    cached_unref (l->objects[i]);
  free (l->objects);
  arena_done (&l->scratch);
}

static void
list_fail (struct list *l, const struct err *err)
{
  list_free (l);
  status_error (l->rq, err);
}

static bool
add (struct list *l, struct cached *o)
{
  if (l->n == l->cap) {
    size_t cap = l->cap ? l->cap * 2 : 64;
    struct cached **more = realloc (l->objects, cap * sizeof *more);
    if (!more) {
      l->failed = true;
      return false;
    }
    l->objects = more;
    l->cap = cap;
  }
  l->objects[l->n++] = cached_ref (o);
  return true;
}

static bool
collect (void *arg, struct cached *o)
{
  struct list *l = arg;
  if (!filter_matches (&l->filter, &l->scratch, o))
    return true;
  if (l->limit && l->n == l->limit) {
    l->more = true;
    l->remaining++;
    return !l->filter.labels && !l->filter.fields; /* count the rest when that is cheap */
  }
  return add (l, o);
}

/* "REVISION KEY" in URL-safe base64: opaque to clients, as upstream's. */
static const char *
token_make (struct arena *a, uint64_t revision, const char *key)
{
  char text[1200];
  int n = snprintf (text, sizeof text, "%llu %s", (unsigned long long) revision, key);
  if (n < 0 || (size_t) n >= sizeof text)
    return NULL;
  char *out = arena_alloc (a, 4 * ((size_t) n + 2) / 3 + 4);
  if (!out)
    return NULL;
  (void) EVP_EncodeBlock ((unsigned char *) out, (const unsigned char *) text, n);
  for (char *p = out; *p; p++)
    *p = (char) (*p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '.' : *p);
  return out;
}

static bool
token_read (struct arena *a, const char *token, uint64_t *ret_revision, const char **ret_key)
{
  size_t n = strlen (token);
  char *copy = arena_strdup (a, token), *out = arena_zalloc (a, n + 4), *end;
  if (!copy || !out || n % 4 || n > 2048)
    return false;
  for (char *p = copy; *p; p++)
    *p = (char) (*p == '-' ? '+' : *p == '_' ? '/' : *p == '.' ? '=' : *p);
  if (EVP_DecodeBlock ((unsigned char *) out, (const unsigned char *) copy, (int) n) < 0)
    return false;
  *ret_revision = strtoull (out, &end, 10);
  if (end == out || *end != ' ')
    return false;
  *ret_key = end + 1;
  return true;
}

static struct value *
list_head (struct list *l)
{
  struct request *rq = l->rq;
  struct arena *a = &rq->arena;
  struct value *head = value_map (a), *meta = value_map (a);
  const struct schema_kind *k = rq->kind;
  const char *revision = arena_printf (a, "%llu", (unsigned long long) l->revision);
  value_set_string (a, meta, "resourceVersion", revision);
  if (l->more) {
    value_set_string (a, meta, "continue", token_make (a, l->revision, l->objects[l->n - 1]->key));
    if (l->remaining && !l->filter.labels && !l->filter.fields)
      value_set_int (a, meta, "remainingItemCount", (int64_t) l->remaining);
  }
  if (rq->transform == TRANSFORM_TABLE) {
    head = respond_table (rq, revision);
    (void) value_unset (head, "rows");
    value_set (a, head, "metadata", meta);
    return head;
  }
  bool partial = rq->transform == TRANSFORM_PARTIAL;
  value_set (a, head, "kind", partial ? value_string (a, "PartialObjectMetadataList") : value_printf (a, "%sList", k->kind));
  value_set (a, head, "apiVersion",
             partial      ? value_string (a, "meta.k8s.io/v1")
             : *k->group ? value_printf (a, "%s/%s", k->group, k->version)
                          : value_string (a, k->version));
  value_set (a, head, "metadata", meta);
  return head;
}

/* YAML and indented JSON are for people: a tree at once. */
static void
answer_whole (struct list *l, const char *member)
{
  struct request *rq = l->rq;
  struct arena *a = &rq->arena;
  struct value *items = value_array (a);
  for (size_t i = 0; i < l->n; i++) {
    struct value *v = registry_tree (a, l->objects[i]);
    value_append (a, items, rq->transform == TRANSFORM_TABLE ? respond_row (rq, v) : respond_transformed (rq, v));
  }
  value_set (a, l->head, member, items);
  struct value *head = l->head;
  list_free (l);
  respond_tree (rq, 200, head);
}

static void
emit (struct request *rq)
{
  struct list *l = rq->state;
  struct err err = { 0 };
  AUTO_BUF struct buf out = BUF_INIT;
  bool packed = rq->encoding == ENCODING_MSGPACK;
  for (; l->next < l->n && !out.failed && !rq->closed; l->next++) {
    if (l->next && !packed)
      buf_append_byte (&out, ',');
    if (list_encode (rq, &l->scratch, l->objects[l->next], true, false, &out, &err))
      break;
    if (out.len >= CHUNK_BYTES) {
      respond_chunk (rq, out.data, out.len);
      buf_reset (&out);
      if (rq->sink->pending (rq) > PENDING_BYTES) {
        l->next++;
        return;
      }
    }
  }
  /* A failure in the middle of a stream can only be shown by not finishing the text. */
  if (!err.code && !out.failed && l->next == l->n && !packed)
    buf_append_str (&out, "]}\n");
  if (out.len && !rq->closed)
    respond_chunk (rq, out.data, out.len);
  list_free (l);
  respond_end (rq);
}

static void
emit_closed (struct request *rq)
{
  list_free (rq->state);
  respond_end (rq);
}

static void
append_array_head (struct buf *b, uint32_t n)
{
  buf_append_byte (b, 0xdd);
  buf_append_be32 (b, n);
}

static void
answer (struct list *l)
{
  struct request *rq = l->rq;
  const char *member = rq->transform == TRANSFORM_TABLE ? "rows" : "items";
  AUTO_BUF struct buf out = BUF_INIT;
  l->head = list_head (l);
  if (l->failed || !arena_ok (&rq->arena)) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_NOMEM, "%s", "list");
    list_fail (l, &err);
    return;
  }
  if (rq->encoding == ENCODING_YAML || (rq->encoding == ENCODING_JSON && rq->pretty)) {
    answer_whole (l, member);
    return;
  }
  if (rq->encoding == ENCODING_MSGPACK) { /* the head's map with one member more, whose value follows */
    value_set (&rq->arena, l->head, member, value_null (&rq->arena));
    value_pack (l->head, &out);
    if (!out.failed) {
      out.len--;
      append_array_head (&out, (uint32_t) l->n);
    }
  } else {
    json_write (l->head, 0, &out);
    if (!out.failed) {
      out.len--;
      buf_printf (&out, ",\"%s\":[", member);
    }
  }
  if (out.failed) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_NOMEM, "%s", "list");
    list_fail (l, &err);
    return;
  }
  rq->state = l;
  rq->on_drain = emit;
  rq->on_close = emit_closed;
  respond_start (rq, 200, respond_media_type (rq, false));
  respond_chunk (rq, out.data, out.len);
  emit (rq);
}

/* ---- in the past: pages after the first, and resourceVersionMatch=Exact ---- */

static void past_page (struct list *l, const char *from);

static void
past_read (void *arg, const struct err *err, const struct store_range_result *r)
{
  struct list *l = arg;
  if (err && err->code == ERR_COMPACTED) {
    list_free (l);
    status_expired (l->rq, "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
                           "the continue parameter.");
    return;
  }
  if (err) {
    list_fail (l, err);
    return;
  }
  const char *last = NULL;
  for (size_t i = 0; i < r->n_kvs && !l->failed && !l->more; i++) {
    const struct store_kv *kv = &r->kvs[i];
    struct cached *o = cached_new (kv->key, kv->value, kv->value_len, kv->mod_revision, kv->create_revision);
    last = kv->key;
    if (!o)
      l->failed = true;
    else if (filter_matches (&l->filter, &l->scratch, o)) {
      if (l->limit && l->n == l->limit) {
        l->more = true;
        l->remaining = r->count - i;
      } else
        (void) add (l, o);
    }
    cached_unref (o);
  }
  if (r->more && last && !l->failed && !l->more)
    past_page (l, last);
  else
    answer (l);
}

static void
past_page (struct list *l, const char *after)
{
  struct store *st = l->rq->server->store;
  struct arena *a = &l->rq->arena;
  /* the key space from just behind `after` to the end of the prefix: '0' is what follows '/' */
  size_t n = strlen (l->prefix);
  char *end = arena_strdup (a, l->prefix);
  const char *from = after ? arena_printf (a, "%s\x01", after) : l->prefix;
  if (!end || !from) {
    l->failed = true;
    answer (l);
    return;
  }
  end[n - 1] = '0';
  struct store_range range = { .key = from, .end = end, .revision = l->revision, .limit = PAGE_KEYS };
  st->vt->range (st, &range, past_read, l);
}

static void
list_fresh (struct request *rq)
{
  struct list *l = rq->state;
  struct watch_cache *c = NULL;
  const char *prefix = registry_prefix (&rq->arena, rq->kind);
  if (prefix)
    c = watch_cache_get (rq->server->caches, prefix);
  if (!c)
    l->failed = true;
  else {
    l->revision = watch_caches_revision (rq->server->caches);
    watch_cache_each (c, l->filter.namespace_, NULL, collect, l);
  }
  answer (l);
}

void
registry_list (struct request *rq)
{
  struct arena *a = &rq->arena;
  struct filter filter;
  if (!filter_parse (rq, &filter))
    return;
  const char *limit = request_param (rq, "limit"), *token = request_param (rq, "continue");
  const char *match = request_param (rq, "resourceVersionMatch"), *version = request_param (rq, "resourceVersion");
  struct list *l = arena_zalloc (a, sizeof *l);
  const char *prefix = registry_prefix (a, rq->kind);
  const char *key = NULL;
  char *end = (char *) "";
  if (l)
    *l = (struct list) { .rq = rq, .filter = filter, .limit = strtoull (limit, &end, 10) };
  if (!l || !prefix) {
    struct err err = { 0 };
    (void) err_set (&err, ERR_NOMEM, "%s", "begin the list");
    status_error (rq, &err);
    return;
  }
  if (*end || *limit == '-') {
    status_bad_request (rq, "limit: \"%s\" is not a number", limit);
    return;
  }
  if (*match && !*version) {
    status_reply (rq, 422, "", NULL,
                  "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless "
                  "resourceVersion is provided");
    return;
  }
  arena_init (&l->scratch, 0);
  rq->state = l;
  l->prefix = *filter.namespace_ ? arena_printf (a, "%s/%s/", prefix, filter.namespace_) : arena_printf (a, "%s/", prefix);
  if (*token) {
    if (!token_read (a, token, &l->revision, &key) || !l->prefix || strncmp (key, l->prefix, strlen (l->prefix)) != 0) {
      list_free (l);
      status_bad_request (rq, "%s", "continue key is not valid");
      return;
    }
    past_page (l, key);
  } else if (strcmp (match, "Exact") == 0) {
    l->revision = strtoull (version, &end, 10);
    if (*end || !l->revision || !l->prefix) {
      list_free (l);
      status_bad_request (rq, "%s", "resourceVersion is not valid");
      return;
    }
    past_page (l, NULL);
  } else
    registry_when_fresh (rq, version, list_fresh); /* when it answers by itself nothing is held yet */
}
