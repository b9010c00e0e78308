/* The controllers, and what their io files share. */
#ifndef SERVICES_CONTROLLER_CONTROLLERS_H
#define SERVICES_CONTROLLER_CONTROLLERS_H

#include "services/controller/controller.h"
#include "services/controller/meta.h"

extern const struct controller controller_replicaset, controller_deployment, controller_endpoints, controller_endpointslice,
    controller_serviceaccount, controller_root_ca, controller_namespace, controller_gc, controller_job, controller_daemonset,
    controller_node, controller_pod_gc;

/* Objects that owner owns and orphans of its namespace: what an owner may claim. */
struct value *controllers_owned_or_orphans (struct sync *s, const char *informer, const struct value *owner);
/* Adds the keys of the objects of informer, in o's namespace, whose spec.selector (a LabelSelector) matches o. */
void controllers_add_selecting (struct mapping *m, const char *informer, const struct value *o);

#endif
