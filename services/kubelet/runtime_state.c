/* What is known of containers: records, ends, commands in them. record.json is written before anything runs, "started" before
   the process does, DIR/run/exits/ID by conmon at the end. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "schemas/json.h"
#include "services/kubelet/runtime_internal.h"

#define RECORD_MAX (1u << 20)
#define CONTAINERS_MAX 100000

void
container_id (const char *pod_uid, const char *container, unsigned attempt, char out[CONTAINER_ID_SIZE])
{
  char text[1024];
  uint8_t d[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  int len = snprintf (text, sizeof text, "%s/%s/%u", pod_uid, container, attempt);
  REQUIRE (len > 0 && (size_t) len < sizeof text);
  REQUIRE (EVP_Digest (text, (size_t) len, d, &n, EVP_sha256 (), NULL) == 1);
  for (unsigned i = 0; i < 32; i++)
    snprintf (out + 2 * i, 3, "%02x", d[i]);
}

int
crun_write_record (const struct crun *c, const struct container_record *rec, const char *cgroup, bool shared_pid, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *v;
  char *path AUTO_FREE = crun_path (c, rec->id, "record.json");
  arena_init (&a, 0);
  v = value_map (&a);
  value_set_string (&a, v, "podUID", rec->pod_uid);
  value_set_string (&a, v, "podNamespace", rec->pod_namespace);
  value_set_string (&a, v, "podName", rec->pod_name);
  value_set_string (&a, v, "container", rec->container);
  value_set_int (&a, v, "attempt", rec->attempt);
  value_set_int (&a, v, "createdMicros", rec->created_us);
  value_set_string (&a, v, "image", rec->image);
  value_set_string (&a, v, "imageID", rec->image_id);
  value_set_string (&a, v, "manifest", rec->manifest);
  value_set_string (&a, v, "logPath", rec->log_path);
  value_set_string (&a, v, "cgroup", cgroup);
  value_set_bool (&a, v, "tty", rec->tty);
  value_set_bool (&a, v, "stdin", rec->stdin_);
  value_set_bool (&a, v, "stdinOnce", rec->stdin_once);
  value_set_bool (&a, v, "sharedPID", shared_pid);
  json_write (v, 0, &b);
  if (!path || b.failed || !arena_ok (&a))
    return err_set (err, ERR_NOMEM, "container record");
  return file_write_atomic (path, b.data, b.len, 0600, err);
}

static int
read_record (const struct crun *c, const char *id, struct arena *a, struct value **ret, struct err *err)
{
  struct buf b AUTO_BUF = BUF_INIT;
  char *path AUTO_FREE = crun_path (c, id, "record.json");
  int rc;
  if (!path)
    return err_set (err, ERR_NOMEM, "container record");
  if ((rc = file_read (path, RECORD_MAX, &b, err)))
    return rc;
  return json_parse (a, buf_cstr (&b), b.len, ret, NULL, err);
}

int
crun_cgroup_of (const struct crun *c, const char *id, char *out, size_t size)
{
  struct arena a AUTO_ARENA = {0};
  struct value *v = NULL;
  const char *cgroup;
  arena_init (&a, 0);
  if (read_record (c, id, &a, &v, NULL))
    return ERR_NOT_FOUND;
  cgroup = value_path_string (v, "cgroup", "");
  /* Below ours alone: a record that was tampered with must not have the node's groups killed. */
  if (strncmp (cgroup, "kubus/", 6) != 0 || strstr (cgroup, "..") || strlen (cgroup) >= size)
    return ERR_NOT_FOUND;
  memcpy (out, cgroup, strlen (cgroup) + 1);
  return 0;
}

static bool
read_number (const char *path, int64_t *ret)
{
  struct buf b AUTO_BUF = BUF_INIT;
  char *end;
  if (!path || file_read (path, 64, &b, NULL))
    return false;
  *ret = strtoll (buf_cstr (&b), &end, 10);
  return end != buf_cstr (&b);
}

