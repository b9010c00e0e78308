#include "services/ctl/ctl.h"

const struct ctl_verb ctl_verbs[] = {
    {"get", "TYPE[,TYPE] [NAME...] | TYPE/NAME...", "print objects", "namespace all-namespaces output selector field-selector watch no-headers show-labels show-managed-fields ignore-not-found", 1, -1, verb_get},
    {"describe", "TYPE [NAME...] | TYPE/NAME...", "print objects in detail, with their events", "namespace all-namespaces selector", 1, -1, verb_describe},
    {"apply", "-f FILE", "make objects as a manifest says (server-side apply)", "filename namespace force-conflicts output", 0, 0, verb_apply},
    {"create", "-f FILE", "make new objects of a manifest", "filename namespace output", 0, 0, verb_create},
    {"delete", "TYPE NAME... | TYPE/NAME... | -f FILE", "delete objects", "filename namespace selector all grace-period cascade no-wait timeout ignore-not-found", 0, -1, verb_delete},
    {"logs", "POD", "print a container's output", "namespace container follow previous timestamps tail since-seconds", 1, 1, verb_logs},
    {"exec", "POD -- COMMAND [ARG...]", "run a command in a container", "namespace container stdin tty", 2, -1, verb_exec},
    {"scale", "TYPE/NAME... --replicas=N", "set how many replicas there are", "namespace replicas", 1, -1, verb_scale},
    {"rollout status", "TYPE/NAME", "wait until a rollout is complete", "namespace timeout no-wait", 1, 2, verb_rollout_status},
    {"rollout restart", "TYPE/NAME...", "replace all pods, as the strategy says", "namespace", 1, -1, verb_rollout_restart},
    {"version", "", "print the versions of this program and of the server", "output", 0, 0, verb_version},
    {"api-resources", "", "print the resource types", "api-group no-headers", 0, 0, verb_api_resources},
    {"trace", "TYPE/NAME", "print what led to an object's changes and what they led to", "namespace store revision no-headers", 1, 2, verb_trace},
    {"store status", "", "print the state of a store's member", "store", 0, 0, verb_store_status},
    {"image import", "FILE", "put an image archive (OCI or docker) into a node's store", "kubelet", 1, 1, verb_image_import},
    {"image list", "", "print a node's images", "kubelet", 0, 0, verb_image_list},
    {"image remove", "IMAGE...", "remove images of a node", "kubelet", 1, -1, verb_image_remove},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
