/* Controllers of pods: Deployment, ReplicaSet, ReplicationController, DaemonSet, StatefulSet, ControllerRevision, Job, CronJob. */
#include <ctype.h>
#include <stdlib.h>

#include "schemas/validate_internal.h"

static const char mismatch[] = "`selector` does not match template `labels`";

static void
check_selector (struct validation *v, vpath_t at, const struct value *selector, const char *kind, bool required)
{
  char text[80];
  if (value_is_null (selector)) {
    if (required)
      v_required (v, at, NULL);
    return;
  }
  v_label_selector (v, at, selector);
  snprintf (text, sizeof text, "empty selector is invalid for %s", kind);
  if (value_count (value_get (selector, "matchLabels")) + value_count (value_get (selector, "matchExpressions")) == 0)
    v_invalid (v, at, selector, text);
}

static void
check_template_labels (struct validation *v, const struct value *selector, const struct value *template)
{
  struct selector *s = NULL;
  const struct value *labels = value_path (template, "metadata.labels");
  vpath_t at = CHILD (NULL, "spec");
  if (value_count (selector) == 0)
    return;
  if (selector_from_label_selector (v->causes->arena, selector, &s, NULL) != 0)
    v_invalid (v, CHILD (at, "selector"), selector, "invalid label selector");
  else if (!selector_matches (s, labels))
    v_invalid (v, CHILD (CHILD (CHILD (at, "template"), "metadata"), "labels"), labels, mismatch);
}

static void
check_always (struct validation *v, const struct value *template, const char *kind)
{
  vpath_t at = CHILD (CHILD (CHILD (NULL, "spec"), "template"), "spec");
  const char *policy = value_path_string (template, "spec.restartPolicy", "");
  char text[80];
  if (strcmp (policy, "Always") != 0)
    v_not_supported (v, CHILD (at, "restartPolicy"), policy, LIST ("Always"));
  snprintf (text, sizeof text, "activeDeadlineSeconds in %s is not Supported", kind);
  if (!value_is_null (value_path (template, "spec.activeDeadlineSeconds")))
    v_forbidden (v, CHILD (at, "activeDeadlineSeconds"), text);
}

static void
check_replicated (struct validation *v, const struct value *spec, const char *kind, const char *selector_kind)
{
  const struct value *template = value_get (spec, "template"), *selector = value_get (spec, "selector");
  vpath_t at = CHILD (NULL, "spec");
  v_nonnegative_in (v, at, spec, "replicas");
  v_nonnegative_in (v, at, spec, "minReadySeconds");
  check_selector (v, CHILD (at, "selector"), selector, selector_kind, true);
  check_template_labels (v, selector, template);
  validate_pod_template (v, CHILD (at, "template"), template);
  check_always (v, template, kind);
  if (v->old)
    v_immutable (v, CHILD (at, "selector"), selector, value_path (v->old, "spec.selector"));
}

static void
check_deployment_strategy (struct validation *v, vpath_t at, const struct value *strategy)
{
  const char *type = v_string (strategy, "type");
  const struct value *rolling = value_get (strategy, "rollingUpdate");
  vpath_t here = CHILD (at, "rollingUpdate");
  if (strcmp (type, "Recreate") == 0) {
    if (!value_is_null (rolling))
      v_forbidden (v, here, "may not be specified when strategy `type` is 'Recreate'");
  } else if (strcmp (type, "RollingUpdate") != 0)
    v_not_supported (v, CHILD (at, "type"), type, LIST ("Recreate", "RollingUpdate"));
  else if (value_is_null (rolling))
    v_required (v, here, "this should be defaulted and never be nil");
  else {
    const struct value *down = value_get (rolling, "maxUnavailable"), *up = value_get (rolling, "maxSurge");
    v_int_or_percent (v, CHILD (here, "maxUnavailable"), down, true);
    v_int_or_percent (v, CHILD (here, "maxSurge"), up, false);
    if (v_int_or_percent_value (down) == 0 && v_int_or_percent_value (up) == 0)
      v_invalid (v, CHILD (here, "maxUnavailable"), down, "may not be 0 when `maxSurge` is 0");
  }
}

void
validate_deployment (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec");
  vpath_t at = CHILD (NULL, "spec");
  check_replicated (v, spec, "ReplicaSet", "deployment");
  check_deployment_strategy (v, CHILD (at, "strategy"), value_get (spec, "strategy"));
  v_nonnegative_in (v, at, spec, "revisionHistoryLimit");
  v_nonnegative_in (v, at, spec, "progressDeadlineSeconds");
  if (v_has (spec, "progressDeadlineSeconds") && v_int (spec, "progressDeadlineSeconds") <= v_int (spec, "minReadySeconds"))
    v_invalid_int (v, CHILD (at, "progressDeadlineSeconds"), v_int (spec, "progressDeadlineSeconds"), "must be greater than minReadySeconds");
}

