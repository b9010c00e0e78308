#include "schemas/fieldset.h"

#include "schemas/json.h"

#define DEPTH_MAX 256

/* ---- path elements ---- */

static int
compare_numbers (double x, double y)
{
  return (x > y) - (x < y);
}

static int
compare_bytes (const char *x, size_t nx, const char *y, size_t ny)
{
  int c = memcmp (x, y, nx < ny ? nx : ny);
  return c ? c : (nx > ny) - (nx < ny);
}

/* structured-merge-diff's order: numbers, strings, booleans, lists, maps, null. */
static int
rank (const struct value *v)
{
  static const int ranks[] = {[VALUE_INT] = 0, [VALUE_FLOAT] = 0, [VALUE_STRING] = 1, [VALUE_BOOL] = 2,
                              [VALUE_ARRAY] = 3, [VALUE_MAP] = 4, [VALUE_NULL] = 5};
  return ranks[v->type];
}

static int
compare_values (const struct value *x, const struct value *y)
{
  int c = rank (x) - rank (y);
  if (c)
    return c;
  switch (x->type) {
  case VALUE_INT:
    if (y->type == VALUE_INT)
      return (x->i > y->i) - (x->i < y->i);
    return compare_numbers ((double) x->i, y->f);
  case VALUE_FLOAT:
    return compare_numbers (x->f, value_as_float (y, 0));
  case VALUE_STRING:
    return compare_bytes (x->s, x->len, y->s, y->len);
  case VALUE_BOOL:
    return x->b - y->b;
  case VALUE_ARRAY:
    for (uint32_t i = 0; i < x->len && i < y->len; i++)
      if ((c = compare_values (x->items[i], y->items[i])))
        return c;
    return (x->len > y->len) - (x->len < y->len);
  case VALUE_MAP:
    for (uint32_t i = 0; i < x->len && i < y->len; i++) {
      const struct value_member *p = &x->members[i], *q = &y->members[i];
      if ((c = compare_bytes (p->key, p->key_len, q->key, q->key_len)) || (c = compare_values (p->value, q->value)))
        return c;
    }
    return (x->len > y->len) - (x->len < y->len);
  case VALUE_NULL:
    break;
  }
  return 0;
}

int
field_compare (const struct field_element *x, const struct field_element *y)
{
  if (x->kind != y->kind)
    return (int) x->kind - (int) y->kind;
  return x->kind == FIELD_NAME ? compare_bytes (x->text, x->len, y->text, y->len) : compare_values (x->value, y->value);
}

static int
compare_members (const void *a, const void *b)
{
  const struct value_member *x = a, *y = b;
  return compare_bytes (x->key, x->key_len, y->key, y->key_len);
}

struct field_element
field_name (const char *name, size_t len)
{
  return (struct field_element){FIELD_NAME, (uint32_t) len, name, NULL};
}

struct field_element
field_element (struct arena *a, enum field_kind kind, struct value *value)
{
  struct buf b AUTO_BUF = BUF_INIT;
  const char *text;
  if (value_is (value, VALUE_MAP) && value->len > 1)
    qsort (value->members, value->len, sizeof value->members[0], compare_members);
  json_write (value, 0, &b);
  text = arena_strndup (a, buf_cstr (&b), b.len);
  if (b.failed || !text) {
    a->failed = true;
    return field_name ("", 0);
  }
  return (struct field_element){kind, (uint32_t) b.len, text, value};
}

/* ---- sets ---- */

struct fieldset *
fieldset_new (struct arena *a)
{
  return arena_zalloc (a, sizeof (struct fieldset));
}

/* Where e is or belongs among the children. */
static uint32_t
place (const struct fieldset *s, const struct field_element *e, bool *ret_found)
{
  uint32_t low = 0, high = s->n;
  while (low < high) {
    uint32_t mid = (low + high) / 2;
    int c = field_compare (e, &s->children[mid].element);
    if (!c) {
      *ret_found = true;
      return mid;
    }
    if (c < 0)
      high = mid;
    else
      low = mid + 1;
  }
  *ret_found = false;
  return low;
}

struct fieldset *
fieldset_get (const struct fieldset *s, const struct field_element *e)
{
  bool found = false;
  uint32_t at = s ? place (s, e, &found) : 0;
  return found ? s->children[at].set : NULL;
}

