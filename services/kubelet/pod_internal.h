/* What the files of the pod worker share: pod.c (frame, facts), pod_work.c (jobs), pod_kill.c (hooks and ends), pod_status.c. */
#ifndef KUBELET_POD_INTERNAL_H
#define KUBELET_POD_INTERNAL_H

#include "base/clock.h"
#include "services/kubelet/pod.h"

#define POD_TEXT_MAX 4096 /* of a termination message */

/* One attempt at a container. */
struct run {
  bool known;
  unsigned attempt;
  char id[CONTAINER_ID_SIZE];
  int64_t started_us, finished_us;
  bool exited;
  int exit_code;
  bool oom_killed;
  char *reason;  /* StartError, ContainerStatusUnknown; NULL: Completed, Error or OOMKilled */
  char *message; /* termination message */
  char *image_id;
};

struct ctr {
  struct pod *pod;
  size_t i;
  const char *name; /* owned */
  bool init;        /* of initContainers */
  struct run cur, last;
  char *image_id;
  char waiting_reason[48];
  char *waiting_message;
  unsigned pull_failures, start_failures;
  int64_t pull_failed_ms;       /* when the last pull failed; 0: it did not */
  bool ready;
  struct probe *probes[PROBE_COUNT];
  struct handler *hook;         /* postStart or preStop */
  struct loop_timer *kill_timer;
  int64_t kill_by_ms;           /* SIGKILL then */
  bool term_sent;
};

struct pod {
  const struct pod_host *host;
  struct tree *object; /* the latest state */
  struct tree *spec;   /* the first: probes and jobs point into it */
  struct tree *refs;
  char *uid, *dir, *log_dir;
  struct pod_facts facts;
  struct pod_decision decision;
  struct ctr c[POD_CONTAINERS_MAX];
  struct pod_ips ips;
  char ip_text[SANDBOX_IPS_MAX][INET6_ADDRSTRLEN];
  char hostname[64];
  struct loop_timer *timer;
  unsigned outstanding;     /* callbacks to come; the memory lives until they have */
  bool torn_all;            /* containers and volumes are gone too */
  bool freed, frozen, orphan, forgetting, in_sync, sync_again;
  char reason[64], message[512]; /* status.reason and message */
  unsigned set_up_failures;
  struct fetch *fetch;
  /* status */
  struct tree *posted;      /* what the API has acknowledged */
  struct tree *built;       /* the last that was built */
  bool posting;
  unsigned post_failures;
  int64_t post_retry_ms;
  int64_t refs_time_ms;     /* when refs were fetched */
};

int64_t pod_now_ms (void);
void pod_set_ips (struct pod *p, const struct sandbox_status *s);
void pod_sync (struct pod *p);
struct pod *pod_hold (struct pod *p);
/* After a callback: true when the pod was freed meanwhile (then it is gone). */
bool pod_release (struct pod *p);
const struct value *pod_spec_of (const struct pod *p, size_t i); /* container's tree */
void pod_event (struct pod *p, const struct ctr *c, const char *type, const char *reason, const char *fmt, ...) __attribute__ ((format (printf, 5, 6)));
void ctr_waiting (struct ctr *c, const char *reason, const char *message);
void run_clear (struct run *r);
void run_exited (struct ctr *c, const struct container_record *rec);
void ctr_started (struct ctr *c); /* probes and postStart of a container that runs */
void ctr_stopped (struct ctr *c); /* no probes, hooks, timers any more */

/* pod_work.c */
void pod_set_up (struct pod *p);
void pod_fetch_again (struct pod *p); /* volumes' sources, for a refresh */
void pod_start (struct pod *p, size_t i, int64_t backoff_ms);
void pod_tear_down (struct pod *p);
void fetch_free (struct fetch *f);
int pod_checkpoint (struct pod *p, struct err *err);
const char *pod_cgroup (const struct pod *p, struct arena *a);
char *pod_log_path (const struct pod *p, const char *container, unsigned attempt);

/* pod_kill.c */
void pod_kill (struct pod *p, const struct pod_step *s);
void pod_hurry (struct pod *p); /* the grace period was shortened */
void ctr_post_start (struct ctr *c);

/* pod_status.c */
struct value *pod_build_status (struct pod *p, struct arena *a);
void pod_post_status (struct pod *p);

#endif
