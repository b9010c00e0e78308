/* metadata.managedFields as sets: decoding, encoding in upstream's order, bounding. */
#ifndef SCHEMAS_APPLY_MANAGERS_H
#define SCHEMAS_APPLY_MANAGERS_H

#include "schemas/fieldset.h"

struct manager {
  const char *name, *operation /* Apply or Update */, *api_version, *time, *subresource;
  struct fieldset *set;
};
struct managers {
  struct arena *arena;
  struct manager *items;
  size_t n, cap;
};

#define MANAGERS_MAX 1000

/* The entries of a managedFields array (NULL: none); entries of the same manager are joined. ERR_PARSE. */
int managers_decode (struct arena *a, const struct value *managed_fields, struct managers *ret, struct err *err);
struct value *managers_encode (struct managers *m); /* sorts; NULL when there are none */
/* Who is the same: manager, operation and subresource, and of updates the API version too. */
struct manager *managers_find (struct managers *m, const char *name, const char *operation, const char *api_version,
                               const char *subresource);
struct manager *managers_add (struct managers *m, const char *name, const char *operation, const char *api_version,
                              const char *subresource); /* with an empty set; NULL: out of memory or too many */
void managers_drop_empty (struct managers *m);
/* Merges the oldest updates into "ancient-changes" until at most limit updates are left, or one a version. */
void managers_bound (struct managers *m, size_t limit);

#endif
