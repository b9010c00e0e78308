/* Reads .rows files; the format is described in schemas/api/README.md. */
#include "schemas/gen/rows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/schema.h"

#define LINE_WORDS_MAX 256

struct reader {
  struct rows *rows;
  struct place at;
  struct package *package;
  struct row_type *type;
  struct row_kind *kind;
};
struct word {
  char *text;
  bool quoted;
};

_Noreturn void
fail_at (struct place at, const char *fmt, ...)
{
  va_list ap;
  fprintf (stderr, "%s:%d: ", at.file, at.line);
  va_start (ap, fmt);
  vfprintf (stderr, fmt, ap);
  va_end (ap);
  fputc ('\n', stderr);
  exit (1);
}

void *
xzalloc (size_t size)
{
  void *p = calloc (1, size ? size : 1);
  if (!p) {
    fputs ("schemac: out of memory\n", stderr);
    exit (1);
  }
  return p;
}

char *
xstrndup (const char *s, size_t n)
{
  char *p = xzalloc (n + 1);
  memcpy (p, s, n);
  return p;
}

/* Makes room for one more element of an array that grows by doubling; gives the new element, zeroed. */
static void *
grow (void **array, size_t *count, size_t size)
{
  size_t n = *count;
  if ((n & (n - 1)) == 0) {
    void *p = realloc (*array, (n ? 2 * n : 1) * size);
    if (!p) {
      fputs ("schemac: out of memory\n", stderr);
      exit (1);
    }
    *array = p;
  }
  memset ((char *) *array + n * size, 0, size);
  *count = n + 1;
  return (char *) *array + n * size;
}
#define GROW(array, count) ((__typeof__ (array)) grow ((void **) &(array), &(count), sizeof *(array)))

static void
words_add (struct words *w, char *text)
{
  *GROW (w->at, w->count) = text;
}

static size_t
split (struct place at, char *line, struct word *words)
{
  size_t n = 0;
  for (char *p = line;;) {
    while (*p == ' ' || *p == '\t')
      p++;
    if (!*p || *p == '#')
      return n;
    if (n == LINE_WORDS_MAX)
      fail_at (at, "more than %d words", LINE_WORDS_MAX);
    struct word *w = &words[n++];
    w->quoted = *p == '"';
    if (!w->quoted) {
      char *start = p;
      while (*p && *p != ' ' && *p != '\t')
        p++;
      w->text = xstrndup (start, (size_t) (p - start));
      continue;
    }
    char *out = w->text = xzalloc (strlen (p));
    for (p++; *p != '"'; p++) {
      if (*p == '\\')
        p++;
      if (!*p)
        fail_at (at, "unterminated quote");
      *out++ = *p;
    }
    p++;
  }
}

static void
split_commas (struct words *ret, const char *s)
{
  for (;;) {
    size_t n = strcspn (s, ",");
    words_add (ret, xstrndup (s, n));
    if (!s[n])
      return;
    s += n + 1;
  }
}

static long long
number (struct place at, const char *s)
{
  char *end;
  errno = 0;
  long long v = strtoll (s, &end, 10);
  if (errno || end == s || *end)
    fail_at (at, "not a number: %s", s);
  return v;
}

static const char *
after (const char *word, const char *prefix)
{
  size_t n = strlen (prefix);
  return strncmp (word, prefix, n) == 0 ? word + n : NULL;
}

static void
read_package (struct reader *r, struct word *w, size_t n)
{
  if (n != 3 && n != 4)
    fail_at (r->at, "package GROUP/VERSION OPENAPI-PREFIX [GROUP-PRIORITY/VERSION-PRIORITY]");
  struct package *p = *GROW (r->rows->packages, r->rows->n_packages) = xzalloc (sizeof *p);
  p->place = r->at;
  p->group_version = w[1].text;
  char *slash = strchr (p->group_version, '/');
  p->group = slash ? xstrndup (p->group_version, (size_t) (slash - p->group_version)) : xstrndup ("", 0);
  p->version = slash ? slash + 1 : p->group_version;
  p->openapi = w[2].text;
  if (n == 4) {
    slash = strchr (w[3].text, '/');
    if (!slash)
      fail_at (r->at, "priority is not GROUP/VERSION: %s", w[3].text);
    *slash = '\0';
    p->group_priority = (int) number (r->at, w[3].text);
    p->version_priority = (int) number (r->at, slash + 1);
  }
  r->package = p;
}

static void
read_enum (struct reader *r, struct word *w, size_t n)
{
  if (n < 3)
    fail_at (r->at, "enum NAME VALUE...");
  struct row_enum *e = *GROW (r->rows->enums, r->rows->n_enums) = xzalloc (sizeof *e);
  e->place = r->at;
  e->package = r->package;
  e->name = w[1].text;
  for (size_t i = 2; i < n; i++)
    words_add (&e->values, w[i].text);
}

