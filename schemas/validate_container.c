/* Containers: names, images, ports, environment, mounts, probes, resources, security. */
#include "schemas/validate_internal.h"

static const char *const protocols[] = { "SCTP", "TCP", "UDP", NULL };

static void
check_ports (struct validation *v, vpath_t at, const struct value *ports)
{
  for (size_t i = 0; i < value_count (ports); i++) {
    const struct value *p = value_at (ports, i);
    const char *name = v_string (p, "name");
    if (name[0] && name_port (name))
      v_invalid_string (v, CHILD (INDEX (at, i), "name"), name, name_port (name));
    else if (name[0] && v_seen (ports, i, "name", name))
      v_duplicate (v, CHILD (INDEX (at, i), "name"), name);
    if (v_int (p, "containerPort") == 0)
      v_required (v, CHILD (INDEX (at, i), "containerPort"), NULL);
    else
      v_port (v, CHILD (INDEX (at, i), "containerPort"), v_int (p, "containerPort"));
    if (v_int (p, "hostPort") != 0)
      v_port (v, CHILD (INDEX (at, i), "hostPort"), v_int (p, "hostPort"));
    v_one_of (v, CHILD (INDEX (at, i), "protocol"), v_string (p, "protocol"), protocols);
  }
}

/* ---- environment ---- */

/* metadata.labels['x'] and metadata.annotations['x'] take a key; the other paths are listed. */
void
v_field_ref (struct validation *v, vpath_t at, const struct value *ref, const char *const *paths)
{
  const char *path = v_string (ref, "fieldPath"), *bracket = strchr (path, '[');
  if (!v_string (ref, "apiVersion")[0]) {
    v_required (v, CHILD (at, "apiVersion"), NULL);
    return;
  }
  if (!path[0]) {
    v_required (v, CHILD (at, "fieldPath"), NULL);
    return;
  }
  size_t n = strlen (path);
  if (!bracket || n < 5 || path[n - 1] != ']' || bracket[1] != '\'' || path[n - 2] != '\'') {
    if (!v_in (path, paths))
      v_not_supported (v, CHILD (at, "fieldPath"), path, paths);
    return;
  }
  char *key = arena_strndup (v->causes->arena, bracket + 2, strlen (bracket) > 4 ? strlen (bracket) - 4 : 0);
  size_t stem = (size_t) (bracket - path);
  bool labels = stem == 15 && strncmp (path, "metadata.labels", 15) == 0;
  bool annotations = stem == 20 && strncmp (path, "metadata.annotations", 20) == 0;
  if (!labels && !annotations)
    v_invalid_string (v, at, arena_strndup (v->causes->arena, path, stem), "does not support subscript");
  else if (key)
    v_check_name (v, at, key, name_qualified);
}

