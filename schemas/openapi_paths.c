/* Paths of OpenAPI from the kinds. Operations carry what clients look for: x-kubernetes-action, x-kubernetes-group-version-kind and
   the query parameters (kubectl takes "dryRun" on a kind's PATCH as the sign that dry runs work). */
#include <ctype.h>
#include <string.h>

#include "schemas/openapi_internal.h"

enum { /* sets of query parameters */
  WITH_LIST = 1 << 0,
  WITH_DRY_RUN = 1 << 1,
  WITH_MANAGER = 1 << 2, /* fieldManager, fieldValidation */
  WITH_FORCE = 1 << 3,
  WITH_DELETE = 1 << 4,
  WITH_OPTIONS = 1 << 5, /* the fields of the options type */
  FOR_NAMESPACE = 1 << 6, /* path parameters */
  FOR_NAME = 1 << 7,
  FOR_PATH = 1 << 8,
  NOT_PRETTY = 1 << 9, /* answers that are not ours to indent */
  WITH_WATCH = 1 << 10,
};
static const struct parameter {
  const char *name, *type, *doc;
  unsigned sets;
} query_parameters[] = {
  {"allowWatchBookmarks", "boolean", "Ask for bookmark events in a watch.", WITH_WATCH},
  {"continue", "string", "Where to go on, from the metadata of the list before.", WITH_LIST},
  {"dryRun", "string", "All: do everything but keep the result.", WITH_DRY_RUN},
  {"fieldManager", "string", "Who makes the change, for metadata.managedFields.", WITH_MANAGER},
  {"fieldSelector", "string", "Only objects whose fields match.", WITH_LIST},
  {"fieldValidation", "string", "What to do about unknown and duplicate fields: Ignore, Warn or Strict.", WITH_MANAGER},
  {"force", "boolean", "Take fields over from other managers (apply patches only).", WITH_FORCE},
  {"gracePeriodSeconds", "integer", "Seconds that the object is given to end.", WITH_DELETE},
  {"ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", "Delete even what can not be read.", WITH_DELETE},
  {"labelSelector", "string", "Only objects whose labels match.", WITH_LIST},
  {"limit", "integer", "At most so many objects in one answer.", WITH_LIST},
  {"orphanDependents", "boolean", "Deprecated: use propagationPolicy.", WITH_DELETE},
  {"propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground.", WITH_DELETE},
  {"resourceVersion", "string", "The revision to read at or to watch from.", WITH_LIST},
  {"resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan.", WITH_LIST},
  {"sendInitialEvents", "boolean", "Begin a watch with the objects that exist.", WITH_LIST},
  {"timeoutSeconds", "integer", "End a list or watch after so long.", WITH_LIST},
  {"watch", "boolean", "Answer with a stream of changes.", WITH_WATCH},
};
struct operation {
  const char *method, *action, *verb_text; /* "post", "post", "create" */
  const char *group, *version, *kind;      /* x-kubernetes-group-version-kind */
  const char *id;
  const char *body, *response;             /* names of definitions; NULL: none, a string */
  const struct schema_type *options;
  unsigned sets;
  bool body_optional, patch;
};
struct paths {
  enum openapi_dialect dialect;
  struct arena *arena;
  openapi_path_cb path_cb;
  void *context;
  bool failed;
};

/* ---- names ---- */
/* "rbac.authorization.k8s.io" -> "rbacAuthorization", "" -> "core". */
static const char *
group_camel (struct arena *a, const char *group)
{
  size_t n = strlen (group), length = 0;
  if (!n)
    return "core";
  if (n > 7 && strcmp (group + n - 7, ".k8s.io") == 0)
    n -= 7;
  char *out = arena_zalloc (a, n + 1);
  for (size_t i = 0; out && i < n; i++) {
    bool starts = i && (group[i - 1] == '.' || group[i - 1] == '-');
    if (group[i] != '.' && group[i] != '-')
      out[length++] = starts ? (char) toupper ((unsigned char) group[i]) : group[i];
  }
  return out ? out : "";
}

static const char *
capital (struct arena *a, const char *s)
{
  char *out = arena_strdup (a, s);
  if (out)
    out[0] = (char) toupper ((unsigned char) out[0]);
  return out ? out : "";
}

static const char *
operation_id (struct arena *a, const struct schema_kind *k, const char *verb, const char *rest)
{
  return arena_printf (a, "%s%s%s%s", verb, capital (a, group_camel (a, k->group)), capital (a, k->version), rest);
}