static void
read_type (struct reader *r, struct word *w, size_t n)
{
  if (n < 2)
    fail_at (r->at, "type NAME [atomic] [keep-unknown] [\"DOC\"]");
  struct row_type *t = *GROW (r->rows->types, r->rows->n_types) = xzalloc (sizeof *t);
  t->place = r->at;
  t->package = r->package;
  t->name = w[1].text;
  for (size_t i = 2; i < n; i++) {
    if (w[i].quoted)
      t->doc = w[i].text;
    else if (strcmp (w[i].text, "atomic") == 0)
      t->flags |= SCHEMA_MAP_ATOMIC;
    else if (strcmp (w[i].text, "keep-unknown") == 0)
      t->flags |= SCHEMA_PRESERVE_UNKNOWN;
    else
      fail_at (r->at, "unknown word of a type: %s", w[i].text);
  }
  r->type = t;
}

static void
read_field_type (struct row_field *f, const char *s)
{
  if (*s == '*') {
    f->pointer = true;
    s++;
  }
  const char *rest;
  if ((rest = after (s, "map[string]"))) {
    f->map_shape = true;
    s = rest;
  }
  if ((rest = after (s, "[]"))) {
    f->list_shape = true;
    s = rest;
  }
  f->type_name = xstrndup (s, strlen (s));
}

static void
read_field_word (struct reader *r, struct row_field *f, struct word *w)
{
  static const struct {
    const char *word;
    unsigned flag;
  } flags[] = {
    {"required", SCHEMA_REQUIRED},         {"omitempty", SCHEMA_OMITEMPTY},   {"retainkeys", SCHEMA_PATCH_RETAIN_KEYS},
    {"atomic", SCHEMA_MAP_ATOMIC},         {"nullable", SCHEMA_NULLABLE},     {"keep-unknown", SCHEMA_PRESERVE_UNKNOWN},
    {"embedded", SCHEMA_EMBEDDED_OBJECT},  {"off", SCHEMA_FEATURE_OFF},       {"merge", SCHEMA_PATCH_MERGE},
  };
  const char *s = w->text, *value;
  if (w->quoted) {
    f->doc = w->text;
    return;
  }
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    if (strcmp (s, flags[i].word) == 0) {
      f->flags |= flags[i].flag;
      return;
    }
  if ((value = after (s, "merge="))) {
    f->flags |= SCHEMA_PATCH_MERGE;
    f->merge_key = xstrndup (value, strlen (value));
  } else if (strcmp (s, "set") == 0)
    f->list_set = true;
  else if ((value = after (s, "list=")))
    split_commas (&f->list_keys, value);
  else if ((value = after (s, "enum=")))
    f->enum_name = xstrndup (value, strlen (value));
  else if ((value = after (s, "default=")))
    f->default_json = xstrndup (value, strlen (value));
  else if ((value = after (s, "format=")))
    f->format = xstrndup (value, strlen (value));
  else if ((value = after (s, "min=")))
    f->minimum = number (r->at, value);
  else if ((value = after (s, "max=")))
    f->maximum = number (r->at, value);
  else
    fail_at (r->at, "unknown word of a field: %s", s);
}

static void
read_field (struct reader *r, struct word *w, size_t n)
{
  if (n < 3)
    fail_at (r->at, "a field is: NAME TYPE NUMBER|- [WORD...] [\"DOC\"]");
  struct row_field *f = GROW (r->type->fields, r->type->n_fields);
  f->place = r->at;
  f->is_inline = strcmp (w[0].text, "inline") == 0;
  f->name = w[0].text;
  read_field_type (f, w[1].text);
  if (strcmp (w[2].text, "-") != 0)
    f->pb = (int) number (r->at, w[2].text);
  if (f->pb < 0 || f->pb > 65535)
    fail_at (r->at, "protobuf number out of range: %d", f->pb);
  for (size_t i = 3; i < n; i++)
    read_field_word (r, f, &w[i]);
  if (f->minimum > f->maximum)
    fail_at (r->at, "min %lld is above max %lld", f->minimum, f->maximum);
}

static unsigned
read_verbs (struct place at, const struct words *names)
{
  static const char *const verbs[] = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"};
  unsigned ret = 0;
  for (size_t i = 0; i < names->count; i++) {
    size_t v = 0;
    if (strcmp (names->at[i], "all") == 0) {
      ret = SCHEMA_ALL_VERBS;
      continue;
    }
    while (v < 8 && strcmp (names->at[i], verbs[v]) != 0)
      v++;
    if (v == 8)
      fail_at (at, "unknown verb: %s", names->at[i]);
    ret |= 1u << v;
  }
  return ret;
}

