/* ZAP 1.0 (ZeroMQ RFC 27): the I/O threads ask over inproc, the loop answers from the known peers. An unknown key gets 300,
   not 400: after a 400 libzmq's client never tries again, but a peer may become known later. */
#include "bus/zmq_internal.h"

enum { FRAMES_MAX = 8 };

static void
reply (void *socket, const char *version, const char *id, const char *status, const char *text, const char *user, const char *key)
{
  char meta[1 + sizeof ZAP_KEY_PROPERTY + 4 + KEY_TEXT_SIZE];
  size_t n = 0;
  if (key) { /* name length, name, value length, value */
    meta[n++] = (char) strlen (ZAP_KEY_PROPERTY);
    memcpy (meta + n, ZAP_KEY_PROPERTY, strlen (ZAP_KEY_PROPERTY));
    n += strlen (ZAP_KEY_PROPERTY);
    memcpy (meta + n, "\0\0\0\x28", 4);
    n += 4;
    memcpy (meta + n, key, KEY_TEXT_SIZE - 1);
    n += KEY_TEXT_SIZE - 1;
  }
  const struct bus_frame f[] = {{version, strlen (version)}, {id, strlen (id)},     {status, strlen (status)},
                                {text, strlen (text)},       {user, strlen (user)}, {meta, n}};
  for (size_t i = 0; i < sizeof f / sizeof f[0]; i++)
    if (zmq_send (socket, f[i].data, f[i].len, i + 1 < sizeof f / sizeof f[0] ? ZMQ_SNDMORE : 0) < 0)
      return; /* the context is closing */
}

static void
on_request (void *arg)
{
  struct zap *z = arg;
  char frame[FRAMES_MAX][256] = {{0}}, key[KEY_TEXT_SIZE];
  int len[FRAMES_MAX] = {0}, n = 0, more = 1;
  size_t size = sizeof more;
  struct peer *peer = NULL;
  while (more) {
    int at = n < FRAMES_MAX ? n : FRAMES_MAX - 1;
    len[at] = zmq_recv (z->socket, frame[at], sizeof frame[at] - 1, ZMQ_DONTWAIT);
    if (len[at] < 0)
      return;
    if (len[at] > (int) sizeof frame[at] - 1)
      len[at] = (int) sizeof frame[at] - 1;
    frame[at][len[at]] = 0;
    n++;
    if (zmq_getsockopt (z->socket, ZMQ_RCVMORE, &more, &size))
      return;
  }
  if (n == 7 && !strcmp (frame[0], "1.0") && !strcmp (frame[2], ZAP_DOMAIN) && !strcmp (frame[5], "CURVE") && len[6] == 32 &&
      zmq_z85_encode (key, (const uint8_t *) frame[6], 32))
    peer = known_by_key (z->known, key);
  if (peer)
    reply (z->socket, frame[0], frame[1], "200", "OK", peer->p.name, key);
  else
    reply (z->socket, "1.0", frame[1], "300", "unknown key", "", NULL);
}

int
zap_open (struct zap *z, struct loop *loop, void *ctx, struct known *known, struct err *err)
{
  int zero = 0;
  *z = (struct zap){.known = known};
  if (!(z->socket = zmq_socket (ctx, ZMQ_REP)) || zmq_setsockopt (z->socket, ZMQ_LINGER, &zero, sizeof zero) ||
      zmq_bind (z->socket, "inproc://zeromq.zap.01"))
    return zmq_failed (err, "ZAP");
  return pump_open (&z->pump, loop, z->socket, on_request, z, err);
}

void
zap_close (struct zap *z)
{
  pump_close (&z->pump);
  if (z->socket)
    zmq_close (z->socket);
  z->socket = NULL;
}
