/* Kubernetes quantities ("100m", "64Mi", 2) as numbers; what does not parse, or is absent, is 0 (the API server has validated it).
   Both round up and saturate. */
#ifndef KUBELET_QUANTITY_H
#define KUBELET_QUANTITY_H

#include "schemas/value.h"

int64_t quantity_value (const struct value *v);
int64_t quantity_milli (const struct value *v);

#endif
