/* Pods and pod templates: the spec as a whole, updates, status. Containers and volumes have files of their own. */
#include "schemas/validate_internal.h"

static void
check_user (struct validation *v, vpath_t at, const struct value *context, const char *key)
{
  if (v_int (context, key) < 0 || v_int (context, key) > INT32_MAX)
    v_invalid_int (v, CHILD (at, key), v_int (context, key), "must be between 0 and 2147483647, inclusive");
}

static void
check_seccomp (struct validation *v, vpath_t at, const struct value *profile)
{
  static const char *const types[] = { "Localhost", "RuntimeDefault", "Unconfined", NULL };
  const char *type = v_string (profile, "type");
  if (value_is_null (profile))
    return;
  if (!type[0])
    v_required (v, CHILD (at, "type"), "type is required when seccompProfile is set");
  else if (!v_in (type, types))
    v_not_supported (v, CHILD (at, "type"), type, types);
  bool local = strcmp (type, "Localhost") == 0, file = v_has (profile, "localhostProfile");
  if (local && !file)
    v_required (v, CHILD (at, "localhostProfile"), "must be set when seccomp type is Localhost");
  else if (local)
    v_local_path (v, CHILD (at, "localhostProfile"), v_string (profile, "localhostProfile"));
  else if (file)
    v_invalid (v, CHILD (at, "localhostProfile"), profile, "can only be set when seccomp type is Localhost");
}

