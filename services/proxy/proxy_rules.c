#include "services/proxy/proxy_rules.h"

#include "base/map.h"

struct proxy_rules {
  const struct proxy_config *config;
  struct omap *services; /* key -> struct proxy_service */
  struct map *owners;    /* "set\1element" -> how many services have it */
  size_t node_ports;
};

static void
service_free (void *p)
{
  proxy_service_free (p);
}

struct proxy_rules *
proxy_rules_new (const struct proxy_config *config)
{
  struct proxy_rules *r = mem_zalloc (sizeof *r);
  if (!r)
    return NULL;
  r->config = config;
  r->services = omap_new (service_free);
  r->owners = map_new (NULL);
  if (!r->services || !r->owners) {
    proxy_rules_free (r);
    return NULL;
  }
  return r;
}

void
proxy_rules_free (struct proxy_rules *r)
{
  if (!r)
    return;
  omap_free (r->services);
  map_free (r->owners);
  free (r);
}

size_t
proxy_rules_node_ports (const struct proxy_rules *r)
{
  return r->node_ports;
}

/* ---- what both scripts are made of ---- */

static void
write_element (const struct proxy_rules *r, const char *verb, const struct proxy_element *e, struct buf *out)
{
  buf_printf (out, "%s element ip %s %s { %s%s%s }\n", verb, r->config->table, e->set, e->key, e->value ? " : " : "", e->value ? e->value : "");
}

static void
write_rules (const struct proxy_rules *r, const struct proxy_chain *c, struct buf *out)
{
  for (const char *p = c->rules, *end; *p; p = end + 1) {
    end = strchrnul (p, '\n');
    buf_printf (out, "add rule ip %s %s %.*s\n", r->config->table, c->name, (int) (end - p), p);
    if (!*end)
      break;
  }
}

static int64_t
count_owners (const struct proxy_rules *r, const struct proxy_element *e, int64_t change, bool *ret_failed)
{
  AUTO_FREE char *key = mem_printf ("%s\1%s", e->set, e->key);
  int64_t n = key ? (int64_t) (intptr_t) map_get (r->owners, key) + change : 0;
  if (!key || (n > 0 && change && map_set (r->owners, key, (void *) (intptr_t) n) != 0))
    *ret_failed = true;
  else if (n <= 0)
    (void) map_delete (r->owners, key);
  return n;
}

