/* $(VAR) in commands, arguments and env values: Kubernetes' third_party/forked/golang/expansion. */
#ifndef KUBELET_EXPAND_H
#define KUBELET_EXPAND_H

#include "base/mem.h"

/* The value of a variable, NULL when there is none: the reference then stays as it is. */
typedef const char *(*expand_lookup_cb) (void *arg, const char *name, size_t n);
/* "$(A)" becomes A's value, "$$" a "$"; anything else stays. In the arena. */
const char *expand (struct arena *a, const char *text, expand_lookup_cb lookup, void *arg);

#endif
