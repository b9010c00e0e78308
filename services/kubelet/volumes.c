/* Setting volumes up and down. Mount lists are in volume_mounts.c. */
#include "services/kubelet/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "services/kubelet/quantity.h"
#include "services/kubelet/refs.h"
#include "services/kubelet/volumes_internal.h"

#define FILES_MAX 4096

struct payload {
  struct arena *a;
  struct payload_file files[FILES_MAX];
  size_t n;
};

static int
add_file (struct payload *p, const char *path, const void *data, size_t len, int64_t mode, struct err *err)
{
  for (size_t i = 0; i < p->n; i++)
    if (!strcmp (p->files[i].path, path)) { /* projected: the later source wins */
      p->files[i].data = data;
      p->files[i].len = len;
      return 0;
    }
  if (p->n == FILES_MAX)
    return err_set (err, ERR_LIMIT, "more than %d files", FILES_MAX);
  p->files[p->n++] = (struct payload_file) {.path = path, .data = data, .len = len, .mode = (mode_t) mode & 07777, .uid = -1, .gid = -1};
  return 0;
}

/* One key of a ConfigMap (data, binaryData) or Secret (data). */
static int
add_key (struct payload *p, const struct value *object, bool secret, const char *key, const char *path, int64_t mode, bool *ret_found, struct err *err)
{
  const struct value *v = value_get (value_get (object, "data"), key), *binary = secret ? v : value_get (value_get (object, "binaryData"), key);
  size_t n;
  const char *bytes;
  *ret_found = true;
  if (!secret && value_is (v, VALUE_STRING))
    return add_file (p, path, v->s, v->len, mode, err);
  if (value_is (binary, VALUE_STRING)) {
    if (!(bytes = refs_base64 (p->a, binary->s, binary->len, &n)))
      return err_set (err, ERR_INVALID, "key %s is not base64", key);
    return add_file (p, path, bytes, n, mode, err);
  }
  *ret_found = false;
  return 0;
}

/* source: {items, optional}; object NULL or null: absent. */
static int
add_object (struct payload *p, const struct volumes_ctx *x, const struct value *source, bool secret, const char *name, int64_t mode, struct err *err)
{
  const struct value *object = value_get (x->refs, arena_printf (p->a, "%s/%s", secret ? "secrets" : "configmaps", name));
  const struct value *items = value_get (source, "items");
  bool optional = value_path_bool (source, "optional", false), found;
  int rc;
  if (value_is_null (object))
    return optional ? 0 : err_set (err, ERR_NOT_FOUND, "%s \"%s\" not found", secret ? "secret" : "configmap", name);
  if (value_count (items)) {
    for (value_items (items, it)) {
      const char *key = value_path_string (*it, "key", "");
      if ((rc = add_key (p, object, secret, key, value_path_string (*it, "path", ""), value_path_int (*it, "mode", mode), &found, err)))
        return rc;
      if (!found && !optional)
        return err_set (err, ERR_NOT_FOUND, "references non-existent %s key: %s", secret ? "secret" : "config", key);
    }
    return 0;
  }
  for (int binary = 0; binary < (secret ? 1 : 2); binary++)
    for (value_each (value_get (object, binary ? "binaryData" : "data"), m))
      if ((rc = add_key (p, object, secret, m->key, m->key, mode, &found, err)))
        return rc;
  return 0;
}

static int
add_downward (struct payload *p, const struct volumes_ctx *x, const struct value *source, int64_t mode, struct err *err)
{
  for (value_items (value_get (source, "items"), it)) {
    const struct value *field = value_get (*it, "fieldRef"), *resource = value_get (*it, "resourceFieldRef");
    const char *text = "";
    int rc = field ? downward_field (x->pod, value_path_string (field, "fieldPath", ""), x->node, x->ips, p->a, &text, err)
                   : downward_resource (x->pod, NULL, resource, x->node, p->a, &text, err);
    if (rc || (rc = add_file (p, value_path_string (*it, "path", ""), text, strlen (text), value_path_int (*it, "mode", mode), err)))
      return rc;
  }
  return 0;
}

