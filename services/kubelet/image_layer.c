/* Unpacking one layer. Two libarchive readers in a row: the first only decompresses, what it yields is hashed (the diff id is
   the digest of the uncompressed tar) and read as a tar by the second. Entries are made by us and not by libarchive's disk
   writer, because a name must be resolved inside the layer's root as a container would see it (openat2 RESOLVE_IN_ROOT), and
   because whiteouts become overlayfs' ones. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "services/kubelet/image.h"

struct reader {
  struct archive *outer, *inner;
  EVP_MD_CTX *hash;
  int root_fd;
  uint8_t block[64 << 10];
};

static void
hex_digest (EVP_MD_CTX *ctx, char out[IMAGE_DIGEST_SIZE])
{
  uint8_t d[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  EVP_DigestFinal_ex (ctx, d, &n);
  memcpy (out, "sha256:", 8);
  for (unsigned i = 0; i < n && i < 32; i++)
    snprintf (out + 7 + 2 * i, 3, "%02x", d[i]);
}

int
image_file_digest (const char *path, char out[IMAGE_DIGEST_SIZE], struct err *err)
{
  int fd AUTO_CLOSE = open (path, O_RDONLY | O_CLOEXEC);
  EVP_MD_CTX *ctx;
  uint8_t *block AUTO_FREE = malloc (256 << 10);
  ssize_t n = 0;
  if (fd < 0)
    return err_errno (err, errno, "%s", path);
  ctx = EVP_MD_CTX_new ();
  if (!block || !ctx || !EVP_DigestInit_ex (ctx, EVP_sha256 (), NULL)) {
    EVP_MD_CTX_free (ctx);
    return err_set (err, ERR_NOMEM, "%s: digest", path);
  }
  while ((n = read (fd, block, 256 << 10)) > 0)
    EVP_DigestUpdate (ctx, block, (size_t) n);
  if (n == 0)
    hex_digest (ctx, out);
  EVP_MD_CTX_free (ctx);
  return n < 0 ? err_errno (err, errno, "%s: read", path) : 0;
}

static la_ssize_t
inner_read (struct archive *a, void *arg, const void **ret)
{
  struct reader *r = arg;
  la_ssize_t n = archive_read_data (r->outer, r->block, sizeof r->block);
  if (n < 0) {
    archive_set_error (a, EIO, "%s", archive_error_string (r->outer));
    return -1;
  }
  EVP_DigestUpdate (r->hash, r->block, (size_t) n);
  *ret = r->block;
  return n;
}

static int
open_in_root (int root, const char *path, int flags)
{
  struct open_how how = {.flags = (uint64_t) (flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  return (int) syscall (SYS_openat2, root, *path ? path : ".", &how, sizeof how);
}

/* "./usr//bin/x/" -> "usr/bin/x" in place. false: it has a ".." segment. */
static bool
clean_path (char *path)
{
  char *out = path, *in = path;
  while (*in) {
    size_t n = strcspn (in, "/");
    if (n == 2 && in[0] == '.' && in[1] == '.')
      return false;
    if (n && !(n == 1 && in[0] == '.')) {
      if (out != path)
        *out++ = '/';
      memmove (out, in, n);
      out += n;
    }
    in += n;
    in += strspn (in, "/");
  }
  *out = 0;
  return true;
}

/* A descriptor of the directory path, made with its parents when absent. */
static int
open_parent (int root, const char *path, struct err *err)
{
  int fd = open_in_root (root, path, O_PATH | O_DIRECTORY);
  char *part AUTO_FREE = NULL;
  if (fd >= 0)
    return fd;
  if (errno != ENOENT)
    return err_errno (err, errno, "%s", path);
  if (!(part = mem_strdup (path)))
    return err_set (err, ERR_NOMEM, "%s", path);
  fd = -1;
  for (size_t i = 1; path[i - 1]; i++) {
    int up, made;
    const char *slash;
    if (path[i] && path[i] != '/')
      continue;
    part[i] = 0;
    slash = strrchr (part, '/');
    if (slash) {
      *(char *) (uintptr_t) slash = 0;
      up = open_in_root (root, part, O_PATH | O_DIRECTORY);
      *(char *) (uintptr_t) slash = '/';
    } else {
      up = open_in_root (root, "", O_PATH | O_DIRECTORY);
    }
    if (up < 0)
      return err_errno (err, errno, "%s", part);
    made = mkdirat (up, slash ? slash + 1 : part, 0755) && errno != EEXIST ? errno : 0;
    close (up);
    if (made)
      return err_errno (err, made, "%s", part);
    part[i] = path[i];
    if (!path[i])
      break;
  }
  if ((fd = open_in_root (root, path, O_PATH | O_DIRECTORY)) < 0)
    return err_errno (err, errno, "%s", path);
  return fd;
}

static int
remove_at (int dir, const char *name)
{
  if (!unlinkat (dir, name, 0) || errno == ENOENT)
    return 0;
  if (errno != EISDIR)
    return -1;
  return unlinkat (dir, name, AT_REMOVEDIR);
}

