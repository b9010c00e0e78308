/* Definitions of OpenAPI from the types. A type without openapi_name (inside a custom resource) is written in its place. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "schemas/json.h"
#include "schemas/openapi_internal.h"

#define INLINE_DEPTH_MAX 64

/* ---- references ---- */
struct value *
openapi_ref (struct arena *a, enum openapi_dialect dialect, const char *name)
{
  struct value *v = value_map (a);
  value_set (a, v, "$ref", value_printf (a, "%s%s", dialect == OPENAPI_V2 ? "#/definitions/" : "#/components/schemas/", name));
  return v;
}

struct value *
openapi_gvk (struct arena *a, const char *group, const char *version, const char *kind)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "group", group);
  value_set_string (a, v, "kind", kind);
  value_set_string (a, v, "version", version);
  return v;
}

static const char *
group_version_of (const struct schema_kind *k, char out[320])
{
  snprintf (out, 320, "%s%s%s", k->group, *k->group ? "/" : "", k->version);
  return out;
}

static const struct schema_type *
list_type (const struct schema_kind *k)
{
  char gv[320], name[256];
  snprintf (name, sizeof name, "%sList", k->kind);
  return schema_type_find (group_version_of (k, gv), name);
}

const char *
openapi_list_name (struct arena *a, const struct schema_kind *k)
{
  const struct schema_type *t = list_type (k);
  if (t)
    return t->openapi_name;
  return k->verbs & SCHEMA_LIST_VERB ? arena_printf (a, "%sList", k->type->openapi_name) : NULL;
}

/* ---- one field ---- */
struct leaf {
  uint8_t scalar;
  const char *name, *type, *format;
  bool number_too;
  const char *doc;
};
static const struct leaf leaves[] = { /* scalars that upstream gives definitions */
  {SCHEMA_QUANTITY, "io.k8s.apimachinery.pkg.api.resource.Quantity", "string", NULL, true,
   "A number with an optional suffix: 500m is a half, 1Ki is 1024, 1k is 1000."},
  {SCHEMA_DURATION, OPENAPI_META "Duration", "string", NULL, false, "A span of time such as 1h30m or 500ms."},
  {SCHEMA_FIELDS_V1, OPENAPI_META "FieldsV1", "object", NULL, false, "A set of fields in the form of server-side apply."},
  {SCHEMA_MICRO_TIME, OPENAPI_META "MicroTime", "string", "date-time", false, "A point in time with microseconds."},
  {SCHEMA_TIME, OPENAPI_META "Time", "string", "date-time", false, "A point in time, RFC 3339."},
  {SCHEMA_RAW, "io.k8s.apimachinery.pkg.runtime.RawExtension", "object", NULL, false, "Any object."},
  {SCHEMA_INT_OR_STRING, "io.k8s.apimachinery.pkg.util.intstr.IntOrString", "string", "int-or-string", true,
   "A number, or a string such as a percentage or the name of a port."},
};
static const struct leaf patch_leaf = {0, OPENAPI_META "Patch", "object", NULL, false, "A patch of the form that its content type names."};

static const struct leaf *
leaf_of (uint8_t scalar)
{
  for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
    if (leaves[i].scalar == scalar)
      return &leaves[i];
  return NULL;
}

static struct value *
leaf_schema (struct arena *a, enum openapi_dialect dialect, const struct leaf *leaf)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "description", leaf->doc);
  if (dialect == OPENAPI_V3 && leaf->number_too) {
    struct value *one_of = value_ensure_array (a, v, "oneOf"), *string = value_map (a), *number = value_map (a);
    value_set_string (a, string, "type", "string");
    value_set_string (a, number, "type", leaf->format ? "integer" : "number");
    value_append (a, one_of, leaf->format ? number : string);
    value_append (a, one_of, leaf->format ? string : number);
  } else
    value_set_string (a, v, "type", leaf->type);
  value_set_string (a, v, "format", leaf->format);
  return v;
}

static struct value *type_schema (struct arena *a, enum openapi_dialect dialect, const struct schema_type *t, int depth);

static bool
any_value (const struct schema_type *owner, const struct schema_field *f)
{
  return f->scalar == SCHEMA_RAW && strcmp (owner->name, "JSONSchemaProps") == 0;
}

