/* The server's end of kubectl exec, attach and cp, whichever way the client speaks: SPDY/3.1 (X-Stream-Protocol-Version
   v4...v1.channel.k8s.io) or WebSocket (v5...v1.channel.k8s.io, channel.k8s.io, and their base64 forms). */
#ifndef BASE_HTTP_REMOTECOMMAND_H
#define BASE_HTTP_REMOTECOMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http/http.h"
#include "base/http/uri.h"

struct remote_session;

struct remote_options {
  bool stdin_, stdout_, stderr_, tty;
};
/* From the query: stdin/stdout/stderr/tty (pod subresources) or input/output/error/tty (the kubelet's own paths).
   ERR_INVALID when no stream is asked for (upstream's message). With tty, stderr is off. */
int remote_options_parse (const struct uri_query *q, struct remote_options *ret, struct err *err);

struct remote_cb {
  /* All streams that the options name are there: the command may start now. */
  void (*on_ready) (void *arg);
  void (*on_stdin) (void *arg, const void *data, size_t len);
  void (*on_stdin_close) (void *arg);
  void (*on_resize) (void *arg, uint16_t width, uint16_t height); /* tty only */
  void (*on_drain) (void *arg); /* pending bytes fell below the low mark after having been above the high one */
  void (*on_close) (void *arg); /* the client is gone; the session is still to be closed */
};

/* Whether the request asks for a SPDY or WebSocket upgrade. */
bool remote_upgrade_requested (const struct http_request *req);
/* Upgrades the request. On failure the request is still the caller's: ERR_INVALID (no upgrade asked for: 400),
   ERR_DENIED (no common protocol version: 403, upstream's answer). cb is copied. Callbacks come from the loop,
   never from within. When the streams do not all come within 30 s the session closes (on_close). */
int remote_session_accept (struct http_request *req, const struct remote_options *options, const struct remote_cb *cb,
                           void *arg, struct remote_session **ret, struct err *err);

int remote_write_stdout (struct remote_session *s, const void *data, size_t len); /* ERR_CLOSED, ERR_LIMIT, ERR_NOMEM */
int remote_write_stderr (struct remote_session *s, const void *data, size_t len);
size_t remote_pending_bytes (const struct remote_session *s); /* HTTP_TUNNEL_HIGH and LOW are the marks */
void remote_pause_stdin (struct remote_session *s, bool pause);

/* Ends the session in order and frees it: what is queued is sent, then the error channel gets a metav1.Status: Success for
   exit code 0, NonZeroExitCode with the ExitCode cause otherwise; then the streams end. */
void remote_finish (struct remote_session *s, int exit_code);
/* The same with a failure that is not an exit code: InternalError with this message. */
void remote_finish_error (struct remote_session *s, const char *message);
/* Frees it at once, no status sent. NULL allowed. */
void remote_session_close (struct remote_session *s);

#endif
