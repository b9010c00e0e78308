/* The server with real clients over loopback: libcurl for HTTP/1.1 and HTTP/2, sockets for what no client would send. */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/http/client.h"
#include "base/http/http.h"
#include "base/mem.h"
#include "base/pki.h"

#define BIG_BYTES (2u << 20)
#define STEPS_LIMIT 5000

static struct loop *loop;
static struct http_server *tls_server, *plain_server;
static struct http_client *client;
static struct buf ca_pem, cert_pem, key_pem, user_pem, user_key_pem;
static struct {
  struct http_request *held;
  unsigned closes, drains;
  size_t streamed;
  bool stream_ok;
} seen;

static void
on_held_close (void *arg)
{
  seen.closes++;
  (void) http_reply_end (arg);
  seen.held = NULL;
}

static void
on_held_drain (void *arg)
{
  (void) arg;
  seen.drains++;
}

static void
on_body (void *arg, const void *data, size_t len)
{
  (void) arg;
  (void) data;
  seen.streamed += len;
}

static void
on_body_end (void *arg, bool ok)
{
  struct http_request *req = arg;
  char text[32];
  seen.stream_ok = ok;
  snprintf (text, sizeof text, "%zu", seen.streamed);
  (void) http_reply (req, 200, NULL, text, strlen (text));
}

static enum http_route
on_headers (void *arg, struct http_request *req, size_t *limit)
{
  (void) arg;
  if (strcmp (http_path (req), "/upload"))
    return HTTP_BUFFER;
  *limit = 0;
  return HTTP_STREAM;
}

static void
reply_identity (struct http_request *req)
{
  long verify = -1;
  X509 *cert = http_peer_cert (req, &verify);
  struct pki_identity *id = NULL;
  char text[200] = "anonymous";
  if (cert && !pki_identity (cert, &id, NULL))
    snprintf (text, sizeof text, "%s %s", id->cn, verify == X509_V_OK ? "verified" : "unverified");
  free (id);
  (void) http_reply (req, 200, NULL, text, strlen (text));
}

static void
on_request (void *arg, struct http_request *req)
{
  const char *path = http_path (req);
  size_t len;
  const void *body = http_body (req, &len);
  (void) arg;
  if (!strcmp (path, "/echo"))
    (void) http_reply (req, 201, NULL, body, len);
  else if (!strcmp (path, "/whoami"))
    reply_identity (req);
  else if (!strcmp (path, "/version"))
    (void) http_reply (req, 200, NULL, http_version (req) == 20 ? "2" : "1", 1);
  else if (!strcmp (path, "/upload")) {
    seen.streamed = 0;
    http_body_stream (req, on_body, on_body_end, req);
  } else if (!strcmp (path, "/big")) {
    struct buf big = BUF_INIT;
    while (big.len < BIG_BYTES)
      buf_append_str (&big, "0123456789abcdef");
    (void) http_reply_buf (req, 200, NULL, &big);
  } else if (!strcmp (path, "/hold")) {
    seen.held = req;
    http_on_close (req, on_held_close, req);
    http_on_drain (req, on_held_drain, req);
    assert_int_equal (http_reply_start (req, 200, NULL), 0);
    assert_int_equal (http_reply_chunk (req, "first\n", 6), 0);
  } else
    (void) http_reply (req, 404, NULL, path, strlen (path));
}

