#include "services/kubelet/expand.h"

#include "base/buf.h"

const char *
expand (struct arena *a, const char *text, expand_lookup_cb lookup, void *arg)
{
  struct buf b AUTO_BUF = BUF_INIT;
  for (const char *p = text; *p;) {
    const char *dollar = strchr (p, '$'), *close;
    const char *value;
    if (!dollar || !dollar[1]) {
      buf_append_str (&b, p);
      break;
    }
    buf_append (&b, p, (size_t) (dollar - p));
    if (dollar[1] == '$') {
      buf_append_byte (&b, '$');
      p = dollar + 2;
    } else if (dollar[1] == '(' && (close = strchr (dollar, ')'))) {
      value = lookup (arg, dollar + 2, (size_t) (close - dollar) - 2);
      if (value)
        buf_append_str (&b, value);
      else
        buf_append (&b, dollar, (size_t) (close - dollar) + 1);
      p = close + 1;
    } else {
      buf_append (&b, dollar, dollar[1] == '(' ? 2 : 2);
      p = dollar + 2;
    }
  }
  if (b.failed) {
    a->failed = true;
    return NULL;
  }
  return arena_strdup (a, buf_cstr (&b));
}
