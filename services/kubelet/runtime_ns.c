/* A pod's namespaces without a process in them: a thread unshares, binds /proc/.../ns/X to files, and ends. The files keep the
   namespaces alive, over kubelet restarts too. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/file.h"
#include "services/kubelet/runtime_internal.h"

struct request {
  const char *dir, *hostname;
  bool host_network, host_ipc;
  const struct value *sysctls;
  struct err *err;
  int rc;
};

bool
ns_pinned (const char *path)
{
  struct statfs fs;
  return !statfs (path, &fs) && fs.f_type == NSFS_MAGIC;
}

static int
pin (const char *dir, const char *name, struct err *err)
{
  char path[4096], from[64];
  int fd;
  snprintf (path, sizeof path, "%s/%s", dir, name);
  snprintf (from, sizeof from, "/proc/self/task/%d/ns/%s", (int) syscall (SYS_gettid), name);
  if ((fd = open (path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444)) < 0)
    return err_errno (err, errno, "%s", path);
  close (fd);
  if (mount (from, path, NULL, MS_BIND, NULL))
    return err_errno (err, errno, "pin namespace %s", path);
  return 0;
}

static int
loopback_up (struct err *err)
{
  struct ifreq ifr = {0};
  int fd AUTO_CLOSE = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  memcpy (ifr.ifr_name, "lo", 3);
  if (fd < 0 || ioctl (fd, SIOCGIFFLAGS, &ifr))
    return err_errno (err, errno, "loopback");
  ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
  return ioctl (fd, SIOCSIFFLAGS, &ifr) ? err_errno (err, errno, "loopback") : 0;
}

static int
write_sysctl (const char *name, const char *text, struct err *err)
{
  char path[512];
  size_t n = (size_t) snprintf (path, sizeof path, "/proc/sys/%s", name);
  int fd AUTO_CLOSE = -1;
  if (n >= sizeof path || strstr (name, ".."))
    return err_set (err, ERR_INVALID, "sysctl %s", name);
  for (char *p = path + 10; *p; p++)
    if (*p == '.')
      *p = '/';
  if ((fd = open (path, O_WRONLY | O_CLOEXEC)) < 0 || write (fd, text, strlen (text)) < 0)
    return err_errno (err, errno, "sysctl %s", name);
  return 0;
}

static int
setup (struct request *q)
{
  int flags = CLONE_NEWUTS | CLONE_FS, rc;
  if (!q->host_network)
    flags |= CLONE_NEWNET;
  if (!q->host_ipc)
    flags |= CLONE_NEWIPC;
  if (unshare (flags))
    return err_errno (q->err, errno, "unshare namespaces");
  if (q->hostname && sethostname (q->hostname, strlen (q->hostname)))
    return err_errno (q->err, errno, "hostname %s", q->hostname);
  if (!q->host_network && (rc = loopback_up (q->err)))
    return rc;
  for (value_items (q->sysctls, it))
    if ((rc = write_sysctl (value_path_string (*it, "name", ""), value_path_string (*it, "value", ""), q->err)))
      return rc;
  if ((rc = pin (q->dir, "uts", q->err)) || (!q->host_network && (rc = pin (q->dir, "net", q->err))))
    return rc;
  return q->host_ipc ? 0 : pin (q->dir, "ipc", q->err);
}

static void *
thread_main (void *arg)
{
  struct request *q = arg;
  q->rc = setup (q);
  return NULL;
}

int
ns_create (const char *dir, const char *hostname, bool host_network, bool host_ipc, const struct value *sysctls, struct err *err)
{
  struct request q = {dir, hostname, host_network, host_ipc, sysctls, err, 0};
  pthread_t t;
  int rc;
  if ((rc = file_mkdirs (dir, 0711, err)))
    return rc;
  if ((rc = pthread_create (&t, NULL, thread_main, &q)))
    return err_errno (err, rc, "namespace thread");
  pthread_join (t, NULL);
  if (q.rc)
    (void) ns_remove (dir, NULL);
  return q.rc;
}

int
ns_remove (const char *dir, struct err *err)
{
  static const char *const names[] = {"net", "ipc", "uts", "shm"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[4096];
    snprintf (path, sizeof path, "%s/%s", dir, names[i]);
    while (!umount2 (path, MNT_DETACH | UMOUNT_NOFOLLOW))
      ;
  }
  return file_remove_tree (dir, err);
}
