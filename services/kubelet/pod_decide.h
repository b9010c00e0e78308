/* What a pod needs next: pure. No I/O, no clock, no globals; times are given. The worker (pod.c) keeps struct pod_facts true, calls
   pod_decide () after every change and carries out what it says; actions that are under way are facts too (busy flags), so
   nothing is asked for twice. Rules: upstream's kuberuntime computePodActions, getPhase and the sidecar KEP-753. */
#ifndef KUBELET_POD_DECIDE_H
#define KUBELET_POD_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POD_CONTAINERS_MAX 128
#define POD_BACKOFF_FIRST_MS 10000
#define POD_BACKOFF_MAX_MS 300000

enum pod_restart { POD_ALWAYS, POD_ON_FAILURE, POD_NEVER };
enum pod_kind { POD_INIT, POD_SIDECAR, POD_MAIN }; /* a sidecar is an init container with restartPolicy Always */
enum pod_cstate {
  POD_C_NONE,    /* never made (for this sandbox, for init containers) */
  POD_C_RUNNING,
  POD_C_EXITED,
};

struct pod_container {
  enum pod_kind kind;
  enum pod_cstate state;
  bool busy;              /* being pulled, made or started */
  bool killing;           /* an end was asked for */
  int exit_code;          /* EXITED */
  int64_t finished_ms;    /* EXITED */
  int64_t retry_at_ms;    /* not to be tried before (a failed pull or create); 0: at once */
  int64_t backoff_ms;     /* delay after the end before the next start; 0: none yet */
  int64_t backoff_set_ms; /* when that was set */
  bool started;           /* startup probe passed (or none), and postStart done */
  bool unhealthy;         /* liveness or startup probe failed, or postStart did */
  int64_t probe_grace_s;  /* of the probe that failed; -1: the pod's */
};

struct pod_facts {
  enum pod_restart restart;
  struct pod_container c[POD_CONTAINERS_MAX]; /* init containers and sidecars in order, then the main ones */
  size_t n;
  bool sandbox_ready;
  bool sandbox_lost;      /* there was one and containers ran in it (a reboot) */
  bool busy;              /* setting up or tearing down */
  int64_t retry_at_ms;    /* of a failed set-up */
  bool torn_down;         /* no sandbox, no volume is left, or nothing was ever made */
  bool terminating;       /* deletionTimestamp */
  int64_t grace_s;        /* deletionGracePeriodSeconds while terminating, else terminationGracePeriodSeconds */
  int64_t start_ms;       /* status.startTime */
  int64_t deadline_s;     /* activeDeadlineSeconds; 0: none */
  bool rejected;          /* failed admission on this node: Failed, never run */
  bool final_posted;      /* the API has the status of the ended pod */
};

enum pod_op {
  POD_SET_UP,    /* volumes, then sandbox */
  POD_START,     /* container c: image, create, start */
  POD_KILL,      /* container c with grace_s, preStop first */
  POD_TEAR_DOWN, /* sandbox, volumes; containers too when the pod is terminating */
  POD_FORGET,    /* DELETE with grace 0, then drop the worker */
};
enum pod_why { POD_WHY_NONE, POD_WHY_DELETED, POD_WHY_UNHEALTHY, POD_WHY_DEADLINE, POD_WHY_FINISHED, POD_WHY_SANDBOX };
struct pod_step {
  enum pod_op op;
  size_t c;
  int64_t grace_s;
  enum pod_why why;
  int64_t backoff_ms; /* POD_START of a restart: the container's new back-off */
};

enum pod_phase { POD_PENDING, POD_PHASE_RUNNING, POD_SUCCEEDED, POD_FAILED };
struct pod_decision {
  struct pod_step steps[POD_CONTAINERS_MAX + 2];
  size_t n;
  enum pod_phase phase;
  bool deadline_exceeded;
  bool initialized;                             /* condition Initialized */
  bool crash_loop[POD_CONTAINERS_MAX];          /* waits for its back-off to pass */
  bool will_restart[POD_CONTAINERS_MAX];        /* EXITED and to be started again */
  int64_t wake_ms;                              /* decide again then at the latest; 0: no need */
};
void pod_decide (const struct pod_facts *f, int64_t now_ms, struct pod_decision *ret);

#endif
