/* kubusctl trace: reads the store's change log page by page, keeps each change without its value, and prints the tree that
   trace_decide makes of it. */
#include "services/ctl/ctl.h"

#include "base/clock.h"
#include "bus/stream.h"
#include "services/ctl/trace_decide.h"
#include "storage/wire.h"

#define CHANGES_MAX 2000000
#define PAGE 5000
#define PAGE_TIMEOUT_MS 30000

struct trace {
  struct ctl *c;
  struct ctl_bus bus;
  struct trace_change *changes;
  size_t count, cap;
};

static int
keep (struct trace *t, const struct bus_change *ch, struct err *err)
{
  struct arena *a = &t->c->arena;
  const char *actor = t->count && !strcmp (t->changes[t->count - 1].actor, ch->actor) ? t->changes[t->count - 1].actor : arena_strdup (a, ch->actor);
  const char *key = arena_strdup (a, ch->key);
  if (t->count == CHANGES_MAX)
    return err_set (err, ERR_LIMIT, "more than %d changes: choose a later --revision", CHANGES_MAX);
  if (t->count == t->cap) {
    size_t cap = t->cap ? t->cap * 2 : 4096;
    struct trace_change *more = realloc (t->changes, cap * sizeof *more);
    if (!more)
      return err_set (err, ERR_NOMEM, "%zu changes", cap);
    t->changes = more;
    t->cap = cap;
  }
  if (!actor || !key)
    return err_set (err, ERR_NOMEM, "changes");
  t->changes[t->count++] = (struct trace_change){.revision = ch->revision, .cause = ch->cause, .time_us = ch->time_us, .key = key, .actor = actor,
                                                 .verb = ch->op == BUS_DELETE ? "delete" : ch->prev_revision ? "update" : "create"};
  return 0;
}

/* One page; moves q on. */
static int
read_page (struct trace *t, struct stream_query *q, bool *ret_more, struct err *err)
{
  struct buf body AUTO_BUF = BUF_INIT, reply AUTO_BUF = BUF_INIT;
  struct stream_page page;
  const uint8_t *data;
  size_t len;
  int r;
  stream_query_pack (q, true, &body);
  if (body.failed)
    return err_set (err, ERR_NOMEM, "query");
  if ((r = bus_call_sync (t->bus.client, &(struct bus_call){.method = STREAM_CHANGES_METHOD, .body = body.data, .len = body.len, .deadline_ms = PAGE_TIMEOUT_MS}, &reply, err))
      || (r = stream_page_unpack (reply.data, reply.len, &page, err)))
    return r;
  while (stream_page_next (&page, &data, &len)) {
    struct buf scratch AUTO_BUF = BUF_INIT;
    struct bus_change ch;
    if ((r = bus_change_unpack (data, len, &ch, &scratch, err)) || (r = keep (t, &ch, err)))
      return r;
    q->revision = ch.revision; /* where to look for what follows */
  }
  *ret_more = page.more;
  q->after_seq = page.seq;
  return 0;
}

/* What the log no longer has is not asked for. */
static int
start (struct trace *t, struct stream_query *q, struct err *err)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct store_status st;
  const char *given = t->c->flags.revision;
  char *end;
  int r;
  if (given) {
    q->revision = strtoull (given, &end, 10);
    if (*end || end == given)
      return err_set (err, ERR_INVALID, "--revision: \"%s\" is not a number", given);
  }
  if ((r = bus_call_sync (t->bus.client, &(struct bus_call){.method = STORE_METHOD_STATUS}, &body, err))
      || (r = wire_unpack_status (&t->c->arena, body.data, body.len, &st, err)))
    return r;
  if (q->revision < st.compacted_revision)
    q->revision = st.compacted_revision;
  return 0;
}

static void
print_line (const struct trace_line *l, const char *time)
{
  printf ("%s  %8llu  %*s%s%-6s %s  by %s", time, (unsigned long long) l->change->revision, (int) (l->depth > 40 ? 40 : l->depth) * 2, "", l->target ? "* " : "- ",
          l->change->verb, l->change->key, *l->change->actor ? l->change->actor : "?");
  if (l->change->cause && !l->depth)
    printf ("  (cause %llu)", (unsigned long long) l->change->cause);
  putchar ('\n');
}

static int
print (struct trace *t, const char *key, struct err *err)
{
  struct trace_line *lines;
  size_t n;
  int r = trace_decide (&t->c->arena, t->changes, t->count, key, &lines, &n, err);
  if (r)
    return r;
  if (!n)
    return err_set (err, ERR_NOT_FOUND, "the log of %zu changes has none of %s", t->count, key);
  if (!t->c->flags.no_headers)
    printf ("%-27s  %8s  CHANGE (*: of %s)\n", "TIME", "REVISION", key);
  for (size_t i = 0; i < n; i++) {
    char time[CLOCK_RFC3339_SIZE];
    print_line (&lines[i], wall_format_micro ((wall_t){lines[i].change->time_us}, time));
  }
  return 0;
}

/* The store's key of the object: the storage kind's first segment, namespace, name. */
static int
target (struct ctl *c, const struct ctl_resource *r, const char *name, void *arg, struct err *err)
{
  const struct schema_kind *k = schema_kind_by_kind (r->group, r->version, r->kind);
  const char **key = arg;
  char prefix[512];
  if (!name)
    return err_set (err, ERR_INVALID, "name one object, TYPE/NAME");
  if (k)
    schema_storage_prefix (k, prefix, sizeof prefix);
  else
    snprintf (prefix, sizeof prefix, "%s.%s", r->resource, r->group);
  *key = r->namespaced ? arena_printf (&c->arena, "%s/%s/%s", prefix, ctl_namespace (c), name) : arena_printf (&c->arena, "%s/%s", prefix, name);
  return *key ? 0 : err_set (err, ERR_NOMEM, "key");
}

int
verb_trace (struct ctl *c, int argc, char **argv, struct err *err)
{
  struct trace t = {.c = c};
  struct stream_query *q = arena_zalloc (&c->arena, sizeof *q);
  const char *key = NULL, *endpoint = ctl_bus_endpoint (c, c->flags.store, "store");
  bool more = true;
  int r;
  if (!q)
    return err_set (err, ERR_NOMEM, "trace");
  if ((r = ctl_targets (c, argc, argv, target, &key, err)) || (r = ctl_bus_open (c, endpoint, &t.bus, err)))
    return r;
  q->limit = PAGE;
  r = start (&t, q, err);
  while (!r && more)
    r = read_page (&t, q, &more, err);
  if (r)
    err_wrap (err, "%s", endpoint);
  else
    r = print (&t, key, err);
  free (t.changes);
  ctl_bus_close (&t.bus);
  return r;
}
