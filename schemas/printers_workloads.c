/* Rows of pods and of what makes pods; upstream's pkg/printers/internalversion decides each cell. */
#include <string.h>

#include "base/clock.h"
#include "schemas/printers_internal.h"

/* ---- pods ---- */
struct pod_summary {
  const char *reason;
  int64_t restarts;
  int64_t last_restart_us; /* 0: none known */
  int64_t sidecar_restarts, last_sidecar_restart_us;
  int ready, total;
};

static bool
condition_is (const struct value *conditions, const char *type, const char *status)
{
  for (value_items (conditions, it))
    if (strcmp (value_path_string (*it, "type", ""), type) == 0)
      return strcmp (value_path_string (*it, "status", ""), status) == 0;
  return false;
}

static bool
is_sidecar (const struct value *pod, const char *container)
{
  for (value_items (value_path (pod, "spec.initContainers"), it))
    if (strcmp (value_path_string (*it, "name", ""), container) == 0)
      return strcmp (value_path_string (*it, "restartPolicy", ""), "Always") == 0;
  return false;
}

static void
note_last_restart (const struct value *status, int64_t *last_us)
{
  wall_t t;
  const char *at = value_path_string (status, "lastState.terminated.finishedAt", NULL);
  if (at && wall_parse (at, &t, NULL) == 0 && t.us > *last_us)
    *last_us = t.us;
}

/* "Error" when the state names a reason, else "Signal:9" or "ExitCode:1", all after the prefix. */
static const char *
termination_reason (struct arena *a, const struct value *terminated, const char *prefix)
{
  const char *reason = value_path_string (terminated, "reason", "");
  int signal_number = (int) value_path_int (terminated, "signal", 0);
  if (*reason)
    return arena_printf (a, "%s%s", prefix, reason);
  if (signal_number)
    return arena_printf (a, "%sSignal:%d", prefix, signal_number);
  return arena_printf (a, "%sExitCode:%d", prefix, (int) value_path_int (terminated, "exitCode", 0));
}

/* Goes through the init containers up to the first that still has to finish; true when there is one. */
static bool
summarise_init (struct row *r, struct pod_summary *s)
{
  int index = 0;
  for (value_items (value_path (r->obj, "status.initContainerStatuses"), it)) {
    const struct value *c = *it, *terminated = value_path (c, "state.terminated");
    bool sidecar = is_sidecar (r->obj, value_path_string (c, "name", ""));
    int64_t restarts = value_path_int (c, "restartCount", 0);
    s->restarts += restarts;
    note_last_restart (c, &s->last_restart_us);
    if (sidecar) {
      s->sidecar_restarts += restarts;
      note_last_restart (c, &s->last_sidecar_restart_us);
    }
    const char *waiting = value_path_string (c, "state.waiting.reason", "");
    index++;
    if (terminated && value_path_int (terminated, "exitCode", 0) == 0)
      continue;
    if (sidecar && value_path_bool (c, "started", false)) {
      s->ready += value_path_bool (c, "ready", false);
      continue;
    }
    if (terminated)
      s->reason = termination_reason (r->arena, terminated, "Init:");
    else if (*waiting && strcmp (waiting, "PodInitializing") != 0)
      s->reason = arena_printf (r->arena, "Init:%s", waiting);
    else
      s->reason = arena_printf (r->arena, "Init:%d/%d", index - 1, (int) value_count (value_path (r->obj, "spec.initContainers")));
    return true;
  }
  return false;
}

static void
summarise_containers (struct row *r, struct pod_summary *s)
{
  const struct value *statuses = value_path (r->obj, "status.containerStatuses");
  bool running = false;
  s->restarts = s->sidecar_restarts;
  s->last_restart_us = s->last_sidecar_restart_us;
  for (size_t i = value_count (statuses); i-- > 0;) {
    const struct value *c = value_at (statuses, i), *terminated = value_path (c, "state.terminated");
    const char *waiting = value_path_string (c, "state.waiting.reason", "");
    s->restarts += value_path_int (c, "restartCount", 0);
    note_last_restart (c, &s->last_restart_us);
    if (*waiting)
      s->reason = waiting;
    else if (terminated)
      s->reason = termination_reason (r->arena, terminated, "");
    else if (value_path_bool (c, "ready", false) && value_path (c, "state.running")) {
      running = true;
      s->ready++;
    }
  }
  if (running && s->reason && strcmp (s->reason, "Completed") == 0)
    s->reason = condition_is (value_path (r->obj, "status.conditions"), "Ready", "True") ? "Running" : "NotReady";
}