static void
make_pems (void)
{
  static const char *const ips[] = {"127.0.0.1", NULL}, *const orgs[] = {"group", NULL};
  const struct pki_subject server = {.cn = "server", .ips = ips, .days = 1, .server = true},
                           user = {.cn = "alice", .orgs = orgs, .days = 1, .client = true};
  EVP_PKEY *ca_key AUTO_PKEY = NULL, *key AUTO_PKEY = NULL, *user_key AUTO_PKEY = NULL;
  X509 *ca AUTO_X509 = NULL, *cert AUTO_X509 = NULL, *user_cert AUTO_X509 = NULL;
  assert_int_equal (pki_key_new (PKI_EC_P256, &ca_key, NULL), 0);
  assert_int_equal (pki_key_new (PKI_EC_P256, &key, NULL), 0);
  assert_int_equal (pki_key_new (PKI_EC_P256, &user_key, NULL), 0);
  assert_int_equal (pki_ca_new ("ca", 1, ca_key, &ca, NULL), 0);
  assert_int_equal (pki_sign (ca, ca_key, key, &server, &cert, NULL), 0);
  assert_int_equal (pki_sign (ca, ca_key, user_key, &user, &user_cert, NULL), 0);
  assert_int_equal (pki_cert_pem (ca, &ca_pem, NULL) | pki_cert_pem (cert, &cert_pem, NULL) |
                        pki_key_pem (key, &key_pem, NULL) | pki_cert_pem (user_cert, &user_pem, NULL) |
                        pki_key_pem (user_key, &user_key_pem, NULL),
                    0);
}

static struct tls_config
client_tls (void)
{
  return (struct tls_config){.ca_pem = buf_cstr (&ca_pem)};
}

static int
setup (void **state)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  struct http_server_config config = {.listen = listen,
                                      .on_request = on_request,
                                      .on_headers = on_headers,
                                      .body_limit_bytes = 1u << 20,
                                      .idle_timeout_ms = 200};
  struct tls_config tls;
  struct tls_context *t;
  struct err err;
  (void) state;
  make_pems ();
  loop = loop_new (&err);
  plain_server = http_server_new (loop, &config, &err);
  tls = (struct tls_config){
      .cert_pem = buf_cstr (&cert_pem), .key_pem = buf_cstr (&key_pem), .ca_pem = buf_cstr (&ca_pem)};
  t = tls_server_new (&tls, &err);
  config.tls = t;
  tls_server = http_server_new (loop, &config, &err);
  tls_unref (t);
  tls = client_tls ();
  client = http_client_new (loop, &tls, 0, &err);
  return loop && plain_server && tls_server && client ? 0 : -1;
}

static int
teardown (void **state)
{
  (void) state;
  http_client_free (client);
  http_server_free (plain_server);
  http_server_free (tls_server);
  for (int i = 0; i < 10; i++)
    loop_step (loop, 0); /* libevent frees its buffers from the loop */
  loop_free (loop);
  buf_done (&ca_pem);
  buf_done (&cert_pem);
  buf_done (&key_pem);
  buf_done (&user_pem);
  buf_done (&user_key_pem);
  return 0;
}

struct answer {
  int status, code;
  bool done;
  struct buf body;
  char encoding[16];
};

static void
on_done (void *arg, const struct http_response *r)
{
  struct answer *a = arg;
  a->status = r->status;
  a->code = r->error ? r->error->code : 0;
  buf_append (&a->body, r->body->data, r->body->len);
  a->done = true;
}

static void
wait_for (const bool *done)
{
  for (int i = 0; i < STEPS_LIMIT && !*done; i++)
    loop_step (loop, 100);
  assert_true (*done);
}

static void
start_call (const char *method, const char *path, bool http1, const void *body, size_t len, const struct tls_config *tls,
            struct answer *a)
{
  char url[200];
  struct http_call_config c = {.method = method,
                               .url = url,
                               .body = body,
                               .body_len = len,
                               .http1_only = http1,
                               .tls = tls,
                               .timeout_ms = 20000,
                               .on_done = on_done,
                               .arg = a};
  struct err err;
  snprintf (url, sizeof url, "https://127.0.0.1:%u%s", http_server_port (tls_server, 0), path);
  assert_int_equal (http_call (client, &c, NULL, &err), 0);
}

static void
call (const char *method, const char *path, bool http1, const void *body, size_t len, struct answer *a)
{
  start_call (method, path, http1, body, len, NULL, a);
  wait_for (&a->done);
}

