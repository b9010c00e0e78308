#include "storage/raft/mem_log.h"

#include "base/mem.h"

static uint64_t
mem_first_index (void *ctx)
{
  const struct mem_log *l = ctx;
  return l->base_index + 1;
}

static uint64_t
mem_last_index (void *ctx)
{
  const struct mem_log *l = ctx;
  return l->base_index + l->entries.n;
}

static int
mem_initial_state (void *ctx, struct raft_hard_state *ret_state, struct raft_conf *ret_conf, struct err *err)
{
  const struct mem_log *l = ctx;
  (void) err;
  *ret_state = l->hard_state;
  *ret_conf = l->conf;
  return 0;
}

static int
mem_entries (void *ctx, uint64_t lo, uint64_t hi, uint64_t max_bytes, struct raft_entries *ret, struct err *err)
{
  const struct mem_log *l = ctx;
  const struct raft_entry *v;
  size_t n = 0;
  uint64_t bytes = 0;
  REQUIRE (lo < hi);
  if (lo <= l->base_index)
    return err_set (err, ERR_COMPACTED, "entry %llu is compacted", (unsigned long long) lo);
  if (hi - 1 > l->base_index + l->entries.n)
    return err_set (err, ERR_UNAVAILABLE, "entry %llu is not stored", (unsigned long long) (hi - 1));
  v = &l->entries.v[lo - l->base_index - 1];
  while (n < hi - lo) {
    bytes += raft_entry_size_bytes (&v[n]);
    if (n > 0 && bytes > max_bytes)
      break;
    n++;
  }
  return raft_entries_append (ret, v, n) ? err_set (err, ERR_NOMEM, "read entries") : 0;
}

static int
mem_term (void *ctx, uint64_t index, uint64_t *ret, struct err *err)
{
  const struct mem_log *l = ctx;
  if (index < l->base_index)
    return err_set (err, ERR_COMPACTED, "entry %llu is compacted", (unsigned long long) index);
  if (index > l->base_index + l->entries.n)
    return err_set (err, ERR_UNAVAILABLE, "entry %llu is not stored", (unsigned long long) index);
  *ret = index == l->base_index ? l->base_term : l->entries.v[index - l->base_index - 1].term;
  return 0;
}

static int
mem_snapshot (void *ctx, struct raft_snapshot *ret, struct err *err)
{
  const struct mem_log *l = ctx;
  if (l->snapshot_busy || l->snapshot.index == 0)
    return err_set (err, ERR_BUSY, "no snapshot yet");
  *ret = l->snapshot;
  return 0;
}

struct raft_storage
mem_log_storage (struct mem_log *l)
{
  return (struct raft_storage){
    .ctx = l,
    .initial_state = mem_initial_state,
    .entries = mem_entries,
    .term = mem_term,
    .first_index = mem_first_index,
    .last_index = mem_last_index,
    .snapshot = mem_snapshot,
  };
}

void
mem_log_init (struct mem_log *l, const struct raft_conf *conf)
{
  *l = (struct mem_log){.conf = *conf};
}

void
mem_log_done (struct mem_log *l)
{
  raft_entries_done (&l->entries);
}

int
mem_log_append (struct mem_log *l, const struct raft_entry *entries, size_t n)
{
  if (n == 0)
    return 0;
  REQUIRE (entries[0].index > l->base_index && entries[0].index <= l->base_index + l->entries.n + 1);
  raft_entries_truncate (&l->entries, entries[0].index - l->base_index - 1);
  return raft_entries_append (&l->entries, entries, n);
}

void
mem_log_install (struct mem_log *l, const struct raft_snapshot *s)
{
  raft_entries_done (&l->entries);
  l->snapshot = *s;
  l->conf = s->conf;
  l->base_index = s->index;
  l->base_term = s->term;
}

int
mem_log_make_snapshot (struct mem_log *l, uint64_t index, const struct raft_conf *conf)
{
  uint64_t term = 0;
  int rc = mem_term (l, index, &term, NULL);
  if (rc == 0)
    l->snapshot = (struct raft_snapshot){.index = index, .term = term, .conf = *conf};
  return rc;
}

int
mem_log_compact (struct mem_log *l, uint64_t index)
{
  uint64_t term = 0;
  int rc = mem_term (l, index, &term, NULL);
  if (rc)
    return rc;
  REQUIRE (index <= l->snapshot.index);
  raft_entries_drop_front (&l->entries, index - l->base_index);
  l->base_index = index;
  l->base_term = term;
  return 0;
}
