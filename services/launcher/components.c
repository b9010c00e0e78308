#include <stddef.h>

#include "services/launcher/launcher.h"

#define ARGS(...) \
  (const char *const[]) \
  { \
    __VA_ARGS__, NULL \
  }

const struct component components[] = {
    {"store", "kubus-store", "kubus:store", "kubus:stores", ARGS ("--dir=$DIR")},
    {"apiserver", "kubus-apiserver", "system:apiserver", "kubus:apiservers,system:masters",
     ARGS ("--dir=$DIR", "--secure-port=$PORT", "--advertise-address=$IP")},
    {"controller", "kubus-controller", "system:kube-controller-manager", "", ARGS ("--dir=$DIR")},
    {"scheduler", "kubus-scheduler", "system:kube-scheduler", "", ARGS ("--dir=$DIR")},
    {"kubelet", "kubus-kubelet", "system:node:$NODE", "system:nodes", ARGS ("--dir=$DIR", "--node-name=$NODE", "--node-ip=$IP")},
    {"proxy", "kubus-proxy", "system:kube-proxy", "", ARGS ("--dir=$DIR", "--node-name=$NODE")},
    {"dns", "kubus-dns", "system:kube-dns", "", ARGS ("--dir=$DIR")},
};
const size_t n_components = sizeof components / sizeof components[0];
