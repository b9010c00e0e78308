/* What the two engines share: walking a batch. */
#ifndef STORAGE_ENGINE_INTERNAL_H
#define STORAGE_ENGINE_INTERNAL_H

#include "storage/engine.h"

enum { ENGINE_PUT = 1, ENGINE_DELETE = 2, ENGINE_DELETE_RANGE = 3 /* value: the end */ };
struct engine_batch_op {
  uint8_t op;
  const uint8_t *key, *value;
  size_t key_len, value_len;
};
bool engine_batch_next (const struct engine_batch *b, size_t *at, struct engine_batch_op *ret);

#endif
