/* The bus: request/reply and subscribe-with-recovery between processes, over ZeroMQ with CURVE (bus_zmq_new) or, under
   test, a deterministic in-memory one with a seeded network and clock (bus_mem_new). bus/ knows no Kubernetes kind:
   methods, bodies, keys, values and stream names are opaque.

   Threads: a bus, and all made from it, belongs to the thread of its loop; callbacks run there. Other threads reach it
   by loop_post.

   Names. An endpoint is "NAME@ADDRESS": ADDRESS as ZeroMQ spells it ("ipc:///run/kubus/store.sock",
   "tcp://10.0.0.1:7401"), NAME the server's identity, whose public CURVE key stands in the known peers.
   A stream is a sequence of changes with its own gapless sequence numbers, the same on every member that publishes it:
   "" is all changes; "a" and "a/b" hold the changes of the keys below "a/" and "a/b/"; one that begins with '@' is an index
   stream, which a writer named for a key explicitly ("@pods.spec.nodeName/n1").
   Subscriptions are authorised one by one by the publisher. */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"

#define BUS_BODY_MAX (8u << 20)  /* bytes of a request or reply */
#define BUS_CALLS_MAX 16384      /* outstanding calls of one client; beyond: ERR_BUSY at once */
#define BUS_NAME_MAX 255

struct bus;

/* ---- identities ---- */
struct bus_peer { /* who is at the other end, from its CURVE key; valid during the callback */
  const char *name;           /* certificate name, e.g. "controller-1" */
  const char *user;           /* Kubernetes user name, "system:kube-scheduler" */
  const char *const *groups;  /* NULL-terminated */
};

struct bus_zmq_config {
  const char *key_file;  /* own zcert with the secret part, mode 0600 */
  const char *known_dir; /* a public zcert a peer, metadata "name", "user", "groups" (comma separated); re-read when it changes: a
                            peer whose file is gone is cut off */
};
struct bus *bus_zmq_new (struct loop *loop, const struct bus_zmq_config *config, struct err *err);
void bus_free (struct bus *b); /* frees what was made from it too; outstanding calls end with ERR_CLOSED; not from a callback of it; NULL allowed */
struct loop *bus_loop (struct bus *b);

/* Writes dir/NAME.secret (0600) and known_dir/NAME with that metadata. ERR_EXISTS when there is one. */
int bus_keygen (const char *dir, const char *known_dir, const char *name, const char *user, const char *groups, struct err *err);

/* ---- request/reply ---- */
struct bus_request { /* at the server; owned by the handler until it is replied to */
  const char *method;
  const uint8_t *body;
  size_t len;
  struct bus_peer peer;
  uint64_t cause;       /* revision that led to the request; 0: none */
  const char *trace;    /* W3C traceparent or "" */
  const char *idempotency; /* the same for every try of one call; unique per call */
  mono_t deadline;      /* the caller gives up then */
};
typedef void (*bus_request_cb) (void *arg, struct bus_request *rq);
struct bus_server;
/* Binds address. A request of an unknown peer never reaches cb. ERR_BUSY when the address is in use. */
struct bus_server *bus_serve (struct bus *b, const char *address, bus_request_cb cb, void *arg, struct err *err);
void bus_server_free (struct bus_server *s);
/* Answers and frees rq, now or later, once. After the server is freed the reply is dropped. */
void bus_reply (struct bus_request *rq, const void *body, size_t len);
void bus_reply_error (struct bus_request *rq, int code, const char *fmt, ...) __attribute__ ((format (printf, 3, 4)));

struct bus_call {
  const char *method;
  const void *body; /* copied */
  size_t len;
  int64_t deadline_ms; /* from now; 0: 10 s */
  uint64_t cause;
  const char *trace;       /* NULL: none */
  const char *idempotency; /* NULL: made up */
  bool no_retry;           /* fail on the first error instead of trying other endpoints */
};
/* err NULL: body is the reply, valid during the call. Errors: what bus_reply_error gave; ERR_TIMEOUT, ERR_UNAVAILABLE (no
   endpoint could be reached in time), ERR_BUSY, ERR_CLOSED. */
typedef void (*bus_reply_cb) (void *arg, const struct err *err, const uint8_t *body, size_t len);
struct bus_client;
/* A client of servers that can stand in for one another. Retryable errors are tried again until the deadline, on the next
   endpoint; an ERR_NOT_LEADER whose text is an endpoint's NAME goes there. */
