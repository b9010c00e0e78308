/* Field selectors after k8s.io/apimachinery/pkg/fields: only =, == and !=; a backslash escapes a comma, an equals sign
   or itself. What a kind selects by is in its table row. */
#include "schemas/selector_internal.h"

/* Names that are no path of the object. */
static const struct {
  const char *kind, *name, *path;
} aliases[] = {
  {"Event", "source", "source.component"},
  {"Pod", "spec.host", "spec.nodeName"},
};

static const char *
path_of (const struct schema_kind *k, const char *name)
{
  for (size_t i = 0; k && i < sizeof aliases / sizeof aliases[0]; i++)
    if (!strcmp (aliases[i].kind, k->kind) && !strcmp (aliases[i].name, name))
      return aliases[i].path;
  return name;
}

static int
check_field (const struct schema_kind *k, const char *name, struct err *err)
{
  if (!k || !strcmp (name, "metadata.name") || (k->namespaced && !strcmp (name, "metadata.namespace")))
    return 0;
  for (const char *const *f = k->selectable_fields; f && *f; f++)
    if (!strcmp (*f, name) || !strcmp (*f, path_of (k, name)))
      return 0;
  if (k->selectable_fields)
    return err_set (err, ERR_INVALID, "field label not supported: %.100s", name);
  return err_set (err, ERR_INVALID, "\"%.100s\" is not a known field selector: only \"metadata.name\"%s", name,
                  k->namespaced ? ", \"metadata.namespace\"" : "");
}

/* The text of [p, end) without its escapes; NULL for a backslash before anything else. */
static const char *
unescape (struct arena *a, const char *p, const char *end)
{
  char *out = arena_alloc (a, (size_t) (end - p) + 1), *w = out;
  if (!out)
    return NULL;
  for (; p < end; p++) {
    if (*p == '\\') {
      if (++p == end || !strchr ("\\,=", *p) || !*p)
        return NULL;
    } else if (*p == '=' || *p == ',') {
      return NULL;
    }
    *w++ = *p;
  }
  *w = 0;
  return out;
}

static int
parse_term (struct arena *a, const struct schema_kind *k, const char *all, const char *p, const char *end, struct selector *s,
            struct err *err)
{
  enum selector_operator op = SELECTOR_EQUALS;
  struct value *values = value_array (a);
  const char *at = p, *name, *text;
  int r;
  while (at < end && *at != '=' && !(*at == '!' && at + 1 < end && at[1] == '='))
    at += 1 + (*at == '\\' && at + 1 < end);
  if (at >= end)
    return err_set (err, ERR_INVALID, "invalid selector: '%.100s'; can't understand '%.*s'", all, (int) (end - p > 100 ? 100 : end - p), p);
  name = arena_strndup (a, p, (size_t) (at - p));
  if (*at == '!')
    op = SELECTOR_NOT_EQUALS;
  at += *at == '!' || (at + 1 < end && at[1] == '=') ? 2 : 1;
  text = unescape (a, at, end);
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "selector: no room");
  if (!text)
    return err_set (err, ERR_INVALID, "invalid field selector: invalid field value in '%.100s'", all);
  if ((r = check_field (k, name, err)))
    return r;
  value_append (a, values, value_string (a, text));
  return selector_add (a, s, name, op, values, false, err);
}

int
selector_parse_fields (struct arena *a, const struct schema_kind *k, const char *text, struct selector **ret, struct err *err)
{
  struct selector *s = selector_new (a);
  if (!s)
    return err_set (err, ERR_NOMEM, "selector: no room");
  for (const char *p = text; *p;) {
    const char *end = p;
    while (*end && *end != ',')
      end += 1 + (*end == '\\' && end[1]);
    if (end > p) {
      int r = parse_term (a, k, text, p, end, s, err);
      if (r)
        return r;
    }
    p = end + (*end == ',');
  }
  selector_sort (s);
  *ret = s;
  return 0;
}

/* What Go's zero value of the field prints as: absent booleans are "false", numbers "0". */
static const char *
absent_text (const struct schema_kind *k, const char *path)
{
  const struct schema_type *t = k ? k->type : NULL;
  const struct schema_field *f = NULL;
  while (*path) {
    size_t n = strcspn (path, ".");
    if (!(f = schema_field_find (t, path, n)))
      return "";
    t = f->type;
    path += n + (path[n] == '.');
  }
  if (!f || f->shape != SCHEMA_ONE)
    return "";
  return f->scalar == SCHEMA_BOOL ? "false" : f->scalar == SCHEMA_INT32 || f->scalar == SCHEMA_INT64 ? "0" : "";
}

bool
selector_matches_fields (const struct selector *s, const struct schema_kind *k, const struct value *obj)
{
  if (!s)
    return true;
  if (s->nothing)
    return false;
  for (size_t i = 0; i < s->n; i++) {
    const char *path = path_of (k, s->items[i].key), *text;
    const struct value *v = value_path (obj, path);
    char number[32];
    if (value_is (v, VALUE_INT)) {
      snprintf (number, sizeof number, "%lld", (long long) v->i);
      text = number;
    } else if (value_is (v, VALUE_BOOL)) {
      text = v->b ? "true" : "false";
    } else {
      text = value_is (v, VALUE_STRING) ? v->s : absent_text (k, path);
    }
    if (!selector_requirement_holds (&s->items[i], text))
      return false;
  }
  return true;
}
