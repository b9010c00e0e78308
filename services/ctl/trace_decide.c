#include "services/ctl/trace_decide.h"

#include <string.h>

#define NONE SIZE_MAX

struct group { /* the changes of one transaction */
  size_t first, count; /* in changes */
  size_t parent, child, last_child, next;
  uint64_t revision;
  uint32_t depth;
  bool down, shown; /* down: of the object, or caused by such a one */
};

/* Groups are in order of revision. */
static size_t
group_find (const struct group *g, size_t n, uint64_t revision)
{
  size_t low = 0, high = n;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (g[middle].revision < revision)
      low = middle + 1;
    else
      high = middle;
  }
  return low < n && g[low].revision == revision ? low : NONE;
}

static int
group_all (const struct trace_change *changes, size_t n, const char *key, struct group *g, size_t *ret_count, struct err *err)
{
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    const struct trace_change *c = &changes[i];
    if (i && c->revision < changes[i - 1].revision)
      return err_set (err, ERR_INVALID, "revision %llu follows %llu", (unsigned long long) c->revision, (unsigned long long) changes[i - 1].revision);
    if (!i || c->revision != changes[i - 1].revision) {
      g[count] = (struct group){.first = i, .parent = NONE, .child = NONE, .last_child = NONE, .next = NONE, .revision = c->revision};
      if (c->cause && c->cause < c->revision)
        g[count].parent = group_find (g, count, c->cause);
      count++;
    }
    g[count - 1].count++;
    g[count - 1].down |= !strcmp (c->key, key);
  }
  *ret_count = count;
  return 0;
}

/* A parent stands before its children, so one pass each way is enough. */
static void
mark_and_link (struct group *g, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (g[i].parent != NONE && g[g[i].parent].down)
      g[i].down = true;
    g[i].shown = g[i].down;
  }
  for (size_t i = n; i-- > 0;)
    if (g[i].shown && g[i].parent != NONE)
      g[g[i].parent].shown = true;
  for (size_t i = 0; i < n; i++) {
    struct group *p = g[i].parent == NONE ? NULL : &g[g[i].parent];
    if (!g[i].shown || !p)
      continue;
    g[i].depth = p->depth + 1;
    if (p->child == NONE)
      p->child = i;
    else
      g[p->last_child].next = i;
    p->last_child = i;
  }
}

/* The group after i in depth-first order below one root; NONE at its end. */
static size_t
after (const struct group *g, size_t i)
{
  if (g[i].child != NONE)
    return g[i].child;
  while (i != NONE && g[i].next == NONE)
    i = g[i].parent;
  return i == NONE ? NONE : g[i].next;
}

int
trace_decide (struct arena *a, const struct trace_change *changes, size_t n, const char *key, struct trace_line **ret_lines,
              size_t *ret_count, struct err *err)
{
  struct group *g AUTO_FREE = mem_zalloc ((n + 1) * sizeof *g);
  struct trace_line *lines = arena_alloc (a, (n + 1) * sizeof *lines);
  size_t n_groups = 0, count = 0;
  int r;
  if (!g || !lines)
    return err_set (err, ERR_NOMEM, "trace %zu changes", n);
  if ((r = group_all (changes, n, key, g, &n_groups, err)))
    return r;
  mark_and_link (g, n_groups);
  for (size_t root = 0; root < n_groups; root++)
    for (size_t i = g[root].shown && g[root].parent == NONE ? root : NONE; i != NONE; i = after (g, i))
      for (size_t k = g[i].first; k < g[i].first + g[i].count; k++)
        lines[count++] = (struct trace_line){&changes[k], g[i].depth, !strcmp (changes[k].key, key)};
  *ret_lines = lines;
  *ret_count = count;
  return 0;
}