void
v_resource_field_ref (struct validation *v, vpath_t at, const struct value *ref, bool volume)
{
  static const char *const resources[] = { "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
                                           "requests.ephemeral-storage", "requests.memory", NULL };
  static const char *const sizes[] = { "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL };
  const char *resource = v_string (ref, "resource"), *divisor = v_string (ref, "divisor");
  bool pages = strncmp (resource, "limits.hugepages-", 17) == 0 || strncmp (resource, "requests.hugepages-", 19) == 0;
  if (volume && !v_string (ref, "containerName")[0])
    v_required (v, CHILD (at, "containerName"), NULL);
  else if (!resource[0])
    v_required (v, CHILD (at, "resource"), NULL);
  else if (!pages && !v_in (resource, resources))
    v_not_supported (v, CHILD (at, "resource"), resource, resources);
  if (!divisor[0] || strcmp (divisor, "0") == 0)
    return;
  if (strstr (resource, ".cpu") && !v_in (divisor, LIST ("1m", "1")))
    v_invalid_string (v, CHILD (at, "divisor"), resource, "only divisor's values 1m and 1 are supported with the cpu resource");
  else if (!strstr (resource, ".cpu") && !v_in (divisor, sizes)) {
    AUTO_BUF struct buf text = BUF_INIT;
    buf_printf (&text, "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the %s resource",
                pages ? "hugepages" : strstr (resource, "ephemeral") ? "local ephemeral storage" : "memory");
    v_invalid_string (v, CHILD (at, "divisor"), resource, buf_cstr (&text));
  }
}

static void
check_key_ref (struct validation *v, vpath_t at, const struct value *ref)
{
  const char *key = v_string (ref, "key");
  v_check_name (v, CHILD (at, "name"), v_string (ref, "name"), name_dns1123_subdomain);
  if (!key[0])
    v_required (v, CHILD (at, "key"), NULL);
  else
    v_check_name (v, CHILD (at, "key"), key, name_config_map_key);
}

static void
check_value_from (struct validation *v, vpath_t at, const struct value *env)
{
  static const char *const paths[] = { "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
                                       "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs", NULL };
  const struct value *from = value_get (env, "valueFrom");
  int sources = 0;
  if (value_is_null (from))
    return;
  if (v_has (from, "fieldRef") && ++sources)
    v_field_ref (v, CHILD (at, "fieldRef"), value_get (from, "fieldRef"), paths);
  if (v_has (from, "resourceFieldRef") && ++sources)
    v_resource_field_ref (v, CHILD (at, "resourceFieldRef"), value_get (from, "resourceFieldRef"), false);
  if (v_has (from, "configMapKeyRef") && ++sources)
    check_key_ref (v, CHILD (at, "configMapKeyRef"), value_get (from, "configMapKeyRef"));
  if (v_has (from, "secretKeyRef") && ++sources)
    check_key_ref (v, CHILD (at, "secretKeyRef"), value_get (from, "secretKeyRef"));
  if (sources == 0)
    v_invalid_string (v, at, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
  else if (v_string (env, "value")[0])
    v_invalid_string (v, at, "", "may not be specified when `value` is not empty");
  else if (sources > 1)
    v_invalid_string (v, at, "", "may not have more than one field specified at a time");
}

static void
check_env (struct validation *v, vpath_t at, const struct value *env)
{
  for (size_t i = 0; i < value_count (env); i++) {
    const char *name = v_string (value_at (env, i), "name");
    if (!name[0])
      v_required (v, CHILD (INDEX (at, i), "name"), NULL);
    else
      v_check_name (v, CHILD (INDEX (at, i), "name"), name, name_env_var);
    check_value_from (v, CHILD (INDEX (at, i), "valueFrom"), value_at (env, i));
  }
}

static void
check_env_from (struct validation *v, vpath_t at, const struct value *list)
{
  static const char *const sources[] = { "configMapRef", "secretRef", NULL };
  for (size_t i = 0; i < value_count (list); i++) {
    const struct value *e = value_at (list, i);
    vpath_t here = INDEX (at, i);
    int n = 0;
    if (v_string (e, "prefix")[0])
      v_check_name (v, CHILD (here, "prefix"), v_string (e, "prefix"), name_env_var);
    for (size_t s = 0; sources[s]; s++) {
      if (!v_has (e, sources[s]))
        continue;
      const char *name = v_string (value_get (e, sources[s]), "name");
      n++;
      if (!name[0])
        v_required (v, CHILD (CHILD (here, sources[s]), "name"), NULL);
      else
        v_check_name (v, CHILD (CHILD (here, sources[s]), "name"), name, name_dns1123_subdomain);
    }
    if (n == 0)
      v_invalid_string (v, at, "", "must specify one of: `configMapRef` or `secretRef`");
    else if (n > 1)
      v_invalid_string (v, at, "", "may not have more than one field specified at a time");
  }
}

/* ---- mounts ---- */

static const struct value *
find_named (const struct value *list, const char *name)
{
  for (value_items (list, it))
    if (strcmp (v_string (*it, "name"), name) == 0)
      return *it;
  return NULL;
}

static void
check_mount (const struct pod_validation *p, vpath_t at, vpath_t list_at, const struct value *m, const struct value *container)
{
  struct validation *v = p->v;
  const char *name = v_string (m, "name"), *path = v_string (m, "mountPath");
  const char *sub = v_string (m, "subPath"), *expr = v_string (m, "subPathExpr"), *propagation = v_string (m, "mountPropagation");
  static const char *const modes[] = { "Bidirectional", "HostToContainer", "None", NULL };
  if (!name[0])
    v_required (v, CHILD (at, "name"), NULL);
  if (!find_named (p->volumes, name))
    v_not_found (v, CHILD (at, "name"), name);
  if (!path[0])
    v_required (v, CHILD (at, "mountPath"), NULL);
  if (find_named (value_get (container, "volumeDevices"), name))
    v_invalid_string (v, CHILD (at, "name"), name, "must not already exist in volumeDevices");
  if (sub[0])
    v_local_path (v, CHILD (list_at, "subPath"), sub);
  if (expr[0]) {
    if (sub[0])
      v_invalid_string (v, CHILD (at, "subPathExpr"), expr, "subPathExpr and subPath are mutually exclusive");
    v_local_path (v, CHILD (list_at, "subPathExpr"), expr);
  }
  if (propagation[0] && !v_in (propagation, modes))
    v_not_supported (v, CHILD (list_at, "mountPropagation"), propagation, modes);
  else if (strcmp (propagation, "Bidirectional") == 0 && !value_path_bool (container, "securityContext.privileged", false))
    v_forbidden (v, CHILD (list_at, "mountPropagation"), "Bidirectional mount propagation is available only to privileged containers");
}

static void
check_mounts (const struct pod_validation *p, vpath_t at, const struct value *container)
{
  const struct value *mounts = value_get (container, "volumeMounts");
  for (size_t i = 0; i < value_count (mounts); i++) {
    const char *path = v_string (value_at (mounts, i), "mountPath");
    check_mount (p, INDEX (at, i), at, value_at (mounts, i), container);
    if (v_seen (mounts, i, "mountPath", path))
      v_invalid_string (p->v, CHILD (INDEX (at, i), "mountPath"), path, "must be unique");
  }
}

static void
check_devices (const struct pod_validation *p, vpath_t at, const struct value *container)
{
  const struct value *devices = value_get (container, "volumeDevices");
  for (size_t i = 0; i < value_count (devices); i++) {
    const char *name = v_string (value_at (devices, i), "name"), *path = v_string (value_at (devices, i), "devicePath");
    const struct value *volume = find_named (p->volumes, name);
    vpath_t here = INDEX (at, i);
    if (!name[0])
      v_required (p->v, CHILD (here, "name"), NULL);
    if (v_seen (devices, i, "name", name))
      v_invalid_string (p->v, CHILD (here, "name"), name, "must be unique");
    if (!volume)
      v_not_found (p->v, CHILD (here, "name"), name);
    else if (!v_has (volume, "persistentVolumeClaim") && !v_has (volume, "ephemeral"))
      v_invalid_string (p->v, CHILD (here, "name"), name,
                        "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    if (!path[0])
      v_required (p->v, CHILD (here, "devicePath"), NULL);
    if (v_seen (devices, i, "devicePath", path))
      v_invalid_string (p->v, CHILD (here, "devicePath"), path, "must be unique");
  }
}

/* ---- probes and hooks ---- */

static void
check_http_get (struct validation *v, vpath_t at, const struct value *get)
{
  static const char *const schemes[] = { "HTTP", "HTTPS", NULL };
  if (!v_string (get, "path")[0])
    v_required (v, CHILD (at, "path"), NULL);
  v_port_number_or_name (v, CHILD (at, "port"), value_get (get, "port"));
  if (!v_in (v_string (get, "scheme"), schemes))
    v_not_supported (v, CHILD (at, "scheme"), v_string (get, "scheme"), schemes);
  for (value_items (value_get (get, "httpHeaders"), h))
    v_check_name (v, CHILD (at, "httpHeaders"), v_string (*h, "name"), name_http_header);
}

static void
check_handler (struct validation *v, vpath_t at, const struct value *handler, bool hook)
{
  static const char *const kinds[] = { "exec", "httpGet", "tcpSocket", "grpc", "sleep", NULL };
  int n = 0;
  for (size_t i = 0; kinds[i]; i++) {
    const struct value *h = value_get (handler, kinds[i]);
    vpath_t here = CHILD (at, kinds[i]);
    if (value_is_null (h) || (i == 3 && hook) || (i == 4 && !hook))
      continue;
    if (n++ > 0) {
      v_forbidden (v, here, "may not specify more than 1 handler type");
      continue;
    }
    if (i == 0 && value_count (value_get (h, "command")) == 0)
      v_required (v, CHILD (here, "command"), NULL);
    else if (i == 1)
      check_http_get (v, here, h);
    else if (i == 2)
      v_port_number_or_name (v, CHILD (here, "port"), value_get (h, "port"));
    else if (i == 3)
      v_port (v, CHILD (here, "port"), v_int (h, "port"));
  }
  if (n == 0)
    v_required (v, at, "must specify a handler type");
}

static void
check_probe (struct validation *v, vpath_t at, const struct value *probe, bool succeeds_once)
{
  if (value_is_null (probe))
    return;
  check_handler (v, at, probe, false);
  for (const char *const *f = LIST ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"); *f; f++)
    v_nonnegative_in (v, at, probe, *f);
  if (v_has (probe, "terminationGracePeriodSeconds") && v_int (probe, "terminationGracePeriodSeconds") <= 0)
    v_invalid_int (v, CHILD (at, "terminationGracePeriodSeconds"), v_int (probe, "terminationGracePeriodSeconds"), "must be greater than 0");
  if (succeeds_once && v_int (probe, "successThreshold") != 1)
    v_invalid_int (v, CHILD (at, "successThreshold"), v_int (probe, "successThreshold"), "must be 1");
}

static void
check_lifecycle (struct validation *v, vpath_t at, const struct value *lifecycle)
{
  for (const char *const *f = LIST ("postStart", "preStop"); *f; f++)
    if (v_has (lifecycle, *f))
      check_handler (v, CHILD (at, *f), value_get (lifecycle, *f), true);
}

/* ---- resources ---- */

static bool
may_overcommit (const char *resource)
{
  return strncmp (resource, "hugepages-", 10) != 0 && (!strchr (resource, '/') || strstr (resource, "kubernetes.io/"));
}

void
v_container_resource_name (struct validation *v, vpath_t at, const char *name)
{
  const char *message = name_qualified (name);
  if (message)
    v_invalid_string (v, at, name, message);
  else if (!strchr (name, '/') && strncmp (name, "hugepages-", 10) != 0 && !v_in (name, LIST ("cpu", "memory", "ephemeral-storage"))) {
    if (!v_in (name, LIST ("storage", "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
                           "persistentvolumeclaims", "services.nodeports", "services.loadbalancers", "requests.cpu", "requests.memory",
                           "requests.storage", "limits.cpu", "limits.memory")))
      v_invalid_string (v, at, name, "must be a standard resource type or fully qualified");
    v_invalid_string (v, at, name, "must be a standard resource for containers");
  } else if (strncmp (name, "requests.", 9) == 0 && strchr (name, '/'))
    v_invalid_string (v, at, name, "doesn't follow extended resource name standard");
}

void
v_resources (struct validation *v, vpath_t at, const struct value *resources)
{
  const struct value *limits = value_get (resources, "limits"), *requests = value_get (resources, "requests");
  bool pages = false, basic = false;
  for (value_each (limits, m)) {
    v_container_resource_name (v, KEY (CHILD (at, "limits"), m->key), m->key);
    v_resource_quantity (v, KEY (CHILD (at, "limits"), m->key), m->key, m->value);
    pages |= strncmp (m->key, "hugepages-", 10) == 0;
    basic |= v_in (m->key, LIST ("cpu", "memory"));
  }
  for (value_each (requests, m)) {
    const struct value *limit = value_get_n (limits, m->key, m->key_len);
    AUTO_BUF struct buf text = BUF_INIT;
    v_container_resource_name (v, KEY (CHILD (at, "requests"), m->key), m->key);
    v_resource_quantity (v, KEY (CHILD (at, "requests"), m->key), m->key, m->value);
    pages |= strncmp (m->key, "hugepages-", 10) == 0;
    basic |= v_in (m->key, LIST ("cpu", "memory"));
    if (limit && v_quantity_compare (m->value, limit) != 0 && !may_overcommit (m->key)) {
      buf_printf (&text, "must be equal to %s limit of %s", m->key, value_as_string (limit, ""));
      v_invalid (v, CHILD (at, "requests"), m->value, buf_cstr (&text));
    } else if (limit && v_quantity_compare (m->value, limit) > 0) {
      buf_printf (&text, "must be less than or equal to %s limit of %s", m->key, value_as_string (limit, ""));
      v_invalid (v, CHILD (at, "requests"), m->value, buf_cstr (&text));
    } else if (!limit && !may_overcommit (m->key))
      v_required (v, CHILD (at, "limits"), "Limit must be set for non overcommitable resources");
  }
  if (pages && !basic)
    v_forbidden (v, at, "HugePages require cpu or memory");
}

/* ---- lists of containers ---- */

static void
check_container (const struct pod_validation *p, vpath_t at, const struct value *c, bool probes)
{
  struct validation *v = p->v;
  static const char *const policies[] = { "Always", "IfNotPresent", "Never", NULL };
  const char *image = v_string (c, "image"), *termination = v_string (c, "terminationMessagePolicy");
  size_t n = strlen (image);
  if (n == 0)
    v_required (v, CHILD (at, "image"), NULL);
  else if (p->meta && (strchr (" \t\r\n", image[0]) || strchr (" \t\r\n", image[n - 1])))
    v_invalid_string (v, CHILD (at, "image"), image, "must not have leading or trailing whitespace");
  if (!termination[0])
    v_required (v, CHILD (at, "terminationMessagePolicy"), NULL);
  else if (!v_in (termination, LIST ("File", "FallbackToLogsOnError")))
    v_not_supported (v, CHILD (at, "terminationMessagePolicy"), termination, LIST ("FallbackToLogsOnError", "File"));
  check_ports (v, CHILD (at, "ports"), value_get (c, "ports"));
  check_env (v, CHILD (at, "env"), value_get (c, "env"));
  check_env_from (v, CHILD (at, "envFrom"), value_get (c, "envFrom"));
  check_mounts (p, CHILD (at, "volumeMounts"), c);
  check_devices (p, CHILD (at, "volumeDevices"), c);
  v_one_of (v, CHILD (at, "imagePullPolicy"), v_string (c, "imagePullPolicy"), policies);
  v_resources (v, CHILD (at, "resources"), value_get (c, "resources"));
  v_security_context (v, CHILD (at, "securityContext"), value_get (c, "securityContext"));
  if (!probes)
    return;
  check_lifecycle (v, CHILD (at, "lifecycle"), value_get (c, "lifecycle"));
  check_probe (v, CHILD (at, "livenessProbe"), value_get (c, "livenessProbe"), true);
  check_probe (v, CHILD (at, "readinessProbe"), value_get (c, "readinessProbe"), false);
  check_probe (v, CHILD (at, "startupProbe"), value_get (c, "startupProbe"), true);
}

static void
check_name (struct validation *v, vpath_t at, const char *name, bool duplicate)
{
  if (!name[0])
    v_required (v, at, NULL);
  else
    v_check_name (v, at, name, name_dns1123_label);
  if (duplicate)
    v_duplicate (v, at, name);
}

static bool
same_host_port (const struct value *a, const struct value *b)
{
  return v_int (a, "hostPort") == v_int (b, "hostPort") && strcmp (v_string (a, "protocol"), v_string (b, "protocol")) == 0
         && strcmp (v_string (a, "hostIP"), v_string (b, "hostIP")) == 0;
}

static bool
host_port_taken (const struct value *containers, size_t ci, size_t pi, const struct value *port)
{
  for (size_t c = ci > 200 ? ci - 200 : 0; c <= ci; c++) {
    const struct value *ports = value_get (value_at (containers, c), "ports");
    for (size_t i = 0; i < (c == ci ? pi : value_count (ports)); i++)
      if (same_host_port (value_at (ports, i), port))
        return true;
  }
  return false;
}

static void
check_host_ports (struct validation *v, vpath_t at, const struct value *containers)
{
  for (size_t c = 0; c < value_count (containers); c++) {
    const struct value *ports = value_get (value_at (containers, c), "ports");
    for (size_t i = 0; i < value_count (ports); i++) {
      const struct value *p = value_at (ports, i);
      char text[320];
      if (v_int (p, "hostPort") == 0 || !host_port_taken (containers, c, i, p))
        continue;
      snprintf (text, sizeof text, "%s/%s/%lld", v_string (p, "protocol"), v_string (p, "hostIP"), (long long) v_int (p, "hostPort"));
      v_duplicate (v, CHILD (INDEX (CHILD (INDEX (at, c), "ports"), i), "hostPort"), text);
    }
  }
}

void
v_containers (const struct pod_validation *p, vpath_t at, const struct value *containers, bool init)
{
  if (value_count (containers) == 0) {
    v_required (p->v, at, NULL);
    return;
  }
  for (size_t i = 0; i < value_count (containers); i++) {
    const struct value *c = value_at (containers, i);
    const char *name = v_string (c, "name");
    check_name (p->v, CHILD (INDEX (at, i), "name"), name, v_seen (containers, i, "name", name));
    check_container (p, INDEX (at, i), c, true);
    if (!init && v_has (c, "restartPolicy"))
      v_forbidden (p->v, CHILD (INDEX (at, i), "restartPolicy"), "may not be set for non-init containers");
  }
  check_host_ports (p->v, at, containers);
}

void
v_init_containers (const struct pod_validation *p, vpath_t at)
{
  const struct value *list = value_get (p->spec, "initContainers"), *others = value_get (p->spec, "containers");
  for (size_t i = 0; i < value_count (list); i++) {
    const struct value *c = value_at (list, i);
    const char *name = v_string (c, "name"), *restart = v_string (c, "restartPolicy");
    vpath_t here = INDEX (at, i);
    bool sidecar = strcmp (restart, "Always") == 0;
    check_name (p->v, CHILD (here, "name"), name, name[0] && (v_seen (list, i, "name", name) || find_named (others, name)));
    check_container (p, here, c, sidecar);
    if (restart[0] && !sidecar)
      v_not_supported (p->v, CHILD (here, "restartPolicy"), restart, LIST ("Always"));
    for (const char *const *f = LIST ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"); *f && !sidecar; f++)
      if (v_has (c, *f))
        v_forbidden (p->v, CHILD (here, *f), "may not be set for init containers without restartPolicy=Always");
  }
}

void
v_ephemeral_containers (const struct pod_validation *p, vpath_t at)
{
  static const char *const banned[] = { "ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "restartPolicy", NULL };
  const struct value *list = value_get (p->spec, "ephemeralContainers");
  const struct value *others = value_get (p->spec, "containers"), *inits = value_get (p->spec, "initContainers");
  for (size_t i = 0; i < value_count (list); i++) {
    const struct value *c = value_at (list, i);
    const char *name = v_string (c, "name"), *target = v_string (c, "targetContainerName");
    bool taken = v_seen (list, i, "name", name) || find_named (others, name) || find_named (inits, name);
    vpath_t here = INDEX (at, i);
    check_name (p->v, CHILD (here, "name"), name, name[0] && taken);
    check_container (p, here, c, false);
    if (target[0] && !find_named (others, target) && !find_named (inits, target))
      v_not_found (p->v, CHILD (here, "targetContainerName"), target);
    for (size_t b = 0; banned[b]; b++)
      if (v_has (c, banned[b]))
        v_forbidden (p->v, CHILD (here, banned[b]), "cannot be set for an Ephemeral Container");
    if (value_count (value_get (c, "resources")) > 0)
      v_forbidden (p->v, CHILD (here, "resources"), "cannot be set for an Ephemeral Container");
    const struct value *mounts = value_get (c, "volumeMounts");
    for (size_t m = 0; m < value_count (mounts); m++)
      for (const char *const *f = LIST ("subPath", "subPathExpr"); *f; f++)
        if (v_string (value_at (mounts, m), *f)[0])
          v_forbidden (p->v, CHILD (INDEX (CHILD (here, "volumeMounts"), m), *f), "cannot be set for an Ephemeral Container");
  }
}
