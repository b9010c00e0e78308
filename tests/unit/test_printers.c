#include "tests/lib/test.h"

#include "base/clock.h"
#include "schemas/json.h"
#include "schemas/json_path.h"
#include "schemas/machinery.h"

#define NOW "2026-01-02T12:00:00Z"

/* The cells as "a|b|c". */
static char *
cells_of (struct arena *a, const char *group, const char *version, const char *kind, const char *json)
{
  wall_t now;
  struct value *obj = NULL;
  AUTO_BUF struct buf text = BUF_INIT;
  const struct schema_kind *k = schema_kind_by_kind (group, version, kind);
  assert_non_null (k);
  assert_int_equal (wall_parse (NOW, &now, NULL), 0);
  assert_int_equal (json_parse (a, json, strlen (json), &obj, NULL, NULL), 0);
  struct value *cells = printer_cells (a, k, obj, now.us);
  assert_int_equal (value_count (cells), k->n_columns);
  for (value_items (cells, it)) {
    if (it != cells->items)
      buf_append_byte (&text, '|');
    buf_append_str (&text, json_path_text (a, *it));
  }
  return arena_strdup (a, buf_cstr (&text));
}
#define assert_cells(a, group, version, kind, json, expected) \
  assert_string_equal (cells_of (a, group, version, kind, json), expected)

static void
test_printer_age__is_kubectls (void **state)
{
  static const struct {
    const char *then, *age;
  } rows[] = {
    {"2026-01-02T12:00:00Z", "0s"},   {"2026-01-02T11:58:01Z", "119s"}, {"2026-01-02T11:58:00Z", "2m"},  {"2026-01-02T11:54:50Z", "5m10s"},
    {"2026-01-02T11:50:00Z", "10m"},  {"2026-01-02T09:00:00Z", "3h"},   {"2026-01-02T08:30:00Z", "3h30m"}, {"2026-01-01T00:00:00Z", "36h"},
    {"2025-12-30T09:00:00Z", "3d3h"}, {"2025-12-02T12:00:00Z", "31d"},  {"2023-01-02T12:00:00Z", "3y1d"}, {"2026-01-02T12:00:09Z", "<invalid>"},
    {"", "<unknown>"},                {"soon", "<unknown>"},
  };
  AUTO_ARENA struct arena a;
  wall_t now;
  (void) state;
  arena_init (&a, 0);
  assert_int_equal (wall_parse (NOW, &now, NULL), 0);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_string_equal (printer_age (&a, rows[i].then, now.us), rows[i].age);
}

#define META "\"metadata\":{\"name\":\"x\",\"creationTimestamp\":\"2026-01-02T11:55:00Z\"}"

