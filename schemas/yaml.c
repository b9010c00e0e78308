#include "schemas/yaml.h"

#include <yaml.h>

#include "schemas/json.h"
#include "schemas/json_internal.h"
#include "schemas/value_internal.h"
#include "schemas/yaml_internal.h"

#define DEPTH_MAX 512
#define NODES_MAX 1000000
#define ANCHORS_MAX 1000
#define DOCUMENTS_MAX 10000

struct anchor {
  const char *name;
  struct value *value; /* NULL while it is being read */
};
struct reader {
  struct arena *a;
  yaml_parser_t parser;
  struct anchor anchors[ANCHORS_MAX];
  size_t n_anchors;
  size_t nodes; /* with those that aliases stand for */
  struct err *err;
};

static int read_node (struct reader *r, yaml_event_t *e, int depth, struct value **ret);

static int
fail_at (struct reader *r, int code, yaml_mark_t at, const char *what)
{
  return err_set (r->err, code, "yaml: line %zu, column %zu: %s", at.line + 1, at.column + 1, what);
}

static int
next (struct reader *r, yaml_event_t *e)
{
  if (yaml_parser_parse (&r->parser, e))
    return 0;
  memset (e, 0, sizeof *e);
  if (r->parser.error == YAML_MEMORY_ERROR)
    return err_set (r->err, ERR_NOMEM, "yaml: out of memory");
  return fail_at (r, ERR_PARSE, r->parser.problem_mark, r->parser.problem ? r->parser.problem : "malformed");
}

static size_t
count_nodes (const struct value *v)
{
  size_t n = 1;
  for (value_items (v, it))
    n += count_nodes (*it);
  for (value_each (v, m))
    n += count_nodes (m->value);
  return n;
}

static int
add_nodes (struct reader *r, size_t n)
{
  r->nodes += n;
  if (r->nodes > NODES_MAX)
    return err_set (r->err, ERR_LIMIT, "yaml: document of more than %d nodes with its aliases", NODES_MAX);
  return 0;
}

/* Reserves the place of an anchor; *ret is its index or -1. */
static int
open_anchor (struct reader *r, const yaml_char_t *name, yaml_mark_t at, int *ret)
{
  *ret = -1;
  if (!name)
    return 0;
  if (r->n_anchors == ANCHORS_MAX)
    return fail_at (r, ERR_LIMIT, at, "too many anchors");
  *ret = (int) r->n_anchors;
  r->anchors[r->n_anchors++] = (struct anchor){arena_strdup (r->a, (const char *) name), NULL};
  return arena_ok (r->a) ? 0 : err_set (r->err, ERR_NOMEM, "yaml: no room");
}

static int
read_alias (struct reader *r, const yaml_event_t *e, struct value **ret)
{
  for (size_t i = r->n_anchors; i-- > 0;)
    if (!strcmp (r->anchors[i].name, (const char *) e->data.alias.anchor)) {
      int bad;
      if (!r->anchors[i].value)
        return fail_at (r, ERR_PARSE, e->start_mark, "an anchor's value contains itself");
      if ((bad = add_nodes (r, count_nodes (r->anchors[i].value))))
        return bad;
      *ret = value_clone (r->a, r->anchors[i].value);
      return *ret ? 0 : err_set (r->err, ERR_NOMEM, "yaml: no room");
    }
  return fail_at (r, ERR_PARSE, e->start_mark, "unknown anchor");
}

static bool
tag_is (const yaml_char_t *tag, const char *name)
{
  static const char prefix[] = "tag:yaml.org,2002:";
  return tag && !strncmp ((const char *) tag, prefix, sizeof prefix - 1) && !strcmp ((const char *) tag + sizeof prefix - 1, name);
}

static int
read_scalar (struct reader *r, const yaml_event_t *e, struct value **ret)
{
  const char *s = (const char *) e->data.scalar.value;
  size_t n = e->data.scalar.length;
  const yaml_char_t *tag = e->data.scalar.tag;
  bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !(tag && !strcmp ((const char *) tag, "!"));
  struct yaml_resolved v = {.type = YAML_SCALAR_STRING};
  if (!tag_is (tag, "str") && (plain || tag_is (tag, "int") || tag_is (tag, "float") || tag_is (tag, "bool") || tag_is (tag, "null")))
    v = yaml_resolve (s, n);
  if (tag_is (tag, "binary"))
    return fail_at (r, ERR_PARSE, e->start_mark, "!!binary is not supported");
  if ((tag_is (tag, "int") && v.type != YAML_SCALAR_INT) || (tag_is (tag, "bool") && v.type != YAML_SCALAR_BOOL)
      || (tag_is (tag, "float") && v.type != YAML_SCALAR_FLOAT && v.type != YAML_SCALAR_INT)
      || (tag_is (tag, "null") && v.type != YAML_SCALAR_NULL))
    return fail_at (r, ERR_PARSE, e->start_mark, "the scalar is not of its tag's type");
  switch (v.type) {
  case YAML_SCALAR_NULL:
    *ret = value_null (r->a);
    break;
  case YAML_SCALAR_BOOL:
    *ret = value_bool (r->a, v.b);
    break;
  case YAML_SCALAR_INT:
    *ret = value_int (r->a, v.i);
    break;
  case YAML_SCALAR_FLOAT:
    *ret = value_float (r->a, v.f);
    break;
  case YAML_SCALAR_NOT_FINITE:
    return fail_at (r, ERR_PARSE, e->start_mark, "json: unsupported value: not a finite number");
  default:
    *ret = value_string_n (r->a, s, n);
  }
  return *ret ? 0 : err_set (r->err, ERR_NOMEM, "yaml: no room");
}

