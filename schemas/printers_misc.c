/* Rows of networking, access, storage classes and extension kinds; upstream's pkg/printers/internalversion decides each cell. */
#include <stdlib.h>
#include <string.h>

#include "schemas/printers_internal.h"

static void
bool_cell (struct row *r, const char *path, bool otherwise)
{
  row_bool (r, value_path_bool (r->obj, path, otherwise));
}

static const char *
joined (struct row *r, const struct value *array, const char *none)
{
  struct text_list list = {.arena = r->arena};
  for (value_items (array, it))
    text_list_add (&list, ",", value_as_string (*it, ""));
  return list.count ? list.text : none;
}

/* ---- networking.k8s.io ---- */
static const char *
ingress_hosts (struct row *r)
{
  struct text_list list = {.arena = r->arena};
  size_t total = 0;
  for (value_items (value_path (r->obj, "spec.rules"), it)) {
    const char *host = value_path_string (*it, "host", "");
    if (*host && total++ < 3)
      text_list_add (&list, ",", host);
  }
  if (!total)
    return "*";
  return total > 3 ? arena_printf (r->arena, "%s + %zu more...", list.text, total - 3) : list.text;
}

static void
print_ingress (struct row *r)
{
  struct text_list addresses = {.arena = r->arena, .text = ""};
  for (value_items (value_path (r->obj, "status.loadBalancer.ingress"), it)) {
    const char *address = value_path_string (*it, "ip", value_path_string (*it, "hostname", ""));
    if (*address)
      text_list_add (&addresses, ",", address);
  }
  row_path (r, "spec.ingressClassName", "<none>");
  row_string (r, ingress_hosts (r));
  row_string (r, addresses.text);
  row_string (r, value_count (value_path (r->obj, "spec.tls")) ? "80, 443" : "80");
  row_age (r);
}

static void
print_ingress_class (struct row *r)
{
  const struct value *p = value_path (r->obj, "spec.parameters");
  const char *group = value_path_string (p, "apiGroup", NULL);
  row_path (r, "spec.controller", "");
  if (!value_is (p, VALUE_MAP))
    row_string (r, "<none>");
  else
    row_printf (r, "%s%s%s/%s", value_path_string (p, "kind", ""), group ? "." : "", group ? group : "", value_path_string (p, "name", ""));
  row_age (r);
}

static void
print_network_policy (struct row *r)
{
  row_string (r, print_selector (r->arena, value_path (r->obj, "spec.podSelector")));
  row_age (r);
}

static void
print_ip_address (struct row *r)
{
  const struct value *p = value_path (r->obj, "spec.parentRef");
  const char *group = value_path_string (p, "group", ""), *namespace_ = value_path_string (p, "namespace", "");
  if (value_is (p, VALUE_MAP))
    row_printf (r, "%s%s%s/%s%s%s", value_path_string (p, "resource", ""), *group ? "." : "", group, namespace_, *namespace_ ? "/" : "",
                value_path_string (p, "name", ""));
  else
    row_string (r, "<none>");
  row_age (r);
}

static void
print_service_cidr (struct row *r)
{
  row_string (r, joined (r, value_path (r->obj, "spec.cidrs"), ""));
  row_age (r);
}

/* ---- access ---- */
static void
print_binding (struct row *r)
{
  struct text_list users = {.arena = r->arena, .text = ""}, groups = users, accounts = users;
  for (value_items (value_get (r->obj, "subjects"), it)) {
    const char *kind = value_path_string (*it, "kind", ""), *name = value_path_string (*it, "name", "");
    if (strcmp (kind, "User") == 0)
      text_list_add (&users, ", ", name);
    else if (strcmp (kind, "Group") == 0)
      text_list_add (&groups, ", ", name);
    else if (strcmp (kind, "ServiceAccount") == 0) {
      const char *text = arena_printf (r->arena, "%s/%s", value_path_string (*it, "namespace", ""), name);
      text_list_add (&accounts, ", ", text ? text : "");
    }
  }
  row_printf (r, "%s/%s", value_path_string (r->obj, "roleRef.kind", ""), value_path_string (r->obj, "roleRef.name", ""));
  row_age (r);
  row_string (r, users.text);
  row_string (r, groups.text);
  row_string (r, accounts.text);
}

