/* Containers by crun under conmon. create: overlay, config.json, conmon (which runs "crun create"), and on cgroup v1 our own
   groups. conmon tells the outcome over a pipe and stays as the container's parent: it keeps the log, the attach socket and,
   at the end, the exit code. It is started in a session and cgroup of its own, so it lives on when the kubelet dies. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "schemas/json.h"
#include "services/kubelet/runtime_internal.h"

#define CREATE_TIMEOUT_MS 60000
#define CONMON_CGROUP "kubus/conmon"
#define LOG_SIZE_MAX "52428800"
#define SYNC_FD 3
#define START_FD 4

extern char **environ;

char *
crun_bundle (const struct crun *c, const char *id)
{
  return mem_printf ("%s/kubelet/containers/%s", c->dir, id);
}

char *
crun_path (const struct crun *c, const char *id, const char *name)
{
  return mem_printf ("%s/kubelet/containers/%s/%s", c->dir, id, name);
}

/* Layers by short names relative to their folder, because the option string is one page: the thread has a working directory of
   its own (pool.c), in the main thread (tests) it is put back. */
static int
mount_root (struct crun *c, const struct container_config *cc, const char *bundle, struct err *err)
{
  struct buf options AUTO_BUF = BUF_INIT;
  char *rootfs AUTO_FREE = mem_printf ("%s/rootfs", bundle), *upper AUTO_FREE = mem_printf ("%s/upper", bundle);
  char *work AUTO_FREE = mem_printf ("%s/work", bundle), *empty AUTO_FREE = mem_printf ("%s/empty", bundle);
  int old AUTO_CLOSE = open (".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int rc;
  (void) c;
  if (!rootfs || !upper || !work || !empty)
    return err_set (err, ERR_NOMEM, "root file system");
  if ((rc = file_mkdirs (rootfs, 0755, err)) || (rc = file_mkdirs (upper, 0755, err)) || (rc = file_mkdirs (work, 0700, err)))
    return rc;
  buf_append_str (&options, "lowerdir=");
  for (size_t i = cc->image->n_layers; i-- > 0;)
    buf_printf (&options, "%s%s", cc->image->layers[i], i ? ":" : "");
  if (!cc->image->n_layers) {
    if ((rc = file_mkdirs (empty, 0755, err)))
      return rc;
    buf_append_str (&options, empty);
  }
  buf_printf (&options, ",upperdir=%s,workdir=%s", upper, work);
  if (options.failed)
    return err_set (err, ERR_NOMEM, "root file system");
  if (options.len >= 4095)
    return err_set (err, ERR_LIMIT, "root file system: overlay options of %zu bytes for %zu layers", options.len, cc->image->n_layers);
  if (chdir (cc->image->layers_dir))
    return err_errno (err, errno, "%s", cc->image->layers_dir);
  rc = mount ("overlay", rootfs, "overlay", 0, buf_cstr (&options)) ? err_errno (err, errno, "mount overlay at %s", rootfs) : 0;
  if (old >= 0)
    (void) !fchdir (old);
  return rc;
}

static int
unmount_root (const char *bundle, struct err *err)
{
  char *rootfs AUTO_FREE = mem_printf ("%s/rootfs", bundle);
  if (!rootfs)
    return err_set (err, ERR_NOMEM, "root file system");
  while (!umount2 (rootfs, MNT_DETACH | UMOUNT_NOFOLLOW))
    ;
  return errno == EINVAL || errno == ENOENT ? 0 : err_errno (err, errno, "unmount %s", rootfs);
}

/* Writes the paths that bind mounts need as plain files, so that crun does not have to guess. */
static int
write_config (struct crun *c, const struct container_config *cc, const char *bundle, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *spec = NULL;
  char *path AUTO_FREE = mem_printf ("%s/config.json", bundle), *rootfs AUTO_FREE = mem_printf ("%s/rootfs", bundle);
  int rc;
  arena_init (&a, 64u << 20);
  if (!path || !rootfs)
    return err_set (err, ERR_NOMEM, "config.json");
  if ((rc = spec_build (c, cc, rootfs, &a, &spec, err)))
    return rc;
  json_write (spec, 0, &b);
  if (b.failed)
    return err_set (err, ERR_NOMEM, "config.json");
  return file_write_atomic (path, b.data, b.len, 0600, err);
}

struct conmon_args {
  const char *argv[64];
  size_t n;
};

static void
arg (struct conmon_args *args, const char *word)
{
  if (args->n < sizeof args->argv / sizeof *args->argv - 1)
    args->argv[args->n++] = word;
}

static void
arg2 (struct conmon_args *args, const char *name, const char *value)
{
  arg (args, name);
  arg (args, value);
}

/* Starts conmon with its two pipes at 3 and 4 and nothing else of ours. */
static int
spawn_conmon (const char *const *argv, int sync_fd, int start_fd, pid_t *ret, struct err *err)
{
  posix_spawn_file_actions_t fa;
  posix_spawnattr_t at;
  sigset_t none, all;
  size_t n = 0, out = 0;
  char **env AUTO_FREE = NULL;
  int rc;
  while (environ[n])
    n++;
  if (!(env = mem_zalloc ((n + 3) * sizeof *env)))
    return err_set (err, ERR_NOMEM, "conmon");
  for (size_t i = 0; i < n; i++)
    if (strncmp (environ[i], "NOTIFY_SOCKET=", 14) != 0 && strncmp (environ[i], "LISTEN_", 7) != 0)
      env[out++] = environ[i];
  env[out++] = (char *) (uintptr_t) "_OCI_SYNCPIPE=3";
  env[out++] = (char *) (uintptr_t) "_OCI_STARTPIPE=4";
  posix_spawn_file_actions_init (&fa);
  posix_spawnattr_init (&at);
  sigemptyset (&none);
  sigfillset (&all);
  posix_spawnattr_setsigmask (&at, &none);
  posix_spawnattr_setsigdefault (&at, &all);
  posix_spawnattr_setflags (&at, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_addopen (&fa, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen (&fa, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen (&fa, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2 (&fa, sync_fd, SYNC_FD);
  posix_spawn_file_actions_adddup2 (&fa, start_fd, START_FD);
  posix_spawn_file_actions_addclosefrom_np (&fa, START_FD + 1);
  rc = posix_spawnp (ret, argv[0], &fa, &at, (char *const *) (uintptr_t) argv, env);
  posix_spawn_file_actions_destroy (&fa);
  posix_spawnattr_destroy (&at);
  return rc ? err_errno (err, rc, "start conmon") : 0;
}

/* A pipe whose ends are above 9, so that dup2 to 3 and 4 in the child hits none of them. */
static int
high_pipe (int fds[2], struct err *err)
{
  int low[2];
  if (pipe2 (low, O_CLOEXEC))
    return err_errno (err, errno, "pipe");
  for (int i = 0; i < 2; i++) {
    fds[i] = fcntl (low[i], F_DUPFD_CLOEXEC, 10);
    close (low[i]);
  }
  return fds[0] < 0 || fds[1] < 0 ? err_errno (err, EMFILE, "pipe") : 0;
}

/* conmon's answer: {"data": pid} or {"data": -1, "message": "..."}. */
static int
read_answer (int fd, int *ret_pid, struct err *err)
{
  struct buf b AUTO_BUF = {.limit_bytes = 1 << 20};
  struct arena a AUTO_ARENA = {0};
  struct value *v = NULL;
  mono_t start = mono_now ();
  const char *message;
  int pid;
  arena_init (&a, 0);
  for (;;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t left = CREATE_TIMEOUT_MS - mono_ms_since (start, mono_now ());
    uint8_t block[4096];
    ssize_t n;
    if (left <= 0)
      return err_set (err, ERR_TIMEOUT, "conmon did not answer within %d s", CREATE_TIMEOUT_MS / 1000);
    if (poll (&p, 1, (int) left) <= 0)
      continue;
    if ((n = read (fd, block, sizeof block)) < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return err_set (err, ERR_IO, "conmon ended without an answer");
    buf_append (&b, block, (size_t) n);
    if (b.failed)
      return err_set (err, ERR_LIMIT, "conmon's answer is too long");
    if (memchr (block, '\n', (size_t) n))
      break;
  }
  if (json_parse (&a, buf_cstr (&b), b.len, &v, NULL, err))
    return err_wrap (err, "conmon's answer");
  pid = (int) value_path_int (v, "data", -1);
  message = value_path_string (v, "message", "");
  if (pid <= 0) {
    size_t n = strcspn (message, "\n");
    return err_set (err, ERR_INVALID, "OCI runtime create failed: %.*s",
                    (int) n, message);
  }
  *ret_pid = pid;
  return 0;
}

static int
run_conmon (struct crun *c, const struct container_config *cc, const char *bundle, int *ret_pid, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct conmon_args args = {.n = 0};
  int sync[2] = {-1, -1}, start[2] = {-1, -1}, rc;
  pid_t pid = -1;
  arena_init (&a, 0);
  arg (&args, "conmon");
  arg2 (&args, "--api-version", "1");
  arg2 (&args, "-c", cc->id);
  arg2 (&args, "-u", cc->id);
  arg2 (&args, "-n", cc->id);
  arg2 (&args, "-r", c->crun);
  arg2 (&args, "-b", bundle);
  arg2 (&args, "-p", arena_printf (&a, "%s/pid", bundle));
  arg2 (&args, "-P", arena_printf (&a, "%s/conmon.pid", bundle));
  arg2 (&args, "-l", arena_printf (&a, "k8s-file:%s", cc->log_path));
  arg2 (&args, "--log-size-max", LOG_SIZE_MAX);
  arg2 (&args, "--exit-dir", arena_printf (&a, "%s/run/exits", c->dir));
  arg2 (&args, "--persist-dir", bundle);
  arg (&args, "--full-attach");
  arg (&args, "--no-new-keyring");
  arg2 (&args, "--runtime-arg", arena_printf (&a, "--root=%s", c->crun_root));
  arg2 (&args, "--runtime-arg", c->cgroups.unified ? "--cgroup-manager=cgroupfs" : "--cgroup-manager=disabled");
  if (value_path_bool (cc->container, "tty", false))
    arg (&args, "-t");
  if (value_path_bool (cc->container, "stdin", false)) {
    arg (&args, "-i");
    if (!value_path_bool (cc->container, "stdinOnce", false))
      arg (&args, "--leave-stdin-open");
  }
  if (!arena_ok (&a))
    return err_set (err, ERR_NOMEM, "conmon");
  if ((rc = high_pipe (sync, err)) || (rc = high_pipe (start, err)) || (rc = spawn_conmon (args.argv, sync[1], start[0], &pid, err)))
    goto out;
  close (sync[1]);
  sync[1] = -1;
  /* It waits for a byte before it forks: time to move it out of the kubelet's group. */
  if ((rc = cgroups_enter (&c->cgroups, CONMON_CGROUP, pid, err))) {
    (void) kill (pid, SIGKILL);
  } else if (write (start[1], "", 1) != 1) {
    rc = err_errno (err, errno, "start conmon");
  }
  while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
    ;
  if (!rc)
    rc = read_answer (sync[0], ret_pid, err);
out:
  for (int i = 0; i < 2; i++) {
    if (sync[i] >= 0)
      close (sync[i]);
    if (start[i] >= 0)
      close (start[i]);
  }
  return rc;
}

static int
run_crun (struct crun *c, const char *const *words, struct err *err)
{
  struct buf errout AUTO_BUF = BUF_INIT;
  char *root AUTO_FREE = mem_printf ("--root=%s", c->crun_root);
  const char *argv[12] = {c->crun, root, c->cgroups.unified ? "--cgroup-manager=cgroupfs" : "--cgroup-manager=disabled"};
  struct proc_config pc = {.argv = argv, .timeout_ms = CREATE_TIMEOUT_MS};
  size_t n = 3;
  int rc;
  if (!root)
    return err_set (err, ERR_NOMEM, "crun");
  while (*words && n < 11)
    argv[n++] = *words++;
  argv[n] = NULL;
  if ((rc = proc_run (&pc, NULL, &errout, err)) < 0)
    return rc;
  return rc ? err_set (err, ERR_INVALID, "%.*s", (int) strcspn (buf_cstr (&errout), "\n"), buf_cstr (&errout)) : 0;
}

static int
prepare (struct crun *c, const struct container_config *cc, const char *bundle, struct err *err)
{
  char *log_dir AUTO_FREE = mem_strdup (cc->log_path), *exit_file AUTO_FREE = mem_printf ("%s/run/exits/%s", c->dir, cc->id);
  int rc;
  if (!log_dir || !exit_file)
    return err_set (err, ERR_NOMEM, "container");
  if (strrchr (log_dir, '/'))
    *strrchr (log_dir, '/') = 0;
  (void) unlink (exit_file);
  if ((rc = file_mkdirs (log_dir, 0755, err)) || (rc = file_mkdirs (bundle, 0700, err)) || (rc = mount_root (c, cc, bundle, err)))
    return rc;
  return write_config (c, cc, bundle, err);
}

int
crun_container_create (struct runtime *r, const struct container_config *cc, struct err *err)
{
  struct crun *c = (struct crun *) r;
  char *bundle AUTO_FREE = crun_bundle (c, cc->id);
  char cgroup[512];
  struct container_record rec = {.id = cc->id,
                                 .pod_uid = value_path_string (cc->pod, "metadata.uid", ""),
                                 .pod_namespace = value_path_string (cc->pod, "metadata.namespace", ""),
                                 .pod_name = value_path_string (cc->pod, "metadata.name", ""),
                                 .container = value_path_string (cc->container, "name", ""),
                                 .attempt = cc->attempt,
                                 .created_us = wall_now ().us,
                                 .image = value_path_string (cc->container, "image", ""),
                                 .image_id = cc->image->id,
                                 .manifest = cc->image->manifest,
                                 .log_path = cc->log_path,
                                 .tty = value_path_bool (cc->container, "tty", false),
                                 .stdin_ = value_path_bool (cc->container, "stdin", false),
                                 .stdin_once = value_path_bool (cc->container, "stdinOnce", false)};
  struct cgroup_limits limits;
  struct err ignored;
  bool shared_pid = value_path_bool (cc->pod, "spec.hostPID", false) || value_path_bool (cc->pod, "spec.shareProcessNamespace", false);
  int rc, pid = -1;
  snprintf (cgroup, sizeof cgroup, "%s/%s", cc->cgroup_parent, cc->id);
  if (!bundle)
    return err_set (err, ERR_NOMEM, "container");
  if (image_pin (c->images, cc->image->manifest))
    return err_set (err, ERR_NOMEM, "container");
  cgroup_limits_of (value_get (cc->container, "resources"), &limits);
  limits.restrict_devices = !value_path_bool (cc->container, "securityContext.privileged", false);
  if ((rc = prepare (c, cc, bundle, err)) || (rc = crun_write_record (c, &rec, cgroup, shared_pid, err)) ||
      (!c->cgroups.unified && (rc = cgroups_create (&c->cgroups, cgroup, &limits, err))) || (rc = run_conmon (c, cc, bundle, &pid, err)) ||
      (!c->cgroups.unified && (rc = cgroups_enter (&c->cgroups, cgroup, pid, err)))) {
    if (crun_container_remove (r, cc->id, &ignored)) {
      log_warn ("what a failed container left cannot be removed yet", "container=%s error=\"%s\"", cc->id, ignored.text);
      image_unpin (c->images, cc->image->manifest);
    }
    return rc;
  }
  return 0;
}

int
crun_container_start (struct runtime *r, const char *id, struct err *err)
{
  struct crun *c = (struct crun *) r;
  const char *words[] = {"start", id, NULL};
  char *mark AUTO_FREE = crun_path (c, id, "started");
  char text[32];
  int rc;
  if (!mark)
    return err_set (err, ERR_NOMEM, "container");
  /* Before, not after: a kubelet that dies in between must not take the container for one that never ran. */
  snprintf (text, sizeof text, "%lld", (long long) wall_now ().us);
  if ((rc = file_write_atomic (mark, text, strlen (text), 0600, err)))
    return rc;
  if ((rc = run_crun (c, words, err))) {
    (void) unlink (mark);
    return rc;
  }
  return 0;
}

static int
init_pid (struct crun *c, const char *id)
{
  struct buf b AUTO_BUF = BUF_INIT;
  char *path AUTO_FREE = crun_path (c, id, "pid");
  if (!path || file_read (path, 64, &b, NULL))
    return -1;
  return (int) strtol (buf_cstr (&b), NULL, 10);
}

int
crun_container_signal (struct runtime *r, const char *id, int signo, struct err *err)
{
  struct crun *c = (struct crun *) r;
  struct arena a AUTO_ARENA = {0};
  struct container_record rec;
  char cgroup[512];
  int pid, fd AUTO_CLOSE = -1, rc;
  arena_init (&a, 0);
  if ((rc = crun_container_get (r, id, &a, &rec, err)))
    return rc;
  if (rec.state == CONTAINER_EXITED || (pid = init_pid (c, id)) <= 1)
    return err_set (err, ERR_NOT_FOUND, "container has ended");
  fd = (int) syscall (SYS_pidfd_open, pid, 0);
  if (fd < 0 || syscall (SYS_pidfd_send_signal, fd, signo, NULL, 0))
    return errno == ESRCH ? err_set (err, ERR_NOT_FOUND, "container has ended") : err_errno (err, errno, "signal %d", signo);
  if (signo == SIGKILL && !crun_cgroup_of (c, id, cgroup, sizeof cgroup))
    cgroups_kill (&c->cgroups, cgroup, SIGKILL);
  return 0;
}

int
crun_container_remove (struct runtime *r, const char *id, struct err *err)
{
  struct crun *c = (struct crun *) r;
  struct arena a AUTO_ARENA = {0};
  struct container_record rec = {0};
  char *bundle AUTO_FREE = crun_bundle (c, id), *exit_file AUTO_FREE = mem_printf ("%s/run/exits/%s", c->dir, id);
  char *state AUTO_FREE = mem_printf ("%s/%s", c->crun_root, id);
  const char *words[] = {"delete", "-f", id, NULL};
  char cgroup[512];
  bool have_cgroup, known;
  int rc;
  arena_init (&a, 0);
  if (!bundle || !exit_file || !state)
    return err_set (err, ERR_NOMEM, "container");
  if (!file_exists (bundle))
    return 0;
  known = !crun_container_get (r, id, &a, &rec, NULL);
  have_cgroup = !crun_cgroup_of (c, id, cgroup, sizeof cgroup);
  if (have_cgroup)
    cgroups_kill (&c->cgroups, cgroup, SIGKILL);
  if (file_exists (state) && (rc = run_crun (c, words, err)))
    return err_wrap (err, "remove container %.12s", id);
  if (have_cgroup)
    cgroups_remove (&c->cgroups, cgroup);
  if ((rc = unmount_root (bundle, err)) || (rc = file_remove_tree (bundle, err)))
    return rc;
  (void) unlink (exit_file);
  if (known)
    image_unpin (c->images, rec.manifest);
  return 0;
}