void
validate_replica_set (struct validation *v)
{
  check_replicated (v, value_get (v->obj, "spec"), "ReplicaSet", "deployment");
}

void
validate_replication_controller (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *template = value_get (spec, "template"), *labels = value_path (template, "metadata.labels");
  vpath_t at = CHILD (NULL, "spec");
  v_nonnegative_in (v, at, spec, "minReadySeconds");
  if (value_count (value_get (spec, "selector")) == 0)
    v_required (v, CHILD (at, "selector"), NULL);
  v_nonnegative_in (v, at, spec, "replicas");
  if (value_is_null (template)) {
    v_required (v, CHILD (at, "template"), NULL);
    return;
  }
  for (value_each (value_get (spec, "selector"), m))
    if (!value_equal (m->value, value_get_n (labels, m->key, m->key_len))) {
      v_invalid (v, CHILD (CHILD (CHILD (at, "template"), "metadata"), "labels"), labels, mismatch);
      break;
    }
  validate_pod_template (v, CHILD (at, "template"), template);
  check_always (v, template, "ReplicationController");
}

static void
check_daemon_set_strategy (struct validation *v, vpath_t at, const struct value *strategy)
{
  const char *type = v_string (strategy, "type");
  const struct value *rolling = value_get (strategy, "rollingUpdate");
  vpath_t here = CHILD (at, "rollingUpdate");
  if (strcmp (type, "OnDelete") == 0)
    return;
  if (strcmp (type, "RollingUpdate") != 0)
    v_not_supported (v, CHILD (at, "type"), type, LIST ("RollingUpdate", "OnDelete"));
  else if (value_is_null (rolling))
    v_required (v, here, NULL);
  else {
    const struct value *down = value_get (rolling, "maxUnavailable"), *up = value_get (rolling, "maxSurge");
    bool some_down = v_int_or_percent_value (down) != 0, some_up = v_int_or_percent_value (up) != 0;
    v_int_or_percent (v, CHILD (here, "maxUnavailable"), down, true);
    v_int_or_percent (v, CHILD (here, "maxSurge"), up, true);
    if (some_down && some_up)
      v_invalid (v, CHILD (here, "maxSurge"), up, "may not be set when maxUnavailable is non-zero");
    else if (!some_down && !some_up)
      v_required (v, CHILD (here, "maxUnavailable"), "cannot be 0 when maxSurge is 0");
  }
}

void
validate_daemon_set (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *template = value_get (spec, "template"), *selector = value_get (spec, "selector");
  vpath_t at = CHILD (NULL, "spec");
  check_selector (v, CHILD (at, "selector"), selector, "daemonset", true);
  check_template_labels (v, selector, template);
  validate_pod_template (v, CHILD (at, "template"), template);
  check_always (v, template, "DaemonSet");
  v_nonnegative_in (v, at, spec, "minReadySeconds");
  check_daemon_set_strategy (v, CHILD (at, "updateStrategy"), value_get (spec, "updateStrategy"));
  v_nonnegative_in (v, at, spec, "revisionHistoryLimit");
  if (v->old)
    v_immutable (v, CHILD (at, "selector"), selector, value_path (v->old, "spec.selector"));
}

