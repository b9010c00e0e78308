/* Lease deadlines are the leader's alone: a new leader gives every lease its full time again, so that none ends early. */
#include "storage/node_internal.h"

static const char *
lease_key (uint64_t id, char out[17])
{
  snprintf (out, 17, "%016llx", (unsigned long long) id);
  return out;
}

bool
node_lease_renew (struct node *n, uint64_t id, int64_t ttl_s)
{
  char key[17];
  struct node_lease *l = map_get (n->leases, lease_key (id, key));
  if (!l) {
    if (!(l = mem_zalloc (sizeof *l)) || map_set (n->leases, key, l)) {
      free (l);
      return false;
    }
    l->id = id;
  }
  l->ttl_s = ttl_s;
  l->expires.ns = mono_now ().ns + ttl_s * 1000000000;
  return true;
}

void
node_leases_reload (struct node *n)
{
  struct state_lease l;
  uint64_t after = 0;
  struct map *fresh = map_new (free);
  if (!fresh)
    return;
  map_free (n->leases);
  n->leases = fresh;
  for (; !state_lease_next (n->state, after, &l, NULL); after = l.id)
    (void) node_lease_renew (n, l.id, l.ttl_s);
}

void
node_leases_tick (struct node *n)
{
  mono_t now = mono_now ();
  const char *key;
  void *v;
  for (size_t it = 0; map_next (n->leases, &it, &key, &v);) {
    struct node_lease *l = v;
    struct state_lease still;
    struct buf body AUTO_BUF = BUF_INIT;
    if (l->expires.ns > now.ns)
      continue;
    if (state_lease_get (n->state, l->id, &still, NULL)) { /* revoked: nothing to keep */
      map_delete (n->leases, key);
      continue;
    }
    wire_pack_numbers (&l->id, 1, &body);
    if (node_propose (n, NULL, STATE_LEASE_REVOKE, body.data, body.len))
      l->expires.ns = now.ns + 5000000000; /* asked again if the entry is lost */
  }
}
