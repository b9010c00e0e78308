/* The runtime on crun: opening it, and sandboxes. After a reboot (the kernel's boot id is not the noted one) every container
   that has no exit code is given 255, and pinned namespaces are forgotten. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "services/kubelet/quantity.h"
#include "services/kubelet/runtime_internal.h"

#define PODS_MAX 10000

static char *
ns_dir (const struct crun *c, const char *uid)
{
  return mem_printf ("%s/run/ns/%s", c->dir, uid);
}

/* Whether a pod's uid may stand in a path. */
static bool
uid_valid (const char *uid)
{
  size_t n = strlen (uid);
  return n && n <= 128 && strspn (uid, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == n;
}

static int
sandbox_get (struct runtime *r, const char *uid, bool host_network, struct sandbox_status *ret)
{
  struct crun *c = (struct crun *) r;
  char *uts AUTO_FREE = mem_printf ("%s/run/ns/%s/uts", c->dir, uid), *net AUTO_FREE = mem_printf ("%s/run/ns/%s/net", c->dir, uid);
  struct sandbox_status s = {0};
  if (!uts || !net)
    return ERR_NOMEM;
  s.ready = ns_pinned (uts) && (host_network || (ns_pinned (net) && !cni_cached (c, uid, &s)));
  *ret = s;
  return 0;
}

/* The sum of what the containers may use, upstream's pod level cgroup. */
static void
pod_limits (const struct value *pod, struct cgroup_limits *ret)
{
  int64_t shares_milli = 0, cpu_milli = 0, memory = 0;
  bool cpu_limited = true, memory_limited = true;
  for (value_items (value_path (pod, "spec.containers"), it)) {
    const struct value *requests = value_path (*it, "resources.requests"), *limits = value_path (*it, "resources.limits");
    int64_t m = quantity_value (value_get (limits, "memory")), q = quantity_milli (value_get (limits, "cpu"));
    shares_milli += value_get (requests, "cpu") ? quantity_milli (value_get (requests, "cpu")) : q;
    memory += m;
    cpu_milli += q;
    memory_limited &= m > 0;
    cpu_limited &= q > 0;
  }
  for (value_items (value_path (pod, "spec.initContainers"), it)) {
    int64_t m = quantity_value (value_path (*it, "resources.limits.memory")), q = quantity_milli (value_path (*it, "resources.limits.cpu"));
    memory_limited &= m > 0;
    cpu_limited &= q > 0;
    memory = m > memory ? m : memory;
    cpu_milli = q > cpu_milli ? q : cpu_milli;
  }
  *ret = (struct cgroup_limits) {0};
  ret->cpu_shares = shares_milli * 1024 / 1000;
  if (ret->cpu_shares < 2)
    ret->cpu_shares = 2;
  if (ret->cpu_shares > 262144)
    ret->cpu_shares = 262144;
  if (cpu_limited && cpu_milli) {
    ret->cpu_period_us = 100000;
    ret->cpu_quota_us = cpu_milli * 100 < 1000 ? 1000 : cpu_milli * 100;
  }
  if (memory_limited)
    ret->memory_bytes = memory;
}

/* Process 1 of a shared process namespace: reaps. Async-signal-safe calls only: it is forked from a program with threads. */
_Noreturn static void
pause_main (void)
{
  sigset_t all;
  int fd = open ("/dev/null", O_RDWR);
  (void) setsid ();
  (void) prctl (PR_SET_NAME, "pause");
  for (int i = 0; i < 3; i++)
    (void) dup2 (fd, i);
  (void) syscall (SYS_close_range, 3u, ~0u, 0u);
  (void) !chdir ("/");
  sigfillset (&all);
  sigprocmask (SIG_SETMASK, &all, NULL);
  for (;;) {
    int signo = sigwaitinfo (&all, NULL);
    if (signo == SIGCHLD)
      while (waitpid (-1, NULL, WNOHANG) > 0)
        ;
    else if (signo == SIGTERM)
      _exit (0);
  }
}

struct pause_request {
  struct crun *c;
  const char *dir, *cgroup;
  struct err *err;
  int rc;
};

static int
make_pause (struct pause_request *q)
{
  char from[64], path[4096], text[32];
  pid_t pid;
  int fd AUTO_CLOSE = -1;
  if (unshare (CLONE_NEWPID))
    return err_errno (q->err, errno, "unshare process namespace");
  if ((pid = fork ()) < 0)
    return err_errno (q->err, errno, "fork");
  if (!pid)
    pause_main ();
  snprintf (from, sizeof from, "/proc/%d/ns/pid", (int) pid);
  snprintf (path, sizeof path, "%s/pid", q->dir);
  if ((fd = open (path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444)) < 0 || mount (from, path, NULL, MS_BIND, NULL)) {
    (void) kill (pid, SIGKILL);
    (void) waitpid (pid, NULL, 0);
    return err_errno (q->err, errno, "pin namespace %s", path);
  }
  snprintf (path, sizeof path, "%s/pause.pid", q->dir);
  snprintf (text, sizeof text, "%d", (int) pid);
  (void) cgroups_enter (&q->c->cgroups, q->cgroup, pid, NULL);
  return file_write_atomic (path, text, strlen (text), 0600, q->err);
}

static void *
pause_thread (void *arg)
{
  struct pause_request *q = arg;
  q->rc = make_pause (q);
  return NULL;
}

static void
stop_pause (const char *dir)
{
  struct buf b AUTO_BUF = BUF_INIT, name AUTO_BUF = BUF_INIT;
  char path[4096];
  long pid;
  int fd AUTO_CLOSE = -1;
  snprintf (path, sizeof path, "%s/pause.pid", dir);
  if (file_read (path, 64, &b, NULL) || (pid = strtol (buf_cstr (&b), NULL, 10)) <= 1)
    return;
  fd = (int) syscall (SYS_pidfd_open, (pid_t) pid, 0);
  snprintf (path, sizeof path, "/proc/%ld/comm", pid);
  if (fd >= 0 && !file_read (path, 64, &name, NULL) && !strcmp (buf_cstr (&name), "pause\n"))
    (void) syscall (SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
  (void) waitpid ((pid_t) pid, NULL, 0); /* ours, or not: then it is init's to reap */
  snprintf (path, sizeof path, "%s/pid", dir);
  (void) umount2 (path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

static int
make_shm (const char *dir, struct err *err)
{
  char path[4096];
  int rc;
  snprintf (path, sizeof path, "%s/shm", dir);
  if ((rc = file_mkdirs (path, 0711, err)))
    return rc;
  if (mount ("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m"))
    return err_errno (err, errno, "mount %s", path);
  return 0;
}

static int sandbox_remove (struct runtime *r, const char *uid, struct err *err);

static int
build (struct crun *c, const struct sandbox_config *sc, const char *dir, struct sandbox_status *ret, struct err *err)
{
  bool host_network = value_path_bool (sc->pod, "spec.hostNetwork", false), host_ipc = value_path_bool (sc->pod, "spec.hostIPC", false);
  char *netns AUTO_FREE = mem_printf ("%s/net", dir);
  struct cgroup_limits limits;
  int rc;
  pod_limits (sc->pod, &limits);
  if (!netns)
    return err_set (err, ERR_NOMEM, "sandbox");
  if ((rc = cgroups_create (&c->cgroups, sc->cgroup_parent, &limits, err)) ||
      (rc = ns_create (dir, sc->hostname, host_network, host_ipc, value_path (sc->pod, "spec.securityContext.sysctls"), err)))
    return rc;
  if (!host_ipc && (rc = make_shm (dir, err)))
    return rc;
  if (value_path_bool (sc->pod, "spec.shareProcessNamespace", false) && !value_path_bool (sc->pod, "spec.hostPID", false)) {
    struct pause_request q = {c, dir, sc->cgroup_parent, err, 0};
    pthread_t t;
    if ((rc = pthread_create (&t, NULL, pause_thread, &q)))
      return err_errno (err, rc, "pause thread");
    pthread_join (t, NULL);
    if (q.rc)
      return q.rc;
  }
  ret->ready = true;
  return host_network ? 0 : cni_add (c, sc->uid, sc->pod, netns, ret, err);
}

static int
sandbox_run (struct runtime *r, const struct sandbox_config *sc, struct sandbox_status *ret, struct err *err)
{
  struct crun *c = (struct crun *) r;
  char *dir AUTO_FREE = ns_dir (c, sc->uid), *group AUTO_FREE = mem_printf ("%s/cgroup", dir ? dir : "");
  struct sandbox_status s = {0};
  struct err ignored;
  int rc;
  if (!dir || !group)
    return err_set (err, ERR_NOMEM, "sandbox");
  if (!uid_valid (sc->uid))
    return err_set (err, ERR_INVALID, "pod uid \"%.100s\" cannot be used", sc->uid);
  (void) sandbox_get (r, sc->uid, value_path_bool (sc->pod, "spec.hostNetwork", false), &s);
  if (s.ready) {
    *ret = s;
    return 0;
  }
  if (file_exists (dir) && (rc = sandbox_remove (r, sc->uid, err))) /* half a sandbox, of a crash */
    return rc;
  s = (struct sandbox_status) {0};
  if ((rc = file_mkdirs (dir, 0711, err)) || (rc = file_write_atomic (group, sc->cgroup_parent, strlen (sc->cgroup_parent), 0600, err)) ||
      (rc = build (c, sc, dir, &s, err))) {
    if (sandbox_remove (r, sc->uid, &ignored))
      log_warn ("what a failed sandbox left cannot be removed yet", "pod=%s error=\"%s\"", sc->uid, ignored.text);
    return rc;
  }
  *ret = s;
  return 0;
}

static int
sandbox_remove (struct runtime *r, const char *uid, struct err *err)
{
  struct crun *c = (struct crun *) r;
  char *dir AUTO_FREE = ns_dir (c, uid), *netns AUTO_FREE = mem_printf ("%s/net", dir ? dir : ""), *group AUTO_FREE = NULL;
  struct buf b AUTO_BUF = BUF_INIT;
  int rc;
  if (!dir || !netns || !(group = mem_printf ("%s/cgroup", dir)))
    return err_set (err, ERR_NOMEM, "sandbox");
  if (!uid_valid (uid))
    return err_set (err, ERR_INVALID, "pod uid \"%.100s\" cannot be used", uid);
  if ((rc = cni_del (c, uid, ns_pinned (netns) ? netns : "", err)))
    return rc;
  if (!file_exists (dir))
    return 0;
  (void) file_read (group, 512, &b, NULL);
  stop_pause (dir);
  if (!strncmp (buf_cstr (&b), "kubus/", 6) && !strstr (buf_cstr (&b), "..")) {
    cgroups_kill (&c->cgroups, buf_cstr (&b), SIGKILL);
    cgroups_remove (&c->cgroups, buf_cstr (&b));
  }
  return ns_remove (dir, err);
}

static int
pod_list (struct runtime *r, char ***ret, size_t *ret_count, struct err *err)
{
  struct crun *c = (struct crun *) r;
  char *dir AUTO_FREE = mem_printf ("%s/run/ns", c->dir);
  return dir ? file_list (dir, PODS_MAX, ret, ret_count, err) : err_set (err, ERR_NOMEM, "sandboxes");
}

static int
resolve (struct runtime *r, const char *ref, struct image **ret, struct err *err)
{
  return image_resolve (((struct crun *) r)->images, ref, ret, err);
}

static int
pull (struct runtime *r, const char *ref, const char *auth_json, struct err *err)
{
  return image_pull (((struct crun *) r)->images, ref, auth_json, err);
}

static void
crun_free (struct runtime *r)
{
  struct crun *c = (struct crun *) r;
  map_free (c->watches);
  cgroups_done (&c->cgroups);
  pthread_mutex_destroy (&c->lock);
  free (c->dir);
  free (c->crun_root);
  free (c->crun);
  free (c->bridge);
  free (c->cni_bin);
  free (c->pod_cidr);
  free (c);
}

static const struct runtime_vtable vtable = {
    .sandbox_run = sandbox_run,
    .sandbox_get = sandbox_get,
    .sandbox_remove = sandbox_remove,
    .container_create = crun_container_create,
    .container_start = crun_container_start,
    .container_signal = crun_container_signal,
    .container_remove = crun_container_remove,
    .container_get = crun_container_get,
    .container_list = crun_container_list,
    .container_watch = crun_container_watch,
    .exec = crun_exec,
    .pod_list = pod_list,
    .image_resolve = resolve,
    .image_pull = pull,
    .free = crun_free,
};

char *
runtime_crun_attach_path (const struct runtime *r, const char *id)
{
  return crun_path ((const struct crun *) r, id, "attach");
}

char *
runtime_crun_resize_path (const struct runtime *r, const char *id)
{
  return crun_path ((const struct crun *) r, id, "ctl");
}

int
runtime_crun_set_pod_cidr (struct runtime *r, const char *pod_cidr, struct err *err)
{
  struct crun *c = (struct crun *) r;
  char *copy = mem_strdup (pod_cidr), *old;
  int rc;
  if (!copy)
    return err_set (err, ERR_NOMEM, "pod network");
  pthread_mutex_lock (&c->lock);
  old = c->pod_cidr;
  if (old && !strcmp (old, copy)) {
    pthread_mutex_unlock (&c->lock);
    free (copy);
    return 0;
  }
  c->pod_cidr = copy;
  rc = cni_write_config (c, err);
  if (!rc)
    rc = cni_host_setup (c, err);
  if (rc) {
    c->pod_cidr = old;
    old = copy;
  }
  pthread_mutex_unlock (&c->lock);
  free (old);
  return rc;
}

/* Containers that a reboot ended get an exit code; the namespaces' files are plain files now. */
static int
after_boot (struct crun *c, struct err *err)
{
  char *note AUTO_FREE = mem_printf ("%s/run/kubelet-boot-id", c->dir), *dir AUTO_FREE = mem_printf ("%s/kubelet/containers", c->dir);
  struct buf now AUTO_BUF = BUF_INIT, then AUTO_BUF = BUF_INIT;
  char **names = NULL;
  size_t n = 0;
  int rc;
  if (!note || !dir)
    return err_set (err, ERR_NOMEM, "runtime");
  if ((rc = file_read ("/proc/sys/kernel/random/boot_id", 128, &now, err)))
    return rc;
  if (!file_read (note, 128, &then, NULL) && !strcmp (buf_cstr (&now), buf_cstr (&then)))
    return 0;
  if ((rc = file_list (dir, 100000, &names, &n, err)))
    return rc;
  for (size_t i = 0; i < n && !rc; i++) {
    char *exit_file AUTO_FREE = mem_printf ("%s/run/exits/%s", c->dir, names[i]);
    if (!exit_file)
      rc = err_set (err, ERR_NOMEM, "runtime");
    else if (!file_exists (exit_file))
      rc = file_write_atomic (exit_file, "255", 3, 0600, err);
  }
  free (names);
  if (!rc)
    rc = file_remove_tree (c->crun_root, err);
  if (!rc)
    rc = file_mkdirs (c->crun_root, 0700, err);
  return rc ? rc : file_write_atomic (note, now.data, now.len, 0600, err);
}

/* crun 1.8 refuses a hybrid mount whose v2 side has controllers, though nothing here uses them. It is run behind a script that
   hides them from it, in a mount namespace that else propagates as before. */
static int
wrap_crun (struct crun *c, struct err *err)
{
  static const char script[] = "#!/bin/sh\n"
                               "# Written by kubus-kubelet: see wrap_crun () in its sources.\n"
                               "exec unshare --mount --propagation unchanged /bin/sh -c '\n"
                               "  mount --make-private /sys/fs/cgroup/unified &&\n"
                               "  mount --bind /dev/null /sys/fs/cgroup/unified/cgroup.controllers &&\n"
                               "  exec crun \"$@\"' crun \"$@\"\n";
  struct buf b AUTO_BUF = BUF_INIT;
  if (c->cgroups.unified || file_read ("/sys/fs/cgroup/unified/cgroup.controllers", 4096, &b, NULL) || b.len <= 1)
    return (c->crun = mem_strdup ("/usr/bin/crun")) ? 0 : err_set (err, ERR_NOMEM, "runtime");
  if (!(c->crun = mem_printf ("%s/run/crun.sh", c->dir)))
    return err_set (err, ERR_NOMEM, "runtime");
  return file_write_atomic (c->crun, script, sizeof script - 1, 0755, err);
}

static int
repin (struct crun *c, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct container_record *list = NULL;
  size_t n = 0;
  int rc;
  arena_init (&a, 0);
  if ((rc = crun_container_list (&c->base, &a, &list, &n, err)))
    return rc;
  for (size_t i = 0; i < n && !rc; i++)
    rc = image_pin (c->images, list[i].manifest);
  return rc ? err_set (err, rc, "image pins") : 0;
}

struct runtime *
runtime_crun_new (const struct runtime_crun_config *config, struct err *err)
{
  static const char *const dirs[] = {"kubelet/containers", "kubelet/cni/cache", "run/ns", "run/exits", "run/crun"};
  struct crun *c = mem_zalloc (sizeof *c);
  if (!c) {
    err_set (err, ERR_NOMEM, "runtime");
    return NULL;
  }
  c->base.vtable = &vtable;
  c->loop = config->loop;
  c->images = config->images;
  c->mtu = config->mtu;
  pthread_mutex_init (&c->lock, NULL);
  if (file_mkdirs (config->dir, 0711, err))
    goto fail;
  c->dir = realpath (config->dir, NULL);
  c->bridge = mem_strdup (config->bridge);
  c->cni_bin = mem_strdup (config->cni_bin);
  c->watches = map_new (watch_free);
  if (!c->dir || !c->bridge || !c->cni_bin || !c->watches || !(c->crun_root = mem_printf ("%s/run/crun", c->dir))) {
    err_set (err, ERR_NOMEM, "runtime");
    goto fail;
  }
  for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
    char *path AUTO_FREE = mem_printf ("%s/%s", c->dir, dirs[i]);
    if (!path) {
      err_set (err, ERR_NOMEM, "runtime");
      goto fail;
    }
    if (file_mkdirs (path, 0711, err))
      goto fail;
  }
  if (cgroups_init (&c->cgroups, err) || cgroups_create (&c->cgroups, "kubus/conmon", NULL, err) || wrap_crun (c, err) || after_boot (c, err) || repin (c, err))
    goto fail;
  if (config->pod_cidr && runtime_crun_set_pod_cidr (&c->base, config->pod_cidr, err))
    goto fail;
  return &c->base;
fail:
  err_wrap (err, "container runtime");
  crun_free (&c->base);
  return NULL;
}
