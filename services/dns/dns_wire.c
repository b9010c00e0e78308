#include "services/dns/dns_wire.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HEADER 12
#define CLASS_IN 1
#define JUMPS_MAX 32

struct reader {
  const uint8_t *data;
  size_t n, at;
};

static bool
get16 (struct reader *r, uint16_t *ret)
{
  if (r->n - r->at < 2)
    return false;
  *ret = (uint16_t) (r->data[r->at] << 8 | r->data[r->at + 1]);
  r->at += 2;
  return true;
}

/* One label's bytes as lower-case text at *len of out. */
static bool
put_label (char *out, size_t *len, const uint8_t *label, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    uint8_t c = label[i];
    if (*len + 6 > DNS_NAME_TEXT)
      return false;
    if (isalnum (c) || c == '-' || c == '_')
      out[(*len)++] = (char) tolower (c);
    else
      *len += (size_t) snprintf (out + *len, 5, "\\%03u", c);
  }
  return true;
}

/* A name that may be compressed. Pointers must go backwards, so it ends. (RFC 1035 4.1.4) */
static bool
get_name (struct reader *r, char out[DNS_NAME_TEXT])
{
  size_t at = r->at, len = 0, wire = 0, bound = r->at;
  bool jumped = false;
  for (int jumps = 0;;) {
    size_t n;
    if (at >= r->n)
      return false;
    n = r->data[at];
    if ((n & 0xc0) == 0xc0) {
      if (at + 1 >= r->n || ++jumps > JUMPS_MAX)
        return false;
      if (!jumped)
        r->at = at + 2;
      jumped = true;
      at = (n & 0x3f) << 8 | r->data[at + 1];
      if (at >= bound || at < HEADER)
        return false;
      bound = at;
      continue;
    }
    wire += n + 1;
    if (n & 0xc0 || wire > DNS_NAME_MAX || at + 1 + n > r->n)
      return false;
    at += n + 1;
    if (n == 0)
      break;
    if (len)
      out[len++] = '.';
    if (!put_label (out, &len, r->data + at - n, n))
      return false;
  }
  out[len] = '\0';
  if (!jumped)
    r->at = at;
  return true;
}

struct rr {
  uint16_t type, class_, len;
  uint32_t ttl;
  size_t data_at;
};

static bool
get_rr (struct reader *r, char name[DNS_NAME_TEXT], struct rr *ret)
{
  uint16_t high, low;
  if (!get_name (r, name) || !get16 (r, &ret->type) || !get16 (r, &ret->class_) || !get16 (r, &high) || !get16 (r, &low) || !get16 (r, &ret->len)
      || r->n - r->at < ret->len)
    return false;
  ret->ttl = (uint32_t) high << 16 | low;
  ret->data_at = r->at;
  r->at += ret->len;
  return true;
}

int
dns_query_parse (const uint8_t *data, size_t n, struct dns_query *ret, struct err *err)
{
  struct reader r = { data, n, 0 };
  uint16_t flags, counts[4];
  char name[DNS_NAME_TEXT];
  struct rr rr;
  *ret = (struct dns_query){ .udp_size = DNS_UDP_MIN };
  if (!get16 (&r, &ret->id) || !get16 (&r, &flags))
    return err_set (err, ERR_PARSE, "message of %zu bytes", n);
  for (int i = 0; i < 4; i++)
    if (!get16 (&r, &counts[i]))
      return err_set (err, ERR_PARSE, "message of %zu bytes", n);
  ret->recursion_desired = flags & 0x0100;
  if (flags & 0x8000)
    return err_set (err, ERR_INVALID, "a response");
  if (flags & 0x7800)
    return err_set (err, ERR_UNSUPPORTED, "opcode %d", (flags >> 11) & 15);
  if (counts[0] != 1)
    return err_set (err, ERR_PARSE, "%d questions", counts[0]);
  ret->raw_question = data + r.at;
  if (!get_name (&r, ret->question.name) || !get16 (&r, &ret->question.type) || !get16 (&r, &ret->question.class_))
    return err_set (err, ERR_PARSE, "malformed question");
  ret->raw_len = r.at - HEADER;
  for (unsigned i = 0; i < (unsigned) counts[1] + counts[2] + counts[3]; i++) {
    if (!get_rr (&r, name, &rr))
      return err_set (err, ERR_PARSE, "malformed record at byte %zu", r.at);
    if (rr.type != DNS_OPT)
      continue;
    if (ret->edns)
      return err_set (err, ERR_PARSE, "two OPT records");
    ret->edns = true;
    ret->edns_bad_version = (rr.ttl >> 16 & 0xff) != 0;
    ret->udp_size = rr.class_ < DNS_UDP_MIN ? DNS_UDP_MIN : rr.class_ > DNS_UDP_MAX ? DNS_UDP_MAX : rr.class_;
  }
  return 0;
}

