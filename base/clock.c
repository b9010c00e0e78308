#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct clock_source *source;

void
clock_set_source (const struct clock_source *s)
{
  source = s;
}

mono_t
mono_now (void)
{
  struct timespec ts;
  if (source)
    return source->mono (source->arg);
  clock_gettime (CLOCK_MONOTONIC, &ts);
  return (mono_t){(int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec};
}

wall_t
wall_now (void)
{
  struct timespec ts;
  if (source)
    return source->wall (source->arg);
  clock_gettime (CLOCK_REALTIME, &ts);
  return (wall_t){(int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000};
}

/* Splits t into seconds and a non-negative rest of microseconds, so that times before 1970 come out right. */
static void
split (wall_t t, struct tm *tm, int *micro)
{
  int64_t s = t.us / 1000000, us = t.us % 1000000;
  time_t secs;
  if (us < 0) {
    us += 1000000;
    s--;
  }
  secs = (time_t) s;
  gmtime_r (&secs, tm);
  *micro = (int) us;
}

const char *
wall_format (wall_t t, char out[CLOCK_RFC3339_SIZE])
{
  struct tm tm;
  int micro;
  split (t, &tm, &micro);
  strftime (out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
  return out;
}

const char *
wall_format_micro (wall_t t, char out[CLOCK_RFC3339_SIZE])
{
  struct tm tm;
  int micro;
  size_t n;
  split (t, &tm, &micro);
  n = strftime (out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf (out + n, CLOCK_RFC3339_SIZE - n, ".%06dZ", micro);
  return out;
}

/* Reads exactly n digits at *p into *ret and moves on. */
static bool
digits (const char **p, int n, int *ret)
{
  int v = 0;
  for (int i = 0; i < n; i++, ++*p) {
    if (**p < '0' || **p > '9')
      return false;
    v = v * 10 + (**p - '0');
  }
  *ret = v;
  return true;
}

static bool
literal (const char **p, char c)
{
  return **p == c ? (++*p, true) : false;
}

static bool
parse_offset (const char **p, int *ret_seconds)
{
  int sign, h, m;
  if (**p == 'Z' || **p == 'z') {
    ++*p;
    *ret_seconds = 0;
    return true;
  }
  if (**p != '+' && **p != '-')
    return false;
  sign = *(*p)++ == '-' ? -1 : 1;
  if (!digits (p, 2, &h) || !literal (p, ':') || !digits (p, 2, &m) || h > 23 || m > 59)
    return false;
  *ret_seconds = sign * (h * 3600 + m * 60);
  return true;
}

int
wall_parse (const char *text, wall_t *ret, struct err *err)
{
  static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const char *p = text;
  struct tm tm = {0};
  int micro = 0, scale = 100000, offset = 0;
  bool ok = digits (&p, 4, &tm.tm_year) && literal (&p, '-') && digits (&p, 2, &tm.tm_mon) && literal (&p, '-')
            && digits (&p, 2, &tm.tm_mday) && (literal (&p, 'T') || literal (&p, 't')) && digits (&p, 2, &tm.tm_hour)
            && literal (&p, ':') && digits (&p, 2, &tm.tm_min) && literal (&p, ':') && digits (&p, 2, &tm.tm_sec);
  if (ok && literal (&p, '.')) {
    ok = *p >= '0' && *p <= '9';
    for (; *p >= '0' && *p <= '9'; p++, scale /= 10)
      micro += (*p - '0') * scale;
  }
  ok = ok && parse_offset (&p, &offset) && !*p && tm.tm_mon >= 1 && tm.tm_mon <= 12 && tm.tm_mday >= 1
       && tm.tm_mday <= month_days[tm.tm_mon - 1] && tm.tm_hour <= 23 && tm.tm_min <= 59 && tm.tm_sec <= 60;
  if (!ok)
    return err_set (err, ERR_PARSE, "\"%.64s\" is not an RFC 3339 time", text);
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  ret->us = ((int64_t) timegm (&tm) - offset) * 1000000 + micro;
  return 0;
}
