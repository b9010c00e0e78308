#include "tests/lib/object.h"

#include "schemas/json.h"
#include "tests/lib/test.h"

static char *
swap_quotes (struct arena *a, const char *text, char from, char to)
{
  char *s = arena_strdup (a, text);
  for (char *p = s; p && *p; p++)
    if (*p == from)
      *p = to;
  return s;
}

struct value *
object_parse (struct arena *a, const char *text)
{
  struct value *v = NULL;
  struct err err = { 0 };
  char *json = swap_quotes (a, text, '\'', '"');
  if (json_parse (a, json, strlen (json), &v, NULL, &err) != 0)
    fail_msg ("%s: %s", err.text, text);
  return v;
}

struct value *
object_make (struct arena *a, const struct schema_kind *k, const char *text)
{
  struct value *v = object_parse (a, text), *unknown = value_array (a);
  struct err err = { 0 };
  if (schema_decode (a, k->type, v, SCHEMA_UNKNOWN_STRICT, unknown, &err) != 0)
    fail_msg ("%s: %s", err.text, text);
  if (value_count (unknown) > 0)
    fail_msg ("%s: %s", value_as_string (value_at (unknown, 0), ""), text);
  schema_default (a, k, v);
  return v;
}

const char *
object_text (struct arena *a, const struct value *v)
{
  AUTO_BUF struct buf out = BUF_INIT;
  json_write (v, 0, &out);
  return swap_quotes (a, buf_cstr (&out), '"', '\'');
}
