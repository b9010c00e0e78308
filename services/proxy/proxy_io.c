#include "services/proxy/proxy_io.h"

#include <ctype.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/proc.h"
#include "services/common/informer.h"
#include "services/proxy/proxy_nft.h"
#include "services/proxy/proxy_rules.h"

#define SETTLE_MS 5          /* changes that come together are carried out together */
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 30000
#define CHECK_MS 30000       /* somebody else may have flushed the ruleset */
#define SLICES_MAX 256       /* of one service */

#define BRIDGE_NF "/proc/sys/net/bridge/bridge-nf-call-iptables"
#define SLICE_INDEX "service"

struct proxy {
  struct service_context *ctx;
  struct proxy_config config;
  struct informer *services, *slices;
  struct proxy_rules *rules;
  struct proxy_nft *nft;
  struct loop_timer *timer, *check;
  struct map *dirty; /* keys of services */
  bool stale;        /* the table is not what rules says: make it anew */
  bool localnet_set;
  int64_t retry_ms;
};

/* ---- changes ---- */

static void
mark (struct proxy *p, const char *key)
{
  if (map_set (p->dirty, key, p) != 0)
    log_error ("service not marked", "service=%s error=\"out of memory\"", key);
  if (!loop_timer_armed (p->timer))
    loop_timer_set (p->timer, SETTLE_MS);
}

static void
service_changed (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  (void) revision;
  mark (arg, new_ ? new_->key : old->key);
}

static void
slice_key (const struct value *slice, void (*add) (void *ctx, const char *key), void *ctx)
{
  const char *ns = value_path_string (slice, "metadata.namespace", "");
  const char *name = value_as_string (value_get (value_path (slice, "metadata.labels"), "kubernetes.io/service-name"), "");
  char key[640];
  snprintf (key, sizeof key, "%s/%s", ns, name);
  if (*name)
    add (ctx, key);
}

static void
mark_key (void *ctx, const char *key)
{
  mark (ctx, key);
}

static void
slice_changed (void *arg, struct object *old, struct object *new_, uint64_t revision)
{
  AUTO_ARENA struct arena a = { 0 };
  (void) revision;
  arena_init (&a, 0);
  if (old)
    slice_key (object_value (old, &a), mark_key, arg);
  if (new_)
    slice_key (object_value (new_, &a), mark_key, arg);
}

static void
synced (void *arg)
{
  struct proxy *p = arg;
  loop_timer_set (p->timer, 0);
}

/* ---- carrying out ---- */

struct gather {
  struct arena *a;
  const struct value *slices[SLICES_MAX];
  size_t count;
};

static bool
gather_slice (void *arg, struct object *o)
{
  struct gather *g = arg;
  g->slices[g->count] = object_value (o, g->a);
  g->count += g->slices[g->count] != NULL;
  return g->count < SLICES_MAX;
}

static void
decide (struct proxy *p, const char *key, struct buf *script)
{
  struct object *o = informer_get_key (p->services, key);
  AUTO_ARENA struct arena a = { 0 };
  struct gather g = { .a = &a };
  struct err err = { 0 };
  struct proxy_service *s;
  arena_init (&a, 0);
  if (o)
    informer_by_index (p->slices, SLICE_INDEX, key, gather_slice, &g);
  s = proxy_decide (&p->config, o ? object_value (o, &a) : NULL, g.slices, g.count);
  if (!s || !arena_ok (&a) || proxy_rules_set (p->rules, key, &s, script, &err) != 0) {
    log_error ("service not proxied", "service=%s error=\"%s\"", key, err.code ? err.text : "out of memory");
    p->stale = true;
  }
  proxy_service_free (s);
}

static void
localnet (struct proxy *p)
{
  struct err err = { 0 };
  if (!p->config.localhost_nodeports || p->localnet_set || !proxy_rules_node_ports (p->rules))
    return;
  p->localnet_set = true;
  if (file_write_existing ("/proc/sys/net/ipv4/conf/all/route_localnet", "1", &err) != 0)
    log_warn ("node ports will not answer at 127.0.0.1, ignoring", "error=\"%s\"", err.text);
}

static void
turn (void *arg)
{
  struct proxy *p = arg;
  AUTO_BUF struct buf script = BUF_INIT;
  struct err err = { 0 };
  const char *key;
  size_t n = map_count (p->dirty);
  if (!informer_synced (p->services) || !informer_synced (p->slices))
    return;
  for (size_t it = 0; map_next (p->dirty, &it, &key, NULL);) {
    decide (p, key, &script);
    (void) map_delete (p->dirty, key);
  }
  localnet (p);
  if (!p->stale && !script.failed && script.len == 0)
    return;
  if (!p->stale && !script.failed && proxy_nft_run (p->nft, buf_cstr (&script), &err) == 0) {
    log_debug ("rules changed", "services=%zu bytes=%zu", n, script.len);
    return;
  }
  if (!p->stale)
    log_warn ("changed rules refused, making the table anew", "error=\"%s\"", err.code ? err.text : "out of memory");
  buf_reset (&script);
  script.failed = false;
  proxy_rules_full (p->rules, &script);
  if (script.failed || proxy_nft_run (p->nft, buf_cstr (&script), &err) != 0) {
    log_error ("rules not made", "error=\"%s\" retry_ms=%lld", script.failed ? "out of memory" : err.text, (long long) p->retry_ms);
    p->stale = true;
    loop_timer_set (p->timer, p->retry_ms);
    p->retry_ms = p->retry_ms * 2 < RETRY_MAX_MS ? p->retry_ms * 2 : RETRY_MAX_MS;
    return;
  }
  p->stale = false;
  p->retry_ms = RETRY_MIN_MS;
  service_ready (p->ctx);
  log_info ("table made", "table=%s bytes=%zu", p->config.table, script.len);
}

