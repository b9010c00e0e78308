/* Containers and sandboxes, behind a vtable: crun with conmon in production (runtime_crun.c), memory in tests
   (runtime_fake.c). Functions marked "blocks" are called from pool threads, the others from the loop's.

   Names. A container's id is the SHA-256 of "POD-UID/CONTAINER/ATTEMPT" in hex, so that what runs is found again without a
   table. Its state is in $DIR/kubelet/containers/ID (the OCI bundle): config.json, rootfs (overlay), record.json, attach (conmon's
   socket), ctl and winsz (conmon's fifos), pid, conmon.pid; and $DIR/run/exits/ID once it has ended. A pod's namespaces are
   pinned at $DIR/run/ns/UID/{net,ipc,uts}. Containers and their monitors outlive the kubelet. */
#ifndef KUBELET_RUNTIME_H
#define KUBELET_RUNTIME_H

#include <netinet/in.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/proc.h"
#include "schemas/value.h"
#include "services/kubelet/image.h"

#define CONTAINER_ID_SIZE 65
#define SANDBOX_IPS_MAX 2

void container_id (const char *pod_uid, const char *container, unsigned attempt, char out[CONTAINER_ID_SIZE]);

enum container_state { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED };

/* What is known of a container that exists; strings in the arena of whoever asked. */
struct container_record {
  const char *id, *pod_uid, *pod_namespace, *pod_name, *container;
  unsigned attempt;
  enum container_state state;
  int exit_code;           /* EXITED; 128 + n after signal n; 255 when nobody saw it */
  bool oom_killed;
  int64_t created_us, started_us, finished_us; /* wall clock; 0: not yet */
  const char *image, *image_id, *manifest;     /* as asked for; config digest; manifest digest */
  const char *log_path;
  bool tty, stdin_, stdin_once;
  int pid;
};

struct sandbox_config {
  const struct value *pod;    /* the Pod; metadata.uid, spec */
  const char *uid, *hostname;
  const char *cgroup_parent;  /* "kubus/burstable/podUID" */
};
struct sandbox_status {
  bool ready;
  size_t n_ips;
  char ips[SANDBOX_IPS_MAX][INET6_ADDRSTRLEN];
};

struct container_mount {
  const char *source;      /* path on the node */
  const char *target;      /* in the container */
  bool read_only;
  const char *propagation; /* NULL or "rslave", "rshared" */
};
struct container_config {
  const char *id;
  const struct value *pod, *container; /* API trees; container is of containers or initContainers */
  unsigned attempt;
  const struct image *image;
  const struct value *env;       /* [{name, value}] final, without the image's */
  const struct container_mount *mounts;
  size_t n_mounts;
  const char *cgroup_parent;
  const char *hostname;
  const char *log_path;
  const char *termination_path;  /* file on the node behind terminationMessagePath; NULL */
  int64_t node_memory_bytes;     /* for oom_score_adj */
};

/* Ends of containers; called in the loop's thread. */
typedef void (*runtime_exit_cb) (void *arg, const struct container_record *record);

struct runtime;
struct runtime_vtable {
  int (*sandbox_run) (struct runtime *r, const struct sandbox_config *c, struct sandbox_status *ret, struct err *err);
  int (*sandbox_get) (struct runtime *r, const char *uid, bool host_network, struct sandbox_status *ret);
  int (*sandbox_remove) (struct runtime *r, const char *uid, struct err *err);
  int (*container_create) (struct runtime *r, const struct container_config *c, struct err *err);
  int (*container_start) (struct runtime *r, const char *id, struct err *err);
  int (*container_signal) (struct runtime *r, const char *id, int signo, struct err *err);
  int (*container_remove) (struct runtime *r, const char *id, struct err *err);
  int (*container_get) (struct runtime *r, const char *id, struct arena *a, struct container_record *ret, struct err *err);
  int (*container_list) (struct runtime *r, struct arena *a, struct container_record **ret, size_t *ret_count, struct err *err);
  int (*container_watch) (struct runtime *r, const char *id, struct err *err);
  int (*exec) (struct runtime *r, const char *id, const struct proc_config *stdio, const char *const *argv, struct proc **ret, struct err *err);
  int (*pod_list) (struct runtime *r, char ***ret_uids, size_t *ret_count, struct err *err);
  int (*image_resolve) (struct runtime *r, const char *ref, struct image **ret, struct err *err);
  int (*image_pull) (struct runtime *r, const char *ref, const char *auth_json, struct err *err);
  void (*free) (struct runtime *r);
};
struct runtime {
  const struct runtime_vtable *vtable;
  runtime_exit_cb on_exit;
  void *on_exit_arg;
};

