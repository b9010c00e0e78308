/* The bus front: method "api" (services/common/api.h). The same pipeline as HTTPS; bodies and answers are msgpack. */
#include <stdlib.h>

#include "base/http/uri.h"
#include "schemas/msgpack.h"
#include "services/apiserver/front.h"
#include "services/common/api.h"

struct exchange {
  struct bus_request *bus;
  struct api_request api;
  struct user user;
  int code;
  struct buf body;
};

static const struct {
  const char *verb, *method;
} methods[] = {{"get", "GET"},     {"list", "GET"},     {"create", "POST"},   {"update", "PUT"},
               {"patch", "PATCH"}, {"delete", "DELETE"}, {"deletecollection", "DELETE"}};

static const struct {
  const char *type, *media;
} patches[] = {{"json", "application/json-patch+json"},
               {"merge", "application/merge-patch+json"},
               {"strategic", "application/strategic-merge-patch+json"},
               {"apply", "application/apply-patch+yaml"}};

static const char *
header (const struct request *rq, const char *name)
{
  const struct exchange *x = rq->front;
  if (!strcmp (name, "content-type") || !strcmp (name, "Content-Type"))
    for (size_t i = 0; x->api.patch_type && i < sizeof patches / sizeof patches[0]; i++)
      if (!strcmp (patches[i].type, x->api.patch_type))
        return patches[i].media;
  return NULL;
}

static void
sink_start (struct request *rq, int code, const struct header *headers, bool streamed)
{
  (void) headers;
  (void) streamed;
  ((struct exchange *) rq->front)->code = code;
}

static void
sink_chunk (struct request *rq, const void *data, size_t len)
{
  buf_append (&((struct exchange *) rq->front)->body, data, len);
}

static void
sink_end (struct request *rq)
{
  struct exchange *x = rq->front;
  struct buf out AUTO_BUF = BUF_INIT;
  struct arena a AUTO_ARENA = {0};
  /* {code, object}: the object's bytes are packed already */
  buf_append_byte (&out, 0x82);
  value_pack (value_string (&a, "code"), &out);
  value_pack (value_int (&a, x->code), &out);
  value_pack (value_string (&a, "object"), &out);
  if (x->body.len)
    buf_append (&out, x->body.data, x->body.len);
  else
    value_pack (NULL, &out);
  if (out.failed || x->body.failed || !arena_ok (&a))
    bus_reply_error (x->bus, ERR_NOMEM, "the answer");
  else if (out.len > BUS_BODY_MAX)
    bus_reply_error (x->bus, ERR_LIMIT, "the answer has %zu bytes: ask with a limit", out.len);
  else
    bus_reply (x->bus, out.data, out.len);
  rq->front = NULL;
  buf_done (&x->body);
  free (x);
}

static size_t
sink_pending (struct request *rq)
{
  (void) rq;
  return 0;
}

static const struct response_sink bus_sink = {sink_start, sink_chunk, sink_end, sink_pending};

static void
segment (struct buf *path, const char *text)
{
  if (!text || !*text)
    return;
  buf_append_byte (path, '/');
  uri_encode (path, text);
}

/* The URL that the same request would have, so that one parser decides what is asked. */
static const char *
path_of (struct arena *a, const struct api_request *api)
{
  struct buf path AUTO_BUF = BUF_INIT;
  buf_append_str (&path, *api->group ? "/apis" : "/api");
  segment (&path, api->group);
  segment (&path, api->version);
  if (api->namespace_ && *api->namespace_) {
    buf_append_str (&path, "/namespaces");
    segment (&path, api->namespace_);
  }
  segment (&path, api->resource);
  segment (&path, api->name);
  segment (&path, api->subresource);
  return path.failed ? NULL : arena_strndup (a, buf_cstr (&path), path.len);
}

static void
pair (struct buf *query, const char *key, const struct value *v)
{
  char number[24];
  const char *text = value_as_string (v, NULL);
  if (value_is (v, VALUE_INT)) {
    snprintf (number, sizeof number, "%lld", (long long) v->i);
    text = number;
  } else if (value_is (v, VALUE_BOOL)) {
    text = v->b ? "true" : "false";
  }
  if (!text)
    return;
  buf_printf (query, "%s%s=", query->len ? "&" : "", key);
  uri_encode (query, text);
}

static const char *
query_of (struct arena *a, const struct value *options)
{
  struct buf query AUTO_BUF = BUF_INIT;
  for (value_each (options, m))
    pair (&query, m->key, m->value);
  return query.failed ? NULL : arena_strndup (a, buf_cstr (&query), query.len);
}

static const char *
method_of (const char *verb)
{
  for (size_t i = 0; verb && i < sizeof methods / sizeof methods[0]; i++)
    if (!strcmp (methods[i].verb, verb))
      return methods[i].method;
  return NULL;
}

static int
fill (struct request *rq, struct exchange *x, struct err *err)
{
  struct bus_request *bus = x->bus;
  int r = api_request_unpack (&rq->arena, bus->body, bus->len, &x->api, err);
  size_t n = 0;
  if (r)
    return r;
  if (!(rq->method = method_of (x->api.verb)))
    return err_set (err, ERR_INVALID, "no verb \"%.32s\"", x->api.verb ? x->api.verb : "");
  if (!x->api.group || !x->api.version || !x->api.resource)
    return err_set (err, ERR_INVALID, "group, version and resource are needed");
  while (bus->peer.groups && bus->peer.groups[n])
    n++;
  x->user = (struct user){.name = arena_strdup (&rq->arena, bus->peer.user), .uid = "", .groups = arena_zalloc (&rq->arena, (n + 1) * sizeof (char *)), .n_groups = n};
  for (size_t i = 0; i < n && x->user.groups; i++)
    x->user.groups[i] = arena_strdup (&rq->arena, bus->peer.groups[i]);
  rq->transport_user = &x->user;
  rq->path = path_of (&rq->arena, &x->api);
  rq->query_text = query_of (&rq->arena, x->api.options);
  rq->tree = x->api.body;
  rq->options = x->api.options;
  rq->cause = bus->cause;
  rq->trace = bus->trace;
  return rq->path && rq->query_text && arena_ok (&rq->arena) ? 0 : err_set (err, ERR_NOMEM, "request");
}

static void
on_request (void *arg, struct bus_request *bus)
{
  struct front *f = arg;
  struct exchange *x;
  struct request *rq;
  struct err err = {0};
  if (strcmp (bus->method, API_METHOD)) {
    bus_reply_error (bus, ERR_UNSUPPORTED, "no method \"%.64s\"", bus->method);
    return;
  }
  x = calloc (1, sizeof *x);
  rq = x ? request_new (f->server) : NULL;
  if (!rq) {
    free (x);
    bus_reply_error (bus, ERR_NOMEM, "request");
    return;
  }
  x->bus = bus;
  rq->front = x;
  rq->sink = &bus_sink;
  rq->bus = true;
  rq->header = header;
  if (fill (rq, x, &err)) {
    bus_reply_error (bus, err.code, "%s", err.text);
    free (x);
    request_free (rq);
    return;
  }
  pipeline_handle (rq);
}

int
front_bus_open (struct front *f, struct bus *bus, const char *address, struct err *err)
{
  return (f->bus = bus_serve (bus, address, on_request, f, err)) ? 0 : err->code;
}
