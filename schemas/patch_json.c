/* JSON patch (RFC 6902) over JSON pointers (RFC 6901), with the behaviours of evanphx/json-patch v4 that clients of
   Kubernetes meet: negative indices count from the end, "test" of null passes for what is absent, a missing path is
   an error of remove and replace; its messages. */
#include <errno.h>

#include "schemas/patch_internal.h"

#define OPERATIONS_MAX 10000        /* as the API server's */
#define COPIED_BYTES_MAX (16 << 20) /* what all "copy" together may add: they could double the document each */

struct token {
  const char *text;
  size_t len;
};
struct patcher {
  struct arena *a;
  struct value *doc;
  size_t copied_bytes;
  struct err *err;
};

static int
fails (struct patcher *p, const char *op, const char *path, const char *what)
{
  return err_set (p->err, ERR_INVALID, "%s operation does not apply: doc is missing %s: \"%.200s\": missing value", op, what, path);
}

/* One token of the pointer at *at (behind its slash), with ~1 and ~0 decoded. */
static bool
next_token (struct arena *a, const char **at, const char *end, struct token *ret)
{
  const char *slash = memchr (*at, '/', (size_t) (end - *at)), *stop = slash ? slash : end;
  char *out = arena_alloc (a, (size_t) (stop - *at) + 1), *w = out;
  if (!out)
    return false;
  for (const char *s = *at; s < stop; s++) {
    if (*s == '~' && s + 1 < stop && (s[1] == '0' || s[1] == '1'))
      *w++ = *++s == '0' ? '~' : '/';
    else
      *w++ = *s;
  }
  *w = 0;
  *ret = (struct token){out, (size_t) (w - out)};
  *at = slash ? slash + 1 : NULL;
  return true;
}

/* An index into an array of n places; negative ones count from the end. -1 when it is none. */
static int64_t
index_of (const struct token *t, size_t n)
{
  char *end;
  long v;
  if (!t->len || strchr (" \t\n\v\f\r", t->text[0]))
    return -1;
  errno = 0;
  v = strtol (t->text, &end, 10);
  if (end != t->text + t->len || errno)
    return -1;
  if (v < 0)
    v += (long) n;
  return v >= 0 && (size_t) v < n ? v : -1;
}

static struct value *
child (const struct value *v, const struct token *t)
{
  int64_t i;
  if (value_is (v, VALUE_MAP))
    return value_get_n (v, t->text, t->len);
  if (!value_is (v, VALUE_ARRAY) || (i = index_of (t, v->len)) < 0)
    return NULL;
  return v->items[i];
}

/* The container that path's last token names a place in; NULL when a step is missing. "" is the whole document: then
   *ret_whole. */
static struct value *
find (struct patcher *p, const struct value *path, struct token *ret_last, bool *ret_whole)
{
  const char *at, *end;
  struct value *v = p->doc;
  *ret_whole = path->len == 0;
  if (!path->len || path->s[0] != '/')
    return NULL;
  at = path->s + 1;
  end = path->s + path->len;
  for (;;) {
    if (!next_token (p->a, &at, end, ret_last))
      return NULL;
    if (!at)
      return value_is (v, VALUE_MAP) || value_is (v, VALUE_ARRAY) ? v : NULL;
    if (!(v = child (v, ret_last)))
      return NULL;
  }
}

static struct value *
get (struct patcher *p, const struct value *path)
{
  struct token last;
  bool whole;
  struct value *in = find (p, path, &last, &whole);
  return whole ? p->doc : in ? child (in, &last) : NULL;
}

static int
add (struct patcher *p, const char *op, const struct value *path, struct value *v)
{
  struct token last;
  bool whole;
  struct value *in = find (p, path, &last, &whole);
  int64_t i;
  if (whole) {
    p->doc = v;
    return 0;
  }
  if (!in)
    return fails (p, op, path->s, "path");
  if (in->type == VALUE_MAP) {
    value_set_n (p->a, in, last.text, last.len, v);
    return 0;
  }
  if (last.len == 1 && last.text[0] == '-') {
    value_append (p->a, in, v);
    return 0;
  }
  if ((i = index_of (&last, (size_t) in->len + 1)) < 0)
    return err_set (p->err, ERR_INVALID, "error in %s for path: '%.200s': Unable to access invalid index: %.40s: invalid index referenced",
                    op, path->s, last.text);
  value_insert (p->a, in, (size_t) i, v);
  return 0;
}

static int
remove_at (struct patcher *p, const char *op, const struct value *path)
{
  struct token last;
  bool whole;
  struct value *in = find (p, path, &last, &whole);
  int64_t i;
  if (!in)
    return fails (p, op, path->s, "path");
  if (in->type == VALUE_MAP) {
    if (patch_unset (in, last.text, last.len))
      return 0;
    return err_set (p->err, ERR_INVALID, "error in %s for path: '%.200s': Unable to remove nonexistent key: %.100s: missing value", op,
                    path->s, last.text);
  }
  if ((i = index_of (&last, in->len)) < 0)
    return err_set (p->err, ERR_INVALID, "error in %s for path: '%.200s': Unable to access invalid index: %.40s: invalid index referenced",
                    op, path->s, last.text);
  value_remove_at (in, (size_t) i);
  return 0;
}

