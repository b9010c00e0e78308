/* OpenAPI 2.0 (Swagger), as JSON: kubectl before 1.27 and client generators. */
#include <string.h>

#include "schemas/json.h"
#include "schemas/openapi_internal.h"

void
openapi_write_member (void *context, const char *name, const struct value *v)
{
  struct openapi_members *w = context;
  if (w->count++)
    buf_append_byte (w->out, ',');
  json_write_string (name, strlen (name), w->out);
  buf_append_byte (w->out, ':');
  json_write (v, 0, w->out);
}

void
openapi_v2_json (const struct schema_set *set, struct buf *out)
{
  AUTO_ARENA struct arena a;
  size_t n;
  arena_init (&a, OPENAPI_ARENA_BYTES_MAX);
  const struct schema_kind **kinds = kind_set_sorted (&a, set, &n);
  struct openapi_members paths = {.out = out}, definitions = {.out = out};
  bool ok = kinds != NULL;
  buf_append_str (out, "{\"swagger\":\"2.0\",\"info\":{\"title\":\"Kubernetes\",\"version\":\"" OPENAPI_VERSION_TEXT "\"},\"paths\":{");
  ok = ok && openapi_each_path (OPENAPI_V2, kinds, n, openapi_write_member, &paths);
  buf_append_str (out, "},\"definitions\":{");
  ok = ok && openapi_each_definition (OPENAPI_V2, kinds, n, openapi_write_member, &definitions);
  buf_append_str (out, "},\"securityDefinitions\":{\"BearerToken\":{\"description\":\"Bearer Token authentication\",\"type\":\"apiKey\","
                       "\"name\":\"authorization\",\"in\":\"header\"}},\"security\":[{\"BearerToken\":[]}]}");
  if (!ok)
    out->failed = true;
}