/* Blocks. Namespaces, network, cgroup of a pod. Done already: answers as before. On failure nothing of it is left. */
static inline int
runtime_sandbox_run (struct runtime *r, const struct sandbox_config *c, struct sandbox_status *ret, struct err *err)
{
  return r->vtable->sandbox_run (r, c, ret, err);
}
/* ready false when there is none, or its namespaces are gone (a reboot). */
static inline int
runtime_sandbox_get (struct runtime *r, const char *uid, bool host_network, struct sandbox_status *ret)
{
  return r->vtable->sandbox_get (r, uid, host_network, ret);
}
/* Blocks. Its containers are to be removed before. Removed already: 0. */
static inline int
runtime_sandbox_remove (struct runtime *r, const char *uid, struct err *err)
{
  return r->vtable->sandbox_remove (r, uid, err);
}
/* Blocks. Root file system, bundle, monitor; the process waits for start. On failure nothing of it is left. */
static inline int
runtime_container_create (struct runtime *r, const struct container_config *c, struct err *err)
{
  return r->vtable->container_create (r, c, err);
}
static inline int /* blocks */
runtime_container_start (struct runtime *r, const char *id, struct err *err)
{
  return r->vtable->container_start (r, id, err);
}
/* To its first process; SIGKILL reaches all of it. ERR_NOT_FOUND when it has ended. */
static inline int
runtime_container_signal (struct runtime *r, const char *id, int signo, struct err *err)
{
  return r->vtable->container_signal (r, id, signo, err);
}
/* Blocks. Kills it if need be. The log stays. Removed already: 0. */
static inline int
runtime_container_remove (struct runtime *r, const char *id, struct err *err)
{
  return r->vtable->container_remove (r, id, err);
}
/* ERR_NOT_FOUND. */
static inline int
runtime_container_get (struct runtime *r, const char *id, struct arena *a, struct container_record *ret, struct err *err)
{
  return r->vtable->container_get (r, id, a, ret, err);
}
/* Every container of this node, ended ones too. Blocks a little: for the start. */
static inline int
runtime_container_list (struct runtime *r, struct arena *a, struct container_record **ret, size_t *ret_count, struct err *err)
{
  return r->vtable->container_list (r, a, ret, ret_count, err);
}
/* on_exit will be called once when (or as soon as the loop runs, if) it has ended. */
static inline int
runtime_container_watch (struct runtime *r, const char *id, struct err *err)
{
  return r->vtable->container_watch (r, id, err);
}
/* Runs a command in a running container on the loop. stdio gives in, out, err, pty, rows, cols, timeout_ms, capture and on_exit; the
   rest is filled in. For kubectl exec (the HTTPS server) and for exec probes and hooks. */
static inline int
runtime_exec (struct runtime *r, const char *id, const struct proc_config *stdio, const char *const *argv, struct proc **ret, struct err *err)
{
  return r->vtable->exec (r, id, stdio, argv, ret, err);
}
/* Pods that have a sandbox, whole or broken: free (*ret_uids). */
static inline int
runtime_pod_list (struct runtime *r, char ***ret_uids, size_t *ret_count, struct err *err)
{
  return r->vtable->pod_list (r, ret_uids, ret_count, err);
}
static inline int
runtime_image_resolve (struct runtime *r, const char *ref, struct image **ret, struct err *err)
{
  return r->vtable->image_resolve (r, ref, ret, err);
}
static inline int /* blocks, for minutes */
runtime_image_pull (struct runtime *r, const char *ref, const char *auth_json, struct err *err)
{
  return r->vtable->image_pull (r, ref, auth_json, err);
}
static inline void
runtime_free (struct runtime *r)
{
  if (r)
    r->vtable->free (r);
}

/* ---- the real one ---- */
struct runtime_crun_config {
  struct loop *loop;
  struct image_store *images; /* the caller's */
  const char *dir;            /* $DIR: kubelet/ and run/ are below it */
  const char *pod_cidr;       /* may be NULL until runtime_crun_set_pod_cidr: sandboxes fail till then */
  const char *bridge;         /* "kubus0" */
  const char *cni_bin;        /* "/usr/lib/cni" */
  int mtu;                    /* 0: the plugin's choice */
};
struct runtime *runtime_crun_new (const struct runtime_crun_config *config, struct err *err);
/* Configures the pod network: conflist, forwarding, masquerading. */
int runtime_crun_set_pod_cidr (struct runtime *r, const char *pod_cidr, struct err *err);
/* $DIR/kubelet/containers/ID/attach: conmon's SOCK_SEQPACKET socket; one byte of stream number (1 stdin/pty, 2 stdout, 3 stderr) leads each
   packet from conmon, none leads packets to it. Freed by the caller. Connect through /proc/self/fd when it is too long. */
char *runtime_crun_attach_path (const struct runtime *r, const char *id);
/* Write "1 HEIGHT WIDTH\n" here to resize the container's terminal. Freed by the caller. */
char *runtime_crun_resize_path (const struct runtime *r, const char *id);

#endif
