/* Walks over typed trees: the fields of a configuration, comparing and merging two, removing fields. Each follows the
   walker of its name in structured-merge-diff's typed package, its distinctions of absent, null and empty included. */
#include "schemas/fieldset_internal.h"

static bool
is_empty_container (const struct value *v)
{
  return value_is_null (v) || ((v->type == VALUE_MAP || v->type == VALUE_ARRAY) && !v->len);
}

/* Whether v can be walked as that container; absent and null can. */
static bool
fits (const struct value *v, enum value_type container)
{
  return value_is_null (v) || v->type == container;
}

/* ---- the fields that a tree sets (tofieldset.go) ---- */

static int
collect (struct arena *a, struct typed t, const struct value *v, struct fieldset *s, struct err *err)
{
  int r;
  if (!s)
    return err_set (err, ERR_NOMEM, "no room for the set of fields");
  if (typed_is_map (t) && value_is (v, VALUE_MAP)) {
    for (value_each (v, m)) {
      struct field_element e = field_name (m->key, m->key_len);
      struct fieldset *child = fieldset_put (a, s, &e);
      bool named;
      struct typed sub = typed_child (t, m->key, m->key_len, &named);
      if ((r = collect (a, sub, m->value, child, err)))
        return r;
      if (!named || m->value->type == VALUE_NULL || (m->value->type == VALUE_MAP && !m->value->len))
        child->member = true;
    }
    return 0;
  }
  if (typed_is_list (t) && value_is (v, VALUE_ARRAY)) {
    struct typed_index x;
    if ((r = typed_index (a, t, v, &x, err)))
      return r;
    for (uint32_t i = 0; i < x.n; i++) {
      struct fieldset *child = fieldset_put (a, s, &x.entries[i].element);
      if (!child)
        return err_set (err, ERR_NOMEM, "no room for the set of fields");
      child->member = true;
      if (x.entries[i].count == 1 && (r = collect (a, typed_item (t), x.entries[i].item, child, err)))
        return r;
    }
    return 0;
  }
  if (t.form == FORM_LEAF || !value_is_null (v))
    s->member = true;
  return 0;
}

int
fieldset_of (struct arena *a, const struct schema_type *t, const struct value *v, struct fieldset **ret, struct err *err)
{
  struct fieldset *s = fieldset_new (a);
  int r = collect (a, typed_root (t), v, s, err);
  if (r)
    return r;
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "no room for the set of fields");
  fieldset_prune (s);
  *ret = s;
  return 0;
}

/* ---- comparing (compare.go) ---- */

static int compare (struct arena *a, struct typed t, const struct value *l, const struct value *r, struct fieldset_comparison c,
                    struct err *err);

static struct fieldset_comparison
descend (struct arena *a, struct fieldset_comparison c, const struct field_element *e)
{
  return (struct fieldset_comparison){fieldset_put (a, c.added, e), fieldset_put (a, c.removed, e), fieldset_put (a, c.modified, e)};
}

static void
note (const struct value *l, const struct value *r, struct fieldset_comparison c)
{
  struct fieldset *s = !l ? c.added : !r ? c.removed : c.modified;
  if (s)
    s->member = true;
}

static int
compare_fields (struct arena *a, struct typed t, const struct value *l, const struct value *r, struct fieldset_comparison c,
                struct err *err)
{
  const struct value *sides[2] = {l, r};
  for (int side = 0; side < 2; side++)
    for (value_each (sides[side], m)) {
      const struct value *lv = side ? value_get_n (l, m->key, m->key_len) : m->value;
      const struct value *rv = side ? m->value : value_get_n (r, m->key, m->key_len);
      struct field_element e = field_name (m->key, m->key_len);
      bool named;
      int bad;
      if ((side && lv) || (lv && rv && value_equal (lv, rv)))
        continue;
      if ((bad = compare (a, typed_child (t, m->key, m->key_len, &named), lv, rv, descend (a, c, &e), err)))
        return bad;
    }
  return 0;
}

/* Elements that occur more than once are compared as one. */
static bool
same_duplicates (const struct typed_index *l, const struct typed_index *r, const struct field_element *e, uint32_t count)
{
  uint32_t i = 0, j = 0;
  for (uint32_t k = 0; k < count; k++, i++, j++) {
    while (i < l->n && field_compare (&l->entries[i].element, e))
      i++;
    while (j < r->n && field_compare (&r->entries[j].element, e))
      j++;
    if (i == l->n || j == r->n || !value_equal (l->entries[i].item, r->entries[j].item))
      return false;
  }
  return true;
}

