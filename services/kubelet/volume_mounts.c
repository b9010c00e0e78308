/* Which mounts a container gets. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "services/kubelet/expand.h"
#include "services/kubelet/volumes.h"
#include "services/kubelet/volumes_internal.h"

#define MOUNTS_MAX 512

struct list {
  struct container_mount items[MOUNTS_MAX];
  size_t n;
};

static struct container_mount *
add (struct list *l, const char *source, const char *target)
{
  if (l->n == MOUNTS_MAX)
    return NULL;
  l->items[l->n] = (struct container_mount) {.source = source, .target = target};
  return &l->items[l->n++];
}

static const char *
lookup (void *arg, const char *name, size_t n)
{
  for (value_items ((const struct value *) arg, it)) {
    const char *key = value_path_string (*it, "name", "");
    if (strlen (key) == n && !memcmp (key, name, n))
      return value_path_string (*it, "value", "");
  }
  return NULL;
}

/* Opens sub below the volume's root as a container would see it: links are followed inside the volume only, so that a link
   planted by one container cannot lead another's mount to the node's files. Missing folders are made. */
static int
open_subpath (const char *volume, const char *sub, int *ret, struct err *err)
{
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  int root AUTO_CLOSE = open (volume, O_PATH | O_DIRECTORY | O_CLOEXEC), at AUTO_CLOSE = -1, fd;
  char *copy AUTO_FREE = mem_strdup (sub), *save = NULL, *done AUTO_FREE = mem_zalloc (strlen (sub) + 2);
  if (root < 0)
    return err_errno (err, errno, "%s", volume);
  if (!copy || !done)
    return err_set (err, ERR_NOMEM, "subPath");
  if ((fd = (int) syscall (SYS_openat2, root, sub, &how, sizeof how)) >= 0) {
    *ret = fd;
    return 0;
  }
  if (errno != ENOENT)
    return err_errno (err, errno, "subPath %s", sub);
  for (char *part = strtok_r (copy, "/", &save); part; part = strtok_r (NULL, "/", &save)) {
    size_t len = strlen (done);
    int up = (int) syscall (SYS_openat2, root, len ? done : ".", &how, sizeof how), made;
    if (up < 0)
      return err_errno (err, errno, "subPath %s", sub);
    made = mkdirat (up, part, 0750) && errno != EEXIST ? errno : 0;
    close (up);
    if (made)
      return err_errno (err, made, "subPath %s", sub);
    snprintf (done + len, strlen (sub) + 2 - len, "%s%s", len ? "/" : "", part);
  }
  if ((fd = (int) syscall (SYS_openat2, root, sub, &how, sizeof how)) < 0)
    return err_errno (err, errno, "subPath %s", sub);
  *ret = fd;
  return 0;
}

static int
bind_subpath (const struct volumes_ctx *x, const char *volume, const char *sub, const char *container, size_t index, struct arena *a,
              const char **ret, struct err *err)
{
  const char *target = arena_printf (a, "%s/volume-subpaths/%s/%zu", x->dir, container, index), *dir = arena_printf (a, "%s/volume-subpaths/%s", x->dir, container);
  int fd AUTO_CLOSE = -1, rc;
  char from[64];
  struct stat st;
  if (!target || !dir)
    return err_set (err, ERR_NOMEM, "subPath");
  if (*sub == '/' || !strcmp (sub, "..") || !strncmp (sub, "../", 3) || strstr (sub, "/../"))
    return err_set (err, ERR_INVALID, "subPath %s must not leave the volume", sub);
  if ((rc = open_subpath (volume, sub, &fd, err)) || (rc = file_mkdirs (dir, 0750, err)))
    return rc;
  while (!umount2 (target, MNT_DETACH | UMOUNT_NOFOLLOW))
    ; /* of an earlier attempt */
  if (fstat (fd, &st))
    return err_errno (err, errno, "subPath %s", sub);
  if (S_ISDIR (st.st_mode)) {
    (void) unlink (target);
    if (mkdir (target, 0750) && errno != EEXIST)
      return err_errno (err, errno, "%s", target);
  } else {
    int file;
    (void) rmdir (target);
    if ((file = open (target, O_WRONLY | O_CREAT | O_CLOEXEC, 0640)) < 0)
      return err_errno (err, errno, "%s", target);
    close (file);
  }
  snprintf (from, sizeof from, "/proc/self/fd/%d", fd);
  if (mount (from, target, NULL, MS_BIND | MS_REC, NULL))
    return err_errno (err, errno, "bind subPath %s", sub);
  *ret = target;
  return 0;
}

