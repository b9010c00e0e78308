/* The supervisor: systemd's place on machines where it is not PID 1. Components tell READY=1 over NOTIFY_SOCKET as they would
   tell systemd; the sender is known by its credentials. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/proc.h"
#include "services/launcher/launcher.h"

#define STOP_GRACE_MS 10000
#define GIVE_UP_STARTS 5 /* of one component before the first ready: then `kubus up` is told why */

struct child {
  struct supervisor *s;
  const struct component *c;
  struct proc *proc;
  mono_t started;
  int64_t delay_ms;
  struct loop_timer *restart;
  bool ready;
  int deaths;
};

struct supervisor {
  const struct launcher *l;
  struct loop *loop;
  struct child *children;
  int ready_fd, notify_fd;
  const char **env; /* ours plus NOTIFY_SOCKET */
  struct loop_timer *kill_timer;
  bool stopping;
  size_t stop_at; /* children below this index still run while stopping */
  struct arena arena;
};

static void start (struct child *ch);

/* ---- telling `kubus up` ---- */

static void
tell (struct supervisor *s, const char *text)
{
  if (s->ready_fd < 0)
    return;
  (void) !write (s->ready_fd, text, strlen (text));
  close (s->ready_fd);
  s->ready_fd = -1;
}

static void
check_all_ready (struct supervisor *s)
{
  for (size_t i = 0; i < n_components; i++)
    if (!s->children[i].ready)
      return;
  tell (s, "ready\n");
}

/* ---- files ---- */

static const char *
pid_path (struct supervisor *s, const char *name)
{
  return arena_printf (&s->arena, "%s/run/%s.pid", s->l->dir, name);
}

static void
write_pid (struct supervisor *s, const char *name, pid_t pid)
{
  char text[16];
  struct err err;
  const char *path = pid_path (s, name);
  int n = snprintf (text, sizeof text, "%d\n", (int) pid);
  if (!path || file_write_atomic (path, text, (size_t) n, 0644, &err))
    log_warn ("pid file not written, ignoring", "name=%s", name);
}

pid_t
launcher_pid (const struct launcher *l, const char *name)
{
  struct buf b AUTO_BUF = BUF_INIT, command AUTO_BUF = BUF_INIT;
  char *path AUTO_FREE = mem_printf ("%s/run/%s.pid", l->dir, name);
  char *proc AUTO_FREE = NULL;
  long pid;
  if (!path || file_read (path, 64, &b, NULL))
    return 0;
  pid = strtol (buf_cstr (&b), NULL, 10);
  if (pid <= 1 || !(proc = mem_printf ("/proc/%ld/cmdline", pid)) || file_read (proc, 65536, &command, NULL))
    return 0;
  /* a zombie has no command line, and a number used again another one */
  return command.len && strstr (buf_cstr (&command), "kubus") ? (pid_t) pid : 0;
}

/* ---- children ---- */

static char *
replace (struct supervisor *s, const char *text)
{
  const struct launcher *l = s->l;
  char port[16];
  const char *const names[] = {"$DIR", "$NODE", "$IP", "$PORT"}, *const values[] = {l->dir, l->node_name, l->node_ip, port};
  snprintf (port, sizeof port, "%d", l->secure_port);
  for (size_t i = 0; i < 4; i++) {
    const char *at = strstr (text, names[i]);
    if (at)
      return arena_printf (&s->arena, "%.*s%s%s", (int) (at - text), text, values[i], at + strlen (names[i]));
  }
  return arena_strdup (&s->arena, text);
}

static void
restart_later (struct child *ch, int64_t ran_ms)
{
  ch->delay_ms = supervise_backoff_ms (ch->delay_ms, ran_ms);
  loop_timer_set (ch->restart, ch->delay_ms);
}

static void stop_next (struct supervisor *s);

