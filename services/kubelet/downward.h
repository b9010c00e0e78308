/* What a pod may learn about itself: fieldRef and resourceFieldRef, for env and downwardAPI volumes; and what a container's env is. */
#ifndef KUBELET_DOWNWARD_H
#define KUBELET_DOWNWARD_H

#include "base/mem.h"
#include "schemas/value.h"

struct node_facts { /* of this node; strings are the kubelet's */
  const char *name;
  const char *host_ips[2];
  size_t n_host_ips;
  const char *cluster_domain;
  const char *cluster_dns[3];
  size_t n_cluster_dns;
  int64_t cpu_milli, memory_bytes, ephemeral_bytes;
};
struct pod_ips { /* of the sandbox, or the node's for hostNetwork */
  const char *ips[2];
  size_t n;
};

/* The text of a fieldPath ("metadata.labels['app']", "status.podIP", "metadata.annotations"); ERR_INVALID when unsupported. */
int downward_field (const struct value *pod, const char *path, const struct node_facts *node, const struct pod_ips *ips, struct arena *a,
                    const char **ret, struct err *err);
/* A resourceFieldRef {containerName, resource, divisor}; container: when containerName is absent. An absent limit is the node's. */
int downward_resource (const struct value *pod, const struct value *container, const struct value *ref, const struct node_facts *node,
                       struct arena *a, const char **ret, struct err *err);

/* A container's env as [{name, value}], in upstream's order: services, envFrom, env with $(VAR) expanded.
   refs: see refs.h. ERR_NOT_FOUND names the missing ConfigMap, Secret or key (CreateContainerConfigError). */
int env_build (const struct value *pod, const struct value *container, const struct value *refs, const struct node_facts *node,
               const struct pod_ips *ips, struct arena *a, struct value **ret, struct err *err);

#endif
