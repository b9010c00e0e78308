#include "services/common/informer_internal.h"

struct collect {
  struct index_key *keys;
  size_t count;
  bool failed;
};

static void
omap_free_cb (void *value)
{
  omap_free (value);
}

static void
add_key (void *ctx, const char *key)
{
  struct collect *c = ctx;
  struct index_key *k;
  if (!key)
    return;
  for (k = c->keys; k; k = k->next)
    if (!strcmp (k->key, key))
      return;
  if (c->count >= INFORMER_INDEX_KEYS_MAX || !(k = mem_zalloc (sizeof *k + strlen (key) + 1))) {
    c->failed = true;
    return;
  }
  memcpy (k->key, key, strlen (key) + 1);
  k->next = c->keys;
  c->keys = k;
  c->count++;
}

static void
leave (struct informer_index *x, struct index_key **keys, const char *key)
{
  for (struct index_key *k = *keys, *next; k; k = next) {
    struct omap *posting = map_get (x->postings, k->key);
    next = k->next;
    if (posting)
      (void) omap_delete (posting, key);
    if (posting && !omap_count (posting))
      (void) map_delete (x->postings, k->key);
    free (k);
  }
  *keys = NULL;
}

static int
enter (struct informer_index *x, struct index_key *keys, const char *key, struct entry *e)
{
  if (!x->postings && !(x->postings = map_new (omap_free_cb)))
    return ERR_NOMEM;
  for (struct index_key *k = keys; k; k = k->next) {
    struct omap *posting = map_get (x->postings, k->key);
    if (!posting) {
      if (!(posting = omap_new (NULL)))
        return ERR_NOMEM;
      if (map_set (x->postings, k->key, posting)) {
        omap_free (posting);
        return ERR_NOMEM;
      }
    }
    if (omap_set (posting, key, e))
      return ERR_NOMEM;
  }
  return 0;
}

int
informer_index_update (struct informer_index *indexes, size_t n, struct entry *e, const char *key)
{
  struct arena a AUTO_ARENA = {0};
  struct value *tree = n && e->object ? object_value (e->object, &a) : NULL;
  int r = 0;
  for (size_t i = 0; i < n; i++) {
    struct collect c = {0};
    if (e->keys[i])
      leave (&indexes[i], &e->keys[i], key);
    if (r || !tree)
      continue;
    indexes[i].cb (tree, add_key, &c);
    e->keys[i] = c.keys;
    r = c.failed ? ERR_NOMEM : enter (&indexes[i], c.keys, key, e);
  }
  return r;
}

void
informer_index_done (struct informer_index *x)
{
  map_free (x->postings);
  free (x->name);
}
