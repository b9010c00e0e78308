/* One object of an informer: the packed bytes as they came, and the few strings that everybody asks for. */
#include "schemas/msgpack.h"
#include "services/common/informer_internal.h"

struct object *
object_new (const char *key, const struct bus_change *c)
{
  const char *slash = strrchr (key, '/');
  size_t key_len = strlen (key) + 1, ns_len = slash ? (size_t) (slash - key) : 0;
  char uid[64] = "";
  struct object probe = {.packed = c->value, .len = c->value_len}, *o;
  char *at;
  (void) object_field (&probe, "metadata.uid", uid, sizeof uid);
  if (!(o = mem_zalloc (sizeof *o + key_len + ns_len + 1 + strlen (uid) + 1 + c->value_len)))
    return NULL;
  at = (char *) (o + 1);
  o->refs = 1;
  o->revision = c->revision;
  o->cause = c->cause;
  o->key = memcpy (at, key, key_len);
  o->name = slash ? o->key + ns_len + 1 : o->key;
  at += key_len;
  o->namespace_ = memcpy (at, key, ns_len);
  at += ns_len + 1;
  o->uid = memcpy (at, uid, strlen (uid) + 1);
  at += strlen (uid) + 1;
  if (c->value_len)
    memcpy (at, c->value, c->value_len);
  o->packed = (const uint8_t *) at;
  o->len = c->value_len;
  return o;
}

struct object *
object_ref (struct object *o)
{
  o->refs++;
  return o;
}

void
object_unref (struct object *o)
{
  if (!o)
    return;
  REQUIRE (o->refs > 0);
  if (!--o->refs)
    free (o);
}

struct value *
object_value (const struct object *o, struct arena *a)
{
  struct value *v = NULL;
  struct err err;
  if (value_unpack (a, o->packed, o->len, &v, &err)) {
    a->failed = true;
    return NULL;
  }
  if (value_is (v, VALUE_MAP))
    value_set (a, value_ensure_map (a, v, "metadata"), "resourceVersion", value_printf (a, "%llu", (unsigned long long) o->revision));
  return v;
}

const char *
object_field (const struct object *o, const char *path, char *out, size_t size)
{
  struct msgpack_cursor at;
  struct msgpack_item item;
  out[0] = 0;
  if (msgpack_seek (o->packed, o->len, path, &at, NULL) || msgpack_next (&at, &item, NULL))
    return out;
  switch (item.kind) {
  case MSGPACK_STRING:
    (void) snprintf (out, size, "%.*s", (int) item.len, item.s);
    break;
  case MSGPACK_INT:
    (void) snprintf (out, size, "%lld", (long long) item.i);
    break;
  case MSGPACK_BOOL:
    (void) snprintf (out, size, "%s", item.b ? "true" : "false");
    break;
  default:
    break; /* not one string */
  }
  return out;
}
