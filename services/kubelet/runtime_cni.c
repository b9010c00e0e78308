/* The pod network by CNI 0.4/1.0 plugins: our conflist is written for people and other tools to see, and carried out by us: each
   plugin gets its configuration with the name, version and the previous result, on stdin. The last result is cached for DEL. */
#include <arpa/inet.h>
#include <errno.h>

#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "schemas/json.h"
#include "services/kubelet/runtime_internal.h"

#define CNI_TIMEOUT_MS 30000
#define CNI_VERSION "0.4.0"

static struct value *
bridge_config (struct crun *c, struct arena *a)
{
  struct value *p = value_map (a), *ipam = value_map (a), *ranges = value_array (a), *range = value_array (a), *r = value_map (a);
  struct value *routes = value_array (a), *route = value_map (a);
  value_set_string (a, p, "type", "bridge");
  value_set_string (a, p, "bridge", c->bridge);
  value_set_bool (a, p, "isGateway", true);
  value_set_bool (a, p, "hairpinMode", true);
  value_set_bool (a, p, "forceAddress", true);
  value_set_bool (a, p, "ipMasq", false); /* one rule for the whole node instead: cni_host_setup */
  if (c->mtu)
    value_set_int (a, p, "mtu", c->mtu);
  value_set_string (a, ipam, "type", "host-local");
  value_set (a, ipam, "dataDir", value_printf (a, "%s/kubelet/cni/ipam", c->dir));
  value_set_string (a, r, "subnet", c->pod_cidr);
  value_append (a, range, r);
  value_append (a, ranges, range);
  value_set (a, ipam, "ranges", ranges);
  value_set_string (a, route, "dst", "0.0.0.0/0");
  value_append (a, routes, route);
  value_set (a, ipam, "routes", routes);
  value_set (a, p, "ipam", ipam);
  return p;
}

static struct value *
portmap_config (struct arena *a)
{
  struct value *p = value_map (a), *caps = value_map (a);
  value_set_string (a, p, "type", "portmap");
  value_set_bool (a, p, "snat", true);
  value_set_bool (a, caps, "portMappings", true);
  value_set (a, p, "capabilities", caps);
  return p;
}

int
cni_write_config (struct crun *c, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *root, *plugins;
  char *dir AUTO_FREE = mem_printf ("%s/kubelet/cni/net.d", c->dir), *path AUTO_FREE = mem_printf ("%s/kubelet/cni/net.d/10-kubus.conflist", c->dir);
  int rc;
  arena_init (&a, 0);
  root = value_map (&a);
  plugins = value_array (&a);
  value_set_string (&a, root, "cniVersion", CNI_VERSION);
  value_set_string (&a, root, "name", "kubus");
  value_append (&a, plugins, bridge_config (c, &a));
  value_append (&a, plugins, portmap_config (&a));
  value_set (&a, root, "plugins", plugins);
  json_write (root, 2, &b);
  buf_append_byte (&b, '\n');
  if (!dir || !path || b.failed || !arena_ok (&a))
    return err_set (err, ERR_NOMEM, "network configuration");
  if ((rc = file_mkdirs (dir, 0755, err)))
    return rc;
  return file_write_atomic (path, b.data, b.len, 0644, err);
}

