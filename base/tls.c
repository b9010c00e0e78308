#include "base/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"

#define PEM_LIMIT_BYTES (1u << 20)

struct stamp {
  dev_t dev;
  ino_t ino;
  off_t size;
  struct timespec mtime;
};

struct tls_context {
  pthread_mutex_t lock; /* guards ctx and stamps */
  SSL_CTX *ctx;
  struct stamp stamps[3];
  bool server, require_client_cert, insecure_skip_verify, no_http2;
  char *files[3], *pems[3]; /* certificate, key, CA */
  unsigned refs;
};

enum { CERT, KEY, CA };
static const char *const part_names[] = {"certificate", "private key", "certificate authority"};

const char *
tls_error_text (char *out, size_t size)
{
  unsigned long code;
  size_t n = 0;
  out[0] = 0;
  while ((code = ERR_get_error ())) {
    const char *reason = ERR_reason_error_string (code);
    if (n < size)
      n += (size_t) snprintf (out + n, size - n, "%s%s", n ? "; " : "", reason ? reason : "unknown");
  }
  if (!out[0])
    snprintf (out, size, "unknown TLS error");
  return out;
}

static int
tls_fail (struct err *err, int code, const char *what)
{
  char text[256];
  return err_set (err, code, "%s: %s", what, tls_error_text (text, sizeof text));
}

/* The text of a part: what was given as text, or the file's bytes. */
static int
part_text (const struct tls_context *t, int part, struct buf *out, struct err *err)
{
  if (t->pems[part]) {
    buf_append_str (out, t->pems[part]);
    return out->failed ? err_set (err, ERR_NOMEM, "%s", "") : 0;
  }
  if (file_read (t->files[part], PEM_LIMIT_BYTES, out, err))
    return err_wrap (err, "%s", part_names[part]);
  return 0;
}

static bool
part_given (const struct tls_context *t, int part)
{
  return t->pems[part] || t->files[part];
}

static const char *
part_origin (const struct tls_context *t, int part)
{
  return t->pems[part] ? part_names[part] : t->files[part];
}

static int
use_certificate (SSL_CTX *ctx, const struct tls_context *t, struct err *err)
{
  struct buf text AUTO_BUF = BUF_INIT, key_text AUTO_BUF = BUF_INIT;
  BIO *bio = NULL;
  X509 *cert = NULL;
  EVP_PKEY *key = NULL;
  int r;
  if ((r = part_text (t, CERT, &text, err)) || (r = part_text (t, KEY, &key_text, err)))
    return r;
  if (!(bio = BIO_new_mem_buf (text.data, (int) text.len)))
    return tls_fail (err, ERR_NOMEM, "certificate");
  if (!(cert = PEM_read_bio_X509 (bio, NULL, NULL, NULL)) || SSL_CTX_use_certificate (ctx, cert) != 1) {
    r = tls_fail (err, ERR_PARSE, part_origin (t, CERT));
    goto out;
  }
  X509_free (cert);
  while ((cert = PEM_read_bio_X509 (bio, NULL, NULL, NULL)))
    if (SSL_CTX_add0_chain_cert (ctx, cert) != 1) {
      r = tls_fail (err, ERR_PARSE, part_origin (t, CERT));
      goto out;
    }
  ERR_clear_error (); /* the end of the file is an error to OpenSSL */
  BIO_free (bio);
  if (!(bio = BIO_new_mem_buf (key_text.data, (int) key_text.len)) ||
      !(key = PEM_read_bio_PrivateKey (bio, NULL, NULL, NULL)))
    r = tls_fail (err, ERR_PARSE, part_origin (t, KEY));
  else if (SSL_CTX_use_PrivateKey (ctx, key) != 1 || SSL_CTX_check_private_key (ctx) != 1)
    r = tls_fail (err, ERR_INVALID, part_origin (t, KEY));
out:
  OPENSSL_cleanse (key_text.data, key_text.len);
  EVP_PKEY_free (key);
  X509_free (cert);
  BIO_free (bio);
  return r;
}

