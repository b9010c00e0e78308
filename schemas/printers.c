#include "schemas/printers_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "schemas/json_path.h"

/* ---- ages ---- */
const char *
print_duration (struct arena *a, int64_t seconds)
{
  int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24, years = days / 365;
  if (seconds < -1)
    return "<invalid>";
  if (seconds < 0)
    return "0s";
  if (seconds < 120)
    return arena_printf (a, "%ds", (int) seconds);
  if (minutes < 10)
    return seconds % 60 ? arena_printf (a, "%dm%ds", (int) minutes, (int) (seconds % 60)) : arena_printf (a, "%dm", (int) minutes);
  if (minutes < 180)
    return arena_printf (a, "%dm", (int) minutes);
  if (hours < 8)
    return minutes % 60 ? arena_printf (a, "%dh%dm", (int) hours, (int) (minutes % 60)) : arena_printf (a, "%dh", (int) hours);
  if (hours < 48)
    return arena_printf (a, "%dh", (int) hours);
  if (hours < 24 * 8)
    return hours % 24 ? arena_printf (a, "%dd%dh", (int) days, (int) (hours % 24)) : arena_printf (a, "%dd", (int) days);
  if (hours < 24 * 365 * 2)
    return arena_printf (a, "%dd", (int) days);
  if (hours < 24 * 365 * 8 && days % 365)
    return arena_printf (a, "%dy%dd", (int) years, (int) (days % 365));
  return arena_printf (a, "%dy", (int) years);
}

const char *
printer_age (struct arena *a, const char *rfc3339, int64_t now_us)
{
  wall_t then;
  if (!rfc3339 || !*rfc3339 || wall_parse (rfc3339, &then, NULL))
    return "<unknown>";
  return print_duration (a, (now_us - then.us) / 1000000);
}

/* ---- text ---- */
void
text_list_add (struct text_list *l, const char *separator, const char *s)
{
  l->text = l->count++ ? arena_printf (l->arena, "%s%s%s", l->text, separator, s) : s;
  if (!l->text)
    l->text = "";
}

