/* The store's frame: names, lookups, lists, removal and garbage collection. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "schemas/json.h"
#include "services/kubelet/image_internal.h"

char *
image_blob_path (const struct image_store *s, const char *digest)
{
  return mem_printf ("%s/blobs/sha256/%s", s->root, digest + 7);
}

void
image_layer_name (const char *diff_id, char out[IMAGE_LAYER_NAME_SIZE])
{
  snprintf (out, IMAGE_LAYER_NAME_SIZE, "%.24s", diff_id + 7);
}

char *
image_layer_path (const struct image_store *s, const char *diff_id)
{
  char name[IMAGE_LAYER_NAME_SIZE];
  image_layer_name (diff_id, name);
  return mem_printf ("%s/layers/%s", s->root, name);
}

char *
image_temp_path (struct image_store *s)
{
  return mem_printf ("%s/tmp/%u", s->root, ++s->temp_count);
}

int
image_read_json (struct arena *a, const char *path, struct value **ret, struct err *err)
{
  struct buf b AUTO_BUF = BUF_INIT;
  int rc;
  if ((rc = file_read (path, IMAGE_METADATA_MAX, &b, err)))
    return rc;
  if ((rc = json_parse (a, buf_cstr (&b), b.len, ret, NULL, err)))
    return err_wrap (err, "%s", path);
  return 0;
}

int
image_check (const struct value *manifest, const struct value *config, struct err *err)
{
  const struct value *layers = value_get (manifest, "layers"), *diffs = value_path (config, "rootfs.diff_ids");
  if (!value_is (layers, VALUE_ARRAY) || !value_is (diffs, VALUE_ARRAY) || value_count (layers) != value_count (diffs))
    return err_set (err, ERR_INVALID, "image: %zu layers but %zu diff ids", value_count (layers), value_count (diffs));
  if (value_count (layers) > IMAGE_LAYERS_MAX)
    return err_set (err, ERR_LIMIT, "image: %zu layers, at most %d", value_count (layers), IMAGE_LAYERS_MAX);
  for (size_t i = 0; i < value_count (layers); i++)
    if (!image_digest_valid (value_path_string (value_at (layers, i), "digest", "")) ||
        !image_digest_valid (value_as_string (value_at (diffs, i), "")))
      return err_set (err, ERR_INVALID, "image: layer %zu has no sha256 digest", i);
  return 0;
}

static int
save_refs (struct image_store *s, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct buf b AUTO_BUF = BUF_INIT;
  struct value *root;
  char *path AUTO_FREE = mem_printf ("%s/refs.json", s->root);
  const char *key;
  void *v;
  arena_init (&a, 0);
  root = value_map (&a);
  for (size_t it = 0; map_next (s->refs, &it, &key, &v);)
    value_set_string (&a, root, key, v);
  json_write (root, 2, &b);
  if (!path || a.failed || b.failed)
    return err_set (err, ERR_NOMEM, "image names");
  return file_write_atomic (path, b.data, b.len, 0644, err);
}

static int
load_refs (struct image_store *s, struct err *err)
{
  struct arena a AUTO_ARENA = {0};
  struct value *root = NULL;
  char *path AUTO_FREE = mem_printf ("%s/refs.json", s->root);
  int rc;
  arena_init (&a, 0);
  if (!path)
    return err_set (err, ERR_NOMEM, "image names");
  if (!file_exists (path))
    return 0;
  if ((rc = image_read_json (&a, path, &root, err)))
    return rc;
  for (value_each (root, m)) {
    const char *digest = value_as_string (m->value, "");
    char *copy = image_digest_valid (digest) ? mem_strdup (digest) : NULL;
    if (copy && map_set (s->refs, m->key, copy)) {
      free (copy);
      return err_set (err, ERR_NOMEM, "image names");
    }
  }
  return 0;
}

int
image_set_ref (struct image_store *s, const char *name, const char *manifest, struct err *err)
{
  char *copy = mem_strdup (manifest);
  int rc;
  pthread_mutex_lock (&s->lock);
  if (!copy || map_set (s->refs, name, copy)) {
    free (copy);
    rc = err_set (err, ERR_NOMEM, "image name %s", name);
  } else {
    rc = save_refs (s, err);
  }
  pthread_mutex_unlock (&s->lock);
  return rc;
}

struct image_store *
image_store_open (const char *root, struct err *err)
{
  struct image_store *s = mem_zalloc (sizeof *s);
  static const char *const dirs[] = {"blobs/sha256", "layers", "tmp"};
  char *tmp AUTO_FREE = NULL;
  if (!s) {
    err_set (err, ERR_NOMEM, "image store");
    return NULL;
  }
  pthread_mutex_init (&s->lock, NULL);
  pthread_mutex_init (&s->import, NULL);
  s->refs = map_new (free);
  s->pins = map_new (NULL);
  if (file_mkdirs (root, 0711, err))
    goto fail;
  s->root = realpath (root, NULL);
  tmp = s->root ? mem_printf ("%s/tmp", s->root) : NULL;
  if (!tmp || !s->refs || !s->pins) {
    err_set (err, ERR_NOMEM, "image store");
    goto fail;
  }
  if (file_remove_tree (tmp, err))
    goto fail;
  for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
    char *dir AUTO_FREE = mem_printf ("%s/%s", s->root, dirs[i]);
    if (!dir) {
      err_set (err, ERR_NOMEM, "image store");
      goto fail;
    }
    if (file_mkdirs (dir, 0711, err))
      goto fail;
  }
  if (load_refs (s, err))
    goto fail;
  return s;
fail:
  err_wrap (err, "image store %s", root);
  image_store_close (s);
  return NULL;
}

void
image_store_close (struct image_store *s)
{
  if (!s)
    return;
  map_free (s->refs);
  map_free (s->pins);
  pthread_mutex_destroy (&s->lock);
  pthread_mutex_destroy (&s->import);
  free (s->root);
  free (s);
}

void
image_free (struct image *i)
{
  if (!i)
    return;
  arena_done (&i->arena);
  free (i);
}

static int
load_image (struct image_store *s, const char *manifest_digest, struct image **ret, struct err *err)
{
  struct image *i = mem_zalloc (sizeof *i);
  struct value *manifest = NULL, *config = NULL, *diffs;
  char *path AUTO_FREE = image_blob_path (s, manifest_digest);
  char *config_path AUTO_FREE = NULL;
  const char *id;
  int rc;
  if (!i || !path) {
    free (i);
    return err_set (err, ERR_NOMEM, "image");
  }
  arena_init (&i->arena, 32u << 20);
  if ((rc = image_read_json (&i->arena, path, &manifest, err)))
    goto fail;
  id = value_path_string (manifest, "config.digest", "");
  if (!image_digest_valid (id)) {
    rc = err_set (err, ERR_CORRUPT, "image %s: no config", manifest_digest);
    goto fail;
  }
  if (!(config_path = image_blob_path (s, id))) {
    rc = err_set (err, ERR_NOMEM, "image");
    goto fail;
  }
  if ((rc = image_read_json (&i->arena, config_path, &config, err)) || (rc = image_check (manifest, config, err)))
    goto fail;
  diffs = value_path (config, "rootfs.diff_ids");
  i->id = id;
  i->manifest = arena_strdup (&i->arena, manifest_digest);
  i->config = config;
  i->layers_dir = arena_printf (&i->arena, "%s/layers", s->root);
  i->layers = arena_zalloc (&i->arena, (value_count (diffs) + 1) * sizeof *i->layers);
  for (size_t k = 0; i->layers && k < value_count (diffs); k++) {
    char name[IMAGE_LAYER_NAME_SIZE];
    image_layer_name (value_as_string (value_at (diffs, k), ""), name);
    i->layers[i->n_layers++] = arena_strdup (&i->arena, name);
  }
  if (!arena_ok (&i->arena)) {
    rc = err_set (err, ERR_NOMEM, "image");
    goto fail;
  }
  *ret = i;
  return 0;
fail:
  image_free (i);
  return rc;
}

/* The manifest digest that ref leads to, copied to out. Config digests are looked for in every manifest. */
static int
find (struct image_store *s, const char *ref, char out[IMAGE_DIGEST_SIZE], struct err *err)
{
  char name[IMAGE_REF_MAX];
  const char *at, *key, *digest = NULL;
  void *v;
  int rc = 0;
  bool found = false;
  if (image_digest_valid (ref)) {
    digest = ref;
  } else {
    if ((rc = image_ref_normalise (ref, name, err)))
      return rc;
    if ((at = strchr (name, '@')))
      digest = at + 1;
  }
  pthread_mutex_lock (&s->lock);
  if (!digest && (v = map_get (s->refs, name))) {
    memcpy (out, v, strlen (v) + 1);
    found = true;
  }
  for (size_t it = 0; digest && !found && map_next (s->refs, &it, &key, &v);) {
    if (!strcmp (v, digest) || !strcmp (key, digest) || ((at = strchr (key, '@')) && !strcmp (at + 1, digest))) {
      memcpy (out, v, strlen (v) + 1);
      found = true;
    }
  }
  for (size_t it = 0; digest && !found && map_next (s->refs, &it, &key, &v);) {
    struct arena a AUTO_ARENA = {0};
    struct value *m = NULL;
    char *path AUTO_FREE = image_blob_path (s, v);
    arena_init (&a, 0);
    if (path && !image_read_json (&a, path, &m, NULL) && !strcmp (value_path_string (m, "config.digest", ""), digest)) {
      memcpy (out, v, strlen (v) + 1);
      found = true;
    }
  }
  pthread_mutex_unlock (&s->lock);
  return found ? 0 : err_set (err, ERR_NOT_FOUND, "image %s is not present", ref);
}

