#include "schemas/kind_set.h"

#include <stdlib.h>
#include <string.h>

struct version {
  bool known; /* vN, vNbetaM, vNalphaM */
  int stability; /* 2 stable, 1 beta, 0 alpha */
  long major, minor;
};

static struct version
parse_version (const char *s)
{
  struct version v = {0};
  char *end;
  if (s[0] != 'v' || s[1] < '0' || s[1] > '9')
    return v;
  v.major = strtol (s + 1, &end, 10);
  v.stability = 2;
  if (strncmp (end, "beta", 4) == 0) {
    v.stability = 1;
    end += 4;
  } else if (strncmp (end, "alpha", 5) == 0) {
    v.stability = 0;
    end += 5;
  }
  if (v.stability < 2) {
    if (*end < '0' || *end > '9')
      return v;
    v.minor = strtol (end, &end, 10);
  }
  v.known = !*end;
  return v;
}

int
kind_set_version_compare (const char *a, const char *b)
{
  struct version x = parse_version (a), y = parse_version (b);
  if (x.known != y.known)
    return x.known ? -1 : 1;
  if (!x.known)
    return strcmp (a, b);
  if (x.stability != y.stability)
    return y.stability - x.stability;
  if (x.major != y.major)
    return x.major > y.major ? -1 : 1;
  return x.minor == y.minor ? 0 : x.minor > y.minor ? -1 : 1;
}

static int
compare (const void *a, const void *b)
{
  const struct schema_kind *x = *(const struct schema_kind *const *) a, *y = *(const struct schema_kind *const *) b;
  int gx = 0, gy = 0, vx = 0, vy = 0;
  schema_group_version_priority (x->group, x->version, &gx, &vx);
  schema_group_version_priority (y->group, y->version, &gy, &vy);
  int c = strcmp (x->group, y->group);
  if (c)
    return gx != gy ? gy - gx : c;
  c = vx && vy ? vy - vx : kind_set_version_compare (x->version, y->version);
  return c ? c : strcmp (x->resource, y->resource);
}

const struct schema_kind **
kind_set_sorted (struct arena *a, const struct schema_set *set, size_t *ret_n)
{
  size_t n = 0, n_extra = set ? set->n_extra : 0, total = 0;
  *ret_n = 0;
  while (schema_kind_at (n))
    n++;
  const struct schema_kind **kinds = arena_alloc (a, (n + n_extra) * sizeof *kinds);
  if (!kinds)
    return NULL;
  for (size_t i = 0; i < n; i++)
    kinds[total++] = schema_kind_at (i);
  for (size_t i = 0; i < n_extra; i++)
    kinds[total++] = set->extra[i];
  if (n_extra)
    qsort (kinds, total, sizeof *kinds, compare);
  *ret_n = total;
  return kinds;
}

size_t
kind_set_group_run (const struct schema_kind **kinds, size_t n, size_t from)
{
  size_t i = from;
  while (i < n && strcmp (kinds[i]->group, kinds[from]->group) == 0)
    i++;
  return i - from;
}

size_t
kind_set_version_run (const struct schema_kind **kinds, size_t n, size_t from)
{
  size_t i = from;
  while (i < n && strcmp (kinds[i]->group, kinds[from]->group) == 0 && strcmp (kinds[i]->version, kinds[from]->version) == 0)
    i++;
  return i - from;
}

const char *
kind_set_group_version (struct arena *a, const char *group, const char *version)
{
  return *group ? arena_printf (a, "%s/%s", group, version) : version;
}
