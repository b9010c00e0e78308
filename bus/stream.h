/* Bodies of "stream.snapshot" and "stream.changes", both ends. msgpack maps; unknown keys are skipped.
     query {stream, limit, after: key, revision}           snapshot
     query {stream, limit, after_seq, revision}            changes; after_seq 0: after revision, else revision is where to look
     page  {revision, seq, more, changes: [bin...]} */
#ifndef BUS_STREAM_H
#define BUS_STREAM_H

#include "bus/bus.h"

#define STREAM_SNAPSHOT_METHOD "stream.snapshot"
#define STREAM_CHANGES_METHOD "stream.changes"
#define STREAM_NAME_MAX 1024
#define STREAM_KEY_MAX 4096
#define STREAM_LIMIT_MAX 10000       /* changes in a page */
#define STREAM_PAGE_BYTES_MAX (4u << 20) /* a server ends a page when it is this long */

struct stream_query {
  char stream[STREAM_NAME_MAX + 1];
  char after[STREAM_KEY_MAX + 1]; /* "" from the start; pages are in key order */
  uint64_t limit;                 /* 1..STREAM_LIMIT_MAX */
  uint64_t revision;              /* snapshot: 0 now, else that of the first page */
  uint64_t after_seq;             /* changes */
};
void stream_query_pack (const struct stream_query *q, bool changes, struct buf *out);
int stream_query_unpack (const void *data, size_t n, struct stream_query *ret, struct err *err);

/* Building a page: begin, add each packed change (a bus_change_pack), end. */
struct stream_page_writer {
  struct buf changes;
  uint32_t count;
};
void stream_page_add (struct stream_page_writer *w, const void *packed, size_t len);
bool stream_page_full (const struct stream_page_writer *w, uint64_t limit);
/* Appends the page to out and empties the writer. */
void stream_page_end (struct stream_page_writer *w, uint64_t revision, uint64_t seq, bool more, struct buf *out);

struct stream_page { /* points into the reply */
  uint64_t revision, seq;
  bool more;
  uint32_t count;
  const uint8_t *at; /* of the first change; read with stream_page_next */
  size_t len;
};
int stream_page_unpack (const void *data, size_t n, struct stream_page *ret, struct err *err); /* checks every item */
bool stream_page_next (struct stream_page *p, const uint8_t **ret_change, size_t *ret_len);

#endif