int
crun_container_get (struct runtime *r, const char *id, struct arena *a, struct container_record *ret, struct err *err)
{
  struct crun *c = (struct crun *) r;
  char *exit_file AUTO_FREE = mem_printf ("%s/run/exits/%s", c->dir, id), *started AUTO_FREE = crun_path (c, id, "started");
  char *pid_file AUTO_FREE = crun_path (c, id, "pid"), *oom AUTO_FREE = crun_path (c, id, "oom");
  struct value *v = NULL;
  struct stat st;
  int64_t n;
  int rc;
  if ((rc = read_record (c, id, a, &v, err)))
    return rc;
  *ret = (struct container_record) {
      .id = arena_strdup (a, id),
      .pod_uid = value_path_string (v, "podUID", ""),
      .pod_namespace = value_path_string (v, "podNamespace", ""),
      .pod_name = value_path_string (v, "podName", ""),
      .container = value_path_string (v, "container", ""),
      .attempt = (unsigned) value_path_int (v, "attempt", 0),
      .created_us = value_path_int (v, "createdMicros", 0),
      .image = value_path_string (v, "image", ""),
      .image_id = value_path_string (v, "imageID", ""),
      .manifest = value_path_string (v, "manifest", ""),
      .log_path = value_path_string (v, "logPath", ""),
      .tty = value_path_bool (v, "tty", false),
      .stdin_ = value_path_bool (v, "stdin", false),
      .stdin_once = value_path_bool (v, "stdinOnce", false),
      .state = CONTAINER_CREATED,
  };
  if (read_number (started, &n)) {
    ret->started_us = n;
    ret->state = CONTAINER_RUNNING;
  }
  if (read_number (pid_file, &n))
    ret->pid = (int) n;
  if (exit_file && !stat (exit_file, &st)) {
    char cgroup[512];
    ret->state = CONTAINER_EXITED;
    ret->exit_code = read_number (exit_file, &n) ? (int) n : 255;
    ret->finished_us = (int64_t) st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    if (ret->exit_code != 0)
      ret->oom_killed = (oom && file_exists (oom)) || (!crun_cgroup_of (c, id, cgroup, sizeof cgroup) && cgroups_oom_killed (&c->cgroups, cgroup));
  }
  return arena_ok (a) ? 0 : err_set (err, ERR_NOMEM, "container record");
}

int
crun_container_list (struct runtime *r, struct arena *a, struct container_record **ret, size_t *ret_count, struct err *err)
{
  struct crun *c = (struct crun *) r;
  char *dir AUTO_FREE = mem_printf ("%s/kubelet/containers", c->dir);
  struct container_record *list;
  char **names = NULL;
  size_t n = 0, out = 0;
  int rc;
  if (!dir)
    return err_set (err, ERR_NOMEM, "containers");
  if ((rc = file_list (dir, CONTAINERS_MAX, &names, &n, err)))
    return rc;
  if (!(list = arena_zalloc (a, (n + 1) * sizeof *list))) {
    free (names);
    return err_set (err, ERR_NOMEM, "containers");
  }
  for (size_t i = 0; i < n; i++) {
    struct err why;
    if (!crun_container_get (r, names[i], a, &list[out], &why)) {
      out++;
      continue;
    }
    /* Died while it was made: there is nothing in it to keep. */
    log_warn ("removing a container without a record", "container=%s error=\"%s\"", names[i], why.text);
    (void) crun_container_remove (r, names[i], NULL);
  }
  free (names);
  *ret = list;
  *ret_count = out;
  return 0;
}

struct watch {
  struct crun *c;
  char id[CONTAINER_ID_SIZE];
  int fd; /* pidfd of conmon */
  struct loop_watch *watch;
  struct loop_timer *timer; /* when it has ended already */
};

void
watch_free (void *p)
{
  struct watch *w = p;
  if (!w)
    return;
  loop_watch_free (w->watch);
  loop_timer_free (w->timer);
  if (w->fd >= 0)
    close (w->fd);
  free (w);
}

/* conmon has gone. Without an exit file it was killed: its container cannot be watched any more and is ended too. */
static void
ensure_exit (struct crun *c, const char *id)
{
  char *exit_file AUTO_FREE = mem_printf ("%s/run/exits/%s", c->dir, id);
  char cgroup[512];
  struct err err;
  if (!exit_file || file_exists (exit_file))
    return;
  log_warn ("container's monitor died, ending the container", "container=%s", id);
  if (!crun_cgroup_of (c, id, cgroup, sizeof cgroup))
    cgroups_kill (&c->cgroups, cgroup, SIGKILL);
  if (file_write_atomic (exit_file, "255", 3, 0600, &err))
    log_warn ("exit code cannot be written", "container=%s error=\"%s\"", id, err.text);
}