int
dns_response_parse (const uint8_t *data, size_t n, uint16_t *ret_id, int *ret_rcode, bool *ret_truncated, struct dns_record *records,
                    char (*scratch)[2][DNS_NAME_TEXT], size_t max, size_t *ret_count, struct err *err)
{
  struct reader r = { data, n, 0 };
  uint16_t id, flags, counts[4];
  char name[DNS_NAME_TEXT];
  size_t count = 0;
  struct rr rr;
  bool ok = get16 (&r, &id) && get16 (&r, &flags) && (flags & 0x8000);
  for (int i = 0; ok && i < 4; i++)
    ok = get16 (&r, &counts[i]);
  for (unsigned i = 0; ok && i < counts[0]; i++)
    ok = get_name (&r, name) && get16 (&r, &rr.type) && get16 (&r, &rr.class_);
  for (unsigned i = 0; ok && i < counts[1] && count < max; i++) {
    struct reader target;
    ok = get_rr (&r, scratch[count][0], &rr);
    if (!ok || rr.class_ != CLASS_IN)
      continue;
    records[count] = (struct dns_record){ .name = scratch[count][0], .type = rr.type, .ttl = rr.ttl };
    target = (struct reader){ data, rr.data_at + rr.len, rr.data_at };
    if ((rr.type == DNS_A && rr.len == 4) || (rr.type == DNS_AAAA && rr.len == 16)) {
      memcpy (records[count].address, data + rr.data_at, rr.len);
      count++;
    } else if (rr.type == DNS_CNAME) {
      ok = get_name (&target, scratch[count][1]);
      records[count].target = scratch[count][1];
      count += ok;
    }
  }
  if (!ok)
    return err_set (err, ERR_PARSE, "malformed response of %zu bytes", n);
  *ret_id = id;
  *ret_rcode = flags & 15;
  *ret_truncated = flags & 0x0200;
  *ret_count = count;
  return 0;
}

/* ---- writing ---- */

static void
put16 (struct buf *out, unsigned v)
{
  buf_append_byte (out, (uint8_t) (v >> 8));
  buf_append_byte (out, (uint8_t) v);
}

/* One byte of a text name: an escape counts as one. */
static const char *
next_byte (const char *s, uint8_t *ret)
{
  if (*s == '\\' && isdigit ((unsigned char) s[1]) && isdigit ((unsigned char) s[2]) && isdigit ((unsigned char) s[3])) {
    *ret = (uint8_t) ((s[1] - '0') * 100 + (s[2] - '0') * 10 + (s[3] - '0'));
    return s + 4;
  }
  *ret = (uint8_t) *s;
  return s + 1;
}

bool
dns_name_write (const char *name, struct buf *out)
{
  uint8_t wire[DNS_NAME_MAX + 1];
  size_t n = 0;
  for (const char *p = name; *p;) {
    size_t start = n++, len;
    while (*p && *p != '.') {
      if (n >= DNS_NAME_MAX)
        return false;
      p = next_byte (p, &wire[n++]);
    }
    len = n - start - 1;
    if (len == 0 || len > 63)
      return false;
    wire[start] = (uint8_t) len;
    if (*p == '.')
      p++;
    if (n >= DNS_NAME_MAX)
      return false;
  }
  wire[n++] = 0;
  buf_append (out, wire, n);
  return true;
}

