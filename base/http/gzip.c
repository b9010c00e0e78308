#include "base/http/http_internal.h"

#include <strings.h>
#include <zlib.h>

#define GZIP_LEVEL 1 /* upstream's: on a local network a faster answer beats a smaller one */

bool
http_gzip (const void *data, size_t len, struct buf *out)
{
  z_stream z = {0};
  bool ok;
  if (len > UINT32_MAX / 2 || deflateInit2 (&z, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return false;
  /* Room for anything but the incompressible, which is better sent as it is. */
  if (!buf_reserve (out, len)) {
    deflateEnd (&z);
    return false;
  }
  z.next_in = (Bytef *) (uintptr_t) data;
  z.avail_in = (uInt) len;
  z.next_out = out->data;
  z.avail_out = (uInt) len;
  ok = deflate (&z, Z_FINISH) == Z_STREAM_END;
  if (ok)
    out->len = len - z.avail_out;
  deflateEnd (&z);
  return ok && out->len > 0;
}

/* RFC 9110 12.5.3: a token gzip or * with a quality above 0. */
bool
http_accepts_gzip (const struct http_request *req)
{
  const char *name, *value;
  for (size_t it = 0; http_header_next (req, &it, &name, &value);) {
    if (strcasecmp (name, "accept-encoding"))
      continue;
    for (const char *p = value; *p;) {
      size_t len, item;
      p += strspn (p, " \t,");
      item = strcspn (p, ",");
      len = strcspn (p, ",; \t");
      if (len == 4 && !strncasecmp (p, "gzip", 4)) {
        const char *q = memmem (p, item, "q=", 2);
        return !q || strtod (q + 2, NULL) > 0;
      }
      p += item;
    }
  }
  return false;
}
