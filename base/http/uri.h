/* Paths and queries: percent-decoding, splitting, looking up. */
#ifndef BASE_HTTP_URI_H
#define BASE_HTTP_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

/* Percent-decodes len bytes; '+' becomes a space when plus is set (queries). ERR_PARSE on a bad escape or an encoded NUL. The
   result is NUL-terminated in the arena. */
int uri_decode (struct arena *a, const char *text, size_t len, bool plus, char **ret, struct err *err);
/* Appends text percent-encoded: everything but unreserved characters. */
void uri_encode (struct buf *out, const char *text);

/* A query's pairs in order, decoded. ERR_PARSE, ERR_LIMIT above 1,000 pairs. */
struct uri_pair {
  const char *key, *value;
};
struct uri_query {
  struct uri_pair *pairs;
  size_t count;
};
int uri_query_parse (struct arena *a, const char *query, struct uri_query *ret, struct err *err);
const char *uri_query_get (const struct uri_query *q, const char *key); /* first; NULL when absent */
/* "true", "1", "t", "T", "TRUE", "True" are true (strconv.ParseBool); absent or anything else is false. */
bool uri_query_bool (const struct uri_query *q, const char *key);

/* A path's segments, decoded: "/api/v1//pods/" is {"api", "v1", "pods"}. Segments "." and ".." and a decoded '/' stay as they
   are: the caller matches names, never files. ERR_LIMIT above max_count. */
int uri_path_split (struct arena *a, const char *path, const char **segments, size_t max_count, size_t *ret_count,
                    struct err *err);

/* An absolute http:// or https:// URL's parts, in the arena; target is path and query, at least "/". IPv6 hosts without their
   brackets; port defaults by scheme. ERR_PARSE. */
struct uri_url {
  bool tls;
  const char *host, *target;
  unsigned short port;
};
int uri_url_parse (struct arena *a, const char *url, struct uri_url *ret, struct err *err);

#endif
