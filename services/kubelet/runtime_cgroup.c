/* Control groups, v2 and v1 (with or without the unified hierarchy beside it). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "base/file.h"
#include "base/log.h"
#include "services/kubelet/quantity.h"
#include "services/kubelet/runtime_internal.h"

static const char *const controller_names[CGROUP_COUNT] = {"cpu", "cpuset", "memory", "pids", "devices", "freezer", "cpuacct"};

int
cgroups_init (struct cgroups *g, struct err *err)
{
  FILE *f;
  struct mntent *m;
  struct statfs fs;
  *g = (struct cgroups) {0};
  if (!statfs ("/sys/fs/cgroup", &fs) && (uint32_t) fs.f_type == CGROUP2_SUPER_MAGIC) {
    g->unified = true;
    return (g->mounts[0] = mem_strdup ("/sys/fs/cgroup")) ? 0 : err_set (err, ERR_NOMEM, "cgroups");
  }
  if (!(f = setmntent ("/proc/self/mounts", "re")))
    return err_errno (err, errno, "/proc/self/mounts");
  while ((m = getmntent (f))) {
    if (strcmp (m->mnt_type, "cgroup") != 0)
      continue;
    for (int i = 0; i < CGROUP_COUNT; i++)
      if (!g->mounts[i] && hasmntopt (m, controller_names[i]))
        g->mounts[i] = mem_strdup (m->mnt_dir);
  }
  endmntent (f);
  for (int i = CGROUP_CPU; i <= CGROUP_PIDS; i++)
    if (!g->mounts[i])
      log_warn ("cgroup controller is missing, its limits are not enforced", "controller=%s", controller_names[i]);
  return 0;
}

void
cgroups_done (struct cgroups *g)
{
  for (int i = 0; i < CGROUP_COUNT; i++)
    free (g->mounts[i]);
  *g = (struct cgroups) {0};
}

static int
put (const char *dir, const char *file, const char *text)
{
  char path[4096];
  int fd AUTO_CLOSE = -1;
  if ((size_t) snprintf (path, sizeof path, "%s/%s", dir, file) >= sizeof path)
    return -ENAMETOOLONG;
  if ((fd = open (path, O_WRONLY | O_CLOEXEC)) < 0 || write (fd, text, strlen (text)) < 0)
    return -errno;
  return 0;
}

static int
put_number (const char *dir, const char *file, int64_t n)
{
  char text[32];
  snprintf (text, sizeof text, "%lld", (long long) n);
  return put (dir, file, text);
}

static bool
get (const char *dir, const char *file, char *out, size_t size)
{
  char path[4096];
  int fd AUTO_CLOSE = -1;
  ssize_t n;
  if ((size_t) snprintf (path, sizeof path, "%s/%s", dir, file) >= sizeof path)
    return false;
  if ((fd = open (path, O_RDONLY | O_CLOEXEC)) < 0 || (n = read (fd, out, size - 1)) < 0)
    return false;
  out[n] = 0;
  return true;
}

/* A v1 cpuset group takes no process before its cpus and mems are set, and they must be the parent's or less. */
static void
inherit_cpuset (const char *dir)
{
  static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
  char parent[4096], text[4096];
  const char *slash = strrchr (dir, '/');
  snprintf (parent, sizeof parent, "%.*s", (int) (slash - dir), dir);
  for (int i = 0; i < 2; i++)
    if (get (dir, files[i], text, sizeof text) && text[0] <= '\n' && get (parent, files[i], text, sizeof text))
      (void) put (dir, files[i], text);
}

static int
make_v1 (const char *mount, const char *path, bool cpuset, struct err *err)
{
  char dir[4096];
  size_t base = strlen (mount);
  if ((size_t) snprintf (dir, sizeof dir, "%s/%s", mount, path) >= sizeof dir)
    return err_set (err, ERR_LIMIT, "cgroup %s: name too long", path);
  for (size_t i = base + 1; dir[i - 1]; i++) {
    char c = dir[i];
    if (c && c != '/')
      continue;
    dir[i] = 0;
    if (mkdir (dir, 0755) && errno != EEXIST)
      return err_errno (err, errno, "cgroup %s", dir);
    if (cpuset)
      inherit_cpuset (dir);
    dir[i] = c;
    if (!c)
      break;
  }
  return 0;
}

