#include <czmq.h>
#include <errno.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "bus/zmq_internal.h"

/* Nothing before this in the process may let czmq take SIGINT and SIGTERM: they are the daemon's. */
static void
keep_signals (void)
{
  zsys_handler_set (NULL);
}

static struct bus_timer *
timer_new (struct bus *b, loop_cb cb, void *arg)
{
  return (struct bus_timer *) loop_timer_new (b->loop, cb, arg);
}
static void
timer_set (struct bus_timer *t, int64_t delay_ms)
{
  loop_timer_set ((struct loop_timer *) t, delay_ms);
}
static void
timer_cancel (struct bus_timer *t)
{
  loop_timer_cancel ((struct loop_timer *) t);
}
static void
timer_free (struct bus_timer *t)
{
  loop_timer_free ((struct loop_timer *) t);
}
static mono_t
now (struct bus *b)
{
  (void) b;
  return mono_now ();
}
static void
step (struct bus *b, int timeout_ms)
{
  loop_step (b->loop, timeout_ms);
}

static uint64_t
next_random (struct bus *b)
{
  struct zmq_bus *z = (struct zmq_bus *) b;
  uint64_t v = (z->random_state += 0x9e3779b97f4a7c15u); /* splitmix64 */
  v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
  v = (v ^ v >> 27) * 0x94d049bb133111ebu;
  return v ^ v >> 31;
}

static void
zmq_bus_free (struct bus *b)
{
  struct zmq_bus *z = (struct zmq_bus *) b;
  zap_close (&z->zap);
  known_close (&z->known);
  if (z->ctx)
    while (zmq_ctx_term (z->ctx) && zmq_errno () == EINTR)
      ;
  explicit_bzero (z->secret_key, sizeof z->secret_key);
  free (z->name);
  free (z);
}

static const struct bus_vtable vtable = {
  .open = zmq_port_open,
  .send = zmq_port_send,
  .filter = zmq_port_filter,
  .close = zmq_port_close,
  .timer_new = timer_new,
  .timer_set = timer_set,
  .timer_cancel = timer_cancel,
  .timer_free = timer_free,
  .now = now,
  .random = next_random,
  .step = step,
  .free = zmq_bus_free,
};

static void
on_known_changed (void *arg)
{
  zmq_ports_known_changed (arg);
}

static int
load_own_key (struct zmq_bus *z, const char *path, struct err *err)
{
  struct stat st;
  zcert_t *cert;
  const char *name;
  int code = 0;
  if (stat (path, &st))
    return err_errno (err, errno, "bus key %s", path);
  if (st.st_mode & 077)
    return err_set (err, ERR_DENIED, "bus key %s is readable by others (mode %03o)", path, st.st_mode & 0777);
  if (!(cert = zcert_load (path)))
    return err_set (err, ERR_PARSE, "bus key %s is not a certificate", path);
  name = zcert_meta (cert, "name");
  if (!name || !*name || strlen (name) > BUS_NAME_MAX || !strcmp (zcert_secret_txt (cert), "0000000000000000000000000000000000000000"))
    code = err_set (err, ERR_PARSE, "bus key %s has no name or no secret part", path);
  else if (!(z->name = mem_strdup (name)))
    code = err_set (err, ERR_NOMEM, "bus key");
  memcpy (z->public_key, zcert_public_txt (cert), KEY_TEXT_SIZE);
  memcpy (z->secret_key, zcert_secret_txt (cert), KEY_TEXT_SIZE);
  zcert_destroy (&cert);
  return code;
}

struct bus *
bus_zmq_new (struct loop *loop, const struct bus_zmq_config *config, struct err *err)
{
  struct zmq_bus *z = mem_zalloc (sizeof *z);
  if (!z) {
    err_set (err, ERR_NOMEM, "bus");
    return NULL;
  }
  keep_signals ();
  z->base.vt = &vtable;
  z->base.loop = loop;
  z->known.inotify_fd = -1;
  if (getrandom (&z->random_state, sizeof z->random_state, 0) != sizeof z->random_state) {
    err_errno (err, errno, "getrandom");
    goto fail;
  }
  if (!(z->ctx = zmq_ctx_new ())) {
    zmq_failed (err, "ZeroMQ context");
    goto fail;
  }
  (void) zmq_ctx_set (z->ctx, ZMQ_MAX_SOCKETS, 4096);
  if (load_own_key (z, config->key_file, err) || known_open (&z->known, loop, config->known_dir, on_known_changed, z, err) ||
      zap_open (&z->zap, loop, z->ctx, &z->known, err))
    goto fail;
  return &z->base;
fail:
  zmq_bus_free (&z->base);
  return NULL;
}

static int
save_renamed (zcert_t *cert, bool secret, const char *dir, const char *name, const char *suffix, struct err *err)
{
  AUTO_FREE char *path = mem_printf ("%s/%s%s", dir, name, suffix), *temporary = mem_printf ("%s/.%s%s.new", dir, name, suffix);
  if (!path || !temporary)
    return err_set (err, ERR_NOMEM, "key");
  if (secret ? zcert_save_secret (cert, temporary) : zcert_save_public (cert, temporary))
    return err_errno (err, errno, "write %s", temporary);
  if (secret && chmod (temporary, 0600))
    return err_errno (err, errno, "chmod %s", temporary);
  if (rename (temporary, path))
    return err_errno (err, errno, "rename to %s", path);
  return 0;
}

int
bus_keygen (const char *dir, const char *known_dir, const char *name, const char *user, const char *groups, struct err *err)
{
  AUTO_FREE char *secret = mem_printf ("%s/%s.secret", dir, name), *known = mem_printf ("%s/%s", known_dir, name);
  zcert_t *cert;
  mode_t mask;
  int code;
  if (!*name || strlen (name) > BUS_NAME_MAX || strchr (name, '/') || strchr (name, '@') || name[0] == '.')
    return err_set (err, ERR_INVALID, "identity \"%.255s\"", name);
  if (!secret || !known)
    return err_set (err, ERR_NOMEM, "key");
  if (!access (secret, F_OK) || !access (known, F_OK))
    return err_set (err, ERR_EXISTS, "key of %s", name);
  keep_signals ();
  if (!(cert = zcert_new ()))
    return err_set (err, ERR_NOMEM, "key");
  zcert_set_meta (cert, "name", "%s", name);
  zcert_set_meta (cert, "user", "%s", user ? user : "");
  zcert_set_meta (cert, "groups", "%s", groups ? groups : "");
  mask = umask (077); /* zcert writes the file before anybody could change its mode */
  code = save_renamed (cert, true, dir, name, ".secret", err);
  umask (mask);
  if (!code)
    code = save_renamed (cert, false, known_dir, name, "", err);
  zcert_destroy (&cert);
  return code;
}
