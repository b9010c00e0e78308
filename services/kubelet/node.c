/* This node in the API: Node object, its status, its lease. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/version.h"
#include "services/kubelet/kubelet.h"

#define PERIOD_MS 10000
#define STATUS_FORCE_MS 300000
#define RETRY_MS 100
#define LEASE_SECONDS 40
#define IMAGES_MAX 50

struct node {
  struct kubelet *k;
  struct loop_timer *timer, *retry;
  char *crun_version;
  char uid[64];
  bool registered, registering, posting, leasing, lease_known;
  struct tree *posted;   /* the last status that the API has */
  struct tree *sending;
  mono_t posted_at;
  char transition[4][CLOCK_RFC3339_SIZE];
  bool condition[4], condition_known;
  char *cidr;
  bool network_ready;
  char network_text[256];
  unsigned calls; /* under way: they may end after node_free */
  bool dead;
};

/* ---- facts ---- */
static int64_t
memory_total (int64_t *ret_available)
{
  struct buf b AUTO_BUF = BUF_INIT;
  const char *p;
  int64_t total = 0;
  *ret_available = 0;
  if (file_read ("/proc/meminfo", 1 << 16, &b, NULL))
    return 0;
  if ((p = strstr (buf_cstr (&b), "MemTotal:")))
    total = strtoll (p + 9, NULL, 10) * 1024;
  if ((p = strstr (buf_cstr (&b), "MemAvailable:")))
    *ret_available = strtoll (p + 13, NULL, 10) * 1024;
  return total;
}

/* The first address that is up, not loopback and not the pods' bridge. */
static void
find_address (struct kubelet *k)
{
  struct ifaddrs *list = NULL;
  if (getifaddrs (&list))
    return;
  for (struct ifaddrs *i = list; i && !k->host_ip[0][0]; i = i->ifa_next)
    if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_UP) && !(i->ifa_flags & IFF_LOOPBACK) &&
        strcmp (i->ifa_name, k->config->bridge) != 0)
      (void) inet_ntop (AF_INET, &((struct sockaddr_in *) (void *) i->ifa_addr)->sin_addr, k->host_ip[0], sizeof k->host_ip[0]);
  freeifaddrs (list);
}

int
node_read_facts (struct kubelet *k, struct err *err)
{
  struct node_facts *f = &k->facts;
  struct statvfs fs;
  int64_t available;
  uint8_t scratch[16];
  if (k->config->node_name && *k->config->node_name)
    snprintf (k->node_name, sizeof k->node_name, "%s", k->config->node_name);
  else if (gethostname (k->node_name, sizeof k->node_name - 1))
    return err_errno (err, errno, "hostname");
  for (char *p = k->node_name; *p; p++)
    if (*p >= 'A' && *p <= 'Z')
      *p = (char) (*p - 'A' + 'a');
  if (k->config->node_ip && *k->config->node_ip) {
    if (inet_pton (AF_INET, k->config->node_ip, scratch) != 1 && inet_pton (AF_INET6, k->config->node_ip, scratch) != 1)
      return err_set (err, ERR_INVALID, "--node-ip: \"%s\" is not an address", k->config->node_ip);
    snprintf (k->host_ip[0], sizeof k->host_ip[0], "%s", k->config->node_ip);
  } else {
    find_address (k);
  }
  if (!k->host_ip[0][0])
    snprintf (k->host_ip[0], sizeof k->host_ip[0], "127.0.0.1");
  if (statvfs (k->dir, &fs))
    return err_errno (err, errno, "%s", k->dir);
  *f = (struct node_facts) {.name = k->node_name, .host_ips = {k->host_ip[0]}, .n_host_ips = 1, .cluster_domain = k->config->cluster_domain};
  for (size_t i = 0; i < k->config->cluster_dns.count && i < 3; i++)
    f->cluster_dns[f->n_cluster_dns++] = k->config->cluster_dns.items[i];
  f->cpu_milli = (int64_t) get_nprocs () * 1000;
  f->memory_bytes = memory_total (&available);
  f->ephemeral_bytes = (int64_t) (fs.f_blocks * fs.f_frsize);
  return 0;
}

