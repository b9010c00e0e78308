#include "services/common/informer.h"

#include "base/log.h"
#include "services/common/informer_internal.h"

struct informer {
  struct bus_source *source;
  struct bus_subscription *subscription;
  char *prefix, *stream;
  size_t prefix_len;
  struct omap *entries;
  struct informer_index indexes[INFORMER_INDEXES_MAX];
  size_t n_indexes;
  uint64_t revision, generation;
  bool synced, told_synced;
  informer_change_cb change;
  informer_synced_cb on_synced;
  void *arg;
};

static void subscribe_again (struct informer *i);

/* "pods/default/web" -> "default/web"; NULL when it is of another resource. */
static const char *
key_of (const struct informer *i, const char *key)
{
  return !strncmp (key, i->prefix, i->prefix_len) && key[i->prefix_len] == '/' ? key + i->prefix_len + 1 : NULL;
}

static void
entry_free (struct informer *i, struct entry *e, const char *key)
{
  object_unref (e->object);
  e->object = NULL;
  (void) informer_index_update (i->indexes, i->n_indexes, e, key); /* leaves them: needs no memory */
  free (e);
}

static void
put (struct informer *i, const char *key, const struct bus_change *c)
{
  struct entry *e = omap_get (i->entries, key);
  struct object *old = e ? e->object : NULL, *fresh;
  if (e && old->revision >= c->revision) { /* in the snapshot as it was before */
    e->generation = i->generation;
    return;
  }
  if (!(fresh = object_new (key, c)))
    goto nomem;
  if (!e) {
    if (!(e = mem_zalloc (sizeof *e)) || omap_set (i->entries, key, e)) {
      free (e);
      object_unref (fresh);
      goto nomem;
    }
  }
  e->object = fresh;
  e->generation = i->generation;
  if (informer_index_update (i->indexes, i->n_indexes, e, key)) {
    e->object = old; /* as before the change, so that the next snapshot brings it */
    if (!old) {
      (void) omap_remove (i->entries, key);
      entry_free (i, e, key);
    }
    object_unref (fresh);
    goto nomem;
  }
  object_ref (fresh); /* the handler may cause its removal */
  i->change (i->arg, old, fresh, c->revision);
  object_unref (fresh);
  object_unref (old);
  return;
nomem:
  subscribe_again (i);
}

static void
drop (struct informer *i, const char *key, uint64_t revision)
{
  struct entry *e = omap_remove (i->entries, key);
  struct object *old;
  if (!e)
    return;
  old = object_ref (e->object);
  entry_free (i, e, old->key);
  i->change (i->arg, old, NULL, revision);
  object_unref (old);
}

/* ---- from the bus ---- */
static void
on_reset (void *arg, uint64_t revision)
{
  struct informer *i = arg;
  (void) revision;
  i->generation++;
}

static void
on_object (void *arg, const struct bus_change *c)
{
  struct informer *i = arg;
  const char *key = key_of (i, c->key);
  if (key)
    put (i, key, c);
}

static void
on_synced (void *arg, uint64_t revision)
{
  struct informer *i = arg;
  struct omap_node *n = omap_seek (i->entries, NULL);
  while (n) { /* what the snapshot did not have is gone */
    struct entry *e = omap_value (n);
    if (e->generation == i->generation) {
      n = omap_next (i->entries, n);
      continue;
    }
    struct object *gone = object_ref (e->object);
    drop (i, gone->key, revision);
    n = omap_seek (i->entries, gone->key);
    object_unref (gone);
  }
  i->revision = revision;
  i->synced = true;
  if (!i->told_synced) {
    i->told_synced = true;
    if (i->on_synced)
      i->on_synced (i->arg);
  }
}

static void
on_change (void *arg, const struct bus_change *c)
{
  struct informer *i = arg;
  const char *key = key_of (i, c->key);
  if (i->revision < c->revision)
    i->revision = c->revision;
  if (!key)
    return;
  if (c->op == BUS_PUT)
    put (i, key, c);
  else
    drop (i, key, c->revision);
}

static void
on_progress (void *arg, uint64_t revision)
{
  struct informer *i = arg;
  if (i->revision < revision)
    i->revision = revision;
}

static void
on_failed (void *arg, const struct err *err)
{
  const struct informer *i = arg;
  if (err->code == ERR_DENIED)
    log_error ("informer refused", "stream=%s error=\"%s\"", i->stream, err->text);
  else
    log_debug ("informer interrupted, trying again", "stream=%s error=\"%s\"", i->stream, err->text);
}

static const struct bus_subscriber subscriber = {.reset = on_reset,   .object = on_object,     .synced = on_synced,
                                                 .change = on_change, .progress = on_progress, .failed = on_failed};

/* Memory ran out while a change was taken in: the copy is no longer true. A new snapshot makes it so; a process that
   cannot even ask for one must not go on deciding by a false copy. */
