/* The pipeline and registry from a filled request to its answer, on the store in memory. */
#include "tests/lib/test.h"

#include "schemas/json.h"
#include "services/apiserver/pipeline.h"
#include "storage/mem.h"

#define STEPS_MAX 10000

static struct apiserver server;
static struct loop *loop;
static struct arena arena;

/* ---- a client ---- */

struct answer {
  const char *type; /* of what is sent */
  int code;
  bool ended;
  struct buf body;
  struct request *rq; /* until it ended */
};

static void
on_start (struct request *rq, int code, const struct header *headers, bool streamed)
{
  (void) headers;
  (void) streamed;
  ((struct answer *) rq->front)->code = code;
}

static void
on_chunk (struct request *rq, const void *data, size_t len)
{
  buf_append (&((struct answer *) rq->front)->body, data, len);
}

static void
on_end (struct request *rq)
{
  ((struct answer *) rq->front)->ended = true;
}

static size_t
no_pending (struct request *rq)
{
  (void) rq;
  return 0;
}

static const struct response_sink sink = { on_start, on_chunk, on_end, no_pending };

static const char *accept_header;
static const char *
header (const struct request *rq, const char *name)
{
  if (strcmp (name, "content-type") == 0)
    return ((struct answer *) rq->front)->type;
  if (strcmp (name, "accept") == 0)
    return accept_header;
  return strcmp (name, "user-agent") == 0 ? "test/1" : NULL;
}

static void
send (struct answer *an, const char *method, const char *target, const char *type, const char *body)
{
  static const char *const groups[] = { "system:masters", NULL };
  static const struct user admin = { .name = "admin", .uid = "", .groups = (const char **) groups, .n_groups = 1 };
  struct request *rq = request_new (&server);
  assert_non_null (rq);
  const char *query = strchr (target, '?');
  *an = (struct answer) { .type = type, .rq = rq };
  rq->method = method;
  rq->path = query ? arena_strndup (&rq->arena, target, (size_t) (query - target)) : arena_strdup (&rq->arena, target);
  rq->query_text = query ? arena_strdup (&rq->arena, query + 1) : "";
  rq->header = header;
  rq->body = body ? arena_strdup (&rq->arena, body) : NULL;
  rq->body_len = body ? strlen (body) : 0;
  rq->sink = &sink;
  rq->front = an;
  rq->transport_user = &admin;
  pipeline_handle (rq);
}

static struct value *
call (int expected, const char *method, const char *target, const char *type, const char *body)
{
  struct answer an;
  struct value *v = NULL;
  struct err err = { 0 };
  send (&an, method, target, type, body);
  for (int i = 0; i < STEPS_MAX && !an.ended; i++)
    loop_step (loop, 100);
  assert_true (an.ended);
  if (an.code != expected)
    print_error ("%s %s: %s\n", method, target, buf_cstr (&an.body));
  assert_int_equal (an.code, expected);
  assert_int_equal (json_parse (&arena, (const char *) an.body.data, an.body.len, &v, NULL, &err), 0);
  buf_done (&an.body);
  return v;
}

static void
is (const struct value *v, const char *path, const char *expected)
{
  assert_string_equal (value_path_string (v, path, "(absent)"), expected);
}

static void
change (void *arg, const char *stream, uint64_t seq, const void *packed, size_t len)
{
  AUTO_BUF struct buf scratch = BUF_INIT;
  struct bus_change ch;
  (void) arg;
  (void) seq;
  if (*stream)
    return;
  assert_int_equal (bus_change_unpack (packed, len, &ch, &scratch, NULL), 0);
  watch_caches_subscriber.change (server.caches, &ch);
}