/* Upstream: a token is 0600 of the one user that all containers run as, 0640 with fsGroup, else 0644. */
static int
add_token (struct payload *p, const struct volumes_ctx *x, const char *volume, size_t index, const struct value *source, struct err *err)
{
  const char *key = arena_printf (p->a, "tokens/%s/%zu", volume, index);
  const char *token = value_path_string (value_get (x->refs, key ? key : ""), "token", NULL);
  int64_t user = value_path_int (x->pod, "spec.securityContext.runAsUser", -1);
  bool group = !value_is_null (value_path (x->pod, "spec.securityContext.fsGroup"));
  int rc;
  for (value_items (value_path (x->pod, "spec.containers"), it)) {
    int64_t own = value_path_int (*it, "securityContext.runAsUser", -1);
    if (own >= 0 && own != user)
      user = value_count (value_path (x->pod, "spec.containers")) == 1 ? own : -1;
  }
  if (!token)
    return err_set (err, ERR_UNAVAILABLE, "failed to fetch token: no answer from the API server yet");
  if ((rc = add_file (p, value_path_string (source, "path", "token"), token, strlen (token), group ? 0640 : user >= 0 ? 0600 : 0644, err)))
    return rc;
  p->files[p->n - 1].uid = user;
  return 0;
}

static int
add_projected (struct payload *p, const struct volumes_ctx *x, const struct value *volume, int64_t mode, struct err *err)
{
  size_t index = 0;
  for (value_items (value_path (volume, "projected.sources"), it)) {
    const struct value *config = value_get (*it, "configMap"), *secret = value_get (*it, "secret"), *token = value_get (*it, "serviceAccountToken");
    const struct value *down = value_get (*it, "downwardAPI");
    int rc = 0;
    if (config)
      rc = add_object (p, x, config, false, value_path_string (config, "name", ""), mode, err);
    else if (secret)
      rc = add_object (p, x, secret, true, value_path_string (secret, "name", ""), mode, err);
    else if (token)
      rc = add_token (p, x, value_path_string (volume, "name", ""), index, token, err);
    else if (down)
      rc = add_downward (p, x, down, mode, err);
    else
      rc = err_set (err, ERR_UNSUPPORTED, "a projected source of this kind is not supported");
    if (rc)
      return rc;
    index++;
  }
  return 0;
}

