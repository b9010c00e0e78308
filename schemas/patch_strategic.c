/* Strategic merge patch after k8s.io/apimachinery/pkg/util/strategicpatch: maps merge, lists merge by the key of their
   table row, and directives in the patch say otherwise ($patch, $retainKeys, $deleteFromPrimitiveList/x,
   $setElementOrder/x). Where the tables know nothing, it is a JSON merge patch. */
#include "schemas/patch_internal.h"

#define ORDER "$setElementOrder/"
#define DELETE_FROM "$deleteFromPrimitiveList/"
#define ELEMENTS_MAX 4096 /* of lists that are merged: comparing them costs their square */

/* What the tables say about a value. */
struct hint {
  const struct schema_type *type; /* of a struct, or of a map's or list's elements */
  bool is_map;                    /* a map whose values have that type */
  bool merge;                     /* a list merged by its elements */
  const char *merge_key;
};

struct merger {
  struct arena *a;
  struct err *err;
};

static int merge_map (struct merger *m, struct value *into, struct value *patch, struct hint hint);

static struct hint
hint_of (struct hint parent, const char *key, size_t key_len)
{
  const struct schema_field *f;
  if (parent.is_map)
    return (struct hint){.type = parent.type};
  if (!(f = schema_field_find (parent.type, key, key_len)))
    return (struct hint){0};
  return (struct hint){
    .type = f->scalar == SCHEMA_STRUCT ? f->type : NULL,
    .is_map = f->shape == SCHEMA_MAP,
    .merge = f->shape == SCHEMA_LIST && (f->flags & SCHEMA_PATCH_MERGE),
    .merge_key = f->merge_key,
  };
}

static const char *
after (const struct value_member *m, const char *prefix)
{
  size_t n = strlen (prefix);
  return m->key_len > n && !memcmp (m->key, prefix, n) ? m->key + n : NULL;
}

static bool
is_directive (const struct value_member *m)
{
  return !strcmp (m->key, "$patch") || !strcmp (m->key, "$retainKeys") || after (m, ORDER) || after (m, DELETE_FROM);
}

/* A value of the patch that meets nothing in the original is taken as it is, without nulls and directives. */
static struct value *
take (struct value *v)
{
  uint32_t kept = 0;
  if (value_is (v, VALUE_MAP)) {
    for (uint32_t i = 0; i < v->len; i++)
      if (!is_directive (&v->members[i]) && v->members[i].value->type != VALUE_NULL) {
        take (v->members[i].value);
        v->members[kept++] = v->members[i];
      }
    v->len = kept;
  } else if (value_is (v, VALUE_ARRAY)) {
    for (uint32_t i = 0; i < v->len; i++) {
      struct value *directive = value_get (v->items[i], "$patch");
      if (directive && (value_string_is (directive, "delete") || v->items[i]->len == 1))
        continue;
      v->items[kept++] = take (v->items[i]);
    }
    v->len = kept;
  }
  return v;
}

/* ---- order of lists ---- */

/* Whether two elements are the same: by the merge key, or as scalars. */
static bool
same_element (const struct value *x, const struct value *y, const char *merge_key)
{
  if (!merge_key)
    return value_equal (x, y);
  x = value_get (x, merge_key);
  return x && value_equal (x, value_get (y, merge_key));
}

static int64_t
find (const struct value *list, const struct value *element, const char *merge_key)
{
  for (uint32_t i = 0; i < value_count (list); i++)
    if (same_element (list->items[i], element, merge_key))
      return i;
  return -1;
}