static int
setup (void **state)
{
  (void) state;
  struct state_hooks hooks = { change, NULL };
  loop = loop_new (NULL);
  arena_init (&arena, 0);
  accept_header = NULL;
  server = (struct apiserver) { .loop = loop, .caches = watch_caches_new (),
                                .config = { "10.96.0.0/24", 30000, 30010, "cluster.local" } };
  server.store = store_mem_new_hooked (loop, &hooks);
  watch_caches_subscriber.reset (server.caches, 1);
  watch_caches_subscriber.synced (server.caches, 1);
  (void) call (201, "POST", "/api/v1/namespaces", "application/json", "{\"metadata\":{\"name\":\"default\"}}");
  (void) call (201, "POST", "/api/v1/namespaces/default/serviceaccounts", "application/json", "{\"metadata\":{\"name\":\"default\"}}");
  return 0;
}

static int
teardown (void **state)
{
  (void) state;
  assert_int_equal (server.n_requests, 0);
  server.store->vt->free (server.store);
  loop_step (loop, 0);
  watch_caches_free (server.caches);
  arena_done (&arena);
  loop_free (loop);
  return 0;
}

#define CMS "/api/v1/namespaces/default/configmaps"
#define PODS "/api/v1/namespaces/default/pods"
#define JSON "application/json"
#define POD(name) "{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"app\":\"" name "\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"

static struct value *
config (const char *name)
{
  return call (201, "POST", CMS, JSON, arena_printf (&arena, "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"app\":\"%s\"}},\"data\":{\"k\":\"v\"}}", name, name));
}

/* ---- tests ---- */

static void
test_create__twice__second_already_exists (void **state)
{
  (void) state;
  struct value *v = config ("a");
  is (v, "kind", "ConfigMap");
  is (v, "apiVersion", "v1");
  is (v, "metadata.namespace", "default");
  is (v, "data.k", "v");
  assert_true (strlen (value_path_string (v, "metadata.uid", "")) == 36);
  assert_true (value_path_string (v, "metadata.resourceVersion", "")[0] > '0');
  v = call (409, "POST", CMS, JSON, "{\"metadata\":{\"name\":\"a\"}}");
  is (v, "reason", "AlreadyExists");
  is (v, "message", "configmaps \"a\" already exists");
  v = call (200, "GET", CMS "/a", NULL, NULL);
  is (v, "data.k", "v");
  v = call (404, "GET", CMS "/b", NULL, NULL);
  is (v, "message", "configmaps \"b\" not found");
}

static void
test_create__absent_namespace__not_found (void **state)
{
  (void) state;
  struct value *v = call (404, "POST", "/api/v1/namespaces/no/configmaps", JSON, "{\"metadata\":{\"name\":\"a\"}}");
  is (v, "message", "namespaces \"no\" not found");
}

static void
test_create__generate_name__suffix_of_five (void **state)
{
  (void) state;
  struct value *v = call (201, "POST", CMS, JSON, "{\"metadata\":{\"generateName\":\"x-\"}}");
  assert_int_equal (strlen (value_path_string (v, "metadata.name", "")), 7);
}

static void
test_create__malformed_or_invalid__4xx_and_nothing_stored (void **state)
{
  (void) state;
  is (call (400, "POST", CMS, JSON, "{\"metadata\":"), "reason", "BadRequest");
  is (call (400, "POST", CMS, JSON, "{\"metadata\":{\"name\":7}}"), "reason", "BadRequest");
  is (call (422, "POST", CMS, JSON, "{\"metadata\":{\"name\":\"UPPER\"}}"), "reason", "Invalid");
  is (call (422, "POST", CMS, JSON, "{\"metadata\":{}}"), "reason", "Invalid");
  is (call (415, "POST", CMS, "application/x-what", "x"), "reason", "UnsupportedMediaType");
  (void) call (400, "POST", CMS "?fieldValidation=Strict", JSON, "{\"metadata\":{\"name\":\"a\"},\"nope\":1}");
  assert_int_equal (value_count (value_get (call (200, "GET", CMS, NULL, NULL), "items")), 0);
}