static void
test_printer_cells__pod_status_follows_upstream (void **state)
{
  AUTO_ARENA struct arena a;
  (void) state;
  arena_init (&a, 0);
  assert_cells (&a, "", "v1", "Pod", "{" META ",\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"phase\":\"Pending\"}}",
                "x|0/1|Pending|0|5m|<none>|<none>|<none>|<none>");
  assert_cells (&a, "", "v1", "Pod",
                "{" META ",\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"c\"}],\"readinessGates\":[{\"conditionType\":\"g\"}]},\"status\":{"
                "\"phase\":\"Running\",\"podIP\":\"10.0.0.2\",\"podIPs\":[{\"ip\":\"10.0.0.2\"}],\"conditions\":[{\"type\":\"g\",\"status\":\"True\"}],"
                "\"containerStatuses\":[{\"name\":\"c\",\"ready\":true,\"restartCount\":3,\"state\":{\"running\":{}},"
                "\"lastState\":{\"terminated\":{\"finishedAt\":\"2026-01-02T11:57:00Z\"}}}]}}",
                "x|1/1|Running|3 (3m ago)|5m|10.0.0.2|n1|<none>|1/1");
  assert_cells (&a, "", "v1", "Pod",
                "{" META ",\"spec\":{\"initContainers\":[{\"name\":\"i\"},{\"name\":\"j\"}],\"containers\":[{\"name\":\"c\"}]},\"status\":{\"phase\":"
                "\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"terminated\":{\"exitCode\":0}}},{\"name\":\"j\",\"restartCount\":1,"
                "\"state\":{\"running\":{}}}]}}",
                "x|0/1|Init:1/2|1|5m|<none>|<none>|<none>|<none>");
  assert_cells (&a, "", "v1", "Pod",
                "{" META ",\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"c\",\"state\":{"
                "\"waiting\":{\"reason\":\"CrashLoopBackOff\"}}}]}}",
                "x|0/1|CrashLoopBackOff|0|5m|<none>|<none>|<none>|<none>");
  assert_cells (&a, "", "v1", "Pod",
                "{\"metadata\":{\"name\":\"x\",\"deletionTimestamp\":\"2026-01-02T11:59:00Z\"},\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{"
                "\"phase\":\"Running\"}}",
                "x|0/1|Terminating|0|<unknown>|<none>|<none>|<none>|<none>");
  assert_cells (&a, "", "v1", "Pod",
                "{" META ",\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"c\",\"state\":{"
                "\"terminated\":{\"exitCode\":137,\"signal\":9}}}]}}",
                "x|0/1|Signal:9|0|5m|<none>|<none>|<none>|<none>");
  assert_cells (&a, "", "v1", "Pod", /* a sidecar counts */
                "{" META ",\"spec\":{\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\"}],\"containers\":[{\"name\":\"c\"}]},\"status\":{"
                "\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"s\",\"started\":true,\"ready\":true,\"restartCount\":2,\"state\":{\"running\":"
                "{}}}],\"containerStatuses\":[{\"name\":\"c\",\"ready\":true,\"state\":{\"running\":{}}}]}}",
                "x|2/2|Running|2|5m|<none>|<none>|<none>|<none>");
}

static void
test_printer_cells__common_kinds_match_kubectl (void **state)
{
  AUTO_ARENA struct arena a;
  (void) state;
  arena_init (&a, 0);
  assert_cells (&a, "apps", "v1", "Deployment",
                "{" META ",\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"b\":\"2\",\"a\":\"1\"},\"matchExpressions\":[{\"key\":\"c\",\"operator\":"
                "\"In\",\"values\":[\"x\",\"y\"]}]},\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i:1\"},{\"name\":\"d\",\"image\":"
                "\"j\"}]}}},\"status\":{\"readyReplicas\":2,\"updatedReplicas\":3,\"availableReplicas\":1}}",
                "x|2/3|3|1|5m|c,d|i:1,j|a=1,b=2,c in (x,y)");
  assert_cells (&a, "", "v1", "Service",
                "{" META ",\"spec\":{\"type\":\"NodePort\",\"clusterIP\":\"10.0.0.1\",\"clusterIPs\":[\"10.0.0.1\"],\"ports\":[{\"port\":80,\"nodePort\":30080,"
                "\"protocol\":\"TCP\"},{\"port\":53,\"protocol\":\"UDP\"}],\"selector\":{\"app\":\"w\"}}}",
                "x|NodePort|10.0.0.1|<none>|80:30080/TCP,53/UDP|5m|app=w");
  assert_cells (&a, "", "v1", "Node",
                "{\"metadata\":{\"name\":\"n\",\"labels\":{\"node-role.kubernetes.io/worker\":\"\",\"node-role.kubernetes.io/control-plane\":\"\"}},"
                "\"spec\":{\"unschedulable\":true},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],\"addresses\":[{\"type\":\"InternalIP\","
                "\"address\":\"10.1.1.1\"}],\"nodeInfo\":{\"kubeletVersion\":\"v1.33.0\"}}}",
                "n|Ready,SchedulingDisabled|control-plane,worker|<unknown>|v1.33.0|10.1.1.1|<none>|<unknown>|<unknown>|<unknown>");
  assert_cells (&a, "", "v1", "Endpoints",
                "{" META ",\"subsets\":[{\"addresses\":[{\"ip\":\"1.1.1.1\"},{\"ip\":\"1.1.1.2\"},{\"ip\":\"fd00::1\"},{\"ip\":\"1.1.1.4\"}],\"ports\":[{"
                "\"port\":80}]}]}",
                "x|1.1.1.1:80,1.1.1.2:80,[fd00::1]:80 + 1 more...|5m");
  assert_cells (&a, "", "v1", "Event",
                "{" META ",\"type\":\"Normal\",\"reason\":\"Pulled\",\"message\":\"done \\n\",\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\",\"fieldPath\":"
                "\"spec.containers{c}\"},\"source\":{\"component\":\"kubelet\",\"host\":\"n1\"},\"firstTimestamp\":\"2026-01-02T11:59:00Z\","
                "\"lastTimestamp\":\"2026-01-02T11:59:30Z\",\"count\":2}",
                "30s|Normal|Pulled|pod/p|spec.containers{c}|kubelet, n1|done|60s|2|x");
  assert_cells (&a, "batch", "v1", "Job",
                "{" META ",\"spec\":{\"completions\":3},\"status\":{\"succeeded\":1,\"startTime\":\"2026-01-02T11:59:00Z\"}}", "x|Running|1/3|60s|5m|||<none>");
  assert_cells (&a, "storage.k8s.io", "v1", "StorageClass",
                "{\"metadata\":{\"name\":\"s\",\"annotations\":{\"storageclass.kubernetes.io/is-default-class\":\"true\"}},\"provisioner\":\"p\"}",
                "s (default)|p|Delete|Immediate|false|<unknown>");
  assert_cells (&a, "autoscaling", "v2", "HorizontalPodAutoscaler",
                "{" META ",\"spec\":{\"scaleTargetRef\":{\"kind\":\"Deployment\",\"name\":\"d\"},\"minReplicas\":1,\"maxReplicas\":5,\"metrics\":[{\"type\":"
                "\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":\"Utilization\",\"averageUtilization\":80}}}]},\"status\":{}}",
                "x|Deployment/d|cpu: <unknown>/80%|1|5|0|5m");
}