static int
copy_data (struct reader *r, int fd, const char *path, struct err *err)
{
  const void *p;
  size_t n;
  la_int64_t at;
  int rc;
  while ((rc = archive_read_data_block (r->inner, &p, &n, &at)) == ARCHIVE_OK) {
    const char *b = p;
    while (n) {
      ssize_t w = pwrite (fd, b, n, at);
      if (w < 0 && errno == EINTR)
        continue;
      if (w < 0)
        return err_errno (err, errno, "%s: write", path);
      b += w;
      at += w;
      n -= (size_t) w;
    }
  }
  if (rc != ARCHIVE_EOF)
    return err_set (err, ERR_CORRUPT, "%s: %s", path, archive_error_string (r->inner));
  return 0;
}

static int
set_xattrs (struct archive_entry *e, int fd, const char *path, struct err *err)
{
  const char *name;
  const void *value;
  size_t n;
  archive_entry_xattr_reset (e);
  while (archive_entry_xattr_next (e, &name, &value, &n) == ARCHIVE_OK) {
    if (!strncmp (name, "trusted.overlay.", 16))
      continue; /* ours alone: an image must not make its own whiteouts */
    if (fsetxattr (fd, name, value, n, 0) && errno != ENOTSUP && errno != EPERM)
      return err_errno (err, errno, "%s: xattr %s", path, name);
  }
  return 0;
}

static int
set_times (struct archive_entry *e, int dir, const char *name)
{
  struct timespec ts[2] = {{0, UTIME_OMIT}, {archive_entry_mtime (e), archive_entry_mtime_nsec (e)}};
  return archive_entry_mtime_is_set (e) ? utimensat (dir, name, ts, AT_SYMLINK_NOFOLLOW) : 0;
}

static int
make_whiteout (int root, int dir, const char *parent, const char *name, struct err *err)
{
  if (!strcmp (name, ".wh..wh..opq")) {
    int fd AUTO_CLOSE = open_in_root (root, parent, O_RDONLY | O_DIRECTORY);
    if (fd < 0 || fsetxattr (fd, "trusted.overlay.opaque", "y", 1, 0))
      return err_errno (err, errno, "%s: opaque mark", parent);
    return 0;
  }
  if (!strncmp (name, ".wh..wh.", 8))
    return 0; /* aufs' own bookkeeping */
  name += 4;
  if (!*name || !strcmp (name, ".") || !strcmp (name, ".."))
    return err_set (err, ERR_INVALID, "%s/.wh.%s: not a whiteout", parent, name);
  (void) remove_at (dir, name);
  if (mknodat (dir, name, S_IFCHR | 0600, makedev (0, 0)))
    return err_errno (err, errno, "%s/%s: whiteout", parent, name);
  return 0;
}

static int
make_hardlink (int root, int dir, const char *name, const char *path, const char *to, struct err *err)
{
  char *target AUTO_FREE = mem_strdup (to);
  int fd AUTO_CLOSE = -1;
  if (!target)
    return err_set (err, ERR_NOMEM, "%s", path);
  if (!clean_path (target))
    return err_set (err, ERR_INVALID, "layer entry %s: link target %s leaves the layer", path, to);
  if ((fd = open_in_root (root, target, O_PATH | O_NOFOLLOW)) < 0)
    return err_errno (err, errno, "layer entry %s: link target %s", path, to);
  if (remove_at (dir, name) || linkat (fd, "", dir, name, AT_EMPTY_PATH))
    return err_errno (err, errno, "layer entry %s: link to %s", path, to);
  return 0;
}

