/* SPDY frames from a client, as kubectl exec's stream carries them; each stream is accepted and answered. */
#include "tests/lib/fuzz.h"

#include "base/http/spdy.h"

static int
on_send (void *arg, const void *data, size_t len)
{
  (void) arg;
  (void) data;
  (void) len;
  return 0;
}

static void
on_stream (void *arg, struct spdy_stream *st, const struct http_header *headers, bool fin)
{
  (void) arg;
  (void) fin;
  if (spdy_header (headers, "refuse"))
    spdy_reset (st, 3);
  else
    (void) spdy_reply (st, NULL, false);
}

static void
on_data (void *arg, struct spdy_stream *st, const void *data, size_t len, bool fin)
{
  (void) arg;
  (void) spdy_write (st, data, len, fin);
}

static void
on_close (void *arg, struct spdy_stream *st, bool reset)
{
  (void) arg;
  (void) st;
  (void) reset;
}

int
fuzz_one (const uint8_t *data, size_t size)
{
  static const struct spdy_cb cb = {.send = on_send, .on_stream = on_stream, .on_data = on_data, .on_stream_close = on_close};
  struct spdy *s = spdy_new (true, &cb, NULL);
  size_t half = size / 2;
  if (!s)
    return 0;
  if (!spdy_input (s, data, half, NULL))
    (void) spdy_input (s, data + half, size - half, NULL);
  spdy_free (s);
  return 0;
}
