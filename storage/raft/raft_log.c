#include "storage/raft/raft_log.h"

#include "base/mem.h"

static int
log_fault (struct raft_log *l, int code, const char *what, uint64_t index)
{
  if (l->fault->code == 0)
    err_set (l->fault, code, "raft log: %s %llu", what, (unsigned long long) index);
  return l->fault->code;
}

/* A storage call failed in a way that is no answer. */
static int
log_storage_fault (struct raft_log *l, const struct err *err, const char *what)
{
  if (l->fault->code == 0) {
    *l->fault = *err;
    err_wrap (l->fault, "raft log: %s", what);
  }
  return l->fault->code;
}

void
raft_log_init (struct raft_log *l, const struct raft_storage *storage, uint64_t max_applying_bytes, struct err *fault)
{
  uint64_t first = storage->first_index (storage->ctx), last = storage->last_index (storage->ctx);
  *l = (struct raft_log){
    .storage = storage,
    .fault = fault,
    .offset = last + 1,
    .offset_in_progress = last + 1,
    .committed = first - 1,
    .applying = first - 1,
    .applied = first - 1,
    .max_applying_bytes = max_applying_bytes,
  };
}

void
raft_log_done (struct raft_log *l)
{
  raft_entries_done (&l->unstable);
  free (l->batches);
  *l = (struct raft_log){0};
}

uint64_t
raft_log_first_index (const struct raft_log *l)
{
  return l->has_snapshot ? l->snapshot.index + 1 : l->storage->first_index (l->storage->ctx);
}

uint64_t
raft_log_last_index (const struct raft_log *l)
{
  return l->offset + l->unstable.n - 1;
}

int
raft_log_term (struct raft_log *l, uint64_t index, uint64_t *ret_term)
{
  struct err err = {0};
  int rc;
  if (index > raft_log_last_index (l))
    return ERR_UNAVAILABLE;
  if (index >= l->offset) {
    *ret_term = l->unstable.v[index - l->offset].term;
    return 0;
  }
  if (l->has_snapshot) {
    if (index != l->snapshot.index)
      return ERR_COMPACTED;
    *ret_term = l->snapshot.term;
    return 0;
  }
  rc = l->storage->term (l->storage->ctx, index, ret_term, &err);
  if (rc && rc != ERR_COMPACTED)
    return log_storage_fault (l, &err, "term");
  return rc;
}

uint64_t
raft_log_term_or_zero (struct raft_log *l, uint64_t index)
{
  uint64_t term = 0;
  return raft_log_term (l, index, &term) == 0 ? term : 0;
}

uint64_t
raft_log_last_term (struct raft_log *l)
{
  return raft_log_term_or_zero (l, raft_log_last_index (l));
}

bool
raft_log_match (struct raft_log *l, uint64_t index, uint64_t term)
{
  uint64_t ours = 0;
  return raft_log_term (l, index, &ours) == 0 && ours == term;
}

bool
raft_log_up_to_date (struct raft_log *l, uint64_t last_index, uint64_t last_term)
{
  uint64_t ours = raft_log_last_term (l);
  return last_term > ours || (last_term == ours && last_index >= raft_log_last_index (l));
}

int
raft_log_slice (struct raft_log *l, uint64_t lo, uint64_t hi, uint64_t max_bytes, struct raft_entries *ret)
{
  struct err err = {0};
  uint64_t bytes = 0, next = lo;
  REQUIRE (hi <= raft_log_last_index (l) + 1);
  if (lo < raft_log_first_index (l))
    return ERR_COMPACTED;
  if (lo < l->offset && lo < hi) {
    uint64_t stored_hi = hi < l->offset ? hi : l->offset;
    int rc = l->storage->entries (l->storage->ctx, lo, stored_hi, max_bytes, ret, &err);
    if (rc == ERR_COMPACTED)
      return rc;
    if (rc)
      return log_storage_fault (l, &err, "entries");
    REQUIRE (ret->n > 0 && ret->n <= stored_hi - lo && ret->v[0].index == lo);
    for (size_t i = 0; i < ret->n; i++)
      bytes += raft_entry_size_bytes (&ret->v[i]);
    next = lo + ret->n;
    if (next < stored_hi)
      return 0;
  }
  for (; next < hi; next++) {
    const struct raft_entry *e = &l->unstable.v[next - l->offset];
    bytes += raft_entry_size_bytes (e);
    if (next > lo && bytes > max_bytes)
      break;
    if (raft_entries_push (ret, e))
      return log_fault (l, ERR_NOMEM, "no memory for entry", next);
  }
  return 0;
}

void
raft_log_append (struct raft_log *l, const struct raft_entry *v, size_t n)
{
  uint64_t from;
  if (n == 0)
    return;
  from = v[0].index;
  REQUIRE (from > l->committed && from <= raft_log_last_index (l) + 1);
  if (from <= l->offset) {
    /* Everything unstable is replaced, and stored entries from here on will be by the save. */
    raft_entries_truncate (&l->unstable, 0);
    l->offset = from;
  } else
    raft_entries_truncate (&l->unstable, from - l->offset);
  if (l->offset_in_progress > from)
    l->offset_in_progress = from;
  if (raft_entries_append (&l->unstable, v, n))
    log_fault (l, ERR_NOMEM, "no memory for entry", from);
}

