#include "schemas/yaml.h"

#include <errno.h>
#include <math.h>
#include <yaml.h>

#include "schemas/json.h"

#define DEPTH_MAX 512
#define NODES_MAX 1000000

struct loader {
  struct arena *a;
  yaml_document_t *doc;
  size_t nodes; /* made so far, aliases expanded */
  struct err *err;
};

/* ---- plain scalars, by YAML 1.1 as go-yaml v2 resolves it ---- */

static bool
one_of (const char *s, const char *const *words)
{
  for (; *words; words++)
    if (!strcmp (*words, s))
      return true;
  return false;
}

static bool
integer (const char *s, int64_t *ret)
{
  char digits[80], *d = digits, *end;
  const char *p = s;
  int base = 10;
  long long v;
  if (*p == '+' || *p == '-')
    *d++ = *p++;
  if (*p == '0' && p[1]) {
    base = p[1] == 'x' || p[1] == 'X' ? 16 : p[1] == 'b' || p[1] == 'B' ? 2 : 8;
    p += base == 8 && p[1] != 'o' ? 1 : 2;
  }
  if (!*p || *p == '_')
    return false;
  for (; *p; p++) {
    if (*p == '_')
      continue;
    if (d == digits + sizeof digits - 1)
      return false;
    *d++ = *p;
  }
  *d = 0;
  errno = 0;
  v = strtoll (digits, &end, base);
  if (errno || *end || end == digits || (end == digits + 1 && (digits[0] == '-' || digits[0] == '+')))
    return false;
  *ret = v;
  return true;
}

static bool
real (const char *s, double *ret)
{
  static const char *const inf[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL}, *const minus_inf[] = {"-.inf", "-.Inf", "-.INF", NULL},
                                *const nan[] = {".nan", ".NaN", ".NAN", NULL};
  char *end;
  bool digit = false;
  if (one_of (s, inf) || one_of (s, minus_inf)) {
    *ret = *s == '-' ? -INFINITY : INFINITY;
    return true;
  }
  if (one_of (s, nan)) {
    *ret = NAN;
    return true;
  }
  for (const char *p = s; *p; p++) {
    digit |= *p >= '0' && *p <= '9';
    if (!strchr ("0123456789+-.eE", *p))
      return false;
  }
  *ret = strtod (s, &end);
  return digit && !*end;
}

static struct value *
plain (struct arena *a, const char *s, size_t n)
{
  static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
  static const char *const yes[] = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
  static const char *const no[] = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL};
  int64_t i;
  double f;
  if (strlen (s) != n)
    return value_string_n (a, s, n);
  if (one_of (s, nulls))
    return value_null (a);
  if (one_of (s, yes) || one_of (s, no))
    return value_bool (a, one_of (s, yes));
  if (integer (s, &i))
    return value_int (a, i);
  if (real (s, &f))
    return value_float (a, f);
  return value_string_n (a, s, n);
}

/* ---- the tree ---- */

static struct value *load (struct loader *l, int index, int depth);

static struct value *
fail (struct loader *l, const yaml_node_t *n, int code, const char *what)
{
  err_set (l->err, code, "yaml: line %zu, column %zu: %s", n->start_mark.line + 1, n->start_mark.column + 1, what);
  return NULL;
}

static struct value *
scalar (struct loader *l, const yaml_node_t *n)
{
  const char *s = (const char *) n->data.scalar.value, *tag = (const char *) n->tag;
  size_t len = n->data.scalar.length;
  struct value *v;
  if (tag && !strcmp (tag, "tag:yaml.org,2002:str") && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && l->doc) {
    v = plain (l->a, s, len); /* libyaml gives every untagged scalar this tag */
  } else if (tag && (!strcmp (tag, "tag:yaml.org,2002:int") || !strcmp (tag, "tag:yaml.org,2002:float") || !strcmp (tag, "tag:yaml.org,2002:bool") || !strcmp (tag, "tag:yaml.org,2002:null"))) {
    v = plain (l->a, s, len);
  } else {
    v = value_string_n (l->a, s, len);
  }
  if (value_is (v, VALUE_FLOAT) && !isfinite (v->f))
    return fail (l, n, ERR_PARSE, "JSON has no infinities and no NaN");
  return v ? v : fail (l, n, ERR_NOMEM, "no room for the tree");
}