static struct value *
element_schema (struct arena *a, enum openapi_dialect dialect, const struct schema_type *owner, const struct schema_field *f, int depth)
{
  static const char *const types[][2] = {
    [SCHEMA_STRING] = {"string", NULL},      [SCHEMA_BOOL] = {"boolean", NULL},     [SCHEMA_INT32] = {"integer", "int32"},
    [SCHEMA_INT64] = {"integer", "int64"},   [SCHEMA_UINT8] = {"integer", "byte"},  [SCHEMA_DOUBLE] = {"number", "double"},
    [SCHEMA_BYTES] = {"string", "byte"},
  };
  struct value *v = value_map (a);
  if (f->scalar == SCHEMA_STRUCT)
    return f->type->openapi_name ? openapi_ref (a, dialect, f->type->openapi_name) : type_schema (a, dialect, f->type, depth + 1);
  if (any_value (owner, f))
    return v;
  if (f->flags & (SCHEMA_PRESERVE_UNKNOWN | SCHEMA_EMBEDDED_OBJECT)) {
    value_set_string (a, v, "type", "object");
    value_set_bool (a, v, "x-kubernetes-preserve-unknown-fields", true);
    return v;
  }
  const struct leaf *leaf = leaf_of (f->scalar);
  if (leaf)
    return openapi_ref (a, dialect, leaf->name);
  value_set_string (a, v, "type", types[f->scalar][0]);
  value_set_string (a, v, "format", types[f->scalar][1]);
  for (const char *const *e = f->enum_values; e && *e; e++)
    value_append (a, value_ensure_array (a, v, "enum"), value_string (a, *e));
  return v;
}

static struct value *
container_schema (struct arena *a, uint8_t shape, struct value *element)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "type", shape == SCHEMA_LIST ? "array" : "object");
  value_set (a, v, shape == SCHEMA_LIST ? "items" : "additionalProperties", element);
  return v;
}

static void
add_list_words (struct arena *a, struct value *v, const struct schema_field *f)
{
  static const char *const list_types[] = {"atomic", "set", "map"};
  bool merge = f->flags & SCHEMA_PATCH_MERGE, retain = f->flags & SCHEMA_PATCH_RETAIN_KEYS;
  if (f->shape == SCHEMA_LIST && (f->list != SCHEMA_LIST_ATOMIC || !merge))
    value_set_string (a, v, "x-kubernetes-list-type", list_types[f->list]);
  for (const char *const *key = f->list_map_keys; key && *key; key++)
    value_append (a, value_ensure_array (a, v, "x-kubernetes-list-map-keys"), value_string (a, *key));
  value_set_string (a, v, "x-kubernetes-patch-merge-key", f->merge_key);
  if (merge || retain)
    value_set_string (a, v, "x-kubernetes-patch-strategy", !retain ? "merge" : merge ? "merge,retainKeys" : "retainKeys");
  if (f->flags & SCHEMA_MAP_ATOMIC)
    value_set_string (a, v, "x-kubernetes-map-type", "atomic");
}

static struct value *
field_schema (struct arena *a, enum openapi_dialect dialect, const struct schema_type *owner, const struct schema_field *f, int depth)
{
  struct value *v = element_schema (a, dialect, owner, f, depth), *otherwise = NULL;
  if (f->shape == SCHEMA_MAP_OF_LISTS)
    v = container_schema (a, SCHEMA_MAP, container_schema (a, SCHEMA_LIST, v));
  else if (f->shape != SCHEMA_ONE)
    v = container_schema (a, f->shape, v);
  bool words = *f->doc || f->default_json || (f->flags & SCHEMA_MAP_ATOMIC);
  if (dialect == OPENAPI_V3 && words && value_get (v, "$ref")) { /* a reference has no siblings there */
    struct value *outer = value_map (a);
    value_append (a, value_ensure_array (a, outer, "allOf"), v);
    v = outer;
  }
  if (*f->doc)
    value_set_string (a, v, "description", f->doc);
  if (f->default_json && json_parse (a, f->default_json, strlen (f->default_json), &otherwise, NULL, NULL) == 0)
    value_set (a, v, "default", otherwise);
  if (f->flags & SCHEMA_NULLABLE)
    value_set_bool (a, v, dialect == OPENAPI_V3 ? "nullable" : "x-nullable", true);
  add_list_words (a, v, f);
  return v;
}

