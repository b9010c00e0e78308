#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static const char *log_service = "kubus";
static enum log_level log_threshold = LOG_LEVEL_INFO;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void
log_init (const char *service, enum log_level level)
{
  log_service = service;
  log_threshold = level;
}

int
log_level_parse (const char *name)
{
  for (int i = 0; i < 4; i++)
    if (!strcmp (name, level_names[i]))
      return i;
  return -1;
}

void
log_write (enum log_level level, const char *msg, const char *fmt, ...)
{
  char line[2048], stamp[CLOCK_RFC3339_SIZE];
  size_t n;
  va_list ap;
  if (level > log_threshold)
    return;
  n = (size_t) snprintf (line, sizeof line - 1, "time=%s level=%s service=%s msg=\"%s\" ",
                         wall_format_micro (wall_now (), stamp), level_names[level], log_service, msg);
  if (n > sizeof line - 2)
    n = sizeof line - 2;
  va_start (ap, fmt);
  n += (size_t) vsnprintf (line + n, sizeof line - 1 - n, fmt, ap);
  va_end (ap);
  if (n > sizeof line - 2)
    n = sizeof line - 2;
  for (size_t i = 0; i < n; i++)
    if (line[i] == '\n')
      line[i] = ' ';
  while (n && line[n - 1] == ' ')
    n--;
  line[n++] = '\n';
  (void) !write (STDERR_FILENO, line, n); /* one write: lines of several threads do not mix */
}
