/* The server's end of kubectl port-forward: SPDY (portforward.k8s.io), SPDY inside WebSocket
   (SPDY/3.1+portforward.k8s.io, kubectl from 1.31 on), and the older WebSocket channel pairs (v4.channel.k8s.io). */
#ifndef BASE_HTTP_PORTFORWARD_H
#define BASE_HTTP_PORTFORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http/http.h"
#include "base/http/uri.h"

struct portforward_session;
struct portforward_conn; /* one forwarded connection: a data and an error stream */

struct portforward_cb {
  /* A client connected to its local end. Answer by data, portforward_fail or portforward_conn_close. on_data may follow at
     once: what comes before the target is connected is the caller's to hold (pause to bound it). */
  void (*on_connect) (void *arg, struct portforward_conn *c, uint16_t port);
  void (*on_data) (void *arg, struct portforward_conn *c, const void *data, size_t len);
  void (*on_eof) (void *arg, struct portforward_conn *c);   /* the client sent its end; writing still works */
  void (*on_drain) (void *arg);                             /* of the session: every connection may write again */
  void (*on_conn_close) (void *arg, struct portforward_conn *c); /* gone; c is invalid after this; not called after _close or _fail */
  void (*on_close) (void *arg); /* the client is gone, on_conn_close was called for each; the session is still to be closed */
};

/* The older WebSocket form names its ports in the query (port=80,443); q may be NULL otherwise. Errors as
   remote_session_accept. */
int portforward_session_accept (struct http_request *req, const struct uri_query *q, const struct portforward_cb *cb, void *arg,
                                struct portforward_session **ret, struct err *err);
int portforward_write (struct portforward_conn *c, const void *data, size_t len);
/* The target sent its end. When the client sent its own before, the connection is over: on_conn_close comes from within. */
void portforward_eof (struct portforward_conn *c);
void portforward_fail (struct portforward_conn *c, const char *message); /* on the error stream, then closed; frees c */
void portforward_conn_close (struct portforward_conn *c);                /* in order; frees c */
void portforward_pause (struct portforward_session *s, bool pause);      /* reading, all connections */
size_t portforward_pending_bytes (const struct portforward_session *s);
const char *portforward_request_id (const struct portforward_conn *c);
void portforward_conn_set_arg (struct portforward_conn *c, void *arg);
void *portforward_conn_arg (const struct portforward_conn *c);
void portforward_session_close (struct portforward_session *s);          /* frees it and its connections, no callback. NULL allowed */

#endif
