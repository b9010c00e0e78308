/* PersistentVolume, PersistentVolumeClaim, StorageClass, CSIDriver. */
#include "schemas/validate_internal.h"

static const char *const access_modes[] = { "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL };
static const char *const volume_modes[] = { "Block", "Filesystem", NULL };

static void
check_access (struct validation *v, vpath_t at, const struct value *modes, const char *detail)
{
  if (value_count (modes) == 0)
    v_required (v, at, detail);
  for (value_items (modes, it))
    if (!v_in (value_as_string (*it, ""), access_modes))
      v_not_supported (v, at, value_as_string (*it, ""), access_modes);
}

static void
check_positive (struct validation *v, vpath_t at, const struct value *q)
{
  if (v_quantity_compare (q, NULL) <= 0)
    v_invalid (v, at, q, "must be greater than zero");
}

static void
check_class_and_mode (struct validation *v, vpath_t at, const struct value *spec)
{
  const char *mode = v_string (spec, "volumeMode");
  if (v_string (spec, "storageClassName")[0])
    v_check_name (v, CHILD (at, "storageClassName"), v_string (spec, "storageClassName"), name_dns1123_subdomain);
  if (mode[0] && !v_in (mode, volume_modes))
    v_not_supported (v, CHILD (at, "volumeMode"), mode, volume_modes);
}

void
v_pvc_spec (struct validation *v, vpath_t at, const struct value *spec)
{
  const struct value *storage = value_path (spec, "resources.requests.storage");
  vpath_t here = KEY (CHILD (at, "resources"), "storage");
  check_access (v, CHILD (at, "accessModes"), value_get (spec, "accessModes"), "at least 1 access mode is required");
  v_label_selector (v, CHILD (at, "selector"), value_get (spec, "selector"));
  if (value_is_null (storage))
    v_required (v, here, NULL);
  else
    check_positive (v, here, storage);
  check_class_and_mode (v, at, spec);
  if (v_has (spec, "dataSource"))
    for (const char *const *f = LIST ("name", "kind"); *f; f++)
      if (!v_string (value_get (spec, "dataSource"), *f)[0])
        v_required (v, CHILD (CHILD (at, "dataSource"), *f), NULL);
}

static bool
claim_kept (const struct value *spec, const struct value *old)
{
  for (value_each (spec, m)) {
    const struct value *was = value_get_n (old, m->key, m->key_len);
    bool set_once = v_in (m->key, LIST ("volumeName", "storageClassName")) && value_is_empty (was);
    if (!set_once && !v_in (m->key, LIST ("resources", "volumeAttributesClassName", "dataSourceRef", "dataSource")) && !v_same (m->value, was))
      return false;
  }
  for (value_each (old, m))
    if (!v_in (m->key, LIST ("resources", "volumeAttributesClassName")) && !v_has (spec, m->key) && !value_is_empty (m->value))
      return false;
  return true;
}

void
validate_persistent_volume_claim (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *old = value_get (v->old, "spec");
  vpath_t at = CHILD (NULL, "spec");
  v_pvc_spec (v, at, spec);
  if (!old)
    return;
  const struct value *now = value_path (spec, "resources.requests.storage"), *then = value_path (old, "resources.requests.storage");
  bool bound = strcmp (value_path_string (v->old, "status.phase", ""), "Bound") == 0;
  if (!claim_kept (spec, old) || (!bound && v_quantity_compare (now, then) != 0))
    v_forbidden (v, at, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims");
  if (v_quantity_compare (now, then) < 0)
    v_forbidden (v, CHILD (CHILD (CHILD (at, "resources"), "requests"), "storage"), "field can not be less than status.capacity");
}

/* The members of a PersistentVolume's spec that are not a kind of volume. */
static bool
is_source (const char *key)
{
  return !v_in (key, LIST ("capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions",
                           "volumeMode", "nodeAffinity", "volumeAttributesClassName"));
}

static void
check_volume_source (struct validation *v, vpath_t at, const struct value *spec)
{
  int n = 0;
  for (value_each (spec, m)) {
    vpath_t here = CHILD (at, m->key);
    if (!is_source (m->key) || value_is_null (m->value))
      continue;
    if (n++ > 0)
      v_forbidden (v, here, "may not specify more than 1 volume type");
    else if (strcmp (m->key, "hostPath") == 0)
      v_host_path (v, here, m->value);
    else if (strcmp (m->key, "nfs") == 0)
      v_nfs (v, here, m->value);
    else if (strcmp (m->key, "local") == 0) {
      if (!v_string (m->value, "path")[0])
        v_required (v, CHILD (here, "path"), NULL);
      else
        v_no_backsteps (v, CHILD (here, "path"), v_string (m->value, "path"));
      if (!v_has (spec, "nodeAffinity"))
        v_required (v, CHILD (at, "nodeAffinity"), "Local volume requires node affinity");
    } else if (strcmp (m->key, "csi") == 0) {
      for (const char *const *f = LIST ("driver", "volumeHandle"); *f; f++)
        if (!v_string (m->value, *f)[0])
          v_required (v, CHILD (here, *f), NULL);
    }
  }
  if (n == 0)
    v_required (v, at, "must specify a volume type");
}

void
validate_persistent_volume (struct validation *v)
{
  static const char *const policies[] = { "Delete", "Recycle", "Retain", NULL };
  const struct value *spec = value_get (v->obj, "spec"), *capacity = value_get (spec, "capacity"), *old = value_get (v->old, "spec");
  const char *policy = v_string (spec, "persistentVolumeReclaimPolicy");
  vpath_t at = CHILD (NULL, "spec");
  check_access (v, CHILD (at, "accessModes"), value_get (spec, "accessModes"), NULL);
  if (value_count (capacity) == 0)
    v_required (v, CHILD (at, "capacity"), NULL);
  else if (!v_has (capacity, "storage") || value_count (capacity) > 1)
    v_not_supported (v, CHILD (at, "capacity"), capacity->members[0].key, LIST ("storage"));
  for (value_each (capacity, m))
    check_positive (v, KEY (CHILD (at, "capacity"), m->key), m->value);
  if (policy[0] && !v_in (policy, policies))
    v_not_supported (v, CHILD (at, "persistentVolumeReclaimPolicy"), policy, policies);
  if (v_has (spec, "nodeAffinity")) {
    const struct value *required = value_path (spec, "nodeAffinity.required");
    vpath_t here = CHILD (CHILD (at, "nodeAffinity"), "required");
    if (value_is_null (required))
      v_required (v, here, "must specify required node constraints");
    else
      v_node_selector (v, here, required);
  }
  check_volume_source (v, at, spec);
  check_class_and_mode (v, at, spec);
  if (!old)
    return;
  for (value_each (old, m))
    if (is_source (m->key) && !v_same (m->value, value_get_n (spec, m->key, m->key_len))) {
      v_forbidden (v, CHILD (at, "persistentvolumesource"), "spec.persistentvolumesource is immutable after creation");
      break;
    }
  v_immutable (v, CHILD (NULL, "volumeMode"), value_get (spec, "volumeMode"), value_get (old, "volumeMode"));
  if (v_has (old, "nodeAffinity"))
    v_immutable (v, CHILD (NULL, "nodeAffinity"), value_get (spec, "nodeAffinity"), value_get (old, "nodeAffinity"));
}

void
validate_storage_class (struct validation *v)
{
  const char *provisioner = v_string (v->obj, "provisioner"), *policy = v_string (v->obj, "reclaimPolicy"), *mode = v_string (v->obj, "volumeBindingMode");
  if (!provisioner[0])
    v_required (v, CHILD (NULL, "provisioner"), NULL);
  else
    v_check_name (v, CHILD (NULL, "provisioner"), provisioner, name_qualified);
  if (policy[0] && !v_in (policy, LIST ("Delete", "Retain")))
    v_not_supported (v, CHILD (NULL, "reclaimPolicy"), policy, LIST ("Delete", "Retain"));
  v_one_of (v, CHILD (NULL, "volumeBindingMode"), mode, LIST ("Immediate", "WaitForFirstConsumer"));
  if (!v->old)
    return;
  for (const char *const *f = LIST ("parameters", "provisioner", "reclaimPolicy"); *f; f++)
    if (!v_same (value_get (v->obj, *f), value_get (v->old, *f))) {
      char text[80];
      snprintf (text, sizeof text, "updates to %s are forbidden.", *f);
      v_forbidden (v, CHILD (NULL, *f), text);
    }
  v_immutable (v, CHILD (NULL, "volumeBindingMode"), value_get (v->obj, "volumeBindingMode"), value_get (v->old, "volumeBindingMode"));
}

void
validate_csi_driver (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *old = value_get (v->old, "spec");
  const char *group = v_string (spec, "fsGroupPolicy");
  vpath_t at = CHILD (NULL, "spec");
  for (const char *const *f = LIST ("attachRequired", "podInfoOnMount", "storageCapacity"); *f; f++)
    if (!v_has (spec, *f))
      v_required (v, CHILD (at, *f), NULL);
  if (group[0] && !v_in (group, LIST ("File", "None", "ReadWriteOnceWithFSType")))
    v_not_supported (v, CHILD (at, "fsGroupPolicy"), group, LIST ("File", "None", "ReadWriteOnceWithFSType"));
  for (value_items (value_get (spec, "volumeLifecycleModes"), it))
    if (!v_in (value_as_string (*it, ""), LIST ("Ephemeral", "Persistent")))
      v_not_supported (v, CHILD (at, "volumeLifecycleModes"), value_as_string (*it, ""), LIST ("Ephemeral", "Persistent"));
  if (old)
    for (const char *const *f = LIST ("attachRequired", "fsGroupPolicy", "volumeLifecycleModes"); *f; f++)
      v_immutable (v, CHILD (at, *f), value_get (spec, *f), value_get (old, *f));
}
