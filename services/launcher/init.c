/* What a cluster needs on disk before its first process starts: $DIR/pki (certificates), $DIR/bus (CURVE identities),
   $DIR/admin.kubeconfig. Each file is made once; losing one loses only that. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <openssl/evp.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/pki.h"
#include "bus/bus.h"
#include "services/launcher/launcher.h"

#define CA_DAYS 3650
#define CERT_DAYS 3650

struct init {
  const struct launcher *l;
  struct arena arena;
  struct err *err;
};

static const char *
path (struct init *in, const char *name)
{
  return arena_printf (&in->arena, "%s/pki/%s", in->l->dir, name);
}

/* The authority NAME.crt and NAME.key, made when absent. */
static int
authority (struct init *in, const char *name, const char *cn, EVP_PKEY **ret_key, X509 **ret_cert)
{
  const char *crt = path (in, arena_printf (&in->arena, "%s.crt", name)), *key = path (in, arena_printf (&in->arena, "%s.key", name));
  int r;
  if (!arena_ok (&in->arena))
    return err_set (in->err, ERR_NOMEM, "keys");
  if (file_exists (key) && file_exists (crt))
    return (r = pki_read_key (key, ret_key, in->err)) ? r : pki_read_cert (crt, ret_cert, in->err);
  if ((r = pki_key_new (PKI_EC_P256, ret_key, in->err)) || (r = pki_ca_new (cn, CA_DAYS, *ret_key, ret_cert, in->err)))
    return r;
  return (r = pki_write_key (key, *ret_key, in->err)) ? r : pki_write_cert (crt, *ret_cert, in->err);
}

static int
certificate (struct init *in, const char *name, EVP_PKEY *ca_key, X509 *ca, const struct pki_subject *subject)
{
  const char *crt = path (in, arena_printf (&in->arena, "%s.crt", name)), *key = path (in, arena_printf (&in->arena, "%s.key", name));
  EVP_PKEY *k AUTO_PKEY = NULL;
  X509 *c AUTO_X509 = NULL;
  int r;
  if (!arena_ok (&in->arena))
    return err_set (in->err, ERR_NOMEM, "keys");
  if (file_exists (key) && file_exists (crt))
    return 0;
  if ((r = pki_key_new (PKI_EC_P256, &k, in->err)) || (r = pki_sign (ca, ca_key, k, subject, &c, in->err)))
    return r;
  return (r = pki_write_key (key, k, in->err)) ? r : pki_write_cert (crt, c, in->err);
}

static int
service_account_key (struct init *in)
{
  EVP_PKEY *k AUTO_PKEY = NULL;
  int r;
  if (file_exists (path (in, "sa.key")) && file_exists (path (in, "sa.pub")))
    return 0;
  if ((r = pki_key_new (PKI_EC_P256, &k, in->err)) || (r = pki_write_key (path (in, "sa.key"), k, in->err)))
    return r;
  return pki_write_public_key (path (in, "sa.pub"), k, in->err);
}

static int
certificates (struct init *in)
{
  const struct launcher *l = in->l;
  EVP_PKEY *ca_key AUTO_PKEY = NULL, *front_key AUTO_PKEY = NULL;
  X509 *ca AUTO_X509 = NULL, *front AUTO_X509 = NULL;
  const char *node_user = arena_printf (&in->arena, "system:node:%s", l->node_name);
  const char *api_dns[] = {"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", l->node_name, NULL};
  const char *api_ips[] = {"127.0.0.1", "::1", l->service_ip, l->node_ip, NULL};
  const char *masters[] = {"system:masters", NULL}, *nodes[] = {"system:nodes", NULL};
  const char *node_dns[] = {l->node_name, "localhost", NULL}, *node_ips[] = {l->node_ip, "127.0.0.1", NULL};
  int r;
  if ((r = authority (in, "ca", "kubus-ca", &ca_key, &ca)) || (r = authority (in, "front-proxy-ca", "kubus-front-proxy-ca", &front_key, &front)))
    return r;
  if ((r = certificate (in, "apiserver", ca_key, ca, &(struct pki_subject){.cn = "kube-apiserver", .dns = api_dns, .ips = api_ips, .days = CERT_DAYS, .server = true}))
      || (r = certificate (in, "apiserver-kubelet-client", ca_key, ca,
                           &(struct pki_subject){.cn = "kube-apiserver-kubelet-client", .orgs = masters, .days = CERT_DAYS, .client = true}))
      || (r = certificate (in, "kubelet", ca_key, ca,
                           &(struct pki_subject){.cn = node_user, .orgs = nodes, .dns = node_dns, .ips = node_ips, .days = CERT_DAYS, .server = true, .client = true}))
      || (r = certificate (in, "admin", ca_key, ca, &(struct pki_subject){.cn = "kubernetes-admin", .orgs = masters, .days = CERT_DAYS, .client = true}))
      || (r = certificate (in, "front-proxy-client", front_key, front, &(struct pki_subject){.cn = "front-proxy-client", .days = CERT_DAYS, .client = true})))
    return r;
  return service_account_key (in);
}

