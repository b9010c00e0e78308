#include "services/launcher/launcher.h"

int64_t
supervise_backoff_ms (int64_t last_ms, int64_t ran_ms)
{
  int64_t next = last_ms * 2;
  if (ran_ms >= SUPERVISE_STABLE_MS || last_ms < SUPERVISE_BACKOFF_FIRST_MS)
    return SUPERVISE_BACKOFF_FIRST_MS;
  return next > SUPERVISE_BACKOFF_MAX_MS ? SUPERVISE_BACKOFF_MAX_MS : next;
}
