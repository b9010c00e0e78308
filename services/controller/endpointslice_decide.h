#ifndef SERVICES_CONTROLLER_ENDPOINTSLICE_DECIDE_H
#define SERVICES_CONTROLLER_ENDPOINTSLICE_DECIDE_H

#include "services/common/action.h"

struct endpointslice_input {
  const struct value *service; /* NULL: gone (its slices go by their owner reference) */
  const struct value *slices;  /* owned by the service */
  const struct value *pods;    /* of the namespace */
  const struct value *nodes;   /* for zones */
  uint64_t salt;
  size_t max_endpoints;        /* a slice; upstream's 100 */
};
/* Spreads the Service's pods over slices: one group a family and set of ports; endpoints stay in the slice where they are,
   slices that are full grow no more, empty ones go (but one stays). */
void endpointslice_decide (const struct endpointslice_input *in, struct actions *as);

#endif