static int
make_entry (struct reader *r, struct archive_entry *e, int dir, const char *name, const char *path, struct err *err)
{
  mode_t type = archive_entry_filetype (e), mode = archive_entry_mode (e) & 07777;
  uid_t uid = (uid_t) archive_entry_uid (e);
  gid_t gid = (gid_t) archive_entry_gid (e);
  int fd AUTO_CLOSE = -1, rc;
  struct stat st;
  switch (type) {
  case AE_IFDIR:
    if (!fstatat (dir, name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISDIR (st.st_mode) && remove_at (dir, name))
      return err_errno (err, errno, "%s", path);
    if (mkdirat (dir, name, 0755) && errno != EEXIST)
      return err_errno (err, errno, "%s", path);
    if ((fd = openat (dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
      return err_errno (err, errno, "%s", path);
    break;
  case AE_IFREG:
    if (remove_at (dir, name) || (fd = openat (dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
      return err_errno (err, errno, "%s", path);
    if ((rc = copy_data (r, fd, path, err)))
      return rc;
    if (archive_entry_size_is_set (e) && ftruncate (fd, archive_entry_size (e)))
      return err_errno (err, errno, "%s", path);
    break;
  case AE_IFLNK:
    if (remove_at (dir, name) || symlinkat (archive_entry_symlink (e) ? archive_entry_symlink (e) : "", dir, name) ||
        fchownat (dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) || set_times (e, dir, name))
      return err_errno (err, errno, "%s", path);
    return 0;
  case AE_IFIFO:
  case AE_IFCHR:
  case AE_IFBLK:
    if (remove_at (dir, name) || mknodat (dir, name, type | mode, archive_entry_rdev (e)) ||
        fchownat (dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) || fchmodat (dir, name, mode, 0))
      return err_errno (err, errno, "%s", path);
    return 0;
  default:
    return err_set (err, ERR_INVALID, "layer entry %s: unsupported file type %o", path, (unsigned) type);
  }
  if (fchown (fd, uid, gid) || fchmod (fd, mode))
    return err_errno (err, errno, "%s: owner and mode", path);
  if ((rc = set_xattrs (e, fd, path, err)))
    return rc;
  return set_times (e, dir, name) ? err_errno (err, errno, "%s: times", path) : 0;
}

static int
unpack_entry (struct reader *r, struct archive_entry *e, struct err *err)
{
  const char *raw = archive_entry_pathname (e);
  char *path AUTO_FREE = mem_strdup (raw ? raw : "");
  char *slash;
  const char *name, *parent = "";
  int dir AUTO_CLOSE = -1;
  if (!path)
    return err_set (err, ERR_NOMEM, "layer entry");
  if (!raw || !clean_path (path))
    return err_set (err, ERR_INVALID, "layer entry %s leaves the layer", raw ? raw : "without a name");
  if (!*path)
    return fchmod (r->root_fd, archive_entry_mode (e) & 07777) ? err_errno (err, errno, "layer root") : 0;
  slash = strrchr (path, '/');
  name = slash ? slash + 1 : path;
  if (slash) {
    *slash = 0;
    parent = path;
  }
  if ((dir = open_parent (r->root_fd, parent, err)) < 0)
    return dir;
  if (!strncmp (name, ".wh.", 4))
    return make_whiteout (r->root_fd, dir, parent, name, err);
  if (archive_entry_hardlink (e))
    return make_hardlink (r->root_fd, dir, name, raw, archive_entry_hardlink (e), err);
  return make_entry (r, e, dir, name, raw, err);
}

static int
unpack_all (struct reader *r, const char *file, struct err *err)
{
  struct archive_entry *e;
  uint64_t count = 0;
  int rc;
  archive_read_support_filter_all (r->outer);
  archive_read_support_format_raw (r->outer);
  archive_read_support_format_empty (r->outer);
  if (archive_read_open_filename (r->outer, file, 256 << 10) != ARCHIVE_OK || archive_read_next_header (r->outer, &e) != ARCHIVE_OK)
    return err_set (err, ERR_CORRUPT, "layer: %s", archive_error_string (r->outer) ? archive_error_string (r->outer) : "empty");
  archive_read_support_format_tar (r->inner);
  archive_read_support_format_empty (r->inner);
  if (archive_read_open (r->inner, r, NULL, inner_read, NULL) != ARCHIVE_OK)
    return err_set (err, ERR_CORRUPT, "layer: %s", archive_error_string (r->inner));
  while ((rc = archive_read_next_header (r->inner, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
    int made;
    if (++count > IMAGE_ENTRIES_MAX)
      return err_set (err, ERR_LIMIT, "layer: more than %d entries", IMAGE_ENTRIES_MAX);
    if ((made = unpack_entry (r, e, err)))
      return made;
  }
  if (rc != ARCHIVE_EOF)
    return err_set (err, ERR_CORRUPT, "layer: %s", archive_error_string (r->inner));
  return 0;
}

int
image_layer_unpack (const char *file, const char *diff_id, const char *dir, struct err *err)
{
  struct reader *r = mem_zalloc (sizeof *r);
  char digest[IMAGE_DIGEST_SIZE];
  la_ssize_t n = 0;
  int rc;
  if (!r)
    return err_set (err, ERR_NOMEM, "layer");
  r->root_fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  r->outer = archive_read_new ();
  r->inner = archive_read_new ();
  r->hash = EVP_MD_CTX_new ();
  if (r->root_fd < 0)
    rc = err_errno (err, errno, "%s", dir);
  else if (!r->outer || !r->inner || !r->hash || !EVP_DigestInit_ex (r->hash, EVP_sha256 (), NULL))
    rc = err_set (err, ERR_NOMEM, "layer");
  else if (!(rc = unpack_all (r, file, err))) {
    /* The tar reader stops at the end mark; padding after it is part of the digest. */
    while ((n = archive_read_data (r->outer, r->block, sizeof r->block)) > 0)
      EVP_DigestUpdate (r->hash, r->block, (size_t) n);
    hex_digest (r->hash, digest);
    if (n < 0)
      rc = err_set (err, ERR_CORRUPT, "layer: %s", archive_error_string (r->outer));
    else if (strcmp (digest, diff_id) != 0)
      rc = err_set (err, ERR_CORRUPT, "layer: content has digest %s, the image says %s", digest, diff_id);
  }
  archive_read_free (r->inner);
  archive_read_free (r->outer);
  EVP_MD_CTX_free (r->hash);
  if (r->root_fd >= 0)
    close (r->root_fd);
  free (r);
  return rc;
}
