/* What deciders of several kinds ask of objects: owners, pod states, conditions, names. Pure. */
#ifndef SERVICES_CONTROLLER_META_H
#define SERVICES_CONTROLLER_META_H

#include "base/clock.h"
#include "schemas/machinery.h"
#include "schemas/value.h"

static inline const char *
meta_name (const struct value *o)
{
  return value_path_string (o, "metadata.name", "");
}
static inline const char *
meta_namespace (const struct value *o)
{
  return value_path_string (o, "metadata.namespace", "");
}
static inline const char *
meta_uid (const struct value *o)
{
  return value_path_string (o, "metadata.uid", "");
}
const char *meta_annotation (const struct value *o, const char *key); /* "" when absent */
const char *meta_label (const struct value *o, const char *key);
bool meta_deleting (const struct value *o);
const struct value *meta_controller (const struct value *o); /* its controller reference, or NULL */
bool meta_controlled_by (const struct value *o, const char *uid);
bool meta_has_finalizer (const struct value *o, const char *finalizer);
/* A controller reference to owner, with blockOwnerDeletion. */
struct value *meta_owner_reference (struct arena *a, const struct value *owner, const char *api_version, const char *kind);
/* Strategic merge patches that take o over for owner, or let it go; both tied to o's uid. */
struct value *meta_adopt_patch (struct arena *a, const struct value *o, const struct value *owner, const char *api_version, const char *kind);
struct value *meta_release_patch (struct arena *a, const struct value *o, const char *owner_uid);

/* Whole seconds of a time field at path; otherwise when absent or malformed. */
int64_t meta_time (const struct value *o, const char *path, int64_t otherwise);
const char *meta_time_text (struct arena *a, wall_t now);
static inline int64_t
wall_s (wall_t t)
{
  return t.us / 1000000;
}

const struct value *meta_condition (const struct value *o, const char *type); /* in status.conditions; NULL */
bool meta_condition_is (const struct value *o, const char *type, const char *status);
/* Sets a condition in status: lastTransitionTime changes with its status; update_time writes lastUpdateTime when anything
   changed, as Deployments have. true when it changed. */
bool meta_set_condition (struct arena *a, struct value *status, const char *type, const char *value, const char *reason,
                         const char *message, wall_t now, bool update_time);
bool meta_remove_condition (struct value *status, const char *type);

bool pod_active (const struct value *pod); /* neither ended nor being deleted */
bool pod_finished (const struct value *pod);
bool pod_ready (const struct value *pod);
/* Ready for min_ready_s. When it is not yet, *wait_ms (when not NULL) is lowered to when it will be. */
bool pod_available (const struct value *pod, int64_t min_ready_s, wall_t now, int64_t *wait_ms);

/* "name-xxxxx": upstream's generated names, from the salt and n. */
const char *meta_generated_name (struct arena *a, const char *prefix, uint64_t salt, size_t n);
/* fmt.Sprint of upstream's 32-bit hash is not reproducible outside Go; this is ours: same alphabet, same stability. */
const char *meta_hash_label (struct arena *a, const struct value *template_, int64_t collisions);
/* An IntOrString against a total. */
int64_t meta_scaled (const struct value *v, int64_t total, bool round_up, int64_t otherwise);
/* A pod of a template: labels, annotations, finalizers and spec copied, owned by owner. */
struct value *meta_pod_of (struct arena *a, const struct value *template_, const struct value *owner, const char *api_version,
                           const char *kind, const char *name, const char *generate_name);

#endif
