/* Writing (and the occasional read) through an API server's bus front: the pipeline of HTTPS without JSON and HTTP.
   One call is one API request; verbs, resources and answers are Kubernetes'. Components read by informers
   (services/common/informer.h). */
#ifndef SERVICES_COMMON_API_H
#define SERVICES_COMMON_API_H

#include "bus/bus.h"
#include "schemas/value.h"

struct api_request {
  const char *verb;        /* get list create update patch delete deletecollection */
  const char *group;       /* "" core */
  const char *version;     /* "v1" */
  const char *resource;    /* "pods" */
  const char *subresource; /* NULL or "status", "binding", "eviction", "scale", "token", ... */
  const char *namespace_;  /* NULL or "": cluster scope or all namespaces */
  const char *name;        /* NULL for create, list, deletecollection */
  const struct value *body;    /* create, update, patch; NULL else */
  const char *patch_type;      /* "json" "merge" "strategic" "apply" */
  /* Kubernetes' query parameters and DeleteOptions as one map, or NULL: labelSelector, fieldSelector, limit, continue,
     resourceVersion, fieldManager, force, dryRun, gracePeriodSeconds, propagationPolicy, preconditions {uid, resourceVersion} */
  const struct value *options;
  uint64_t cause;          /* revision of the object change that led to this request; 0: none */
  int64_t deadline_ms;     /* 0: 10 s */
};
/* On the bus: method "api", body the msgpack map {verb group version resource subresource namespace name body patchType
   options}; reply {code: HTTP status, object: the object, List or Status}. */
#define API_METHOD "api"

/* transport NULL: code is the HTTP status and object the answer (a metav1.Status when code >= 400), alive during the call;
   else no answer came (the write may or may not have been made). */
typedef void (*api_cb) (void *arg, const struct err *transport, int code, const struct value *object);
struct api_client;
struct api_client *api_client_new (struct bus *b, const char *const *endpoints, size_t n, struct err *err);
void api_client_free (struct api_client *c);
void api_call (struct api_client *c, const struct api_request *rq, api_cb cb, void *arg);
/* For tools: the answer's tree in a. 0 whenever an answer came. */
int api_call_sync (struct api_client *c, struct arena *a, const struct api_request *rq, int *ret_code, struct value **ret_object,
                   struct err *err);

/* Both ends of the encoding (the API server decodes requests with the same code). Strings point into the arena. */
void api_request_pack (const struct api_request *rq, struct buf *out);
int api_request_unpack (struct arena *a, const void *data, size_t n, struct api_request *ret, struct err *err);

#endif
