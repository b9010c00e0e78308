/* base/file.h, base/pki.h and base/tls.h's loading. */
#include "tests/lib/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/pki.h"
#include "base/tls.h"

static char dir[64];

static const char *
in_dir (const char *name)
{
  static char path[4][128];
  static unsigned i;
  snprintf (path[++i % 4], sizeof path[0], "%s/%s", dir, name);
  return path[i % 4];
}

static int
setup (void **state)
{
  (void) state;
  snprintf (dir, sizeof dir, "/tmp/kubus-test-XXXXXX");
  return mkdtemp (dir) ? 0 : -1;
}

static int
teardown (void **state)
{
  (void) state;
  return file_remove_tree (dir, NULL);
}

static void
test_file__write_read_list_remove (void **state)
{
  struct buf b AUTO_BUF = BUF_INIT;
  AUTO_FREE char **names = NULL;
  struct err err;
  struct stat st;
  size_t n = 0;
  (void) state;
  assert_int_equal (file_mkdirs (in_dir ("a/b/c"), 0755, &err), 0);
  assert_int_equal (file_mkdirs (in_dir ("a/b/c"), 0755, &err), 0);
  assert_int_equal (file_write_atomic (in_dir ("a/f"), "secret", 6, 0600, &err), 0);
  assert_int_equal (stat (in_dir ("a/f"), &st), 0);
  assert_int_equal (st.st_mode & 0777, 0600);
  assert_int_equal (file_read (in_dir ("a/f"), 6, &b, &err), 0);
  assert_string_equal (buf_cstr (&b), "secret");
  assert_int_equal (file_read (in_dir ("a/f"), 5, &b, &err), ERR_LIMIT);
  assert_int_equal (file_read (in_dir ("nope"), 5, &b, &err), ERR_NOT_FOUND);
  assert_non_null (strstr (err.text, "nope"));
  assert_int_equal (file_mkdirs (in_dir ("a/f"), 0755, &err), ERR_EXISTS);
  assert_int_equal (file_list (in_dir ("a"), 10, &names, &n, &err), 0);
  assert_int_equal (n, 2); /* and no temporary file left */
  assert_string_equal (names[0], "b");
  assert_string_equal (names[1], "f");
}

static void
test_file_remove_tree__does_not_follow_links (void **state)
{
  struct err err;
  (void) state;
  assert_int_equal (file_mkdirs (in_dir ("keep"), 0755, &err), 0);
  assert_int_equal (file_write_atomic (in_dir ("keep/file"), "x", 1, 0644, &err), 0);
  assert_int_equal (file_mkdirs (in_dir ("tree/sub"), 0755, &err), 0);
  assert_int_equal (symlink (in_dir ("keep"), in_dir ("tree/sub/link")), 0);
  assert_int_equal (file_remove_tree (in_dir ("tree"), &err), 0);
  assert_false (file_exists (in_dir ("tree")));
  assert_true (file_exists (in_dir ("keep/file")));
  assert_int_equal (file_remove_tree (in_dir ("tree"), &err), 0);
}

static void
make_pair (EVP_PKEY **ca_key, X509 **ca, EVP_PKEY **key, X509 **cert)
{
  static const char *const orgs[] = {"system:masters", "a,O=b", NULL}, *const dns[] = {"localhost", NULL},
                           *const ips[] = {"127.0.0.1", "::1", NULL};
  const struct pki_subject subject = {
      .cn = "system:admin", .orgs = orgs, .dns = dns, .ips = ips, .days = 10, .server = true, .client = true};
  struct err err;
  assert_int_equal (pki_key_new (PKI_EC_P256, ca_key, &err), 0);
  assert_int_equal (pki_ca_new ("kubus-ca", 3650, *ca_key, ca, &err), 0);
  assert_int_equal (pki_key_new (PKI_EC_P256, key, &err), 0);
  assert_int_equal (pki_sign (*ca, *ca_key, *key, &subject, cert, &err), 0);
}

static void
test_pki_sign__identity_and_chain (void **state)
{
  EVP_PKEY *ca_key AUTO_PKEY = NULL, *key AUTO_PKEY = NULL;
  X509 *ca AUTO_X509 = NULL, *cert AUTO_X509 = NULL;
  AUTO_FREE struct pki_identity *id = NULL;
  struct err err;
  (void) state;
  make_pair (&ca_key, &ca, &key, &cert);
  assert_int_equal (X509_verify (cert, ca_key), 1);
  assert_int_equal (pki_identity (cert, &id, &err), 0);
  assert_string_equal (id->cn, "system:admin");
  assert_int_equal (id->n_orgs, 2);
  assert_string_equal (id->orgs[0], "system:masters");
  assert_string_equal (id->orgs[1], "a,O=b"); /* one name, whatever is in it */
  assert_null (id->orgs[2]);
  assert_true (pki_expires_s (cert) > 9 * 86400 && pki_expires_s (cert) <= 10 * 86400);
}

