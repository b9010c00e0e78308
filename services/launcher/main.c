/* kubus: runs a whole cluster on one machine. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "services/launcher/launcher.h"

#define UP_TIMEOUT_MS 60000

struct args {
  struct launcher l;
  char dir[PATH_MAX], bin[PATH_MAX], host[256], ip[64];
};

static int
usage (FILE *to)
{
  fprintf (to, "kubus: a Kubernetes cluster on this machine\n\n"
               "usage: kubus COMMAND [options]\n\n"
               "  up         start the cluster in the background and wait until it is Ready\n"
               "  down       stop it, in order\n"
               "  status     what runs\n"
               "  init       make keys, certificates and identities only (for the systemd units)\n"
               "  supervise  run in the foreground\n\n"
               "  --dir DIR          state directory ($KUBUS_DIR, else .kubus)\n"
               "  --secure-port N    of the API server (6443)\n"
               "  --node-name NAME   (this machine's host name)\n"
               "  --node-ip ADDRESS  (the first address that is not loopback)\n");
  return to == stdout ? 0 : 2;
}

static int
fill (struct args *a, const char *dir, struct err *err)
{
  ssize_t n;
  if (dir[0] == '/')
    snprintf (a->dir, sizeof a->dir, "%s", dir);
  else {
    char cwd[PATH_MAX - 256];
    if (!getcwd (cwd, sizeof cwd))
      return err_errno (err, errno, "current directory");
    snprintf (a->dir, sizeof a->dir, "%s/%.250s", cwd, dir);
  }
  if ((n = readlink ("/proc/self/exe", a->bin, sizeof a->bin - 1)) < 0)
    return err_errno (err, errno, "/proc/self/exe");
  a->bin[n] = 0;
  a->l.dir = a->dir;
  a->l.bin_dir = dirname (a->bin);
  a->l.service_ip = "10.96.0.1";
  return 0;
}

static int
parse (struct args *a, int argc, char **argv, struct err *err)
{
  static const struct option options[] = {{"dir", required_argument, NULL, 'd'},      {"secure-port", required_argument, NULL, 'p'},
                                          {"node-name", required_argument, NULL, 'n'}, {"node-ip", required_argument, NULL, 'i'},
                                          {NULL, 0, NULL, 0}};
  const char *dir = getenv ("KUBUS_DIR");
  long port = 6443;
  char *end;
  int c, r;
  if (!dir || !*dir)
    dir = ".kubus";
  while ((c = getopt_long (argc, argv, "", options, NULL)) != -1) {
    switch (c) {
    case 'd':
      dir = optarg;
      break;
    case 'p':
      port = strtol (optarg, &end, 10);
      if (*end || port < 1 || port > 65535)
        return err_set (err, ERR_INVALID, "--secure-port: \"%s\" is not in 1..65535", optarg);
      break;
    case 'n':
      a->l.node_name = optarg;
      break;
    case 'i':
      a->l.node_ip = optarg;
      break;
    default:
      return err_set (err, ERR_INVALID, "unknown option");
    }
  }
  if ((r = fill (a, dir, err)))
    return r;
  a->l.secure_port = (int) port;
  if (!a->l.node_name) {
    if (gethostname (a->host, sizeof a->host - 1))
      return err_errno (err, errno, "host name");
    a->l.node_name = a->host;
  }
  if (!a->l.node_ip) {
    if ((r = launcher_node_ip (a->ip, sizeof a->ip, err)))
      return r;
    a->l.node_ip = a->ip;
  }
  return 0;
}

static void
print_status (const struct launcher *l)
{
  printf ("%-12s %8s  %s\n", "COMPONENT", "PID", "ENDPOINT");
  for (size_t i = 0; i < n_components; i++) {
    const char *name = components[i].name;
    pid_t pid = launcher_pid (l, name);
    char pid_text[16] = "-";
    if (pid)
      snprintf (pid_text, sizeof pid_text, "%d", (int) pid);
    printf ("%-12s %8s  ", name, pid_text);
    if (!strcmp (name, "apiserver"))
      printf ("https://%s:%d\n", l->node_ip, l->secure_port);
    else if (!strcmp (name, "store"))
      printf ("ipc://%s/run/store.sock\n", l->dir);
    else
      printf ("%s/log/%s.log\n", l->dir, name);
  }
  printf ("\nkubeconfig: %s/admin.kubeconfig\n", l->dir);
}

/* In the child: a session of its own, the log as output. */
static void
detach (const struct launcher *l)
{
  char *path AUTO_FREE = mem_printf ("%s/log/kubus.log", l->dir);
  int log_fd = path ? open (path, O_WRONLY | O_CREAT | O_APPEND, 0640) : -1, null_fd = open ("/dev/null", O_RDONLY);
  setsid ();
  if (null_fd >= 0)
    dup2 (null_fd, 0);
  if (log_fd >= 0) {
    dup2 (log_fd, 1);
    dup2 (log_fd, 2);
  }
  for (int fd = 3; fd < 5; fd++)
    if (fd == log_fd || fd == null_fd)
      close (fd);
}