static int
add_volume_mount (const struct volumes_ctx *x, struct list *l, const struct value *container, const struct value *m, const struct value *env,
                  size_t index, struct arena *a, struct err *err)
{
  const char *name = value_path_string (m, "name", ""), *sub = value_path_string (m, "subPath", ""), *expr = value_path_string (m, "subPathExpr", "");
  const char *propagation = value_path_string (m, "mountPropagation", "None"), *source = NULL;
  struct container_mount *cm;
  bool payload = false;
  int rc;
  for (value_items (value_path (x->pod, "spec.volumes"), it))
    if (!strcmp (value_path_string (*it, "name", ""), name)) {
      source = volume_path (x, *it, a);
      payload = value_get (*it, "configMap") || value_get (*it, "secret") || value_get (*it, "projected") || value_get (*it, "downwardAPI");
    }
  if (!source)
    return err_set (err, ERR_NOT_FOUND, "volume %s of the pod is not there", name);
  if (*expr) {
    sub = expand (a, expr, lookup, (void *) (uintptr_t) env);
    if (!sub || strstr (sub, "$("))
      return err_set (err, ERR_INVALID, "failed to expand subPathExpr %s", expr);
  }
  if (*sub && (rc = bind_subpath (x, source, sub, value_path_string (container, "name", ""), index, a, &source, err)))
    return err_wrap (err, "failed to prepare subPath for volumeMount \"%s\" of container \"%s\"", name, value_path_string (container, "name", ""));
  if (!(cm = add (l, source, value_path_string (m, "mountPath", ""))))
    return err_set (err, ERR_LIMIT, "more than %d mounts", MOUNTS_MAX);
  cm->read_only = value_path_bool (m, "readOnly", false) || payload;
  cm->propagation = !strcmp (propagation, "HostToContainer") ? "rslave" : !strcmp (propagation, "Bidirectional") ? "rshared" : NULL;
  return 0;
}

static bool
mounted (const struct list *l, const char *target)
{
  for (size_t i = 0; i < l->n; i++)
    if (!strcmp (l->items[i].target, target))
      return true;
  return false;
}

const char *
volumes_termination_path (const char *dir, const char *container, unsigned attempt, struct arena *a)
{
  return arena_printf (a, "%s/containers/%s/%u", dir, container, attempt);
}

