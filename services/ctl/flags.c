#include "services/ctl/ctl.h"

static const struct flag {
  const char *name;
  char letter;
  bool takes_value, common;
  size_t offset; /* in struct ctl_flags, of a const char * or bool */
  const char *help;
} flags[] = {
#define TEXT(name, letter, field, help) {name, letter, true, false, offsetof (struct ctl_flags, field), help}
#define FLAG(name, letter, field, help) {name, letter, false, false, offsetof (struct ctl_flags, field), help}
    {"kubeconfig", 0, true, true, offsetof (struct ctl_flags, kubeconfig), "file to use ($KUBECONFIG, else $KUBUS_DIR/admin.kubeconfig)"},
    {"context", 0, true, true, offsetof (struct ctl_flags, context), "of the kubeconfig"},
    {"dir", 0, true, true, offsetof (struct ctl_flags, dir), "state directory of the cluster ($KUBUS_DIR, else .kubus)"},
    {"help", 'h', false, true, offsetof (struct ctl_flags, help), "this text"},
    TEXT ("namespace", 'n', namespace_, "namespace (the context's, else \"default\")"),
    FLAG ("all-namespaces", 'A', all_namespaces, "of all namespaces"),
    TEXT ("output", 'o', output, "yaml, json, name, wide or jsonpath=TEMPLATE"),
    TEXT ("selector", 'l', selector, "labels, as app=web,tier!=db"),
    TEXT ("field-selector", 0, field_selector, "fields, as status.phase=Running"),
    FLAG ("watch", 'w', watch, "go on with the changes"),
    FLAG ("no-headers", 0, no_headers, "no head line"),
    FLAG ("show-labels", 0, show_labels, "labels as the last column"),
    FLAG ("show-managed-fields", 0, managed_fields, "with who owns which field"),
    FLAG ("ignore-not-found", 0, ignore_not_found, "what is not there is no failure"),
    TEXT ("filename", 'f', file, "manifest, - for standard input"),
    FLAG ("force-conflicts", 0, force, "take fields over from other managers"),
    FLAG ("all", 0, all, "every object of the type"),
    TEXT ("grace-period", 0, grace_period, "seconds before a pod is killed"),
    TEXT ("cascade", 0, cascade, "background, foreground or orphan"),
    FLAG ("no-wait", 0, no_wait, "return before the object is gone"),
    TEXT ("container", 'c', container, "of the pod"),
    FLAG ("follow", 'f', follow, "go on with what is written"),
    FLAG ("previous", 'p', previous, "of the run before"),
    FLAG ("timestamps", 0, timestamps, "begin lines with their time"),
    TEXT ("tail", 0, tail, "the last lines only"),
    TEXT ("since-seconds", 0, since, "not older"),
    TEXT ("replicas", 0, replicas, "how many"),
    TEXT ("timeout", 0, timeout, "seconds to wait at most (0: no end)"),
    FLAG ("stdin", 'i', stdin_, "pass standard input"),
    FLAG ("tty", 't', tty, "with a terminal"),
    TEXT ("store", 0, store, "a store's member, NAME@ADDRESS (store@ipc://DIR/run/store.sock)"),
    TEXT ("kubelet", 0, kubelet, "a kubelet, NAME@ADDRESS (kubelet@ipc://DIR/run/kubelet.sock)"),
    TEXT ("revision", 0, revision, "only what happened after this revision"),
    TEXT ("api-group", 0, api_group, "of this group only"),
};
#define N_FLAGS (sizeof flags / sizeof flags[0])

static bool
is_listed (const char *words, const char *word)
{
  size_t n = strlen (word);
  for (const char *p = words; *p; p += strcspn (p, " "), p += strspn (p, " "))
    if (strcspn (p, " ") == n && !memcmp (p, word, n))
      return true;
  return false;
}

static const struct flag *
find (const char *allowed, const char *name, size_t n, char letter)
{
  for (size_t i = 0; i < N_FLAGS; i++) {
    const struct flag *f = &flags[i];
    bool same = letter ? f->letter == letter : strlen (f->name) == n && !memcmp (f->name, name, n);
    if (same && (f->common || is_listed (allowed, f->name)))
      return f;
  }
  return NULL;
}

static int
set (struct ctl *c, const struct flag *f, const char *value, struct err *err)
{
  char *at = (char *) &c->flags + f->offset;
  if (f->takes_value)
    *(const char **) (void *) at = value;
  else if (!value || !strcmp (value, "true"))
    *(bool *) (void *) at = true;
  else if (!strcmp (value, "false"))
    *(bool *) (void *) at = false;
  else
    return err_set (err, ERR_INVALID, "--%s: \"%s\" is not true or false", f->name, value);
  return 0;
}

/* "-it", "-nkube-system", "-n kube-system", "-o=yaml" */
static int
parse_letters (struct ctl *c, const char *allowed, const char *word, char *next, bool *ret_used, struct err *err)
{
  for (const char *p = word + 1; *p; p++) {
    const struct flag *f = find (allowed, NULL, 0, *p);
    int r;
    if (!f)
      return err_set (err, ERR_INVALID, "unknown flag -%c for \"%s\"", *p, c->verb->name);
    if (!f->takes_value) {
      if ((r = set (c, f, NULL, err)))
        return r;
      continue;
    }
    if (p[1])
      return set (c, f, p + 1 + (p[1] == '='), err);
    if (!next)
      return err_set (err, ERR_INVALID, "flag -%c needs a value", *p);
    *ret_used = true;
    return set (c, f, next, err);
  }
  return 0;
}

static int
parse_word (struct ctl *c, const char *allowed, const char *word, char *next, bool *ret_used, struct err *err)
{
  const char *name = word + 2, *equals = strchr (name, '=');
  size_t n = equals ? (size_t) (equals - name) : strlen (name);
  const struct flag *f = find (allowed, name, n, 0);
  if (!f)
    return err_set (err, ERR_INVALID, "unknown flag --%.*s for \"%s\"", (int) n, name, c->verb->name);
  if (equals || !f->takes_value)
    return set (c, f, equals ? equals + 1 : NULL, err);
  if (!next)
    return err_set (err, ERR_INVALID, "flag --%s needs a value", f->name);
  *ret_used = true;
  return set (c, f, next, err);
}

int
ctl_flags_parse (struct ctl *c, const char *allowed, int *argc, char **argv, struct err *err)
{
  int kept = 0, i = 0, r = 0;
  for (; i < *argc && !r; i++) {
    char *next = i + 1 < *argc ? argv[i + 1] : NULL;
    bool used = false;
    if (!strcmp (argv[i], "--"))
      break;
    if (argv[i][0] != '-' || !argv[i][1])
      argv[kept++] = argv[i];
    else if (argv[i][1] == '-')
      r = parse_word (c, allowed, argv[i], next, &used, err);
    else
      r = parse_letters (c, allowed, argv[i], next, &used, err);
    i += used;
  }
  for (i++; i < *argc && !r; i++)
    argv[kept++] = argv[i];
  if (!r)
    *argc = kept;
  return r;
}

void
ctl_flags_help (const char *allowed, FILE *to)
{
  for (size_t i = 0; i < N_FLAGS; i++) {
    const struct flag *f = &flags[i];
    if (!f->common && !is_listed (allowed, f->name))
      continue;
    if (f->letter)
      fprintf (to, "  -%c, ", f->letter);
    else
      fputs ("      ", to);
    fprintf (to, "--%-20s %s\n", f->name, f->help);
  }
}
