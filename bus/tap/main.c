#include <errno.h>
#include <getopt.h>
#include <signal.h>

#include "base/mem.h"
#include "bus/stream.h"
#include "bus/tap/tap.h"

enum { LIST_MAX = 32, STREAMS_MAX = 64, STATS_MS = 1000 };

struct list {
  const char *items[LIST_MAX];
  size_t count;
};
struct tap {
  const char *name, *dir, *store, *store_pub, *record, *replay;
  const char *streams[STREAMS_MAX];
  size_t n_streams;
  struct tap_filter filter;
  enum tap_format format;
  bool values, snapshot, stats;
  uint64_t from, count;

  struct loop *loop;
  struct bus *bus;
  struct bus_source *source;
  struct tap_stats *table;
  struct loop_timer *stats_timer;
  FILE *record_file;
  struct buf out;
  uint64_t seen;
  int status;
  bool done;
};
struct topic {
  struct tap *tap;
  const char *stream;
};

/* ---- events ---- */
static void
stop (struct tap *t, int status)
{
  if (!t->done)
    t->status = status;
  t->done = true;
  if (t->loop)
    loop_stop (t->loop);
}

static bool
write_out (struct tap *t, FILE *f, struct buf *b)
{
  bool ok = !b->failed && fwrite (b->data, 1, b->len, f) == b->len && !fflush (f);
  if (!ok && errno != EPIPE)
    (void) fprintf (stderr, "kubus-tap: write: %s\n", b->failed ? "out of memory" : strerror (errno));
  if (!ok)
    stop (t, errno == EPIPE && !b->failed ? 0 : 1);
  buf_reset (b);
  return ok;
}

static bool
on_event (struct tap *t, const struct tap_event *e)
{
  struct tap_key key;
  if (t->done)
    return false;
  tap_key_split (e->change->key, &key);
  if (!tap_filter_matches (&t->filter, e, &key))
    return true;
  if (t->record_file) {
    tap_record_pack (e->stream, e->change, &t->out);
    if (!write_out (t, t->record_file, &t->out))
      return false;
  }
  if (t->stats)
    tap_stats_add (t->table, e, &key, wall_now ());
  else {
    tap_format_event (t->format, t->values, e, &key, &t->out);
    if (!write_out (t, stdout, &t->out))
      return false;
  }
  if (t->count && ++t->seen >= t->count)
    stop (t, 0);
  return !t->done;
}

static void
on_reset (void *arg, uint64_t revision)
{
  struct topic *topic = arg;
  if (!topic->tap->snapshot)
    (void) fprintf (stderr, "kubus-tap: stream \"%s\": older changes are compacted, showing the state at revision %llu\n", topic->stream,
                    (unsigned long long) revision);
}
static void
on_object (void *arg, const struct bus_change *c)
{
  struct topic *topic = arg;
  (void) on_event (topic->tap, &(struct tap_event){topic->stream, c, true});
}
static void
on_synced (void *arg, uint64_t revision)
{
  (void) arg;
  (void) revision;
}
static void
on_change (void *arg, const struct bus_change *c)
{
  struct topic *topic = arg;
  (void) on_event (topic->tap, &(struct tap_event){topic->stream, c, false});
}
static void
on_failed (void *arg, const struct err *err)
{
  struct topic *topic = arg;
  (void) fprintf (stderr, "kubus-tap: stream \"%s\": %s\n", topic->stream, err->text);
  if (err->code == ERR_DENIED)
    stop (topic->tap, 1);
}
static const struct bus_subscriber subscriber = {.reset = on_reset, .object = on_object, .synced = on_synced, .change = on_change,
                                                 .failed = on_failed};

static bool
on_record (void *arg, const char *stream, const struct bus_change *c)
{
  struct tap *t = arg;
  bool wanted = !t->n_streams;
  size_t n;
  for (size_t i = 0; i < t->n_streams && !wanted; i++) {
    n = strlen (t->streams[i]);
    wanted = !strcmp (stream, t->streams[i]) || !n || (!strncmp (c->key, t->streams[i], n) && c->key[n] == '/');
  }
  if (!wanted || c->revision < t->from)
    return true;
  return on_event (t, &(struct tap_event){stream, c, false});
}

static void
on_stats (void *arg)
{
  struct tap *t = arg;
  tap_stats_print (t->table, mono_now (), &t->out);
  if (write_out (t, stdout, &t->out))
    loop_timer_set (t->stats_timer, STATS_MS);
}

static void
on_signal (void *arg)
{
  stop (arg, 0);
}

/* ---- running ---- */
static int
split (char *text, struct list *ret, struct err *err)
{
  for (char *save = NULL, *s = strtok_r (text, ",", &save); s; s = strtok_r (NULL, ",", &save)) {
    if (ret->count == LIST_MAX)
      return err_set (err, ERR_LIMIT, "more than %d members", LIST_MAX);
    ret->items[ret->count++] = s;
  }
  return 0;
}

