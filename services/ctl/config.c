/* The kubeconfig: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig. One file; client
   certificates, tokens and token files. Plugins that fetch credentials (exec) are not run. */
#include "services/ctl/ctl.h"

#include <libgen.h>
#include <openssl/evp.h>

#include "base/file.h"
#include "schemas/yaml.h"

const char *
ctl_dir (struct ctl *c)
{
  const char *dir = c->flags.dir ? c->flags.dir : getenv ("KUBUS_DIR");
  return dir && *dir ? dir : ".kubus";
}

static const char *
config_path (struct ctl *c)
{
  const char *env = getenv ("KUBECONFIG"), *path;
  if (c->flags.kubeconfig)
    return c->flags.kubeconfig;
  if (env && *env && !c->flags.dir)
    return arena_strndup (&c->arena, env, strcspn (env, ":"));
  path = arena_printf (&c->arena, "%s/admin.kubeconfig", ctl_dir (c));
  if (path && !file_exists (path) && !c->flags.dir && getenv ("HOME")) {
    const char *home = arena_printf (&c->arena, "%s/.kube/config", getenv ("HOME"));
    if (home && file_exists (home))
      return home;
  }
  return path;
}

/* list[name == name].what */
static const struct value *
named (const struct value *config, const char *list, const char *name, const char *what)
{
  for (value_items (value_get (config, list), it))
    if (value_string_is (value_get (*it, "name"), name))
      return value_get (*it, what);
  return NULL;
}

/* entry's KEY-data, base64, as text in the arena; NULL when absent. */
static int
decode (struct ctl *c, const struct value *entry, const char *key, const char **ret, struct err *err)
{
  const struct value *v = value_get (entry, key);
  unsigned char *out;
  int n;
  if (value_is_empty (v))
    return 0;
  if (v->type != VALUE_STRING)
    return err_set (err, ERR_PARSE, "%s is not a string", key);
  if (!(out = arena_zalloc (&c->arena, v->len / 4 * 3 + 4)))
    return err_set (err, ERR_NOMEM, "%s", key);
  n = EVP_DecodeBlock (out, (const unsigned char *) v->s, (int) v->len);
  if (n < 0)
    return err_set (err, ERR_PARSE, "%s is not base64", key);
  out[n] = 0;
  *ret = (const char *) out;
  return 0;
}

/* A file named in the kubeconfig is relative to it. */
static const char *
beside (struct ctl *c, const char *config, const struct value *entry, const char *key)
{
  const char *name = value_as_string (value_get (entry, key), NULL);
  char *copy;
  if (!name || !*name || name[0] == '/')
    return name && *name ? name : NULL;
  copy = arena_strdup (&c->arena, config);
  return copy ? arena_printf (&c->arena, "%s/%s", dirname (copy), name) : NULL;
}

static int
take_token (struct ctl *c, const char *path, const struct value *user, struct err *err)
{
  const char *file = beside (c, path, user, "tokenFile");
  struct buf text AUTO_BUF = BUF_INIT;
  int r;
  c->token = value_as_string (value_get (user, "token"), NULL);
  if (c->token || !file)
    return 0;
  if ((r = file_read (file, 1 << 20, &text, err)))
    return r;
  c->token = arena_strndup (&c->arena, buf_cstr (&text), strcspn (buf_cstr (&text), "\r\n"));
  return 0;
}

static int
take (struct ctl *c, const char *path, const struct value *config, struct err *err)
{
  const char *name = c->flags.context ? c->flags.context : value_path_string (config, "current-context", "");
  const struct value *context = named (config, "contexts", name, "context"), *cluster, *user;
  size_t n;
  int r;
  if (!context)
    return err_set (err, ERR_NOT_FOUND, "there is no context \"%s\"", name);
  cluster = named (config, "clusters", value_path_string (context, "cluster", ""), "cluster");
  user = named (config, "users", value_path_string (context, "user", ""), "user");
  c->server = value_as_string (value_get (cluster, "server"), NULL);
  if (!c->server)
    return err_set (err, ERR_INVALID, "context \"%s\" has no cluster with a server", name);
  if (value_get (user, "exec") || value_get (user, "auth-provider"))
    return err_set (err, ERR_UNSUPPORTED, "credentials by a plugin are not supported");
  for (n = strlen (c->server); n && c->server[n - 1] == '/'; n--)
    ;
  c->server = arena_strndup (&c->arena, c->server, n);
  c->namespace_ = value_as_string (value_get (context, "namespace"), NULL);
  c->tls.insecure_skip_verify = value_as_bool (value_get (cluster, "insecure-skip-tls-verify"), false);
  c->tls.ca_file = beside (c, path, cluster, "certificate-authority");
  c->tls.cert_file = beside (c, path, user, "client-certificate");
  c->tls.key_file = beside (c, path, user, "client-key");
  if ((r = decode (c, cluster, "certificate-authority-data", &c->tls.ca_pem, err)) || (r = decode (c, user, "client-certificate-data", &c->tls.cert_pem, err))
      || (r = decode (c, user, "client-key-data", &c->tls.key_pem, err)))
    return r;
  return take_token (c, path, user, err);
}

int
ctl_config (struct ctl *c, struct err *err)
{
  const char *path;
  struct buf text AUTO_BUF = BUF_INIT;
  struct value *config;
  int r;
  if (c->configured)
    return 0;
  if (!(path = config_path (c)))
    return err_set (err, ERR_NOMEM, "kubeconfig");
  if ((r = file_read (path, CTL_INPUT_MAX, &text, err)) || (r = yaml_parse (&c->arena, buf_cstr (&text), text.len, &config, err)) || (r = take (c, path, config, err)))
    return err_wrap (err, "kubeconfig %s", path), r;
  c->configured = true;
  return 0;
}

const char *
ctl_namespace (struct ctl *c)
{
  if (c->flags.namespace_)
    return c->flags.namespace_;
  return c->namespace_ && *c->namespace_ ? c->namespace_ : "default";
}
