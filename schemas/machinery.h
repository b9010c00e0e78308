/* What the tables drive: pruning, defaulting, validation, patches, apply, selectors, printing. Each function works on
   trees in the caller's arena and has no other state. */
#ifndef SCHEMAS_MACHINERY_H
#define SCHEMAS_MACHINERY_H

#include "base/buf.h"
#include "schemas/schema.h"

/* ---- decode: schemas/prune.c ---- */
enum schema_unknown { SCHEMA_UNKNOWN_DROP, SCHEMA_UNKNOWN_WARN, SCHEMA_UNKNOWN_STRICT };
/* Checks obj against the type as upstream's decoder does: wrong JSON types are ERR_PARSE with upstream's words ("json:
   cannot unmarshal string into Go struct field ..."), unknown fields are removed and (WARN, STRICT) named in
   ret_unknown, an array of strings like unknown field "spec.foo"; null fields are removed; empty omitempty structs stay. */
int schema_decode (struct arena *a, const struct schema_type *t, struct value *obj, enum schema_unknown mode,
                   struct value *ret_unknown, struct err *err);

/* ---- defaults: schemas/defaults.c (static rows) and schemas/defaults_<group>.c (computed) ---- */
void schema_default (struct arena *a, const struct schema_kind *k, struct value *obj);
void schema_default_type (struct arena *a, const struct schema_type *t, struct value *v); /* static rows only */

/* ---- validation: rows, then one function a kind ---- */
struct schema_cause { /* one StatusCause */
  const char *reason;  /* FieldValueRequired, FieldValueInvalid, FieldValueNotSupported, FieldValueForbidden, FieldValueDuplicate, FieldValueTooLong, FieldValueTooMany, FieldValueNotFound, FieldValueTypeInvalid */
  const char *field;   /* spec.containers[0].name */
  const char *message; /* Invalid value: "X": a lowercase RFC 1123 label must ... (upstream's words, with the prefix by reason) */
};
struct schema_causes {
  struct arena *arena;
  struct schema_cause *items;
  size_t count, cap;
};
void schema_causes_add (struct schema_causes *c, const char *reason, const char *field, const char *fmt, ...)
    __attribute__ ((format (printf, 4, 5)));
/* old NULL: create. Else update rules too (immutable fields). subresource "" or "status". */
void schema_validate (const struct schema_kind *k, const struct value *obj, const struct value *old, const char *subresource,
                      struct schema_causes *causes);

/* ---- patches: schemas/patch_json.c patch_merge.c patch_strategic.c ---- */
/* Each gives the patched tree (obj is not changed). ERR_PARSE for a malformed patch, ERR_INVALID where upstream answers
   422 (a JSON patch "test" that fails, a missing path). */
int patch_json (struct arena *a, const struct value *obj, const struct value *patch, struct value **ret, struct err *err);
int patch_merge (struct arena *a, const struct value *obj, const struct value *patch, struct value **ret, struct err *err);
int patch_strategic (struct arena *a, const struct schema_type *t, const struct value *obj, const struct value *patch,
                     struct value **ret, struct err *err);

/* ---- server-side apply: schemas/apply.c (structured-merge-diff after the tables) ---- */
struct apply_conflict {
  const char *manager, *field, *group_version, *time; /* field as ".spec.replicas" */
  const char *subresource;
};
struct apply_request {
  const struct schema_type *type;
  const char *manager, *api_version, *subresource; /* subresource "" for the main one */
  const char *now;    /* RFC 3339 */
  bool force;
  const char *const *reset_fields; /* NULL-terminated paths that this endpoint does not set ("status"), never owned; NULL: none */
  size_t managed_fields_limit; /* update managers beyond it are merged into "ancient-changes"; 0: 10 */
};
/* Applies config to live (NULL: create), updating metadata.managedFields. ERR_CONFLICT with the conflicts listed. */
int apply_server_side (struct arena *a, const struct apply_request *rq, const struct value *live, const struct value *config,
                       struct value **ret, struct apply_conflict **ret_conflicts, size_t *ret_n_conflicts, struct err *err);
/* After a create, update or other patch: obj (changed in place) gets managedFields that record what rq->manager changed
   against live (NULL: create). */