/* A key as sigs.k8s.io/yaml makes it text. */
static const char *
key_text (struct loader *l, const yaml_node_t *n, size_t *ret_len)
{
  struct buf text AUTO_BUF = BUF_INIT;
  struct value *v = n->type == YAML_SCALAR_NODE ? scalar (l, n) : fail (l, n, ERR_PARSE, "a key must be a scalar");
  const char *s;
  if (!v)
    return NULL;
  if (v->type == VALUE_STRING) {
    *ret_len = v->len;
    return v->s;
  }
  json_write (v, 0, &text);
  *ret_len = text.len;
  s = arena_strndup (l->a, buf_cstr (&text), text.len);
  return s ? s : (fail (l, n, ERR_NOMEM, "no room for the tree"), NULL);
}

/* "<<": members of the maps named, where the map itself has none of that key. */
static bool
merge (struct loader *l, const yaml_node_t *n, struct value *into, const struct value *from)
{
  if (value_is (from, VALUE_ARRAY)) {
    for (value_items (from, it))
      if (!merge (l, n, into, *it))
        return false;
    return true;
  }
  if (!value_is (from, VALUE_MAP))
    return fail (l, n, ERR_PARSE, "map merge requires a map or a sequence of maps as the value");
  for (value_each (from, m))
    if (!value_get_n (into, m->key, m->key_len))
      value_set_n (l->a, into, m->key, m->key_len, m->value);
  return true;
}

static struct value *
mapping (struct loader *l, const yaml_node_t *n, int depth)
{
  struct value *map = value_map (l->a), *merged = NULL;
  for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
    const yaml_node_t *k = yaml_document_get_node (l->doc, p->key);
    size_t len;
    const char *key = key_text (l, k, &len);
    struct value *v = key ? load (l, p->value, depth + 1) : NULL;
    if (!v)
      return NULL;
    if (len == 2 && !memcmp (key, "<<", 2) && k->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
      merged = v;
      continue;
    }
    if (value_get_n (map, key, len))
      return fail (l, k, ERR_PARSE, arena_printf (l->a, "key \"%.100s\" already set in map", key));
    value_set_n (l->a, map, key, len, v);
  }
  return merged && !merge (l, n, map, merged) ? NULL : map;
}

static struct value *
sequence (struct loader *l, const yaml_node_t *n, int depth)
{
  struct value *array = value_array (l->a);
  for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
    struct value *v = load (l, *i, depth + 1);
    if (!v)
      return NULL;
    value_append (l->a, array, v);
  }
  return array;
}

static struct value *
load (struct loader *l, int index, int depth)
{
  const yaml_node_t *n = yaml_document_get_node (l->doc, index);
  struct value *v = NULL;
  if (++l->nodes > NODES_MAX)
    return fail (l, n, ERR_LIMIT, "aliases expand to too many nodes");
  if (depth > DEPTH_MAX)
    return fail (l, n, ERR_PARSE, "nested too deep");
  if (n->type == YAML_SCALAR_NODE)
    v = scalar (l, n);
  else if (n->type == YAML_MAPPING_NODE)
    v = mapping (l, n, depth);
  else if (n->type == YAML_SEQUENCE_NODE)
    v = sequence (l, n, depth);
  if (v && !arena_ok (l->a))
    return fail (l, n, ERR_NOMEM, "no room for the tree");
  return v;
}

static int
parser_error (const yaml_parser_t *p, struct err *err)
{
  if (p->error == YAML_MEMORY_ERROR)
    return err_set (err, ERR_NOMEM, "yaml: out of memory");
  return err_set (err, ERR_PARSE, "yaml: line %zu, column %zu: %s", p->problem_mark.line + 1, p->problem_mark.column + 1, p->problem ? p->problem : "malformed");
}