/* The revision of now: changes after it are what is new. */
static int
current_revision (struct tap *t, const struct list *servers, const char *stream, uint64_t *ret, struct err *err)
{
  AUTO_BUF struct buf query = BUF_INIT, answer = BUF_INIT;
  struct stream_query q = {.limit = 1};
  struct stream_page page;
  struct bus_client *c = bus_client_new (t->bus, servers->items, servers->count, err);
  int r;
  if (!c)
    return err->code;
  (void) snprintf (q.stream, sizeof q.stream, "%s", stream);
  stream_query_pack (&q, false, &query);
  r = bus_call_sync (c, &(struct bus_call){.method = STREAM_SNAPSHOT_METHOD, .body = query.data, .len = query.len}, &answer, err);
  bus_client_free (c);
  if (r || (r = stream_page_unpack (answer.data, answer.len, &page, err)))
    return r;
  *ret = page.revision;
  return 0;
}

static int
open_bus (struct tap *t, const struct list *servers, const struct list *publishers, struct err *err)
{
  AUTO_FREE char *key = mem_printf ("%s/bus/%s.secret", t->dir, t->name), *known = mem_printf ("%s/bus/known", t->dir);
  if (!key || !known)
    return err_set (err, ERR_NOMEM, "configuration");
  if (servers->count != publishers->count)
    return err_set (err, ERR_INVALID, "--store and --store-pub name %zu and %zu members", servers->count, publishers->count);
  if (!(t->bus = bus_zmq_new (t->loop, &(struct bus_zmq_config){.key_file = key, .known_dir = known}, err)) ||
      !(t->source = bus_source_new (t->bus, servers->items, publishers->items, servers->count, err)))
    return err->code;
  return 0;
}

static int
run_live (struct tap *t, struct err *err)
{
  AUTO_FREE char *store = t->store ? mem_strdup (t->store) : mem_printf ("store@ipc://%s/run/store.sock", t->dir);
  AUTO_FREE char *store_pub = t->store_pub ? mem_strdup (t->store_pub) : mem_printf ("store@ipc://%s/run/store-pub.sock", t->dir);
  struct topic topics[STREAMS_MAX];
  struct list servers = {0}, publishers = {0};
  struct loop_watch *sigint = NULL, *sigterm = NULL;
  int r;
  if (!store || !store_pub)
    return err_set (err, ERR_NOMEM, "configuration");
  if ((r = split (store, &servers, err)) || (r = split (store_pub, &publishers, err)))
    return r;
  if (!(t->loop = loop_new (err)))
    return err->code;
  if ((r = open_bus (t, &servers, &publishers, err)))
    goto out;
  if (!t->n_streams)
    t->streams[t->n_streams++] = "";
  for (size_t i = 0; i < t->n_streams; i++) {
    uint64_t after = t->from ? t->from - 1 : 0;
    topics[i] = (struct topic){t, t->streams[i]};
    if (!t->from && !t->snapshot && (r = current_revision (t, &servers, t->streams[i], &after, err)))
      goto out;
    if (!bus_subscribe (t->source, t->streams[i], after, &subscriber, &topics[i], err)) {
      r = err->code;
      goto out;
    }
  }
  if (!(sigint = loop_watch_signal (t->loop, SIGINT, on_signal, t)) || !(sigterm = loop_watch_signal (t->loop, SIGTERM, on_signal, t)) ||
      (t->stats && !(t->stats_timer = loop_timer_new (t->loop, on_stats, t)))) {
    r = err_set (err, ERR_NOMEM, "loop");
    goto out;
  }
  if (t->stats)
    loop_timer_set (t->stats_timer, STATS_MS);
  if (!t->done)
    loop_run (t->loop);
out:
  bus_free (t->bus);
  loop_watch_free (sigint);
  loop_watch_free (sigterm);
  loop_timer_free (t->stats_timer);
  loop_free (t->loop);
  t->loop = NULL;
  return r;
}

static int
run_replay (struct tap *t, struct err *err)
{
  bool standard = !strcmp (t->replay, "-");
  FILE *f = standard ? stdin : fopen (t->replay, "re");
  int r = f ? tap_record_read (f, on_record, t, err) : err_errno (err, errno, "open %s", t->replay);
  if (f && !standard)
    (void) fclose (f);
  if (!r && t->stats) {
    tap_stats_print (t->table, mono_now (), &t->out);
    (void) write_out (t, stdout, &t->out);
  }
  return r;
}

static int
run (struct tap *t, struct err *err)
{
  int r = 0;
  if (t->stats && !(t->table = tap_stats_new (mono_now ())))
    return err_set (err, ERR_NOMEM, "statistics");
  if (t->record && !(t->record_file = fopen (t->record, "we")))
    r = err_errno (err, errno, "open %s", t->record);
  if (!r)
    r = t->replay ? run_replay (t, err) : run_live (t, err);
  if (t->record_file && fclose (t->record_file) && !r)
    r = err_errno (err, errno, "write %s", t->record);
  tap_stats_free (t->table);
  buf_done (&t->out);
  return r;
}

