#include "services/apiserver/status.h"

#include <stdarg.h>

#include "services/apiserver/respond.h"

static const char *
reason_of (int code)
{
  static const struct {
    int code;
    const char *reason;
  } rows[] = { { 400, "BadRequest" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "NotFound" },
               { 405, "MethodNotAllowed" }, { 406, "NotAcceptable" }, { 409, "Conflict" }, { 410, "Expired" },
               { 413, "RequestEntityTooLarge" }, { 415, "UnsupportedMediaType" }, { 422, "Invalid" },
               { 429, "TooManyRequests" }, { 500, "InternalError" }, { 503, "ServiceUnavailable" }, { 504, "Timeout" } };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (rows[i].code == code)
      return rows[i].reason;
  return "";
}

struct value *
status_tree (struct arena *a, int code, const char *reason, const char *message, struct value *details)
{
  struct value *v = value_map (a);
  value_set_string (a, v, "kind", "Status");
  value_set_string (a, v, "apiVersion", "v1");
  value_set (a, v, "metadata", value_map (a));
  value_set_string (a, v, "status", code < 400 ? "Success" : "Failure");
  if (message && *message)
    value_set_string (a, v, "message", message);
  if (code >= 400) {
    reason = reason && *reason ? reason : reason_of (code);
    if (*reason)
      value_set_string (a, v, "reason", reason);
  }
  if (details)
    value_set (a, v, "details", details);
  if (code >= 400)
    value_set_int (a, v, "code", code);
  return v;
}

struct value *
status_details (struct arena *a, const char *group, const char *resource, const char *name)
{
  struct value *d = value_map (a);
  if (name && *name)
    value_set_string (a, d, "name", name);
  if (*group)
    value_set_string (a, d, "group", group);
  if (*resource)
    value_set_string (a, d, "kind", resource);
  return d;
}

const char *
status_resource (struct request *rq)
{
  const char *s = *rq->info.group ? arena_printf (&rq->arena, "%s.%s", rq->info.resource, rq->info.group) : rq->info.resource;
  return s ? s : "";
}

static struct value *
details_of (struct request *rq, const char *name)
{
  return status_details (&rq->arena, rq->info.group, rq->info.resource, name);
}

void
status_reply (struct request *rq, int code, const char *reason, struct value *details, const char *fmt, ...)
{
  struct buf b = BUF_INIT;
  va_list ap;
  va_start (ap, fmt);
  buf_vprintf (&b, fmt, ap);
  va_end (ap);
  struct value *v = status_tree (&rq->arena, code, reason, buf_cstr (&b), details);
  buf_done (&b);
  respond_status (rq, code, v);
}

void
status_not_found (struct request *rq, const char *name)
{
  status_reply (rq, 404, "", details_of (rq, name), "%s \"%s\" not found", status_resource (rq), name);
}

void
status_exists (struct request *rq, const char *name)
{
  status_reply (rq, 409, "AlreadyExists", details_of (rq, name), "%s \"%s\" already exists", status_resource (rq), name);
}

void
status_conflict (struct request *rq, const char *name, const char *why)
{
  status_reply (rq, 409, "", details_of (rq, name), "Operation cannot be fulfilled on %s \"%s\": %s", status_resource (rq), name,
                why);
}

void
status_forbidden (struct request *rq, const char *name, const char *why)
{
  if (*name)
    status_reply (rq, 403, "", details_of (rq, name), "%s \"%s\" is forbidden: %s", status_resource (rq), name, why);
  else
    status_reply (rq, 403, "", details_of (rq, name), "%s is forbidden: %s", status_resource (rq), why);
}

/* NewInvalid: one cause is shown bare, several as [a, b], equal ones once (k8s.io/apimachinery util/errors aggregate). */
void
status_invalid (struct request *rq, const char *name, const struct schema_causes *causes)
{
  struct arena *a = &rq->arena;
  const struct schema_kind *k = rq->kind;
  struct value *d = value_map (a), *list = value_array (a);
  struct buf text = BUF_INIT;
  size_t shown = 0;
  if (*name)
    value_set_string (a, d, "name", name);
  if (k && *k->group)
    value_set_string (a, d, "group", k->group);
  value_set_string (a, d, "kind", k ? k->kind : "");
  for (size_t i = 0; i < causes->count; i++) {
    const struct schema_cause *c = &causes->items[i];
    bool again = false;
    struct value *item = value_map (a);
    value_set_string (a, item, "reason", c->reason);
    value_set_string (a, item, "message", c->message);
    value_set_string (a, item, "field", c->field);
    value_append (a, list, item);
    for (size_t j = 0; j < i && !again; j++)
      again = strcmp (causes->items[j].field, c->field) == 0 && strcmp (causes->items[j].message, c->message) == 0;
    if (again)
      continue;
    buf_printf (&text, "%s%s: %s", shown ? ", " : "", c->field, c->message);
    shown++;
  }
  value_set (a, d, "causes", list);
  const char *qualified = k && *k->group ? arena_printf (a, "%s.%s", k->kind, k->group) : k ? k->kind : "";
  status_reply (rq, 422, "", d, "%s \"%s\" is invalid: %s%s%s", qualified, name, shown > 1 ? "[" : "", buf_cstr (&text),
                shown > 1 ? "]" : "");
  buf_done (&text);
}

void
status_bad_request (struct request *rq, const char *fmt, ...)
{
  struct buf b = BUF_INIT;
  va_list ap;
  va_start (ap, fmt);
  buf_vprintf (&b, fmt, ap);
  va_end (ap);
  status_reply (rq, 400, "", NULL, "%s", buf_cstr (&b));
  buf_done (&b);
}

void
status_expired (struct request *rq, const char *message)
{
  status_reply (rq, 410, "Expired", NULL, "%s", message);
}

void
status_method_not_allowed (struct request *rq)
{
  status_reply (rq, 405, "", value_map (&rq->arena), "the server does not allow this method on the requested resource");
}

void
status_no_route (struct request *rq)
{
  status_reply (rq, 404, "", value_map (&rq->arena), "the server could not find the requested resource");
}

void
status_error (struct request *rq, const struct err *err)
{
  int http = err_http_status (err->code);
  if (err->code == ERR_COMPACTED)
    status_expired (rq, "The resourceVersion for the provided watch is too old.");
  else if (http == 503 || http == 504)
    status_reply (rq, http, http == 504 ? "Timeout" : "ServiceUnavailable", NULL, "%s", err->text);
  else if (err->code == ERR_LIMIT)
    status_reply (rq, 413, "", NULL, "%s", err->text);
  else if (err->code == ERR_INVALID || err->code == ERR_PARSE)
    status_reply (rq, 400, "", NULL, "%s", err->text);
  else
    status_reply (rq, 500, "", NULL, "Internal error occurred: %s", err->text);
}
