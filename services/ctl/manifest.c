#include "services/ctl/ctl.h"

#include <errno.h>

#include "base/file.h"
#include "schemas/yaml.h"

static int
read_stdin (struct buf *out, struct err *err)
{
  out->limit_bytes = CTL_INPUT_MAX;
  while (buf_reserve (out, 65536)) {
    ssize_t n = read (STDIN_FILENO, out->data + out->len, 65536);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_errno (err, errno, "standard input");
    if (!n)
      return 0;
    out->len += (size_t) n;
  }
  return err_set (err, ERR_LIMIT, "standard input is longer than %u MiB", CTL_INPUT_MAX >> 20);
}

static int
take (struct ctl *c, struct value *all, struct value *object, const char *file, struct err *err)
{
  const char *kind = value_path_string (object, "kind", "");
  size_t n = strlen (kind);
  if (!value_is (object, VALUE_MAP) || !*kind)
    return err_set (err, ERR_INVALID, "%s: a document is not an object with a kind", file);
  if (n > 4 - 1 && !strcmp (kind + n - 4, "List") && value_is (value_get (object, "items"), VALUE_ARRAY)) {
    for (value_items (value_get (object, "items"), it)) {
      int r = take (c, all, *it, file, err);
      if (r)
        return r;
    }
    return 0;
  }
  value_append (&c->arena, all, object);
  return 0;
}

int
ctl_manifest (struct ctl *c, const char *file, struct value **ret_array, struct err *err)
{
  struct buf text AUTO_BUF = BUF_INIT;
  struct value *documents, *all = value_array (&c->arena);
  int r;
  if (!file)
    return err_set (err, ERR_INVALID, "name a manifest by -f FILE (- is standard input)");
  if ((r = strcmp (file, "-") ? file_read (file, CTL_INPUT_MAX, &text, err) : read_stdin (&text, err)))
    return r;
  if ((r = yaml_parse_all (&c->arena, buf_cstr (&text), text.len, &documents, err)))
    return err_wrap (err, "%s", file), r;
  for (value_items (documents, it))
    if ((r = take (c, all, *it, file, err)))
      return r;
  if (!value_count (all))
    return err_set (err, ERR_INVALID, "%s: no objects", file);
  *ret_array = all;
  return arena_ok (&c->arena) ? 0 : err_set (err, ERR_NOMEM, "%s", file);
}