int
image_resolve (struct image_store *s, const char *ref, struct image **ret, struct err *err)
{
  char manifest[IMAGE_DIGEST_SIZE];
  int rc;
  if ((rc = find (s, ref, manifest, err)))
    return rc;
  return load_image (s, manifest, ret, err);
}

int
image_list (struct image_store *s, struct arena *a, struct value **ret, struct err *err)
{
  struct value *list = value_array (a), *by_manifest = value_map (a);
  const char *key;
  void *v;
  pthread_mutex_lock (&s->lock);
  for (size_t it = 0; map_next (s->refs, &it, &key, &v);)
    value_append (a, value_ensure_array (a, by_manifest, v), value_string (a, key));
  pthread_mutex_unlock (&s->lock);
  for (value_each (by_manifest, m)) {
    struct value *manifest = NULL, *row = value_map (a);
    char *path AUTO_FREE = image_blob_path (s, m->key);
    int64_t size;
    if (!path || image_read_json (a, path, &manifest, NULL))
      continue; /* removed meanwhile */
    size = value_path_int (manifest, "config.size", 0);
    for (value_items (value_get (manifest, "layers"), it))
      size += value_path_int (*it, "size", 0);
    value_set_string (a, row, "id", value_path_string (manifest, "config.digest", ""));
    value_set_string (a, row, "manifest", m->key);
    value_set (a, row, "names", m->value);
    value_set_int (a, row, "size", size);
    value_append (a, list, row);
  }
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "image list");
  *ret = list;
  return 0;
}