static void
print_signing_request (struct row *r)
{
  bool denied = false, approved = false, failed = false;
  const struct value *seconds = value_path (r->obj, "spec.expirationSeconds");
  for (value_items (value_path (r->obj, "status.conditions"), it)) {
    const char *type = value_path_string (*it, "type", "");
    denied = denied || strcmp (type, "Denied") == 0;
    approved = approved || strcmp (type, "Approved") == 0;
    failed = failed || strcmp (type, "Failed") == 0;
  }
  row_age (r);
  row_path (r, "spec.signerName", "<none>");
  row_path (r, "spec.username", "");
  row_string (r, value_is_null (seconds) ? "<none>" : print_duration (r->arena, value_as_int (seconds, 0)));
  row_printf (r, "%s%s%s", denied ? "Denied" : approved ? "Approved" : "Pending", failed ? ",Failed" : "",
              *value_path_string (r->obj, "status.certificate", "") ? ",Issued" : "");
}

/* ---- leases, classes ---- */
static void
print_lease (struct row *r)
{
  row_path (r, "spec.holderIdentity", "");
  row_age (r);
}

static void
print_priority_class (struct row *r)
{
  row_int (r, value_path_int (r->obj, "value", 0));
  bool_cell (r, "globalDefault", false);
  row_age (r);
  row_path (r, "preemptionPolicy", "");
}

static void
print_runtime_class (struct row *r)
{
  row_path (r, "handler", "");
  row_age (r);
}

/* ---- storage.k8s.io ---- */
static bool
is_default_class (const struct value *annotations)
{
  return value_string_is (value_get (annotations, "storageclass.kubernetes.io/is-default-class"), "true")
         || value_string_is (value_get (annotations, "storageclass.beta.kubernetes.io/is-default-class"), "true");
}

static void
print_storage_class (struct row *r)
{
  if (is_default_class (value_path (r->obj, "metadata.annotations"))) { /* the name's cell says so */
    value_remove_at (r->cells, 0);
    row_printf (r, "%s (default)", value_path_string (r->obj, "metadata.name", ""));
  }
  row_path (r, "provisioner", "");
  row_path (r, "reclaimPolicy", "Delete");
  row_path (r, "volumeBindingMode", "Immediate");
  bool_cell (r, "allowVolumeExpansion", false);
  row_age (r);
}

static void
print_volume_attachment (struct row *r)
{
  row_path (r, "spec.attacher", "");
  row_path (r, "spec.source.persistentVolumeName", "");
  row_path (r, "spec.nodeName", "");
  bool_cell (r, "status.attached", false);
  row_age (r);
}

static void
print_csi_node (struct row *r)
{
  row_count (r, "spec.drivers");
  row_age (r);
}

static void
print_csi_driver (struct row *r)
{
  struct text_list audiences = {.arena = r->arena, .text = "<unset>"};
  for (value_items (value_path (r->obj, "spec.tokenRequests"), it))
    text_list_add (&audiences, ",", value_path_string (*it, "audience", ""));
  bool_cell (r, "spec.attachRequired", true);
  bool_cell (r, "spec.podInfoOnMount", false);
  bool_cell (r, "spec.storageCapacity", false);
  row_string (r, audiences.text);
  bool_cell (r, "spec.requiresRepublish", false);
  row_string (r, joined (r, value_path (r->obj, "spec.volumeLifecycleModes"), "<none>"));
  row_age (r);
}

static void
print_csi_capacity (struct row *r)
{
  row_path (r, "storageClassName", "");
  row_path (r, "capacity", "<unset>");
  row_age (r);
}

/* ---- admission ---- */
static void
print_webhooks (struct row *r)
{
  row_count (r, "webhooks");
  row_age (r);
}

static void
print_admission_policy (struct row *r)
{
  const struct value *param = value_path (r->obj, "spec.paramKind");
  row_count (r, "spec.validations");
  if (value_is (param, VALUE_MAP))
    row_printf (r, "%s/%s", value_path_string (param, "apiVersion", ""), value_path_string (param, "kind", ""));
  else
    row_string (r, "<unset>");
  row_age (r);
}

