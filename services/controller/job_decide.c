#include "services/controller/job_decide.h"

#include <inttypes.h>

#include "services/controller/claim.h"
#include "services/controller/meta.h"
#include "services/controller/replicaset_decide.h"

#define COMPONENT "job-controller"
#define BACKOFF_MIN_S 10
#define BACKOFF_MAX_S 600
#define INDEXES_MAX 100000

struct job { /* one decision */
  const struct job_input *in;
  const struct value *job;
  struct actions *as;
  struct arena *arena;
  struct value *status;
  struct value *pods, *active;
  bool indexed, suspended;
  int64_t completions; /* -1: any success ends it */
  int64_t parallelism;
  bool *done;          /* completion indexes */
  int64_t succeeded, failed, ready, terminating;
};

static void
remove_finalizer (struct actions *as, const struct value *pod)
{
  struct arena *a = as->arena;
  struct value *patch = value_map (a), *list = value_array (a);
  value_append (a, list, value_string (a, JOB_FINALIZER));
  value_set_path (a, patch, "metadata.uid", value_string (a, meta_uid (pod)));
  value_set (a, value_get (patch, "metadata"), "$deleteFromPrimitiveList/finalizers", list);
  struct action *x = actions_patch (as, "", "v1", "pods", NULL, meta_namespace (pod), meta_name (pod), "strategic", patch);
  x->ignore_not_found = true;
  x->together = true;
}

void
job_release (const struct value *pods, struct actions *as)
{
  for (value_items (pods, it))
    if (meta_has_finalizer (*it, JOB_FINALIZER))
      remove_finalizer (as, *it);
}

static int64_t
index_of (const struct value *pod)
{
  const char *text = meta_annotation (pod, JOB_INDEX);
  return *text ? strtoll (text, NULL, 10) : -1;
}

static bool
pod_succeeded (const struct value *pod)
{
  return strcmp (value_path_string (pod, "status.phase", ""), "Succeeded") == 0;
}

/* Upstream's isPodFailed: one that is being deleted counts at once unless only failed pods are to be replaced. */
static bool
pod_failed (const struct job *j, const struct value *pod)
{
  if (strcmp (value_path_string (pod, "status.phase", ""), "Failed") == 0)
    return true;
  if (strcmp (value_path_string (j->job, "spec.podReplacementPolicy", "TerminatingOrFailed"), "Failed") == 0)
    return false;
  return meta_deleting (pod) && !pod_succeeded (pod);
}

static const struct value *
pod_by_uid (const struct job *j, const char *uid)
{
  for (value_items (j->pods, it))
    if (strcmp (meta_uid (*it), uid) == 0)
      return *it;
  return NULL;
}

static bool
contains (const struct value *list, const char *text)
{
  for (value_items (list, it))
    if (value_string_is (*it, text))
      return true;
  return false;
}

/* Those noted before whose finalizer is gone by now are counted. */
static void
settle (struct job *j, const char *list_name, const char *counter)
{
  struct value *list = value_path (value_get (j->status, "uncountedTerminatedPods"), list_name);
  for (size_t i = 0; i < value_count (list);)
    {
      const struct value *pod = pod_by_uid (j, value_as_string (value_at (list, i), ""));
      if (pod && meta_has_finalizer (pod, JOB_FINALIZER))
        {
          i++;
          continue;
        }
      value_set_int (j->arena, j->status, counter, value_path_int (j->status, counter, 0) + 1);
      value_remove_at (list, i);
    }
}

static void
note (struct job *j, const char *list_name, const struct value *pod)
{
  struct value *lists = value_ensure_map (j->arena, j->status, "uncountedTerminatedPods");
  struct value *list = value_ensure_array (j->arena, lists, list_name);
  if (!contains (list, meta_uid (pod)))
    value_append (j->arena, list, value_string (j->arena, meta_uid (pod)));
}

