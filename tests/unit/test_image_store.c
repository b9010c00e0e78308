/* The image store on archives that are made here: good ones of both kinds, and every way of being bad. */
#include "tests/lib/test.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "services/kubelet/image.h"

struct fixture {
  char dir[64], store[96], tar[96];
  struct image_store *s;
  struct arena a;
};

static int
setup (void **state)
{
  struct fixture *f = calloc (1, sizeof *f);
  struct err err = {0};
  snprintf (f->dir, sizeof f->dir, "/tmp/kubus-img-XXXXXX");
  assert_non_null (mkdtemp (f->dir));
  snprintf (f->store, sizeof f->store, "%s/store", f->dir);
  snprintf (f->tar, sizeof f->tar, "%s/in.tar", f->dir);
  arena_init (&f->a, 0);
  if (!(f->s = image_store_open (f->store, &err)))
    fail_msg ("%s", err.text);
  *state = f;
  return 0;
}

static int
teardown (void **state)
{
  struct fixture *f = *state;
  image_store_close (f->s);
  (void) file_remove_tree (f->dir, NULL);
  arena_done (&f->a);
  free (f);
  return 0;
}

static const char *
digest (struct fixture *f, const void *p, size_t n)
{
  uint8_t d[32];
  char *out = arena_alloc (&f->a, 72);
  assert_int_equal (EVP_Digest (p, n, d, NULL, EVP_sha256 (), NULL), 1);
  memcpy (out, "sha256:", 8);
  for (int i = 0; i < 32; i++)
    snprintf (out + 7 + 2 * i, 3, "%02x", d[i]);
  return out;
}

/* ---- archives in memory ---- */
struct tar {
  struct archive *a;
  uint8_t *data;
  size_t len;
};
#define TAR_MAX (1 << 20)

static void
tar_begin (struct tar *t, bool gzip)
{
  *t = (struct tar) {archive_write_new (), malloc (TAR_MAX), 0};
  archive_write_set_format_gnutar (t->a);
  if (gzip)
    archive_write_add_filter_gzip (t->a);
  assert_int_equal (archive_write_open_memory (t->a, t->data, TAR_MAX, &t->len), ARCHIVE_OK);
}

static void
tar_add (struct tar *t, const char *path, mode_t mode, const void *data, size_t n, const char *link)
{
  struct archive_entry *e = archive_entry_new ();
  archive_entry_set_pathname (e, path);
  archive_entry_set_filetype (e, mode & S_IFMT ? mode & S_IFMT : S_IFREG);
  archive_entry_set_perm (e, mode & 07777);
  archive_entry_set_uid (e, getuid () ? getuid () : 7);
  archive_entry_set_gid (e, getuid () ? getgid () : 8);
  archive_entry_set_mtime (e, 1000, 0);
  archive_entry_set_size (e, (la_int64_t) n);
  if (link && S_ISLNK (mode))
    archive_entry_set_symlink (e, link);
  else if (link)
    archive_entry_set_hardlink (e, link);
  assert_int_equal (archive_write_header (t->a, e), ARCHIVE_OK);
  if (n)
    assert_int_equal (archive_write_data (t->a, data, n), n);
  archive_entry_free (e);
}

static void
tar_end (struct tar *t)
{
  assert_int_equal (archive_write_close (t->a), ARCHIVE_OK);
  archive_write_free (t->a);
}

struct layer {
  uint8_t *data;
  size_t len;
  const char *diff_id;
};

static struct layer
good_layer (struct fixture *f)
{
  struct tar t;
  tar_begin (&t, false);
  tar_add (&t, "./etc/", S_IFDIR | 0755, NULL, 0, NULL);
  tar_add (&t, "etc/name", 0640, "box\n", 4, NULL);
  tar_add (&t, "etc/again", 0640, NULL, 0, "etc/name");
  tar_add (&t, "bin/sh", 04755, "#!", 2, NULL);
  tar_add (&t, "lib", S_IFLNK | 0777, NULL, 0, "usr/lib");
  tar_add (&t, "usr/lib/", S_IFDIR | 0755, NULL, 0, NULL);
  tar_add (&t, "lib/x", 0644, "x", 1, NULL);
  if (!getuid ()) {
    tar_add (&t, "etc/.wh.gone", 0, NULL, 0, NULL);
    tar_add (&t, "usr/.wh..wh..opq", 0, NULL, 0, NULL);
  }
  tar_end (&t);
  return (struct layer) {t.data, t.len, digest (f, t.data, t.len)};
}