static const char *
readiness_gates (struct row *r)
{
  const struct value *gates = value_path (r->obj, "spec.readinessGates"), *conditions = value_path (r->obj, "status.conditions");
  int met = 0;
  if (!value_count (gates))
    return "<none>";
  for (value_items (gates, it))
    met += condition_is (conditions, value_path_string (*it, "conditionType", ""), "True");
  return arena_printf (r->arena, "%d/%d", met, (int) value_count (gates));
}

static void
print_pod (struct row *r)
{
  struct pod_summary s = {0};
  const struct value *conditions = value_path (r->obj, "status.conditions");
  const char *phase = value_path_string (r->obj, "status.phase", ""), *why = value_path_string (r->obj, "status.reason", "");
  s.reason = *why ? why : phase;
  s.total = (int) value_count (value_path (r->obj, "spec.containers"));
  for (value_items (conditions, it))
    if (strcmp (value_path_string (*it, "type", ""), "PodScheduled") == 0
        && strcmp (value_path_string (*it, "reason", ""), "SchedulingGated") == 0)
      s.reason = "SchedulingGated";
  for (value_items (value_path (r->obj, "spec.initContainers"), it))
    s.total += strcmp (value_path_string (*it, "restartPolicy", ""), "Always") == 0;
  if (!summarise_init (r, &s) || condition_is (conditions, "Initialized", "True"))
    summarise_containers (r, &s);
  if (value_path (r->obj, "metadata.deletionTimestamp")) {
    if (strcmp (why, "NodeLost") == 0)
      s.reason = "Unknown";
    else if (strcmp (phase, "Succeeded") != 0 && strcmp (phase, "Failed") != 0)
      s.reason = "Terminating";
  }
  row_printf (r, "%d/%d", s.ready, s.total);
  row_string (r, s.reason);
  if (s.restarts && s.last_restart_us)
    row_printf (r, "%lld (%s ago)", (long long) s.restarts, print_duration (r->arena, (r->now_us - s.last_restart_us) / 1000000));
  else
    row_printf (r, "%lld", (long long) s.restarts);
  row_age (r);
  const char *ip = value_path_string (r->obj, "status.podIPs.0.ip", "");
  row_string (r, *ip ? ip : value_path_string (r->obj, "status.podIP", "<none>"));
  row_path (r, "spec.nodeName", "<none>");
  row_path (r, "status.nominatedNodeName", "<none>");
  row_string (r, readiness_gates (r));
}

static void
print_pod_template (struct row *r)
{
  row_containers (r, "template.spec");
  row_string (r, print_labels (r->arena, value_path (r->obj, "template.metadata.labels")));
}

/* ---- replicated ---- */
static void
number (struct row *r, const char *path)
{
  row_int (r, value_path_int (r->obj, path, 0));
}

static void
selector_cell (struct row *r, const char *path)
{
  row_string (r, print_selector (r->arena, value_path (r->obj, path)));
}

static void
print_deployment (struct row *r)
{
  row_printf (r, "%d/%d", (int) value_path_int (r->obj, "status.readyReplicas", 0), (int) value_path_int (r->obj, "spec.replicas", 0));
  number (r, "status.updatedReplicas");
  number (r, "status.availableReplicas");
  row_age (r);
  row_containers (r, "spec.template.spec");
  selector_cell (r, "spec.selector");
}

static void
print_replicas (struct row *r)
{
  number (r, "spec.replicas");
  number (r, "status.replicas");
  number (r, "status.readyReplicas");
  row_age (r);
  row_containers (r, "spec.template.spec");
}

static void
print_replica_set (struct row *r)
{
  print_replicas (r);
  selector_cell (r, "spec.selector");
}

static void
print_replication_controller (struct row *r)
{
  print_replicas (r);
  row_string (r, print_labels (r->arena, value_path (r->obj, "spec.selector")));
}

static void
print_daemon_set (struct row *r)
{
  number (r, "status.desiredNumberScheduled");
  number (r, "status.currentNumberScheduled");
  number (r, "status.numberReady");
  number (r, "status.updatedNumberScheduled");
  number (r, "status.numberAvailable");
  row_string (r, print_labels (r->arena, value_path (r->obj, "spec.template.spec.nodeSelector")));
  row_age (r);
  row_containers (r, "spec.template.spec");
  selector_cell (r, "spec.selector");
}

