/* Label selectors after k8s.io/apimachinery/pkg/labels: making, matching, printing. */
#include <errno.h>

#include "schemas/selector_internal.h"

struct selector *
selector_new (struct arena *a)
{
  return arena_zalloc (a, sizeof (struct selector));
}

static int
compare_values (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static int
compare_requirements (const void *a, const void *b)
{
  const struct selector_requirement *x = a, *y = b;
  int c = strcmp (x->key, y->key);
  if (!c)
    c = (int) x->op - (int) y->op;
  return c || !x->n_values || !y->n_values ? c : strcmp (x->values[0], y->values[0]);
}

void
selector_sort (struct selector *s)
{
  if (s->n > 1)
    qsort (s->items, s->n, sizeof s->items[0], compare_requirements);
}

static bool
read_number (const char *text, int64_t *ret)
{
  char *end;
  long long v;
  if (!*text || strchr (" \t\n\v\f\r", *text))
    return false;
  errno = 0;
  v = strtoll (text, &end, 10);
  *ret = v;
  return !*end && !errno;
}

static int
check_requirement (const char *key, enum selector_operator op, const struct value *values, struct err *err)
{
  const char *bad = name_qualified (key);
  size_t n = value_count (values);
  int64_t number;
  if (bad)
    return err_set (err, ERR_PARSE, "key: Invalid value: \"%.100s\": %s", key, bad);
  switch (op) {
  case SELECTOR_IN:
  case SELECTOR_NOT_IN:
    if (!n)
      return err_set (err, ERR_PARSE, "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
    break;
  case SELECTOR_EXISTS:
  case SELECTOR_NOT_EXISTS:
    if (n)
      return err_set (err, ERR_PARSE, "values: Invalid value: values set must be empty for exists and does not exist");
    break;
  case SELECTOR_GREATER:
  case SELECTOR_LESS:
    if (n != 1)
      return err_set (err, ERR_PARSE, "values: Invalid value: for 'Gt', 'Lt' operators, exactly one value is required");
    if (!read_number (value_as_string (value_at (values, 0), ""), &number))
      return err_set (err, ERR_PARSE, "values[0]: Invalid value: \"%.100s\": for 'Gt', 'Lt' operators, the value must be an integer",
                      value_as_string (value_at (values, 0), ""));
    break;
  default:
    break;
  }
  for (size_t i = 0; i < n; i++) {
    const char *text = value_as_string (value_at (values, i), NULL);
    bad = text ? name_label_value (text) : "must be a string";
    if (bad)
      return err_set (err, ERR_PARSE, "values[%zu][%.100s]: Invalid value: \"%.100s\": %s", i, key, text ? text : "", bad);
  }
  return 0;
}

int
selector_add (struct arena *a, struct selector *s, const char *key, enum selector_operator op, const struct value *values,
              bool check, struct err *err)
{
  struct selector_requirement *r;
  size_t n = value_count (values);
  int bad;
  if (check && (bad = check_requirement (key, op, values, err)))
    return bad;
  if (s->n == SELECTOR_REQUIREMENTS_MAX || n > SELECTOR_VALUES_MAX)
    return err_set (err, ERR_PARSE, "a selector has at most %d requirements of %d values", SELECTOR_REQUIREMENTS_MAX,
                    SELECTOR_VALUES_MAX);
  if (s->n == s->cap) {
    size_t cap = s->cap ? 2 * s->cap : 4;
    if (!(r = arena_alloc (a, cap * sizeof *r)))
      return err_set (err, ERR_NOMEM, "selector: no room");
    if (s->n)
      memcpy (r, s->items, s->n * sizeof *r);
    s->items = r;
    s->cap = cap;
  }
  r = &s->items[s->n];
  *r = (struct selector_requirement){.key = arena_strdup (a, key), .key_len = strlen (key), .op = op, .n_values = n};
  if (!r->key || (n && !(r->values = arena_alloc (a, n * sizeof *r->values))))
    return err_set (err, ERR_NOMEM, "selector: no room");
  for (size_t i = 0; i < n; i++)
    if (!(r->values[i] = arena_strdup (a, value_as_string (value_at (values, i), ""))))
      return err_set (err, ERR_NOMEM, "selector: no room");
  if (op == SELECTOR_IN || op == SELECTOR_NOT_IN)
    qsort (r->values, n, sizeof *r->values, compare_values);
  if (op == SELECTOR_GREATER || op == SELECTOR_LESS)
    (void) read_number (r->values[0], &r->number);
  s->n++;
  return 0;
}

static int
add_one (struct arena *a, struct selector *s, const char *key, const struct value *text, struct err *err)
{
  struct value *one = (struct value *) text;
  struct value list = {.type = VALUE_ARRAY, .len = 1, .cap = 1, .items = &one};
  return selector_add (a, s, key, SELECTOR_EQUALS, &list, true, err);
}

int
selector_from_map (struct arena *a, const struct value *labels, struct selector **ret, struct err *err)
{
  struct selector *s = selector_new (a);
  if (!s)
    return err_set (err, ERR_NOMEM, "selector: no room");
  for (value_each (labels, m)) {
    int r = add_one (a, s, m->key, m->value, err);
    if (r)
      return r;
  }
  selector_sort (s);
  *ret = s;
  return 0;
}

int
selector_from_label_selector (struct arena *a, const struct value *label_selector, struct selector **ret, struct err *err)
{
  static const struct {
    const char *name;
    enum selector_operator op;
  } operators[] = {{"In", SELECTOR_IN}, {"NotIn", SELECTOR_NOT_IN}, {"Exists", SELECTOR_EXISTS}, {"DoesNotExist", SELECTOR_NOT_EXISTS}};
  const size_t n_operators = sizeof operators / sizeof operators[0];
  struct selector *s = NULL;
  int r = selector_from_map (a, value_get (label_selector ? label_selector : &(struct value){0}, "matchLabels"), &s, err);
  if (r)
    return r;
  s->nothing = value_is_null (label_selector);
  for (value_items (value_get (label_selector ? label_selector : &(struct value){0}, "matchExpressions"), it)) {
    const char *op = value_as_string (value_get (*it, "operator"), "");
    size_t i = 0;
    while (i < n_operators && strcmp (operators[i].name, op))
      i++;
    if (i == n_operators)
      return err_set (err, ERR_PARSE, "\"%.100s\" is not a valid label selector operator", op);
    r = selector_add (a, s, value_as_string (value_get (*it, "key"), ""), operators[i].op, value_get (*it, "values"), true, err);
    if (r)
      return r;
  }
  selector_sort (s);
  *ret = s;
  return 0;
}

static bool
has_value (const struct selector_requirement *r, const char *value)
{
  for (size_t i = 0; i < r->n_values; i++)
    if (!strcmp (r->values[i], value))
      return true;
  return false;
}

bool
selector_requirement_holds (const struct selector_requirement *r, const char *value)
{
  int64_t number;
  switch (r->op) {
  case SELECTOR_EQUALS:
  case SELECTOR_DOUBLE_EQUALS:
  case SELECTOR_IN:
    return value && has_value (r, value);
  case SELECTOR_NOT_EQUALS:
  case SELECTOR_NOT_IN:
    return !value || !has_value (r, value);
  case SELECTOR_EXISTS:
    return value;
  case SELECTOR_NOT_EXISTS:
    return !value;
  case SELECTOR_GREATER:
    return value && read_number (value, &number) && number > r->number;
  case SELECTOR_LESS:
    return value && read_number (value, &number) && number < r->number;
  }
  return false;
}

bool
selector_matches (const struct selector *s, const struct value *labels)
{
  if (!s)
    return true;
  if (s->nothing)
    return false;
  for (size_t i = 0; i < s->n; i++) {
    const struct value *v = value_get_n (labels, s->items[i].key, s->items[i].key_len);
    if (!selector_requirement_holds (&s->items[i], v ? value_as_string (v, "") : NULL))
      return false;
  }
  return true;
}

const char *
selector_string (struct arena *a, const struct selector *s)
{
  static const char *const sign[] = {"=", "==", "!=", " in (", " notin (", "", "", ">", "<"};
  struct buf b AUTO_BUF = BUF_INIT;
  for (size_t i = 0; s && i < s->n; i++) {
    const struct selector_requirement *r = &s->items[i];
    bool set = r->op == SELECTOR_IN || r->op == SELECTOR_NOT_IN;
    buf_append_str (&b, i ? "," : "");
    buf_append_str (&b, r->op == SELECTOR_NOT_EXISTS ? "!" : "");
    buf_append (&b, r->key, r->key_len);
    buf_append_str (&b, sign[r->op]);
    for (size_t k = 0; k < r->n_values; k++) {
      buf_append_str (&b, k ? "," : "");
      buf_append_str (&b, r->values[k]);
    }
    buf_append_str (&b, set ? ")" : "");
  }
  if (b.failed) {
    a->failed = true;
    return "";
  }
  return arena_strdup (a, buf_cstr (&b));
}

const char *
selector_required_value (const struct selector *s, const char *path)
{
  for (size_t i = 0; s && i < s->n; i++)
    if (s->items[i].op <= SELECTOR_DOUBLE_EQUALS && !strcmp (s->items[i].key, path))
      return s->items[i].values[0];
  return NULL;
}
