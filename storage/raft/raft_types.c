#include "storage/raft/raft_types.h"

#include "base/mem.h"

struct raft_blob *
raft_blob_new (const void *data, size_t len)
{
  struct raft_blob *b;
  if (len > UINT32_MAX - sizeof *b || !(b = mem_zalloc (sizeof *b + len)))
    return NULL;
  atomic_init (&b->refs, 1);
  b->len = (uint32_t) len;
  if (data && len)
    memcpy (b->bytes, data, len);
  return b;
}

struct raft_blob *
raft_blob_ref (struct raft_blob *b)
{
  if (b)
    atomic_fetch_add_explicit (&b->refs, 1, memory_order_relaxed);
  return b;
}

void
raft_blob_unref (struct raft_blob *b)
{
  if (b && atomic_fetch_sub_explicit (&b->refs, 1, memory_order_acq_rel) == 1)
    free (b);
}

static int
entries_reserve (struct raft_entries *es, size_t more)
{
  size_t cap = es->cap ? es->cap : 8;
  struct raft_entry *v;
  if (es->n + more <= es->cap)
    return 0;
  while (cap < es->n + more)
    cap *= 2;
  if (!(v = mem_zalloc (cap * sizeof *v)))
    return ERR_NOMEM;
  if (es->n)
    memcpy (v, es->v, es->n * sizeof *v);
  free (es->v);
  es->v = v;
  es->cap = cap;
  return 0;
}

int
raft_entries_push (struct raft_entries *es, const struct raft_entry *e)
{
  return raft_entries_append (es, e, 1);
}

int
raft_entries_append (struct raft_entries *es, const struct raft_entry *v, size_t n)
{
  if (entries_reserve (es, n))
    return ERR_NOMEM;
  for (size_t i = 0; i < n; i++) {
    es->v[es->n] = v[i];
    raft_blob_ref (v[i].data);
    es->n++;
  }
  return 0;
}

void
raft_entries_drop_front (struct raft_entries *es, size_t n)
{
  REQUIRE (n <= es->n);
  if (n == 0)
    return;
  for (size_t i = 0; i < n; i++)
    raft_blob_unref (es->v[i].data);
  es->n -= n;
  memmove (es->v, es->v + n, es->n * sizeof *es->v);
  if (es->n == 0)
    raft_entries_done (es);
}

void
raft_entries_truncate (struct raft_entries *es, size_t n)
{
  while (es->n > n)
    raft_blob_unref (es->v[--es->n].data);
}

void
raft_entries_done (struct raft_entries *es)
{
  raft_entries_truncate (es, 0);
  free (es->v);
  *es = (struct raft_entries){0};
}

size_t
raft_entries_data_bytes (const struct raft_entries *es)
{
  size_t sum = 0;
  for (size_t i = 0; i < es->n; i++)
    sum += raft_entry_data_bytes (&es->v[i]);
  return sum;
}

static uint32_t
ids_position (const struct raft_ids *ids, uint64_t id)
{
  uint32_t i = 0;
  while (i < ids->n && ids->v[i] < id)
    i++;
  return i;
}

bool
raft_ids_has (const struct raft_ids *ids, uint64_t id)
{
  uint32_t i = ids_position (ids, id);
  return i < ids->n && ids->v[i] == id;
}

bool
raft_ids_add (struct raft_ids *ids, uint64_t id)
{
  uint32_t i = ids_position (ids, id);
  if (i < ids->n && ids->v[i] == id)
    return true;
  if (ids->n == RAFT_MAX_MEMBERS)
    return false;
  memmove (&ids->v[i + 1], &ids->v[i], (ids->n - i) * sizeof ids->v[0]);
  ids->v[i] = id;
  ids->n++;
  return true;
}

void
raft_ids_remove (struct raft_ids *ids, uint64_t id)
{
  uint32_t i = ids_position (ids, id);
  if (i == ids->n || ids->v[i] != id)
    return;
  ids->n--;
  memmove (&ids->v[i], &ids->v[i + 1], (ids->n - i) * sizeof ids->v[0]);
}

bool
raft_ids_equal (const struct raft_ids *a, const struct raft_ids *b)
{
  return a->n == b->n && memcmp (a->v, b->v, a->n * sizeof a->v[0]) == 0;
}

bool
raft_conf_equal (const struct raft_conf *a, const struct raft_conf *b)
{
  return raft_ids_equal (&a->voters, &b->voters) && raft_ids_equal (&a->outgoing, &b->outgoing)
         && raft_ids_equal (&a->learners, &b->learners) && raft_ids_equal (&a->learners_next, &b->learners_next)
         && a->auto_leave == b->auto_leave;
}

bool
raft_conf_member (const struct raft_conf *c, uint64_t id)
{
  return raft_ids_has (&c->voters, id) || raft_ids_has (&c->outgoing, id) || raft_ids_has (&c->learners, id);
}