static void
test_update__stale_revision__conflict (void **state)
{
  (void) state;
  const char *old = value_path_string (config ("a"), "metadata.resourceVersion", "");
  const char *body = arena_printf (&arena, "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\"},\"data\":{\"k\":\"w\"}}", old);
  struct value *v = call (200, "PUT", CMS "/a", JSON, body);
  is (v, "data.k", "w");
  v = call (409, "PUT", CMS "/a", JSON, body);
  is (v, "reason", "Conflict");
  v = call (200, "PUT", CMS "/a", JSON, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"x\"}}");
  const char *now = value_path_string (v, "metadata.resourceVersion", "");
  v = call (200, "PUT", CMS "/a", JSON, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"x\"}}");
  is (v, "metadata.resourceVersion", now); /* nothing changed: nothing written */
}

static void
test_patch__each_type__applied (void **state)
{
  (void) state;
  (void) config ("a");
  struct value *v = call (200, "PATCH", CMS "/a", "application/merge-patch+json", "{\"data\":{\"m\":\"1\",\"k\":null}}");
  is (v, "data.m", "1");
  is (v, "data.k", "(absent)");
  v = call (200, "PATCH", CMS "/a", "application/strategic-merge-patch+json", "{\"data\":{\"s\":\"2\"}}");
  is (v, "data.s", "2");
  v = call (200, "PATCH", CMS "/a", "application/json-patch+json", "[{\"op\":\"add\",\"path\":\"/data/j\",\"value\":\"3\"}]");
  is (v, "data.j", "3");
  is (call (422, "PATCH", CMS "/a", "application/json-patch+json", "[{\"op\":\"test\",\"path\":\"/data/j\",\"value\":\"4\"}]"), "reason", "Invalid");
  (void) call (415, "PATCH", CMS "/a", "application/json", "{}");
  (void) call (404, "PATCH", CMS "/none", "application/merge-patch+json", "{}");
}

static void
test_apply__two_managers__conflict_until_forced (void **state)
{
  (void) state;
#define APPLY "application/apply-patch+yaml"
#define CM(v) "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: " v "\n"
  struct value *v = call (201, "PATCH", CMS "/a?fieldManager=one", APPLY, CM ("x"));
  is (v, "metadata.managedFields.0.manager", "one");
  is (v, "metadata.managedFields.0.operation", "Apply");
  const char *revision = value_path_string (v, "metadata.resourceVersion", "");
  v = call (200, "PATCH", CMS "/a?fieldManager=one", APPLY, CM ("x"));
  is (v, "metadata.resourceVersion", revision);
  v = call (409, "PATCH", CMS "/a?fieldManager=two", APPLY, CM ("w"));
  is (v, "details.causes.0.reason", "FieldManagerConflict");
  is (v, "details.causes.0.field", ".data.k");
  is (v, "message", "Apply failed with 1 conflict: conflict with \"one\": .data.k");
  v = call (200, "PATCH", CMS "/a?fieldManager=two&force=true", APPLY, CM ("w"));
  is (v, "data.k", "w");
  (void) call (422, "PATCH", CMS "/a", APPLY, CM ("z"));
}

static void
test_dry_run__create_and_delete__nothing_changes (void **state)
{
  (void) state;
  (void) call (201, "POST", CMS "?dryRun=All", JSON, "{\"metadata\":{\"name\":\"a\"}}");
  (void) call (404, "GET", CMS "/a", NULL, NULL);
  (void) config ("a");
  (void) call (200, "DELETE", CMS "/a?dryRun=All", NULL, NULL);
  (void) call (200, "GET", CMS "/a", NULL, NULL);
}

static void
test_delete__finalizer__stays_until_it_is_taken_away (void **state)
{
  (void) state;
  (void) call (201, "POST", CMS, JSON, "{\"metadata\":{\"name\":\"a\",\"finalizers\":[\"x.y/z\"]}}");
  struct value *v = call (200, "DELETE", CMS "/a", NULL, NULL);
  assert_true (*value_path_string (v, "metadata.deletionTimestamp", ""));
  (void) call (200, "GET", CMS "/a", NULL, NULL);
  (void) call (200, "PATCH", CMS "/a", "application/merge-patch+json", "{\"metadata\":{\"finalizers\":null}}");
  (void) call (404, "GET", CMS "/a", NULL, NULL);
  (void) call (404, "DELETE", CMS "/a", NULL, NULL);
}

