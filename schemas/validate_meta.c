/* metadata: names, labels, annotations, owners, finalizers, and what an update may not change. */
#include "schemas/validate_internal.h"

#define ANNOTATIONS_BYTES_MAX (256 * 1024)
#define FIELD_MANAGER_BYTES_MAX 128

/* Kinds whose names are not DNS subdomains. */
static const struct name_rule {
  const char *group, *kind;
  const char *(*fn) (const char *);
} name_rules[] = {
  { "", "Namespace", name_dns1123_label },
  { "", "Service", name_dns1035_label },
  { "rbac.authorization.k8s.io", "Role", name_path_segment },
  { "rbac.authorization.k8s.io", "ClusterRole", name_path_segment },
  { "rbac.authorization.k8s.io", "RoleBinding", name_path_segment },
  { "rbac.authorization.k8s.io", "ClusterRoleBinding", name_path_segment },
  { "certificates.k8s.io", "CertificateSigningRequest", name_path_segment },
  { "apps", "StatefulSet", name_dns1123_label },
};

static const char *(*name_rule (const struct schema_kind *k)) (const char *)
{
  for (size_t i = 0; i < sizeof name_rules / sizeof *name_rules; i++)
    if (strcmp (name_rules[i].kind, k->kind) == 0 && strcmp (name_rules[i].group, k->group) == 0)
      return name_rules[i].fn;
  return name_dns1123_subdomain;
}

/* A prefix may end where a name may not: upstream checks it with a letter in place of the dash. */
static void
check_generate_name (struct validation *v, vpath_t at, const char *prefix, const char *(*fn) (const char *))
{
  char *masked = arena_strdup (v->causes->arena, prefix);
  size_t n = strlen (prefix);
  if (!masked)
    return;
  if (n > 1 && masked[n - 1] == '-')
    masked[n - 1] = 'a';
  const char *message = fn (masked);
  if (message)
    v_invalid_string (v, at, prefix, message);
}

void
v_annotations (struct validation *v, vpath_t at, const struct value *annotations)
{
  size_t total = 0;
  for (value_each (annotations, m)) {
    char *lower = arena_strdup (v->causes->arena, m->key);
    for (char *p = lower; p && *p; p++)
      if (*p >= 'A' && *p <= 'Z')
        *p = (char) (*p + 'a' - 'A');
    const char *message = lower ? name_qualified (lower) : NULL;
    if (message)
      v_invalid_string (v, at, m->key, message);
    total += m->key_len + (value_is (m->value, VALUE_STRING) ? m->value->len : 0);
  }
  if (total > ANNOTATIONS_BYTES_MAX)
    v_too_long (v, at, ANNOTATIONS_BYTES_MAX);
}

static void
check_owner (struct validation *v, vpath_t at, const struct value *ref)
{
  const char *version = v_string (ref, "apiVersion"), *slash = strchr (version, '/');
  if (!version[0] || (slash && !slash[1]))
    v_invalid_string (v, CHILD (at, "apiVersion"), version, "version must not be empty");
  if (!v_string (ref, "kind")[0])
    v_invalid_string (v, CHILD (at, "kind"), "", "kind must not be empty");
  if (!v_string (ref, "name")[0])
    v_invalid_string (v, CHILD (at, "name"), "", "name must not be empty");
  if (!v_string (ref, "uid")[0])
    v_invalid_string (v, CHILD (at, "uid"), "", "uid must not be empty");
  if (strcmp (version, "v1") == 0 && strcmp (v_string (ref, "kind"), "Event") == 0)
    v_invalid (v, at, ref, "/v1, Kind=Event is disallowed from being an owner");
}

static void
check_owners (struct validation *v, vpath_t at, const struct value *refs)
{
  const char *controller = NULL;
  for (value_items (refs, it)) {
    check_owner (v, at, *it);
    if (!value_path_bool (*it, "controller", false))
      continue;
    if (controller) {
      AUTO_BUF struct buf text = BUF_INIT;
      buf_printf (&text, "Only one reference can have Controller set to true. Found \"true\" in references for %s and %s", controller,
                  v_string (*it, "name"));
      v_invalid (v, at, refs, buf_cstr (&text));
    } else
      controller = v_string (*it, "name");
  }
}

