/* resource.Quantity after k8s.io/apimachinery/pkg/api/resource: what is finer than nano is rounded away from zero, what
   has more digits than fit is capped, and the canonical form keeps the suffix's family. */
#include <ctype.h>

#include "schemas/machinery.h"

#define DIGITS_MAX 64  /* significant ones that are looked at; any more only round up */
#define FAST_DIGITS 18 /* up to these upstream does not cap at 2^63-1 */
#define NANO 1000000000
#define NANO_MAX (((__int128) 1 << 126) - 1)

struct number {
  uint8_t digits[DIGITS_MAX + 24]; /* most significant first; 10^scale times their integer */
  int n;
  int64_t scale;
  bool more; /* something not 0 was cut off behind them */
};

static const char wrong_format[] = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

static void
add_digit (struct number *x, int d, bool fraction)
{
  if (!x->n && !d) { /* leading */
    x->scale -= fraction;
  } else if (x->n == DIGITS_MAX) {
    x->more = x->more || d;
    x->scale += !fraction;
  } else {
    x->digits[x->n++] = (uint8_t) d;
    x->scale -= fraction;
  }
}

static void
times_1024 (struct number *x)
{
  int carry = 0;
  for (int i = x->n - 1; i >= 0; i--) {
    int v = x->digits[i] * 1024 + carry;
    x->digits[i] = (uint8_t) (v % 10);
    carry = v / 10;
  }
  for (; carry; carry /= 10) {
    memmove (x->digits + 1, x->digits, (size_t) x->n++);
    x->digits[0] = (uint8_t) (carry % 10);
  }
}

/* x times 10^9, rounded up; at most NANO_MAX. */
static __int128
to_nano (const struct number *x)
{
  int64_t whole = x->n + x->scale + 9; /* how many digits stand before the point */
  __int128 v = 0;
  bool up = x->more;
  if (!x->n)
    return x->more;
  for (int64_t i = 0; i < whole; i++) {
    int d = i < x->n ? x->digits[i] : 0;
    if (v > (NANO_MAX - d) / 10)
      return NANO_MAX;
    v = v * 10 + d;
  }
  for (int64_t i = whole < 0 ? 0 : whole; i < x->n; i++)
    up = up || x->digits[i];
  return v + up;
}

/* The suffix's family, factor and exponent of ten; false when there is no such suffix. */
static bool
read_suffix (const char *s, char *ret_format, int *ret_binary, int64_t *ret_exponent)
{
  static const char decimal[] = "num kMGTPE", binary[] = "KMGTPE";
  const char *at;
  *ret_binary = 0;
  *ret_exponent = 0;
  *ret_format = 'D';
  if (!s[0])
    return true;
  if (!s[1] && s[0] != ' ' && (at = strchr (decimal, s[0]))) {
    *ret_exponent = 3 * (at - decimal) - 9;
    return true;
  }
  if (s[1] == 'i' && !s[2] && (at = strchr (binary, s[0]))) {
    *ret_format = 'B';
    *ret_binary = (int) (at - binary) + 1;
    return true;
  }
  if ((s[0] == 'e' || s[0] == 'E') && s[1]) {
    char *end;
    long e = strtol (s + 1, &end, 10);
    if (*end || isspace ((unsigned char) s[1]))
      return false;
    *ret_format = 'E';
    *ret_exponent = e > 1000000 ? 1000000 : e < -1000000 ? -1000000 : e;
    return true;
  }
  return false;
}

int
quantity_parse (const char *text, struct quantity *ret, struct err *err)
{
  struct number x = {0};
  const char *p = text, *suffix;
  bool negative = *p == '-';
  int binary, digits = 0;
  int64_t exponent;
  char format;
  __int128 v;
  if (!*p)
    return err_set (err, ERR_PARSE, "%s", wrong_format);
  p += *p == '-' || *p == '+';
  for (; isdigit ((unsigned char) *p); p++) {
    add_digit (&x, *p - '0', false);
    digits++;
  }
  if (*p == '.')
    for (p++; isdigit ((unsigned char) *p); p++) {
      add_digit (&x, *p - '0', true);
      digits++;
    }
  suffix = p;
  p += strspn (p, "eEinumkKMGTP");
  p += *p == '-' || *p == '+';
  p += strspn (p, "0123456789");
  if (*p)
    return err_set (err, ERR_PARSE, "%s", wrong_format);
  if (!read_suffix (suffix, &format, &binary, &exponent))
    return err_set (err, ERR_PARSE, "unable to parse quantity's suffix");
  x.scale += exponent;
  for (int i = 0; i < binary; i++)
    times_1024 (&x);
  v = to_nano (&x);
  if (digits > FAST_DIGITS && v > (__int128) INT64_MAX * NANO)
    v = (__int128) INT64_MAX * NANO;
  ret->nano = negative ? -v : v;
  ret->format = format;
  return 0;
}

/* Decimal digits of v > 0, most significant first, into out; their count. */
static int
print_digits (__int128 v, char *out)
{
  char reversed[48];
  int n = 0;
  for (; v; v /= 10)
    reversed[n++] = (char) ('0' + (int) (v % 10));
  for (int i = 0; i < n; i++)
    out[i] = reversed[n - 1 - i];
  return n;
}

const char *
quantity_format (const struct quantity *q, char out[64])
{
  static const char *const decimal[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
  static const char *const binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  __int128 v = q->nano < 0 ? -q->nano : q->nano;
  int exponent = -9, n = 0;
  if (!v)
    return memcpy (out, "0", 2);
  if (q->nano < 0)
    out[n++] = '-';
  if (q->format == 'B' && v >= (__int128) 1024 * NANO && v % NANO == 0) {
    int power = 0;
    for (v /= NANO; v % 1024 == 0 && power < 6; v /= 1024)
      power++;
    n += print_digits (v, out + n);
    snprintf (out + n, 64 - (size_t) n, "%s", binary[power]);
    return out;
  }
  while (v % 1000 == 0 && (exponent < 18 || q->format == 'E')) {
    v /= 1000;
    exponent += 3;
  }
  n += print_digits (v, out + n);
  if (q->format != 'E')
    snprintf (out + n, 64 - (size_t) n, "%s", decimal[exponent / 3 + 3]);
  else if (exponent)
    snprintf (out + n, 64 - (size_t) n, "e%d", exponent);
  else
    out[n] = 0;
  return out;
}

/* nano / unit, away from zero, within int64. */
static int64_t
scaled (__int128 nano, int64_t unit)
{
  __int128 v = nano / unit, rest = nano % unit;
  v += rest > 0 ? 1 : rest < 0 ? -1 : 0;
  return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t) v;
}

int64_t
quantity_value (const struct quantity *q)
{
  return scaled (q->nano, NANO);
}

int64_t
quantity_milli_value (const struct quantity *q)
{
  return scaled (q->nano, NANO / 1000);
}

int64_t
quantity_of (const struct value *v, bool milli)
{
  struct quantity q = {0};
  char number[64];
  const char *text = value_as_string (v, NULL);
  if (value_is (v, VALUE_INT)) {
    q = (struct quantity){(__int128) v->i * NANO, 'D'};
  } else if (value_is (v, VALUE_FLOAT)) {
    snprintf (number, sizeof number, "%.9f", v->f);
    text = number;
  }
  if (!value_is (v, VALUE_INT) && (!text || quantity_parse (text, &q, NULL)))
    return 0;
  return milli ? quantity_milli_value (&q) : quantity_value (&q);
}
