#include "schemas/json_path.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/json.h"

#define KEY_SIZE 256

enum step_kind { STEP_END, STEP_KEY, STEP_INDEX, STEP_ALL, STEP_FILTER, STEP_BAD };
struct step {
  enum step_kind kind;
  char key[KEY_SIZE];    /* KEY; of FILTER the path below @ */
  char wanted[KEY_SIZE]; /* FILTER */
  long index;
};

static bool
copy_piece (char out[KEY_SIZE], const char *s, size_t n)
{
  if (n >= KEY_SIZE)
    return false;
  memcpy (out, s, n);
  out[n] = '\0';
  return true;
}

/* [?(@.a.b=="x")]: p is after "[?(@"; the rest of the path, or NULL. */
static const char *
parse_filter (const char *p, struct step *s)
{
  const char *equals = strstr (p, "==");
  if (!equals || !copy_piece (s->key, p, (size_t) (equals - p)))
    return NULL;
  p = equals + 2;
  while (*p == ' ')
    p++;
  char quote = *p == '"' || *p == '\'' ? *p : '\0';
  const char *start = quote ? p + 1 : p, *end = quote ? strchr (start, quote) : strchr (start, ')');
  if (!end || !copy_piece (s->wanted, start, (size_t) (end - start)))
    return NULL;
  p = quote ? end + 1 : end;
  while (*p == ' ')
    p++;
  for (size_t n = strlen (s->key); n && s->key[n - 1] == ' ';)
    s->key[--n] = '\0';
  return strncmp (p, ")]", 2) == 0 ? p + 2 : NULL;
}

static const char *
parse_bracket (const char *p, struct step *s)
{
  if (strncmp (p, "*]", 2) == 0) {
    s->kind = STEP_ALL;
    return p + 2;
  }
  if (strncmp (p, "?(@", 3) == 0) {
    s->kind = STEP_FILTER;
    return parse_filter (p + 3, s);
  }
  if (*p == '\'' || *p == '"') {
    const char *end = strchr (p + 1, *p);
    s->kind = STEP_KEY;
    return end && end[1] == ']' && copy_piece (s->key, p + 1, (size_t) (end - p - 1)) ? end + 2 : NULL;
  }
  char *end;
  s->kind = STEP_INDEX;
  s->index = strtol (p, &end, 10);
  return end != p && *end == ']' ? end + 1 : NULL;
}

/* Reads one step; gives the rest of the path. On error s->kind is STEP_BAD. */
static const char *
parse_step (const char *p, struct step *s)
{
  s->kind = STEP_END;
  while (*p == '.' && (p[1] == '[' || !p[1]))
    p++;
  if (!*p)
    return p;
  if (*p == '[')
    p = parse_bracket (p + 1, s);
  else {
    if (*p == '.')
      p++;
    size_t n = 0;
    while (p[n] && p[n] != '.' && p[n] != '[') { /* "a\.b" is the key "a.b" */
      if (p[n] == '\\' && p[n + 1])
        n++;
      n++;
    }
    size_t length = 0;
    s->kind = n && n < KEY_SIZE ? STEP_KEY : STEP_BAD;
    for (size_t i = 0; i < n && s->kind == STEP_KEY; i++) {
      if (p[i] == '\\' && i + 1 < n)
        i++;
      s->key[length++] = p[i];
    }
    s->key[length] = '\0';
    p += n;
  }
  if (!p)
    s->kind = STEP_BAD;
  return p ? p : "";
}

static const struct value *first (struct arena *a, const char *path, const struct value *v, int depth);

static const struct value *
first_of_items (struct arena *a, const struct step *s, const char *rest, const struct value *v, int depth)
{
  for (value_items (v, it)) {
    if (s->kind == STEP_FILTER) {
      const struct value *found = first (a, s->key, *it, depth + 1);
      const char *text = found ? json_path_text (a, found) : NULL;
      if (!text || strcmp (text, s->wanted) != 0)
        continue;
    }
    const struct value *found = first (a, rest, *it, depth + 1);
    if (found)
      return found;
  }
  for (value_each (s->kind == STEP_ALL ? v : NULL, m)) {
    const struct value *found = first (a, rest, m->value, depth + 1);
    if (found)
      return found;
  }
  return NULL;
}

static const struct value *
first (struct arena *a, const char *path, const struct value *v, int depth)
{
  struct step s;
  if (depth > 64)
    return NULL;
  while (v) {
    s.key[0] = '\0';
    path = parse_step (path, &s);
    switch (s.kind) {
    case STEP_END:
      return v;
    case STEP_KEY:
      v = value_get (v, s.key);
      break;
    case STEP_INDEX: {
      long n = (long) value_count (v), i = s.index < 0 ? s.index + n : s.index;
      v = i >= 0 ? value_at (v, (size_t) i) : NULL;
      break;
    }
    case STEP_ALL:
    case STEP_FILTER:
      return first_of_items (a, &s, path, v, depth);
    case STEP_BAD:
      return NULL;
    }
  }
  return NULL;
}

const struct value *
json_path_first (struct arena *a, const char *path, const struct value *v)
{
  return first (a, path, v, 0);
}

bool
json_path_valid (const char *path)
{
  struct step s;
  do {
    s.key[0] = '\0';
    path = parse_step (path, &s);
    if (s.kind == STEP_FILTER && !json_path_valid (s.key))
      return false;
  } while (s.kind != STEP_END && s.kind != STEP_BAD);
  return s.kind == STEP_END;
}

const char *
json_path_text (struct arena *a, const struct value *v)
{
  if (value_is (v, VALUE_STRING))
    return v->s;
  AUTO_BUF struct buf text = BUF_INIT;
  json_write (v, 0, &text);
  return text.failed ? NULL : arena_strdup (a, buf_cstr (&text));
}
