#include "storage/engine.h"

#include "base/map.h"
#include "base/mem.h"
#include "storage/engine_internal.h"

static void
add (struct engine_batch *b, uint8_t op, const void *k, size_t kn, const void *v, size_t vn)
{
  buf_append_byte (&b->ops, op);
  buf_append_be32 (&b->ops, (uint32_t) kn);
  buf_append (&b->ops, k, kn);
  buf_append_be32 (&b->ops, (uint32_t) vn);
  buf_append (&b->ops, v, vn);
}

void
engine_batch_put (struct engine_batch *b, const void *k, size_t kn, const void *v, size_t vn)
{
  add (b, ENGINE_PUT, k, kn, v, vn);
}

void
engine_batch_delete (struct engine_batch *b, const void *k, size_t kn)
{
  add (b, ENGINE_DELETE, k, kn, NULL, 0);
}

void
engine_batch_delete_range (struct engine_batch *b, const void *from, size_t from_len, const void *to, size_t to_len)
{
  add (b, ENGINE_DELETE_RANGE, from, from_len, to, to_len);
}

void
engine_batch_done (struct engine_batch *b)
{
  buf_done (&b->ops);
}

bool
engine_batch_next (const struct engine_batch *b, size_t *at, struct engine_batch_op *ret)
{
  const uint8_t *p = b->ops.data + *at;
  if (*at >= b->ops.len)
    return false;
  ret->op = p[0];
  ret->key_len = be32_load (p + 1);
  ret->key = p + 5;
  p = ret->key + ret->key_len;
  ret->value_len = be32_load (p);
  ret->value = p + 4;
  *at = (size_t) (ret->value + ret->value_len - b->ops.data);
  return true;
}

void
engine_iter_free_p (struct engine_iter **it)
{
  if (*it)
    (*it)->vt->free (*it);
  *it = NULL;
}

/* ---- in memory -------------------------------------------------------------------------------------------------- */

struct cell {
  size_t len;
  uint8_t data[];
};
struct engine_mem {
  struct engine base;
  struct omap *map;
  uint64_t bytes;
};
struct mem_iter {
  struct engine_iter base;
  struct engine_mem *engine;
  struct omap_node *node;
};

static int
mem_get (struct engine *e, const void *k, size_t kn, struct buf *ret, struct err *err)
{
  struct cell *c = omap_get_n (((struct engine_mem *) e)->map, k, kn);
  if (!c)
    return err_set (err, ERR_NOT_FOUND, "no such key");
  buf_reset (ret);
  buf_append (ret, c->data, c->len);
  return ret->failed ? err_set (err, ERR_NOMEM, "read a value") : 0;
}

static int
mem_put (struct engine_mem *m, const struct engine_batch_op *op)
{
  struct cell *c = mem_zalloc (sizeof *c + op->value_len);
  if (!c)
    return ERR_NOMEM;
  c->len = op->value_len;
  memcpy (c->data, op->value, op->value_len);
  m->bytes += op->key_len + op->value_len;
  if (omap_set_n (m->map, op->key, op->key_len, c)) {
    free (c);
    return ERR_NOMEM;
  }
  return 0;
}

static int
mem_write (struct engine *e, const struct engine_batch *b, bool sync, struct err *err)
{
  struct engine_mem *m = (struct engine_mem *) e;
  struct engine_batch_op op;
  (void) sync;
  if (b->ops.failed)
    return err_set (err, ERR_NOMEM, "write batch");
  for (size_t at = 0; engine_batch_next (b, &at, &op);) {
    if (op.op == ENGINE_PUT) {
      if (mem_put (m, &op))
        return err_set (err, ERR_NOMEM, "write batch");
    } else if (op.op == ENGINE_DELETE) {
      omap_delete_n (m->map, op.key, op.key_len);
    } else {
      for (struct omap_node *n = omap_seek_n (m->map, op.key, op.key_len), *next; n; n = next) {
        size_t kn = omap_key_len (n), least = kn < op.value_len ? kn : op.value_len;
        int c = memcmp (omap_key (n), op.value, least);
        if (c > 0 || (c == 0 && kn >= op.value_len))
          break;
        next = omap_next (m->map, n);
        omap_delete_n (m->map, omap_key (n), kn);
      }
    }
  }
  return 0;
}

static void
mem_iter_seek (struct engine_iter *it, const void *k, size_t kn)
{
  struct mem_iter *i = (struct mem_iter *) it;
  i->node = omap_seek_n (i->engine->map, k, kn);
}

static bool
mem_iter_valid (struct engine_iter *it)
{
  return ((struct mem_iter *) it)->node != NULL;
}

static const uint8_t *
mem_iter_key (struct engine_iter *it, size_t *n)
{
  struct omap_node *node = ((struct mem_iter *) it)->node;
  *n = omap_key_len (node);
  return (const uint8_t *) omap_key (node);
}

static const uint8_t *
mem_iter_value (struct engine_iter *it, size_t *n)
{
  struct cell *c = omap_value (((struct mem_iter *) it)->node);
  *n = c->len;
  return c->data;
}

static void
mem_iter_next (struct engine_iter *it)
{
  struct mem_iter *i = (struct mem_iter *) it;
  i->node = omap_next (i->engine->map, i->node);
}

static int
mem_iter_error (struct engine_iter *it, struct err *err)
{
  (void) it;
  (void) err;
  return 0;
}

static void
mem_iter_free (struct engine_iter *it)
{
  free (it);
}

static const struct engine_iter_vtable mem_iter_vt = {mem_iter_seek,  mem_iter_valid, mem_iter_key, mem_iter_value,
                                                      mem_iter_next, mem_iter_error, mem_iter_free};

static struct engine_iter *
mem_iter (struct engine *e)
{
  struct mem_iter *i = mem_zalloc (sizeof *i);
  if (!i)
    return NULL;
  i->base.vt = &mem_iter_vt;
  i->engine = (struct engine_mem *) e;
  return &i->base;
}

static int
mem_flush (struct engine *e, struct err *err)
{
  (void) e;
  (void) err;
  return 0;
}

static int
mem_checkpoint (struct engine *e, const char *dir, struct err *err)
{
  (void) e;
  return err_set (err, ERR_UNSUPPORTED, "checkpoint %s: the in-memory engine has no files", dir);
}

static uint64_t
mem_size (struct engine *e)
{
  return ((struct engine_mem *) e)->bytes;
}

static void
mem_free (struct engine *e)
{
  omap_free (((struct engine_mem *) e)->map);
  free (e);
}

static const struct engine_vtable mem_vt = {mem_get, mem_write, mem_iter, mem_flush, mem_checkpoint, mem_size, mem_free};

struct engine *
engine_mem_new (void)
{
  struct engine_mem *m = mem_zalloc (sizeof *m);
  if (!m || !(m->map = omap_new (free))) {
    free (m);
    return NULL;
  }
  m->base.vt = &mem_vt;
  return &m->base;
}
