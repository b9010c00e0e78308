/* Child processes on a loop. The exit is seen through a pidfd, so no SIGCHLD handler exists and no pid is ever mistaken.
   A child starts with no descriptor of ours but its stdio, default signal dispositions and an empty signal mask. */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"

enum proc_stdio_kind {
  PROC_NULL = 0, /* /dev/null */
  PROC_INHERIT,  /* ours */
  PROC_FD,       /* the given descriptor, borrowed for the call */
  PROC_PIPE,     /* a pipe; our end, non-blocking, from proc_fd; the caller watches it */
  PROC_CAPTURE,  /* collected, to capture_limit_bytes; the rest is read and dropped. out and err only */
  PROC_INPUT,    /* in only: the bytes of config.input are written, then closed */
  PROC_STDOUT,   /* err only: wherever out goes */
};
struct proc_stdio {
  enum proc_stdio_kind kind;
  int fd;
};

struct proc;
struct proc_exit {
  int code;   /* exit status, or 128 + signal */
  int signal; /* 0: it exited by itself */
  bool truncated;              /* captured output was cut at the limit */
  const struct buf *out, *err; /* captured; valid during the callback */
};
/* Called once, in the loop's thread, after the exit and after captured output reached its end (or 1 s after the exit when
   some grandchild holds the pipe). proc is freed when it returns. */
typedef void (*proc_exit_cb) (void *arg, struct proc *proc, const struct proc_exit *exit);

struct proc_config {
  const char *const *argv; /* NULL-terminated; argv[0] without a slash is searched in PATH */
  const char *const *env;  /* NULL: ours, without what the service manager told us alone */
  const char *cwd;         /* NULL: ours */
  struct proc_stdio in, out, err;
  const void *input;       /* for PROC_INPUT; copied */
  size_t input_len;
  bool pty;                /* a pseudo-terminal is stdin, stdout, stderr and controlling terminal; ours is proc_fd (p, 0) */
  uint16_t rows, cols;     /* of the pty; 0: 24x80 */
  const int *ns_fds;       /* setns in this order before exec. Not a pid or user namespace */
  size_t ns_count;
  bool new_group;          /* a process group of its own: proc_kill reaches the whole group */
  bool new_session;        /* setsid (implies new_group; a pty implies it) */
  bool die_with_parent;    /* PR_SET_PDEATHSIG SIGKILL */
  size_t capture_limit_bytes; /* each of out and err; 0: 64 KiB */
  int64_t timeout_ms;      /* > 0: SIGKILL after that */
  proc_exit_cb on_exit;
  void *arg;
};

/* Starts the child. ERR_NOT_FOUND, ERR_DENIED when it cannot be executed (exec's own error is reported here, naming argv[0]),
   ERR_BUSY out of processes. On success *ret (may be NULL) is valid until on_exit returns or proc_abandon. */
int proc_spawn (struct loop *loop, const struct proc_config *config, struct proc **ret, struct err *err);
pid_t proc_pid (const struct proc *p);
/* Our end of stdin (0), stdout (1) or stderr (2), -1 when none. Stays the proc's unless taken. */
int proc_fd (const struct proc *p, int which);
int proc_take_fd (struct proc *p, int which);
/* ERR_NOT_FOUND when it has exited already. */
int proc_kill (struct proc *p, int signo, struct err *err);
int proc_resize (struct proc *p, uint16_t rows, uint16_t cols, struct err *err); /* pty only */
/* Forgets the child without waiting: on_exit will not be called; it runs on and is reaped in the background. NULL allowed. */
void proc_abandon (struct proc *p);

/* For programs without a loop and for tests: runs to the end. exit->out and err are appended to out and errout (may be NULL).
   Returns the exit code (>= 0) or ERR_*. */
int proc_run (const struct proc_config *config, struct buf *out, struct buf *errout, struct err *err);

#endif