static int
run_plugin (struct crun *c, const char *command, const char *uid, const char *netns, struct value *conf, struct value *prev,
            const struct value *mappings, struct arena *a, struct value **ret, struct err *err)
{
  const char *type = value_path_string (conf, "type", "");
  struct buf in AUTO_BUF = BUF_INIT, out AUTO_BUF = BUF_INIT, errout AUTO_BUF = BUF_INIT;
  const char *argv[] = {arena_printf (a, "%s/%s", c->cni_bin, type), NULL};
  const char *env[] = {arena_printf (a, "CNI_COMMAND=%s", command),
                       arena_printf (a, "CNI_CONTAINERID=%s", uid),
                       arena_printf (a, "CNI_NETNS=%s", netns),
                       "CNI_IFNAME=eth0",
                       arena_printf (a, "CNI_PATH=%s", c->cni_bin),
                       "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                       NULL};
  struct proc_config pc = {.argv = argv, .env = env, .in = {PROC_INPUT, -1}, .timeout_ms = CNI_TIMEOUT_MS};
  struct value *result = NULL;
  int rc;
  value_set_string (a, conf, "cniVersion", CNI_VERSION);
  value_set_string (a, conf, "name", "kubus");
  if (prev)
    value_set (a, conf, "prevResult", prev);
  if (value_count (mappings)) {
    struct value *rt = value_map (a);
    value_set (a, rt, "portMappings", value_clone (a, mappings));
    value_set (a, conf, "runtimeConfig", rt);
  }
  json_write (conf, 0, &in);
  if (in.failed || !arena_ok (a))
    return err_set (err, ERR_NOMEM, "network plugin %s", type);
  pc.input = in.data;
  pc.input_len = in.len;
  if ((rc = proc_run (&pc, &out, &errout, err)) < 0)
    return err_wrap (err, "network plugin");
  if (rc > 0) {
    struct value *why = NULL;
    if (out.len && !json_parse (a, buf_cstr (&out), out.len, &why, NULL, NULL) && value_get (why, "msg"))
      return err_set (err, ERR_UNAVAILABLE, "network plugin %s %s: %s %s", type, command, value_path_string (why, "msg", ""),
                      value_path_string (why, "details", ""));
    return err_set (err, ERR_UNAVAILABLE, "network plugin %s %s: exit code %d: %.300s", type, command, rc, buf_cstr (&errout));
  }
  if (ret && (rc = json_parse (a, buf_cstr (&out), out.len, &result, NULL, err)))
    return err_wrap (err, "network plugin %s: result", type);
  if (ret)
    *ret = result;
  return 0;
}

static char *
cache_path (const struct crun *c, const char *uid)
{
  return mem_printf ("%s/kubelet/cni/cache/%s.json", c->dir, uid);
}

static void
read_ips (const struct value *result, struct sandbox_status *ret)
{
  ret->n_ips = 0;
  for (value_items (value_get (result, "ips"), it)) {
    const char *address = value_path_string (*it, "address", "");
    size_t n = strcspn (address, "/");
    if (ret->n_ips < SANDBOX_IPS_MAX && n && n < INET6_ADDRSTRLEN)
      snprintf (ret->ips[ret->n_ips++], INET6_ADDRSTRLEN, "%.*s", (int) n, address);
  }
}

static struct value *
host_ports (struct arena *a, const struct value *pod)
{
  struct value *list = value_array (a);
  for (value_items (value_path (pod, "spec.containers"), c))
    for (value_items (value_get (*c, "ports"), p)) {
      struct value *m;
      const char *protocol = value_path_string (*p, "protocol", "TCP");
      if (!value_path_int (*p, "hostPort", 0))
        continue;
      m = value_map (a);
      value_set_int (a, m, "hostPort", value_path_int (*p, "hostPort", 0));
      value_set_int (a, m, "containerPort", value_path_int (*p, "containerPort", 0));
      value_set_string (a, m, "protocol", !strcmp (protocol, "UDP") ? "udp" : !strcmp (protocol, "SCTP") ? "sctp" : "tcp");
      value_set_string (a, m, "hostIP", value_path_string (*p, "hostIP", NULL));
      value_append (a, list, m);
    }
  return list;
}

int
cni_add (struct crun *c, const char *uid, const struct value *pod, const char *netns, struct sandbox_status *ret, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct value *result = NULL, *saved, *mappings;
  struct buf b AUTO_BUF = BUF_INIT;
  char *path AUTO_FREE = cache_path (c, uid), *dir AUTO_FREE = mem_printf ("%s/kubelet/cni/cache", c->dir);
  struct err ignored;
  int rc;
  arena_init (&a, 0);
  mappings = host_ports (&a, pod);
  if (!path || !dir)
    return err_set (err, ERR_NOMEM, "network");
  if ((rc = file_mkdirs (dir, 0700, err)))
    return rc;
  /* Before the first plugin runs, so that DEL knows of the port mappings whatever happens. */
  saved = value_map (&a);
  value_set (&a, saved, "portMappings", mappings);
  json_write (saved, 0, &b);
  if (b.failed)
    return err_set (err, ERR_NOMEM, "network");
  if ((rc = file_write_atomic (path, b.data, b.len, 0600, err)))
    return rc;
  pthread_mutex_lock (&c->lock);
  if (!c->pod_cidr)
    rc = err_set (err, ERR_UNAVAILABLE, "network is not ready: this node has no pod CIDR yet");
  else
    rc = run_plugin (c, "ADD", uid, netns, bridge_config (c, &a), NULL, NULL, &a, &result, err);
  pthread_mutex_unlock (&c->lock);
  if (!rc && value_count (mappings))
    rc = run_plugin (c, "ADD", uid, netns, portmap_config (&a), result, mappings, &a, &result, err);
  if (!rc) {
    value_set (&a, saved, "result", result);
    buf_reset (&b);
    json_write (saved, 0, &b);
    rc = b.failed || !arena_ok (&a) ? err_set (err, ERR_NOMEM, "network") : file_write_atomic (path, b.data, b.len, 0600, err);
  }
  if (rc) {
    (void) cni_del (c, uid, netns, &ignored);
    return rc;
  }
  read_ips (result, ret);
  return ret->n_ips ? 0 : err_set (err, ERR_UNAVAILABLE, "network plugin gave no address");
}

int
cni_del (struct crun *c, const char *uid, const char *netns, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *saved = NULL, *result;
  char *path AUTO_FREE = cache_path (c, uid);
  int rc = 0, one;
  arena_init (&a, 0);
  if (!path)
    return err_set (err, ERR_NOMEM, "network");
  if (!file_exists (path))
    return 0;
  if (file_read (path, 1 << 20, &b, NULL) || json_parse (&a, buf_cstr (&b), b.len, &saved, NULL, NULL))
    saved = value_map (&a);
  result = value_get (saved, "result");
  if (value_count (value_get (saved, "portMappings")))
    rc = run_plugin (c, "DEL", uid, netns, portmap_config (&a), result, value_get (saved, "portMappings"), &a, NULL, err);
  pthread_mutex_lock (&c->lock);
  one = c->pod_cidr ? run_plugin (c, "DEL", uid, netns, bridge_config (c, &a), result, NULL, &a, NULL, rc ? NULL : err) : 0;
  pthread_mutex_unlock (&c->lock);
  if (rc || one)
    return rc ? rc : one;
  (void) unlink (path);
  return 0;
}

int
cni_cached (struct crun *c, const char *uid, struct sandbox_status *ret)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *saved = NULL;
  char *path AUTO_FREE = cache_path (c, uid);
  arena_init (&a, 0);
  if (!path || file_read (path, 1 << 20, &b, NULL) || json_parse (&a, buf_cstr (&b), b.len, &saved, NULL, NULL))
    return ERR_NOT_FOUND;
  read_ips (value_get (saved, "result"), ret);
  return ret->n_ips ? 0 : ERR_NOT_FOUND;
}

