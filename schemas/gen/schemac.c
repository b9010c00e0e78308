/* schemac OUT.c FILE.rows...: compiles the tables of the API to constant C. Every mistake in a row is an error that names its
   file and line; the output is written beside and renamed, so a failed run leaves no half of a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schemas/gen/rows.h"
#include "schemas/schema.h"

static struct rows rows;
static FILE *out;
static char temporary[4096];

static void
remove_temporary (void) /* gone already when the run was good */
{
  if (*temporary)
    unlink (temporary);
}

static int
compare_types (const void *a, const void *b)
{
  const struct row_type *x = *(struct row_type *const *) a, *y = *(struct row_type *const *) b;
  int c = strcmp (x->package->group_version, y->package->group_version);
  return c ? c : strcmp (x->name, y->name);
}

/* Groups by falling priority, then name; versions by falling priority; then by resource: the order of discovery. */
static int
compare_kinds (const void *a, const void *b)
{
  const struct row_kind *x = *(struct row_kind *const *) a, *y = *(struct row_kind *const *) b;
  if (x->package->group_priority != y->package->group_priority)
    return y->package->group_priority - x->package->group_priority;
  int c = strcmp (x->package->group, y->package->group);
  if (c)
    return c;
  if (x->package->version_priority != y->package->version_priority)
    return y->package->version_priority - x->package->version_priority;
  c = strcmp (x->package->version, y->package->version);
  return c ? c : strcmp (x->resource, y->resource);
}

static int
compare_kind_keys (const struct row_kind *x, const struct row_kind *y, const char *name_x, const char *name_y)
{
  int c = strcmp (x->package->group, y->package->group);
  if (!c)
    c = strcmp (x->package->version, y->package->version);
  return c ? c : strcmp (name_x, name_y);
}

static int
compare_by_resource (const void *a, const void *b)
{
  const struct row_kind *x = rows.kinds[*(const size_t *) a], *y = rows.kinds[*(const size_t *) b];
  return compare_kind_keys (x, y, x->resource, y->resource);
}

static int
compare_by_kind (const void *a, const void *b)
{
  const struct row_kind *x = rows.kinds[*(const size_t *) a], *y = rows.kinds[*(const size_t *) b];
  return compare_kind_keys (x, y, x->kind, y->kind);
}

/* "Name" is of the package itself, "group/version.Name" of another: gives that package's group/version and the name. */
static const char *
qualify (const struct package *package, const char *name, size_t *ret_gv_len, const char **ret_gv)
{
  const char *dot = strrchr (name, '.');
  *ret_gv = dot ? name : package->group_version;
  *ret_gv_len = dot ? (size_t) (dot - name) : strlen (package->group_version);
  return dot ? dot + 1 : name;
}

static bool
in_package (const struct package *p, const char *gv, size_t gv_len)
{
  return strlen (p->group_version) == gv_len && memcmp (p->group_version, gv, gv_len) == 0;
}

static size_t
find_type (struct place at, const struct package *package, const char *full)
{
  const char *gv;
  size_t gv_len;
  const char *name = qualify (package, full, &gv_len, &gv);
  for (size_t i = 0; i < rows.n_types; i++)
    if (in_package (rows.types[i]->package, gv, gv_len) && strcmp (rows.types[i]->name, name) == 0)
      return i;
  fail_at (at, "no type %s in %.*s", name, (int) gv_len, gv);
}

static const struct row_enum *
find_enum (struct place at, const struct package *package, const char *full)
{
  const char *gv;
  size_t gv_len;
  const char *name = qualify (package, full, &gv_len, &gv);
  for (size_t i = 0; i < rows.n_enums; i++)
    if (in_package (rows.enums[i]->package, gv, gv_len) && strcmp (rows.enums[i]->name, name) == 0)
      return rows.enums[i];
  fail_at (at, "no enum %s in %.*s", name, (int) gv_len, gv);
}

