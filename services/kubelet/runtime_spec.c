/* config.json of a container: pod, container and image become an OCI runtime specification (1.0). */
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/log.h"
#include "services/kubelet/expand.h"
#include "services/kubelet/quantity.h"
#include "services/kubelet/runtime_internal.h"
#include "services/kubelet/runtime_user.h"

struct spec {
  struct crun *c;
  const struct container_config *cc;
  struct arena *a;
  const struct value *pod_security, *security, *image; /* security contexts; image.config */
  bool privileged, host_network, host_pid, host_ipc;
  struct value *root, *process, *linux_, *mounts;
  struct value *env; /* name -> value, in order */
  struct user_identity user;
};

/* The container's setting, else the pod's. */
static const struct value *
setting (const struct spec *s, const char *name)
{
  const struct value *v = value_get (s->security, name);
  return value_is_null (v) ? value_get (s->pod_security, name) : v;
}

static const char *
lookup_env (void *arg, const char *name, size_t n)
{
  struct spec *s = arg;
  return value_as_string (value_get_n (s->env, name, n), NULL);
}

static void
build_env (struct spec *s)
{
  struct value *list = value_array (s->a);
  s->env = value_map (s->a);
  value_set_string (s->a, s->env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  value_set_string (s->a, s->env, "HOSTNAME", s->cc->hostname);
  value_set_string (s->a, s->env, "HOME", s->user.home);
  if (value_path_bool (s->cc->container, "tty", false))
    value_set_string (s->a, s->env, "TERM", "xterm");
  for (value_items (value_get (s->image, "Env"), it)) {
    const char *text = value_as_string (*it, ""), *eq = strchr (text, '=');
    if (eq)
      value_set_n (s->a, s->env, text, (size_t) (eq - text), value_string (s->a, eq + 1));
  }
  for (value_items (s->cc->env, it))
    value_set_string (s->a, s->env, value_path_string (*it, "name", ""), value_path_string (*it, "value", ""));
  for (value_each (s->env, m))
    value_append (s->a, list, value_printf (s->a, "%s=%s", m->key, value_as_string (m->value, "")));
  value_set (s->a, s->process, "env", list);
}

static void
append_expanded (struct spec *s, struct value *to, const struct value *words, bool expanded)
{
  for (value_items (words, it)) {
    const char *word = value_as_string (*it, "");
    value_append (s->a, to, value_string (s->a, expanded ? expand (s->a, word, lookup_env, s) : word));
  }
}

static int
build_args (struct spec *s, struct err *err)
{
  const struct value *command = value_get (s->cc->container, "command"), *args = value_get (s->cc->container, "args");
  struct value *list = value_array (s->a);
  if (value_count (command)) {
    append_expanded (s, list, command, true);
    append_expanded (s, list, args, true);
  } else {
    append_expanded (s, list, value_get (s->image, "Entrypoint"), false);
    if (value_count (args))
      append_expanded (s, list, args, true);
    else
      append_expanded (s, list, value_get (s->image, "Cmd"), false);
  }
  if (!value_count (list))
    return err_set (err, ERR_INVALID, "no command specified");
  value_set (s->a, s->process, "args", list);
  return 0;
}

static int
build_user (struct spec *s, const char *rootfs, struct err *err)
{
  struct value *user = value_map (s->a), *groups = value_array (s->a);
  const struct value *fs_group = value_get (s->pod_security, "fsGroup");
  int rc;
  if ((rc = user_lookup (rootfs, value_path_string (s->image, "User", ""), value_as_int (setting (s, "runAsUser"), -1),
                         value_as_int (setting (s, "runAsGroup"), -1), &s->user, err)))
    return rc;
  if (value_as_bool (setting (s, "runAsNonRoot"), false)) {
    if (s->user.uid == 0)
      return err_set (err, ERR_DENIED, value_is_null (setting (s, "runAsUser"))
                                           ? "container has runAsNonRoot and image will run as root"
                                           : "container's runAsUser breaks non-root policy");
    if (s->user.by_name && value_is_null (setting (s, "runAsUser")))
      return err_set (err, ERR_DENIED, "container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root",
                      value_path_string (s->image, "User", ""));
  }
  for (size_t i = 0; i < s->user.n_groups; i++)
    value_append (s->a, groups, value_int (s->a, s->user.groups[i]));
  for (value_items (value_get (s->pod_security, "supplementalGroups"), it))
    value_append (s->a, groups, value_int (s->a, value_as_int (*it, 0)));
  if (!value_is_null (fs_group))
    value_append (s->a, groups, value_int (s->a, value_as_int (fs_group, 0)));
  value_set_int (s->a, user, "uid", s->user.uid);
  value_set_int (s->a, user, "gid", s->user.gid);
  value_set (s->a, user, "additionalGids", groups);
  value_set (s->a, s->process, "user", user);
  return 0;
}

static const char *const all_caps[] = {
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
    "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    "PERFMON", "BPF", "CHECKPOINT_RESTORE"};
#define CAPS_COUNT (sizeof all_caps / sizeof *all_caps)
/* containerd's default set. */
static const char *const default_caps[] = {"CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP",
                                           "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"};

static int
cap_index (const char *name)
{
  if (!strncasecmp (name, "CAP_", 4))
    name += 4;
  for (size_t i = 0; i < CAPS_COUNT; i++)
    if (!strcasecmp (name, all_caps[i]))
      return (int) i;
  return -1;
}

/* What this kubelet may itself give: its effective capabilities. */
static uint64_t
own_caps (void)
{
  struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct d[2] = {{0}, {0}};
  if (syscall (SYS_capget, &h, d))
    return 0;
  return d[0].effective | (uint64_t) d[1].effective << 32;
}

static void
build_caps (struct spec *s)
{
  static const char *const sets[] = {"bounding", "effective", "permitted"};
  const struct value *caps = value_get (s->security, "capabilities");
  struct value *map = value_map (s->a), *list = value_array (s->a);
  uint64_t mask = 0;
  const uint64_t all = (1ull << CAPS_COUNT) - 1;
  for (size_t i = 0; i < sizeof default_caps / sizeof *default_caps; i++)
    mask |= 1ull << cap_index (default_caps[i]);
  if (s->privileged)
    mask = all;
  for (value_items (value_get (caps, "add"), it))
    if (!strcasecmp (value_as_string (*it, ""), "ALL"))
      mask = all;
  for (value_items (value_get (caps, "drop"), it)) {
    int i = cap_index (value_as_string (*it, ""));
    if (!strcasecmp (value_as_string (*it, ""), "ALL"))
      mask = 0;
    else if (i >= 0)
      mask &= ~(1ull << i);
  }
  for (value_items (value_get (caps, "add"), it)) {
    int i = cap_index (value_as_string (*it, ""));
    if (i >= 0)
      mask |= 1ull << i;
  }
  mask &= own_caps ();
  for (size_t i = 0; i < CAPS_COUNT; i++)
    if (mask >> i & 1)
      value_append (s->a, list, value_printf (s->a, "CAP_%s", all_caps[i]));
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
    value_set (s->a, map, sets[i], list);
  value_set (s->a, s->process, "capabilities", map);
}

/* Best effort: what RuntimeDefault profiles refuse everywhere. */
static void
build_seccomp (struct spec *s)
{
  static const char *const denied[] = {"acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module",
                                       "finit_module", "get_kernel_syms", "init_module", "ioperm", "iopl", "kcmp", "kexec_file_load",
                                       "kexec_load", "keyctl", "lookup_dcookie", "move_pages", "nfsservctl", "open_by_handle_at",
                                       "perf_event_open", "personality", "query_module", "quotactl", "reboot", "request_key", "settimeofday",
                                       "swapoff", "swapon", "_sysctl", "sysfs", "userfaultfd", "uselib", "ustat", "vm86", "vm86old"};
  const char *type = value_path_string (setting (s, "seccompProfile"), "type", "Unconfined");
  struct value *p, *rules, *rule, *names;
  if (s->privileged || strcmp (type, "RuntimeDefault") != 0)
    return;
  p = value_map (s->a);
  rules = value_array (s->a);
  rule = value_map (s->a);
  names = value_array (s->a);
  for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
    value_append (s->a, names, value_string (s->a, denied[i]));
  value_set (s->a, rule, "names", names);
  value_set_string (s->a, rule, "action", "SCMP_ACT_ERRNO");
  value_append (s->a, rules, rule);
  value_set_string (s->a, p, "defaultAction", "SCMP_ACT_ALLOW");
  value_set (s->a, p, "syscalls", rules);
  value_set (s->a, s->linux_, "seccomp", p);
}

static void
add_mount (struct spec *s, const char *type, const char *source, const char *target, const char *options)
{
  struct value *m = value_map (s->a), *list = value_array (s->a);
  value_set_string (s->a, m, "destination", target);
  value_set_string (s->a, m, "type", type);
  value_set_string (s->a, m, "source", source);
  for (const char *p = options; *p;) {
    size_t n = strcspn (p, ",");
    value_append (s->a, list, value_string_n (s->a, p, n));
    p += n + (p[n] == ',');
  }
  value_set (s->a, m, "options", list);
  value_append (s->a, s->mounts, m);
}

static bool
mount_below (const struct container_config *cc, const char *target)
{
  for (size_t i = 0; i < cc->n_mounts; i++)
    if (!strcmp (cc->mounts[i].target, target))
      return true;
  return false;
}

static void
build_mounts (struct spec *s)
{
  const struct container_config *cc = s->cc;
  const char *uid = value_path_string (cc->pod, "metadata.uid", "");
  s->mounts = value_array (s->a);
  add_mount (s, "proc", "proc", "/proc", "nosuid,noexec,nodev");
  add_mount (s, "tmpfs", "tmpfs", "/dev", "nosuid,strictatime,mode=755,size=65536k");
  add_mount (s, "devpts", "devpts", "/dev/pts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
  if (s->host_ipc)
    add_mount (s, "bind", "/dev/mqueue", "/dev/mqueue", "rbind,nosuid,noexec,nodev");
  else
    add_mount (s, "mqueue", "mqueue", "/dev/mqueue", "nosuid,noexec,nodev");
  add_mount (s, "sysfs", "sysfs", "/sys", s->privileged ? "nosuid,noexec,nodev,rw" : "nosuid,noexec,nodev,ro");
  if (s->c->cgroups.unified)
    add_mount (s, "cgroup", "cgroup", "/sys/fs/cgroup", s->privileged ? "nosuid,noexec,nodev,relatime,rw" : "nosuid,noexec,nodev,relatime,ro");
  if (!mount_below (cc, "/dev/shm")) {
    if (s->host_ipc)
      add_mount (s, "bind", "/dev/shm", "/dev/shm", "rbind");
    else
      add_mount (s, "bind", arena_printf (s->a, "%s/run/ns/%s/shm", s->c->dir, uid), "/dev/shm", "rbind,rprivate,nosuid,noexec,nodev");
  }
  for (size_t i = 0; i < cc->n_mounts; i++) {
    const struct container_mount *m = &cc->mounts[i];
    add_mount (s, "bind", m->source, m->target,
               arena_printf (s->a, "rbind,%s,%s", m->propagation ? m->propagation : "rprivate", m->read_only ? "ro" : "rw"));
  }
  value_set (s->a, s->root, "mounts", s->mounts);
}

static void
add_strings (struct arena *a, struct value *map, const char *key, const char *const *list, size_t n)
{
  struct value *v = value_array (a);
  for (size_t i = 0; i < n; i++)
    value_append (a, v, value_string (a, list[i]));
  value_set (a, map, key, v);
}

static void
add_namespace (struct spec *s, struct value *list, const char *type, const char *path)
{
  struct value *v = value_map (s->a);
  value_set_string (s->a, v, "type", type);
  value_set_string (s->a, v, "path", path);
  value_append (s->a, list, v);
}

static void
build_namespaces (struct spec *s)
{
  const char *dir = arena_printf (s->a, "%s/run/ns/%s", s->c->dir, value_path_string (s->cc->pod, "metadata.uid", ""));
  struct value *list = value_array (s->a);
  const char *pid_ns = arena_printf (s->a, "%s/pid", dir);
  add_namespace (s, list, "mount", NULL);
  add_namespace (s, list, "uts", arena_printf (s->a, "%s/uts", dir));
  if (!s->host_network)
    add_namespace (s, list, "network", arena_printf (s->a, "%s/net", dir));
  if (!s->host_ipc)
    add_namespace (s, list, "ipc", arena_printf (s->a, "%s/ipc", dir));
  if (!s->host_pid)
    add_namespace (s, list, "pid", value_path_bool (s->cc->pod, "spec.shareProcessNamespace", false) ? pid_ns : NULL);
  if (s->c->cgroups.unified)
    add_namespace (s, list, "cgroup", NULL);
  value_set (s->a, s->linux_, "namespaces", list);
}

/* Every device of the node, for privileged containers. */
static void
build_devices (struct spec *s)
{
  static const char *const skip[] = {"pts", "shm", "fd", "mqueue", "console", "ptmx", "null", "zero", "full", "random", "urandom", "tty"};
  struct value *list = value_array (s->a);
  DIR *d = s->privileged ? opendir ("/dev") : NULL;
  struct dirent *e;
  while (d && (e = readdir (d))) {
    struct value *v;
    struct stat st;
    bool skipped = e->d_name[0] == '.';
    for (size_t i = 0; i < sizeof skip / sizeof *skip; i++)
      skipped |= !strcmp (e->d_name, skip[i]);
    if (skipped || fstatat (dirfd (d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) || (!S_ISCHR (st.st_mode) && !S_ISBLK (st.st_mode)))
      continue;
    v = value_map (s->a);
    value_set (s->a, v, "path", value_printf (s->a, "/dev/%s", e->d_name));
    value_set_string (s->a, v, "type", S_ISCHR (st.st_mode) ? "c" : "b");
    value_set_int (s->a, v, "major", major (st.st_rdev));
    value_set_int (s->a, v, "minor", minor (st.st_rdev));
    value_set_int (s->a, v, "fileMode", st.st_mode & 0777);
    value_set_int (s->a, v, "uid", st.st_uid);
    value_set_int (s->a, v, "gid", st.st_gid);
    value_append (s->a, list, v);
  }
  if (d)
    closedir (d);
  value_set (s->a, s->linux_, "devices", list);
}

/* Upstream's rule (pkg/kubelet/qos). Without CAP_SYS_RESOURCE a process cannot go below its own value. */
static void
build_oom_score (struct spec *s)
{
  static _Atomic bool warned;
  const struct value *requests = value_path (s->cc->container, "resources.requests");
  const char *qos = value_path_string (s->cc->pod, "status.qosClass", "");
  int64_t request = quantity_value (value_get (requests, "memory")), score, own = 0;
  struct buf b AUTO_BUF = BUF_INIT;
  if (!strcmp (qos, "Guaranteed"))
    score = -997;
  else if (!strcmp (qos, "BestEffort") || s->cc->node_memory_bytes <= 0)
    score = 1000;
  else
    score = 1000 - (int64_t) (1000.0 * (double) request / (double) s->cc->node_memory_bytes);
  if (strcmp (qos, "Guaranteed") != 0 && score < 3)
    score = 3;
  if (!strcmp (qos, "Burstable") && score > 999)
    score = 999;
  if (!file_read ("/proc/self/oom_score_adj", 64, &b, NULL))
    own = strtol (buf_cstr (&b), NULL, 10);
  if (score < own && !(own_caps () >> CAP_SYS_RESOURCE & 1)) {
    if (!warned)
      log_warn ("no CAP_SYS_RESOURCE: containers keep the kubelet's oom_score_adj", "wanted=%lld used=%lld", (long long) score, (long long) own);
    warned = true;
    score = own;
  }
  value_set_int (s->a, s->process, "oomScoreAdj", score);
}

static void
build_linux (struct spec *s)
{
  static const char *const masked[] = {"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                                       "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"};
  static const char *const readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  bool unmasked = s->privileged || !strcmp (value_path_string (s->security, "procMount", ""), "Unmasked");
  struct cgroup_limits l;
  build_namespaces (s);
  build_devices (s);
  build_seccomp (s);
  if (!unmasked) {
    add_strings (s->a, s->linux_, "maskedPaths", masked, sizeof masked / sizeof *masked);
    add_strings (s->a, s->linux_, "readonlyPaths", readonly, sizeof readonly / sizeof *readonly);
  }
  /* Propagation out of the container needs its root not to be private. */
  value_set_string (s->a, s->linux_, "rootfsPropagation", "rprivate");
  for (size_t i = 0; i < s->cc->n_mounts; i++)
    if (s->cc->mounts[i].propagation)
      value_set_string (s->a, s->linux_, "rootfsPropagation", !strcmp (s->cc->mounts[i].propagation, "rshared") ? "rshared" : "rslave");
  if (s->c->cgroups.unified) {
    value_set (s->a, s->linux_, "cgroupsPath", value_printf (s->a, "/%s/%s", s->cc->cgroup_parent, s->cc->id));
    cgroup_limits_of (value_get (s->cc->container, "resources"), &l);
    value_set_path (s->a, s->linux_, "resources.cpu.shares", value_int (s->a, l.cpu_shares));
    if (l.cpu_quota_us) {
      value_set_path (s->a, s->linux_, "resources.cpu.quota", value_int (s->a, l.cpu_quota_us));
      value_set_path (s->a, s->linux_, "resources.cpu.period", value_int (s->a, l.cpu_period_us));
    }
    if (l.memory_bytes)
      value_set_path (s->a, s->linux_, "resources.memory.limit", value_int (s->a, l.memory_bytes));
  }
}

int
spec_build (struct crun *c, const struct container_config *cc, const char *rootfs, struct arena *a, struct value **ret, struct err *err)
{
  struct spec s = {.c = c, .cc = cc, .a = a};
  const char *cwd = value_path_string (cc->container, "workingDir", "");
  const struct value *escalation;
  int rc;
  s.pod_security = value_path (cc->pod, "spec.securityContext");
  s.security = value_get (cc->container, "securityContext");
  s.image = value_get (cc->image->config, "config");
  s.privileged = value_path_bool (s.security, "privileged", false);
  s.host_network = value_path_bool (cc->pod, "spec.hostNetwork", false);
  s.host_pid = value_path_bool (cc->pod, "spec.hostPID", false);
  s.host_ipc = value_path_bool (cc->pod, "spec.hostIPC", false);
  s.root = value_map (a);
  s.process = value_map (a);
  s.linux_ = value_map (a);
  if ((rc = build_user (&s, rootfs, err)))
    return rc;
  build_env (&s);
  if ((rc = build_args (&s, err)))
    return rc;
  if (!*cwd)
    cwd = value_path_string (s.image, "WorkingDir", "");
  value_set_string (a, s.process, "cwd", *cwd ? cwd : "/");
  value_set_bool (a, s.process, "terminal", value_path_bool (cc->container, "tty", false));
  escalation = value_get (s.security, "allowPrivilegeEscalation");
  value_set_bool (a, s.process, "noNewPrivileges", !value_is_null (escalation) && !value_as_bool (escalation, true));
  build_caps (&s);
  build_oom_score (&s);
  build_linux (&s);
  value_set_string (a, s.root, "ociVersion", "1.0.0");
  value_set (a, s.root, "process", s.process);
  value_set_path (a, s.root, "root.path", value_string (a, rootfs));
  value_set_path (a, s.root, "root.readonly", value_bool (a, value_path_bool (s.security, "readOnlyRootFilesystem", false)));
  build_mounts (&s);
  value_set (a, s.root, "linux", s.linux_);
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "container specification");
  *ret = s.root;
  return 0;
}
