#include "services/common/service.h"

#include <errno.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"

#define EXIT_USAGE 2

/* Common options, parsed into this. */
struct common {
  const char *name, *dir, *log_level;
  struct service_list store, store_pub, apiserver;
  bool check_only;
};

struct frame {
  struct service_context ctx; /* first: the daemon's pointer leads back to the frame */
  const struct service *service;
  struct common common;
  struct arena arena;
  bool held, told;
  int exit_status;
  struct loop_timer *watchdog;
  int64_t watchdog_ms;
};

#define COMMON_ROWS \
  { \
    {"name", SERVICE_STRING, offsetof (struct common, name), NULL, 0, 0, "identity on the bus"}, \
        {"dir", SERVICE_STRING, offsetof (struct common, dir), NULL, 0, 0, "state directory of the cluster ($KUBUS_DIR, else .kubus)"}, \
        {"log-level", SERVICE_STRING, offsetof (struct common, log_level), "info", 0, 0, "error, warn, info or debug"}, \
        {"store", SERVICE_LIST, offsetof (struct common, store), "store@ipc://$DIR/run/store.sock", 0, 0, "the store's members, NAME@ADDRESS,..."}, \
        {"store-pub", SERVICE_LIST, offsetof (struct common, store_pub), "store@ipc://$DIR/run/store-pub.sock", 0, 0, "their publishers"}, \
        {"apiserver", SERVICE_LIST, offsetof (struct common, apiserver), "apiserver@ipc://$DIR/run/apiserver.sock", 0, 0, "the API servers' bus fronts"}, \
    { \
      NULL, SERVICE_STRING, 0, NULL, 0, 0, NULL \
    } \
  }
static const struct service_option common_options[] = COMMON_ROWS;

/* ---- options ---- */

static const char *
expand (struct frame *f, const char *text)
{
  const char *at = strstr (text, "$DIR");
  if (!at)
    return arena_strdup (&f->arena, text);
  return arena_printf (&f->arena, "%.*s%s%s", (int) (at - text), text, f->ctx.dir, at + 4);
}

static int
set_list (struct frame *f, const char *text, struct service_list *ret, struct err *err)
{
  struct service_list list = {0};
  while (*text) {
    size_t n = strcspn (text, ",");
    if (list.count == sizeof list.items / sizeof list.items[0])
      return err_set (err, ERR_LIMIT, "more than %zu items", list.count);
    if (n) {
      const char *item = arena_strndup (&f->arena, text, n);
      if (!item || !(list.items[list.count++] = expand (f, item)))
        return err_set (err, ERR_NOMEM, "out of memory");
    }
    text += n + (text[n] == ',');
  }
  *ret = list;
  return 0;
}

static int
set_option (struct frame *f, const struct service_option *o, void *config, const char *text, struct err *err)
{
  void *at = (char *) config + o->offset;
  char *end;
  long long v;
  switch (o->type) {
  case SERVICE_STRING:
    *(const char **) at = expand (f, text);
    return *(const char **) at ? 0 : err_set (err, ERR_NOMEM, "out of memory");
  case SERVICE_BOOL:
    if (strcmp (text, "true") && strcmp (text, "false"))
      return err_set (err, ERR_INVALID, "\"%s\" is neither true nor false", text);
    *(bool *) at = text[0] == 't';
    return 0;
  case SERVICE_LIST:
    return set_list (f, text, at, err);
  case SERVICE_INT:
    errno = 0;
    v = strtoll (text, &end, 10);
    if (errno || end == text || *end)
      return err_set (err, ERR_INVALID, "\"%s\" is not a number", text);
    if (o->minimum < o->maximum && (v < o->minimum || v > o->maximum))
      return err_set (err, ERR_INVALID, "%lld is not in %lld..%lld", v, (long long) o->minimum, (long long) o->maximum);
    *(int64_t *) at = v;
    return 0;
  }
  return 0;
}

static const struct service_option *
find_option (const struct service_option *table, const char *name, size_t n)
{
  for (; table && table->name; table++)
    if (strlen (table->name) == n && !memcmp (table->name, name, n))
      return table;
  return NULL;
}

static void
print_options (const struct service_option *o)
{
  for (; o && o->name; o++)
    printf ("  --%-28s %s%s%s%s\n", o->name, o->help ? o->help : "", o->default_ ? " (default " : "", o->default_ ? o->default_ : "", o->default_ ? ")" : "");
}