static int
read_sequence (struct reader *r, int depth, struct value **ret)
{
  struct value *list = value_array (r->a), *item = NULL;
  for (;;) {
    yaml_event_t e;
    int bad = next (r, &e);
    bool end = e.type == YAML_SEQUENCE_END_EVENT;
    if (!bad && !end)
      bad = read_node (r, &e, depth + 1, &item);
    yaml_event_delete (&e);
    if (bad)
      return bad;
    if (end)
      break;
    value_append (r->a, list, item);
  }
  *ret = list;
  return arena_ok (r->a) ? 0 : err_set (r->err, ERR_NOMEM, "yaml: no room");
}

/* A map's key as JSON has it. */
static const char *
key_text (struct reader *r, const struct value *key, size_t *ret_len)
{
  struct buf b AUTO_BUF = BUF_INIT;
  if (key->type == VALUE_STRING) {
    *ret_len = key->len;
    return key->s;
  }
  if (key->type == VALUE_INT)
    json_write_int (key->i, &b);
  else if (key->type == VALUE_FLOAT)
    json_write_float (key->f, &b);
  else if (key->type == VALUE_BOOL)
    buf_append_str (&b, key->b ? "true" : "false");
  else
    return NULL;
  *ret_len = b.len;
  return arena_strndup (r->a, buf_cstr (&b), b.len);
}

/* "<<": the members of a map, or of each map of a list, that the map does not have itself. */
static int
merge_into (struct reader *r, struct value *map, const struct value *from, yaml_mark_t at)
{
  int bad;
  if (value_is (from, VALUE_ARRAY)) {
    for (value_items (from, it))
      if ((bad = value_is (*it, VALUE_MAP) ? merge_into (r, map, *it, at) : fail_at (r, ERR_PARSE, at, "map merge requires map or sequence of maps as the value")))
        return bad;
    return 0;
  }
  if (!value_is (from, VALUE_MAP))
    return fail_at (r, ERR_PARSE, at, "map merge requires map or sequence of maps as the value");
  for (value_each (from, m))
    if (!value_get_n (map, m->key, m->key_len))
      value_set_n (r->a, map, m->key, m->key_len, m->value);
  return 0;
}

/* Without value_set's search; keys are made unique at the end. */
static bool
append_member (struct arena *a, struct value *map, const char *key, size_t key_len, struct value *v)
{
  if (map->len == map->cap) {
    uint32_t cap = map->cap ? 2 * map->cap : 8;
    struct value_member *more = arena_alloc (a, cap * sizeof *more);
    if (!more)
      return false;
    if (map->len)
      memcpy (more, map->members, map->len * sizeof *more);
    map->members = more;
    map->cap = cap;
  }
  map->members[map->len++] = (struct value_member){key, (uint32_t) key_len, v};
  return true;
}

static int
read_member (struct reader *r, yaml_event_t *e, int depth, struct value *map, struct value *merges)
{
  struct value *key = NULL, *v = NULL;
  yaml_mark_t at = e->start_mark;
  yaml_event_t value_event;
  const char *text;
  size_t len;
  bool merge = e->type == YAML_SCALAR_EVENT && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
               && !strcmp ((const char *) e->data.scalar.value, "<<");
  int bad = read_node (r, e, depth + 1, &key);
  if (bad)
    return bad;
  if (!(text = key_text (r, key, &len)))
    return arena_ok (r->a) ? fail_at (r, ERR_PARSE, at, "unsupported map key of its type") : err_set (r->err, ERR_NOMEM, "yaml: no room");
  if (!(bad = next (r, &value_event)))
    bad = read_node (r, &value_event, depth + 1, &v);
  yaml_event_delete (&value_event);
  if (bad)
    return bad;
  if (merge) {
    value_append (r->a, merges, v);
    return 0;
  }
  return append_member (r->a, map, text, len, v) ? 0 : err_set (r->err, ERR_NOMEM, "yaml: no room");
}

