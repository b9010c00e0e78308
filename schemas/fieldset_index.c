/* The forms of values after the tables, and the indexing of lists by their elements' keys. */
#include "schemas/fieldset_internal.h"

#include "schemas/json.h"

static struct typed
one (const struct schema_field *f)
{
  if ((f->flags & SCHEMA_PRESERVE_UNKNOWN) && (f->scalar != SCHEMA_STRUCT || !f->type || !f->type->n_fields))
    return (struct typed){.form = FORM_DEDUCED};
  if (f->scalar != SCHEMA_STRUCT || !f->type)
    return (struct typed){.form = FORM_LEAF};
  if ((f->flags | f->type->flags) & SCHEMA_MAP_ATOMIC)
    return (struct typed){.form = FORM_LEAF};
  return (struct typed){FORM_STRUCT, f->type, NULL};
}

struct typed
typed_root (const struct schema_type *t)
{
  return t ? (struct typed){FORM_STRUCT, t, NULL} : (struct typed){.form = FORM_DEDUCED};
}

struct typed
typed_child (struct typed t, const char *key, size_t key_len, bool *ret_named)
{
  const struct schema_field *f;
  *ret_named = false;
  if (t.form == FORM_MAP)
    return one (t.field);
  if (t.form != FORM_STRUCT || !(f = schema_field_find (t.type, key, key_len)))
    return (struct typed){.form = FORM_DEDUCED};
  *ret_named = true;
  if (f->shape == SCHEMA_ONE)
    return one (f);
  if (f->shape == SCHEMA_MAP)
    return f->flags & SCHEMA_MAP_ATOMIC ? (struct typed){.form = FORM_LEAF} : (struct typed){FORM_MAP, NULL, f};
  if (f->list == SCHEMA_LIST_MAP && f->list_map_keys)
    return (struct typed){FORM_KEYED, NULL, f};
  return f->list == SCHEMA_LIST_SET ? (struct typed){FORM_SET, NULL, f} : (struct typed){.form = FORM_LEAF};
}

struct typed
typed_item (struct typed t)
{
  return t.form == FORM_KEYED ? one (t.field) : (struct typed){.form = FORM_LEAF};
}

/* The element that tells item apart in its list; keys that are absent have their defaults. */
static int
element_of (struct arena *a, struct typed t, struct value *item, struct field_element *ret, struct err *err)
{
  struct value *key;
  if (t.form == FORM_SET) {
    if (item->type == VALUE_MAP || item->type == VALUE_ARRAY)
      return err_set (err, ERR_INVALID, "%s: a set holds scalars only", t.field->name);
    *ret = field_element (a, FIELD_VALUE, item);
    return 0;
  }
  if (item->type != VALUE_MAP)
    return err_set (err, ERR_INVALID, "%s: associative list with keys may not have non-map elements", t.field->name);
  key = value_map (a);
  for (const char *const *k = t.field->list_map_keys; *k; k++) {
    struct value *v = value_get (item, *k);
    if (value_is_null (v)) {
      const struct schema_field *f = schema_field_find (t.field->type, *k, strlen (*k));
      if (!f || !f->default_json || json_parse (a, f->default_json, strlen (f->default_json), &v, NULL, NULL))
        continue;
    }
    value_set (a, key, *k, v);
  }
  if (!value_count (key))
    return err_set (err, ERR_INVALID, "%s: associative list with keys has an element that omits all key fields (and doesn't have default "
                                      "values for any key fields)", t.field->name);
  *ret = field_element (a, FIELD_KEY, key);
  return 0;
}

static int
compare_entries (const void *x, const void *y)
{
  const struct typed_index_entry *p = *(struct typed_index_entry *const *) x, *q = *(struct typed_index_entry *const *) y;
  int c = field_compare (&p->element, &q->element);
  return c ? c : (p > q) - (p < q);
}

int
typed_index (struct arena *a, struct typed t, const struct value *list, struct typed_index *ret, struct err *err)
{
  uint32_t n = value_is (list, VALUE_ARRAY) ? list->len : 0;
  struct typed_index_entry *entries = arena_zalloc (a, n * sizeof *entries), **sorted = arena_alloc (a, n * sizeof *sorted);
  if (!entries || !sorted)
    return err_set (err, ERR_NOMEM, "no room to compare fields");
  for (uint32_t i = 0; i < n; i++) {
    int r = element_of (a, t, list->items[i], &entries[i].element, err);
    if (r)
      return r;
    entries[i].item = list->items[i];
    sorted[i] = &entries[i];
  }
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "no room to compare fields");
  if (n > 1)
    qsort (sorted, n, sizeof *sorted, compare_entries);
  for (uint32_t i = 0; i < n;) {
    uint32_t k = i;
    while (k < n && !field_compare (&sorted[k]->element, &sorted[i]->element))
      k++;
    for (uint32_t j = i; j < k; j++) {
      sorted[j]->count = k - i;
      sorted[j]->first = sorted[i];
    }
    i = k;
  }
  *ret = (struct typed_index){n, entries, sorted};
  return 0;
}

struct typed_index_entry *
typed_index_find (const struct typed_index *x, const struct field_element *e)
{
  uint32_t low = 0, high = x->n;
  while (low < high) {
    uint32_t mid = (low + high) / 2;
    int c = field_compare (e, &x->sorted[mid]->element);
    if (!c)
      return x->sorted[mid]->first;
    if (c < 0)
      high = mid;
    else
      low = mid + 1;
  }
  return NULL;
}