static void
test_delete__precondition_of_another_uid__conflict (void **state)
{
  (void) state;
  (void) config ("a");
  (void) call (409, "DELETE", CMS "/a", JSON, "{\"preconditions\":{\"uid\":\"other\"}}");
  struct value *v = call (200, "DELETE", CMS "/a", JSON, "{}");
  is (v, "status", "Success");
}

static void
test_pod__created_bound_deleted__gracefully (void **state)
{
  (void) state;
  struct value *v = call (201, "POST", PODS, JSON, POD ("p"));
  is (v, "status.phase", "Pending");
  is (v, "status.qosClass", "BestEffort");
  is (v, "spec.serviceAccountName", "default");
  assert_int_equal (value_path_int (v, "spec.priority", -1), 0);
  assert_int_equal (value_count (value_path (v, "spec.tolerations")), 2);
  assert_int_equal (value_count (value_path (v, "spec.volumes")), 1);
  (void) call (201, "POST", PODS "/p/binding", JSON, "{\"target\":{\"kind\":\"Node\",\"name\":\"n1\"}}");
  (void) call (409, "POST", PODS "/p/binding", JSON, "{\"target\":{\"kind\":\"Node\",\"name\":\"n2\"}}");
  v = call (200, "GET", PODS "/p", NULL, NULL);
  is (v, "spec.nodeName", "n1");
  is (v, "status.conditions.0.type", "PodScheduled");
  v = call (200, "DELETE", PODS "/p", NULL, NULL);
  assert_int_equal (value_path_int (v, "metadata.deletionGracePeriodSeconds", 0), 30);
  v = call (200, "DELETE", PODS "/p?gracePeriodSeconds=5", NULL, NULL);
  assert_int_equal (value_path_int (v, "metadata.deletionGracePeriodSeconds", 0), 5);
  (void) call (200, "DELETE", PODS "/p?gracePeriodSeconds=0", NULL, NULL);
  (void) call (404, "GET", PODS "/p", NULL, NULL);
  (void) call (201, "POST", PODS, JSON, POD ("q"));
  (void) call (200, "DELETE", PODS "/q", NULL, NULL); /* on no node: at once */
  (void) call (404, "GET", PODS "/q", NULL, NULL);
}

static void
test_status__update__takes_status_alone (void **state)
{
  (void) state;
  struct value *v = call (201, "POST", PODS, JSON, POD ("p"));
  v = call (200, "PATCH", PODS "/p/status", "application/merge-patch+json",
            "{\"spec\":{\"nodeName\":\"n1\"},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.9\"}}");
  is (v, "status.phase", "Running");
  is (v, "spec.nodeName", "(absent)");
  v = call (200, "PATCH", PODS "/p", "application/merge-patch+json", "{\"metadata\":{\"labels\":{\"x\":\"y\"}},\"status\":{\"phase\":\"Failed\"}}");
  is (v, "status.phase", "Running");
  is (v, "metadata.labels.x", "y");
}

static void
test_service__allocations__unique_kept_and_released (void **state)
{
  (void) state;
#define SERVICES "/api/v1/namespaces/default/services"
#define SERVICE(name, more) "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{" more "\"ports\":[{\"port\":80}]}}"
  struct value *v = call (201, "POST", SERVICES, JSON, SERVICE ("a", "\"type\":\"NodePort\","));
  const char *ip = value_path_string (v, "spec.clusterIP", "");
  int64_t port = value_path_int (v, "spec.ports.0.nodePort", 0);
  assert_memory_equal (ip, "10.96.0.", 8);
  is (v, "spec.clusterIPs.0", ip);
  assert_in_range (port, 30000, 30010);
  (void) call (422, "POST", SERVICES, JSON, arena_printf (&arena, SERVICE ("b", "\"clusterIP\":\"%s\","), ip));
  (void) call (422, "POST", SERVICES, JSON, SERVICE ("b", "\"clusterIP\":\"10.97.0.1\","));
  v = call (200, "PUT", SERVICES "/a", JSON, SERVICE ("a", "\"type\":\"NodePort\",\"selector\":{\"x\":\"y\"},"));
  is (v, "spec.clusterIP", ip);
  assert_int_equal (value_path_int (v, "spec.ports.0.nodePort", 0), port);
  (void) call (200, "DELETE", SERVICES "/a", NULL, NULL);
  v = call (201, "POST", SERVICES, JSON, arena_printf (&arena, SERVICE ("b", "\"clusterIP\":\"%s\","), ip));
  is (v, "spec.clusterIP", ip);
  v = call (201, "POST", SERVICES, JSON, SERVICE ("c", "\"clusterIP\":\"None\","));
  is (v, "spec.clusterIP", "None");
}