/* Forwarding, and masquerading of what leaves the pod network. Each is made as well as can be: a node whose administrator has
   arranged them otherwise still works. */
int
cni_host_setup (struct crun *c, struct err *err)
{
  static const char *const sysctls[] = {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/bridge/bridge-nf-call-iptables"};
  struct buf errout AUTO_BUF = BUF_INIT;
  static const char *const modprobe[] = {"modprobe", "-q", "br_netfilter", NULL};
  struct proc_config mc = {.argv = modprobe, .timeout_ms = 5000};
  const char *argv[] = {"nft", "-f", "-", NULL};
  char *rules AUTO_FREE = mem_printf ("add table ip kubus-kubelet\n"
                                      "delete table ip kubus-kubelet\n"
                                      "table ip kubus-kubelet {\n"
                                      "  chain postrouting {\n"
                                      "    type nat hook postrouting priority srcnat; policy accept;\n"
                                      "    ip saddr %s oifname != \"%s\" oifname != \"lo\" ip daddr != 224.0.0.0/4 masquerade\n"
                                      "  }\n"
                                      "}\n",
                                      c->pod_cidr, c->bridge);
  struct proc_config pc = {.argv = argv, .in = {PROC_INPUT, -1}, .timeout_ms = 10000};
  int rc;
  if (!rules)
    return err_set (err, ERR_NOMEM, "network");
  if (!file_exists (sysctls[1]))
    (void) proc_run (&mc, NULL, NULL, NULL);
  for (size_t i = 0; i < 2; i++) {
    struct err why;
    if (file_write_existing (sysctls[i], "1", &why))
      log_warn ("kernel setting for the pod network cannot be made, ignoring", "error=\"%s\"", why.text);
  }
  pc.input = rules;
  pc.input_len = strlen (rules);
  if ((rc = proc_run (&pc, NULL, &errout, err)) < 0)
    return rc;
  return rc ? err_set (err, ERR_UNAVAILABLE, "nft: %.300s", buf_cstr (&errout)) : 0;
}