static void
test_reply__both_versions (void **state)
{
  (void) state;
  for (int http1 = 0; http1 < 2; http1++) {
    struct answer a = {0}, v = {0};
    call ("POST", "/echo", http1, "hello", 5, &a);
    assert_int_equal (a.status, 201);
    assert_string_equal (buf_cstr (&a.body), "hello");
    call ("GET", "/version", http1, NULL, 0, &v);
    assert_string_equal (buf_cstr (&v.body), http1 ? "1" : "2");
    buf_done (&a.body);
    buf_done (&v.body);
  }
}

static void
test_reply__large_bodies_both_ways (void **state)
{
  struct buf up AUTO_BUF = BUF_INIT;
  (void) state;
  while (up.len < 1000000)
    buf_printf (&up, "%zu,", up.len);
  for (int http1 = 0; http1 < 2; http1++) {
    struct answer a = {0}, b = {0};
    call ("GET", "/big", http1, NULL, 0, &a); /* curl asks for gzip */
    assert_int_equal (a.body.len, BIG_BYTES);
    call ("POST", "/echo", http1, up.data, up.len, &b);
    assert_int_equal (b.status, 201);
    assert_int_equal (b.body.len, up.len);
    assert_memory_equal (b.body.data, up.data, up.len);
    buf_done (&a.body);
    buf_done (&b.body);
  }
}

static void
test_body__over_limit_is_413_and_stream_is_not_bound (void **state)
{
  struct buf up AUTO_BUF = BUF_INIT;
  (void) state;
  assert_true (buf_reserve (&up, 5u << 20));
  memset (up.data, 'x', 5u << 20);
  for (int http1 = 0; http1 < 2; http1++) {
    struct answer a = {0}, b = {0};
    call ("POST", "/echo", http1, up.data, 5u << 20, &a);
    assert_int_equal (a.status, 413);
    call ("POST", "/upload", http1, up.data, 5u << 20, &b);
    assert_int_equal (b.status, 200);
    assert_string_equal (buf_cstr (&b.body), "5242880");
    assert_true (seen.stream_ok);
    buf_done (&a.body);
    buf_done (&b.body);
  }
}

static void
test_peer_cert__verified_and_foreign (void **state)
{
  struct tls_config tls = client_tls ();
  struct answer a = {0}, b = {0}, c = {0};
  struct buf other AUTO_BUF = BUF_INIT, other_key AUTO_BUF = BUF_INIT;
  EVP_PKEY *key AUTO_PKEY = NULL;
  X509 *cert AUTO_X509 = NULL;
  (void) state;
  call ("GET", "/whoami", false, NULL, 0, &a);
  assert_string_equal (buf_cstr (&a.body), "anonymous");
  tls.cert_pem = buf_cstr (&user_pem);
  tls.key_pem = buf_cstr (&user_key_pem);
  start_call ("GET", "/whoami", false, NULL, 0, &tls, &b);
  wait_for (&b.done);
  assert_string_equal (buf_cstr (&b.body), "alice verified");
  assert_int_equal (pki_key_new (PKI_EC_P256, &key, NULL), 0);
  assert_int_equal (pki_ca_new ("mallory", 1, key, &cert, NULL), 0);
  assert_int_equal (pki_cert_pem (cert, &other, NULL) | pki_key_pem (key, &other_key, NULL), 0);
  tls.cert_pem = buf_cstr (&other);
  tls.key_pem = buf_cstr (&other_key);
  start_call ("GET", "/whoami", false, NULL, 0, &tls, &c);
  wait_for (&c.done);
  assert_string_equal (buf_cstr (&c.body), "mallory unverified");
  buf_done (&a.body);
  buf_done (&b.body);
  buf_done (&c.body);
}

static void
test_many_streams__all_answered (void **state)
{
  static struct answer answers[100];
  (void) state;
  for (int i = 0; i < 100; i++)
    start_call ("POST", "/echo", false, "abc", 3, NULL, &answers[i]);
  for (int i = 0; i < 100; i++) {
    wait_for (&answers[i].done);
    assert_int_equal (answers[i].status, 201);
    buf_done (&answers[i].body);
  }
}

