/* Errors: a function that can fail returns 0 or a negative ERR_* and, through its last parameter, where and why.
   Invariants: text is always NUL-terminated and never empty once code != 0; a NULL struct err * is allowed everywhere
   and means that the caller wants the code only. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum {
  ERR_NONE_INDEX_ = 0,
#define ERR(name, text, retryable, http) ERR_##name##_INDEX_,
#include "base/errors.tbl"
#undef ERR
  ERR_COUNT_
};

enum {
#define ERR(name, text, retryable, http) ERR_##name = -ERR_##name##_INDEX_,
#include "base/errors.tbl"
#undef ERR
};

#define ERR_TEXT_SIZE 512

struct err {
  int code;                 /* 0 or ERR_* */
  char text[ERR_TEXT_SIZE]; /* truncated, never unterminated */
};

/* Sets *err (when not NULL) to code and the formatted text; returns code. With an empty format the table's text. */
int err_set (struct err *err, int code, const char *fmt, ...) __attribute__ ((format (printf, 3, 4)));

/* Like err_set for a failed system call: appends ": strerror(errno_value)"; ENOSPC, EDQUOT, EACCES, ENOENT, EEXIST,
   ENOMEM, EAGAIN and ETIMEDOUT choose their code, anything else is ERR_IO. Returns the code. */
int err_errno (struct err *err, int errno_value, const char *fmt, ...) __attribute__ ((format (printf, 3, 4)));

/* Prefixes "formatted: " to err's text and returns its code: "load node n1: read record: short value". */
int err_wrap (struct err *err, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

/* Facts of the table for a code; unknown codes answer as ERR_INTERNAL. Never NULL. */
const char *err_name (int code);
const char *err_text (int code);
bool err_retryable (int code);
int err_http_status (int code);

/* An invariant of our own code: on in release, logs and aborts. Never for allocation, system calls, configuration or
   bytes from outside. */
#define REQUIRE(x) ((x) ? (void) 0 : require_failed (#x, __FILE__, __LINE__, __func__))
void require_failed (const char *what, const char *file, int line, const char *function) __attribute__ ((noreturn));

#endif
