/* How the tables shape a value for sets of fields; shared by the walkers of typed trees. */
#ifndef SCHEMAS_FIELDSET_INTERNAL_H
#define SCHEMAS_FIELDSET_INTERNAL_H

#include "schemas/fieldset.h"

enum form {
  FORM_LEAF,    /* a scalar, or anything atomic */
  FORM_STRUCT,  /* named fields of ->type */
  FORM_MAP,     /* any keys; elements as ->field says */
  FORM_SET,     /* a list of distinct scalars */
  FORM_KEYED,   /* a list of maps, told apart by ->field->list_map_keys */
  FORM_DEDUCED, /* by the value: maps have fields, anything else is a leaf */
};
struct typed {
  enum form form;
  const struct schema_type *type;
  const struct schema_field *field;
};

struct typed typed_root (const struct schema_type *t);
struct typed typed_child (struct typed t, const char *key, size_t key_len, bool *ret_named); /* of a map value */
struct typed typed_item (struct typed t);                                                   /* of a keyed list or a set */

static inline bool
typed_is_map (struct typed t)
{
  return t.form == FORM_STRUCT || t.form == FORM_MAP || t.form == FORM_DEDUCED;
}
static inline bool
typed_is_list (struct typed t)
{
  return t.form == FORM_SET || t.form == FORM_KEYED;
}

/* A list's elements by their path elements: in the list's order, and sorted for lookups. */
struct typed_index_entry {
  struct field_element element;
  struct value *item;
  uint32_t count;                         /* how often the element occurs in the list */
  struct typed_index_entry *first;        /* the first that is equal */
  bool done;
};
struct typed_index {
  uint32_t n;
  struct typed_index_entry *entries;
  struct typed_index_entry **sorted;
};
/* list NULL or not an array: empty. ERR_INVALID when an element cannot be told apart. */
int typed_index (struct arena *a, struct typed t, const struct value *list, struct typed_index *ret, struct err *err);
struct typed_index_entry *typed_index_find (const struct typed_index *x, const struct field_element *e); /* the first */

#endif
