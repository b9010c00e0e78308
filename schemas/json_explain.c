/* Why a text is not JSON, in the words of Go's encoding/json, which users and tests know. Only refused texts come here,
   so it reads plainly, byte by byte, without recursion. */
#include "schemas/json_internal.h"

#define DEPTH 10000 /* Go's own bound */

struct scan {
  const char *text;
  size_t n, i;
  char *out;
  size_t out_size;
};

static bool
invalid (struct scan *s, const char *context)
{
  unsigned char c;
  if (s->i >= s->n) {
    snprintf (s->out, s->out_size, "unexpected end of JSON input");
    return true;
  }
  c = (unsigned char) s->text[s->i];
  if (c == '\'' || c == '"')
    snprintf (s->out, s->out_size, "invalid character %s %s", c == '"' ? "'\"'" : "'\\''", context);
  else if (c == '\n' || c == '\t' || c == '\r')
    snprintf (s->out, s->out_size, "invalid character '\\%c' %s", c == '\n' ? 'n' : c == '\t' ? 't' : 'r', context);
  else if (c < 32 || c == 127)
    snprintf (s->out, s->out_size, "invalid character '\\x%02x' %s", c, context);
  else if (c < 127)
    snprintf (s->out, s->out_size, "invalid character '%c' %s", c, context);
  else
    snprintf (s->out, s->out_size, "invalid character '\\u%04x' %s", c, context);
  return true;
}

static void
blanks (struct scan *s)
{
  while (s->i < s->n && strchr (" \t\r\n", s->text[s->i]) && s->text[s->i])
    s->i++;
}

static bool
string (struct scan *s) /* at the opening quote */
{
  for (s->i++; s->i < s->n && s->text[s->i] != '"'; s->i++) {
    if ((unsigned char) s->text[s->i] < 32)
      return invalid (s, "in string literal");
    if (s->text[s->i] != '\\')
      continue;
    if (++s->i >= s->n)
      break;
    if (s->text[s->i] == 'u') {
      for (int k = 0; k < 4; k++)
        if (++s->i >= s->n || !strchr ("0123456789abcdefABCDEF", s->text[s->i]) || !s->text[s->i])
          return invalid (s, "in \\u hexadecimal character escape");
    } else if (!s->text[s->i] || !strchr ("\"\\/bfnrt", s->text[s->i])) {
      return invalid (s, "in string escape code");
    }
  }
  if (s->i >= s->n)
    return invalid (s, "");
  s->i++;
  return false;
}

static bool
at_digit (const struct scan *s)
{
  return s->i < s->n && s->text[s->i] >= '0' && s->text[s->i] <= '9';
}

static bool
number (struct scan *s)
{
  if (s->text[s->i] == '-') {
    s->i++;
    if (!at_digit (s))
      return invalid (s, "in numeric literal");
  }
  if (s->text[s->i] == '0')
    s->i++;
  else
    while (at_digit (s))
      s->i++;
  if (s->i < s->n && s->text[s->i] == '.') {
    s->i++;
    if (!at_digit (s))
      return invalid (s, "after decimal point in numeric literal");
    while (at_digit (s))
      s->i++;
  }
  if (s->i < s->n && (s->text[s->i] | 32) == 'e') {
    s->i++;
    if (s->i < s->n && (s->text[s->i] == '+' || s->text[s->i] == '-'))
      s->i++;
    if (!at_digit (s))
      return invalid (s, "in exponent of numeric literal");
    while (at_digit (s))
      s->i++;
  }
  return false;
}

static bool
literal (struct scan *s, const char *word)
{
  char context[48];
  for (size_t k = 0; word[k]; k++, s->i++)
    if (s->i >= s->n || s->text[s->i] != word[k]) {
      snprintf (context, sizeof context, "in literal %s (expecting '%c')", word, word[k]);
      return invalid (s, context);
    }
  return false;
}

static bool
scalar (struct scan *s)
{
  char c = s->i < s->n ? s->text[s->i] : 0;
  if (c == '"')
    return string (s);
  if (c == '-' || at_digit (s))
    return number (s);
  if (c == 't')
    return literal (s, "true");
  if (c == 'f')
    return literal (s, "false");
  if (c == 'n')
    return literal (s, "null");
  return invalid (s, "looking for beginning of value");
}

/* After '{' or ',' of an object: its key and colon. */
static bool
key (struct scan *s, const char *context)
{
  blanks (s);
  if (s->i >= s->n || s->text[s->i] != '"')
    return invalid (s, context);
  if (string (s))
    return true;
  blanks (s);
  if (s->i >= s->n || s->text[s->i] != ':')
    return invalid (s, "after object key");
  s->i++;
  return false;
}

static bool
explain (struct scan *s)
{
  static _Thread_local char open[DEPTH];
  size_t depth = 0;
  for (;;) {
    char c;
    blanks (s);
    c = s->i < s->n ? s->text[s->i] : 0;
    if (c == '{' || c == '[') {
      if (depth == DEPTH) {
        snprintf (s->out, s->out_size, "exceeded max depth");
        return true;
      }
      open[depth++] = c;
      s->i++;
      blanks (s);
      if (s->i < s->n && s->text[s->i] == (c == '{' ? '}' : ']')) {
        s->i++;
        depth--;
      } else {
        if (c == '{' && key (s, "looking for beginning of object key string"))
          return true;
        continue;
      }
    } else if (scalar (s)) {
      return true;
    }
    for (;;) { /* after a value */
      blanks (s);
      if (!depth)
        return s->i < s->n ? invalid (s, "after top-level value") : false;
      c = s->i < s->n ? s->text[s->i] : 0;
      if (c == ',') {
        s->i++;
        if (open[depth - 1] == '{' && key (s, "looking for beginning of object key string"))
          return true;
        break;
      }
      if (c != (open[depth - 1] == '{' ? '}' : ']'))
        return invalid (s, open[depth - 1] == '{' ? "after object key:value pair" : "after array element");
      s->i++;
      depth--;
    }
  }
}

bool
json_explain (const char *text, size_t n, char *out, size_t out_size, size_t *ret_offset)
{
  struct scan s = {text, n, 0, out, out_size};
  bool found = explain (&s);
  *ret_offset = s.i;
  return found;
}
