/* OpenAPI 2.0 in gnostic's protobuf form (openapi.v2.Document): what client-go asks for. The trees are those of the JSON document;
   field numbers are gnostic's OpenAPIv2.proto. Any.yaml holds JSON, which is YAML. */
#include <string.h>

#include "schemas/json.h"
#include "schemas/openapi_internal.h"
#include "schemas/protobuf_write.h"

static void write_schema (struct buf *out, unsigned field, const struct value *schema);

static void
write_any (struct buf *out, unsigned field, const struct value *v)
{
  AUTO_BUF struct buf yaml = BUF_INIT;
  struct buf any = BUF_INIT;
  json_write (v, 0, &yaml);
  buf_append_byte (&yaml, '\n');
  protobuf_bytes (&any, 2, yaml.data, yaml.len);
  any.failed = any.failed || yaml.failed;
  protobuf_message (out, field, &any);
}

static void
write_strings (struct buf *out, unsigned field, const struct value *array)
{
  for (value_items (array, it))
    protobuf_string (out, field, value_as_string (*it, ""));
}

/* x-... members as vendor_extension. */
static void
write_extensions (struct buf *out, unsigned field, const struct value *map)
{
  for (value_each (map, m)) {
    struct buf named = BUF_INIT;
    if (strncmp (m->key, "x-", 2) != 0)
      continue;
    protobuf_string (&named, 1, m->key);
    write_any (&named, 2, m->value);
    protobuf_message (out, field, &named);
  }
}

static void
write_named_schemas (struct buf *out, unsigned field, const struct value *properties)
{
  struct buf list = BUF_INIT;
  for (value_each (properties, m)) {
    struct buf named = BUF_INIT;
    protobuf_string (&named, 1, m->key);
    write_schema (&named, 2, m->value);
    protobuf_message (&list, 1, &named);
  }
  protobuf_message (out, field, &list);
}

static void
write_schema_body (struct buf *s, const struct value *schema)
{
  struct buf inner = BUF_INIT;
  const struct value *v;
  protobuf_string (s, 1, value_path_string (schema, "$ref", NULL));
  protobuf_string (s, 2, value_path_string (schema, "format", NULL));
  protobuf_string (s, 4, value_path_string (schema, "description", NULL));
  if ((v = value_get (schema, "default")))
    write_any (s, 5, v);
  write_strings (s, 19, value_get (schema, "required"));
  for (value_items (value_get (schema, "enum"), it))
    write_any (s, 20, *it);
  if ((v = value_get (schema, "additionalProperties"))) {
    write_schema (&inner, 1, v);
    protobuf_message (s, 21, &inner);
  }
  if ((v = value_get (schema, "type"))) {
    protobuf_string (&inner, 1, value_as_string (v, ""));
    protobuf_message (s, 22, &inner);
  }
  if ((v = value_get (schema, "items"))) {
    write_schema (&inner, 1, v);
    protobuf_message (s, 23, &inner);
  }
  if ((v = value_get (schema, "properties")))
    write_named_schemas (s, 25, v);
  write_extensions (s, 31, schema);
}

static void
write_schema (struct buf *out, unsigned field, const struct value *schema)
{
  struct buf s = BUF_INIT;
  write_schema_body (&s, schema);
  protobuf_message (out, field, &s);
}

static void
write_parameter (struct buf *out, unsigned field, const struct value *p)
{
  struct buf body = BUF_INIT, non_body = BUF_INIT, parameter = BUF_INIT, item = BUF_INIT;
  const char *in = value_path_string (p, "in", "");
  const char *doc = value_path_string (p, "description", NULL), *name = value_path_string (p, "name", NULL);
  bool required = value_path_bool (p, "required", false), unique = value_path_bool (p, "uniqueItems", false);
  if (strcmp (in, "body") == 0) {
    protobuf_string (&body, 1, doc);
    protobuf_string (&body, 2, name);
    protobuf_string (&body, 3, in);
    protobuf_bool (&body, 4, required);
    write_schema (&body, 5, value_get (p, "schema"));
    protobuf_message (&parameter, 1, &body);
  } else {
    bool query = strcmp (in, "query") == 0;
    protobuf_bool (&body, 1, required);
    protobuf_string (&body, 2, in);
    protobuf_string (&body, 3, doc);
    protobuf_string (&body, 4, name);
    protobuf_string (&body, query ? 6 : 5, value_path_string (p, "type", NULL));
    protobuf_bool (&body, query ? 20 : 19, unique);
    protobuf_message (&non_body, query ? 3 : 4, &body);
    protobuf_message (&parameter, 2, &non_body);
  }
  protobuf_message (&item, 1, &parameter);
  protobuf_message (out, field, &item);
}

