#include <fnmatch.h>

#include "base/mem.h"
#include "bus/tap/tap.h"
#include "schemas/json.h"

static void
copy (char *out, size_t size, const char *s, size_t n)
{
  (void) snprintf (out, size, "%.*s", (int) (n < size ? n : size - 1), s);
}

void
tap_key_split (const char *key, struct tap_key *ret)
{
  const char *first = strchr (key, '/'), *second = first ? strchr (first + 1, '/') : NULL;
  memset (ret, 0, sizeof *ret);
  copy (ret->resource, sizeof ret->resource, key, first ? (size_t) (first - key) : strlen (key));
  if (second)
    copy (ret->namespace_, sizeof ret->namespace_, first + 1, (size_t) (second - first - 1));
  if (first)
    copy (ret->name, sizeof ret->name, second ? second + 1 : first + 1, strlen (second ? second + 1 : first + 1));
}

const char *
tap_verb (const struct tap_event *e)
{
  if (e->state)
    return "state";
  if (e->change->op == BUS_DELETE)
    return e->change->moved ? "leave" : "delete";
  return e->change->prev_revision ? "update" : "create";
}

bool
tap_filter_matches (const struct tap_filter *f, const struct tap_event *e, const struct tap_key *key)
{
  return (!f->namespace_ || !strcmp (f->namespace_, key->namespace_)) && (!f->name || !fnmatch (f->name, key->name, 0)) &&
         (!f->verb || !strcmp (f->verb, tap_verb (e))) && (!f->actor || !fnmatch (f->actor, e->change->actor, 0));
}

static void
member (struct buf *out, const char *name, const char *text)
{
  buf_printf (out, ",\"%s\":", name);
  json_write_string (text, strlen (text), out);
}

static void
number (struct buf *out, const char *name, uint64_t n)
{
  buf_printf (out, ",\"%s\":%llu", name, (unsigned long long) n);
}

static void
format_json (bool values, const struct tap_event *e, const struct tap_key *key, struct buf *out)
{
  const struct bus_change *c = e->change;
  AUTO_BUF struct buf value = BUF_INIT;
  char time[CLOCK_RFC3339_SIZE];
  buf_printf (out, "{\"revision\":%llu,\"sub\":%u", (unsigned long long) c->revision, c->sub);
  member (out, "verb", tap_verb (e));
  member (out, "stream", e->stream);
  member (out, "key", c->key);
  member (out, "resource", key->resource);
  if (key->namespace_[0])
    member (out, "namespace", key->namespace_);
  member (out, "name", key->name);
  if (c->actor[0])
    member (out, "actor", c->actor);
  if (c->cause)
    number (out, "cause", c->cause);
  if (c->trace[0])
    member (out, "trace", c->trace);
  if (c->time_us)
    member (out, "time", wall_format_micro ((wall_t){c->time_us}, time));
  if (c->create_revision)
    number (out, "createRevision", c->create_revision);
  if (c->prev_revision)
    number (out, "prevRevision", c->prev_revision);
  number (out, "bytes", c->value_len);
  if (values && c->value_len && !json_write_packed (c->value, c->value_len, 0, &value, NULL)) { /* opaque otherwise */
    buf_append_str (out, ",\"value\":");
    buf_append (out, value.data, value.len);
  }
  buf_append_str (out, "}\n");
}

static void
format_human (bool values, const struct tap_event *e, const struct tap_key *key, struct buf *out)
{
  const struct bus_change *c = e->change;
  char time[CLOCK_RFC3339_SIZE] = "-";
  AUTO_BUF struct buf value = BUF_INIT;
  (void) key;
  if (c->time_us)
    (void) wall_format_micro ((wall_t){c->time_us}, time);
  buf_printf (out, "%s %8llu %-6s %s", time, (unsigned long long) c->revision, tap_verb (e), c->key);
  if (c->actor[0])
    buf_printf (out, " by=%s", c->actor);
  if (c->cause)
    buf_printf (out, " cause=%llu", (unsigned long long) c->cause);
  if (c->prev_revision)
    buf_printf (out, " prev=%llu", (unsigned long long) c->prev_revision);
  if (c->trace[0])
    buf_printf (out, " trace=%s", c->trace);
  buf_printf (out, " %zuB\n", c->value_len);
  if (values && c->value_len && !json_write_packed (c->value, c->value_len, 2, &value, NULL)) {
    buf_append (out, value.data, value.len);
    buf_append_byte (out, '\n');
  }
}

void
tap_format_event (enum tap_format format, bool values, const struct tap_event *e, const struct tap_key *key, struct buf *out)
{
  if (format == TAP_MSGPACK)
    tap_record_pack (e->stream, e->change, out);
  else if (format == TAP_JSONL)
    format_json (values, e, key, out);
  else
    format_human (values, e, key, out);
}
