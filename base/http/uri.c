#include "base/http/uri.h"

#include <errno.h>
#include <strings.h>

#define PAIRS_LIMIT 1000

static int
hex_of (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char) (c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
uri_decode (struct arena *a, const char *text, size_t len, bool plus, char **ret, struct err *err)
{
  char *out = arena_alloc (a, len + 1), *p = out;
  if (!out)
    return err_set (err, ERR_NOMEM, "decode URL");
  for (size_t i = 0; i < len; i++) {
    int high, low;
    if (plus && text[i] == '+') {
      *p++ = ' ';
      continue;
    }
    if (text[i] != '%') {
      *p++ = text[i];
      continue;
    }
    if (len - i < 3 || (high = hex_of (text[i + 1])) < 0 || (low = hex_of (text[i + 2])) < 0)
      return err_set (err, ERR_PARSE, "invalid URL escape \"%.*s\"", (int) (len - i < 3 ? len - i : 3), text + i);
    if (!high && !low)
      return err_set (err, ERR_PARSE, "invalid URL escape \"%%00\"");
    *p++ = (char) (high << 4 | low);
    i += 2;
  }
  *p = 0;
  *ret = out;
  return 0;
}

void
uri_encode (struct buf *out, const char *text)
{
  for (const char *p = text; *p; p++)
    if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr ("-._~", *p))
      buf_append_byte (out, (uint8_t) *p);
    else
      buf_printf (out, "%%%02X", (unsigned char) *p);
}

int
uri_query_parse (struct arena *a, const char *query, struct uri_query *ret, struct err *err)
{
  struct uri_query q = {0};
  size_t n = *query != 0;
  for (const char *p = query; *p; p++)
    n += *p == '&';
  if (n > PAIRS_LIMIT)
    return err_set (err, ERR_LIMIT, "more than %d query parameters", PAIRS_LIMIT);
  if (n && !(q.pairs = arena_zalloc (a, n * sizeof *q.pairs)))
    return err_set (err, ERR_NOMEM, "query");
  for (const char *p = query; *p;) {
    size_t len = strcspn (p, "&");
    const char *eq = memchr (p, '=', len);
    size_t key_len = eq ? (size_t) (eq - p) : len;
    char *key, *value;
    int r;
    if (len) {
      if ((r = uri_decode (a, p, key_len, true, &key, err)) ||
          (r = uri_decode (a, eq ? eq + 1 : "", eq ? len - key_len - 1 : 0, true, &value, err)))
        return r;
      q.pairs[q.count++] = (struct uri_pair){key, value};
    }
    p += len + (p[len] == '&');
  }
  *ret = q;
  return 0;
}

const char *
uri_query_get (const struct uri_query *q, const char *key)
{
  for (size_t i = 0; i < q->count; i++)
    if (!strcmp (q->pairs[i].key, key))
      return q->pairs[i].value;
  return NULL;
}

bool
uri_query_bool (const struct uri_query *q, const char *key)
{
  static const char *const truths[] = {"1", "t", "T", "true", "TRUE", "True"};
  const char *v = uri_query_get (q, key);
  for (size_t i = 0; v && i < sizeof truths / sizeof *truths; i++)
    if (!strcmp (v, truths[i]))
      return true;
  return false;
}

int
uri_path_split (struct arena *a, const char *path, const char **segments, size_t max_count, size_t *ret_count, struct err *err)
{
  size_t n = 0;
  for (const char *p = path; *p;) {
    size_t len;
    char *text;
    int r;
    p += strspn (p, "/");
    if (!(len = strcspn (p, "/")))
      break;
    if (n == max_count)
      return err_set (err, ERR_LIMIT, "more than %zu path segments", max_count);
    if ((r = uri_decode (a, p, len, false, &text, err)))
      return r;
    segments[n++] = text;
    p += len;
  }
  *ret_count = n;
  return 0;
}

static int
parse_port (const char *text, const char *end, unsigned short *ret)
{
  unsigned n = 0;
  if (text == end || end - text > 5)
    return ERR_PARSE;
  for (; text < end; text++) {
    if (*text < '0' || *text > '9')
      return ERR_PARSE;
    n = n * 10 + (unsigned) (*text - '0');
  }
  if (!n || n > 65535)
    return ERR_PARSE;
  *ret = (unsigned short) n;
  return 0;
}

int
uri_url_parse (struct arena *a, const char *url, struct uri_url *ret, struct err *err)
{
  struct uri_url u = {0};
  const char *p = url, *end, *host, *host_end, *colon;
  if (!strncasecmp (p, "https://", 8)) {
    u.tls = true;
    p += 8;
  } else if (!strncasecmp (p, "http://", 7))
    p += 7;
  else
    return err_set (err, ERR_PARSE, "'%.200s' is not an http or https URL", url);
  end = p + strcspn (p, "/?#");
  u.port = u.tls ? 443 : 80;
  host = p;
  if (*p == '[') {
    host++;
    host_end = memchr (p, ']', (size_t) (end - p));
    colon = host_end && host_end + 1 < end ? host_end + 1 : NULL;
    if (!host_end || (colon && *colon != ':'))
      return err_set (err, ERR_PARSE, "'%.200s': bad host", url);
  } else {
    colon = memchr (p, ':', (size_t) (end - p));
    host_end = colon ? colon : end;
  }
  if (host_end == host || memchr (host, '@', (size_t) (end - host)) || (colon && parse_port (colon + 1, end, &u.port)))
    return err_set (err, ERR_PARSE, "'%.200s': bad host or port", url);
  u.host = arena_strndup (a, host, (size_t) (host_end - host));
  p = end + strcspn (end, "#");
  u.target = arena_printf (a, "%s%.*s", *end == '/' ? "" : "/", (int) (p - end), end);
  if (!u.host || !u.target)
    return err_set (err, ERR_NOMEM, "URL");
  *ret = u;
  return 0;
}
