#include "services/store/access.h"

#include <string.h>

enum who { USER, GROUP };
static const struct row {
  enum who who;
  const char *name;    /* user, or prefix of one when it ends in '*'; or group */
  const char *methods; /* space separated, '*' at an end allowed */
  const char *streams;
} rows[] = {
    {GROUP, "kubus:apiservers", "store.* stream.*", "*"},
    {GROUP, "system:masters", "store.* stream.*", "*"},
    {GROUP, "kubus:stores", "raft", ""},
    {USER, "system:kube-controller-manager", "stream.*",
     "pods nodes namespaces services endpoints configmaps serviceaccounts replicationcontrollers resourcequotas limitranges persistentvolumes "
     "persistentvolumeclaims events podtemplates deployments.* replicasets.* daemonsets.* statefulsets.* controllerrevisions.* jobs.* cronjobs.* "
     "endpointslices.* leases.* horizontalpodautoscalers.* poddisruptionbudgets.* clusterroles.* clusterrolebindings.* roles.* rolebindings.* "
     "certificatesigningrequests.* ingresses.* ingressclasses.* networkpolicies.* storageclasses.* volumeattachments.* csidrivers.* csinodes.* "
     "priorityclasses.* runtimeclasses.* customresourcedefinitions.* apiservices.* secrets ipaddresses.* servicecidrs.* csistoragecapacities.* "
     "mutatingwebhookconfigurations.* mutatingadmissionpolicies.* mutatingadmissionpolicybindings.* validatingwebhookconfigurations.* "
     "validatingadmissionpolicies.* validatingadmissionpolicybindings.* flowschemas.* prioritylevelconfigurations.*"},
    {USER, "system:kube-scheduler", "stream.*",
     "pods nodes namespaces persistentvolumes persistentvolumeclaims replicationcontrollers services replicasets.* statefulsets.* storageclasses.* "
     "csinodes.* csidrivers.* poddisruptionbudgets.* priorityclasses.* leases.*"},
    {USER, "system:kube-proxy", "stream.*", "services endpointslices.* nodes"},
    {USER, "system:kube-dns", "stream.*", "services endpointslices.* namespaces pods"},
    {USER, "system:node:*", "stream.*", "@pods.spec.nodeName/$NODE services runtimeclasses.*"},
};

/* True when text is one of the words; a word's final '*' stands for any rest, "$NODE" for node. */
static bool
listed (const char *words, const char *text, const char *node)
{
  while (*words) {
    size_t n = strcspn (words, " ");
    const char *var = memmem (words, n, "$NODE", 5);
    if (var) {
      size_t head = (size_t) (var - words);
      if (node && !strncmp (text, words, head) && !strcmp (text + head, node))
        return true;
    } else if (n && words[n - 1] == '*' ? !strncmp (text, words, n - 1) : strlen (text) == n && !memcmp (text, words, n)) {
      return true;
    }
    words += n + (words[n] == ' ');
  }
  return false;
}

static bool
matches (const struct row *r, const struct bus_peer *peer)
{
  if (r->who == USER)
    return listed (r->name, peer->user, NULL);
  for (const char *const *g = peer->groups; g && *g; g++)
    if (!strcmp (*g, r->name))
      return true;
  return false;
}

static const char *
node_of (const struct bus_peer *peer)
{
  static const char prefix[] = "system:node:";
  return strncmp (peer->user, prefix, sizeof prefix - 1) ? NULL : peer->user + sizeof prefix - 1;
}

bool
access_may_call (const struct bus_peer *peer, const char *method)
{
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (matches (&rows[i], peer) && listed (rows[i].methods, method, NULL))
      return true;
  return false;
}

bool
access_may_read (const struct bus_peer *peer, const char *stream)
{
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (matches (&rows[i], peer) && listed (rows[i].streams, stream, node_of (peer)))
      return true;
  return false;
}
