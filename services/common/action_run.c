#include "services/common/action.h"

#include "base/clock.h"
#include "base/map.h"

/* The happy path: run() looks at the items from next on and makes the steps of one batch (a step: an item and those with
   with_previous after it); each answer comes to answered(), which goes on with its step and, when the batch's last step has
   ended, calls run() again. Answers may come before api_call returns: depth keeps that from recursing. */

struct step;
struct run {
  struct arena *arena;
  struct api_client *api;
  struct action *items;
  size_t count, next;
  size_t in_flight;
  size_t batch; /* how many of the next items that run together are started at once */
  uint64_t cause;
  bool running, again;
  size_t failed; /* index; count: none */
  int code;
  char text[ERR_TEXT_SIZE];
  actions_answer_cb answer;
  actions_done_cb done;
  void *arg;
};
struct step {
  struct run *run;
  size_t at, end;
  enum { STEP_PLAIN, STEP_EVENT_GET, STEP_EVENT_PATCH } phase;
};

static void run (struct run *r);
static void answered (void *arg, const struct err *transport, int code, const struct value *object);

static void
fail (struct run *r, size_t at, int code, const char *text)
{
  if (at >= r->failed)
    return;
  r->failed = at;
  r->code = code;
  snprintf (r->text, sizeof r->text, "%s", text);
}

static void
step_start (struct step *s)
{
  struct run *r = s->run;
  s->phase = STEP_PLAIN;
  api_call (r->api, &r->items[s->at].request, answered, s);
}

/* The same event was recorded before: counts it up. */
static void
event_again (struct step *s, const struct value *old)
{
  struct run *r = s->run;
  const struct action *x = &r->items[s->at];
  struct arena *a = r->arena;
  struct api_request rq = { .group = "", .version = "v1", .resource = "events", .namespace_ = x->request.namespace_,
                            .name = value_path_string (x->request.body, "metadata.name", ""), .cause = x->request.cause };
  if (!old)
    {
      s->phase = STEP_EVENT_GET;
      rq.verb = "get";
    }
  else
    {
      s->phase = STEP_EVENT_PATCH;
      struct value *patch = value_map (a);
      value_set_int (a, patch, "count", value_path_int (old, "count", 1) + 1);
      value_set_string (a, patch, "lastTimestamp", value_path_string (x->request.body, "lastTimestamp", NULL));
      rq.verb = "patch";
      rq.patch_type = "merge";
      rq.body = patch;
    }
  api_call (r->api, &rq, answered, s);
}

static bool
reason_is (const struct value *status, const char *reason)
{
  return value_string_is (value_get (status, "reason"), reason);
}

static void
answered (void *arg, const struct err *transport, int code, const struct value *object)
{
  struct step *s = arg;
  struct run *r = s->run;
  const struct action *x = &r->items[s->at];
  if (x->event && !transport)
    {
      if (s->phase == STEP_PLAIN && code == 409)
        {
          event_again (s, NULL);
          return;
        }
      if (s->phase == STEP_EVENT_GET && code < 400)
        {
          event_again (s, object);
          return;
        }
    }
  bool ok = !transport && code < 400;
  if (ok && r->answer)
    r->answer (r->arg, x, code, object);
  if (!ok && !transport)
    ok = (code == 404 && x->ignore_not_found) || (code == 409 && x->ignore_exists && reason_is (object, "AlreadyExists"));
  if (!ok && !x->best_effort)
    fail (r, s->at, transport ? 0 : code, transport ? transport->text : value_path_string (object, "message", "no message"));
  else if (++s->at < s->end)
    {
      step_start (s);
      return;
    }
  r->in_flight--;
  run (r);
}

static size_t
step_end (const struct run *r, size_t at)
{
  do
    at++;
  while (at < r->count && r->items[at].with_previous);
  return at;
}