static struct layer
layer_with (struct fixture *f, const char *path, mode_t mode, const char *link)
{
  struct tar t;
  tar_begin (&t, false);
  tar_add (&t, path, mode, mode & S_IFMT ? NULL : "x", mode & S_IFMT || link ? 0 : 1, link);
  tar_end (&t);
  return (struct layer) {t.data, t.len, digest (f, t.data, t.len)};
}

static void
write_file (struct fixture *f, const void *data, size_t n)
{
  struct err err = {0};
  if (file_write_atomic (f->tar, data, n, 0600, &err))
    fail_msg ("%s", err.text);
}

/* What to spoil in an archive. */
enum spoil { SPOIL_NOTHING, SPOIL_LAYER, SPOIL_CONFIG, SPOIL_MISSING, SPOIL_DIFF_ID, SPOIL_CUT };

static void
oci_archive (struct fixture *f, struct layer layer, const char *name, enum spoil spoil)
{
  const char *wrong = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
  char *config = arena_printf (&f->a, "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"/bin/sh\"],\"Env\":[\"A=b\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
                               spoil == SPOIL_DIFF_ID ? wrong : layer.diff_id);
  const char *config_digest = digest (f, config, strlen (config));
  char *manifest = arena_printf (&f->a, "{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"digest\":\"%s\",\"size\":%zu}]}", config_digest,
                                 strlen (config), layer.diff_id, layer.len);
  const char *manifest_digest = digest (f, manifest, strlen (manifest));
  char *index = arena_printf (&f->a, "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"%s\",\"size\":%zu,\"annotations\":{\"io.containerd.image.name\":\"%s\"}}]}",
                              manifest_digest, strlen (manifest), name);
  struct tar t;
  tar_begin (&t, true);
  tar_add (&t, "oci-layout", 0644, "{}", 2, NULL);
  tar_add (&t, "index.json", 0644, index, strlen (index), NULL);
  tar_add (&t, arena_printf (&f->a, "blobs/sha256/%s", manifest_digest + 7), 0644, manifest, strlen (manifest), NULL);
  if (spoil == SPOIL_CONFIG)
    config[2] ^= 1;
  tar_add (&t, arena_printf (&f->a, "blobs/sha256/%s", config_digest + 7), 0644, config, strlen (config), NULL);
  if (spoil == SPOIL_LAYER)
    layer.data[700] ^= 1;
  if (spoil != SPOIL_MISSING)
    tar_add (&t, arena_printf (&f->a, "blobs/sha256/%s", layer.diff_id + 7), 0644, layer.data, layer.len, NULL);
  tar_end (&t);
  write_file (f, t.data, spoil == SPOIL_CUT ? t.len / 2 : t.len);
  free (t.data);
  free (layer.data);
}

/* Nothing is left of an import that failed. */
static void
assert_store_empty (struct fixture *f)
{
  static const char *const dirs[] = {"blobs/sha256", "layers", "tmp"};
  struct value *list = NULL;
  for (size_t i = 0; i < 3; i++) {
    char **names = NULL;
    size_t n = 1;
    assert_int_equal (file_list (arena_printf (&f->a, "%s/%s", f->store, dirs[i]), 1000, &names, &n, NULL), 0);
    free (names);
    if (n)
      fail_msg ("%zu entries are left in %s", n, dirs[i]);
  }
  assert_int_equal (image_list (f->s, &f->a, &list, NULL), 0);
  assert_int_equal (value_count (list), 0);
}

