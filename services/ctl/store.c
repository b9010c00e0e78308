#include "services/ctl/ctl.h"

#include "storage/wire.h"

static int
print (struct ctl *c, const struct buf *body, struct err *err)
{
  struct store_status st;
  struct ctl_table t = {.n_columns = 2};
  int r = wire_unpack_status (&c->arena, body->data, body->len, &st, err);
  if (r)
    return r;
#define ROW(title, fmt, ...) \
  do { \
    (void) ctl_table_cell (&t, &c->arena, title); \
    (void) ctl_table_cell (&t, &c->arena, arena_printf (&c->arena, fmt, __VA_ARGS__)); \
  } while (0)
  ROW ("Member:", "%s (%016llx)", st.member_name, (unsigned long long) st.member_id);
  ROW ("Leader:", "%s", *st.leader_name ? st.leader_name : "none");
  ROW ("Members:", "%u", st.n_members);
  ROW ("Term:", "%llu", (unsigned long long) st.term);
  ROW ("Applied index:", "%llu", (unsigned long long) st.applied_index);
  ROW ("Revision:", "%llu", (unsigned long long) st.revision);
  ROW ("Compacted:", "%llu", (unsigned long long) st.compacted_revision);
  ROW ("Size:", "%.1f MiB", (double) st.size_bytes / 1048576);
#undef ROW
  if (!arena_ok (&c->arena))
    return err_set (err, ERR_NOMEM, "status");
  ctl_table_print (&t, stdout);
  return 0;
}

int
verb_store_status (struct ctl *c, int argc, char **argv, struct err *err)
{
  const char *endpoint = ctl_bus_endpoint (c, c->flags.store, "store");
  struct ctl_bus b;
  struct buf body AUTO_BUF = BUF_INIT;
  int r = ctl_bus_open (c, endpoint, &b, err);
  (void) argc;
  (void) argv;
  if (r)
    return r;
  if (!(r = bus_call_sync (b.client, &(struct bus_call){.method = STORE_METHOD_STATUS}, &body, err)))
    r = print (c, &body, err);
  else
    err_wrap (err, "%s", endpoint);
  ctl_bus_close (&b);
  return r;
}
