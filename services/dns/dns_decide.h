/* The answer to a question from the state of the cluster, after the Kubernetes DNS specification 1.1.0. Pure. */
#ifndef SERVICES_DNS_DNS_DECIDE_H
#define SERVICES_DNS_DNS_DECIDE_H

#include "base/mem.h"
#include "schemas/value.h"
#include "services/dns/dns_wire.h"

#define DNS_TTL_S 5
#define DNS_RECORDS_MAX 1000 /* of a section */
#define DNS_SLICES_MAX 256   /* of a service */

struct dns_view { /* the snapshot, as lookups; trees live in the arena a */
  const char *domain; /* "cluster.local" */
  void *arg;
  const struct value *(*service) (void *arg, struct arena *a, const char *ns, const char *name); /* NULL: none */
  /* EndpointSlices of a service into out (at most max); how many */
  size_t (*slices) (void *arg, struct arena *a, const char *ns, const char *name, const struct value **out, size_t max);
  bool (*has_namespace) (void *arg, const char *ns);
  const struct value *(*service_by_ip) (void *arg, struct arena *a, const char *ip);
  const struct value *(*slice_by_ip) (void *arg, struct arena *a, const char *ip); /* one that has the endpoint */
};
enum dns_verdict {
  DNS_ANSWERED,
  DNS_FORWARD, /* not of our zone: ask upstream */
  DNS_CHASE,   /* answer is a CNAME whose target, outside, must be asked for: its records are to be added */
};
struct dns_decision {
  enum dns_verdict verdict;
  struct dns_answer answer; /* in the arena */
  const char *chase;
};
/* turn: lists of equal records begin at another one each time. ERR_NOMEM. */
int dns_decide (const struct dns_view *view, const struct dns_question *q, unsigned turn, struct arena *a, struct dns_decision *ret, struct err *err);

#endif
