/* TLS contexts over OpenSSL 3: what a server or a client needs to make connections, from PEM files or PEM text.
   TLS 1.2 is the least version. A context is made and used in one thread at a time except for tls_reload, which any thread
   may call: connections made afterwards use the new material, those that exist keep the old. */
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include <stdbool.h>
#include <openssl/ssl.h>

#include "base/err.h"

/* Each of certificate, key and CA is given as a file or as text (PEM), text first. NULL: none. Strings are copied. */
struct tls_config {
  const char *cert_file, *cert_pem; /* the chain, leaf first */
  const char *key_file, *key_pem;
  const char *ca_file, *ca_pem;     /* server: whom client certificates are verified against (NULL: clients are not
                                       asked for one); client: whom to trust (NULL: the system's authorities) */
  bool require_client_cert;         /* server: refuse connections without a verified one; else verification is optional and
                                       its result is read with tls_peer_verify */
  bool insecure_skip_verify;        /* client: kubectl --insecure-skip-tls-verify */
  bool no_http2;                    /* ALPN offers http/1.1 only */
};

struct tls_context;

/* NULL on failure: ERR_NOT_FOUND, ERR_DENIED, ERR_IO from the files, ERR_INVALID when the key does not fit the certificate,
   ERR_PARSE on bad PEM. A server needs certificate and key. */
struct tls_context *tls_server_new (const struct tls_config *config, struct err *err);
struct tls_context *tls_client_new (const struct tls_config *config, struct err *err);
struct tls_context *tls_ref (struct tls_context *t);
void tls_unref (struct tls_context *t); /* NULL allowed */

/* Reads the files again. On failure the old material stays in use and err says why. */
int tls_reload (struct tls_context *t, struct err *err);
/* tls_reload when one of the files changed since it was last read (inode, size or mtime). *ret_reloaded may be NULL. */
int tls_reload_if_changed (struct tls_context *t, bool *ret_reloaded, struct err *err);

/* A connection's SSL object in server or client state; the caller frees it. server_name (client only; NULL for none): the DNS
   name or IP address that the server's certificate must be for; names are also sent as SNI. NULL when out of memory. */
SSL *tls_ssl_new (struct tls_context *t, const char *server_name);

/* The peer's certificate, borrowed from the connection, NULL when it sent none; *ret_verify (may be NULL) is X509_V_OK or why
   it was not accepted. Without a certificate ret_verify is untouched. */
X509 *tls_peer_cert (SSL *ssl, long *ret_verify);

/* The oldest errors of OpenSSL's queue as text, emptying the queue: "bad end line; no start line". */
const char *tls_error_text (char *out, size_t size);

#endif
