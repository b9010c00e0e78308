#include "services/ctl/ctl.h"

#include "base/http/uri.h"
#include "schemas/json.h"

#define REQUEST_TIMEOUT_MS 60000

int
ctl_refused (struct ctl *c, int status, const struct buf *body, struct err *err)
{
  static const struct {
    const char *reason;
    int status, code;
  } reasons[] = {
    {"NotFound", 404, ERR_NOT_FOUND},       {"AlreadyExists", 0, ERR_EXISTS}, {"Conflict", 409, ERR_CONFLICT}, {"Forbidden", 403, ERR_DENIED},
    {"Unauthorized", 401, ERR_UNAUTHENTICATED}, {"Expired", 410, ERR_COMPACTED},  {"Invalid", 422, ERR_INVALID},
  };
  struct value *v = NULL;
  const char *reason, *message;
  if (body->len && json_parse (&c->arena, buf_cstr (body), body->len, &v, NULL, NULL))
    v = NULL;
  reason = value_path_string (v, "reason", "");
  message = value_path_string (v, "message", NULL);
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (!strcmp (reason, reasons[i].reason) || (!*reason && status == reasons[i].status))
      return err_set (err, reasons[i].code, "Error from server (%s): %s", reasons[i].reason, message ? message : buf_cstr (body));
  if (!message)
    return err_set (err, ERR_INVALID, "Error from server: status %d: %.300s", status, buf_cstr (body));
  return err_set (err, ERR_INVALID, "Error from server%s%s%s: %s", *reason ? " (" : "", reason, *reason ? ")" : "", message);
}

/* ---- a streamed answer: the headers tell whether it is one ---- */

struct stream {
  const struct ctl_request *rq;
  struct loop *loop;
  struct buf *refusal;
  int status, failed;
  struct err *err;
};

static void
stream_headers (void *arg, int status, const struct http_header *headers)
{
  struct stream *s = arg;
  (void) headers;
  s->status = status;
}

static bool
stream_data (void *arg, const void *data, size_t len)
{
  struct stream *s = arg;
  if (s->status >= 200 && s->status < 400)
    return s->rq->on_data (s->rq->arg, data, len);
  buf_append (s->refusal, data, len);
  return !s->refusal->failed;
}

static void
stream_done (void *arg, const struct http_response *response)
{
  struct stream *s = arg;
  if (response->error && response->error->code != ERR_CANCELLED)
    s->failed = err_set (s->err, response->error->code, "%s", response->error->text);
  loop_stop (s->loop);
}

/* The status, or ERR_*; a refusal's body is in out. A stream that on_data ended is a good one. */
static int
stream (struct ctl *c, const struct ctl_request *rq, struct http_call_config *call, struct buf *out, struct err *err)
{
  struct stream s = {.rq = rq, .refusal = out, .loop = loop_new (err), .err = err};
  struct http_client *client = s.loop ? http_client_new (s.loop, &c->tls, 0, err) : NULL;
  int r = client ? 0 : ERR_NOMEM;
  out->limit_bytes = 1 << 20;
  call->on_headers = stream_headers;
  call->on_data = stream_data;
  call->on_done = stream_done;
  call->arg = &s;
  if (!r && !(r = http_call (client, call, NULL, err))) {
    loop_run (s.loop);
    r = s.failed ? s.failed : s.status;
  }
  http_client_free (client);
  loop_free (s.loop);
  return r;
}

int
ctl_request (struct ctl *c, const struct ctl_request *rq, struct buf *out, struct err *err)
{
  struct http_header headers[5];
  struct buf body AUTO_BUF = BUF_INIT;
  size_t n = 0;
  int r = ctl_config (c, err);
  struct http_call_config call = {.method = rq->method, .headers = headers, .body = rq->body, .body_len = rq->body_len, .timeout_ms = rq->endless ? 0 : REQUEST_TIMEOUT_MS,
                                  .response_limit_bytes = 512u << 20};
  if (r)
    return r;
  headers[n++] = (struct http_header){"user-agent", "kubusctl"};
  headers[n++] = (struct http_header){"accept", rq->accept ? rq->accept : "application/json"};
  if (rq->body)
    headers[n++] = (struct http_header){"content-type", rq->content_type ? rq->content_type : "application/json"};
  if (c->token)
    headers[n++] = (struct http_header){"authorization", arena_printf (&c->arena, "Bearer %s", c->token)};
  headers[n] = (struct http_header){NULL, NULL};
  call.url = arena_printf (&c->arena, "%s%s", c->server, rq->path);
  if (!arena_ok (&c->arena))
    return err_set (err, ERR_NOMEM, "request");
  if ((r = rq->on_data ? stream (c, rq, &call, &body, err) : http_call_wait (&c->tls, &call, &body, err)) < 0)
    return err_wrap (err, "%s", c->server), r;
  if (body.failed)
    return err_set (err, ERR_NOMEM, "answer");
  if (r >= 400 || r < 200)
    return ctl_refused (c, r, &body, err);
  if (out)
    buf_append (out, body.data, body.len);
  return out && out->failed ? err_set (err, ERR_NOMEM, "answer") : r;
}

int
ctl_request_json (struct ctl *c, const struct ctl_request *rq, struct value **ret, struct err *err)
{
  struct buf body AUTO_BUF = BUF_INIT;
  int status = ctl_request (c, rq, &body, err), r;
  if (status < 0)
    return status;
  if ((r = json_parse (&c->arena, buf_cstr (&body), body.len, ret, NULL, err)))
    return err_wrap (err, "answer of %s", c->server), r;
  return status;
}

int
ctl_get (struct ctl *c, const char *path, struct value **ret, struct err *err)
{
  int r = path ? ctl_request_json (c, &(struct ctl_request){.method = "GET", .path = path}, ret, err) : err_set (err, ERR_NOMEM, "path");
  return r < 0 ? r : 0;
}

const char *
ctl_query (struct ctl *c, const char *const *pairs)
{
  struct buf out AUTO_BUF = BUF_INIT;
  for (; pairs[0]; pairs += 2) {
    if (!pairs[1])
      continue;
    buf_printf (&out, "%c%s=", out.len ? '&' : '?', pairs[0]);
    uri_encode (&out, pairs[1]);
  }
  return out.failed ? NULL : arena_strdup (&c->arena, buf_cstr (&out));
}