/* Written one by one: what the kernel lacks (swap accounting, bandwidth control) is not worth a failed pod. */
static void
limit (const char *dir, const char *file, int64_t n)
{
  static _Atomic bool warned[CGROUP_COUNT];
  int rc = n ? put_number (dir, file, n) : 0, k = 0;
  if (!rc)
    return;
  while (k < CGROUP_COUNT - 1 && strncmp (file, controller_names[k], strlen (controller_names[k])) != 0)
    k++;
  if (!warned[k]) {
    warned[k] = true;
    log_warn ("cgroup limit cannot be set, ignoring", "file=%s/%s value=%lld error=\"%s\"", dir, file, (long long) n, strerror (-rc));
  }
}

static void
limit_devices (const char *dir)
{
  static const char *const allow[] = {"c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",
                                      "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 rwm"};
  if (put (dir, "devices.deny", "a"))
    return;
  for (size_t i = 0; i < sizeof allow / sizeof *allow; i++)
    (void) put (dir, "devices.allow", allow[i]);
}

static int
create_v2 (const struct cgroups *g, const char *path, const struct cgroup_limits *l, struct err *err)
{
  static const char *const enable[] = {"+cpu", "+cpuset", "+memory", "+pids", "+io"};
  char dir[4096], text[64];
  size_t base = strlen (g->mounts[0]);
  if ((size_t) snprintf (dir, sizeof dir, "%s/%s", g->mounts[0], path) >= sizeof dir)
    return err_set (err, ERR_LIMIT, "cgroup %s: name too long", path);
  for (size_t i = base;; i++) {
    char c = dir[i];
    if (c && (c != '/' || i == base))
      if (i != base)
        continue;
    dir[i] = 0;
    if (i > base && mkdir (dir, 0755) && errno != EEXIST)
      return err_errno (err, errno, "cgroup %s", dir);
    if (c)
      for (size_t k = 0; k < sizeof enable / sizeof *enable; k++)
        (void) put (dir, "cgroup.subtree_control", enable[k]);
    dir[i] = c;
    if (!c)
      break;
  }
  if (l && l->cpu_shares)
    limit (dir, "cpu.weight", 1 + (l->cpu_shares - 2) * 9999 / 262142);
  if (l && l->cpu_quota_us) {
    snprintf (text, sizeof text, "%lld %lld", (long long) l->cpu_quota_us, (long long) l->cpu_period_us);
    (void) put (dir, "cpu.max", text);
  }
  if (l) {
    limit (dir, "memory.max", l->memory_bytes);
    limit (dir, "pids.max", l->pids);
  }
  return 0;
}

int
cgroups_create (const struct cgroups *g, const char *path, const struct cgroup_limits *l, struct err *err)
{
  int rc;
  if (g->unified)
    return create_v2 (g, path, l, err);
  for (int i = 0; i < CGROUP_COUNT; i++) {
    char dir[4096];
    if (!g->mounts[i])
      continue;
    if ((rc = make_v1 (g->mounts[i], path, i == CGROUP_CPUSET, err)))
      return rc;
    snprintf (dir, sizeof dir, "%s/%s", g->mounts[i], path);
    if (!l)
      continue;
    switch (i) {
    case CGROUP_CPU:
      limit (dir, "cpu.shares", l->cpu_shares);
      limit (dir, "cpu.cfs_period_us", l->cpu_quota_us ? l->cpu_period_us : 0);
      limit (dir, "cpu.cfs_quota_us", l->cpu_quota_us);
      break;
    case CGROUP_MEMORY:
      limit (dir, "memory.limit_in_bytes", l->memory_bytes);
      break;
    case CGROUP_PIDS:
      limit (dir, "pids.max", l->pids);
      break;
    case CGROUP_DEVICES:
      if (l->restrict_devices)
        limit_devices (dir);
      break;
    default:
      break;
    }
  }
  return 0;
}

int
cgroups_enter (const struct cgroups *g, const char *path, int pid, struct err *err)
{
  for (int i = 0; i < (g->unified ? 1 : CGROUP_COUNT); i++) {
    char dir[4096];
    int rc;
    if (!g->mounts[i])
      continue;
    snprintf (dir, sizeof dir, "%s/%s", g->mounts[i], path);
    if ((rc = put_number (dir, "cgroup.procs", pid)))
      return err_errno (err, -rc, "cgroup %s: enter process %d", dir, pid);
  }
  return 0;
}

static void
remove_below (const char *dir)
{
  DIR *d = opendir (dir);
  struct dirent *e;
  if (!d)
    return;
  while ((e = readdir (d))) {
    char path[4096];
    if (e->d_type != DT_DIR || !strcmp (e->d_name, ".") || !strcmp (e->d_name, ".."))
      continue;
    if ((size_t) snprintf (path, sizeof path, "%s/%s", dir, e->d_name) < sizeof path)
      remove_below (path);
  }
  closedir (d);
  (void) rmdir (dir);
}