int apply_track_update (struct arena *a, const struct apply_request *rq, const struct value *live, struct value *obj, struct err *err);

/* ---- selectors: schemas/selector.c ---- */
struct selector; /* label or field selector */
int selector_parse_labels (struct arena *a, const char *text, struct selector **ret, struct err *err);        /* "app=x,tier in (a,b),!c" */
int selector_from_label_selector (struct arena *a, const struct value *label_selector, struct selector **ret, struct err *err); /* metav1.LabelSelector; NULL value selects nothing, {} everything */
int selector_from_map (struct arena *a, const struct value *labels, struct selector **ret, struct err *err);  /* spec.selector of a Service or RC */
bool selector_matches (const struct selector *s, const struct value *labels); /* NULL selector matches all */
const char *selector_string (struct arena *a, const struct selector *s);      /* canonical text, as in scale.status.selector */
/* "metadata.name=x,status.phase!=Running": only =, == and !=; ERR_INVALID naming a field that the kind does not select by. */
int selector_parse_fields (struct arena *a, const struct schema_kind *k, const char *text, struct selector **ret, struct err *err);
bool selector_matches_fields (const struct selector *s, const struct schema_kind *k, const struct value *obj);
/* The value that a field selector requires equal for that path, or NULL (to use an index). */
const char *selector_required_value (const struct selector *s, const char *path);

/* ---- quantities: schemas/quantity.c ---- */
/* value in nano units would overflow: exact decimal as mantissa * 10^exponent, with upstream's three formats. */
struct quantity {
  __int128 nano; /* value * 10^9 */
  char format;   /* 'B' binary SI, 'D' decimal SI, 'E' decimal exponent */
};
int quantity_parse (const char *text, struct quantity *ret, struct err *err);
const char *quantity_format (const struct quantity *q, char out[64]); /* canonical */
int64_t quantity_value (const struct quantity *q);       /* rounded up */
int64_t quantity_milli_value (const struct quantity *q); /* rounded up, saturated */
int64_t quantity_of (const struct value *v, bool milli); /* string or number tree node; 0 when absent or malformed */

/* ---- names: schemas/names.c; each gives NULL or upstream's message ---- */
const char *name_dns1123_label (const char *s);
const char *name_dns1123_subdomain (const char *s);
const char *name_dns1035_label (const char *s);
const char *name_qualified (const char *s); /* label and annotation keys */
const char *name_label_value (const char *s);

/* ---- printing: schemas/printers.c ---- */
/* The cells of obj's row for k's columns (an array tree), now in wall microseconds for ages. */
struct value *printer_cells (struct arena *a, const struct schema_kind *k, const struct value *obj, int64_t now_us);
const char *printer_age (struct arena *a, const char *rfc3339, int64_t now_us); /* "5m10s" as kubectl prints; "<unknown>" */

/* ---- documents: schemas/openapi.c discovery.c ---- */
/* Whole documents as JSON, written to out; kinds are the built-in ones plus extra (custom resources), NULL allowed. */
struct schema_set {
  const struct schema_kind *const *extra;
  size_t n_extra;
};
void openapi_v2_json (const struct schema_set *set, struct buf *out);
void openapi_v2_protobuf (const struct schema_set *set, struct buf *out); /* gnostic openapi.v2.Document: what kubectl <= 1.26 and client-go ask for */
void openapi_v3_index_json (const struct schema_set *set, struct buf *out); /* /openapi/v3 */
int openapi_v3_group_json (const struct schema_set *set, const char *group_version_path, struct buf *out); /* "api/v1", "apis/apps/v1"; ERR_NOT_FOUND */
void discovery_api_versions (const char *server_address, struct buf *out);                      /* /api */
void discovery_groups (const struct schema_set *set, struct buf *out);                          /* /apis */
int discovery_group (const struct schema_set *set, const char *group, struct buf *out);         /* /apis/apps */
int discovery_resources (const struct schema_set *set, const char *group, const char *version, struct buf *out); /* APIResourceList */
void discovery_aggregated (const struct schema_set *set, bool core, const char *version /* v2, v2beta1 */, struct buf *out);

#endif
