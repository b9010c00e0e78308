/* Time: monotonic and wall clock are different types; both are read through here so that simulations can own them. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct {
  int64_t ns;
} mono_t; /* since an arbitrary point; never goes back */
typedef struct {
  int64_t us;
} wall_t; /* microseconds since 1970-01-01T00:00:00Z; may jump */

mono_t mono_now (void);
wall_t wall_now (void);
static inline int64_t
mono_ms_since (mono_t then, mono_t now)
{
  return (now.ns - then.ns) / 1000000;
}

/* Kubernetes' two forms: metav1.Time "2026-01-02T15:04:05Z" and metav1.MicroTime "2026-01-02T15:04:05.000000Z". */
#define CLOCK_RFC3339_SIZE 32
const char *wall_format (wall_t t, char out[CLOCK_RFC3339_SIZE]);       /* seconds; returns out */
const char *wall_format_micro (wall_t t, char out[CLOCK_RFC3339_SIZE]); /* microseconds */
/* RFC 3339 with any fraction and offset. ERR_PARSE when it is not one. */
int wall_parse (const char *text, wall_t *ret, struct err *err);

/* Replaces the clocks of this process (simulations and tests); NULL gives the real ones back. */
struct clock_source {
  mono_t (*mono) (void *arg);
  wall_t (*wall) (void *arg);
  void *arg;
};
void clock_set_source (const struct clock_source *source);

#endif
