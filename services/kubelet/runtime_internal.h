/* What the files of the crun runtime share. */
#ifndef KUBELET_RUNTIME_INTERNAL_H
#define KUBELET_RUNTIME_INTERNAL_H

#include <pthread.h>

#include "base/map.h"
#include "services/kubelet/runtime.h"

struct cgroups {
  bool unified;          /* v2 alone: crun makes the containers' groups; else we do, in every v1 hierarchy (crun 1.8 refuses hybrid) */
  char *mounts[8];       /* v1: mount point per controller below; v2: [0] */
};
enum { CGROUP_CPU, CGROUP_CPUSET, CGROUP_MEMORY, CGROUP_PIDS, CGROUP_DEVICES, CGROUP_FREEZER, CGROUP_CPUACCT, CGROUP_COUNT };

/* Limits; 0: none. */
struct cgroup_limits {
  int64_t cpu_shares, cpu_quota_us, cpu_period_us, memory_bytes, pids;
  bool restrict_devices;
};
int cgroups_init (struct cgroups *g, struct err *err);
void cgroups_done (struct cgroups *g);
/* Makes the group path ("kubus/besteffort/podX/ID") with its parents. Controllers that are missing are skipped with one warning. */
int cgroups_create (const struct cgroups *g, const char *path, const struct cgroup_limits *limits, struct err *err);
int cgroups_enter (const struct cgroups *g, const char *path, int pid, struct err *err);
void cgroups_remove (const struct cgroups *g, const char *path); /* and what is below */
void cgroups_kill (const struct cgroups *g, const char *path, int signo);
bool cgroups_oom_killed (const struct cgroups *g, const char *path);
/* CPU time in ns and memory working set in bytes; false when unknown. */
bool cgroups_usage (const struct cgroups *g, const char *path, uint64_t *ret_cpu_ns, uint64_t *ret_memory_bytes);
/* From a container's or pod's resources (requests and limits). */
void cgroup_limits_of (const struct value *resources, struct cgroup_limits *ret);

struct watch;
struct crun {
  struct runtime base;
  struct loop *loop;
  struct image_store *images;
  char *dir;            /* absolute */
  char *crun_root;      /* DIR/run/crun */
  char *crun;           /* the program */
  char *bridge, *cni_bin, *pod_cidr;
  int mtu;
  pthread_mutex_t lock; /* pod_cidr, and the bridge plugin, which races with itself on the first pod */
  struct cgroups cgroups;
  struct map *watches;  /* id -> struct watch */
};

/* ---- runtime_ns.c ---- */
/* Makes and pins the namespaces; host_* ones are left out. Sets hostname, brings lo up, writes sysctls. */
int ns_create (const char *dir, const char *hostname, bool host_network, bool host_ipc, const struct value *sysctls, struct err *err);
int ns_remove (const char *dir, struct err *err);
bool ns_pinned (const char *path);

/* ---- runtime_cni.c ---- */
int cni_write_config (struct crun *c, struct err *err);
int cni_add (struct crun *c, const char *uid, const struct value *pod, const char *netns, struct sandbox_status *ret, struct err *err);
int cni_del (struct crun *c, const char *uid, const char *netns, struct err *err);
int cni_cached (struct crun *c, const char *uid, struct sandbox_status *ret);
int cni_host_setup (struct crun *c, struct err *err);

/* ---- runtime_spec.c ---- */
/* The OCI config.json of a container whose root file system is mounted at rootfs. */
int spec_build (struct crun *c, const struct container_config *cc, const char *rootfs, struct arena *a, struct value **ret, struct err *err);

/* ---- runtime_container.c: the vtable's container part ---- */
int crun_container_create (struct runtime *r, const struct container_config *cc, struct err *err);
int crun_container_start (struct runtime *r, const char *id, struct err *err);
int crun_container_signal (struct runtime *r, const char *id, int signo, struct err *err);
int crun_container_remove (struct runtime *r, const char *id, struct err *err);
char *crun_bundle (const struct crun *c, const char *id);
char *crun_path (const struct crun *c, const char *id, const char *name); /* a file of the bundle */

/* ---- runtime_state.c ---- */
int crun_container_get (struct runtime *r, const char *id, struct arena *a, struct container_record *ret, struct err *err);
int crun_container_list (struct runtime *r, struct arena *a, struct container_record **ret, size_t *ret_count, struct err *err);
int crun_container_watch (struct runtime *r, const char *id, struct err *err);
int crun_write_record (const struct crun *c, const struct container_record *rec, const char *cgroup, bool shared_pid, struct err *err);
int crun_exec (struct runtime *r, const char *id, const struct proc_config *stdio, const char *const *argv, struct proc **ret, struct err *err);
void watch_free (void *w);
/* The cgroup of a container, from its record. */
int crun_cgroup_of (const struct crun *c, const char *id, char *out, size_t size);

#endif
