/* Which objects an owner controls: adoption of orphans that its selector matches, release of those it no longer matches. */
#ifndef SERVICES_CONTROLLER_CLAIM_H
#define SERVICES_CONTROLLER_CLAIM_H

#include "schemas/machinery.h"
#include "services/common/action.h"

struct claim {
  const struct value *owner;
  const char *api_version, *kind;          /* of the owner */
  const char *group, *version, *resource;  /* of the candidates */
  const struct selector *selector;
};
/* The candidates that the owner controls now, as an array in as->arena; patches are added for adoption and release. Pods
   that ended or are being deleted are not adopted; a deleted owner adopts nothing. */
struct value *claim_objects (const struct claim *c, const struct value *candidates, struct actions *as);

#endif
