#include "base/log.h"
#include "schemas/msgpack.h"
#include "services/kubelet/kubelet.h"

struct job {
  struct bus_request *rq;
  struct image_store *images;
  struct arena arena;
  struct value *body, *reply;
  int rc;
  struct err err;
};

static bool
is_master (const struct bus_peer *peer)
{
  for (const char *const *g = peer->groups; g && *g; g++)
    if (!strcmp (*g, "system:masters"))
      return true;
  return false;
}

/* One row a name, as people look for them. */
static struct value *
rows (struct arena *a, const struct value *list)
{
  struct value *out = value_array (a);
  for (value_items (list, it))
    for (value_items (value_get (*it, "names"), name)) {
      struct value *row = value_map (a);
      value_set_string (a, row, "ref", value_as_string (*name, ""));
      value_set_string (a, row, "digest", value_path_string (*it, "manifest", ""));
      value_set_string (a, row, "id", value_path_string (*it, "id", ""));
      value_set_int (a, row, "size", value_path_int (*it, "size", 0));
      value_append (a, out, row);
    }
  return out;
}

static void
work (void *arg)
{
  struct job *j = arg;
  struct value *list = value_array (&j->arena);
  j->reply = value_map (&j->arena);
  if (!strcmp (j->rq->method, "image.import")) {
    j->rc = image_import (j->images, value_path_string (j->body, "path", ""), value_path_string (j->body, "name", NULL), &j->arena, list, &j->err);
    value_set (&j->arena, j->reply, "refs", list);
  } else if (!strcmp (j->rq->method, "image.remove")) {
    j->rc = image_remove (j->images, value_path_string (j->body, "ref", ""), &j->err);
  } else {
    j->rc = image_list (j->images, &j->arena, &list, &j->err);
    value_set (&j->arena, j->reply, "images", rows (&j->arena, list));
  }
}

static void
done (void *arg)
{
  struct job *j = arg;
  struct buf b AUTO_BUF = BUF_INIT;
  value_pack (j->reply, &b);
  if (!j->rc && (b.failed || !arena_ok (&j->arena)))
    j->rc = err_set (&j->err, ERR_NOMEM, "out of memory");
  if (j->rc)
    bus_reply_error (j->rq, j->rc, "%s", j->err.text);
  else
    bus_reply (j->rq, b.data, b.len);
  arena_done (&j->arena);
  free (j);
}

static void
on_request (void *arg, struct bus_request *rq)
{
  struct kubelet *k = arg;
  struct job *j;
  struct err err;
  if (!is_master (&rq->peer)) {
    bus_reply_error (rq, ERR_DENIED, "%s: for members of system:masters only", rq->method);
    return;
  }
  if (strcmp (rq->method, "image.import") != 0 && strcmp (rq->method, "image.list") != 0 && strcmp (rq->method, "image.remove") != 0) {
    bus_reply_error (rq, ERR_UNSUPPORTED, "no such method: %s", rq->method);
    return;
  }
  if (!(j = mem_zalloc (sizeof *j))) {
    bus_reply_error (rq, ERR_NOMEM, "out of memory");
    return;
  }
  arena_init (&j->arena, 64u << 20);
  j->rq = rq;
  j->images = k->images;
  if ((rq->len && value_unpack (&j->arena, rq->body, rq->len, &j->body, &err)) || pool_run (k->host.pulls, work, done, j, &err)) {
    bus_reply_error (rq, err.code, "%s", err.text);
    arena_done (&j->arena);
    free (j);
  }
}

int
kubelet_images_serve (struct kubelet *k, struct err *err)
{
  k->bus_server = bus_serve (k->ctx->bus, k->config->listen, on_request, k, err);
  return k->bus_server ? 0 : err_wrap (err, "listen at %s", k->config->listen);
}
