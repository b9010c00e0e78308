/* HTTP/1.1: one request at a time on a connection, parsed by http_parser. What a client pipelines waits in the input
   buffer, whose bound is the connection's, until the answer before it is written. */
#include "base/http/http_internal.h"

#include <http_parser.h>
#include <inttypes.h>
#include <strings.h>

#define TARGET_LIMIT (16u << 10)

struct h1 {
  http_parser parser;
  struct http_request *req; /* being received or answered */
  struct buf target, field, value;
  size_t head_bytes;
  int refuse;         /* the status with which to refuse what is being parsed */
  bool in_value, head_done, body_done, keep_alive, chunked, parsing, expect_continue;
};

static int
refuse (struct h1 *h, int status)
{
  if (!h->refuse)
    h->refuse = status;
  return -1;
}

static struct http_conn *
conn_of (http_parser *p)
{
  return p->data;
}

static int
flush_header (struct h1 *h)
{
  int r = 0;
  if (h->field.len)
    r = http_request_add_header (h->req, buf_cstr (&h->field), h->field.len, buf_cstr (&h->value), h->value.len);
  buf_reset (&h->field);
  buf_reset (&h->value);
  h->in_value = false;
  return r ? refuse (h, r == ERR_PARSE ? 400 : 431) : 0;
}

static int
count_head (struct http_conn *c, struct h1 *h, size_t len)
{
  h->head_bytes += len;
  return h->head_bytes > c->server->config.header_limit_bytes ? refuse (h, 431) : 0;
}

static int
on_url (http_parser *p, const char *at, size_t len)
{
  struct h1 *h = conn_of (p)->state;
  buf_append (&h->target, at, len);
  if (h->target.len > TARGET_LIMIT)
    return refuse (h, 414);
  return count_head (conn_of (p), h, len);
}

static int
on_field (http_parser *p, const char *at, size_t len)
{
  struct h1 *h = conn_of (p)->state;
  if (h->in_value && flush_header (h))
    return -1;
  buf_append (&h->field, at, len);
  return count_head (conn_of (p), h, len);
}

static int
on_value (http_parser *p, const char *at, size_t len)
{
  struct h1 *h = conn_of (p)->state;
  h->in_value = true;
  buf_append (&h->value, at, len);
  return count_head (conn_of (p), h, len);
}

static int
on_message_begin (http_parser *p)
{
  struct http_conn *c = conn_of (p);
  struct h1 *h = c->state;
  if (!(h->req = http_request_new (c, c->server->config.header_limit_bytes)))
    return refuse (h, 503);
  buf_reset (&h->target);
  buf_reset (&h->field);
  buf_reset (&h->value);
  h->head_bytes = 0;
  h->in_value = h->head_done = h->body_done = h->chunked = h->expect_continue = false;
  return 0;
}

static int
check_head (http_parser *p, struct h1 *h)
{
  struct http_request *req = h->req;
  const char *expect = http_header (req, "expect");
  if (p->http_major != 1)
    return refuse (h, 505);
  req->version = p->http_minor ? 11 : 10;
  req->method = http_method_str ((enum http_method) p->method);
  req->is_head = p->method == HTTP_HEAD;
  if (!http_method_allowed (req->method))
    return refuse (h, 405);
  if (h->target.failed || http_request_set_target (req, buf_cstr (&h->target), h->target.len))
    return refuse (h, 400);
  if (req->version == 11 && !http_header (req, "host"))
    return refuse (h, 400);
  if (expect && strcasecmp (expect, "100-continue"))
    return refuse (h, 417);
  h->expect_continue = expect && req->version == 11;
  return 0;
}

static int
on_headers_complete (http_parser *p)
{
  struct h1 *h = conn_of (p)->state;
  struct http_request *req = h->req;
  if (flush_header (h) || check_head (p, h))
    return -1;
  h->head_done = true;
  h->keep_alive = http_should_keep_alive (p);
  http_conn_wait (conn_of (p), conn_of (p)->server->config.body_timeout_ms);
  http_request_route (req);
  if (p->content_length != UINT64_MAX && req->body_limit_bytes && p->content_length > req->body_limit_bytes)
    return refuse (h, 413);
  if (req->streaming) /* dispatched by the input loop, outside of the parser */
    http_parser_pause (p, 1);
  return 0;
}

