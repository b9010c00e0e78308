/* SPDY/3.1 framing, as kubectl's exec, attach, cp and port-forward speak it after an upgrade (moby/spdystream). No transport of
   its own: bytes come in by spdy_input and leave by the send callback, so it runs on a tunnel or inside WebSocket messages.

   Windows: like spdystream, WINDOW_UPDATE frames are accepted and data is never held back for a window; what bounds memory is
   the transport's own back-pressure. Frames, streams and header blocks have limits. */
#ifndef BASE_HTTP_SPDY_H
#define BASE_HTTP_SPDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http/http.h"

struct spdy;
struct spdy_stream;

struct spdy_cb {
  /* Bytes for the peer. Not 0: the session is broken from here on. */
  int (*send) (void *arg, const void *data, size_t len);
  /* A peer opened a stream, to be accepted by spdy_reply or refused by spdy_reset. fin: it will send no data. */
  void (*on_stream) (void *arg, struct spdy_stream *st, const struct http_header *headers, bool fin);
  /* The peer accepted a stream that we opened. May be NULL. */
  void (*on_reply) (void *arg, struct spdy_stream *st, const struct http_header *headers, bool fin);
  void (*on_data) (void *arg, struct spdy_stream *st, const void *data, size_t len, bool fin);
  /* The stream is gone after this (both ends finished, a reset by either side, or the session's end). reset: not in order. */
  void (*on_stream_close) (void *arg, struct spdy_stream *st, bool reset);
  /* The peer says goodbye: no new streams will come. May be NULL. */
  void (*on_goaway) (void *arg);
};

/* NULL when out of memory. */
struct spdy *spdy_new (bool server, const struct spdy_cb *cb, void *arg);
/* on_stream_close is called for each stream left. NULL allowed. Not from within a callback of it. */
void spdy_free (struct spdy *s);
/* Any number of bytes. ERR_PARSE or ERR_LIMIT when the peer broke the protocol: the session is over, GOAWAY was sent. */
int spdy_input (struct spdy *s, const void *data, size_t len, struct err *err);

int spdy_open (struct spdy *s, const struct http_header *headers, bool fin, struct spdy_stream **ret, struct err *err);
int spdy_reply (struct spdy_stream *st, const struct http_header *headers, bool fin);
/* ERR_CLOSED when our half is finished. fin finishes it; len 0 with fin is usual. */
int spdy_write (struct spdy_stream *st, const void *data, size_t len, bool fin);
void spdy_reset (struct spdy_stream *st, uint32_t status); /* 1 PROTOCOL_ERROR, 3 REFUSED_STREAM, 5 CANCEL ... */
int spdy_ping (struct spdy *s);
int spdy_goaway (struct spdy *s, uint32_t status);

uint32_t spdy_stream_id (const struct spdy_stream *st);
void spdy_stream_set_arg (struct spdy_stream *st, void *arg);
void *spdy_stream_arg (const struct spdy_stream *st);
size_t spdy_stream_count (const struct spdy *s);
const char *spdy_header (const struct http_header *headers, const char *name); /* any case; NULL */

#endif
