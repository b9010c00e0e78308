#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/mem.h"

#define CAPTURE_DEFAULT_BYTES (64u << 10)
#define CAPTURE_GRACE_MS 1000
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct proc {
  struct loop *loop;
  pid_t pid;
  int pidfd;
  int fds[3]; /* our ends */
  struct loop_watch *exit_watch, *watches[3];
  struct loop_timer *grace, *timeout;
  struct buf captured[3], input;
  size_t input_sent, capture_limit;
  bool group, exited, truncated, abandoned, finishing;
  int status;
  proc_exit_cb on_exit;
  void *arg;
};

/* What the child does before exec; every allocation is done before the fork. */
struct plan {
  const struct proc_config *config;
  char *const *paths; /* candidates of argv[0] in order, NULL-terminated */
  char *const *argv, *const *env;
  int stdio[3];
  int tty; /* the pty's slave, -1 */
  int report;
  pid_t parent;
};

extern char **environ;

static void
proc_free (struct proc *p)
{
  if (!p)
    return;
  loop_watch_free (p->exit_watch);
  loop_timer_free (p->grace);
  loop_timer_free (p->timeout);
  for (int i = 0; i < 3; i++) {
    loop_watch_free (p->watches[i]);
    if (p->fds[i] >= 0)
      close (p->fds[i]);
    buf_done (&p->captured[i]);
  }
  buf_done (&p->input);
  if (p->pidfd >= 0)
    close (p->pidfd);
  free (p);
}

/* In the child. What failed is told by errno and one letter. */
static _Noreturn void
child_fail (const struct plan *plan, char where)
{
  int32_t report[2] = {errno, where};
  (void) !write (plan->report, report, sizeof report);
  _exit (127);
}

static void
child_stdio (const struct plan *plan)
{
  int high[3];
  /* First out of the way of 0, 1 and 2, then into place. */
  for (int i = 0; i < 3; i++)
    if ((high[i] = fcntl (plan->stdio[i], F_DUPFD_CLOEXEC, 10)) < 0)
      child_fail (plan, 'd');
  for (int i = 0; i < 3; i++)
    if (dup2 (high[i], i) < 0)
      child_fail (plan, 'd');
}

