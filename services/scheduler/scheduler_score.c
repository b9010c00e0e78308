#include "services/scheduler/scheduler_cycle.h"

#define SCORE_MAX 100
#define IMAGE_MIN_BYTES (23LL << 20)
#define IMAGE_MAX_BYTES (1000LL << 20) /* a container */

/* Upstream's default weights. */
enum { WEIGHT_TAINT = 3, WEIGHT_NODE_AFFINITY = 2, WEIGHT_SPREAD = 2, WEIGHT_POD_AFFINITY = 2, WEIGHT_FIT = 1, WEIGHT_BALANCE = 1, WEIGHT_IMAGE = 1 };

int
sched_cycle_init (struct sched_cycle *c, struct sched *s, struct sched_pod *pod, struct arena *a)
{
  *c = (struct sched_cycle){ .s = s, .pod = pod, .arena = a };
  return sched_pods_prepare (c);
}

void
sched_cycle_done (struct sched_cycle *c)
{
  map_free (c->existing_anti);
  map_free (c->affinity);
  map_free (c->anti);
  map_free (c->pair_scores);
  for (size_t i = 0; c->spread && i < c->pod->n_spreads; i++)
    map_free (c->spread[i]);
}

static int64_t
least_allocated (int64_t requested, int64_t capacity)
{
  if (capacity <= 0 || requested > capacity)
    return 0;
  return (int64_t) ((__int128) (capacity - requested) * SCORE_MAX / capacity);
}

static int64_t
score_fit (const struct sched_pod *p, const struct sched_node *n)
{
  return (least_allocated (n->nonzero_cpu_milli + p->nonzero.cpu_milli, n->allocatable.cpu_milli)
          + least_allocated (n->nonzero_memory_bytes + p->nonzero.memory_bytes, n->allocatable.memory_bytes))
         / 2;
}

static double
fraction (int64_t requested, int64_t capacity)
{
  return capacity <= 0 || requested >= capacity ? 1 : (double) requested / (double) capacity;
}

static int64_t
score_balance (const struct sched_pod *p, const struct sched_node *n)
{
  double cpu = fraction (n->requested.cpu_milli + p->requests.cpu_milli, n->allocatable.cpu_milli);
  double memory = fraction (n->requested.memory_bytes + p->requests.memory_bytes, n->allocatable.memory_bytes);
  double deviation = (cpu > memory ? cpu - memory : memory - cpu) / 2;
  if (!p->requests.cpu_milli && !p->requests.memory_bytes)
    return 0; /* best effort pods balance nothing */
  return (int64_t) ((1 - deviation) * SCORE_MAX);
}

static int64_t
score_image (const struct sched_cycle *c, const struct sched_node *n)
{
  const struct sched_pod *p = c->pod;
  int64_t sum = 0, most = IMAGE_MAX_BYTES * (int64_t) p->n_images;
  for (size_t i = 0; i < p->n_images; i++) {
    int64_t size = (int64_t) (intptr_t) map_get (n->images, p->images[i]), having = 0;
    if (size <= 0)
      continue;
    for (size_t j = 0; j < c->s->n_nodes; j++)
      having += map_get (c->s->nodes[j]->images, p->images[i]) != NULL;
    sum += size * having / (int64_t) c->s->n_nodes;
  }
  if (sum <= IMAGE_MIN_BYTES)
    return 0;
  return sum >= most ? SCORE_MAX : SCORE_MAX * (sum - IMAGE_MIN_BYTES) / (most - IMAGE_MIN_BYTES);
}

static int64_t
soft_taints (const struct sched_pod *p, const struct sched_node *n)
{
  int64_t bad = 0;
  for (value_items (n->taints, t))
    if (value_string_is (value_get (*t, "effect"), "PreferNoSchedule"))
      bad += !sched_tolerates (value_get (p->spec, "tolerations"), *t, "PreferNoSchedule");
  return bad;
}

static int64_t
preferred_nodes (const struct sched_pod *p, const struct sched_node *n)
{
  int64_t sum = 0;
  for (value_items (value_path (p->spec, "nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution"), t))
    if (sched_node_term_matches (value_get (*t, "preference"), n))
      sum += value_path_int (*t, "weight", 0);
  return sum;
}

/* Scales to 0..100 by the greatest; reverse: the least is best. (kubernetes: helper.DefaultNormalizeScore) */
static void
normalise (int64_t *score, size_t n, bool reverse)
{
  int64_t most = 0;
  for (size_t i = 0; i < n; i++)
    most = score[i] > most ? score[i] : most;
  for (size_t i = 0; i < n; i++) {
    score[i] = most ? SCORE_MAX * score[i] / most : 0;
    if (reverse)
      score[i] = SCORE_MAX - score[i];
  }
}

static void
add_weighted (int64_t *total, const int64_t *score, size_t n, int64_t weight)
{
  for (size_t i = 0; i < n; i++)
    total[i] += weight * score[i];
}

void
sched_score (struct sched_cycle *c, struct sched_node *const *nodes, size_t n, int64_t *total)
{
  int64_t *score = arena_zalloc (c->arena, (n ? n : 1) * sizeof *score);
  for (size_t i = 0; i < n; i++)
    total[i] = WEIGHT_FIT * score_fit (c->pod, nodes[i]) + WEIGHT_BALANCE * score_balance (c->pod, nodes[i])
               + (c->s->n_nodes > 1 ? WEIGHT_IMAGE * score_image (c, nodes[i]) : 0);
  if (!score)
    return;
  for (size_t i = 0; i < n; i++)
    score[i] = soft_taints (c->pod, nodes[i]);
  normalise (score, n, true);
  add_weighted (total, score, n, WEIGHT_TAINT);
  for (size_t i = 0; i < n; i++)
    score[i] = preferred_nodes (c->pod, nodes[i]);
  normalise (score, n, false);
  add_weighted (total, score, n, WEIGHT_NODE_AFFINITY);
  sched_pods_score_spread (c, nodes, n, score);
  add_weighted (total, score, n, WEIGHT_SPREAD);
  sched_pods_score_affinity (c, nodes, n, score);
  add_weighted (total, score, n, WEIGHT_POD_AFFINITY);
}