static int
add_termination_log (const struct volumes_ctx *x, struct list *l, const struct value *container, unsigned attempt, struct arena *a, struct err *err)
{
  const char *name = value_path_string (container, "name", ""), *path = volumes_termination_path (x->dir, name, attempt, a);
  const char *target = value_path_string (container, "terminationMessagePath", "/dev/termination-log");
  const char *dir = arena_printf (a, "%s/containers/%s", x->dir, name);
  int fd, rc;
  if (!path || !dir)
    return err_set (err, ERR_NOMEM, "termination message");
  if (!*target || mounted (l, target))
    return 0;
  if ((rc = file_mkdirs (dir, 0755, err)))
    return rc;
  if ((fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0)
    return err_errno (err, errno, "%s", path);
  (void) fchmod (fd, 0666); /* whoever the container runs as writes it */
  close (fd);
  return add (l, path, target) ? 0 : err_set (err, ERR_LIMIT, "more than %d mounts", MOUNTS_MAX);
}

int
volumes_mounts (const struct volumes_ctx *x, const struct value *container, unsigned attempt, const struct value *env, struct arena *a,
                struct container_mount **ret, size_t *ret_count, struct err *err)
{
  static const char *const files[][2] = {{"etc-hosts", "/etc/hosts"}, {"resolv.conf", "/etc/resolv.conf"}, {"hostname", "/etc/hostname"}};
  struct list *l = arena_zalloc (a, sizeof *l);
  size_t index = 0;
  int rc;
  if (!l)
    return err_set (err, ERR_NOMEM, "mounts");
  for (value_items (value_get (container, "volumeMounts"), it))
    if ((rc = add_volume_mount (x, l, container, *it, env, index++, a, err)))
      return rc;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    const char *path = arena_printf (a, "%s/%s", x->dir, files[i][0]);
    if (path && !mounted (l, files[i][1]) && file_exists (path) && !add (l, path, files[i][1]))
      return err_set (err, ERR_LIMIT, "more than %d mounts", MOUNTS_MAX);
  }
  if ((rc = add_termination_log (x, l, container, attempt, a, err)))
    return rc;
  /* A parent is mounted before what lies below it. */
  for (size_t i = 1; i < l->n; i++)
    for (size_t k = i; k > 0 && strlen (l->items[k].target) < strlen (l->items[k - 1].target); k--) {
      struct container_mount t = l->items[k];
      l->items[k] = l->items[k - 1];
      l->items[k - 1] = t;
    }
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "mounts");
  *ret = l->items;
  *ret_count = l->n;
  return 0;
}

