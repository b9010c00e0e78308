#include "services/common/api.h"

#include "schemas/msgpack.h"

enum { ANSWER_MEMORY_MAX = 512 << 20 /* the tree of an answer of BUS_BODY_MAX */ };

struct api_client {
  struct bus_client *client;
};

struct waiting { /* for an answer */
  api_cb cb;
  void *arg;
};

/* ---- encoding ---- */
void
api_request_pack (const struct api_request *rq, struct buf *out)
{
  struct arena a AUTO_ARENA = {0};
  struct value *map = value_map (&a);
  const struct {
    const char *name, *value;
  } rows[] = {{"verb", rq->verb},           {"group", rq->group},       {"version", rq->version},
              {"resource", rq->resource},   {"subresource", rq->subresource}, {"namespace", rq->namespace_},
              {"name", rq->name},           {"patchType", rq->patch_type}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    value_set_string (&a, map, rows[i].name, rows[i].value);
  /* The trees are only read by value_pack. */
  value_set (&a, map, "body", (struct value *) (uintptr_t) rq->body);
  value_set (&a, map, "options", (struct value *) (uintptr_t) rq->options);
  value_pack (map, out);
  out->failed |= !arena_ok (&a);
}

int
api_request_unpack (struct arena *a, const void *data, size_t n, struct api_request *ret, struct err *err)
{
  static const char *const patch_types[] = {"json", "merge", "strategic", "apply"};
  struct value *v = NULL;
  struct api_request rq;
  bool known = false;
  int r = value_unpack (a, data, n, &v, err);
  if (r)
    return err_wrap (err, "api request");
  rq = (struct api_request){.verb = value_path_string (v, "verb", NULL),
                            .group = value_path_string (v, "group", ""),
                            .version = value_path_string (v, "version", NULL),
                            .resource = value_path_string (v, "resource", NULL),
                            .subresource = value_path_string (v, "subresource", NULL),
                            .namespace_ = value_path_string (v, "namespace", NULL),
                            .name = value_path_string (v, "name", NULL),
                            .body = value_get (v, "body"),
                            .patch_type = value_path_string (v, "patchType", NULL),
                            .options = value_get (v, "options")};
  if (!rq.verb || !rq.version || !rq.resource)
    return err_set (err, ERR_PARSE, "api request: verb, version and resource are required");
  if (rq.options && !value_is (rq.options, VALUE_MAP))
    return err_set (err, ERR_PARSE, "api request: options is not a map");
  for (size_t i = 0; rq.patch_type && i < sizeof patch_types / sizeof patch_types[0]; i++)
    known = known || !strcmp (rq.patch_type, patch_types[i]);
  if (rq.patch_type && !known)
    return err_set (err, ERR_PARSE, "api request: patchType \"%.50s\"", rq.patch_type);
  *ret = rq;
  return 0;
}

static int
answer_unpack (struct arena *a, const uint8_t *body, size_t len, int *ret_code, struct value **ret_object, struct err *err)
{
  struct value *v = NULL;
  int64_t code;
  if (value_unpack (a, body, len, &v, err))
    return err_wrap (err, "api answer");
  code = value_path_int (v, "code", 0);
  if (code < 100 || code > 599)
    return err_set (err, ERR_PARSE, "api answer: code %lld", (long long) code);
  *ret_code = (int) code;
  *ret_object = value_get (v, "object");
  return 0;
}

/* ---- calling ---- */
struct api_client *
api_client_new (struct bus *b, const char *const *endpoints, size_t n, struct err *err)
{
  struct api_client *c = mem_zalloc (sizeof *c);
  if (!c) {
    err_set (err, ERR_NOMEM, "API client");
    return NULL;
  }
  if (!(c->client = bus_client_new (b, endpoints, n, err))) {
    err_wrap (err, "API client");
    free (c);
    return NULL;
  }
  return c;
}

void
api_client_free (struct api_client *c)
{
  if (!c)
    return;
  bus_client_free (c->client);
  free (c);
}

static void
on_answer (void *arg, const struct err *err, const uint8_t *body, size_t len)
{
  struct waiting w = *(struct waiting *) arg;
  struct arena a AUTO_ARENA = {0};
  struct value *object = NULL;
  struct err e = {0};
  int code = 0;
  free (arg);
  arena_init (&a, ANSWER_MEMORY_MAX);
  if (err)
    w.cb (w.arg, err, 0, NULL);
  else if (answer_unpack (&a, body, len, &code, &object, &e))
    w.cb (w.arg, &e, 0, NULL);
  else
    w.cb (w.arg, NULL, code, object);
}

void
api_call (struct api_client *c, const struct api_request *rq, api_cb cb, void *arg)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct waiting *w = mem_zalloc (sizeof *w);
  struct err err;
  api_request_pack (rq, &body);
  if (!w || body.failed) {
    free (w);
    err_set (&err, ERR_NOMEM, "API request");
    cb (arg, &err, 0, NULL);
    return;
  }
  *w = (struct waiting){cb, arg};
  (void) bus_call (c->client,
                   &(struct bus_call){.method = API_METHOD, .body = body.data, .len = body.len, .deadline_ms = rq->deadline_ms, .cause = rq->cause},
                   on_answer, w);
}

int
api_call_sync (struct api_client *c, struct arena *a, const struct api_request *rq, int *ret_code, struct value **ret_object,
               struct err *err)
{
  struct buf body AUTO_BUF = BUF_INIT, answer AUTO_BUF = BUF_INIT;
  int r;
  api_request_pack (rq, &body);
  if (body.failed)
    return err_set (err, ERR_NOMEM, "API request");
  r = bus_call_sync (c->client,
                     &(struct bus_call){.method = API_METHOD, .body = body.data, .len = body.len, .deadline_ms = rq->deadline_ms, .cause = rq->cause},
                     &answer, err);
  return r ? r : answer_unpack (a, answer.data, answer.len, ret_code, ret_object, err);
}