static void
count_pods (struct job *j)
{
  settle (j, "succeeded", "succeeded");
  settle (j, "failed", "failed");
  if (j->done)
    job_indexes_parse (value_path_string (j->job, "status.completedIndexes", ""), j->done, j->completions);
  for (value_items (j->pods, it))
    {
      bool tracked = meta_has_finalizer (*it, JOB_FINALIZER);
      if (pod_succeeded (*it))
        {
          if (j->indexed)
            {
              int64_t i = index_of (*it);
              if (i >= 0 && i < j->completions && tracked)
                j->done[i] = true;
            }
          else if (tracked)
            note (j, "succeeded", *it);
        }
      else if (pod_failed (j, *it))
        {
          if (tracked)
            note (j, "failed", *it);
        }
      else if (!meta_deleting (*it))
        {
          value_append (j->arena, j->active, *it);
          j->ready += pod_ready (*it);
        }
      j->terminating += meta_deleting (*it) && !pod_finished (*it);
    }
  struct value *lists = value_get (j->status, "uncountedTerminatedPods");
  if (j->indexed)
    {
      int64_t n = 0;
      for (int64_t i = 0; i < j->completions; i++)
        n += j->done[i];
      const char *text = job_indexes_format (j->arena, j->done, j->completions);
      if (text && *text)
        value_set_string (j->arena, j->status, "completedIndexes", text);
      value_set_int (j->arena, j->status, "succeeded", n);
      j->succeeded = n;
    }
  else
    j->succeeded = value_path_int (j->status, "succeeded", 0) + (int64_t) value_count (value_get (lists, "succeeded"));
  j->failed = value_path_int (j->status, "failed", 0) + (int64_t) value_count (value_get (lists, "failed"));
}

static void
delete_active (struct job *j, size_t n)
{
  for (size_t i = 0; i < value_count (j->active); i++) /* those furthest from ready first */
    for (size_t k = i + 1; k < value_count (j->active); k++)
      if (pod_deletion_order (value_at (j->active, k), 0, value_at (j->active, i), 0) < 0)
        {
          struct value *t = j->active->items[i];
          j->active->items[i] = j->active->items[k];
          j->active->items[k] = t;
        }
  for (size_t i = 0; i < n && i < value_count (j->active); i++)
    {
      const struct value *p = value_at (j->active, i);
      actions_delete (j->as, "", "v1", "pods", meta_namespace (p), meta_name (p), meta_uid (p))->together = true;
      actions_event (j->as, j->job, "Normal", "SuccessfulDelete", COMPONENT, "Deleted pod: %s", meta_name (p));
      j->as->items[j->as->count - 1].with_previous = true;
    }
}

static void
set_index (struct job *j, struct value *pod, int64_t index)
{
  struct arena *a = j->arena;
  const char *text = arena_printf (a, "%" PRId64, index);
  struct value *metadata = value_get (pod, "metadata"), *spec = value_get (pod, "spec");
  value_set_string (a, value_ensure_map (a, metadata, "annotations"), JOB_INDEX, text);
  value_set_string (a, value_ensure_map (a, metadata, "labels"), JOB_INDEX, text);
  value_set (a, spec, "hostname", value_printf (a, "%s-%s", meta_name (j->job), text));
  static const char *const lists[] = { "initContainers", "containers" };
  for (size_t i = 0; i < 2; i++)
    for (value_items (value_get (spec, lists[i]), c))
      {
        struct value *env = value_ensure_array (a, *c, "env");
        bool there = false;
        for (value_items (env, e))
          there |= value_string_is (value_get (*e, "name"), "JOB_COMPLETION_INDEX");
        if (there)
          continue;
        struct value *e = value_map (a);
        value_set_string (a, e, "name", "JOB_COMPLETION_INDEX");
        value_set_path (a, e, "valueFrom", value_map (a));
        struct value *field = value_ensure_map (a, value_get (e, "valueFrom"), "fieldRef");
        value_set_string (a, field, "fieldPath", "metadata.labels['" JOB_INDEX "']");
        value_append (a, env, e);
      }
}

