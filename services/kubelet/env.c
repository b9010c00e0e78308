/* The environment of a container. */
#include <ctype.h>

#include "services/kubelet/downward.h"
#include "services/kubelet/expand.h"
#include "services/kubelet/refs.h"

struct env {
  struct arena *a;
  struct value *out;      /* name -> value: what is in the result */
  struct value *services; /* name -> value: for expansion too */
};

static const char *
lookup (void *arg, const char *name, size_t n)
{
  struct env *e = arg;
  const struct value *v = value_get_n (e->out, name, n);
  return value_as_string (v ? v : value_get_n (e->services, name, n), NULL);
}

/* "my-svc" -> "MY_SVC". */
static const char *
upper (struct arena *a, const char *name)
{
  char *s = arena_strdup (a, name);
  for (char *p = s; p && *p; p++)
    *p = *p == '-' || *p == '.' ? '_' : (char) toupper ((unsigned char) *p);
  return s;
}

static void
add_service (struct env *e, const struct value *service)
{
  const char *prefix = upper (e->a, value_path_string (service, "metadata.name", "")), *ip = value_path_string (service, "spec.clusterIP", "");
  const struct value *ports = value_path (service, "spec.ports");
  size_t i = 0;
  if (!prefix || !*ip || !strcmp (ip, "None") || !value_count (ports))
    return;
#define PUT(value_, ...) value_set_string (e->a, e->services, arena_printf (e->a, __VA_ARGS__), value_)
  PUT (ip, "%s_SERVICE_HOST", prefix);
  for (value_items (ports, it)) {
    const char *protocol = value_path_string (*it, "protocol", "TCP"), *name = value_path_string (*it, "name", "");
    char *lower = arena_strdup (e->a, protocol);
    const char *number = arena_printf (e->a, "%lld", (long long) value_path_int (*it, "port", 0)), *url, *stem;
    for (char *p = lower; p && *p; p++)
      *p = (char) tolower ((unsigned char) *p);
    url = arena_printf (e->a, "%s://%s:%s", lower, ip, number);
    stem = arena_printf (e->a, "%s_PORT_%s_%s", prefix, number, protocol);
    if (i++ == 0) {
      PUT (number, "%s_SERVICE_PORT", prefix);
      PUT (url, "%s_PORT", prefix);
    }
    if (*name)
      PUT (number, "%s_SERVICE_PORT_%s", prefix, upper (e->a, name));
    PUT (url, "%s", stem);
    PUT (protocol ? lower : "tcp", "%s_PROTO", stem);
    PUT (number, "%s_PORT", stem);
    PUT (ip, "%s_ADDR", stem);
  }
#undef PUT
}

static void
add_services (struct env *e, const struct value *pod, const struct value *refs)
{
  bool links = value_path_bool (pod, "spec.enableServiceLinks", true);
  const char *ns = value_path_string (pod, "metadata.namespace", "");
  /* default/kubernetes first: one of that name in the pod's namespace wins. */
  for (int own = 0; own < 2; own++)
    for (value_items (value_get (refs, "services"), it)) {
      bool master = !strcmp (value_path_string (*it, "metadata.name", ""), "kubernetes") &&
                    !strcmp (value_path_string (*it, "metadata.namespace", ""), "default");
      bool mine = !strcmp (value_path_string (*it, "metadata.namespace", ""), ns);
      if (own ? links && mine : master)
        add_service (e, *it);
    }
}

static bool
name_valid (const char *s)
{
  if (!*s || (*s >= '0' && *s <= '9'))
    return false;
  return !strchr (s, '=');
}

/* A value of a ConfigMap's data or a Secret's; NULL when there is none. */
static const char *
data_value (struct arena *a, const struct value *object, bool secret, const char *key)
{
  const struct value *v = value_get (value_get (object, "data"), key);
  size_t n;
  if (!value_is (v, VALUE_STRING))
    return NULL;
  return secret ? refs_base64 (a, v->s, v->len, &n) : v->s;
}