static void
read_kind (struct reader *r, struct word *w, size_t n)
{
  if (n < 4)
    fail_at (r->at, "kind KIND RESOURCE SINGULAR [namespaced]");
  struct row_kind *k = *GROW (r->rows->kinds, r->rows->n_kinds) = xzalloc (sizeof *k);
  k->place = r->at;
  k->package = r->package;
  k->kind = w[1].text;
  k->resource = w[2].text;
  k->singular = w[3].text;
  for (size_t i = 4; i < n; i++)
    if (strcmp (w[i].text, "namespaced") == 0)
      k->namespaced = true;
    else
      fail_at (r->at, "unknown word of a kind: %s", w[i].text);
  r->kind = k;
}

static void
read_column (struct reader *r, struct word *w, size_t n)
{
  if (n < 6)
    fail_at (r->at, "column NAME TYPE FORMAT|- PRIORITY PATH|- \"DOC\"");
  struct row_column *c = GROW (r->kind->columns, r->kind->n_columns);
  c->name = w[1].text;
  c->type = w[2].text;
  c->format = strcmp (w[3].text, "-") == 0 ? xstrndup ("", 0) : w[3].text;
  c->priority = (int) number (r->at, w[4].text);
  c->path = strcmp (w[5].text, "-") == 0 ? NULL : w[5].text;
  c->doc = n > 6 ? w[6].text : xstrndup ("", 0);
}

static void
read_kind_line (struct reader *r, struct word *w, size_t n)
{
  struct row_kind *k = r->kind;
  struct words rest = {0};
  for (size_t i = 1; i < n; i++)
    words_add (&rest, w[i].text);
  const char *what = w[0].text;
  if (strcmp (what, "short") == 0)
    k->shorts = rest;
  else if (strcmp (what, "categories") == 0)
    k->categories = rest;
  else if (strcmp (what, "select") == 0)
    k->selects = rest;
  else if (strcmp (what, "index") == 0)
    k->indexes = rest;
  else if (strcmp (what, "verbs") == 0)
    k->verbs = read_verbs (r->at, &rest);
  else if (strcmp (what, "virtual") == 0)
    k->virtual_ = true;
  else if (strcmp (what, "generation") == 0)
    k->generation = true;
  else if (strcmp (what, "storage") == 0 && n == 2)
    k->storage_name = w[1].text;
  else if (strcmp (what, "column") == 0)
    read_column (r, w, n);
  else if (strcmp (what, "sub") == 0) {
    if (n < 3)
      fail_at (r->at, "sub NAME VERB,... [KIND]");
    struct row_sub *s = GROW (k->subs, k->n_subs);
    struct words verbs = {0};
    s->place = r->at;
    s->name = w[1].text;
    split_commas (&verbs, w[2].text);
    s->verbs = read_verbs (r->at, &verbs);
    s->kind_name = n > 3 ? w[3].text : k->kind;
  } else
    fail_at (r->at, "unknown line of a kind: %s", what);
}

static void
read_line (struct reader *r, char *line)
{
  struct word w[LINE_WORDS_MAX];
  bool indented = *line == ' ' || *line == '\t';
  size_t n = split (r->at, line, w);
  if (n == 0)
    return;
  if (indented) {
    if (r->type)
      read_field (r, w, n);
    else if (r->kind)
      read_kind_line (r, w, n);
    else
      fail_at (r->at, "an indented line belongs to a type or a kind");
    return;
  }
  r->type = NULL;
  r->kind = NULL;
  if (strcmp (w[0].text, "package") == 0) {
    read_package (r, w, n);
    return;
  }
  if (!r->package)
    fail_at (r->at, "no package line before this one");
  if (strcmp (w[0].text, "enum") == 0)
    read_enum (r, w, n);
  else if (strcmp (w[0].text, "type") == 0)
    read_type (r, w, n);
  else if (strcmp (w[0].text, "kind") == 0)
    read_kind (r, w, n);
  else
    fail_at (r->at, "a line starts with package, enum, type, kind or two spaces: %s", w[0].text);
}

void
rows_read (struct rows *rows, const char *path)
{
  struct reader r = {.rows = rows, .at = {path, 0}};
  FILE *f = fopen (path, "re");
  if (!f)
    fail_at (r.at, "%s", strerror (errno));
  char *line = NULL;
  size_t size = 0;
  ssize_t n;
  while ((n = getline (&line, &size, f)) >= 0) {
    r.at.line++;
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
      line[--n] = '\0';
    read_line (&r, line);
  }
  if (ferror (f))
    fail_at (r.at, "read: %s", strerror (errno));
  free (line);
  fclose (f);
}
