/* Real rules in real network namespaces: this process moves into one of its own (the node), three children are pods on a
   bridge, one is a client outside. Everything goes when the processes do. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/proc.h"
#include "services/proxy/proxy_nft.h"
#include "services/proxy/proxy_rules.h"
#include "tests/lib/object.h"
#include "tests/lib/test.h"

#define PODS 3
#define CLIENT PODS
static pid_t others[PODS + 1];
static int go[PODS + 1];
static struct arena keep;
static struct proxy_nft *nft;
static struct proxy_rules *rules;
static struct proxy_config config = { .node_name = "n1", .table = "kubus-test", .cluster_cidr = "10.244.0.0/16", .localhost_nodeports = true };

static void
run (const char *fmt, ...)
{
  char text[512];
  const char *argv[32];
  size_t n = 0;
  struct err err = { 0 };
  AUTO_BUF struct buf out = BUF_INIT;
  va_list ap;
  va_start (ap, fmt);
  vsnprintf (text, sizeof text, fmt, ap);
  va_end (ap);
  for (char *p = text, *word; (word = strsep (&p, " ")) && n < 31;)
    argv[n++] = word;
  argv[n] = NULL;
  if (proc_run (&(struct proc_config){ .argv = argv, .timeout_ms = 10000, .out = { PROC_CAPTURE, 0 }, .err = { PROC_CAPTURE, 0 } }, &out, &out, &err) != 0) {
    fprintf (stderr, "%s: %s%s\n", argv[0], err.text, buf_cstr (&out));
    abort ();
  }
}

/* A pod answers every connection with its number and the address that it sees. */
static _Noreturn void
serve (int number)
{
  int l = socket (AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons (8080) };
  setsockopt (l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind (l, (struct sockaddr *) &sa, sizeof sa) != 0 || listen (l, 64) != 0)
    _exit (1);
  for (;;) {
    socklen_t len = sizeof sa;
    char text[64], ip[INET_ADDRSTRLEN];
    int c = accept (l, (struct sockaddr *) &sa, &len);
    if (c < 0)
      continue;
    snprintf (text, sizeof text, "%d %s", number, inet_ntop (AF_INET, &sa.sin_addr, ip, sizeof ip));
    (void) !write (c, text, strlen (text));
    close (c);
  }
}

/* Forks a process in a network namespace of its own; it goes on when go[i] is written to. */
static void
spawn (int i)
{
  int ready[2], start[2];
  char c;
  assert_int_equal (pipe (ready), 0);
  assert_int_equal (pipe (start), 0);
  others[i] = fork ();
  if (others[i] == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (unshare (CLONE_NEWNET) != 0 || write (ready[1], "x", 1) != 1 || read (start[0], &c, 1) != 1)
      _exit (1);
    run ("ip link set lo up");
    if (i == CLIENT) {
      run ("ip addr add 192.0.2.2/24 dev eth0");
      run ("ip link set eth0 up");
      run ("ip route add default via 192.0.2.1");
      (void) !write (ready[1], "x", 1);
      for (;;)
        pause ();
    }
    run ("ip addr add 10.244.0.%d/24 dev eth0", i + 2);
    run ("ip link set eth0 up");
    run ("ip route add default via 10.244.0.1");
    (void) !write (ready[1], "x", 1);
    serve (i + 1);
  }
  go[i] = start[1];
  assert_int_equal (read (ready[0], &c, 1), 1);
  run ("ip link add v%d type veth peer name eth0 netns %d", i, (int) others[i]);
  if (i == CLIENT)
    run ("ip addr add 192.0.2.1/24 dev v%d", i);
  else
    run ("ip link set v%d master br0", i), run ("ip link set v%d type bridge_slave hairpin on", i);
  run ("ip link set v%d up", i);
  assert_int_equal (write (go[i], "x", 1), 1);
  assert_int_equal (read (ready[0], &c, 1), 1);
}

static void
write_sysctl (const char *path)
{
  struct err err = { 0 };
  if (file_exists (path) && file_write_existing (path, "1", &err) != 0)
    fprintf (stderr, "%s\n", err.text);
}

static int
setup (void **state)
{
  struct err err = { 0 };
  (void) state;
  if (geteuid () != 0 || unshare (CLONE_NEWNET) != 0)
    return 0; /* the tests skip */
  run ("ip link set lo up");
  run ("ip link add br0 type bridge");
  run ("ip addr add 10.244.0.1/24 dev br0");
  run ("ip link set br0 up");
  write_sysctl ("/proc/sys/net/ipv4/ip_forward");
  write_sysctl ("/proc/sys/net/ipv4/conf/all/route_localnet");
  write_sysctl ("/proc/sys/net/bridge/bridge-nf-call-iptables");
  config.masquerade_all = !file_exists ("/proc/sys/net/bridge/bridge-nf-call-iptables");
  for (int i = 0; i <= PODS; i++)
    spawn (i);
  run ("ip route add default via 192.0.2.2");
  nft = proxy_nft_new (&err);
  return nft ? 0 : -1;
}