struct bus_client *bus_client_new (struct bus *b, const char *const *endpoints, size_t n, struct err *err);
void bus_client_free (struct bus_client *c); /* outstanding calls end with ERR_CLOSED */
uint64_t bus_call (struct bus_client *c, const struct bus_call *call, bus_reply_cb cb, void *arg); /* an id for cancel; cb may be called before it returns only with an error */
void bus_cancel (struct bus_client *c, uint64_t id); /* cb is not called any more */
/* For tools: runs the loop until the answer is there. */
int bus_call_sync (struct bus_client *c, const struct bus_call *call, struct buf *ret_body, struct err *err);

/* ---- changes ---- */
enum bus_op { BUS_PUT = 1, BUS_DELETE = 2 };
struct bus_change {
  uint64_t revision;        /* of the transaction */
  uint32_t sub;             /* index within it */
  bool last;                /* no further change of this revision follows on this stream */
  enum bus_op op;           /* on an index stream a key that leaves the index appears as BUS_DELETE with moved set */
  bool moved;
  const char *key;
  const uint8_t *value;     /* BUS_DELETE: the previous value */
  size_t value_len;
  uint64_t create_revision, prev_revision; /* prev: mod revision of the version before; 0: none */
  const char *actor;        /* user that made it */
  uint64_t cause;           /* revision that led to it; 0: none */
  const char *trace;        /* "" when none */
  int64_t time_us;          /* wall clock of the leader */
};
/* Packed form of a change, the same in messages, the store's log and recordings. */
void bus_change_pack (const struct bus_change *c, struct buf *out);
int bus_change_unpack (const uint8_t *data, size_t n, struct bus_change *ret, struct buf *scratch, struct err *err); /* points into data and scratch */

/* ---- publishing ---- */
typedef bool (*bus_authorise_cb) (void *arg, const struct bus_peer *peer, const char *stream);
struct bus_publisher;
struct bus_publisher *bus_publisher_open (struct bus *b, const char *address, bus_authorise_cb cb, void *arg, struct err *err);
void bus_publisher_free (struct bus_publisher *p);
/* Sends packed (a bus_change_pack) to the subscribers of stream as its seq-th change. Never blocks: a subscriber that does
   not keep up loses messages, notices by the sequence and catches up. */
void bus_publish (struct bus_publisher *p, const char *stream, uint64_t seq, const void *packed, size_t len);
/* Tells subscribers of stream (NULL: of every one) the last sequence number and revision, so that a silent loss is found. */
void bus_publish_progress (struct bus_publisher *p, const char *stream, uint64_t seq, uint64_t revision);
/* Every stream that somebody subscribes to (order undefined): progress of an idle one is for whoever knows its sequence.
   seq 0: the last one that was published here, or none since the subscription stands. */
void bus_publisher_each (struct bus_publisher *p, void (*cb) (void *arg, const char *stream), void *arg);

/* ---- subscribing with recovery ---- */
/* A source is a group of members, each with a publisher and a server that answers (bus/stream.h packs and unpacks the bodies)
     "stream.snapshot" {stream, after: key, limit, revision: 0 or as in the first page} -> {revision, seq, changes: [packed...], more}
     "stream.changes"  {stream, after_seq, revision, limit} -> {revision, seq, changes: [packed...], more}; ERR_COMPACTED when the
                       log no longer reaches back. after_seq 0: the changes after revision; else revision is a hint, the last one seen
   where seq is the stream's last one at that revision; of changes with more: that of the page's last change. ERR_DENIED to a peer
   that may not subscribe to the stream. Changes after a seq that a member has not reached: an empty page with its own seq. */
struct bus_source;
struct bus_source *bus_source_new (struct bus *b, const char *const *server_endpoints, const char *const *publisher_endpoints, size_t n, struct err *err);
void bus_source_free (struct bus_source *s);

struct bus_subscriber {
  void (*reset) (void *arg, uint64_t revision);                /* a snapshot at revision follows: what is not in it is gone */
  void (*object) (void *arg, const struct bus_change *c);      /* one object of the snapshot, BUS_PUT */
  void (*synced) (void *arg, uint64_t revision);               /* the snapshot is complete (again) */
  void (*change) (void *arg, const struct bus_change *c);      /* every change after it, in order, none missed, none twice */
  void (*progress) (void *arg, uint64_t revision);             /* nothing more up to revision; may be NULL */
  void (*failed) (void *arg, const struct err *err);           /* ERR_DENIED: not allowed, given up. Others are retried. May be NULL */
};
struct bus_subscription;
/* Begins with a snapshot, or, when after_revision is not 0, with the changes after it (a snapshot if they are compacted). */
struct bus_subscription *bus_subscribe (struct bus_source *s, const char *stream, uint64_t after_revision,
                                        const struct bus_subscriber *cb, void *arg, struct err *err);
void bus_subscription_free (struct bus_subscription *s);

#endif
