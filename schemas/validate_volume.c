/* The volumes of a pod. */
#include "schemas/validate_internal.h"

static const char mode_error[] = "must be a number between 0 and 0777 (octal), both inclusive";

void
v_no_backsteps (struct validation *v, vpath_t at, const char *path)
{
  for (const char *p = path; p; p = strchr (p, '/')) {
    p += *p == '/';
    if (strncmp (p, "..", 2) == 0 && (!p[2] || p[2] == '/')) {
      v_invalid_string (v, at, path, "must not contain '..'");
      return;
    }
  }
}

void
v_local_path (struct validation *v, vpath_t at, const char *path)
{
  if (path[0] == '/')
    v_invalid_string (v, at, path, "must be a relative path");
  v_no_backsteps (v, at, path);
}

static void
reserved_path (struct validation *v, vpath_t at, const char *path)
{
  v_local_path (v, at, path);
  if (strncmp (path, "..", 2) == 0 && strncmp (path, "../", 3) != 0 && path[2])
    v_invalid_string (v, at, path, "must not start with '..'");
}

static void
check_mode (struct validation *v, vpath_t at, const struct value *map, const char *key)
{
  int64_t mode = v_int (map, key);
  if (mode < 0 || mode > 0777)
    v_invalid_int (v, CHILD (at, key), mode, mode_error);
}

static void
check_items (struct validation *v, vpath_t at, const struct value *items)
{
  for (size_t i = 0; i < value_count (items); i++) {
    const struct value *item = value_at (items, i);
    if (!v_string (item, "key")[0])
      v_required (v, CHILD (INDEX (at, i), "key"), NULL);
    if (!v_string (item, "path")[0])
      v_required (v, CHILD (INDEX (at, i), "path"), NULL);
    reserved_path (v, CHILD (INDEX (at, i), "path"), v_string (item, "path"));
    check_mode (v, INDEX (at, i), item, "mode");
  }
}

