#include "services/apiserver/respond.h"

#include "schemas/json.h"
#include "schemas/msgpack.h"
#include "schemas/yaml.h"
#include "services/apiserver/pipeline.h"
#include "services/apiserver/status.h"

#define HEADERS_MAX 72

static bool
parameter_is (const char *params, size_t n, const char *key, const char *value)
{
  size_t key_len = strlen (key), value_len = strlen (value);
  for (const char *p = params, *end = params + n; p < end;) {
    while (p < end && (*p == ';' || *p == ' '))
      p++;
    const char *stop = memchr (p, ';', (size_t) (end - p));
    size_t len = (size_t) ((stop ? stop : end) - p);
    while (len && p[len - 1] == ' ')
      len--;
    if (len == key_len + 1 + value_len && strncmp (p, key, key_len) == 0 && p[key_len] == '='
        && strncmp (p + key_len + 1, value, value_len) == 0)
      return true;
    p = stop ? stop : end;
  }
  return false;
}

/* One media range: true when we can answer it. Protobuf is passed over, so that "protobuf,json" falls to JSON. */
static bool
range_accepted (struct request *rq, const char *p, size_t n)
{
  size_t type_len = 0;
  while (type_len < n && p[type_len] != ';' && p[type_len] != ' ')
    type_len++;
  const char *params = p + type_len;
  size_t params_len = n - type_len;
  static const struct {
    const char *type;
    enum encoding encoding;
  } rows[] = { { "application/json", ENCODING_JSON }, { "application/yaml", ENCODING_YAML }, { "*/*", ENCODING_JSON },
               { "application/*", ENCODING_JSON }, { "application/msgpack", ENCODING_MSGPACK } };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (strlen (rows[i].type) != type_len || strncmp (rows[i].type, p, type_len) != 0)
      continue;
    rq->encoding = rows[i].encoding;
    rq->transform = TRANSFORM_NONE;
    if (parameter_is (params, params_len, "as", "Table"))
      rq->transform = TRANSFORM_TABLE;
    else if (parameter_is (params, params_len, "as", "PartialObjectMetadata")
             || parameter_is (params, params_len, "as", "PartialObjectMetadataList"))
      rq->transform = TRANSFORM_PARTIAL;
    if (rq->transform && (!parameter_is (params, params_len, "g", "meta.k8s.io") || !parameter_is (params, params_len, "v", "v1")))
      return false;
    return true;
  }
  return false;
}

int
respond_negotiate (struct request *rq, struct err *err)
{
  const char *accept = rq->header ? rq->header (rq, "accept") : NULL;
  const char *agent = rq->header ? rq->header (rq, "user-agent") : NULL;
  const char *pretty = uri_query_get (&rq->query, "pretty");
  rq->pretty = pretty ? uri_query_bool (&rq->query, "pretty")
                      : agent && (strncmp (agent, "curl", 4) == 0 || strncmp (agent, "Wget", 4) == 0 || strncmp (agent, "Mozilla/5.0", 11) == 0);
  if (*request_param (rq, "includeObject"))
    rq->include_object = request_param (rq, "includeObject");
  if (rq->bus) {
    rq->encoding = ENCODING_MSGPACK;
    return 0;
  }
  if (!accept || !*accept)
    return 0;
  for (const char *p = accept; *p;) {
    while (*p == ' ' || *p == ',')
      p++;
    size_t n = strcspn (p, ",");
    if (n && range_accepted (rq, p, n))
      return 0;
    p += n;
  }
  rq->encoding = ENCODING_JSON;
  rq->transform = TRANSFORM_NONE;
  return err_set (err, ERR_UNSUPPORTED,
                  "only the following media types are accepted: application/json, application/yaml");
}

const char *
respond_media_type (const struct request *rq, bool watch)
{
  if (rq->encoding == ENCODING_MSGPACK)
    return "application/msgpack";
  if (rq->encoding == ENCODING_YAML && !watch)
    return "application/yaml";
  return "application/json";
}

static void
start (struct request *rq, int code, const char *media_type, const char *etag, bool streamed)
{
  struct header h[HEADERS_MAX];
  size_t n = 0;
  h[n++] = (struct header) { "content-type", media_type };
  h[n++] = (struct header) { "cache-control", "no-cache, private" };
  if (etag)
    h[n++] = (struct header) { "etag", etag };
  if (code == 401)
    h[n++] = (struct header) { "www-authenticate", "Bearer" };
  if (code == 429 || code == 503)
    h[n++] = (struct header) { "retry-after", "1" };
  for (value_items (rq->warnings, it)) {
    const char *text = value_as_string (*it, "");
    struct buf b = BUF_INIT;
    buf_append_str (&b, "299 - \"");
    for (const char *p = text; *p; p++) {
      if (*p == '"' || *p == '\\')
        buf_append_byte (&b, '\\');
      buf_append_byte (&b, (uint8_t) *p < ' ' ? ' ' : (uint8_t) *p);
    }
    buf_append_byte (&b, '"');
    const char *copy = arena_strdup (&rq->arena, buf_cstr (&b));
    buf_done (&b);
    if (copy && n < HEADERS_MAX - 1)
      h[n++] = (struct header) { "warning", copy };
  }
  h[n] = (struct header) { NULL, NULL };
  rq->code = code;
  rq->sink->start (rq, code, h, streamed);
}

void
respond_bytes (struct request *rq, int code, const char *media_type, const char *etag, const void *data, size_t len)
{
  REQUIRE (!rq->code);
  start (rq, code, media_type, etag, false);
  if (len)
    rq->sink->chunk (rq, data, len);
  respond_end (rq);
}

