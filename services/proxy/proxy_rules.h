/* The whole ruleset of a node as nft scripts: all of it in one transaction, or only what a change of one service makes
   different. Pure: it holds what the table should be, and writes text. */
#ifndef SERVICES_PROXY_PROXY_RULES_H
#define SERVICES_PROXY_PROXY_RULES_H

#include "base/buf.h"
#include "services/proxy/proxy_decide.h"

struct proxy_rules;
struct proxy_rules *proxy_rules_new (const struct proxy_config *config); /* config is borrowed for its life */
void proxy_rules_free (struct proxy_rules *r);
/* Takes *svc as the new state of the service key and appends the commands that lead from the old state to it (none when
   nothing changed). ERR_NOMEM: the state is as before. */
int proxy_rules_set (struct proxy_rules *r, const char *key, struct proxy_service **svc, struct buf *out, struct err *err);
/* The script that makes the table anew, whatever was there. */
void proxy_rules_full (const struct proxy_rules *r, struct buf *out);
/* The script that removes the table, whether or not it is there. */
void proxy_rules_cleanup (const struct proxy_config *config, struct buf *out);
size_t proxy_rules_node_ports (const struct proxy_rules *r); /* services with node ports */

#endif
