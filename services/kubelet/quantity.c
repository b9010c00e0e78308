#include "services/kubelet/quantity.h"

#include <math.h>

static double
parse (const struct value *v)
{
  static const struct {
    const char *suffix;
    double factor;
  } suffixes[] = {{"", 1},     {"m", 1e-3},   {"u", 1e-6},   {"n", 1e-9},   {"k", 1e3},     {"M", 1e6},     {"G", 1e9},
                  {"T", 1e12}, {"P", 1e15},   {"E", 1e18},   {"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40},
                  {"Pi", 0x1p50}, {"Ei", 0x1p60}};
  char *end;
  double n;
  if (value_is (v, VALUE_INT))
    return (double) v->i;
  if (value_is (v, VALUE_FLOAT))
    return v->f;
  if (!value_is (v, VALUE_STRING))
    return 0;
  n = strtod (v->s, &end);
  if (end == v->s)
    return 0;
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
    if (!strcmp (end, suffixes[i].suffix))
      return n * suffixes[i].factor;
  return 0;
}

static int64_t
round_up (double d)
{
  /* A little slack first: 0.1 * 1000 is not to become 101. */
  d = ceil (d - 1e-6);
  return d >= 9.2e18 ? INT64_MAX : d <= -9.2e18 ? INT64_MIN : (int64_t) d;
}

int64_t
quantity_value (const struct value *v)
{
  return round_up (parse (v));
}

int64_t
quantity_milli (const struct value *v)
{
  return round_up (parse (v) * 1000);
}
