#include "bus/sub_recovery.h"

#include "base/mem.h"

struct early {
  uint64_t seq;
  size_t len;
  uint8_t data[];
};

int
sub_recovery_init (struct sub_recovery *r, const char *stream, uint64_t after_revision, const struct sub_recovery_ops *ops,
                   void *ops_arg, const struct bus_subscriber *cb, void *cb_arg, struct err *err)
{
  *r = (struct sub_recovery){.ops = ops, .ops_arg = ops_arg, .cb = cb, .cb_arg = cb_arg, .revision = after_revision};
  if (strlen (stream) > STREAM_NAME_MAX || stream[0] == '!')
    return err_set (err, ERR_INVALID, "stream name \"%.100s\"", stream);
  memcpy (r->stream, stream, strlen (stream) + 1);
  if (!(r->early = omap_new (free)))
    return err_set (err, ERR_NOMEM, "subscription");
  return 0;
}

void
sub_recovery_stop (struct sub_recovery *r)
{
  if (r->phase == SUB_STOPPED)
    return;
  r->phase = SUB_STOPPED;
  r->ops->timer (r->ops_arg, -1);
}

void
sub_recovery_done (struct sub_recovery *r)
{
  omap_free (r->early);
  buf_done (&r->scratch);
  r->early = NULL;
}

static bool
stopped (const struct sub_recovery *r)
{
  return r->phase == SUB_STOPPED;
}

/* ---- asking ---- */
static void
ask (struct sub_recovery *r)
{
  struct stream_query q = {.limit = SUB_RECOVERY_PAGE};
  bool changes = r->phase == SUB_CATCHUP;
  memcpy (q.stream, r->stream, sizeof q.stream);
  if (changes) {
    q.after_seq = r->have_seq ? r->seq : 0;
    q.revision = r->revision;
  } else if (r->in_snapshot) {
    q.revision = r->snapshot_revision;
    memcpy (q.after, r->after, sizeof q.after);
  }
  r->asked = true;
  r->asked_seq = r->seq;
  r->ops->timer (r->ops_arg, -1);
  r->ops->ask (r->ops_arg, &q, changes);
}

static void
pause_then_ask (struct sub_recovery *r)
{
  int64_t ms = SUB_RECOVERY_PAUSE_MIN_MS << (r->failures > 10 ? 10 : r->failures);
  r->failures++;
  r->ops->timer (r->ops_arg, ms < SUB_RECOVERY_PAUSE_MAX_MS ? ms : SUB_RECOVERY_PAUSE_MAX_MS);
}

static void
begin_snapshot (struct sub_recovery *r)
{
  r->phase = SUB_SNAPSHOT;
  r->in_snapshot = false;
  r->after[0] = 0;
}

static void
begin (struct sub_recovery *r)
{
  if (r->have_seq || r->revision)
    r->phase = SUB_CATCHUP;
  else
    begin_snapshot (r);
  ask (r);
}

static void
arm_idle (struct sub_recovery *r)
{
  r->heard = false;
  r->ops->timer (r->ops_arg, r->linked ? SUB_RECOVERY_IDLE_MS : SUB_RECOVERY_UNLINKED_MS);
}

static void
wait_for_answer (struct sub_recovery *r)
{
  r->phase = SUB_WAIT;
  r->ops->timer (r->ops_arg, SUB_RECOVERY_CONFIRM_MS);
}

/* ---- delivering ---- */
static void
report (struct sub_recovery *r, const struct err *err)
{
  if (r->cb->failed)
    r->cb->failed (r->cb_arg, err);
}

/* false: not readable, reported; the sequence stays, and it is fetched again after a pause. */
static bool
deliver (struct sub_recovery *r, uint64_t seq, const void *packed, size_t len)
{
  struct bus_change c;
  struct err err;
  if (bus_change_unpack (packed, len, &c, &r->scratch, &err)) {
    err_wrap (&err, "stream \"%.100s\" sequence %llu", r->stream, (unsigned long long) seq);
    report (r, &err);
    return false;
  }
  r->seq = seq;
  if (r->highest < seq)
    r->highest = seq;
  if (r->revision < c.revision)
    r->revision = c.revision;
  r->cb->change (r->cb_arg, &c);
  return true;
}

static void
keep_early (struct sub_recovery *r, uint64_t seq, const void *packed, size_t len)
{
  uint8_t key[8];
  struct early *e;
  be64_store (key, seq);
  if (omap_count (r->early) >= SUB_RECOVERY_BUFFER_MAX || r->early_bytes + len > SUB_RECOVERY_BUFFER_BYTES_MAX ||
      omap_get_n (r->early, key, sizeof key) || !(e = mem_zalloc (sizeof *e + len)))
    return; /* r->highest says that it exists */
  e->seq = seq;
  e->len = len;
  memcpy (e->data, packed, len);
  if (omap_set_n (r->early, key, sizeof key, e)) {
    free (e);
    return;
  }
  r->early_bytes += len;
}

