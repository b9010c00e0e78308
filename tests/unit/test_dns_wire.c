/* The wire format, and the server and the forwarder against each other over loopback. */
#include <arpa/inet.h>
#include <unistd.h>

#include "services/dns/dns_forward.h"
#include "services/dns/dns_server.h"
#include "tests/lib/test.h"

static void
test_dns_query_parse__written_by_us__read_back (void **state)
{
  (void) state;
  struct buf b = BUF_INIT;
  struct dns_query q;
  dns_query_write (77, "Web.d\\046x.svc", DNS_SRV, &b);
  assert_int_equal (dns_query_parse (b.data, b.len, &q, NULL), 0);
  assert_int_equal (q.id, 77);
  assert_true (q.edns && q.recursion_desired);
  assert_int_equal (q.udp_size, DNS_UDP_MAX);
  assert_int_equal (q.question.type, DNS_SRV);
  assert_string_equal (q.question.name, "web.d\\046x.svc");
  for (size_t n = 0; n < b.len; n++)
    assert_int_not_equal (dns_query_parse (b.data, n, &q, NULL), 0);
  buf_done (&b);
}

static void
test_dns_query_parse__pointer_to_itself__refused (void **state)
{
  (void) state;
  static const uint8_t loop[] = { 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1 };
  static const uint8_t response[] = { 0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
  static const uint8_t notify[] = { 0, 1, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
  static const uint8_t header[] = { 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 1, 0, 1, 0, 1 }; /* the reply's differs */
  struct dns_query q;
  assert_int_equal (dns_query_parse (header, sizeof header, &q, NULL), ERR_PARSE);
  assert_int_equal (dns_query_parse (loop, sizeof loop, &q, NULL), ERR_PARSE);
  assert_int_equal (dns_query_parse (response, sizeof response, &q, NULL), ERR_INVALID);
  assert_int_equal (dns_query_parse (notify, sizeof notify, &q, NULL), ERR_UNSUPPORTED);
}

static void
test_dns_name_write__no_names__refused (void **state)
{
  (void) state;
  struct buf b = BUF_INIT;
  char longest[300];
  memset (longest, 'a', sizeof longest);
  longest[64] = '\0';
  assert_false (dns_name_write (longest, &b));
  assert_false (dns_name_write ("a..b", &b));
  for (size_t i = 1; i < 280; i += 2)
    longest[i] = '.', longest[i + 1] = 'a';
  longest[280] = '\0';
  assert_false (dns_name_write (longest, &b));
  assert_int_equal (b.len, 0);
  assert_true (dns_name_write ("", &b));
  assert_int_equal (b.len, 1);
  buf_done (&b);
}

/* ---- sockets ---- */

struct world {
  struct loop *loop;
  struct dns_server *server;
  struct dns_forward *forward;
  size_t n_records; /* of an answer */
  bool done;
  uint8_t got[8192];
  size_t len;
};

static void
answer (void *arg, struct dns_request *rq)
{
  struct world *w = arg;
  static struct dns_record records[100];
  for (size_t i = 0; i < 100; i++)
    records[i] = (struct dns_record){ .name = rq->query.question.name, .type = DNS_A, .ttl = 5, .address = { 10, 0, 0, (uint8_t) i } };
  dns_server_reply (rq, &(struct dns_answer){ .authoritative = true, .answers = records, .n_answers = w->n_records });
}

static void
got (void *arg, const uint8_t *response, size_t n)
{
  struct world *w = arg;
  w->done = true;
  w->len = n;
  if (response)
    memcpy (w->got, response, n);
}

static void
world_init (struct world *w, size_t n_records, int *ret_port)
{
  struct err err = { 0 };
  char address[32];
  *w = (struct world){ .loop = loop_new (&err), .n_records = n_records };
  w->server = dns_server_new (w->loop, answer, w, &err);
  w->forward = dns_forward_new (w->loop, &err);
  if (dns_server_listen (w->server, "127.0.0.1", 0, ret_port, &err) != 0)
    fail_msg ("%s", err.text);
  snprintf (address, sizeof address, "127.0.0.1:%d", *ret_port);
  assert_int_equal (dns_forward_add (w->forward, address, &err), 0);
}

static void
world_done (struct world *w)
{
  dns_forward_free (w->forward);
  dns_server_free (w->server);
  loop_free (w->loop);
}

static void
test_dns_forward_ask__our_server__answers (void **state)
{
  (void) state;
  struct world w;
  int port, rcode;
  uint16_t id;
  bool truncated;
  struct dns_record records[4];
  char scratch[4][2][DNS_NAME_TEXT];
  size_t n;
  world_init (&w, 2, &port);
  dns_forward_ask (w.forward, "example.com", DNS_A, got, &w);
  while (!w.done)
    loop_step (w.loop, 1000);
  assert_int_equal (dns_response_parse (w.got, w.len, &id, &rcode, &truncated, records, scratch, 4, &n, NULL), 0);
  assert_int_equal (n, 2);
  assert_false (truncated);
  assert_string_equal (records[1].name, "example.com");
  assert_int_equal (records[1].address[3], 1);
  world_done (&w);
}

static void
test_dns_forward_ask__no_upstream__nothing_at_once (void **state)
{
  (void) state;
  struct world w = { .loop = loop_new (NULL) };
  w.forward = dns_forward_new (w.loop, NULL);
  dns_forward_ask (w.forward, "example.com", DNS_A, got, &w);
  assert_true (w.done);
  assert_int_equal (w.len, 0);
  world_done (&w);
}

static void
test_dns_server__too_much_for_udp__truncated_and_whole_by_tcp (void **state)
{
  (void) state;
  struct world w;
  struct buf q = BUF_INIT;
  uint8_t frame[2], data[8192];
  size_t have = 0;
  int port, fd;
  struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  world_init (&w, 100, &port);
  dns_forward_ask (w.forward, "example.com", DNS_A, got, &w);
  while (!w.done)
    loop_step (w.loop, 1000);
  assert_true (w.len <= DNS_UDP_MAX && (w.got[2] & 0x02));

  sa.sin_port = htons ((uint16_t) port);
  fd = socket (AF_INET, SOCK_STREAM, 0);
  assert_int_equal (connect (fd, (struct sockaddr *) &sa, sizeof sa), 0);
  dns_query_write (5, "example.com", DNS_A, &q);
  frame[0] = 0;
  frame[1] = (uint8_t) q.len;
  for (int twice = 0; twice < 2; twice++) {
    assert_int_equal (write (fd, frame, 2), 2);
    assert_int_equal (write (fd, q.data, q.len), (int) q.len);
  }
  for (int replies = 0; replies < 2;) {
    ssize_t n;
    loop_step (w.loop, 100);
    n = recv (fd, data + have, sizeof data - have, MSG_DONTWAIT);
    have += n > 0 ? (size_t) n : 0;
    while (have > 2 && have >= 2u + ((size_t) data[0] << 8 | data[1])) {
      size_t len = 2u + ((size_t) data[0] << 8 | data[1]);
      assert_false (data[4] & 0x02);
      assert_int_equal (data[9], 100);
      memmove (data, data + len, have -= len);
      replies++;
    }
  }
  close (fd);
  buf_done (&q);
  world_done (&w);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_dns_query_parse__written_by_us__read_back),
                                      cmocka_unit_test (test_dns_query_parse__pointer_to_itself__refused),
                                      cmocka_unit_test (test_dns_name_write__no_names__refused),
                                      cmocka_unit_test (test_dns_forward_ask__our_server__answers),
                                      cmocka_unit_test (test_dns_forward_ask__no_upstream__nothing_at_once),
                                      cmocka_unit_test (test_dns_server__too_much_for_udp__truncated_and_whole_by_tcp) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
