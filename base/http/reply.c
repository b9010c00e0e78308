/* Answers: whole, streamed, cut off, or the connection itself. */
#include "base/http/http_internal.h"

#include <strings.h>

#define CHUNK_FRAME_BYTES 16
#define GZIP_MIN_BYTES (128u << 10) /* upstream's defaultGzipThresholdBytes */

bool
http_header_valid (const struct http_header *h)
{
  if (!h->name[0] || !h->value)
    return false;
  for (const char *p = h->name; *p; p++)
    if ((unsigned char) *p <= ' ' || *p == ':' || *p == 0x7f)
      return false;
  return !strpbrk (h->value, "\r\n");
}

/* The handler's last word: its reference goes, and with it maybe the request. */
static void
finish (struct http_request *req)
{
  REQUIRE (req->dispatched && !req->finished);
  req->finished = true;
  req->on_close = req->on_drain = NULL;
  http_request_unref (req);
}

static struct http_conn *
enter (struct http_request *req)
{
  struct http_conn *c = req->conn;
  if (c)
    http_conn_enter (c);
  return c;
}

static void
leave (struct http_conn *c)
{
  if (c)
    http_conn_leave (c);
}

static bool
status_has_no_body (int status)
{
  return status == 204 || status == 304 || status < 200;
}

/* The head, then the body in one piece, whose memory data owns. */
static int
send_whole (struct http_request *req, int status, const struct http_header *headers, struct evbuffer *data)
{
  size_t len = evbuffer_get_length (data);
  int r;
  if (status_has_no_body (status))
    len = 0;
  req->no_body_answer = req->is_head || status_has_no_body (status);
  req->started = true;
  if ((r = req->proto->head (req, status, headers, (int64_t) len)))
    return r;
  if (len && !req->no_body_answer && (r = req->proto->data (req, data)))
    return r;
  req->ended = true;
  req->proto->end (req);
  return 0;
}

static bool
wants_gzip (const struct http_request *req, int status, const struct http_header *headers, size_t len)
{
  if (len <= GZIP_MIN_BYTES || req->is_head || status_has_no_body (status) || !http_accepts_gzip (req))
    return false;
  for (const struct http_header *h = headers; h && h->name; h++)
    if (!strcasecmp (h->name, "content-encoding"))
      return false;
  return true;
}

static void
free_body (const void *data, size_t len, void *arg)
{
  (void) len;
  (void) arg;
  free ((void *) (uintptr_t) data);
}

/* Gives *body's memory to the evbuffer. */
static int
move_body (struct evbuffer *out, struct buf *body)
{
  if (body->len && evbuffer_add_reference (out, body->data, body->len, free_body, NULL))
    return ERR_NOMEM;
  if (!body->len)
    free (body->data);
  *body = (struct buf){.limit_bytes = body->limit_bytes};
  return 0;
}

static const struct http_header *
with_gzip (struct http_request *req, const struct http_header *headers)
{
  size_t n = 0;
  struct http_header *out;
  for (const struct http_header *h = headers; h && h->name; h++)
    n++;
  if (!(out = arena_zalloc (&req->arena, (n + 3) * sizeof *out)))
    return NULL;
  if (n)
    memcpy (out, headers, n * sizeof *out);
  out[n] = (struct http_header){"content-encoding", "gzip"};
  out[n + 1] = (struct http_header){"vary", "Accept-Encoding"};
  return out;
}

int
http_reply_buf (struct http_request *req, int status, const struct http_header *headers, struct buf *body)
{
  struct http_conn *c = enter (req);
  struct buf packed AUTO_BUF = BUF_INIT;
  struct evbuffer *data = NULL;
  const struct http_header *more;
  int r = c ? 0 : ERR_CLOSED;
  REQUIRE (!req->started && !req->finished);
  if (r)
    goto out;
  if (wants_gzip (req, status, headers, body->len) && http_gzip (body->data, body->len, &packed) &&
      (more = with_gzip (req, headers))) {
    headers = more;
    buf_done (body);
  }
  if (!(data = evbuffer_new ()) || move_body (data, packed.len ? &packed : body))
    r = ERR_NOMEM;
  else
    r = send_whole (req, status, headers, data);
  if (r && req->conn)
    req->proto->abort (req);
out:
  if (data)
    evbuffer_free (data);
  buf_done (body);
  finish (req);
  leave (c);
  return r;
}

int
http_reply (struct http_request *req, int status, const struct http_header *headers, const void *body, size_t len)
{
  struct buf copy = BUF_INIT;
  if (req->conn)
    buf_append (&copy, body, len);
  if (copy.failed) {
    buf_done (&copy);
    http_abort (req);
    return ERR_NOMEM;
  }
  return http_reply_buf (req, status, headers, &copy);
}

int
http_reply_start (struct http_request *req, int status, const struct http_header *headers)
{
  struct http_conn *c = enter (req);
  int r = c ? 0 : ERR_CLOSED;
  REQUIRE (!req->started && !req->finished);
  req->started = true;
  req->no_body_answer = req->is_head || status_has_no_body (status);
  if (c && (r = req->proto->head (req, status, headers, -1)) && req->conn)
    req->proto->abort (req);
  leave (c);
  return r;
}

int
http_reply_chunk (struct http_request *req, const void *data, size_t len)
{
  struct http_conn *c = enter (req);
  struct evbuffer *piece;
  int r = c ? 0 : ERR_CLOSED;
  REQUIRE (req->started && !req->finished);
  if (r || !len || req->no_body_answer) {
    leave (c);
    return r;
  }
  if (!(piece = evbuffer_new ()) || evbuffer_expand (piece, len + CHUNK_FRAME_BYTES) || evbuffer_add (piece, data, len))
    r = ERR_NOMEM;
  else
    r = req->proto->data (req, piece);
  if (piece)
    evbuffer_free (piece);
  if (!r && req->conn && http_reply_pending_bytes (req) > req->output_high_bytes)
    req->above_high = true;
  if (r && req->conn)
    req->proto->abort (req);
  leave (c);
  return r;
}

int
http_reply_end (struct http_request *req)
{
  struct http_conn *c;
  int r;
  if (!req->started)
    return http_reply (req, 500, NULL, NULL, 0);
  c = enter (req);
  r = c ? 0 : ERR_CLOSED;
  if (c) {
    req->ended = true;
    req->proto->end (req);
  }
  finish (req);
  leave (c);
  return r;
}

void
http_abort (struct http_request *req)
{
  struct http_conn *c = enter (req);
  req->on_close = NULL; /* the caller knows */
  if (c)
    req->proto->abort (req);
  finish (req);
  leave (c);
}
