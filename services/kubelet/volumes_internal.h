#ifndef KUBELET_VOLUMES_INTERNAL_H
#define KUBELET_VOLUMES_INTERNAL_H

#include "services/kubelet/volumes.h"

/* Where a volume lies on the node; NULL when its kind is not supported or memory ran out (a->failed). */
const char *volume_path (const struct volumes_ctx *x, const struct value *volume, struct arena *a);

#endif