static void
subscribe_again (struct informer *i)
{
  struct err err;
  log_error ("informer out of memory, starting again", "stream=%s", i->stream);
  bus_subscription_free (i->subscription);
  if (!(i->subscription = bus_subscribe (i->source, i->stream, 0, &subscriber, i, &err))) {
    log_error ("informer lost, ending the process", "stream=%s error=\"%s\"", i->stream, err.text);
    abort ();
  }
}

/* ---- life ---- */
struct informer *
informer_new (struct bus_source *source, const char *prefix, const char *stream, informer_change_cb change,
              informer_synced_cb synced, void *arg, struct err *err)
{
  struct informer *i = mem_zalloc (sizeof *i);
  if (!i)
    goto nomem;
  i->source = source;
  i->change = change;
  i->on_synced = synced;
  i->arg = arg;
  i->prefix_len = strlen (prefix);
  if (!(i->prefix = mem_strdup (prefix)) || !(i->stream = mem_strdup (stream ? stream : prefix)) || !(i->entries = omap_new (NULL)))
    goto nomem;
  if (!(i->subscription = bus_subscribe (source, i->stream, 0, &subscriber, i, err))) {
    informer_free (i);
    return NULL;
  }
  return i;
nomem:
  informer_free (i);
  err_set (err, ERR_NOMEM, "informer of %s", prefix);
  return NULL;
}

void
informer_free (struct informer *i)
{
  if (!i)
    return;
  bus_subscription_free (i->subscription);
  i->subscription = NULL;
  for (struct omap_node *n; i->entries && (n = omap_seek (i->entries, NULL));) {
    struct entry *e = omap_value (n);
    struct object *o = object_ref (e->object);
    (void) omap_remove (i->entries, o->key);
    entry_free (i, e, o->key);
    object_unref (o);
  }
  omap_free (i->entries);
  for (size_t x = 0; x < i->n_indexes; x++)
    informer_index_done (&i->indexes[x]);
  free (i->prefix);
  free (i->stream);
  free (i);
}

int
informer_add_index (struct informer *i, const char *index, informer_index_cb cb)
{
  struct informer_index *x = &i->indexes[i->n_indexes];
  REQUIRE (i->n_indexes < INFORMER_INDEXES_MAX && !omap_count (i->entries));
  if (!(x->name = mem_strdup (index)))
    return ERR_NOMEM;
  x->cb = cb;
  i->n_indexes++;
  return 0;
}

/* ---- reading ---- */
bool
informer_synced (const struct informer *i)
{
  return i->synced;
}

uint64_t
informer_revision (const struct informer *i)
{
  return i->revision;
}

size_t
informer_count (const struct informer *i)
{
  return omap_count (i->entries);
}

struct object *
informer_get_key (const struct informer *i, const char *key)
{
  const struct entry *e = omap_get (i->entries, key);
  return e ? e->object : NULL;
}

struct object *
informer_get (const struct informer *i, const char *namespace_, const char *name)
{
  char key[1024];
  int n = namespace_ && *namespace_ ? snprintf (key, sizeof key, "%s/%s", namespace_, name) : snprintf (key, sizeof key, "%s", name);
  return n > 0 && (size_t) n < sizeof key ? informer_get_key (i, key) : NULL;
}

struct object *
informer_next (const struct informer *i, const char *namespace_, const struct object *after)
{
  bool all = !namespace_ || !*namespace_;
  size_t ns_len = all ? 0 : strlen (namespace_);
  char start[1024] = "";
  struct omap_node *n;
  if (!all)
    (void) snprintf (start, sizeof start, "%s/", namespace_);
  n = omap_seek (i->entries, after ? after->key : start);
  if (n && after && !strcmp (omap_key (n), after->key))
    n = omap_next (i->entries, n);
  if (!n || (!all && (strncmp (omap_key (n), namespace_, ns_len) || omap_key (n)[ns_len] != '/')))
    return NULL;
  return ((struct entry *) omap_value (n))->object;
}

void
informer_by_index (const struct informer *i, const char *index, const char *key, bool (*cb) (void *arg, struct object *o), void *arg)
{
  const struct informer_index *x = NULL;
  struct omap *posting;
  struct object *o = NULL;
  bool go_on = true;
  for (size_t k = 0; k < i->n_indexes && !x; k++)
    if (!strcmp (i->indexes[k].name, index))
      x = &i->indexes[k];
  REQUIRE (x);
  posting = x->postings ? map_get (x->postings, key) : NULL;
  for (struct omap_node *n = posting ? omap_seek (posting, NULL) : NULL; n && go_on; n = omap_next (posting, n)) {
    o = ((struct entry *) omap_value (n))->object;
    go_on = cb (arg, o);
  }
}
