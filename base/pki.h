/* Keys and certificates: a cluster's own authorities and what they sign. Private keys are written 0600, atomically.
   Keys and certificates are OpenSSL's own types; who receives one frees it (EVP_PKEY_free, X509_free; AUTO_PKEY, AUTO_X509). */
#ifndef BASE_PKI_H
#define BASE_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"

static inline void
pki_key_free_p (EVP_PKEY **p)
{
  EVP_PKEY_free (*p);
}
static inline void
pki_cert_free_p (X509 **p)
{
  X509_free (*p);
}
#define AUTO_PKEY __attribute__ ((cleanup (pki_key_free_p)))
#define AUTO_X509 __attribute__ ((cleanup (pki_cert_free_p)))

enum pki_key_type { PKI_EC_P256, PKI_RSA_2048 };
int pki_key_new (enum pki_key_type type, EVP_PKEY **ret, struct err *err);

/* What a certificate says. Lists end with NULL and may be NULL. ips are textual addresses. */
struct pki_subject {
  const char *cn;
  const char *const *orgs; /* Kubernetes' groups */
  const char *const *dns;
  const char *const *ips;
  int days;                /* validity from now (five minutes earlier, for clocks that disagree) */
  bool server, client;     /* extended key usages */
};

/* A self-signed authority (CA:TRUE, certificate and CRL signing). */
int pki_ca_new (const char *cn, int days, EVP_PKEY *key, X509 **ret, struct err *err);
/* A certificate for key's public half, signed by the authority, with a random 128-bit serial. */
int pki_sign (X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key, const struct pki_subject *subject, X509 **ret, struct err *err);

/* PEM appended to out (out->failed when out of memory). Keys are PKCS#8, public keys SubjectPublicKeyInfo. */
int pki_key_pem (EVP_PKEY *key, struct buf *out, struct err *err);
int pki_public_key_pem (EVP_PKEY *key, struct buf *out, struct err *err);
int pki_cert_pem (X509 *cert, struct buf *out, struct err *err);
/* Atomic writes: keys 0600, certificates 0644. */
int pki_write_key (const char *path, EVP_PKEY *key, struct err *err);
int pki_write_public_key (const char *path, EVP_PKEY *key, struct err *err);
int pki_write_cert (const char *path, X509 *cert, struct err *err);

/* ERR_NOT_FOUND and the like from the file, ERR_PARSE when it does not begin with such a PEM object. A "public" key file may
   hold a public key, a certificate or a private key. At most 1 MiB. */
int pki_read_key (const char *path, EVP_PKEY **ret, struct err *err);
int pki_read_public_key (const char *path, EVP_PKEY **ret, struct err *err);
int pki_read_cert (const char *path, X509 **ret, struct err *err);
int pki_parse_key (const void *pem, size_t len, EVP_PKEY **ret, struct err *err);
int pki_parse_public_key (const void *pem, size_t len, EVP_PKEY **ret, struct err *err);
int pki_parse_cert (const void *pem, size_t len, X509 **ret, struct err *err);

/* The certificate's common name and organisations, UTF-8. One allocation in all: free (*ret). ERR_INVALID when a name holds a
   NUL or is not decodable. cn is "" when there is none; the first CN counts, as in crypto/x509. */
struct pki_identity {
  const char *cn;
  const char **orgs; /* n_orgs, then NULL */
  size_t n_orgs;
};
int pki_identity (X509 *cert, struct pki_identity **ret, struct err *err);
/* Seconds until the certificate expires; negative when it has. */
int64_t pki_expires_s (X509 *cert);
/* The SHA-256 of the certificate's DER, lower-case hexadecimal. */
int pki_fingerprint (X509 *cert, char out[65], struct err *err);

#endif
