/* Frames, streams and their halves. SPDY draft 3.1 2.2 to 2.6; where it differs, moby/spdystream's way. */
#include "base/http/spdy_internal.h"

#define VERSION 3
#define STREAMS_LIMIT 2000
#define CONTROL_LIMIT (64u << 10)
#define DATA_PIECE (32u << 10)
#define HASH_SIZE 64

enum { SYN_STREAM = 1, SYN_REPLY, RST_STREAM, SETTINGS, PING = 6, GOAWAY, HEADERS, WINDOW_UPDATE };
enum { FLAG_FIN = 1, FLAG_UNIDIRECTIONAL = 2 };
enum { RST_PROTOCOL_ERROR = 1, RST_INVALID_STREAM = 2, RST_REFUSED = 3 };

struct spdy_stream {
  struct spdy *spdy;
  struct spdy_stream *next; /* of its bucket */
  uint32_t id;
  bool local_done, remote_done;
  void *arg;
};

struct spdy {
  struct spdy_cb cb;
  void *arg;
  bool server, broken, freed, goaway_sent;
  unsigned entered;
  uint32_t last_peer_id, next_id, next_ping;
  struct spdy_stream *buckets[HASH_SIZE];
  size_t n_streams;
  z_stream in, out;
  uint8_t head[8];
  size_t head_len;
  uint32_t left;       /* of the frame's body */
  struct buf control;  /* a control frame's body so far */
};

static struct spdy_stream **
slot_of (struct spdy *s, uint32_t id)
{
  struct spdy_stream **p = &s->buckets[(id >> 1) % HASH_SIZE];
  while (*p && (*p)->id != id)
    p = &(*p)->next;
  return p;
}

struct spdy *
spdy_new (bool server, const struct spdy_cb *cb, void *arg)
{
  struct spdy *s = mem_zalloc (sizeof *s);
  if (!s)
    return NULL;
  s->cb = *cb;
  s->arg = arg;
  s->server = server;
  s->next_id = s->next_ping = server ? 2 : 1;
  /* A window of 2 KB and little memory: header blocks are small, and sessions many. */
  if (inflateInit (&s->in) != Z_OK) {
    free (s);
    return NULL;
  }
  if (deflateInit2 (&s->out, Z_BEST_SPEED, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) != Z_OK ||
      deflateSetDictionary (&s->out, spdy_dictionary, SPDY_DICTIONARY_SIZE) != Z_OK) {
    inflateEnd (&s->in);
    deflateEnd (&s->out);
    free (s);
    return NULL;
  }
  return s;
}

static void
stream_gone (struct spdy_stream *st, bool reset)
{
  struct spdy *s = st->spdy;
  struct spdy_stream **p = slot_of (s, st->id);
  REQUIRE (*p == st);
  *p = st->next;
  s->n_streams--;
  s->cb.on_stream_close (s->arg, st, reset);
  free (st);
}

void
spdy_free (struct spdy *s)
{
  if (!s)
    return;
  REQUIRE (!s->entered);
  s->broken = true;
  for (size_t i = 0; i < HASH_SIZE; i++)
    while (s->buckets[i])
      stream_gone (s->buckets[i], true);
  inflateEnd (&s->in);
  deflateEnd (&s->out);
  buf_done (&s->control);
  free (s);
}

static int
send_bytes (struct spdy *s, const void *data, size_t len)
{
  int r;
  if (s->broken)
    return ERR_CLOSED;
  if ((r = s->cb.send (s->arg, data, len)))
    s->broken = true;
  return r;
}

static void
put_head (struct buf *b, unsigned type, uint8_t flags, size_t body_len)
{
  buf_append_be32 (b, 1u << 31 | VERSION << 16 | type);
  buf_append_be32 (b, (uint32_t) flags << 24 | (uint32_t) body_len);
}

