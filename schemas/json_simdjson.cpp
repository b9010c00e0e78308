/* The only C++ of ours: simdjson's DOM walked once into a value tree. */
#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <unistd.h>

extern "C" {
#include "base/mem.h" /* its own includes are above, outside the linkage block */
}
#include "schemas/json_simdjson.h"
#include "schemas/value_internal.h"

namespace dom = simdjson::dom;

namespace
{

constexpr size_t KEEP_CAPACITY = 1 << 20; /* a thread keeps its parser's memory up to a text of this size */

/* Where the walk is, for naming a duplicate key. */
struct frame {
  const frame *up;
  const char *key; /* NULL: an array's element */
  uint32_t index;
};

struct walk {
  struct arena *arena;
  char *text;            /* room for all strings, unescaped and with their NULs: never longer than the JSON was */
  const char *duplicate; /* path of the first one */
  bool want_duplicate;
};

char *
copy (walk &w, std::string_view s)
{
  char *p = w.text;
  memcpy (p, s.data (), s.size ());
  p[s.size ()] = 0;
  w.text += s.size () + 1;
  return p;
}

const char *
path_of (struct arena *a, const frame *f, const char *key)
{
  const char *tail = key;
  for (; f; f = f->up) {
    const char *sep = tail[0] == '[' || !tail[0] ? "" : ".";
    tail = f->key ? arena_printf (a, "%s%s%s", f->key, sep, tail) : arena_printf (a, "[%u]%s%s", f->index, sep, tail);
    if (!tail)
      return "";
  }
  return tail;
}

bool fill (walk &w, dom::element e, struct value *v, const frame *up);

bool
fill_array (walk &w, dom::array array, struct value *v, const frame *up)
{
  size_t n = array.size ();
  if (n >= 0xFFFFFF) { /* simdjson's count saturates */
    n = 0;
    for (dom::element e : array) {
      (void) e;
      n++;
    }
  }
  v->type = VALUE_ARRAY;
  if (!n)
    return true;
  char *block = (char *) arena_alloc (w.arena, n * (sizeof *v->items + sizeof *v));
  if (!block || n > UINT32_MAX)
    return false;
  v->items = (struct value **) block;
  struct value *nodes = (struct value *) (block + n * sizeof *v->items);
  frame here = {up, nullptr, 0};
  uint32_t i = 0;
  for (dom::element e : array) {
    here.index = i;
    v->items[i] = &nodes[i];
    if (!fill (w, e, &nodes[i], &here))
      return false;
    i++;
  }
  v->len = v->cap = i;
  return true;
}

bool
fill_map (walk &w, dom::object object, struct value *v, const frame *up)
{
  size_t n = object.size ();
  if (n >= 0xFFFFFF) {
    n = 0;
    for (auto m : object) {
      (void) m;
      n++;
    }
  }
  v->type = VALUE_MAP;
  if (!n)
    return true;
  char *block = (char *) arena_alloc (w.arena, n * (sizeof *v->members + sizeof *v));
  if (!block || n > UINT32_MAX)
    return false;
  v->members = (struct value_member *) block;
  struct value *nodes = (struct value *) (block + n * sizeof *v->members);
  frame here = {up, nullptr, 0};
  uint32_t i = 0;
  for (auto m : object) {
    v->members[i].key = here.key = copy (w, m.key);
    v->members[i].key_len = (uint32_t) m.key.size ();
    v->members[i].value = &nodes[i];
    if (!fill (w, m.value, &nodes[i], &here))
      return false;
    i++;
  }
  v->len = v->cap = i;
  const char *twice = value_keys_unique (w.arena, v);
  if (twice && w.want_duplicate && !w.duplicate)
    w.duplicate = path_of (w.arena, up, twice);
  return true;
}

bool
fill (walk &w, dom::element e, struct value *v, const frame *up)
{
  v->len = v->cap = 0;
  v->i = 0;
  switch (e.type ()) {
  case dom::element_type::ARRAY:
    return fill_array (w, e.get_array ().value_unsafe (), v, up);
  case dom::element_type::OBJECT:
    return fill_map (w, e.get_object ().value_unsafe (), v, up);
  case dom::element_type::STRING: {
    std::string_view s = e.get_string ().value_unsafe ();
    v->type = VALUE_STRING;
    v->len = (uint32_t) s.size ();
    v->s = copy (w, s);
    return true;
  }
  case dom::element_type::INT64:
    v->type = VALUE_INT;
    v->i = e.get_int64 ().value_unsafe ();
    return true;
  case dom::element_type::UINT64: /* above INT64_MAX, or simdjson would have said INT64 */
    v->type = VALUE_FLOAT;
    v->f = (double) e.get_uint64 ().value_unsafe ();
    return true;
  case dom::element_type::DOUBLE:
    v->type = VALUE_FLOAT;
    v->f = e.get_double ().value_unsafe ();
    return true;
  case dom::element_type::BOOL:
    v->type = VALUE_BOOL;
    v->b = e.get_bool ().value_unsafe ();
    return true;
  case dom::element_type::NULL_VALUE:
    v->type = VALUE_NULL;
    return true;
  }
  return false;
}

struct thread_parser {
  std::unique_ptr<dom::parser> p;
};
thread_local thread_parser mine;

} // namespace

extern "C" int
json_simdjson_parse (struct arena *a, const char *text, size_t n, struct value **ret, const char **ret_duplicate,
                     const char **ret_what)
{
  if (!mine.p) {
    mine.p.reset (new (std::nothrow) dom::parser ());
    if (!mine.p || mine.p->allocate (4096, JSON_DEPTH_MAX)) {
      mine.p.reset ();
      return ERR_NOMEM;
    }
  }
  dom::element root;
  simdjson::error_code bad = mine.p->parse (text, n, true).get (root);
  int r = 0;
  if (bad) {
    *ret_what = simdjson::error_message (bad);
    r = bad == simdjson::MEMALLOC ? ERR_NOMEM : bad == simdjson::NUMBER_ERROR ? JSON_BAD_NUMBER : ERR_PARSE;
  } else {
    walk w = {a, (char *) arena_alloc (a, n + 2), nullptr, ret_duplicate != nullptr};
    struct value *v = w.text ? (struct value *) arena_alloc (a, sizeof *v) : nullptr;
    if (!v || !fill (w, root, v, nullptr) || !arena_ok (a)) {
      r = ERR_NOMEM;
    } else {
      *ret = v;
      if (ret_duplicate)
        *ret_duplicate = w.duplicate;
    }
  }
  if (mine.p->capacity () > KEEP_CAPACITY)
    mine.p.reset ();
  return r;
}

extern "C" int
value_float_digits (double f, char digits[24], int *ret_exponent10)
{
  char text[40];
  auto end = std::to_chars (text, text + sizeof text, f < 0 ? -f : f, std::chars_format::scientific).ptr;
  int n = 0;
  const char *p = text;
  for (; p < end && *p != 'e'; p++)
    if (*p != '.')
      digits[n++] = *p;
  *ret_exponent10 = 0;
  if (p < end)
    std::from_chars (p + (p[1] == '+' ? 2 : 1), end, *ret_exponent10);
  return n;
}
