#ifndef SERVICES_CONTROLLER_ENDPOINTS_DECIDE_H
#define SERVICES_CONTROLLER_ENDPOINTS_DECIDE_H

#include "services/common/action.h"

struct endpoints_input {
  const struct value *service;   /* NULL: gone */
  const struct value *endpoints; /* the present object, or NULL */
  const struct value *pods;      /* of the namespace */
};
/* Creates, updates or deletes the Endpoints object of a Service. At most 1000 addresses, as upstream. */
void endpoints_decide (const struct endpoints_input *in, struct actions *as);

#endif