static bool
stateful_set_kept (const struct value *spec, const struct value *old)
{
  static const char *const free_fields[] = { "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                                             "persistentVolumeClaimRetentionPolicy", "minReadySeconds", NULL };
  for (value_each (spec, m))
    if (!v_in (m->key, free_fields) && !v_same (m->value, value_get_n (old, m->key, m->key_len)))
      return false;
  for (value_each (old, m))
    if (!v_in (m->key, free_fields) && !v_same (m->value, value_get_n (spec, m->key, m->key_len)))
      return false;
  return true;
}

static void
check_stateful_set_strategy (struct validation *v, vpath_t at, const struct value *strategy)
{
  const char *type = v_string (strategy, "type");
  const struct value *rolling = value_get (strategy, "rollingUpdate");
  if (!type[0])
    v_required (v, at, NULL);
  else if (strcmp (type, "OnDelete") == 0) {
    if (!value_is_null (rolling))
      v_invalid (v, CHILD (at, "rollingUpdate"), rolling, "only allowed for updateStrategy 'RollingUpdate'");
  } else if (strcmp (type, "RollingUpdate") == 0)
    v_nonnegative_in (v, CHILD (at, "rollingUpdate"), rolling, "partition");
  else
    v_invalid (v, at, strategy, "must be 'RollingUpdate' or 'OnDelete'");
}

void
validate_stateful_set (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *template = value_get (spec, "template"), *selector = value_get (spec, "selector");
  const char *management = v_string (spec, "podManagementPolicy");
  vpath_t at = CHILD (NULL, "spec");
  if (!management[0])
    v_required (v, CHILD (at, "podManagementPolicy"), NULL);
  else if (!v_in (management, LIST ("OrderedReady", "Parallel")))
    v_invalid_string (v, CHILD (at, "podManagementPolicy"), management, "must be 'OrderedReady' or 'Parallel'");
  check_stateful_set_strategy (v, CHILD (at, "updateStrategy"), value_get (spec, "updateStrategy"));
  v_nonnegative_in (v, at, spec, "replicas");
  v_nonnegative_in (v, at, spec, "minReadySeconds");
  check_selector (v, CHILD (at, "selector"), selector, "statefulset", true);
  check_template_labels (v, selector, template);
  validate_pod_template (v, CHILD (at, "template"), template);
  check_always (v, template, "StatefulSet");
  if (v->old && !stateful_set_kept (spec, value_get (v->old, "spec")))
    v_forbidden (v, at, "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
                        "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
}

void
validate_controller_revision (struct validation *v)
{
  if (value_is_null (value_get (v->obj, "data")))
    v_required (v, CHILD (NULL, "data"), "data is mandatory");
  v_nonnegative_in (v, NULL, v->obj, "revision");
  if (v->old)
    v_immutable (v, CHILD (NULL, "data"), value_get (v->obj, "data"), value_get (v->old, "data"));
}

void
validate_workload_status (struct validation *v)
{
  static const char *const counts[] = { "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "updatedReplicas",
                                        "currentReplicas", "unavailableReplicas", "observedGeneration", "collisionCount",
                                        "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
                                        "updatedNumberScheduled", "numberAvailable", "numberUnavailable", NULL };
  const struct value *status = value_get (v->obj, "status");
  vpath_t at = CHILD (NULL, "status");
  for (size_t i = 0; counts[i]; i++)
    v_nonnegative_in (v, at, status, counts[i]);
  for (size_t i = 1; i <= 5; i++)
    if (v_int (status, counts[i]) > v_int (status, "replicas"))
      v_invalid_int (v, CHILD (at, counts[i]), v_int (status, counts[i]), "cannot be greater than status.replicas");
  if (v_int (status, "availableReplicas") > v_int (status, "readyReplicas"))
    v_invalid_int (v, CHILD (at, "availableReplicas"), v_int (status, "availableReplicas"), "cannot be greater than readyReplicas");
  if (v->old && v_int (status, "collisionCount") < value_path_int (v->old, "status.collisionCount", 0))
    v_invalid_int (v, CHILD (at, "collisionCount"), v_int (status, "collisionCount"), "cannot be decremented");
}

/* ---- Job and CronJob ---- */

static void
check_job_spec (struct validation *v, vpath_t at, const struct value *spec)
{
  static const char *const counts[] = { "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
                                        "backoffLimitPerIndex", "maxFailedIndexes", NULL };
  vpath_t restart = CHILD (CHILD (CHILD (at, "template"), "spec"), "restartPolicy");
  const char *policy = value_path_string (spec, "template.spec.restartPolicy", ""), *mode = v_string (spec, "completionMode");
  for (size_t i = 0; counts[i]; i++)
    v_nonnegative_in (v, at, spec, counts[i]);
  if (mode[0] && !v_in (mode, LIST ("Indexed", "NonIndexed")))
    v_not_supported (v, CHILD (at, "completionMode"), mode, LIST ("Indexed", "NonIndexed"));
  else if (strcmp (mode, "Indexed") == 0) {
    if (!v_has (spec, "completions"))
      v_required (v, CHILD (at, "completions"), "when completion mode is Indexed");
    if (v_int (spec, "parallelism") > 100000)
      v_invalid_int (v, CHILD (at, "parallelism"), v_int (spec, "parallelism"), "must be less than or equal to 100000 when completion mode is Indexed");
  }
  validate_pod_template (v, CHILD (at, "template"), value_get (spec, "template"));
  if (!policy[0] || strcmp (policy, "Always") == 0)
    v_required (v, restart, "valid values: \"OnFailure\", \"Never\"");
  else if (!v_in (policy, LIST ("OnFailure", "Never")))
    v_not_supported (v, restart, policy, LIST ("OnFailure", "Never"));
}

void
validate_job (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *selector = value_get (spec, "selector"), *old = value_get (v->old, "spec");
  vpath_t at = CHILD (NULL, "spec");
  check_job_spec (v, at, spec);
  if (value_is_null (selector))
    v_required (v, CHILD (at, "selector"), NULL);
  else
    v_label_selector (v, CHILD (at, "selector"), selector);
  check_template_labels (v, selector, value_get (spec, "template"));
  if (!old)
    return;
  bool elastic = strcmp (v_string (spec, "completionMode"), "Indexed") == 0 && v_int (spec, "completions") == v_int (spec, "parallelism");
  if (!elastic)
    v_immutable (v, CHILD (at, "completions"), value_get (spec, "completions"), value_get (old, "completions"));
  for (const char *const *f = LIST ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"); *f; f++)
    v_immutable (v, CHILD (at, *f), value_get (spec, *f), value_get (old, *f));
  bool unstarted = value_path_bool (old, "suspend", false) && value_is_null (value_path (v->old, "status.startTime"));
  if (!unstarted)
    v_immutable (v, CHILD (at, "template"), value_get (spec, "template"), value_get (old, "template"));
}

void
validate_job_status (struct validation *v)
{
  for (const char *const *f = LIST ("active", "succeeded", "failed", "ready", "terminating"); *f; f++)
    v_nonnegative_in (v, CHILD (NULL, "status"), value_get (v->obj, "status"), *f);
}

/* One field of a schedule: numbers (or names) in range, '*', '?', lists, ranges, steps. */
static bool
cron_field (const char *s, size_t n, long low, long high, const char *names)
{
  const char *end = s + n;
  while (s < end) {
    char *next = NULL;
    if (*s == '*' || *s == '?')
      s++;
    else
      for (int part = 0; part < 2; part++) {
        long x = strtol (s, &next, 10);
        if (isdigit ((unsigned char) *s) && (x < low || x > high))
          return false;
        if (isdigit ((unsigned char) *s))
          s = next;
        else if (names && end - s >= 3) {
          bool known = false;
          for (const char *p = names; *p; p += 3)
            known |= strncasecmp (p, s, 3) == 0;
          if (!known)
            return false;
          s += 3;
        } else
          return false;
        if (s >= end || *s != '-')
          break;
        if (part == 1)
          return false;
        s++;
      }
    if (s < end && *s == '/') {
      if (!isdigit ((unsigned char) s[1]) || strtol (s + 1, &next, 10) <= 0)
        return false;
      s = next;
    }
    if (s < end && *s++ != ',')
      return false;
    if (s == end && s[-1] == ',')
      return false;
  }
  return n > 0;
}

static bool
schedule_ok (const char *s)
{
  static const struct {
    long low, high;
    const char *names;
  } fields[5] = { { 0, 59, NULL }, { 0, 23, NULL }, { 1, 31, NULL }, { 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec" }, { 0, 6, "sunmontuewedthufrisat" } };
  if (v_in (s, LIST ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")) || strncmp (s, "@every ", 7) == 0)
    return true;
  for (size_t i = 0; i < 5; i++) {
    s += strspn (s, " \t");
    size_t n = strcspn (s, " \t");
    if (!cron_field (s, n, fields[i].low, fields[i].high, fields[i].names))
      return false;
    s += n;
  }
  return s[strspn (s, " \t")] == 0;
}

void
validate_cron_job (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *job = value_path (spec, "jobTemplate.spec");
  const char *schedule = v_string (spec, "schedule"), *name = value_path_string (v->obj, "metadata.name", "");
  vpath_t at = CHILD (NULL, "spec"), template = CHILD (CHILD (at, "jobTemplate"), "spec");
  if (!schedule[0])
    v_required (v, CHILD (at, "schedule"), NULL);
  else if (strstr (schedule, "TZ"))
    v_invalid_string (v, CHILD (at, "schedule"), schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
  else if (!schedule_ok (schedule))
    v_invalid_string (v, CHILD (at, "schedule"), schedule, "expected exactly 5 fields, each in range");
  v_nonnegative_in (v, at, spec, "startingDeadlineSeconds");
  v_one_of (v, CHILD (at, "concurrencyPolicy"), v_string (spec, "concurrencyPolicy"), LIST ("Allow", "Forbid", "Replace"));
  check_job_spec (v, template, job);
  if (v_has (job, "selector"))
    v_invalid (v, CHILD (template, "selector"), value_get (job, "selector"), "`selector` will be auto-generated");
  if (value_path_bool (job, "manualSelector", false))
    v_not_supported (v, CHILD (template, "manualSelector"), "true", LIST ("nil", "false"));
  v_nonnegative_in (v, at, spec, "successfulJobsHistoryLimit");
  v_nonnegative_in (v, at, spec, "failedJobsHistoryLimit");
  if (strlen (name) > 52 && !v->old)
    v_invalid_string (v, CHILD (CHILD (NULL, "metadata"), "name"), name, "must be no more than 52 characters");
}
