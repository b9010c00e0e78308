/* What the printers_*.c share: a row under way and the cells that most kinds have. */
#ifndef SCHEMAS_PRINTERS_INTERNAL_H
#define SCHEMAS_PRINTERS_INTERNAL_H

#include "schemas/machinery.h"

struct row {
  struct arena *arena;
  const struct value *obj;
  struct value *cells;
  int64_t now_us;
};
struct row_printer { /* appends the computed cells in the order of the kind's columns, all but the leading name */
  const char *group, *kind;
  void (*print_cb) (struct row *r);
};
extern const struct row_printer row_printers_core[], row_printers_workloads[], row_printers_misc[]; /* end with a NULL kind */

void row_string (struct row *r, const char *s); /* NULL: "" */
void row_int (struct row *r, int64_t i);
void row_bool (struct row *r, bool b);
void row_printf (struct row *r, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
void row_path (struct row *r, const char *path, const char *otherwise); /* the string there */
void row_count (struct row *r, const char *path);                       /* items or members there */
void row_age (struct row *r);                                           /* of metadata.creationTimestamp */
/* Names and images of spec.containers under a path ("spec.template.spec"), two cells. */
void row_containers (struct row *r, const char *pod_spec_path);

/* Text pieces; never NULL unless the arena failed. */
const char *print_duration (struct arena *a, int64_t seconds);                   /* as kubectl's ages */
const char *print_labels (struct arena *a, const struct value *labels);          /* "a=b,c=d" sorted, or "<none>" */
const char *print_selector (struct arena *a, const struct value *label_selector); /* "a=b,c in (x,y)", or "<none>" */
struct text_list { /* grows "a,b,c" */
  struct arena *arena;
  const char *text;
  size_t count;
};
void text_list_add (struct text_list *l, const char *separator, const char *s);
int print_compare_strings (const void *a, const void *b); /* qsort of const char * */

#endif
