#include "services/apiserver/request.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#define SEGMENTS_MAX 64

bool
user_in_group (const struct user *u, const char *group)
{
  for (size_t i = 0; i < u->n_groups; i++)
    if (strcmp (u->groups[i], group) == 0)
      return true;
  return false;
}

struct request *
request_new (struct apiserver *s)
{
  struct request *rq = mem_zalloc (sizeof *rq);
  if (!rq)
    return NULL;
  rq->server = s;
  rq->query_text = rq->trace = "";
  rq->include_object = "Metadata";
  rq->begun = mono_now ();
  arena_init (&rq->arena, 256u << 20);
  return rq;
}

void
request_free (struct request *rq)
{
  if (!rq)
    return;
  arena_done (&rq->arena);
  free (rq);
}

void
request_closed (struct request *rq)
{
  rq->closed = true;
  if (rq->on_close)
    rq->on_close (rq);
}

const char *
request_param (const struct request *rq, const char *key)
{
  const char *v = uri_query_get (&rq->query, key);
  return v ? v : "";
}

bool
request_dry_run (const struct request *rq)
{
  if (strcmp (request_param (rq, "dryRun"), "All") == 0)
    return true;
  for (value_items (value_get (rq->options, "dryRun"), it))
    if (value_string_is (*it, "All"))
      return true;
  return false;
}

/* fieldManager, or what upstream takes in its place: the user agent up to the first '/', at most 128 bytes. */
const char *
request_field_manager (const struct request *rq)
{
  const char *manager = request_param (rq, "fieldManager");
  if (*manager)
    return manager;
  const char *agent = rq->header ? rq->header (rq, "user-agent") : NULL;
  if (!agent || !*agent)
    agent = rq->bus ? rq->user.name : "unknown";
  size_t n = rq->bus ? strlen (agent) : strcspn (agent, "/");
  const char *copy = arena_strndup ((struct arena *) &rq->arena, agent, n > 128 ? 128 : n);
  return copy ? copy : "unknown";
}

void
request_warn (struct request *rq, const char *fmt, ...)
{
  char text[1024];
  va_list ap;
  va_start (ap, fmt);
  (void) vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  if (!rq->warnings)
    rq->warnings = value_array (&rq->arena);
  if (value_count (rq->warnings) < 64)
    value_append (&rq->arena, rq->warnings, value_string (&rq->arena, text));
}

static const char *
lower (struct arena *a, const char *s)
{
  char *copy = arena_strdup (a, s);
  for (char *p = copy; p && *p; p++)
    if (*p >= 'A' && *p <= 'Z')
      *p = (char) (*p + 32);
  return copy ? copy : "";
}

static const char *
verb_of (struct request *rq)
{
  static const char *const rows[][2] = { { "POST", "create" }, { "GET", "get" }, { "HEAD", "get" }, { "PUT", "update" },
                                         { "PATCH", "patch" }, { "DELETE", "delete" } };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strcmp (rq->method, rows[i][0]) == 0)
      return rows[i][1];
  return "";
}

static const char *
join (struct arena *a, const char **parts, size_t n)
{
  struct buf b = BUF_INIT;
  for (size_t i = 0; i < n; i++)
    buf_printf (&b, "%s%s", i ? "/" : "", parts[i]);
  const char *s = arena_strdup (a, buf_cstr (&b));
  buf_done (&b);
  return s ? s : "";
}

/* metadata.name=x in a field selector names the object for authorisation, as upstream does. */
static const char *
name_of_selector (struct request *rq)
{
  const char *text = request_param (rq, "fieldSelector");
  static const char prefix[] = "metadata.name=";
  for (const char *p = text; p && *p; p = strchr (p, ',') ? strchr (p, ',') + 1 : NULL)
    if (strncmp (p, prefix, sizeof prefix - 1) == 0) {
      p += sizeof prefix - 1;
      p += *p == '=';
      return arena_strndup (&rq->arena, p, strcspn (p, ","));
    }
  return NULL;
}

int
request_info_parse (struct request *rq, struct err *err)
{
  struct request_info *info = &rq->info;
  const char *part[SEGMENTS_MAX];
  size_t n = 0, i = 0;
  *info = (struct request_info) { .verb = lower (&rq->arena, rq->method), .group = "", .version = "", .namespace_ = "",
                                  .resource = "", .subresource = "", .name = "", .rest = "" };
  int r = uri_query_parse (&rq->arena, rq->query_text, &rq->query, err);
  if (!r)
    r = uri_path_split (&rq->arena, rq->path, part, SEGMENTS_MAX, &n, err);
  if (r)
    return r;
  if (n < 3 || (strcmp (part[0], "api") != 0 && strcmp (part[0], "apis") != 0))
    return 0;
  if (strcmp (part[i++], "apis") == 0) {
    if (n < 4)
      return 0;
    info->group = part[i++];
  }
  info->is_resource = true;
  info->version = part[i++];
  info->verb = verb_of (rq);
  bool watch = false;
  if (strcmp (part[i], "watch") == 0) { /* the deprecated form of upstream */
    watch = true;
    i++;
  }
  if (i < n && strcmp (part[i], "namespaces") == 0) {
    if (i + 1 < n)
      info->namespace_ = part[i + 1];
    /* namespaces/NAME/status and /finalize belong to the namespace itself */
    if (i + 2 < n && strcmp (part[i + 2], "status") != 0 && strcmp (part[i + 2], "finalize") != 0)
      i += 2;
  }
  if (i < n)
    info->resource = part[i];
  if (i + 1 < n)
    info->name = part[i + 1];
  if (i + 2 < n)
    info->subresource = part[i + 2];
  if (i + 3 < n)
    info->rest = join (&rq->arena, part + i + 3, n - i - 3);
  if (!*info->name && strcmp (info->verb, "get") == 0)
    info->verb = watch || uri_query_bool (&rq->query, "watch") ? "watch" : "list";
  else if (watch && strcmp (info->verb, "get") == 0)
    info->verb = "watch";
  else if (!*info->name && strcmp (info->verb, "delete") == 0)
    info->verb = "deletecollection";
  if (!*info->name && (strcmp (info->verb, "list") == 0 || strcmp (info->verb, "watch") == 0)) {
    const char *name = name_of_selector (rq);
    if (name)
      info->name = name;
  }
  return 0;
}
