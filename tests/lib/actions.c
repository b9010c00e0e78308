#include "tests/lib/actions.h"

static const char *
resource_of (const struct actions *as, const struct api_request *rq)
{
  return rq->subresource ? arena_printf (as->arena, "%s/%s", rq->resource, rq->subresource) : rq->resource;
}

const char *
actions_text (const struct actions *as)
{
  const char *text = "";
  for (size_t i = 0; i < as->count; i++)
    {
      const struct api_request *rq = &as->items[i].request;
      const struct value *body = rq->body;
      if (as->items[i].event)
        text = arena_printf (as->arena, "%sevent %s %s: %s\n", text, value_path_string (body, "type", ""),
                             value_path_string (body, "reason", ""), value_path_string (body, "message", ""));
      else
        text = arena_printf (as->arena, "%s%s %s %s/%s\n", text, rq->verb, resource_of (as, rq), rq->namespace_ ? rq->namespace_ : "",
                             rq->name ? rq->name : value_path_string (body, "metadata.name", ""));
    }
  return text;
}

const struct value *
actions_body (const struct actions *as, const char *verb, const char *resource, size_t nth)
{
  for (size_t i = 0; i < as->count; i++)
    if (strcmp (as->items[i].request.verb, verb) == 0 && strcmp (resource_of (as, &as->items[i].request), resource) == 0
        && nth-- == 0)
      return as->items[i].request.body;
  return NULL;
}

size_t
actions_matching (const struct actions *as, const char *verb, const char *resource)
{
  size_t n = 0;
  while (actions_body (as, verb, resource, n))
    n++;
  return n;
}
