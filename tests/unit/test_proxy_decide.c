#include "services/proxy/proxy_rules.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#define SVC(spec) "{'metadata':{'name':'web','namespace':'d'},'spec':{'clusterIP':'10.96.0.80','ports':[{'port':80}]" spec "}}"
#define EP(ip, more) "{'addresses':['" ip "']" more "}"
#define SLICE(eps) "{'addressType':'IPv4','ports':[{'port':8080}],'endpoints':[" eps "]}"
#define ID "954b0ab4bc76ae62"
#define TO_CHAIN "service-ips 10.96.0.80 . tcp . 80 : goto svc-" ID "\n"

static const struct proxy_config config = { .node_name = "n1", .table = "kubus", .cluster_cidr = "10.244.0.0/16" };

/* BEFORE: a service and a slice. AFTER: chains with their rules, then elements. */
static const struct {
  const char *name, *service, *slice, *after;
} rows[] = {
  { "one endpoint", SVC (""), SLICE (EP ("10.244.0.2", "")),
    "svc-" ID ":\nip saddr != 10.244.0.0/16 meta mark set meta mark or 0x4000\nmeta l4proto tcp dnat to 10.244.0.2:8080\n"
    "hairpin 10.244.0.2 . 10.244.0.2\n" TO_CHAIN },
  { "in order of address, each once", SVC (""), SLICE (EP ("10.244.0.10", "") "," EP ("10.244.0.9", "") "," EP ("10.244.0.10", "")),
    "svc-" ID ":\nip saddr != 10.244.0.0/16 meta mark set meta mark or 0x4000\n"
    "meta l4proto tcp dnat ip to numgen inc mod 2 map { 0 : 10.244.0.9 . 8080, 1 : 10.244.0.10 . 8080 }\n"
    "hairpin 10.244.0.9 . 10.244.0.9\nhairpin 10.244.0.10 . 10.244.0.10\n" TO_CHAIN },
  { "not ready", SVC (""), SLICE (EP ("10.244.0.2", ",'conditions':{'ready':false}")), "no-endpoints 10.96.0.80 . tcp . 80 : goto refuse\n" },
  { "only one that terminates but serves", SVC (""), SLICE (EP ("10.244.0.2", ",'conditions':{'ready':false,'serving':true,'terminating':true}")),
    "svc-" ID ":\nip saddr != 10.244.0.0/16 meta mark set meta mark or 0x4000\nmeta l4proto tcp dnat to 10.244.0.2:8080\n"
    "hairpin 10.244.0.2 . 10.244.0.2\n" TO_CHAIN },
  { "internal policy Local, none here", SVC (",'internalTrafficPolicy':'Local'"), SLICE (EP ("10.244.0.2", ",'nodeName':'n2'")),
    "no-endpoints 10.96.0.80 . tcp . 80 : goto refuse\n" },
  { "text of an object never enters a script", SVC (",'externalIPs':['1.2.3.4; flush ruleset']"), SLICE (EP ("10.244.0.2 }; flush ruleset", "")),
    "no-endpoints 10.96.0.80 . tcp . 80 : goto refuse\n" },
  { "headless", "{'spec':{'clusterIP':'None','ports':[{'port':80}]}}", SLICE (EP ("10.244.0.2", "")), "" },
  { "external name", "{'spec':{'type':'ExternalName','externalName':'x.y'}}", SLICE (""), "" },
  { "external address", SVC (",'externalIPs':['192.0.2.9']"), SLICE (EP ("10.244.0.2", "")),
    "svc-" ID ":\nip saddr != 10.244.0.0/16 meta mark set meta mark or 0x4000\nmeta l4proto tcp dnat to 10.244.0.2:8080\n"
    "ext-" ID ":\nmeta mark set meta mark or 0x4000\nmeta l4proto tcp dnat to 10.244.0.2:8080\n"
    "hairpin 10.244.0.2 . 10.244.0.2\n" TO_CHAIN "hairpin 10.244.0.2 . 10.244.0.2\nservice-ips 192.0.2.9 . tcp . 80 : goto ext-" ID "\n" },
};

static const char *
text_of (struct arena *a, const struct proxy_service *s)
{
  AUTO_BUF struct buf out = BUF_INIT;
  for (size_t i = 0; i < s->n_chains; i++)
    buf_printf (&out, "%s:\n%s", s->chains[i].name, s->chains[i].rules);
  for (size_t i = 0; i < s->n_elements; i++)
    buf_printf (&out, "%s %s%s%s\n", s->elements[i].set, s->elements[i].key, s->elements[i].value ? " : " : "", s->elements[i].value ? s->elements[i].value : "");
  return arena_strdup (a, buf_cstr (&out));
}

static struct proxy_service *
decide (struct arena *a, const char *service, const char *slice)
{
  const struct value *slices[1] = { object_parse (a, slice) };
  struct proxy_service *s = proxy_decide (&config, object_parse (a, service), slices, 1);
  assert_non_null (s);
  return s;
}

static void
test_proxy_decide__table__rules (void **state)
{
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    AUTO_ARENA struct arena a;
    struct proxy_service *s;
    arena_init (&a, 0);
    s = decide (&a, rows[i].service, rows[i].slice);
    if (strcmp (text_of (&a, s), rows[i].after) != 0)
      fail_msg ("%s:\n%s\nnot\n%s", rows[i].name, text_of (&a, s), rows[i].after);
    proxy_service_free (s);
  }
}

static void
test_proxy_rules_set__endpoint_gone__only_its_service_changes (void **state)
{
  (void) state;
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf out = BUF_INIT;
  struct proxy_rules *r = proxy_rules_new (&config);
  struct proxy_service *s;
  arena_init (&a, 0);
  s = decide (&a, SVC (""), SLICE (EP ("10.244.0.2", "") "," EP ("10.244.0.3", "")));
  assert_int_equal (proxy_rules_set (r, "d/web", &s, &out, NULL), 0);
  assert_null (s);
  buf_reset (&out);
  s = decide (&a, SVC (""), SLICE (EP ("10.244.0.2", "") "," EP ("10.244.0.3", "")));
  assert_int_equal (proxy_rules_set (r, "d/web", &s, &out, NULL), 0);
  assert_int_equal (out.len, 0);
  s = decide (&a, SVC (""), SLICE (EP ("10.244.0.3", "")));
  assert_int_equal (proxy_rules_set (r, "d/web", &s, &out, NULL), 0);
  assert_string_equal (buf_cstr (&out), "delete element ip kubus hairpin { 10.244.0.2 . 10.244.0.2 }\n"
                                        "flush chain ip kubus svc-" ID "\n"
                                        "add rule ip kubus svc-" ID " ip saddr != 10.244.0.0/16 meta mark set meta mark or 0x4000\n"
                                        "add rule ip kubus svc-" ID " meta l4proto tcp dnat to 10.244.0.3:8080\n");
  proxy_rules_free (r);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_proxy_decide__table__rules),
                                      cmocka_unit_test (test_proxy_rules_set__endpoint_gone__only_its_service_changes) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
