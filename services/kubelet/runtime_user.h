/* See runtime_user.c. */
#ifndef KUBELET_RUNTIME_USER_H
#define KUBELET_RUNTIME_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define USER_GROUPS_MAX 64
struct user_identity {
  int64_t uid, gid;
  int64_t groups[USER_GROUPS_MAX]; /* supplementary, gid first */
  size_t n_groups;
  char home[256];
  bool by_name;                    /* the image names the user: runAsNonRoot cannot be checked then (as upstream) */
};
/* image_user: "", "1000", "app", "app:staff", "1000:1000". run_as_*: -1 when not set. Accounts without an entry get group 0.
   ERR_INVALID: a name that the root file system does not know. */
int user_lookup (const char *rootfs, const char *image_user, int64_t run_as_user, int64_t run_as_group, struct user_identity *ret,
                 struct err *err);

#endif
