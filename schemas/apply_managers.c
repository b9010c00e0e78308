#include "schemas/apply_managers.h"

static bool
is_apply (const struct manager *m)
{
  return !strcmp (m->operation, "Apply");
}

struct manager *
managers_find (struct managers *m, const char *name, const char *operation, const char *api_version, const char *subresource)
{
  for (size_t i = 0; i < m->n; i++) {
    struct manager *x = &m->items[i];
    if (!strcmp (x->name, name) && !strcmp (x->operation, operation) && !strcmp (x->subresource, subresource)
        && (is_apply (x) || !strcmp (x->api_version, api_version)))
      return x;
  }
  return NULL;
}

struct manager *
managers_add (struct managers *m, const char *name, const char *operation, const char *api_version, const char *subresource)
{
  if (m->n == m->cap) {
    size_t cap = m->cap ? 2 * m->cap : 8;
    struct manager *more = m->n < MANAGERS_MAX ? arena_alloc (m->arena, cap * sizeof *more) : NULL;
    if (!more)
      return NULL;
    if (m->n)
      memcpy (more, m->items, m->n * sizeof *more);
    m->items = more;
    m->cap = cap;
  }
  m->items[m->n] = (struct manager){name, operation, api_version, "", subresource, fieldset_new (m->arena)};
  return m->items[m->n].set ? &m->items[m->n++] : NULL;
}

int
managers_decode (struct arena *a, const struct value *managed_fields, struct managers *ret, struct err *err)
{
  struct managers m = {.arena = a};
  for (value_items (managed_fields, it)) {
    const char *name = value_as_string (value_get (*it, "manager"), ""), *operation = value_as_string (value_get (*it, "operation"), "");
    const char *api_version = value_as_string (value_get (*it, "apiVersion"), "");
    const char *subresource = value_as_string (value_get (*it, "subresource"), "");
    struct fieldset *set = NULL;
    struct manager *entry;
    int r;
    if (strcmp (operation, "Apply") && strcmp (operation, "Update"))
      return err_set (err, ERR_PARSE, "metadata.managedFields: invalid operation \"%.40s\"", operation);
    if ((r = fieldset_decode (a, value_get (*it, "fieldsV1") ? value_get (*it, "fieldsV1") : value_map (a), &set, err)))
      return err_wrap (err, "metadata.managedFields of %.100s", name), r;
    if (!(entry = managers_find (&m, name, operation, api_version, subresource))
        && !(entry = managers_add (&m, name, operation, api_version, subresource)))
      return err_set (err, ERR_LIMIT, "metadata.managedFields: more than %d managers", MANAGERS_MAX);
    fieldset_add (a, entry->set, set);
    entry->time = value_as_string (value_get (*it, "time"), "");
  }
  *ret = m;
  return 0;
}

/* Times are RFC 3339 in UTC with whole seconds: they sort as text. */
static int
compare (const void *x, const void *y)
{
  const struct manager *p = x, *q = y;
  int c = strcmp (p->operation, q->operation);
  if (!c)
    c = strcmp (p->time, q->time);
  if (!c)
    c = strcmp (p->name, q->name);
  if (!c)
    c = strcmp (p->api_version, q->api_version);
  return c ? c : strcmp (p->subresource, q->subresource);
}

struct value *
managers_encode (struct managers *m)
{
  struct arena *a = m->arena;
  struct value *list = value_array (a);
  if (!m->n)
    return NULL;
  qsort (m->items, m->n, sizeof m->items[0], compare);
  for (size_t i = 0; i < m->n; i++) {
    const struct manager *x = &m->items[i];
    struct value *e = value_map (a);
    value_set_string (a, e, "manager", x->name);
    value_set_string (a, e, "operation", x->operation);
    value_set_string (a, e, "apiVersion", x->api_version);
    if (x->time[0])
      value_set_string (a, e, "time", x->time);
    value_set_string (a, e, "fieldsType", "FieldsV1");
    value_set (a, e, "fieldsV1", fieldset_encode (a, x->set));
    if (x->subresource[0])
      value_set_string (a, e, "subresource", x->subresource);
    value_append (a, list, e);
  }
  return list;
}

void
managers_drop_empty (struct managers *m)
{
  size_t kept = 0;
  for (size_t i = 0; i < m->n; i++)
    if (!fieldset_is_empty (m->items[i].set))
      m->items[kept++] = m->items[i];
  m->n = kept;
}

static size_t
count_updates (const struct managers *m)
{
  size_t n = 0;
  for (size_t i = 0; i < m->n; i++)
    n += !is_apply (&m->items[i]);
  return n;
}

void
managers_bound (struct managers *m, size_t limit)
{
  static const char ancient[] = "ancient-changes";
  size_t updates = count_updates (m), kept = 0;
  if (updates <= limit)
    return;
  qsort (m->items, m->n, sizeof m->items[0], compare); /* updates: oldest first */
  for (size_t i = 0; i < m->n && updates > limit; i++) {
    struct manager *x = &m->items[i], *bucket = NULL;
    if (is_apply (x))
      continue;
    /* the first of a version becomes the bucket once another of that version follows */
    for (size_t k = 0; k < i && !bucket; k++)
      if (!is_apply (&m->items[k]) && m->items[k].set && !strcmp (m->items[k].api_version, x->api_version))
        bucket = &m->items[k];
    if (!bucket)
      continue;
    bucket->name = ancient;
    bucket->subresource = "";
    bucket->time = x->time;
    fieldset_add (m->arena, bucket->set, x->set);
    x->set = NULL;
    updates--;
  }
  for (size_t i = 0; i < m->n; i++)
    if (m->items[i].set)
      m->items[kept++] = m->items[i];
  m->n = kept;
}