int
print_compare_strings (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static const char *
join_sorted (struct arena *a, const char **parts, size_t n)
{
  struct text_list list = {.arena = a};
  qsort (parts, n, sizeof *parts, print_compare_strings);
  for (size_t i = 0; i < n; i++)
    text_list_add (&list, ",", parts[i] ? parts[i] : "");
  return list.count ? list.text : "<none>";
}

const char *
print_labels (struct arena *a, const struct value *labels)
{
  size_t n = 0;
  const char **parts = arena_alloc (a, (value_count (labels) + 1) * sizeof *parts);
  if (!parts)
    return "<none>";
  for (value_each (labels, m))
    if ((parts[n] = arena_printf (a, "%s=%s", m->key, value_as_string (m->value, ""))))
      n++;
  return join_sorted (a, parts, n);
}

static const char *
print_requirement (struct arena *a, const struct value *e)
{
  const char *key = value_path_string (e, "key", ""), *operator = value_path_string (e, "operator", "");
  struct text_list values = {.arena = a, .text = ""};
  if (strcmp (operator, "Exists") == 0)
    return key;
  if (strcmp (operator, "DoesNotExist") == 0)
    return arena_printf (a, "!%s", key);
  for (value_items (value_get (e, "values"), v))
    text_list_add (&values, ",", value_as_string (*v, ""));
  return arena_printf (a, "%s %s (%s)", key, strcmp (operator, "NotIn") == 0 ? "notin" : "in", values.text);
}

const char *
print_selector (struct arena *a, const struct value *label_selector)
{
  const struct value *labels = value_get (label_selector, "matchLabels"),
                     *expressions = value_get (label_selector, "matchExpressions");
  size_t n = 0;
  const char **parts = arena_alloc (a, (value_count (labels) + value_count (expressions) + 1) * sizeof *parts);
  if (!parts)
    return "<none>";
  for (value_each (labels, m))
    if ((parts[n] = arena_printf (a, "%s=%s", m->key, value_as_string (m->value, ""))))
      n++;
  for (value_items (expressions, e))
    if ((parts[n] = print_requirement (a, *e)))
      n++;
  return join_sorted (a, parts, n);
}

/* ---- cells ---- */
void
row_string (struct row *r, const char *s)
{
  value_append (r->arena, r->cells, value_string (r->arena, s ? s : ""));
}

void
row_int (struct row *r, int64_t i)
{
  value_append (r->arena, r->cells, value_int (r->arena, i));
}

void
row_bool (struct row *r, bool b)
{
  value_append (r->arena, r->cells, value_bool (r->arena, b));
}

void
row_printf (struct row *r, const char *fmt, ...)
{
  char text[512];
  va_list ap;
  va_start (ap, fmt);
  vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  row_string (r, text);
}

void
row_path (struct row *r, const char *path, const char *otherwise)
{
  const char *s = value_path_string (r->obj, path, "");
  row_string (r, *s ? s : otherwise);
}

void
row_count (struct row *r, const char *path)
{
  row_int (r, (int64_t) value_count (value_path (r->obj, path)));
}

void
row_age (struct row *r)
{
  row_string (r, printer_age (r->arena, value_path_string (r->obj, "metadata.creationTimestamp", NULL), r->now_us));
}

void
row_containers (struct row *r, const char *pod_spec_path)
{
  struct text_list names = {.arena = r->arena, .text = ""}, images = names;
  for (value_items (value_get (value_path (r->obj, pod_spec_path), "containers"), c)) {
    text_list_add (&names, ",", value_path_string (*c, "name", ""));
    text_list_add (&images, ",", value_path_string (*c, "image", ""));
  }
  row_string (r, names.text);
  row_string (r, images.text);
}

/* ---- a row ---- */
static void
print_path_cell (struct row *r, const struct schema_column *c)
{
  const struct value *v = json_path_first (r->arena, c->path, r->obj);
  if (!v) { /* upstream: null, but a name is never absent */
    value_append (r->arena, r->cells, value_null (r->arena));
    return;
  }
  if (strcmp (c->type, "date") == 0)
    row_string (r, printer_age (r->arena, value_as_string (v, NULL), r->now_us));
  else if (strcmp (c->type, "string") == 0 && !value_is (v, VALUE_STRING))
    row_string (r, json_path_text (r->arena, v));
  else
    value_append (r->arena, r->cells, value_clone (r->arena, v));
}

static const struct row_printer *
find_printer (const struct schema_kind *k)
{
  static const struct row_printer *const tables[] = {row_printers_core, row_printers_workloads, row_printers_misc};
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
    for (const struct row_printer *p = tables[t]; p->kind; p++)
      if (strcmp (p->kind, k->kind) == 0 && strcmp (p->group, k->group) == 0)
        return p;
  return NULL;
}

struct value *
printer_cells (struct arena *a, const struct schema_kind *k, const struct value *obj, int64_t now_us)
{
  struct row r = {.arena = a, .obj = obj, .cells = value_array (a), .now_us = now_us};
  bool computed = false;
  for (size_t i = 0; i < k->n_columns; i++)
    computed = computed || !k->columns[i].path;
  const struct row_printer *p = computed ? find_printer (k) : NULL;
  if (p) {
    if (strcmp (k->columns[0].name, "Name") == 0)
      row_path (&r, "metadata.name", "");
    p->print_cb (&r);
  } else
    for (size_t i = 0; i < k->n_columns; i++) {
      if (k->columns[i].path)
        print_path_cell (&r, &k->columns[i]);
      else /* Age of a kind with no printer of its own */
        row_age (&r);
    }
  REQUIRE (!arena_ok (a) || value_count (r.cells) == k->n_columns);
  return r.cells;
}