static void
exited (void *arg, struct proc *proc, const struct proc_exit *exit)
{
  struct child *ch = arg;
  struct supervisor *s = ch->s;
  const char *path = pid_path (s, ch->c->name);
  int64_t ran = mono_ms_since (ch->started, mono_now ());
  (void) proc;
  ch->proc = NULL;
  ch->ready = false;
  if (path)
    unlink (path);
  if (s->stopping) {
    stop_next (s);
    return;
  }
  log_warn ("component died", "name=%s status=%d signal=%d ran_ms=%lld", ch->c->name, exit->code, exit->signal, (long long) ran);
  if (++ch->deaths >= GIVE_UP_STARTS && s->ready_fd >= 0) {
    char text[512];
    snprintf (text, sizeof text, "%s exits with status %d again and again: see %s/log/%s.log\n", ch->c->program, exit->code, s->l->dir, ch->c->name);
    tell (s, text);
  }
  restart_later (ch, ran);
}

static int
open_log (struct supervisor *s, const char *name)
{
  const char *path = arena_printf (&s->arena, "%s/log/%s.log", s->l->dir, name);
  return path ? open (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640) : -1;
}

static void
start (struct child *ch)
{
  struct supervisor *s = ch->s;
  const char *argv[16] = {arena_printf (&s->arena, "%s/%s", s->l->bin_dir, ch->c->program)};
  int log_fd AUTO_CLOSE = open_log (s, ch->c->name);
  struct proc_config pc = {.argv = argv, .env = s->env, .out = {PROC_FD, log_fd}, .err = {PROC_FD, log_fd}, .new_session = true,
                           .die_with_parent = true, .on_exit = exited, .arg = ch};
  struct err err = {0};
  size_t n = 1;
  for (const char *const *a = ch->c->args; *a && n < 15; a++)
    argv[n++] = replace (s, *a);
  ch->started = mono_now ();
  if (log_fd < 0 || !arena_ok (&s->arena)) {
    log_error ("no log file", "name=%s error=\"%s\"", ch->c->name, strerror (errno));
    restart_later (ch, 0);
  } else if (proc_spawn (s->loop, &pc, &ch->proc, &err)) {
    char text[600];
    log_error ("component not started", "name=%s error=\"%s\"", ch->c->name, err.text);
    snprintf (text, sizeof text, "%s\n", err.text);
    tell (s, text);
    restart_later (ch, 0);
  } else {
    write_pid (s, ch->c->name, proc_pid (ch->proc));
    log_info ("component started", "name=%s pid=%d", ch->c->name, (int) proc_pid (ch->proc));
  }
}

static void
restart_due (void *arg)
{
  struct child *ch = arg;
  if (!ch->s->stopping)
    start (ch);
}

/* ---- readiness ---- */

