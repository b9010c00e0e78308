/* JSON merge patch (RFC 7396). */
#include "schemas/patch_internal.h"

bool
patch_unset (struct value *map, const char *key, size_t key_len)
{
  for (uint32_t i = 0; value_is (map, VALUE_MAP) && i < map->len; i++)
    if (map->members[i].key_len == key_len && !memcmp (map->members[i].key, key, key_len)) {
      memmove (&map->members[i], &map->members[i + 1], (map->len - i - 1) * sizeof map->members[0]);
      map->len--;
      return true;
    }
  return false;
}

/* Nulls in a map that the patch adds say nothing; within lists they are values. */
static void
drop_nulls (struct value *v)
{
  uint32_t kept = 0;
  if (!value_is (v, VALUE_MAP))
    return;
  for (uint32_t i = 0; i < v->len; i++)
    if (v->members[i].value->type != VALUE_NULL) {
      drop_nulls (v->members[i].value);
      v->members[kept++] = v->members[i];
    }
  v->len = kept;
}

static void
merge (struct arena *a, struct value *into, const struct value *patch)
{
  for (value_each (patch, m)) {
    struct value *old = value_get_n (into, m->key, m->key_len);
    if (m->value->type == VALUE_NULL) {
      patch_unset (into, m->key, m->key_len);
    } else if (value_is (old, VALUE_MAP) && m->value->type == VALUE_MAP) {
      merge (a, old, m->value);
    } else {
      struct value *copy = value_clone (a, m->value);
      drop_nulls (copy);
      value_set_n (a, into, m->key, m->key_len, copy);
    }
  }
}

int
patch_merge (struct arena *a, const struct value *obj, const struct value *patch, struct value **ret, struct err *err)
{
  struct value *copy;
  if (!value_is (patch, VALUE_MAP))
    return err_set (err, ERR_PARSE, "a merge patch must be a JSON object");
  copy = value_is (obj, VALUE_MAP) ? value_clone (a, obj) : value_map (a);
  merge (a, copy, patch);
  if (!copy || !arena_ok (a))
    return err_set (err, ERR_NOMEM, "merge patch: no room");
  *ret = copy;
  return 0;
}