static int
send_two (struct spdy *s, unsigned type, uint32_t a, uint32_t b)
{
  struct buf f AUTO_BUF = BUF_INIT;
  put_head (&f, type, 0, 8);
  buf_append_be32 (&f, a);
  buf_append_be32 (&f, b);
  return f.failed ? ERR_NOMEM : send_bytes (s, f.data, f.len);
}

/* SYN_STREAM and SYN_REPLY: fixed is what stands before the header block. */
static int
send_headers (struct spdy *s, unsigned type, const struct buf *fixed, const struct http_header *headers, bool fin)
{
  struct buf f AUTO_BUF = BUF_INIT, block AUTO_BUF = BUF_INIT;
  int r = spdy_headers_pack (&s->out, headers, &block);
  if (r) { /* the compressor's state is lost with the block */
    s->broken = true;
    return r;
  }
  put_head (&f, type, fin ? FLAG_FIN : 0, fixed->len + block.len);
  buf_append (&f, fixed->data, fixed->len);
  buf_append (&f, block.data, block.len);
  if (f.failed || fixed->failed) {
    s->broken = true;
    return ERR_NOMEM;
  }
  return send_bytes (s, f.data, f.len);
}

static struct spdy_stream *
add_stream (struct spdy *s, uint32_t id)
{
  struct spdy_stream *st = mem_zalloc (sizeof *st), **p = &s->buckets[(id >> 1) % HASH_SIZE];
  if (!st)
    return NULL;
  st->spdy = s;
  st->id = id;
  st->next = *p;
  *p = st;
  s->n_streams++;
  return st;
}

static bool
close_if_done (struct spdy_stream *st)
{
  if (!st->local_done || !st->remote_done)
    return false;
  stream_gone (st, false);
  return true;
}

int
spdy_open (struct spdy *s, const struct http_header *headers, bool fin, struct spdy_stream **ret, struct err *err)
{
  struct buf fixed AUTO_BUF = BUF_INIT;
  struct spdy_stream *st;
  int r;
  if (s->broken)
    return err_set (err, ERR_CLOSED, "SPDY session closed");
  if (s->n_streams >= STREAMS_LIMIT || s->next_id > INT32_MAX - 2)
    return err_set (err, ERR_LIMIT, "too many SPDY streams");
  if (!(st = add_stream (s, s->next_id)))
    return err_set (err, ERR_NOMEM, "SPDY stream");
  s->next_id += 2;
  st->local_done = fin;
  buf_append_be32 (&fixed, st->id);
  buf_append_be32 (&fixed, 0);
  buf_append (&fixed, "\0\0", 2); /* priority, slot */
  if ((r = send_headers (s, SYN_STREAM, &fixed, headers, fin))) {
    *slot_of (s, st->id) = st->next;
    s->n_streams--;
    free (st);
    return err_set (err, r, "open SPDY stream");
  }
  *ret = st;
  return 0;
}

int
spdy_reply (struct spdy_stream *st, const struct http_header *headers, bool fin)
{
  struct buf fixed AUTO_BUF = BUF_INIT;
  int r;
  buf_append_be32 (&fixed, st->id);
  r = send_headers (st->spdy, SYN_REPLY, &fixed, headers, fin);
  if (!r && fin) {
    st->local_done = true;
    close_if_done (st);
  }
  return r;
}

int
spdy_write (struct spdy_stream *st, const void *data, size_t len, bool fin)
{
  struct spdy *s = st->spdy;
  if (st->local_done || s->broken)
    return ERR_CLOSED;
  do {
    struct buf f AUTO_BUF = BUF_INIT;
    size_t n = len > DATA_PIECE ? DATA_PIECE : len;
    bool last = fin && n == len;
    int r;
    buf_append_be32 (&f, st->id);
    buf_append_be32 (&f, (uint32_t) (last ? FLAG_FIN : 0) << 24 | (uint32_t) n);
    buf_append (&f, data, n);
    if (f.failed)
      return ERR_NOMEM;
    if ((r = send_bytes (s, f.data, f.len)))
      return r;
    data = (const uint8_t *) data + n;
    len -= n;
  } while (len);
  if (fin) {
    st->local_done = true;
    close_if_done (st);
  }
  return 0;
}

