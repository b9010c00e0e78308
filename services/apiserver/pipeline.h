/* The way of a request: negotiate, authenticate, authorise, dispatch to a document, a health check or the registry. */
#ifndef SERVICES_APISERVER_PIPELINE_H
#define SERVICES_APISERVER_PIPELINE_H

#include "services/apiserver/request.h"

/* Takes rq; the answer comes through its sink, possibly before this returns. */
void pipeline_handle (struct request *rq);
/* For respond.c: the answer is out; counts it and frees rq. */
void pipeline_finished (struct request *rq);

#endif
