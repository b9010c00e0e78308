#ifndef SERVICES_COMMON_INFORMER_INTERNAL_H
#define SERVICES_COMMON_INFORMER_INTERNAL_H

#include "base/map.h"
#include "services/common/informer.h"

enum { INFORMER_INDEXES_MAX = 8, INFORMER_INDEX_KEYS_MAX = 1024 };

struct index_key {
  struct index_key *next;
  char key[];
};
struct entry { /* what an informer knows of a key */
  struct object *object;
  uint64_t generation; /* of the snapshot that it was last seen in */
  struct index_key *keys[INFORMER_INDEXES_MAX];
};
struct informer_index {
  char *name;
  informer_index_cb cb;
  struct map *postings; /* index key -> omap of object key -> entry */
};
struct object *object_new (const char *key, const struct bus_change *c); /* NULL: out of memory */

/* Brings the indexes to what the entry's object is now; without an object it leaves them. ERR_NOMEM: it is in none. */
int informer_index_update (struct informer_index *indexes, size_t n, struct entry *e, const char *key);
void informer_index_done (struct informer_index *x);

#endif