static void
ended (struct watch *w)
{
  struct crun *c = w->c;
  struct arena a AUTO_ARENA = {0};
  struct container_record rec;
  char id[CONTAINER_ID_SIZE];
  struct err err;
  memcpy (id, w->id, sizeof id);
  arena_init (&a, 0);
  ensure_exit (c, id);
  map_delete (c->watches, id); /* frees w */
  if (crun_container_get (&c->base, id, &a, &rec, &err)) {
    log_warn ("container ended but its record cannot be read", "container=%s error=\"%s\"", id, err.text);
    return;
  }
  if (c->base.on_exit)
    c->base.on_exit (c->base.on_exit_arg, &rec);
}

static void
on_pidfd (void *arg, int fd, int events)
{
  (void) fd;
  (void) events;
  ended (arg);
}

static void
on_timer (void *arg)
{
  ended (arg);
}

/* A pidfd of the container's conmon, -1 when it is gone. The pid may have been taken by another: its command line tells. */
static int
monitor_fd (struct crun *c, const char *id)
{
  char *path AUTO_FREE = crun_path (c, id, "conmon.pid");
  struct buf b AUTO_BUF = BUF_INIT;
  char cmdline[64];
  int64_t pid;
  int fd;
  if (!read_number (path, &pid) || pid <= 1 || (fd = (int) syscall (SYS_pidfd_open, (pid_t) pid, 0)) < 0)
    return -1;
  snprintf (cmdline, sizeof cmdline, "/proc/%d/cmdline", (int) pid);
  if (file_read (cmdline, 1 << 20, &b, NULL) || !memmem (b.data, b.len, id, strlen (id))) {
    close (fd);
    return -1;
  }
  return fd;
}

int
crun_container_watch (struct runtime *r, const char *id, struct err *err)
{
  struct crun *c = (struct crun *) r;
  struct watch *w;
  if (map_get (c->watches, id))
    return 0;
  if (!(w = mem_zalloc (sizeof *w)))
    return err_set (err, ERR_NOMEM, "watch container");
  w->c = c;
  snprintf (w->id, sizeof w->id, "%s", id);
  if ((w->fd = monitor_fd (c, id)) >= 0) {
    w->watch = loop_watch_fd (c->loop, w->fd, LOOP_READ, on_pidfd, w);
  } else if ((w->timer = loop_timer_new (c->loop, on_timer, w))) {
    loop_timer_set (w->timer, 0);
  }
  if ((!w->watch && !w->timer) || map_set (c->watches, id, w)) {
    watch_free (w);
    return err_set (err, ERR_NOMEM, "watch container");
  }
  return 0;
}

int
crun_exec (struct runtime *r, const char *id, const struct proc_config *stdio, const char *const *argv, struct proc **ret, struct err *err)
{
  struct crun *c = (struct crun *) r;
  struct proc_config pc = *stdio;
  struct proc *p = NULL;
  char *root AUTO_FREE = mem_printf ("--root=%s", c->crun_root);
  const char **words AUTO_FREE = NULL;
  char cgroup[512];
  size_t n = 0, k = 0;
  int rc;
  while (argv[n])
    n++;
  if (!root || !(words = mem_zalloc ((n + 8) * sizeof *words)))
    return err_set (err, ERR_NOMEM, "exec");
  words[k++] = c->crun;
  words[k++] = root;
  words[k++] = c->cgroups.unified ? "--cgroup-manager=cgroupfs" : "--cgroup-manager=disabled";
  words[k++] = "exec";
  if (pc.pty)
    words[k++] = "--tty";
  words[k++] = id;
  memcpy (words + k, argv, n * sizeof *words);
  pc.argv = words;
  pc.env = NULL;
  pc.new_session = true;
  if ((rc = proc_spawn (c->loop, &pc, &p, err)))
    return rc;
  /* So that the command counts against the container's limits; crun itself does it on v2. */
  if (!c->cgroups.unified && !crun_cgroup_of (c, id, cgroup, sizeof cgroup))
    (void) cgroups_enter (&c->cgroups, cgroup, proc_pid (p), NULL);
  if (ret)
    *ret = p;
  return 0;
}