void
spdy_reset (struct spdy_stream *st, uint32_t status)
{
  (void) send_two (st->spdy, RST_STREAM, st->id, status);
  stream_gone (st, true);
}

int
spdy_ping (struct spdy *s)
{
  struct buf f AUTO_BUF = BUF_INIT;
  put_head (&f, PING, 0, 4);
  buf_append_be32 (&f, s->next_ping);
  s->next_ping += 2;
  return f.failed ? ERR_NOMEM : send_bytes (s, f.data, f.len);
}

int
spdy_goaway (struct spdy *s, uint32_t status)
{
  if (s->goaway_sent)
    return 0;
  s->goaway_sent = true;
  return send_two (s, GOAWAY, s->last_peer_id, status);
}

uint32_t
spdy_stream_id (const struct spdy_stream *st)
{
  return st->id;
}

void
spdy_stream_set_arg (struct spdy_stream *st, void *arg)
{
  st->arg = arg;
}

void *
spdy_stream_arg (const struct spdy_stream *st)
{
  return st->arg;
}

size_t
spdy_stream_count (const struct spdy *s)
{
  return s->n_streams;
}

static int
got_syn_stream (struct spdy *s, const uint8_t *p, size_t len, uint8_t flags, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct http_header *headers = NULL;
  struct spdy_stream *st;
  uint32_t id;
  int r;
  if (len < 10)
    return err_set (err, ERR_PARSE, "short SYN_STREAM");
  id = be32_load (p) & INT32_MAX;
  arena_init (&a, 4 * SPDY_HEADER_BLOCK_LIMIT);
  /* Always unpacked, a refused stream's too: the blocks share one compression. */
  if ((r = spdy_headers_unpack (&s->in, p + 10, len - 10, &a, &headers, err)))
    return r;
  if (id <= s->last_peer_id || (id & 1) != (s->server ? 1 : 0))
    return err_set (err, ERR_PARSE, "SYN_STREAM with bad id %u", id);
  s->last_peer_id = id;
  if (s->n_streams >= STREAMS_LIMIT || s->goaway_sent)
    return send_two (s, RST_STREAM, id, RST_REFUSED);
  if (!(st = add_stream (s, id)))
    return err_set (err, ERR_NOMEM, "SPDY stream");
  st->remote_done = flags & FLAG_FIN;
  st->local_done = flags & FLAG_UNIDIRECTIONAL;
  s->cb.on_stream (s->arg, st, headers, st->remote_done);
  return 0;
}

static int
got_reply (struct spdy *s, unsigned type, const uint8_t *p, size_t len, uint8_t flags, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct http_header *headers = NULL;
  struct spdy_stream *st;
  int r;
  if (len < 4)
    return err_set (err, ERR_PARSE, "short SYN_REPLY");
  arena_init (&a, 4 * SPDY_HEADER_BLOCK_LIMIT);
  if ((r = spdy_headers_unpack (&s->in, p + 4, len - 4, &a, &headers, err)))
    return r;
  if (!(st = *slot_of (s, be32_load (p) & INT32_MAX)) || st->remote_done)
    return 0;
  st->remote_done = flags & FLAG_FIN;
  if (type == SYN_REPLY && s->cb.on_reply)
    s->cb.on_reply (s->arg, st, headers, st->remote_done);
  if ((st = *slot_of (s, be32_load (p) & INT32_MAX)))
    close_if_done (st);
  return 0;
}

