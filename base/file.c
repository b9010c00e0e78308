#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/mem.h"

#define REMOVE_DEPTH_LIMIT 256

int
file_read_at (int dir_fd, const char *name, size_t max_bytes, struct buf *out, struct err *err)
{
  int fd AUTO_CLOSE = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  struct stat st;
  size_t total = 0;
  if (fd < 0 || fstat (fd, &st))
    return err_errno (err, errno, "%s", name);
  if (S_ISDIR (st.st_mode))
    return err_set (err, ERR_INVALID, "%s: is a directory", name);
  if (st.st_size > 0 && (size_t) st.st_size > max_bytes)
    return err_set (err, ERR_LIMIT, "%s: %lld bytes, more than %zu", name, (long long) st.st_size, max_bytes);
  for (;;) {
    /* One byte beyond the file's size, so that its end shows without growing. */
    size_t want = total < (size_t) st.st_size ? (size_t) st.st_size - total + 1 : 4096;
    ssize_t n;
    if (!buf_reserve (out, want))
      return err_set (err, ERR_NOMEM, "%s: out of memory", name);
    n = read (fd, out->data + out->len, want);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_errno (err, errno, "%s: read", name);
    out->len += (size_t) n;
    out->data[out->len] = 0;
    if (n == 0)
      return 0;
    if ((total += (size_t) n) > max_bytes)
      return err_set (err, ERR_LIMIT, "%s: more than %zu bytes", name, max_bytes);
  }
}

int
file_read (const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
  return file_read_at (AT_FDCWD, path, max_bytes, out, err);
}

