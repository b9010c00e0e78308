/* What every namespace has: the service account "default" and the ConfigMap kube-root-ca.crt. */
#ifndef SERVICES_CONTROLLER_ACCOUNT_DECIDE_H
#define SERVICES_CONTROLLER_ACCOUNT_DECIDE_H

#include "services/common/action.h"

#define ROOT_CA_CONFIG_MAP "kube-root-ca.crt"

/* namespace_ NULL: gone. present: the object as it is now, or NULL. */
void serviceaccount_decide (const struct value *namespace_, const struct value *present, struct actions *as);
void root_ca_decide (const struct value *namespace_, const struct value *present, const char *root_ca, struct actions *as);

#endif