static void
test_scale__put_and_patch__change_replicas (void **state)
{
  (void) state;
#define DEPLOYMENTS "/apis/apps/v1/namespaces/default/deployments"
  struct value *v = call (201, "POST", DEPLOYMENTS, JSON,
                          "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":"
                          "{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}");
  assert_int_equal (value_path_int (v, "metadata.generation", 0), 1);
  v = call (200, "GET", DEPLOYMENTS "/d/scale", NULL, NULL);
  is (v, "kind", "Scale");
  is (v, "status.selector", "a=b");
  v = call (200, "PATCH", DEPLOYMENTS "/d/scale", "application/merge-patch+json", "{\"spec\":{\"replicas\":5}}");
  assert_int_equal (value_path_int (v, "spec.replicas", 0), 5);
  v = call (200, "GET", DEPLOYMENTS "/d", NULL, NULL);
  assert_int_equal (value_path_int (v, "spec.replicas", 0), 5);
  assert_int_equal (value_path_int (v, "metadata.generation", 0), 2);
}

static void
test_list__selectors_limit_table__as_asked (void **state)
{
  (void) state;
  for (int i = 0; i < 5; i++)
    (void) config (arena_printf (&arena, "c%d", i));
  struct value *v = call (200, "GET", CMS, NULL, NULL);
  is (v, "kind", "ConfigMapList");
  assert_int_equal (value_count (value_get (v, "items")), 5);
  v = call (200, "GET", CMS "?labelSelector=app%20in%20(c1,c2)", NULL, NULL);
  assert_int_equal (value_count (value_get (v, "items")), 2);
  v = call (200, "GET", CMS "?fieldSelector=metadata.name%3Dc3", NULL, NULL);
  assert_int_equal (value_count (value_get (v, "items")), 1);
  v = call (200, "GET", CMS "?limit=2", NULL, NULL);
  assert_int_equal (value_count (value_get (v, "items")), 2);
  assert_int_equal (value_path_int (v, "metadata.remainingItemCount", 0), 3);
  (void) config ("c9"); /* a list goes on at the revision where it began */
  const char *revision = value_path_string (v, "metadata.resourceVersion", "");
  v = call (200, "GET", arena_printf (&arena, CMS "?limit=10&continue=%s", value_path_string (v, "metadata.continue", "")), NULL, NULL);
  assert_int_equal (value_count (value_get (v, "items")), 3);
  is (v, "metadata.resourceVersion", revision);
  accept_header = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
  v = call (200, "GET", CMS, NULL, NULL);
  is (v, "kind", "Table");
  is (v, "rows.0.cells.0", "c0");
  is (v, "rows.0.object.kind", "PartialObjectMetadata");
}

static void
test_delete_collection__selector__only_those (void **state)
{
  (void) state;
  for (int i = 0; i < 3; i++)
    (void) config (arena_printf (&arena, "c%d", i));
  (void) call (200, "DELETE", CMS "?labelSelector=app!%3Dc1", NULL, NULL);
  struct value *v = call (200, "GET", CMS, NULL, NULL);
  assert_int_equal (value_count (value_get (v, "items")), 1);
  is (v, "items.0.metadata.name", "c1");
}

