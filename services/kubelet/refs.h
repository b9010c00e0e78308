/* The objects that a pod's volumes, environment and pulls refer to. They are one map, kept with the pod's checkpoint so that it can
   start with no server reachable:
     "configmaps/NAME", "secrets/NAME"  the object; null: the server says there is none
     "services"                         Services of the pod's namespace, and default/kubernetes
     "tokens/VOLUME/INDEX"              TokenRequest status {token, expirationTimestamp} */
#ifndef KUBELET_REFS_H
#define KUBELET_REFS_H

#include "base/mem.h"
#include "schemas/value.h"

/* [{key, resource, name, ...}] of what the pod needs; tokens also carry {audience, expirationSeconds, serviceAccount}. */
struct value *refs_needed (const struct value *pod, struct arena *a);

/* The pull secrets of the pod as one docker config.json text, NULL when there is none. Appends to out. */
const char *refs_pull_auth (const struct value *pod, const struct value *refs, struct arena *a);

/* base64 of Secret.data to bytes in the arena; NULL when it is not base64. *ret_len without the NUL that is added. */
char *refs_base64 (struct arena *a, const char *text, size_t n, size_t *ret_len);

#endif