static void
test_pki_sign__bad_address_is_named (void **state)
{
  EVP_PKEY *ca_key AUTO_PKEY = NULL, *key AUTO_PKEY = NULL;
  X509 *ca AUTO_X509 = NULL, *cert AUTO_X509 = NULL, *bad AUTO_X509 = NULL;
  static const char *const ips[] = {"1.2.3", NULL};
  const struct pki_subject subject = {.cn = "x", .ips = ips, .days = 1};
  struct err err;
  (void) state;
  make_pair (&ca_key, &ca, &key, &cert);
  assert_int_equal (pki_sign (ca, ca_key, key, &subject, &bad, &err), ERR_INVALID);
  assert_non_null (strstr (err.text, "1.2.3"));
}

static void
test_pki_files__round_trip_and_modes (void **state)
{
  EVP_PKEY *ca_key AUTO_PKEY = NULL, *key AUTO_PKEY = NULL, *again AUTO_PKEY = NULL, *public AUTO_PKEY = NULL;
  X509 *ca AUTO_X509 = NULL, *cert AUTO_X509 = NULL;
  struct err err;
  struct stat st;
  (void) state;
  make_pair (&ca_key, &ca, &key, &cert);
  assert_int_equal (pki_write_key (in_dir ("k.pem"), key, &err), 0);
  assert_int_equal (pki_write_cert (in_dir ("c.pem"), cert, &err), 0);
  assert_int_equal (stat (in_dir ("k.pem"), &st), 0);
  assert_int_equal (st.st_mode & 0777, 0600);
  assert_int_equal (pki_read_key (in_dir ("k.pem"), &again, &err), 0);
  assert_int_equal (EVP_PKEY_eq (key, again), 1);
  assert_int_equal (pki_read_public_key (in_dir ("c.pem"), &public, &err), 0);
  assert_int_equal (EVP_PKEY_eq (key, public), 1);
  assert_int_equal (file_write_atomic (in_dir ("bad.pem"), "-----BEGIN X-----\n", 18, 0600, &err), 0);
  EVP_PKEY_free (again);
  again = NULL;
  assert_int_equal (pki_read_key (in_dir ("bad.pem"), &again, &err), ERR_PARSE);
  assert_non_null (strstr (err.text, "bad.pem"));
}

static void
test_tls_reload__bad_file_keeps_the_old (void **state)
{
  EVP_PKEY *ca_key AUTO_PKEY = NULL, *key AUTO_PKEY = NULL, *other AUTO_PKEY = NULL;
  X509 *ca AUTO_X509 = NULL, *cert AUTO_X509 = NULL;
  struct tls_config config = {.cert_file = in_dir ("s.pem"), .key_file = in_dir ("sk.pem")};
  struct tls_context *t;
  bool reloaded = true;
  struct err err;
  SSL *ssl;
  (void) state;
  make_pair (&ca_key, &ca, &key, &cert);
  assert_int_equal (pki_write_key (in_dir ("sk.pem"), key, &err), 0);
  assert_null (tls_server_new (&config, &err));
  assert_int_equal (err.code, ERR_NOT_FOUND);
  assert_int_equal (pki_write_cert (in_dir ("s.pem"), cert, &err), 0);
  config.cert_file = in_dir ("s.pem"); /* the ring of names has moved on */
  config.key_file = in_dir ("sk.pem");
  assert_non_null (t = tls_server_new (&config, &err));
  assert_int_equal (tls_reload_if_changed (t, &reloaded, &err), 0);
  assert_false (reloaded);
  assert_int_equal (pki_key_new (PKI_EC_P256, &other, &err), 0);
  assert_int_equal (pki_write_key (in_dir ("sk.pem"), other, &err), 0);
  assert_int_equal (tls_reload_if_changed (t, &reloaded, &err), ERR_INVALID); /* the key is another certificate's */
  assert_non_null (ssl = tls_ssl_new (t, NULL));
  SSL_free (ssl);
  assert_int_equal (pki_write_key (in_dir ("sk.pem"), key, &err), 0);
  assert_int_equal (tls_reload_if_changed (t, &reloaded, &err), 0);
  assert_true (reloaded);
  tls_unref (t);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_file__write_read_list_remove),
      cmocka_unit_test (test_file_remove_tree__does_not_follow_links),
      cmocka_unit_test (test_pki_sign__identity_and_chain),
      cmocka_unit_test (test_pki_sign__bad_address_is_named),
      cmocka_unit_test (test_pki_files__round_trip_and_modes),
      cmocka_unit_test (test_tls_reload__bad_file_keeps_the_old),
  };
  return cmocka_run_group_tests (tests, setup, teardown);
}