static void
test_printer_cells__every_kind_fills_its_columns (void **state)
{
  (void) state;
  const struct schema_kind *k;
  for (size_t i = 0; (k = schema_kind_at (i)); i++) {
    AUTO_ARENA struct arena a;
    arena_init (&a, 0);
    struct value *empty = value_map (&a), *cells = printer_cells (&a, k, empty, 0);
    assert_int_equal (value_count (cells), k->n_columns);
    assert_int_equal (value_count (printer_cells (&a, k, NULL, 0)), k->n_columns);
  }
}

static void
test_json_path_first__selects_as_printer_columns_do (void **state)
{
  AUTO_ARENA struct arena a;
  struct value *v = NULL;
  const char *json = "{\"spec\":{\"n\":3,\"a.b\":\"dot\"},\"list\":[{\"type\":\"A\",\"v\":1},{\"type\":\"Ready\",\"v\":2}]}";
  (void) state;
  arena_init (&a, 0);
  assert_int_equal (json_parse (&a, json, strlen (json), &v, NULL, NULL), 0);
  assert_int_equal (value_as_int (json_path_first (&a, ".spec.n", v), 0), 3);
  assert_string_equal (value_as_string (json_path_first (&a, ".spec['a.b']", v), ""), "dot");
  assert_string_equal (value_as_string (json_path_first (&a, ".spec.a\\.b", v), ""), "dot");
  assert_int_equal (value_as_int (json_path_first (&a, ".list[?(@.type==\"Ready\")].v", v), 0), 2);
  assert_int_equal (value_as_int (json_path_first (&a, ".list[-1].v", v), 0), 2);
  assert_int_equal (value_as_int (json_path_first (&a, ".list[*].v", v), 0), 1);
  assert_null (json_path_first (&a, ".list[?(@.type==\"Nope\")].v", v));
  assert_true (json_path_valid (".list[?(@.type=='Ready')].v"));
  assert_false (json_path_valid (".list[?(@.type"));
  assert_false (json_path_valid (".list[x"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_printer_age__is_kubectls),
    cmocka_unit_test (test_printer_cells__pod_status_follows_upstream),
    cmocka_unit_test (test_printer_cells__common_kinds_match_kubectl),
    cmocka_unit_test (test_printer_cells__every_kind_fills_its_columns),
    cmocka_unit_test (test_json_path_first__selects_as_printer_columns_do),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