int
image_pin (struct image_store *s, const char *manifest)
{
  int rc;
  pthread_mutex_lock (&s->lock);
  rc = map_set (s->pins, manifest, (void *) ((intptr_t) map_get (s->pins, manifest) + 1));
  pthread_mutex_unlock (&s->lock);
  return rc;
}

void
image_unpin (struct image_store *s, const char *manifest)
{
  intptr_t n;
  pthread_mutex_lock (&s->lock);
  n = (intptr_t) map_get (s->pins, manifest);
  if (n <= 1)
    map_delete (s->pins, manifest);
  else
    (void) map_set (s->pins, manifest, (void *) (n - 1));
  pthread_mutex_unlock (&s->lock);
}

/* Marks what a manifest needs. A manifest that cannot be read keeps nothing: it is of no use either. */
static void
mark (struct image_store *s, struct map *keep, const char *manifest_digest)
{
  struct arena a AUTO_ARENA = {0};
  struct value *manifest = NULL, *config = NULL;
  char *path AUTO_FREE = image_blob_path (s, manifest_digest);
  char *config_path AUTO_FREE = NULL;
  const char *id;
  arena_init (&a, 0);
  (void) map_set (keep, manifest_digest + 7, keep);
  if (!path || image_read_json (&a, path, &manifest, NULL))
    return;
  id = value_path_string (manifest, "config.digest", "");
  if (!image_digest_valid (id) || !(config_path = image_blob_path (s, id)))
    return;
  (void) map_set (keep, id + 7, keep);
  for (value_items (value_get (manifest, "layers"), it))
    if (image_digest_valid (value_path_string (*it, "digest", "")))
      (void) map_set (keep, value_path_string (*it, "digest", "") + 7, keep);
  if (image_read_json (&a, config_path, &config, NULL))
    return;
  for (value_items (value_path (config, "rootfs.diff_ids"), it)) {
    char name[IMAGE_LAYER_NAME_SIZE];
    if (image_digest_valid (value_as_string (*it, ""))) {
      image_layer_name (value_as_string (*it, ""), name);
      (void) map_set (keep, name, keep);
    }
  }
}

