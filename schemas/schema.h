/* The tables of the API: every kind, type and field once. They are compiled by schemas/gen/ from the rows in
   the .rows files of schemas/api/ into constant C tables; nothing of them is built at run time. Custom resources make the same
   structs at run time from their structural schemas, so that one engine defaults, validates, patches and documents both.
   All strings are constant and NUL-terminated; absent ones are NULL. */
#ifndef SCHEMAS_SCHEMA_H
#define SCHEMAS_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/value.h"

enum schema_scalar { /* what one element of a field is */
  SCHEMA_STRING,
  SCHEMA_BOOL,
  SCHEMA_INT32,
  SCHEMA_INT64,
  SCHEMA_UINT8,       /* as in []byte seen as numbers: not used by the stable API */
  SCHEMA_DOUBLE,
  SCHEMA_BYTES,       /* base64 text in JSON and in our trees */
  SCHEMA_TIME,        /* metav1.Time */
  SCHEMA_MICRO_TIME,  /* metav1.MicroTime */
  SCHEMA_QUANTITY,    /* resource.Quantity */
  SCHEMA_INT_OR_STRING,
  SCHEMA_DURATION,    /* metav1.Duration */
  SCHEMA_RAW,         /* runtime.RawExtension, JSON: any value, unknown fields kept */
  SCHEMA_FIELDS_V1,   /* metav1.FieldsV1: any map */
  SCHEMA_STRUCT,      /* ->type */
};
enum schema_shape { SCHEMA_ONE, SCHEMA_LIST, SCHEMA_MAP /* string keys */, SCHEMA_MAP_OF_LISTS /* of strings only: UserInfo.extra */ };
enum schema_list { SCHEMA_LIST_ATOMIC, SCHEMA_LIST_SET, SCHEMA_LIST_MAP };
enum { /* schema_field.flags */
  SCHEMA_REQUIRED = 1 << 0,     /* OpenAPI "required": no omitempty and no +optional */
  SCHEMA_POINTER = 1 << 1,      /* Go pointer: null and absent differ from the zero value */
  SCHEMA_OMITEMPTY = 1 << 2,
  SCHEMA_PATCH_MERGE = 1 << 3,  /* patchStrategy=merge */
  SCHEMA_PATCH_RETAIN_KEYS = 1 << 4,
  SCHEMA_MAP_ATOMIC = 1 << 5,   /* mapType or structType=atomic */
  SCHEMA_NULLABLE = 1 << 6,
  SCHEMA_PRESERVE_UNKNOWN = 1 << 7,
  SCHEMA_EMBEDDED_OBJECT = 1 << 8,
  SCHEMA_FEATURE_OFF = 1 << 9,  /* behind a feature gate that is off in v1.33: dropped on input */
};

struct schema_type;
struct schema_field {
  const char *name; /* JSON name */
  const char *doc;  /* one or two sentences of ours; "" when there is nothing to add to the name */
  const struct schema_type *type;        /* SCHEMA_STRUCT */
  const char *const *enum_values;        /* NULL-terminated, or NULL: open */
  const char *merge_key;                 /* patchMergeKey */
  const char *const *list_map_keys;      /* NULL-terminated */
  const char *default_json;              /* static default, e.g. "\"TCP\"" or "30"; applied when absent */
  const char *format;                    /* a named check of schemas/validate: "dns1123-label", "port", "label-key", ... */
  int64_t minimum, maximum;              /* of integers when minimum <= maximum and one of them is not 0 */
  uint32_t flags;
  uint16_t pb_number;                    /* protobuf field number; 0: none */
  uint8_t pb_wrap[2];                    /* numbers of the messages around it, outermost first, when it came from an inlined struct; 0: none */
  uint8_t scalar, shape, list;           /* enum schema_scalar, schema_shape, schema_list */
};
struct schema_type {
  const char *group_version; /* "apps/v1", "v1" (core), "meta/v1" */
  const char *name;          /* "PodSpec" */
  const char *openapi_name;  /* "io.k8s.api.core.v1.PodSpec" */
  const char *doc;
  const struct schema_field *fields; /* inline structs are flattened; sorted by their order in the source */
  uint16_t n_fields;
  uint32_t flags; /* SCHEMA_MAP_ATOMIC, SCHEMA_PRESERVE_UNKNOWN */
};

enum { /* schema_kind.verbs */
  SCHEMA_GET = 1 << 0, SCHEMA_LIST_VERB = 1 << 1, SCHEMA_WATCH = 1 << 2, SCHEMA_CREATE = 1 << 3, SCHEMA_UPDATE = 1 << 4,
  SCHEMA_PATCH = 1 << 5, SCHEMA_DELETE = 1 << 6, SCHEMA_DELETE_COLLECTION = 1 << 7,
  SCHEMA_ALL_VERBS = 255,
};
struct schema_column { /* printer column: Table output and kubusctl get */
  const char *name, *type, *format, *doc;
  int priority;       /* 0 always, 1 only with -o wide */
  const char *path;   /* a JSON path, or NULL: computed by a function named in schemas/printers.c */
};
struct schema_subresource {
  const char *name; /* "status", "scale", "log", "exec", ... */
  const char *group, *version, *kind; /* of its body: "autoscaling","v1","Scale" */
  uint32_t verbs;
};
struct schema_kind {
  const char *group;    /* "" for core */
  const char *version;  /* "v1" */
  const char *kind;     /* "Pod" */
  const char *resource; /* "pods" */
  const char *singular; /* "pod" */
  const char *const *short_names;  /* NULL-terminated or NULL */
  const char *const *categories;   /* {"all", NULL} */
  const struct schema_type *type;
  const struct schema_kind *storage; /* the kind in whose version its objects are stored; NULL: itself */
  const struct schema_subresource *subresources;
  const struct schema_column *columns;
  const char *const *selectable_fields; /* "metadata.name" and "metadata.namespace" are implied */
  const char *const *index_streams;     /* JSON paths whose values name index streams, e.g. "spec.nodeName" -> "@pods.spec.nodeName/n1" */
  uint16_t n_subresources, n_columns;
  uint32_t verbs;
  bool namespaced;
  bool virtual_; /* not stored: TokenReview, SubjectAccessReview, ... */
  bool generation; /* metadata.generation counts changes of spec */
};

const struct schema_kind *schema_kind_storage (const struct schema_kind *k); /* k->storage or k */

/* The first segment of storage keys and of streams: "pods", "deployments.apps". Shared constant text. */
size_t schema_storage_prefix (const struct schema_kind *k, char *out, size_t size);

/* Lookups in the built-in tables; NULL when unknown. */
const struct schema_kind *schema_kind_by_resource (const char *group, const char *version, const char *resource);
const struct schema_kind *schema_kind_by_kind (const char *group, const char *version, const char *kind);
const struct schema_kind *schema_kind_at (size_t i); /* all of them in a fixed order; NULL past the end */
const struct schema_type *schema_type_find (const char *group_version, const char *name);
const struct schema_type *schema_type_at (size_t i);
const struct schema_subresource *schema_subresource_find (const struct schema_kind *k, const char *name); /* NULL when it has none such */
/* The order of discovery, and spec.groupPriorityMinimum and versionPriority of the built-in APIServices; false when unknown. */
bool schema_group_version_priority (const char *group, const char *version, int *ret_group, int *ret_version);
const struct schema_field *schema_field_find (const struct schema_type *t, const char *name, size_t name_len);

#endif
