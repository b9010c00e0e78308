/* What Endpoints and EndpointSlices have in common: a Service's pods as backends. Pure. */
#ifndef SERVICES_CONTROLLER_BACKEND_H
#define SERVICES_CONTROLLER_BACKEND_H

#include "schemas/value.h"

/* The target port of a Service's port in pod: a number, or a named container port of the same protocol; 0: pod has none. */
int64_t backend_port (const struct value *pod, const struct value *service_port);
bool backend_headless (const struct value *service); /* clusterIP "None" */
/* The pod's first address of that family ("IPv4", "IPv6"); "" when it has none yet. */
const char *backend_address (const struct value *pod, const char *family);
struct value *backend_target (struct arena *a, const struct value *pod); /* an ObjectReference */
const char *backend_hostname (const struct value *pod, const struct value *service); /* "": none */
/* The Service's labels without reserved ones; "service.kubernetes.io/headless" when it is. */
struct value *backend_labels (struct arena *a, const struct value *service);
/* Whether the Service selects the pod (in its namespace). */
bool backend_selected (struct arena *a, const struct value *service, const struct value *pod);

#endif
