/* Bytes as a query, answered at every size, and as a response. */
#include "tests/lib/fuzz.h"

#include <stdlib.h>

#include "services/dns/dns_wire.h"

int
fuzz_one (const uint8_t *data, size_t size)
{
  static char scratch[8][2][DNS_NAME_TEXT];
  struct dns_record records[8];
  struct dns_query q;
  uint16_t id;
  int rcode;
  bool truncated;
  size_t n;
  if (dns_query_parse (data, size, &q, NULL) == 0) {
    const struct dns_record r = { .name = q.question.name, .type = DNS_CNAME, .ttl = 1, .target = q.question.name };
    const struct dns_answer a = { .answers = &r, .n_answers = 1, .additional = &r, .n_additional = 1 };
    struct buf out = BUF_INIT, name = BUF_INIT;
    dns_reply_write (&q, &a, DNS_UDP_MIN, &out);
    REQUIRE (out.failed || out.len <= DNS_UDP_MIN);
    REQUIRE (dns_name_write (q.question.name, &name)); /* what was read can be written */
    if (dns_response_parse (out.data, out.len, &id, &rcode, &truncated, records, scratch, 8, &n, NULL) != 0)
      abort ();
    buf_done (&out);
    buf_done (&name);
  }
  (void) dns_response_parse (data, size, &id, &rcode, &truncated, records, scratch, 8, &n, NULL);
  return 0;
}