static void
notified (void *arg, int fd, int events)
{
  struct supervisor *s = arg;
  char data[1024], control[CMSG_SPACE (sizeof (struct ucred))];
  struct iovec iov = {data, sizeof data - 1};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *c;
  struct ucred cred = {0};
  ssize_t n = recvmsg (fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  (void) events;
  if (n <= 0)
    return;
  data[n] = 0;
  for (c = CMSG_FIRSTHDR (&m); c; c = CMSG_NXTHDR (&m, c))
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
      memcpy (&cred, CMSG_DATA (c), sizeof cred);
  for (size_t i = 0; i < n_components; i++) {
    struct child *ch = &s->children[i];
    if (!ch->proc || proc_pid (ch->proc) != cred.pid || !strstr (data, "READY=1"))
      continue;
    ch->ready = true;
    log_info ("component ready", "name=%s after_ms=%lld", ch->c->name, (long long) mono_ms_since (ch->started, mono_now ()));
  }
  check_all_ready (s);
}

static int
open_notify (struct supervisor *s, struct err *err)
{
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  int fd AUTO_CLOSE = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
  size_t n = 0, at = 0;
  if ((size_t) snprintf (addr.sun_path, sizeof addr.sun_path, "%s/run/notify.sock", s->l->dir) >= sizeof addr.sun_path)
    return err_set (err, ERR_LIMIT, "%s: the path is too long for a socket", s->l->dir);
  unlink (addr.sun_path);
  if (fd < 0 || setsockopt (fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) || bind (fd, (struct sockaddr *) &addr, sizeof addr))
    return err_errno (err, errno, "%s", addr.sun_path);
  while (environ[n])
    n++;
  if (!(s->env = arena_zalloc (&s->arena, (n + 2) * sizeof *s->env)))
    return err_set (err, ERR_NOMEM, "environment");
  for (size_t i = 0; i < n; i++)
    if (strncmp (environ[i], "NOTIFY_SOCKET=", 14))
      s->env[at++] = environ[i];
  s->env[at] = arena_printf (&s->arena, "NOTIFY_SOCKET=%s", addr.sun_path);
  s->notify_fd = mem_take_fd (&fd);
  return loop_watch_fd (s->loop, s->notify_fd, LOOP_READ, notified, s) && s->env[at] ? 0 : err_set (err, ERR_NOMEM, "notify socket");
}

/* ---- stopping: one after another, the store last ---- */

static void
stop_next (struct supervisor *s)
{
  while (s->stop_at > 0) {
    struct child *ch = &s->children[s->stop_at - 1];
    if (ch->proc) {
      (void) proc_kill (ch->proc, SIGTERM, NULL);
      loop_timer_set (s->kill_timer, STOP_GRACE_MS);
      return; /* exited () goes on */
    }
    s->stop_at--;
  }
  loop_stop (s->loop);
}

static void
kill_slow (void *arg)
{
  struct supervisor *s = arg;
  struct child *ch = s->stop_at ? &s->children[s->stop_at - 1] : NULL;
  if (!ch || !ch->proc)
    return;
  log_warn ("component does not stop, killing it", "name=%s", ch->c->name);
  (void) proc_kill (ch->proc, SIGKILL, NULL);
}

static void
stop (void *arg)
{
  struct supervisor *s = arg;
  if (s->stopping)
    return;
  s->stopping = true;
  s->stop_at = n_components;
  tell (s, "stopped\n");
  stop_next (s);
}

static int
run (struct supervisor *s, struct err *err)
{
  int r;
  if (!(s->loop = loop_new (err)))
    return err->code;
  if ((r = open_notify (s, err)))
    return r;
  if (!loop_watch_signal (s->loop, SIGTERM, stop, s) || !loop_watch_signal (s->loop, SIGINT, stop, s) || !(s->kill_timer = loop_timer_new (s->loop, kill_slow, s))
      || !(s->children = arena_zalloc (&s->arena, n_components * sizeof *s->children)))
    return err_set (err, ERR_NOMEM, "supervise");
  for (size_t i = 0; i < n_components; i++) {
    struct child *ch = &s->children[i];
    *ch = (struct child){.s = s, .c = &components[i], .restart = loop_timer_new (s->loop, restart_due, ch)};
    if (!ch->restart)
      return err_set (err, ERR_NOMEM, "supervise");
  }
  write_pid (s, "kubus", getpid ());
  for (size_t i = 0; i < n_components; i++)
    start (&s->children[i]);
  loop_run (s->loop);
  unlink (pid_path (s, "kubus"));
  return 0;
}

int
launcher_supervise (const struct launcher *l, int ready_fd)
{
  struct supervisor s = {.l = l, .ready_fd = ready_fd, .notify_fd = -1};
  struct err err = {0};
  int r;
  signal (SIGPIPE, SIG_IGN);
  if ((r = run (&s, &err))) {
    log_error ("cannot supervise", "error=\"%s\"", err.text);
    tell (&s, err.text);
  }
  if (s.notify_fd >= 0)
    close (s.notify_fd);
  arena_done (&s.arena);
  return r ? 1 : 0;
}