/* Loads the next document into *ret_v (NULL: an empty one). *ret_end: the stream is over. */
static int
next_document (struct arena *a, yaml_parser_t *p, struct value **ret_v, bool *ret_end, struct err *err)
{
  struct err local = {0};
  yaml_document_t doc;
  struct loader l = {.a = a, .doc = &doc, .err = err ? err : &local};
  yaml_node_t *root;
  if (!yaml_parser_load (p, &doc))
    return parser_error (p, err);
  root = yaml_document_get_root_node (&doc);
  *ret_end = !root;
  *ret_v = root ? load (&l, 1, 0) : NULL;
  yaml_document_delete (&doc);
  return root && !*ret_v ? l.err->code : 0;
}

int
yaml_parse_all (struct arena *a, const char *text, size_t n, struct value **ret_array, struct err *err)
{
  yaml_parser_t p;
  struct value *all = value_array (a);
  bool end = false;
  int r = 0;
  if (!yaml_parser_initialize (&p))
    return err_set (err, ERR_NOMEM, "yaml: out of memory");
  yaml_parser_set_input_string (&p, (const unsigned char *) text, n);
  while (!r && !end) {
    struct value *v;
    if (!(r = next_document (a, &p, &v, &end, err)) && v && v->type != VALUE_NULL)
      value_append (a, all, v);
  }
  yaml_parser_delete (&p);
  if (!r && !arena_ok (a))
    r = err_set (err, ERR_NOMEM, "yaml: no room for the tree");
  if (!r)
    *ret_array = all;
  return r;
}

int
yaml_parse (struct arena *a, const char *text, size_t n, struct value **ret, struct err *err)
{
  struct value *all;
  int r = yaml_parse_all (a, text, n, &all, err);
  if (r)
    return r;
  if (value_count (all) > 1)
    return err_set (err, ERR_PARSE, "yaml: one document was expected, there are %zu", value_count (all));
  *ret = value_count (all) ? value_at (all, 0) : value_null (a);
  return 0;
}

/* ---- writing ---- */

/* True when the text, written plain, would be read back as the same string. */
static bool
may_be_plain (struct arena *a, const struct value *v)
{
  static const char first[] = "-?:,[]{}#&*!|>'\"%@` ";
  struct value *back;
  if (!v->len || memchr (v->s, 0, v->len) || strchr (first, v->s[0]) || v->s[v->len - 1] == ' ' || v->s[v->len - 1] == ':')
    return v->len > 1 && v->s[0] == '-' && v->s[1] != ' ' && v->s[1] != '-' && !strpbrk (v->s, "\n\r\t#:\"\\") && value_is (back = plain (a, v->s, v->len), VALUE_STRING);
  for (uint32_t i = 0; i < v->len; i++)
    if ((unsigned char) v->s[i] < 32 || v->s[i] == 127)
      return false;
  if (strstr (v->s, ": ") || strstr (v->s, " #") || !strncmp (v->s, "---", 3) || !strncmp (v->s, "...", 3) || !strcmp (v->s, "<<") || !strcmp (v->s, "="))
    return false;
  back = plain (a, v->s, v->len);
  /* go-yaml quotes what looks like a date or a sexagesimal number, too */
  if (v->s[0] >= '0' && v->s[0] <= '9' && strspn (v->s, "0123456789:-TZ.+_ ") == v->len)
    return false;
  return value_is (back, VALUE_STRING);
}

static void
indent (struct buf *out, int n)
{
  for (int i = 0; i < n; i++)
    buf_append_byte (out, ' ');
}

