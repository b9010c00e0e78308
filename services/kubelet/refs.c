#include "services/kubelet/refs.h"

#include <openssl/evp.h>

#include "base/buf.h"
#include "schemas/json.h"

static struct value *
add (struct arena *a, struct value *list, struct value *seen, const char *resource, const char *name)
{
  const char *key = arena_printf (a, "%s/%s", resource, name ? name : "");
  struct value *v;
  if (!name || !*name || !key || value_get (seen, key))
    return NULL;
  value_set_bool (a, seen, key, true);
  v = value_map (a);
  value_set_string (a, v, "key", key);
  value_set_string (a, v, "resource", resource);
  value_set_string (a, v, "name", name);
  value_append (a, list, v);
  return v;
}

static void
add_volume (struct arena *a, struct value *list, struct value *seen, const struct value *pod, const struct value *volume)
{
  int64_t index = 0;
  add (a, list, seen, "configmaps", value_path_string (volume, "configMap.name", NULL));
  add (a, list, seen, "secrets", value_path_string (volume, "secret.secretName", NULL));
  for (value_items (value_path (volume, "projected.sources"), it)) {
    const struct value *token = value_get (*it, "serviceAccountToken");
    add (a, list, seen, "configmaps", value_path_string (*it, "configMap.name", NULL));
    add (a, list, seen, "secrets", value_path_string (*it, "secret.name", NULL));
    if (token) {
      struct value *v = value_map (a);
      value_set (a, v, "key", value_printf (a, "tokens/%s/%lld", value_path_string (volume, "name", ""), (long long) index));
      value_set_string (a, v, "resource", "tokens");
      value_set_string (a, v, "name", value_path_string (pod, "spec.serviceAccountName", "default"));
      value_set_string (a, v, "audience", value_path_string (token, "audience", NULL));
      value_set_int (a, v, "expirationSeconds", value_path_int (token, "expirationSeconds", 3600));
      value_append (a, list, v);
    }
    index++;
  }
}

static void
add_container (struct arena *a, struct value *list, struct value *seen, const struct value *c)
{
  for (value_items (value_get (c, "envFrom"), it)) {
    add (a, list, seen, "configmaps", value_path_string (*it, "configMapRef.name", NULL));
    add (a, list, seen, "secrets", value_path_string (*it, "secretRef.name", NULL));
  }
  for (value_items (value_get (c, "env"), it)) {
    add (a, list, seen, "configmaps", value_path_string (*it, "valueFrom.configMapKeyRef.name", NULL));
    add (a, list, seen, "secrets", value_path_string (*it, "valueFrom.secretKeyRef.name", NULL));
  }
}

struct value *
refs_needed (const struct value *pod, struct arena *a)
{
  struct value *list = value_array (a), *seen = value_map (a), *services = value_map (a);
  static const char *const lists[] = {"spec.initContainers", "spec.containers"};
  for (value_items (value_path (pod, "spec.volumes"), it))
    add_volume (a, list, seen, pod, *it);
  for (size_t i = 0; i < 2; i++)
    for (value_items (value_path (pod, lists[i]), it))
      add_container (a, list, seen, *it);
  for (value_items (value_path (pod, "spec.imagePullSecrets"), it))
    add (a, list, seen, "secrets", value_path_string (*it, "name", NULL));
  value_set_string (a, services, "key", "services");
  value_set_string (a, services, "resource", "services");
  value_append (a, list, services);
  return list;
}

char *
refs_base64 (struct arena *a, const char *text, size_t n, size_t *ret_len)
{
  char *out = arena_alloc (a, n / 4 * 3 + 4);
  int len;
  if (!out || n % 4 || n > INT32_MAX)
    return NULL;
  if ((len = EVP_DecodeBlock ((unsigned char *) out, (const unsigned char *) text, (int) n)) < 0)
    return NULL;
  if (n && text[n - 1] == '=')
    len--;
  if (n > 1 && text[n - 2] == '=')
    len--;
  out[len] = 0;
  *ret_len = (size_t) len;
  return out;
}

const char *
refs_pull_auth (const struct value *pod, const struct value *refs, struct arena *a)
{
  struct value *root = value_map (a), *auths = value_map (a);
  struct buf b AUTO_BUF = BUF_INIT;
  for (value_items (value_path (pod, "spec.imagePullSecrets"), it)) {
    const struct value *secret = value_get (refs, arena_printf (a, "secrets/%s", value_path_string (*it, "name", "")));
    const struct value *data = value_get (secret, "data"), *packed = value_get (data, ".dockerconfigjson");
    struct value *config = NULL;
    size_t n = 0;
    char *text;
    bool old = !packed;
    if (old)
      packed = value_get (data, ".dockercfg");
    if (!value_is (packed, VALUE_STRING) || !(text = refs_base64 (a, packed->s, packed->len, &n)) || json_parse (a, text, n, &config, NULL, NULL))
      continue;
    for (value_each (old ? config : value_get (config, "auths"), m))
      value_set_n (a, auths, m->key, m->key_len, m->value);
  }
  if (!value_count (auths))
    return NULL;
  value_set (a, root, "auths", auths);
  json_write (root, 0, &b);
  return b.failed ? NULL : arena_strdup (a, buf_cstr (&b));
}