/* all in the order of: those that order names, as it does; the others, as in server; both woven after server. */
static struct value *
put_in_order (struct merger *m, const struct value *all, const struct value *order, const struct value *server, const char *merge_key)
{
  struct value *patched = value_array (m->a), *rest = value_array (m->a), *out = value_array (m->a);
  uint32_t i = 0, j = 0;
  for (value_items (order, it)) {
    int64_t at = find (all, *it, merge_key);
    if (at >= 0 && find (patched, *it, merge_key) < 0)
      value_append (m->a, patched, all->items[at]);
  }
  for (value_items (server, s)) {
    int64_t at = find (all, *s, merge_key);
    if (at >= 0 && find (order, *s, merge_key) < 0 && find (rest, *s, merge_key) < 0)
      value_append (m->a, rest, all->items[at]);
  }
  for (value_items (all, x)) /* in neither: keep */
    if (find (order, *x, merge_key) < 0 && find (server, *x, merge_key) < 0)
      value_append (m->a, rest, *x);
  while (rest && patched && (i < rest->len || j < patched->len)) {
    bool from_rest = j == patched->len;
    if (i < rest->len && j < patched->len) {
      int64_t l = find (server, rest->items[i], merge_key), r = find (server, patched->items[j], merge_key);
      from_rest = l >= 0 && r >= 0 && l < r;
    }
    value_append (m->a, out, from_rest ? rest->items[i++] : patched->items[j++]);
  }
  return out;
}

/* ---- lists ---- */

/* Carries out the elements that are directives; patch keeps the others. */
static int
special_elements (struct merger *m, struct value *original, struct value *patch, const char *merge_key)
{
  uint32_t kept = 0;
  bool replace = false;
  for (uint32_t i = 0; i < patch->len; i++) {
    struct value *e = patch->items[i], *directive = value_get (e, "$patch");
    if (!directive) {
      patch->items[kept++] = e;
    } else if (value_string_is (directive, "delete")) {
      if (!value_get (e, merge_key))
        return err_set (m->err, ERR_PARSE, "delete patch type with no merge key defined");
      for (int64_t at; (at = find (original, e, merge_key)) >= 0;)
        value_remove_at (original, (size_t) at);
    } else if (value_string_is (directive, "replace")) {
      replace = true;
    } else if (value_string_is (directive, "merge")) {
      return err_set (m->err, ERR_PARSE, "merging lists cannot yet be specified in the patch");
    } else {
      return err_set (m->err, ERR_PARSE, "unknown patch type found: %.40s", value_as_string (directive, "?"));
    }
  }
  patch->len = kept;
  if (replace)
    original->len = 0;
  return 0;
}

static int
merge_maps_in_list (struct merger *m, struct value *original, struct value *patch, struct hint hint, struct value **ret)
{
  struct value *all;
  int r = special_elements (m, original, patch, hint.merge_key);
  if (r)
    return r;
  all = value_array (m->a);
  for (value_items (original, o))
    value_append (m->a, all, *o);
  for (value_items (patch, it)) {
    int64_t at;
    if (!value_get (*it, hint.merge_key))
      return err_set (m->err, ERR_PARSE, "map does not contain declared merge key: %s", hint.merge_key);
    at = find (all, *it, hint.merge_key);
    if (at < 0)
      value_append (m->a, all, take (*it));
    else if ((r = merge_map (m, all->items[at], *it, (struct hint){.type = hint.type})))
      return r;
  }
  *ret = put_in_order (m, all, patch, original, hint.merge_key);
  return 0;
}

/* The merged list; original and patch are used up. */
static int
merge_list (struct merger *m, struct value *original, struct value *patch, struct hint hint, struct value **ret)
{
  bool maps = false, scalars = false;
  if (!hint.merge) {
    *ret = take (patch);
    return 0;
  }
  if (original->len > ELEMENTS_MAX || patch->len > ELEMENTS_MAX)
    return err_set (m->err, ERR_LIMIT, "strategic merge patch: a list of more than %d elements", ELEMENTS_MAX);
  for (value_items (original, o))
    *((*o)->type == VALUE_MAP ? &maps : &scalars) = true;
  for (value_items (patch, p)) {
    if ((*p)->type == VALUE_ARRAY)
      return err_set (m->err, ERR_PARSE, "lists of lists are not supported");
    *((*p)->type == VALUE_MAP ? &maps : &scalars) = true;
  }
  if (maps && scalars)
    return err_set (m->err, ERR_PARSE, "list element types are not identical");
  if (!maps) {
    struct value *all = value_array (m->a);
    for (value_items (original, x))
      if (find (all, *x, NULL) < 0)
        value_append (m->a, all, *x);
    for (value_items (patch, y))
      if (find (all, *y, NULL) < 0)
        value_append (m->a, all, *y);
    *ret = put_in_order (m, all, patch, original, NULL);
    return 0;
  }
  if (!hint.merge_key)
    return err_set (m->err, ERR_PARSE, "cannot merge lists without merge key for %s", hint.type ? hint.type->name : "list");
  return merge_maps_in_list (m, original, patch, hint, ret);
}