/* A text of several lines as a block scalar; false when it cannot be one. */
static bool
block (const struct value *v, int depth, struct buf *out)
{
  size_t n = v->len;
  if (!memchr (v->s, '\n', n) || v->s[0] == ' ' || v->s[0] == '\n' || v->s[0] == '\t')
    return false;
  for (size_t i = 0; i < n; i++)
    if (((unsigned char) v->s[i] < 32 && v->s[i] != '\n' && v->s[i] != '\t') || (v->s[i] == ' ' && (i + 1 == n || v->s[i + 1] == '\n')))
      return false;
  buf_append_str (out, v->s[n - 1] != '\n' ? "|-" : n > 1 && v->s[n - 2] == '\n' ? "|+" : "|");
  for (size_t i = 0; i < n;) {
    const char *end = memchr (v->s + i, '\n', n - i);
    size_t len = end ? (size_t) (end - v->s) - i : n - i;
    buf_append_byte (out, '\n');
    if (len) {
      indent (out, depth);
      buf_append (out, v->s + i, len);
    }
    i += len + 1;
  }
  return true;
}

static void
write_string (struct arena *a, const struct value *v, int depth, struct buf *out)
{
  if (may_be_plain (a, v)) {
    buf_append (out, v->s, v->len);
    return;
  }
  if (block (v, depth, out))
    return;
  /* what only looks like another type is written as JSON does, other odd texts in single quotes: go-yaml's habit */
  if (v->len && strlen (v->s) == v->len && !strpbrk (v->s, "\n\r\t\b\f\x1b\x7f") && value_is (plain (a, v->s, v->len), VALUE_STRING)) {
    buf_append_byte (out, '\'');
    for (uint32_t i = 0; i < v->len; i++) {
      if (v->s[i] == '\'')
        buf_append_byte (out, '\'');
      buf_append_byte (out, (uint8_t) v->s[i]);
    }
    buf_append_byte (out, '\'');
    return;
  }
  json_write_string (v->s, v->len, out);
}

static int
by_key (const void *x, const void *y)
{
  return strcmp ((*(const struct value_member *const *) x)->key, (*(const struct value_member *const *) y)->key);
}

static void write_node (struct arena *a, const struct value *v, int depth, struct buf *out);

/* Behind "key:" or "-": on the same line, or below. */
static void
write_child (struct arena *a, const struct value *v, int depth, bool item, struct buf *out)
{
  bool nested = value_count (v) > 0;
  if (!nested || item) {
    buf_append_byte (out, ' ');
    write_node (a, v, depth, out);
    return;
  }
  buf_append_byte (out, '\n');
  indent (out, depth);
  write_node (a, v, depth, out);
}

static void
write_map (struct arena *a, const struct value *v, int depth, struct buf *out)
{
  const struct value_member **sorted = arena_alloc (a, v->len * sizeof *sorted);
  if (!sorted) {
    out->failed = true;
    return;
  }
  for (uint32_t i = 0; i < v->len; i++)
    sorted[i] = &v->members[i];
  qsort (sorted, v->len, sizeof *sorted, by_key);
  for (uint32_t i = 0; i < v->len; i++) {
    struct value *key = value_string_n (a, sorted[i]->key, sorted[i]->key_len);
    const struct value *child = sorted[i]->value;
    if (i) {
      buf_append_byte (out, '\n');
      indent (out, depth);
    }
    if (key)
      write_string (a, key, depth, out);
    buf_append_byte (out, ':');
    /* sequences stand at the depth of their key */
    write_child (a, child, value_is (child, VALUE_ARRAY) ? depth : depth + 2, false, out);
  }
}

static void
write_node (struct arena *a, const struct value *v, int depth, struct buf *out)
{
  if (value_is (v, VALUE_MAP) && v->len) {
    write_map (a, v, depth, out);
  } else if (value_is (v, VALUE_ARRAY) && v->len) {
    for (uint32_t i = 0; i < v->len; i++) {
      if (i) {
        buf_append_byte (out, '\n');
        indent (out, depth);
      }
      buf_append_byte (out, '-');
      write_child (a, v->items[i], depth + 2, true, out);
    }
  } else if (value_is (v, VALUE_STRING)) {
    write_string (a, v, depth, out);
  } else {
    json_write (v, 0, out);
  }
}

void
yaml_write (const struct value *v, struct buf *out)
{
  struct arena a AUTO_ARENA = {0};
  write_node (&a, v, 0, out);
  buf_append_byte (out, '\n');
  if (!arena_ok (&a))
    out->failed = true;
}