void
v_security_context (struct validation *v, vpath_t at, const struct value *context)
{
  static const char *const mounts[] = { "Default", "Unmasked", NULL };
  if (value_is_null (context))
    return;
  check_user (v, at, context, "runAsUser");
  check_user (v, at, context, "runAsGroup");
  if (v_string (context, "procMount")[0] && !v_in (v_string (context, "procMount"), mounts))
    v_not_supported (v, CHILD (at, "procMount"), v_string (context, "procMount"), mounts);
  check_seccomp (v, CHILD (at, "seccompProfile"), value_get (context, "seccompProfile"));
  if (value_path_bool (context, "allowPrivilegeEscalation", true))
    return;
  if (value_path_bool (context, "privileged", false))
    v_invalid (v, at, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
  for (value_items (value_path (context, "capabilities.add"), it))
    if (value_string_is (*it, "CAP_SYS_ADMIN"))
      v_invalid (v, at, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
}

static bool
sysctl_name (const char *s)
{
  size_t n = strlen (s);
  if (n == 0 || n > 253)
    return false;
  for (size_t i = 0; i < n; i++) {
    bool edge = i == 0 || i == n - 1 || strchr ("./", s[i - 1]) || strchr ("./", s[i + 1]);
    bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');
    if (!letter && (edge || !strchr ("-_./", s[i])))
      return false;
  }
  return true;
}

void
v_pod_security_context (struct validation *v, vpath_t at, const struct value *context, const struct value *spec)
{
  static const char *const changes[] = { "Always", "OnRootMismatch", NULL };
  const struct value *groups = value_get (context, "supplementalGroups"), *sysctls = value_get (context, "sysctls");
  if (value_is_null (context))
    return;
  for (const char *const *f = LIST ("fsGroup", "runAsUser", "runAsGroup"); *f; f++)
    check_user (v, at, context, *f);
  for (size_t i = 0; i < value_count (groups); i++) {
    int64_t g = value_as_int (value_at (groups, i), 0);
    if (g < 0 || g > INT32_MAX)
      v_invalid_int (v, INDEX (CHILD (at, "supplementalGroups"), i), g, "must be between 0 and 2147483647, inclusive");
  }
  for (size_t i = 0; i < value_count (sysctls); i++) {
    const char *name = v_string (value_at (sysctls, i), "name");
    vpath_t here = CHILD (INDEX (CHILD (at, "sysctls"), i), "name");
    if (!name[0])
      v_required (v, here, NULL);
    else if (!sysctl_name (name))
      v_invalid_string (v, here, name, "must have at most 253 characters and match regex ([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*"
                                       "[a-z0-9]([-_a-z0-9]*[a-z0-9])?");
    else if (v_seen (sysctls, i, "name", name))
      v_duplicate (v, here, name);
  }
  const char *change = v_string (context, "fsGroupChangePolicy");
  if (change[0] && !v_in (change, changes))
    v_not_supported (v, CHILD (at, "fsGroupChangePolicy"), change, changes);
  check_seccomp (v, CHILD (at, "seccompProfile"), value_get (context, "seccompProfile"));
  (void) spec;
}

static void
check_dns (struct validation *v, vpath_t at, const struct value *dns, const char *policy)
{
  const struct value *servers = value_get (dns, "nameservers"), *searches = value_get (dns, "searches"), *options = value_get (dns, "options");
  bool none = strcmp (policy, "None") == 0;
  size_t total = 0;
  if (none && value_is_null (dns)) {
    v_required (v, at, "must provide `dnsConfig` when `dnsPolicy` is None");
    return;
  }
  if (none && value_count (servers) == 0) {
    v_required (v, CHILD (at, "nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None");
    return;
  }
  if (value_count (servers) > 3)
    v_invalid (v, CHILD (at, "nameservers"), servers, "must not have more than 3 nameservers");
  for (size_t i = 0; i < value_count (servers); i++)
    if (!v_ip (value_as_string (value_at (servers, i), ""), NULL))
      v_invalid (v, INDEX (CHILD (at, "nameservers"), i), value_at (servers, i), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  if (value_count (searches) > 32)
    v_invalid (v, CHILD (at, "searches"), searches, "must not have more than 32 search paths");
  for (size_t i = 0; i < value_count (searches); i++) {
    const char *s = value_as_string (value_at (searches, i), "");
    size_t n = strlen (s);
    char *name = arena_strndup (v->causes->arena, s, n > 0 && s[n - 1] == '.' ? n - 1 : n);
    total += n + 1;
    if (name && name[0])
      v_check_name (v, INDEX (CHILD (at, "searches"), i), name, name_dns1123_subdomain);
  }
  if (total > 2049)
    v_invalid (v, CHILD (at, "searches"), searches, "must not have more than 2048 characters (including spaces) in the search list");
  for (size_t i = 0; i < value_count (options); i++)
    if (!v_string (value_at (options, i), "name")[0])
      v_required (v, INDEX (CHILD (at, "options"), i), "must not be empty");
}

static void
check_host_network (const struct pod_validation *p, vpath_t at)
{
  const struct value *containers = value_get (p->spec, "containers");
  if (!value_path_bool (p->spec, "hostNetwork", false))
    return;
  for (size_t c = 0; c < value_count (containers); c++) {
    const struct value *ports = value_get (value_at (containers, c), "ports");
    for (size_t i = 0; i < value_count (ports); i++) {
      int64_t host = v_int (value_at (ports, i), "hostPort"), own = v_int (value_at (ports, i), "containerPort");
      if ((p->meta || host != 0) && host != own)
        v_invalid_int (p->v, CHILD (INDEX (CHILD (INDEX (CHILD (at, "containers"), c), "ports"), i), "containerPort"), own,
                       "must match `hostPort` when `hostNetwork` is true");
    }
  }
}

static void
check_optional_name (struct validation *v, vpath_t at, const struct value *spec, const char *key, const char *(*fn) (const char *))
{
  if (v_string (spec, key)[0])
    v_check_name (v, CHILD (at, key), v_string (spec, key), fn);
}

static void
check_pod_names (struct validation *v, vpath_t at, const struct value *spec)
{
  check_optional_name (v, at, spec, "serviceAccountName", name_dns1123_subdomain);
  check_optional_name (v, at, spec, "nodeName", name_dns1123_subdomain);
  check_optional_name (v, at, spec, "hostname", name_dns1123_label);
  check_optional_name (v, at, spec, "subdomain", name_dns1123_label);
  check_optional_name (v, at, spec, "priorityClassName", name_dns1123_subdomain);
  check_optional_name (v, at, spec, "runtimeClassName", name_dns1123_subdomain);
  const struct value *gates = value_get (spec, "readinessGates"), *aliases = value_get (spec, "hostAliases");
  for (size_t i = 0; i < value_count (gates); i++)
    v_check_name (v, CHILD (INDEX (CHILD (at, "readinessGates"), i), "conditionType"), v_string (value_at (gates, i), "conditionType"),
                  name_qualified);
  for (size_t i = 0; i < value_count (aliases); i++) {
    vpath_t here = INDEX (CHILD (at, "hostAliases"), i);
    const char *ip = v_string (value_at (aliases, i), "ip");
    if (!v_ip (ip, NULL))
      v_invalid_string (v, CHILD (here, "ip"), ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    for (value_items (value_get (value_at (aliases, i), "hostnames"), it))
      v_check_name (v, CHILD (here, "hostnames"), value_as_string (*it, ""), name_dns1123_subdomain);
  }
}

void
validate_pod_spec (struct validation *v, vpath_t at, const struct value *spec, const struct value *meta)
{
  static const char *const restarts[] = { "Always", "OnFailure", "Never", NULL }, *const preemptions[] = { "PreemptLowerPriority", "Never", NULL };
  static const char *const dns[] = { "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", NULL };
  struct pod_validation p = { v, spec, value_get (spec, "volumes"), meta };
  v_volumes (&p, CHILD (at, "volumes"));
  v_containers (&p, CHILD (at, "containers"), value_get (spec, "containers"), false);
  v_init_containers (&p, CHILD (at, "initContainers"));
  v_ephemeral_containers (&p, CHILD (at, "ephemeralContainers"));
  v_one_of (v, CHILD (at, "restartPolicy"), v_string (spec, "restartPolicy"), restarts);
  v_one_of (v, CHILD (at, "dnsPolicy"), v_string (spec, "dnsPolicy"), dns);
  v_labels (v, CHILD (at, "nodeSelector"), value_get (spec, "nodeSelector"));
  check_host_network (&p, at);
  v_pod_security_context (v, CHILD (at, "securityContext"), value_get (spec, "securityContext"), spec);
  if (value_path_bool (spec, "hostPID", false) && value_path_bool (spec, "shareProcessNamespace", false))
    v_invalid (v, CHILD (CHILD (at, "securityContext"), "shareProcessNamespace"), value_get (spec, "shareProcessNamespace"),
               "ShareProcessNamespace and HostPID cannot both be enabled");
  v_affinity (v, CHILD (at, "affinity"), value_get (spec, "affinity"));
  check_dns (v, CHILD (at, "dnsConfig"), value_get (spec, "dnsConfig"), v_string (spec, "dnsPolicy"));
  v_topology_spread (v, CHILD (at, "topologySpreadConstraints"), value_get (spec, "topologySpreadConstraints"));
  check_pod_names (v, at, spec);
  v_tolerations (v, CHILD (at, "tolerations"), value_get (spec, "tolerations"));
  if (v_has (spec, "activeDeadlineSeconds") && (v_int (spec, "activeDeadlineSeconds") < 1 || v_int (spec, "activeDeadlineSeconds") > INT32_MAX))
    v_invalid_int (v, CHILD (at, "activeDeadlineSeconds"), v_int (spec, "activeDeadlineSeconds"), "must be between 1 and 2147483647, inclusive");
  if (v_has (spec, "preemptionPolicy"))
    v_one_of (v, CHILD (at, "preemptionPolicy"), v_string (spec, "preemptionPolicy"), preemptions);
  if (v_has (spec, "terminationGracePeriodSeconds") && v_int (spec, "terminationGracePeriodSeconds") < 0)
    v_invalid_int (v, CHILD (at, "terminationGracePeriodSeconds"), v_int (spec, "terminationGracePeriodSeconds"), "must be greater than or equal to 0");
}

void
validate_pod_template (struct validation *v, vpath_t at, const struct value *template)
{
  const struct value *meta = value_get (template, "metadata"), *spec = value_get (template, "spec");
  v_labels (v, CHILD (at, "labels"), value_get (meta, "labels"));
  v_annotations (v, CHILD (at, "annotations"), value_get (meta, "annotations"));
  validate_pod_spec (v, CHILD (at, "spec"), spec, NULL);
  if (value_count (value_get (spec, "ephemeralContainers")) > 0)
    v_forbidden (v, CHILD (CHILD (at, "spec"), "ephemeralContainers"), "ephemeral containers not allowed in pod template");
}

void
validate_pod_template_kind (struct validation *v)
{
  validate_pod_template (v, CHILD (NULL, "template"), value_get (v->obj, "template"));
}

/* ---- updates ---- */

static bool
same_but_image (const struct value *now, const struct value *then)
{
  for (value_each (now, m))
    if (strcmp (m->key, "image") != 0 && !v_same (m->value, value_get_n (then, m->key, m->key_len)))
      return false;
  for (value_each (then, m))
    if (strcmp (m->key, "image") != 0 && !v_same (m->value, value_get_n (now, m->key, m->key_len)))
      return false;
  return true;
}

static bool
same_containers_but_images (const struct value *now, const struct value *then)
{
  for (size_t i = 0; i < value_count (now); i++)
    if (!same_but_image (value_at (now, i), value_at (then, i)))
      return false;
  return true;
}

static bool
toleration_kept (const struct value *old, const struct value *list)
{
  for (value_items (list, it)) {
    bool same = true;
    for (const char *const *f = LIST ("key", "operator", "value", "effect"); *f; f++)
      same &= strcmp (v_string (old, *f), v_string (*it, *f)) == 0;
    if (same)
      return true;
  }
  return false;
}

static bool
may_change (const struct value *spec, const struct value *old, const char *key)
{
  if (v_in (key, LIST ("activeDeadlineSeconds", "tolerations")))
    return true;
  if (strcmp (key, "terminationGracePeriodSeconds") == 0)
    return v_int (old, key) < 0 && v_int (spec, key) == 1;
  if (v_in (key, LIST ("containers", "initContainers")))
    return same_containers_but_images (value_get (spec, key), value_get (old, key));
  bool gated = value_count (value_get (old, "schedulingGates")) > 0;
  return gated && v_in (key, LIST ("schedulingGates", "nodeSelector", "affinity"));
}

static bool
pod_spec_kept (const struct value *spec, const struct value *old, const char *subresource)
{
  for (value_each (spec, m))
    if (!v_same (m->value, value_get_n (old, m->key, m->key_len)) && !may_change (spec, old, m->key)
        && !(strcmp (subresource, "ephemeralcontainers") == 0 && strcmp (m->key, "ephemeralContainers") == 0)
        && !(strcmp (subresource, "binding") == 0 && strcmp (m->key, "nodeName") == 0)
        && !(strcmp (subresource, "resize") == 0 && v_in (m->key, LIST ("containers", "initContainers"))))
      return false;
  for (value_each (old, m))
    if (!v_same (m->value, value_get_n (spec, m->key, m->key_len)) && !may_change (spec, old, m->key) && !v_has (spec, m->key))
      return false;
  return true;
}

static void
check_pod_update (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *old = value_get (v->old, "spec");
  vpath_t at = CHILD (NULL, "spec");
  for (const char *const *f = LIST ("containers", "initContainers"); *f; f++)
    if (value_count (value_get (spec, *f)) != value_count (value_get (old, *f))) {
      v_forbidden (v, CHILD (at, *f), "pod updates may not add or remove containers");
      return;
    }
  bool was = v_has (old, "activeDeadlineSeconds"), is = v_has (spec, "activeDeadlineSeconds");
  if (was && is && v_int (spec, "activeDeadlineSeconds") > v_int (old, "activeDeadlineSeconds")) {
    v_invalid_int (v, CHILD (at, "activeDeadlineSeconds"), v_int (spec, "activeDeadlineSeconds"), "must be less than or equal to previous value");
    return;
  }
  if (was && !is)
    v_invalid (v, CHILD (at, "activeDeadlineSeconds"), NULL, "must not update from a positive integer to nil value");
  for (value_items (value_get (old, "tolerations"), it))
    if (!toleration_kept (*it, value_get (spec, "tolerations"))) {
      v_forbidden (v, CHILD (at, "tolerations"), "existing toleration can not be modified except its tolerationSeconds");
      break;
    }
  if (!pod_spec_kept (spec, old, v->subresource))
    v_forbidden (v, at, "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
                        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
                        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)");
}

void
validate_pod (struct validation *v)
{
  const struct value *spec = value_get (v->obj, "spec"), *meta = value_get (v->obj, "metadata");
  validate_pod_spec (v, CHILD (NULL, "spec"), spec, meta);
  const char *mirror = value_as_string (value_get (value_get (meta, "annotations"), "kubernetes.io/config.mirror"), NULL);
  if (mirror && !v_string (spec, "nodeName")[0])
    v_invalid_string (v, KEY (CHILD (CHILD (NULL, "metadata"), "annotations"), "kubernetes.io/config.mirror"), mirror,
                      "must set spec.nodeName if mirror pod annotation is set");
  if (v->old)
    check_pod_update (v);
  else if (value_count (value_get (spec, "ephemeralContainers")) > 0)
    v_forbidden (v, CHILD (CHILD (NULL, "spec"), "ephemeralContainers"), "cannot be set on create");
}

static void
check_restarts (struct validation *v, const char *list)
{
  const char *policy = value_path_string (v->old, "spec.restartPolicy", "");
  const struct value *now = value_get (value_get (v->obj, "status"), list), *then = value_get (value_get (v->old, "status"), list);
  if (strcmp (policy, "Always") == 0)
    return;
  for (size_t i = 0; i < value_count (then); i++) {
    const struct value *old = value_at (then, i), *terminated = value_path (old, "state.terminated");
    if (!terminated || (v_int (terminated, "exitCode") != 0 && strcmp (policy, "OnFailure") == 0))
      continue;
    for (value_items (now, it))
      if (strcmp (v_string (*it, "name"), v_string (old, "name")) == 0 && !value_path (*it, "state.terminated"))
        v_forbidden (v, CHILD (INDEX (CHILD (CHILD (NULL, "status"), list), i), "state"), "may not be transitioned to non-terminated state");
  }
}

void
validate_pod_status (struct validation *v)
{
  const struct value *status = value_get (v->obj, "status"), *ips = value_get (status, "podIPs");
  vpath_t at = CHILD (NULL, "status");
  if (v->old && strcmp (value_path_string (v->obj, "spec.nodeName", ""), value_path_string (v->old, "spec.nodeName", "")) != 0)
    v_forbidden (v, CHILD (at, "nodeName"), "may not be changed directly");
  if (v_string (status, "nominatedNodeName")[0])
    v_check_name (v, CHILD (at, "nominatedNodeName"), v_string (status, "nominatedNodeName"), name_dns1123_subdomain);
  if (v->old)
    check_restarts (v, "containerStatuses");
  for (size_t i = 0; i < value_count (ips); i++) {
    const char *ip = v_string (value_at (ips, i), "ip");
    if (!v_ip (ip, NULL))
      v_invalid_string (v, INDEX (CHILD (at, "podIPs"), i), ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    else if (v_seen (ips, i, "ip", ip))
      v_duplicate (v, INDEX (CHILD (at, "podIPs"), i), ip);
  }
}