static void
write_base (const struct proxy_rules *r, struct buf *out)
{
  const struct proxy_config *c = r->config;
  const char *t = c->table;
  buf_printf (out, "add table ip %s { comment \"rules of kubus-proxy\"; }\n", t);
  buf_printf (out, "add map ip %s service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }\n", t);
  buf_printf (out, "add map ip %s service-nodeports { type inet_proto . inet_service : verdict; }\n", t);
  buf_printf (out, "add map ip %s no-endpoints { type ipv4_addr . inet_proto . inet_service : verdict; }\n", t);
  buf_printf (out, "add map ip %s no-endpoints-nodeports { type inet_proto . inet_service : verdict; }\n", t);
  buf_printf (out, "add set ip %s hairpin { type ipv4_addr . ipv4_addr; }\n", t);
  buf_printf (out, "add chain ip %s services\n", t);
  buf_printf (out, "add rule ip %s services ip daddr . meta l4proto . th dport vmap @service-ips\n", t);
  buf_printf (out, "add rule ip %s services %sfib daddr type local meta l4proto . th dport vmap @service-nodeports\n", t,
              c->localhost_nodeports ? "" : "ip daddr != 127.0.0.0/8 ");
  buf_printf (out, "add chain ip %s refuse\n", t);
  buf_printf (out, "add rule ip %s refuse reject\n", t);
  buf_printf (out, "add chain ip %s no-endpoints-check\n", t);
  buf_printf (out, "add rule ip %s no-endpoints-check ip daddr . meta l4proto . th dport vmap @no-endpoints\n", t);
  buf_printf (out, "add rule ip %s no-endpoints-check fib daddr type local meta l4proto . th dport vmap @no-endpoints-nodeports\n", t);
  buf_printf (out, "add chain ip %s nat-prerouting { type nat hook prerouting priority -100; }\n", t);
  buf_printf (out, "add rule ip %s nat-prerouting jump services\n", t);
  buf_printf (out, "add chain ip %s nat-output { type nat hook output priority -100; }\n", t);
  buf_printf (out, "add rule ip %s nat-output jump services\n", t);
  buf_printf (out, "add chain ip %s nat-postrouting { type nat hook postrouting priority 100; }\n", t);
  buf_printf (out, "add rule ip %s nat-postrouting meta mark and " PROXY_MARK " == " PROXY_MARK " meta mark set meta mark xor " PROXY_MARK " masquerade\n", t);
  buf_printf (out, "add rule ip %s nat-postrouting ct status dnat ip saddr . ip daddr @hairpin masquerade\n", t);
  if (c->masquerade_pods && *c->cluster_cidr)
    buf_printf (out, "add rule ip %s nat-postrouting ip saddr %s ip daddr != { %s, 224.0.0.0/4 } masquerade\n", t, c->cluster_cidr, c->cluster_cidr);
  buf_printf (out, "add chain ip %s filter-input { type filter hook input priority 0; }\n", t);
  if (c->localhost_nodeports) /* route_localnet would let neighbours reach what listens on loopback only */
    buf_printf (out, "add rule ip %s filter-input iifname != \"lo\" ip daddr 127.0.0.0/8 ct state != { established, related } drop\n", t);
  buf_printf (out, "add rule ip %s filter-input ct state new jump no-endpoints-check\n", t);
  buf_printf (out, "add chain ip %s filter-forward { type filter hook forward priority 0; }\n", t);
  buf_printf (out, "add rule ip %s filter-forward ct state new jump no-endpoints-check\n", t);
  buf_printf (out, "add chain ip %s filter-output { type filter hook output priority 0; }\n", t);
  buf_printf (out, "add rule ip %s filter-output ct state new jump no-endpoints-check\n", t);
}

static const struct proxy_chain *
find_chain (const struct proxy_service *s, const char *name)
{
  for (size_t i = 0; s && i < s->n_chains; i++)
    if (!strcmp (s->chains[i].name, name))
      return &s->chains[i];
  return NULL;
}

static bool
has_set (const struct proxy_service *s, const char *name)
{
  for (size_t i = 0; s && i < s->n_sets; i++)
    if (!strcmp (s->sets[i].name, name))
      return true;
  return false;
}

static void
write_objects (const struct proxy_rules *r, const struct proxy_service *old, const struct proxy_service *s, struct buf *out)
{
  for (size_t i = 0; i < s->n_sets; i++)
    if (!has_set (old, s->sets[i].name))
      buf_printf (out, "add set ip %s %s %s\n", r->config->table, s->sets[i].name, s->sets[i].definition);
  for (size_t i = 0; i < s->n_chains; i++)
    if (!find_chain (old, s->chains[i].name))
      buf_printf (out, "add chain ip %s %s\n", r->config->table, s->chains[i].name);
}

void
proxy_rules_full (const struct proxy_rules *r, struct buf *out)
{
  struct map *seen = map_new (NULL); /* two services may want one element: the first in order has it */
  proxy_rules_cleanup (r->config, out);
  write_base (r, out);
  for (struct omap_node *n = omap_seek (r->services, NULL); n; n = omap_next (r->services, n)) {
    const struct proxy_service *s = omap_value (n);
    write_objects (r, NULL, s, out);
    for (size_t i = 0; i < s->n_chains; i++)
      write_rules (r, &s->chains[i], out);
    for (size_t i = 0; i < s->n_elements; i++) {
      AUTO_FREE char *key = mem_printf ("%s\1%s", s->elements[i].set, s->elements[i].key);
      if (key && map_get (seen, key))
        continue;
      if (!key || !seen || map_set (seen, key, seen) != 0)
        out->failed = true;
      write_element (r, "add", &s->elements[i], out);
    }
  }
  map_free (seen);
}

