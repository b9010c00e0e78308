/* The node's image store: OCI content on disk, its layers unpacked for overlayfs, and names that lead to it.

   $ROOT/blobs/sha256/HEX   manifests, configs and layers as they came, each verified against its digest
   $ROOT/layers/HEX24       a layer unpacked (first 24 digits of its diff id): whiteouts are overlayfs', ready as a lowerdir
   $ROOT/refs.json          {"NAME": "sha256:MANIFEST"}; written atomically, last: what is not reachable from here is garbage
   $ROOT/tmp                what is under way; emptied at open
   So a crash at any point leaves either the image or nothing. All functions but open and close may be called from any thread
   and block: run them in a pool. */
#ifndef KUBELET_IMAGE_H
#define KUBELET_IMAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "schemas/value.h"

#define IMAGE_LAYERS_MAX 127          /* what overlayfs' option page holds with our names */
#define IMAGE_METADATA_MAX (4u << 20) /* bytes of a manifest, index or config */
#define IMAGE_ENTRIES_MAX 2000000     /* files in one layer */
#define IMAGE_REF_MAX 512

struct image_store;
struct image_store *image_store_open (const char *root, struct err *err);
void image_store_close (struct image_store *s); /* NULL allowed */

/* An image that is here, whole. Everything lives in arena. */
struct image {
  struct arena arena;
  const char *id;             /* digest of its config, "sha256:..." */
  const char *manifest;       /* digest of its manifest */
  const struct value *config; /* the OCI image configuration: config.Entrypoint, config.Env, ... */
  const char *layers_dir;     /* absolute */
  const char **layers;        /* names in layers_dir, base first */
  size_t n_layers;
};
void image_free (struct image *i); /* NULL allowed */

/* The image that ref names: "busybox", "docker.io/library/busybox:1", "name@sha256:...", "sha256:MANIFEST-OR-CONFIG".
   ERR_NOT_FOUND, ERR_INVALID (not a reference), ERR_CORRUPT. */
int image_resolve (struct image_store *s, const char *ref, struct image **ret, struct err *err);

/* Takes in an OCI or docker archive (a tar, compressed or not, of one or more images) or an OCI layout's directory. override
   (may be NULL) names the single image of it. The names that are now there are appended to ret_names (a value array in a;
   may be NULL). ERR_CORRUPT (digest, truncation), ERR_INVALID (not such an archive, path outside, unsupported). */
int image_import (struct image_store *s, const char *path, const char *override, struct arena *a, struct value *ret_names, struct err *err);

/* Fetches ref with skopeo and takes it in. auth is a docker config.json or NULL. ERR_INVALID, ERR_DENIED, ERR_UNAVAILABLE
   with the registry's words. */
int image_pull (struct image_store *s, const char *ref, const char *auth_json, struct err *err);

/* [{id, manifest, names: [...], size}] */
int image_list (struct image_store *s, struct arena *a, struct value **ret, struct err *err);

/* Removes the name (or, for an id, all names of it) and what no remaining name or pin needs. ERR_NOT_FOUND. */
int image_remove (struct image_store *s, const char *ref, struct err *err);

/* A container made from the image holds a pin on it: its layers stay even when it is removed meanwhile. */
int image_pin (struct image_store *s, const char *manifest);
void image_unpin (struct image_store *s, const char *manifest);

/* ---- references (image_ref.c) ---- */
/* Docker's normal form: "busybox" -> "docker.io/library/busybox:latest"; a digest stays and drops the tag.
   ERR_INVALID with upstream's words when text is not a reference. */
int image_ref_normalise (const char *text, char out[IMAGE_REF_MAX], struct err *err);
/* The tag is "latest" or absent, and there is no digest: imagePullPolicy's default is then Always. */
bool image_ref_is_latest (const char *text);
bool image_digest_valid (const char *text); /* "sha256:" and 64 lower-case digits */

/* ---- layers (image_layer.c) ---- */
/* Unpacks the layer in file (tar; gzip, zstd, xz, bzip2 or plain) into the existing directory dir and checks that the
   uncompressed bytes have the digest diff_id. ERR_CORRUPT, ERR_INVALID (a path that leaves dir), ERR_LIMIT, ERR_NO_SPACE. */
int image_layer_unpack (const char *file, const char *diff_id, const char *dir, struct err *err);
/* Copies fd or archive data with digest: the digest of a file, "sha256:HEX". */
#define IMAGE_DIGEST_SIZE 72
int image_file_digest (const char *path, char out[IMAGE_DIGEST_SIZE], struct err *err);

#endif
