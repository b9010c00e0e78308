/* metav1.Status as upstream words it. Each function answers the request with it. */
#ifndef SERVICES_APISERVER_STATUS_H
#define SERVICES_APISERVER_STATUS_H

#include "services/apiserver/request.h"

/* The Status tree; details may be NULL. reason "" gives the usual one of the code. */
struct value *status_tree (struct arena *a, int code, const char *reason, const char *message, struct value *details);
/* details {name, group, kind} of a resource. */
struct value *status_details (struct arena *a, const char *group, const char *resource, const char *name);

void status_reply (struct request *rq, int code, const char *reason, struct value *details, const char *fmt, ...)
    __attribute__ ((format (printf, 5, 6)));
/* `pods "x" not found` */
void status_not_found (struct request *rq, const char *name);
void status_exists (struct request *rq, const char *name);
void status_conflict (struct request *rq, const char *name, const char *why); /* Operation cannot be fulfilled on ...: why */
void status_forbidden (struct request *rq, const char *name, const char *why);
void status_invalid (struct request *rq, const char *name, const struct schema_causes *causes);
void status_bad_request (struct request *rq, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
void status_expired (struct request *rq, const char *message);
void status_method_not_allowed (struct request *rq);
void status_no_route (struct request *rq); /* the server could not find the requested resource */
/* A failure below the API (store, memory): 500, 503, 504 by code; logged by the caller's choke point. */
void status_error (struct request *rq, const struct err *err);
/* Resource as in messages: "pods", "deployments.apps". */
const char *status_resource (struct request *rq);

#define STATUS_MODIFIED \
  "the object has been modified; please apply your changes to the latest version and try again"

#endif
