#include "storage/raft/raft_progress.h"

#include "base/mem.h"

static uint64_t
min_u64 (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static uint64_t
max_u64 (uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

void
raft_progress_init (struct raft_progress *p, uint64_t id, uint64_t next, uint32_t window_max, uint64_t window_bytes_max)
{
  *p = (struct raft_progress){
    .id = id,
    .next = max_u64 (next, 1),
    .window_max = window_max,
    .window_bytes_max = window_bytes_max,
    .recent_active = true, /* else check quorum could strike before it had time to answer */
  };
}

void
raft_progress_done (struct raft_progress *p)
{
  free (p->window);
  p->window = NULL;
}

static void
progress_set_state (struct raft_progress *p, enum raft_progress_state state)
{
  p->paused = false;
  p->pending_snapshot = 0;
  p->state = state;
  p->window_start = p->window_count = 0;
  p->window_bytes = 0;
}

void
raft_progress_reset (struct raft_progress *p, uint64_t next)
{
  progress_set_state (p, RAFT_PROBE);
  p->match = 0;
  p->next = next;
  p->sent_commit = 0;
  p->read_acked = 0;
  p->recent_active = false;
}

void
raft_progress_become_probe (struct raft_progress *p)
{
  uint64_t snapshot = p->state == RAFT_SNAPSHOT ? p->pending_snapshot : 0;
  progress_set_state (p, RAFT_PROBE);
  p->next = max_u64 (p->match, snapshot) + 1;
  p->sent_commit = min_u64 (p->sent_commit, p->next - 1);
}

void
raft_progress_become_replicate (struct raft_progress *p)
{
  progress_set_state (p, RAFT_REPLICATE);
  p->next = p->match + 1;
  p->sent_commit = min_u64 (p->sent_commit, p->match);
}

void
raft_progress_become_snapshot (struct raft_progress *p, uint64_t index)
{
  progress_set_state (p, RAFT_SNAPSHOT);
  p->pending_snapshot = index;
  p->next = index + 1;
  p->sent_commit = index;
}

bool
raft_progress_window_full (const struct raft_progress *p)
{
  return p->window_count >= p->window_max || p->window_bytes >= p->window_bytes_max;
}

bool
raft_progress_is_paused (const struct raft_progress *p)
{
  return p->state == RAFT_SNAPSHOT || p->paused;
}

int
raft_progress_sent (struct raft_progress *p, size_t entry_count, uint64_t data_bytes, uint64_t commit)
{
  if (p->state == RAFT_REPLICATE) {
    if (entry_count) {
      if (!p->window && !(p->window = mem_zalloc (p->window_max * sizeof *p->window)))
        return ERR_NOMEM;
      REQUIRE (p->window_count < p->window_max);
      p->next += entry_count;
      p->window[(p->window_start + p->window_count) % p->window_max]
        = (struct raft_inflight){.index = p->next - 1, .bytes = data_bytes};
      p->window_count++;
      p->window_bytes += data_bytes;
    }
    /* When this filled the window, or it was full, the message is a probe: wait for a sign of life. */
    p->paused = raft_progress_window_full (p);
  } else
    p->paused = true;
  p->sent_commit = min_u64 (max_u64 (p->sent_commit, commit), p->next - 1);
  return 0;
}

bool
raft_progress_can_bump_commit (const struct raft_progress *p, uint64_t commit)
{
  return p->sent_commit < min_u64 (commit, p->next - 1);
}

bool
raft_progress_maybe_update (struct raft_progress *p, uint64_t index)
{
  if (index <= p->match)
    return false;
  p->match = index;
  p->next = max_u64 (p->next, index + 1);
  p->paused = false;
  return true;
}

void
raft_progress_free_window (struct raft_progress *p, uint64_t index)
{
  while (p->window_count && p->window[p->window_start].index <= index) {
    p->window_bytes -= p->window[p->window_start].bytes;
    p->window_start = (p->window_start + 1) % p->window_max;
    p->window_count--;
  }
}

bool
raft_progress_maybe_decrease (struct raft_progress *p, uint64_t rejected, uint64_t hint)
{
  if (p->state == RAFT_REPLICATE) {
    if (rejected <= p->match)
      return false;
    p->next = p->match + 1;
    p->sent_commit = min_u64 (p->sent_commit, p->match);
    return true;
  }
  /* While probing only one append is out, so a rejection of any other is an old one. */
  if (p->next - 1 != rejected)
    return false;
  p->next = max_u64 (min_u64 (rejected, hint + 1), p->match + 1);
  p->sent_commit = min_u64 (p->sent_commit, p->next - 1);
  p->paused = false;
  return true;
}
