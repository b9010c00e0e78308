#include "bus/bus.h"

#include "bus/bus_internal.h"

struct peer *
peer_new (const char *name, const char *user, const char *groups)
{
  struct peer *p = mem_zalloc (sizeof *p);
  size_t name_len = strlen (name) + 1, user_len = strlen (user) + 1, n = 0;
  char *at;
  if (!p)
    return NULL;
  p->refs = 1;
  groups = groups ? groups : "";
  if (!(p->text = mem_zalloc (name_len + user_len + strlen (groups) + 1)))
    goto fail;
  memcpy (p->text, name, name_len);
  memcpy (p->text + name_len, user, user_len);
  at = p->text + name_len + user_len;
  memcpy (at, groups, strlen (groups));
  p->p = (struct bus_peer){.name = p->text, .user = p->text + name_len, .groups = p->list};
  for (char *save = NULL, *g = strtok_r (at, ",", &save); g; g = strtok_r (NULL, ",", &save)) {
    if (n == sizeof p->list / sizeof p->list[0] - 1)
      goto fail;
    p->list[n++] = g;
  }
  return p;
fail:
  peer_unref (p);
  return NULL;
}

struct peer *
peer_ref (struct peer *p)
{
  p->refs++;
  return p;
}

void
peer_unref (struct peer *p)
{
  if (!p || --p->refs)
    return;
  free (p->text);
  free (p);
}

int
endpoint_parse (const char *text, struct endpoint *ret, struct err *err)
{
  const char *at = text ? strchr (text, '@') : NULL;
  size_t name_len = at ? (size_t) (at - text) : 0;
  if (!at || !name_len || name_len > BUS_NAME_MAX || !at[1] || strlen (at + 1) >= sizeof ret->address)
    return err_set (err, ERR_INVALID, "endpoint \"%.300s\" is not NAME@ADDRESS", text ? text : "");
  memset (ret, 0, sizeof *ret);
  memcpy (ret->name, text, name_len);
  memcpy (ret->address, at + 1, strlen (at + 1));
  return 0;
}

int64_t
backoff_ms (struct bus *b, unsigned tries, int64_t min_ms, int64_t max_ms)
{
  int64_t ms = min_ms << (tries > 16 ? 16 : tries);
  if (ms > max_ms)
    ms = max_ms;
  return ms / 2 + (int64_t) (b->vt->random (b) % (uint64_t) (ms / 2 + 1));
}

struct loop *
bus_loop (struct bus *b)
{
  return b->loop;
}

void
bus_free (struct bus *b)
{
  if (!b)
    return;
  while (b->sources)
    bus_source_free (b->sources);
  while (b->clients)
    bus_client_free (b->clients);
  while (b->publishers)
    bus_publisher_free (b->publishers);
  while (b->servers)
    bus_server_free (b->servers);
  b->vt->free (b);
}