/* ---- /etc/hosts, /etc/resolv.conf, /etc/hostname ---- */
static void
write_hosts (const struct volumes_ctx *x, const char *hostname, struct buf *b)
{
  const char *subdomain = value_path_string (x->pod, "spec.subdomain", "");
  if (value_path_bool (x->pod, "spec.hostNetwork", false)) {
    buf_append_str (b, "# Kubernetes-managed hosts file (host network).\n");
    (void) file_read ("/etc/hosts", 1 << 20, b, NULL);
  } else {
    buf_append_str (b, "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
                       "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
    for (size_t i = 0; i < x->ips->n; i++) {
      if (*subdomain)
        buf_printf (b, "%s\t%s.%s.%s.svc.%s\t%s\n", x->ips->ips[i], hostname, subdomain, value_path_string (x->pod, "metadata.namespace", ""),
                    x->node->cluster_domain, hostname);
      else
        buf_printf (b, "%s\t%s\n", x->ips->ips[i], hostname);
    }
  }
  if (value_count (value_path (x->pod, "spec.hostAliases")))
    buf_append_str (b, "\n# Entries added by HostAliases.\n");
  for (value_items (value_path (x->pod, "spec.hostAliases"), it)) {
    buf_append_str (b, value_path_string (*it, "ip", ""));
    for (value_items (value_get (*it, "hostnames"), n))
      buf_printf (b, "\t%s", value_as_string (*n, ""));
    buf_append_byte (b, '\n');
  }
}

/* The node's nameserver, search and options lines, into lists. */
static void
node_resolv (struct arena *a, struct value *servers, struct value *search, struct value *options)
{
  struct buf b AUTO_BUF = BUF_INIT;
  char *save = NULL;
  if (file_read ("/etc/resolv.conf", 1 << 16, &b, NULL))
    return;
  for (char *line = strtok_r ((char *) b.data, "\n", &save); line; line = strtok_r (NULL, "\n", &save)) {
    char *words = NULL, *word = strtok_r (line, " \t", &words);
    struct value *to = !word                        ? NULL
                       : !strcmp (word, "nameserver") ? servers
                       : !strcmp (word, "search")     ? search
                       : !strcmp (word, "options")    ? options
                                                      : NULL;
    while (to && (word = strtok_r (NULL, " \t", &words)))
      value_append (a, to, value_string (a, word));
  }
}

static void
add_unique (struct arena *a, struct value *list, const char *text)
{
  for (value_items (list, it))
    if (value_string_is (*it, text))
      return;
  value_append (a, list, value_string (a, text));
}

static void
write_resolv (const struct volumes_ctx *x, struct buf *b)
{
  struct arena a AUTO_ARENA = {0};
  struct value *servers, *search, *options;
  const struct value *config = value_path (x->pod, "spec.dnsConfig");
  const char *policy = value_path_string (x->pod, "spec.dnsPolicy", "ClusterFirst");
  bool host = value_path_bool (x->pod, "spec.hostNetwork", false);
  bool cluster = x->node->n_cluster_dns && ((!strcmp (policy, "ClusterFirst") && !host) || !strcmp (policy, "ClusterFirstWithHostNet"));
  arena_init (&a, 0);
  servers = value_array (&a);
  search = value_array (&a);
  options = value_array (&a);
  if (cluster) {
    struct value *ignored = value_array (&a);
    for (size_t i = 0; i < x->node->n_cluster_dns; i++)
      value_append (&a, servers, value_string (&a, x->node->cluster_dns[i]));
    value_append (&a, search, value_printf (&a, "%s.svc.%s", value_path_string (x->pod, "metadata.namespace", ""), x->node->cluster_domain));
    value_append (&a, search, value_printf (&a, "svc.%s", x->node->cluster_domain));
    value_append (&a, search, value_string (&a, x->node->cluster_domain));
    node_resolv (&a, ignored, search, ignored);
    value_append (&a, options, value_string (&a, "ndots:5"));
  } else if (strcmp (policy, "None") != 0) {
    node_resolv (&a, servers, search, options);
  }
  for (value_items (value_get (config, "nameservers"), it))
    add_unique (&a, servers, value_as_string (*it, ""));
  for (value_items (value_get (config, "searches"), it))
    add_unique (&a, search, value_as_string (*it, ""));
  for (value_items (value_get (config, "options"), it)) {
    const char *name = value_path_string (*it, "name", ""), *value = value_path_string (*it, "value", NULL);
    size_t n = strlen (name);
    for (size_t i = value_count (options); i-- > 0;) { /* the pod's replaces the policy's */
      const char *old = value_as_string (value_at (options, i), "");
      if (!strncmp (old, name, n) && (old[n] == ':' || !old[n]))
        value_remove_at (options, i);
    }
    value_append (&a, options, value ? value_printf (&a, "%s:%s", name, value) : value_string (&a, name));
  }
  if (value_count (search)) {
    buf_append_str (b, "search");
    for (value_items (search, it))
      buf_printf (b, " %s", value_as_string (*it, ""));
    buf_append_byte (b, '\n');
  }
  for (value_items (servers, it))
    buf_printf (b, "nameserver %s\n", value_as_string (*it, ""));
  if (value_count (options)) {
    buf_append_str (b, "options");
    for (value_items (options, it))
      buf_printf (b, " %s", value_as_string (*it, ""));
    buf_append_byte (b, '\n');
  }
  b->failed |= a.failed;
}

/* Written in place when it is there: containers have the very file mounted. */
static int
write_plain (const char *dir, const char *name, const struct buf *b, struct err *err)
{
  char path[4096];
  int fd AUTO_CLOSE = -1;
  if (b->failed)
    return err_set (err, ERR_NOMEM, "%s", name);
  if ((size_t) snprintf (path, sizeof path, "%s/%s", dir, name) >= sizeof path)
    return err_set (err, ERR_LIMIT, "%s: path too long", dir);
  if ((fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0 || write (fd, b->data, b->len) != (ssize_t) b->len)
    return err_errno (err, errno, "%s", path);
  return 0;
}

int
volumes_write_files (const struct volumes_ctx *x, const char *hostname, struct err *err)
{
  struct buf hosts AUTO_BUF = BUF_INIT, resolv AUTO_BUF = BUF_INIT, name AUTO_BUF = BUF_INIT;
  int rc;
  write_hosts (x, hostname, &hosts);
  write_resolv (x, &resolv);
  buf_printf (&name, "%s\n", hostname);
  if ((rc = write_plain (x->dir, "etc-hosts", &hosts, err)) || (rc = write_plain (x->dir, "resolv.conf", &resolv, err)))
    return rc;
  return write_plain (x->dir, "hostname", &name, err);
}