static void
check_downward_file (struct validation *v, vpath_t at, const struct value *file)
{
  static const char *const paths[] = { "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
                                       NULL };
  bool field = v_has (file, "fieldRef"), resource = v_has (file, "resourceFieldRef");
  if (!v_string (file, "path")[0])
    v_required (v, CHILD (at, "path"), NULL);
  reserved_path (v, CHILD (at, "path"), v_string (file, "path"));
  if (field)
    v_field_ref (v, CHILD (at, "fieldRef"), value_get (file, "fieldRef"), paths);
  if (field && resource)
    v_invalid_string (v, at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
  else if (resource)
    v_resource_field_ref (v, CHILD (at, "resourceFieldRef"), value_get (file, "resourceFieldRef"), true);
  else if (!field)
    v_required (v, at, "one of fieldRef and resourceFieldRef is required");
  check_mode (v, at, file, "mode");
}

void
v_host_path (struct validation *v, vpath_t at, const struct value *source)
{
  static const char *const types[] = { "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
                                       NULL };
  const char *path = v_string (source, "path");
  if (!path[0]) {
    v_required (v, CHILD (at, "path"), NULL);
    return;
  }
  v_no_backsteps (v, CHILD (at, "path"), path);
  if (!v_in (v_string (source, "type"), types))
    v_not_supported (v, CHILD (at, "type"), v_string (source, "type"), types);
}

void
v_nfs (struct validation *v, vpath_t at, const struct value *source)
{
  const char *path = v_string (source, "path");
  if (!v_string (source, "server")[0])
    v_required (v, CHILD (at, "server"), NULL);
  if (!path[0])
    v_required (v, CHILD (at, "path"), NULL);
  if (path[0] != '/')
    v_invalid_string (v, CHILD (at, "path"), path, "must be an absolute path");
}

static void
check_token (struct validation *v, vpath_t at, const struct value *token)
{
  int64_t seconds = v_int (token, "expirationSeconds");
  if (seconds < 600)
    v_invalid_int (v, CHILD (at, "expirationSeconds"), seconds, "may not specify a duration less than 10 minutes");
  if (seconds > 1LL << 32)
    v_invalid_int (v, CHILD (at, "expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds");
  if (!v_string (token, "path")[0])
    v_required (v, CHILD (at, "path"), NULL);
}

static void
check_projection (struct validation *v, vpath_t at, const struct value *source)
{
  int n = 0;
  for (const char *const *f = LIST ("secret", "configMap"); *f; f++)
    if (v_has (source, *f)) {
      n++;
      if (!v_string (value_get (source, *f), "name")[0])
        v_required (v, CHILD (CHILD (at, *f), "name"), NULL);
      check_items (v, CHILD (CHILD (at, *f), "items"), value_get (value_get (source, *f), "items"));
    }
  if (v_has (source, "downwardAPI")) {
    n++;
    for (value_items (value_path (source, "downwardAPI.items"), it))
      check_downward_file (v, CHILD (at, "downwardAPI"), *it);
  }
  if (v_has (source, "serviceAccountToken") && ++n)
    check_token (v, CHILD (at, "serviceAccountToken"), value_get (source, "serviceAccountToken"));
  n += v_has (source, "clusterTrustBundle");
  if (n > 1)
    v_forbidden (v, at, "may not specify more than 1 volume type per source");
  else if (n == 0)
    v_required (v, at, "must specify a volume type");
}

static bool
path_taken (size_t before, const struct value *sources, const char *path)
{
  for (size_t s = before > 100 ? before - 100 : 0; s < before; s++)
    for (const char *const *f = LIST ("secret", "configMap", "downwardAPI"); *f; f++)
      for (value_items (value_get (value_get (value_at (sources, s), *f), "items"), it))
        if (strcmp (v_string (*it, "path"), path) == 0)
          return true;
  return false;
}

static void
check_projected (struct validation *v, vpath_t at, const struct value *projected)
{
  const struct value *sources = value_get (projected, "sources");
  check_mode (v, at, projected, "defaultMode");
  for (size_t i = 0; i < value_count (sources); i++) {
    const struct value *s = value_at (sources, i);
    check_projection (v, INDEX (CHILD (at, "sources"), i), s);
    for (const char *const *f = LIST ("secret", "configMap", "downwardAPI"); *f; f++)
      for (value_items (value_get (value_get (s, *f), "items"), it))
        if (path_taken (i, sources, v_string (*it, "path")))
          v_invalid_string (v, at, v_string (value_get (s, *f), "name"), "conflicting duplicate paths");
  }
}

static void
check_source (const struct pod_validation *p, vpath_t at, const char *kind, const struct value *s)
{
  struct validation *v = p->v;
  vpath_t here = CHILD (at, kind);
  if (strcmp (kind, "hostPath") == 0)
    v_host_path (v, here, s);
  else if (strcmp (kind, "nfs") == 0)
    v_nfs (v, here, s);
  else if (strcmp (kind, "projected") == 0)
    check_projected (v, here, s);
  else if (strcmp (kind, "emptyDir") == 0) {
    if (v_quantity_compare (value_get (s, "sizeLimit"), NULL) < 0)
      v_forbidden (v, CHILD (here, "sizeLimit"), "SizeLimit field must be a valid resource quantity");
  } else if (strcmp (kind, "secret") == 0 || strcmp (kind, "configMap") == 0) {
    const char *field = kind[0] == 's' ? "secretName" : "name";
    if (!v_string (s, field)[0])
      v_required (v, CHILD (here, field), NULL);
    check_mode (v, here, s, "defaultMode");
    check_items (v, CHILD (here, "items"), value_get (s, "items"));
  } else if (strcmp (kind, "downwardAPI") == 0) {
    check_mode (v, here, s, "defaultMode");
    for (value_items (value_get (s, "items"), it))
      check_downward_file (v, here, *it);
  } else if (strcmp (kind, "persistentVolumeClaim") == 0) {
    if (!v_string (s, "claimName")[0])
      v_required (v, CHILD (here, "claimName"), NULL);
  } else if (strcmp (kind, "csi") == 0) {
    if (!v_string (s, "driver")[0])
      v_required (v, CHILD (here, "driver"), NULL);
  } else if (strcmp (kind, "ephemeral") == 0) {
    if (!v_has (s, "volumeClaimTemplate"))
      v_required (v, CHILD (here, "volumeClaimTemplate"), NULL);
    else
      v_pvc_spec (v, CHILD (CHILD (here, "volumeClaimTemplate"), "spec"), value_path (s, "volumeClaimTemplate.spec"));
  }
}

void
v_volume_source (const struct pod_validation *p, vpath_t at, const struct value *volume)
{
  int n = 0;
  for (value_each (volume, m)) {
    if (strcmp (m->key, "name") == 0 || m->value->type == VALUE_NULL)
      continue;
    if (n++ > 0)
      v_forbidden (p->v, CHILD (at, m->key), "may not specify more than 1 volume type");
    else
      check_source (p, at, m->key, m->value);
  }
  if (n == 0)
    v_required (p->v, at, "must specify a volume type");
}

void
v_volumes (const struct pod_validation *p, vpath_t at)
{
  for (size_t i = 0; i < value_count (p->volumes); i++) {
    const char *name = v_string (value_at (p->volumes, i), "name");
    v_volume_source (p, INDEX (at, i), value_at (p->volumes, i));
    if (!name[0])
      v_required (p->v, CHILD (INDEX (at, i), "name"), NULL);
    else
      v_check_name (p->v, CHILD (INDEX (at, i), "name"), name, name_dns1123_label);
    if (v_seen (p->volumes, i, "name", name))
      v_duplicate (p->v, CHILD (INDEX (at, i), "name"), name);
  }
}
