#include <arpa/inet.h>

#include "services/dns/dns_decide.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

/* BEFORE: the cluster that every question meets. */
static const char *const services[] = {
  "{'metadata':{'name':'web','namespace':'d'},'spec':{'clusterIP':'10.96.0.80','clusterIPs':['10.96.0.80','fd00::80'],'ports':[{'name':'http','port':80,'protocol':'TCP'},{'name':'dns','port':53,'protocol':'UDP'}]}}",
  "{'metadata':{'name':'db','namespace':'d'},'spec':{'clusterIP':'None','ports':[{'name':'sql','port':5432}]}}",
  "{'metadata':{'name':'empty','namespace':'d'},'spec':{'clusterIP':'None'}}",
  "{'metadata':{'name':'out','namespace':'d'},'spec':{'type':'ExternalName','externalName':'Example.com.'}}",
  "{'metadata':{'name':'alias','namespace':'d'},'spec':{'type':'ExternalName','externalName':'web.d.svc.cluster.local'}}",
  "{'metadata':{'name':'loop','namespace':'d'},'spec':{'type':'ExternalName','externalName':'loop.d.svc.cluster.local'}}",
};
static const char *const slices[] = {
  "{'metadata':{'name':'db-1','namespace':'d','labels':{'kubernetes.io/service-name':'db'}},'addressType':'IPv4','ports':[{'name':'sql','port':5432,'protocol':'TCP'}],"
  "'endpoints':[{'addresses':['10.244.0.2'],'hostname':'db-0'},{'addresses':['10.244.0.3']},{'addresses':['10.244.0.4'],'conditions':{'ready':false}}]}",
};
#define N(array) (sizeof array / sizeof *array)

/* COMPUTE: question. AFTER: rcode and records, additional ones after "+", or "forward", "chase". */
static const struct {
  const char *name;
  uint16_t type;
  const char *after;
} rows[] = {
  { "web.d.svc.cluster.local", DNS_A, "0 A 10.96.0.80" },
  { "web.d.svc.cluster.local", DNS_AAAA, "0 AAAA fd00::80" },
  { "web.d.svc.cluster.local", DNS_TXT, "0 SOA" },
  { "nope.d.svc.cluster.local", DNS_A, "3 SOA" },
  { "x.y.z.web.d.svc.cluster.local", DNS_A, "3 SOA" },
  { "d.svc.cluster.local", DNS_A, "0 SOA" },
  { "nope.svc.cluster.local", DNS_A, "3 SOA" },
  { "svc.cluster.local", DNS_A, "0 SOA" },
  { "cluster.local", DNS_A, "0 SOA" },
  { "cluster.local", DNS_SOA, "0 = SOA" },
  { "cluster.local", DNS_NS, "0 NS ns.dns.cluster.local" },
  { "other.cluster.local", DNS_A, "3 SOA" },
  { "dns-version.cluster.local", DNS_TXT, "0 TXT 1.1.0" },
  { "db.d.svc.cluster.local", DNS_A, "0 A 10.244.0.2 A 10.244.0.3" },
  { "db.d.svc.cluster.local", DNS_AAAA, "0 SOA" },
  { "empty.d.svc.cluster.local", DNS_A, "0 SOA" },
  { "db-0.db.d.svc.cluster.local", DNS_A, "0 A 10.244.0.2" },
  { "10-244-0-3.db.d.svc.cluster.local", DNS_A, "0 A 10.244.0.3" },
  { "db-9.db.d.svc.cluster.local", DNS_A, "3 SOA" },
  { "_http._tcp.web.d.svc.cluster.local", DNS_SRV, "0 SRV 80 web.d.svc.cluster.local + A 10.96.0.80 AAAA fd00::80" },
  { "_dns._udp.web.d.svc.cluster.local", DNS_SRV, "0 SRV 53 web.d.svc.cluster.local + A 10.96.0.80 AAAA fd00::80" },
  { "_http._udp.web.d.svc.cluster.local", DNS_SRV, "3 SOA" },
  { "_http._tcp.web.d.svc.cluster.local", DNS_A, "0 SOA" },
  { "_sql._tcp.db.d.svc.cluster.local", DNS_SRV,
    "0 SRV 5432 db-0.db.d.svc.cluster.local SRV 5432 10-244-0-3.db.d.svc.cluster.local + A 10.244.0.2 A 10.244.0.3" },
  { "out.d.svc.cluster.local", DNS_A, "chase example.com 0 CNAME example.com" },
  { "out.d.svc.cluster.local", DNS_CNAME, "0 CNAME example.com" },
  { "alias.d.svc.cluster.local", DNS_A, "0 CNAME web.d.svc.cluster.local A 10.96.0.80" },
  { "10-1-2-3.d.pod.cluster.local", DNS_A, "0 A 10.1.2.3" },
  { "10-1-2-3.nope.pod.cluster.local", DNS_A, "3 SOA" },
  { "10-1-2.d.pod.cluster.local", DNS_A, "3 SOA" },
  { "80.0.96.10.in-addr.arpa", DNS_PTR, "0 PTR web.d.svc.cluster.local" },
  { "2.0.244.10.in-addr.arpa", DNS_PTR, "0 PTR db-0.db.d.svc.cluster.local" },
  { "3.0.244.10.in-addr.arpa", DNS_PTR, "0 PTR 10-244-0-3.db.d.svc.cluster.local" },
  { "0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", DNS_PTR, "0 PTR web.d.svc.cluster.local" },
  { "1.1.1.1.in-addr.arpa", DNS_PTR, "forward" },
  { "example.com", DNS_A, "forward" },
  { "xcluster.local", DNS_A, "forward" },
  { "", DNS_NS, "forward" },
};

