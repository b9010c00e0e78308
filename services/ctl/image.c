/* kubusctl image: the images of a kubelet's own store. Bodies are msgpack maps; methods image.import {path}, image.list {},
   image.remove {ref}. */
#include "services/ctl/ctl.h"

#include <errno.h>
#include <limits.h>

#include "schemas/msgpack.h"

#define IMPORT_TIMEOUT_MS 600000

static int
call (struct ctl *c, const char *method, const char *key, const char *text, struct value **ret, struct err *err)
{
  const char *endpoint = ctl_bus_endpoint (c, c->flags.kubelet, "kubelet");
  struct value *body = value_map (&c->arena);
  struct buf packed AUTO_BUF = BUF_INIT, reply AUTO_BUF = BUF_INIT;
  struct ctl_bus b;
  int r;
  if (key)
    value_set_string (&c->arena, body, key, text);
  value_pack (body, &packed);
  if (!arena_ok (&c->arena) || packed.failed)
    return err_set (err, ERR_NOMEM, "%s", method);
  if ((r = ctl_bus_open (c, endpoint, &b, err)))
    return r;
  r = bus_call_sync (b.client, &(struct bus_call){.method = method, .body = packed.data, .len = packed.len, .deadline_ms = IMPORT_TIMEOUT_MS, .no_retry = true}, &reply, err);
  ctl_bus_close (&b);
  if (r)
    return err_wrap (err, "%s", endpoint), r;
  *ret = NULL;
  return reply.len ? value_unpack (&c->arena, reply.data, reply.len, ret, err) : 0;
}

int
verb_image_import (struct ctl *c, int argc, char **argv, struct err *err)
{
  char path[PATH_MAX];
  struct value *v;
  int r;
  (void) argc;
  if (!realpath (argv[0], path)) /* the kubelet has another working directory */
    return err_errno (err, errno, "%s", argv[0]);
  if ((r = call (c, "image.import", "path", path, &v, err)))
    return r;
  for (value_items (value_is (v, VALUE_ARRAY) ? v : value_get (v, "refs"), it))
    printf ("imported %s\n", value_as_string (*it, "?"));
  if (value_get (v, "ref"))
    printf ("imported %s\n", value_path_string (v, "ref", "?"));
  return 0;
}

int
verb_image_list (struct ctl *c, int argc, char **argv, struct err *err)
{
  struct ctl_table t = {.n_columns = 3};
  struct value *v;
  int r = call (c, "image.list", NULL, NULL, &v, err);
  (void) argc;
  (void) argv;
  if (r)
    return r;
  for (const char *const *h = (const char *const[]){"IMAGE", "DIGEST", "SIZE", NULL}; *h && !r; h++)
    r = ctl_table_cell (&t, &c->arena, *h);
  for (value_items (value_is (v, VALUE_ARRAY) ? v : value_get (v, "images"), it)) {
    int64_t bytes = value_path_int (*it, "size", value_path_int (*it, "size_bytes", 0));
    if ((r = ctl_table_cell (&t, &c->arena, value_path_string (*it, "ref", "<none>"))) || (r = ctl_table_cell (&t, &c->arena, value_path_string (*it, "digest", value_path_string (*it, "id", "")))))
      break;
    if ((r = ctl_table_cell (&t, &c->arena, arena_printf (&c->arena, "%.1fMiB", (double) bytes / 1048576))))
      break;
  }
  if (r)
    return err_set (err, r, "images");
  ctl_table_print (&t, stdout);
  return 0;
}

int
verb_image_remove (struct ctl *c, int argc, char **argv, struct err *err)
{
  struct value *v;
  int r = 0;
  for (int i = 0; i < argc && !r; i++)
    if (!(r = call (c, "image.remove", "ref", argv[i], &v, err)))
      printf ("removed %s\n", argv[i]);
  return r;
}