static int
sweep (const char *root, const char *sub, const struct map *keep, struct err *err)
{
  char *dir AUTO_FREE = mem_printf ("%s/%s", root, sub);
  char **names = NULL;
  size_t n = 0;
  int rc;
  if (!dir)
    return err_set (err, ERR_NOMEM, "image garbage");
  if ((rc = file_list (dir, 1000000, &names, &n, err)))
    return rc;
  for (size_t i = 0; i < n && !rc; i++) {
    char *path AUTO_FREE = NULL;
    if (map_get (keep, names[i]))
      continue;
    path = mem_printf ("%s/%s", dir, names[i]);
    rc = path ? file_remove_tree (path, err) : err_set (err, ERR_NOMEM, "image garbage");
  }
  free (names);
  return rc;
}

int
image_collect (struct image_store *s, struct err *err)
{
  struct map *keep = map_new (NULL);
  const char *key;
  void *v;
  int rc;
  if (!keep)
    return err_set (err, ERR_NOMEM, "image garbage");
  pthread_mutex_lock (&s->lock);
  for (size_t it = 0; map_next (s->refs, &it, &key, &v);)
    mark (s, keep, v);
  for (size_t it = 0; map_next (s->pins, &it, &key, &v);)
    mark (s, keep, key);
  pthread_mutex_unlock (&s->lock);
  if (!(rc = sweep (s->root, "blobs/sha256", keep, err)))
    rc = sweep (s->root, "layers", keep, err);
  map_free (keep);
  return rc;
}

int
image_remove (struct image_store *s, const char *ref, struct err *err)
{
  char manifest[IMAGE_DIGEST_SIZE], name[IMAGE_REF_MAX];
  const char *key;
  void *v;
  int rc;
  if ((rc = find (s, ref, manifest, err)))
    return rc;
  pthread_mutex_lock (&s->import);
  pthread_mutex_lock (&s->lock);
  if (image_digest_valid (ref)) {
    for (size_t it = 0; map_next (s->refs, &it, &key, &v);)
      if (!strcmp (v, manifest))
        map_delete (s->refs, key);
  } else if (!(rc = image_ref_normalise (ref, name, err))) {
    map_delete (s->refs, name);
  }
  if (!rc)
    rc = save_refs (s, err);
  pthread_mutex_unlock (&s->lock);
  if (!rc)
    rc = image_collect (s, err);
  pthread_mutex_unlock (&s->import);
  return rc;
}
