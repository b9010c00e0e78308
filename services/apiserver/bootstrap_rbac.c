/* Upstream's default ClusterRoles and bindings, and what kubus' own components may do, as rows: a role's rules are texts
   "verbs | groups | resources", or "verbs | urls" for paths; lists are separated by spaces, "" is the core group. */
#include "services/apiserver/bootstrap_internal.h"

#define RBAC "rbac.authorization.k8s.io"
#define READ "get list watch"
#define WRITE "create delete deletecollection patch update"
#define ALL "create delete deletecollection get list patch update watch"

#define WORKLOADS_APPS "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"
#define WORKLOADS_BATCH "cronjobs jobs"
#define CORE_EDIT "configmaps endpoints events persistentvolumeclaims pods replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy"
#define CORE_VIEW "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status"

struct role {
  const char *name;
  const char *aggregate; /* label rbac.authorization.k8s.io/aggregate-to-X, or NULL */
  const char *const *rules;
};
#define RULES(...) \
  (const char *const[]) \
  { \
    __VA_ARGS__, NULL \
  }

#define VIEW_RULES \
  READ " | . | " CORE_VIEW, READ " | . | bindings events limitranges namespaces namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status", \
      READ " | discovery.k8s.io | endpointslices", READ " | apps | controllerrevisions daemonsets/status deployments/status replicasets/status statefulsets/status " WORKLOADS_APPS, \
      READ " | batch | cronjobs/status jobs/status " WORKLOADS_BATCH, READ " | autoscaling | horizontalpodautoscalers horizontalpodautoscalers/status", \
      READ " | networking.k8s.io | ingresses ingresses/status networkpolicies", READ " | policy | poddisruptionbudgets poddisruptionbudgets/status"
#define EDIT_RULES \
  READ " | . | pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", "impersonate | . | serviceaccounts", "create | . | serviceaccounts/token pods/eviction", \
      WRITE " | . | pods pods/attach pods/exec pods/portforward pods/proxy " CORE_EDIT, WRITE " | apps | " WORKLOADS_APPS, WRITE " | batch | " WORKLOADS_BATCH, \
      WRITE " | autoscaling | horizontalpodautoscalers", WRITE " | networking.k8s.io | ingresses networkpolicies", WRITE " | policy | poddisruptionbudgets", \
      ALL " | coordination.k8s.io | leases"
#define ADMIN_RULES "create | authorization.k8s.io | localsubjectaccessreviews", ALL " | " RBAC " | rolebindings roles"

static const struct role roles[] = {
    {"cluster-admin", NULL, RULES ("* | * | *", "* | *")},
    {"view", "edit", RULES (VIEW_RULES)},
    {"edit", "admin", RULES (VIEW_RULES, EDIT_RULES)},
    {"admin", NULL, RULES (VIEW_RULES, EDIT_RULES, ADMIN_RULES)},
    {"system:discovery", NULL, RULES ("get | /api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")},
    {"system:public-info-viewer", NULL, RULES ("get | /healthz /livez /readyz /version /version/")},
    {"system:service-account-issuer-discovery", NULL, RULES ("get | /.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/")},
    {"system:basic-user", NULL,
     RULES ("create | authorization.k8s.io | selfsubjectaccessreviews selfsubjectrulesreviews", "create | authentication.k8s.io | selfsubjectreviews")},
    {"system:monitoring", NULL, RULES ("get | /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*")},
    {"system:auth-delegator", NULL, RULES ("create | authentication.k8s.io | tokenreviews", "create | authorization.k8s.io | subjectaccessreviews")},
    {"system:heapster", NULL, RULES (READ " | . | events namespaces nodes pods", READ " | apps | deployments")},
    {"system:kubelet-api-admin", NULL, RULES (READ " proxy | . | nodes", "* | . | nodes/log nodes/metrics nodes/proxy nodes/stats")},
    {"system:node-bootstrapper", NULL, RULES ("create " READ " | certificates.k8s.io | certificatesigningrequests")},
    {"system:node-problem-detector", NULL, RULES ("get | . | nodes", "patch | . | nodes/status", "create patch update | . | events")},
    {"system:node-proxier", NULL, RULES (READ " | . | services endpoints nodes", READ " | discovery.k8s.io | endpointslices", "create patch update | . events.k8s.io | events")},
    {"system:persistent-volume-provisioner", NULL,
     RULES ("create delete " READ " | . | persistentvolumes", READ " update | . | persistentvolumeclaims", READ " | storage.k8s.io | storageclasses", "watch | . | events", "create patch update | . | events")},
    {"system:kube-dns", NULL, RULES ("list watch | . | endpoints services namespaces pods", "list watch | discovery.k8s.io | endpointslices")},
    {"system:volume-scheduler", NULL, RULES (READ " patch update | . | persistentvolumes", READ " | storage.k8s.io | storageclasses", READ " patch update | . | persistentvolumeclaims")},
    {"system:kube-scheduler", NULL,
     RULES ("create patch update | . events.k8s.io | events", "create | coordination.k8s.io | leases", "get update patch list watch delete | coordination.k8s.io | leases", READ " | . | nodes namespaces",
            "delete " READ " | . | pods", "create | . | bindings pods/binding", "patch update | . | pods/status", READ " | . | replicationcontrollers services persistentvolumeclaims persistentvolumes",
            READ " | apps | replicasets statefulsets", READ " | policy | poddisruptionbudgets", READ " | storage.k8s.io | csinodes csidrivers csistoragecapacities storageclasses")},
    {"system:kube-controller-manager", NULL,
     RULES (READ " | * | *", ALL " | . events.k8s.io | events pods pods/status pods/finalizers endpoints serviceaccounts configmaps replicationcontrollers resourcequotas",
            "delete deletecollection update patch | * | *", "patch update | . | namespaces/finalize namespaces/status nodes nodes/status replicationcontrollers/status services/status resourcequotas/status persistentvolumes/status persistentvolumeclaims/status",
            ALL " | apps | * ", ALL " | batch | *", ALL " | discovery.k8s.io | endpointslices", ALL " | coordination.k8s.io | leases", "patch update | policy | poddisruptionbudgets/status",
            "patch update | autoscaling | horizontalpodautoscalers/status", "create | . | serviceaccounts/token pods/eviction", "create | authentication.k8s.io | tokenreviews",
            "create | authorization.k8s.io | subjectaccessreviews", "patch update | certificates.k8s.io | certificatesigningrequests/status certificatesigningrequests/approval")},
    {"system:node", NULL, RULES ("create | authentication.k8s.io | tokenreviews", "create | authorization.k8s.io | localsubjectaccessreviews subjectaccessreviews", READ " | . | services")},
};

