/* The probes of one running container: startup first, then liveness and readiness, each with its period and thresholds
   (pkg/kubelet/prober). */
#ifndef KUBELET_PROBE_H
#define KUBELET_PROBE_H

#include "services/kubelet/handler.h"

enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBE_COUNT };
extern const char *const probe_names[PROBE_COUNT]; /* "Startup" ... */

/* state: true: healthy by its thresholds. changed: it differs from before (the first result counts). failed_once: this try failed, output
   says how (for the event Unhealthy). */
typedef void (*probe_cb) (void *arg, enum probe_kind kind, bool healthy, bool changed, bool failed_once, const char *output);

struct probe;
/* spec is the probe's tree, container the container's: both must outlive it. */
struct probe *probe_new (const struct handler_ctx *x, enum probe_kind kind, const struct value *spec, probe_cb cb, void *arg, struct err *err);
void probe_start (struct probe *p); /* begins with initialDelaySeconds */
void probe_free (struct probe *p);  /* NULL allowed; also from its callback */
int64_t probe_grace_s (const struct probe *p); /* terminationGracePeriodSeconds, -1 when not set */

#endif
