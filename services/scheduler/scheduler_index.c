#include "services/scheduler/scheduler_index.h"

#include "services/scheduler/scheduler_parse.h"

static void
namespace_free (void *p)
{
  struct sched_namespace *n = p;
  arena_done (&n->arena);
  free (n);
}

static void
pdb_free (void *p)
{
  struct sched_pdb *d = p;
  arena_done (&d->arena);
  free (d);
}

static void
node_free (void *p)
{
  struct sched_node *n = p;
  map_free (n->images);
  free (n->pods);
  arena_done (&n->arena);
  free (n);
}

static void
pod_free (void *p)
{
  sched_pod_free (p);
}

struct sched *
sched_new (void)
{
  struct sched *s = mem_zalloc (sizeof *s);
  if (!s)
    return NULL;
  s->nodes_by_name = map_new (node_free);
  s->pods = map_new (pod_free);
  s->namespaces = map_new (namespace_free);
  s->pdbs = map_new (pdb_free);
  s->nominated = map_new (NULL);
  if (!s->nodes_by_name || !s->pods || !s->namespaces || !s->pdbs || !s->nominated) {
    sched_free (s);
    return NULL;
  }
  return s;
}

void
sched_free (struct sched *s)
{
  if (!s)
    return;
  map_free (s->nominated);
  map_free (s->pods);
  map_free (s->nodes_by_name);
  map_free (s->namespaces);
  map_free (s->pdbs);
  free (s->nodes);
  free (s);
}

/* ---- charging ---- */

static void
account (struct sched_node *n, const struct sched_pod *p, int sign)
{
  sched_resources_add (&n->arena, &n->requested, &p->requests, sign);
  n->nonzero_cpu_milli += sign * p->nonzero.cpu_milli;
  n->nonzero_memory_bytes += sign * p->nonzero.memory_bytes;
}

static bool
has_affinity (const struct sched_pod *p)
{
  return p->affinity.count || p->anti_affinity.count || p->preferred_affinity.count || p->preferred_anti_affinity.count;
}

static int
charge (struct sched *s, struct sched_pod *p, struct sched_node *n)
{
  if (n->n_pods == n->cap_pods) {
    size_t cap = n->cap_pods ? n->cap_pods * 2 : 16;
    struct sched_pod **pods = reallocarray (n->pods, cap, sizeof *pods);
    if (!pods)
      return ERR_NOMEM;
    n->pods = pods;
    n->cap_pods = cap;
  }
  p->node = n;
  p->at = n->n_pods;
  n->pods[n->n_pods++] = p;
  n->n_with_affinity += has_affinity (p);
  n->n_with_anti += p->anti_affinity.count > 0;
  s->n_with_affinity += has_affinity (p);
  s->n_with_anti += p->anti_affinity.count > 0;
  account (n, p, 1);
  return 0;
}

static void
uncharge (struct sched *s, struct sched_pod *p)
{
  struct sched_node *n = p->node;
  if (!n)
    return;
  sched_pod_back (p);
  account (n, p, -1);
  n->n_with_affinity -= has_affinity (p);
  n->n_with_anti -= p->anti_affinity.count > 0;
  s->n_with_affinity -= has_affinity (p);
  s->n_with_anti -= p->anti_affinity.count > 0;
  n->pods[p->at] = n->pods[--n->n_pods];
  n->pods[p->at]->at = p->at;
  p->node = NULL;
  p->assumed = false;
  if (n->ghost && n->n_pods == 0)
    map_delete (s->nodes_by_name, n->name);
}

void
sched_pod_away (struct sched_pod *p)
{
  if (p->away || !p->node)
    return;
  p->away = true;
  p->node->n_away++;
  account (p->node, p, -1);
}

void
sched_pod_back (struct sched_pod *p)
{
  if (!p->away)
    return;
  p->away = false;
  p->node->n_away--;
  account (p->node, p, 1);
}

/* ---- nodes ---- */

static struct sched_node *
node_or_ghost (struct sched *s, const char *name)
{
  struct sched_node *n = map_get (s->nodes_by_name, name);
  if (n)
    return n;
  n = mem_zalloc (sizeof *n);
  if (!n)
    return NULL;
  arena_init (&n->arena, 0);
  n->ghost = true;
  n->name = arena_strdup (&n->arena, name);
  if (!n->name || map_set (s->nodes_by_name, name, n) != 0) {
    node_free (n);
    return NULL;
  }
  return n;
}

static void
unlist (struct sched *s, struct sched_node *n)
{
  s->nodes[n->at] = s->nodes[--s->n_nodes];
  s->nodes[n->at]->at = n->at;
}

static int
enlist (struct sched *s, struct sched_node *n)
{
  if (s->n_nodes == s->cap_nodes) {
    size_t cap = s->cap_nodes ? s->cap_nodes * 2 : 16;
    struct sched_node **nodes = reallocarray (s->nodes, cap, sizeof *nodes);
    if (!nodes)
      return ERR_NOMEM;
    s->nodes = nodes;
    s->cap_nodes = cap;
  }
  n->at = s->n_nodes;
  s->nodes[s->n_nodes++] = n;
  return 0;
}

static void
reaccount (struct sched_node *n)
{
  n->requested = (struct sched_resources){ 0 };
  n->nonzero_cpu_milli = n->nonzero_memory_bytes = 0;
  for (size_t i = 0; i < n->n_pods; i++)
    if (!n->pods[i]->away)
      account (n, n->pods[i], 1);
}