/* ---- one type ---- */
static struct value *
type_schema (struct arena *a, enum openapi_dialect dialect, const struct schema_type *t, int depth)
{
  struct value *v = value_map (a);
  if (t->doc && *t->doc)
    value_set_string (a, v, "description", t->doc);
  value_set_string (a, v, "type", "object");
  if (depth > INLINE_DEPTH_MAX)
    return v;
  for (const struct schema_field *f = t->fields, *end = f + t->n_fields; f < end; f++) {
    value_set (a, value_ensure_map (a, v, "properties"), f->name, field_schema (a, dialect, t, f, depth));
    if (f->flags & SCHEMA_REQUIRED)
      value_append (a, value_ensure_array (a, v, "required"), value_string (a, f->name));
  }
  if (t->flags & SCHEMA_MAP_ATOMIC)
    value_set_string (a, v, "x-kubernetes-map-type", "atomic");
  if (t->flags & SCHEMA_PRESERVE_UNKNOWN)
    value_set_bool (a, v, "x-kubernetes-preserve-unknown-fields", true);
  return v;
}

/* The list of a kind that has no row for it: of custom resources. */
static struct value *
made_list_schema (struct arena *a, enum openapi_dialect dialect, const struct schema_kind *k)
{
  struct value *v = value_map (a), *properties = value_ensure_map (a, v, "properties"), *string = value_map (a);
  value_set (a, v, "description", value_printf (a, "A list of %s objects.", k->kind));
  value_set_string (a, v, "type", "object");
  value_set_string (a, string, "type", "string");
  value_set (a, properties, "apiVersion", string);
  value_set (a, properties, "items", container_schema (a, SCHEMA_LIST, openapi_ref (a, dialect, k->type->openapi_name)));
  value_set (a, properties, "kind", value_clone (a, string));
  value_set (a, properties, "metadata", openapi_ref (a, dialect, OPENAPI_META "ListMeta"));
  value_append (a, value_ensure_array (a, v, "required"), value_string (a, "items"));
  return v;
}

/* ---- what is needed ---- */
struct definition { /* one of type, leaf, list_of */
  const char *name;
  const struct schema_type *type;
  const struct leaf *leaf;
  const struct schema_kind *list_of;
};
struct collector {
  struct arena *arena;
  struct map *seen;
  struct definition *items;
  size_t count, cap;
  bool failed;
};

static void
collect (struct collector *c, struct definition d)
{
  static char present;
  if (c->failed || !d.name || map_get (c->seen, d.name))
    return;
  if (c->count == c->cap) {
    size_t cap = c->cap ? 2 * c->cap : 256;
    struct definition *items = arena_alloc (c->arena, cap * sizeof *items);
    if (!items) {
      c->failed = true;
      return;
    }
    if (c->count)
      memcpy (items, c->items, c->count * sizeof *items);
    c->items = items;
    c->cap = cap;
  }
  c->failed = map_set (c->seen, d.name, &present) != 0;
  c->items[c->count++] = d;
}

static void
collect_fields (struct collector *c, const struct schema_type *t, int depth)
{
  for (const struct schema_field *f = t->fields, *end = f + t->n_fields; f < end && depth <= INLINE_DEPTH_MAX; f++) {
    const struct leaf *leaf = leaf_of (f->scalar);
    if (leaf && !any_value (t, f))
      collect (c, (struct definition){.name = leaf->name, .leaf = leaf});
    else if (f->type && f->type->openapi_name)
      collect (c, (struct definition){.name = f->type->openapi_name, .type = f->type});
    else if (f->type)
      collect_fields (c, f->type, depth + 1);
  }
}

static void
collect_type (struct collector *c, const struct schema_type *t)
{
  if (t)
    collect (c, (struct definition){.name = t->openapi_name, .type = t});
}

static bool
is_option_type (const struct schema_subresource *s)
{
  size_t n = strlen (s->kind);
  return n > 7 && strcmp (s->kind + n - 7, "Options") == 0;
}

static void
collect_kind (struct collector *c, const struct schema_kind *k)
{
  collect_type (c, k->type);
  const struct schema_type *list = list_type (k);
  if (list)
    collect_type (c, list);
  else if (k->verbs & SCHEMA_LIST_VERB)
    collect (c, (struct definition){.name = openapi_list_name (c->arena, k), .list_of = k});
  for (size_t i = 0; i < k->n_subresources; i++) {
    const struct schema_subresource *s = &k->subresources[i];
    char gv[320];
    snprintf (gv, sizeof gv, "%s%s%s", s->group, *s->group ? "/" : "", s->version);
    if (!is_option_type (s))
      collect_type (c, schema_type_find (gv, s->kind));
  }
}

