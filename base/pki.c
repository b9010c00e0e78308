#include "base/pki.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/tls.h"

#define PEM_LIMIT_BYTES (1u << 20)
#define CLOCK_SKEW_S 300
#define NAMES_LIMIT 100

static int
pki_fail (struct err *err, int code, const char *what)
{
  char text[256];
  return err_set (err, code, "%s: %s", what, tls_error_text (text, sizeof text));
}

int
pki_key_new (enum pki_key_type type, EVP_PKEY **ret, struct err *err)
{
  EVP_PKEY *key = type == PKI_EC_P256 ? EVP_EC_gen ("P-256") : EVP_RSA_gen (2048);
  if (!key)
    return pki_fail (err, ERR_INTERNAL, "generate key");
  *ret = key;
  return 0;
}

static bool
add_name (X509_NAME *name, int nid, const char *text)
{
  return X509_NAME_add_entry_by_NID (name, nid, MBSTRING_UTF8, (const unsigned char *) text, -1, -1, 0) == 1;
}

static bool
set_serial (X509 *cert)
{
  unsigned char bytes[16];
  BIGNUM *n;
  bool ok;
  if (RAND_bytes (bytes, sizeof bytes) != 1)
    return false;
  bytes[0] &= 0x7f; /* positive, RFC 5280 4.1.2.2 */
  n = BN_bin2bn (bytes, sizeof bytes, NULL);
  ok = n && BN_to_ASN1_INTEGER (n, X509_get_serialNumber (cert));
  BN_free (n);
  return ok;
}

static bool
add_extension (X509 *cert, X509 *issuer, int nid, const char *value)
{
  X509V3_CTX ctx;
  X509_EXTENSION *ext;
  bool ok;
  X509V3_set_ctx_nodb (&ctx);
  X509V3_set_ctx (&ctx, issuer, cert, NULL, NULL, 0);
  ext = X509V3_EXT_conf_nid (NULL, &ctx, nid, value);
  ok = ext && X509_add_ext (cert, ext, -1) == 1;
  X509_EXTENSION_free (ext);
  return ok;
}

/* Built as ASN.1, not as OpenSSL's configuration text: a comma in a name must not add another. */
static int
add_alt_names (X509 *cert, const struct pki_subject *s, struct err *err)
{
  GENERAL_NAMES *names = GENERAL_NAMES_new ();
  int r = 0;
  if (!names)
    return err_set (err, ERR_NOMEM, "alternative names");
  for (const char *const *p = s->dns; !r && p && *p; p++) {
    GENERAL_NAME *n = GENERAL_NAME_new ();
    ASN1_IA5STRING *v = ASN1_IA5STRING_new ();
    if (!n || !v || !ASN1_STRING_set (v, *p, -1)) {
      GENERAL_NAME_free (n);
      ASN1_STRING_free (v);
      r = err_set (err, ERR_NOMEM, "alternative names");
      break;
    }
    GENERAL_NAME_set0_value (n, GEN_DNS, v);
    if (!sk_GENERAL_NAME_push (names, n))
      r = err_set (err, ERR_NOMEM, "alternative names");
  }
  for (const char *const *p = s->ips; !r && p && *p; p++) {
    GENERAL_NAME *n = GENERAL_NAME_new ();
    ASN1_OCTET_STRING *v = a2i_IPADDRESS (*p);
    if (!n || !v) {
      GENERAL_NAME_free (n);
      ASN1_OCTET_STRING_free (v);
      r = err_set (err, ERR_INVALID, "'%s' is not an IP address", *p);
      break;
    }
    GENERAL_NAME_set0_value (n, GEN_IPADD, v);
    if (!sk_GENERAL_NAME_push (names, n))
      r = err_set (err, ERR_NOMEM, "alternative names");
  }
  if (!r && sk_GENERAL_NAME_num (names) > 0 && X509_add1_ext_i2d (cert, NID_subject_alt_name, names, 0, 0) != 1)
    r = pki_fail (err, ERR_INTERNAL, "alternative names");
  GENERAL_NAMES_free (names);
  return r;
}

