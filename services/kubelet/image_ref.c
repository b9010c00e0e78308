/* Image references: distribution/reference's grammar, read by hand. */
#include <string.h>

#include "services/kubelet/image.h"

static bool
is_lower_alnum (char c)
{
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_word (char c)
{
  return is_lower_alnum (c) || (c >= 'A' && c <= 'Z') || c == '_';
}

bool
image_digest_valid (const char *text)
{
  if (strncmp (text, "sha256:", 7) != 0 || strlen (text) != 71)
    return false;
  return strspn (text + 7, "0123456789abcdef") == 64;
}

/* A path component: [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool
component_valid (const char *s, size_t n)
{
  size_t i = 0;
  if (!n)
    return false;
  for (;;) {
    size_t start = i;
    while (i < n && is_lower_alnum (s[i]))
      i++;
    if (i == start)
      return false;
    if (i == n)
      return true;
    if (s[i] == '.') {
      i++;
    } else if (s[i] == '_') {
      i++;
      if (i < n && s[i] == '_')
        i++;
    } else if (s[i] == '-') {
      while (i < n && s[i] == '-')
        i++;
    } else {
      return false;
    }
  }
}

static bool
domain_valid (const char *s, size_t n)
{
  const char *colon = memchr (s, ':', n);
  size_t host = colon ? (size_t) (colon - s) : n;
  if (!host)
    return false;
  for (size_t i = 0; i < host; i++)
    if (!is_word (s[i]) && s[i] != '.' && s[i] != '-')
      return false;
  if (s[0] == '.' || s[0] == '-' || s[host - 1] == '.' || s[host - 1] == '-')
    return false;
  for (size_t i = host + 1; i < n; i++)
    if (s[i] < '0' || s[i] > '9')
      return false;
  return !colon || host + 1 < n;
}

static bool
tag_valid (const char *s, size_t n)
{
  if (!n || n > 128 || !is_word (s[0]))
    return false;
  for (size_t i = 1; i < n; i++)
    if (!is_word (s[i]) && s[i] != '.' && s[i] != '-')
      return false;
  return true;
}

/* Where name, tag and digest lie in a reference. */
struct parts {
  size_t name_len;
  const char *tag;
  size_t tag_len;
  const char *digest;
};

static void
split (const char *text, struct parts *p)
{
  const char *at = strchr (text, '@'), *slash, *colon;
  size_t n = at ? (size_t) (at - text) : strlen (text);
  *p = (struct parts) {.name_len = n, .digest = at ? at + 1 : NULL};
  slash = memrchr (text, '/', n);
  colon = memchr (slash ? slash : text, ':', n - (slash ? (size_t) (slash - text) : 0));
  if (colon) {
    p->name_len = (size_t) (colon - text);
    p->tag = colon + 1;
    p->tag_len = n - p->name_len - 1;
  }
}

int
image_ref_normalise (const char *text, char out[IMAGE_REF_MAX], struct err *err)
{
  struct parts p;
  const char *domain = "docker.io", *path = text, *slash, *prefix = "";
  size_t domain_len = 9, path_len;
  int n;
  split (text, &p);
  path_len = p.name_len;
  slash = memchr (text, '/', p.name_len);
  if (slash) {
    size_t first = (size_t) (slash - text);
    if (memchr (text, '.', first) || memchr (text, ':', first) || (first == 9 && !memcmp (text, "localhost", 9))) {
      domain = text;
      domain_len = first;
      path = slash + 1;
      path_len = p.name_len - first - 1;
    }
  }
  if (domain_len == 15 && !memcmp (domain, "index.docker.io", 15)) {
    domain = "docker.io";
    domain_len = 9;
  }
  if (domain_len == 9 && !memcmp (domain, "docker.io", 9) && !memchr (path, '/', path_len))
    prefix = "library/";
  if (!domain_valid (domain, domain_len))
    goto invalid;
  for (size_t i = 0; i <= path_len;) {
    const char *end = memchr (path + i, '/', path_len - i);
    size_t len = end ? (size_t) (end - path) - i : path_len - i;
    if (!component_valid (path + i, len))
      goto invalid;
    i += len + 1;
  }
  if ((p.tag && !tag_valid (p.tag, p.tag_len)) || (p.digest && !image_digest_valid (p.digest)))
    goto invalid;
  if (p.digest)
    n = snprintf (out, IMAGE_REF_MAX, "%.*s/%s%.*s@%s", (int) domain_len, domain, prefix, (int) path_len, path, p.digest);
  else
    n = snprintf (out, IMAGE_REF_MAX, "%.*s/%s%.*s:%.*s", (int) domain_len, domain, prefix, (int) path_len, path,
                  p.tag ? (int) p.tag_len : 6, p.tag ? p.tag : "latest");
  if (n >= IMAGE_REF_MAX)
    return err_set (err, ERR_INVALID, "Failed to apply default image tag \"%.64s...\": reference is too long", text);
  return 0;
invalid:
  return err_set (err, ERR_INVALID, "Failed to apply default image tag \"%s\": couldn't parse image name \"%s\": invalid reference format", text,
                  text);
}

bool
image_ref_is_latest (const char *text)
{
  struct parts p;
  split (text, &p);
  return !p.digest && (!p.tag || (p.tag_len == 6 && !memcmp (p.tag, "latest", 6)));
}