static void
test_image_import__oci_archive_resolves_with_unpacked_layer (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  struct value *names = value_array (&f->a);
  struct image *i = NULL;
  struct stat st, again;
  char path[256];
  oci_archive (f, good_layer (f), "docker.io/library/busybox:demo", SPOIL_NOTHING);
  if (image_import (f->s, f->tar, NULL, &f->a, names, &err))
    fail_msg ("%s", err.text);
  assert_string_equal (value_as_string (value_at (names, 0), ""), "docker.io/library/busybox:demo");
  if (image_resolve (f->s, "busybox:demo", &i, &err))
    fail_msg ("%s", err.text);
  assert_int_equal (i->n_layers, 1);
  assert_string_equal (value_path_string (i->config, "config.Cmd.0", ""), "/bin/sh");
  snprintf (path, sizeof path, "%s/%s/etc/name", i->layers_dir, i->layers[0]);
  assert_int_equal (stat (path, &st), 0);
  assert_int_equal (st.st_mode & 07777, 0640);
  assert_int_equal (st.st_mtime, 1000);
  snprintf (path, sizeof path, "%s/%s/etc/again", i->layers_dir, i->layers[0]);
  assert_int_equal (stat (path, &again), 0);
  assert_int_equal (st.st_ino, again.st_ino);
  snprintf (path, sizeof path, "%s/%s/bin/sh", i->layers_dir, i->layers[0]);
  assert_int_equal (stat (path, &st), 0);
  assert_int_equal (st.st_mode & 07777, 04755);
  snprintf (path, sizeof path, "%s/%s/usr/lib/x", i->layers_dir, i->layers[0]);
  assert_int_equal (stat (path, &st), 0);
  if (!getuid ()) {
    char opaque = 0;
    assert_int_equal (st.st_uid, 7);
    snprintf (path, sizeof path, "%s/%s/etc/gone", i->layers_dir, i->layers[0]);
    assert_int_equal (lstat (path, &st), 0);
    assert_true (S_ISCHR (st.st_mode) && st.st_rdev == 0);
    snprintf (path, sizeof path, "%s/%s/usr", i->layers_dir, i->layers[0]);
    assert_int_equal (getxattr (path, "trusted.overlay.opaque", &opaque, 1), 1);
    assert_int_equal (opaque, 'y');
  }
  image_free (i);
  /* by its config's digest, and after a new start */
  image_store_close (f->s);
  f->s = image_store_open (f->store, &err);
  assert_non_null (f->s);
  assert_int_equal (image_resolve (f->s, "docker.io/library/busybox:demo", &i, &err), 0);
  struct image *by_id = NULL;
  assert_int_equal (image_resolve (f->s, i->id, &by_id, &err), 0);
  assert_string_equal (by_id->manifest, i->manifest);
  image_free (by_id);
  image_free (i);
}

static void
test_image_import__docker_archive_of_two_images_shares_layer (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  struct layer l = good_layer (f);
  struct value *list = NULL, *names = value_array (&f->a);
  const char *c1 = arena_printf (&f->a, "{\"os\":\"linux\",\"config\":{\"Cmd\":[\"a\"]},\"rootfs\":{\"diff_ids\":[\"%s\"]}}", l.diff_id);
  const char *c2 = arena_printf (&f->a, "{\"os\":\"linux\",\"config\":{\"Cmd\":[\"b\"]},\"rootfs\":{\"diff_ids\":[\"%s\"]}}", l.diff_id);
  const char *manifest = "[{\"Config\":\"c1.json\",\"RepoTags\":[\"one:1\",\"reg.example:5000/a/one:2\"],\"Layers\":[\"l1/layer.tar\"]},"
                         "{\"Config\":\"c2.json\",\"RepoTags\":[\"two:1\"],\"Layers\":[\"l2/layer.tar\"]}]";
  struct tar t;
  struct image *i = NULL;
  char **left = NULL;
  size_t n = 0;
  tar_begin (&t, false);
  tar_add (&t, "manifest.json", 0644, manifest, strlen (manifest), NULL);
  tar_add (&t, "c1.json", 0644, c1, strlen (c1), NULL);
  tar_add (&t, "c2.json", 0644, c2, strlen (c2), NULL);
  tar_add (&t, "l1/layer.tar", 0644, l.data, l.len, NULL);
  tar_add (&t, "l2/layer.tar", S_IFLNK | 0777, NULL, 0, "../l1/layer.tar");
  tar_end (&t);
  write_file (f, t.data, t.len);
  free (t.data);
  free (l.data);
  if (image_import (f->s, f->tar, NULL, &f->a, names, &err))
    fail_msg ("%s", err.text);
  assert_int_equal (value_count (names), 3);
  assert_int_equal (image_resolve (f->s, "reg.example:5000/a/one:2", &i, &err), 0);
  image_free (i);
  assert_int_equal (image_resolve (f->s, "two:1", &i, &err), 0);
  assert_string_equal (value_path_string (i->config, "config.Cmd.0", ""), "b");
  image_free (i);
  assert_int_equal (image_list (f->s, &f->a, &list, &err), 0);
  assert_int_equal (value_count (list), 2);
  /* the layer stays while one image needs it */
  assert_int_equal (image_remove (f->s, "two:1", &err), 0);
  assert_int_equal (file_list (arena_printf (&f->a, "%s/layers", f->store), 10, &left, &n, &err), 0);
  free (left);
  assert_int_equal (n, 1);
  assert_int_equal (image_remove (f->s, "one:1", &err), 0);
  assert_int_equal (image_remove (f->s, "one:1", &err), ERR_NOT_FOUND);
  assert_int_equal (image_remove (f->s, "reg.example:5000/a/one:2", &err), 0);
  assert_store_empty (f);
}