/* Delivers what follows seq without a gap; false: a change was not readable, or stopped. */
static bool
drain (struct sub_recovery *r)
{
  struct omap_node *n;
  while ((n = omap_seek (r->early, NULL))) {
    struct early *e = omap_value (n);
    uint8_t key[8];
    bool ok = true;
    if (e->seq > r->seq + 1)
      return true;
    be64_store (key, e->seq);
    if (e->seq == r->seq + 1)
      ok = deliver (r, e->seq, e->data, e->len);
    r->early_bytes -= e->len;
    (void) omap_delete_n (r->early, key, sizeof key);
    if (!ok || stopped (r))
      return false;
  }
  return true;
}

static void
catch_up (struct sub_recovery *r)
{
  r->phase = SUB_CATCHUP;
  ask (r);
}

/* Everything that was asked for has come. */
static void
settle (struct sub_recovery *r, bool advanced)
{
  bool readable = drain (r);
  if (stopped (r))
    return;
  if (readable && r->highest <= r->seq && !r->again) {
    r->phase = SUB_LIVE;
    r->failures = r->behind = 0;
    arm_idle (r);
    return;
  }
  r->phase = SUB_CATCHUP;
  if (readable && (advanced || r->again)) {
    r->again = false;
    r->failures = 0;
    ask (r);
  } else {
    pause_then_ask (r);
  }
}

/* ---- answers to queries ---- */
static bool
snapshot_page_begins (struct sub_recovery *r, const struct stream_page *p)
{
  if (r->have_seq && p->seq < r->seq && ++r->behind < SUB_RECOVERY_BEHIND_MAX) {
    pause_then_ask (r); /* a member that lags: a snapshot never leads back */
    return false;
  }
  if (r->have_seq && p->seq < r->seq) /* a store that went back: what it had after that is no more */
    r->highest = p->seq;
  r->in_snapshot = true;
  r->snapshot_revision = p->revision;
  r->snapshot_seq = p->seq;
  r->after[0] = 0;
  r->cb->reset (r->cb_arg, p->revision);
  return !stopped (r);
}

static void
on_snapshot_page (struct sub_recovery *r, struct stream_page *p)
{
  const uint8_t *data;
  size_t len;
  struct bus_change c;
  struct err err;
  if (!r->in_snapshot && !snapshot_page_begins (r, p))
    return;
  if (p->more && !p->count) {
    err_set (&err, ERR_PARSE, "stream \"%.100s\": empty page of a snapshot", r->stream);
    goto bad;
  }
  while (stream_page_next (p, &data, &len)) {
    if (bus_change_unpack (data, len, &c, &r->scratch, &err))
      goto bad;
    (void) snprintf (r->after, sizeof r->after, "%s", c.key);
    r->cb->object (r->cb_arg, &c);
    if (stopped (r))
      return;
  }
  if (p->more) {
    r->failures = 0;
    ask (r);
    return;
  }
  r->in_snapshot = false;
  r->have_seq = true;
  r->seq = r->snapshot_seq;
  r->revision = r->snapshot_revision;
  if (r->highest < r->seq)
    r->highest = r->seq;
  r->cb->synced (r->cb_arg, r->snapshot_revision);
  if (!stopped (r))
    settle (r, true);
  return;
bad:
  report (r, &err);
  if (stopped (r))
    return;
  begin_snapshot (r);
  pause_then_ask (r);
}

/* The member answered from before what we have: it lags, or the store was put back. */
static void
on_behind (struct sub_recovery *r, const struct stream_page *p)
{
  if (++r->behind < SUB_RECOVERY_BEHIND_MAX) {
    pause_then_ask (r);
    return;
  }
  r->behind = 0;
  r->have_seq = false;
  r->highest = p->seq;
  r->revision = 0;
  omap_free (r->early);
  r->early_bytes = 0;
  if (!(r->early = omap_new (free))) {
    struct err err;
    err_set (&err, ERR_NOMEM, "subscription");
    r->phase = SUB_STOPPED;
    report (r, &err);
    return;
  }
  begin_snapshot (r);
  ask (r);
}

