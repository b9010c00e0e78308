#include "base/map.h"

#include <bsd/sys/tree.h>

#include "base/err.h"
#include "base/mem.h"

struct entry {
  void *value;
  uint64_t hash;
  size_t len;
  char key[];
};

/* Open addressing, linear probing; a deleted slot holds &tombstone. Capacity is a power of two. */
struct map {
  struct entry **slots;
  size_t cap, count, used; /* used counts tombstones too */
  map_free_cb free_cb;
};

static struct entry tombstone;

uint64_t
hash_bytes (const void *p, size_t n, uint64_t seed)
{
  const uint8_t *b = p;
  uint64_t h = 0xcbf29ce484222325u ^ seed;
  for (size_t i = 0; i < n; i++)
    h = (h ^ b[i]) * 0x100000001b3u;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
  return h ^ (h >> 31);
}

struct map *
map_new (map_free_cb free_cb)
{
  struct map *m = mem_zalloc (sizeof *m);
  if (m)
    m->free_cb = free_cb;
  return m;
}

static void
entry_free (struct map *m, struct entry *e)
{
  if (m->free_cb)
    m->free_cb (e->value);
  free (e);
}

void
map_free (struct map *m)
{
  if (!m)
    return;
  for (size_t i = 0; i < m->cap; i++)
    if (m->slots[i] && m->slots[i] != &tombstone)
      entry_free (m, m->slots[i]);
  free (m->slots);
  free (m);
}

static struct entry **
find (const struct map *m, const void *key, size_t len, uint64_t hash)
{
  if (!m || !m->cap)
    return NULL;
  for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
    struct entry *e = m->slots[i];
    if (!e)
      return NULL;
    if (e != &tombstone && e->hash == hash && e->len == len && !memcmp (e->key, key, len))
      return &m->slots[i];
  }
}

static void
place (struct entry **slots, size_t cap, struct entry *e)
{
  size_t i = e->hash & (cap - 1);
  while (slots[i] && slots[i] != &tombstone)
    i = (i + 1) & (cap - 1);
  slots[i] = e;
}

static int
grow (struct map *m)
{
  size_t cap = m->count * 4 < m->cap ? m->cap : m->cap ? m->cap * 2 : 8;
  struct entry **slots;
  if ((m->used + 1) * 4 <= m->cap * 3)
    return 0;
  if (!(slots = mem_zalloc (cap * sizeof (struct entry *))))
    return ERR_NOMEM;
  for (size_t i = 0; i < m->cap; i++)
    if (m->slots[i] && m->slots[i] != &tombstone)
      place (slots, cap, m->slots[i]);
  free (m->slots);
  m->slots = slots;
  m->cap = cap;
  m->used = m->count;
  return 0;
}

int
map_set_n (struct map *m, const void *key, size_t len, void *value)
{
  uint64_t hash = hash_bytes (key, len, 0);
  struct entry **at = find (m, key, len, hash), *e;
  REQUIRE (value);
  if (at) {
    if (m->free_cb && (*at)->value != value)
      m->free_cb ((*at)->value);
    (*at)->value = value;
    return 0;
  }
  if (grow (m))
    return ERR_NOMEM;
  if (!(e = mem_zalloc (sizeof *e + len + 1)))
    return ERR_NOMEM;
  e->value = value;
  e->hash = hash;
  e->len = len;
  memcpy (e->key, key, len);
  place (m->slots, m->cap, e);
  m->count++;
  m->used++;
  return 0;
}

int
map_set (struct map *m, const char *key, void *value)
{
  return map_set_n (m, key, strlen (key), value);
}

void *
map_get_n (const struct map *m, const void *key, size_t len)
{
  struct entry **at = find (m, key, len, hash_bytes (key, len, 0));
  return at ? (*at)->value : NULL;
}

void *
map_get (const struct map *m, const char *key)
{
  return map_get_n (m, key, strlen (key));
}

void *
map_remove (struct map *m, const char *key)
{
  size_t len = strlen (key);
  struct entry **at = find (m, key, len, hash_bytes (key, len, 0));
  void *v;
  if (!at)
    return NULL;
  v = (*at)->value;
  free (*at);
  *at = &tombstone;
  m->count--;
  return v;
}

bool
map_delete (struct map *m, const char *key)
{
  void *v = map_remove (m, key);
  if (v && m->free_cb)
    m->free_cb (v);
  return v != NULL;
}

size_t
map_count (const struct map *m)
{
  return m ? m->count : 0;
}

bool
map_next (const struct map *m, size_t *it, const char **ret_key, void **ret_value)
{
  for (; m && *it < m->cap; ++*it) {
    struct entry *e = m->slots[*it];
    if (!e || e == &tombstone)
      continue;
    if (ret_key)
      *ret_key = e->key;
    if (ret_value)
      *ret_value = e->value;
    ++*it;
    return true;
  }
  return false;
}

