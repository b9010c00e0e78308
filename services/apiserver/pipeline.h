/* The way of a request: negotiate, authenticate, authorise, dispatch to a document, a virtual kind or the registry.

   struct apiserver is the context of everything; one loop's thread owns it. The fronts fill it; the pipeline reads it. What the
   pipeline does not do itself is behind hooks, so that it links and is tested without the fronts. A hook left NULL is as
   if that part were absent: no authentication (transport_user or system:anonymous), everything allowed, no documents. */
#ifndef SERVICES_APISERVER_PIPELINE_H
#define SERVICES_APISERVER_PIPELINE_H

#include "base/loop.h"
#include "services/apiserver/request.h"
#include "services/apiserver/watch_cache.h"
#include "storage/store.h"

#define PIPELINE_BODY_MAX (3u << 20) /* bytes of a request's body, as upstream */

struct apiserver_config {
  const char *service_cidr;            /* "10.96.0.0/16"; IPv4 */
  int node_port_first, node_port_last; /* 30000, 32767 */
  const char *cluster_domain;          /* "cluster.local" */
};

/* What is asked for when it is not the request itself (SubjectAccessReview, escalation checks, impersonation). */
struct authz_attributes {
  const struct user *user;
  const char *verb, *group, *version, *resource, *subresource, *namespace_, *name; /* "" when absent; "*" is literal */
  const char *path; /* of a non-resource request, or NULL */
};

struct apiserver_hooks {
  /* Sets rq->user from headers, tokens, transport_user, impersonation. false: it has answered (401, 403). */
  bool (*authenticate) (struct request *rq);
  /* RBAC and the Node authoriser. *ret_reason (may stay NULL) tells why, in the request's arena or constant. */
  bool (*allowed) (struct apiserver *s, struct arena *a, const struct authz_attributes *attr, const char **ret_reason);
  /* Every path that is no resource request, and the discovery documents: /healthz, /version, /metrics, /api, /apis/...,
     /openapi/... false: no such path (the pipeline answers 404). */
  bool (*document) (struct request *rq);
  /* Kinds that are not stored (kind->virtual_), serviceaccounts/token, and pods' log, exec, attach, portforward and proxy, nodes'
     and services' proxy: the hook answers, now or later. rq->kind and rq->sub are set, and it was authorised. Read the body by
     pipeline_body. false: not served here (404). */
  bool (*virtual_) (struct request *rq);
  /* Told of each answer as it ends (counting, audit), before rq is freed; may be NULL. */
  void (*finished) (struct request *rq);
};

struct apiserver {
  struct loop *loop;
  struct store *store;
  struct watch_caches *caches;
  struct apiserver_config config;
  struct apiserver_hooks hooks;
  struct schema_set kinds; /* beyond the built-in ones */
  void *front;             /* the fronts' own state, for hooks */
  size_t n_requests, n_watches; /* under way */
};

/* Takes rq; the answer comes through its sink, possibly before this returns. */
void pipeline_handle (struct request *rq);
/* For respond.c: the answer is out; counts it and frees rq. */
void pipeline_finished (struct request *rq);

/* hooks.allowed with the request's own attributes; true without the hook. */
bool pipeline_allowed (struct request *rq, const char **ret_reason);
/* The body as a tree by its content type (JSON, YAML, msgpack), or rq->tree; *ret is NULL for an empty body. ERR_PARSE: 400,
   ERR_UNSUPPORTED: 415 (err's text is what the client is to be told). */
int pipeline_body (struct request *rq, struct value **ret, struct err *err);
/* Answers as upstream does for such a failure of pipeline_body or schema_decode. */
void pipeline_body_failed (struct request *rq, const struct err *err);
/* pipeline_body, checked against t, apiVersion and kind filled in or compared, fieldValidation honoured, defaults not applied.
   false: answered. */
bool pipeline_decode (struct request *rq, const struct schema_type *t, const char *group, const char *version, const char *kind,
                      struct value **ret);

#endif