static void
write_responses (struct buf *out, unsigned field, const struct value *responses)
{
  struct buf list = BUF_INIT;
  for (value_each (responses, m)) {
    struct buf response = BUF_INIT, value = BUF_INIT, named = BUF_INIT, item = BUF_INIT;
    const struct value *schema = value_get (m->value, "schema");
    protobuf_string (&response, 1, value_path_string (m->value, "description", NULL));
    if (schema) {
      write_schema (&item, 1, schema);
      protobuf_message (&response, 2, &item);
    }
    protobuf_message (&value, 1, &response);
    protobuf_string (&named, 1, m->key);
    protobuf_message (&named, 2, &value);
    protobuf_message (&list, 1, &named);
  }
  protobuf_message (out, field, &list);
}

static void
write_operation (struct buf *out, unsigned field, const struct value *o)
{
  struct buf operation = BUF_INIT;
  write_strings (&operation, 1, value_get (o, "tags"));
  protobuf_string (&operation, 3, value_path_string (o, "description", NULL));
  protobuf_string (&operation, 5, value_path_string (o, "operationId", NULL));
  write_strings (&operation, 6, value_get (o, "produces"));
  write_strings (&operation, 7, value_get (o, "consumes"));
  for (value_items (value_get (o, "parameters"), it))
    write_parameter (&operation, 8, *it);
  write_responses (&operation, 9, value_get (o, "responses"));
  write_strings (&operation, 10, value_get (o, "schemes"));
  write_extensions (&operation, 13, o);
  protobuf_message (out, field, &operation);
}

static void
write_path (void *context, const char *path, const struct value *item)
{
  static const struct {
    const char *method;
    unsigned field;
  } methods[] = {{"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
  struct buf *paths = context, named = BUF_INIT, body = BUF_INIT;
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    const struct value *o = value_get (item, methods[i].method);
    if (o)
      write_operation (&body, methods[i].field, o);
  }
  for (value_items (value_get (item, "parameters"), it))
    write_parameter (&body, 9, *it);
  protobuf_string (&named, 1, path);
  protobuf_message (&named, 2, &body);
  protobuf_message (paths, 2, &named);
}

static void
write_definition (void *context, const char *name, const struct value *schema)
{
  struct buf *definitions = context, named = BUF_INIT;
  protobuf_string (&named, 1, name);
  write_schema (&named, 2, schema);
  protobuf_message (definitions, 1, &named);
}

static void
write_security (struct buf *out)
{
  struct buf key = BUF_INIT, item = BUF_INIT, named = BUF_INIT, all = BUF_INIT, empty = BUF_INIT;
  protobuf_string (&named, 1, "BearerToken"); /* security: BearerToken, no scopes */
  protobuf_message (&named, 2, &empty);
  protobuf_message (&all, 1, &named);
  protobuf_message (out, 12, &all);
  protobuf_string (&key, 1, "apiKey");
  protobuf_string (&key, 2, "authorization");
  protobuf_string (&key, 3, "header");
  protobuf_string (&key, 4, "Bearer Token authentication");
  protobuf_message (&item, 2, &key);
  protobuf_string (&named, 1, "BearerToken");
  protobuf_message (&named, 2, &item);
  protobuf_message (&all, 1, &named);
  protobuf_message (out, 13, &all);
}

void
openapi_v2_protobuf (const struct schema_set *set, struct buf *out)
{
  AUTO_ARENA struct arena a;
  struct buf info = BUF_INIT, paths = BUF_INIT, definitions = BUF_INIT;
  size_t n;
  arena_init (&a, OPENAPI_ARENA_BYTES_MAX);
  const struct schema_kind **kinds = kind_set_sorted (&a, set, &n);
  bool ok = kinds != NULL;
  protobuf_string (out, 1, "2.0");
  protobuf_string (&info, 1, "Kubernetes");
  protobuf_string (&info, 2, OPENAPI_VERSION_TEXT);
  protobuf_message (out, 2, &info);
  ok = ok && openapi_each_path (OPENAPI_V2, kinds, n, write_path, &paths);
  protobuf_message (out, 8, &paths);
  ok = ok && openapi_each_definition (OPENAPI_V2, kinds, n, write_definition, &definitions);
  protobuf_message (out, 9, &definitions);
  write_security (out);
  if (!ok)
    out->failed = true;
}