/* ---- arguments ---- */
static const char usage[] =
  "kubus-tap [OPTION]... [STREAM]...   the changes on the bus, live; STREAM: \"pods\", \"pods/default\", \"@pods.spec.nodeName/n1\";\n"
  "                                    none: all\n"
  "  --from REV            begin with the changes of this revision\n"
  "  --snapshot            begin with the objects as they are\n"
  "  -n, --namespace NS    --name PATTERN   --actor PATTERN   --verb create|update|delete|leave|state\n"
  "  -o, --output FORMAT   human (default), jsonl, msgpack\n"
  "  --values              show the objects too\n"
  "  --count N             end after N changes\n"
  "  --stats               a table a second instead: rates and bytes by resource, lag\n"
  "  --record FILE         write what passes the filters to FILE as well\n"
  "  --replay FILE         read from a recording (\"-\": standard input) instead of the bus\n"
  "  --dir DIR             the cluster's state ($KUBUS_DIR, else .kubus)   --identity NAME   own key in DIR/bus (default admin)\n"
  "  --store NAME@ADDR,... --store-pub NAME@ADDR,...   the store's members and their publishers\n"
  "  --help\n";

static int
number (const char *text, uint64_t *ret)
{
  char *end;
  errno = 0;
  *ret = strtoull (text, &end, 10);
  return errno || !*text || *end || text[0] == '-' ? -1 : 0;
}

static int
parse (int argc, char **argv, struct tap *t)
{
  enum { FROM = 256, SNAPSHOT, NAME, ACTOR, VERB, VALUES, COUNT, STATS, RECORD, REPLAY, DIR, IDENTITY, STORE, STORE_PUB, HELP };
  static const struct option options[] = {
    {"from", required_argument, NULL, FROM},         {"snapshot", no_argument, NULL, SNAPSHOT},
    {"namespace", required_argument, NULL, 'n'},     {"name", required_argument, NULL, NAME},
    {"actor", required_argument, NULL, ACTOR},       {"verb", required_argument, NULL, VERB},
    {"output", required_argument, NULL, 'o'},        {"values", no_argument, NULL, VALUES},
    {"count", required_argument, NULL, COUNT},       {"stats", no_argument, NULL, STATS},
    {"record", required_argument, NULL, RECORD},     {"replay", required_argument, NULL, REPLAY},
    {"dir", required_argument, NULL, DIR},           {"identity", required_argument, NULL, IDENTITY},
    {"store", required_argument, NULL, STORE},       {"store-pub", required_argument, NULL, STORE_PUB},
    {"help", no_argument, NULL, HELP},               {NULL, 0, NULL, 0}};
  for (int o; (o = getopt_long (argc, argv, "n:o:", options, NULL)) >= 0;) {
    bool bad = false;
    switch (o) {
    case FROM: bad = number (optarg, &t->from) || !t->from; break;
    case SNAPSHOT: t->snapshot = true; break;
    case 'n': t->filter.namespace_ = optarg; break;
    case NAME: t->filter.name = optarg; break;
    case ACTOR: t->filter.actor = optarg; break;
    case VERB: t->filter.verb = optarg; break;
    case 'o':
      bad = strcmp (optarg, "human") && strcmp (optarg, "jsonl") && strcmp (optarg, "msgpack");
      t->format = optarg[0] == 'j' ? TAP_JSONL : optarg[0] == 'm' ? TAP_MSGPACK : TAP_HUMAN;
      break;
    case VALUES: t->values = true; break;
    case COUNT: bad = number (optarg, &t->count) || !t->count; break;
    case STATS: t->stats = true; break;
    case RECORD: t->record = optarg; break;
    case REPLAY: t->replay = optarg; break;
    case DIR: t->dir = optarg; break;
    case IDENTITY: t->name = optarg; break;
    case STORE: t->store = optarg; break;
    case STORE_PUB: t->store_pub = optarg; break;
    case HELP: (void) fputs (usage, stdout); exit (0);
    default: return 2;
    }
    if (bad) {
      (void) fprintf (stderr, "kubus-tap: bad value: %s\n", optarg);
      return 2;
    }
  }
  for (; optind < argc; optind++) {
    if (t->n_streams == STREAMS_MAX || strlen (argv[optind]) > STREAM_NAME_MAX) {
      (void) fprintf (stderr, "kubus-tap: too many streams, or too long a name\n");
      return 2;
    }
    t->streams[t->n_streams++] = argv[optind];
  }
  return 0;
}

int
main (int argc, char **argv)
{
  const char *dir = getenv ("KUBUS_DIR");
  struct tap t = {.name = "admin", .dir = dir && *dir ? dir : ".kubus"};
  struct err err = {0};
  int status = parse (argc, argv, &t);
  if (status)
    return status;
  (void) signal (SIGPIPE, SIG_IGN);
  if (run (&t, &err)) {
    (void) fprintf (stderr, "kubus-tap: %s\n", err.text);
    return 1;
  }
  return t.status;
}