static int
got_control (struct spdy *s, struct err *err)
{
  unsigned type = be32_load (s->head) & 0xffff;
  const uint8_t *p = s->control.data;
  size_t len = s->control.len;
  uint8_t flags = s->head[4];
  struct spdy_stream *st;
  switch (type) {
  case SYN_STREAM:
    return got_syn_stream (s, p, len, flags, err);
  case SYN_REPLY:
  case HEADERS:
    return got_reply (s, type, p, len, flags, err);
  case RST_STREAM:
    if (len != 8)
      return err_set (err, ERR_PARSE, "RST_STREAM of %zu bytes", len);
    if ((st = *slot_of (s, be32_load (p) & INT32_MAX)))
      stream_gone (st, true);
    return 0;
  case PING:
    if (len != 4)
      return err_set (err, ERR_PARSE, "PING of %zu bytes", len);
    /* Theirs is echoed; ours came back. */
    if ((p[3] & 1) == (s->server ? 1 : 0)) {
      uint8_t echo[12];
      memcpy (echo, s->head, 8);
      memcpy (echo + 8, p, 4);
      return send_bytes (s, echo, sizeof echo);
    }
    return 0;
  case GOAWAY:
    if (s->cb.on_goaway)
      s->cb.on_goaway (s->arg);
    return 0;
  default: /* SETTINGS, WINDOW_UPDATE, CREDENTIAL and what the future brings */
    return 0;
  }
}

static int
frame_begins (struct spdy *s, struct err *err)
{
  bool control = s->head[0] & 0x80;
  s->left = be32_load (s->head + 4) & 0xffffff;
  if (!control)
    return 0;
  if ((be32_load (s->head) >> 16 & 0x7fff) != VERSION)
    return err_set (err, ERR_PARSE, "SPDY version %u", be32_load (s->head) >> 16 & 0x7fff);
  if (s->left > CONTROL_LIMIT)
    return err_set (err, ERR_LIMIT, "SPDY control frame of %u bytes", s->left);
  buf_reset (&s->control);
  return buf_reserve (&s->control, s->left) ? 0 : err_set (err, ERR_NOMEM, "SPDY frame");
}

/* Data goes to the user as it comes; fin only with the frame's last byte. */
static int
got_data (struct spdy *s, const uint8_t *p, size_t len)
{
  uint32_t id = be32_load (s->head) & INT32_MAX;
  struct spdy_stream *st = *slot_of (s, id);
  bool fin = (s->head[4] & FLAG_FIN) && len == s->left;
  if (!st || st->remote_done) { /* crossed with our reset; for a stream that never was, say so */
    if (!st && id > s->last_peer_id && (id & 1) == (s->server ? 1 : 0) && len == s->left)
      return send_two (s, RST_STREAM, id, RST_INVALID_STREAM);
    return 0;
  }
  st->remote_done = fin;
  if (len || fin)
    s->cb.on_data (s->arg, st, p, len, fin);
  if (fin && (st = *slot_of (s, id)))
    close_if_done (st);
  return 0;
}

static int
step (struct spdy *s, const uint8_t **p, size_t *len, struct err *err)
{
  size_t n;
  int r;
  if (s->head_len < 8) {
    n = 8 - s->head_len < *len ? 8 - s->head_len : *len;
    memcpy (s->head + s->head_len, *p, n);
    s->head_len += n;
    *p += n;
    *len -= n;
    if (s->head_len < 8)
      return 0;
    if ((r = frame_begins (s, err)))
      return r;
  }
  n = s->left < *len ? s->left : *len;
  if (s->head[0] & 0x80)
    buf_append (&s->control, *p, n);
  else if ((n || !s->left) && (r = got_data (s, *p, n)))
    return r;
  *p += n;
  *len -= n;
  s->left -= (uint32_t) n;
  if (s->left)
    return 0;
  s->head_len = 0;
  return s->head[0] & 0x80 ? got_control (s, err) : 0;
}

int
spdy_input (struct spdy *s, const void *data, size_t len, struct err *err)
{
  const uint8_t *p = data;
  int r = s->broken ? err_set (err, ERR_CLOSED, "SPDY session closed") : 0;
  s->entered++;
  while (!r && len && !s->broken)
    r = step (s, &p, &len, err);
  s->entered--;
  if (r && !s->broken) {
    (void) spdy_goaway (s, RST_PROTOCOL_ERROR);
    s->broken = true;
  }
  return r;
}
