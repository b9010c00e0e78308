#include "schemas/schema.h"

#include <stdio.h>
#include <string.h>

#include "schemas/tables.h"

size_t
schema_storage_prefix (const struct schema_kind *k, char *out, size_t size)
{
  if (k->storage)
    k = k->storage;
  int n = snprintf (out, size, "%s%s%s", k->resource, *k->group ? "." : "", k->group);
  return n < 0 ? 0 : (size_t) n;
}

const struct schema_kind *
schema_kind_storage (const struct schema_kind *k)
{
  return k->storage ? k->storage : k;
}

static int
compare_key (const struct schema_kind *k, const char *group, const char *version, const char *key, const char *name)
{
  int c = strcmp (group, k->group);
  if (!c)
    c = strcmp (version, k->version);
  return c ? c : strcmp (name, key);
}

static const struct schema_kind *
find_kind (const uint16_t *index, bool by_kind, const char *group, const char *version, const char *name)
{
  if (!group || !version || !name)
    return NULL;
  size_t low = 0, high = schema_table_n_kinds;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    const struct schema_kind *k = &schema_table_kinds[index[mid]];
    int c = compare_key (k, group, version, by_kind ? k->kind : k->resource, name);
    if (c == 0)
      return k;
    if (c < 0)
      high = mid;
    else
      low = mid + 1;
  }
  return NULL;
}

const struct schema_kind *
schema_kind_by_resource (const char *group, const char *version, const char *resource)
{
  return find_kind (schema_table_by_resource, false, group, version, resource);
}

const struct schema_kind *
schema_kind_by_kind (const char *group, const char *version, const char *kind)
{
  return find_kind (schema_table_by_kind, true, group, version, kind);
}

const struct schema_kind *
schema_kind_at (size_t i)
{
  return i < schema_table_n_kinds ? &schema_table_kinds[i] : NULL;
}

const struct schema_type *
schema_type_find (const char *group_version, const char *name)
{
  if (!group_version || !name)
    return NULL;
  size_t low = 0, high = schema_table_n_types;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    const struct schema_type *t = &schema_table_types[mid];
    int c = strcmp (group_version, t->group_version);
    if (!c)
      c = strcmp (name, t->name);
    if (c == 0)
      return t;
    if (c < 0)
      high = mid;
    else
      low = mid + 1;
  }
  return NULL;
}

const struct schema_type *
schema_type_at (size_t i)
{
  return i < schema_table_n_types ? &schema_table_types[i] : NULL;
}

const struct schema_field *
schema_field_find (const struct schema_type *t, const char *name, size_t name_len)
{
  if (!t || !name_len)
    return NULL;
  for (const struct schema_field *f = t->fields, *end = f + t->n_fields; f < end; f++)
    if (f->name[0] == name[0] && strncmp (f->name, name, name_len) == 0 && !f->name[name_len])
      return f;
  return NULL;
}

const struct schema_subresource *
schema_subresource_find (const struct schema_kind *k, const char *name)
{
  for (size_t i = 0; i < k->n_subresources; i++)
    if (strcmp (k->subresources[i].name, name) == 0)
      return &k->subresources[i];
  return NULL;
}

bool
schema_group_version_priority (const char *group, const char *version, int *ret_group, int *ret_version)
{
  for (const struct schema_table_priority *p = schema_table_priorities; p->group; p++)
    if (strcmp (p->group, group) == 0 && strcmp (p->version, version) == 0) {
      *ret_group = p->group_priority;
      *ret_version = p->version_priority;
      return true;
    }
  return false;
}
