/* Everything that is no resource: health, version, metrics, discovery, OpenAPI. Generated documents are kept as bytes with an
   ETag; they are made on first use. */
#include <openssl/sha.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/version.h"
#include "schemas/json.h"
#include "services/apiserver/front.h"
#include "services/apiserver/respond.h"
#include "services/apiserver/status.h"


struct cached_document {
  struct buf bytes;
  char etag[2 * SHA256_DIGEST_LENGTH + 3]; /* quoted */
};
struct document {
  struct map *cached; /* name -> struct cached_document */
};

static void
cached_free (void *p)
{
  struct cached_document *c = p;
  buf_done (&c->bytes);
  free (c);
}

void
document_free (struct document *d)
{
  if (!d)
    return;
  map_free (d->cached);
  free (d);
}

static void
set_etag (struct cached_document *c)
{
  uint8_t digest[SHA256_DIGEST_LENGTH];
  size_t n = 0;
  SHA256 (c->bytes.data, c->bytes.len, digest);
  c->etag[n++] = '"';
  for (size_t i = 0; i < sizeof digest; i++, n += 2)
    snprintf (c->etag + n, 3, "%02X", digest[i]);
  c->etag[n++] = '"';
  c->etag[n] = 0;
}

/* The document under name, made by make on the first call. NULL: there is none (make failed). */
typedef int (*make_cb) (struct request *rq, const char *name, struct buf *out);
static struct cached_document *
get (struct request *rq, const char *name, make_cb make)
{
  struct front *f = rq->server->front;
  struct cached_document *c;
  if (!f->documents && (f->documents = calloc (1, sizeof *f->documents)))
    f->documents->cached = map_new (cached_free);
  if (!f->documents || !f->documents->cached)
    return NULL;
  if ((c = map_get (f->documents->cached, name)))
    return c;
  if (!(c = calloc (1, sizeof *c)))
    return NULL;
  if (make (rq, name, &c->bytes) || c->bytes.failed || !c->bytes.len || (set_etag (c), map_set (f->documents->cached, name, c))) {
    cached_free (c);
    return NULL;
  }
  return c;
}

static bool
reply (struct request *rq, const struct cached_document *c, const char *media_type)
{
  const char *match = rq->header ? rq->header (rq, "if-none-match") : NULL;
  if (!c)
    return false;
  if (match && strstr (match, c->etag))
    respond_bytes (rq, 304, media_type, c->etag, NULL, 0);
  else
    respond_bytes (rq, 200, media_type, c->etag, c->bytes.data, c->bytes.len);
  return true;
}

static bool
accepts (struct request *rq, const char *what)
{
  const char *accept = rq->header ? rq->header (rq, "accept") : NULL;
  return accept && strstr (accept, what);
}

/* ---- discovery ---- */

static int
make_api (struct request *rq, const char *name, struct buf *out)
{
  (void) name;
  discovery_api_versions (((struct front *) rq->server->front)->advertise, out);
  return 0;
}

static int
make_groups (struct request *rq, const char *name, struct buf *out)
{
  (void) name;
  discovery_groups (&rq->server->kinds, out);
  return 0;
}

static int
make_aggregated (struct request *rq, const char *name, struct buf *out)
{
  discovery_aggregated (&rq->server->kinds, !strncmp (name, "/api#", 5), strchr (name, '#') + 1, out);
  return 0;
}

static int
make_group (struct request *rq, const char *name, struct buf *out)
{
  return discovery_group (&rq->server->kinds, name + strlen ("/apis/"), out);
}

static int
make_resources (struct request *rq, const char *name, struct buf *out)
{
  const char *at = strrchr (name, '/');
  char group[256];
  if (!strncmp (name, "/api/", 5))
    return discovery_resources (&rq->server->kinds, "", name + 5, out);
  snprintf (group, sizeof group, "%.*s", (int) (at - name - 6), name + 6);
  return discovery_resources (&rq->server->kinds, group, at + 1, out);
}

static bool
serve_root (struct request *rq, bool core)
{
  static const char *const versions[] = {"v2", "v2beta1"};
  for (size_t i = 0; i < 2 && accepts (rq, "as=APIGroupDiscoveryList"); i++) {
    const char *v = arena_printf (&rq->arena, "v=%s;", versions[i]), *name = arena_printf (&rq->arena, "%s#%s", core ? "/api" : "/apis", versions[i]);
    const char *media = arena_printf (&rq->arena, "application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList", versions[i]);
    if (v && name && media && accepts (rq, v))
      return reply (rq, get (rq, name, make_aggregated), media);
  }
  return reply (rq, get (rq, core ? "/api" : "/apis", core ? make_api : make_groups), "application/json");
}

