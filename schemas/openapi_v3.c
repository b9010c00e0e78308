/* OpenAPI 3.0: an index of documents, one for each group/version. Each address carries a hash of the document's bytes, so that
   clients may keep it for ever. */
#include <openssl/evp.h>
#include <string.h>

#include "schemas/openapi_internal.h"

/* One group/version: n kinds. */
static bool
write_document (const struct schema_kind **kinds, size_t n, struct buf *out)
{
  struct openapi_members paths = {.out = out}, schemas = {.out = out};
  buf_append_str (out, "{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"Kubernetes\",\"version\":\"" OPENAPI_VERSION_TEXT "\"},\"paths\":{");
  bool ok = openapi_each_path (OPENAPI_V3, kinds, n, openapi_write_member, &paths);
  buf_append_str (out, "},\"components\":{\"schemas\":{");
  ok = ok && openapi_each_definition (OPENAPI_V3, kinds, n, openapi_write_member, &schemas);
  buf_append_str (out, "},\"securitySchemes\":{\"BearerToken\":{\"type\":\"apiKey\",\"description\":\"Bearer Token authentication\","
                       "\"name\":\"authorization\",\"in\":\"header\"}}}}");
  return ok && !out->failed;
}

static void
write_address (const struct schema_kind *k, const struct buf *document, bool first, struct buf *out)
{
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  char path[512];
  snprintf (path, sizeof path, *k->group ? "apis/%s/%s" : "api%s/%s", k->group, k->version);
  if (!EVP_Digest (document->data, document->len, digest, &length, EVP_sha256 (), NULL)) {
    out->failed = true;
    return;
  }
  buf_printf (out, "%s\"%s\":{\"serverRelativeURL\":\"/openapi/v3/%s?hash=", first ? "" : ",", path, path);
  for (unsigned i = 0; i < length; i++)
    buf_printf (out, "%02X", digest[i]);
  buf_append_str (out, "\"}");
}

void
openapi_v3_index_json (const struct schema_set *set, struct buf *out)
{
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf document = BUF_INIT;
  size_t n;
  arena_init (&a, OPENAPI_ARENA_BYTES_MAX);
  const struct schema_kind **kinds = kind_set_sorted (&a, set, &n);
  bool ok = kinds != NULL;
  buf_append_str (out, "{\"paths\":{");
  for (size_t i = 0, run; i < n && ok; i += run) {
    run = kind_set_version_run (kinds, n, i);
    buf_reset (&document);
    ok = write_document (kinds + i, run, &document);
    write_address (kinds[i], &document, i == 0, out);
  }
  buf_append_str (out, "}}");
  if (!ok)
    out->failed = true;
}

int
openapi_v3_group_json (const struct schema_set *set, const char *group_version_path, struct buf *out)
{
  AUTO_ARENA struct arena a;
  size_t n;
  arena_init (&a, OPENAPI_ARENA_BYTES_MAX);
  const struct schema_kind **kinds = kind_set_sorted (&a, set, &n);
  if (!kinds)
    return ERR_NOMEM;
  for (size_t i = 0, run; i < n; i += run) {
    char path[512];
    run = kind_set_version_run (kinds, n, i);
    snprintf (path, sizeof path, *kinds[i]->group ? "apis/%s/%s" : "api%s/%s", kinds[i]->group, kinds[i]->version);
    if (strcmp (path, group_version_path) == 0)
      return write_document (kinds + i, run, out) ? 0 : ERR_NOMEM;
  }
  return ERR_NOT_FOUND;
}