static void
run (struct run *r)
{
  if (r->running)
    {
      r->again = true;
      return;
    }
  r->running = true;
  do
    {
      r->again = false;
      if (r->in_flight || r->failed < r->count || r->next == r->count)
        break;
      size_t room = 1;
      if (r->items[r->next].together)
        {
          room = r->batch;
          r->batch *= 2;
        }
      else
        r->batch = 1;
      for (size_t n = 0; n < room && r->next < r->count; n++)
        {
          if (n && !r->items[r->next].together)
            break;
          struct step *s = arena_zalloc (r->arena, sizeof *s);
          if (!s)
            {
              fail (r, r->next, 0, "out of memory");
              break;
            }
          *s = (struct step) { .run = r, .at = r->next, .end = step_end (r, r->next) };
          r->next = s->end;
          r->in_flight++;
          step_start (s);
        }
    }
  while (r->again);
  r->running = false;
  if (r->in_flight)
    return;
  r->done (r->arg, r->failed, r->code, r->text);
  arena_free (r->arena);
}

/* Name and times of an event. The name is the same for the same event, so that the API server finds the repetition. */
static void
event_complete (struct arena *a, struct value *e)
{
  static const char *const parts[] = { "involvedObject.uid", "involvedObject.kind", "involvedObject.fieldPath", "reason", "message",
                                       "source.component", "type" };
  uint64_t h = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    {
      const char *text = value_path_string (e, parts[i], "");
      h = hash_bytes (text, strlen (text), h);
    }
  struct value *metadata = value_ensure_map (a, e, "metadata");
  value_set (a, metadata, "name",
             value_printf (a, "%s.%016llx", value_path_string (e, "involvedObject.name", "unknown"), (unsigned long long) h));
  char now[CLOCK_RFC3339_SIZE];
  wall_format (wall_now (), now);
  value_set_string (a, e, "firstTimestamp", now);
  value_set_string (a, e, "lastTimestamp", now);
}

static void
copy_action (struct arena *a, struct action *to, const struct action *from, uint64_t cause)
{
  *to = *from;
  struct api_request *rq = &to->request;
  rq->verb = arena_strdup (a, rq->verb);
  rq->group = arena_strdup (a, rq->group);
  rq->version = arena_strdup (a, rq->version);
  rq->resource = arena_strdup (a, rq->resource);
  rq->subresource = arena_strdup (a, rq->subresource);
  rq->namespace_ = arena_strdup (a, rq->namespace_);
  rq->name = arena_strdup (a, rq->name);
  rq->patch_type = arena_strdup (a, rq->patch_type);
  rq->options = value_clone (a, rq->options);
  struct value *body = value_clone (a, rq->body);
  if (to->event)
    event_complete (a, body);
  rq->body = body;
  if (!rq->cause)
    rq->cause = cause;
}

void
actions_run_watched (struct api_client *api, const struct actions *as, uint64_t cause, actions_answer_cb answer,
                     actions_done_cb cb, void *arg)
{
  if (!arena_ok (as->arena))
    {
      cb (arg, 0, 0, "out of memory");
      return;
    }
  struct arena *a = arena_new (0);
  struct run *r = a ? arena_zalloc (a, sizeof *r) : NULL;
  struct action *items = r ? arena_alloc (a, (as->count + 1) * sizeof *items) : NULL;
  if (items)
    {
      for (size_t i = 0; i < as->count; i++)
        copy_action (a, &items[i], &as->items[i], cause);
      *r = (struct run) { .arena = a, .api = api, .items = items, .count = as->count, .batch = 1, .cause = cause,
                          .failed = as->count, .answer = answer, .done = cb, .arg = arg };
    }
  if (!items || !arena_ok (a))
    {
      arena_free (a);
      cb (arg, 0, 0, "out of memory");
      return;
    }
  run (r);
}

void
actions_run (struct api_client *api, const struct actions *as, uint64_t cause, actions_done_cb cb, void *arg)
{
  actions_run_watched (api, as, cause, NULL, cb, arg);
}
