/* HTTPS: one struct request for each http_request. Answers that are not streamed are collected and sent whole, so that they get
   a length and may be compressed. */
#include <stdlib.h>

#include "base/pki.h"
#include "base/tls.h"
#include "services/apiserver/front.h"

struct exchange {
  struct http_request *http;
  struct request *rq;
  struct user user; /* from the client certificate */
  struct pki_identity *identity;
  int code;
  bool streamed;
  struct http_header headers[32];
  struct arena arena; /* of the headers */
  struct buf body;
};

static const char *
header (const struct request *rq, const char *name)
{
  return http_header (((struct exchange *) rq->front)->http, name);
}

static void
exchange_free (struct exchange *x)
{
  free (x->identity);
  buf_done (&x->body);
  arena_done (&x->arena);
  free (x);
}

static void
sink_start (struct request *rq, int code, const struct header *headers, bool streamed)
{
  struct exchange *x = rq->front;
  size_t n = 0;
  for (; headers && headers->name && n < 31; headers++)
    if ((x->headers[n].name = arena_strdup (&x->arena, headers->name)) && (x->headers[n].value = arena_strdup (&x->arena, headers->value)))
      n++;
  x->headers[n].name = NULL;
  x->code = code;
  x->streamed = streamed;
  if (streamed)
    (void) http_reply_start (x->http, code, x->headers);
}

static void
sink_chunk (struct request *rq, const void *data, size_t len)
{
  struct exchange *x = rq->front;
  if (!x->streamed)
    buf_append (&x->body, data, len);
  else if (!rq->closed)
    (void) http_reply_chunk (x->http, data, len);
}

static void
sink_end (struct request *rq)
{
  struct exchange *x = rq->front;
  http_on_close (x->http, NULL, NULL);
  http_on_drain (x->http, NULL, NULL);
  if (x->streamed)
    (void) http_reply_end (x->http);
  else if (x->body.failed)
    http_abort (x->http);
  else
    (void) http_reply_buf (x->http, x->code, x->headers, &x->body);
  rq->front = NULL;
  exchange_free (x);
}

static size_t
sink_pending (struct request *rq)
{
  struct exchange *x = rq->front;
  return http_reply_pending_bytes (x->http);
}

static const struct response_sink https_sink = {sink_start, sink_chunk, sink_end, sink_pending};

static void
peer_closed (void *arg)
{
  struct exchange *x = arg;
  request_closed (x->rq);
}

static void
peer_drained (void *arg)
{
  struct exchange *x = arg;
  if (x->rq->on_drain)
    x->rq->on_drain (x->rq);
}

/* The user of a verified client certificate. A certificate that does not verify is as none: upstream then looks at the other
   ways to authenticate. */
static void
certificate_user (struct exchange *x)
{
  long verify = X509_V_ERR_UNSPECIFIED;
  X509 *cert = http_peer_cert (x->http, &verify);
  if (!cert || verify != X509_V_OK || pki_identity (cert, &x->identity, NULL) || !x->identity->cn[0])
    return;
  x->user = (struct user){.name = x->identity->cn, .uid = "", .groups = x->identity->orgs, .n_groups = x->identity->n_orgs};
  x->rq->transport_user = &x->user;
}

static void
on_request (void *arg, struct http_request *http)
{
  struct front *f = arg;
  struct exchange *x = calloc (1, sizeof *x);
  struct request *rq = x ? request_new (f->server) : NULL;
  const char *traceparent;
  if (!rq) {
    free (x);
    http_abort (http);
    return;
  }
  x->http = http;
  x->rq = rq;
  rq->front = x;
  rq->sink = &https_sink;
  rq->method = http_method (http);
  rq->path = http_path (http);
  rq->query_text = http_query (http);
  rq->header = header;
  rq->body = http_body (http, &rq->body_len);
  traceparent = http_header (http, "traceparent");
  rq->trace = traceparent && strlen (traceparent) == 55 ? traceparent : "";
  certificate_user (x);
  http_on_close (http, peer_closed, x);
  http_on_drain (http, peer_drained, x);
  pipeline_handle (rq);
}

int
front_https_open (struct front *f, const char *const *listen, struct err *err)
{
  const struct http_server_config config = {.listen = listen, .tls = f->tls, .body_limit_bytes = PIPELINE_BODY_MAX, .on_request = on_request, .arg = f};
  return (f->https = http_server_new (f->server->loop, &config, err)) ? 0 : err->code;
}