static int
use_authorities (SSL_CTX *ctx, const struct tls_context *t, struct err *err)
{
  struct buf text AUTO_BUF = BUF_INIT;
  X509_STORE *store = SSL_CTX_get_cert_store (ctx);
  BIO *bio;
  X509 *cert;
  size_t n = 0;
  int r = part_text (t, CA, &text, err);
  if (r)
    return r;
  if (!(bio = BIO_new_mem_buf (text.data, (int) text.len)))
    return tls_fail (err, ERR_NOMEM, "certificate authority");
  for (; (cert = PEM_read_bio_X509_AUX (bio, NULL, NULL, NULL)); n++) {
    if (X509_STORE_add_cert (store, cert) != 1 || (t->server && SSL_CTX_add_client_CA (ctx, cert) != 1))
      r = tls_fail (err, ERR_PARSE, part_origin (t, CA));
    X509_free (cert);
    if (r)
      break;
  }
  ERR_clear_error ();
  BIO_free (bio);
  if (!r && !n)
    r = err_set (err, ERR_PARSE, "%s: no certificate in it", part_origin (t, CA));
  return r;
}

/* A client certificate that does not verify is for the authenticator to refuse (401), not for the handshake. */
static int
verify_later (int ok, X509_STORE_CTX *ctx)
{
  (void) ok;
  (void) ctx;
  return 1;
}

