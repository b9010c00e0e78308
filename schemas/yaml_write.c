/* YAML as sigs.k8s.io/yaml writes it: block style, natural order of keys, plain scalars where they read back as
   strings, literal blocks for text of several lines. */
#include <ctype.h>
#include <yaml.h>

#include "schemas/json_internal.h"
#include "schemas/yaml.h"
#include "schemas/yaml_internal.h"

static bool
letter (char c)
{
  return isalpha ((unsigned char) c) || (unsigned char) c >= 0x80;
}

static int64_t
number_at (const char *s, size_t n, size_t at, int64_t start, size_t *ret_end)
{
  int64_t v = start;
  for (; at < n && isdigit ((unsigned char) s[at]); at++)
    v = v > INT64_MAX / 10 - 10 ? v : v * 10 + (s[at] - '0');
  *ret_end = at;
  return v;
}

/* go-yaml's order: numbers within names count as numbers, other signs stand before letters. */
static int
compare_keys (const void *x, const void *y)
{
  const struct value_member *p = *(const struct value_member *const *) x, *q = *(const struct value_member *const *) y;
  const char *a = p->key, *b = q->key;
  for (size_t i = 0; i < p->key_len && i < q->key_len; i++) {
    size_t ea, eb;
    int64_t na, nb, start = 0;
    if (a[i] == b[i])
      continue;
    if (letter (a[i]) && letter (b[i]))
      return (unsigned char) a[i] < (unsigned char) b[i] ? -1 : 1;
    if (letter (a[i]) || letter (b[i]))
      return letter (b[i]) ? -1 : 1;
    if (a[i] == '0' || b[i] == '0')
      for (size_t j = i; j-- > 0 && isdigit ((unsigned char) a[j]);)
        if (a[j] != '0') {
          start = 1;
          break;
        }
    na = number_at (a, p->key_len, i, start, &ea);
    nb = number_at (b, q->key_len, i, start, &eb);
    if (na != nb)
      return na < nb ? -1 : 1;
    if (ea != eb)
      return ea < eb ? -1 : 1;
    return (unsigned char) a[i] < (unsigned char) b[i] ? -1 : 1;
  }
  return (p->key_len > q->key_len) - (p->key_len < q->key_len);
}

static int
append (void *data, unsigned char *text, size_t n)
{
  struct buf *out = data;
  buf_append (out, text, n);
  return !out->failed;
}

/* 1:20, 12:30:45: numbers to base 60 for old readers. */
static bool
is_base_60 (const char *s)
{
  const char *p = s + (*s == '-' || *s == '+');
  if (!isdigit ((unsigned char) *p))
    return false;
  p += strspn (p, "0123456789_");
  if (*p != ':')
    return false;
  while (*p == ':') {
    size_t n = strspn (p + 1, "0123456789");
    if (!n || n > 2 || (n == 2 && p[1] > '5'))
      return false;
    p += 1 + n;
  }
  if (*p == '.')
    p += 1 + strspn (p + 1, "0123456789_");
  return !*p;
}

static bool
write_string (yaml_emitter_t *e, const char *s, size_t n)
{
  yaml_event_t event;
  yaml_scalar_style_t style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
  if (memchr (s, '\n', n))
    style = YAML_LITERAL_SCALAR_STYLE;
  else if (yaml_resolve (s, n).type == YAML_SCALAR_STRING && !is_base_60 (s))
    style = YAML_PLAIN_SCALAR_STYLE;
  return yaml_scalar_event_initialize (&event, NULL, NULL, (const yaml_char_t *) s, (int) n, 1, 1, style) && yaml_emitter_emit (e, &event);
}

static bool
write_plain (yaml_emitter_t *e, const char *s)
{
  yaml_event_t event;
  return yaml_scalar_event_initialize (&event, NULL, NULL, (const yaml_char_t *) s, -1, 1, 1, YAML_PLAIN_SCALAR_STYLE)
         && yaml_emitter_emit (e, &event);
}

static bool
write_value (yaml_emitter_t *e, const struct value *v)
{
  const struct value_member **sorted AUTO_FREE = NULL;
  struct buf number AUTO_BUF = BUF_INIT;
  yaml_event_t event;
  switch (v ? v->type : VALUE_NULL) {
  case VALUE_NULL:
    return write_plain (e, "null");
  case VALUE_BOOL:
    return write_plain (e, v->b ? "true" : "false");
  case VALUE_INT:
    json_write_int (v->i, &number);
    return write_plain (e, buf_cstr (&number));
  case VALUE_FLOAT:
    json_write_float (v->f, &number);
    return write_plain (e, buf_cstr (&number));
  case VALUE_STRING:
    return v->len <= INT32_MAX && write_string (e, v->s, v->len);
  case VALUE_ARRAY:
    if (!yaml_sequence_start_event_initialize (&event, NULL, NULL, 1, v->len ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE)
        || !yaml_emitter_emit (e, &event))
      return false;
    for (uint32_t i = 0; i < v->len; i++)
      if (!write_value (e, v->items[i]))
        return false;
    return yaml_sequence_end_event_initialize (&event) && yaml_emitter_emit (e, &event);
  case VALUE_MAP:
    if (!(sorted = malloc ((v->len + 1ul) * sizeof *sorted))
        || !yaml_mapping_start_event_initialize (&event, NULL, NULL, 1, v->len ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE)
        || !yaml_emitter_emit (e, &event))
      return false;
    for (uint32_t i = 0; i < v->len; i++)
      sorted[i] = &v->members[i];
    qsort (sorted, v->len, sizeof *sorted, compare_keys);
    for (uint32_t i = 0; i < v->len; i++)
      if (!write_string (e, sorted[i]->key, sorted[i]->key_len) || !write_value (e, sorted[i]->value))
        return false;
    return yaml_mapping_end_event_initialize (&event) && yaml_emitter_emit (e, &event);
  }
  return false;
}

static bool
write_document (yaml_emitter_t *e, const struct value *v)
{
  yaml_event_t event;
  return yaml_stream_start_event_initialize (&event, YAML_UTF8_ENCODING) && yaml_emitter_emit (e, &event)
         && yaml_document_start_event_initialize (&event, NULL, NULL, NULL, 1) && yaml_emitter_emit (e, &event) && write_value (e, v)
         && yaml_document_end_event_initialize (&event, 1) && yaml_emitter_emit (e, &event) && yaml_stream_end_event_initialize (&event)
         && yaml_emitter_emit (e, &event);
}

void
yaml_write (const struct value *v, struct buf *out)
{
  yaml_emitter_t e;
  if (!yaml_emitter_initialize (&e)) {
    out->failed = true;
    return;
  }
  yaml_emitter_set_output (&e, append, out);
  yaml_emitter_set_unicode (&e, 1);
  yaml_emitter_set_width (&e, -1);
  yaml_emitter_set_indent (&e, 2);
  if (!write_document (&e, v))
    out->failed = true;
  yaml_emitter_delete (&e);
}
