/* known_dir: a public certificate in czmq's format a peer, under the peer's name. It is read again when inotify tells of
   a change; files that stat the same are not. */
#include <czmq.h>
#include <dirent.h>
#include <errno.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/log.h"
#include "bus/zmq_internal.h"

enum { PEERS_MAX = 65536, FILE_SIZE_MAX = 65536, SETTLE_MS = 5 };

static void
known_peer_free (void *value)
{
  struct known_peer *p = value;
  if (!p)
    return;
  peer_unref (p->peer);
  free (p);
}

/* NULL: not a certificate of that peer; logged once, ignored. */
static struct known_peer *
read_peer (const char *path, const char *name, const struct stat *st)
{
  zcert_t *cert = st->st_size <= FILE_SIZE_MAX ? zcert_load (path) : NULL;
  struct known_peer *p = NULL;
  const char *meta_name = cert ? zcert_meta (cert, "name") : NULL, *user = cert ? zcert_meta (cert, "user") : NULL;
  if (!meta_name || strcmp (meta_name, name) || strlen (name) > BUS_NAME_MAX) {
    log_warn ("known peer ignored", "file=%s reason=\"not a certificate with name=%s\"", path, name);
    goto out;
  }
  if (!(p = mem_zalloc (sizeof *p)) || !(p->peer = peer_new (name, user ? user : "", zcert_meta (cert, "groups")))) {
    known_peer_free (p);
    p = NULL;
    goto out;
  }
  memcpy (p->key, zcert_public_txt (cert), KEY_TEXT_SIZE);
  p->mtime_ns = (int64_t) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
  p->inode = st->st_ino;
  p->size = (uint64_t) st->st_size;
out:
  zcert_destroy (&cert);
  return p;
}

static bool
unchanged (const struct known_peer *p, const struct stat *st)
{
  return p && p->inode == st->st_ino && p->size == (uint64_t) st->st_size &&
         p->mtime_ns == (int64_t) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* Moves or reads one file's peer into the new maps. */
static int
add_file (struct known *k, struct map *by_key, struct map *by_name, const char *name, int dir_fd)
{
  struct stat st;
  struct known_peer *p = map_get (k->by_name, name), *fresh = NULL;
  AUTO_FREE char *path = NULL;
  if (fstatat (dir_fd, name, &st, 0) || !S_ISREG (st.st_mode))
    return 0;
  if (!unchanged (p, &st)) {
    if (!(path = mem_printf ("%s/%s", k->dir, name)))
      return ERR_NOMEM;
    if (!(fresh = read_peer (path, name, &st)))
      return 0;
    if (p && !strcmp (p->key, fresh->key) && !strcmp (p->peer->p.user, fresh->peer->p.user)) {
      bool same = true;
      for (size_t i = 0; same && (p->peer->list[i] || fresh->peer->list[i]); i++)
        same = p->peer->list[i] && fresh->peer->list[i] && !strcmp (p->peer->list[i], fresh->peer->list[i]);
      if (same) { /* rewritten as it was: not a new identity */
        p->mtime_ns = fresh->mtime_ns;
        p->inode = fresh->inode;
        p->size = fresh->size;
        known_peer_free (fresh);
        fresh = NULL;
      }
    }
  }
  if (!fresh) {
    (void) map_remove (k->by_name, name);
    (void) map_remove (k->by_key, p->key);
    fresh = p;
  }
  if (map_set (by_name, name, fresh)) {
    known_peer_free (fresh);
    return ERR_NOMEM;
  }
  return map_set (by_key, fresh->key, fresh);
}

static int
known_read (struct known *k, struct err *err)
{
  struct map *by_key = map_new (NULL), *by_name = map_new (known_peer_free);
  DIR *dir = opendir (k->dir);
  const char *name;
  void *value;
  int code = 0;
  if (!by_key || !by_name) {
    code = err_set (err, ERR_NOMEM, "known peers");
    goto fail;
  }
  if (!dir) {
    code = err_errno (err, errno, "known peers in %s", k->dir);
    goto fail;
  }
  for (struct dirent *d; !code && (d = readdir (dir));)
    if (d->d_name[0] != '.' && map_count (by_name) < PEERS_MAX)
      code = add_file (k, by_key, by_name, d->d_name, dirfd (dir));
  closedir (dir);
  if (code)
    code = err_set (err, code, "known peers"); /* fewer are known until the next change: refused rather than let in */
  for (size_t it = 0; map_next (k->by_name, &it, &name, &value);)
    ((struct known_peer *) value)->peer->gone = true;
  map_free (k->by_key);
  map_free (k->by_name);
  k->by_key = by_key;
  k->by_name = by_name;
  return code;
fail:
  if (dir)
    closedir (dir);
  map_free (by_key);
  map_free (by_name);
  return code;
}

static void
on_settled (void *arg)
{
  struct known *k = arg;
  struct err err = {0};
  if (known_read (k, &err))
    log_error ("known peers not read", "error=\"%s\"", err.text);
  k->changed (k->arg);
}

static void
on_inotify (void *arg, int fd, int events)
{
  struct known *k = arg;
  char buf[4096] __attribute__ ((aligned (8)));
  (void) events;
  while (read (fd, buf, sizeof buf) > 0)
    ;
  if (!loop_timer_armed (k->settle))
    loop_timer_set (k->settle, SETTLE_MS);
}

int
known_open (struct known *k, struct loop *loop, const char *dir, void (*changed) (void *arg), void *arg, struct err *err)
{
  *k = (struct known){.loop = loop, .inotify_fd = -1, .changed = changed, .arg = arg};
  if (!(k->dir = mem_strdup (dir)) || !(k->by_key = map_new (NULL)) || !(k->by_name = map_new (known_peer_free)) ||
      !(k->settle = loop_timer_new (loop, on_settled, k)))
    return err_set (err, ERR_NOMEM, "known peers");
  /* Watch first, then read: a change between the two is told. */
  if ((k->inotify_fd = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK)) < 0 ||
      inotify_add_watch (k->inotify_fd, dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR) < 0)
    return err_errno (err, errno, "watch known peers in %s", dir);
  if (!(k->watch = loop_watch_fd (loop, k->inotify_fd, LOOP_READ, on_inotify, k)))
    return err_set (err, ERR_NOMEM, "known peers");
  return known_read (k, err);
}

void
known_close (struct known *k)
{
  const char *name;
  void *value;
  loop_watch_free (k->watch);
  loop_timer_free (k->settle);
  if (k->inotify_fd >= 0)
    close (k->inotify_fd);
  if (k->by_name)
    for (size_t it = 0; map_next (k->by_name, &it, &name, &value);)
      ((struct known_peer *) value)->peer->gone = true;
  map_free (k->by_key);
  map_free (k->by_name);
  free (k->dir);
  *k = (struct known){.inotify_fd = -1};
}

struct peer *
known_by_key (const struct known *k, const char *key)
{
  const struct known_peer *p = map_get (k->by_key, key);
  return p ? p->peer : NULL;
}

const char *
known_key (const struct known *k, const char *name)
{
  const struct known_peer *p = map_get (k->by_name, name);
  return p ? p->key : NULL;
}
