/* One line a failure or fact, key=value, to standard error (the journal adds its own fields when it is the reader).
   Libraries return errors; services log each of them once. Never log a secret. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The service=... of every line and the least severe level that is printed. Call once, before threads. */
void log_init (const char *service, enum log_level level);
int log_level_parse (const char *name); /* "error" ... "debug" -> level, -1 when unknown */

/* msg is a short fixed sentence; fmt gives further fields as key=value words: log_warn ("pod failed", "pod=%s/%s", ns, n).
   fmt may be "". */
void log_write (enum log_level level, const char *msg, const char *fmt, ...) __attribute__ ((format (printf, 3, 4)));
#define log_error(msg, ...) log_write (LOG_LEVEL_ERROR, msg, __VA_ARGS__)
#define log_warn(msg, ...) log_write (LOG_LEVEL_WARN, msg, __VA_ARGS__)
#define log_info(msg, ...) log_write (LOG_LEVEL_INFO, msg, __VA_ARGS__)
#define log_debug(msg, ...) log_write (LOG_LEVEL_DEBUG, msg, __VA_ARGS__)

#endif