int
sched_set_node (struct sched *s, const struct value *node, struct err *err)
{
  struct sched_node fresh = { 0 }, *n;
  arena_init (&fresh.arena, 0);
  if (!sched_node_parse (&fresh, node) || !(n = node_or_ghost (s, fresh.name)) || (n->ghost && enlist (s, n) != 0)) {
    map_free (fresh.images);
    arena_done (&fresh.arena);
    return err_set (err, ERR_NOMEM, "index node");
  }
  map_free (n->images);
  arena_done (&n->arena);
  fresh.pods = n->pods;
  fresh.n_pods = n->n_pods;
  fresh.cap_pods = n->cap_pods;
  fresh.n_with_affinity = n->n_with_affinity;
  fresh.n_with_anti = n->n_with_anti;
  fresh.at = n->at;
  *n = fresh;
  reaccount (n);
  return 0;
}

void
sched_delete_node (struct sched *s, const char *name)
{
  struct sched_node *n = map_get (s->nodes_by_name, name);
  if (!n || n->ghost)
    return;
  unlist (s, n);
  n->ghost = true;
  if (n->n_pods == 0)
    map_delete (s->nodes_by_name, name);
}

/* ---- pods ---- */

struct sched_pod *
sched_pod_get (const struct sched *s, const char *key)
{
  return map_get (s->pods, key);
}

static void
drop_pod (struct sched *s, struct sched_pod *p)
{
  map_delete (s->nominated, p->key);
  uncharge (s, p);
  map_delete (s->pods, p->key);
}

int
sched_set_pod (struct sched *s, const struct value *pod, struct err *err)
{
  struct sched_pod *p = sched_pod_parse (pod), *old;
  AUTO_FREE char *assumed_node = NULL;
  struct sched_node *n;
  if (!p)
    return err_set (err, ERR_NOMEM, "index pod");
  old = map_get (s->pods, p->key);
  if (old && old->assumed && !strcmp (old->uid, p->uid) && !*p->node_name && !p->ended)
    assumed_node = mem_strdup (old->node->name); /* a status change must not undo a binding under way */
  if (old)
    drop_pod (s, old);
  if (map_set (s->pods, p->key, p) != 0) {
    sched_pod_free (p);
    return err_set (err, ERR_NOMEM, "index pod");
  }
  if (assumed_node) {
    p->assumed = true;
    n = node_or_ghost (s, assumed_node);
  } else if (*p->node_name && !p->ended) {
    n = node_or_ghost (s, p->node_name);
  } else {
    if (*p->nominated && !p->ended && map_set (s->nominated, p->key, p) != 0)
      return err_set (err, ERR_NOMEM, "index pod");
    return 0;
  }
  return n && charge (s, p, n) == 0 ? 0 : err_set (err, ERR_NOMEM, "index pod");
}

void
sched_delete_pod (struct sched *s, const char *key)
{
  struct sched_pod *p = map_get (s->pods, key);
  if (p)
    drop_pod (s, p);
}

int
sched_assume (struct sched *s, struct sched_pod *p, const char *node)
{
  struct sched_node *n = node_or_ghost (s, node);
  REQUIRE (!p->node);
  if (!n || charge (s, p, n) != 0)
    return ERR_NOMEM;
  p->assumed = true;
  map_delete (s->nominated, p->key);
  return 0;
}

void
sched_forget (struct sched *s, struct sched_pod *p)
{
  if (p->assumed)
    uncharge (s, p);
}

/* ---- namespaces and disruption budgets ---- */

int
sched_set_namespace (struct sched *s, const struct value *ns, struct err *err)
{
  struct sched_namespace *n = mem_zalloc (sizeof *n);
  if (n) {
    arena_init (&n->arena, 0);
    n->labels = value_clone (&n->arena, value_path (ns, "metadata.labels"));
    if (arena_ok (&n->arena) && map_set (s->namespaces, value_path_string (ns, "metadata.name", ""), n) == 0)
      return 0;
    namespace_free (n);
  }
  return err_set (err, ERR_NOMEM, "index namespace");
}

void
sched_delete_namespace (struct sched *s, const char *name)
{
  map_delete (s->namespaces, name);
}

int
sched_set_pdb (struct sched *s, const struct value *pdb, struct err *err)
{
  struct sched_pdb *d = mem_zalloc (sizeof *d);
  char key[1024];
  if (d) {
    arena_init (&d->arena, 0);
    d->namespace_ = arena_strdup (&d->arena, value_path_string (pdb, "metadata.namespace", ""));
    d->disrupted = value_clone (&d->arena, value_path (pdb, "status.disruptedPods"));
    d->allowed = value_path_int (pdb, "status.disruptionsAllowed", 0);
    (void) selector_from_label_selector (&d->arena, value_path (pdb, "spec.selector"), &d->selector, NULL);
    snprintf (key, sizeof key, "%s/%s", d->namespace_ ? d->namespace_ : "", value_path_string (pdb, "metadata.name", ""));
    if (arena_ok (&d->arena) && map_set (s->pdbs, key, d) == 0)
      return 0;
    pdb_free (d);
  }
  return err_set (err, ERR_NOMEM, "index disruption budget");
}

void
sched_delete_pdb (struct sched *s, const char *key)
{
  map_delete (s->pdbs, key);
}