static void
create_pods (struct job *j, size_t n)
{
  struct arena *a = j->arena;
  const struct value *template_ = value_path (j->job, "spec.template");
  int64_t next = 0;
  bool *taken = NULL;
  if (j->indexed)
    {
      taken = arena_zalloc (a, (size_t) j->completions + 1);
      if (!taken)
        return;
      memcpy (taken, j->done, (size_t) j->completions);
      for (value_items (j->active, it))
        if (index_of (*it) >= 0 && index_of (*it) < j->completions)
          taken[index_of (*it)] = true;
    }
  for (size_t i = 0; i < n; i++)
    {
      const char *prefix = arena_printf (a, "%s-", meta_name (j->job));
      if (j->indexed)
        {
          while (next < j->completions && taken[next])
            next++;
          if (next >= j->completions)
            return;
          taken[next] = true;
          prefix = arena_printf (a, "%s-%" PRId64 "-", meta_name (j->job), next);
        }
      const char *name = meta_generated_name (a, prefix, j->in->salt, i);
      struct value *pod = meta_pod_of (a, template_, j->job, "batch/v1", "Job", name, prefix);
      if (j->indexed)
        set_index (j, pod, next);
      struct value *finalizers = value_ensure_array (a, value_get (pod, "metadata"), "finalizers");
      if (!contains (finalizers, JOB_FINALIZER))
        value_append (a, finalizers, value_string (a, JOB_FINALIZER));
      actions_create (j->as, "", "v1", "pods", meta_namespace (j->job), pod)->together = true;
      actions_event (j->as, j->job, "Normal", "SuccessfulCreate", COMPONENT, "Created pod: %s", name);
      j->as->items[j->as->count - 1].with_previous = true;
    }
}

/* How long new pods have to wait after failures: 10 s doubling to 10 min, from the last one's end, counted since the last success. */
static int64_t
backoff_left_ms (const struct job *j)
{
  int64_t last_success = 0, last_failure = 0, failures = 0;
  for (int pass = 0; pass < 2; pass++)
    for (value_items (j->pods, it))
      {
        int64_t at = meta_time (*it, "metadata.deletionTimestamp", 0);
        for (value_items (value_path (*it, "status.containerStatuses"), c))
          {
            int64_t t = meta_time (*c, "state.terminated.finishedAt", 0);
            at = t > at ? t : at;
          }
        if (pass == 0 && pod_succeeded (*it))
          last_success = at > last_success ? at : last_success;
        if (pass == 1 && !meta_deleting (*it) && pod_failed (j, *it) && at >= last_success)
          {
            failures++;
            last_failure = at > last_failure ? at : last_failure;
          }
      }
  if (!failures || !last_failure)
    return 0;
  int64_t delay_s = BACKOFF_MIN_S;
  for (int64_t i = 1; i < failures && delay_s < BACKOFF_MAX_S; i++)
    delay_s *= 2;
  if (delay_s > BACKOFF_MAX_S)
    delay_s = BACKOFF_MAX_S;
  int64_t left = (last_failure + delay_s) * 1000 - j->in->now.us / 1000;
  return left > 0 ? left : 0;
}

static bool
past_backoff_limit (const struct job *j)
{
  int64_t limit = value_path_int (j->job, "spec.backoffLimit", 6), restarts = 0;
  if (j->failed > limit)
    return true;
  if (strcmp (value_path_string (j->job, "spec.template.spec.restartPolicy", ""), "OnFailure") != 0)
    return false;
  for (value_items (j->active, it))
    for (value_items (value_path (*it, "status.containerStatuses"), c))
      restarts += value_path_int (*c, "restartCount", 0);
  return limit == 0 ? restarts > 0 : restarts >= limit;
}

static const struct value *
condition (const struct job *j, const char *type)
{
  for (value_items (value_get (j->status, "conditions"), it))
    if (value_string_is (value_get (*it, "type"), type) && value_string_is (value_get (*it, "status"), "True"))
      return *it;
  return NULL;
}

static void
set_condition (struct job *j, const char *type, const char *value, const char *reason, const char *message)
{
  if (!meta_set_condition (j->arena, j->status, type, value, reason, message, j->in->now, false))
    return;
  for (value_items (value_get (j->status, "conditions"), it))
    if (value_string_is (value_get (*it, "type"), type))
      value_set_string (j->arena, *it, "lastProbeTime", meta_time_text (j->arena, j->in->now));
}