static void
check_finalizers (struct validation *v, vpath_t at, const struct value *finalizers)
{
  bool orphan = false, dependents = false;
  for (size_t i = 0; i < value_count (finalizers); i++) {
    const char *s = value_as_string (value_at (finalizers, i), "");
    v_check_name (v, at, s, name_qualified);
    orphan |= strcmp (s, "orphan") == 0;
    dependents |= strcmp (s, "foregroundDeletion") == 0;
    if (!strchr (s, '/') && !v_in (s, LIST ("kubernetes", "orphan", "foregroundDeletion")))
      v_invalid_string (v, INDEX (at, i), s, "name is neither a standard finalizer name nor is it fully qualified");
  }
  if (orphan && dependents)
    v_invalid (v, at, finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
}

static void
check_managed_fields (struct validation *v, vpath_t at, const struct value *entries)
{
  for (size_t i = 0; i < value_count (entries); i++) {
    const struct value *e = value_at (entries, i);
    const char *op = v_string (e, "operation"), *type = v_string (e, "fieldsType");
    if (strcmp (op, "Apply") != 0 && strcmp (op, "Update") != 0)
      v_invalid_string (v, CHILD (INDEX (at, i), "operation"), op, "must be `Apply` or `Update`");
    if (type[0] && strcmp (type, "FieldsV1") != 0)
      v_invalid_string (v, CHILD (INDEX (at, i), "fieldsType"), type, "must be `FieldsV1`");
    if (strlen (v_string (e, "manager")) > FIELD_MANAGER_BYTES_MAX)
      v_too_long (v, CHILD (INDEX (at, i), "manager"), FIELD_MANAGER_BYTES_MAX);
  }
}

static void
check_namespace (struct validation *v, vpath_t at, const struct value *meta)
{
  const char *namespace = v_string (meta, "namespace");
  if (!v->kind->namespaced) {
    if (namespace[0])
      v_forbidden (v, at, "not allowed on this type");
  } else if (!namespace[0])
    v_required (v, at, NULL);
  else
    v_check_name (v, at, namespace, name_dns1123_label);
}

static void
check_new_finalizers (struct validation *v, vpath_t at, const struct value *now, const struct value *then)
{
  AUTO_BUF struct buf extra = BUF_INIT;
  for (value_items (now, it)) {
    bool known = false;
    for (value_items (then, old))
      known |= value_equal (*it, *old);
    if (!known)
      buf_printf (&extra, "%s\"%s\"", extra.len > 0 ? ", " : "", value_as_string (*it, ""));
  }
  if (extra.len == 0)
    return;
  AUTO_BUF struct buf text = BUF_INIT;
  buf_printf (&text, "no new finalizers can be added if the object is being deleted, found new finalizers []string{%s}", buf_cstr (&extra));
  v_forbidden (v, at, buf_cstr (&text));
}

static void
check_update (struct validation *v, vpath_t at, const struct value *meta, const struct value *old)
{
  static const char *const fixed[] = { "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds" };
  if (v_has (old, "deletionTimestamp"))
    check_new_finalizers (v, CHILD (at, "finalizers"), value_get (meta, "finalizers"), value_get (old, "finalizers"));
  if (!v_string (meta, "resourceVersion")[0] && v_string (old, "resourceVersion")[0])
    v_invalid_string (v, CHILD (at, "resourceVersion"), "", "must be specified for an update");
  if (v_int (meta, "generation") < v_int (old, "generation"))
    v_invalid_int (v, CHILD (at, "generation"), v_int (meta, "generation"), "must not be decremented");
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
    v_immutable (v, CHILD (at, fixed[i]), value_get (meta, fixed[i]), value_get (old, fixed[i]));
}

void
validate_metadata (struct validation *v)
{
  const struct value *meta = value_get (v->obj, "metadata");
  vpath_t at = CHILD (NULL, "metadata");
  if (v->old)
    check_update (v, at, meta, value_get (v->old, "metadata"));
  else {
    const char *(*rule) (const char *) = name_rule (v->kind);
    const char *prefix = v_string (meta, "generateName"), *name = v_string (meta, "name");
    if (prefix[0])
      check_generate_name (v, CHILD (at, "generateName"), prefix, rule);
    if (!name[0])
      v_required (v, CHILD (at, "name"), "name or generateName is required");
    else
      v_check_name (v, CHILD (at, "name"), name, rule);
    check_namespace (v, CHILD (at, "namespace"), meta);
    v_nonnegative_in (v, at, meta, "generation");
  }
  v_labels (v, CHILD (at, "labels"), value_get (meta, "labels"));
  v_annotations (v, CHILD (at, "annotations"), value_get (meta, "annotations"));
  check_owners (v, CHILD (at, "ownerReferences"), value_get (meta, "ownerReferences"));
  check_finalizers (v, CHILD (at, "finalizers"), value_get (meta, "finalizers"));
  check_managed_fields (v, CHILD (at, "managedFields"), value_get (meta, "managedFields"));
}