static void
print_help (const struct service *s)
{
  printf ("%s: %s\n\nusage: %s [options]\n\n", s->name, s->help, s->name);
  print_options (s->options);
  printf ("\nof every kubus daemon:\n");
  print_options (common_options);
  printf ("  -n                             check the configuration and exit\n  --version                      print the version and exit\n");
}

static int
defaults (struct frame *f, const struct service_option *o, void *config, struct err *err)
{
  for (; o && o->name; o++)
    if (o->default_) {
      int r = set_option (f, o, config, o->default_, err);
      if (r)
        return err_wrap (err, "default of --%s", o->name), r;
    }
  return 0;
}

/* One pass over the arguments; only_common: just those that others' defaults depend on ($DIR). */
static int
parse (struct frame *f, int argc, char **argv, bool only_common, struct err *err)
{
  for (int i = 1; i < argc; i++) {
    const char *arg = argv[i], *eq, *value;
    const struct service_option *o;
    void *config = &f->common;
    int r;
    if (!strcmp (arg, "-n")) {
      f->common.check_only = true;
      continue;
    }
    if (strncmp (arg, "--", 2))
      return err_set (err, ERR_INVALID, "unexpected argument \"%s\"", arg);
    arg += 2;
    eq = strchrnul (arg, '=');
    if (!(o = find_option (common_options, arg, (size_t) (eq - arg)))) {
      o = find_option (f->service->options, arg, (size_t) (eq - arg));
      config = f->ctx.config;
    }
    if (!o)
      return err_set (err, ERR_INVALID, "unknown option \"%s\"", argv[i]);
    if (*eq)
      value = eq + 1;
    else if (o->type == SERVICE_BOOL)
      value = "true";
    else if (++i < argc)
      value = argv[i];
    else
      return err_set (err, ERR_INVALID, "--%s needs a value", o->name);
    if (only_common && config != &f->common)
      continue;
    if ((r = set_option (f, o, config, value, err)))
      return err_wrap (err, "--%s", o->name), r;
  }
  return 0;
}

static int
configure (struct frame *f, int argc, char **argv, struct err *err)
{
  const char *env = getenv ("KUBUS_DIR");
  int r;
  f->common.name = f->service->default_identity;
  f->ctx.dir = f->common.dir = env && *env ? env : ".kubus";
  if ((r = parse (f, argc, argv, true, err)))
    return r;
  f->ctx.dir = f->common.dir;
  if (f->ctx.dir[0] != '/') { /* addresses and children need it whole */
    char cwd[4096];
    if (!getcwd (cwd, sizeof cwd))
      return err_errno (err, errno, "current directory");
    f->ctx.dir = arena_printf (&f->arena, "%s/%s", cwd, f->common.dir);
  }
  if ((r = defaults (f, common_options, &f->common, err)) || (r = defaults (f, f->service->options, f->ctx.config, err)))
    return r;
  f->common.name = f->service->default_identity;
  if ((r = parse (f, argc, argv, false, err)))
    return r;
  if (log_level_parse (f->common.log_level) < 0)
    return err_set (err, ERR_INVALID, "--log-level: \"%s\" is not error, warn, info or debug", f->common.log_level);
  return f->service->check ? f->service->check (f->ctx.config, err) : 0;
}

/* ---- running ---- */

static void
feed_watchdog (void *arg)
{
  struct frame *f = arg;
  sd_notify (0, "WATCHDOG=1");
  loop_timer_set (f->watchdog, f->watchdog_ms);
}

static int
start_watchdog (struct frame *f, struct err *err)
{
  uint64_t us = 0;
  if (sd_watchdog_enabled (0, &us) <= 0)
    return 0;
  f->watchdog_ms = (int64_t) (us / 2000);
  if (!(f->watchdog = loop_timer_new (f->ctx.loop, feed_watchdog, f)))
    return err_set (err, ERR_NOMEM, "watchdog");
  loop_timer_set (f->watchdog, f->watchdog_ms);
  return 0;
}

static void
stop_signal (void *arg)
{
  struct frame *f = arg;
  sd_notify (0, "STOPPING=1");
  loop_stop (f->ctx.loop);
}

static void
first_turn (void *arg)
{
  struct frame *f = arg;
  if (!f->held)
    service_ready (&f->ctx);
}