static bool
ignore_data (void *arg, const void *data, size_t len)
{
  (void) data;
  *(size_t *) arg += len;
  return true;
}

static void
never_done (void *arg, const struct http_response *r)
{
  (void) arg;
  (void) r;
  fail ();
}

static void
test_stream__client_gone_is_told (void **state)
{
  (void) state;
  for (int http1 = 0; http1 < 2; http1++) {
    struct http_call *c;
    size_t got = 0;
    char url[100];
    struct http_call_config config = {.method = "GET",
                                      .url = url,
                                      .http1_only = http1,
                                      .on_data = ignore_data,
                                      .on_done = never_done,
                                      .arg = &got};
    snprintf (url, sizeof url, "https://127.0.0.1:%u/hold", http_server_port (tls_server, 0));
    seen.closes = 0;
    assert_int_equal (http_call (client, &config, &c, NULL), 0);
    for (int i = 0; i < STEPS_LIMIT && got < 6; i++)
      loop_step (loop, 100);
    assert_int_equal (got, 6); /* the chunk came while the answer goes on */
    assert_non_null (seen.held);
    http_call_cancel (c);
    for (int i = 0; i < STEPS_LIMIT && !seen.closes; i++)
      loop_step (loop, 100);
    assert_int_equal (seen.closes, 1);
    assert_null (seen.held);
  }
}

static int
dial_plain (const char *text)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  to.sin_port = htons (http_server_port (plain_server, 0));
  assert_int_equal (connect (fd, (struct sockaddr *) &to, sizeof to), 0);
  assert_int_equal (send (fd, text, strlen (text), MSG_NOSIGNAL), strlen (text));
  return fd;
}

/* What the server sends until it closes, or until the text contains what is waited for. */
static void
read_until (int fd, const char *what, struct buf *out)
{
  for (int i = 0; i < STEPS_LIMIT; i++) {
    char piece[4096];
    ssize_t n;
    loop_step (loop, 20);
    while ((n = recv (fd, piece, sizeof piece, MSG_DONTWAIT)) > 0)
      buf_append (out, piece, (size_t) n);
    if (n == 0 || (what && strstr (buf_cstr (out), what)))
      return;
  }
  fail ();
}