static int
on_body (http_parser *p, const char *at, size_t len)
{
  struct h1 *h = conn_of (p)->state;
  int r = http_request_body_add (h->req, at, len);
  if (r && h->req->streaming) {
    http_request_body_end (h->req, false);
    h->keep_alive = false;
    return -1;
  }
  return r ? refuse (h, r == ERR_LIMIT ? 413 : 503) : 0;
}

static int
on_message_complete (http_parser *p)
{
  struct h1 *h = conn_of (p)->state;
  h->body_done = true;
  http_parser_pause (p, 1);
  return 0;
}

static const http_parser_settings settings = {.on_message_begin = on_message_begin,
                                              .on_url = on_url,
                                              .on_header_field = on_field,
                                              .on_header_value = on_value,
                                              .on_headers_complete = on_headers_complete,
                                              .on_body = on_body,
                                              .on_message_complete = on_message_complete};

static void
parser_reset (struct http_conn *c, struct h1 *h)
{
  http_parser_init (&h->parser, HTTP_REQUEST);
  h->parser.data = c;
}

static const char *
reason_of (int status)
{
  switch (status) {
#define XX(num, name, string) \
  case num:                   \
    return #string;
    HTTP_STATUS_MAP (XX)
#undef XX
  default:
    return "Unknown";
  }
}

/* An answer without a handler; the connection ends after it, for what follows cannot be trusted. */
static void
answer_refusal (struct http_conn *c, struct h1 *h, int status)
{
  char text[512];
  struct http_request *req = h->req;
  const char *reason = reason_of (status);
  int n = snprintf (text, sizeof text,
                    "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
                    "Content-Length: %zu\r\n\r\n%d %s\n",
                    status, reason, http_date (c->server), strlen (reason) + 5, status, reason);
  if (!req || !req->started)
    http_output_add (http_conn_output (c), text, (size_t) n);
  h->req = NULL;
  http_conn_close_after_output (c, true);
  if (req)
    http_request_gone (req);
}

static int
status_of_parse_error (const struct h1 *h)
{
  if (h->refuse)
    return h->refuse;
  switch (HTTP_PARSER_ERRNO (&h->parser)) {
  case HPE_HEADER_OVERFLOW:
    return 431;
  case HPE_INVALID_VERSION:
    return 505;
  case HPE_INVALID_METHOD:
    return 501;
  default:
    return 400;
  }
}

static void
send_continue (struct http_conn *c, struct h1 *h)
{
  static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
  if (h->expect_continue && !h->body_done && !h->req->started)
    http_output_add (http_conn_output (c), text, sizeof text - 1);
  h->expect_continue = false;
}

/* After some bytes were parsed: hand the request over when it is ready for it. */
static void
hand_over (struct http_conn *c, struct h1 *h)
{
  struct http_request *req = h->req;
  if (!req || !h->head_done)
    return;
  if (!req->streaming && !h->body_done)
    send_continue (c, h);
  if (!req->dispatched && (req->streaming || h->body_done)) {
    if (h->body_done)
      req->body_done = req->body_ok = true;
    http_conn_wait (c, 0);
    http_request_dispatch (req);
  } else if (h->body_done)
    http_request_body_end (req, true);
}

/* Whether the parser may have more: not while an answer is due, nor while a stream's reader is not ready. */
static bool
may_parse (const struct http_conn *c, const struct h1 *h)
{
  if (c->destroyed || !c->bev || c->closing)
    return false;
  if (!h->req)
    return !c->server->shutting_down;
  if (h->body_done)
    return false;
  return !h->req->dispatched || (h->req->on_body && !h->req->body_paused) || h->req->finished;
}