void
cgroups_remove (const struct cgroups *g, const char *path)
{
  for (int i = 0; i < (g->unified ? 1 : CGROUP_COUNT); i++) {
    char dir[4096];
    if (g->mounts[i] && (size_t) snprintf (dir, sizeof dir, "%s/%s", g->mounts[i], path) < sizeof dir)
      remove_below (dir);
  }
}

void
cgroups_kill (const struct cgroups *g, const char *path, int signo)
{
  static const int order[] = {CGROUP_PIDS, CGROUP_FREEZER, CGROUP_CPU, CGROUP_MEMORY};
  char file[4096], line[32];
  const char *mount = NULL;
  FILE *f;
  for (size_t i = 0; !mount && i < sizeof order / sizeof *order; i++)
    mount = g->unified ? g->mounts[0] : g->mounts[order[i]];
  if (!mount)
    return;
  snprintf (file, sizeof file, "%s/%s/cgroup.procs", mount, path);
  if (!(f = fopen (file, "re")))
    return;
  while (fgets (line, sizeof line, f)) {
    long pid = strtol (line, NULL, 10);
    if (pid > 1)
      (void) kill ((pid_t) pid, signo);
  }
  fclose (f);
}

static const char *
memory_dir (const struct cgroups *g, const char *path, char *dir, size_t size)
{
  const char *mount = g->unified ? g->mounts[0] : g->mounts[CGROUP_MEMORY];
  if (!mount || (size_t) snprintf (dir, size, "%s/%s", mount, path) >= size)
    return NULL;
  return dir;
}

bool
cgroups_oom_killed (const struct cgroups *g, const char *path)
{
  char dir[4096], text[1024], *p;
  if (!memory_dir (g, path, dir, sizeof dir) || !get (dir, g->unified ? "memory.events" : "memory.oom_control", text, sizeof text))
    return false;
  p = strstr (text, "oom_kill ");
  return p && strtol (p + 9, NULL, 10) > 0;
}

bool
cgroups_usage (const struct cgroups *g, const char *path, uint64_t *ret_cpu_ns, uint64_t *ret_memory_bytes)
{
  char dir[4096], text[8192], *p;
  uint64_t memory, inactive = 0;
  if (!memory_dir (g, path, dir, sizeof dir) || !get (dir, g->unified ? "memory.current" : "memory.usage_in_bytes", text, sizeof text))
    return false;
  memory = strtoull (text, NULL, 10);
  if (get (dir, "memory.stat", text, sizeof text) && (p = strstr (text, g->unified ? "inactive_file " : "total_inactive_file ")))
    inactive = strtoull (strchr (p, ' '), NULL, 10);
  *ret_memory_bytes = memory > inactive ? memory - inactive : 0;
  if (g->unified) {
    if (!get (dir, "cpu.stat", text, sizeof text) || strncmp (text, "usage_usec ", 11) != 0)
      return false;
    *ret_cpu_ns = strtoull (text + 11, NULL, 10) * 1000;
    return true;
  }
  if (!g->mounts[CGROUP_CPUACCT])
    return false;
  snprintf (dir, sizeof dir, "%s/%s", g->mounts[CGROUP_CPUACCT], path);
  if (!get (dir, "cpuacct.usage", text, sizeof text))
    return false;
  *ret_cpu_ns = strtoull (text, NULL, 10);
  return true;
}

void
cgroup_limits_of (const struct value *resources, struct cgroup_limits *ret)
{
  const struct value *requests = value_get (resources, "requests"), *limits = value_get (resources, "limits");
  const struct value *cpu = value_get (requests, "cpu") ? value_get (requests, "cpu") : value_get (limits, "cpu");
  int64_t milli = quantity_milli (cpu), limit_milli = quantity_milli (value_get (limits, "cpu"));
  *ret = (struct cgroup_limits) {.restrict_devices = true};
  ret->cpu_shares = milli * 1024 / 1000;
  if (ret->cpu_shares < 2)
    ret->cpu_shares = 2;
  if (ret->cpu_shares > 262144)
    ret->cpu_shares = 262144;
  if (limit_milli > 0) {
    ret->cpu_period_us = 100000;
    ret->cpu_quota_us = limit_milli * 100;
    if (ret->cpu_quota_us < 1000)
      ret->cpu_quota_us = 1000;
  }
  ret->memory_bytes = quantity_value (value_get (limits, "memory"));
}
