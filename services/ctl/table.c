#include "services/ctl/ctl.h"

/* Cells row by row; columns as wide as their widest, three blanks between, as kubectl prints them. */
int
ctl_table_cell (struct ctl_table *t, struct arena *a, const char *text)
{
  char *copy = arena_strdup (a, text ? text : "");
  if (t->n_cells == t->cap) {
    size_t cap = t->cap ? t->cap * 2 : 256;
    char **more = arena_alloc (a, cap * sizeof *more);
    if (!more)
      return ERR_NOMEM;
    if (t->n_cells)
      memcpy (more, t->cells, t->n_cells * sizeof *more);
    t->cells = more;
    t->cap = cap;
  }
  if (!copy)
    return ERR_NOMEM;
  t->cells[t->n_cells++] = copy;
  return 0;
}

/* Code points, not bytes. */
static size_t
width (const char *s)
{
  size_t n = 0;
  for (; *s; s++)
    n += ((unsigned char) *s & 0xc0) != 0x80;
  return n;
}

/* Control bytes of a cell would move the terminal's cursor: one line, printable. */
static void
put (const char *s, FILE *to)
{
  for (; *s && *s != '\n'; s++)
    fputc ((unsigned char) *s < ' ' || *s == 0x7f ? '?' : *s, to);
}

static size_t
column_width (const struct ctl_table *t, size_t column)
{
  size_t most = 0;
  for (size_t i = column; i < t->n_cells; i += t->n_columns) {
    size_t w = width (t->cells[i]);
    most = w > most ? w : most;
  }
  return most;
}

void
ctl_table_print (const struct ctl_table *t, FILE *to)
{
  size_t *widths AUTO_FREE = t->n_columns ? mem_zalloc (t->n_columns * sizeof *widths) : NULL;
  if (!t->n_columns)
    return;
  for (size_t i = 0; widths && i < t->n_columns; i++)
    widths[i] = column_width (t, i);
  for (size_t i = 0; i < t->n_cells; i++) {
    size_t column = i % t->n_columns, w = widths ? widths[column] : 0, own = width (t->cells[i]);
    put (t->cells[i], to);
    if (column + 1 == t->n_columns)
      fputc ('\n', to);
    else
      fprintf (to, "%*s", (int) (w > own ? w - own : 0) + 3, "");
  }
}