static int
add_from (struct env *e, const struct value *from, const struct value *refs, struct err *err)
{
  const char *prefix = value_path_string (from, "prefix", "");
  for (int secret = 0; secret < 2; secret++) {
    const struct value *ref = value_get (from, secret ? "secretRef" : "configMapRef");
    const char *name = value_path_string (ref, "name", "");
    const struct value *object;
    if (!ref)
      continue;
    object = value_get (refs, arena_printf (e->a, "%s/%s", secret ? "secrets" : "configmaps", name));
    if (value_is_null (object)) {
      if (value_path_bool (ref, "optional", false))
        continue;
      return err_set (err, ERR_NOT_FOUND, "%s \"%s\" not found", secret ? "secret" : "configmap", name);
    }
    for (value_each (value_get (object, "data"), m)) {
      const char *key = arena_printf (e->a, "%s%s", prefix, m->key), *text = data_value (e->a, object, secret, m->key);
      if (key && name_valid (key) && text)
        value_set_string (e->a, e->out, key, text);
    }
  }
  return 0;
}

static int
value_from (struct env *e, const struct value *pod, const struct value *container, const struct value *from, const struct value *refs,
            const struct node_facts *node, const struct pod_ips *ips, const char **ret, struct err *err)
{
  const struct value *field = value_get (from, "fieldRef"), *resource = value_get (from, "resourceFieldRef");
  *ret = NULL;
  if (field)
    return downward_field (pod, value_path_string (field, "fieldPath", ""), node, ips, e->a, ret, err);
  if (resource)
    return downward_resource (pod, container, resource, node, e->a, ret, err);
  for (int secret = 0; secret < 2; secret++) {
    const struct value *ref = value_get (from, secret ? "secretKeyRef" : "configMapKeyRef");
    const char *name = value_path_string (ref, "name", ""), *key = value_path_string (ref, "key", "");
    const struct value *object;
    bool optional = value_path_bool (ref, "optional", false);
    if (!ref)
      continue;
    object = value_get (refs, arena_printf (e->a, "%s/%s", secret ? "secrets" : "configmaps", name));
    if (value_is_null (object))
      return optional ? 0 : err_set (err, ERR_NOT_FOUND, "%s \"%s\" not found", secret ? "secret" : "configmap", name);
    *ret = data_value (e->a, object, secret, key);
    if (!*ret && !optional)
      return err_set (err, ERR_NOT_FOUND, "couldn't find key %s in %s %s/%s", key, secret ? "Secret" : "ConfigMap",
                      value_path_string (pod, "metadata.namespace", ""), name);
  }
  return 0;
}

int
env_build (const struct value *pod, const struct value *container, const struct value *refs, const struct node_facts *node,
           const struct pod_ips *ips, struct arena *a, struct value **ret, struct err *err)
{
  struct env e = {a, value_map (a), value_map (a)};
  struct value *list = value_array (a);
  int rc;
  add_services (&e, pod, refs);
  for (value_items (value_get (container, "envFrom"), it))
    if ((rc = add_from (&e, *it, refs, err)))
      return rc;
  for (value_items (value_get (container, "env"), it)) {
    const char *name = value_path_string (*it, "name", ""), *text;
    const struct value *from = value_get (*it, "valueFrom");
    if (value_count (from)) {
      if ((rc = value_from (&e, pod, container, from, refs, node, ips, &text, err)))
        return rc;
    } else {
      text = expand (a, value_path_string (*it, "value", ""), lookup, &e);
    }
    if (text)
      value_set_string (a, e.out, name, text);
  }
  for (value_each (e.services, m))
    if (!value_get (e.out, m->key))
      value_set_n (a, e.out, m->key, m->key_len, m->value);
  for (value_each (e.out, m)) {
    struct value *v = value_map (a);
    value_set_string (a, v, "name", m->key);
    value_set (a, v, "value", m->value);
    value_append (a, list, v);
  }
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "environment");
  *ret = list;
  return 0;
}