void
proxy_rules_cleanup (const struct proxy_config *config, struct buf *out)
{
  buf_printf (out, "add table ip %s\ndelete table ip %s\n", config->table, config->table);
}

/* ---- one service changed ---- */

static bool
has_element (const struct proxy_service *s, const struct proxy_element *e, bool value_too)
{
  for (size_t i = 0; s && i < s->n_elements; i++)
    if (!strcmp (s->elements[i].set, e->set) && !strcmp (s->elements[i].key, e->key)
        && (!value_too || (!e->value ? !s->elements[i].value : s->elements[i].value && !strcmp (s->elements[i].value, e->value))))
      return true;
  return false;
}

/* Is the element listed before i in s already? */
static bool
repeated (const struct proxy_service *s, size_t i)
{
  for (size_t j = 0; j < i; j++)
    if (!strcmp (s->elements[j].set, s->elements[i].set) && !strcmp (s->elements[j].key, s->elements[i].key))
      return true;
  return false;
}

static void
drop_elements (struct proxy_rules *r, const struct proxy_service *old, const struct proxy_service *new_, struct buf *out, bool *failed)
{
  for (size_t i = 0; old && i < old->n_elements; i++) {
    const struct proxy_element *e = &old->elements[i];
    if (repeated (old, i))
      continue;
    if (count_owners (r, e, -1, failed) <= 0 && !has_element (new_, e, true))
      write_element (r, "delete", e, out);
  }
}

static void
make_elements (struct proxy_rules *r, const struct proxy_service *old, const struct proxy_service *new_, struct buf *out, bool *failed)
{
  for (size_t i = 0; i < new_->n_elements; i++) {
    const struct proxy_element *e = &new_->elements[i];
    if (repeated (new_, i))
      continue;
    if (count_owners (r, e, 1, failed) == 1 && !has_element (old, e, true))
      write_element (r, "add", e, out);
  }
}

int
proxy_rules_set (struct proxy_rules *r, const char *key, struct proxy_service **svc, struct buf *out, struct err *err)
{
  struct proxy_service *old = omap_get (r->services, key), *new_ = *svc;
  const char *t = r->config->table;
  bool failed = false, had = old && old->has_node_port;
  drop_elements (r, old, new_, out, &failed);
  write_objects (r, old, new_, out);
  for (size_t i = 0; i < new_->n_chains; i++) {
    const struct proxy_chain *c = &new_->chains[i], *was = find_chain (old, c->name);
    if (was && !strcmp (was->rules, c->rules))
      continue;
    if (was)
      buf_printf (out, "flush chain ip %s %s\n", t, c->name);
    write_rules (r, c, out);
  }
  /* Those that go to others go first. */
  for (size_t i = old ? old->n_chains : 0; i-- > 0;)
    if (!find_chain (new_, old->chains[i].name))
      buf_printf (out, "flush chain ip %s %s\ndelete chain ip %s %s\n", t, old->chains[i].name, t, old->chains[i].name);
  for (size_t i = 0; old && i < old->n_sets; i++)
    if (!has_set (new_, old->sets[i].name))
      buf_printf (out, "delete set ip %s %s\n", t, old->sets[i].name);
  make_elements (r, old, new_, out, &failed);
  r->node_ports += new_->has_node_port;
  r->node_ports -= had;
  if (new_->n_chains == 0 && new_->n_elements == 0) {
    (void) omap_delete (r->services, key);
    proxy_service_free (TAKE (*svc));
  } else if (omap_set (r->services, key, new_) != 0) {
    failed = true;
  } else {
    *svc = NULL;
  }
  return failed ? err_set (err, ERR_NOMEM, "rules of service %s", key) : 0;
}