static void
h1_input (struct http_conn *c)
{
  struct h1 *h = c->state;
  if (h->parsing)
    return;
  h->parsing = true;
  while (may_parse (c, h)) {
    struct evbuffer *in = bufferevent_get_input (c->bev);
    struct evbuffer_iovec piece;
    size_t n;
    enum http_errno e;
    if (evbuffer_peek (in, -1, NULL, &piece, 1) < 1 || !piece.iov_len)
      break;
    if (!h->req) /* the first bytes of a request: from here it has the idle time to complete its head */
      http_conn_wait (c, c->server->config.idle_timeout_ms);
    n = http_parser_execute (&h->parser, &settings, piece.iov_base, piece.iov_len);
    e = HTTP_PARSER_ERRNO (&h->parser);
    if (c->destroyed || !c->bev)
      break;
    evbuffer_drain (in, n);
    if (e == HPE_PAUSED)
      http_parser_pause (&h->parser, 0);
    else if (e != HPE_OK || (h->parser.upgrade && !h->body_done)) {
      answer_refusal (c, h, status_of_parse_error (h));
      break;
    }
    hand_over (c, h);
  }
  h->parsing = false;
}

/* The answer is written: the next request, or the end. */
static void
next_request (struct http_conn *c, struct h1 *h)
{
  struct http_request *req = h->req;
  bool complete = h->body_done;
  h->req = NULL;
  http_request_answered (req);
  parser_reset (c, h);
  if (!h->keep_alive || !complete || c->server->shutting_down) {
    http_conn_close_after_output (c, !complete);
    return;
  }
  http_conn_wait (c, c->server->config.idle_timeout_ms);
  if (evbuffer_get_length (bufferevent_get_input (c->bev)))
    http_conn_input_later (c);
}

static int
h1_head (struct http_request *req, int status, const struct http_header *headers, int64_t length)
{
  struct http_conn *c = req->conn;
  struct h1 *h = c->state;
  struct buf head AUTO_BUF = BUF_INIT;
  if (!h->body_done || c->server->shutting_down)
    h->keep_alive = false;
  buf_printf (&head, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, reason_of (status), http_date (c->server));
  for (; headers && headers->name; headers++)
    if (http_header_valid (headers))
      buf_printf (&head, "%s: %s\r\n", headers->name, headers->value);
  if (length >= 0 && !(req->no_body_answer && !req->is_head))
    buf_printf (&head, "Content-Length: %" PRId64 "\r\n", length);
  else if (length < 0 && !req->no_body_answer) {
    if (req->version == 11) {
      buf_append_str (&head, "Transfer-Encoding: chunked\r\n");
      h->chunked = true;
    } else
      h->keep_alive = false; /* HTTP/1.0 learns the end by the connection's */
  }
  if (!h->keep_alive)
    buf_append_str (&head, "Connection: close\r\n");
  else if (req->version == 10)
    buf_append_str (&head, "Connection: keep-alive\r\n");
  buf_append_str (&head, "\r\n");
  if (head.failed)
    return ERR_NOMEM;
  http_output_add (http_conn_output (c), head.data, head.len);
  return 0;
}

static int
h1_data (struct http_request *req, struct evbuffer *data)
{
  struct h1 *h = req->conn->state;
  struct evbuffer *out = http_conn_output (req->conn);
  size_t len = evbuffer_get_length (data);
  char size[20];
  if (h->chunked) {
    int n = snprintf (size, sizeof size, "%zx\r\n", len);
    if (evbuffer_prepend (data, size, (size_t) n) || evbuffer_add (data, "\r\n", 2))
      return ERR_NOMEM;
  }
  if (evbuffer_add_buffer (out, data))
    return ERR_NOMEM;
  if (evbuffer_get_length (out) <= 16u << 10)
    evbuffer_pullup (out, -1); /* one TLS record, not one for each piece */
  return 0;
}

static void
h1_end (struct http_request *req)
{
  struct http_conn *c = req->conn;
  struct h1 *h = c->state;
  if (h->chunked)
    http_output_add (http_conn_output (c), "0\r\n\r\n", 5);
  next_request (c, h);
}

static void
h1_abort (struct http_request *req)
{
  http_conn_destroy (req->conn);
}

static size_t
h1_pending (const struct http_request *req)
{
  return req->conn->bev ? evbuffer_get_length (bufferevent_get_output (req->conn->bev)) : 0;
}

