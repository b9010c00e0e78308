#include "services/controller/shard.h"

#include <bsd/string.h>
#include <string.h>

#include "base/map.h"

void
shard_view_add (struct shard_view *v, const char *name)
{
  size_t at = 0;
  int order = 1;
  while (at < v->count && (order = strcmp (v->names[at], name)) < 0)
    at++;
  if ((at < v->count && order == 0) || v->count == SHARD_MEMBERS_MAX || strlen (name) >= SHARD_NAME_SIZE || !*name)
    return;
  memmove (v->names[at + 1], v->names[at], (v->count - at) * SHARD_NAME_SIZE);
  strlcpy (v->names[at], name, SHARD_NAME_SIZE);
  v->count++;
}

bool
shard_view_equal (const struct shard_view *a, const struct shard_view *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (strcmp (a->names[i], b->names[i]) != 0)
      return false;
  return true;
}

void
shard_view_parse (const char *text, struct shard_view *ret)
{
  ret->count = 0;
  while (*text)
    {
      size_t n = strcspn (text, ",");
      char name[SHARD_NAME_SIZE];
      if (n > 0 && n < sizeof name)
        {
          memcpy (name, text, n);
          name[n] = '\0';
          shard_view_add (ret, name);
        }
      text += n;
      if (*text)
        text++;
    }
}

const char *
shard_view_format (const struct shard_view *v, char *out, size_t size)
{
  out[0] = '\0';
  for (size_t i = 0; i < v->count; i++)
    {
      if (i)
        strlcat (out, ",", size);
      strlcat (out, v->names[i], size);
    }
  return out;
}

static bool
alive (const struct shard_input *in, const struct shard_instance *x)
{
  return in->now_ms - x->seen_ms < SHARD_TTL_MS;
}

void
shard_decide (const struct shard_input *in, struct shard_view *ret)
{
  ret->count = 0;
  shard_view_add (ret, in->self);
  for (size_t i = 0; i < in->count; i++)
    if (alive (in, &in->instances[i]))
      shard_view_add (ret, in->instances[i].name);
}

const char *
shard_owner (const struct shard_view *v, const char *controller, const char *key)
{
  const char *best = NULL;
  uint64_t best_score = 0;
  uint64_t h = hash_bytes (key, strlen (key), hash_bytes (controller, strlen (controller), 0));
  for (size_t i = 0; i < v->count; i++)
    {
      uint64_t score = hash_bytes (v->names[i], strlen (v->names[i]), h);
      if (!best || score > best_score)
        {
          best = v->names[i];
          best_score = score;
        }
    }
  return best;
}

bool
shard_may_work (const struct shard_input *in, const struct shard_view *published, const char *controller, const char *key)
{
  const char *owner = shard_owner (published, controller, key);
  if (!owner || strcmp (owner, in->self) != 0)
    return false;
  for (size_t i = 0; i < in->count; i++)
    {
      const struct shard_instance *x = &in->instances[i];
      if (strcmp (x->name, in->self) == 0 || !alive (in, x))
        continue;
      owner = shard_owner (&x->view, controller, key);
      if (owner && strcmp (owner, x->name) == 0)
        return false;
    }
  return true;
}
