/* HTTP/2 by nghttp2. Frames are made only as fast as the connection takes them: above the high mark of its output nothing more
   is asked of nghttp2, and each stream's unframed bytes are what its handler sees as pending. */
#include "base/http/http_internal.h"

#include <event2/event.h>
#include <nghttp2/nghttp2.h>

#define STREAM_WINDOW (256 << 10)
#define CONNECTION_WINDOW (2 << 20)
#define FRAME_DATA_BYTES 16375 /* with its 9-byte head one TLS record of 16 KB */
#define REPLY_HEADERS_LIMIT 128
#define DISCARD_LIMIT (16u << 20)

struct h2 {
  struct http_conn *conn;
  nghttp2_session *session;
  struct event *flush; /* frames for what handlers did outside of our own callbacks: once a turn of the loop */
  struct http_request *requests; /* one for each stream that is open */
  size_t undispatched;           /* of them, still being received */
  bool receiving;
};

/* Bounds what waits: the next request when there is none, else the rest of those being received. */
static void
update_wait (struct http_conn *c)
{
  struct h2 *h = c->state;
  if (!h->requests)
    http_conn_wait (c, c->server->config.idle_timeout_ms);
  else
    http_conn_wait (c, h->undispatched ? c->server->config.body_timeout_ms : 0);
}

static void
h2_flush (struct http_conn *c)
{
  struct h2 *h = c->state;
  size_t high = c->server->config.output_high_bytes;
  if (c->destroyed || !c->bev || c->closing)
    return;
  while (evbuffer_get_length (http_conn_output (c)) < high) {
    const uint8_t *data;
    ssize_t n = nghttp2_session_mem_send (h->session, &data);
    if (n < 0) {
      http_conn_destroy (c);
      return;
    }
    if (!n)
      break;
    http_output_add (http_conn_output (c), data, (size_t) n);
  }
  for (struct http_request *req = h->requests; req; req = req->next)
    if (req->above_high)
      http_request_drained (req);
  if (!nghttp2_session_want_read (h->session) && !nghttp2_session_want_write (h->session))
    http_conn_close_after_output (c, false);
}

static void
on_flush (evutil_socket_t fd, short what, void *arg)
{
  struct http_conn *c = arg;
  (void) fd;
  (void) what;
  http_conn_enter (c);
  h2_flush (c);
  http_conn_leave (c);
}

static void
flush_later (struct http_conn *c)
{
  struct h2 *h = c->state;
  if (!h->receiving)
    event_active (h->flush, EV_TIMEOUT, 0);
}

static struct http_request *
stream_request (nghttp2_session *session, int32_t id)
{
  return nghttp2_session_get_stream_user_data (session, id);
}

