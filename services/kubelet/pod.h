/* The worker of one pod: keeps struct pod_facts, asks pod_decide (), carries out. Everything here is called in the loop's thread;
   what blocks goes to the host's pools with reference-counted, immutable trees. */
#ifndef KUBELET_POD_H
#define KUBELET_POD_H

#include "services/kubelet/downward.h"
#include "services/kubelet/pod_decide.h"
#include "services/kubelet/pool.h"
#include "services/kubelet/probe.h"
#include "services/kubelet/runtime.h"

/* An immutable tree that several hold; counted in the loop's thread only. */
struct tree {
  unsigned refs;
  struct arena arena;
  struct value *v;
};
struct tree *tree_new (const struct value *v); /* a copy; NULL when out of memory */
struct tree *tree_ref (struct tree *t);
void tree_unref (struct tree *t); /* NULL allowed */

/* code: HTTP status, 0 when no answer came; object the answer. */
typedef void (*pod_answer_cb) (void *arg, int code, const struct value *object, const char *text);

struct pod;
/* What a worker needs of the world. The real one is kubelet.c's, over the API; tests bring their own. */
struct pod_host {
  struct loop *loop;
  struct runtime *runtime;
  struct pool *pool;  /* short work */
  struct pool *pulls; /* pulls only */
  struct http_client *http;
  const struct node_facts *node;
  const char *dir;     /* $DIR, absolute */
  const char *log_dir; /* of pods' logs, absolute */
  void *arg;
  /* An object that refs_needed names; may answer at once or later. */
  void (*fetch) (void *arg, const struct value *pod, const struct value *need, pod_answer_cb cb, void *cb_arg);
  /* Strategic merge patch of the status. */
  void (*put_status) (void *arg, const struct value *pod, const struct value *status, pod_answer_cb cb, void *cb_arg);
  /* The last DELETE, grace 0, with the uid as precondition. */
  void (*remove) (void *arg, const struct value *pod, pod_answer_cb cb, void *cb_arg);
  void (*event) (void *arg, const struct value *pod, const char *container, const char *type, const char *reason, const char *message);
  /* The pod is over: nothing of it is left. The host frees it with pod_free, later or now. */
  void (*gone) (void *arg, struct pod *p);
};

/* adopt: containers of it that exist (may be 0). A pod whose phase is final is only kept until it is deleted. */
struct pod *pod_new (const struct pod_host *host, const struct value *object, const struct container_record *adopt, size_t n_adopt, struct err *err);
/* Outstanding work ends in the background; containers are left as they are. NULL allowed. */
void pod_free (struct pod *p);
void pod_update (struct pod *p, const struct value *object); /* a newer state of the object */
void pod_orphan (struct pod *p);                             /* the object is gone: end and clean up */
void pod_reject (struct pod *p, const char *reason, const char *message); /* cannot run on this node: Failed */
void pod_exited (struct pod *p, const struct container_record *rec);      /* runtime's on_exit */
void pod_refresh (struct pod *p);                            /* look at volumes' sources again */
void pod_server_back (struct pod *p);                        /* the API answers again: send what is due */

const char *pod_uid (const struct pod *p);
const char *pod_namespace (const struct pod *p);
const char *pod_name (const struct pod *p);
const struct value *pod_object (const struct pod *p); /* until the next change */
const char *pod_ip (const struct pod *p);             /* "" before there is one */
struct value *pod_status (struct pod *p, struct arena *a);
/* Where a container's attempt (previous: the one before) is: for logs, exec and attach. ERR_NOT_FOUND with upstream's words.
   *ret_running (may be NULL). log_path in the arena. */
struct pod_container_info {
  char id[CONTAINER_ID_SIZE];
  bool running, tty, stdin_, stdin_once;
  const char *log_path;
};
int pod_container (struct pod *p, const char *name, bool previous, struct arena *a, struct pod_container_info *ret, struct err *err);
/* Names of its containers, for the default of kubectl logs; NULL beyond the end. */
const char *pod_container_name (const struct pod *p, size_t i);

#endif
