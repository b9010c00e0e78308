#include "schemas/json.h"

#include <math.h>

#include "schemas/json_internal.h"
#include "schemas/json_simdjson.h"
#include "schemas/value_internal.h"

/* ---- scalars ---- */

void
json_write_uint (uint64_t u, struct buf *out)
{
  char text[24], *p = text + sizeof text;
  do
    *--p = (char) ('0' + u % 10);
  while (u /= 10);
  buf_append (out, p, (size_t) (text + sizeof text - p));
}

void
json_write_int (int64_t i, struct buf *out)
{
  if (i < 0)
    json_put (out, '-');
  json_write_uint (i < 0 ? 0 - (uint64_t) i : (uint64_t) i, out);
}

/* As Go's encoding/json: positional from 1e-6 to 1e21, else an exponent without leading zeros. */
void
json_write_float (double f, struct buf *out)
{
  char digits[24];
  int n, e;
  if (!isfinite (f)) {
    buf_append (out, "null", 4);
    return;
  }
  if (f == 0) {
    buf_append_str (out, signbit (f) ? "-0" : "0");
    return;
  }
  if (f < 0)
    json_put (out, '-');
  n = value_float_digits (f, digits, &e);
  if (e < -6 || e >= 21) {
    json_put (out, digits[0]);
    if (n > 1) {
      json_put (out, '.');
      buf_append (out, digits + 1, (size_t) n - 1);
    }
    buf_append_str (out, e < 0 ? "e" : "e+");
    json_write_int (e, out);
  } else if (e < 0) {
    buf_append_str (out, "0.");
    for (int i = -1; i > e; i--)
      json_put (out, '0');
    buf_append (out, digits, (size_t) n);
  } else {
    buf_append (out, digits, (size_t) (n <= e ? n : e + 1));
    for (int i = n; i <= e; i++)
      json_put (out, '0');
    if (n > e + 1) {
      json_put (out, '.');
      buf_append (out, digits + e + 1, (size_t) (n - e - 1));
    }
  }
}

void
json_write_newline (int blanks, struct buf *out)
{
  uint8_t *p = json_room (out, (size_t) blanks + 1);
  if (!p)
    return;
  *p = '\n';
  memset (p + 1, ' ', (size_t) blanks);
  out->len += (size_t) blanks + 1;
}

/* ---- trees ---- */

static void
write_value (const struct value *v, int indent, int blanks, struct buf *out)
{
  switch (v ? v->type : VALUE_NULL) {
  case VALUE_NULL:
    buf_append (out, "null", 4);
    break;
  case VALUE_BOOL:
    buf_append_str (out, v->b ? "true" : "false");
    break;
  case VALUE_INT:
    json_write_int (v->i, out);
    break;
  case VALUE_FLOAT:
    json_write_float (v->f, out);
    break;
  case VALUE_STRING:
    json_write_string (v->s, v->len, out);
    break;
  case VALUE_ARRAY:
    json_put (out, '[');
    for (uint32_t i = 0; i < v->len; i++) {
      if (i)
        json_put (out, ',');
      if (indent)
        json_write_newline (blanks + indent, out);
      write_value (v->items[i], indent, blanks + indent, out);
    }
    if (indent && v->len)
      json_write_newline (blanks, out);
    json_put (out, ']');
    break;
  case VALUE_MAP:
    json_put (out, '{');
    for (uint32_t i = 0; i < v->len; i++) {
      if (i)
        json_put (out, ',');
      if (indent)
        json_write_newline (blanks + indent, out);
      json_write_string (v->members[i].key, v->members[i].key_len, out);
      json_put (out, ':');
      if (indent)
        json_put (out, ' ');
      write_value (v->members[i].value, indent, blanks + indent, out);
    }
    if (indent && v->len)
      json_write_newline (blanks, out);
    json_put (out, '}');
    break;
  }
}

void
json_write (const struct value *v, int indent, struct buf *out)
{
  write_value (v, indent, 0, out);
  if (!out->failed)
    out->data[out->len] = 0;
}

/* ---- reading: what simdjson does not do ---- */

static bool
is_digit (char c)
{
  return c >= '0' && c <= '9';
}

/* simdjson refuses integers of more than 64 bits; with an exponent they are floats. A copy of the text in which every
   integer of 19 digits and more has one; NULL when out of memory. */
static char *
widen_integers (const char *text, size_t n, size_t *ret_n)
{
  char *copy = malloc (n + n / 8 + 16); /* "e0" for every 19 digits at most */
  size_t w = 0;
  bool in_string = false;
  if (!copy)
    return NULL;
  for (size_t i = 0; i < n;) {
    if (in_string && text[i] == '\\' && i + 1 < n) {
      copy[w++] = text[i++];
      copy[w++] = text[i++];
      continue;
    }
    if (text[i] == '"')
      in_string = !in_string;
    if (in_string || !is_digit (text[i])) {
      copy[w++] = text[i++];
      continue;
    }
    size_t from = i;
    while (i < n && is_digit (text[i]))
      copy[w++] = text[i++];
    /* not the fraction or the exponent of a float, nor followed by one */
    bool fraction = from && memchr (".eE", text[from - 1], 3);
    bool exponent = from > 1 && memchr ("+-", text[from - 1], 2) && memchr ("eE", text[from - 2], 2);
    bool whole = i == n || !memchr (".eE", text[i], 3);
    if (i - from >= 19 && whole && !fraction && !exponent) {
      memcpy (copy + w, "e0", 2);
      w += 2;
    }
  }
  *ret_n = w;
  return copy;
}

int
json_parse (struct arena *a, const char *text, size_t n, struct value **ret, const char **ret_duplicate, struct err *err)
{
  const char *what = "";
  char message[160];
  size_t offset;
  int r = n ? json_simdjson_parse (a, text, n, ret, ret_duplicate, &what) : ERR_PARSE;
  if (r == JSON_BAD_NUMBER) {
    size_t wide_n;
    char *wide AUTO_FREE = widen_integers (text, n, &wide_n);
    r = wide ? json_simdjson_parse (a, wide, wide_n, ret, ret_duplicate, &what) : ERR_NOMEM;
  }
  if (!r)
    return 0;
  if (r == ERR_NOMEM)
    return err_set (err, ERR_NOMEM, "JSON: no room for the tree of %zu bytes", n);
  if (json_explain (text, n, message, sizeof message, &offset))
    return err_set (err, ERR_PARSE, "%s", message);
  return err_set (err, ERR_PARSE, "JSON: %s", what);
}