static int
compare_items (struct arena *a, struct typed t, const struct value *l, const struct value *r, struct fieldset_comparison c,
               struct err *err)
{
  struct typed_index x, y;
  int bad;
  if ((bad = typed_index (a, t, l, &x, err)) || (bad = typed_index (a, t, r, &y, err)))
    return bad;
  for (int side = 0; side < 2; side++) {
    const struct typed_index *mine = side ? &y : &x;
    for (uint32_t i = 0; i < mine->n; i++) {
      struct typed_index_entry *m = &mine->entries[i];
      struct typed_index_entry *other = m->first == m ? typed_index_find (side ? &x : &y, &m->element) : NULL;
      if (m->first != m || (side && other))
        continue;
      if (m->count == 1 && (!other || other->count == 1)) {
        const struct value *lv = side ? NULL : m->item, *rv = side ? m->item : other ? other->item : NULL;
        if (lv && rv && value_equal (lv, rv))
          continue;
        if ((bad = compare (a, typed_item (t), lv, rv, descend (a, c, &m->element), err)))
          return bad;
      } else if (!other || other->count != m->count || !same_duplicates (&x, &y, &m->element, m->count)) {
        note (side ? NULL : m->item, side ? m->item : other ? other->item : NULL, descend (a, c, &m->element));
      }
    }
  }
  return 0;
}

static int
compare (struct arena *a, struct typed t, const struct value *l, const struct value *r, struct fieldset_comparison c, struct err *err)
{
  bool maps = typed_is_map (t) && fits (l, VALUE_MAP) && fits (r, VALUE_MAP);
  bool lists = typed_is_list (t) && fits (l, VALUE_ARRAY) && fits (r, VALUE_ARRAY);
  int bad;
  if ((!maps && !lists) || (is_empty_container (l) && is_empty_container (r))) { /* a leaf; empty ones count as leaves */
    if (!l || !r || !value_equal (l, r))
      note (l, r, c);
    return 0;
  }
  bad = maps ? compare_fields (a, t, l, r, c, err) : compare_items (a, t, l, r, c, err);
  if (!bad && (!l || !r))
    note (l, r, c);
  return bad;
}

int
fieldset_compare (struct arena *a, const struct schema_type *t, const struct value *before, const struct value *after,
                  struct fieldset_comparison *ret, struct err *err)
{
  struct fieldset_comparison c = {fieldset_new (a), fieldset_new (a), fieldset_new (a)};
  int r = compare (a, typed_root (t), before, after, c, err);
  if (r)
    return r;
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "no room to compare fields");
  fieldset_prune (c.added);
  fieldset_prune (c.removed);
  fieldset_prune (c.modified);
  *ret = c;
  return 0;
}

/* ---- merging (merge.go) ---- */

static int merge (struct arena *a, struct typed t, const struct value *l, const struct value *r, struct value **ret, struct err *err);

static int
merge_fields (struct arena *a, struct typed t, const struct value *l, const struct value *r, struct value **ret, struct err *err)
{
  struct value *out = value_map (a), *v;
  bool named;
  int bad;
  for (value_each (l, m)) {
    if ((bad = merge (a, typed_child (t, m->key, m->key_len, &named), m->value, value_get_n (r, m->key, m->key_len), &v, err)))
      return bad;
    value_set_n (a, out, m->key, m->key_len, v);
  }
  for (value_each (r, n)) {
    if (value_get_n (l, n->key, n->key_len))
      continue;
    if ((bad = merge (a, typed_child (t, n->key, n->key_len, &named), NULL, n->value, &v, err)))
      return bad;
    value_set_n (a, out, n->key, n->key_len, v);
  }
  *ret = out;
  return 0;
}

/* The next of the right side's elements that the left has too, from i. */
static uint32_t
next_shared (const struct typed_index *l, const struct typed_index *r, uint32_t i)
{
  while (i < r->n && !typed_index_find (l, &r->entries[i].element))
    i++;
  return i;
}

/* The right side's order rules; elements of the left only keep their place between those that both have. */
static int
merge_items (struct arena *a, struct typed t, const struct value *l, const struct value *r, struct value **ret, struct err *err)
{
  struct typed_index x, y;
  struct value *out = value_array (a), *v;
  uint32_t i = 0, j = 0, shared;
  int bad;
  if ((bad = typed_index (a, t, l, &x, err)) || (bad = typed_index (a, t, r, &y, err)))
    return bad;
  for (uint32_t k = 0; k < y.n; k++)
    if (y.entries[k].count > 1)
      return err_set (err, ERR_INVALID, "%s: duplicate entries for key %s", t.field->name, y.entries[k].element.text);
  shared = next_shared (&x, &y, 0);
  while (i < x.n || j < y.n) {
    struct typed_index_entry *other = i < x.n ? typed_index_find (&y, &x.entries[i].element) : NULL;
    if (i < x.n && j < y.n && other != &y.entries[j] && other && shared < y.n && other != &y.entries[shared]) {
      i++; /* both have it, but its turn comes later */
      continue;
    }
    if (i < x.n && !other) {
      value_append (a, out, value_clone (a, x.entries[i++].item));
      continue;
    }
    if (i < x.n && other && (other->done || (j < y.n && other == &y.entries[j])))
      i++;
    if (j < y.n) {
      struct typed_index_entry *mine = typed_index_find (&x, &y.entries[j].element);
      const struct value *lv = mine && mine->count == 1 ? mine->item : NULL;
      if ((bad = merge (a, typed_item (t), lv, y.entries[j].item, &v, err)))
        return bad;
      value_append (a, out, v);
      y.entries[j].done = true;
      if (shared == j)
        shared = next_shared (&x, &y, j + 1);
      j++;
    }
  }
  *ret = out;
  return 0;
}