static const struct {
  const char *name, *role, *kind, *subject;
} bindings[] = {
    {"cluster-admin", "cluster-admin", "Group", "system:masters"},
    {"system:discovery", "system:discovery", "Group", "system:authenticated"},
    {"system:basic-user", "system:basic-user", "Group", "system:authenticated"},
    {"system:public-info-viewer", "system:public-info-viewer", "Group", "system:authenticated"},
    {"system:public-info-viewer:anonymous", "system:public-info-viewer", "Group", "system:unauthenticated"},
    {"system:service-account-issuer-discovery", "system:service-account-issuer-discovery", "Group", "system:serviceaccounts"},
    {"system:monitoring", "system:monitoring", "Group", "system:monitoring"},
    {"system:node-proxier", "system:node-proxier", "User", "system:kube-proxy"},
    {"system:kube-scheduler", "system:kube-scheduler", "User", "system:kube-scheduler"},
    {"system:volume-scheduler", "system:volume-scheduler", "User", "system:kube-scheduler"},
    {"system:kube-controller-manager", "system:kube-controller-manager", "User", "system:kube-controller-manager"},
    {"system:kube-dns", "system:kube-dns", "User", "system:kube-dns"},
};

/* The words of one part of a rule as a list; "." stands for the core group "". */
static struct value *
words (struct arena *a, const char *text, size_t n, bool groups)
{
  struct value *list = value_array (a);
  for (size_t i = 0; i < n;) {
    size_t w = 0;
    while (i < n && text[i] == ' ')
      i++;
    while (i + w < n && text[i + w] != ' ')
      w++;
    if (w)
      value_append (a, list, groups && w == 1 && text[i] == '.' ? value_string (a, "") : value_string_n (a, text + i, w));
    i += w;
  }
  return list;
}

static struct value *
rule (struct arena *a, const char *text)
{
  struct value *v = value_map (a);
  const char *bar = strchr (text, '|'), *second = bar ? strchr (bar + 1, '|') : NULL;
  REQUIRE (bar);
  value_set (a, v, "verbs", words (a, text, (size_t) (bar - text), false));
  if (!second) {
    value_set (a, v, "nonResourceURLs", words (a, bar + 1, strlen (bar + 1), false));
    return v;
  }
  value_set (a, v, "apiGroups", words (a, bar + 1, (size_t) (second - bar - 1), true));
  value_set (a, v, "resources", words (a, second + 1, strlen (second + 1), false));
  return v;
}

static void
mark (struct arena *a, struct value *obj)
{
  struct value *meta = value_get (obj, "metadata");
  value_set_string (a, value_ensure_map (a, meta, "labels"), "kubernetes.io/bootstrapping", "rbac-defaults");
  value_set_string (a, value_ensure_map (a, meta, "annotations"), RBAC "/autoupdate", "true");
}

void
bootstrap_rbac (struct bootstrap_objects *os)
{
  struct arena *a = os->arena;
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
    struct value *v = bootstrap_object_new (a, RBAC "/v1", "ClusterRole", NULL, roles[i].name), *rules = value_ensure_array (a, v, "rules");
    mark (a, v);
    if (roles[i].aggregate)
      value_set (a, value_path (v, "metadata.labels"), arena_printf (a, RBAC "/aggregate-to-%s", roles[i].aggregate), value_string (a, "true"));
    for (const char *const *r = roles[i].rules; *r; r++)
      value_append (a, rules, rule (a, *r));
    bootstrap_add (os, "/apis/" RBAC "/v1/clusterroles", v);
  }
  for (size_t i = 0; i < sizeof bindings / sizeof bindings[0]; i++) {
    struct value *v = bootstrap_object_new (a, RBAC "/v1", "ClusterRoleBinding", NULL, bindings[i].name), *ref = value_ensure_map (a, v, "roleRef"), *subject = value_map (a);
    mark (a, v);
    value_set_string (a, ref, "apiGroup", RBAC);
    value_set_string (a, ref, "kind", "ClusterRole");
    value_set_string (a, ref, "name", bindings[i].role);
    value_set_string (a, subject, "apiGroup", RBAC);
    value_set_string (a, subject, "kind", bindings[i].kind);
    value_set_string (a, subject, "name", bindings[i].subject);
    value_append (a, value_ensure_array (a, v, "subjects"), subject);
    bootstrap_add (os, "/apis/" RBAC "/v1/clusterrolebindings", v);
  }
}
