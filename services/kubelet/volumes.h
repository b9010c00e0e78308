/* A pod's volumes and the files that every container gets, below the pod's folder ($DIR/kubelet/pods/UID):
     volumes/KIND/NAME         emptyDir, configMap, secret, projected, downwardAPI
     volume-subpaths/CONTAINER/INDEX  bind mounts of subPaths: what they point at cannot be swapped later
     etc-hosts resolv.conf hostname   mounted into each container
     containers/NAME/ATTEMPT   the termination message
   All functions block a little: pool threads. */
#ifndef KUBELET_VOLUMES_H
#define KUBELET_VOLUMES_H

#include "services/kubelet/downward.h"
#include "services/kubelet/runtime.h"

struct volumes_ctx {
  const char *dir;           /* of the pod */
  const struct value *pod, *refs;
  const struct node_facts *node;
  const struct pod_ips *ips; /* empty before the sandbox is there */
};

/* Makes what is not there and brings the contents of configMap, secret, projected and downwardAPI volumes up to date, each volume
   atomically (..data). Idempotent. Errors name the volume as upstream's FailedMount event does. */
int volumes_set_up (const struct volumes_ctx *x, struct err *err);
/* etc-hosts, resolv.conf, hostname: once the address is known. */
int volumes_write_files (const struct volumes_ctx *x, const char *hostname, struct err *err);
/* The mounts of a container (in the arena), its subPaths made ready; env is for subPathExpr. */
int volumes_mounts (const struct volumes_ctx *x, const struct value *container, unsigned attempt, const struct value *env, struct arena *a,
                    struct container_mount **ret, size_t *ret_count, struct err *err);
/* Path of the termination message's file on the node. */
const char *volumes_termination_path (const char *dir, const char *container, unsigned attempt, struct arena *a);
/* Unmounts all and removes the pod's folder. */
int volumes_tear_down (const char *dir, struct err *err);

/* atomic_writer.c: files = [{path, data, mode, owner}] become the content of dir, all at once; unchanged content is left alone. */
struct payload_file {
  const char *path; /* relative, no ".." */
  const void *data;
  size_t len;
  mode_t mode;
  int64_t uid, gid; /* -1: root, or as the folder */
};
int atomic_write (const char *dir, const struct payload_file *files, size_t n, struct err *err);

#endif
