/* Discovery: what groups, versions and resources there are. Documents depend on the kinds only, so their bytes, and an ETag
   over them, stay the same as long as the kinds do. */
#include <openssl/evp.h>
#include <string.h>

#include "schemas/json.h"
#include "schemas/kind_set.h"
#include "schemas/machinery.h"

#define DOCUMENT_BYTES_MAX (64u << 20)

static void
write_document (struct arena *a, const struct value *v, struct buf *out)
{
  if (!arena_ok (a)) {
    out->failed = true;
    return;
  }
  json_write (v, 0, out);
}

static struct value *
verb_array (struct arena *a, uint32_t verbs)
{
  static const struct {
    const char *name;
    uint32_t bit;
  } sorted[] = {
    { "create", SCHEMA_CREATE }, { "delete", SCHEMA_DELETE }, { "deletecollection", SCHEMA_DELETE_COLLECTION },
    { "get", SCHEMA_GET },       { "list", SCHEMA_LIST_VERB }, { "patch", SCHEMA_PATCH },
    { "update", SCHEMA_UPDATE }, { "watch", SCHEMA_WATCH },
  };
  struct value *array = value_array (a);
  for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
    if (verbs & sorted[i].bit)
      value_append (a, array, value_string (a, sorted[i].name));
  return array;
}

static void
set_strings (struct arena *a, struct value *map, const char *key, const char *const *strings)
{
  if (!strings || !*strings)
    return;
  struct value *array = value_array (a);
  for (; *strings; strings++)
    value_append (a, array, value_string (a, *strings));
  value_set (a, map, key, array);
}

/* Identifies the stored version as upstream does: the first 8 bytes of SHA-256 over "group/version/kind", in base64. */
static struct value *
storage_version_hash (struct arena *a, const struct schema_kind *k)
{
  unsigned char digest[EVP_MAX_MD_SIZE], text[16];
  k = schema_kind_storage (k);
  const char *id = arena_printf (a, "%s/%s/%s", k->group, k->version, k->kind);
  if (!id || !EVP_Digest (id, strlen (id), digest, NULL, EVP_sha256 (), NULL))
    return NULL;
  EVP_EncodeBlock (text, digest, 8);
  return value_string (a, (const char *) text);
}

/* ---- the documents of old ---- */
void
discovery_api_versions (const char *server_address, struct buf *out)
{
  AUTO_ARENA struct arena a;
  arena_init (&a, DOCUMENT_BYTES_MAX);
  struct value *doc = value_map (&a), *cidr = value_map (&a);
  value_set_string (&a, doc, "kind", "APIVersions");
  value_append (&a, value_ensure_array (&a, doc, "versions"), value_string (&a, "v1"));
  value_set_string (&a, cidr, "clientCIDR", "0.0.0.0/0");
  value_set_string (&a, cidr, "serverAddress", server_address);
  value_append (&a, value_ensure_array (&a, doc, "serverAddressByClientCIDRs"), cidr);
  write_document (&a, doc, out);
}

static struct value *
group_for_discovery (struct arena *a, const struct schema_kind *k)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "groupVersion", kind_set_group_version (a, k->group, k->version));
  value_set_string (a, v, "version", k->version);
  return v;
}

static void
fill_group (struct arena *a, struct value *group, const struct schema_kind **kinds, size_t n)
{
  value_set_string (a, group, "name", kinds[0]->group);
  struct value *versions = value_ensure_array (a, group, "versions");
  for (size_t i = 0; i < n; i += kind_set_version_run (kinds, n, i))
    value_append (a, versions, group_for_discovery (a, kinds[i]));
  value_set (a, group, "preferredVersion", group_for_discovery (a, kinds[0]));
}

void
discovery_groups (const struct schema_set *set, struct buf *out)
{
  AUTO_ARENA struct arena a;
  size_t n;
  arena_init (&a, DOCUMENT_BYTES_MAX);
  const struct schema_kind **kinds = kind_set_sorted (&a, set, &n);
  struct value *doc = value_map (&a);
  value_set_string (&a, doc, "kind", "APIGroupList");
  value_set_string (&a, doc, "apiVersion", "v1");
  struct value *groups = value_ensure_array (&a, doc, "groups");
  for (size_t i = 0, run; i < n; i += run) {
    run = kind_set_group_run (kinds, n, i);
    if (!*kinds[i]->group)
      continue;
    struct value *group = value_map (&a);
    fill_group (&a, group, kinds + i, run);
    value_append (&a, groups, group);
  }
  write_document (&a, doc, out);
}

int
discovery_group (const struct schema_set *set, const char *group, struct buf *out)
{
  AUTO_ARENA struct arena a;
  size_t n;
  arena_init (&a, DOCUMENT_BYTES_MAX);
  const struct schema_kind **kinds = kind_set_sorted (&a, set, &n);
  for (size_t i = 0, run; i < n; i += run) {
    run = kind_set_group_run (kinds, n, i);
    if (!*group || strcmp (kinds[i]->group, group) != 0)
      continue;
    struct value *doc = value_map (&a);
    value_set_string (&a, doc, "kind", "APIGroup");
    value_set_string (&a, doc, "apiVersion", "v1");
    fill_group (&a, doc, kinds + i, run);
    write_document (&a, doc, out);
    return 0;
  }
  return ERR_NOT_FOUND;
}

