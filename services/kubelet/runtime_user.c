/* Who a container runs as: runAsUser and runAsGroup, else the image's User, looked up in the container's own /etc/passwd and
   /etc/group (opened inside its root: an image's symbolic link must not lead to the node's). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/mem.h"
#include "services/kubelet/runtime_user.h"

#define ACCOUNT_FILE_MAX (1u << 20)

static int
read_in_root (const char *rootfs, const char *path, struct buf *out)
{
  struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  int root AUTO_CLOSE = open (rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC), fd AUTO_CLOSE = -1;
  char self[64];
  if (root < 0 || (fd = (int) syscall (SYS_openat2, root, path, &how, sizeof how)) < 0)
    return ERR_NOT_FOUND;
  snprintf (self, sizeof self, "/proc/self/fd/%d", fd);
  return file_read (self, ACCOUNT_FILE_MAX, out, NULL);
}

static bool
number (const char *s, size_t n, int64_t *ret)
{
  int64_t v = 0;
  if (!n || n > 10)
    return false;
  for (size_t i = 0; i < n; i++) {
    if (s[i] < '0' || s[i] > '9')
      return false;
    v = v * 10 + (s[i] - '0');
  }
  *ret = v;
  return v <= UINT32_MAX;
}

/* The i-th colon separated field of a line. */
static const char *
field (const char *line, size_t n, int i, size_t *ret_n)
{
  const char *end = line + n;
  for (; i > 0; i--) {
    if (!(line = memchr (line, ':', (size_t) (end - line))))
      return NULL;
    line++;
  }
  const char *colon = memchr (line, ':', (size_t) (end - line));
  *ret_n = (size_t) ((colon ? colon : end) - line);
  return line;
}

/* Finds the line whose field 0 is name, or whose field 2 is number id (name NULL). */
static const char *
find_line (const struct buf *b, const char *name, size_t name_len, int64_t id, size_t *ret_n)
{
  const char *p = buf_cstr (b);
  while (*p) {
    size_t n = strcspn (p, "\n"), f_len = 0;
    const char *f = field (p, n, name ? 0 : 2, &f_len);
    int64_t v;
    if (f && (name ? f_len == name_len && !memcmp (f, name, f_len) : number (f, f_len, &v) && v == id)) {
      *ret_n = n;
      return p;
    }
    p += n + (p[n] == '\n');
  }
  return NULL;
}

static bool
listed (const char *members, size_t n, const char *name, size_t name_len)
{
  while (n) {
    const char *comma = memchr (members, ',', n);
    size_t len = comma ? (size_t) (comma - members) : n;
    if (len == name_len && !memcmp (members, name, len))
      return true;
    if (!comma)
      break;
    n -= len + 1;
    members = comma + 1;
  }
  return false;
}

static void
add_group (struct user_identity *u, int64_t gid)
{
  for (size_t i = 0; i < u->n_groups; i++)
    if (u->groups[i] == gid)
      return;
  if (u->n_groups < USER_GROUPS_MAX)
    u->groups[u->n_groups++] = gid;
}

static void
member_groups (struct user_identity *u, const struct buf *group, const char *name, size_t name_len)
{
  for (const char *p = buf_cstr (group); *p;) {
    size_t n = strcspn (p, "\n"), members_len = 0, gid_len = 0;
    const char *members = field (p, n, 3, &members_len), *gid = field (p, n, 2, &gid_len);
    int64_t v;
    if (members && gid && number (gid, gid_len, &v) && listed (members, members_len, name, name_len))
      add_group (u, v);
    p += n + (p[n] == '\n');
  }
}

int
user_lookup (const char *rootfs, const char *image_user, int64_t run_as_user, int64_t run_as_group, struct user_identity *ret, struct err *err)
{
  struct buf passwd AUTO_BUF = BUF_INIT, group AUTO_BUF = BUF_INIT;
  struct user_identity u = {0};
  const char *colon = strchr (image_user, ':'), *user = image_user, *line, *f;
  size_t user_len = colon ? (size_t) (colon - image_user) : strlen (image_user), n = 0, f_len = 0;
  int64_t v;
  (void) read_in_root (rootfs, "etc/passwd", &passwd);
  (void) read_in_root (rootfs, "etc/group", &group);
  if (run_as_user >= 0) {
    u.uid = run_as_user;
    line = find_line (&passwd, NULL, 0, u.uid, &n);
  } else if (!user_len || number (user, user_len, &v)) {
    u.uid = user_len ? v : 0;
    line = find_line (&passwd, NULL, 0, u.uid, &n);
  } else {
    if (!(line = find_line (&passwd, user, user_len, 0, &n)))
      return err_set (err, ERR_INVALID, "unable to find user %.*s: no matching entries in passwd file", (int) user_len, user);
    f = field (line, n, 2, &f_len);
    if (!f || !number (f, f_len, &u.uid))
      return err_set (err, ERR_INVALID, "user %.*s: bad uid in passwd file", (int) user_len, user);
    u.by_name = true;
  }
  if (line && (f = field (line, n, 3, &f_len)))
    (void) number (f, f_len, &u.gid);
  if (line && (f = field (line, n, 0, &f_len)))
    member_groups (&u, &group, f, f_len);
  if (line && (f = field (line, n, 5, &f_len)) && f_len < sizeof u.home)
    snprintf (u.home, sizeof u.home, "%.*s", (int) f_len, f);
  if (run_as_user < 0 && colon) {
    if (!number (colon + 1, strlen (colon + 1), &u.gid)) {
      if (!(line = find_line (&group, colon + 1, strlen (colon + 1), 0, &n)) || !(f = field (line, n, 2, &f_len)) ||
          !number (f, f_len, &u.gid))
        return err_set (err, ERR_INVALID, "unable to find group %s: no matching entries in group file", colon + 1);
    }
  }
  if (run_as_group >= 0)
    u.gid = run_as_group;
  add_group (&u, u.gid);
  if (!u.home[0])
    memcpy (u.home, "/", 2);
  *ret = u;
  return 0;
}