/* Whether the end is decided: FailureTarget or SuccessCriteriaMet come first, Failed or Complete once no pod is left. */
static void
decide_end (struct job *j)
{
  if (condition (j, "FailureTarget") || condition (j, "SuccessCriteriaMet"))
    return;
  int64_t deadline_s = value_path_int (j->job, "spec.activeDeadlineSeconds", -1);
  int64_t started = meta_time (j->status, "startTime", 0);
  bool complete = j->completions >= 0 ? j->succeeded >= j->completions : j->succeeded > 0 && !value_count (j->active);
  if (past_backoff_limit (j))
    set_condition (j, "FailureTarget", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
  else if (deadline_s >= 0 && started && !j->suspended && wall_s (j->in->now) - started >= deadline_s)
    set_condition (j, "FailureTarget", "True", "DeadlineExceeded", "Job was active longer than specified deadline");
  else if (complete)
    set_condition (j, "SuccessCriteriaMet", "True", "CompletionsReached", "Reached expected number of succeeded pods");
  else if (deadline_s >= 0 && started && !j->suspended)
    actions_requeue (j->as, (started + deadline_s) * 1000 - j->in->now.us / 1000);
}

static void
finish (struct job *j)
{
  const struct value *lists = value_get (j->status, "uncountedTerminatedPods");
  if (value_count (j->active) || j->terminating || value_count (value_get (lists, "succeeded"))
      || value_count (value_get (lists, "failed")))
    return;
  const struct value *c = condition (j, "FailureTarget");
  if (c)
    {
      const char *reason = value_path_string (c, "reason", ""), *message = value_path_string (c, "message", "");
      set_condition (j, "Failed", "True", reason, message);
      actions_event (j->as, j->job, "Warning", reason, COMPONENT, "%s", message);
    }
  else if ((c = condition (j, "SuccessCriteriaMet")))
    {
      set_condition (j, "Complete", "True", value_path_string (c, "reason", ""), value_path_string (c, "message", ""));
      value_set_string (j->arena, j->status, "completionTime", meta_time_text (j->arena, j->in->now));
      actions_event (j->as, j->job, "Normal", "Completed", COMPONENT, "Job completed");
    }
}

static void
suspend_or_resume (struct job *j)
{
  const struct value *c = NULL;
  for (value_items (value_get (j->status, "conditions"), it))
    if (value_string_is (value_get (*it, "type"), "Suspended"))
      c = *it;
  bool was = c && value_string_is (value_get (c, "status"), "True");
  if (j->suspended && !was)
    {
      set_condition (j, "Suspended", "True", "JobSuspended", "Job suspended");
      actions_event (j->as, j->job, "Normal", "Suspended", COMPONENT, "Job suspended");
    }
  else if (!j->suspended && was)
    {
      set_condition (j, "Suspended", "False", "JobResumed", "Job resumed");
      actions_event (j->as, j->job, "Normal", "Resumed", COMPONENT, "Job resumed");
      value_unset (j->status, "startTime");
    }
  if (j->suspended)
    value_unset (j->status, "startTime");
  else if (!value_get (j->status, "startTime"))
    value_set_string (j->arena, j->status, "startTime", meta_time_text (j->arena, j->in->now));
}

static void
set_count (struct job *j, const char *name, int64_t n, bool always)
{
  if (n || always)
    value_set_int (j->arena, j->status, name, n);
  else
    value_unset (j->status, name);
}

static void
send_status (struct job *j)
{
  const struct value *old = value_get (j->job, "status");
  set_count (j, "active", (int64_t) value_count (j->active), false);
  set_count (j, "ready", j->ready, true);
  set_count (j, "terminating", j->terminating, true);
  struct value *lists = value_ensure_map (j->arena, j->status, "uncountedTerminatedPods");
  static const char *const names[] = { "succeeded", "failed" };
  for (size_t i = 0; i < 2; i++)
    {
      if (!value_count (value_get (lists, names[i])))
        value_unset (lists, names[i]);
      if (!value_path_int (j->status, names[i], 0))
        value_unset (j->status, names[i]);
    }
  if (value_equal (j->status, old))
    return;
  struct value *job = value_clone (j->arena, j->job);
  value_set (j->arena, job, "status", j->status);
  actions_update (j->as, "batch", "v1", "jobs", "status", job);
}

static void
after_the_end (struct job *j)
{
  job_release (j->pods, j->as);
  int64_t ttl_s = value_path_int (j->job, "spec.ttlSecondsAfterFinished", -1);
  if (ttl_s < 0 || meta_deleting (j->job))
    return;
  const struct value *c = condition (j, "Complete");
  if (!c)
    c = condition (j, "Failed");
  int64_t left_ms = (meta_time (c, "lastTransitionTime", 0) + ttl_s) * 1000 - j->in->now.us / 1000;
  if (left_ms > 0)
    {
      actions_requeue (j->as, left_ms);
      return;
    }
  struct action *x = actions_delete (j->as, "batch", "v1", "jobs", meta_namespace (j->job), meta_name (j->job), meta_uid (j->job));
  struct value *options = value_clone (j->arena, x->request.options);
  value_set_string (j->arena, options, "propagationPolicy", "Foreground");
  x->request.options = options;
}

static void
manage (struct job *j)
{
  int64_t have = (int64_t) value_count (j->active), want;
  if (condition (j, "FailureTarget") || condition (j, "SuccessCriteriaMet") || j->suspended)
    {
      delete_active (j, (size_t) have);
      return;
    }
  if (j->completions < 0)
    want = j->succeeded > 0 ? have : j->parallelism;
  else
    {
      want = j->completions - j->succeeded;
      want = want < 0 ? 0 : want > j->parallelism ? j->parallelism : want;
    }
  bool replace_failed_only
      = strcmp (value_path_string (j->job, "spec.podReplacementPolicy", "TerminatingOrFailed"), "Failed") == 0;
  int64_t missing = want - have - (replace_failed_only ? j->terminating : 0);
  if (have > want)
    delete_active (j, (size_t) (have - want));
  else if (missing > 0)
    {
      int64_t wait_ms = backoff_left_ms (j);
      if (wait_ms)
        actions_requeue (j->as, wait_ms);
      else
        create_pods (j, (size_t) missing < j->in->burst ? (size_t) missing : j->in->burst);
    }
}

void
job_decide (const struct job_input *in, struct actions *as)
{
  struct arena *a = as->arena;
  struct selector *selector = NULL;
  if (strcmp (value_path_string (in->job, "spec.managedBy", "kubernetes.io/job-controller"), "kubernetes.io/job-controller") != 0
      || selector_from_label_selector (a, value_path (in->job, "spec.selector"), &selector, NULL) != 0)
    return;
  struct claim c = { in->job, "batch/v1", "Job", "", "v1", "pods", selector };
  const struct value *old = value_get (in->job, "status");
  struct job j = { .in = in, .job = in->job, .as = as, .arena = a, .active = value_array (a) };
  j.status = value_is (old, VALUE_MAP) ? value_clone (a, old) : value_map (a);
  j.pods = claim_objects (&c, in->pods, as);
  j.completions = value_path_int (in->job, "spec.completions", -1);
  j.parallelism = value_path_int (in->job, "spec.parallelism", 1);
  j.suspended = value_path_bool (in->job, "spec.suspend", false);
  j.indexed = strcmp (value_path_string (in->job, "spec.completionMode", ""), "Indexed") == 0;
  if (j.indexed && (j.completions < 0 || j.completions > INDEXES_MAX * 10))
    return; /* validation lets none such in */
  if (j.indexed && !(j.done = arena_zalloc (a, (size_t) j.completions + 1)))
    return;
  if (condition (&j, "Complete") || condition (&j, "Failed"))
    {
      after_the_end (&j);
      return;
    }
  if (meta_deleting (in->job))
    {
      job_release (j.pods, as);
      return;
    }
  suspend_or_resume (&j);
  count_pods (&j);
  decide_end (&j);
  finish (&j);
  send_status (&j);
  /* the status says that they ended: now they may go */
  for (value_items (j.pods, it))
    if (meta_has_finalizer (*it, JOB_FINALIZER) && (pod_succeeded (*it) || pod_failed (&j, *it)))
      remove_finalizer (as, *it);
  if (!condition (&j, "Complete") && !condition (&j, "Failed"))
    manage (&j);
}
