#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  const char *text;
  bool retryable;
  int http;
} err_table[ERR_COUNT_] = {
    [0] = {"OK", "success", false, 200},
#define ERR(name, text, retryable, http) [ERR_##name##_INDEX_] = {#name, text, retryable, http},
#include "base/errors.tbl"
#undef ERR
};

static int
row_of (int code)
{
  return code <= 0 && code > -ERR_COUNT_ ? -code : ERR_INTERNAL_INDEX_;
}

const char *
err_name (int code)
{
  return err_table[row_of (code)].name;
}

const char *
err_text (int code)
{
  return err_table[row_of (code)].text;
}

bool
err_retryable (int code)
{
  return err_table[row_of (code)].retryable;
}

int
err_http_status (int code)
{
  return err_table[row_of (code)].http;
}

int
err_set (struct err *err, int code, const char *fmt, ...)
{
  if (err) {
    va_list ap;
    err->code = code;
    va_start (ap, fmt);
    vsnprintf (err->text, sizeof err->text, fmt, ap);
    va_end (ap);
    if (!err->text[0])
      snprintf (err->text, sizeof err->text, "%s", err_text (code));
  }
  return code;
}

static int
code_of_errno (int errno_value)
{
  switch (errno_value) {
  case ENOSPC:
  case EDQUOT:
    return ERR_NO_SPACE;
  case EACCES:
  case EPERM:
    return ERR_DENIED;
  case ENOENT:
    return ERR_NOT_FOUND;
  case EEXIST:
    return ERR_EXISTS;
  case ENOMEM:
    return ERR_NOMEM;
  case EAGAIN:
  case EBUSY:
  case EADDRINUSE:
    return ERR_BUSY;
  case ETIMEDOUT:
    return ERR_TIMEOUT;
  default:
    return ERR_IO;
  }
}

int
err_errno (struct err *err, int errno_value, const char *fmt, ...)
{
  int code = code_of_errno (errno_value);
  if (err) {
    va_list ap;
    size_t n;
    err->code = code;
    va_start (ap, fmt);
    vsnprintf (err->text, sizeof err->text, fmt, ap);
    va_end (ap);
    n = strlen (err->text);
    snprintf (err->text + n, sizeof err->text - n, ": %s", strerror (errno_value));
  }
  return code;
}

int
err_wrap (struct err *err, const char *fmt, ...)
{
  char inner[ERR_TEXT_SIZE];
  va_list ap;
  size_t n;
  if (!err)
    return ERR_INTERNAL;
  memcpy (inner, err->text, sizeof inner);
  va_start (ap, fmt);
  vsnprintf (err->text, sizeof err->text, fmt, ap);
  va_end (ap);
  n = strlen (err->text);
  snprintf (err->text + n, sizeof err->text - n, ": %s", inner);
  return err->code;
}

_Noreturn void
require_failed (const char *what, const char *file, int line, const char *function)
{
  fprintf (stderr, "level=fatal msg=\"invariant broken\" what=\"%s\" where=%s:%d function=%s\n", what, file, line, function);
  abort ();
}