static int
on_begin_headers (nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
  struct http_conn *c = arg;
  struct h2 *h = c->state;
  struct http_request *req;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
    return 0;
  if (!(req = http_request_new (c, c->server->config.header_limit_bytes)) || !(req->out = evbuffer_new ())) {
    if (req)
      http_request_unref (req);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  req->version = 20;
  req->stream_id = frame->hd.stream_id;
  nghttp2_session_set_stream_user_data (session, req->stream_id, req);
  if ((req->next = h->requests))
    req->next->prev = req;
  h->requests = req;
  h->undispatched++;
  update_wait (c);
  return 0;
}

static int
add_pseudo (struct http_request *req, const uint8_t *name, size_t name_len, const uint8_t *value, size_t len)
{
  if (name_len == 7 && !memcmp (name, ":method", 7)) {
    req->method = arena_strndup (&req->arena, (const char *) value, len);
    req->is_head = len == 4 && !memcmp (value, "HEAD", 4);
  } else if (name_len == 5 && !memcmp (name, ":path", 5))
    return http_request_set_target (req, (const char *) value, len);
  else if (name_len == 10 && !memcmp (name, ":authority", 10))
    return http_request_add_header (req, "host", 4, (const char *) value, len);
  return arena_ok (&req->arena) ? 0 : ERR_LIMIT;
}

static int
on_header (nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
           size_t value_len, uint8_t flags, void *arg)
{
  struct http_conn *c = arg;
  struct http_request *req = stream_request (session, frame->hd.stream_id);
  int r;
  (void) flags;
  if (!req || frame->headers.cat != NGHTTP2_HCAT_REQUEST) /* trailers are of no use to us */
    return 0;
  req->body_bytes += name_len + value_len; /* counts the head until the body begins */
  if (req->body_bytes > c->server->config.header_limit_bytes)
    r = ERR_LIMIT;
  else if (name_len && name[0] == ':')
    r = add_pseudo (req, name, name_len, value, value_len);
  else
    r = http_request_add_header (req, (const char *) name, name_len, (const char *) value, value_len);
  if (r && !req->refuse) /* answered at the end of the headers */
    req->refuse = r == ERR_PARSE ? "400" : "431";
  return 0;
}

static void
received (struct http_conn *c)
{
  struct h2 *h = c->state;
  REQUIRE (h->undispatched > 0);
  h->undispatched--;
  update_wait (c);
}

static void
dispatch (struct http_conn *c, struct http_request *req)
{
  received (c);
  http_request_dispatch (req);
}

static void
refuse (struct http_conn *c, struct http_request *req, const char *status)
{
  struct h2 *h = c->state;
  nghttp2_nv nv[] = {{(uint8_t *) ":status", (uint8_t *) (uintptr_t) status, 7, 3, NGHTTP2_NV_FLAG_NONE}};
  nghttp2_submit_response (h->session, req->stream_id, nv, 1, NULL);
  req->body_done = req->refused = true;
  received (c);
}

static void
headers_done (struct http_conn *c, struct http_request *req, bool end)
{
  const char *length, *expect = http_header (req, "expect");
  req->body_bytes = 0;
  if (req->refuse) {
    refuse (c, req, req->refuse);
    return;
  }
  if (!http_method_allowed (req->method)) {
    refuse (c, req, "405");
    return;
  }
  http_request_route (req);
  length = http_header (req, "content-length");
  if (length && req->body_limit_bytes && strtoull (length, NULL, 10) > req->body_limit_bytes) {
    refuse (c, req, "413");
    return;
  }
  if (expect && !strcmp (expect, "100-continue") && !end) {
    struct h2 *h = c->state;
    nghttp2_nv nv[] = {{(uint8_t *) ":status", (uint8_t *) "100", 7, 3, NGHTTP2_NV_FLAG_NONE}};
    nghttp2_submit_headers (h->session, NGHTTP2_FLAG_NONE, req->stream_id, NULL, nv, 1, NULL);
  }
  if (end)
    req->body_done = req->body_ok = true;
  if (req->streaming || end)
    dispatch (c, req);
}

static int
on_frame_recv (nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
  struct http_conn *c = arg;
  struct http_request *req;
  bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
    return 0;
  req = stream_request (session, frame->hd.stream_id);
  if (!req || req->body_done)
    return 0;
  if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
    headers_done (c, req, end);
  else if (end && req->dispatched)
    http_request_body_end (req, true);
  else if (end) {
    req->body_done = req->body_ok = true;
    dispatch (c, req);
  }
  return 0;
}

/* The rest of a body that nobody wants any more. Resetting at once would be right by RFC 9113 8.1, but some clients (curl 7.88)
   then miss the answer: what is short is taken. */
static void
discard (nghttp2_session *session, struct http_request *req, size_t len)
{
  req->body_bytes += len;
  if (req->body_bytes > DISCARD_LIMIT + req->body_limit_bytes)
    nghttp2_submit_rst_stream (session, NGHTTP2_FLAG_NONE, req->stream_id, NGHTTP2_NO_ERROR);
}

static int
on_data_chunk (nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
  struct http_conn *c = arg;
  struct http_request *req = stream_request (session, id);
  int r;
  (void) flags;
  if (!req || req->body_done) {
    nghttp2_session_consume (session, id, len);
    if (req)
      discard (session, req, len);
    return 0;
  }
  if (!req->dispatched)
    update_wait (c);
  if ((r = http_request_body_add (req, data, len))) {
    nghttp2_session_consume (session, id, len);
    if (req->dispatched) {
      http_request_body_end (req, false);
      nghttp2_submit_rst_stream (session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    } else
      refuse (c, req, r == ERR_LIMIT ? "413" : "503");
  }
  return 0;
}

static int
on_stream_close (nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
  struct http_conn *c = arg;
  struct h2 *h = c->state;
  struct http_request *req = stream_request (session, id);
  (void) code;
  if (!req)
    return 0;
  nghttp2_session_set_stream_user_data (session, id, NULL);
  if (req->streaming && req->body.len) /* else the connection's window would stay short of it */
    nghttp2_session_consume_connection (session, req->body.len);
  if (req->prev)
    req->prev->next = req->next;
  else
    h->requests = req->next;
  if (req->next)
    req->next->prev = req->prev;
  req->prev = req->next = NULL;
  if (!req->dispatched && !req->refused)
    received (c);
  else
    update_wait (c);
  if (req->streaming && !req->body_done)
    http_request_body_end (req, false);
  if (req->finished || !req->dispatched)
    http_request_answered (req);
  else
    http_request_gone (req);
  return 0;
}

static ssize_t
frame_length (nghttp2_session *session, uint8_t type, int32_t id, int32_t session_window, int32_t stream_window,
              uint32_t max_frame, void *arg)
{
  int32_t n = session_window < stream_window ? session_window : stream_window;
  (void) session;
  (void) type;
  (void) id;
  (void) arg;
  if ((uint32_t) n > max_frame)
    n = (int32_t) max_frame;
  return n > FRAME_DATA_BYTES ? FRAME_DATA_BYTES : n;
}

static ssize_t
read_reply (nghttp2_session *session, int32_t id, uint8_t *out, size_t len, uint32_t *flags, nghttp2_data_source *source, void *arg)
{
  struct http_request *req = source->ptr;
  int n = evbuffer_remove (req->out, out, len);
  (void) session;
  (void) id;
  (void) arg;
  if (n < 0)
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (req->ended && !evbuffer_get_length (req->out))
    *flags |= NGHTTP2_DATA_FLAG_EOF;
  else if (!n)
    return NGHTTP2_ERR_DEFERRED;
  return n;
}

static void
h2_input (struct http_conn *c)
{
  struct h2 *h = c->state;
  struct evbuffer *in = bufferevent_get_input (c->bev);
  struct evbuffer_iovec piece;
  if (h->receiving)
    return;
  h->receiving = true;
  /* A peer that asks without reading its answers (pings, settings) waits until it does. */
  while (!c->destroyed && !c->closing && evbuffer_get_length (http_conn_output (c)) <= 2 * c->server->config.output_high_bytes &&
         evbuffer_peek (in, -1, NULL, &piece, 1) > 0 && piece.iov_len) {
    ssize_t n = nghttp2_session_mem_recv (h->session, piece.iov_base, piece.iov_len);
    if (c->destroyed)
      break;
    if (n < 0) {
      h2_flush (c); /* a GOAWAY that says why may be due */
      if (!c->destroyed)
        http_conn_close_after_output (c, true);
      break;
    }
    evbuffer_drain (in, (size_t) n);
    h2_flush (c);
  }
  h->receiving = false;
  if (!c->destroyed)
    h2_flush (c);
}

static void
h2_drained (struct http_conn *c)
{
  struct h2 *h = c->state;
  if (c->destroyed)
    return;
  h2_flush (c);
  if (!c->destroyed && !h->receiving && evbuffer_get_length (bufferevent_get_input (c->bev)))
    h2_input (c);
}

static int
h2_head (struct http_request *req, int status, const struct http_header *headers, int64_t length)
{
  struct http_conn *c = req->conn;
  struct h2 *h = c->state;
  nghttp2_nv nv[REPLY_HEADERS_LIMIT];
  nghttp2_data_provider provider = {.source.ptr = req, .read_callback = read_reply};
  char status_text[8], length_text[24];
  size_t n = 0;
  bool empty = req->no_body_answer || !length;
#define ADD(NAME, VALUE)                                                                                                   \
  nv[n++] = (nghttp2_nv){(uint8_t *) (uintptr_t) (NAME), (uint8_t *) (uintptr_t) (VALUE), strlen (NAME), strlen (VALUE),   \
                         NGHTTP2_NV_FLAG_NONE}
  snprintf (status_text, sizeof status_text, "%d", status);
  ADD (":status", status_text);
  ADD ("date", http_date (c->server));
  if (length >= 0 && (!req->no_body_answer || req->is_head)) {
    snprintf (length_text, sizeof length_text, "%lld", (long long) length);
    ADD ("content-length", length_text);
  }
  for (; headers && headers->name && n < REPLY_HEADERS_LIMIT; headers++) {
    char *name;
    if (!http_header_valid (headers) || !(name = arena_strdup (&req->arena, headers->name)))
      continue;
    for (char *p = name; *p; p++)
      if (*p >= 'A' && *p <= 'Z')
        *p = (char) (*p + ('a' - 'A'));
    ADD (name, headers->value);
  }
#undef ADD
  if (nghttp2_submit_response (h->session, req->stream_id, nv, n, empty ? NULL : &provider))
    return ERR_NOMEM;
  flush_later (c);
  return 0;
}

static int
h2_data (struct http_request *req, struct evbuffer *data)
{
  struct http_conn *c = req->conn;
  struct h2 *h = c->state;
  if (evbuffer_add_buffer (req->out, data))
    return ERR_NOMEM;
  nghttp2_session_resume_data (h->session, req->stream_id);
  flush_later (c);
  return 0;
}

static void
h2_end (struct http_request *req)
{
  struct http_conn *c = req->conn;
  struct h2 *h = c->state;
  nghttp2_session_resume_data (h->session, req->stream_id);
  flush_later (c);
}

static void
h2_abort (struct http_request *req)
{
  struct http_conn *c = req->conn;
  struct h2 *h = c->state;
  nghttp2_submit_rst_stream (h->session, NGHTTP2_FLAG_NONE, req->stream_id, NGHTTP2_INTERNAL_ERROR);
  flush_later (c);
}

static size_t
h2_pending (const struct http_request *req)
{
  return evbuffer_get_length (req->out);
}

static void
h2_body_ready (struct http_request *req)
{
  (void) req; /* the window opens as data is consumed */
}

static void
h2_body_consumed (struct http_request *req, size_t len)
{
  struct h2 *h = req->conn->state;
  nghttp2_session_consume (h->session, req->stream_id, len);
  flush_later (req->conn);
}

/* nghttp2_session_del tells of no stream, so we do. */
static void
h2_gone (struct http_conn *c)
{
  struct h2 *h = c->state;
  while (h && h->requests)
    on_stream_close (h->session, h->requests->stream_id, NGHTTP2_CANCEL, c);
}

static bool
h2_idle (struct http_conn *c)
{
  struct h2 *h = c->state;
  return !h->requests;
}

/* Streams under way go on; with the last of them nghttp2 wants nothing more, and the connection ends. */
static void
h2_shutdown (struct http_conn *c)
{
  struct h2 *h = c->state;
  nghttp2_submit_goaway (h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id (h->session), NGHTTP2_NO_ERROR,
                         NULL, 0);
  h2_flush (c);
}

static void
h2_free (struct http_conn *c)
{
  struct h2 *h = c->state;
  if (!h)
    return;
  if (h->flush)
    event_free (h->flush);
  nghttp2_session_del (h->session);
  free (h);
}

const struct http_proto http_proto_h2 = {.input = h2_input,
                                         .drained = h2_drained,
                                         .gone = h2_gone,
                                         .idle = h2_idle,
                                         .shutdown = h2_shutdown,
                                         .free = h2_free,
                                         .head = h2_head,
                                         .data = h2_data,
                                         .end = h2_end,
                                         .pending = h2_pending,
                                         .abort = h2_abort,
                                         .body_ready = h2_body_ready,
                                         .body_consumed = h2_body_consumed};

static int
make_session (struct http_conn *c, struct h2 *h)
{
  nghttp2_session_callbacks *cb;
  nghttp2_option *opt = NULL;
  int r;
  if (nghttp2_session_callbacks_new (&cb) || nghttp2_option_new (&opt))
    return ERR_NOMEM;
  nghttp2_session_callbacks_set_on_begin_headers_callback (cb, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback (cb, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback (cb, on_frame_recv);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback (cb, on_data_chunk);
  nghttp2_session_callbacks_set_on_stream_close_callback (cb, on_stream_close);
  nghttp2_session_callbacks_set_data_source_read_length_callback (cb, frame_length);
  nghttp2_option_set_no_auto_window_update (opt, 1);
  r = nghttp2_session_server_new2 (&h->session, cb, c, opt);
  nghttp2_session_callbacks_del (cb);
  nghttp2_option_del (opt);
  return r ? ERR_NOMEM : 0;
}

int
http_h2_start (struct http_conn *c)
{
  struct h2 *h = mem_zalloc (sizeof *h);
  nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->server->config.max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t) c->server->config.header_limit_bytes},
  };
  if (!h)
    return ERR_NOMEM;
  c->state = h;
  h->conn = c;
  if (!(h->flush = event_new (loop_base (c->server->loop), -1, 0, on_flush, c)) || make_session (c, h) ||
      nghttp2_submit_settings (h->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) ||
      nghttp2_session_set_local_window_size (h->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW))
    return ERR_NOMEM;
  h2_flush (c);
  return 0;
}
