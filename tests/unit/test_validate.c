#include "tests/lib/object.h"
#include "tests/lib/test.h"

#define META "'metadata':{'name':'a','namespace':'d'}"
#define C "{'name':'c','image':'i'}"
#define TEMPLATE "'selector':{'matchLabels':{'x':'y'}},'template':{'metadata':{'labels':{'x':'y'}},'spec':{'containers':[" C "]}}"
#define POD(rest) "{" META ",'spec':{'containers':[" C "]" rest "}}"
#define CONTAINER(rest) "{" META ",'spec':{'containers':[{'name':'c','image':'i'" rest "}]}}"
#define SERVICE(rest) "{" META ",'spec':{'ports':[{'port':80}]" rest "}}"

/* reason NULL: a good object. Otherwise the first cause. */
static const struct {
  const char *group, *kind, *obj, *old, *reason, *field, *message;
} rows[] = {
  { "", "Pod", POD (""), NULL, NULL, NULL, NULL },
  { "", "Service", SERVICE (""), NULL, NULL, NULL, NULL },
  { "", "Namespace", "{'metadata':{'name':'n'}}", NULL, NULL, NULL, NULL },
  { "", "Node", "{'metadata':{'name':'n'},'status':{'capacity':{'cpu':'2'}}}", NULL, NULL, NULL, NULL },
  { "", "ConfigMap", "{" META ",'data':{'k':'v'}}", NULL, NULL, NULL, NULL },
  { "", "Secret", "{" META ",'data':{'k':'aGk='}}", NULL, NULL, NULL, NULL },
  { "", "ServiceAccount", "{" META "}", NULL, NULL, NULL, NULL },
  { "", "Event", "{" META ",'involvedObject':{'namespace':'d'},'reason':'R'}", NULL, NULL, NULL, NULL },
  { "", "Endpoints", "{" META ",'subsets':[{'addresses':[{'ip':'10.0.0.1'}],'ports':[{'port':1}]}]}", NULL, NULL, NULL, NULL },
  { "discovery.k8s.io", "EndpointSlice", "{" META ",'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1']}],'ports':[{'port':1}]}", NULL, NULL, NULL, NULL },
  { "coordination.k8s.io", "Lease", "{" META ",'spec':{'leaseDurationSeconds':15}}", NULL, NULL, NULL, NULL },
  { "apps", "Deployment", "{" META ",'spec':{" TEMPLATE "}}", NULL, NULL, NULL, NULL },
  { "apps", "ReplicaSet", "{" META ",'spec':{" TEMPLATE "}}", NULL, NULL, NULL, NULL },
  { "apps", "DaemonSet", "{" META ",'spec':{" TEMPLATE "}}", NULL, NULL, NULL, NULL },
  { "apps", "StatefulSet", "{" META ",'spec':{'serviceName':'s'," TEMPLATE "}}", NULL, NULL, NULL, NULL },
  { "batch", "Job", "{" META ",'spec':{'selector':{'matchLabels':{'x':'y'}},'template':{'metadata':{'labels':{'x':'y'}},'spec':{'restartPolicy':'Never','containers':[" C "]}}}}", NULL, NULL, NULL, NULL },
  { "batch", "CronJob", "{" META ",'spec':{'schedule':'*/5 1-3 * jan mon,tue','jobTemplate':{'spec':{'template':{'spec':{'restartPolicy':'Never','containers':[" C "]}}}}}}", NULL, NULL, NULL, NULL },

  { "", "Pod", "{'metadata':{'namespace':'d'},'spec':{'containers':[" C "]}}", NULL, "FieldValueRequired", "metadata.name",
    "Required value: name or generateName is required" },
  { "", "Pod", "{'metadata':{'name':'A','namespace':'d'},'spec':{'containers':[" C "]}}", NULL, "FieldValueInvalid", "metadata.name",
    "Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')" },
  { "", "Pod", "{" META ",'spec':{}}", NULL, "FieldValueRequired", "spec.containers", "Required value" },
  { "", "Pod", "{" META ",'spec':{'containers':[{'name':'c'}]}}", NULL, "FieldValueRequired", "spec.containers[0].image", "Required value" },
  { "", "Pod", "{" META ",'spec':{'containers':[" C "," C "]}}", NULL, "FieldValueDuplicate", "spec.containers[1].name", "Duplicate value: \"c\"" },
  { "", "Pod", POD (",'restartPolicy':'Sometimes'"), NULL, "FieldValueNotSupported", "spec.restartPolicy",
    "Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"" },
  { "", "Pod", CONTAINER (",'volumeMounts':[{'name':'v','mountPath':'/x'}]"), NULL, "FieldValueNotFound", "spec.containers[0].volumeMounts[0].name",
    "Not found: \"v\"" },
  { "", "Pod", CONTAINER (",'ports':[{'containerPort':70000}]"), NULL, "FieldValueInvalid", "spec.containers[0].ports[0].containerPort",
    "Invalid value: 70000: must be between 1 and 65535, inclusive" },
  { "", "Pod", CONTAINER (",'resources':{'limits':{'cpu':'1'},'requests':{'cpu':'2'}}"), NULL, "FieldValueInvalid", "spec.containers[0].resources.requests",
    "Invalid value: \"2\": must be less than or equal to cpu limit of 1" },
  { "", "Pod", CONTAINER (",'resources':{'limits':{'cpu':'-1'}}"), NULL, "FieldValueInvalid", "spec.containers[0].resources.limits[cpu]",
    "Invalid value: \"-1\": must be greater than or equal to 0" },
  { "", "Pod", CONTAINER (",'livenessProbe':{}"), NULL, "FieldValueRequired", "spec.containers[0].livenessProbe", "Required value: must specify a handler type" },
  { "", "Pod", POD (",'tolerations':[{'operator':'Equal'}]"), NULL, "FieldValueInvalid", "spec.tolerations[0].operator",
    "Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"" },
  { "", "Pod", POD (",'volumes':[{'name':'v','hostPath':{'path':'/a/../b'}}]"), NULL, "FieldValueInvalid", "spec.volumes[0].hostPath.path",
    "Invalid value: \"/a/../b\": must not contain '..'" },
  { "", "Pod", POD (",'nodeName':'n2'"), POD (",'nodeName':'n1'"), "FieldValueForbidden", "spec",
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it "
    "to be set to 1 if it was previously negative)" },
  { "", "Pod", "{" META ",'spec':{'containers':[{'name':'c','image':'j'}]}}", "{" META ",'spec':{'containers':[{'name':'c','image':'i','imagePullPolicy':'Always'}]}}", NULL, NULL, NULL },
  { "", "Service", "{" META ",'spec':{}}", NULL, "FieldValueRequired", "spec.ports", "Required value" },
  { "", "Service", SERVICE (",'type':'Other'"), NULL, "FieldValueNotSupported", "spec.type",
    "Unsupported value: \"Other\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"" },
  { "", "Service", SERVICE (",'clusterIP':'10.0.0.2'"), SERVICE (",'clusterIP':'10.0.0.1'"), "FieldValueInvalid", "spec.clusterIPs[0]",
    "Invalid value: [\"10.0.0.2\"]: may not change once set" },
  { "", "ConfigMap", "{" META ",'data':{'a b':'v'}}", NULL, "FieldValueInvalid", "data[a b]",
    "Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')" },
  { "", "ConfigMap", "{" META ",'immutable':true,'data':{'k':'2'}}", "{" META ",'immutable':true,'data':{'k':'1'}}", "FieldValueForbidden", "data",
    "Forbidden: field is immutable when `immutable` is set" },
  { "", "Secret", "{" META ",'type':'b'}", "{" META ",'type':'a'}", "FieldValueInvalid", "type", "Invalid value: \"b\": field is immutable" },
  { "", "Secret", "{" META ",'type':'kubernetes.io/tls'}", NULL, "FieldValueRequired", "data[tls.crt]", "Required value" },
  { "apps", "Deployment", "{" META ",'spec':{'selector':{'matchLabels':{'x':'z'}},'template':{'metadata':{'labels':{'x':'y'}},'spec':{'containers':[" C "]}}}}",
    NULL, "FieldValueInvalid", "spec.template.metadata.labels", "Invalid value: {\"x\":\"y\"}: `selector` does not match template `labels`" },
  { "apps", "Deployment", "{" META ",'spec':{'replicas':-1," TEMPLATE "}}", NULL, "FieldValueInvalid", "spec.replicas",
    "Invalid value: -1: must be greater than or equal to 0" },
  { "apps", "Deployment", "{" META ",'spec':{" TEMPLATE "}}",
    "{" META ",'spec':{'selector':{'matchLabels':{'x':'old'}},'template':{'metadata':{'labels':{'x':'old'}},'spec':{'containers':[" C "]}}}}",
    "FieldValueInvalid", "spec.selector", "Invalid value: {\"matchLabels\":{\"x\":\"y\"}}: field is immutable" },
  { "batch", "Job", "{" META ",'spec':{'selector':{'matchLabels':{'x':'y'}},'template':{'metadata':{'labels':{'x':'y'}},'spec':{'containers':[" C "]}}}}", NULL,
    "FieldValueRequired", "spec.template.spec.restartPolicy", "Required value: valid values: \"OnFailure\", \"Never\"" },
  { "", "Node", "{'metadata':{'name':'n','namespace':'d'}}", NULL, "FieldValueForbidden", "metadata.namespace", "Forbidden: not allowed on this type" },
  { "", "ServiceAccount", "{'metadata':{'name':'a','namespace':'d','labels':{'a b':'c'}}}", NULL, "FieldValueInvalid", "metadata.labels", NULL },
  { "", "ServiceAccount", "{'metadata':{'name':'b','namespace':'d'}}", "{" META "}", "FieldValueInvalid", "metadata.name", "Invalid value: \"b\": field is immutable" },
  { "coordination.k8s.io", "Lease", "{" META ",'spec':{'leaseDurationSeconds':0}}", NULL, "FieldValueInvalid", "spec.leaseDurationSeconds",
    "Invalid value: 0: must be greater than 0" },
  { "discovery.k8s.io", "EndpointSlice", "{" META ",'addressType':'IPv4','endpoints':[{'addresses':['fe80::1']}]}", NULL, "FieldValueInvalid",
    "endpoints[0].addresses[0]", "Invalid value: \"fe80::1\": must be a valid IPv4 address" },
};

static void
check_row (size_t i)
{
  AUTO_ARENA struct arena a;
  arena_init (&a, 0);
  const struct schema_kind *k = schema_kind_by_kind (rows[i].group, "v1", rows[i].kind);
  struct value *obj = object_make (&a, k, rows[i].obj), *old = rows[i].old ? object_make (&a, k, rows[i].old) : NULL;
  struct schema_causes causes = { &a, NULL, 0, 0 };
  schema_validate (k, obj, old, "", &causes);
  if (!rows[i].reason) {
    if (causes.count > 0)
      fail_msg ("row %zu: %s: %s", i, causes.items[0].field, causes.items[0].message);
    return;
  }
  if (causes.count == 0)
    fail_msg ("row %zu: no cause, not %s", i, rows[i].field);
  assert_string_equal (causes.items[0].field, rows[i].field);
  assert_string_equal (causes.items[0].reason, rows[i].reason);
  if (rows[i].message)
    assert_string_equal (causes.items[0].message, rows[i].message);
}

static void
test_schema_validate__table__gives_upstream_causes (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    check_row (i);
}

static void
test_schema_validate__empty_object_of_each_kind__does_not_crash (void **state)
{
  (void) state;
  for (size_t i = 0; schema_kind_at (i); i++) {
    AUTO_ARENA struct arena a;
    arena_init (&a, 0);
    const struct schema_kind *k = schema_kind_at (i);
    struct value *obj = value_map (&a), *old = object_make (&a, k, "{}");
    struct schema_causes causes = { &a, NULL, 0, 0 };
    schema_validate (k, obj, NULL, "", &causes);
    schema_validate (k, obj, old, "", &causes);
    schema_validate (k, old, obj, "status", &causes);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_schema_validate__table__gives_upstream_causes),
    cmocka_unit_test (test_schema_validate__empty_object_of_each_kind__does_not_crash),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