/* ---- parameters ---- */
static struct value *
one_parameter (struct paths *p, const char *name, const char *in, const char *type, const char *doc)
{
  struct arena *a = p->arena;
  struct value *v = value_map (a);
  value_set_string (a, v, "name", name);
  value_set_string (a, v, "in", in);
  if (*doc)
    value_set_string (a, v, "description", doc);
  if (strcmp (in, "path") == 0)
    value_set_bool (a, v, "required", true);
  struct value *schema = p->dialect == OPENAPI_V3 ? value_ensure_map (a, v, "schema") : v;
  value_set_string (a, schema, "type", type);
  value_set_bool (a, schema, "uniqueItems", true);
  return v;
}

static struct value *
body_parameter (struct paths *p, const struct operation *o)
{
  struct value *v = value_map (p->arena);
  value_set_string (p->arena, v, "name", "body");
  value_set_string (p->arena, v, "in", "body");
  if (!o->body_optional)
    value_set_bool (p->arena, v, "required", true);
  value_set (p->arena, v, "schema", openapi_ref (p->arena, p->dialect, o->body));
  return v;
}

static const char *
option_parameter_type (const struct schema_field *f)
{
  switch (f->scalar) {
  case SCHEMA_BOOL:
    return "boolean";
  case SCHEMA_INT32:
  case SCHEMA_INT64:
    return "integer";
  default:
    return "string";
  }
}

static struct value *
operation_parameters (struct paths *p, const struct operation *o)
{
  struct value *list = value_array (p->arena);
  if (o->body && p->dialect == OPENAPI_V2)
    value_append (p->arena, list, body_parameter (p, o));
  for (size_t i = 0; i < sizeof query_parameters / sizeof *query_parameters; i++) {
    const struct parameter *q = &query_parameters[i];
    if (q->sets & o->sets)
      value_append (p->arena, list, one_parameter (p, q->name, "query", q->type, q->doc));
  }
  for (size_t i = 0; o->options && i < o->options->n_fields; i++) {
    const struct schema_field *f = &o->options->fields[i];
    if (strcmp (f->name, "kind") != 0 && strcmp (f->name, "apiVersion") != 0 && f->scalar != SCHEMA_STRUCT && f->scalar != SCHEMA_TIME)
      value_append (p->arena, list, one_parameter (p, f->name, "query", option_parameter_type (f), f->doc));
  }
  return list;
}

static void
path_parameters (struct paths *p, struct value *item, unsigned sets)
{
  if (sets == NOT_PRETTY)
    return;
  struct value *list = value_ensure_array (p->arena, item, "parameters");
  if (sets & FOR_NAME)
    value_append (p->arena, list, one_parameter (p, "name", "path", "string", "Name of the object."));
  if (sets & FOR_NAMESPACE)
    value_append (p->arena, list, one_parameter (p, "namespace", "path", "string", "Namespace of the object."));
  if (sets & FOR_PATH)
    value_append (p->arena, list, one_parameter (p, "path", "path", "string", "Path of the request that is passed on."));
  if (!(sets & NOT_PRETTY))
    value_append (p->arena, list, one_parameter (p, "pretty", "query", "string", "true: indent the answer."));
}

/* ---- operations ---- */
static const char *const patch_types[] = {"application/json-patch+json", "application/merge-patch+json",
                                          "application/strategic-merge-patch+json", "application/apply-patch+yaml", NULL};
static const char *const any_types[] = {"*/*", NULL};
static const char *const answer_types[] = {"application/json", "application/yaml", NULL};
static const char *const stream_types[] = {"application/json", "application/yaml", "application/json;stream=watch", NULL};

static struct value *
strings (struct arena *a, const char *const *s)
{
  struct value *list = value_array (a);
  for (; *s; s++)
    value_append (a, list, value_string (a, *s));
  return list;
}

static struct value *
content (struct paths *p, const char *const *types, const char *name)
{
  struct value *v = value_map (p->arena);
  for (; *types; types++) {
    struct value *media = value_ensure_map (p->arena, v, *types);
    if (name)
      value_set (p->arena, media, "schema", openapi_ref (p->arena, p->dialect, name));
    else
      value_set_string (p->arena, value_ensure_map (p->arena, media, "schema"), "type", "string");
  }
  return v;
}

