/* Taking in archives and layouts. Whatever the source, it becomes a set of named files (struct source); the OCI reader and the
   docker reader turn those into manifests; install_image () verifies, unpacks and names. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/proc.h"
#include "schemas/json.h"
#include "services/kubelet/image_internal.h"

#define INDEX_DEPTH_MAX 4
#define SOURCE_FILES_MAX 100000

struct source {
  struct image_store *s;
  struct arena *a;
  struct map *files; /* name in the archive -> char * path on disk */
  char *dir;         /* where they were unpacked, removed at the end; NULL for a layout */
  const char *override;
  struct value *names;
};

static const char *
source_file (const struct source *src, const char *name)
{
  while (!strncmp (name, "./", 2))
    name += 2;
  return map_get (src->files, name);
}

static const char *
source_blob (const struct source *src, const char *digest)
{
  char name[IMAGE_DIGEST_SIZE + 16];
  if (!image_digest_valid (digest))
    return NULL;
  snprintf (name, sizeof name, "blobs/sha256/%s", digest + 7);
  return source_file (src, name);
}

static int
save_entry (struct archive *ar, const char *path, struct err *err)
{
  int fd AUTO_CLOSE = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  int rc;
  if (fd < 0)
    return err_errno (err, errno, "%s", path);
  if ((rc = archive_read_data_into_fd (ar, fd)) == ARCHIVE_OK || rc == ARCHIVE_EOF)
    return 0;
  /* libarchive reports a full disk and a broken archive alike; errno of the write tells them apart. */
  if (archive_errno (ar) == ENOSPC || archive_errno (ar) == EDQUOT)
    return err_set (err, ERR_NO_SPACE, "unpack: %s", archive_error_string (ar));
  return err_set (err, ERR_CORRUPT, "%s", archive_error_string (ar) ? archive_error_string (ar) : "archive broken");
}

static int
add_file (struct source *src, const char *name, const char *path, struct err *err)
{
  char *copy = mem_strdup (path);
  while (!strncmp (name, "./", 2))
    name += 2;
  if (!copy || map_set (src->files, name, copy)) {
    free (copy);
    return err_set (err, ERR_NOMEM, "archive entry");
  }
  return map_count (src->files) > SOURCE_FILES_MAX ? err_set (err, ERR_LIMIT, "archive: more than %d files", SOURCE_FILES_MAX) : 0;
}

/* Joins link's target to the folder of name and drops ".." segments: "a/layer.tar" -> "../b/layer.tar" gives "b/layer.tar". */
static char *
link_target (const char *name, const char *to)
{
  const char *slash = strrchr (name, '/');
  char *joined = *to == '/' || !slash ? mem_strdup (to) : mem_printf ("%.*s/%s", (int) (slash - name), name, to);
  char *out, *in;
  if (!joined)
    return NULL;
  for (out = in = joined; *in;) {
    size_t n = strcspn (in, "/");
    if (n == 2 && !memcmp (in, "..", 2)) {
      while (out > joined && *--out != '/')
        ;
    } else if (n && !(n == 1 && *in == '.')) {
      if (out > joined)
        *out++ = '/';
      memmove (out, in, n);
      out += n;
    }
    in += n;
    in += strspn (in, "/");
  }
  *out = 0;
  return joined;
}

