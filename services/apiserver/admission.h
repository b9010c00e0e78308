/* Admission: a table of the built-in plugins in upstream's order; each looks at the kind and operation that concern it. */
#ifndef SERVICES_APISERVER_ADMISSION_H
#define SERVICES_APISERVER_ADMISSION_H

#include "services/apiserver/registry.h"

enum admission_operation { ADMISSION_CREATE, ADMISSION_UPDATE, ADMISSION_DELETE };

/* obj is changed in place; live NULL on create. false: answered. */
bool admission_mutate (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj);
/* obj NULL on delete. false: answered. */
bool admission_validate (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj);

/* The plugins. */
bool admission_namespace (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj);
bool admission_service_account (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj);
bool admission_priority (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj);
bool admission_toleration_seconds (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj);
bool admission_limit_defaults (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj);
bool admission_limit_check (struct registry_op *op, enum admission_operation operation, struct value *live, struct value *obj);

#endif
