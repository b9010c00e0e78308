/* What an image says of itself: references, and archives whose index, manifest or config is any JSON. The first byte chooses. */
#include "tests/lib/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "services/kubelet/image.h"

static char dir[64];

static void
clean (void)
{
  (void) file_remove_tree (dir, NULL);
}

static struct image_store *
store (void)
{
  static struct image_store *s;
  char path[128];
  if (s)
    return s;
  snprintf (dir, sizeof dir, "/tmp/kubus-fuzz-img-XXXXXX");
  if (!mkdtemp (dir))
    abort ();
  atexit (clean);
  snprintf (path, sizeof path, "%s/store", dir);
  if (!(s = image_store_open (path, NULL)))
    abort ();
  snprintf (path, sizeof path, "%s/layout/blobs/sha256", dir);
  if (file_mkdirs (path, 0755, NULL))
    abort ();
  return s;
}

static void
fuzz_reference (const uint8_t *data, size_t size)
{
  char *text = strndup ((const char *) data, size), out[IMAGE_REF_MAX], again[IMAGE_REF_MAX];
  if (text && !image_ref_normalise (text, out, NULL))
    REQUIRE (!image_ref_normalise (out, again, NULL) && !strcmp (out, again)); /* the normal form is its own */
  free (text);
}

/* The input as index.json of a layout, or as a manifest that an index names. */
static void
fuzz_layout (const uint8_t *data, size_t size, int as_manifest)
{
  struct image_store *s = store ();
  char path[256], layout[96], digest[IMAGE_DIGEST_SIZE], index[512];
  snprintf (layout, sizeof layout, "%s/layout", dir);
  snprintf (path, sizeof path, "%s/index.json", layout);
  if (as_manifest) {
    char blob[256], to[256];
    snprintf (blob, sizeof blob, "%s/blob", dir);
    if (file_write_atomic (blob, data, size, 0600, NULL) || image_file_digest (blob, digest, NULL))
      return;
    snprintf (to, sizeof to, "%s/blobs/sha256/%s", layout, digest + 7);
    if (rename (blob, to))
      return;
    snprintf (index, sizeof index, "{\"manifests\":[{\"digest\":\"%s\",\"annotations\":{\"io.containerd.image.name\":\"x:1\"}}]}", digest);
    if (!file_write_atomic (path, index, strlen (index), 0600, NULL))
      (void) image_import (s, layout, NULL, NULL, NULL, NULL);
    (void) unlink (to);
    return;
  }
  if (!file_write_atomic (path, data, size, 0600, NULL))
    (void) image_import (s, layout, NULL, NULL, NULL, NULL);
}

int
fuzz_one (const uint8_t *data, size_t size)
{
  if (!size)
    return 0;
  if (data[0] % 8 == 'm' % 8)
    fuzz_layout (data + 1, size - 1, 1);
  else if (data[0] % 8 == 'i' % 8)
    fuzz_layout (data + 1, size - 1, 0);
  else
    fuzz_reference (data + 1, size - 1);
  return 0;
}