static void
child_signals (void)
{
  sigset_t none;
  for (int i = 1; i < NSIG; i++)
    if (i != SIGKILL && i != SIGSTOP)
      signal (i, SIG_DFL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
}

static _Noreturn void
child_run (const struct plan *plan)
{
  const struct proc_config *c = plan->config;
  int denied = 0;
  child_signals ();
  if (c->die_with_parent && (prctl (PR_SET_PDEATHSIG, SIGKILL) || getppid () != plan->parent))
    _exit (127);
  if ((c->pty || c->new_session) && setsid () < 0)
    child_fail (plan, 's');
  if (c->new_group && !c->pty && !c->new_session && setpgid (0, 0))
    child_fail (plan, 's');
  if (plan->tty >= 0 && ioctl (plan->tty, TIOCSCTTY, 0))
    child_fail (plan, 't');
  child_stdio (plan);
  /* The report's descriptor is moved past what a namespace descriptor could be; all but stdio closes at exec. */
  for (size_t i = 0; i < c->ns_count; i++)
    if (setns (c->ns_fds[i], 0))
      child_fail (plan, 'n');
  syscall (SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
  if (c->cwd && chdir (c->cwd))
    child_fail (plan, 'c');
  for (char *const *p = plan->paths; *p; p++) {
    execve (*p, plan->argv, plan->env);
    if (errno == EACCES)
      denied = 1;
    else if (errno != ENOENT && errno != ENOTDIR)
      child_fail (plan, 'e');
  }
  errno = denied ? EACCES : ENOENT;
  child_fail (plan, 'e');
}

/* The files that argv[0] may mean, as one allocation. */
static char **
exec_paths (const struct proc_config *c)
{
  const char *name = c->argv[0], *path = NULL;
  size_t name_len = strlen (name), n = 1;
  char **out, *text;
  for (const char *const *e = c->env ? c->env : (const char *const *) environ; e && *e; e++)
    if (!strncmp (*e, "PATH=", 5))
      path = *e + 5;
  if (!path || !*path)
    path = PATH_DEFAULT;
  if (strchr (name, '/'))
    path = "";
  for (const char *p = path; *p; p++)
    n += *p == ':';
  out = malloc ((n + 1) * sizeof *out + strlen (path) + n * (name_len + 3));
  if (!out)
    return NULL;
  text = (char *) (out + n + 1);
  if (!*path) {
    memcpy (text, name, name_len + 1);
    out[0] = text;
    out[1] = NULL;
    return out;
  }
  for (size_t i = 0; i < n; i++) {
    size_t len = strcspn (path, ":");
    out[i] = text;
    text = mempcpy (text, len ? path : ".", len ? len : 1);
    *text++ = '/';
    text = mempcpy (text, name, name_len + 1);
    path += len + (path[len] == ':');
  }
  out[n] = NULL;
  return out;
}

static int
open_stdio (const struct proc_config *c, const struct proc_stdio *io, int which, int *ret_child, int *ret_ours, struct err *err)
{
  int fds[2];
  switch (io->kind) {
  case PROC_NULL:
    *ret_child = open ("/dev/null", O_RDWR | O_CLOEXEC);
    return *ret_child >= 0 ? 0 : err_errno (err, errno, "/dev/null");
  case PROC_INHERIT:
  case PROC_FD:
    *ret_child = fcntl (io->kind == PROC_INHERIT ? which : io->fd, F_DUPFD_CLOEXEC, 3);
    return *ret_child >= 0 ? 0 : err_errno (err, errno, "stdio %d of %s", which, c->argv[0]);
  case PROC_STDOUT:
    return which == 2 ? 0 : err_set (err, ERR_INVALID, "stdio %d: only stderr can follow stdout", which);
  case PROC_PIPE:
  case PROC_CAPTURE:
  case PROC_INPUT:
    break;
  }
  if ((io->kind == PROC_INPUT && which) || (io->kind == PROC_CAPTURE && !which))
    return err_set (err, ERR_INVALID, "stdio %d of %s: wrong kind", which, c->argv[0]);
  if (pipe2 (fds, O_CLOEXEC))
    return err_errno (err, errno, "pipe");
  *ret_child = fds[which ? 1 : 0];
  *ret_ours = fds[which ? 0 : 1];
  fcntl (*ret_ours, F_SETFL, fcntl (*ret_ours, F_GETFL) | O_NONBLOCK);
  return 0;
}

static int
open_pty (const struct proc_config *c, int child[3], int ours[3], int *ret_tty, struct err *err)
{
  struct winsize size = {.ws_row = c->rows ? c->rows : 24, .ws_col = c->cols ? c->cols : 80};
  int master, slave;
  if (openpty (&master, &slave, NULL, NULL, &size))
    return err_errno (err, errno, "pseudo-terminal");
  fcntl (master, F_SETFD, FD_CLOEXEC);
  fcntl (master, F_SETFL, O_RDWR | O_NONBLOCK);
  fcntl (slave, F_SETFD, FD_CLOEXEC);
  ours[0] = master;
  *ret_tty = child[0] = slave;
  for (int i = 1; i < 3; i++)
    if ((child[i] = fcntl (slave, F_DUPFD_CLOEXEC, 3)) < 0)
      return err_errno (err, errno, "pseudo-terminal");
  return 0;
}

static const char *
step_text (int where)
{
  switch (where) {
  case 's':
    return "new session or group";
  case 't':
    return "controlling terminal";
  case 'n':
    return "enter namespace";
  case 'c':
    return "working directory";
  case 'd':
    return "standard streams";
  default:
    return "execute";
  }
}

/* Forks; returns when the child has become the program, or has told why it could not. */
static int
start_child (struct plan *plan, pid_t *ret_pid, struct err *err)
{
  int report[2], status;
  int32_t told[2];
  sigset_t all, old;
  ssize_t n;
  pid_t pid;
  if (pipe2 (report, O_CLOEXEC))
    return err_errno (err, errno, "pipe");
  plan->report = report[1];
  plan->parent = getpid ();
  /* No handler of ours may run in the child before it has reset them. */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  pid = fork ();
  if (!pid)
    child_run (plan);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  close (report[1]);
  if (pid < 0) {
    close (report[0]);
    return err_errno (err, errno, "start %s", plan->argv[0]);
  }
  while ((n = read (report[0], told, sizeof told)) < 0 && errno == EINTR)
    ;
  close (report[0]);
  if (n == 0) {
    *ret_pid = pid;
    return 0;
  }
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    ;
  if (n != sizeof told)
    return err_set (err, ERR_IO, "start %s: no report from the child", plan->argv[0]);
  if (told[1] == 'e')
    return err_errno (err, told[0], "%s", plan->argv[0]);
  return err_errno (err, told[0], "start %s: %s", plan->argv[0], step_text (told[1]));
}

static void
finish (struct proc *p)
{
  struct proc_exit e = {.truncated = p->truncated, .out = &p->captured[1], .err = &p->captured[2]};
  if (p->finishing)
    return;
  p->finishing = true;
  if (WIFSIGNALED (p->status)) {
    e.signal = WTERMSIG (p->status);
    e.code = 128 + e.signal;
  } else
    e.code = WEXITSTATUS (p->status);
  if (p->on_exit && !p->abandoned)
    p->on_exit (p->arg, p, &e);
  proc_free (p);
}

static void
on_grace (void *arg)
{
  finish (arg);
}

static void
finish_if_done (struct proc *p)
{
  if (!p->exited)
    return;
  if (!p->watches[1] && !p->watches[2])
    finish (p);
  else if (!loop_timer_armed (p->grace))
    loop_timer_set (p->grace, CAPTURE_GRACE_MS);
}

static void
on_child_exit (void *arg, int fd, int events)
{
  struct proc *p = arg;
  pid_t got;
  (void) fd;
  (void) events;
  while ((got = waitpid (p->pid, &p->status, WNOHANG)) < 0 && errno == EINTR)
    ;
  if (!got)
    return;
  if (got < 0)
    p->status = 0; /* SIGCHLD is ignored by this process: the status is lost */
  p->exited = true;
  loop_watch_set (p->exit_watch, 0);
  if (p->timeout)
    loop_timer_cancel (p->timeout);
  finish_if_done (p);
}

static void
end_capture (struct proc *p, int which)
{
  loop_watch_free (p->watches[which]);
  p->watches[which] = NULL;
  close (mem_take_fd (&p->fds[which]));
}

static void
on_output (void *arg, int fd, int events)
{
  struct proc *p = arg;
  int which = fd == p->fds[2] ? 2 : 1;
  struct buf *out = &p->captured[which];
  char piece[16384];
  (void) events;
  for (;;) {
    ssize_t n = read (fd, piece, sizeof piece);
    size_t room = p->capture_limit - out->len;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (n <= 0) {
      end_capture (p, which);
      finish_if_done (p);
      return;
    }
    if ((size_t) n > room) {
      p->truncated = true;
      n = (ssize_t) room;
    }
    buf_append (out, piece, (size_t) n);
  }
}

static void
on_input (void *arg, int fd, int events)
{
  struct proc *p = arg;
  ssize_t n = write (fd, p->input.data + p->input_sent, p->input.len - p->input_sent);
  (void) events;
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n > 0)
    p->input_sent += (size_t) n;
  if (n < 0 || p->input_sent == p->input.len) /* EPIPE: the child wants no more */
    end_capture (p, 0);
}

static void
on_timeout (void *arg)
{
  struct proc *p = arg;
  (void) proc_kill (p, SIGKILL, NULL);
}

/* Everything that can fail for want of memory, before the fork. */
static int
prepare (struct proc *p, const struct proc_config *c, struct err *err)
{
  const struct proc_stdio *io[3] = {&c->in, &c->out, &c->err};
  p->on_exit = c->on_exit;
  p->arg = c->arg;
  p->group = c->new_group || c->new_session || c->pty;
  p->capture_limit = c->capture_limit_bytes ? c->capture_limit_bytes : CAPTURE_DEFAULT_BYTES;
  if (!(p->grace = loop_timer_new (p->loop, on_grace, p)) ||
      (c->timeout_ms > 0 && !(p->timeout = loop_timer_new (p->loop, on_timeout, p))))
    return err_set (err, ERR_NOMEM, "start %s", c->argv[0]);
  if (c->pty)
    return 0;
  if (c->in.kind == PROC_INPUT) {
    buf_append (&p->input, c->input, c->input_len);
    if (p->input.failed || !(p->watches[0] = loop_watch_fd (p->loop, p->fds[0], LOOP_WRITE, on_input, p)))
      return err_set (err, ERR_NOMEM, "start %s", c->argv[0]);
  }
  for (int i = 1; i < 3; i++)
    if (io[i]->kind == PROC_CAPTURE && !(p->watches[i] = loop_watch_fd (p->loop, p->fds[i], LOOP_READ, on_output, p)))
      return err_set (err, ERR_NOMEM, "start %s", c->argv[0]);
  return 0;
}

/* Our environment without what the service manager said to us alone: a child that took NOTIFY_SOCKET for its own would speak in
   our name (and crun tries to proxy it). NULL: out of memory. */
static char **
own_env (void)
{
  static const char *const private_[] = {"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES="};
  size_t n = 0, at = 0;
  char **env;
  while (environ[n])
    n++;
  if (!(env = mem_zalloc ((n + 1) * sizeof *env)))
    return NULL;
  for (size_t i = 0; i < n; i++) {
    bool ours = false;
    for (size_t k = 0; k < sizeof private_ / sizeof private_[0]; k++)
      ours |= !strncmp (environ[i], private_[k], strlen (private_[k]));
    if (!ours)
      env[at++] = environ[i];
  }
  return env;
}

int
proc_spawn (struct loop *loop, const struct proc_config *c, struct proc **ret, struct err *err)
{
  int child[3] = {-1, -1, -1}, r = 0;
  struct plan plan = {.config = c, .argv = (char *const *) (uintptr_t) c->argv, .tty = -1};
  const struct proc_stdio *io[3] = {&c->in, &c->out, &c->err};
  AUTO_FREE char **paths = NULL;
  AUTO_FREE char **env = own_env ();
  struct proc *p;
  REQUIRE (c->argv && c->argv[0]);
  if (!(p = mem_zalloc (sizeof *p)) || !env || !(paths = exec_paths (c))) {
    free (p);
    return err_set (err, ERR_NOMEM, "start %s", c->argv[0]);
  }
  p->loop = loop;
  p->pidfd = p->fds[0] = p->fds[1] = p->fds[2] = -1;
  if (c->pty)
    r = open_pty (c, child, p->fds, &plan.tty, err);
  for (int i = 0; !r && !c->pty && i < 3; i++)
    r = open_stdio (c, io[i], i, &child[i], &p->fds[i], err);
  if (!r && (r = prepare (p, c, err)) == 0) {
    plan.paths = paths;
    plan.env = c->env ? (char *const *) (uintptr_t) c->env : env;
    for (int i = 0; i < 3; i++)
      plan.stdio[i] = !c->pty && io[i]->kind == PROC_STDOUT ? child[1] : child[i];
    r = start_child (&plan, &p->pid, err);
  }
  for (int i = 0; i < 3; i++)
    if (child[i] >= 0)
      close (child[i]);
  if (!r) {
    p->pidfd = (int) syscall (SYS_pidfd_open, p->pid, 0);
    if (p->pidfd < 0 || !(p->exit_watch = loop_watch_fd (loop, p->pidfd, LOOP_READ, on_child_exit, p))) {
      r = p->pidfd < 0 ? err_errno (err, errno, "pidfd") : err_set (err, ERR_NOMEM, "start %s", c->argv[0]);
      kill (p->pid, SIGKILL);
      while (waitpid (p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    }
  }
  if (r) {
    proc_free (p);
    return r;
  }
  if (p->timeout)
    loop_timer_set (p->timeout, c->timeout_ms);
  if (ret)
    *ret = p;
  return 0;
}

pid_t
proc_pid (const struct proc *p)
{
  return p->pid;
}

int
proc_fd (const struct proc *p, int which)
{
  return p->watches[which] ? -1 : p->fds[which];
}

int
proc_take_fd (struct proc *p, int which)
{
  return p->watches[which] ? -1 : mem_take_fd (&p->fds[which]);
}

int
proc_kill (struct proc *p, int signo, struct err *err)
{
  if (p->exited)
    return err_set (err, ERR_NOT_FOUND, "process %d has exited", (int) p->pid);
  /* Not reaped, so neither the pid nor the group of that number can be another's. */
  if (p->group ? kill (-p->pid, signo) : (int) syscall (SYS_pidfd_send_signal, p->pidfd, signo, NULL, 0))
    return errno == ESRCH ? err_set (err, ERR_NOT_FOUND, "process %d has exited", (int) p->pid)
                          : err_errno (err, errno, "signal process %d", (int) p->pid);
  return 0;
}

int
proc_resize (struct proc *p, uint16_t rows, uint16_t cols, struct err *err)
{
  struct winsize size = {.ws_row = rows, .ws_col = cols};
  if (p->fds[0] < 0 || ioctl (p->fds[0], TIOCSWINSZ, &size))
    return err_errno (err, errno, "resize terminal");
  return 0;
}

void
proc_abandon (struct proc *p)
{
  if (!p || p->finishing)
    return;
  p->abandoned = true;
  if (p->exited)
    finish (p);
}

struct run {
  bool done;
  int code;
  struct buf *out, *err;
};

static void
run_exit (void *arg, struct proc *proc, const struct proc_exit *e)
{
  struct run *run = arg;
  (void) proc;
  if (run->out)
    buf_append (run->out, e->out->data, e->out->len);
  if (run->err)
    buf_append (run->err, e->err->data, e->err->len);
  run->code = e->code;
  run->done = true;
}

int
proc_run (const struct proc_config *config, struct buf *out, struct buf *errout, struct err *err)
{
  struct proc_config c = *config;
  struct run run = {.out = out, .err = errout};
  struct loop *loop = loop_new (err);
  int r;
  if (!loop)
    return ERR_NOMEM;
  c.on_exit = run_exit;
  c.arg = &run;
  if (out && !c.pty)
    c.out.kind = PROC_CAPTURE;
  if (errout && !c.pty)
    c.err.kind = PROC_CAPTURE;
  r = proc_spawn (loop, &c, NULL, err);
  while (!r && !run.done)
    loop_step (loop, 1000);
  loop_free (loop);
  return r ? r : run.code;
}