struct fieldset *
fieldset_put (struct arena *a, struct fieldset *s, const struct field_element *e)
{
  struct fieldset *child;
  bool found;
  uint32_t at;
  if (!s)
    return NULL;
  at = place (s, e, &found);
  if (found)
    return s->children[at].set;
  if (!(child = fieldset_new (a)))
    return NULL;
  if (s->n == s->cap) {
    uint32_t cap = s->cap ? 2 * s->cap : 4;
    struct fieldset_child *more = arena_alloc (a, cap * sizeof *more);
    if (!more)
      return NULL;
    if (s->n)
      memcpy (more, s->children, s->n * sizeof *more);
    s->children = more;
    s->cap = cap;
  }
  memmove (&s->children[at + 1], &s->children[at], (s->n - at) * sizeof s->children[0]);
  s->children[at] = (struct fieldset_child){*e, child};
  s->n++;
  return child;
}

void
fieldset_prune (struct fieldset *s)
{
  uint32_t kept = 0;
  for (uint32_t i = 0; i < s->n; i++) {
    struct fieldset *child = s->children[i].set;
    fieldset_prune (child);
    if (child->member || child->n)
      s->children[kept++] = s->children[i];
  }
  s->n = kept;
}

bool
fieldset_is_empty (const struct fieldset *s)
{
  if (!s)
    return true;
  if (s->member)
    return false;
  for (uint32_t i = 0; i < s->n; i++)
    if (!fieldset_is_empty (s->children[i].set))
      return false;
  return true;
}

bool
fieldset_equal (const struct fieldset *x, const struct fieldset *y)
{
  if (x->member != y->member || x->n != y->n)
    return false;
  for (uint32_t i = 0; i < x->n; i++)
    if (field_compare (&x->children[i].element, &y->children[i].element)
        || !fieldset_equal (x->children[i].set, y->children[i].set))
      return false;
  return true;
}

struct fieldset *
fieldset_copy (struct arena *a, const struct fieldset *s)
{
  struct fieldset *c = fieldset_new (a);
  if (!c || !s)
    return c;
  c->member = s->member;
  if (!s->n || !(c->children = arena_alloc (a, s->n * sizeof *c->children)))
    return c;
  c->cap = s->n;
  for (; c->n < s->n; c->n++) {
    c->children[c->n].element = s->children[c->n].element;
    if (!(c->children[c->n].set = fieldset_copy (a, s->children[c->n].set)))
      break;
  }
  return c;
}

void
fieldset_add (struct arena *a, struct fieldset *s, const struct fieldset *more)
{
  if (!s || !more)
    return;
  s->member = s->member || more->member;
  for (uint32_t i = 0; i < more->n; i++)
    fieldset_add (a, fieldset_put (a, s, &more->children[i].element), more->children[i].set);
}

static void
subtract (struct fieldset *s, const struct fieldset *less, bool below)
{
  uint32_t kept = 0;
  if (!less)
    return;
  if (less->member) {
    s->member = false;
    if (below) {
      s->n = 0;
      return;
    }
  }
  for (uint32_t i = 0; i < s->n; i++) {
    struct fieldset *child = s->children[i].set;
    subtract (child, fieldset_get (less, &s->children[i].element), below);
    if (child->member || child->n)
      s->children[kept++] = s->children[i];
  }
  s->n = kept;
}

void
fieldset_subtract (struct fieldset *s, const struct fieldset *less)
{
  subtract (s, less, false);
}

void
fieldset_subtract_below (struct fieldset *s, const struct fieldset *less)
{
  subtract (s, less, true);
}

struct fieldset *
fieldset_intersect (struct arena *a, const struct fieldset *x, const struct fieldset *y)
{
  struct fieldset *s = fieldset_new (a);
  if (!s || !x || !y)
    return s;
  s->member = x->member && y->member;
  for (uint32_t i = 0; i < x->n; i++) {
    const struct fieldset *other = fieldset_get (y, &x->children[i].element);
    struct fieldset *both = other ? fieldset_intersect (a, x->children[i].set, other) : NULL, *to;
    if (both && (both->member || both->n) && (to = fieldset_put (a, s, &x->children[i].element)))
      *to = *both;
  }
  return s;
}

void
fieldset_add_path (struct arena *a, struct fieldset *s, const char *path)
{
  while (s && *path) {
    size_t n = strcspn (path, ".");
    struct field_element e = field_name (path, n);
    s = fieldset_put (a, s, &e);
    path += n + (path[n] == '.');
  }
  if (s)
    s->member = true;
}

