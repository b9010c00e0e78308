/* A request to the API, whatever front it came by, and its answer. The pipeline (pipeline.h) takes a filled struct request
   and answers through its sink, now or later, exactly once; so tests need no socket.

   A request is one allocation with an arena of its own: everything that is made while it is answered lives there. It belongs
   to the pipeline from pipeline_handle on, which frees it after sink->end; a front that loses its peer calls
   request_closed, and must not touch the request after end. */
#ifndef SERVICES_APISERVER_REQUEST_H
#define SERVICES_APISERVER_REQUEST_H

#include "base/clock.h"
#include "base/http/uri.h"
#include "schemas/machinery.h"

struct apiserver;
struct request;

struct user {
  const char *name, *uid;
  const char **groups; /* n_groups, then NULL */
  size_t n_groups;
  const struct value *extra; /* map of arrays of strings, or NULL */
};
bool user_in_group (const struct user *u, const char *group);

struct header {
  const char *name, *value; /* a list ends with a NULL name */
};

/* Where an answer goes. pending tells bytes not yet taken by the peer; on_drain of the request is called when it shrinks. */
struct response_sink {
  void (*start) (struct request *rq, int code, const struct header *headers, bool streamed);
  void (*chunk) (struct request *rq, const void *data, size_t len);
  void (*end) (struct request *rq); /* frees the front's part; the pipeline frees the request afterwards */
  size_t (*pending) (struct request *rq);
};

enum encoding { ENCODING_JSON, ENCODING_YAML, ENCODING_MSGPACK };
enum transform { TRANSFORM_NONE, TRANSFORM_TABLE, TRANSFORM_PARTIAL };

/* What is asked, after upstream's RequestInfoFactory. */
struct request_info {
  bool is_resource;
  const char *verb; /* get list watch create update patch delete deletecollection; else the method in lower case */
  const char *group, *version, *namespace_, *resource, *subresource, *name; /* "" when absent */
  const char *rest; /* what follows the subresource (proxy paths), "" or "a/b" */
};

struct request {
  struct apiserver *server;
  struct arena arena;
  /* set by the front */
  const char *method, *path, *query_text;
  const char *(*header) (const struct request *rq, const char *name); /* NULL when absent */
  const void *body;
  size_t body_len;
  const struct response_sink *sink;
  void *front;            /* the front's own */
  const struct user *transport_user; /* who the connection belongs to (client certificate, CURVE key), or NULL */
  const struct value *tree;          /* bus front: the decoded body; NULL: decode body by its content type */
  const struct value *options;       /* bus front: DeleteOptions; NULL */
  /* On the bus a patch's type is what header gives for "content-type", as on HTTPS. */
  bool bus;
  uint64_t cause;
  const char *trace;
  /* set by the pipeline */
  struct uri_query query;
  struct request_info info;
  struct user user;
  enum encoding encoding;
  enum transform transform;
  const char *include_object; /* of tables: None Metadata Object */
  bool pretty;
  const struct schema_kind *kind;
  const struct schema_subresource *sub;
  struct value *warnings; /* array of strings */
  mono_t begun;
  int code;        /* answered with; 0: not yet */
  bool hold;       /* respond_status keeps the Status in held instead of answering: it may be tried again (registry.h) */
  int held_code;
  const struct value *held;
  bool closed;     /* the peer went away */
  void (*on_close) (struct request *rq); /* a long-running answer's end; may be NULL */
  void (*on_drain) (struct request *rq);
  void *state;     /* of the long-running answer */
};

struct request *request_new (struct apiserver *s); /* NULL when out of memory */
void request_free (struct request *rq);
/* The peer went away: the answer under way is ended. */
void request_closed (struct request *rq);

/* Fills rq->info from method, path and query. ERR_PARSE on a bad escape. */
int request_info_parse (struct request *rq, struct err *err);
const char *request_param (const struct request *rq, const char *key); /* query parameter, "" when absent */
bool request_dry_run (const struct request *rq);
const char *request_field_manager (const struct request *rq);
void request_warn (struct request *rq, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

#endif