/* ---- the status ---- */
static const char *
first_line (struct arena *a, const char *path)
{
  struct buf b AUTO_BUF = BUF_INIT;
  if (file_read (path, 4096, &b, NULL))
    return "";
  return arena_strndup (a, buf_cstr (&b), strcspn (buf_cstr (&b), "\n"));
}

static const char *
os_name (struct arena *a)
{
  struct buf b AUTO_BUF = BUF_INIT;
  const char *p;
  if (file_read ("/etc/os-release", 1 << 16, &b, NULL) || !(p = strstr (buf_cstr (&b), "PRETTY_NAME=\"")))
    return "Linux";
  p += 13;
  return arena_strndup (a, p, strcspn (p, "\"\n"));
}

static void
add_info (struct node *n, struct arena *a, struct value *status)
{
  struct value *info = value_map (a);
  struct utsname u;
  const char *machine = first_line (a, "/etc/machine-id"), *uuid = first_line (a, "/sys/class/dmi/id/product_uuid");
  if (uname (&u))
    return;
  value_set_string (a, info, "machineID", machine);
  value_set_string (a, info, "systemUUID", *uuid ? uuid : machine);
  value_set_string (a, info, "bootID", first_line (a, "/proc/sys/kernel/random/boot_id"));
  value_set_string (a, info, "kernelVersion", u.release);
  value_set_string (a, info, "osImage", os_name (a));
  value_set (a, info, "containerRuntimeVersion", value_printf (a, "crun://%s", n->crun_version ? n->crun_version : "unknown"));
  value_set_string (a, info, "kubeletVersion", KUBUS_VERSION);
  value_set_string (a, info, "kubeProxyVersion", "");
  value_set_string (a, info, "operatingSystem", "linux");
  value_set_string (a, info, "architecture", !strcmp (u.machine, "x86_64") ? "amd64" : !strcmp (u.machine, "aarch64") ? "arm64" : u.machine);
  value_set (a, status, "nodeInfo", info);
}

static void
add_resources (struct node *n, struct arena *a, struct value *status)
{
  const struct node_facts *f = &n->k->facts;
  for (int i = 0; i < 2; i++) {
    struct value *v = value_map (a);
    value_set (a, v, "cpu", value_printf (a, "%lld", (long long) f->cpu_milli / 1000));
    value_set (a, v, "ephemeral-storage", i ? value_printf (a, "%lld", (long long) f->ephemeral_bytes / 10 * 9) : value_printf (a, "%lldKi", (long long) f->ephemeral_bytes / 1024));
    value_set_string (a, v, "hugepages-1Gi", "0");
    value_set_string (a, v, "hugepages-2Mi", "0");
    value_set (a, v, "memory", value_printf (a, "%lldKi", (long long) (f->memory_bytes - (i ? 100 << 20 : 0)) / 1024));
    value_set (a, v, "pods", value_printf (a, "%lld", (long long) n->k->config->max_pods));
    value_set (a, status, i ? "allocatable" : "capacity", v);
  }
}

static bool
pids_scarce (void)
{
  struct buf a AUTO_BUF = BUF_INIT, b AUTO_BUF = BUF_INIT;
  const char *slash;
  if (file_read ("/proc/loadavg", 256, &a, NULL) || file_read ("/proc/sys/kernel/pid_max", 64, &b, NULL) || !(slash = strchr (buf_cstr (&a), '/')))
    return false;
  return strtoll (slash + 1, NULL, 10) > strtoll (buf_cstr (&b), NULL, 10) / 10 * 9;
}