/* ---- FieldsV1 ---- */

struct value *
fieldset_encode (struct arena *a, const struct fieldset *s)
{
  static const char prefix[] = "fkvi";
  struct value *map = value_map (a);
  if (s->member && s->n)
    value_set (a, map, ".", value_map (a));
  for (uint32_t i = 0; i < s->n; i++) {
    const struct field_element *e = &s->children[i].element;
    char *key = arena_alloc (a, (size_t) e->len + 2);
    if (!key)
      return map;
    key[0] = prefix[e->kind];
    key[1] = ':';
    memcpy (key + 2, e->text, e->len);
    value_set_n (a, map, key, (size_t) e->len + 2, fieldset_encode (a, s->children[i].set));
  }
  return map;
}

static int
decode (struct arena *a, const struct value *v, struct fieldset *s, int depth, struct err *err)
{
  if (!value_is (v, VALUE_MAP) || depth > DEPTH_MAX)
    return err_set (err, ERR_PARSE, "fieldsV1: not a map, or too deep");
  s->member = s->member || (depth && !v->len);
  for (value_each (v, m)) {
    struct field_element e;
    struct value *parsed = NULL;
    struct fieldset *child;
    int r;
    if (!strcmp (m->key, ".")) {
      s->member = true;
      continue;
    }
    if (m->key_len < 2 || m->key[1] != ':' || !strchr ("fkvi", m->key[0]))
      return err_set (err, ERR_PARSE, "fieldsV1: missing colon in \"%.100s\"", m->key);
    if (m->key[0] == 'f') {
      e = field_name (m->key + 2, m->key_len - 2);
    } else {
      if (json_parse (a, m->key + 2, m->key_len - 2, &parsed, NULL, NULL) || (m->key[0] == 'k' && !value_is (parsed, VALUE_MAP))
          || (m->key[0] == 'i' && !value_is (parsed, VALUE_INT)))
        return err_set (err, ERR_PARSE, "fieldsV1: malformed \"%.100s\"", m->key);
      e = field_element (a, m->key[0] == 'k' ? FIELD_KEY : m->key[0] == 'v' ? FIELD_VALUE : FIELD_INDEX, parsed);
    }
    if (!(child = fieldset_put (a, s, &e)))
      return err_set (err, ERR_NOMEM, "fieldsV1: no room");
    if ((r = decode (a, m->value, child, depth + 1, err)))
      return r;
  }
  return 0;
}

int
fieldset_decode (struct arena *a, const struct value *fields_v1, struct fieldset **ret, struct err *err)
{
  struct fieldset *s = fieldset_new (a);
  int r = s ? decode (a, fields_v1, s, 0, err) : err_set (err, ERR_NOMEM, "fieldsV1: no room");
  if (!r)
    *ret = s;
  return r;
}

/* ---- printing ---- */

static void
print_element (const struct field_element *e, struct buf *b)
{
  if (e->kind == FIELD_NAME) {
    buf_append_byte (b, '.');
    buf_append (b, e->text, e->len);
    return;
  }
  buf_append_byte (b, '[');
  if (e->kind == FIELD_VALUE)
    buf_append_byte (b, '=');
  if (e->kind != FIELD_KEY)
    buf_append (b, e->text, e->len);
  else
    for (value_each (e->value, m)) {
      if (m != e->value->members)
        buf_append_byte (b, ',');
      buf_append (b, m->key, m->key_len);
      buf_append_byte (b, '=');
      json_write (m->value, 0, b);
    }
  buf_append_byte (b, ']');
}

static void
each (const struct fieldset *s, struct buf *path, void (*cb) (void *arg, const char *path), void *arg)
{
  for (uint32_t i = 0; i < s->n; i++) {
    size_t len = path->len;
    print_element (&s->children[i].element, path);
    if (s->children[i].set->member)
      cb (arg, buf_cstr (path));
    each (s->children[i].set, path, cb, arg);
    if (path->data && !path->failed) {
      path->len = len;
      path->data[len] = 0;
    }
  }
}

void
fieldset_each (const struct fieldset *s, void (*cb) (void *arg, const char *path), void *arg)
{
  struct buf path AUTO_BUF = BUF_INIT;
  each (s, &path, cb, arg);
}
