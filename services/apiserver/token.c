/* JSON Web Tokens of service accounts (RFC 7515, 7518): ES256 and RS256 over OpenSSL. */
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "schemas/json.h"
#include "services/apiserver/front.h"

#define TOKEN_MAX (64u << 10)

static void
base64url (const void *data, size_t n, struct buf *out)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const uint8_t *p = data;
  for (size_t i = 0; i < n; i += 3) {
    uint32_t v = (uint32_t) p[i] << 16 | (i + 1 < n ? (uint32_t) p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
    buf_append_byte (out, (uint8_t) digits[v >> 18]);
    buf_append_byte (out, (uint8_t) digits[v >> 12 & 63]);
    if (i + 1 < n)
      buf_append_byte (out, (uint8_t) digits[v >> 6 & 63]);
    if (i + 2 < n)
      buf_append_byte (out, (uint8_t) digits[v & 63]);
  }
}

static int
digit (char c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Strict: no padding, no other characters, no left-over bits. */
static bool
unbase64url (const char *s, size_t n, struct buf *out)
{
  uint32_t v = 0;
  int bits = 0;
  if (n % 4 == 1)
    return false;
  for (size_t i = 0; i < n; i++) {
    int d = digit (s[i]);
    if (d < 0)
      return false;
    v = v << 6 | (uint32_t) d;
    if ((bits += 6) >= 8)
      buf_append_byte (out, (uint8_t) (v >> (bits -= 8)));
  }
  return !(v & ((1u << bits) - 1)) && !out->failed;
}

static bool
is_ec (EVP_PKEY *key)
{
  return EVP_PKEY_get_base_id (key) == EVP_PKEY_EC;
}

/* SHA-256 of SubjectPublicKeyInfo, as upstream names its keys. */
const char *
token_key_id (EVP_PKEY *key, char out[48])
{
  unsigned char *der = NULL, digest[SHA256_DIGEST_LENGTH];
  struct buf id AUTO_BUF = BUF_INIT;
  int n = i2d_PUBKEY (key, &der);
  out[0] = 0;
  if (n <= 0)
    return out;
  SHA256 (der, (size_t) n, digest);
  OPENSSL_free (der);
  base64url (digest, sizeof digest, &id);
  snprintf (out, 48, "%s", buf_cstr (&id));
  return out;
}

/* ECDSA signatures are ASN.1 in OpenSSL and r || s, 32 bytes each, in a JWT. */
static bool
ec_to_raw (const unsigned char *der, size_t n, unsigned char raw[64])
{
  ECDSA_SIG *sig = d2i_ECDSA_SIG (NULL, &der, (long) n);
  bool ok = sig && BN_bn2binpad (ECDSA_SIG_get0_r (sig), raw, 32) == 32 && BN_bn2binpad (ECDSA_SIG_get0_s (sig), raw + 32, 32) == 32;
  ECDSA_SIG_free (sig);
  return ok;
}

static int
raw_to_ec (const unsigned char raw[64], unsigned char **ret_der)
{
  ECDSA_SIG *sig = ECDSA_SIG_new ();
  BIGNUM *r = BN_bin2bn (raw, 32, NULL), *s = BN_bin2bn (raw + 32, 32, NULL);
  int n = -1;
  if (sig && r && s && ECDSA_SIG_set0 (sig, r, s)) {
    r = s = NULL;
    n = i2d_ECDSA_SIG (sig, ret_der);
  }
  BN_free (r);
  BN_free (s);
  ECDSA_SIG_free (sig);
  return n;
}

static int
sign (EVP_PKEY *key, const struct buf *text, struct buf *out, struct err *err)
{
  unsigned char sig[1024], raw[64];
  size_t n = sizeof sig;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new ();
  bool ok = ctx && EVP_DigestSignInit (ctx, NULL, EVP_sha256 (), NULL, key) == 1 && EVP_DigestSign (ctx, sig, &n, text->data, text->len) == 1;
  EVP_MD_CTX_free (ctx);
  if (ok && is_ec (key)) {
    ok = ec_to_raw (sig, n, raw);
    base64url (raw, sizeof raw, out);
  } else if (ok) {
    base64url (sig, n, out);
  }
  return ok ? 0 : err_set (err, ERR_INTERNAL, "token: signing failed");
}

int
token_sign (EVP_PKEY *key, const struct value *claims, char **ret, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct buf head AUTO_BUF = BUF_INIT, body AUTO_BUF = BUF_INIT, out AUTO_BUF = BUF_INIT;
  struct value *h = value_map (&a);
  char id[48];
  int r;
  value_set_string (&a, h, "alg", is_ec (key) ? "ES256" : "RS256");
  value_set_string (&a, h, "kid", token_key_id (key, id));
  json_write (h, 0, &head);
  json_write (claims, 0, &body);
  base64url (head.data, head.len, &out);
  buf_append_byte (&out, '.');
  base64url (body.data, body.len, &out);
  if (head.failed || body.failed || out.failed || !arena_ok (&a))
    return err_set (err, ERR_NOMEM, "token");
  {
    struct buf sig AUTO_BUF = BUF_INIT;
    if ((r = sign (key, &out, &sig, err)))
      return r;
    buf_append_byte (&out, '.');
    buf_append (&out, sig.data, sig.len);
  }
  return (*ret = buf_take_cstr (&out)) ? 0 : err_set (err, ERR_NOMEM, "token");
}

static bool
signature_fits (EVP_PKEY *key, const char *text, size_t n, const struct buf *sig)
{
  EVP_MD_CTX *ctx;
  unsigned char *der = NULL;
  const unsigned char *p = sig->data;
  size_t len = sig->len;
  bool ok;
  if (is_ec (key)) {
    int d = sig->len == 64 ? raw_to_ec (sig->data, &der) : -1;
    if (d <= 0)
      return false;
    p = der;
    len = (size_t) d;
  }
  ctx = EVP_MD_CTX_new ();
  ok = ctx && EVP_DigestVerifyInit (ctx, NULL, EVP_sha256 (), NULL, key) == 1 && EVP_DigestVerify (ctx, p, len, (const unsigned char *) text, n) == 1;
  EVP_MD_CTX_free (ctx);
  OPENSSL_free (der);
  return ok;
}

static int
part (struct arena *a, const char *s, size_t n, struct value **ret, struct err *err)
{
  struct buf raw AUTO_BUF = BUF_INIT;
  if (!unbase64url (s, n, &raw))
    return err_set (err, ERR_UNAUTHENTICATED, "token: not base64url");
  return json_parse (a, (const char *) raw.data, raw.len, ret, NULL, err) ? err_set (err, ERR_UNAUTHENTICATED, "token: not JSON") : 0;
}

int
token_verify (struct arena *a, EVP_PKEY *key, const char *token, struct value **ret_claims, struct err *err)
{
  const char *dot = strchr (token, '.'), *second = dot ? strchr (dot + 1, '.') : NULL;
  struct buf sig AUTO_BUF = BUF_INIT;
  struct value *head, *claims;
  int r;
  if (!second || strchr (second + 1, '.') || strlen (token) > TOKEN_MAX)
    return err_set (err, ERR_UNAUTHENTICATED, "token: not a JWT");
  if ((r = part (a, token, (size_t) (dot - token), &head, err)) || (r = part (a, dot + 1, (size_t) (second - dot - 1), &claims, err)))
    return r;
  if (!value_string_is (value_get (head, "alg"), is_ec (key) ? "ES256" : "RS256"))
    return err_set (err, ERR_UNAUTHENTICATED, "token: algorithm");
  if (!unbase64url (second + 1, strlen (second + 1), &sig) || !signature_fits (key, token, (size_t) (second - token), &sig))
    return err_set (err, ERR_UNAUTHENTICATED, "token: signature");
  *ret_claims = claims;
  return 0;
}

static void
number (struct arena *a, struct value *jwk, const char *name, EVP_PKEY *key, const char *param, size_t width)
{
  BIGNUM *bn = NULL;
  struct buf text AUTO_BUF = BUF_INIT;
  unsigned char raw[1024];
  int n;
  if (EVP_PKEY_get_bn_param (key, param, &bn) != 1)
    return;
  n = width ? BN_bn2binpad (bn, raw, (int) width) : BN_num_bytes (bn) <= (int) sizeof raw ? BN_bn2bin (bn, raw) : -1;
  BN_free (bn);
  if (n <= 0)
    return;
  base64url (raw, (size_t) n, &text);
  value_set_string (a, jwk, name, buf_cstr (&text));
}

int
token_jwks (EVP_PKEY *key, struct buf *out, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct value *doc = value_map (&a), *jwk = value_map (&a);
  char id[48];
  value_set_string (&a, jwk, "use", "sig");
  value_set_string (&a, jwk, "kty", is_ec (key) ? "EC" : "RSA");
  value_set_string (&a, jwk, "kid", token_key_id (key, id));
  if (is_ec (key)) {
    value_set_string (&a, jwk, "crv", "P-256");
    value_set_string (&a, jwk, "alg", "ES256");
    number (&a, jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
    number (&a, jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
  } else {
    value_set_string (&a, jwk, "alg", "RS256");
    number (&a, jwk, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
    number (&a, jwk, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
  }
  value_append (&a, value_ensure_array (&a, doc, "keys"), jwk);
  json_write (doc, 0, out);
  return arena_ok (&a) && !out->failed ? 0 : err_set (err, ERR_NOMEM, "keys");
}
