/* A request's life between its connection and its handler, and what both may ask of it. */
#include "base/http/http_internal.h"

#include <strings.h>

#define ARENA_SLACK_BYTES (16u << 10)

static const char *const methods_allowed[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

bool
http_method_allowed (const char *method)
{
  for (size_t i = 0; i < sizeof methods_allowed / sizeof *methods_allowed; i++)
    if (!strcmp (method, methods_allowed[i]))
      return true;
  return false;
}

struct http_request *
http_request_new (struct http_conn *c, size_t header_limit_bytes)
{
  struct http_request *req = mem_zalloc (sizeof *req);
  if (!req)
    return NULL;
  /* Twice: values are copied once more when decoded or joined, and every string is padded. */
  arena_init (&req->arena, 2 * header_limit_bytes + HTTP_HEADERS_LIMIT * (sizeof *req->headers + 32) + ARENA_SLACK_BYTES);
  req->conn = c;
  req->loop = c->server->loop;
  req->proto = c->proto;
  req->output_high_bytes = c->server->config.output_high_bytes;
  req->refs = 1; /* the connection's */
  req->query = req->path = req->method = "";
  req->body_limit_bytes = c->server->config.body_limit_bytes;
  req->verify = c->verify;
  req->tls = c->server->config.tls != NULL;
  req->conn_id = c->id;
  memcpy (req->peer, c->peer, sizeof req->peer);
  if (c->cert && X509_up_ref (c->cert))
    req->cert = c->cert;
  return req;
}

void
http_request_unref (struct http_request *req)
{
  REQUIRE (req->refs > 0);
  if (--req->refs)
    return;
  if (req->out)
    evbuffer_free (req->out);
  buf_done (&req->body);
  arena_done (&req->arena);
  X509_free (req->cert);
  free (req);
}

int
http_request_set_target (struct http_request *req, const char *target, size_t len)
{
  const char *end = target + len, *p = target, *mark;
  if (len >= 7 && !strncasecmp (p, "http://", 7))
    p += 7;
  else if (len >= 8 && !strncasecmp (p, "https://", 8))
    p += 8;
  if (p != target) { /* absolute form, RFC 9112 3.2.2: the authority is Host's business */
    while (p < end && *p != '/' && *p != '?')
      p++;
    if (p == end || *p == '?') {
      req->path = "/";
      req->query = p == end ? "" : arena_strndup (&req->arena, p + 1, (size_t) (end - p - 1));
      return arena_ok (&req->arena) ? 0 : ERR_NOMEM;
    }
  }
  for (const char *c = p; c < end; c++)
    if ((unsigned char) *c <= ' ' || *c == 0x7f)
      return ERR_PARSE;
  if (p == end || (*p != '/' && !(len == 1 && *p == '*' && !strcmp (req->method, "OPTIONS"))))
    return ERR_PARSE;
  if ((mark = memchr (p, '#', (size_t) (end - p))))
    end = mark;
  mark = memchr (p, '?', (size_t) (end - p));
  req->path = arena_strndup (&req->arena, p, (size_t) ((mark ? mark : end) - p));
  req->query = mark ? arena_strndup (&req->arena, mark + 1, (size_t) (end - mark - 1)) : "";
  return arena_ok (&req->arena) ? 0 : ERR_NOMEM;
}

int
http_request_add_header (struct http_request *req, const char *name, size_t name_len, const char *value, size_t value_len)
{
  char *n, *v;
  if (!req->headers && !(req->headers = arena_alloc (&req->arena, HTTP_HEADERS_LIMIT * sizeof *req->headers)))
    return ERR_LIMIT;
  if (req->n_headers == HTTP_HEADERS_LIMIT)
    return ERR_LIMIT;
  while (value_len && (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
    value_len--;
  n = arena_strndup (&req->arena, name, name_len);
  v = arena_strndup (&req->arena, value, value_len);
  if (!n || !v)
    return ERR_LIMIT;
  if (strlen (v) != value_len || strlen (n) != name_len)
    return ERR_PARSE;
  for (char *p = n; *p; p++)
    if (*p >= 'A' && *p <= 'Z')
      *p = (char) (*p + ('a' - 'A'));
  req->headers[req->n_headers++] = (struct http_header){n, v};
  return 0;
}

bool
http_request_route (struct http_request *req)
{
  struct http_server *s = req->conn->server;
  if (!s->config.on_headers || s->config.on_headers (s->config.arg, req, &req->body_limit_bytes) != HTTP_STREAM)
    return false;
  req->streaming = true;
  return true;
}

void
http_request_dispatch (struct http_request *req)
{
  struct http_server *s = req->conn->server;
  REQUIRE (!req->dispatched);
  req->dispatched = true;
  req->refs++; /* the handler's */
  s->config.on_request (s->config.arg, req);
}

/* Streamed data goes to the handler in order: what could not be delivered waits in body. */
static void
body_deliver (struct http_request *req)
{
  if (req->body_busy || !req->on_body)
    return;
  req->refs++;
  req->body_busy = true;
  while (req->body.len && !req->body_paused && !req->finished && req->conn) {
    struct buf now = req->body;
    req->body = (struct buf) BUF_INIT;
    req->on_body (req->body_arg, now.data, now.len);
    if (req->conn)
      req->proto->body_consumed (req, now.len);
    buf_done (&now);
  }
  req->body_busy = false;
  if (!req->body.len && req->body_done && !req->body_ended && !req->finished && !req->body_paused) {
    req->body_ended = true;
    if (req->on_body_end)
      req->on_body_end (req->body_arg, req->body_ok);
  }
  http_request_unref (req);
}

int
http_request_body_add (struct http_request *req, const void *data, size_t len)
{
  req->body_bytes += len;
  if (req->body_limit_bytes && req->body_bytes > req->body_limit_bytes)
    return ERR_LIMIT;
  if (req->finished) {
    req->proto->body_consumed (req, len);
    return 0;
  }
  buf_append (&req->body, data, len);
  if (req->body.failed)
    return ERR_NOMEM;
  if (req->streaming)
    body_deliver (req);
  else
    req->proto->body_consumed (req, len);
  return 0;
}

void
http_request_body_end (struct http_request *req, bool ok)
{
  if (req->body_done)
    return;
  req->body_done = true;
  req->body_ok = ok;
  if (req->streaming)
    body_deliver (req);
}

void
http_request_gone (struct http_request *req)
{
  loop_cb cb = req->on_close;
  if (!req->conn)
    return;
  req->conn = NULL;
  req->on_close = NULL;
  if (req->out)
    evbuffer_drain (req->out, evbuffer_get_length (req->out));
  if (req->dispatched && !req->finished && cb)
    cb (req->close_arg);
  http_request_unref (req);
}

void
http_request_answered (struct http_request *req)
{
  if (!req->conn)
    return;
  req->conn = NULL;
  http_request_unref (req);
}

void
http_request_drained (struct http_request *req)
{
  if (!req->conn || req->finished || !req->above_high || http_reply_pending_bytes (req) > req->output_high_bytes / 4)
    return;
  req->above_high = false;
  if (req->on_drain)
    req->on_drain (req->drain_arg);
}

const char *
http_method (const struct http_request *req)
{
  return req->method;
}

const char *
http_path (const struct http_request *req)
{
  return req->path;
}

const char *
http_query (const struct http_request *req)
{
  return req->query;
}

const char *
http_header (const struct http_request *req, const char *name)
{
  for (size_t i = 0; i < req->n_headers; i++)
    if (!strcasecmp (req->headers[i].name, name))
      return req->headers[i].value;
  return NULL;
}

bool
http_header_next (const struct http_request *req, size_t *it, const char **ret_name, const char **ret_value)
{
  if (*it >= req->n_headers)
    return false;
  if (ret_name)
    *ret_name = req->headers[*it].name;
  if (ret_value)
    *ret_value = req->headers[*it].value;
  ++*it;
  return true;
}

static bool
list_has_token (const char *list, const char *token)
{
  size_t len = strlen (token);
  for (const char *p = list; *p;) {
    const char *end;
    p += strspn (p, " \t,");
    end = p + strcspn (p, ",");
    if ((size_t) (end - p) >= len && !strncasecmp (p, token, len) && p[len + strspn (p + len, " \t")] == *end)
      return true;
    p = end;
  }
  return false;
}

bool
http_header_has_token (const struct http_request *req, const char *name, const char *token)
{
  for (size_t i = 0; i < req->n_headers; i++)
    if (!strcasecmp (req->headers[i].name, name) && list_has_token (req->headers[i].value, token))
      return true;
  return false;
}

const void *
http_body (const struct http_request *req, size_t *ret_len)
{
  *ret_len = req->streaming ? 0 : req->body.len;
  return req->streaming ? "" : buf_cstr (&req->body);
}

const char *
http_peer (const struct http_request *req)
{
  return req->peer;
}

X509 *
http_peer_cert (const struct http_request *req, long *ret_verify)
{
  if (req->cert && ret_verify)
    *ret_verify = req->verify;
  return req->cert;
}

bool
http_is_tls (const struct http_request *req)
{
  return req->tls;
}

int
http_version (const struct http_request *req)
{
  return req->version;
}

struct loop *
http_request_loop (const struct http_request *req)
{
  return req->loop;
}

uint64_t
http_connection_id (const struct http_request *req)
{
  return req->conn_id;
}

void
http_body_stream (struct http_request *req, http_body_data_cb on_data, http_body_end_cb on_end, void *arg)
{
  REQUIRE (req->streaming && !req->on_body);
  req->on_body = on_data;
  req->on_body_end = on_end;
  req->body_arg = arg;
  if (req->conn)
    req->proto->body_ready (req);
  body_deliver (req);
}

void
http_body_pause (struct http_request *req, bool pause)
{
  bool was = req->body_paused;
  req->body_paused = pause;
  if (!was || pause || !req->streaming || req->body_busy)
    return;
  body_deliver (req);
  if (req->conn && !req->finished)
    req->proto->body_ready (req);
}


static void
close_late (void *arg)
{
  struct http_request *req = arg;
  loop_cb cb = req->on_close;
  req->on_close = NULL;
  if (cb && !req->finished)
    cb (req->close_arg);
  http_request_unref (req);
}

void
http_on_close (struct http_request *req, loop_cb cb, void *arg)
{
  req->on_close = cb;
  req->close_arg = arg;
  if (req->conn || !cb)
    return;
  req->refs++;
  if (loop_post (req->loop, close_late, req))
    http_request_unref (req); /* out of memory: the next reply says ERR_CLOSED */
}

bool
http_closed (const struct http_request *req)
{
  return !req->conn;
}

void
http_on_drain (struct http_request *req, loop_cb cb, void *arg)
{
  req->on_drain = cb;
  req->drain_arg = arg;
}

size_t
http_reply_pending_bytes (const struct http_request *req)
{
  return req->conn ? req->proto->pending (req) : 0;
}
