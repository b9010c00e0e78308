/* kubusctl: kubectl's manner over HTTPS, and what kubus adds over the bus. One file a verb; main.c dispatches from the table in
   verbs.c. A verb returns 0, a negative ERR_* with err's text to be printed, or a positive exit status when it has said why. */
#ifndef SERVICES_CTL_CTL_H
#define SERVICES_CTL_CTL_H

#include <stdio.h>

#include "base/buf.h"
#include "base/http/client.h"
#include "base/mem.h"
#include "base/tls.h"
#include "bus/bus.h"
#include "schemas/schema.h"
#include "schemas/value.h"

#define CTL_FILES_MAX 64
#define CTL_INPUT_MAX (32u << 20) /* bytes of one manifest file or kubeconfig */
#define CTL_PAGE 500              /* objects a LIST request, as kubectl's --chunk-size */

struct ctl;
struct ctl_flags {
  const char *kubeconfig, *context, *dir, *namespace_, *output, *selector, *field_selector, *container, *command;
  const char *replicas, *tail, *since, *grace_period, *cascade, *timeout, *file, *store, *kubelet, *revision, *api_group;
  bool all_namespaces, watch, follow, previous, timestamps, force, all, no_wait, ignore_not_found, no_headers, show_labels, managed_fields, stdin_, tty, help;
};
struct ctl_verb {
  const char *name;     /* may be two words: "rollout status" */
  const char *args;     /* as in usage */
  const char *help;     /* one line */
  const char *flags;    /* names of the flags that it takes, blank between; the common ones are implied */
  int min_args, max_args; /* max -1: any */
  int (*run) (struct ctl *c, int argc, char **argv, struct err *err);
};
struct ctl {
  struct arena arena; /* of the whole run */
  struct ctl_flags flags;
  const struct ctl_verb *verb;
  /* set by ctl_config */
  bool configured;
  const char *server, *token, *namespace_;
  struct tls_config tls;
  struct value *discovered; /* resources that are not in our tables; NULL until asked for */
};

/* ---- verbs.c, flags.c ---- */
extern const struct ctl_verb ctl_verbs[]; /* ends with a row whose name is NULL */
/* Takes the flags out of argv: what is left is *argc words from argv[0] on. Everything after "--" is left as it is. */
int ctl_flags_parse (struct ctl *c, const char *allowed, int *argc, char **argv, struct err *err);
void ctl_flags_help (const char *allowed, FILE *to);

/* ---- config.c: the kubeconfig ---- */
int ctl_config (struct ctl *c, struct err *err);        /* once; from --kubeconfig, $KUBECONFIG, $KUBUS_DIR or .kubus */
const char *ctl_dir (struct ctl *c);                    /* --dir, $KUBUS_DIR or ".kubus" */
const char *ctl_namespace (struct ctl *c);              /* -n, else the context's, else "default" */

/* ---- request.c ---- */
struct ctl_request {
  const char *method, *path; /* path with its query */
  const char *accept, *content_type;
  const void *body;
  size_t body_len;
  bool endless;              /* no timeout */
  bool (*on_data) (void *arg, const void *data, size_t len); /* of a good answer only */
  void *arg;
};
/* The HTTP status of a good answer, its body appended to out. A refusal is an error with kubectl's text, "Error from server
   (NotFound): ..."; ERR_NOT_FOUND, ERR_CONFLICT, ERR_EXISTS, ERR_DENIED, ERR_UNAUTHENTICATED by its reason, else ERR_INVALID. */
int ctl_request (struct ctl *c, const struct ctl_request *rq, struct buf *out, struct err *err);
/* The same, the answer's JSON as a tree in c->arena. */
int ctl_request_json (struct ctl *c, const struct ctl_request *rq, struct value **ret, struct err *err);
/* err's text from a refusal's status and body; the code that fits its reason. */
int ctl_refused (struct ctl *c, int status, const struct buf *body, struct err *err);
int ctl_get (struct ctl *c, const char *path, struct value **ret, struct err *err);

/* ---- resource.c ---- */
struct ctl_resource {
  const char *group, *version, *resource, *kind;
  bool namespaced;
};
/* From "po", "pods", "Pod", "deployments.apps", "deployments.v1.apps"; our tables, then the server's discovery. */
int ctl_resource_find (struct ctl *c, const char *word, struct ctl_resource *ret, struct err *err);
int ctl_resource_of_object (struct ctl *c, const struct value *object, struct ctl_resource *ret, struct err *err);
const char *ctl_resource_title (struct ctl *c, const struct ctl_resource *r); /* "deployment.apps", as kubectl prints it */
/* "/apis/apps/v1/namespaces/x/deployments/name". namespace_ NULL: all; name NULL: the collection. */
const char *ctl_resource_path (struct ctl *c, const struct ctl_resource *r, const char *namespace_, const char *name);
/* The words TYPE NAME... or TYPE/NAME...: calls each with the resource and a name (NULL: none given). Commas join types. */
typedef int (*ctl_target_cb) (struct ctl *c, const struct ctl_resource *r, const char *name, void *arg, struct err *err);
int ctl_targets (struct ctl *c, int argc, char **argv, ctl_target_cb each, void *arg, struct err *err);
/* "?a=b&c=d" of pairs that end with NULL; pairs whose value is NULL are left out. */
const char *ctl_query (struct ctl *c, const char *const *pairs);

/* ---- table.c: columns ---- */
struct ctl_table {
  char **cells;
  size_t n_columns, n_cells, cap;
};
int ctl_table_cell (struct ctl_table *t, struct arena *a, const char *text);
void ctl_table_print (const struct ctl_table *t, FILE *to); 

/* ---- output.c, manifest.c ---- */
int ctl_print_object (struct ctl *c, const struct value *v, struct err *err); /* -o yaml, json, name, jsonpath=... */
/* Every object of -f FILE (- stdin), YAML or JSON, Lists taken apart. */
int ctl_manifest (struct ctl *c, const char *file, struct value **ret_array, struct err *err);

/* ---- bus.c: the admin's identity ---- */
struct ctl_bus {
  struct loop *loop;
  struct bus *bus;
  struct bus_client *client;
};
int ctl_bus_open (struct ctl *c, const char *endpoint, struct ctl_bus *ret, struct err *err);
void ctl_bus_close (struct ctl_bus *b);
/* given, or NAME@ipc://DIR/run/NAME.sock when that is NULL. */
const char *ctl_bus_endpoint (struct ctl *c, const char *given, const char *name);

/* ---- verbs ---- */
#define VERB(name) int name (struct ctl *c, int argc, char **argv, struct err *err)
VERB (verb_get);
VERB (verb_describe);
VERB (verb_apply);
VERB (verb_create);
VERB (verb_delete);
VERB (verb_logs);
VERB (verb_scale);
VERB (verb_rollout_status);
VERB (verb_rollout_restart);
VERB (verb_exec);
VERB (verb_version);
VERB (verb_api_resources);
VERB (verb_trace);
VERB (verb_store_status);
VERB (verb_image_import);
VERB (verb_image_list);
VERB (verb_image_remove);

#endif