static void
test_image_remove__pinned_layers_stay_until_unpinned (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  struct image *i = NULL;
  char **left = NULL;
  size_t n = 0;
  oci_archive (f, good_layer (f), "x:1", SPOIL_NOTHING);
  assert_int_equal (image_import (f->s, f->tar, NULL, NULL, NULL, &err), 0);
  assert_int_equal (image_resolve (f->s, "x:1", &i, &err), 0);
  assert_int_equal (image_pin (f->s, i->manifest), 0);
  assert_int_equal (image_remove (f->s, "x:1", &err), 0);
  assert_int_equal (file_list (arena_printf (&f->a, "%s/layers", f->store), 10, &left, &n, &err), 0);
  free (left);
  assert_int_equal (n, 1);
  image_unpin (f->s, i->manifest);
  image_free (i);
  oci_archive (f, good_layer (f), "y:1", SPOIL_NOTHING);
  assert_int_equal (image_import (f->s, f->tar, NULL, NULL, NULL, &err), 0);
  assert_int_equal (image_remove (f->s, "y:1", &err), 0);
  assert_store_empty (f);
}

static void
test_image_import__bad_archives_refused_and_nothing_left (void **state)
{
  struct fixture *f = *state;
  static const struct {
    enum spoil spoil;
    int code;
    const char *text;
  } rows[] = {{SPOIL_LAYER, ERR_CORRUPT, "has digest"}, {SPOIL_CONFIG, ERR_CORRUPT, NULL},    {SPOIL_MISSING, ERR_CORRUPT, "is missing"},
              {SPOIL_DIFF_ID, ERR_CORRUPT, "the image says"}, {SPOIL_CUT, ERR_CORRUPT, NULL}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct err err = {0};
    int rc;
    oci_archive (f, good_layer (f), "bad:1", rows[i].spoil);
    rc = image_import (f->s, f->tar, NULL, NULL, NULL, &err);
    if (!rc || (rows[i].code && rc != rows[i].code && rows[i].spoil != SPOIL_CONFIG) || (rows[i].text && !strstr (err.text, rows[i].text)))
      fail_msg ("row %zu: %d %s", i, rc, err.text);
    assert_store_empty (f);
  }
}