static int
read_mapping (struct reader *r, yaml_mark_t at, int depth, struct value **ret)
{
  struct value *map = value_map (r->a), *merges = value_array (r->a);
  int bad = map && merges ? 0 : err_set (r->err, ERR_NOMEM, "yaml: no room");
  while (!bad) {
    yaml_event_t e;
    bool end;
    if ((bad = next (r, &e)))
      return bad;
    end = e.type == YAML_MAPPING_END_EVENT;
    if (!end)
      bad = read_member (r, &e, depth, map, merges);
    yaml_event_delete (&e);
    if (end)
      break;
  }
  if (bad)
    return bad;
  (void) value_keys_unique (r->a, map);
  for (value_items (merges, it))
    if ((bad = merge_into (r, map, *it, at)))
      return bad;
  *ret = map;
  return arena_ok (r->a) ? 0 : err_set (r->err, ERR_NOMEM, "yaml: no room");
}

static int
read_node (struct reader *r, yaml_event_t *e, int depth, struct value **ret)
{
  const yaml_char_t *name = e->type == YAML_SCALAR_EVENT           ? e->data.scalar.anchor
                            : e->type == YAML_SEQUENCE_START_EVENT ? e->data.sequence_start.anchor
                            : e->type == YAML_MAPPING_START_EVENT  ? e->data.mapping_start.anchor
                                                                   : NULL;
  int anchor, bad;
  if (depth > DEPTH_MAX)
    return fail_at (r, ERR_PARSE, e->start_mark, "exceeded max depth");
  if ((bad = add_nodes (r, 1)) || (bad = open_anchor (r, name, e->start_mark, &anchor)))
    return bad;
  switch (e->type) {
  case YAML_ALIAS_EVENT:
    return read_alias (r, e, ret);
  case YAML_SCALAR_EVENT:
    bad = read_scalar (r, e, ret);
    break;
  case YAML_SEQUENCE_START_EVENT:
    bad = read_sequence (r, depth, ret);
    break;
  case YAML_MAPPING_START_EVENT:
    bad = read_mapping (r, e->start_mark, depth, ret);
    break;
  default:
    return fail_at (r, ERR_PARSE, e->start_mark, "a value was expected");
  }
  if (!bad && anchor >= 0)
    r->anchors[anchor].value = *ret;
  return bad;
}

static int
read_stream (struct reader *r, struct value *documents)
{
  for (;;) {
    struct value *v = NULL;
    yaml_event_t e;
    yaml_event_type_t type;
    int bad = next (r, &e);
    type = e.type;
    if (!bad && type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT && type != YAML_DOCUMENT_START_EVENT
        && type != YAML_DOCUMENT_END_EVENT) {
      bad = read_node (r, &e, 0, &v);
      if (!bad && v->type != VALUE_NULL) {
        if (value_count (documents) == DOCUMENTS_MAX)
          bad = fail_at (r, ERR_LIMIT, e.start_mark, "too many documents");
        value_append (r->a, documents, v);
      }
    }
    yaml_event_delete (&e);
    if (bad)
      return bad;
    if (type == YAML_DOCUMENT_END_EVENT)
      r->n_anchors = 0;
    if (type == YAML_STREAM_END_EVENT)
      return arena_ok (r->a) ? 0 : err_set (r->err, ERR_NOMEM, "yaml: no room");
  }
}

int
yaml_parse_all (struct arena *a, const char *text, size_t n, struct value **ret_array, struct err *err)
{
  struct reader *r = arena_zalloc (a, sizeof *r); /* its anchors are too much for a stack */
  struct value *documents = value_array (a);
  int bad;
  if (!r || !documents || !yaml_parser_initialize (&r->parser))
    return err_set (err, ERR_NOMEM, "yaml: out of memory");
  r->a = a;
  r->err = err;
  yaml_parser_set_input_string (&r->parser, (const unsigned char *) (n ? text : ""), n);
  bad = read_stream (r, documents);
  yaml_parser_delete (&r->parser);
  if (!bad)
    *ret_array = documents;
  return bad;
}

int
yaml_parse (struct arena *a, const char *text, size_t n, struct value **ret, struct err *err)
{
  size_t at = 0;
  struct value *documents = NULL;
  int bad;
  while (at < n && strchr (" \t\r\n", text[at]) && text[at])
    at++;
  /* most bodies said to be YAML are JSON */
  if (at < n && (text[at] == '{' || text[at] == '[') && !json_parse (a, text, n, ret, NULL, NULL))
    return 0;
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "yaml: no room");
  if ((bad = yaml_parse_all (a, text, n, &documents, err)))
    return bad;
  if (documents->len != 1)
    return err_set (err, ERR_PARSE, "yaml: %u documents instead of one", documents->len);
  *ret = documents->items[0];
  return 0;
}