static int
read_entries (struct source *src, struct archive *ar, struct err *err)
{
  struct value *links = value_map (src->a);
  struct archive_entry *e;
  unsigned count = 0;
  int rc, made;
  while ((rc = archive_read_next_header (ar, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
    const char *name = archive_entry_pathname (e);
    char *path AUTO_FREE = NULL;
    if (!name)
      return err_set (err, ERR_CORRUPT, "archive entry without a name");
    if (archive_entry_hardlink (e)) {
      value_set_string (src->a, links, name, archive_entry_hardlink (e));
      continue;
    }
    if (archive_entry_filetype (e) == AE_IFLNK) {
      char *to AUTO_FREE = link_target (name, archive_entry_symlink (e) ? archive_entry_symlink (e) : "");
      value_set_string (src->a, links, name, to);
      continue;
    }
    if (archive_entry_filetype (e) != AE_IFREG)
      continue;
    if (!(path = mem_printf ("%s/%u", src->dir, count++)))
      return err_set (err, ERR_NOMEM, "archive entry");
    if ((made = save_entry (ar, path, err)) || (made = add_file (src, name, path, err)))
      return made;
  }
  if (rc != ARCHIVE_EOF)
    return err_set (err, ERR_CORRUPT, "%s", archive_error_string (ar));
  for (value_each (links, m)) {
    const char *path = source_file (src, value_as_string (m->value, ""));
    if (path && (made = add_file (src, m->key, path, err)))
      return made;
  }
  return 0;
}

static int
open_archive (struct source *src, const char *path, struct err *err)
{
  struct archive *ar = archive_read_new ();
  int rc;
  if (!ar || !(src->dir = image_temp_path (src->s))) {
    archive_read_free (ar);
    return err_set (err, ERR_NOMEM, "archive");
  }
  archive_read_support_filter_all (ar);
  archive_read_support_format_tar (ar);
  if (!(rc = file_mkdirs (src->dir, 0700, err))) {
    if (archive_read_open_filename (ar, path, 256 << 10) != ARCHIVE_OK)
      rc = err_set (err, strstr (archive_error_string (ar), "truncated") ? ERR_CORRUPT : ERR_INVALID, "%s", archive_error_string (ar));
    else
      rc = read_entries (src, ar, err);
  }
  archive_read_free (ar);
  return rc;
}

static int
open_layout (struct source *src, const char *path, struct err *err)
{
  char *blobs AUTO_FREE = mem_printf ("%s/blobs/sha256", path), *index AUTO_FREE = mem_printf ("%s/index.json", path);
  char **names = NULL;
  size_t n = 0;
  int rc;
  if (!blobs || !index)
    return err_set (err, ERR_NOMEM, "layout");
  if ((rc = file_list (blobs, SOURCE_FILES_MAX, &names, &n, err)) || (rc = add_file (src, "index.json", index, err)))
    goto out;
  for (size_t i = 0; i < n && !rc; i++) {
    char *file AUTO_FREE = mem_printf ("%s/%s", blobs, names[i]), *name AUTO_FREE = mem_printf ("blobs/sha256/%s", names[i]);
    rc = file && name ? add_file (src, name, file, err) : err_set (err, ERR_NOMEM, "layout");
  }
out:
  free (names);
  return rc;
}

/* Copies a verified file to its blob; a rename would do for archives, but a docker archive may name one layer twice. */
static int
install_blob (struct source *src, const char *file, const char *digest, struct err *err)
{
  char *path AUTO_FREE = image_blob_path (src->s, digest), *tmp AUTO_FREE = image_temp_path (src->s);
  char actual[IMAGE_DIGEST_SIZE];
  int in AUTO_CLOSE = -1, out AUTO_CLOSE = -1, rc;
  off_t left;
  struct stat st;
  if (!path || !tmp)
    return err_set (err, ERR_NOMEM, "blob");
  if (!file)
    return file_exists (path) ? 0 : err_set (err, ERR_CORRUPT, "blob %s is missing", digest);
  if ((rc = image_file_digest (file, actual, err)))
    return rc;
  if (strcmp (actual, digest) != 0)
    return err_set (err, ERR_CORRUPT, "blob %s has digest %s", digest, actual);
  if (file_exists (path))
    return 0;
  if ((in = open (file, O_RDONLY | O_CLOEXEC)) < 0 || fstat (in, &st) || (out = open (tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
    return err_errno (err, errno, "blob %s", digest);
  for (left = st.st_size; left > 0;) {
    ssize_t n = copy_file_range (in, NULL, out, NULL, (size_t) left, 0);
    if (n <= 0) {
      rc = err_errno (err, n ? errno : EIO, "blob %s", digest);
      goto fail;
    }
    left -= n;
  }
  if (!fsync (out) && !rename (tmp, path))
    return 0;
  rc = err_errno (err, errno, "blob %s", digest);
fail:
  (void) unlink (tmp);
  return rc;
}

static int
install_layer (struct source *src, const char *digest, const char *diff_id, struct err *err)
{
  char *dir AUTO_FREE = image_layer_path (src->s, diff_id), *tmp AUTO_FREE = image_temp_path (src->s);
  char *blob AUTO_FREE = image_blob_path (src->s, digest);
  int rc;
  if (!dir || !tmp || !blob)
    return err_set (err, ERR_NOMEM, "layer");
  if (file_exists (dir))
    return 0;
  if ((rc = file_mkdirs (tmp, 0755, err)))
    return rc;
  if ((rc = image_layer_unpack (blob, diff_id, tmp, err))) {
    (void) file_remove_tree (tmp, NULL);
    return err_wrap (err, "layer %.19s", digest);
  }
  /* A layer must be on disk before its name is: it is never looked at again. */
  {
    int fd AUTO_CLOSE = open (tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs (fd) || rename (tmp, dir))
      return err_errno (err, errno, "layer %.19s", digest);
  }
  return 0;
}

/* Everything of one image: blobs, layers, then its names. */
static int
install_image (struct source *src, const char *manifest_file, const char *digest, const struct value *names, struct err *err)
{
  struct value *manifest = NULL, *config = NULL;
  const char *config_digest, *config_file;
  size_t n;
  int rc;
  if ((rc = image_read_json (src->a, manifest_file, &manifest, err)))
    return rc;
  config_digest = value_path_string (manifest, "config.digest", "");
  config_file = source_blob (src, config_digest);
  if (!config_file)
    return err_set (err, ERR_CORRUPT, "image %.19s: config %s is missing", digest, config_digest);
  if ((rc = image_read_json (src->a, config_file, &config, err)) || (rc = image_check (manifest, config, err)))
    return rc;
  n = value_count (value_get (manifest, "layers"));
  for (size_t i = 0; i < n; i++) {
    const char *layer = value_path_string (value_at (value_get (manifest, "layers"), i), "digest", "");
    if ((rc = install_blob (src, source_blob (src, layer), layer, err)) ||
        (rc = install_layer (src, layer, value_as_string (value_at (value_path (config, "rootfs.diff_ids"), i), ""), err)))
      return rc;
  }
  if ((rc = install_blob (src, config_file, config_digest, err)) || (rc = install_blob (src, manifest_file, digest, err)))
    return rc;
  if (!value_count (names)) {
    rc = image_set_ref (src->s, digest, digest, err);
    value_append (src->a, src->names, value_string (src->a, digest));
  }
  for (value_items (names, it)) {
    char name[IMAGE_REF_MAX];
    if ((rc = image_ref_normalise (value_as_string (*it, ""), name, err)) || (rc = image_set_ref (src->s, name, digest, err)))
      return rc;
    value_append (src->a, src->names, value_string (src->a, name));
  }
  return rc;
}

static void
add_name (struct source *src, struct value *names, const char *name)
{
  char full[IMAGE_REF_MAX];
  if (!name || !*name || image_ref_normalise (name, full, NULL))
    return;
  for (value_items (names, it))
    if (value_string_is (*it, full))
      return;
  value_append (src->a, names, value_string (src->a, full));
}

/* RepoTags of docker's manifest.json for the image with this config (docker 25 and containerd write both forms). */
static void
docker_names (struct source *src, const struct value *docker, const char *config_digest, struct value *names)
{
  for (value_items (docker, it)) {
    const char *config = value_path_string (*it, "Config", "");
    size_t n = strlen (config);
    if (n >= 5 && !strcmp (config + n - 5, ".json"))
      n -= 5;
    if (n >= 64 && image_digest_valid (config_digest) && !strncmp (config + n - 64, config_digest + 7, 64))
      for (value_items (value_get (*it, "RepoTags"), tag))
        add_name (src, names, value_as_string (*tag, NULL));
  }
}

static bool
platform_fits (const struct value *descriptor)
{
  const struct value *p = value_get (descriptor, "platform");
  const char *arch = value_path_string (p, "architecture", "");
  struct utsname u;
  if (!value_count (p))
    return true;
  if (strcmp (value_path_string (p, "os", "linux"), "linux") != 0 || uname (&u))
    return false;
  if (!strcmp (u.machine, "x86_64"))
    return !strcmp (arch, "amd64");
  if (!strcmp (u.machine, "aarch64"))
    return !strcmp (arch, "arm64");
  return !strcmp (arch, u.machine);
}

static int import_index (struct source *src, const struct value *index, const struct value *names, const struct value *docker, int depth,
                         struct err *err);

static int
import_descriptor (struct source *src, const struct value *d, const struct value *outer, const struct value *docker, int depth, struct err *err)
{
  const char *digest = value_path_string (d, "digest", ""), *file = source_blob (src, digest);
  const struct value *notes = value_get (d, "annotations");
  const char *full = value_as_string (value_get (notes, "io.containerd.image.name"), NULL);
  const char *ref = value_as_string (value_get (notes, "org.opencontainers.image.ref.name"), NULL);
  struct value *names = outer ? value_clone (src->a, outer) : value_array (src->a), *m = NULL;
  char actual[IMAGE_DIGEST_SIZE];
  int rc;
  if (!image_digest_valid (digest))
    return err_set (err, ERR_INVALID, "index: \"%.80s\" is not a sha256 digest", digest);
  if (!file)
    return err_set (err, ERR_CORRUPT, "blob %s is missing", digest);
  if ((rc = image_file_digest (file, actual, err)))
    return rc;
  if (strcmp (actual, digest) != 0)
    return err_set (err, ERR_CORRUPT, "blob %s has digest %s", digest, actual);
  if ((rc = image_read_json (src->a, file, &m, err)))
    return rc;
  if (src->override)
    add_name (src, names, src->override);
  else if (full)
    add_name (src, names, full);
  else if (ref && strpbrk (ref, "/:")) /* a bare tag names nothing by itself */
    add_name (src, names, ref);
  if (value_get (m, "manifests"))
    return import_index (src, m, names, docker, depth + 1, err);
  docker_names (src, docker, value_path_string (m, "config.digest", ""), names);
  return install_image (src, file, digest, names, err);
}

static int
import_index (struct source *src, const struct value *index, const struct value *names, const struct value *docker, int depth, struct err *err)
{
  size_t fits = 0;
  int rc;
  if (depth > INDEX_DEPTH_MAX)
    return err_set (err, ERR_LIMIT, "index nested more than %d deep", INDEX_DEPTH_MAX);
  for (value_items (value_get (index, "manifests"), it)) {
    /* An archive of a multi-platform image may hold only some platforms' blobs. */
    if (!platform_fits (*it))
      continue;
    fits++;
    if ((rc = import_descriptor (src, *it, names, docker, depth, err)))
      return rc;
    if (depth > 0)
      break;
  }
  return fits ? 0 : err_set (err, ERR_INVALID, "index: no image for this platform");
}

/* One row of a docker manifest.json: the OCI manifest is made from it. */
static int
import_docker (struct source *src, const struct value *row, struct err *err)
{
  const char *config_file = source_file (src, value_path_string (row, "Config", ""));
  struct value *m = value_map (src->a), *layers = value_array (src->a), *d = value_map (src->a), *names = value_array (src->a);
  char digest[IMAGE_DIGEST_SIZE];
  struct buf b AUTO_BUF = BUF_INIT;
  char *file AUTO_FREE = mem_printf ("%s/manifest-%zu", src->dir, value_count (src->names));
  struct stat st;
  int rc;
  if (!config_file || !file)
    return err_set (err, ERR_CORRUPT, "manifest.json: config \"%.100s\" is missing", value_path_string (row, "Config", ""));
  if ((rc = image_file_digest (config_file, digest, err)))
    return rc;
  value_set_int (src->a, m, "schemaVersion", 2);
  value_set_string (src->a, m, "mediaType", "application/vnd.oci.image.manifest.v1+json");
  value_set_string (src->a, d, "mediaType", "application/vnd.oci.image.config.v1+json");
  value_set_string (src->a, d, "digest", digest);
  value_set_int (src->a, d, "size", stat (config_file, &st) ? 0 : st.st_size);
  value_set (src->a, m, "config", d);
  value_set (src->a, m, "layers", layers);
  if ((rc = add_file (src, arena_printf (src->a, "blobs/sha256/%s", digest + 7), config_file, err)))
    return rc;
  for (value_items (value_get (row, "Layers"), it)) {
    const char *layer = source_file (src, value_as_string (*it, ""));
    if (!layer)
      return err_set (err, ERR_CORRUPT, "manifest.json: layer \"%.100s\" is missing", value_as_string (*it, ""));
    if ((rc = image_file_digest (layer, digest, err)) ||
        (rc = add_file (src, arena_printf (src->a, "blobs/sha256/%s", digest + 7), layer, err)))
      return rc;
    d = value_map (src->a);
    value_set_string (src->a, d, "mediaType", "application/vnd.oci.image.layer.v1.tar");
    value_set_string (src->a, d, "digest", digest);
    value_set_int (src->a, d, "size", stat (layer, &st) ? 0 : st.st_size);
    value_append (src->a, layers, d);
  }
  if (src->override)
    add_name (src, names, src->override);
  else
    for (value_items (value_get (row, "RepoTags"), it))
      add_name (src, names, value_as_string (*it, NULL));
  json_write (m, 0, &b);
  if (b.failed || !arena_ok (src->a))
    return err_set (err, ERR_NOMEM, "manifest");
  if ((rc = file_write_atomic (file, b.data, b.len, 0600, err)) || (rc = image_file_digest (file, digest, err)))
    return rc;
  return install_image (src, file, digest, names, err);
}

static int
import_source (struct source *src, struct err *err)
{
  const char *index_file = source_file (src, "index.json"), *docker_file = source_file (src, "manifest.json");
  struct value *index = NULL, *docker = NULL;
  int rc;
  if (docker_file && (rc = image_read_json (src->a, docker_file, &docker, err)))
    return err_wrap (err, "manifest.json");
  if (index_file) {
    if ((rc = image_read_json (src->a, index_file, &index, err)))
      return err_wrap (err, "index.json");
    return import_index (src, index, NULL, docker, 0, err);
  }
  if (!docker_file)
    return err_set (err, ERR_INVALID, "neither an OCI (index.json) nor a docker (manifest.json) archive");
  if (!value_is (docker, VALUE_ARRAY) || !value_count (docker))
    return err_set (err, ERR_INVALID, "manifest.json: no images");
  for (value_items (docker, it))
    if ((rc = import_docker (src, *it, err)))
      return rc;
  return 0;
}

int
image_import (struct image_store *s, const char *path, const char *override, struct arena *a, struct value *ret_names, struct err *err)
{
  struct arena local AUTO_ARENA = {0};
  struct source src = {.s = s, .a = &local, .files = map_new (free), .override = override};
  struct err ignored;
  struct stat st;
  int rc;
  arena_init (&local, 256u << 20);
  src.names = value_array (&local);
  if (!src.files)
    return err_set (err, ERR_NOMEM, "import %s", path);
  pthread_mutex_lock (&s->import);
  if (stat (path, &st))
    rc = err_errno (err, errno, "open");
  else
    rc = S_ISDIR (st.st_mode) ? open_layout (&src, path, err) : open_archive (&src, path, err);
  if (!rc)
    rc = import_source (&src, err);
  if (src.dir)
    (void) file_remove_tree (src.dir, &ignored);
  if (rc)
    (void) image_collect (s, &ignored); /* layers of what did not become an image */
  pthread_mutex_unlock (&s->import);
  for (value_items (src.names, it))
    value_append (a, ret_names, a ? value_clone (a, *it) : NULL);
  free (src.dir);
  map_free (src.files);
  return rc ? err_wrap (err, "import %s", path) : 0;
}

static int
pull_into (struct image_store *s, const char *name, const char *auth_file, const char *dir, struct err *err)
{
  struct buf errout AUTO_BUF = BUF_INIT;
  char *from AUTO_FREE = mem_printf ("docker://%s", name), *to AUTO_FREE = mem_printf ("oci:%s/oci:image", dir);
  char *layout AUTO_FREE = mem_printf ("%s/oci", dir);
  const char *argv[] = {"skopeo", "copy", "--quiet", "--retry-times", "1", from, to, auth_file ? "--authfile" : NULL, auth_file, NULL};
  struct proc_config config = {.argv = argv, .err = {PROC_CAPTURE, -1}, .timeout_ms = 1800000, .die_with_parent = true};
  int rc;
  if (!from || !to || !layout)
    return err_set (err, ERR_NOMEM, "pull");
  if ((rc = proc_run (&config, NULL, &errout, err)) < 0)
    return rc;
  if (rc > 0) {
    const char *text = buf_cstr (&errout), *msg = strstr (text, "msg=\"");
    int code = strstr (text, "unauthorized") || strstr (text, "denied") ? ERR_DENIED
               : strstr (text, "manifest unknown") || strstr (text, "not found") ? ERR_NOT_FOUND
                                                                                : ERR_UNAVAILABLE;
    return err_set (err, code, "failed to pull and unpack image \"%s\": %.380s", name, msg ? msg + 5 : text);
  }
  return image_import (s, layout, name, NULL, NULL, err);
}

int
image_pull (struct image_store *s, const char *ref, const char *auth_json, struct err *err)
{
  char name[IMAGE_REF_MAX];
  char *dir AUTO_FREE = NULL, *auth AUTO_FREE = NULL;
  struct err ignored;
  int rc;
  if ((rc = image_ref_normalise (ref, name, err)))
    return rc;
  pthread_mutex_lock (&s->import);
  dir = image_temp_path (s);
  pthread_mutex_unlock (&s->import);
  if (!dir || (auth_json && !(auth = mem_printf ("%s/auth.json", dir))))
    return err_set (err, ERR_NOMEM, "pull %s", ref);
  if ((rc = file_mkdirs (dir, 0700, err)))
    return rc;
  if (auth)
    rc = file_write_atomic (auth, auth_json, strlen (auth_json), 0600, err);
  if (!rc)
    rc = pull_into (s, name, auth, dir, err);
  (void) file_remove_tree (dir, &ignored);
  return rc;
}
