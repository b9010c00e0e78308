/* Kubernetes' AtomicWriter: DIR/..TIME/... holds the files, DIR/..data points there, DIR/NAME -> ..data/NAME. A new content is a new
   folder and one rename of ..data: readers see all of the old or all of the new. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "services/kubelet/volumes.h"

static bool
path_valid (const char *p)
{
  if (!*p || *p == '/' || !strncmp (p, "..", 2))
    return false;
  for (const char *s = p; (s = strstr (s, ".."));) {
    if ((s == p || s[-1] == '/') && (s[2] == '/' || !s[2]))
      return false;
    s += 2;
  }
  return true;
}

static bool
same_content (const char *dir, const struct payload_file *files, size_t n)
{
  char data[4096];
  char **names = NULL;
  size_t count = 0, links = 0;
  snprintf (data, sizeof data, "%s/..data", dir);
  if (!file_exists (data))
    return false;
  for (size_t i = 0; i < n; i++) {
    char path[4608];
    struct buf b AUTO_BUF = BUF_INIT;
    struct stat st;
    snprintf (path, sizeof path, "%s/%s", data, files[i].path);
    if (stat (path, &st) || (st.st_mode & 07777) != files[i].mode || file_read (path, files[i].len, &b, NULL) || b.len != files[i].len ||
        (b.len && memcmp (b.data, files[i].data, b.len) != 0))
      return false;
  }
  /* No entry more than the files' first components. */
  if (file_list (dir, 100000, &names, &count, NULL))
    return false;
  for (size_t k = 0; k < count; k++) {
    bool wanted = !strncmp (names[k], "..", 2);
    size_t len = strlen (names[k]);
    for (size_t i = 0; i < n && !wanted; i++)
      wanted = !strncmp (files[i].path, names[k], len) && (files[i].path[len] == 0 || files[i].path[len] == '/');
    links += !wanted;
  }
  free (names);
  return links == 0;
}

static int
write_file (const char *base, const struct payload_file *f, struct err *err)
{
  char path[4608];
  int fd AUTO_CLOSE = -1, rc;
  const char *p = f->data;
  size_t left = f->len;
  if ((size_t) snprintf (path, sizeof path, "%s/%s", base, f->path) >= sizeof path)
    return err_set (err, ERR_LIMIT, "%s: path too long", f->path);
  for (char *slash = strchr (path + strlen (base) + 1, '/'); slash; slash = strchr (slash + 1, '/')) {
    *slash = 0;
    rc = mkdir (path, 0755) && errno != EEXIST ? err_errno (err, errno, "%s", path) : 0;
    *slash = '/';
    if (rc)
      return rc;
  }
  if ((fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
    return err_errno (err, errno, "%s", path);
  while (left) {
    ssize_t w = write (fd, p, left);
    if (w < 0 && errno == EINTR)
      continue;
    if (w < 0)
      return err_errno (err, errno, "%s", path);
    p += w;
    left -= (size_t) w;
  }
  if ((f->uid >= 0 || f->gid >= 0) && fchown (fd, f->uid >= 0 ? (uid_t) f->uid : (uid_t) -1, f->gid >= 0 ? (gid_t) f->gid : (gid_t) -1))
    return err_errno (err, errno, "%s: owner", path);
  return fchmod (fd, f->mode) ? err_errno (err, errno, "%s: mode", path) : 0;
}

/* Links for the first path component of each file; links of what is gone are removed. */
static int
update_links (const char *dir, const struct payload_file *files, size_t n, struct err *err)
{
  char **names = NULL;
  size_t count = 0;
  int rc;
  for (size_t i = 0; i < n; i++) {
    size_t len = strcspn (files[i].path, "/");
    char *link AUTO_FREE = mem_printf ("%s/%.*s", dir, (int) len, files[i].path), *to AUTO_FREE = mem_printf ("..data/%.*s", (int) len, files[i].path);
    if (!link || !to)
      return err_set (err, ERR_NOMEM, "%s", dir);
    if (symlink (to, link) && errno != EEXIST)
      return err_errno (err, errno, "%s", link);
  }
  if ((rc = file_list (dir, 100000, &names, &count, err)))
    return rc;
  for (size_t k = 0; k < count; k++) {
    bool wanted = !strncmp (names[k], "..", 2);
    size_t len = strlen (names[k]);
    for (size_t i = 0; i < n && !wanted; i++)
      wanted = !strncmp (files[i].path, names[k], len) && (files[i].path[len] == 0 || files[i].path[len] == '/');
    if (!wanted) {
      char *path AUTO_FREE = mem_printf ("%s/%s", dir, names[k]);
      if (path)
        (void) unlink (path);
    }
  }
  free (names);
  return 0;
}

int
atomic_write (const char *dir, const struct payload_file *files, size_t n, struct err *err)
{
  char *base AUTO_FREE = NULL, *tmp AUTO_FREE = mem_printf ("%s/..data_tmp", dir), *data AUTO_FREE = mem_printf ("%s/..data", dir);
  char old[256] = "", name[64];
  ssize_t len;
  int rc;
  for (size_t i = 0; i < n; i++)
    if (!path_valid (files[i].path))
      return err_set (err, ERR_INVALID, "invalid path %s", files[i].path);
  if (same_content (dir, files, n))
    return 0;
  snprintf (name, sizeof name, "..%lld", (long long) wall_now ().us);
  if (!tmp || !data || !(base = mem_printf ("%s/%s", dir, name)))
    return err_set (err, ERR_NOMEM, "%s", dir);
  if (mkdir (base, 0755))
    return err_errno (err, errno, "%s", base);
  for (size_t i = 0; i < n; i++)
    if ((rc = write_file (base, &files[i], err)))
      goto fail;
  if ((len = readlink (data, old, sizeof old - 1)) > 0)
    old[len] = 0;
  (void) unlink (tmp);
  if (symlink (name, tmp) || rename (tmp, data)) {
    rc = err_errno (err, errno, "%s", data);
    goto fail;
  }
  if ((rc = update_links (dir, files, n, err)))
    return rc;
  if (len > 0 && !strncmp (old, "..", 2) && !strchr (old, '/')) {
    char *path AUTO_FREE = mem_printf ("%s/%s", dir, old);
    if (path)
      (void) file_remove_tree (path, NULL);
  }
  return 0;
fail:
  (void) file_remove_tree (base, NULL);
  return rc;
}
