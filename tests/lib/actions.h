/* A decider's actions as text, one a line: "create pods ns/name", "update replicasets/status ns/name", "event Normal Reason: text". */
#ifndef TESTS_LIB_ACTIONS_H
#define TESTS_LIB_ACTIONS_H

#include "services/common/action.h"

const char *actions_text (const struct actions *as);
/* The body of the nth request of that verb and resource ("pods", "jobs/status"); NULL when there is none. */
const struct value *actions_body (const struct actions *as, const char *verb, const char *resource, size_t nth);
size_t actions_matching (const struct actions *as, const char *verb, const char *resource);

#endif
