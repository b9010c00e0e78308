/* kubus-tap: the changes of the bus as they happen, from a revision, or from a recording. An ordinary subscriber. */
#ifndef BUS_TAP_TAP_H
#define BUS_TAP_TAP_H

#include <stdio.h>

#include "base/map.h"
#include "bus/bus.h"

enum tap_format { TAP_HUMAN, TAP_JSONL, TAP_MSGPACK };
#define TAP_RECORD_MAX (16u << 20) /* bytes of one record in a file */

struct tap_filter { /* NULL: any; names and actors are shell patterns */
  const char *namespace_, *name, *verb, *actor;
};
struct tap_event {
  const char *stream;
  const struct bus_change *change;
  bool state; /* an object of a snapshot, not a change */
};
/* The parts of an opaque key "resource/namespace/name" or "resource/name"; "" for what is absent. */
struct tap_key {
  char resource[256], namespace_[256], name[512];
};
void tap_key_split (const char *key, struct tap_key *ret);
const char *tap_verb (const struct tap_event *e); /* state, create, update, delete, leave */
bool tap_filter_matches (const struct tap_filter *f, const struct tap_event *e, const struct tap_key *key);

/* Appends one event as text, with its newline, or as a record. */
void tap_format_event (enum tap_format format, bool values, const struct tap_event *e, const struct tap_key *key, struct buf *out);

/* A record is the msgpack array [stream, packed change]; a recording is records one after another. */
void tap_record_pack (const char *stream, const struct bus_change *c, struct buf *out);
typedef bool (*tap_record_cb) (void *arg, const char *stream, const struct bus_change *c); /* false: enough */
/* ERR_PARSE with the offset for what is not a recording; a torn last record too. */
int tap_record_read (FILE *f, tap_record_cb cb, void *arg, struct err *err);

struct tap_stats;
struct tap_stats *tap_stats_new (mono_t now);
void tap_stats_free (struct tap_stats *s);
void tap_stats_add (struct tap_stats *s, const struct tap_event *e, const struct tap_key *key, wall_t now);
/* A table of what happened since the last one, by resource: changes and bytes a second, totals, age of the changes when they came. */
void tap_stats_print (struct tap_stats *s, mono_t now, struct buf *out);

#endif