static void
on_changes_page (struct sub_recovery *r, struct stream_page *p)
{
  const uint8_t *data;
  size_t len;
  uint64_t at = p->seq >= p->count ? p->seq + 1 - p->count : UINT64_MAX, from;
  struct err err;
  if (!r->have_seq) { /* resuming from a revision */
    if (p->revision < r->revision) {
      on_behind (r, p);
      return;
    }
    r->have_seq = true;
    r->seq = p->count ? at - 1 : p->seq;
  } else if (p->seq < r->asked_seq) {
    on_behind (r, p);
    return;
  }
  from = r->seq;
  if (p->count && at > r->seq + 1) { /* answered with a gap: not an answer to the question */
    err_set (&err, ERR_PARSE, "stream \"%.100s\": changes from %llu, asked after %llu", r->stream, (unsigned long long) at,
             (unsigned long long) r->asked_seq);
    report (r, &err);
    if (!stopped (r))
      pause_then_ask (r);
    return;
  }
  for (; stream_page_next (p, &data, &len); at++) {
    if (at <= r->seq)
      continue;
    if (!deliver (r, at, data, len)) {
      if (!stopped (r))
        pause_then_ask (r);
      return;
    }
    if (stopped (r))
      return;
  }
  if (p->more) {
    if (r->seq > from) {
      r->failures = 0;
      ask (r);
    } else {
      pause_then_ask (r);
    }
    return;
  }
  if (p->seq > r->highest)
    r->highest = p->seq;
  if (r->highest <= r->seq && p->seq == r->seq && r->revision < p->revision) {
    r->revision = p->revision;
    if (r->cb->progress)
      r->cb->progress (r->cb_arg, p->revision);
    if (stopped (r))
      return;
  }
  if (r->highest > r->seq && r->seq == from && p->seq < r->highest) {
    on_behind (r, p); /* told of changes that this member does not have */
    return;
  }
  settle (r, r->seq > from);
}

void
sub_recovery_page (struct sub_recovery *r, const struct err *err, const void *body, size_t len)
{
  struct stream_page p;
  struct err e;
  if (stopped (r))
    return;
  r->asked = false;
  if (err)
    e = *err;
  else if (!stream_page_unpack (body, len, &p, &e)) {
    if (r->phase == SUB_SNAPSHOT)
      on_snapshot_page (r, &p);
    else
      on_changes_page (r, &p);
    return;
  }
  if (e.code == ERR_COMPACTED) {
    begin_snapshot (r);
    if (r->failures)
      pause_then_ask (r);
    else {
      r->failures = 1;
      ask (r);
    }
    return;
  }
  if (e.code == ERR_DENIED)
    sub_recovery_stop (r);
  report (r, &e);
  if (!stopped (r))
    pause_then_ask (r);
}

/* ---- events ---- */
void
sub_recovery_start (struct sub_recovery *r)
{
  wait_for_answer (r);
}

void
sub_recovery_link (struct sub_recovery *r, bool up)
{
  r->linked = up;
  r->answered = false;
  if (r->phase == SUB_LIVE && up)
    wait_for_answer (r);
  else if (r->phase == SUB_LIVE)
    arm_idle (r);
}

void
sub_recovery_answer (struct sub_recovery *r, bool allowed)
{
  struct err err;
  if (stopped (r))
    return;
  if (!allowed) {
    sub_recovery_stop (r);
    err_set (&err, ERR_DENIED, "subscription to \"%.200s\"", r->stream);
    report (r, &err);
    return;
  }
  r->answered = true;
  if (r->phase == SUB_WAIT)
    begin (r);
  else if (r->phase == SUB_LIVE)
    catch_up (r);
  else
    r->again = true;
}

void
sub_recovery_change (struct sub_recovery *r, uint64_t seq, const void *packed, size_t len)
{
  bool live = r->phase == SUB_LIVE;
  if (stopped (r) || (r->have_seq && seq <= r->seq && r->phase != SUB_SNAPSHOT))
    return;
  r->heard = true;
  if (r->highest < seq)
    r->highest = seq;
  if (r->have_seq && seq == r->seq + 1 && r->phase != SUB_SNAPSHOT) {
    if (deliver (r, seq, packed, len))
      live = live && !stopped (r) && drain (r) && r->highest > r->seq;
    if (live && !stopped (r))
      catch_up (r);
    return;
  }
  keep_early (r, seq, packed, len);
  if (live)
    catch_up (r);
}

void
sub_recovery_progress (struct sub_recovery *r, uint64_t seq, uint64_t revision)
{
  if (stopped (r))
    return;
  r->heard = true;
  if (!seq && r->phase == SUB_LIVE && r->answered)
    seq = r->seq; /* none was published since the subscription stands, and what was before has been fetched since */
  if (r->have_seq && seq < r->seq)
    return;
  if (r->highest < seq)
    r->highest = seq;
  if (r->phase != SUB_LIVE)
    return;
  if (seq > r->seq)
    catch_up (r);
  else if (revision > r->revision) {
    r->revision = revision;
    if (r->cb->progress)
      r->cb->progress (r->cb_arg, revision);
  }
}

void
sub_recovery_timeout (struct sub_recovery *r)
{
  if (stopped (r) || r->asked)
    return;
  if (r->phase == SUB_WAIT)
    begin (r);
  else if (r->phase == SUB_LIVE && r->heard)
    arm_idle (r);
  else if (r->phase == SUB_LIVE)
    catch_up (r);
  else
    ask (r);
}