static void
print_admission_binding (struct row *r)
{
  const struct value *param = value_path (r->obj, "spec.paramRef");
  const char *namespace_ = value_path_string (param, "namespace", "*"), *name = value_path_string (param, "name", "");
  row_path (r, "spec.policyName", "");
  if (!value_is (param, VALUE_MAP))
    row_string (r, "<unset>");
  else
    row_printf (r, "%s/%s", namespace_, *name ? name : print_selector (r->arena, value_get (param, "selector")));
  row_age (r);
}

/* ---- flow control ---- */
static void
print_flow_schema (struct row *r)
{
  const char *dangling = "?";
  for (value_items (value_path (r->obj, "status.conditions"), it))
    if (strcmp (value_path_string (*it, "type", ""), "Dangling") == 0)
      dangling = value_path_string (*it, "status", "?");
  row_path (r, "spec.priorityLevelConfiguration.name", "");
  row_int (r, value_path_int (r->obj, "spec.matchingPrecedence", 0));
  row_path (r, "spec.distinguisherMethod.type", "<none>");
  row_age (r);
  row_string (r, dangling);
}

static void
number_or_none (struct row *r, const char *path)
{
  const struct value *v = value_path (r->obj, path);
  if (value_is_null (v))
    row_string (r, "<none>");
  else
    row_int (r, value_as_int (v, 0));
}

static void
print_priority_level (struct row *r)
{
  bool exempt = strcmp (value_path_string (r->obj, "spec.type", ""), "Exempt") == 0;
  row_path (r, "spec.type", "");
  number_or_none (r, exempt ? "spec.exempt.nominalConcurrencyShares" : "spec.limited.nominalConcurrencyShares");
  number_or_none (r, "spec.limited.limitResponse.queuing.queues");
  number_or_none (r, "spec.limited.limitResponse.queuing.handSize");
  number_or_none (r, "spec.limited.limitResponse.queuing.queueLengthLimit");
  row_age (r);
}

/* ---- extensions ---- */
static void
print_api_service (struct row *r)
{
  const struct value *service = value_path (r->obj, "spec.service"), *available = NULL;
  for (value_items (value_path (r->obj, "status.conditions"), it))
    if (strcmp (value_path_string (*it, "type", ""), "Available") == 0)
      available = *it;
  if (value_is (service, VALUE_MAP))
    row_printf (r, "%s/%s", value_path_string (service, "namespace", ""), value_path_string (service, "name", ""));
  else
    row_string (r, "Local");
  const char *status = value_path_string (available, "status", "Unknown");
  if (strcmp (status, "True") == 0)
    row_string (r, status);
  else
    row_printf (r, "%s (%s)", status, value_path_string (available, "reason", ""));
  row_age (r);
}

const struct row_printer row_printers_misc[] = {
  {"networking.k8s.io", "Ingress", print_ingress},
  {"networking.k8s.io", "IngressClass", print_ingress_class},
  {"networking.k8s.io", "NetworkPolicy", print_network_policy},
  {"networking.k8s.io", "IPAddress", print_ip_address},
  {"networking.k8s.io", "ServiceCIDR", print_service_cidr},
  {"rbac.authorization.k8s.io", "RoleBinding", print_binding},
  {"rbac.authorization.k8s.io", "ClusterRoleBinding", print_binding},
  {"certificates.k8s.io", "CertificateSigningRequest", print_signing_request},
  {"coordination.k8s.io", "Lease", print_lease},
  {"scheduling.k8s.io", "PriorityClass", print_priority_class},
  {"node.k8s.io", "RuntimeClass", print_runtime_class},
  {"storage.k8s.io", "StorageClass", print_storage_class},
  {"storage.k8s.io", "VolumeAttachment", print_volume_attachment},
  {"storage.k8s.io", "CSINode", print_csi_node},
  {"storage.k8s.io", "CSIDriver", print_csi_driver},
  {"storage.k8s.io", "CSIStorageCapacity", print_csi_capacity},
  {"admissionregistration.k8s.io", "MutatingWebhookConfiguration", print_webhooks},
  {"admissionregistration.k8s.io", "ValidatingWebhookConfiguration", print_webhooks},
  {"admissionregistration.k8s.io", "ValidatingAdmissionPolicy", print_admission_policy},
  {"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", print_admission_binding},
  {"flowcontrol.apiserver.k8s.io", "FlowSchema", print_flow_schema},
  {"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", print_priority_level},
  {"apiregistration.k8s.io", "APIService", print_api_service},
  {0},
};
