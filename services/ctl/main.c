#include "services/ctl/ctl.h"

#include <poll.h>
#include <signal.h>

#include "base/log.h"

static int
usage (FILE *to)
{
  fputs ("kubusctl: controls a kubus or Kubernetes cluster\n\nusage: kubusctl VERB [words] [flags]\n\n", to);
  for (const struct ctl_verb *v = ctl_verbs; v->name; v++)
    fprintf (to, "  %-16s %s\n", v->name, v->help);
  fputs ("\n\"kubusctl VERB --help\" tells a verb's flags.\n", to);
  return to == stdout ? 0 : 2;
}

static int
verb_usage (const struct ctl_verb *v, FILE *to)
{
  fprintf (to, "%s\n\nusage: kubusctl %s %s [flags]\n\n", v->help, v->name, v->args);
  ctl_flags_help (v->flags, to);
  return to == stdout ? 0 : 2;
}

/* The verb that the first one or two words name; *ret_words of them. */
static const struct ctl_verb *
find (int argc, char **argv, int *ret_words)
{
  for (const struct ctl_verb *v = ctl_verbs; v->name; v++) {
    const char *blank = strchr (v->name, ' ');
    size_t n = blank ? (size_t) (blank - v->name) : strlen (v->name);
    if (strlen (argv[0]) != n || memcmp (argv[0], v->name, n) || (blank && (argc < 2 || strcmp (argv[1], blank + 1))))
      continue;
    *ret_words = blank ? 2 : 1;
    return v;
  }
  return NULL;
}

static int
run (struct ctl *c, int argc, char **argv)
{
  struct err err = {0};
  int words, r;
  if (!(c->verb = find (argc, argv, &words))) {
    fprintf (stderr, "kubusctl: there is no verb \"%s\"\n", argv[0]);
    return 2;
  }
  argc -= words;
  argv += words;
  if ((r = ctl_flags_parse (c, c->verb->flags, &argc, argv, &err))) {
    fprintf (stderr, "error: %s\n", err.text);
    return 2;
  }
  if (c->flags.help)
    return verb_usage (c->verb, stdout);
  if (argc < c->verb->min_args || (c->verb->max_args >= 0 && argc > c->verb->max_args))
    return verb_usage (c->verb, stderr);
  r = c->verb->run (c, argc, argv, &err);
  if (!r && !arena_ok (&c->arena))
    r = err_set (&err, ERR_NOMEM, "%s", c->verb->name);
  if (!r && (fflush (stdout) || ferror (stdout))) {
    struct pollfd reader = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (poll (&reader, 1, 0) == 1 && (reader.revents & POLLERR)) /* "| head" has seen enough */
      return 1;
    r = err_set (&err, ERR_IO, "write the output");
  }
  if (r < 0)
    fprintf (stderr, "%s%s\n", strncmp (err.text, "Error from server", 17) ? "error: " : "", err.text);
  return r < 0 ? 1 : r;
}

int
main (int argc, char **argv)
{
  struct ctl c = {0};
  int status;
  log_init ("kubusctl", LOG_LEVEL_WARN);
  signal (SIGPIPE, SIG_IGN);
  if (argc < 2)
    return usage (stderr);
  if (!strcmp (argv[1], "--help") || !strcmp (argv[1], "-h") || !strcmp (argv[1], "help"))
    return usage (stdout);
  arena_init (&c.arena, 0);
  status = run (&c, argc - 1, argv + 1);
  arena_done (&c.arena);
  return status;
}