static void
test_watch__selector__added_modified_deleted_in_order (void **state)
{
  (void) state;
  struct answer an;
  struct value *v;
  (void) config ("a");
  send (&an, "GET", CMS "?watch=1&labelSelector=app%3Da", NULL, NULL);
  loop_step (loop, 0);
  (void) config ("b");
  (void) call (200, "PATCH", CMS "/a", "application/merge-patch+json", "{\"data\":{\"k\":\"2\"}}");
  (void) call (200, "PATCH", CMS "/a", "application/merge-patch+json", "{\"metadata\":{\"labels\":{\"app\":\"z\"}}}");
  assert_false (an.ended);
  static const char *const types[] = { "ADDED", "MODIFIED", "DELETED" };
  char *text = arena_strdup (&arena, buf_cstr (&an.body)), *save = NULL;
  size_t n = 0;
  for (char *line = strtok_r (text, "\n", &save); line; line = strtok_r (NULL, "\n", &save), n++) {
    assert_true (n < 3);
    assert_int_equal (json_parse (&arena, line, strlen (line), &v, NULL, NULL), 0);
    is (v, "type", types[n]);
    is (v, "object.metadata.name", "a");
  }
  assert_int_equal (n, 3);
  request_closed (an.rq);
  assert_true (an.ended);
  buf_done (&an.body);
}

static void
test_watch__too_old__410_in_the_stream (void **state)
{
  (void) state;
  struct answer an;
  struct value *v = NULL;
  for (int i = 0; i < CACHE_RING + 2; i++)
    (void) call (i ? 200 : 201, i ? "PATCH" : "POST", i ? CMS "/a" : CMS, i ? "application/merge-patch+json" : JSON,
                 arena_printf (&arena, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"%d\"}}", i));
  send (&an, "GET", CMS "?watch=1&resourceVersion=2", NULL, NULL);
  assert_true (an.ended);
  assert_int_equal (an.code, 200);
  assert_int_equal (json_parse (&arena, (const char *) an.body.data, an.body.len, &v, NULL, NULL), 0);
  is (v, "type", "ERROR");
  assert_int_equal (value_path_int (v, "object.code", 0), 410);
  buf_done (&an.body);
}

static void
test_namespace__deleted__terminates_then_goes_when_finalized (void **state)
{
  (void) state;
  (void) call (201, "POST", "/api/v1/namespaces", JSON, "{\"metadata\":{\"name\":\"x\"}}");
  struct value *v = call (200, "DELETE", "/api/v1/namespaces/x", NULL, NULL);
  is (v, "status.phase", "Terminating");
  v = call (403, "POST", "/api/v1/namespaces/x/configmaps", JSON, "{\"metadata\":{\"name\":\"a\"}}");
  is (v, "details.causes.0.reason", "NamespaceTerminating");
  (void) call (200, "PUT", "/api/v1/namespaces/x/finalize", JSON, "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"finalizers\":[]}}");
  (void) call (404, "GET", "/api/v1/namespaces/x", NULL, NULL);
  (void) call (403, "DELETE", "/api/v1/namespaces/default", NULL, NULL);
}

int
main (void)
{
#define T(f) cmocka_unit_test_setup_teardown (f, setup, teardown)
  const struct CMUnitTest tests[] = {
    T (test_create__twice__second_already_exists),
    T (test_create__absent_namespace__not_found),
    T (test_create__generate_name__suffix_of_five),
    T (test_create__malformed_or_invalid__4xx_and_nothing_stored),
    T (test_update__stale_revision__conflict),
    T (test_patch__each_type__applied),
    T (test_apply__two_managers__conflict_until_forced),
    T (test_dry_run__create_and_delete__nothing_changes),
    T (test_delete__finalizer__stays_until_it_is_taken_away),
    T (test_delete__precondition_of_another_uid__conflict),
    T (test_pod__created_bound_deleted__gracefully),
    T (test_status__update__takes_status_alone),
    T (test_service__allocations__unique_kept_and_released),
    T (test_scale__put_and_patch__change_replicas),
    T (test_list__selectors_limit_table__as_asked),
    T (test_delete_collection__selector__only_those),
    T (test_watch__selector__added_modified_deleted_in_order),
    T (test_watch__too_old__410_in_the_stream),
    T (test_namespace__deleted__terminates_then_goes_when_finalized),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