void
service_hold_ready (struct service_context *ctx)
{
  ((struct frame *) ctx)->held = true;
}

void
service_ready (struct service_context *ctx)
{
  struct frame *f = (struct frame *) ctx;
  if (f->told)
    return;
  f->told = true;
  log_info ("ready", "name=%s pid=%d", ctx->name, (int) getpid ());
  sd_notify (0, "READY=1");
}

void
service_stop (struct service_context *ctx, int exit_status)
{
  struct frame *f = (struct frame *) ctx;
  f->exit_status = exit_status;
  loop_stop (ctx->loop);
}

static int
open_clients (struct frame *f, struct err *err)
{
  const struct common *c = &f->common;
  struct service_context *ctx = &f->ctx;
  const struct service *s = f->service;
  if (s->want_bus || s->want_source || s->want_api) {
    struct bus_zmq_config bus = {arena_printf (&f->arena, "%s/bus/%s.secret", ctx->dir, ctx->name), arena_printf (&f->arena, "%s/bus/known", ctx->dir)};
    if (!bus.key_file || !bus.known_dir)
      return err_set (err, ERR_NOMEM, "open");
    if (!(ctx->bus = bus_zmq_new (ctx->loop, &bus, err)))
      return err->code;
  }
  if (s->want_source) {
    if (c->store.count != c->store_pub.count || !c->store.count)
      return err_set (err, ERR_INVALID, "--store and --store-pub name %zu and %zu members", c->store.count, c->store_pub.count);
    if (!(ctx->source = bus_source_new (ctx->bus, c->store.items, c->store_pub.items, c->store.count, err)))
      return err->code;
  }
  if (s->want_api && !(ctx->api = api_client_new (ctx->bus, c->apiserver.items, c->apiserver.count, err)))
    return err->code;
  return 0;
}

static int
run (struct frame *f, struct err *err)
{
  struct loop_watch *term, *interrupt;
  void *self;
  int r;
  signal (SIGPIPE, SIG_IGN);
  if (!(f->ctx.loop = loop_new (err)))
    return err->code;
  term = loop_watch_signal (f->ctx.loop, SIGTERM, stop_signal, f);
  interrupt = loop_watch_signal (f->ctx.loop, SIGINT, stop_signal, f);
  r = term && interrupt ? 0 : err_set (err, ERR_NOMEM, "signals");
  if (!r && !(r = open_clients (f, err)) && !(r = start_watchdog (f, err))) {
    if (!(self = f->service->open (&f->ctx, err)))
      r = err->code ? err->code : ERR_INTERNAL;
    else {
      if (loop_post (f->ctx.loop, first_turn, f))
        r = err_set (err, ERR_NOMEM, "start");
      else
        loop_run (f->ctx.loop);
      f->service->close (self);
    }
  }
  api_client_free (f->ctx.api);
  bus_source_free (f->ctx.source);
  bus_free (f->ctx.bus);
  loop_timer_free (f->watchdog);
  loop_watch_free (term);
  loop_watch_free (interrupt);
  loop_free (f->ctx.loop);
  return r;
}

int
service_main (int argc, char **argv, const struct service *service)
{
  struct frame f = {.service = service};
  struct err err = {0};
  int status = 0;
  for (int i = 1; i < argc; i++) {
    if (!strcmp (argv[i], "--help") || !strcmp (argv[i], "-h")) {
      print_help (service);
      return 0;
    }
    if (!strcmp (argv[i], "--version")) {
      printf ("%s %s\n", service->name, KUBUS_VERSION);
      return 0;
    }
  }
  f.ctx.service = service->name;
  if (!(f.ctx.config = mem_zalloc (service->config_size)))
    return 1;
  if (configure (&f, argc, argv, &err)) {
    fprintf (stderr, "%s: %s (--help lists the options)\n", service->name, err.text);
    status = EXIT_USAGE;
  } else if (!f.common.check_only) {
    f.ctx.name = f.common.name;
    log_init (service->name, (enum log_level) log_level_parse (f.common.log_level));
    if (run (&f, &err)) {
      log_error ("cannot run", "error=\"%s\"", err.text);
      status = 1;
    } else {
      status = f.exit_status;
      log_info ("stopped", "status=%d", status);
    }
  }
  free (f.ctx.config);
  arena_done (&f.arena);
  return status;
}
