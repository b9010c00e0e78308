/* Maps from byte-string keys to pointers. map: hashed, unordered. omap: ordered by key bytes (memcmp, then length).
   Keys are copied in; values are the caller's (freed by free_cb when one is given). Not thread-safe. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void (*map_free_cb) (void *value);

struct map;
struct map *map_new (map_free_cb free_cb); /* NULL when out of memory; free_cb may be NULL */
void map_free (struct map *m);             /* NULL allowed */
/* Sets key to value (non-NULL), freeing a value that it replaces. 0 or ERR_NOMEM (the old value stays). */
int map_set (struct map *m, const char *key, void *value);
int map_set_n (struct map *m, const void *key, size_t key_len, void *value);
void *map_get (const struct map *m, const char *key); /* NULL when absent */
void *map_get_n (const struct map *m, const void *key, size_t key_len);
bool map_delete (struct map *m, const char *key);     /* frees the value; false when absent */
void *map_remove (struct map *m, const char *key);    /* like delete but hands the value out */
size_t map_count (const struct map *m);
/* Iteration in no order: for (size_t it = 0; map_next (m, &it, &key, &value);). The map may be changed during it only by
   deleting the entry just returned. key is NUL-terminated. */
bool map_next (const struct map *m, size_t *it, const char **ret_key, void **ret_value);

uint64_t hash_bytes (const void *p, size_t n, uint64_t seed); /* well mixed, stable across processes and machines */

struct omap;
struct omap_node;
struct omap *omap_new (map_free_cb free_cb);
void omap_free (struct omap *m);
int omap_set (struct omap *m, const char *key, void *value);
int omap_set_n (struct omap *m, const void *key, size_t key_len, void *value);
void *omap_get (const struct omap *m, const char *key);
void *omap_get_n (const struct omap *m, const void *key, size_t key_len);
bool omap_delete (struct omap *m, const char *key);
bool omap_delete_n (struct omap *m, const void *key, size_t key_len);
void *omap_remove (struct omap *m, const char *key);
size_t omap_count (const struct omap *m);
/* First node with key >= the given one (NULL key: the first of all); NULL at the end. Nodes stay valid until deleted. */
struct omap_node *omap_seek (const struct omap *m, const char *key);
struct omap_node *omap_seek_n (const struct omap *m, const void *key, size_t key_len);
struct omap_node *omap_next (const struct omap *m, struct omap_node *n);
struct omap_node *omap_prev (const struct omap *m, struct omap_node *n);
const char *omap_key (const struct omap_node *n); /* NUL-terminated */
size_t omap_key_len (const struct omap_node *n);
void *omap_value (const struct omap_node *n);

#endif