static int
merge (struct arena *a, struct typed t, const struct value *l, const struct value *r, struct value **ret, struct err *err)
{
  bool maps = typed_is_map (t) && fits (l, VALUE_MAP) && fits (r, VALUE_MAP);
  bool lists = typed_is_list (t) && fits (l, VALUE_ARRAY) && fits (r, VALUE_ARRAY);
  if (!r || (!maps && !lists) || (is_empty_container (l) && is_empty_container (r))) {
    if (!(*ret = value_clone (a, r ? r : l)))
      return err_set (err, ERR_NOMEM, "no room to merge");
    return 0;
  }
  return maps ? merge_fields (a, t, l, r, ret, err) : merge_items (a, t, l, r, ret, err);
}

int
fieldset_merge (struct arena *a, const struct schema_type *t, const struct value *live, const struct value *config,
                struct value **ret, struct err *err)
{
  struct value *v = NULL;
  int r = merge (a, typed_root (t), live, config, &v, err);
  if (!r && !arena_ok (a))
    r = err_set (err, ERR_NOMEM, "no room to merge");
  if (!r)
    *ret = v;
  return r;
}

/* ---- removing (remove.go) ---- */

static struct value *
remove_fields (struct arena *a, struct typed t, struct value *v, const struct fieldset *gone)
{
  struct value *out;
  if (!gone || (!gone->n && !gone->member))
    return v;
  if (typed_is_map (t) && v->type == VALUE_MAP) {
    out = value_map (a);
    for (value_each (v, m)) {
      struct field_element e = field_name (m->key, m->key_len);
      const struct fieldset *sub = fieldset_get (gone, &e);
      bool named;
      if (sub && sub->member)
        continue;
      value_set_n (a, out, m->key, m->key_len,
                   sub ? remove_fields (a, typed_child (t, m->key, m->key_len, &named), m->value, sub) : m->value);
    }
  } else if (typed_is_list (t) && v->type == VALUE_ARRAY) {
    struct typed_index x;
    if (typed_index (a, t, v, &x, NULL))
      return v;
    out = value_array (a);
    for (uint32_t i = 0; i < x.n; i++) {
      const struct fieldset *sub = fieldset_get (gone, &x.entries[i].element);
      if (sub && sub->member)
        continue;
      value_append (a, out, sub ? remove_fields (a, typed_item (t), x.entries[i].item, sub) : x.entries[i].item);
    }
  } else {
    return v->type == VALUE_MAP || v->type == VALUE_ARRAY ? value_null (a) : v; /* part of what is atomic */
  }
  return value_count (out) ? out : value_null (a);
}

struct value *
fieldset_remove (struct arena *a, const struct schema_type *t, struct value *v, const struct fieldset *gone)
{
  return v ? remove_fields (a, typed_root (t), v, gone) : NULL;
}

static void
name_parents (struct typed t, struct fieldset *s)
{
  for (uint32_t i = 0; i < s->n; i++) {
    const struct field_element *e = &s->children[i].element;
    struct fieldset *child = s->children[i].set;
    bool named = false;
    struct typed sub = e->kind == FIELD_NAME ? typed_child (t, e->text, e->len, &named) : typed_item (t);
    if (named && child->n)
      child->member = true;
    name_parents (sub, child);
  }
}

void
fieldset_name_parents (const struct schema_type *t, struct fieldset *s)
{
  name_parents (typed_root (t), s);
}

/* ---- the zero value ---- */

struct value *
fieldset_zero (struct arena *a, const struct schema_type *t)
{
  struct value *out = value_map (a);
  for (size_t i = 0; t && i < t->n_fields; i++) {
    const struct schema_field *f = &t->fields[i];
    struct value *zero = NULL;
    bool bare = !(f->flags & (SCHEMA_POINTER | SCHEMA_OMITEMPTY));
    if (f->shape == SCHEMA_ONE && f->scalar == SCHEMA_STRUCT && !(f->flags & SCHEMA_POINTER))
      zero = fieldset_zero (a, f->type); /* Go's omitempty keeps structs */
    else if (f->shape != SCHEMA_ONE || (f->flags & SCHEMA_POINTER) || f->scalar >= SCHEMA_BYTES)
      zero = !(f->flags & SCHEMA_OMITEMPTY) ? value_null (a) : NULL;
    else if (bare && f->scalar == SCHEMA_STRING)
      zero = value_string (a, "");
    else if (bare && f->scalar == SCHEMA_BOOL)
      zero = value_bool (a, false);
    else if (bare)
      zero = value_int (a, 0);
    value_set (a, out, f->name, zero);
  }
  return out;
}