static size_t
find_kind (struct place at, const struct package *package, const char *full)
{
  const char *gv;
  size_t gv_len;
  const char *name = qualify (package, full, &gv_len, &gv);
  for (size_t i = 0; i < rows.n_kinds; i++)
    if (in_package (rows.kinds[i]->package, gv, gv_len) && strcmp (rows.kinds[i]->kind, name) == 0)
      return i;
  fail_at (at, "no kind %s in %.*s", name, (int) gv_len, gv);
}

static void
emit_string (const char *s)
{
  if (!s) {
    fputs ("NULL", out);
    return;
  }
  fputc ('"', out);
  for (; *s; s++) {
    if (*s == '"' || *s == '\\')
      fputc ('\\', out);
    fputc (*s, out);
  }
  fputc ('"', out);
}

static void
emit_words (const char *label, const struct words *w)
{
  if (!w->count)
    return;
  fprintf (out, ", .%s = (const char *const[]){", label);
  for (size_t i = 0; i < w->count; i++) {
    emit_string (w->at[i]);
    fputs (", ", out);
  }
  fputs ("NULL}", out);
}

static const char *
scalar_of (const char *name)
{
  static const char *const table[][2] = {
    {"string", "SCHEMA_STRING"},     {"bool", "SCHEMA_BOOL"},         {"int32", "SCHEMA_INT32"},       {"int64", "SCHEMA_INT64"},
    {"uint8", "SCHEMA_UINT8"},       {"double", "SCHEMA_DOUBLE"},     {"bytes", "SCHEMA_BYTES"},       {"time", "SCHEMA_TIME"},
    {"raw", "SCHEMA_RAW"},           {"quantity", "SCHEMA_QUANTITY"}, {"duration", "SCHEMA_DURATION"}, {"fieldsv1", "SCHEMA_FIELDS_V1"},
    {"microtime", "SCHEMA_MICRO_TIME"}, {"intorstring", "SCHEMA_INT_OR_STRING"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp (table[i][0], name) == 0)
      return table[i][1];
  return NULL;
}

static void
emit_field (const struct row_type *owner, const struct row_field *f, const int wrap[2])
{
  const char *scalar = scalar_of (f->type_name);
  fputs ("      {.name = ", out);
  emit_string (f->name);
  fputs (", .doc = ", out);
  emit_string (f->doc ? f->doc : "");
  if (!scalar)
    fprintf (out, ", .type = &schema_table_types[%zu]", find_type (f->place, owner->package, f->type_name));
  fprintf (out, ", .scalar = %s", scalar ? scalar : "SCHEMA_STRUCT");
  if (f->map_shape)
    fputs (f->list_shape ? ", .shape = SCHEMA_MAP_OF_LISTS" : ", .shape = SCHEMA_MAP", out);
  else if (f->list_shape)
    fputs (", .shape = SCHEMA_LIST", out);
  if (f->list_set)
    fputs (", .list = SCHEMA_LIST_SET", out);
  if (f->list_keys.count)
    fputs (", .list = SCHEMA_LIST_MAP", out);
  if (f->enum_name)
    emit_words ("enum_values", &find_enum (f->place, owner->package, f->enum_name)->values);
  emit_words ("list_map_keys", &f->list_keys);
  if (f->merge_key) {
    fputs (", .merge_key = ", out);
    emit_string (f->merge_key);
  }
  if (f->default_json) {
    fputs (", .default_json = ", out);
    emit_string (f->default_json);
  }
  if (f->format) {
    fputs (", .format = ", out);
    emit_string (f->format);
  }
  if (f->minimum || f->maximum)
    fprintf (out, ", .minimum = %lldLL, .maximum = %lldLL", f->minimum, f->maximum);
  fprintf (out, ", .flags = %uu, .pb_number = %d", f->flags | (f->pointer ? SCHEMA_POINTER : 0u), f->pb);
  if (wrap[0])
    fprintf (out, ", .pb_wrap = {%d, %d}", wrap[0], wrap[1]);
  fputs ("},\n", out);
}

/* Writes the fields of t, inline ones in their place; gives their count. */
static size_t
emit_fields (const struct row_type *t, const int wrap[2], int depth)
{
  size_t n = 0;
  for (size_t i = 0; i < t->n_fields; i++) {
    const struct row_field *f = &t->fields[i];
    if (!f->is_inline) {
      emit_field (t, f, wrap);
      n++;
      continue;
    }
    if (depth == 2)
      fail_at (f->place, "inlined more than twice");
    int inner[2] = {wrap[0], wrap[1]};
    if (f->pb)
      inner[wrap[0] != 0] = f->pb;
    n += emit_fields (rows.types[find_type (f->place, t->package, f->type_name)], inner, depth + 1);
  }
  return n;
}

static void
emit_types (void)
{
  fprintf (out, "const size_t schema_table_n_types = %zu;\nconst struct schema_type schema_table_types[] = {\n", rows.n_types);
  for (size_t i = 0; i < rows.n_types; i++) {
    const struct row_type *t = rows.types[i];
    if (i && compare_types (&rows.types[i - 1], &rows.types[i]) == 0)
      fail_at (t->place, "type %s is already at %s:%d", t->name, rows.types[i - 1]->place.file, rows.types[i - 1]->place.line);
    size_t n = 0;
    fputs ("  {.group_version = ", out);
    emit_string (t->package->group_version);
    fputs (", .name = ", out);
    emit_string (t->name);
    fprintf (out, ", .openapi_name = \"%s.%s\", .doc = ", t->package->openapi, t->name);
    emit_string (t->doc ? t->doc : "");
    if (t->n_fields) {
      fputs (", .fields = (const struct schema_field[]){\n", out);
      n = emit_fields (t, (int[2]){0, 0}, 0);
      fputs ("    }", out);
    }
    fprintf (out, ", .n_fields = %zu, .flags = %uu},\n", n, t->flags);
  }
  fputs ("};\n\n", out);
}

static void
emit_sub (const struct row_kind *k, const struct row_sub *s)
{
  const char *gv;
  size_t gv_len;
  const char *name = qualify (k->package, s->kind_name, &gv_len, &gv);
  find_type (s->place, k->package, s->kind_name);
  const char *slash = memchr (gv, '/', gv_len);
  const char *version = slash ? slash + 1 : gv;
  fprintf (out, "      {.name = \"%s\", .group = \"%.*s\", .version = \"%.*s\", .kind = \"%s\", .verbs = %uu},\n", s->name,
           slash ? (int) (slash - gv) : 0, gv, (int) (gv + gv_len - version), version, name, s->verbs);
}

static void
emit_column (const struct row_column *c)
{
  fputs ("      {.name = ", out);
  emit_string (c->name);
  fputs (", .type = ", out);
  emit_string (c->type);
  fputs (", .format = ", out);
  emit_string (c->format);
  fputs (", .doc = ", out);
  emit_string (c->doc);
  fprintf (out, ", .priority = %d, .path = ", c->priority);
  emit_string (c->path);
  fputs ("},\n", out);
}

static void
emit_kind (const struct row_kind *k)
{
  if (!k->verbs)
    fail_at (k->place, "kind %s has no verbs", k->kind);
  if (!k->package->group_priority)
    fail_at (k->place, "kind %s is in package %s, which has no priority", k->kind, k->package->group_version);
  fprintf (out, "  {.group = \"%s\", .version = \"%s\", .kind = \"%s\", .resource = \"%s\", .singular = \"%s\"", k->package->group,
           k->package->version, k->kind, k->resource, k->singular);
  fprintf (out, ", .type = &schema_table_types[%zu]", find_type (k->place, k->package, k->kind));
  emit_words ("short_names", &k->shorts);
  emit_words ("categories", &k->categories);
  emit_words ("selectable_fields", &k->selects);
  emit_words ("index_streams", &k->indexes);
  fprintf (out, ", .verbs = %uu", k->verbs);
  fputs (k->namespaced ? ", .namespaced = true" : "", out);
  fputs (k->virtual_ ? ", .virtual_ = true" : "", out);
  fputs (k->generation ? ", .generation = true" : "", out);
  if (k->storage_name)
    fprintf (out, ", .storage = &schema_table_kinds[%zu]", find_kind (k->place, k->package, k->storage_name));
  if (k->n_subs) {
    fprintf (out, ",\n    .n_subresources = %zu, .subresources = (const struct schema_subresource[]){\n", k->n_subs);
    for (size_t i = 0; i < k->n_subs; i++)
      emit_sub (k, &k->subs[i]);
    fputs ("    }", out);
  }
  if (k->n_columns) {
    fprintf (out, ",\n    .n_columns = %zu, .columns = (const struct schema_column[]){\n", k->n_columns);
    for (size_t i = 0; i < k->n_columns; i++)
      emit_column (&k->columns[i]);
    fputs ("    }", out);
  }
  fputs ("},\n", out);
}

static void
emit_index (const char *name, int (*compare_cb) (const void *, const void *))
{
  size_t *order = xzalloc (rows.n_kinds * sizeof *order);
  for (size_t i = 0; i < rows.n_kinds; i++)
    order[i] = i;
  qsort (order, rows.n_kinds, sizeof *order, compare_cb);
  for (size_t i = 1; i < rows.n_kinds; i++)
    if (compare_cb (&order[i - 1], &order[i]) == 0)
      fail_at (rows.kinds[order[i]]->place, "kind %s is already at %s:%d", rows.kinds[order[i]]->kind,
               rows.kinds[order[i - 1]]->place.file, rows.kinds[order[i - 1]]->place.line);
  fprintf (out, "const uint16_t %s[] = {", name);
  for (size_t i = 0; i < rows.n_kinds; i++)
    fprintf (out, "%s%zu,", i % 24 ? " " : "\n  ", order[i]);
  fputs ("\n};\n", out);
}

static void
emit_priorities (void)
{
  fputs ("const struct schema_table_priority schema_table_priorities[] = {\n", out);
  for (size_t i = 0; i < rows.n_packages; i++)
    if (rows.packages[i]->group_priority)
      fprintf (out, "  {\"%s\", \"%s\", %d, %d},\n", rows.packages[i]->group, rows.packages[i]->version,
               rows.packages[i]->group_priority, rows.packages[i]->version_priority);
  fputs ("  {NULL, NULL, 0, 0},\n};\n", out);
}

int
main (int argc, char **argv)
{
  if (argc < 3) {
    fputs ("usage: schemac OUT.c FILE.rows...\n", stderr);
    return 2;
  }
  for (int i = 2; i < argc; i++)
    rows_read (&rows, argv[i]);
  qsort (rows.types, rows.n_types, sizeof *rows.types, compare_types);
  qsort (rows.kinds, rows.n_kinds, sizeof *rows.kinds, compare_kinds);

  snprintf (temporary, sizeof temporary, "%s.%ld.tmp", argv[1], (long) getpid ());
  out = fopen (temporary, "we");
  if (!out) {
    perror (temporary);
    return 1;
  }
  atexit (remove_temporary);
  fputs ("/* Made by schemas/gen/schemac.c from schemas/api. */\n#include \"schemas/tables.h\"\n\n", out);
  emit_types ();
  fprintf (out, "const size_t schema_table_n_kinds = %zu;\nconst struct schema_kind schema_table_kinds[] = {\n", rows.n_kinds);
  for (size_t i = 0; i < rows.n_kinds; i++)
    emit_kind (rows.kinds[i]);
  fputs ("};\n\n", out);
  emit_index ("schema_table_by_resource", compare_by_resource);
  emit_index ("schema_table_by_kind", compare_by_kind);
  emit_priorities ();
  if (ferror (out) || fclose (out) || rename (temporary, argv[1])) {
    perror (argv[1]);
    return 1;
  }
  return 0;
}