static void
add_response (struct paths *p, struct value *responses, const struct operation *o, const char *code, const char *text)
{
  struct arena *a = p->arena;
  const char *const *types = !o->response ? any_types : o->sets & WITH_WATCH ? stream_types : answer_types;
  struct value *r = value_ensure_map (a, responses, code);
  value_set_string (a, r, "description", text);
  if (p->dialect == OPENAPI_V3)
    value_set (a, r, "content", content (p, types, o->response));
  else if (o->response)
    value_set (a, r, "schema", openapi_ref (a, p->dialect, o->response));
  else
    value_set_string (a, value_ensure_map (a, r, "schema"), "type", "string");
}

static void
add_operation (struct paths *p, struct value *item, const struct schema_kind *k, const struct operation *o)
{
  struct arena *a = p->arena;
  struct value *v = value_ensure_map (a, item, o->method), *responses = value_map (a), *parameters;
  value_append (a, value_ensure_array (a, v, "tags"), value_printf (a, "%s_%s", group_camel (a, k->group), k->version));
  value_set (a, v, "description", value_printf (a, "%s %s", o->verb_text, o->kind));
  value_set_string (a, v, "operationId", o->id);
  if (p->dialect == OPENAPI_V2) {
    value_set (a, v, "consumes", strings (a, o->patch ? patch_types : any_types));
    value_set (a, v, "produces", strings (a, !o->response ? any_types : o->sets & WITH_WATCH ? stream_types : answer_types));
    value_append (a, value_ensure_array (a, v, "schemes"), value_string (a, "https"));
  } else if (o->body) {
    struct value *body = value_ensure_map (a, v, "requestBody");
    value_set (a, body, "content", content (p, o->patch ? patch_types : any_types, o->body));
    if (!o->body_optional)
      value_set_bool (a, body, "required", true);
  }
  parameters = operation_parameters (p, o);
  if (value_count (parameters))
    value_set (a, v, "parameters", parameters);
  add_response (p, responses, o, "200", "OK");
  if (strcmp (o->method, "post") == 0 || strcmp (o->method, "put") == 0 || o->patch)
    add_response (p, responses, o, "201", "Created");
  if (strcmp (o->method, "post") == 0 || strcmp (o->action, "delete") == 0)
    add_response (p, responses, o, "202", "Accepted");
  value_set_string (a, value_ensure_map (a, responses, "401"), "description", "Unauthorized");
  value_set (a, v, "responses", responses);
  value_set_string (a, v, "x-kubernetes-action", o->action);
  value_set (a, v, "x-kubernetes-group-version-kind", openapi_gvk (a, o->group, o->version, o->kind));
}

static void
give (struct paths *p, const char *path, struct value *item, unsigned sets)
{
  path_parameters (p, item, sets);
  if (!arena_ok (p->arena))
    p->failed = true;
  if (!p->failed)
    p->path_cb (p->context, path, item);
  arena_reset (p->arena);
}

/* ---- the paths of a kind ---- */
/* What reads, replaces and patches one object, for the kind itself (subresource "") and for its subresources. */
static void
add_item_operations (struct paths *p, struct value *item, const struct schema_kind *k, const struct operation *base, uint32_t verbs, const char *rest)
{
  struct arena *a = p->arena;
  struct operation o = *base;
  if (verbs & SCHEMA_GET) {
    o.method = o.action = "get";
    o.verb_text = "read";
    o.id = operation_id (a, k, "read", rest);
    o.body = NULL;
    add_operation (p, item, k, &o);
  }
  if (verbs & SCHEMA_UPDATE) {
    o = *base;
    o.method = o.action = "put";
    o.verb_text = "replace";
    o.id = operation_id (a, k, "replace", rest);
    o.sets = WITH_DRY_RUN | WITH_MANAGER;
    add_operation (p, item, k, &o);
  }
  if (verbs & SCHEMA_PATCH) {
    o = *base;
    o.method = o.action = "patch";
    o.verb_text = "patch";
    o.id = operation_id (a, k, "patch", rest);
    o.sets = WITH_DRY_RUN | WITH_MANAGER | WITH_FORCE;
    o.body = OPENAPI_META "Patch";
    o.patch = true;
    add_operation (p, item, k, &o);
  }
}