static struct value *
api_resource (struct arena *a, const struct schema_kind *k)
{
  struct value *r = value_map (a);
  value_set_string (a, r, "name", k->resource);
  value_set_string (a, r, "singularName", k->singular);
  value_set_bool (a, r, "namespaced", k->namespaced);
  value_set_string (a, r, "kind", k->kind);
  value_set (a, r, "verbs", verb_array (a, k->verbs));
  set_strings (a, r, "shortNames", k->short_names);
  set_strings (a, r, "categories", k->categories);
  if (!k->virtual_)
    value_set (a, r, "storageVersionHash", storage_version_hash (a, k));
  return r;
}

static struct value *
api_subresource (struct arena *a, const struct schema_kind *k, const struct schema_subresource *s)
{
  struct value *r = value_map (a);
  value_set (a, r, "name", value_printf (a, "%s/%s", k->resource, s->name));
  value_set_string (a, r, "singularName", "");
  value_set_bool (a, r, "namespaced", k->namespaced);
  if (strcmp (s->group, k->group) != 0 || strcmp (s->version, k->version) != 0) {
    value_set_string (a, r, "group", s->group);
    value_set_string (a, r, "version", s->version);
  }
  value_set_string (a, r, "kind", s->kind);
  value_set (a, r, "verbs", verb_array (a, s->verbs));
  return r;
}

int
discovery_resources (const struct schema_set *set, const char *group, const char *version, struct buf *out)
{
  AUTO_ARENA struct arena a;
  size_t n;
  bool found = false;
  arena_init (&a, DOCUMENT_BYTES_MAX);
  const struct schema_kind **kinds = kind_set_sorted (&a, set, &n);
  struct value *doc = value_map (&a);
  value_set_string (&a, doc, "kind", "APIResourceList");
  if (*group)
    value_set_string (&a, doc, "apiVersion", "v1");
  value_set_string (&a, doc, "groupVersion", kind_set_group_version (&a, group, version));
  struct value *resources = value_ensure_array (&a, doc, "resources");
  for (size_t i = 0; i < n; i++) {
    const struct schema_kind *k = kinds[i];
    if (strcmp (k->group, group) != 0 || strcmp (k->version, version) != 0)
      continue;
    found = true;
    value_append (&a, resources, api_resource (&a, k));
    for (size_t s = 0; s < k->n_subresources; s++)
      value_append (&a, resources, api_subresource (&a, k, &k->subresources[s]));
  }
  if (!found)
    return ERR_NOT_FOUND;
  write_document (&a, doc, out);
  return 0;
}

/* ---- aggregated: all in one document ---- */
static struct value *
response_kind (struct arena *a, const char *group, const char *version, const char *kind)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "group", group);
  value_set_string (a, v, "version", version);
  value_set_string (a, v, "kind", kind);
  return v;
}

static struct value *
resource_discovery (struct arena *a, const struct schema_kind *k)
{
  struct value *r = value_map (a);
  value_set_string (a, r, "resource", k->resource);
  value_set (a, r, "responseKind", response_kind (a, k->group, k->version, k->kind));
  value_set_string (a, r, "scope", k->namespaced ? "Namespaced" : "Cluster");
  value_set_string (a, r, "singularResource", k->singular);
  value_set (a, r, "verbs", verb_array (a, k->verbs));
  set_strings (a, r, "shortNames", k->short_names);
  set_strings (a, r, "categories", k->categories);
  for (size_t i = 0; i < k->n_subresources; i++) {
    const struct schema_subresource *s = &k->subresources[i];
    struct value *sub = value_map (a);
    value_set_string (a, sub, "subresource", s->name);
    value_set (a, sub, "responseKind", response_kind (a, s->group, s->version, s->kind));
    value_set (a, sub, "verbs", verb_array (a, s->verbs));
    value_append (a, value_ensure_array (a, r, "subresources"), sub);
  }
  return r;
}

static struct value *
version_discovery (struct arena *a, const struct schema_kind **kinds, size_t n)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "version", kinds[0]->version);
  struct value *resources = value_ensure_array (a, v, "resources");
  for (size_t i = 0; i < n; i++)
    value_append (a, resources, resource_discovery (a, kinds[i]));
  value_set_string (a, v, "freshness", "Current");
  return v;
}

void
discovery_aggregated (const struct schema_set *set, bool core, const char *version, struct buf *out)
{
  AUTO_ARENA struct arena a;
  size_t n;
  arena_init (&a, DOCUMENT_BYTES_MAX);
  const struct schema_kind **kinds = kind_set_sorted (&a, set, &n);
  struct value *doc = value_map (&a);
  value_set_string (&a, doc, "kind", "APIGroupDiscoveryList");
  value_set (&a, doc, "apiVersion", value_printf (&a, "apidiscovery.k8s.io/%s", version));
  value_ensure_map (&a, doc, "metadata");
  struct value *items = value_ensure_array (&a, doc, "items");
  for (size_t i = 0, run; i < n; i += run) {
    run = kind_set_group_run (kinds, n, i);
    if (core != !*kinds[i]->group)
      continue;
    struct value *group = value_map (&a), *metadata = value_ensure_map (&a, group, "metadata");
    if (!core)
      value_set_string (&a, metadata, "name", kinds[i]->group);
    struct value *versions = value_ensure_array (&a, group, "versions");
    for (size_t v = i, length; v < i + run; v += length) {
      length = kind_set_version_run (kinds, i + run, v);
      value_append (&a, versions, version_discovery (&a, kinds + v, length));
    }
    value_append (&a, items, group);
  }
  write_document (&a, doc, out);
}