/* Everything but the extensions and the signature. */
static int
cert_start (const char *cn, const char *const *orgs, int days, EVP_PKEY *key, X509 **ret, struct err *err)
{
  X509 *cert = X509_new ();
  X509_NAME *name;
  bool ok;
  if (!cert)
    return pki_fail (err, ERR_NOMEM, "certificate");
  name = X509_get_subject_name (cert);
  ok = X509_set_version (cert, X509_VERSION_3) == 1 && set_serial (cert) &&
       X509_gmtime_adj (X509_getm_notBefore (cert), -CLOCK_SKEW_S) &&
       X509_time_adj_ex (X509_getm_notAfter (cert), days, 0, NULL) && X509_set_pubkey (cert, key) == 1;
  for (const char *const *o = orgs; ok && o && *o; o++)
    ok = add_name (name, NID_organizationName, *o);
  if (!ok || !add_name (name, NID_commonName, cn)) {
    X509_free (cert);
    return pki_fail (err, ERR_INVALID, "certificate subject");
  }
  *ret = cert;
  return 0;
}

int
pki_ca_new (const char *cn, int days, EVP_PKEY *key, X509 **ret, struct err *err)
{
  X509 *cert AUTO_X509 = NULL;
  int r = cert_start (cn, NULL, days, key, &cert, err);
  if (r)
    return r;
  if (X509_set_issuer_name (cert, X509_get_subject_name (cert)) != 1 ||
      !add_extension (cert, cert, NID_basic_constraints, "critical,CA:TRUE") ||
      !add_extension (cert, cert, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign") ||
      !add_extension (cert, cert, NID_subject_key_identifier, "hash") || !X509_sign (cert, key, EVP_sha256 ()))
    return pki_fail (err, ERR_INTERNAL, "sign authority");
  *ret = TAKE (cert);
  return 0;
}

int
pki_sign (X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key, const struct pki_subject *s, X509 **ret, struct err *err)
{
  X509 *cert AUTO_X509 = NULL;
  const char *usage = EVP_PKEY_is_a (key, "RSA") ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature";
  int r = cert_start (s->cn ? s->cn : "", s->orgs, s->days, key, &cert, err);
  if (r)
    return r;
  if ((r = add_alt_names (cert, s, err)))
    return r;
  if (X509_set_issuer_name (cert, X509_get_subject_name (ca)) != 1 ||
      !add_extension (cert, ca, NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension (cert, ca, NID_key_usage, usage) ||
      ((s->server || s->client) &&
       !add_extension (cert, ca, NID_ext_key_usage,
                       s->server && s->client ? "serverAuth,clientAuth" : (s->server ? "serverAuth" : "clientAuth"))) ||
      !add_extension (cert, ca, NID_subject_key_identifier, "hash") ||
      !add_extension (cert, ca, NID_authority_key_identifier, "keyid") || !X509_sign (cert, ca_key, EVP_sha256 ()))
    return pki_fail (err, ERR_INTERNAL, "sign certificate");
  *ret = TAKE (cert);
  return 0;
}

enum pem_kind { PEM_KEY, PEM_PUBLIC, PEM_CERT };

static int
to_pem (enum pem_kind kind, EVP_PKEY *key, X509 *cert, struct buf *out, struct err *err)
{
  BIO *bio = BIO_new (BIO_s_mem ());
  char *text;
  long len;
  int ok = 0, r = 0;
  if (!bio)
    return err_set (err, ERR_NOMEM, "PEM");
  switch (kind) {
  case PEM_KEY:
    ok = PEM_write_bio_PKCS8PrivateKey (bio, key, NULL, NULL, 0, NULL, NULL);
    break;
  case PEM_PUBLIC:
    ok = PEM_write_bio_PUBKEY (bio, key);
    break;
  case PEM_CERT:
    ok = PEM_write_bio_X509 (bio, cert);
    break;
  }
  if (ok != 1)
    r = pki_fail (err, ERR_INTERNAL, "PEM");
  else if ((len = BIO_get_mem_data (bio, &text)) > 0)
    buf_append (out, text, (size_t) len);
  if (!r && out->failed)
    r = err_set (err, ERR_NOMEM, "PEM");
  BIO_free (bio);
  return r;
}

int
pki_key_pem (EVP_PKEY *key, struct buf *out, struct err *err)
{
  return to_pem (PEM_KEY, key, NULL, out, err);
}

int
pki_public_key_pem (EVP_PKEY *key, struct buf *out, struct err *err)
{
  return to_pem (PEM_PUBLIC, key, NULL, out, err);
}

int
pki_cert_pem (X509 *cert, struct buf *out, struct err *err)
{
  return to_pem (PEM_CERT, NULL, cert, out, err);
}

static int
write_pem (const char *path, enum pem_kind kind, EVP_PKEY *key, X509 *cert, struct err *err)
{
  struct buf pem AUTO_BUF = BUF_INIT;
  int r = to_pem (kind, key, cert, &pem, err);
  if (r)
    return err ? err_wrap (err, "%s", path) : r;
  r = file_write_atomic (path, pem.data, pem.len, kind == PEM_KEY ? 0600 : 0644, err);
  OPENSSL_cleanse (pem.data, pem.len);
  return r;
}

int
pki_write_key (const char *path, EVP_PKEY *key, struct err *err)
{
  return write_pem (path, PEM_KEY, key, NULL, err);
}

int
pki_write_public_key (const char *path, EVP_PKEY *key, struct err *err)
{
  return write_pem (path, PEM_PUBLIC, key, NULL, err);
}

int
pki_write_cert (const char *path, X509 *cert, struct err *err)
{
  return write_pem (path, PEM_CERT, NULL, cert, err);
}

/* A passphrase is never asked for on a terminal: an encrypted key is a malformed one. */
static int
no_passphrase (char *out, int size, int writing, void *arg)
{
  (void) out;
  (void) size;
  (void) writing;
  (void) arg;
  return -1;
}

static BIO *
pem_bio (const void *pem, size_t len, struct err *err)
{
  BIO *bio;
  if (len > PEM_LIMIT_BYTES) {
    err_set (err, ERR_LIMIT, "PEM: %zu bytes", len);
    return NULL;
  }
  if (!(bio = BIO_new_mem_buf (pem, (int) len)))
    err_set (err, ERR_NOMEM, "PEM");
  return bio;
}

int
pki_parse_key (const void *pem, size_t len, EVP_PKEY **ret, struct err *err)
{
  BIO *bio = pem_bio (pem, len, err);
  EVP_PKEY *key;
  if (!bio)
    return len > PEM_LIMIT_BYTES ? ERR_LIMIT : ERR_NOMEM;
  key = PEM_read_bio_PrivateKey (bio, NULL, no_passphrase, NULL);
  BIO_free (bio);
  if (!key)
    return pki_fail (err, ERR_PARSE, "private key");
  *ret = key;
  return 0;
}

int
pki_parse_cert (const void *pem, size_t len, X509 **ret, struct err *err)
{
  BIO *bio = pem_bio (pem, len, err);
  X509 *cert;
  if (!bio)
    return len > PEM_LIMIT_BYTES ? ERR_LIMIT : ERR_NOMEM;
  cert = PEM_read_bio_X509 (bio, NULL, no_passphrase, NULL);
  BIO_free (bio);
  if (!cert)
    return pki_fail (err, ERR_PARSE, "certificate");
  *ret = cert;
  return 0;
}

int
pki_parse_public_key (const void *pem, size_t len, EVP_PKEY **ret, struct err *err)
{
  X509 *cert AUTO_X509 = NULL;
  BIO *bio = pem_bio (pem, len, err);
  EVP_PKEY *key;
  if (!bio)
    return len > PEM_LIMIT_BYTES ? ERR_LIMIT : ERR_NOMEM;
  key = PEM_read_bio_PUBKEY (bio, NULL, no_passphrase, NULL);
  BIO_free (bio);
  if (!key && !pki_parse_key (pem, len, &key, NULL))
    ERR_clear_error ();
  if (!key && !pki_parse_cert (pem, len, &cert, NULL))
    key = X509_get_pubkey (cert);
  if (!key)
    return pki_fail (err, ERR_PARSE, "public key");
  ERR_clear_error ();
  *ret = key;
  return 0;
}

int
pki_read_key (const char *path, EVP_PKEY **ret, struct err *err)
{
  struct buf pem AUTO_BUF = BUF_INIT;
  int r = file_read (path, PEM_LIMIT_BYTES, &pem, err);
  if (r)
    return r;
  r = pki_parse_key (pem.data, pem.len, ret, err);
  OPENSSL_cleanse (pem.data, pem.len);
  return r && err ? err_wrap (err, "%s", path) : r;
}

int
pki_read_public_key (const char *path, EVP_PKEY **ret, struct err *err)
{
  struct buf pem AUTO_BUF = BUF_INIT;
  int r = file_read (path, PEM_LIMIT_BYTES, &pem, err);
  if (r)
    return r;
  r = pki_parse_public_key (pem.data, pem.len, ret, err);
  OPENSSL_cleanse (pem.data, pem.len);
  return r && err ? err_wrap (err, "%s", path) : r;
}

int
pki_read_cert (const char *path, X509 **ret, struct err *err)
{
  struct buf pem AUTO_BUF = BUF_INIT;
  int r = file_read (path, PEM_LIMIT_BYTES, &pem, err);
  if (r)
    return r;
  r = pki_parse_cert (pem.data, pem.len, ret, err);
  return r && err ? err_wrap (err, "%s", path) : r;
}

static int
name_text (X509_NAME *name, int index, struct buf *out, struct err *err)
{
  unsigned char *text = NULL;
  int len = ASN1_STRING_to_UTF8 (&text, X509_NAME_ENTRY_get_data (X509_NAME_get_entry (name, index)));
  if (len < 0)
    return pki_fail (err, ERR_INVALID, "certificate subject");
  if (memchr (text, 0, (size_t) len)) {
    OPENSSL_free (text);
    return err_set (err, ERR_INVALID, "certificate subject: NUL in a name");
  }
  buf_append (out, text, (size_t) len);
  buf_append_byte (out, 0);
  OPENSSL_free (text);
  return 0;
}

int
pki_identity (X509 *cert, struct pki_identity **ret, struct err *err)
{
  X509_NAME *name = X509_get_subject_name (cert);
  struct buf text AUTO_BUF = BUF_INIT; /* the CN, then each organisation, each with its NUL */
  struct pki_identity *id;
  size_t n_orgs = 0;
  char *p;
  int r, cn = X509_NAME_get_index_by_NID (name, NID_commonName, -1);
  if (cn < 0)
    buf_append_byte (&text, 0);
  else if ((r = name_text (name, cn, &text, err)))
    return r;
  for (int i = -1; (i = X509_NAME_get_index_by_NID (name, NID_organizationName, i)) >= 0; n_orgs++) {
    if (n_orgs == NAMES_LIMIT)
      return err_set (err, ERR_INVALID, "certificate subject: more than %d organisations", NAMES_LIMIT);
    if ((r = name_text (name, i, &text, err)))
      return r;
  }
  if (text.failed || !(id = mem_zalloc (sizeof *id + (n_orgs + 1) * sizeof *id->orgs + text.len)))
    return err_set (err, ERR_NOMEM, "certificate subject");
  id->orgs = (const char **) (id + 1);
  id->n_orgs = n_orgs;
  p = (char *) (id->orgs + n_orgs + 1);
  memcpy (p, text.data, text.len);
  id->cn = p;
  for (size_t i = 0; i < n_orgs; i++)
    id->orgs[i] = p += strlen (p) + 1;
  *ret = id;
  return 0;
}

int64_t
pki_expires_s (X509 *cert)
{
  int days = 0, seconds = 0;
  ASN1_TIME_diff (&days, &seconds, NULL, X509_get0_notAfter (cert));
  return (int64_t) days * 86400 + seconds;
}

int
pki_fingerprint (X509 *cert, char out[65], struct err *err)
{
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  if (X509_digest (cert, EVP_sha256 (), digest, &len) != 1 || len != 32)
    return pki_fail (err, ERR_INTERNAL, "fingerprint");
  for (unsigned i = 0; i < 32; i++)
    snprintf (out + 2 * i, 3, "%02x", digest[i]);
  return 0;
}
