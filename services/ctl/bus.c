#include "services/ctl/ctl.h"

#include <limits.h>

int
ctl_bus_open (struct ctl *c, const char *endpoint, struct ctl_bus *ret, struct err *err)
{
  struct ctl_bus b = {0};
  struct bus_zmq_config config = {.key_file = arena_printf (&c->arena, "%s/bus/admin.secret", ctl_dir (c)), .known_dir = arena_printf (&c->arena, "%s/bus/known", ctl_dir (c))};
  if (!arena_ok (&c->arena))
    return err_set (err, ERR_NOMEM, "bus");
  if (!(b.loop = loop_new (err)))
    return err && err->code ? err->code : ERR_NOMEM;
  if ((b.bus = bus_zmq_new (b.loop, &config, err)) && (b.client = bus_client_new (b.bus, &endpoint, 1, err))) {
    *ret = b;
    return 0;
  }
  ctl_bus_close (&b);
  return err && err->code ? err->code : ERR_IO;
}

void
ctl_bus_close (struct ctl_bus *b)
{
  bus_client_free (b->client);
  bus_free (b->bus);
  loop_free (b->loop);
  *b = (struct ctl_bus){0};
}

const char *
ctl_bus_endpoint (struct ctl *c, const char *given, const char *name)
{
  char absolute[PATH_MAX];
  if (given)
    return given;
  return realpath (ctl_dir (c), absolute) ? arena_printf (&c->arena, "%s@ipc://%s/run/%s.sock", name, absolute, name)
                                          : arena_printf (&c->arena, "%s@ipc://%s/run/%s.sock", name, ctl_dir (c), name);
}
