/* The fronts: what turns a connection's bytes into struct request, and the hooks behind the pipeline that know of connections,
   keys and documents. struct front is made by main.c and hangs at apiserver->front. */
#ifndef SERVICES_APISERVER_FRONT_H
#define SERVICES_APISERVER_FRONT_H

#include <openssl/evp.h>

#include "base/http/http.h"
#include "bus/bus.h"
#include "services/apiserver/pipeline.h"

struct document; /* document.c: cached bytes */
struct front {
  struct apiserver *server;
  struct http_server *https;
  struct bus_server *bus;
  struct tls_context *tls;
  EVP_PKEY *sa_public, *sa_private; /* service account tokens; NULL: none */
  const char *issuer, *advertise;   /* "https://kubernetes.default.svc...", "10.0.0.1:6443" */
  struct document *documents;
  bool bootstrapped;
  uint64_t answers[6]; /* by the code's hundreds; 0: all */
};

/* ---- front_https.c, front_bus.c ---- */
int front_https_open (struct front *f, const char *const *listen, struct err *err);
int front_bus_open (struct front *f, struct bus *bus, const char *address, struct err *err);

/* ---- authn.c: hook ---- */
bool authn_authenticate (struct request *rq);
/* The user of a bearer token into rq's arena; ERR_UNAUTHENTICATED says why not. audience NULL: the API server's own. */
int authn_token (struct apiserver *s, struct arena *a, const char *token, const char *audience, struct user *ret, struct err *err);
/* A signed JWT with these claims (a map): the caller frees *ret. */
int token_sign (EVP_PKEY *key, const struct value *claims, char **ret, struct err *err);
/* The claims of a JWT whose signature fits; times and audience are the caller's to check. */
int token_verify (struct arena *a, EVP_PKEY *key, const char *token, struct value **ret_claims, struct err *err);
int token_jwks (EVP_PKEY *key, struct buf *out, struct err *err); /* {"keys":[...]} */
const char *token_key_id (EVP_PKEY *key, char out[48]);

/* ---- authz.c: hook ---- */
bool authz_allowed (struct apiserver *s, struct arena *a, const struct authz_attributes *attr, const char **ret_reason);
/* The rules that a user has in a namespace, as the lists of a SubjectRulesReviewStatus. */
void authz_rules (struct apiserver *s, struct arena *a, const struct user *user, const char *namespace_, struct value *ret_status);

/* ---- document.c, virtual.c: hooks ---- */
bool document_serve (struct request *rq);
void document_free (struct document *d);
bool virtual_serve (struct request *rq);

/* ---- bootstrap.c ---- */
/* Creates what a cluster has from its first moment, through the pipeline; calls done when all of it is there. */
int bootstrap_start (struct front *f, loop_cb done, void *arg, struct err *err);

#endif