static void
add_delete (struct paths *p, struct value *item, const struct schema_kind *k, bool collection, const char *rest)
{
  struct operation o = {.method = "delete", .action = collection ? "deletecollection" : "delete", .verb_text = collection ? "delete collection of" : "delete",
                        .group = k->group, .version = k->version, .kind = k->kind, .body = OPENAPI_META "DeleteOptions", .body_optional = true,
                        .response = OPENAPI_META "Status", .sets = WITH_DELETE | WITH_DRY_RUN | (collection ? WITH_LIST : 0u)};
  o.id = operation_id (p->arena, k, collection ? "deleteCollection" : "delete", rest);
  add_operation (p, item, k, &o);
}

static void
collection_path (struct paths *p, const struct schema_kind *k, const char *base)
{
  struct arena *a = p->arena;
  struct value *item = value_map (a);
  const char *rest = arena_printf (a, "%s%s", k->namespaced ? "Namespaced" : "", k->kind);
  struct operation o = {.group = k->group, .version = k->version, .kind = k->kind};
  if (k->verbs & SCHEMA_LIST_VERB) {
    o.method = "get";
    o.action = "list";
    o.verb_text = "list or watch objects of kind";
    o.id = operation_id (a, k, "list", rest);
    o.response = openapi_list_name (a, k);
    o.sets = WITH_LIST | WITH_WATCH;
    add_operation (p, item, k, &o);
  }
  if (k->verbs & SCHEMA_CREATE) {
    o.method = o.action = "post";
    o.verb_text = "create";
    o.id = operation_id (a, k, "create", rest);
    o.response = o.body = k->type->openapi_name;
    o.sets = WITH_DRY_RUN | WITH_MANAGER;
    add_operation (p, item, k, &o);
  }
  if (k->verbs & SCHEMA_DELETE_COLLECTION)
    add_delete (p, item, k, true, arena_printf (a, "%s", rest));
  give (p, base, item, k->namespaced ? FOR_NAMESPACE : 0);
}

static void
all_namespaces_path (struct paths *p, const struct schema_kind *k, const char *path)
{
  struct value *item = value_map (p->arena);
  struct operation o = {.method = "get", .action = "list", .verb_text = "list or watch objects of kind", .group = k->group, .version = k->version,
                        .kind = k->kind, .response = openapi_list_name (p->arena, k), .sets = WITH_LIST | WITH_WATCH};
  o.id = operation_id (p->arena, k, "list", arena_printf (p->arena, "%sForAllNamespaces", k->kind));
  add_operation (p, item, k, &o);
  give (p, path, item, 0);
}

static void
object_path (struct paths *p, const struct schema_kind *k, const char *path)
{
  struct arena *a = p->arena;
  struct value *item = value_map (a);
  const char *rest = arena_printf (a, "%s%s", k->namespaced ? "Namespaced" : "", k->kind);
  struct operation o = {.group = k->group, .version = k->version, .kind = k->kind, .body = k->type->openapi_name, .response = k->type->openapi_name};
  add_item_operations (p, item, k, &o, k->verbs, rest);
  if (k->verbs & SCHEMA_DELETE)
    add_delete (p, item, k, false, rest);
  give (p, path, item, FOR_NAME | (k->namespaced ? FOR_NAMESPACE : 0u));
}

static void
connect_path (struct paths *p, const struct schema_kind *k, const struct schema_subresource *s, const struct schema_type *options, const char *path, bool tail)
{
  static const struct {
    uint32_t verb;
    const char *method, *text;
  } methods[] = {{SCHEMA_GET, "get", "Get"}, {SCHEMA_CREATE, "post", "Post"}, {SCHEMA_UPDATE, "put", "Put"}, {SCHEMA_DELETE, "delete", "Delete"},
                 {SCHEMA_PATCH, "patch", "Patch"}};
  struct arena *a = p->arena;
  struct value *item = value_map (a);
  const char *rest = arena_printf (a, "%s%s%s%s", k->namespaced ? "Namespaced" : "", k->kind, capital (a, s->name), tail ? "WithPath" : "");
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    struct operation o = {.method = methods[i].method, .action = "connect", .verb_text = "connect requests to", .group = s->group, .version = s->version,
                          .kind = s->kind, .options = options};
    if (!(s->verbs & methods[i].verb))
      continue;
    o.id = arena_printf (a, "connect%s%s%s%s", capital (a, group_camel (a, k->group)), capital (a, k->version), methods[i].text, rest);
    add_operation (p, item, k, &o);
  }
  give (p, path, item, FOR_NAME | (k->namespaced ? FOR_NAMESPACE : 0u) | (tail ? FOR_PATH : 0u) | NOT_PRETTY);
}