static void
print_stateful_set (struct row *r)
{
  row_printf (r, "%d/%d", (int) value_path_int (r->obj, "status.readyReplicas", 0), (int) value_path_int (r->obj, "spec.replicas", 0));
  row_age (r);
  row_containers (r, "spec.template.spec");
}

static const char *
controller_ref (struct row *r)
{
  for (value_items (value_path (r->obj, "metadata.ownerReferences"), it)) {
    if (!value_path_bool (*it, "controller", false))
      continue;
    char kind[128], group[256];
    const char *api_version = value_path_string (*it, "apiVersion", ""), *slash = strchr (api_version, '/');
    snprintf (kind, sizeof kind, "%s", value_path_string (*it, "kind", ""));
    for (char *p = kind; *p; p++)
      if (*p >= 'A' && *p <= 'Z')
        *p = (char) (*p + 32);
    snprintf (group, sizeof group, ".%.*s", slash ? (int) (slash - api_version) : 0, api_version);
    return arena_printf (r->arena, "%s%s/%s", kind, slash ? group : "", value_path_string (*it, "name", ""));
  }
  return "<none>";
}

static void
print_controller_revision (struct row *r)
{
  row_string (r, controller_ref (r));
  number (r, "revision");
  row_age (r);
}

/* ---- jobs ---- */
static const char *
job_status (struct row *r)
{
  const struct value *conditions = value_path (r->obj, "status.conditions");
  if (condition_is (conditions, "Complete", "True"))
    return "Complete";
  if (condition_is (conditions, "Failed", "True"))
    return "Failed";
  if (value_path (r->obj, "metadata.deletionTimestamp"))
    return "Terminating";
  if (condition_is (conditions, "Suspended", "True"))
    return "Suspended";
  if (condition_is (conditions, "FailureTarget", "True"))
    return "FailureTarget";
  if (condition_is (conditions, "SuccessCriteriaMet", "True"))
    return "SuccessCriteriaMet";
  return "Running";
}

static const char *
job_duration (struct row *r)
{
  wall_t start, end = {r->now_us};
  const char *started = value_path_string (r->obj, "status.startTime", NULL),
             *ended = value_path_string (r->obj, "status.completionTime", NULL);
  if (!started || wall_parse (started, &start, NULL) || (ended && wall_parse (ended, &end, NULL)))
    return "";
  return print_duration (r->arena, (end.us - start.us) / 1000000);
}

static void
print_job (struct row *r)
{
  int done = (int) value_path_int (r->obj, "status.succeeded", 0), parallel = (int) value_path_int (r->obj, "spec.parallelism", 0);
  const struct value *completions = value_path (r->obj, "spec.completions");
  row_string (r, job_status (r));
  if (!value_is_null (completions))
    row_printf (r, "%d/%d", done, (int) value_as_int (completions, 0));
  else if (parallel > 1)
    row_printf (r, "%d/1 of %d", done, parallel);
  else
    row_printf (r, "%d/1", done);
  row_string (r, job_duration (r));
  row_age (r);
  row_containers (r, "spec.template.spec");
  selector_cell (r, "spec.selector");
}

static void
print_cron_job (struct row *r)
{
  const char *last = value_path_string (r->obj, "status.lastScheduleTime", NULL);
  const struct value *suspend = value_path (r->obj, "spec.suspend");
  row_path (r, "spec.schedule", "");
  row_path (r, "spec.timeZone", "<none>");
  row_string (r, value_is_null (suspend) ? "<unset>" : value_as_bool (suspend, false) ? "True" : "False");
  row_count (r, "status.active");
  row_string (r, last ? printer_age (r->arena, last, r->now_us) : "<none>");
  row_age (r);
  row_containers (r, "spec.jobTemplate.spec.template.spec");
  selector_cell (r, "spec.jobTemplate.spec.selector");
}

/* ---- autoscaling and disruption ---- */
static const char *
int_or_string (struct row *r, const struct value *v, const char *otherwise)
{
  if (value_is (v, VALUE_INT))
    return arena_printf (r->arena, "%d", (int) v->i);
  return value_as_string (v, otherwise);
}

static void
print_disruption_budget (struct row *r)
{
  row_string (r, int_or_string (r, value_path (r->obj, "spec.minAvailable"), "N/A"));
  row_string (r, int_or_string (r, value_path (r->obj, "spec.maxUnavailable"), "N/A"));
  number (r, "status.disruptionsAllowed");
  row_age (r);
}

