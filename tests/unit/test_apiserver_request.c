#include "tests/lib/test.h"

#include "services/apiserver/request.h"

/* After upstream's TestGetAPIRequestInfo. */
static const struct {
  const char *method, *path, *query, *verb, *group, *version, *namespace_, *resource, *subresource, *name;
  bool resource_request;
} rows[] = {
  { "GET", "/api/v1/namespaces", "", "list", "", "v1", "", "namespaces", "", "", true },
  { "GET", "/api/v1/namespaces/other", "", "get", "", "v1", "other", "namespaces", "", "other", true },
  { "PUT", "/api/v1/namespaces/other/finalize", "", "update", "", "v1", "other", "namespaces", "finalize", "other", true },
  { "GET", "/api/v1/namespaces/other/pods", "", "list", "", "v1", "other", "pods", "", "", true },
  { "GET", "/api/v1/namespaces/other/pods/foo", "", "get", "", "v1", "other", "pods", "", "foo", true },
  { "HEAD", "/api/v1/namespaces/other/pods/foo", "", "get", "", "v1", "other", "pods", "", "foo", true },
  { "GET", "/api/v1/pods", "watch=true", "watch", "", "v1", "", "pods", "", "", true },
  { "GET", "/api/v1/pods", "watch=false", "list", "", "v1", "", "pods", "", "", true },
  { "GET", "/api/v1/watch/namespaces/other/pods", "", "watch", "", "v1", "other", "pods", "", "", true },
  { "GET", "/api/v1/pods", "fieldSelector=metadata.name%3Dfoo", "list", "", "v1", "", "pods", "", "foo", true },
  { "POST", "/api/v1/namespaces/other/pods/foo/exec", "", "create", "", "v1", "other", "pods", "exec", "foo", true },
  { "DELETE", "/apis/apps/v1/namespaces/other/deployments", "", "deletecollection", "apps", "v1", "other", "deployments", "", "", true },
  { "PATCH", "/apis/apps/v1/namespaces/other/deployments/d/scale", "", "patch", "apps", "v1", "other", "deployments", "scale", "d", true },
  { "GET", "/apis/apps/v1", "", "get", "", "", "", "", "", "", false },
  { "GET", "/api", "", "get", "", "", "", "", "", "", false },
  { "GET", "/healthz", "", "get", "", "", "", "", "", "", false },
};

static void
test_request_info_parse__table__as_upstream (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct err err = { 0 };
    struct request *rq = request_new (NULL);
    assert_non_null (rq);
    rq->method = rows[i].method;
    rq->path = rows[i].path;
    rq->query_text = rows[i].query;
    assert_int_equal (request_info_parse (rq, &err), 0);
    assert_int_equal (rq->info.is_resource, rows[i].resource_request);
    assert_string_equal (rq->info.verb, rows[i].verb);
    assert_string_equal (rq->info.group, rows[i].group);
    assert_string_equal (rq->info.version, rows[i].version);
    assert_string_equal (rq->info.namespace_, rows[i].namespace_);
    assert_string_equal (rq->info.resource, rows[i].resource);
    assert_string_equal (rq->info.subresource, rows[i].subresource);
    assert_string_equal (rq->info.name, rows[i].name);
    request_free (rq);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_request_info_parse__table__as_upstream) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