static void
add_conditions (struct node *n, struct arena *a, struct value *status)
{
  static const char *const names[4][5] = {
      {"MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"},
      {"DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "KubeletHasDiskPressure", "kubelet has disk pressure"},
      {"PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"},
      {"Ready", "KubeletNotReady", "", "KubeletReady", "kubelet is posting ready status"}};
  struct value *list = value_array (a);
  struct statvfs fs;
  int64_t available = 0;
  bool now[4] = {false, false, pids_scarce (), n->network_ready};
  char time[CLOCK_RFC3339_SIZE];
  (void) memory_total (&available);
  now[0] = available < 100 << 20;
  now[1] = !statvfs (n->k->dir, &fs) && fs.f_bavail < fs.f_blocks / 20;
  wall_format (wall_now (), time);
  for (int i = 0; i < 4; i++) {
    struct value *v = value_map (a);
    if (!n->condition_known || n->condition[i] != now[i])
      memcpy (n->transition[i], time, sizeof time);
    n->condition[i] = now[i];
    value_set_string (a, v, "type", names[i][0]);
    value_set_string (a, v, "status", now[i] ? "True" : "False");
    value_set_string (a, v, "lastHeartbeatTime", time);
    value_set_string (a, v, "lastTransitionTime", n->transition[i]);
    value_set_string (a, v, "reason", names[i][now[i] ? 3 : 1]);
    value_set_string (a, v, "message", i == 3 && !now[i] ? n->network_text : names[i][now[i] ? 4 : 2]);
    value_append (a, list, v);
  }
  n->condition_known = true;
  value_set (a, status, "conditions", list);
}

static void
add_images (struct node *n, struct arena *a, struct value *status)
{
  struct value *list = NULL, *out = value_array (a);
  if (image_list (n->k->images, a, &list, NULL))
    return;
  for (size_t i = 0; i < value_count (list) && i < IMAGES_MAX; i++) {
    struct value *v = value_map (a);
    value_set (a, v, "names", value_get (value_at (list, i), "names"));
    value_set_int (a, v, "sizeBytes", value_path_int (value_at (list, i), "size", 0));
    value_append (a, out, v);
  }
  value_set (a, status, "images", out);
}

static struct value *
build_status (struct node *n, struct arena *a)
{
  struct value *status = value_map (a), *addresses = value_array (a), *endpoints = value_map (a), *kubelet = value_map (a);
  for (int i = 0; i < 2; i++) {
    struct value *v = value_map (a);
    value_set_string (a, v, "type", i ? "Hostname" : "InternalIP");
    value_set_string (a, v, "address", i ? n->k->node_name : n->k->host_ip[0]);
    value_append (a, addresses, v);
  }
  value_set (a, status, "addresses", addresses);
  add_resources (n, a, status);
  add_conditions (n, a, status);
  value_set_int (a, kubelet, "Port", n->k->config->port);
  value_set (a, endpoints, "kubeletEndpoint", kubelet);
  value_set (a, status, "daemonEndpoints", endpoints);
  add_images (n, a, status);
  add_info (n, a, status);
  return status;
}

static struct value *
build_node (struct node *n, struct arena *a)
{
  struct value *v = value_map (a), *labels = value_map (a), *spec = value_map (a), *cidrs = value_array (a);
  struct utsname u;
  const char *arch = uname (&u) ? "" : !strcmp (u.machine, "x86_64") ? "amd64" : !strcmp (u.machine, "aarch64") ? "arm64" : u.machine;
  value_set_string (a, v, "apiVersion", "v1");
  value_set_string (a, v, "kind", "Node");
  value_set_path (a, v, "metadata.name", value_string (a, n->k->node_name));
  value_set_string (a, labels, "kubernetes.io/hostname", n->k->node_name);
  value_set_string (a, labels, "kubernetes.io/os", "linux");
  value_set_string (a, labels, "kubernetes.io/arch", arch);
  value_set_string (a, labels, "beta.kubernetes.io/os", "linux");
  value_set_string (a, labels, "beta.kubernetes.io/arch", arch);
  for (const char *p = n->k->config->node_labels; p && *p;) {
    size_t len = strcspn (p, ","), key = strcspn (p, "=");
    if (key < len)
      value_set_n (a, labels, p, key, value_string_n (a, p + key + 1, len - key - 1));
    p += len + (p[len] == ',');
  }
  value_set_path (a, v, "metadata.labels", labels);
  if (n->cidr && *n->cidr) {
    value_set_string (a, spec, "podCIDR", n->cidr);
    value_append (a, cidrs, value_string (a, n->cidr));
    value_set (a, spec, "podCIDRs", cidrs);
  }
  value_set (a, v, "spec", spec);
  value_set (a, v, "status", build_status (n, a));
  return v;
}

/* ---- the API ---- */
static void
call (struct node *n, const struct api_request *rq, api_cb cb)
{
  n->calls++;
  api_call (n->k->ctx->api, rq, cb, n);
}

/* False: the node was freed meanwhile. */
static bool
call_ended (struct node *n)
{
  n->calls--;
  if (n->dead && !n->calls)
    free (n);
  else if (!n->dead)
    return true;
  return false;
}

static void register_node (struct node *n);
static void post_status (struct node *n);

static void
on_status (void *arg, const struct err *transport, int code, const struct value *object)
{
  struct node *n = arg;
  if (!call_ended (n))
    return;
  n->posting = false;
  if (transport || code >= 300) {
    log_warn ("node status cannot be sent", "node=%s code=%d error=\"%s\"", n->k->node_name, code, transport ? transport->text : value_path_string (object, "message", ""));
    tree_unref (n->sending);
    n->sending = NULL;
    if (!transport && code == 404) { /* the node was deleted: it registers again */
      n->registered = false;
      register_node (n);
    }
    return;
  }
  tree_unref (n->posted);
  n->posted = n->sending;
  n->sending = NULL;
  n->posted_at = mono_now ();
}

/* The same but for the times of the heartbeats? */
static bool
status_same (const struct value *old, const struct value *new_)
{
  struct arena a AUTO_ARENA = {0};
  struct value *copies[2];
  arena_init (&a, 0);
  copies[0] = value_clone (&a, old);
  copies[1] = value_clone (&a, new_);
  for (int i = 0; i < 2; i++)
    for (value_items (value_get (copies[i], "conditions"), it))
      (void) value_unset (*it, "lastHeartbeatTime");
  return arena_ok (&a) && value_equal (copies[0], copies[1]);
}

static void
post_status (struct node *n)
{
  struct arena a AUTO_ARENA = {0};
  struct value *body, *status;
  struct api_request rq = {.verb = "patch", .group = "", .version = "v1", .resource = "nodes", .subresource = "status", .name = n->k->node_name,
                           .patch_type = "strategic"};
  if (n->posting || !n->registered)
    return;
  arena_init (&a, 0);
  body = value_map (&a);
  status = build_status (n, &a);
  value_set (&a, body, "status", status);
  if (n->posted && mono_ms_since (n->posted_at, mono_now ()) < STATUS_FORCE_MS && status_same (n->posted->v, status))
    return;
  if (!arena_ok (&a) || !(n->sending = tree_new (status)))
    return;
  rq.body = body;
  n->posting = true;
  call (n, &rq, on_status);
}

static void renew_lease (struct node *n);

static void
on_lease (void *arg, const struct err *transport, int code, const struct value *object)
{
  struct node *n = arg;
  if (!call_ended (n))
    return;
  n->leasing = false;
  if (!transport && (code < 300 || code == 409)) {
    n->lease_known = true;
    if (code == 409)
      renew_lease (n);
    return;
  }
  if (!transport && code == 404) {
    bool was = n->lease_known;
    n->lease_known = false;
    if (was) {
      renew_lease (n);
      return;
    }
  }
  log_warn ("node lease cannot be renewed", "node=%s code=%d error=\"%s\"", n->k->node_name, code, transport ? transport->text : value_path_string (object, "message", ""));
  loop_timer_set (n->retry, RETRY_MS * 4); /* kube-node-lease may not be there yet */
}

static void
renew_lease (struct node *n)
{
  struct arena a AUTO_ARENA = {0};
  struct value *body, *spec, *owners, *owner;
  struct api_request rq = {.verb = n->lease_known ? "patch" : "create", .group = "coordination.k8s.io", .version = "v1", .resource = "leases",
                           .namespace_ = "kube-node-lease", .name = n->lease_known ? n->k->node_name : NULL,
                           .patch_type = n->lease_known ? "merge" : NULL};
  char time[CLOCK_RFC3339_SIZE];
  if (n->leasing || !n->registered)
    return;
  arena_init (&a, 1 << 20);
  body = value_map (&a);
  spec = value_map (&a);
  wall_format_micro (wall_now (), time);
  value_set_string (&a, spec, "holderIdentity", n->k->node_name);
  value_set_int (&a, spec, "leaseDurationSeconds", LEASE_SECONDS);
  value_set_string (&a, spec, "renewTime", time);
  value_set (&a, body, "spec", spec);
  if (!n->lease_known) {
    value_set_string (&a, body, "apiVersion", "coordination.k8s.io/v1");
    value_set_string (&a, body, "kind", "Lease");
    value_set_path (&a, body, "metadata.name", value_string (&a, n->k->node_name));
    value_set_path (&a, body, "metadata.namespace", value_string (&a, "kube-node-lease"));
    owners = value_array (&a);
    owner = value_map (&a);
    value_set_string (&a, owner, "apiVersion", "v1");
    value_set_string (&a, owner, "kind", "Node");
    value_set_string (&a, owner, "name", n->k->node_name);
    value_set_string (&a, owner, "uid", n->uid);
    value_append (&a, owners, owner);
    value_set_path (&a, body, "metadata.ownerReferences", owners);
  }
  rq.body = body;
  if (!arena_ok (&a))
    return;
  n->leasing = true;
  call (n, &rq, on_lease);
}

/* ---- the network: in a thread, because it runs nft ---- */
struct network {
  struct node *n;
  struct runtime *runtime;
  char *cidr;
  int rc;
  struct err err;
};

static void
do_network (void *arg)
{
  struct network *j = arg;
  j->rc = runtime_crun_set_pod_cidr (j->runtime, j->cidr, &j->err);
}

static void
network_done (void *arg)
{
  struct network *j = arg;
  struct node *n = j->n;
  n->network_ready = !j->rc;
  if (j->rc) {
    snprintf (n->network_text, sizeof n->network_text, "container runtime network not ready: %.200s", j->err.text);
    log_error ("pod network cannot be set up", "cidr=%s error=\"%s\"", j->cidr, j->err.text);
    loop_timer_set (n->retry, RETRY_MS * 10);
  } else {
    free (n->cidr);
    n->cidr = mem_strdup (j->cidr);
  }
  post_status (n);
  free (j->cidr);
  free (j);
}

static void
set_network (struct node *n, const char *cidr)
{
  struct network *j = mem_zalloc (sizeof *j);
  struct err err;
  if (!j || !(j->cidr = mem_strdup (cidr))) {
    free (j);
    return;
  }
  j->n = n;
  j->runtime = n->k->runtime;
  if (pool_run (n->k->host.pool, do_network, network_done, j, &err)) {
    free (j->cidr);
    free (j);
  }
}

static void
registered (struct node *n, const struct value *object)
{
  const char *cidr = value_path_string (object, "spec.podCIDR", "");
  bool first = !n->registered;
  n->registered = true;
  snprintf (n->uid, sizeof n->uid, "%s", value_path_string (object, "metadata.uid", ""));
  log_info ("node registered", "node=%s podCIDR=%s", n->k->node_name, *cidr ? cidr : n->cidr ? n->cidr : "");
  if (*cidr && (!n->cidr || strcmp (cidr, n->cidr) != 0))
    set_network (n, cidr);
  if (first)
    kubelet_event_about_node (n->k, "Normal", "Starting", "Starting kubelet.");
  renew_lease (n);
  post_status (n);
}

static void
on_get (void *arg, const struct err *transport, int code, const struct value *object)
{
  struct node *n = arg;
  if (!call_ended (n))
    return;
  n->registering = false;
  if (!transport && code == 200)
    registered (n, object);
  else
    loop_timer_set (n->retry, RETRY_MS);
}

static void
on_created (void *arg, const struct err *transport, int code, const struct value *object)
{
  struct node *n = arg;
  struct api_request rq = {.verb = "get", .group = "", .version = "v1", .resource = "nodes"};
  if (!call_ended (n))
    return;
  rq.name = n->k->node_name;
  n->registering = false;
  if (!transport && code < 300) {
    registered (n, object);
  } else if (!transport && code == 409) {
    n->registering = true;
    call (n, &rq, on_get);
  } else {
    log_warn ("node cannot be registered yet", "node=%s code=%d error=\"%s\"", n->k->node_name, code, transport ? transport->text : value_path_string (object, "message", ""));
    loop_timer_set (n->retry, RETRY_MS);
  }
}

static void
register_node (struct node *n)
{
  struct arena a AUTO_ARENA = {0};
  struct api_request rq = {.verb = "create", .group = "", .version = "v1", .resource = "nodes"};
  if (n->registering || n->registered)
    return;
  arena_init (&a, 0);
  rq.body = build_node (n, &a);
  if (!arena_ok (&a)) {
    loop_timer_set (n->retry, RETRY_MS);
    return;
  }
  n->registering = true;
  call (n, &rq, on_created);
}

static void
on_retry (void *arg)
{
  struct node *n = arg;
  if (!n->registered)
    register_node (n);
  else
    renew_lease (n);
  if (!n->network_ready && n->cidr)
    set_network (n, n->cidr);
}

static void
on_period (void *arg)
{
  struct node *n = arg;
  if (!n->registered)
    register_node (n);
  renew_lease (n);
  post_status (n);
  loop_timer_set (n->timer, PERIOD_MS);
}

static void
read_crun_version (struct node *n)
{
  static const char *const argv[] = {"crun", "--version", NULL};
  struct proc_config pc = {.argv = argv, .timeout_ms = 5000};
  struct buf b AUTO_BUF = BUF_INIT;
  const char *p;
  if (proc_run (&pc, &b, NULL, NULL) == 0 && (p = strstr (buf_cstr (&b), "version ")))
    n->crun_version = mem_strndup (p + 8, strcspn (p + 8, " \n"));
}

struct node *
node_new (struct kubelet *k, struct err *err)
{
  struct node *n = mem_zalloc (sizeof *n);
  if (!n) {
    err_set (err, ERR_NOMEM, "node");
    return NULL;
  }
  n->k = k;
  n->timer = loop_timer_new (k->ctx->loop, on_period, n);
  n->retry = loop_timer_new (k->ctx->loop, on_retry, n);
  n->cidr = k->config->pod_cidr && *k->config->pod_cidr ? mem_strdup (k->config->pod_cidr) : NULL;
  if (!n->timer || !n->retry) {
    err_set (err, ERR_NOMEM, "node");
    node_free (n);
    return NULL;
  }
  snprintf (n->network_text, sizeof n->network_text, "container runtime network not ready: no pod CIDR yet");
  read_crun_version (n);
  if (n->cidr)
    set_network (n, n->cidr);
  register_node (n);
  loop_timer_set (n->timer, PERIOD_MS);
  return n;
}

void
node_free (struct node *n)
{
  if (!n)
    return;
  loop_timer_free (n->timer);
  loop_timer_free (n->retry);
  tree_unref (n->posted);
  tree_unref (n->sending);
  free (n->crun_version);
  free (n->cidr);
  n->dead = true;
  if (!n->calls)
    free (n);
}
