/* Pieces of the OpenAPI documents, as value trees that the writers of v2 JSON, v2 protobuf and v3 share. */
#ifndef SCHEMAS_OPENAPI_INTERNAL_H
#define SCHEMAS_OPENAPI_INTERNAL_H

#include "schemas/kind_set.h"
#include "schemas/machinery.h"

#define OPENAPI_ARENA_BYTES_MAX (64u << 20)
#define OPENAPI_VERSION_TEXT "v1.33.0"

enum openapi_dialect { OPENAPI_V2, OPENAPI_V3 };

/* ---- definitions: openapi_schema.c ---- */
/* One definition; group_version_kind NULL: none. */
typedef void (*openapi_definition_cb) (void *context, const char *name, const struct value *schema);
/* Calls back once for each definition that the kinds need, in the order of their names; schema lives only for the call. False
   when out of memory. */
bool openapi_each_definition (enum openapi_dialect dialect, const struct schema_kind **kinds, size_t n,
                              openapi_definition_cb definition_cb, void *context);
/* The list type of a kind: "io.k8s.api.core.v1.PodList"; NULL when it has none. */
const char *openapi_list_name (struct arena *a, const struct schema_kind *k);
struct value *openapi_ref (struct arena *a, enum openapi_dialect dialect, const char *name);
/* {"group", "version", "kind"} */
struct value *openapi_gvk (struct arena *a, const char *group, const char *version, const char *kind);

/* ---- paths: openapi_paths.c ---- */
typedef void (*openapi_path_cb) (void *context, const char *path, const struct value *item);
/* Calls back for each path of the kinds, those of one path once; item lives only for the call. False when out of memory. */
bool openapi_each_path (enum openapi_dialect dialect, const struct schema_kind **kinds, size_t n, openapi_path_cb path_cb,
                        void *context);

/* ---- JSON of either: openapi_v2.c ---- */
struct openapi_members { /* "name":value,... */
  struct buf *out;
  size_t count;
};
void openapi_write_member (void *members, const char *name, const struct value *v); /* for both of the callbacks above */

#define OPENAPI_META "io.k8s.apimachinery.pkg.apis.meta.v1."

#endif