static int
teardown (void **state)
{
  (void) state;
  for (int i = 0; i <= PODS; i++)
    if (others[i] > 0) {
      kill (others[i], SIGKILL);
      waitpid (others[i], NULL, 0);
    }
  proxy_rules_free (rules);
  proxy_nft_free (nft);
  arena_done (&keep);
  return 0;
}

/* What a connection to ip:port gives, "2 10.244.0.1", or "refused", "timeout", ... */
static const char *
ask (int from, const char *ip, int port)
{
  static char text[128];
  int fds[2], status;
  ssize_t n;
  pid_t pid;
  assert_int_equal (pipe (fds), 0);
  pid = fork ();
  if (pid == 0) {
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons ((uint16_t) port) };
    struct timeval tv = { 3, 0 };
    char path[64], got[64] = "";
    int s, ns;
    if (from >= 0) {
      snprintf (path, sizeof path, "/proc/%d/ns/net", (int) others[from]);
      ns = open (path, O_RDONLY | O_CLOEXEC);
      if (ns < 0 || setns (ns, CLONE_NEWNET) != 0)
        _exit (1);
    }
    s = socket (AF_INET, SOCK_STREAM, 0);
    setsockopt (s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt (s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    inet_pton (AF_INET, ip, &sa.sin_addr);
    if (connect (s, (struct sockaddr *) &sa, sizeof sa) != 0)
      snprintf (got, sizeof got, "%s", errno == ECONNREFUSED ? "refused" : errno == EINPROGRESS ? "timeout" : strerror (errno));
    else if (read (s, got, sizeof got - 1) <= 0)
      snprintf (got, sizeof got, "no answer");
    (void) !write (fds[1], got, strlen (got));
    _exit (0);
  }
  close (fds[1]);
  n = read (fds[0], text, sizeof text - 1);
  text[n > 0 ? n : 0] = '\0';
  close (fds[0]);
  waitpid (pid, &status, 0);
  return text;
}

/* The pods that answer n connections, in order: "123123". */
static const char *
ask_times (int from, const char *ip, int port, int n)
{
  static char all[64];
  for (int i = 0; i < n; i++) {
    const char *got = ask (from, ip, port);
    if (got[0] < '1' || got[0] > '9')
      return got;
    all[i] = got[0];
  }
  all[n] = '\0';
  return all;
}

static void
all_in_turn (int from, const char *ip, int port)
{
  const char *got = ask_times (from, ip, port, 6);
  unsigned seen = 0;
  if (strlen (got) != 6)
    fail_msg ("from %d to %s:%d: %s", from, ip, port, got);
  for (int i = 0; i < 6; i++)
    seen |= 1u << (got[i] - '0');
  if (seen != 0xe || strncmp (got, got + 3, 3) != 0)
    fail_msg ("from %d to %s:%d: %s", from, ip, port, got);
}

#define SERVICE(more, port) "{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':'10.96.0.80'" more ",'ports':[{'port':80,'protocol':'TCP'" port "}]}}"
#define NODE_PORT ",'nodePort':30080"
#define EP(ip, node) "{'addresses':['" ip "'],'nodeName':'" node "'}"
#define SLICE(eps) "{'metadata':{'namespace':'d','name':'web-1'},'addressType':'IPv4','ports':[{'port':8080,'protocol':'TCP'}],'endpoints':[" eps "]}"
#define ALL SLICE (EP ("10.244.0.2", "n1") "," EP ("10.244.0.3", "n1") "," EP ("10.244.0.4", "n2"))

static void
begin (void)
{
  AUTO_BUF struct buf script = BUF_INIT;
  struct err err = { 0 };
  if (!nft)
    skip ();
  proxy_rules_free (rules);
  rules = proxy_rules_new (&config);
  proxy_rules_full (rules, &script);
  if (proxy_nft_run (nft, buf_cstr (&script), &err) != 0)
    fail_msg ("%s in\n%s", err.text, buf_cstr (&script));
}

static void
apply (const char *service, const char *slice)
{
  AUTO_ARENA struct arena a;
  AUTO_BUF struct buf script = BUF_INIT;
  struct err err = { 0 };
  const struct value *slices[1];
  struct proxy_service *s;
  arena_init (&a, 0);
  slices[0] = slice ? object_parse (&a, slice) : NULL;
  s = proxy_decide (&config, service ? object_parse (&a, service) : NULL, slices, slice ? 1 : 0);
  assert_int_equal (proxy_rules_set (rules, "d/web", &s, &script, &err), 0);
  if (proxy_nft_run (nft, buf_cstr (&script), &err) != 0)
    fail_msg ("%s in\n%s", err.text, buf_cstr (&script));
}

static void
test_proxy__cluster_ip__all_pods_in_turn (void **state)
{
  (void) state;
  begin ();
  apply (SERVICE ("", ""), ALL);
  all_in_turn (-1, "10.96.0.80", 80);
  all_in_turn (0, "10.96.0.80", 80); /* with itself among the answers: hairpin */
  all_in_turn (CLIENT, "10.96.0.80", 80);
}

static void
test_proxy__node_port__answers_on_every_local_address (void **state)
{
  (void) state;
  begin ();
  apply (SERVICE ("", NODE_PORT), ALL);
  all_in_turn (CLIENT, "192.0.2.1", 30080);
  all_in_turn (-1, "192.0.2.1", 30080);
  all_in_turn (-1, "10.244.0.1", 30080);
  all_in_turn (-1, "127.0.0.1", 30080);
  all_in_turn (1, "192.0.2.1", 30080);
}

static void
test_proxy__no_endpoints__refused (void **state)
{
  (void) state;
  begin ();
  apply (SERVICE ("", NODE_PORT), ALL);
  apply (SERVICE ("", NODE_PORT), SLICE (""));
  assert_string_equal (ask (-1, "10.96.0.80", 80), "refused");
  assert_string_equal (ask (0, "10.96.0.80", 80), "refused");
  assert_string_equal (ask (CLIENT, "192.0.2.1", 30080), "refused");
  apply (SERVICE ("", NODE_PORT), SLICE (EP ("10.244.0.3", "n1")));
  assert_string_equal (ask_times (-1, "10.96.0.80", 80, 3), "222");
  assert_string_equal (ask_times (CLIENT, "192.0.2.1", 30080, 2), "22");
}

static void
test_proxy__session_affinity__the_same_pod_again (void **state)
{
  (void) state;
  const char *got;
  begin ();
  apply (SERVICE (",'sessionAffinity':'ClientIP'", ""), ALL);
  got = ask_times (1, "10.96.0.80", 80, 4);
  if (strlen (got) != 4 || got[0] != got[1] || got[1] != got[2] || got[2] != got[3])
    fail_msg ("%s", got);
  apply (SERVICE (",'sessionAffinity':'ClientIP'", ""), SLICE (EP ("10.244.0.4", "n1")));
  assert_string_equal (ask_times (1, "10.96.0.80", 80, 2), "33");
}

static void
test_proxy__local_policy__client_address_kept_local_pods_only (void **state)
{
  (void) state;
  begin ();
  apply (SERVICE (",'externalTrafficPolicy':'Local'", NODE_PORT), SLICE (EP ("10.244.0.3", "n1") "," EP ("10.244.0.4", "n2")));
  assert_string_equal (ask (CLIENT, "192.0.2.1", 30080), "2 192.0.2.2");
  assert_string_equal (ask (CLIENT, "192.0.2.1", 30080), "2 192.0.2.2");
}

/* As the service "kubernetes" is. */
static void
test_proxy__endpoint_is_the_node__answers (void **state)
{
  (void) state;
  pid_t server;
  begin ();
  server = fork ();
  if (server == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    serve (4);
  }
  apply (SERVICE ("", ""), SLICE (EP ("192.0.2.1", "n1")));
  for (int i = 0; i < 100 && ask (-1, "192.0.2.1", 8080)[0] != '4'; i++)
    sched_yield ();
  const char *from_node = arena_strdup (&keep, ask_times (-1, "10.96.0.80", 80, 2)), *from_pod = arena_strdup (&keep, ask_times (0, "10.96.0.80", 80, 2));
  kill (server, SIGKILL);
  waitpid (server, NULL, 0);
  assert_string_equal (from_node, "44");
  assert_string_equal (from_pod, "44");
}

static void
test_proxy__service_deleted__nothing_left (void **state)
{
  (void) state;
  AUTO_BUF struct buf out = BUF_INIT;
  const char *argv[] = { "nft", "list", "table", "ip", "kubus-test", NULL };
  begin ();
  apply (SERVICE (",'sessionAffinity':'ClientIP'", NODE_PORT), ALL);
  apply (NULL, NULL);
  assert_int_equal (proc_run (&(struct proc_config){ .argv = argv, .timeout_ms = 10000, .out = { PROC_CAPTURE, 0 } }, &out, NULL, NULL), 0);
  assert_null (strstr (buf_cstr (&out), "svc-"));
  assert_null (strstr (buf_cstr (&out), "aff-"));
  assert_null (strstr (buf_cstr (&out), "10.244.0.2"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_proxy__cluster_ip__all_pods_in_turn),
                                      cmocka_unit_test (test_proxy__node_port__answers_on_every_local_address),
                                      cmocka_unit_test (test_proxy__no_endpoints__refused),
                                      cmocka_unit_test (test_proxy__session_affinity__the_same_pod_again),
                                      cmocka_unit_test (test_proxy__local_policy__client_address_kept_local_pods_only),
                                      cmocka_unit_test (test_proxy__endpoint_is_the_node__answers),
                                      cmocka_unit_test (test_proxy__service_deleted__nothing_left) };
  return cmocka_run_group_tests (tests, setup, teardown);
}