static const char *
kind_of (const struct value *volume)
{
  static const char *const kinds[][2] = {{"emptyDir", "kubernetes.io~empty-dir"}, {"configMap", "kubernetes.io~configmap"},
                                         {"secret", "kubernetes.io~secret"},      {"projected", "kubernetes.io~projected"},
                                         {"downwardAPI", "kubernetes.io~downward-api"}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (value_get (volume, kinds[i][0]))
      return kinds[i][1];
  return NULL;
}

const char *
volume_path (const struct volumes_ctx *x, const struct value *volume, struct arena *a)
{
  const char *kind = kind_of (volume);
  if (value_get (volume, "hostPath"))
    return value_path_string (volume, "hostPath.path", "");
  return kind ? arena_printf (a, "%s/volumes/%s/%s", x->dir, kind, value_path_string (volume, "name", "")) : NULL;
}

static int
set_up_payload (const struct volumes_ctx *x, const struct value *volume, const char *path, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct payload *p;
  const struct value *config = value_get (volume, "configMap"), *secret = value_get (volume, "secret"), *down = value_get (volume, "downwardAPI");
  const struct value *group = value_path (x->pod, "spec.securityContext.fsGroup");
  int rc;
  arena_init (&a, 64u << 20);
  if (!(p = arena_zalloc (&a, sizeof *p)))
    return err_set (err, ERR_NOMEM, "volume");
  p->a = &a;
  if (config)
    rc = add_object (p, x, config, false, value_path_string (config, "name", ""), value_path_int (config, "defaultMode", 0644), err);
  else if (secret)
    rc = add_object (p, x, secret, true, value_path_string (secret, "secretName", ""), value_path_int (secret, "defaultMode", 0644), err);
  else if (down)
    rc = add_downward (p, x, down, value_path_int (down, "defaultMode", 0644), err);
  else
    rc = add_projected (p, x, volume, value_path_int (volume, "projected.defaultMode", 0644), err);
  if (rc)
    return rc;
  for (size_t i = 0; i < p->n && !value_is_null (group); i++) {
    p->files[i].gid = value_as_int (group, 0);
    p->files[i].mode |= 0440;
  }
  if (!arena_ok (&a))
    return err_set (err, ERR_NOMEM, "volume");
  if ((rc = file_mkdirs (path, 0755, err)))
    return rc;
  return atomic_write (path, p->files, p->n, err);
}

static bool
is_mount_point (const char *path)
{
  struct stat st, up;
  char parent[4096];
  if ((size_t) snprintf (parent, sizeof parent, "%s/..", path) >= sizeof parent)
    return false;
  return !stat (path, &st) && !stat (parent, &up) && st.st_dev != up.st_dev;
}

static int
set_up_empty_dir (const struct volumes_ctx *x, const struct value *volume, const char *path, struct err *err)
{
  const struct value *group = value_path (x->pod, "spec.securityContext.fsGroup");
  bool memory = !strcmp (value_path_string (volume, "emptyDir.medium", ""), "Memory"), fresh = !file_exists (path);
  int64_t size = quantity_value (value_path (volume, "emptyDir.sizeLimit"));
  char options[64];
  int rc;
  if ((rc = file_mkdirs (path, 0755, err)))
    return rc;
  if (memory && !is_mount_point (path)) {
    snprintf (options, sizeof options, size > 0 ? "mode=0777,size=%lld" : "mode=0777", (long long) size);
    if (mount ("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options))
      return err_errno (err, errno, "mount tmpfs");
    fresh = true;
  }
  if (!fresh)
    return 0;
  if (!value_is_null (group) && chown (path, (uid_t) -1, (gid_t) value_as_int (group, 0)))
    return err_errno (err, errno, "%s", path);
  return chmod (path, value_is_null (group) ? 0777 : 02777) ? err_errno (err, errno, "%s", path) : 0;
}

static int
set_up_host_path (const struct value *volume, struct err *err)
{
  const char *path = value_path_string (volume, "hostPath.path", ""), *type = value_path_string (volume, "hostPath.type", "");
  static const struct {
    const char *name;
    mode_t type;
  } types[] = {{"Directory", S_IFDIR}, {"DirectoryOrCreate", S_IFDIR}, {"File", S_IFREG}, {"FileOrCreate", S_IFREG},
               {"Socket", S_IFSOCK}, {"CharDevice", S_IFCHR}, {"BlockDevice", S_IFBLK}};
  struct stat st;
  int rc;
  if (*path != '/' || strstr (path, "/../"))
    return err_set (err, ERR_INVALID, "hostPath %s is not absolute", path);
  if (!strcmp (type, "DirectoryOrCreate") || (!*type && !file_exists (path))) {
    if ((rc = file_mkdirs (path, 0755, err)))
      return rc;
  } else if (!strcmp (type, "FileOrCreate") && !file_exists (path)) {
    int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
      return err_errno (err, errno, "%s", path);
    close (fd);
  }
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp (type, types[i].name) && (stat (path, &st) || (st.st_mode & S_IFMT) != types[i].type))
      return err_set (err, ERR_INVALID, "hostPath type check failed: %s is not a %s", path, i < 2 ? "directory" : i < 4 ? "file" : types[i].name);
  return 0;
}

int
volumes_set_up (const struct volumes_ctx *x, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  arena_init (&a, 0);
  for (value_items (value_path (x->pod, "spec.volumes"), it)) {
    const char *path = volume_path (x, *it, &a);
    int rc;
    if (value_get (*it, "hostPath"))
      rc = set_up_host_path (*it, err);
    else if (!path)
      rc = a.failed ? err_set (err, ERR_NOMEM, "out of memory") : err_set (err, ERR_UNSUPPORTED, "volumes of this kind are not supported on this node");
    else if (value_get (*it, "emptyDir"))
      rc = set_up_empty_dir (x, *it, path, err);
    else
      rc = set_up_payload (x, *it, path, err);
    if (rc)
      return err_wrap (err, "MountVolume.SetUp failed for volume \"%s\" ", value_path_string (*it, "name", ""));
  }
  return 0;
}

/* Unmounts what lies below dir, the last mounted first. */
static int
unmount_below (const char *dir, struct err *err)
{
  struct buf b AUTO_BUF = BUF_INIT;
  size_t n = strlen (dir);
  int rc;
  for (int round = 0; round < 1000; round++) {
    char *last = NULL;
    buf_reset (&b);
    if ((rc = file_read ("/proc/self/mountinfo", 64u << 20, &b, err)))
      return rc;
    for (char *line = (char *) b.data, *next; line && *line; line = next) {
      char *p = line;
      next = strchr (line, '\n');
      if (next)
        *next++ = 0;
      for (int f = 0; f < 4 && p; f++)
        p = (p = strchr (p, ' ')) ? p + 1 : NULL;
      if (p && !strncmp (p, dir, n) && p[n] == '/')
        last = p;
    }
    if (!last)
      return 0;
    last[strcspn (last, " ")] = 0;
    if (umount2 (last, MNT_DETACH | UMOUNT_NOFOLLOW))
      return err_errno (err, errno, "unmount %s", last);
  }
  return err_set (err, ERR_BUSY, "%s: mounts do not end", dir);
}

int
volumes_tear_down (const char *dir, struct err *err)
{
  int rc = unmount_below (dir, err);
  return rc ? rc : file_remove_tree (dir, err);
}