/* One metric as "cpu: 10%/80%" or "1/2 (avg)". source and current are the bodies under the metric's own key. */
static const char *
metric_text (struct row *r, const char *label, const struct value *target, const struct value *current)
{
  const struct value *utilization = value_get (target, "averageUtilization"), *now = value_get (current, "averageUtilization");
  const char *prefix = *label ? arena_printf (r->arena, "%s: ", label) : "";
  if (utilization) {
    const char *have = now ? arena_printf (r->arena, "%d%%", (int) value_as_int (now, 0)) : "<unknown>";
    return arena_printf (r->arena, "%s%s/%d%%", prefix, have, (int) value_as_int (utilization, 0));
  }
  const char *average = value_path_string (target, "averageValue", NULL);
  const char *key = average ? "averageValue" : "value";
  return arena_printf (r->arena, "%s%s/%s%s", prefix, value_path_string (current, key, "<unknown>"),
                       average ? average : value_path_string (target, "value", "<unknown>"), average && !*label ? " (avg)" : "");
}

static const char *
metrics_v2 (struct row *r)
{
  static const struct {
    const char *type, *key;
  } kinds[] = {{"Resource", "resource"}, {"ContainerResource", "containerResource"}, {"Pods", "pods"}, {"Object", "object"}, {"External", "external"}};
  struct text_list list = {.arena = r->arena};
  const struct value *specs = value_path (r->obj, "spec.metrics"), *statuses = value_path (r->obj, "status.currentMetrics");
  size_t n = value_count (specs);
  for (size_t i = 0; i < n && i < 2; i++) {
    const struct value *spec = value_at (specs, i), *status = value_at (statuses, i);
    const char *text = "<unknown type>";
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
      if (strcmp (value_path_string (spec, "type", ""), kinds[k].type) != 0)
        continue;
      const struct value *body = value_get (spec, kinds[k].key), *now = value_get (value_get (status, kinds[k].key), "current");
      const char *label = k < 2 ? value_path_string (body, "name", "") : "";
      if (k == 1)
        label = arena_printf (r->arena, "%s/%s", value_path_string (body, "container", ""), label);
      text = metric_text (r, label ? label : "", value_get (body, "target"), now);
    }
    text_list_add (&list, ", ", text ? text : "");
  }
  if (!n)
    return "<none>";
  return n > 2 ? arena_printf (r->arena, "%s + %zu more...", list.text, n - 2) : list.text;
}

static void
print_autoscaler (struct row *r)
{
  const struct value *min = value_path (r->obj, "spec.minReplicas"), *target = value_path (r->obj, "spec.targetCPUUtilizationPercentage"),
                     *now = value_path (r->obj, "status.currentCPUUtilizationPercentage");
  row_printf (r, "%s/%s", value_path_string (r->obj, "spec.scaleTargetRef.kind", ""),
              value_path_string (r->obj, "spec.scaleTargetRef.name", ""));
  if (!value_is_null (target)) /* autoscaling/v1 */
    row_string (r, now ? arena_printf (r->arena, "cpu: %d%%/%d%%", (int) value_as_int (now, 0), (int) value_as_int (target, 0))
                       : arena_printf (r->arena, "cpu: <unknown>/%d%%", (int) value_as_int (target, 0)));
  else
    row_string (r, metrics_v2 (r));
  if (value_is_null (min))
    row_string (r, "<unset>");
  else
    row_printf (r, "%d", (int) value_as_int (min, 0));
  number (r, "spec.maxReplicas");
  number (r, "status.currentReplicas");
  row_age (r);
}

const struct row_printer row_printers_workloads[] = {
  {"", "Pod", print_pod},
  {"", "PodTemplate", print_pod_template},
  {"", "ReplicationController", print_replication_controller},
  {"apps", "Deployment", print_deployment},
  {"apps", "ReplicaSet", print_replica_set},
  {"apps", "DaemonSet", print_daemon_set},
  {"apps", "StatefulSet", print_stateful_set},
  {"apps", "ControllerRevision", print_controller_revision},
  {"batch", "Job", print_job},
  {"batch", "CronJob", print_cron_job},
  {"policy", "PodDisruptionBudget", print_disruption_budget},
  {"autoscaling", "HorizontalPodAutoscaler", print_autoscaler},
  {0},
};
