#include "base/file.h"
#include "base/log.h"
#include "services/controller/account_decide.h"
#include "services/controller/controllers.h"

#define ROOT_CA_MAX_BYTES (1u << 20)
#define RETRY_MS 2000

static void
map_account (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, "namespaces") == 0)
    mapping_add (m, NULL, meta_name (o));
  else if (!m->new_ && strcmp (meta_name (o), "default") == 0)
    mapping_add (m, NULL, meta_namespace (o));
}

static void
sync_account (struct sync *s)
{
  serviceaccount_decide (view_get (&s->view, "namespaces", NULL, s->name),
                         view_get (&s->view, "serviceaccounts", s->name, "default"), s->actions);
}

static void
map_root_ca (struct mapping *m)
{
  const struct value *o = m->new_ ? m->new_ : m->old;
  if (strcmp (m->informer, "namespaces") == 0)
    mapping_add (m, NULL, meta_name (o));
  else if (strcmp (meta_name (o), ROOT_CA_CONFIG_MAP) == 0)
    mapping_add (m, NULL, meta_namespace (o));
}

static void
sync_root_ca (struct sync *s)
{
  struct buf pem AUTO_BUF = BUF_INIT;
  struct err err = { 0 };
  if (!s->config->root_ca_file || !*s->config->root_ca_file)
    return;
  if (file_read (s->config->root_ca_file, ROOT_CA_MAX_BYTES, &pem, &err) != 0)
    {
      log_warn ("no root certificate to publish", "error=\"%s\"", err.text);
      actions_requeue (s->actions, RETRY_MS);
      return;
    }
  root_ca_decide (view_get (&s->view, "namespaces", NULL, s->name), view_get (&s->view, "configmaps", s->name, ROOT_CA_CONFIG_MAP),
                  arena_strdup (s->view.arena, buf_cstr (&pem)), s->actions);
}

static const char *const account_informers[] = { "namespaces", "serviceaccounts", NULL };
static const char *const root_ca_informers[] = { "namespaces", "configmaps", NULL };

const struct controller controller_serviceaccount
    = { .name = "serviceaccount", .informers = account_informers, .map = map_account, .sync = sync_account };
const struct controller controller_root_ca
    = { .name = "root-ca-cert-publisher", .informers = root_ca_informers, .map = map_root_ca, .sync = sync_root_ca };
