#include "base/mem.h"
#include "bus/tap/tap.h"

enum { RESOURCES_MAX = 4096 };

struct counter {
  uint64_t changes, bytes, total, total_bytes;
  int64_t lag_us, lag_max_us; /* sum and worst since the last table */
};
struct tap_stats {
  struct omap *by_resource;
  mono_t last;
};

struct tap_stats *
tap_stats_new (mono_t now)
{
  struct tap_stats *s = mem_zalloc (sizeof *s);
  if (!s || !(s->by_resource = omap_new (free))) {
    free (s);
    return NULL;
  }
  s->last = now;
  return s;
}

void
tap_stats_free (struct tap_stats *s)
{
  if (!s)
    return;
  omap_free (s->by_resource);
  free (s);
}

void
tap_stats_add (struct tap_stats *s, const struct tap_event *e, const struct tap_key *key, wall_t now)
{
  struct counter *c = omap_get (s->by_resource, key->resource);
  int64_t lag = e->change->time_us && !e->state ? now.us - e->change->time_us : 0;
  if (!c) {
    if (omap_count (s->by_resource) >= RESOURCES_MAX || !(c = mem_zalloc (sizeof *c)))
      return;
    if (omap_set (s->by_resource, key->resource, c)) {
      free (c);
      return;
    }
  }
  c->changes++;
  c->bytes += e->change->value_len;
  c->lag_us += lag;
  if (c->lag_max_us < lag)
    c->lag_max_us = lag;
}

void
tap_stats_print (struct tap_stats *s, mono_t now, struct buf *out)
{
  double seconds = (double) (now.ns - s->last.ns) / 1e9;
  s->last = now;
  if (seconds <= 0)
    seconds = 1;
  buf_printf (out, "%-40s %10s %12s %10s %12s %10s %10s\n", "RESOURCE", "CHANGES/S", "BYTES/S", "CHANGES", "BYTES", "LAG ms", "MAX ms");
  for (struct omap_node *n = omap_seek (s->by_resource, NULL); n; n = omap_next (s->by_resource, n)) {
    struct counter *c = omap_value (n);
    c->total += c->changes;
    c->total_bytes += c->bytes;
    buf_printf (out, "%-40s %10.1f %12.0f %10llu %12llu %10.1f %10.1f\n", omap_key (n), (double) c->changes / seconds,
                (double) c->bytes / seconds, (unsigned long long) c->total, (unsigned long long) c->total_bytes,
                c->changes ? (double) c->lag_us / 1000 / (double) c->changes : 0.0, (double) c->lag_max_us / 1000);
    c->changes = c->bytes = 0;
    c->lag_us = c->lag_max_us = 0;
  }
}