static bool
is (const struct value *v, const char *ns, const char *name)
{
  return !strcmp (value_path_string (v, "metadata.namespace", ""), ns) && !strcmp (value_path_string (v, "metadata.name", ""), name);
}

static const struct value *
view_service (void *arg, struct arena *a, const char *ns, const char *name)
{
  (void) arg;
  for (size_t i = 0; i < N (services); i++)
    if (is (object_parse (a, services[i]), ns, name))
      return object_parse (a, services[i]);
  return NULL;
}

static size_t
view_slices (void *arg, struct arena *a, const char *ns, const char *name, const struct value **out, size_t max)
{
  (void) arg;
  assert_true (max > 0);
  if (strcmp (ns, "d") != 0 || strcmp (name, "db") != 0)
    return 0;
  out[0] = object_parse (a, slices[0]);
  return 1;
}

static bool
view_namespace (void *arg, const char *ns)
{
  (void) arg;
  return !strcmp (ns, "d");
}

static const struct value *
view_service_by_ip (void *arg, struct arena *a, const char *ip)
{
  (void) arg;
  return !strcmp (ip, "10.96.0.80") || !strcmp (ip, "fd00::80") ? object_parse (a, services[0]) : NULL;
}

static const struct value *
view_slice_by_ip (void *arg, struct arena *a, const char *ip)
{
  (void) arg;
  return strstr (slices[0], ip) ? object_parse (a, slices[0]) : NULL;
}

static const struct dns_view view = { "cluster.local", NULL, view_service, view_slices, view_namespace, view_service_by_ip, view_slice_by_ip };

static void
put_records (struct buf *out, const struct dns_record *r, size_t n)
{
  char ip[INET6_ADDRSTRLEN];
  for (size_t i = 0; i < n; i++)
    switch (r[i].type) {
    case DNS_A:
    case DNS_AAAA:
      buf_printf (out, " %s %s", r[i].type == DNS_A ? "A" : "AAAA", inet_ntop (r[i].type == DNS_A ? AF_INET : AF_INET6, r[i].address, ip, sizeof ip));
      break;
    case DNS_SRV:
      buf_printf (out, " SRV %u %s", r[i].port, r[i].target);
      break;
    case DNS_TXT:
      buf_printf (out, " TXT %s", r[i].text);
      break;
    case DNS_SOA:
      buf_append_str (out, " SOA");
      break;
    default:
      buf_printf (out, " %s %s", r[i].type == DNS_CNAME ? "CNAME" : r[i].type == DNS_PTR ? "PTR" : "NS", r[i].target);
    }
}

static void
test_dns_decide__table__as_the_specification (void **state)
{
  (void) state;
  for (size_t i = 0; i < N (rows); i++) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf out = BUF_INIT;
    struct dns_question q = { .type = rows[i].type, .class_ = 1 };
    struct dns_decision d;
    arena_init (&a, 0);
    snprintf (q.name, sizeof q.name, "%s", rows[i].name);
    assert_int_equal (dns_decide (&view, &q, 0, &a, &d, NULL), 0);
    if (d.verdict == DNS_FORWARD)
      buf_append_str (&out, "forward");
    else
      buf_printf (&out, d.verdict == DNS_CHASE ? "chase %s %d" : "%s%d", d.verdict == DNS_CHASE ? d.chase : "", d.answer.rcode);
    if (d.answer.n_answers == 1 && d.answer.answers[0].type == DNS_SOA)
      buf_append_str (&out, " =");
    put_records (&out, d.answer.answers, d.answer.n_answers);
    put_records (&out, d.answer.authority, d.answer.n_authority);
    if (d.answer.n_additional)
      buf_append_str (&out, " +");
    put_records (&out, d.answer.additional, d.answer.n_additional);
    if (strcmp (buf_cstr (&out), rows[i].after) != 0)
      fail_msg ("%s type %d: %s, not %s", rows[i].name, rows[i].type, buf_cstr (&out), rows[i].after);
  }
}

static void
test_dns_decide__external_name_of_itself__ends (void **state)
{
  (void) state;
  AUTO_ARENA struct arena a;
  struct dns_question q = { .type = DNS_A, .class_ = 1, .name = "loop.d.svc.cluster.local" };
  struct dns_decision d;
  arena_init (&a, 0);
  assert_int_equal (dns_decide (&view, &q, 0, &a, &d, NULL), 0);
  assert_true (d.answer.n_answers < 16);
}

static void
test_dns_decide__next_turn__another_first (void **state)
{
  (void) state;
  AUTO_ARENA struct arena a;
  struct dns_question q = { .type = DNS_A, .class_ = 1, .name = "db.d.svc.cluster.local" };
  struct dns_decision d;
  arena_init (&a, 0);
  assert_int_equal (dns_decide (&view, &q, 1, &a, &d, NULL), 0);
  assert_int_equal (d.answer.answers[0].address[3], 3);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_dns_decide__table__as_the_specification),
                                      cmocka_unit_test (test_dns_decide__external_name_of_itself__ends),
                                      cmocka_unit_test (test_dns_decide__next_turn__another_first) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