/* The file as one line of base64. */
static int
base64_file (struct init *in, const char *name, char **ret)
{
  struct buf raw AUTO_BUF = BUF_INIT;
  int r = file_read (path (in, name), 1 << 20, &raw, in->err);
  if (r)
    return r;
  if (!(*ret = arena_alloc (&in->arena, raw.len * 4 / 3 + 5)))
    return err_set (in->err, ERR_NOMEM, "kubeconfig");
  EVP_EncodeBlock ((unsigned char *) *ret, raw.data, (int) raw.len);
  return 0;
}

static int
kubeconfig (struct init *in)
{
  const struct launcher *l = in->l;
  const char *file = arena_printf (&in->arena, "%s/admin.kubeconfig", l->dir);
  struct buf out AUTO_BUF = BUF_INIT;
  char *ca, *crt, *key;
  bool v6 = strchr (l->node_ip, ':') != NULL;
  int r;
  if ((r = base64_file (in, "ca.crt", &ca)) || (r = base64_file (in, "admin.crt", &crt)) || (r = base64_file (in, "admin.key", &key)))
    return r;
  buf_printf (&out,
              "apiVersion: v1\nkind: Config\ncurrent-context: kubus\n"
              "clusters:\n- name: kubus\n  cluster:\n    server: https://%s%s%s:%d\n    certificate-authority-data: %s\n"
              "users:\n- name: admin\n  user:\n    client-certificate-data: %s\n    client-key-data: %s\n"
              "contexts:\n- name: kubus\n  context:\n    cluster: kubus\n    user: admin\n",
              v6 ? "[" : "", l->node_ip, v6 ? "]" : "", l->secure_port, ca, crt, key);
  if (out.failed || !file)
    return err_set (in->err, ERR_NOMEM, "kubeconfig");
  return file_write_atomic (file, out.data, out.len, 0600, in->err);
}

static int
identity (struct init *in, const char *name, const char *user, const char *groups)
{
  const char *dir = arena_printf (&in->arena, "%s/bus", in->l->dir), *known = arena_printf (&in->arena, "%s/bus/known", in->l->dir);
  const char *node = strstr (user, "$NODE");
  int r;
  if (node)
    user = arena_printf (&in->arena, "%.*s%s", (int) (node - user), user, in->l->node_name);
  if (!arena_ok (&in->arena))
    return err_set (in->err, ERR_NOMEM, "identity %s", name);
  r = bus_keygen (dir, known, name, user, groups, in->err);
  return r == ERR_EXISTS ? 0 : r;
}

int
launcher_init (const struct launcher *l, struct err *err)
{
  static const char *const folders[] = {"pki", "bus", "bus/known", "run", "log"};
  struct init in = {.l = l, .err = err};
  int r = 0;
  for (size_t i = 0; i < sizeof folders / sizeof folders[0] && !r; i++) {
    const char *p = arena_printf (&in.arena, "%s/%s", l->dir, folders[i]);
    r = p ? file_mkdirs (p, 0700, err) : err_set (err, ERR_NOMEM, "%s", l->dir);
  }
  if (!r)
    r = certificates (&in);
  for (size_t i = 0; i < n_components && !r; i++)
    r = identity (&in, components[i].name, components[i].user, components[i].groups);
  if (!r)
    r = identity (&in, "admin", "kubernetes-admin", "system:masters");
  if (!r)
    r = kubeconfig (&in);
  arena_done (&in.arena);
  return r ? err_wrap (err, "prepare %s", l->dir), r : 0;
}

int
launcher_node_ip (char *out, size_t size, struct err *err)
{
  struct ifaddrs *all;
  if (getifaddrs (&all))
    return err_errno (err, errno, "list the machine's addresses");
  snprintf (out, size, "127.0.0.1");
  for (struct ifaddrs *i = all; i; i = i->ifa_next) {
    if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK) || !strncmp (i->ifa_name, "kubus", 5))
      continue;
    inet_ntop (AF_INET, &((struct sockaddr_in *) (void *) i->ifa_addr)->sin_addr, out, (socklen_t) size);
    break;
  }
  freeifaddrs (all);
  return 0;
}