static void
check (void *arg)
{
  struct proxy *p = arg;
  char script[128];
  snprintf (script, sizeof script, "list chain ip %s services\n", p->config.table);
  if (!p->stale && proxy_nft_run (p->nft, script, NULL) != 0) {
    log_warn ("the table is gone, making it anew", "table=%s", p->config.table);
    p->stale = true;
    loop_timer_set (p->timer, 0);
  }
  loop_timer_set (p->check, CHECK_MS);
}

/* ---- the kernel's part ---- */

static void
kernel (struct proxy *p)
{
  static const char *const load[] = { "modprobe", "br_netfilter", NULL };
  struct err err = { 0 };
  if (file_write_existing ("/proc/sys/net/ipv4/ip_forward", "1", &err) != 0)
    log_warn ("forwarding not turned on, ignoring", "error=\"%s\"", err.text);
  if (!file_exists (BRIDGE_NF))
    (void) proc_run (&(struct proc_config){ .argv = load, .timeout_ms = 5000 }, NULL, NULL, NULL);
  /* Replies between pods of one bridge do not pass the host's NAT without it. */
  if (!file_exists (BRIDGE_NF) || file_write_existing (BRIDGE_NF, "1", &err) != 0) {
    log_info ("no bridge netfilter: all service traffic is masqueraded", "%s", "");
    p->config.masquerade_all = true;
  }
}

int
proxy_check (const void *options, struct err *err)
{
  const struct proxy_options *o = options;
  for (const char *s = o->table; *s; s++)
    if (!isalnum ((unsigned char) *s) && *s != '_' && *s != '-')
      return err_set (err, ERR_INVALID, "--table: \"%.64s\" is no name of a table", o->table);
  for (const char *s = o->cluster_cidr ? o->cluster_cidr : ""; *s; s++)
    if (!isdigit ((unsigned char) *s) && *s != '.' && *s != '/')
      return err_set (err, ERR_INVALID, "--cluster-cidr: \"%.64s\" is no IPv4 network", o->cluster_cidr);
  return *o->table && strlen (o->table) < 64 ? 0 : err_set (err, ERR_INVALID, "--table: must have 1 to 63 characters");
}

struct proxy *
proxy_open (struct service_context *ctx, struct err *err)
{
  const struct proxy_options *o = ctx->config;
  struct proxy *p = mem_zalloc (sizeof *p);
  static char host[256];
  if (!p) {
    (void) err_set (err, ERR_NOMEM, "%s", "");
    return NULL;
  }
  if (gethostname (host, sizeof host - 1) != 0)
    host[0] = '\0';
  p->ctx = ctx;
  p->config = (struct proxy_config){ .node_name = o->node_name && *o->node_name ? o->node_name : host,
                                     .table = o->table,
                                     .cluster_cidr = o->cluster_cidr ? o->cluster_cidr : "",
                                     .masquerade_all = o->masquerade_all,
                                     .masquerade_pods = o->masquerade_pods,
                                     .localhost_nodeports = o->localhost_nodeports };
  p->stale = true;
  p->retry_ms = RETRY_MIN_MS;
  kernel (p);
  p->nft = proxy_nft_new (err);
  if (!p->nft)
    goto failed;
  p->rules = proxy_rules_new (&p->config);
  p->dirty = map_new (NULL);
  p->timer = loop_timer_new (ctx->loop, turn, p);
  p->check = loop_timer_new (ctx->loop, check, p);
  if (!p->rules || !p->dirty || !p->timer || !p->check) {
    (void) err_set (err, ERR_NOMEM, "%s", "");
    goto failed;
  }
  p->slices = informer_new (ctx->source, "endpointslices.discovery.k8s.io", NULL, slice_changed, synced, p, err);
  if (!p->slices || informer_add_index (p->slices, SLICE_INDEX, slice_key) != 0)
    goto failed;
  p->services = informer_new (ctx->source, "services", NULL, service_changed, synced, p, err);
  if (!p->services)
    goto failed;
  loop_timer_set (p->check, CHECK_MS);
  return p;
failed:
  proxy_close (p);
  return NULL;
}

void
proxy_close (struct proxy *p)
{
  if (!p)
    return;
  informer_free (p->services);
  informer_free (p->slices);
  loop_timer_free (p->timer);
  loop_timer_free (p->check);
  proxy_nft_free (p->nft);
  proxy_rules_free (p->rules);
  map_free (p->dirty);
  free (p);
}

int
proxy_cleanup (const char *table, struct err *err)
{
  struct proxy_nft *n = proxy_nft_new (err);
  AUTO_BUF struct buf script = BUF_INIT;
  int rc;
  if (!n)
    return err ? err->code : ERR_INTERNAL;
  proxy_rules_cleanup (&(struct proxy_config){ .table = table }, &script);
  rc = proxy_nft_run (n, buf_cstr (&script), err);
  proxy_nft_free (n);
  return rc;
}