static bool
write_rdata (const struct dns_record *r, struct buf *out)
{
  switch (r->type) {
  case DNS_A:
    buf_append (out, r->address, 4);
    return true;
  case DNS_AAAA:
    buf_append (out, r->address, 16);
    return true;
  case DNS_CNAME:
  case DNS_PTR:
  case DNS_NS:
    return dns_name_write (r->target, out);
  case DNS_SRV:
    put16 (out, r->priority);
    put16 (out, r->weight);
    put16 (out, r->port);
    return dns_name_write (r->target, out);
  case DNS_TXT:
    if (strlen (r->text) > 255)
      return false;
    buf_append_byte (out, (uint8_t) strlen (r->text));
    buf_append_str (out, r->text);
    return true;
  case DNS_SOA:
    if (!dns_name_write (r->target, out) || !dns_name_write (r->text, out))
      return false;
    buf_append_be32 (out, r->serial);
    buf_append_be32 (out, 7200);
    buf_append_be32 (out, 1800);
    buf_append_be32 (out, 86400);
    buf_append_be32 (out, r->minimum);
    return true;
  default:
    return false;
  }
}

/* Appends the record or nothing. The owner is a pointer to the question where they are one name. */
static bool
write_record (const struct dns_query *q, const struct dns_record *r, size_t limit, struct buf *out)
{
  size_t start = out->len, at;
  bool ok = true;
  if (q && !strcmp (r->name, q->question.name))
    put16 (out, 0xc000 | HEADER);
  else
    ok = dns_name_write (r->name, out);
  put16 (out, r->type);
  put16 (out, CLASS_IN);
  buf_append_be32 (out, r->ttl);
  at = out->len;
  put16 (out, 0);
  ok = ok && write_rdata (r, out) && !out->failed;
  if (!ok || out->len > limit) {
    out->len = out->failed ? out->len : start;
    return false;
  }
  out->data[at] = (uint8_t) ((out->len - at - 2) >> 8);
  out->data[at + 1] = (uint8_t) (out->len - at - 2);
  return true;
}

static unsigned
write_section (const struct dns_query *q, const struct dns_record *r, size_t n, size_t limit, struct buf *out)
{
  unsigned written = 0;
  while (written < n && write_record (q, &r[written], limit, out))
    written++;
  return written;
}

static void
patch16 (struct buf *out, size_t at, unsigned v)
{
  if (out->failed)
    return;
  out->data[at] = (uint8_t) (v >> 8);
  out->data[at + 1] = (uint8_t) v;
}

void
dns_reply_write (const struct dns_query *q, const struct dns_answer *a, size_t limit, struct buf *out)
{
  unsigned flags = 0x8080 | (q->recursion_desired ? 0x0100 : 0) | (a->authoritative ? 0x0400 : 0) | (unsigned) (a->rcode & 15), n;
  size_t room = limit - (q->edns ? 11 : 0);
  REQUIRE (out->len == 0 && limit >= DNS_UDP_MIN);
  put16 (out, q->id);
  put16 (out, flags);
  put16 (out, q->raw_len ? 1 : 0);
  for (int i = 0; i < 3; i++)
    put16 (out, 0);
  buf_append (out, q->raw_question, q->raw_len);
  n = write_section (q, a->answers, a->n_answers, room, out);
  patch16 (out, 6, n);
  if (n < a->n_answers) {
    patch16 (out, 2, flags | 0x0200);
    n = 0;
  } else {
    patch16 (out, 8, write_section (q, a->authority, a->n_authority, room, out));
    n = write_section (q, a->additional, a->n_additional, room, out);
  }
  if (q->edns) {
    buf_append_byte (out, 0);
    put16 (out, DNS_OPT);
    put16 (out, DNS_UDP_MAX);
    buf_append_be32 (out, (uint32_t) (a->rcode >> 4) << 24);
    put16 (out, 0);
    n++;
  }
  patch16 (out, 10, n);
}

void
dns_query_write (uint16_t id, const char *name, uint16_t type, struct buf *out)
{
  put16 (out, id);
  put16 (out, 0x0100);
  put16 (out, 1);
  put16 (out, 0);
  put16 (out, 0);
  put16 (out, 1);
  if (!dns_name_write (name, out))
    out->failed = true;
  put16 (out, type);
  put16 (out, CLASS_IN);
  buf_append_byte (out, 0);
  put16 (out, DNS_OPT);
  put16 (out, DNS_UDP_MAX);
  buf_append_be32 (out, 0);
  put16 (out, 0);
}
