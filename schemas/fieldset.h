/* Sets of fields of an object, after structured-merge-diff v4's fieldpath: a tree of path elements, each of which may
   itself be a member. In JSON (metav1.FieldsV1) an element is "f:name", "k:{...}" (keys of a list's element), "v:..." (an
   element of a set) or "i:N", and "." says that the path so far is a member when it has children too.

   Invariants: children are unique and sorted in upstream's order; sets live in an arena; operations that change a set in
   place leave no empty children behind. A NULL set is empty. */
#ifndef SCHEMAS_FIELDSET_H
#define SCHEMAS_FIELDSET_H

#include "base/buf.h"
#include "schemas/schema.h"

enum field_kind { FIELD_NAME, FIELD_KEY, FIELD_VALUE, FIELD_INDEX };
struct field_element {
  enum field_kind kind;
  uint32_t len;
  const char *text;          /* the name; else canonical JSON, NUL-terminated */
  const struct value *value; /* the key's map (sorted by name), the value or the index */
};
struct fieldset;
struct fieldset_child {
  struct field_element element;
  struct fieldset *set; /* never NULL */
};
struct fieldset {
  bool member;
  uint32_t n, cap;
  struct fieldset_child *children;
};

struct fieldset *fieldset_new (struct arena *a);
struct field_element field_name (const char *name, size_t len); /* borrows name */
/* FIELD_KEY (value is a map), FIELD_VALUE or FIELD_INDEX; the value is borrowed, a key's map is sorted in place. */
struct field_element field_element (struct arena *a, enum field_kind kind, struct value *value);
int field_compare (const struct field_element *x, const struct field_element *y);

struct fieldset *fieldset_get (const struct fieldset *s, const struct field_element *e);        /* NULL when absent */
struct fieldset *fieldset_put (struct arena *a, struct fieldset *s, const struct field_element *e); /* made when absent */
void fieldset_prune (struct fieldset *s); /* drops children that hold nothing */
bool fieldset_is_empty (const struct fieldset *s);
bool fieldset_equal (const struct fieldset *x, const struct fieldset *y);
struct fieldset *fieldset_copy (struct arena *a, const struct fieldset *s);
void fieldset_add (struct arena *a, struct fieldset *s, const struct fieldset *more);
void fieldset_subtract (struct fieldset *s, const struct fieldset *less);           /* member by member */
void fieldset_subtract_below (struct fieldset *s, const struct fieldset *less);     /* with everything below a member of less */
struct fieldset *fieldset_intersect (struct arena *a, const struct fieldset *x, const struct fieldset *y);
void fieldset_add_path (struct arena *a, struct fieldset *s, const char *path);     /* "metadata.name" */

struct value *fieldset_encode (struct arena *a, const struct fieldset *s); /* FieldsV1 */
/* ERR_PARSE naming the key that is none. */
int fieldset_decode (struct arena *a, const struct value *fields_v1, struct fieldset **ret, struct err *err);
/* Calls cb for each member with its path as upstream prints it: .spec.containers[name="a"].image */
void fieldset_each (const struct fieldset *s, void (*cb) (void *arg, const char *path), void *arg);

/* ---- fields of typed trees (schemas/fieldset_typed.c); a NULL type: deduced from the values ---- */
/* The fields that a configuration sets. ERR_INVALID: an element of a keyed list without any of its keys, duplicates. */
int fieldset_of (struct arena *a, const struct schema_type *t, const struct value *v, struct fieldset **ret, struct err *err);
struct fieldset_comparison {
  struct fieldset *added, *removed, *modified;
};
int fieldset_compare (struct arena *a, const struct schema_type *t, const struct value *before, const struct value *after,
                      struct fieldset_comparison *ret, struct err *err);
/* config over live: what config has wins, keyed lists merge by element. ERR_INVALID for duplicate keys in config. */
int fieldset_merge (struct arena *a, const struct schema_type *t, const struct value *live, const struct value *config,
                    struct value **ret, struct err *err);
/* v without the members of gone; containers that it empties become null. Shares what it keeps with v. */
struct value *fieldset_remove (struct arena *a, const struct schema_type *t, struct value *v, const struct fieldset *gone);
/* Makes fields of structs that have children members (upstream's EnsureNamedFieldsAreMembers). */
void fieldset_name_parents (const struct schema_type *t, struct fieldset *s);
/* What Go's zero value of the type encodes to: the "before" of a create. */
struct value *fieldset_zero (struct arena *a, const struct schema_type *t);

#endif