static void
delete_from (struct value *list, const struct value *gone)
{
  uint32_t kept = 0;
  if (!value_is (list, VALUE_ARRAY) || value_count (gone) > ELEMENTS_MAX)
    return;
  for (uint32_t i = 0; i < list->len; i++)
    if (find (gone, list->items[i], NULL) < 0)
      list->items[kept++] = list->items[i];
  list->len = kept;
}

/* ---- directives of maps ---- */

static int
retain_keys (struct merger *m, struct value *into, struct value *patch)
{
  struct value *keys = value_get (patch, "$retainKeys");
  if (!keys)
    return 0;
  if (!value_is (keys, VALUE_ARRAY))
    return err_set (m->err, ERR_PARSE, "invalid patch format of retainKeys directive");
  for (value_each (patch, p))
    if (!is_directive (p) && find (keys, &(struct value){.type = VALUE_STRING, .len = p->key_len, .s = (char *) p->key}, NULL) < 0)
      return err_set (m->err, ERR_PARSE, "retainKeys list doesn't contain a field that is present in the patch: %.100s", p->key);
  for (uint32_t i = 0; i < into->len;) {
    const struct value_member *o = &into->members[i];
    if (find (keys, &(struct value){.type = VALUE_STRING, .len = o->key_len, .s = (char *) o->key}, NULL) < 0)
      patch_unset (into, o->key, o->key_len);
    else
      i++;
  }
  return 0;
}

/* The patch's list must name its elements in the order that the directive gives. */
static bool
agrees (const struct value *patch, const struct value *order, const char *merge_key)
{
  int64_t last = -1;
  for (value_items (patch, it)) {
    int64_t at;
    if (value_get (*it, "$patch"))
      continue;
    at = find (order, *it, merge_key);
    if (at < 0 || at < last)
      return false;
    last = at;
  }
  return true;
}

static int
set_element_order (struct merger *m, struct value *into, struct value *patch, struct hint hint, const char *name, size_t name_len,
                   const struct value *order)
{
  struct hint list_hint = hint_of (hint, name, name_len);
  struct value *original = value_get_n (into, name, name_len), *changes = value_get_n (patch, name, name_len), *merged;
  const char *merge_key = list_hint.merge_key;
  if (!value_is (order, VALUE_ARRAY))
    return err_set (m->err, ERR_PARSE, "%s%s: must be a list", ORDER, name);
  if (order->len > ELEMENTS_MAX || value_count (original) > ELEMENTS_MAX || value_count (changes) > ELEMENTS_MAX)
    return err_set (m->err, ERR_LIMIT, "strategic merge patch: a list of more than %d elements", ELEMENTS_MAX);
  if (value_is (changes, VALUE_NULL) || (!value_is (original, VALUE_ARRAY) && !value_is (changes, VALUE_ARRAY)))
    return 0;
  if (changes && !agrees (changes, order, merge_key))
    return err_set (m->err, ERR_PARSE, "The order in patch list doesn't match %s%s list", ORDER, name);
  if (!value_is (original, VALUE_ARRAY)) {
    merged = take (changes);
  } else if (!changes) {
    merged = original;
  } else {
    struct value *before = value_array (m->a);
    int r;
    for (value_items (original, it)) /* merging uses the original up */
      value_append (m->a, before, *it);
    if ((r = merge_list (m, original, changes, list_hint, &merged)))
      return r;
    original = before;
  }
  value_set_n (m->a, into, name, name_len, put_in_order (m, merged, order, original, merge_key));
  patch_unset (patch, name, name_len);
  return 0;
}