/* Waits for the supervisor's one line. */
static int
wait_ready (int fd, char *line, size_t size)
{
  size_t n = 0;
  mono_t begin = mono_now ();
  struct timeval tv = {1, 0};
  while (n + 1 < size && mono_ms_since (begin, mono_now ()) < UP_TIMEOUT_MS) {
    fd_set set;
    ssize_t got;
    FD_ZERO (&set);
    FD_SET (fd, &set);
    tv = (struct timeval){1, 0};
    if (select (fd + 1, &set, NULL, NULL, &tv) <= 0)
      continue;
    got = read (fd, line + n, size - 1 - n);
    if (got <= 0)
      break;
    n += (size_t) got;
  }
  line[n] = 0;
  return !strcmp (line, "ready\n");
}

static int
up (struct launcher *l, struct err *err)
{
  int fds[2], r;
  char line[1024];
  pid_t pid;
  mono_t begin = mono_now ();
  if (launcher_pid (l, "kubus")) {
    printf ("the cluster runs already\n\n");
    print_status (l);
    return 0;
  }
  if ((r = launcher_init (l, err)))
    return r;
  if (pipe2 (fds, O_CLOEXEC))
    return err_errno (err, errno, "pipe");
  if ((pid = fork ()) < 0)
    return err_errno (err, errno, "fork");
  if (!pid) {
    close (fds[0]);
    detach (l);
    _exit (launcher_supervise (l, fds[1]));
  }
  close (fds[1]);
  if (!wait_ready (fds[0], line, sizeof line)) {
    if (!line[0])
      return err_set (err, ERR_TIMEOUT, "the cluster is not ready after %d s: see %s/log", UP_TIMEOUT_MS / 1000, l->dir);
    line[strcspn (line, "\n")] = 0;
    return err_set (err, ERR_UNAVAILABLE, "%s", line);
  }
  printf ("the cluster is Ready after %lld ms\n\n", (long long) mono_ms_since (begin, mono_now ()));
  print_status (l);
  return 0;
}

static int
down (struct launcher *l, struct err *err)
{
  pid_t pid = launcher_pid (l, "kubus");
  mono_t begin = mono_now ();
  if (!pid) {
    printf ("no cluster runs in %s\n", l->dir);
    return 0;
  }
  if (kill (pid, SIGTERM))
    return err_errno (err, errno, "stop process %d", (int) pid);
  while (launcher_pid (l, "kubus")) {
    struct timespec ts = {0, 20000000};
    if (mono_ms_since (begin, mono_now ()) > 120000)
      return err_set (err, ERR_TIMEOUT, "process %d does not stop", (int) pid);
    nanosleep (&ts, NULL);
  }
  printf ("stopped\n");
  return 0;
}

int
main (int argc, char **argv)
{
  struct args a = {0};
  struct err err = {0};
  const char *command = argc > 1 ? argv[1] : "";
  int r;
  if (!strcmp (command, "--help") || !strcmp (command, "-h") || !strcmp (command, "help"))
    return usage (stdout);
  if (argc < 2)
    return usage (stderr);
  if (parse (&a, argc - 1, argv + 1, &err)) {
    fprintf (stderr, "kubus: %s\n", err.text);
    return usage (stderr);
  }
  log_init ("kubus", LOG_LEVEL_INFO);
  if (!strcmp (command, "up"))
    r = up (&a.l, &err);
  else if (!strcmp (command, "down"))
    r = down (&a.l, &err);
  else if (!strcmp (command, "init"))
    r = launcher_init (&a.l, &err);
  else if (!strcmp (command, "supervise")) {
    if (!(r = launcher_init (&a.l, &err)))
      return launcher_supervise (&a.l, -1);
  } else if (!strcmp (command, "status")) {
    print_status (&a.l);
    return launcher_pid (&a.l, "kubus") ? 0 : 3;
  } else {
    fprintf (stderr, "kubus: unknown command \"%s\"\n", command);
    return usage (stderr);
  }
  if (r)
    fprintf (stderr, "kubus: %s\n", err.text);
  return r ? 1 : 0;
}
