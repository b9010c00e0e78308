#include "tests/lib/object.h"
#include "tests/lib/test.h"

/* Each row: a minimal object, a path in it and the compact JSON that must stand there after defaulting ("" for absent). */
static const struct {
  const char *group, *version, *kind, *in, *path, *want;
} rows[] = {
#define POD(path, want) { "", "v1", "Pod", "{'metadata':{'name':'p'},'spec':{'hostNetwork':true,'serviceAccountName':'s','volumes':[{'name':'v'},{'name':'c','configMap':{'name':'c'}},{'name':'h','hostPath':{'path':'/x'}},{'name':'t','projected':{'sources':[{'serviceAccountToken':{'path':'t'}}]}}],'containers':[{'name':'a','image':'r:5000/x','ports':[{'containerPort':80}],'resources':{'limits':{'cpu':'1','memory':'1Mi'},'requests':{'cpu':'500m'}},'livenessProbe':{'httpGet':{'port':80}},'env':[{'name':'N','valueFrom':{'fieldRef':{'fieldPath':'metadata.name'}}}]},{'name':'b','image':'x:1.2'},{'name':'c','image':'x@sha256:aa'},{'name':'d','image':'x:latest'}]}}", path, want }
  POD ("spec.containers.0.imagePullPolicy", "'Always'"),
  POD ("spec.containers.1.imagePullPolicy", "'IfNotPresent'"),
  POD ("spec.containers.2.imagePullPolicy", "'IfNotPresent'"),
  POD ("spec.containers.3.imagePullPolicy", "'Always'"),
  POD ("spec.containers.0.resources.requests", "{'cpu':'500m','memory':'1Mi'}"),
  POD ("spec.containers.1.resources", "{}"),
  POD ("spec.containers.0.ports", "[{'containerPort':80,'hostPort':80,'protocol':'TCP'}]"),
  POD ("spec.containers.0.livenessProbe.httpGet", "{'port':80,'path':'/','scheme':'HTTP'}"),
  POD ("spec.containers.0.livenessProbe.failureThreshold", "3"),
  POD ("spec.containers.0.livenessProbe.timeoutSeconds", "1"),
  POD ("spec.containers.0.env.0.valueFrom.fieldRef.apiVersion", "'v1'"),
  POD ("spec.containers.0.terminationMessagePath", "'/dev/termination-log'"),
  POD ("spec.volumes.0.emptyDir", "{}"),
  POD ("spec.volumes.1.configMap.defaultMode", "420"),
  POD ("spec.volumes.2.hostPath.type", "''"),
  POD ("spec.volumes.3.projected.sources.0.serviceAccountToken.expirationSeconds", "3600"),
  POD ("spec.serviceAccount", "'s'"),
  POD ("spec.enableServiceLinks", "true"),
  POD ("spec.securityContext", "{}"),
  POD ("spec.schedulerName", "'default-scheduler'"),
  POD ("spec.terminationGracePeriodSeconds", "30"),
  POD ("spec.dnsPolicy", "'ClusterFirst'"),
  { "", "v1", "Service", "{'spec':{'ports':[{'port':80}]}}", "spec.ports", "[{'port':80,'protocol':'TCP','targetPort':80}]" },
  { "", "v1", "Service", "{'spec':{'ports':[{'port':80}]}}", "spec.internalTrafficPolicy", "'Cluster'" },
  { "", "v1", "Service", "{'spec':{'ports':[{'port':80}]}}", "spec.externalTrafficPolicy", "" },
  { "", "v1", "Service", "{'spec':{'type':'NodePort'}}", "spec.externalTrafficPolicy", "'Cluster'" },
  { "", "v1", "Service", "{'spec':{'sessionAffinity':'ClientIP'}}", "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "10800" },
  { "", "v1", "Secret", "{}", "type", "'Opaque'" },
  { "", "v1", "Namespace", "{'metadata':{'name':'n'}}", "spec.finalizers", "['kubernetes']" },
  { "", "v1", "Namespace", "{'metadata':{'name':'n'}}", "metadata.labels", "{'kubernetes.io/metadata.name':'n'}" },
  { "", "v1", "Namespace", "{'metadata':{'name':'n'}}", "status.phase", "'Active'" },
  { "", "v1", "Namespace", "{'metadata':{'name':'n','resourceVersion':'7','deletionTimestamp':'2026-01-02T03:04:05Z'}}", "spec.finalizers", "" },
  { "", "v1", "Node", "{'status':{'capacity':{'cpu':'2'}}}", "status.allocatable", "{'cpu':'2'}" },
  { "", "v1", "Endpoints", "{'subsets':[{'ports':[{'port':1}]}]}", "subsets.0.ports.0.protocol", "'TCP'" },
  { "discovery.k8s.io", "v1", "EndpointSlice", "{'ports':[{'port':1}]}", "ports.0.protocol", "'TCP'" },
  { "", "v1", "PersistentVolumeClaim", "{}", "spec.volumeMode", "'Filesystem'" },
  { "apps", "v1", "Deployment", "{'spec':{'template':{'spec':{'containers':[{'name':'a'}]}}}}", "spec.strategy",
    "{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':'25%','maxSurge':'25%'}}" },
  { "apps", "v1", "Deployment", "{'spec':{'replicas':0}}", "spec.replicas", "0" },
  { "apps", "v1", "Deployment", "{}", "spec.replicas", "1" },
  { "apps", "v1", "Deployment", "{}", "spec.progressDeadlineSeconds", "600" },
  { "apps", "v1", "Deployment", "{}", "spec.revisionHistoryLimit", "10" },
  { "apps", "v1", "Deployment", "{}", "spec.template.spec.restartPolicy", "'Always'" },
  { "apps", "v1", "Deployment", "{}", "spec.template.spec.enableServiceLinks", "" },
  { "apps", "v1", "Deployment", "{'spec':{'strategy':{'type':'Recreate'}}}", "spec.strategy", "{'type':'Recreate'}" },
  { "apps", "v1", "DaemonSet", "{}", "spec.updateStrategy", "{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':1,'maxSurge':0}}" },
  { "apps", "v1", "ReplicaSet", "{}", "spec.replicas", "1" },
  { "apps", "v1", "StatefulSet", "{}", "spec.updateStrategy", "{'type':'RollingUpdate','rollingUpdate':{'partition':0}}" },
  { "batch", "v1", "Job", "{}", "spec.completions", "1" },
  { "batch", "v1", "Job", "{'spec':{'parallelism':3}}", "spec.completions", "" },
  { "batch", "v1", "Job", "{}", "spec.backoffLimit", "6" },
  { "batch", "v1", "Job", "{}", "spec.podReplacementPolicy", "'TerminatingOrFailed'" },
  { "batch", "v1", "CronJob", "{}", "spec.jobTemplate.spec.completionMode", "" },
  { "batch", "v1", "CronJob", "{}", "spec.concurrencyPolicy", "'Allow'" },
  { "networking.k8s.io", "v1", "NetworkPolicy", "{'spec':{'egress':[{}]}}", "spec.policyTypes", "['Ingress','Egress']" },
  { "rbac.authorization.k8s.io", "v1", "RoleBinding", "{'subjects':[{'kind':'User','name':'u'}]}", "subjects.0.apiGroup",
    "'rbac.authorization.k8s.io'" },
};

static void
test_schema_default__table__as_upstream (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    AUTO_ARENA struct arena a;
    arena_init (&a, 0);
    const struct schema_kind *k = schema_kind_by_kind (rows[i].group, rows[i].version, rows[i].kind);
    const struct value *v = value_path (object_make (&a, k, rows[i].in), rows[i].path);
    const char *text = v ? object_text (&a, v) : "";
    if (strcmp (text, rows[i].want) != 0)
      fail_msg ("%s %s: %s, not %s", rows[i].kind, rows[i].path, text, rows[i].want);
  }
}

static void
test_schema_default__twice__changes_nothing_more (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    AUTO_ARENA struct arena a;
    arena_init (&a, 0);
    const struct schema_kind *k = schema_kind_by_kind (rows[i].group, rows[i].version, rows[i].kind);
    struct value *once = object_make (&a, k, rows[i].in), *twice = value_clone (&a, once);
    schema_default (&a, k, twice);
    assert_string_equal (object_text (&a, once), object_text (&a, twice));
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_schema_default__table__as_upstream),
    cmocka_unit_test (test_schema_default__twice__changes_nothing_more),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