static int
replace (struct patcher *p, const struct value *path, struct value *v)
{
  struct token last;
  bool whole;
  struct value *in = find (p, path, &last, &whole);
  if (whole) {
    p->doc = v;
    return 0;
  }
  if (!in)
    return fails (p, "replace", path->s, "path");
  if (!child (in, &last))
    return fails (p, "replace", path->s, "key");
  if (in->type == VALUE_MAP)
    value_set_n (p->a, in, last.text, last.len, v);
  else
    in->items[index_of (&last, in->len)] = v;
  return 0;
}

static int
test (struct patcher *p, const struct value *path, const struct value *expected)
{
  struct token last;
  bool whole;
  struct value *in = find (p, path, &last, &whole), *v;
  if (!in && !whole)
    return fails (p, "test", path->s, "path");
  v = whole ? p->doc : child (in, &last);
  if ((value_is_null (v) && value_is_null (expected)) || value_equal (v, expected))
    return 0;
  return err_set (p->err, ERR_INVALID, "testing value %.200s failed: test failed", path->s);
}

/* About what a copy of v takes. */
static size_t
size_of (const struct value *v)
{
  size_t n = sizeof *v;
  if (v->type == VALUE_STRING)
    n += v->len;
  for (value_items (v, it))
    n += size_of (*it) + sizeof *it;
  for (value_each (v, m))
    n += size_of (m->value) + sizeof *m + m->key_len;
  return n;
}

static int
copy_or_move (struct patcher *p, const char *op, const struct value *from, const struct value *path)
{
  struct value *v;
  int r;
  if (!value_is (from, VALUE_STRING))
    return err_set (p->err, ERR_INVALID, "operation, missing from field");
  if (!(v = get (p, from)))
    return fails (p, op, from->s, "from path");
  if (!strcmp (op, "move")) {
    if (!from->len || (path->len > from->len && path->s[from->len] == '/' && !memcmp (path->s, from->s, from->len)))
      return err_set (p->err, ERR_INVALID, "move operation does not apply: \"%.200s\" is within \"%.200s\"", path->s, from->s);
    if ((r = remove_at (p, op, from)))
      return r;
  } else {
    p->copied_bytes += size_of (v);
    if (p->copied_bytes > COPIED_BYTES_MAX)
      return err_set (p->err, ERR_LIMIT, "Unable to complete the copy, the accumulated size increase of copy is more than %d bytes",
                      COPIED_BYTES_MAX);
    v = value_clone (p->a, v);
  }
  return add (p, op, path, v);
}

static int
apply_one (struct patcher *p, const struct value *operation)
{
  const char *op = value_as_string (value_get (operation, "op"), NULL);
  const struct value *path = value_get (operation, "path"), *given = value_get (operation, "value");
  struct value *v;
  if (!op)
    return err_set (p->err, ERR_INVALID, "Unexpected kind: unknown");
  if (!value_is (path, VALUE_STRING))
    return err_set (p->err, ERR_INVALID, "%.20s operation does not apply: operation missing path field: missing value", op);
  if (!strcmp (op, "remove"))
    return remove_at (p, op, path);
  if (!strcmp (op, "test"))
    return test (p, path, given);
  if (!strcmp (op, "move") || !strcmp (op, "copy"))
    return copy_or_move (p, op, value_get (operation, "from"), path);
  v = given ? value_clone (p->a, given) : value_null (p->a);
  if (!strcmp (op, "add"))
    return add (p, op, path, v);
  if (!strcmp (op, "replace"))
    return replace (p, path, v);
  return err_set (p->err, ERR_INVALID, "Unexpected kind: %.40s", op);
}

int
patch_json (struct arena *a, const struct value *obj, const struct value *patch, struct value **ret, struct err *err)
{
  struct patcher p = {.a = a, .err = err};
  if (!value_is (patch, VALUE_ARRAY))
    return err_set (err, ERR_PARSE, "error decoding patch: a JSON patch must be an array of operations");
  if (patch->len > OPERATIONS_MAX)
    return err_set (err, ERR_LIMIT, "The allowed maximum operations in a JSON patch is %d, got %u", OPERATIONS_MAX, patch->len);
  for (value_items (patch, check))
    if (!value_is (*check, VALUE_MAP))
      return err_set (err, ERR_PARSE, "error decoding patch: operation %zu is not an object", (size_t) (check - patch->items));
  p.doc = value_clone (a, obj);
  for (value_items (patch, it)) {
    int r = p.doc ? apply_one (&p, *it) : ERR_NOMEM;
    if (!arena_ok (a))
      return err_set (err, ERR_NOMEM, "JSON patch: no room");
    if (r)
      return r;
  }
  if (!p.doc || !arena_ok (a))
    return err_set (err, ERR_NOMEM, "JSON patch: no room");
  *ret = p.doc;
  return 0;
}