void
respond_start (struct request *rq, int code, const char *media_type)
{
  REQUIRE (!rq->code);
  start (rq, code, media_type, NULL, true);
}

void
respond_chunk (struct request *rq, const void *data, size_t len)
{
  rq->sink->chunk (rq, data, len);
}

void
respond_end (struct request *rq)
{
  rq->on_close = rq->on_drain = NULL;
  rq->sink->end (rq);
  pipeline_finished (rq);
}

static void
respond_value (struct request *rq, int code, const struct value *v)
{
  AUTO_BUF struct buf out = BUF_INIT;
  if (rq->encoding == ENCODING_MSGPACK)
    value_pack (v, &out);
  else if (rq->encoding == ENCODING_YAML)
    yaml_write (v, &out);
  else {
    json_write (v, rq->pretty ? 2 : 0, &out);
    buf_append_byte (&out, '\n');
  }
  if (out.failed || !arena_ok (&rq->arena)) {
    static const char text[] = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":"
                               "\"out of memory\",\"reason\":\"InternalError\",\"code\":500}\n";
    respond_bytes (rq, 500, "application/json", NULL, text, sizeof text - 1);
    return;
  }
  respond_bytes (rq, code, respond_media_type (rq, false), NULL, out.data, out.len);
}

void
respond_status (struct request *rq, int code, const struct value *status)
{
  if (rq->hold) {
    rq->held_code = code;
    rq->held = status;
    return;
  }
  respond_value (rq, code, status);
}

void
respond_tree (struct request *rq, int code, const struct value *v)
{
  respond_value (rq, code, v);
}

struct value *
respond_table (struct request *rq, const char *revision)
{
  struct arena *a = &rq->arena;
  struct value *t = value_map (a), *meta = value_map (a), *columns = value_array (a);
  value_set_string (a, t, "kind", "Table");
  value_set_string (a, t, "apiVersion", "meta.k8s.io/v1");
  value_set_string (a, meta, "resourceVersion", revision);
  value_set (a, t, "metadata", meta);
  for (size_t i = 0; i < rq->kind->n_columns; i++) {
    const struct schema_column *c = &rq->kind->columns[i];
    struct value *v = value_map (a);
    value_set_string (a, v, "name", c->name);
    value_set_string (a, v, "type", c->type);
    value_set_string (a, v, "format", c->format ? c->format : "");
    value_set_string (a, v, "description", c->doc ? c->doc : "");
    value_set_int (a, v, "priority", c->priority);
    value_append (a, columns, v);
  }
  value_set (a, t, "columnDefinitions", columns);
  value_set (a, t, "rows", value_array (a));
  return t;
}

static struct value *
partial (struct request *rq, struct value *obj)
{
  struct arena *a = &rq->arena;
  struct value *v = value_map (a);
  value_set_string (a, v, "kind", "PartialObjectMetadata");
  value_set_string (a, v, "apiVersion", "meta.k8s.io/v1");
  value_set (a, v, "metadata", value_get (obj, "metadata"));
  return v;
}

struct value *
respond_row (struct request *rq, struct value *obj)
{
  struct arena *a = &rq->arena;
  struct value *row = value_map (a);
  value_set (a, row, "cells", printer_cells (a, rq->kind, obj, wall_now ().us));
  if (strcmp (rq->include_object, "None") == 0)
    value_set (a, row, "object", value_null (a));
  else
    value_set (a, row, "object", strcmp (rq->include_object, "Object") == 0 ? obj : partial (rq, obj));
  return row;
}

struct value *
respond_transformed (struct request *rq, struct value *obj)
{
  if (rq->transform == TRANSFORM_PARTIAL)
    return partial (rq, obj);
  if (rq->transform != TRANSFORM_TABLE)
    return obj;
  struct value *t = respond_table (rq, value_path_string (obj, "metadata.resourceVersion", ""));
  value_append (&rq->arena, value_get (t, "rows"), respond_row (rq, obj));
  return t;
}

void
respond_object (struct request *rq, int code, struct value *obj)
{
  /* A Table or a partial object is only made of the request's own kind, never of a Status. */
  respond_value (rq, code, value_string_is (value_get (obj, "kind"), "Status") ? obj : respond_transformed (rq, obj));
}

int
respond_encode (const struct request *rq, const uint8_t *data, size_t len, struct buf *out, struct err *err)
{
  if (rq->encoding != ENCODING_MSGPACK)
    return json_write_packed (data, len, rq->pretty ? 2 : 0, out, err);
  buf_append (out, data, len);
  return 0;
}

void
respond_packed (struct request *rq, int code, const uint8_t *data, size_t len)
{
  struct err err = { 0 };
  AUTO_BUF struct buf out = BUF_INIT;
  if (rq->transform || rq->encoding == ENCODING_YAML) {
    struct value *v = NULL;
    if (value_unpack (&rq->arena, data, len, &v, &err) == 0) {
      respond_object (rq, code, v);
      return;
    }
  } else if (respond_encode (rq, data, len, &out, &err) == 0 && !out.failed) {
    if (rq->encoding == ENCODING_JSON)
      buf_append_byte (&out, '\n');
    respond_bytes (rq, code, respond_media_type (rq, false), NULL, out.data, out.len);
    return;
  }
  respond_value (rq, 500, status_tree (&rq->arena, 500, "", err.code ? err.text : "out of memory", NULL));
}