static void
subresource_path (struct paths *p, const struct schema_kind *k, const struct schema_subresource *s, const char *path, const char *path_tail)
{
  struct arena *a = p->arena;
  char gv[320];
  size_t n = strlen (s->kind);
  snprintf (gv, sizeof gv, "%s%s%s", s->group, *s->group ? "/" : "", s->version);
  const struct schema_type *t = schema_type_find (gv, s->kind);
  if (n > 7 && strcmp (s->kind + n - 7, "Options") == 0) {
    connect_path (p, k, s, t, path, false);
    if (path_tail)
      connect_path (p, k, s, t, path_tail, true);
    return;
  }
  if (!t)
    t = k->type; /* status of a custom resource */
  struct value *item = value_map (a);
  const char *rest = arena_printf (a, "%s%s%s", k->namespaced ? "Namespaced" : "", k->kind, capital (a, s->name));
  struct operation o = {.group = s->group, .version = s->version, .kind = s->kind, .body = t->openapi_name, .response = t->openapi_name};
  if (strcmp (s->name, "log") == 0) {
    o.response = NULL;
    o.options = schema_type_find ("v1", "PodLogOptions");
  }
  add_item_operations (p, item, k, &o, s->verbs, rest);
  if (s->verbs & SCHEMA_CREATE) {
    o.method = o.action = "post";
    o.verb_text = "create";
    o.id = operation_id (a, k, "create", rest);
    o.sets = WITH_DRY_RUN | WITH_MANAGER;
    add_operation (p, item, k, &o);
  }
  give (p, path, item, FOR_NAME | (k->namespaced ? FOR_NAMESPACE : 0u));
}

static void
kind_paths (struct paths *p, const struct schema_kind *k)
{
  char root[512], base[1024], path[1536], tail[1600];
  snprintf (root, sizeof root, *k->group ? "/apis/%s/%s" : "/api%s/%s", k->group, k->version);
  snprintf (base, sizeof base, "%s/%s%s", root, k->namespaced ? "namespaces/{namespace}/" : "", k->resource);
  if (k->verbs & (SCHEMA_LIST_VERB | SCHEMA_CREATE))
    collection_path (p, k, base);
  if (k->namespaced && k->verbs & SCHEMA_LIST_VERB) {
    snprintf (path, sizeof path, "%s/%s", root, k->resource);
    all_namespaces_path (p, k, path);
  }
  if (k->verbs & SCHEMA_GET) {
    snprintf (path, sizeof path, "%s/{name}", base);
    object_path (p, k, path);
  }
  for (size_t i = 0; i < k->n_subresources; i++) {
    bool proxy = strcmp (k->subresources[i].name, "proxy") == 0;
    snprintf (path, sizeof path, "%s/{name}/%s", base, k->subresources[i].name);
    snprintf (tail, sizeof tail, "%s/{path}", path);
    subresource_path (p, k, &k->subresources[i], path, proxy ? tail : NULL);
  }
}

static void
group_version_path (struct paths *p, const struct schema_kind *k)
{
  char path[512];
  struct value *item = value_map (p->arena);
  struct operation o = {.method = "get", .action = "get", .verb_text = "get available resources:", .group = "", .version = "v1",
                        .kind = "APIResourceList", .response = OPENAPI_META "APIResourceList"};
  snprintf (path, sizeof path, *k->group ? "/apis/%s/%s/" : "/api%s/%s/", k->group, k->version);
  o.id = operation_id (p->arena, k, "get", "APIResources");
  add_operation (p, item, k, &o);
  give (p, path, item, NOT_PRETTY);
}

bool
openapi_each_path (enum openapi_dialect dialect, const struct schema_kind **kinds, size_t n, openapi_path_cb path_cb, void *context)
{
  AUTO_ARENA struct arena scratch;
  struct paths p = {.dialect = dialect, .arena = &scratch, .path_cb = path_cb, .context = context};
  arena_init (&scratch, OPENAPI_ARENA_BYTES_MAX);
  for (size_t i = 0; i < n; i += kind_set_version_run (kinds, n, i))
    group_version_path (&p, kinds[i]);
  for (size_t i = 0; i < n; i++)
    kind_paths (&p, kinds[i]);
  return !p.failed;
}