static bool
serve_discovery (struct request *rq, const char *path)
{
  size_t n = strlen (path);
  char *trimmed = arena_strndup (&rq->arena, path, n && path[n - 1] == '/' ? n - 1 : n), *rest;
  if (!trimmed || n > 300)
    return false;
  if (!strcmp (trimmed, "/api") || !strcmp (trimmed, "/apis"))
    return serve_root (rq, trimmed[4] == 0);
  if (!strncmp (trimmed, "/api/", 5))
    return !strchr (trimmed + 5, '/') && reply (rq, get (rq, trimmed, make_resources), "application/json");
  rest = strchr (trimmed + 6, '/');
  if (!rest)
    return reply (rq, get (rq, trimmed, make_group), "application/json");
  return !strchr (rest + 1, '/') && reply (rq, get (rq, trimmed, make_resources), "application/json");
}

/* ---- OpenAPI ---- */

static int
make_v2 (struct request *rq, const char *name, struct buf *out)
{
  if (strchr (name, '#'))
    openapi_v2_protobuf (&rq->server->kinds, out);
  else
    openapi_v2_json (&rq->server->kinds, out);
  return 0;
}

static int
make_v3 (struct request *rq, const char *name, struct buf *out)
{
  if (!strcmp (name, "/openapi/v3")) {
    openapi_v3_index_json (&rq->server->kinds, out);
    return 0;
  }
  return openapi_v3_group_json (&rq->server->kinds, name + strlen ("/openapi/v3/"), out);
}

static bool
serve_openapi (struct request *rq, const char *path)
{
  static const char protobuf[] = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  if (!strcmp (path, "/openapi/v2")) {
    if (accepts (rq, "com.github.proto-openapi.spec.v2") && accepts (rq, "+protobuf"))
      return reply (rq, get (rq, "/openapi/v2#pb", make_v2), protobuf);
    return reply (rq, get (rq, "/openapi/v2", make_v2), "application/json");
  }
  return reply (rq, get (rq, path, make_v3), "application/json");
}

/* ---- health, version, metrics ---- */

static bool
check_ping (const struct apiserver *s)
{
  (void) s;
  return true;
}

static bool
check_caches (const struct apiserver *s)
{
  return watch_caches_synced (s->caches);
}

static bool
check_bootstrap (const struct apiserver *s)
{
  return ((struct front *) s->front)->bootstrapped;
}

#define N_CHECKS 4
static struct {
  const char *name;
  bool (*ok) (const struct apiserver *s);
} const checks[N_CHECKS] = {{"ping", check_ping}, {"etcd", check_caches}, {"informer-sync", check_caches}, {"poststarthook/rbac/bootstrap-roles", check_bootstrap}};

static bool
serve_health (struct request *rq, const char *path)
{
  const char *name = path + 1, *one = strchr (name, '/');
  size_t kind = one ? (size_t) (one - name) : strlen (name);
  bool live = kind == 5 && !strncmp (name, "livez", 5), all_ok = true, found = !one, verbose = uri_query_get (&rq->query, "verbose") != NULL;
  struct buf out AUTO_BUF = BUF_INIT;
  for (size_t i = 0; i < (live ? 1 : N_CHECKS); i++) {
    bool ok;
    if (one && strcmp (one + 1, checks[i].name))
      continue;
    found = true;
    ok = checks[i].ok (rq->server);
    all_ok &= ok;
    buf_printf (&out, "[%c]%s %s\n", ok ? '+' : '-', checks[i].name, ok ? "ok" : "failed: reason withheld");
  }
  if (!found)
    return false;
  buf_printf (&out, "%.*s check %s\n", (int) kind, name, all_ok ? "passed" : "failed");
  if (all_ok && (!verbose || one)) {
    buf_reset (&out);
    buf_append_str (&out, "ok");
  }
  respond_bytes (rq, all_ok ? 200 : 500, "text/plain; charset=utf-8", NULL, out.data, out.len);
  return true;
}

static bool
serve_version (struct request *rq)
{
  static const char *const rows[][2] = {{"major", "1"}, {"minor", "33"}, {"emulationMajor", "1"}, {"emulationMinor", "33"}, {"minCompatibilityMajor", "1"},
                                        {"minCompatibilityMinor", "32"}, {"gitVersion", KUBUS_VERSION}, {"gitCommit", ""}, {"gitTreeState", "clean"}, {"buildDate", ""},
                                        {"goVersion", "none"}, {"compiler", "gcc"}, {"platform", "linux/amd64"}};
  struct value *v = value_map (&rq->arena);
  struct buf out AUTO_BUF = BUF_INIT;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    value_set_string (&rq->arena, v, rows[i][0], rows[i][1]);
  json_write (v, 2, &out);
  respond_bytes (rq, 200, "application/json", NULL, out.data, out.len);
  return true;
}

