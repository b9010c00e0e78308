/* Shared by manager.c (informers, keys, runs) and membership.c (the lease, the view). */
#ifndef SERVICES_CONTROLLER_MANAGER_INTERNAL_H
#define SERVICES_CONTROLLER_MANAGER_INTERNAL_H

#include "services/controller/controller.h"
#include "services/controller/queue.h"
#include "services/controller/shard.h"

#define MANAGER_CONTROLLERS_MAX 48
#define MANAGER_INFORMERS_MAX 96

struct membership;
struct membership *membership_new (struct manager *m, struct service_context *ctx, const char *instance, struct err *err);
void membership_free (struct membership *s);
bool membership_may_work (const struct membership *s, const char *controller, const char *key);
void membership_work_ended (struct membership *s); /* a run ended: look again */

/* Called by membership: the own keys are others now. */
void manager_resync_all (struct manager *m);
/* Whether work goes on that the next view gives to another. */
bool manager_busy_outside (const struct manager *m, const struct shard_view *next, const char *self);

#endif