bool
raft_log_maybe_append (struct raft_log *l, uint64_t prev_index, uint64_t prev_term, uint64_t commit,
                       const struct raft_entry *v, size_t n, uint64_t *ret_last)
{
  uint64_t last = prev_index + n;
  size_t i = 0;
  if (!raft_log_match (l, prev_index, prev_term))
    return false;
  /* What we have already must not be cut off: the message may be an old one (Raft 5.3, step 3). */
  while (i < n && raft_log_match (l, v[i].index, v[i].term))
    i++;
  if (l->fault->code)
    return false;
  if (i < n) {
    if (v[i].index <= l->committed) {
      log_fault (l, ERR_CORRUPT, "an append contradicts committed entry", v[i].index);
      return false;
    }
    raft_log_append (l, v + i, n - i);
  }
  raft_log_commit_to (l, commit < last ? commit : last);
  *ret_last = last;
  return true;
}

uint64_t
raft_log_find_conflict (struct raft_log *l, uint64_t index, uint64_t term, uint64_t *ret_term)
{
  for (; index > 0; index--) {
    uint64_t ours = 0;
    if (raft_log_term (l, index, &ours)) {
      *ret_term = 0;
      return index;
    }
    if (ours <= term) {
      *ret_term = ours;
      return index;
    }
  }
  *ret_term = 0;
  return 0;
}

void
raft_log_commit_to (struct raft_log *l, uint64_t index)
{
  if (index <= l->committed || l->fault->code)
    return;
  if (index > raft_log_last_index (l)) {
    log_fault (l, ERR_CORRUPT, "the leader says that we hold an entry that we lack, was it lost?", index);
    return;
  }
  l->committed = index;
}

bool
raft_log_maybe_commit (struct raft_log *l, uint64_t index, uint64_t term)
{
  if (index <= l->committed || term == 0 || raft_log_term_or_zero (l, index) != term)
    return false;
  raft_log_commit_to (l, index);
  return true;
}

static uint64_t
log_max_appliable (const struct raft_log *l)
{
  return l->committed < l->offset ? l->committed : l->offset - 1;
}

bool
raft_log_has_committed (const struct raft_log *l)
{
  return !l->has_snapshot && l->applying_bytes < l->max_applying_bytes && l->applying < log_max_appliable (l);
}

void
raft_log_next_committed (struct raft_log *l, struct raft_entries *ret)
{
  uint64_t size = 0;
  if (!raft_log_has_committed (l))
    return;
  if (l->batch_count == l->batch_cap) {
    size_t cap = l->batch_cap ? l->batch_cap * 2 : 8;
    struct raft_applying *v = mem_zalloc (cap * sizeof *v);
    if (!v) {
      log_fault (l, ERR_NOMEM, "no memory to apply from", l->applying + 1);
      return;
    }
    if (l->batch_count)
      memcpy (v, l->batches, l->batch_count * sizeof *v);
    free (l->batches);
    l->batches = v;
    l->batch_cap = cap;
  }
  if (raft_log_slice (l, l->applying + 1, log_max_appliable (l) + 1, l->max_applying_bytes - l->applying_bytes, ret)) {
    log_fault (l, ERR_CORRUPT, "entries to apply are not there from", l->applying + 1);
    return;
  }
  for (size_t i = 0; i < ret->n; i++)
    size += raft_entry_size_bytes (&ret->v[i]);
  l->applying += ret->n;
  l->applying_bytes += size;
  l->batches[l->batch_count++] = (struct raft_applying){
    .last_index = l->applying,
    .size_bytes = size,
    .data_bytes = raft_entries_data_bytes (ret),
  };
}

void
raft_log_applied_to (struct raft_log *l, uint64_t index, uint64_t *ret_data_bytes)
{
  size_t done = 0;
  uint64_t data_bytes = 0;
  REQUIRE (index <= l->committed && index >= l->applied);
  l->applied = index;
  if (l->applying < index)
    l->applying = index;
  for (; done < l->batch_count && l->batches[done].last_index <= index; done++) {
    l->applying_bytes -= l->batches[done].size_bytes;
    data_bytes += l->batches[done].data_bytes;
  }
  l->batch_count -= done;
  if (done && l->batch_count)
    memmove (l->batches, l->batches + done, l->batch_count * sizeof *l->batches);
  *ret_data_bytes = data_bytes;
}

const struct raft_entry *
raft_log_next_unstable (const struct raft_log *l, size_t *ret_n)
{
  size_t skip = l->offset_in_progress - l->offset;
  *ret_n = l->unstable.n - skip;
  return *ret_n ? l->unstable.v + skip : NULL;
}

bool
raft_log_has_next_snapshot (const struct raft_log *l)
{
  return l->has_snapshot && !l->snapshot_in_progress;
}

void
raft_log_accept_unstable (struct raft_log *l)
{
  l->offset_in_progress = l->offset + l->unstable.n;
  l->snapshot_in_progress = l->has_snapshot;
}

void
raft_log_stable_to (struct raft_log *l, uint64_t index, uint64_t term)
{
  /* An entry that was replaced since is not the one that became durable: its successor's save will be reported. */
  if (index < l->offset || index > raft_log_last_index (l) || l->unstable.v[index - l->offset].term != term)
    return;
  raft_entries_drop_front (&l->unstable, index + 1 - l->offset);
  l->offset = index + 1;
  if (l->offset_in_progress < l->offset)
    l->offset_in_progress = l->offset;
}

void
raft_log_stable_snapshot_to (struct raft_log *l, uint64_t index)
{
  if (l->has_snapshot && l->snapshot.index == index)
    l->has_snapshot = l->snapshot_in_progress = false;
}

void
raft_log_restore (struct raft_log *l, const struct raft_snapshot *s)
{
  raft_entries_done (&l->unstable);
  l->offset = l->offset_in_progress = s->index + 1;
  l->snapshot = *s;
  l->has_snapshot = true;
  l->snapshot_in_progress = false;
  l->committed = s->index;
}