/* ---- group, version and kind of a definition ---- */
static void
add_gvks (struct arena *a, struct value *v, const struct definition *d, const struct schema_kind **kinds, size_t n)
{
  static const char *const everywhere[] = {"DeleteOptions", "WatchEvent"}, *const once[] = {"Status", "APIResourceList", "APIGroup", "APIGroupList", "APIVersions"};
  const struct schema_type *t = d->type;
  struct value *list = value_array (a);
  for (size_t i = 0; i < n; i++) {
    const struct schema_kind *k = kinds[i];
    size_t length = strlen (k->kind);
    if (t == k->type)
      value_append (a, list, openapi_gvk (a, k->group, k->version, k->kind));
    else if (d->list_of == k || (t && t == list_type (k)))
      value_append (a, list, openapi_gvk (a, k->group, k->version, arena_printf (a, "%.*sList", (int) length, k->kind)));
    for (size_t s = 0; t && s < k->n_subresources && !value_count (list); s++) {
      char gv[320];
      const struct schema_subresource *sub = &k->subresources[s];
      snprintf (gv, sizeof gv, "%s%s%s", sub->group, *sub->group ? "/" : "", sub->version);
      if (strcmp (sub->kind, t->name) == 0 && strcmp (gv, t->group_version) == 0)
        value_append (a, list, openapi_gvk (a, sub->group, sub->version, sub->kind));
    }
  }
  bool meta = t && strcmp (t->group_version, "meta/v1") == 0;
  for (size_t i = 0; meta && i < sizeof once / sizeof *once; i++)
    if (strcmp (t->name, once[i]) == 0)
      value_append (a, list, openapi_gvk (a, "", "v1", t->name));
  for (size_t e = 0; meta && e < sizeof everywhere / sizeof *everywhere; e++)
    for (size_t i = 0; strcmp (t->name, everywhere[e]) == 0 && i < n; i += kind_set_version_run (kinds, n, i))
      value_append (a, list, openapi_gvk (a, kinds[i]->group, kinds[i]->version, t->name));
  if (value_count (list))
    value_set (a, v, "x-kubernetes-group-version-kind", list);
}

static int
compare_definitions (const void *a, const void *b)
{
  return strcmp (((const struct definition *) a)->name, ((const struct definition *) b)->name);
}

bool
openapi_each_definition (enum openapi_dialect dialect, const struct schema_kind **kinds, size_t n, openapi_definition_cb definition_cb, void *context)
{
  static const char *const always[] = {"DeleteOptions", "Status", "WatchEvent", "APIResourceList", "APIGroup", "APIGroupList", "APIVersions"};
  AUTO_ARENA struct arena names, scratch;
  struct collector c = {.arena = &names, .seen = map_new (NULL)};
  arena_init (&names, OPENAPI_ARENA_BYTES_MAX);
  arena_init (&scratch, OPENAPI_ARENA_BYTES_MAX);
  c.failed = !c.seen;
  for (size_t i = 0; i < n; i++)
    collect_kind (&c, kinds[i]);
  for (size_t i = 0; i < sizeof always / sizeof *always; i++)
    collect_type (&c, schema_type_find ("meta/v1", always[i]));
  collect (&c, (struct definition){.name = patch_leaf.name, .leaf = &patch_leaf});
  for (size_t i = 0; i < c.count && !c.failed; i++) { /* grows while it is walked */
    if (c.items[i].type)
      collect_fields (&c, c.items[i].type, 0);
    else if (c.items[i].list_of)
      collect_type (&c, schema_type_find ("meta/v1", "ListMeta"));
  }
  map_free (c.seen);
  if (c.count)
    qsort (c.items, c.count, sizeof *c.items, compare_definitions);
  for (size_t i = 0; i < c.count && !c.failed; i++) {
    const struct definition *d = &c.items[i];
    struct value *v = d->type ? type_schema (&scratch, dialect, d->type, 0)
                      : d->leaf ? leaf_schema (&scratch, dialect, d->leaf) : made_list_schema (&scratch, dialect, d->list_of);
    add_gvks (&scratch, v, d, kinds, n);
    c.failed = !arena_ok (&scratch);
    if (!c.failed)
      definition_cb (context, d->name, v);
    arena_reset (&scratch);
  }
  return !c.failed;
}