static int
write_all (int fd, const char *data, size_t len)
{
  while (len) {
    ssize_t n = write (fd, data, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    data += n;
    len -= (size_t) n;
  }
  return 0;
}

/* The directory of path, opened, so that its entry can be synced; *ret_base is the last component. */
static int
open_parent (const char *path, const char **ret_base, struct err *err)
{
  const char *slash = strrchr (path, '/');
  AUTO_FREE char *dir = slash ? mem_strndup (path, slash == path ? 1 : (size_t) (slash - path)) : mem_strdup (".");
  int fd;
  if (!dir)
    return err_set (err, ERR_NOMEM, "%s: out of memory", path);
  fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return err_errno (err, errno, "%s", dir);
  *ret_base = slash ? slash + 1 : path;
  return fd;
}

int
file_write_atomic (const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
  static unsigned counter;
  const char *base = NULL;
  int dir AUTO_CLOSE = open_parent (path, &base, err);
  int fd AUTO_CLOSE = -1;
  AUTO_FREE char *tmp = NULL;
  int r;
  if (dir < 0)
    return dir;
  if (!*base)
    return err_set (err, ERR_INVALID, "%s: not a file name", path);
  tmp = mem_printf (".%.200s.%d.%u.tmp", base, (int) getpid (), __atomic_add_fetch (&counter, 1, __ATOMIC_RELAXED));
  if (!tmp)
    return err_set (err, ERR_NOMEM, "%s: out of memory", path);
  fd = openat (dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0 && errno == EEXIST && !unlinkat (dir, tmp, 0)) /* left by a crash of a process with our pid */
    fd = openat (dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0)
    return err_errno (err, errno, "%s: create", path);
  if (fchmod (fd, mode) || write_all (fd, data, len) || fsync (fd)) {
    r = err_errno (err, errno, "%s: write", path);
    goto undo;
  }
  if (renameat (dir, tmp, dir, base)) {
    r = err_errno (err, errno, "%s: rename", path);
    goto undo;
  }
  if (fsync (dir))
    return err_errno (err, errno, "%s: sync directory", path);
  return 0;
undo:
  unlinkat (dir, tmp, 0);
  return r;
}

int
file_write_existing (const char *path, const char *text, struct err *err)
{
  int fd AUTO_CLOSE = open (path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  size_t len = strlen (text);
  ssize_t n;
  if (fd < 0)
    return err_errno (err, errno, "%s", path);
  n = write (fd, text, len);
  if (n < 0)
    return err_errno (err, errno, "%s: write '%.60s'", path, text);
  return (size_t) n == len ? 0 : err_set (err, ERR_IO, "%s: short write", path);
}

int
file_mkdirs (const char *path, mode_t mode, struct err *err)
{
  char part[PATH_MAX];
  size_t len = strlen (path);
  struct stat st;
  if (!len || len >= sizeof part)
    return err_set (err, ERR_INVALID, "%.100s: bad path", path);
  memcpy (part, path, len + 1);
  for (char *p = part + 1;; p++) {
    char c = *p;
    if (c != '/' && c)
      continue;
    *p = 0;
    if (mkdir (part, mode) && errno != EEXIST) {
      int saved = errno;
      if (stat (part, &st)) /* a read-only file system says EROFS for what exists */
        return err_errno (err, saved, "%s: create directory", part);
    }
    *p = c;
    if (!c)
      break;
  }
  if (stat (path, &st))
    return err_errno (err, errno, "%s", path);
  return S_ISDIR (st.st_mode) ? 0 : err_set (err, ERR_EXISTS, "%s: exists and is not a directory", path);
}

bool
file_exists (const char *path)
{
  return !access (path, F_OK);
}

static int remove_entry (int parent, const char *name, int depth, struct err *err);

static int
remove_children (int fd, int depth, struct err *err)
{
  DIR *d = fdopendir (fd);
  struct dirent *e;
  int r = 0;
  if (!d) {
    r = err_errno (err, errno, "open directory");
    close (fd);
    return r;
  }
  while (!r && (errno = 0, e = readdir (d)))
    if (strcmp (e->d_name, ".") && strcmp (e->d_name, ".."))
      r = remove_entry (dirfd (d), e->d_name, depth, err);
  if (!r && errno)
    r = err_errno (err, errno, "read directory");
  closedir (d);
  return r;
}

static int
remove_entry (int parent, const char *name, int depth, struct err *err)
{
  struct statx st;
  int fd, r;
  if (statx (parent, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &st))
    return errno == ENOENT ? 0 : err_errno (err, errno, "%s", name);
  /* A bind mount has its parent's device, so only this attribute tells. */
  if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
    return err_set (err, ERR_BUSY, "%s: something is mounted here", name);
  if (!S_ISDIR (st.stx_mode))
    return !unlinkat (parent, name, 0) || errno == ENOENT ? 0 : err_errno (err, errno, "%s: remove", name);
  if (depth >= REMOVE_DEPTH_LIMIT)
    return err_set (err, ERR_LIMIT, "%s: nested too deeply", name);
  fd = openat (parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, errno, "%s", name);
  if ((r = remove_children (fd, depth + 1, err)))
    return err ? err_wrap (err, "%s", name) : r;
  if (unlinkat (parent, name, AT_REMOVEDIR) && errno != ENOENT)
    return err_errno (err, errno, "%s: remove directory", name);
  return 0;
}

int
file_remove_tree (const char *path, struct err *err)
{
  return remove_entry (AT_FDCWD, path, 0, err);
}

static int
by_bytes (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

int
file_list (const char *path, size_t max_count, char ***ret, size_t *ret_count, struct err *err)
{
  struct buf names AUTO_BUF = BUF_INIT;
  DIR *d = opendir (path);
  struct dirent *e;
  size_t count = 0;
  char **list, *text;
  int failed;
  if (!d)
    return err_errno (err, errno, "%s", path);
  while ((errno = 0, e = readdir (d))) {
    if (!strcmp (e->d_name, ".") || !strcmp (e->d_name, ".."))
      continue;
    if (++count > max_count) {
      closedir (d);
      return err_set (err, ERR_LIMIT, "%s: more than %zu entries", path, max_count);
    }
    buf_append (&names, e->d_name, strlen (e->d_name) + 1);
  }
  failed = errno;
  closedir (d);
  if (failed)
    return err_errno (err, failed, "%s: read directory", path);
  if (names.failed || !(list = malloc ((count + 1) * sizeof *list + names.len)))
    return err_set (err, ERR_NOMEM, "%s: out of memory", path);
  text = (char *) (list + count + 1);
  if (names.len)
    memcpy (text, names.data, names.len);
  for (size_t i = 0; i < count; i++, text += strlen (text) + 1)
    list[i] = text;
  list[count] = NULL;
  qsort (list, count, sizeof *list, by_bytes);
  *ret = list;
  if (ret_count)
    *ret_count = count;
  return 0;
}