static bool
serve_metrics (struct request *rq)
{
  const struct front *f = rq->server->front;
  struct buf out AUTO_BUF = BUF_INIT;
  buf_append_str (&out, "# HELP apiserver_request_total Requests answered, by the hundreds of their status.\n# TYPE apiserver_request_total counter\n");
  for (int i = 1; i < 6; i++)
    buf_printf (&out, "apiserver_request_total{code=\"%dxx\"} %llu\n", i, (unsigned long long) f->answers[i]);
  buf_printf (&out, "# HELP apiserver_current_inflight_requests Requests under way.\n# TYPE apiserver_current_inflight_requests gauge\n"
                    "apiserver_current_inflight_requests %zu\n", rq->server->n_requests);
  buf_printf (&out, "# HELP apiserver_longrunning_requests Watches under way.\n# TYPE apiserver_longrunning_requests gauge\n"
                    "apiserver_longrunning_requests{verb=\"WATCH\"} %zu\n", rq->server->n_watches);
  buf_printf (&out, "# HELP kubus_cache_revision Revision that the watch cache has reached.\n# TYPE kubus_cache_revision gauge\n"
                    "kubus_cache_revision %llu\n", (unsigned long long) watch_caches_revision (rq->server->caches));
  respond_bytes (rq, 200, "text/plain; version=0.0.4; charset=utf-8", NULL, out.data, out.len);
  return true;
}

static bool
serve_issuer (struct request *rq, const char *path)
{
  struct front *f = rq->server->front;
  struct buf out AUTO_BUF = BUF_INIT;
  struct arena *a = &rq->arena;
  struct value *v, *list;
  if (!f->sa_public)
    return false;
  if (!strcmp (path, "/openid/v1/jwks")) {
    if (token_jwks (f->sa_public, &out, NULL))
      return false;
    respond_bytes (rq, 200, "application/jwk-set+json", NULL, out.data, out.len);
    return true;
  }
  v = value_map (a);
  value_set_string (a, v, "issuer", f->issuer);
  value_set (a, v, "jwks_uri", value_printf (a, "https://%s/openid/v1/jwks", f->advertise));
  list = value_ensure_array (a, v, "response_types_supported");
  value_append (a, list, value_string (a, "id_token"));
  list = value_ensure_array (a, v, "subject_types_supported");
  value_append (a, list, value_string (a, "public"));
  list = value_ensure_array (a, v, "id_token_signing_alg_values_supported");
  value_append (a, list, value_string (a, EVP_PKEY_get_base_id (f->sa_public) == EVP_PKEY_EC ? "ES256" : "RS256"));
  json_write (v, 0, &out);
  respond_bytes (rq, 200, "application/json", NULL, out.data, out.len);
  return true;
}

static bool
serve_index (struct request *rq)
{
  static const char *const paths[] = {"/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3",
                                      "/openid/v1/jwks", "/readyz", "/version"};
  struct value *v = value_map (&rq->arena), *list = value_ensure_array (&rq->arena, v, "paths");
  struct buf out AUTO_BUF = BUF_INIT;
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
    value_append (&rq->arena, list, value_string (&rq->arena, paths[i]));
  json_write (v, 2, &out);
  respond_bytes (rq, 200, "application/json", NULL, out.data, out.len);
  return true;
}

static bool
under (const char *path, const char *root)
{
  size_t n = strlen (root);
  return !strncmp (path, root, n) && (!path[n] || path[n] == '/');
}

bool
document_serve (struct request *rq)
{
  const char *path = rq->path;
  if (strcmp (rq->method, "GET") && strcmp (rq->method, "HEAD"))
    return false;
  if (!strcmp (path, "/"))
    return serve_index (rq);
  if (under (path, "/healthz") || under (path, "/livez") || under (path, "/readyz"))
    return serve_health (rq, path);
  if (under (path, "/version"))
    return serve_version (rq);
  if (!strcmp (path, "/metrics"))
    return serve_metrics (rq);
  if (under (path, "/openapi"))
    return serve_openapi (rq, path);
  if (!strcmp (path, "/openid/v1/jwks") || !strcmp (path, "/.well-known/openid-configuration"))
    return serve_issuer (rq, path);
  if (under (path, "/api") || under (path, "/apis"))
    return serve_discovery (rq, path);
  return false;
}
