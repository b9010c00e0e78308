#include "base/buf.h"
#include "services/controller/job_decide.h"

void
job_indexes_parse (const char *text, bool *seen, int64_t total)
{
  while (*text)
    {
      char *end;
      long long from = strtoll (text, &end, 10), to = from;
      if (end == text)
        return;
      if (*end == '-')
        {
          text = end + 1;
          to = strtoll (text, &end, 10);
        }
      for (long long i = from < 0 ? 0 : from; i <= to && i < total; i++)
        seen[i] = true;
      text = *end == ',' ? end + 1 : end;
      if (*end && *end != ',')
        return;
    }
}

const char *
job_indexes_format (struct arena *a, const bool *seen, int64_t total)
{
  struct buf b AUTO_BUF = BUF_INIT;
  for (int64_t i = 0; i < total; i++)
    {
      if (!seen[i])
        continue;
      int64_t from = i;
      while (i + 1 < total && seen[i + 1])
        i++;
      buf_printf (&b, "%s%lld", b.len ? "," : "", (long long) from);
      if (i > from)
        buf_printf (&b, "%c%lld", i == from + 1 ? ',' : '-', (long long) i);
    }
  return arena_strdup (a, buf_cstr (&b));
}