static void
test_image_import__layer_that_leaves_its_root_refused (void **state)
{
  struct fixture *f = *state;
  char path[128];
  static const struct {
    const char *path;
    mode_t mode;
    const char *link;
  } rows[] = {{"../escape", 0644, NULL}, {"a/../../escape", 0644, NULL}, {"hard", 0644, "../../in.tar"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct err err = {0};
    oci_archive (f, layer_with (f, rows[i].path, rows[i].mode, rows[i].link), "bad:1", SPOIL_NOTHING);
    if (image_import (f->s, f->tar, NULL, NULL, NULL, &err) != ERR_INVALID)
      fail_msg ("row %zu: %s", i, err.text);
    assert_non_null (strstr (err.text, "leaves the layer"));
    assert_store_empty (f);
  }
  /* An absolute link on the way is followed inside the layer, never outside. */
  struct tar t;
  struct layer l;
  struct err err = {0};
  struct image *image = NULL;
  struct stat st;
  tar_begin (&t, false);
  tar_add (&t, "out", S_IFLNK | 0777, NULL, 0, f->dir);
  tar_add (&t, "out/planted", 0644, "x", 1, NULL);
  tar_end (&t);
  l = (struct layer) {t.data, t.len, digest (f, t.data, t.len)};
  oci_archive (f, l, "link:1", SPOIL_NOTHING);
  (void) image_import (f->s, f->tar, NULL, NULL, NULL, &err);
  (void) image;
  snprintf (path, sizeof path, "%s/planted", f->dir);
  assert_int_equal (stat (path, &st), -1);
}

static void
test_image_import__not_an_archive_refused (void **state)
{
  struct fixture *f = *state;
  struct err err = {0};
  write_file (f, "hello, world: this is no archive at all", 39);
  assert_int_not_equal (image_import (f->s, f->tar, NULL, NULL, NULL, &err), 0);
  assert_store_empty (f);
  assert_int_equal (image_import (f->s, "/no/such/file", NULL, NULL, NULL, &err), ERR_NOT_FOUND);
}

static void
test_image_ref_normalise__table (void **state)
{
  static const char *const good[][2] = {
      {"busybox", "docker.io/library/busybox:latest"},
      {"busybox:1.2", "docker.io/library/busybox:1.2"},
      {"a/b", "docker.io/a/b:latest"},
      {"docker.io/a", "docker.io/library/a:latest"},
      {"index.docker.io/library/a:1", "docker.io/library/a:1"},
      {"localhost/kubus/demo:1", "localhost/kubus/demo:1"},
      {"reg.io:5000/x/y.z_w--v:T-a.g", "reg.io:5000/x/y.z_w--v:T-a.g"},
      {"registry.k8s.io/e2e-test-images/agnhost:2.53", "registry.k8s.io/e2e-test-images/agnhost:2.53"},
      {"a:1@sha256:0123456789012345678901234567890123456789012345678901234567890123",
       "docker.io/library/a@sha256:0123456789012345678901234567890123456789012345678901234567890123"},
  };
  static const char *const bad[] = {"", "UPPER", "a//b", "a:", "a:-x", "a@sha256:12", "/a", "a/", "a b", "x..y", "-a", "a:b:c"};
  char out[IMAGE_REF_MAX];
  (void) state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    struct err err = {0};
    if (image_ref_normalise (good[i][0], out, &err))
      fail_msg ("%s: %s", good[i][0], err.text);
    assert_string_equal (out, good[i][1]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (image_ref_normalise (bad[i], out, NULL) != ERR_INVALID)
      fail_msg ("\"%s\" was taken for %s", bad[i], out);
  assert_true (image_ref_is_latest ("a"));
  assert_true (image_ref_is_latest ("h:5/a:latest"));
  assert_false (image_ref_is_latest ("a:1"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_image_import__oci_archive_resolves_with_unpacked_layer, setup, teardown),
      cmocka_unit_test_setup_teardown (test_image_import__docker_archive_of_two_images_shares_layer, setup, teardown),
      cmocka_unit_test_setup_teardown (test_image_remove__pinned_layers_stay_until_unpinned, setup, teardown),
      cmocka_unit_test_setup_teardown (test_image_import__bad_archives_refused_and_nothing_left, setup, teardown),
      cmocka_unit_test_setup_teardown (test_image_import__layer_that_leaves_its_root_refused, setup, teardown),
      cmocka_unit_test_setup_teardown (test_image_import__not_an_archive_refused, setup, teardown),
      cmocka_unit_test (test_image_ref_normalise__table),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
