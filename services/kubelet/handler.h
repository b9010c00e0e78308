/* One run of a probe's or hook's handler: exec, httpGet, tcpSocket, grpc or sleep. */
#ifndef KUBELET_HANDLER_H
#define KUBELET_HANDLER_H

#include "base/http/client.h"
#include "services/kubelet/runtime.h"

#define HANDLER_OUTPUT_MAX 10240 /* bytes of output that are read, as upstream */

struct handler;
struct handler_ctx {
  struct loop *loop;
  struct runtime *runtime;
  struct http_client *http;
  const char *ip;                /* of the pod; copied */
  const char *container_id;      /* copied */
  const struct value *container; /* for named ports; used during the call only */
};
enum handler_result { HANDLER_OK, HANDLER_FAILED };
/* Once, from the loop, never from within handler_run; the handler is freed when it returns. */
typedef void (*handler_cb) (void *arg, enum handler_result result, const char *output);

/* *ret is valid until the callback or handler_cancel. ERR_*: it could not be begun, no callback follows. */
int handler_run (const struct handler_ctx *x, const struct value *spec, int64_t timeout_ms, handler_cb cb, void *arg, struct handler **ret,
                 struct err *err);
void handler_cancel (struct handler *h); /* no callback; NULL allowed */

#endif