static void
h1_body_ready (struct http_request *req)
{
  struct http_conn *c = req->conn;
  send_continue (c, c->state);
  http_conn_input_later (c);
}

static void
h1_body_consumed (struct http_request *req, size_t len)
{
  (void) len; /* the timeout is for silence, not for length */
  if (!req->dispatched)
    http_conn_wait (req->conn, req->conn->server->config.body_timeout_ms);
}

static void
h1_drained (struct http_conn *c)
{
  struct h1 *h = c->state;
  if (h->req)
    http_request_drained (h->req);
}

static void
h1_gone (struct http_conn *c)
{
  struct h1 *h = c->state;
  struct http_request *req = h ? h->req : NULL;
  if (!req)
    return;
  h->req = NULL;
  if (req->streaming && !h->body_done)
    http_request_body_end (req, false);
  http_request_gone (req);
}

static bool
h1_idle (struct http_conn *c)
{
  struct h1 *h = c->state;
  return !h->req;
}

static void
h1_shutdown (struct http_conn *c)
{
  struct h1 *h = c->state;
  if (!h->req && !evbuffer_get_length (http_conn_output (c)))
    http_conn_destroy (c);
  else if (!h->req)
    http_conn_close_after_output (c, false);
}

static void
h1_free (struct http_conn *c)
{
  struct h1 *h = c->state;
  if (!h)
    return;
  buf_done (&h->target);
  buf_done (&h->field);
  buf_done (&h->value);
  free (h);
}

const struct http_proto http_proto_h1 = {.input = h1_input,
                                         .drained = h1_drained,
                                         .gone = h1_gone,
                                         .idle = h1_idle,
                                         .shutdown = h1_shutdown,
                                         .free = h1_free,
                                         .head = h1_head,
                                         .data = h1_data,
                                         .end = h1_end,
                                         .pending = h1_pending,
                                         .abort = h1_abort,
                                         .body_ready = h1_body_ready,
                                         .body_consumed = h1_body_consumed};

int
http_h1_start (struct http_conn *c)
{
  struct h1 *h = mem_zalloc (sizeof *h);
  if (!h)
    return ERR_NOMEM;
  c->state = h;
  parser_reset (c, h);
  return 0;
}

int
http_upgrade (struct http_request *req, int status, const struct http_header *headers, struct http_tunnel **ret, struct err *err)
{
  struct http_conn *c = req->conn;
  struct buf head AUTO_BUF = BUF_INIT;
  struct http_tunnel *t;
  struct h1 *h;
  if (!c)
    return err_set (err, ERR_CLOSED, "the client is gone");
  if (c->proto != &http_proto_h1)
    return err_set (err, ERR_UNSUPPORTED, "HTTP/2 cannot be upgraded");
  h = c->state;
  REQUIRE (!req->started && !req->finished);
  if (!h->body_done)
    return err_set (err, ERR_INVALID, "upgrade before the end of the request's body");
  buf_printf (&head, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, reason_of (status), http_date (c->server));
  if (status == 101)
    buf_append_str (&head, "Connection: Upgrade\r\n");
  for (; headers && headers->name; headers++)
    if (http_header_valid (headers))
      buf_printf (&head, "%s: %s\r\n", headers->name, headers->value);
  buf_append_str (&head, "\r\n");
  if (head.failed)
    return err_set (err, ERR_NOMEM, "upgrade");
  http_conn_enter (c);
  bufferevent_setcb (c->bev, NULL, NULL, NULL, NULL);
  if (!(t = http_tunnel_of_bev (c->server->loop, c->bev))) {
    http_conn_destroy (c);
    http_conn_leave (c);
    return err_set (err, ERR_NOMEM, "upgrade");
  }
  c->bev = NULL; /* the tunnel's now */
  (void) http_tunnel_write (t, head.data, head.len);
  h->req = NULL;
  http_request_answered (req);
  req->finished = true;
  req->on_close = req->on_drain = NULL;
  http_request_unref (req);
  http_conn_destroy (c);
  http_conn_leave (c);
  *ret = t;
  return 0;
}