static int
choose_alpn (SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
  const struct tls_context *t = arg;
  static const unsigned char both[] = "\x02h2\x08http/1.1", one[] = "\x08http/1.1";
  unsigned char *chosen;
  (void) ssl;
  if (SSL_select_next_proto (&chosen, out_len, t->no_http2 ? one : both, t->no_http2 ? sizeof one - 1 : sizeof both - 1, in,
                             in_len) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

static int
setup_server (SSL_CTX *ctx, struct tls_context *t, struct err *err)
{
  int r;
  if (!part_given (t, CERT) || !part_given (t, KEY))
    return err_set (err, ERR_INVALID, "a TLS server needs a certificate and a key");
  if ((r = use_certificate (ctx, t, err)))
    return r;
  SSL_CTX_set_alpn_select_cb (ctx, choose_alpn, t);
  SSL_CTX_set_session_id_context (ctx, (const unsigned char *) "kubus", 5);
  SSL_CTX_set_options (ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION);
  if (!part_given (t, CA))
    return 0;
  if ((r = use_authorities (ctx, t, err)))
    return r;
  if (t->require_client_cert)
    SSL_CTX_set_verify (ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  else
    SSL_CTX_set_verify (ctx, SSL_VERIFY_PEER, verify_later);
  return 0;
}

static int
setup_client (SSL_CTX *ctx, struct tls_context *t, struct err *err)
{
  int r;
  if (part_given (t, CERT) && (r = use_certificate (ctx, t, err)))
    return r;
  if (SSL_CTX_set_alpn_protos (ctx, (const unsigned char *) (t->no_http2 ? "\x08http/1.1" : "\x02h2\x08http/1.1"),
                               t->no_http2 ? 9 : 12))
    return tls_fail (err, ERR_NOMEM, "ALPN");
  if (t->insecure_skip_verify)
    return 0;
  SSL_CTX_set_verify (ctx, SSL_VERIFY_PEER, NULL);
  if (part_given (t, CA))
    return use_authorities (ctx, t, err);
  return SSL_CTX_set_default_verify_paths (ctx) == 1 ? 0 : tls_fail (err, ERR_IO, "system authorities");
}

static int
make_ctx (struct tls_context *t, SSL_CTX **ret, struct err *err)
{
  SSL_CTX *ctx = SSL_CTX_new (t->server ? TLS_server_method () : TLS_client_method ());
  int r;
  if (!ctx)
    return tls_fail (err, ERR_NOMEM, "TLS context");
  SSL_CTX_set_min_proto_version (ctx, TLS1_2_VERSION);
  /* Without it each idle connection keeps 34 KB of record buffers. */
  SSL_CTX_set_mode (ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if ((r = t->server ? setup_server (ctx, t, err) : setup_client (ctx, t, err))) {
    SSL_CTX_free (ctx);
    return r;
  }
  *ret = ctx;
  return 0;
}

static void
take_stamps (const struct tls_context *t, struct stamp out[3])
{
  for (int i = 0; i < 3; i++) {
    struct stat st;
    out[i] = (struct stamp){0};
    if (!t->pems[i] && t->files[i] && !stat (t->files[i], &st))
      out[i] = (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
  }
}

static struct tls_context *
context_new (const struct tls_config *config, bool server, struct err *err)
{
  struct tls_context *t = mem_zalloc (sizeof *t);
  const char *files[] = {config->cert_file, config->key_file, config->ca_file};
  const char *pems[] = {config->cert_pem, config->key_pem, config->ca_pem};
  if (!t) {
    err_set (err, ERR_NOMEM, "TLS context");
    return NULL;
  }
  t->refs = 1;
  t->server = server;
  t->require_client_cert = config->require_client_cert;
  t->insecure_skip_verify = config->insecure_skip_verify;
  t->no_http2 = config->no_http2;
  pthread_mutex_init (&t->lock, NULL);
  for (int i = 0; i < 3; i++)
    if ((files[i] && !(t->files[i] = mem_strdup (files[i]))) || (pems[i] && !(t->pems[i] = mem_strdup (pems[i])))) {
      err_set (err, ERR_NOMEM, "TLS context");
      tls_unref (t);
      return NULL;
    }
  take_stamps (t, t->stamps);
  if (make_ctx (t, &t->ctx, err)) {
    tls_unref (t);
    return NULL;
  }
  return t;
}

struct tls_context *
tls_server_new (const struct tls_config *config, struct err *err)
{
  return context_new (config, true, err);
}

struct tls_context *
tls_client_new (const struct tls_config *config, struct err *err)
{
  return context_new (config, false, err);
}

struct tls_context *
tls_ref (struct tls_context *t)
{
  if (t)
    __atomic_add_fetch (&t->refs, 1, __ATOMIC_RELAXED);
  return t;
}

void
tls_unref (struct tls_context *t)
{
  if (!t || __atomic_sub_fetch (&t->refs, 1, __ATOMIC_ACQ_REL))
    return;
  SSL_CTX_free (t->ctx);
  for (int i = 0; i < 3; i++) {
    free (t->files[i]);
    if (t->pems[i])
      OPENSSL_cleanse (t->pems[i], strlen (t->pems[i]));
    free (t->pems[i]);
  }
  pthread_mutex_destroy (&t->lock);
  free (t);
}

int
tls_reload (struct tls_context *t, struct err *err)
{
  struct stamp stamps[3];
  SSL_CTX *ctx, *old;
  int r;
  take_stamps (t, stamps);
  if ((r = make_ctx (t, &ctx, err)))
    return r;
  pthread_mutex_lock (&t->lock);
  old = t->ctx;
  t->ctx = ctx;
  for (int i = 0; i < 3; i++)
    t->stamps[i] = stamps[i];
  pthread_mutex_unlock (&t->lock);
  SSL_CTX_free (old); /* connections hold references of their own */
  return 0;
}

int
tls_reload_if_changed (struct tls_context *t, bool *ret_reloaded, struct err *err)
{
  struct stamp now[3];
  bool changed = false;
  int r = 0;
  take_stamps (t, now);
  pthread_mutex_lock (&t->lock);
  for (int i = 0; i < 3; i++)
    changed |= now[i].ino != t->stamps[i].ino || now[i].dev != t->stamps[i].dev || now[i].size != t->stamps[i].size ||
               now[i].mtime.tv_sec != t->stamps[i].mtime.tv_sec || now[i].mtime.tv_nsec != t->stamps[i].mtime.tv_nsec;
  pthread_mutex_unlock (&t->lock);
  if (changed)
    r = tls_reload (t, err);
  if (ret_reloaded && !r)
    *ret_reloaded = changed;
  return r;
}

SSL *
tls_ssl_new (struct tls_context *t, const char *server_name)
{
  SSL *ssl;
  pthread_mutex_lock (&t->lock);
  ssl = SSL_new (t->ctx);
  pthread_mutex_unlock (&t->lock);
  if (!ssl)
    return NULL;
  if (t->server) {
    SSL_set_accept_state (ssl);
    return ssl;
  }
  SSL_set_connect_state (ssl);
  if (server_name) {
    X509_VERIFY_PARAM *param = SSL_get0_param (ssl);
    /* An address must match an IP entry of the certificate and is never sent as SNI (RFC 6066 3). */
    bool is_ip = X509_VERIFY_PARAM_set1_ip_asc (param, server_name) == 1;
    ERR_clear_error ();
    if (!is_ip) {
      X509_VERIFY_PARAM_set_hostflags (param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      if (X509_VERIFY_PARAM_set1_host (param, server_name, 0) != 1 || SSL_set_tlsext_host_name (ssl, server_name) != 1) {
        SSL_free (ssl);
        return NULL;
      }
    }
  }
  return ssl;
}

X509 *
tls_peer_cert (SSL *ssl, long *ret_verify)
{
  X509 *cert = SSL_get0_peer_certificate (ssl);
  if (cert && ret_verify)
    *ret_verify = SSL_get_verify_result (ssl);
  return cert;
}
