/* What the files of the image store share. */
#ifndef KUBELET_IMAGE_INTERNAL_H
#define KUBELET_IMAGE_INTERNAL_H

#include <pthread.h>

#include "base/map.h"
#include "services/kubelet/image.h"

struct image_store {
  char *root;             /* absolute */
  pthread_mutex_t lock;   /* refs and pins */
  pthread_mutex_t import; /* one import or garbage collection at a time */
  struct map *refs;       /* name -> char * manifest digest */
  struct map *pins;       /* manifest digest -> intptr count */
  unsigned temp_count;    /* under import */
};

/* Paths: blob of a digest, directory of a diff id; freed by the caller, NULL when out of memory. */
char *image_blob_path (const struct image_store *s, const char *digest);
char *image_layer_path (const struct image_store *s, const char *diff_id);
#define IMAGE_LAYER_NAME_SIZE 25
void image_layer_name (const char *diff_id, char out[IMAGE_LAYER_NAME_SIZE]);
/* A fresh path below tmp (nothing is made there). Under import. */
char *image_temp_path (struct image_store *s);

/* Parses the JSON file into a; ERR_LIMIT beyond IMAGE_METADATA_MAX. */
int image_read_json (struct arena *a, const char *path, struct value **ret, struct err *err);
/* Checks that config's diff ids and manifest's layers fit and are digests. */
int image_check (const struct value *manifest, const struct value *config, struct err *err);
/* Sets name -> manifest in memory and on disk. Takes lock. */
int image_set_ref (struct image_store *s, const char *name, const char *manifest, struct err *err);
/* Removes blobs and layers that no ref or pin needs. Under import. */
int image_collect (struct image_store *s, struct err *err);

#endif
