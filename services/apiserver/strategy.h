/* What a kind does beyond its rows: a table of small functions (strategy.c), one file a kind where there is much to do. */
#ifndef SERVICES_APISERVER_STRATEGY_H
#define SERVICES_APISERVER_STRATEGY_H

#include "services/apiserver/registry.h"

struct strategy {
  const char *group, *kind;
  /* After defaults and mutating admission, before validation; obj is changed in place. false: answered. May be NULL. */
  bool (*create) (struct registry_op *op, struct value *obj);
  bool (*update) (struct registry_op *op, struct value *live, struct value *obj, const char *subresource);
  /* The object goes in this transaction: adds to op's extra writes. */
  void (*removed) (struct registry_op *op, struct value *live);
  int64_t (*grace_s) (const struct value *live); /* default of a graceful deletion; NULL: not graceful */
  bool keeps_status;      /* status is accepted on create */
  bool create_on_update;  /* PUT makes it when absent */
  bool orphans;           /* deletion's default propagation is Orphan */
};
const struct strategy *strategy_of (const struct schema_kind *k); /* never NULL */

bool strategy_pod_create (struct registry_op *op, struct value *obj);
bool strategy_pod_update (struct registry_op *op, struct value *live, struct value *obj, const char *subresource);
int64_t strategy_pod_grace_s (const struct value *live);
bool strategy_service_create (struct registry_op *op, struct value *obj);
bool strategy_service_update (struct registry_op *op, struct value *live, struct value *obj, const char *subresource);
void strategy_service_removed (struct registry_op *op, struct value *live);

#endif
