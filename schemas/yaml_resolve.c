#include "schemas/yaml_internal.h"

#include <ctype.h>
#include <errno.h>

static bool
one_of (const char *s, const char *const *words)
{
  for (; *words; words++)
    if (!strcmp (s, *words))
      return true;
  return false;
}

/* As Go's ParseInt with base 0 after the underscores are gone. */
static bool
read_int (const char *s, struct yaml_resolved *ret)
{
  bool negative = *s == '-';
  const char *p = s + (*s == '-' || *s == '+');
  int base = 10;
  char *end;
  unsigned long long v;
  if (p[0] == '0' && p[1]) {
    char c = (char) tolower ((unsigned char) p[1]);
    base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
    p += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
  }
  if (!isxdigit ((unsigned char) *p))
    return false;
  errno = 0;
  v = strtoull (p, &end, base);
  if (*end || errno)
    return false;
  if (v > (unsigned long long) INT64_MAX + negative) {
    if (negative)
      return false;
    *ret = (struct yaml_resolved){.type = YAML_SCALAR_FLOAT, .f = (double) v};
  } else {
    *ret = (struct yaml_resolved){.type = YAML_SCALAR_INT, .i = negative ? (int64_t) (0 - v) : (int64_t) v};
  }
  return true;
}

/* ^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$ */
static bool
read_float (const char *s, struct yaml_resolved *ret)
{
  const char *p = s + (*s == '-' || *s == '+');
  size_t whole = strspn (p, "0123456789"), part = 0;
  p += whole;
  if (*p == '.') {
    part = strspn (p + 1, "0123456789");
    p += 1 + part;
  }
  if (!whole && !part)
    return false;
  if (*p == 'e' || *p == 'E') {
    p++;
    p += *p == '-' || *p == '+';
    if (!isdigit ((unsigned char) *p))
      return false;
    p += strspn (p, "0123456789");
  }
  if (*p)
    return false;
  *ret = (struct yaml_resolved){.type = YAML_SCALAR_FLOAT, .f = strtod (s, NULL)};
  if (ret->f > 1.7976931348623157e308 || ret->f < -1.7976931348623157e308)
    ret->type = YAML_SCALAR_STRING; /* out of range: ParseFloat fails, the text stays */
  return true;
}

/* 2006-1-2, and that with T or blanks, a time and perhaps a zone: text for us, but not plain when written. */
static bool
is_time (const char *s)
{
  int y = 0, m = 0, d = 0, at = 0;
  if (strspn (s, "0123456789") != 4 || sscanf (s, "%4d-%2d-%2d%n", &y, &m, &d, &at) != 3 || !at || m < 1 || m > 12 || d < 1 || d > 31)
    return false;
  if (!s[at])
    return true;
  return strchr ("Tt ", s[at]) && isdigit ((unsigned char) s[at + 1]) && strchr (s + at, ':')
         && strspn (s + at, "0123456789:.+-TtZz ") == strlen (s + at);
}

struct yaml_resolved
yaml_resolve (const char *s, size_t n)
{
  static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
  static const char *const yes[] = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
  static const char *const no[] = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL};
  static const char *const odd[] = {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", NULL};
  struct yaml_resolved r = {.type = YAML_SCALAR_STRING};
  char digits[128];
  size_t w = 0;
  if (strlen (s) != n)
    return r;
  if (one_of (s, nulls))
    return (struct yaml_resolved){.type = YAML_SCALAR_NULL};
  if (one_of (s, yes) || one_of (s, no))
    return (struct yaml_resolved){.type = YAML_SCALAR_BOOL, .b = one_of (s, yes)};
  if (one_of (s, odd))
    return (struct yaml_resolved){.type = YAML_SCALAR_NOT_FINITE};
  if (!strcmp (s, "<<"))
    return (struct yaml_resolved){.type = YAML_SCALAR_MERGE};
  if ((!isdigit ((unsigned char) *s) && !strchr ("+-.", *s)) || n >= sizeof digits)
    return r;
  if (is_time (s))
    return (struct yaml_resolved){.type = YAML_SCALAR_TIME};
  for (const char *p = s; *p; p++)
    if (*p != '_')
      digits[w++] = *p;
  digits[w] = 0;
  if (*s != '.' && read_int (digits, &r))
    return r;
  (void) read_float (digits, &r);
  return r;
}
