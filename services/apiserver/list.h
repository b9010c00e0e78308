/* What lists and watches share: which objects are wanted, and how one is shown. */
#ifndef SERVICES_APISERVER_LIST_H
#define SERVICES_APISERVER_LIST_H

#include "services/apiserver/registry.h"

struct filter {
  const struct schema_kind *kind;
  struct selector *labels, *fields; /* NULL: all */
  const char *namespace_, *name;    /* "" any */
};
/* From labelSelector, fieldSelector and the request's info. false: answered. */
bool filter_parse (struct request *rq, struct filter *ret);
/* Only what the selectors need is unpacked, into scratch, which is reset. */
bool filter_matches (const struct filter *f, struct arena *scratch, const struct cached *o);

/* Appends one object in the request's encoding, version and transform: a row for lists, a whole Table for watches. */
int list_encode (struct request *rq, struct arena *scratch, const struct cached *o, bool row, bool columns, struct buf *out, struct err *err);
/* o is shown as it is stored: bytes can be shared. */
bool list_plain (const struct request *rq);

#endif
