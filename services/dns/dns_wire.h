/* DNS messages (RFC 1035, 2782, 3596, 6891): bounded reading of what the network sends, and writing. Pure. */
#ifndef SERVICES_DNS_DNS_WIRE_H
#define SERVICES_DNS_DNS_WIRE_H

#include "base/buf.h"
#include "base/err.h"

#define DNS_NAME_MAX 255     /* bytes on the wire */
#define DNS_NAME_TEXT 1024   /* as text with escapes, with NUL */
#define DNS_MESSAGE_MAX 65535
#define DNS_UDP_MIN 512
#define DNS_UDP_MAX 1232     /* what fits without fragments; larger offers are cut to it */

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33, DNS_OPT = 41, DNS_ANY = 255 };
enum dns_rcode { DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_NOTIMP = 4, DNS_REFUSED = 5, DNS_BADVERS = 16 };

struct dns_question {
  char name[DNS_NAME_TEXT]; /* lower case, no dot at the end; the root is "". Bytes that are no letters, digits, '-' or '_' are \DDD */
  uint16_t type, class_;
};
struct dns_query {
  uint16_t id;
  bool recursion_desired, edns, edns_bad_version;
  uint16_t udp_size; /* what the client takes by UDP: 512 without EDNS */
  struct dns_question question;
  const uint8_t *raw_question; /* as it came, in data: name, type and class */
  size_t raw_len;
};
/* One query. ERR_PARSE: malformed (when n >= 12 the id is set, so FORMERR can be sent). ERR_INVALID: a response, to be
   dropped. ERR_UNSUPPORTED: another opcode, to be answered with NOTIMP. */
int dns_query_parse (const uint8_t *data, size_t n, struct dns_query *ret, struct err *err);

struct dns_record {
  const char *name; /* text */
  uint16_t type;
  uint32_t ttl;
  /* by type: address (A, AAAA: 4 or 16 bytes), target (CNAME, PTR, NS, SRV), text (TXT), SOA: target is the server, text the mailbox */
  uint8_t address[16];
  const char *target, *text;
  uint16_t priority, weight, port; /* SRV */
  uint32_t serial, minimum;        /* SOA */
};
/* Records of the answer section of a response, names decompressed; A, AAAA and CNAME only, at most max. ERR_PARSE. Texts in
   scratch (records point into it: DNS_NAME_TEXT * 2 bytes each). */
int dns_response_parse (const uint8_t *data, size_t n, uint16_t *ret_id, int *ret_rcode, bool *ret_truncated, struct dns_record *records,
                        char (*scratch)[2][DNS_NAME_TEXT], size_t max, size_t *ret_count, struct err *err);

struct dns_answer { /* sections of records */
  int rcode;
  bool authoritative;
  const struct dns_record *answers, *authority, *additional;
  size_t n_answers, n_authority, n_additional;
};
/* The reply to q, at most limit bytes: records that do not fit are left out, those of the answer with TC set. */
void dns_reply_write (const struct dns_query *q, const struct dns_answer *a, size_t limit, struct buf *out);
void dns_query_write (uint16_t id, const char *name, uint16_t type, struct buf *out); /* recursion desired, EDNS */
/* The wire form of a text name appended; false (nothing appended) when it is no name. */
bool dns_name_write (const char *name, struct buf *out);

#endif