static int
set_element_orders (struct merger *m, struct value *into, struct value *patch, struct hint hint)
{
  for (uint32_t i = 0; i < patch->len;) {
    struct value_member p = patch->members[i];
    const char *name = after (&p, ORDER);
    int r;
    if (!name) {
      i++;
      continue;
    }
    patch_unset (patch, p.key, p.key_len);
    if ((r = set_element_order (m, into, patch, hint, name, p.key_len - strlen (ORDER), p.value)))
      return r;
    i = 0; /* members moved */
  }
  return 0;
}

static int
merge_member (struct merger *m, struct value *into, struct value_member *p, struct hint hint)
{
  const char *name = after (p, DELETE_FROM);
  struct value *old, *merged;
  struct hint sub;
  int r;
  if (name) {
    delete_from (value_get_n (into, name, p->key_len - strlen (DELETE_FROM)), p->value);
    return 0;
  }
  if (p->value->type == VALUE_NULL) {
    patch_unset (into, p->key, p->key_len);
    return 0;
  }
  old = value_get_n (into, p->key, p->key_len);
  sub = hint_of (hint, p->key, p->key_len);
  if (value_is (old, VALUE_MAP) && p->value->type == VALUE_MAP)
    return merge_map (m, old, p->value, sub);
  if (value_is (old, VALUE_ARRAY) && p->value->type == VALUE_ARRAY) {
    if ((r = merge_list (m, old, p->value, sub, &merged)))
      return r;
    value_set_n (m->a, into, p->key, p->key_len, merged);
    return 0;
  }
  value_set_n (m->a, into, p->key, p->key_len, take (p->value));
  return 0;
}

static int
merge_map (struct merger *m, struct value *into, struct value *patch, struct hint hint)
{
  struct value *directive;
  int r;
  if (!value_is (patch, VALUE_MAP))
    return err_set (m->err, ERR_PARSE, "an element of the patch is not an object");
  if ((directive = value_get (patch, "$patch"))) {
    if (value_string_is (directive, "delete")) {
      into->len = 0;
      return 0;
    }
    if (value_string_is (directive, "replace")) {
      take (patch);
      into->members = patch->members;
      into->len = patch->len;
      into->cap = patch->cap;
      return 0;
    }
    if (!value_string_is (directive, "merge"))
      return err_set (m->err, ERR_PARSE, "unknown patch type found: %.40s in map", value_as_string (directive, "?"));
  }
  if ((r = retain_keys (m, into, patch)) || (r = set_element_orders (m, into, patch, hint)))
    return r;
  for (uint32_t i = 0; i < patch->len; i++)
    if (strcmp (patch->members[i].key, "$patch") && strcmp (patch->members[i].key, "$retainKeys")
        && (r = merge_member (m, into, &patch->members[i], hint)))
      return r;
  return 0;
}

int
patch_strategic (struct arena *a, const struct schema_type *t, const struct value *obj, const struct value *patch, struct value **ret,
                 struct err *err)
{
  struct merger m = {a, err};
  struct value *copy, *used;
  int r;
  if (!value_is (patch, VALUE_MAP))
    return err_set (err, ERR_PARSE, "a strategic merge patch must be a JSON object");
  copy = value_is (obj, VALUE_MAP) ? value_clone (a, obj) : value_map (a);
  used = value_clone (a, patch);
  r = copy && used ? merge_map (&m, copy, used, (struct hint){.type = t}) : ERR_NOMEM;
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "strategic merge patch: no room");
  if (r)
    return r;
  *ret = copy;
  return 0;
}