static void
test_malformed__proper_status (void **state)
{
  static const struct {
    const char *sent, *status;
  } cases[] = {
      {"\x01\x02\r\n\r\n", "501"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET no-slash HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET / HTTP/3.0\r\nHost: x\r\n\r\n", "505"},
      {"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", "501"},
      {"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
      {"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n", "417"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", "413"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct buf out AUTO_BUF = BUF_INIT;
    int fd AUTO_CLOSE = dial_plain (cases[i].sent);
    read_until (fd, NULL, &out);
    assert_true (out.len > 12);
    assert_memory_equal (buf_cstr (&out) + 9, cases[i].status, 3);
  }
}

static void
test_pipelined__answered_in_order (void **state)
{
  struct buf out AUTO_BUF = BUF_INIT;
  int fd AUTO_CLOSE = dial_plain ("GET /one HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
                                  "two"
                                  "GET /three HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  char *one, *two, *three;
  (void) state;
  read_until (fd, NULL, &out);
  one = strstr (buf_cstr (&out), "\r\n\r\n/one");
  two = strstr (buf_cstr (&out), "\r\n\r\ntwo");
  three = strstr (buf_cstr (&out), "\r\n\r\n/three");
  assert_true (one && two && three && one < two && two < three);
}

static void
test_expect_continue__is_answered (void **state)
{
  struct buf out AUTO_BUF = BUF_INIT;
  int fd AUTO_CLOSE = dial_plain ("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  (void) state;
  read_until (fd, "100 Continue\r\n\r\n", &out);
  assert_int_equal (send (fd, "abc", 3, 0), 3);
  read_until (fd, "\r\n\r\nabc", &out);
}

static void
test_idle__connections_are_closed (void **state)
{
  struct buf out AUTO_BUF = BUF_INIT;
  int fd AUTO_CLOSE = dial_plain ("GET /half HTTP/1.1\r\nHo");
  (void) state;
  read_until (fd, NULL, &out); /* idle_timeout_ms is 200 here */
}

static void
test_slow_reader__pending_grows_then_drains (void **state)
{
  static char chunk[64 << 10];
  struct buf out AUTO_BUF = BUF_INIT;
  int fd AUTO_CLOSE = dial_plain ("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  int n = 0;
  (void) state;
  seen.drains = 0;
  read_until (fd, "first", &out);
  for (; n < 1000 && http_reply_pending_bytes (seen.held) < (1u << 20); n++) {
    assert_int_equal (http_reply_chunk (seen.held, chunk, sizeof chunk), 0);
    loop_step (loop, 0);
  }
  assert_true (n < 1000); /* the kernel's buffers are full: what is pending shows it */
  assert_int_equal (seen.drains, 0);
  for (int i = 0; i < STEPS_LIMIT && !seen.drains; i++) {
    while (recv (fd, chunk, sizeof chunk, MSG_DONTWAIT) > 0)
      ;
    loop_step (loop, 20);
  }
  assert_int_equal (seen.drains, 1);
  http_abort (seen.held);
}

static bool shut_down;
static void
on_shutdown (void *arg)
{
  (void) arg;
  shut_down = true;
}

static void
test_shutdown__waits_for_what_is_under_way (void **state)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  const struct http_server_config config = {.listen = listen, .on_request = on_request};
  struct http_server *s = http_server_new (loop, &config, NULL), *kept = plain_server;
  struct buf out AUTO_BUF = BUF_INIT;
  (void) state;
  plain_server = s;
  int fd AUTO_CLOSE = dial_plain ("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  read_until (fd, "first", &out);
  http_server_shutdown (s, 60000, on_shutdown, NULL);
  for (int i = 0; i < 10; i++)
    loop_step (loop, 1);
  assert_false (shut_down);
  assert_int_equal (http_reply_end (seen.held), 0);
  read_until (fd, NULL, &out);
  for (int i = 0; i < STEPS_LIMIT && !shut_down; i++)
    loop_step (loop, 20);
  assert_true (shut_down);
  http_server_free (s);
  plain_server = kept;
}

static void
test_listen__port_in_use_is_named (void **state)
{
  char address[40];
  const char *listen[] = {address, NULL};
  const struct http_server_config config = {.listen = listen, .on_request = on_request};
  struct err err;
  (void) state;
  snprintf (address, sizeof address, "127.0.0.1:%u", http_server_port (plain_server, 0));
  assert_null (http_server_new (loop, &config, &err));
  assert_int_equal (err.code, ERR_BUSY);
  assert_non_null (strstr (err.text, address));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_reply__both_versions),
      cmocka_unit_test (test_reply__large_bodies_both_ways),
      cmocka_unit_test (test_body__over_limit_is_413_and_stream_is_not_bound),
      cmocka_unit_test (test_peer_cert__verified_and_foreign),
      cmocka_unit_test (test_many_streams__all_answered),
      cmocka_unit_test (test_stream__client_gone_is_told),
      cmocka_unit_test (test_malformed__proper_status),
      cmocka_unit_test (test_pipelined__answered_in_order),
      cmocka_unit_test (test_expect_continue__is_answered),
      cmocka_unit_test (test_idle__connections_are_closed),
      cmocka_unit_test (test_slow_reader__pending_grows_then_drains),
      cmocka_unit_test (test_shutdown__waits_for_what_is_under_way),
      cmocka_unit_test (test_listen__port_in_use_is_named),
  };
  return cmocka_run_group_tests (tests, setup, teardown);
}