/* ---- ordered ---------------------------------------------------------------------------------------------------- */

struct omap_node {
  RB_ENTRY (omap_node) link;
  void *value;
  size_t len;
  const char *key; /* own storage follows the node; a search node points to the caller's */
  char storage[];
};

static int
node_compare (struct omap_node *a, struct omap_node *b)
{
  int c = memcmp (a->key, b->key, a->len < b->len ? a->len : b->len);
  return c ? c : (a->len > b->len) - (a->len < b->len);
}

RB_HEAD (omap_tree, omap_node);
struct omap {
  struct omap_tree tree;
  size_t count;
  map_free_cb free_cb;
};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
RB_GENERATE_INTERNAL (omap_tree, omap_node, link, node_compare, static)
#pragma GCC diagnostic pop

struct omap *
omap_new (map_free_cb free_cb)
{
  struct omap *m = mem_zalloc (sizeof *m);
  if (m) {
    RB_INIT (&m->tree);
    m->free_cb = free_cb;
  }
  return m;
}

static void
node_free (struct omap *m, struct omap_node *n)
{
  if (m->free_cb)
    m->free_cb (n->value);
  free (n);
}

void
omap_free (struct omap *m)
{
  if (!m)
    return;
  for (struct omap_node *n = RB_MIN (omap_tree, &m->tree), *next; n; n = next) {
    next = RB_NEXT (omap_tree, &m->tree, n);
    RB_REMOVE (omap_tree, &m->tree, n);
    node_free (m, n);
  }
  free (m);
}

static struct omap_node *
node_find (const struct omap *m, const void *key, size_t len)
{
  struct omap_node probe = {.key = key, .len = len};
  return m ? RB_FIND (omap_tree, (struct omap_tree *) &m->tree, &probe) : NULL;
}

int
omap_set_n (struct omap *m, const void *key, size_t len, void *value)
{
  struct omap_node *n = node_find (m, key, len);
  REQUIRE (value);
  if (n) {
    if (m->free_cb && n->value != value)
      m->free_cb (n->value);
    n->value = value;
    return 0;
  }
  if (!(n = mem_zalloc (sizeof *n + len + 1)))
    return ERR_NOMEM;
  memcpy (n->storage, key, len);
  n->key = n->storage;
  n->len = len;
  n->value = value;
  RB_INSERT (omap_tree, &m->tree, n);
  m->count++;
  return 0;
}

int
omap_set (struct omap *m, const char *key, void *value)
{
  return omap_set_n (m, key, strlen (key), value);
}

void *
omap_get_n (const struct omap *m, const void *key, size_t len)
{
  struct omap_node *n = node_find (m, key, len);
  return n ? n->value : NULL;
}

void *
omap_get (const struct omap *m, const char *key)
{
  return omap_get_n (m, key, strlen (key));
}

static void *
remove_node (struct omap *m, struct omap_node *n)
{
  void *v = n->value;
  RB_REMOVE (omap_tree, &m->tree, n);
  m->count--;
  free (n);
  return v;
}

void *
omap_remove (struct omap *m, const char *key)
{
  struct omap_node *n = node_find (m, key, strlen (key));
  return n ? remove_node (m, n) : NULL;
}

bool
omap_delete_n (struct omap *m, const void *key, size_t len)
{
  struct omap_node *n = node_find (m, key, len);
  void *v;
  if (!n)
    return false;
  v = remove_node (m, n);
  if (m->free_cb)
    m->free_cb (v);
  return true;
}

bool
omap_delete (struct omap *m, const char *key)
{
  return omap_delete_n (m, key, strlen (key));
}

size_t
omap_count (const struct omap *m)
{
  return m ? m->count : 0;
}

struct omap_node *
omap_seek_n (const struct omap *m, const void *key, size_t len)
{
  struct omap_node probe = {.key = key, .len = len};
  return m ? RB_NFIND (omap_tree, (struct omap_tree *) &m->tree, &probe) : NULL;
}

struct omap_node *
omap_seek (const struct omap *m, const char *key)
{
  if (!key)
    return m ? RB_MIN (omap_tree, (struct omap_tree *) &m->tree) : NULL;
  return omap_seek_n (m, key, strlen (key));
}

struct omap_node *
omap_next (const struct omap *m, struct omap_node *n)
{
  (void) m;
  return RB_NEXT (omap_tree, &m->tree, n);
}

struct omap_node *
omap_prev (const struct omap *m, struct omap_node *n)
{
  (void) m;
  return RB_PREV (omap_tree, &m->tree, n);
}

const char *
omap_key (const struct omap_node *n)
{
  return n->key;
}

size_t
omap_key_len (const struct omap_node *n)
{
  return n->len;
}

void *
omap_value (const struct omap_node *n)
{
  return n->value;
}
