/* The forms of names, in the words of k8s.io/apimachinery/pkg/util/validation. */
#include "schemas/machinery.h"

#define MUST_BE(what, chars, ends, examples, regex) \
  what chars ends " (e.g. " examples ", regex used for validation is '" regex "')"

#define LABEL_RE "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define QUALIFIED_RE "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

static const char too_long_63[] = "must be no more than 63 characters";
static const char too_long_253[] = "must be no more than 253 characters";
static const char bad_label[] = MUST_BE ("a lowercase RFC 1123 label must consist of lower case alphanumeric characters",
                                         " or '-', and must start and end", " with an alphanumeric character",
                                         "'my-name',  or '123-abc'", LABEL_RE);
#define BAD_SUBDOMAIN \
  MUST_BE ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters", \
           ", '-' or '.', and must start and end", " with an alphanumeric character", "'example.com'", \
           LABEL_RE "(\\." LABEL_RE ")*")
static const char bad_1035[] = MUST_BE ("a DNS-1035 label must consist of lower case alphanumeric characters or '-', ",
                                        "start with an alphabetic character, and end", " with an alphanumeric character",
                                        "'my-name',  or 'abc-123'", "[a-z]([-a-z0-9]*[a-z0-9])?");
#define BAD_QUALIFIED(what) \
  MUST_BE (what " must consist of alphanumeric characters", ", '-', '_' or '.', and must start and end", \
           " with an alphanumeric character", "'MyName',  or 'my.name',  or '123-abc'", QUALIFIED_RE)
static const char bad_value[] = MUST_BE ("a valid label must be an empty string or consist of alphanumeric characters",
                                         ", '-', '_' or '.', and must start and end", " with an alphanumeric character",
                                         "'MyValue',  or 'my_value',  or '12345'", "(" QUALIFIED_RE ")?");

static bool
lower_or_digit (char c)
{
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
alphanumeric (char c)
{
  return lower_or_digit (c) || (c >= 'A' && c <= 'Z');
}

static bool
is_label (const char *s, size_t n)
{
  if (!n || !lower_or_digit (s[0]) || !lower_or_digit (s[n - 1]))
    return false;
  for (size_t i = 1; i < n; i++)
    if (!lower_or_digit (s[i]) && s[i] != '-')
      return false;
  return true;
}

static bool
is_subdomain (const char *s, size_t n)
{
  for (;;) {
    const char *dot = memchr (s, '.', n);
    size_t part = dot ? (size_t) (dot - s) : n;
    if (!is_label (s, part))
      return false;
    if (!dot)
      return true;
    s += part + 1;
    n -= part + 1;
  }
}

static bool
is_qualified_part (const char *s, size_t n)
{
  if (!n || !alphanumeric (s[0]) || !alphanumeric (s[n - 1]))
    return false;
  for (size_t i = 1; i < n; i++)
    if (!alphanumeric (s[i]) && !strchr ("-_.", s[i]))
      return false;
  return true;
}

const char *
name_dns1123_label (const char *s)
{
  size_t n = strlen (s);
  if (n > 63)
    return too_long_63;
  if (is_label (s, n))
    return NULL;
  return is_subdomain (s, n) ? "must not contain dots" : bad_label;
}

const char *
name_dns1123_subdomain (const char *s)
{
  size_t n = strlen (s);
  if (n > 253)
    return too_long_253;
  return is_subdomain (s, n) ? NULL : BAD_SUBDOMAIN;
}

const char *
name_dns1035_label (const char *s)
{
  size_t n = strlen (s);
  if (n > 63)
    return too_long_63;
  return is_label (s, n) && s[0] >= 'a' ? NULL : bad_1035;
}

const char *
name_qualified (const char *s)
{
  const char *slash = strchr (s, '/'), *name = slash ? slash + 1 : s;
  size_t n = strlen (name);
  if (slash && strchr (name, '/'))
    return BAD_QUALIFIED ("a qualified name") " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
  if (slash) {
    size_t prefix = (size_t) (slash - s);
    if (!prefix)
      return "prefix part must be non-empty";
    if (prefix > 253)
      return "prefix part must be no more than 253 characters";
    if (!is_subdomain (s, prefix))
      return "prefix part " BAD_SUBDOMAIN;
  }
  if (!n)
    return "name part must be non-empty";
  if (n > 63)
    return "name part must be no more than 63 characters";
  return is_qualified_part (name, n) ? NULL : BAD_QUALIFIED ("name part");
}

const char *
name_label_value (const char *s)
{
  size_t n = strlen (s);
  if (n > 63)
    return too_long_63;
  return !n || is_qualified_part (s, n) ? NULL : bad_value;
}
